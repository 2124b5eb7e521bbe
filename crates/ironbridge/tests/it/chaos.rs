//! Everything goes wrong at random, again and again; in the end source and destination are equal.
//!
//! `IRONBRIDGE_SEEDS` says how many worlds are tried (`scripts/soak` tries hundreds), `IRONBRIDGE_SEED` where to begin: a
//! seed that fails is printed and can be run alone.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::support::{Account, Said, World};

/// SplitMix64: a seed gives the same story each time.
pub struct Chance(pub u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

pub fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Tells that many stories from a seed on, unless the environment says which and how many.
#[allow(clippy::print_stdout, reason = "a story that fails is told again by its seed")]
pub fn stories(first: u64, count: u64, one_story: impl Fn(u64)) {
    let first = from_environment("IRONBRIDGE_SEED", first);
    for seed in first..first + from_environment("IRONBRIDGE_SEEDS", count) {
        println!("seed {seed}");
        one_story(seed);
    }
}

#[test]
fn ends_with_source_and_destination_equal() {
    stories(1, 2, one_story);
}

fn one_story(seed: u64) {
    let mut chance = Chance(seed);
    let deletes = chance.one_of(&["ignore", "deactivate", "delete"]);
    let world = World::new(60);
    world.stamps_may_be_missing();
    world.sql("UPDATE customers SET parent_no = NULL");
    world.edit(
        "integrations/customers.yaml",
        "schedule:",
        &format!(
            "deletes: {deletes}\nmax_deletes: 100 %\nstop_after: {{ rejected: 10000, or: 100 %, first_rows_alike: 10000 }}\nschedule:"
        ),
    );
    let (mut clock, mut killed) = (0, false);
    for round in 0..10 {
        let which = format!("seed {seed}, round {round}");
        for _ in 0..chance.below(12) {
            change_source(&world, &mut chance, deletes, &mut clock);
        }
        let faults = [
            "",
            "",
            "429@10%",
            "503@10%",
            "drop@10%",
            "cut@10%",
            "half-batch@20%",
            "slow:300ms@10%,drop@10%",
            "drop@5%,429@5%,cut@5%",
            "half-batch@30%,429@10%,503@5%",
        ];
        // An outage costs half a minute each time.
        let fault = if chance.below(40) == 0 { "down" } else { chance.one_of(&faults) };
        world.fault("");
        let before = world.states();
        world.fault(fault);
        let points = ["commit.before", "commit.after", "sink.before", "sink.after"];
        let what = chance.one_of(&["abort", "abort", "error"]);
        let failpoint = match chance.below(3) {
            0 => String::new(),
            _ => format!("{}@{}={what}", chance.one_of(&points), 1 + chance.below(5)),
        };
        // The clock of the hub's machine is wrong for a while, by minutes or days, in both directions.
        let offset = chance.one_of(&[0, 0, 0, -90, 3_600, -7_200, 900_000, -900_000]);
        let meanwhile = chance.below(3) == 0;
        world.reset_stats();
        let run = || world.with_clock(&["--format", "json", "run", "customers"], &failpoint, offset);
        let said = match meanwhile {
            false => run(),
            true => while_somebody_works(&world, &mut chance, deletes, &mut clock, run),
        };
        let Some(run) = told(&said, &which) else {
            killed = true;
            continue;
        };
        // Where nothing went wrong, Dynamics has seen each write that is counted, once, and no other. What a killed run had
        // sent may still come.
        let after_a_kill = std::mem::replace(&mut killed, false);
        if !after_a_kill && fault.is_empty() && failpoint.is_empty() && run["error"].is_null() {
            let counted = effects(&run);
            let written = world.rows_written();
            // A row that comes back is made active first, and then takes what has changed.
            let is_back = |(key, state): &(&String, &i64)| **state == 0 && before.get(*key) == Some(&1);
            let back = world.states().iter().filter(is_back).count() as u64;
            assert!(
                (counted..=counted + back).contains(&written),
                "{which}: {written}, {back} {run:#} {}",
                world.stats()
            );
        }
    }
    world.fault("");
    // A read that was cut goes on where it was; a row before that place which changed since comes with the next one.
    for _ in 0..2 {
        let run = world.run();
        assert!(run["error"].is_null(), "seed {seed}: {run:#}");
        adds_up(&run, &format!("seed {seed}"));
    }
    compare(&world, deletes, &format!("seed {seed}, deletes: {deletes}"));
    world.reset_stats();
    let again = world.run();
    assert!(again["error"].is_null(), "seed {seed}: {again:#}");
    assert_eq!(world.rows_written(), 0, "seed {seed}: what was right is written again: {again:#}");
}

/// The result of a run, whose counts add up; nothing of one that was killed.
pub fn told(said: &Said, which: &str) -> Option<Json> {
    assert_ne!(said.code, Some(101), "{which}: a panic: {said:#?}");
    let run = serde_json::from_str(&said.out).ok()?;
    adds_up(&run, which);
    Some(run)
}

/// The rows that a run has written.
pub fn effects(run: &Json) -> u64 {
    ["created", "updated", "deleted"].iter().filter_map(|name| run[*name].as_u64()).sum()
}

pub fn adds_up(run: &Json, which: &str) {
    let count = |name: &str| run[name].as_u64().unwrap_or_default();
    let ends = ["created", "updated", "deleted", "unchanged", "rejected", "skipped"];
    if run["error"].is_null() {
        assert_eq!(count("read"), ends.iter().map(|name| count(name)).sum::<u64>(), "{which}: {run:#}");
    }
}

/// A run, and a person who works in the finance system meanwhile.
fn while_somebody_works(
    world: &World,
    chance: &mut Chance,
    deletes: &str,
    clock: &mut u64,
    run: impl FnOnce() -> Said + Send,
) -> Said {
    std::thread::scope(|scope| {
        let running = scope.spawn(run);
        while !running.is_finished() {
            change_source(world, chance, deletes, clock);
            std::thread::sleep(std::time::Duration::from_millis(3 + chance.below(20)));
        }
        running.join().unwrap()
    })
}

/// A person works in the finance system. The first twenty customers stay and are parents of others.
fn change_source(world: &World, chance: &mut Chance, deletes: &str, clock: &mut u64) {
    *clock += 1;
    // A transaction that commits late is stamped with an earlier time, within the overlap; some rows have no stamp, and
    // the clock of some machine is a year ahead.
    let now = chance.one_of(&[
        "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
        "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
        "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-3 minutes')",
        "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+1 year')",
        "NULL",
    ]);
    let some =
        format!("(SELECT rowid FROM customers WHERE rowid > 20 ORDER BY rowid LIMIT 1 OFFSET {})", chance.below(30));
    let sql = match chance.below(8) {
        0 => format!(
            "INSERT INTO customers (customer_no, company_name, contact_email, credit_limit, terms_code, updated_at)
             VALUES ('N-{clock}', ' New {clock} ', 'New{clock}@NEW.example', '{}.50', '30', {now})",
            chance.below(100_000)
        ),
        // Few values, so that rows change back to what they were.
        1 => format!("UPDATE customers SET credit_limit = '{}.25', updated_at = {now} WHERE rowid = {some}", chance.below(3)),
        2 => format!(
            "UPDATE customers SET company_name = 'Renamed {}', updated_at = {now} WHERE rowid = {some}",
            chance.below(3)
        ),
        // It turns bad, and good again.
        3 => format!("UPDATE customers SET terms_code = '99', updated_at = {now} WHERE rowid = {some}"),
        4 => format!("UPDATE customers SET terms_code = '60', updated_at = {now} WHERE terms_code = '99'"),
        5 => format!(
            "UPDATE customers SET parent_no = (SELECT customer_no FROM customers WHERE rowid <= 20 AND terms_code IN ('30','60','PP')
               AND length(company_name) BETWEEN 1 AND 160 AND trim(customer_no) <> '' ORDER BY rowid LIMIT 1 OFFSET {}),
               updated_at = {now} WHERE rowid = {some}",
            chance.below(5)
        ),
        6 if deletes != "ignore" => format!("DELETE FROM customers WHERE rowid = {some}"),
        // And comes back, perhaps.
        7 if deletes != "ignore" => format!(
            "INSERT INTO customers (customer_no, company_name, terms_code, updated_at) SELECT 'N-{0}', 'Back {0}', 'PP', {now}
             WHERE NOT EXISTS (SELECT 1 FROM customers WHERE customer_no = 'N-{0}')",
            1 + chance.below(*clock)
        ),
        _ => return,
    };
    world.sql(&sql);
}

