//! What an API is told of a message that is tried again, and of the next one that says the same.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::services::{ok, serve};
use crate::stage::{ERP, EVENTS, to_the_erp};

#[test]
fn a_row_that_was_removed_and_is_made_again_alike_is_made_again() {
    let events = EVENTS.replace("[created, updated]", "[created, updated, deleted]");
    // The sample ERP answers a key that it has seen from its memory, whatever became of the row.
    let (mut stage, _runtime, erp) = to_the_erp(&format!("{events}sweep: every 1 second\n"));
    stage.world.edit("systems/erp.yaml", "    exists:", "    delete:  DELETE /things/{erp_number}\n    exists:");
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    for round in 0..2 {
        stage.account("C-1", "Acme", 1);
        stage.until("the row", || erp.rows().len() == 1 && stage.waiting_for("erp") == 0);
        stage.dynamics("DELETE", "accounts(accountnumber='C-1')", "");
        stage.until("the deletion", || erp.rows().is_empty() && stage.waiting_for("erp") == 0);
        assert_eq!(erp.written().len(), round + 1);
    }
}

#[test]
fn a_dead_letter_that_is_sent_again_is_the_request_that_it_was() {
    let (broken, keys) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(Vec::new())));
    let (is_broken, seen) = (broken.clone(), keys.clone());
    // It may have taken what it answers with 500: nobody can ask.
    let (url, _) = serve(move |asked| {
        if asked.method == "POST" {
            seen.lock().unwrap().push(asked.header("idempotency-key").to_owned());
        }
        match is_broken.load(Ordering::SeqCst) {
            true => (500, String::new(), String::new()),
            false => ok(json!({ "id": 7 })),
        }
    });
    let (mut stage, _runtime, _erp) = to_the_erp(&EVENTS.replace("hold_key", "hold_key\nretry: { for: 2 seconds }"));
    let system = ERP.replace("URL", &url);
    let system = system.replace("exists:  GET /things?ref={number}", "idempotency_key: Idempotency-Key");
    std::fs::write(stage.world.dir.join("systems/erp.yaml"), system).unwrap();
    stage.start();
    stage.account("C-1", "Acme", 1);
    let letters = || stage.json(&["dead-letters", "list"]).as_array().unwrap().clone();
    stage.until("the dead letter", || letters().len() == 1);
    let id = letters()[0]["id"].as_str().unwrap().to_owned();
    // Once in vain, and once more.
    for broken_still in [true, false] {
        let tried = keys.lock().unwrap().len();
        broken.store(broken_still, Ordering::SeqCst);
        stage.say(&["dead-letters", "retry", &id]);
        stage.until("the end of it", || {
            keys.lock().unwrap().len() > tried
                && stage.waiting_for("erp") == 0
                && letters().iter().filter(|letter| letter["state"] == "open").count() == usize::from(broken_still)
        });
    }
    stage.account("C-1", "Acme Ltd", 1);
    stage.until("the next event", || stage.waiting_for("erp") == 0);
    let keys = keys.lock().unwrap().clone();
    assert!(keys.len() > 4 && keys.iter().all(|key| *key == keys[0] && !key.is_empty()), "{keys:?}");
}

#[test]
fn a_row_that_somebody_has_replaced_stays_when_the_one_before_it_is_deleted() {
    let events = EVENTS.replace("[created, updated]", "[created, updated, deleted]");
    let (mut stage, _runtime, erp) = to_the_erp(&format!("{events}sweep: every 1 second\n"));
    stage.world.edit("systems/erp.yaml", "    exists:", "    delete:  DELETE /things/{erp_number}\n    exists:");
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    stage.account("C-1", "Acme", 1);
    stage.until("the row", || erp.rows().len() == 1 && stage.waiting_for("erp") == 0);
    let file = rusqlite::Connection::open(stage.world.dir.join("data/erp.db")).unwrap();
    file.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    file.execute_batch("DELETE FROM thing; INSERT INTO thing (id, ref, body) VALUES (9, 'C-1', '{\"ref\": \"C-1\"}')")
        .unwrap();
    stage.dynamics("DELETE", "accounts(accountnumber='C-1')", "");
    stage.until("the end of it", || stage.say(&["trace", "customer", "C-1"]).contains("not the hub's to delete"));
    stage.until("quiet", || stage.waiting_for("erp") == 0);
    assert_eq!(erp.rows()[0]["id"], 9);
}

