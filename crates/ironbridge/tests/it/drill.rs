//! A drill by seeds: changes in Dynamics, kills of the hub and of the ERP, an ERP that is down, busy or silent, and a disk
//! that is full or fails, all at random. A checker follows every effect in the ERP and every note of the journal.
//!
//! `IRONBRIDGE_SEEDS` says how many stories are told, `IRONBRIDGE_SEED` where to begin: a seed that fails is printed, and
//! can be told alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use emulator::samples::erp::{self, Trouble};
use rusqlite::Connection;
use serde_json::Value as Json;
use store::journal::What;
use store::queue::{Peeked, Place};

use crate::chaos::{Chance, stories};
use crate::stage::{EVENTS, Stage, to_the_erp};

/// How long the hub gets at the end to bring everything over.
pub const PATIENCE: Duration = Duration::from_secs(180);

#[test]
fn nothing_is_lost_and_nothing_is_there_twice_whatever_happens() {
    stories(7, 1, one_story);
}

/// An ERP that can be killed: every connection is cut, whatever it was doing.
pub struct Erp {
    file: PathBuf,
    address: SocketAddr,
    running: Option<(tokio::runtime::Runtime, erp::Handle)>,
}

impl Erp {
    pub fn new(stage: &Stage, runtime: tokio::runtime::Runtime, handle: erp::Handle) -> Erp {
        let address = handle.url.trim_start_matches("http://").parse().unwrap();
        Erp { file: stage.world.dir.join("data/erp.db"), address, running: Some((runtime, handle)) }
    }

    pub fn kill(&mut self) {
        if let Some((runtime, handle)) = self.running.take() {
            drop(handle);
            runtime.shutdown_background();
        }
    }

    pub fn start(&mut self) {
        if self.running.is_none() {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let handle = runtime.block_on(erp::start(&self.file, self.address, "local-key")).unwrap();
            self.running = Some((runtime, handle));
        }
    }

    pub fn trouble(&self, trouble: Trouble) {
        if let Some((_, handle)) = &self.running {
            handle.trouble(trouble);
        }
    }

    fn bodies(&self, sql: &str) -> Vec<(i64, Json)> {
        let conn = Connection::open(&self.file).unwrap();
        conn.busy_timeout(Duration::from_secs(5)).unwrap();
        let mut statement = conn.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).unwrap();
        rows.map(|row| row.map(|(number, body)| (number, serde_json::from_str(&body).unwrap())).unwrap()).collect()
    }

    fn rows(&self) -> Vec<(i64, Json)> {
        self.bodies("SELECT id, body FROM thing ORDER BY id")
    }

    /// Every write that took effect, in order: whether it made the row, and what it said.
    pub fn written(&self) -> Vec<(bool, Json)> {
        let written = self.bodies("SELECT made, body FROM written ORDER BY at");
        written.into_iter().map(|(made, body)| (made == 1, body)).collect()
    }
}

