//! `ironbridge plan NAME`: what a run would write, without writing.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anstyle::AnsiColor;
use hub::{Job, Plan, PlannedEffect, PlannedRow, Saved, SavedRow};
use record::RetryPolicy;
use serde_json::json;

use crate::cli::{Cli, Format, Window};
use crate::failure::{BAD_PLAN, CHANGES, FAILED, Failure, USAGE};
use crate::output::{Progress, number};
use crate::wiring::{self, OpenSystems};
use crate::{say, talk};

/// Rows that are shown where nobody asked for every one.
const SHOWN: usize = 10;

pub async fn plan(cli: &Cli, name: &str, detailed: bool, save: Option<&Path>, window: &Window) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let integration = wiring::integration(&project, name)?;
    let store = wiring::open_store(&project)?;
    let systems = OpenSystems::new(project.clone());
    let soon = RetryPolicy { give_up_after: Duration::from_secs(15), ..RetryPolicy::default() };
    let mut job = hub::compile(&project, integration, &systems, soon).await?;
    job.window = wiring::window(&project, window)?;
    if let (Some(_), Some(_)) = (save, &job.window) {
        let what = "a plan of a window of time cannot be saved: it is not what the next run does";
        return Err(Failure::new(USAGE, BAD_PLAN, what, "leave --save out, or --from"));
    }

    let mut rows: Vec<PlannedRow> = Vec::new();
    let mut saved: Vec<SavedRow> = Vec::new();
    let mut not_shown = 0u64;
    let every = detailed || cli.format == Format::Json;
    let mut kept = [0usize; PlannedEffect::ALL.len()];
    let mut each = |row: PlannedRow| {
        if save.is_some() {
            saved.push(SavedRow::from(&row));
        }
        let kept = &mut kept[row.effect as usize];
        *kept += 1;
        if every || *kept <= SHOWN { rows.push(row) } else { not_shown += 1 }
    };
    let progress = Progress::new();
    let plan = hub::plan(&store, &job, &progress, &mut each).await?;
    drop(progress);
    let plan = plan?;

    if cli.format == Format::Json {
        let rows: Vec<_> = rows.iter().map(row_json).collect();
        say!(
            "{:#}",
            json!({
                "integration": name, "read": plan.read, "create": plan.created, "update": plan.updated,
                "delete": plan.deleted, "unchanged": plan.unchanged, "reject": plan.rejected, "skip": plan.skipped,
                "wait": plan.waiting, "rejected_by_code": plan.rejected_by_code,
                "rows": rows, "refused": plan.refused.as_deref().map(hub::json::fault),
            })
        );
    } else {
        rows.sort_by_key(|row| row.effect as usize);
        for row in &rows {
            print_row(row);
        }
        if not_shown > 0 {
            say!("… and {} more rows like these: ironbridge plan {name} --detailed", number(not_shown));
        }
        if !rows.is_empty() {
            say!("");
        }
        let left_out = plan.skipped - plan.waiting;
        say!(
            "plan of {name}: {} to create, {} to update, {} unchanged, {} to reject{}",
            number(plan.created),
            number(plan.updated),
            number(plan.unchanged),
            number(plan.rejected),
            [(plan.deleted, "gone from the source"), (plan.waiting, "to wait for another row"), (left_out, "left out")]
                .iter()
                .filter(|(n, _)| *n > 0)
                .map(|(n, what)| format!(", {} {what}", number(*n)))
                .collect::<String>()
        );
        if let Some(fault) = &plan.refused {
            talk!("A run would stop there: {fault}\n  do: {}", fault.fix);
        }
        talk!("Nothing was written.{}", next(name, &plan, &job, save));
    }
    if let Some(file) = save {
        let environment = job.environment.as_deref();
        let saved = Saved::new(&store, &job, environment, &wiring::person(), &plan, saved)?;
        write(file, &saved)?;
        talk!("The plan is in {}.", file.display());
    }
    Ok(if plan.has_changes() { CHANGES } else { 0 })
}

/// What to do with the plan.
fn next(name: &str, plan: &Plan, job: &Job, save: Option<&Path>) -> String {
    if !plan.has_changes() || plan.refused.is_some() {
        return String::new();
    }
    match (save, &job.window) {
        (Some(file), _) => format!(" To write exactly this: ironbridge run {name} --plan {}", file.display()),
        (None, Some(window)) => {
            format!(" To write it: ironbridge run {name} --from {} --to {}", window.from, window.to)
        }
        (None, None) => format!(" To write it: ironbridge run {name}"),
    }
}

/// Writes a plan beside its place, and moves it there when it is whole.
fn write(file: &Path, saved: &Saved) -> Result<(), Failure> {
    let failed = |why: std::io::Error| {
        let what = format!("the plan cannot be written to {}", file.display());
        Failure::new(FAILED, BAD_PLAN, what, "choose a place that can be written, and plan again").because(why)
    };
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = File::create(&partial).and_then(|new| {
        let mut out = BufWriter::new(new);
        serde_json::to_writer_pretty(&mut out, saved)?;
        out.write_all(b"\n")?;
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
    });
    written.and_then(|()| std::fs::rename(&partial, file)).map_err(failed)
}

fn row_json(row: &PlannedRow) -> serde_json::Value {
    let columns: serde_json::Map<String, serde_json::Value> =
        row.columns.iter().map(|c| (c.name.clone(), json!({ "old": c.old, "new": c.new }))).collect();
    let faults: Vec<_> = row.faults.iter().map(hub::json::fault).collect();
    json!({
        "entity": row.entity, "system": row.system, "key": row.key, "effect": row.effect.word(), "columns": columns, "faults": faults,
    })
}

fn print_row(row: &PlannedRow) {
    let (sign, colour) = match row.effect {
        PlannedEffect::Create => ("+ create", AnsiColor::Green),
        PlannedEffect::Update => ("~ update", AnsiColor::Yellow),
        PlannedEffect::Reject => ("! reject", AnsiColor::Red),
        PlannedEffect::Deactivate => ("- deactivate", AnsiColor::Magenta),
        PlannedEffect::Delete => ("- delete", AnsiColor::Magenta),
        PlannedEffect::Wait => (". wait", AnsiColor::Cyan),
    };
    let style = colour.on_default();
    say!("{style}{sign}{style:#} {} {}", row.entity, row.key);
    for column in &row.columns {
        match &column.old {
            Some(old) => say!("      {}: {old} -> {}", column.name, column.new),
            None => say!("      {}: {}", column.name, column.new),
        }
    }
    for fault in &row.faults {
        say!("      {}: {}", fault.code, fault.what);
    }
}
