//! Instances of flows: how far each has come, and what it has done.
//!
//! An instance belongs to the version of the definition that it began with. Whoever moves it says which revision was
//! seen; a move of anything older is refused, so that two decisions never both count. What an instance means is not
//! known here: its data is a text.

pub(crate) mod forget;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use record::Key;
use rusqlite::{Connection, Row};

use crate::Store;
use crate::error::{Error, Fail, Refusal};
use crate::op::OpResult;
use crate::time::{from_ms, to_ms};
use crate::tx::{Tx, all, first};
use crate::words::words;

/// An instance's number, as people type it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub i64);

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

words! {
    /// How an instance stands.
    pub enum State {
        /// The flow has more starts than its ceiling allows; it begins when there is room.
        Held = "held",
        /// It goes on by itself, at [`Instance::wake`] or when somebody answers.
        Running = "running",
        /// It cannot go on, and somebody has to look.
        Failed = "failed",
        Done = "done",
        Cancelled = "cancelled",
    }
}

impl State {
    pub fn is_over(self) -> bool {
        matches!(self, State::Done | State::Cancelled)
    }
}

/// One instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    pub id: InstanceId,
    pub integration: String,
    pub version: u32,
    pub entity: String,
    pub key: Key,
    pub state: State,
    /// Grows with each move.
    pub revision: u64,
    /// The path of its step, for people; nothing once it has ended.
    pub at: Option<String>,
    pub data: String,
    /// When to look at it without being asked.
    pub wake: Option<Timestamp>,
    /// How often the step that is under way has failed.
    pub attempts: u32,
    /// A JSON object: the error that it met last.
    pub problem: Option<String>,
    pub started: Timestamp,
    pub updated: Timestamp,
    pub ended: Option<Timestamp>,
}

/// The definition that instances of one version follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub integration: String,
    pub version: u32,
    pub fingerprint: String,
    pub definition: String,
    pub since: Timestamp,
    /// Instances of it that have not ended.
    pub running: u64,
}

/// A line of the history of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub at: Timestamp,
    pub path: String,
    pub what: String,
    pub person: Option<String>,
}

/// A step that is to be noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStep {
    pub path: String,
    pub what: String,
    pub person: Option<String>,
}

/// How an instance is to stand.
#[derive(Debug, Clone)]
pub struct Move {
    pub id: InstanceId,
    /// The revision that was seen.
    pub revision: u64,
    pub state: State,
    pub version: u32,
    pub at: Option<String>,
    pub data: String,
    pub wake: Option<Timestamp>,
    pub attempts: u32,
    pub problem: Option<String>,
    pub steps: Vec<NewStep>,
}

impl Move {
    /// It stays as it is, and what it failed by is over.
    pub fn of(instance: &Instance) -> Move {
        Move {
            id: instance.id,
            revision: instance.revision,
            state: instance.state,
            version: instance.version,
            at: instance.at.clone(),
            data: instance.data.clone(),
            wake: instance.wake,
            attempts: 0,
            problem: None,
            steps: Vec::new(),
        }
    }
}

/// An instance that is to begin.
#[derive(Debug, Clone)]
pub struct Start {
    pub integration: String,
    pub version: u32,
    pub entity: String,
    pub key: Key,
    /// Begins nothing where an instance of the flow had the same.
    pub cause: String,
    /// Where it is a state of something: what the causes of all states of that begin with. Only the newest is known, so
    /// that a state that comes back is a change.
    pub state_of: Option<String>,
    /// The system told of it: it begins also where the cause was only known from before.
    pub heard: bool,
    /// Where so many of the flow have started since then, this one is held.
    pub ceiling: u64,
    pub since: Timestamp,
    pub at: Option<String>,
    pub data: String,
    /// What its history begins with.
    pub steps: Vec<NewStep>,
}

