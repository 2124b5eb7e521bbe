//! The connectors, against the real thing.

mod sqlite;
