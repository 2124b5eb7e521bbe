//! Events that come too late or too early: overtaken by newer ones, and ahead of the row that they point to.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::stage::{EVENTS, Stage};
use crate::support::http_with;

const KEYED: &str = "webhooks: { header: x-hub-key, keys: [\"${env:HOOK_KEY}\"] }\nowner:";

pub fn post(stage: &Stage, event: &Json) {
    let url = format!("http://{}", stage.address);
    let refused = http_with(&url, "POST", "/webhooks/buyers", "x-hub-key: local-key\r\n", &event.to_string());
    assert_eq!(refused, "");
}

/// A stage where the finance system posts its customers as they are.
pub fn posted(events: &str) -> Stage {
    let events = events
        .replace("from: dynamics", "from: finance")
        .replace(", columns: [name, creditlimit, emailaddress1], if: '=credit_limit > 0'", "");
    let stage = Stage::with(&format!("{events}payload: as_sent\n"));
    stage.world.edit("systems/finance.yaml", "owner:", KEYED);
    stage
}

pub fn customer(number: &str, name: &str, parent: Option<&str>, changed: &str) -> Json {
    json!({ "customer_no": number, "company_name": name, "contact_email": null, "credit_limit": "5.00",
            "terms_code": "30", "parent_no": parent, "updated_at": format!("2026-11-26T09:00:0{changed}Z") })
}

#[test]
fn what_something_newer_has_overtaken_changes_nothing() {
    let mut stage = posted(EVENTS);
    stage.start();
    post(&stage, &customer("C-1", "Second", None, "2"));
    stage.until("the row", || stage.buyers() == ["C-1 Second 5"]);
    post(&stage, &customer("C-1", "First", None, "1"));
    stage.until("the story of the late one", || {
        stage.say(&["trace", "customer", "C-1"]).contains("older than what was delivered")
    });
    // The same content under a newer version: nothing is written, and what lies between is late from now on.
    post(&stage, &customer("C-1", "Second", None, "8"));
    stage.until("quiet", || stage.waiting() == 0);
    post(&stage, &customer("C-1", "Between", None, "5"));
    post(&stage, &customer("C-2", "Other", None, "1"));
    stage.until("the other row", || stage.buyers().len() == 2 && stage.waiting() == 0);
    assert_eq!(stage.buyers()[0], "C-1 Second 5");
    post(&stage, &customer("C-1", "Third", None, "9"));
    stage.until("the newest", || stage.buyers()[0] == "C-1 Third 5");
    assert_eq!(stage.effects("C-1"), 2);
}

/// Nobody gives these events an id, and the warehouse notes what each has done.
#[test]
fn a_row_that_is_said_to_be_again_what_it_was_is_written_again() {
    let mut stage = posted(EVENTS);
    stage.start();
    for (changed, name) in ["First", "Second", "First", "Second"].into_iter().enumerate() {
        post(&stage, &customer("C-1", name, None, &changed.to_string()));
        stage.until(name, || stage.buyers() == [format!("C-1 {name} 5")]);
    }
}

#[test]
fn a_late_context_of_dynamics_has_the_row_read_as_it_is() {
    let events = EVENTS.replace(", columns: [name, creditlimit, emailaddress1], if: '=credit_limit > 0'", "");
    let mut stage = Stage::with(&format!("{events}payload: as_sent\n"));
    stage.world.edit("systems/dynamics.yaml", "    both:", "    read: { changed_at: modifiedon }\n    both:");
    stage.start();
    stage.account("C-1", "Now", 7);
    stage.until("the row", || stage.buyers() == ["C-1 Now 7"]);
    let id = stage.id_of("accounts", "accountid", "accountnumber eq 'C-1'");
    let late = |operation: &str, name: &str, email: &str| {
        let attributes = json!([{ "key": "name", "value": name }, { "key": "emailaddress1", "value": email },
            { "key": "accountnumber", "value": "C-1" }, { "key": "modifiedon", "value": "/Date(1500000000000)/" }]);
        json!({ "MessageName": "Update", "PrimaryEntityName": "account", "PrimaryEntityId": id, "OperationId": operation,
                "InputParameters": [{ "key": "Target", "value": { "Attributes": attributes, "LogicalName": "account" } }] })
    };
    // An event of 2017, about a name that was given up long ago.
    post(&stage, &late("late-1", "Long ago", "old@contoso.example"));
    stage.until("quiet", || stage.waiting() == 0);
    assert_eq!((stage.buyers(), stage.effects("C-1")), (vec!["C-1 Now 7".to_owned()], 1));
    // What it says besides may be news: here nobody was told of the mail address.
    let quiet = "MSCRM.BypassBusinessLogicExecution: CustomSync,CustomAsync\r\n";
    let path = format!("/api/data/v9.2/accounts({id})");
    http_with(&stage.world.url, "PATCH", &path, quiet, r#"{"emailaddress1": "new@contoso.example"}"#);
    post(&stage, &late("late-2", "Long ago", "old@contoso.example"));
    stage.until("the address", || stage.texts("SELECT coalesce(mail, '') FROM buyers") == ["new@contoso.example"]);
    assert_eq!(stage.buyers(), ["C-1 Now 7"]);
}

#[test]
fn a_row_that_waits_for_another_goes_on_as_soon_as_that_one_is_written() {
    let mut stage =
        posted(&EVENTS.replace("to: [warehouse]", "to: [dynamics]\nretry: { for: 10 minutes, then: dead_letter }"));
    stage.world.edit("systems/dynamics.yaml", "both: {", "both: { parentaccountid: parent,");
    stage.start();
    let accounts = || {
        let found =
            stage.dynamics("GET", "accounts?$select=accountnumber&$expand=parentaccountid($select=accountnumber)", "");
        let shown = |row: &Json| {
            format!("{}>{}", row["accountnumber"], row["parentaccountid"]["accountnumber"]).replace('"', "")
        };
        let mut all: Vec<String> = found["value"].as_array().unwrap().iter().map(shown).collect();
        all.sort();
        all
    };
    post(&stage, &customer("C-2", "Child", Some("C-1"), "1"));
    // It is looked for after one, two, four seconds; then not for another eight.
    let looked = || {
        let peeked = stage.json(&["queue", "peek", "buyers"]);
        peeked.as_array().unwrap().first().and_then(|message| message["deliveries"].as_u64()).unwrap_or_default()
    };
    stage.until("three looks in vain", || looked() == 4);
    let begun = Instant::now();
    post(&stage, &customer("C-1", "Parent", None, "1"));
    stage.until("both", || accounts() == ["C-1>null", "C-2>C-1"]);
    assert!(begun.elapsed() < Duration::from_secs(5), "it was woken: {:?}", begun.elapsed());
    assert!(stage.say(&["trace", "customer", "C-2"]).contains("waits"));
}
