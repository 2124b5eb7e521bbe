//! Looks at the rows of a side: what they say in the entity's words, and what they would say after a write.

use jiff::Timestamp;
use mapping::{Explained, Read, content, fit};
use record::hash::RowHasher;
use record::{Batch, Fault, Keeps, Key, Now, RetryPolicy, Row, RowRef, Type, Value, ValueRef};

use super::Joint;
use super::merge::Which;
use crate::outage::with_retries;
use crate::watch::Watch;

/// A row of one side, or its absence.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    Absent,
    /// `where:` says that it is not of this entity.
    LeftOut,
    Row(Box<Loaded>),
    Bad(Box<Bad>),
}

#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    /// As this side spells it.
    pub key: Key,
    /// Of what the mapping reads.
    pub hash: u128,
    pub raw: Row,
    /// The entity's fields, in the one form in which both sides are compared.
    pub record: Row,
    pub changed: Option<Timestamp>,
}

/// A row that cannot be read.
#[derive(Debug, Clone)]
pub(crate) struct Bad {
    pub key: Option<Key>,
    pub hash: u128,
    pub raw: Row,
    pub faults: Vec<Fault>,
    pub fields: Vec<Explained>,
}

impl Found {
    pub fn row(&self) -> Option<&Loaded> {
        match self {
            Found::Row(loaded) => Some(loaded),
            _ => None,
        }
    }

    /// The hash of the row, where there is one that counts.
    pub fn hash(&self) -> Option<u128> {
        match self {
            Found::Row(loaded) => Some(loaded.hash),
            Found::Bad(bad) => Some(bad.hash),
            Found::Absent | Found::LeftOut => None,
        }
    }
}

impl Joint {
    /// What a row of a side says. `binding` is that of the side's read mapping.
    pub fn understand(&self, side: Which, row: RowRef<'_>, binding: &[usize]) -> Found {
        let read = self.read(side);
        let hash = RowHasher::default().hash(binding.iter().map(|column| row.at(*column)));
        let key = read.key(row, binding);
        let bad = |key, faults: Vec<Fault>| {
            let fields = read.explain(row, binding);
            Found::Bad(Box::new(Bad { key, hash, raw: row.to_row(), faults, fields }))
        };
        match (read.apply(row, binding), key) {
            (Ok(Read::LeftOut), _) => Found::LeftOut,
            (Err(rejected), key) => bad(key, rejected.faults),
            // A row that can be read has its key: the mapping has looked.
            (Ok(Read::Row(_)), None) => bad(None, Vec::new()),
            (Ok(Read::Row(record)), Some(key)) => {
                let record = self.normal(record);
                let changed = self.changed(side, row, &record);
                Found::Row(Box::new(Loaded { key, hash, raw: row.to_row(), record, changed }))
            }
        }
    }

    /// The rows of a side with these keys, as the side spells them, in the order asked.
    ///
    /// *Errors*: where the side does not answer. A row that cannot be read is [`Found::Bad`].
    pub async fn fetch(
        &self,
        retry: &RetryPolicy,
        watch: &dyn Watch,
        side: Which,
        keys: &[Key],
    ) -> Result<Vec<Found>, Fault> {
        let source = &self.from(side).source;
        let there: Vec<Option<Key>> = keys.iter().map(|key| self.write(side).key_of(key)).collect();
        let asked: Vec<Key> = there.iter().flatten().cloned().collect();
        let rows = match asked.is_empty() {
            true => Ok(Vec::new()),
            false => with_retries(retry, watch, || source.get(&asked)).await,
        };
        let rows = match rows {
            Ok(rows) => rows.into_iter().map(Ok).collect(),
            // One row cannot be read: each is asked for alone.
            Err(fault) if fault.now == Now::Reject => {
                let mut rows = Vec::new();
                for key in &asked {
                    let one = std::slice::from_ref(key);
                    match with_retries(retry, watch, || source.get(one)).await {
                        Ok(mut found) => rows.push(Ok(found.pop().flatten())),
                        Err(fault) if fault.now == Now::Reject => rows.push(Err(fault)),
                        Err(fault) => return Err(fault),
                    }
                }
                rows
            }
            Err(fault) => return Err(fault),
        };
        let mut rows: std::vec::IntoIter<Result<Option<Row>, Fault>> = rows.into_iter();
        let mut found = Vec::with_capacity(keys.len());
        for (key, there) in keys.iter().zip(there) {
            found.push(match there.and_then(|_| rows.next()) {
                None | Some(Ok(None)) => Found::Absent,
                Some(Ok(Some(row))) => {
                    let batch = Batch::from_rows(row.schema().clone(), [&row]);
                    let binding = self.binding(side, &batch)?;
                    self.understand(side, batch.row(0), &binding)
                }
                Some(Err(fault)) => Found::Bad(Box::new(Bad {
                    key: Some(key.clone()),
                    // What it holds is not known, so it is never taken for unchanged.
                    hash: RowHasher::default().hash([ValueRef::Text(&fault.what)]),
                    raw: Row::new(record::Schema::new(Vec::new()), Vec::new()),
                    faults: vec![fault],
                    fields: Vec::new(),
                })),
            });
        }
        Ok(found)
    }

