//! Values of one type as another, and values compared.

use crate::error::ErrorKind;
use crate::eval::Env;
use crate::json::Json;
use crate::number;
use crate::types::{Fields, Type};
use crate::value::{Moment, Record, Value};
use crate::{dateparse, format};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use std::cmp::Ordering;
use std::sync::Arc;

/// The value as the wanted type. A blank stays blank, an error stays the error.
pub(crate) fn coerce<'a>(env: &mut Env<'a>, value: Value<'a>, to: &Type) -> Value<'a> {
    match (&value, to) {
        (Value::Blank | Value::Error(_), _) => value,
        (Value::Untyped(json), Type::Untyped | Type::Unknown) if !matches!(**json, Json::Null) => value,
        (Value::Untyped(json), to) if !matches!(to, Type::Untyped | Type::Unknown) => untyped(env, json, to),
        (_, Type::Text) => text(env, value),
        (_, Type::Number) => to_number(&value),
        (_, Type::Float) => to_float(&value),
        (_, Type::Boolean) => to_boolean(&value),
        (_, Type::Date | Type::Time | Type::DateTime) => to_moment(&value, to, &env.context.zone),
        (_, Type::Guid) => to_guid(&value),
        (_, Type::Choice(set)) => coerce(env, value, &set.backing()),
        (Value::Record(record), Type::Record(fields)) => {
            let record = record.clone();
            conform(env, &record, fields)
        }
        (Value::Table(table), Type::Table(fields)) => {
            let table = table.clone();
            if let Err(error) = env.table_room(table.rows.len()) {
                return error;
            }
            let mut rows = Vec::with_capacity(table.rows.len());
            for row in &table.rows {
                rows.push(match row {
                    Value::Record(record) => conform(env, record, fields),
                    other => other.clone(),
                });
            }
            Value::table(rows)
        }
        _ => value,
    }
}

/// The record with exactly these fields: missing ones blank, the others coerced.
fn conform<'a>(env: &mut Env<'a>, record: &Record<'a>, fields: &Fields) -> Value<'a> {
    if record.names.len() == fields.len() && record.names.iter().zip(fields.iter()).all(|(a, (b, _))| a == b) {
        let values = record.values.iter().zip(fields.iter()).map(|(v, (_, ty))| coerce(env, v.clone(), ty).shared());
        return Value::Record(Arc::new(Record { names: record.names.clone(), values: values.collect() }));
    }
    let mut names = Vec::with_capacity(fields.len());
    let mut values = Vec::with_capacity(fields.len());
    for (name, ty) in fields.iter() {
        let value = record.get(name).cloned().unwrap_or_default();
        names.push(name.clone());
        values.push(coerce(env, value, ty).shared());
    }
    Value::Record(Arc::new(Record { names: names.into(), values }))
}

fn cannot<'a>(value: &Value<'_>, to: &str) -> Value<'a> {
    let what = match value {
        Value::Text(t) => format!("the text \"{}\"", t.chars().take(40).collect::<String>()),
        Value::Number(n) => format!("the number {n}"),
        Value::Float(f) => format!("the number {f}"),
        Value::Boolean(b) => format!("{b}"),
        Value::Record(_) => "a record".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        Value::Untyped(_) => "this JSON value".to_owned(),
        _ => "this value".to_owned(),
    };
    Value::invalid(format!("{what} is not {to}"))
}

fn text<'a>(env: &mut Env<'a>, value: Value<'a>) -> Value<'a> {
    let mut out = String::new();
    match &value {
        Value::Text(_) => return value,
        Value::Boolean(b) => return Value::text(if *b { "true" } else { "false" }),
        Value::Number(n) => number::write_decimal(&mut out, *n),
        Value::Float(f) => number::write_float(&mut out, *f),
        Value::Guid(g) => out.push_str(&g.to_string()),
        Value::Date(m) => format::write_date(&mut out, *m, "m/d/yyyy"),
        Value::Time(m) => format::write_date(&mut out, *m, "h:mm AM/PM"),
        Value::DateTime(m) => format::write_date(&mut out, *m, "m/d/yyyy h:mm AM/PM"),
        _ => return cannot(&value, "a text"),
    }
    env.text(out)
}

