//! Questions of users to a SQLite file, answered in place or on a thread.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use record::query::{Expr, Function, Order, Query};
use record::{Queryable, Value};
use rusqlite::Connection;

use super::{spec, system};

fn questions(file: &Path, table: &str, columns: &[&str]) -> Arc<dyn Queryable> {
    system(file).queryable(spec(table, columns)).unwrap()
}

/// The first column of what a filter lets through, in the order of the second one.
async fn asked(table: &dyn Queryable, filter: Option<Expr>, by: &str) -> Vec<String> {
    let schema = table.schema().await.unwrap();
    let order = vec![Order { by: Expr::column(by), descending: false }];
    let columns = schema.columns().iter().map(|column| column.name.to_string()).collect();
    let query = Query { columns, filter, order, limit: 100, within: Duration::from_secs(5), ..Query::default() };
    let answer = table.query(&query).await.unwrap();
    answer.rows.rows().map(|row| row.at(0).to_string()).collect()
}

#[tokio::test]
async fn a_question_compares_texts_by_their_characters_whatever_the_column_says() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.db");
    Connection::open(&file)
        .unwrap()
        .execute_batch(
            "CREATE TABLE item (no INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, code TEXT COLLATE RTRIM, plain TEXT);
             CREATE INDEX item_name ON item (name);
             INSERT INTO item VALUES (1, 'Ab', 'x', 'a'), (2, 'aB', 'x ', 'B'), (3, 'b', 'y', 'b'), (4, 'B', '', NULL);
             CREATE VIEW shown AS SELECT * FROM item;",
        )
        .unwrap();
    for name in ["item", "shown"] {
        let table = questions(&file, name, &["no", "name", "code", "plain"]);
        let check = async |filter: Option<Expr>, by: &str, expected: &[&str]| {
            assert_eq!(asked(&*table, filter.clone(), by).await, expected, "{name}: {filter:?} by {by}");
        };
        let equal = |column: &str, text: &str| Some(Expr::equal(Expr::column(column), Value::text(text)));
        let call = |function, column: &str, text: &str| {
            Some(Expr::Call(function, vec![Expr::column(column), Expr::Value(Value::text(text))]))
        };
        check(equal("name", "aB"), "no", &["2"]).await;
        check(equal("code", "x"), "no", &["1"]).await;
        check(equal("plain", "B"), "no", &["2"]).await;
        check(None, "name", &["1", "4", "2", "3"]).await;
        check(call(Function::StartsWith, "name", "A"), "no", &["1"]).await;
        check(call(Function::Contains, "name", "B"), "no", &["2", "4"]).await;
        let list = vec![Value::text("b"), Value::text("AB")];
        check(Some(Expr::In(Box::new(Expr::column("name")), list)), "no", &["3"]).await;
        let filled = Expr::Call(Function::Filled, vec![Expr::column("code")]);
        check(Some(Expr::equal(filled, Value::Blank)), "no", &["4"]).await;
    }
}

/// A question that was short the last time is answered in place, and one that meets a writer waits for it elsewhere.
#[tokio::test]
async fn a_short_question_waits_for_a_writer_as_any_other_does() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.db");
    let writer = Connection::open(&file).unwrap();
    writer
        .execute_batch("CREATE TABLE item (no INTEGER PRIMARY KEY, name TEXT); INSERT INTO item VALUES (1, 'a')")
        .unwrap();
    let table = questions(&file, "item", &["name", "no"]);
    for _ in 0..3 {
        assert_eq!(asked(&*table, None, "no").await, ["a"]);
    }
    writer.execute_batch("BEGIN EXCLUSIVE; UPDATE item SET name = 'b'").unwrap();
    let writing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(150));
        writer.execute_batch("COMMIT").unwrap();
    });
    for _ in 0..3 {
        assert_eq!(asked(&*table, None, "no").await, ["b"]);
    }
    writing.join().unwrap();
}

