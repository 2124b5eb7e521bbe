//! What time does by itself: locks run out, delays end, messages expire, ids are forgotten.

use rusqlite::Connection;

use super::Problem;
use super::entity;
use super::message::Place;
use super::settle::{bury, failed_delivery, take_out};
use crate::time::Ms;
use crate::tx::{Count, Tx, first};

/// At most this much is done in one transaction; the rest follows in the next.
const DUE_MAX: i64 = 2000;

/// When something happens by itself next. May be in the past.
pub(crate) fn next_due(conn: &Connection) -> rusqlite::Result<Option<Ms>> {
    let sql = "SELECT min(at) FROM (
                 SELECT min(due) AS at FROM message WHERE due IS NOT NULL
                 UNION ALL SELECT min(expires) FROM message WHERE expires IS NOT NULL AND state <> 1)";
    Ok(first(conn, sql, [], |row| row.get(0))?.flatten())
}

/// Brings the queues up to the time of this transaction.
pub(crate) fn let_time_pass(tx: &mut Tx<'_>) -> rusqlite::Result<()> {
    forget_ids(tx)?;
    expire(tx)?;
    let sql = "SELECT queue, seq, state, deliveries, expires FROM message WHERE due IS NOT NULL AND due <= ?1
               ORDER BY due, seq LIMIT ?2";
    let due: Vec<(i64, i64, Place, i64, Option<Ms>)> =
        tx.all(sql, (tx.now, DUE_MAX), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?;
    for (queue, seq, place, deliveries, _) in &due {
        let queue = entity::by_id(tx, *queue)?;
        if *place == Place::Locked {
            failed_delivery(tx, &queue, *seq, deliveries + 1, None)?;
        } else {
            tx.run("UPDATE message SET state = 0, due = NULL WHERE queue = ?1 AND seq = ?2", (queue.id, seq))?;
            tx.count(Count::Messages { queue: queue.id, state: *place }, -1);
            tx.count(Count::Messages { queue: queue.id, state: Place::Ready }, 1);
        }
    }
    // A lock that ran out may have outlasted its message.
    if due.iter().any(|(.., expires)| expires.is_some_and(|expires| expires <= tx.now)) {
        expire(tx)?;
    }
    Ok(())
}

fn expire(tx: &mut Tx<'_>) -> rusqlite::Result<()> {
    let sql = "SELECT queue, seq, state FROM message WHERE expires IS NOT NULL AND state <> 1 AND expires <= ?1
               ORDER BY expires, seq LIMIT ?2";
    let expired: Vec<(i64, i64, Place)> =
        tx.all(sql, (tx.now, DUE_MAX), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for (queue, seq, place) in expired {
        let queue = entity::by_id(tx, queue)?;
        if queue.dead_letter_expired {
            let problem = Problem {
                code: "TTLExpiredException".into(),
                what: "The message expired and was dead lettered.".into(),
                ..Problem::default()
            };
            bury(tx, &queue, seq, place, &problem)?;
        } else {
            take_out(tx, &queue, seq, place)?;
            tx.run("DELETE FROM body WHERE seq = ?1", [seq])?;
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
