//! A database that is spoken to a statement at a time: what the paged reader and the writer of rows need of a driver.
//!
//! MariaDB, MySQL and SQL Server are read and written by one reader ([`super::paged`]) and one writer
//! ([`super::rows`]). What differs between them is their [`Dialect`], and a [`Session`] over their driver.

use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;
use record::catalog::{Table, TableColumn};
use record::query::{Function, Lookup};
use record::{BoxFuture, Health, KeyRules, Right, Type, Value};

use super::failure::{Failure, Words};
use super::filled::Filled;
use super::paged::Plan;
use super::query;
use super::text::Times;

/// A value as drivers take and give it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Nothing can be changed in it; a transaction sees one moment of the database, where the product can do that.
    Read,
    Write,
}

/// Which texts can be compared with a column as it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Letters {
    All,
    /// Those of its own character set: this is its collation.
    Of(String),
    Unknown,
}

/// A column as statements need to know it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SqlColumn {
    pub name: String,
    pub ty: Type,
    /// The type in the database's own words, as a cast names it.
    pub declared: String,
    /// Holds no blank.
    pub filled: bool,
    /// Digits of a second that it keeps.
    pub fraction: u32,
    /// Must have a value when a row is created.
    pub required: bool,
    pub writable: bool,
    /// The database counts it up.
    pub counted: bool,
    /// Its texts compare by their characters, all of them: in a question it needs no collation of its own.
    pub by_characters: bool,
    pub letters: Letters,
    /// A float of four bytes.
    pub is_short_float: bool,
    /// The texts that it takes, where it says which.
    pub labels: Vec<String>,
}

/// A table with what statements on it need to know.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub table: Table,
    pub columns: Vec<SqlColumn>,
    /// The columns for which the table refuses a row that leaves them blank.
    pub filled: Vec<Filled>,
}

impl Described {
    pub fn new(name: &str, columns: Vec<SqlColumn>, keys: Vec<record::catalog::TableKey>) -> Described {
        let of = |column: &SqlColumn| TableColumn {
            column: record::Column { name: column.name.as_str().into(), ty: column.ty.clone() },
            required: column.required,
            writable: column.writable,
            // What holds several at once is no choice.
            labels: if column.declared == "enum" { column.labels.clone() } else { Vec::new() },
        };
        let table = Table { name: name.to_owned(), columns: columns.iter().map(of).collect(), keys };
        let filled = columns.iter().filter(|column| column.filled && column.writable && !column.counted);
        let filled = filled.map(|column| Filled { name: column.name.clone(), required: column.required }).collect();
        Described { table, columns, filled }
    }

    /// The column of this name: as written, or in other letters, as these databases take it.
    pub fn column(&self, name: &str) -> Option<&SqlColumn> {
        let same = |column: &&SqlColumn| column.name == name;
        self.columns.iter().find(same).or_else(|| self.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name)))
    }
}

/// How a product writes SQL, and which values its texts are.
pub(crate) trait Dialect: Send + Sync + fmt::Debug {
    fn quote(&self, name: &str) -> String;

    /// `finance.customers`, each part quoted.
    fn table(&self, name: &str) -> String {
        name.split('.').map(|part| self.quote(part)).collect::<Vec<_>>().join(".")
    }

    /// The placeholder of the value with this number, from 1.
    fn placeholder(&self, number: usize) -> String;

    /// A bound value that is compared with a column, by the rules of the column's type.
    fn compared(&self, placeholder: String, cell: &Cell, column: &SqlColumn) -> String;

    /// A bound value that goes into a column.
    fn assigned(&self, placeholder: String, column: &SqlColumn) -> String;

    /// A column in a form that loses nothing on its way to us.
    fn exact(&self, expression: String, column: &SqlColumn) -> String;

    fn select(&self, select: &Select) -> String;

    /// The cell of a column as a value. *Errors*: one sentence that does not hold the value.
    fn read(&self, cell: &Cell, ty: &Type, times: &Times) -> Result<Value, String>;

    /// What is bound for a value. *Errors*: one sentence, where the column takes no such value.
    fn write(&self, value: &Value, column: &SqlColumn, zone: Option<&TimeZone>) -> Result<Cell, String>;

    /// The time of the server in UTC, as a text.
    fn now(&self) -> &'static str;

    /// Begins a read, and ends it.
    fn reading(&self) -> (&'static str, &'static str);

    /// Begins a write; `COMMIT` ends it. Empty where each statement is a transaction of its own.
    fn writing(&self) -> &'static str;

    /// The last watermark that no open transaction can fall behind, or `None` where it is the largest in the table.
    fn last_watermark(&self, column: &SqlColumn) -> Option<&'static str> {
        let _ = column;
        None
    }

    /// What follows `INSERT … VALUES …`, so that a row that came between is updated. `None` where it has to be asked
    /// for again.
    fn on_duplicate(&self, names: &[String]) -> Option<String>;

    /// How messages that were done are noted beside their effect; `None` where no transaction holds the two together.
    fn inbox(&self) -> Option<Inbox> {
        None
    }

    /// Values that one statement may bind.
    fn bound_max(&self) -> usize;
}

/// The parts of a `SELECT` that dialects put together.
#[derive(Debug, Default)]
pub(crate) struct Select {
    pub columns: Vec<String>,
    /// With its name `t` behind it.
    pub from: String,
    pub all: Vec<String>,
    pub order: Vec<String>,
    pub rows: Option<usize>,
    /// The rows stay locked until the transaction ends.
    pub locks: bool,
}

