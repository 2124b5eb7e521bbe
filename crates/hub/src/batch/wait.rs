//! Rows that point to a row which the destination does not have.
//!
//! The parent may come later in the same run: then the row is tried again after its own entity, and after all of them.
//! Two rows that wait for each other are made without the pointers first. What is missing after that may be brought by
//! another integration: the row stays in the ledger as waiting, and each run tries it again, until what should bring its
//! parent has had two chances. Then it is a dead letter, which comes back by itself once the parent is there.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use mapping::Wanted;
use record::{Fault, Key, Row, Schema, Value};
use store::Store;
use store::dead_letters::{self, Filter};
use store::ledger::{self, Entry, LEFT, OURS, State as Settled, UNKNOWN};
use store::runs::RunId;

use super::write::{entry, rejected_by_destination};
use super::{Chunk, Job, Run};
use crate::codes;
use crate::error::Stopped;
use crate::foreseen::{self, Named};
use crate::gone;
use crate::pair::Pair;
use crate::parents::{Parent, parents, still_missing};
use crate::reject::{Rejected, parents_in};
use crate::sort::Candidate;

/// A row without its parent, and what the destination said of that.
#[derive(Debug, Clone)]
pub(super) struct Orphan {
    pub fault: Fault,
    pub row: Candidate,
}

impl Orphan {
    /// What the ledger says of it until its parent is there.
    pub fn waits(&self, pair: &Pair, run: RunId) -> Entry {
        let since = self.row.waits_since.unwrap_or(run.0 as u64);
        let standing = match self.row.standing {
            // It was made without what it points to.
            UNKNOWN if self.row.made => OURS,
            standing => standing,
        };
        Entry { content_hash: standing, generation: since, ..entry(&self.row, pair, Settled::Waiting, None) }
    }
}

/// Dead letters of orphans that are looked at at a time.
const LETTERS: usize = 1_000;

