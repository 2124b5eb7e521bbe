//! Dead letters: what the hub gave up on, with its reason, waiting for a person.
//!
//! A dead letter is a message in a dead-letter queue. A row that was rejected is one too, of kind `row`, one for each
//! integration and key: rejected again it is updated, written after all it closes as superseded.

use std::fmt;

use jiff::Timestamp;
use record::Key;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use crate::Store;
use crate::error::{Error, Fail, Refusal};
use crate::op::OpResult;
use crate::queue::{self, Message, Problem, Queue};
use crate::runs::RunId;
use crate::time::{Ms, from_ms, to_ms};
use crate::tx::{Count, Tx, all, first};
use crate::words::words;

/// The name of a dead letter. *Shape*: 16 hexadecimal digits; any unique beginning of it is enough for a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId(String);

impl DeadLetterId {
    /// The dead letter that the message with this number is, or would become.
    ///
    /// Spread over all values, so that a few digits are enough to tell two apart, and never the same for two messages.
    pub fn of_seq(seq: i64) -> DeadLetterId {
        let mut x = (seq as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        DeadLetterId(format!("{:016x}", x ^ (x >> 31)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for DeadLetterId {
    fn from(text: &str) -> DeadLetterId {
        DeadLetterId(text.to_owned())
    }
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

words! {
    /// What was given up on.
    pub enum Kind {
        /// A row of a batch run.
        Row = "row",
        /// A message of a queue.
        Message = "message",
    }
}

words! {
    /// How a dead letter stands. The first two wait for somebody.
    pub enum State {
        Open = "open",
        /// A retry is on its way.
        Retrying = "retrying",
        /// A newer version of the row was written.
        Superseded = "superseded",
        /// A person decided that it is not needed.
        Discarded = "discarded",
        /// It was processed after all.
        Resolved = "resolved",
    }
}

impl State {
    /// Whether somebody still has to look at it.
    pub fn is_waiting(self) -> bool {
        matches!(self, State::Open | State::Retrying)
    }
}

/// A row that was rejected.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    pub integration: String,
    pub entity: String,
    pub key: Key,
    /// The source row as a JSON object.
    pub record: Vec<u8>,
    pub problem: Problem,
    pub run: Option<RunId>,
}

/// One dead letter, as a list shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    pub id: DeadLetterId,
    pub kind: Kind,
    pub integration: String,
    /// The queue or subscription that it comes from.
    pub queue: String,
    pub entity: String,
    /// `None` for a message that names no key.
    pub key: Option<Key>,
    pub key_text: String,
    pub problem: Problem,
    pub state: State,
    /// How often it was given up on.
    pub count: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub run: Option<RunId>,
    /// Who changed the state last, when, and what they noted.
    pub changed: Option<Timestamp>,
    pub changed_by: Option<String>,
    pub note: Option<String>,
    /// Of the message; with `last_seen` it is the place in a list.
    pub seq: i64,
}

/// Which dead letters a list shows. The default is all of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    pub integration: Option<String>,
    pub entity: Option<String>,
    pub code: Option<String>,
    /// Any of these; empty means all.
    pub states: Vec<State>,
    /// Only what comes after this one, which was the last of the page before.
    pub after: Option<After>,
}

/// A place in a list of dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    pub last_seen: Timestamp,
    pub seq: i64,
}

impl DeadLetter {
    /// Where the next page begins when this is the last one of a page.
    pub fn place(&self) -> After {
        After { last_seen: self.last_seen, seq: self.seq }
    }
}

/// What can be done with dead letters.
#[derive(Debug, Clone)]
pub enum Op {
    /// A row was rejected: opens its dead letter, or updates and reopens the one that its key has.
    Reject(Box<Rejection>),
    /// These rows were written: closes what waits for their keys as superseded. Answers how many that were. Costs
    /// next to nothing while the integration has no dead letters.
    Supersede { integration: String, entity: String, keys: Vec<Key> },
    /// A retry ended like the message before it: the dead letter is open again, with the newer problem.
    Again { id: DeadLetterId, problem: Problem },
    /// A person or a retry changes the state. Refused when the state is not the one they saw.
    Change { id: DeadLetterId, seen: State, to: State, by: Option<String>, note: Option<String> },
    /// Forgets dead letters that were closed before a time, with their records; at most `max` in one commit. Answers how
    /// many.
    Forget { closed_before: Timestamp, max: usize },
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    match op {
        Op::Reject(rejection) => reject(tx, rejection).map(OpResult::DeadLetter),
        Op::Supersede { integration, entity, keys } => {
            let waiting = waiting(tx, integration)?;
            let mut closed = 0;
            if waiting > 0 {
                for key in keys {
                    closed += supersede(tx, integration, entity, key)?;
                }
            }
            Ok(OpResult::Count(closed))
        }
        Op::Again { id, problem } => {
            let Some(found) = by_id(tx.conn, id)? else {
                return Err(Refusal::NoDeadLetter { id: id.to_string() }.into());
            };
            let Problem { code, what, place, why, fix, detail } = problem;
            let sql = "UPDATE dead_letter SET code = ?2, what = ?3, place = ?4, why = ?5, fix = ?6, detail = ?7,
                       last_seen = ?8, count = count + 1 WHERE seq = ?1";
            tx.run(sql, (found.seq, code, what, place, why, fix, detail, tx.now))?;
            set_state(tx, found.seq, &found.integration, found.state, State::Open)?;
            Ok(OpResult::Done)
        }
        Op::Change { id, seen, to, by, note } => {
            let Some(found) = by_id(tx.conn, id)? else {
                return Err(Refusal::NoDeadLetter { id: id.to_string() }.into());
            };
            if found.state != *seen {
                return Err(Refusal::DeadLetterState { id: id.to_string(), state: found.state }.into());
            }
            let sql = "UPDATE dead_letter SET changed_by = ?2, note = coalesce(?3, note) WHERE seq = ?1";
            tx.run(sql, (found.seq, by, note))?;
            set_state(tx, found.seq, &found.integration, found.state, *to)?;
            Ok(OpResult::Done)
        }
        Op::Forget { closed_before, max } => {
            let sql = "SELECT seq, integration, state FROM dead_letter
                       WHERE state NOT IN ('open', 'retrying') AND changed < ?1 LIMIT ?2";
            let closed = tx.all(sql, (to_ms(*closed_before), *max as i64), |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, State>(2)?))
            })?;
            for (seq, integration, state) in &closed {
                tx.run("DELETE FROM dead_letter WHERE seq = ?1", [seq])?;
                tx.run("DELETE FROM body WHERE seq = ?1", [seq])?;
                count(tx, integration, *state, -1);
            }
            Ok(OpResult::Count(closed.len() as u64))
        }
    }
}

