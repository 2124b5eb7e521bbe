//! Test cases: what they name exists, and happens in the way of its pattern.

use super::integrations::one_of;
use crate::codes;
use crate::decoded::{Data, Group};
use crate::diagnostic::Diagnostic;
use crate::load::Draft;
use crate::suggest;

pub(crate) fn check(draft: &Draft, diagnostics: &mut Vec<Diagnostic>) {
    for test in &draft.tests {
        test_case(test, draft, diagnostics);
    }
}

fn test_case(test: &Group, draft: &Draft, diagnostics: &mut Vec<Diagnostic>) {
    if let Some(when) = test.group("when") {
        one_of(when, &["run", "event", "start", "query"], "what happens", "run: customers", diagnostics);
        let patterns = [("run", "batch"), ("event", "event"), ("start", "flow"), ("query", "virtual")];
        for (key, pattern) in patterns {
            let Some(name) = when.text(key) else { continue };
            let found = draft.integrations.iter().find(|integration| integration.text("integration") == Some(name));
            if let Some(actual) =
                found.and_then(|integration| integration.text("pattern")).filter(|actual| *actual != pattern)
            {
                let right = patterns.iter().find(|(_, pattern)| *pattern == actual).map_or("run", |(key, _)| *key);
                diagnostics.push(
                    Diagnostic::error(codes::KEYS_TOGETHER, format!("`{name}` is not of the pattern {pattern}"))
                        .at(when.at(key), format!("its pattern is {actual}"))
                        .help(format!("write `{right}: {name}`")),
                );
            }
        }
    }
    for value in test.list("then") {
        let Data::Anything(node) = &value.data else { continue };
        let Some(entries) = node.map() else {
            diagnostics.push(
                Diagnostic::error(codes::WRONG_SHAPE, "`then` has lines such as `{ dynamics.account: none }`")
                    .at(value.at, format!("this is {}", node.what()))
                    .help("name a table with its system, or `dead_letters`"),
            );
            continue;
        };
        for (key, _) in entries {
            let Some((system, _)) = key.text.split_once('.') else { continue };
            if !draft.names.systems.contains(system) && !draft.names.incomplete() {
                let systems = || draft.names.systems.iter().map(String::as_str);
                diagnostics.push(
                    Diagnostic::error(codes::UNKNOWN_NAME, format!("there is no system `{system}`"))
                        .at(key.span, "the part before the point is a system")
                        .note(format!("there are: {}", suggest::list(systems())))
                        .maybe_help(suggest::did_you_mean(system, systems()))
                        .or_help("write it like `dynamics.account`"),
                );
            }
        }
    }
}
