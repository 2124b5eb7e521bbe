//! PostgreSQL's binary forms of values, read into cells without a text between them.
//!
//! A type whose form is not known here comes as PostgreSQL's text of it. Both ways give the same values; a test compares
//! them.
//!
//! *Source*: the `…_send` functions of PostgreSQL 15 (`src/backend/utils/adt`), which are stable across versions.

use std::error::Error;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;
use record::{Decimal, Type, ValueRef};
use tokio_postgres::types::{FromSql, Kind, Type as PgType};
use uuid::Uuid;

use super::value;
use crate::sql::moment::{self, Moment};
use crate::sql::text::{Times, cannot};

/// How the cells of a column come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// The text itself.
    Text,
    /// PostgreSQL's text of a value of another type.
    AsText,
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Numeric,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Uuid,
    Bytes,
}

impl Wire {
    /// How a column of this type is asked for, and how it comes then.
    pub fn of(ty: &PgType, column: &str) -> (String, Wire) {
        if let Kind::Domain(of) = ty.kind() {
            return Wire::of(of, column);
        }
        let wire = match *ty {
            PgType::TEXT | PgType::VARCHAR | PgType::NAME | PgType::JSON => Wire::Text,
            PgType::BOOL => Wire::Bool,
            PgType::INT2 => Wire::Int2,
            PgType::INT4 => Wire::Int4,
            PgType::INT8 => Wire::Int8,
            PgType::OID => Wire::Oid,
            PgType::NUMERIC => Wire::Numeric,
            // Its text has the server's currency sign.
            PgType::MONEY => return (format!("({column})::numeric"), Wire::Numeric),
            PgType::DATE => Wire::Date,
            PgType::TIME => Wire::Time,
            PgType::TIMESTAMP => Wire::Timestamp,
            PgType::TIMESTAMPTZ => Wire::TimestampTz,
            PgType::UUID => Wire::Uuid,
            PgType::BYTEA => Wire::Bytes,
            _ => return (value::as_text(column, false), Wire::AsText),
        };
        (column.to_owned(), wire)
    }
}

/// A cell as it came.
pub(super) struct Raw<'a>(pub &'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &PgType, raw: &'a [u8]) -> Result<Raw<'a>, Box<dyn Error + Sync + Send>> {
        Ok(Raw(raw))
    }

    fn accepts(_: &PgType) -> bool {
        true
    }
}

/// Why a cell cannot be read: one sentence that does not hold the value, and the value as people write it.
#[derive(Debug, PartialEq)]
pub(super) struct Misread {
    pub why: String,
    pub shown: String,
}

