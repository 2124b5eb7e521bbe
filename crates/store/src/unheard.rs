//! Webhooks that do not come: what a sweep found that had none, and calls that were refused, since the last good one.

use jiff::Timestamp;
use rusqlite::Row;

use crate::Store;
use crate::error::{Error, Fail};
use crate::op::OpResult;
use crate::time::{from_ms, to_ms};
use crate::tx::{Tx, all};

/// An integration of which no good webhook has come since this was noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unheard {
    pub integration: String,
    /// Since when none has come, as far as that is known.
    pub since: Timestamp,
    /// When the last of these was noticed.
    pub seen: Timestamp,
    /// Changes that had no webhook, and in how many sweeps they were found.
    pub changes: u64,
    pub sweeps: u64,
    /// Calls with a wrong key or signature.
    pub refused: u64,
}

/// What can be done with it.
#[derive(Debug, Clone)]
pub enum Op {
    /// A sweep found changes that had no webhook; the sweep before it was then.
    Missed { integration: String, changes: u64, since: Timestamp },
    /// Calls were refused.
    Refused { integration: String, calls: u64 },
    /// A good one came, or none is expected any more; answers how many integrations that was about.
    Heard { integration: String },
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    let note =
        "INSERT INTO unheard (integration, since, seen, changes, sweeps, refused) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                ON CONFLICT (integration) DO UPDATE SET since = min(since, ?2), seen = ?3,
                  changes = changes + ?4, sweeps = sweeps + ?5, refused = refused + ?6";
    match op {
        Op::Missed { integration, changes, since } => {
            tx.run(note, (integration, to_ms(*since), tx.now, *changes as i64, 1, 0))?;
            Ok(OpResult::Done)
        }
        Op::Refused { integration, calls } => {
            tx.run(note, (integration, tx.now, tx.now, 0, 0, *calls as i64))?;
            Ok(OpResult::Done)
        }
        Op::Heard { integration } => {
            Ok(OpResult::Count(tx.run("DELETE FROM unheard WHERE integration = ?1", [integration])? as u64))
        }
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Unheard> {
    Ok(Unheard {
        integration: row.get(0)?,
        since: from_ms(row.get(1)?),
        seen: from_ms(row.get(2)?),
        changes: row.get::<_, i64>(3)? as u64,
        sweeps: row.get::<_, i64>(4)? as u64,
        refused: row.get::<_, i64>(5)? as u64,
    })
}

impl Store {
    /// The integrations whose webhooks do not come, by name.
    pub fn unheard(&self) -> Result<Vec<Unheard>, Error> {
        let sql = "SELECT integration, since, seen, changes, sweeps, refused FROM unheard ORDER BY integration";
        self.read(|conn| all(conn, sql, [], read))
    }
}
