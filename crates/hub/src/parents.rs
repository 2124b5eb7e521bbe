//! The rows that a row points to, and whether they are there.

use record::{Key, Row, Value};
use store::Store;
use store::ledger::State;

/// An entity and a key of it.
pub(crate) type Parent = (String, Key);

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
        let known = store.ledger_entry(to, &entity, &key)?;
        if known.is_none_or(|entry| entry.state != State::Written) {
            missing.push((entity, key));
        }
    }
    Ok(missing)
}
