//! Finance in a real PostgreSQL: the same customers, the same Dynamics; only the system's file is another one.

use serde_json::json;
use tokio_postgres::Client;

use crate::support::{World, server};

/// A world whose finance is a new PostgreSQL database with the rows that the sample has; `None` without a server.
pub struct Postgres {
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
        let server = server("IRONBRIDGE_TEST_POSTGRES")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
        let made = Database { url: server, runtime };
        made.sql(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        made.sql(&format!("CREATE DATABASE {name}"));
        Some(Database { url, ..made })
    }

    pub fn sql(&self, sql: &str) {
        self.with(&self.url, async |client| {
            client.batch_execute(sql).await.unwrap_or_else(|why| panic!("{why:?}: {sql}"))
        });
    }

    /// The first column of each row.
    pub fn texts(&self, sql: &str) -> Vec<String> {
        let query = async |client: &Client| client.query(sql, &[]).await.unwrap_or_else(|why| panic!("{why:?}: {sql}"));
        self.with(&self.url, query).iter().map(|row| row.get(0)).collect()
    }

    pub fn remove(&self) {
        let (server, name) = self.url.rsplit_once('/').unwrap();
        let drop = format!("DROP DATABASE {name} WITH (FORCE)");
        self.with(&format!("{server}/postgres"), async |client| client.batch_execute(&drop).await.unwrap());
    }

    fn with<T>(&self, url: &str, work: impl AsyncFnOnce(&Client) -> T) -> T {
        self.runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
            let connection = tokio::spawn(connection);
            let done = work(&client).await;
            drop(client);
            connection.await.unwrap().unwrap();
            done
        })
    }
}

impl Postgres {
    pub fn new(database: &str, customers: usize) -> Option<Postgres> {
        let made = Postgres { database: Database::new(database)?, world: World::new(customers) };
        made.sql(
            "CREATE SCHEMA finance;
             CREATE TABLE finance.customers (id serial PRIMARY KEY, customer_no text, company_name text, contact_email text,
               credit_limit numeric(18,4), terms_code varchar(4), parent_no text, updated_at timestamptz)",
        );
        made.sql(&made.rows_of_the_sample());
        made.world.edit("systems/finance.yaml", "kind: sqlite", "kind: postgres");
        made.world.edit("systems/finance.yaml", "{ file: data/finance.db }", "{ url: \"${file:finance.url}\" }");
        made.world.edit("systems/finance.yaml", "table: customers", "table: finance.customers");
        std::fs::write(made.world.dir.join("finance.url"), &made.database.url).unwrap();
        Some(made)
    }

    /// The sample's rows as an `INSERT`; those with a limit that is no number stay behind, since no such row can be here.
    fn rows_of_the_sample(&self) -> String {
        let conn = rusqlite::Connection::open(self.world.finance()).unwrap();
        let columns = "customer_no, company_name, contact_email, credit_limit, terms_code, parent_no, updated_at";
        conn.execute_batch("DELETE FROM customers WHERE credit_limit GLOB '*[a-z]*'").unwrap();
        let mut statement = conn.prepare(&format!("SELECT {columns} FROM customers")).unwrap();
        let literal =
            |text: Option<String>| text.map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")));
        let rows = statement
            .query_map([], |row| (0..7).map(|at| row.get(at).map(literal)).collect::<Result<Vec<_>, _>>())
            .unwrap()
            .map(|row| format!("({})", row.unwrap().join(", ")));
        format!("INSERT INTO finance.customers ({columns}) VALUES {}", rows.collect::<Vec<_>>().join(",\n"))
    }

    pub fn sql(&self, sql: &str) {
        self.database.sql(sql);
    }
}

