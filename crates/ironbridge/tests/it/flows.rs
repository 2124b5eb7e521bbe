//! Flows: a person decides, and whatever crashes meanwhile repeats nothing and loses nothing.

use serde_json::Value as Json;

use crate::stage::Stage;

/// Named as the webhooks of a stage send it.
const FLOW: &str = "integration: buyers
pattern: flow
trigger: { entity: customer, in: dynamics, rows: [created], if: '=credit_limit > 0' }
volume: { expected: 2 a day, ceiling: 4 a day }
steps:
  - if: =credit_limit <= 5000
    then: [ { set: { email: =\"granted@contoso.example\" } } ]
    else:
      - approve: decision
        ask: =$\"Give {name} {credit_limit}?\"
        of: { one_of: [group:credit-control] }
        deadline: { after: 5 working days, outcome: rejected }
        if_changed: [credit_limit]
      - if: =decision.outcome = \"approved\"
        then: [ { write: { entity: customer, to: warehouse, key: =number, set: { credit_limit: =credit_limit } } } ]
        else: [ { set: { email: =\"refused@contoso.example\" } } ]
owner: finance-it
purpose: A test.
";

fn stage() -> Stage {
    let stage = Stage::unregistered(FLOW);
    let people = "people:\n  ann: { name: (sample) first, email: ann@contoso.example }\n  bob: { name: (sample) second, email: bob@contoso.example }\n";
    let groups = "groups:\n  credit-control: { members: [ann, bob] }\n";
    stage.world.edit("people.yaml", "groups:\n", &format!("{people}{groups}"));
    stage.register("Create");
    stage
}

fn instances(stage: &Stage) -> Vec<Json> {
    stage.json(&["flow", "list", "--all"]).as_array().unwrap().clone()
}

fn state_of(stage: &Stage, key: &str) -> String {
    let all = instances(stage);
    let found = all.iter().find(|instance| instance["key"] == key);
    found.map_or_else(String::new, |instance| instance["state"].as_str().unwrap().to_owned())
}

fn email(stage: &Stage, number: &str) -> String {
    let row = stage.dynamics("GET", &format!("accounts(accountnumber='{number}')?$select=emailaddress1"), "");
    row["emailaddress1"].as_str().unwrap_or_default().to_owned()
}

fn open_approval(stage: &Stage) -> Option<i64> {
    let all = stage.json(&["approvals", "list"]);
    all.as_array().unwrap().iter().find(|a| a["state"] == "open").and_then(|a| a["id"].as_i64())
}

/// Waits until the flow listens for what is new: what was there before starts nothing.
fn ready(stage: &Stage) {
    stage.until("the first look", || {
        let store = store::Store::open(stage.world.dir.join(".ironbridge"), store::Options::default()).unwrap();
        store.cursor("buyers", "flow").unwrap().is_some()
    });
}

#[test]
fn a_person_decides_and_the_answer_is_written() {
    let mut stage = stage();
    stage.account("OLD-1", "There before", 90_000);
    stage.sql("INSERT INTO buyers (code, title, money) VALUES ('B-1', 'Acme', '10'), ('B-2', 'Bolt', '10')");
    stage.start();
    ready(&stage);
    stage.account("S-1", "Small", 4_000);
    stage.until("the small one", || email(&stage, "S-1") == "granted@contoso.example");
    stage.account("B-1", "Acme", 9_000);
    stage.until("the question", || open_approval(&stage).is_some());
    let id = open_approval(&stage).unwrap().to_string();
    let shown = stage.say(&["approvals", "show", &id]);
    assert!(shown.contains("Give Acme 9000?") && shown.contains("ann, bob"), "{shown}");
    let stranger = stage.say(&["approvals", "approve", &id, "--by", "eve"]);
    assert!(stranger.contains("was not asked") && stranger.contains("--by ann"), "{stranger}");
    // Nothing is lost while nobody is there.
    stage.kill();
    let said = stage.say(&["approvals", "approve", &id, "--by", "ann", "--comment", "fine"]);
    assert!(said.contains("Approved by ann"), "{said}");
    let late = stage.say(&["approvals", "reject", &id, "--by", "bob"]);
    assert!(late.contains("already decided by ann"), "{late}");
    stage.start();
    stage.until("the write", || stage.buyers().contains(&"B-1 Acme 9000".to_owned()));
    stage.until("the end", || state_of(&stage, "B-1") == "done");
    assert_eq!(stage.effects("B-1"), 2, "one insert of the test, one write of the flow");
    let of: Vec<Json> = instances(&stage).into_iter().filter(|i| i["key"] == "B-1").collect();
    let shown = stage.say(&["flow", "show", &of[0]["id"].to_string()]);
    for part in ["asked ann, bob: Give Acme 9000?", "answered yes: fine", "decision is approved", "wrote credit_limit"]
    {
        assert!(shown.contains(part), "no `{part}` in:\n{shown}");
    }
    let traced = stage.say(&["trace", "customer", "B-1"]);
    assert!(traced.contains("answered yes: fine (ann)"), "{traced}");
    // Another is refused, and one that was there before the flow starts nothing.
    stage.account("B-2", "Bolt", 8_000);
    stage.until("the second question", || open_approval(&stage).is_some());
    let id = open_approval(&stage).unwrap().to_string();
    stage.say(&["approvals", "reject", &id, "--by", "bob"]);
    stage.until("the refusal", || email(&stage, "B-2") == "refused@contoso.example");
    assert!(stage.buyers().contains(&"B-2 Bolt 10".to_owned()));
    assert_eq!(state_of(&stage, "OLD-1"), "");
}

#[test]
fn a_crash_repeats_no_write_and_loses_no_answer() {
    let mut stage = stage();
    stage.sql("INSERT INTO buyers (code, title, money) VALUES ('B-1', 'Acme', '10')");
    stage.start();
    ready(&stage);
    stage.account("B-1", "Acme", 9_000);
    stage.until("the question", || open_approval(&stage).is_some());
    stage.kill();
    let id = open_approval(&stage).unwrap().to_string();
    stage.say(&["approvals", "approve", &id, "--by", "ann"]);
    for failpoint in ["sink.before@1=abort", "sink.after@1=abort", "commit.before@3=abort", "commit.after@3=abort"] {
        stage.start_until_ready(failpoint);
        let begun = std::time::Instant::now();
        while stage.up.as_mut().is_some_and(|up| up.try_wait().unwrap().is_none())
            && begun.elapsed() < std::time::Duration::from_secs(5)
        {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        stage.kill();
    }
    stage.start();
    stage.until("the end", || state_of(&stage, "B-1") == "done");
    assert_eq!(stage.effects("B-1"), 2, "one insert of the test, one write of the flow");
    assert_eq!(instances(&stage).len(), 1);
}

#[test]
fn above_its_ceiling_a_flow_holds_what_starts() {
    let mut stage = stage();
    stage.start();
    ready(&stage);
    for n in 1..=6 {
        stage.account(&format!("S-{n}"), "Small", 100);
    }
    stage.until("six instances", || instances(&stage).len() == 6);
    stage.until("four of them done", || instances(&stage).iter().filter(|i| i["state"] == "done").count() == 4);
    let held: Vec<Json> = instances(&stage).into_iter().filter(|i| i["state"] == "held").collect();
    assert_eq!(held.len(), 2);
    let id = held[0]["id"].to_string();
    let said = stage.say(&["flow", "cancel", &id, "--why", "not needed"]);
    assert!(said.contains("is cancelled"), "{said}");
    assert!(stage.say(&["flow", "show", &id]).contains("cancelled: not needed"));
    assert!(stage.say(&["flow", "retry", &id]).contains("IB1205"));
}

#[test]
fn an_instance_keeps_its_version_until_it_is_moved() {
    let mut stage = stage();
    stage.sql("INSERT INTO buyers (code, title, money) VALUES ('B-1', 'Acme', '10')");
    stage.start();
    ready(&stage);
    stage.account("B-1", "Acme", 9_000);
    stage.until("the question", || open_approval(&stage).is_some());
    stage.kill();
    stage.world.edit("integrations/buyers.yaml", "Give {name}", "Grant {name}");
    stage.start();
    stage.until("the second version", || stage.json(&["flow", "versions", "buyers"]).as_array().unwrap().len() == 2);
    let id = open_approval(&stage).unwrap().to_string();
    assert!(stage.say(&["approvals", "show", &id]).contains("Give Acme"));
    let instance = instances(&stage)[0]["id"].to_string();
    stage.say(&["flow", "migrate", &instance, "--to", "2"]);
    stage.until("the question in new words", || {
        open_approval(&stage)
            .is_some_and(|id| stage.say(&["approvals", "show", &id.to_string()]).contains("Grant Acme"))
    });
    let id = open_approval(&stage).unwrap().to_string();
    stage.say(&["approvals", "approve", &id, "--by", "bob"]);
    stage.until("the write", || stage.buyers().contains(&"B-1 Acme 9000".to_owned()));
}
