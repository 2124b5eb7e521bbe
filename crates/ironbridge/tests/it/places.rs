//! Where a sweep begins, and what it does where the place of the last one says nothing any more: what was there before is
//! no event, and whatever comes after that is one.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value as Json;

use crate::stage::{EVENTS, Stage, WAREHOUSE};
use crate::support::http;

fn row(stage: &Stage, number: &str, name: &str, updated: &str) {
    stage.world.sql(&format!(
        "INSERT INTO customers (customer_no, company_name, credit_limit, updated_at) VALUES ('{number}', '{name}', '5', {updated})"
    ));
}

fn now() -> String {
    format!("'{}'", jiff::Timestamp::now())
}

fn sweeps(stage: &Stage, more: usize) {
    for _ in 0..more {
        let before = stage.sweeps();
        stage.until("a sweep", || stage.sweeps() != before);
    }
}

fn letters(stage: &Stage) -> Vec<Json> {
    stage.json(&["dead-letters", "list"]).as_array().unwrap().clone()
}

#[test]
fn an_outbox_that_is_empty_at_first_loses_none_of_its_first_rows() {
    let mut stage = Stage::polling();
    let finance = std::fs::read_to_string(stage.world.dir.join("systems/finance.yaml")).unwrap();
    let line = finance.lines().find(|line| line.trim_start().starts_with("watermark:")).unwrap();
    stage.world.edit("systems/finance.yaml", line, "    watermark: { column: grows }");
    stage.world.sql("DELETE FROM customers; ALTER TABLE customers ADD COLUMN grows INTEGER;");
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    let come = |numbers: std::ops::Range<u32>| {
        let rows: Vec<String> = numbers.map(|n| format!("('C-{n}', 'New', '5', {}, {n})", now())).collect();
        stage.world.sql(&format!(
            "INSERT INTO customers (customer_no, company_name, credit_limit, updated_at, grows) VALUES {}",
            rows.join(", ")
        ));
    };
    come(1..4);
    let there = |numbers: std::ops::Range<u32>| numbers.map(|n| format!("C-{n} New 5")).collect::<Vec<_>>();
    stage.until("all of them", || stage.buyers() == there(1..4));
    come(4..6);
    stage.until("the next", || stage.buyers() == there(1..6) && stage.waiting() == 0);
    assert!(!stage.log().contains("cannot say what changed"), "{}", stage.log());
}

#[test]
fn rows_that_were_there_before_are_no_events_though_each_sweep_reads_them() {
    let mut stage = Stage::polling();
    stage.world.stamps_may_be_missing();
    stage.world.sql("DELETE FROM customers");
    // One that nobody has ever changed, and one that was changed just now: both are read again each time.
    row(&stage, "OLD-1", "Before", "NULL");
    row(&stage, "OLD-2", "Before", &now());
    row(&stage, "OLD-3", "Before", "NULL");
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    sweeps(&stage, 3);
    assert_eq!((stage.buyers(), stage.waiting()), (Vec::new(), 0));
    row(&stage, "NEW-1", "After", "NULL");
    row(&stage, "NEW-2", "After", &now());
    stage.world.sql("UPDATE customers SET company_name = 'Changed' WHERE customer_no = 'OLD-3'");
    stage.until("what came and what changed", || {
        stage.buyers() == ["NEW-1 After 5", "NEW-2 After 5", "OLD-3 Changed 5"] && stage.waiting() == 0
    });
    sweeps(&stage, 2);
    assert_eq!(stage.buyers().len(), 3);
}

#[test]
fn a_table_whose_rows_have_no_time_of_change_yet_is_none_that_cannot_say() {
    let mut stage = Stage::polling();
    stage.world.stamps_may_be_missing();
    stage.world.sql("DELETE FROM customers");
    row(&stage, "OLD-1", "Before", "NULL");
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    row(&stage, "NEW-1", "After", "NULL");
    stage.until("the first row", || stage.buyers() == ["NEW-1 After 5"]);
    stage.world.sql(&format!("UPDATE customers SET company_name = 'Changed', updated_at = {}", now()));
    stage.until("both", || stage.buyers() == ["NEW-1 Changed 5", "OLD-1 Changed 5"] && stage.waiting() == 0);
    assert!(!stage.log().contains("cannot say what changed"), "{}", stage.log());
}

