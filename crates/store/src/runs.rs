//! Runs: one execution of a batch integration, its counts and how it ended.

use std::fmt;

use jiff::Timestamp;
use rusqlite::{Connection, Row};

use crate::error::{Error, Fail, Refusal};
use crate::op::OpResult;
use crate::time::{from_ms, to_ms};
use crate::tx::{Count, Tx, all, first};
use crate::words::words;
use crate::{Store, deadlines};

/// A run's number, as people say it: counted up from one over all integrations of the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

words! {
    /// Why a run was started.
    pub enum Trigger {
        /// A slot of the schedule was due.
        Schedule = "schedule",
        /// A person asked for it.
        Command = "command",
        /// A person asked for a window of time again: nothing that was due is answered by that.
        Backfill = "backfill",
        /// The run before it failed, and `retry_run` says to try again.
        Retry = "retry",
        /// Somebody approved what an earlier run had planned.
        Approval = "approval",
    }
}

words! {
    /// How a run stands.
    pub enum State {
        Running = "running",
        /// Everything that was to be written is written.
        Ok = "ok",
        /// It went through, and some rows are dead letters now.
        OkWithDeadLetters = "ok_with_dead_letters",
        /// It went through with less than was asked for.
        Degraded = "degraded",
        Failed = "failed",
        /// It has planned, and waits until somebody has looked; nothing was written.
        WaitingForApproval = "waiting_for_approval",
        /// Somebody has looked and said no; nothing was written.
        NotApproved = "not_approved",
        /// The process that ran it went away; what it had committed stays.
        Interrupted = "interrupted",
    }
}

impl State {
    /// It went through: what the source had by its beginning is in the destination, but for dead letters.
    pub fn is_good(self) -> bool {
        matches!(self, State::Ok | State::OkWithDeadLetters | State::Degraded)
    }
}

/// What happened to the rows of a run. `read = created + updated + deleted + unchanged + rejected + skipped` when the run
/// adds up; [`Counts::adds_up`] checks that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub read: u64,
    pub created: u64,
    pub updated: u64,
    pub deleted: u64,
    pub unchanged: u64,
    pub rejected: u64,
    pub skipped: u64,
}

impl Counts {
    /// Rows that were changed in the destination.
    pub fn written(&self) -> u64 {
        self.created + self.updated + self.deleted
    }

    /// Whether every row that was read is accounted for exactly once.
    pub fn adds_up(&self) -> bool {
        self.read == self.written() + self.unchanged + self.rejected + self.skipped
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Counts) {
        self.read += more.read;
        self.created += more.created;
        self.updated += more.updated;
        self.deleted += more.deleted;
        self.unchanged += more.unchanged;
        self.rejected += more.rejected;
        self.skipped += more.skipped;
    }
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunError {
    pub code: String,
    /// What, where, why and what to do, as a person reads it.
    pub text: String,
    /// The same as a JSON object; empty when there is no more to say.
    pub detail: String,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub id: RunId,
    pub integration: String,
    pub trigger: Trigger,
    /// The moment of the schedule that it was due at, which may be earlier than `started`.
    pub slot: Option<Timestamp>,
    pub retry_of: Option<RunId>,
    pub state: State,
    pub started: Timestamp,
    pub finished: Option<Timestamp>,
    pub counts: Counts,
    pub error: Option<RunError>,
}

/// What can be done with a run.
#[derive(Debug, Clone)]
pub enum Op {
    /// Starts a run; answers its number.
    Start { integration: String, trigger: Trigger, slot: Option<Timestamp>, retry_of: Option<RunId> },
    /// Adds to the counts of a running run; part of the commit of each chunk.
    Progress { run: RunId, more: Counts },
    /// Ends a running run.
    Finish { run: RunId, state: State, error: Option<RunError> },
    /// Closes whatever a crash left running for this integration; answers the runs it closed. The next holder of the
    /// lease does it first.
    CloseInterrupted { integration: String },
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    match op {
        Op::Start { integration, trigger, slot, retry_of } => {
            let sql = "INSERT INTO run (integration, trigger, slot, retry_of, state, started) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let values = (integration, trigger, slot.map(to_ms), retry_of.map(|run| run.0), State::Running, tx.now);
            tx.run(sql, values)?;
            Ok(OpResult::Run(RunId(tx.conn.last_insert_rowid())))
        }
        Op::Progress { run, more } => {
            let sql = "UPDATE run SET read = read + ?2, created = created + ?3, updated = updated + ?4,
                       deleted = deleted + ?5, unchanged = unchanged + ?6, rejected = rejected + ?7,
                       skipped = skipped + ?8 WHERE id = ?1 AND state = 'running'";
            let Counts { read, created, updated, deleted, unchanged, rejected, skipped } = *more;
            let values = [read, created, updated, deleted, unchanged, rejected, skipped].map(|n| n as i64);
            let [read, created, updated, deleted, unchanged, rejected, skipped] = values;
            let values = (run.0, read, created, updated, deleted, unchanged, rejected, skipped);
            running(tx.run(sql, values)?, *run)
        }
        Op::Finish { run, state, error } => {
            let sql = "UPDATE run SET state = ?2, finished = ?3, error_code = ?4, error_text = ?5, error_detail = ?6
                       WHERE id = ?1 AND state = 'running'";
            let (code, text, detail) = match error {
                Some(error) => (Some(&error.code), Some(&error.text), Some(&error.detail)),
                None => (None, None, None),
            };
            let done = running(tx.run(sql, (run.0, state, tx.now, code, text, detail))?, *run)?;
            if state.is_good() {
                let sql = "SELECT integration, started, read FROM run WHERE id = ?1 AND trigger <> 'backfill'";
                let run = tx.first(sql, [run.0], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))?;
                let Some((integration, began, read)) = run else { return Ok(done) };
                deadlines::meet(tx, &integration, began)?;
                tx.count(Count::Traffic { name: integration }, read);
            }
            Ok(done)
        }
        Op::CloseInterrupted { integration } => {
            let sql = "UPDATE run SET state = 'interrupted', finished = ?2
                       WHERE integration = ?1 AND state = 'running' RETURNING id";
            Ok(OpResult::Runs(tx.all(sql, (integration, tx.now), |row| Ok(RunId(row.get(0)?)))?))
        }
    }
}