/// A cell as its column's type means it.
pub(super) fn read<'a>(cell: Option<&'a [u8]>, wire: Wire, ty: &Type, times: &Times) -> Result<ValueRef<'a>, Misread> {
    let Some(cell) = cell else { return Ok(ValueRef::Blank) };
    let none_of_it = |shown: String| Misread { why: cannot(ty, "a text"), shown };
    // What comes otherwise than the form says is not from PostgreSQL as we know it.
    let unknown = || none_of_it(format!("{} bytes", cell.len()));
    match wire {
        Wire::Text => text(cell, ty).map(ValueRef::Text),
        Wire::AsText => {
            let text = text(cell, ty)?;
            let misread = |why| Misread { why, shown: text.to_owned() };
            match value::read(Some(text), ty, times).map_err(misread)? {
                record::Value::Decimal(number) => Ok(ValueRef::Decimal(number)),
                record::Value::Float(number) => Ok(ValueRef::Float(number)),
                // Only floats are anything else than their text.
                _ => Ok(ValueRef::Text(text)),
            }
        }
        Wire::Bool => Ok(ValueRef::Bool(cell == [1])),
        Wire::Int2 => fixed(cell).map(|b| ValueRef::Int(i16::from_be_bytes(b).into())).ok_or_else(unknown),
        Wire::Int4 => fixed(cell).map(|b| ValueRef::Int(i32::from_be_bytes(b).into())).ok_or_else(unknown),
        Wire::Int8 => fixed(cell).map(|b| ValueRef::Int(i64::from_be_bytes(b))).ok_or_else(unknown),
        Wire::Oid => fixed(cell).map(|b| ValueRef::Int(u32::from_be_bytes(b).into())).ok_or_else(unknown),
        Wire::Numeric => {
            let numeric = Numeric::of(cell).ok_or_else(unknown)?;
            let why = || match numeric.sign {
                POSITIVE | NEGATIVE => "this number has more digits than 28".to_owned(),
                _ => cannot(ty, "a text"),
            };
            numeric.exact().map(ValueRef::Decimal).ok_or_else(|| Misread { why: why(), shown: numeric.to_text() })
        }
        Wire::Date => {
            let days = i32::from_be_bytes(fixed(cell).ok_or_else(unknown)?);
            let date = if days == i32::MAX || days == i32::MIN { None } else { date(days.into()) };
            date.map(ValueRef::Date)
                .ok_or_else(|| none_of_it(shown_days(days.into(), days == i32::MAX, days == i32::MIN)))
        }
        Wire::Time => {
            let micros = i64::from_be_bytes(fixed(cell).ok_or_else(unknown)?);
            time(micros).map(ValueRef::Time).ok_or_else(|| none_of_it(shown_time(micros)))
        }
        Wire::Timestamp | Wire::TimestampTz => {
            let micros = i64::from_be_bytes(fixed(cell).ok_or_else(unknown)?);
            let at = moment_of(micros).ok_or_else(|| none_of_it(shown_moment(micros)))?;
            if wire == Wire::TimestampTz {
                return Ok(at.into());
            }
            let civil = civil_of(at);
            match &times.zone {
                None => Ok(ValueRef::LocalDateTime(civil)),
                Some(zone) => {
                    let misread = |why| Misread { why, shown: shown_moment(micros) };
                    moment::in_zone(civil, zone, times.dst).map(ValueRef::from).map_err(misread)
                }
            }
        }
        Wire::Uuid => fixed(cell).map(|b| ValueRef::Guid(Uuid::from_bytes(b))).ok_or_else(unknown),
        Wire::Bytes => Ok(ValueRef::Bytes(cell)),
    }
}

/// The session's encoding is UTF-8; a database of encoding `SQL_ASCII` may send anything all the same.
fn text<'a>(cell: &'a [u8], ty: &Type) -> Result<&'a str, Misread> {
    std::str::from_utf8(cell).map_err(|_| Misread {
        why: format!("the column is declared as {}, and this row holds bytes that are no text", ty.word()),
        shown: String::from_utf8_lossy(cell).into_owned(),
    })
}

fn fixed<const N: usize>(cell: &[u8]) -> Option<[u8; N]> {
    cell.try_into().ok()
}

/// A number as PostgreSQL keeps it: groups of four digits, the first of them worth 10000 to the power of `weight`.
struct Numeric<'a> {
    groups: &'a [u8],
    weight: i16,
    sign: u16,
    /// Digits after the point, as it is written.
    scale: u16,
}

const POSITIVE: u16 = 0;
const NEGATIVE: u16 = 0x4000;
const INFINITE: u16 = 0xD000;
const NEGATIVE_INFINITE: u16 = 0xF000;

