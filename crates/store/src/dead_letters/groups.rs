//! Groups: dead letters with one cause, and what people say of it.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::{Cause, DeadLetterId};
use crate::Store;
use crate::error::{Error, Fail, Refusal};
use crate::op::OpResult;
use crate::queue::Problem;
use crate::time::{Ms, from_ms, to_ms};
use crate::tx::{Tx, all, first};

/// The name of a group of this cause for people: `g1a2b3c4d`. *Shape*: empty for a dead letter of no group.
pub fn group_name(cause: &str) -> String {
    cause.get(..8).map(|beginning| format!("g{beginning}")).unwrap_or_default()
}

/// Dead letters with one cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// *Shape*: 16 hexadecimal digits; any unique beginning of it is enough for a person.
    pub id: String,
    pub cause: Cause,
    /// How many of its dead letters wait for somebody.
    pub waiting: u64,
    /// How many of them are on their way again.
    pub retrying: u64,
    /// How often they were given up on, together.
    pub times: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub owner: Option<String>,
    pub note: Option<String>,
    pub link: Option<String>,
    /// Nobody is to be troubled with it until then.
    pub hold_until: Option<Timestamp>,
    /// Who has looked at it last, and when.
    pub reviewed: Option<Timestamp>,
    pub reviewed_by: Option<String>,
}

impl Group {
    /// Whether it is put aside for now.
    pub fn is_held(&self, now: Timestamp) -> bool {
        self.hold_until.is_some_and(|until| until > now)
    }
}

/// Dead letters of one integration that nobody has looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreviewed {
    pub integration: String,
    pub letters: u64,
    /// Since when the oldest of them waits to be looked at.
    pub since: Timestamp,
}

/// What can be said of a group. A part that is `None` stays as it is; an empty text takes it away.
#[derive(Debug, Clone, Default)]
pub struct Said {
    pub owner: Option<String>,
    pub note: Option<String>,
    pub link: Option<String>,
    /// `Some(None)` ends the hold.
    pub hold_until: Option<Option<Timestamp>>,
}

/// A copy that a person has changed and sent instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub at: Timestamp,
    pub by: String,
    pub why: String,
    /// JSON: by column, what it was and what it is.
    pub changes: String,
    pub body: Vec<u8>,
}

/// The cause of a dead letter, with its group made where there is none.
pub(super) fn join(tx: &Tx<'_>, integration: &str, problem: &Problem, key: &str) -> rusqlite::Result<String> {
    let cause = Cause::of(integration, problem, key);
    let id = cause.id();
    let sql = "INSERT INTO dead_letter_group (id, integration, step, code, message) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (id) DO NOTHING";
    tx.run(sql, (&id, &cause.integration, &cause.step, &cause.code, &cause.message))?;
    Ok(id)
}

pub(super) fn say(tx: &Tx<'_>, id: &str, by: &str, said: &Said) -> Result<OpResult, Fail> {
    let sql =
        "UPDATE dead_letter_group SET owner = nullif(coalesce(?2, owner), ''), note = nullif(coalesce(?3, note), ''),
                 link = nullif(coalesce(?4, link), ''), hold_until = iif(?5, ?6, hold_until),
                 reviewed = ?7, reviewed_by = ?8 WHERE id = ?1";
    let hold = said.hold_until.flatten().map(to_ms);
    let (owner, note, link) = (&said.owner, &said.note, &said.link);
    match tx.run(sql, (id, owner, note, link, said.hold_until.is_some(), hold, tx.now, by))? {
        0 => Err(Refusal::NoDeadLetter { id: id.to_owned() }.into()),
        _ => Ok(OpResult::Done),
    }
}

/// Whoever does something about one has looked at all.
pub(super) fn looked_at(tx: &Tx<'_>, letter: i64, by: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE dead_letter_group SET reviewed = ?2, reviewed_by = ?3
               WHERE id = (SELECT cause FROM dead_letter WHERE seq = ?1)";
    tx.run(sql, (letter, tx.now, by)).map(drop)
}

/// Gives dead letters of earlier versions their cause. Answers how many.
pub(super) fn regroup(tx: &Tx<'_>, max: usize) -> Result<OpResult, Fail> {
    let sql =
        "SELECT seq, integration, key_text, code, what, place, why, fix, '' FROM dead_letter WHERE cause = '' LIMIT ?1";
    let found = tx.all(sql, [max as i64], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, super::read_problem(row, 3)?))
    })?;
    for (seq, integration, key, problem) in &found {
        let cause = join(tx, integration, problem, key)?;
        tx.run("UPDATE dead_letter SET cause = ?2 WHERE seq = ?1", (seq, cause))?;
    }
    Ok(OpResult::Count(found.len() as u64))
}

/// Groups that nothing belongs to any more, and of which nobody has said anything, go.
pub(super) fn forget_empty(tx: &Tx<'_>) -> rusqlite::Result<()> {
    let sql = "DELETE FROM dead_letter_group WHERE note IS NULL AND owner IS NULL AND link IS NULL
               AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE cause = dead_letter_group.id)";
    tx.run(sql, []).map(drop)
}

pub(super) fn keep_edit(tx: &Tx<'_>, letter: &DeadLetterId, edit: &super::NewEdit) -> rusqlite::Result<OpResult> {
    let sql = "INSERT INTO dead_letter_edit (letter, at, by, why, changes, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    tx.run(sql, (letter.as_str(), tx.now, &edit.by, &edit.why, &edit.changes, &edit.body))?;
    Ok(OpResult::Done)
}

