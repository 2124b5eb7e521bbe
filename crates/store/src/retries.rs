//! Retries of many dead letters at once: a job with its items, as they were when somebody looked.
//!
//! What is started, with what became of it, stands here, so that a job goes on where it was after a crash. Nothing in it
//! decides when an item is started or how one ended; that is the engine's.

use std::fmt;

use jiff::Timestamp;
use rusqlite::{Connection, Row};

use crate::Store;
use crate::audit::Actor;
use crate::dead_letters::DeadLetterId;
use crate::error::{Error, Fail, Refusal};
use crate::op::OpResult;
use crate::time::{Ms, from_ms, to_ms};
use crate::tx::{Tx, all, first};
use crate::words::words;

/// A job's number, as people type it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

words! {
    /// How a job stands.
    pub enum State {
        Running = "running",
        /// It starts nothing more until somebody says so.
        Paused = "paused",
        Done = "done",
        /// A person has ended it; what was not started stays as it was.
        Cancelled = "cancelled",
    }
}

words! {
    /// How one of its dead letters stands.
    pub enum ItemState {
        Waiting = "waiting",
        /// It is on its way again.
        Started = "started",
        /// It was processed.
        Ok = "ok",
        /// It is a dead letter again.
        Failed = "failed",
        /// Somebody else had dealt with it.
        Skipped = "skipped",
    }
}

/// One job, with how many of its items stand how.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub id: JobId,
    pub integration: String,
    /// The group that was retried; empty where letters were chosen one by one.
    pub cause: String,
    pub made: Timestamp,
    pub by: Actor,
    pub why: Option<String>,
    /// The moment of the look that it acts on.
    pub as_of: Timestamp,
    pub state: State,
    /// It pauses once so many have ended, so that somebody looks.
    pub stop_after: Option<u64>,
    pub per_minute: Option<u32>,
    pub changed: Timestamp,
    /// Why it is as it is, for people.
    pub note: String,
    pub counts: ItemCounts,
}

/// How many items of a job stand how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ItemCounts {
    pub waiting: u64,
    pub started: u64,
    pub ok: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl ItemCounts {
    pub fn all(&self) -> u64 {
        self.waiting + self.started + self.ended()
    }

    pub fn ended(&self) -> u64 {
        self.ok + self.failed + self.skipped
    }
}

/// One dead letter of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub pos: i64,
    pub letter: DeadLetterId,
    pub state: ItemState,
    /// When it was started.
    pub at: Option<Timestamp>,
    /// What became of it, for people.
    pub result: String,
}

/// A job that is to be made.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub integration: String,
    pub cause: String,
    pub by: Actor,
    pub why: Option<String>,
    pub as_of: Timestamp,
    pub stop_after: Option<u64>,
    pub per_minute: Option<u32>,
    /// In the order in which they are started.
    pub letters: Vec<DeadLetterId>,
}

/// What can be done with jobs.
#[derive(Debug, Clone)]
pub enum Op {
    /// Makes a job that runs. Answers its number.
    Start(Box<NewJob>),
    /// An item goes from the state that somebody saw to another. Refused when it is not in that state, and for starting
    /// one of a job that does not run.
    Item { job: JobId, pos: i64, seen: ItemState, to: ItemState, result: String },
    /// A job goes from the state that somebody saw to another. Refused otherwise.
    Change { job: JobId, seen: State, to: State, note: String },
    /// From now on at this rate, and to this number of items.
    Pace { job: JobId, per_minute: Option<u32>, stop_after: Option<u64> },
    /// Forgets jobs that ended before a time, at most `max`. Answers how many.
    Forget { before: Timestamp, max: usize },
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    match op {
        Op::Start(job) => start(tx, job).map(OpResult::Job),
        Op::Item { job, pos, seen, to, result } => {
            let sql = "UPDATE retry_item SET state = ?4, result = ?5, at = iif(?4 = 'started', ?6, at)
                       WHERE job = ?1 AND pos = ?2 AND state = ?3 AND (?4 <> 'started' OR
                         (SELECT state FROM retry_job WHERE id = ?1) = 'running')";
            match tx.run(sql, (job.0, pos, seen, to, result, tx.now))? {
                0 => Err(Refusal::RetryMoved { job: *job }.into()),
                _ => Ok(OpResult::Done),
            }
        }
        Op::Change { job, seen, to, note } => {
            let sql = "UPDATE retry_job SET state = ?3, note = ?4, changed = ?5 WHERE id = ?1 AND state = ?2";
            match tx.run(sql, (job.0, seen, to, note, tx.now))? {
                0 => Err(Refusal::RetryMoved { job: *job }.into()),
                _ => Ok(OpResult::Done),
            }
        }
        Op::Pace { job, per_minute, stop_after } => {
            let sql = "UPDATE retry_job SET per_minute = ?2, stop_after = ?3 WHERE id = ?1";
            tx.run(sql, (job.0, per_minute, stop_after.map(|n| n as i64)))?;
            Ok(OpResult::Done)
        }
        Op::Forget { before, max } => {
            let sql = "SELECT id FROM retry_job WHERE state IN ('done', 'cancelled') AND changed < ?1 LIMIT ?2";
            let ids: Vec<i64> = tx.all(sql, (to_ms(*before), *max as i64), |row| row.get(0))?;
            for id in &ids {
                tx.run("DELETE FROM retry_item WHERE job = ?1", [id])?;
                tx.run("DELETE FROM retry_job WHERE id = ?1", [id])?;
            }
            Ok(OpResult::Count(ids.len() as u64))
        }
    }
}

