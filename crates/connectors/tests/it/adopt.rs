//! Rows that a database had before the hub: found by other columns, and given their key.

use std::sync::Arc;

use mysql_async::prelude::Queryable;
use record::{Change, Effected, Key, Op, OptionValue, Options, Row, Schema, System, Type, Value, WriteSpec};

use crate::conformance::{mysql_client, mysql_database, postgres_client, postgres_database};

const ROWS: &str =
    "INSERT INTO t (name, town) VALUES ('Acme', 'York'), ('Acme', 'Leeds'), ('Beta', 'York'), ('Beta', 'York')";

fn open(kind: &str, option: &str, value: &str) -> Arc<dyn System> {
    let options = Options([(option.to_owned(), OptionValue::Text(value.to_owned()))].into());
    (connectors::registry::find(kind).unwrap().open)("crm", options).unwrap()
}

async fn adopts(system: Arc<dyn System>) {
    let sink = system
        .sink(WriteSpec {
            table: "t".into(),
            key: vec!["no".into()],
            columns: Vec::new(),
            time_zone: None,
            fields: Vec::new(),
            lines: Vec::new(),
            options: Options::default(),
        })
        .unwrap();
    let by = ["name".to_owned(), "town".to_owned()];
    let values = [["Acme", "Leeds"], ["Beta", "York"], ["Gamma", "York"]].map(|pair| pair.map(Value::text).to_vec());
    let found = sink.find(&by, &values, &["no".to_owned()]).await.unwrap();
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 0]);
    assert!(found[0][0].columns.get("no").unwrap().is_blank());
    let key = Key::of(&[Value::text("N-7")]).unwrap();
    let adopt = Change {
        op: Op::Adopt,
        key: key.clone(),
        columns: Row::new(Schema::of([("name", Type::Unknown)]), vec![Value::text("ACME")]),
        remote_id: found[0][0].remote_id.clone(),
        if_version: None,
    };
    let outcomes = sink.apply(&[adopt]).await.unwrap();
    assert_eq!(outcomes[0].as_ref().unwrap().effect, Effected::Updated);
    let names = ["name".to_owned(), "town".to_owned()];
    let current = sink.current(&[key], &names).await.unwrap().remove(0).unwrap();
    assert_eq!(current.columns.into_values(), ["ACME", "Leeds"].map(Value::text), "no row was made, and none is lost");
    assert_eq!(sink.find(&names, &values[..1], &[]).await.unwrap()[0].len(), usize::from(matches_any_case(&system)));
}

/// Whether `Acme` finds `ACME` in this database.
fn matches_any_case(system: &Arc<dyn System>) -> bool {
    let spec = WriteSpec {
        table: "t".into(),
        key: vec!["no".into()],
        columns: Vec::new(),
        time_zone: None,
        fields: Vec::new(),
        lines: Vec::new(),
        options: Options::default(),
    };
    system.sink(spec).unwrap().key_rules().ignore_case
}

#[tokio::test]
async fn postgres() {
    let Some(url) = postgres_database("adopt").await else { return };
    let make =
        "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, no text UNIQUE, name text, town text)";
    let client = postgres_client(&url).await;
    client.batch_execute(&format!("{make}; {ROWS}")).await.unwrap();
    adopts(open("postgres", "url", &url)).await;
}

#[tokio::test]
async fn mysql() {
    let Some(url) = mysql_database("adopt").await else { return };
    let mut client = mysql_client(&url).await;
    let make =
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, no VARCHAR(20) UNIQUE, name VARCHAR(40), town VARCHAR(40))";
    client.query_drop(make).await.unwrap();
    client.query_drop(ROWS).await.unwrap();
    adopts(open("mysql", "url", &url)).await;
}

#[tokio::test]
async fn sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("adopt.db");
    let make = "CREATE TABLE t (id INTEGER PRIMARY KEY, no TEXT UNIQUE, name TEXT, town TEXT)";
    rusqlite::Connection::open(&file).unwrap().execute_batch(&format!("{make}; {ROWS}")).unwrap();
    adopts(open("sqlite", "file", file.to_str().unwrap())).await;
}
