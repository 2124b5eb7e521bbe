//! Looks: whether each system answered when the hub asked it last, with nothing to read or write there.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Row;

use crate::Store;
use crate::error::{Error, Fail};
use crate::op::OpResult;
use crate::time::{from_ms, to_ms};
use crate::tx::{Tx, all};

/// What was found when a system was asked last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub system: String,
    /// Since when it answers, does not, or refuses us, as far as looks tell.
    pub since: Timestamp,
    pub seen: Timestamp,
    pub took: Duration,
    /// When it last answered.
    pub good: Option<Timestamp>,
    pub found: Found,
    /// The other side asks to be left alone for so long.
    pub wait: Duration,
}

/// Whether it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Answer { version: String, user: Option<String> },
    Silence(Silence),
}

/// Why there was no answer with which anything could be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    pub code: String,
    pub what: String,
    /// The other side's own words; empty where it said nothing.
    pub why: String,
    pub fix: String,
    /// It does not go away by itself: a password, a right, a setting.
    pub person: bool,
}

impl Silence {
    /// What the system does, after its name.
    pub fn does(&self) -> &'static str {
        if self.person { "refuses us" } else { "does not answer" }
    }
}

impl Look {
    /// Why it does not answer, where it does not.
    pub fn silence(&self) -> Option<&Silence> {
        match &self.found {
            Found::Silence(silence) => Some(silence),
            Found::Answer { .. } => None,
        }
    }
}

/// What can be done with looks.
#[derive(Debug, Clone)]
pub enum Op {
    /// A system was asked. What was found before `fresh` is too old to tell since when it is so.
    Note { system: String, took: Duration, found: Found, wait: Duration, fresh: Timestamp },
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    let Op::Note { system, took, found, wait, fresh } = op;
    let answers = matches!(found, Found::Answer { .. });
    // A system that answers no more after it has refused us is out of reach for as long, and people are told as soon.
    let refuses = matches!(found, Found::Silence(Silence { person: true, .. }));
    let sql = "INSERT INTO system_look (system, answers, since, seen, took_ms, good, wait_ms)
               VALUES (?1, ?2, ?3, ?3, ?4, CASE WHEN ?2 THEN ?3 END, ?5)
               ON CONFLICT (system) DO UPDATE SET
                 since = CASE WHEN answers = ?2 AND seen >= ?6 AND person >= ?7 THEN since ELSE ?3 END,
                 answers = ?2, seen = ?3, took_ms = ?4, good = CASE WHEN ?2 THEN ?3 ELSE good END, wait_ms = ?5";
    let (took, wait) = (took.as_millis() as i64, wait.as_millis() as i64);
    tx.run(sql, (system, answers, tx.now, took, wait, to_ms(*fresh), refuses))?;
    match found {
        Found::Answer { version, user } => tx.run(
            "UPDATE system_look SET version = ?2, user = ?3, person = 0, code = '', what = '', why = '', fix = ''
             WHERE system = ?1",
            (system, version, user),
        )?,
        Found::Silence(Silence { code, what, why, fix, person }) => tx.run(
            "UPDATE system_look SET person = ?2, code = ?3, what = ?4, why = ?5, fix = ?6 WHERE system = ?1",
            (system, person, code, what, why, fix),
        )?,
    };
    Ok(OpResult::Done)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Look> {
    let found = match row.get(1)? {
        true => Found::Answer { version: row.get(6)?, user: row.get(7)? },
        false => Found::Silence(Silence {
            person: row.get(8)?,
            code: row.get(9)?,
            what: row.get(10)?,
            why: row.get(11)?,
            fix: row.get(12)?,
        }),
    };
    Ok(Look {
        system: row.get(0)?,
        since: from_ms(row.get(2)?),
        seen: from_ms(row.get(3)?),
        took: Duration::from_millis(row.get::<_, i64>(4)? as u64),
        good: row.get::<_, Option<i64>>(5)?.map(from_ms),
        found,
        wait: Duration::from_millis(row.get::<_, i64>(13)? as u64),
    })
}

impl Store {
    /// What was found at each system when it was asked last, by name. *Shape*: only those that were asked.
    pub fn looks(&self) -> Result<Vec<Look>, Error> {
        let sql = "SELECT system, answers, since, seen, took_ms, good, version, user, person, code, what, why, fix,
                   wait_ms FROM system_look ORDER BY system";
        self.read(|conn| all(conn, sql, [], read))
    }
}
