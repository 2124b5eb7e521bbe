//! Outages: destinations that take nothing at the moment, as the hub found them.

use jiff::Timestamp;
use rusqlite::Row;

use crate::Store;
use crate::error::{Error, Fail};
use crate::op::OpResult;
use crate::time::from_ms;
use crate::tx::{Tx, all};

/// A destination of an integration that is waited for. Its messages stay where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    pub integration: String,
    /// The destination that nothing gets through to.
    pub system: String,
    /// The system that failed: the destination, or the source that its rows are asked of.
    pub at: String,
    /// When its first failure in a row was noticed.
    pub since: Timestamp,
    /// When the last probe was answered, and how.
    pub seen: Timestamp,
    pub code: String,
    pub what: String,
    pub fix: String,
    /// Failures in a row.
    pub failures: u64,
}

/// What can be done with an outage.
#[derive(Debug, Clone)]
pub enum Op {
    /// The destination failed again; the first time begins the outage.
    Note { integration: String, system: String, at: String, code: String, what: String, fix: String, failures: u64 },
    /// It takes messages again; answers how many outages that ended.
    End { integration: String, system: String },
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    match op {
        Op::Note { integration, system, at, code, what, fix, failures } => {
            let sql = "INSERT INTO outage (integration, system, since, seen, code, what, fix, failures, at)
                       VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8)
                       ON CONFLICT (integration, system)
                       DO UPDATE SET seen = ?3, code = ?4, what = ?5, fix = ?6, failures = ?7, at = ?8";
            tx.run(sql, (integration, system, tx.now, code, what, fix, *failures as i64, at))?;
            Ok(OpResult::Done)
        }
        Op::End { integration, system } => {
            let sql = "DELETE FROM outage WHERE integration = ?1 AND system = ?2";
            Ok(OpResult::Count(tx.run(sql, (integration, system))? as u64))
        }
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Outage> {
    Ok(Outage {
        integration: row.get(0)?,
        system: row.get(1)?,
        since: from_ms(row.get(2)?),
        seen: from_ms(row.get(3)?),
        code: row.get(4)?,
        what: row.get(5)?,
        fix: row.get(6)?,
        failures: row.get::<_, i64>(7)? as u64,
        at: row.get(8)?,
    })
}

impl Store {
    /// The outages that go on, by integration and system.
    pub fn outages(&self) -> Result<Vec<Outage>, Error> {
        let sql = "SELECT integration, system, since, seen, code, what, fix, failures, coalesce(nullif(at, ''), system)
                   FROM outage ORDER BY integration, system";
        self.read(|conn| all(conn, sql, [], read))
    }
}
