//! `$skiptoken`: a place in an order, as text that means nothing to anybody else.

use record::hash::RowHasher;
use record::{Value, ValueRef};
use serde_json::{Value as Json, json};
use virtual_tables::Position;

/// `question` tells what the place is one of. *Shape*: letters and digits alone.
pub(super) fn write(position: &Position, question: &str) -> String {
    let json = match position {
        Position::Rows(rows) => json!(rows),
        Position::Values(values) => Json::Array(values.iter().map(value).collect()),
    };
    let place = json.to_string();
    hex(mark(question).into_iter().chain(place.bytes()))
}

fn hex(bytes: impl Iterator<Item = u8>) -> String {
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

fn of_hex(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// The question in four bytes.
fn mark(question: &str) -> [u8; 4] {
    (RowHasher::default().hash([ValueRef::Text(question)]) as u32).to_be_bytes()
}

/// Nothing for what is none of ours, or a place of another question.
pub(super) fn read(text: &str, question: &str) -> Option<Position> {
    if text.len() % 2 == 1 || text.len() > 32_768 || !text.is_ascii() {
        return None;
    }
    match serde_json::from_slice(of_hex(text)?.strip_prefix(&mark(question))?).ok()? {
        Json::Array(values) => Some(Position::Values(values.iter().map(read_value).collect::<Option<_>>()?)),
        Json::Number(rows) => Some(Position::Rows(rows.as_u64()?)),
        _ => None,
    }
}

fn value(value: &Value) -> Json {
    let (tag, text) = match value {
        Value::Blank => return Json::Null,
        Value::Bool(yes) => return json!(yes),
        Value::Int(number) => return json!(number),
        Value::Decimal(number) => ("d", number.to_string()),
        Value::Float(number) => ("f", number.to_string()),
        Value::Date(date) => ("a", date.to_string()),
        Value::Time(time) => ("m", time.to_string()),
        Value::Instant(at) => ("i", at.to_string()),
        Value::LocalDateTime(at) => ("l", at.to_string()),
        Value::Guid(guid) => ("g", guid.to_string()),
        Value::Bytes(bytes) => ("b", hex(bytes.iter().copied())),
        other => ("t", other.to_string()),
    };
    json!(format!("{tag}{text}"))
}

fn read_value(json: &Json) -> Option<Value> {
    let text = match json {
        Json::Null => return Some(Value::Blank),
        Json::Bool(yes) => return Some(Value::Bool(*yes)),
        Json::Number(number) => return number.as_i64().map(Value::Int),
        Json::String(text) => text,
        _ => return None,
    };
    let (tag, text) = text.split_at_checked(1)?;
    Some(match tag {
        "d" => Value::Decimal(text.parse().ok()?),
        "f" => Value::Float(text.parse().ok()?),
        "a" => Value::Date(text.parse().ok()?),
        "m" => Value::Time(text.parse().ok()?),
        "i" => Value::Instant(text.parse().ok()?),
        "l" => Value::LocalDateTime(text.parse().ok()?),
        "g" => Value::Guid(text.parse().ok()?),
        "b" => Value::Bytes(of_hex(text)?),
        "t" => Value::text(text),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_as_it_was() {
        let values = vec![
            Value::text("Köln'; --"),
            Value::Blank,
            Value::Decimal("12345678901234567890.12".parse().unwrap()),
            Value::Int(-7),
            Value::Bytes(vec![0, 255]),
            Value::Instant("2026-11-23T10:00:00.1234567Z".parse().unwrap()),
            Value::LocalDateTime("9999-12-31T23:59:59".parse().unwrap()),
        ];
        for position in [Position::Values(values), Position::Rows(4_000)] {
            let token = write(&position, "by name");
            assert_eq!(read(&token, "by price"), None);
            assert_eq!(read(&token, "by name"), Some(position));
        }
        let whole = write(&Position::Rows(4_000), "");
        for foreign in ["", "x", "zz", "5", "ff", "7b7d", "226122", "ü", "5b5b5d5d", &whole[..8], &whole[8..]] {
            assert_eq!(read(foreign, ""), None, "{foreign}");
        }
    }
}
