//! Tables, columns and keys, from the information schema.

use record::catalog::TableKey;
use record::{Health, KeyRules, Type};

use super::query;
use super::session::Connection;
use crate::sql::engine::{Cell, Described, Letters, Rows, Session, SqlColumn};
use crate::sql::failure::{Failure, Words};
use crate::sql::filled::Filled;
use crate::sql::rules::Known;

/// Version, user, and how many tables of the database the user may see.
pub(super) const WHO: &str = "SELECT VERSION(), CURRENT_USER(),
    (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE())";

pub(super) fn health(who: &[Cell], words: &Words<'_>) -> Health {
    let at = |at: usize| who.get(at).map(text).unwrap_or_default();
    let (version, user) = (at(0), at(1));
    let mut missing = Vec::new();
    if who.get(2) == Some(&Cell::Int(0)) {
        missing.push(format!(
            "`{user}` may read no table of `{}`; as an administrator: GRANT SELECT ON {}.* TO {}",
            words.database, words.database, words.grantee
        ));
    }
    Health { version: product(&version), user: Some(user), missing, ..Health::default() }
}

/// `MariaDB 10.11.19` for `10.11.19-MariaDB-0+deb12u1`, and `MySQL 8.0.36` for `8.0.36-0ubuntu0.22.04.1`.
fn product(version: &str) -> String {
    let number = version.split('-').next().unwrap_or(version);
    if version.contains("MariaDB") { format!("MariaDB {number}") } else { format!("MySQL {number}") }
}

/// A table or view, or `None` where there is none of this name that the user can see. What its columns
/// compare as one is put down in `known`.
pub(super) async fn table(session: &mut Connection, name: &str, known: &Known) -> Result<Option<Described>, Failure> {
    let (schema, table) = match name.split_once('.') {
        Some((schema, table)) => (Cell::Text(schema.to_owned()), table),
        None => (Cell::Null, name),
    };
    let bound = [schema, Cell::Text(table.to_owned())];
    let of = "table_schema = COALESCE(?, DATABASE()) AND table_name = ?";
    let found = format!("SELECT table_type, table_schema, table_name FROM information_schema.tables WHERE {of}");
    let found = session.rows(&found, &bound).await?;
    let Some(found) = found.first() else { return Ok(None) };
    let is_table = text(&found[0]) == "BASE TABLE";
    let writable = is_table || {
        let views = format!("SELECT is_updatable FROM information_schema.views WHERE {of}");
        session.rows(&views, &bound).await?.first().is_some_and(|row| text(&row[0]) == "YES")
    };
    let columns = format!(
        "SELECT column_name, data_type, column_type, character_maximum_length, numeric_scale, datetime_precision,
           is_nullable, column_default IS NOT NULL, extra, collation_name
         FROM information_schema.columns WHERE {of} ORDER BY ordinal_position"
    );
    let mut described = Vec::new();
    for row in session.rows(&columns, &bound).await? {
        let column = column(&row, writable);
        let exact = KeyRules::default();
        known.put(name, &column.name, if row[9] == Cell::Null { exact } else { rules(&text(&row[9])) });
        described.push(column);
    }
    let keys = format!(
        "SELECT index_name, column_name, sub_part IS NOT NULL FROM information_schema.statistics
         WHERE {of} AND non_unique = 0 ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index"
    );
    let keys = keys_of(session.rows(&keys, &bound).await?);
    let mut described = Described::new(name, described, keys);
    let before = "SELECT COUNT(*) FROM information_schema.triggers
                  WHERE event_object_schema = COALESCE(?, DATABASE()) AND event_object_table = ? AND action_timing = 'BEFORE'";
    if session.rows(before, &bound).await? != [[Cell::Int(0)]] {
        // What runs before a row is written may fill its columns.
        described.filled.clear();
    }
    // A server may give a time the time of the row, and gives an enumeration its first label.
    let declared =
        |of: &Described, name: &str| of.column(name).map(|column| column.declared.clone()).unwrap_or_default();
    let filled = std::mem::take(&mut described.filled).into_iter();
    let filled = filled.map(|column| (declared(&described, &column.name), column)).filter(|(is, _)| is != "timestamp");
    described.filled =
        filled.map(|(is, column)| Filled { required: column.required && is != "enum", ..column }).collect();
    Ok(Some(described))
}

/// Unique indexes; one over a part of a text, or over an expression, is unique in another way.
fn keys_of(rows: Rows) -> Vec<TableKey> {
    let mut keys: Vec<(String, Option<TableKey>)> = Vec::new();
    for row in rows {
        let name = text(&row[0]);
        if keys.last().is_none_or(|(last, _)| *last != name) {
            let key = TableKey { columns: Vec::new(), primary: name == "PRIMARY", active: true };
            keys.push((name, Some(key)));
        }
        let (_, key) = keys.last_mut().expect("a key was just put there");
        match (&row[1], &row[2]) {
            (Cell::Text(column), Cell::Int(0)) => {
                if let Some(key) = key {
                    key.columns.push(column.clone());
                }
            }
            _ => *key = None,
        }
    }
    keys.into_iter().filter_map(|(_, key)| key).collect()
}

fn column(row: &[Cell], writable: bool) -> SqlColumn {
    let (data_type, column_type, extra) = (text(&row[1]), text(&row[2]), text(&row[8]).to_lowercase());
    let filled = text(&row[6]) == "NO";
    let counted = extra.contains("auto_increment");
    let generated = extra.contains("virtual generated") || extra.contains("stored generated");
    let has_default = row[7] == Cell::Int(1) || counted || generated;
    SqlColumn {
        name: text(&row[0]),
        ty: declared(&data_type, &column_type, number(&row[3]), number(&row[4])),
        is_short_float: data_type == "float",
        labels: labels(&column_type),
        declared: data_type,
        filled,
        fraction: number(&row[5]).unwrap_or(0),
        required: filled && !has_default,
        writable: writable && !generated,
        counted,
        by_characters: query::COLLATIONS.contains(&text(&row[9]).as_str()),
        letters: match &row[9] {
            Cell::Text(collation) if !collation.starts_with("utf8mb4_") => Letters::Of(collation.clone()),
            _ => Letters::All,
        },
    }
}

