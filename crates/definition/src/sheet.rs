//! Mapping sheets: what each system gives to an entity and gets from it, for its owner to read and sign.

use mapping::Expr;
use record::Entity;

use crate::model::Project;

/// One line of one mapping, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetLine {
    pub system: String,
    /// The table, where the system has tables.
    pub table: String,
    /// `read` or `write`.
    pub way: &'static str,
    pub from: String,
    /// `as it is`, `formula`, `choice: net30 = 30, …`, `fixed value`.
    pub how: String,
    pub to: String,
    /// The type of the field.
    pub ty: &'static str,
    /// `key`, `required`, `personal`, `owned by finance`.
    pub notes: String,
}

impl SheetLine {
    pub const HEADER: [&'static str; 8] = ["system", "table", "way", "from", "how", "to", "type", "notes"];

    /// In the order of [`SheetLine::HEADER`].
    pub fn cells(&self) -> [&str; 8] {
        [&self.system, &self.table, self.way, &self.from, &self.how, &self.to, self.ty, &self.notes]
    }
}

/// The sheet of an entity. *Shape*: by system, what is read before what is written, in the order of the file.
pub fn sheet(project: &Project, entity: &Entity) -> Vec<SheetLine> {
    let mut lines = Vec::new();
    for system in &project.systems {
        let Some(held) = system.entity(&entity.name) else { continue };
        let table = held.table.as_deref().or(held.virtual_table.as_deref()).unwrap_or_default();
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
            lines.push(SheetLine {
                system: system.name.clone(),
                table: table.to_owned(),
                way,
                from,
                how,
                to: rule.target.clone(),
                ty: field.map_or("", |field| field.ty.word()),
                notes: notes.join(", "),
            });
        }
    }
    lines
}

/// Where a value comes from, and what is done with it.
fn words(expr: &Expr) -> (String, String) {
    match expr {
        Expr::Source(name) => (name.clone(), "as it is".to_owned()),
        Expr::Constant(value) => (value.to_string(), "fixed value".to_owned()),
        Expr::Formula(text) => (text.clone(), "formula".to_owned()),
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
