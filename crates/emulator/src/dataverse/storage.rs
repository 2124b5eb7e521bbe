//! SQLite underneath: opening, the schema that follows the catalog, and the rules of comparison.
//!
//! In a folder it is a write-ahead log without a sync at each commit: what was acknowledged outlives the process
//! however it ends (a loss of power may take the last moments).

use std::cmp::Ordering;
use std::path::Path;

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, OptionalExtension, params};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use uuid::Uuid;

use super::model::{AlternateKey, Catalog, Column, Kind, ManyToMany, OneToMany, Table};
use super::{Error, builtin};

/// Grows when [`compare`] changes: the indexes of older folders are ordered anew.
const ORDER: i64 = 1;

/// Opens the database of `dir`, or one in memory, and brings it up to what is built in.
pub fn open(dir: Option<&Path>) -> Result<(Connection, Catalog), Error> {
    let conn = match dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|source| Error::Folder { dir: dir.into(), source })?;
            Connection::open(dir.join("dataverse.db"))?
        }
        None => Connection::open_in_memory()?,
    };
    conn.execute_batch(
        "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -4000; \
         PRAGMA temp_store = MEMORY; PRAGMA busy_timeout = 5000;",
    )?;
    conn.set_prepared_statement_cache_capacity(128);
    teach(&conn)?;
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS defined_table (name TEXT PRIMARY KEY, definition TEXT NOT NULL);
         CREATE TABLE IF NOT EXISTS defined_relation (schema_name TEXT PRIMARY KEY, links INTEGER NOT NULL, definition TEXT NOT NULL);
         CREATE TABLE IF NOT EXISTS tombstone (table_name TEXT NOT NULL, v INTEGER NOT NULL, id BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (table_name, v)) WITHOUT ROWID;",
    )?;
    let catalog = load(&conn)?;
    let catalog = bring_up(&conn, catalog)?;
    let order: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if order < ORDER {
        // Where two keys are one by now, the index stays as it was: nothing more is promised of a sample.
        conn.execute_batch("REINDEX dataverse").ok();
        conn.pragma_update(None, "user_version", ORDER)?;
    }
    Ok((conn, catalog))
}

/// The highest row version ever given out and still visible anywhere.
pub fn last_version(conn: &Connection, catalog: &Catalog) -> rusqlite::Result<i64> {
    let mut last = conn.query_row("SELECT max(v) FROM tombstone", [], |row| row.get::<_, Option<i64>>(0))?.unwrap_or(0);
    for table in catalog.tables.values() {
        let sql = format!("SELECT max(v) FROM {}", table.sql());
        last = last.max(conn.query_row(&sql, [], |row| row.get::<_, Option<i64>>(0))?.unwrap_or(0));
    }
    // Far from zero, as on a server that has lived.
    Ok(last.max(460_000))
}

fn load(conn: &Connection) -> Result<Catalog, Error> {
    let tables = definitions::<Table>(conn, "SELECT definition FROM defined_table ORDER BY rowid")?;
    let one = definitions::<OneToMany>(conn, "SELECT definition FROM defined_relation WHERE links = 0 ORDER BY rowid")?;
    let many =
        definitions::<ManyToMany>(conn, "SELECT definition FROM defined_relation WHERE links = 1 ORDER BY rowid")?;
    Ok(Catalog::new(tables, one, many))
}

fn definitions<T: serde::de::DeserializeOwned>(conn: &Connection, sql: &str) -> Result<Vec<T>, Error> {
    let mut statement = conn.prepare(sql)?;
    let texts = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    texts.iter().map(|text| serde_json::from_str(text).map_err(Error::Definition)).collect()
}

