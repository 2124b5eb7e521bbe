//! What a change of the files changes in behaviour.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Pattern, Project};
use crate::show::show;

/// One difference between two versions of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The system, entity or integration.
    pub name: String,
    /// `read.name`, `schedule`; empty where the whole thing came or went.
    pub path: String,
    pub old: Option<String>,
    pub new: Option<String>,
    /// What follows from it, in words.
    pub means: String,
}

/// *Shape*: by name, then by path; empty where nothing differs but comments and places.
pub fn compare(old: &Project, new: &Project) -> Vec<Changed> {
    let names = |project: &Project| project.shown.iter().map(|shown| shown.name.clone()).collect::<BTreeSet<_>>();
    let (before, after) = (names(old), names(new));
    let mut changes = Vec::new();
    for name in before.union(&after) {
        let whole = |old: Option<&str>, new: Option<&str>, means: &str| Changed {
            name: name.clone(),
            path: String::new(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
            means: means.to_owned(),
        };
        if !after.contains(name) {
            changes.push(whole(Some("there"), None, "it is gone: nothing runs it any more, its state stays"));
            continue;
        }
        if !before.contains(name) {
            changes.push(whole(None, Some("there"), "it is new"));
            continue;
        }
        let (was, is) = (flat(old, name), flat(new, name));
        let paths: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        for path in paths.into_iter().filter(|path| was.get(*path) != is.get(*path)) {
            changes.push(Changed {
                name: name.clone(),
                path: path.clone(),
                old: was.get(path).cloned(),
                new: is.get(path).cloned(),
                means: means(new, name, path),
            });
        }
    }
    changes
}

/// Every value by its path; where a path repeats, the values are numbered.
fn flat(project: &Project, name: &str) -> BTreeMap<String, String> {
    let mut path: Vec<String> = Vec::new();
    let mut found = BTreeMap::new();
    for line in show(project, name) {
        path.truncate(line.depth);
        path.push(line.key);
        let Some(value) = line.value else { continue };
        let base = path.join(".");
        let mut at = base.clone();
        let mut count = 2;
        while found.contains_key(&at) {
            at = format!("{base} ({count})");
            count += 1;
        }
        found.insert(at, value);
    }
    found
}

fn means(project: &Project, name: &str, path: &str) -> String {
    let is = |part: &str| path.split('.').any(|piece| piece == part);
    if let Some(integration) = project.integration(name) {
        return match (&integration.pattern, path) {
            (_, "owner" | "purpose" | "because") => "safe: people read it".to_owned(),
            (_, "pattern") => {
                "another pattern: it begins anew, without the position and the ledger of the old one".into()
            }
            (Pattern::Flow(_), _) if path.starts_with("steps") => {
                "running flows end as they began; new ones take the new steps".to_owned()
            }
            (_, "from" | "to" | "entity" | "entities" | "between") => {
                "another route: it reads everything once".to_owned()
            }
            (_, "deletes" | "max_deletes") => "look at `ironbridge plan` before the next run: rows may go".to_owned(),
            _ => "safe: it holds from the next start".to_owned(),
        };
    }
    if project.entity(name).is_some() {
        return match path.split('.').next() {
            Some("key") => "another key: rows are matched anew, and those with no match are created again".to_owned(),
            _ if is("type") || is("max_length") || is("values") || is("required") => {
                format!("rows of `{name}` that no longer fit are set aside as dead letters")
            }
            _ => "safe: it holds from the next start".to_owned(),
        };
    }
    let entity = path.strip_prefix("entities.").and_then(|rest| rest.split('.').next());
    let moved = |entity: &str| {
        let by = project.integrations.iter().filter(|integration| {
            integration.systems().contains(&name)
                && integration.entities().contains(&entity)
                && matches!(integration.pattern, Pattern::Batch(_))
        });
        by.map(|integration| format!("`{}`", integration.name)).collect::<Vec<_>>()
    };
    match entity.map(moved) {
        Some(by) if !by.is_empty() && (is("read") || is("write") || is("both") || is("where")) => format!(
            "a changed mapping: {} reads everything once and writes the rows that come out different (see `ironbridge plan`)",
            by.join(", ")
        ),
        Some(by) if !by.is_empty() && (is("table") || is("query") || is("alternate_key")) => {
            format!("other rows, or other keys: look at `ironbridge plan` before {} runs", by.join(", "))
        }
        _ if path.starts_with("connection") => "another address: check that it holds the same rows".to_owned(),
        _ => "safe: it holds from the next start".to_owned(),
    }
}
