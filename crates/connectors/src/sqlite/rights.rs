//! What may be done with a file: SQLite has no users, so its rights are those of the file and its folder.
//!
//! *Source*: <https://www.sqlite.org/c3ref/open.html> (a file that may not be written is opened for reading),
//! `tempfiles.html` (the journal stands beside the file), `lang_createtrigger.html` (a view is written by `INSTEAD OF`).

use std::path::Path;

use record::{Fault, TableUse};
use rusqlite::{Connection, MAIN_DB, OpenFlags};

use super::{Database, fault};
use crate::folder::takes_files;

/// What is missing for these writes. Changes nothing, and waits for no lock.
pub(super) fn lacks(database: &Database, uses: &[TableUse]) -> Result<Vec<String>, Fault> {
    let written: Vec<&TableUse> = uses.iter().filter(|of| of.writes || of.deletes).collect();
    if written.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |e: rusqlite::Error| fault::source(database, "", &e);
    let file = database.path().display();
    let mut missing = Vec::new();
    let read_only = {
        let connection = database.connect(OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
        connection.is_readonly(MAIN_DB).map_err(failed)?
    };
    let folder = database.path().parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if read_only {
        missing.push(format!(
            "{file} may be read and not written by the user that runs the hub; as its owner: chmod g+w {file}, with that user in its group"
        ));
    } else if !takes_files(folder) {
        let folder = folder.display();
        missing.push(format!(
            "{file} may be written, but its folder may not, where SQLite keeps the journal of a write; as its owner: chmod g+w {folder}, with the user that runs the hub in its group"
        ));
    }
    let connection = database.connect(OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    for TableUse { table, .. } in written {
        if is_fixed_view(&connection, table).map_err(failed)? {
            missing.push(format!(
                "`{table}` is a view that takes no rows; name the table behind it as `table:`, or give the view an INSTEAD OF trigger"
            ));
        }
    }
    Ok(missing)
}

fn is_fixed_view(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let views = "SELECT count(*) FROM sqlite_master AS v WHERE v.type = 'view' AND v.name = ?1 COLLATE NOCASE
        AND NOT EXISTS (SELECT 1 FROM sqlite_master AS t WHERE t.type = 'trigger' AND t.tbl_name = v.name COLLATE NOCASE)";
    connection.query_row(views, [name], |row| row.get::<_, i64>(0)).map(|views| views > 0)
}
