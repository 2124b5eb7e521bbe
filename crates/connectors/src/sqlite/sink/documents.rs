//! Documents and their lines through one connection.

use record::catalog::Table as Columns;
use record::{Change, Current, Fault, Outcome, Value, WriteSpec};
use rusqlite::{Connection, OpenFlags};

use super::super::{Database, catalog};
use super::{Writer, spec_of};
use crate::sql::documents::Tables;
use crate::sql::filled::{Filled, left_blank};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS ironbridge_inbox (message TEXT PRIMARY KEY, taken_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)";
const NOTE: &str = "INSERT OR IGNORE INTO ironbridge_inbox (message) VALUES (?1)";
/// No queue comes back to a message after so long.
const FORGET: &str = "DELETE FROM ironbridge_inbox WHERE taken_at < datetime('now', '-30 days')";

pub(super) struct Opened<'a> {
    database: &'a Database,
    connection: Connection,
    /// The documents', then those of their lines.
    tables: Vec<(WriteSpec, Columns)>,
}

impl<'a> Opened<'a> {
    /// *Errors*: the file, or a table, that is not there.
    pub fn new(database: &'a Database, spec: &WriteSpec, flags: OpenFlags) -> Result<Opened<'a>, Fault> {
        let failed = |error: rusqlite::Error| Writer { database, spec }.failed(&error);
        let connection = database.connect(flags).map_err(failed)?;
        let mut tables = Vec::with_capacity(1 + spec.lines.len());
        for spec in std::iter::once(spec.clone()).chain(spec.lines.iter().map(|lines| spec_of(spec, lines))) {
            let columns = Writer { database, spec: &spec }.columns(&connection)?;
            tables.push((spec, columns));
        }
        Ok(Opened { database, connection, tables })
    }

    /// Whether a table takes a row, as far as that is known before it is written.
    pub fn fits(&self, at: usize, filled: &[Filled], change: &Change, is_new: bool) -> Result<(), Fault> {
        let (writer, columns) = self.at(at);
        writer.bound(columns, change)?;
        let blank = left_blank(filled, writer.spec, change, is_new);
        blank.map_or(Ok(()), |fault| Err(fault.at_system(&self.database.system)))
    }

    /// Of each table, the columns that hold no blank.
    pub fn filled(&self) -> Result<Vec<Vec<Filled>>, Fault> {
        let of = |at| {
            let (writer, columns) = self.at(at);
            catalog::filled(&self.connection, columns).map_err(|error| writer.failed(&error))
        };
        (0..self.tables.len()).map(of).collect()
    }

    fn at(&self, at: usize) -> (Writer<'_>, &Columns) {
        let (spec, columns) = &self.tables[at];
        (Writer { database: self.database, spec }, columns)
    }

    fn run(&self, sql: &str) -> Result<(), Fault> {
        self.connection.execute_batch(sql).map_err(|error| self.at(0).0.failed(&error))
    }
}

impl Tables for Opened<'_> {
    type Failure = Fault;

    async fn begin(&mut self) -> Result<(), Fault> {
        self.run("BEGIN IMMEDIATE")
    }

    async fn end(&mut self, commits: bool) -> Result<(), Fault> {
        self.run(if commits { "COMMIT" } else { "ROLLBACK" })
    }

    async fn described(&mut self, at: usize) -> Result<Columns, Fault> {
        Ok(self.at(at).1.clone())
    }

    async fn write(&mut self, at: usize, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let (writer, columns) = self.at(at);
        writer.apply(&self.connection, columns, changes)
    }

    async fn find(
        &mut self,
        at: usize,
        by: &[String],
        values: &[Vec<Value>],
        columns: &[String],
        ids: bool,
    ) -> Result<Vec<Vec<Current>>, Fault> {
        let (writer, described) = self.at(at);
        writer.look_up(&self.connection, described, by, values, columns, ids)
    }

    async fn inbox(&mut self) -> Result<(), Fault> {
        self.run(CREATE)?;
        self.run(FORGET)
    }

    async fn note(&mut self, message: &str) -> Result<bool, Fault> {
        let noted = self.connection.prepare_cached(NOTE).and_then(|mut note| note.execute([message]));
        Ok(noted.map_err(|error| self.at(0).0.failed(&error))? > 0)
    }
}
