//! The Dataverse Web API, as a client that survives what the service really does.
//!
//! An [`Environment`] is a [`record::System`]: rows are written by alternate key in batches with one outcome for each
//! row, read by change tracking, and compared with what is there. It obeys `Retry-After`, keeps to a bounded number of
//! requests at a time, and says for each failure whether something may have happened.
//!
//! It is not a mapping (values come in the table's own columns), and it keeps nothing on disk.
//!
//! ```
//! use dataverse::{Config, Environment};
//!
//! let mut config = Config::new("http://127.0.0.1:7800");
//! config.token = Some(record::Secret::new("local"));
//! let environment = Environment::new("dynamics", config);
//! ```

mod address;
mod automation;
mod body;
mod client;
mod collation;
mod columns;
mod config;
mod context;
mod currency;
mod environment;
mod json;
mod keys;
mod lines;
mod publish;
mod refusal;
mod register;
mod rights;
mod rows;
mod sink;
mod source;
mod table;
mod token;
mod value;

pub use config::Config;
pub use environment::Environment;
