//! Arithmetic with watermarks: how far to read back, and never further than the source's clock.
//!
//! A watermark is a time or a number that the source counts up. A time may be a text in one of many styles; it is
//! compared by the source in that style, so whatever is computed is written in the style of the value it came from.

use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use record::{Code, Fault, Type, Value};

use super::moment::{self, Moment};

/// What is known of the source's time.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    pub now: Timestamp,
    /// The zone of times that come without one; UTC where nothing is said.
    pub zone: TimeZone,
}

/// Whether whole numbers in the watermark column are times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    Count,
    /// Seconds since 1970, or milliseconds where they are too large to be seconds.
    Unix,
}

/// Where a window of time ends, as a watermark.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Until {
    /// How a watermark within the window compares with `value`.
    pub sign: &'static str,
    pub value: Value,
}

impl Clock {
    /// The watermark, or the clock where the watermark is ahead of it: a row from the future must not hide the rows of
    /// the time until then.
    pub fn limit(&self, watermark: Value, numbers: Numbers) -> Value {
        let limited = read(&watermark, numbers).and_then(|at| {
            let earlier = match at {
                Moment::Instant(at) => Moment::Instant(at.min(self.now)),
                Moment::Civil(at) => Moment::Civil(at.min(self.civil(self.now))),
            };
            write(&watermark, earlier)
        });
        limited.unwrap_or(watermark)
    }

    /// The place from which to read again, so that what committed late is seen. A number says nothing of
    /// time: it stays.
    pub fn back(&self, watermark: &Value, overlap: Duration, numbers: Numbers) -> Value {
        let overlap = SignedDuration::try_from(overlap).unwrap_or(SignedDuration::MAX);
        let back = read(watermark, numbers).and_then(|at| {
            let earlier = match at {
                Moment::Instant(at) => Moment::Instant(at.saturating_sub(overlap).unwrap_or(Timestamp::MIN)),
                Moment::Civil(at) => Moment::Civil(self.before_set_back(at.saturating_sub(overlap))),
            };
            write(watermark, earlier)
        });
        back.unwrap_or_else(|| watermark.clone())
    }

    /// Why a read does not go on from a watermark of the last one, which reaches back so far: the column is another one by
    /// now, whose values have another order, or the place is behind the clock, so that it hides what changes until then.
    pub fn lost(&self, since: &Value, overlap: Duration, ty: &Type, numbers: Numbers) -> Option<String> {
        let why = if !is_of(since, ty) {
            OTHER_TYPE
        } else if self.is_ahead(&self.back(since, overlap, numbers), numbers) {
            "the place of the last read lies in the future"
        } else {
            return None;
        };
        Some(why.to_owned())
    }

    /// Whether a watermark is a time that has not come.
    pub fn is_ahead(&self, watermark: &Value, numbers: Numbers) -> bool {
        read(watermark, numbers).and_then(|at| self.instant(at)).is_some_and(|at| at > self.now)
    }

    /// A window of time as watermarks like this one: from the first one on. `None` where that is no time.
    pub fn window(&self, like: &Value, (from, to): (Timestamp, Timestamp), numbers: Numbers) -> Option<(Value, Until)> {
        let (from, value) = (self.at(like, from, numbers)?, self.at(like, to, numbers)?);
        // A day, or a time without seconds, also holds what is just before the end.
        let is_cut = self.instant(read(&value, numbers)?).is_some_and(|at| at < to);
        Some((from, Until { sign: if is_cut { "<=" } else { "<" }, value }))
    }

    /// A moment as a watermark like this one; `None` where that is no time.
    fn at(&self, like: &Value, at: Timestamp, numbers: Numbers) -> Option<Value> {
        let at = match read(like, numbers)? {
            Moment::Instant(_) => Moment::Instant(at),
            Moment::Civil(_) => Moment::Civil(self.civil(at)),
        };
        write(like, at)
    }

    fn civil(&self, at: Timestamp) -> DateTime {
        self.zone.to_datetime(at)
    }

    fn instant(&self, at: Moment) -> Option<Timestamp> {
        match at {
            Moment::Instant(at) => Some(at),
            Moment::Civil(at) => self.zone.to_ambiguous_timestamp(at).earlier().ok(),
        }
    }

    /// When clocks were set back since `at`, rows written afterwards carry local times from before it: start there.
    fn before_set_back(&self, at: DateTime) -> DateTime {
        let Ok(instant) = self.zone.to_ambiguous_timestamp(at).earlier() else { return at };
        let mut offset = self.zone.to_offset(instant);
        let mut earliest = at;
        for change in self.zone.following(instant).take_while(|change| change.timestamp() <= self.now) {
            if change.offset() < offset {
                earliest = earliest.min(change.offset().to_datetime(change.timestamp()));
            }
            offset = change.offset();
        }
        earliest
    }
}

