//! Dead letters of batch rows, as people deal with them.

use definition::{Direction, Integration, Pattern, Project};
use store::Store;
use store::dead_letters::{self, DeadLetter, State};
use store::ledger::{self, Entry};

use crate::error::Error;
use crate::two_way;

/// Has the next run read the row of a dead letter again.
///
/// *Errors*: somebody else has dealt with it meanwhile.
pub async fn retry_row(
    store: &Store,
    project: &Project,
    integration: &Integration,
    letter: &DeadLetter,
    by: &str,
    note: Option<&str>,
) -> Result<(), Error> {
    let mut ops = vec![change(letter, State::Retrying, by, note)];
    ops.extend(two_way::retry(store, project, integration, letter)?);
    if let Pattern::Batch(batch) = &integration.pattern
        && let Direction::OneWay { to, .. } = &batch.direction
        && let Some(key) = &letter.key
    {
        let known = store.ledger_get(to, &letter.entity, std::slice::from_ref(key))?.pop().flatten();
        // A row that waits has everything read that may bring it.
        let generation = store.last_run(&integration.name)?.map_or(0, |run| run.id.0 as u64);
        let entries: Vec<Entry> =
            known.into_iter().map(|entry| Entry { state: ledger::State::Waiting, generation, ..entry }).collect();
        ops.push(ledger::Op::Put { system: to.clone(), entity: letter.entity.clone(), entries }.into());
    }
    store.commit(ops).await?;
    Ok(())
}

/// Closes a dead letter that nobody needs. A row that changes afterwards is tried again all the same.
///
/// *Errors*: somebody else has dealt with it meanwhile.
pub async fn discard_row(store: &Store, letter: &DeadLetter, by: &str, note: Option<&str>) -> Result<(), Error> {
    store.commit(vec![change(letter, State::Discarded, by, note)]).await?;
    Ok(())
}

fn change(letter: &DeadLetter, to: State, by: &str, note: Option<&str>) -> store::Op {
    let (id, seen) = (letter.id.clone(), letter.state);
    dead_letters::Op::Change { id, seen, to, by: Some(by.to_owned()), note: note.map(str::to_owned) }.into()
}
