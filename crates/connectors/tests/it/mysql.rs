//! A real MariaDB as a source and as a destination, beyond what the conformance suite asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use record::{
    Change, Effected, Key, KeyRules, Op, OptionValue, Options, Page, ReadKind, ReadSpec, Row, Schema, Sink, Source,
    System, Type, Value, Watermark, WriteSpec,
};

use crate::conformance::{mysql_client, mysql_database};

fn text(name: &str, value: &str) -> (String, OptionValue) {
    (name.to_owned(), OptionValue::Text(value.to_owned()))
}

fn open(options: Options) -> Arc<dyn System> {
    (connectors::registry::find("mysql").unwrap().open)("shop", options).unwrap()
}

fn system(url: &str) -> Arc<dyn System> {
    open(Options([text("url", url)].into()))
}

fn spec(table: &str, columns: &[&str]) -> ReadSpec {
    ReadSpec {
        table: table.into(),
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        watermark: None,
        key: vec!["no".into()],
        rows_per_batch: 3,
        time_zone: None,
        declared: Vec::new(),
        fields: Vec::new(),
        options: Options::default(),
    }
}

fn query(url: &str, query: &str, columns: &[&str]) -> Arc<dyn Source> {
    system(url).source(ReadSpec { options: Options([text("query", query)].into()), ..spec("", columns) }).unwrap()
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

async fn sql(url: &str, statements: &str) {
    let mut client = mysql_client(url).await;
    for statement in statements.split(";\n").filter(|statement| !statement.trim().is_empty()) {
        client.query_drop(statement).await.unwrap_or_else(|why| panic!("{statement}: {why}"));
    }
    client.disconnect().await.unwrap();
}

#[tokio::test]
async fn changes_are_read_by_watermark_and_a_cut_loses_nothing() {
    let Some(url) = mysql_database("watermark").await else { return };
    sql(
        &url,
        "CREATE TABLE t (no VARCHAR(20) PRIMARY KEY, at DATETIME(6));\n
         INSERT INTO t SELECT CONCAT('r', seq), TIMESTAMPADD(MINUTE, seq, '2026-01-01') FROM seq_10_to_19;\n
         INSERT INTO t VALUES ('blank', NULL), ('future', '2999-01-01')",
    )
    .await;
    let mut spec = spec("t", &["no", "at"]);
    spec.watermark = Some(Watermark { column: "at".into(), overlap: Duration::from_secs(120) });
    let source = system(&url).source(spec).unwrap();
    let (kind, pages) = read(&*source, None).await;
    assert_eq!(kind, ReadKind::Full { why: None });
    assert_eq!(keys(&pages), "blank future r10 r11 r12 r13 r14 r15 r16 r17 r18 r19");
    let ended = pages.last().unwrap().cursor.clone().unwrap();

    // The future hides nothing that is written until then.
    sql(&url, "UPDATE t SET at = UTC_TIMESTAMP(6) WHERE no IN ('r12', 'r14')").await;
    let (kind, changes) = read(&*source, Some(&ended)).await;
    assert_eq!(kind, ReadKind::Changes);
    assert_eq!(keys(&changes), "blank r12 r14 future");
    sql(&url, "DELETE FROM t WHERE no = 'future';\nUPDATE t SET at = '2026-01-01 02:00:00' WHERE no IN ('r12', 'r14')")
        .await;
    let (_, pages) = read(&*source, None).await;
    let ended = pages.last().unwrap().cursor.clone().unwrap();
    sql(&url, "INSERT INTO t SELECT CONCAT('late', seq), TIMESTAMPADD(SECOND, 10 * seq, '2026-01-01 01:58:00') FROM seq_0_to_8").await;
    let (_, whole) = read(&*source, Some(&ended)).await;
    assert_eq!(keys(&whole), "blank late0 late1 late2 late3 late4 late5 late6 late7 late8 r12 r14", "two minutes back");
    for cut in 0..whole.len() - 1 {
        let (kind, rest) = read(&*source, whole[cut].cursor.as_deref()).await;
        assert_eq!(kind, ReadKind::Changes);
        assert_eq!(format!("{} {}", keys(&whole[..=cut]), keys(&rest)), keys(&whole), "cut after page {cut}");
    }
}

/// AUTO_INCREMENT gives its numbers before they are committed.
#[tokio::test]
async fn a_number_that_is_committed_after_a_larger_one_is_read() {
    let Some(url) = mysql_database("numbers").await else { return };
    sql(&url, "CREATE TABLE t (no VARCHAR(20) UNIQUE NOT NULL, id BIGINT AUTO_INCREMENT PRIMARY KEY);\nINSERT INTO t (no) VALUES ('first')").await;
    let mut spec = spec("t", &["no", "id"]);
    spec.watermark = Some(Watermark { column: "id".into(), overlap: Duration::from_secs(300) });
    let source = system(&url).source(spec).unwrap();
    let ended = |pages: Vec<Page>| pages.last().unwrap().cursor.clone().unwrap();
    let (_, pages) = read(&*source, None).await;
    let mut slow = mysql_client(&url).await;
    slow.query_drop("BEGIN").await.unwrap();
    slow.query_drop("INSERT INTO t (no) VALUES ('slow')").await.unwrap();
    sql(&url, "INSERT INTO t (no) VALUES ('fast')").await;
    let (_, pages) = read(&*source, Some(&ended(pages))).await;
    assert_eq!(keys(&pages), "first fast");
    slow.query_drop("COMMIT").await.unwrap();
    slow.disconnect().await.unwrap();
    let (kind, pages) = read(&*source, Some(&ended(pages))).await;
    assert_eq!((kind, keys(&pages).as_str()), (ReadKind::Changes, "first slow fast"));
}

#[tokio::test]
async fn every_type_is_read_exactly_or_sets_its_row_aside() {
    let Some(url) = mysql_database("types").await else { return };
    sql(
        &url,
        "CREATE TABLE t (no VARCHAR(20), a DECIMAL(30,4), b DECIMAL(12,2), d DOUBLE, d4 FLOAT, e DATETIME(2), e0 TIMESTAMP(3) NULL,
           f VARBINARY(10), h ENUM('fine', 'so so'), i TINYINT(1), i1 BIT(1), i9 BIT(9), j JSON, k CHAR(5), l DATE, m BIGINT UNSIGNED,
           n TIME, o YEAR, p VARCHAR(20) CHARACTER SET latin1, q UUID, r TINYINT UNSIGNED, s MEDIUMTEXT)",
    )
    .await;
    sql(
        &url,
        "INSERT INTO t VALUES ('x', 12345678901234567890.1234, 0.1, 0.1, 0.1, '2026-07-01 12:00:00.25', '2026-07-01 12:00:00.125',
           X'00FF', 'so so', 1, b'1', b'100000001', '{\"b\": 1}', 'ab', '2024-02-29', 9223372036854775807, '23:59:58', 2026,
           'Zoë', '6f9619ff-8b86-d011-b42d-00cf4fc964ff', 255, 'Größe 大小 🙂')",
    )
    .await;
    sql(&url, "INSERT INTO t (no) VALUES (NULL), (NULL), ('y'), (NULL), (NULL), ('z')").await;
    let mut client = mysql_client(&url).await;
    client.query_drop("SET sql_mode = ''").await.unwrap();
    client.query_drop("INSERT INTO t (no, l) VALUES ('zero', '0000-00-00')").await.unwrap();
    client.query_drop("INSERT INTO t (no, e) VALUES ('month', '2026-00-10')").await.unwrap();
    client.query_drop("INSERT INTO t (no, i) VALUES ('seven', 7)").await.unwrap();
    client.query_drop("INSERT INTO t (no, m) VALUES ('large', 18446744073709551615)").await.unwrap();
    client.query_drop("INSERT INTO t (no, n) VALUES ('days', '100:00:00')").await.unwrap();
    client.query_drop("INSERT INTO t (no, e) VALUES ('twice', '2026-10-25 01:30:00')").await.unwrap();
    let columns = [
        "no", "a", "b", "d", "d4", "e", "e0", "f", "h", "i", "i1", "i9", "j", "k", "l", "m", "n", "o", "p", "q", "r",
        "s",
    ];
    let mut spec = spec("types.t", &columns);
    spec.time_zone = Some(jiff::tz::TimeZone::get("Europe/London").unwrap());
    let source = system(&url).source(spec).unwrap();
    let (_, pages) = read(&*source, None).await;
    assert_eq!(keys(&pages), "(blank) (blank) (blank) (blank) x y z", "four blank keys come first, and none is lost");
    let row =
        pages.iter().flat_map(|page| page.batch.rows()).find(|row| row.at(0).to_string() == "x").unwrap().to_row();
    // The server's zone is UTC here: what was written as noon is noon there.
    let expected = [
        ("a", "12345678901234567890.1234"),
        ("b", "0.10"),
        ("d", "0.1"),
        ("d4", "0.1"),
        ("e", "2026-07-01T11:00:00.25Z"),
        ("e0", "2026-07-01T12:00:00.125Z"),
        ("h", "so so"),
        ("i", "yes"),
        ("i1", "yes"),
        ("i9", "257"),
        ("j", "{\"b\": 1}"),
        ("k", "ab"),
        ("l", "2024-02-29"),
        ("m", "9223372036854775807"),
        ("n", "23:59:58"),
        ("o", "2026"),
        ("p", "Zoë"),
        ("q", "6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
        ("r", "255"),
        ("s", "Größe 大小 🙂"),
    ];
    for (column, expected) in expected {
        assert_eq!(row.get(column).unwrap().to_string(), expected, "{column}");
    }
    assert_eq!(row.get("f"), Some(&Value::Bytes(vec![0, 255])));
    let mut unreadable: Vec<_> = pages.iter().flat_map(|page| &page.unreadable).collect();
    unreadable.sort_by_key(|row| row.fault.place.key.clone());
    let found: Vec<_> =
        unreadable.iter().map(|row| (row.fault.place.key.as_deref().unwrap_or_default(), row.fault.code.0)).collect();
    let expected = [
        ("days", "IB0606"),
        ("large", "IB0606"),
        ("month", "IB0606"),
        ("seven", "IB0606"),
        ("twice", "IB0608"),
        ("zero", "IB0606"),
    ];
    assert_eq!(found, expected);
    let wanted = [Key::of(&[Value::text("z")]).unwrap(), Key::of(&[Value::text("none")]).unwrap()];
    let got = source.get(&wanted).await.unwrap();
    assert!(got[0].is_some() && got[1].is_none(), "{got:?}");
}

