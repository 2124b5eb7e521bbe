//! PostgreSQL's types, and its texts of values.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use jiff::tz::TimeZone;
use record::{Decimal, Type, Value};
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type as PgType};

use crate::sql::cell::civil;
use crate::sql::text::{self, Times, cannot};

/// What a type means, with the modifier of its column (`-1` for none).
pub(super) fn declared(ty: &PgType, modifier: i32) -> Type {
    if let Kind::Domain(of) = ty.kind() {
        return declared(of, modifier);
    }
    match *ty {
        PgType::BOOL => Type::YesNo,
        PgType::INT2 | PgType::INT4 | PgType::INT8 | PgType::OID => Type::WholeNumber,
        PgType::NUMERIC => Type::Decimal { scale: (modifier >= 4).then(|| places(modifier)) },
        PgType::FLOAT4 | PgType::FLOAT8 => Type::Decimal { scale: None },
        PgType::MONEY => Type::Money,
        PgType::VARCHAR | PgType::BPCHAR => {
            Type::Text { max_length: u32::try_from(modifier - 4).ok().filter(|_| modifier >= 4) }
        }
        PgType::DATE => Type::Date,
        PgType::TIME => Type::Time,
        PgType::TIMESTAMP => Type::LocalDateTime,
        PgType::TIMESTAMPTZ => Type::DateTime,
        PgType::UUID => Type::Guid,
        PgType::BYTEA => Type::Bytes,
        PgType::TEXT | PgType::JSON | PgType::JSONB | PgType::XML | PgType::NAME => Type::Text { max_length: None },
        _ if matches!(ty.kind(), Kind::Enum(_)) || ty.name() == "citext" => Type::Text { max_length: None },
        _ => Type::Unknown,
    }
}

/// Whether its texts are compared by a collation.
pub(super) fn has_collation(ty: &PgType) -> bool {
    match ty.kind() {
        Kind::Domain(of) => has_collation(of),
        _ => matches!(*ty, PgType::TEXT | PgType::VARCHAR | PgType::BPCHAR),
    }
}

/// The places of a `numeric` by its modifier. *Source*: numeric.c, whose scale has eleven bits with a sign: `numeric(5,-2)`
/// holds hundreds.
fn places(modifier: i32) -> u32 {
    let scale = (((modifier - 4) & 0x7ff) ^ 0x400) - 0x400;
    u32::try_from(scale).unwrap_or(0)
}

/// What a column keeps of a number or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holds {
    /// A float, of four bytes (`true`) or of eight.
    pub float: Option<bool>,
    /// Digits of a second.
    pub fraction: u32,
}

impl Default for Holds {
    fn default() -> Holds {
        Holds { float: None, fraction: 9 }
    }
}

/// What a column of this type, with its modifier, keeps.
pub(super) fn holds(ty: &PgType, modifier: i32) -> Holds {
    if let Kind::Domain(of) = ty.kind() {
        return holds(of, modifier);
    }
    match *ty {
        PgType::FLOAT4 | PgType::FLOAT8 => Holds { float: Some(*ty == PgType::FLOAT4), ..Holds::default() },
        PgType::TIMESTAMP | PgType::TIMESTAMPTZ => {
            Holds { fraction: u32::try_from(modifier).unwrap_or(6), ..Holds::default() }
        }
        _ => Holds::default(),
    }
}

/// The texts of an enumeration, in its order.
pub(super) fn labels(ty: &PgType) -> Vec<String> {
    match ty.kind() {
        Kind::Domain(of) => labels(of),
        Kind::Enum(labels) => labels.clone(),
        _ => Vec::new(),
    }
}

/// A column as the text that [`read`] takes. An amount of type `money` has the server's currency sign otherwise.
pub(super) fn as_text(column: &str, is_money: bool) -> String {
    if is_money { format!("({column})::numeric::text") } else { format!("({column})::text") }
}

/// PostgreSQL's text of a value as its column's type means it.
///
/// *Errors*: one sentence that does not hold the value.
pub(super) fn read(cell: Option<&str>, ty: &Type, times: &Times) -> Result<Value, String> {
    let Some(cell) = cell else { return Ok(Value::Blank) };
    match ty {
        Type::Bytes => {
            let digits = cell.strip_prefix("\\x").unwrap_or(cell).as_bytes();
            let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
            let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
            bytes.map(Value::Bytes).ok_or_else(|| cannot(ty, "a text"))
        }
        Type::Decimal { scale: None } if cell.contains(['e', 'E']) => {
            let number = Decimal::from_scientific(cell).ok().map(Value::Decimal);
            let number = number.or_else(|| text::tiny(cell).map(Value::Float));
            number.ok_or_else(|| "this number has more digits than 28".to_owned())
        }
        _ => text::read(cell, ty, times),
    }
}

