//! Putting messages into a queue, directly, by a topic, or by forwarding.

use super::entity::{self, Kind, Queue};
use super::message::{Message, NewMessage, Place, Sent};
use super::place::{self, Head};
use super::sessions::Joined;
use super::{BODY_BYTES_MAX, ID_BYTES_MAX, Problem, envelope, receive, sessions, settle, topics};
use crate::error::{Fail, Refusal};
use crate::op::OpResult;
use crate::time::{Ms, duration_ms, to_ms};
use crate::tx::Tx;

/// A message is forwarded so often, and then it is a dead letter where it is.
const HOPS_MAX: u32 = 4;

pub(crate) fn send(tx: &mut Tx<'_>, path: &str, messages: &[NewMessage]) -> Result<OpResult, Fail> {
    let queue = entity::find(tx, path)?;
    let refuse = |reason| Err(Refusal::QueueUse { path: path.to_owned(), reason }.into());
    match queue.kind {
        Kind::DeadLetters => return refuse("a dead-letter queue: messages only get there by being given up on"),
        Kind::Subscription => return refuse("a subscription: send to its topic"),
        Kind::Queue | Kind::Topic => {}
    }
    // Everything is checked before anything is written, so that a send is done as a whole or not at all.
    for NewMessage { message, .. } in messages {
        check_size("the body of a message", message.body.len(), BODY_BYTES_MAX)?;
        check_id("the id of a message", &message.id)?;
        check_id("the session of a message", message.session.as_deref().unwrap_or_default())?;
        if queue.sessions && message.session.is_none() {
            return refuse("a queue with sessions, and the message names none");
        }
    }
    let mut sent = Vec::with_capacity(messages.len());
    for new in messages {
        if is_duplicate(tx, &queue, &new.message.id)? {
            sent.push(Sent::Duplicate);
            continue;
        }
        let at = new.at.map(to_ms).filter(|&at| at > tx.now);
        let seq = tx.next_seq();
        let parcel = Parcel { message: &new.message, seq, first_seq: seq, ttl: new.ttl.map(duration_ms), hops: 0 };
        match at {
            Some(at) => schedule(tx, &queue, &parcel, at)?,
            None => arrive(tx, &queue, parcel)?,
        }
        sent.push(Sent::Accepted(seq));
    }
    Ok(OpResult::Sent(sent))
}

/// A message on its way into a queue, under the number that it gets there if it stays.
#[derive(Clone, Copy)]
pub(crate) struct Parcel<'m> {
    pub message: &'m Message,
    pub seq: i64,
    pub first_seq: i64,
    pub ttl: Option<Ms>,
    pub hops: u32,
}

/// A message reaches a queue now: it stays, fans out to subscriptions, or goes on to where the queue forwards.
pub(crate) fn arrive(tx: &mut Tx<'_>, queue: &Queue, parcel: Parcel<'_>) -> rusqlite::Result<()> {
    let ttl = [parcel.ttl, queue.ttl_ms].into_iter().flatten().min();
    let parcel = Parcel { ttl, ..parcel };
    if queue.kind == Kind::Topic {
        return topics::fan_out(tx, queue, parcel);
    }
    if let Some(target) = &queue.forward_to {
        if parcel.hops >= HOPS_MAX {
            let code = "MaxTransferHopCountExceeded";
            return stranded(tx, queue, parcel, code, format!("The message was forwarded {HOPS_MAX} times already."));
        }
        if forward(tx, target, Parcel { hops: parcel.hops + 1, ..parcel })? {
            return Ok(());
        }
        let what = format!("`{}` forwards to `{target}`, which cannot take the message.", queue.path);
        return stranded(tx, queue, parcel, "ForwardingFailed", what);
    }
    if queue.sessions && parcel.message.session.is_none() {
        return stranded(
            tx,
            queue,
            parcel,
            "Session ID is null",
            "The queue has sessions, the message has none.".into(),
        );
    }
    stay(tx, queue, &parcel).map(drop)
}