#[tokio::test]
async fn a_query_is_read_like_a_table_and_can_change_nothing() {
    let Some(url) = mysql_database("query").await else { return };
    sql(
        &url,
        "CREATE TABLE t (no INT PRIMARY KEY, kind VARCHAR(10));\n
         INSERT INTO t SELECT seq, IF(seq % 2, 'odd', 'Odd') FROM seq_1_to_10;\n
         CREATE FUNCTION spoil() RETURNS INT MODIFIES SQL DATA BEGIN DELETE FROM t; RETURN 1; END",
    )
    .await;
    let source = query(&url, "SELECT no FROM t WHERE no > 4;", &["no"]);
    let (_, pages) = read(&*source, None).await;
    assert_eq!(keys(&pages), "5 6 7 8 9 10");
    let (_, rest) = read(&*source, pages[0].cursor.as_deref()).await;
    assert!(keys(&rest).ends_with("8 9 10") && rest.len() < 3, "{}", keys(&rest));
    // Many rows share a place, and the database finds some equal that are not the same: none is lost.
    let source = system(&url)
        .source(ReadSpec {
            options: Options([text("query", "SELECT no, kind FROM t")].into()),
            key: vec!["kind".into()],
            ..spec("", &["no", "kind"])
        })
        .unwrap();
    let (_, whole) = read(&*source, None).await;
    for page in &whole[..whole.len() - 1] {
        let (_, rest) = read(&*source, page.cursor.as_deref()).await;
        let mut all: Vec<String> = keys(&whole).split(' ').map(str::to_owned).collect();
        all.retain(|key| !keys(&rest).split(' ').any(|seen| seen == key));
        assert!(all.is_empty(), "after a cut, {all:?} were lost");
    }
    let source = query(&url, "SELECT spoil() AS no", &["no"]);
    let fault = match source.read(None).await {
        Err(fault) => fault,
        Ok(mut reader) => reader.next().await.unwrap_err(),
    };
    assert_eq!(fault.code.0, "IB0604", "{fault}");
    assert_eq!(keys(&read(&*query(&url, "SELECT COUNT(*) AS no FROM t", &["no"]), None).await.1), "10");
    let fault = query(&url, "SELECT no FROM t", &["nothing"]).read(None).await.err().unwrap();
    assert_eq!((fault.code.0, fault.place.column.as_deref()), ("IB0603", Some("nothing")), "{fault}");
}

