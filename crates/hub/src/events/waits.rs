//! Messages that wait for a row which they point to: they go on as soon as it is written, by whichever integration.
//!
//! What is here is only a reminder: it is lost with the process, and a message whose parent came some other way is looked
//! at again by the clock.

use std::collections::BTreeMap;

use record::{Key, Row, Value};
use store::Store;
use store::ledger::State;

/// So many messages are woken; those beyond are looked at by the clock alone.
const WAITS_MAX: usize = 1_000;

/// The rows that each message waits for, by the message's number.
#[derive(Debug, Default)]
pub(crate) struct Waits(BTreeMap<i64, Vec<Parent>>);

/// An entity and a key of it.
pub(crate) type Parent = (String, Key);

impl Waits {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A message waits for these rows; for none of them any more where there are none.
    pub fn note(&mut self, seq: i64, missing: Vec<Parent>) {
        self.0.remove(&seq);
        if !missing.is_empty() && self.0.len() < WAITS_MAX {
            self.0.insert(seq, missing);
        }
    }

    /// Takes out the messages whose parents are all there now.
    ///
    /// *Errors*: our own state cannot be read.
    pub fn come(&mut self, store: &Store, to: &str) -> Result<Vec<i64>, store::Error> {
        let mut come = Vec::new();
        for (seq, missing) in &mut self.0 {
            *missing = still_missing(store, to, std::mem::take(missing))?;
            if missing.is_empty() {
                come.push(*seq);
            }
        }
        self.0.retain(|_, missing| !missing.is_empty());
        Ok(come)
    }
}

/// The rows that a record points to.
pub(crate) fn parents(record: &Row) -> Vec<Parent> {
    let reference = |value: &Value| match value {
        Value::Reference(to) => Some((to.of.to_string(), Key::of(to.key.iter().map(|(_, part)| part)).ok()?)),
        _ => None,
    };
    record.values().iter().filter_map(reference).collect()
}

/// Those of them that the hub has not written to this destination.
///
/// *Errors*: our own state cannot be read.
pub(crate) fn still_missing(store: &Store, to: &str, parents: Vec<Parent>) -> Result<Vec<Parent>, store::Error> {
    let mut missing = Vec::new();
    for (entity, key) in parents {
        let known = store.ledger_get(to, &entity, std::slice::from_ref(&key))?.pop().flatten();
        if known.is_none_or(|entry| entry.state != State::Written) {
            missing.push((entity, key));
        }
    }
    Ok(missing)
}
