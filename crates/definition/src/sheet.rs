//! Mapping sheets: what each system gives to an entity and gets from it, for its owner to read and sign.

use std::collections::BTreeMap;

use mapping::Expr;
use record::Entity;
use serde_json::Value as Json;

use crate::impact::mentions;
use crate::model::{Project, System, SystemEntity};

mod in_words;

/// One line of one mapping, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetLine {
    pub system: String,
    /// The table, where the system has tables.
    pub table: String,
    /// `read` or `write`.
    pub way: &'static str,
    pub from: String,
    /// `as it is`, `company_name without spaces around it`, `choice: net30 = 30, …`, `fixed value`.
    pub how: String,
    pub to: String,
    /// The type of the field.
    pub ty: &'static str,
    /// `key`, `required`, `personal`, `owned by finance`.
    pub notes: String,
    /// Values that stand there, such as `(sample) Acme · Globex`; personal ones are masked, and where none is known it is empty.
    pub examples: String,
}

impl SheetLine {
    pub const HEADER: [&'static str; 9] = ["system", "table", "way", "from", "how", "to", "type", "notes", "examples"];

    /// In the order of [`SheetLine::HEADER`].
    pub fn cells(&self) -> [&str; 9] {
        [&self.system, &self.table, self.way, &self.from, &self.how, &self.to, self.ty, &self.notes, &self.examples]
    }
}

/// Rows of systems, as examples: by system and table. *Shape*: JSON objects with the columns by name or path.
pub type Examples = BTreeMap<(String, String), Vec<Json>>;

/// The rows that the project's own tests give to its systems.
pub fn examples(project: &Project) -> Examples {
    let mut found = Examples::new();
    for (system, table, rows) in project.tests.iter().flat_map(|test| &test.given) {
        found.entry((system.clone(), table.clone())).or_default().extend(rows.iter().cloned());
    }
    found
}

/// So many different values stand for all.
const EXAMPLES_MAX: usize = 3;
/// What stands in place of a personal value.
const MASK: &str = "•••";

/// The sheet of an entity. *Shape*: by system, what is read before what is written, in the order of the file.
pub fn sheet(project: &Project, entity: &Entity, examples: &Examples) -> Vec<SheetLine> {
    let mut lines = Vec::new();
    for system in &project.systems {
        let Some(held) = system.entity(&entity.name) else { continue };
        let table = held.table.as_deref().or(held.virtual_table.as_deref()).unwrap_or_default();
        let rows = examples.get(&(system.name.clone(), table.to_owned()));
        let rows = rows.or_else(|| examples.get(&(system.name.clone(), entity.name.to_string())));
        let read = held.read.iter().map(|rule| ("read", rule));
        for (way, rule) in read.chain(held.write.iter().map(|rule| ("write", rule))) {
            let (from, mut how) = words(&rule.expr);
            let field = entity.field(if way == "read" { &rule.target } else { &from });
            if rule.only_on_create {
                how.push_str(", only when the row is created");
            }
            let mut notes = Vec::new();
            if let Some(field) = field {
                let says = [
                    ("key", entity.key.iter().any(|key| **key == *field.name)),
                    ("required", field.required),
                    ("personal", field.personal),
                ];
                notes.extend(says.into_iter().filter(|(_, is)| *is).map(|(word, _)| word.to_owned()));
                notes.extend(field.master.iter().map(|master| format!("owned by {master}")));
            }
            let values = match (way, &rule.expr) {
                ("read", Expr::Source(column) | Expr::Choice { source: column, .. }) => values(rows, column),
                ("read", Expr::Formula(formula)) => of_formula(rows, formula),
                ("write", _) => values(rows, &rule.target),
                _ => Vec::new(),
            };
            let is_personal = is_personal(entity, held, way, rule);
            let examples = if is_personal && !values.is_empty() { MASK.to_owned() } else { values.join(" · ") };
            lines.push(SheetLine {
                system: system.name.clone(),
                table: table.to_owned(),
                way,
                from,
                how,
                to: rule.target.clone(),
                ty: field.map_or("", |field| field.ty.word()),
                notes: notes.join(", "),
                examples,
            });
        }
    }
    lines
}

/// What an owner signs beside the lines: rules that are broken knowingly, and why personal fields go where they go.
/// *Shape*: sentences; may be empty.
pub fn remarks(project: &Project, entity: &Entity) -> Vec<String> {
    let mut remarks = Vec::new();
    for (system, held) in project.systems.iter().filter_map(|system| Some((system, system.entity(&entity.name)?))) {
        let why = personal_because(project, system, held);
        remarks.extend(why.map(|why| format!("Personal fields go to {}: {why}", system.name)));
    }
    let concerns = |place: &str| {
        let file = place.split(':').next().unwrap_or_default();
        file == format!("entities/{}.yaml", entity.name)
            || project
                .systems
                .iter()
                .any(|system| system.entity(&entity.name).is_some() && file == format!("systems/{}.yaml", system.name))
            || project.integrations.iter().any(|integration| {
                integration.entities().contains(&&*entity.name) && integration.origin.starts_with(file)
            })
    };
    remarks.extend(project.accepted.iter().filter(|accepted| concerns(&accepted.place)).map(ToString::to_string));
    remarks
}

fn personal_because(project: &Project, system: &System, held: &SystemEntity) -> Option<String> {
    let shown = project.shown.iter().find(|shown| shown.name == system.name && shown.group.says("system"))?;
    let entry = shown.group.named("entities").iter().find(|entry| *entry.name == *held.entity)?;
    entry.value.group()?.text("personal_because").map(str::to_owned)
}

/// A value that comes from a personal field, or goes into one.
fn is_personal(entity: &Entity, held: &SystemEntity, way: &str, rule: &mapping::Rule) -> bool {
    let personal = |name: &str| entity.field(name).is_some_and(|field| field.personal);
    let uses = |expr: &Expr, name: &str| match expr {
        Expr::Source(source) | Expr::Choice { source, .. } => source == name,
        Expr::Formula(text) => mentions(text, name),
        Expr::Constant(_) | Expr::Lines(_) => false,
    };
    if way == "write" {
        let of_field = entity.fields.iter().any(|field| field.personal && uses(&rule.expr, &field.name));
        // The column may be read into a personal field by another line.
        return of_field || held.read.iter().any(|read| personal(&read.target) && uses(&read.expr, &rule.target));
    }
    let columns: Vec<&str> = held
        .read
        .iter()
        .filter(|read| personal(&read.target))
        .filter_map(|read| match &read.expr {
            Expr::Source(column) | Expr::Choice { source: column, .. } => Some(column.as_str()),
            _ => None,
        })
        .collect();
    let in_formula = |column: &str| {
        held.read
            .iter()
            .any(|read| personal(&read.target) && matches!(&read.expr, Expr::Formula(text) if mentions(text, column)))
    };
    personal(&rule.target)
        || match &rule.expr {
            Expr::Source(column) | Expr::Choice { source: column, .. } => {
                columns.contains(&column.as_str()) || in_formula(column)
            }
            Expr::Formula(text) => {
                columns.iter().any(|column| mentions(text, column)) || crate::impact::words(text).any(in_formula)
            }
            Expr::Constant(_) | Expr::Lines(_) => false,
        }
}

/// Different values of a column, in the order of the rows.
fn values(rows: Option<&Vec<Json>>, column: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for row in rows.into_iter().flatten() {
        let by_path = || column.split('.').try_fold(row, |at, part| at.get(part));
        let value = match row.get(column).or_else(by_path) {
            Some(Json::String(text)) if !text.trim().is_empty() => text.trim().to_owned(),
            Some(value @ (Json::Number(_) | Json::Bool(_))) => value.to_string(),
            _ => continue,
        };
        if !found.contains(&value) {
            found.push(value);
        }
        if found.len() == EXAMPLES_MAX {
            break;
        }
    }
    found
}

/// The values of the columns that a formula names.
fn of_formula(rows: Option<&Vec<Json>>, formula: &str) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    for name in crate::impact::words(formula) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let found = names.iter().map(|name| values(rows, name)).filter(|values| !values.is_empty());
    found.map(|values| values[0].clone()).take(EXAMPLES_MAX).collect()
}

/// Where a value comes from, and what is done with it.
fn words(expr: &Expr) -> (String, String) {
    match expr {
        Expr::Source(name) => (name.clone(), "as it is".to_owned()),
        Expr::Constant(value) => (value.to_string(), "fixed value".to_owned()),
        Expr::Formula(text) => {
            let mut names: Vec<&str> = Vec::new();
            crate::impact::words(text).for_each(|name| {
                if !names.contains(&name) {
                    names.push(name);
                }
            });
            (names.join(", "), in_words::in_words(text))
        }
        Expr::Choice { source, names } => {
            let names: Vec<String> = names.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            (source.clone(), format!("choice: {}", names.join(", ")))
        }
        Expr::Lines(lines) => {
            let inner: Vec<String> =
                lines.rules.iter().map(|rule| format!("{} from {}", rule.target, rule.expr.text())).collect();
            (lines.of.clone(), format!("one by one: {}", inner.join(", ")))
        }
    }
}