/// Each good row of the source is in Dynamics as it is, and what is gone has gone the way that `deletes:` says.
fn compare(world: &World, deletes: &str, which: &str) {
    let expected = world.expected();
    let accounts = world.accounts();
    let good: BTreeMap<String, Account> =
        accounts.iter().filter(|(key, _)| expected.contains_key(*key)).map(|(k, a)| (k.clone(), a.clone())).collect();
    assert_eq!(good, expected, "{which}");
    let states = world.states();
    let conn = rusqlite::Connection::open(world.finance()).unwrap();
    let mut statement = conn.prepare("SELECT customer_no FROM customers WHERE customer_no IS NOT NULL").unwrap();
    let in_source: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    // A run that was cut between writing and remembering, whose row then turned bad and went: a person is told.
    let letters = world.ironbridge(&["--format", "json", "dead-letters", "list", "--code", "IB0707", "--last", "1000"]);
    let told: Vec<String> =
        letters.json().as_array().unwrap().iter().map(|l| l["key"].as_str().unwrap().to_owned()).collect();
    for (key, state) in states.into_iter().filter(|(key, _)| !told.contains(key)) {
        let there = in_source.contains(&key);
        match deletes {
            "deactivate" if !there => assert_eq!(state, 1, "{which}: {key} is gone from the source and active"),
            "delete" => assert!(there, "{which}: {key} is gone from the source and in Dynamics"),
            _ if expected.contains_key(&key) => assert_eq!(state, 0, "{which}: {key} is in the source and inactive"),
            _ => {}
        }
    }
}
