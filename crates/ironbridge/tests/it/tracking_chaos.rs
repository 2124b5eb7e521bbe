//! Dynamics is read by its change tracking into another system, while people work in it and everything goes wrong: faults,
//! kills, places that Dynamics has forgotten, mappings that change, rows that leave the filter, rows that are refused. In
//! the end both are equal, and no row was ever written that was right.
//!
//! Seeds as in `chaos`: `IRONBRIDGE_SEEDS` says how many, `IRONBRIDGE_SEED` where to begin.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value as Json, json};

use crate::chaos::{Chance, adds_up, effects, stories, told};
use crate::stage::{DYNAMICS, WAREHOUSE};
use crate::support::{World, http};

const COPIES: &str = "integration: customers
pattern: batch
entity: customer
from: dynamics
to: warehouse
schedule: every 15 minutes
deletes: DELETES
max_deletes: 100 %
stop_after: { rejected: 10000, or: 100 %, first_rows_alike: 10000 }
owner: finance-it
purpose: A copy.
";

/// What the warehouse refuses, and what it is told twice.
const TABLES: &str = "CREATE TABLE buyers (code TEXT PRIMARY KEY, title TEXT, mail TEXT, money TEXT);
    CREATE TABLE effect (at INTEGER PRIMARY KEY, code TEXT);
    CREATE TABLE idle (code TEXT);
    CREATE TRIGGER made AFTER INSERT ON buyers BEGIN INSERT INTO effect (code) VALUES (new.code); END;
    CREATE TRIGGER gone AFTER DELETE ON buyers BEGIN INSERT INTO effect (code) VALUES (old.code); END;
    CREATE TRIGGER changed AFTER UPDATE ON buyers BEGIN INSERT INTO effect (code) VALUES (new.code); END;
    CREATE TRIGGER same AFTER UPDATE ON buyers
        WHEN old.title IS new.title AND old.mail IS new.mail AND old.money IS new.money BEGIN INSERT INTO idle VALUES (new.code); END;
    CREATE TRIGGER refuse_new BEFORE INSERT ON buyers WHEN new.title LIKE 'Poison%' BEGIN SELECT raise(ABORT, 'unknown code'); END;
    CREATE TRIGGER refuse BEFORE UPDATE ON buyers WHEN new.title LIKE 'Poison%' BEGIN SELECT raise(ABORT, 'unknown code'); END;";

#[test]
fn ends_with_a_copy_of_dynamics() {
    stories(1, 2, one_story);
}

struct Story {
    which: String,
    world: World,
    deletes: &'static str,
    /// Rows without credit are left out.
    filtered: bool,
    /// What the mapping puts behind each name.
    suffix: &'static str,
}

fn one_story(seed: u64) {
    let mut chance = Chance(seed);
    let (deletes, filtered) = (chance.one_of(&["ignore", "delete"]), chance.below(2) == 0);
    let which = format!("seed {seed}, deletes: {deletes}, filtered: {filtered}");
    let mut story = Story { which, world: World::new(1), deletes, filtered, suffix: "" };
    story.prepare();
    for number in 0..12 {
        story.account(number, &json!({ "name": format!("First {number}"), "creditlimit": 1 + chance.below(50) }));
    }
    for round in 0..10 {
        story.world.fault("");
        for _ in 0..chance.below(8) {
            story.somebody_works(&mut chance);
        }
        story.something_happens(&mut chance);
        let faults = [
            "",
            "",
            "429@20%",
            "503@20%",
            "drop@20%",
            "cut@20%",
            "slow:300ms@20%,drop@10%",
            "drop@10%,429@10%,cut@10%",
        ];
        let fault = if chance.below(40) == 0 { "down" } else { chance.one_of(&faults) };
        story.world.fault(fault);
        let points = ["commit.before", "commit.after", "sink.before", "sink.after"];
        let end = chance.one_of(&["abort", "abort", "error"]);
        let failpoint = match chance.below(3) {
            0 => String::new(),
            _ => format!("{}@{}={end}", chance.one_of(&points), 1 + chance.below(8)),
        };
        let before = story.effects();
        let run = || story.world.with_failpoints(&["--format", "json", "run", "customers"], &failpoint);
        let said = match fault.is_empty() && round % 2 == 1 {
            false => run(),
            true => std::thread::scope(|scope| {
                let running = scope.spawn(run);
                while !running.is_finished() {
                    story.somebody_works(&mut chance);
                    std::thread::sleep(Duration::from_millis(3 + chance.below(20)));
                }
                running.join().unwrap()
            }),
        };
        let which = format!("{}, round {round}", story.which);
        let run = told(&said, &which);
        story.nothing_is_idle(&which);
        let Some(run) = run else { continue };
        if run["error"].is_null() {
            assert_eq!(story.effects() - before, effects(&run), "{which}: {run:#}");
        }
    }
    story.settles();
}

