//! SQLite files, as a source and as a destination.
//!
//! *Limits*: the file is local (SQLite's locks do not work on most network shares). A read opens the file read-only and
//! holds a lock only while it fetches one page; it waits for a writer up to `timeout`.
//!
//! *Source*: <https://www.sqlite.org/datatype3.html> (affinity by declared type), `rowvalue.html` (comparing rows),
//! `isolation.html` and `uri.html`, read for SQLite 3.50.

mod catalog;
mod fault;
mod functions;
mod query;
mod rights;
mod sink;
mod source;
mod usual;
mod value;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use record::{
    BoxFuture, Catalog, Fault, Field, FieldType, Health, Keeps, Kind, Moment, Options, Queryable, ReadSpec, Sink,
    Source, System, TableUse, WriteSpec,
};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::sql;

/// `kind: sqlite`.
pub static KIND: Kind = Kind {
    name: "sqlite",
    doc: "A SQLite database file on this machine.",
    connection: &[
        Field::new("file", FieldType::Path, "The database file.", "data/finance.db").required(),
        Field::new(
            "timeout",
            FieldType::Duration,
            "How long to wait for another program's lock, and for one page of rows.",
            "1 minute",
        )
        .default("30 seconds"),
    ],
    entity: sql::ENTITY_FIELDS,
    reads: true,
    writes: true,
    has_catalog: true,
    line_tables: true,
    keeps: Keeps::EXACTLY,
};

/// One database file.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    system: String,
    file: PathBuf,
    timeout: Duration,
}

/// Opens a SQLite system; see [`crate::registry::Entry::open`].
pub fn open(name: &str, options: Options) -> Result<Arc<dyn System>, Fault> {
    let Some(file) = options.text("file") else {
        return Err(fault::no_file(name));
    };
    let timeout = options.duration("timeout").unwrap_or(Duration::from_secs(30));
    Ok(Arc::new(Database { system: name.to_owned(), file: file.into(), timeout }))
}

impl System for Database {
    fn check(&self) -> BoxFuture<'_, Result<Health, Fault>> {
        self.blocking(|database| {
            let connection =
                database.connect(OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|e| fault::source(database, "", &e))?;
            let tables: i64 = connection
                .query_row("SELECT count(*) FROM sqlite_master WHERE type IN ('table', 'view')", [], |row| row.get(0))
                .map_err(|e| fault::source(database, "", &e))?;
            let mut missing = Vec::new();
            if tables == 0 {
                missing.push(format!("`{}` holds no table: is it the right file?", database.file.display()));
            }
            Ok(Health { version: format!("SQLite {}", rusqlite::version()), user: None, missing, ..Health::default() })
        })
    }

    fn catalog<'a>(&'a self, tables: &'a [&'a str]) -> BoxFuture<'a, Result<Catalog, Fault>> {
        let tables: Vec<String> = tables.iter().map(|table| (*table).to_owned()).collect();
        self.blocking(move |database| catalog::read(database, &tables))
    }

    fn lacks<'a>(&'a self, uses: &'a [TableUse]) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        let uses = uses.to_vec();
        self.blocking(move |database| rights::lacks(database, &uses))
    }

    fn source(&self, spec: ReadSpec) -> Result<Arc<dyn Source>, Fault> {
        Ok(Arc::new(source::Table::new(self.clone(), spec)))
    }

    fn moment(&self) -> BoxFuture<'_, Result<Option<Arc<Moment>>, Fault>> {
        self.blocking(|database| {
            let failed = |e: rusqlite::Error| fault::source(database, "", &e);
            let connection = database.connect(OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
            let journal: String =
                connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).map_err(failed)?;
            // In any other journal mode, whoever reads for long keeps those who write waiting.
            if !journal.eq_ignore_ascii_case("wal") {
                return Ok(None);
            }
            connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_master").map_err(failed)?;
            Ok(Some(Arc::new(Moment::new(source::Held(Arc::new(Mutex::new(connection)))))))
        })
    }

    fn queryable(&self, spec: ReadSpec) -> Result<Arc<dyn Queryable>, Fault> {
        Ok(Arc::new(query::Table::new(self.clone(), spec)))
    }

    fn sink(&self, spec: WriteSpec) -> Result<Arc<dyn Sink>, Fault> {
        Ok(Arc::new(sink::Table::new(self.clone(), spec)))
    }
}

impl Database {
    fn connect(&self, access: OpenFlags) -> rusqlite::Result<Connection> {
        let connection = self.open(access)?;
        if access.contains(OpenFlags::SQLITE_OPEN_READ_ONLY) {
            let looks = |connection: &Connection| {
                connection.pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0)).map(drop)
            };
            match looks(&connection) {
                // SQLite puts the file right for whoever may write it, as it would for any other program.
                Err(error) if fault::is_left_half_written(&error) => {
                    looks(&self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?)?
                }
                looked => looked?,
            }
        }
        Ok(connection)
    }

    fn open(&self, access: OpenFlags) -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(&self.file, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(self.timeout)?;
        // A column that does not exist is an error, and not a text of its own name.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        // Otherwise a statement is compiled again whenever something is bound that its plan might depend on.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // The file is somebody else's: neither its schema nor its text is trusted to run code.
        connection.pragma_update(None, "trusted_schema", false)?;
        if access.contains(OpenFlags::SQLITE_OPEN_READ_ONLY) {
            connection.pragma_update(None, "query_only", true)?;
        }
        Ok(connection)
    }

    /// Runs blocking work beside the runtime. *Cancel*: the work goes on to its end, unseen.
    fn blocking<'a, T: Send + 'static>(
        &'a self,
        work: impl FnOnce(&Database) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'a, Result<T, Fault>> {
        let database = self.clone();
        Box::pin(async move {
            match tokio::task::spawn_blocking(move || work(&database)).await {
                Ok(result) => result,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        })
    }

    fn path(&self) -> &Path {
        &self.file
    }
}
