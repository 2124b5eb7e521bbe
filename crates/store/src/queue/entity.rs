//! Queues themselves: their settings and their counts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Row};

use super::message::Place;
use super::place::Head;
use super::topics::Subscription;
use super::{place, send};
use crate::error::{Fail, Refusal};
use crate::op::OpResult;
use crate::time::{Ms, duration_ms, ms_duration};
use crate::tx::{Tx, all, first};

/// How a queue behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a receiver may hold a message before it must renew.
    pub lock: Duration,
    /// A message that was delivered this often without being settled becomes a dead letter. Zero: no limit.
    pub max_deliveries: u32,
    /// Messages expire this long after they were enqueued, at the latest.
    pub ttl: Option<Duration>,
    /// What expires becomes a dead letter; otherwise it is dropped.
    pub dead_letter_expired: bool,
    /// A message whose id was sent within this time is a duplicate.
    pub duplicate_window: Option<Duration>,
    /// Messages belong to sessions, and are received in order within one. Fixed when the queue is made.
    pub sessions: bool,
    /// Whatever arrives goes on to this queue or topic.
    pub forward_to: Option<String>,
    /// What is given up on goes to this queue or topic, and not into the dead letters.
    pub forward_dead_letters_to: Option<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            lock: Duration::from_secs(60),
            max_deliveries: 10,
            ttl: None,
            dead_letter_expired: false,
            duplicate_window: None,
            sessions: false,
            forward_to: None,
            forward_dead_letters_to: None,
        }
    }
}

/// How many messages a queue holds, by where they stand. Kept, never counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Can be received now.
    pub ready: u64,
    /// In the hands of a receiver.
    pub locked: u64,
    /// Were abandoned with a delay.
    pub delayed: u64,
    pub deferred: u64,
    pub scheduled: u64,
    /// In its dead-letter queue, whatever their place there.
    pub dead: u64,
}

/// What the operations need to know of a queue.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub id: i64,
    pub path: String,
    pub kind: Kind,
    pub lock_ms: Ms,
    pub max_deliveries: i64,
    pub ttl_ms: Option<Ms>,
    pub dead_letter_expired: bool,
    pub duplicate_window_ms: Option<Ms>,
    pub sessions: bool,
    pub forward_to: Option<String>,
    pub forward_dead_letters_to: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Queue = 0,
    Topic = 1,
    Subscription = 2,
    DeadLetters = 3,
}

impl Kind {
    fn of(number: i64) -> Kind {
        match number {
            1 => Kind::Topic,
            2 => Kind::Subscription,
            3 => Kind::DeadLetters,
            _ => Kind::Queue,
        }
    }
}

/// Settings that were read before and that nobody has changed since.
#[derive(Default)]
pub(crate) struct Cache {
    by_path: HashMap<String, Arc<Queue>>,
    by_id: HashMap<i64, Arc<Queue>>,
    /// By topic.
    pub subscriptions: HashMap<i64, Arc<[Subscription]>>,
    /// How many messages of a queue are not in the index of sessions. Not there: not known.
    pub unfiled: HashMap<i64, usize>,
    version: i64,
}

impl Cache {
    /// Forgets everything if another connection has written.
    pub fn check(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let version = conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if version != self.version {
            self.clear();
            self.version = version;
        }
        Ok(())
    }

    pub fn clear(&mut self) {
        self.by_path.clear();
        self.by_id.clear();
        self.subscriptions.clear();
        self.unfiled.clear();
    }
}

/// What the path of a dead-letter queue ends with.
pub(crate) const DEAD_LETTERS: &str = "/$deadletterqueue";
/// What stands between the path of a topic and the name of a subscription.
pub(crate) const SUBSCRIPTIONS: &str = "/subscriptions/";

const COLUMNS: &str =
    "id, path, kind, lock_ms, max_deliveries, ttl_ms, dead_letter_expired, duplicate_window_ms, sessions,
    forward_to, forward_dead_letters_to";

fn read(row: &Row<'_>) -> rusqlite::Result<Queue> {
    Ok(Queue {
        id: row.get(0)?,
        path: row.get(1)?,
        kind: Kind::of(row.get(2)?),
        lock_ms: row.get(3)?,
        max_deliveries: row.get(4)?,
        ttl_ms: row.get(5)?,
        dead_letter_expired: row.get(6)?,
        duplicate_window_ms: row.get(7)?,
        sessions: row.get(8)?,
        forward_to: row.get(9)?,
        forward_dead_letters_to: row.get(10)?,
    })
}

