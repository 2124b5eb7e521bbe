//! Which events keep their order: those of one row, or those that share another field.

use std::fmt::Write;
use std::sync::Arc;

use definition::{Event, Project, System, SystemEntity};
use mapping::{Columns, ReadMapping, ReadPlan, Rule};
use record::hash::RowHasher;
use record::{Batch, Entity, Key, Row, Schema, Type, Value, ValueRef};
use serde_json::Value as Json;
use store::queue::ID_BYTES_MAX;

use super::route::at;
use crate::json;

/// What the session of an event is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ordered {
    /// The row, by its id or its key.
    ByRow,
    /// The value of this column, which the event carries.
    By(String),
    /// All events of the integration, one after the other: the field is known only when the row was read.
    All,
}

impl Ordered {
    /// `signals`: the events only name their row.
    pub fn of(event: &Event, entity: &Entity, held: &SystemEntity, signals: bool) -> Ordered {
        let Some(field) = event.order_by.as_ref().filter(|field| entity.key != [(*field).clone()]) else {
            return Ordered::ByRow;
        };
        match held.column_of(field).filter(|_| !signals) {
            Some(column) => Ordered::By(column.to_owned()),
            None => Ordered::All,
        }
    }
}

/// What makes the key of a row that is posted as it is, where no columns are the key.
#[derive(Debug)]
pub struct MadeKey(ReadMapping);

impl MadeKey {
    /// Nothing where that cannot be told without the system itself.
    pub fn of(project: &Project, system: &System, held: &SystemEntity, entity: &Arc<Entity>) -> Option<MadeKey> {
        let rules: Vec<Rule> = held.read.iter().filter(|rule| entity.key.contains(&rule.target)).cloned().collect();
        let known = Schema::of(held.columns.iter().map(|(name, ty)| (name.as_str(), ty.clone())));
        let columns = if known.is_empty() { Columns::open() } else { Columns::closed(&known) };
        let (entities, zone) = (project.entities_by_name(), system.time_zone.clone());
        let (filter, lookups) = (None, None);
        let plan = ReadPlan { entity, rules: &rules, filter, columns: &columns, entities: &entities, lookups, zone };
        ReadMapping::compile(&plan).ok().map(MadeKey)
    }

    /// The key of a row; nothing where it cannot be made.
    pub fn key(&self, row: &Json) -> Option<Key> {
        let MadeKey(mapping) = self;
        let values = mapping.columns().iter().map(|column| at(row, column).map_or(Value::Blank, json::value));
        let schema = Schema::of(mapping.columns().iter().map(|name| (name.as_str(), Type::Unknown)));
        let row = Row::new(schema, values.collect());
        let batch = Batch::from_rows(row.schema().clone(), [&row]);
        mapping.key(batch.row(0), &mapping.bind(row.schema()).ok()?)
    }

    /// The session of a row; nothing where its key cannot be made.
    pub fn session(&self, row: &Json) -> Option<String> {
        let parts: Vec<Json> = self.key(row)?.parts().iter().map(json::of).collect();
        Some(session(&self.0.entity().name, &parts.iter().collect::<Vec<_>>()))
    }
}

/// The session of what shares these values, which are of a row's key, or of what else keeps an order. Values that are too
/// long for the name of a session are told apart by a hash.
pub fn session(entity: &str, values: &[&Json]) -> String {
    let mut session = entity.to_owned();
    for value in values {
        write!(session, "|{value}").expect("writing to a String does not fail");
    }
    match session.len() > ID_BYTES_MAX {
        true => format!("{entity}|{:032x}", RowHasher::default().hash([ValueRef::Text(&session)])),
        false => session,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_never_too_long_for_its_name() {
        assert_eq!(session("order", &[&7.into(), &"a".into()]), r#"order|7|"a""#);
        let long = |end: &str| session("order", &[&format!("{}{end}", "x".repeat(ID_BYTES_MAX)).into()]);
        assert!(long("a").len() <= ID_BYTES_MAX && long("a") == long("a") && long("a") != long("b"));
    }
}
