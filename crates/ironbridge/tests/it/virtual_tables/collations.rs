//! Keys that a database orders otherwise than their characters: every row comes once, whatever the size of a page.

use super::servers;
use super::stock::{Served, keys};

/// In the collations of servers some of these are one letter, some are two, and spaces at the end are none.
const ROWS: [(&str, &str); 12] = [
    ("b", "x"),
    ("B ", "y"),
    ("ä", "x"),
    ("A", "y"),
    ("a", "Z"),
    ("Z", "x"),
    ("z", "w"),
    ("ß", "x"),
    ("ss", "y"),
    ("é|", "x"),
    ("É|", "y"),
    ("-1", "x"),
];

#[test]
fn every_row_comes_once_in_pages_of_any_size() {
    for kind in ["postgres", "mysql"] {
        let dir = tempfile::tempdir().unwrap();
        let Some(url) = servers::table(kind, "virtual_collations", &ROWS) else { continue };
        let served = Served::on_server(dir, kind, &url);
        let mut expected: Vec<(String, String)> =
            ROWS.iter().map(|(sku, warehouse)| ((*sku).to_owned(), (*warehouse).to_owned())).collect();
        expected.sort();
        for order in ["", "&$orderby=sku", "&$orderby=warehouse%20desc"] {
            for size in [1, 2, 5] {
                let mut path = format!("/odata/warehouse/stock?$select=sku,warehouse{order}");
                let mut found = Vec::new();
                for _ in 0..20 {
                    let answer = served.send("GET", &path, &format!("Prefer: odata.maxpagesize={size}\r\n"), "");
                    assert_eq!(answer.status, 200, "{kind}: {path}: {}", answer.body);
                    let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
                    found.extend(keys(&json));
                    match json["@odata.nextLink"].as_str() {
                        Some(next) => path = next.split_once(&served.address).unwrap().1.to_owned(),
                        None => break,
                    }
                }
                found.sort();
                assert_eq!(found, expected, "{kind}: pages of {size} {order}");
            }
        }
    }
}

/// Columns of PostgreSQL in whose own collation capitals are small letters: it has no `strpos` for them, and more is equal.
#[test]
fn a_collation_that_knows_no_capitals_is_not_asked() {
    let mut statements = servers::tables("postgres");
    statements
        .push("CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)".to_owned());
    for column in ["sku", "note"] {
        statements.push(format!("ALTER TABLE stock ALTER {column} TYPE text COLLATE loose"));
    }
    for (sku, note) in [("a", "'Ab'"), ("b", "'ab'"), ("C", "'AB'"), ("d", "''"), ("e", "NULL")] {
        statements.push(format!("INSERT INTO stock (sku, warehouse, note, class) VALUES ('{sku}', 'x', {note}, 'F')"));
    }
    let Some(url) = servers::run("postgres", "virtual_loose", "", &statements) else { return };
    for stock in ["table: stock", "query: SELECT * FROM stock"] {
        knows_no_capitals(&Served::from(tempfile::tempdir().unwrap(), "postgres", &url, stock), stock);
    }
}

fn knows_no_capitals(served: &Served, stock: &str) {
    let found = |options: &[(&str, &str)]| {
        let all = [options, &[("$select", "sku,warehouse,note")]].concat();
        let rows = keys(&served.json(&format!("/odata/warehouse/stock?{}", super::stock::query(&all))));
        rows.into_iter().map(|(sku, _)| sku).collect::<String>()
    };
    for (filter, expected) in [
        ("note eq 'ab'", "b"),
        ("note ne 'ab'", "aCde"),
        ("note in ('ab','AB')", "bC"),
        ("not (note in ('ab','AB'))", "ade"),
        ("note gt 'AB'", "ab"),
        ("note eq null", "de"),
        ("contains(note,'b')", "ab"),
        ("startswith(note,'A')", "aC"),
        ("endswith(note,'B')", "C"),
        ("tolower(note) eq 'ab'", "abC"),
        ("sku eq 'A'", ""),
        ("sku eq 'a'", "a"),
    ] {
        let mut skus: Vec<char> = found(&[("$filter", filter)]).chars().collect();
        skus.sort_by_key(char::to_ascii_lowercase);
        assert_eq!(skus.into_iter().collect::<String>(), expected, "{stock}: {filter}");
    }
    assert_eq!(found(&[("$orderby", "note,sku")]), "deCab", "{stock}");
}

