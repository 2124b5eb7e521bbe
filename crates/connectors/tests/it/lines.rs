//! Lines that point to the number that the database has given their document.

use record::{
    Change, Effected, Fault, Key, Op, OptionValue, Options, Row, Schema, System, Type, Value, WriteLines, WriteSpec,
};

use crate::conformance::{mysql_client, mysql_database, postgres_client, postgres_database};
use mysql_async::prelude::Queryable;

const ORDERS: &str = "CREATE TABLE orders (id ID, order_no VARCHAR(20) NOT NULL UNIQUE, state CHAR(1))";
const LINES: &str =
    "CREATE TABLE order_lines (id ID, order_id INT NOT NULL REFERENCES orders (id), pos INT, sku VARCHAR(10))";

fn open(kind: &str, option: &str, value: &str) -> std::sync::Arc<dyn System> {
    let options = Options([(option.to_owned(), OptionValue::Text(value.to_owned()))].into());
    (connectors::registry::find(kind).unwrap().open)("tested", options).unwrap()
}

fn spec() -> WriteSpec {
    let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    WriteSpec {
        table: "orders".into(),
        key: columns(&["order_no"]),
        columns: columns(&["order_no", "state", "order_lines"]),
        time_zone: None,
        fields: Vec::new(),
        lines: vec![WriteLines {
            table: "order_lines".into(),
            parent: "order_id".into(),
            key: "pos".into(),
            columns: columns(&["pos", "sku"]),
        }],
        options: Options::default(),
    }
}

fn order(number: &str, lines: &[(i64, &str)]) -> Change {
    let schema = Schema::of([("pos", Type::WholeNumber), ("sku", Type::Unknown)]);
    let row = |(pos, sku): &(i64, &str)| Row::new(schema.clone(), vec![Value::Int(*pos), Value::text(*sku)]);
    let lines = Value::Rows(lines.iter().map(row).collect());
    let columns = Schema::of([("state", Type::Unknown), ("order_lines", Type::Unknown)]);
    Change {
        op: Op::Upsert,
        key: Key::of(&[Value::text(number)]).unwrap(),
        columns: Row::new(columns, vec!["D".into(), lines]),
        remote_id: None,
        if_version: None,
    }
}

/// `all` is every line as `SO-1 1 P-1`, and how many there are without a number.
async fn follows_the_id(system: &dyn System, all: impl AsyncFn() -> Vec<String>) {
    let sink = system.sink(spec()).unwrap();
    let apply = async |changes: &[Change]| {
        let outcomes = sink.apply(changes).await.unwrap();
        outcomes.into_iter().map(|outcome| outcome.map(|written| written.effect)).collect::<Vec<_>>()
    };
    let made = apply(&[order("SO-1", &[(1, "P-1"), (2, "P-2")]), order("SO-2", &[(1, "P-9")])]).await;
    assert_eq!(made, [Ok(Effected::Created), Ok(Effected::Created)]);
    assert_eq!(all().await, ["SO-1 1 P-1", "SO-1 2 P-2", "SO-2 1 P-9"]);
    let changed = apply(&[order("SO-1", &[(2, "P-3")]), order("SO-2", &[(1, "P-9")])]).await;
    assert_eq!(changed, [Ok(Effected::Updated), Ok(Effected::Unchanged)]);
    assert_eq!(all().await, ["SO-1 2 P-3", "SO-2 1 P-9"]);
    // A text that is too long for the column, where the database says so.
    let refused = apply(&[order("SO-3", &[(1, "12345678901")]), order("SO-2", &[])]).await;
    assert!(
        matches!(&refused[..], [Err(Fault { code, .. }), Ok(Effected::Updated)] if code.0 == "IB0512"),
        "{refused:?}"
    );
    assert_eq!(all().await, ["SO-1 2 P-3"]);
    let gone = apply(&[Change { op: Op::Delete, ..order("SO-1", &[]) }]).await;
    assert_eq!(gone, [Ok(Effected::Deleted)], "its lines went before it");
    assert!(all().await.is_empty());
}

const ALL: &str =
    "SELECT CONCAT(order_no, ' ', pos, ' ', sku) FROM order_lines JOIN orders ON orders.id = order_id ORDER BY 1";

#[tokio::test]
async fn postgres() {
    let Some(url) = postgres_database("document_lines").await else { return };
    let client = postgres_client(&url).await;
    let id = "INT GENERATED ALWAYS AS IDENTITY PRIMARY KEY";
    client
        .batch_execute(&format!(
            "{}; {}",
            ORDERS.replace("ID,", &format!("{id},")),
            LINES.replace("ID,", &format!("{id},"))
        ))
        .await
        .unwrap();
    let system = open("postgres", "url", &url);
    let fault = system.sink(spec()).unwrap().apply(&[order("SO-1", &[(1, "P-1")])]).await.unwrap_err();
    assert!(fault.code.0 == "IB0506" && fault.place.table.as_deref() == Some("order_lines"), "{fault}");
    client.batch_execute("CREATE UNIQUE INDEX ON order_lines (order_id, pos)").await.unwrap();
    follows_the_id(&*system, async || client.query(ALL, &[]).await.unwrap().iter().map(|row| row.get(0)).collect())
        .await;
}

#[tokio::test]
async fn mysql() {
    let Some(url) = mysql_database("document_lines").await else { return };
    let mut client = mysql_client(&url).await;
    let id = "INT AUTO_INCREMENT PRIMARY KEY";
    client.query_drop(ORDERS.replace("ID,", &format!("{id},"))).await.unwrap();
    client.query_drop(LINES.replace("ID,", &format!("{id},"))).await.unwrap();
    let system = open("mysql", "url", &url);
    let fault = system.sink(spec()).unwrap().apply(&[order("SO-1", &[(1, "P-1")])]).await.unwrap_err();
    assert!(fault.code.0 == "IB0506" && fault.fix.contains("order_lines (order_id, pos)"), "{fault}");
    client.query_drop("CREATE UNIQUE INDEX of_order ON order_lines (order_id, pos)").await.unwrap();
    follows_the_id(&*system, async || mysql_client(&url).await.query(ALL).await.unwrap()).await;
}

#[tokio::test]
async fn sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("orders.db");
    let id = "INTEGER PRIMARY KEY";
    let lines =
        LINES.replace("ID,", &format!("{id},")).replace("sku VARCHAR(10)", "sku VARCHAR(10) CHECK (length(sku) <= 10)");
    let client = rusqlite::Connection::open(&file).unwrap();
    client.execute_batch(&format!("{}; {lines}", ORDERS.replace("ID,", &format!("{id},")))).unwrap();
    let system = open("sqlite", "file", file.to_str().unwrap());
    let sql =
        "SELECT order_no || ' ' || pos || ' ' || sku FROM order_lines JOIN orders ON orders.id = order_id ORDER BY 1";
    follows_the_id(&*system, async || {
        let mut statement = client.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    })
    .await;
}
