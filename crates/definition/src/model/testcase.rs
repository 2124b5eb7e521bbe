//! The cases of `ironbridge test`.

use serde_json::Value as Json;

/// What the systems hold, what happens, and what must be true then.
///
/// *Shape*: rows are JSON as the file has them: numbers keep their text, dates are texts.
#[derive(Debug, Clone, PartialEq)]
pub struct TestCase {
    pub name: String,
    /// Rows by system and table.
    pub given: Vec<(String, String, Vec<Json>)>,
    pub when: Happening,
    pub changes: Vec<(String, String, Vec<Json>)>,
    pub answers: Vec<(String, Json)>,
    /// The time on the clock of the test.
    pub at: Option<String>,
    pub then: Vec<Expectation>,
    /// `tests/customers.yaml:2`.
    pub origin: String,
}

/// *Shape*: each names an integration.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    Run(String),
    Event(String),
    Start(String),
    Query(String),
}

pub use crate::expect::Expectation;
