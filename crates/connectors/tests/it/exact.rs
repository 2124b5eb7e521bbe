//! What a column has no place for is refused by a plan and by a run alike, and never rounded, cut or taken for something
//! else.

use std::sync::Arc;

use mysql_async::prelude::Queryable;
use record::{Change, Key, Op, OptionValue, Options, Row, Schema, Sink, Type, Value, WriteSpec};

use crate::conformance::{mysql_client, mysql_database, postgres_client, postgres_database};

fn sink(kind: &str, option: &str, value: &str, key: &str) -> Arc<dyn Sink> {
    let options = Options([(option.to_owned(), OptionValue::Text(value.to_owned()))].into());
    let system = (connectors::registry::find(kind).unwrap().open)("exact", options).unwrap();
    let spec = WriteSpec {
        table: "t".into(),
        key: vec![key.into()],
        columns: Vec::new(),
        time_zone: Some(jiff::tz::TimeZone::get("Europe/London").unwrap()),
        fields: Vec::new(),
        lines: Vec::new(),
        options: Options::default(),
    };
    system.sink(spec).unwrap()
}

fn change(key: impl Into<Value>, column: &str, value: Value) -> Change {
    let columns = Row::new(Schema::of([(column, Type::Unknown)]), vec![value]);
    Change { op: Op::Upsert, key: Key::of(&[key.into()]).unwrap(), columns, remote_id: None, if_version: None }
}

fn decimal(text: &str) -> Value {
    Value::Decimal(text.parse().unwrap())
}

/// Each of these is refused, or its text is what the table shows.
async fn check(sink: &dyn Sink, cases: &[(&str, Value, Result<&str, &str>)]) {
    let changes: Vec<Change> =
        (0..).zip(cases).map(|(no, (column, value, _))| change(no, column, value.clone())).collect();
    let unfit = sink.unfit(&changes).await.unwrap();
    let outcomes = sink.apply(&changes).await.unwrap();
    for (no, (((column, value, expected), unfit), outcome)) in (0i64..).zip(cases.iter().zip(unfit).zip(outcomes)) {
        let case = format!("{value:?} in {column}");
        assert_eq!(unfit.map(|fault| fault.what), outcome.as_ref().err().map(|fault| fault.what.clone()), "{case}");
        match (outcome, expected) {
            (Ok(_), Ok(expected)) => {
                let key = [Key::of(&[no.into()]).unwrap()];
                let there = sink.current(&key, &[(*column).to_owned()]).await.unwrap().remove(0).unwrap();
                assert_eq!(there.columns.values()[0].to_string(), *expected, "{case}");
            }
            (Err(fault), Err(part)) => assert!(fault.what.contains(part), "{case}: {fault}"),
            (outcome, expected) => panic!("{case}: {outcome:?}, expected {expected:?}"),
        }
    }
}

#[tokio::test]
async fn postgres() {
    let Some(url) = postgres_database("exact").await else { return };
    let make = "CREATE DOMAIN price AS numeric(12,2);
                CREATE TABLE t (no int PRIMARY KEY, price price, short real, long float8, second timestamp(0), at timestamptz)";
    postgres_client(&url).await.batch_execute(make).await.unwrap();
    let nearly = Value::Instant("2026-07-01T22:59:59.9999999Z".parse().unwrap());
    let sink = sink("postgres", "url", &url, "no");
    check(
        &*sink,
        &[
            ("short", decimal("0.1"), Ok("0.1")),
            ("short", decimal("123456.789"), Err("more digits than a float keeps")),
            ("long", 9_007_199_254_740_993.into(), Err("more digits than a float keeps")),
            ("long", 9_007_199_254_740_992.into(), Ok("9007199254740992")),
            ("long", decimal("0.30000000000000004"), Ok("0.30000000000000004")),
            ("second", nearly.clone(), Ok("2026-07-01T22:59:59Z")),
            ("at", nearly, Ok("2026-07-01T22:59:59.999999Z")),
        ],
    )
    .await;
    // What fits is asked for by the mapping, which has to know the places that a domain has.
    let options = Options([("url".to_owned(), OptionValue::Text(url))].into());
    let system = (connectors::registry::find("postgres").unwrap().open)("exact", options).unwrap();
    let catalog = system.catalog(&["t"]).await.unwrap();
    assert_eq!(catalog.tables[0].type_of("price"), Some(&Type::Decimal { scale: Some(2) }));
}

#[tokio::test]
async fn mysql() {
    let Some(url) = mysql_database("exact").await else { return };
    let make = "CREATE TABLE t (no INT PRIMARY KEY, short FLOAT, wide DOUBLE, state ENUM('open', '2', 'paid'), flags SET('a', 'b'),
                  whole DECIMAL(38,10))";
    mysql_client(&url).await.query_drop(make).await.unwrap();
    check(
        &*sink("mysql", "url", &url, "no"),
        &[
            ("short", decimal("0.1"), Ok("0.1")),
            ("short", decimal("123456.789"), Err("more digits than a float keeps")),
            ("wide", 9_007_199_254_740_993.into(), Err("more digits than a float keeps")),
            ("state", "1".into(), Err("no label of this column (open, 2, paid)")),
            ("state", "2".into(), Ok("2")),
            ("state", "paid".into(), Ok("paid")),
            ("flags", "3".into(), Err("no label of this column (a, b)")),
            ("flags", "b,a".into(), Ok("a,b")),
            // The zeros that the column puts behind it are no digits.
            ("whole", decimal("12345678901234567890.123456"), Ok("12345678901234567890.123456")),
        ],
    )
    .await;
}

#[tokio::test]
async fn sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("exact.db");
    let make = "CREATE TABLE t (no INTEGER PRIMARY KEY, price DECIMAL(20,4))";
    rusqlite::Connection::open(&file).unwrap().execute_batch(make).unwrap();
    check(
        &*sink("sqlite", "file", file.to_str().unwrap(), "no"),
        &[
            ("price", decimal("99999999999.9999"), Ok("99999999999.9999")),
            ("price", decimal("999999999999.9999"), Err("only 15 digits")),
        ],
    )
    .await;
}

/// However another program has written a GUID, it is the same row.
#[tokio::test]
async fn a_guid_of_sqlite_is_one_row() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("guids.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    let id: Value = Value::Guid("6f9619ff-8b86-d011-b42d-00cf4fc964ff".parse().unwrap());
    for held in [
        "'6F9619FF-8B86-D011-B42D-00CF4FC964FF'",
        "'{6F9619FF-8B86-D011-B42D-00CF4FC964FF}'",
        "'6f9619ff8b86d011b42d00cf4fc964ff'",
        "x'6F9619FF8B86D011B42D00CF4FC964FF'",
        "'6f9619ff-8b86-d011-b42d-00cf4fc964ff'",
    ] {
        let make = "DROP TABLE IF EXISTS t; CREATE TABLE t (id UUID PRIMARY KEY, name TEXT)";
        connection.execute_batch(&format!("{make}; INSERT INTO t VALUES ({held}, 'old')")).unwrap();
        let sink = sink("sqlite", "file", file.to_str().unwrap(), "id");
        let key = Key::of(std::slice::from_ref(&id)).unwrap();
        assert!(sink.current(std::slice::from_ref(&key), &["name".to_owned()]).await.unwrap()[0].is_some(), "{held}");
        sink.apply(&[change(id.clone(), "name", "new".into())]).await.unwrap().remove(0).unwrap();
        let names: String = connection.query_row("SELECT group_concat(name) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(names, "new", "{held}");
    }
}
