//! Deadlines: when the result of a slot is needed, and whether it came in time.
//!
//! An integration has one open deadline at a time, that of the oldest slot whose result is not there. A good run that
//! began at the slot or later meets it, in the commit that ends the run; whoever watches the clock notes what was missed.

use jiff::Timestamp;
use rusqlite::{Connection, Row};

use crate::Store;
use crate::error::{Error, Fail};
use crate::op::OpResult;
use crate::time::{Ms, from_ms, to_ms};
use crate::tx::{Tx, all};

/// When the result of a slot is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    pub integration: String,
    /// When the run was due.
    pub slot: Timestamp,
    pub needed: Timestamp,
    /// When somebody noticed that it had passed.
    pub missed: Option<Timestamp>,
    /// When the result was there: late where `missed` is set.
    pub met: Option<Timestamp>,
}

/// What can be done with a deadline.
#[derive(Debug, Clone)]
pub enum Op {
    /// A slot is due. Nothing where an earlier one of the integration is open still. Answers how many were opened.
    Open { integration: String, slot: Timestamp, needed: Timestamp },
    /// It has passed, and the result is not there. Answers how many were noted: one, or none where that is known or over.
    Miss { integration: String, slot: Timestamp },
    /// Nobody waits for the open one any more: a pause, or `needed_by` is gone. Answers how many there were.
    Drop { integration: String },
}

/// Late ones of an integration that are kept after they were met.
const KEPT: i64 = 100;

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    let count = match op {
        Op::Open { integration, slot, needed } => {
            let sql = "INSERT INTO deadline (integration, slot, needed) SELECT ?1, ?2, ?3
                       WHERE NOT EXISTS (SELECT 1 FROM deadline WHERE integration = ?1 AND met IS NULL)
                       ON CONFLICT DO NOTHING";
            tx.run(sql, (integration, to_ms(*slot), to_ms(*needed)))?
        }
        Op::Miss { integration, slot } => {
            let sql = "UPDATE deadline SET missed = ?3
                       WHERE integration = ?1 AND slot = ?2 AND missed IS NULL AND met IS NULL AND needed <= ?3";
            tx.run(sql, (integration, to_ms(*slot), tx.now))?
        }
        Op::Drop { integration } => {
            tx.run("DELETE FROM deadline WHERE integration = ?1 AND met IS NULL", [integration])?
        }
    };
    Ok(OpResult::Count(count as u64))
}

/// A good run that began then has ended: what was due by its beginning is there. What nobody noticed as late leaves no
/// trace; of what was late, the newest are kept.
pub(crate) fn meet(tx: &Tx<'_>, integration: &str, began: Ms) -> rusqlite::Result<()> {
    let sql = "UPDATE deadline SET met = ?3, missed = CASE WHEN needed < ?3 THEN coalesce(missed, ?3) END
               WHERE integration = ?1 AND slot <= ?2 AND met IS NULL";
    if tx.run(sql, (integration, began, tx.now))? > 0 {
        let sql = "DELETE FROM deadline WHERE integration = ?1 AND met IS NOT NULL AND (missed IS NULL OR slot <
                   (SELECT slot FROM deadline WHERE integration = ?1 AND missed IS NOT NULL
                    ORDER BY slot DESC LIMIT 1 OFFSET ?2))";
        tx.run(sql, (integration, KEPT))?;
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Deadline> {
    let moment = |at| row.get::<_, Option<i64>>(at).map(|ms| ms.map(from_ms));
    Ok(Deadline {
        integration: row.get(0)?,
        slot: from_ms(row.get(1)?),
        needed: from_ms(row.get(2)?),
        missed: moment(3)?,
        met: moment(4)?,
    })
}

fn select(conn: &Connection, and: &str) -> rusqlite::Result<Vec<Deadline>> {
    let sql = format!("SELECT integration, slot, needed, missed, met FROM deadline WHERE {and} LIMIT 10000");
    all(conn, &sql, [], read)
}

impl Store {
    /// The deadlines whose result is not there yet, by integration. *Shape*: one for each at most; late ones have `missed`.
    pub fn deadlines(&self) -> Result<Vec<Deadline>, Error> {
        self.read(|conn| select(conn, "met IS NULL ORDER BY integration"))
    }

    /// Those that were missed and met after all, newest first.
    pub fn late_deadlines(&self) -> Result<Vec<Deadline>, Error> {
        self.read(|conn| select(conn, "met IS NOT NULL AND missed IS NOT NULL ORDER BY slot DESC, integration"))
    }
}
