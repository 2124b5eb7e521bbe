//! Dates and times as databases and files write them, read exactly.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use record::{Value, ValueRef};

/// A date and time, with or without its place on the time line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Moment {
    Instant(Timestamp),
    Civil(DateTime),
}

/// What to do with a local time that a clock change skips or repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Dst {
    #[default]
    Reject,
    Earlier,
    Later,
}

impl From<Moment> for Value {
    fn from(at: Moment) -> Value {
        match at {
            Moment::Instant(at) => Value::Instant(at),
            Moment::Civil(at) => Value::LocalDateTime(at),
        }
    }
}

impl From<Moment> for ValueRef<'_> {
    fn from(at: Moment) -> Self {
        match at {
            Moment::Instant(at) => ValueRef::Instant(at),
            Moment::Civil(at) => ValueRef::LocalDateTime(at),
        }
    }
}

impl Dst {
    pub fn of(word: Option<&str>) -> Dst {
        match word {
            Some("earlier") => Dst::Earlier,
            Some("later") => Dst::Later,
            _ => Dst::Reject,
        }
    }
}

/// Reads `2026-11-23`, `2026-11-23 10:00`, `2026-11-23T10:00:00.25`, each with `Z` or an offset behind it or none.
pub(crate) fn parse(text: &str) -> Option<Moment> {
    let text = text.trim();
    let date: Date = text.get(..10)?.parse().ok()?;
    let rest = &text[10..];
    if rest.is_empty() {
        return Some(Moment::Civil(date.to_datetime(jiff::civil::Time::midnight())));
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = (rest[..zone_at].trim_end(), &rest[zone_at..]);
    let time: jiff::civil::Time = time.parse().ok()?;
    let civil = date.to_datetime(time);
    match zone {
        "" => Some(Moment::Civil(civil)),
        "Z" | "z" => Some(Moment::Instant(TimeZone::UTC.to_timestamp(civil).ok()?)),
        _ => Some(Moment::Instant(offset(zone)?.to_timestamp(civil).ok()?)),
    }
}

/// `2026-11-23` and nothing else: most dates are written so, and a page has hundreds.
#[inline]
pub(crate) fn day(text: &[u8]) -> Option<Date> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else { return None };
    let digit = |digit: u8| i16::from(digit.wrapping_sub(b'0'));
    let digits = [y1, y2, y3, y4, m1, m2, d1, d2];
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let year = digit(y1) * 1_000 + digit(y2) * 100 + digit(y3) * 10 + digit(y4);
    let (month, day) = (digit(m1) * 10 + digit(m2), digit(d1) * 10 + digit(d2));
    Date::new(year, month as i8, day as i8).ok()
}

/// `+02`, `+0200`, `+02:00`: PostgreSQL writes the first, ISO 8601 the others.
fn offset(text: &str) -> Option<jiff::tz::Offset> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    if !matches!(digits.len(), 2 | 4 | 6) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |at: usize| digits.get(at..at + 2).map_or(Some(0), |d| d.parse::<i32>().ok());
    jiff::tz::Offset::from_seconds(sign * (part(0)? * 3600 + part(2)? * 60 + part(4)?)).ok()
}

/// As [`parse`], and a moment in the last hours of the year 9999, as open ends are written, by what a clock shows there:
/// the time line has no place for it.
pub(crate) fn parse_open(text: &str) -> Option<Moment> {
    parse(text).or_else(|| {
        let text = text.trim();
        let (day, rest) = text.split_at_checked(10)?;
        // The same hour of another day says whether a place on the time line is meant at all.
        let Moment::Instant(_) = parse(&format!("2000-01-01{rest}"))? else { return None };
        let hour = &rest[..rest.find(['Z', 'z', '+', '-'])?];
        parse(&format!("{day}{}", hour.trim_end())).filter(|at| matches!(at, Moment::Civil(at) if is_open_end(*at)))
    })
}

fn is_open_end(at: DateTime) -> bool {
    at.date() >= jiff::civil::date(9999, 12, 30)
}

