//! Events from Dynamics to another system: through outages, kills and bad rows, each row as it is now, once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::services::in_front_of;
use crate::stage::{ERP, EVENTS, Stage, to_the_erp};
use crate::support::http;

#[test]
fn reach_the_other_system_as_rows_are_now_and_only_those_that_the_trigger_wants() {
    let mut stage = Stage::new();
    let checked = stage.say(&["check", "--online"]);
    assert!(checked.contains("buyers: fits its systems"), "{checked}");
    assert!(stage.say(&["run", "buyers"]).contains("has no runs"));
    assert!(stage.say(&["runs"]).contains("Nothing has run yet"), "{}", stage.say(&["runs"]));
    assert!(checked.contains("attempts over") && checked.contains("then a dead letter"), "{checked}");
    stage.start();
    stage.account("C-1", "Acme", 100);
    stage.account("C-2", "No credit", 0);
    stage.until("the new row", || stage.buyers() == ["C-1 Acme 100"]);
    stage.account("C-1", "Acme Ltd", 200);
    stage.until("the change", || stage.buyers() == ["C-1 Acme Ltd 200"]);
    // A column that the trigger does not name.
    stage.dynamics("PATCH", "accounts(accountnumber='C-1')", r#"{"description": "x"}"#);
    // The same content once more: an echo, or a user who saves without a change.
    stage.account("C-1", "Acme Ltd", 200);
    stage.account("C-3", "Last", 1);
    stage.until("the last row", || stage.buyers().len() == 2 && stage.waiting() == 0);
    assert_eq!((stage.effects("C-1"), stage.effects("C-2")), (2, 0));
    assert!(stage.say(&["status"]).contains("nothing waits"), "{}", stage.say(&["status"]));
}

#[test]
fn wait_while_the_hub_or_the_destination_is_down_and_then_come_once_each() {
    let mut stage = Stage::new();
    stage.start();
    stage.account("C-1", "Before", 1);
    stage.until("the first row", || stage.buyers().len() == 1);
    // The warehouse is gone: nothing gets through, nothing is given up on, and status says so.
    let (there, away) = (stage.warehouse(), stage.warehouse().with_extension("away"));
    std::fs::rename(&there, &away).unwrap();
    for number in 2..8 {
        stage.account(&format!("C-{number}"), "During", number);
    }
    stage.until("the outage", || {
        let status = stage.say(&["status"]);
        status.contains("warehouse down since") && stage.waiting() == 6
    });
    assert_eq!(stage.json(&["dead-letters", "list"]), Json::Array(Vec::new()));
    let peeked = stage.json(&["queue", "peek", "buyers"]);
    assert!(peeked.as_array().unwrap().iter().all(|m| m["deliveries"] == 0), "{peeked:#}");
    // kill -9 in the middle of it loses nothing either.
    stage.kill();
    stage.start();
    std::fs::rename(&away, &there).unwrap();
    stage.until("the rest", || stage.buyers().len() == 7 && stage.waiting() == 0);
    for number in 1..8 {
        assert_eq!(stage.effects(&format!("C-{number}")), 1);
    }
    stage.until("the end of the outage", || !stage.say(&["status"]).contains("down"));
}

#[test]
fn what_asks_nobody_says_nothing_of_an_outage() {
    use emulator::samples::erp::Trouble;
    let (mut stage, _runtime, erp) = to_the_erp(&EVENTS.replace("hold_key", "hold_key\nretry: { for: 2 seconds }"));
    stage.start();
    stage.account("C-1", "First", 1);
    stage.until("the row", || erp.rows().len() == 1 && stage.waiting_for("erp") == 0);
    erp.trouble(Trouble::Down);
    stage.account("C-1", "Second", 1);
    stage.until("the outage", || stage.say(&["status"]).contains("erp down since"));
    // Rows come that the trigger does not want, one after the other: the ERP is not asked about them.
    for number in 0..20 {
        stage.account(&format!("N-{number}"), "No credit", 0);
        std::thread::sleep(Duration::from_millis(500));
    }
    stage.until("the others", || stage.waiting_for("erp") == 1);
    assert!(!stage.log().contains("takes events again"), "{}", stage.log());
    let peeked = stage.json(&["queue", "peek", "buyers"]);
    assert_eq!(peeked[0]["deliveries"], 0, "waiting costs nothing: {peeked:#}");
    assert_eq!(stage.json(&["dead-letters", "list"]), Json::Array(Vec::new()));
    erp.trouble(Trouble::None);
    stage.until("the row", || erp.rows()[0]["name"] == "Second" && stage.waiting_for("erp") == 0);
    stage.until("the end of the outage", || !stage.say(&["status"]).contains("down"));
}

#[test]
fn an_outage_of_the_source_is_not_told_of_the_destination() {
    let mut stage = Stage::new();
    stage.start();
    stage.account("C-1", "Before", 1);
    stage.until("the first row", || stage.buyers().len() == 1);
    stage.say(&["pause", "buyers", "--note", "a test"]);
    stage.account("C-2", "During", 1);
    stage.until("its event", || stage.waiting() == 1);
    stage.world.stop_dynamics();
    stage.say(&["resume", "buyers"]);
    stage.until("the outage", || stage.say(&["status"]).contains("dynamics down since"));
    let outage = &stage.json(&["status"])[0]["outages"][0];
    assert_eq!((outage["system"].as_str(), outage["to"].as_str()), (Some("dynamics"), Some("warehouse")), "{outage:#}");
    assert!(outage["what"].as_str().unwrap().contains("`dynamics` cannot be reached"), "{outage:#}");
}

#[test]
fn an_outage_ends_with_what_it_held_back() {
    let mut stage = Stage::new();
    let (there, away) = (stage.warehouse(), stage.warehouse().with_extension("away"));
    std::fs::rename(&there, &away).unwrap();
    stage.start();
    stage.account("C-1", "During", 1);
    stage.until("the outage", || stage.say(&["status"]).contains("warehouse down since"));
    // It is purged under its lock, and released into nothing; or between two probes.
    stage.until("an empty queue", || {
        stage.say(&["queue", "purge", "buyers", "--yes"]);
        stage.waiting() == 0
    });
    stage.until("the end of the outage", || !stage.say(&["status"]).contains("down"));
    std::fs::rename(&away, &there).unwrap();
}

#[test]
fn a_row_that_the_other_side_does_not_permit_is_a_dead_letter_once_others_get_through() {
    let (mut stage, _runtime, erp) = to_the_erp(EVENTS);
    stage.start();
    stage.account("C-1", "Sealed", 1);
    stage.until("the outage", || stage.say(&["status"]).contains("erp down since"));
    stage.account("C-2", "Open", 1);
    stage.account("C-3", "Open too", 1);
    stage.until("those behind it", || erp.rows().len() == 2);
    stage.until("its dead letter", || stage.json(&["dead-letters", "list"]).as_array().unwrap().len() == 1);
    let letter = stage.json(&["dead-letters", "list"])[0].clone();
    assert_eq!((letter["key"].as_str(), letter["code"].as_str()), (Some("C-1"), Some("IB0503")), "{letter:#}");
    stage.until("quiet", || stage.waiting_for("erp") == 0 && !stage.say(&["status"]).contains("down"));
}

/// Its database is being restored, and the server before it answers 500 to whatever comes.
#[test]
fn a_side_that_fails_at_every_row_is_down_and_costs_no_event() {
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::services::{ok, serve};
    let (broken, written) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(BTreeSet::new())));
    let (is_broken, rows) = (broken.clone(), written.clone());
    let (url, _) = serve(move |asked| match (is_broken.load(Ordering::SeqCst), asked.method.as_str()) {
        (true, _) => (500, String::new(), "no database".to_owned()),
        (false, "GET") => ok(serde_json::json!([])),
        (false, _) => {
            rows.lock().unwrap().insert(asked.body.clone());
            ok(serde_json::json!({ "id": 7 }))
        }
    });
    let (mut stage, _runtime, _erp) = to_the_erp(&EVENTS.replace("hold_key", "hold_key\nretry: { for: 2 seconds }"));
    std::fs::write(stage.world.dir.join("systems/erp.yaml"), ERP.replace("URL", &url)).unwrap();
    stage.start();
    stage.say(&["pause", "buyers", "--note", "until all are there"]);
    for number in 1..=5 {
        stage.account(&format!("C-{number}"), "Acme", number);
    }
    stage.until("all of them", || stage.waiting_for("erp") == 5);
    stage.say(&["resume", "buyers"]);
    stage.until("the outage", || stage.say(&["status"]).contains("erp down since"));
    // Longer than any of them is tried by itself.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(stage.json(&["dead-letters", "list"]), Json::Array(Vec::new()));
    broken.store(false, Ordering::SeqCst);
    stage.until("the rest", || written.lock().unwrap().len() == 5 && stage.waiting_for("erp") == 0);
    stage.until("the end of the outage", || !stage.say(&["status"]).contains("down"));
    assert_eq!(stage.json(&["dead-letters", "list"]), Json::Array(Vec::new()));
}