/// What can be done with flows.
#[derive(Debug, Clone)]
pub enum Op {
    /// The definition as it is now. Answers its number, which is that of the newest where that is the same.
    Version { integration: String, fingerprint: String, definition: String },
    /// Answers the instance; nothing where the cause is known.
    Start(Box<Start>),
    /// Causes that start nothing, each with its [`Start::state_of`]. Answers how many are new.
    Know { integration: String, causes: Vec<(String, Option<String>)> },
    /// Refused where somebody else has moved it since.
    Move(Box<Move>),
    /// Looks at one that goes on soon, since something that it waits for may have happened.
    Wake { id: InstanceId },
    /// The same for all of a flow that are about a record. Answers how many.
    WakeAbout { integration: String, key: Key },
    /// The same for all of a flow. Answers how many.
    WakeAll { integration: String },
    /// Nothing is known any more of these states, see [`Start::state_of`]: what they are of is gone. Answers how many.
    Unknow { integration: String, states_of: Vec<String> },
    /// Begins held ones, oldest first. Answers how many.
    Release { integration: String, max: u64 },
    /// Forgets instances that ended before then. Answers how many.
    Forget { before: Timestamp, max: usize },
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    match op {
        Op::Version { integration, fingerprint, definition } => version(tx, integration, fingerprint, definition),
        Op::Start(start) => begin(tx, start),
        Op::Know { integration, causes } => {
            let sql = "INSERT INTO flow_cause (integration, cause) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            let mut count = 0;
            for (cause, state_of) in causes {
                adopt(tx, integration, cause, state_of.as_deref())?;
                count += tx.run(sql, (integration, cause))?;
                only_state(tx, integration, cause, state_of.as_deref())?;
            }
            Ok(OpResult::Count(count as u64))
        }
        Op::Move(to) => go(tx, to),
        Op::Wake { id } => {
            // Also where it is due already: whoever looks at it now has not seen what it is woken for, and looks again.
            let sql = "UPDATE flow_instance SET wake = min(coalesce(wake, ?2), ?2), revision = revision + 1
                       WHERE id = ?1 AND state = 'running'";
            Ok(OpResult::Count(tx.run(sql, (id.0, tx.now))? as u64))
        }
        Op::WakeAbout { integration, key } => {
            let sql = "UPDATE flow_instance SET wake = ?3, revision = revision + 1 WHERE integration = ?1 AND key = ?2
                       AND state = 'running' AND attempts = 0 AND (wake IS NULL OR wake > ?3)";
            Ok(OpResult::Count(tx.run(sql, (integration, key.as_bytes(), tx.now))? as u64))
        }
        Op::WakeAll { integration } => {
            let sql = "UPDATE flow_instance SET wake = ?2, revision = revision + 1 WHERE integration = ?1
                       AND state = 'running' AND attempts = 0 AND (wake IS NULL OR wake > ?2)";
            Ok(OpResult::Count(tx.run(sql, (integration, tx.now))? as u64))
        }
        Op::Unknow { integration, states_of } => {
            // A state is one word: one of `A B` begins like one of `A`, and has more.
            let sql = "DELETE FROM flow_cause WHERE integration = ?1 AND cause > ?2 AND cause < ?2 || char(1114111)
                       AND instr(substr(cause, length(?2) + 1), ' ') = 0";
            let mut count = 0;
            for of in states_of {
                count += tx.run(sql, (integration, of))?;
            }
            Ok(OpResult::Count(count as u64))
        }
        Op::Release { integration, max } => {
            let sql = "UPDATE flow_instance SET state = 'running', revision = revision + 1, wake = ?3, updated = ?3
                       WHERE id IN (SELECT id FROM flow_instance WHERE integration = ?1 AND state = 'held'
                                    ORDER BY id LIMIT ?2)";
            Ok(OpResult::Count(tx.run(sql, (integration, *max as i64, tx.now))? as u64))
        }
        Op::Forget { before, max } => {
            let ids: Vec<i64> = tx.all(
                "SELECT id FROM flow_instance WHERE ended < ?1 ORDER BY ended LIMIT ?2",
                (to_ms(*before), *max as i64),
                |row| row.get(0),
            )?;
            for id in &ids {
                tx.run("DELETE FROM flow_step WHERE instance = ?1", [id])?;
                tx.run("DELETE FROM flow_instance WHERE id = ?1", [id])?;
            }
            Ok(OpResult::Count(ids.len() as u64))
        }
    }
}

