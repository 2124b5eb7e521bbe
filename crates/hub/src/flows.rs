//! Flows: low-volume work with a person in it.
//!
//! A [`program`] is one version of a definition as a list of steps, a [`state`] says how far an instance has come, and
//! [`decide`] says what comes next, which is pure. [`work`] does it: one commit holds the new state, the questions and
//! what is told to people; what a step writes outside is written before, and is not written twice.

pub mod decide;
mod intake;
pub mod people;
pub mod program;
mod record;
mod running;
pub mod state;
mod work;

pub use intake::{CALLED, prepare, queue};
pub use people::{Refused, answer, cancel, migrate, retry, skip, start, subject_of};
pub use running::{Flows, Running, fits, people_now};
pub use work::{TRIES, work};
