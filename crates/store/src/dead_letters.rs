//! Dead letters: what the hub gave up on, with its reason, waiting for a person.
//!
//! A dead letter is a message in a dead-letter queue. A row that was rejected is one too, of kind `row`, one for each
//! integration and key: rejected again it is updated, written after all it closes as superseded.
//!
//! Those with one [`Cause`] are a [`Group`]. A discarded one is kept, and can be restored, until the day it goes.

mod cause;
mod groups;
pub(crate) mod reads;

use std::fmt;

use jiff::Timestamp;
use record::Key;

use crate::error::{Fail, Refusal};
use crate::op::OpResult;
use crate::queue::{self, Message, Problem, Queue};
use crate::runs::RunId;
use crate::time::to_ms;
use crate::tx::{Count, Tx};
use crate::words::words;

pub use cause::{Cause, TAKEN_OUT};
pub use groups::{Edit, Group, Said, Unreviewed, group_name};
pub(crate) use reads::problem;
use reads::{by_id, read_problem};

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
    /// The id of its group; empty where an earlier version wrote it.
    pub cause: String,
    /// When a discarded one is forgotten for good.
    pub goes: Option<Timestamp>,
}

impl DeadLetter {
    /// The system that an event did not get into; `None` for what is no event.
    pub fn destination(&self) -> Option<&str> {
        self.queue.split_once("/subscriptions/").map(|(_, system)| system)
    }
}

/// Which dead letters a list shows. The default is all of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    pub integration: Option<String>,
    pub entity: Option<String>,
    pub code: Option<String>,
    /// The id of a group.
    pub cause: Option<String>,
    /// Only what was there at this time.
    pub seen_until: Option<Timestamp>,
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
    /// A row was rejected: opens its dead letter, or updates and reopens the one that its key has. A discarded one whose row
    /// is as it was, and is rejected for the same reason, stays in the archive.
    Reject(Box<Rejection>),
    /// A row waits for something else now: the dead letter of its key, where one waits, gives that as its reason from now
    /// on. It was not given up on again, so its count stays. Costs next to nothing while the integration has no dead
    /// letters.
    Waits(Box<Rejection>),
    /// A row that was rejected before is rejected again, just as it was. The dead letter of its key gives the newest reason
    /// where one is open, and is open again where somebody has sent it again; otherwise nobody is told a second time.
    Refused(Box<Rejection>),
    /// These rows were written: closes what waits for their keys as superseded. Answers how many that were. Costs
    /// next to nothing while the integration has no dead letters.
    Supersede { integration: String, entity: String, keys: Vec<Key> },
    /// A retry ended like the message before it: the dead letter is open again, with the newer problem.
    Again { id: DeadLetterId, problem: Problem },
    /// A person or a retry changes the state. Refused when the state is not the one they saw.
    Change { id: DeadLetterId, seen: State, to: State, by: Option<String>, note: Option<String> },
    /// Puts one that waits into the archive, to go for good at a time. Refused when the state is not the one they saw.
    Archive { id: DeadLetterId, seen: State, by: String, note: Option<String>, goes: Timestamp },
    /// Keeps the copy that somebody changed and sends instead.
    Edited { id: DeadLetterId, edit: NewEdit },
    /// A person says something of a group, and has looked at it by that.
    Say { group: String, by: String, said: Said },
    /// Gives at most `max` dead letters of earlier versions their group. Answers how many.
    Regroup { max: usize },
    /// Forgets dead letters that were closed before a time, and discarded ones whose day has come, with their records; at
    /// most `max` in one commit. Answers how many.
    Forget { closed_before: Timestamp, max: usize },
}

