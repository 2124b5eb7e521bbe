//! `ironbridge runs`: what ran, newest first.

use serde_json::{Value as Json, json};
use store::runs::{Run, RunError};

use crate::cli::{Cli, Format};
use crate::failure::Failure;
use crate::output::{fault, moment, number, table};
use crate::{say, talk, wiring};

/// More different errors than this are not told below the table.
const ERRORS: usize = 3;

pub fn runs(cli: &Cli, integration: Option<&str>, last: usize) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    if let Some(name) = integration {
        wiring::integration(&project, name)?;
    }
    let store = wiring::open_store(&project)?;
    let runs = store.runs(integration, None, last)?;
    if cli.format == Format::Json {
        say!("{:#}", Json::from(runs.iter().map(json).collect::<Vec<_>>()));
        return Ok(0);
    }
    if runs.is_empty() {
        talk!("Nothing has run yet.");
        return Ok(0);
    }
    let zone = &project.hub.time_zone;
    let deletes = runs.iter().any(|run| run.counts.deleted > 0);
    let rows = runs.iter().map(|run| {
        let c = &run.counts;
        let took = run.finished.map(|end| format!("{:.1} s", end.duration_since(run.started).as_secs_f64()));
        let mut row =
            vec![run.id.to_string(), run.integration.clone(), moment(run.started, zone), took.unwrap_or_default()];
        row.extend([run.trigger.to_string(), run.state.to_string()]);
        row.extend([c.read, c.created, c.updated].map(number));
        row.extend(deletes.then(|| number(c.deleted)));
        row.extend([c.unchanged, c.rejected, c.skipped].map(number));
        row.push(run.error.as_ref().map(|error| error.code.clone()).unwrap_or_default());
        row
    });
    let mut header = vec!["run", "integration", "started", "took", "why", "state", "read", "created", "updated"];
    header.extend(deletes.then_some("deleted"));
    header.extend(["unchanged", "rejected", "skipped", "error"]);
    say!("{}", table(&header, rows.collect()));
    // What most of them failed by is said once, with what to do.
    let mut told = Vec::new();
    for (run, error) in runs.iter().filter_map(|run| Some((run, run.error.as_ref()?))) {
        if told.contains(&&error.text) || told.len() == ERRORS {
            continue;
        }
        told.push(&error.text);
        talk!("\nrun {}: {}", run.id, fault(&of_run(error)));
    }
    Ok(0)
}

/// What a run failed by, with all parts.
pub fn of_run(error: &RunError) -> Json {
    serde_json::from_str(&error.detail).unwrap_or_else(|_| json!({ "code": error.code, "what": error.text }))
}

pub fn json(run: &Run) -> Json {
    let c = &run.counts;
    let error = run.error.as_ref().map(of_run);
    json!({
        "run": run.id.0, "integration": run.integration, "why": run.trigger.to_string(), "state": run.state.to_string(),
        "slot": run.slot.map(|at| at.to_string()), "started": run.started.to_string(),
        "finished": run.finished.map(|at| at.to_string()), "read": c.read, "created": c.created, "updated": c.updated,
        "deleted": c.deleted, "unchanged": c.unchanged, "rejected": c.rejected, "skipped": c.skipped, "error": error,
    })
}
