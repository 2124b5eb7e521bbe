//! How often somebody may try to sign in. Pure but for what it remembers.
//!
//! The first tries of a name are free; then each must wait twice as long as the one before, up to a minute. All names
//! together have a bound too, which is what the machine can hash. Nothing is counted by address: behind a proxy all
//! have the same one, and whoever guesses has many. A right password while one has to wait is not looked at.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

/// Wrong passwords of a name before it has to wait.
const FREE: u32 = 3;
const WAIT_MAX: SignedDuration = SignedDuration::from_secs(60);
/// After so long without a try, a name begins anew.
const FORGOTTEN: SignedDuration = SignedDuration::from_mins(15);
/// Names that are remembered. Made-up ones push out the oldest.
const NAMES_MAX: usize = 1000;
/// Tries of all names together within a minute.
const ALL_MAX: u32 = 60;

#[derive(Debug, Clone, Copy)]
struct Failed {
    times: u32,
    last: Timestamp,
}

#[derive(Debug, Default)]
pub struct Tries {
    failed: HashMap<String, Failed>,
    minute: i64,
    in_minute: u32,
}

impl Tries {
    /// Whether a name may try now; else how long it has to wait.
    pub fn may(&mut self, name: &str, now: Timestamp) -> Result<(), SignedDuration> {
        let minute = now.as_second() / 60;
        if self.minute != minute {
            (self.minute, self.in_minute) = (minute, 0);
        }
        if self.in_minute >= ALL_MAX {
            return Err(SignedDuration::from_secs(60 - now.as_second().rem_euclid(60)));
        }
        if let Some(failed) = self.failed.get(&name.to_lowercase()) {
            let waited = now.duration_since(failed.last);
            let wait = wait_after(failed.times);
            if waited < wait {
                return Err(wait - waited);
            }
        }
        self.in_minute += 1;
        Ok(())
    }

    pub fn failed(&mut self, name: &str, now: Timestamp) {
        self.failed.retain(|_, failed| now.duration_since(failed.last) < FORGOTTEN);
        if self.failed.len() >= NAMES_MAX
            && let Some(oldest) = self.failed.iter().min_by_key(|(_, failed)| failed.last).map(|(name, _)| name.clone())
        {
            self.failed.remove(&oldest);
        }
        let failed = self.failed.entry(name.to_lowercase()).or_insert(Failed { times: 0, last: now });
        *failed = Failed { times: failed.times.saturating_add(1), last: now };
    }

    pub fn succeeded(&mut self, name: &str) {
        self.failed.remove(&name.to_lowercase());
    }
}

fn wait_after(times: u32) -> SignedDuration {
    match times.checked_sub(FREE) {
        None => SignedDuration::ZERO,
        Some(more) => SignedDuration::from_secs(1_i64 << more.min(6)).min(WAIT_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_764_000_000 + second).unwrap()
    }

    #[test]
    fn wrong_passwords_make_wait_longer_and_longer() {
        let mut tries = Tries::default();
        for _ in 0..3 {
            tries.may("mia", at(0)).unwrap();
            tries.failed("mia", at(0));
        }
        assert_eq!(tries.may("Mia", at(0)), Err(SignedDuration::from_secs(1)));
        // Others are not held up by it.
        assert_eq!(tries.may("ola", at(0)), Ok(()));
        tries.may("mia", at(1)).unwrap();
        tries.failed("mia", at(1));
        assert_eq!(tries.may("mia", at(2)), Err(SignedDuration::from_secs(1)));
        tries.may("mia", at(3)).unwrap();
        tries.succeeded("mia");
        assert_eq!(tries.may("mia", at(3)), Ok(()));
    }

    #[test]
    fn all_names_together_have_a_bound() {
        let mut tries = Tries::default();
        let let_in = (0..200).filter(|n| tries.may(&format!("n{n}"), at(0)).is_ok()).count();
        assert_eq!(let_in, ALL_MAX as usize);
        assert_eq!(tries.may("mia", at(60)), Ok(()));
    }

    proptest! {
        /// Whatever is tried when: within an hour a name gets few guesses, and little is remembered.
        #[test]
        fn guesses_are_few(steps in prop::collection::vec((0..3_i64, 0..2000_u32), 1..600)) {
            let (mut tries, mut now, mut guesses) = (Tries::default(), 0, 0);
            for (step, other) in steps {
                now += step;
                if tries.may("mia", at(now)).is_ok() {
                    guesses += 1;
                    tries.failed("mia", at(now));
                }
                tries.failed(&format!("n{other}"), at(now));
            }
            prop_assert!(guesses <= 10 + now / 60, "{guesses} guesses in {now} s");
            prop_assert!(tries.failed.len() <= NAMES_MAX);
        }
    }
}
