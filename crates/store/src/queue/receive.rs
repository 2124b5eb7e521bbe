//! Taking messages under a lock.

use rusqlite::Connection;

use super::entity::{self, Kind, Queue};
use super::message::{Delivery, LockToken, Message, SessionToken};
use super::place::{self, Head};
use super::{Problem, envelope, sessions};
use crate::dead_letters;
use crate::error::{Fail, Refusal};
use crate::op::OpResult;
use crate::time::{Ms, from_ms};
use crate::tx::{Tx, first};

/// At most this many messages are locked at once.
const RECEIVE_MAX: usize = 5000;

pub(crate) fn receive(tx: &mut Tx<'_>, path: &str, max: usize) -> Result<OpResult, Fail> {
    let queue = receivable(tx, path)?;
    if queue.sessions {
        let reason = "a queue with sessions: accept one, and receive in it";
        return Err(Refusal::QueueUse { path: path.to_owned(), reason }.into());
    }
    // Named, because the primary key looks as good and passes over everything that is locked or put aside.
    let sql = "SELECT queue, seq, state, deliveries, locks, enqueued, due, expires, session
               FROM message INDEXED BY message_ready
               WHERE queue = ?1 AND state = 0 AND session IS NULL ORDER BY seq LIMIT ?2";
    let heads = tx.all(sql, (queue.id, max.min(RECEIVE_MAX) as i64), Head::read)?;
    let until = tx.now + queue.lock_ms;
    deliver(tx, &queue, &heads, until)
}

pub(crate) fn receive_in_session(
    tx: &mut Tx<'_>,
    path: &str,
    token: SessionToken,
    max: usize,
) -> Result<OpResult, Fail> {
    let queue = receivable(tx, path)?;
    let until = sessions::held(tx, &queue, token)?;
    // Nothing while a message waits for its second chance: those behind it must not pass.
    let sql = "SELECT queue, seq, state, deliveries, locks, enqueued, due, expires, session FROM message
               WHERE session = ?1 AND state = 0
                 AND NOT EXISTS (SELECT 1 FROM message WHERE session = ?1 AND state = 2)
               ORDER BY seq LIMIT ?2";
    let heads = tx.all(sql, (token.session, max.min(RECEIVE_MAX) as i64), Head::read)?;
    deliver(tx, &queue, &heads, until)
}

pub(crate) fn receive_deferred(
    tx: &mut Tx<'_>,
    path: &str,
    token: Option<SessionToken>,
    seqs: &[i64],
) -> Result<OpResult, Fail> {
    let queue = receivable(tx, path)?;
    let until = match token {
        Some(token) => sessions::held(tx, &queue, token)?,
        None => tx.now + queue.lock_ms,
    };
    let mut heads: Vec<Head> = Vec::with_capacity(seqs.len());
    for &seq in seqs {
        let there = place::find(tx, queue.id, seq)?.filter(|head| {
            head.place == super::Place::Deferred
                && head.session == token.map(|token| token.session)
                && !heads.iter().any(|other| other.seq == seq)
        });
        heads.push(there.ok_or_else(|| Refusal::NoMessage { path: queue.path.clone(), seq })?);
    }
    deliver(tx, &queue, &heads, until)
}

fn receivable(tx: &mut Tx<'_>, path: &str) -> Result<std::sync::Arc<Queue>, Fail> {
    let queue = entity::find(tx, path)?;
    let reason = match (queue.kind, &queue.forward_to) {
        (Kind::Topic, _) => "a topic: receive from its subscriptions",
        (_, Some(_)) => "forwarding: receive where it forwards to",
        _ => return Ok(queue),
    };
    Err(Refusal::QueueUse { path: path.to_owned(), reason }.into())
}

fn deliver(tx: &mut Tx<'_>, queue: &Queue, heads: &[Head], until: Ms) -> Result<OpResult, Fail> {
    let mut deliveries = Vec::with_capacity(heads.len());
    for head in heads {
        place::lock(tx, head, until)?;
        let (message, first_seq) = body(tx.conn, head.seq)?;
        deliveries.push(Delivery {
            seq: head.seq,
            first_seq,
            token: LockToken { seq: head.seq, lock: head.locks + 1 },
            locked_until: from_ms(until),
            enqueued: from_ms(head.enqueued),
            expires: head.expires.map(from_ms),
            deliveries: head.deliveries as u32,
            problem: problem(tx.conn, queue.kind, head.seq)?,
            message,
        });
    }
    Ok(OpResult::Messages(deliveries))
}

/// The resting half of a message, and the number that it was first sent under.
pub(crate) fn body(conn: &Connection, seq: i64) -> rusqlite::Result<(Message, i64)> {
    let found = first(conn, "SELECT id, envelope, body, first_seq FROM body WHERE seq = ?1", [seq], |row| {
        let mut message = Message { id: row.get(0)?, body: row.get(2)?, ..Message::default() };
        if let Some(packed) = row.get_ref(1)?.as_blob_or_null()? {
            envelope::unpack(packed, &mut message).ok_or(rusqlite::types::FromSqlError::InvalidType)?;
        }
        Ok((message, row.get::<_, Option<i64>>(3)?.unwrap_or(seq)))
    })?;
    found.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// Why a message is in a dead-letter queue.
pub(crate) fn problem(conn: &Connection, kind: Kind, seq: i64) -> rusqlite::Result<Option<Box<Problem>>> {
    match kind {
        Kind::DeadLetters => Ok(dead_letters::problem(conn, seq)?.map(Box::new)),
        _ => Ok(None),
    }
}
