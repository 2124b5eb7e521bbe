//! The rows that a row points to, and whether they are there.

use record::{Key, Row, Value};
use store::Store;
use store::ledger::State;

/// An entity and a key of it.
pub(crate) type Parent = (String, Key);

/// The rows that a record points to, its lines among it.
pub(crate) fn parents(record: &Row) -> Vec<Parent> {
    let of = |value: &Value| match value {
        Value::Reference(to) => {
            let key = Key::of(to.key.iter().map(|(_, part)| part)).ok();
            key.map(|key| (to.of.to_string(), key)).into_iter().collect()
        }
        Value::Rows(lines) => lines.iter().flat_map(parents).collect(),
        _ => Vec::new(),
    };
    record.values().iter().flat_map(of).collect()
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
