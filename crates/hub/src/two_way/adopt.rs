//! Rows that were in a system before the hub and have no key yet: one that matches is adopted, several are a person's to
//! tell apart. The row gets its key first; then the two sides are joined like any other.

use std::collections::HashMap;

use record::{Batch, Change, Current, Fault, Op, RetryPolicy, Row, Schema, Value};

use super::Joint;
use super::decide::{Case, Order};
use super::look::Found;
use super::memory::Memory;
use super::merge::{Both, Which};
use super::run::Run;
use crate::codes;
use crate::outage::with_retries;
use crate::plan::PlannedRow;
use crate::watch::Watch;

/// What was found for a row that is to be created.
#[derive(Debug, Clone)]
pub(super) enum Existing {
    None,
    One(Box<Current>),
    /// So many rows, or one row for several that are to be created.
    Several(usize),
}

/// Looks for the rows that would be created otherwise. *Shape*: one answer for each order.
pub(super) async fn existing(
    retry: &RetryPolicy,
    watch: &dyn Watch,
    joint: &Joint,
    side: Which,
    writing: &[(Case, Both<Option<Order>>, Memory)],
    orders: &[(usize, &Order)],
    currents: &[Option<Current>],
) -> Result<Vec<Existing>, Fault> {
    let mut answers = vec![Existing::None; orders.len()];
    let Some(matching) = &joint.sides[side].matching else { return Ok(answers) };
    let pair = joint.into(side);
    let (mut asked, mut values) = (Vec::new(), Vec::new());
    for (at, ((case, order), current)) in orders.iter().zip(currents).enumerate() {
        let creates = order.kind == super::decide::Kind::Create && current.is_none();
        let Some(row) = writing[*case].0.found[side.other()].row().filter(|_| creates) else { continue };
        let held = matching.would_hold(&row.record, true);
        let value = |by: &String| {
            held.iter().find(|(name, value)| name == by && !value.is_blank()).map(|(_, value)| value.clone())
        };
        if let Some(wanted) = pair.match_existing.iter().map(value).collect::<Option<Vec<Value>>>() {
            asked.push(at);
            values.push(wanted);
        }
    }
    if asked.is_empty() {
        return Ok(answers);
    }
    let mut columns = joint.asked(side);
    columns
        .extend(joint.read(side).columns().iter().filter(|name| !columns.contains(name)).cloned().collect::<Vec<_>>());
    let by = &pair.match_existing;
    let found = with_retries(retry, watch, || pair.sink.find(by, &values, &columns)).await?;
    let mut claimed: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, found) in asked.into_iter().zip(found) {
        let has_key = |row: &Current| {
            pair.key_columns.iter().any(|name| row.columns.get(name).is_some_and(|value| !value.is_blank()))
        };
        let mut free = found.into_iter().filter(|row| !has_key(row));
        match (free.next(), free.count()) {
            (Some(row), 0) => {
                claimed.entry(row.remote_id.as_deref().unwrap_or_default().to_owned()).or_default().push(at);
                answers[at] = Existing::One(Box::new(row));
            }
            (Some(_), more) => answers[at] = Existing::Several(more + 1),
            (None, _) => {}
        }
    }
    for several in claimed.into_values().filter(|several| several.len() > 1) {
        several.into_iter().for_each(|at| answers[at] = Existing::Several(1));
    }
    Ok(answers)
}

impl<E: FnMut(PlannedRow)> Run<'_, E> {
    /// What becomes of an adopted row after that, for a plan: it is joined as if it had its key already.
    pub(super) fn plan_adopted(&mut self, joint: &Joint, side: Which, case: &Case, order: &Order, row: &Current) {
        let pair = joint.into(side);
        let parts = order.wanted.key.parts();
        let value = |name: &str, now: &Value| match pair.key_columns.iter().position(|column| column == name) {
            Some(at) => parts.get(at).cloned().unwrap_or_default(),
            None => now.clone(),
        };
        let values = row.columns.iter().map(|(name, now)| value(name, now)).collect();
        let raw = Row::new(row.columns.schema().clone(), values);
        let batch = Batch::from_rows(raw.schema().clone(), [&raw]);
        let Ok(binding) = joint.binding(side, &batch) else { return };
        let mut found = case.found.clone();
        found[side] = joint.understand(side, batch.row(0), &binding);
        if matches!(found[side], Found::Row(_)) {
            self.adopting.insert(order.wanted.key.clone(), Current { columns: raw, ..row.clone() });
            let (canonical, memory) = (case.canonical.clone(), case.memory.clone());
            self.adopted.push((joint.entity.name.to_string(), Case { canonical, memory, found }));
        }
    }
}

impl Joint {
    pub(super) fn ambiguous(&self, side: Which, order: &Order, rows: usize) -> Fault {
        let (name, by) = (self.name(side), self.into(side).match_existing.join(", "));
        let what = match rows {
            1 => format!("several rows that are to be created match one row of `{name}` by {by}"),
            rows => format!("{rows} rows of `{name}` match by {by}, and none of them has a key yet"),
        };
        let key = &order.wanted.key;
        Fault::reject(codes::SEVERAL_MATCH, what)
            .at_system(name)
            .fix(format!("write the key {key} into the row that it belongs to, by hand, and run again"))
    }
}

/// The row gets its key, and nothing else yet.
pub(super) fn adoption(order: &Order, row: &Current) -> Change {
    Change {
        op: Op::Adopt,
        key: order.wanted.key.clone(),
        columns: Row::new(Schema::new(Vec::new()), Vec::new()),
        remote_id: row.remote_id.clone(),
        if_version: None,
    }
}
