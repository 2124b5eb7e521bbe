//! The grants that the pages of the connectors name are enough, and no more than enough.

use std::sync::Arc;

use mysql_async::prelude::Queryable;
use record::{
    Change, Effected, Fault, Key, Op, OptionValue, Options, ReadSpec, Row, Schema, System, Type, Value, Watermark,
    WriteSpec,
};

use crate::conformance::{mysql_client, mysql_database, postgres_client, postgres_database};

/// The commands of a page's section `What it needs`, with a password.
fn commands(page: &str) -> Vec<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/connectors").join(page);
    let page = std::fs::read_to_string(path).unwrap();
    let section = page.split_once("## What it needs").unwrap().1.split_once("\n## ").unwrap().0;
    let commands = section.lines().filter_map(|line| line.strip_prefix("    "));
    commands.map(|command| command.trim_end_matches(';').replace('…', "sample")).collect()
}

fn open(kind: &str, url: &str) -> Arc<dyn System> {
    let (scheme, rest) = url.split_once("//").unwrap();
    let url = format!("{scheme}//ironbridge:sample@{}", rest.split_once('@').unwrap().1);
    let options = Options([("url".to_owned(), OptionValue::Text(url))].into());
    (connectors::registry::find(kind).unwrap().open)("granted", options).unwrap()
}

/// Everything that a run asks of a source.
async fn reads(system: &dyn System, table: &str) -> Result<usize, Fault> {
    let health = system.check().await?;
    assert_eq!(health.missing, Vec::<String>::new());
    let catalog = system.catalog(&[table]).await?;
    assert_eq!(catalog.tables.len(), 1);
    let source = system.source(ReadSpec {
        table: table.to_owned(),
        columns: vec!["customer_no".into(), "company_name".into()],
        watermark: Some(Watermark { column: "updated_at".into(), overlap: std::time::Duration::ZERO }),
        key: vec!["customer_no".into()],
        rows_per_batch: 10,
        time_zone: None,
        declared: Vec::new(),
        fields: Vec::new(),
        options: Options::default(),
    })?;
    let mut reader = source.read(None).await?;
    let mut rows = 0;
    while let Some(page) = reader.next().await? {
        rows += page.batch.len();
    }
    Ok(rows)
}

/// Everything that a run asks of a destination: a new row, a change of it, and its end.
async fn writes(system: &dyn System, table: &str) -> Result<Vec<Effected>, Fault> {
    let sink = system.sink(WriteSpec {
        table: table.to_owned(),
        key: vec!["customer_no".into()],
        columns: Vec::new(),
        time_zone: None,
        fields: Vec::new(),
        lines: Vec::new(),
        options: Options::default(),
    })?;
    let key = || Key::of(&[Value::text("C-9")]).unwrap();
    let change = |op, name: &str| Change {
        op,
        key: key(),
        columns: Row::new(Schema::of([("company_name", Type::Unknown)]), vec![Value::text(name)]),
        remote_id: None,
        if_version: None,
    };
    let mut effects = Vec::new();
    for change in [change(Op::Upsert, "new"), change(Op::Upsert, "changed"), change(Op::Delete, "")] {
        sink.current(&[key()], &["company_name".to_owned()]).await?;
        for outcome in sink.apply(&[change]).await? {
            effects.push(outcome?.effect);
        }
    }
    Ok(effects)
}

const DONE: [Effected; 3] = [Effected::Created, Effected::Updated, Effected::Deleted];

#[tokio::test]
async fn postgres() {
    let Some(url) = postgres_database("granted").await else { return };
    let owner = postgres_client(&url).await;
    let make = "DROP ROLE IF EXISTS ironbridge; CREATE SCHEMA finance;
        CREATE TABLE finance.customers (customer_no text PRIMARY KEY, company_name text, updated_at timestamptz DEFAULT now());
        INSERT INTO finance.customers VALUES ('C-1', 'Contoso (sample)')";
    owner.batch_execute(make).await.unwrap();
    let mut commands = commands("postgres.md");
    let to_write = commands.pop().unwrap();
    for command in commands {
        owner.batch_execute(&command).await.unwrap_or_else(|why| panic!("{command}: {why}"));
    }
    let system = open("postgres", &url);
    assert_eq!(reads(&*system, "finance.customers").await.unwrap(), 1);
    let fault = writes(&*system, "finance.customers").await.unwrap_err();
    assert_eq!(fault.code.0, "IB0503", "{fault}");
    owner.batch_execute(&to_write).await.unwrap();
    assert_eq!(writes(&*system, "finance.customers").await.unwrap(), DONE);
}

#[tokio::test]
async fn mysql() {
    let Some(url) = mysql_database("shop").await else { return };
    let mut owner = mysql_client(&url).await;
    for statement in [
        "DROP USER IF EXISTS ironbridge@'%'",
        "CREATE TABLE customers (customer_no VARCHAR(20) PRIMARY KEY, company_name TEXT, updated_at TIMESTAMP)",
        "INSERT INTO customers VALUES ('C-1', 'Contoso (sample)', NOW())",
    ] {
        owner.query_drop(statement).await.unwrap();
    }
    let mut commands = commands("mysql.md");
    let to_write = commands.pop().unwrap();
    for command in commands {
        owner.query_drop(&command).await.unwrap_or_else(|why| panic!("{command}: {why}"));
    }
    let system = open("mysql", &url);
    assert_eq!(reads(&*system, "customers").await.unwrap(), 1);
    let fault = writes(&*system, "customers").await.unwrap_err();
    assert_eq!(fault.code.0, "IB0503", "{fault}");
    owner.query_drop(&to_write).await.unwrap();
    assert_eq!(writes(&*system, "customers").await.unwrap(), DONE);
}