/// The queue of a path. Paths are compared without regard to case.
pub(crate) fn find(tx: &mut Tx<'_>, path: &str) -> Result<Arc<Queue>, Fail> {
    if let Some(queue) = tx.queues.by_path.get(path) {
        return Ok(Arc::clone(queue));
    }
    let sql = format!("SELECT {COLUMNS} FROM queue WHERE path = ?1");
    let Some(queue) = tx.first(&sql, [path], read)? else {
        return Err(Refusal::NoQueue { path: path.to_owned() }.into());
    };
    let queue = Arc::new(queue);
    tx.queues.by_path.insert(path.to_owned(), Arc::clone(&queue));
    Ok(queue)
}

/// The queue of an id that a row of the file names.
pub(crate) fn by_id(tx: &mut Tx<'_>, id: i64) -> rusqlite::Result<Arc<Queue>> {
    if let Some(queue) = tx.queues.by_id.get(&id) {
        return Ok(Arc::clone(queue));
    }
    let sql = format!("SELECT {COLUMNS} FROM queue WHERE id = ?1");
    let queue = tx.first(&sql, [id], read)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    let queue = Arc::new(queue);
    tx.queues.by_id.insert(id, Arc::clone(&queue));
    Ok(queue)
}

/// The dead-letter queue of a queue or subscription.
pub(crate) fn dead_letter_queue(tx: &mut Tx<'_>, of: &Queue) -> rusqlite::Result<Arc<Queue>> {
    let sql = "SELECT id FROM queue WHERE parent = ?1 AND kind = 3";
    let id = tx.first(sql, [of.id], |row| row.get(0))?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    by_id(tx, id)
}

/// The queue of a path, made with the usual settings if there is none.
pub(crate) fn ensure(tx: &mut Tx<'_>, path: &str) -> Result<Arc<Queue>, Fail> {
    match find(tx, path) {
        Err(Fail::Refused(Refusal::NoQueue { .. })) => {
            put(tx, path, &Settings::default(), Kind::Queue, None)?;
            find(tx, path)
        }
        found => found,
    }
}

/// Makes a queue, topic or subscription, or changes its settings. A subscription's rules are written after it.
pub(crate) fn put(
    tx: &mut Tx<'_>,
    path: &str,
    settings: &Settings,
    kind: Kind,
    parent: Option<i64>,
) -> Result<OpResult, Fail> {
    let refuse = |reason| Err(Refusal::QueueUse { path: path.to_owned(), reason }.into());
    if path.is_empty() || path.len() > 260 {
        return refuse("not a path: it must have between 1 and 260 bytes");
    }
    let lower = path.to_ascii_lowercase();
    if lower.contains(DEAD_LETTERS) {
        return refuse("the path of a dead-letter queue, which comes and goes with its queue");
    }
    if kind != Kind::Subscription && lower.contains(SUBSCRIPTIONS) {
        return refuse("the path of a subscription, which is made at its topic");
    }
    if kind == Kind::Topic && (settings.sessions || settings.forward_to.is_some()) {
        return refuse("a topic: its subscriptions have sessions and forward, it has not");
    }
    let known = find(tx, path).ok();
    match &known {
        Some(known) if known.kind != kind => return refuse("there already, as something else"),
        Some(known) if known.sessions != settings.sessions => return refuse("there already, with other sessions"),
        _ => {}
    }
    let lock_ms = duration_ms(settings.lock).max(1);
    let values = rusqlite::params![
        path,
        lock_ms,
        settings.max_deliveries,
        settings.ttl.map(duration_ms),
        settings.dead_letter_expired,
        settings.duplicate_window.map(duration_ms),
        settings.sessions,
        settings.forward_to,
        settings.forward_dead_letters_to,
        kind as i64,
        parent,
    ];
    let sql = "INSERT INTO queue (path, lock_ms, max_deliveries, ttl_ms, dead_letter_expired, duplicate_window_ms,
                 sessions, forward_to, forward_dead_letters_to, kind, parent)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
               ON CONFLICT (path) DO UPDATE SET lock_ms = ?2, max_deliveries = ?3, ttl_ms = ?4,
                 dead_letter_expired = ?5, duplicate_window_ms = ?6, forward_to = ?8, forward_dead_letters_to = ?9";
    tx.run(sql, values)?;
    tx.queues.clear();
    let queue = find(tx, path)?;
    if known.is_none() && kind != Kind::Topic {
        let sql = "INSERT INTO queue (path, kind, parent, lock_ms, max_deliveries, dead_letter_expired, sessions)
                   VALUES (?1, 3, ?2, ?3, 0, 0, 0)";
        tx.run(sql, (format!("{path}{DEAD_LETTERS}"), queue.id, lock_ms))?;
    }
    if queue.forward_to.is_some() && known.is_some_and(|known| known.forward_to.is_none()) {
        forward_all(tx, &queue)?;
    }
    Ok(OpResult::Done)
}

