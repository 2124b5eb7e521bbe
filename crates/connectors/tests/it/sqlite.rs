//! SQLite files as a source and as a destination, with real files.

mod questions;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use record::{
    Change, Effected, Key, Now, Op, OptionValue, Options, Outcome, Page, ReadKind, ReadSpec, Row, Schema, Source,
    System, Value, Watermark, WriteSpec,
};
use rusqlite::Connection;

fn options(pairs: &[(&str, &str)]) -> Options {
    Options(pairs.iter().map(|(k, v)| ((*k).to_owned(), OptionValue::Text((*v).to_owned()))).collect())
}

fn system(file: &Path) -> Arc<dyn System> {
    let entry = connectors::registry::find("sqlite").unwrap();
    (entry.open)("finance", options(&[("file", file.to_str().unwrap())])).unwrap()
}

fn spec(table: &str, columns: &[&str]) -> ReadSpec {
    ReadSpec {
        table: table.into(),
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        declared: Vec::new(),
        watermark: None,
        key: vec!["no".into()],
        rows_per_batch: 3,
        time_zone: None,
        fields: Vec::new(),
        options: Options::default(),
    }
}

fn by(column: &str, overlap_s: u64, mut spec: ReadSpec) -> ReadSpec {
    spec.watermark = Some(Watermark { column: column.into(), overlap: Duration::from_secs(overlap_s) });
    spec
}

struct Done {
    kind: ReadKind,
    pages: Vec<Page>,
}

impl Done {
    fn keys(&self) -> Vec<String> {
        let rows = self.pages.iter().flat_map(|p| p.batch.rows().map(|r| r.at(0).to_string()).collect::<Vec<_>>());
        rows.collect()
    }

    fn cursor(&self) -> Option<String> {
        self.pages.last().and_then(|page| page.cursor.clone())
    }
}

async fn read(source: &dyn Source, cursor: Option<&str>) -> Done {
    let mut reader = source.read(cursor).await.unwrap();
    let mut pages = Vec::new();
    while let Some(page) = reader.next().await.unwrap() {
        pages.push(page);
    }
    Done { kind: reader.kind(), pages }
}

const FULL: ReadKind = ReadKind::Full { why: None };

fn finance(rows: usize) -> (tempfile::TempDir, std::path::PathBuf, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("finance.db");
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE customers (no TEXT PRIMARY KEY, name VARCHAR(40), \"credit limit\" DECIMAL(12,2), updated DATETIME);",
        )
        .unwrap();
    for i in 1..=rows {
        connection
            .execute(
                "INSERT INTO customers VALUES (?1, ?2, ?3, ?4)",
                rusqlite::params![
                    format!("C-{i:02}"),
                    format!("Näme {i}"),
                    10.1 * i as f64,
                    format!("2026-11-0{} 10:00:00", i % 9 + 1)
                ],
            )
            .unwrap();
    }
    (dir, file, connection)
}

#[tokio::test]
async fn a_full_read_sees_each_row_once_and_goes_on_after_a_cut_at_any_page() {
    let (_dir, file, _) = finance(10);
    let source = system(&file).source(spec("customers", &["no", "credit limit"])).unwrap();
    let whole = read(&*source, None).await;
    let keys: Vec<String> = (1..=10).map(|i| format!("C-{i:02}")).collect();
    assert_eq!((whole.keys(), &whole.kind), (keys.clone(), &FULL));
    assert_eq!(whole.pages.iter().map(|p| p.batch.len()).collect::<Vec<_>>(), [3, 3, 3, 1]);
    assert_eq!(whole.pages[0].batch.row(2).at(1).to_owned(), Value::Decimal("30.3".parse().unwrap()));
    assert_eq!(whole.cursor(), None, "without a watermark the next read starts anew");
    for cut in 0..3 {
        let rest = read(&*source, whole.pages[cut].cursor.as_deref()).await;
        assert_eq!((rest.keys(), &rest.kind), (keys[(cut + 1) * 3..].to_vec(), &FULL));
    }
}

