//! Watermarks of odd values and changing types, in real databases: nothing that changes afterwards is hidden.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use mysql_async::prelude::Queryable;
use record::{OptionValue, Options, Page, ReadKind, ReadSpec, Reader, Source, Watermark};

use crate::conformance::{mysql_client, mysql_database, postgres_client, postgres_database};

/// A table `t` with a key `no` and a watermark `w`, in one of the databases.
enum Database {
    Postgres(String),
    MySql(String),
    Sqlite(std::path::PathBuf),
}

impl Database {
    async fn sql(&self, statements: &str) {
        match self {
            Database::Postgres(url) => postgres_client(url).await.batch_execute(statements).await.unwrap(),
            Database::MySql(url) => {
                let mut client = mysql_client(url).await;
                for statement in statements.split("; ") {
                    client.query_drop(statement).await.unwrap_or_else(|why| panic!("{statement}: {why}"));
                }
                client.disconnect().await.unwrap();
            }
            Database::Sqlite(file) => rusqlite::Connection::open(file).unwrap().execute_batch(statements).unwrap(),
        }
    }

    /// Read by the clocks of this zone, five minutes back.
    fn source(&self, zone: &str) -> Arc<dyn Source> {
        let (kind, name, address) = match self {
            Database::Postgres(url) => ("postgres", "url", url.clone()),
            Database::MySql(url) => ("mysql", "url", url.clone()),
            Database::Sqlite(file) => ("sqlite", "file", file.display().to_string()),
        };
        let options = Options([(name.to_owned(), OptionValue::Text(address))].into());
        let system = (connectors::registry::find(kind).unwrap().open)("finance", options).unwrap();
        let spec = ReadSpec {
            table: "t".into(),
            columns: vec!["no".into()],
            declared: Vec::new(),
            watermark: Some(Watermark { column: "w".into(), overlap: Duration::from_secs(300) }),
            key: vec!["no".into()],
            rows_per_batch: 2,
            time_zone: Some(TimeZone::get(zone).unwrap()),
            fields: Vec::new(),
            options: Options::default(),
        };
        system.source(spec).unwrap()
    }
}

async fn all(mut reader: Box<dyn Reader>) -> (ReadKind, Vec<Page>) {
    let mut pages = Vec::new();
    while let Some(page) = reader.next().await.unwrap() {
        pages.push(page);
    }
    (reader.kind(), pages)
}

fn keys(pages: &[Page]) -> String {
    let mut keys: Vec<String> =
        pages.iter().flat_map(|p| p.batch.rows().map(|row| row.at(0).to_string()).collect::<Vec<_>>()).collect();
    keys.sort();
    keys.join(" ")
}

/// What a read from here gives, and where the next one goes on.
async fn read(source: &dyn Source, cursor: Option<&str>) -> (ReadKind, String, Option<String>) {
    let (kind, pages) = all(source.read(cursor).await.unwrap()).await;
    (kind, keys(&pages), pages.last().and_then(|page| page.cursor.clone()))
}

async fn window(source: &dyn Source, from: &str, to: &str) -> String {
    let (_, pages) = all(source.window(from.parse().unwrap(), to.parse().unwrap()).await.unwrap()).await;
    keys(&pages)
}

/// Each database with an empty place of its own; those that do not run are left out.
async fn databases(name: &str, dir: &Path) -> Vec<Database> {
    let mut all = vec![Database::Sqlite(dir.join("t.db"))];
    all.extend(postgres_database(name).await.map(Database::Postgres));
    all.extend(mysql_database(name).await.map(Database::MySql));
    all
}

/// Reads once, writes `changed` with the watermark `now`, and reads on.
async fn hides_nothing(database: &Database, ty: &str, far: &str, now: &str) {
    let case = format!("{ty} {far}");
    database.sql(&format!("CREATE TABLE t (no varchar(20) PRIMARY KEY, w {ty}); INSERT INTO t VALUES ('far', {far}), ('old', '2026-01-01 10:00:00')")).await;
    // Where a local time is later than in UTC, a place in the wrong one of the two is hours ahead.
    let source = database.source("Asia/Tokyo");
    let (_, first, cursor) = read(&*source, None).await;
    assert_eq!(first, "far old", "{case}");
    database.sql(&format!("INSERT INTO t VALUES ('changed', {now})")).await;
    let (kind, second, _) = read(&*source, cursor.as_deref()).await;
    assert_eq!((kind, second.as_str()), (ReadKind::Changes, "changed far"), "{case}");
    assert_eq!(window(&*source, "2025-12-31T00:00:00Z", "2026-01-02T00:00:00Z").await, "old", "{case}");
    database.sql("DROP TABLE t").await;
}