/// The state that a key's dead letter has, and its message.
fn of_key(tx: &Tx<'_>, integration: &str, entity: &str, key: &Key) -> rusqlite::Result<Option<(i64, State)>> {
    let sql = "SELECT seq, state FROM dead_letter WHERE kind = 'row' AND integration = ?1 AND entity = ?2 AND key = ?3";
    tx.first(sql, (integration, entity, key.as_bytes()), |row| Ok((row.get(0)?, row.get(1)?)))
}

fn reject(tx: &mut Tx<'_>, row: &Rejection) -> Result<DeadLetterId, Fail> {
    let queue = queue::ensure(tx, &row.integration)?;
    let dead = queue::dead_letter_queue(tx, &queue)?;
    let before = of_key(tx, &row.integration, &row.entity, &row.key)?;
    let message = Message {
        id: format!("{}/{}", row.entity, row.key),
        integration: Some(row.integration.clone()),
        entity: Some(row.entity.clone()),
        key: Some(row.key.clone()),
        content_type: Some("application/json".into()),
        body: row.record.clone(),
        ..Message::default()
    };
    let waits = before.is_some_and(|(_, state)| state.is_waiting());
    let seq = queue::put_dead(tx, &dead, before.map(|(seq, _)| seq), !waits, &message)?;
    let run = row.run.map(|run| run.0);
    let Some((_, state)) = before else {
        return Ok(insert(tx, Kind::Row, &dead, &row.integration, seq, &message, &row.problem, run)?);
    };
    let Problem { code, what, place, why, fix, detail } = &row.problem;
    let sql = "UPDATE dead_letter SET code = ?2, what = ?3, place = ?4, why = ?5, fix = ?6, detail = ?7, run = ?8,
               last_seen = ?9, count = count + 1, state = 'open', queue = ?10 WHERE seq = ?1";
    tx.run(sql, (seq, code, what, place, why, fix, detail, run, tx.now, dead.id))?;
    count(tx, &row.integration, state, -1);
    count(tx, &row.integration, State::Open, 1);
    Ok(DeadLetterId::of_seq(seq))
}

fn supersede(tx: &mut Tx<'_>, integration: &str, entity: &str, key: &Key) -> Result<u64, Fail> {
    match of_key(tx, integration, entity, key)? {
        Some((seq, state)) if state.is_waiting() => {
            set_state(tx, seq, integration, state, State::Superseded)?;
            Ok(1)
        }
        _ => Ok(0),
    }
}

