//! Numbers: exact where the arguments are decimals, floating where one of them is a float.

use super::text::whole;
use super::{ANY, Function, P, R};
use crate::error::ErrorKind;
use crate::eval::{Env, value_row};
use crate::node::Arithmetic;
use crate::number::{from_float, to_float};
use crate::value::Value;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

mod aggregates;
mod operators;
mod rounding;

use aggregates::{Aggregate, check_aggregate};
pub(crate) use operators::{arithmetic, date_from_number, moment, negate};
use rounding::{Round, rounded};

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::plain("Abs", &[P::Num], R::Num, abs).lifts().doc(
        "Abs(number)",
        "Without its sign.",
        &[("Abs(-2.5)", "2.5")],
    ),
    Function::plain("Int", &[P::Num], R::Num, int).lifts().doc(
        "Int(number)",
        "The whole number at or below.",
        &[("Int(-4.3)", "-5")],
    ),
    Function::plain("Trunc", &[P::Num, P::Number], R::Num, |e, a| rounded(e, a, Round::Down)).takes(1, 2).lifts().doc(
        "Trunc(number, [places])",
        "Cut towards zero.",
        &[("Trunc(-4.37, 1)", "-4.3")],
    ),
    Function::plain("Round", &[P::Num, P::Number], R::Num, |e, a| rounded(e, a, Round::Half)).lifts().doc(
        "Round(number, places)",
        "Rounded to the nearest; a half goes away from zero. Negative places round before the point.",
        &[("Round(2.345, 2)", "2.35"), ("Round(1234, -2)", "1200")],
    ),
    Function::plain("RoundUp", &[P::Num, P::Number], R::Num, |e, a| rounded(e, a, Round::Up)).lifts().doc(
        "RoundUp(number, places)",
        "Rounded away from zero.",
        &[("RoundUp(2.341, 2)", "2.35")],
    ),
    Function::plain("RoundDown", &[P::Num, P::Number], R::Num, |e, a| rounded(e, a, Round::Down)).lifts().doc(
        "RoundDown(number, places)",
        "Rounded towards zero.",
        &[("RoundDown(2.349, 2)", "2.34")],
    ),
    Function::plain("Mod", &[P::Num, P::Num], R::Num, modulo).lifts().doc(
        "Mod(number, divisor)",
        "What is left after a division, with the sign of the divisor.",
        &[("Mod(-7, 3)", "2")],
    ),
    Function::plain("Power", &[P::Float, P::Float], R::Float, power).lifts().doc(
        "Power(base, exponent)",
        "The same as ^; a float.",
        &[("Power(2, 10)", "1024")],
    ),
    Function::plain("Sqrt", &[P::Float], R::Float, |_, a| float_of(a, |f| if f < 0.0 { f64::NAN } else { f.sqrt() }))
        .lifts()
        .doc("Sqrt(number)", "The square root, a float.", &[("Sqrt(16)", "4")]),
    Function::plain("Exp", &[P::Float], R::Float, |_, a| float_of(a, f64::exp)).lifts().doc(
        "Exp(number)",
        "e to the power of the number, a float.",
        &[("Exp(0)", "1")],
    ),
    Function::plain("Ln", &[P::Float], R::Float, |_, a| float_of(a, |f| if f <= 0.0 { f64::NAN } else { f.ln() }))
        .lifts()
        .doc("Ln(number)", "The natural logarithm, a float.", &[("Ln(1)", "0")]),
    Function::plain("Log", &[P::Float, P::Float], R::Float, log).takes(1, 2).lifts().doc(
        "Log(number, [base])",
        "The logarithm to base 10 or to the given base, a float.",
        &[("Log(100)", "2"), ("Log(8, 2)", "3")],
    ),
    Function::plain("Sin", &[P::Float], R::Float, |_, a| float_of(a, f64::sin)).lifts().doc(
        "Sin(radians)",
        "The sine.",
        &[("Sin(0)", "0")],
    ),
    Function::plain("Cos", &[P::Float], R::Float, |_, a| float_of(a, f64::cos)).lifts().doc(
        "Cos(radians)",
        "The cosine.",
        &[("Cos(0)", "1")],
    ),
    Function::plain("Tan", &[P::Float], R::Float, |_, a| float_of(a, f64::tan)).lifts().doc(
        "Tan(radians)",
        "The tangent.",
        &[("Tan(0)", "0")],
    ),
    Function::plain("Cot", &[P::Float], R::Float, cot).lifts().doc(
        "Cot(radians)",
        "The cotangent.",
        &[("Round(Cot(Pi() / 4), 6)", "1")],
    ),
    Function::plain("Asin", &[P::Float], R::Float, |_, a| float_of(a, f64::asin)).lifts().doc(
        "Asin(number)",
        "The arc sine in radians.",
        &[("Asin(0)", "0")],
    ),
    Function::plain("Acos", &[P::Float], R::Float, |_, a| float_of(a, f64::acos)).lifts().doc(
        "Acos(number)",
        "The arc cosine in radians.",
        &[("Acos(1)", "0")],
    ),
    Function::plain("Atan", &[P::Float], R::Float, |_, a| float_of(a, f64::atan)).lifts().doc(
        "Atan(number)",
        "The arc tangent in radians.",
        &[("Atan(0)", "0")],
    ),
    Function::plain("Acot", &[P::Float], R::Float, |_, a| float_of(a, |f| std::f64::consts::FRAC_PI_2 - f.atan()))
        .lifts()
        .doc("Acot(number)", "The arc cotangent in radians.", &[("Round(Acot(1) * 4, 4)", "3.1416")]),
    Function::plain("Atan2", &[P::Float, P::Float], R::Float, atan2).lifts().doc(
        "Atan2(x, y)",
        "The angle of a point in radians.",
        &[("Atan2(1, 0)", "0")],
    ),
    Function::plain("Degrees", &[P::Float], R::Float, |_, a| float_of(a, |f| f * (180.0 / std::f64::consts::PI)))
        .lifts()
        .doc("Degrees(radians)", "Radians as degrees.", &[("Degrees(0)", "0")]),
    Function::plain("Radians", &[P::Float], R::Float, |_, a| float_of(a, |f| f / 180.0 * std::f64::consts::PI))
        .lifts()
        .doc("Radians(degrees)", "Degrees as radians.", &[("Radians(0)", "0")]),
    Function::plain("Pi", &[], R::Float, |_, _| Value::Float(std::f64::consts::PI)).doc(
        "Pi()",
        "The number π, a float.",
        &[("Round(Pi(), 4)", "3.1416")],
    ),
    Function::plain("Hex2Dec", &[P::Text], R::Number, hex2dec).lifts().doc(
        "Hex2Dec(text)",
        "The number of up to ten hexadecimal digits.",
        &[("Hex2Dec(\"FF\")", "255")],
    ),
    Function::plain("Dec2Hex", &[P::Number, P::Number], R::Text, dec2hex).takes(1, 2).lifts().doc(
        "Dec2Hex(number, [digits])",
        "The number in hexadecimal digits.",
        &[("Dec2Hex(255, 4)", "\"00FF\"")],
    ),
    Function::plain("Rand", &[], R::Float, |e, _| Value::Float(e.random())).volatile().doc(
        "Rand()",
        "A pseudo-random float from 0 up to 1, from the seed that the caller gives.",
        &[("Rand() < 1", "true")],
    ),
    Function::plain("RandBetween", &[P::Number, P::Number], R::Number, rand_between).volatile().doc(
        "RandBetween(low, high)",
        "A pseudo-random whole number between two.",
        &[("RandBetween(3, 3)", "3")],
    ),
    Function::special("Sum", 1, ANY, |c, a, s| check_aggregate(c, a, s, Aggregate::Sum)).doc(
        "Sum(number, …) · Sum(table, expression)",
        "The sum; blanks are skipped, and without any number it is blank.",
        &[("Sum(1, 2, 3)", "6"), ("Sum([1, 2, 3], Value * 2)", "12")],
    ),
    Function::special("Average", 1, ANY, |c, a, s| check_aggregate(c, a, s, Aggregate::Average)).doc(
        "Average(number, …) · Average(table, expression)",
        "The mean; blanks are skipped, and without any number it is an error.",
        &[("Average(1, 2, 6)", "3")],
    ),
    Function::special("Min", 1, ANY, |c, a, s| check_aggregate(c, a, s, Aggregate::Min)).doc(
        "Min(value, …) · Min(table, expression)",
        "The least number, date or time.",
        &[("Min(3, 1, 2)", "1"), ("Min(Date(2026,1,2), Date(2026,1,1))", "Date(2026,1,1)")],
    ),
    Function::special("Max", 1, ANY, |c, a, s| check_aggregate(c, a, s, Aggregate::Max)).doc(
        "Max(value, …) · Max(table, expression)",
        "The greatest number, date or time.",
        &[("Max([3, 1, 2], Value)", "3")],
    ),
    Function::special("StdevP", 1, ANY, |c, a, s| check_aggregate(c, a, s, Aggregate::Deviation)).doc(
        "StdevP(number, …) · StdevP(table, expression)",
        "The standard deviation, a float.",
        &[("StdevP(2, 4)", "1")],
    ),
    Function::special("VarP", 1, ANY, |c, a, s| check_aggregate(c, a, s, Aggregate::Variance)).doc(
        "VarP(number, …) · VarP(table, expression)",
        "The variance, a float.",
        &[("VarP(2, 4)", "1")],
    ),
    Function::plain("Sequence", &[P::Number, P::Num, P::Num], R::Numbers, sequence).takes(1, 3).doc(
        "Sequence(rows, [start], [step])",
        "Numbers in steps, as a table with the column Value.",
        &[("Sequence(3, 10, 5)", "Table({Value:10},{Value:15},{Value:20})")],
    ),
];

