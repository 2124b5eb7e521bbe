//! Both ways between Dynamics and a real database server: the example of the guide, with another system behind it.

use serde_json::json;

use crate::mysql::MariaDb;
use crate::postgres::Postgres;
use crate::support::World;
use crate::two_way::Pair;
use crate::{mysql, postgres};

/// The database server of one test.
trait Server {
    fn sql(&self, sql: &str);
    /// The row of one client, its columns joined by `|`.
    fn row(&self, number: &str) -> Option<String>;
}

impl Server for postgres::Database {
    fn sql(&self, sql: &str) {
        self.sql(sql);
    }

    fn row(&self, number: &str) -> Option<String> {
        self.texts(&row(number)).pop()
    }
}

impl Server for mysql::Database {
    fn sql(&self, sql: &str) {
        self.sql(&[sql]);
    }

    fn row(&self, number: &str) -> Option<String> {
        self.values(&row(number)).pop()
    }
}

fn row(number: &str) -> String {
    format!("SELECT {ROW} FROM clients WHERE client_no = '{number}'")
}

/// Both databases understand it; money as a whole number of pennies.
const ROW: &str = "concat_ws('|', company, coalesce(mail, ''), coalesce(round(credit * 100), 0), coalesce(terms, ''))";

fn pair(world: World, kind: &str) -> Pair {
    let pair = Pair::within(world);
    pair.world.edit("systems/finance.yaml", "kind: sqlite", &format!("kind: {kind}"));
    pair.world.edit("systems/finance.yaml", "{ file: data/finance.db }", "{ url: \"${file:finance.url}\" }");
    pair
}

fn story(pair: &Pair, server: &dyn Server) {
    let insert = |number: &str, company: &str, mail: &str, credit: &str, terms: &str| {
        server.sql(&format!(
            "INSERT INTO clients (client_no, company, mail, credit, terms) VALUES ('{number}', '{company}', '{mail}', {credit}, '{terms}')"
        ));
    };
    pair.world.ironbridge(&["check", "--online"]).ok();
    insert("C-1", "Only finance (sample)", "Bob@Sample.example", "1000.00", "30");
    pair.account(
        "C-2",
        &json!({"name": "Only Dynamics (sample)", "emailaddress1": "two@sample.example", "paymenttermscode": 4}),
    );
    insert("C-3", "Both (sample)", "old@sample.example", "300.25", "PP");
    pair.account("C-3", &json!({"name": "Both (sample)", "emailaddress1": "new@sample.example", "creditlimit": 999, "paymenttermscode": 10}));
    pair.planned_run();
    let row = |number: &str| server.row(number).unwrap_or_default();
    assert_eq!(row("C-1"), "Only finance (sample)|Bob@Sample.example|100000|30");
    assert_eq!(row("C-2"), "Only Dynamics (sample)|two@sample.example|0|60");
    assert_eq!(row("C-3"), "Both (sample)|new@sample.example|30025|PP");
    assert_eq!(pair.dynamics()["C-3"][2].as_deref(), Some("300.25"));
    pair.rests();

    // Two people, two fields of one row; then a process that dies between the two systems.
    server.sql("UPDATE clients SET company = 'Renamed (sample)', credit = 750 WHERE client_no = 'C-3'");
    pair.account("C-3", &json!({"paymenttermscode": 1, "emailaddress1": "third@sample.example"}));
    pair.world.with_failpoints(&["run", "customers-two-way"], "sink.after@1=abort");
    pair.good_run();
    assert_eq!(row("C-3"), "Renamed (sample)|third@sample.example|75000|30");
    assert_eq!(pair.dynamics()["C-3"][0].as_deref(), Some("Renamed (sample)"));
    pair.rests();

    // One field, two people: a person decides.
    server.sql("UPDATE clients SET company = 'Here (sample)' WHERE client_no = 'C-1'");
    pair.account("C-1", &json!({"name": "There (sample)"}));
    pair.good_run();
    let letters = pair.letters();
    assert_eq!(letters[0]["code"], "IB0720", "{letters:#?}");
    let id = letters[0]["id"].as_str().unwrap();
    pair.world.ironbridge(&["dead-letters", "decide", id, "--take", "dynamics", "--note", "(sample)"]).ok();
    pair.good_run();
    assert_eq!(row("C-1"), "There (sample)|Bob@Sample.example|100000|30");
    pair.rests();

    // What is gone there is gone here.
    let deletes = "deletes: delete\nmax_deletes: 100 %\nschedule:";
    pair.world.edit("integrations/customers-two-way.yaml", "schedule:", deletes);
    pair.good_run();
    server.sql("DELETE FROM clients WHERE client_no = 'C-2'");
    pair.lose_account("C-3");
    pair.good_run();
    assert_eq!((server.row("C-3"), pair.dynamics().contains_key("C-2")), (None, false));
    pair.rests();
}

#[test]
fn postgres() {
    let Some(Postgres { world, database }) = Postgres::new("two_way", 10) else { return };
    database.sql(
        "CREATE TABLE clients (client_no text PRIMARY KEY, company text NOT NULL, mail text, credit numeric(18,4),
           terms text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END $$;
         CREATE TRIGGER touched BEFORE UPDATE ON clients FOR EACH ROW EXECUTE FUNCTION touch();",
    );
    story(&pair(world, "postgres"), &database);
}

#[test]
fn mariadb() {
    let Some(MariaDb { world, database }) = MariaDb::new("two_way", 10) else { return };
    database.sql(&[
        "CREATE TABLE clients (client_no VARCHAR(20) PRIMARY KEY, company VARCHAR(160) NOT NULL, mail VARCHAR(100),
           credit DECIMAL(18,4), terms VARCHAR(4), updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
           ON UPDATE CURRENT_TIMESTAMP(6)) COLLATE utf8mb4_bin",
    ]);
    story(&pair(world, "mysql"), &database);
}