/// It takes `PUT` and `DELETE`, which harm nothing when they are repeated, and cannot be asked what it has.
#[test]
fn a_row_that_nobody_can_ask_for_is_deleted_there_too() {
    let there = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
    let (rows, cut) = (there.clone(), AtomicBool::new(true));
    let (url, _) = serve(move |asked| {
        let (key, mut rows) = (asked.path.rsplit('/').next().unwrap().to_owned(), rows.lock().unwrap());
        let status = match asked.method.as_str() {
            "PUT" => rows.insert(key, 1).map_or(201, |_| 200),
            // It is done, and the answer says that it failed.
            "DELETE" if rows.remove(&key).is_some() && cut.swap(false, Ordering::SeqCst) => 500,
            _ => 404,
        };
        (status, String::new(), String::new())
    });
    let (mut stage, _runtime, _erp) = to_the_erp(&EVENTS.replace("[created, updated]", "[created, updated, deleted]"));
    let system = ERP.replace("URL", &url);
    let (head, _) = system.split_once("    create:").unwrap();
    let customer = "    update: PUT /things/{number}\n    delete: DELETE /things/{number}\n    alternate_key: ref\n    write: { ref: number, name: name }\n";
    std::fs::write(stage.world.dir.join("systems/erp.yaml"), format!("{head}{customer}")).unwrap();
    let registered = ["dataverse", "register", "buyers", "--yes", "--url", &format!("http://{}", stage.address)];
    let said = stage.run(&registered);
    assert_eq!(said.code, Some(0), "{said:#?}");
    stage.start();
    stage.account("C-1", "Acme", 1);
    stage.until("the row", || there.lock().unwrap().len() == 1 && stage.waiting_for("erp") == 0);
    stage.dynamics("DELETE", "accounts(accountnumber='C-1')", "");
    stage.until("the deletion", || there.lock().unwrap().is_empty() && stage.waiting_for("erp") == 0);
    assert_eq!(stage.json(&["dead-letters", "list"]), json!([]));
    assert!(stage.say(&["trace", "customer", "C-1"]).contains("deleted"));
}

/// It remembers its refusals under their keys too, and somebody corrects what it was missing.
#[test]
fn what_was_refused_with_an_answer_is_asked_for_anew() {
    let (complete, things) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::<String>::new())));
    let (is_complete, there, answers) = (complete.clone(), things.clone(), Mutex::new(BTreeMap::new()));
    let (url, asked) = serve(move |asked| match asked.method.as_str() {
        "GET" => ok(json!(there.lock().unwrap().iter().map(|key| json!({ "id": 7, "ref": key })).collect::<Vec<_>>())),
        _ => {
            let key = asked.header("idempotency-key").to_owned();
            let answer = || match is_complete.load(Ordering::SeqCst) {
                true => {
                    there.lock().unwrap().push("C-1".to_owned());
                    (201, String::new(), json!({ "id": 7, "ref": "C-1" }).to_string())
                }
                false => (422, String::new(), "no such price list".to_owned()),
            };
            answers.lock().unwrap().entry(key).or_insert_with(answer).clone()
        }
    });
    let (mut stage, _runtime, _erp) = to_the_erp(EVENTS);
    std::fs::write(stage.world.dir.join("systems/erp.yaml"), ERP.replace("URL", &url)).unwrap();
    stage.start();
    stage.account("C-1", "Acme", 1);
    let letters = || stage.json(&["dead-letters", "list"]).as_array().unwrap().clone();
    stage.until("the dead letter", || letters().len() == 1);
    complete.store(true, Ordering::SeqCst);
    stage.say(&["dead-letters", "retry", letters()[0]["id"].as_str().unwrap()]);
    stage.until("the row", || letters().is_empty() && stage.waiting_for("erp") == 0);
    assert_eq!(*things.lock().unwrap(), ["C-1"], "{:?}", asked.lock().unwrap());
}
