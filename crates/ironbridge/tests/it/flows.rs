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
    stage.people(&["ann", "bob"], "  credit-control: { members: [ann, bob] }\n");
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

/// A stage on which B-1 waits for an answer about 9,000.
fn asked() -> Stage {
    let mut stage = stage();
    stage.sql("INSERT INTO buyers (code, title, money) VALUES ('B-1', 'Acme', '10')");
    stage.start();
    ready(&stage);
    stage.account("B-1", "Acme", 9_000);
    stage.until("the question", || open_approval(&stage).is_some());
    stage
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
    assert!(shown.contains("Give Acme 9000.00?") && shown.contains("ann, bob"), "{shown}");
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
    for part in
        ["asked ann, bob: Give Acme 9000.00?", "answered yes: fine", "decision is approved", "wrote credit_limit"]
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
    let mut stage = asked();
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
    let audit = stage.say(&["audit", "list"]);
    assert!(audit.contains("flow cancel") && audit.contains("not needed") && !audit.contains("flow retry"), "{audit}");
}

#[test]
fn an_instance_keeps_its_version_until_it_is_moved() {
    let mut stage = asked();
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

#[test]
fn an_instance_keeps_its_entities_where_fields_come_and_go() {
    let mut stage = asked();
    let id = open_approval(&stage).unwrap().to_string();
    stage.kill();
    // The field has another name now, and there is one more.
    stage.world.edit("integrations/buyers.yaml", "credit_limit", "highest");
    stage.world.edit("entities/customer.yaml", "credit_limit:", "site: { type: text, max_length: 100 }\n  highest:");
    stage.world.edit("systems/dynamics.yaml", "creditlimit: credit_limit", "creditlimit: highest, websiteurl: site");
    stage.world.edit("systems/warehouse.yaml", "money: credit_limit", "money: highest");
    stage.world.edit("systems/finance.yaml", "credit_limit: credit_limit", "highest: credit_limit");
    let checked = stage.say(&["check"]);
    assert!(checked.contains("in order"), "{checked}");
    stage.start();
    stage.say(&["approvals", "approve", &id, "--by", "bob"]);
    stage.until("the write", || stage.buyers().contains(&"B-1 Acme 9000".to_owned()));
    stage.until("its end", || state_of(&stage, "B-1") == "done");
    assert_eq!(instances(&stage)[0]["version"], 1);
}

#[test]
fn what_is_mapped_no_longer_does_not_count_as_written() {
    let mut stage = asked();
    let id = open_approval(&stage).unwrap().to_string();
    stage.kill();
    stage.world.edit("systems/warehouse.yaml", ", money: credit_limit", "");
    stage.world.edit("integrations/buyers.yaml", "set: { credit_limit: =credit_limit }", "set: { name: =name }");
    stage.start();
    stage.say(&["approvals", "approve", &id, "--by", "bob"]);
    stage.until("its failure", || state_of(&stage, "B-1") == "failed");
    let instance = instances(&stage)[0]["id"].to_string();
    let shown = stage.say(&["flow", "show", &instance]);
    assert!(shown.contains("IB0703") && shown.contains("`credit_limit` of `customer`"), "{shown}");
}

/// Everything that holds steps: two branches, a scope, a child flow, a wait, and a question in order.
const LONG: &str = "integration: buyers
pattern: flow
trigger: { entity: customer, in: dynamics, rows: [created], call: true, if: '=credit_limit > 0' }
steps:
  - parallel:
      left:
        - { write: { entity: customer, to: warehouse, key: =number, set: { credit_limit: =credit_limit } } }
        - { delay: 1 second }
      right:
        - { set: { email: =\"seen@contoso.example\" } }
        - { child_flow: counts, key: =number, as: counted }
  - scope: more
    steps:
      - approve: decision
        ask: =$\"More for {name}?\"
        of: { in_order: [ann, bob] }
        comment: required_to_reject
        deadline: { after: 5 working days, outcome: rejected }
      - switch: =decision.outcome
        cases:
          approved: [ { write: { entity: customer, to: warehouse, key: =number, set: { credit_limit: =credit_limit + 1 } } } ]
          rejected: [ { write: { entity: customer, to: warehouse, key: =\"nobody\", set: { credit_limit: 0 } } } ]
    if_failed: [ { set: { email: =\"failed@contoso.example\" } } ]
  - if: =more.outcome = \"done\"
    then: [ { set: { email: =counted.outcome & \"@contoso.example\" } } ]
owner: finance-it
purpose: A test.
";
const CHILD: &str = "integration: counts
pattern: flow
trigger: { entity: customer, in: dynamics, call: true }
steps:
  - { write: { entity: customer, to: warehouse, key: =number, set: { email: =\"child@contoso.example\" } } }
owner: finance-it
purpose: A test.
";

fn long_stage() -> Stage {
    let stage = Stage::unregistered(LONG);
    stage.people(&["ann", "bob", "eve"], "");
    std::fs::write(stage.world.dir.join("integrations/counts.yaml"), CHILD).unwrap();
    stage.register("Create");
    stage.sql("INSERT INTO buyers (code, title, money) VALUES ('B-1', 'Acme', '10'), ('B-2', 'Bolt', '10')");
    stage
}

fn instance_of(stage: &Stage, flow: &str, key: &str) -> Option<Json> {
    instances(stage).into_iter().find(|instance| instance["flow"] == flow && instance["key"] == key)
}

fn ended(stage: &Stage, key: &str) -> bool {
    instance_of(stage, "buyers", key).is_some_and(|instance| instance["state"] == "done")
}

/// Answers the question that stands, as soon as it is put.
fn answered(stage: &Stage, by: &str, how: &str, why: &[&str]) -> String {
    stage.until("the question", || open_approval(stage).is_some());
    let id = open_approval(stage).unwrap().to_string();
    stage.say(&[&["approvals", how, &id, "--by", by], why].concat())
}

#[test]
fn a_long_flow_that_is_killed_again_and_again_does_each_step_once() {
    let mut stage = long_stage();
    stage.start();
    ready(&stage);
    stage.kill();
    stage.account("B-1", "Acme", 9_000);
    let kill_at = |stage: &mut Stage, failpoint: &str| {
        stage.start_until_ready(failpoint);
        let begun = std::time::Instant::now();
        let patience = std::time::Duration::from_secs(3);
        while stage.up.as_mut().is_some_and(|up| up.try_wait().unwrap().is_none()) && begun.elapsed() < patience {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        stage.kill();
    };
    for n in 1..=6 {
        kill_at(&mut stage, &format!("commit.before@{}=abort", 2 * n));
        kill_at(&mut stage, &format!("commit.after@{}=abort", 2 * n + 1));
        kill_at(&mut stage, if n % 2 == 0 { "sink.before@1=abort" } else { "sink.after@1=abort" });
    }
    stage.start();
    let early = answered(&stage, "bob", "approve", &[]);
    assert!(early.contains("it is the turn of ann"), "{early}");
    answered(&stage, "ann", "approve", &[]);
    stage.kill();
    for failpoint in ["commit.before@2=abort", "sink.after@1=abort", "commit.after@4=abort"] {
        kill_at(&mut stage, failpoint);
    }
    stage.start();
    let silent = answered(&stage, "bob", "reject", &[]);
    assert!(silent.contains("--comment WHY"), "{silent}");
    answered(&stage, "bob", "approve", &[]);
    stage.until("the end", || ended(&stage, "B-1"));
    assert!(stage.buyers().contains(&"B-1 Acme 9001".to_owned()), "{:?}", stage.buyers());
    assert_eq!(email(&stage, "B-1"), "done@contoso.example");
    // One insert of the test, two writes of the flow, one of its child.
    assert_eq!(stage.effects("B-1"), 4);
    let children: Vec<Json> = instances(&stage).into_iter().filter(|instance| instance["flow"] == "counts").collect();
    assert_eq!(children.len(), 1, "{children:?}");
    let id = instance_of(&stage, "buyers", "B-1").unwrap()["id"].to_string();
    let shown = stage.json(&["flow", "show", &id]);
    let steps: Vec<String> = shown["steps"].as_array().unwrap().iter().map(|step| step["what"].to_string()).collect();
    for (what, expected) in [
        // The address that was seen, and the one of the end; it is personal.
        ("set email = ***", 2),
        ("wrote credit_limit = 9000.00", 1),
        ("wrote credit_limit = 9001.00", 1),
        ("began counts", 1),
        ("counts is done", 1),
        ("waited", 1),
    ] {
        let times = steps.iter().filter(|step| step.contains(what)).count();
        assert_eq!(times, expected, "`{what}` {times} times in {steps:#?}");
    }
    let picture = stage.say(&["flow", "show", &id, "--svg"]);
    assert!(picture.starts_with("<svg") && picture.contains("in order ann, bob"), "{picture}");
}

#[test]
fn a_scope_goes_on_a_step_is_skipped_and_a_call_starts_one() {
    let mut stage = long_stage();
    stage.start();
    ready(&stage);
    stage.account("B-2", "Bolt", 8_000);
    let said = stage.say(&["approvals", "away", "ann", "--until", "2099-01-01", "--stand-in", "eve"]);
    assert!(said.contains("eve is asked instead of ann"), "{said}");
    assert!(stage.say(&["approvals", "away"]).contains("eve"));
    let other = answered(&stage, "ann", "reject", &["--comment", "no"]);
    assert!(other.contains("was not asked") && other.contains("--by eve"), "{other}");
    answered(&stage, "eve", "reject", &["--comment", "too much"]);
    // The write for a record that is not there fails for good; the scope goes on.
    stage.until("the end", || ended(&stage, "B-2"));
    assert_eq!(email(&stage, "B-2"), "failed@contoso.example");
    let id = instance_of(&stage, "buyers", "B-2").unwrap()["id"].to_string();
    let shown = stage.say(&["flow", "show", &id]);
    assert!(shown.contains("IB1204") && shown.contains("goes on with `if_failed`"), "{shown}");

    // A call, which is repeated with the same key, starts one; without a good key nobody learns what there is.
    let post = |key: &str, body: &str| {
        let headers = format!("x-hub-key: {key}\r\nidempotency-key: call-1\r\nContent-Type: application/json\r\n");
        crate::support::http_with(&format!("http://{}", stage.address), "POST", "/flows/counts", &headers, body)
    };
    assert!(post("wrong", "{}").contains("no flow of this name takes this key"));
    assert!(post("local-key", "{}").contains("the key of the record: number"), "{}", post("local-key", "{}"));
    stage.account("B-9", "Not in the warehouse", 1);
    let account = |key: &str| format!("{{\"number\": \"{key}\"}}");
    for _ in 0..2 {
        assert!(post("local-key", &account("B-9")).contains("call-1"));
    }
    let of = |stage: &Stage| instance_of(stage, "counts", "B-9").unwrap_or_default();
    stage.until("the failure", || of(&stage)["state"] == "failed");
    assert_eq!(instances(&stage).iter().filter(|one| one["flow"] == "counts" && one["key"] == "B-9").count(), 1);
    let id = of(&stage)["id"].to_string();
    let status = stage.say(&["status"]);
    assert!(status.contains(&format!("counts: instance {id} cannot go on since ")), "{status}");
    assert!(status.contains(&format!("  do: {}", stage.world.typed(&format!("flow show {id}")))), "{status}");
    assert!(stage.say(&["flow", "show", &id]).contains("flow skip"));
    let said = stage.say(&["flow", "skip", &id, "--why", "done by hand"]);
    assert!(said.contains("goes on with the next step"), "{said}");
    stage.until("the end of the call", || of(&stage)["state"] == "done");
    assert!(stage.say(&["flow", "show", &id]).contains("skipped steps[0]: done by hand"));
    let counted = stage.say(&["show", "buyers", "--svg"]);
    assert!(counted.contains("The steps of buyers"), "{counted}");
}

#[test]
fn a_link_opens_a_page_and_only_what_is_sent_from_there_decides() {
    let mut stage = stage();
    stage.sql("INSERT INTO buyers (code, title, money) VALUES ('B-1', 'Acme', '10')");
    stage.start();
    ready(&stage);
    stage.account("B-1", "Acme <b>", 9_000);
    stage.until("the question", || open_approval(&stage).is_some());
    let instance = store::flows::InstanceId(instances(&stage)[0]["id"].as_i64().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let links = runtime.block_on(async {
        let store = store::Store::open(stage.world.dir.join(".ironbridge"), store::Options::default()).unwrap();
        hub::flows::links::Links::of(&store).await.unwrap()
    });
    let token = |person: &str, until: &str| {
        let (flow, decision, person) = ("buyers".to_owned(), "decision".to_owned(), person.to_owned());
        links.token(&hub::flows::links::Link { flow, instance, decision, person, until: until.parse().unwrap() })
    };
    let url = format!("http://{}", stage.address);
    let open = |token: &str| crate::support::http(&url, "GET", &format!("/answer/{token}"), "");
    let send = |token: &str, body: &str| {
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        crate::support::http_with(&url, "POST", &format!("/answer/{token}"), form, body)
    };
    let asked = open_approval(&stage).unwrap();
    let mine = token("ann", "2099-01-01T00:00:00Z");
    for _ in 0..3 {
        let page = open(&mine);
        assert!(page.contains("Give Acme &lt;b&gt; 9000.00?") && page.contains("You answer as ann"), "{page}");
    }
    assert!(open_approval(&stage).is_some(), "opening decides nothing");
    assert!(open(&token("ann", "2020-01-01T00:00:00Z")).contains("The time to answer is over"));
    let forged = format!("0{mine}");
    assert!(open(&forged).contains("It was not made here"));
    let (middle, mut forged) = (mine.len() / 2, mine.clone());
    let other = if mine[middle..].starts_with('0') { "1" } else { "0" };
    forged.replace_range(middle..=middle, other);
    assert!(open(&forged).contains("It was not made here"), "one letter is another");
    // Whether this person may is asked when it is sent.
    let answer = |body: &str| format!("asked={asked}&{body}");
    let stranger = send(&token("eve", "2099-01-01T00:00:00Z"), &answer("answer=yes"));
    assert!(stranger.contains("This is for ann, bob"), "{stranger}");
    assert!(send(&mine, &answer("answer=maybe")).contains("Nothing was decided"));
    // A page that was open before the question was asked again shows what is not asked any more.
    let before = send(&mine, "asked=0&answer=yes");
    assert!(before.contains("this is asked by now") && before.contains("Give Acme &lt;b&gt; 9000.00?"), "{before}");
    assert!(open(&mine).contains(&format!("name=\"asked\" value=\"{asked}\"")), "the page says what it asks");
    let said = send(&mine, &answer("answer=yes&comment=by+phone"));
    assert!(said.contains("You said yes"), "{said}");
    for late in [open(&mine), send(&token("bob", "2099-01-01T00:00:00Z"), "answer=no")] {
        assert!(late.contains("It was already decided by ann on 20"), "{late}");
    }
    stage.until("the write", || stage.buyers().iter().any(|buyer| buyer.ends_with("9000")));
    let audit = stage.say(&["audit", "list"]);
    assert!(audit.contains("link") && audit.contains("by phone"), "{audit}");
}
