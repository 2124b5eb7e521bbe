//! Sessions: first in, first out for each key, and one holder at a time.

use super::Session;
use super::entity::{self, Queue};
use super::message::{Place, SessionToken};
use super::place::{self, Head};
use super::{filing, settle};
use crate::error::{Fail, Refusal};
use crate::op::OpResult;
use crate::time::{Ms, from_ms};
use crate::tx::Tx;

/// The most that a session's state may hold.
const STATE_BYTES_MAX: usize = 1 << 20;

/// A session that a message comes into.
pub(crate) struct Joined {
    pub id: i64,
    /// It offers nothing yet, and nobody holds it: a message that is ready may be the one that it offers.
    pub idle: bool,
}

/// The session of a name, made when it is new. A new one offers `first`, which is about to come.
pub(crate) fn ensure(tx: &mut Tx<'_>, queue: i64, name: &str, first: Option<i64>) -> rusqlite::Result<Joined> {
    let sql = "SELECT id, head IS NULL AND until IS NULL FROM session WHERE queue = ?1 AND name = ?2";
    let known = tx.first(sql, (queue, name), |row| Ok(Joined { id: row.get(0)?, idle: row.get(1)? }))?;
    match known {
        Some(known) => Ok(known),
        None => {
            // A number of its own, so that no token of an earlier session under this name can fit.
            let id = tx.next_seq();
            tx.run("INSERT INTO session (id, queue, name, head) VALUES (?1, ?2, ?3, ?4)", (id, queue, name, first))?;
            Ok(Joined { id, idle: first.is_none() })
        }
    }
}

/// A ready message came into a session. It is the newest, so that only a session without one changes.
pub(crate) fn arrived(tx: &mut Tx<'_>, session: i64, seq: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE session SET head = ?2 WHERE id = ?1 AND head IS NULL AND until IS NULL
               AND NOT EXISTS (SELECT 1 FROM message WHERE session = ?1 AND session > 0 AND state = 2)";
    tx.run(sql, (session, seq)).map(drop)
}

/// Says anew what a session offers, after one of its messages left or its lock ended. One without messages, state and
/// holder is forgotten.
pub(crate) fn refresh(tx: &mut Tx<'_>, queue: i64, session: i64) -> rusqlite::Result<()> {
    let sql = "SELECT until IS NOT NULL, state IS NOT NULL FROM session WHERE id = ?1";
    let known = tx.first(sql, [session], |row| Ok((row.get::<_, bool>(0)?, row.get::<_, bool>(1)?)))?;
    let (locked, noted) = known.unwrap_or((true, true));
    if locked {
        return Ok(());
    }
    filing::file(tx, queue)?;
    let first = |place: Place| {
        let sql = "SELECT seq FROM message WHERE session = ?1 AND session > 0 AND state = ?2 ORDER BY seq LIMIT 1";
        tx.first(sql, (session, place), |row| row.get::<_, i64>(0))
    };
    let ready = first(Place::Ready)?;
    // A message that waits for its second chance holds back those behind it.
    let head = if ready.is_some() && first(Place::Delayed)?.is_none() { ready } else { None };
    let any = || tx.first("SELECT 1 FROM message WHERE session = ?1 AND session > 0 LIMIT 1", [session], |_| Ok(()));
    if ready.is_none() && !noted && any()?.is_none() {
        return tx.run("DELETE FROM session WHERE id = ?1", [session]).map(drop);
    }
    tx.run("UPDATE session SET head = ?2 WHERE id = ?1", (session, head)).map(drop)
}

/// A session as it is found by somebody who wants it.
struct Free {
    id: i64,
    name: String,
    locks: i64,
    state: Option<Vec<u8>>,
    until: Option<Ms>,
}

const COLUMNS: &str = "id, name, locks, state, until";

impl Free {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Free> {
        Ok(Free { id: row.get(0)?, name: row.get(1)?, locks: row.get(2)?, state: row.get(3)?, until: row.get(4)? })
    }
}

