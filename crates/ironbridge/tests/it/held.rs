//! Dead letters of events, what they hold back, and what becomes of it when the row goes, comes back, is overtaken, or
//! somebody deals with it at the wrong moment.

use rusqlite::Connection;
use serde_json::{Value as Json, json};

use crate::late::{customer, post, posted};
use crate::stage::{EVENTS, Stage, WAREHOUSE};

const REFUSES: &str = "CREATE TRIGGER refuse_new BEFORE INSERT ON buyers WHEN new.title = 'Poison' BEGIN SELECT raise(ABORT, 'unknown code'); END;
    CREATE TRIGGER refuse BEFORE UPDATE ON buyers WHEN new.title = 'Poison' BEGIN SELECT raise(ABORT, 'unknown code'); END;";
const TAKES: &str = "DROP TRIGGER refuse_new; DROP TRIGGER refuse;";

fn letters(stage: &Stage) -> Vec<Json> {
    stage.json(&["dead-letters", "list"]).as_array().unwrap().clone()
}

fn id(letter: &Json) -> &str {
    letter["id"].as_str().unwrap()
}

fn locked(stage: &Stage) -> u64 {
    let queues = stage.json(&["queue", "list"]);
    let mine = queues.as_array().unwrap().iter().find(|queue| queue["queue"].as_str().unwrap().ends_with("/warehouse"));
    mine.unwrap()["locked"].as_u64().unwrap()
}

/// A warehouse that refuses poison, and a hub that is up.
fn refusing(events: &str) -> Stage {
    let mut stage = Stage::with(events);
    stage.sql(REFUSES);
    stage.start();
    stage
}

#[test]
fn a_row_that_comes_back_under_its_key_has_a_dead_letter_of_its_own() {
    let stage = refusing(EVENTS);
    stage.account("C-1", "Poison", 1);
    stage.until("the dead letter", || letters(&stage).len() == 1);
    let first = letters(&stage)[0].clone();
    stage.dynamics("DELETE", "accounts(accountnumber='C-1')", "");
    stage.account("C-1", "Poison", 2);
    stage.until("the other one", || letters(&stage).len() == 2);
    // The first row is gone, and the second one is not in the first one's dead letter.
    stage.sql(TAKES);
    stage.say(&["dead-letters", "retry", id(&first)]);
    stage.until("the end of the first", || letters(&stage).len() == 1);
    let second = letters(&stage)[0].clone();
    assert_ne!(id(&second), id(&first));
    stage.say(&["dead-letters", "retry", id(&second)]);
    stage.until("the row", || stage.buyers() == ["C-1 Poison 2"] && letters(&stage).is_empty());
}

#[test]
fn what_a_dead_letter_holds_is_told_as_held() {
    let stage = refusing(EVENTS);
    stage.account("C-1", "Poison", 1);
    stage.until("the dead letter", || letters(&stage).len() == 1);
    stage.account("C-1", "Poison", 2);
    stage.until("the next one", || stage.say(&["status"]).contains("1 held by a dead letter"));
    assert!(!stage.say(&["status"]).contains("on its way"), "{}", stage.say(&["status"]));
    let story = stage.say(&["trace", "customer", "C-1"]);
    assert!(story.contains("is held by the dead letter of its record"), "{story}");
    let page = stage.say(&["runbook", "buyers"]);
    assert!(page.contains("- 0 messages wait for warehouse.\n- 1 more is held until"), "{page}");
    let listed = stage.say(&["dead-letters", "list"]);
    assert!(listed.contains("(unknown code") || listed.contains("unknown code)"), "the other side's words: {listed}");
}

