//! What a receiver does with a message that it holds.

use std::collections::HashSet;
use std::time::Duration;

use record::Key;

use super::entity::{self, Kind, Queue};
use super::message::{LockToken, Place, Property};
use super::place::{self, Head};
use super::send::Parcel;
use super::{Problem, receive, send};
use crate::dead_letters::{self, DeadLetterId};
use crate::error::{Fail, Refusal};
use crate::op::OpResult;
use crate::time::{duration_ms, from_ms};
use crate::tx::{Count, Tx};

/// At most this many messages are purged in one commit.
const PURGE_MAX: usize = 20_000;

pub(crate) fn renew(tx: &mut Tx<'_>, path: &str, token: LockToken) -> Result<OpResult, Fail> {
    let queue = entity::find(tx, path)?;
    if held(tx, &queue, token)?.session.is_some() {
        let reason = "a queue with sessions: renew the lock of the session";
        return Err(Refusal::QueueUse { path: path.to_owned(), reason }.into());
    }
    let until = tx.now + queue.lock_ms;
    tx.run("UPDATE message SET due = ?3 WHERE queue = ?1 AND seq = ?2", (queue.id, token.seq, until))?;
    Ok(OpResult::LockedUntil(from_ms(until)))
}

pub(crate) fn complete(tx: &mut Tx<'_>, path: &str, tokens: &[LockToken]) -> Result<OpResult, Fail> {
    let queue = entity::find(tx, path)?;
    if complete_together(tx, &queue, tokens)? {
        through(tx, &queue, tokens.len());
        return Ok(OpResult::Count(tokens.len() as u64));
    }
    let mut once = HashSet::with_capacity(tokens.len());
    let mut heads = Vec::with_capacity(tokens.len());
    for &token in tokens {
        if !once.insert(token) {
            return Err(Refusal::LockLost { path: queue.path.clone(), seq: token.seq }.into());
        }
        heads.push(held(tx, &queue, token)?);
    }
    through(tx, &queue, heads.len());
    for head in &heads {
        place::leave(tx, head)?;
        match queue.kind {
            Kind::DeadLetters => dead_letters::resolved(tx, head.seq)?,
            _ => send::drop_body(tx, head.seq)?,
        }
    }
    Ok(OpResult::Count(tokens.len() as u64))
}

/// What left a subscription is counted by the hour: by that one sees what is usual.
fn through(tx: &mut Tx<'_>, queue: &Queue, messages: usize) {
    if queue.kind == Kind::Subscription {
        tx.count(Count::Traffic { name: queue.path.clone() }, messages as i64);
    }
}

/// Completes what was received together with a few statements for all of it. `false`: it is not all that the queue has
/// between its first and its last, or a lock does not hold, or there is more to it; nothing was done.
fn complete_together(tx: &mut Tx<'_>, queue: &Queue, tokens: &[LockToken]) -> Result<bool, Fail> {
    let ([first, .., last], Kind::Queue | Kind::Subscription) = (tokens, queue.kind) else { return Ok(false) };
    let in_order = tokens.windows(2).all(|pair| pair[0].seq < pair[1].seq);
    // Where others lie between them, looking at those may cost more than it saves.
    if !in_order || last.seq - first.seq > 8 * tokens.len() as i64 {
        return Ok(false);
    }
    let heads = place::between(tx, queue.id, first.seq, last.seq)?;
    let holds = |(head, token): (&Head, &LockToken)| {
        let same = head.seq == token.seq && head.locks == token.lock && head.place == Place::Locked;
        same && head.session.is_none() && head.due.is_some_and(|due| due > tx.now)
    };
    if heads.len() != tokens.len() || !heads.iter().zip(tokens).all(holds) {
        return Ok(false);
    }
    place::leave_together(tx, &heads)?;
    Ok(true)
}

pub(crate) fn abandon(
    tx: &mut Tx<'_>,
    path: &str,
    token: LockToken,
    delay: Option<Duration>,
) -> Result<OpResult, Fail> {
    let queue = entity::find(tx, path)?;
    let head = held(tx, &queue, token)?;
    failed_delivery(tx, &queue, &head, delay)?;
    Ok(OpResult::Done)
}

pub(crate) fn take_back(tx: &mut Tx<'_>, path: &str) -> Result<OpResult, Fail> {
    let queue = entity::find(tx, path)?;
    if queue.sessions {
        let reason = "a queue with sessions: release those that are held";
        return Err(Refusal::QueueUse { path: path.to_owned(), reason }.into());
    }
    let sql = format!("SELECT {} FROM message WHERE queue = ?1 AND state = 1 ORDER BY seq", place::COLUMNS);
    let locked = tx.all(&sql, [queue.id], Head::read)?;
    for head in &locked {
        back(tx, &queue, head, head.deliveries)?;
    }
    Ok(OpResult::Count(locked.len() as u64))
}

pub(crate) fn wake(tx: &mut Tx<'_>, path: &str, seqs: &[i64]) -> Result<OpResult, Fail> {
    let queue = entity::find(tx, path)?;
    let mut woken = 0;
    for &seq in seqs {
        let waits = place::find(tx, queue.id, seq)?.filter(|head| head.place == Place::Delayed);
        if let Some(head) = waits {
            back(tx, &queue, &head, head.deliveries)?;
            woken += 1;
        }
    }
    Ok(OpResult::Count(woken))
}

