//! Tables, columns and keys, from SQLite's own pragmas.

use record::catalog::{Table, TableColumn, TableKey};
use record::{Catalog, Column, Fault};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{Database, fault, value};
use crate::sql::filled::Filled;

pub(super) fn read(database: &Database, tables: &[String]) -> Result<Catalog, Fault> {
    let connection = database.connect(OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|e| fault::source(database, "", &e))?;
    let mut catalog = Catalog::default();
    for name in tables {
        if let Some(table) = table(&connection, name).map_err(|e| fault::source(database, name, &e))? {
            catalog.tables.push(table);
        }
    }
    Ok(catalog)
}

/// A table or view, or `None` where there is none of this name.
pub(super) fn table(connection: &Connection, name: &str) -> rusqlite::Result<Option<Table>> {
    let kind: Option<String> = connection
        .query_row(
            "SELECT type FROM sqlite_master WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')",
            [name],
            |row| row.get(0),
        )
        .optional()?;
    let Some(kind) = kind else { return Ok(None) };
    let mut primary: Vec<(i64, String)> = Vec::new();
    let mut integers = Vec::new();
    let mut columns = Vec::new();
    let mut statement = connection
        .prepare("SELECT name, type, \"notnull\", dflt_value IS NULL, pk, hidden FROM pragma_table_xinfo(?1)")?;
    let mut rows = statement.query([name])?;
    while let Some(row) = rows.next()? {
        let column: String = row.get(0)?;
        let declaration: Option<String> = row.get(1)?;
        let (not_null, no_default, pk, hidden): (bool, bool, i64, i64) =
            (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
        if pk > 0 {
            primary.push((pk, column.clone()));
        }
        if declaration.as_deref().is_some_and(|declared| declared.eq_ignore_ascii_case("integer")) {
            integers.push(column.clone());
        }
        columns.push(TableColumn {
            column: Column { name: column.into(), ty: value::declared(declaration.as_deref()) },
            required: not_null && no_default,
            // 2 and 3 are generated columns.
            writable: kind == "table" && hidden < 2,
            labels: Vec::new(),
        });
    }
    primary.sort();
    // What SQLite numbers the rows by, it fills itself.
    if let ([(_, id)], true) = (&*primary, has_rowid(connection, name))
        && let Some(column) = columns.iter_mut().find(|column| *column.column.name == **id)
    {
        column.required &= !integers.contains(id);
    }
    let mut keys = Vec::new();
    if !primary.is_empty() {
        keys.push(TableKey {
            columns: primary.into_iter().map(|(_, name)| name).collect(),
            primary: true,
            active: true,
        });
    }
    // Unique constraints and indexes without a condition; an expression in one has no column name, which leaves it out.
    let mut statement = connection.prepare(
        "SELECT name FROM pragma_index_list(?1) WHERE \"unique\" = 1 AND partial = 0 AND origin <> 'pk' ORDER BY name",
    )?;
    let indexes: Vec<String> = statement.query_map([name], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut statement = connection.prepare("SELECT name FROM pragma_index_info(?1) ORDER BY seqno")?;
    for index in indexes {
        let columns: Vec<Option<String>> =
            statement.query_map([&index], |row| row.get(0))?.collect::<Result<_, _>>()?;
        if let Some(columns) = columns.into_iter().collect() {
            keys.push(TableKey { columns, primary: false, active: true });
        }
    }
    Ok(Some(Table { name: name.to_owned(), columns, keys }))
}

/// The columns that hold no blank.
pub(super) fn filled(connection: &Connection, table: &Table) -> rusqlite::Result<Vec<Filled>> {
    let mut statement =
        connection.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE \"notnull\" = 1 AND hidden < 2")?;
    let names = statement.query_map([&table.name], |row| row.get::<_, String>(0))?;
    let required = |name: &str| table.column(name).is_some_and(|column| column.required);
    names.map(|name| name.map(|name| Filled { required: required(&name), name })).collect()
}

/// Whether the table has SQLite's own row id: a view and a `WITHOUT ROWID` table have none.
pub(super) fn has_rowid(connection: &Connection, name: &str) -> bool {
    let kind: Option<bool> = connection
        .query_row("SELECT type = 'table' AND NOT wr FROM pragma_table_list(?1) WHERE schema = 'main'", [name], |row| {
            row.get(0)
        })
        .optional()
        .ok()
        .flatten();
    kind.unwrap_or(false)
}
