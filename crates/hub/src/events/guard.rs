//! The outage guard: while a destination takes nothing, messages wait, and one of them probes now and then. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Messages of different rows that are on their way to one destination at once.
const WIDTH_MAX: usize = 8;
/// So many failures in a row are an outage, to be told to people.
const OUTAGE: u32 = 3;
const PROBE_FIRST: Duration = Duration::from_secs(1);
const PROBE_LONGEST: Duration = Duration::from_secs(60);
/// A destination that asks for more than this is asked again all the same.
const ASKED_LONGEST: Duration = Duration::from_secs(15 * 60);

#[derive(Debug)]
pub(crate) struct Guard {
    failures: u32,
    width: usize,
}

impl Guard {
    pub fn new() -> Guard {
        Guard { failures: 0, width: WIDTH_MAX }
    }

    /// How many messages may be on their way.
    pub fn width(&self) -> usize {
        self.width
    }

    pub fn failures(&self) -> u32 {
        self.failures
    }

    pub fn is_outage(&self) -> bool {
        self.failures >= OUTAGE
    }

    /// The destination took nothing. Answers how long to leave it alone.
    pub fn failed(&mut self, asked: Option<Duration>) -> Duration {
        let doubled = PROBE_FIRST.saturating_mul(1 << self.failures.min(6));
        self.failures += 1;
        self.width = 1;
        asked.unwrap_or_default().min(ASKED_LONGEST).max(doubled.min(PROBE_LONGEST))
    }

    /// The destination took a message: more may follow, at a ramp.
    pub fn worked(&mut self) {
        self.failures = 0;
        self.width = (self.width * 2).min(WIDTH_MAX);
    }
}

/// So many times one message probes in a row; then the next one does.
const PROBES_OF_ONE: u32 = 3;
/// At most so many messages are passed over to find one that probes.
const PASSED_OVER_MAX: usize = 15;
/// So many rows at which the other side fails, with none between them that gets through, are no fault of these rows.
const FAILING_ROWS: usize = 3;

/// Which messages found the other side closed: one that always does, while others get through, is to blame itself.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    /// Failed probes in this outage, by the number of the message.
    probes: BTreeMap<i64, u32>,
    blamed: Vec<i64>,
    failing: bool,
    /// The rows at which the other side has failed since something got through.
    failed_at: BTreeSet<String>,
}

impl Suspects {
    /// How many messages, from the one that waits longest on, have probed often enough after so many failures in a row.
    pub fn passed_over(failures: u32) -> usize {
        (failures / PROBES_OF_ONE) as usize % (PASSED_OVER_MAX + 1)
    }

    pub fn failed(&mut self, seq: i64) {
        *self.probes.entry(seq).or_default() += 1;
        self.failing = true;
    }

    /// The other side failed at this row. Answers whether it does so at one after another.
    pub fn failed_at(&mut self, row: String) -> bool {
        self.failed_at.insert(row);
        self.failed_at.len() >= FAILING_ROWS
    }

    /// A message got through: those that did not, often, are suspects from now on.
    pub fn worked(&mut self) {
        self.failing = false;
        self.failed_at.clear();
        let often = std::mem::take(&mut self.probes).into_iter().filter(|(_, probes)| *probes >= PROBES_OF_ONE);
        self.blamed.extend(often.map(|(seq, _)| seq));
        let old = self.blamed.len().saturating_sub(100);
        self.blamed.drain(..old);
    }

    /// Whether this message fails by itself, now that others get through.
    pub fn blames(&self, seq: i64) -> bool {
        !self.failing && self.blamed.contains(&seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_does_not_probe_for_ever() {
        let passed: Vec<usize> = [0, 2, 3, 5, 6, 47, 48].into_iter().map(Suspects::passed_over).collect();
        assert_eq!(passed, [0, 0, 1, 1, 2, 15, 0]);
        let mut suspects = Suspects::default();
        for _ in 0..3 {
            suspects.failed(7);
        }
        suspects.failed(8);
        assert!(!suspects.blames(7), "nothing got through, so that it is the other side");
        suspects.worked();
        assert!(suspects.blames(7) && !suspects.blames(8));
        suspects.failed(9);
        assert!(!suspects.blames(7), "now it may be the other side again");
        suspects.worked();
        assert!(suspects.blames(7) && !suspects.blames(9));
    }

    #[test]
    fn a_side_that_fails_at_one_row_after_another_is_down() {
        let mut suspects = Suspects::default();
        let mut fails = |row: &str| suspects.failed_at(row.into());
        assert_eq!(
            ["A", "A", "A", "B", "B", "C", "A"].map(&mut fails),
            [false, false, false, false, false, true, true]
        );
        suspects.worked();
        assert!(!suspects.failed_at("A".into()), "it is the row");
    }

    #[test]
    fn it_waits_longer_each_time_and_comes_back_at_a_ramp() {
        let mut guard = Guard::new();
        let seconds: Vec<u64> = (0..8).map(|_| guard.failed(None).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(guard.is_outage());
        let ramp: Vec<usize> = (0..4)
            .map(|_| {
                guard.worked();
                guard.width()
            })
            .collect();
        assert_eq!((ramp, guard.is_outage()), (vec![2, 4, 8, 8], false));
    }

    #[test]
    fn the_other_side_may_ask_for_more_and_not_for_ever() {
        let ask = |seconds| Guard::new().failed(Some(Duration::from_secs(seconds))).as_secs();
        assert_eq!((ask(0), ask(30), ask(86_400)), (1, 30, 900));
    }
}
