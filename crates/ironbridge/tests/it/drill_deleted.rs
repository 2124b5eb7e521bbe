//! A drill by seeds: rows of Dynamics come, change, go and come back as they were, some are refused, while the hub is
//! killed, its disk is full, and the network to the warehouse is cut. In the end the warehouse, a SQLite, PostgreSQL or
//! MariaDB, has what Dynamics has, nobody waits for anything, and nothing was ever written that was right.
//!
//! Seeds as in `drill`: `IRONBRIDGE_SEEDS` says how many, `IRONBRIDGE_SEED` where to begin.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::chaos::{Chance, stories};
use crate::database::Database;
use crate::drill::{Checker, PATIENCE};
use crate::signals::register;
use crate::stage::{EVENTS, Stage};

/// What refuses a row, and what notes each write that changes nothing.
fn triggers(warehouse: &Database) -> &'static str {
    match warehouse {
        Database::Lite(_) => {
            "CREATE TABLE idle (code TEXT);
             CREATE TRIGGER same AFTER UPDATE ON buyers
                 WHEN old.title IS new.title AND old.mail IS new.mail AND old.money IS new.money BEGIN INSERT INTO idle VALUES (new.code); END;
             CREATE TRIGGER refuse_new BEFORE INSERT ON buyers WHEN new.title = 'Poison' BEGIN SELECT raise(ABORT, 'unknown code'); END;
             CREATE TRIGGER refuse BEFORE UPDATE ON buyers WHEN new.title = 'Poison' BEGIN SELECT raise(ABORT, 'unknown code'); END;"
        }
        Database::Postgres(..) => {
            "CREATE TABLE idle (code TEXT NOT NULL);
             CREATE TABLE buyers (code VARCHAR(20) PRIMARY KEY, title TEXT CHECK (title <> 'Poison'), mail TEXT, money NUMERIC(14, 2));
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO idle VALUES (NEW.code); RETURN NULL; END $$;
             CREATE TRIGGER same AFTER UPDATE ON buyers FOR EACH ROW WHEN (OLD IS NOT DISTINCT FROM NEW) EXECUTE FUNCTION note();"
        }
        Database::Maria(..) => {
            "CREATE TABLE idle (code VARCHAR(80) NOT NULL);;
             CREATE TABLE buyers (code VARCHAR(20) PRIMARY KEY, title TEXT CHECK (title <> 'Poison'), mail TEXT, money DECIMAL(14, 2)) COLLATE utf8mb4_bin;;
             CREATE TRIGGER same AFTER UPDATE ON buyers FOR EACH ROW
                 IF OLD.title <=> NEW.title AND OLD.mail <=> NEW.mail AND OLD.money <=> NEW.money THEN INSERT INTO idle VALUES (concat(NEW.code, ' ', NEW.title, ' ', now(6))); END IF"
        }
    }
}

/// The rows of the warehouse, as text.
fn buyers(warehouse: &Database) -> Vec<String> {
    let money = match warehouse {
        Database::Lite(_) => "money",
        Database::Postgres(..) => "money::int",
        Database::Maria(..) => "CAST(money AS SIGNED)",
    };
    warehouse.texts(&format!("SELECT concat_ws(' ', code, title, {money}) FROM buyers ORDER BY code"))
}

#[test]
fn what_goes_and_comes_back_is_there_or_not_as_in_dynamics() {
    stories(6, 3, one_story);
}

