//! What the store promises, seen from outside.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

mod agreements;
mod approvals;
mod care;
mod crashes;
mod day;
mod dead_letters;
mod files;
mod filing;
mod flows;
mod full_disk;
mod journal;
mod ledger;
mod looks;
mod messages;
mod model;
mod routes;
mod runs;
mod support;
mod unheard;
mod users;
