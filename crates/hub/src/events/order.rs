//! Which events keep their order: those of one row, or those that share another field.

use std::fmt::Write;

use definition::{Event, SystemEntity};
use record::hash::RowHasher;
use record::{Entity, ValueRef};
use serde_json::Value as Json;
use store::queue::ID_BYTES_MAX;

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
