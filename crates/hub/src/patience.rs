//! What to do while our own state cannot be written: a disk that is full, a sync that fails, another process in the way.
//!
//! Nothing that was acknowledged is touched by that, and nothing new is acknowledged meanwhile. So there is nothing to
//! give up: the same commit is tried again until there is room. It is told once, and once more when it is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use store::{Op, OpResult, Store};
use tokio::sync::watch;

use crate::error::Error;

/// How long a commit that failed waits before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long work rests that could not go on, and has to go on without a complaint before it is believed.
const REST: Duration = Duration::from_secs(3);

/// The state of this process cannot be written at the moment, and somebody was told.
static TOLD: AtomicBool = AtomicBool::new(false);

/// Commits, however long that takes.
///
/// *Errors*: what does not pass by itself. A commit whose answer was lost is tried again too, so that its operations must
/// refuse to be done twice, or do no harm.
pub(crate) async fn commit(store: &Store, ops: Vec<Op>) -> Result<Vec<OpResult>, store::Error> {
    loop {
        match store.commit(ops.clone()).await {
            Err(error) if error.may_pass() => tell(&error),
            done => {
                over();
                return done;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The same for one operation.
pub(crate) async fn commit_one(store: &Store, op: impl Into<Op>) -> Result<OpResult, store::Error> {
    let mut results = commit(store, vec![op.into()]).await?;
    Ok(results.pop().expect("one operation has one result"))
}

/// Does a part of a hub's work until it ends well; begins it again after our own state could not be used for a while.
///
/// *Errors*: what does not pass by itself.
pub async fn keep<W>(mut stop: watch::Receiver<bool>, work: impl Fn() -> W) -> Result<(), Error>
where
    W: Future<Output = Result<(), Error>>,
{
    let mut failed = false;
    loop {
        let working = work();
        tokio::pin!(working);
        let ended = tokio::select! {
            ended = &mut working => ended,
            () = tokio::time::sleep(REST), if failed => {
                over();
                working.await
            }
        };
        match ended {
            Err(Error::Store(error)) if error.may_pass() => tell(&error),
            ended => return ended,
        }
        failed = true;
        tokio::select! {
            () = tokio::time::sleep(REST) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
    }
}

/// Says once that the state cannot be written.
pub(crate) fn tell(error: &store::Error) {
    if TOLD.swap(true, Ordering::Relaxed) {
        return tracing::debug!("still: {error}");
    }
    let code = error.code().map_or_else(String::new, |code| code.to_string());
    tracing::error!(
        code,
        "the hub's own state cannot be written: {error}; what was accepted is safe, nothing new is accepted, and work goes on by itself as soon as it can"
    );
}

fn over() {
    if TOLD.load(Ordering::Relaxed) && TOLD.swap(false, Ordering::Relaxed) {
        tracing::info!("the hub's own state can be written again; work goes on");
    }
}
