//! Alerts and runbooks: what needs a person, who is told and how, and the page that says what to do about it.
//!
//! Facts are read functions of `store`; [`conditions`] says what holds at a moment and [`evaluate`] what changes
//! because of it, both pure. Opening an alert writes it and its notices into the durable queue in one commit; [`send`]
//! takes them from there. [`watch`] does it all day, on a thread of its own, so that what a run or the scheduler does
//! cannot hold it up.

mod act;
mod conditions;
mod coverage;
mod evaluate;
mod facts;
mod kind;
mod notice;
mod routes;
pub mod runbook;
mod send;
pub mod tell;
mod usual;
mod watch;
mod weekly;

pub use act::{acknowledge, can_be_silenced, end_silence, silence, stands};
pub(crate) use conditions::moment;
pub use conditions::{Condition, Rules, conditions};
pub use coverage::{Coverage, Ring, coverage};
pub use evaluate::{Change, Standing, Tell, evaluate};
pub use facts::{Backlog, Disk, Expiring, Facts, Gatherer, Hourly, Known, Machine, Stuck, stuck};
pub use kind::Kind;
pub use notice::{opened, resolved, test};
pub use routes::{Route, everyone, reached, routes_of, told_later, wanted};
pub(crate) use send::again;
pub use send::{NOTICES, Urgent, Ways, deliver_all, send};
pub use watch::{Pulse, Watcher, watch};
