//! Names that a database allows and SQL does not like: words of its own, quotes, spaces, other letters, half a statement.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use record::{
    Change, Effected, Key, Op, OptionValue, Options, ReadSpec, Row, Schema, System, TableUse, Type, Value, Watermark,
    WriteSpec,
};

use crate::conformance::{mysql_client, mysql_database, postgres_client, postgres_database};

/// Key, text and time of change.
const COLUMNS: [&str; 3] = ["select", "na\"me`s'; DROP TABLE x --", "Größe [%] ?"];
const TABLE: &str = "order \"1\" `of` 'all'";

fn open(kind: &str, name: &str, value: &str) -> Arc<dyn System> {
    let options = Options([(name.to_owned(), OptionValue::Text(value.to_owned()))].into());
    (connectors::registry::find(kind).unwrap().open)("odd", options).unwrap()
}

fn text(text: &str) -> Value {
    Value::text(text)
}

/// Everything that a run does with a table.
async fn round_trip(system: &dyn System) {
    let [key, name, changed] = COLUMNS.map(str::to_owned);
    let catalog = system.catalog(&[TABLE]).await.unwrap();
    let table = catalog.table(TABLE).expect("the table is known");
    for column in COLUMNS {
        assert!(table.column(column).is_some(), "`{column}` in {table:?}");
    }
    let of = TableUse { table: TABLE.to_owned(), reads: true, writes: true, deletes: true };
    assert_eq!(system.lacks(&[of]).await.unwrap(), Vec::<String>::new());
    let sink = system
        .sink(WriteSpec {
            table: TABLE.to_owned(),
            key: vec![key.clone()],
            columns: COLUMNS.map(str::to_owned).into(),
            time_zone: None,
            fields: Vec::new(),
            lines: Vec::new(),
            options: Options::default(),
        })
        .unwrap();
    let of = |number: &str| Key::of(&[text(number)]).unwrap();
    let change = |op, number: &str, named: &str| {
        let schema = Schema::of([(name.as_str(), Type::Unknown), (changed.as_str(), Type::Unknown)]);
        let at = "2026-11-26T10:00:00Z".parse().unwrap();
        let columns = Row::new(schema, vec![text(named), Value::Instant(at)]);
        Change { op, key: of(number), columns, remote_id: None, if_version: None }
    };
    for (op, named, expected) in [
        (Op::Upsert, "first", Effected::Created),
        (Op::Upsert, "second", Effected::Updated),
        (Op::Upsert, "second", Effected::Unchanged),
    ] {
        sink.current(&[of("A")], std::slice::from_ref(&name)).await.unwrap();
        let outcomes = sink.apply(&[change(op, "A", named)]).await.unwrap();
        assert_eq!(outcomes[0].as_ref().unwrap().effect, expected, "{named}");
    }
    sink.apply(&[change(Op::Upsert, "B", "other")]).await.unwrap()[0].as_ref().unwrap();
    assert_eq!(sink.find(std::slice::from_ref(&name), &[vec![text("other")]], &[]).await.unwrap()[0].len(), 1);
    for column in [None, Some(changed.clone())] {
        let watermark = column.map(|column| Watermark { column, overlap: Duration::from_secs(300) });
        let spec = ReadSpec {
            table: TABLE.to_owned(),
            columns: COLUMNS.map(str::to_owned).into(),
            declared: Vec::new(),
            watermark,
            key: vec![key.clone()],
            rows_per_batch: 1,
            time_zone: Some(jiff::tz::TimeZone::UTC),
            fields: Vec::new(),
            options: Options::default(),
        };
        let source = system.source(spec).unwrap();
        let mut cursor: Option<String> = None;
        let mut rows = Vec::new();
        // Each page by a reader of its own, as after a cut.
        loop {
            let mut reader = source.read(cursor.as_deref()).await.unwrap();
            let Some(page) = reader.next().await.unwrap() else { break };
            rows.extend(
                page.batch.rows().map(|row| (row.get(&key).unwrap().to_owned(), row.get(&name).unwrap().to_owned())),
            );
            cursor = page.cursor;
            if rows.len() > 1 {
                break;
            }
        }
        assert_eq!(rows, [(text("A"), text("second")), (text("B"), text("other"))]);
        let found = source.get(&[of("B"), of("C")]).await.unwrap();
        assert_eq!((found[0].is_some(), found[1].is_some()), (true, false));
    }
    let outcomes = sink.apply(&[change(Op::Delete, "A", "")]).await.unwrap();
    assert_eq!(outcomes[0].as_ref().unwrap().effect, Effected::Deleted);
}

fn quoted(name: &str, sign: char) -> String {
    format!("{sign}{}{sign}", name.replace(sign, &format!("{sign}{sign}")))
}

fn create(sign: char, types: [&str; 3]) -> String {
    let [key, name, changed] = COLUMNS.map(|column| quoted(column, sign));
    let [number, text, time] = types;
    format!("CREATE TABLE {} ({key} {number} PRIMARY KEY, {name} {text}, {changed} {time})", quoted(TABLE, sign))
}

#[tokio::test]
async fn postgres() {
    let Some(url) = postgres_database("odd_names").await else { return };
    postgres_client(&url).await.batch_execute(&create('"', ["TEXT", "TEXT", "TIMESTAMPTZ"])).await.unwrap();
    round_trip(&*open("postgres", "url", &url)).await;
}

#[tokio::test]
async fn mysql() {
    let Some(url) = mysql_database("odd_names").await else { return };
    let make = create('`', ["VARCHAR(20)", "VARCHAR(100)", "DATETIME(3)"]);
    mysql_client(&url).await.query_drop(make).await.unwrap();
    round_trip(&*open("mysql", "url", &url)).await;
}

#[tokio::test]
async fn sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("odd.db");
    let make = create('"', ["TEXT", "TEXT", "TIMESTAMPTZ"]);
    rusqlite::Connection::open(&file).unwrap().execute_batch(&make).unwrap();
    round_trip(&*open("sqlite", "file", file.to_str().unwrap())).await;
}
