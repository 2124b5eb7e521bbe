//! Writing a table of a database that has an [`Engine`]: by key, many rows a statement where they are new.
//!
//! The rows of a chunk are looked up by their key. Those that are there are updated one by one, the others inserted
//! together; where the table refuses one of them, they go one by one, so that a bad row stops no other.

mod documents;
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;

use record::{
    BoxFuture, Change, Code, Current, Fault, Key, KeyRules, Op, Outcome, Row, Schema, Sink, Type, Value, WriteSpec,
};
use tokio::sync::Mutex;

use super::documents::{apply, current, spec_of, unfit};
use super::engine::{Cell, Described, Engine, Session, SqlColumn, Use, ask_for};
use super::failure::{self, Failure};
use super::filled::left_blank;
use super::lookup::{self, Wanted};
use super::moment::Dst;
use super::text::Times;

pub(crate) struct Table {
    engine: Arc<dyn Engine>,
    spec: WriteSpec,
    /// What writes the lines of its documents.
    lines: Vec<Table>,
    session: Mutex<Option<Open>>,
}

/// A session that is kept from chunk to chunk, with what it knows of the table.
struct Open {
    session: Box<dyn Session>,
    described: Arc<Described>,
    /// The tables of the lines.
    lines: Vec<Arc<Described>>,
    /// The table of notes is there.
    has_inbox: bool,
}

/// A row of a chunk as the database takes it.
struct Line {
    /// Its place in the chunk.
    at: usize,
    key: Vec<Value>,
    /// The key's columns, then the others.
    cells: Vec<Cell>,
    /// The id of the row that is to be adopted.
    adopts: Option<Arc<str>>,
}

impl Table {
    pub fn new(engine: Arc<dyn Engine>, spec: WriteSpec) -> Table {
        let lines = spec.lines.iter().map(|lines| Table::new(engine.clone(), spec_of(&spec, lines))).collect();
        Table { engine, spec, lines, session: Mutex::default() }
    }

    async fn open(&self) -> Result<Open, Failure> {
        let mut session = self.engine.connect(Use::Write).await?;
        let described = self.described(&mut *session).await?;
        let mut lines = Vec::with_capacity(self.lines.len());
        for table in &self.lines {
            lines.push(table.described(&mut *session).await?);
        }
        Ok(Open { session, described, lines, has_inbox: false })
    }

    async fn described(&self, session: &mut dyn Session) -> Result<Arc<Described>, Failure> {
        let Some(described) = session.describe(&self.spec.table).await? else {
            ask_for(self.engine.dialect(), session, &self.spec.table).await?;
            return Err(self.no_table().into());
        };
        for name in &self.spec.key {
            self.column(&described, name)?;
        }
        let of_the_key = |name: &String| self.spec.key.iter().any(|key| key.eq_ignore_ascii_case(name));
        if !described.table.keys.iter().any(|key| key.active && key.columns.iter().all(of_the_key)) {
            return Err(self.no_key().into());
        }
        Ok(Arc::new(described))
    }

    /// Takes the session; whoever is done with it puts it back, unless it failed.
    async fn session(&self) -> Result<Open, Failure> {
        match self.session.lock().await.take() {
            Some(open) => Ok(open),
            None => self.open().await,
        }
    }

    async fn keep(&self, open: Open) {
        *self.session.lock().await = Some(open);
    }

    fn failed(&self, failure: Failure) -> Fault {
        let fault = failure::sink(&self.engine.words(), self.engine.timeout(), &self.spec.table, &failure);
        // Where each statement is a transaction of its own, those before the one that failed have done their work.
        if self.engine.dialect().writing().is_empty() { fault.effect_unknown() } else { fault }
    }

    fn place(&self, fault: Fault) -> Fault {
        failure::place(fault, &self.engine.words(), &self.spec.table)
    }

    fn no_table(&self) -> Fault {
        let words = self.engine.words();
        let what = format!("there is no table `{}` in `{}`", self.spec.table, words.database);
        self.place(Fault::ask_person(Code("IB0504"), what))
            .fix(format!("correct `table:`, or let `{}` see it; what the user can see: {}", words.user, words.shell))
    }

