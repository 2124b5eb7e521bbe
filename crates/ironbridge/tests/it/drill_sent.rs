//! A drill by seeds: a website sends what changed, as it is, to two destinations, while the hub and one of them are
//! killed, a disk is full, one is busy or silent and the other holds its file. Nothing but the webhook brings an event:
//! what was acknowledged arrives at each of the two, once, and in its order; what one of them refuses is a dead letter
//! there and nowhere else.
//!
//! Seeds as in `drill`: `IRONBRIDGE_SEEDS` says how many, `IRONBRIDGE_SEED` where to begin.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use emulator::samples::erp::Trouble;
use rusqlite::Connection;
use serde_json::{Value as Json, json};

use crate::chaos::{Chance, stories};
use crate::drill::{Checker, Erp, PATIENCE};
use crate::stage::{EVENTS, Stage, to_the_erp};

#[test]
fn what_was_acknowledged_arrives_everywhere_once_and_in_order() {
    stories(7, 1, one_story);
}

/// What the website says of a customer. The amount is the number of the event, and tells it from all others.
#[derive(Debug, Clone)]
struct Event {
    number: u32,
    key: String,
    poison: bool,
}

impl Event {
    fn body(&self) -> String {
        let Event { number, key, poison } = self;
        let name = if *poison { "Poison".to_owned() } else { format!("Name {number}") };
        let (minute, second) = (number / 60, number % 60);
        json!({ "customer_no": key, "company_name": name, "contact_email": null, "credit_limit": format!("{number}.00"),
                "terms_code": "30", "parent_no": null, "updated_at": format!("2026-11-26T09:{minute:02}:{second:02}Z") })
        .to_string()
    }

    /// Whether the hub says that it has it. A website that hears nothing sends it again, under the same id.
    fn is_acknowledged(&self, stage: &Stage) -> bool {
        let Ok(mut stream) = TcpStream::connect(&stage.address) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let (address, body, id) = (&stage.address, self.body(), self.number);
        let length = body.len();
        let request = format!(
            "POST /webhooks/buyers HTTP/1.1\r\nHost: {address}\r\nx-hub-key: local-key\r\nIdempotency-Key: event-{id}\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let mut answer = String::new();
        let sent = stream.write_all(request.as_bytes()).is_ok();
        // What was said before the connection broke counts.
        let _ = stream.read_to_string(&mut answer);
        sent && answer.starts_with("HTTP/1.1 202 ")
    }
}

struct Story {
    seed: u64,
    stage: Stage,
    erp: Erp,
    chance: Chance,
    /// What the website has to say, in its order.
    to_send: VecDeque<Event>,
    acknowledged: Vec<Event>,
    checker: Checker,
    /// How many customers there are. Of a single one more waits than a hub takes at once.
    keys: u64,
}

fn one_story(seed: u64) {
    let mut chance = Chance(seed);
    let hold = chance.below(2) == 0;
    let events = EVENTS
        .replace("from: dynamics", "from: finance")
        .replace("to: [warehouse]", "to: [erp, warehouse]")
        .replace(", columns: [name, creditlimit, emailaddress1], if: '=credit_limit > 0'", "");
    let after = if hold { "after_dead_letter: hold_key" } else { "after_dead_letter: continue" };
    let more = "payload: as_sent\nsweep: off\nwithout_sweep_because: This is a test of the webhook alone.\n";
    let (stage, runtime, handle) =
        to_the_erp(&format!("{}{more}", events.replace("after_dead_letter: hold_key", after)));
    let keyed = "webhooks: { header: x-hub-key, keys: [\"${env:HOOK_KEY}\"] }\nowner:";
    stage.world.edit("systems/finance.yaml", "owner:", keyed);
    stage.sql(
        "CREATE TABLE told (at INTEGER PRIMARY KEY, made INTEGER, code TEXT, money TEXT);
         CREATE TRIGGER tell_made AFTER INSERT ON buyers BEGIN INSERT INTO told (made, code, money) VALUES (1, new.code, new.money); END;
         CREATE TRIGGER tell_changed AFTER UPDATE ON buyers BEGIN INSERT INTO told (made, code, money) VALUES (0, new.code, new.money); END;",
    );
    let erp = Erp::new(&stage, runtime, handle);
    let checker = Checker::new(seed, &["events/buyers/subscriptions/erp", "events/buyers/subscriptions/warehouse"]);
    let keys = 1 + chance.below(4);
    let (to_send, acknowledged) = (VecDeque::new(), Vec::new());
    let mut story = Story { seed, stage, erp, chance, to_send, acknowledged, checker, keys };
    story.stage.start();
    let mut said = 0;
    for _ in 0..8 {
        let held = story.round(&mut said, hold);
        std::thread::sleep(Duration::from_millis(story.chance.below(900)));
        drop(held);
    }
    story.ends(hold);
}

impl Story {
    /// Things go wrong, and the website sends. *Shape*: what holds the file of the warehouse until it is dropped.
    fn round(&mut self, said: &mut u32, hold: bool) -> Option<Connection> {
        match self.chance.below(5) {
            0 => self.erp.kill(),
            _ => self.erp.start(),
        }
        let troubles = [Trouble::None, Trouble::None, Trouble::Down, Trouble::Busy, Trouble::LoseAnswer];
        self.erp.trouble(self.chance.one_of(&troubles));
        let held = (self.chance.below(5) == 0).then(|| {
            let conn = Connection::open(self.stage.warehouse()).unwrap();
            conn.busy_timeout(Duration::from_secs(5)).unwrap();
            conn.execute_batch("BEGIN IMMEDIATE").unwrap();
            conn
        });
        self.checker.disk_may_be_full(&self.stage, &mut self.chance);
        let gone = self.stage.up.as_mut().unwrap().try_wait().unwrap().is_some();
        let kill = gone || self.chance.below(3) == 0;
        let before = self.chance.below(4);
        for at in 0..=1 + self.chance.below(4) {
            *said += 1;
            let key = format!("C-{}", self.chance.below(self.keys));
            self.to_send.push_back(Event { number: *said, key, poison: self.chance.below(8) == 0 });
            self.send();
            if kill && at == before {
                self.dies();
            }
        }
        if kill && before > 1 {
            self.dies();
        }
        if self.chance.below(3) == 0 {
            self.somebody_looks(hold);
        }
        held
    }