#[test]
fn what_a_dead_letter_held_goes_on_when_another_row_has_overtaken_it() {
    let stage = refusing(EVENTS);
    stage.account("C-1", "Poison", 1);
    stage.until("the dead letter", || letters(&stage).len() == 1);
    let row = stage.id_of("accounts", "accountid", "accountnumber eq 'C-1'");
    // It had the wrong number: the right one waits behind the dead letter, and another row gets its number.
    let body = r#"{"accountnumber": "C-2", "name": "Better"}"#;
    stage.dynamics("PATCH", &format!("accounts({row})"), body);
    stage.until("what waits", || stage.waiting() == 1);
    stage.account("C-1", "Fine", 3);
    stage.until("both", || stage.buyers() == ["C-1 Fine 3", "C-2 Better 1"] && stage.waiting() == 0);
    assert_eq!(letters(&stage), Vec::<Json>::new());
    stage.dynamics("PATCH", &format!("accounts({row})"), r#"{"name": "Best"}"#);
    stage.until("what comes later", || stage.buyers()[1] == "C-2 Best 1");
}

#[test]
fn however_much_is_held_its_note_stays_as_small() {
    let stage = refusing(EVENTS);
    stage.account("C-1", "Poison", 1);
    stage.until("the dead letter", || letters(&stage).len() == 1);
    let row = stage.id_of("accounts", "accountid", "accountnumber eq 'C-1'");
    let noted = || {
        let store = store::Store::open(stage.world.dir.join(".ironbridge"), store::Options::default()).unwrap();
        let queue = "events/buyers/subscriptions/warehouse";
        store.session_state(queue, &format!("account|{row}")).unwrap().unwrap().len()
    };
    let few = noted();
    for number in 2..12 {
        stage.account("C-1", "Better", number);
    }
    stage.until("what waits", || stage.json(&["queue", "list"]).to_string().contains(r#""deferred":10"#));
    assert_eq!(noted(), few);
    stage.say(&["dead-letters", "discard", id(&letters(&stage)[0])]);
    stage.until("the row", || stage.buyers() == ["C-1 Better 11"] && stage.waiting() == 0);
    assert_eq!(stage.effects("C-1"), 1);
}

#[test]
fn what_lets_a_row_go_on_is_not_missed_when_it_was_purged() {
    let stage = refusing(EVENTS);
    stage.account("C-1", "Poison", 1);
    stage.until("the dead letter", || letters(&stage).len() == 1);
    stage.say(&["pause", "buyers", "--note", "a test"]);
    stage.say(&["dead-letters", "discard", id(&letters(&stage)[0])]);
    assert!(stage.say(&["queue", "purge", "buyers", "--yes"]).contains("1 message"));
    stage.say(&["resume", "buyers"]);
    stage.account("C-1", "Better", 2);
    stage.until("the row", || stage.buyers() == ["C-1 Better 2"] && stage.waiting() == 0);
}

/// The delivery takes a while, and meanwhile somebody has lost patience.
#[test]
fn a_dead_letter_may_be_discarded_while_its_retry_is_delivered() {
    let mut stage = refusing(EVENTS);
    stage.account("C-1", "Poison", 1);
    stage.until("the dead letter", || letters(&stage).len() == 1);
    stage.sql(TAKES);
    let letter = letters(&stage)[0].clone();
    let busy = Connection::open(stage.warehouse()).unwrap();
    busy.execute_batch("BEGIN IMMEDIATE").unwrap();
    stage.say(&["dead-letters", "retry", id(&letter)]);
    stage.until("the delivery", || locked(&stage) == 1);
    stage.say(&["dead-letters", "discard", id(&letter)]);
    drop(busy);
    stage.until("the row", || stage.buyers() == ["C-1 Poison 1"] && stage.waiting() == 0);
    assert_eq!(stage.json(&["dead-letters", "show", id(&letter)])["state"], "discarded");
    stage.account("C-1", "Better", 2);
    stage.until("what comes later", || stage.buyers() == ["C-1 Better 2"] && stage.waiting() == 0);
    assert!(stage.up.as_mut().unwrap().try_wait().unwrap().is_none(), "{}", stage.log());
}

#[test]
fn a_retry_behind_something_newer_is_not_written_over_it() {
    let mut stage = posted(&EVENTS.replace("hold_key", "continue"));
    stage.world.edit("entities/customer.yaml", "version: ", "# version: ");
    stage.sql(REFUSES);
    stage.start();
    post(&stage, &customer("C-1", "Poison", None, "1"));
    stage.until("the dead letter", || letters(&stage).len() == 1);
    stage.sql(TAKES);
    stage.say(&["pause", "buyers", "--note", "a test"]);
    post(&stage, &customer("C-1", "Newer", None, "2"));
    stage.say(&["dead-letters", "retry", id(&letters(&stage)[0])]);
    stage.until("both", || stage.waiting() == 2);
    stage.say(&["resume", "buyers"]);
    stage.until("the end", || stage.waiting() == 0);
    assert_eq!((stage.buyers(), stage.effects("C-1")), (vec!["C-1 Newer 5".to_owned()], 1));
    let all = stage.json(&["dead-letters", "list", "--all"]);
    assert_eq!(all[0]["state"], "superseded", "{all:#}");
}

/// What was sent says nothing of what was sent after it: the dead letter of the newer event stays until that is delivered.
#[test]
fn an_older_event_that_is_sent_again_does_not_close_the_dead_letter_of_a_newer_one() {
    for in_a_group in [false, true] {
        let mut stage = posted(&EVENTS.replace("hold_key", "continue"));
        stage.sql(REFUSES);
        stage.start();
        for (limit, changed) in [("5.00", "1"), ("7.00", "2")] {
            let mut row = customer("C-1", "Poison", None, changed);
            row["credit_limit"] = json!(limit);
            post(&stage, &row);
            stage.until("the dead letter", || letters(&stage).len() == changed.parse::<usize>().unwrap());
        }
        stage.sql(TAKES);
        let open = letters(&stage);
        if in_a_group {
            stage.say(&["dead-letters", "retry", open[0]["group"].as_str().unwrap()]);
        } else {
            stage.say(&["dead-letters", "retry", id(&open[1])]);
            stage.until("the older one", || stage.buyers() == ["C-1 Poison 5"] && stage.waiting() == 0);
            assert_eq!(letters(&stage).iter().map(id).collect::<Vec<_>>(), [id(&open[0])]);
            stage.say(&["dead-letters", "retry", id(&open[0])]);
        }
        stage.until("the newer one", || stage.buyers() == ["C-1 Poison 7"] && letters(&stage).is_empty());
    }
}

#[test]
fn an_event_that_says_another_part_of_the_row_does_not_overtake_a_dead_letter() {
    let events = EVENTS
        .replace(", columns: [name, creditlimit, emailaddress1], if: '=credit_limit > 0'", "")
        .replace("hold_key", "continue\nsweep: off\nwithout_sweep_because: This is a test of the webhook alone.");
    let mut stage = Stage::with(&format!("{events}payload: as_sent\n"));
    stage.sql("CREATE TRIGGER refuse BEFORE UPDATE ON buyers WHEN new.mail LIKE 'poison%' BEGIN SELECT raise(ABORT, 'unknown code'); END;");
    stage.start();
    let patch = |body: &str| drop(stage.dynamics("PATCH", "accounts(accountnumber='C-1')", body));
    let mails = || stage.texts("SELECT coalesce(mail, 'none') FROM buyers");
    stage.account("C-1", "Acme", 1);
    stage.until("the row", || stage.buyers() == ["C-1 Acme 1"]);
    patch(r#"{"emailaddress1": "poison@contoso.example"}"#);
    stage.until("the dead letter", || letters(&stage).len() == 1);
    patch(r#"{"creditlimit": 5}"#);
    stage.until("the other part", || stage.buyers() == ["C-1 Acme 5"] && stage.waiting() == 0);
    patch(r#"{"emailaddress1": "honey@contoso.example"}"#);
    stage.until("a later address", || mails() == ["honey@contoso.example"] && stage.waiting() == 0);
    let open = letters(&stage);
    assert_eq!(open.len(), 1, "nothing has told all of the row");
    // Its retry brings the row as it is by now.
    stage.sql("DROP TRIGGER refuse");
    stage.say(&["dead-letters", "retry", id(&open[0])]);
    stage.until("the end", || letters(&stage).is_empty() && stage.waiting() == 0);
    assert_eq!((stage.buyers(), mails()), (vec!["C-1 Acme 5".to_owned()], vec!["honey@contoso.example".to_owned()]));
}

#[test]
fn what_shares_an_order_goes_on_when_the_record_that_held_it_is_forgotten() {
    let stage = refusing(&format!("{EVENTS}order_by: name\n"));
    stage.account("C-1", "Poison", 1);
    stage.until("the dead letter", || letters(&stage).len() == 1);
    stage.account("C-2", "Behind it", 2);
    stage.until("the other row, held", || stage.json(&["queue", "list"]).to_string().contains(r#""deferred":1"#));
    stage.say(&["forget", "customer", "C-1", "--yes"]);
    stage.account("C-3", "After it", 3);
    stage.until("the others", || stage.buyers() == ["C-2 Behind it 2", "C-3 After it 3"] && stage.waiting() == 0);
}

#[test]
fn a_pause_ends_what_goes_on_in_a_session_too() {
    let slow = "CREATE TRIGGER slow BEFORE INSERT ON buyers BEGIN
        SELECT count(*) FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000) SELECT i FROM n); END;";
    let mut stage = Stage::with(&format!("{EVENTS}order_by: name\n"));
    stage.sql(slow);
    stage.start();
    stage.say(&["pause", "buyers", "--note", "a test"]);
    for number in 10..60 {
        stage.account(&format!("C-{number}"), "Slow", number);
    }
    stage.until("all of them", || stage.waiting() == 50);
    stage.say(&["resume", "buyers"]);
    stage.until("the first", || !stage.buyers().is_empty());
    stage.say(&["pause", "buyers", "--note", "a test"]);
    stage.until("rest", || locked(&stage) == 0);
    let delivered = stage.buyers().len();
    assert!(delivered < 50, "it went on");
    stage.say(&["resume", "buyers"]);
    stage.until("the others", || stage.buyers().len() == 50 && stage.waiting() == 0);
}

#[test]
fn a_destination_that_is_taken_away_gets_nothing_more_and_loses_nothing() {
    let stage = Stage::unregistered(&EVENTS.replace("[warehouse]", "[warehouse, annex]"));
    let annex = WAREHOUSE.replace("system: warehouse", "system: annex");
    std::fs::write(stage.world.dir.join("systems/annex.yaml"), annex).unwrap();
    let file = stage.world.dir.join("event.json");
    let sent = |at: usize| {
        let context =
            json!({ "OperationId": format!("o-{at}"), "PrimaryEntityName": "account", "PrimaryEntityId": "7" });
        std::fs::write(&file, context.to_string()).unwrap();
        let said = stage.say(&["queue", "send", "buyers", file.to_str().unwrap()]);
        assert!(said.contains("sent to buyers"), "{said}");
        (stage.waiting_for("warehouse"), stage.waiting_for("annex"))
    };
    assert_eq!(sent(1), (1, 1));
    stage.world.edit("integrations/buyers.yaml", "[warehouse, annex]", "[warehouse]");
    assert_eq!(sent(2), (2, 1));
    stage.world.edit("integrations/buyers.yaml", "[warehouse]", "[warehouse, annex]");
    assert_eq!(sent(3), (3, 2));
}

#[test]
fn a_retry_for_a_destination_that_is_taken_away_waits_until_it_is_back() {
    let mut stage = Stage::with(&EVENTS.replace("[warehouse]", "[warehouse, annex]"));
    let annex = WAREHOUSE.replace("system: warehouse", "system: annex").replace("warehouse.db", "annex.db");
    std::fs::write(stage.world.dir.join("systems/annex.yaml"), annex).unwrap();
    let there = Connection::open(stage.world.dir.join("data/annex.db")).unwrap();
    there.execute_batch("CREATE TABLE buyers (code TEXT PRIMARY KEY, title TEXT, mail TEXT, money TEXT)").unwrap();
    there.execute_batch(REFUSES).unwrap();
    stage.start();
    stage.account("C-1", "Poison", 1);
    stage.until("the dead letter", || letters(&stage).len() == 1 && stage.buyers().len() == 1);
    there.execute_batch(TAKES).unwrap();
    stage.kill();
    stage.world.edit("integrations/buyers.yaml", "[warehouse, annex]", "[warehouse]");
    stage.start();
    stage.say(&["dead-letters", "retry", id(&letters(&stage)[0])]);
    assert_eq!(stage.waiting_for("annex"), 1);
    stage.kill();
    stage.world.edit("integrations/buyers.yaml", "[warehouse]", "[warehouse, annex]");
    stage.start();
    stage.until("the end", || letters(&stage).is_empty() && stage.waiting_for("annex") == 0);
    let titles: String = there.query_row("SELECT group_concat(title) FROM buyers", [], |row| row.get(0)).unwrap();
    assert_eq!(titles, "Poison");
}

/// As if the hub had been killed each time that it delivered the first event of a row: nobody waits for a hundred times.
#[test]
fn an_event_that_ends_the_hub_each_time_holds_its_row_and_counts_for_no_other() {
    use store::queue::Op;
    use store::{OpResult, Options, Store};
    let mut stage = Stage::new();
    stage.start();
    stage.say(&["pause", "buyers", "--note", "a test"]);
    stage.account("C-1", "First", 1);
    stage.account("C-1", "Second", 2);
    stage.until("both", || stage.waiting() == 2);
    stage.kill();
    let store = Store::open(stage.world.dir.join(".ironbridge"), Options::default()).unwrap();
    let queue = || "events/buyers/subscriptions/warehouse".to_owned();
    let max = store.queue_settings(&queue()).unwrap().unwrap().max_deliveries;
    let commit = |op: Op| store.commit_blocking(vec![op.into()]).unwrap().pop().unwrap();
    for _ in 0..max - 1 {
        let OpResult::Session(Some(session)) = commit(Op::AcceptSession { queue: queue(), session: None }) else {
            panic!()
        };
        let receive = Op::ReceiveInSession { queue: queue(), session: session.token, max: 1 };
        let OpResult::Messages(messages) = commit(receive) else { panic!() };
        commit(Op::Abandon { queue: queue(), token: messages[0].token, delay: None });
        commit(Op::ReleaseSession { queue: queue(), session: session.token });
    }
    drop(store);
    stage.start();
    stage.say(&["resume", "buyers"]);
    stage.until("the dead letter", || letters(&stage).len() == 1 && stage.waiting() == 1);
    let letter = letters(&stage)[0].clone();
    assert_eq!((letter["code"].as_str(), letter["key"].as_str()), (Some("IB0806"), Some("C-1")), "{letter:#}");
    assert_eq!((stage.buyers(), stage.waiting()), (Vec::<String>::new(), 1), "it holds its row");
    stage.say(&["dead-letters", "retry", id(&letter)]);
    stage.until("the row", || stage.buyers() == ["C-1 Second 2"] && letters(&stage).is_empty() && stage.waiting() == 0);
}

#[test]
fn a_retry_of_a_week_is_not_cut_short() {
    let stage = Stage::unregistered(&format!("{EVENTS}retry: {{ for: 7 days, then: dead_letter }}\n"));
    let attempts = stage.say(&["check"]).split(" attempts over").next().unwrap().rsplit(' ').next().unwrap().to_owned();
    stage.say(&["queue", "list"]);
    let store = store::Store::open(stage.world.dir.join(".ironbridge"), store::Options::default()).unwrap();
    let settings = store.queue_settings("events/buyers/subscriptions/warehouse").unwrap().unwrap();
    assert!(settings.max_deliveries > attempts.parse().unwrap(), "{attempts} attempts: {settings:?}");
}

#[test]
fn a_purge_drops_as_many_as_it_says() {
    use store::queue::{Message, Op};
    let stage = Stage::unregistered(EVENTS);
    stage.say(&["queue", "list"]);
    let store = store::Store::open(stage.world.dir.join(".ironbridge"), store::Options::default()).unwrap();
    let messages = || (0..5_000).map(|_| Message { session: Some("a".into()), ..Message::default() }.into()).collect();
    for _ in 0..5 {
        let send = Op::Send { queue: "events/buyers".into(), messages: messages() };
        store.commit_blocking(vec![send.into()]).unwrap();
    }
    drop(store);
    let said = stage.say(&["queue", "purge", "buyers", "--max", "24000", "--yes"]);
    assert!(said.contains("24,000 messages"), "{said}");
    assert_eq!(stage.waiting(), 1_000);
}
