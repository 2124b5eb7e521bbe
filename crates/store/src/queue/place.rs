//! Where messages stand: every change of a message's place goes through here, so that the counts and the sessions follow.

use super::message::Place;
use super::{filing, sessions};
use crate::time::Ms;
use crate::tx::{Count, Tx};

/// The moving half of a message.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub queue: i64,
    pub seq: i64,
    pub place: Place,
    pub deliveries: i64,
    pub locks: i64,
    pub enqueued: Ms,
    pub due: Option<Ms>,
    pub expires: Option<Ms>,
    pub session: Option<i64>,
}

pub(crate) const COLUMNS: &str = "queue, seq, state, deliveries, locks, enqueued, due, expires, session";

impl Head {
    pub fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Head> {
        Ok(Head {
            queue: row.get(0)?,
            seq: row.get(1)?,
            place: row.get(2)?,
            deliveries: row.get(3)?,
            locks: row.get(4)?,
            enqueued: row.get(5)?,
            due: row.get(6)?,
            expires: row.get(7)?,
            // Negative where it is not in the index of sessions yet.
            session: row.get::<_, Option<i64>>(8)?.map(i64::abs),
        })
    }
}

/// A message of a queue, wherever it stands.
pub(crate) fn find(tx: &Tx<'_>, queue: i64, seq: i64) -> rusqlite::Result<Option<Head>> {
    let sql = format!("SELECT {COLUMNS} FROM message WHERE queue = ?1 AND seq = ?2");
    tx.first(&sql, (queue, seq), Head::read)
}

/// A message comes into a queue. One that is ready in a session that offers nothing is told to the session, by the caller.
pub(crate) fn enter(tx: &mut Tx<'_>, head: &Head) -> rusqlite::Result<()> {
    insert(tx, head, head.session)
}

/// A message comes into a queue as its newest: where it has a session, it is filed there later, together with others.
pub(crate) fn enter_last(tx: &mut Tx<'_>, head: &Head) -> rusqlite::Result<()> {
    insert(tx, head, head.session.map(|session| -session))?;
    if head.session.is_some() { filing::came(tx, head.queue) } else { Ok(()) }
}

fn insert(tx: &mut Tx<'_>, head: &Head, session: Option<i64>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO message (queue, seq, state, deliveries, locks, enqueued, due, expires, session)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let Head { queue, seq, place, deliveries, locks, enqueued, due, expires, .. } = head;
    tx.run(sql, (queue, seq, place, deliveries, locks, enqueued, due, expires, session))?;
    tx.count(Count::Messages { queue: *queue, state: *place }, 1);
    Ok(())
}

/// A message changes its place, and with it the time at which that ends and how often it was delivered in vain.
pub(crate) fn shift(tx: &mut Tx<'_>, head: &Head, to: Place, due: Option<Ms>, deliveries: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE message SET state = ?3, due = ?4, deliveries = ?5 WHERE queue = ?1 AND seq = ?2";
    tx.run(sql, (head.queue, head.seq, to, due, deliveries))?;
    tx.count(Count::Messages { queue: head.queue, state: head.place }, -1);
    tx.count(Count::Messages { queue: head.queue, state: to }, 1);
    left(tx, head)
}

/// A message is locked. In a session that is the session's lock, and `until` is not kept with the message.
pub(crate) fn lock(tx: &mut Tx<'_>, head: &Head, until: Ms) -> rusqlite::Result<()> {
    let sql = "UPDATE message SET state = 1, due = ?3, locks = locks + 1 WHERE queue = ?1 AND seq = ?2";
    tx.run(sql, (head.queue, head.seq, head.session.is_none().then_some(until)))?;
    tx.count(Count::Messages { queue: head.queue, state: head.place }, -1);
    tx.count(Count::Messages { queue: head.queue, state: Place::Locked }, 1);
    Ok(())
}

/// So many ready messages of a queue were locked at once.
pub(crate) fn locked(tx: &mut Tx<'_>, queue: i64, count: usize) {
    tx.count(Count::Messages { queue, state: Place::Ready }, -(count as i64));
    tx.count(Count::Messages { queue, state: Place::Locked }, count as i64);
}

/// All that was deferred in a session that somebody holds is ready again, however much that is.
pub(crate) fn put_back(tx: &mut Tx<'_>, queue: i64, session: i64) -> rusqlite::Result<usize> {
    let count = tx.run("UPDATE message SET state = 0 WHERE session = ?1 AND session > 0 AND state = 3", [session])?;
    tx.count(Count::Messages { queue, state: Place::Deferred }, -(count as i64));
    tx.count(Count::Messages { queue, state: Place::Ready }, count as i64);
    Ok(count)
}

/// Locked messages of no session leave their queue together, and their bodies with them. *Shape*: sorted by number, and
/// all that the queue has between the first and the last.
pub(crate) fn leave_together(tx: &mut Tx<'_>, heads: &[Head]) -> rusqlite::Result<()> {
    let ([first, .., last] | [first @ last]) = heads else { return Ok(()) };
    let range = (first.queue, first.seq, last.seq);
    tx.run("DELETE FROM message WHERE queue = ?1 AND seq BETWEEN ?2 AND ?3", range)?;
    tx.count(Count::Messages { queue: first.queue, state: Place::Locked }, -(heads.len() as i64));
    if last.seq - first.seq + 1 == heads.len() as i64 {
        return tx.run("DELETE FROM body WHERE seq BETWEEN ?1 AND ?2", (first.seq, last.seq)).map(drop);
    }
    // Bodies of other queues lie between them.
    heads.iter().try_for_each(|head| super::send::drop_body(tx, head.seq))
}

/// All messages of a queue between two numbers.
pub(crate) fn between(tx: &Tx<'_>, queue: i64, first: i64, last: i64) -> rusqlite::Result<Vec<Head>> {
    let sql = format!("SELECT {COLUMNS} FROM message WHERE queue = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq");
    tx.all(&sql, (queue, first, last), Head::read)
}

/// A message leaves its queue; its body stays.
pub(crate) fn leave(tx: &mut Tx<'_>, head: &Head) -> rusqlite::Result<()> {
    tx.run("DELETE FROM message WHERE queue = ?1 AND seq = ?2", (head.queue, head.seq))?;
    tx.count(Count::Messages { queue: head.queue, state: head.place }, -1);
    left(tx, head)
}

fn left(tx: &mut Tx<'_>, head: &Head) -> rusqlite::Result<()> {
    match head.session {
        Some(session) => sessions::refresh(tx, head.queue, session),
        None => Ok(()),
    }
}