impl Run<'_> {
    /// Rows whose parents came later among the rows of the same entity; answers those that still have none.
    pub(super) async fn parents_of(&mut self, pair: &Pair, mut orphans: Vec<Orphan>) -> Result<Vec<Orphan>, Stopped> {
        loop {
            let before = orphans.len();
            let mut still = Vec::new();
            for some in orphans.chunks(pair.sink.rows_per_chunk().max(1)) {
                let rows: Vec<Candidate> = some.iter().map(|orphan| orphan.row.clone()).collect();
                let mut chunk = Chunk::default();
                still.extend(self.write(pair, &rows, &mut chunk).await?);
                self.commit(pair, chunk).await?;
            }
            orphans = still;
            if orphans.is_empty() || orphans.len() == before {
                return Ok(orphans);
            }
        }
    }

    /// After all entities: parents that came with another one, rows that wait for each other, and the verdict on the
    /// rest. *Shape*: one list for each pair.
    pub(super) async fn parents_of_all(&mut self, mut orphans: Vec<Vec<Orphan>>) -> Result<(), Stopped> {
        let job = self.job;
        let waiting = |orphans: &[Vec<Orphan>]| orphans.iter().map(Vec::len).sum::<usize>();
        let mut tried = HashSet::new();
        while waiting(&orphans) > 0 {
            let before = waiting(&orphans);
            for (pair, own) in job.pairs.iter().zip(&mut orphans) {
                *own = self.parents_of(pair, std::mem::take(own)).await?;
            }
            if waiting(&orphans) == before && !self.break_cycles(&mut orphans, &mut tried).await? {
                break;
            }
        }
        for (pair, own) in job.pairs.iter().zip(orphans) {
            self.verdict(pair, own).await?;
        }
        Ok(())
    }

    /// Makes rows that wait for each other without the pointers between them. Whether there were any.
    async fn break_cycles(
        &mut self,
        orphans: &mut [Vec<Orphan>],
        tried: &mut HashSet<(usize, Key)>,
    ) -> Result<bool, Stopped> {
        let job = self.job;
        let waiting = |all: &HashSet<Named>, row: &Candidate| {
            foreseen::references(&row.wanted.columns).filter_map(foreseen::pointed_to).any(|name| all.contains(&name))
        };
        let name = |pair: &Pair, orphan: &Orphan| foreseen::named(&pair.table, &orphan.row.wanted.key);
        let of_pair = |(pair, own): (&Pair, &Vec<Orphan>)| own.iter().map(|one| name(pair, one)).collect::<Vec<_>>();
        let all: HashSet<Named> = job.pairs.iter().zip(orphans.iter()).flat_map(of_pair).collect();
        if !orphans.iter().flatten().any(|orphan| waiting(&all, &orphan.row)) {
            return Ok(false);
        }
        let mut needs = Vec::new();
        for (pair, own) in job.pairs.iter().zip(orphans.iter()) {
            let pointers = own.iter().map(|orphan| {
                let Wanted { columns, on_create, .. } = &orphan.row.wanted;
                foreseen::references(columns).chain(foreseen::references(on_create))
            });
            let missing = foreseen::missing(&job.retry, self.watch, pair, pointers).await?;
            needs.extend(own.iter().zip(missing).map(|(orphan, missing)| {
                (name(pair, orphan), missing.iter().map(|to| foreseen::pointed_to(to)).collect())
            }));
        }
        let all = foreseen::circles(needs);
        let mut any = false;
        for (which, (pair, own)) in job.pairs.iter().zip(orphans).enumerate() {
            let mut bare = Vec::new();
            let (mut of, mut refused) = (Vec::new(), HashSet::new());
            for (at, orphan) in own.iter().enumerate() {
                let among = |value: &Value| match value {
                    Value::Reference(to) => foreseen::pointed_to(to).is_some_and(|name| all.contains(&name)),
                    _ => false,
                };
                if !all.contains(&name(pair, orphan)) {
                    continue;
                }
                // By its plan it is refused.
                if self.guard.is_bound() && !orphan.row.allowed {
                    continue;
                }
                // What is only written when the row is created could not be added after that.
                if orphan.row.wanted.columns.values().iter().any(among) && tried.insert((which, orphan.row.key.clone()))
                {
                    let mut row = orphan.row.clone();
                    row.wanted.columns = without(&row.wanted.columns, among);
                    bare.push(row);
                    of.push(at);
                }
            }
            for (rows, of) in
                bare.chunks(pair.sink.rows_per_chunk().max(1)).zip(of.chunks(pair.sink.rows_per_chunk().max(1)))
            {
                // They are counted, and known as written, once they are complete.
                let mut aside = Chunk::default();
                self.write(pair, rows, &mut aside).await?;
                any |= !aside.written.is_empty();
                for &at in of {
                    own[at].row.made = aside.created.contains(&own[at].row.key);
                }
                let rejected: HashSet<Key> = aside.rejected.iter().map(|rejected| rejected.key.clone()).collect();
                self.commit(pair, Chunk { rejected: aside.rejected, ..Chunk::default() }).await?;
                refused.extend(rejected);
            }
            own.retain(|orphan| !refused.contains(&orphan.row.key));
        }
        Ok(any)
    }

    /// What still has no parent waits for the next run, or is a dead letter.
    async fn verdict(&mut self, pair: &Pair, orphans: Vec<Orphan>) -> Result<(), Stopped> {
        let now = self.store.clock().now();
        let mut chunk = Chunk::default();
        let letters = self.store.dead_letters_waiting()?.iter().any(|(name, _)| *name == self.job.integration);
        for orphan in orphans {
            let waited = waited(self.store, orphan.row.waits_since, now)?;
            // Of a row that goes each time it is looked at, nothing else is to come.
            let goes = orphan.fault.code == codes::CHANGED_MEANWHILE;
            if !goes && waits_on(pair, waited) {
                chunk.counts.skipped += 1;
                self.waiting += 1;
                chunk.entries.push(orphan.waits(pair, self.id));
                if letters {
                    let parents = self.unknown_parents(pair, &orphan.row)?;
                    let rejected = rejected_by_destination(pair, &orphan.row, waits(orphan.fault));
                    chunk.waits.push(Rejected { parents, ..rejected });
                }
                continue;
            }
            let mut fault = orphan.fault;
            if !goes && pair.patience > Duration::ZERO {
                let minutes = SignedDuration::from_mins(waited.as_mins());
                fault.what = format!("{}; it was waited for {minutes:#}, and did not come", fault.what);
            }
            let parents = self.unknown_parents(pair, &orphan.row)?;
            let rejected = Rejected { parents, ..rejected_by_destination(pair, &orphan.row, fault) };
            chunk.refuse(pair, &orphan.row, rejected);
        }
        self.commit(pair, chunk).await
    }

    /// The rows that a row points to, and that the hub has not written.
    pub(super) fn unknown_parents(&self, pair: &Pair, row: &Candidate) -> Result<Vec<Parent>, Stopped> {
        Ok(still_missing(self.store, &pair.to, parents(&row.record))?)
    }

    /// Dead letters that lacked a parent which is there now become waiting rows again.
    pub(super) async fn revive(&mut self, pair: &Pair) -> Result<(), Stopped> {
        let revivable = revivable(self.store, self.job, pair)?;
        let entries: Vec<Entry> = revivable.iter().map(|entry| entry.waiting(self.id.0 as u64)).collect();
        if !entries.is_empty() {
            let (system, entity) = (pair.to.clone(), pair.entity.name.to_string());
            self.store.commit(vec![self.lease.fence(), ledger::Op::Put { system, entity, entries }.into()]).await?;
        }
        Ok(())
    }

    /// Dead letters of rows that the source has no longer, or has under a key by now, are closed. What the destination has
    /// of them stays, and nothing is taken for granted of it.
    pub(super) async fn close_unmet(&self, pair: &Pair, keys: Vec<Key>) -> Result<(), Stopped> {
        let known = self.store.ledger_get(&pair.to, &pair.entity.name, &keys)?.into_iter().flatten();
        let known: Vec<Entry> =
            known.filter(|entry| entry.state == Settled::Rejected && !gone::is_kept(entry)).collect();
        if known.is_empty() {
            return Ok(());
        }
        let keys: Vec<Key> = known.iter().map(|entry| entry.key.clone()).collect();
        let (ours, never): (Vec<Entry>, Vec<Entry>) = known.into_iter().partition(|entry| entry.standing() != UNKNOWN);
        let as_it_was = |entry: Entry| match entry.standing() {
            LEFT => Entry { state: Settled::Deactivated, ..entry },
            _ => Entry { state: Settled::Written, source_hash: UNKNOWN, content_hash: UNKNOWN, ..entry },
        };
        let entries = ours.into_iter().map(as_it_was).collect();
        let (system, entity) = (pair.to.clone(), pair.entity.name.to_string());
        let put = ledger::Op::Put { system: system.clone(), entity: entity.clone(), entries };
        let never = never.into_iter().map(|entry| entry.key).collect();
        let forget = ledger::Op::Remove { system, entity: entity.clone(), keys: never };
        let letters = dead_letters::Op::Supersede { integration: self.job.integration.clone(), entity, keys };
        self.store.commit(vec![self.lease.fence(), put.into(), forget.into(), letters.into()]).await?;
        Ok(())
    }

    /// After a whole read only these wait: what else the ledger has as waiting is of rows that the source has no longer,
    /// unless somebody has asked for it while the read went on.
    pub(super) async fn forget_waiting(&self, pair: &Pair, orphans: &[Orphan]) -> Result<(), Stopped> {
        let still: HashSet<&Key> = orphans.iter().map(|orphan| &orphan.row.key).collect();
        let (system, entity) = (pair.to.clone(), pair.entity.name.to_string());
        let before = waiting(self.store, self.job, pair)?.into_iter().filter(|(_, since)| *since < self.id.0 as u64);
        let keys: Vec<Key> = before.map(|(key, _)| key).filter(|key| !still.contains(key)).collect();
        let (integration, of) = (self.job.integration.clone(), entity.clone());
        let letters = dead_letters::Op::Supersede { integration, entity: of, keys: keys.clone() };
        let forget = ledger::Op::Remove { system, entity, keys };
        self.store.commit(vec![self.lease.fence(), forget.into(), letters.into()]).await?;
        Ok(())
    }
}