/// A queue that forwards from now on: what was ready in it goes first.
fn forward_all(tx: &mut Tx<'_>, queue: &Queue) -> rusqlite::Result<()> {
    let sql = format!("SELECT {} FROM message WHERE queue = ?1 AND state = 0 ORDER BY seq", place::COLUMNS);
    tx.all(&sql, [queue.id], Head::read)?.iter().try_for_each(|head| send::go_on(tx, queue, head))
}

pub(crate) fn remove(tx: &mut Tx<'_>, path: &str) -> Result<OpResult, Fail> {
    let queue = find(tx, path)?;
    if queue.kind == Kind::DeadLetters {
        let reason = "a dead-letter queue, which comes and goes with its queue";
        return Err(Refusal::QueueUse { path: path.to_owned(), reason }.into());
    }
    let removed = remove_tree(tx, queue.id)?;
    tx.queues.clear();
    Ok(OpResult::Count(removed))
}

/// Removes a queue with its subscriptions and dead-letter queues.
fn remove_tree(tx: &mut Tx<'_>, id: i64) -> rusqlite::Result<u64> {
    let mut removed = 0;
    for child in tx.all("SELECT id FROM queue WHERE parent = ?1", [id], |row| row.get(0))? {
        removed += remove_tree(tx, child)?;
    }
    // A body that a dead letter still shows stays with it.
    let sql = "DELETE FROM body WHERE seq IN (SELECT seq FROM message WHERE queue = ?1)
               AND seq NOT IN (SELECT seq FROM dead_letter)";
    tx.run(sql, [id])?;
    removed += tx.run("DELETE FROM message WHERE queue = ?1", [id])? as u64;
    for sql in [
        "DELETE FROM seen WHERE queue = ?1",
        "DELETE FROM session WHERE queue = ?1",
        "DELETE FROM rule WHERE queue = ?1",
        "DELETE FROM tally WHERE id BETWEEN ?1 * 8 + 8 AND ?1 * 8 + 15",
    ] {
        tx.run(sql, [id])?;
    }
    tx.run("DELETE FROM queue WHERE id = ?1", [id])?;
    Ok(removed)
}

/// Where the numbers of a queue stand in the table of numbers.
fn tally_of(queue: i64, place: Place) -> i64 {
    queue * 8 + 8 + place as i64
}

pub(crate) fn add_to_count(tx: &Tx<'_>, queue: i64, place: Place, by: i64) -> rusqlite::Result<()> {
    tx.tally(tally_of(queue, place), by)
}

/// The counts of one queue.
pub(crate) fn counts(conn: &Connection, path: &str) -> rusqlite::Result<Option<Counts>> {
    let Some((id, _)) = id_and_kind(conn, path)? else { return Ok(None) };
    let places = |queue| -> rusqlite::Result<[u64; 5]> {
        let mut counts = [0; Place::ALL.len()];
        let sql = "SELECT id - ?1, n FROM tally WHERE id BETWEEN ?1 AND ?1 + 4";
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        for (place, count) in all(conn, sql, [tally_of(queue, Place::Ready)], read)? {
            counts[place as usize] = count as u64;
        }
        Ok(counts)
    };
    let [ready, locked, delayed, deferred, scheduled] = places(id)?;
    let dead = first(conn, "SELECT id FROM queue WHERE parent = ?1 AND kind = 3", [id], |row| row.get(0))?;
    let dead = dead.map_or(Ok([0; 5]), places)?.iter().sum();
    Ok(Some(Counts { ready, locked, delayed, deferred, scheduled, dead }))
}

/// The settings of one queue.
pub(crate) fn settings(conn: &Connection, path: &str) -> rusqlite::Result<Option<Settings>> {
    let found = first(conn, &format!("SELECT {COLUMNS} FROM queue WHERE path = ?1"), [path], read)?;
    Ok(found.map(|queue| Settings {
        lock: ms_duration(queue.lock_ms),
        max_deliveries: queue.max_deliveries as u32,
        ttl: queue.ttl_ms.map(ms_duration),
        dead_letter_expired: queue.dead_letter_expired,
        duplicate_window: queue.duplicate_window_ms.map(ms_duration),
        sessions: queue.sessions,
        forward_to: queue.forward_to,
        forward_dead_letters_to: queue.forward_dead_letters_to,
    }))
}

/// What a path means, for those who only read.
pub(crate) fn id_and_kind(conn: &Connection, path: &str) -> rusqlite::Result<Option<(i64, Kind)>> {
    first(conn, "SELECT id, kind FROM queue WHERE path = ?1", [path], |row| Ok((row.get(0)?, Kind::of(row.get(1)?))))
}
