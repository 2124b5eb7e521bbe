//! What PostgreSQL's errors mean to the hub.

use std::time::Duration;

use record::{Code, Effect, Fault, Why};
use tokio_postgres::error::SqlState;

use super::Database;
use crate::sql::failure::not_computed;

/// Why a statement has no result.
#[derive(Debug)]
pub(super) enum Failure {
    Postgres(tokio_postgres::Error),
    /// The server said nothing for so long.
    Silent(Duration),
    /// The same, while the session was opened.
    Unanswered(Duration),
    Tls(String),
    /// What the hub itself says of it.
    Said(Box<Fault>),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        Failure::Postgres(error)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure::Said(Box::new(fault))
    }
}

/// What an error is about.
#[derive(PartialEq)]
pub(super) enum About {
    Login,
    NoDatabase,
    NoTable,
    NoColumn,
    NoRight,
    Slow,
    Locked,
    Full,
    Unreachable,
    NoKey,
    Other,
}

impl Failure {
    fn state(&self) -> Option<&SqlState> {
        match self {
            Failure::Postgres(error) => error.code(),
            _ => None,
        }
    }

    /// The values of one row are refused: by their type, by their size, by a rule of the table.
    pub fn is_of_a_row(&self) -> bool {
        self.state().is_some_and(|state| state.code().starts_with("22") || state.code().starts_with("23"))
    }

    /// The server is well, and has no answer to this question: a value makes no sense to it, or it cannot be put so.
    pub fn is_of_a_question(&self) -> bool {
        let is_of_its_form = self.about() == About::Other
            && self.state().is_some_and(|state| state.code().starts_with("42") || state.code().starts_with("54"));
        self.is_of_a_row() || is_of_its_form
    }

    /// The session can be used for nothing any more.
    pub fn ends_session(&self) -> bool {
        match self {
            Failure::Postgres(error) => error.is_closed() || matches!(self.about(), About::Unreachable),
            Failure::Silent(_) | Failure::Unanswered(_) | Failure::Tls(_) => true,
            Failure::Said(_) => false,
        }
    }

    pub fn about(&self) -> About {
        let Some(state) = self.state() else {
            return match self {
                Failure::Silent(_) => About::Slow,
                _ => About::Unreachable,
            };
        };
        match *state {
            SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => About::Login,
            SqlState::INVALID_CATALOG_NAME => About::NoDatabase,
            SqlState::UNDEFINED_TABLE | SqlState::INVALID_SCHEMA_NAME => About::NoTable,
            SqlState::UNDEFINED_COLUMN => About::NoColumn,
            SqlState::INSUFFICIENT_PRIVILEGE | SqlState::READ_ONLY_SQL_TRANSACTION => About::NoRight,
            SqlState::QUERY_CANCELED => About::Slow,
            SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED | SqlState::LOCK_NOT_AVAILABLE => {
                About::Locked
            }
            SqlState::DISK_FULL | SqlState::OUT_OF_MEMORY => About::Full,
            SqlState::INVALID_COLUMN_REFERENCE => About::NoKey,
            _ if ["08", "57", "53"].iter().any(|class| state.code().starts_with(class)) => About::Unreachable,
            _ => About::Other,
        }
    }

    fn why(&self) -> Why {
        let (code, text) = match self {
            Failure::Postgres(error) => match error.as_db_error() {
                Some(said) => (Some(format!("PostgreSQL {}", said.code().code())), said.message().to_owned()),
                None => (None, with_causes(error)),
            },
            Failure::Silent(after) | Failure::Unanswered(after) => (None, format!("no answer within {after:?}")),
            Failure::Tls(why) => (None, why.clone()),
            Failure::Said(fault) => (None, fault.what.clone()),
        };
        Why { status: None, code, text, request_id: None }
    }
}

/// An error with what is behind it: the driver's own sentence says little.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// A failed read. `table` may be empty.
pub(super) fn source(database: &Database, table: &str, failure: &Failure) -> Fault {
    if let Failure::Said(fault) = failure {
        return (**fault).clone();
    }
    let of = if table.is_empty() { String::new() } else { format!(" `{table}`") };
    let user = database.config.get_user().unwrap_or("this user");
    let name = database.config.get_dbname().unwrap_or(user);
    let fault = match failure.about() {
        About::Login => Fault::ask_person(Code("IB0604"), format!("`{user}` may not sign in"))
            .fix("correct the user or the password in `url:`; a server may also refuse this machine (pg_hba.conf)"),
        About::NoDatabase => Fault::ask_person(Code("IB0601"), format!("there is no database `{name}`"))
            .fix("correct the database at the end of `url:`; psql --list shows those that there are"),
        About::NoTable => Fault::ask_person(Code("IB0602"), format!("there is no table{of} in `{name}`"))
            .fix("correct `table:`, with its schema where it is not in the search path: finance.customers"),
        About::NoColumn => {
            let fault = Fault::ask_person(Code("IB0603"), format!("table{of} has no such column"))
                .fix(format!("look at its columns: psql -c '\\d {table}'"));
            match column(&failure.why().text) {
                Some(column) => fault.at_column(column),
                None => fault,
            }
        }
        About::NoRight => Fault::ask_person(Code("IB0604"), format!("`{user}` may not read{of}"))
            .fix(format!("as its owner: GRANT SELECT ON {table} TO {user}")),
        About::Slow => {
            Fault::retry(Code("IB0605"), format!("reading{of} took longer than {:?}", database.timeout), None)
                .fix("add an index on the watermark column and the key, or raise `timeout`")
        }
        About::Locked | About::Full => Fault::retry(Code("IB0605"), format!("reading{of} was cut short"), None)
            .fix("nothing: it is tried again"),
        About::Unreachable if failure.why().text.contains("certificate expired") => {
            Fault::retry(Code("IB0601"), "the certificate of the PostgreSQL server has ended", None)
                .fix("have whoever runs the server give it a new one; nothing has to be done here")
        }
        About::Unreachable => Fault::retry(Code("IB0601"), "the PostgreSQL server cannot be reached", None)
            .fix("check host and port in `url:`, and that the server runs; where this machine does not trust the server's certificate, name the one that signed it under `ca:`"),
        About::NoKey | About::Other => Fault::stop(Code("IB0605"), format!("reading{of} failed"))
            .fix("try the read by hand in psql"),
    };
    place(fault.why(failure.why()), database, table)
}

