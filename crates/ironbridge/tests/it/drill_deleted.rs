//! A drill by seeds: rows of Dynamics come, change, go and come back as they were, some are refused, while the hub is
//! killed and its disk is full. In the end the warehouse has what Dynamics has, nobody waits for anything, and nothing was
//! ever written that was right.
//!
//! Seeds as in `drill`: `IRONBRIDGE_SEEDS` says how many, `IRONBRIDGE_SEED` where to begin.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::chaos::{Chance, stories};
use crate::drill::{Checker, PATIENCE};
use crate::signals::register;
use crate::stage::{EVENTS, Stage};

const TRIGGERS: &str = "CREATE TABLE idle (code TEXT);
    CREATE TRIGGER same AFTER UPDATE ON buyers
        WHEN old.title IS new.title AND old.mail IS new.mail AND old.money IS new.money BEGIN INSERT INTO idle VALUES (new.code); END;
    CREATE TRIGGER refuse_new BEFORE INSERT ON buyers WHEN new.title = 'Poison' BEGIN SELECT raise(ABORT, 'unknown code'); END;
    CREATE TRIGGER refuse BEFORE UPDATE ON buyers WHEN new.title = 'Poison' BEGIN SELECT raise(ABORT, 'unknown code'); END;";

#[test]
fn what_goes_and_comes_back_is_there_or_not_as_in_dynamics() {
    stories(7, 1, one_story);
}

fn one_story(seed: u64) {
    let mut chance = Chance(seed);
    let after = chance.one_of(&["after_dead_letter: hold_key", "after_dead_letter: continue"]);
    let events = EVENTS
        .replace("[created, updated]", "[created, updated, deleted]")
        .replace("after_dead_letter: hold_key", &format!("{after}\nsweep: every 2 seconds"));
    let mut stage = Stage::unregistered(&events);
    stage.sql(TRIGGERS);
    assert_eq!(register(&stage, &["--url", &format!("http://{}", stage.address), "--yes"]).0, 0);
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    let mut checker = Checker::new(seed, &["events/buyers/subscriptions/warehouse"]);
    for _ in 0..8 {
        for _ in 0..=chance.below(4) {
            somebody_works(&stage, &mut chance);
        }
        checker.disk_may_be_full(&stage, &mut chance);
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
    stage.start();
    let poison = accounts(&stage).into_iter().filter(|row| row.contains("Poison"));
    for number in poison.map(|row| row.split(' ').next().unwrap().to_owned()) {
        stage.account(&number, "Honey", 1);
    }
    let begun = Instant::now();
    while stage.buyers() != accounts(&stage) || stage.waiting() > 0 || !letters(&stage).is_empty() {
        // What is refused was refused as it was then; what it held goes on.
        for letter in letters(&stage).iter().filter(|_| after.ends_with("hold_key")) {
            stage.say(&["dead-letters", "discard", letter["id"].as_str().unwrap()]);
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "seed {seed}, {after}: Dynamics has {:?}\nthe warehouse {:?}\n{}\n{}\n{}\n{}",
            accounts(&stage),
            stage.buyers(),
            stage.say(&["queue", "list"]),
            stage.say(&["dead-letters", "list", "--all"]),
            stage.say(&["status"]),
            stage.log()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(stage.texts("SELECT code FROM idle"), Vec::<String>::new(), "seed {seed}, {after}: written twice");
    stage.kill();
    checker.look(&stage);
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
