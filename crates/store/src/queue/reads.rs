//! Questions about queues.

use rusqlite::Connection;

use super::entity::{self, Counts, Kind, Settings};
use super::message::{Message, Peeked};
use super::place::{COLUMNS, Head};
use super::topics::Rule;
use super::{receive, topics};
use crate::time::from_ms;
use crate::tx::{all, first};
use crate::{Error, Store};

impl Store {
    /// How many messages a queue holds, by where they stand. `None`: there is no such queue.
    pub fn queue_counts(&self, queue: &str) -> Result<Option<Counts>, Error> {
        self.read(|conn| entity::counts(conn, queue))
    }

    /// How a queue behaves. `None`: there is no such queue.
    pub fn queue_settings(&self, queue: &str) -> Result<Option<Settings>, Error> {
        self.read(|conn| entity::settings(conn, queue))
    }

    /// What a subscription takes, by the names of its rules. *Shape*: empty where there is no such subscription.
    pub fn subscription_rules(&self, subscription: &str) -> Result<Vec<Rule>, Error> {
        self.read(|conn| match entity::id_and_kind(conn, subscription)? {
            Some((id, _)) => topics::rules(conn, id),
            None => Ok(Vec::new()),
        })
    }

    /// The paths of all queues in order, without their dead-letter queues.
    pub fn queues(&self) -> Result<Vec<String>, Error> {
        self.read(|conn| {
            crate::tx::all(conn, "SELECT path FROM queue WHERE kind <> 3 ORDER BY path", [], |row| row.get(0))
        })
    }

    /// Looks at messages without locking them, from a sequence number on, in order, wherever they stand.
    /// *Shape*: at most `limit`, and never more than 1000. `None`: there is no such queue.
    pub fn peek(&self, queue: &str, from: i64, limit: usize) -> Result<Option<Vec<Peeked>>, Error> {
        self.read(|conn| {
            let Some((id, kind)) = entity::id_and_kind(conn, queue)? else { return Ok(None) };
            let sql = format!("SELECT {COLUMNS} FROM message WHERE queue = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3");
            all(conn, &sql, (id, from, limit.min(1000) as i64), Head::read)?
                .into_iter()
                .map(|head| peeked(conn, kind, head))
                .collect::<rusqlite::Result<_>>()
                .map(Some)
        })
    }

    /// Looks at the messages of one session in the same way, oldest first. *Shape*: at most `limit`, and never more than 1000.
    pub fn peek_session(&self, queue: &str, session: &str, limit: usize) -> Result<Vec<Peeked>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM (
               SELECT m.* FROM session s JOIN message m ON m.session = s.id AND m.session > 0
                 WHERE s.queue = ?1 AND s.name = ?2
               UNION ALL SELECT m.* FROM session s JOIN queue q ON q.id = s.queue
                 JOIN message m ON m.queue = q.id AND m.seq > q.filed AND m.session = -s.id
                 WHERE s.queue = ?1 AND s.name = ?2)
             ORDER BY seq LIMIT ?3"
        );
        self.read(|conn| {
            let Some((id, kind)) = entity::id_and_kind(conn, queue)? else { return Ok(Vec::new()) };
            let heads = all(conn, &sql, (id, session, limit.min(1000) as i64), Head::read)?;
            heads.into_iter().map(|head| peeked(conn, kind, head)).collect()
        })
    }

    /// The names of sessions that have messages, a state or a holder, in order, after a name.
    /// *Shape*: at most `limit`, and never more than 1000.
    pub fn sessions(&self, queue: &str, after: &str, limit: usize) -> Result<Vec<String>, Error> {
        let sql = "SELECT s.name FROM session s JOIN queue q ON q.id = s.queue
                   WHERE q.path = ?1 AND s.name > ?2 ORDER BY s.name LIMIT ?3";
        self.read(|conn| all(conn, sql, (queue, after, limit.min(1000) as i64), |row| row.get(0)))
    }

    /// The messages of a session that nobody has taken yet, wherever else they stand, newest first.
    /// *Shape*: at most `limit`.
    pub fn session_waiting(&self, queue: &str, session: &str, limit: usize) -> Result<Vec<Message>, Error> {
        // Those that are filed under their session, and the newest of the queue, which may not be yet.
        let sql = "SELECT seq FROM (
                     SELECT m.seq FROM queue q JOIN session s ON s.queue = q.id
                       JOIN message m ON m.session = s.id AND m.session > 0
                       WHERE q.path = ?1 AND s.name = ?2 AND m.state <> 1
                     UNION ALL SELECT m.seq FROM queue q JOIN session s ON s.queue = q.id
                       JOIN message m ON m.queue = q.id AND m.seq > q.filed AND m.session = -s.id
                       WHERE q.path = ?1 AND s.name = ?2)
                   ORDER BY seq DESC LIMIT ?3";
        self.read(|conn| {
            let seqs: Vec<i64> = all(conn, sql, (queue, session, limit as i64), |row| row.get(0))?;
            seqs.into_iter().map(|seq| receive::body(conn, seq).map(|(message, _)| message)).collect()
        })
    }

    /// Whether somebody holds a session now.
    pub fn session_is_held(&self, queue: &str, session: &str) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM session s JOIN queue q ON q.id = s.queue
                   WHERE q.path = ?1 AND s.name = ?2 AND s.until IS NOT NULL";
        self.read(|conn| Ok(first(conn, sql, (queue, session), |_| Ok(()))?.is_some()))
    }

    /// What the holders of a session noted with it. Nothing where there is no such session.
    pub fn session_state(&self, queue: &str, session: &str) -> Result<Option<Vec<u8>>, Error> {
        let sql = "SELECT s.state FROM session s JOIN queue q ON q.id = s.queue WHERE q.path = ?1 AND s.name = ?2";
        self.read(|conn| Ok(first(conn, sql, (queue, session), |row| row.get::<_, Option<Vec<u8>>>(0))?.flatten()))
    }

    /// Since when the oldest message that is ready waits: the age of the backlog.
    pub fn oldest_ready(&self, queue: &str) -> Result<Option<jiff::Timestamp>, Error> {
        // The first that is ready by number; those in sessions and those without have an index each.
        let sql = "SELECT min(enqueued) FROM (
                     SELECT * FROM (SELECT m.enqueued FROM message m INDEXED BY message_ready WHERE m.queue = ?1 AND m.state = 0
                       AND m.session IS NULL ORDER BY m.seq LIMIT 1)
                     UNION ALL SELECT * FROM (SELECT m.enqueued FROM session s JOIN message m
                       ON m.queue = s.queue AND m.seq = s.head
                       WHERE s.queue = ?1 AND s.head IS NOT NULL ORDER BY s.head LIMIT 1))";
        self.read(|conn| match entity::id_and_kind(conn, queue)? {
            Some((id, _)) => Ok(first(conn, sql, [id], |row| row.get::<_, Option<i64>>(0))?.flatten().map(from_ms)),
            None => Ok(None),
        })
    }
}

fn peeked(conn: &Connection, kind: Kind, head: Head) -> rusqlite::Result<Peeked> {
    let (message, first_seq) = receive::body(conn, head.seq)?;
    Ok(Peeked {
        seq: head.seq,
        first_seq,
        place: head.place,
        enqueued: from_ms(head.enqueued),
        due: head.due.map(from_ms),
        expires: head.expires.map(from_ms),
        deliveries: head.deliveries as u32,
        problem: receive::problem(conn, kind, head.seq)?,
        message,
    })
}
