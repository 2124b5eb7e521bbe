//! Time as the store keeps it: whole milliseconds since 1970, in UTC.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// Where the store takes the time from: the machine, or a test.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Clock {
        Clock::of(Timestamp::now)
    }

    /// A clock that a test moves.
    pub fn of(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now))
    }

    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::system()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// Milliseconds since 1970. A time between two milliseconds becomes the earlier one.
pub(crate) type Ms = i64;

pub(crate) fn to_ms(time: Timestamp) -> Ms {
    time.as_millisecond()
}

/// A time that was read from the file; one out of the calendar's range is pulled to its end.
pub(crate) fn from_ms(ms: Ms) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// A length of time, rounded up to a whole millisecond and bounded so that sums cannot overflow (some 35,000 years).
pub(crate) fn duration_ms(duration: Duration) -> Ms {
    let ms = duration.as_nanos().div_ceil(1_000_000);
    i64::try_from(ms).unwrap_or(i64::MAX).min(1 << 50)
}

pub(crate) fn ms_duration(ms: Ms) -> Duration {
    Duration::from_millis(ms.max(0) as u64)
}
