//! The identity of a record: typed, sortable, reversible bytes.

mod folded;

use std::fmt;

use jiff::civil::Date;
use rust_decimal::Decimal;
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{UnicodeNormalization, is_nfc};
use uuid::Uuid;

use crate::{Reference, Value};

pub use folded::KeyHasher;

/// The values of a key, one or several, as bytes that sort as the values do.
///
/// *Shape*: one version byte, then each part with a type byte. Never a hash: deletes need the key back, and inserting
/// into the ledger in key order writes a fraction of what random order would. Compare two keys only when they come from
/// the same fields: a part is encoded by its type, and `5` as a number is not `5` as a text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<[u8]>);

/// Why values are not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("part {part} of the key is blank")]
    Blank { part: usize },
    #[error("part {part} of the key is {kind}, which cannot be a key")]
    Kind { part: usize, kind: &'static str },
    #[error("these bytes are not a key")]
    Bytes,
}

/// How a destination compares keys. An accent may be written as part of its letter or behind it: that is one key
/// everywhere, since texts are written in one form (NFC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyRules {
    /// `abc` and `ABC` are one key (Dataverse, SQL Server by default).
    pub ignore_case: bool,
    /// `abc` and `abc ` are one key (SQL Server, MySQL by default).
    pub ignore_trailing_spaces: bool,
    /// `cafe` and `café` are one key (Dataverse in most languages, MySQL by default).
    pub ignore_accents: bool,
    /// As [`Key::folded`] made keys that are kept since before it knew of accents and their forms.
    pub as_kept: bool,
}

const VERSION: u8 = 1;
const BOOL: u8 = 0x08;
const INT: u8 = 0x10;
const DECIMAL: u8 = 0x18;
const DATE: u8 = 0x20;
const INSTANT: u8 = 0x28;
const GUID: u8 = 0x30;
const TEXT: u8 = 0x40;
const CHOICE: u8 = 0x48;
/// A row that the key points to, by the columns that name it.
const REFERENCE: u8 = 0x50;

impl Key {
    /// The key of these values, in the order of the key's fields.
    ///
    /// *Errors*: a blank part (also a text of only spaces), or a kind of value that has no stable text form.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a Value>) -> Result<Key, KeyError> {
        let mut bytes = vec![VERSION];
        for (part, value) in values.into_iter().enumerate() {
            put(&mut bytes, part, value)?;
        }
        Ok(Key(bytes.into()))
    }

    /// Whether [`Key::of`] takes this value as a part, without making the key.
    pub fn takes(value: &Value) -> bool {
        match value {
            Value::Text(text) => !text.trim().is_empty(),
            Value::Choice(_)
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Decimal(_)
            | Value::Date(_)
            | Value::Instant(_)
            | Value::Guid(_) => true,
            other => Key::of([other]).is_ok(),
        }
    }

    /// A key from bytes that [`Key::as_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Key, KeyError> {
        let key = Key(bytes.into());
        key.try_parts()?;
        Ok(key)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The values that the key was made of.
    pub fn parts(&self) -> Vec<Value> {
        self.try_parts().expect("a key was checked when it was made")
    }

    /// This key as the destination compares it: two keys that are one there have one folded form.
    pub fn folded(&self, rules: KeyRules) -> Key {
        let parts: Vec<Value> = self.parts().into_iter().map(|part| folded(part, rules)).collect();
        Key::of(&parts).expect("folding leaves no part blank")
    }

    fn try_parts(&self) -> Result<Vec<Value>, KeyError> {
        let mut rest = match self.0.split_first() {
            Some((&VERSION, rest)) => rest,
            _ => return Err(KeyError::Bytes),
        };
        let mut parts = Vec::new();
        while let Some((&tag, after)) = rest.split_first() {
            let (value, after) = take(tag, after).ok_or(KeyError::Bytes)?;
            parts.push(value);
            rest = after;
        }
        Ok(parts)
    }
}

