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
    let unfit = sink.unfit(&changes, &vec![true; changes.len()]).await.unwrap();
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

/// A plan foresees the rows that a table refuses because a column holds no blank, and no others.
async fn blanks(sink: impl Fn() -> Arc<dyn Sink>, fill_name: Option<&str>, run: impl AsyncFn(&str)) {
    let table = sink();
    for (no, is_new, columns, refused) in [
        (1, true, vec![("note", "a".into())], Some("name")),
        (1, true, vec![("name", Value::Blank)], Some("name")),
        (1, true, vec![("name", "n".into()), ("kind", Value::Blank)], Some("kind")),
        (1, true, vec![("name", "n".into())], None),
        (1, false, vec![("note", "b".into())], None),
        (1, false, vec![("name", Value::Blank)], Some("name")),
        (1, false, vec![("kind", Value::Blank)], Some("kind")),
        (1, false, vec![("note", Value::Blank)], None),
    ] {
        foreseen(&*table, no, is_new, columns, refused).await;
    }
    // What runs before a row is written may fill it.
    if let Some(trigger) = fill_name {
        run(trigger).await;
        foreseen(&*sink(), 2, true, vec![("name", Value::Blank)], None).await;
    }
}

async fn foreseen(sink: &dyn Sink, no: i64, is_new: bool, columns: Vec<(&str, Value)>, refused: Option<&str>) {
    let case = format!("{columns:?} of a row that is new: {is_new}");
    let (names, values): (Vec<&str>, Vec<Value>) = columns.into_iter().unzip();
    let columns = Row::new(Schema::of(names.into_iter().map(|name| (name, Type::Unknown))), values);
    let key = Key::of(&[no.into()]).unwrap();
    let changes = [Change { op: Op::Upsert, key, columns, remote_id: None, if_version: None }];
    let unfit = sink.unfit(&changes, &[is_new]).await.unwrap().remove(0);
    assert_eq!(unfit.as_ref().and_then(|fault| fault.place.column.as_deref()), refused, "{case}: {unfit:?}");
    let told = sink.apply(&changes).await.unwrap().remove(0).err();
    let words = format!("{case}: {told:?}");
    assert_eq!(unfit.map(|fault| (fault.code, fault.what)), told.map(|fault| (fault.code, fault.what)), "{words}");
}

#[tokio::test]
async fn blanks_of_postgres() {
    let Some(url) = postgres_database("blanks").await else { return };
    let client = postgres_client(&url).await;
    let make = "CREATE DOMAIN town AS text DEFAULT 'Leeds';
                CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY, no int PRIMARY KEY, name text NOT NULL,
                  kind text NOT NULL DEFAULT 'x', town town NOT NULL, counted serial, note text)";
    client.batch_execute(make).await.unwrap();
    let trigger = "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := 'by itself'; RETURN NEW; END $$;
                   CREATE TRIGGER fill BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fill()";
    let run = async |sql: &str| client.batch_execute(sql).await.unwrap();
    blanks(|| sink("postgres", "url", &url, "no"), Some(trigger), run).await;
}

#[tokio::test]
async fn blanks_of_mysql() {
    let Some(url) = mysql_database("blanks").await else { return };
    let make = "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, no INT NOT NULL UNIQUE, name VARCHAR(20) NOT NULL,
                  kind VARCHAR(20) NOT NULL DEFAULT 'x', state ENUM('open', 'paid') NOT NULL, at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, note TEXT)";
    mysql_client(&url).await.query_drop(make).await.unwrap();
    let trigger = "CREATE TRIGGER fill BEFORE INSERT ON t FOR EACH ROW SET NEW.name = 'by itself', NEW.state = 'open'";
    let run = async |sql: &str| mysql_client(&url).await.query_drop(sql).await.unwrap();
    blanks(|| sink("mysql", "url", &url, "no"), Some(trigger), run).await;
}

#[tokio::test]
async fn blanks_of_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("blanks.db");
    let make = "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, no INT NOT NULL UNIQUE, name TEXT NOT NULL,
                  kind TEXT NOT NULL DEFAULT 'x', note TEXT)";
    rusqlite::Connection::open(&file).unwrap().execute_batch(make).unwrap();
    blanks(|| sink("sqlite", "file", file.to_str().unwrap(), "no"), None, async |_| ()).await;
    // What counts its rows is filled by SQLite, and nobody is asked for it.
    let options = Options([("file".to_owned(), OptionValue::Text(file.to_str().unwrap().to_owned()))].into());
    let system = (connectors::registry::find("sqlite").unwrap().open)("blanks", options).unwrap();
    let catalog = system.catalog(&["t"]).await.unwrap();
    let required = catalog.tables[0].columns.iter().filter(|column| column.required).map(|column| &*column.column.name);
    assert_eq!(required.collect::<Vec<_>>(), ["no", "name"]);
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
