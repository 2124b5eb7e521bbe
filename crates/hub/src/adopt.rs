//! Rows that were in the destination before the hub: one that matches is adopted, several are a person's to tell apart.
//!
//! Only rows without a key are adopted. One that has a key of its own is another record, however alike it looks, unless
//! the hub wrote it under a key that the source has no longer ([`crate::renumber`]).

use std::collections::HashMap;
use std::sync::Arc;

use record::{Change, Current, Fault, Op, RetryPolicy, Row, Schema, Value};
use store::Store;

use crate::codes;
use crate::outage::with_retries;
use crate::pair::Pair;
use crate::renumber;
use crate::sort::{self, Candidate, Decision};
use crate::watch::Watch;

/// What was found for a row that is to be created.
#[derive(Debug, Clone)]
pub(crate) enum Existing {
    None,
    /// One row, which is in the candidate's place among the currents now.
    One,
    /// The row that the hub once wrote under this key of the entity: it is in the candidate's place, and the source has
    /// given it another key.
    Renumbered(record::Key),
    /// Rows that match, and have keys of their own.
    Keyed(Vec<Current>),
    /// So many rows, or one row for several candidates.
    Several(usize),
    /// It is the one of another row of the source, which has the same key there.
    Taken,
}

/// Looks for the rows that would be created otherwise; puts what is found once into `currents`.
///
/// *Errors*: the inner result is the fault of the destination.
pub(crate) async fn existing(
    store: &Store,
    retry: &RetryPolicy,
    watch: &dyn Watch,
    pair: &Pair,
    rows: &[Candidate],
    currents: &mut [Option<Current>],
) -> Result<Result<Vec<Existing>, Fault>, store::Error> {
    let mut answers = vec![Existing::None; rows.len()];
    if let Err(fault) = renumber::moved(store, retry, watch, pair, rows, currents, &mut answers).await? {
        return Ok(Err(fault));
    }
    let by = &pair.match_existing;
    let (mut asked, mut values) = (Vec::new(), Vec::new());
    for (at, row) in rows.iter().enumerate().filter(|(at, _)| !by.is_empty() && currents[*at].is_none()) {
        let wanted: Option<Vec<Value>> =
            by.iter().map(|name| row.wanted.columns.get(name).filter(|v| !v.is_blank()).cloned()).collect();
        if let Some(wanted) = wanted {
            asked.push(at);
            values.push(wanted);
        }
    }
    if asked.is_empty() {
        return Ok(Ok(answers));
    }
    let columns = pair.asked();
    let found = match with_retries(retry, watch, || pair.sink.find(by, &values, &columns)).await {
        Ok(found) => found,
        Err(fault) => return Ok(Err(fault)),
    };
    let mut adopted: HashMap<Arc<str>, Vec<usize>> = HashMap::new();
    for (at, found) in asked.into_iter().zip(found) {
        let has_key = |row: &Current| {
            pair.key_columns.iter().any(|name| row.columns.get(name).is_some_and(|value| !value.is_blank()))
        };
        let (keyed, free): (Vec<Current>, Vec<Current>) = found.into_iter().partition(has_key);
        let mut free = free.into_iter();
        match (free.next(), free.count()) {
            (Some(row), 0) => {
                if let Some(id) = &row.remote_id {
                    adopted.entry(id.clone()).or_default().push(at);
                }
                answers[at] = Existing::One;
                currents[at] = Some(row);
            }
            (Some(_), more) => answers[at] = Existing::Several(more + 1),
            (None, _) if keyed.is_empty() => {}
            (None, _) => answers[at] = Existing::Keyed(keyed),
        }
    }
    for claimed in adopted.into_values().filter(|claimed| claimed.len() > 1) {
        for at in claimed {
            answers[at] = Existing::Several(1);
            currents[at] = None;
        }
    }
    Ok(Ok(answers))
}

/// The decision about a row, now that it is known whether it was there before.
pub(crate) fn settle(pair: &Pair, candidate: &Candidate, existing: &Existing, decision: Decision) -> Decision {
    match (existing, decision) {
        (Existing::None | Existing::Keyed(_), decision) => decision,
        (Existing::Taken, _) => Decision::Reject(sort::made_twice(pair, &candidate.wanted.key)),
        (Existing::Several(rows), _) => Decision::Reject(ambiguous(pair, candidate, *rows)),
        (Existing::One | Existing::Renumbered(_), Decision::Write(change)) => {
            Decision::Write(Box::new(Change { op: Op::Adopt, ..*change }))
        }
        (Existing::One | Existing::Renumbered(_), Decision::Same { remote_id, .. }) => {
            Decision::Write(Box::new(Change {
                op: Op::Adopt,
                key: candidate.wanted.key.clone(),
                columns: Row::new(Schema::new(Vec::new()), Vec::new()),
                remote_id: remote_id.map(Into::into),
                if_version: None,
            }))
        }
        (Existing::One | Existing::Renumbered(_), other) => other,
    }
}

fn ambiguous(pair: &Pair, candidate: &Candidate, rows: usize) -> Fault {
    let by = pair.match_existing.join(", ");
    let what = match rows {
        1 => format!("several rows of this page match one row of `{}` by {by}", pair.to),
        rows => format!("{rows} rows of `{}` match by {by}, and none of them has a key yet", pair.to),
    };
    Fault::reject(codes::SEVERAL_MATCH, what)
        .at_system(&pair.to)
        .at_key(candidate.key.to_string())
        .fix(format!("write the key {} into the row that it belongs to, by hand, and run again", candidate.key))
}