impl Numeric<'_> {
    fn of(cell: &[u8]) -> Option<Numeric<'_>> {
        let (head, groups) = cell.split_first_chunk::<8>()?;
        let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let whole = groups.len() == usize::from(number(0)) * 2;
        whole.then_some(Numeric { groups, weight: number(2) as i16, sign: number(4), scale: number(6) })
    }

    fn groups(&self) -> impl ExactSizeIterator<Item = u16> {
        self.groups.chunks_exact(2).map(|group| u16::from_be_bytes([group[0], group[1]]))
    }

    /// `None`: it has more digits than a decimal holds, or is none.
    fn exact(&self) -> Option<Decimal> {
        // Nine groups are at least 33 digits, less zeros at the end.
        if self.groups().len() > 9 || !matches!(self.sign, POSITIVE | NEGATIVE) {
            return None;
        }
        let mut mantissa: i128 = self.groups().fold(0, |number, group| number * 10_000 + i128::from(group));
        let after_point = 4 * (self.groups().len() as i32 - 1 - i32::from(self.weight));
        let scale = i32::from(self.scale);
        if mantissa != 0 && after_point > scale {
            mantissa /= 10i128.checked_pow(u32::try_from(after_point - scale).ok()?)?;
        } else if mantissa != 0 {
            mantissa = mantissa.checked_mul(10i128.checked_pow(u32::try_from(scale - after_point).ok()?)?)?;
        }
        let mantissa = if self.sign == NEGATIVE { -mantissa } else { mantissa };
        Decimal::try_from_i128_with_scale(mantissa, u32::from(self.scale)).ok()
    }

    fn to_text(&self) -> String {
        match self.sign {
            POSITIVE | NEGATIVE => {}
            INFINITE => return "Infinity".to_owned(),
            NEGATIVE_INFINITE => return "-Infinity".to_owned(),
            _ => return "NaN".to_owned(),
        }
        let group = |power: i32| {
            let at = usize::try_from(i32::from(self.weight) - power).ok();
            at.and_then(|at| self.groups().nth(at)).unwrap_or(0)
        };
        let whole: String =
            (0..=i32::from(self.weight).max(0)).rev().map(|power| format!("{:04}", group(power))).collect();
        let whole = whole.trim_start_matches('0');
        let groups_after = i32::from(self.scale).div_euclid(4) + 1;
        let after: String = (1..=groups_after).map(|power| format!("{:04}", group(-power))).collect();
        let after = &after[..usize::from(self.scale)];
        let sign = if self.sign == NEGATIVE { "-" } else { "" };
        let point = if after.is_empty() { "" } else { "." };
        format!("{sign}{}{point}{after}", if whole.is_empty() { "0" } else { whole })
    }
}

/// PostgreSQL counts from the year 2000.
const EPOCH_DAYS: i64 = 10_957;
const DAY_SECONDS: i64 = 86_400;
const EPOCH_MICROS: i64 = EPOCH_DAYS * DAY_SECONDS * 1_000_000;

/// `None`: infinite, before the year 1, or after 9999. The last hours of that year have no place on the time line, and
/// are what a clock in UTC shows.
fn moment_of(micros: i64) -> Option<Moment> {
    let since_1970 = micros.checked_add(EPOCH_MICROS)?;
    match jiff::Timestamp::from_microsecond(since_1970) {
        Ok(at) => Some(Moment::Instant(at)).filter(|_| Offset::UTC.to_datetime(at).year() >= 1),
        Err(_) => {
            let far = jiff::SignedDuration::from_micros(since_1970);
            let civil = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0).checked_add(far).ok()?;
            Some(Moment::Civil(civil)).filter(|_| civil.year() >= 1)
        }
    }
}

fn civil_of(at: Moment) -> DateTime {
    match at {
        Moment::Instant(at) => Offset::UTC.to_datetime(at),
        Moment::Civil(at) => at,
    }
}

fn date(days: i64) -> Option<Date> {
    moment_of(days.checked_mul(DAY_SECONDS * 1_000_000)?).map(|at| civil_of(at).date())
}

fn time(micros: i64) -> Option<Time> {
    let seconds = micros.div_euclid(1_000_000);
    let nanos = micros.rem_euclid(1_000_000) as i32 * 1000;
    let hour = i8::try_from(seconds / 3600).ok()?;
    Time::new(hour, (seconds / 60 % 60) as i8, (seconds % 60) as i8, nanos).ok()
}