    /// The places of the mapping's columns in a page.
    ///
    /// *Errors*: `IB0603` for a column that the side has no longer.
    pub fn binding(&self, side: Which, batch: &Batch) -> Result<Vec<usize>, Fault> {
        self.read(side).bind(batch.schema()).map_err(|missing| {
            let (name, missing) = (self.name(side), missing.join("`, `"));
            Fault::stop(
                crate::codes::COLUMN_MISSING,
                format!("`{name}` has no column `{missing}`, which the mapping reads"),
            )
            .at_system(name)
            .fix("correct the mapping, or give the source its column back; nothing was written")
        })
    }

    /// What a side would read if every field of the other side were written to it. `own` is its row, if it has one.
    pub fn echo(&self, side: Which, other: &Row, own: Option<&Row>) -> Vec<Value> {
        let held = self.write(side).would_hold(other, own.is_none());
        let column = |name: &str| {
            let plain = held.iter().find(|(column, _)| *column == name).map(|(_, value)| value.clone());
            // A lookup is read as the key of the row that it points to.
            let of_lookup = || {
                let (column, part) = name.rsplit_once('.')?;
                match held.iter().find(|(known, _)| *known == column)? {
                    (_, Value::Reference(to)) => {
                        to.key.iter().find(|(known, _)| **known == *part).map(|(_, value)| value.clone())
                    }
                    (_, blank) => Some(blank.clone()),
                }
            };
            plain.or_else(of_lookup).or_else(|| own.and_then(|own| own.get(name).cloned())).unwrap_or_default()
        };
        let read = self.read(side);
        let schema = record::Schema::of(read.columns().iter().map(|name| (name.as_str(), Type::Unknown)));
        let row = Row::new(schema.clone(), read.columns().iter().map(|name| column(name)).collect());
        let batch = Batch::from_rows(schema.clone(), [&row]);
        let binding: Vec<usize> = (0..schema.len()).collect();
        let mut values = vec![Value::Blank; self.entity.schema.len()];
        for explained in read.explain(batch.row(0), &binding) {
            if let (Some(at), Ok(value)) = (self.entity.schema.index(&explained.target), explained.value) {
                values[at] = value;
            }
        }
        self.normal(Row::new(self.entity.schema.clone(), values)).into_values()
    }

    /// The one form in which the two sides are compared: what either of them does not keep makes no difference.
    fn normal(&self, record: Row) -> Row {
        let whole = Which::BOTH.into_iter().any(|side| self.write(side).keeps().whole_seconds);
        let keeps = Keeps { empty_as_blank: true, whole_seconds: whole, lookups: true };
        let schema = record.schema().clone();
        let values = record.into_values().into_iter().map(|value| content::normal(value, keeps));
        Row::new(schema, values.collect())
    }

    /// When a row was changed, as far as it says.
    fn changed(&self, side: Which, row: RowRef<'_>, record: &Row) -> Option<Timestamp> {
        let value = match self.version {
            Some(field) => record.values()[field].clone(),
            None => {
                let column = self.sides[side].changed.as_deref()?;
                row.get(column)?.to_owned()
            }
        };
        match fit::fit(value.as_ref(), &Type::DateTime, self.sides[side].zone.as_ref()) {
            Ok(Value::Instant(instant)) => Some(instant),
            _ => None,
        }
    }
}
