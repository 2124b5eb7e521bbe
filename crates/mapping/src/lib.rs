//! How one system represents one entity: compiled once, applied to every row, explained to people.
//!
//! A mapping never goes from system to system. Reading turns columns into the hub's entity ([`ReadMapping`]); writing
//! turns the entity into columns ([`WriteMapping`]). Both check types before anything runs and answer with row faults
//! (`IB04xx`) when a value does not fit.
//!
//! It is not a place for IO or a clock: the same row gives the same result, today and tomorrow.

pub mod rule;

pub use rule::{Expr, Lines, Rule};