#[test]
fn a_kill_between_the_effect_and_its_record_writes_nothing_twice() {
    let mut stage = Stage::new();
    stage.start_with("sink.after=abort");
    stage.account("C-1", "Acme", 100);
    let begun = Instant::now();
    while stage.up.as_mut().unwrap().try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the failpoint was never reached");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((stage.effects("C-1"), stage.waiting()), (1, 1));
    stage.kill();
    stage.start();
    // The lock of the dead process has to run out; then the row is found as it should be.
    let begun = Instant::now();
    while stage.waiting() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(90), "{}", stage.say(&["queue", "list"]));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(stage.effects("C-1"), 1);
}

#[test]
fn a_bad_row_is_a_dead_letter_that_holds_its_later_events_until_somebody_retries_it() {
    let mut stage = Stage::new();
    stage.sql("CREATE TRIGGER refuse BEFORE INSERT ON buyers WHEN new.title = 'Poison' BEGIN SELECT raise(ABORT, 'unknown code'); END;");
    stage.start();
    stage.account("C-1", "Poison", 1);
    stage.until("the dead letter", || stage.json(&["dead-letters", "list"]).as_array().unwrap().len() == 1);
    let letter = stage.json(&["dead-letters", "list"])[0].clone();
    assert_eq!((letter["key"].as_str(), letter["kind"].as_str()), (Some("C-1"), Some("message")), "{letter:#}");
    assert!(letter["why"].as_str().unwrap().contains("unknown code"), "{letter:#}");
    // What comes later for this row waits; other rows pass.
    stage.account("C-1", "Better", 2);
    stage.account("C-2", "Other", 3);
    stage.until("the other row", || stage.buyers() == ["C-2 Other 3"] && stage.waiting() == 1);
    // A retry reads the row as it is now, and what it held goes on.
    let id = letter["id"].as_str().unwrap();
    let said = stage.say(&["dead-letters", "retry", &id[..8], "--note", "the code is known now"]);
    assert!(said.contains("sent again to warehouse"), "{said}");
    stage.until("the held row", || stage.buyers().len() == 2 && stage.waiting() == 0);
    assert_eq!((stage.buyers()[0].as_str(), stage.effects("C-1")), ("C-1 Better 2", 1));
    let shown = stage.json(&["dead-letters", "show", id]);
    assert_eq!(shown["state"], "resolved", "{shown:#}");
    // A discarded one lets its row go on too.
    stage.account("C-3", "Poison", 1);
    stage.until("the next dead letter", || stage.json(&["dead-letters", "list"]).as_array().unwrap().len() == 1);
    stage.account("C-3", "Fine", 1);
    stage.until("the held event", || stage.waiting() == 1);
    let id = stage.json(&["dead-letters", "list"])[0]["id"].as_str().unwrap().to_owned();
    stage.say(&["dead-letters", "discard", &id]);
    stage.until("the row", || stage.buyers().len() == 3 && stage.waiting() == 0);
    let again = stage.say(&["dead-letters", "retry", &id]);
    assert!(again.contains("is discarded by") && again.contains("already"), "{again}");
}

