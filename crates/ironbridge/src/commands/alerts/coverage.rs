//! `ironbridge alerts coverage`: what would ring, who would hear it, and what would not.

use definition::Project;
use hub::operations::{self, Coverage, Route};
use serde_json::json;

use crate::cli::{Cli, Format};
use crate::failure::{FAILED, Failure};
use crate::output::table;
use crate::{say, talk};

pub fn coverage(cli: &Cli, project: &Project) -> Result<u8, Failure> {
    let all = operations::coverage(project, jiff::Timestamp::now());
    let unheard = all.iter().any(|coverage| coverage.heard_by.is_empty());
    if cli.format == Format::Json {
        say!("{:#}", json!(all.iter().map(to_json).collect::<Vec<_>>()));
        return Ok(if unheard { FAILED } else { 0 });
    }
    for one in &all {
        print(project, one);
    }
    match &project.hub.heartbeat {
        Some(heartbeat) => {
            talk!("A watcher outside is called every {:?}, and rings when the hub itself is silent.", heartbeat.every)
        }
        None => talk!(
            "Nobody outside notices when the hub itself is silent: add `heartbeat: {{ url: … }}` to ironbridge.yaml."
        ),
    }
    Ok(if unheard { FAILED } else { 0 })
}

fn print(project: &Project, one: &Coverage) {
    match project.integration(&one.integration) {
        Some(integration) => say!("{} ({}), owner {}", integration.name, integration.pattern.word(), integration.owner),
        None => say!("the hub itself"),
    }
    let rows = one
        .rings
        .iter()
        .map(|ring| vec![format!("  {}", ring.kind.word()), ring.severity.to_string(), ring.heard().join(", ")]);
    let rows: Vec<Vec<String>> = rows.collect();
    if !rows.is_empty() {
        say!("{}", table(&["  rings", "as", "for"], rows));
    }
    for (kind, why) in &one.silent {
        say!("  does not ring: {}, {why}", kind.word());
    }
    for (way, why) in &one.broken {
        say!("  leads nowhere: {way}, {why}");
    }
    if one.heard_by.is_empty() {
        say!("  NOBODY HEARS OF IT");
    } else {
        for (from, until) in &one.unheard {
            say!("  nobody hears of something critical from {from:02}:00 to {until:02}:00");
        }
    }
    say!("");
}

fn to_json(one: &Coverage) -> serde_json::Value {
    let names = |routes: &[Route]| routes.iter().map(Route::name).collect::<Vec<_>>();
    json!({
        "integration": (!one.integration.is_empty()).then_some(&one.integration),
        "rings": one.rings.iter().map(|ring| json!({
            "kind": ring.kind.word(), "severity": ring.severity.to_string(), "for": names(&ring.routes),
            "in_working_hours_only": names(&ring.in_hours),
        })).collect::<Vec<_>>(),
        "silent": one.silent.iter().map(|(kind, why)| json!({ "kind": kind.word(), "why": why })).collect::<Vec<_>>(),
        "broken": one.broken.iter().map(|(way, why)| json!({ "way": way, "why": why })).collect::<Vec<_>>(),
        "heard_by": names(&one.heard_by),
        "unheard": one.unheard.iter().map(|(from, until)| format!("{from:02}:00-{until:02}:00")).collect::<Vec<_>>(),
    })
}
