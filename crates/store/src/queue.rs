//! The durable queue: what must happen is a message here, until it has happened.
//!
//! A message is sent, received under a lock (peek-lock), and settled: completed, abandoned, dead-lettered or deferred.
//! Whoever does not settle in time loses the lock, and the message is delivered again with its delivery count raised;
//! at the maximum it becomes a dead letter. The semantics are those of Azure Service Bus.

mod due;
mod entity;
mod envelope;
mod message;
mod reads;
mod receive;
mod send;
mod settle;

pub use entity::{Counts, Settings};
pub use message::{Delivery, LockToken, Message, NewMessage, Property, Sent};

pub(crate) use due::{let_time_pass, next_due};
pub(crate) use entity::{Cache, Queue, add_to_count, dead_letter_queue, ensure};
pub(crate) use message::Place;
pub(crate) use receive::message;
pub(crate) use send::put_dead;

use std::time::Duration;

use crate::error::Fail;
use crate::op::OpResult;
use crate::tx::Tx;

/// What can be done with a queue. `queue` is always its path; a dead-letter queue is `<path>/$deadletterqueue`.
#[derive(Debug, Clone)]
pub enum Op {
    /// Makes a queue, or changes the settings of the one that is there. Its messages stay.
    Put { queue: String, settings: Settings },
    /// Removes a queue with everything in it. Answers how many messages that were.
    Remove { queue: String },
    /// Sends messages, all of them or none. Answers one [`Sent`] for each, in order.
    Send { queue: String, messages: Vec<NewMessage> },
    /// Locks up to `max` messages that are ready, oldest first. The lock lasts as long as the queue's settings say.
    Receive { queue: String, max: usize },
    /// Holds a lock for another full length from now. Answers until when.
    Renew { queue: String, token: LockToken },
    /// Done: these messages are gone. All locks must hold, or none is completed.
    Complete { queue: String, tokens: Vec<LockToken> },
    /// Gives a message back, to be delivered again at once or after a delay, with its delivery count raised.
    Abandon { queue: String, token: LockToken, delay: Option<Duration> },
    /// Gives up on a message: it moves to the dead-letter queue and into the list of dead letters.
    DeadLetter { queue: String, token: LockToken, problem: Problem },
}

/// Why something became a dead letter, in parts that a person can act on. Empty parts are not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    /// `IB0412`, or the reason that a program gave.
    pub code: String,
    /// What happened, in one sentence.
    pub what: String,
    /// Where: system, table, column, mapping line.
    pub place: String,
    /// The other side's own words.
    pub why: String,
    /// What to do.
    pub fix: String,
    /// All of it as JSON.
    pub detail: String,
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    match op {
        Op::Put { queue, settings } => entity::put(tx, queue, settings),
        Op::Remove { queue } => entity::remove(tx, queue),
        Op::Send { queue, messages } => send::send(tx, queue, messages),
        Op::Receive { queue, max } => receive::receive(tx, queue, *max),
        Op::Renew { queue, token } => settle::renew(tx, queue, *token),
        Op::Complete { queue, tokens } => settle::complete(tx, queue, tokens),
        Op::Abandon { queue, token, delay } => settle::abandon(tx, queue, *token, *delay),
        Op::DeadLetter { queue, token, problem } => settle::dead_letter(tx, queue, *token, problem),
    }
}

/// The most that one message may hold.
pub const BODY_BYTES_MAX: usize = 100 << 20;
/// The longest message id and session id.
pub const ID_BYTES_MAX: usize = 512;