/// Two columns of one table that compare by different rules, and texts in letters that a column does not have: the server has
/// no answer of its own to either, and is well all the same.
#[test]
fn columns_of_several_collations_and_letters_that_one_does_not_have_are_questions_like_any_other() {
    for kind in ["postgres", "mysql"] {
        let mut statements = servers::tables(kind);
        for (column, of_postgres, of_mysql) in [
            ("sku", "varchar(10) COLLATE \"en-x-icu\"", "VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
            ("warehouse", "text COLLATE \"de-x-icu\"", "VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_german1_ci"),
            ("note", "text COLLATE \"C\"", "TEXT CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci"),
        ] {
            statements.push(match kind {
                "postgres" => format!("ALTER TABLE stock ALTER {column} TYPE {of_postgres}"),
                _ => format!(
                    "ALTER TABLE stock MODIFY {column} {of_mysql} {}",
                    if column == "note" { "" } else { "NOT NULL" }
                ),
            });
        }
        for (sku, warehouse, note) in [("a", "Köln", "Köln"), ("B", "é", "B"), ("c", "x", "cab"), ("d", "d", "D")] {
            statements.push(format!(
                "INSERT INTO stock (sku, warehouse, note, class) VALUES ('{sku}', '{warehouse}', '{note}', 'F')"
            ));
        }
        let Some(url) = servers::run(kind, "virtual_mixed", "", &statements) else { continue };
        let served = Served::on_server(tempfile::tempdir().unwrap(), kind, &url);
        for (filter, expected) in [
            ("warehouse eq note", "a"),
            ("sku eq warehouse", "d"),
            ("sku gt note", "ad"),
            ("warehouse gt note", "Bcd"),
            ("contains(note,sku)", "Bc"),
            ("startswith(note,sku)", "Bc"),
            ("endswith(warehouse,note)", "a"),
            ("indexof(note,sku) eq 0", "Bc"),
            ("concat(sku,note) eq 'aKöln'", "a"),
            ("concat(sku,warehouse) eq concat(sku,note)", "a"),
            ("toupper(concat(warehouse,note)) eq 'KÖLNKÖLN'", "a"),
            ("contains(concat(sku,note),warehouse)", "ad"),
            ("concat(warehouse,'東') eq 'x東'", "c"),
            ("toupper(note) eq 'KÖLN'", "a"),
            ("tolower(toupper(note)) eq 'köln'", "a"),
            ("year(null) eq null and contains(note,null) eq null", "aBcd"),
            ("not contains(note,null)", ""),
            ("warehouse eq '東京'", ""),
            ("warehouse in ('東京','x')", "c"),
            ("note eq '😀'", ""),
            ("note ne '😀'", "aBcd"),
            ("warehouse eq 'KÖLN'", ""),
        ] {
            let options =
                super::stock::query(&[("$filter", filter), ("$select", "sku,warehouse"), ("$orderby", "due")]);
            let answer = served.send("GET", &format!("/odata/warehouse/stock?{options}"), "", "");
            assert_eq!(answer.status, 200, "{kind}: {filter}: {}", answer.body);
            let mut found: Vec<_> =
                keys(&serde_json::from_str(&answer.body).unwrap()).into_iter().map(|(sku, _)| sku).collect();
            found.sort_by_key(|sku| sku.to_lowercase());
            assert_eq!(found.concat(), expected, "{kind}: {filter}");
        }
        // By the hash of both columns, which nobody has seen before.
        let key = record::Key::of(&["a".into(), "Köln".into()]).unwrap();
        let path = format!("/odata/warehouse/stock({})?$select=sku,warehouse", record::guid::hashed(&key));
        let fresh = Served::on_server(tempfile::tempdir().unwrap(), kind, &url);
        assert_eq!(fresh.json(&path)["warehouse"], "Köln", "{kind}");
    }
}
