//! What became of a chunk of rows, in one commit: agreements, ledger, dead letters, counts, and the position.

use record::Key;
use store::ledger::{self, Entry};
use store::runs::{self, Counts};
use store::{agreements, cursors, dead_letters};

use super::Joint;
use super::letters::Letter;
use super::merge::{Both, Which};
use super::run::{Mode, Run};
use crate::error::Stopped;
use crate::plan::PlannedRow;

/// Everything of a chunk that one commit records.
#[derive(Default)]
pub(super) struct Chunk {
    pub counts: Counts,
    pub agreements: Vec<agreements::Agreement>,
    pub forgotten: Vec<Key>,
    pub letters: Vec<Letter>,
    /// Of rows that are refused again, as they were.
    pub refused: Vec<Letter>,
    /// What the dead letters of rows say that wait for others now.
    pub waits: Vec<Letter>,
    /// Keys whose dead letters are closed.
    pub right: Vec<Key>,
    pub entries: Both<Vec<Entry>>,
    pub removed: Vec<Key>,
    pub waiting: u64,
}

impl<E: FnMut(PlannedRow)> Run<'_, E> {
    /// Everything of a chunk in one commit; a plan hands out what it would reject.
    pub(super) async fn commit(
        &mut self,
        joint: &Joint,
        mut chunk: Chunk,
        position: Option<(Which, String)>,
    ) -> Result<(), Stopped> {
        chunk.counts.rejected += chunk.letters.len() as u64;
        for letter in &chunk.letters {
            *self.by_code.entry(letter.rejection.problem.code.clone()).or_default() += 1;
        }
        self.waiting += chunk.waiting;
        self.count(chunk.counts);
        let (integration, entity) = (self.job.integration.clone(), joint.entity.name.to_string());
        match &self.mode {
            Mode::Plan => {
                for agreement in chunk.agreements {
                    self.planned.insert(agreement.key);
                }
                for letter in chunk.letters {
                    (self.each)(super::plan::refused(joint, letter, &self.proofs));
                }
            }
            Mode::Live { lease, run } => {
                let more = self.unrecorded();
                let mut ops: Vec<store::Op> = vec![lease.fence(), runs::Op::Progress { run: *run, more }.into()];
                if !chunk.agreements.is_empty() {
                    let (integration, entity) = (integration.clone(), entity.clone());
                    ops.push(agreements::Op::Put { integration, entity, agreements: chunk.agreements }.into());
                }
                if !chunk.forgotten.is_empty() {
                    let (integration, entity) = (integration.clone(), entity.clone());
                    ops.push(agreements::Op::Remove { integration, entity, keys: chunk.forgotten }.into());
                }
                for side in Which::BOTH {
                    let (system, entity) = (joint.name(side).to_owned(), entity.clone());
                    let entries = std::mem::take(&mut chunk.entries[side]);
                    if !entries.is_empty() {
                        ops.push(ledger::Op::Put { system: system.clone(), entity: entity.clone(), entries }.into());
                    }
                    if !chunk.removed.is_empty() {
                        ops.push(ledger::Op::Remove { system, entity, keys: chunk.removed.clone() }.into());
                    }
                }
                ops.extend(
                    chunk.letters.into_iter().map(|letter| dead_letters::Op::Reject(Box::new(letter.rejection)).into()),
                );
                ops.extend(
                    chunk.waits.into_iter().map(|letter| dead_letters::Op::Waits(Box::new(letter.rejection)).into()),
                );
                let refused = chunk.refused.into_iter();
                ops.extend(refused.map(|letter| dead_letters::Op::Refused(Box::new(letter.rejection)).into()));
                if !chunk.right.is_empty() {
                    let (integration, entity, keys) = (integration.clone(), entity, chunk.right);
                    ops.push(dead_letters::Op::Supersede { integration, entity, keys }.into());
                }
                if let Some((side, position)) = position {
                    let (stream, fingerprint) = (joint.stream(side), joint.reached_by(side).to_string());
                    ops.push(cursors::Op::Set { integration, stream, position, fingerprint }.into());
                }
                self.store.commit(ops).await?;
                self.recorded += more;
            }
        }
        match self.job.stop_after.reached(&self.job.integration, &self.by_code, self.settled) {
            Some(fault) => Err(fault.into()),
            None => Ok(()),
        }
    }
}
