//! How one system represents one entity: compiled once, applied to every row, explained to people.
//!
//! A mapping never goes from system to system. Reading turns columns into the hub's entity ([`ReadMapping`]); writing
//! turns the entity into columns ([`WriteMapping`]). Both check types before anything runs and answer with row faults
//! (`IB04xx`) when a value does not fit.
//!
//! It is not a place for IO or a clock: the same row gives the same result, today and tomorrow.

use std::collections::HashMap;
use std::sync::Arc;

use record::hash::RowHasher;
use record::{Code, Entity, EntityField, Type, Value, ValueRef};

pub mod columns;
mod condition;
pub mod content;
pub mod fit;
mod formula;
mod plain;
pub mod problem;
pub mod read;
pub mod rule;
pub mod write;

pub use columns::Columns;
pub use condition::{Condition, Expression};
pub use fit::Suits;
pub use formula::formula_type;
pub use plain::Plain;
pub use problem::{At, Problem};
pub use read::{Children, Read, ReadMapping, ReadPlan, Rejected, Use};
pub use rule::{Expr, Lines, Rule};
pub use write::{LineTable, Wanted, WriteMapping, WritePlan};

/// The entities of a project by name.
pub type Entities = HashMap<String, Arc<Entity>>;

/// Where the rows of each entity are found in one system, by entity.
pub type LookupKeys = HashMap<String, LookupKey>;

/// The alternate key of an entity's table in one system.
#[derive(Debug, Clone, PartialEq)]
pub struct LookupKey {
    pub table: Arc<str>,
    /// The field of the entity's key, and the column that holds it.
    pub columns: Vec<(Arc<str>, Arc<str>)>,
}

/// What one target got from one row: for `plan`, `formula --mapping` and dead letters.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    pub target: String,
    pub formula: String,
    /// `systems/finance.yaml:14`.
    pub origin: String,
    pub value: Result<Value, String>,
}

/// The lines of a field as an entity of their own, without a key.
pub fn lines_entity(entity: &Entity, field: &str) -> Option<Arc<Entity>> {
    let Type::Lines(schema) = &entity.field(field)?.ty else { return None };
    let line = |column: &record::Column| EntityField {
        name: column.name.clone(),
        ty: column.ty.clone(),
        required: false,
        personal: false,
        master: None,
        pattern: None,
        currency: None,
    };
    Some(Arc::new(Entity::new(field, Vec::new(), None, schema.columns().iter().map(line).collect())))
}

/// What a fault says of a personal value instead of showing it.
fn masked(code: &Code) -> String {
    match *code {
        fit::TEXT_TOO_LONG => "is too long (a personal field: its value is not shown)",
        fit::UNKNOWN_CHOICE => "has a value that the choice does not know (a personal field: its value is not shown)",
        _ => "has a value that does not fit (a personal field: its value is not shown)",
    }
    .to_owned()
}

/// A choice must cover every value of its field, and name no other.
fn choice_problems(rule: usize, field: &EntityField, names: &[(String, Value)]) -> Vec<Problem> {
    let problem = |message, help| Problem {
        at: At::Source(rule, None),
        code: problem::CHOICE_DOES_NOT_COVER,
        message,
        help: Some(help),
    };
    let Type::Choice { values } = &field.ty else {
        let message =
            format!("`{}` is {}, and only a choice can be mapped with `choice:`", field.name, field.ty.word());
        return vec![problem(message, "remove `choice:`, or make the field a choice in the entity".to_owned())];
    };
    let missing = values.iter().filter(|value| !names.iter().any(|(name, _)| name == *value)).map(|value| {
        problem(
            format!("the choice does not cover `{value}` of the field `{}`", field.name),
            format!("add `{value}: <the system's value>` to `choice:`"),
        )
    });
    let unknown = names.iter().filter(|(name, _)| !values.contains(name)).map(|(name, _)| {
        problem(
            format!("the field `{}` has no value `{name}` (it has {})", field.name, values.join(", ")),
            format!("remove `{name}` from `choice:`, or add it to the values of the field"),
        )
    });
    missing.chain(unknown).collect()
}

/// Changes when the entity, a rule or the filter does, and only then.
fn fingerprint(entity: &Entity, rules: &[Rule], filter: Option<&str>) -> u64 {
    let mut parts: Vec<String> = vec!["mapping/1".into(), entity.name.to_string(), entity.key.join(",")];
    for field in &entity.fields {
        parts.push(format!("{field:?}"));
    }
    for rule in rules {
        parts.push(rule.target.clone());
        parts.push(format!("{:?} {}", rule.expr, rule.only_on_create));
    }
    parts.push(filter.unwrap_or_default().to_owned());
    RowHasher::default().hash(parts.iter().map(|part| ValueRef::Text(part))) as u64
}
