//! What a change of the files changes in behaviour.

use std::collections::{BTreeMap, BTreeSet};

use crate::impact;
use crate::model::{Direction, Flow, Integration, Pattern, Project, Step, StepKind, WHAT_IS_READ};
use crate::rules::number;
use crate::show::show;

/// What follows from a change, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It holds from the next start, and nothing is written because of it.
    Safe,
    /// Nobody but a person can say: look before the next run.
    Look,
    /// The source is read from its beginning.
    FullRead,
    /// Rows come out different and are written again.
    Rewrites,
    /// Flows that began before need what is no longer there.
    BreaksFlows,
}

impl Effect {
    pub fn word(self) -> &'static str {
        match self {
            Effect::Safe => "safe",
            Effect::Look => "look first",
            Effect::FullRead => "full re-read",
            Effect::Rewrites => "rewrites rows",
            Effect::BreaksFlows => "breaks running flows",
        }
    }
}

/// One difference between two versions of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The system, entity or integration.
    pub name: String,
    /// `read.name`, `schedule`; empty where the whole thing came or went.
    pub path: String,
    pub old: Option<String>,
    pub new: Option<String>,
    pub effect: Effect,
    /// What follows from it, in words.
    pub means: String,
}

/// How many rows the hub wrote of an entity to a system; nothing where that is not known.
pub type Written<'a> = &'a dyn Fn(&str, &str) -> Option<u64>;