#[tokio::test]
async fn what_is_behind_the_calendar_hides_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for database in databases("far_watermarks", dir.path()).await {
        let cases: &[(&str, &str, &str)] = match &database {
            Database::Postgres(_) => &[
                ("timestamptz", "'infinity'", "now()"),
                ("timestamptz", "'9999-12-31 23:59:59Z'", "now()"),
                ("timestamptz", "'12000-01-01'", "now()"),
                ("timestamp", "'infinity'", "now() AT TIME ZONE 'Asia/Tokyo'"),
                ("date", "'infinity'", "(now() AT TIME ZONE 'Asia/Tokyo')::date"),
                (
                    "text",
                    "'9999-12-31T23:59:59Z'",
                    "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
                ),
            ],
            Database::MySql(_) => &[
                ("datetime(6)", "'9999-12-31 23:59:59'", "CONVERT_TZ(UTC_TIMESTAMP(6), '+00:00', '+09:00')"),
                ("varchar(30)", "'9999-12-31T23:59:59Z'", "DATE_FORMAT(UTC_TIMESTAMP(), '%Y-%m-%dT%H:%i:%sZ')"),
            ],
            Database::Sqlite(_) => &[
                ("timestamp", "'9999-12-31 23:59:59Z'", "strftime('%Y-%m-%d %H:%M:%SZ', 'now')"),
                ("text", "'9999-12-31T23:59:59.999+09:00'", "strftime('%Y-%m-%dT%H:%M:%f+09:00', 'now', '+9 hours')"),
            ],
        };
        for (ty, far, now) in cases {
            hides_nothing(&database, ty, far, now).await;
        }
    }
}

#[tokio::test]
async fn a_watermark_column_of_another_type_is_read_from_the_beginning() {
    let dir = tempfile::tempdir().unwrap();
    for database in databases("retyped_watermarks", dir.path()).await {
        // The summer time of Tokyo is no other than its winter time: a local time taken for one of UTC is nine hours ahead.
        let cases: &[(&str, &str, &str, &str)] = match &database {
            Database::Postgres(_) => &[
                (
                    "timestamp",
                    "'2026-07-01 12:00'",
                    "ALTER TABLE t ALTER w TYPE timestamptz USING w AT TIME ZONE 'Asia/Tokyo'",
                    "'2026-07-01 12:30+09'",
                ),
                ("bigint", "9", "ALTER TABLE t ALTER w TYPE text", "'10'"),
                ("bigint", "9", "ALTER TABLE t ALTER w TYPE timestamptz USING '2026-07-01'", "'2026-07-01'"),
            ],
            Database::MySql(_) => &[(
                "datetime",
                "'2026-07-01 12:00'",
                "SET time_zone = '+09:00'; ALTER TABLE t MODIFY w timestamp NULL",
                "FROM_UNIXTIME(UNIX_TIMESTAMP('2026-07-01 03:30'))",
            )],
            Database::Sqlite(_) => &[("", "'2026-07-01 12:00'", "UPDATE t SET w = 1782880000", "1782880000")],
        };
        for (ty, before, change, after) in cases {
            database
                .sql(&format!(
                    "CREATE TABLE t (no varchar(20) PRIMARY KEY, w {ty}); INSERT INTO t VALUES ('old', {before})"
                ))
                .await;
            let source = database.source("Asia/Tokyo");
            let (_, _, cursor) = read(&*source, None).await;
            database.sql(&format!("{change}; INSERT INTO t VALUES ('new', {after})")).await;
            let (kind, found, next) = read(&*source, cursor.as_deref()).await;
            let why = "the watermark column holds values of another type than in the last read".to_owned();
            assert_eq!((kind, found.as_str()), (ReadKind::Full { why: Some(why) }, "new old"), "{ty} {change}");
            assert_eq!(read(&*source, next.as_deref()).await.0, ReadKind::Changes, "{ty} {change}");
            database.sql("DROP TABLE t").await;
        }
    }
}