fn start(tx: &mut Tx<'_>, job: &NewJob) -> Result<JobId, Fail> {
    let sql =
        "INSERT INTO retry_job (integration, cause, made, by, via, why, as_of, state, stop_after, per_minute, changed,
                 note) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'running', ?8, ?9, ?3, '')";
    tx.run(
        sql,
        rusqlite::params![
            job.integration,
            job.cause,
            tx.now,
            job.by.name,
            job.by.via,
            job.why,
            to_ms(job.as_of),
            job.stop_after.map(|n| n as i64),
            job.per_minute
        ],
    )?;
    let id = tx.conn.last_insert_rowid();
    for (pos, letter) in job.letters.iter().enumerate() {
        let sql = "INSERT INTO retry_item (job, pos, letter, state) VALUES (?1, ?2, ?3, 'waiting')";
        tx.run(sql, (id, pos as i64, letter.as_str()))?;
    }
    Ok(JobId(id))
}

const COLUMNS: &str = "id, integration, cause, made, by, via, why, as_of, state, stop_after, per_minute, changed, note";

fn read(row: &Row<'_>) -> rusqlite::Result<Job> {
    Ok(Job {
        id: JobId(row.get(0)?),
        integration: row.get(1)?,
        cause: row.get(2)?,
        made: from_ms(row.get(3)?),
        by: Actor { name: row.get(4)?, via: row.get(5)? },
        why: row.get(6)?,
        as_of: from_ms(row.get(7)?),
        state: row.get(8)?,
        stop_after: row.get::<_, Option<i64>>(9)?.map(|n| n as u64),
        per_minute: row.get(10)?,
        changed: from_ms(row.get(11)?),
        note: row.get(12)?,
        counts: ItemCounts::default(),
    })
}

/// With the counts of their items, by the index of states.
fn counted(conn: &Connection, mut jobs: Vec<Job>) -> rusqlite::Result<Vec<Job>> {
    for job in &mut jobs {
        let sql = "SELECT state, count(*) FROM retry_item WHERE job = ?1 GROUP BY state";
        let counts = all(conn, sql, [job.id.0], |row| Ok((row.get::<_, ItemState>(0)?, row.get::<_, i64>(1)? as u64)))?;
        for (state, count) in counts {
            match state {
                ItemState::Waiting => job.counts.waiting = count,
                ItemState::Started => job.counts.started = count,
                ItemState::Ok => job.counts.ok = count,
                ItemState::Failed => job.counts.failed = count,
                ItemState::Skipped => job.counts.skipped = count,
            }
        }
    }
    Ok(jobs)
}

impl Store {
    /// The jobs that are not over, and with `all` the others too; the newest first. *Shape*: at most `limit`.
    pub fn retry_jobs(&self, all_of_them: bool, limit: usize) -> Result<Vec<Job>, Error> {
        let states = if all_of_them { "true" } else { "state IN ('running', 'paused')" };
        let sql = format!("SELECT {COLUMNS} FROM retry_job WHERE {states} ORDER BY id DESC LIMIT ?1");
        self.read(|conn| counted(conn, all(conn, &sql, [limit as i64], read)?))
    }

    pub fn retry_job(&self, id: JobId) -> Result<Option<Job>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM retry_job WHERE id = ?1");
        self.read(|conn| Ok(counted(conn, all(conn, &sql, [id.0], read)?)?.pop()))
    }

    /// Items of a job in their order, from a place on. *Shape*: at most `limit`; with `state` only those.
    pub fn retry_items(
        &self,
        job: JobId,
        state: Option<ItemState>,
        from: i64,
        limit: usize,
    ) -> Result<Vec<Item>, Error> {
        let sql = "SELECT pos, letter, state, at, result FROM retry_item
                   WHERE job = ?1 AND (?2 IS NULL OR state = ?2) AND pos >= ?3 ORDER BY pos LIMIT ?4";
        self.read(|conn| {
            all(conn, sql, (job.0, state, from, limit as i64), |row| {
                Ok(Item {
                    pos: row.get(0)?,
                    letter: DeadLetterId::from(&*row.get::<_, String>(1)?),
                    state: row.get(2)?,
                    at: row.get::<_, Option<Ms>>(3)?.map(from_ms),
                    result: row.get(4)?,
                })
            })
        })
    }

    /// How many items of a job were started after a moment.
    pub fn retry_started_since(&self, job: JobId, after: Timestamp) -> Result<u64, Error> {
        let sql = "SELECT count(*) FROM retry_item WHERE job = ?1 AND at > ?2";
        let found = self.read(|conn| first(conn, sql, (job.0, to_ms(after)), |row| row.get::<_, i64>(0)))?;
        Ok(found.unwrap_or(0) as u64)
    }
}