/// The point in time of a local time; an open end such as `9999-12-31` stays what it is, where the time line has no place
/// for it.
///
/// *Errors*: one sentence, where the zone's clocks skipped this time or showed it twice and `dst` does not say which.
pub(crate) fn in_zone(civil: DateTime, zone: &TimeZone, dst: Dst) -> Result<Moment, String> {
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    let placed = |at: Result<Timestamp, jiff::Error>| match at {
        Ok(at) => Ok(Moment::Instant(at)),
        Err(_) if is_open_end(civil) => Ok(Moment::Civil(civil)),
        Err(e) => Err(format!("this time is out of range: {e}")),
    };
    match (ambiguous.offset(), dst) {
        (AmbiguousOffset::Unambiguous { .. }, _) => placed(ambiguous.unambiguous()),
        (_, Dst::Earlier) => placed(ambiguous.earlier()),
        (_, Dst::Later) => placed(ambiguous.later()),
        (AmbiguousOffset::Gap { .. }, Dst::Reject) => {
            Err(format!("this local time does not exist in {}: the clocks skipped it", zone_name(zone)))
        }
        (AmbiguousOffset::Fold { .. }, Dst::Reject) => {
            Err(format!("this local time exists twice in {}: the clocks were set back over it", zone_name(zone)))
        }
    }
}

fn zone_name(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("its time zone")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_way_to_write_a_time_is_read() {
        let instant = |text: &str| Some(Moment::Instant(text.parse().unwrap()));
        let civil = |text: &str| Some(Moment::Civil(text.parse().unwrap()));
        for (text, expected) in [
            ("2026-11-23", civil("2026-11-23T00:00:00")),
            ("2026-11-23 10:05", civil("2026-11-23T10:05:00")),
            ("2026-11-23T10:05:06.25", civil("2026-11-23T10:05:06.25")),
            ("2026-11-23 10:05:06Z", instant("2026-11-23T10:05:06Z")),
            ("2026-11-23T10:05:06+02:00", instant("2026-11-23T08:05:06Z")),
            ("2026-11-23 10:05:06.5 +0200", instant("2026-11-23T08:05:06.5Z")),
            ("2026-11-23 10:05:06-05", instant("2026-11-23T15:05:06Z")),
            ("2026-02-30", None),
            ("23.11.2026", None),
            ("2026-11-23x10:00", None),
            ("2026-11-23 25:00", None),
            ("2026-11-23 10:00+2", None),
            ("ä2026-11-2", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_time_that_clocks_skip_or_repeat_is_refused_or_decided() {
        let london = TimeZone::get("Europe/London").unwrap();
        let at = |text: &str, dst| in_zone(text.parse().unwrap(), &london, dst).map(|at| Value::from(at).to_string());
        assert_eq!(at("2026-07-01T12:00:00", Dst::Reject).unwrap(), "2026-07-01T11:00:00Z");
        assert!(at("2026-03-29T01:30:00", Dst::Reject).unwrap_err().contains("does not exist in Europe/London"));
        assert!(at("2026-10-25T01:30:00", Dst::Reject).unwrap_err().contains("exists twice"));
        assert_eq!(at("2026-10-25T01:30:00", Dst::Earlier).unwrap(), "2026-10-25T00:30:00Z");
        assert_eq!(at("2026-10-25T01:30:00", Dst::Later).unwrap(), "2026-10-25T01:30:00Z");
        assert_eq!(at("9999-12-31T00:00:00", Dst::Reject).unwrap(), "9999-12-31T00:00:00");
        assert_eq!(at("9999-12-29T00:00:00", Dst::Reject).unwrap(), "9999-12-29T00:00:00Z");
    }

    #[test]
    fn an_open_end_is_what_a_clock_shows() {
        for (text, expected) in [
            ("9999-12-31T23:59:59.999Z", Some("9999-12-31T23:59:59.999")),
            ("9999-12-31 00:00:00+01", Some("9999-12-31T00:00:00")),
            ("9999-12-31T00:00:00+01:00x", None),
            ("9999-12-30T21:59:59Z", Some("9999-12-30T21:59:59Z")),
            ("9999-12-31", Some("9999-12-31T00:00:00")),
            ("infinity", None),
            ("9999-12-3", None),
        ] {
            assert_eq!(parse_open(text).map(|at| Value::from(at).to_string()).as_deref(), expected, "{text}");
        }
    }
}
