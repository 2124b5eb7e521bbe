//! Tables, columns and keys, from PostgreSQL's own catalogues.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use record::catalog::{Table, TableColumn, TableKey};
use record::{Column, KeyRules, Right, TableUse, Type, Value};
use tokio_postgres::Client;

use super::fault::Failure;
use super::value::Holds;
use super::{quote_table, value};
use crate::sql::filled::Filled;
use crate::sql::quote;

/// Version, user, database, and how many tables the user may read.
pub(super) const WHO: &str = "SELECT current_setting('server_version'), current_user::text, current_database()::text,
    (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND has_table_privilege(c.oid, 'SELECT'))";

/// A table with what statements on it need to know.
pub(super) struct Described {
    pub table: Table,
    /// The type of each column as a cast names it, without a length: a cast to `varchar(5)` would cut silently.
    pub casts: HashMap<String, String>,
    /// Columns that hold no blank.
    pub filled: Vec<String>,
    /// Those for which the table refuses a row that leaves them blank.
    pub refuses: Vec<Filled>,
    /// Columns that keep less of a value than their type says.
    holds: HashMap<String, Holds>,
    /// How texts of a column compare as keys, where that is not by their characters.
    pub rules: HashMap<String, KeyRules>,
}

impl Described {
    pub fn cast(&self, column: &str) -> &str {
        self.casts.get(column).map_or("text", String::as_str)
    }

    /// The text that PostgreSQL takes for a value in this column, of a type of [`value::declared`].
    ///
    /// *Errors*: one sentence, where the column would keep another value.
    pub fn text(&self, column: &str, value: &Value, zone: Option<&TimeZone>) -> Result<Option<String>, String> {
        let ty = self.table.type_of(column).unwrap_or(&Type::Unknown);
        value::write(value, ty, self.holds.get(column).copied().unwrap_or_default(), zone)
    }

    /// `AND`-able comparison of two expressions of a column's type: some types have no equality of their own.
    pub fn differs(&self, column: &str, a: &str, b: &str) -> String {
        match self.cast(column) {
            "json" | "xml" | "point" => format!("{a}::text IS DISTINCT FROM {b}::text"),
            _ => format!("{a} IS DISTINCT FROM {b}"),
        }
    }
}

/// The rights that the user lacks on a table, on every column of it.
pub(super) async fn lacks(client: &Client, of: &TableUse) -> Result<Vec<Right>, Failure> {
    const HAS: &str = "SELECT coalesce(has_any_column_privilege(to_regclass($1)::oid, $2), true)";
    // Rows are deleted as a whole: no column has that right.
    const HAS_ALL: &str = "SELECT coalesce(has_table_privilege(to_regclass($1)::oid, $2), true)";
    let quoted = quote_table(&of.table);
    let mut lacks = Vec::new();
    for right in of.rights() {
        let asked = if right == Right::Delete { HAS_ALL } else { HAS };
        if !client.query_one(asked, &[&quoted, &right.word()]).await?.get::<_, bool>(0) {
            lacks.push(right);
        }
    }
    Ok(lacks)
}

/// A table or view, or `None` where there is none of this name that the user can see.
pub(super) async fn table(client: &Client, name: &str) -> Result<Option<Described>, Failure> {
    let quoted = quote_table(name);
    let found = "SELECT c.oid, c.relkind IN ('r', 'p') OR (pg_relation_is_updatable(c.oid, false) & 12) = 12,
                   EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgtype & 2 = 2 AND NOT t.tgisinternal)
                 FROM pg_class c WHERE c.oid = to_regclass($1)::oid AND c.relkind IN ('r', 'v', 'm', 'p', 'f')";
    let Some(row) = client.query_opt(found, &[&quoted]).await? else { return Ok(None) };
    // What runs before a row is written may fill its columns.
    let (oid, writable, is_filled_before): (u32, bool, bool) = (row.get(0), row.get(1), row.get(2));
    let columns = "SELECT a.attname::text, format_type(a.atttypid, -1), a.attnotnull,
                     a.attnotnull AND NOT a.atthasdef AND t.typdefault IS NULL AND a.attidentity = '', a.attgenerated = '' AND a.attidentity <> 'a',
                     CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE a.atttypmod END,
                     coalesce((SELECT to_jsonb(c) ->> 'collisdeterministic' = 'false' FROM pg_collation c WHERE c.oid = a.attcollation), false)
                   FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    let rows = client.query(columns, &[&oid]).await?;
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    // The driver knows domains, enumerations and what extensions bring once it has prepared a statement with them.
    let all: Vec<String> = names.iter().map(|name| quote(name)).collect();
    let probe = if all.is_empty() { "1".to_owned() } else { all.join(", ") };
    let statement = client.prepare(&format!("SELECT {probe} FROM {quoted} WHERE false")).await?;
    let mut described = Described {
        table: Table { name: name.to_owned(), columns: Vec::new(), keys: Vec::new() },
        casts: HashMap::new(),
        filled: Vec::new(),
        refuses: Vec::new(),
        holds: HashMap::new(),
        rules: HashMap::new(),
    };
    for (row, column) in rows.iter().zip(statement.columns()) {
        let (name, cast, filled): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
        described.table.columns.push(TableColumn {
            column: Column { name: name.as_str().into(), ty: value::declared(column.type_(), row.get(5)) },
            required: row.get(3),
            writable: writable && row.get::<_, bool>(4),
            labels: value::labels(column.type_()),
        });
        if filled {
            described.filled.push(name.clone());
            if !is_filled_before {
                described.refuses.push(Filled { name: name.clone(), required: row.get(3) });
            }
        }
        // Whether a collation of somebody's own ignores accents too, no catalogue says.
        let (is_citext, ignore_accents) = (cast.ends_with("citext"), row.get::<_, bool>(6));
        if is_citext || ignore_accents {
            let rules = KeyRules { ignore_case: true, ignore_accents, ..KeyRules::default() };
            described.rules.insert(name.clone(), rules);
        }
        described.holds.insert(name.clone(), value::holds(column.type_(), row.get(5)));
        described.casts.insert(name, cast);
    }
    let keys = "SELECT i.indisprimary, i.indisvalid,
                  (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)
                     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.n <= i.indnkeyatts)
                FROM pg_index i WHERE i.indrelid = $1 AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
                ORDER BY i.indisprimary DESC, i.indexrelid";
    for row in client.query(keys, &[&oid]).await? {
        described.table.keys.push(TableKey { primary: row.get(0), active: row.get(1), columns: row.get(2) });
    }
    Ok(Some(described))
}