/// The statements about [`INBOX`].
pub(crate) struct Inbox {
    pub create: &'static str,
    /// Binds the message, and changes no row where it is noted already.
    pub note: &'static str,
    /// Takes away what is older than 30 days: no queue comes back to it.
    pub forget: &'static str,
}

/// The table of messages that were done, in the destination itself.
pub(crate) const INBOX: &str = "ironbridge_inbox";

/// One system, and how to begin a session.
pub(crate) trait Engine: Send + Sync {
    fn dialect(&self) -> &'static dyn Dialect;
    fn words(&self) -> Words<'_>;
    fn timeout(&self) -> Duration;

    /// The statement that asks for version, user, and what may be read.
    fn who(&self) -> &'static str;

    /// What the answer to that says.
    fn health(&self, who: &[Cell]) -> Health;

    /// Whether the database can compute this for a user's question, exactly as it is meant there.
    fn computes(&self, function: Function) -> bool {
        let _ = function;
        true
    }

    /// How the table compares keys of these columns, as far as it is known.
    fn key_rules(&self, table: &str, key: &[String]) -> KeyRules;

    fn connect(&self, purpose: Use) -> BoxFuture<'_, Result<Box<dyn Session>, Failure>>;
}

/// Rows of a statement.
pub(crate) type Rows = Vec<Vec<Cell>>;

/// One connection. Dropping it ends what it does, also on the server.
pub(crate) trait Session: Send {
    /// All rows of a statement that has few. Ends with the time-out.
    fn rows<'a>(&'a mut self, sql: &'a str, bound: &'a [Cell]) -> BoxFuture<'a, Result<Rows, Failure>>;

    /// How many rows a statement changed. Ends with the time-out.
    fn run<'a>(&'a mut self, sql: &'a str, bound: &'a [Cell]) -> BoxFuture<'a, Result<u64, Failure>>;

    /// Begins a statement with any number of rows. *Shape*: they come as they are asked for.
    fn stream<'a>(
        &'a mut self,
        sql: &'a str,
        bound: &'a [Cell],
    ) -> BoxFuture<'a, Result<Box<dyn Stream + 'a>, Failure>>;

    /// Lifts the server's own time-out, for a statement whose rows are taken as slowly as a destination takes them.
    fn unlimited(&mut self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// How long each statement may take from now on.
    fn limit(&mut self, timeout: Duration) -> BoxFuture<'_, Result<(), Failure>>;

    /// How a user's question about these columns is written for this server.
    fn asks<'a>(&self, plan: &'a Plan) -> Box<dyn query::Dialect + 'a>;

    /// How the server finds rows of this table by the hash of these columns.
    fn lookup(&self, plan: &Plan, table: &str, key: &[String]) -> Lookup {
        let _ = (plan, table, key);
        Lookup::Scan
    }

    /// A table or view, or `None` where there is none of this name that the user can see.
    fn describe<'a>(&'a mut self, table: &'a str) -> BoxFuture<'a, Result<Option<Described>, Failure>>;

    /// Whether the user has a right on a table, where the server tells it. Changes nothing.
    fn may<'a>(&'a mut self, table: &'a Described, right: Right) -> BoxFuture<'a, Result<bool, Failure>>;

    /// The columns of a statement that is not run. *Shape*: in its order, all of them.
    fn columns_of<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<Vec<SqlColumn>, Failure>>;
}

/// The rows of a statement that is under way.
pub(crate) trait Stream: Send {
    /// Up to so many rows; none at the end. Ends with the time-out.
    fn next(&mut self, rows: usize) -> BoxFuture<'_, Result<Rows, Failure>>;
}

/// What a statement binds, with its placeholders.
pub(crate) struct Binder {
    dialect: &'static dyn Dialect,
    pub cells: Vec<Cell>,
}

impl Binder {
    pub fn new(dialect: &'static dyn Dialect) -> Binder {
        Binder { dialect, cells: Vec::new() }
    }

    /// Binds a value that is compared with a column.
    pub fn compared(&mut self, cell: Cell, column: &SqlColumn) -> String {
        let placeholder = self.dialect.placeholder(self.cells.len() + 1);
        let compared = self.dialect.compared(placeholder, &cell, column);
        self.cells.push(cell);
        compared
    }

    /// Binds a value that goes into a column.
    pub fn assigned(&mut self, cell: Cell, column: &SqlColumn) -> String {
        self.cells.push(cell);
        self.dialect.assigned(self.dialect.placeholder(self.cells.len()), column)
    }
}

/// The table or the query of an entity, with the name `t`.
pub(crate) fn from(dialect: &dyn Dialect, table: &str, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("({}) AS t", query.trim().trim_end_matches(';').trim_end()),
        None => format!("{} AS t", dialect.table(table)),
    }
}

/// Reads no row of a table that the catalogue does not show, for what the server itself says of it: a table that is not
/// there, or one that this user may not see.
pub(crate) async fn ask_for(dialect: &dyn Dialect, session: &mut dyn Session, table: &str) -> Result<(), Failure> {
    let all = vec!["1 = 0".to_owned()];
    let select = Select { columns: vec!["1".to_owned()], from: from(dialect, table, None), all, ..Select::default() };
    session.rows(&dialect.select(&select), &[]).await.map(|_| ())
}
