//! Flows: their volume, who decides, and what their steps name.

use powerfx::{Expect, Type as Fx};
use record::{Entity, Type};

use super::{Seen, field_exists, formulas, one_of};
use crate::codes;
use crate::decoded::{Data, Group, Value};
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
    let decisions_known = !lost(group.list("steps"));
    let mut steps = Steps { seen, entity, home, decisions: Vec::new(), decisions_known };
    steps.all(group.list("steps"), diagnostics);
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

struct Steps<'a> {
    seen: &'a Seen<'a>,
    entity: &'a Entity,
    /// The system in which the record is.
    home: Option<&'a str>,
    /// The names of decisions, in the order of the steps.
    decisions: Vec<String>,
    /// False where a step could not be read, which may have made a decision.
    decisions_known: bool,
}

/// A step could not be read, or an approval has no name.
fn lost(steps: &[Value]) -> bool {
    steps.iter().any(|step| match step.group() {
        None => true,
        Some(group) => {
            (group.says("of") || group.says("ask")) && group.text("approve").is_none()
                || lost(group.list("then"))
                || lost(group.list("else"))
        }
    })
}

impl Steps<'_> {
    fn all(&mut self, steps: &[Value], diagnostics: &mut Vec<Diagnostic>) {
        for step in steps.iter().filter_map(Value::group) {
            self.step(step, diagnostics);
        }
    }

    fn step(&mut self, step: &Group, diagnostics: &mut Vec<Diagnostic>) {
        if let Some(formula) = step.formula("if") {
            self.formula(formula, &Expect::Type(Fx::Boolean), diagnostics);
        }
        self.all(step.list("then"), diagnostics);
        self.all(step.list("else"), diagnostics);
        if step.says("approve") {
            self.approval(step, diagnostics);
        }
        if matches!(step.get("set"), Some(Data::Named(_))) {
            self.assignments(step, self.entity, diagnostics);
            if let Some(home) = self.home {
                self.carried(step, home, self.entity, step.key_at("set"), diagnostics);
            }
        }
        if let Some(write) = step.group("write") {
            self.write(write, diagnostics);
        }
        if let Some(notice) = step.group("notify") {
            for name in ["to", "text"] {
                if let Some(formula) = notice.formula(name) {
                    self.formula(formula, &Expect::Type(Fx::Text), diagnostics);
                }
            }
            if let Some(who) = notice.text("to") {
                let names = &self.seen.draft.names;
                if !names.has(crate::table::Thing::Who, who) && !names.incomplete() {
                    diagnostics.push(
                        Diagnostic::error(codes::NOBODY, format!("there is no person or group `{who}`"))
                            .at(notice.at("to"), "nobody would read this")
                            .help("name somebody of people.yaml, or write a formula such as `=requested_by`"),
                    );
                }
            }
        }
    }

    fn formula(&self, formula: &crate::decoded::Formula, wanted: &Expect, diagnostics: &mut Vec<Diagnostic>) {
        let mut scope = formulas::scope_of(self.entity, self.seen.project, &self.decisions);
        if !self.decisions_known {
            scope = scope.open();
        }
        formulas::check_as(formula, &scope, wanted, self.seen, diagnostics);
        self.referred(formula, &scope, diagnostics);
    }

    /// What a formula reads of a record that this one refers to has to be read from the same system.
    fn referred(&self, formula: &crate::decoded::Formula, scope: &powerfx::Scope, diagnostics: &mut Vec<Diagnostic>) {
        let Some(home) = self.home.and_then(|name| self.seen.project.system(name)) else { return };
        let Ok(compiled) = powerfx::compile(&formula.text, scope, &Expect::Any) else { return };
        for used in compiled.slots() {
            let Some((field, inner)) = used.name.split_once('.') else { continue };
            let Some(Type::Reference { to }) = self.entity.field(field).map(|field| &field.ty) else { continue };
            let Some(other) = to.first().and_then(|name| self.seen.entity(name)) else { continue };
            let held = home.entity(&other.name);
            let is_read = held.is_some_and(|held| held.read.iter().any(|rule| rule.target == inner));
            // A field that is misspelt there may be this one, and is reported there.
            let misspelt = held.is_some_and(|held| held.read.iter().any(|rule| other.field(&rule.target).is_none()));
            let unknown = misspelt || other.field(inner).is_none();
            if is_read || unknown || self.seen.entity_is_broken(&home.name, &other.name) {
                continue;
            }
            diagnostics.push(
                Diagnostic::error(
                    codes::NO_MAPPING,
                    format!("`{}` does not say how `{inner}` of `{}` is read", home.name, other.name),
                )
                .at(formula.at, format!("`{}` would be blank here", used.name))
                .help(format!("add `{inner}` under `read:` of `{}` in systems/{}.yaml", other.name, home.name)),
            );
        }
    }

    fn approval(&mut self, step: &Group, diagnostics: &mut Vec<Diagnostic>) {
        if let Some(formula) = step.formula("ask") {
            self.formula(formula, &Expect::Type(Fx::Text), diagnostics);
        }
        if let Some(of) = step.group("of") {
            one_of(of, &["one_of", "all_of", "some_of"], "who decides", "one_of: [group:credit-control]", diagnostics);
            if of.says("some_of") != of.says("at_least") {
                let (has, lacks) = if of.says("some_of") {
                    ("some_of", "at_least: 2")
                } else {
                    ("at_least", "some_of: [group:credit-control]")
                };
                diagnostics.push(
                    Diagnostic::error(codes::KEYS_TOGETHER, "`some_of` and `at_least` belong together")
                        .at(of.key_at(has), "the other one is missing")
                        .help(format!("add it, for example `{lacks}`")),
                );
            }
            if let Some(formula) = of.formula("not") {
                self.formula(formula, &Expect::Any, diagnostics);
            }
        }
        for (field, at) in step.texts("if_changed") {
            let scope = formulas::scope_of(self.entity, self.seen.project, &[]);
            if scope.slot(field).is_none() {
                field_exists(self.entity, field, at, diagnostics);
            }
        }
        if let Some(name) = step.text("approve") {
            if self.decisions.iter().any(|known| known == name) {
                diagnostics.push(
                    Diagnostic::error(codes::DEFINED_TWICE, format!("two decisions have the name `{name}`"))
                        .at(step.at("approve"), "here again")
                        .help("give this one another name: later steps read its outcome by it"),
                );
            } else if self.entity.field(name).is_some() {
                diagnostics.push(
                    Diagnostic::error(codes::DEFINED_TWICE, format!("a decision has the name of the field `{name}`"))
                        .at(step.at("approve"), "formulas could not tell them apart")
                        .help("give the decision another name"),
                );
            }
            self.decisions.push(name.to_owned());
        }
    }

    fn assignments(&self, group: &Group, entity: &Entity, diagnostics: &mut Vec<Diagnostic>) {
        for entry in group.named("set") {
            if !field_exists(entity, &entry.name, entry.key, diagnostics) {
                continue;
            }
            let field = entity.field(&entry.name).expect("it was found just before");
            match &entry.value.data {
                Data::Formula(formula) => self.formula(formula, &formulas::wanted(&field.ty), diagnostics),
                Data::Text(text) => diagnostics.push(
                    Diagnostic::error(codes::BAD_VALUE, format!("`{}` gets a plain word", entry.name))
                        .at(entry.value.at, "a value of a step is a formula")
                        .help(format!("write `={text}` for the field, or `=\"{text}\"` for this text")),
                ),
                _ => {}
            }
        }
    }

    fn write(&self, write: &Group, diagnostics: &mut Vec<Diagnostic>) {
        let keys: Vec<&Data> = match write.get("key") {
            Some(Data::List(values)) => values.iter().map(|value| &value.data).collect(),
            Some(data) => vec![data],
            None => Vec::new(),
        };
        for key in &keys {
            if let Data::Formula(formula) = key {
                self.formula(formula, &Expect::Any, diagnostics);
            }
        }
        let Some(entity) = write.text("entity").and_then(|name| self.seen.entity(name)) else { return };
        if !keys.is_empty() && keys.len() != entity.key.len() {
            diagnostics.push(
                Diagnostic::error(
                    codes::KEY_NOT_MAPPED,
                    format!("the key of `{}` has {} parts, and this has {}", entity.name, entity.key.len(), keys.len()),
                )
                .at(write.at("key"), format!("the key is: {}", entity.key.join(", ")))
                .help("write one formula for each part, in this order"),
            );
        }
        self.assignments(write, entity, diagnostics);
        let Some(to) = write.text("to") else { return };
        if self.seen.held(to, &entity.name, write.at("to"), diagnostics).is_some() {
            self.carried(write, to, entity, write.at("to"), diagnostics);
        }
    }

    /// The system has a column for each field that is set.
    fn carried(&self, step: &Group, to: &str, entity: &Entity, at: Span, diagnostics: &mut Vec<Diagnostic>) {
        let Some(held) = self.seen.project.system(to).and_then(|system| system.entity(&entity.name)) else { return };
        if held.virtual_table.is_some() {
            diagnostics.push(
                Diagnostic::error(codes::VIRTUAL_WRITE, format!("`{}` is a virtual table in `{to}`", entity.name))
                    .at(at, "written here")
                    .help("write to the system that holds the rows"),
            );
            return;
        }
        let misspelt =
            |rule: &mapping::Rule| matches!(&rule.expr, mapping::Expr::Source(field) if entity.field(field).is_none());
        if self.seen.entity_is_broken(to, &entity.name) || held.write.iter().any(misspelt) {
            return;
        }
        for entry in step.named("set") {
            let carried = held.write.iter().any(|rule| match &rule.expr {
                mapping::Expr::Source(field) | mapping::Expr::Choice { source: field, .. } => **field == *entry.name,
                mapping::Expr::Formula(text) => text.contains(&*entry.name),
                _ => false,
            });
            if !carried && entity.field(&entry.name).is_some() {
                diagnostics.push(
                    Diagnostic::error(codes::REQUIRED_NOT_MAPPED, format!("`{to}` has no column for `{}`", entry.name))
                        .at(
                            entry.key,
                            format!("no line under `write:` of `{}` in systems/{to}.yaml carries it", entity.name),
                        )
                        .help("add a line there, or leave this field out"),
                );
            }
        }
    }
}
