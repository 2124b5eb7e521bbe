//! Long flows, while somebody kills the hub again and again: at a commit, at a write, or whenever it was.
//!
//! `IRONBRIDGE_SEEDS` says how many stories are told (`scripts/soak` tells a hundred), `IRONBRIDGE_SEED` where to begin: a
//! seed that fails is printed, and can be told alone. Each story has three instances under way and four to eight kills.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use store::Store;
use store::flows::{Filter, Instance, State};

use crate::chaos::{Chance, from_environment};
use crate::stage::Stage;

/// Everything that holds steps or waits: branches, a scope, a child, a loop over nothing, clocks, people in order with a
/// form, and a switch on what they said.
const LONG: &str = "integration: buyers
pattern: flow
trigger: { entity: customer, in: dynamics, rows: [created], form: { more: { type: money, required: true } }, if: '=credit_limit > 0' }
volume: { ceiling: 5000 a day }
steps:
  - parallel:
      left:
        - { write: { entity: customer, to: warehouse, key: =number, set: { credit_limit: =credit_limit } } }
        - { delay: 1 second }
        - { write: { entity: customer, to: warehouse, key: =number, set: { credit_limit: =credit_limit + 1 } } }
      right:
        - { set: { email: =\"seen@contoso.example\" } }
        - { child_flow: counts, key: =number, as: counted }
  - wait_for: =email = \"seen@contoso.example\"
    at_most: 1 day
    as: seen
  - scope: more
    steps:
      - approve: decision
        ask: =$\"More for {name}?\"
        of: { in_order: [ann, bob] }
        form: { granted: { type: money, required: true, with: approved } }
        deadline: { after: 5 working days, outcome: rejected }
      - switch: =decision.outcome
        cases:
          approved: [ { write: { entity: customer, to: warehouse, key: =number, set: { credit_limit: =decision.granted } } } ]
          rejected: [ { write: { entity: customer, to: warehouse, key: =\"nobody\", set: { credit_limit: 0 } } } ]
    if_failed: [ { set: { email: =\"failed@contoso.example\" } } ]
  - if: =more.outcome = \"done\" && seen.outcome = \"happened\"
    then: [ { set: { email: =counted.outcome & \"@contoso.example\" } } ]
owner: finance-it
purpose: A test.
";
const CHILD: &str = "integration: counts
pattern: flow
trigger: { entity: customer, in: dynamics, call: true }
volume: { ceiling: 5000 a day }
steps:
  - { write: { entity: customer, to: warehouse, key: =number, set: { email: =\"child@contoso.example\" } } }
  - { delay: 1 second }
owner: finance-it
purpose: A test.
";
/// How long the hub gets at the end.
const PATIENCE: Duration = Duration::from_secs(180);

fn stage() -> Stage {
    let stage = Stage::unregistered(LONG);
    stage.people(&["ann", "bob"], "");
    std::fs::write(stage.world.dir.join("integrations/counts.yaml"), CHILD).unwrap();
    stage.register("Create");
    stage
}

fn store(stage: &Stage) -> Store {
    Store::open(stage.world.dir.join(".ironbridge"), store::Options::default()).unwrap()
}

#[test]
fn whatever_kills_the_hub_each_step_is_done_once_and_no_answer_is_lost() {
    let mut stage = stage();
    stage.start();
    stage.until("the first look", || store(&stage).cursor("buyers", "flow").unwrap().is_some());
    stage.kill();
    let first = from_environment("IRONBRIDGE_SEED", 1);
    let seeds = from_environment("IRONBRIDGE_SEEDS", 1);
    let mut kills = 0;
    for seed in first..first + seeds {
        println!("seed {seed}");
        kills += Story { seed, chance: Chance(seed), stage: &mut stage, said: BTreeMap::new() }.told();
    }
    println!("{seeds} stories, {kills} kills");
}

/// Somebody's answer that was taken.
type Said = Vec<(&'static str, bool)>;

struct Story<'s> {
    seed: u64,
    chance: Chance,
    stage: &'s mut Stage,
    /// The answers that were taken, by the key of the record.
    said: BTreeMap<String, Said>,
}

impl Story<'_> {
    /// Answers how often the hub was killed.
    fn told(mut self) -> u32 {
        let keys: Vec<String> = (0..3).map(|n| format!("K-{}-{n}", self.seed)).collect();
        let mut to_come = keys.clone();
        let rounds = 4 + self.chance.below(5);
        let mut kills = 0;
        for round in 0..rounds {
            // Records come while the hub is up, and while it is down.
            if self.chance.below(2) == 0 || round + 1 == rounds {
                self.comes(&mut to_come);
            }
            let points = ["sink.before", "sink.after", "commit.before", "commit.after"];
            let failpoint = match self.chance.below(4) {
                0 => String::new(),
                _ => format!("{}@{}=abort", self.chance.one_of(&points), 1 + self.chance.below(9)),
            };
            self.stage.start_until_ready(&failpoint);
            let life = Duration::from_millis(100 + self.chance.below(1_400));
            let begun = Instant::now();
            self.comes(&mut to_come);
            while begun.elapsed() < life && !self.has_ended() {
                if self.chance.below(3) == 0 {
                    self.somebody_answers();
                }
                std::thread::sleep(Duration::from_millis(self.chance.below(120)));
            }
            self.stage.kill();
            kills += 1;
            // People answer while it is down too.
            if self.chance.below(3) == 0 {
                self.somebody_answers();
            }
        }
        while !to_come.is_empty() {
            self.comes(&mut to_come);
        }
        self.stage.start();
        let end = Instant::now() + PATIENCE;
        while !keys.iter().all(|key| self.instance("buyers", key).is_some_and(|i| i.state == State::Done)) {
            assert!(Instant::now() < end, "seed {}: {:#?}\n{}", self.seed, self.instances(), self.stage.log());
            self.somebody_answers();
            std::thread::sleep(Duration::from_millis(50));
        }
        self.stage.kill();
        keys.iter().for_each(|key| self.adds_up(key));
        kills
    }

    fn has_ended(&mut self) -> bool {
        self.stage.up.as_mut().is_none_or(|up| up.try_wait().unwrap().is_some())
    }

    /// A record is made; now and then one is started by its form too.
    fn comes(&mut self, to_come: &mut Vec<String>) {
        let Some(key) = to_come.pop() else { return };
        self.stage.sql(&format!("INSERT INTO buyers (code, title, money) VALUES ('{key}', 'Acme', '10')"));
        self.stage.account(&key, "Acme", 9_000);
    }

    fn instances(&self) -> Vec<Instance> {
        let mine = format!("K-{}-", self.seed);
        let all = store(self.stage).flow_instances(&Filter::default(), 200).unwrap();
        all.into_iter().filter(|instance| instance.key.to_string().starts_with(&mine)).collect()
    }

    fn instance(&self, flow: &str, key: &str) -> Option<Instance> {
        self.instances().into_iter().find(|one| one.integration == flow && one.key.to_string() == key)
    }

    /// One of the open questions is answered by whose turn it is, or by whose turn it is not.
    fn somebody_answers(&mut self) {
        let open = store(self.stage).approvals(false, 100).unwrap();
        let Some(approval) = open.iter().find(|approval| approval.state == store::approvals::State::Open) else {
            return;
        };
        let (by, yes) = (self.chance.one_of(&["ann", "bob"]), self.chance.below(4) > 0);
        let id = approval.id.to_string();
        let key = hub::flows::subject_of(approval)
            .and_then(|(instance, _)| store(self.stage).flow_instance(instance).unwrap())
            .map_or_else(String::new, |instance| instance.key.to_string());
        let said = match yes {
            true => self.stage.run(&["approvals", "approve", &id, "--by", by, "--field", "granted=9500"]),
            false => self.stage.run(&["approvals", "reject", &id, "--by", by]),
        };
        if said.code == Some(0) {
            self.said.entry(key).or_default().push((by, yes));
        }
    }

    /// Every step was done once, and what people said is what was done.
    fn adds_up(&self, key: &str) {
        let seed = self.seed;
        let instance = self.instance("buyers", key).unwrap();
        let steps = store(self.stage).flow_steps(instance.id).unwrap();
        let steps: Vec<String> = steps.into_iter().map(|step| step.what).collect();
        let times = |what: &str| steps.iter().filter(|step| step.contains(what)).count();
        let said = self.said.get(key).cloned().unwrap_or_default();
        let yes = said == [("ann", true), ("bob", true)];
        assert!(yes || said.last().is_some_and(|(_, yes)| !yes), "seed {seed}, {key}: {said:?} in {steps:#?}");
        // The address that was seen, and the one of the end; personal values are masked.
        assert_eq!(times("set email = ***"), 2, "seed {seed}, {key}: {steps:#?}");
        let once = ["began counts", "counts is done", "waited", "asked ann, bob", "decision is"];
        for what in once {
            assert_eq!(times(what), 1, "seed {seed}, {key}: `{what}` in {steps:#?}");
        }
        assert_eq!(times("answered"), said.len(), "seed {seed}, {key}: {said:?} in {steps:#?}");
        let decided = if yes { "decision is approved" } else { "decision is rejected" };
        assert_eq!(times(decided), 1, "seed {seed}, {key}: {said:?} in {steps:#?}");
        // One insert of the test, two writes of a branch, one of the child; and where both said yes, one of the scope.
        let effects = if yes { 5 } else { 4 };
        assert_eq!(self.stage.effects(key), effects, "seed {seed}, {key}: {steps:#?}");
        let row = self.stage.dynamics("GET", &format!("accounts(accountnumber='{key}')?$select=emailaddress1"), "");
        let email = if yes { "done@contoso.example" } else { "failed@contoso.example" };
        assert_eq!(row["emailaddress1"], email, "seed {seed}, {key}: {steps:#?}");
        let money = if yes { "9500" } else { "9001" };
        assert!(self.stage.buyers().contains(&format!("{key} Acme {money}")), "seed {seed}: {:?}", self.stage.buyers());
        let all = self.instances();
        let mine = all.iter().filter(|one| one.key.to_string() == key).map(|one| one.integration.as_str());
        assert_eq!(mine.collect::<Vec<_>>().len(), 2, "seed {seed}, {key}: one instance and one child: {all:#?}");
        assert!(all.iter().all(|one| one.state == State::Done), "seed {seed}: {all:#?}");
        assert!(
            store(self.stage).approvals(false, 100).unwrap().iter().all(|a| a.state != store::approvals::State::Open)
        );
        let (_, kept) = store(self.stage)
            .approvals_about("buyers", &format!("{}/", instance.id))
            .unwrap()
            .into_iter()
            .map(|approval| (approval.id, hub::flows::kept(&store(self.stage), &approval).unwrap()))
            .next_back()
            .unwrap();
        assert_eq!(kept, hub::flows::Kept::AsShown);
    }
}
