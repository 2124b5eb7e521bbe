//! The hub over a real MariaDB: finance in it to Dynamics, and a copy of the customers written into it by key.

use mysql_async::prelude::{FromValue, Queryable};
use serde_json::json;

use crate::support::{World, server};

/// A world whose finance is a new MariaDB database with the rows that the sample has; `None` without a server.
pub struct MariaDb {
    pub world: World,
    pub database: Database,
}

/// A new database on the server that `scripts/servers` started.
pub struct Database {
    pub url: String,
    runtime: tokio::runtime::Runtime,
}

impl Database {
    /// `None` without a server.
    pub fn new(name: &str) -> Option<Database> {
        let server = server("IRONBRIDGE_TEST_MARIADB")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let made = Database { url: server.rsplit_once('/').unwrap().0.to_owned(), runtime };
        made.sql(&[&format!("DROP DATABASE IF EXISTS {name}"), &format!("CREATE DATABASE {name}")]);
        Some(Database { url: format!("{}/{name}", made.url), ..made })
    }

    fn client(&self) -> mysql_async::Conn {
        let opts = mysql_async::Opts::from_url(&self.url).unwrap();
        let opts = mysql_async::OptsBuilder::from_opts(opts).prefer_socket(false);
        self.runtime.block_on(mysql_async::Conn::new(opts)).unwrap()
    }

    pub fn sql(&self, statements: &[&str]) {
        let mut client = self.client();
        self.runtime.block_on(async {
            for sql in statements {
                client.query_drop(*sql).await.unwrap_or_else(|why| panic!("{why:?}: {sql}"));
            }
            client.disconnect().await.unwrap();
        });
    }

    pub fn remove(&self) {
        self.sql(&[&format!("DROP DATABASE {}", self.url.rsplit_once('/').unwrap().1)]);
    }

    /// The first column of each row.
    pub fn values<T: FromValue + Send + 'static>(&self, sql: &str) -> Vec<T> {
        let mut client = self.client();
        self.runtime.block_on(async {
            let found = client.query(sql).await.unwrap_or_else(|why| panic!("{why:?}: {sql}"));
            client.disconnect().await.unwrap();
            found
        })
    }
}

impl MariaDb {
    pub fn new(database: &str, customers: usize) -> Option<MariaDb> {
        let made = MariaDb { database: Database::new(database)?, world: World::new(customers) };
        made.sql(&[
            "CREATE TABLE customers (id INT AUTO_INCREMENT PRIMARY KEY, customer_no VARCHAR(20), company_name TEXT,
               contact_email VARCHAR(200), credit_limit DECIMAL(18,4), terms_code VARCHAR(4), parent_no VARCHAR(20),
               updated_at DATETIME(3)) COLLATE utf8mb4_bin",
            &made.rows_of_the_sample(),
        ]);
        made.world.edit("systems/finance.yaml", "kind: sqlite", "kind: mysql");
        made.world.edit("systems/finance.yaml", "{ file: data/finance.db }", "{ url: \"${file:finance.url}\" }");
        std::fs::write(made.world.dir.join("finance.url"), &made.database.url).unwrap();
        Some(made)
    }

    /// The sample's rows as an `INSERT`; those with a limit that is no number stay behind, since no such row can be here.
    fn rows_of_the_sample(&self) -> String {
        let conn = rusqlite::Connection::open(self.world.finance()).unwrap();
        let columns = "customer_no, company_name, contact_email, credit_limit, terms_code, parent_no, updated_at";
        // A `DATETIME` has no zone; finance's is UTC.
        let read = columns.replace("updated_at", "replace(replace(updated_at, 'T', ' '), 'Z', '')");
        conn.execute_batch("DELETE FROM customers WHERE credit_limit GLOB '*[a-z]*'").unwrap();
        let mut statement = conn.prepare(&format!("SELECT {read} FROM customers")).unwrap();
        let literal =
            |text: Option<String>| text.map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")));
        let rows = statement
            .query_map([], |row| (0..7).map(|at| row.get(at).map(literal)).collect::<Result<Vec<_>, _>>())
            .unwrap()
            .map(|row| format!("({})", row.unwrap().join(", ")));
        format!("INSERT INTO customers ({columns}) VALUES {}", rows.collect::<Vec<_>>().join(",\n"))
    }

    pub fn sql(&self, statements: &[&str]) {
        self.database.sql(statements);
    }

    fn number(&self, sql: &str) -> i64 {
        self.database.values(sql)[0]
    }
}

