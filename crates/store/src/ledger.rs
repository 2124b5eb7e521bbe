//! The ledger: what each key looked like when it was last settled, so that a second run writes nothing.

use std::collections::HashMap;
use std::ops::ControlFlow;

use record::Key;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Row};

use crate::error::{Error, Fail};
use crate::op::OpResult;
use crate::tx::{Count, Tx, first};
use crate::{Store, guid};

/// How a key was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The destination holds what the content hash says.
    Written,
    /// The row is a dead letter.
    Rejected,
    /// The row waits for something, such as the parent that it refers to.
    Waiting,
    /// The row is gone from the source, and is inactive in the destination because of that.
    Deactivated,
}

/// The hash of what nobody knows. No row has it.
pub const UNKNOWN: u128 = 0;

/// Instead of a content, of a row that is rejected or waits: the destination has it from the hub, or may have. No row has it.
pub const OURS: u128 = 1;

/// The same of a row that the hub has made inactive there because it was gone, or may have.
pub const LEFT: u128 = 2;

/// One row of the ledger, for a key of one entity of one system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    /// Of the raw source row.
    pub source_hash: u128,
    /// Of the target's columns, normalised. Of a row that is rejected or waits: [`OURS`], [`LEFT`], or nothing that says
    /// anything.
    pub content_hash: u128,
    /// The fingerprint of the mapping that made the one from the other.
    pub mapping: u64,
    pub state: State,
    /// The full read that last wrote this row.
    pub generation: u64,
    /// The destination's own identity of the row, and the version that it last told us.
    pub remote_id: Option<String>,
    pub version: Option<String>,
}

impl Entry {
    /// What is remembered before something else is written: should nobody learn what became of that, and the source change
    /// back meanwhile, the row is not taken for being as it was. `None` where nothing is taken for granted as it is.
    pub fn doubted(&self) -> Option<Entry> {
        let is_doubted = (self.source_hash, self.content_hash) == (UNKNOWN, UNKNOWN);
        let doubted = || Entry { source_hash: UNKNOWN, content_hash: UNKNOWN, ..self.clone() };
        (self.state == State::Written && !is_doubted).then(doubted)
    }

    /// What is remembered of the row instead of a content while it is rejected or waits.
    pub fn standing(&self) -> u128 {
        match self.state {
            State::Deactivated => LEFT,
            State::Written => OURS,
            State::Rejected | State::Waiting if matches!(self.content_hash, OURS | LEFT) => self.content_hash,
            State::Rejected | State::Waiting if self.remote_id.is_some() => OURS,
            State::Rejected | State::Waiting => UNKNOWN,
        }
    }

    /// The same row, waiting since a run.
    pub fn waiting(&self, since: u64) -> Entry {
        Entry { state: State::Waiting, content_hash: self.standing(), generation: since, ..self.clone() }
    }
}

/// A row of the ledger while it is scanned: borrowed, without the parts that comparing does not need.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'r> {
    /// As [`Key::as_bytes`] gives them.
    pub key: &'r [u8],
    pub source_hash: u128,
    pub content_hash: u128,
    pub mapping: u64,
    pub state: State,
    pub generation: u64,
}

/// How many rows of one entity of one system the ledger holds, by state. Kept, never counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub written: u64,
    pub rejected: u64,
    pub waiting: u64,
    pub deactivated: u64,
}

impl Totals {
    pub fn all(&self) -> u64 {
        self.written + self.rejected + self.waiting + self.deactivated
    }
}

