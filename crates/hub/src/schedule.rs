//! When a batch is due. Pure: a schedule, a zone and a moment in; moments out.

use std::time::Duration;

use definition::Schedule;
use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

/// How far ahead of the clock something may have been: clocks that are put right by a little are no reason to do it again.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// Whether something was done while the clock was ahead of what it is now. Waiting for that time to come would be to stand
/// still: what is due is the last slot.
pub fn was_ahead(done: Timestamp, now: Timestamp) -> bool {
    done.duration_since(now) > AHEAD
}

/// The first moment after `after` at which the schedule is due.
///
/// *Shape*: `Every` counts from the epoch, so that every process and every restart agrees on the slots. A local time
/// that the clocks skip is due when they have been put forward; one that exists twice is due the first time.
/// `None` where a cron expression never comes true again.
pub fn next(schedule: &Schedule, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    match schedule {
        Schedule::Every(every) => next_multiple(*every, after),
        Schedule::Daily { at } => next_day(zone, after, *at, |_| true),
        Schedule::Weekdays { at } => {
            next_day(zone, after, *at, |day| !matches!(day, Weekday::Saturday | Weekday::Sunday))
        }
        Schedule::Weekly { day, at } => next_day(zone, after, *at, |candidate| candidate == *day),
        Schedule::Cron(cron) => {
            let cron: croner::Cron = cron.parse().ok()?;
            let next: Zoned = cron.find_next_occurrence(&after.to_zoned(zone.clone()), false).ok()?;
            Some(next.timestamp())
        }
    }
}

/// The last moment up to and including `now` at which the schedule was due, after `since`.
///
/// A hub that was down answers one slot, however many were missed: that is `missed: run_once`.
pub fn latest(schedule: &Schedule, zone: &TimeZone, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    if let Schedule::Every(every) = schedule {
        let before = now.checked_sub(jiff::SignedDuration::try_from(*every).ok()?).ok()?;
        return next_multiple(*every, before.max(since)).filter(|slot| *slot <= now);
    }
    // A cron of every minute over a year of silence is half a million slots: what is near is looked at first.
    let mut near = jiff::SignedDuration::from_hours(24 * 40);
    loop {
        let from = now.checked_sub(near).unwrap_or(Timestamp::MIN).max(since);
        let (mut found, mut at) = (None, from);
        while let Some(slot) = next(schedule, zone, at).filter(|slot| *slot <= now) {
            found = Some(slot);
            at = slot;
        }
        if found.is_some() || from == since {
            return found;
        }
        near = near.saturating_mul(4);
    }
}

/// The longest time between two slots of a schedule, looking at a week of them or at ten, whichever is less.
pub fn period(schedule: &Schedule, zone: &TimeZone) -> Option<Duration> {
    let mut at = Timestamp::UNIX_EPOCH;
    let mut longest = None;
    for _ in 0..10 {
        let slot = next(schedule, zone, at)?;
        longest = longest.max(slot.duration_since(at).try_into().ok());
        at = slot;
    }
    longest
}

fn next_multiple(every: Duration, after: Timestamp) -> Option<Timestamp> {
    let every = i64::try_from(every.as_millis()).ok().filter(|ms| *ms > 0)?;
    let slot = after.as_millisecond().div_euclid(every).checked_add(1)?.checked_mul(every)?;
    Timestamp::from_millisecond(slot).ok()
}