/// *Shape*: by name, then by path; empty where nothing differs but comments and places.
pub fn compare(old: &Project, new: &Project, written: Written<'_>) -> Vec<Changed> {
    let names = |project: &Project| project.shown.iter().map(|shown| shown.name.clone()).collect::<BTreeSet<_>>();
    let (before, after) = (names(old), names(new));
    let mut changes = Vec::new();
    for name in before.union(&after) {
        let whole = |old: Option<&str>, new: Option<&str>, (effect, means): (Effect, String)| Changed {
            name: name.clone(),
            path: String::new(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
            effect,
            means,
        };
        if !after.contains(name) {
            changes.push(whole(Some("there"), None, gone(old, name)));
            continue;
        }
        if !before.contains(name) {
            changes.push(whole(None, Some("there"), arrived(new, name)));
            continue;
        }
        let (was, is) = (flat(old, name), flat(new, name));
        let paths: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        for path in paths.into_iter().filter(|path| was.get(*path) != is.get(*path)) {
            let (effect, means) = means(new, name, path, written);
            let (old, new) = (was.get(path).cloned(), is.get(path).cloned());
            changes.push(Changed { name: name.clone(), path: path.clone(), old, new, effect, means });
        }
    }
    for change in &mut changes {
        if let Some(flow) = breaks(old, change) {
            change.effect = Effect::BreaksFlows;
            change.means = format!(
                "runs of `{flow}` that began before go on by their own version, which needs this: let them end, or keep it until they have"
            );
        }
    }
    changes
}

fn gone(old: &Project, name: &str) -> (Effect, String) {
    match old.integration(name).map(|integration| &integration.pattern) {
        Some(_) => (Effect::Look, "it is gone: nothing runs it any more, its state stays".to_owned()),
        None => (Effect::Look, "it is gone: look that nothing outside of this project relied on it".to_owned()),
    }
}

fn arrived(new: &Project, name: &str) -> (Effect, String) {
    match new.integration(name).map(|integration| &integration.pattern) {
        Some(Pattern::Batch(_)) => {
            (Effect::FullRead, "it is new: its first run reads everything (see `ironbridge plan`)".to_owned())
        }
        Some(_) => (Effect::Look, "it is new: it starts with what happens from now on".to_owned()),
        None => (Effect::Safe, "it is new".to_owned()),
    }
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

fn means(project: &Project, name: &str, path: &str, written: Written<'_>) -> (Effect, String) {
    let is = |part: &str| path.split('.').any(|piece| piece == part);
    let safe = || (Effect::Safe, "it holds from the next start".to_owned());
    if path.split('.').next() == Some("accept") {
        return (Effect::Look, "a rule is broken here knowingly: read the reason".to_owned());
    }
    if let Some(integration) = project.integration(name) {
        return match (&integration.pattern, path) {
            (_, "owner" | "purpose" | "because") => (Effect::Safe, "people read it".to_owned()),
            (_, "pattern") => (
                Effect::FullRead,
                "another pattern: it begins anew, without the position and the ledger of the old one".to_owned(),
            ),
            (Pattern::Flow(_), _) if path.starts_with("steps") => {
                (Effect::Safe, "runs that began before end as they began; new ones take the new steps".to_owned())
            }
            (Pattern::Batch(_), "from" | "to" | "entity" | "entities" | "between") => (
                Effect::FullRead,
                format!("another route: it reads everything once{}", rows(integration, None, written)),
            ),
            (_, "from" | "to" | "entity") => {
                (Effect::Look, "another route: what is on its way still goes the old one".to_owned())
            }
            (_, "deletes" | "max_deletes") => {
                (Effect::Look, "look at `ironbridge plan` before the next run: rows may go".to_owned())
            }
            _ => safe(),
        };
    }
    if project.entity(name).is_some() {
        return match path.split('.').next() {
            Some("key") => (
                Effect::Rewrites,
                "another key: rows are matched anew, and those with no match are created again".to_owned(),
            ),
            _ if is("type") || is("max_length") || is("values") || is("required") => {
                (Effect::Look, format!("rows of `{name}` that no longer fit are set aside as dead letters"))
            }
            _ => safe(),
        };
    }
    let entity = path.strip_prefix("entities.").and_then(|rest| rest.split('.').next());
    let moved: Vec<&Integration> = project
        .integrations
        .iter()
        .filter(|integration| {
            matches!(integration.pattern, Pattern::Batch(_))
                && integration.systems().contains(&name)
                && entity.is_some_and(|entity| integration.entities().contains(&entity))
        })
        .collect();
    let by = || moved.iter().map(|integration| format!("`{}`", integration.name)).collect::<Vec<_>>().join(", ");
    let all_rows =
        || moved.iter().map(|one| rows(one, entity, written)).find(|text| !text.is_empty()).unwrap_or_default();
    if !moved.is_empty() && (is("read") || is("write") || is("both") || is("where")) {
        let words = format!(
            "a changed mapping: {} reads everything once and writes the rows that come out different{}",
            by(),
            all_rows()
        );
        return (Effect::Rewrites, words);
    }
    if !moved.is_empty() && (WHAT_IS_READ.into_iter().any(is) || is("alternate_key") || is("columns")) {
        return (Effect::FullRead, format!("other rows, or other keys: {} reads everything once{}", by(), all_rows()));
    }
    if path == "kind" || path == "time_zone" || path.starts_with("connection") {
        let used: Vec<&Integration> =
            project.integrations.iter().filter(|integration| integration.systems().contains(&name)).collect();
        let batches: Vec<String> = used
            .iter()
            .filter(|integration| matches!(integration.pattern, Pattern::Batch(_)))
            .map(|integration| format!("`{}`{}", integration.name, rows(integration, None, written)))
            .collect();
        let what = match path {
            "kind" => Some("another kind of system"),
            "time_zone" => Some("its times are other moments"),
            _ => None,
        };
        if let Some(what) = what.filter(|_| !batches.is_empty()) {
            let by = batches.join(", ");
            return (
                Effect::FullRead,
                format!("{what}: everything is read once by {by}, and written where it differs"),
            );
        }
        if path == "time_zone" {
            return safe();
        }
        return (Effect::Look, "another address: check that it holds the same rows".to_owned());
    }
    safe()
}

/// `: up to 12,000 rows of customer in dynamics`, where the ledger knows.
fn rows(integration: &Integration, entity: Option<&str>, written: Written<'_>) -> String {
    let Pattern::Batch(batch) = &integration.pattern else { return String::new() };
    let sides: Vec<&str> = match &batch.direction {
        Direction::OneWay { to, .. } => vec![to],
        Direction::TwoWay { between, .. } => between.iter().map(String::as_str).collect(),
    };
    let mut found = Vec::new();
    for name in batch.entities.iter().filter(|name| entity.is_none_or(|entity| *name == entity)) {
        for side in &sides {
            if let Some(count) = written(side, name).filter(|count| *count > 0) {
                found.push(format!("up to {} rows of {name} in {side}", number(count)));
            }
        }
    }
    if found.is_empty() { String::new() } else { format!(": {}", found.join(", ")) }
}

/// The flow of the old version whose runs need what this change takes away.
fn breaks<'p>(old: &'p Project, change: &Changed) -> Option<&'p str> {
    if change.new.is_some() {
        return None;
    }
    let flows = old.integrations.iter().filter_map(|integration| match &integration.pattern {
        Pattern::Flow(flow) => Some((integration, flow)),
        _ => None,
    });
    let uses = |(integration, flow): &(&Integration, &Flow)| {
        let parts: Vec<&str> = change.path.split('.').collect();
        match parts.as_slice() {
            [""] => {
                change.name == integration.name
                    || integration.systems().contains(&change.name.as_str())
                    || flow.entity == change.name
            }
            ["fields", field, ..] => impact::names_field(integration, &change.name, field),
            ["entities", entity, "write" | "both", ..] => {
                let field = change.old.as_deref().unwrap_or_default();
                writes(&flow.steps, &change.name, entity, field)
            }
            _ => false,
        }
    };
    flows.into_iter().find(uses).map(|(integration, _)| integration.name.as_str())
}

fn writes(steps: &[Step], system: &str, entity: &str, field: &str) -> bool {
    steps.iter().any(|step| match &step.kind {
        StepKind::Write { entity: of, to, set, .. } => {
            of == entity && to == system && set.iter().any(|one| one.field == field)
        }
        kind => kind.lists().into_iter().any(|(_, list)| writes(list, system, entity, field)),
    })
}