/// A changed copy that is about to be sent.
#[derive(Debug, Clone)]
pub struct NewEdit {
    pub by: String,
    pub why: String,
    /// JSON: by column, what it was and what it is; personal values in neither.
    pub changes: String,
    pub body: Vec<u8>,
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
        Op::Waits(row) => waits(tx, row).map(|()| OpResult::Done),
        Op::Refused(row) => match of_key(tx, &row.integration, &row.entity, &row.key)? {
            Some((_, State::Retrying)) => reject(tx, row).map(OpResult::DeadLetter),
            Some((_, State::Open)) => waits(tx, row).map(|()| OpResult::Done),
            _ => Ok(OpResult::Done),
        },
        Op::Again { id, problem } => {
            let Some(found) = by_id(tx.conn, id)? else {
                return Err(Refusal::NoDeadLetter { id: id.to_string() }.into());
            };
            let Problem { code, what, place, why, fix, detail } = problem;
            let cause = groups::join(tx, &found.integration, problem, &found.key_text)?;
            let sql = "UPDATE dead_letter SET code = ?2, what = ?3, place = ?4, why = ?5, fix = ?6, detail = ?7,
                       last_seen = ?8, cause = ?9, goes = NULL, count = count + 1 WHERE seq = ?1";
            tx.run(sql, (found.seq, code, what, place, why, fix, detail, tx.now, cause))?;
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
            let sql = "UPDATE dead_letter SET changed_by = ?2, note = coalesce(?3, note), goes = NULL WHERE seq = ?1";
            tx.run(sql, (found.seq, by, note))?;
            if let Some(by) = by {
                groups::looked_at(tx, found.seq, by)?;
            }
            set_state(tx, found.seq, &found.integration, found.state, *to)?;
            Ok(OpResult::Done)
        }
        Op::Archive { id, seen, by, note, goes } => {
            let (by, note) = (Some(by.clone()), note.clone());
            apply(tx, &Op::Change { id: id.clone(), seen: *seen, to: State::Discarded, by, note })?;
            tx.run("UPDATE dead_letter SET goes = ?2 WHERE id = ?1", (&id.0, to_ms(*goes)))?;
            Ok(OpResult::Done)
        }
        Op::Edited { id, edit } => Ok(groups::keep_edit(tx, id, edit)?),
        Op::Say { group, by, said } => groups::say(tx, group, by, said),
        Op::Regroup { max } => groups::regroup(tx, *max),
        Op::Forget { closed_before, max } => {
            let sql = "SELECT seq FROM dead_letter
                       WHERE state NOT IN ('open', 'retrying') AND coalesce(goes < ?3, changed < ?1) LIMIT ?2";
            let closed: Vec<i64> = tx.all(sql, (to_ms(*closed_before), *max as i64, tx.now), |row| row.get(0))?;
            for seq in &closed {
                forget_one(tx, *seq)?;
            }
            if !closed.is_empty() {
                forget_empty_groups(tx)?;
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

/// A rejected row as a message of the dead-letter queue.
fn message_of(row: &Rejection) -> Message {
    Message {
        id: format!("{}/{}", row.entity, row.key),
        integration: Some(row.integration.clone()),
        entity: Some(row.entity.clone()),
        key: Some(row.key.clone()),
        content_type: Some("application/json".into()),
        body: row.record.clone(),
        ..Message::default()
    }
}

fn reject(tx: &mut Tx<'_>, row: &Rejection) -> Result<DeadLetterId, Fail> {
    let queue = queue::ensure(tx, &row.integration)?;
    let dead = queue::dead_letter_queue(tx, &queue)?;
    let before = of_key(tx, &row.integration, &row.entity, &row.key)?;
    let message = message_of(row);
    if let Some((seq, State::Discarded)) = before
        && says(tx, seq, &row.problem)?
        && tx.first("SELECT 1 FROM body WHERE seq = ?1 AND body = ?2", (seq, &message.body), |_| Ok(()))?.is_some()
    {
        return Ok(DeadLetterId::of_seq(seq));
    }
    let waits = before.is_some_and(|(_, state)| state.is_waiting());
    let seq = queue::put_dead(tx, &dead, before.map(|(seq, _)| seq), !waits, &message)?;
    let run = row.run.map(|run| run.0);
    let Some((_, state)) = before else {
        return Ok(insert(tx, Kind::Row, &dead, &row.integration, seq, &message, &row.problem, run)?);
    };
    let Problem { code, what, place, why, fix, detail } = &row.problem;
    let cause = groups::join(tx, &row.integration, &row.problem, &row.key.to_string())?;
    let sql = "UPDATE dead_letter SET code = ?2, what = ?3, place = ?4, why = ?5, fix = ?6, detail = ?7, run = ?8,
               last_seen = ?9, count = count + 1, state = 'open', queue = ?10, cause = ?11, goes = NULL WHERE seq = ?1";
    tx.run(sql, (seq, code, what, place, why, fix, detail, run, tx.now, dead.id, cause))?;
    count(tx, &row.integration, state, -1);
    count(tx, &row.integration, State::Open, 1);
    Ok(DeadLetterId::of_seq(seq))
}

/// Whether a dead letter gives this reason.
fn says(tx: &Tx<'_>, seq: i64, problem: &Problem) -> rusqlite::Result<bool> {
    let Problem { code, what, detail, .. } = problem;
    let said = "SELECT 1 FROM dead_letter WHERE seq = ?1 AND code = ?2 AND what = ?3 AND detail = ?4";
    Ok(tx.first(said, (seq, code, what, detail), |row| row.get::<_, i64>(0))?.is_some())
}

fn waits(tx: &mut Tx<'_>, row: &Rejection) -> Result<(), Fail> {
    if waiting(tx, &row.integration)? == 0 {
        return Ok(());
    }
    let found = of_key(tx, &row.integration, &row.entity, &row.key)?;
    let Some((seq, _)) = found.filter(|(_, state)| state.is_waiting()) else { return Ok(()) };
    if says(tx, seq, &row.problem)? {
        return Ok(());
    }
    let Problem { code, what, place, why, fix, detail } = &row.problem;
    let queue = queue::ensure(tx, &row.integration)?;
    let dead = queue::dead_letter_queue(tx, &queue)?;
    queue::put_dead(tx, &dead, Some(seq), false, &message_of(row))?;
    let cause = groups::join(tx, &row.integration, &row.problem, &row.key.to_string())?;
    let sql = "UPDATE dead_letter SET code = ?2, what = ?3, place = ?4, why = ?5, fix = ?6, detail = ?7, run = ?8,
               last_seen = ?9, cause = ?10 WHERE seq = ?1";
    tx.run(sql, (seq, code, what, place, why, fix, detail, row.run.map(|run| run.0), tx.now, cause))?;
    Ok(())
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
                 why, fix, detail, run, state, count, first_seen, last_seen, cause)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 'open', 1, ?16, ?16, ?17)";
    let key = message.key.as_ref();
    let key_text = key.map(Key::to_string).unwrap_or_default();
    let entity = message.entity.as_deref().unwrap_or_default();
    let cause = groups::join(tx, integration, problem, &key_text)?;
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
        tx.now,
        cause
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

/// The dead letters of one record, with their messages.
pub(crate) fn of_record(
    tx: &Tx<'_>,
    entity: &str,
    key: Option<&Key>,
    text: &str,
) -> rusqlite::Result<Vec<(i64, Option<crate::queue::Message>)>> {
    let sql = "SELECT seq FROM dead_letter WHERE entity = ?1 AND (key = ?2 OR key_text <> '' AND key_text = ?3 COLLATE NOCASE)";
    let found: Vec<i64> = tx.all(sql, (entity, key.map(Key::as_bytes), text), |row| row.get(0))?;
    Ok(found.into_iter().map(|seq| (seq, queue::body(tx.conn, seq).ok().map(|(message, _)| message))).collect())
}

/// Removes a dead letter with everything of it, whatever its state.
pub(crate) fn forget_one(tx: &mut Tx<'_>, seq: i64) -> rusqlite::Result<()> {
    let sql = "SELECT queue, integration, state FROM dead_letter WHERE seq = ?1";
    let found = tx.first(sql, [seq], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get(2)?)))?;
    let Some((queue, integration, state)) = found else { return Ok(()) };
    if let Some(head) = queue::find(tx, queue, seq)? {
        queue::leave(tx, &head)?;
    }
    tx.run("DELETE FROM dead_letter WHERE seq = ?1", [seq])?;
    tx.run("DELETE FROM body WHERE seq = ?1", [seq])?;
    tx.run("DELETE FROM dead_letter_edit WHERE letter = ?1", [DeadLetterId::of_seq(seq).as_str()])?;
    // A retry of many tells how it went, and may name the record by that.
    tx.run("UPDATE retry_item SET result = '' WHERE letter = ?1", [DeadLetterId::of_seq(seq).as_str()])?;
    count(tx, &integration, state, -1);
    Ok(())
}

/// Removes groups that nothing belongs to, and of which nobody has said anything.
pub(crate) fn forget_empty_groups(tx: &Tx<'_>) -> rusqlite::Result<()> {
    groups::forget_empty(tx)
}
