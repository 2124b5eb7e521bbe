//! What the connectors of SQL databases share: cursors, watermarks, paging by key, local times.
//!
//! MariaDB, MySQL and SQL Server also share one reader and one writer over [`engine`]; PostgreSQL and SQLite keep writers
//! of their own, on purpose. PostgreSQL sends a chunk as arrays, one for each column, to one statement that updates,
//! inserts by `ON CONFLICT (key)` and answers which was which: nothing can come between, and a chunk is two or three
//! round trips. By [`engine`] it would be a look-up, an update for each changed row and an insert, which a race has to be
//! answered for. SQLite has no round trips to save: a row is looked up and written by cached statements on one blocking
//! thread that holds the file's only lock, where a session of futures would hand over to that thread for each row. What
//! is the same for all five, documents with their lines, and the order of a chunk, is in [`documents`] and used by all.

pub(crate) mod asked;
pub(crate) mod cell;
pub(crate) mod children;
pub(crate) mod cursor;
pub(crate) mod documents;
pub(crate) mod engine;
pub(crate) mod failure;
pub(crate) mod filled;
pub(crate) mod live;
pub(crate) mod lookup;
pub(crate) mod moment;
pub(crate) mod order;
pub(crate) mod paged;
pub(crate) mod pages;
pub(crate) mod query;
pub(crate) mod rows;
pub(crate) mod rules;
pub(crate) mod system;
pub(crate) mod text;
pub(crate) mod tls;
pub(crate) mod watermark;

use record::{Field, FieldType, Right};

/// The fields of an entity in every SQL database.
pub(crate) const ENTITY_FIELDS: &[Field] = &[
    Field::new("table", FieldType::Text, "The table or view to read and write.", "customers"),
    Field::new("query", FieldType::Text, "SQL to read from instead of a table; it is run read-only.", "SELECT * FROM customers WHERE active = 1"),
    Field::new(
        "alternate_key",
        FieldType::OneOrMany(&FieldType::Column),
        "The column, or columns, by which rows are written.",
        "customer_no",
    ),
    Field::new(
        "match_existing",
        FieldType::OneOrMany(&FieldType::Column),
        "At go-live: columns by which rows that are there already are adopted.",
        "[name]",
    ),
    WATERMARK,
    Field::new(
        "dst",
        FieldType::OneOf(&["reject", "earlier", "later"]),
        "What to do with a local time that a clock change skips or repeats: set the row aside, or take the earlier or the later reading.",
        "later",
    )
    .default("reject"),
];

/// How long a statement may take, in `connection:`.
pub(crate) const TIMEOUT: Field =
    Field::new("timeout", FieldType::Duration, "How long one statement, or one page of rows, may take.", "1 minute")
        .default("30 seconds");

/// Which server is trusted, in `connection:`.
pub(crate) const CA: Field = Field::new(
    "ca",
    FieldType::Path,
    "A file (PEM) with the certificate that signed the server's, where this machine does not trust it.",
    "certificates/finance-ca.pem",
);

/// Whether a host is this machine, with which nobody listens in between.
pub(crate) fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether a connection is encrypted: as `sslmode` says, else wherever the host is another machine. `None` for another
/// word.
pub(crate) fn is_encrypted(mode: Option<&str>, host: &str) -> Option<bool> {
    match mode {
        None => Some(!is_this_machine(host)),
        Some("disable") => Some(false),
        Some("require") => Some(true),
        Some(_) => None,
    }
}

/// A URL without its `?sslmode=…`, and what that says.
pub(crate) fn split_mode(url: &str) -> (String, Option<&str>) {
    let Some((address, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let mode = query.split('&').find_map(|pair| pair.strip_prefix("sslmode="));
    let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("sslmode=")).collect();
    (if rest.is_empty() { address.to_owned() } else { format!("{address}?{}", rest.join("&")) }, mode)
}

/// What makes a run read only what changed, in every kind of system that can be asked so.
pub(crate) const WATERMARK: Field = Field::new(
    "watermark",
    FieldType::Group(&[
        Field::new(
            "column",
            FieldType::Column,
            "The column: a time, or a number that is counted up with each change.",
            "updated_at",
        )
        .required(),
        Field::new("overlap", FieldType::Duration, "How far to read back, for changes that show late.", "5 minutes")
            .default("5 minutes"),
    ]),
    "A column that grows whenever a row changes, so that a run reads only what changed.",
    "{ column: updated_at, overlap: 5 minutes }",
);

/// What a user may not do with a table, and the grant that is missing; `None` where nothing is.
pub(crate) fn lacking(user: &str, table: &str, lacks: &[Right], grantor: &str, grantee: &str) -> Option<String> {
    let rights = lacks.iter().map(|right| right.word()).collect::<Vec<_>>().join(", ");
    let verbs = verbs(lacks);
    let says = || format!("`{user}` may not {verbs} `{table}`; as {grantor}: GRANT {rights} ON {table} TO {grantee}");
    (!lacks.is_empty()).then(says)
}

/// `read, write or delete from`, for a sentence that names a table next.
pub(crate) fn verbs(lacks: &[Right]) -> String {
    let has = |right: &Right| lacks.contains(right);
    let verbs = [
        ("read", has(&Right::Select)),
        ("write", has(&Right::Insert) || has(&Right::Update)),
        ("delete from", has(&Right::Delete)),
    ];
    let verbs: Vec<&str> = verbs.into_iter().filter_map(|(verb, lacks)| lacks.then_some(verb)).collect();
    match verbs.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
        None => String::new(),
    }
}

/// The name in double quotes, as standard SQL wants it.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A part of a URL without its `%41`. *Errors*: `None` where that is no text.
pub(crate) fn decoded(part: &str) -> Option<String> {
    let mut out = Vec::with_capacity(part.len());
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(out).ok()
}
