//! Values of rows from what drivers give, and what drivers take for a value.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use record::{Decimal, Type, Value};

use super::engine::{Cell, SqlColumn};
use super::moment::Dst;
use super::text::{self, Times, cannot};

/// The cell as its column's type means it.
///
/// *Errors*: one sentence that does not hold the value.
pub(crate) fn read(cell: &Cell, ty: &Type, times: &Times) -> Result<Value, String> {
    match (cell, ty) {
        (Cell::Null, _) => Ok(Value::Blank),
        (Cell::Int(number), Type::WholeNumber | Type::Unknown) => Ok(Value::Int(*number)),
        (Cell::Int(number), Type::YesNo) => match number {
            0 => Ok(Value::Bool(false)),
            1 => Ok(Value::Bool(true)),
            _ => Err(cannot(ty, "a number")),
        },
        (Cell::Int(number), Type::Decimal { .. } | Type::Money) => Ok(Value::Decimal((*number).into())),
        (Cell::Int(number), _) => text::read(&number.to_string(), ty, times),
        // The shortest number that is the same float: what people see in the database.
        (Cell::Float(number), _) => decimal(&number.to_string()),
        (Cell::Text(text), Type::Decimal { .. }) if text.contains(['e', 'E']) => decimal(text),
        (Cell::Text(text), Type::WholeNumber) if is_large(text) => {
            Err("this number is larger than 9223372036854775807".to_owned())
        }
        (Cell::Text(text), _) => text::read(text, ty, times),
        (Cell::Bytes(bytes), Type::Bytes | Type::Unknown) => Ok(Value::Bytes(bytes.clone())),
        (Cell::Bytes(bytes), _) => match std::str::from_utf8(bytes) {
            Ok(text) => text::read(text, ty, times),
            Err(_) => Err("this text is not valid in its character set".to_owned()),
        },
    }
}

fn is_large(text: &str) -> bool {
    text.parse::<i64>().is_err() && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn decimal(text: &str) -> Result<Value, String> {
    let number = if text.contains(['e', 'E']) { Decimal::from_scientific(text).ok() } else { text::exact(text) };
    let number = number.map(Value::Decimal).or_else(|| text::tiny(text).map(Value::Float));
    number.ok_or_else(|| "this number has more digits than 28, or is none".to_owned())
}

/// What is bound for a value that goes to a column, or is compared with it. Times are written by `time`.
///
/// *Errors*: one sentence, where the column takes no such value.
pub(crate) fn write(
    value: &Value,
    column: &SqlColumn,
    zone: Option<&TimeZone>,
    time: fn(Moment, &SqlColumn) -> String,
) -> Result<Cell, String> {
    let ty = &column.ty;
    Ok(match value {
        Value::Blank => Cell::Null,
        // Where there are no lookups, the column holds the other row's key itself.
        Value::Reference(reference) => match reference.key.as_slice() {
            [(_, value)] => return write(value, column, zone, time),
            _ => return Err("a reference by a key of several columns has no single column to go to".to_owned()),
        },
        Value::Rows(_) => return Err("lines cannot be written into a column".to_owned()),
        // A database compares `abc` with a number as 0: a text that is no number must not get there.
        Value::Text(text) | Value::Choice(text) if is_counted(ty) => {
            if text.trim().is_empty() {
                return Err(cannot(ty, "an empty text"));
            }
            let exactly = Times { zone: None, dst: Dst::Earlier };
            return write(&text::read(text, ty, &exactly)?, column, zone, time);
        }
        Value::Text(text) | Value::Choice(text) => Cell::Text(text.clone()),
        Value::Bool(yes) => Cell::Int(i64::from(*yes)),
        Value::Int(number) => match ty {
            Type::Text { .. } | Type::Multiline { .. } => Cell::Text(number.to_string()),
            _ => {
                in_float(*number, column)?;
                Cell::Int(*number)
            }
        },
        Value::Decimal(number) => {
            let exact = number.normalize();
            in_float(exact, column)?;
            if let Type::Decimal { scale: Some(scale) } = ty
                && exact.scale() > *scale
            {
                return Err(format!("{exact} has more than {scale} digits after the point, and is not rounded"));
            }
            match ty {
                Type::WholeNumber if exact.scale() > 0 => {
                    return Err(format!("{exact} is no whole number, and is not rounded"));
                }
                Type::WholeNumber => Cell::Text(exact.to_string()),
                _ => Cell::Text(number.to_string()),
            }
        }
        Value::Float(number) => Cell::Float(*number),
        Value::Date(date) => Cell::Text(date.to_string()),
        Value::Time(at) => Cell::Text(at.to_string()),
        Value::Instant(at) => match (ty, zone) {
            (Type::DateTime, _) => Cell::Text(time(Moment::Instant(*at), column)),
            (_, Some(zone)) => Cell::Text(time(Moment::Civil(at.to_zoned(zone.clone()).datetime()), column)),
            (Type::LocalDateTime | Type::Date, None) => {
                Cell::Text(time(Moment::Civil(TimeZone::UTC.to_datetime(*at)), column))
            }
            (_, None) => Cell::Text(at.to_string()),
        },
        Value::LocalDateTime(at) => Cell::Text(time(Moment::Civil(*at), column)),
        Value::Guid(id) => match ty {
            Type::Bytes => Cell::Bytes(id.as_bytes().to_vec()),
            _ => Cell::Text(id.to_string()),
        },
        Value::Bytes(bytes) => Cell::Bytes(bytes.clone()),
    })
}

fn in_float(number: impl Into<Decimal>, column: &SqlColumn) -> Result<(), String> {
    let is_float = column.ty == (Type::Decimal { scale: None });
    if is_float { text::in_float(number.into(), column.is_short_float) } else { Ok(()) }
}

fn is_counted(ty: &Type) -> bool {
    matches!(ty, Type::WholeNumber | Type::Decimal { .. } | Type::Money | Type::YesNo)
}

/// A time on its way into a column.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    Instant(Timestamp),
    Civil(DateTime),
}

