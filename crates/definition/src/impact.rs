//! What a change of one system, entity, field or column touches.

use std::fmt;

use mapping::{Expr, Rule};
use serde_json::{Value as Json, json};

use crate::model::{Direction, Given, Happening, Integration, Pattern, Project, Step, StepKind, System, SystemEntity};

/// Something that can be changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    System(String),
    Entity(String),
    Field { entity: String, field: String },
    Column { system: String, entity: String, column: String },
}

/// Something that the change touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// `mapping`, `integration`, `flow`, `virtual table`, `runbook`, `decision`, `entity` or `test`.
    pub what: &'static str,
    pub name: String,
    pub why: String,
    /// Where to look. *Shape*: `systems/finance.yaml:14`, or a file.
    pub place: String,
}

/// Everything with this name: `finance`, `customer`, `customer.credit_limit`, `credit_limit`, `finance.terms_code`.
///
/// *Shape*: sorted, without repeats; empty where nothing has the name.
pub fn subjects(project: &Project, name: &str) -> Vec<Subject> {
    let mut found = Vec::new();
    if project.system(name).is_some() {
        found.push(Subject::System(name.to_owned()));
    }
    if project.entity(name).is_some() {
        found.push(Subject::Entity(name.to_owned()));
    }
    for entity in &project.entities {
        for field in &entity.fields {
            if *field.name == *name || format!("{}.{}", entity.name, field.name) == name {
                found.push(Subject::Field { entity: entity.name.to_string(), field: field.name.to_string() });
            }
        }
    }
    for system in &project.systems {
        for held in &system.entities {
            for column in columns(held) {
                let table = held.table.as_deref().unwrap_or(&held.entity);
                let names = [
                    column.clone(),
                    format!("{}.{column}", system.name),
                    format!("{table}.{column}"),
                    format!("{}.{table}.{column}", system.name),
                ];
                if names.iter().any(|known| known == name) {
                    let (system, entity) = (system.name.clone(), held.entity.clone());
                    found.push(Subject::Column { system, entity, column });
                }
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// What a change of this touches. *Shape*: mappings first, then what uses them; without repeats.
pub fn impact(project: &Project, subject: &Subject) -> Vec<Touched> {
    let mut found = Found { project, touched: Vec::new() };
    match subject {
        Subject::System(name) => found.system(name),
        Subject::Entity(name) => found.entity(name),
        Subject::Field { entity, field } => found.field(entity, field),
        Subject::Column { system, entity, column } => found.column(system, entity, column),
    }
    found.touched
}

struct Found<'p> {
    project: &'p Project,
    touched: Vec<Touched>,
}

impl Found<'_> {
    fn push(&mut self, what: &'static str, name: &str, why: String, place: &str) {
        if !self.touched.iter().any(|known| known.what == what && known.name == name && known.place == place) {
            self.touched.push(Touched { what, name: name.to_owned(), why, place: place.to_owned() });
        }
    }

    fn system(&mut self, name: &str) {
        let Some(system) = self.project.system(name) else { return };
        for held in &system.entities {
            self.mapping(system, held, "it is in this system");
        }
        for integration in self.project.integrations.iter().filter(|i| i.systems().contains(&name)) {
            self.integration(integration, format!("it {}", role(integration, name)));
        }
    }

    fn entity(&mut self, name: &str) {
        let project = self.project;
        for system in &project.systems {
            for held in system.entities.iter().filter(|held| held.entity == name) {
                self.mapping(system, held, "it holds this entity");
            }
        }
        for other in &project.entities {
            for field in &other.fields {
                if matches!(&field.ty, record::Type::Reference { to } if to.iter().any(|to| to == name)) {
                    let place = format!("entities/{}.yaml", other.name);
                    self.push("entity", &other.name, format!("`{}` refers to it", field.name), &place);
                }
            }
        }
        for integration in project.integrations.iter().filter(|i| i.entities().contains(&name) || writes(i, name)) {
            let verb = if integration.entities().contains(&name) { "moves" } else { "writes" };
            let verb =
                if matches!(integration.pattern, Pattern::Flow(_)) && verb == "moves" { "is about" } else { verb };
            self.integration(integration, format!("it {verb} `{name}`"));
        }
    }

    fn field(&mut self, entity: &str, field: &str) {
        let project = self.project;
        let mut systems = Vec::new();
        for system in &project.systems {
            let Some(held) = system.entity(entity) else { continue };
            let name = format!("{}.{entity}", system.name);
            for rule in held.read.iter().filter(|rule| rule.target == field) {
                systems.push(&*system.name);
                self.push("mapping", &name, format!("reads it from {}", rule.expr.text()), &rule.origin);
            }
            for rule in held.write.iter().filter(|rule| uses(&rule.expr, field)) {
                systems.push(&*system.name);
                self.push("mapping", &name, format!("writes it to `{}`", rule.target), &rule.origin);
            }
        }
        for integration in &project.integrations {
            let moved = integration.entities().contains(&entity)
                && integration.systems().iter().any(|system| systems.contains(system));
            let named = names_field(integration, entity, field);
            if moved || named {
                let why = if named { "its own settings or steps name it" } else { "it carries the field" };
                self.integration(integration, why.to_owned());
            }
        }
    }

    fn column(&mut self, system: &str, entity: &str, column: &str) {
        let Some(found) = self.project.system(system) else { return };
        let Some(held) = found.entity(entity) else { return };
        let name = format!("{system}.{entity}");
        let mut fields: Vec<&str> = Vec::new();
        for rule in held.read.iter().filter(|rule| uses(&rule.expr, column)) {
            fields.push(&rule.target);
            self.push("mapping", &name, format!("fills the field `{}`", rule.target), &rule.origin);
        }
        for rule in held.write.iter().filter(|rule| rule.target == column) {
            self.push("mapping", &name, format!("is written from {}", rule.expr.text()), &rule.origin);
        }
        let file = format!("systems/{system}.yaml");
        let beside = [
            ("it is part of the alternate key", held.alternate_key.iter().any(|c| c == column)),
            ("it finds existing rows", held.match_existing.iter().any(|c| c == column)),
            ("it is the watermark", held.watermark.as_ref().is_some_and(|w| w.column == column)),
            ("the filter names it", held.where_.as_deref().is_some_and(|text| mentions(text, column))),
        ];
        for (why, _) in beside.into_iter().filter(|(_, is)| *is) {
            self.push("mapping", &name, why.to_owned(), &file);
        }
        for integration in &self.project.integrations {
            if integration.systems().contains(&system) && integration.entities().contains(&entity) {
                self.integration(integration, format!("it moves `{entity}` and {}", role(integration, system)));
            }
        }
        // What the column fills goes on to other systems.
        for field in fields {
            self.field(entity, field);
        }
    }

    fn mapping(&mut self, system: &System, held: &SystemEntity, why: &str) {
        let place = held.read.first().or(held.write.first()).map(|rule| rule.origin.clone());
        let place = place.unwrap_or_else(|| format!("systems/{}.yaml", system.name));
        let name = format!("{}.{}", system.name, held.entity);
        self.push("mapping", &name, why.to_owned(), &place);
        if let Some(table) = &held.virtual_table {
            self.push("virtual table", table, format!("it shows `{}`", held.entity), &place);
        }
    }

    /// An integration, with what belongs to it.
    fn integration(&mut self, integration: &Integration, why: String) {
        let name = &integration.name;
        let what = if matches!(integration.pattern, Pattern::Flow(_)) { "flow" } else { "integration" };
        self.push(what, name, why, &integration.origin);
        if let Pattern::Virtual(shown) = &integration.pattern {
            let held = self.project.system(&shown.to).and_then(|system| system.entity(&shown.entity));
            if let Some(table) = held.and_then(|held| held.virtual_table.clone()) {
                self.push("virtual table", &table, format!("`{name}` answers it"), &integration.origin);
            }
        }
        if let Some(runbook) = &integration.runbook {
            self.push("runbook", name, format!("the team's notes on `{name}`"), runbook);
        }
        for decision in self.project.decisions.iter().filter(|decision| decision.integration.as_ref() == Some(name)) {
            let place = format!("decisions/{}.yaml", decision.name);
            self.push("decision", &decision.name, format!("why `{name}` is as it is"), &place);
        }
        for case in &self.project.tests {
            let (Happening::Run(of) | Happening::Event(of) | Happening::Start(of) | Happening::Query(of)) = &case.when;
            if of == name {
                self.push("test", &case.name, format!("it runs `{name}`"), &case.origin);
            }
        }
    }
}

fn role(integration: &Integration, system: &str) -> &'static str {
    match &integration.pattern {
        Pattern::Batch(batch) => match &batch.direction {
            Direction::OneWay { from, .. } if from == system => "reads from it",
            Direction::OneWay { .. } => "writes to it",
            Direction::TwoWay { .. } => "reads from it and writes to it",
        },
        Pattern::Event(event) if event.from == system => "takes its events",
        Pattern::Event(_) => "writes to it",
        Pattern::Virtual(shown) if shown.from == system => "asks it for every query",
        Pattern::Virtual(_) => "shows its rows there",
        Pattern::Flow(flow) if flow.in_ == system => "starts there",
        Pattern::Flow(_) => "writes to it",
    }
}

fn columns(held: &SystemEntity) -> Vec<String> {
    let mut columns: Vec<String> = held.columns.iter().map(|(name, _)| name.clone()).collect();
    columns.extend(held.read.iter().filter_map(|rule| match &rule.expr {
        Expr::Source(column) | Expr::Choice { source: column, .. } => Some(column.clone()),
        _ => None,
    }));
    for rule in &held.read {
        if let Expr::Formula(text) = &rule.expr {
            columns.extend(words(text).map(str::to_owned));
        }
    }
    columns.extend(held.write.iter().map(|rule| rule.target.clone()));
    columns.extend(held.alternate_key.iter().chain(&held.match_existing).cloned());
    columns.extend(held.watermark.iter().map(|watermark| watermark.column.to_string()));
    columns
}

/// Whether a line of a mapping is made of this: a column when reading, a field when writing.
pub fn uses(expr: &Expr, name: &str) -> bool {
    match expr {
        Expr::Source(source) | Expr::Choice { source, .. } => {
            source == name || source.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
        }
        Expr::Formula(text) => mentions(text, name),
        Expr::Lines(lines) => lines.of == name || lines.rules.iter().any(|rule: &Rule| uses(&rule.expr, name)),
        Expr::Constant(_) => false,
    }
}

/// The names in a formula: words that stand outside of texts and call nothing.
pub(crate) fn words(formula: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    // Every second piece stands in quotes, except in an interpolated text, whose braces hold names.
    let interpolates = formula.contains("$\"");
    let pieces = formula.split('"').enumerate().filter(move |(at, _)| interpolates || at % 2 == 0);
    pieces.flat_map(move |(_, piece)| {
        let starts = piece.char_indices().filter(move |(at, c)| {
            is_part(*c) && !c.is_ascii_digit() && !piece[..*at].chars().next_back().is_some_and(is_part)
        });
        starts.filter_map(move |(at, _)| {
            let rest = &piece[at..];
            let word = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
            (!rest[word.len()..].trim_start().starts_with('(')).then_some(word)
        })
    })
}

pub(crate) fn mentions(formula: &str, name: &str) -> bool {
    words(formula).any(|word| word == name)
}

fn writes(integration: &Integration, entity: &str) -> bool {
    let Pattern::Flow(flow) = &integration.pattern else { return false };
    let uses = |kind: &StepKind| match kind {
        StepKind::Write { entity: of, .. } | StepKind::Read { entity: of, .. } => of == entity,
        _ => false,
    };
    steps(&flow.steps).iter().any(|step| uses(&step.kind))
}

/// Every step, those within conditions too.
pub(crate) fn steps(of: &[Step]) -> Vec<&Step> {
    let mut all = Vec::new();
    for step in of {
        all.push(step);
        step.kind.lists().into_iter().for_each(|(_, list)| all.extend(steps(list)));
    }
    all
}

pub(crate) fn names_field(integration: &Integration, entity: &str, field: &str) -> bool {
    let own = integration.entities().contains(&entity);
    let given = |given: &Given| matches!(given, Given::Formula(text) if mentions(text, field));
    match &integration.pattern {
        Pattern::Event(event) => {
            own && (event.order_by.as_deref() == Some(field)
                || event.write_back.iter().any(|back| back == field)
                || event.trigger.if_.as_deref().is_some_and(|text| mentions(text, field)))
        }
        Pattern::Flow(flow) => steps(&flow.steps).iter().any(|step| match &step.kind {
            StepKind::If { condition, .. } => mentions(condition, field),
            StepKind::Set(set) => set.iter().any(|one| own && one.field == field || given(&one.value)),
            StepKind::Write { entity: of, set, .. } => {
                set.iter().any(|one| of == entity && one.field == field || given(&one.value))
            }
            StepKind::Approve(approval) => {
                let filled = approval.form.iter().filter_map(|field| field.default.as_ref());
                filled.into_iter().any(given)
                    || given(&approval.ask)
                    || approval.if_changed.iter().any(|name| name.rsplit('.').next() == Some(field))
            }
            StepKind::Notify { to, text } => given(to) || given(text),
            StepKind::Switch { value, .. } => mentions(value, field),
            StepKind::ForEach { field: list, .. } => own && list == field,
            StepKind::Read { key, .. } | StepKind::Child { key, .. } => key.iter().any(|key| mentions(key, field)),
            StepKind::WaitFor { condition, .. } | StepKind::DelayUntil(condition) => mentions(condition, field),
            StepKind::Terminate(why) => given(why),
            StepKind::Wait(_) | StepKind::Parallel(_) | StepKind::Scope { .. } => false,
        }),
        Pattern::Batch(_) | Pattern::Virtual(_) => false,
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::System(name) => write!(f, "the system {name}"),
            Subject::Entity(name) => write!(f, "the entity {name}"),
            Subject::Field { entity, field } => write!(f, "the field {entity}.{field}"),
            Subject::Column { system, entity, column } => write!(f, "the column {column} of {entity} in {system}"),
        }
    }
}

impl Touched {
    pub fn to_json(&self) -> Json {
        json!({ "what": self.what, "name": self.name, "why": self.why, "place": self.place })
    }
}