fn one_story(seed: u64) {
    let mut chance = Chance(seed);
    let events = EVENTS.replace(
        "after_dead_letter: hold_key",
        "after_dead_letter: continue\nwrite_back: [erp_number]\nsweep: every 2 seconds",
    );
    let (mut stage, runtime, handle) = to_the_erp(&events);
    let mut erp = Erp::new(&stage, runtime, handle);
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    let mut expected = BTreeMap::new();
    let mut checker = Checker::new(seed, &["events/buyers/subscriptions/erp"]);
    for round in 0..8 {
        for _ in 0..=chance.below(3) {
            let number = format!("C-{}", chance.below(5));
            let name =
                if chance.below(8) == 0 { "Poison".to_owned() } else { format!("Name {round} {}", chance.below(99)) };
            stage.account(&number, &name, 1 + chance.below(1000) as u32);
            expected.insert(number, name);
        }
        match chance.below(5) {
            0 => erp.kill(),
            _ => erp.start(),
        }
        erp.trouble(chance.one_of(&[Trouble::None, Trouble::None, Trouble::Down, Trouble::Busy, Trouble::LoseAnswer]));
        checker.disk_may_be_full(&stage, &mut chance);
        let gone = stage.up.as_mut().unwrap().try_wait().unwrap().is_some();
        if gone || chance.below(3) == 0 {
            stage.kill();
            look(&mut checker, &stage, &erp);
            let point = chance.one_of(&["sink.before", "sink.after", "commit.before", "commit.after"]);
            // An error before a commit is a disk that is full; one after it is a disk whose sync failed: who knows what
            // is on it.
            let end = chance.one_of(&["abort", "abort", "error"]);
            stage.start_until_ready(&format!("{point}@{}={end}", 1 + chance.below(30)));
        }
        std::thread::sleep(Duration::from_millis(chance.below(900)));
    }
    erp.start();
    erp.trouble(Trouble::None);
    stage.kill();
    look(&mut checker, &stage, &erp);
    stage.start();
    for (number, name) in &mut expected {
        if name == "Poison" {
            *name = "Name 9 Honey".to_owned();
            stage.account(number, name, 1);
        }
    }
    let there = || -> BTreeMap<String, String> {
        let text = |row: &Json, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        erp.rows().iter().map(|(_, row)| (text(row, "ref"), text(row, "name"))).collect()
    };
    let begun = Instant::now();
    while there() != expected || stage.waiting_for("erp") > 0 {
        assert!(
            begun.elapsed() < PATIENCE,
            "seed {seed}: expected {expected:?}\nfound {:?}\n{}\n{}\n{}\n{}",
            erp.rows(),
            stage.say(&["queue", "list"]),
            stage.say(&["status"]),
            told_of_what_differs(&stage, &expected, &there()),
            stage.log()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(erp.rows().len(), expected.len(), "seed {seed}: a row is there twice: {:?}", erp.rows());
    let letters = stage.json(&["dead-letters", "list"]);
    assert_eq!(letters, Json::Array(Vec::new()), "seed {seed}: each was overtaken by a better event");
    stage.kill();
    look(&mut checker, &stage, &erp);
    // Whoever asks is told of each row's end.
    for number in expected.keys() {
        let told = stage.json(&["trace", "customer", number]);
        assert!(!told["story"].as_array().unwrap().is_empty(), "seed {seed}: {number} has no story");
    }
}

/// The story of each row that is not as it should be.
fn told_of_what_differs(
    stage: &Stage,
    expected: &BTreeMap<String, String>,
    there: &BTreeMap<String, String>,
) -> String {
    let differ = expected.iter().filter(|(number, name)| there.get(*number) != Some(*name));
    differ.map(|(number, _)| stage.say(&["trace", "customer", number])).collect()
}

fn look(checker: &mut Checker, stage: &Stage, erp: &Erp) {
    effects_are_once_and_in_order(checker.seed, erp);
    checker.look(stage);
}

/// Follows what happens to every message, from one death of the hub to the next.
pub struct Checker {
    seed: u64,
    queues: &'static [&'static str],
    /// How often a message was in the hands of a hub that died.
    died: BTreeMap<i64, u32>,
    /// How often the disk was full. A lock runs out where it is full for long, and that counts.
    full: u32,
}

impl Checker {
    pub fn new(seed: u64, queues: &'static [&'static str]) -> Checker {
        Checker { seed, queues, died: BTreeMap::new(), full: 0 }
    }

    /// One time in six the disk is full from now on, otherwise it is not.
    pub fn disk_may_be_full(&mut self, stage: &Stage, chance: &mut Chance) {
        let full = chance.below(6) == 0;
        stage.disk_is_full(full);
        self.full += u32::from(full);
    }

    /// Holds what has happened so far, while nothing happens.
    pub fn look(&mut self, stage: &Stage) {
        let seed = self.seed;
        let store = store::Store::open(stage.world.dir.join(".ironbridge"), store::Options::default()).unwrap();
        let mut notes = Vec::new();
        let mut place = 0;
        loop {
            let (more, reached) = store.journal_after(place, 1000).unwrap();
            notes.extend(more);
            if reached == place {
                break;
            }
            place = reached;
        }
        // A message comes to one end, once.
        let mut ended = BTreeSet::new();
        let mut counted: BTreeMap<i64, u32> = BTreeMap::new();
        for noted in &notes {
            let Some(message) = noted.note.message else { continue };
            match noted.note.what {
                What::WrittenBack => {}
                What::Failed | What::Waits => {
                    assert!(!ended.contains(&message), "seed {seed}: message {message} goes on after its end");
                    *counted.entry(message).or_default() += u32::from(noted.note.detail.contains("; again in"));
                }
                _ => assert!(ended.insert(message), "seed {seed}: message {message} ended twice: {noted:?}"),
            }
        }
        // What waits has not ended, is in one place, and was delivered as often as it failed or its hub died with it.
        let waiting = |queue: &&str| store.peek(queue, 0, 1000).unwrap().unwrap_or_default();
        let waiting: Vec<Peeked> = self.queues.iter().flat_map(waiting).collect();
        let mut places = BTreeSet::new();
        let dead: Vec<i64> =
            store.dead_letters(&store::dead_letters::Filter::default(), 1000).unwrap().iter().map(|l| l.seq).collect();
        for peeked in &waiting {
            let seq = peeked.seq;
            assert!(places.insert(seq), "seed {seed}: message {seq} waits in two places");
            assert!(!ended.contains(&seq), "seed {seed}: message {seq} has ended, and waits");
            assert!(!dead.contains(&seq), "seed {seed}: message {seq} is a dead letter, and waits");
            let failures = counted.get(&seq).copied().unwrap_or_default();
            let died = self.died.entry(seq).or_default();
            let is_locked = peeked.place == Place::Locked;
            if is_locked && peeked.deliveries + 1 == failures + *died {
                // Still in the hands of a hub that died before the last one: its lock has not run out yet.
                continue;
            }
            let least = failures + *died;
            assert!(
                (least..=least + self.full).contains(&peeked.deliveries),
                "seed {seed}: message {seq} after {failures} failures and {died} deaths of its hub: {}",
                peeked.deliveries
            );
            *died = peeked.deliveries - failures;
            // Counted once its lock has run out, which no dead hub sees.
            *died += u32::from(is_locked);
        }
    }
}

/// No write changes nothing, a row is made once, and no older name comes after a newer one.
fn effects_are_once_and_in_order(seed: u64, erp: &Erp) {
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for (made, row) in erp.written() {
        let number = row["ref"].as_str().unwrap_or_default().to_owned();
        let before = last.insert(number.clone(), row.to_string());
        assert_eq!(before.is_none(), made, "seed {seed}: {number} is made twice, or changed before it is made");
        let Some(before) = before else { continue };
        assert_ne!(before, row.to_string(), "seed {seed}: {number} is written twice");
        let round = |text: &str| -> Option<u32> { text.split("\"Name ").nth(1)?.split(' ').next()?.parse().ok() };
        assert!(round(&before) <= round(&row.to_string()), "seed {seed}: {number} goes back: {before} then {row}");
    }
}
