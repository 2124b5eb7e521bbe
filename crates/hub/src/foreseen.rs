//! What a destination would refuse, found out without writing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use record::{Change, Fault, Key, Reference, RetryPolicy, Row, Value};

use crate::codes;
use crate::outage::with_retries;
use crate::pair::Pair;
use crate::watch::Watch;

/// For each change: the fault that only the destination knows. `new` says of each whether it creates its row.
pub(crate) async fn unfit(
    retry: &RetryPolicy,
    watch: &dyn Watch,
    pair: &Pair,
    changes: &[Change],
    new: &[bool],
) -> Result<Vec<Option<Fault>>, Fault> {
    match changes {
        [] => Ok(Vec::new()),
        changes => with_retries(retry, watch, || pair.sink.unfit(changes, new)).await,
    }
}

/// The rows that a row points to.
pub(crate) fn references(row: &Row) -> impl Iterator<Item = &Reference> {
    row.values().iter().filter_map(|value| if let Value::Reference(to) = value { Some(&**to) } else { None })
}

/// For each row: of those that it points to, the ones that the destination does not have.
pub(crate) async fn missing<'r, R: Iterator<Item = &'r Reference>>(
    retry: &RetryPolicy,
    watch: &dyn Watch,
    pair: &Pair,
    rows: impl Iterator<Item = R>,
) -> Result<Vec<Vec<Arc<Reference>>>, Fault> {
    let (mut references, mut of): (Vec<&Reference>, Vec<Vec<usize>>) = (Vec::new(), Vec::new());
    let mut places: HashMap<String, usize> = HashMap::new();
    for own in rows {
        let own = own.map(|reference| {
            *places.entry(reference.to_string()).or_insert_with(|| {
                references.push(reference);
                references.len() - 1
            })
        });
        of.push(own.collect());
    }
    if references.is_empty() {
        return Ok(vec![Vec::new(); of.len()]);
    }
    let missing = with_retries(retry, watch, || pair.sink.missing(&references)).await?;
    let shared: Vec<Option<Arc<Reference>>> =
        references.iter().zip(missing).map(|(one, is)| is.then(|| Arc::new((*one).clone()))).collect();
    Ok(of.into_iter().map(|own| own.into_iter().filter_map(|at| shared[at].clone()).collect()).collect())
}

/// A row that points to these, which are not there.
pub(crate) fn points_nowhere(pair: &Pair, missing: &[Arc<Reference>]) -> Fault {
    let to: Vec<String> = missing.iter().map(|to| format!("`{to}`")).collect();
    let what = format!("it points to {}, which `{}` does not have", to.join(" and "), pair.to);
    Fault::reject(codes::REFERENCE_MISSING, what).at_system(&pair.to).fix("bring the other row first")
}

/// A row of a destination by its table and its key there.
pub(crate) type Named = (String, String);

pub(crate) fn named(table: &str, key: &Key) -> Named {
    (table.to_owned(), key.to_string())
}

/// The row that a reference points to; `None` for one by a key that holds nothing.
pub(crate) fn pointed_to(reference: &Reference) -> Option<Named> {
    let key = Key::of(reference.key.iter().map(|(_, part)| part)).ok()?;
    Some(named(&reference.of, &key))
}

/// Of rows that wait, with the rows that each waits for: those that only wait for each other, so that none lacks anything
/// once all of them are there.
pub(crate) fn circles(mut waiting: Vec<(Named, Vec<Option<Named>>)>) -> HashSet<Named> {
    loop {
        let before = waiting.len();
        let all: HashSet<Named> = waiting.iter().map(|(name, _)| name.clone()).collect();
        waiting.retain(|(_, needs)| needs.iter().all(|name| name.as_ref().is_some_and(|name| all.contains(name))));
        if waiting.len() == before {
            return all;
        }
    }
}
