//! Putting messages into a queue.

use super::entity::{self, Kind, Queue};
use super::message::{Message, NewMessage, Place, Sent};
use super::{BODY_BYTES_MAX, ID_BYTES_MAX, envelope};
use crate::error::{Fail, Refusal};
use crate::op::OpResult;
use crate::time::{Ms, duration_ms, to_ms};
use crate::tx::{Count, Tx};

pub(crate) fn send(tx: &mut Tx<'_>, path: &str, messages: &[NewMessage]) -> Result<OpResult, Fail> {
    let queue = entity::find(tx, path)?;
    if queue.kind == Kind::DeadLetters {
        let reason = "a dead-letter queue: messages only get there by being given up on";
        return Err(Refusal::QueueUse { path: path.to_owned(), reason }.into());
    }
    // Everything is checked before anything is written, so that a send is done as a whole or not at all.
    for new in messages {
        check_size("the body of a message", new.message.body.len(), BODY_BYTES_MAX)?;
        check_size("the id of a message", new.message.id.len(), ID_BYTES_MAX)?;
        check_size("the session of a message", new.message.session.as_ref().map_or(0, String::len), ID_BYTES_MAX)?;
    }
    let mut sent = Vec::with_capacity(messages.len());
    for new in messages {
        sent.push(if is_duplicate(tx, &queue, &new.message.id)? { Sent::Duplicate } else { put(tx, &queue, new)? });
    }
    Ok(OpResult::Sent(sent))
}

/// Remembers the id for the window; `true` when the queue remembers it already.
fn is_duplicate(tx: &Tx<'_>, queue: &Queue, id: &str) -> rusqlite::Result<bool> {
    let Some(window) = queue.duplicate_window_ms else { return Ok(false) };
    let sql = "INSERT INTO seen (queue, id, until) VALUES (?1, ?2, ?3)
               ON CONFLICT (queue, id) DO UPDATE SET until = ?3 WHERE until <= ?4";
    Ok(tx.run(sql, (queue.id, id, tx.now + window, tx.now))? == 0)
}

fn put(tx: &mut Tx<'_>, queue: &Queue, new: &NewMessage) -> rusqlite::Result<Sent> {
    let seq = tx.next_seq();
    let at = new.at.map(to_ms).filter(|&at| at > tx.now);
    let (place, enqueued) = match at {
        Some(at) => (Place::Delayed, at),
        None => (Place::Ready, tx.now),
    };
    let ttl = [new.ttl.map(duration_ms), queue.ttl_ms].into_iter().flatten().min();
    insert(tx, queue.id, seq, place, enqueued, at, ttl.map(|ttl| enqueued + ttl))?;
    put_body(tx, seq, &new.message)?;
    Ok(Sent::Accepted(seq))
}

fn insert(
    tx: &mut Tx<'_>,
    queue: i64,
    seq: i64,
    place: Place,
    enqueued: Ms,
    due: Option<Ms>,
    expires: Option<Ms>,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO message (queue, seq, state, deliveries, locks, enqueued, due, expires)
               VALUES (?1, ?2, ?3, 0, 0, ?4, ?5, ?6)";
    tx.run(sql, (queue, seq, place, enqueued, due, expires))?;
    tx.count(Count::Messages { queue, state: place }, 1);
    Ok(())
}

fn put_body(tx: &Tx<'_>, seq: i64, message: &Message) -> rusqlite::Result<()> {
    let sql = "INSERT INTO body (seq, id, envelope, body) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (seq) DO UPDATE SET id = ?2, envelope = ?3, body = ?4";
    tx.run(sql, (seq, &message.id, envelope::pack(message), &message.body)).map(drop)
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
        let now = tx.now;
        insert(tx, dead.id, seq, Place::Ready, now, None, None)?;
    }
    put_body(tx, seq, message)?;
    Ok(seq)
}

fn check_size(what: &'static str, size: usize, limit: usize) -> Result<(), Refusal> {
    if size > limit { Err(Refusal::TooLarge { what, size, limit }) } else { Ok(()) }
}
