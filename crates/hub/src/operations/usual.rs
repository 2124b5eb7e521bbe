//! What is usual, and what is much less than that. Pure.

use definition::Calendar;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use store::runs::{Run, State, Trigger};

use crate::calendar;

/// What is usual, and what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Less {
    pub usual: u64,
    pub now: u64,
    pub since: Timestamp,
}

/// Slots that are needed before one can be called short; and as many short ones are what is usual from then on.
const SLOTS: usize = 5;
/// Weeks that are needed before an hour can be called slow.
const WEEKS: usize = 3;
/// Fewer than this are too few to tell anything by.
const FEWEST: u64 = 20;
/// How long an hour is the last word on what goes through, where those after it tell nothing: a weekend.
const HOURS: i64 = 72;

pub(crate) fn median(mut counts: Vec<u64>) -> Option<u64> {
    counts.sort_unstable();
    counts.get(counts.len() / 2).copied()
}

/// What each slot brought, newest first, and when: what its good run read, with what had been read since the good one
/// before it, by attempts that failed and by runs that a person asked for. What was read by hand since the last slot
/// counts for that one too. *Shape*: `runs` are newest first.
pub(crate) fn brought(runs: &[Run]) -> Vec<(Timestamp, u64)> {
    let (mut slots, mut read) = (Vec::new(), 0);
    for run in runs.iter().rev() {
        match run.state {
            State::Failed | State::Interrupted => read += run.counts.read,
            state if state.is_good() => read += run.counts.read,
            _ => continue,
        }
        if run.state.is_good() && run.trigger != Trigger::Command {
            slots.insert(0, (run.finished.unwrap_or(run.started), read));
            read = 0;
        }
    }
    if let Some((_, last)) = slots.first_mut() {
        *last += read;
    }
    slots
}

/// The last slot brought much less than those before it. It stays so until one brings more, so that a weekend of them is
/// still told on Monday. *Shape*: newest first, as [`brought`] gives them.
pub(crate) fn few_rows(slots: &[(Timestamp, u64)]) -> Option<Less> {
    (1..=SLOTS.min(slots.len())).rev().find_map(|short| {
        let (now, before) = slots.split_at(short);
        let before: Vec<u64> = before.iter().take(20).map(|(_, read)| *read).collect();
        let least = *before.iter().min()?;
        let usual = median(before.clone())?;
        let few = before.len() >= SLOTS
            && usual >= FEWEST
            && now.iter().all(|(_, read)| *read < usual / 5 && *read < least / 2);
        few.then(|| Less { usual, now: now[0].1, since: now[short - 1].0 })
    })
}

