//! Runs that ended since the process started, counted up.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use store::Store;
use store::runs::{Run, RunId, State};

/// What is counted already, and what is still to be counted.
pub struct Runs(Mutex<Counted>);

struct Counted {
    /// The newest run that was seen.
    seen: RunId,
    /// Those of them that had not ended yet.
    open: Vec<RunId>,
    states: BTreeMap<(String, &'static str), u64>,
    results: BTreeMap<(String, &'static str), u64>,
}

/// Runs by integration and how they ended, and rows by integration and what became of them.
pub type ByName = BTreeMap<(String, &'static str), u64>;

impl Runs {
    /// *Errors*: of our own state.
    pub fn from_now_on(store: &Store) -> Result<Runs, store::Error> {
        let newest = store.runs(None, None, 1)?.pop();
        let open = newest.iter().filter(|run| run.state == State::Running).map(|run| run.id).collect();
        let seen = newest.map_or(RunId(0), |run| run.id);
        Ok(Runs(Mutex::new(Counted { seen, open, states: ByName::new(), results: ByName::new() })))
    }

    /// Counts what ended since the last look.
    ///
    /// *Errors*: of our own state.
    pub fn count(&self, store: &Store) -> Result<(ByName, ByName), store::Error> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = Vec::new();
        for id in std::mem::take(&mut counted.open) {
            match store.run(id)? {
                Some(run) if run.state == State::Running => counted.open.push(id),
                run => ended.extend(run),
            }
        }
        let (mut before, mut newest) = (None, counted.seen);
        'pages: loop {
            let page = store.runs(None, before, 1000)?;
            before = page.last().map(|run| run.id);
            for run in page {
                if run.id <= counted.seen {
                    break 'pages;
                }
                newest = newest.max(run.id);
                if run.state == State::Running { counted.open.push(run.id) } else { ended.push(run) }
            }
            if before.is_none() {
                break;
            }
        }
        counted.seen = newest;
        ended.iter().for_each(|run| counted.add(run));
        Ok((counted.states.clone(), counted.results.clone()))
    }
}

impl Counted {
    fn add(&mut self, run: &Run) {
        let name = |word: &'static str| (run.integration.clone(), word);
        *self.states.entry(name(run.state.as_str())).or_default() += 1;
        let c = &run.counts;
        let results = [
            ("created", c.created),
            ("updated", c.updated),
            ("deleted", c.deleted),
            ("unchanged", c.unchanged),
            ("rejected", c.rejected),
            ("skipped", c.skipped),
        ];
        for (result, rows) in results {
            *self.results.entry(name(result)).or_default() += rows;
        }
    }
}
