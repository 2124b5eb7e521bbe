//! One column's value between JSON and SQL, judged by the column's type.

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::types::{Value, ValueRef};
use rust_decimal::{Decimal, RoundingStrategy};
use uuid::Uuid;

use super::json;
use super::model::{Behaviour, Column, Kind, Table};
use super::refusal::{self, Answer, Refusal};

/// 1753-01-01T00:00:00Z, the earliest moment that the platform stores.
const EARLIEST: i64 = -6_847_804_800;

/// Reads a value that a client wrote.
///
/// *Errors*: a value of another type; a text too long; a number, date or choice out of range.
pub fn from_json(table: &Table, column: &Column, raw: &str) -> Answer<Value> {
    if raw == "null" {
        return Ok(Value::Null);
    }
    let mismatch = || wrong_type(table, column, raw);
    match &column.kind {
        Kind::Text { max_length, .. } | Kind::Memo { max_length } => {
            let text = json::text(raw).ok_or_else(mismatch)?;
            // Length is counted as the platform counts it, in UTF-16 units.
            if text.len() > *max_length && text.encode_utf16().count() > *max_length {
                let message = format!(
                    "A validation error occurred.  The length of the '{}' attribute of the '{}' entity exceeded the \
                     maximum allowed length of '{max_length}'.",
                    column.name, table.name
                );
                return Err(Refusal::new(400, refusal::STRING_TOO_LONG, message));
            }
            // The platform does not tell an empty text from none.
            Ok(if text.is_empty() { Value::Null } else { Value::Text(text) })
        }
        Kind::Boolean { .. } => match raw {
            "true" => Ok(Value::Integer(1)),
            "false" => Ok(Value::Integer(0)),
            _ => Err(mismatch()),
        },
        Kind::Integer { min, max } => {
            let number: i32 = raw.parse().map_err(|_| mismatch())?;
            if number < *min || number > *max {
                return Err(out_of_range(table, column, refusal::INTEGER_OUT_OF_RANGE));
            }
            Ok(Value::Integer(number.into()))
        }
        Kind::BigInt => raw.parse().map(Value::Integer).map_err(|_| mismatch()),
        Kind::Double { .. } => raw.parse().map(Value::Real).map_err(|_| mismatch()),
        Kind::Decimal { precision, min, max } | Kind::Money { precision, min, max, .. } => {
            let number = decimal(raw).ok_or_else(mismatch)?;
            let bound = |text: &str| Decimal::from_str_exact(text).unwrap_or_default();
            if number < bound(min) || number > bound(max) {
                return Err(out_of_range(table, column, refusal::NUMBER_OUT_OF_RANGE));
            }
            // Where another precision counts, it is known once the row's currency is.
            let places = if matches!(column.kind, Kind::Money { source: 1.., .. }) { 4 } else { *precision };
            let rounded = number.round_dp_with_strategy(places, RoundingStrategy::MidpointNearestEven);
            scaled(rounded, column.kind.scale().unwrap_or(0))
                .map(Value::Integer)
                .ok_or_else(|| out_of_range(table, column, refusal::NUMBER_OUT_OF_RANGE))
        }
        Kind::Choice { options } | Kind::State { options } | Kind::Status { options } => {
            let number: i32 = raw.parse().map_err(|_| mismatch())?;
            if !options.iter().any(|choice| choice.value == number) {
                return Err(not_a_choice(table, column, number, options));
            }
            Ok(Value::Integer(number.into()))
        }
        Kind::Choices { options } => {
            let text = json::text(raw).ok_or_else(mismatch)?;
            let mut values = Vec::new();
            for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
                let number: i32 = part.parse().map_err(|_| mismatch())?;
                if !options.iter().any(|choice| choice.value == number) {
                    return Err(not_a_choice(table, column, number, options));
                }
                values.push(number);
            }
            values.sort_unstable();
            values.dedup();
            let joined: Vec<String> = values.iter().map(i32::to_string).collect();
            Ok(if joined.is_empty() { Value::Null } else { Value::Text(joined.join(",")) })
        }
        Kind::Uniqueidentifier | Kind::Lookup { .. } => {
            let text = json::text(raw).ok_or_else(mismatch)?;
            let id = Uuid::try_parse(text.trim()).map_err(|_| mismatch())?;
            Ok(Value::Blob(id.as_bytes().to_vec()))
        }
        Kind::DateTime { behaviour: Behaviour::DateOnly, .. } => {
            let text = json::text(raw).ok_or_else(mismatch)?;
            let date: Date = text.parse().map_err(|_| mismatch())?;
            if date.year() < 1753 {
                return Err(too_early(&format!("{date}")));
            }
            Ok(Value::Text(date.to_string()))
        }
        Kind::DateTime { .. } => {
            let text = json::text(raw).ok_or_else(mismatch)?;
            let seconds = instant(&text).ok_or_else(mismatch)?;
            if seconds < EARLIEST {
                return Err(too_early(&text));
            }
            Ok(Value::Integer(seconds))
        }
    }
}

/// Seconds since the epoch; the platform does not give back fractions. A bare date is its midnight, and a time
/// without a zone is taken as UTC.
pub fn instant(text: &str) -> Option<i64> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.as_second());
    }
    let civil = match text.parse::<jiff::civil::DateTime>() {
        Ok(civil) => civil,
        Err(_) => text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight()),
    };
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second())
}

