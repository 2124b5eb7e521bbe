//! Memory that does not depend on how much a source holds: each kind is read by a process of its own, few rows and many.
//!
//! `IRONBRIDGE_MEMORY_ROWS` says how many are many; `scripts/soak` takes a million.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use mysql_async::prelude::Queryable;
use record::{OptionValue, Options, ReadSpec, Type};

use crate::conformance::{mysql_client, mysql_database, postgres_client, postgres_database, server};
use crate::web::{Response, Server, json};

const HERE: &str = "memory::";
const CHILD: &str = "IRONBRIDGE_TEST_MEMORY";
/// What many rows may take more than few: some pages of 1,000 rows that are on their way, and buffers of drivers.
const MORE_KB: u64 = 24 * 1024;

/// What the process that reads is told: a kind, its connection and its entity.
struct Case<'a> {
    kind: &'a str,
    connection: &'a [(&'a str, &'a str)],
    table: &'a str,
    entity: &'a [(&'a str, &'a str)],
}

fn many() -> usize {
    std::env::var("IRONBRIDGE_MEMORY_ROWS").map_or(150_000, |text| text.parse().unwrap())
}

/// A text of 120 characters, never the same.
fn name(row: usize) -> String {
    format!("{:-<120}", format!("Article {row} (sample) "))
}

/// `a.b` is one in a group.
fn options(pairs: impl Iterator<Item = (String, String)>) -> Options {
    let mut options = Options::default();
    for (name, value) in pairs {
        let value = OptionValue::Text(value);
        match name.split_once('.') {
            None => drop(options.0.insert(name, value)),
            Some((group, inner)) => {
                let group = options.0.entry(group.to_owned()).or_insert_with(|| OptionValue::Map(Default::default()));
                let OptionValue::Map(map) = group else { panic!("a group and a text") };
                map.insert(inner.to_owned(), value);
            }
        }
    }
    options
}

/// Reads everything, and prints how many rows came and the most memory that this process ever had, in KB.
#[expect(clippy::print_stdout, reason = "it answers the process that started it")]
async fn child(told: &str) {
    let told: serde_json::Value = serde_json::from_str(told).unwrap();
    let pairs = |of: &str| {
        let list: Vec<(String, String)> = serde_json::from_value(told[of].clone()).unwrap();
        options(list.into_iter())
    };
    let kind = connectors::registry::find(told["kind"].as_str().unwrap()).unwrap();
    let system = (kind.open)("tested", pairs("connection")).unwrap();
    let spec = ReadSpec {
        table: told["table"].as_str().unwrap().to_owned(),
        columns: vec!["number".into(), "name".into()],
        declared: ["number", "name"].map(|name| (name.to_owned(), Type::Text { max_length: None })).into(),
        watermark: None,
        key: vec!["number".into()],
        rows_per_batch: 1_000,
        time_zone: None,
        fields: vec![("number".to_owned(), "number".to_owned()), ("name".to_owned(), "name".to_owned())],
        options: pairs("entity"),
    };
    let mut reader = system.source(spec).unwrap().read(None).await.unwrap();
    let mut rows = 0;
    while let Some(page) = reader.next().await.unwrap() {
        rows += page.batch.len();
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("rows {rows} peak {}", peak.trim().trim_end_matches("kB").trim());
}

/// Reads so many rows in a process of its own. Answers its peak in KB.
fn peak(test: &str, case: &Case<'_>, rows: usize) -> u64 {
    let told = serde_json::json!({
        "kind": case.kind, "connection": case.connection, "table": case.table, "entity": case.entity,
    });
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("{HERE}{test}"), "--exact", "--nocapture"]).env(CHILD, told.to_string());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, rest) = said
        .split_once(&format!("rows {rows} peak "))
        .unwrap_or_else(|| panic!("{test} of {rows} rows: {said}{}", String::from_utf8_lossy(&output.stderr)));
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

