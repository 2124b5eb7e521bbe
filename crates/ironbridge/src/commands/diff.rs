//! `ironbridge diff OLD NEW`: what a change of the files changes in behaviour.

use std::path::Path;

use definition::Project;
use serde_json::json;

use crate::cli::{Cli, Format};
use crate::failure::{Failure, USAGE};
use crate::{say, wiring};

pub fn diff(cli: &Cli, old: &Path, new: &Path) -> Result<u8, Failure> {
    let (old, new) = (load(cli, old)?, load(cli, new)?);
    let changes = definition::compare(&old, &new);
    if cli.format == Format::Json {
        let one = |change: &definition::Changed| {
            json!({
                "name": change.name, "path": change.path, "old": change.old, "new": change.new, "means": change.means,
            })
        };
        say!("{:#}", json!(changes.iter().map(one).collect::<Vec<_>>()));
        return Ok(0);
    }
    if changes.is_empty() {
        say!("nothing changes");
    }
    for change in &changes {
        let place =
            if change.path.is_empty() { change.name.clone() } else { format!("{}: {}", change.name, change.path) };
        match (&change.old, &change.new) {
            (Some(old), Some(new)) => say!("{place}: {old} -> {new}"),
            (Some(old), None) => say!("{place}: {old} -> (nothing)"),
            (None, new) => say!("{place}: (nothing) -> {}", new.as_deref().unwrap_or_default()),
        }
        say!("    {}", change.means);
    }
    Ok(0)
}

fn load(cli: &Cli, dir: &Path) -> Result<Project, Failure> {
    let loaded = wiring::load(dir, cli.env.as_deref());
    match loaded.project.clone().filter(|_| !loaded.has_errors()) {
        Some(project) => Ok(project),
        None => {
            wiring::print_diagnostics(&loaded, cli.format);
            Err(Failure::said(USAGE))
        }
    }
}
