//! A definition that reads something else than before, or writes somewhere else: everything is read once, and nothing is
//! taken for being where it is not.

use rusqlite::Connection;
use serde_json::Value as Json;

use crate::support::{Said, World, binary};
use crate::two_way;

const ENTITY: &str = "entity: debtor
key: number
fields: { number: { type: text, max_length: 20 }, name: { type: text, max_length: 40 }, seen: { type: datetime } }
";

const BOOKS: &str = "system: books
kind: sqlite
owner: finance-it
time_zone: Europe/London
connection: { file: data/books.db }
entities:
  debtor:
    table: debtors
    watermark: { column: changed, overlap: 5 minutes }
    read: { number: no, name: name, seen: seen }
";

const SHOP: &str = "system: shop
kind: sqlite
owner: finance-it
time_zone: UTC
connection: { file: data/shop.db }
entities:
  debtor:
    table: buyers
    alternate_key: code
    write: { code: number, title: name, seen: seen }
";

const DEBTORS: &str = "integration: debtors
pattern: batch
entity: debtor
from: books
to: shop
schedule: daily at 02:00
owner: finance-it
purpose: A test.
";

/// Debtors of a SQLite file on their way to another one.
pub struct Shop(pub World);

impl Shop {
    /// With five debtors, whose last changes are days apart.
    pub fn new() -> Shop {
        let shop = Shop::empty();
        for n in 1..=5 {
            shop.books(&format!(
                "INSERT INTO debtors VALUES ('D-{n}', 'name {n}', '2026-07-0{n} 12:00:00', '2026-11-0{n} 10:00:00')"
            ));
        }
        shop
    }

    pub fn empty() -> Shop {
        let world = World::new(1);
        for gone in ["integrations/customers.yaml", "entities/customer.yaml", "systems/finance.yaml"] {
            std::fs::remove_file(world.dir.join(gone)).unwrap();
        }
        std::fs::remove_file(world.dir.join("systems/dynamics.yaml")).unwrap();
        let _ = std::fs::remove_dir_all(world.dir.join("tests"));
        for (file, text) in [
            ("entities/debtor.yaml", ENTITY),
            ("systems/books.yaml", BOOKS),
            ("systems/shop.yaml", SHOP),
            ("integrations/debtors.yaml", DEBTORS),
        ] {
            std::fs::write(world.dir.join(file), text).unwrap();
        }
        let shop = Shop(world);
        shop.books("CREATE TABLE debtors (no TEXT, name TEXT, seen DATETIME, changed DATETIME)");
        shop.shop("CREATE TABLE buyers (code TEXT PRIMARY KEY, title TEXT, seen DATETIME)");
        shop
    }

    pub fn books(&self, sql: &str) {
        Connection::open(self.0.dir.join("data/books.db")).unwrap().execute_batch(sql).unwrap();
    }

    pub fn shop(&self, sql: &str) {
        Connection::open(self.0.dir.join("data/shop.db")).unwrap().execute_batch(sql).unwrap();
    }

    /// One text for each row that a table of the shop has.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let conn = Connection::open(self.0.dir.join("data/shop.db")).unwrap();
        let mut statement = conn.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    pub fn ironbridge(&self, args: &[&str]) -> Said {
        self.0.ironbridge(args)
    }

    /// A run that ends well, and does what a plan said just before.
    pub fn run(&self) -> Json {
        let plan = self.ironbridge(&["--format", "json", "plan", "debtors"]).json();
        let run = self.ironbridge(&["--format", "json", "run", "debtors"]).json();
        assert!(run["error"].is_null(), "{run:#}");
        for (planned, done) in [
            ("create", "created"),
            ("update", "updated"),
            ("delete", "deleted"),
            ("reject", "rejected"),
            ("unchanged", "unchanged"),
        ] {
            assert_eq!(plan[planned], run[done], "{planned}: {plan:#}\n{run:#}");
        }
        run
    }

    /// How many rows were read, created and updated.
    fn counts(&self) -> [u64; 3] {
        let run = self.run();
        ["read", "created", "updated"].map(|name| run[name].as_u64().unwrap())
    }
}