#[test]
fn what_was_purged_from_behind_a_dead_letter_is_not_missed() {
    let mut stage = Stage::new();
    stage.sql("CREATE TRIGGER refuse BEFORE INSERT ON buyers WHEN new.title = 'Poison' BEGIN SELECT raise(ABORT, 'unknown code'); END;");
    stage.start();
    stage.account("C-1", "Poison", 1);
    stage.until("the dead letter", || stage.json(&["dead-letters", "list"]).as_array().unwrap().len() == 1);
    stage.account("C-1", "Better", 2);
    stage.until("the held event", || stage.waiting() == 1);
    let refused = stage.run(&["queue", "purge", "buyers"]);
    assert!(refused.code == Some(1) && refused.err.contains("[IB0021]"), "{refused:#?}");
    assert!(refused.err.contains("everything that waits"), "{refused:#?}");
    assert!(stage.say(&["queue", "purge", "buyers", "--yes"]).contains("1 message"));
    let id = stage.json(&["dead-letters", "list"])[0]["id"].as_str().unwrap().to_owned();
    stage.say(&["dead-letters", "retry", &id]);
    stage.until("the row as it is", || stage.buyers() == ["C-1 Better 2"] && stage.waiting() == 0);
    stage.account("C-1", "Best", 3);
    stage.until("what came later", || stage.buyers() == ["C-1 Best 3"] && stage.waiting() == 0);
}