/// What can be done with the ledger.
#[derive(Debug, Clone)]
pub enum Op {
    /// Writes rows, new or over what was there; part of the commit of each chunk. They are written in key order,
    /// whatever order they come in.
    Put { system: String, entity: String, entries: Vec<Entry> },
    /// Forgets rows; answers how many there were.
    Remove { system: String, entity: String, keys: Vec<Key> },
    /// Forgets everything of one entity of one system; answers how many rows there were.
    Clear { system: String, entity: String },
    /// The rows of one entity are at this place of a system. Where they were at another one, nothing that was written there
    /// is taken for granted here: its entries are [doubted](Entry::doubted). Answers how many.
    Place { system: String, entity: String, place: String },
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    match op {
        Op::Put { system, entity, entries } => {
            let scope = scope_made(tx, system, entity)?;
            let mut sorted: Vec<&Entry> = entries.iter().collect();
            sorted.sort_by(|a, b| a.key.cmp(&b.key));
            put(tx, scope, &sorted)?;
            Ok(OpResult::Done)
        }
        Op::Remove { system, entity, keys } => {
            let Some(scope) = scope(tx.conn, system, entity)? else { return Ok(OpResult::Count(0)) };
            let mut sorted: Vec<&Key> = keys.iter().collect();
            sorted.sort_unstable();
            let mut removed = 0;
            for key in sorted {
                let sql = "DELETE FROM ledger WHERE scope = ?1 AND key = ?2 RETURNING state";
                if let Some(state) = tx.first(sql, (scope, key.as_bytes()), |row| row.get(0))? {
                    tx.count(Count::Ledger { scope, state }, -1);
                    removed += 1;
                }
            }
            Ok(OpResult::Count(removed))
        }
        Op::Clear { system, entity } => {
            let Some(scope) = scope(tx.conn, system, entity)? else { return Ok(OpResult::Count(0)) };
            for state in [State::Written, State::Rejected, State::Waiting, State::Deactivated] {
                let count = Count::Ledger { scope, state };
                let there = total(tx.conn, scope, state)? + tx.counted(&count);
                tx.count(count, -there);
            }
            Ok(OpResult::Count(tx.run("DELETE FROM ledger WHERE scope = ?1", [scope])? as u64))
        }
        Op::Place { system, entity, place } => {
            let scope = scope_made(tx, system, entity)?;
            let doubted = match tx.moves("ledger_scope", scope, place)? {
                true => {
                    let sql = "UPDATE ledger SET source_hash = ?3, content_hash = ?3 WHERE scope = ?1 AND state = ?2";
                    tx.run(sql, (scope, State::Written, UNKNOWN.to_be_bytes()))?
                }
                false => 0,
            };
            Ok(OpResult::Count(doubted as u64))
        }
    }
}

fn scope_made(tx: &mut Tx<'_>, system: &str, entity: &str) -> rusqlite::Result<i64> {
    match scope(tx.conn, system, entity)? {
        Some(scope) => Ok(scope),
        None => {
            tx.run("INSERT INTO ledger_scope (system, entity) VALUES (?1, ?2)", (system, entity))?;
            Ok(tx.conn.last_insert_rowid())
        }
    }
}

/// Forgets a key of an entity in every system, and what is remembered beside the entity under its name and a word more,
/// such as `order versions`; or only counts where it is. Answers how many.
///
/// Where keys are found by something else (`order by id`), the key is what stands there as the row's identity, in
/// hexadecimal digits.
pub(crate) fn forget_key(tx: &mut Tx<'_>, entity: &str, key: &Key, only_count: bool) -> rusqlite::Result<u64> {
    let sql = "SELECT l.scope, l.state, l.key FROM ledger_scope s JOIN ledger l ON l.scope = s.id AND l.key = ?2
               WHERE s.entity = ?1 OR substr(s.entity, 1, length(?1) + 1) = ?1 || ' '
               UNION SELECT l.scope, l.state, l.key FROM ledger_scope s JOIN ledger l ON l.scope = s.id
               WHERE substr(s.entity, 1, length(?1) + 1) = ?1 || ' ' AND l.remote_id = ?3";
    let hex: String = key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let found: Vec<(i64, State, Vec<u8>)> = tx.all(sql, (entity, key.as_bytes(), &hex), read)?;
    for (scope, state, key) in found.iter().filter(|_| !only_count) {
        tx.run("DELETE FROM ledger WHERE scope = ?1 AND key = ?2", (scope, key))?;
        tx.count(Count::Ledger { scope: *scope, state: *state }, -1);
    }
    Ok(found.len() as u64)
}

