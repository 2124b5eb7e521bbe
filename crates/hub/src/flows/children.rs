//! Instances that an instance has begun and waits for: they end with it.

use store::Store;
use store::flows::{Instance, InstanceId, Move, NewStep, Op, State as Stands};
use store::journal;

use super::decide::Note;
use super::people::withdraw;
use super::state::{Doing, State};
use super::work::{child_of, told};

/// What ends the children of an instance that ends before them, and theirs.
pub(super) fn end_children(
    store: &Store,
    instance: &Instance,
    state: &State,
    by: Option<&str>,
    why: &str,
) -> Result<Vec<store::Op>, store::Error> {
    let mut ops = Vec::new();
    for (_, _, doing) in state.ways() {
        if let Doing::Child { flow, cause } = doing {
            ops.extend(end_child(store, instance.id, flow, cause, by, why)?);
        }
    }
    Ok(ops)
}

/// The same for one of them; nothing where it has ended, or never began.
pub(super) fn end_child(
    store: &Store,
    parent: InstanceId,
    flow: &str,
    cause: &str,
    by: Option<&str>,
    why: &str,
) -> Result<Vec<store::Op>, store::Error> {
    let begun = store.flow_begun_by(flow, &child_of(parent, cause))?;
    let Some(child) = begun.filter(|child| !child.state.is_over()) else { return Ok(Vec::new()) };
    let path = child.at.clone().unwrap_or_default();
    let what = format!("cancelled with instance {parent}: {}", why.strip_prefix("cancelled: ").unwrap_or(why));
    let note = Note { path: path.clone(), what: what.clone(), by: by.map(str::to_owned) };
    let steps = vec![NewStep { path, what, person: by.map(str::to_owned) }];
    let to = Move { state: Stands::Cancelled, wake: None, steps, ..Move::of(&child) };
    let mut ops: Vec<store::Op> =
        vec![Op::Move(Box::new(to)).into(), journal::Op::Note(vec![told(&child, &note)]).into()];
    // One whose state cannot be read has no children that anybody knows of.
    if let Ok(state) = serde_json::from_str::<State>(&child.data) {
        let open: Vec<String> = state.asking().map(|(_, asking)| asking.name.clone()).collect();
        ops.extend(withdraw(store, &child, &open)?);
        ops.extend(end_children(store, &child, &state, by, why)?);
    }
    Ok(ops)
}
