//! Sentences that people are asked for, and that say nothing: a purpose, a reason, a page of notes.

use crate::codes;
use crate::decoded::Group;
use crate::diagnostic::Diagnostic;
use crate::files::{Files, Span};
use crate::load::Draft;

/// What stands where a sentence was wanted and nobody had one.
const EMPTY: &[&str] = &[
    "todo",
    "to do",
    "tbd",
    "tba",
    "tbc",
    "fixme",
    "later",
    "none",
    "nothing",
    "n/a",
    "na",
    "?",
    "-",
    "x",
    "xxx",
    "test",
    "required",
    "requirement",
    "business requirement",
    "see ticket",
    "as discussed",
    "as agreed",
];
/// Of an event: that it is one.
const NO_REASON: &[&str] = &[
    "real time",
    "real-time",
    "realtime",
    "near real time",
    "near real-time",
    "it must be real time",
    "must be real time",
    "it is urgent",
    "urgent",
    "asap",
    "fast",
    "it should be fast",
    "immediately",
    "instantly",
    "it is an event",
    "event",
];

pub(crate) fn check(draft: &Draft, files: &Files, diagnostics: &mut Vec<Diagnostic>) {
    for group in &draft.integrations {
        let name = group.text("integration").unwrap_or_default();
        sentence(group, "purpose", &[name], "what the business would miss", diagnostics);
        sentence(group, "because", NO_REASON, "what goes wrong when this comes a quarter of an hour late", diagnostics);
        sentence(group, "without_sweep_because", NO_REASON, "how else a dropped event would be noticed", diagnostics);
    }
    for (system, _) in &draft.systems {
        for held in system.named("entities").iter().filter_map(|entry| entry.value.group()) {
            sentence(held, "personal_because", &[], "what the people of that system do with it", diagnostics);
        }
    }
    let systems = draft.systems.iter().map(|(group, _)| group);
    for group in systems.chain(&draft.entities).chain(&draft.integrations).chain([&draft.hub]) {
        for acceptance in group.named("accept").iter().filter_map(|entry| entry.value.group()) {
            sentence(acceptance, "because", &[], "why this is right here", diagnostics);
        }
    }
    runbooks(draft, files, diagnostics);
}

fn sentence(group: &Group, key: &str, also: &[&str], wanted: &str, diagnostics: &mut Vec<Diagnostic>) {
    let Some(text) = group.text(key) else { return };
    let said = text.trim().trim_end_matches(['.', '!', '…']).to_lowercase();
    if !said.is_empty() && !EMPTY.contains(&said.as_str()) && !also.iter().any(|word| word.to_lowercase() == said) {
        return;
    }
    diagnostics.push(
        Diagnostic::error(codes::SAYS_NOTHING, format!("`{key}` says nothing"))
            .at(group.at(key), "whoever is woken at three reads this")
            .help(format!("write in one sentence {wanted}")),
    );
}

/// The team's own pages: each belongs to an integration, and has a sentence of its own.
fn runbooks(draft: &Draft, files: &Files, diagnostics: &mut Vec<Diagnostic>) {
    for (id, file) in files.iter() {
        let Some(name) = file.path.strip_prefix("runbooks/").and_then(|name| name.strip_suffix(".md")) else {
            continue;
        };
        let first = file.text.lines().next().unwrap_or_default().len() as u32;
        let at = Span { file: id, start: 0, end: first };
        if !draft.names.integrations.contains(name) && !draft.names.incomplete() {
            let names = || draft.names.integrations.iter().map(String::as_str);
            diagnostics.push(
                Diagnostic::warning(codes::NO_HELP, format!("the runbook `{name}` belongs to no integration"))
                    .at(at, "nobody is shown this page")
                    .maybe_help(crate::suggest::did_you_mean(name, names()))
                    .or_help("name the file like the integration, or remove it"),
            );
        } else if !file.text.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
            diagnostics.push(
                Diagnostic::warning(codes::NO_HELP, format!("the runbook of `{name}` is empty"))
                    .at(at, "only headings")
                    .help(
                        "write down what only your team knows: whom to call, what may be run twice, what must not wait",
                    ),
            );
        }
    }
}
