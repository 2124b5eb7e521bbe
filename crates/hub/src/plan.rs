//! What a run would do, without doing it.

use std::collections::BTreeMap;

use record::{Fault, ReadKind, Value};
use store::Store;

use crate::adopt;
use crate::batch::{self, Job};
use crate::error::Error;
use crate::gone::{self, Gone, Seen};
use crate::outage::with_retries;
use crate::pair::Pair;
use crate::renumber;
use crate::sort::{self, Decision, Sorted, Twins};
use crate::watch::{Note, Watch};

/// What would happen, in numbers.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub read: u64,
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub rejected: u64,
    pub skipped: u64,
    /// Rows that are gone from the source, and would be deactivated or deleted.
    pub deleted: u64,
    pub rejected_by_code: BTreeMap<String, u64>,
    /// Why a run would stop before it deletes anything.
    pub refused: Option<Box<Fault>>,
}

impl Plan {
    /// Whether a run would write or reject anything.
    pub fn has_changes(&self) -> bool {
        self.created + self.updated + self.deleted > 0
    }
}

/// What would happen to one row.
#[derive(Debug, Clone)]
pub struct PlannedRow {
    pub entity: String,
    /// The system that would be written.
    pub system: String,
    pub key: String,
    pub effect: PlannedEffect,
    pub columns: Vec<PlannedColumn>,
    pub faults: Vec<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedEffect {
    Create,
    Update,
    Reject,
    Deactivate,
    Delete,
}

/// A column that would change. *Shape*: personal fields are masked already.
#[derive(Debug, Clone)]
pub struct PlannedColumn {
    pub name: String,
    /// What the destination has now; `None` where the row is new.
    pub old: Option<String>,
    pub new: String,
}

/// Reads as a run would, asks the live destination what it has, and hands out each row that would change.
///
/// *Errors*: the inner result is the fault that a run would end with.
pub async fn plan(
    store: &Store,
    job: &Job,
    watch: &dyn Watch,
    each: &mut dyn FnMut(PlannedRow),
) -> Result<Result<Plan, Fault>, Error> {
    let mut plan = Plan::default();
    let mut all = Vec::new();
    for pair in &job.pairs {
        let mut seen = Seen::new(pair);
        if let Err(fault) = plan_pair(store, job, pair, watch, each, &mut plan, &mut seen).await? {
            return Ok(Err(fault));
        }
        all.push(seen);
    }
    if all.iter().all(|seen| seen.whole)
        && let Err(fault) = gone::enough_rows(store, job, plan.read)?
    {
        return Ok(Err(fault));
    }
    for (pair, seen) in job.pairs.iter().zip(&all).rev() {
        if let Err(fault) = plan_gone(store, job, pair, seen, watch, each, &mut plan).await? {
            return Ok(Err(fault));
        }
    }
    Ok(Ok(plan))
}

/// The rows that a run would deactivate or delete, each with what the destination has of it.
///
/// More than `max_deletes` are planned all the same: looking at them is what the run asks for.
async fn plan_gone(
    store: &Store,
    job: &Job,
    pair: &Pair,
    seen: &Seen,
    watch: &dyn Watch,
    each: &mut dyn FnMut(PlannedRow),
    plan: &mut Plan,
) -> Result<Result<(), Fault>, Error> {
    let effect = match pair.gone {
        Gone::Ignore => return Ok(Ok(())),
        Gone::Deactivate { .. } => PlannedEffect::Deactivate,
        Gone::Delete => PlannedEffect::Delete,
    };
    let missing = seen.missing(store, pair)?;
    for entries in missing.never_written.chunks(pair.sink.rows_per_chunk().max(1)) {
        let currents = match gone::current(&job.retry, watch, pair, entries).await {
            Ok((_, currents)) => currents,
            Err(fault) => return Ok(Err(fault)),
        };
        for (entry, _) in entries.iter().zip(currents).filter(|(_, current)| current.is_some()) {
            plan.read += 1;
            reject(plan, each, pair, entry.key.to_string(), vec![gone::not_known_as_ours(pair)]);
        }
    }
    for entries in missing.written.chunks(pair.sink.rows_per_chunk().max(1)) {
        let (keys, currents) = match gone::current(&job.retry, watch, pair, entries).await {
            Ok(found) => found,
            Err(fault) => return Ok(Err(fault)),
        };
        let moved = match gone::moved(store, &job.retry, watch, pair, entries, &currents).await? {
            Ok(moved) => moved,
            Err(fault) => return Ok(Err(fault)),
        };
        for (at, (entry, (key, current))) in entries.iter().zip(keys.iter().zip(&currents)).enumerate() {
            plan.read += 1;
            if moved[at] {
                let fault = gone::gone_and_moved(pair, entry);
                reject(plan, each, pair, entry.key.to_string(), vec![fault]);
                continue;
            }
            if gone::change(pair, key, current.as_ref()).is_none() {
                plan.unchanged += 1;
                continue;
            }
            plan.deleted += 1;
            let (entity, key) = (pair.entity.name.to_string(), entry.key.to_string());
            let system = pair.to.clone();
            each(PlannedRow { entity, system, key, effect, columns: Vec::new(), faults: Vec::new() });
        }
    }
    plan.refused = seen.believe(store, pair, &missing, job)?.err().map(Box::new).or(plan.refused.take());
    Ok(Ok(()))
}

async fn plan_pair(
    store: &Store,
    job: &Job,
    pair: &Pair,
    watch: &dyn Watch,
    each: &mut dyn FnMut(PlannedRow),
    plan: &mut Plan,
    seen: &mut Seen,
) -> Result<Result<(), Fault>, Error> {
    let compare = batch::compares(store, job)?;
    let entity = pair.entity.name.to_string();
    let fingerprint = format!("{:016x}", pair.fingerprint());
    let cursor = store.cursor(&job.integration, &entity)?.filter(|cursor| cursor.fingerprint == fingerprint);
    let position = cursor.map(|cursor| cursor.position).filter(|_| !pair.reads_all && !compare);
    if let Err(fault) = plan_read(store, job, pair, position, compare, watch, each, plan, seen).await? {
        return Ok(Err(fault));
    }
    if seen.deletions && !seen.whole {
        return plan_read(store, job, pair, None, compare, watch, each, plan, seen).await;
    }
    Ok(Ok(()))
}

#[expect(clippy::too_many_arguments, reason = "what a plan reads with, and what it adds to")]
async fn plan_read(
    store: &Store,
    job: &Job,
    pair: &Pair,
    position: Option<String>,
    compare: bool,
    watch: &dyn Watch,
    each: &mut dyn FnMut(PlannedRow),
    plan: &mut Plan,
    seen: &mut Seen,
) -> Result<Result<(), Fault>, Error> {
    let entity = pair.entity.name.to_string();
    let opened = with_retries(&job.retry, watch, || pair.source.read(position.as_deref())).await;
    let mut reader = match opened {
        Ok(reader) => reader,
        Err(fault) => return Ok(Err(fault)),
    };
    let why = match reader.kind() {
        ReadKind::Full { why } => {
            seen.whole = position.is_none() || why.is_some();
            why
        }
        ReadKind::Changes => None,
    };
    watch.note(Note::Reading { entity: &entity, everything: why.as_deref() });
    let mut twins = Twins::default();
    loop {
        let page = match reader.next().await {
            Ok(Some(page)) => page,
            Ok(None) => return Ok(Ok(())),
            Err(fault) => return Ok(Err(fault)),
        };
        let keyed = match sort::keys(pair, &page) {
            Ok(keyed) => keyed,
            Err(fault) => return Ok(Err(fault)),
        };
        let ledger = store.ledger_get(&pair.to, &pair.entity.name, &keyed.keys)?;
        let Sorted { unchanged, skipped, refreshed: _, rejected, candidates, left_out, keyless } =
            sort::sort(pair, &page, &keyed, &mut ledger.into_iter(), &mut twins, compare);
        if pair.gone != Gone::Ignore {
            seen.add(&keyed, &rejected, left_out, keyless);
            seen.deletions |= !page.deleted.is_empty();
        }
        plan.read += (page.batch.len() + page.unreadable.len()) as u64;
        plan.unchanged += unchanged;
        plan.skipped += skipped;
        for row in rejected {
            reject(plan, each, pair, row.key.to_string(), row.faults);
        }
        for rows in candidates.chunks(pair.sink.rows_per_chunk().max(1)) {
            let keys: Vec<record::Key> = rows.iter().map(|row| row.wanted.key.clone()).collect();
            let columns: Vec<String> = pair.key_columns.iter().cloned().chain(pair.write.compared()).collect();
            let mut currents = match with_retries(&job.retry, watch, || pair.sink.current(&keys, &columns)).await {
                Ok(currents) => currents,
                Err(fault) => return Ok(Err(fault)),
            };
            let mut existing = match adopt::existing(&job.retry, watch, pair, rows, &mut currents).await {
                Ok(existing) => existing,
                Err(fault) => return Ok(Err(fault)),
            };
            let again =
                renumber::renumbered(store, &job.retry, watch, pair, rows, &mut currents, &mut existing).await?;
            if let Err(fault) = again {
                return Ok(Err(fault));
            }
            for (candidate, (current, existing)) in rows.iter().zip(currents.into_iter().zip(&existing)) {
                let decision = sort::decide_with(pair, candidate, current.as_ref(), job.drift);
                match adopt::settle(pair, candidate, existing, decision) {
                    Decision::Same { .. } => plan.unchanged += 1,
                    Decision::Reject(fault) | Decision::Drifted(fault) => {
                        reject(plan, each, pair, candidate.key.to_string(), vec![fault])
                    }
                    Decision::Write(change) => {
                        let effect = if current.is_some() { PlannedEffect::Update } else { PlannedEffect::Create };
                        match effect {
                            PlannedEffect::Update => plan.updated += 1,
                            _ => plan.created += 1,
                        }
                        let columns = change.columns.iter().map(|(name, new)| {
                            let old = current.as_ref().map(|c| c.columns.get(name).cloned().unwrap_or_default());
                            column(pair, name, old, new)
                        });
                        each(PlannedRow {
                            entity: entity.clone(),
                            system: pair.to.clone(),
                            key: candidate.key.to_string(),
                            effect,
                            columns: columns.collect(),
                            faults: Vec::new(),
                        });
                    }
                }
            }
        }
    }
}

fn column(pair: &Pair, name: &str, old: Option<Value>, new: &Value) -> PlannedColumn {
    let shown = |value: &Value| {
        if pair.write.is_personal(name) && !value.is_blank() { "***".to_owned() } else { value.to_string() }
    };
    PlannedColumn { name: name.to_owned(), old: old.map(|value| shown(&value)), new: shown(new) }
}

fn reject(plan: &mut Plan, each: &mut dyn FnMut(PlannedRow), pair: &Pair, key: String, faults: Vec<Fault>) {
    plan.rejected += 1;
    let code = faults.first().map(|fault| fault.code.to_string()).unwrap_or_default();
    *plan.rejected_by_code.entry(code).or_default() += 1;
    let (entity, system) = (pair.entity.name.to_string(), pair.to.clone());
    each(PlannedRow { entity, system, key, effect: PlannedEffect::Reject, columns: Vec::new(), faults });
}