fn change(op: Op, key: &[Value], columns: &[(&str, Value)]) -> Change {
    let schema = Schema::of(columns.iter().map(|(name, _)| (*name, Type::Unknown)));
    Change {
        op,
        key: Key::of(key).unwrap(),
        columns: Row::new(schema, columns.iter().map(|(_, value)| value.clone()).collect()),
        remote_id: None,
        if_version: None,
    }
}

fn sink(url: &str, table: &str, key: &[&str]) -> Arc<dyn Sink> {
    system(url)
        .sink(WriteSpec {
            table: table.into(),
            key: key.iter().map(|k| (*k).to_owned()).collect(),
            columns: Vec::new(),
            time_zone: Some(jiff::tz::TimeZone::get("Europe/London").unwrap()),
            fields: Vec::new(),
            lines: Vec::new(),
            options: Options::default(),
        })
        .unwrap()
}

async fn effects(sink: &dyn Sink, changes: &[Change]) -> Vec<Result<Effected, String>> {
    let outcomes = sink.apply(changes).await.unwrap();
    let short = |fault: record::Fault| format!("{} {}", fault.code.0, fault.place.column.unwrap_or_default());
    outcomes.into_iter().map(|outcome| outcome.map(|written| written.effect).map_err(short)).collect()
}

#[tokio::test]
async fn only_the_row_with_the_key_is_ever_written() {
    let Some(url) = mysql_database("upsert").await else { return };
    sql(
        &url,
        "CREATE TABLE c (company INT, no VARCHAR(20), email VARCHAR(60) UNIQUE, name VARCHAR(10) NOT NULL, at DATETIME,
           PRIMARY KEY (company, no));\n
         INSERT INTO c VALUES (1, 'A', 'a@x.example', 'first', NULL)",
    )
    .await;
    let sink_c = sink(&url, "c", &["company", "no"]);
    let key = |no: &str| [Value::Int(1), Value::text(no)];
    let at = Value::Instant("2026-07-01T11:00:00.987654Z".parse().unwrap());
    let changes = [
        // `ON DUPLICATE KEY UPDATE` would write this into row A, whose e-mail it repeats.
        change(Op::Upsert, &key("B"), &[("email", Value::text("a@x.example")), ("name", Value::text("thief"))]),
        change(Op::Upsert, &key("C"), &[("email", Value::text("c@x.example")), ("name", Value::text("new"))]),
        change(Op::Upsert, &key("D"), &[("email", Value::Blank), ("name", Value::text("longer than ten"))]),
        change(Op::Upsert, &key("A"), &[("name", Value::text("First")), ("at", at)]),
        change(Op::Upsert, &key("E"), &[("email", Value::Blank), ("name", Value::Blank)]),
        change(Op::Delete, &key("none"), &[]),
    ];
    let found = effects(&*sink_c, &changes).await;
    let expected = [
        Err("IB0512 ".to_owned()),
        Ok(Effected::Created),
        Err("IB0512 name".to_owned()),
        Ok(Effected::Updated),
        Err("IB0512 name".to_owned()),
        Ok(Effected::Unchanged),
    ];
    assert_eq!(found, expected);
    let mut client = mysql_client(&url).await;
    let rows: Vec<String> =
        client.query("SELECT CONCAT_WS(',', no, email, name, at) FROM c ORDER BY no").await.unwrap();
    assert_eq!(rows, ["A,a@x.example,First,2026-07-01 12:00:00", "C,c@x.example,new"], "local time, cut to seconds");
    // The same again, in other letters: a row that is equal to the database is that row.
    let again = [change(Op::Upsert, &key("c"), &[("name", Value::text("new"))]), change(Op::Delete, &key("a"), &[])];
    assert_eq!(effects(&*sink_c, &again).await, [Ok(Effected::Unchanged), Ok(Effected::Deleted)]);
    system(&url).catalog(&["c"]).await.unwrap();
    assert_eq!(
        sink_c.key_rules(),
        KeyRules { ignore_case: true, ignore_trailing_spaces: true, ignore_accents: true, as_kept: false }
    );

    let fault = sink(&url, "c", &["name"]).apply(&again).await.unwrap_err();
    assert_eq!(fault.code.0, "IB0506", "{fault}");
}

