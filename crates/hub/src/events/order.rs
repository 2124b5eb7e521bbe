//! Which events keep their order: those of one row, or those that share another field.

use definition::{Event, SystemEntity};
use record::Entity;

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