/// `2026-07-01 11:00:00.25`, with no more digits than the column keeps: cut, so that it is never later than it was.
pub(crate) fn civil(at: DateTime, digits: u32) -> String {
    let mut out = format!("{} {:02}:{:02}:{:02}", at.date(), at.hour(), at.minute(), at.second());
    let fraction = format!("{:09}", at.subsec_nanosecond());
    let fraction = fraction[..digits.min(9) as usize].trim_end_matches('0');
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(ty: Type) -> SqlColumn {
        SqlColumn {
            name: "c".into(),
            ty,
            declared: String::new(),
            filled: false,
            fraction: 3,
            required: false,
            writable: true,
            counted: false,
            by_characters: false,
            letters: crate::sql::engine::Letters::All,
            is_short_float: false,
            labels: Vec::new(),
        }
    }

    fn time(at: Moment, column: &SqlColumn) -> String {
        match at {
            Moment::Civil(at) => civil(at, column.fraction),
            Moment::Instant(at) => civil(TimeZone::UTC.to_datetime(at), column.fraction),
        }
    }

    #[test]
    fn a_value_goes_as_its_column_takes_it_and_is_never_rounded() {
        let check = |value: Value, ty: Type, expected: Result<Cell, &str>| {
            let london = TimeZone::get("Europe/London").unwrap();
            match (write(&value, &column(ty.clone()), Some(&london), time), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{value:?} to {ty:?}"),
                (Err(found), Err(part)) => assert!(found.contains(part), "{found} has not {part}"),
                (found, expected) => panic!("{value:?} to {ty:?}: {found:?}, expected {expected:?}"),
            }
        };
        let text = |text: &str| Ok(Cell::Text(text.to_owned()));
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        let two = Type::Decimal { scale: Some(2) };
        check(decimal("12.500"), two.clone(), text("12.500"));
        check(decimal("0.005"), two.clone(), Err("more than 2 digits"));
        check(Value::text("0.005"), two.clone(), Err("more than 2 digits"));
        check(Value::text("abc"), two, Err("is none"));
        check(Value::text("abc"), Type::WholeNumber, Err("is none"));
        check(Value::text(""), Type::WholeNumber, Err("an empty text"));
        check(Value::text("7"), Type::WholeNumber, Ok(Cell::Int(7)));
        check(decimal("7.0"), Type::WholeNumber, text("7"));
        check(decimal("7.5"), Type::WholeNumber, Err("no whole number"));
        check(Value::Int(7), Type::Text { max_length: None }, text("7"));
        let at = Value::Instant("2026-07-01T11:00:00.123456Z".parse().unwrap());
        check(at.clone(), Type::DateTime, text("2026-07-01 11:00:00.123"));
        check(at, Type::LocalDateTime, text("2026-07-01 12:00:00.123"));
        check(Value::Bool(true), Type::YesNo, Ok(Cell::Int(1)));
    }

    #[test]
    fn a_cell_is_read_exactly_or_not_at_all() {
        let times = Times { zone: None, dst: Dst::Reject };
        let check = |cell: Cell, ty: Type, expected: Result<Value, &str>| match (read(&cell, &ty, &times), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{cell:?} as {ty:?}"),
            (Err(found), Err(part)) => assert!(found.contains(part), "{found} has not {part}"),
            (found, expected) => panic!("{cell:?} as {ty:?}: {found:?}, expected {expected:?}"),
        };
        let decimal = |text: &str| Ok(Value::Decimal(text.parse().unwrap()));
        let text = |text: &str| Cell::Text(text.to_owned());
        check(Cell::Float(0.1), Type::Decimal { scale: None }, decimal("0.1"));
        check(text("1e-05"), Type::Decimal { scale: None }, decimal("0.00001"));
        check(
            Cell::Float(5.551115123125783e-17),
            Type::Decimal { scale: None },
            Ok(Value::Float(5.551115123125783e-17)),
        );
        check(Cell::Int(2), Type::YesNo, Err("a number"));
        check(text("18446744073709551615"), Type::WholeNumber, Err("larger than"));
        check(Cell::Int(5), Type::Decimal { scale: Some(0) }, decimal("5"));
        check(Cell::Bytes(vec![0xff]), Type::Text { max_length: None }, Err("character set"));
        check(Cell::Bytes(vec![0xff]), Type::Bytes, Ok(Value::Bytes(vec![0xff])));
    }
}
