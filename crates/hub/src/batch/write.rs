//! A chunk of rows on its way to the destination.

use std::time::Duration;

use record::{Change, Current, Effected, Fault, Now, Scope, Written};
use store::ledger::{self, Entry, LEFT, OURS, State as Settled};
use store::runs::Counts;

use super::create::Flight;
use super::wait::Orphan;
use super::{Chunk, Run};
use crate::adopt;
use crate::codes;
use crate::error::Stopped;
use crate::foreseen;
use crate::gone::Gone;
use crate::outage::with_retries;
use crate::pair::Pair;
use crate::reject::Rejected;
use crate::renumber;
use crate::sort::{self, Candidate, Decision};
use crate::watch::Note;

impl Run<'_> {
    /// Writes rows that differ and adds what became of them to the chunk; answers those whose parent is not there yet.
    pub(super) async fn write(
        &mut self,
        pair: &Pair,
        rows: &[Candidate],
        chunk: &mut Chunk,
    ) -> Result<Vec<Orphan>, Stopped> {
        let left = self.create(pair, rows, chunk).await?;
        self.write_known(pair, left.as_deref().unwrap_or(rows), chunk).await
    }

    /// Writes rows after a look at what is there.
    pub(super) async fn write_known(
        &mut self,
        pair: &Pair,
        rows: &[Candidate],
        chunk: &mut Chunk,
    ) -> Result<Vec<Orphan>, Stopped> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut currents = self.current(pair, rows).await?;
        let mut existing =
            adopt::existing(self.store, &self.job.retry, self.watch, pair, rows, &mut currents).await??;
        renumber::renumbered(self.store, &self.job.retry, self.watch, pair, rows, &mut currents, &mut existing)
            .await??;
        let (mut changes, mut of, mut unplanned) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (candidate, current)) in rows.iter().zip(&currents).enumerate() {
            let decision = sort::decide_with(pair, candidate, current.as_ref(), self.job.drift);
            match adopt::settle(pair, candidate, &existing[at], decision) {
                Decision::Same { remote_id, version } => {
                    let count = if candidate.made { &mut chunk.counts.created } else { &mut chunk.counts.unchanged };
                    *count += 1;
                    chunk.written.push(candidate.key.clone());
                    chunk.entries.push(entry(candidate, pair, Settled::Written, Some((remote_id, version))));
                }
                Decision::Write(change) => {
                    // What was allowed as a whole may be written in two steps.
                    if !candidate.allowed {
                        let (proofs, key) = (&mut self.proofs, candidate.key.to_string());
                        let proof = || proofs.of_write(pair, &candidate.key, &change, current.as_ref());
                        if let Err(fault) = self.guard.allows(self.job, &pair.entity.name, &key, proof) {
                            let is_new = sort::is_new(pair, candidate, current.as_ref());
                            unplanned.push((candidate, (*change, is_new), fault));
                            continue;
                        }
                    }
                    changes.push(*change);
                    of.push(at);
                }
                Decision::Drifted(fault) => {
                    chunk.rejected.push(Rejected { standing: None, ..rejected_by_destination(pair, candidate, fault) });
                }
                Decision::Reject(fault) => {
                    chunk.refuse(pair, candidate, rejected_by_destination(pair, candidate, fault));
                }
            }
        }
        let mut orphans = self.as_foreseen(pair, unplanned, chunk).await?;
        let is_new = |at: &&usize| sort::is_new(pair, &rows[**at], currents[**at].as_ref());
        let created = of.iter().filter(is_new).count() as u64;
        let so_far = self.counts_with(chunk);
        self.guard.within(self.job, &so_far, [created, of.len() as u64 - created, 0])?;
        let creates = of.iter().filter(|at| currents[**at].is_none()).map(|at| &rows[*at]);
        let mut entries = self.doubted(pair, of.iter().map(|at| &rows[*at]))?;
        entries.extend(self.intended(pair, creates));
        self.foretell(pair, entries).await?;
        let mut went = false;
        for attempt in 1.. {
            if changes.is_empty() {
                break;
            }
            self.store.failpoints().hit("sink.before").map_err(store::Error::from)?;
            let outcomes = with_retries(&self.job.retry, self.watch, || pair.sink.apply(&changes)).await?;
            self.store.failpoints().hit("sink.after").map_err(store::Error::from)?;
            let (mut again, mut again_of, mut faults) = (Vec::new(), Vec::new(), Vec::new());
            for ((change, at), outcome) in changes.drain(..).zip(of.drain(..)).zip(outcomes) {
                let candidate = &rows[at];
                match outcome {
                    Ok(written) => {
                        went = true;
                        settle(pair, candidate, currents[at].is_some(), written, chunk);
                        if let adopt::Existing::Renumbered(old) = &existing[at] {
                            chunk.removed.push(old.clone());
                            chunk.written.push(old.clone());
                        }
                    }
                    Err(fault) if fault.code == codes::REFERENCE_MISSING => {
                        orphans.push(Orphan { fault, row: Candidate { allowed: true, ..candidate.clone() } });
                    }
                    // It is looked at anew, as what has to wait.
                    Err(fault) if fault.code == codes::CHANGED_MEANWHILE => {
                        orphans.push(Orphan { fault, row: candidate.clone() });
                    }
                    Err(fault) => match fault.now {
                        Now::RetryAfter(_) => {
                            again.push(change);
                            again_of.push(at);
                            faults.push(fault);
                        }
                        now if now == Now::Reject || fault.scope == Scope::Row => {
                            chunk.refuse(pair, candidate, rejected_by_destination(pair, candidate, fault));
                        }
                        _ => return Err(fault.into()),
                    },
                }
            }
            if !self.before_again(attempt, &faults, went).await? {
                for (at, fault) in again_of.into_iter().zip(faults) {
                    chunk.refuse(pair, &rows[at], rejected_by_destination(pair, &rows[at], fault));
                }
                break;
            }
            (changes, of) = (again, again_of);
        }
        Ok(orphans)
    }

    /// Settles rows that the plan of this run does not write: those that the destination would refuse, as the plan found,
    /// are refused, and those that point to rows which are not there are answered.
    ///
    /// *Errors*: the fault beside a row that would be written after all.
    async fn as_foreseen(
        &self,
        pair: &Pair,
        unplanned: Vec<(&Candidate, (Change, bool), Fault)>,
        chunk: &mut Chunk,
    ) -> Result<Vec<Orphan>, Fault> {
        let (retry, watch) = (&self.job.retry, self.watch);
        let (changes, new): (Vec<Change>, Vec<bool>) = unplanned.iter().map(|(_, change, _)| change.clone()).unzip();
        let unfit = foreseen::unfit(retry, watch, pair, &changes, &new).await?;
        let pointers = changes.iter().map(|change| foreseen::references(&change.columns));
        let missing = foreseen::missing(retry, watch, pair, pointers).await?;
        let mut orphans = Vec::new();
        for ((row, _, unplanned), (unfit, missing)) in unplanned.into_iter().zip(unfit.into_iter().zip(missing)) {
            match unfit {
                Some(fault) => chunk.refuse(pair, row, rejected_by_destination(pair, row, fault)),
                None if missing.is_empty() => return Err(unplanned),
                None => orphans.push(Orphan { fault: foreseen::points_nowhere(pair, &missing), row: row.clone() }),
            }
        }
        Ok(orphans)
    }

    /// Waits before rows with these faults are tried again. *Shape*: no, once they were tried often enough while the
    /// system took others of their chunk (`went`): it fails at these rows, and they must not hold up all that follow.
    /// *Errors*: the fault that holds all rows up, once they were tried often enough.
    pub(super) async fn before_again(&self, attempt: u32, faults: &[Fault], went: bool) -> Result<bool, Fault> {
        let Some(fault) = faults.last() else { return Ok(true) };
        let Now::RetryAfter(asked) = fault.now else { unreachable!("only transient faults are tried again") };
        let (of, _) = self.job.retry.worst_case();
        let delay = self.job.retry.delay(attempt, Duration::ZERO, asked, 0.5).filter(|_| attempt < of);
        let Some(delay) = delay else {
            let of_rows = went && faults.iter().all(|fault| fault.scope == Scope::Row);
            return if of_rows { Ok(false) } else { Err(fault.clone()) };
        };
        self.watch.note(Note::TryingAgain { fault, delay, attempt: attempt + 1 });
        tokio::time::sleep(delay).await;
        Ok(true)
    }

    /// What the run has done, with what is not committed yet and what is on its way.
    pub(super) fn counts_with(&self, chunk: &Chunk) -> Counts {
        let mut counts = self.counts;
        counts += self.held.counts;
        counts += chunk.counts;
        counts.created += self.flights.iter().map(Flight::creates).sum::<u64>();
        counts
    }

    /// What is remembered of rows that are about to be created, where rows that are gone are removed: should the process
    /// end before it remembers that they were, and the source lose them, they are known as ours all the same.
    pub(super) fn intended<'r>(&self, pair: &Pair, rows: impl Iterator<Item = &'r Candidate>) -> Vec<Entry> {
        if pair.gone == Gone::Ignore {
            return Vec::new();
        }
        let run = self.id.0 as u64;
        // What the hub had deactivated comes back active, if this is not the end of it.
        let may_be_there = |row: &Candidate| if row.standing == LEFT { LEFT } else { OURS };
        let on_its_way = |row| Entry {
            content_hash: may_be_there(row),
            generation: run,
            ..entry(row, pair, Settled::Waiting, None)
        };
        rows.map(on_its_way).collect()
    }

    /// What is remembered of rows to which something else is about to be written: see [`Entry::doubted`].
    fn doubted<'r>(&self, pair: &Pair, rows: impl Iterator<Item = &'r Candidate>) -> Result<Vec<Entry>, Stopped> {
        let keys: Vec<record::Key> = rows.map(|row| row.key.clone()).collect();
        let known = self.store.ledger_get(&pair.to, &pair.entity.name, &keys)?.into_iter().flatten();
        Ok(known.filter_map(|entry| entry.doubted()).collect())
    }

    /// Remembers what is about to happen to rows; of two entries for one the last stands.
    pub(super) async fn foretell(&self, pair: &Pair, entries: Vec<Entry>) -> Result<(), Stopped> {
        if !entries.is_empty() {
            let (system, entity) = (pair.to.clone(), pair.entity.name.to_string());
            let put = ledger::Op::Put { system, entity, entries };
            self.store.commit(vec![self.lease.fence(), put.into()]).await?;
        }
        Ok(())
    }

    async fn current(&self, pair: &Pair, rows: &[Candidate]) -> Result<Vec<Option<Current>>, Fault> {
        let keys: Vec<record::Key> = rows.iter().map(|row| row.wanted.key.clone()).collect();
        let columns = pair.asked();
        with_retries(&self.job.retry, self.watch, || pair.sink.current(&keys, &columns)).await
    }
}

