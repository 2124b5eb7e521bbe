//! People work in both systems at random while everything goes wrong; in the end both are equal, or a person is asked.
//!
//! Seeds as in `chaos`: `IRONBRIDGE_SEEDS` says how many, `IRONBRIDGE_SEED` where to begin.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value as Json, json};

use crate::chaos::{Chance, stories};
use crate::support::http;
use crate::two_way::Pair;

#[test]
fn ends_with_both_sides_equal_or_a_person_asked() {
    stories(1, 2, one_story);
}

struct Story {
    pair: Arc<Pair>,
    chance: Chance,
    /// Keys that somebody has deleted on either side, in lower case.
    deleted: BTreeSet<String>,
    made: u64,
}

fn one_story(seed: u64) {
    let mut chance = Chance(seed);
    let conflict = chance.one_of(&["ask", "newest"]);
    let deletes = chance.one_of(&["ignore", "delete", "deactivate"]);
    let which = format!("seed {seed}, conflict: {conflict}, deletes: {deletes}");
    let stop = "stop_after: { rejected: 10000, or: 100 %, first_rows_alike: 10000 }";
    let pair =
        Pair::with("conflict: ask", &format!("conflict: {conflict}\ndeletes: {deletes}\nmax_deletes: 100 %\n{stop}"));
    let mut story = Story { pair: Arc::new(pair), chance, deleted: BTreeSet::new(), made: 0 };
    story.sql("CREATE TABLE aside AS SELECT * FROM clients");
    for _ in 0..12 {
        story.new_row();
    }
    for round in 0..8 {
        // What people do in Dynamics themselves gets through.
        story.pair.world.fault("");
        for _ in 0..story.chance.below(10) {
            story.edit();
        }
        let faults = ["", "", "429@10%", "503@10%", "drop@10%", "cut@10%", "half-batch@20%", "drop@5%,429@5%", "down"];
        let fault = story.chance.one_of(&faults);
        story.pair.world.fault(fault);
        let points = ["commit.before", "commit.after", "sink.before", "sink.after"];
        let what = story.chance.one_of(&["abort", "abort", "error"]);
        let failpoint = match story.chance.below(3) {
            0 => String::new(),
            _ => format!("{}@{}={what}", story.chance.one_of(&points), 1 + story.chance.below(5)),
        };
        let args = ["--format", "json", "run", "customers-two-way"];
        let said = std::thread::scope(|scope| {
            let pair = story.pair.clone();
            let (args, failpoint) = (&args, &failpoint);
            let run = scope.spawn(move || pair.world.with_failpoints(args, failpoint));
            // In some rounds people go on working while the run is under way.
            if fault.is_empty() && round % 2 == 1 {
                for _ in 0..6 {
                    std::thread::sleep(Duration::from_millis(10));
                    story.edit();
                }
            }
            run.join().unwrap()
        });
        assert_ne!(said.code, Some(101), "{which}, round {round}: a panic: {said:#?}");
        if let Ok(run) = serde_json::from_str::<Json>(&said.out) {
            adds_up(&run, &format!("{which}, round {round}"));
        }
    }
    story.pair.world.fault("");
    story.settle(&which);
    story.compare(deletes, &which);
    story.pair.rests();
}

fn adds_up(run: &Json, which: &str) {
    let count = |name: &str| run[name].as_u64().unwrap_or_default();
    let ends = ["created", "updated", "deleted", "unchanged", "rejected", "skipped"];
    if run["error"].is_null() {
        assert_eq!(count("read"), ends.iter().map(|name| count(name)).sum::<u64>(), "{which}: {run:#}");
    }
}

impl Story {
    fn sql(&self, sql: &str) {
        let conn = Connection::open(self.pair.world.finance()).unwrap();
        conn.busy_timeout(Duration::from_secs(10)).unwrap();
        conn.execute_batch(sql).unwrap();
    }

    fn key(&mut self) -> String {
        format!("C-{}", 1 + self.chance.below(self.made.max(1)))
    }

    fn name(&mut self) -> String {
        format!("Name {} (sample)", self.chance.below(6))
    }

    /// On one side, or on both at once.
    fn new_row(&mut self) {
        self.made += 1;
        let key = format!("C-{}", self.made);
        let sides = self.chance.below(3);
        if sides != 1 {
            let (name, terms) = (self.name(), self.chance.one_of(&["30", "60", "PP"]));
            self.sql(&format!("INSERT INTO clients (client_no, company, terms) VALUES ('{key}', '{name}', '{terms}')"));
        }
        if sides != 0 {
            let (name, terms) = (self.name(), self.chance.one_of(&[1, 4, 10]));
            self.account(&key, &json!({"name": name, "paymenttermscode": terms, "creditlimit": 5}), false);
        }
    }

