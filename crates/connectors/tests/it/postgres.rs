//! A real PostgreSQL as a source, beyond what the conformance suite asks.

use std::sync::Arc;
use std::time::Duration;

use record::query::{Expr, Function, Lookup, Query};
use record::{Key, OptionValue, Options, Page, ReadKind, ReadSpec, Source, System, Value, Watermark};

use crate::conformance::{postgres_client, postgres_database};

fn text(name: &str, value: &str) -> (String, OptionValue) {
    (name.to_owned(), OptionValue::Text(value.to_owned()))
}

fn system(url: &str) -> Arc<dyn System> {
    let options = Options([text("url", url)].into());
    (connectors::registry::find("postgres").unwrap().open)("finance", options).unwrap()
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

async fn read(source: &dyn Source, cursor: Option<&str>) -> (ReadKind, Vec<Page>) {
    let mut reader = source.read(cursor).await.unwrap();
    let mut pages = Vec::new();
    while let Some(page) = reader.next().await.unwrap() {
        pages.push(page);
    }
    (reader.kind(), pages)
}

fn keys(pages: &[Page]) -> String {
    let keys = pages.iter().flat_map(|p| p.batch.rows().map(|row| row.at(0).to_string()).collect::<Vec<_>>());
    keys.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn changes_are_read_by_watermark_and_a_cut_loses_nothing() {
    let Some(url) = postgres_database("watermark").await else { return };
    let client = postgres_client(&url).await;
    let fill = "CREATE TABLE t (no text PRIMARY KEY, at timestamptz);
                INSERT INTO t SELECT 'r' || i, '2026-01-01T00:00:00Z'::timestamptz + i * interval '1 minute' FROM generate_series(10, 19) i;
                INSERT INTO t VALUES ('blank', NULL), ('future', '2999-01-01')";
    client.batch_execute(fill).await.unwrap();
    let mut spec = spec("t", &["no", "at"]);
    spec.watermark = Some(Watermark { column: "at".into(), overlap: Duration::from_secs(120) });
    let source = system(&url).source(spec).unwrap();
    let (kind, pages) = read(&*source, None).await;
    assert_eq!(kind, ReadKind::Full { why: None });
    assert_eq!(keys(&pages), "blank future r10 r11 r12 r13 r14 r15 r16 r17 r18 r19");
    let ended = pages.last().unwrap().cursor.clone().unwrap();

    // The future hides nothing that is written until then.
    client.batch_execute("UPDATE t SET at = now() WHERE no IN ('r12', 'r14')").await.unwrap();
    let (kind, changes) = read(&*source, Some(&ended)).await;
    assert_eq!(kind, ReadKind::Changes);
    assert_eq!(keys(&changes), "blank r12 r14 future");
    client
        .batch_execute(
            "DELETE FROM t WHERE no = 'future'; UPDATE t SET at = '2026-01-01T02:00:00Z' WHERE no IN ('r12', 'r14')",
        )
        .await
        .unwrap();
    let (_, pages) = read(&*source, None).await;
    let ended = pages.last().unwrap().cursor.clone().unwrap();
    let late = "INSERT INTO t SELECT 'late' || i, '2026-01-01T01:58:00Z'::timestamptz + i * interval '10 seconds' FROM generate_series(0, 8) i";
    client.batch_execute(late).await.unwrap();
    let (_, whole) = read(&*source, Some(&ended)).await;
    assert_eq!(keys(&whole), "blank late0 late1 late2 late3 late4 late5 late6 late7 late8 r12 r14", "two minutes back");
    for cut in 0..whole.len() - 1 {
        let (kind, rest) = read(&*source, whole[cut].cursor.as_deref()).await;
        assert_eq!(kind, ReadKind::Changes);
        let joined = format!("{} {}", keys(&whole[..=cut]), keys(&rest));
        // What has no watermark is read each time.
        let again = joined.replacen(" blank", "", joined.matches("blank").count() - 1);
        assert_eq!(again, keys(&whole), "cut after page {cut}");
    }
}

#[tokio::test]
async fn every_type_is_read_exactly_and_a_key_may_be_blank() {
    let Some(url) = postgres_database("types").await else { return };
    let client = postgres_client(&url).await;
    let fill = "CREATE TYPE mood AS ENUM ('fine', 'so so');
                CREATE TABLE t (no text, a numeric, b numeric(12,2), c money, d float8, e timestamp, f bytea, g uuid, h mood, i boolean, j jsonb, k char(5), l date, m bigint);
                INSERT INTO t VALUES ('x', 12345678901234567890.1234, 0.1, 1234.5, 0.1, '2026-07-01 12:00:00.25', '\\x00ff',
                  '6f9619ff-8b86-d011-b42d-00cf4fc964ff', 'so so', true, '{\"b\": 1}', 'ab', '2024-02-29', 9223372036854775807);
                INSERT INTO t (no) VALUES (NULL), (NULL), ('y'), (NULL), (NULL), ('z');
                INSERT INTO t (no, d) VALUES ('nan', 'NaN')";
    client.batch_execute(fill).await.unwrap();
    let mut spec = spec("public.t", &["no", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"]);
    spec.time_zone = Some(jiff::tz::TimeZone::get("Europe/London").unwrap());
    let source = system(&url).source(spec).unwrap();
    let (_, pages) = read(&*source, None).await;
    assert_eq!(keys(&pages), "(blank) (blank) (blank) (blank) x y z", "four blank keys come first, and none is lost");
    let row =
        pages.iter().flat_map(|page| page.batch.rows()).find(|row| row.at(0).to_string() == "x").unwrap().to_row();
    let shown: Vec<String> = row.values().iter().map(Value::to_string).collect();
    let expected = [
        "x",
        "12345678901234567890.1234",
        "0.10",
        "1234.50",
        "0.1",
        "2026-07-01T11:00:00.25Z",
        "AP8=",
        "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
        "so so",
        "yes",
        "{\"b\": 1}",
        "ab",
        "2024-02-29",
        "9223372036854775807",
    ];
    for ((found, expected), column) in
        shown.iter().zip(expected).zip(row.schema().columns()).filter(|((_, expected), _)| *expected != "AP8=")
    {
        assert_eq!(found, expected, "{}", column.name);
    }
    assert_eq!(row.get("f"), Some(&Value::Bytes(vec![0, 255])));
    let unreadable: Vec<_> = pages.iter().flat_map(|page| &page.unreadable).collect();
    assert_eq!(unreadable.len(), 1);
    assert_eq!((unreadable[0].fault.code.0, unreadable[0].fault.place.key.as_deref()), ("IB0606", Some("nan")));
    let wanted = [Key::of(&[Value::text("z")]).unwrap(), Key::of(&[Value::text("none")]).unwrap()];
    let got = source.get(&wanted).await.unwrap();
    assert!(got[0].is_some() && got[1].is_none(), "{got:?}");
}

/// A sequence gives its numbers before they are committed.
#[tokio::test]
async fn a_number_that_is_committed_after_a_larger_one_is_read() {
    let Some(url) = postgres_database("numbers").await else { return };
    let (client, slow) = (postgres_client(&url).await, postgres_client(&url).await);
    client
        .batch_execute("CREATE TABLE t (no text PRIMARY KEY, id bigserial); INSERT INTO t VALUES ('first')")
        .await
        .unwrap();
    let mut spec = spec("t", &["no", "id"]);
    spec.watermark = Some(Watermark { column: "id".into(), overlap: Duration::from_secs(300) });
    let source = system(&url).source(spec).unwrap();
    let ended = |pages: Vec<Page>| pages.last().unwrap().cursor.clone().unwrap();
    let (_, pages) = read(&*source, None).await;
    slow.batch_execute("BEGIN; INSERT INTO t VALUES ('slow')").await.unwrap();
    client.batch_execute("INSERT INTO t VALUES ('fast')").await.unwrap();
    let (_, pages) = read(&*source, Some(&ended(pages))).await;
    assert_eq!(keys(&pages), "first fast");
    slow.batch_execute("COMMIT").await.unwrap();
    let (kind, pages) = read(&*source, Some(&ended(pages))).await;
    assert_eq!((kind, keys(&pages).as_str()), (ReadKind::Changes, "first slow fast"));
}

#[tokio::test]
async fn a_query_is_read_like_a_table_and_can_change_nothing() {
    let Some(url) = postgres_database("query").await else { return };
    let client = postgres_client(&url).await;
    client
        .batch_execute("CREATE TABLE t (no int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 10)")
        .await
        .unwrap();
    let with = |query: &str| {
        let options = Options([text("query", query)].into());
        system(&url).source(ReadSpec { options, ..spec("", &["no"]) }).unwrap()
    };
    let (_, pages) = read(&*with("SELECT no FROM t WHERE no > 4;"), None).await;
    assert_eq!(keys(&pages), "5 6 7 8 9 10");
    let (_, rest) = read(&*with("SELECT no FROM t WHERE no > 4"), pages[0].cursor.as_deref()).await;
    assert_eq!(keys(&rest), "8 9 10");
    client
        .batch_execute("CREATE FUNCTION spoil() RETURNS int LANGUAGE sql AS 'DELETE FROM t RETURNING 1'")
        .await
        .unwrap();
    let mut reader = match with("SELECT spoil() AS no").read(None).await {
        Err(fault) => return assert_eq!(fault.code.0, "IB0604", "{fault}"),
        Ok(reader) => reader,
    };
    assert_eq!(reader.next().await.unwrap_err().code.0, "IB0604");
}

#[tokio::test]
async fn a_slow_statement_and_a_cut_network_are_tried_again() {
    let Some(url) = postgres_database("slow").await else { return };
    let client = postgres_client(&url).await;
    client
        .batch_execute("CREATE TABLE t (no int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 20000)")
        .await
        .unwrap();
    let mut options = Options([text("url", &url)].into());
    options.0.insert("timeout".into(), OptionValue::Duration(Duration::from_millis(300)));
    let open = |options: Options| (connectors::registry::find("postgres").unwrap().open)("finance", options).unwrap();
    let query = Options([text("query", "SELECT no, pg_sleep(1) FROM t")].into());
    let source = open(options).source(ReadSpec { options: query, ..spec("", &["no"]) }).unwrap();
    let fault = match source.read(None).await {
        Err(fault) => fault,
        Ok(mut reader) => reader.next().await.unwrap_err(),
    };
    assert_eq!((fault.code.0, fault.is_transient()), ("IB0605", true), "{fault}");

    let source = system(&url).source(spec("t", &["no"])).unwrap();
    let mut reader = source.read(None).await.unwrap();
    reader.next().await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ironbridge' AND datname = current_database()";
    client.batch_execute(end).await.unwrap();
    let mut fault = None;
    while fault.is_none() {
        match reader.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a read that was cut looks like one that ended"),
            Err(why) => fault = Some(why),
        }
    }
    let fault = fault.unwrap();
    assert!(fault.is_transient(), "{fault}");
    let nobody = system("postgres://tester:sample@127.0.0.1:9/postgres").check().await.unwrap_err();
    assert_eq!((nobody.code.0, nobody.is_transient()), ("IB0601", true), "{nobody}");
}

#[tokio::test]
async fn a_certificate_is_verified_and_one_of_ones_own_can_be_named() {
    let Some(url) = postgres_database("tls").await else { return };
    let ca = std::env::var("IRONBRIDGE_TEST_CA").unwrap();
    let encrypted = format!("{url}?sslmode=require");
    let open = |options: Options| (connectors::registry::find("postgres").unwrap().open)("finance", options).unwrap();
    let fault = system(&encrypted).check().await.unwrap_err();
    assert_eq!((fault.code.0, fault.fix.contains("ca:")), ("IB0601", true), "{fault:?}");
    let trusting = open(Options([text("url", &encrypted), text("ca", &ca)].into()));
    let query = "SELECT ssl::text AS no FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let options = Options([text("query", query)].into());
    let source = trusting.source(ReadSpec { options, ..spec("", &["no"]) }).unwrap();
    assert_eq!(keys(&read(&*source, None).await.1), "true");
}

/// The statement that is offered makes an index that serves the very expression that rows are looked up by.
#[tokio::test]
async fn a_row_is_found_by_the_hash_of_its_key_with_the_index_that_is_offered() {
    let Some(url) = postgres_database("lookup").await else { return };
    let client = postgres_client(&url).await;
    let fill = "CREATE TABLE stock (sku varchar(20), warehouse text, no int, day date, PRIMARY KEY (sku, warehouse, no));
                INSERT INTO stock SELECT 'SKU|' || i, E'Köln\\\\' || i % 7, i, '2026-01-01' FROM generate_series(1, 20000) i;
                ANALYZE stock; CREATE VIEW shown AS SELECT * FROM stock";
    client.batch_execute(fill).await.unwrap();
    let names = ["sku", "warehouse", "no", "day"];
    let key: Vec<String> = names[..3].iter().map(|name| (*name).to_owned()).collect();
    let table = system(&url).queryable(spec("stock", &names)).unwrap();
    let Lookup::Needs(sql) = table.lookup(&key).await.unwrap() else { panic!("there is no index yet") };
    let values = [Value::text("SKU|777"), Value::text("Köln\\0"), Value::Int(777)];
    let guid = record::guid::hashed(&Key::of(&values).unwrap());
    let columns = key.iter().map(Expr::column).collect();
    let filter = Expr::equal(Expr::Call(Function::KeyGuid, columns), Value::Guid(guid));
    let query = Query { columns: key.clone(), filter: Some(filter), limit: 5, ..Query::default() };
    let found = async || {
        let answer = table.query(&query).await.unwrap();
        answer.rows.rows().map(|row| row.to_row().into_values()).collect::<Vec<_>>()
    };
    assert_eq!(found().await, [values.to_vec()]);

    client.batch_execute(&sql).await.unwrap_or_else(|why| panic!("{why}: {sql}"));
    client.batch_execute("ANALYZE stock").await.unwrap();
    assert_eq!(table.lookup(&key).await.unwrap(), Lookup::Indexed);
    assert!(
        matches!(table.lookup(&key[..2]).await.unwrap(), Lookup::Needs(_)),
        "an index on another key is another one"
    );
    // A session plans its statements anew when there is another index.
    assert_eq!(found().await, [values.to_vec()]);
    assert_eq!(found().await, [values.to_vec()]);
    // What sessions did is told when they end.
    drop(table);
    let mut used = 0;
    for _ in 0..50 {
        let sql = "SELECT coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_indexes WHERE indexrelname LIKE 'ironbridge_key_%'";
        used = client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
        if used > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(used > 0, "the index was never used");

    let view = system(&url).queryable(spec("shown", &names)).unwrap();
    assert_eq!(view.lookup(&key).await.unwrap(), Lookup::Scan, "a view has no index");
    let table = system(&url).queryable(spec("stock", &names)).unwrap();
    let dated = ["sku".to_owned(), "day".to_owned()];
    assert_eq!(table.lookup(&dated).await.unwrap(), Lookup::Scan, "how a date is written is a matter of the session");
}

/// A time without a zone means another moment in each zone, and its row is found by the moment.
#[tokio::test]
async fn a_row_is_found_by_its_key_whatever_type_that_has() {
    let Some(url) = postgres_database("typed_keys").await else { return };
    let client = postgres_client(&url).await;
    for (declared, held) in [
        ("timestamp", "2026-11-20 10:00:00"),
        ("timestamptz", "2026-11-20 10:00:00+03"),
        ("date", "2026-11-20"),
        ("uuid", "b5b6a2f1-0000-4000-8000-00000000000a"),
        ("text", "B5B6A2F1-0000-4000-8000-00000000000A"),
        ("numeric(10,2)", "7.50"),
        ("boolean", "true"),
    ] {
        let make = format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (no {declared} PRIMARY KEY); INSERT INTO t VALUES ('{held}')"
        );
        client.batch_execute(&make).await.unwrap();
        let zone = Some(jiff::tz::TimeZone::get("Europe/Berlin").unwrap());
        let source = system(&url).source(ReadSpec { time_zone: zone, ..spec("t", &["no"]) }).unwrap();
        let (_, pages) = read(&*source, None).await;
        let row = pages[0].batch.row(0).to_row();
        let key = Key::of([row.get("no").unwrap()]).unwrap();
        assert_eq!(source.get(std::slice::from_ref(&key)).await.unwrap(), [Some(row)], "{declared}: {key}");
    }
}
