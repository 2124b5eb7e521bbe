//! What the tests do to real servers behind the connectors' backs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use connectors::conformance::{Ground, Proxy, Trouble};
use mysql_async::prelude::Queryable;
use record::{BoxFuture, OptionValue, Options, System};

use crate::conformance::{mysql_client, postgres_client};

fn open(kind: &str, url: &str, timeout: Option<Duration>) -> Arc<dyn System> {
    let name = if kind == "sqlite" { "file" } else { "url" };
    let mut options = Options([(name.to_owned(), OptionValue::Text(url.to_owned()))].into());
    options.0.extend(timeout.map(|timeout| ("timeout".to_owned(), OptionValue::Duration(timeout))));
    (connectors::registry::find(kind).unwrap().open)("tested", options).unwrap()
}

const SHORT: Duration = Duration::from_millis(500);

/// The address of somebody who takes connections and never says anything, until the tests end.
pub fn silent() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let kept: Vec<_> = listener.incoming().collect();
        drop(kept);
    });
    address
}

/// The same address with another host and port.
fn url_at(url: &str, address: &str) -> String {
    let (before, host) = url.split_once('@').unwrap();
    format!("{before}@{address}/{}", host.split_once('/').unwrap().1)
}

/// What goes wrong with a service that is spoken to over HTTP: `open` opens it at an address, with one more option.
pub async fn service(url: &str, open: impl Fn(&str, Option<(&str, &str)>) -> Arc<dyn System>) -> Trouble {
    let path = url.split_once("//").unwrap().1.split_once('/').map_or("", |(_, path)| path);
    let host = url.split_once("//").unwrap().1.split('/').next().unwrap();
    let proxy = Proxy::start(host.parse().unwrap()).await.unwrap();
    Trouble {
        through: Some((open(&format!("http://{}/{path}", proxy.address), None), proxy)),
        silent: Some(open(&format!("http://{}/{path}", silent()), Some(("timeout", "500")))),
        unprivileged: Some(open(url, Some(("bearer", "stranger")))),
        ..Trouble::default()
    }
}

/// The same address through a proxy.
async fn proxied(kind: &str, url: &str) -> (Arc<dyn System>, Proxy) {
    let (before, host) = url.split_once('@').unwrap();
    let (host, database) = host.split_once('/').unwrap();
    let proxy = Proxy::start(host.parse().unwrap()).await.unwrap();
    (open(kind, &format!("{before}@{}/{database}", proxy.address), None), proxy)
}

/// The same address for another user.
fn as_user(url: &str, user: &str) -> String {
    let (scheme, rest) = url.split_once("//").unwrap();
    format!("{scheme}//{user}:sample@{}", rest.split_once('@').unwrap().1)
}

struct Postgres(String);

impl Ground for Postgres {
    fn restart(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ironbridge' AND datname = current_database()";
            postgres_client(&self.0).await.batch_execute(end).await.unwrap();
            // The driver hears of it in its own time.
            tokio::time::sleep(Duration::from_millis(100)).await;
        })
    }

    fn hold<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Box<dyn Send>> {
        Box::pin(async move {
            let client = postgres_client(&self.0).await;
            let hold = format!("BEGIN; SELECT 1 FROM things WHERE number = '{key}' FOR UPDATE");
            client.batch_execute(&hold).await.unwrap();
            Box::new(client) as Box<dyn Send>
        })
    }
}

pub async fn postgres(url: &str) -> Trouble {
    let make = "DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN PASSWORD 'sample';
        CREATE TABLE full_things (LIKE things INCLUDING ALL);
        CREATE TABLE thing_lines (number VARCHAR(20), line_no INT, name VARCHAR(160), amount NUMERIC(14,2), PRIMARY KEY (number, line_no));
        CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER no_room BEFORE INSERT ON full_things FOR EACH ROW EXECUTE FUNCTION no_room()";
    postgres_client(url).await.batch_execute(make).await.unwrap();
    Trouble {
        lines: Some("thing_lines"),
        short: Some(open("postgres", url, Some(SHORT))),
        slow_query: Some("SELECT '1'::text AS number, pg_sleep(30)::text AS name"),
        unprivileged: Some(open("postgres", &as_user(url, "stranger"), None)),
        full: Some("full_things"),
        through: Some(proxied("postgres", url).await),
        silent: Some(open("postgres", &url_at(url, &silent()), Some(SHORT))),
        ground: Some(Box::new(Postgres(url.to_owned()))),
    }
}

struct MySql(String);

impl Ground for MySql {
    fn restart(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let mut client = mysql_client(&self.0).await;
            let ids = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()";
            for id in client.query::<u64, _>(ids).await.unwrap() {
                // One that has just gone by itself is no mistake.
                client.query_drop(format!("KILL CONNECTION {id}")).await.ok();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        })
    }

    fn hold<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Box<dyn Send>> {
        Box::pin(async move {
            let mut client = mysql_client(&self.0).await;
            client.query_drop("START TRANSACTION").await.unwrap();
            client.query_drop(format!("SELECT 1 FROM things WHERE number = '{key}' FOR UPDATE")).await.unwrap();
            Box::new(client) as Box<dyn Send>
        })
    }
}

pub async fn mysql(url: &str) -> Trouble {
    let mut client = mysql_client(url).await;
    for statement in [
        "CREATE OR REPLACE USER stranger@'127.0.0.1' IDENTIFIED BY 'sample'",
        "CREATE TABLE other (no INT)",
        "CREATE TABLE thing_lines (number VARCHAR(20), line_no INT, name VARCHAR(160), amount DECIMAL(14,2), PRIMARY KEY (number, line_no))",
        "GRANT SELECT ON other TO stranger@'127.0.0.1'",
        "SET max_heap_table_size = 16384",
        "CREATE TABLE full_things (number VARCHAR(20) PRIMARY KEY, name VARCHAR(160)) ENGINE = MEMORY",
    ] {
        client.query_drop(statement).await.unwrap();
    }
    client.disconnect().await.unwrap();
    Trouble {
        lines: Some("thing_lines"),
        short: Some(open("mysql", url, Some(SHORT))),
        slow_query: Some("SELECT '1' AS number, CONCAT(SLEEP(30)) AS name"),
        unprivileged: Some(open("mysql", &as_user(url, "stranger"), None)),
        full: Some("full_things"),
        through: Some(proxied("mysql", url).await),
        silent: Some(open("mysql", &url_at(url, &silent()), Some(SHORT))),
        ground: Some(Box::new(MySql(url.to_owned()))),
    }
}

struct Sqlite(PathBuf);

impl Ground for Sqlite {
    /// A file has no server.
    fn restart(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn hold<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Box<dyn Send>> {
        let connection = rusqlite::Connection::open(&self.0).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        Box::pin(std::future::ready(Box::new(connection) as Box<dyn Send>))
    }
}

pub fn sqlite(file: &str) -> Trouble {
    let lines = "CREATE TABLE thing_lines (number TEXT, line_no INTEGER, name TEXT, amount DECIMAL(14,2),
        PRIMARY KEY (number, line_no), CHECK (typeof(amount) <> 'text'))";
    rusqlite::Connection::open(file).unwrap().execute_batch(lines).unwrap();
    Trouble {
        lines: Some("thing_lines"),
        short: Some(open("sqlite", file, Some(SHORT))),
        slow_query: Some(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)
            SELECT max(i) AS number, 'slow' AS name FROM n",
        ),
        unprivileged: None,
        full: None,
        through: None,
        silent: None,
        ground: Some(Box::new(Sqlite(file.into()))),
    }
}
