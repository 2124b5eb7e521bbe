//! The warehouse in databases with a server.

use std::path::Path;

use mysql_async::prelude::Queryable;
use rusqlite::Connection;

const STOCK: &str = "sku VARCHAR(10) NOT NULL, warehouse VARCHAR(40) NOT NULL, quantity INT, price DECIMAL(12,2), note TEXT,
    active BOOLEAN, counted_at DATETIME, due DATE, class CHAR(1), title TEXT, keeper TEXT, item_no INT, PRIMARY KEY (sku, warehouse)";

/// A new database of this name with the tables of a SQLite file, on the server that `scripts/servers` started; `None`
/// without one.
pub fn copy(kind: &str, database: &str, file: &Path) -> Option<String> {
    let rows = Connection::open(file).unwrap();
    let mut statements = tables(kind);
    statements.extend(inserts(&rows, "stock", 12));
    statements.extend(inserts(&rows, "items", 2));
    run(kind, database, "", &statements)
}

/// A new database of this name with the same tables, and rows of stock with these keys and nothing else.
pub fn table(kind: &str, database: &str, keys: &[(&str, &str)]) -> Option<String> {
    let mut statements = tables(kind);
    let insert = |(sku, warehouse): &(&str, &str)| {
        format!("INSERT INTO stock (sku, warehouse, class) VALUES ('{sku}', '{warehouse}', 'F')")
    };
    statements.extend(keys.iter().map(insert));
    run(kind, database, "", &statements)
}

/// The statements that make the tables.
pub fn tables(kind: &str) -> Vec<String> {
    let stock = STOCK.replace("DATETIME", if kind == "postgres" { "TIMESTAMP" } else { "DATETIME" });
    vec![format!("CREATE TABLE stock ({stock})"), "CREATE TABLE items (item_no INT PRIMARY KEY, name TEXT)".to_owned()]
}

/// A new database of this name, made in this way and by these statements; `None` without a server.
pub fn run(kind: &str, database: &str, how: &str, statements: &[String]) -> Option<String> {
    let variable = if kind == "postgres" { "IRONBRIDGE_TEST_POSTGRES" } else { "IRONBRIDGE_TEST_MARIADB" };
    let server = crate::support::server(variable)?;
    let (address, url) =
        (server.rsplit_once('/').unwrap().0, format!("{}/{database}", server.rsplit_once('/').unwrap().0));
    let create = [format!("DROP DATABASE IF EXISTS {database}"), format!("CREATE DATABASE {database} {how}")];
    change(kind, if kind == "postgres" { &server } else { address }, &create);
    change(kind, &url, statements);
    Some(url)
}

/// Runs statements in a database that is there.
pub fn change(kind: &str, url: &str, statements: &[String]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if kind == "postgres" { run_postgres(url, statements).await } else { run_mysql(url, statements).await }
    });
}

/// The rows of a table, 500 a statement. A literal in quotes is a number, a date or a truth as its column wants it.
fn inserts(rows: &Connection, table: &str, columns: usize) -> Vec<String> {
    let mut statement = rows.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let literal = |value: rusqlite::types::Value| match value {
        rusqlite::types::Value::Null => "NULL".to_owned(),
        rusqlite::types::Value::Integer(number) => format!("'{number}'"),
        rusqlite::types::Value::Real(number) => format!("'{number}'"),
        rusqlite::types::Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        rusqlite::types::Value::Blob(_) => unreachable!("the warehouse has no bytes"),
    };
    let all = statement
        .query_map([], |row| {
            let cells: Result<Vec<String>, _> = (0..columns).map(|at| row.get(at).map(literal)).collect();
            Ok(format!("({})", cells?.join(", ")))
        })
        .unwrap()
        .collect::<Result<Vec<String>, _>>()
        .unwrap();
    all.chunks(500).map(|some| format!("INSERT INTO {table} VALUES {}", some.join(", "))).collect()
}

async fn run_postgres(url: &str, statements: &[String]) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for sql in statements {
        client.batch_execute(sql).await.unwrap_or_else(|why| panic!("{why}: {sql:.200}"));
    }
}

async fn run_mysql(url: &str, statements: &[String]) {
    let opts = mysql_async::Opts::from_url(url).unwrap();
    let opts = mysql_async::OptsBuilder::from_opts(opts).prefer_socket(false);
    let mut client = mysql_async::Conn::new(opts).await.unwrap();
    client.query_drop("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')").await.unwrap();
    for sql in statements {
        client.query_drop(sql).await.unwrap_or_else(|why| panic!("{why}: {sql:.200}"));
    }
    client.disconnect().await.unwrap();
}
