//! Values with a unit, as people write them: `15 minutes`, `5 %`, `256 KB`, `weekdays at 06:30`.
//!
//! Each reader answers with one sentence on what is wrong; the caller knows the place.

use std::fmt;
use std::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use record::Decimal;

/// A time to wait: by the clock, or counted in the hub's working time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    Elapsed(Duration),
    WorkingHours(u32),
    WorkingDays(u32),
}

/// When a batch runs, in the hub's time zone.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    Every(Duration),
    Daily {
        at: Time,
    },
    Weekdays {
        at: Time,
    },
    Weekly {
        day: Weekday,
        at: Time,
    },
    /// Five fields: minute, hour, day, month, day of the week.
    Cron(String),
}

/// When a result is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeededBy {
    /// So long after the last good one.
    Within(Duration),
    /// At this time of each day, in the hub's time zone.
    At(Time),
}

/// The fewest rows that a source may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinRows {
    Rows(u64),
    /// In percent of what is usual.
    OfUsual(Decimal),
}

/// A time of the day until another. *Shape*: where `until` is not after `from` it passes midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    pub from: Time,
    pub until: Time,
}

const UNITS: &[(&str, u64)] = &[
    ("millisecond", 1),
    ("second", 1_000),
    ("minute", 60_000),
    ("hour", 3_600_000),
    ("day", 86_400_000),
    ("week", 604_800_000),
];
/// The longest duration that a definition may hold: a hundred years.
const DURATION_MS_MAX: u64 = 100 * 366 * 86_400_000;

type Read<T> = Result<T, String>;

/// A whole number and the words behind it. *Shape*: the words have single spaces.
fn number_and_unit(text: &str) -> Read<(u64, String)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return Err("it starts with no number".to_owned());
    }
    let number = digits.parse().map_err(|_| format!("{digits} is too large"))?;
    Ok((number, unit.split_whitespace().collect::<Vec<_>>().join(" ")))
}

/// A length of time as people write it, such as `2 hours`. *Errors*: a sentence of what is wrong.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = number_and_unit(text)?;
    if unit.is_empty() {
        return Err(format!("{number} of what? Its unit is missing"));
    }
    if unit.starts_with(['.', ',']) {
        return Err("write a whole number of a smaller unit, such as 90 minutes".to_owned());
    }
    if unit.starts_with("working") {
        return Err("working time cannot be counted here".to_owned());
    }
    let singular = unit.strip_suffix('s').unwrap_or(&unit);
    let Some((_, ms)) = UNITS.iter().find(|(name, _)| *name == singular) else {
        let meant = crate::suggest::nearest(&unit, ["milliseconds", "seconds", "minutes", "hours", "days", "weeks"])
            .or(match unit.as_str() {
                "s" => Some("seconds"),
                "ms" => Some("milliseconds"),
                "m" | "min" | "mins" => Some("minutes"),
                "h" | "hr" | "hrs" => Some("hours"),
                "d" => Some("days"),
                "w" => Some("weeks"),
                _ => None,
            });
        return Err(match meant {
            Some(meant) => format!("`{unit}` is no unit of time; write `{number} {meant}`"),
            None => format!("`{unit}` is no unit of time"),
        });
    };
    match number.checked_mul(*ms) {
        Some(ms) if ms <= DURATION_MS_MAX => Ok(Duration::from_millis(ms)),
        _ => Err("that is longer than a hundred years".to_owned()),
    }
}

pub(crate) fn wait(text: &str) -> Read<Wait> {
    if let Ok((number, unit)) = number_and_unit(text) {
        let count = u32::try_from(number).map_err(|_| format!("{number} is too large"));
        match unit.as_str() {
            "working day" | "working days" => return Ok(Wait::WorkingDays(count?)),
            "working hour" | "working hours" => return Ok(Wait::WorkingHours(count?)),
            _ => {}
        }
    }
    duration(text).map(Wait::Elapsed)
}

/// `every 10 minutes`. *Errors*: also where nothing would pass in between.
pub(crate) fn every(text: &str) -> Read<Wait> {
    let Some(rest) = text.trim().strip_prefix("every ") else {
        return Err(match duration(text) {
            Ok(_) => format!("it does not start with `every`; write `every {}`", text.trim()),
            Err(_) => "it does not start with `every`".to_owned(),
        });
    };
    // `every hour` is `every 1 hour`.
    let rest =
        if rest.trim_start().starts_with(|c: char| c.is_ascii_digit()) { rest.to_owned() } else { format!("1 {rest}") };
    let wait = wait(&rest)?;
    match wait {
        Wait::Elapsed(Duration::ZERO) | Wait::WorkingDays(0) | Wait::WorkingHours(0) => {
            Err("nothing passes in between".to_owned())
        }
        wait => Ok(wait),
    }
}

