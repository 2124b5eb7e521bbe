//! Rounding of decimals, and of floats on the digits that people see.

use super::{as_decimal, decimal, float, overflow};
use crate::eval::Env;
use crate::functions::text::whole;
use crate::number::{from_float, to_float};
use crate::value::Value;
use rust_decimal::{Decimal, RoundingStrategy};

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Round {
    Half,
    Up,
    Down,
}

pub(super) fn rounded<'a>(_: &mut Env<'a>, args: &mut [Value<'a>], how: Round) -> Value<'a> {
    let places = args.get(1).map_or(0, whole);
    match &args[0] {
        Value::Float(f) => round_float(*f, places, how),
        other => round_decimal(as_decimal(other), places, how),
    }
}

pub(super) fn round_decimal<'a>(n: Decimal, places: i64, how: Round) -> Value<'a> {
    let strategy = match how {
        Round::Half => RoundingStrategy::MidpointAwayFromZero,
        Round::Up => RoundingStrategy::AwayFromZero,
        Round::Down => RoundingStrategy::ToZero,
    };
    if places >= 0 {
        let places = u32::try_from(places).unwrap_or(28).min(28);
        return Value::Number(n.round_dp_with_strategy(places, strategy));
    }
    if places < -28 {
        return if how == Round::Up && !n.is_zero() { overflow() } else { Value::Number(Decimal::ZERO) };
    }
    let mut unit = Decimal::ONE;
    for _ in places..0 {
        unit = match unit.checked_mul(Decimal::TEN) {
            Some(unit) => unit,
            None => return overflow(),
        };
    }
    let scaled = n.checked_div(unit).map(|q| q.round_dp_with_strategy(0, strategy));
    decimal(scaled.and_then(|q| q.checked_mul(unit)))
}

/// Rounds on 15 significant digits, so that 1.005 has its half.
pub(super) fn round_float<'a>(f: f64, places: i64, how: Round) -> Value<'a> {
    if let Some(n) = from_float(f)
        && (-28..=28).contains(&places)
        && let Value::Number(n) = round_decimal(n, places, how)
    {
        return Value::Float(to_float(n));
    }
    if places >= 0 {
        return Value::Float(f);
    }
    let unit = 10f64.powi(i32::try_from(-places).unwrap_or(400));
    if !unit.is_finite() {
        return Value::Float(0.0);
    }
    let q = f / unit;
    let q = match how {
        Round::Half => q.abs().round() * q.signum(),
        Round::Up => q.abs().ceil() * q.signum(),
        Round::Down => q.trunc(),
    };
    float(q * unit)
}
