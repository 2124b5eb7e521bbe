//! Cells of a case's file, and cells of a system: one into the other.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use record::{Decimal, Row, Schema, Type, Value};
use serde_json::{Map, Value as Json};

/// What a cell of a file means in a column of this type. What does not fit the type stays as it is written: whoever reads
/// the column finds it wrong, as with a real system.
///
/// `zone` is the zone of times that come without one.
pub fn value(json: &Json, ty: &Type, zone: &TimeZone) -> Value {
    let text = match json {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        _ => return plain(json),
    };
    let typed = match ty {
        Type::Text { .. } | Type::Multiline { .. } | Type::Choices { .. } | Type::Person => Some(Value::Text(text)),
        Type::Choice { .. } => Some(Value::Choice(text)),
        Type::WholeNumber => text.parse().ok().map(Value::Int),
        Type::Decimal { .. } | Type::Money | Type::Float => number(&text).map(Value::Decimal),
        Type::Date => text.parse().ok().map(Value::Date),
        Type::Time => text.parse().ok().map(Value::Time),
        Type::DateTime => moment(&text, zone).map(Value::Instant),
        Type::LocalDateTime => text.parse().ok().map(Value::LocalDateTime),
        Type::Guid => text.parse().ok().map(Value::Guid),
        _ => None,
    };
    typed.unwrap_or_else(|| plain(json))
}

/// A point in time, also one that is written without a zone. `None` where it is none, or exists twice.
pub fn moment(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let local = || zone.to_ambiguous_timestamp(text.parse::<DateTime>().ok()?).unambiguous().ok();
    text.parse().ok().or_else(local)
}

fn number(text: &str) -> Option<Decimal> {
    Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()
}

fn plain(json: &Json) -> Value {
    match json {
        Json::Null => Value::Blank,
        Json::Bool(yes) => Value::Bool(*yes),
        Json::Number(digits) => match digits.as_i64() {
            Some(whole) => Value::Int(whole),
            None => number(&digits.to_string()).map_or_else(|| Value::Text(digits.to_string()), Value::Decimal),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) if items.iter().all(Json::is_object) => Value::Rows(items.iter().map(child).collect()),
        other => Value::Text(other.to_string()),
    }
}

fn child(row: &Json) -> Row {
    let cells = cells(row);
    let schema = Schema::of(cells.iter().map(|(name, _)| (name.as_str(), Type::Unknown)));
    Row::new(schema, cells.iter().map(|(_, json)| plain(json)).collect())
}

/// The cells of a row; a group within it becomes paths: `{ a: { b: 1 } }` is `a.b`.
pub fn cells(row: &Json) -> Vec<(String, Json)> {
    let mut found = Vec::new();
    for (name, json) in row.as_object().into_iter().flatten() {
        match json {
            Json::Object(_) => {
                found.extend(cells(json).into_iter().map(|(path, json)| (format!("{name}.{path}"), json)))
            }
            other => found.push((name.clone(), other.clone())),
        }
    }
    found
}

/// A cell as a case's file would write it: a choice by its number, a lookup by the key of the row that it points to.
pub fn json(value: &Value) -> Json {
    match value {
        Value::Blank => Json::Null,
        Value::Bool(yes) => Json::Bool(*yes),
        Value::Int(whole) => Json::from(*whole),
        Value::Decimal(number) => definition::exact_number(&number.normalize().to_string()),
        Value::Float(number) => Json::from(*number),
        Value::Choice(name) => name.parse::<i64>().map_or_else(|_| Json::from(name.as_str()), Json::from),
        Value::Reference(reference) => match reference.key.as_slice() {
            [(_, key)] => json(key),
            parts => parts.iter().map(|(_, part)| part.to_string()).collect::<Vec<_>>().join("|").into(),
        },
        Value::Rows(rows) => Json::Array(rows.iter().map(|row| object(row.iter())).collect()),
        other => Json::from(other.to_string()),
    }
}

pub fn object<'a>(cells: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Json {
    Json::Object(cells.into_iter().map(|(name, value)| (name.to_owned(), json(value))).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(written: Json, ty: Type, expected: Json) {
        let zone = TimeZone::get("Europe/London").unwrap();
        assert_eq!(json(&value(&written, &ty, &zone)), expected);
    }

    #[test]
    fn a_cell_is_what_its_column_makes_of_it() {
        check(json!("5000.00"), Type::Money, json!(5000));
        let many_digits = "12345678901234567890.12";
        check(json!(many_digits), Type::Money, serde_json::from_str(many_digits).unwrap());
        check(json!(1), Type::Choice { values: [].into() }, json!(1));
        check(json!(1001), Type::Text { max_length: None }, json!("1001"));
        check(json!("2026-07-01T12:00"), Type::DateTime, json!("2026-07-01T11:00:00Z"));
        check(json!("soon"), Type::Date, json!("soon"));
        check(json!(null), Type::Money, json!(null));
        check(json!([{ "a": 1 }]), Type::Unknown, json!([{ "a": 1 }]));
        assert_eq!(cells(&json!({ "a": { "b": 1 }, "c": 2 })), [("a.b".into(), json!(1)), ("c".into(), json!(2))]);
    }
}