#[tokio::test]
async fn a_window_holds_what_changed_on_the_day_of_its_end() {
    let dir = tempfile::tempdir().unwrap();
    for database in databases("windows", dir.path()).await {
        database.sql("CREATE TABLE t (no varchar(20) PRIMARY KEY, w date); INSERT INTO t VALUES ('a', '2026-07-01'), ('b', '2026-07-02'), ('c', '2026-07-03'), ('none', NULL)").await;
        let source = database.source("UTC");
        assert_eq!(window(&*source, "2026-07-01T00:00:00Z", "2026-07-02T12:00:00Z").await, "a b");
        assert_eq!(window(&*source, "2026-07-02T00:00:00Z", "2026-07-03T00:00:00Z").await, "b");
        database
            .sql("DROP TABLE t; CREATE TABLE t (no varchar(20) PRIMARY KEY, w integer); INSERT INTO t VALUES ('a', 1)")
            .await;
        let fault = source.window("2026-07-01T00:00:00Z".parse().unwrap(), "2026-07-02T00:00:00Z".parse().unwrap());
        assert_eq!(fault.await.err().unwrap().code.0, "IB0736");
        database.sql("DROP TABLE t").await;
    }
}

#[tokio::test]
async fn a_place_that_the_clock_has_not_come_to_is_none() {
    let dir = tempfile::tempdir().unwrap();
    for database in databases("ahead", dir.path()).await {
        database
            .sql("CREATE TABLE t (no varchar(20) PRIMARY KEY, w date); INSERT INTO t VALUES ('a', '2026-07-01')")
            .await;
        let source = database.source("UTC");
        let place = |at: &str| match &database {
            Database::Sqlite(_) => format!(r#"{{"v":1,"by":"w","since":"text:{at}"}}"#),
            _ => format!(r#"{{"v":1,"by":"w","since":"date:{at}"}}"#),
        };
        let (kind, found, _) = read(&*source, Some(&place("2999-01-01"))).await;
        let why = Some("the place of the last read lies in the future".to_owned());
        assert_eq!((kind, found.as_str()), (ReadKind::Full { why }, "a"));
        assert_eq!(read(&*source, Some(&place("2026-07-01"))).await.0, ReadKind::Changes);
    }
}

#[tokio::test]
async fn numbers_that_begin_anew_are_read_from_the_beginning() {
    let dir = tempfile::tempdir().unwrap();
    for database in databases("anew", dir.path()).await {
        database
            .sql("CREATE TABLE t (no varchar(20) PRIMARY KEY, w integer); INSERT INTO t VALUES ('a', 900), ('b', 1000)")
            .await;
        let source = database.source("UTC");
        let (_, _, cursor) = read(&*source, None).await;
        // The backup of last week was put back, and somebody goes on with it.
        database.sql("DELETE FROM t; INSERT INTO t VALUES ('a', 400), ('b', 501), ('c', 502)").await;
        let (kind, found, next) = read(&*source, cursor.as_deref()).await;
        let why = "the largest number of the watermark is 502, and everything up to 1000 was read".to_owned();
        assert_eq!((kind, found.as_str()), (ReadKind::Full { why: Some(why) }, "a b c"));
        database.sql("INSERT INTO t VALUES ('d', 503)").await;
        let (kind, found, _) = read(&*source, next.as_deref()).await;
        assert_eq!(kind, ReadKind::Changes);
        assert!(found.ends_with('d') && !found.contains('a'), "{found}");
        database.sql("DROP TABLE t").await;
    }
}

#[tokio::test]
async fn texts_that_do_not_sort_by_time_are_no_watermark() {
    let dir = tempfile::tempdir().unwrap();
    for database in databases("unsorted", dir.path()).await {
        for (last, is_refused) in [
            ("27.11.2026 10:00", true),
            ("7/4/2026", true),
            ("2026-11-27 10:00", false),
            ("1.2.3", false),
            ("v0007", false),
        ] {
            database
                .sql(&format!(
                    "CREATE TABLE t (no varchar(20) PRIMARY KEY, w varchar(30)); INSERT INTO t VALUES ('a', '{last}')"
                ))
                .await;
            let refused = database.source("UTC").read(None).await.err().map(|fault| fault.code.0);
            assert_eq!(refused, is_refused.then_some("IB0636"), "{last}");
            database.sql("DROP TABLE t").await;
        }
    }
}