/// A message of a queue was given up on; it is in the dead-letter queue already.
pub(crate) fn of_message(
    tx: &mut Tx<'_>,
    dead: &Queue,
    path: &str,
    seq: i64,
    message: &Message,
    problem: &Problem,
) -> rusqlite::Result<DeadLetterId> {
    let integration = message.integration.as_deref().unwrap_or(path);
    insert(tx, Kind::Message, dead, integration, seq, message, problem, None)
}

/// A dead letter was taken from its queue and completed.
pub(crate) fn resolved(tx: &mut Tx<'_>, seq: i64) -> rusqlite::Result<()> {
    let sql = "SELECT integration, state FROM dead_letter WHERE seq = ?1";
    let Some((integration, state)) = tx.first(sql, [seq], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))? else {
        return Ok(());
    };
    tx.run("UPDATE dead_letter SET state = ?2, changed = ?3 WHERE seq = ?1", (seq, State::Resolved, tx.now))?;
    count(tx, &integration, state, -1);
    count(tx, &integration, State::Resolved, 1);
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "one column each, and two callers")]
fn insert(
    tx: &mut Tx<'_>,
    kind: Kind,
    dead: &Queue,
    integration: &str,
    seq: i64,
    message: &Message,
    problem: &Problem,
    run: Option<i64>,
) -> rusqlite::Result<DeadLetterId> {
    let id = DeadLetterId::of_seq(seq);
    let Problem { code, what, place, why, fix, detail } = problem;
    let sql = "INSERT INTO dead_letter (seq, id, kind, queue, integration, entity, key, key_text, code, what, place,
                 why, fix, detail, run, state, count, first_seen, last_seen)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 'open', 1, ?16, ?16)";
    let key = message.key.as_ref();
    let key_text = key.map(Key::to_string).unwrap_or_default();
    let entity = message.entity.as_deref().unwrap_or_default();
    let mut statement = tx.conn.prepare_cached(sql)?;
    statement.execute(rusqlite::params![
        seq,
        id.0,
        kind,
        dead.id,
        integration,
        entity,
        key.map(Key::as_bytes),
        key_text,
        code,
        what,
        place,
        why,
        fix,
        detail,
        run,
        tx.now
    ])?;
    count(tx, integration, State::Open, 1);
    Ok(id)
}

/// Changes a state, and with it whether the message is in its dead-letter queue.
fn set_state(tx: &mut Tx<'_>, seq: i64, integration: &str, from: State, to: State) -> rusqlite::Result<()> {
    let sql = "UPDATE dead_letter SET state = ?2, changed = ?3 WHERE seq = ?1 RETURNING queue";
    let queue: i64 = tx.first(sql, (seq, to, tx.now), |row| row.get(0))?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    match (from.is_waiting(), to.is_waiting()) {
        (true, false) => {
            if let Some(head) = queue::find(tx, queue, seq)? {
                queue::leave(tx, &head)?;
            }
        }
        (false, true) => {
            let head = queue::dead_head(tx, queue, seq);
            queue::enter(tx, &head)?;
        }
        _ => {}
    }
    count(tx, integration, from, -1);
    count(tx, integration, to, 1);
    Ok(())
}

fn count(tx: &mut Tx<'_>, integration: &str, state: State, by: i64) {
    tx.count(Count::DeadLetters { integration: integration.to_owned(), state }, by);
}

pub(crate) fn add_to_count(tx: &Tx<'_>, integration: &str, state: State, by: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO dead_letter_count (integration, state, count) VALUES (?1, ?2, ?3)
               ON CONFLICT (integration, state) DO UPDATE SET count = count + ?3";
    tx.run(sql, (integration, state, by)).map(drop)
}

/// How many dead letters of an integration wait, as this transaction sees it.
fn waiting(tx: &Tx<'_>, integration: &str) -> rusqlite::Result<i64> {
    let sql = "SELECT coalesce(sum(count), 0) FROM dead_letter_count WHERE integration = ?1 AND state IN ('open', 'retrying')";
    let kept: i64 = tx.first(sql, [integration], |row| row.get(0))?.unwrap_or(0);
    let gathered = [State::Open, State::Retrying]
        .map(|state| tx.counted(&Count::DeadLetters { integration: integration.to_owned(), state }));
    Ok(kept + gathered.iter().sum::<i64>())
}

const COLUMNS: &str = "id, kind, integration, entity, key, key_text, code, what, place, why, fix, detail, state, count,
    first_seen, last_seen, run, changed, changed_by, note, seq,
    (SELECT of.path FROM queue dead JOIN queue of ON of.id = dead.parent WHERE dead.id = dead_letter.queue)";

