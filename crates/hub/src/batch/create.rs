//! Rows that nobody knows yet, created many at a time and without a look at what is there.
//!
//! Most of a first load is of this kind, and asking for each row whether it is there costs more than making it. The
//! destination keeps a second row of one key out; what it does not take so is written the usual way.
//!
//! Some chunks are on their way while the next page is read and compared. What became of them is looked at in the order in
//! which they were sent, and committed in that order too, so the position never passes a row that is not settled.

use std::future::ready;
use std::sync::Arc;

use record::{Attempt, BoxFuture, Change, Fault, Value};
use tokio::task::JoinHandle;

use super::read::HELD_MAX;
use super::wait::Orphan;
use super::write::settle;
use super::{Chunk, Run};
use crate::adopt::{self, Existing};
use crate::error::Stopped;
use crate::outage::with_retries;
use crate::pair::Pair;
use crate::sort::{self, Candidate, Decision};

/// Fewer rows than this are asked for: that is one request, too.
const ROWS_MIN: usize = 2;

/// So many chunks are on their way at once, so that the service has something to do while the next page is compared. How
/// many requests that are at a time is the business of the destination.
const IN_THE_AIR_MAX: usize = 4;

/// Rows that are settled, and not committed, at most: what a crash leaves to be looked at again.
const UNCOMMITTED_MAX: usize = 4_000;

/// Rows that are being created, with what else belongs into their commit.
pub(super) struct Flight {
    rows: Vec<Candidate>,
    /// Which of the rows are being created.
    of: Vec<usize>,
    changes: Arc<Vec<Change>>,
    answer: Answer,
    chunk: Chunk,
}

impl Flight {
    pub fn creates(&self) -> u64 {
        self.of.len() as u64
    }
}