#[test]
fn what_had_no_webhook_is_found_by_change_tracking_and_what_had_one_is_not_sent_again() {
    let mut stage = Stage::with(&format!("{EVENTS}sweep: every 1 second\n"));
    stage.account("C-0", "Before the hub", 1);
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    stage.account("C-1", "By webhook", 1);
    stage.until("the row of the webhook", || stage.buyers().len() == 1);
    stage.kill();
    // Nobody listens, and the platform does not try for long.
    stage.account("C-1", "Unheard", 2);
    stage.account("C-2", "Unheard too", 3);
    stage.account("C-3", "Not wanted", 0);
    stage.start();
    stage.until("what was not heard", || stage.buyers() == ["C-1 Unheard 2", "C-2 Unheard too 3"]);
    let before = stage.sweeps();
    stage.until("another sweep", || stage.sweeps() != before);
    assert_eq!((stage.effects("C-1"), stage.effects("C-2"), stage.effects("C-0")), (2, 1, 0));
}

#[test]
fn a_system_that_cannot_call_is_asked() {
    let mut stage = Stage::polling();
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    let now = jiff::Timestamp::now();
    stage.world.sql(&format!(
        "INSERT INTO customers (customer_no, company_name, credit_limit, updated_at) VALUES ('C-9', 'Polled', '5.00', '{now}')"
    ));
    stage.until("the new row", || stage.buyers() == ["C-9 Polled 5"]);
    assert_eq!(stage.effects("C-9"), 1);
}