fn overflow<'a>() -> Value<'a> {
    Value::error(ErrorKind::NUMERIC, "the result is too large for a number")
}

fn div0<'a>() -> Value<'a> {
    Value::error(ErrorKind::DIV0, "division by zero")
}

/// A float result; what is no number is an error.
fn float<'a>(f: f64) -> Value<'a> {
    if f.is_finite() { Value::Float(f) } else { Value::error(ErrorKind::NUMERIC, "the result is no number") }
}

fn decimal<'a>(n: Option<Decimal>) -> Value<'a> {
    n.map_or_else(overflow, Value::Number)
}

fn as_decimal(value: &Value<'_>) -> Decimal {
    match value {
        Value::Number(n) => *n,
        Value::Float(f) => from_float(*f).unwrap_or_default(),
        _ => Decimal::ZERO,
    }
}

fn as_float(value: &Value<'_>) -> f64 {
    match value {
        Value::Float(f) => *f,
        Value::Number(n) => to_float(*n),
        _ => 0.0,
    }
}

fn float_of<'a>(args: &mut [Value<'a>], f: fn(f64) -> f64) -> Value<'a> {
    float(f(as_float(&args[0])))
}

fn abs<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    match &args[0] {
        Value::Float(f) => Value::Float(f.abs()),
        other => Value::Number(as_decimal(other).abs()),
    }
}