/// As people write it: `C-1042`, and `A-1|EU` for several parts.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.parts().iter().enumerate() {
            write!(f, "{}{part}", if i == 0 { "" } else { "|" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

fn folded(part: Value, rules: KeyRules) -> Value {
    match part {
        Value::Text(mut text) => {
            if !rules.as_kept && rules.ignore_accents && !text.is_ascii() {
                text = text.nfd().filter(|letter| !is_combining_mark(*letter)).collect();
            }
            if !rules.as_kept && !is_nfc(&text) {
                text = text.nfc().collect();
            }
            if rules.ignore_trailing_spaces {
                text.truncate(text.trim_end_matches(' ').len());
            }
            if rules.ignore_case {
                text = text.to_lowercase();
            }
            Value::Text(text)
        }
        Value::Reference(mut to) => {
            for (_, value) in &mut to.key {
                *value = folded(std::mem::take(value), rules);
            }
            Value::Reference(to)
        }
        other => other,
    }
}

fn put(out: &mut Vec<u8>, part: usize, value: &Value) -> Result<(), KeyError> {
    match value {
        Value::Blank => return Err(KeyError::Blank { part }),
        Value::Text(v) if v.trim().is_empty() => return Err(KeyError::Blank { part }),
        Value::Text(v) => put_text(out, TEXT, v),
        Value::Choice(v) => put_text(out, CHOICE, v),
        Value::Bool(v) => out.extend_from_slice(&[BOOL, *v as u8]),
        Value::Int(v) => put_int(out, INT, *v),
        Value::Decimal(v) => put_decimal(out, *v),
        Value::Date(v) => put_int(out, DATE, days(*v)),
        Value::Instant(v) => {
            let nanos = v.as_nanosecond();
            out.push(INSTANT);
            out.extend_from_slice(&((nanos as u128) ^ (1 << 127)).to_be_bytes());
        }
        Value::Guid(v) => {
            out.push(GUID);
            out.extend_from_slice(v.as_bytes());
        }
        Value::Reference(to) if !to.key.is_empty() && !to.key.iter().any(|(_, v)| matches!(v, Value::Reference(_))) => {
            put_text(out, REFERENCE, &to.of);
            for (name, value) in &to.key {
                put_text(out, TEXT, name);
                put(out, part, value)?;
            }
            out.push(0);
        }
        other => return Err(KeyError::Kind { part, kind: other.kind() }),
    }
    Ok(())
}

fn put_text(out: &mut Vec<u8>, tag: u8, text: &str) {
    out.push(tag);
    for &byte in text.as_bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(0xFF);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

fn put_int(out: &mut Vec<u8>, tag: u8, value: i64) {
    out.push(tag);
    out.extend_from_slice(&((value as u64) ^ (1 << 63)).to_be_bytes());
}

/// Sign, power of ten of the first digit, digits and a terminator; for a negative number all of it inverted.
fn put_decimal(out: &mut Vec<u8>, value: Decimal) {
    out.push(DECIMAL);
    let value = value.normalize();
    if value.is_zero() {
        out.push(1);
        return;
    }
    let digits = value.mantissa().unsigned_abs().to_string();
    let trimmed = digits.trim_end_matches('0');
    let mut body = vec![(digits.len() as i16 - value.scale() as i16 + 64) as u8];
    body.extend(trimmed.bytes().map(|digit| digit - b'0' + 1));
    body.push(0);
    if value.is_sign_negative() {
        out.push(0);
        out.extend(body.iter().map(|byte| !byte));
    } else {
        out.push(2);
        out.extend_from_slice(&body);
    }
}

fn days(date: Date) -> i64 {
    let epoch = Date::constant(1970, 1, 1);
    i64::from((date - epoch).get_days())
}

fn take(tag: u8, bytes: &[u8]) -> Option<(Value, &[u8])> {
    match tag {
        TEXT | CHOICE => {
            let (text, rest) = take_text(bytes)?;
            Some((if tag == TEXT { Value::Text(text) } else { Value::Choice(text) }, rest))
        }
        BOOL => Some((Value::Bool(*bytes.first()? == 1), &bytes[1..])),
        INT => take_int(bytes).map(|(v, rest)| (Value::Int(v), rest)),
        DECIMAL => take_decimal(bytes),
        DATE => {
            let (days, rest) = take_int(bytes)?;
            let span = jiff::Span::new().try_days(days).ok()?;
            Some((Value::Date(Date::constant(1970, 1, 1).checked_add(span).ok()?), rest))
        }
        INSTANT => {
            let (head, rest) = bytes.split_first_chunk::<16>()?;
            let nanos = (u128::from_be_bytes(*head) ^ (1 << 127)) as i128;
            Some((Value::Instant(jiff::Timestamp::from_nanosecond(nanos).ok()?), rest))
        }
        GUID => {
            let (head, rest) = bytes.split_first_chunk::<16>()?;
            Some((Value::Guid(Uuid::from_bytes(*head)), rest))
        }
        REFERENCE => {
            let (of, mut rest) = take_text(bytes)?;
            let mut key = Vec::new();
            while *rest.first()? != 0 {
                let (name, after) = take_text(rest.strip_prefix(&[TEXT])?)?;
                let (&tag, after) = after.split_first()?;
                // A row is named by values: one named by another row is a path that no key has.
                let (value, after) = (tag != REFERENCE).then(|| take(tag, after))??;
                key.push((name.into(), value));
                rest = after;
            }
            (!key.is_empty()).then(|| (Value::Reference(Box::new(Reference { of: of.into(), key })), &rest[1..]))
        }
        _ => None,
    }
}

fn take_int(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    Some(((u64::from_be_bytes(*head) ^ (1 << 63)) as i64, rest))
}

fn take_text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let mut text = Vec::new();
    let mut at = 0;
    loop {
        match (*bytes.get(at)?, bytes.get(at + 1)) {
            (0, Some(0)) => return Some((String::from_utf8(text).ok()?, &bytes[at + 2..])),
            (0, Some(0xFF)) => {
                text.push(0);
                at += 2;
            }
            (0, _) => return None,
            (byte, _) => {
                text.push(byte);
                at += 1;
            }
        }
    }
}

fn take_decimal(bytes: &[u8]) -> Option<(Value, &[u8])> {
    let (&sign, rest) = bytes.split_first()?;
    if sign == 1 {
        return Some((Value::Decimal(Decimal::ZERO), rest));
    }
    let flip = |byte: u8| if sign == 0 { !byte } else { byte };
    let (&first, digits) = rest.split_first()?;
    let before_point = i32::from(flip(first)) - 64;
    let end = digits.iter().position(|&byte| flip(byte) == 0)?;
    let (mut mantissa, mut scale) = (0i128, end as i32 - before_point);
    for &byte in &digits[..end] {
        mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(flip(byte).checked_sub(1)?))?;
    }
    while scale < 0 {
        mantissa = mantissa.checked_mul(10)?;
        scale += 1;
    }
    let value = Decimal::try_from_i128_with_scale(if sign == 0 { -mantissa } else { mantissa }, scale as u32).ok()?;
    Some((Value::Decimal(value), &digits[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(values: &[Value]) -> Key {
        Key::of(values).unwrap()
    }

    fn to(of: &str, value: &str) -> Value {
        let key = vec![("name".into(), Value::text(value)), ("rank".into(), Value::Int(-1))];
        Value::Reference(Box::new(Reference { of: of.into(), key }))
    }

    #[test]
    fn a_key_comes_back_as_it_went_in() {
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        for parts in [
            vec![Value::text("C-1042")],
            vec![Value::text("a\0b"), Value::Int(-3)],
            vec![Value::text("Zoë"), Value::text("x|y"), Value::Choice("net30".into())],
            vec![
                decimal("-12.5"),
                decimal("0"),
                decimal("0.001"),
                decimal("1000"),
                decimal("79228162514264337593543950335"),
            ],
            vec![Value::Guid(Uuid::from_u128(7)), Value::Bool(true)],
            vec![to("product", "P-1"), to("uom", "EA\0"), Value::Int(1)],
            vec![Value::Date(Date::constant(1969, 12, 31)), Value::Instant("2026-11-23T10:00:00.5Z".parse().unwrap())],
        ] {
            let made = key(&parts);
            assert_eq!(made.parts(), parts);
            assert_eq!(Key::from_bytes(made.as_bytes()).unwrap(), made);
        }
    }

    #[test]
    fn what_a_key_takes_is_known_without_it() {
        let nested = Value::Reference(Box::new(Reference { of: "a".into(), key: vec![("b".into(), to("c", "d"))] }));
        for value in [
            Value::Blank,
            Value::text(""),
            Value::text(" \t"),
            Value::text("x"),
            Value::Choice(String::new()),
            Value::Bool(false),
            Value::Int(0),
            Value::Float(1.0),
            Value::Decimal(Decimal::ONE),
            Value::Date(Date::constant(2026, 1, 1)),
            Value::Guid(Uuid::nil()),
            Value::Bytes(vec![1]),
            to("product", "P-1"),
            nested,
        ] {
            assert_eq!(Key::takes(&value), Key::of([&value]).is_ok(), "{value:?}");
        }
    }

    #[test]
    fn keys_sort_as_their_values_do() {
        let numbers =
            ["-100", "-12.5", "-12.49", "-1", "-0.02", "-0.002", "0", "0.002", "0.02", "1", "1.1", "9", "10", "100.5"];
        let keys: Vec<Key> = numbers.iter().map(|n| key(&[Value::Decimal(n.parse().unwrap())])).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        let texts = ["a", "a\0", "a\0b", "aa", "b"];
        assert!(texts.map(|t| key(&[Value::text(t), Value::Int(0)])).is_sorted());
        assert!([-5, -1, 0, 1, 500].map(|n| key(&[Value::Int(n)])).is_sorted());
    }

    #[test]
    fn a_blank_is_no_key() {
        assert_eq!(Key::of(&[Value::Blank]), Err(KeyError::Blank { part: 0 }));
        assert_eq!(Key::of(&[Value::text("a"), Value::text("  ")]), Err(KeyError::Blank { part: 1 }));
        assert_eq!(Key::of(&[Value::Float(1.5)]), Err(KeyError::Kind { part: 0, kind: "float" }));
    }

    #[test]
    fn the_destination_says_what_is_equal() {
        let rules = KeyRules { ignore_case: true, ignore_trailing_spaces: true, ..KeyRules::default() };
        assert_eq!(key(&["c-7 ".into()]).folded(rules), key(&["C-7".into()]).folded(rules));
        assert_eq!(key(&[to("product", "p-1")]).folded(rules), key(&[to("product", "P-1 ")]).folded(rules));
        let exact = KeyRules::default();
        assert_ne!(key(&["c-7".into()]).folded(exact), key(&["C-7".into()]).folded(exact));
        assert_eq!(key(&["caf\u{e9}".into()]).folded(exact), key(&["cafe\u{301}".into()]).folded(exact));
        assert_ne!(key(&["café".into()]).folded(rules), key(&["cafe".into()]).folded(rules));
        let loose = KeyRules { ignore_accents: true, ..rules };
        assert_eq!(key(&["CAFÉ ".into()]).folded(loose), key(&["cafe".into()]).folded(loose));
        assert_ne!(key(&["мой".into()]).folded(rules), key(&["мои".into()]).folded(rules));
        let kept = KeyRules { as_kept: true, ..loose };
        assert_eq!(key(&["Café".into()]).folded(kept), key(&["café".into()]));
    }

    #[test]
    fn foreign_bytes_are_refused() {
        for bytes in [
            &b""[..],
            b"\x02",
            b"\x01\x10\x00",
            b"\x01\x40abc",
            b"\x01\x40\xFF\xFE\x00\x00",
            b"\x01\x99",
            b"\x01\x50a\0\0\0",
        ] {
            assert_eq!(Key::from_bytes(bytes), Err(KeyError::Bytes), "{bytes:?}");
        }
    }
}
