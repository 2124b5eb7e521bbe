//! What time does by itself: locks run out, delays end, messages expire, ids are forgotten.

use rusqlite::Connection;

use super::entity;
use super::message::Place;
use super::place::{self, Head};
use super::settle::{back, bury, failed_delivery};
use super::{Problem, send, sessions};
use crate::time::Ms;
use crate::tx::{CLOCK, Tx, first};

/// At most this much of each kind is done in one transaction; the rest follows in the next.
const DUE_MAX: i64 = 2000;

/// When something happens by itself next. May be in the past.
pub(crate) fn next_due(conn: &Connection) -> rusqlite::Result<Option<Ms>> {
    let sql = "SELECT min(at) FROM (
                 SELECT min(due) AS at FROM message WHERE due IS NOT NULL
                 UNION ALL SELECT min(until) FROM session WHERE until IS NOT NULL
                 UNION ALL SELECT min(expires) FROM message WHERE expires IS NOT NULL AND state NOT IN (1, 4))";
    Ok(first(conn, sql, [], |row| row.get(0))?.flatten())
}

/// A clock that is put back by less than this is not looked at; and how late it is, is noted this often.
pub(crate) const CLOCK_STEP: Ms = 60_000;

/// Where the clock was put back, what is to end after a while ends after that while, and not when the clock has come to
/// that hour once more: locks, delays, times to live, and ids that are remembered. What is scheduled for an hour stays there.
pub(crate) fn follow_clock(tx: &Tx<'_>) -> rusqlite::Result<()> {
    let now = tx.now;
    let last: Option<Ms> = tx.first("SELECT n FROM tally WHERE id = ?1", [CLOCK], |row| row.get(0))?;
    let back = last.map_or(0, |last| last - now);
    if last.is_some() && back.abs() < CLOCK_STEP {
        return Ok(());
    }
    tx.run("INSERT INTO tally (id, n) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET n = ?2", (CLOCK, now))?;
    if back < CLOCK_STEP {
        return Ok(());
    }
    for sql in [
        // Only of what was sent by the clock as it was.
        "UPDATE message SET enqueued = enqueued - ?1, expires = expires - ?1
           WHERE expires IS NOT NULL AND state <> 4 AND enqueued > ?2",
        "UPDATE message SET due = due - ?1 WHERE due > ?2 AND state <> 4",
        "UPDATE session SET until = until - ?1 WHERE until > ?2",
        "UPDATE seen SET until = until - ?1 WHERE until > ?2",
    ] {
        tx.run(sql, (back, now))?;
    }
    Ok(())
}

/// Brings the queues up to the time of this transaction.
pub(crate) fn let_time_pass(tx: &mut Tx<'_>) -> rusqlite::Result<()> {
    forget_ids(tx)?;
    end_sessions(tx)?;
    let sql = "SELECT queue, seq, state, deliveries, locks, enqueued, due, expires, session FROM message
               WHERE due IS NOT NULL AND due <= ?1 ORDER BY due, queue, seq LIMIT ?2";
    for head in tx.all(sql, (tx.now, DUE_MAX), Head::read)? {
        let queue = entity::by_id(tx, head.queue)?;
        match head.place {
            Place::Locked => failed_delivery(tx, &queue, &head, None)?,
            Place::Scheduled => send::activate(tx, &queue, &head)?,
            _ => back(tx, &queue, &head, head.deliveries)?,
        }
    }
    // Last, because what was locked or scheduled until now may have outlived its time.
    expire(tx)
}

fn end_sessions(tx: &mut Tx<'_>) -> rusqlite::Result<()> {
    let sql = "SELECT id, queue FROM session WHERE until IS NOT NULL AND until <= ?1 ORDER BY until LIMIT ?2";
    let ended: Vec<(i64, i64)> = tx.all(sql, (tx.now, DUE_MAX), |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (session, queue) in ended {
        let queue = entity::by_id(tx, queue)?;
        sessions::end(tx, &queue, session, true)?;
    }
    Ok(())
}

fn expire(tx: &mut Tx<'_>) -> rusqlite::Result<()> {
    let sql = "SELECT queue, seq, state, deliveries, locks, enqueued, due, expires, session FROM message
               WHERE expires IS NOT NULL AND state NOT IN (1, 4) AND expires <= ?1 ORDER BY expires, queue, seq LIMIT ?2";
    for head in tx.all(sql, (tx.now, DUE_MAX), Head::read)? {
        let queue = entity::by_id(tx, head.queue)?;
        if queue.dead_letter_expired {
            let problem = Problem {
                code: "TTLExpiredException".into(),
                what: "The message expired and was dead lettered.".into(),
                ..Problem::default()
            };
            bury(tx, &queue, &head, None, &problem)?;
        } else {
            place::leave(tx, &head)?;
            send::drop_body(tx, head.seq)?;
        }
    }
    Ok(())
}

fn forget_ids(tx: &Tx<'_>) -> rusqlite::Result<()> {
    if tx.first("SELECT 1 FROM seen WHERE until <= ?1 LIMIT 1", [tx.now], |_| Ok(()))?.is_some() {
        let sql = "DELETE FROM seen WHERE (queue, id) IN (SELECT queue, id FROM seen WHERE until <= ?1 LIMIT ?2)";
        tx.run(sql, (tx.now, DUE_MAX))?;
    }
    Ok(())
}