pub(crate) fn defer(tx: &mut Tx<'_>, path: &str, token: LockToken) -> Result<OpResult, Fail> {
    let queue = entity::find(tx, path)?;
    let head = held(tx, &queue, token)?;
    place::shift(tx, &head, Place::Deferred, None, head.deliveries)?;
    Ok(OpResult::Done)
}

pub(crate) fn dead_letter(
    tx: &mut Tx<'_>,
    path: &str,
    token: LockToken,
    key: Option<&Key>,
    problem: &Problem,
) -> Result<OpResult, Fail> {
    let queue = entity::find(tx, path)?;
    if queue.kind == Kind::DeadLetters {
        let reason = "a dead-letter queue: what is in there cannot be given up on again";
        return Err(Refusal::QueueUse { path: path.to_owned(), reason }.into());
    }
    let head = held(tx, &queue, token)?;
    Ok(bury(tx, &queue, &head, key, problem)?.map_or(OpResult::Done, OpResult::DeadLetter))
}

pub(crate) fn purge(tx: &mut Tx<'_>, path: &str, max: usize) -> Result<OpResult, Fail> {
    let queue = entity::find(tx, path)?;
    if queue.kind == Kind::DeadLetters {
        let reason = "a dead-letter queue: discard its dead letters one by one";
        return Err(Refusal::QueueUse { path: path.to_owned(), reason }.into());
    }
    let sql = format!("SELECT {} FROM message WHERE queue = ?1 AND state <> 1 ORDER BY seq LIMIT ?2", place::COLUMNS);
    let heads = tx.all(&sql, (queue.id, max.min(PURGE_MAX) as i64), Head::read)?;
    for head in &heads {
        place::leave(tx, head)?;
        send::drop_body(tx, head.seq)?;
    }
    Ok(OpResult::Count(heads.len() as u64))
}

/// The message, if the token still holds its lock.
fn held(tx: &Tx<'_>, queue: &Queue, token: LockToken) -> Result<Head, Fail> {
    let head = place::find(tx, queue.id, token.seq)?;
    let held = head.filter(|head| head.place == Place::Locked && head.locks == token.lock);
    let holds = match &held {
        None => false,
        Some(Head { due: Some(due), .. }) => *due > tx.now,
        Some(Head { session, .. }) => {
            let sql = "SELECT 1 FROM session WHERE id = ?1 AND until > ?2";
            tx.first(sql, (session, tx.now), |_| Ok(()))?.is_some()
        }
    };
    match held {
        Some(head) if holds => Ok(head),
        _ => Err(Refusal::LockLost { path: queue.path.clone(), seq: token.seq }.into()),
    }
}

/// A delivery that ended without being settled: the message becomes visible again, or a dead letter at the maximum.
pub(crate) fn failed_delivery(
    tx: &mut Tx<'_>,
    queue: &Queue,
    head: &Head,
    delay: Option<Duration>,
) -> rusqlite::Result<()> {
    let deliveries = head.deliveries + 1;
    if queue.max_deliveries > 0 && deliveries >= queue.max_deliveries {
        let problem = Problem {
            code: "MaxDeliveryCountExceeded".into(),
            what: format!("The message was delivered {deliveries} times and never settled."),
            ..Problem::default()
        };
        return bury(tx, queue, &Head { deliveries, ..head.clone() }, None, &problem).map(drop);
    }
    match delay.map(|delay| tx.now + duration_ms(delay)).filter(|&due| due > tx.now) {
        Some(due) => place::shift(tx, head, Place::Delayed, Some(due), deliveries),
        None => back(tx, queue, head, deliveries),
    }
}

/// A message is ready again; or goes on to where the queue forwards by now, and nobody receives from it any more.
pub(crate) fn back(tx: &mut Tx<'_>, queue: &Queue, head: &Head, deliveries: i64) -> rusqlite::Result<()> {
    match queue.forward_to {
        Some(_) => send::go_on(tx, queue, head),
        None => place::shift(tx, head, Place::Ready, None, deliveries),
    }
}

/// Moves a message into the dead-letter queue and lists it for people; or to where the queue forwards its dead letters.
pub(crate) fn bury(
    tx: &mut Tx<'_>,
    queue: &Queue,
    head: &Head,
    key: Option<&Key>,
    problem: &Problem,
) -> rusqlite::Result<Option<DeadLetterId>> {
    let (mut message, first_seq) = receive::body(tx.conn, head.seq)?;
    place::leave(tx, head)?;
    if let Some(target) = &queue.forward_dead_letters_to {
        let mut told = message.clone();
        for (name, value) in [("DeadLetterReason", &problem.code), ("DeadLetterErrorDescription", &problem.what)] {
            told.properties.push((name.to_owned(), Property::Text(value.clone())));
        }
        if send::forward(tx, target, Parcel { message: &told, seq: head.seq, first_seq, ttl: None, hops: 1 })? {
            send::drop_body(tx, head.seq)?;
            return Ok(None);
        }
    }
    let dead = entity::dead_letter_queue(tx, queue)?;
    let moved = Head { queue: dead.id, place: Place::Ready, due: None, expires: None, session: None, ..head.clone() };
    place::enter(tx, &moved)?;
    message.key = message.key.or_else(|| key.cloned());
    dead_letters::of_message(tx, &dead, &queue.path, head.seq, &message, problem).map(Some)
}
