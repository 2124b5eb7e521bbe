//! One module for each page.

pub mod account;
pub mod advise;
pub mod alerts;
pub mod approvals;
pub mod audit;
pub mod dead_letters;
pub mod explain;
pub mod flows;
pub mod integration;
pub mod integrations;
pub mod overview;
pub mod runbook;
pub mod runs;
pub mod signing;
pub mod systems;
pub mod trace;
pub mod users;
