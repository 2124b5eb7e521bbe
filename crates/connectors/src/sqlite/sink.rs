//! Writing a table: each chunk is one transaction, each row a savepoint in it.
//!
//! A row is looked up by its key, then updated where a column differs, or inserted. One writer at a time holds the file,
//! so nothing can come between; and the answer says whether a row was created, updated, or was right already.

mod documents;

use std::sync::Arc;

use futures_util::FutureExt;
use record::catalog::Table as Columns;
use record::{
    BoxFuture, Change, Code, Current, Effected, Fault, Key, KeyRules, Op, Outcome, Row, Schema, Sink, Type, Value,
    WriteSpec, Written,
};
use rusqlite::{Connection, OpenFlags};

use super::{Database, catalog, fault, value};
use crate::sql::documents::{apply, current, spec_of, unfit};
use crate::sql::moment::Dst;
use crate::sql::quote;
use crate::sql::text::Times;

pub(super) struct Table {
    database: Database,
    spec: Arc<WriteSpec>,
}

impl Table {
    pub fn new(database: Database, spec: WriteSpec) -> Table {
        Table { database, spec: Arc::new(spec) }
    }

    fn applied<'a>(&'a self, message: Option<&str>, changes: &[Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        let (spec, changes, message) = (self.spec.clone(), changes.to_vec(), message.map(str::to_owned));
        self.database.blocking(move |database| {
            let mut tables = documents::Opened::new(database, &spec, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            let applied = apply(&mut tables, &spec, message.as_deref(), &changes);
            applied.now_or_never().expect("a file answers at once")
        })
    }

    fn found<'a>(
        &'a self,
        by: &[String],
        values: Vec<Vec<Value>>,
        columns: &[String],
        ids: bool,
    ) -> BoxFuture<'a, Result<Vec<Vec<Current>>, Fault>> {
        let (spec, by, columns) = (self.spec.clone(), by.to_vec(), columns.to_vec());
        self.database.blocking(move |database| {
            let mut tables = documents::Opened::new(database, &spec, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let found = current(&mut tables, &spec, &by, &values, &columns, ids);
            found.now_or_never().expect("a file answers at once")
        })
    }
}

impl Sink for Table {
    fn apply<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        self.applied(None, changes)
    }

    fn apply_once<'a>(&'a self, message: &'a str, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        self.applied(Some(message), changes)
    }

    fn current<'a>(
        &'a self,
        keys: &'a [Key],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Current>>, Fault>> {
        let found = self.found(&self.spec.key, keys.iter().map(Key::parts).collect(), columns, false);
        Box::pin(async move { Ok(found.await?.into_iter().map(|rows| rows.into_iter().next()).collect()) })
    }

    fn find<'a>(
        &'a self,
        by: &'a [String],
        values: &'a [Vec<Value>],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Vec<Current>>, Fault>> {
        self.found(by, values.to_vec(), columns, true)
    }

    fn unfit<'a>(&'a self, changes: &'a [Change], new: &'a [bool]) -> BoxFuture<'a, Result<Vec<Option<Fault>>, Fault>> {
        let (spec, changes, new) = (self.spec.clone(), changes.to_vec(), new.to_vec());
        self.database.blocking(move |database| {
            let tables = documents::Opened::new(database, &spec, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let filled = tables.filled()?;
            Ok(unfit(&spec, &changes, &new, |at, change, is_new| tables.fits(at, &filled[at], change, is_new)))
        })
    }

    fn rows_per_chunk(&self) -> usize {
        1000
    }

    fn key_rules(&self) -> KeyRules {
        KeyRules::default()
    }
}

/// A row on its way: its key, and the columns that it is given.
struct Bound {
    key: Vec<rusqlite::types::Value>,
    names: Vec<String>,
    values: Vec<rusqlite::types::Value>,
}

struct Writer<'a> {
    database: &'a Database,
    spec: &'a WriteSpec,
}

