//! Rows whose key has changed: in the destination, behind the hub's back, or in the source.
//!
//! In the destination the row keeps its own id, which the ledger knows: the row is found by it and gets its key back. A
//! source says nothing of the kind; there a row is taken for renumbered only where everything speaks for it: it matches
//! by `match_existing` one row that the hub wrote, or has its key but for capitals, and the source has the old key no
//! longer.

use std::sync::Arc;

use record::{Current, Fault, Key, RetryPolicy, Row};
use store::Store;

use crate::adopt::Existing;
use crate::outage::with_retries;
use crate::pair::Pair;
use crate::sort::{self, Candidate};
use crate::watch::Watch;

/// Finds rows that the hub wrote, and that the destination has no longer under their key. A row which the hub has written
/// under another key since is the row of that one.
///
/// *Errors*: the inner result is the fault of the destination.
pub(crate) async fn moved(
    store: &Store,
    retry: &RetryPolicy,
    watch: &dyn Watch,
    pair: &Pair,
    rows: &[Candidate],
    currents: &mut [Option<Current>],
    existing: &mut [Existing],
) -> Result<Result<(), Fault>, store::Error> {
    let (mut asked, mut ids): (_, Vec<Arc<str>>) = (Vec::new(), Vec::new());
    for (at, row) in rows.iter().enumerate().filter(|(at, _)| currents[*at].is_none()) {
        if let Some(id) = &row.remote_id {
            asked.push(at);
            ids.push(Arc::from(id.as_str()));
        }
    }
    if ids.is_empty() {
        return Ok(Ok(()));
    }
    let columns = pair.asked();
    let found = match with_retries(retry, watch, || pair.sink.by_id(&ids, &columns)).await {
        Ok(found) => found,
        Err(fault) => return Ok(Err(fault)),
    };
    let there: Vec<&str> = ids.iter().zip(&found).filter(|(_, row)| row.is_some()).map(|(id, _)| &**id).collect();
    let known = store.ledger_of_remote(&pair.to, &pair.entity.name, &there)?;
    for ((at, id), row) in asked.into_iter().zip(&ids).zip(found) {
        let Some(row) = row else { continue };
        if known.iter().any(|(known, key)| *known == **id && *key != rows[at].key) {
            continue;
        }
        currents[at] = Some(under_key(pair, &rows[at], row));
        existing[at] = Existing::One;
    }
    Ok(Ok(()))
}

/// Turns matches with keys of their own, and rows whose key is spelled otherwise there, into renumbered rows, where that is
/// what they are. One that another row of the source has too is [`Existing::Taken`], where its key is made of less than what
/// tells rows apart.
///
/// *Errors*: the inner result is the fault of a system.
pub(crate) async fn renumbered(
    store: &Store,
    retry: &RetryPolicy,
    watch: &dyn Watch,
    pair: &Pair,
    rows: &[Candidate],
    currents: &mut [Option<Current>],
    existing: &mut [Existing],
) -> Result<Result<(), Fault>, store::Error> {
    if !pair.source_by_key {
        return Ok(Ok(()));
    }
    let makes_keys = !pair.write.tells_rows_apart();
    let matches = |at: usize| match (&existing[at], &currents[at]) {
        (Existing::Keyed(matches), _) => matches.clone(),
        (Existing::None, Some(row)) if sort::twin_in_destination(pair, &rows[at], row).is_some() => vec![row.clone()],
        (Existing::None, Some(row)) if makes_keys && row.remote_id.as_deref() != rows[at].remote_id.as_deref() => {
            vec![row.clone()]
        }
        _ => Vec::new(),
    };
    let matches: Vec<Vec<Current>> = (0..rows.len()).map(matches).collect();
    let ids: Vec<&str> = matches.iter().flatten().filter_map(|row| row.remote_id.as_deref()).collect();
    let known = store.ledger_of_remote(&pair.to, &pair.entity.name, &ids)?;
    let mut taken: Vec<Key> = Vec::new();
    for (at, candidate) in rows.iter().enumerate() {
        let mut ours = matches[at].iter().filter_map(|row| {
            let id = row.remote_id.as_deref()?;
            known.iter().find(|(known, key)| known == id && *key != candidate.key).map(|(_, key)| (row, key))
        });
        let (Some((row, old)), None) = (ours.next(), ours.next()) else { continue };
        if taken.contains(old) {
            continue;
        }
        // Only a source that finds the new key can be believed that it has not the old one.
        let keys = [old.clone(), candidate.key.clone()];
        let there = match with_retries(retry, watch, || pair.source.get(&keys)).await {
            Ok(there) => there,
            Err(fault) => return Ok(Err(fault)),
        };
        if let [None, Some(_)] = there.as_slice() {
            taken.push(old.clone());
            currents[at] = Some(under_key(pair, candidate, row.clone()));
            existing[at] = Existing::Renumbered(old.clone());
        } else if makes_keys && there.iter().all(Option::is_some) {
            existing[at] = Existing::Taken;
        }
    }
    Ok(Ok(()))
}

/// The row as if it had the candidate's key already: what differs is the rest, and the key is written with it.
fn under_key(pair: &Pair, candidate: &Candidate, current: Current) -> Current {
    let key = candidate.wanted.key.parts();
    let value = |(name, now): (&str, &record::Value)| {
        let at = pair.key_columns.iter().position(|column| column == name);
        at.and_then(|at| key.get(at).cloned()).unwrap_or_else(|| now.clone())
    };
    let values = current.columns.iter().map(value).collect();
    Current { columns: Row::new(current.columns.schema().clone(), values), ..current }
}