/// The last whole hour that tells anything, where much less went through than in the same hour of the weeks before, by
/// the clocks of `zone`. Holidays tell nothing, nor do hours that began before `resumed` or were over when the hub
/// `started`: what was due then was not done in them. *Shape*: hours in order; one that is not there had nothing. The
/// hours of the first week of all tell nothing about weeks before it.
pub(crate) fn slow_hour(
    hours: &[(Timestamp, u64)],
    now: Timestamp,
    calendar: &Calendar,
    zone: &TimeZone,
    (started, resumed): (Timestamp, Option<Timestamp>),
) -> Option<Less> {
    let hour = SignedDuration::from_hours(1);
    let whole = |at: Timestamp| Timestamp::from_second(at.as_second().div_euclid(3_600) * 3_600).ok();
    let at = |moment: Timestamp| hours.iter().find(|(hour, _)| *hour == moment).map_or(0, |(_, count)| *count);
    let first = hours.first()?.0;
    let mut last = whole(now)?;
    for _ in 0..HOURS {
        let end = last;
        last = last.checked_sub(hour).ok()?;
        if started >= end || resumed.is_some_and(|resumed| resumed > last) {
            return None;
        }
        if calendar::is_holiday(last, calendar, zone) {
            continue;
        }
        let local = last.to_zoned(zone.clone());
        let week = |n: i64| whole(local.checked_sub(Span::new().days(7 * n)).ok()?.timestamp());
        let before: Vec<u64> =
            (1..super::facts::WEEKS).filter_map(week).filter(|then| *then >= first).map(at).collect();
        let (Some(least), Some(usual)) = (before.iter().min().copied(), median(before.clone())) else { continue };
        if before.len() >= WEEKS && usual >= FEWEST {
            let count = at(last);
            let slow = count < usual / 4 && count < least / 2;
            return slow.then_some(Less { usual, now: count, since: last });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use definition::{Holidays, Hours};
    use store::runs::{Counts, RunId};

    fn run(state: State, trigger: Trigger, read: u64) -> Run {
        Run {
            id: RunId(1),
            integration: "prices".into(),
            trigger,
            slot: None,
            retry_of: None,
            state,
            started: Timestamp::UNIX_EPOCH,
            finished: None,
            counts: Counts { read, ..Counts::default() },
            error: None,
        }
    }

    fn few(reads: &[u64]) -> Option<(u64, u64)> {
        let day = |back: usize| Timestamp::from_second(100 * 86_400 - 86_400 * back as i64).unwrap();
        let slots: Vec<_> = reads.iter().enumerate().map(|(back, read)| (day(back), *read)).collect();
        few_rows(&slots).map(|less| (less.usual, less.now))
    }

    #[test]
    fn a_short_run_is_one_that_never_was_so_short() {
        assert_eq!(few(&[0, 500, 480, 510, 505, 490]), Some((500, 0)));
        assert_eq!(few(&[90, 500, 480, 510, 505, 490]), Some((500, 90)));
        assert_eq!(few(&[110, 500, 480, 510, 505, 490]), None, "a fifth is enough");
        assert_eq!(few(&[0, 500, 480, 510, 505]), None, "four runs show nothing");
        assert_eq!(few(&[0, 500, 0, 510, 505, 490]), None, "there was none before, too");
        assert_eq!(few(&[0, 7, 8, 6, 7, 9]), None, "so few tell nothing");
        assert_eq!(few(&[]), None);
    }

    #[test]
    fn a_source_that_stays_short_is_short_until_that_is_usual() {
        let usual = [500, 480, 510, 505, 490, 500];
        let after = |short: &[u64]| few(&[short, &usual].concat());
        assert_eq!(after(&[0, 0]), Some((500, 0)), "Saturday and Sunday");
        assert_eq!(after(&[80, 90, 85]), Some((500, 80)));
        assert_eq!(after(&[80; 5]), Some((500, 80)));
        assert_eq!(after(&[80; 6]), None, "five of them are what is usual");
        assert_eq!(after(&[500, 0, 0]), None, "it is back");
        assert_eq!(after(&[0, 500, 0, 0]), None, "a weekend as the one before");
    }

    #[test]
    fn a_slot_has_brought_what_was_read_for_it_by_any_run() {
        use State::{Failed, Interrupted, NotApproved, Ok};
        use Trigger::{Command, Retry, Schedule};
        let reads = |runs: &[(State, Trigger, u64)]| {
            let runs: Vec<Run> = runs.iter().map(|(state, trigger, read)| run(*state, *trigger, *read)).collect();
            brought(&runs).into_iter().map(|(_, read)| read).collect::<Vec<u64>>()
        };
        let cut = [(Ok, Retry, 20), (Failed, Retry, 130), (Interrupted, Schedule, 350), (Ok, Schedule, 480)];
        assert_eq!(reads(&cut), [500, 480], "attempts that were cut had read the rest");
        assert_eq!(reads(&[(Ok, Schedule, 20), (Ok, Command, 480), (Ok, Schedule, 510)]), [500, 510], "read by hand");
        assert_eq!(reads(&[(Ok, Command, 2), (Ok, Schedule, 480)]), [482], "a look by hand is no slot");
        assert_eq!(reads(&[(Ok, Schedule, 500), (NotApproved, Schedule, 500)]), [500], "nothing of it was written");
        assert!(reads(&[(Failed, Schedule, 7)]).is_empty());
    }

    fn at(moment: &str) -> Timestamp {
        moment.parse().unwrap()
    }

    fn calendar(holidays: &[&str]) -> Calendar {
        let holidays = Holidays::Dates(holidays.iter().map(|day| day.parse().unwrap()).collect());
        let day = (jiff::civil::time(0, 0, 0, 0), jiff::civil::time(23, 59, 0, 0));
        Calendar { working_hours: Hours { from: day.0, until: day.1 }, working_days: Vec::new(), holidays }
    }

    /// Monday the 23rd, ten past ten, of a hub that has been up for long.
    fn slow(hours: &[(Timestamp, u64)]) -> Option<(u64, u64)> {
        slow_at("2026-11-23T10:20:00Z", hours)
    }

    fn slow_at(now: &str, hours: &[(Timestamp, u64)]) -> Option<(u64, u64)> {
        let since = (at("2026-10-01T00:00:00Z"), None);
        slow_hour(hours, at(now), &calendar(&["2026-11-24"]), &TimeZone::UTC, since).map(|less| (less.usual, less.now))
    }

    fn week(n: i64, hour: i64, count: u64) -> (Timestamp, u64) {
        (at("2026-11-23T09:00:00Z").checked_sub(SignedDuration::from_hours(24 * 7 * n - hour)).unwrap(), count)
    }

    fn with(more: &[(Timestamp, u64)]) -> Vec<(Timestamp, u64)> {
        [&[week(4, 0, 400), week(3, 0, 420), week(2, 0, 390), week(1, 0, 410)], more].concat()
    }

    #[test]
    fn a_slow_hour_is_measured_by_the_same_hour_of_other_weeks() {
        assert_eq!(slow(&with(&[])), Some((410, 0)), "nothing at all");
        assert_eq!(slow(&with(&[week(0, 0, 60)])), Some((410, 60)), "a slow trickle");
        assert_eq!(slow(&with(&[week(0, 0, 300)])), None);
        assert_eq!(slow(&with(&[week(0, 1, 9)])[2..]), None, "two weeks show nothing");
        // This hour has only begun: it is not looked at.
        assert_eq!(slow(&with(&[week(0, 0, 400), week(0, 1, 1)])), None);
    }

    #[test]
    fn what_was_slow_stays_so_until_an_hour_tells_something_else() {
        let night = with(&[week(0, 0, 3)]);
        assert_eq!(slow_at("2026-11-23T17:00:00Z", &night), Some((410, 3)), "the hours since are quiet always");
        assert_eq!(slow_at("2026-11-25T12:00:00Z", &night), Some((410, 3)));
        assert_eq!(slow_at("2026-11-26T12:00:00Z", &night), None, "longer than a weekend");
        let mut back: Vec<_> = (0..5).rev().flat_map(|n| [week(n, 0, 400), week(n, 1, 400)]).collect();
        back[8].1 = 3;
        assert_eq!(slow_at("2026-11-23T10:20:00Z", &back), Some((400, 3)));
        assert_eq!(slow_at("2026-11-23T11:20:00Z", &back), None, "it is back");
    }

    #[test]
    fn holidays_pauses_starts_and_changed_clocks_are_not_slow() {
        let day =
            |n: i64| (at("2026-11-24T09:00:00Z").checked_sub(SignedDuration::from_hours(24 * 7 * n)).unwrap(), 400);
        let tuesdays: Vec<_> = (1..5).rev().map(day).collect();
        assert_eq!(slow_at("2026-11-24T10:20:00Z", &tuesdays), None, "a holiday");
        let since = |started, resumed: Option<&str>| {
            let since = (at(started), resumed.map(at));
            slow_hour(&with(&[]), at("2026-11-23T10:20:00Z"), &calendar(&[]), &TimeZone::UTC, since).is_some()
        };
        assert!(since("2026-11-23T09:50:00Z", Some("2026-11-23T09:00:00Z")));
        assert!(!since("2026-11-23T09:50:00Z", Some("2026-11-23T09:40:00Z")), "it was paused");
        assert!(!since("2026-11-23T10:05:00Z", None), "the hub was down");
        // Work begins at eight in Berlin, whose clocks went back on 25 October.
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let work = ["2026-10-05T06:00:00Z", "2026-10-12T06:00:00Z", "2026-10-19T06:00:00Z", "2026-10-26T07:00:00Z"];
        let hours: Vec<_> = work.iter().map(|hour| (at(hour), 400)).collect();
        let less = |hours: &[_], now| {
            slow_hour(hours, at(now), &calendar(&[]), &berlin, (at("2026-10-01T00:00:00Z"), None)).is_some()
        };
        assert!(!less(&hours[..3], "2026-10-26T07:10:00Z"), "it is ten past eight");
        assert!(!less(&hours, "2026-10-26T08:10:00Z"));
        assert!(less(&hours[..3], "2026-10-26T08:10:00Z"));
    }
}
