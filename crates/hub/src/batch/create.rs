//! Rows that nobody knows yet, created many at a time and without a look at what is there.
//!
//! Most of a first load is of this kind, and asking for each row whether it is there costs more than making it. The
//! destination keeps a second row of one key out; what it does not take so is written the usual way.

use std::borrow::Cow;

use record::{Attempt, Change};

use super::write::settle;
use super::{Chunk, Run};
use crate::adopt::{self, Existing};
use crate::error::Stopped;
use crate::outage::with_retries;
use crate::pair::Pair;
use crate::sort::{self, Candidate, Decision};

/// Fewer rows than this are asked for: that is one request, too.
const ROWS_MIN: usize = 2;

impl Run<'_> {
    /// Creates the new rows among these; answers with the rows that are still to be written.
    pub(super) async fn create<'r>(
        &mut self,
        pair: &Pair,
        rows: &'r [Candidate],
        chunk: &mut Chunk,
    ) -> Result<Cow<'r, [Candidate]>, Stopped> {
        // A row that is there may have to be adopted.
        if pair.sink.rows_per_create() == 0 || !pair.match_existing.is_empty() {
            return Ok(rows.into());
        }
        let new: Vec<usize> = (0..rows.len()).filter(|at| rows[*at].new && !rows[*at].made).collect();
        if new.len() < ROWS_MIN {
            return Ok(rows.into());
        }
        let (mut changes, mut of): (Vec<Change>, Vec<usize>) = (Vec::new(), Vec::new());
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
        if changes.is_empty() {
            return Ok(rows.into());
        }
        let so_far = self.counts_with(chunk);
        self.guard.within(self.job, &so_far, [changes.len() as u64, 0, 0])?;
        self.intend(pair, of.iter().map(|at| &rows[*at])).await?;
        self.store.failpoints().hit("sink.before").map_err(store::Error::from)?;
        let attempts = with_retries(&self.job.retry, self.watch, || pair.sink.create(&changes)).await?;
        self.store.failpoints().hit("sink.after").map_err(store::Error::from)?;

        let mut left: Vec<Option<Candidate>> = Vec::with_capacity(rows.len());
        let mut attempts = of.iter().zip(attempts).peekable();
        for (at, candidate) in rows.iter().enumerate() {
            let attempt = attempts.next_if(|(of, _)| **of == at).map(|(_, attempt)| attempt);
            left.push(match attempt {
                Some(Attempt::Created(written)) => {
                    settle(pair, candidate, false, written, chunk);
                    None
                }
                // Where it is there now, this run has made it.
                Some(Attempt::Unknown) => Some(Candidate { made: true, ..candidate.clone() }),
                Some(Attempt::Not) | None => Some(candidate.clone()),
            });
        }
        Ok(left.into_iter().flatten().collect::<Vec<_>>().into())
    }
}