fn int<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    match &args[0] {
        Value::Float(f) => Value::Float(f.floor()),
        other => Value::Number(as_decimal(other).floor()),
    }
}

fn modulo<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    if matches!(args[0], Value::Float(_)) || matches!(args[1], Value::Float(_)) {
        let (a, b) = (as_float(&args[0]), as_float(&args[1]));
        if b == 0.0 {
            return div0();
        }
        let m = a % b;
        return float(if m != 0.0 && (m < 0.0) != (b < 0.0) { m + b } else { m });
    }
    let (a, b) = (as_decimal(&args[0]), as_decimal(&args[1]));
    if b.is_zero() {
        return div0();
    }
    let Some(m) = a.checked_rem(b) else { return overflow() };
    if !m.is_zero() && m.is_sign_negative() != b.is_sign_negative() {
        return decimal(m.checked_add(b));
    }
    Value::Number(m)
}

fn power<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    raise(as_float(&args[0]), as_float(&args[1]))
}

fn raise<'a>(base: f64, exponent: f64) -> Value<'a> {
    if base == 0.0 && exponent < 0.0 {
        return div0();
    }
    if base == 0.0 && exponent == 0.0 {
        return Value::Float(1.0);
    }
    float(base.powf(exponent))
}

fn log<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let n = as_float(&args[0]);
    let Some(base) = args.get(1).map(as_float) else {
        return if n <= 0.0 { float(f64::NAN) } else { float(n.log10()) };
    };
    if n <= 0.0 || base <= 0.0 {
        return float(f64::NAN);
    }
    if base == 1.0 {
        return div0();
    }
    let exact = if base == 10.0 {
        n.log10()
    } else if base == 2.0 {
        n.log2()
    } else {
        n.ln() / base.ln()
    };
    float(exact)
}

