//! Agreements: what the two sides of a two-way integration were when they last agreed, so that a later run can tell which
//! of them has changed.

use std::ops::ControlFlow;

use record::Key;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Row};

use crate::Store;
use crate::error::{Error, Fail};
use crate::op::OpResult;
use crate::tx::{Tx, all, first};

/// How a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing is to be done until one of the sides changes.
    Settled,
    /// The next run looks at both sides again, whether they have changed or not.
    Pending,
}

/// One key of one entity of one integration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    pub key: Key,
    pub state: State,
    /// Whatever the hub has to know of it. *Shape*: a few bytes for each field.
    pub content: Vec<u8>,
}

/// What can be done with agreements.
#[derive(Debug, Clone)]
pub enum Op {
    /// Writes agreements, new or over what was there, in key order.
    Put { integration: String, entity: String, agreements: Vec<Agreement> },
    /// Forgets keys; answers how many there were.
    Remove { integration: String, entity: String, keys: Vec<Key> },
    /// The two sides are at these places. Where they were at others, nothing is agreed on: all keys are forgotten. Answers
    /// how many there were.
    Place { integration: String, entity: String, place: String },
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    match op {
        Op::Put { integration, entity, agreements } => {
            let scope = scope_made(tx, integration, entity)?;
            let mut sorted: Vec<&Agreement> = agreements.iter().collect();
            sorted.sort_by(|a, b| a.key.cmp(&b.key));
            for one in sorted {
                let sql = "INSERT INTO agreement (scope, key, state, content) VALUES (?1, ?2, ?3, ?4)
                           ON CONFLICT (scope, key) DO UPDATE SET state = ?3, content = ?4";
                tx.run(sql, (scope, one.key.as_bytes(), one.state, &one.content))?;
            }
            Ok(OpResult::Done)
        }
        Op::Remove { integration, entity, keys } => {
            let Some(scope) = scope(tx.conn, integration, entity)? else { return Ok(OpResult::Count(0)) };
            let mut removed = 0;
            for key in keys {
                let sql = "DELETE FROM agreement WHERE scope = ?1 AND key = ?2";
                removed += tx.run(sql, (scope, key.as_bytes()))? as u64;
            }
            Ok(OpResult::Count(removed))
        }
        Op::Place { integration, entity, place } => {
            let scope = scope_made(tx, integration, entity)?;
            let forgotten = match tx.moves("agreement_scope", scope, place)? {
                true => tx.run("DELETE FROM agreement WHERE scope = ?1", [scope])?,
                false => 0,
            };
            Ok(OpResult::Count(forgotten as u64))
        }
    }
}

fn scope_made(tx: &mut Tx<'_>, integration: &str, entity: &str) -> rusqlite::Result<i64> {
    match scope(tx.conn, integration, entity)? {
        Some(scope) => Ok(scope),
        None => {
            tx.run("INSERT INTO agreement_scope (integration, entity) VALUES (?1, ?2)", (integration, entity))?;
            Ok(tx.conn.last_insert_rowid())
        }
    }
}

/// Forgets a key of an entity in every integration; or only counts where it is. Answers how many.
pub(crate) fn forget_key(tx: &Tx<'_>, entity: &str, key: &Key, only_count: bool) -> rusqlite::Result<u64> {
    let of = "key = ?2 AND scope IN (SELECT id FROM agreement_scope WHERE entity = ?1)";
    let params = (entity, key.as_bytes());
    if only_count {
        let sql = format!("SELECT count(*) FROM agreement WHERE {of}");
        return Ok(tx.first(&sql, params, |row| row.get::<_, i64>(0))?.unwrap_or(0) as u64);
    }
    Ok(tx.run(&format!("DELETE FROM agreement WHERE {of}"), params)? as u64)
}

fn scope(conn: &Connection, integration: &str, entity: &str) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT id FROM agreement_scope WHERE integration = ?1 AND entity = ?2";
    first(conn, sql, (integration, entity), |row| row.get(0))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Agreement> {
    Ok(Agreement { key: key(row)?, state: row.get(1)?, content: row.get(2)? })
}

fn key(row: &Row<'_>) -> rusqlite::Result<Key> {
    let wrong = |why| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, Box::new(why));
    Key::from_bytes(row.get_ref(0)?.as_blob()?).map_err(wrong)
}

impl Store {
    /// The agreements of these keys, in the order of the keys.
    pub fn agreements(&self, integration: &str, entity: &str, keys: &[Key]) -> Result<Vec<Option<Agreement>>, Error> {
        self.read(|conn| {
            let Some(scope) = scope(conn, integration, entity)? else { return Ok(vec![None; keys.len()]) };
            let sql = "SELECT key, state, content FROM agreement WHERE scope = ?1 AND key = ?2";
            keys.iter().map(|key| first(conn, sql, (scope, key.as_bytes()), read)).collect()
        })
    }

    /// Where the two sides are; `None` where nobody has said so.
    pub fn agreements_place(&self, integration: &str, entity: &str) -> Result<Option<String>, Error> {
        let sql = "SELECT place FROM agreement_scope WHERE integration = ?1 AND entity = ?2";
        self.read(|conn| Ok(first(conn, sql, (integration, entity), |row| row.get(0))?.flatten()))
    }

    /// The keys that wait to be looked at again, in key order.
    pub fn agreements_pending(&self, integration: &str, entity: &str) -> Result<Vec<Key>, Error> {
        self.read(|conn| {
            let Some(scope) = scope(conn, integration, entity)? else { return Ok(Vec::new()) };
            let sql = "SELECT key FROM agreement WHERE scope = ?1 AND state = 1 ORDER BY key";
            all(conn, sql, [scope], key)
        })
    }

    /// Every agreement of one entity of one integration, in key order, until `each` breaks off. *Shape*: one snapshot.
    pub fn agreements_scan(
        &self,
        integration: &str,
        entity: &str,
        mut each: impl FnMut(Agreement) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.read(|conn| {
            let Some(scope) = scope(conn, integration, entity)? else { return Ok(()) };
            let sql = "SELECT key, state, content FROM agreement WHERE scope = ?1 ORDER BY key";
            let mut statement = conn.prepare_cached(sql)?;
            let mut rows = statement.query([scope])?;
            while let Some(row) = rows.next()? {
                if each(read(row)?).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }
}

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(Value::Integer(*self as i64)))
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<State> {
        match value.as_i64()? {
            0 => Ok(State::Settled),
            1 => Ok(State::Pending),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}
