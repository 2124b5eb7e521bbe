//! Taking messages under a lock.

use rusqlite::{Connection, Row};

use super::entity::{self, Kind, Queue};
use super::message::{Delivery, LockToken, Message, SessionToken};
use super::place::{self, Head};
use super::{Problem, envelope, filing, sessions};
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
    let sql = "SELECT m.queue, m.seq, m.state, m.deliveries, m.locks, m.enqueued, m.due, m.expires, m.session,
                      b.id, b.envelope, b.body, b.first_seq
               FROM message m INDEXED BY message_ready CROSS JOIN body b ON b.seq = m.seq
               WHERE m.queue = ?1 AND m.state = 0 AND m.session IS NULL AND coalesce(m.expires > ?3, 1)
               ORDER BY m.seq LIMIT ?2";
    let found = tx.all(sql, (queue.id, max.min(RECEIVE_MAX) as i64, tx.now), Found::read)?;
    let until = tx.now + queue.lock_ms;
    if let [first, .., last] | [first @ last] = found.as_slice() {
        // All of them are in this range, and nothing else is that is ready and has not outlived its time.
        let sql = "UPDATE message INDEXED BY message_ready SET state = 1, due = ?4, locks = locks + 1
                   WHERE queue = ?1 AND state = 0 AND session IS NULL AND seq BETWEEN ?2 AND ?3
                     AND coalesce(expires > ?5, 1)";
        tx.run(sql, (queue.id, first.head.seq, last.head.seq, until, tx.now))?;
        place::locked(tx, queue.id, found.len());
    }
    deliver(tx, &queue, found, until)
}

pub(crate) fn receive_in_session(
    tx: &mut Tx<'_>,
    path: &str,
    token: SessionToken,
    max: usize,
) -> Result<OpResult, Fail> {
    let queue = receivable(tx, path)?;
    let until = sessions::held(tx, &queue, token)?;
    filing::file(tx, queue.id)?;
    // Nothing while a message waits for its second chance: those behind it must not pass.
    let sql = "SELECT m.queue, m.seq, m.state, m.deliveries, m.locks, m.enqueued, m.due, m.expires, m.session,
                      b.id, b.envelope, b.body, b.first_seq
               FROM message m CROSS JOIN body b ON b.seq = m.seq
               WHERE m.session = ?1 AND m.session > 0 AND m.state = 0 AND coalesce(m.expires > ?3, 1)
                 AND NOT EXISTS (SELECT 1 FROM message WHERE session = ?1 AND session > 0 AND state = 2)
               ORDER BY m.seq LIMIT ?2";
    let found = tx.all(sql, (token.session, max.min(RECEIVE_MAX) as i64, tx.now), Found::read)?;
    for found in &found {
        place::lock(tx, &found.head, until)?;
    }
    deliver(tx, &queue, found, until)
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
    let mut found: Vec<Found> = Vec::with_capacity(seqs.len());
    for &seq in seqs {
        let there = place::find(tx, queue.id, seq)?.filter(|head| {
            head.place == super::Place::Deferred
                && head.session == token.map(|token| token.session)
                && !found.iter().any(|other| other.head.seq == seq)
        });
        let head = there.ok_or_else(|| Refusal::NoMessage { path: queue.path.clone(), seq })?;
        let (message, first_seq) = body(tx.conn, seq)?;
        found.push(Found { head, message, first_seq });
    }
    for found in &found {
        place::lock(tx, &found.head, until)?;
    }
    deliver(tx, &queue, found, until)
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

/// A message that is to be delivered, as it was before it was locked.
struct Found {
    head: Head,
    message: Message,
    first_seq: i64,
}

impl Found {
    /// Of the columns of a head, and then of a body.
    fn read(row: &Row<'_>) -> rusqlite::Result<Found> {
        let head = Head::read(row)?;
        let (message, first_seq) = read_body(row, 9, head.seq)?;
        Ok(Found { head, message, first_seq })
    }
}

fn deliver(tx: &Tx<'_>, queue: &Queue, found: Vec<Found>, until: Ms) -> Result<OpResult, Fail> {
    let mut deliveries = Vec::with_capacity(found.len());
    for Found { head, message, first_seq } in found {
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
    let sql = "SELECT id, envelope, body, first_seq FROM body WHERE seq = ?1";
    first(conn, sql, [seq], |row| read_body(row, 0, seq))?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

fn read_body(row: &Row<'_>, at: usize, seq: i64) -> rusqlite::Result<(Message, i64)> {
    let mut message = Message { id: row.get(at)?, body: row.get(at + 2)?, ..Message::default() };
    if let Some(packed) = row.get_ref(at + 1)?.as_blob_or_null()? {
        envelope::unpack(packed, &mut message).ok_or(rusqlite::types::FromSqlError::InvalidType)?;
    }
    Ok((message, row.get::<_, Option<i64>>(at + 3)?.unwrap_or(seq)))
}

/// Why a message is in a dead-letter queue.
pub(crate) fn problem(conn: &Connection, kind: Kind, seq: i64) -> rusqlite::Result<Option<Box<Problem>>> {
    match kind {
        Kind::DeadLetters => Ok(dead_letters::problem(conn, seq)?.map(Box::new)),
        _ => Ok(None),
    }
}
