//! The durable state of the hub, in one SQLite file.
//!
//! | module | holds | ask with |
//! |---|---|---|
//! | [`leases`] | who may write for a name, proved by an epoch | [`Store::lease`] |
//! | [`runs`] | executions of batch integrations, their counts and ends | [`Store::run`], [`Store::runs`], [`Store::last_run`], [`Store::last_runs`] |
//! | [`cursors`] | how far each stream was read | [`Store::cursor`], [`Store::cursors`] |
//! | [`ledger`] | what each key looked like when it was last settled | [`Store::ledger_get`], [`Store::ledger_scan`], [`Store::ledger_totals`] |
//! | [`agreements`] | what two sides were when they last agreed | [`Store::agreements`], [`Store::agreements_pending`], [`Store::agreements_scan`] |
//! | [`dead_letters`] | what was given up on, for people | [`Store::dead_letters`], [`Store::dead_letters_like`], [`Store::dead_letter_message`], [`Store::dead_letters_waiting`], [`Store::dead_letter_groups`], [`Store::dead_letters_unreviewed`] |
//! | [`retries`] | retries of many dead letters, and what became of each | [`Store::retry_jobs`], [`Store::retry_job`], [`Store::retry_items`] |
//! | [`audit`] | what people did, in a chain of hashes | [`Store::audit`], [`Store::audit_verify`] |
//! | [`definitions`] | the definition that the hub worked with last | [`Store::definition_seen`] |
//! | [`approvals`] | questions to people, and what they decided | [`Store::approval`], [`Store::approval_of`], [`Store::approvals`] |
//! | [`alerts`] | conditions that need a person, and who was told | [`Store::open_alerts`], [`Store::past_alerts`], [`Store::alert`], [`Store::alert_notices`], [`Store::silences`], [`Store::alert_routes`], [`Store::traffic`] |
//! | [`deadlines`] | when results are needed, and what is late | [`Store::deadlines`], [`Store::late_deadlines`] |
//! | [`flows`] | instances of flows, their versions and steps | [`Store::flow_instance`], [`Store::flow_instances`], [`Store::flow_due`], [`Store::flow_versions`] |
//! | [`journal`] | what happened to each record, bounded | [`Store::journal_of`], [`Store::journal_after`] |
//! | [`users`] | who may use the web console, and who is signed in | [`Store::users`], [`Store::user`], [`Store::session`] |
//! | [`lists`] | runs and dead letters as people look through them | [`Store::run_page`], [`Store::dead_letter_page`], [`Store::run_hours`] |
//! | [`queue`] | messages, from sent to settled | [`Store::queues`], [`Store::queue_counts`], [`Store::queue_settings`], [`Store::peek`], [`Store::sessions`], [`Store::oldest_ready`] |
//!
//! Everything is changed by [`Store::commit`], which takes operations as plain data and applies all of them or none.
//! Each has its preconditions: a lease's epoch, a lock's token, the state that somebody saw. Many commits share one
//! sync; each is answered after it is on disk. Every question has one read function, and none of them waits for a writer.
//!
//! Time passes with each commit: locks run out, delays end and messages expire before the first operation sees the queue.
//! Whoever waits for work waits on [`Store::watch`], which also wakes when something becomes due, and looks at
//! [`Store::data_version`] now and then for what other processes did. Crashes are made with [`Failpoints`].
//!
//! Several processes may open the same folder at once; one of them may be its `up` ([`Store::lock_up`]).
//!
//! It is not a cache: nothing here is true in memory only. It is not an engine: it decides nothing, calls nobody, and
//! does not know what a message or a row means. Nobody else names its tables.
//!
//! ```
//! use std::time::Duration;
//! use store::{OpResult, Options, Store, cursors, leases, queue, runs};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let store = Store::open(dir.path(), Options::default())?;
//!
//! let take = leases::Op::Take { name: "customers".into(), holder: "up/1".into(), length: Duration::from_secs(60) };
//! let start = runs::Op::Start { integration: "customers".into(), trigger: runs::Trigger::Command, slot: None, retry_of: None };
//! let results = store.commit_blocking(vec![take.into(), start.into()])?;
//! let [OpResult::Lease(lease), OpResult::Run(run)] = &results[..] else { panic!("{results:?}") };
//!
//! // A chunk: everything that belongs together, refused as a whole once the lease is lost.
//! store.commit_blocking(vec![
//!     lease.fence(),
//!     runs::Op::Progress { run: *run, more: runs::Counts { read: 2, created: 2, ..Default::default() } }.into(),
//!     cursors::Op::Set {
//!         integration: "customers".into(),
//!         stream: "customers".into(),
//!         position: "2026-11-23T10:00:00Z".into(),
//!         fingerprint: "a1".into(),
//!     }
//!     .into(),
//! ])?;
//! assert_eq!(store.run(*run)?.expect("it was started").counts.created, 2);
//! # Ok(())
//! # }
//! ```

pub mod agreements;
pub mod alerts;
pub mod approvals;
pub mod audit;
pub mod away;
mod checkpointer;
mod core;
pub mod cursors;
pub mod dead_letters;
pub mod deadlines;
pub mod definitions;
mod error;
mod failpoints;
mod file;
pub mod flows;
pub mod forget;
mod guid;
pub mod journal;
pub mod leases;
pub mod ledger;
pub mod lists;
mod lock;
pub mod looks;
mod op;
pub mod outages;
pub mod pauses;
pub mod queue;
pub mod retries;
mod room;
pub mod runs;
pub mod secrets;
mod store;
mod time;
mod tx;
pub mod unheard;
pub mod users;
mod words;
mod writer;

pub use error::{Error, Refusal};
pub use failpoints::{Failpoints, Injected, NotAFailpoint};
pub use lock::{UpLock, up_since};
pub use op::{Op, OpResult};
pub use store::{HandedIn, Options, Store};
pub use time::Clock;