    /// In their order: what is not acknowledged is not overtaken.
    fn send(&mut self) {
        while let Some(event) = self.to_send.front() {
            if !event.is_acknowledged(&self.stage) {
                return;
            }
            self.acknowledged.extend(self.to_send.pop_front());
        }
    }

    fn dies(&mut self) {
        self.stage.kill();
        self.looks();
        let point = self.chance.one_of(&["sink.before", "sink.after", "commit.before", "commit.after"]);
        let end = self.chance.one_of(&["abort", "abort", "error"]);
        let at = 1 + self.chance.below(40);
        self.stage.start_until_ready(&format!("{point}@{at}={end}"));
    }

    fn looks(&mut self) {
        self.checker.look(&self.stage);
        for (to, effects) in [("erp", self.in_the_erp()), ("warehouse", self.in_the_warehouse())] {
            let mut last: BTreeMap<&str, u32> = BTreeMap::new();
            for (made, key, number) in &effects {
                let before = last.insert(key, *number);
                assert_eq!(before.is_none(), *made, "seed {}: {key} is made twice in the {to}: {effects:?}", self.seed);
                assert!(before < Some(*number), "seed {}: {key} goes back in the {to}: {effects:?}", self.seed);
            }
        }
    }

    /// Every effect: whether it made the row, whose it was, and the number of the event.
    fn in_the_erp(&self) -> Vec<(bool, String, u32)> {
        let effect = |(made, row): (bool, Json)| {
            let number = row["terms"]["limit"].to_string().parse::<f64>().unwrap_or_else(|_| panic!("{row}"));
            (made, row["ref"].as_str().unwrap().to_owned(), number as u32)
        };
        self.erp.written().into_iter().map(effect).collect()
    }

