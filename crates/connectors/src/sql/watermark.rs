//! Arithmetic with watermarks: how far to read back, and never further than the source's clock.
//!
//! A watermark is a time or a number that the source counts up. A time may be a text in one of many styles; it is
//! compared by the source in that style, so whatever is computed is written in the style of the value it came from.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use record::Value;

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

impl Clock {
    /// The watermark, or the clock where the watermark is ahead of it: a row from the future must not hide the rows of
    /// the time until then.
    pub fn limit(&self, watermark: Value, numbers: Numbers) -> Value {
        match self.rewrite(&watermark, numbers, |at, clock| match at {
            Moment::Instant(at) => Moment::Instant(at.min(clock.now)),
            Moment::Civil(at) => Moment::Civil(at.min(clock.now.to_zoned(clock.zone.clone()).datetime())),
        }) {
            Some(limited) => limited,
            None => watermark,
        }
    }

    /// The place from which to read again, so that what committed late is seen. A number has no overlap.
    pub fn back(&self, watermark: &Value, overlap: Duration, numbers: Numbers) -> Value {
        let overlap = SignedDuration::try_from(overlap).unwrap_or(SignedDuration::MAX);
        self.rewrite(watermark, numbers, |at, clock| match at {
            Moment::Instant(at) => Moment::Instant(at.saturating_sub(overlap).unwrap_or(Timestamp::MIN)),
            Moment::Civil(at) => Moment::Civil(clock.before_set_back(at.saturating_sub(overlap))),
        })
        .unwrap_or_else(|| watermark.clone())
    }

    /// A moment as a watermark like this one; `None` where that is no time.
    pub fn at(&self, like: &Value, at: Timestamp, numbers: Numbers) -> Option<Value> {
        self.rewrite(like, numbers, |like, clock| match like {
            Moment::Instant(_) => Moment::Instant(at),
            Moment::Civil(_) => Moment::Civil(at.to_zoned(clock.zone.clone()).datetime()),
        })
        // A text or number that is no time comes back as it was.
        .filter(|_| match like {
            Value::Text(text) => moment::parse(text).is_some(),
            Value::Int(_) => numbers == Numbers::Unix,
            _ => true,
        })
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

    fn rewrite(&self, value: &Value, numbers: Numbers, change: impl Fn(Moment, &Clock) -> Moment) -> Option<Value> {
        match value {
            Value::Instant(at) => match change(Moment::Instant(*at), self) {
                Moment::Instant(at) => Some(Value::Instant(at)),
                Moment::Civil(_) => None,
            },
            Value::LocalDateTime(at) => match change(Moment::Civil(*at), self) {
                Moment::Civil(at) => Some(Value::LocalDateTime(at)),
                Moment::Instant(_) => None,
            },
            Value::Date(at) => match change(Moment::Civil(at.to_datetime(jiff::civil::Time::midnight())), self) {
                Moment::Civil(at) => Some(Value::Date(at.date())),
                Moment::Instant(_) => None,
            },
            Value::Int(number) if numbers == Numbers::Unix => {
                let millis = number.unsigned_abs() > UNIX_SECONDS_MAX;
                let at = if millis { Timestamp::from_millisecond(*number) } else { Timestamp::from_second(*number) };
                match change(Moment::Instant(at.ok()?), self) {
                    Moment::Instant(at) => Some(Value::Int(if millis { at.as_millisecond() } else { at.as_second() })),
                    Moment::Civil(_) => None,
                }
            }
            Value::Text(text) => Some(Value::Text(in_style(text, change(moment::parse(text)?, self)))),
            _ => None,
        }
    }
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
            let shown = moment::parse(like).and_then(|parsed| match parsed {
                Moment::Instant(shown) => Some(shown),
                Moment::Civil(_) => None,
            });
            // The distance between the time as written and the point in time is the offset of the style.
            let written = moment::parse(&like[..10 + time.len()]);
            let offset = match (written, shown) {
                (Some(Moment::Civil(written)), Some(shown)) => {
                    TimeZone::UTC.to_timestamp(written).map(|utc| utc.as_second() - shown.as_second()).unwrap_or(0)
                }
                _ => 0,
            };
            let shifted = instant.saturating_add(SignedDuration::from_secs(offset)).unwrap_or(instant);
            TimeZone::UTC.to_datetime(shifted)
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
