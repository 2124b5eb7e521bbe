//! Service protection: so many requests, so much time and so many at once, for each user in a sliding window.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// What one user may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub requests: usize,
    pub window: Duration,
    pub execution: Duration,
    pub concurrent: usize,
}

impl Limits {
    /// The documented ones.
    pub fn real() -> Limits {
        Limits {
            requests: 6000,
            window: Duration::from_secs(300),
            execution: Duration::from_secs(1200),
            concurrent: 52,
        }
    }
}

#[derive(Default)]
struct User {
    /// When requests began, and how long those that have ended took.
    done: VecDeque<(Instant, Duration)>,
    running: usize,
    /// Requests refused since the last one that was let in.
    refused: u64,
}

/// Why a request is not let in.
pub struct TooMuch {
    pub code: &'static str,
    pub message: String,
    pub retry_after: u64,
}

/// What is left, for the informational headers.
#[derive(Clone, Copy)]
pub struct Left {
    pub requests: usize,
    pub execution: Duration,
}

#[derive(Default)]
pub struct Meter {
    users: HashMap<String, User>,
}

impl Meter {
    /// Lets a request in, or says why not. Each that is let in must be ended by [`Meter::leave`].
    pub fn enter(&mut self, limits: &Limits, user: &str, now: Instant) -> Result<Left, TooMuch> {
        let known = self.users.entry(user.to_owned()).or_default();
        while known.done.front().is_some_and(|(began, _)| now.duration_since(*began) >= limits.window) {
            known.done.pop_front();
        }
        let spent: Duration = known.done.iter().map(|(_, took)| *took).sum();
        let used = known.done.len() + known.running;
        let refusal = if known.running >= limits.concurrent {
            Some(("0x80072326", format!("Number of concurrent requests exceeded the limit of {}.", limits.concurrent)))
        } else if used >= limits.requests {
            let seconds = limits.window.as_secs();
            Some((
                "0x80072322",
                format!(
                    "Number of requests exceeded the limit of {} over time window of {seconds} seconds.",
                    limits.requests
                ),
            ))
        } else if spent >= limits.execution {
            Some((
                "0x80072321",
                format!(
                    "Combined execution time of incoming requests exceeded limit of {} milliseconds over time window of \
                     {} seconds. Decrease number of concurrent requests or reduce the duration of requests and try again \
                     later.",
                    grouped(limits.execution.as_millis()),
                    limits.window.as_secs()
                ),
            ))
        } else {
            None
        };
        if let Some((code, message)) = refusal {
            known.refused += 1;
            let oldest = known.done.front().map_or(Duration::ZERO, |(began, _)| now.duration_since(*began));
            let wait = if code == "0x80072326" { 1 } else { limits.window.saturating_sub(oldest).as_secs().max(1) };
            // Whoever keeps sending waits longer.
            let retry_after = (wait + known.refused / 10).min(limits.window.as_secs().max(1));
            return Err(TooMuch { code, message, retry_after });
        }
        known.refused = 0;
        known.running += 1;
        Ok(Left { requests: limits.requests - used - 1, execution: limits.execution.saturating_sub(spent) })
    }

    pub fn leave(&mut self, user: &str, began: Instant, took: Duration) {
        if let Some(known) = self.users.get_mut(user) {
            known.running = known.running.saturating_sub(1);
            known.done.push_back((began, took));
        }
    }
}

impl Left {
    /// As the header has it: `1,199.97`.
    pub fn execution_text(&self) -> String {
        let millis = self.execution.as_millis();
        format!("{}.{:02}", grouped(millis / 1000), millis % 1000 / 10)
    }
}

fn grouped(number: u128) -> String {
    let text = number.to_string();
    let mut out = String::new();
    for (index, digit) in text.chars().enumerate() {
        if index > 0 && (text.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Limits {
        Limits { requests: 2, window: Duration::from_secs(10), execution: Duration::from_secs(5), concurrent: 2 }
    }

    #[test]
    fn the_window_slides() {
        let (mut meter, limits, start) = (Meter::default(), small(), Instant::now());
        for _ in 0..2 {
            assert!(meter.enter(&limits, "a", start).is_ok());
            meter.leave("a", start, Duration::from_millis(1));
        }
        let refused = meter.enter(&limits, "a", start + Duration::from_secs(4)).err().unwrap();
        assert_eq!((refused.code, refused.retry_after), ("0x80072322", 6));
        assert!(meter.enter(&limits, "b", start).is_ok(), "each user has a window of its own");
        assert!(meter.enter(&limits, "a", start + Duration::from_secs(10)).is_ok());
    }

    #[test]
    fn time_and_concurrency_have_codes_of_their_own() {
        let (mut meter, limits, start) = (Meter::default(), small(), Instant::now());
        assert!(meter.enter(&limits, "a", start).is_ok());
        assert!(meter.enter(&limits, "a", start).is_ok());
        assert_eq!(meter.enter(&limits, "a", start).err().unwrap().code, "0x80072326");
        meter.leave("a", start, Duration::from_secs(6));
        let limits = Limits { requests: 100, ..limits };
        let refused = meter.enter(&limits, "a", start).err().unwrap();
        assert_eq!(refused.code, "0x80072321");
        assert!(refused.message.contains("5,000 milliseconds"), "{}", refused.message);
    }
}