/// `weekly`, `daily`, `monthly`, or `every 3 days`.
pub(crate) fn cadence(text: &str) -> Read<Duration> {
    let day = 86_400;
    match text.trim() {
        "hourly" => Ok(Duration::from_secs(3_600)),
        "daily" => Ok(Duration::from_secs(day)),
        "weekly" => Ok(Duration::from_secs(7 * day)),
        "monthly" => Ok(Duration::from_secs(30 * day)),
        text => match every(text)? {
            Wait::Elapsed(duration) => Ok(duration),
            _ => Err("working time cannot be counted here".to_owned()),
        },
    }
}

pub(crate) fn time(text: &str) -> Read<Time> {
    let valid = |(hour, minute): (&str, &str)| {
        if hour.len() != 2 || minute.len() != 2 {
            return None;
        }
        Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
    };
    let text = text.trim();
    text.split_once(':').and_then(valid).ok_or_else(|| match format!("0{text}").split_once(':').and_then(valid) {
        Some(_) => format!("an hour has two digits; write `0{text}`"),
        None => "it is not an hour and a minute, such as 06:00 or 18:30".to_owned(),
    })
}

pub(crate) fn hours(text: &str) -> Read<Hours> {
    let (from, until) = text.split_once('-').ok_or("there is no `-` between two times")?;
    let hours = Hours { from: time(from)?, until: time(until)? };
    if hours.from == hours.until {
        return Err("it ends when it starts".to_owned());
    }
    Ok(hours)
}

pub(crate) fn date(text: &str) -> Read<Date> {
    text.trim().parse().map_err(|_| "it is not a date of the calendar, such as 2029-06-30".to_owned())
}

const DAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

pub(crate) fn schedule(text: &str) -> Read<Schedule> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("cron:").or_else(|| text.strip_prefix("cron ")) {
        return cron(rest);
    }
    if text.starts_with("every") {
        return match every(text)? {
            Wait::Elapsed(duration) if duration < Duration::from_secs(1) => {
                Err("a run every second is the most".to_owned())
            }
            Wait::Elapsed(duration) => Ok(Schedule::Every(duration)),
            _ => Err("working time cannot be counted here; write `weekdays at 06:30`".to_owned()),
        };
    }
    match text {
        "hourly" => return Ok(Schedule::Every(Duration::from_secs(3_600))),
        "daily" | "weekdays" | "weekly" | "nightly" => {
            return Err(format!(
                "it does not say at what time; write `{} at 02:00`",
                if text == "weekly" {
                    "mondays"
                } else if text == "nightly" {
                    "daily"
                } else {
                    text
                }
            ));
        }
        _ => {}
    }
    let (day, at) = text.split_once(" at ").ok_or_else(|| match text.split_whitespace().count() {
        5 => format!("a cron line stands under its own key; write `{{ cron: \"{text}\" }}`"),
        _ => "it is none of `every …`, `daily at …`, `weekdays at …`, `mondays at …`, `cron: …`".to_owned(),
    })?;
    let at = time(at)?;
    match day.trim() {
        "daily" | "every day" => Ok(Schedule::Daily { at }),
        "weekdays" => Ok(Schedule::Weekdays { at }),
        day => {
            let singular = day.strip_suffix('s').unwrap_or(day);
            let found = DAYS.iter().find(|(name, _)| *name == singular);
            match found {
                Some((_, day)) => Ok(Schedule::Weekly { day: *day, at }),
                None => {
                    let meant = crate::suggest::nearest(
                        day,
                        [
                            "daily",
                            "weekdays",
                            "mondays",
                            "tuesdays",
                            "wednesdays",
                            "thursdays",
                            "fridays",
                            "saturdays",
                            "sundays",
                        ],
                    );
                    Err(match meant {
                        Some(meant) => format!("`{day}` is no day; did you mean `{meant}`?"),
                        None => format!("`{day}` is no day; write daily, weekdays, mondays, …"),
                    })
                }
            }
        }
    }
}

