//! The story of one record, told by the journal.

use crate::stage::{EVENTS, Stage, to_the_erp};

/// What happened, in order: what, where, and a word that the line must hold.
fn story(stage: &Stage, key: &str) -> Vec<(String, String)> {
    let told = stage.json(&["trace", "customer", key]);
    let part = |line: &serde_json::Value, name: &str| line[name].as_str().unwrap().to_owned();
    told["story"].as_array().unwrap().iter().map(|line| (part(line, "system"), part(line, "what"))).collect()
}

fn pairs(story: &[(String, String)]) -> Vec<(&str, &str)> {
    story.iter().map(|(system, what)| (system.as_str(), what.as_str())).collect()
}

#[test]
fn a_record_has_a_story_of_tries_a_dead_letter_a_person_and_its_number() {
    let events = EVENTS.replace("after_dead_letter: hold_key", "after_dead_letter: hold_key\nwrite_back: [erp_number]");
    let (mut stage, _runtime, _erp) = to_the_erp(&events);
    assert!(stage.say(&["trace", "customer", "C-1"]).contains("Nothing is known of customer C-1"));
    assert!(stage.say(&["trace", "custmer", "C-1"]).contains("there is no entity `custmer`"));
    stage.start();
    stage.account("C-0", "Not wanted", 0);
    stage.account("C-1", "Poison", 1);
    stage.until("the dead letter", || stage.json(&["dead-letters", "list"]).as_array().unwrap().len() == 1);
    stage.account("C-1", "Honey", 2);
    stage.until("the held event", || stage.waiting_for("erp") == 1);
    let held = stage.say(&["trace", "customer", "c-1"]);
    assert!(held.contains("in events/buyers/subscriptions/erp") && held.contains("422"), "{held}");
    let id = stage.json(&["dead-letters", "list"])[0]["id"].as_str().unwrap().to_owned();
    stage.say(&["dead-letters", "retry", &id, "--note", "renamed"]);
    stage.until("the end", || stage.waiting_for("erp") == 0);
    assert_eq!(
        pairs(&story(&stage, "C-1")),
        [
            ("erp", "dead letter"),
            ("erp", "retried"),
            ("erp", "created"),
            ("dynamics", "written back"),
            ("erp", "unchanged")
        ]
    );
    assert_eq!(pairs(&story(&stage, "C-0")), [("erp", "left out")]);
    let told = stage.say(&["trace", "customer", "C-1"]);
    for expected in
        ["renamed", "erp_number = 1", "IB05", &id[..8], "as the hub wrote it, under its number 1", "correlation"]
    {
        assert!(told.contains(expected), "`{expected}` is not in:\n{told}");
    }
}

#[test]
fn a_batch_tells_its_run() {
    let world = crate::support::World::new(3);
    world.ironbridge(&["run", "customers"]).ok();
    let told = world.ironbridge(&["trace", "customer", "C-1001"]).ok();
    assert!(told.out.contains("created") && told.out.contains("run 1"), "{}", told.out);
}

#[test]
fn a_message_that_closes_the_other_side_for_everybody_is_not_the_only_probe() {
    let events = EVENTS.replace(
        "after_dead_letter: hold_key",
        "after_dead_letter: continue\nretry: { for: 2 seconds, then: dead_letter }",
    );
    let (mut stage, _runtime, erp) = to_the_erp(&events);
    stage.start();
    stage.account("C-1", "Plague", 1);
    stage.until("the outage", || stage.say(&["status"]).contains("erp down since"));
    stage.account("C-2", "Healthy", 1);
    stage.account("C-3", "Healthy too", 1);
    stage.until("those behind it", || erp.rows().len() == 2);
    stage.until("its own dead letter", || stage.json(&["dead-letters", "list"]).as_array().unwrap().len() == 1);
    let letter = stage.json(&["dead-letters", "list"])[0].clone();
    assert_eq!(letter["key"], "C-1", "{letter:#}");
    assert!(letter["what"].as_str().unwrap().contains("it was tried"), "{letter:#}");
}

#[test]
fn what_shares_an_order_is_told_of_its_own_record_only() {
    let mut stage = Stage::with(&format!("{EVENTS}order_by: name\n"));
    stage.start();
    stage.account("C-1", "First", 1);
    stage.until("the row", || stage.buyers() == ["C-1 First 1"] && stage.waiting() == 0);
    stage.say(&["pause", "buyers", "--note", "a test"]);
    stage.dynamics("POST", "accounts", r#"{"accountnumber": "C-2", "name": "Second", "creditlimit": 2}"#);
    stage.until("its event", || stage.waiting() == 1);
    let waits = |key: &str| stage.json(&["trace", "customer", key])["waiting"].as_array().unwrap().len();
    assert_eq!((waits("C-1"), waits("C-2")), (0, 1));
    let peeked = stage.json(&["queue", "peek", "buyers"]);
    assert_eq!((&peeked[0]["entity"], &peeked[0]["key"]), (&"customer".into(), &"C-2".into()), "{peeked:#}");
    assert!(stage.say(&["queue", "peek", "buyers"]).contains("customer C-2"));
}
