//! Rows whose key has changed: in the destination, behind the hub's back, or in the source.
//!
//! In the destination the row keeps its own id, which the ledger knows: the row is found by it and gets its key back. A
//! source says nothing of the kind; there a row is taken for renumbered only where everything speaks for it: it matches
//! by `match_existing` one row that the hub wrote, under a key that the source has no longer.

use std::sync::Arc;

use record::{Current, Fault, Key, RetryPolicy, Row};
use store::Store;

use crate::adopt::Existing;
use crate::outage::with_retries;
use crate::pair::Pair;
use crate::sort::Candidate;
use crate::watch::Watch;

/// Finds rows that the hub wrote, and that the destination has no longer under their key.
pub(crate) async fn moved(
    retry: &RetryPolicy,
    watch: &dyn Watch,
    pair: &Pair,
    rows: &[Candidate],
    currents: &mut [Option<Current>],
    existing: &mut [Existing],
) -> Result<(), Fault> {
    let (mut asked, mut ids) = (Vec::new(), Vec::new());
    for (at, row) in rows.iter().enumerate().filter(|(at, _)| currents[*at].is_none()) {
        if let Some(id) = &row.remote_id {
            asked.push(at);
            ids.push(Arc::from(id.as_str()));
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    let columns: Vec<String> = pair.key_columns.iter().cloned().chain(pair.write.compared()).collect();
    let found = with_retries(retry, watch, || pair.sink.by_id(&ids, &columns)).await?;
    for (at, row) in asked.into_iter().zip(found) {
        let Some(row) = row else { continue };
        currents[at] = Some(under_key(pair, &rows[at], row));
        existing[at] = Existing::One;
    }
    Ok(())
}

/// Turns matches with keys of their own into renumbered rows, where that is what they are.
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
    let ids: Vec<Arc<str>> = existing
        .iter()
        .filter_map(|found| if let Existing::Keyed(rows) = found { Some(rows) } else { None })
        .flat_map(|rows| rows.iter().filter_map(|row| row.remote_id.clone()))
        .collect();
    let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
    let known = store.ledger_of_remote(&pair.to, &pair.entity.name, &ids)?;
    let mut taken: Vec<Key> = Vec::new();
    for (at, candidate) in rows.iter().enumerate() {
        let Existing::Keyed(matches) = &existing[at] else { continue };
        let mut ours = matches.iter().filter_map(|row| {
            let id = row.remote_id.as_deref()?;
            known.iter().find(|(known, _)| known == id).map(|(_, key)| (row, key))
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