/// Writes rows in the order given: most are new, and are not looked for first.
fn put(tx: &mut Tx<'_>, scope: i64, entries: &[&Entry]) -> rusqlite::Result<()> {
    let insert =
        "INSERT INTO ledger (scope, key, source_hash, content_hash, mapping, state, generation, remote_id, version)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (scope, key) DO NOTHING";
    let update = "UPDATE ledger SET source_hash = ?3, content_hash = ?4, mapping = ?5, state = ?6, generation = ?7,
                  remote_id = ?8, version = ?9 WHERE scope = ?1 AND key = ?2";
    let mut changed: HashMap<State, i64> = HashMap::new();
    let mut insert = tx.conn.prepare_cached(insert)?;
    for entry in entries {
        let write = |statement: &mut rusqlite::Statement<'_>| {
            statement.execute((
                scope,
                entry.key.as_bytes(),
                entry.source_hash.to_be_bytes(),
                entry.content_hash.to_be_bytes(),
                entry.mapping as i64,
                entry.state,
                entry.generation as i64,
                entry.remote_id.as_deref().map(guid::pack),
                &entry.version,
            ))
        };
        if write(&mut insert)? == 0 {
            let sql = "SELECT state FROM ledger WHERE scope = ?1 AND key = ?2";
            if let Some(before) = tx.first(sql, (scope, entry.key.as_bytes()), |row| row.get(0))? {
                *changed.entry(before).or_default() -= 1;
            }
            write(&mut *tx.conn.prepare_cached(update)?)?;
        }
        *changed.entry(entry.state).or_default() += 1;
    }
    drop(insert);
    for (state, by) in changed {
        tx.count(Count::Ledger { scope, state }, by);
    }
    Ok(())
}

pub(crate) fn add_to_count(tx: &Tx<'_>, scope: i64, state: State, by: i64) -> rusqlite::Result<()> {
    let sql = match state {
        State::Written => "UPDATE ledger_scope SET written = written + ?2 WHERE id = ?1",
        State::Rejected => "UPDATE ledger_scope SET rejected = rejected + ?2 WHERE id = ?1",
        State::Waiting => "UPDATE ledger_scope SET waiting = waiting + ?2 WHERE id = ?1",
        State::Deactivated => "UPDATE ledger_scope SET deactivated = deactivated + ?2 WHERE id = ?1",
    };
    tx.run(sql, (scope, by)).map(drop)
}

fn scope(conn: &Connection, system: &str, entity: &str) -> rusqlite::Result<Option<i64>> {
    first(conn, "SELECT id FROM ledger_scope WHERE system = ?1 AND entity = ?2", (system, entity), |row| row.get(0))
}

fn total(conn: &Connection, scope: i64, state: State) -> rusqlite::Result<i64> {
    let sql = "SELECT written, rejected, waiting, deactivated FROM ledger_scope WHERE id = ?1";
    let at = state as usize;
    Ok(first(conn, sql, [scope], |row| row.get(at))?.unwrap_or(0))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let bytes = row.get_ref(0)?.as_blob()?;
    let key = Key::from_bytes(bytes)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, Box::new(error)))?;
    Ok(Entry {
        key,
        source_hash: hash(row, 1)?,
        content_hash: hash(row, 2)?,
        mapping: row.get::<_, i64>(3)? as u64,
        state: row.get(4)?,
        generation: row.get::<_, i64>(5)? as u64,
        remote_id: guid::unpack(row.get_ref(6)?)?,
        version: row.get(7)?,
    })
}

fn hash(row: &Row<'_>, at: usize) -> rusqlite::Result<u128> {
    row.get(at).map(u128::from_be_bytes)
}

