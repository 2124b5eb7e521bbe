//! Cursors: how far each stream of an integration has been read.

use jiff::Timestamp;
use rusqlite::{Connection, Row};

use crate::Store;
use crate::error::{Error, Fail, Refusal};
use crate::op::OpResult;
use crate::time::from_ms;
use crate::tx::{Tx, all, first};

/// Where reading goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub integration: String,
    /// What is read: an entity, or one of several tables of it.
    pub stream: String,
    /// What the source gave; it means something only to the source.
    pub position: String,
    /// Of the definition that the position was reached with. A different one announces a full read.
    pub fingerprint: String,
    pub updated: Timestamp,
}

/// What can be done with a cursor.
#[derive(Debug, Clone)]
pub enum Op {
    /// Sets a cursor; part of the commit of each chunk.
    Set { integration: String, stream: String, position: String, fingerprint: String },
    /// Sets a cursor, and refuses the commit when its position is not what the caller saw (`None`: there was none).
    SetIf { integration: String, stream: String, seen: Option<String>, position: String, fingerprint: String },
    /// Forgets one cursor of an integration, or all of them: the next run reads everything. Answers how many.
    Reset { integration: String, stream: Option<String> },
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    match op {
        Op::Set { integration, stream, position, fingerprint } => {
            set(tx, integration, stream, position, fingerprint)?;
            Ok(OpResult::Done)
        }
        Op::SetIf { integration, stream, seen, position, fingerprint } => {
            let found = get(tx.conn, integration, stream)?.map(|cursor| cursor.position);
            if found != *seen {
                return Err(Refusal::CursorMoved { integration: integration.clone(), stream: stream.clone() }.into());
            }
            set(tx, integration, stream, position, fingerprint)?;
            Ok(OpResult::Done)
        }
        Op::Reset { integration, stream } => {
            let sql = "DELETE FROM cursor WHERE integration = ?1 AND (?2 IS NULL OR stream = ?2)";
            Ok(OpResult::Count(tx.run(sql, (integration, stream))? as u64))
        }
    }
}

fn set(tx: &Tx<'_>, integration: &str, stream: &str, position: &str, fingerprint: &str) -> rusqlite::Result<usize> {
    let sql = "INSERT INTO cursor (integration, stream, position, fingerprint, updated) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (integration, stream) DO UPDATE SET position = ?3, fingerprint = ?4, updated = ?5";
    tx.run(sql, (integration, stream, position, fingerprint, tx.now))
}

fn get(conn: &Connection, integration: &str, stream: &str) -> rusqlite::Result<Option<Cursor>> {
    let sql =
        "SELECT integration, stream, position, fingerprint, updated FROM cursor WHERE integration = ?1 AND stream = ?2";
    first(conn, sql, (integration, stream), read)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Cursor> {
    Ok(Cursor {
        integration: row.get(0)?,
        stream: row.get(1)?,
        position: row.get(2)?,
        fingerprint: row.get(3)?,
        updated: from_ms(row.get(4)?),
    })
}

impl Store {
    /// One cursor.
    pub fn cursor(&self, integration: &str, stream: &str) -> Result<Option<Cursor>, Error> {
        self.read(|conn| get(conn, integration, stream))
    }

    /// All cursors of an integration, by stream.
    pub fn cursors(&self, integration: &str) -> Result<Vec<Cursor>, Error> {
        let sql = "SELECT integration, stream, position, fingerprint, updated FROM cursor WHERE integration = ?1 ORDER BY stream";
        self.read(|conn| all(conn, sql, [integration], read))
    }
}
