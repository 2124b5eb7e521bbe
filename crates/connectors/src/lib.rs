//! One folder for each kind of system that the hub can reach.
//!
//! A connector implements the traits of [`record::outside`] and knows nothing of schedules, queues or the hub's store:
//! it cannot know why it is called. [`registry`] lists them all; [`conformance`] holds each of them
//! to the same behaviour.
//!
//! It is not a mapping: values leave and arrive as the system has them, in the system's own columns.
//!
//! ```
//! let names: Vec<&str> = connectors::registry::kinds().map(|kind| kind.name).collect();
//! assert!(names.contains(&"sqlite"));
//! ```

pub mod conformance;
pub mod dataverse;
pub mod files;
pub(crate) mod folder;
pub(crate) mod http;
pub mod mysql;
pub mod notify;
pub mod odata;
pub mod postgres;
pub mod reference;
pub mod registry;
pub mod rest;
pub(crate) mod sql;
pub mod sqlite;
pub mod sqlserver;
