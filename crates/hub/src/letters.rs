//! Dead letters as people deal with them: what is typed in a terminal and clicked in the console ends here.

pub mod edit;

use definition::{Direction, Integration, Pattern, Project};
use jiff::SignedDuration;
use store::audit::Actor;
use store::dead_letters::{self, DeadLetter, Group, Kind, Said, State};
use store::ledger::{self, Entry};
use store::{Op, Store};

use crate::error::Error;
use crate::{events, operations, two_way};

/// How long a discarded one is kept where its integration is not in the project any more.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Sends a dead letter again: a message at once, a row by the next run. What it is about is read anew.
///
/// *Errors*: somebody else has dealt with it meanwhile.
pub async fn retry(
    store: &Store,
    project: &Project,
    letter: &DeadLetter,
    by: &Actor,
    note: Option<&str>,
) -> Result<(), Error> {
    let mut ops = retry_ops(store, project, letter, by, note)?;
    ops.push(did(by, "dead-letters retry", letter, note));
    store.commit(ops).await?;
    Ok(())
}

/// What a retry commits, without its entry in the audit log: many of them are one entry.
pub(crate) fn retry_ops(
    store: &Store,
    project: &Project,
    letter: &DeadLetter,
    by: &Actor,
    note: Option<&str>,
) -> Result<Vec<Op>, Error> {
    match letter.kind {
        Kind::Message if letter.queue == operations::NOTICES => operations::again(store, letter, by, note),
        Kind::Message => events::letters::retry(store, letter, by, note),
        Kind::Row => {
            let mut ops = vec![change(letter, State::Retrying, by, note)];
            if let Some(integration) = project.integration(&letter.integration) {
                ops.extend(read_again(store, project, integration, letter)?);
            }
            Ok(ops)
        }
    }
}

/// Has the next run read the row of a dead letter again.
fn read_again(
    store: &Store,
    project: &Project,
    integration: &Integration,
    letter: &DeadLetter,
) -> Result<Vec<Op>, Error> {
    let mut ops: Vec<Op> = two_way::retry(store, project, integration, letter)?.into_iter().collect();
    if let Pattern::Batch(batch) = &integration.pattern
        && let Direction::OneWay { to, .. } = &batch.direction
        && let Some(key) = &letter.key
    {
        let known = store.ledger_entry(to, &letter.entity, key)?;
        // A row that waits has everything read that may bring it.
        let generation = store.last_run(&integration.name)?.map_or(0, |run| run.id.0 as u64);
        let entries: Vec<Entry> = known.into_iter().map(|entry| entry.waiting(generation)).collect();
        ops.push(ledger::Op::Put { system: to.clone(), entity: letter.entity.clone(), entries }.into());
    }
    Ok(ops)
}

/// Puts a dead letter that nobody needs into the archive; what it holds back goes on. A row that changes afterwards is
/// tried again all the same. Answers the day on which it really goes.
///
/// *Errors*: somebody else has dealt with it meanwhile.
pub async fn discard(
    store: &Store,
    project: &Project,
    letter: &DeadLetter,
    by: &Actor,
    note: Option<&str>,
) -> Result<jiff::Timestamp, Error> {
    let kept = project.integration(&letter.integration).map(|integration| integration.dead_letters.discarded_for);
    let kept = kept.and_then(|kept| SignedDuration::try_from(kept).ok()).unwrap_or(KEPT);
    let now = store.clock().now();
    let goes = now.checked_add(kept).unwrap_or(jiff::Timestamp::MAX);
    let (id, seen, note_of) = (letter.id.clone(), letter.state, note.map(str::to_owned));
    let archive = dead_letters::Op::Archive { id, seen, by: by.name.clone(), note: note_of, goes };
    let mut ops = vec![archive.into()];
    if letter.kind == Kind::Message && letter.destination().is_some() {
        ops.extend(events::letters::let_go(store, letter, by, note)?);
    }
    ops.push(did(by, "dead-letters discard", letter, note));
    store.commit(ops).await?;
    Ok(goes)
}

/// Takes a discarded dead letter back: it waits for somebody again.
///
/// *Errors*: somebody else has dealt with it meanwhile.
pub async fn restore(store: &Store, letter: &DeadLetter, by: &Actor, note: Option<&str>) -> Result<(), Error> {
    store.commit(vec![change(letter, State::Open, by, note), did(by, "dead-letters restore", letter, note)]).await?;
    Ok(())
}

/// Says something of a group, and that somebody has looked at it.
pub async fn mark(store: &Store, group: &Group, said: Said, by: &Actor) -> Result<(), Error> {
    let detail = serde_json::json!({
        "group": group.id, "owner": said.owner, "link": said.link,
        "hold_until": said.hold_until.flatten().map(|at| at.to_string()),
    });
    let did = by.did("dead-letters mark", &*group.cause.integration).because(said.note.as_deref()).with(detail).op();
    let say = dead_letters::Op::Say { group: group.id.clone(), by: by.name.clone(), said };
    store.commit(vec![say.into(), did]).await?;
    Ok(())
}

pub(crate) fn change(letter: &DeadLetter, to: State, by: &Actor, note: Option<&str>) -> Op {
    let (id, seen) = (letter.id.clone(), letter.state);
    dead_letters::Op::Change { id, seen, to, by: Some(by.name.clone()), note: note.map(str::to_owned) }.into()
}

/// What somebody did to a dead letter, for the audit log: not its key, which may be a person's.
pub(crate) fn did(by: &Actor, action: &str, letter: &DeadLetter, why: Option<&str>) -> Op {
    let detail =
        serde_json::json!({ "dead_letter": letter.id.as_str(), "entity": letter.entity, "code": letter.problem.code });
    by.did(action, &*letter.integration).because(why).with(detail).op()
}