fn read(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        id: DeadLetterId(row.get(0)?),
        kind: row.get(1)?,
        integration: row.get(2)?,
        entity: row.get(3)?,
        key: row.get_ref(4)?.as_blob_or_null()?.and_then(|bytes| Key::from_bytes(bytes).ok()),
        key_text: row.get(5)?,
        problem: read_problem(row, 6)?,
        state: row.get(12)?,
        count: row.get::<_, i64>(13)? as u64,
        first_seen: from_ms(row.get(14)?),
        last_seen: from_ms(row.get(15)?),
        run: row.get::<_, Option<i64>>(16)?.map(RunId),
        changed: row.get::<_, Option<Ms>>(17)?.map(from_ms),
        changed_by: row.get(18)?,
        note: row.get(19)?,
        seq: row.get(20)?,
        queue: row.get::<_, Option<String>>(21)?.unwrap_or_default(),
    })
}

fn by_id(conn: &Connection, id: &DeadLetterId) -> rusqlite::Result<Option<DeadLetter>> {
    first(conn, &format!("SELECT {COLUMNS} FROM dead_letter WHERE id = ?1"), [&id.0], read)
}

fn page(conn: &Connection, filter: &Filter, limit: usize) -> rusqlite::Result<Vec<DeadLetter>> {
    let mut sql = format!("SELECT {COLUMNS} FROM dead_letter WHERE true");
    let mut values: Vec<Value> = Vec::new();
    for (column, value) in [("integration", &filter.integration), ("entity", &filter.entity), ("code", &filter.code)] {
        if let Some(value) = value {
            sql += &format!(" AND {column} = ?");
            values.push(value.clone().into());
        }
    }
    if !filter.states.is_empty() {
        sql += &format!(" AND state IN ({})", vec!["?"; filter.states.len()].join(", "));
        values.extend(filter.states.iter().map(|state| Value::from(state.as_str().to_owned())));
    }
    if let Some(after) = filter.after {
        sql += " AND (last_seen, seq) < (?, ?)";
        values.extend([to_ms(after.last_seen).into(), after.seq.into()]);
    }
    sql += " ORDER BY last_seen DESC, seq DESC LIMIT ?";
    values.push((limit.min(1000) as i64).into());
    all(conn, &sql, params_from_iter(values), read)
}

/// Why a message is a dead letter.
pub(crate) fn problem(conn: &Connection, seq: i64) -> rusqlite::Result<Option<Problem>> {
    let sql = "SELECT code, what, place, why, fix, detail FROM dead_letter WHERE seq = ?1";
    first(conn, sql, [seq], |row| read_problem(row, 0))
}

fn read_problem(row: &Row<'_>, at: usize) -> rusqlite::Result<Problem> {
    Ok(Problem {
        code: row.get(at)?,
        what: row.get(at + 1)?,
        place: row.get(at + 2)?,
        why: row.get(at + 3)?,
        fix: row.get(at + 4)?,
        detail: row.get(at + 5)?,
    })
}

impl Store {
    /// Dead letters, the last seen first; the next page starts after [`DeadLetter::place`] of the last one of this one.
    /// *Shape*: at most `limit`, and never more than 1000.
    pub fn dead_letters(&self, filter: &Filter, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        self.read(|conn| page(conn, filter, limit))
    }

    /// The dead letters whose id begins like this: none, the one that was meant, or a few to choose from (at most 10).
    pub fn dead_letters_like(&self, prefix: &str) -> Result<Vec<DeadLetter>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM dead_letter WHERE id >= ?1 AND id < ?1 || 'g' ORDER BY id LIMIT 10");
        self.read(|conn| all(conn, &sql, [prefix.to_ascii_lowercase()], read))
    }

    /// What the dead letter is about: the message with its body, or the rejected row as JSON in the body.
    pub fn dead_letter_message(&self, id: &DeadLetterId) -> Result<Option<Message>, Error> {
        self.read(|conn| match by_id(conn, id)? {
            Some(found) => queue::body(conn, found.seq).map(|(message, _)| Some(message)),
            None => Ok(None),
        })
    }

    /// How many dead letters wait for a person, by integration. Kept, never counted. *Shape*: in the order of names,
    /// without those that have none.
    pub fn dead_letters_waiting(&self) -> Result<Vec<(String, u64)>, Error> {
        let sql = "SELECT integration, sum(count) AS waiting FROM dead_letter_count
                   WHERE state IN ('open', 'retrying') GROUP BY integration HAVING waiting > 0 ORDER BY integration";
        self.read(|conn| all(conn, sql, [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64))))
    }
}
