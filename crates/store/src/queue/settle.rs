//! What a receiver does with a message that it holds.

use std::time::Duration;

use super::entity::{self, Kind, Queue};
use super::message::{LockToken, Place};
use super::{Problem, receive};
use crate::dead_letters;
use crate::error::{Fail, Refusal};
use crate::op::OpResult;
use crate::time::{duration_ms, from_ms};
use crate::tx::{Count, Tx};

pub(crate) fn renew(tx: &mut Tx<'_>, path: &str, token: LockToken) -> Result<OpResult, Fail> {
    let queue = entity::find(tx, path)?;
    held(tx, &queue, token)?;
    let until = tx.now + queue.lock_ms;
    tx.run("UPDATE message SET due = ?3 WHERE queue = ?1 AND seq = ?2", (queue.id, token.seq, until))?;
    Ok(OpResult::LockedUntil(from_ms(until)))
}

pub(crate) fn complete(tx: &mut Tx<'_>, path: &str, tokens: &[LockToken]) -> Result<OpResult, Fail> {
    let queue = entity::find(tx, path)?;
    for &token in tokens {
        held(tx, &queue, token)?;
    }
    for token in tokens {
        take_out(tx, &queue, token.seq, Place::Locked)?;
        match queue.kind {
            Kind::DeadLetters => dead_letters::resolved(tx, token.seq)?,
            _ => tx.run("DELETE FROM body WHERE seq = ?1", [token.seq]).map(drop)?,
        }
    }
    Ok(OpResult::Count(tokens.len() as u64))
}

pub(crate) fn abandon(
    tx: &mut Tx<'_>,
    path: &str,
    token: LockToken,
    delay: Option<Duration>,
) -> Result<OpResult, Fail> {
    let queue = entity::find(tx, path)?;
    let deliveries = held(tx, &queue, token)? + 1;
    failed_delivery(tx, &queue, token.seq, deliveries, delay)?;
    Ok(OpResult::Done)
}

pub(crate) fn dead_letter(tx: &mut Tx<'_>, path: &str, token: LockToken, problem: &Problem) -> Result<OpResult, Fail> {
    let queue = entity::find(tx, path)?;
    if queue.kind == Kind::DeadLetters {
        let reason = "a dead-letter queue: what is in there cannot be given up on again";
        return Err(Refusal::QueueUse { path: path.to_owned(), reason }.into());
    }
    held(tx, &queue, token)?;
    let id = bury(tx, &queue, token.seq, Place::Locked, problem)?;
    Ok(OpResult::DeadLetter(id))
}

/// How often the message was delivered before, if the token still holds its lock.
fn held(tx: &Tx<'_>, queue: &Queue, token: LockToken) -> Result<i64, Fail> {
    let sql = "SELECT deliveries FROM message WHERE queue = ?1 AND seq = ?2 AND state = 1 AND locks = ?3 AND due > ?4";
    let found = tx.first(sql, (queue.id, token.seq, token.lock, tx.now), |row| row.get(0))?;
    found.ok_or_else(|| Refusal::LockLost { path: queue.path.clone(), seq: token.seq }.into())
}

/// A delivery that ended without being settled: the message becomes visible again, or a dead letter at the maximum.
pub(crate) fn failed_delivery(
    tx: &mut Tx<'_>,
    queue: &Queue,
    seq: i64,
    deliveries: i64,
    delay: Option<Duration>,
) -> rusqlite::Result<()> {
    let sql = "UPDATE message SET state = ?3, due = ?4, deliveries = ?5 WHERE queue = ?1 AND seq = ?2";
    if queue.max_deliveries > 0 && deliveries >= queue.max_deliveries {
        tx.run(sql, (queue.id, seq, Place::Locked, None::<i64>, deliveries))?;
        let problem = Problem {
            code: "MaxDeliveryCountExceeded".into(),
            what: format!("The message was delivered {deliveries} times and never settled."),
            ..Problem::default()
        };
        bury(tx, queue, seq, Place::Locked, &problem)?;
        return Ok(());
    }
    let due = delay.map(|delay| tx.now + duration_ms(delay)).filter(|&due| due > tx.now);
    let place = if due.is_some() { Place::Delayed } else { Place::Ready };
    tx.run(sql, (queue.id, seq, place, due, deliveries))?;
    tx.count(Count::Messages { queue: queue.id, state: Place::Locked }, -1);
    tx.count(Count::Messages { queue: queue.id, state: place }, 1);
    Ok(())
}

/// Moves a message into the dead-letter queue and lists it for people.
pub(crate) fn bury(
    tx: &mut Tx<'_>,
    queue: &Queue,
    seq: i64,
    from: Place,
    problem: &Problem,
) -> rusqlite::Result<dead_letters::DeadLetterId> {
    let dead = entity::dead_letter_queue(tx, queue)?;
    let sql = "INSERT INTO message (queue, seq, state, deliveries, locks, enqueued)
               SELECT ?3, seq, 0, deliveries, locks, enqueued FROM message WHERE queue = ?1 AND seq = ?2";
    tx.run(sql, (queue.id, seq, dead.id))?;
    take_out(tx, queue, seq, from)?;
    tx.count(Count::Messages { queue: dead.id, state: Place::Ready }, 1);
    let message = receive::message(tx.conn, seq)?;
    dead_letters::of_message(tx, &dead, &queue.path, seq, &message, problem)
}

/// Takes a message out of its queue; its body stays.
pub(crate) fn take_out(tx: &mut Tx<'_>, queue: &Queue, seq: i64, from: Place) -> rusqlite::Result<()> {
    tx.run("DELETE FROM message WHERE queue = ?1 AND seq = ?2", (queue.id, seq))?;
    tx.count(Count::Messages { queue: queue.id, state: from }, -1);
    Ok(())
}