pub(crate) fn to_number<'a>(value: &Value<'a>) -> Value<'a> {
    let n = match value {
        Value::Number(n) => Some(*n),
        Value::Float(f) => number::from_float(*f),
        Value::Boolean(b) => Some(Decimal::from(u8::from(*b))),
        Value::Blank => return Value::Blank,
        Value::Text(t) if t.is_empty() => return Value::Blank,
        Value::Text(t) => number::parse(t, number::ENGLISH).and_then(|p| p.decimal()),
        Value::Date(m) | Value::Time(m) | Value::DateTime(m) => number::from_float(m.serial()),
        _ => None,
    };
    n.map_or_else(|| cannot(value, "a number"), Value::Number)
}

pub(crate) fn to_float<'a>(value: &Value<'a>) -> Value<'a> {
    let f = match value {
        Value::Float(f) => Some(*f),
        Value::Number(n) => Some(number::to_float(*n)),
        Value::Boolean(b) => Some(f64::from(u8::from(*b))),
        Value::Blank => return Value::Blank,
        Value::Text(t) if t.is_empty() => return Value::Blank,
        Value::Text(t) => number::parse(t, number::ENGLISH).and_then(|p| p.float()),
        Value::Date(m) | Value::Time(m) | Value::DateTime(m) => Some(m.serial()),
        _ => None,
    };
    f.map_or_else(|| cannot(value, "a number"), Value::Float)
}

pub(crate) fn to_boolean<'a>(value: &Value<'a>) -> Value<'a> {
    match value {
        Value::Boolean(b) => Value::Boolean(*b),
        Value::Number(n) => Value::Boolean(!n.is_zero()),
        Value::Float(f) => Value::Boolean(*f != 0.0),
        Value::Blank => Value::Blank,
        Value::Text(t) if t.is_empty() => Value::Blank,
        Value::Text(t) if t.eq_ignore_ascii_case("true") => Value::Boolean(true),
        Value::Text(t) if t.eq_ignore_ascii_case("false") => Value::Boolean(false),
        _ => cannot(value, "true or false"),
    }
}

fn to_moment<'a>(value: &Value<'a>, to: &Type, zone: &TimeZone) -> Value<'a> {
    let moment = match value {
        Value::Date(m) | Value::DateTime(m) | Value::Time(m) => Some(*m),
        Value::Number(n) => Moment::from_serial(number::to_float(*n)),
        Value::Float(f) => Moment::from_serial(*f),
        Value::Blank => return Value::Blank,
        Value::Text(t) if t.is_empty() => return Value::Blank,
        Value::Text(t) if *to == Type::Time => dateparse::time(t, zone),
        Value::Text(t) => dateparse::date_time(t).and_then(|read| read.on(zone)),
        _ => None,
    };
    let Some(moment) = moment else { return cannot(value, "a date or a time") };
    match to {
        Type::Time => Value::Time(moment),
        _ if moment.in_range().is_none() => Value::invalid("the date is not between the years 1 and 9999"),
        Type::Date => Value::Date(moment),
        _ => Value::DateTime(moment),
    }
}

pub(crate) fn to_guid<'a>(value: &Value<'a>) -> Value<'a> {
    match value {
        Value::Guid(g) => Value::Guid(*g),
        Value::Blank => Value::Blank,
        Value::Text(t) if t.is_empty() => Value::Blank,
        Value::Text(t) => uuid::Uuid::parse_str(t.trim()).map_or_else(|_| cannot(value, "a GUID"), Value::Guid),
        _ => cannot(value, "a GUID"),
    }
}