#[test]
fn what_is_read_is_another_and_everything_is_read_once() {
    let shop = Shop::new();
    assert_eq!(shop.counts(), [5, 5, 0]);
    assert_eq!(shop.counts(), [1, 0, 0], "the overlap");
    shop.0.edit(
        "systems/books.yaml",
        "table: debtors",
        "query: SELECT no, upper(name) AS name, seen, changed FROM debtors",
    );
    assert_eq!(shop.counts(), [5, 0, 5]);
    assert_eq!(shop.counts(), [1, 0, 0]);
    shop.0.edit("systems/books.yaml", "Europe/London", "Europe/Berlin");
    assert_eq!(shop.counts(), [5, 0, 5], "their times are other moments");
    assert_eq!(shop.rows("SELECT seen FROM buyers WHERE code = 'D-1'"), ["2026-07-01 10:00:00"]);
    assert_eq!(shop.counts(), [1, 0, 0]);

    // Another system with the same rows and others, in the same words.
    let books = std::fs::read_to_string(shop.0.dir.join("systems/books.yaml")).unwrap();
    let more = books.replace("system: books", "system: branch").replace("books.db", "branch.db");
    std::fs::write(shop.0.dir.join("systems/branch.yaml"), more).unwrap();
    std::fs::copy(shop.0.dir.join("data/books.db"), shop.0.dir.join("data/branch.db")).unwrap();
    let branch = Connection::open(shop.0.dir.join("data/branch.db")).unwrap();
    branch.execute_batch("INSERT INTO debtors VALUES ('D-9', 'nine', NULL, '2026-01-01 10:00:00')").unwrap();
    shop.0.edit("integrations/debtors.yaml", "from: books", "from: branch");
    assert_eq!(shop.counts(), [6, 1, 0]);
}

#[test]
fn another_destination_gets_everything() {
    let shop = Shop::new();
    shop.run();
    let other = SHOP.replace("system: shop", "system: outlet").replace("buyers", "outlet_buyers");
    std::fs::write(shop.0.dir.join("systems/outlet.yaml"), other).unwrap();
    shop.shop("CREATE TABLE outlet_buyers (code TEXT PRIMARY KEY, title TEXT, seen DATETIME)");
    shop.0.edit("integrations/debtors.yaml", "to: shop", "to: outlet");
    assert_eq!(shop.counts(), [5, 5, 0]);
    assert_eq!(shop.rows("SELECT title FROM outlet_buyers ORDER BY code").len(), 5);
}

#[test]
fn what_was_done_in_one_environment_was_not_done_in_another() {
    let shop = Shop::new();
    shop.run();
    std::fs::create_dir_all(shop.0.dir.join("environments")).unwrap();
    let production = "systems: { shop: { connection: { file: data/production.db } } }\n";
    std::fs::write(shop.0.dir.join("environments/production.yaml"), production).unwrap();
    let there = Connection::open(shop.0.dir.join("data/production.db")).unwrap();
    there.execute_batch("CREATE TABLE buyers (code TEXT PRIMARY KEY, title TEXT, seen DATETIME)").unwrap();
    let plan = shop.ironbridge(&["--env", "production", "--format", "json", "plan", "debtors"]).json();
    let run = shop.ironbridge(&["--env", "production", "--format", "json", "run", "debtors"]).json();
    assert_eq!((&plan["create"], &run["created"]), (&5.into(), &5.into()), "{run:#}");
    let runs = |args: &[&str]| shop.ironbridge(args).json().as_array().unwrap().len();
    assert_eq!(runs(&["--env", "production", "--format", "json", "runs"]), 1);
    assert_eq!(runs(&["--format", "json", "runs"]), 1);
    assert_eq!(shop.counts(), [1, 0, 0], "here everything is as it was");
}

/// What is pasted looks at the folder and the environment that it was read in.
#[test]
fn commands_are_told_with_their_folder_and_environment() {
    let shop = Shop::new();
    std::fs::create_dir_all(shop.0.dir.join("environments")).unwrap();
    std::fs::write(shop.0.dir.join("environments/production.yaml"), "protected: false\n").unwrap();
    shop.shop(
        "CREATE TRIGGER refuse BEFORE INSERT ON buyers WHEN new.code = 'D-1' BEGIN SELECT raise(ABORT, 'no'); END;",
    );
    shop.ironbridge(&["--env", "production", "run", "debtors"]).ok();
    let said = shop.ironbridge(&["--env", "production", "dead-letters", "list"]).ok();
    assert!(said.err.contains(&shop.0.typed("--env production dead-letters show ")), "{said:#?}");
    let mut here = binary();
    here.current_dir(&shop.0.dir).args(["--env", "production", "dead-letters", "list"]);
    let said = crate::support::said(here.output().unwrap()).ok();
    assert!(said.err.contains("ironbridge --env production dead-letters show "), "{said:#?}");
    let said = shop.ironbridge(&["--env", "production", "status"]).ok();
    assert!(!said.out.contains("ironbridge dead") && !said.err.contains("ironbridge dead"), "{said:#?}");
    let said = shop.ironbridge(&["--env", "production", "run", "nothing"]).fails(2, "IB0002");
    assert!(said.err.contains("ironbridge explain IB0002"), "{said:#?}");
    // Whoever forgets it is told where something has run.
    let said = shop.ironbridge(&["status"]).ok();
    assert!(said.err.contains("without `--env`; there is state of: production"), "{said:#?}");
}

