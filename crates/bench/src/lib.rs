//! Side-by-side benchmarks with other programs and libraries, in `benches/`; here is what several of them need.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

pub mod server;