#[test]
fn finance_reaches_dynamics_and_a_second_run_writes_nothing() {
    let Some(maria) = MariaDb::new("first_run", 300) else { return };
    let world = &maria.world;
    let said = world.ironbridge(&["systems", "check"]).ok();
    for part in ["finance", "MariaDB 1", "tester@127.0.0.1", "ready"] {
        assert!(said.out.contains(part), "no {part}: {said:#?}");
    }
    let run = world.run();
    assert!(run["error"].is_null(), "{run:#}");
    assert_eq!(world.accounts(), world.expected());
    world.reset_stats();
    let again = world.run();
    assert_eq!(world.rows_written(), 0, "{again:#}");
    let changed = "SET credit_limit = 77.50, updated_at = '2030-01-01' WHERE customer_no = 'C-1002'";
    maria.sql(&[&format!("UPDATE customers {changed}")]);
    world.sql(&format!("UPDATE customers {changed}"));
    let third = world.run();
    assert_eq!([&third["updated"], &third["created"]], [&json!(1), &json!(0)], "{third:#}");
    assert_eq!(world.accounts(), world.expected());
    maria.sql(&["ALTER TABLE customers RENAME COLUMN credit_limit TO limit_of_credit"]);
    let said = world.ironbridge(&["run", "customers"]).fails(1, "IB0703");
    assert!(said.err.contains("credit_limit") && !said.err.contains("sample@"), "{said:#?}");
}

/// What an `ENUM` may hold is compared with the choice that reads it, and its rows are read as texts.
#[test]
fn the_labels_of_an_enumeration_are_known() {
    let Some(maria) = MariaDb::new("labels", 20) else { return };
    let world = &maria.world;
    let odd = "terms_code NOT IN ('30', '60', 'PP')";
    let as_labels = |labels: &str| format!("ALTER TABLE customers MODIFY terms_code ENUM({labels})");
    maria.sql(&[&format!("DELETE FROM customers WHERE {odd}"), &as_labels("'30', '60', 'PP'")]);
    world.sql(&format!("DELETE FROM customers WHERE {odd}"));
    let said = world.ironbridge(&["check", "--online"]).ok();
    assert!(!said.out.contains("IB0305") && !said.err.contains("IB0305"), "{said:#?}");
    assert!(world.run()["error"].is_null());
    assert_eq!(world.accounts(), world.expected());
    maria.sql(&[&as_labels("'30', '60', 'PP', '90 ''days'''")]);
    let said = world.ironbridge(&["check", "--online"]).ok();
    let warned = format!("{}{}", said.out, said.err);
    let expected = "`terms_code` may be `90 'days'`, which the choice does not name";
    assert!(warned.contains("IB0305") && warned.contains(expected), "{said:#?}");
}

/// Customers to a table of MariaDB: created, left alone, updated, refused one by one.
#[test]
fn a_table_is_written_by_its_key() {
    let Some(maria) = MariaDb::new("written", 40) else { return };
    let world = &maria.world;
    std::fs::write(
        world.dir.join("systems/copy.yaml"),
        "system: copy\nkind: mysql\nowner: finance-it\nconnection: { url: \"${file:finance.url}\" }\nentities:\n  customer: { table: copies, alternate_key: no, write: { no: number, name: name, lim: credit_limit } }\n",
    )
    .unwrap();
    std::fs::write(
        world.dir.join("integrations/copies.yaml"),
        "integration: copies\npattern: batch\nentity: customer\nfrom: finance\nto: copy\nschedule: every 15 minutes\nowner: finance-it\npurpose: A test.\n",
    )
    .unwrap();
    maria.sql(&[
        "CREATE TABLE copies (no VARCHAR(20) PRIMARY KEY, name VARCHAR(160) NOT NULL, lim DECIMAL(14,2) CHECK (lim < 1000000),
           noted VARCHAR(20) NOT NULL DEFAULT 'by us')",
        "DELETE FROM customers WHERE id > 30 OR customer_no IS NULL OR customer_no NOT RLIKE '^C-10[0-9]+$'",
        "UPDATE customers SET terms_code = '30', parent_no = NULL, company_name = CONCAT('Sample ', id), credit_limit = 100 + id",
        "UPDATE customers SET credit_limit = 5000000 WHERE customer_no = 'C-1003'",
    ]);
    let run = || world.ironbridge(&["--format", "json", "run", "copies"]).json();
    let first = run();
    assert!(first["error"].is_null(), "{first:#}");
    let rows = first["read"].as_u64().unwrap();
    assert!(rows > 10, "{first:#}");
    assert_eq!([&first["created"], &first["rejected"]], [&json!(rows - 1), &json!(1)], "{first:#}");
    assert_eq!(first["rejected_by_code"]["IB0512"], 1, "{first:#}");
    maria.sql(&[
        "UPDATE customers SET credit_limit = 250.5, updated_at = UTC_TIMESTAMP(3) WHERE customer_no IN ('C-1003', 'C-1004')",
        "UPDATE copies SET noted = 'by them'",
    ]);
    let second = run();
    assert_eq!(
        [&second["created"], &second["updated"], &second["rejected"]],
        [&json!(1), &json!(1), &json!(0)],
        "{second:#}"
    );
    assert_eq!(maria.number("SELECT COUNT(*) FROM copies WHERE lim = 250.50"), 2);
    assert_eq!(
        maria.number("SELECT COUNT(*) FROM copies WHERE noted = 'by us'"),
        1,
        "what is not mapped is not touched"
    );
    let third = run();
    assert_eq!([&third["created"], &third["updated"]], [&json!(0), &json!(0)], "{third:#}");
}
