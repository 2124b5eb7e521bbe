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