fn scan(conn: &Connection, scope: i64, each: &mut dyn FnMut(Seen<'_>) -> ControlFlow<()>) -> rusqlite::Result<()> {
    let sql =
        "SELECT key, source_hash, content_hash, mapping, state, generation FROM ledger WHERE scope = ?1 ORDER BY key";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([scope])?;
    while let Some(row) = rows.next()? {
        let seen = Seen {
            key: row.get_ref(0)?.as_blob()?,
            source_hash: hash(row, 1)?,
            content_hash: hash(row, 2)?,
            mapping: row.get::<_, i64>(3)? as u64,
            state: row.get(4)?,
            generation: row.get::<_, i64>(5)? as u64,
        };
        if each(seen).is_break() {
            break;
        }
    }
    Ok(())
}

impl Store {
    /// What the ledger knows of one key.
    pub fn ledger_entry(&self, system: &str, entity: &str, key: &Key) -> Result<Option<Entry>, Error> {
        Ok(self.ledger_get(system, entity, [key])?.pop().flatten())
    }

    /// The rows of these keys, in the order of the keys; `None` where the ledger knows nothing.
    pub fn ledger_get<'k>(
        &self,
        system: &str,
        entity: &str,
        keys: impl IntoIterator<Item = &'k Key>,
    ) -> Result<Vec<Option<Entry>>, Error> {
        let mut keys = keys.into_iter().peekable();
        if keys.peek().is_none() {
            return Ok(Vec::new());
        }
        self.read(|conn| {
            let Some(scope) = scope(conn, system, entity)? else { return Ok(keys.map(|_| None).collect()) };
            let sql =
                "SELECT key, source_hash, content_hash, mapping, state, generation, remote_id, version FROM ledger
                       WHERE scope = ?1 AND key = ?2";
            keys.map(|key| first(conn, sql, (scope, key.as_bytes()), read)).collect()
        })
    }

    /// Every row of one entity of one system, in key order, until `each` breaks off.
    ///
    /// *Shape*: one snapshot; a commit during the scan is not seen. *Units*: a million rows take a few hundred
    /// milliseconds of the calling thread, so give it a thread of its own.
    pub fn ledger_scan(
        &self,
        system: &str,
        entity: &str,
        mut each: impl FnMut(Seen<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.read(|conn| match scope(conn, system, entity)? {
            Some(scope) => scan(conn, scope, &mut each),
            None => Ok(()),
        })
    }

    /// The keys under which the ledger knows these rows of the destination, by the destination's own ids.
    ///
    /// *Shape*: a row that it knows under several keys has several. *Units*: reads the whole ledger of the entity once, so
    /// ask for many ids at a time, and only where it matters.
    pub fn ledger_of_remote(&self, system: &str, entity: &str, ids: &[&str]) -> Result<Vec<(String, Key)>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.read(|conn| {
            let Some(scope) = scope(conn, system, entity)? else { return Ok(Vec::new()) };
            let sql =
                "SELECT key, source_hash, content_hash, mapping, state, generation, remote_id, version FROM ledger
                       WHERE scope = ?1 AND remote_id IS NOT NULL";
            let mut statement = conn.prepare_cached(sql)?;
            let mut rows = statement.query([scope])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let id = guid::unpack(row.get_ref(6)?)?;
                if let Some(id) = id.filter(|id| ids.contains(&id.as_str())) {
                    found.push((id, read(row)?.key));
                }
            }
            Ok(found)
        })
    }

    /// The source hash of each row of one entity of one system that was written by this mapping.
    ///
    /// *Shape*: one snapshot, in key order. *Units*: a million rows take two hundred milliseconds of the calling thread.
    pub fn ledger_written(
        &self,
        system: &str,
        entity: &str,
        mapping: u64,
        mut each: impl FnMut(u128),
    ) -> Result<(), Error> {
        let sql = "SELECT source_hash FROM ledger WHERE scope = ?1 AND state = ?2 AND mapping = ?3";
        self.read(|conn| {
            let Some(scope) = scope(conn, system, entity)? else { return Ok(()) };
            let mut statement = conn.prepare_cached(sql)?;
            let mut rows = statement.query((scope, State::Written, mapping as i64))?;
            while let Some(row) = rows.next()? {
                each(hash(row, 0)?);
            }
            Ok(())
        })
    }

    /// Where the rows of one entity of one system are; `None` where nobody has said so.
    pub fn ledger_place(&self, system: &str, entity: &str) -> Result<Option<String>, Error> {
        let sql = "SELECT place FROM ledger_scope WHERE system = ?1 AND entity = ?2";
        self.read(|conn| Ok(first(conn, sql, (system, entity), |row| row.get(0))?.flatten()))
    }

    /// How many rows the ledger holds, by state.
    pub fn ledger_totals(&self, system: &str, entity: &str) -> Result<Totals, Error> {
        let sql = "SELECT written, rejected, waiting, deactivated FROM ledger_scope WHERE system = ?1 AND entity = ?2";
        let read = |row: &Row<'_>| {
            let count = |at| row.get::<_, i64>(at).map(|n| n as u64);
            Ok(Totals { written: count(0)?, rejected: count(1)?, waiting: count(2)?, deactivated: count(3)? })
        };
        self.read(|conn| Ok(first(conn, sql, (system, entity), read)?.unwrap_or_default()))
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
            0 => Ok(State::Written),
            1 => Ok(State::Rejected),
            2 => Ok(State::Waiting),
            3 => Ok(State::Deactivated),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}