/// The last watermark of a column of this type, which was `written` so. What is behind the calendar, as `infinity` is, is in
/// the future like any day that has not come; what is no value at all is none to go on from.
pub(crate) fn last(value: Result<Value, String>, written: Option<&str>, ty: &Type) -> Value {
    let is_late = |text: &str| !text.starts_with('-') && !text.ends_with("BC");
    match (value, ty) {
        // An open end such as 9999-12-31, for which the time line has no place.
        (Ok(Value::LocalDateTime(_)), Type::DateTime) => Value::Instant(Timestamp::MAX),
        (Ok(value), _) => value,
        (Err(_), Type::DateTime) if written.is_some_and(is_late) => Value::Instant(Timestamp::MAX),
        (Err(_), Type::LocalDateTime) if written.is_some_and(is_late) => Value::LocalDateTime(DateTime::MAX),
        (Err(_), Type::Date) if written.is_some_and(is_late) => Value::Date(Date::MAX),
        (Err(_), _) => Value::Blank,
    }
}

/// Why a read does not go on from a number of the last one: the largest of all is less by now. Where only the newest row is
/// gone, everything is compared once; where the source is that of an earlier day, what changed in it since has numbers that
/// were read long ago.
pub(crate) fn counts_anew(since: &Value, last: &Value) -> Option<String> {
    let is_less = match (since, last) {
        (Value::Int(since), Value::Int(last)) => last < since,
        (Value::Decimal(since), Value::Decimal(last)) => last < since,
        _ => false,
    };
    is_less.then(|| format!("the largest number of the watermark is {last}, and everything up to {since} was read"))
}

/// Days and months first, as `27.11.2026` and `11/27/2026`: such texts are not in the order of time.
///
/// *Errors*: what to do about it.
pub(crate) fn in_order(last: &Value, system: &str, table: &str, column: &str) -> Result<(), Box<Fault>> {
    let Value::Text(text) = last else { return Ok(()) };
    let digits = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = text.trim().splitn(3, ['.', '/']);
    let is_year = |text: &str| text.len() >= 4 && text.bytes().take(4).all(|byte| byte.is_ascii_digit());
    match (parts.next(), parts.next(), parts.next()) {
        (Some(one), Some(other), Some(rest)) if digits(one) && digits(other) && is_year(rest.trim_start()) => {}
        _ => return Ok(()),
    }
    let what = format!("the watermark `{column}` of `{table}` holds times such as `{text}`, which do not sort by time");
    Err(Box::new(Fault::stop(Code("IB0636"), what).at_system(system).at_table(table).at_column(column).fix(
        "read the table by a `query:` that writes them as 2026-11-27 10:00, or leave `watermark:` out: then everything is read each time",
    )))
}

/// Whether a watermark may have been read from a column of this type.
fn is_of(watermark: &Value, ty: &Type) -> bool {
    match ty {
        Type::DateTime => matches!(watermark, Value::Instant(_)),
        Type::LocalDateTime => matches!(watermark, Value::LocalDateTime(_)),
        Type::Date => matches!(watermark, Value::Date(_)),
        Type::WholeNumber => matches!(watermark, Value::Int(_)),
        Type::Decimal { .. } | Type::Float => {
            matches!(watermark, Value::Int(_) | Value::Decimal(_) | Value::Float(_))
        }
        Type::Text { .. } | Type::Multiline { .. } => matches!(watermark, Value::Text(_)),
        _ => true,
    }
}

pub(crate) const OTHER_TYPE: &str = "the watermark column holds values of another type than in the last read";

/// When a watermark was; `None` where it is no time.
fn read(watermark: &Value, numbers: Numbers) -> Option<Moment> {
    Some(match watermark {
        Value::Instant(at) => Moment::Instant(*at),
        Value::LocalDateTime(at) => Moment::Civil(*at),
        Value::Date(at) => Moment::Civil(at.to_datetime(jiff::civil::Time::midnight())),
        Value::Int(number) if numbers == Numbers::Unix => Moment::Instant(match is_millis(*number) {
            true => Timestamp::from_millisecond(*number).ok()?,
            false => Timestamp::from_second(*number).ok()?,
        }),
        Value::Text(text) => match moment::parse(text) {
            Some(at) => at,
            // It has a zone, and is behind all that the time line has.
            None => moment::parse_open(text).map(|_| Moment::Instant(Timestamp::MAX))?,
        },
        _ => return None,
    })
}

