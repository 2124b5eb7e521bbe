//! The hub with real stores and systems, by a clock that the test moves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod drill;
mod systems;
mod world;