impl Story {
    fn prepare(&self) {
        let write = |file: &str, text: &str| std::fs::write(self.world.dir.join(file), text).unwrap();
        let keyless = DYNAMICS.replace("webhooks: { header: x-hub-key, keys: [\"${env:HOOK_KEY}\"] }\n", "");
        let filter = if self.filtered { "    where: =creditlimit > 0\n" } else { "" };
        let table = "    alternate_key: accountnumber\n";
        write(
            "systems/dynamics.yaml",
            &keyless.replace("URL", &self.world.url).replace(table, &format!("{table}{filter}")),
        );
        write("systems/warehouse.yaml", WAREHOUSE);
        write("integrations/customers.yaml", &COPIES.replace("DELETES", self.deletes));
        let _ = std::fs::remove_dir_all(self.world.dir.join("tests"));
        self.warehouse().execute_batch(TABLES).unwrap();
    }

    fn warehouse(&self) -> Connection {
        let conn = Connection::open(self.world.dir.join("data/warehouse.db")).unwrap();
        conn.busy_timeout(Duration::from_secs(10)).unwrap();
        conn
    }

    fn count(&self, table: &str) -> u64 {
        self.warehouse().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
            as u64
    }

    fn effects(&self) -> u64 {
        self.count("effect")
    }

    fn nothing_is_idle(&self, which: &str) {
        assert_eq!(self.count("idle"), 0, "{which}: what was right was written again");
    }

    fn account(&self, number: u64, columns: &Json) {
        let path = format!("/api/data/v9.2/accounts(accountnumber='C-{number}')");
        http(&self.world.url, "PATCH", &path, &columns.to_string());
    }

    /// In Dynamics. The first three customers stay.
    fn somebody_works(&self, chance: &mut Chance) {
        let (number, name) = (chance.below(16), format!("Name {} (sample)", chance.below(6)));
        match chance.below(8) {
            0 | 1 => self.account(number, &json!({ "name": name, "creditlimit": 1 + chance.below(50) })),
            2 => self.account(number, &json!({ "name": name })),
            3 => self.account(number, &json!({ "creditlimit": 1 + chance.below(3) })),
            4 => self.account(number, &json!({ "emailaddress1": format!("m{}@sample.example", chance.below(3)) })),
            5 if number > 2 => self.account(number, &json!({ "creditlimit": chance.one_of(&[None, Some(0)]) })),
            6 if number > 2 => self.account(number, &json!({ "name": "Poison" })),
            7 if number > 2 => {
                let path = format!("/api/data/v9.2/accounts(accountnumber='C-{number}')");
                http(&self.world.url, "DELETE", &path, "");
            }
            _ => {}
        }
    }

    fn something_happens(&mut self, chance: &mut Chance) {
        match chance.below(10) {
            0 | 1 => drop(http(&self.world.url, "POST", "/emulator/expire/delta-tokens", "")),
            2 => {
                let (from, to) = if self.suffix.is_empty() {
                    ("title: name", "title: =name & \"!\"")
                } else {
                    ("title: =name & \"!\"", "title: name")
                };
                self.world.edit("systems/warehouse.yaml", &format!("{from},"), &format!("{to},"));
                self.suffix = if self.suffix.is_empty() { "!" } else { "" };
            }
            3 => drop(self.world.ironbridge(&["state", "reset", "customers"]).ok()),
            // Somebody in the warehouse loses a row, and the hub is told to look.
            4 if self.count("buyers") > 4 => {
                self.warehouse().execute_batch("DELETE FROM buyers WHERE code = 'C-1'").unwrap();
                self.account(1, &json!({ "name": format!("Again {}", chance.below(1_000_000)) }));
            }
            _ => {}
        }
    }