#[test]
fn finance_reaches_dynamics_and_a_second_run_writes_nothing() {
    let Some(postgres) = Postgres::new("first_run", 300) else { return };
    let world = &postgres.world;
    world.ironbridge(&["check", "--online"]).ok();
    let run = world.run();
    assert!(run["error"].is_null(), "{run:#}");
    assert_eq!(world.accounts(), world.expected());
    world.reset_stats();
    let again = world.run();
    assert_eq!(world.rows_written(), 0, "{again:#}");
    let changed = "SET credit_limit = 77.50, updated_at = now() WHERE customer_no = 'C-1002'";
    postgres.sql(&format!("UPDATE finance.customers {changed}"));
    world.sql(&format!("UPDATE customers {}", changed.replace("now()", "'2030-01-01'")));
    let third = world.run();
    assert_eq!([&third["updated"], &third["created"]], [&json!(1), &json!(0)], "{third:#}");
    assert_eq!(world.rows_written(), 1);
    assert_eq!(world.accounts(), world.expected());
}

/// What an enumeration may hold is compared with the choice that reads it, and its rows are read as texts.
#[test]
fn the_labels_of_an_enumeration_are_known() {
    let Some(postgres) = Postgres::new("labels", 20) else { return };
    let world = &postgres.world;
    postgres.sql(
        "CREATE TYPE finance.terms AS ENUM ('30', '60', 'PP');
         DELETE FROM finance.customers WHERE terms_code NOT IN ('30', '60', 'PP');
         ALTER TABLE finance.customers ALTER COLUMN terms_code TYPE finance.terms USING terms_code::finance.terms",
    );
    world.sql("DELETE FROM customers WHERE terms_code NOT IN ('30', '60', 'PP')");
    let said = world.ironbridge(&["check", "--online"]).ok();
    assert!(!said.out.contains("IB0305") && !said.err.contains("IB0305"), "{said:#?}");
    assert!(world.run()["error"].is_null());
    assert_eq!(world.accounts(), world.expected());
    postgres.sql("ALTER TYPE finance.terms ADD VALUE '90 ''days'''");
    let said = world.ironbridge(&["check", "--online"]).ok();
    let warned = format!("{}{}", said.out, said.err);
    let expected = "`terms_code` may be `90 'days'`, which the choice does not name";
    assert!(warned.contains("IB0305") && warned.contains(expected), "{said:#?}");
}

