//! SQLite's dynamic values, read by the type that the column declares.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use record::{Decimal, Type, Value};
use rusqlite::types::ValueRef;

use crate::sql::asked::NOT_UTF_8;
use crate::sql::text::{self, Times, cannot};
use crate::sql::watermark::UNIX_SECONDS_MAX;

/// The type that a declaration such as `VARCHAR(20)` or `DECIMAL(12,2)` means.
///
/// *Source*: SQLite decides by parts of the word, and takes any word; this does so too, and knows the words that other
/// databases use for dates, choices of yes and no, and exact numbers, which SQLite only calls numeric.
pub(super) fn declared(declaration: Option<&str>) -> Type {
    let Some(declaration) = declaration else { return Type::Unknown };
    let upper = declaration.to_ascii_uppercase();
    let (word, arguments) = match upper.split_once('(') {
        Some((word, rest)) => (word.trim().to_owned(), rest.trim_end_matches(')').to_owned()),
        None => (upper.trim().to_owned(), String::new()),
    };
    let argument = |at: usize| arguments.split(',').nth(at).and_then(|text| text.trim().parse::<u32>().ok());
    let has = |part: &str| word.contains(part);
    if has("BOOL") || word == "BIT" {
        Type::YesNo
    } else if has("TIMESTAMPTZ") || has("WITH TIME ZONE") || has("DATETIMEOFFSET") {
        Type::DateTime
    } else if has("DATETIME") || has("TIMESTAMP") {
        Type::LocalDateTime
    } else if word == "DATE" {
        Type::Date
    } else if word == "TIME" {
        Type::Time
    } else if has("UUID") || has("GUID") || has("UNIQUEIDENTIFIER") {
        Type::Guid
    } else if has("INT") || word == "YEAR" {
        Type::WholeNumber
    } else if has("MONEY") || has("CURRENCY") {
        Type::Money
    } else if has("CHAR") {
        Type::Text { max_length: argument(0) }
    } else if has("CLOB") || has("TEXT") || has("JSON") {
        Type::Text { max_length: None }
    } else if has("BLOB") || has("BINARY") {
        Type::Bytes
    } else if has("DEC") || has("NUM") {
        Type::Decimal { scale: if arguments.is_empty() { None } else { Some(argument(1).unwrap_or(0)) } }
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        Type::Decimal { scale: None }
    } else {
        Type::Unknown
    }
}

/// The cell as the column's type means it.
///
/// *Errors*: one sentence that does not hold the value.
pub(super) fn read(cell: ValueRef<'_>, ty: &Type, times: &Times) -> Result<Value, String> {
    match cell {
        ValueRef::Null => Ok(Value::Blank),
        ValueRef::Integer(number) => integer(number, ty, times),
        ValueRef::Real(number) => real(number, ty),
        ValueRef::Text(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| NOT_UTF_8.to_owned())?;
            text::read(text, ty, times)
        }
        ValueRef::Blob(bytes) => match ty {
            Type::Bytes | Type::Unknown => Ok(Value::Bytes(bytes.to_vec())),
            Type::Guid => uuid::Uuid::from_slice(bytes).map(Value::Guid).map_err(|_| cannot(ty, "bytes")),
            _ => match std::str::from_utf8(bytes) {
                Ok(text) => text::read(text, ty, times),
                Err(_) => Err(cannot(ty, "bytes")),
            },
        },
    }
}