fn shown_time(micros: i64) -> String {
    let seconds = micros.div_euclid(1_000_000);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn shown_moment(micros: i64) -> String {
    let day = DAY_SECONDS * 1_000_000;
    let (infinite, minus_infinite) = (micros == i64::MAX, micros == i64::MIN);
    let date = shown_days(micros.div_euclid(day), infinite, minus_infinite);
    if infinite || minus_infinite { date } else { format!("{date} {}", shown_time(micros.rem_euclid(day))) }
}

/// A date of any year, as PostgreSQL writes it.
fn shown_days(days: i64, infinite: bool, minus_infinite: bool) -> String {
    if infinite || minus_infinite {
        return if infinite { "infinity" } else { "-infinity" }.to_owned();
    }
    // Howard Hinnant's `civil_from_days`: eras of 400 years that begin in March.
    let since = days + EPOCH_DAYS + 719_468;
    let (era, day) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    match year {
        ..=0 => format!("{:04}-{month:02}-{day_of_month:02} BC", 1 - year),
        _ => format!("{year:04}-{month:02}-{day_of_month:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(groups: &[u16], weight: i16, sign: u16, scale: u16) -> Vec<u8> {
        let head = [groups.len() as u16, weight as u16, sign, scale];
        head.iter().chain(groups).flat_map(|part| part.to_be_bytes()).collect()
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        for (groups, weight, sign, scale, expected) in [
            (&[][..], 0, POSITIVE, 0, "0"),
            (&[], 0, POSITIVE, 2, "0.00"),
            (&[12, 3400], 0, POSITIVE, 2, "12.34"),
            (&[12, 3400], 0, NEGATIVE, 4, "-12.3400"),
            (&[1], 1, POSITIVE, 0, "10000"),
            (&[1], 2, POSITIVE, 3, "100000000.000"),
            (&[5], -1, POSITIVE, 4, "0.0005"),
            (&[5000], -2, POSITIVE, 5, "0.00005"),
            (&[1234, 5678, 9012, 3456, 7890, 1234], 4, POSITIVE, 4, "12345678901234567890.1234"),
        ] {
            let cell = numeric(groups, weight, sign, scale);
            let number = Numeric::of(&cell).unwrap();
            assert_eq!(number.exact().unwrap().to_string(), expected);
            assert_eq!(number.to_text(), expected);
        }
        for (groups, weight, sign, scale, shown) in [
            (&[1][..], 7, POSITIVE, 0, "10000000000000000000000000000"),
            (&[1], 8, POSITIVE, 0, "100000000000000000000000000000000"),
            (&[1], -8, NEGATIVE, 32, "-0.00000000000000000000000000000001"),
            (&[], 0, 0xC000, 0, "NaN"),
            (&[], 0, INFINITE, 0, "Infinity"),
        ] {
            let cell = numeric(groups, weight, sign, scale);
            let number = Numeric::of(&cell).unwrap();
            if shown != "10000000000000000000000000000" {
                assert_eq!(number.exact(), None, "{shown}");
            }
            assert_eq!(number.to_text(), shown);
        }
        assert!(Numeric::of(&[0, 1, 0, 0, 0, 0, 0, 0]).is_none() && Numeric::of(&[0, 0]).is_none());
    }

    #[test]
    fn days_of_any_year_are_shown() {
        for (days, shown) in [
            (0, "2000-01-01"),
            (-1, "1999-12-31"),
            (59, "2000-02-29"),
            (60, "2000-03-01"),
            (2_921_940, "10000-01-01"),
            (-730_119, "0001-01-01"),
            (-730_120, "0001-12-31 BC"),
        ] {
            assert_eq!(shown_days(days, false, false), shown);
        }
        assert_eq!(date(2_921_940), None);
        assert_eq!(date(-730_120), None);
        assert_eq!(date(-730_119), Some(jiff::civil::date(1, 1, 1)));
        assert_eq!(date(2_921_939), Some(jiff::civil::date(9999, 12, 31)));
        let last = 2_921_940 * DAY_SECONDS * 1_000_000 - 1;
        assert_eq!(moment_of(last).map(|at| civil_of(at).to_string()).as_deref(), Some("9999-12-31T23:59:59.999999"));
        assert_eq!(moment_of(last + 1), None);
        assert_eq!((time(86_400_000_000), shown_time(86_400_000_000)), (None, "24:00:00".to_owned()));
        assert_eq!(shown_moment(i64::MAX), "infinity");
    }
}
