//! Flows: low-volume work with a person in it.
//!
//! A [`program`] is one version of a definition as a list of steps, a [`state`] says how far an instance has come, and
//! [`decide`] says what comes next, which is pure. [`work`] does it: one commit holds the new state, the questions and
//! what is told to people; what a step writes outside is written before, and is not written twice.

mod call;
mod children;
pub mod decide;
pub mod form;
mod intake;
pub mod links;
pub mod people;
pub mod program;
mod record;
mod running;
mod shown;
pub mod state;
mod work;

pub use call::{Call, Calls};
pub use decide::decider;
pub use intake::{CALLED, prepare, queue};
pub use people::{Answer, Refused, answer, cancel, may_start, migrate, retry, skip, start, subject_of};
pub use running::{Flows, Running, fits, people_now};
pub use shown::{Kept, data, filled_in, form_of, kept};
pub use work::{TRIES, subject, work};

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