#[test]
fn another_table_of_the_destination_gets_everything() {
    for drift in ["report", "overwrite"] {
        let shop = Shop::new();
        shop.0.edit("integrations/debtors.yaml", "owner:", &format!("compare_live: weekly\ndrift: {drift}\nowner:"));
        shop.run();
        shop.shop("CREATE TABLE clients (code TEXT PRIMARY KEY, title TEXT, seen DATETIME)");
        shop.shop("INSERT INTO clients SELECT code, title, seen FROM buyers WHERE code IN ('D-1', 'D-2')");
        shop.shop("UPDATE clients SET title = 'somebody' WHERE code = 'D-2'");
        shop.0.edit("systems/shop.yaml", "table: buyers", "table: clients");
        assert_eq!(shop.counts(), [5, 3, 1], "one is there already, and is not written");
        let titles = shop.rows("SELECT title FROM clients ORDER BY code");
        assert_eq!(titles, ["name 1", "name 2", "name 3", "name 4", "name 5"]);
        assert_eq!(shop.counts(), [1, 0, 0]);
    }
}

#[test]
fn a_time_in_a_column_without_a_zone_is_what_was_written_there() {
    let shop = Shop::new();
    shop.0.edit("systems/shop.yaml", "time_zone: UTC", "time_zone: America/New_York");
    shop.0.edit("integrations/debtors.yaml", "owner:", "compare_live: weekly\ndrift: report\nowner:");
    // Clocks were set back there on the first of November, an hour after this.
    shop.books("UPDATE debtors SET seen = '2026-11-01 05:30:00' WHERE no = 'D-3'");
    shop.run();
    assert_eq!(
        shop.rows("SELECT seen FROM buyers WHERE code IN ('D-1', 'D-3') ORDER BY code"),
        ["2026-07-01 07:00:00", "2026-11-01 01:30:00"]
    );
    let week = 8 * 24 * 3600;
    let again = shop.0.with_clock(&["--format", "json", "run", "debtors"], "", week).json();
    assert_eq!((&again["unchanged"], &again["rejected"]), (&5.into(), &0.into()), "{again:#}");
}

#[test]
fn a_run_that_is_killed_on_the_new_way_goes_on_there() {
    let shop = Shop::new();
    shop.run();
    shop.shop("CREATE TABLE clients (code TEXT PRIMARY KEY, title TEXT, seen DATETIME)");
    shop.0.edit("systems/shop.yaml", "table: buyers", "table: clients");
    for at in 1..8 {
        let said = shop.0.with_failpoints(&["run", "debtors"], &format!("commit.after@{at}=abort"));
        if said.code == Some(0) {
            break;
        }
    }
    shop.run();
    assert_eq!(shop.rows("SELECT title FROM clients ORDER BY code").len(), 5);
}

#[test]
fn a_position_of_an_earlier_version_is_one_to_go_on_from() {
    let shop = Shop::new();
    shop.run();
    let mut state = shop.ironbridge(&["state", "show", "debtors"]).json();
    let fingerprint = state["positions"]["debtor"]["fingerprint"].as_str().unwrap().to_owned();
    let (mapping, _) = fingerprint.split_once('-').unwrap();
    state["positions"]["debtor"]["fingerprint"] = mapping.into();
    let file = shop.0.dir.join("state.json");
    std::fs::write(&file, state.to_string()).unwrap();
    shop.ironbridge(&["state", "set", "debtors", file.to_str().unwrap()]).ok();
    assert_eq!(shop.counts(), [1, 0, 0]);
}

#[test]
fn two_sides_agreed_on_nothing_where_one_of_them_is_another() {
    let pair = two_way::Pair::new();
    pair.client("C-1", "Acme", "a@acme.example", "100", "30");
    pair.client("C-2", "Zeta", "z@zeta.example", "200", "60");
    pair.good_run();
    pair.rests();
    let there = pair.finance();
    pair.sql("ALTER TABLE clients RENAME TO old_clients");
    let sql =
        "CREATE TABLE debtors (client_no TEXT PRIMARY KEY, company TEXT NOT NULL, mail TEXT, credit TEXT, terms TEXT,
               updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')))";
    pair.sql(sql);
    pair.world.edit("systems/finance.yaml", "table: clients", "table: debtors");
    let plan = pair.planned_run();
    assert_eq!(plan["create"], 2, "{plan:#}");
    pair.sql("DROP TABLE old_clients; ALTER TABLE debtors RENAME TO clients");
    assert_eq!(pair.finance().keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>());
}
