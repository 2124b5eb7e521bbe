//! Keeps to a number of requests a minute, in even steps.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Pace {
    /// From the start of one request to the next.
    step: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub fn new(requests_a_minute: u32) -> Pace {
        Pace { step: Duration::from_secs(60) / requests_a_minute.max(1), next: Mutex::new(None) }
    }

    /// Waits for this request's turn. *Cancel*: the turn is lost, which only makes the pace slower.
    pub async fn turn(&self) {
        let at = {
            let mut next = self.next.lock().await;
            let at = next.map_or_else(Instant::now, |next| next.max(Instant::now()));
            *next = Some(at + self.step);
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_come_in_even_steps() {
        let pace = Pace::new(600);
        let begun = Instant::now();
        for _ in 0..11 {
            pace.turn().await;
        }
        assert_eq!(begun.elapsed().as_millis(), 1_000, "the first at once, then one each 100 ms");
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        pace.turn().await;
        pace.turn().await;
        assert_eq!(begun.elapsed().as_millis(), 100, "a quiet minute is not made up for by a burst");
    }
}
