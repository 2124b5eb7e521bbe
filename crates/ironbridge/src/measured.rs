//! How the integrations of a project ran of late, from the hub's own state.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use definition::{History, Measured};
use jiff::{SignedDuration, Timestamp};
use store::runs::{Run, Trigger};
use store::{Options, Store};

/// So far back the history is looked at.
const DAYS: i64 = 14;
/// So many runs of one integration tell enough.
const RUNS_MAX: usize = 1_000;
const DAY_SECONDS: i64 = 86_400;

/// Nothing where the project never ran here, or its state cannot be read: then the rules that need it are silent.
pub fn measured(state: &Path) -> Measured {
    if !state.is_dir() {
        return Measured::default();
    }
    let read = || -> Result<Measured, store::Error> {
        let store = Store::open(state, Options::default())?;
        let now = store.clock().now();
        let since = now - SignedDuration::from_hours(24 * DAYS);
        let mut found: BTreeMap<String, History> = BTreeMap::new();
        for last in store.last_runs()? {
            let mut runs = store.runs(Some(&last.integration), None, RUNS_MAX)?;
            runs.retain(|run| run.trigger != Trigger::Backfill);
            // The first load tells nothing of a usual day.
            let oldest = runs.iter().rev().find(|run| run.state.is_good() && run.counts.written() > 0);
            let first_load = oldest.filter(|_| runs.len() < RUNS_MAX).map(|run| run.id);
            let counts = |run: &&Run| run.started >= since && run.state.is_good() && Some(run.id) != first_load;
            let recent: Vec<&Run> = runs.iter().filter(counts).collect();
            found.extend(history(&recent, now).map(|history| (last.integration.clone(), history)));
        }
        // Of flows it counts what came, and not what they wrote.
        let mut came = store.journal_effects(since)?;
        came.extend(store.flows_came(since)?);
        for (name, (count, first)) in came {
            let history = found.entry(name).or_insert_with(|| History { days: days(first, now), ..History::default() });
            history.written += count;
        }
        Ok(Measured(found))
    };
    read().unwrap_or_else(|why| {
        tracing::warn!("what was measured cannot be read, and nothing is compared with it: {why}");
        Measured::default()
    })
}

fn history(runs: &[&Run], now: Timestamp) -> Option<History> {
    let first = runs.iter().map(|run| run.started).min()?;
    let mut took: Vec<Duration> =
        runs.iter().filter_map(|run| Some(run.finished?.duration_since(run.started).unsigned_abs())).collect();
    took.sort_unstable();
    let at = |part: usize| took.get((took.len() * part / 100).min(took.len().saturating_sub(1))).copied();
    Some(History {
        days: days(first, now),
        runs: u32::try_from(runs.len()).unwrap_or(u32::MAX),
        idle_runs: u32::try_from(runs.iter().filter(|run| run.counts.written() == 0).count()).unwrap_or(u32::MAX),
        usual_run: at(50),
        long_run: at(95),
        read: runs.iter().map(|run| run.counts.read).sum(),
        written: runs.iter().map(|run| run.counts.written()).sum(),
    })
}

/// How many days began since then, this one too.
fn days(first: Timestamp, now: Timestamp) -> u32 {
    u32::try_from(now.duration_since(first).as_secs().div_euclid(DAY_SECONDS) + 1).unwrap_or(1)
}