/// Adds what is built in and not there yet: everything in a new folder, new columns in an older one.
fn bring_up(conn: &Connection, mut catalog: Catalog) -> Result<Catalog, Error> {
    let (tables, relations) = builtin::schema();
    conn.execute_batch("BEGIN IMMEDIATE")?;
    for table in tables {
        match catalog.table(&table.name).cloned() {
            None => {
                create_table(conn, &table)?;
                catalog.tables.insert(table.name.clone(), table.into());
            }
            Some(known) => {
                let mut known = (*known).clone();
                for (name, column) in table.columns {
                    if !known.columns.contains_key(&name) {
                        add_column(conn, &known, &column)?;
                        known.columns.insert(name, column);
                    }
                }
                save_table(conn, &known)?;
                catalog.tables.insert(known.name.clone(), known.into());
            }
        }
    }
    for relation in relations {
        if !catalog.one_to_many.iter().any(|known| known.schema_name == relation.schema_name) {
            save_relation(conn, &relation)?;
            catalog.one_to_many.push(relation.into());
        }
    }
    conn.execute_batch("COMMIT")?;
    catalog.index();
    Ok(catalog)
}

/// Makes the SQL table and remembers the definition.
pub fn create_table(conn: &Connection, table: &Table) -> rusqlite::Result<()> {
    let mut columns = String::from("id BLOB PRIMARY KEY NOT NULL, v INTEGER NOT NULL");
    for column in table.columns.values().filter(|column| is_stored(table, column)) {
        columns.push_str(&format!(", {} {}", column.sql(), column.kind.sql_type()));
        if let Some(target) = column.sql_target() {
            columns.push_str(&format!(", {target} TEXT"));
        }
    }
    let sql = table.sql();
    conn.execute_batch(&format!("CREATE TABLE {sql} ({columns}) WITHOUT ROWID; CREATE INDEX v_{sql} ON {sql} (v);"))?;
    for column in table.columns.values() {
        index_lookup(conn, table, column)?;
    }
    for key in &table.keys {
        create_key(conn, table, key)?;
    }
    save_table(conn, table)
}

pub fn add_column(conn: &Connection, table: &Table, column: &Column) -> rusqlite::Result<()> {
    if is_stored(table, column) {
        let (sql, name) = (table.sql(), column.sql());
        conn.execute_batch(&format!("ALTER TABLE {sql} ADD COLUMN {name} {}", column.kind.sql_type()))?;
        if let Some(target) = column.sql_target() {
            conn.execute_batch(&format!("ALTER TABLE {sql} ADD COLUMN {target} TEXT"))?;
        }
        index_lookup(conn, table, column)?;
    }
    Ok(())
}

pub fn drop_column(conn: &Connection, table: &Table, column: &Column) -> rusqlite::Result<()> {
    let (sql, name) = (table.sql(), column.sql());
    conn.execute_batch(&format!("DROP INDEX IF EXISTS l_{sql}_{}", column.name))?;
    conn.execute_batch(&format!("ALTER TABLE {sql} DROP COLUMN {name}"))?;
    match column.sql_target() {
        Some(target) => conn.execute_batch(&format!("ALTER TABLE {sql} DROP COLUMN {target}")),
        None => Ok(()),
    }
}

/// The lookups that people follow backwards get an index; those of the platform's own book-keeping do not.
fn index_lookup(conn: &Connection, table: &Table, column: &Column) -> rusqlite::Result<()> {
    let book_keeping = !column.create || column.name == "ownerid" || column.name == "transactioncurrencyid";
    if !column.kind.is_lookup() || book_keeping {
        return Ok(());
    }
    let (sql, name) = (table.sql(), column.sql());
    conn.execute_batch(&format!("CREATE INDEX l_{sql}_{} ON {sql} ({name}) WHERE {name} IS NOT NULL", column.name))
}

/// A key is a unique index: rows with a blank part are not compared, which is how the platform has it.
pub fn create_key(conn: &Connection, table: &Table, key: &AlternateKey) -> rusqlite::Result<()> {
    let columns: Vec<String> = key.columns.iter().map(|column| format!("c_{column}")).collect();
    conn.execute_batch(&format!("CREATE UNIQUE INDEX {} ON {} ({})", key.sql(table), table.sql(), columns.join(", ")))
}

pub fn drop_key(conn: &Connection, table: &Table, key: &AlternateKey) -> rusqlite::Result<()> {
    conn.execute_batch(&format!("DROP INDEX IF EXISTS {}", key.sql(table)))
}

pub fn drop_table(conn: &Connection, table: &Table) -> rusqlite::Result<()> {
    conn.execute_batch(&format!("DROP TABLE {}", table.sql()))?;
    conn.execute("DELETE FROM defined_table WHERE name = ?1", [&table.name])?;
    conn.execute("DELETE FROM tombstone WHERE table_name = ?1", [&table.name]).map(drop)
}

