//! Flows: low-volume work with a person in it.
//!
//! A [`program`] is one version of a definition as a list of steps, a [`state`] says how far an instance has come, and
//! [`decide`] says what comes next, which is pure. [`work`] does it: one commit holds the new state, the questions and
//! what is told to people; what a step writes outside is written before, and is not written twice.

pub mod decide;
mod intake;
pub mod links;
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

use std::collections::BTreeMap;

use definition::Standing;
use store::Store;
use store::flows::State as Stands;

/// How many instances of a flow stand at each step now.
///
/// *Errors*: our own state cannot be read.
pub fn standing(store: &Store, flow: &str) -> Result<BTreeMap<String, Standing>, store::Error> {
    let mut standing: BTreeMap<String, Standing> = BTreeMap::new();
    for (path, state, count) in store.flow_counts(flow)? {
        let one = standing.entry(path).or_default();
        *if state == Stands::Failed { &mut one.failed } else { &mut one.waiting } += count;
    }
    Ok(standing)
}