/// Seconds since the epoch as the platform writes an instant.
pub fn instant_text(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// An exact number from JSON text, also with an exponent.
pub fn decimal(raw: &str) -> Option<Decimal> {
    Decimal::from_str_exact(raw).or_else(|_| Decimal::from_scientific(raw)).ok()
}

/// The integer that stores `number` with `places` decimal places; nothing if it does not fit or is not exact.
pub fn scaled(number: Decimal, places: u32) -> Option<i64> {
    let mut number = number.normalize();
    if number.scale() > places {
        return None;
    }
    let mantissa = number.mantissa();
    let missing = places - number.scale();
    number.set_scale(0).ok()?;
    i64::try_from(mantissa.checked_mul(10_i128.checked_pow(missing)?)?).ok()
}

/// Appends a stored exact number as JSON, with all its places.
pub fn write_scaled(out: &mut String, stored: i64, places: u32) {
    use std::fmt::Write;
    let decimal = Decimal::from_i128_with_scale(stored.into(), places);
    let _ = write!(out, "{decimal}");
}

/// Appends a stored value as JSON.
pub fn write_json(out: &mut String, kind: &Kind, stored: ValueRef) {
    use std::fmt::Write;
    match (kind, stored) {
        (_, ValueRef::Null) => out.push_str("null"),
        (Kind::Boolean { .. }, ValueRef::Integer(flag)) => out.push_str(if flag != 0 { "true" } else { "false" }),
        (Kind::DateTime { .. }, ValueRef::Integer(seconds)) => {
            let _ = write!(out, "\"{}\"", instant_text(seconds));
        }
        (kind, ValueRef::Integer(number)) => match kind.scale() {
            Some(places) => write_scaled(out, number, places),
            None => {
                let _ = write!(out, "{number}");
            }
        },
        (_, ValueRef::Real(number)) => {
            let _ = write!(out, "{number:?}");
        }
        (_, ValueRef::Text(text)) => odata::payload::quoted(out, &String::from_utf8_lossy(text)),
        (_, ValueRef::Blob(bytes)) => {
            let id = Uuid::from_slice(bytes).unwrap_or_default();
            let _ = write!(out, "\"{id}\"");
        }
    }
}

/// The text that a person would see, for the `FormattedValue` annotation; not for lookups, whose text is a name.
pub fn formatted(kind: &Kind, stored: ValueRef) -> Option<String> {
    Some(match (kind, stored) {
        (Kind::Boolean { labels }, ValueRef::Integer(flag)) => labels[usize::from(flag != 0)].clone(),
        (Kind::Choices { .. }, ValueRef::Text(text)) => {
            let values = String::from_utf8_lossy(text).into_owned();
            let label = |value: &str| label_of(kind, value.parse().ok()?);
            values.split(',').filter_map(label).collect::<Vec<_>>().join("; ")
        }
        (Kind::Money { precision, .. }, ValueRef::Integer(number)) => {
            let amount = Decimal::from_i128_with_scale(number.into(), 4).round_dp(*precision);
            format!("{}\u{a3}{}", if number < 0 { "-" } else { "" }, grouped(amount.abs(), *precision))
        }
        (Kind::Decimal { precision, .. }, ValueRef::Integer(number)) => {
            let sign = if number < 0 { "-" } else { "" };
            format!("{sign}{}", grouped(Decimal::from_i128_with_scale(number.into(), *precision).abs(), *precision))
        }
        (Kind::Integer { .. } | Kind::BigInt, ValueRef::Integer(number)) => {
            format!("{}{}", if number < 0 { "-" } else { "" }, grouped(Decimal::from(number).abs(), 0))
        }
        (Kind::DateTime { date_format, .. }, ValueRef::Integer(seconds)) => {
            let moment = Timestamp::from_second(seconds).ok()?;
            moment.strftime(if *date_format { "%d/%m/%Y" } else { "%d/%m/%Y %H:%M" }).to_string()
        }
        (Kind::DateTime { .. }, ValueRef::Text(text)) => {
            let date: Date = std::str::from_utf8(text).ok()?.parse().ok()?;
            date.strftime("%d/%m/%Y").to_string()
        }
        (kind, ValueRef::Integer(number)) => label_of(kind, i32::try_from(number).ok()?)?,
        _ => return None,
    })
}

fn label_of(kind: &Kind, value: i32) -> Option<String> {
    kind.choices()?.iter().find(|choice| choice.value == value).map(|choice| choice.label.clone())
}

fn grouped(number: Decimal, places: u32) -> String {
    let text = format!("{number:.*}", usize::try_from(places).unwrap_or(0));
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if fraction.is_empty() { out } else { format!("{out}.{fraction}") }
}

fn wrong_type(table: &Table, column: &Column, raw: &str) -> Refusal {
    let shown: String = raw.trim_matches('"').chars().take(100).collect();
    Refusal::payload(
        &table.set,
        format!("Cannot convert the literal '{shown}' to the expected type '{}'.", column.kind.edm()),
    )
}

fn out_of_range(table: &Table, column: &Column, code: &'static str) -> Refusal {
    let message = format!(
        "A validation error occurred.  The value of '{}' on record of type '{}' is outside the valid range.",
        column.name, table.name
    );
    Refusal::new(400, code, message)
}

fn not_a_choice(table: &Table, column: &Column, value: i32, options: &[super::model::Choice]) -> Refusal {
    let accepted: Vec<String> = options.iter().map(|choice| choice.value.to_string()).collect();
    let message = format!(
        "A validation error occurred. The value {value} of '{}' on record of type '{}' is outside the valid range. \
         Accepted Values: {}",
        column.name,
        table.name,
        accepted.join(",")
    );
    Refusal::new(400, refusal::CHOICE_OUT_OF_RANGE, message)
}

fn too_early(shown: &str) -> Refusal {
    let message = format!(
        "DateTime is less than minumum value supported by CrmDateTime. Actual value: {shown}, Minimum value supported: \
         01/01/1753 00:00:00"
    );
    Refusal::new(400, refusal::INVALID_DATE, message)
}