pub(super) fn settle(pair: &Pair, candidate: &Candidate, was_there: bool, written: Written, chunk: &mut Chunk) {
    let created = match written.effect {
        Effected::Created => true,
        Effected::Upserted => !was_there,
        Effected::Updated | Effected::Unchanged | Effected::Deleted => false,
    };
    let count = match written.effect {
        // Made by this run in two steps: once in the counts.
        _ if created || candidate.made => &mut chunk.counts.created,
        Effected::Unchanged => &mut chunk.counts.unchanged,
        Effected::Deleted => &mut chunk.counts.deleted,
        Effected::Created | Effected::Updated | Effected::Upserted => &mut chunk.counts.updated,
    };
    *count += 1;
    if created {
        chunk.created.push(candidate.key.clone());
    } else if written.effect != Effected::Unchanged {
        chunk.updated.push(candidate.key.clone());
    }
    let known = (written.remote_id.as_deref().map(str::to_owned), written.version.as_deref().map(str::to_owned));
    chunk.written.push(candidate.key.clone());
    chunk.entries.push(entry(candidate, pair, Settled::Written, Some(known)));
}

pub(super) fn entry(
    candidate: &Candidate,
    pair: &Pair,
    state: Settled,
    known: Option<(Option<String>, Option<String>)>,
) -> Entry {
    let (remote_id, version) = known.unwrap_or_default();
    Entry {
        key: candidate.key.clone(),
        source_hash: candidate.source_hash,
        content_hash: candidate.content_hash,
        mapping: pair.fingerprint(),
        state,
        generation: 0,
        remote_id: remote_id.or_else(|| candidate.remote_id.clone()),
        version,
    }
}

pub(super) fn rejected_by_destination(pair: &Pair, candidate: &Candidate, fault: Fault) -> Rejected {
    Rejected {
        key: candidate.key.clone(),
        source_hash: candidate.source_hash,
        faults: vec![fault.at_key(candidate.key.to_string())],
        source: candidate.source.clone(),
        fields: pair.write.explain(&candidate.record),
        remote_id: candidate.remote_id.clone(),
        parents: Vec::new(),
        standing: Some(candidate.standing),
    }
}
