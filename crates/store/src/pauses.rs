//! Pauses: integrations that a person has stopped for a while.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::Row;

use crate::Store;
use crate::error::{Error, Fail};
use crate::op::OpResult;
use crate::time::{from_ms, to_ms};
use crate::tx::{Tx, all};

/// An integration that starts nothing by itself for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub integration: String,
    pub by: String,
    /// Why, for whoever wonders later.
    pub note: String,
    pub since: Timestamp,
    /// When it ends by itself; `None` where somebody has to resume it.
    pub until: Option<Timestamp>,
}

/// What can be done with a pause.
#[derive(Debug, Clone)]
pub enum Op {
    /// Pauses from now on; over an earlier pause of the same integration.
    Set { integration: String, by: String, note: String, until: Option<Timestamp> },
    /// Ends a pause; answers how many there were.
    End { integration: String },
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    match op {
        Op::Set { integration, by, note, until } => {
            let sql = "INSERT INTO pause (integration, by, note, since, until) VALUES (?1, ?2, ?3, ?4, ?5)
                       ON CONFLICT (integration) DO UPDATE SET by = ?2, note = ?3, since = ?4, until = ?5";
            tx.run(sql, (integration, by, note, tx.now, until.map(to_ms)))?;
            Ok(OpResult::Done)
        }
        // When it ended is kept: what was due meanwhile is waited for from then on.
        Op::End { integration } => {
            let sql = "UPDATE pause SET until = ?2 WHERE integration = ?1 AND (until IS NULL OR until > ?2)";
            Ok(OpResult::Count(tx.run(sql, (integration, tx.now))? as u64))
        }
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Pause> {
    Ok(Pause {
        integration: row.get(0)?,
        by: row.get(1)?,
        note: row.get(2)?,
        since: from_ms(row.get(3)?),
        until: row.get::<_, Option<i64>>(4)?.map(from_ms),
    })
}

impl Store {
    /// The pauses that hold now, by integration.
    pub fn pauses(&self) -> Result<Vec<Pause>, Error> {
        let now = to_ms(self.clock().now());
        let sql = "SELECT integration, by, note, since, until FROM pause
                   WHERE until IS NULL OR until > ?1 ORDER BY integration";
        self.read(|conn| all(conn, sql, [now], read))
    }

    /// When the newest pause of each integration ended, of those that are not paused now.
    pub fn resumptions(&self) -> Result<BTreeMap<String, Timestamp>, Error> {
        let (sql, now) = ("SELECT integration, until FROM pause WHERE until <= ?1", to_ms(self.clock().now()));
        let ended = self.read(|conn| all(conn, sql, [now], |row| Ok((row.get(0)?, from_ms(row.get(1)?)))))?;
        Ok(ended.into_iter().collect())
    }
}
