//! What a two-way run would do: the same steps as the run, without the writing.

use std::ops::ControlFlow;

use record::{Change, Current, Fault, Op};
use store::Store;
use store::runs::Counts;

use super::Joint;
use super::decide::{Case, Kind, Order};
use super::letters::Letter;
use super::memory::Memory;
use super::merge::Which;
use super::run::{Mode, Run};
use crate::batch::{self, Job};
use crate::error::Error;
use crate::error::Stopped;
use crate::gone::Gone;
use crate::plan::{Plan, PlannedColumn, PlannedEffect, PlannedRow, Proof, Proofs};
use crate::watch::Watch;

/// As [`crate::plan::plan`], for both ways.
pub(crate) async fn plan(
    store: &Store,
    job: &Job,
    watch: &dyn Watch,
    each: &mut (dyn FnMut(PlannedRow) + Send),
) -> Result<Result<Plan, Fault>, Error> {
    let mut known = 0;
    for joint in &job.two_way {
        known += joined(store, job, joint)?;
    }
    let mut run = Run::new(store, job, watch, Mode::Plan, each, Proofs::of(store).await?);
    run.compare = batch::compares(store, job)?;
    match run.all().await {
        Ok(()) => {}
        Err(Stopped::Fault(fault)) => return Ok(Err(*fault)),
        Err(Stopped::Store(error)) => return Err(error.into()),
    }
    let Counts { read, created, updated, deleted, unchanged, rejected, skipped } = run.counts;
    Ok(Ok(Plan {
        read,
        created,
        updated,
        deleted,
        unchanged,
        rejected,
        skipped,
        waiting: run.waiting,
        rejected_by_code: run.by_code,
        refused: run.refused.map(Box::new),
        known,
    }))
}

/// Whether what is remembered was agreed on with other rows than those of the two sides now. A run forgets it first.
pub(super) fn is_elsewhere(store: &Store, job: &Job, joint: &Joint) -> Result<bool, store::Error> {
    let place = store.agreements_place(&job.integration, &joint.entity.name)?;
    Ok(place.is_some_and(|place| place != joint.place))
}

/// The rows that both sides have agreed on.
pub(crate) fn joined(store: &Store, job: &Job, joint: &Joint) -> Result<u64, store::Error> {
    let mut joined = 0;
    if is_elsewhere(store, job, joint)? {
        return Ok(joined);
    }
    store.agreements_scan(&job.integration, &joint.entity.name, |agreement| {
        let memory = Memory::decode(&agreement.content, &joint.entity);
        joined += u64::from(memory.is_some_and(|memory| memory.agreed.joined));
        ControlFlow::Continue(())
    })?;
    Ok(joined)
}

/// What a write is, on both sides of it: equal in a plan and in the run that applies it.
pub(super) fn proof(
    joint: &Joint,
    side: Which,
    case: &Case,
    order: &Order,
    change: &Change,
    current: Option<&Current>,
    proofs: &mut Proofs,
) -> Proof {
    let pair = joint.into(side);
    match order.kind {
        Kind::Remove => proofs.of_gone(pair, &case.key(), effect(order.kind, pair.gone), current),
        Kind::Create | Kind::Update => proofs.of_write(pair, &case.key(), change, current),
    }
}

fn effect(kind: Kind, gone: Gone) -> PlannedEffect {
    match (kind, gone) {
        (Kind::Create, _) => PlannedEffect::Create,
        (Kind::Update, _) => PlannedEffect::Update,
        (Kind::Remove, Gone::Deactivate { .. }) => PlannedEffect::Deactivate,
        (Kind::Remove, _) => PlannedEffect::Delete,
    }
}

/// One write as a plan shows it.
pub(super) fn planned(
    joint: &Joint,
    side: Which,
    case: &Case,
    order: &Order,
    change: &Change,
    current: Option<&Current>,
    proofs: &mut Proofs,
) -> (PlannedRow, Counts) {
    let pair = joint.into(side);
    let counts = match order.kind {
        Kind::Create => Counts { created: 1, ..Counts::default() },
        Kind::Update => Counts { updated: 1, ..Counts::default() },
        Kind::Remove => Counts { deleted: 1, ..Counts::default() },
    };
    let column = |(name, new): (&str, &record::Value)| {
        let shown = |value: &record::Value| match pair.write.is_personal(name) && !value.is_blank() {
            true => "***".to_owned(),
            false => value.to_string(),
        };
        let old = current.map(|current| current.columns.get(name).map(shown).unwrap_or_default());
        PlannedColumn { name: name.to_owned(), old, new: shown(new) }
    };
    let shows = change.op != Op::Delete && order.kind != Kind::Remove;
    let row = PlannedRow {
        entity: joint.entity.name.to_string(),
        system: joint.name(side).to_owned(),
        key: case.key().to_string(),
        effect: effect(order.kind, pair.gone),
        table: pair.table.clone(),
        columns: if shows { change.columns.iter().map(column).collect() } else { Vec::new() },
        faults: Vec::new(),
        proof: proof(joint, side, case, order, change, current, proofs),
    };
    (row, counts)
}

/// A row that was there before the hub and gets its key.
pub(super) fn adopted(
    joint: &Joint,
    side: Which,
    case: &Case,
    change: &Change,
    row: &Current,
    proofs: &mut Proofs,
) -> PlannedRow {
    let columns = joint.into(side).key_columns.iter().zip(change.key.parts());
    let column = |(name, part): (&String, record::Value)| PlannedColumn {
        name: name.clone(),
        old: Some(row.columns.get(name).map(ToString::to_string).unwrap_or_default()),
        new: part.to_string(),
    };
    PlannedRow {
        entity: joint.entity.name.to_string(),
        system: joint.name(side).to_owned(),
        key: case.key().to_string(),
        effect: PlannedEffect::Update,
        table: joint.into(side).table.clone(),
        columns: columns.map(column).collect(),
        faults: Vec::new(),
        proof: proofs.of_write(joint.into(side), &case.key(), change, Some(row)),
    }
}

/// One dead letter as a plan shows it.
pub(super) fn refused(joint: &Joint, letter: Letter, proofs: &Proofs) -> PlannedRow {
    let side = Which::BOTH
        .into_iter()
        .find(|side| letter.faults.iter().any(|fault| fault.place.system.as_deref() == Some(joint.name(*side))));
    let pair = joint.into(side.unwrap_or(Which::Right));
    let hash = record::hash::RowHasher::default().hash([record::ValueRef::Bytes(&letter.rejection.record)]);
    let system = letter.faults.first().and_then(|fault| fault.place.system.clone()).unwrap_or_default();
    PlannedRow {
        entity: joint.entity.name.to_string(),
        system,
        key: letter.rejection.key.to_string(),
        effect: PlannedEffect::Reject,
        table: pair.table.clone(),
        columns: Vec::new(),
        proof: proofs.of_reject(pair, &letter.rejection.key, &letter.rejection.problem.code, hash),
        faults: letter.faults,
    }
}