pub(crate) fn accept(tx: &mut Tx<'_>, path: &str, name: Option<&str>) -> Result<OpResult, Fail> {
    let queue = with_sessions(tx, path)?;
    let found = match name {
        Some(name) => {
            // An empty or unknown session can be held too; its state may be set.
            super::send::check_id("the name of a session", name)?;
            let id = ensure(tx, queue.id, name, None)?.id;
            tx.first(&format!("SELECT {COLUMNS} FROM session WHERE id = ?1"), [id], Free::read)?
        }
        None => {
            let sql =
                format!("SELECT {COLUMNS} FROM session WHERE queue = ?1 AND head IS NOT NULL ORDER BY head LIMIT 1");
            tx.first(&sql, [queue.id], Free::read)?
        }
    };
    let Some(Free { id, name, locks, state, until }) = found else { return Ok(OpResult::Session(None)) };
    if let Some(until) = until {
        return Err(Refusal::SessionHeld { path: queue.path.clone(), session: name, until: from_ms(until) }.into());
    }
    let until = tx.now + queue.lock_ms;
    tx.run("UPDATE session SET locks = locks + 1, until = ?2, head = NULL WHERE id = ?1", (id, until))?;
    let token = SessionToken { session: id, lock: locks + 1 };
    Ok(OpResult::Session(Some(Session { name, token, locked_until: from_ms(until), state })))
}

pub(crate) fn renew(tx: &mut Tx<'_>, path: &str, token: SessionToken) -> Result<OpResult, Fail> {
    let queue = with_sessions(tx, path)?;
    held(tx, &queue, token)?;
    let until = tx.now + queue.lock_ms;
    tx.run("UPDATE session SET until = ?2 WHERE id = ?1", (token.session, until))?;
    Ok(OpResult::LockedUntil(from_ms(until)))
}

pub(crate) fn set_state(
    tx: &mut Tx<'_>,
    path: &str,
    token: SessionToken,
    state: Option<&[u8]>,
) -> Result<OpResult, Fail> {
    let queue = with_sessions(tx, path)?;
    held(tx, &queue, token)?;
    super::send::check_size("the state of a session", state.map_or(0, <[u8]>::len), STATE_BYTES_MAX)?;
    tx.run("UPDATE session SET state = ?2 WHERE id = ?1", (token.session, state))?;
    Ok(OpResult::Done)
}

pub(crate) fn put_back(tx: &mut Tx<'_>, path: &str, token: SessionToken) -> Result<OpResult, Fail> {
    let queue = with_sessions(tx, path)?;
    held(tx, &queue, token)?;
    let count = place::put_back(tx, queue.id, token.session)?;
    Ok(OpResult::Count(count as u64))
}

pub(crate) fn release(tx: &mut Tx<'_>, path: &str, token: SessionToken) -> Result<OpResult, Fail> {
    let queue = with_sessions(tx, path)?;
    held(tx, &queue, token)?;
    end(tx, &queue, token.session, false)?;
    Ok(OpResult::Done)
}

/// Ends the holding of a session. What was locked in it goes back to its place; a holder that went away without a word
/// has each of those counted as a delivery.
pub(crate) fn end(tx: &mut Tx<'_>, queue: &Queue, session: i64, counts: bool) -> rusqlite::Result<()> {
    let sql =
        format!("SELECT {} FROM message WHERE session = ?1 AND session > 0 AND state = 1 ORDER BY seq", place::COLUMNS);
    for head in tx.all(&sql, [session], Head::read)? {
        if counts {
            settle::failed_delivery(tx, queue, &head, None)?;
        } else {
            settle::back(tx, queue, &head, head.deliveries)?;
        }
    }
    tx.run("UPDATE session SET until = NULL WHERE id = ?1", [session])?;
    refresh(tx, queue.id, session)
}

/// The lock's end, if the token still holds the session.
pub(crate) fn held(tx: &Tx<'_>, queue: &Queue, token: SessionToken) -> Result<Ms, Fail> {
    let sql = "SELECT until FROM session WHERE id = ?1 AND queue = ?2 AND locks = ?3 AND until > ?4";
    let until = tx.first(sql, (token.session, queue.id, token.lock, tx.now), |row| row.get(0))?;
    until.ok_or_else(|| Refusal::SessionLost { path: queue.path.clone() }.into())
}

fn with_sessions(tx: &mut Tx<'_>, path: &str) -> Result<std::sync::Arc<Queue>, Fail> {
    let queue = entity::find(tx, path)?;
    if !queue.sessions {
        let reason = "a queue without sessions";
        return Err(Refusal::QueueUse { path: path.to_owned(), reason }.into());
    }
    Ok(queue)
}