/// The cell as it is stored: for cursors and keys, where it has to compare as it did.
pub(super) fn raw(cell: ValueRef<'_>) -> Value {
    match cell {
        ValueRef::Null => Value::Blank,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Real(number) => Value::Float(number),
        // What is not UTF-8 cannot be put into a cursor; the row itself is reported by `read`.
        ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

/// A stored cell back into a statement.
pub(super) fn bind(raw: &Value) -> rusqlite::types::Value {
    use rusqlite::types::Value as Sql;
    match raw {
        Value::Int(v) => Sql::Integer(*v),
        Value::Float(v) => Sql::Real(*v),
        Value::Text(v) => Sql::Text(v.clone()),
        Value::Bytes(v) => Sql::Blob(v.clone()),
        _ => Sql::Null,
    }
}

/// The value as SQLite keeps it in a column of this type.
///
/// *Errors*: one sentence, where SQLite has no exact place for it.
pub(super) fn write(value: &Value, ty: &Type, zone: Option<&TimeZone>) -> Result<rusqlite::types::Value, String> {
    use rusqlite::types::Value as Sql;
    Ok(match value {
        Value::Blank => Sql::Null,
        Value::Bool(v) => Sql::Integer(i64::from(*v)),
        Value::Int(v) => Sql::Integer(*v),
        Value::Float(v) => Sql::Real(*v),
        Value::Decimal(v) => decimal(*v, ty)?,
        Value::Text(v) | Value::Choice(v) => Sql::Text(v.clone()),
        Value::Date(v) => Sql::Text(v.to_string()),
        Value::Time(v) => Sql::Text(v.to_string()),
        Value::LocalDateTime(v) => Sql::Text(spaced(&v.to_string())),
        // A column that says that it keeps zones, and one of whose zone nobody said anything, get the zone written out.
        Value::Instant(v) => match zone {
            Some(zone) if *ty != Type::DateTime => Sql::Text(spaced(&v.to_zoned(zone.clone()).datetime().to_string())),
            _ => Sql::Text(spaced(&v.to_string())),
        },
        Value::Guid(v) => Sql::Text(v.to_string()),
        Value::Bytes(v) => Sql::Blob(v.clone()),
        // Where there are no lookups, the column holds the other row's key itself.
        Value::Reference(reference) => match reference.key.as_slice() {
            [(_, value)] => return write(value, ty, zone),
            _ => return Err("a reference by a key of several columns has no single column to go to".to_owned()),
        },
        Value::Rows(_) => return Err("lines cannot be written into a column".to_owned()),
    })
}

fn spaced(text: &str) -> String {
    text.replacen('T', " ", 1)
}

/// SQLite keeps numbers as 64-bit integers or floats: fifteen digits are exact, more only as text.
fn decimal(value: Decimal, ty: &Type) -> Result<rusqlite::types::Value, String> {
    use rusqlite::types::Value as Sql;
    let normal = value.normalize();
    if matches!(ty, Type::Text { .. } | Type::Unknown) {
        return Ok(Sql::Text(value.to_string()));
    }
    if normal.scale() == 0
        && let Ok(whole) = i64::try_from(normal.mantissa())
    {
        return Ok(Sql::Integer(whole));
    }
    if normal.mantissa().unsigned_abs() < 1_000_000_000_000_000 {
        // The shortest decimal text reads back as the same float that SQLite would store.
        let float: f64 = normal.to_string().parse().map_err(|_| "this number cannot be stored".to_owned())?;
        return Ok(Sql::Real(float));
    }
    Err("SQLite keeps only 15 digits of a number in a numeric column; declare the column TEXT to keep all".to_owned())
}

fn integer(number: i64, ty: &Type, times: &Times) -> Result<Value, String> {
    match ty {
        Type::Decimal { .. } | Type::Money => Ok(Value::Decimal(number.into())),
        Type::YesNo => match number {
            0 => Ok(Value::Bool(false)),
            1 => Ok(Value::Bool(true)),
            _ => Err("a yes/no column holds a number other than 0 and 1".to_owned()),
        },
        Type::Date | Type::LocalDateTime | Type::DateTime => {
            let millis = number.unsigned_abs() > UNIX_SECONDS_MAX;
            let at = if millis { Timestamp::from_millisecond(number) } else { Timestamp::from_second(number) };
            let at = at.map_err(|_| cannot(ty, "a number"))?;
            match ty {
                Type::Date => {
                    let at = TimeZone::UTC.to_datetime(at);
                    let is_day = at.time() == jiff::civil::Time::midnight();
                    if is_day { Ok(Value::Date(at.date())) } else { Err(text::TIME_OF_DAY.to_owned()) }
                }
                Type::LocalDateTime if times.zone.is_none() => Ok(Value::Instant(at)),
                _ => Ok(Value::Instant(at)),
            }
        }
        Type::Guid | Type::Bytes | Type::Time => Err(cannot(ty, "a number")),
        _ => Ok(Value::Int(number)),
    }
}

/// A float was written as a decimal number by somebody: its shortest text is that number again.
fn real(number: f64, ty: &Type) -> Result<Value, String> {
    if matches!(
        ty,
        Type::Date | Type::Time | Type::DateTime | Type::LocalDateTime | Type::Guid | Type::Bytes | Type::YesNo
    ) {
        return Err(cannot(ty, "a number with a fraction"));
    }
    if !number.is_finite() {
        return Err("this number is infinite".to_owned());
    }
    if let Some(short) = short(number, places(ty)) {
        return Ok(Value::Decimal(short));
    }
    if number.abs() < noise(ty) {
        return Ok(Value::Decimal(Decimal::ZERO));
    }
    let digits = format!("{number}");
    let Ok(exact) = Decimal::from_str_exact(&digits) else {
        let tiny = text::tiny(&digits).map(Value::Float);
        return tiny.ok_or_else(|| "this number has more digits than 28".to_owned());
    };
    let Type::Decimal { scale: Some(scale) } = ty else {
        // Sums of floats end in noise beyond the fifteenth digit (0.1 + 0.2); what people wrote does not.
        return Ok(Value::Decimal(without_noise(exact)));
    };
    let rounded = exact.round_dp_with_strategy(*scale, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
    let clean = without_noise(exact);
    let is_noise = || f64::try_from(exact - rounded).is_ok_and(|over| over.abs() < noise(ty));
    if without_noise(rounded) == clean || clean.scale() <= *scale || is_noise() {
        return Ok(Value::Decimal(rounded));
    }
    // More digits than declared were stored on purpose: they are kept, not rounded away.
    Ok(Value::Decimal(clean))
}

/// How far a float in a column of so many declared places may be from what was meant: what is left of 0.1 + 0.2 - 0.3 is no
/// digit that anybody wrote. Nothing where the column does not say.
pub(super) fn noise(ty: &Type) -> f64 {
    let Type::Decimal { scale: Some(scale) } = ty else { return 0.0 };
    i32::try_from(*scale).map_or(0.0, |scale| 10f64.powi(-7 - scale))
}

/// How many places a number with a fraction usually has.
pub(super) fn places(ty: &Type) -> u32 {
    if let Type::Decimal { scale: Some(scale) } = ty { *scale } else { 4 }
}

/// The number of few digits that this float was written as; nothing where there is none. It is the only one: two numbers
/// of fifteen digits never have the same float.
#[inline]
pub(super) fn short(number: f64, places: u32) -> Option<Decimal> {
    const TENS: [f64; 7] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];
    let factor = *TENS.get(places as usize)?;
    let moved = number * factor;
    if moved.is_nan() || moved.abs() >= 1e15 {
        return None;
    }
    // The nearest whole number, where there is one at all: what is not nearest is seen by the way back.
    let digits = (moved + 0.5f64.copysign(moved)) as i64;
    if digits as f64 / factor != number {
        return None;
    }
    let (mut digits, mut places) = (digits, places);
    while places > 0 && digits % 10 == 0 {
        (digits, places) = (digits / 10, places - 1);
    }
    Some(Decimal::new(digits, places))
}

fn without_noise(number: Decimal) -> Decimal {
    number.round_sf(15).unwrap_or(number).normalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::moment::Dst;

    fn check(cell: ValueRef<'_>, declaration: &str, expected: Result<Value, &str>) {
        let times = Times { zone: Some(TimeZone::get("Europe/London").unwrap()), dst: Dst::Reject };
        match (read(cell, &declared(Some(declaration)), &times), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{cell:?} as {declaration}"),
            (Err(found), Err(part)) => assert!(found.contains(part), "{found} has not {part}"),
            (found, expected) => panic!("{cell:?} as {declaration}: {found:?}, expected {expected:?}"),
        }
    }

    fn decimal(text: &str) -> Result<Value, &'static str> {
        Ok(Value::Decimal(text.parse().unwrap()))
    }

    #[test]
    fn a_cell_is_read_by_the_type_its_column_declares() {
        use ValueRef::{Blob, Integer, Null, Real, Text};
        check(Null, "TEXT", Ok(Value::Blank));
        check(Integer(7), "BIGINT", Ok(Value::Int(7)));
        check(Integer(7), "DECIMAL(12,2)", decimal("7"));
        check(Real(1234.1), "DECIMAL(12,2)", decimal("1234.10"));
        check(Real(0.1 + 0.2), "NUMERIC(10,2)", decimal("0.30"));
        check(Real(0.1 + 0.2), "REAL", decimal("0.3"));
        check(Real(-1234.5), "DECIMAL(12,2)", decimal("-1234.5"));
        check(Real(99_999_999_999.99), "DECIMAL(13,2)", decimal("99999999999.99"));
        check(Real(123_456_789_012_345.6), "REAL", decimal("123456789012346"));
        check(Real(0.000_001), "REAL", decimal("0.000001"));
        check(Real(12.345_678), "DECIMAL(12,2)", decimal("12.345678"));
        check(Real(1.005), "NUMERIC(10,2)", decimal("1.005"));
        check(Real(0.1 + 0.2 - 0.3), "DECIMAL(12,2)", decimal("0"));
        check(Real(100.1 - 100.0), "DECIMAL(12,2)", decimal("0.10"));
        check(Real(-100.1 + 100.0 + 0.1), "NUMERIC(10,0)", decimal("0"));
        check(Real(0.1 + 0.2 - 0.3), "REAL", Ok(Value::Float(0.1 + 0.2 - 0.3)));
        check(Real(0.000_001), "DECIMAL(12,2)", decimal("0.000001"));
        check(Real(f64::INFINITY), "REAL", Err("infinite"));
        check(Real(1e300), "REAL", Err("digits"));
        check(Text(b"12345678901234567890.1234"), "DECIMAL(28,4)", decimal("12345678901234567890.1234"));
        check(Text(b"1234567890123456789012345678901234"), "DECIMAL", Err("28"));
        check(Text(b" "), "DECIMAL", Ok(Value::Blank));
        check(Text(b"n/a"), "INTEGER", Err("whole_number"));
        check(Text("Zoë".as_bytes()), "VARCHAR(10)", Ok(Value::text("Zoë")));
        check(Text(b"\xff"), "TEXT", Err("UTF-8"));
        check(Text(b""), "TEXT", Ok(Value::text("")));
        check(Integer(1), "BOOLEAN", Ok(Value::Bool(true)));
        check(Integer(2), "BOOLEAN", Err("yes/no"));
        check(Text(b"2026-07-01"), "DATE", Ok(Value::Date("2026-07-01".parse().unwrap())));
        check(Text(b"2026-07-01 00:00:00"), "DATE", Ok(Value::Date("2026-07-01".parse().unwrap())));
        check(Text(b"2026-07-01 12:34:56"), "DATE", Err("time of the day"));
        check(Integer(1_782_864_001), "DATE", Err("time of the day"));
        check(Integer(1_782_864_000), "DATE", Ok(Value::Date("2026-07-01".parse().unwrap())));
        check(Text(b"2026-07-01 12:00:00"), "DATETIME", Ok(Value::Instant("2026-07-01T11:00:00Z".parse().unwrap())));
        check(Text(b"2026-07-01T12:00:00Z"), "DATETIME", Ok(Value::Instant("2026-07-01T12:00:00Z".parse().unwrap())));
        check(Text(b"2026-03-29 01:30:00"), "DATETIME", Err("does not exist"));
        check(Text(b"2026-10-25 01:30:00"), "TIMESTAMP", Err("twice"));
        check(Text(b"yesterday"), "TIMESTAMP", Err("datetime"));
        check(Integer(1_795_000_000), "DATETIME", Ok(Value::Instant(Timestamp::from_second(1_795_000_000).unwrap())));
        check(Blob(&[0, 255]), "BLOB", Ok(Value::Bytes(vec![0, 255])));
        check(
            Text(b"6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
            "UUID",
            Ok(Value::Guid("6f9619ff-8b86-d011-b42d-00cf4fc964ff".parse().unwrap())),
        );
    }

    #[test]
    fn a_number_is_stored_exactly_or_not_at_all() {
        let write =
            |text: &str, ty: &str| super::write(&Value::Decimal(text.parse().unwrap()), &declared(Some(ty)), None);
        use rusqlite::types::Value as Sql;
        assert_eq!(write("5000.00", "DECIMAL(12,2)").unwrap(), Sql::Integer(5000));
        assert_eq!(write("1234.10", "DECIMAL(12,2)").unwrap(), Sql::Real(1234.1));
        assert_eq!(write("1234.10", "TEXT").unwrap(), Sql::Text("1234.10".into()));
        assert!(write("12345678901234567890.12", "DECIMAL(28,2)").unwrap_err().contains("15 digits"));
    }
}
