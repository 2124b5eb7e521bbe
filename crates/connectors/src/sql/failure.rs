//! What the errors of a database mean to the hub: one set of sentences for every product that shares the reader and
//! the writer.

use std::time::Duration;

use record::{Code, Effect, Fault, Why};

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    Login,
    NoDatabase,
    NoTable,
    NoColumn,
    NoRight,
    /// The server, or this session, changes nothing.
    ReadOnly,
    Slow,
    Locked,
    Full,
    /// The server takes no more sessions.
    Crowded,
    Unreachable,
    /// No encrypted connection came about.
    Tls,
    /// The values of one row are refused: by their type, by their size, by a rule of the table.
    Row,
    /// Another row has a value that may be there once.
    Duplicate,
    Other,
}

/// Why a statement has no result.
#[derive(Debug)]
pub(crate) enum Failure {
    Server {
        about: About,
        why: Why,
        column: Option<String>,
        /// The session can be used for nothing any more.
        ends: bool,
    },
    /// The server said nothing for so long.
    Silent(Duration),
    /// What the hub itself says of it.
    Said(Box<Fault>),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure::Said(Box::new(fault))
    }
}

/// How a product, its tools and its grants are called.
#[derive(Debug, Clone)]
pub(crate) struct Words<'a> {
    pub system: &'a str,
    pub user: &'a str,
    pub database: &'a str,
    /// `MariaDB server`.
    pub product: &'static str,
    /// What lists the databases, and describes a table (`{}`).
    pub databases: &'static str,
    pub describe: &'static str,
    pub shell: &'static str,
    /// The user as `GRANT` names it.
    pub grantee: String,
    pub tls: &'static str,
}

impl Failure {
    /// A server that says nothing while a session is opened cannot be reached; later, it may be a lock.
    pub fn while_opening(self) -> Failure {
        match self {
            Failure::Silent(_) => {
                let (about, why) = (About::Unreachable, self.why());
                Failure::Server { about, why, column: None, ends: true }
            }
            other => other,
        }
    }

    pub fn about(&self) -> About {
        match self {
            Failure::Server { about, .. } => *about,
            Failure::Silent(_) => About::Slow,
            Failure::Said(_) => About::Other,
        }
    }

    pub fn is_of_a_row(&self) -> bool {
        matches!(self.about(), About::Row | About::Duplicate)
    }

    pub fn ends_session(&self) -> bool {
        match self {
            Failure::Server { ends, .. } => *ends,
            Failure::Silent(_) => true,
            Failure::Said(_) => false,
        }
    }

    fn column(&self) -> Option<&str> {
        match self {
            Failure::Server { column, .. } => column.as_deref(),
            _ => None,
        }
    }

    fn why(&self) -> Why {
        let said = |text: String| Why { status: None, code: None, text, request_id: None };
        match self {
            Failure::Server { why, .. } => why.clone(),
            Failure::Silent(after) => said(format!("no answer within {after:?}")),
            Failure::Said(fault) => said(fault.what.clone()),
        }
    }
}

/// Which side of the hub an error is told from.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Source,
    Destination,
}

/// A failed read. `table` may be empty.
pub(crate) fn source(words: &Words<'_>, timeout: Duration, table: &str, failure: &Failure) -> Fault {
    whole(Side::Source, words, timeout, table, failure)
}

/// A user's question that has no answer.
pub(crate) fn question(words: &Words<'_>, timeout: Duration, table: &str, failure: &Failure) -> Fault {
    match failure.is_of_a_row() {
        true => place(not_computed(table).why(failure.why()), words, table),
        false => source(words, timeout, table, failure),
    }
}

/// The server is well, and a value makes no sense to what was asked about it.
pub(crate) fn not_computed(table: &str) -> Fault {
    Fault::reject(Code("IB0605"), format!("what was asked cannot be computed for every row of `{table}`"))
        .fix("ask for less: numbers that are smaller, or no calculation")
}

/// A failed write of a whole chunk.
pub(crate) fn sink(words: &Words<'_>, timeout: Duration, table: &str, failure: &Failure) -> Fault {
    let mut fault = whole(Side::Destination, words, timeout, table, failure);
    if !matches!(failure, Failure::Said(_)) {
        // The chunk is one transaction: it did nothing, unless the answer to its commit was lost.
        fault.effect = if failure.ends_session() { Effect::Unknown } else { Effect::None };
    }
    fault
}

