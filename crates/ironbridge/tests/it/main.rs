//! The whole product, run as a user would: the binary, a local Dynamics, a real finance database.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod adopt;
mod approvals;
mod backfill;
mod bad_days;
mod care;
mod cases;
mod chaos;
mod deadlines;
mod design;
mod drift;
mod drill;
mod events;
mod examples;
mod files;
mod flows;
mod gone;
mod kills;
mod late;
mod lines;
mod mysql;
mod personal;
mod plans;
mod postgres;
mod prices;
mod reading;
mod references;
mod renumbered;
mod second_run;
mod signals;
mod stage;
mod state;
mod support;
mod swap;
mod sweeps;
mod tidy;
mod trace;
mod two_way;
mod two_way_chaos;
mod two_way_consent;
mod two_way_servers;
mod values;
mod virtual_tables;
mod walk;
mod webhooks;