fn cot<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let tan = as_float(&args[0]).tan();
    if tan == 0.0 { div0() } else { float(1.0 / tan) }
}

fn atan2<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let (x, y) = (as_float(&args[0]), as_float(&args[1]));
    if x == 0.0 && y == 0.0 { div0() } else { float(y.atan2(x)) }
}

fn hex2dec<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let text = super::text::text_of(&args[0]);
    if text.is_empty() {
        return Value::number(0);
    }
    if text.len() > 10 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Value::error(ErrorKind::NUMERIC, "Hex2Dec needs up to ten hexadecimal digits");
    }
    // Ten digits are forty bits; the highest of them is the sign.
    match i64::from_str_radix(text, 16) {
        Ok(n) if n >= 1 << 39 => Value::number(n - (1 << 40)),
        Ok(n) => Value::number(n),
        Err(_) => Value::error(ErrorKind::NUMERIC, "Hex2Dec needs up to ten hexadecimal digits"),
    }
}

fn dec2hex<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let n = whole(&args[0]);
    let digits = args.get(1).map_or(0, whole);
    if !(-(1i64 << 39)..1 << 39).contains(&n) || !(0..=10).contains(&digits) {
        return Value::error(ErrorKind::NUMERIC, "Dec2Hex needs a number of up to forty bits and up to ten digits");
    }
    if n < 0 {
        return Value::owned(format!("{:X}", n + (1 << 40)));
    }
    let text = format!("{n:0width$X}", width = digits as usize);
    if digits > 0 && text.len() > digits as usize {
        return Value::error(ErrorKind::NUMERIC, "the number has more digits than that");
    }
    Value::owned(text)
}

fn rand_between<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let (low, high) = (as_decimal(&args[0]).ceil(), as_decimal(&args[1]).floor());
    if low > high {
        return Value::error(ErrorKind::NUMERIC, "RandBetween needs the lower number first");
    }
    let (Some(low), Some(high)) = (low.to_i64(), high.to_i64()) else { return overflow() };
    let span = (i128::from(high) - i128::from(low) + 1) as f64;
    let offset = (env.random() * span) as i128;
    i64::try_from(i128::from(low) + offset).map_or_else(|_| overflow(), Value::number)
}

fn sequence<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let count = whole(&args[0]);
    let limit = env.context.limits.table_rows;
    if count < 0 || usize::try_from(count).map_or(true, |n| n > limit) {
        return Value::invalid(format!("Sequence needs a number of rows from 0 to {limit}"));
    }
    if let Err(error) = env.table_room(count as usize) {
        return error;
    }
    let one = Value::Number(Decimal::ONE);
    let step = args.get(2).unwrap_or(&one).clone();
    let mut at = args.get(1).unwrap_or(&one).clone();
    if at.is_blank() {
        at = Value::number(0);
    }
    let mut out = Vec::with_capacity(count as usize);
    for _ in 0..count {
        out.push(value_row(at.clone()));
        at = arithmetic(Arithmetic::Add, at, step.clone());
        if at.is_error() && out.len() < count as usize {
            return at;
        }
    }
    Value::table(out)
}
