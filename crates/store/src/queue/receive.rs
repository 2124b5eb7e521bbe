//! Taking messages under a lock.

use super::entity;
use super::envelope;
use super::message::{Delivery, LockToken, Message, Place};
use crate::error::Fail;
use crate::op::OpResult;
use crate::time::{Ms, from_ms};
use crate::tx::{Count, Tx, first};
use rusqlite::Connection;

/// At most this many messages are locked at once.
const RECEIVE_MAX: usize = 5000;

/// The moving half of a message, as it is read before it is locked.
struct Head {
    seq: i64,
    deliveries: i64,
    locks: i64,
    enqueued: Ms,
    expires: Option<Ms>,
}

pub(crate) fn receive(tx: &mut Tx<'_>, path: &str, max: usize) -> Result<OpResult, Fail> {
    let queue = entity::find(tx, path)?;
    let sql = "SELECT seq, deliveries, locks, enqueued, expires FROM message
               WHERE queue = ?1 AND state = 0 AND session IS NULL ORDER BY seq LIMIT ?2";
    let heads = tx.all(sql, (queue.id, max.min(RECEIVE_MAX) as i64), |row| {
        Ok(Head {
            seq: row.get(0)?,
            deliveries: row.get(1)?,
            locks: row.get(2)?,
            enqueued: row.get(3)?,
            expires: row.get(4)?,
        })
    })?;
    let until = tx.now + queue.lock_ms;
    let mut deliveries = Vec::with_capacity(heads.len());
    for head in &heads {
        let sql = "UPDATE message SET state = 1, due = ?3, locks = locks + 1 WHERE queue = ?1 AND seq = ?2";
        tx.run(sql, (queue.id, head.seq, until))?;
        deliveries.push(Delivery {
            seq: head.seq,
            token: LockToken { seq: head.seq, lock: head.locks + 1 },
            locked_until: from_ms(until),
            enqueued: from_ms(head.enqueued),
            expires: head.expires.map(from_ms),
            deliveries: head.deliveries as u32,
            message: message(tx.conn, head.seq)?,
        });
    }
    tx.count(Count::Messages { queue: queue.id, state: Place::Ready }, -(heads.len() as i64));
    tx.count(Count::Messages { queue: queue.id, state: Place::Locked }, heads.len() as i64);
    Ok(OpResult::Messages(deliveries))
}

/// The resting half of a message.
pub(crate) fn message(conn: &Connection, seq: i64) -> rusqlite::Result<Message> {
    let found = first(conn, "SELECT id, envelope, body FROM body WHERE seq = ?1", [seq], |row| {
        let mut message = Message { id: row.get(0)?, body: row.get(2)?, ..Message::default() };
        if let Some(packed) = row.get_ref(1)?.as_blob_or_null()? {
            envelope::unpack(packed, &mut message).ok_or(rusqlite::types::FromSqlError::InvalidType)?;
        }
        Ok(message)
    })?;
    found.ok_or(rusqlite::Error::QueryReturnedNoRows)
}