fn running(changed: usize, run: RunId) -> Result<OpResult, Fail> {
    match changed {
        0 => Err(Refusal::NotRunning { run }.into()),
        _ => Ok(OpResult::Done),
    }
}

pub(crate) const COLUMNS: &str =
    "id, integration, trigger, slot, retry_of, state, started, finished, read, created, updated,
    deleted, unchanged, rejected, skipped, error_code, error_text, error_detail";

pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Run> {
    let count = |at| row.get::<_, i64>(at).map(|n| n as u64);
    let error = match row.get(15)? {
        Some(code) => Some(RunError { code, text: row.get(16)?, detail: row.get(17)? }),
        None => None,
    };
    Ok(Run {
        id: RunId(row.get(0)?),
        integration: row.get(1)?,
        trigger: row.get(2)?,
        slot: row.get::<_, Option<i64>>(3)?.map(from_ms),
        retry_of: row.get::<_, Option<i64>>(4)?.map(RunId),
        state: row.get(5)?,
        started: from_ms(row.get(6)?),
        finished: row.get::<_, Option<i64>>(7)?.map(from_ms),
        counts: Counts {
            read: count(8)?,
            created: count(9)?,
            updated: count(10)?,
            deleted: count(11)?,
            unchanged: count(12)?,
            rejected: count(13)?,
            skipped: count(14)?,
        },
        error,
    })
}

fn page(conn: &Connection, integration: Option<&str>, before: RunId, limit: usize) -> rusqlite::Result<Vec<Run>> {
    let limit = limit.min(1000) as i64;
    match integration {
        Some(name) => {
            let sql = format!("SELECT {COLUMNS} FROM run WHERE integration = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3");
            all(conn, &sql, (name, before.0, limit), read)
        }
        None => {
            let sql = format!("SELECT {COLUMNS} FROM run WHERE id < ?1 ORDER BY id DESC LIMIT ?2");
            all(conn, &sql, (before.0, limit), read)
        }
    }
}

/// Of a run in SQL: it was good, and answers what was due.
const GOOD: &str = "state IN ('ok', 'ok_with_dead_letters', 'degraded') AND trigger <> 'backfill'";

impl Store {
    /// One run.
    pub fn run(&self, id: RunId) -> Result<Option<Run>, Error> {
        self.read(|conn| first(conn, &format!("SELECT {COLUMNS} FROM run WHERE id = ?1"), [id.0], read))
    }

    /// Runs, newest first, of one integration or of all; the next page starts before the last run of this one.
    /// *Shape*: at most `limit`, and never more than 1000.
    pub fn runs(&self, integration: Option<&str>, before: Option<RunId>, limit: usize) -> Result<Vec<Run>, Error> {
        self.read(|conn| page(conn, integration, before.unwrap_or(RunId(i64::MAX)), limit))
    }

    /// The newest run of every integration that ever ran, by the name of the integration.
    pub fn last_runs(&self) -> Result<Vec<Run>, Error> {
        self.newest_runs("integration = i")
    }

    /// The same of the runs that answer what was due: no backfill.
    pub fn last_due_runs(&self) -> Result<Vec<Run>, Error> {
        self.newest_runs("integration = i AND trigger <> 'backfill'")
    }

    fn newest_runs(&self, which: &str) -> Result<Vec<Run>, Error> {
        // From name to name by the index, however many runs each has.
        let sql = format!(
            "WITH RECURSIVE name (i) AS (
               SELECT min(integration) FROM run
               UNION ALL SELECT (SELECT min(integration) FROM run WHERE integration > i) FROM name WHERE i IS NOT NULL)
             SELECT {COLUMNS} FROM name JOIN run ON id = (SELECT max(id) FROM run WHERE {which}) ORDER BY i"
        );
        self.read(|conn| all(conn, &sql, [], read))
    }

    /// When the newest good run of an integration began: what was due by then is there.
    pub fn last_good_start(&self, integration: &str) -> Result<Option<Timestamp>, Error> {
        let sql = format!("SELECT started FROM run WHERE integration = ?1 AND {GOOD} ORDER BY id DESC LIMIT 1");
        self.read(|conn| first(conn, &sql, [integration], |row| row.get(0).map(from_ms)))
    }

    /// Whether a run of an integration ended with this error since its newest good one.
    pub fn failed_since_good(&self, integration: &str, code: &str) -> Result<bool, Error> {
        let sql = format!(
            "SELECT 1 FROM run WHERE integration = ?1 AND error_code = ?2 AND id > coalesce(
               (SELECT max(id) FROM run WHERE integration = ?1 AND {GOOD}), 0) LIMIT 1"
        );
        self.read(|conn| Ok(first(conn, &sql, (integration, code), |_| Ok(()))?.is_some()))
    }

    /// The newest run of one integration.
    pub fn last_run(&self, integration: &str) -> Result<Option<Run>, Error> {
        self.runs(Some(integration), None, 1).map(|runs| runs.into_iter().next())
    }
}