pub fn save_table(conn: &Connection, table: &Table) -> rusqlite::Result<()> {
    let text = serde_json::to_string(table).expect("a definition is plain data with text keys");
    let sql = "INSERT INTO defined_table (name, definition) VALUES (?1, ?2) \
               ON CONFLICT (name) DO UPDATE SET definition = excluded.definition";
    conn.execute(sql, params![table.name, text]).map(drop)
}

pub fn save_relation(conn: &Connection, relation: &OneToMany) -> rusqlite::Result<()> {
    let text = serde_json::to_string(relation).expect("a definition is plain data with text keys");
    let sql = "INSERT OR REPLACE INTO defined_relation (schema_name, links, definition) VALUES (?1, 0, ?2)";
    conn.execute(sql, params![relation.schema_name, text]).map(drop)
}

pub fn save_link(conn: &Connection, link: &ManyToMany) -> rusqlite::Result<()> {
    let text = serde_json::to_string(link).expect("a definition is plain data with text keys");
    let sql = "INSERT OR REPLACE INTO defined_relation (schema_name, links, definition) VALUES (?1, 1, ?2)";
    conn.execute(sql, params![link.schema_name, text])?;
    conn.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {} (a BLOB NOT NULL, b BLOB NOT NULL, PRIMARY KEY (a, b)) WITHOUT ROWID",
        link.sql()
    ))
}

pub fn drop_relation(conn: &Connection, schema_name: &str) -> rusqlite::Result<()> {
    conn.execute("DELETE FROM defined_relation WHERE schema_name = ?1", [schema_name]).map(drop)
}

/// Whether the column has a place of its own; the primary id and the row version are part of every row.
pub fn is_stored(table: &Table, column: &Column) -> bool {
    column.name != table.primary_id && column.name != "versionnumber"
}

/// The SQL name of a column under the alias of its table.
pub fn sql_column(table: &Table, column: &Column, alias: &str) -> String {
    if column.name == table.primary_id {
        format!("{alias}.id")
    } else if column.name == "versionnumber" {
        format!("{alias}.v")
    } else {
        format!("{alias}.{}", column.sql())
    }
}

pub fn exists(conn: &Connection, table: &Table, id: Uuid) -> rusqlite::Result<bool> {
    let sql = format!("SELECT 1 FROM {} WHERE id = ?1", table.sql());
    let found: Option<i64> = conn.prepare_cached(&sql)?.query_row([blob(id)], |row| row.get(0)).optional()?;
    Ok(found.is_some())
}

pub fn blob(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

/// The primary name of a row, which is what lookups show and sort by.
pub fn primary_name(conn: &Connection, table: &Table, id: &[u8]) -> rusqlite::Result<Option<String>> {
    let Some(column) = table.column(&table.primary_name) else { return Ok(None) };
    let sql = format!("SELECT {} FROM {} t WHERE t.id = ?1", sql_column(table, column, "t"), table.sql());
    let name = conn.prepare_cached(&sql)?.query_row([id], |row| row.get(0)).optional()?;
    Ok(name.flatten())
}

fn teach(conn: &Connection) -> rusqlite::Result<()> {
    conn.create_collation("dataverse", compare)?;
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function("matches", 2, flags, |context| {
        let text = context.get_raw(0).as_str_or_null()?;
        let pattern = context.get_raw(1).as_str_or_null()?;
        Ok(text.zip(pattern).map(|(text, pattern)| matches(text, pattern)))
    })
}

/// The letters that the platform's database compares: in English neither capitals nor accents count.
fn letters(text: &str) -> impl Iterator<Item = char> {
    text.nfd().filter(|letter| !is_combining_mark(*letter)).flat_map(char::to_lowercase)
}

/// The order of texts, as the platform's database collates in English.
pub fn compare(a: &str, b: &str) -> Ordering {
    // Up to the first difference the bytes tell, and where both are ASCII there, they tell the order too.
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b || a.eq_ignore_ascii_case(b)).count();
    match (a.as_bytes().get(same), b.as_bytes().get(same)) {
        (Some(a), Some(b)) if a.is_ascii() && b.is_ascii() => {
            return a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase());
        }
        // What follows may be the accent of the last letter.
        (None, None) => return Ordering::Equal,
        (None, Some(more)) if more.is_ascii() => return Ordering::Less,
        (Some(more), None) if more.is_ascii() => return Ordering::Greater,
        _ => {}
    }
    letters(a).cmp(letters(b))
}