fn one_story(seed: u64) {
    let mut chance = Chance(seed);
    let after = chance.one_of(&["after_dead_letter: hold_key", "after_dead_letter: continue"]);
    let events = EVENTS
        .replace("[created, updated]", "[created, updated, deleted]")
        .replace("after_dead_letter: hold_key", &format!("{after}\nsweep: every 2 seconds"));
    let mut stage = Stage::unregistered(&events);
    let kind = ["sqlite", "postgres", "mysql"][seed as usize % 3];
    let Some(warehouse) = Database::new(kind, &format!("drill_{seed}_warehouse"), &stage.world.dir) else { return };
    let warehouse = match warehouse {
        Database::Lite(_) => Database::Lite(stage.warehouse()),
        server => {
            stage.world.edit("systems/warehouse.yaml", "kind: sqlite", &format!("kind: {kind}"));
            let connection = server.connection("warehouse");
            stage.world.edit("systems/warehouse.yaml", "{ file: data/warehouse.db }", &connection);
            std::fs::write(stage.world.dir.join("warehouse.url"), &server.wire().unwrap().url).unwrap();
            server
        }
    };
    warehouse.sql(triggers(&warehouse));
    assert_eq!(register(&stage, &["--url", &format!("http://{}", stage.address), "--yes"]).0, 0);
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    let mut checker = Checker::new(seed, &["events/buyers/subscriptions/warehouse"]);
    for _ in 0..8 {
        for _ in 0..=chance.below(4) {
            somebody_works(&stage, &mut chance);
        }
        checker.disk_may_be_full(&stage, &mut chance);
        warehouse.cut_after((chance.below(3) == 0).then(|| chance.below(8_000)));
        let gone = stage.up.as_mut().unwrap().try_wait().unwrap().is_some();
        if gone || chance.below(3) == 0 {
            stage.kill();
            checker.look(&stage);
            let point = chance.one_of(&["sink.before", "sink.after", "commit.before", "commit.after"]);
            let end = chance.one_of(&["abort", "abort", "error"]);
            stage.start_until_ready(&format!("{point}@{}={end}", 1 + chance.below(30)));
        }
        let letters = letters(&stage);
        if let Some(letter) = letters.get(chance.below(3) as usize) {
            let verb = chance.one_of(&["retry", "discard"]);
            stage.say(&["dead-letters", verb, letter["id"].as_str().unwrap()]);
        }
        std::thread::sleep(Duration::from_millis(chance.below(900)));
    }
    stage.kill();
    checker.look(&stage);
    warehouse.cut_after(None);
    stage.start();
    let poison = accounts(&stage).into_iter().filter(|row| row.contains("Poison"));
    for number in poison.map(|row| row.split(' ').next().unwrap().to_owned()) {
        stage.account(&number, "Honey", 1);
    }
    let begun = Instant::now();
    while buyers(&warehouse) != accounts(&stage) || stage.waiting() > 0 || !letters(&stage).is_empty() {
        // What is refused was refused as it was then; what it held goes on.
        for letter in letters(&stage).iter().filter(|_| after.ends_with("hold_key")) {
            stage.say(&["dead-letters", "discard", letter["id"].as_str().unwrap()]);
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "seed {seed}, {kind}, {after}: Dynamics has {:?}\nthe warehouse {:?}\n{}\n{}\n{}\n{}",
            accounts(&stage),
            buyers(&warehouse),
            stage.say(&["queue", "list"]),
            stage.say(&["dead-letters", "list", "--all"]),
            stage.say(&["status"]),
            stage.log()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(
        warehouse.texts("SELECT code FROM idle"),
        Vec::<String>::new(),
        "seed {seed}, {kind}, {after}: written twice"
    );
    stage.kill();
    checker.look(&stage);
    warehouse.remove();
}

/// Few names and amounts, so that rows are again what they were.
fn somebody_works(stage: &Stage, chance: &mut Chance) {
    let number = format!("C-{}", chance.below(5));
    match chance.below(4) {
        0 => drop(stage.dynamics("DELETE", &format!("accounts(accountnumber='{number}')"), "")),
        _ => {
            let name = chance.one_of(&["Acme", "Acme Ltd", "Acme", "Acme Ltd", "Poison"]);
            stage.account(&number, name, 1 + chance.below(2) as u32);
        }
    }
}

fn letters(stage: &Stage) -> Vec<Json> {
    stage.json(&["dead-letters", "list"]).as_array().unwrap().clone()
}

/// What Dynamics has, written as the warehouse has it.
fn accounts(stage: &Stage) -> Vec<String> {
    let found = stage.dynamics("GET", "accounts?$select=accountnumber,name,creditlimit&$orderby=accountnumber", "");
    let row = |row: &Json| {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let limit = row["creditlimit"].to_string();
        let limit = limit.trim_end_matches('0').trim_end_matches('.');
        format!("{} {} {limit}", text("accountnumber"), text("name"))
    };
    let rows = found["value"].as_array().unwrap().iter().filter(|row| row["accountnumber"].is_string());
    rows.map(row).collect()
}
