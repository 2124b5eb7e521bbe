//! A sign of life of each part of a hub that must go round: whoever asks whether the hub is well looks at it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// The parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Finds what is due, and starts it.
    Schedule,
    /// Retries of many dead letters.
    Retries,
    /// Forgets and reminds.
    Upkeep,
    /// Asks systems whether they answer.
    Looks,
}

impl Part {
    pub const ALL: [Part; 4] = [Part::Schedule, Part::Retries, Part::Upkeep, Part::Looks];

    pub fn as_str(self) -> &'static str {
        match self {
            Part::Schedule => "schedule",
            Part::Retries => "retries",
            Part::Upkeep => "upkeep",
            Part::Looks => "looks",
        }
    }

    /// A part that says nothing for longer hangs. Far longer than its round takes, also while the disk is slow.
    pub fn patience(self) -> Duration {
        match self {
            Part::Schedule | Part::Retries | Part::Looks => Duration::from_secs(60),
            Part::Upkeep => Duration::from_secs(600),
        }
    }
}

/// Shared by all parts of one hub.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<[AtomicI64; 4]>);

impl Pulse {
    /// Every part counts as alive from now on.
    pub fn new() -> Pulse {
        let now = Timestamp::now().as_millisecond();
        Pulse(Arc::new([now, now, now, now].map(AtomicI64::new)))
    }

    /// This part went round.
    pub fn beat(&self, part: Part) {
        self.0[part as usize].store(Timestamp::now().as_millisecond(), Ordering::Relaxed);
    }

    /// How long ago it did. By the machine's own clock, which nobody moves in a test.
    pub fn age(&self, part: Part) -> Duration {
        let then = self.0[part as usize].load(Ordering::Relaxed);
        Duration::from_millis(Timestamp::now().as_millisecond().saturating_sub(then).max(0) as u64)
    }
}

impl Default for Pulse {
    fn default() -> Pulse {
        Pulse::new()
    }
}
