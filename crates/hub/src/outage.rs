//! Outside calls that fail for a while are tried again, and not for ever.

use std::time::{Duration, Instant};

use record::{BoxFuture, Fault, Now, RetryPolicy, Scope};

use crate::watch::{Note, Watch};

/// Calls until it succeeds, is refused for good, or the policy ends; then the last fault is the answer.
///
/// *Cancel*: safe wherever the call itself is.
pub(crate) async fn with_retries<'a, T>(
    policy: &RetryPolicy,
    watch: &dyn Watch,
    mut call: impl FnMut() -> BoxFuture<'a, Result<T, Fault>>,
) -> Result<T, Fault> {
    let start = Instant::now();
    let mut attempt = 0;
    loop {
        let fault = match call().await {
            Err(fault) if fault.is_transient() => fault,
            answer => return answer,
        };
        attempt += 1;
        let Now::RetryAfter(asked) = fault.now else { return Err(fault) };
        let Some(delay) = policy.delay(attempt, start.elapsed(), asked, jitter()) else { return Err(fault) };
        if delay > Duration::ZERO {
            watch.note(Note::TryingAgain { fault: &fault, delay, attempt: attempt + 1 });
        }
        tokio::time::sleep(delay).await;
    }
}

/// A destination said nothing of a row: it may have taken it.
pub(crate) fn unanswered(to: &str) -> Fault {
    Fault::retry(crate::codes::DOES_NOT_ADD_UP, format!("`{to}` gave no answer for the row"), None)
        .scope(Scope::Row)
        .effect_unknown()
}

/// Spread, not secret: the low digits of the clock are as good as any.
fn jitter() -> f64 {
    f64::from(jiff::Timestamp::now().subsec_nanosecond().unsigned_abs() % 1_000) / 1_000.0
}
