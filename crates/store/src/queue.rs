//! The durable queue: what must happen is a message here, until it has happened.
//!
//! A message is sent, received under a lock (peek-lock), and settled: completed, abandoned, dead-lettered or deferred.
//! Whoever does not settle in time loses the lock, and the message is delivered again with its delivery count raised;
//! at the maximum it becomes a dead letter. The semantics are those of Azure Service Bus.

mod due;
mod entity;
mod envelope;
mod filing;
mod filter;
mod forget;
mod message;
mod place;
mod reads;
mod receive;
mod send;
mod sessions;
mod settle;
mod sql;
mod topics;

pub use entity::{Counts, Settings};
pub use filter::Filter;
pub use message::{Delivery, LockToken, Message, NewMessage, Peeked, Place, Property, Sent, Session, SessionToken};
pub use sql::{Condition, NotACondition};
pub use topics::Rule;

pub(crate) use due::{CLOCK_STEP, follow_clock, let_time_pass, next_due};
#[cfg(test)]
pub(crate) use entity::counts;
pub(crate) use entity::{Cache, Queue, add_to_count, dead_letter_queue, ensure};
pub(crate) use forget::forget;
pub(crate) use place::{enter, find, leave};
pub(crate) use receive::body;
pub(crate) use send::{dead_head, put_dead};

use std::time::Duration;

use record::Key;

use crate::error::Fail;
use crate::op::OpResult;
use crate::tx::Tx;

/// What can be done with a queue. `queue` is always its path, without regard to case. A subscription is
/// `<topic>/subscriptions/<name>`; the dead-letter queue of either is `<path>/$deadletterqueue`.
#[derive(Debug, Clone)]
pub enum Op {
    /// Makes a queue, or changes the settings of the one that is there. Its messages stay; when it forwards from now on,
    /// what is ready in it goes first.
    Put { queue: String, settings: Settings },
    /// Makes a topic, or changes its settings.
    PutTopic { topic: String, settings: Settings },
    /// Makes a subscription of a topic, or changes its settings, and gives it these rules instead of those it had.
    PutSubscription { topic: String, name: String, settings: Settings, rules: Vec<Rule> },
    /// Removes a queue, topic or subscription with everything in it. Answers how many messages that were.
    Remove { queue: String },
    /// Drops up to `max` messages that nobody holds, oldest first. Answers how many. Not for dead letters, which are
    /// discarded one by one.
    Purge { queue: String, max: usize },

    /// Sends messages to a queue or topic, all of them or none. Answers one [`Sent`] for each, in order.
    Send { queue: String, messages: Vec<NewMessage> },
    /// Takes back a scheduled message by the number that its sending answered.
    Cancel { queue: String, seq: i64 },

    /// Locks up to `max` messages that are ready, oldest first. The lock lasts as long as the queue's settings say.
    Receive { queue: String, max: usize },
    /// Locks messages that were put aside, all of them or none; in a session, by its holder only.
    ReceiveDeferred { queue: String, session: Option<SessionToken>, seqs: Vec<i64> },

    /// Holds a session: the named one, or the one whose message has waited longest. Answers `None` when no session has
    /// a message to give; refused when the named one is held by somebody.
    AcceptSession { queue: String, session: Option<String> },
    /// Locks the next messages of a session, in order. Nothing while one of them waits after an abandonment with delay.
    ReceiveInSession { queue: String, session: SessionToken, max: usize },
    /// Holds a session for another full length from now, and with it the messages locked in it. Answers until when.
    RenewSession { queue: String, session: SessionToken },
    /// Notes something with a session, for its next holders; `None` forgets it.
    SetSessionState { queue: String, session: SessionToken, state: Option<Vec<u8>> },
    /// Puts what was deferred in a session back, each message into its place. Answers how many there were.
    PutBack { queue: String, session: SessionToken },
    /// Gives a session back. What is still locked in it goes back to its place, without counting as a delivery.
    ReleaseSession { queue: String, session: SessionToken },

    /// Holds a lock for another full length from now. Answers until when.
    Renew { queue: String, token: LockToken },
    /// Done: these messages are gone. All locks must hold, or none is completed.
    Complete { queue: String, tokens: Vec<LockToken> },
    /// Gives a message back, to be delivered again at once or after a delay, with its delivery count raised. In a
    /// session the delay holds back the messages behind it.
    Abandon { queue: String, token: LockToken, delay: Option<Duration> },
    /// Ends the delays of messages that were abandoned with one: what they waited for is there. Messages that do not wait
    /// are passed over. Answers how many did.
    Wake { queue: String, seqs: Vec<i64> },
    /// Ends every lock in a queue without sessions, without counting: for the only receiver that a queue has, when it begins
    /// anew and what an earlier one held is nobody's. Answers how many there were.
    TakeBack { queue: String },
    /// Puts a message aside, to be received only by its sequence number.
    Defer { queue: String, token: LockToken },
    /// Gives up on a message: it moves to the dead-letter queue and into the list of dead letters, under this key where
    /// the message itself names none.
    DeadLetter { queue: String, token: LockToken, key: Option<Key>, problem: Problem },
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
        Op::Put { queue, settings } => entity::put(tx, queue, settings, entity::Kind::Queue, None),
        Op::PutTopic { topic, settings } => topics::put_topic(tx, topic, settings),
        Op::PutSubscription { topic, name, settings, rules } => {
            topics::put_subscription(tx, topic, name, settings, rules)
        }
        Op::Remove { queue } => entity::remove(tx, queue),
        Op::Purge { queue, max } => settle::purge(tx, queue, *max),
        Op::Send { queue, messages } => send::send(tx, queue, messages),
        Op::Cancel { queue, seq } => send::cancel(tx, queue, *seq),
        Op::Receive { queue, max } => receive::receive(tx, queue, *max),
        Op::ReceiveDeferred { queue, session, seqs } => receive::receive_deferred(tx, queue, *session, seqs),
        Op::AcceptSession { queue, session } => sessions::accept(tx, queue, session.as_deref()),
        Op::ReceiveInSession { queue, session, max } => receive::receive_in_session(tx, queue, *session, *max),
        Op::RenewSession { queue, session } => sessions::renew(tx, queue, *session),
        Op::SetSessionState { queue, session, state } => sessions::set_state(tx, queue, *session, state.as_deref()),
        Op::PutBack { queue, session } => sessions::put_back(tx, queue, *session),
        Op::ReleaseSession { queue, session } => sessions::release(tx, queue, *session),
        Op::Renew { queue, token } => settle::renew(tx, queue, *token),
        Op::Complete { queue, tokens } => settle::complete(tx, queue, tokens),
        Op::Abandon { queue, token, delay } => settle::abandon(tx, queue, *token, *delay),
        Op::TakeBack { queue } => settle::take_back(tx, queue),
        Op::Wake { queue, seqs } => settle::wake(tx, queue, seqs),
        Op::Defer { queue, token } => settle::defer(tx, queue, *token),
        Op::DeadLetter { queue, token, key, problem } => settle::dead_letter(tx, queue, *token, key.as_ref(), problem),
    }
}

/// The most that one message may hold.
pub const BODY_BYTES_MAX: usize = 100 << 20;
/// The longest message id and session id.
pub const ID_BYTES_MAX: usize = 512;
