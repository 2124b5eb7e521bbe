//! The steps of a flow: what they name, which ways lead through them, and what is known on each of these ways.

mod ways;

use std::collections::BTreeSet;
use std::sync::Arc;

use powerfx::{Expect, Type as Fx};
use record::{Entity, Schema, Type};

use super::super::{Seen, field_exists, formulas, one_of};
use super::form;
use crate::codes;
use crate::decoded::{Data, Group, Value};
use crate::diagnostic::Diagnostic;
use crate::files::Span;
use crate::impact::mentions;

pub(super) fn check(seen: &Seen<'_>, entity: &Entity, home: Option<&str>, diagnostics: &mut Vec<Diagnostic>) {
    let list = seen.group.list("steps");
    let mut steps = Steps {
        seen,
        entity,
        home,
        answers: Vec::new(),
        sure: Vec::new(),
        item: None,
        answers_known: !ways::lost(list),
        filled: Vec::new(),
    };
    if let Some(trigger) = seen.group.group("trigger").filter(|trigger| trigger.says("form")) {
        let fields = crate::build::form(trigger);
        steps.filled = fields.iter().map(|field| (format!("form.{}", field.name), form::fx(field))).collect();
        steps.filled.push(("form.by".to_owned(), Fx::Text));
    }
    let before = diagnostics.len();
    steps.all(list, diagnostics);
    // What is misspelt may be what seems to be missing.
    if diagnostics.len() == before {
        steps.changes_something(list, diagnostics);
    }
    ways::no_recursion(seen, diagnostics);
}

/// What a name in a formula stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Approval,
    Scope,
    Child,
    Wait,
    Read,
}

impl Kind {
    fn outcomes(self) -> [&'static str; 2] {
        match self {
            Kind::Approval => ["approved", "rejected"],
            Kind::Scope => ["done", "failed"],
            Kind::Child => ["done", "cancelled"],
            Kind::Wait => ["happened", "timed_out"],
            Kind::Read => ["found", "missing"],
        }
    }
}

struct Answer {
    name: String,
    kind: Kind,
    at: Span,
    /// What is filled in with an answer.
    fields: Vec<(String, Fx)>,
}

struct Steps<'a> {
    seen: &'a Seen<'a>,
    entity: &'a Entity,
    /// The system in which the record is.
    home: Option<&'a str>,
    /// Everything that has an outcome, in the order of the steps.
    answers: Vec<Answer>,
    /// The names of those that every way to here has passed.
    sure: Vec<String>,
    /// The columns of a line, within a loop.
    item: Option<Arc<Schema>>,
    /// False where a step could not be read, which may have an outcome.
    answers_known: bool,
    /// What was filled in at the start.
    filled: Vec<(String, Fx)>,
}