/// A user's question that a value of the table makes no sense to.
pub(super) fn question(database: &Database, table: &str, failure: &Failure) -> Fault {
    place(not_computed(table).why(failure.why()), database, table)
}

/// A failed write of a whole chunk.
pub(super) fn sink(database: &Database, table: &str, failure: &Failure) -> Fault {
    if let Failure::Said(fault) = failure {
        return (**fault).clone();
    }
    let user = database.config.get_user().unwrap_or("this user");
    let name = database.config.get_dbname().unwrap_or(user);
    let mut fault = match failure.about() {
        About::Login => Fault::ask_person(Code("IB0502"), format!("`{user}` may not sign in"))
            .fix("correct the user or the password in `url:`; a server may also refuse this machine (pg_hba.conf)"),
        About::NoDatabase => Fault::ask_person(Code("IB0501"), format!("there is no database `{name}`"))
            .fix("correct the database at the end of `url:`; psql --list shows those that there are"),
        About::NoTable => Fault::ask_person(Code("IB0504"), format!("there is no table `{table}` in `{name}`"))
            .fix("correct `table:`, with its schema where it is not in the search path: finance.customers"),
        About::NoColumn => {
            let fault = Fault::ask_person(Code("IB0505"), format!("table `{table}` has no such column"))
                .fix(format!("look at its columns: psql -c '\\d {table}'"));
            match column(&failure.why().text) {
                Some(column) => fault.at_column(column),
                None => fault,
            }
        }
        About::NoRight => Fault::ask_person(Code("IB0503"), format!("`{user}` may not write `{table}`"))
            .fix(format!("as its owner: GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {user}")),
        About::NoKey => Fault::ask_person(Code("IB0506"), format!("`{table}` has no unique index on its key"))
            .fix(format!("CREATE UNIQUE INDEX ON {table} (…) with the columns of `alternate_key`")),
        About::Slow | About::Locked => Fault::retry(
            Code("IB0513"),
            format!("another session holds a lock on `{table}`, or the server is slow"),
            None,
        )
        .fix("wait for the other program to finish, or raise `timeout`"),
        About::Full => Fault::retry(Code("IB0514"), "there is no room left on the PostgreSQL server", None)
            .fix("free space on the server's disk"),
        About::Unreachable => Fault::retry(Code("IB0501"), "the PostgreSQL server cannot be reached", None)
            .fix("check host and port in `url:`, and that the server runs"),
        About::Other => {
            Fault::retry(Code("IB0508"), format!("writing `{table}` failed"), None).fix("try the write by hand in psql")
        }
    };
    // The chunk is one transaction: it did nothing, unless the answer to its commit was lost.
    fault.effect = if failure.ends_session() { Effect::Unknown } else { Effect::None };
    place(fault.why(failure.why()), database, table)
}

/// A row that the table's own rules refuse.
pub(super) fn row(database: &Database, table: &str, key: String, failure: &Failure) -> Fault {
    let mut fault = Fault::reject(Code("IB0512"), format!("table `{table}` refuses this row"))
        .at_key(key)
        .fix("correct the value at its source, or the mapping");
    if let Failure::Postgres(error) = failure
        && let Some(column) = error.as_db_error().and_then(|said| said.column())
    {
        fault = fault.at_column(column);
    }
    place(fault.why(failure.why()), database, table)
}

pub(super) fn place(fault: Fault, database: &Database, table: &str) -> Fault {
    let fault = fault.at_system(&database.system);
    if table.is_empty() { fault } else { fault.at_table(table) }
}

/// The name in `column t.updated_at does not exist` and `column "x" of relation "t" does not exist`.
fn column(text: &str) -> Option<&str> {
    let name = text.strip_prefix("column ")?.split(" of relation").next()?.split(" does not").next()?;
    Some(name.rsplit('.').next()?.trim_matches('"')).filter(|name| !name.is_empty())
}