#[tokio::test]
async fn changes_are_read_by_watermark_with_an_overlap() {
    let (_dir, file, connection) = finance(10);
    let source = system(&file).source(by("updated", 300, spec("customers", &["no"]))).unwrap();
    let whole = read(&*source, None).await;
    assert_eq!((whole.keys().len(), &whole.kind), (10, &FULL));
    let cursor = whole.cursor().unwrap();
    // Only the rows within the overlap before the last watermark come again.
    let again = read(&*source, Some(&cursor)).await;
    assert_eq!((again.keys(), &again.kind), (vec!["C-08".to_owned()], &ReadKind::Changes));

    connection
        .execute_batch(
            "UPDATE customers SET updated = '2026-11-20 08:00:00' WHERE no IN ('C-01', 'C-02', 'C-03', 'C-04');
             UPDATE customers SET updated = '2026-11-09 09:57:00' WHERE no = 'C-05';
             UPDATE customers SET updated = '2026-11-09 09:50:00' WHERE no = 'C-06';
             UPDATE customers SET updated = NULL WHERE no = 'C-07';",
        )
        .unwrap();
    let changed = read(&*source, Some(&cursor)).await;
    assert_eq!(changed.keys(), ["C-07", "C-05", "C-08", "C-01", "C-02", "C-03", "C-04"]);
    for (cut, page) in changed.pages.iter().enumerate().take(changed.pages.len() - 1) {
        let rest = read(&*source, page.cursor.as_deref()).await;
        let done: usize = changed.pages[..=cut].iter().map(|p| p.batch.len()).sum();
        assert_eq!((rest.keys(), &rest.kind), (changed.keys()[done..].to_vec(), &ReadKind::Changes), "cut {cut}");
        assert_eq!(rest.cursor(), changed.cursor());
    }
    let next = read(&*source, changed.cursor().as_deref()).await;
    assert_eq!(next.keys(), ["C-07", "C-01", "C-02", "C-03", "C-04"], "a row without a watermark is read every time");
}

#[tokio::test]
async fn a_watermark_from_the_future_hides_nothing() {
    let (_dir, file, connection) = finance(2);
    connection.execute_batch("UPDATE customers SET updated = '2999-01-01 00:00:00' WHERE no = 'C-01'").unwrap();
    let source = system(&file).source(by("updated", 60, spec("customers", &["no"]))).unwrap();
    let first = read(&*source, None).await;
    connection.execute_batch("UPDATE customers SET updated = datetime('now') WHERE no = 'C-02'").unwrap();
    let second = read(&*source, first.cursor().as_deref()).await;
    assert_eq!(second.keys(), ["C-02", "C-01"]);
}

#[tokio::test]
async fn a_row_changed_behind_a_full_read_is_in_the_next_one() {
    let (_dir, file, connection) = finance(9);
    let source = system(&file).source(by("updated", 0, spec("customers", &["no"]))).unwrap();
    let mut reader = source.read(None).await.unwrap();
    let mut cursor = reader.next().await.unwrap().unwrap().cursor;
    connection
        .execute_batch(
            "UPDATE customers SET updated = '2026-11-20 08:00:00' WHERE no = 'C-01';
             UPDATE customers SET updated = '2026-11-21 08:00:00' WHERE no = 'C-09';",
        )
        .unwrap();
    while let Some(page) = reader.next().await.unwrap() {
        cursor = page.cursor;
    }
    let next = read(&*source, cursor.as_deref()).await;
    assert!(next.keys().contains(&"C-01".to_owned()), "{:?}", next.keys());
}

