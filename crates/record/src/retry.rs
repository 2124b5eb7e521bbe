//! Retries that end.

use std::time::Duration;

/// How often and how long to try. *Shape*: always finite; the worst case can be printed before anything runs.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// Attempts after the first that follow at once.
    pub immediate: u32,
    /// The first delay after those; each next one is twice as long.
    pub first: Duration,
    /// No delay is longer.
    pub longest: Duration,
    /// No attempt starts later than this after the first one.
    pub give_up_after: Duration,
}

impl Default for RetryPolicy {
    /// Two at once, then 1, 2, 4 … 60 seconds, for five minutes.
    fn default() -> Self {
        RetryPolicy {
            immediate: 2,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            give_up_after: Duration::from_secs(300),
        }
    }
}

impl RetryPolicy {
    /// The delay before attempt `attempt` (1 is the first retry), or `None` where the policy ends.
    ///
    /// `elapsed` is the time since the first attempt; `asked` what the other side asked us to wait (its word wins over a
    /// shorter delay); `jitter` is in 0..1 and spreads delays over their upper half, so that many clients do not come
    /// back together.
    pub fn delay(&self, attempt: u32, elapsed: Duration, asked: Option<Duration>, jitter: f64) -> Option<Duration> {
        let own = self.own_delay(attempt).mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
        let delay = asked.map_or(own, |asked| asked.max(own));
        (elapsed.saturating_add(delay) <= self.give_up_after).then_some(delay)
    }

    /// The most attempts (the first one included) and the time that they take, with no time spent in the calls.
    pub fn worst_case(&self) -> (u32, Duration) {
        let (mut attempts, mut total) = (1, Duration::ZERO);
        while attempts < 10_000 {
            let delay = self.own_delay(attempts);
            if total + delay > self.give_up_after {
                break;
            }
            total += delay;
            attempts += 1;
        }
        (attempts, total)
    }

    fn own_delay(&self, attempt: u32) -> Duration {
        if attempt <= self.immediate {
            return Duration::ZERO;
        }
        let doubled = self.first.saturating_mul(1u32.checked_shl(attempt - self.immediate - 1).unwrap_or(u32::MAX));
        doubled.min(self.longest).max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_and_says_when() {
        let policy = RetryPolicy::default();
        let (attempts, total) = policy.worst_case();
        // 1 + 2 at once, then 1+2+4+8+16+32 s and 60 s three times = 243 s; a fourth minute would pass 300 s.
        assert_eq!((attempts, total), (12, Duration::from_secs(243)));
        assert_eq!(policy.delay(1, Duration::ZERO, None, 1.0), Some(Duration::ZERO));
        assert_eq!(policy.delay(3, Duration::ZERO, None, 1.0), Some(Duration::from_secs(1)));
        assert_eq!(policy.delay(3, Duration::ZERO, None, 0.0), Some(Duration::from_millis(500)));
        assert_eq!(policy.delay(3, Duration::from_secs(300), None, 1.0), None);
    }

    #[test]
    fn the_other_side_may_ask_for_more_but_not_for_ever() {
        let policy = RetryPolicy::default();
        let asked = |s| Some(Duration::from_secs(s));
        assert_eq!(policy.delay(1, Duration::ZERO, asked(38), 1.0), asked(38));
        assert_eq!(policy.delay(9, Duration::ZERO, asked(1), 1.0), asked(60));
        assert_eq!(policy.delay(1, Duration::ZERO, asked(301), 1.0), None);
        assert_eq!(policy.delay(2, Duration::from_secs(1), asked(u64::MAX), 1.0), None);
    }
}
