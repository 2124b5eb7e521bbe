//! What is usual, and what is much less than that. Pure.

use jiff::{SignedDuration, Timestamp};
use store::runs::Run;

/// What is usual, and what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Less {
    pub usual: u64,
    pub now: u64,
    pub since: Timestamp,
}

/// Runs that are needed before one can be called short.
const RUNS: usize = 5;
/// Weeks that are needed before an hour can be called slow.
const WEEKS: usize = 3;
/// Fewer than this are too few to tell anything by.
const FEWEST: u64 = 20;

pub(crate) fn median(mut counts: Vec<u64>) -> Option<u64> {
    counts.sort_unstable();
    counts.get(counts.len() / 2).copied()
}

/// A run that read much less than the runs before it. *Shape*: `runs` are the good ones, newest first.
pub(crate) fn few_rows(runs: &[Run]) -> Option<Less> {
    let (last, before) = runs.split_first()?;
    let before: Vec<u64> = before.iter().take(20).map(|run| run.counts.read).collect();
    let least = *before.iter().min()?;
    let usual = median(before.clone())?;
    let few = before.len() >= RUNS && usual >= FEWEST && last.counts.read < usual / 5 && last.counts.read < least / 2;
    few.then_some(Less { usual, now: last.counts.read, since: last.finished.unwrap_or(last.started) })
}

/// The last whole hour, where much less went through than in the same hour of the weeks before. *Shape*: hours in order;
/// one that is not there had nothing. The hours of the first week of all tell nothing about weeks before it.
pub(crate) fn slow_hour(hours: &[(Timestamp, u64)], now: Timestamp) -> Option<Less> {
    let hour = SignedDuration::from_hours(1);
    let this = Timestamp::from_second(now.as_second().div_euclid(3_600) * 3_600).ok()?;
    let last = this.checked_sub(hour).ok()?;
    let at = |moment: Timestamp| hours.iter().find(|(hour, _)| *hour == moment).map_or(0, |(_, count)| *count);
    let first = hours.first()?.0;
    let week = |n: i64| last.checked_sub(SignedDuration::from_hours(24 * 7 * n)).ok();
    let before: Vec<u64> = (1..super::facts::WEEKS).filter_map(week).filter(|then| *then >= first).map(at).collect();
    let least = *before.iter().min()?;
    let usual = median(before.clone())?;
    let count = at(last);
    let slow = before.len() >= WEEKS && usual >= FEWEST && count < usual / 4 && count < least / 2;
    slow.then_some(Less { usual, now: count, since: last })
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::runs::{Counts, RunId, State, Trigger};

    fn runs(reads: &[u64]) -> Vec<Run> {
        let run = |(n, read): (usize, &u64)| Run {
            id: RunId(100 - n as i64),
            integration: "prices".into(),
            trigger: Trigger::Schedule,
            slot: None,
            retry_of: None,
            state: State::Ok,
            started: Timestamp::UNIX_EPOCH,
            finished: None,
            counts: Counts { read: *read, ..Counts::default() },
            error: None,
        };
        reads.iter().enumerate().map(run).collect()
    }

    #[test]
    fn a_short_run_is_one_that_never_was_so_short() {
        let few = |reads: &[u64]| few_rows(&runs(reads)).map(|less| (less.usual, less.now));
        assert_eq!(few(&[0, 500, 480, 510, 505, 490]), Some((500, 0)));
        assert_eq!(few(&[90, 500, 480, 510, 505, 490]), Some((500, 90)));
        assert_eq!(few(&[110, 500, 480, 510, 505, 490]), None, "a fifth is enough");
        assert_eq!(few(&[0, 500, 480, 510, 505]), None, "four runs show nothing");
        assert_eq!(few(&[0, 500, 0, 510, 505, 490]), None, "there was none before, too");
        assert_eq!(few(&[0, 7, 8, 6, 7, 9]), None, "so few tell nothing");
        assert_eq!(few(&[]), None);
    }

    #[test]
    fn a_slow_hour_is_measured_by_the_same_hour_of_other_weeks() {
        let now: Timestamp = "2026-11-23T10:20:00Z".parse().unwrap();
        let week = |n: i64, hour: i64, count: u64| {
            let nine: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
            (nine.checked_sub(SignedDuration::from_hours(24 * 7 * n - hour)).unwrap(), count)
        };
        let slow = |hours: &[(Timestamp, u64)]| slow_hour(hours, now).map(|less| (less.usual, less.now));
        let usual = [week(4, 0, 400), week(3, 0, 420), week(2, 0, 390), week(1, 0, 410)];
        let with = |more: &[(Timestamp, u64)]| usual.iter().chain(more).copied().collect::<Vec<_>>();
        assert_eq!(slow(&with(&[])), Some((410, 0)), "nothing at all");
        assert_eq!(slow(&with(&[week(0, 0, 60)])), Some((410, 60)), "a slow trickle");
        assert_eq!(slow(&with(&[week(0, 0, 300)])), None);
        assert_eq!(slow(&with(&[week(0, 1, 9)])[2..]), None, "two weeks show nothing");
        // This hour has only begun: it is not looked at.
        assert_eq!(slow(&with(&[week(0, 0, 400), week(0, 1, 1)])), None);
    }
}
