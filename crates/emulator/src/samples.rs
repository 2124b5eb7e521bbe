//! Source systems for the demo, filled with sample data that says so.

pub mod erp;
pub mod finance;
pub mod warehouse;
