//! People who are not there for a while, and who answers for them.

use jiff::Timestamp;
use rusqlite::Row;

use crate::Store;
use crate::error::{Error, Fail};
use crate::op::OpResult;
use crate::time::{from_ms, to_ms};
use crate::tx::{Tx, all};

/// Somebody who is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// As in people.yaml.
    pub person: String,
    pub since: Timestamp,
    pub until: Timestamp,
    /// Who answers instead; nobody where nothing is said.
    pub stand_in: Option<String>,
    pub note: String,
    /// Who said so.
    pub by: String,
}

/// What can be done about it.
#[derive(Debug, Clone)]
pub enum Op {
    /// From then on; over what was said of the same person before.
    Set(Away),
    /// The person is back; answers how many absences that ended.
    End { person: String },
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    match op {
        Op::Set(away) => {
            let sql = "INSERT INTO away (person, since, until, stand_in, note, by) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                       ON CONFLICT (person) DO UPDATE SET since = ?2, until = ?3, stand_in = ?4, note = ?5, by = ?6";
            let Away { person, since, until, stand_in, note, by } = away;
            tx.run(sql, (person, to_ms(*since), to_ms(*until), stand_in, note, by))?;
            Ok(OpResult::Done)
        }
        Op::End { person } => Ok(OpResult::Count(tx.run("DELETE FROM away WHERE person = ?1", [person])? as u64)),
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Away> {
    Ok(Away {
        person: row.get(0)?,
        since: from_ms(row.get(1)?),
        until: from_ms(row.get(2)?),
        stand_in: row.get(3)?,
        note: row.get(4)?,
        by: row.get(5)?,
    })
}

impl Store {
    /// Absences that have not ended, also those that have not begun, by person.
    pub fn away(&self) -> Result<Vec<Away>, Error> {
        let sql = "SELECT person, since, until, stand_in, note, by FROM away WHERE until > ?1 ORDER BY person";
        let now = to_ms(self.clock().now());
        self.read(|conn| all(conn, sql, [now], read))
    }
}