    fn in_the_warehouse(&self) -> Vec<(bool, String, u32)> {
        let told = self.stage.texts("SELECT made || ' ' || code || ' ' || money FROM told ORDER BY at");
        let effect = |text: &String| {
            let words: Vec<&str> = text.split(' ').collect();
            (words[0] == "1", words[1].to_owned(), words[2].parse::<f64>().unwrap() as u32)
        };
        told.iter().map(effect).collect()
    }

    fn letters(&self) -> Vec<Json> {
        self.stage.json(&["dead-letters", "list", "--last", "1000"]).as_array().unwrap().clone()
    }

    /// A person deals with a dead letter. Sent again as it is, it is refused again.
    fn somebody_looks(&mut self, hold: bool) {
        let letters = self.letters();
        let Some(letter) = letters.get(self.chance.below(letters.len().max(1) as u64) as usize) else { return };
        let verb = if hold && self.chance.below(3) > 0 { "discard" } else { "retry" };
        let id = letter["id"].as_str().unwrap();
        self.stage.say(&["dead-letters", verb, id, "--note", "a test"]);
    }

    /// Everything is well again; in the end each destination has had what it should have.
    fn ends(mut self, hold: bool) {
        self.erp.start();
        self.erp.trouble(Trouble::None);
        self.stage.kill();
        self.looks();
        self.stage.start();
        let begun = Instant::now();
        loop {
            self.send();
            let letters = self.letters();
            let retrying = letters.iter().any(|letter| letter["state"] != "open");
            let waits = self.stage.waiting_for("erp") + self.stage.waiting_for("warehouse");
            if self.to_send.is_empty() && waits == 0 && !retrying && (letters.is_empty() || !hold) {
                break;
            }
            // Nobody needs what is refused, and what it holds goes on.
            for letter in letters.iter().filter(|_| hold) {
                self.stage.say(&["dead-letters", "discard", letter["id"].as_str().unwrap()]);
            }
            assert!(begun.elapsed() < PATIENCE, "{}", self.so_far());
            std::thread::sleep(Duration::from_millis(200));
        }
        self.stage.kill();
        self.looks();
        let numbers = |effects: Vec<(bool, String, u32)>| -> BTreeMap<String, Vec<u32>> {
            let mut all: BTreeMap<String, Vec<u32>> = BTreeMap::new();
            effects.into_iter().for_each(|(_, key, number)| all.entry(key).or_default().push(number));
            all
        };
        let sent = |refused: bool| {
            let wanted = self.acknowledged.iter().filter(|event| !(refused && event.poison));
            numbers(wanted.map(|event| (false, event.key.clone(), event.number)).collect())
        };
        assert_eq!(numbers(self.in_the_warehouse()), sent(false), "the warehouse takes everything; {}", self.so_far());
        assert_eq!(numbers(self.in_the_erp()), sent(true), "the ERP takes all but poison; {}", self.so_far());
        // What was refused last is a dead letter of the ERP; what came before has been overtaken.
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for event in &self.acknowledged {
            let refused = last.entry(&event.key).or_default();
            *refused = if event.poison { *refused + 1 } else { 0 };
        }
        let mut open: BTreeMap<String, usize> = BTreeMap::new();
        for letter in self.letters() {
            assert_eq!(letter["to"], "erp", "{letter:#}");
            *open.entry(letter["key"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        for (key, refused) in last {
            let found = open.get(key).copied().unwrap_or_default();
            assert!(found <= refused && (hold || (found > 0) == (refused > 0)), "{key}: {found}; {}", self.so_far());
        }
    }

    fn so_far(&self) -> String {
        format!(
            "seed {}: acknowledged {:?}\nto be sent {:?}\nin the ERP {:?}\nin the warehouse {:?}\n{}\n{}\n{}\n{}",
            self.seed,
            self.acknowledged,
            self.to_send,
            self.in_the_erp(),
            self.in_the_warehouse(),
            self.stage.say(&["queue", "list"]),
            self.stage.say(&["dead-letters", "list", "--all"]),
            self.stage.say(&["status"]),
            self.stage.log()
        )
    }
}