/// Another column is read, so that change tracking has to begin anew: which rows changed meanwhile it cannot say.
#[test]
fn a_place_that_is_lost_brings_what_changed_since_and_none_of_what_was_there_before() {
    let mut stage = Stage::unregistered(&format!("{EVENTS}sweep: every 1 second\n"));
    for number in ["OLD-1", "OLD-2"] {
        stage.account(number, "Before", 1);
    }
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    for number in ["C-1", "C-2"] {
        stage.account(number, "After", 2);
    }
    stage.until("what came", || stage.buyers() == ["C-1 After 2", "C-2 After 2"] && stage.waiting() == 0);
    stage.kill();
    // As if that had been long ago: so much before the last sweep is asked for again.
    let state = Connection::open(stage.world.dir.join(".ironbridge/state.db")).unwrap();
    let later = jiff::Timestamp::now().as_millisecond() + 15 * 60_000;
    let changed = state.execute("UPDATE cursor SET updated = ?1 WHERE stream = 'sweep'", [later]).unwrap();
    assert_eq!(changed, 1);
    drop(state);
    // Dynamics notes whole seconds.
    std::thread::sleep(Duration::from_millis(1100));
    stage.account("C-1", "Changed", 3);
    stage.account("C-3", "Meanwhile", 4);
    let terms =
        "creditlimit: credit_limit, paymenttermscode: { field: terms, choice: { net30: 1, net60: 4, prepaid: 10 } }";
    stage.world.edit("systems/dynamics.yaml", "creditlimit: credit_limit", terms);
    stage.start();
    let all = ["C-1 Changed 3", "C-2 After 2", "C-3 Meanwhile 4"];
    stage.until("what changed and what came", || stage.buyers() == all && stage.waiting() == 0);
    assert!(stage.log().contains("other columns are read than the last time"), "{}", stage.log());
    sweeps(&stage, 2);
    assert_eq!((stage.buyers(), stage.effects("C-2")), (all.map(str::to_owned).to_vec(), 1));
    // From there on it goes on as before.
    stage.account("OLD-1", "Changed", 5);
    stage.until("an old one that changes", || stage.buyers().contains(&"OLD-1 Changed 5".to_owned()));
}

/// The newest row is read again by each sweep.
#[test]
fn what_later_events_may_pass_is_one_dead_letter_however_often_it_is_read() {
    let mut stage = Stage::polling();
    stage.world.edit("integrations/buyers.yaml", "hold_key", "continue");
    stage.sql("CREATE TRIGGER refuse BEFORE INSERT ON buyers WHEN new.title = 'Poison' BEGIN SELECT raise(ABORT, 'unknown code'); END;");
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    row(&stage, "C-8", "Poison", &now());
    stage.until("its dead letter", || letters(&stage).len() == 1);
    stage.world.sql(&format!(
        "INSERT INTO customers (customer_no, company_name, credit_limit, updated_at) VALUES ('C-9', CAST(x'41ff' AS TEXT), '5', {})",
        now()
    ));
    stage.until("that of one that cannot be read", || letters(&stage).len() == 2);
    sweeps(&stage, 3);
    let told: Vec<(Json, Json)> =
        letters(&stage).iter().map(|one| (one["key"].clone(), one["count"].clone())).collect();
    assert_eq!(told, [("C-9".into(), 1.into()), ("C-8".into(), 1.into())]);
    // Nobody needs it as it is; changed, it is another matter.
    let poison = letters(&stage)[1]["id"].as_str().unwrap().to_owned();
    stage.say(&["dead-letters", "discard", &poison]);
    sweeps(&stage, 3);
    assert_eq!(letters(&stage).len(), 1);
    stage.world.sql(&format!(
        "UPDATE customers SET company_name = 'Better', updated_at = {} WHERE customer_no = 'C-8'",
        now()
    ));
    stage.until("the better row", || stage.buyers().contains(&"C-8 Better 5".to_owned()) && stage.waiting() == 0);
}

#[test]
fn a_discarded_row_does_not_come_again_with_the_next_sweep() {
    let mut stage = Stage::polling();
    stage.sql("CREATE TRIGGER refuse BEFORE INSERT ON buyers WHEN new.title = 'Poison' BEGIN SELECT raise(ABORT, 'unknown code'); END;");
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    row(&stage, "C-8", "Poison", &now());
    stage.until("its dead letter", || letters(&stage).len() == 1);
    stage.say(&["dead-letters", "discard", letters(&stage)[0]["id"].as_str().unwrap()]);
    stage.until("its end", || letters(&stage).is_empty() && stage.waiting() == 0);
    sweeps(&stage, 3);
    assert_eq!((letters(&stage).len(), stage.waiting()), (0, 0));
}