fn next_day(zone: &TimeZone, after: Timestamp, at: Time, wanted: impl Fn(Weekday) -> bool) -> Option<Timestamp> {
    let mut day = after.to_zoned(zone.clone()).date();
    for _ in 0..9 {
        if wanted(day.weekday()) {
            // `compatible`: into a gap is after it, into a fold is its first time.
            let due = zone.to_ambiguous_timestamp(DateTime::from_parts(day, at)).compatible().ok()?;
            if due > after {
                return Some(due);
            }
        }
        day = day.tomorrow().ok()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::time;

    fn check(schedule: Schedule, after: &str, expected: &[&str]) {
        let zone = TimeZone::get("Europe/London").unwrap();
        let mut at: Timestamp = after.parse().unwrap();
        for expected in expected {
            at = next(&schedule, &zone, at).unwrap();
            assert_eq!(at.to_string(), *expected, "{schedule:?}");
        }
    }

    #[test]
    fn both_clock_changes() {
        let daily = Schedule::Daily { at: time(1, 30, 0, 0) };
        // 29 March 2026: 01:00 becomes 02:00, so 01:30 is not there; 25 October: 01:30 is there twice.
        check(
            daily.clone(),
            "2026-03-28T00:00:00Z",
            &["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"],
        );
        check(daily, "2026-10-24T12:00:00Z", &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        let quarter = Schedule::Every(Duration::from_secs(900));
        check(quarter, "2026-03-29T00:59:59Z", &["2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z"]);
        // What is due each half hour is due in each of the two hours that have one name.
        let half = |after, expected: &[&str]| check(Schedule::Cron("*/30 * * * *".into()), after, expected);
        half("2026-03-29T00:31:00Z", &["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]);
        let fold = ["00:00", "00:30", "01:00", "01:30", "02:00"].map(|at| format!("2026-10-25T{at}:00Z"));
        half("2026-10-24T23:31:00Z", &fold.each_ref().map(String::as_str));
    }

    #[test]
    fn weekdays_and_cron() {
        let weekdays = Schedule::Weekdays { at: time(6, 30, 0, 0) };
        check(weekdays, "2026-11-20T12:00:00Z", &["2026-11-23T06:30:00Z", "2026-11-24T06:30:00Z"]);
        let weekly = Schedule::Weekly { day: Weekday::Sunday, at: time(23, 0, 0, 0) };
        check(weekly, "2026-11-22T23:00:00Z", &["2026-11-29T23:00:00Z"]);
        check(Schedule::Cron("0 2 * * *".into()), "2026-07-01T12:00:00Z", &["2026-07-02T01:00:00Z"]);
    }

    #[test]
    fn a_year_of_slots() {
        let zone = TimeZone::get("Europe/London").unwrap();
        let (start, end): (Timestamp, Timestamp) =
            ("2026-01-01T00:00:00Z".parse().unwrap(), "2027-01-01T00:00:00Z".parse().unwrap());
        for (schedule, slots) in [
            (Schedule::Daily { at: time(1, 30, 0, 0) }, 365),
            (Schedule::Weekdays { at: time(2, 0, 0, 0) }, 261),
            (Schedule::Weekly { day: Weekday::Sunday, at: time(1, 0, 0, 0) }, 52),
            (Schedule::Every(Duration::from_secs(3600)), 365 * 24),
            (Schedule::Cron("30 1 * * *".into()), 365),
        ] {
            let (mut at, mut count) = (start.checked_sub(jiff::SignedDuration::from_millis(1)).unwrap(), 0);
            while let Some(slot) = next(&schedule, &zone, at).filter(|slot| *slot < end) {
                assert!(slot > at, "{schedule:?}: {slot} after {at}");
                // Whoever looks a moment later, for the first time since the slot before, finds this slot and no other.
                let later = slot.checked_add(jiff::SignedDuration::from_millis(300)).unwrap();
                assert_eq!(latest(&schedule, &zone, at, later), Some(slot), "{schedule:?}");
                assert_eq!(latest(&schedule, &zone, slot, later), None, "{schedule:?}");
                (at, count) = (slot, count + 1);
            }
            assert_eq!(count, slots, "{schedule:?}");
        }
    }

    #[test]
    fn what_was_missed_is_one_slot() {
        let zone = TimeZone::UTC;
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let quarter = Schedule::Every(Duration::from_secs(900));
        let (since, now) = (at("2026-11-20T00:00:00Z"), at("2026-11-23T10:07:00Z"));
        assert_eq!(latest(&quarter, &zone, since, now), Some(at("2026-11-23T10:00:00Z")));
        assert_eq!(latest(&quarter, &zone, at("2026-11-23T10:00:00Z"), now), None);
        let daily = Schedule::Daily { at: time(2, 0, 0, 0) };
        assert_eq!(latest(&daily, &zone, since, now), Some(at("2026-11-23T02:00:00Z")));
        assert_eq!(latest(&daily, &zone, at("2026-11-23T02:00:00Z"), now), None);
    }

    #[test]
    fn a_missed_slot_is_found_however_rare_they_are() {
        let zone = TimeZone::get("Europe/London").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (cron, since, now, expected) in [
            ("0 6 1 1 *", "2025-01-01T06:00:01Z", "2026-03-20T12:00:00Z", Some("2026-01-01T06:00:00Z")),
            ("0 6 1 1 *", "2026-01-01T06:00:00Z", "2026-12-31T12:00:00Z", None),
            ("0 6 1 1,4,7,10 *", "2026-04-01T05:00:00Z", "2026-09-30T12:00:00Z", Some("2026-07-01T05:00:00Z")),
            ("0 6 29 2 *", "1970-01-01T00:00:00Z", "2026-12-31T12:00:00Z", Some("2024-02-29T06:00:00Z")),
        ] {
            let cron_due = Schedule::Cron(cron.into());
            assert_eq!(latest(&cron_due, &zone, at(since), at(now)), expected.map(at), "{cron} after {since}");
        }
    }
}