#[test]
fn an_erp_behind_an_api_gets_each_row_once_and_its_number_comes_home() {
    use emulator::samples::erp::{self, Trouble};
    let events = EVENTS
        .replace("to: [warehouse]", "to: [erp]")
        .replace("after_dead_letter: hold_key", "after_dead_letter: continue\nwrite_back: [erp_number]");
    let mut stage = Stage::with(&events);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let file = stage.world.dir.join("data/erp.db");
    let erp = runtime.block_on(erp::start(&file, "127.0.0.1:0".parse().unwrap(), "local-key")).unwrap();
    std::fs::write(stage.world.dir.join("systems/erp.yaml"), ERP.replace("URL", &erp.url)).unwrap();
    stage.world.edit(
        "entities/customer.yaml",
        "fields:",
        "fields:\n  erp_number:   { type: text, max_length: 30, master: erp }",
    );
    stage.world.edit("systems/dynamics.yaml", "    both:", "    write: { telephone1: erp_number }\n    both:");
    stage.start();
    let home = |stage: &Stage, number: &str| {
        let row = stage.dynamics("GET", &format!("accounts(accountnumber='{number}')?$select=telephone1"), "");
        row["telephone1"].as_str().map(str::to_owned)
    };
    stage.account("C-1", "Acme", 100);
    stage.until("the number", || home(&stage, "C-1").as_deref() == Some("1"));
    assert_eq!(erp.rows()[0]["terms"]["limit"], 100);
    stage.account("C-1", "Acme Ltd", 200);
    stage.until("the change", || erp.rows()[0]["name"] == "Acme Ltd");
    // The answer to a create is lost: the row is found, and not made twice.
    erp.trouble(Trouble::LoseAnswer);
    stage.account("C-2", "Lost", 5);
    stage.until("the number of the lost one", || home(&stage, "C-2").as_deref() == Some("2"));
    // It is busy, then closed: everything waits.
    erp.trouble(Trouble::Busy);
    stage.account("C-3", "Patient", 5);
    stage.until("the first tries", || stage.waiting_for("erp") == 1);
    erp.trouble(Trouble::Down);
    stage.account("C-4", "Too", 5);
    stage.until("the outage", || stage.say(&["status"]).contains("erp down since"));
    erp.trouble(Trouble::None);
    stage.until("both", || home(&stage, "C-3").is_some() && home(&stage, "C-4").is_some());
    // What it refuses is a dead letter with its own words; a newer event of the row closes it.
    stage.account("C-5", "Poison", 5);
    stage.until("the dead letter", || stage.json(&["dead-letters", "list"]).as_array().unwrap().len() == 1);
    assert!(stage.say(&["dead-letters", "list"]).contains("C-5"));
    let why = stage.json(&["dead-letters", "list"])[0]["why"].as_str().unwrap().to_owned();
    assert!(why.contains("422") && why.contains("unknown_code"), "{why}");
    stage.account("C-5", "Honey", 5);
    stage.until("the better one", || home(&stage, "C-5").is_some());
    stage.until("the closed letter", || stage.json(&["dead-letters", "list"]).as_array().unwrap().is_empty());
    stage.until("quiet", || stage.waiting_for("erp") == 0);
    let refs: Vec<String> = erp.rows().iter().map(|row| row["ref"].as_str().unwrap().to_owned()).collect();
    assert_eq!(refs.len(), 5, "each of them once: {refs:?}");
}

