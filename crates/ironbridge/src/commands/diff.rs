//! `ironbridge diff OLD [NEW]`: what a change of the files changes in behaviour.

use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use definition::{Changed, Effect, Project};
use serde_json::json;

use crate::cli::{Cli, Format};
use crate::failure::{Failure, NO_VERSION, USAGE};
use crate::{say, wiring};

pub fn diff(cli: &Cli, old: &str, new: Option<&str>) -> Result<u8, Failure> {
    let old = load(cli, old)?;
    let new = match new {
        Some(new) => load(cli, new)?,
        None => project(cli, &cli.project)?,
    };
    let written = counts(cli, &new);
    let changes = definition::compare(&old, &new, &*written);
    if cli.format == Format::Json {
        let one = |change: &Changed| {
            json!({
                "name": change.name, "path": change.path, "old": change.old, "new": change.new,
                "effect": change.effect.word(), "means": change.means,
            })
        };
        say!("{:#}", json!(changes.iter().map(one).collect::<Vec<_>>()));
        return Ok(0);
    }
    if changes.is_empty() {
        say!("nothing changes");
        return Ok(0);
    }
    for effect in [Effect::BreaksFlows, Effect::Rewrites, Effect::FullRead, Effect::Look, Effect::Safe] {
        let of: Vec<&Changed> = changes.iter().filter(|change| change.effect == effect).collect();
        if !of.is_empty() {
            say!("{} ({})", effect.word(), of.len());
        }
        of.iter().for_each(|change| print(change));
    }
    Ok(0)
}

fn print(change: &Changed) {
    let place = if change.path.is_empty() { change.name.clone() } else { format!("{}: {}", change.name, change.path) };
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => say!("  {place}: {old} -> {new}"),
        (Some(old), None) => say!("  {place}: {old} -> (nothing)"),
        (None, new) => say!("  {place}: (nothing) -> {}", new.as_deref().unwrap_or_default()),
    }
    say!("      {}", change.means);
}

/// Rows that were written, by system and entity.
type Counts = Box<dyn Fn(&str, &str) -> Option<u64>>;

/// How many rows were written, where the project of the command line or the new version has run here.
fn counts(cli: &Cli, new: &Project) -> Counts {
    let dirs = [new.dir.clone(), cli.project.clone()];
    let state = dirs.iter().map(|dir| wiring::state_dir(dir, cli.env.as_deref())).find(|state| state.is_dir());
    let Some(store) = state.and_then(|state| store::Store::open(state, store::Options::default()).ok()) else {
        return Box::new(|_, _| None);
    };
    Box::new(move |system, entity| store.ledger_totals(system, entity).ok().map(|totals| totals.written))
}

/// A folder, or a revision of the repository that the project of the command line is in.
fn load(cli: &Cli, version: &str) -> Result<Project, Failure> {
    let dir = Path::new(version);
    if dir.is_dir() {
        return project(cli, dir);
    }
    let folder = tempfile::tempdir().context("no temporary folder can be made")?;
    check_out(&cli.project, version, folder.path())?;
    project(cli, folder.path())
}

fn project(cli: &Cli, dir: &Path) -> Result<Project, Failure> {
    let loaded = wiring::load(dir, cli.env.as_deref());
    match loaded.project.clone().filter(|_| !loaded.has_errors()) {
        Some(project) => Ok(project),
        None => {
            wiring::print_diagnostics(&loaded, cli.format);
            Err(Failure::said(USAGE))
        }
    }
}

/// Writes the definitions of a revision into a folder. Nothing of the repository is changed.
fn check_out(dir: &Path, revision: &str, into: &Path) -> Result<(), Failure> {
    let refused = |why: String| {
        let what = format!("`{revision}` is neither a folder nor a revision of git");
        let fix = "name a folder, or a revision such as main or HEAD~3 of the repository that the project is in";
        Failure::new(USAGE, NO_VERSION, what, fix).because(why)
    };
    if revision.starts_with('-') {
        return Err(refused("a revision does not begin with `-`".to_owned()));
    }
    let git = |args: &[&str]| {
        let output = Command::new("git").arg("-C").arg(dir).args(args).output();
        match output {
            Ok(output) if output.status.success() => Ok(output.stdout),
            Ok(output) => Err(refused(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
            Err(why) => Err(refused(format!("the program git cannot be started: {why}"))),
        }
    };
    let list = git(&["ls-tree", "-r", "-z", "--name-only", revision])?;
    let names = String::from_utf8_lossy(&list).into_owned();
    let is_definition = |path: &&Path| path.extension().is_some_and(|ending| ending == "yaml" || ending == "md");
    for path in names.split('\0').filter(|name| !name.is_empty()).map(Path::new).filter(is_definition) {
        // What git lists stays within the folder; nothing else is written.
        if path.components().any(|part| !matches!(part, Component::Normal(_))) {
            continue;
        }
        let name = path.to_string_lossy();
        let text = git(&["show", &format!("{revision}:./{name}")])?;
        let target: PathBuf = into.join(path);
        let folder = target.parent().unwrap_or(into);
        std::fs::create_dir_all(folder).context("the temporary folder takes no more")?;
        std::fs::write(&target, text).context("the temporary folder takes no more")?;
    }
    Ok(())
}
