//! Late, older events: what is written as it was sent never overwrites something newer.
//!
//! Events of one row may overtake each other on their way here. Where the row is fetched that makes no difference; where
//! what was sent is written, the version of the row (`version:` of its entity) says which of two is newer. The version that
//! was delivered last is kept for each key and destination, beside the ledger's own rows of the entity.

use std::cmp::Ordering;

use mapping::fit;
use record::{Key, Type, Value};
use store::Store;
use store::ledger::{self, Entry, State};

/// What became of a message that something newer had overtaken.
pub(super) const OLDER: &str = "older than what was delivered";

fn place(entity: &str) -> String {
    format!("{entity} versions")
}

/// How an event's version stands to what was delivered last: nothing where that is not known.
///
/// *Errors*: our own state cannot be read.
pub(super) fn beside_delivered(
    store: &Store,
    to: &str,
    entity: &str,
    key: &Key,
    (version, ty): (&Value, &Type),
) -> Result<Option<Ordering>, store::Error> {
    if version.is_blank() {
        return Ok(None);
    }
    let known = store.ledger_entry(to, &place(entity), key)?;
    let known = known.and_then(|entry| entry.version);
    let known = known.and_then(|text| fit::fit(record::ValueRef::Text(&text), ty, None).ok());
    Ok(known.and_then(|known| record::query::compare(version, &known)))
}

/// Remembers what was delivered.
pub(super) fn remember(to: &str, entity: &str, key: &Key, version: &Value) -> Option<store::Op> {
    if version.is_blank() {
        return None;
    }
    let entry = Entry {
        key: key.clone(),
        source_hash: 0,
        content_hash: 0,
        mapping: 0,
        state: State::Written,
        generation: 0,
        remote_id: None,
        version: Some(version.to_string()),
    };
    Some(ledger::Op::Put { system: to.to_owned(), entity: place(entity), entries: vec![entry] }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compared_as_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), store::Options::default()).unwrap();
        let key = Key::of(&[Value::text("C-1")]).unwrap();
        let decimal = Type::Decimal { scale: Some(3) };
        let number = |text: &str| Value::Decimal(text.parse().unwrap());
        let time = |text: &str| Value::Instant(text.parse().unwrap());
        for (ty, delivered, late, same, newer) in [
            (Type::WholeNumber, Value::Int(9), Value::Int(8), Value::Int(9), Value::Int(10)),
            (decimal, number("1.5"), number("1.49"), number("1.500"), number("1.501")),
            (
                Type::DateTime,
                time("2026-11-26T09:00:00.5Z"),
                time("2026-11-26T09:00:00.4Z"),
                time("2026-11-26T09:00:00.5Z"),
                time("2026-11-26T09:00:01Z"),
            ),
        ] {
            let beside = |value: &Value| beside_delivered(&store, "erp", "customer", &key, (value, &ty)).unwrap();
            let clear = ledger::Op::Clear { system: "erp".into(), entity: place("customer") };
            store.commit_blocking(vec![clear.into()]).unwrap();
            assert_eq!(beside(&late), None, "nothing was delivered yet");
            store.commit_blocking(vec![remember("erp", "customer", &key, &delivered).unwrap()]).unwrap();
            let all = [&late, &same, &newer].map(beside);
            assert_eq!(all, [Some(Ordering::Less), Some(Ordering::Equal), Some(Ordering::Greater)]);
            assert_eq!(beside(&Value::Blank), None);
        }
        assert!(remember("erp", "customer", &key, &Value::Blank).is_none());
    }
}
