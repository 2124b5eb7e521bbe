//! A part of a row, for what goes both ways: only the columns that some fields go into, and what a write would leave behind.

use record::{Column, Fault, Key, Row, Schema, Value};

use super::{Wanted, WriteMapping, fault};
use crate::content;
use crate::read::KEY_BLANK;

impl WriteMapping {
    /// For each field of the entity, whether a column is made of it that an update may change.
    pub fn takes(&self) -> Vec<bool> {
        let mut takes = vec![false; self.entity.schema.len()];
        for (at, column) in self.columns.iter().enumerate() {
            if !self.key.contains(&at) && !column.only_on_create {
                self.reads(&column.expr).for_each(|field| takes[field] = true);
            }
        }
        takes
    }

    /// Turns one record into a change of the columns that these fields go into, and of no others.
    ///
    /// *Shape*: `fields` are places in the entity; nothing is written at creation only. *Errors*: all faults of those
    /// columns, and a key that is blank.
    pub fn apply_fields(&self, record: &Row, fields: &[usize]) -> Result<Wanted, Vec<Fault>> {
        let inputs = |slot: usize| record.values()[self.inputs[slot]].as_ref();
        let (mut columns, mut values, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for (at, column) in self.columns.iter().enumerate() {
            if self.key.contains(&at)
                || column.only_on_create
                || !self.reads(&column.expr).any(|field| fields.contains(&field))
            {
                continue;
            }
            match self.value(column, &inputs) {
                Ok(value) => {
                    columns.push(Column { name: column.name.as_str().into(), ty: column.ty.clone() });
                    values.push(content::normal(value, self.keeps));
                }
                Err(misfit) => faults.push(fault(column, misfit)),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let key = self.key_of_record(record).ok_or_else(|| {
            let what = format!("the row has no key for `{}`", self.entity.name);
            vec![Fault::reject(KEY_BLANK, what).fix("give the row its key in the source")]
        })?;
        let on_create = Row::new(Schema::new(Vec::new()), Vec::new());
        Ok(Wanted { key, columns: Row::new(Schema::new(columns), values), on_create })
    }

    fn key_of_record(&self, record: &Row) -> Option<Key> {
        let inputs = |slot: usize| record.values()[self.inputs[slot]].as_ref();
        let part =
            |at: &usize| self.value(&self.columns[*at], &inputs).ok().map(|value| content::normal(value, self.keeps));
        let parts: Vec<Value> = self.key.iter().map(part).collect::<Option<_>>()?;
        Key::of(&parts).ok()
    }

    /// What each column would hold if this record were written: columns that cannot be computed are left out.
    pub fn would_hold(&self, record: &Row, creates: bool) -> Vec<(&str, Value)> {
        let inputs = |slot: usize| record.values()[self.inputs[slot]].as_ref();
        let written = self.columns.iter().filter(|column| creates || !column.only_on_create);
        let value = |column| self.value(column, &inputs).ok().map(|value| content::normal(value, self.keeps));
        written.filter_map(|column| Some((column.name.as_str(), value(column)?))).collect()
    }
}
