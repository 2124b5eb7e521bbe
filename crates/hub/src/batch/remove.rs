//! The end of a run: what is gone from the source is deleted or deactivated, and the source hears what is committed.

use record::{Fault, Now, Scope};
use store::ledger::{self, Entry, State as Settled};
use store::runs::Counts;

use super::{Chunk, Run};
use crate::codes;
use crate::error::Stopped;
use crate::gone::{self, Gone, Missing, Seen};
use crate::outage::with_retries;
use crate::pair::Pair;
use crate::plan::PlannedEffect;
use crate::watch::Note;

impl Run<'_> {
    /// Each source hears which position is committed: what lies before it may be put away. A run that ends before this
    /// leaves it to the next one.
    pub(super) async fn tell_sources(&self) -> Result<(), Stopped> {
        for pair in &self.job.pairs {
            if let Some(cursor) = self.store.cursor(&self.job.integration, &pair.entity.name)? {
                with_retries(&self.job.retry, self.watch, || pair.source.committed(&cursor.position)).await?;
            }
        }
        Ok(())
    }

    /// What is gone from the source, where that is to be removed. *Errors*: it cannot be believed.
    pub(super) fn missing(&self, pair: &Pair, seen: &Seen) -> Result<Missing, Stopped> {
        if pair.gone == Gone::Ignore {
            return Ok(Missing::default());
        }
        if seen.whole && seen.keyless > 0 {
            self.watch.note(Note::NothingRemoved { entity: &pair.entity.name, keyless: seen.keyless });
        }
        let missing = seen.missing(self.store, pair)?;
        seen.believe(pair, &missing, self.job)?;
        Ok(missing)
    }

    /// Deletes or deactivates that, then moves the position on.
    pub(super) async fn remove(&mut self, pair: &Pair, seen: &Seen, missing: &Missing) -> Result<(), Stopped> {
        if pair.gone == Gone::Ignore {
            return Ok(());
        }
        for entries in missing.never_written.chunks(pair.sink.rows_per_chunk().max(1)) {
            let (_, currents) = gone::current(&self.job.retry, self.watch, pair, entries).await?;
            let mut chunk = Chunk::default();
            for (entry, current) in entries.iter().zip(currents) {
                chunk.removed.push(entry.key.clone());
                match current {
                    None => chunk.written.push(entry.key.clone()),
                    Some(_) => {
                        chunk.counts.read += 1;
                        chunk.rejected.push(gone::rejected(entry, gone::not_known_as_ours(pair)));
                    }
                }
            }
            self.commit(pair, chunk).await?;
        }
        for entries in missing.written.chunks(pair.sink.rows_per_chunk().max(1)) {
            self.remove_chunk(pair, entries).await?;
        }
        if seen.holds_position() && seen.position.is_some() {
            self.commit(pair, Chunk { position: seen.position.clone(), ..Chunk::default() }).await?;
        }
        Ok(())
    }

    async fn remove_chunk(&mut self, pair: &Pair, entries: &[Entry]) -> Result<(), Stopped> {
        // A row that is gone counts as read: its absence was.
        let mut chunk =
            Chunk { counts: Counts { read: entries.len() as u64, ..Counts::default() }, ..Chunk::default() };
        let (keys, currents) = gone::current(&self.job.retry, self.watch, pair, entries).await?;
        let moved = gone::moved(self.store, &self.job.retry, self.watch, pair, entries, &currents).await??;
        let (mut changes, mut of) = (Vec::new(), Vec::new());
        let effect = match pair.gone {
            Gone::Delete => PlannedEffect::Delete,
            Gone::Deactivate { .. } | Gone::Ignore => PlannedEffect::Deactivate,
        };
        for (at, (entry, (key, current))) in entries.iter().zip(keys.iter().zip(&currents)).enumerate() {
            if moved[at] {
                chunk.keep(entry, gone::gone_and_moved(pair, entry));
                continue;
            }
            if gone::is_another(entry, current.as_ref()) {
                chunk.removed.push(entry.key.clone());
                chunk.rejected.push(gone::rejected(entry, gone::not_known_as_ours(pair)));
                continue;
            }
            match gone::change(pair, key, entry.remote_id.as_deref(), current.as_ref()) {
                Some(change) => {
                    let proof = || self.proofs.of_gone(pair, &entry.key, effect, current.as_ref());
                    self.guard.allows(self.job, &pair.entity.name, &entry.key.to_string(), proof)?;
                    changes.push(change);
                    of.push(entry);
                }
                None => {
                    chunk.counts.unchanged += 1;
                    match current {
                        Some(_) => chunk.settle_gone(pair, entry),
                        None => chunk.forget(entry),
                    }
                }
            }
        }
        self.guard.within(self.job, &self.counts, [0, 0, changes.len() as u64])?;
        if !changes.is_empty() {
            self.let_go(pair, &of).await?;
        }
        let mut went = false;
        for attempt in 1.. {
            if changes.is_empty() {
                break;
            }
            self.store.failpoints().hit("sink.before").map_err(store::Error::from)?;
            let outcomes = with_retries(&self.job.retry, self.watch, || pair.sink.apply(&changes)).await?;
            self.store.failpoints().hit("sink.after").map_err(store::Error::from)?;
            let (mut again, mut again_of, mut faults) = (Vec::new(), Vec::new(), Vec::new());
            for ((change, entry), outcome) in changes.drain(..).zip(of.drain(..)).zip(outcomes) {
                match outcome {
                    Ok(_) => {
                        went = true;
                        chunk.counts.deleted += 1;
                        chunk.settle_gone(pair, entry);
                    }
                    // Somebody was faster.
                    Err(fault) if fault.code == codes::CHANGED_MEANWHILE => {
                        chunk.counts.unchanged += 1;
                        chunk.forget(entry);
                    }
                    Err(fault) if fault.is_transient() => {
                        again.push(change);
                        again_of.push(entry);
                        faults.push(fault);
                    }
                    Err(fault) if fault.now == Now::Reject || fault.scope == Scope::Row => {
                        chunk.keep(entry, fault);
                    }
                    Err(fault) => return Err(fault.into()),
                }
            }
            if !self.before_again(attempt, &faults, went).await? {
                again_of.into_iter().zip(faults).for_each(|(entry, fault)| chunk.keep(entry, fault));
                break;
            }
            (changes, of) = (again, again_of);
        }
        self.commit(pair, chunk).await
    }

    /// Remembers which rows are about to go: should the process end before it remembers that they did, and the source have
    /// them again as they were, they are not taken for being as they were written.
    async fn let_go(&self, pair: &Pair, entries: &[&Entry]) -> Result<(), Stopped> {
        let entries = entries.iter().map(|entry| gone::leaving(entry, self.id)).collect();
        let (system, entity) = (pair.to.clone(), pair.entity.name.to_string());
        let put = ledger::Op::Put { system, entity, entries };
        Ok(self.store.commit(vec![self.lease.fence(), put.into()]).await.map(drop)?)
    }
}

impl Chunk {
    /// A row that is gone from the source stays in the destination. Where it did before, that is a dead letter already.
    fn keep(&mut self, entry: &Entry, fault: Fault) {
        let rejected = gone::rejected(entry, fault);
        self.entries.push(gone::kept(entry));
        if gone::is_kept(entry) {
            self.counts.skipped += 1;
            self.refused.push(rejected);
        } else {
            self.rejected.push(rejected);
        }
    }

    /// A row that is gone from the source is gone, or inactive, in the destination too.
    fn settle_gone(&mut self, pair: &Pair, entry: &Entry) {
        self.written.push(entry.key.clone());
        self.gone.push(entry.key.clone());
        match pair.gone {
            Gone::Deactivate { .. } => self.entries.push(Entry { state: Settled::Deactivated, ..entry.clone() }),
            Gone::Delete | Gone::Ignore => self.removed.push(entry.key.clone()),
        }
    }

    /// A row that neither side has.
    fn forget(&mut self, entry: &Entry) {
        self.written.push(entry.key.clone());
        self.removed.push(entry.key.clone());
    }
}
