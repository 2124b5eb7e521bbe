//! Values as the Web API writes and takes them, by the type of the column.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use record::{Decimal, Value};
use serde_json::value::RawValue;

use crate::json;
use crate::table::{Attribute, Kind};

/// Appends the JSON text of a value that is no lookup. What most rows are made of is written without a text of its own.
///
/// *Errors*: as [`write`]; then nothing is appended.
pub(crate) fn append(
    out: &mut String,
    value: &Value,
    column: &Attribute,
    zone: Option<&TimeZone>,
) -> Result<(), String> {
    use std::fmt::Write;
    match (&column.kind, value) {
        (Kind::Text { .. }, Value::Text(text)) if !text.is_empty() => odata::payload::quoted(out, text),
        (Kind::Money { .. } | Kind::Decimal { .. }, Value::Decimal(number)) => {
            let _ = write!(out, "{number}");
        }
        _ => out.push_str(&write(value, column, zone)?),
    }
    Ok(())
}

/// The JSON text of a value that is no lookup.
///
/// *Errors*: one sentence, where the column cannot hold such a value.
pub(crate) fn write(value: &Value, column: &Attribute, zone: Option<&TimeZone>) -> Result<String, String> {
    let cannot =
        || Err(format!("the column `{}` holds {}, and this is {}", column.name, column.ty().word(), value.kind()));
    Ok(match (&column.kind, value) {
        (_, Value::Blank) => "null".to_owned(),
        // The service keeps an empty text as no value.
        (_, Value::Text(text)) if text.is_empty() => "null".to_owned(),
        (Kind::Text { .. } | Kind::Choices { .. }, Value::Text(text) | Value::Choice(text)) => json::quoted(text),
        (Kind::Text { .. }, Value::Guid(id)) => json::quoted(&id.to_string()),
        (Kind::Text { .. }, Value::Int(_) | Value::Decimal(_) | Value::Date(_)) => json::quoted(&value.to_string()),
        (Kind::Integer, Value::Int(number)) => number.to_string(),
        (Kind::Integer, Value::Decimal(number)) if number.fract().is_zero() => number.trunc().normalize().to_string(),
        (Kind::Choice { .. }, Value::Int(number)) => number.to_string(),
        (Kind::Choice { .. }, Value::Text(text) | Value::Choice(text)) => match text.parse::<i32>() {
            Ok(number) => number.to_string(),
            Err(_) => return cannot(),
        },
        (Kind::Choice { .. }, Value::Decimal(number)) if number.fract().is_zero() => {
            number.trunc().normalize().to_string()
        }
        (Kind::Decimal { .. } | Kind::Money { .. } | Kind::Double, Value::Int(number)) => number.to_string(),
        (Kind::Decimal { .. } | Kind::Money { .. } | Kind::Double, Value::Decimal(number)) => number.to_string(),
        (Kind::Double, Value::Float(number)) if number.is_finite() => format!("{number:?}"),
        (Kind::Boolean, Value::Bool(yes)) => yes.to_string(),
        (Kind::Guid, Value::Guid(id)) => json::quoted(&id.to_string()),
        (Kind::Date, Value::Date(date)) => json::quoted(&date.to_string()),
        (Kind::DateTime, Value::Instant(at)) => json::quoted(&whole_seconds(*at)),
        (Kind::DateTime, Value::Date(date)) => json::quoted(&format!("{date}T00:00:00Z")),
        (Kind::DateTime, Value::LocalDateTime(at)) => match zone
            .map(|zone| zone.to_ambiguous_timestamp(*at).unambiguous())
        {
            Some(Ok(at)) => json::quoted(&whole_seconds(at)),
            Some(Err(_)) => {
                return Err(format!("the time for `{}` does not exist, or exists twice, in its zone", column.name));
            }
            None => return Err(format!("the time for `{}` has no zone; give its system a `time_zone`", column.name)),
        },
        // As it is, whatever the zone: the `Z` means nothing here.
        (Kind::LocalDateTime, Value::LocalDateTime(at)) => json::quoted(&civil_seconds(*at)),
        (Kind::LocalDateTime, Value::Instant(at)) => {
            let zone = zone.cloned().unwrap_or(TimeZone::UTC);
            json::quoted(&civil_seconds(zone.to_datetime(*at)))
        }
        (Kind::LocalDateTime, Value::Date(date)) => json::quoted(&format!("{date}T00:00:00Z")),
        _ => return cannot(),
    })
}

fn whole_seconds(at: Timestamp) -> String {
    civil_seconds(TimeZone::UTC.to_datetime(at))
}

/// The service drops fractions of a second.
fn civil_seconds(at: DateTime) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The value in a row that the service gave; a lookup is the id alone.
///
/// *Errors*: one sentence.
pub(crate) fn read(raw: &RawValue, column: &Attribute) -> Result<Value, String> {
    let text = raw.get();
    if text == "null" {
        return Ok(Value::Blank);
    }
    let cannot = || format!("`{}` holds something else than {}", column.name, column.ty().word());
    let string = || json::string(raw).ok_or_else(cannot);
    Ok(match &column.kind {
        Kind::Text { .. } | Kind::Choices { .. } => Value::Text(string()?),
        Kind::Integer => Value::Int(text.parse().map_err(|_| cannot())?),
        // A choice is its number, as text: names belong to the mapping.
        Kind::Choice { .. } => Value::Choice(text.parse::<i32>().map_err(|_| cannot())?.to_string()),
        Kind::Boolean => Value::Bool(text.parse().map_err(|_| cannot())?),
        Kind::Decimal { .. } | Kind::Money { .. } => Value::Decimal(decimal(text).ok_or_else(cannot)?),
        Kind::Double => match decimal(text) {
            Some(number) => Value::Decimal(number),
            None => Value::Float(text.parse().map_err(|_| cannot())?),
        },
        Kind::Lookup { .. } | Kind::Guid => Value::Guid(string()?.parse().map_err(|_| cannot())?),
        Kind::Date => Value::Date(string()?.parse::<Date>().map_err(|_| cannot())?),
        Kind::DateTime => Value::Instant(string()?.parse().map_err(|_| cannot())?),
        Kind::LocalDateTime => {
            let at: Timestamp = string()?.parse().map_err(|_| cannot())?;
            Value::LocalDateTime(TimeZone::UTC.to_datetime(at))
        }
        Kind::Other => match json::string(raw) {
            Some(text) => Value::Text(text),
            None => Value::text(text),
        },
    })
}