    fn account(&self, key: &str, columns: &Json, must_exist: bool) {
        let path = format!("/api/data/v9.2/accounts(accountnumber='{key}')");
        let there = !must_exist || !http(&self.pair.world.url, "GET", &path, "").contains("\"error\"");
        if there {
            http(&self.pair.world.url, "PATCH", &path, &columns.to_string());
        }
    }

    fn edit(&mut self) {
        let key = self.key();
        let name = self.name();
        match self.chance.below(18) {
            0..=3 => self.sql(&format!("UPDATE clients SET company = '{name}' WHERE client_no = '{key}'")),
            4..=6 => self.account(&key, &json!({"name": name}), true),
            7 => {
                let terms = self.chance.one_of(&["'30'", "'60'", "'PP'", "NULL", "'99'"]);
                self.sql(&format!("UPDATE clients SET terms = {terms} WHERE client_no = '{key}'"));
            }
            8 => {
                let terms = self.chance.one_of(&[Some(1), Some(4), Some(10), None]);
                self.account(&key, &json!({"paymenttermscode": terms}), true);
            }
            9 => {
                let credit = self.chance.below(5) * 100;
                self.sql(&format!("UPDATE clients SET credit = '{credit}.00' WHERE client_no = '{key}'"));
            }
            10 => {
                let credit = self.chance.below(5) * 10;
                self.account(&key, &json!({"creditlimit": credit}), true);
            }
            11 => {
                let mail = format!("m{}@sample.example", self.chance.below(4));
                self.account(&key, &json!({"emailaddress1": mail}), true);
            }
            12 => self.sql(&format!("UPDATE clients SET mail = 'Wrong@sample.example' WHERE client_no = '{key}'")),
            13 => self.new_row(),
            14 => {
                self.deleted.insert(key.to_lowercase());
                self.sql(&format!(
                    "INSERT INTO aside SELECT * FROM clients WHERE client_no = '{key}';
                     DELETE FROM clients WHERE client_no = '{key}'"
                ));
            }
            // And it comes back as it was, perhaps.
            15 | 16 => self.sql(&format!(
                "INSERT OR IGNORE INTO clients SELECT * FROM aside WHERE client_no = '{key}' ORDER BY rowid DESC LIMIT 1"
            )),
            _ => {
                self.deleted.insert(key.to_lowercase());
                self.pair.lose_account(&key);
            }
        }
    }

    /// Runs, and a person decides whatever is in dispute, until there is nothing to decide.
    fn settle(&mut self, which: &str) {
        for _ in 0..6 {
            let run = self.pair.run();
            assert!(run["error"].is_null(), "{which}: {run:#}");
            adds_up(&run, which);
            let disputes: Vec<String> = self
                .pair
                .letters()
                .iter()
                .filter(|letter| letter["code"] == "IB0720" || letter["code"] == "IB0723")
                .map(|letter| letter["id"].as_str().unwrap().to_owned())
                .collect();
            if disputes.is_empty() && run["created"] == 0 && run["updated"] == 0 && run["deleted"] == 0 {
                return;
            }
            for id in disputes {
                let take = self.chance.one_of(&["finance", "dynamics"]);
                self.pair.world.ironbridge(&["dead-letters", "decide", &id, "--take", take]).ok();
            }
        }
        panic!("{which}: it does not come to rest: {:#?}", self.pair.letters());
    }

    fn compare(&self, deletes: &str, which: &str) {
        let (finance, dynamics, states) = (self.pair.finance(), self.pair.dynamics(), self.pair.world.states());
        let told: BTreeSet<String> =
            self.pair.letters().iter().map(|letter| letter["key"].as_str().unwrap().to_lowercase()).collect();
        let keys: BTreeSet<&String> = finance.keys().chain(dynamics.keys()).collect();
        for key in keys.into_iter().filter(|key| !told.contains(&key.to_lowercase())) {
            match (finance.get(key), dynamics.get(key)) {
                (Some(left), Some(right)) => {
                    assert_eq!(states[key], 0, "{which}: {key} is on both sides, and inactive");
                    let [name, mail, credit, terms] = left;
                    assert_eq!((name, terms), (&right[0], &right[3]), "{which}: {key}");
                    let lower = mail.as_ref().map(|mail| mail.to_lowercase());
                    // A master that has never said anything takes nothing away.
                    assert!(lower == right[1] || right[1].is_none(), "{which}: {key}: {left:?} {right:?}");
                    assert!(*credit == right[2] || credit.is_none(), "{which}: {key}: {left:?} {right:?}");
                }
                (left, _) => {
                    let gone = match deletes {
                        "ignore" => true,
                        // Finance knows no inactive rows.
                        "deactivate" => left.is_some() || states[key] == 1,
                        _ => false,
                    };
                    assert!(self.deleted.contains(&key.to_lowercase()) && gone, "{which}: {key} is on one side only");
                }
            }
        }
    }
}
