//! The console over its router, without a network: who gets in, who may do what, and what a page holds.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod browser;
mod doors;
mod kinds;
mod lists;
mod roles;
mod size;
mod support;
mod systems;