/// A cron line of five fields.
pub(crate) fn cron(text: &str) -> Read<Schedule> {
    let text = text.trim().trim_matches(['"', '\'']).trim();
    let fields = text.split_whitespace().count();
    if fields != 5 {
        return Err(format!(
            "a cron line has five fields (minute, hour, day, month, day of the week), and this has {fields}"
        ));
    }
    let cron: croner::Cron = text.parse().map_err(|why: croner::errors::CronError| {
        format!("the cron line cannot be read: {}", why.to_string().trim_end_matches('.').to_lowercase())
    })?;
    // A line such as `0 0 31 2 *` reads well and never comes.
    let start = jiff::civil::date(2024, 1, 1).to_zoned(jiff::tz::TimeZone::UTC).map_err(|why| why.to_string())?;
    if cron.find_next_occurrence(&start, false).is_err() {
        return Err("no day of the calendar fits this cron line".to_owned());
    }
    Ok(Schedule::Cron(text.to_owned()))
}

/// A percentage as people write it. *Units*: 5 for `5 %`. *Errors*: a sentence of what is wrong.
pub fn percentage(text: &str) -> Result<Decimal, String> {
    let Some(number) = text.trim().strip_suffix('%') else {
        let number = text.trim().parse::<u32>().is_ok();
        let fix = if number { format!("; write `{} %`", text.trim()) } else { String::new() };
        return Err(format!("the sign `%` is missing behind it{fix}"));
    };
    let number = Decimal::from_str_exact(number.trim()).map_err(|_| "it is no number before the `%`".to_owned())?;
    if number.is_sign_negative() || number > Decimal::ONE_HUNDRED {
        return Err("it is not between 0 % and 100 %".to_owned());
    }
    Ok(number)
}

/// *Units*: bytes; 1 KB is 1024.
pub(crate) fn size(text: &str) -> Read<u64> {
    let (number, unit) = number_and_unit(text)?;
    let factor: u64 = match unit.to_ascii_uppercase().as_str() {
        "B" | "BYTES" => 1,
        "KB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "" => return Err(format!("{number} of what? Its unit is missing")),
        _ => return Err(format!("`{unit}` is no unit of size; write B, KB, MB or GB")),
    };
    number.checked_mul(factor).ok_or_else(|| "that is larger than can be counted".to_owned())
}

/// *Units*: so many a day.
pub(crate) fn rate(text: &str) -> Read<u64> {
    let (number, unit) = number_and_unit(text)?;
    let a_day = match unit.as_str() {
        "a day" | "per day" => Some(number),
        "an hour" | "per hour" => number.checked_mul(24),
        "a week" | "per week" => Some(number.div_ceil(7)),
        _ => return Err("behind the number stands `a day`, `an hour` or `a week`".to_owned()),
    };
    a_day.ok_or_else(|| "that is more than can be counted".to_owned())
}

pub(crate) fn needed_by(text: &str) -> Read<NeededBy> {
    if text.contains(':') {
        return time(text).map(NeededBy::At);
    }
    duration(text).map(NeededBy::Within)
}

pub(crate) fn min_rows(text: &str) -> Read<MinRows> {
    if let Some(share) = text.trim().strip_suffix("of usual") {
        return percentage(share).map(MinRows::OfUsual);
    }
    text.trim()
        .parse()
        .map(MinRows::Rows)
        .map_err(|_| "it is neither a number of rows nor a percentage `of usual`".to_owned())
}

/// As a person writes it: `15 minutes`, `1 hour 30 minutes`.
pub(crate) fn words(duration: Duration) -> String {
    let ms = duration.as_millis() as u64;
    let (name, unit) =
        UNITS.iter().rev().find(|(_, unit)| ms >= *unit && ms.is_multiple_of(*unit)).unwrap_or(&UNITS[1]);
    let count = ms / unit;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |count: &u32| if *count == 1 { "" } else { "s" };
        match self {
            Wait::Elapsed(duration) => f.write_str(&words(*duration)),
            Wait::WorkingHours(count) => write!(f, "{count} working hour{}", s(count)),
            Wait::WorkingDays(count) => write!(f, "{count} working day{}", s(count)),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Every(duration) => write!(f, "every {}", words(*duration)),
            Schedule::Daily { at } => write!(f, "daily at {}", hh_mm(*at)),
            Schedule::Weekdays { at } => write!(f, "weekdays at {}", hh_mm(*at)),
            Schedule::Weekly { day, at } => {
                let name = DAYS.iter().find(|(_, d)| d == day).map_or("", |(name, _)| name);
                write!(f, "{name}s at {}", hh_mm(*at))
            }
            Schedule::Cron(line) => write!(f, "cron: \"{line}\""),
        }
    }
}

impl fmt::Display for NeededBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NeededBy::Within(duration) => f.write_str(&words(*duration)),
            NeededBy::At(at) => f.write_str(&hh_mm(*at)),
        }
    }
}

impl fmt::Display for MinRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MinRows::Rows(rows) => rows.fmt(f),
            MinRows::OfUsual(share) => write!(f, "{share} % of usual"),
        }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", hh_mm(self.from), hh_mm(self.until))
    }
}

