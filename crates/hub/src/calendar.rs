//! Working time: when a wait that counts in working days or hours ends. Pure.

use definition::{Calendar, Holidays, Wait};
use jiff::civil::{Date, DateTime, Weekday, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// When a wait that begins at a moment is over.
///
/// *Shape*: a working day ends at the time of the day at which it began; what begins outside working time begins with
/// the next working hour. A calendar without working time counts by the clock.
pub fn after(from: Timestamp, wait: Wait, calendar: &Calendar, zone: &TimeZone) -> Timestamp {
    match wait {
        Wait::Elapsed(time) => from.checked_add(time).unwrap_or(Timestamp::MAX),
        Wait::WorkingDays(days) => {
            let Some(start) = next_working(from, calendar, zone) else {
                return by_the_clock(from, i64::from(days) * 24);
            };
            let mut day = start.date();
            for _ in 0..days {
                day = next_day(day, calendar);
            }
            at(DateTime::from_parts(day, start.time()), zone)
        }
        Wait::WorkingHours(hours) => {
            let Some(mut now) = next_working(from, calendar, zone) else { return by_the_clock(from, i64::from(hours)) };
            let mut left = SignedDuration::from_hours(i64::from(hours));
            loop {
                let end = DateTime::from_parts(now.date(), calendar.working_hours.until);
                let today = end.duration_since(now);
                if left <= today {
                    return at(now.saturating_add(left), zone);
                }
                left -= today;
                now = DateTime::from_parts(next_day(now.date(), calendar), calendar.working_hours.from);
            }
        }
    }
}

/// Whether somebody works at this moment.
pub fn is_working(now: Timestamp, calendar: &Calendar, zone: &TimeZone) -> bool {
    let local = now.to_zoned(zone.clone()).datetime();
    works(local.date(), calendar) && (calendar.working_hours.from..calendar.working_hours.until).contains(&local.time())
}

/// When somebody works next, who does not now; nothing where they do, or never do.
pub fn next(now: Timestamp, calendar: &Calendar, zone: &TimeZone) -> Option<Timestamp> {
    let then = next_working(now, calendar, zone).filter(|_| !is_working(now, calendar, zone))?;
    Some(at(then, zone))
}

fn by_the_clock(from: Timestamp, hours: i64) -> Timestamp {
    from.checked_add(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MAX)
}

fn at(local: DateTime, zone: &TimeZone) -> Timestamp {
    zone.to_ambiguous_timestamp(local).compatible().unwrap_or(Timestamp::MAX)
}

/// The first moment of working time that is not before this one, by the clocks of the zone.
fn next_working(from: Timestamp, calendar: &Calendar, zone: &TimeZone) -> Option<DateTime> {
    let hours = calendar.working_hours;
    if hours.until <= hours.from || calendar.working_days.is_empty() {
        return None;
    }
    let local = from.to_zoned(zone.clone()).datetime();
    let today = local.date();
    Some(if !works(today, calendar) || local.time() >= hours.until {
        DateTime::from_parts(next_day(today, calendar), hours.from)
    } else {
        DateTime::from_parts(today, local.time().max(hours.from))
    })
}

fn next_day(day: Date, calendar: &Calendar) -> Date {
    let mut next = day;
    // A list of holidays cannot be longer than this without a working day between.
    for _ in 0..3_660 {
        next = next.tomorrow().unwrap_or(Date::MAX);
        if works(next, calendar) {
            break;
        }
    }
    next
}

/// Whether it is a public holiday.
pub fn is_holiday(at: Timestamp, calendar: &Calendar, zone: &TimeZone) -> bool {
    holds(at.to_zoned(zone.clone()).date(), &calendar.holidays)
}

fn works(day: Date, calendar: &Calendar) -> bool {
    calendar.working_days.contains(&day.weekday()) && !holds(day, &calendar.holidays)
}

fn holds(day: Date, holidays: &Holidays) -> bool {
    match holidays {
        Holidays::Dates(dates) => dates.contains(&day),
        Holidays::Named(name) => of_year(name, day.year()).contains(&day),
    }
}

/// The public holidays of a year that follow from its calendar; single ones that are proclaimed are not among them.
///
/// *Source*: "UK bank holidays", gov.uk, and the substitute days that it lists for 2021-2028.
fn of_year(name: &str, year: i16) -> Vec<Date> {
    if name == "none" {
        return Vec::new();
    }
    let scotland = name == "scotland";
    let easter = easter(year);
    let shift = |day: Date, days: i32| day.saturating_add(days.days());
    let monday = |month: i8, last: bool| {
        let first = date(year, month, 1);
        let mut mondays: Vec<Date> = (0..31)
            .map(|n| shift(first, n))
            .filter(|day| day.month() == month && day.weekday() == Weekday::Monday)
            .collect();
        if last { mondays.pop().unwrap_or(first) } else { mondays[0] }
    };
    let mut days = vec![shift(easter, -2), monday(5, false), monday(5, true)];
    let mut fixed = vec![date(year, 1, 1), date(year, 12, 25), date(year, 12, 26)];
    if scotland {
        days.push(monday(8, false));
        fixed.extend([date(year, 1, 2), date(year, 11, 30)]);
    } else {
        days.extend([shift(easter, 1), monday(8, true)]);
    }
    fixed.sort();
    for day in fixed {
        // What falls on a weekend is kept on the next day that is free.
        let mut kept = day;
        while matches!(kept.weekday(), Weekday::Saturday | Weekday::Sunday) || days.contains(&kept) {
            kept = shift(kept, 1);
        }
        days.push(kept);
    }
    days
}

/// Easter Sunday, by the Gregorian rule.
///
/// *Source*: the "anonymous" algorithm, Nature, 20 April 1876.
fn easter(year: i16) -> Date {
    let y = i32::from(year);
    let (a, b, c) = (y % 19, y / 100, y % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 19 * l) / 433;
    let month = (h + l - 7 * m + 90) / 25;
    let day = (h + l - 7 * m + 33 * month + 19) % 32;
    date(year, month as i8, day as i8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use definition::Hours;
    use jiff::civil::time;

    fn calendar(holidays: &str) -> Calendar {
        use Weekday::*;
        Calendar {
            working_hours: Hours { from: time(9, 0, 0, 0), until: time(17, 30, 0, 0) },
            working_days: vec![Monday, Tuesday, Wednesday, Thursday, Friday],
            holidays: Holidays::Named(holidays.into()),
        }
    }

    #[test]
    fn waits_end_in_working_time() {
        let zone = TimeZone::get("Europe/London").unwrap();
        let check = |from: &str, wait, expected: &str| {
            let ends = after(from.parse().unwrap(), wait, &calendar("england-and-wales"), &zone);
            assert_eq!(ends.to_string(), expected, "{wait:?} after {from}");
        };
        // Thursday afternoon, Friday night, over Christmas (the 26th of 2026 is a Saturday: the 28th is kept).
        check("2026-11-26T15:00:00Z", Wait::WorkingDays(1), "2026-11-27T15:00:00Z");
        check("2026-11-27T22:00:00Z", Wait::WorkingDays(1), "2026-12-01T09:00:00Z");
        check("2026-12-24T12:00:00Z", Wait::WorkingDays(1), "2026-12-29T12:00:00Z");
        check("2026-11-27T15:30:00Z", Wait::WorkingHours(4), "2026-11-30T11:00:00Z");
        check("2026-11-28T03:00:00Z", Wait::Elapsed(std::time::Duration::from_secs(60)), "2026-11-28T03:01:00Z");
        // In summer the clocks are an hour ahead.
        check("2026-07-03T20:00:00Z", Wait::WorkingHours(1), "2026-07-06T09:00:00Z");
    }

    /// Summer time, leap days, years whose end falls oddly: waits are as long for people as they always are.
    #[test]
    fn waits_over_days_that_are_not_like_others() {
        let check = |zone: &str, holidays: &str, from: &str, wait, expected: &str| {
            let zone = TimeZone::get(zone).unwrap();
            let ends = after(from.parse().unwrap(), wait, &calendar(holidays), &zone);
            assert_eq!(ends.to_string(), expected, "{wait:?} after {from} in {zone:?}");
        };
        let (days, hours) = (Wait::WorkingDays, Wait::WorkingHours);
        // Clocks go forward on 28 March 2027 and back on 31 October: the hour on the wall stays.
        check("Europe/London", "none", "2027-03-26T12:00:00Z", days(1), "2027-03-29T11:00:00Z");
        check("Europe/London", "none", "2027-10-29T11:00:00Z", days(1), "2027-11-01T12:00:00Z");
        check("Europe/London", "none", "2027-03-26T16:30:00Z", hours(2), "2027-03-29T09:00:00Z");
        // By the clock a day has 24 hours, whatever the wall shows.
        let a_day = Wait::Elapsed(std::time::Duration::from_secs(86_400));
        check("Europe/London", "none", "2027-03-27T12:00:00Z", a_day, "2027-03-28T12:00:00Z");
        // Good Friday and Easter Monday of 2027 are on both sides of that night.
        check("Europe/London", "england-and-wales", "2027-03-25T12:00:00Z", days(1), "2027-03-30T11:00:00Z");
        check("Europe/London", "scotland", "2027-03-25T12:00:00Z", days(1), "2027-03-29T11:00:00Z");
        // 29 February 2028 is a Tuesday, and works; 2100 has none.
        check("Europe/London", "none", "2028-02-28T10:00:00Z", days(1), "2028-02-29T10:00:00Z");
        check("Europe/London", "none", "2028-02-29T10:00:00Z", days(1), "2028-03-01T10:00:00Z");
        check("UTC", "none", "2100-02-26T10:00:00Z", days(1), "2100-03-01T10:00:00Z");
        // Over the end of a year: 1 January 2028 is a Saturday, the Monday after is free.
        check("Europe/London", "england-and-wales", "2027-12-31T10:00:00Z", days(1), "2028-01-04T10:00:00Z");
        check("Europe/London", "scotland", "2027-12-31T10:00:00Z", days(1), "2028-01-05T10:00:00Z");
        // East of the line a day begins before it does here: it is Monday there.
        check("Pacific/Auckland", "none", "2026-11-22T21:00:00Z", days(1), "2026-11-23T21:00:00Z");
        // Lord Howe moves its clocks by half an hour, and on another day.
        check("Australia/Lord_Howe", "none", "2027-04-02T00:00:00Z", days(1), "2027-04-05T00:30:00Z");
        // An hour that the wall never shows: a working day that would end in it ends after it.
        let night = Calendar {
            working_hours: Hours { from: time(0, 30, 0, 0), until: time(6, 0, 0, 0) },
            working_days: vec![Weekday::Saturday, Weekday::Sunday],
            holidays: Holidays::Named("none".into()),
        };
        let zone = TimeZone::get("Europe/London").unwrap();
        let ends = after("2027-03-27T01:15:00Z".parse().unwrap(), days(1), &night, &zone);
        assert_eq!(ends.to_string(), "2027-03-28T01:15:00Z", "a quarter past one becomes a quarter past two");
    }

    #[test]
    fn holidays_of_years_that_are_known() {
        let of = |name: &str, year| {
            let mut days: Vec<String> =
                of_year(name, year).iter().map(|day| day.strftime("%m-%d").to_string()).collect();
            days.sort();
            days.join(" ")
        };
        assert_eq!(of("england-and-wales", 2027), "01-01 03-26 03-29 05-03 05-31 08-30 12-27 12-28");
        assert_eq!(of("england-and-wales", 2022), "01-03 04-15 04-18 05-02 05-30 08-29 12-26 12-27");
        assert_eq!(of("scotland", 2026), "01-01 01-02 04-03 05-04 05-25 08-03 11-30 12-25 12-28");
    }
}
