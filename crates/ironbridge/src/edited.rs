//! The files of a project, and when they were changed: a hub that runs works with them as they were when it started.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use definition::Project;
use jiff::Timestamp;

use crate::output::moment;
use crate::wiring;

/// What a hub works with, and what is only looked at, or by `check` and `test` alone.
pub const ALL: [&str; 8] =
    ["", "systems", "entities", "integrations", "environments", "tests", "decisions", "runbooks"];
const AT_WORK: usize = 5;
/// More files than this are counted.
const NAMED: usize = 3;

/// Every file of these folders of a project, with its size and time of change. *Shape*: by its path.
pub fn files(dir: &Path, folders: &[&str]) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(dir.join(folder)).ok()).flatten().flatten();
    let yaml = entries.filter(|entry| entry.path().extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "md"));
    let mut files: Vec<_> = yaml
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, metadata)| (path, metadata.len(), metadata.modified().ok()))
        .collect();
    files.sort();
    files
}

/// The definition files that a hub works with. *Shape*: sorted.
pub fn at_work(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let files = files(dir, &ALL[..AT_WORK]).into_iter().map(|(path, ..)| path);
    files.filter(|path| path.extension().is_some_and(|e| e == "yaml"))
}

/// That the hub which runs does not know the newest files, in a sentence; nothing where it does, or none runs.
pub fn since_start(project: &Project) -> Option<String> {
    let started = store::up_since(&wiring::state_of(project))?;
    let newer: Vec<String> = files(&project.dir, &ALL[..AT_WORK])
        .into_iter()
        .filter(|(path, _, changed)| path.extension().is_some_and(|e| e == "yaml") && *changed > Some(started))
        .map(|(path, ..)| path.strip_prefix(&project.dir).unwrap_or(&path).display().to_string())
        .collect();
    let named = newer.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = match newer.len() {
        0 => return None,
        several if several > NAMED => format!(" and {} more", several - NAMED),
        _ => String::new(),
    };
    let started = moment(Timestamp::try_from(started).ok()?, &project.hub.time_zone);
    Some(format!(
        "`ironbridge up` works with the files as they were when it started, at {started}. Changed since: {named}{more}. Stop it and start it again to use them."
    ))
}
