//! Tables, columns and keys, from SQL Server's own catalogue views.

use record::catalog::TableKey;
use record::{Health, KeyRules, Type};

use super::dialect::{SqlServer, base};
use super::text;
use crate::sql::engine::{Cell, Described, Dialect, Letters, Rows, Session, SqlColumn};
use crate::sql::failure::{Failure, Words};
use crate::sql::rules::Known;

/// Version, edition, user, and how many tables and views the user may read.
pub(super) const WHO: &str =
    "SELECT CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')), CONVERT(nvarchar(128), SERVERPROPERTY('Edition')),
       CONVERT(nvarchar(128), SUSER_SNAME()),
       (SELECT COUNT(*) FROM sys.objects o WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0 AND HAS_PERMS_BY_NAME(
          QUOTENAME(SCHEMA_NAME(o.schema_id)) + '.' + QUOTENAME(o.name), 'OBJECT', 'SELECT') = 1)";

const KIND_OF: &str =
    "SELECT RTRIM(o.type) FROM sys.objects o WHERE o.object_id = OBJECT_ID(@P1) AND o.type IN ('U', 'V')";

const COLUMNS: &str =
    "SELECT c.name, TYPE_NAME(c.system_type_id), CONVERT(int, c.max_length), CONVERT(int, c.precision),
       CONVERT(int, c.scale), c.is_nullable, c.is_identity,
       CONVERT(bit, CASE WHEN c.is_computed = 1 OR c.generated_always_type <> 0 THEN 1 ELSE 0 END),
       CONVERT(bit, CASE WHEN c.default_object_id <> 0 THEN 1 ELSE 0 END), c.collation_name
     FROM sys.columns c WHERE c.object_id = OBJECT_ID(@P1) ORDER BY c.column_id";

const KEYS: &str = "SELECT i.index_id, c.name, i.is_primary_key FROM sys.indexes i
     JOIN sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.is_included_column = 0
     JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id
     WHERE i.object_id = OBJECT_ID(@P1) AND i.is_unique = 1 AND i.has_filter = 0 AND i.is_disabled = 0
     ORDER BY i.is_primary_key DESC, i.index_id, k.key_ordinal";

/// The columns of a statement that is not run, or why there are none.
pub(super) const ANSWER: &str = "SELECT name, system_type_name, is_nullable, error_number, error_message
     FROM sys.dm_exec_describe_first_result_set(@P1, NULL, 0) ORDER BY column_ordinal";

pub(super) fn health(row: &[Cell], words: &Words<'_>) -> Health {
    let at = |at: usize| row.get(at).map(text).unwrap_or_default();
    let mut missing = Vec::new();
    if row.get(3) == Some(&Cell::Int(0)) {
        missing.push(format!(
            "`{}` may read no table of `{}`; as an administrator: GRANT SELECT ON SCHEMA::dbo TO {}",
            words.user, words.database, words.grantee
        ));
    }
    Health {
        version: format!("SQL Server {} {}", at(0), at(1)).trim_end().to_owned(),
        user: Some(at(2)),
        missing,
        ..Health::default()
    }
}

/// A table or view, or `None` where there is none of this name that the user can see. What its columns compare as one is
/// put down in `known`.
pub(super) async fn table(session: &mut dyn Session, name: &str, known: &Known) -> Result<Option<Described>, Failure> {
    let bound = [Cell::Text(SqlServer.table(name))];
    let found = session.rows(KIND_OF, &bound).await?;
    let Some(found) = found.first() else { return Ok(None) };
    let is_table = text(&found[0]) == "U";
    let mut columns = Vec::new();
    for row in session.rows(COLUMNS, &bound).await? {
        let column = listed(&row, is_table);
        let rules = if row[9] == Cell::Null { KeyRules::default() } else { rules(&text(&row[9])) };
        known.put(name, &column.name, rules);
        columns.push(column);
    }
    let keys = keys_of(session.rows(KEYS, &bound).await?);
    Ok(Some(Described::new(name, columns, keys)))
}

fn listed(row: &[Cell], writable: bool) -> SqlColumn {
    let yes = |at: usize| row[at] == Cell::Int(1);
    let number = |at: usize| match row[at] {
        Cell::Int(number) => number,
        _ => 0,
    };
    let declared = declared(&text(&row[1]), number(2), number(3), number(4));
    let (nullable, identity, generated, has_default) = (yes(5), yes(6), yes(7), yes(8));
    let counts = base(&declared) == "timestamp";
    SqlColumn {
        required: !nullable && !identity && !generated && !has_default && !counts,
        writable: writable && !identity && !generated && !counts,
        counted: identity,
        ..column(&text(&row[0]), &declared, !nullable)
    }
}

/// A type as a cast names it, from its parts in the catalogue.
fn declared(name: &str, bytes: i64, precision: i64, scale: i64) -> String {
    let length = |characters: i64| if bytes < 0 { "max".to_owned() } else { (bytes / characters).to_string() };
    match name {
        "varchar" | "char" | "varbinary" | "binary" => format!("{name}({})", length(1)),
        "nvarchar" | "nchar" => format!("{name}({})", length(2)),
        "decimal" | "numeric" => format!("{name}({precision},{scale})"),
        "datetime2" | "datetimeoffset" | "time" => format!("{name}({scale})"),
        _ => name.to_owned(),
    }
}