/// JSON as a value of a type. Dates in JSON are written as ISO 8601 has them, and as nothing else.
pub(crate) fn untyped<'a>(env: &mut Env<'a>, json: &Json, to: &Type) -> Value<'a> {
    let wrong = |to: &Type| Value::invalid(format!("this JSON value is not a {to}"));
    let zone = &env.context.zone;
    let on_clock = |t: &str| dateparse::iso(t).and_then(|read| read.on(zone));
    match (json, to) {
        (Json::Null, _) => Value::Blank,
        (Json::Text(t), Type::Text) => env.text(t.to_string()),
        (Json::Number(n), Type::Text) => env.text(n.to_string()),
        (Json::Bool(b), Type::Text) => Value::text(if *b { "true" } else { "false" }),
        (Json::Text(t), Type::Number | Type::Float | Type::Boolean | Type::Guid) => {
            let t = Value::owned(t.to_string());
            coerce(env, t, to)
        }
        (Json::Number(n), Type::Number) => number::parse(n, number::ENGLISH)
            .and_then(|p| p.decimal())
            .map_or_else(|| Value::invalid(format!("the JSON number {n} is too large")), Value::Number),
        (Json::Number(n), Type::Float) => match n.parse::<f64>() {
            Ok(f) if f.is_finite() => Value::Float(f),
            _ => Value::invalid(format!("the JSON number {n} is too large")),
        },
        (Json::Number(_), Type::Boolean) => {
            let n = untyped(env, json, &Type::Float);
            coerce(env, n, to)
        }
        (Json::Bool(b), Type::Boolean) => Value::Boolean(*b),
        (Json::Bool(b), Type::Number) => Value::number(u8::from(*b)),
        (Json::Bool(b), Type::Float) => Value::Float(f64::from(u8::from(*b))),
        (Json::Text(t), Type::Date) => {
            on_clock(t).and_then(|m| Moment::from_days(m.days())).map_or_else(|| wrong(to), Value::Date)
        }
        (Json::Text(t), Type::DateTime) => on_clock(t).map_or_else(|| wrong(to), Value::DateTime),
        (Json::Text(t), Type::Time) => dateparse::iso_time(t).map_or_else(|| wrong(to), Value::Time),
        (Json::Array(_) | Json::Object(_), Type::Untyped | Type::Unknown) => Value::Untyped(Arc::new(json.clone())),
        _ => wrong(to),
    }
}

/// Days since day zero, for a value that is compared with one.
fn days(value: &Value<'_>) -> Option<Decimal> {
    match value {
        Value::Date(m) | Value::DateTime(m) | Value::Time(m) => number::from_float(m.serial()),
        Value::Number(n) => Some(*n),
        Value::Boolean(b) => Some(Decimal::from(u8::from(*b))),
        _ => None,
    }
}

/// `=`: blank equals blank only; numbers equal dates by their day number; other kinds must be the same.
pub(crate) fn equal(l: &Value<'_>, r: &Value<'_>, zone: &TimeZone) -> bool {
    use Value::*;
    match (l, r) {
        (Text(a), Text(b)) => **a == **b,
        (Blank, other) | (other, Blank) => other.is_blank(),
        (Float(a), other) | (other, Float(a)) => matches!(to_float(other), Float(b) if *a == b),
        (Number(_), Date(_) | DateTime(_) | Time(_)) | (Date(_) | DateTime(_) | Time(_), Number(_)) => {
            days(l) == days(r)
        }
        // A column of unknown type may hold the text of what it is compared with.
        (Text(_), Number(_)) => is_read_as(to_number(l), r),
        (Number(_), Text(_)) => is_read_as(to_number(r), l),
        (Text(_), Boolean(_)) => is_read_as(to_boolean(l), r),
        (Boolean(_), Text(_)) => is_read_as(to_boolean(r), l),
        (Text(_), Date(_) | DateTime(_)) => is_read_as(to_moment(l, &Type::DateTime, zone), r),
        (Date(_) | DateTime(_), Text(_)) => is_read_as(to_moment(r, &Type::DateTime, zone), l),
        (Text(_), Guid(_)) => is_read_as(to_guid(l), r),
        (Guid(_), Text(_)) => is_read_as(to_guid(r), l),
        (Untyped(json), other) | (other, Untyped(json)) => match &**json {
            Json::Text(t) => matches!(other, Text(o) if **o == **t),
            Json::Bool(b) => matches!(other, Boolean(o) if o == b),
            Json::Number(n) => number::parse(n, number::ENGLISH).and_then(|p| p.decimal()) == days(other),
            _ => false,
        },
        _ => l == r,
    }
}

/// Whether a text, read as the kind of another value, is that value.
fn is_read_as(read: Value<'_>, other: &Value<'_>) -> bool {
    !read.is_error() && !read.is_blank() && read == *other
}

