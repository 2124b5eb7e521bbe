//! What a destination would keep of a row: the content that the ledger compares.

use jiff::{SignedDuration, TimestampRound, Unit};
use record::hash::RowHasher;
use record::{Decimal, Keeps, Row, Value};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Grows when the normal form changes, so that old ledgers are compared anew instead of wrongly.
const VERSION: &str = "content/1";

/// The value as the destination will give it back.
pub fn normal(value: Value, keeps: Keeps) -> Value {
    match value {
        Value::Text(text) if text.is_empty() && keeps.empty_as_blank => Value::Blank,
        Value::Text(text) if !is_nfc(&text) => Value::Text(text.nfc().collect()),
        Value::Decimal(number) => Value::Decimal(number.normalize()),
        // The number that is written: the shortest one that is this float.
        Value::Float(float) => match Decimal::from_str_exact(&float.to_string()) {
            Ok(number) => Value::Decimal(number.normalize()),
            Err(_) => value,
        },
        Value::Instant(instant) if keeps.whole_seconds => {
            let whole = instant
                .round(TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor))
                .unwrap_or(instant);
            debug_assert!(instant.duration_since(whole) < SignedDuration::from_secs(1));
            Value::Instant(whole)
        }
        Value::LocalDateTime(at) if keeps.whole_seconds => {
            Value::LocalDateTime(at.with().subsec_nanosecond(0).build().unwrap_or(at))
        }
        other => other,
    }
}

/// Whether a destination that holds `current` would change nothing by writing `wanted`.
///
/// A number is compared as a number, whatever its kind; lookups by the key that they point to.
pub fn same(wanted: &Value, current: &Value, keeps: Keeps) -> bool {
    let (wanted, current) = (normal(wanted.clone(), keeps), normal(current.clone(), keeps));
    match (&wanted, &current) {
        (Value::Int(a), Value::Decimal(b)) | (Value::Decimal(b), Value::Int(a)) => record::Decimal::from(*a) == *b,
        (Value::Choice(a), Value::Text(b)) | (Value::Text(b), Value::Choice(a)) => a == b,
        // The options of a system are numbers.
        (Value::Choice(a), Value::Int(b)) | (Value::Int(b), Value::Choice(a)) => *a == b.to_string(),
        // Which row a lookup points to is told by keys, and those are compared as keys are.
        (Value::Reference(a), Value::Reference(b)) => {
            a.of == b.of
                && a.key.len() == b.key.len()
                && a.key.iter().zip(&b.key).all(|((a, va), (b, vb))| a == b && same_in_key(va, vb, keeps))
        }
        (a, b) => a == b,
    }
}

/// As [`same`], for a value that names a row: where lookups are kept, the case of a text and the spaces behind it say
/// nothing.
pub fn same_in_key(wanted: &Value, current: &Value, keeps: Keeps) -> bool {
    match (wanted, current) {
        (Value::Text(a), Value::Text(b)) if keeps.lookups => {
            let folded = |text: &str| text.trim_end_matches(' ').to_lowercase();
            folded(a) == folded(b)
        }
        _ => same(wanted, current, keeps),
    }
}

/// The hash of the columns by name, normalised. *Shape*: the order of the columns does not matter.
pub fn hash(columns: &Row, keeps: Keeps, hasher: &mut RowHasher) -> u128 {
    let mut named: Vec<(&str, Value)> = columns.iter().map(|(name, v)| (name, normal(v.clone(), keeps))).collect();
    named.sort_by_key(|(name, _)| *name);
    let version = (VERSION, record::ValueRef::Blank);
    hasher.hash_named(std::iter::once(version).chain(named.iter().map(|(name, value)| (*name, value.as_ref()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{Schema, Type};

    const DATAVERSE: Keeps = Keeps { empty_as_blank: true, whole_seconds: true, lookups: true };

    #[test]
    fn what_dataverse_keeps_as_one_is_one() {
        let instant = |text: &str| Value::Instant(text.parse().unwrap());
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        let local = |text: &str| Value::LocalDateTime(text.parse().unwrap());
        for (a, b) in [
            ("".into(), Value::Blank),
            (instant("2026-01-31T10:00:00.999Z"), instant("2026-01-31T10:00:00Z")),
            (local("2026-01-31T10:00:00.5"), local("2026-01-31T10:00:00")),
            (decimal("5.00"), decimal("5")),
            (Value::Int(5), decimal("5.0")),
            (Value::Float(0.1), decimal("0.10")),
            (Value::Float(1e10), Value::Int(10_000_000_000)),
            (Value::Int(10), Value::Choice("10".into())),
            ("e\u{301}".into(), "é".into()),
        ] {
            assert!(same(&a, &b, DATAVERSE), "{a:?} {b:?}");
        }
        assert!(!same(&"".into(), &Value::Blank, Keeps::EXACTLY));
        assert!(!same(&"a".into(), &"A".into(), DATAVERSE));
        let to = |number: &str| {
            let key = vec![("accountnumber".into(), number.into())];
            Value::Reference(Box::new(record::Reference { of: "account".into(), key }))
        };
        assert!(same(&to("c-1"), &to("C-1"), DATAVERSE), "both point to one row");
        assert!(!same(&to("C-1"), &to("C-2"), DATAVERSE));
    }

    #[test]
    fn the_order_of_columns_does_not_matter() {
        let text = || Type::Text { max_length: None };
        let ab = Row::new(Schema::of([("a", text()), ("b", text())]), vec!["1".into(), "2".into()]);
        let ba = Row::new(Schema::of([("b", text()), ("a", text())]), vec!["2".into(), "1".into()]);
        let swapped = Row::new(Schema::of([("a", text()), ("b", text())]), vec!["2".into(), "1".into()]);
        let mut hasher = RowHasher::default();
        assert_eq!(hash(&ab, DATAVERSE, &mut hasher), hash(&ba, DATAVERSE, &mut hasher));
        assert_ne!(hash(&ab, DATAVERSE, &mut hasher), hash(&swapped, DATAVERSE, &mut hasher));
    }
}