/// A column from its name and its declared type.
pub(super) fn column(name: &str, declared: &str, filled: bool) -> SqlColumn {
    let inner = declared.split_once('(').map(|(_, rest)| rest.trim_end_matches(')'));
    let digits = |part: usize| inner.and_then(|inner| inner.split(',').nth(part)).and_then(|n| n.trim().parse().ok());
    let ty = match base(declared) {
        "bit" => Type::YesNo,
        "tinyint" | "smallint" | "int" | "bigint" | "timestamp" | "rowversion" => Type::WholeNumber,
        "decimal" | "numeric" => Type::Decimal { scale: Some(digits(1).unwrap_or(0)) },
        "money" | "smallmoney" => Type::Money,
        "float" | "real" => Type::Decimal { scale: None },
        "date" => Type::Date,
        "time" => Type::Time,
        "datetime" | "datetime2" | "smalldatetime" => Type::LocalDateTime,
        "datetimeoffset" => Type::DateTime,
        "uniqueidentifier" => Type::Guid,
        "binary" | "varbinary" | "image" => Type::Bytes,
        "varchar" | "char" | "nvarchar" | "nchar" => Type::Text { max_length: digits(0) },
        "text" | "ntext" | "xml" | "sysname" | "sql_variant" | "json" => Type::Text { max_length: None },
        _ => Type::Unknown,
    };
    let fraction = match base(declared) {
        "datetime" => 3,
        "datetime2" | "datetimeoffset" | "time" => digits(0).unwrap_or(7),
        _ => 0,
    };
    SqlColumn {
        name: name.to_owned(),
        ty,
        declared: declared.to_owned(),
        filled,
        fraction,
        required: false,
        writable: false,
        counted: false,
        // Spaces at the end never count here.
        by_characters: false,
        letters: Letters::All,
        is_short_float: base(declared) == "real",
        labels: Vec::new(),
    }
}

fn keys_of(rows: Rows) -> Vec<TableKey> {
    let mut keys: Vec<(Cell, TableKey)> = Vec::new();
    for row in rows {
        let name = text(&row[1]);
        match keys.last_mut() {
            Some((last, key)) if *last == row[0] => key.columns.push(name),
            _ => {
                let key = TableKey { columns: vec![name], primary: row[2] == Cell::Int(1), active: true };
                keys.push((row[0].clone(), key));
            }
        }
    }
    keys.into_iter().map(|(_, key)| key).collect()
}

/// How a collation compares keys. Spaces at the end never count in SQL Server.
fn rules(collation: &str) -> KeyRules {
    let (ignore_case, ignore_accents) = (collation.contains("_CI"), collation.contains("_AI"));
    KeyRules { ignore_case, ignore_trailing_spaces: true, ignore_accents, ..KeyRules::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn a_column_of_the_catalogue_has_its_type_and_its_rules() {
        let check = |name: &str, numbers: [i64; 3], expected: &str, ty: Type| {
            let [bytes, precision, scale] = numbers.map(Cell::Int);
            let no = || Cell::Int(0);
            let row = [text("c"), text(name), bytes, precision, scale, no(), no(), no(), no(), Cell::Null];
            let column = listed(&row, true);
            assert_eq!((column.declared.as_str(), &column.ty), (expected, &ty));
            assert_eq!(column.required, name != "timestamp", "{name}: filled, and without a default");
        };
        check("nvarchar", [320, 0, 0], "nvarchar(160)", Type::Text { max_length: Some(160) });
        check("nvarchar", [-1, 0, 0], "nvarchar(max)", Type::Text { max_length: None });
        check("varchar", [20, 0, 0], "varchar(20)", Type::Text { max_length: Some(20) });
        check("decimal", [9, 14, 2], "decimal(14,2)", Type::Decimal { scale: Some(2) });
        check("money", [8, 19, 4], "money", Type::Money);
        check("datetime2", [8, 27, 7], "datetime2(7)", Type::LocalDateTime);
        check("datetimeoffset", [10, 34, 3], "datetimeoffset(3)", Type::DateTime);
        check("bit", [1, 1, 0], "bit", Type::YesNo);
        check("timestamp", [8, 0, 0], "timestamp", Type::WholeNumber);
        check("varbinary", [-1, 0, 0], "varbinary(max)", Type::Bytes);
        check("geography", [-1, 0, 0], "geography", Type::Unknown);
    }

    #[test]
    fn what_the_database_makes_is_not_written() {
        let row = |identity, generated| {
            let no = || Cell::Int(0);
            [
                text("id"),
                text("int"),
                Cell::Int(4),
                Cell::Int(10),
                no(),
                no(),
                Cell::Int(identity),
                Cell::Int(generated),
                no(),
                Cell::Null,
            ]
        };
        assert!(listed(&row(0, 0), true).writable && listed(&row(0, 0), true).required);
        assert!(!listed(&row(1, 0), true).writable && listed(&row(1, 0), true).counted);
        assert!(!listed(&row(0, 1), true).writable && !listed(&row(0, 1), true).required);
        assert!(!listed(&row(0, 0), false).writable, "a view");
    }

    #[test]
    fn keys_are_gathered_in_their_order() {
        let row = |index: i64, column: &str, primary: i64| vec![Cell::Int(index), text(column), Cell::Int(primary)];
        let keys = keys_of(vec![row(1, "company", 1), row(1, "no", 1), row(3, "vat", 0)]);
        assert_eq!(keys[0], TableKey { columns: vec!["company".into(), "no".into()], primary: true, active: true });
        assert_eq!(keys[1], TableKey { columns: vec!["vat".into()], primary: false, active: true });
        assert!(rules("SQL_Latin1_General_CP1_CI_AS").ignore_case && !rules("Latin1_General_BIN2").ignore_case);
    }
}
