//! The connectors, against the real thing.

mod dataverse;
mod sqlite;
