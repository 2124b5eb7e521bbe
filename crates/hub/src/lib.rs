//! Runs integrations: what is due, what a run does, what becomes of rows that cannot be written.
//!
//! Decisions are pure functions over values; the outside world is seen through the traits of `record`, and everything
//! that must survive a crash goes through `store`. A batch run is: read what changed, leave out what the ledger says is
//! unchanged, map the rest, write it by alternate key, and commit position + ledger + counts + rejected rows together.
//!
//! It is not a connector and knows none: no HTTP, no SQL, no driver.

mod adopt;
pub mod batch;
pub mod calendar;
pub mod codes;
pub mod compile;
pub mod consent;
pub mod deadline;
pub mod decide;
pub mod digest;
mod error;
pub mod events;
pub mod flows;
mod foreseen;
mod gone;
mod health;
pub mod json;
mod known;
pub mod letters;
mod lines;
pub mod looks;
pub mod mask;
pub mod money;
pub mod operations;
mod outage;
pub mod pair;
mod parents;
pub mod patience;
mod place;
pub mod plan;
pub mod pulse;
mod reject;
mod renumber;
pub mod retries;
pub mod retyped;
pub mod schedule;
mod slots;
mod sort;
mod story;
mod try_row;
mod twins;
pub mod two_way;
pub mod unheard;
pub mod upkeep;
mod watch;
mod window;
pub mod worker;

pub use batch::{Job, Report, Start, StopAfter, left_behind, run};
pub use compile::{Systems, compile};
pub use consent::{Asks, Consent, When};
pub use error::Error;
pub use gone::{Gone, Limits};
pub use health::{PATIENCE, health, silent, standing};
pub use lines::LineSource;
pub use pair::Pair;
pub use plan::{Plan, PlannedEffect, PlannedRow, Saved, SavedRow, plan};
pub use story::{Story, story, typed};
pub use try_row::try_row;
pub use watch::{Log, Note, Watch};
pub use window::Window;
