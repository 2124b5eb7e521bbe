//! Forms: a flow that people start, answers with fields, and what is kept of what they were shown.

use rusqlite::Connection;
use serde_json::Value as Json;

use crate::stage::Stage;
use crate::support::{http, http_with};

const FLOW: &str = "integration: buyers
pattern: flow
trigger:
  entity: customer
  in: dynamics
  started_by: [ann, bob]
  form:
    amount: { type: money, required: true, label: How much }
    kind: { type: choice, values: [new, more] }
    until: { type: date }
    urgent: { type: yes_no }
    like: { type: reference, entity: customer }
    reason: { type: multiline }
steps:
  - approve: decision
    ask: =$\"Give {name} {form.amount}?\"
    of: { one_of: [group:credit-control] }
    form:
      granted: { type: money, currency: =\"GBP\", required: true, default: =form.amount, with: approved }
      contact: { type: text, personal: true }
      why: { type: choice, values: [late, unknown], required: true, with: rejected }
    deadline: { after: 5 working days, outcome: rejected }
  - if: =decision.outcome = \"approved\"
    then: [ { write: { entity: customer, to: warehouse, key: =number, set: { credit_limit: =decision.granted } } } ]
    else: [ { set: { email: =decision.why & \"@contoso.example\" } } ]
owner: finance-it
purpose: Whoever sells asks for more.
";

fn stage() -> Stage {
    stage_of(FLOW)
}

fn stage_of(flow: &str) -> Stage {
    let stage = Stage::unregistered(flow);
    let people = "people:\n  ann: { name: (sample) first, email: ann@contoso.example }\n  bob: { name: (sample) second, email: bob@contoso.example }\n  eve: { name: (sample) third, email: eve@contoso.example }\n";
    let groups = "groups:\n  credit-control: { members: [ann, bob, eve] }\n";
    stage.world.edit("people.yaml", "groups:\n", &format!("{people}{groups}"));
    stage.sql("INSERT INTO buyers (code, title, money) VALUES ('B-1', 'Acme', '10'), ('B-2', 'Bolt', '10')");
    stage.account("B-1", "Acme", 1);
    stage.account("B-2", "Bolt", 1);
    stage
}

fn instances(stage: &Stage) -> Vec<Json> {
    stage.json(&["flow", "list", "--all"]).as_array().unwrap().clone()
}

fn question(stage: &Stage) -> Option<String> {
    let all = stage.json(&["approvals", "list"]);
    all.as_array().unwrap().iter().find(|a| a["state"] == "open").map(|a| a["id"].to_string())
}

fn asked(stage: &Stage) -> String {
    stage.until("the question", || question(stage).is_some());
    question(stage).unwrap()
}

#[test]
fn a_form_by_command_is_checked_and_its_fields_are_read_by_later_steps() {
    let mut stage = stage();
    stage.start();
    let start = |more: &[&str]| stage.say(&[&["flow", "start", "buyers", "B-1"], more].concat());
    let stranger = start(&["--by", "eve", "--field", "amount=5"]);
    assert!(stranger.contains("IB1216") && stranger.contains("ann, bob"), "{stranger}");
    let empty = start(&["--by", "ann"]);
    assert!(empty.contains("IB1215") && empty.contains("amount: it has to be filled in"), "{empty}");
    let wrong = start(&["--by", "ann", "--field", "amount=a lot", "--field", "until=2027-02-29", "--field", "so=1"]);
    for part in ["`a lot` is no amount", "`2027-02-29` is no date", "so: the form has no such field"] {
        assert!(wrong.contains(part), "no {part} in {wrong}");
    }
    let nobody = start(&["--by", "ann", "--field", "amount=5", "--field", "like=NOPE"]);
    assert!(nobody.contains("there is no customer NOPE in dynamics"), "{nobody}");
    assert_eq!(instances(&stage).len(), 0, "what is refused starts nothing");
    let json = r#"{"amount": 9000.50, "urgent": true, "like": "B-2", "reason": "a big order"}"#;
    let begun = start(&["--by", "ann@contoso.example", "--json", json, "--field", "kind=more"]);
    assert!(begun.contains("has begun"), "{begun}");
    let id = asked(&stage);
    let shown = stage.say(&["approvals", "show", &id]);
    for part in [
        "Give Acme 9000.50?",
        "form.reason: a big order",
        "form.by: ann",
        "granted (granted): money in GBP, with a yes, required",
        "9000.50 stands there at first",
        "--field granted=",
    ] {
        assert!(shown.contains(part), "no `{part}` in:\n{shown}");
    }
    // Whoever asks does not decide.
    let own = stage.say(&["approvals", "approve", &id, "--by", "ann", "--field", "granted=1"]);
    assert!(own.contains("IB") && question(&stage).is_some(), "{own}");
    let empty = stage.say(&["approvals", "approve", &id, "--by", "bob"]);
    assert!(empty.contains("IB1215") && empty.contains("granted: it has to be filled in"), "{empty}");
    let other = stage.say(&["approvals", "reject", &id, "--by", "bob", "--field", "granted=1", "--field", "why=late"]);
    assert!(other.contains("with the answer `approved` only"), "{other}");
    assert!(question(&stage).is_some(), "a mistake decides nothing");
    let said = stage.say(&[
        "approvals",
        "approve",
        &id,
        "--by",
        "bob",
        "--field",
        "granted=8500.50",
        "--field",
        "contact=Mrs Smith (sample)",
    ]);
    assert!(said.contains("Approved by bob"), "{said}");
    stage.until("the write", || stage.buyers().contains(&"B-1 Acme 8500.5".to_owned()));
    let shown = stage.say(&["approvals", "show", &id]);
    assert!(
        shown.contains("granted (with the answer): 8500.50 GBP") && shown.contains("contact (with the answer): ***"),
        "{shown}"
    );
    let instance = instances(&stage)[0]["id"].to_string();
    let shown = stage.say(&["flow", "show", &instance]);
    for part in [
        "started: amount = 9000.50, kind = more, urgent = yes",
        "answered yes: granted = 8500.50 GBP, contact = ***",
        "as shown",
    ] {
        assert!(shown.contains(part), "no `{part}` in:\n{shown}");
    }
    assert!(!shown.contains("Smith"), "{shown}");
}

/// A step reads another record of another system, for the steps after it and for whoever decides.
#[test]
fn a_step_reads_another_record() {
    let read = "  - { read: there, entity: customer, from: warehouse, key: =number }\n  - approve: decision\n    ask: =$\"Give {name} {form.amount}, which has {there.credit_limit} as {there.name}?\"\n";
    let flow = FLOW.replace("  - approve: decision\n    ask: =$\"Give {name} {form.amount}?\"\n", read);
    assert_ne!(flow, FLOW);
    let mut stage = stage_of(&flow);
    let read = "    read: { number: code, name: title, credit_limit: money }\n    write: {";
    stage.world.edit("systems/warehouse.yaml", "    write: {", read);
    stage.sql("UPDATE buyers SET title = 'Acme there', money = '12.5' WHERE code = 'B-1'");
    stage.start();
    stage.say(&["flow", "start", "buyers", "B-1", "--by", "ann", "--field", "amount=7000"]);
    let id = asked(&stage);
    let shown = stage.say(&["approvals", "show", &id]);
    for part in
        ["Give Acme 7000.00, which has 12.50 as Acme there?", "there.credit_limit: 12.50", "there.outcome: found"]
    {
        assert!(shown.contains(part), "no `{part}` in:\n{shown}");
    }
    let instance = instances(&stage)[0]["id"].to_string();
    let shown = stage.say(&["flow", "show", &instance]);
    assert!(shown.contains("read customer B-1 in warehouse"), "{shown}");
    // What was read stays what it was for those who decide, whatever becomes of it there.
    stage.sql("UPDATE buyers SET money = '99' WHERE code = 'B-1'");
    stage.say(&["approvals", "approve", &id, "--by", "bob", "--field", "granted=50"]);
    stage.until("the write", || stage.buyers().contains(&"B-1 Acme there 50".to_owned()));
    // One that is not there is no failure.
    stage.sql("DELETE FROM buyers WHERE code = 'B-2'");
    stage.say(&["flow", "start", "buyers", "B-2", "--by", "ann", "--field", "amount=7000"]);
    let id = asked(&stage);
    let shown = stage.say(&["approvals", "show", &id]);
    assert!(shown.contains("which has  as ?") && shown.contains("there.outcome: missing"), "{shown}");
}

/// What was approved is kept with a hash, and whoever changes it is found out.
#[test]
fn what_was_shown_is_kept_with_a_hash() {
    let mut stage = stage();
    stage.start();
    stage.say(&["flow", "start", "buyers", "B-2", "--by", "bob", "--field", "amount=7000"]);
    let id = asked(&stage);
    stage.say(&["approvals", "reject", &id, "--by", "eve", "--comment", "no", "--field", "why=late"]);
    stage.until("the end", || instances(&stage)[0]["state"] == "done");
    let row = stage.dynamics("GET", "accounts(accountnumber='B-2')?$select=emailaddress1", "");
    assert_eq!(row["emailaddress1"], "late@contoso.example");
    let instance = instances(&stage)[0]["id"].to_string();
    let good = stage.say(&["flow", "show", &instance, "--verify"]);
    assert!(good.contains("what is kept is what was shown"), "{good}");
    stage.kill();
    let change = |sql: &str| {
        let state = std::fs::read_dir(stage.world.dir.join(".ironbridge")).unwrap().map(|file| file.unwrap().path());
        let state = state.into_iter().find(|path| path.extension().is_some_and(|end| end == "db")).unwrap();
        Connection::open(state).unwrap().execute_batch(sql).unwrap();
    };
    change("UPDATE approval SET details = replace(details, '7000', '700')");
    let bad = stage.say(&["flow", "show", &instance, "--verify"]);
    assert!(bad.contains("IB1217") && bad.contains("is not what was shown"), "{bad}");
    assert!(stage.say(&["flow", "show", &instance]).contains("CHANGED"));
    assert!(stage.say(&["approvals", "show", &id]).contains("THIS IS NOT WHAT WAS SHOWN"));
    change("UPDATE approval SET details = replace(details, '700', '7000')");
    assert!(stage.say(&["flow", "show", &instance, "--verify"]).contains("what is kept is what was shown"));
    // With a hash that fits: the answer in the audit log had another one.
    change("UPDATE approval SET details = '{\"record\": {\"a\": 1}}', digest = '2'");
    assert!(stage.say(&["flow", "show", &instance, "--verify"]).contains("IB1217"));
}

/// The pages, as a browser without script asks for them.
#[test]
fn a_form_in_the_console_starts_one_and_another_answers() {
    let mut stage = stage();
    stage.start();
    let url = format!("http://{}", stage.address);
    let open = |path: &str| http(&url, "GET", path, "");
    let send = |path: &str, fields: &str| {
        let page = open(path);
        let token = page.split_once("name=\"form-token\" value=\"").unwrap_or_else(|| panic!("no form in {page}")).1;
        let body = format!("form-token={}&{fields}", token.split('"').next().unwrap());
        http_with(&url, "POST", path, "Content-Type: application/x-www-form-urlencoded\r\n", &body)
    };
    let path = "/integrations/buyers/start";
    assert!(open("/flows").contains(path) && open("/integrations/buyers").contains(path));
    let page = open(path);
    for part in [
        "name=\"k.number\"",
        "name=\"f.amount\"",
        "How much",
        "type=\"date\"",
        "<option value=\"more\"",
        "<textarea",
        &stage.world.typed("flow start buyers"),
    ] {
        assert!(page.contains(part), "no {part} in {page}");
    }
    let again = send(path, "by=ann&k.number=B-1&f.amount=lots&f.kind=more&f.reason=so");
    for part in
        ["`lots` is no amount", "value=\"lots\"", "value=\"B-1\"", "<option value=\"more\" selected", ">so</textarea>"]
    {
        assert!(again.contains(part), "no {part} in {again}");
    }
    assert!(send(path, "by=ann&k.number=NOPE&f.amount=5").contains("has no customer NOPE"));
    assert!(send(path, "by=eve&k.number=B-1&f.amount=5").contains("eve may not start"));
    assert_eq!(instances(&stage).len(), 0);
    send(path, "by=ann&k.number=B-1&f.amount=9000&f.urgent=no&f.until=2028-02-29");
    let id = asked(&stage);
    let approve = format!("/approvals/{id}/approve");
    let page = open(&approve);
    assert!(page.contains("name=\"f.granted\" value=\"9000.00\"") && !page.contains("f.why"), "{page}");
    assert!(open(&format!("/approvals/{id}/reject")).contains("f.why"));
    assert!(send(&approve, "by=bob&f.granted=").contains("it has to be filled in"));
    assert!(question(&stage).is_some());
    send(&approve, "by=bob&f.granted=8000");
    stage.until("the write", || stage.buyers().contains(&"B-1 Acme 8000".to_owned()));
    let page = open(&format!("/approvals/{id}"));
    assert!(page.contains("Filled in with the answer") && page.contains("as it was shown"), "{page}");
    let audit = stage.say(&["audit", "list"]);
    assert!(audit.contains("flow start") && audit.contains("approve"), "{audit}");
}

/// What another system fills in is checked before it is kept, and who it asks for does not decide.
#[test]
fn a_call_fills_the_form_in_or_hears_what_is_wrong() {
    let mut stage = stage_of(&FLOW.replace("  in: dynamics\n", "  in: dynamics\n  call: true\n"));
    stage.start();
    let url = format!("http://{}", stage.address);
    let call = |id: &str, body: &str| {
        let headers = format!("x-hub-key: local-key\r\nidempotency-key: {id}\r\nContent-Type: application/json\r\n");
        http_with(&url, "POST", "/flows/buyers", &headers, body)
    };
    let wrong = call("a", r#"{"number": "B-1", "amount": "lots", "urgent": "perhaps", "by": "eve"}"#);
    for part in ["amount: `lots` is no amount", "urgent: `perhaps` is neither", "by: it has to be whoever may start"] {
        assert!(wrong.contains(part), "no {part} in {wrong}");
    }
    // What has to be looked up is looked up afterwards, and is a dead letter where it is not there.
    let body = r#"{"number": "B-1", "amount": 9000.50, "like": "NOPE", "by": "ann@contoso.example"}"#;
    assert!(call("b", body).contains("\"b\""));
    let letters = || stage.say(&["dead-letters", "list"]);
    stage.until("a dead letter", || letters().contains("IB1215"));
    assert_eq!(instances(&stage).len(), 0, "{}", letters());
    let body = body.replace("NOPE", "B-2");
    assert!(call("c", &body).contains("\"c\"") && call("c", &body).contains("\"c\""));
    let id = asked(&stage);
    let shown = stage.say(&["approvals", "show", &id]);
    assert!(shown.contains("Give Acme 9000.50?") && shown.contains("form.by: ann"), "{shown}");
    let own = stage.say(&["approvals", "approve", &id, "--by", "ann", "--field", "granted=1"]);
    assert!(own.contains("IB") && question(&stage).is_some(), "{own}");
    let shown = stage.say(&["flow", "show", &instances(&stage)[0]["id"].to_string()]);
    assert!(shown.contains("called: amount = 9000.50, like = B-2"), "{shown}");
    assert_eq!(instances(&stage).len(), 1, "a call that is repeated starts nothing");
}