fn version(tx: &Tx<'_>, integration: &str, fingerprint: &str, definition: &str) -> Result<OpResult, Fail> {
    let sql = "SELECT version, fingerprint FROM flow_version WHERE integration = ?1 ORDER BY version DESC LIMIT 1";
    let newest = tx.first(sql, [integration], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let next = match newest {
        Some((version, known)) if known == fingerprint => return Ok(OpResult::Count(version as u64)),
        Some((version, _)) => version + 1,
        None => 1,
    };
    let sql = "INSERT INTO flow_version (integration, version, fingerprint, definition, since)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    tx.run(sql, (integration, next, fingerprint, definition, tx.now))?;
    Ok(OpResult::Count(next as u64))
}

/// Forgets the other states of what a cause is a state of.
fn only_state(tx: &Tx<'_>, integration: &str, cause: &str, state_of: Option<&str>) -> Result<(), Fail> {
    let Some(state_of) = state_of else { return Ok(()) };
    // One of `A B` begins like one of `A`, and is longer.
    let sql = "DELETE FROM flow_cause WHERE integration = ?1 AND cause > ?2 AND cause < ?2 || char(1114111)
               AND length(cause) = length(?3) AND cause <> ?3";
    tx.run(sql, (integration, state_of, cause))?;
    Ok(())
}

/// What an earlier version knew without its state is this one.
fn adopt(tx: &Tx<'_>, integration: &str, cause: &str, state_of: Option<&str>) -> Result<(), Fail> {
    let Some(before) = state_of.and_then(|of| of.strip_suffix(' ')) else { return Ok(()) };
    let sql = "UPDATE OR IGNORE flow_cause SET cause = ?3 WHERE integration = ?1 AND cause = ?2";
    tx.run(sql, (integration, before, cause))?;
    Ok(())
}

fn begin(tx: &Tx<'_>, start: &Start) -> Result<OpResult, Fail> {
    adopt(tx, &start.integration, &start.cause, start.state_of.as_deref())?;
    let sql = "INSERT INTO flow_cause (integration, cause) VALUES (?1, ?2)
               ON CONFLICT DO UPDATE SET instance = NULL WHERE instance IS NULL AND ?3";
    if tx.run(sql, (&start.integration, &start.cause, start.heard))? == 0 {
        return Ok(OpResult::Instance(None));
    }
    only_state(tx, &start.integration, &start.cause, start.state_of.as_deref())?;
    // Counted in the commit that starts, so that starts at the same time never pass the ceiling together.
    let sql = "SELECT count(*) FROM flow_instance WHERE integration = ?1 AND started >= ?2 AND state <> 'held'";
    let begun: i64 = tx.first(sql, (&start.integration, to_ms(start.since)), |row| row.get(0))?.unwrap_or(0);
    let state = if begun as u64 >= start.ceiling { State::Held } else { State::Running };
    let wake = (state == State::Running).then_some(tx.now);
    let sql = "INSERT INTO flow_instance (integration, version, entity, key, key_text, state, revision, at, data, wake,
               attempts, started, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, ?9, 0, ?10, ?10)";
    tx.run(
        sql,
        (
            &start.integration,
            start.version,
            &start.entity,
            start.key.as_bytes(),
            start.key.to_string(),
            state,
            &start.at,
            &start.data,
            wake,
            tx.now,
        ),
    )?;
    let id = tx.conn.last_insert_rowid();
    let sql = "UPDATE flow_cause SET instance = ?3 WHERE integration = ?1 AND cause = ?2";
    tx.run(sql, (&start.integration, &start.cause, id))?;
    note(tx, id, &start.steps)?;
    Ok(OpResult::Instance(Some(InstanceId(id))))
}

fn go(tx: &Tx<'_>, to: &Move) -> Result<OpResult, Fail> {
    let ended = to.state.is_over().then_some(tx.now);
    let sql =
        "UPDATE flow_instance SET revision = revision + 1, state = ?3, version = ?4, at = ?5, data = ?6, wake = ?7,
               attempts = ?8, problem = ?9, updated = ?10, ended = ?11 WHERE id = ?1 AND revision = ?2";
    let changed = tx.run(
        sql,
        (
            to.id.0,
            to.revision as i64,
            to.state,
            to.version,
            &to.at,
            &to.data,
            to.wake.map(to_ms),
            to.attempts,
            &to.problem,
            tx.now,
            ended,
        ),
    )?;
    if changed == 0 {
        return Err(Refusal::FlowMoved { id: to.id }.into());
    }
    note(tx, to.id.0, &to.steps)?;
    Ok(OpResult::Done)
}

/// Lines of the history of an instance.
fn note(tx: &Tx<'_>, instance: i64, steps: &[NewStep]) -> Result<(), Fail> {
    let sql = "SELECT coalesce(max(n), 0) FROM flow_step WHERE instance = ?1";
    let last: i64 = tx.first(sql, [instance], |row| row.get(0))?.unwrap_or(0);
    for (n, step) in (last + 1..).zip(steps) {
        let sql = "INSERT INTO flow_step (instance, n, at, path, what, person) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        tx.run(sql, (instance, n, tx.now, &step.path, &step.what, &step.person))?;
    }
    Ok(())
}