    fn no_key(&self) -> Fault {
        let (table, key) = (&self.spec.table, self.spec.key.join(", "));
        let what = format!("`{table}` has no unique index on its key {key}");
        let fix = format!("CREATE UNIQUE INDEX by_{} ON {table} ({key})", self.spec.key.join("_"));
        self.place(Fault::ask_person(Code("IB0506"), what)).fix(fix)
    }

    fn column<'d>(&self, described: &'d Described, name: &str) -> Result<&'d SqlColumn, Fault> {
        described.column(name).ok_or_else(|| {
            let what = format!("table `{}` has no column `{name}`", self.spec.table);
            let fix = self.engine.words().describe.replace("{}", &self.spec.table);
            self.place(Fault::ask_person(Code("IB0505"), what).at_column(name))
                .fix(format!("look at its columns: {fix}"))
        })
    }

    fn refused(&self, change: &Change, column: &str, why: &str) -> Fault {
        let what = format!("this row cannot be written to `{}`: {why}", self.spec.table);
        let fault = Fault::reject(Code("IB0512"), what).at_key(change.key.to_string());
        let fault = if column.is_empty() { fault } else { fault.at_column(column) };
        self.place(fault).fix("correct the value at its source, or the mapping")
    }

    /// The cells of a change. *Errors*: why it cannot be written.
    fn line(&self, described: &Described, at: usize, change: &Change, names: &[&str]) -> Result<Line, Fault> {
        if change.if_version.is_some() {
            return Err(self.refused(change, "", "a table keeps no version of a row to compare"));
        }
        let zone = self.spec.time_zone.as_ref();
        let key = change.key.parts();
        let values = names.iter().map(|name| change.columns.get(name).expect("the names are those of the change"));
        let names = self.spec.key.iter().map(String::as_str).chain(names.iter().copied());
        let mut cells = Vec::new();
        for (name, value) in names.zip(key.iter().chain(values)) {
            let column = self.column(described, name)?;
            let cell = self.engine.dialect().write(value, column, zone);
            cells.push(cell.map_err(|why| self.refused(change, name, &why))?);
        }
        let adopts = change.remote_id.clone().filter(|_| change.op == Op::Adopt);
        Ok(Line { at, key, cells, adopts })
    }

    async fn read(
        &self,
        session: &mut dyn Session,
        described: &Described,
        by: &[String],
        wanted: &[Vec<Value>],
        names: &[String],
        id: Option<&SqlColumn>,
    ) -> Result<Vec<Vec<Current>>, Failure> {
        let dialect = self.engine.dialect();
        let of = |name: &String| self.column(described, name).cloned();
        let by: Vec<SqlColumn> = by.iter().map(of).collect::<Result<_, _>>()?;
        let mut columns: Vec<SqlColumn> = names.iter().map(of).collect::<Result<_, _>>()?;
        let schema = Schema::of(names.iter().zip(&columns).map(|(name, column)| (name.as_str(), column.ty.clone())));
        columns.extend(id.cloned());
        let from = format!("{} AS t", dialect.table(&self.spec.table));
        let zone = self.spec.time_zone.as_ref();
        let asked = Wanted { from: &from, by: &by, columns: &columns, zone, locks: false };
        let found = lookup::rows(dialect, session, &asked, wanted).await?;
        let times = Times { zone: self.spec.time_zone.clone(), dst: Dst::Earlier };
        let as_is = Times { zone: None, dst: Dst::Earlier };
        let value = |(cell, column): (&Cell, &SqlColumn)| {
            dialect.read(cell, &column.ty, &times).unwrap_or_else(|_| {
                // What cannot be read differs from anything that is to be written, and is overwritten.
                dialect.read(cell, &Type::Unknown, &as_is).unwrap_or_default()
            })
        };
        let current = |cells: Vec<Cell>| {
            let mut values: Vec<Value> = cells.iter().zip(&columns).map(value).collect();
            let id = id.and_then(|_| values.pop()).map(|id| id.to_string().into());
            Current { remote_id: id, version: None, columns: Row::new(schema.clone(), values), returned: None }
        };
        Ok(found.into_iter().map(|rows| rows.into_iter().map(current).collect()).collect())
    }

    /// The single column that names a row for good, whatever its alternate key says.
    fn id<'d>(&self, described: &'d Described) -> Option<&'d SqlColumn> {
        match described.table.keys.iter().find(|key| key.primary)?.columns.as_slice() {
            [one] => described.column(one),
            _ => None,
        }
    }
}