fn whole(side: Side, words: &Words<'_>, timeout: Duration, table: &str, failure: &Failure) -> Fault {
    if let Failure::Said(fault) = failure {
        return (**fault).clone();
    }
    let reads = side == Side::Source;
    let code = |source: &'static str, destination: &'static str| Code(if reads { source } else { destination });
    let of = if table.is_empty() { String::new() } else { format!(" `{table}`") };
    let (doing, verb) = if reads { ("reading", "read") } else { ("writing", "write") };
    let Words { user, database, product, shell, grantee, .. } = words;
    let describe = words.describe.replace("{}", table);
    let rights = if reads { "SELECT" } else { "SELECT, INSERT, UPDATE, DELETE" };
    let fault = match failure.about() {
        About::Login => Fault::ask_person(code("IB0604", "IB0502"), format!("`{user}` may not sign in"))
            .fix("correct the user or the password in `url:`; a server may also refuse this machine, or this database"),
        About::NoDatabase => Fault::ask_person(code("IB0601", "IB0501"), format!("there is no database `{database}`"))
            .fix(format!("correct the database at the end of `url:`; those that there are: {}", words.databases)),
        About::NoTable => Fault::ask_person(code("IB0602", "IB0504"), format!("there is no table{of} in `{database}`"))
            .fix(format!("correct `table:`; what the user can see: {shell}")),
        About::NoColumn => Fault::ask_person(code("IB0603", "IB0505"), format!("table{of} has no such column"))
            .fix(format!("look at its columns: {describe}")),
        About::NoRight => Fault::ask_person(code("IB0604", "IB0503"), format!("`{user}` may not {verb}{of}"))
            .fix(format!("as an administrator: GRANT {rights} ON {table} TO {grantee}")),
        About::ReadOnly if reads => {
            Fault::ask_person(Code("IB0604"), format!("the query of{of} would change something, and may only read"))
                .fix("write a `query:` that reads")
        }
        About::ReadOnly => Fault::ask_person(Code("IB0503"), format!("this {product} changes nothing"))
            .fix("name the server that takes writes in `url:`, not one that copies it"),
        About::Slow if reads => Fault::retry(Code("IB0605"), format!("reading{of} took longer than {timeout:?}"), None)
            .fix("add an index on the watermark column and the key, or raise `timeout`"),
        About::Locked | About::Full | About::Crowded if reads => {
            Fault::retry(Code("IB0605"), format!("reading{of} was cut short"), None).fix("nothing: it is tried again")
        }
        About::Slow | About::Locked => Fault::retry(
            Code("IB0513"),
            format!("another session holds a lock on `{table}`, or the server is slow"),
            None,
        )
        .fix("wait for the other program to finish, or raise `timeout`"),
        About::Full => Fault::retry(Code("IB0514"), format!("there is no room left on the {product}"), None)
            .fix("free space on the server's disk"),
        About::Crowded => Fault::retry(Code("IB0501"), format!("the {product} takes no more connections"), None)
            .fix("nothing: it is tried again; where it stays so, raise the server's limit of connections"),
        About::Unreachable => Fault::retry(code("IB0601", "IB0501"), format!("the {product} cannot be reached"), None)
            .fix("check host and port in `url:`, and that the server runs"),
        About::Tls => {
            Fault::ask_person(code("IB0601", "IB0501"), format!("no encrypted connection to the {product} came about"))
                .fix(words.tls)
        }
        About::Other | About::Row | About::Duplicate if reads => {
            Fault::stop(Code("IB0605"), format!("reading{of} failed")).fix(format!("try the read by hand: {shell}"))
        }
        About::Other | About::Row | About::Duplicate => {
            Fault::retry(Code("IB0508"), format!("{doing}{of} failed"), None)
                .fix(format!("try the write by hand: {shell}"))
        }
    };
    let fault = match failure.column() {
        Some(column) => fault.at_column(column),
        None => fault,
    };
    place(fault.why(failure.why()), words, table)
}

/// A row that the table's own rules refuse.
pub(crate) fn row(words: &Words<'_>, table: &str, key: String, failure: &Failure) -> Fault {
    let fix = match failure.about() {
        About::Duplicate => "another row has this value in a unique index: correct one of the two",
        _ => "correct the value at its source, or the mapping",
    };
    let mut fault = Fault::reject(Code("IB0512"), format!("table `{table}` refuses this row")).at_key(key).fix(fix);
    if let Some(column) = failure.column() {
        fault = fault.at_column(column);
    }
    place(fault.why(failure.why()), words, table)
}

pub(crate) fn place(fault: Fault, words: &Words<'_>, table: &str) -> Fault {
    let fault = fault.at_system(words.system);
    if table.is_empty() { fault } else { fault.at_table(table) }
}
