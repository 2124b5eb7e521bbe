//! Values that come as text, read by the type of their column.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use record::{Decimal, Type, Value};

use super::moment::{self, Dst, Moment};

/// Why a time is no date: what a date has no place for is not dropped.
pub(crate) const TIME_OF_DAY: &str = "the column is declared as date, and this row holds a time of the day as well";

/// How times without a zone are read.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    pub zone: Option<TimeZone>,
    pub dst: Dst,
}

/// A float so near to nothing that a decimal has no place for all of its digits, such as what is left of 0.1 + 0.2 - 0.3;
/// nothing for any other. *Shape*: the text is that of a float.
pub(crate) fn tiny(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.abs() < 1.0)
}

/// The number that these digits are. Zeros behind the last digit of a fraction say nothing, however many there are.
pub(crate) fn exact(digits: &str) -> Option<Decimal> {
    let short = || digits.contains('.').then(|| digits.trim_end_matches('0').trim_end_matches('.'));
    Decimal::from_str_exact(digits).ok().or_else(|| Decimal::from_str_exact(short()?).ok())
}

/// *Errors*: one sentence, where a float of eight bytes, or of four, is read back as another number.
pub(crate) fn in_float(number: Decimal, is_short: bool) -> Result<(), String> {
    let digits = number.normalize().to_string();
    let back = if is_short {
        digits.parse().map(|float: f32| float.to_string())
    } else {
        digits.parse().map(|float: f64| float.to_string())
    };
    if back.is_ok_and(|back| exact(&back).is_some_and(|back| back == number)) {
        return Ok(());
    }
    let most = if is_short { 6 } else { 15 };
    Err(format!("{digits} has more digits than a float keeps, which are {most}, and is not rounded"))
}

/// The text as the column's type means it.
///
/// *Errors*: one sentence that does not hold the value.
pub(crate) fn read(text: &str, ty: &Type, times: &Times) -> Result<Value, String> {
    match ty {
        Type::Text { .. } | Type::Multiline { .. } | Type::Unknown => return Ok(Value::text(text)),
        Type::Bytes => return Ok(Value::Bytes(text.as_bytes().to_vec())),
        _ => {}
    }
    let trimmed = match text.as_bytes() {
        // What begins and ends with a letter or a digit is not looked through.
        [first, .., last] if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() => text,
        _ => text.trim(),
    };
    // Loaders of CSV leave empty texts where they mean nothing.
    if trimmed.is_empty() {
        return Ok(Value::Blank);
    }
    match ty {
        Type::WholeNumber => trimmed.parse().map(Value::Int).map_err(|_| cannot(ty, "a text")),
        Type::Decimal { .. } | Type::Money => exact(trimmed).map(Value::Decimal).ok_or_else(|| {
            let is_number = trimmed.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'));
            if is_number { "this number has more digits than 28".to_owned() } else { cannot(ty, "a text") }
        }),
        Type::YesNo => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" => Ok(Value::Bool(true)),
            "false" | "f" | "no" | "n" | "0" => Ok(Value::Bool(false)),
            _ => Err(cannot(ty, "a text")),
        },
        Type::Guid => trimmed.parse().map(Value::Guid).map_err(|_| cannot(ty, "a text")),
        Type::Time => trimmed.parse().map(Value::Time).map_err(|_| cannot(ty, "a text")),
        Type::Date => {
            match moment::day(trimmed.as_bytes())
                .map(|day| Moment::Civil(day.into()))
                .or_else(|| moment::parse(trimmed))
            {
                Some(Moment::Civil(civil)) if civil.time() == Time::midnight() => Ok(Value::Date(civil.date())),
                Some(Moment::Civil(_)) => Err(TIME_OF_DAY.to_owned()),
                _ => Err(cannot(ty, "a text")),
            }
        }
        Type::DateTime | Type::LocalDateTime => match (moment::parse(trimmed), &times.zone) {
            (Some(Moment::Civil(civil)), Some(zone)) => moment::in_zone(civil, zone, times.dst).map(Value::from),
            (Some(at), _) => Ok(at.into()),
            (None, _) => moment::parse_open(trimmed).map(Value::from).ok_or_else(|| cannot(ty, "a text")),
        },
        _ => Ok(Value::text(text)),
    }
}

pub(crate) fn cannot(ty: &Type, found: &str) -> String {
    format!("the column is declared as {}, and this row holds {found} that is none", ty.word())
}
