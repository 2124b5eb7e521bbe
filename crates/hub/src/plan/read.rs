//! Planning what a run would read and write of one entity.

use std::collections::HashMap;

use record::{Change, Current, Key, Page, ReadKind, Reader, Value};
use store::ledger::Entry;

use super::waiting::Waiting;
use super::{PlannedEffect, PlannedRow, Planner, column, seen};
use crate::adopt::{self, Existing};
use crate::batch::{self, wait};
use crate::error::Stopped;
use crate::foreseen;
use crate::gone::{Gone, Seen};
use crate::known::Known;
use crate::lines;
use crate::outage::with_retries;
use crate::pair::Pair;
use crate::place;
use crate::renumber;
use crate::sort::{self, Candidate, Decision, Sorted};
use crate::twins::Twins;
use crate::watch::Note;

impl Planner<'_> {
    pub(super) async fn pair(&mut self, at: usize, pair: &Pair) -> Result<Seen, Stopped> {
        let mut seen = seen(self.store, pair)?;
        self.plan.known += seen.known;
        self.moved = place::is_another(self.store, pair)?;
        if let Some(window) = &self.job.window {
            let reader = window.open(self.job, pair, self.watch).await?;
            self.read(at, pair, reader, &HashMap::new(), &mut seen).await?;
            return Ok(seen);
        }
        // What a run would take up again, as the ledger would have it then.
        let revived = wait::revivable(self.store, self.job, pair)?.into_iter();
        let revived: HashMap<Key, Entry> = revived.map(|entry| (entry.key.clone(), entry.waiting(u64::MAX))).collect();
        let waits = (wait::waiting(self.store, self.job, pair)?.len() + revived.len()) as u64;
        let cursor = self.store.cursor(&self.job.integration, &pair.entity.name)?;
        let (position, everything) = batch::start(self.job, pair, cursor, self.compare, waits);
        self.read_from(at, pair, position, everything, &revived, &mut seen).await?;
        if seen.deletions && !seen.whole {
            seen.begin_anew(pair);
            self.read_from(at, pair, None, None, &revived, &mut seen).await?;
        }
        Ok(seen)
    }

    async fn read_from(
        &mut self,
        at: usize,
        pair: &Pair,
        position: Option<String>,
        mut everything: Option<String>,
        revived: &HashMap<Key, Entry>,
        seen: &mut Seen,
    ) -> Result<(), Stopped> {
        let moment = self.moment.as_ref();
        let reader = batch::open(self.job, self.watch, pair, position.as_deref(), moment).await?;
        if let ReadKind::Full { why } = reader.kind() {
            seen.whole = position.is_none() || why.is_some();
            everything = why.or(everything);
        }
        let (entity, everything) = (&*pair.entity.name, everything.as_deref());
        self.watch.note(Note::Reading { entity, everything, left: reader.left() });
        seen.as_written = match reader.kind() {
            ReadKind::Full { .. } if !self.compare && !self.moved => Known::load(self.store, pair).await?,
            _ => Known::default(),
        };
        self.read(at, pair, reader, revived, seen).await
    }

    async fn read(
        &mut self,
        at: usize,
        pair: &Pair,
        mut reader: Box<dyn Reader>,
        revived: &HashMap<Key, Entry>,
        seen: &mut Seen,
    ) -> Result<(), Stopped> {
        let mut twins = Twins::new(matches!(reader.kind(), ReadKind::Full { .. }));
        while let Some(page) = reader.next().await? {
            let page = lines::of_page(&self.job.retry, self.watch, pair, page).await?;
            self.page(at, pair, &page, revived, &mut twins, seen).await?;
        }
        Ok(())
    }

    async fn page(
        &mut self,
        at: usize,
        pair: &Pair,
        page: &Page,
        revived: &HashMap<Key, Entry>,
        twins: &mut Twins,
        seen: &mut Seen,
    ) -> Result<(), Stopped> {
        let keyed = sort::keys(pair, page, &mut seen.as_written)?;
        let ledger = self.store.ledger_get(&pair.to, &pair.entity.name, keyed.asked())?.into_iter();
        let moved = self.moved;
        let job = self.job;
        let as_it_would_be = |known: Entry| match known.doubted().filter(|_| moved) {
            Some(doubted) => doubted,
            None => job.as_told(known),
        };
        let known = ledger.zip(keyed.asked()).map(|(known, key)| revived.get(key).cloned().or(known));
        let mut ledger = known.map(|known| known.map(as_it_would_be));
        let Sorted { unchanged, skipped, refreshed: _, rejected, candidates, left_out, keyless } =
            sort::sort(pair, page, &keyed, &mut ledger, twins, &seen.as_written, self.compare);
        if pair.gone != Gone::Ignore {
            seen.add(&keyed, left_out, keyless);
            seen.deletions |= !page.deleted.is_empty();
        }
        if let Some(first) = self.job.stop_after.first_alike(self.settled, &keyed, &rejected) {
            let code = rejected[0].faults.first().map(|fault| fault.code.to_string()).unwrap_or_default();
            let (stop, by_code) = (&self.job.stop_after, [(code, first as u64)].into());
            self.plan.refused = stop.reached(&self.job.integration, &by_code, first as u64).map(Box::new);
        }
        self.plan.read += (page.batch.len() + page.unreadable.len()) as u64;
        self.plan.unchanged += unchanged;
        self.plan.skipped += skipped;
        self.settled += unchanged + skipped + rejected.len() as u64;
        for row in rejected {
            self.reject(pair, &row.key, row.source_hash, row.faults);
        }
        for rows in candidates.chunks(pair.sink.rows_per_chunk().max(1)) {
            self.chunk(at, pair, rows).await?;
            self.seen_enough();
        }
        self.seen_enough();
        Ok(())
    }

    async fn chunk(&mut self, at: usize, pair: &Pair, rows: &[Candidate]) -> Result<(), Stopped> {
        let (retry, watch, job) = (&self.job.retry, self.watch, self.job);
        let keys: Vec<Key> = rows.iter().map(|row| row.wanted.key.clone()).collect();
        let columns = pair.asked();
        let mut currents = with_retries(retry, watch, || pair.sink.current(&keys, &columns)).await?;
        let mut existing = adopt::existing(self.store, retry, watch, pair, rows, &mut currents).await??;
        renumber::renumbered(self.store, retry, watch, pair, rows, &mut currents, &mut existing).await??;
        for found in &existing {
            if let Existing::Renumbered(old) = found {
                self.renumbered.insert((pair.entity.name.clone(), old.clone()));
            }
        }
        let mut writes = Vec::new();
        for (candidate, (current, existing)) in rows.iter().zip(currents.into_iter().zip(&existing)) {
            let decision = sort::decide_with(pair, candidate, current.as_ref(), job.drift);
            match adopt::settle(pair, candidate, existing, decision) {
                Decision::Same { .. } => {
                    self.plan.unchanged += 1;
                    self.settled += 1;
                }
                Decision::Reject(_) if candidate.refused => {
                    self.settled += 1;
                    self.plan.skipped += 1;
                }
                Decision::Reject(fault) | Decision::Drifted(fault) => {
                    self.settled += 1;
                    let fault = fault.at_key(candidate.key.to_string());
                    self.reject(pair, &candidate.key, candidate.source_hash, vec![fault]);
                }
                Decision::Write(change) => writes.push((candidate, *change, current)),
            }
        }
        let writes = self.fitting(pair, writes).await?;
        let pointers = writes.iter().map(|(_, change, _)| foreseen::references(&change.columns));
        let missing = foreseen::missing(retry, watch, pair, pointers).await?;
        for ((candidate, change, current), missing) in writes.into_iter().zip(missing) {
            let row = self.planned(pair, candidate, &change, current.as_ref());
            if missing.is_empty() {
                self.settled += 1;
                if row.effect == PlannedEffect::Create {
                    self.made.insert((pair.table.as_str().into(), candidate.wanted.key.folded(pair.sink.key_rules())));
                }
                self.write(row);
            } else {
                self.waiting.push(Waiting::new(at, candidate, row, missing));
            }
        }
        Ok(())
    }

    fn planned(
        &mut self,
        pair: &Pair,
        candidate: &Candidate,
        change: &Change,
        current: Option<&Current>,
    ) -> PlannedRow {
        let old = |name: &str| current.map(|current| current.columns.get(name).unwrap_or(&Value::Blank));
        PlannedRow {
            entity: pair.entity.name.to_string(),
            system: pair.to.clone(),
            table: pair.table.clone(),
            key: candidate.key.to_string(),
            effect: match sort::is_new(pair, candidate, current) {
                true => PlannedEffect::Create,
                false => PlannedEffect::Update,
            },
            columns: change.columns.iter().map(|(name, new)| column(pair, name, old(name), new)).collect(),
            faults: Vec::new(),
            proof: self.proofs.of_write(pair, &candidate.key, change, current),
        }
    }

    /// Rejects the changes that only the destination knows to be unfit.
    async fn fitting<'r>(
        &mut self,
        pair: &Pair,
        writes: Vec<(&'r Candidate, Change, Option<Current>)>,
    ) -> Result<Vec<(&'r Candidate, Change, Option<Current>)>, Stopped> {
        let changes: Vec<Change> = writes.iter().map(|(_, change, _)| change.clone()).collect();
        let new = |(candidate, _, current): &(&Candidate, _, Option<Current>)| {
            sort::is_new(pair, candidate, current.as_ref())
        };
        let new: Vec<bool> = writes.iter().map(new).collect();
        let faults = foreseen::unfit(&self.job.retry, self.watch, pair, &changes, &new).await?;
        let mut fitting = Vec::with_capacity(writes.len());
        for (write, fault) in writes.into_iter().zip(faults) {
            let Some(fault) = fault else {
                fitting.push(write);
                continue;
            };
            self.settled += 1;
            if write.0.refused {
                self.plan.skipped += 1;
                continue;
            }
            let (key, hash) = (&write.0.key, write.0.source_hash);
            self.reject(pair, key, hash, vec![fault.at_key(key.to_string())]);
        }
        Ok(fitting)
    }
}