/// What a declared type means.
fn declared(data_type: &str, column_type: &str, length: Option<u32>, scale: Option<u32>) -> Type {
    match data_type {
        "tinyint" if column_type.starts_with("tinyint(1)") => Type::YesNo,
        "bit" if column_type == "bit(1)" => Type::YesNo,
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" | "bit" => Type::WholeNumber,
        "decimal" => Type::Decimal { scale },
        "float" | "double" => Type::Decimal { scale: None },
        "date" => Type::Date,
        "time" => Type::Time,
        "datetime" => Type::LocalDateTime,
        "timestamp" => Type::DateTime,
        "uuid" => Type::Guid,
        "char" | "varchar" => Type::Text { max_length: length },
        "tinytext" | "text" | "mediumtext" | "longtext" | "json" | "enum" | "set" | "inet4" | "inet6" => {
            Type::Text { max_length: None }
        }
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Type::Bytes,
        _ => Type::Unknown,
    }
}

/// The labels of `enum('a','b')` or `set('a','b')`: a quote in one is written twice, and a backslash stands before what cannot be seen.
fn labels(column_type: &str) -> Vec<String> {
    let list = column_type.strip_prefix("enum(").or_else(|| column_type.strip_prefix("set("));
    let Some(list) = list else { return Vec::new() };
    let (mut labels, mut label) = (Vec::new(), String::new());
    let (mut inside, mut signs) = (false, list.chars().peekable());
    while let Some(sign) = signs.next() {
        match sign {
            '\'' if !inside => inside = true,
            '\'' if signs.next_if_eq(&'\'').is_some() => label.push('\''),
            '\'' => {
                inside = false;
                labels.push(std::mem::take(&mut label));
            }
            '\\' if inside => label.extend(signs.next().map(|sign| match sign {
                '0' => '\0',
                'n' => '\n',
                'r' => '\r',
                other => other,
            })),
            sign if inside => label.push(sign),
            _ => {}
        }
    }
    labels
}

/// How a collation compares keys.
fn rules(collation: &str) -> KeyRules {
    let exact = collation.ends_with("_bin") || collation == "binary";
    let no_pad = collation.contains("nopad") || collation.contains("0900") || collation == "binary";
    // Those of one language may take a letter with an accent for one of its own.
    let of_all = (collation.contains("_general_") || collation.contains("_unicode_")) && collation.ends_with("_ci");
    KeyRules {
        ignore_case: !exact && !collation.contains("_cs"),
        ignore_trailing_spaces: !no_pad,
        ignore_accents: collation.contains("_ai") || of_all && !collation.starts_with("latin1"),
        ..KeyRules::default()
    }
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        // Some servers keep their own tables as bytes.
        Cell::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    }
}

fn number(cell: &Cell) -> Option<u32> {
    match cell {
        Cell::Int(number) => u32::try_from(*number).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collation_says_which_keys_are_one() {
        let check = |collation: &str, ignore_case, ignore_trailing_spaces, ignore_accents| {
            let expected = KeyRules { ignore_case, ignore_trailing_spaces, ignore_accents, as_kept: false };
            assert_eq!(rules(collation), expected, "{collation}");
        };
        check("utf8mb4_general_ci", true, true, true);
        check("utf8mb4_unicode_520_ci", true, true, true);
        check("utf8mb4_uca1400_ai_ci", true, true, true);
        check("utf8mb4_uca1400_as_ci", true, true, false);
        check("utf8mb4_bin", false, true, false);
        check("utf8mb4_0900_ai_ci", true, false, true);
        check("utf8mb4_0900_as_cs", false, false, false);
        check("utf8mb4_general_nopad_ci", true, false, true);
        check("utf8mb4_swedish_ci", true, true, false);
        check("latin1_general_cs", false, true, false);
    }

    #[test]
    fn a_declared_type_has_its_meaning() {
        let check = |data_type: &str, column_type: &str, expected: Type| {
            assert_eq!(declared(data_type, column_type, Some(40), Some(2)), expected, "{column_type}");
        };
        check("tinyint", "tinyint(1)", Type::YesNo);
        check("tinyint", "tinyint(4)", Type::WholeNumber);
        check("bigint", "bigint(20) unsigned", Type::WholeNumber);
        check("bit", "bit(1)", Type::YesNo);
        check("decimal", "decimal(12,2)", Type::Decimal { scale: Some(2) });
        check("varchar", "varchar(40)", Type::Text { max_length: Some(40) });
        check("enum", "enum('a','b')", Type::Text { max_length: None });
        assert_eq!(labels(r"enum('30','it''s, (so)','a\\b','','Zoë')"), ["30", "it's, (so)", r"a\b", "", "Zoë"]);
        assert_eq!(labels("set('a','b')"), ["a", "b"]);
        assert!(labels("varchar(20)").is_empty());
        check("datetime", "datetime(6)", Type::LocalDateTime);
        check("timestamp", "timestamp", Type::DateTime);
        check("uuid", "uuid", Type::Guid);
        check("geometry", "geometry", Type::Unknown);
        assert_eq!(product("10.11.19-MariaDB-0+deb12u1"), "MariaDB 10.11.19");
        assert_eq!(product("8.0.36-0ubuntu0.22.04.1"), "MySQL 8.0.36");
    }
}