/// The rows of an integration that wait, each with the run in which it began to. Another integration that writes the same
/// entity there has rows of its own.
pub(crate) fn waiting(store: &Store, job: &Job, pair: &Pair) -> Result<Vec<(Key, u64)>, store::Error> {
    let (system, entity) = (&pair.to, &pair.entity.name);
    if store.ledger_totals(system, entity)?.waiting == 0 {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    store.ledger_scan(system, entity, |seen| {
        if seen.state == Settled::Waiting {
            all.extend(Key::from_bytes(seen.key).ok().map(|key| (key, seen.generation)));
        }
        ControlFlow::Continue(())
    })?;
    let mut ours = HashMap::new();
    for (_, since) in &all {
        if !ours.contains_key(since) {
            let run = store.run(RunId(*since as i64))?;
            ours.insert(*since, run.is_none_or(|run| run.integration == job.integration));
        }
    }
    all.retain(|(_, since)| ours[since]);
    Ok(all)
}

/// What a dead letter says of a row that goes by itself as soon as its parent is there.
pub(crate) fn waits(mut fault: Fault) -> Fault {
    fault.what = format!("{}; it waits for that row, and each run tries it again", fault.what);
    fault.fix =
        "nothing, if the other row still comes; else bring it, or correct the reference at its source".to_owned();
    fault
}

/// For how long a row has waited that began to in this run.
pub(crate) fn waited(store: &Store, since: Option<u64>, now: jiff::Timestamp) -> Result<SignedDuration, store::Error> {
    let began = match since {
        Some(run) => store.run(RunId(run as i64))?.map_or(now, |run| run.started),
        None => now,
    };
    Ok(now.duration_since(began))
}

/// Whether a row that has waited for so long goes on waiting.
pub(crate) fn waits_on(pair: &Pair, waited: SignedDuration) -> bool {
    SignedDuration::try_from(pair.patience).is_ok_and(|patience| waited < patience)
}

/// The dead letters that lacked a parent which is there now.
pub(crate) fn revivable(store: &Store, job: &Job, pair: &Pair) -> Result<Vec<Entry>, store::Error> {
    let mut filter = Filter {
        integration: Some(job.integration.clone()),
        entity: Some(pair.entity.name.to_string()),
        code: Some(codes::REFERENCE_MISSING.to_string()),
        states: vec![dead_letters::State::Open, dead_letters::State::Retrying],
        ..Filter::default()
    };
    let mut keys = Vec::new();
    loop {
        let letters = store.dead_letters(&filter, LETTERS)?;
        for letter in &letters {
            for (entity, parent) in parents_in(&letter.problem.detail) {
                let known = store.ledger_entry(&pair.to, &entity, &parent)?;
                if known.is_some_and(|entry| entry.state == Settled::Written) {
                    keys.extend(letter.key.clone());
                    break;
                }
            }
        }
        match letters.last().filter(|_| letters.len() == LETTERS) {
            Some(last) => filter.after = Some(last.place()),
            None => break,
        }
    }
    let entries = store.ledger_get(&pair.to, &pair.entity.name, &keys)?.into_iter().flatten();
    Ok(entries.filter(|entry| entry.state == Settled::Rejected).collect())
}

/// A row without the columns whose values are so.
fn without(row: &Row, leave_out: impl Fn(&Value) -> bool) -> Row {
    let kept = || row.schema().columns().iter().zip(row.values()).filter(|(_, value)| !leave_out(value));
    let schema: Arc<Schema> = Schema::new(kept().map(|(column, _)| column.clone()).collect());
    Row::new(schema, kept().map(|(_, value)| value.clone()).collect())
}