/// The answer that is waited for; whoever stops waiting stops the work as well.
struct Answer(JoinHandle<Result<Vec<Attempt>, Fault>>);

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Run<'_> {
    /// Sends the new rows among these on their way. Answers with all of them where none can be created so.
    pub(super) async fn take_off(
        &mut self,
        pair: &Pair,
        rows: Vec<Candidate>,
        chunk: Chunk,
        waiting: &mut Vec<Orphan>,
    ) -> Result<Option<(Vec<Candidate>, Chunk)>, Stopped> {
        let (changes, of) = self.creatable(pair, &rows);
        // A row that may point to one which is on its way waits for that.
        let points_home = |change: &Change| {
            change.columns.values().iter().any(|value| matches!(value, Value::Reference(to) if *to.of == *pair.table))
        };
        let most = if changes.iter().any(points_home) { 0 } else { IN_THE_AIR_MAX - 1 };
        while self.flights.len() > most {
            self.land(pair, waiting).await?;
        }
        if changes.is_empty() || pair.sink.rows_per_create() == 0 {
            return Ok(Some((rows, chunk)));
        }
        self.about_to_create(pair, &rows, &of, &chunk).await?;
        let (sink, changes) = (pair.sink.clone(), Arc::new(changes));
        let sent = changes.clone();
        let answer = Answer(tokio::spawn(async move { sink.create(&sent).await }));
        self.flights.push_back(Flight { rows, of, changes, answer, chunk });
        Ok(None)
    }

    /// Waits for all that is on its way, and for its commit.
    pub(super) async fn land_all(&mut self, pair: &Pair, waiting: &mut Vec<Orphan>) -> Result<(), Stopped> {
        while !self.flights.is_empty() {
            self.land(pair, waiting).await?;
        }
        self.commit_held(pair).await
    }

    /// Waits for the rows that were sent first, and writes what was not created the usual way.
    async fn land(&mut self, pair: &Pair, waiting: &mut Vec<Orphan>) -> Result<(), Stopped> {
        let Some(Flight { rows, of, changes, mut answer, mut chunk }) = self.flights.pop_front() else { return Ok(()) };
        let answer = (&mut answer.0).await.unwrap_or_else(|ended| match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => unreachable!("only its end stops the work, and then nobody waits"),
        });
        let mut first = Some(answer);
        let attempts = with_retries(&self.job.retry, self.watch, || match first.take() {
            Some(answer) => Box::pin(ready(answer)) as BoxFuture<'_, _>,
            None => pair.sink.create(&changes),
        })
        .await?;
        let left = self.created(pair, rows, &of, attempts, &mut chunk)?;
        if !left.is_empty() {
            let orphans = self.write_known(pair, &left, &mut chunk).await?;
            self.keep_waiting(pair, orphans, waiting, &mut chunk)?;
        }
        self.hold(chunk);
        let settled = self.held.entries.len() >= UNCOMMITTED_MAX || !self.held.rejected.is_empty();
        if settled || self.committed.elapsed() >= HELD_MAX {
            let held = std::mem::take(&mut self.held);
            self.hand_in(pair, held).await?;
            self.seen_enough().await?;
        }
        Ok(())
    }

    /// Creates the new rows among these; answers with the rows that are still to be written.
    pub(super) async fn create(
        &mut self,
        pair: &Pair,
        rows: &[Candidate],
        chunk: &mut Chunk,
    ) -> Result<Option<Vec<Candidate>>, Stopped> {
        let (changes, of) = self.creatable(pair, rows);
        if changes.is_empty() {
            return Ok(None);
        }
        self.about_to_create(pair, rows, &of, chunk).await?;
        let attempts = with_retries(&self.job.retry, self.watch, || pair.sink.create(&changes)).await?;
        self.created(pair, rows.to_vec(), &of, attempts, chunk).map(Some)
    }

    /// The changes that create rows which nobody knows, and whose they are.
    fn creatable(&mut self, pair: &Pair, rows: &[Candidate]) -> (Vec<Change>, Vec<usize>) {
        // A row that is there may have to be adopted.
        if pair.sink.rows_per_create() == 0 || !pair.match_existing.is_empty() {
            return Default::default();
        }
        let new: Vec<usize> = (0..rows.len()).filter(|at| rows[*at].new && !rows[*at].made).collect();
        if new.len() < ROWS_MIN {
            return Default::default();
        }
        let (mut changes, mut of) = (Vec::with_capacity(new.len()), Vec::with_capacity(new.len()));
        for at in new {
            let candidate = &rows[at];
            let decision = sort::decide_with(pair, candidate, None, self.job.drift);
            if let Decision::Write(change) = adopt::settle(pair, candidate, &Existing::None, decision) {
                if !candidate.allowed {
                    let (proofs, key) = (&mut self.proofs, candidate.key.to_string());
                    let proof = || proofs.of_write(pair, &candidate.key, &change, None);
                    // It may be planned as an update of a row that was there before.
                    if self.guard.allows(self.job, &pair.entity.name, &key, proof).is_err() {
                        continue;
                    }
                }
                changes.push(*change);
                of.push(at);
            }
        }
        (changes, of)
    }

    async fn about_to_create(
        &mut self,
        pair: &Pair,
        rows: &[Candidate],
        of: &[usize],
        chunk: &Chunk,
    ) -> Result<(), Stopped> {
        let so_far = self.counts_with(chunk);
        self.guard.within(self.job, &so_far, [of.len() as u64, 0, 0])?;
        self.foretell(pair, self.intended(pair, of.iter().map(|at| &rows[*at]))).await?;
        Ok(self.store.failpoints().hit("sink.before").map_err(store::Error::from)?)
    }

    /// Adds what was created to the chunk; answers with the other rows.
    fn created(
        &self,
        pair: &Pair,
        rows: Vec<Candidate>,
        of: &[usize],
        attempts: Vec<Attempt>,
        chunk: &mut Chunk,
    ) -> Result<Vec<Candidate>, Stopped> {
        self.store.failpoints().hit("sink.after").map_err(store::Error::from)?;
        let mut left = Vec::new();
        let mut attempts = of.iter().zip(attempts).peekable();
        for (at, candidate) in rows.into_iter().enumerate() {
            match attempts.next_if(|(of, _)| **of == at).map(|(_, attempt)| attempt) {
                Some(Attempt::Created(written)) => settle(pair, &candidate, false, written, chunk),
                // Where it is there now, this run has made it.
                Some(Attempt::Unknown) => left.push(Candidate { made: true, ..candidate }),
                Some(Attempt::Not) | None => left.push(candidate),
            }
        }
        Ok(left)
    }
}