/// Of a row that came in part nobody knows whether the destination has all of it: it is looked at, and nobody is alarmed.
#[test]
fn what_came_in_part_is_looked_at_and_not_told_as_missed() {
    let mut stage = Stage::with(&format!("{EVENTS}payload: as_sent\nsweep: every 1 second\n"));
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    stage.account("C-1", "First", 1);
    stage.until("the row", || stage.buyers() == ["C-1 First 1"]);
    stage.dynamics("PATCH", "accounts(accountnumber='C-1')", r#"{"creditlimit": 2}"#);
    stage.until("its part", || stage.buyers() == ["C-1 First 2"]);
    stage.until("the look", || stage.say(&["trace", "customer", "C-1"]).contains("found by the sweep"));
    stage.until("quiet", || stage.waiting() == 0);
    sweeps(&stage, 2);
    assert!(!stage.log().contains("had no webhook"), "{}", stage.log());
}

#[test]
fn a_destination_that_is_down_holds_up_no_other_that_is_polled_for() {
    let mut stage = Stage::polling();
    stage.world.edit("integrations/buyers.yaml", "[warehouse]", "[annex, warehouse]");
    let annex = WAREHOUSE.replace("system: warehouse", "system: annex").replace("warehouse.db", "annex.db");
    std::fs::write(stage.world.dir.join("systems/annex.yaml"), annex).unwrap();
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    row(&stage, "C-8", "Polled", &now());
    stage.until("the one that is there", || stage.buyers() == ["C-8 Polled 5"]);
    sweeps(&stage, 2);
    assert_eq!(stage.waiting_for("annex"), 1, "it waits, once");
    let there = Connection::open(stage.world.dir.join("data/annex.db")).unwrap();
    there.execute_batch("CREATE TABLE buyers (code TEXT PRIMARY KEY, title TEXT, mail TEXT, money TEXT)").unwrap();
    stage.until("the other one", || stage.waiting_for("annex") == 0);
    let codes: String = there.query_row("SELECT group_concat(code) FROM buyers", [], |row| row.get(0)).unwrap();
    assert_eq!(codes, "C-8");
}

/// The newest rows are read again by each sweep, and those that share an order have one memory of what was refused.
#[test]
fn rows_that_share_an_order_have_a_dead_letter_each_however_often_they_are_read() {
    let mut stage = Stage::polling();
    stage.world.edit("integrations/buyers.yaml", "hold_key", "continue\norder_by: name");
    stage.sql("CREATE TRIGGER refuse BEFORE INSERT ON buyers WHEN new.title = 'Poison' BEGIN SELECT raise(ABORT, 'unknown code'); END;");
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    row(&stage, "C-8", "Poison", &now());
    row(&stage, "C-9", "Poison", &now());
    stage.until("their dead letters", || letters(&stage).len() == 2);
    sweeps(&stage, 3);
    let told: Vec<Json> = letters(&stage).iter().map(|one| one["count"].clone()).collect();
    assert_eq!(told, [1, 1]);
    stage.say(&["dead-letters", "discard", letters(&stage)[0]["id"].as_str().unwrap()]);
    sweeps(&stage, 3);
    assert_eq!(letters(&stage).len(), 1);
}

#[test]
fn a_source_that_is_polled_says_that_its_only_destination_is_down() {
    let mut stage = Stage::polling();
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    let (there, away) = (stage.warehouse(), stage.warehouse().with_extension("away"));
    std::fs::rename(&there, &away).unwrap();
    row(&stage, "C-8", "Polled", &now());
    stage.until("the outage", || stage.say(&["status"]).contains("warehouse down since"));
    let status = stage.say(&["status"]);
    assert!(!status.contains("nothing waits") && !status.contains("0 wait"), "{status}");
    std::fs::rename(&away, &there).unwrap();
    stage.until("the row", || stage.buyers() == ["C-8 Polled 5"]);
    stage.until("the end of the outage", || !stage.say(&["status"]).contains("down"));
}

#[test]
fn what_was_deleted_while_the_place_was_lost_is_deleted_and_no_table_that_cannot_be_seen() {
    let events = EVENTS.replace("[created, updated]", "[created, updated, deleted]");
    let mut stage = Stage::with(&format!("{events}sweep: every 1 second\n"));
    let gap = |stage: &mut Stage, gone: std::ops::Range<u32>| {
        stage.kill();
        for number in gone {
            stage.dynamics("DELETE", &format!("accounts(accountnumber='C-{number}')"), "");
        }
        http(&stage.world.url, "POST", "/emulator/expire/delta-tokens", "");
        stage.start();
    };
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    for number in 10..30 {
        stage.account(&format!("C-{number}"), "Buyer", 1);
    }
    stage.until("the rows", || stage.buyers().len() == 20 && stage.waiting() == 0);
    gap(&mut stage, 10..12);
    stage.until("both deletions", || stage.buyers().len() == 18);
    stage.until("quiet", || stage.waiting() == 0);
    sweeps(&stage, 1);
    gap(&mut stage, 12..23);
    stage.until("what is said of so many", || {
        stage.log().contains("11 rows that were delivered to warehouse are not in")
    });
    sweeps(&stage, 2);
    assert_eq!(stage.buyers().len(), 18);
}

/// The delivery finds the row by what the sweep has told of its key.
#[test]
fn a_row_is_found_again_whatever_its_key_looks_like() {
    let mut stage = Stage::polling();
    stage.world.edit("entities/customer.yaml", "max_length: 20", "max_length: 700");
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    let long = "x".repeat(600);
    let mut keys = [
        "B5B6A2F1-0000-4000-8000-00000000000A",
        "b5b6a2f1-0000-4000-8000-00000000000b",
        "d41d8cd98f00b204e9800998ecf8427e",
        "{b5b6a2f1-0000-4000-8000-00000000000c}",
        "007",
        &long,
    ];
    keys.sort_unstable();
    for key in keys {
        row(&stage, key, "New", &now());
    }
    stage.until("all of them", || stage.texts("SELECT code FROM buyers ORDER BY code") == keys);
    sweeps(&stage, 2);
    stage.until("quiet", || stage.waiting() == 0);
    assert!(keys.iter().all(|key| stage.effects(key) == 1));
}

#[test]
fn a_row_that_has_nothing_in_the_field_of_its_order_is_delivered_too() {
    let mut stage = Stage::polling();
    stage.world.edit("integrations/buyers.yaml", "because:", "order_by: parent\nbecause:");
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    for (number, parent) in [("C-1", "NULL"), ("C-2", "''"), ("C-3", "'C-1'"), ("C-4", "NULL")] {
        stage.world.sql(&format!(
            "INSERT INTO customers (customer_no, company_name, parent_no, credit_limit, updated_at)
             VALUES ('{number}', 'New', {parent}, '5', {})",
            now()
        ));
    }
    stage.until("all of them", || stage.buyers().len() == 4 && stage.waiting() == 0);
    stage.world.sql(&format!("UPDATE customers SET company_name = 'Newer', updated_at = {}", now()));
    stage.until("their change", || stage.buyers().iter().filter(|row| row.contains("Newer")).count() >= 4);
}

#[test]
fn rows_that_nothing_names_are_no_events_and_people_are_told() {
    let mut stage = Stage::polling();
    let finance = std::fs::read_to_string(stage.world.dir.join("systems/finance.yaml")).unwrap();
    let query = finance.replace("table: customers", "query: SELECT * FROM customers");
    let query = query.replace("number: customer_no", "number: =Upper(customer_no)");
    std::fs::write(stage.world.dir.join("systems/finance.yaml"), query).unwrap();
    let checked = stage.say(&["check", "--online"]);
    assert!(checked.contains("its key is made by a formula"), "{checked}");
    stage.start();
    stage.until("the word of it", || stage.say(&["status"]).contains("its key is made by a formula"));
    // With the formula in the query all is well.
    stage.kill();
    let query = finance.replace("table: customers", "query: SELECT upper(customer_no) AS customer_no, company_name, contact_email, credit_limit, terms_code, parent_no, updated_at FROM customers");
    std::fs::write(stage.world.dir.join("systems/finance.yaml"), query).unwrap();
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    row(&stage, "c-1", "New", &now());
    stage.until("the row", || stage.buyers() == ["C-1 New 5"] && stage.waiting() == 0);
}

/// A number that grows says nothing of another table.
#[test]
fn a_table_that_takes_the_place_of_another_is_polled_from_its_own_beginning() {
    let mut stage = Stage::polling();
    let finance = std::fs::read_to_string(stage.world.dir.join("systems/finance.yaml")).unwrap();
    let line = finance.lines().find(|line| line.trim_start().starts_with("watermark:")).unwrap();
    stage.world.edit("systems/finance.yaml", line, "    watermark: { column: grows }");
    stage.world.sql(
        "ALTER TABLE customers ADD COLUMN grows INTEGER; UPDATE customers SET grows = 5000;
         CREATE TABLE customers_2 AS SELECT * FROM customers WHERE 0;",
    );
    let come = |stage: &Stage, table: &str, number: &str, grows: u32| {
        stage.world.sql(&format!(
            "INSERT INTO {table} (customer_no, company_name, credit_limit, updated_at, grows) VALUES ('{number}', 'New', '5', {}, {grows})",
            now()
        ));
    };
    come(&stage, "customers_2", "OLD-1", 1);
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    come(&stage, "customers", "C-1", 5001);
    stage.until("the row", || stage.buyers() == ["C-1 New 5"]);
    stage.kill();
    stage.world.edit("systems/finance.yaml", "table: customers", "table: customers_2");
    let before = stage.sweeps();
    stage.start();
    stage.until("a sweep of the other table", || stage.sweeps() != before);
    assert!(stage.log().contains("what is read is not what it was"), "{}", stage.log());
    come(&stage, "customers_2", "C-2", 2);
    stage.until("its new row", || stage.buyers() == ["C-1 New 5", "C-2 New 5"] && stage.waiting() == 0);
    sweeps(&stage, 2);
    assert_eq!(stage.buyers().len(), 2, "what was there before is no event");
}

/// Whoever is told of three changes looks for three.
#[test]
fn a_change_that_had_no_webhook_is_told_once_whoever_gets_it() {
    let mut stage = Stage::unregistered(&format!("{EVENTS}sweep: every 1 second\n"));
    stage.world.edit("integrations/buyers.yaml", "[warehouse]", "[annex, warehouse]");
    let annex = WAREHOUSE.replace("system: warehouse", "system: annex").replace("table: buyers", "table: annex");
    std::fs::write(stage.world.dir.join("systems/annex.yaml"), annex).unwrap();
    stage.sql("CREATE TABLE annex (code TEXT PRIMARY KEY, title TEXT, mail TEXT, money TEXT)");
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    stage.account("C-1", "Unheard", 1);
    stage.until("the row", || stage.buyers() == ["C-1 Unheard 1"] && stage.texts("SELECT code FROM annex") == ["C-1"]);
    assert!(stage.log().contains("1 changes in dynamics had no webhook"), "{}", stage.log());
    // An event that has come, and takes its time.
    stage.register("Update");
    let slow = rusqlite::Connection::open(stage.warehouse()).unwrap();
    slow.execute_batch("BEGIN IMMEDIATE").unwrap();
    stage.account("C-1", "Heard", 2);
    sweeps(&stage, 1);
    drop(slow);
    stage
        .until("the change", || stage.buyers() == ["C-1 Heard 2"] && stage.waiting() + stage.waiting_for("annex") == 0);
    assert_eq!(stage.log().matches("had no webhook").count(), 1, "{}", stage.log());
}

/// The first look at a large table takes its time.
#[test]
fn what_comes_while_a_table_is_looked_at_for_the_first_time_is_an_event() {
    let mut stage = Stage::polling();
    stage.world.sql(
        "PRAGMA journal_mode = WAL; DELETE FROM customers;
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 120000)
         INSERT INTO customers (customer_no, company_name, credit_limit, updated_at)
           SELECT 'OLD-' || n, 'Before', '5', '2026-01-01T00:00:00Z' FROM n;",
    );
    stage.start();
    let finance = Connection::open(stage.world.dir.join("data/finance.db")).unwrap();
    finance.busy_timeout(Duration::from_secs(5)).unwrap();
    let mut came = Vec::new();
    while stage.sweeps().is_empty() {
        let (number, at) = (format!("C-{:04}", came.len()), jiff::Timestamp::now());
        let sql = "INSERT INTO customers (customer_no, company_name, credit_limit, updated_at) VALUES (?1, 'Meanwhile', '5', ?2)";
        finance.execute(sql, [&number, &at.to_string()]).unwrap();
        came.push(number);
        std::thread::sleep(Duration::from_millis(2));
    }
    let last = came.last().unwrap();
    stage.until("the last of them", || stage.buyers().contains(&format!("{last} Meanwhile 5")));
    stage.until("quiet", || stage.waiting() == 0);
    // Those of the moments before the look began were there before. From the first that is news on, all are.
    let told = stage.buyers();
    assert!(told.len() > 3, "{} of {} came", told.len(), came.len());
    let expected: Vec<String> =
        came[came.len() - told.len()..].iter().map(|number| format!("{number} Meanwhile 5")).collect();
    assert_eq!(told, expected);
}