/// Sends a message on to a path, where it gets a number of its own. `false`: there is no queue or topic there that takes messages.
pub(crate) fn forward(tx: &mut Tx<'_>, path: &str, parcel: Parcel<'_>) -> rusqlite::Result<bool> {
    let target = match entity::find(tx, path) {
        Ok(target) if matches!(target.kind, Kind::Queue | Kind::Topic) => target,
        Ok(_) | Err(Fail::Refused(_)) => return Ok(false),
        Err(Fail::Sql(error)) => return Err(error),
    };
    if !is_duplicate(tx, &target, &parcel.message.id)? {
        let seq = tx.next_seq();
        arrive(tx, &target, Parcel { seq, ..parcel })?;
    }
    Ok(true)
}

/// A message leaves a queue for where that forwards to.
pub(crate) fn go_on(tx: &mut Tx<'_>, queue: &Queue, head: &Head) -> rusqlite::Result<()> {
    let (message, first_seq) = receive::body(tx.conn, head.seq)?;
    place::leave(tx, head)?;
    drop_body(tx, head.seq)?;
    let ttl = head.expires.map(|expires| (expires - tx.now).max(0));
    arrive(tx, queue, Parcel { message: &message, seq: head.seq, first_seq, ttl, hops: 0 })
}

pub(crate) fn cancel(tx: &mut Tx<'_>, path: &str, seq: i64) -> Result<OpResult, Fail> {
    let queue = entity::find(tx, path)?;
    match place::find(tx, queue.id, seq)? {
        Some(head) if head.place == Place::Scheduled => {
            place::leave(tx, &head)?;
            drop_body(tx, seq)?;
            Ok(OpResult::Done)
        }
        _ => Err(Refusal::NoMessage { path: queue.path.clone(), seq }.into()),
    }
}

/// The time of a scheduled message has come: it arrives under a new number, as if it were sent now.
pub(crate) fn activate(tx: &mut Tx<'_>, queue: &Queue, head: &Head) -> rusqlite::Result<()> {
    let (message, first_seq) = receive::body(tx.conn, head.seq)?;
    place::leave(tx, head)?;
    drop_body(tx, head.seq)?;
    let (at, now) = (head.enqueued, tx.now);
    let seq = tx.next_seq();
    let ttl = head.expires.map(|expires| expires - at);
    // Enqueued at the scheduled time, also when the hub was not there to see it.
    tx.now = at.min(now);
    let arrived = arrive(tx, queue, Parcel { message: &message, seq, first_seq, ttl, hops: 0 });
    tx.now = now;
    arrived
}

fn schedule(tx: &mut Tx<'_>, queue: &Queue, parcel: &Parcel<'_>, at: Ms) -> rusqlite::Result<()> {
    let expires = [parcel.ttl, queue.ttl_ms].into_iter().flatten().min().map(|ttl| at + ttl);
    let session = session_of(tx, queue, parcel.message, None)?.map(|session| session.id);
    let head = Head {
        queue: queue.id,
        seq: parcel.seq,
        place: Place::Scheduled,
        deliveries: 0,
        locks: 0,
        enqueued: at,
        due: Some(at),
        expires,
        session,
    };
    place::enter(tx, &head)?;
    put_body(tx, parcel.seq, parcel.first_seq, parcel.message)
}

fn stay(tx: &mut Tx<'_>, queue: &Queue, parcel: &Parcel<'_>) -> rusqlite::Result<Head> {
    let session = session_of(tx, queue, parcel.message, Some(parcel.seq))?;
    let head = Head {
        queue: queue.id,
        seq: parcel.seq,
        place: Place::Ready,
        deliveries: 0,
        locks: 0,
        enqueued: tx.now,
        due: None,
        expires: parcel.ttl.map(|ttl| tx.now + ttl),
        session: session.as_ref().map(|session| session.id),
    };
    place::enter_last(tx, &head)?;
    if let Some(Joined { id, idle: true }) = session {
        sessions::arrived(tx, id, parcel.seq)?;
    }
    put_body(tx, parcel.seq, parcel.first_seq, parcel.message)?;
    Ok(head)
}