#[tokio::test]
async fn a_chunk_of_many_rows_is_written_whatever_some_of_them_are() {
    let Some(url) = mysql_database("many").await else { return };
    sql(
        &url,
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, no VARCHAR(20) UNIQUE, amount DECIMAL(10,2), CHECK (amount >= 0))",
    )
    .await;
    let sink = sink(&url, "t", &["no"]);
    let amount = |text: &str| Value::Decimal(text.parse().unwrap());
    let row =
        |i: usize, value: &str| change(Op::Upsert, &[Value::text(format!("{i:05}"))], &[("amount", amount(value))]);
    let rows: Vec<Change> = (0..1000)
        .map(|i| {
            row(
                i,
                if i % 333 == 7 {
                    "-1"
                } else if i == 500 {
                    "0.001"
                } else {
                    "1.50"
                },
            )
        })
        .collect();
    let began = Instant::now();
    let found = effects(&*sink, &rows).await;
    let refused: Vec<usize> = (0..1000).filter(|i| found[*i].is_err()).collect();
    assert_eq!(refused, [7, 340, 500, 673], "{:?}", found.iter().find(|f| f.is_err()));
    assert!(found.iter().filter(|f| f.is_ok()).all(|f| *f == Ok(Effected::Created)));
    let again = effects(&*sink, &rows).await;
    assert!(again.iter().filter(|f| f.is_ok()).all(|f| *f == Ok(Effected::Unchanged)));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_nobody_waits_for_ends_on_the_server_too() {
    let Some(url) = mysql_database("slow").await else { return };
    sql(&url, "CREATE TABLE t (no INT PRIMARY KEY);\nINSERT INTO t SELECT seq FROM seq_1_to_20000").await;
    let running = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'slow' AND command IN ('Query', 'Execute') AND info LIKE '%SLEEP(60)%'
                   AND id <> CONNECTION_ID()";
    let source = query(&url, "SELECT no, SLEEP(60) AS nap FROM t", &["no", "nap"]);
    let reader = tokio::time::timeout(Duration::from_millis(700), async {
        let mut reader = source.read(None).await.unwrap();
        reader.next().await.unwrap();
    });
    assert!(reader.await.is_err(), "the query takes minutes");
    let mut client = mysql_client(&url).await;
    let began = Instant::now();
    while client.query_first::<i64, _>(running).await.unwrap() != Some(0) {
        assert!(began.elapsed() < Duration::from_secs(10), "the query goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let nobody = system("mysql://tester:sample@127.0.0.1:9/slow").check().await.unwrap_err();
    assert_eq!((nobody.code.0, nobody.is_transient()), ("IB0601", true), "{nobody}");
}

#[tokio::test]
async fn a_certificate_is_verified_and_one_of_ones_own_can_be_named() {
    let Some(url) = mysql_database("tls").await else { return };
    let ca = std::env::var("IRONBRIDGE_TEST_CA").unwrap();
    let encrypted = format!("{url}?sslmode=require");
    let fault = system(&encrypted).check().await.unwrap_err();
    assert_eq!((fault.code.0, fault.fix.contains("ca:")), ("IB0601", true), "{fault:?}");
    let trusting = open(Options([text("url", &encrypted), text("ca", &ca)].into()));
    let health = trusting.check().await.unwrap();
    assert!(health.version.starts_with("MariaDB "), "{health:?}");
    let options = Options(
        [text(
            "query",
            "SELECT VARIABLE_VALUE AS no FROM information_schema.session_status WHERE VARIABLE_NAME = 'Ssl_version'",
        )]
        .into(),
    );
    let source = trusting.source(ReadSpec { options, ..spec("", &["no"]) }).unwrap();
    assert_eq!(keys(&read(&*source, None).await.1), "TLSv1.3");
    let nowhere = open(Options([text("url", &encrypted), text("ca", "/nowhere/ca.pem")].into()));
    let fault = nowhere.check().await.unwrap_err();
    assert!(fault.why.as_ref().unwrap().text.contains("/nowhere/ca.pem"), "{fault:?}");
}
