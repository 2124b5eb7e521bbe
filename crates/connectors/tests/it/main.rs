//! The connectors, against the real thing.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod adopt;
mod conformance;
mod dataverse;
mod exact;
mod files;
mod full_disk;
mod grants;
mod ground;
mod lines;
mod memory;
mod moment;
mod mysql;
mod mysql_keys;
mod notify;
mod odata;
mod odd_names;
mod postgres;
mod rest;
mod sqlite;
mod watermarks;
mod web;
