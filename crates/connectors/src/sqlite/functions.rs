//! The functions that SQLite is taught for a user's question.
//!
//! SQLite's own `lower` knows ASCII alone, `LIKE` ignores case, `%` cuts its operands to whole numbers, and it has no
//! dates. Each function here is that of the hub.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use record::query::Function;
use record::{Decimal, Type, Value};
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value as Sql;

use super::query::cell;
use super::value;
use crate::sql::text::Times;

pub(super) fn teach(connection: &Connection, times: Times) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    for function in Function::ALL {
        let name = format!("ib_{}", function.name());
        connection.create_scalar_function(name.as_str(), -1, flags, move |context| Ok(apply(*function, context)))?;
    }
    for (name, ty) in [
        ("ib_as_instant", Type::DateTime),
        ("ib_as_date", Type::Date),
        ("ib_as_guid", Type::Guid),
        ("ib_as_yes_no", Type::YesNo),
        ("ib_as_number", Type::Decimal { scale: None }),
    ] {
        let times = times.clone();
        connection.create_scalar_function(name, 1, flags, move |context| {
            // What cannot be read is no value: the row itself says so when it is returned.
            let value = value::read(context.get_raw(0), &ty, &times).unwrap_or_default();
            Ok(out(value))
        })?;
    }
    // Of a column with so many places.
    connection.create_scalar_function("ib_as_number", 2, flags, move |context| {
        let ty = Type::Decimal { scale: context.get(1)? };
        Ok(out(value::read(context.get_raw(0), &ty, &times).unwrap_or_default()))
    })?;
    Ok(())
}

fn apply(function: Function, context: &Context<'_>) -> Sql {
    let dated = matches!(
        function,
        Function::Year
            | Function::Month
            | Function::Day
            | Function::Hour
            | Function::Minute
            | Function::Second
            | Function::FractionalSeconds
            | Function::Date
            | Function::Time
    );
    let arguments: Vec<Value> = (0..context.len())
        .map(|at| match cell(context.get_raw(at)) {
            Value::Text(text) if dated => moment(&text),
            value => value,
        })
        .collect();
    out(function.apply(&arguments))
}

/// A date, a time or a moment, as [`out`] wrote it.
fn moment(text: &str) -> Value {
    if text.contains('T') {
        return text.parse().map(Value::Instant).unwrap_or_default();
    }
    if text.contains(':') {
        return text.parse().map(Value::Time).unwrap_or_default();
    }
    text.parse().map(Value::Date).unwrap_or_default()
}

fn out(value: Value) -> Sql {
    match value {
        Value::Blank => Sql::Null,
        Value::Bool(yes) => Sql::Integer(i64::from(yes)),
        Value::Int(number) => Sql::Integer(number),
        Value::Decimal(_) | Value::Float(_) => number(&value),
        Value::Instant(at) => Sql::Text(instant_text(at)),
        Value::Text(text) => Sql::Text(text),
        other => Sql::Text(other.to_string()),
    }
}

/// A moment as a text that sorts as the moments do, from year 0 on.
pub(super) fn instant_text(at: Timestamp) -> String {
    let civil = TimeZone::UTC.to_datetime(at);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z",
        civil.year(),
        civil.month(),
        civil.day(),
        civil.hour(),
        civil.minute(),
        civil.second(),
        civil.subsec_nanosecond()
    )
}

/// A number as SQLite keeps numbers: whole, or the float that is nearest to it.
pub(super) fn number(value: &Value) -> Sql {
    match value {
        Value::Decimal(number) => {
            let normal = number.normalize();
            match i64::try_from(normal) {
                Ok(whole) if normal.is_integer() => Sql::Integer(whole),
                _ => normal.to_string().parse().map_or(Sql::Null, Sql::Real),
            }
        }
        Value::Float(number) => Sql::Real(*number),
        _ => Sql::Null,
    }
}

/// A float as the number that somebody wrote.
pub(super) fn exact(number: f64) -> Value {
    match Decimal::from_str_exact(&format!("{number}")) {
        Ok(exact) => Value::Decimal(exact),
        Err(_) => Value::Float(number),
    }
}
