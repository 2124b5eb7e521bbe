//! What JSON says, as the types that a definition declares.

use jiff::tz::TimeZone;
use record::{Decimal, Row, Schema, Type, Value};
use serde_json::Value as Json;

use crate::sql::moment::{self, Dst, Moment};
use crate::sql::text::tiny;

/// The value at a path; the path as one name comes first. `None` where there is none.
pub(crate) fn at<'j>(json: &'j Json, path: &str) -> Option<&'j Json> {
    json.get(path).or_else(|| path.split('.').try_fold(json, |at, name| at.get(name)))
}

/// The value at a path, or the whole where there is no path.
pub(crate) fn within<'j>(json: &'j Json, path: &str) -> Option<&'j Json> {
    if path.is_empty() { Some(json) } else { at(json, path) }
}

/// As it stands there: a number keeps its digits; dates are texts until somebody knows better.
pub(crate) fn plain(json: &Json) -> Value {
    match json {
        Json::Null => Value::Blank,
        Json::Bool(v) => Value::Bool(*v),
        Json::String(v) => Value::Text(v.clone()),
        Json::Number(v) => number(json).unwrap_or_else(|| Value::Text(v.to_string())),
        other => Value::Text(other.to_string()),
    }
}

/// `12.50`, `1.5e3`. Never rounded: `None` for more than 28 digits.
fn exact(text: &str) -> Option<Decimal> {
    Decimal::from_str_exact(text)
        .ok()
        .or_else(|| Decimal::from_scientific(text).ok().filter(|_| text.contains(['e', 'E'])))
}

/// A number, exactly; a JSON number that is next to nothing is what a program calculated with floats.
fn number(json: &Json) -> Option<Value> {
    match json {
        Json::String(text) => exact(text.trim()).map(Value::Decimal),
        Json::Number(number) => {
            let digits = number.to_string();
            exact(&digits).map(Value::Decimal).or_else(|| tiny(&digits).map(Value::Float))
        }
        _ => None,
    }
}

/// As the type that was declared.
///
/// *Errors*: the end of a sentence that begins with the column's name.
pub(crate) fn value(json: &Json, ty: &Type, zone: Option<&TimeZone>) -> Result<Value, String> {
    if json.is_null() {
        return Ok(Value::Blank);
    }
    let text = || match json {
        Json::String(text) => Some(text.trim().to_owned()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let is_no = |what: &str| format!("is {}, which is no {what}", short(json));
    if matches!(json.as_str(), Some("")) && !matches!(ty, Type::Text { .. } | Type::Multiline { .. } | Type::Unknown) {
        return Ok(Value::Blank);
    }
    match ty {
        Type::WholeNumber => {
            let number = text().and_then(|text| exact(&text)).map(|number| number.normalize());
            let whole = number.filter(|number| number.is_integer()).and_then(|number| i64::try_from(number).ok());
            whole.map(Value::Int).ok_or_else(|| is_no("whole number"))
        }
        Type::Decimal { .. } | Type::Money => number(json).ok_or_else(|| is_no("number of at most 28 digits")),
        Type::Float => text().and_then(|text| text.parse().ok()).map(Value::Float).ok_or_else(|| is_no("number")),
        Type::YesNo => match json {
            Json::Bool(v) => Ok(Value::Bool(*v)),
            _ => match text().as_deref() {
                Some("true" | "True" | "1") => Ok(Value::Bool(true)),
                Some("false" | "False" | "0") => Ok(Value::Bool(false)),
                _ => Err(is_no("yes or no")),
            },
        },
        // A date is never shifted: what stands there counts, whatever zone stands behind it.
        Type::Date => json
            .as_str()
            .and_then(|text| {
                moment::parse_open(text)?;
                text.trim().get(..10)?.parse().ok()
            })
            .map(Value::Date)
            .ok_or_else(|| is_no("date")),
        Type::Time => text().and_then(|text| text.parse().ok()).map(Value::Time).ok_or_else(|| is_no("time")),
        Type::DateTime | Type::LocalDateTime => match (json.as_str().and_then(moment::parse_open), zone) {
            (Some(Moment::Civil(at)), Some(zone)) => {
                moment::in_zone(at, zone, Dst::Reject).map(Value::from).map_err(|why| format!("is {at}; {why}"))
            }
            (Some(at), _) => Ok(at.into()),
            (None, _) => Err(is_no("point in time")),
        },
        Type::Guid => json.as_str().and_then(|text| text.parse().ok()).map(Value::Guid).ok_or_else(|| is_no("GUID")),
        Type::Lines(schema) => match json {
            Json::Array(items) => {
                items.iter().map(|item| row(item, schema, zone)).collect::<Result<_, _>>().map(Value::Rows)
            }
            _ => Err(is_no("list")),
        },
        Type::Text { .. } | Type::Multiline { .. } => Ok(Value::Text(match json {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        })),
        _ => Ok(plain(json)),
    }
}

/// A row with the columns of a schema.
///
/// *Errors*: as [`value`], with the column's name.
pub(crate) fn row(json: &Json, schema: &std::sync::Arc<Schema>, zone: Option<&TimeZone>) -> Result<Row, String> {
    let one = |column: &record::Column| match at(json, &column.name) {
        None => Ok(Value::Blank),
        Some(found) => value(found, &column.ty, zone).map_err(|why| format!("`{}` {why}", column.name)),
    };
    let values = schema.columns().iter().map(one).collect::<Result<Vec<Value>, String>>()?;
    Ok(Row::new(schema.clone(), values))
}

/// Whether two values are one to the other side: numbers by their value, the rest as it is written.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Decimal(number) => Some(*number),
        Value::Int(number) => Some((*number).into()),
        _ => None,
    };
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.to_string() == other.to_string(),
    }
}