const COLUMNS: &str =
    "g.id, g.integration, g.step, g.code, g.message, g.owner, g.note, g.link, g.hold_until, g.reviewed,
    g.reviewed_by, d.waiting, d.retrying, d.times, d.first, d.last";

fn read(row: &Row<'_>) -> rusqlite::Result<Group> {
    Ok(Group {
        id: row.get(0)?,
        cause: Cause { integration: row.get(1)?, step: row.get(2)?, code: row.get(3)?, message: row.get(4)? },
        owner: row.get(5)?,
        note: row.get(6)?,
        link: row.get(7)?,
        hold_until: row.get::<_, Option<Ms>>(8)?.map(from_ms),
        reviewed: row.get::<_, Option<Ms>>(9)?.map(from_ms),
        reviewed_by: row.get(10)?,
        waiting: row.get::<_, i64>(11)? as u64,
        retrying: row.get::<_, i64>(12)? as u64,
        times: row.get::<_, i64>(13)? as u64,
        first_seen: from_ms(row.get(14)?),
        last_seen: from_ms(row.get(15)?),
    })
}

fn select(condition: &str, waiting_only: bool) -> String {
    let states = if waiting_only { "WHERE state IN ('open', 'retrying')" } else { "" };
    format!(
        "SELECT {COLUMNS} FROM dead_letter_group g JOIN (
           SELECT cause, sum(state IN ('open', 'retrying')) AS waiting, sum(state = 'retrying') AS retrying,
             sum(count) AS times, min(first_seen) AS first, max(last_seen) AS last
           FROM dead_letter {states} GROUP BY cause) d ON d.cause = g.id
         WHERE {condition} ORDER BY d.last DESC, g.id LIMIT ?"
    )
}

fn list(conn: &Connection, integration: Option<&str>, closed: bool, limit: usize) -> rusqlite::Result<Vec<Group>> {
    let mut values: Vec<Value> = integration.iter().map(|name| Value::from((*name).to_owned())).collect();
    values.push((limit.min(1000) as i64).into());
    let condition = if integration.is_some() { "g.integration = ?" } else { "true" };
    all(conn, &select(condition, !closed), params_from_iter(values), read)
}

impl Store {
    /// The groups that something waits in, the last seen first; with `closed` also those that nobody waits for.
    /// *Shape*: at most `limit`, and never more than 1000.
    pub fn dead_letter_groups(
        &self,
        integration: Option<&str>,
        closed: bool,
        limit: usize,
    ) -> Result<Vec<Group>, Error> {
        self.read(|conn| list(conn, integration, closed, limit))
    }

    /// The groups whose id begins like this, also those with nothing that waits (at most 10).
    pub fn dead_letter_groups_like(&self, prefix: &str) -> Result<Vec<Group>, Error> {
        let sql = select("g.id >= ? AND g.id < ? || 'g'", false);
        let prefix = prefix.to_ascii_lowercase();
        self.read(|conn| all(conn, &sql, (&prefix, &prefix, 10), read))
    }

    /// What waits and nobody has looked at, by integration. A group that is put aside counts as looked at until then.
    /// *Shape*: in the order of names, without those that have none.
    pub fn dead_letters_unreviewed(&self) -> Result<Vec<Unreviewed>, Error> {
        let sql = "SELECT integration, count(*), min(since) FROM (
                     SELECT g.integration AS integration, max(d.first_seen, iif(over, g.hold_until, 0)) AS since
                     FROM (SELECT *, hold_until IS NOT NULL AND hold_until <= ?1
                             AND coalesce(reviewed, 0) <= hold_until AS over FROM dead_letter_group) g
                     JOIN dead_letter d ON d.cause = g.id
                     WHERE d.state IN ('open', 'retrying') AND coalesce(g.hold_until, 0) <= ?1
                       AND (over OR d.first_seen > coalesce(g.reviewed, 0)))
                   GROUP BY integration ORDER BY integration";
        let now = to_ms(self.clock().now());
        self.read(|conn| {
            all(conn, sql, [now], |row| {
                let (letters, since) = (row.get::<_, i64>(1)? as u64, from_ms(row.get(2)?));
                Ok(Unreviewed { integration: row.get(0)?, letters, since })
            })
        })
    }

    /// The copies of a dead letter that people have changed and sent, oldest first.
    pub fn dead_letter_edits(&self, id: &DeadLetterId) -> Result<Vec<Edit>, Error> {
        let sql = "SELECT at, by, why, changes, body FROM dead_letter_edit WHERE letter = ?1 ORDER BY id LIMIT 100";
        self.read(|conn| {
            all(conn, sql, [id.as_str()], |row| {
                let at = from_ms(row.get(0)?);
                Ok(Edit { at, by: row.get(1)?, why: row.get(2)?, changes: row.get(3)?, body: row.get(4)? })
            })
        })
    }

    /// How many dead letters of a cause came after a moment and wait.
    pub fn dead_letters_since(&self, cause: &str, after: Timestamp) -> Result<u64, Error> {
        let sql =
            "SELECT count(*) FROM dead_letter WHERE cause = ?1 AND state IN ('open', 'retrying') AND last_seen > ?2";
        let found = self.read(|conn| first(conn, sql, (cause, to_ms(after)), |row| row.get::<_, i64>(0)))?;
        Ok(found.unwrap_or(0) as u64)
    }
}
