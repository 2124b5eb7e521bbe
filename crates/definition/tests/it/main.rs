//! Everything that a project's files can say, right and wrong.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used)]

mod advise;
mod draft;
mod examples;
mod folder;
mod fuzz;
mod guide;
mod impact;
mod kinds;
mod messages;
mod mutation;
mod promote;
mod rules;
mod schema;
