//! Plus, minus, times, divided by, and the moving of dates.

use super::{as_decimal, as_float, decimal, div0, float, raise};
use crate::coerce::to_number;
use crate::error::ErrorKind;
use crate::eval::{Env, join_errors};
use crate::node::{Arithmetic, DateKind, Node};
use crate::number::{from_float, to_float};
use crate::value::{Moment, Value};
use rust_decimal::Decimal;

/// The four operations, powers, and the moving of dates. No errors among the operands.
pub(crate) fn arithmetic<'a>(op: Arithmetic, l: Value<'a>, r: Value<'a>) -> Value<'a> {
    match op {
        Arithmetic::Power => return raise(as_float(&l), as_float(&r)),
        Arithmetic::DateAdd(kind) => return move_by(kind, &l, &r, 1),
        Arithmetic::DateSubtract(kind) => return move_by(kind, &l, &r, -1),
        Arithmetic::DateDifference => {
            let days = Moment(moment(&l).0.saturating_sub(moment(&r).0)).serial();
            return decimal(from_float(days));
        }
        Arithmetic::DynamicAdd | Arithmetic::DynamicSubtract => return dynamic(op, l, r),
        _ => {}
    }
    if matches!(l, Value::Float(_)) || matches!(r, Value::Float(_)) {
        let (a, b) = (as_float(&l), as_float(&r));
        return match op {
            Arithmetic::Add => float(a + b),
            Arithmetic::Subtract => float(a - b),
            Arithmetic::Multiply => float(a * b),
            _ if b == 0.0 => div0(),
            _ => float(a / b),
        };
    }
    let (a, b) = (as_decimal(&l), as_decimal(&r));
    match op {
        Arithmetic::Add => decimal(a.checked_add(b)),
        Arithmetic::Subtract => decimal(a.checked_sub(b)),
        Arithmetic::Multiply => decimal(a.checked_mul(b)),
        _ if b.is_zero() => div0(),
        _ => decimal(a.checked_div(b)),
    }
}

/// The moment of a date argument; a blank is day zero.
pub(crate) fn moment(value: &Value<'_>) -> Moment {
    match value {
        Value::Date(m) | Value::DateTime(m) | Value::Time(m) => *m,
        _ => Moment(0),
    }
}

fn move_by<'a>(kind: DateKind, date: &Value<'a>, by: &Value<'a>, sign: i64) -> Value<'a> {
    let by = match by {
        Value::Time(m) | Value::Date(m) | Value::DateTime(m) => Some(*m),
        Value::Number(n) => Moment::from_serial(to_float(*n)),
        Value::Float(f) => Moment::from_serial(*f),
        _ => Some(Moment(0)),
    };
    let moved = by.and_then(|by| moment(date).checked_add(by.0.checked_mul(sign)?));
    let Some(moved) = moved else {
        return Value::invalid("the date is not between the years 1 and 9999");
    };
    match kind {
        DateKind::Time => Value::Time(moved),
        _ if moved.in_range().is_none() => Value::invalid("the date is not between the years 1 and 9999"),
        DateKind::Date => Value::Date(moved),
        DateKind::DateTime => Value::DateTime(moved),
    }
}

/// Plus and minus where the types come with the values.
fn dynamic<'a>(op: Arithmetic, l: Value<'a>, r: Value<'a>) -> Value<'a> {
    let kind = |v: &Value<'_>| match v {
        Value::Date(_) => Some(DateKind::Date),
        Value::DateTime(_) => Some(DateKind::DateTime),
        Value::Time(_) => Some(DateKind::Time),
        _ => None,
    };
    let add = op == Arithmetic::DynamicAdd;
    let number = |v: Value<'a>| match v {
        Value::Float(_) | Value::Blank | Value::Number(_) => v,
        other => to_number(&other),
    };
    match (kind(&l), kind(&r)) {
        (None, None) => {
            let (l, r) = (number(l), number(r));
            if l.is_error() || r.is_error() {
                return join_errors([&l, &r].into_iter());
            }
            arithmetic(if add { Arithmetic::Add } else { Arithmetic::Subtract }, l, r)
        }
        (Some(DateKind::Time), Some(DateKind::Time)) if add => move_by(DateKind::Time, &l, &r, 1),
        (Some(_), Some(DateKind::Time)) => move_by(DateKind::DateTime, &l, &r, if add { 1 } else { -1 }),
        (Some(DateKind::Time), Some(_)) if add => move_by(DateKind::DateTime, &r, &l, 1),
        (Some(_), Some(_)) if !add => arithmetic(Arithmetic::DateDifference, l, r),
        (Some(kind), None) => {
            let by = number(r);
            if by.is_error() { by } else { move_by(kind, &l, &by, if add { 1 } else { -1 }) }
        }
        (None, Some(kind)) if add => {
            let by = number(l);
            if by.is_error() { by } else { move_by(kind, &r, &by, 1) }
        }
        _ => Value::error(ErrorKind::NOT_SUPPORTED, "these values cannot be added or subtracted"),
    }
}

pub(crate) fn negate<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    match &args[0] {
        Value::Float(f) => Value::Float(-f),
        Value::Date(m) => match Moment(-m.0).in_range() {
            Some(m) => Value::Date(m),
            None => Value::invalid("the date is not between the years 1 and 9999"),
        },
        Value::DateTime(m) => match Moment(-m.0).in_range() {
            Some(m) => Value::DateTime(m),
            None => Value::invalid("the date is not between the years 1 and 9999"),
        },
        Value::Time(m) => Value::Time(Moment(-m.0)),
        Value::Number(n) => Value::Number(-*n),
        Value::Blank => Value::Number(Decimal::ZERO),
        other => match to_number(other) {
            Value::Number(n) => Value::Number(-n),
            Value::Blank => Value::Number(Decimal::ZERO),
            error => error,
        },
    }
}

/// A number minus a date has no meaning, whatever the values are.
pub(crate) fn date_from_number<'a>(_: &mut Env<'a>, _: &'a [Node]) -> Value<'a> {
    Value::error(ErrorKind::NOT_SUPPORTED, "a date cannot be taken from a number")
}
