//! Many requests in one call, some of which are told to wait.

use std::time::Duration;

use record::{Code, Fault, Now, Scope};

/// The longest that one request waits.
const PATIENCE: Duration = Duration::from_secs(120);

/// The requests of one call that asks for many things, one after another.
///
/// Where the other side limits them after it has answered some, the next one waits in place: who tries the whole call
/// again asks for what was answered once more, and with a limit below the number of requests never comes to its end.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    answered: bool,
    /// Since the last answer.
    waited: Duration,
    last: Duration,
}

impl Turns {
    /// How long to wait before the request that ended so is sent again; nothing where that is what it comes to.
    pub fn wait<T>(&mut self, result: &Result<T, Fault>) -> Option<Duration> {
        match result.as_ref().map_err(limit) {
            Err(Some(said)) => {
                let wait = said.unwrap_or_else(|| (self.last * 2).max(Duration::from_secs(1)));
                (self.waited, self.last) = (self.waited + wait, wait);
                Some(wait).filter(|_| self.answered && self.waited <= PATIENCE)
            }
            _ => {
                *self = Turns { answered: true, ..Turns::default() };
                None
            }
        }
    }
}

/// How long a fault says to wait, where it is a limit on requests.
fn limit(fault: &Fault) -> Option<Option<Duration>> {
    match fault.now {
        Now::RetryAfter(after) if fault.code == Code("IB0507") && fault.scope == Scope::Destination => Some(after),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of requests that end so: the seconds before each further one.
    fn waits(turns: &mut Turns, ends: &[Result<(), Option<u64>>]) -> Vec<Option<u64>> {
        let end = |end: &Result<(), Option<u64>>| {
            let fault = |after: &Option<u64>| Fault::retry(Code("IB0507"), "later", after.map(Duration::from_secs));
            turns.wait(&end.as_ref().map_err(fault)).map(|wait| wait.as_secs())
        };
        ends.iter().map(end).collect()
    }

    #[test]
    fn only_what_was_not_answered_is_asked_again() {
        let ends = [Ok(()), Err(Some(5)), Err(None), Err(None), Ok(()), Err(None), Ok(())];
        assert_eq!(waits(&mut Turns::default(), &ends), [None, Some(5), Some(10), Some(20), None, Some(1), None]);
    }

    #[test]
    fn it_ends() {
        let mut turns = Turns::default();
        assert_eq!(waits(&mut turns, &[Err(Some(1))]), [None], "who asked decides, where nothing was answered before");
        assert_eq!(waits(&mut turns, &[Ok(()), Err(Some(100)), Err(Some(30))]), [None, Some(100), None]);
        let other = Fault::retry(Code("IB0508"), "down", None);
        assert_eq!(turns.wait(&Err::<(), _>(other)), None, "an outage is no limit");
    }
}
