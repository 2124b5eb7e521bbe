//! What starts flows besides records and people, and what ends with them.

use rusqlite::Connection;
use serde_json::Value as Json;

use crate::stage::Stage;
use crate::support::http_with;

/// By a schedule, for each record for which `if` is true.
const SCHEDULED: &str = "integration: buyers
pattern: flow
trigger: { entity: customer, in: dynamics, schedule: every 4 seconds, if: '=credit_limit > 0' }
volume: { ceiling: 500 a day }
steps:
  - { set: { email: =\"seen@contoso.example\" } }
owner: finance-it
purpose: A test.
";

fn instances(stage: &Stage) -> Vec<Json> {
    stage.json(&["flow", "list", "--all"]).as_array().unwrap().clone()
}

fn done(stage: &Stage, key: &str) -> usize {
    instances(stage).iter().filter(|one| one["key"] == key && one["state"] == "done").count()
}

/// The slots for which a record has started one.
fn slots(stage: &Stage, key: &str) -> Vec<jiff::Timestamp> {
    let state = Connection::open(stage.world.dir.join(".ironbridge/state.db")).unwrap();
    let mut causes = state.prepare("SELECT cause FROM flow_cause WHERE integration = 'buyers' ORDER BY 1").unwrap();
    let causes: Vec<String> = causes.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let of = |cause: &String| {
        let (slot, of) = cause.strip_prefix("scheduled ")?.split_once(' ')?;
        (of == key).then(|| slot.parse().unwrap())
    };
    causes.iter().filter_map(of).collect()
}

#[test]
fn a_schedule_starts_one_for_each_record_and_catches_up_once() {
    let mut stage = Stage::unregistered(SCHEDULED);
    stage.account("S-1", "Wanted", 5);
    stage.account("S-2", "Not wanted", 0);
    stage.start();
    stage.until("two slots", || done(&stage, "S-1") >= 2);
    stage.kill();
    let down = jiff::Timestamp::now();
    std::thread::sleep(std::time::Duration::from_secs(13));
    let before = slots(&stage, "S-1").len();
    let up = jiff::Timestamp::now();
    stage.start();
    stage.until("another slot", || slots(&stage, "S-1").len() >= before + 2);
    stage.kill();
    let all = slots(&stage, "S-1");
    // Three slots passed while it was down: the last of them is done, by whenever it was up again.
    let caught_up = all.iter().find(|slot| **slot > down).unwrap();
    assert!(*caught_up > up - jiff::SignedDuration::from_secs(4), "{down} to {up}: {all:?}");
    assert!(all.iter().all(|slot| slot.as_second() % 4 == 0), "{all:?}");
    assert_eq!(instances(&stage).iter().filter(|one| one["key"] == "S-1").count(), all.len(), "each slot once");
    assert!(slots(&stage, "S-2").is_empty() && done(&stage, "S-2") == 0, "its `if` is not true");
    // The clock was days ahead, and was put right.
    let state = Connection::open(stage.world.dir.join(".ironbridge/state.db")).unwrap();
    let ahead = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(72);
    let moved = state.execute("UPDATE cursor SET position = ?1 WHERE stream = 'flow schedule'", [ahead.to_string()]);
    assert_eq!(moved.unwrap(), 1);
    drop(state);
    stage.start();
    stage.until("a slot by the clock that is right", || slots(&stage, "S-1").len() > all.len());
    stage.kill();
}

const PARENT: &str = "integration: buyers
pattern: flow
trigger: { entity: customer, in: dynamics, call: true }
steps:
  - parallel:
      asks:
        - { child_flow: asks, key: =number, as: asked }
        - { set: { email: =asked.outcome & \"@contoso.example\" } }
      ends:
        - { wait_for: =credit_limit > 100, at_most: 5 days, as: paid }
        - { terminate: =\"It is paid.\" }
owner: finance-it
purpose: A test.
";
const CHILD: &str = "integration: asks
pattern: flow
trigger: { entity: customer, in: dynamics, call: true }
steps:
  - approve: decision
    ask: =$\"Well, {name}?\"
    of: { one_of: [ann, bob] }
    deadline: { after: 5 working days, outcome: rejected }
  - { set: { email: =decision.outcome & \"@contoso.example\" } }
owner: finance-it
purpose: A test.
";

fn family() -> Stage {
    let stage = Stage::unregistered(PARENT);
    stage.people(&["ann", "bob"], "");
    std::fs::write(stage.world.dir.join("integrations/asks.yaml"), CHILD).unwrap();
    stage.register("Update");
    stage
}

fn of(stage: &Stage, flow: &str, key: &str) -> Json {
    instances(stage).into_iter().find(|one| one["flow"] == flow && one["key"] == key).unwrap_or_default()
}

fn open(stage: &Stage) -> usize {
    let all = stage.json(&["approvals", "list"]);
    all.as_array().unwrap().iter().filter(|one| one["state"] == "open").count()
}

#[test]
fn a_call_needs_a_key_and_children_end_with_their_parents() {
    let mut stage = family();
    for key in ["C-1", "C-2", "C-3"] {
        stage.account(key, "Acme", 5);
    }
    stage.start();
    let url = format!("http://{}", stage.address);
    let post = |path: &str, headers: &str, body: &str| {
        http_with(&url, "POST", path, &format!("{headers}Content-Type: application/json\r\n"), body)
    };
    let body = |key: &str| format!("{{\"number\": \"{key}\"}}");
    // Without a good key nobody learns which flows there are.
    for (path, headers) in [
        ("/flows/buyers", ""),
        ("/flows/buyers", "x-hub-key: wrong\r\n"),
        ("/flows/buyers", "x-hub-key: \r\n"),
        ("/flows/buyers", "x-other-key: local-key\r\n"),
        ("/flows/buyers?code=wrong", ""),
        ("/flows/nothing", "x-hub-key: local-key\r\n"),
        ("/flows/nothing", "x-hub-key: wrong\r\n"),
    ] {
        let said = post(path, headers, &body("C-1"));
        assert_eq!(said, r#"{"error":"no flow of this name takes this key"}"#, "{path} {headers}");
    }
    assert!(post("/flows/buyers", "x-hub-key: local-key\r\n", "no json").contains("the key of the record: number"));
    assert!(post("/flows/buyers", "x-hub-key: local-key\r\n", r#"{"number": true}"#).contains("the key of the record"));
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!(instances(&stage).len(), 0, "whatever was refused starts nothing");
    // Each of the three ways in.
    assert!(post("/flows/buyers", "x-hub-key: local-key\r\nidempotency-key: a\r\n", &body("C-1")).contains("\"a\""));
    assert!(post("/flows/buyers?code=local-key", "idempotency-key: b\r\n", &body("C-2")).contains("\"b\""));
    assert!(post("/flows/buyers?X-Hub-Key=local-key", "idempotency-key: c\r\n", &body("C-3")).contains("\"c\""));
    stage.until("three questions", || open(&stage) == 3);

    // Cancelled: the child ends too, and nobody is asked any more.
    let id = of(&stage, "buyers", "C-1")["id"].to_string();
    stage.say(&["flow", "cancel", &id, "--why", "asked twice", "--by", "ann"]);
    let child = of(&stage, "asks", "C-1");
    assert_eq!((child["state"].as_str(), open(&stage)), (Some("cancelled"), 2), "{child}");
    let shown = stage.say(&["flow", "show", &child["id"].to_string()]);
    assert!(shown.contains(&format!("cancelled with instance {id}: asked twice")) && shown.contains("ann"), "{shown}");
    // A branch beside it ends the flow.
    stage.account("C-2", "Acme", 500);
    stage.until("the end", || of(&stage, "buyers", "C-2")["state"] == "done");
    assert_eq!(of(&stage, "asks", "C-2")["state"], "cancelled");
    // Its record is gone.
    let account = stage.id_of("accounts", "accountid", "accountnumber eq 'C-3'");
    stage.dynamics("DELETE", &format!("accounts({account})"), "");
    // It is looked at when something wakes it, here by its parent's step that is tried again.
    let id = of(&stage, "buyers", "C-3")["id"].to_string();
    let moved = stage.say(&["flow", "migrate", &id, "--to", "1"]);
    assert!(moved.contains("goes on with version 1"), "{moved}");
    stage.until("the end of it", || of(&stage, "buyers", "C-3")["state"] == "cancelled");
    assert_eq!(of(&stage, "asks", "C-3")["state"], "cancelled");
    assert_eq!(open(&stage), 0);
}

/// A draft that is there is not written over, and is told of even where it does not pass the checks yet.
#[test]
fn what_was_promoted_before_is_said_so() {
    let stage = Stage::unregistered(
        "integration: buyers
pattern: flow
trigger: { entity: customer, in: dynamics, rows: [created] }
steps:
  - { write: { entity: customer, to: warehouse, key: =number, set: { credit_limit: =credit_limit } } }
owner: finance-it
purpose: A test.
",
    );
    let first = stage.say(&["promote", "buyers"]);
    assert!(first.contains("written: integrations/buyers-events.yaml"), "{first}");
    let again = stage.say(&["promote", "buyers"]);
    assert!(
        again.contains("IB1206") && again.contains("is there already") && again.contains(&stage.world.typed("check")),
        "{again}"
    );
    assert!(!again.contains("error[IB02"), "nothing but that is said: {again}");
}

#[test]
fn a_cloud_event_starts_one_for_the_row_that_it_carries() {
    let mut stage = Stage::unregistered(
        "integration: buyers
pattern: flow
trigger: { entity: customer, in: finance, rows: [created] }
steps:
  - { write: { entity: customer, to: warehouse, key: =number, set: { name: =name } } }
owner: finance-it
purpose: A test.
",
    );
    let keys = "webhooks: { header: x-hub-key, keys: [\"${env:HOOK_KEY}\"] }\nowner:";
    stage.world.edit("systems/finance.yaml", "owner:", keys);
    stage.sql("INSERT INTO buyers (code) VALUES ('C-1001')");
    stage.start();
    let event =
        r#"{"specversion": "1.0", "source": "/finance", "id": "1", "type": "made", "data": {"customer_no": "C-1001"}}"#;
    let hub = format!("http://{}", stage.address);
    assert_eq!(http_with(&hub, "POST", "/webhooks/buyers", "x-hub-key: local-key\r\n", event), "");
    stage.until("its instance", || done(&stage, "C-1001") == 1);
}

#[test]
fn a_change_that_comes_back_starts_one_and_what_cannot_be_told_holds_up_nobody() {
    let mut stage = Stage::unregistered(
        "integration: buyers
pattern: flow
trigger: { entity: customer, in: dynamics, rows: [updated], columns: [creditlimit], if: '=100 / credit_limit < 20' }
volume: { ceiling: 500 a day }
steps:
  - { set: { email: =\"seen@contoso.example\" } }
owner: finance-it
purpose: A test.
",
    );
    stage.register("Update");
    let change = |stage: &Stage, number: &str, body: &str| {
        stage.dynamics("PATCH", &format!("accounts(accountnumber='{number}')"), body);
    };
    for number in ["U-0", "U-1", "U-2"] {
        stage.account(number, "Small", 1);
    }
    stage.start();
    let store = || store::Store::open(stage.world.dir.join(".ironbridge"), store::Options::default()).unwrap();
    stage.until("the first look", || store().cursor("buyers", "flow").unwrap().is_some());
    change(&stage, "U-1", r#"{"creditlimit": 10}"#);
    stage.until("the first start", || done(&stage, "U-1") == 1);
    change(&stage, "U-1", r#"{"creditlimit": 1}"#);
    stage.until("that it is seen", || {
        store().flow_started_since("buyers", jiff::Timestamp::MIN).unwrap() == 1 && {
            let state = Connection::open(stage.world.dir.join(".ironbridge/state.db")).unwrap();
            let causes = "SELECT count(*) FROM flow_cause WHERE cause LIKE 'changed U-1 %' AND instance IS NULL";
            state.query_row(causes, [], |row| row.get::<_, i64>(0)).unwrap() == 1
        }
    });
    change(&stage, "U-1", r#"{"creditlimit": 10}"#);
    stage.until("the second start", || done(&stage, "U-1") == 2);
    stage.kill();
    // Only a sweep finds these: one that cannot be told, one that the trigger does not name, and one that counts.
    change(&stage, "U-0", r#"{"creditlimit": 0}"#);
    change(&stage, "U-1", r#"{"name": "Renamed"}"#);
    change(&stage, "U-2", r#"{"creditlimit": 10}"#);
    stage.start();
    stage.until("what the sweep finds", || done(&stage, "U-2") == 1);
    assert_eq!(instances(&stage).len(), 3, "{:?}", instances(&stage));
}

/// Of one record that is made again under its key, and of one that is made again after its flow had ended.
#[test]
fn a_record_that_is_made_again_under_its_key_is_another_one() {
    let mut stage = Stage::unregistered(
        "integration: buyers
pattern: flow
trigger: { entity: customer, in: dynamics, rows: [created] }
steps:
  - if: =credit_limit > 1000
    then:
      - approve: decision
        ask: =$\"Well, {name}?\"
        of: { one_of: [ann] }
        deadline: { after: 5 working days, outcome: rejected }
      - { set: { email: =decision.outcome & \"@contoso.example\" } }
    else: [ { set: { email: =\"seen@contoso.example\" } } ]
owner: finance-it
purpose: A test.
",
    );
    stage.people(&["ann"], "");
    stage.register("Create");
    stage.start();
    let store = || store::Store::open(stage.world.dir.join(".ironbridge"), store::Options::default()).unwrap();
    stage.until("the first look", || store().cursor("buyers", "flow").unwrap().is_some());
    let remove = |key: &str| {
        let account = stage.id_of("accounts", "accountid", &format!("accountnumber eq '{key}'"));
        stage.dynamics("DELETE", &format!("accounts({account})"), "");
    };
    stage.account("D-2", "Another", 5);
    stage.until("another", || done(&stage, "D-2") == 1);
    remove("D-2");
    stage.account("D-2", "Made again", 5);
    stage.until("that it is made again", || done(&stage, "D-2") == 2);
    // One about which somebody is asked.
    stage.account("A-1", "First", 5_000);
    stage.until("the question", || open(&stage) == 1);
    remove("A-1");
    stage.account("A-1", "Second", 6_000);
    let states = || -> Vec<String> {
        let all = instances(&stage);
        all.iter().filter(|one| one["key"] == "A-1").map(|one| one["state"].as_str().unwrap().to_owned()).collect()
    };
    stage.until("its instance", || states().len() == 2);
    // Nothing tells the first one: it is looked at when somebody answers.
    let first = stage.json(&["approvals", "list"]);
    let first =
        first.as_array().unwrap().iter().find(|one| one["question"] == "Well, First?").unwrap()["id"].to_string();
    stage.say(&["approvals", "approve", &first, "--by", "ann"]);
    stage.until("the end of the first", || states().contains(&"cancelled".to_owned()));
    assert_eq!(states(), ["running", "cancelled"]);
    let second = stage.dynamics("GET", "accounts(accountnumber='A-1')?$select=emailaddress1", "");
    assert_eq!(second["emailaddress1"], Json::Null, "what was said of the first is not written to the second");
}

/// Who is taken out of people.yaml decides no more, and who comes is asked: as soon as the hub has it.
#[test]
fn people_who_come_and_go_while_they_are_asked() {
    let mut stage = Stage::unregistered(
        "integration: buyers
pattern: flow
trigger: { entity: customer, in: dynamics, rows: [created] }
steps:
  - approve: decision
    ask: =$\"Well, {name}?\"
    of: { one_of: [group:desk] }
    deadline: { after: 5 working days, outcome: rejected }
  - { set: { email: =decision.outcome & \"@contoso.example\" } }
owner: finance-it
purpose: A test.
",
    );
    stage.people(&["ann", "bob"], "  desk: { members: [ann] }\n");
    stage.register("Create");
    stage.start();
    let store = || store::Store::open(stage.world.dir.join(".ironbridge"), store::Options::default()).unwrap();
    stage.until("the first look", || store().cursor("buyers", "flow").unwrap().is_some());
    stage.account("P-1", "First", 5);
    stage.until("the question", || open(&stage) == 1);
    stage.kill();
    stage.world.edit("people.yaml", "members: [ann]", "members: [bob]");
    let id = stage.json(&["approvals", "list"])[0]["id"].to_string();
    let gone = stage.say(&["approvals", "approve", &id, "--by", "ann"]);
    assert!(gone.contains("was not asked, or is not any more") && gone.contains(&stage.world.typed("up")), "{gone}");
    stage.start();
    stage.until("bob", || stage.json(&["approvals", "list"])[0]["asked_of"] == "bob");
    let said = stage.say(&["approvals", "approve", &id, "--by", "bob"]);
    assert!(said.contains("Approved by bob"), "{said}");
    stage.until("the end", || done(&stage, "P-1") == 1);
}

/// Webhooks that came, and that nobody can be asked about: that costs them nothing, however long it takes.
#[test]
fn what_came_waits_while_its_system_does_not_answer() {
    let mut stage = Stage::unregistered(
        "integration: buyers
pattern: flow
trigger: { entity: customer, in: dynamics, rows: [created] }
steps:
  - { write: { entity: customer, to: warehouse, key: =number, set: { name: =name } } }
owner: finance-it
purpose: A test.
",
    );
    stage.start();
    stage.world.stop_dynamics();
    let url = format!("http://{}", stage.address);
    for n in 1..=2 {
        let event = serde_json::json!({
            "MessageName": "Create", "PrimaryEntityName": "account", "OperationId": uuid::Uuid::new_v4(),
            "PrimaryEntityId": format!("b5b6a2f1-0000-4000-8000-00000000000{n}"), "InputParameters": [],
        });
        assert_eq!(http_with(&url, "POST", "/webhooks/buyers", "x-hub-key: local-key\r\n", &event.to_string()), "");
    }
    stage.until("a look at them", || stage.log().contains("an event cannot be taken yet"));
    let waits = || {
        let all = stage.json(&["queue", "peek", "flows/buyers"]);
        let all =
            all.as_array().unwrap().iter().map(|one| (one["state"].to_string(), one["deliveries"].as_u64().unwrap()));
        all.collect::<Vec<_>>()
    };
    let ready = || ("\"ready\"".to_owned(), 0);
    stage.until("both, as they came", || waits() == [ready(), ready()]);
    let status = stage.say(&["status"]);
    assert!(status.contains("buyers: what came starts nothing since"), "{status}");
    let outage = &stage.json(&["status"])[0]["outages"][0];
    assert_eq!((outage["system"].as_str(), outage["to"].as_str()), (Some("dynamics"), Some("buyers")), "{outage:#}");
    // Somebody calls the flow otherwise.
    stage.kill();
    stage.world.edit("integrations/buyers.yaml", "integration: buyers", "integration: purchasers");
    let file = |name: &str| stage.world.dir.join(format!("integrations/{name}.yaml"));
    std::fs::rename(file("buyers"), file("purchasers")).unwrap();
    let status = stage.say(&["status"]);
    assert!(status.contains("Nobody delivers what waits in flows/buyers, 2 events"), "{status}");
}

/// A call for a record that is not there yet, and one that nobody needs.
#[test]
fn what_could_start_nothing_is_sent_again_or_discarded() {
    let mut stage = Stage::unregistered(
        "integration: buyers
pattern: flow
trigger: { entity: customer, in: dynamics, call: true }
steps:
  - { set: { email: =\"seen@contoso.example\" } }
owner: finance-it
purpose: A test.
",
    );
    stage.start();
    let url = format!("http://{}", stage.address);
    for number in ["C-1", "C-2"] {
        let call = format!("{{\"number\": \"{number}\"}}");
        http_with(&url, "POST", "/flows/buyers", "x-hub-key: local-key\r\nContent-Type: application/json\r\n", &call);
    }
    let letters = |state: &str| {
        let all = stage.json(&["dead-letters", "list", "--all"]);
        let all = all.as_array().unwrap().clone();
        all.into_iter().filter(|one| one["state"] == state).collect::<Vec<_>>()
    };
    stage.until("both", || letters("open").len() == 2);
    let of = |number: &str| {
        let is_of = |one: &&Json| one["what"].as_str().unwrap().ends_with(number);
        letters("open").iter().find(is_of).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let (first, second) = (of("C-1"), of("C-2"));
    // Too early: it is the same one, which is open again.
    stage.run(&["dead-letters", "retry", &first]).ok();
    stage.until("the next refusal", || {
        letters("open").iter().any(|one| one["id"] == first.as_str() && one["count"] == 2)
    });
    stage.account("C-1", "Acme", 5);
    stage.run(&["dead-letters", "retry", &first]).ok();
    stage.until("its instance", || done(&stage, "C-1") == 1 && letters("resolved").len() == 1);
    stage.run(&["dead-letters", "discard", &second, "--note", "a test"]).ok();
    assert_eq!((letters("open").len(), letters("discarded").len()), (0, 1));
}