#[tokio::test]
async fn a_query_is_read_by_its_key_and_rows_that_share_one_stay_together() {
    let (_dir, file, connection) = finance(0);
    connection
        .execute_batch(
            "CREATE TABLE raw (k TEXT, n INTEGER);
             INSERT INTO raw VALUES ('b', 1), ('a', 2), (NULL, 3), ('b', 4), ('b', 5), ('b', 6), ('c', 7), (NULL, 8);",
        )
        .unwrap();
    let mut spec = spec("", &["k", "n"]);
    spec.key = vec!["k".into()];
    spec.rows_per_batch = 2;
    spec.options = options(&[("query", "SELECT k, n FROM raw WHERE n > 0;")]);
    let source = system(&file).source(spec).unwrap();
    let whole = read(&*source, None).await;
    assert_eq!(whole.keys(), ["(blank)", "(blank)", "a", "b", "b", "b", "b", "c"]);
    assert!(whole.pages.iter().all(|page| page.batch.len() <= 2));
    // Going on after any page never loses a row; rows that share a key with the cut may come again.
    for (cut, page) in whole.pages.iter().enumerate().take(whole.pages.len() - 1) {
        let done: usize = whole.pages[..=cut].iter().map(|p| p.batch.len()).sum();
        let rest = read(&*source, page.cursor.as_deref()).await;
        assert!(rest.keys().ends_with(&whole.keys()[done..]), "cut {cut}: {:?}", rest.keys());
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_read_costs_one_row() {
    let (_dir, file, connection) = finance(5);
    connection
        .execute_batch(
            "UPDATE customers SET \"credit limit\" = 'much' WHERE no = 'C-02';
             UPDATE customers SET updated = '2026-03-29 01:30:00' WHERE no = 'C-04';",
        )
        .unwrap();
    let mut spec = spec("customers", &["no", "credit limit", "updated"]);
    spec.time_zone = Some(jiff::tz::TimeZone::get("Europe/London").unwrap());
    let done = read(&*system(&file).source(spec).unwrap(), None).await;
    assert_eq!(done.keys(), ["C-01", "C-03", "C-05"]);
    let bad: Vec<_> = done.pages.iter().flat_map(|page| &page.unreadable).collect();
    let told: Vec<_> =
        bad.iter().map(|b| (b.fault.code.0, b.fault.place.key.as_deref(), b.fault.place.column.as_deref())).collect();
    assert_eq!(told, [("IB0606", Some("C-02"), Some("credit limit")), ("IB0608", Some("C-04"), Some("updated"))]);
    assert_eq!(bad[0].row.get("no"), Some(&Value::text("C-02")));
}

#[tokio::test]
async fn a_cursor_of_another_read_becomes_a_full_read_that_says_why() {
    let (_dir, file, _) = finance(2);
    let source = system(&file).source(by("updated", 60, spec("customers", &["no"]))).unwrap();
    for cursor in ["rubbish", r#"{"v":1,"by":"other","since":"int:4"}"#] {
        let done = read(&*source, Some(cursor)).await;
        assert!(matches!(done.kind, ReadKind::Full { why: Some(_) }), "{cursor}");
        assert_eq!(done.keys().len(), 2);
    }
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let (dir, file, connection) = finance(1);
    let missing = dir.path().join("none.db");
    let text = dir.path().join("text.db");
    std::fs::write(&text, "this is no database, and long enough to be looked at as one").unwrap();
    let fault = async |file: &Path, spec: ReadSpec| {
        let source = system(file).source(spec).unwrap();
        let fault = match source.read(None).await {
            Err(fault) => fault,
            Ok(_) => panic!("the read should have failed"),
        };
        assert!(!fault.fix.is_empty() && fault.place.system.as_deref() == Some("finance"));
        (fault.code.0, fault.now, fault.place.column)
    };
    assert_eq!(fault(&missing, spec("customers", &["no"])).await, ("IB0601", Now::RetryAfter(None), None));
    assert!(!missing.exists(), "a source never makes a file");
    assert_eq!(fault(&text, spec("customers", &["no"])).await, ("IB0601", Now::AskPerson, None));
    assert_eq!(fault(&file, spec("clients", &["no"])).await, ("IB0602", Now::AskPerson, None));
    assert_eq!(fault(&file, spec("customers", &["nope"])).await, ("IB0603", Now::AskPerson, Some("nope".into())));
    let mut changing = spec("", &["no"]);
    changing.options = options(&[("query", "DELETE FROM customers RETURNING no")]);
    assert_eq!(fault(&file, changing).await.0, "IB0605");
    let left: i64 = connection.query_row("SELECT count(*) FROM customers", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 1);
}

#[tokio::test]
async fn the_catalogue_knows_types_and_keys() {
    let (_dir, file, connection) = finance(0);
    connection
        .execute_batch(
            "CREATE TABLE prices (id INTEGER PRIMARY KEY, item TEXT NOT NULL, unit TEXT NOT NULL DEFAULT 'each', amount MONEY,
               vat AS (amount * 0.2), UNIQUE (item, unit));
             CREATE VIEW cheap AS SELECT item, amount FROM prices WHERE amount < 5;",
        )
        .unwrap();
    let catalog = system(&file).catalog(&["prices", "cheap", "none", "customers"]).await.unwrap();
    assert_eq!(catalog.tables.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["prices", "cheap", "customers"]);
    let prices = catalog.table("prices").unwrap();
    let keys: Vec<_> = prices.keys.iter().map(|k| (k.columns.join(","), k.primary)).collect();
    assert_eq!(keys, [("id".to_owned(), true), ("item,unit".to_owned(), false)]);
    assert_eq!(prices.type_of("amount"), Some(&record::Type::Money));
    let required: Vec<_> = prices.columns.iter().filter(|c| c.required).map(|c| &*c.column.name).collect();
    assert_eq!(required, ["item"]);
    assert!(!prices.column("vat").unwrap().writable);
    assert!(!catalog.table("cheap").unwrap().column("item").unwrap().writable);
    let name = catalog.table("customers").unwrap().type_of("name").unwrap().clone();
    assert_eq!(name, record::Type::Text { max_length: Some(40) });
}

#[tokio::test]
async fn rows_are_got_by_key() {
    let (_dir, file, _) = finance(3);
    let source = system(&file).source(spec("customers", &["no", "name"])).unwrap();
    let keys = ["C-03", "C-99", "C-01"].map(|no| Key::of(&[Value::text(no)]).unwrap());
    let rows = source.get(&keys).await.unwrap();
    let names: Vec<_> = rows.iter().map(|row| row.as_ref().map(|row| row.values()[1].to_string())).collect();
    assert_eq!(names, [Some("Näme 3".to_owned()), None, Some("Näme 1".to_owned())]);
}

/// A program dies in the middle of a write: what it had written is undone for whoever reads next, and it is no right that
/// is missing.
#[tokio::test]
async fn what_a_program_left_half_written_is_put_right() {
    let (dir, file, conn) = finance(3_000);
    conn.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 5; BEGIN; UPDATE customers SET name = 'half'",
    )
    .unwrap();
    let left = dir.path().join("left.db");
    for ending in ["", "-journal"] {
        let of = |file: &Path| std::path::PathBuf::from(format!("{}{ending}", file.display()));
        std::fs::copy(of(&file), of(&left)).unwrap();
    }
    let before = Connection::open_with_flags(&left, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let error = before.query_row("SELECT count(*) FROM customers", [], |_| Ok(())).unwrap_err();
    assert_eq!(error.sqlite_error().unwrap().extended_code, rusqlite::ffi::SQLITE_READONLY_ROLLBACK);
    let source = system(&left).source(spec("customers", &["no", "name"])).unwrap();
    let done = read(&*source, None).await;
    assert_eq!(done.keys().len(), 3_000);
    let halves: i64 =
        before.query_row("SELECT count(*) FROM customers WHERE name = 'half'", [], |row| row.get(0)).unwrap();
    assert_eq!(halves, 0);
}

#[tokio::test]
async fn a_reader_that_goes_away_leaves_no_lock() {
    let (_dir, file, connection) = finance(9);
    let source = system(&file).source(spec("customers", &["no"])).unwrap();
    let mut reader = source.read(None).await.unwrap();
    reader.next().await.unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection.execute_batch("UPDATE customers SET name = 'while a read is open'").unwrap();
    drop(reader);
    connection.execute_batch("BEGIN EXCLUSIVE; UPDATE customers SET name = 'x'; COMMIT").unwrap();
}

fn change(op: Op, no: &str, columns: &[(&str, Value)]) -> Change {
    let schema = Schema::of(columns.iter().map(|(name, _)| (*name, record::Type::Unknown)));
    Change {
        op,
        key: Key::of(&[Value::text(no)]).unwrap(),
        columns: Row::new(schema, columns.iter().map(|(_, value)| value.clone()).collect()),
        remote_id: None,
        if_version: None,
    }
}

fn effects(outcomes: &[Outcome]) -> Vec<Result<Effected, &'static str>> {
    outcomes.iter().map(|o| o.as_ref().map(|w| w.effect).map_err(|f| f.code.0)).collect()
}