/// A question that turns out to be long is not kept on the thread of whoever asks, and is answered all the same.
#[tokio::test]
async fn a_question_that_turns_long_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.db");
    let writer = Connection::open(&file).unwrap();
    writer.execute_batch("CREATE TABLE item (no INTEGER PRIMARY KEY, name TEXT)").unwrap();
    let table = questions(&file, "item", &["name", "no"]);
    let ends = Expr::Call(Function::EndsWith, vec![Expr::column("name"), Expr::Value(Value::text("99999"))]);
    assert!(asked(&*table, Some(ends.clone()), "no").await.is_empty());
    let rows = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000)
        INSERT INTO item SELECT x, 'name ' || x FROM n";
    writer.execute_batch(rows).unwrap();
    for _ in 0..2 {
        assert_eq!(asked(&*table, Some(ends.clone()), "no").await, ["name 99999"]);
    }
}

/// Where a page begins is found in the index where there is one that can say it, and counted where there is none.
#[tokio::test]
async fn each_page_follows_the_one_before_it_whatever_the_key_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.db");
    let rows = "WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < 11)
        INSERT INTO {} SELECT CASE WHEN x % 4 = 0 THEN {} ELSE substr('aAbB', x % 4 + 1, 1) END, x FROM n";
    let made = Connection::open(&file).unwrap();
    for (table, columns, instead) in [
        ("firm", "(a TEXT NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (a, b))", "''"),
        ("alone", "(a TEXT NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (a, b)) WITHOUT ROWID", "''"),
        ("loose", "(a TEXT COLLATE NOCASE NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (b, a))", "'c'"),
        ("blank", "(a TEXT, b INTEGER, PRIMARY KEY (a, b))", "NULL"),
        ("keyless", "(a TEXT NOT NULL, b INTEGER NOT NULL)", "''"),
    ] {
        made.execute_batch(&format!("CREATE TABLE {table} {columns}")).unwrap();
        made.execute_batch(&rows.replacen("{}", table, 1).replacen("{}", instead, 1)).unwrap();
    }
    made.execute_batch(
        "CREATE TABLE numbered (a TEXT, b INTEGER PRIMARY KEY);
         INSERT INTO numbered SELECT a, rowid * 3 FROM keyless; CREATE VIEW shown AS SELECT * FROM firm",
    )
    .unwrap();
    let page = async |table: &dyn Queryable, order: &[(&str, bool)], skip, limit| -> Vec<String> {
        let order = order.iter().map(|(by, descending)| Order { by: Expr::column(*by), descending: *descending });
        let (columns, within) = (vec!["a".into(), "b".into()], Duration::from_secs(5));
        let query = Query { columns, order: order.collect(), skip, limit, within, ..Query::default() };
        let answer = table.query(&query).await.unwrap();
        answer.rows.rows().map(|row| format!("{} {}", row.at(0), row.at(1))).collect()
    };
    for name in ["firm", "alone", "loose", "blank", "keyless", "numbered", "shown"] {
        let table = questions(&file, name, &["a", "b"]);
        for order in [
            vec![("a", false), ("b", false)],
            vec![("a", true), ("b", true)],
            vec![("a", true), ("b", false)],
            vec![("b", false)],
            vec![("a", false)],
        ] {
            // Rows that are alike in all that they are ordered by come in any order, and in the same one as long as
            // nobody asks in another way: those are only counted.
            let total = order != [("a", false)];
            let all = page(&*table, &order, 0, 100).await;
            assert_eq!(all.len(), 12);
            for skip in 0..=13 {
                let (found, rest) = (page(&*table, &order, skip, 4).await, &all[all.len().min(skip as usize)..]);
                assert_eq!(found.len(), rest.len().min(4), "{name} by {order:?} from {skip}");
                assert!(!total || found == rest[..found.len()], "{name} by {order:?} from {skip}: {found:?}, {all:?}");
            }
        }
    }
}