    /// What Dynamics has: the name, the address and the credit of each.
    fn accounts(&self) -> BTreeMap<String, [String; 3]> {
        let columns = "accountnumber,name,emailaddress1,creditlimit";
        let path = format!("/api/data/v9.2/accounts?$select={columns}");
        let page: Json = serde_json::from_str(&http(&self.world.url, "GET", &path, "")).unwrap();
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        let rows = page["value"].as_array().unwrap().iter();
        rows.map(|row| {
            let money = row["creditlimit"].to_string();
            (text(&row["accountnumber"]), [text(&row["name"]), text(&row["emailaddress1"]), number(&money)])
        })
        .collect()
    }

    fn buyers(&self) -> BTreeMap<String, [String; 3]> {
        let conn = self.warehouse();
        let mut statement = conn.prepare("SELECT code, title, mail, money FROM buyers").unwrap();
        let text = |row: &rusqlite::Row<'_>, at| row.get::<_, Option<String>>(at).unwrap().unwrap_or_default();
        let rows =
            statement.query_map([], |row| Ok((text(row, 0), [text(row, 1), text(row, 2), number(&text(row, 3))])));
        rows.unwrap().map(Result::unwrap).collect()
    }

    fn settles(&self) {
        let Story { which, world, .. } = self;
        world.fault("");
        for _ in 0..2 {
            let run = world.run();
            assert!(run["error"].is_null(), "{which}: {run:#}");
            adds_up(&run, which);
            self.nothing_is_idle(which);
        }
        let wanted =
            |[name, mail, money]: &[String; 3]| [format!("{name}{}", self.suffix), mail.clone(), money.clone()];
        let credit = |money: &str| money.parse::<f64>().is_ok_and(|money| money > 0.0);
        let there: BTreeMap<_, _> =
            self.accounts().into_iter().filter(|(_, [_, _, money])| !self.filtered || credit(money)).collect();
        // The warehouse refuses poison, and the hub a customer without a name.
        let is_bad = |name: &str| name.is_empty() || name.starts_with("Poison");
        let (bad, good): (BTreeMap<_, _>, BTreeMap<_, _>) =
            there.iter().map(|(key, row)| (key.clone(), wanted(row))).partition(|(key, _)| is_bad(&there[key][0]));
        let buyers = self.buyers();
        let copied: BTreeMap<_, _> = buyers.clone().into_iter().filter(|(key, _)| good.contains_key(key)).collect();
        assert_eq!(copied, good, "{which}");
        let letters = world.ironbridge(&["--format", "json", "dead-letters", "list"]).json();
        let told: BTreeSet<String> =
            letters.as_array().unwrap().iter().map(|letter| letter["key"].as_str().unwrap().to_owned()).collect();
        assert_eq!(letters.as_array().unwrap().len(), told.len(), "{which}: one for each key: {letters:#}");
        for key in bad.keys() {
            assert!(told.contains(key), "{which}: {key} is refused, and nobody is told: {letters:#}");
        }
        if self.deletes == "delete" {
            let rest: Vec<_> = buyers.keys().filter(|key| !there.contains_key(*key) && !told.contains(*key)).collect();
            assert!(rest.is_empty(), "{which}: {rest:?} are gone from Dynamics, and here");
        }
        let needless = told.iter().find(|key| good.contains_key(*key));
        assert_eq!(needless, None, "{which}: it is as it should be, and a dead letter: {letters:#}");
        let before = self.effects();
        let again = world.run();
        assert!(again["error"].is_null(), "{which}: {again:#}");
        assert_eq!(self.effects(), before, "{which}: what was right is written again: {again:#}");
    }
}

/// A number without its trailing zeros, or nothing.
fn number(text: &str) -> String {
    text.parse::<record::Decimal>().map_or_else(|_| String::new(), |number| number.normalize().to_string())
}