const COLUMNS: &str =
    "id, integration, version, entity, key, state, revision, at, data, wake, attempts, problem, started,
    updated, ended";

fn read(row: &Row<'_>) -> rusqlite::Result<Instance> {
    let moment = |at| row.get::<_, Option<i64>>(at).map(|ms| ms.map(from_ms));
    let key: Vec<u8> = row.get(4)?;
    let key = Key::from_bytes(&key).map_err(|why| {
        rusqlite::Error::FromSqlConversionFailure(4, rusqlite::types::Type::Blob, why.to_string().into())
    })?;
    Ok(Instance {
        id: InstanceId(row.get(0)?),
        integration: row.get(1)?,
        version: row.get(2)?,
        entity: row.get(3)?,
        key,
        state: row.get(5)?,
        revision: row.get::<_, i64>(6)? as u64,
        at: row.get(7)?,
        data: row.get(8)?,
        wake: moment(9)?,
        attempts: row.get(10)?,
        problem: row.get(11)?,
        started: from_ms(row.get(12)?),
        updated: from_ms(row.get(13)?),
        ended: moment(14)?,
    })
}

fn read_version(row: &Row<'_>) -> rusqlite::Result<Version> {
    Ok(Version {
        integration: row.get(0)?,
        version: row.get(1)?,
        fingerprint: row.get(2)?,
        definition: row.get(3)?,
        since: from_ms(row.get(4)?),
        running: row.get::<_, i64>(5)? as u64,
    })
}

/// Which instances to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub integration: Option<String>,
    /// Empty: every state.
    pub states: Vec<State>,
    /// A key as people write it.
    pub key: Option<String>,
}

