//! A user's query of a virtual table becomes one query of the source, and its rows an answer. Nothing is stored.
//!
//! [`Exposed`] says what a virtual integration shows: properties, the key as a GUID, references to other tables.
//! [`Table`] answers an [`Ask`]: what the source can decide is handed to it ([`record::query`]), formulas of the mapping
//! are turned around where they can be, and what is left is evaluated over a bounded number of rows, or refused.
//!
//! It is not a server and speaks no OData; it never touches the hub's state, so that it works when the rest is ill.

mod ask;
pub mod codes;
mod compiled;
mod exposed;
mod guard;
mod invert;
mod refused;
mod table;
mod where_;

pub use ask::{Ask, Page, Position};
pub use exposed::{Exposed, Navigation, Of, Property, exposed};
pub use guard::Turns;
pub use refused::Refused;
pub use table::{OpenSystem, Table, fits, lookup};
