//! `ironbridge runs`: what ran, newest first.

use serde_json::{Value as Json, json};
use store::runs::Run;

use crate::cli::{Cli, Format};
use crate::failure::Failure;
use crate::output::{moment, number, table};
use crate::{say, talk, wiring};

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
    let rows = runs.iter().map(|run| {
        let c = &run.counts;
        let took = run.finished.map(|end| format!("{:.1} s", end.duration_since(run.started).as_secs_f64()));
        let mut row =
            vec![run.id.to_string(), run.integration.clone(), moment(run.started, zone), took.unwrap_or_default()];
        row.extend([run.trigger.to_string(), run.state.to_string()]);
        row.extend([c.read, c.created, c.updated, c.unchanged, c.rejected, c.skipped].map(number));
        row.push(run.error.as_ref().map(|error| error.code.clone()).unwrap_or_default());
        row
    });
    let header = [
        "run",
        "integration",
        "started",
        "took",
        "why",
        "state",
        "read",
        "created",
        "updated",
        "unchanged",
        "rejected",
        "skipped",
        "error",
    ];
    say!("{}", table(&header, rows.collect()));
    Ok(0)
}

pub fn json(run: &Run) -> Json {
    let c = &run.counts;
    let error = run.error.as_ref().map(|error| {
        serde_json::from_str(&error.detail).unwrap_or_else(|_| json!({ "code": error.code, "what": error.text }))
    });
    json!({
        "run": run.id.0, "integration": run.integration, "why": run.trigger.to_string(), "state": run.state.to_string(),
        "slot": run.slot.map(|at| at.to_string()), "started": run.started.to_string(),
        "finished": run.finished.map(|at| at.to_string()), "read": c.read, "created": c.created, "updated": c.updated,
        "deleted": c.deleted, "unchanged": c.unchanged, "rejected": c.rejected, "skipped": c.skipped, "error": error,
    })
}
