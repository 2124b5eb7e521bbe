//! Several tables as they were at one moment, while others write.

use std::sync::Arc;

use record::{Moment, OptionValue, Options, ReadSpec, Source, System};

use crate::conformance::{postgres_client, postgres_database};

fn system(kind: &str, option: &str, value: &str) -> Arc<dyn System> {
    let options = Options([(option.to_owned(), OptionValue::Text(value.to_owned()))].into());
    (connectors::registry::find(kind).unwrap().open)("finance", options).unwrap()
}

fn source(system: &Arc<dyn System>, table: &str) -> Arc<dyn Source> {
    let spec = ReadSpec {
        table: table.into(),
        columns: vec!["no".into()],
        declared: Vec::new(),
        watermark: None,
        key: vec!["no".into()],
        rows_per_batch: 2,
        time_zone: None,
        fields: Vec::new(),
        options: Options::default(),
    };
    system.source(spec).unwrap()
}

async fn keys(source: &dyn Source, moment: Option<&Arc<Moment>>) -> String {
    let mut reader = match moment {
        Some(moment) => source.read_at(None, moment).await.unwrap(),
        None => source.read(None).await.unwrap(),
    };
    let mut keys = Vec::new();
    while let Some(page) = reader.next().await.unwrap() {
        keys.extend(page.batch.rows().map(|row| row.at(0).to_string()));
    }
    keys.join(" ")
}

const FILL: &str = "CREATE TABLE parents (no text PRIMARY KEY); CREATE TABLE children (no text PRIMARY KEY);
    INSERT INTO parents VALUES ('p1'), ('p2'), ('p3'); INSERT INTO children VALUES ('c1'), ('c2'), ('c3')";
const MORE: &str =
    "INSERT INTO parents VALUES ('p4'); INSERT INTO children VALUES ('c4'); DELETE FROM children WHERE no = 'c1'";

async fn one_moment(system: &Arc<dyn System>, write: impl AsyncFn(&str)) {
    let (parents, children) = (source(system, "parents"), source(system, "children"));
    let moment = system.moment().await.unwrap().expect("this system holds on to a moment");
    assert_eq!(keys(&*parents, Some(&moment)).await, "p1 p2 p3");
    write(MORE).await;
    assert_eq!(keys(&*children, Some(&moment)).await, "c1 c2 c3");
    // A reader that is dropped in the middle keeps nobody from reading at the same moment.
    let mut cut = parents.read_at(None, &moment).await.unwrap();
    cut.next().await.unwrap();
    drop(cut);
    assert_eq!(keys(&*parents, Some(&moment)).await, "p1 p2 p3");
    assert_eq!((keys(&*parents, None).await, keys(&*children, None).await), ("p1 p2 p3 p4".into(), "c2 c3 c4".into()));
    drop(moment);
    let later = system.moment().await.unwrap().unwrap();
    assert_eq!(keys(&*children, Some(&later)).await, "c2 c3 c4");
}

#[tokio::test]
async fn of_a_sqlite_file_that_others_can_write_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("finance.db");
    let write = async |sql: &str| rusqlite::Connection::open(&file).unwrap().execute_batch(sql).unwrap();
    write(FILL).await;
    let system = system("sqlite", "file", file.to_str().unwrap());
    assert!(system.moment().await.unwrap().is_none(), "it would keep writers waiting");
    write("PRAGMA journal_mode = WAL").await;
    one_moment(&system, write).await;
}

#[tokio::test]
async fn of_postgresql() {
    let Some(url) = postgres_database("moment").await else { return };
    let client = postgres_client(&url).await;
    let write = async |sql: &str| client.batch_execute(sql).await.unwrap();
    write(FILL).await;
    one_moment(&system("postgres", "url", &url), write).await;
}