#[tokio::test]
async fn a_chunk_is_written_row_by_row_and_a_second_time_changes_nothing() {
    let (_dir, file, connection) = finance(2);
    connection.execute_batch("CREATE UNIQUE INDEX by_name ON customers (name)").unwrap();
    let sink = system(&file)
        .sink(WriteSpec {
            table: "customers".into(),
            key: vec!["no".into()],
            columns: vec!["name".into(), "credit limit".into(), "updated".into()],
            time_zone: Some(jiff::tz::TimeZone::get("Europe/London").unwrap()),
            fields: Vec::new(),
            lines: Vec::new(),
            options: Options::default(),
        })
        .unwrap();
    let money = |text: &str| Value::Decimal(text.parse().unwrap());
    let when = Value::Instant("2026-07-01T11:00:00Z".parse().unwrap());
    let chunk = [
        change(Op::Upsert, "C-01", &[("credit limit", money("99.90"))]),
        change(Op::Upsert, "C-50", &[("name", Value::text("Zoë \"x\"'; --")), ("updated", when)]),
        change(Op::Upsert, "C-51", &[("name", Value::text("Näme 2"))]),
        change(Op::Upsert, "C-52", &[("credit limit", money("12345678901234567890.12"))]),
        change(Op::Delete, "C-99", &[]),
    ];
    let first = sink.apply(&chunk).await.unwrap();
    use Effected::{Created, Deleted, Unchanged, Updated};
    assert_eq!(effects(&first), [Ok(Updated), Ok(Created), Err("IB0512"), Err("IB0512"), Ok(Unchanged)]);
    assert_eq!(first[2].as_ref().unwrap_err().place.column.as_deref(), Some("name"));
    let second = sink.apply(&chunk).await.unwrap();
    assert_eq!(effects(&second), [Ok(Unchanged), Ok(Unchanged), Err("IB0512"), Err("IB0512"), Ok(Unchanged)]);

    let stored: (String, String) = connection
        .query_row("SELECT name, updated FROM customers WHERE no = 'C-50'", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(stored, ("Zoë \"x\"'; --".to_owned(), "2026-07-01 12:00:00".to_owned()), "in the zone of the column");
    let keys = [chunk[0].key.clone(), chunk[3].key.clone()];
    let now = sink.current(&keys, &["credit limit".into(), "name".into()]).await.unwrap();
    assert_eq!(now[0].as_ref().unwrap().columns.values(), [money("99.9"), Value::text("Näme 1")]);
    assert!(now[1].is_none());
    let gone = sink.apply(&[change(Op::Delete, "C-01", &[])]).await.unwrap();
    assert_eq!(effects(&gone), [Ok(Deleted)]);
}

#[tokio::test]
async fn a_destination_that_cannot_take_a_chunk_says_so_and_keeps_nothing_of_it() {
    let (dir, file, connection) = finance(1);
    let spec = |table: &str| WriteSpec {
        table: table.into(),
        key: vec!["no".into()],
        columns: vec![],
        time_zone: None,
        fields: Vec::new(),
        lines: Vec::new(),
        options: Options::default(),
    };
    let chunk = [change(Op::Upsert, "C-70", &[]), change(Op::Upsert, "C-71", &[("nope", Value::Int(1))])];
    let fault = system(&file).sink(spec("customers")).unwrap().apply(&chunk).await.unwrap_err();
    assert_eq!((fault.code.0, fault.place.column.as_deref()), ("IB0505", Some("nope")));
    let rows: i64 = connection.query_row("SELECT count(*) FROM customers", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
    let fault = system(&file).sink(spec("clients")).unwrap().apply(&chunk).await.unwrap_err();
    assert_eq!(fault.code.0, "IB0504");
    let missing = dir.path().join("none.db");
    let fault = system(&missing).sink(spec("customers")).unwrap().apply(&chunk).await.unwrap_err();
    assert_eq!((fault.code.0, missing.exists()), ("IB0501", false));

    let entry = connectors::registry::find("sqlite").unwrap();
    let mut options = options(&[("file", file.to_str().unwrap())]);
    options.0.insert("timeout".into(), OptionValue::Duration(Duration::from_millis(50)));
    let impatient = (entry.open)("finance", options).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let fault = impatient.sink(spec("customers")).unwrap().apply(&chunk[..1]).await.unwrap_err();
    assert_eq!((fault.code.0, fault.now), ("IB0513", Now::RetryAfter(None)));
}

/// Changes go on while pages are read, reads are cut and go on later: in the end nothing was missed.
#[tokio::test]
async fn whatever_happens_between_pages_nothing_is_missed() {
    for seed in 1..=40_u64 {
        let mut dice = seed;
        let mut roll = |sides: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % sides
        };
        let (_dir, file, connection) = finance(0);
        connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL").unwrap();
        let source = system(&file).source(by("updated", 0, spec("customers", &["no", "name"]))).unwrap();
        let mut copy = std::collections::BTreeMap::new();
        let mut cursor: Option<String> = None;
        let mut second = 0_i64;
        let start: jiff::civil::DateTime = "2026-01-01T00:00:00".parse().unwrap();
        for round in 0..30 {
            let calm = round == 29;
            let mut reader = source.read(cursor.as_deref()).await.unwrap();
            loop {
                for _ in 0..if calm { 0 } else { roll(4) } {
                    // Several changes share a second now and then; some rows never get a watermark.
                    second += roll(2) as i64;
                    let at = start.saturating_add(jiff::SignedDuration::from_secs(second));
                    let updated = (roll(8) > 0).then(|| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
                    connection
                        .execute(
                            "INSERT INTO customers (no, name, updated) VALUES (?1, ?2, ?3)
                             ON CONFLICT DO UPDATE SET name = ?2, updated = ?3",
                            rusqlite::params![
                                format!("C-{}", roll(25)),
                                format!("{round}-{second}-{}", roll(1000)),
                                updated
                            ],
                        )
                        .unwrap();
                }
                let Some(page) = reader.next().await.unwrap() else { break };
                for row in page.batch.rows() {
                    copy.insert(row.at(0).to_string(), row.at(1).to_string());
                }
                cursor = page.cursor;
                if !calm && roll(5) == 0 {
                    break;
                }
            }
        }
        // A read that was cut leaves its rest to the next one, which a new read of changes completes.
        for _ in 0..2 {
            let done = read(&*source, cursor.as_deref()).await;
            for page in &done.pages {
                copy.extend(page.batch.rows().map(|row| (row.at(0).to_string(), row.at(1).to_string())));
                cursor = page.cursor.clone();
            }
        }
        let mut statement = connection.prepare("SELECT no, name FROM customers").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let there: std::collections::BTreeMap<String, String> = rows.collect::<Result<_, _>>().unwrap();
        assert_eq!(copy, there, "seed {seed}");
    }
}

/// A GUID and a time are kept in many ways, and a key is found in each of them.
#[tokio::test]
async fn a_row_is_found_by_its_key_however_that_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("finance.db");
    let conn = Connection::open(&file).unwrap();
    let check = async |declared: &str, held: &str| {
        conn.execute_batch(&format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (no {declared}); INSERT INTO t VALUES ({held})"
        ))
        .unwrap();
        let zone = Some(jiff::tz::TimeZone::get("Europe/Berlin").unwrap());
        let source = system(&file).source(ReadSpec { time_zone: zone, ..spec("t", &["no"]) }).unwrap();
        let mut reader = source.read(None).await.unwrap();
        let page = reader.next().await.unwrap().unwrap();
        let row = page.batch.row(0).to_row();
        let key = Key::of([row.get("no").unwrap()]).unwrap();
        let found = source.get(std::slice::from_ref(&key)).await.unwrap();
        assert_eq!(found, [Some(row)], "{declared} {held}: {key}");
        let other: Value = match &key.parts()[0] {
            Value::Instant(at) => Value::Instant(*at + jiff::SignedDuration::from_secs(1)),
            Value::Date(date) => Value::Date(date.tomorrow().unwrap()),
            Value::Guid(_) => Value::Guid(uuid::Uuid::nil()),
            _ => Value::text("another"),
        };
        assert_eq!(source.get(&[Key::of([&other]).unwrap()]).await.unwrap(), [None], "{declared} {held}");
    };
    for held in [
        "'b5b6a2f1-0000-4000-8000-00000000000a'",
        "'B5B6A2F1-0000-4000-8000-00000000000A'",
        "'b5b6a2f100004000800000000000000a'",
        "'{b5b6a2f1-0000-4000-8000-00000000000a}'",
        "x'b5b6a2f100004000800000000000000a'",
    ] {
        check("GUID", held).await;
    }
    for held in ["2026-11-20 10:00:00", "2026-11-20T10:00:00", "2026-11-20T10:00:00Z", "2026-11-20 10:00:00.250"] {
        check("DATETIME", &format!("'{held}'")).await;
    }
    check("DATE", "'2026-11-20'").await;
    check("TEXT", "'B5B6A2F1-0000-4000-8000-00000000000A'").await;
    check("INTEGER", "7").await;
}
