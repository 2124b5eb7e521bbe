//! A yes or no about a record, in Power Fx over the entity's fields: `if:` of a trigger, `when:` of an approval.

use std::sync::Arc;

use record::{Entity, Row, Schema, Type, Value};

use crate::columns::Columns;
use crate::formula;
use crate::problem::{At, Problem};

/// A compiled condition.
#[derive(Debug)]
pub struct Condition {
    compiled: formula::Compiled,
    /// The places of its inputs in the entity's schema, and their names.
    inputs: Vec<usize>,
    names: Vec<String>,
}

impl Condition {
    /// *Errors*: every problem of the text, at its place.
    pub fn compile(text: &str, entity: &Arc<Entity>) -> Result<Condition, Vec<Problem>> {
        Condition::over(text, &entity.schema)
    }

    /// A condition over rows of these columns.
    ///
    /// *Errors*: every problem of the text, at its place.
    pub fn over(text: &str, schema: &Schema) -> Result<Condition, Vec<Problem>> {
        let mut names = Vec::new();
        let compiled = formula::compile(text, &Columns::closed(schema), Some(&Type::YesNo), &mut names)
            .map_err(|found| formula::problems(found, At::Where))?;
        let inputs = names.iter().map(|name| schema.index(name).expect("names were checked")).collect();
        Ok(Condition { compiled, inputs, names })
    }

    /// Whether it reads one of these fields.
    pub fn reads_any(&self, fields: &[&str]) -> bool {
        self.names.iter().any(|name| fields.contains(&name.as_str()))
    }

    /// Whether it holds for a record; blank is no. *Errors*: one sentence of why it cannot be told.
    pub fn holds(&self, record: &Row) -> Result<bool, String> {
        let inputs = |slot: usize| record.values()[self.inputs[slot]].as_ref();
        Ok(self.compiled.eval(&inputs, None)? == Value::Bool(true))
    }
}