/// The text that PostgreSQL takes for a value in a column of this type; `None` for blank. Digits of a second that the
/// column does not keep are cut, so that it is never later than it was: the server would round them up.
///
/// *Errors*: one sentence, where there is no such text, or the column would keep another number.
pub(super) fn write(value: &Value, ty: &Type, holds: Holds, zone: Option<&TimeZone>) -> Result<Option<String>, String> {
    let digits = holds.fraction;
    Ok(Some(match value {
        Value::Blank => return Ok(None),
        Value::Instant(at) => match zone {
            Some(zone) if *ty != Type::DateTime => civil(at.to_zoned(zone.clone()).datetime(), digits),
            _ if !is_time(ty) => at.to_string(),
            _ => format!("{}Z", civil(TimeZone::UTC.to_datetime(*at), digits)),
        },
        Value::LocalDateTime(at) if is_time(ty) => civil(*at, digits),
        Value::Bytes(bytes) => {
            format!("\\x{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        // Where there are no lookups, the column holds the other row's key itself.
        Value::Reference(reference) => match reference.key.as_slice() {
            [(_, value)] => return write(value, ty, holds, zone),
            _ => return Err("a reference by a key of several columns has no single column to go to".to_owned()),
        },
        Value::Rows(_) => return Err("lines cannot be written into a column".to_owned()),
        Value::Text(text) | Value::Choice(text) if text.contains('\0') => {
            return Err("PostgreSQL keeps no text with a zero byte in it".to_owned());
        }
        Value::Text(text) | Value::Choice(text) => text.clone(),
        Value::Int(number) => in_float((*number).into(), holds)?,
        Value::Decimal(number) => in_float(*number, holds)?,
        Value::Bool(_) | Value::Date(_) | Value::Time(_) => value.to_string(),
        Value::Float(_) | Value::LocalDateTime(_) | Value::Guid(_) => value.to_string(),
    }))
}

fn is_time(ty: &Type) -> bool {
    matches!(ty, Type::DateTime | Type::LocalDateTime | Type::Date)
}

fn in_float(number: Decimal, holds: Holds) -> Result<String, String> {
    holds.float.map_or(Ok(()), |is_short| text::in_float(number, is_short))?;
    Ok(number.to_string())
}

/// A parameter of any type, given as PostgreSQL's text of it: bound, never put into the statement.
#[derive(Debug, Clone)]
pub(super) struct AsText(pub Option<String>);

impl ToSql for AsText {
    fn to_sql(&self, _: &PgType, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.0 {
            None => Ok(IsNull::Yes),
            Some(text) => {
                out.put_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &PgType) -> bool {
        true
    }

    fn encode_format(&self, _: &PgType) -> Format {
        Format::Text
    }

    tokio_postgres::types::to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::moment::Dst;

    #[test]
    fn a_scale_has_a_sign() {
        for (precision, scale, places) in [(12, 2, 2), (5, 0, 0), (5, -2, 0), (1000, 1000, 1000)] {
            let modifier = ((precision << 16) | (scale & 0x7ff)) + 4;
            assert_eq!(declared(&PgType::NUMERIC, modifier), Type::Decimal { scale: Some(places) });
        }
        assert_eq!(declared(&PgType::NUMERIC, -1), Type::Decimal { scale: None });
    }

    #[test]
    fn a_text_is_read_by_the_type_of_its_column() {
        let check = |cell: &str, ty: &PgType, expected: Result<Value, &str>| {
            let times = Times { zone: Some(TimeZone::get("Europe/London").unwrap()), dst: Dst::Reject };
            match (read(Some(cell), &declared(ty, -1), &times), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{cell} as {ty}"),
                (Err(found), Err(part)) => assert!(found.contains(part), "{found} has not {part}"),
                (found, expected) => panic!("{cell} as {ty}: {found:?}, expected {expected:?}"),
            }
        };
        let decimal = |text: &str| Ok(Value::Decimal(text.parse().unwrap()));
        check("t", &PgType::BOOL, Ok(Value::Bool(true)));
        check("-7", &PgType::INT8, Ok(Value::Int(-7)));
        check("1234567890.10", &PgType::NUMERIC, decimal("1234567890.10"));
        check("1e-05", &PgType::FLOAT8, decimal("0.00001"));
        check("5.551115123125783e-17", &PgType::FLOAT8, Ok(Value::Float(5.551115123125783e-17)));
        check("NaN", &PgType::FLOAT8, Err("decimal"));
        check("infinity", &PgType::TIMESTAMPTZ, Err("datetime"));
        check(
            "2026-07-01 11:00:00.25+00",
            &PgType::TIMESTAMPTZ,
            Ok(Value::Instant("2026-07-01T11:00:00.25Z".parse().unwrap())),
        );
        check("2026-07-01 12:00:00", &PgType::TIMESTAMP, Ok(Value::Instant("2026-07-01T11:00:00Z".parse().unwrap())));
        check("2026-03-29 01:30:00", &PgType::TIMESTAMP, Err("does not exist"));
        check("\\x00ff", &PgType::BYTEA, Ok(Value::Bytes(vec![0, 255])));
        check("Zoë", &PgType::TEXT, Ok(Value::text("Zoë")));
    }
}
