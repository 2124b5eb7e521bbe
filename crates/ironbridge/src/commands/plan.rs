//! `ironbridge plan NAME`: what a run would write, without writing.

use std::time::Duration;

use anstyle::AnsiColor;
use hub::{PlannedEffect, PlannedRow};
use record::RetryPolicy;
use serde_json::json;

use crate::cli::{Cli, Format};
use crate::failure::{CHANGES, Failure};
use crate::output::{Progress, number};
use crate::wiring::{self, OpenSystems};
use crate::{say, talk};

/// Rows that are shown where nobody asked for every one.
const SHOWN: usize = 10;

pub async fn plan(cli: &Cli, name: &str, detailed: bool) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let integration = wiring::integration(&project, name)?;
    let store = wiring::open_store(&project)?;
    let systems = OpenSystems::new(project.clone());
    let soon = RetryPolicy { give_up_after: Duration::from_secs(15), ..RetryPolicy::default() };
    let job = hub::compile(&project, integration, &systems, soon).await?;

    let mut rows: Vec<PlannedRow> = Vec::new();
    let mut not_shown = 0u64;
    let every = detailed || cli.format == Format::Json;
    let mut kept = [0usize; 5];
    let mut each = |row: PlannedRow| {
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
        say!(
            "plan of {name}: {} to create, {} to update, {} unchanged, {} to reject{}",
            number(plan.created),
            number(plan.updated),
            number(plan.unchanged),
            number(plan.rejected),
            [(plan.deleted, "gone from the source"), (plan.skipped, "left out")]
                .iter()
                .filter(|(n, _)| *n > 0)
                .map(|(n, what)| format!(", {} {what}", number(*n)))
                .collect::<String>()
        );
        if let Some(fault) = &plan.refused {
            talk!("A run would stop there: {fault}\n  do: {}", fault.fix);
        }
        talk!(
            "Nothing was written.{}",
            if plan.has_changes() && plan.refused.is_none() {
                format!(" To write it: ironbridge run {name}")
            } else {
                String::new()
            }
        );
    }
    Ok(if plan.has_changes() { CHANGES } else { 0 })
}

fn row_json(row: &PlannedRow) -> serde_json::Value {
    let columns: serde_json::Map<String, serde_json::Value> =
        row.columns.iter().map(|c| (c.name.clone(), json!({ "old": c.old, "new": c.new }))).collect();
    let effect = match row.effect {
        PlannedEffect::Create => "create",
        PlannedEffect::Update => "update",
        PlannedEffect::Reject => "reject",
        PlannedEffect::Deactivate => "deactivate",
        PlannedEffect::Delete => "delete",
    };
    let faults: Vec<_> = row.faults.iter().map(hub::json::fault).collect();
    json!({ "entity": row.entity, "system": row.system, "key": row.key, "effect": effect, "columns": columns, "faults": faults })
}

fn print_row(row: &PlannedRow) {
    let (sign, colour) = match row.effect {
        PlannedEffect::Create => ("+ create", AnsiColor::Green),
        PlannedEffect::Update => ("~ update", AnsiColor::Yellow),
        PlannedEffect::Reject => ("! reject", AnsiColor::Red),
        PlannedEffect::Deactivate => ("- deactivate", AnsiColor::Magenta),
        PlannedEffect::Delete => ("- delete", AnsiColor::Magenta),
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
