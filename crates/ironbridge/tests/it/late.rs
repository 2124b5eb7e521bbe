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

/// An order comes before the product in one of its lines.
#[test]
fn an_order_waits_for_what_its_lines_point_to() {
    let mut stage = posted(&EVENTS.replace("entity: customer", "entity: order").replace("[warehouse]", "[dynamics]"));
    let write = |file: &str, text: &str| std::fs::write(stage.world.dir.join(file), text).unwrap();
    let number = "{ type: text, max_length: 20 }";
    write("entities/product.yaml", &format!("entity: product\nkey: number\nfields:\n  number: {number}\n"));
    write(
        "entities/order.yaml",
        &format!(
            "entity: order\nkey: number\nfields:\n  number: {number}\n  lines: {{ type: lines, key: line_no, fields: {{ line_no: {{ type: whole_number }}, product: {{ type: reference, entity: product }} }} }}\n"
        ),
    );
    let shop = "system: finance
kind: rest
owner: finance-it
connection: { url: \"http://127.0.0.1:9\" }
webhooks: { header: x-hub-key, keys: [\"${env:HOOK_KEY}\"] }
entities:
  product: { columns: { sku: text }, read: { number: sku } }
  order:
    columns: { number: text }
    read: { number: number, lines: { each: items, read: { line_no: no, product: sku } } }
";
    write("systems/finance.yaml", shop);
    let takes = "  product: { table: product, alternate_key: productnumber, write: { productnumber: number, name: number } }
  order:
    table: salesorder
    alternate_key: ordernumber
    write: { ordernumber: number, name: number, salesorderdetail: { each: lines, parent: salesorderid, write: { lineitemnumber: line_no, productid: product } } }
";
    stage.world.edit("systems/dynamics.yaml", "entities:\n", &format!("entities:\n{takes}"));
    let events = std::fs::read_to_string(stage.world.dir.join("integrations/buyers.yaml")).unwrap();
    write(
        "integrations/goods.yaml",
        &events.replace("integration: buyers", "integration: goods").replace("entity: order", "entity: product"),
    );
    stage.start();
    post(&stage, &json!({ "number": "O-1", "items": [{ "no": 1, "sku": "P-1" }] }));
    let looked = || stage.json(&["queue", "peek", "buyers"])[0]["deliveries"].as_u64();
    stage.until("three looks in vain", || looked() == Some(4));
    assert_eq!(stage.json(&["dead-letters", "list"]), json!([]));
    let url = format!("http://{}", stage.address);
    let begun = Instant::now();
    http_with(&url, "POST", "/webhooks/goods", "x-hub-key: local-key\r\n", r#"{ "sku": "P-1" }"#);
    let lines =
        || stage.dynamics("GET", "salesorderdetails?$expand=productid($select=productnumber)", "")["value"].clone();
    stage.until("its line", || lines()[0]["productid"]["productnumber"] == "P-1");
    assert!(begun.elapsed() < Duration::from_secs(4), "it was woken: {:?}", begun.elapsed());
}

#[test]
fn an_event_that_does_not_say_its_lines_is_no_order_without_any() {
    let mut stage = posted(&EVENTS.replace("entity: customer", "entity: order"));
    let entity = "entity: order
key: number
fields:
  number: { type: text, max_length: 20 }
  lines:  { type: lines, key: line_no, fields: { line_no: { type: whole_number }, product: { type: text, max_length: 40 } } }
";
    std::fs::write(stage.world.dir.join("entities/order.yaml"), entity).unwrap();
    let shop = "system: finance
kind: rest
owner: finance-it
connection: { url: \"http://127.0.0.1:9\" }
webhooks: { header: x-hub-key, keys: [\"${env:HOOK_KEY}\"] }
entities:
  order:
    columns: { number: text }
    read: { number: number, lines: { each: basket.items, read: { line_no: no, product: sku } } }
";
    std::fs::write(stage.world.dir.join("systems/finance.yaml"), shop).unwrap();
    let takes = "  order:
    table: orders
    alternate_key: number
    write: { number: number, order_lines: { each: lines, parent: number, write: { line_no: line_no, sku: product } } }
";
    stage.world.edit("systems/warehouse.yaml", "entities:\n", &format!("entities:\n{takes}"));
    stage.sql(
        "CREATE TABLE orders (number TEXT PRIMARY KEY);
         CREATE TABLE order_lines (number TEXT, line_no INTEGER, sku TEXT, UNIQUE (number, line_no));",
    );
    stage.start();
    post(
        &stage,
        &json!({ "number": "A", "basket": { "items": [{ "no": 1, "sku": "P-1" }, { "no": 2, "sku": "P-2" }] } }),
    );
    post(&stage, &json!({ "number": "B" }));
    post(&stage, &json!({ "number": "C", "basket": { "items": "P-1" } }));
    post(&stage, &json!({ "number": "D", "basket": { "items": null } }));
    post(&stage, &json!({ "number": "E", "basket": { "items": [] } }));
    stage.until("the end", || stage.texts("SELECT number FROM orders").len() == 3 && stage.waiting() == 0);
    assert_eq!(stage.texts("SELECT number FROM orders ORDER BY number"), ["A", "D", "E"]);
    assert_eq!(stage.texts("SELECT number || ' ' || sku FROM order_lines ORDER BY line_no"), ["A P-1", "A P-2"]);
    let told: Vec<String> = stage
        .json(&["dead-letters", "list"])
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {}", one["key"].as_str().unwrap(), one["what"].as_str().unwrap()))
        .collect();
    assert!(told.iter().any(|one| one.starts_with("B ") && one.contains("it has no `basket.items`")), "{told:?}");
    assert!(told.iter().any(|one| one.starts_with("C ") && one.contains("is no list of lines")), "{told:?}");
}

#[test]
fn a_list_that_somebody_sends_is_sent_whole() {
    let mut stage = posted(EVENTS);
    let file = stage.world.dir.join("events.json");
    let list = json!([customer("C-1", "First", None, "1"), customer("C-2", "Second", None, "1")]);
    std::fs::write(&file, list.to_string()).unwrap();
    let said = stage.say(&["queue", "send", "buyers", file.to_str().unwrap()]);
    assert!(said.contains("sent to buyers: 2 messages"), "{said}");
    std::fs::write(&file, "[1]").unwrap();
    let said = stage.say(&["queue", "send", "buyers", file.to_str().unwrap()]);
    assert!(said.contains("IB0002") && said.contains("a JSON object for each of them"), "{said}");
    stage.start();
    stage.until("both", || stage.buyers() == ["C-1 First 5", "C-2 Second 5"]);
}

/// The row is not there when it is asked for: nothing is delivered, and its story says so.
#[test]
fn an_event_of_a_row_that_is_not_there_is_told_by_its_key() {
    let mut stage = posted(EVENTS);
    stage.world.edit("integrations/buyers.yaml", "payload: as_sent", "payload: fetch");
    stage.start();
    post(&stage, &json!({ "customer_no": "C-9" }));
    stage.until("its end", || stage.say(&["trace", "customer", "C-9"]).contains("the row is gone"));
}
