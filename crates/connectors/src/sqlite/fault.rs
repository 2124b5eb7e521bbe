//! What SQLite's errors mean to the hub.

use record::{Code, Effect, Fault, Why};
use rusqlite::ErrorCode;

use super::Database;

pub(super) fn no_file(system: &str) -> Fault {
    Fault::stop(Code("IB0601"), format!("system `{system}` does not say which SQLite file it is"))
        .at_system(system)
        .fix("add `file:` under `connection:`")
}

/// Whether a program ended in the middle of a write, and SQLite could not undo it for whoever only reads.
pub(super) fn is_left_half_written(error: &rusqlite::Error) -> bool {
    let left = [rusqlite::ffi::SQLITE_READONLY_ROLLBACK, rusqlite::ffi::SQLITE_READONLY_RECOVERY];
    error.sqlite_error().is_some_and(|error| left.contains(&error.extended_code))
}

/// A failed read. `table` may be empty.
pub(super) fn source(database: &Database, table: &str, error: &rusqlite::Error) -> Fault {
    let text = words(error);
    let of = if table.is_empty() { String::new() } else { format!(" `{table}`") };
    let file = database.path().display();
    let fault = match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen) => {
            Fault::retry(Code("IB0601"), format!("the SQLite file {file} cannot be opened"), None)
                .fix(format!("check that {file} exists and that this process may read it"))
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Fault::ask_person(Code("IB0601"), format!("{file} is not a SQLite database that can be read"))
                .fix(format!("run: sqlite3 {file} \"PRAGMA integrity_check\""))
        }
        Some(ErrorCode::ReadOnly) if is_left_half_written(error) => {
            let what = format!("a program ended while it wrote to {file}, and this process may not put that right");
            let fix = format!("as somebody who may write it: sqlite3 {file} \"PRAGMA schema_version\"");
            Fault::retry(Code("IB0605"), what, None).fix(fix)
        }
        Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied | ErrorCode::ReadOnly) => {
            Fault::ask_person(Code("IB0604"), format!("reading{of} is not permitted"))
                .fix(format!("give this process the right to read {file}"))
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Fault::retry(Code("IB0605"), format!("another program holds the lock on {file}"), None)
                .fix("wait for the other program to finish, or raise `timeout`")
        }
        Some(ErrorCode::OperationInterrupted) => {
            Fault::retry(Code("IB0605"), format!("reading{of} took longer than {:?}", database.timeout), None)
                .fix("add an index on the watermark column, or raise `timeout`")
        }
        _ if text.starts_with("no such table") => {
            Fault::ask_person(Code("IB0602"), format!("there is no table{of} in {file}"))
                .fix(format!("run: sqlite3 {file} .tables"))
        }
        _ if text.starts_with("no such column") => {
            let fault = Fault::ask_person(Code("IB0603"), format!("table{of} has no such column"))
                .fix(format!("run: sqlite3 {file} \".schema {table}\""));
            match column(&text) {
                Some(column) => fault.at_column(column),
                None => fault,
            }
        }
        _ => Fault::stop(Code("IB0605"), format!("reading{of} failed"))
            .fix(format!("try the read by hand: sqlite3 {file}")),
    };
    place(fault.why(why(error, text)), database, table)
}

/// A failed write of a whole chunk.
pub(super) fn sink(database: &Database, table: &str, error: &rusqlite::Error) -> Fault {
    let text = words(error);
    let file = database.path().display();
    let fault = match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen) => {
            Fault::retry(Code("IB0501"), format!("the SQLite file {file} cannot be opened"), None)
                .fix(format!("check that {file} exists and that this process may write it"))
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Fault::ask_person(Code("IB0501"), format!("{file} is not a SQLite database that can be used"))
                .fix(format!("run: sqlite3 {file} \"PRAGMA integrity_check\""))
        }
        Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied | ErrorCode::ReadOnly) => {
            Fault::ask_person(Code("IB0503"), format!("writing `{table}` is not permitted"))
                .fix(format!("give this process the right to write {file} and its folder"))
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OperationInterrupted) => {
            Fault::retry(Code("IB0513"), format!("another program holds the lock on {file}"), None)
                .fix("wait for the other program to finish, or raise `timeout`")
        }
        Some(ErrorCode::DiskFull) => {
            Fault::retry(Code("IB0514"), format!("there is no room left to write {file}"), None)
                .fix(format!("free space on the disk of {file}"))
        }
        _ if text.starts_with("no such table") => {
            Fault::ask_person(Code("IB0504"), format!("there is no table `{table}` in {file}"))
                .fix(format!("run: sqlite3 {file} .tables"))
        }
        _ if text.contains("no such column") || text.contains("has no column") => {
            let fault = Fault::ask_person(Code("IB0505"), format!("table `{table}` has no such column"))
                .fix(format!("run: sqlite3 {file} \".schema {table}\""));
            match column(&text) {
                Some(column) => fault.at_column(column),
                None => fault,
            }
        }
        _ => Fault::retry(Code("IB0508"), format!("writing `{table}` failed"), None)
            .fix(format!("run: sqlite3 {file} \"PRAGMA integrity_check\"")),
    };
    // The chunk is one transaction: what failed before its commit did nothing.
    let mut fault = fault.why(why(error, text));
    fault.effect = Effect::None;
    place(fault, database, table)
}

/// A row that the table's own rules refuse; `None` where the error concerns more than the row.
pub(super) fn row(database: &Database, table: &str, key: String, error: &rusqlite::Error) -> Option<Fault> {
    let refused = matches!(
        error.sqlite_error_code()?,
        ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig
    );
    refused.then(|| {
        let text = words(error);
        let mut fault = Fault::reject(Code("IB0512"), format!("table `{table}` refuses this row"))
            .at_key(key)
            .fix("correct the row at its source, or change the rule of the table");
        if let Some(column) = text.rsplit_once(&format!("{table}.")).map(|(_, column)| column.to_owned()) {
            fault = fault.at_column(column);
        }
        place(fault.why(why(error, text)), database, table)
    })
}

fn place(fault: Fault, database: &Database, table: &str) -> Fault {
    let fault = fault.at_system(&database.system);
    if table.is_empty() { fault } else { fault.at_table(table) }
}

/// SQLite's own sentence, without the statement around it.
fn words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

fn why(error: &rusqlite::Error, text: String) -> Why {
    let code = error.sqlite_error().map(|e| format!("SQLite {}", e.extended_code));
    Why { status: None, code, text, request_id: None }
}

/// The name at the end of `no such column: updated_at` and `table x has no column named y`.
fn column(text: &str) -> Option<&str> {
    text.rsplit([' ', '.']).next().map(|name| name.trim_matches('"')).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rusqlite::Connection;

    use super::*;

    #[test]
    fn no_room_is_something_to_try_again() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("PRAGMA max_page_count = 4; CREATE TABLE t (a BLOB)").unwrap();
        let error = connection.execute("INSERT INTO t VALUES (zeroblob(1000000))", []).unwrap_err();
        let database = Database { system: "crm".into(), file: "crm.db".into(), timeout: Duration::ZERO };
        let fault = sink(&database, "t", &error);
        assert_eq!((fault.code.0, fault.is_transient(), fault.effect), ("IB0514", true, Effect::None), "{fault}");
        assert_eq!(row(&database, "t", "1".into(), &error), None, "it is no fault of the row");
    }
}