/// A message that cannot get where it should becomes a dead letter of the queue that it reached, and is not sent on from
/// there: it might come round again.
fn stranded(tx: &mut Tx<'_>, queue: &Queue, parcel: Parcel<'_>, code: &str, what: String) -> rusqlite::Result<()> {
    let alone = Queue { sessions: false, forward_dead_letters_to: None, ..queue.clone() };
    let head = stay(tx, &alone, &parcel)?;
    let problem = Problem { code: code.into(), what, ..Problem::default() };
    settle::bury(tx, &alone, &head, None, &problem).map(drop)
}

fn session_of(
    tx: &mut Tx<'_>,
    queue: &Queue,
    message: &Message,
    first: Option<i64>,
) -> rusqlite::Result<Option<Joined>> {
    match &message.session {
        Some(name) if queue.sessions => sessions::ensure(tx, queue.id, name, first).map(Some),
        _ => Ok(None),
    }
}

/// Remembers the id for the window; `true` when the queue remembers it already.
fn is_duplicate(tx: &Tx<'_>, queue: &Queue, id: &str) -> rusqlite::Result<bool> {
    // A message without an id is like no other.
    let Some(window) = queue.duplicate_window_ms.filter(|_| !id.is_empty()) else { return Ok(false) };
    let sql = "INSERT INTO seen (queue, id, until) VALUES (?1, ?2, ?3)
               ON CONFLICT (queue, id) DO UPDATE SET until = ?3 WHERE until <= ?4";
    Ok(tx.run(sql, (queue.id, id, tx.now + window, tx.now))? == 0)
}

fn put_body(tx: &Tx<'_>, seq: i64, first_seq: i64, message: &Message) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO body (seq, first_seq, id, envelope, body) VALUES (?1, ?2, ?3, ?4, ?5)";
    let first_seq = (first_seq != seq).then_some(first_seq);
    tx.run(sql, (seq, first_seq, &message.id, envelope::pack(message), &message.body)).map(drop)
}

pub(crate) fn drop_body(tx: &Tx<'_>, seq: i64) -> rusqlite::Result<()> {
    tx.run("DELETE FROM body WHERE seq = ?1", [seq]).map(drop)
}

/// Puts a message straight into a dead-letter queue, under a new sequence number or over the body of the one that it
/// had. Whether it is in the queue already is the caller's knowledge.
pub(crate) fn put_dead(
    tx: &mut Tx<'_>,
    dead: &Queue,
    seq: Option<i64>,
    enter: bool,
    message: &Message,
) -> rusqlite::Result<i64> {
    let seq = seq.unwrap_or_else(|| tx.next_seq());
    if enter {
        let head = dead_head(tx, dead.id, seq);
        place::enter(tx, &head)?;
    }
    put_body(tx, seq, seq, message)?;
    Ok(seq)
}

/// A message that comes into a dead-letter queue and may have been there before: its locks are counted from a number
/// that no earlier token reached.
pub(crate) fn dead_head(tx: &mut Tx<'_>, queue: i64, seq: i64) -> Head {
    Head {
        queue,
        seq,
        place: Place::Ready,
        deliveries: 0,
        locks: tx.next_seq() << 20,
        enqueued: tx.now,
        due: None,
        expires: None,
        session: None,
    }
}

pub(crate) fn check_id(what: &'static str, id: &str) -> Result<(), Refusal> {
    check_size(what, id.len(), ID_BYTES_MAX)
}

pub(crate) fn check_size(what: &'static str, size: usize, limit: usize) -> Result<(), Refusal> {
    if size > limit { Err(Refusal::TooLarge { what, size, limit }) } else { Ok(()) }
}