/// A value within a sentence: the first characters of it.
fn short(json: &Json) -> String {
    let text = json.to_string();
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_what_apis_write() {
        let london = TimeZone::get("Europe/London").unwrap();
        let read = |json: &str, ty: Type| value(&serde_json::from_str(json).unwrap(), &ty, Some(&london));
        let text = |json: &str, ty: Type| read(json, ty).map_or_else(|why| why, |value| format!("{value:?}"));
        let decimal = || Type::Decimal { scale: None };
        for (json, ty, expected) in [
            ("12", Type::WholeNumber, "Int(12)"),
            ("\"12.0\"", Type::WholeNumber, "Int(12)"),
            ("12.5", Type::WholeNumber, "is 12.5, which is no whole number"),
            ("0.10000000000000000000000001", decimal(), "Decimal(0.10000000000000000000000001)"),
            ("5.551115123125783e-17", decimal(), "Float(5.551115123125783e-17)"),
            ("\"1.5e3\"", decimal(), "Decimal(1500)"),
            ("\"1,5\"", Type::Money, "is \"1,5\", which is no number of at most 28 digits"),
            ("\"\"", Type::Money, "Blank"),
            ("null", Type::Date, "Blank"),
            ("\"2026-11-23T23:30:00-05:00\"", Type::Date, "Date(2026-11-23)"),
            ("\"23.11.2026\"", Type::Date, "is \"23.11.2026\", which is no date"),
            ("\"2026-07-01T12:00:00\"", Type::DateTime, "Instant(2026-07-01T11:00:00Z)"),
            ("\"2026-07-01T12:00:00Z\"", Type::DateTime, "Instant(2026-07-01T12:00:00Z)"),
            ("1", Type::YesNo, "Bool(true)"),
            ("\"x\"", Type::YesNo, "is \"x\", which is no yes or no"),
            ("7", Type::Text { max_length: None }, "Text(\"7\")"),
            ("\"\"", Type::Text { max_length: None }, "Text(\"\")"),
        ] {
            assert_eq!(text(json, ty), expected, "{json}");
        }
        let lines = Type::Lines(Schema::of([("sku", Type::Unknown), ("qty", decimal())]));
        let Ok(Value::Rows(rows)) = read(r#"[{"sku":"A","qty":"1.50"},{"sku":"B"}]"#, lines.clone()) else { panic!() };
        assert_eq!(rows[0].get("qty"), Some(&Value::Decimal("1.50".parse().unwrap())));
        assert_eq!(rows[1].get("qty"), Some(&Value::Blank));
        assert_eq!(text(r#"[{"qty":"many"}]"#, lines), "`qty` is \"many\", which is no number of at most 28 digits");
    }
}