impl Table {
    async fn applied(&self, message: Option<&str>, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let mut open = self.session().await.map_err(|failure| self.failed(failure))?;
        let mut tables = documents::Opened { table: self, open: &mut open };
        let outcomes = apply(&mut tables, &self.spec, message, changes).await;
        let outcomes = outcomes.map_err(|failure| self.failed(failure))?;
        self.keep(open).await;
        Ok(outcomes)
    }

    async fn look_up(
        &self,
        by: &[String],
        values: &[Vec<Value>],
        columns: &[String],
        ids: bool,
    ) -> Result<Vec<Vec<Current>>, Fault> {
        let mut open = self.session().await.map_err(|failure| self.failed(failure))?;
        let mut tables = documents::Opened { table: self, open: &mut open };
        let found = current(&mut tables, &self.spec, by, values, columns, ids).await;
        let found = found.map_err(|failure| self.failed(failure))?;
        self.keep(open).await;
        Ok(found)
    }
}

impl Sink for Table {
    fn apply<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        Box::pin(self.applied(None, changes))
    }

    fn apply_once<'a>(&'a self, message: &'a str, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        let message = self.engine.dialect().inbox().map(|_| message);
        Box::pin(self.applied(message, changes))
    }

    fn current<'a>(
        &'a self,
        keys: &'a [Key],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Current>>, Fault>> {
        Box::pin(async move {
            let wanted: Vec<Vec<Value>> = keys.iter().map(Key::parts).collect();
            let found = self.look_up(&self.spec.key, &wanted, columns, false).await?;
            Ok(found.into_iter().map(|rows| rows.into_iter().next()).collect())
        })
    }

    fn find<'a>(
        &'a self,
        by: &'a [String],
        values: &'a [Vec<Value>],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Vec<Current>>, Fault>> {
        Box::pin(self.look_up(by, values, columns, true))
    }

    fn unfit<'a>(&'a self, changes: &'a [Change], new: &'a [bool]) -> BoxFuture<'a, Result<Vec<Option<Fault>>, Fault>> {
        Box::pin(async move {
            let open = self.session().await.map_err(|failure| self.failed(failure))?;
            let faults = unfit(&self.spec, changes, new, |at, change, is_new| {
                let names: Vec<&str> = change.columns.iter().map(|(name, _)| name).collect();
                let (table, described) = match at.checked_sub(1) {
                    None => {
                        self.line(&open.described, 0, change, &names)?;
                        (self, &open.described)
                    }
                    Some(at) => (&self.lines[at], &open.lines[at]),
                };
                left_blank(&described.filled, &table.spec, change, is_new)
                    .map_or(Ok(()), |fault| Err(table.place(fault)))
            });
            self.keep(open).await;
            Ok(faults)
        })
    }

    fn rows_per_chunk(&self) -> usize {
        1000
    }

    fn key_rules(&self) -> KeyRules {
        self.engine.key_rules(&self.spec.table, &self.spec.key)
    }
}

/// The changes of a chunk by what is done with them, and with which columns beside the key.
fn groups<'c>(changes: &'c [Change], key: &[String]) -> BTreeMap<(bool, Vec<&'c str>), Vec<usize>> {
    let mut groups: BTreeMap<(bool, Vec<&str>), Vec<usize>> = BTreeMap::new();
    for (at, change) in changes.iter().enumerate() {
        let deletes = change.op == Op::Delete;
        let is_key = |name: &str| key.iter().any(|key| key.eq_ignore_ascii_case(name));
        let names = change.columns.iter().map(|(name, _)| name).filter(|name| !deletes && !is_key(name)).collect();
        groups.entry((deletes, names)).or_default().push(at);
    }
    groups
}