#[test]
fn systems_check_says_who_answers_and_what_is_missing() {
    let Some(postgres) = Postgres::new("systems", 10) else { return };
    let world = &postgres.world;
    let said = world.ironbridge(&["systems", "check"]).ok();
    for part in ["dynamics", "finance", "PostgreSQL 1", "tester", "ready"] {
        assert!(said.out.contains(part), "no {part}: {said:#?}");
    }
    postgres.sql("ALTER TABLE finance.customers RENAME TO clients");
    let said = world.ironbridge(&["systems", "check", "finance"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(said.err.contains("there is no table `finance.customers`"), "{said:#?}");
    std::fs::write(world.dir.join("finance.url"), "postgres://tester:sample@127.0.0.1:9/x").unwrap();
    let said = world.ironbridge(&["--format", "json", "systems", "check"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    let systems = said.json();
    let state = |name: &str| systems.as_array().unwrap().iter().find(|one| one["system"] == name).unwrap().clone();
    assert_eq!((&state("dynamics")["answers"], &state("finance")["answers"]), (&json!(true), &json!(false)));
    assert_eq!(state("finance")["error"]["code"], "IB0601");
    world.ironbridge(&["systems", "check", "ledger"]).fails(2, "IB0002");
}

#[test]
fn what_is_wrong_with_the_database_says_what_to_do() {
    let Some(postgres) = Postgres::new("wrong", 10) else { return };
    let world = &postgres.world;
    let url = |text: &str| std::fs::write(world.dir.join("finance.url"), text).unwrap();
    let failed = |code: &str, what: &str| {
        let said = world.ironbridge(&["run", "customers"]).fails(1, code);
        assert!(said.err.contains(what), "{said:#?}");
        assert!(!said.err.contains("sample"), "a password is shown: {said:#?}");
    };
    url(&postgres.database.url.replace(":sample@", ":wrong@"));
    failed("IB0604", "may not sign in");
    url(&postgres.database.url.replace("/wrong", "/nowhere"));
    failed("IB0601", "there is no database `nowhere`");
    url("mysql://a:sample@b/c");
    failed("IB0601", "postgres://user:password@host");
    url(&postgres.database.url);
    postgres.sql("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'sample'; GRANT USAGE ON SCHEMA finance TO reader");
    url(&postgres.database.url.replace("tester:", "reader:"));
    failed("IB0604", "GRANT SELECT ON finance.customers TO reader");
    postgres.sql("GRANT SELECT ON finance.customers TO reader");
    assert!(world.run()["error"].is_null(), "the right to read is all that reading needs");
    postgres.sql("DROP OWNED BY reader; DROP ROLE reader");
    url(&postgres.database.url);
    postgres.sql("ALTER TABLE finance.customers RENAME COLUMN credit_limit TO limit_of_credit");
    failed("IB0703", "credit_limit");
    postgres.sql("ALTER TABLE finance.customers RENAME TO clients");
    failed("IB0504", "finance.customers");
}

/// Dynamics to PostgreSQL: created, left alone, updated, refused one by one.
#[test]
fn a_table_is_written_by_its_key() {
    let Some(postgres) = Postgres::new("written", 40) else { return };
    let world = &postgres.world;
    postgres.sql(
        "CREATE DOMAIN finance.money_of_ours AS numeric(14,2) CHECK (VALUE < 1000000);
         CREATE TABLE finance.copies (no varchar(20) PRIMARY KEY, name varchar(160) NOT NULL, lim finance.money_of_ours,
           noted text NOT NULL DEFAULT 'by us')",
    );
    std::fs::write(
        world.dir.join("systems/copy.yaml"),
        "system: copy\nkind: postgres\nowner: finance-it\nconnection: { url: \"${file:finance.url}\" }\nentities:\n  customer: { table: finance.copies, alternate_key: no, write: { no: number, name: name, lim: credit_limit } }\n",
    )
    .unwrap();
    std::fs::write(
        world.dir.join("integrations/copies.yaml"),
        "integration: copies\npattern: batch\nentity: customer\nfrom: finance\nto: copy\nschedule: every 15 minutes\nowner: finance-it\npurpose: A test.\n",
    )
    .unwrap();
    postgres.sql("DELETE FROM finance.customers WHERE id > 30 OR customer_no IS NULL OR customer_no !~ '^C-10[0-9]+$'");
    postgres.sql("UPDATE finance.customers SET terms_code = '30', parent_no = NULL, company_name = 'Sample ' || id, credit_limit = 100 + id");
    postgres.sql("UPDATE finance.customers SET credit_limit = 5000000 WHERE customer_no = 'C-1003'");
    let run = || world.ironbridge(&["--format", "json", "run", "copies"]).json();
    let first = run();
    assert!(first["error"].is_null(), "{first:#}");
    let rows = first["read"].as_u64().unwrap();
    assert!(rows > 10, "{first:#}");
    assert_eq!([&first["created"], &first["rejected"]], [&json!(rows - 1), &json!(1)], "{first:#}");
    assert_eq!(first["rejected_by_code"]["IB0512"], 1, "{first:#}");
    postgres.sql("UPDATE finance.customers SET credit_limit = 250.5, updated_at = now() WHERE customer_no IN ('C-1003', 'C-1004')");
    postgres.sql("UPDATE finance.copies SET noted = 'by them'");
    let second = run();
    assert_eq!(
        [&second["created"], &second["updated"], &second["rejected"]],
        [&json!(1), &json!(1), &json!(0)],
        "{second:#}"
    );
    postgres.sql(
        "DO $$ BEGIN
           ASSERT (SELECT count(*) FROM finance.copies WHERE lim = 250.50) = 2, 'the new limit';
           ASSERT (SELECT count(*) FROM finance.copies WHERE noted = 'by us') = 1, 'a column that is not mapped is not touched';
           ASSERT (SELECT count(*) FROM finance.copies c JOIN finance.customers f ON f.customer_no = c.no
                     AND f.company_name = c.name AND f.credit_limit = c.lim) = (SELECT count(*) FROM finance.customers), 'equal';
         END $$",
    );
    let third = run();
    assert_eq!(
        [&third["created"], &third["updated"], &third["rejected"]],
        [&json!(0), &json!(0), &json!(0)],
        "{third:#}"
    );
}

#[test]
fn a_window_of_time_is_read_by_the_watermark() {
    let Some(postgres) = Postgres::new("backfill", 30) else { return };
    let world = &postgres.world;
    postgres.sql("UPDATE finance.customers SET parent_no = NULL, updated_at = '2026-01-01T00:00:00Z'");
    assert!(world.run()["error"].is_null());
    // They were changed behind the watermark: no run reads them.
    for (key, limit, stamp) in [("C-1002", "5.50", "2025-03-29T01:30:00Z"), ("C-1003", "6.50", "2025-04-01T00:00:00Z")]
    {
        let set = format!("SET credit_limit = {limit}, updated_at = '{stamp}' WHERE customer_no = '{key}'");
        postgres.sql(&format!("UPDATE finance.customers {set}"));
    }
    assert_eq!(world.run()["updated"], json!(0));
    let position = world.ironbridge(&["state", "show", "customers"]).ok().out;
    let window = ["--from", "2025-03-29", "--to", "2025-04-01"];
    let plan = world.ironbridge(&[&["--format", "json", "plan", "customers"][..], &window].concat()).json();
    assert_eq!(plan["update"], json!(1), "{plan:#}");
    let run = world.ironbridge(&[&["--format", "json", "run", "customers"][..], &window].concat()).ok().json();
    assert_eq!((&run["read"], &run["updated"]), (&json!(1), &json!(1)), "{run:#}");
    let run = world.ironbridge(&["--format", "json", "run", "customers", "--from", "2025-04-01T00:00:00Z"]).ok().json();
    assert_eq!(run["updated"], json!(1), "{run:#}");
    assert_eq!(world.ironbridge(&["state", "show", "customers"]).ok().out, position, "the position stays");
    let limit = |key: &str| world.accounts()[key].credit_limit.clone();
    assert_eq!((limit("C-1002").as_deref(), limit("C-1003").as_deref()), (Some("5.5"), Some("6.5")));
}

#[test]
fn a_column_that_was_renamed_dropped_or_retyped_stops_what_uses_it() {
    let Some(postgres) = Postgres::new("columns", 200) else { return };
    let world = &postgres.world;
    let good = "DELETE FROM finance.customers WHERE customer_no IS NULL OR terms_code NOT IN ('30', '60', 'PP')";
    postgres.sql(&format!("{good}; UPDATE finance.customers SET parent_no = NULL"));
    assert!(world.run()["error"].is_null());
    let before = world.accounts();
    // What is read again must not be what was left out as unchanged.
    let anew = || world.ironbridge(&["state", "reset", "customers"]).ok();
    let refused = |change: &str, code: &str, word: &str| {
        postgres.sql(&format!("ALTER TABLE finance.customers {change}"));
        anew();
        world.reset_stats();
        let said = world.ironbridge(&["run", "customers"]).fails(1, code);
        assert!(said.err.contains(word), "{change}: {said:#?}");
        assert_eq!(world.rows_written(), 0, "{change}");
    };
    refused("RENAME COLUMN credit_limit TO limit_of_credit", "IB0703", "credit_limit");
    postgres.sql("ALTER TABLE finance.customers RENAME COLUMN limit_of_credit TO credit_limit");
    assert!(world.run()["error"].is_null());
    refused("ALTER COLUMN credit_limit TYPE date USING '2026-01-01'", "IB0701", "first 50 rows were all rejected");
    let letters = world.ironbridge(&["--format", "json", "dead-letters", "list", "--code", "IB0410"]).json();
    assert!(letters[0]["what"].as_str().is_some_and(|what| what.contains("credit_limit")), "{letters:#}");
    refused("DROP COLUMN contact_email", "IB0703", "contact_email");
    assert_eq!(world.accounts(), before);
}