/// A moment, written as `like` is; `None` where that is the other kind of moment.
fn write(like: &Value, at: Moment) -> Option<Value> {
    Some(match (like, at) {
        (Value::Instant(_), Moment::Instant(at)) => Value::Instant(at),
        (Value::LocalDateTime(_), Moment::Civil(at)) => Value::LocalDateTime(at),
        (Value::Date(_), Moment::Civil(at)) => Value::Date(at.date()),
        (Value::Int(like), Moment::Instant(at)) => {
            Value::Int(if is_millis(*like) { at.as_millisecond() } else { at.as_second() })
        }
        (Value::Text(like), at) => Value::Text(in_style(like, at)),
        _ => return None,
    })
}

fn is_millis(number: i64) -> bool {
    number.unsigned_abs() > UNIX_SECONDS_MAX
}

/// Seconds up to the year 5138; as milliseconds the same number is March 1973.
pub(crate) const UNIX_SECONDS_MAX: u64 = 99_999_999_999;

/// `at`, written as `like` is: the same separator, digits of the second and zone suffix. Cut, never rounded up.
fn in_style(like: &str, at: Moment) -> String {
    let like = like.trim();
    let rest = like.get(10..).unwrap_or("");
    let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, suffix) = (rest[..zone_at].trim_end(), rest[zone_at..].to_owned());
    let gap = &rest[time.len()..zone_at];
    let civil = match at {
        Moment::Civil(civil) => civil,
        Moment::Instant(instant) => {
            // How far the clock of the style is ahead, by the same zone behind a known time.
            let known = moment::parse(&format!("2000-01-01T00:00{}", rest[zone_at..].trim()));
            let ahead = match known {
                Some(Moment::Instant(shown)) => {
                    jiff::civil::date(2000, 1, 1).at(0, 0, 0, 0).duration_since(TimeZone::UTC.to_datetime(shown))
                }
                _ => SignedDuration::ZERO,
            };
            TimeZone::UTC.to_datetime(instant.saturating_add(ahead).unwrap_or(instant))
        }
    };
    let mut out = civil.date().to_string();
    if let Some(separator) = time.chars().next() {
        out.push(separator);
        let fraction = time.split_once('.').map_or(0, |(_, digits)| digits.len().min(9));
        out.push_str(&format!("{:02}:{:02}", civil.hour(), civil.minute()));
        if time.matches(':').count() > 1 {
            out.push_str(&format!(":{:02}", civil.second()));
        }
        if fraction > 0 {
            out.push('.');
            out.push_str(&format!("{:09}", civil.subsec_nanosecond())[..fraction]);
        }
    }
    out.push_str(gap);
    out.push_str(&suffix);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(now: &str, zone: &str) -> Clock {
        Clock { now: now.parse().unwrap(), zone: TimeZone::get(zone).unwrap() }
    }

    #[test]
    fn reading_back_keeps_the_style_of_the_source() {
        let clock = clock("2026-11-23T12:00:00Z", "UTC");
        let five = Duration::from_secs(300);
        for (from, expected) in [
            ("2026-11-23 10:00:00", "2026-11-23 09:55:00"),
            ("2026-11-23T10:00:00.250", "2026-11-23T09:55:00.250"),
            ("2026-11-23T00:02:00Z", "2026-11-22T23:57:00Z"),
            ("2026-11-23T00:02:00+02:00", "2026-11-22T23:57:00+02:00"),
            ("2026-11-23 10:00", "2026-11-23 09:55"),
            ("2026-11-23", "2026-11-22"),
            ("v17", "v17"),
        ] {
            assert_eq!(clock.back(&Value::text(from), five, Numbers::Count), Value::text(expected), "{from}");
        }
        assert_eq!(clock.back(&Value::Int(5000), five, Numbers::Count), Value::Int(5000));
        assert_eq!(clock.back(&Value::Int(1_795_000_000), five, Numbers::Unix), Value::Int(1_794_999_700));
        assert_eq!(clock.back(&Value::Int(1_795_000_000_123), five, Numbers::Unix), Value::Int(1_794_999_700_123));
    }

    #[test]
    fn a_watermark_from_the_future_stays_at_the_clock() {
        let clock = clock("2026-07-23T12:00:00Z", "Europe/London");
        let limit = |text: &str| clock.limit(Value::text(text), Numbers::Count);
        assert_eq!(limit("2099-01-01 00:00:00"), Value::text("2026-07-23 13:00:00"), "local time, an hour ahead");
        assert_eq!(limit("2099-01-01T00:00:00Z"), Value::text("2026-07-23T12:00:00Z"));
        assert_eq!(limit("2026-07-23 10:00:00"), Value::text("2026-07-23 10:00:00"));
        assert_eq!(clock.limit(Value::Int(99), Numbers::Count), Value::Int(99));
        // The time line has no place for them.
        assert_eq!(limit("9999-12-31T23:59:59Z"), Value::text("2026-07-23T12:00:00Z"));
        assert_eq!(limit("9999-12-31 23:59:59.999 +02:00"), Value::text("2026-07-23 14:00:00.000 +02:00"));
        assert_eq!(limit("9999-12-31 23:59:59"), Value::text("2026-07-23 13:00:00"));
    }

    #[test]
    fn what_is_behind_the_calendar_is_in_the_future() {
        let clock = clock("2026-07-23T12:00:00Z", "Asia/Tokyo");
        let of = |read: Result<Value, String>, written: &str, ty: Type| {
            clock.limit(last(read, Some(written), &ty), Numbers::Count).to_string()
        };
        let none = || Err(String::new());
        let open_end = Ok(Value::LocalDateTime("9999-12-31T00:00:00".parse().unwrap()));
        assert_eq!(of(open_end, "9999-12-31 00:00:00+00", Type::DateTime), "2026-07-23T12:00:00Z");
        assert_eq!(of(none(), "infinity", Type::DateTime), "2026-07-23T12:00:00Z");
        assert_eq!(of(none(), "12000-01-01 00:00:00", Type::LocalDateTime), "2026-07-23T21:00:00");
        assert_eq!(of(none(), "infinity", Type::Date), "2026-07-23");
        for (written, ty) in
            [("-infinity", Type::DateTime), ("4713-01-01 BC", Type::Date), ("NaN", Type::Decimal { scale: None })]
        {
            assert_eq!(last(none(), Some(written), &ty), Value::Blank, "{written}");
        }
    }

    #[test]
    fn a_window_holds_the_day_in_which_it_ends() {
        let clock = clock("2026-07-23T12:00:00Z", "Europe/London");
        let window = |like: Value, to: &str| {
            let (from, to) = ("2026-07-01T06:30:00Z".parse().unwrap(), to.parse().unwrap());
            clock.window(&like, (from, to), Numbers::Count).map(|(from, to)| format!("{from} {} {}", to.sign, to.value))
        };
        let day = Value::Date(Date::MAX);
        assert_eq!(window(day.clone(), "2026-07-02T12:00:00Z").unwrap(), "2026-07-01 <= 2026-07-02");
        assert_eq!(window(day, "2026-07-01T23:00:00Z").unwrap(), "2026-07-01 < 2026-07-02", "midnight in London");
        let minutes = Value::text("2026-01-01 00:00");
        assert_eq!(window(minutes, "2026-07-02T12:00:30Z").unwrap(), "2026-07-01 07:30 <= 2026-07-02 13:00");
        let exact = Value::Instant(clock.now);
        assert_eq!(window(exact, "2026-07-02T12:00:30Z").unwrap(), "2026-07-01T06:30:00Z < 2026-07-02T12:00:30Z");
        assert_eq!(window(Value::Int(7), "2026-07-02T12:00:30Z"), None);
    }

    #[test]
    fn a_moment_is_written_like_the_watermark() {
        let clock = clock("2026-07-23T12:00:00Z", "Europe/London");
        let at: Timestamp = "2026-07-01T06:30:00Z".parse().unwrap();
        for (like, expected) in [
            (Value::text("2026-01-01 00:00:00"), Some(Value::text("2026-07-01 07:30:00"))),
            (Value::text("2026-01-01T00:00:00.000Z"), Some(Value::text("2026-07-01T06:30:00.000Z"))),
            (Value::text("2026-01-01"), Some(Value::text("2026-07-01"))),
            (Value::Instant(clock.now), Some(Value::Instant(at))),
            (Value::text("v17"), None),
            (Value::Decimal(5.into()), None),
        ] {
            assert_eq!(clock.at(&like, at, Numbers::Count), expected, "{like}");
        }
        assert_eq!(clock.at(&Value::Int(1_795_000_000), at, Numbers::Unix), Some(Value::Int(1_782_887_400)));
        assert_eq!(clock.at(&Value::Int(7), at, Numbers::Count), None);
    }

    #[test]
    fn clocks_set_back_hide_nothing() {
        // London set its clocks back at 02:00 (01:00 UTC) on 25 October 2026: 01:50 local was followed by 01:00 local.
        let clock = clock("2026-10-25T01:20:00Z", "Europe/London");
        let from = |text: &str| clock.back(&Value::text(text), Duration::from_secs(300), Numbers::Count);
        assert_eq!(from("2026-10-25 01:50:00"), Value::text("2026-10-25 01:00:00"));
        assert_eq!(from("2026-10-25 00:50:00"), Value::text("2026-10-25 00:45:00"));
    }
}