impl Steps<'_> {
    /// True where no way leads past the last of them.
    fn all(&mut self, steps: &[Value], diagnostics: &mut Vec<Diagnostic>) -> bool {
        let mut ended = false;
        for (at, step) in steps.iter().filter_map(Value::group).enumerate() {
            if ended && at > 0 {
                diagnostics.push(
                    Diagnostic::error(codes::FLOW_UNREACHABLE, "this step is never done")
                        .at(step.at, "every way ends before it")
                        .help("remove it, or the step before it that ends the flow"),
                );
                return true;
            }
            ended = self.step(step, diagnostics);
        }
        ended
    }

    /// True where no way leads past it.
    fn step(&mut self, step: &Group, diagnostics: &mut Vec<Diagnostic>) -> bool {
        match step.entries.first().map(|entry| &*entry.name) {
            Some("if") => return self.branch(step, diagnostics),
            Some("switch") => return self.switch(step, diagnostics),
            Some("apply_to_each") => self.each(step, diagnostics),
            Some("parallel") => self.parallel(step, diagnostics),
            Some("scope") => return self.scope(step, diagnostics),
            Some("child_flow") => self.child(step, diagnostics),
            Some("wait_for") => {
                self.one(step, "wait_for", &Expect::Type(Fx::Boolean), diagnostics);
                self.named(step, "as", Kind::Wait, diagnostics);
            }
            Some("delay_until") => self.one(step, "delay_until", &Expect::Any, diagnostics),
            Some("terminate") => {
                self.one(step, "terminate", &Expect::Type(Fx::Text), diagnostics);
                return true;
            }
            Some("approve") => self.approval(step, diagnostics),
            Some("read") => self.read(step, diagnostics),
            Some("set") => {
                self.assignments(step, self.entity, diagnostics);
                if let Some(home) = self.home {
                    self.carried(step, home, self.entity, step.key_at("set"), diagnostics);
                }
            }
            _ => {}
        }
        if let Some(write) = step.group("write") {
            self.write(write, diagnostics);
        }
        if let Some(notice) = step.group("notify") {
            self.notice(notice, diagnostics);
        }
        false
    }

    /// The formula of one key.
    fn one(&self, step: &Group, key: &str, wanted: &Expect, diagnostics: &mut Vec<Diagnostic>) {
        if let Some(formula) = step.formula(key) {
            self.formula(formula, wanted, diagnostics);
        }
    }

    fn notice(&self, notice: &Group, diagnostics: &mut Vec<Diagnostic>) {
        for name in ["to", "text"] {
            self.one(notice, name, &Expect::Type(Fx::Text), diagnostics);
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

    fn formula(&self, formula: &crate::decoded::Formula, wanted: &Expect, diagnostics: &mut Vec<Diagnostic>) {
        let unsure = |answer: &&Answer| !self.sure.contains(&answer.name) && mentions(&formula.text, &answer.name);
        if let Some(answer) = self.answers.iter().find(unsure) {
            let (done, asked) = if answer.kind == Kind::Read { ("read", "read") } else { ("answered", "asked") };
            diagnostics.push(
                Diagnostic::error(
                    codes::FLOW_UNDECIDED,
                    format!("`{}` may not have been {done} when this is needed", answer.name),
                )
                .at(formula.at, "a way leads here that passes it by")
                .also(answer.at, format!("it is {asked} here"))
                .help(format!(
                    "read it beside the step that asks, or keep it in a field there: - {{ set: {{ outcome: ={}.outcome }} }}",
                    answer.name
                )),
            );
            return;
        }
        self.compared(formula, diagnostics);
        let mut scope = formulas::scope_of(self.entity, self.seen.project, &self.sure);
        let sure = self.answers.iter().filter(|answer| self.sure.contains(&answer.name));
        for (name, ty) in self.filled.iter().chain(sure.flat_map(|answer| &answer.fields)) {
            scope.add(name, ty.clone());
        }
        if let Some(lines) = &self.item {
            for column in lines.columns() {
                scope.add(&format!("item.{}", column.name), mapping::formula_type(&column.name, &column.ty));
            }
        }
        if !self.answers_known {
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
            one_of(
                of,
                &["one_of", "all_of", "in_order", "some_of"],
                "who decides",
                "one_of: [group:credit-control]",
                diagnostics,
            );
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
        if self.item.is_some() {
            self.not_in_a_loop(step, "approve", "people decide about all of it at once", diagnostics);
        }
        form::check(step, form::Of::Answer, self.entity, self.seen, diagnostics);
        for entry in step.named("form") {
            let Some(field) = entry.value.group() else { continue };
            let wanted = crate::build::form(step).iter().find(|one| *one.name == *entry.name).map(form::fx);
            if let Some(formula) = field.formula("default") {
                self.formula(formula, &wanted.map_or(Expect::Any, Expect::Type), diagnostics);
            }
            if let Some(formula) = field.formula("currency") {
                self.formula(formula, &Expect::Type(Fx::Text), diagnostics);
            }
        }
        self.named(step, "approve", Kind::Approval, diagnostics);
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

    /// The parts of the key of a step, of which each may be a formula. Answers how many there are.
    fn key_parts(&self, step: &Group, diagnostics: &mut Vec<Diagnostic>) -> usize {
        let keys: Vec<&Data> = match step.get("key") {
            Some(Data::List(values)) => values.iter().map(|value| &value.data).collect(),
            Some(data) => vec![data],
            None => Vec::new(),
        };
        for key in &keys {
            if let Data::Formula(formula) = key {
                self.formula(formula, &Expect::Any, diagnostics);
            }
        }
        keys.len()
    }

    /// *Errors*: a key of another length than that of the entity; `of` says whose key it is.
    fn key_fits(&self, step: &Group, parts: usize, entity: &Entity, of: String, diagnostics: &mut Vec<Diagnostic>) {
        let wanted = entity.key.len();
        if parts > 0 && parts != wanted {
            let what = format!("the key of `{}` has {wanted} parts, and this has {parts}", entity.name);
            diagnostics.push(
                Diagnostic::error(codes::KEY_NOT_MAPPED, what)
                    .at(step.at("key"), of)
                    .help("write one formula for each part, in this order"),
            );
        }
    }

    /// Later formulas read what its system reads of it.
    fn read(&mut self, step: &Group, diagnostics: &mut Vec<Diagnostic>) {
        let parts = self.key_parts(step, diagnostics);
        if let Some(entity) = step.text("entity").and_then(|name| self.seen.entity(name)) {
            let of = format!("the key is: {}", entity.key.join(", "));
            self.key_fits(step, parts, entity, of, diagnostics);
            if let Some(from) = step.text("from") {
                let held = self.seen.held(from, &entity.name, step.at("from"), diagnostics);
                let found = held.is_none_or(|(_, held)| held.key_columns(entity).is_some());
                if !found && !self.seen.entity_is_broken(from, &entity.name) {
                    diagnostics.push(
                        Diagnostic::error(
                            codes::KEY_NOT_MAPPED,
                            format!("`{}` cannot be found by its key in `{from}`", entity.name),
                        )
                        .at(step.at("from"), format!("no plain columns of systems/{from}.yaml are its key"))
                        .help(format!("read {} from plain columns there", entity.key.join(", "))),
                    );
                }
            }
            for taken in ["outcome", "by", "comment"] {
                if entity.field(taken).is_some() {
                    diagnostics.push(
                        Diagnostic::error(codes::DEFINED_TWICE, format!("`{}` has a field `{taken}`", entity.name))
                            .at(step.at("entity"), "formulas could not tell it from what came of this step")
                            .help("read an entity without it: give the field another name"),
                    );
                }
            }
        }
        self.named(step, "read", Kind::Read, diagnostics);
    }

    fn write(&self, write: &Group, diagnostics: &mut Vec<Diagnostic>) {
        let parts = self.key_parts(write, diagnostics);
        let Some(entity) = write.text("entity").and_then(|name| self.seen.entity(name)) else { return };
        let of = format!("the key is: {}", entity.key.join(", "));
        self.key_fits(write, parts, entity, of, diagnostics);
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