impl Store {
    pub fn flow_instance(&self, id: InstanceId) -> Result<Option<Instance>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM flow_instance WHERE id = ?1");
        self.read(|conn| first(conn, &sql, [id.0], read))
    }

    /// Newest first. *Shape*: at most `limit`, and never more than 1000.
    pub fn flow_instances(&self, filter: &Filter, limit: usize) -> Result<Vec<Instance>, Error> {
        let states: Vec<String> = filter.states.iter().map(|state| format!("'{state}'")).collect();
        let states = if states.is_empty() { String::new() } else { format!("AND state IN ({})", states.join(", ")) };
        let sql = format!(
            "SELECT {COLUMNS} FROM flow_instance WHERE (?1 IS NULL OR integration = ?1) AND (?2 IS NULL OR key_text = ?2)
             {states} ORDER BY id DESC LIMIT ?3"
        );
        let limit = limit.min(1000) as i64;
        self.read(|conn| all(conn, &sql, (&filter.integration, &filter.key, limit), read))
    }

    /// The first instance of a flow that is in this state.
    pub fn flow_first(&self, integration: &str, state: State) -> Result<Option<Instance>, Error> {
        let sql =
            format!("SELECT {COLUMNS} FROM flow_instance WHERE integration = ?1 AND state = ?2 ORDER BY id LIMIT 1");
        self.read(|conn| first(conn, &sql, (integration, state), read))
    }

    /// Whether something started one already, or was known to start none.
    pub fn flow_knows(&self, integration: &str, cause: &str) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM flow_cause WHERE integration = ?1 AND cause = ?2";
        Ok(self.read(|conn| first(conn, sql, (integration, cause), |_| Ok(())))?.is_some())
    }

    /// How the instance stands that something started; nothing where that started none, or where it is forgotten.
    pub fn flow_started_by(&self, integration: &str, cause: &str) -> Result<Option<State>, Error> {
        let sql = "SELECT i.state FROM flow_cause AS c JOIN flow_instance AS i ON i.id = c.instance
                   WHERE c.integration = ?1 AND c.cause = ?2";
        self.read(|conn| first(conn, sql, (integration, cause), |row| row.get(0)))
    }

    /// The instance that something started; nothing where that started none, or where it is forgotten.
    pub fn flow_begun_by(&self, integration: &str, cause: &str) -> Result<Option<Instance>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM flow_instance WHERE id =
               (SELECT instance FROM flow_cause WHERE integration = ?1 AND cause = ?2)"
        );
        self.read(|conn| first(conn, &sql, (integration, cause), read))
    }

    /// How many instances of a flow stand at each step now, by its path.
    pub fn flow_counts(&self, integration: &str) -> Result<Vec<(String, State, u64)>, Error> {
        let sql = "SELECT coalesce(at, ''), state, count(*) FROM flow_instance
                   WHERE integration = ?1 AND state IN ('held', 'running', 'failed') GROUP BY 1, 2 ORDER BY 1, 2";
        let count = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)? as u64));
        self.read(|conn| all(conn, sql, [integration], count))
    }

    /// Instances of these flows to look at by now, the longest due first.
    pub fn flow_due(&self, now: Timestamp, of: &[&str], limit: usize) -> Result<Vec<Instance>, Error> {
        let marks = vec!["?"; of.len()].join(", ");
        let sql = format!(
            "SELECT {COLUMNS} FROM flow_instance INDEXED BY flow_instance_due WHERE wake <= ? AND integration IN ({marks}) ORDER BY wake LIMIT ?"
        );
        let (now, limit) = (to_ms(now), limit as i64);
        let first: [&dyn rusqlite::ToSql; 1] = [&now];
        let names = of.iter().map(|name| name as &dyn rusqlite::ToSql);
        let given: Vec<&dyn rusqlite::ToSql> = first.into_iter().chain(names).chain([&limit as _]).collect();
        self.read(|conn| all(conn, &sql, &*given, read))
    }

    /// When the next instance is to be looked at.
    pub fn flow_next_wake(&self) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT wake FROM flow_instance WHERE wake IS NOT NULL ORDER BY wake LIMIT 1";
        self.read(|conn| Ok(first(conn, sql, [], |row| row.get::<_, i64>(0))?.map(from_ms)))
    }

    /// What an instance has done, oldest first. *Shape*: the first 1000 lines.
    pub fn flow_steps(&self, id: InstanceId) -> Result<Vec<Step>, Error> {
        let sql = "SELECT at, path, what, person FROM flow_step WHERE instance = ?1 ORDER BY n LIMIT 1000";
        let step = |row: &Row<'_>| {
            Ok(Step { at: from_ms(row.get(0)?), path: row.get(1)?, what: row.get(2)?, person: row.get(3)? })
        };
        self.read(|conn| all(conn, sql, [id.0], step))
    }

    /// How many instances of a flow began since then, without those that are held.
    pub fn flow_started_since(&self, integration: &str, since: Timestamp) -> Result<u64, Error> {
        let sql = "SELECT count(*) FROM flow_instance WHERE integration = ?1 AND started >= ?2 AND state <> 'held'";
        self.read(|conn| {
            Ok(first(conn, sql, (integration, to_ms(since)), |row| row.get::<_, i64>(0))?.unwrap_or(0) as u64)
        })
    }

    /// How many instances of each flow came since then, those that are held too, and when the first of them did.
    pub fn flows_came(&self, since: Timestamp) -> Result<BTreeMap<String, (u64, Timestamp)>, Error> {
        let sql =
            "SELECT integration, count(*), min(started) FROM flow_instance WHERE started >= ?1 GROUP BY integration";
        let rows: Vec<(String, (u64, Timestamp))> = self.read(|conn| {
            all(conn, sql, [to_ms(since)], |row| {
                Ok((row.get(0)?, (row.get::<_, i64>(1)? as u64, from_ms(row.get(2)?))))
            })
        })?;
        Ok(rows.into_iter().collect())
    }

    /// How many instances of a flow are in this state.
    pub fn flow_count(&self, integration: &str, state: State) -> Result<u64, Error> {
        let sql = "SELECT count(*) FROM flow_instance WHERE integration = ?1 AND state = ?2";
        self.read(|conn| Ok(first(conn, sql, (integration, state), |row| row.get::<_, i64>(0))?.unwrap_or(0) as u64))
    }

    /// The versions of a flow, newest first.
    pub fn flow_versions(&self, integration: &str) -> Result<Vec<Version>, Error> {
        self.read(|conn| versions(conn, integration, None))
    }

    pub fn flow_version(&self, integration: &str, version: u32) -> Result<Option<Version>, Error> {
        self.read(|conn| Ok(versions(conn, integration, Some(version))?.pop()))
    }
}

fn versions(conn: &Connection, integration: &str, version: Option<u32>) -> rusqlite::Result<Vec<Version>> {
    let sql = "SELECT integration, version, fingerprint, definition, since,
                 (SELECT count(*) FROM flow_instance AS i WHERE i.integration = flow_version.integration
                    AND i.version = flow_version.version AND i.state IN ('held', 'running', 'failed'))
               FROM flow_version WHERE integration = ?1 AND (?2 IS NULL OR version = ?2) ORDER BY version DESC LIMIT 1000";
    all(conn, sql, (integration, version), read_version)
}
