//! What a two-way run would do: the same steps as the run, without the writing.

use record::{Change, Current, Fault, Op};
use store::Store;
use store::runs::Counts;

use super::Joint;
use super::decide::{Case, Kind, Order};
use super::letters::Letter;
use super::merge::Which;
use super::run::{Mode, Run};
use crate::batch::{Job, Stopped};
use crate::error::Error;
use crate::gone::Gone;
use crate::plan::{Plan, PlannedColumn, PlannedEffect, PlannedRow};
use crate::watch::Watch;

/// As [`crate::plan::plan`], for both ways.
pub(crate) async fn plan(
    store: &Store,
    job: &Job,
    watch: &dyn Watch,
    each: &mut dyn FnMut(PlannedRow),
) -> Result<Result<Plan, Fault>, Error> {
    let mut run = Run::new(store, job, watch, Mode::Plan, each);
    match run.all().await {
        Ok(()) => {}
        Err(Stopped::Fault(fault)) => return Ok(Err(*fault)),
        Err(Stopped::Store(error)) => return Err(error.into()),
    }
    let Counts { read, created, updated, deleted, unchanged, rejected, skipped } = run.counts;
    let (rejected_by_code, refused) = (run.by_code, run.refused.map(Box::new));
    Ok(Ok(Plan { read, created, updated, deleted, unchanged, rejected, skipped, rejected_by_code, refused }))
}

/// One write as a plan shows it.
pub(super) fn planned(
    joint: &Joint,
    side: Which,
    case: &Case,
    order: &Order,
    change: &Change,
    current: Option<&Current>,
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
        columns: if shows { change.columns.iter().map(column).collect() } else { Vec::new() },
        faults: Vec::new(),
    };
    (row, counts)
}

/// A row that was there before the hub and gets its key.
pub(super) fn adopted(joint: &Joint, side: Which, case: &Case, change: &Change, row: &Current) -> PlannedRow {
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
        columns: columns.map(column).collect(),
        faults: Vec::new(),
    }
}

/// One dead letter as a plan shows it.
pub(super) fn refused(joint: &Joint, letter: Letter) -> PlannedRow {
    let system = letter.faults.first().and_then(|fault| fault.place.system.clone()).unwrap_or_default();
    PlannedRow {
        entity: joint.entity.name.to_string(),
        system,
        key: letter.rejection.key.to_string(),
        effect: PlannedEffect::Reject,
        columns: Vec::new(),
        faults: letter.faults,
    }
}