impl Writer<'_> {
    /// Rows in the transaction that is open.
    fn apply(&self, connection: &Connection, columns: &Columns, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let run = |sql: &str| -> rusqlite::Result<()> { connection.prepare_cached(sql)?.execute([]).map(|_| ()) };
        let failed = |error: rusqlite::Error| self.failed(&error);
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            run("SAVEPOINT a_row").map_err(failed)?;
            let written = self.write(connection, columns, change);
            if !matches!(written, Ok(Ok(_))) {
                // Some errors have ended the transaction, and the savepoint with it.
                run("ROLLBACK TO a_row")
                    .or_else(|error| if connection.is_autocommit() { Ok(()) } else { Err(error) })
                    .map_err(failed)?;
            }
            match written {
                Ok(Ok(effect)) => outcomes.push(Ok(Written { effect, remote_id: None, version: None, returned: None })),
                Ok(Err(fault)) => outcomes.push(Err(fault)),
                Err(error) => match fault::row(self.database, &self.spec.table, change.key.to_string(), &error) {
                    Some(fault) => outcomes.push(Err(fault)),
                    None => return Err(self.failed(&error)),
                },
            }
            run("RELEASE a_row").map_err(failed)?;
        }
        Ok(outcomes)
    }

    fn write(
        &self,
        connection: &Connection,
        columns: &Columns,
        change: &Change,
    ) -> rusqlite::Result<Result<Effected, Fault>> {
        let Bound { key, names, values } = match self.bound(columns, change) {
            Ok(bound) => bound,
            Err(fault) => return Ok(Err(fault)),
        };
        let table = quote(&self.spec.table);
        if let (Op::Adopt, Some(remote_id)) = (change.op, &change.remote_id) {
            let all: Vec<String> = self.spec.key.iter().chain(&names).cloned().collect();
            let set = conditions(&all, "=", 0).join(", ");
            let sql = format!("UPDATE {table} SET {set} WHERE {} = ?{}", quote(id(columns)), all.len() + 1);
            let remote_id = rusqlite::types::Value::Text(remote_id.to_string());
            let bound = key.iter().chain(&values).chain([&remote_id]);
            connection.prepare_cached(&sql)?.execute(rusqlite::params_from_iter(bound))?;
            return Ok(Ok(Effected::Updated));
        }
        let by_key = self.by(columns, &self.spec.key);
        let found: i64 = connection
            .prepare_cached(&format!("SELECT count(*) FROM {table} WHERE {by_key}"))?
            .query_row(rusqlite::params_from_iter(&key), |row| row.get(0))?;
        if found > 1 {
            let what = format!("{found} rows of `{}` have this key", self.spec.table);
            let fault = Fault::reject(Code("IB0506"), what)
                .at_system(&self.database.system)
                .at_table(&self.spec.table)
                .at_key(change.key.to_string())
                .fix(format!("give `{}` a unique index on {}", self.spec.table, self.spec.key.join(", ")));
            return Ok(Err(fault));
        }
        if change.op == Op::Delete {
            let deleted = connection
                .prepare_cached(&format!("DELETE FROM {table} WHERE {by_key}"))?
                .execute(rusqlite::params_from_iter(&key))?;
            return Ok(Ok(if deleted == 0 { Effected::Unchanged } else { Effected::Deleted }));
        }
        if found == 0 && change.op == Op::Update {
            let fault = record::gone_meanwhile().at_system(&self.database.system).at_table(&self.spec.table);
            return Ok(Err(fault.at_key(change.key.to_string())));
        }
        if found == 0 {
            let all: Vec<String> = self.spec.key.iter().chain(&names).map(|name| quote(name)).collect();
            let params: Vec<String> = (1..=all.len()).map(|i| format!("?{i}")).collect();
            let sql = format!("INSERT INTO {table} ({}) VALUES ({})", all.join(", "), params.join(", "));
            connection.prepare_cached(&sql)?.execute(rusqlite::params_from_iter(key.iter().chain(&values)))?;
            return Ok(Ok(Effected::Created));
        }
        if names.is_empty() {
            return Ok(Ok(Effected::Unchanged));
        }
        let set = conditions(&names, "=", key.len()).join(", ");
        let differs = conditions(&names, "IS NOT", key.len()).join(" OR ");
        let sql = format!("UPDATE {table} SET {set} WHERE {by_key} AND ({differs})");
        let updated =
            connection.prepare_cached(&sql)?.execute(rusqlite::params_from_iter(key.iter().chain(&values)))?;
        Ok(Ok(if updated == 0 { Effected::Unchanged } else { Effected::Updated }))
    }

    /// The rows with these values in `by`; with `ids`, each has what names it for good as its id.
    fn look_up(
        &self,
        connection: &Connection,
        columns: &Columns,
        by: &[String],
        values: &[Vec<Value>],
        names: &[String],
        ids: bool,
    ) -> Result<Vec<Vec<Current>>, Fault> {
        let failed = |e: rusqlite::Error| self.failed(&e);
        let ty = |name: &String| columns.type_of(name).cloned().unwrap_or(Type::Unknown);
        let schema = Schema::of(names.iter().map(|name| (name.as_str(), ty(name))));
        let times = Times { zone: self.spec.time_zone.clone(), dst: Dst::Earlier };
        let mut wanted: Vec<String> = names.iter().map(|name| format!("t.{}", quote(name))).collect();
        wanted.push(if ids { format!("CAST(t.{} AS TEXT)", quote(id(columns))) } else { "NULL".to_owned() });
        let sql = format!(
            "SELECT {} FROM {} AS t WHERE {}",
            wanted.join(", "),
            quote(&self.spec.table),
            self.by(columns, by)
        );
        let mut statement = connection.prepare(&sql).map_err(failed)?;
        let mut found = Vec::with_capacity(values.len());
        for wanted in values {
            let mut currents = Vec::new();
            let Ok(bound) = self.bind(columns, by, wanted) else {
                found.push(currents);
                continue;
            };
            let mut rows = statement.query(rusqlite::params_from_iter(bound)).map_err(failed)?;
            while let Some(row) = rows.next().map_err(failed)? {
                let mut cells = Vec::with_capacity(names.len());
                for (i, column) in schema.columns().iter().enumerate() {
                    let cell = row.get_ref(i).map_err(failed)?;
                    // What cannot be read differs from anything that is to be written, and is overwritten.
                    cells.push(value::read(cell, &column.ty, &times).unwrap_or_else(|_| value::raw(cell)));
                }
                let remote_id: Option<String> = row.get(names.len()).map_err(failed)?;
                let columns = Row::new(schema.clone(), cells);
                let remote_id = remote_id.map(Into::into);
                currents.push(Current { remote_id, version: None, columns, returned: None });
            }
            found.push(currents);
        }
        Ok(found)
    }

    /// The condition by which rows are found. A GUID has one meaning and several spellings: other programs write it in
    /// capitals, in braces, without dashes or as its bytes.
    fn by(&self, columns: &Columns, names: &[String]) -> String {
        let equal = names.iter().enumerate().map(|(i, name)| {
            let (column, n) = (quote(name), i + 1);
            if columns.type_of(name) != Some(&Type::Guid) {
                return format!("{column} = ?{n}");
            }
            let plain = format!("replace(?{n}, '-', '')");
            let spellings = [
                format!("?{n}, upper(?{n})"),
                format!("'{{' || ?{n} || '}}', '{{' || upper(?{n}) || '}}'"),
                format!("{plain}, upper({plain}), unhex({plain})"),
            ];
            format!("{column} IN ({})", spellings.join(", "))
        });
        equal.collect::<Vec<_>>().join(" AND ")
    }

    fn columns(&self, connection: &Connection) -> Result<Columns, Fault> {
        let table = catalog::table(connection, &self.spec.table).map_err(|e| self.failed(&e))?;
        table.ok_or_else(|| {
            Fault::ask_person(Code("IB0504"), format!("there is no table `{}`", self.spec.table))
                .at_system(&self.database.system)
                .at_table(&self.spec.table)
                .fix(format!("run: sqlite3 {} .tables", self.database.path().display()))
        })
    }

    /// A change as the table takes it. *Errors*: why it does not take it.
    fn bound(&self, columns: &Columns, change: &Change) -> Result<Bound, Fault> {
        if change.if_version.is_some() {
            return Err(self.reject(change, "SQLite keeps no version of a row to compare", "remove the condition"));
        }
        let names: Vec<String> = change.columns.iter().map(|(name, _)| name.to_owned()).collect();
        let refused = |what: &'static str| {
            move |(column, why): (String, String)| {
                self.reject(change, &why, &format!("correct the {what} at its source")).at_column(column)
            }
        };
        let key = self.bind(columns, &self.spec.key, &change.key.parts()).map_err(refused("key"))?;
        let values = self.bind(columns, &names, change.columns.values()).map_err(refused("value"))?;
        Ok(Bound { key, names, values })
    }

    fn bind(
        &self,
        columns: &Columns,
        names: &[String],
        values: &[Value],
    ) -> Result<Vec<rusqlite::types::Value>, (String, String)> {
        let write = |(name, value): (&String, &Value)| {
            let ty = columns.type_of(name).unwrap_or(&Type::Unknown);
            value::write(value, ty, self.spec.time_zone.as_ref()).map_err(|why| (name.clone(), why))
        };
        names.iter().zip(values).map(write).collect()
    }

    fn reject(&self, change: &Change, why: &str, fix: &str) -> Fault {
        Fault::reject(Code("IB0512"), format!("this row cannot be written to `{}`: {why}", self.spec.table))
            .at_system(&self.database.system)
            .at_table(&self.spec.table)
            .at_key(change.key.to_string())
            .fix(fix)
    }

    fn failed(&self, error: &rusqlite::Error) -> Fault {
        fault::sink(self.database, &self.spec.table, error)
    }
}

/// The column that names a row for good, whatever its alternate key says: a primary key of one column, or SQLite's own
/// number of the row.
fn id(columns: &Columns) -> &str {
    let primary = columns.keys.iter().find(|key| key.primary).map(|key| key.columns.as_slice());
    match primary {
        Some([one]) => one,
        _ => "rowid",
    }
}

/// `"a" = ?1`, `"b" = ?2` …, with the numbers starting after `before`.
fn conditions(names: &[String], operator: &str, before: usize) -> Vec<String> {
    names.iter().enumerate().map(|(i, name)| format!("{} {operator} ?{}", quote(name), before + i + 1)).collect()
}