pub(crate) fn hh_mm(time: Time) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: fmt::Debug>(read: impl Fn(&str) -> Read<T>, cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            let got = match read(text) {
                Ok(value) => format!("{value:?}"),
                Err(why) => why,
            };
            assert_eq!(got, *expected, "{text}");
        }
    }

    #[test]
    fn durations() {
        check(
            duration,
            &[
                ("15 minutes", "900s"),
                ("1 second", "1s"),
                ("250 milliseconds", "250ms"),
                ("2 weeks", "1209600s"),
                ("15", "15 of what? Its unit is missing"),
                ("15 min", "`min` is no unit of time; write `15 minutes`"),
                ("15 minuts", "`minuts` is no unit of time; write `15 minutes`"),
                ("minutes", "it starts with no number"),
                ("1.5 hours", "write a whole number of a smaller unit, such as 90 minutes"),
                ("9 parsecs", "`parsecs` is no unit of time"),
                ("99999999999999999999 days", "99999999999999999999 is too large"),
                ("999999999999 days", "that is longer than a hundred years"),
                ("2 working days", "working time cannot be counted here"),
            ],
        );
        check(
            wait,
            &[
                ("2 working days", "WorkingDays(2)"),
                ("1 working hour", "WorkingHours(1)"),
                ("3 days", "Elapsed(259200s)"),
            ],
        );
        check(
            every,
            &[
                ("every 1 working day", "WorkingDays(1)"),
                ("every hour", "Elapsed(3600s)"),
                ("every 0 minutes", "nothing passes in between"),
                ("10 minutes", "it does not start with `every`; write `every 10 minutes`"),
            ],
        );
    }

    #[test]
    fn schedules() {
        check(
            |text| schedule(text).map(|s| s.to_string()),
            &[
                ("every 15 minutes", "\"every 15 minutes\""),
                ("every 90 seconds", "\"every 90 seconds\""),
                ("daily at 02:00", "\"daily at 02:00\""),
                ("weekdays at 06:30", "\"weekdays at 06:30\""),
                ("sundays at 23:00", "\"sundays at 23:00\""),
                ("cron: \"0 2 * * *\"", "\"cron: \\\"0 2 * * *\\\"\""),
                ("daily", "it does not say at what time; write `daily at 02:00`"),
                ("daily at 2", "it is not an hour and a minute, such as 06:00 or 18:30"),
                ("daily at 6:30", "an hour has two digits; write `06:30`"),
                ("daily at 25:00", "it is not an hour and a minute, such as 06:00 or 18:30"),
                ("workdays at 06:00", "`workdays` is no day; did you mean `weekdays`?"),
                ("0 2 * * *", "a cron line stands under its own key; write `{ cron: \"0 2 * * *\" }`"),
                (
                    "cron: 0 2 * *",
                    "a cron line has five fields (minute, hour, day, month, day of the week), and this has 4",
                ),
                ("cron: 0 0 31 2 *", "no day of the calendar fits this cron line"),
                ("sometimes", "it is none of `every …`, `daily at …`, `weekdays at …`, `mondays at …`, `cron: …`"),
            ],
        );
    }

    #[test]
    fn the_rest() {
        check(
            percentage,
            &[
                ("5 %", "5"),
                ("5%", "5"),
                ("0.5 %", "0.5"),
                ("5", "the sign `%` is missing behind it; write `5 %`"),
                ("120 %", "it is not between 0 % and 100 %"),
            ],
        );
        check(
            size,
            &[
                ("256 KB", "262144"),
                ("1 GB", "1073741824"),
                ("256", "256 of what? Its unit is missing"),
                ("1 KiB", "`KiB` is no unit of size; write B, KB, MB or GB"),
            ],
        );
        check(
            rate,
            &[
                ("30 a day", "30"),
                ("2 an hour", "48"),
                ("30", "behind the number stands `a day`, `an hour` or `a week`"),
            ],
        );
        check(needed_by, &[("1 hour", "Within(3600s)"), ("06:00", "At(06:00:00)")]);
        check(
            min_rows,
            &[
                ("500", "Rows(500)"),
                ("80 % of usual", "OfUsual(80)"),
                ("80 %", "it is neither a number of rows nor a percentage `of usual`"),
            ],
        );
        check(
            hours,
            &[
                ("09:00-17:30", "Hours { from: 09:00:00, until: 17:30:00 }"),
                ("9-17", "it is not an hour and a minute, such as 06:00 or 18:30"),
                ("09:00", "there is no `-` between two times"),
            ],
        );
    }
}