/// `<` and its like: a blank counts as zero; numbers, dates and times are on one line of days.
pub(crate) fn compare<'a>(l: &Value<'a>, r: &Value<'a>, zone: &TimeZone) -> Result<Ordering, Value<'a>> {
    use Value::*;
    let wrong = || Value::invalid("these values have no order");
    match (l, r) {
        (Number(a), Number(b)) => Ok(a.cmp(b)),
        (Date(a) | DateTime(a) | Time(a), Date(b) | DateTime(b) | Time(b)) => Ok(a.cmp(b)),
        (Blank, Blank) => Ok(Ordering::Equal),
        (Blank, other) => compare(&zero(other), other, zone),
        (other, Blank) => compare(other, &zero(other), zone),
        (Text(a), Text(b)) => match (to_number(l), to_number(r)) {
            (Number(x), Number(y)) => Ok(x.cmp(&y)),
            _ => Ok(text_order(a, b)),
        },
        (Text(_), _) => match as_kind_of(l, r, zone) {
            Error(e) => Err(Error(e)),
            read => compare(&read, r, zone),
        },
        (_, Text(_)) => match as_kind_of(r, l, zone) {
            Error(e) => Err(Error(e)),
            read => compare(l, &read, zone),
        },
        (Float(_), _) | (_, Float(_)) => match (to_float(l), to_float(r)) {
            (Float(a), Float(b)) => a.partial_cmp(&b).ok_or_else(wrong),
            _ => Err(wrong()),
        },
        (Untyped(json), _) => compare(&read_json(json)?, r, zone),
        (_, Untyped(json)) => compare(l, &read_json(json)?, zone),
        _ => match (days(l), days(r)) {
            (Some(a), Some(b)) => Ok(a.cmp(&b)),
            _ => Err(wrong()),
        },
    }
}

fn zero<'a>(like: &Value<'a>) -> Value<'a> {
    match like {
        Value::Text(_) => Value::text(""),
        Value::Float(_) => Value::Float(0.0),
        Value::Untyped(_) => Value::Number(Decimal::ZERO),
        _ => Value::Number(Decimal::ZERO),
    }
}

fn as_kind_of<'a>(text: &Value<'a>, other: &Value<'a>, zone: &TimeZone) -> Value<'a> {
    match other {
        Value::Date(_) | Value::DateTime(_) => to_moment(text, &Type::DateTime, zone),
        Value::Time(_) => to_moment(text, &Type::Time, zone),
        Value::Boolean(_) => to_boolean(text),
        Value::Float(_) => to_float(text),
        _ => to_number(text),
    }
}

fn read_json<'a>(json: &Json) -> Result<Value<'a>, Value<'a>> {
    match json {
        Json::Null => Ok(Value::Blank),
        Json::Bool(b) => Ok(Value::Boolean(*b)),
        Json::Text(t) => Ok(Value::owned(t.to_string())),
        Json::Number(n) => number::parse(n, number::ENGLISH)
            .and_then(|p| p.decimal())
            .map(Value::Number)
            .ok_or_else(|| Value::error(ErrorKind::INVALID_ARGUMENT, "the JSON number is too large")),
        _ => Err(Value::invalid("this JSON value has no order")),
    }
}

/// The order of texts in a sort: by letters first, small before large only where they are alike.
pub(crate) fn text_order(a: &str, b: &str) -> Ordering {
    let fold = |s: &str| s.chars().flat_map(char::to_lowercase).collect::<Vec<_>>();
    if a.is_ascii() && b.is_ascii() {
        let lower = |s: &u8| s.to_ascii_lowercase();
        return a.bytes().map(|c| lower(&c)).cmp(b.bytes().map(|c| lower(&c))).then_with(|| b.cmp(a));
    }
    fold(a).cmp(&fold(b)).then_with(|| b.cmp(a))
}

pub(crate) enum Trimmed {
    Already,
    Slice(usize, usize),
    Rebuilt(String),
}

/// Spaces away from both ends, and runs of them inside made one.
pub(crate) fn trimmed(text: &str) -> Trimmed {
    let inner = text.trim_matches(' ');
    if inner.contains("  ") {
        let mut out = String::with_capacity(inner.len());
        let mut space = false;
        for c in inner.chars() {
            if c != ' ' || !space {
                out.push(c);
            }
            space = c == ' ';
        }
        return Trimmed::Rebuilt(out);
    }
    if inner.len() == text.len() {
        return Trimmed::Already;
    }
    let from = text.len() - text.trim_start_matches(' ').len();
    Trimmed::Slice(from, from + inner.len())
}
