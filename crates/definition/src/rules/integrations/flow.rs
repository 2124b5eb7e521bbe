//! Flows: their volume, who decides, and what their steps name.

mod form;
mod steps;

use powerfx::Type as Fx;
use record::Entity;

use super::{Seen, formulas};
use crate::codes;
use crate::decoded::{Data, Group};
use crate::diagnostic::Diagnostic;
use crate::files::Span;

/// The ceiling of a flow that says none.
const CEILING: u64 = 500;

pub(super) fn check(seen: &Seen<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let group = seen.group;
    if group.text("criticality") == Some("business_critical") {
        diagnostics.push(
            Diagnostic::error(codes::CRITICAL_FLOW, "a flow is refused for something business-critical")
                .at(group.at("criticality"), "the business stops when this stops")
                .note("a flow waits for people and has a ceiling; an event integration has neither")
                .help("make it an event integration with `ironbridge promote`, and keep only the decision as a flow"),
        );
    }
    volume(group, diagnostics);
    let Some(trigger) = group.group("trigger") else { return };
    let Some(name) = trigger.text("entity") else { return };
    let home = trigger.text("in");
    if let Some(system) = home {
        seen.reads(system, name, trigger.at("in"), diagnostics);
        seen.watched(trigger, system, name, diagnostics);
    }
    let Some(entity) = seen.entity(name) else { return };
    if let Some(system) = home {
        found_by_key(seen, system, entity, trigger.at("in"), diagnostics);
    }
    if let Some(formula) = trigger.formula("if") {
        formulas::check(formula, &formulas::scope_of(entity, seen.project, &[]), Fx::Boolean, seen, diagnostics);
    }
    started(trigger, diagnostics);
    form::check(trigger, form::Of::Trigger, entity, seen, diagnostics);
    steps::check(seen, entity, home, diagnostics);
}

/// Something starts it, besides people.
fn started(trigger: &Group, diagnostics: &mut Vec<Diagnostic>) {
    let starts = !trigger.texts("rows").is_empty() || trigger.says("schedule") || trigger.yes_no("call");
    if trigger.says("started_by") && !trigger.says("form") && !trigger.strange {
        diagnostics.push(
            Diagnostic::error(codes::KEYS_TOGETHER, "`started_by` belongs to `form`")
                .at(trigger.key_at("started_by"), "nobody fills in a form")
                .help("add `form: { reason: { type: multiline } }`, or remove `started_by`"),
        );
    }
    if !starts && !trigger.says("form") && !trigger.strange {
        diagnostics.push(
            Diagnostic::error(codes::MISSING_KEY, "nothing starts this flow")
                .at(trigger.at, "no `rows:`, no `schedule:`, no `call:` and no `form:`")
                .help("add `rows: [created]`, `schedule: weekdays at 08:00`, `call: true`, or a `form:`"),
        );
    }
    if trigger.texts("rows").is_empty() && trigger.says("columns") {
        diagnostics.push(
            Diagnostic::error(codes::KEYS_TOGETHER, "`columns` belongs to `rows`")
                .at(trigger.key_at("columns"), "nothing is heard of a row")
                .help("add `rows: [updated]`, or remove `columns`"),
        );
    }
}

fn volume(group: &Group, diagnostics: &mut Vec<Diagnostic>) {
    let Some(volume) = group.group("volume") else { return };
    let rate = |name: &str| match volume.get(name) {
        Some(Data::Rate(rate)) => Some(*rate),
        _ => None,
    };
    let Some(ceiling) = rate("ceiling") else { return };
    let promote = "make it an event integration: `ironbridge promote` drafts one";
    if ceiling > CEILING * 10 {
        diagnostics.push(
            Diagnostic::error(codes::FLOW_VOLUME, "this flow has the volume of an event integration")
                .at(volume.at("ceiling"), format!("more than {} a day", CEILING * 10))
                .help(promote),
        );
    }
    let Some(expected) = rate("expected") else { return };
    let at = volume.at("expected");
    if expected >= ceiling.saturating_mul(10) {
        diagnostics.push(
            Diagnostic::error(codes::FLOW_VOLUME, "this flow expects ten times what it may take")
                .at(at, format!("the ceiling is {ceiling} a day"))
                .help(promote),
        );
    } else if expected > ceiling {
        diagnostics.push(
            Diagnostic::warning(codes::FLOW_VOLUME, "this flow expects more than it may take")
                .at(at, format!("above {ceiling} a day new starts are held"))
                .help("raise `ceiling:`, if people can decide so many"),
        );
    } else if expected * 10 > ceiling * 8 {
        diagnostics.push(
            Diagnostic::warning(codes::FLOW_VOLUME, "this flow expects more than 80 % of what it may take")
                .at(at, format!("the ceiling is {ceiling} a day"))
                .help("raise `ceiling:`, if people can decide so many"),
        );
    }
}

/// A flow reads its record again by the key: from columns as they are, since no formula is turned round.
fn found_by_key(seen: &Seen<'_>, system: &str, entity: &Entity, at: Span, diagnostics: &mut Vec<Diagnostic>) {
    let Some(held) = seen.project.system(system).and_then(|found| found.entity(&entity.name)) else { return };
    let is_read = |key: &String| held.read.iter().any(|rule| rule.target == *key);
    if held.read.is_empty() || !entity.key.iter().all(is_read) || held.key_columns(entity).is_some() {
        return;
    }
    diagnostics.push(
        Diagnostic::error(codes::KEY_NOT_MAPPED, format!("`{}` cannot be found by its key in `{system}`", entity.name))
            .at(at, format!("a formula gives the key under `read:` of `{}` in systems/{system}.yaml", entity.name))
            .note("a flow reads its record again before each step")
            .help(format!("read {} from plain columns there", entity.key.join(", "))),
    );
}
