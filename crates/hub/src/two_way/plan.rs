//! What a two-way run would do: the same steps as the run, without the writing.

use record::{Change, Current, Fault, Op};
use store::Store;
use store::runs::Counts;

use super::Joint;
use super::decide::{Case, Kind, Order};
use super::letters::Letter;
use super::merge::Which;
use super::run::{Mode, Run, cannot};
use crate::batch::{Job, Stopped};
use crate::error::Error;
use crate::gone::Gone;
use crate::plan::{Plan, PlannedColumn, PlannedEffect, PlannedRow, Proofs};
use crate::watch::Watch;

/// As [`crate::plan::plan`], for both ways.
pub(crate) async fn plan(
    store: &Store,
    job: &Job,
    watch: &dyn Watch,
    each: &mut (dyn FnMut(PlannedRow) + Send),
) -> Result<Result<Plan, Fault>, Error> {
    if let Some(fault) = cannot(job) {
        return Ok(Err(fault));
    }
    let mut run = Run::new(store, job, watch, Mode::Plan, each, Proofs::of(store).await?);
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
        ..Plan::default()
    }))
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
    let (effect, counts) = match (order.kind, pair.gone) {
        (Kind::Create, _) => (PlannedEffect::Create, Counts { created: 1, ..Counts::default() }),
        (Kind::Update, _) => (PlannedEffect::Update, Counts { updated: 1, ..Counts::default() }),
        (Kind::Remove, Gone::Deactivate { .. }) => {
            (PlannedEffect::Deactivate, Counts { deleted: 1, ..Counts::default() })
        }
        (Kind::Remove, _) => (PlannedEffect::Delete, Counts { deleted: 1, ..Counts::default() }),
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
        effect,
        table: pair.table.clone(),
        columns: if shows { change.columns.iter().map(column).collect() } else { Vec::new() },
        faults: Vec::new(),
        proof: match order.kind {
            Kind::Remove => proofs.of_gone(pair, &case.key(), effect, current),
            Kind::Create | Kind::Update => proofs.of_write(pair, &case.key(), change, current),
        },
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
