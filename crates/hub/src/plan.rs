//! What a run would do, without doing it.
//!
//! A plan reads as a run would, with the same sorting and the same decisions, and asks the destination what it holds and
//! which rows it has that others point to. Each row that a run would touch has a [`Proof`]: equal only where both sides
//! of it are as they were, which is how a plan that was looked at is applied and nothing else.

mod gone;
mod proof;
mod read;
pub(crate) mod saved;
mod waiting;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use record::{Fault, Key, Moment, Value};
use store::Store;

use crate::batch::{self, Job};
use crate::error::Error;
use crate::error::Stopped;
use crate::gone::{self as rows_gone, Seen};
use crate::pair::Pair;
use crate::retyped;
use crate::two_way;
use crate::watch::Watch;

pub use proof::Proof;
pub(crate) use proof::Proofs;
pub use saved::{Moved, Saved, SavedColumn, SavedRow};

/// What would happen, in numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    pub read: u64,
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub rejected: u64,
    pub skipped: u64,
    /// Of the rows that are skipped: those that would wait for a row that they point to.
    pub waiting: u64,
    /// Rows that are gone from the source, and would be deactivated or deleted.
    pub deleted: u64,
    pub rejected_by_code: BTreeMap<String, u64>,
    /// The rows that the hub had written before.
    pub known: u64,
    /// Why a run would stop before it is through.
    pub refused: Option<Box<Fault>>,
}

impl Plan {
    /// Whether a run would write or reject anything.
    pub fn has_changes(&self) -> bool {
        self.changes() > 0
    }

    /// Rows that would be written.
    pub fn changes(&self) -> u64 {
        self.created + self.updated + self.deleted
    }
}

/// What would happen to one row.
#[derive(Debug, Clone)]
pub struct PlannedRow {
    pub entity: String,
    /// The system that would be written.
    pub system: String,
    /// The table of the destination.
    pub table: String,
    pub key: String,
    pub effect: PlannedEffect,
    pub columns: Vec<PlannedColumn>,
    pub faults: Vec<Fault>,
    pub proof: Proof,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PlannedEffect {
    Create,
    Update,
    Reject,
    Deactivate,
    Delete,
    /// It points to a row that is not there yet, and is tried again by each run.
    Wait,
}

impl PlannedEffect {
    pub const ALL: [PlannedEffect; 6] = [
        PlannedEffect::Create,
        PlannedEffect::Update,
        PlannedEffect::Reject,
        PlannedEffect::Deactivate,
        PlannedEffect::Delete,
        PlannedEffect::Wait,
    ];

    pub fn word(self) -> &'static str {
        match self {
            PlannedEffect::Create => "create",
            PlannedEffect::Update => "update",
            PlannedEffect::Reject => "reject",
            PlannedEffect::Deactivate => "deactivate",
            PlannedEffect::Delete => "delete",
            PlannedEffect::Wait => "wait",
        }
    }
}

/// A column that would change. *Shape*: personal fields are masked already.
#[derive(Debug, Clone, PartialEq)]
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
    each: &mut (dyn FnMut(PlannedRow) + Send),
) -> Result<Result<Plan, Fault>, Error> {
    if let Err(fault) = retyped::check(store, job)? {
        return Ok(Err(fault));
    }
    if !job.two_way.is_empty() {
        return two_way::plan(store, job, watch, each).await;
    }
    let proofs = Proofs::of(store).await?;
    let mut planner = Planner {
        store,
        job,
        watch,
        each,
        proofs,
        plan: Plan::default(),
        compare: batch::compares(store, job)?,
        moment: None,
        moved: false,
        waiting: Vec::new(),
        made: HashSet::new(),
        renumbered: HashSet::new(),
        settled: 0,
    };
    match planner.all().await {
        Ok(()) => Ok(Ok(planner.plan)),
        Err(Stopped::Fault(fault)) => Ok(Err(*fault)),
        Err(Stopped::Store(error)) => Err(error.into()),
    }
}

struct Planner<'a> {
    store: &'a Store,
    job: &'a Job,
    watch: &'a dyn Watch,
    each: &'a mut (dyn FnMut(PlannedRow) + Send),
    proofs: Proofs,
    plan: Plan,
    /// Nothing is taken for unchanged without asking the destination.
    compare: bool,
    /// What all entities are read at, where the source can hold on to a moment.
    moment: Option<Arc<Moment>>,
    /// The rows of the destination are not where the ledger knows them: a run would not take it at its word.
    moved: bool,
    waiting: Vec<waiting::Waiting>,
    /// The rows that would be there that are not there now: by table, and the key as the destination compares it.
    made: HashSet<(Arc<str>, Key)>,
    /// The keys that the source has given up for others: by entity.
    renumbered: HashSet<(Arc<str>, Key)>,
    /// Rows with an end so far, for `stop_after`.
    settled: u64,
}

impl Planner<'_> {
    async fn all(&mut self) -> Result<(), Stopped> {
        let job = self.job;
        self.moment = batch::moment(job, self.watch).await?;
        let mut all = Vec::new();
        for (at, pair) in job.pairs.iter().enumerate() {
            all.push(self.pair(at, pair).await?);
        }
        self.settle_waiting()?;
        if job.window.is_some() {
            return Ok(());
        }
        if all.iter().all(|seen| seen.whole) {
            rows_gone::enough_rows(self.store, job, self.plan.read)??;
        }
        for (pair, seen) in job.pairs.iter().zip(&all).rev() {
            self.gone(pair, seen).await?;
        }
        Ok(())
    }

    /// Counts a row that would be written, and hands it out.
    fn write(&mut self, row: PlannedRow) {
        match row.effect {
            PlannedEffect::Create => self.plan.created += 1,
            _ => self.plan.updated += 1,
        }
        (self.each)(row);
    }

    fn reject(&mut self, pair: &Pair, key: &Key, source_hash: u128, faults: Vec<Fault>) {
        self.plan.rejected += 1;
        let code = faults.first().map(|fault| fault.code.to_string()).unwrap_or_default();
        let proof = self.proofs.of_reject(pair, key, &code, source_hash);
        *self.plan.rejected_by_code.entry(code).or_default() += 1;
        (self.each)(PlannedRow {
            entity: pair.entity.name.to_string(),
            system: pair.to.clone(),
            table: pair.table.clone(),
            key: key.to_string(),
            effect: PlannedEffect::Reject,
            columns: Vec::new(),
            faults,
            proof,
        });
    }

    /// Whether a run would have stopped by now; the first reason is kept, and the plan goes on so that all can be seen.
    fn seen_enough(&mut self) {
        if self.plan.refused.is_none() {
            let stop = &self.job.stop_after;
            self.plan.refused =
                stop.reached(&self.job.integration, &self.plan.rejected_by_code, self.settled).map(Box::new);
        }
    }
}

fn column(pair: &Pair, name: &str, old: Option<&Value>, new: &Value) -> PlannedColumn {
    let shown = |value: &Value| {
        if pair.write.is_personal(name) && !value.is_blank() { "***".to_owned() } else { value.to_string() }
    };
    PlannedColumn { name: name.to_owned(), old: old.map(shown), new: shown(new) }
}

/// A seen without rows: what an entity starts with.
fn seen(store: &Store, pair: &Pair) -> Result<Seen, store::Error> {
    Ok(Seen::new(pair, store.ledger_totals(&pair.to, &pair.entity.name)?.written))
}