/// Whether all of `text` fits `pattern`, in which `%` is any run, `_` any one character and `[a-c]`, `[^x]` one of,
/// or none of, a set.
fn matches(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = letters(text).collect();
    let pattern: Vec<char> = letters(pattern).collect();
    // One remembered `%` is enough: a later one never needs an earlier one to give back.
    let (mut t, mut p, mut retry) = (0, 0, None::<(usize, usize)>);
    loop {
        if p < pattern.len() && pattern[p] == '%' {
            retry = Some((t, p + 1));
            p += 1;
            continue;
        }
        if t == text.len() {
            if p == pattern.len() {
                return true;
            }
        } else if let Some(next) = fits_one(text[t], &pattern, p) {
            t += 1;
            p = next;
            continue;
        }
        match retry {
            Some((from, after)) if from < text.len() => {
                retry = Some((from + 1, after));
                (t, p) = (from + 1, after);
            }
            _ => return false,
        }
    }
}

/// Where the pattern goes on if its next element fits `c`.
fn fits_one(c: char, pattern: &[char], at: usize) -> Option<usize> {
    match pattern.get(at)? {
        '_' => Some(at + 1),
        '[' => {
            let close = at + 1 + pattern[at + 1..].iter().position(|c| *c == ']')?;
            let mut set = &pattern[at + 1..close];
            let negated = set.first() == Some(&'^');
            if negated {
                set = &set[1..];
            }
            let mut inside = false;
            let mut index = 0;
            while index < set.len() {
                if index + 2 < set.len() && set[index + 1] == '-' {
                    inside |= (set[index]..=set[index + 2]).contains(&c);
                    index += 3;
                } else {
                    inside |= set[index] == c;
                    index += 1;
                }
            }
            (inside != negated).then_some(close + 1)
        }
        other => (*other == c).then_some(at + 1),
    }
}

/// Whether a column can be part of an alternate key.
pub fn can_be_key(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Decimal { .. }
            | Kind::Integer { .. }
            | Kind::Text { .. }
            | Kind::DateTime { .. }
            | Kind::Lookup { .. }
            | Kind::Choice { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_the_platform() {
        for (text, pattern, expected) in [
            ("Contoso", "%tos%", true),
            ("Contoso", "con%", true),
            ("Contoso", "%x%", false),
            ("A_1", "a_1", true),
            ("AX1", "a_1", true),
            ("cat", "[a-c]at", true),
            ("dat", "[a-c]at", false),
            ("dat", "[^a-c]at", true),
            ("aaab", "%a%b", true),
            ("", "%", true),
            ("Ä", "ä", true),
            ("Jose", "jos%é", true),
            ("100%", "100[%]", true),
        ] {
            assert_eq!(matches(text, pattern), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn order_ignores_case() {
        assert_eq!(compare("C-1", "c-1"), Ordering::Equal);
        assert_eq!(compare("Éa", "éA"), Ordering::Equal);
        assert_eq!(compare("a", "B"), Ordering::Less);
        for (a, b, expected) in [
            ("Zoë", "zOË", Ordering::Equal),
            ("Zoë", "Zoe", Ordering::Equal),
            ("Zoe\u{308}", "zoë", Ordering::Equal),
            ("Zoe", "Zoe\u{308}n", Ordering::Less),
            ("Zoë 1", "zoë 2", Ordering::Less),
            ("Zoë", "Zo", Ordering::Greater),
            ("zo", "ZOË", Ordering::Less),
            ("é", "É", Ordering::Equal),
            ("é", "z", Ordering::Less),
            ("é", "d", Ordering::Greater),
            ("", "a", Ordering::Less),
        ] {
            assert_eq!((compare(a, b), compare(b, a)), (expected, expected.reverse()), "{a} {b}");
        }
    }
}
