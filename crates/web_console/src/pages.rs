//! One module for each page.

pub mod account;
pub mod approvals;
pub mod dead_letters;
pub mod explain;
pub mod integration;
pub mod integrations;
pub mod overview;
pub mod runs;
pub mod signing;
pub mod systems;
pub mod trace;
pub mod users;
