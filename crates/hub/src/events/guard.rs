//! The outage guard: while a destination takes nothing, messages wait, and one of them probes now and then. Pure.

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

#[cfg(test)]
mod tests {
    use super::*;

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
