//! Days and times on the local wall clock, from year 1 to year 9999.

use crate::value::Moment;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// The first and the last day that a date can be, counted from 1899-12-30.
const FIRST_DAY: i64 = -693_593;
const LAST_DAY: i64 = 2_958_465;

/// Days from 1899-12-30 to the given day of the proleptic Gregorian calendar.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March put the leap day last; 400 of them are one era of 146097 days.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 693_899
}

/// Year, month and day of a number of days from 1899-12-30.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 693_899;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// A moment taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub micros: i64,
}

impl Moment {
    /// The largest span either way that is still counted in days of a calendar.
    pub(crate) fn days(self) -> i64 {
        self.0.div_euclid(DAY)
    }

    pub(crate) fn time_of_day(self) -> i64 {
        self.0.rem_euclid(DAY)
    }

    /// 0 is Sunday.
    pub(crate) fn weekday(self) -> i64 {
        (self.days() + 6).rem_euclid(7)
    }

    pub(crate) fn parts(self) -> Parts {
        let (year, month, day) = civil_from_days(self.days());
        let t = self.time_of_day();
        Parts { year, month, day, hour: t / HOUR, minute: t / MINUTE % 60, second: t / SECOND % 60, micros: t % SECOND }
    }

    /// `None` outside of the years 1 to 9999.
    pub fn in_range(self) -> Option<Moment> {
        (FIRST_DAY..=LAST_DAY).contains(&self.days()).then_some(self)
    }

    pub(crate) fn from_days(days: i64) -> Option<Moment> {
        days.checked_mul(DAY).map(Moment)?.in_range()
    }

    /// The day of the calendar, months and days running over as a spreadsheet lets them; `None` out of range.
    pub fn from_civil(year: i64, month: i64, day: i64) -> Option<Moment> {
        if !(1..=9999).contains(&year) || month.abs() > 200_000 || day.abs() > 10_000_000 {
            return None;
        }
        let months = year * 12 + month - 1;
        let first = days_from_civil(months.div_euclid(12), months.rem_euclid(12) + 1, 1);
        Moment::from_days(first + day - 1)
    }

    pub(crate) fn checked_add(self, micros: i64) -> Option<Moment> {
        self.0.checked_add(micros).map(Moment)
    }

    /// The local wall-clock time as a civil date and time.
    pub fn to_civil(self) -> Option<jiff::civil::DateTime> {
        let p = self.parts();
        jiff::civil::DateTime::new(
            i16::try_from(p.year).ok()?,
            p.month as i8,
            p.day as i8,
            p.hour as i8,
            p.minute as i8,
            p.second as i8,
            (p.micros * 1000) as i32,
        )
        .ok()
    }

    /// Cut to microseconds.
    pub fn from_datetime(at: jiff::civil::DateTime) -> Moment {
        let days = days_from_civil(at.year().into(), at.month().into(), at.day().into());
        let time = i64::from(at.hour()) * HOUR
            + i64::from(at.minute()) * MINUTE
            + i64::from(at.second()) * SECOND
            + i64::from(at.subsec_nanosecond()) / 1000;
        Moment(days * DAY + time)
    }

    /// The wall-clock time of an instant in a time zone.
    pub fn from_timestamp(at: jiff::Timestamp, zone: &jiff::tz::TimeZone) -> Moment {
        Moment::from_datetime(zone.to_datetime(at))
    }

    /// The instant of this wall-clock time; of two the earlier one, in a gap the one after it, as calendars do.
    pub fn to_timestamp(self, zone: &jiff::tz::TimeZone) -> Option<jiff::Timestamp> {
        zone.to_ambiguous_timestamp(self.to_civil()?).compatible().ok()
    }

    /// Days and fractions of days as spreadsheets count them.
    pub(crate) fn serial(self) -> f64 {
        self.0 as f64 / DAY as f64
    }

    /// The span of a number of days, to the millisecond; `None` where it is too long to count.
    pub(crate) fn from_serial(days: f64) -> Option<Moment> {
        let millis = days * 86_400_000.0;
        if !millis.is_finite() || millis.abs() > 9e14 {
            return None;
        }
        Some(Moment(millis.round() as i64 * 1000))
    }
}

pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(crate) const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_days_run_both_ways() {
        assert_eq!(days_from_civil(1899, 12, 30), 0);
        assert_eq!(days_from_civil(1900, 1, 1), 2);
        assert_eq!(days_from_civil(2022, 9, 7), 44811);
        assert_eq!(days_from_civil(1, 1, 1), FIRST_DAY);
        assert_eq!(days_from_civil(9999, 12, 31), LAST_DAY);
        for days in (FIRST_DAY..=LAST_DAY).step_by(13) {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(days_from_civil(y, m, d), days);
        }
    }

    #[test]
    fn months_and_days_run_over() {
        let check =
            |y, m, d, expected| assert_eq!(Moment::from_civil(y, m, d).map(|m| civil_from_days(m.days())), expected);
        check(2000, 25, 69, Some((2002, 3, 10)));
        check(1933, 0, 25, Some((1932, 12, 25)));
        check(0, 1, 1, None);
        check(9999, 13, 1, None);
    }

    #[test]
    fn weekdays() {
        // 2022-09-07 was a Wednesday.
        assert_eq!(WEEKDAYS[Moment::from_civil(2022, 9, 7).unwrap().weekday() as usize], "Wednesday");
    }
}