/// `case` gives the case of few rows and that of many.
#[expect(clippy::print_stderr, reason = "a measurement is to be seen")]
fn bounded(test: &str, few: (&Case<'_>, usize), many: (&Case<'_>, usize)) {
    let (small, large) = (peak(test, few.0, few.1), peak(test, many.0, many.1));
    eprintln!("{test}: {} rows take {small} KB, {} rows {large} KB", few.1, many.1);
    assert!(large < small + MORE_KB, "{test}: {} rows take {small} KB, {} rows {large} KB", few.1, many.1);
}

/// Whether this process is the one that reads; it has read then.
async fn is_child() -> bool {
    match std::env::var(CHILD) {
        Ok(told) => {
            child(&told).await;
            true
        }
        Err(_) => false,
    }
}

const FEW: usize = 1_000;

/// The same system with a table of few and one of many rows.
fn tables(test: &str, kind: &str, connection: &[(&str, &str)]) {
    let case = |table| Case { kind, connection, table, entity: &[] };
    bounded(test, (&case("few"), FEW), (&case("many"), many()));
}

#[tokio::test]
async fn sqlite() {
    if is_child().await {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("m.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    for (table, rows) in [("few", FEW), ("many", many())] {
        let fill = format!(
            "CREATE TABLE {table} (number TEXT PRIMARY KEY, name TEXT);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO {table} SELECT printf('R-%07d', i), printf('%-120s', 'Article ' || i || ' (sample)') FROM n"
        );
        connection.execute_batch(&fill).unwrap();
    }
    tables("sqlite", "sqlite", &[("file", file.to_str().unwrap())]);
}

#[tokio::test]
async fn postgres() {
    if is_child().await {
        return;
    }
    let Some(url) = postgres_database("memory").await else { return };
    for (table, rows) in [("few", FEW), ("many", many())] {
        let fill = format!(
            "CREATE TABLE {table} (number TEXT PRIMARY KEY, name TEXT);
             INSERT INTO {table} SELECT 'R-' || lpad(i::text, 7, '0'), rpad('Article ' || i || ' (sample)', 120, '-')
             FROM generate_series(1, {rows}) i"
        );
        postgres_client(&url).await.batch_execute(&fill).await.unwrap();
    }
    tables("postgres", "postgres", &[("url", &url)]);
}

#[tokio::test]
async fn mysql() {
    if is_child().await {
        return;
    }
    let Some(url) = mysql_database("memory").await else { return };
    let mut client = mysql_client(&url).await;
    for (table, rows) in [("few", FEW), ("many", many())] {
        let make = format!("CREATE TABLE {table} (number VARCHAR(20) PRIMARY KEY, name VARCHAR(160))");
        client.query_drop(make).await.unwrap();
        let fill = format!(
            "INSERT INTO {table} SELECT CONCAT('R-', LPAD(seq, 7, '0')), RPAD(CONCAT('Article ', seq, ' (sample)'), 120, '-')
             FROM seq_1_to_{rows}"
        );
        client.query_drop(fill).await.unwrap();
    }
    tables("mysql", "mysql", &[("url", &url)]);
}

/// The start and the limit of a page in `?after=…`.
fn asked(path: &str, rows: usize) -> std::ops::Range<usize> {
    let after = path
        .split_once("after=")
        .map_or(0, |(_, text)| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap());
    after..rows.min(after + 1_000)
}

fn objects(range: std::ops::Range<usize>) -> String {
    let object = |row: usize| format!("{{\"number\":\"R-{row:07}\",\"name\":\"{}\"}}", name(row));
    range.map(object).collect::<Vec<_>>().join(",")
}

#[tokio::test]
async fn rest() {
    if is_child().await {
        return;
    }
    let serve = |rows: usize| {
        Server::start(move |request| {
            let range = asked(&request.path, rows);
            let next = if range.end < rows { format!("\"/things?after={}\"", range.end) } else { "null".to_owned() };
            json(format!("{{\"items\":[{}],\"next\":{next}}}", objects(range)))
        })
    };
    let (few, many) = ((serve(FEW), FEW), (serve(many()), many()));
    let entity = [("list.request", "GET /things?after=0"), ("list.rows", "items"), ("list.next", "next")];
    let case = |url| [("url", url)];
    let (small, large) = (case(few.0.url.as_str()), case(many.0.url.as_str()));
    let of = |connection| Case { kind: "rest", connection, table: "", entity: &entity };
    bounded("rest", (&of(&small), FEW), (&of(&large), many.1));
}

const CSDL: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
 <Schema Namespace="sample" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="thing"><Key><PropertyRef Name="number"/></Key>
   <Property Name="number" Type="Edm.String" Nullable="false" MaxLength="20"/>
   <Property Name="name" Type="Edm.String" MaxLength="160"/></EntityType>
  <EntityContainer Name="Service"><EntitySet Name="things" EntityType="sample.thing"/></EntityContainer>
 </Schema></edmx:DataServices></edmx:Edmx>"#;

#[tokio::test]
async fn odata() {
    if is_child().await {
        return;
    }
    let serve = |rows: usize| {
        Server::start(move |request| {
            if request.path.ends_with("$metadata") {
                return Response(200, "Content-Type: application/xml\r\n".to_owned(), CSDL.to_owned());
            }
            let range = asked(&request.path, rows);
            let next = match range.end < rows {
                true => format!(
                    ",\"@odata.nextLink\":\"http://{}/things?after={}\"",
                    request.header("host").unwrap(),
                    range.end
                ),
                false => String::new(),
            };
            json(format!("{{\"value\":[{}]{next}}}", objects(range)))
        })
    };
    let (few, large) = (serve(FEW), serve(many()));
    let of = |url: &str| vec![("url".to_owned(), url.to_owned()), ("bearer".to_owned(), "local".to_owned())];
    let (few, large) = (of(&few.url), of(&large.url));
    fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
    let (few, large) = (borrowed(&few), borrowed(&large));
    let case = |connection| Case { kind: "odata", connection, table: "things", entity: &[] };
    bounded("odata", (&case(&few), FEW), (&case(&large), many()));
}

/// Files of each format with few and with many rows.
fn files(test: &str, ending: &str, write: impl Fn(&mut dyn Write, usize)) {
    let dir = tempfile::tempdir().unwrap();
    for (name, rows) in [("few", FEW), ("many", many())] {
        let mut out = BufWriter::new(std::fs::File::create(dir.path().join(format!("{name}.{ending}"))).unwrap());
        write(&mut out, rows);
        out.flush().unwrap();
    }
    read_files(test, ending, &[("folder", dir.path().to_str().unwrap())]);
}

fn read_files(test: &str, ending: &str, connection: &[(&str, &str)]) {
    let names = ["few", "many"].map(|name| format!("{name}.{ending}"));
    let entity = |name| [("file", name), ("contains", "everything"), ("ready_when", "unchanged for 0 seconds")];
    let (few, large) = (entity(names[0].as_str()), entity(names[1].as_str()));
    let case = |entity| Case { kind: "files", connection, table: "", entity };
    bounded(test, (&case(&few), FEW), (&case(&large), many()));
}

fn csv(out: &mut dyn Write, rows: usize) {
    out.write_all(b"number,name\n").unwrap();
    (0..rows).for_each(|row| writeln!(out, "R-{row:07},{}", name(row)).unwrap());
}

#[tokio::test]
async fn files_csv() {
    if !is_child().await {
        files("files_csv", "csv", csv);
    }
}

#[tokio::test]
async fn files_json_array() {
    if is_child().await {
        return;
    }
    files("files_json_array", "json", |out, rows| {
        for row in 0..rows {
            write!(out, "{}{}", if row == 0 { "[" } else { ",\n" }, objects(row..row + 1)).unwrap();
        }
        out.write_all(b"]\n").unwrap();
    });
}

#[tokio::test]
async fn files_json_lines() {
    if is_child().await {
        return;
    }
    files("files_json_lines", "jsonl", |out, rows| {
        (0..rows).for_each(|row| writeln!(out, "{}", objects(row..row + 1)).unwrap());
    });
}

/// Texts that stand in their cells. What many programs write instead, one table of all texts, is held in memory, and
/// has a budget: files/formats.rs.
#[tokio::test]
async fn files_excel() {
    if is_child().await {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (file, rows) in [("few.xlsx", FEW), ("many.xlsx", many())] {
        workbook(&dir.path().join(file), rows);
    }
    read_files("files_excel", "xlsx", &[("folder", dir.path().to_str().unwrap())]);
}

fn workbook(path: &Path, rows: usize) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    let parts = [
        (
            "[Content_Types].xml",
            r#"<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>"#,
        ),
        (
            "_rels/.rels",
            r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
        ),
        (
            "xl/workbook.xml",
            r#"<?xml version="1.0"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Sheet1" sheetId="1" r:id="r1"/></sheets></workbook>"#,
        ),
        (
            "xl/_rels/workbook.xml.rels",
            r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#,
        ),
    ];
    for (name, text) in parts {
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.start_file("xl/worksheets/sheet1.xml", options).unwrap();
    let mut out = BufWriter::new(&mut zip);
    let cell = |at: String, text: &str| format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{text}</t></is></c>");
    write!(out, r#"<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>"#).unwrap();
    for row in 0..=rows {
        let (number, name) =
            if row == 0 { ("number".into(), "name".into()) } else { (format!("R-{row:07}"), name(row)) };
        let at = row + 1;
        write!(out, "<row r=\"{at}\">{}{}</row>", cell(format!("A{at}"), &number), cell(format!("B{at}"), &name))
            .unwrap();
    }
    write!(out, "</sheetData></worksheet>").unwrap();
    out.flush().unwrap();
    drop(out);
    zip.finish().unwrap();
}

/// What lies on a server is laid down on this machine first, and not in memory.
#[tokio::test]
async fn files_sftp() {
    if is_child().await {
        return;
    }
    let (Some(url), Some(dir)) = (server("IRONBRIDGE_TEST_SFTP"), server("IRONBRIDGE_TEST_SFTP_DIR")) else { return };
    let dir = Path::new(&dir);
    let text = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap().trim_end().to_owned();
    let (key, host_key) = (text("client_key"), text("host_key.pub"));
    let folder = dir.join("home/memory");
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir_all(&folder).unwrap();
    for (name, rows) in [("few.csv", FEW), ("many.csv", many())] {
        let mut out = BufWriter::new(std::fs::File::create(folder.join(name)).unwrap());
        csv(&mut out, rows);
        out.flush().unwrap();
    }
    let url = format!("{url}{}", folder.display());
    read_files("files_sftp", "csv", &[("url", &url), ("key", &key), ("host_key", &host_key)]);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A kind that is new has its memory looked at too, or says here why not.
#[test]
fn every_kind_is_looked_at() {
    let here = include_str!("memory.rs");
    let elsewhere = [
        ("dataverse", "pages of `@odata.nextLink` by the code that odata uses; a million rows are in crates/bench"),
        ("sqlserver", "no server can be started from a package; it is read by the code that mysql uses"),
    ];
    for kind in connectors::registry::kinds() {
        let is_here =
            here.contains(&format!("kind: \"{}\"", kind.name)) || here.contains(&format!("\", \"{}\", &[", kind.name));
        let waived = elsewhere.iter().any(|(name, _)| *name == kind.name);
        assert!(is_here != waived, "`{}` is looked at: {is_here}, and waived: {waived}", kind.name);
    }
}
