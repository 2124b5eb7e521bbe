//! A row that was deleted in the source is deleted in the destination, where the hub had written it.

use record::{Effected, Fault, Key, Row, Scope, Value};
use store::Store;
use store::ledger::{self, Entry, State};

use super::deliver::{Done, Verdict, doubt, judge_of};
use super::route::Route;
use crate::codes;
use crate::gone;
use crate::outage::unanswered;
use crate::pair::Pair;

/// *Errors*: our own state cannot be read.
pub(super) async fn remove(route: &Route, store: &Store, key: Option<Key>) -> Result<Verdict, store::Error> {
    let pair = &route.pair;
    let Some(key) = key else {
        let what =
            format!("a row of `{}` was deleted in `{}`, and its key cannot be told", pair.entity.name, pair.from);
        let fault = Fault::reject(codes::DELETED_WITHOUT_KEY, what)
            .at_system(&pair.from)
            .fix("have the event carry the key: ironbridge dataverse register does; then delete this row by hand");
        return Ok(judge_of(route, fault, None, None));
    };
    const NOT_OURS: &str = "deleted in the source, and not the hub's to delete here";
    let _alone = route.alone(&key).await;
    let known = store.ledger_entry(&pair.to, &pair.entity.name, &key)?;
    let Some(known) = known.filter(|entry| entry.state == State::Written) else {
        return Ok(Verdict::Done(Done::nothing(Some(key), NOT_OURS)));
    };
    let (system, entity) = (pair.to.clone(), pair.entity.name.to_string());
    let forget: store::Op = ledger::Op::Remove { system, entity, keys: vec![key.clone()] }.into();
    let wanted = pair.write.key_of(&key).expect("a route with deletions is only made where keys lead to keys");
    let current = match pair.sink.current(std::slice::from_ref(&wanted), &pair.key_columns).await {
        Ok(currents) => currents.into_iter().next().flatten(),
        Err(fault) => return Ok(judge_of(route, fault, Some(key), None)),
    };
    if gone::is_another(&known, current.as_ref()) {
        // Somebody has replaced the row that the hub wrote.
        return Ok(Verdict::Done(Done { more: vec![forget], asked: true, ..Done::nothing(Some(key), NOT_OURS) }));
    }
    if let Some(change) = gone::removal(&*pair.sink, &wanted, known.remote_id.as_deref(), current.as_ref()) {
        // A row that comes back as it was is not to be taken for being there still.
        doubt(store, pair, Some(&known)).await?;
        store.failpoints().hit("sink.before")?;
        let outcome = pair.sink.apply(&[change]).await;
        store.failpoints().hit("sink.after")?;
        let outcome = outcome.and_then(|all| all.into_iter().next().unwrap_or_else(|| Err(unanswered(&pair.to))));
        match outcome {
            Ok(written) => debug_assert!(matches!(written.effect, Effected::Deleted | Effected::Unchanged)),
            Err(fault) => return Ok(judge_of(route, fault, Some(key), None)),
        }
        // Its own event may have found the row that has just been removed, and all well.
        match there_again(pair, &key).await {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(judge_of(route, moved_on(pair), Some(key), None)),
            Err(fault) => return Ok(judge_of(route, fault, Some(key), None)),
        }
    }
    Ok(Verdict::Done(Done { more: vec![forget], asked: true, ..Done::nothing(Some(key), "deleted") }))
}

/// The source has another row under the key, and its own events are in nobody's way: it is looked at once more.
pub(super) fn moved_on(pair: &Pair) -> Fault {
    let what =
        format!("a row of `{}` came back, or goes on changing, while the one before it is removed", pair.entity.name);
    Fault::retry(codes::DOES_NOT_ADD_UP, what, None).scope(Scope::Row).at_system(&pair.from)
}

/// The row that the source has under the key of one that was deleted there: another one, which an event that comes late
/// says nothing of. Nothing where the source cannot be asked by keys.
pub(super) async fn there_again(pair: &Pair, key: &Key) -> Result<Option<Row>, Fault> {
    if !pair.source_by_key {
        return Ok(None);
    }
    Ok(pair.source.get(std::slice::from_ref(key)).await?.into_iter().next().flatten())
}

/// The place in the ledger where the keys of delivered rows are found by their ids in the source: a row that is gone
/// can no longer be asked for its key.
pub(super) fn by_id(entity: &str) -> String {
    format!("{entity} by id")
}

/// Remembers under which key a row of the source was delivered.
pub(super) fn remember(from: &str, entity: &str, id: &Value, key: &Key) -> Option<store::Op> {
    let entry = Entry {
        key: Key::of([id]).ok()?,
        source_hash: 0,
        content_hash: 0,
        mapping: 0,
        state: State::Written,
        generation: 0,
        remote_id: Some(key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()),
        version: None,
    };
    Some(ledger::Op::Put { system: from.to_owned(), entity: by_id(entity), entries: vec![entry] }.into())
}

/// The key of a row by its id in the source. Nothing for one that was never delivered.
pub(super) fn remembered(store: &Store, from: &str, entity: &str, id: &Value) -> Result<Option<Key>, store::Error> {
    let Ok(id) = Key::of([id]) else { return Ok(None) };
    let found = store.ledger_entry(from, &by_id(entity), &id)?;
    let bytes = |hex: String| -> Option<Vec<u8>> {
        (0..hex.len() / 2).map(|at| u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()).collect()
    };
    Ok(found.and_then(|entry| entry.remote_id).and_then(bytes).and_then(|bytes| Key::from_bytes(&bytes).ok()))
}