#[test]
fn each_destination_has_its_own_progress_and_its_own_dead_letters() {
    use emulator::samples::erp::Trouble;
    let (mut stage, _runtime, erp) = to_the_erp(&EVENTS.replace("to: [warehouse]", "to: [erp, warehouse]"));
    stage.start();
    erp.trouble(Trouble::Down);
    stage.account("C-1", "Acme", 1);
    stage.account("C-2", "Poison", 2);
    // One is closed, and the other does not wait for it.
    stage.until("the open one", || stage.buyers() == ["C-1 Acme 1", "C-2 Poison 2"] && stage.waiting() == 0);
    stage.until("the outage of the other", || stage.say(&["status"]).contains("erp down since"));
    let status = stage.say(&["status"]);
    assert!(status.contains(", 2 wait") && !status.contains("warehouse down"), "{status}");
    assert_eq!(stage.waiting_for("erp"), 2);
    erp.trouble(Trouble::None);
    stage.until("the rest", || stage.waiting_for("erp") == 0);
    assert_eq!(erp.rows().len(), 1);
    // What one refuses is a dead letter there, and held there; the other goes on.
    let letters = stage.json(&["dead-letters", "list"]);
    let of: Vec<_> = letters.as_array().unwrap().iter().map(|l| (l["key"].as_str(), l["to"].as_str())).collect();
    assert_eq!(of, [(Some("C-2"), Some("erp"))], "{letters:#}");
    assert!(stage.say(&["dead-letters", "list"]).contains("buyers to erp"));
    stage.account("C-2", "Honey", 3);
    stage.until("the change", || stage.buyers()[1] == "C-2 Honey 3" && stage.waiting_for("erp") == 1);
    assert_eq!((erp.rows().len(), stage.effects("C-1"), stage.effects("C-2")), (1, 1, 2));
    stage.say(&["dead-letters", "retry", letters[0]["id"].as_str().unwrap()]);
    stage.until("what was held", || erp.rows().len() == 2 && stage.waiting_for("erp") == 0);
    let written: Vec<String> = erp.written().iter().map(|(_, row)| format!("{} {}", row["ref"], row["name"])).collect();
    assert_eq!(written, [r#""C-1" "Acme""#, r#""C-2" "Honey""#]);
    assert_eq!(stage.effects("C-2"), 2, "a retry is for the one that refused");
}

const ORDER: &str = "entity: order
key: number
fields:
  number:     { type: text, max_length: 100 }
  status:     { type: choice, values: [draft, submitted] }
  erp_number: { type: text, max_length: 30, master: erp }
  lines:      { type: lines, key: line_no, fields: { line_no: { type: whole_number }, product: { type: text, max_length: 40 }, quantity: { type: decimal, scale: 3 } } }
";

const ORDERS_THERE: &str = "  order:
    table: salesorder
    alternate_key: ordernumber
    read: { number: ordernumber, status: { column: statuscode, choice: { draft: 1, submitted: 3 } },
            lines: { table: salesorderdetail, parent: salesorderid, read: { line_no: lineitemnumber, product: productid.productnumber, quantity: quantity } } }
    write: { new_erpnumber: erp_number }
";

const ORDERS_IN_ERP: &str = "  order:
    create:  POST /things
    update:  PUT /things/{erp_number}
    exists:  GET /things?ref={number}
    write:   { ref: number, items: { each: lines, write: { sku: product, qty: quantity } } }
    returns: { erp_number: id }
";

/// Submitted orders of Dynamics go to an ERP, once the hub is up; there is one, with two lines, that is no more than a draft.
fn orders() -> (Stage, tokio::runtime::Runtime, emulator::samples::erp::Handle, String) {
    use emulator::samples::erp;
    let events = EVENTS
        .replace("entity: customer", "entity: order")
        .replace("to: [warehouse]", "to: [erp]\nwrite_back: [erp_number]")
        .replace(
            "columns: [name, creditlimit, emailaddress1], if: '=credit_limit > 0'",
            "columns: [statuscode], if: '=status = \"submitted\"'",
        );
    let stage = Stage::with(&events);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let file = stage.world.dir.join("data/erp.db");
    let erp = runtime.block_on(erp::start(&file, "127.0.0.1:0".parse().unwrap(), "local-key")).unwrap();
    let system = ERP.replace("URL", &erp.url);
    let system = &system[..system.find("  customer:").unwrap()];
    std::fs::write(stage.world.dir.join("systems/erp.yaml"), format!("{system}{ORDERS_IN_ERP}")).unwrap();
    std::fs::write(stage.world.dir.join("entities/order.yaml"), ORDER).unwrap();
    stage.world.edit("systems/dynamics.yaml", "entities:\n", &format!("entities:\n{ORDERS_THERE}"));
    stage.register_for("Update", "salesorder");
    for sku in ["P-1", "P-2"] {
        stage.dynamics("PATCH", &format!("products(productnumber='{sku}')"), &format!(r#"{{"name": "{sku}"}}"#));
    }
    stage.dynamics("PATCH", "salesorders(ordernumber='SO-1')", r#"{"name": "An order"}"#);
    let id = stage.id_of("salesorders", "salesorderid", "ordernumber eq 'SO-1'");
    let line = |number: u32, sku: &str, quantity: &str| {
        let product = stage.id_of("products", "productid", &format!("productnumber eq '{sku}'"));
        let body = format!(
            r#"{{"lineitemnumber": {number}, "quantity": {quantity}, "salesorderid@odata.bind": "/salesorders({id})", "productid@odata.bind": "/products({product})"}}"#
        );
        stage.dynamics("POST", "salesorderdetails", &body);
    };
    line(2, "P-2", "1.5");
    line(1, "P-1", "3");
    (stage, runtime, erp, id)
}

/// An order that is deleted after it was read, and before its lines are, is no order without lines.
#[test]
fn an_order_that_is_deleted_while_it_is_read_does_not_leave_without_its_lines() {
    let (mut stage, _runtime, erp, id) = orders();
    let (url, order) = (stage.world.url.clone(), format!("/api/data/v9.2/salesorders({id})"));
    let looks = Arc::new(AtomicUsize::new(0));
    let (seen, of_order) = (looks.clone(), url.clone());
    let proxy = in_front_of(&url, move |asked| {
        if asked.body.contains("salesorderdetails?") {
            http(&of_order, "DELETE", &order, "");
            seen.fetch_add(1, Ordering::Relaxed);
        }
    });
    stage.world.edit("systems/dynamics.yaml", &stage.world.url.clone(), &proxy);
    stage.start();
    stage.dynamics("PATCH", &format!("salesorders({id})"), r#"{"statecode": 1, "statuscode": 3}"#);
    stage.until("the look at its lines", || looks.load(Ordering::Relaxed) > 0 && stage.waiting_for("erp") == 0);
    assert_eq!(erp.rows(), Vec::<Json>::new());
    assert_eq!(stage.json(&["dead-letters", "list"]), serde_json::json!([]));
}

#[test]
fn an_order_leaves_with_its_lines_when_it_is_submitted_and_not_before() {
    let (mut stage, _runtime, erp, id) = orders();
    stage.start();
    assert_eq!(erp.rows(), Vec::<Json>::new(), "half an order is none");
    stage.dynamics("PATCH", &format!("salesorders({id})"), r#"{"statecode": 1, "statuscode": 3}"#);
    let home = || {
        let row = stage.dynamics("GET", &format!("salesorders({id})?$select=new_erpnumber"), "");
        row["new_erpnumber"].as_str().map(str::to_owned)
    };
    stage.until("the number of the order", || home().as_deref() == Some("1"));
    stage.until("quiet", || stage.waiting_for("erp") == 0);
    let rows = erp.rows();
    assert_eq!((rows.len(), rows[0]["ref"].as_str()), (1, Some("SO-1")), "{rows:?}");
    let items: Vec<(&str, f64)> = rows[0]["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["sku"].as_str().unwrap(), item["qty"].as_f64().unwrap()))
        .collect();
    assert_eq!(items, [("P-1", 3.0), ("P-2", 1.5)]);
}

#[test]
fn what_waits_for_an_integration_that_is_not_there_any_more_is_told_and_its_outage_is_over() {
    let mut stage = Stage::new();
    let (there, away) = (stage.warehouse(), stage.warehouse().with_extension("away"));
    std::fs::rename(&there, &away).unwrap();
    stage.start();
    stage.account("C-1", "Acme", 1);
    stage.until("the outage", || stage.say(&["status"]).contains("nothing gets through to warehouse"));
    stage.kill();
    stage.world.edit("integrations/buyers.yaml", "integration: buyers", "integration: purchasers");
    let file = |name: &str| stage.world.dir.join(format!("integrations/{name}.yaml"));
    std::fs::rename(file("buyers"), file("purchasers")).unwrap();
    stage.start();
    stage.until("the end of the outage", || !stage.say(&["status"]).contains("nothing gets through"));
    let status = stage.say(&["status"]);
    assert!(
        status.contains("Nobody delivers what waits in events/buyers/subscriptions/warehouse, 1 event"),
        "{status}"
    );
    stage.say(&["queue", "purge", "events/buyers/subscriptions/warehouse", "--yes"]);
    assert!(!stage.say(&["status"]).contains("Nobody delivers"));
}
