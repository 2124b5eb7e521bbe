//! Rows that point to rows which the destination does not have: which of them a run would write all the same.

use std::sync::Arc;

use record::{Key, Reference, Row, Value};

use super::{PlannedEffect, PlannedRow, Planner};
use crate::batch::wait;
use crate::error::Stopped;
use crate::foreseen::{self, Named};
use crate::sort::Candidate;

/// A row that cannot be written before another one is.
pub(super) struct Waiting {
    /// Its place among the job's pairs.
    pair: usize,
    key: Key,
    /// The key in the destination.
    there: Key,
    source_hash: u128,
    waits_since: Option<u64>,
    /// It was refused before, just as it is.
    refused: bool,
    row: PlannedRow,
    /// What it points to and the destination does not have.
    missing: Vec<Arc<Reference>>,
    /// Everything that it points to, and that can be added once it is made.
    later: Vec<Reference>,
    /// Of what is missing: what can only be written when it is made.
    at_once: Vec<Arc<Reference>>,
    /// It would be made without what it points to, to be completed.
    tried: bool,
}

impl Waiting {
    pub fn new(pair: usize, candidate: &Candidate, row: PlannedRow, missing: Vec<Arc<Reference>>) -> Waiting {
        let references = |row: &Row| -> Vec<Reference> { foreseen::references(row).cloned().collect() };
        let on_create = references(&candidate.wanted.on_create);
        let at_once = missing.iter().filter(|to| on_create.iter().any(|one| *one == ***to)).cloned().collect();
        Waiting {
            pair,
            key: candidate.key.clone(),
            there: candidate.wanted.key.clone(),
            source_hash: candidate.source_hash,
            waits_since: candidate.waits_since.filter(|run| *run != u64::MAX),
            refused: candidate.refused,
            row,
            missing,
            later: references(&candidate.wanted.columns),
            at_once,
            tried: false,
        }
    }
}

impl Planner<'_> {
    /// What becomes of the rows that wait, once everything was read: as the run does it.
    pub(super) fn settle_waiting(&mut self) -> Result<(), Stopped> {
        loop {
            let before = self.waiting.len();
            let waiting = std::mem::take(&mut self.waiting);
            for row in waiting {
                if row.missing.iter().all(|reference| self.would_be_there(reference)) {
                    self.would_be_made(&row);
                    self.settled += 1;
                    self.write(row.row);
                } else {
                    self.waiting.push(row);
                }
            }
            if self.waiting.is_empty() || self.waiting.len() == before && !self.break_cycles() {
                break;
            }
        }
        let (job, now) = (self.job, self.store.clock().now());
        for row in std::mem::take(&mut self.waiting) {
            let pair = &job.pairs[row.pair];
            self.settled += 1;
            if wait::waits_on(pair, wait::waited(self.store, row.waits_since, now)?) {
                self.plan.skipped += 1;
                self.plan.waiting += 1;
                (self.each)(PlannedRow { effect: PlannedEffect::Wait, ..row.row });
            } else if row.refused {
                self.plan.skipped += 1;
            } else {
                let fault = foreseen::points_nowhere(pair, &row.missing).at_key(row.key.to_string());
                self.reject(pair, &row.key, row.source_hash, vec![fault]);
            }
        }
        self.seen_enough();
        Ok(())
    }

    /// Rows that wait for each other are made without the pointers first. Whether that brings any further.
    fn break_cycles(&mut self) -> bool {
        let job = self.job;
        let needs = |row: &Waiting| -> Vec<Option<Named>> {
            let missing = row.missing.iter().filter(|reference| !self.would_be_there(reference));
            missing.map(|reference| foreseen::pointed_to(reference)).collect()
        };
        let waiting =
            self.waiting.iter().map(|row| (foreseen::named(&job.pairs[row.pair].table, &row.there), needs(row)));
        let rows = foreseen::circles(waiting.collect());
        let among = |reference: &Reference| foreseen::pointed_to(reference).is_some_and(|name| rows.contains(&name));
        let mut any = false;
        let mut waiting = std::mem::take(&mut self.waiting);
        for row in &mut waiting {
            if row.tried || !row.later.iter().any(among) {
                continue;
            }
            row.tried = true;
            let comes = |reference: &&Arc<Reference>| {
                among(reference) && !row.at_once.contains(reference) || self.would_be_there(reference)
            };
            if row.missing.iter().all(|reference| comes(&reference)) {
                self.would_be_made(row);
                any = true;
            }
        }
        self.waiting = waiting;
        any
    }

    fn would_be_made(&mut self, row: &Waiting) {
        let pair = &self.job.pairs[row.pair];
        if row.row.effect == PlannedEffect::Create {
            self.made.insert((pair.table.as_str().into(), row.there.folded(pair.sink.key_rules())));
        }
    }

    /// Whether a row that is not there now is there by the time.
    fn would_be_there(&self, reference: &Reference) -> bool {
        let pairs = self.job.pairs.iter().filter(|pair| *pair.table == *reference.of);
        pairs.into_iter().any(|pair| {
            let part = |column: &String| reference.key.iter().find(|(name, _)| **name == **column).map(|(_, v)| v);
            let parts: Option<Vec<&Value>> = pair.key_columns.iter().map(part).collect();
            parts.filter(|parts| parts.len() == reference.key.len()).is_some_and(|parts| {
                let key = Key::of(parts).map(|key| key.folded(pair.sink.key_rules()));
                key.is_ok_and(|key| self.made.contains(&(reference.of.clone(), key)))
            })
        })
    }
}