fn decimal(text: &str) -> Option<Decimal> {
    Decimal::from_str_exact(text).ok().or_else(|| Decimal::from_scientific(text).ok())
}

/// The literal of a value in a key or a `$filter`, not yet percent-encoded.
pub(crate) fn literal(value: &Value, column: &Attribute) -> Option<String> {
    Some(match (&column.kind, value) {
        (
            Kind::Text { .. },
            Value::Text(_) | Value::Choice(_) | Value::Int(_) | Value::Decimal(_) | Value::Guid(_) | Value::Date(_),
        ) => {
            format!("'{}'", value.to_string().replace('\'', "''"))
        }
        (Kind::Choice { .. }, Value::Text(text) | Value::Choice(text)) => text.parse::<i32>().ok()?.to_string(),
        (Kind::Integer | Kind::Choice { .. } | Kind::Decimal { .. } | Kind::Money { .. }, Value::Int(number)) => {
            number.to_string()
        }
        (Kind::Integer, Value::Decimal(number)) if number.fract().is_zero() => number.trunc().normalize().to_string(),
        (Kind::Integer, Value::Text(text)) => text.trim().parse::<i64>().ok()?.to_string(),
        (Kind::Decimal { .. } | Kind::Money { .. }, Value::Decimal(number)) => number.to_string(),
        (Kind::Boolean, Value::Bool(yes)) => yes.to_string(),
        (Kind::Guid | Kind::Lookup { .. }, Value::Guid(id)) => id.to_string(),
        (Kind::Date, Value::Date(date)) => date.to_string(),
        (Kind::DateTime, Value::Instant(at)) => whole_seconds(*at),
        (Kind::LocalDateTime, Value::LocalDateTime(at)) => civil_seconds(*at),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: Kind) -> Attribute {
        Attribute { name: "x".into(), kind, required: false, create: true, update: true }
    }

    fn text() -> Kind {
        Kind::Text { max_length: None, multiline: false }
    }

    #[test]
    fn a_value_is_written_as_its_column_takes_it() {
        let check = |value: Value, kind: Kind, expected: &str| {
            assert_eq!(write(&value, &column(kind), None).unwrap(), expected);
        };
        check(Value::Decimal("5000.00".parse().unwrap()), Kind::Money { scale: None }, "5000.00");
        check(
            Value::Decimal("79228162514264337593543950335".parse().unwrap()),
            Kind::Decimal { scale: None },
            "79228162514264337593543950335",
        );
        check(Value::text("Zoë \"x\"\n"), text(), "\"Zoë \\\"x\\\"\\n\"");
        check(Value::text(""), text(), "null");
        check(Value::Choice("10".into()), Kind::Choice { values: vec![] }, "10");
        check(Value::Instant("2026-01-31T10:00:00.987Z".parse().unwrap()), Kind::DateTime, "\"2026-01-31T10:00:00Z\"");
        check(Value::Date("2026-01-31".parse().unwrap()), Kind::Date, "\"2026-01-31\"");
        check(
            Value::LocalDateTime("2026-01-31T10:00:00".parse().unwrap()),
            Kind::LocalDateTime,
            "\"2026-01-31T10:00:00Z\"",
        );
        assert!(write(&Value::text("many"), &column(Kind::Money { scale: None }), None).unwrap_err().contains("money"));
        let local = Value::LocalDateTime("2026-03-29T01:30:00".parse().unwrap());
        let london = TimeZone::get("Europe/London").unwrap();
        assert!(write(&local, &column(Kind::DateTime), Some(&london)).unwrap_err().contains("exist"));
    }

    #[test]
    fn a_value_is_read_exactly() {
        let check = |raw: &str, kind: Kind, expected: Value| {
            let raw: Box<RawValue> = serde_json::from_str(raw).unwrap();
            assert_eq!(read(&raw, &column(kind)).unwrap(), expected);
        };
        check("5000.0000", Kind::Money { scale: None }, Value::Decimal("5000.0000".parse().unwrap()));
        check("0.1", Kind::Double, Value::Decimal("0.1".parse().unwrap()));
        check("1e-3", Kind::Double, Value::Decimal("0.001".parse().unwrap()));
        check("null", Kind::Money { scale: None }, Value::Blank);
        check("4", Kind::Choice { values: vec![] }, Value::Choice("4".into()));
        check(
            "\"2026-01-31T10:00:00Z\"",
            Kind::LocalDateTime,
            Value::LocalDateTime("2026-01-31T10:00:00".parse().unwrap()),
        );
        let raw: Box<RawValue> = serde_json::from_str("\"x\"").unwrap();
        assert!(read(&raw, &column(Kind::Money { scale: None })).is_err());
    }
}
