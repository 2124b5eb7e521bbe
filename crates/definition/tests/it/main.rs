//! Everything that a project's files can say, right and wrong.

mod examples;
mod kinds;
mod messages;
mod mutation;
