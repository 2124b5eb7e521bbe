//! What nobody heard of is found, whatever else waits for the same row; and what was written without a record of it is
//! never taken for what it was before.

use emulator::samples::erp::Trouble;

use crate::reading::{declared, retype};
use crate::stage::{EVENTS, Stage, to_the_erp};

/// From now on Dynamics says nothing of changes of accounts.
fn nothing_is_heard(stage: &Stage) {
    for message in ["Create", "Update"] {
        let id = stage.id_of(
            "sdkmessageprocessingsteps",
            "sdkmessageprocessingstepid",
            &format!("name eq 'hub account {message}'"),
        );
        stage.dynamics("DELETE", &format!("sdkmessageprocessingsteps({id})"), "");
    }
}

/// A hub that is paused, with a row that it has delivered and an event of it that waits.
fn paused_with_one_that_waits(events: &str, change: &str) -> Stage {
    let mut stage = Stage::with(&format!("{events}sweep: every 1 second\n"));
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    stage.account("C-1", "First", 1);
    stage.until("the row", || stage.buyers() == ["C-1 First 1"] && stage.waiting() == 0);
    stage.say(&["pause", "buyers", "--note", "a test"]);
    stage.dynamics("PATCH", "accounts(accountnumber='C-1')", change);
    stage.until("its event", || stage.waiting() == 1);
    nothing_is_heard(&stage);
    stage
}

#[test]
fn an_event_that_the_trigger_does_not_want_hides_no_change() {
    let stage = paused_with_one_that_waits(EVENTS, r#"{ "telephone1": "1" }"#);
    stage.account("C-1", "Unheard", 2);
    stage.until("what the sweep sends", || stage.waiting() == 2);
    stage.say(&["resume", "buyers"]);
    stage.until("what was not heard", || stage.buyers() == ["C-1 Unheard 2"] && stage.waiting() == 0);
    assert_eq!(stage.effects("C-1"), 2);
}

#[test]
fn an_event_that_reads_the_row_brings_what_came_after_it() {
    let stage = paused_with_one_that_waits(EVENTS, r#"{ "name": "Heard" }"#);
    stage.account("C-1", "Unheard", 2);
    let before = stage.sweeps();
    stage.until("another sweep", || stage.sweeps() != before);
    assert_eq!(stage.waiting(), 1, "the event that waits reads the row when it is delivered");
    stage.say(&["resume", "buyers"]);
    stage.until("what was not heard", || stage.buyers() == ["C-1 Unheard 2"] && stage.waiting() == 0);
}

#[test]
fn an_event_of_another_row_hides_no_change_where_rows_share_an_order() {
    let stage = paused_with_one_that_waits(&format!("{EVENTS}order_by: name\n"), r#"{ "name": "Heard" }"#);
    stage.account("C-2", "Unheard", 2);
    stage.until("what the sweep sends", || stage.waiting() == 2);
    // Each is sent once, and not again by the next sweep.
    stage.account("C-3", "Unheard too", 3);
    stage.until("what the sweep sends", || stage.waiting() == 3);
    stage.say(&["resume", "buyers"]);
    stage.until("all of them", || {
        stage.buyers() == ["C-1 Heard 1", "C-2 Unheard 2", "C-3 Unheard too 3"] && stage.waiting() == 0
    });
}

#[test]
fn rows_that_share_an_order_are_all_found_in_one_sweep() {
    let mut stage = Stage::with(&format!("{EVENTS}sweep: every 1 second\norder_by: name\n"));
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    stage.kill();
    for number in 1..4 {
        stage.account(&format!("C-{number}"), "Unheard", number);
    }
    stage.start();
    stage.until("all of them", || stage.buyers() == ["C-1 Unheard 1", "C-2 Unheard 2", "C-3 Unheard 3"]);
}

#[test]
fn an_update_that_waits_hides_no_deletion() {
    let events = EVENTS.replace("[created, updated]", "[created, updated, deleted]");
    let stage = paused_with_one_that_waits(&events, r#"{ "name": "Heard" }"#);
    stage.dynamics("DELETE", "accounts(accountnumber='C-1')", "");
    stage.until("what the sweep sends", || stage.waiting() == 2);
    stage.say(&["resume", "buyers"]);
    stage.until("the deletion", || stage.buyers().is_empty() && stage.waiting() == 0);
}

#[test]
fn a_change_behind_a_dead_letter_is_not_discarded_with_it() {
    let mut stage = Stage::with(&format!("{EVENTS}sweep: every 1 second\n"));
    stage.sql("CREATE TRIGGER refuse BEFORE INSERT ON buyers WHEN new.title = 'Poison' BEGIN SELECT raise(ABORT, 'unknown code'); END;");
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    stage.account("C-1", "Poison", 1);
    let letters = || stage.json(&["dead-letters", "list"]).as_array().unwrap().clone();
    stage.until("the dead letter", || letters().len() == 1);
    nothing_is_heard(&stage);
    // The sweep sees the poison too, and knows that it is known.
    stage.account("C-2", "Other", 3);
    stage.until("the other row", || stage.buyers() == ["C-2 Other 3"]);
    assert_eq!((stage.waiting(), letters().len()), (0, 1));
    stage.account("C-1", "Better", 2);
    stage.until("what the sweep sends", || stage.waiting() == 1);
    let id = letters()[0]["id"].as_str().unwrap().to_owned();
    stage.say(&["dead-letters", "discard", &id]);
    stage.until("the better row", || stage.buyers() == ["C-1 Better 2", "C-2 Other 3"] && stage.waiting() == 0);
}

#[test]
fn a_row_that_cannot_be_read_is_a_dead_letter_and_not_passed_over() {
    let mut stage = Stage::polling();
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    let now = jiff::Timestamp::now();
    stage.world.sql(&format!(
        "INSERT INTO customers (customer_no, company_name, credit_limit, updated_at) VALUES ('C-9', CAST(x'41ff' AS TEXT), '5', '{now}')"
    ));
    let letters = || stage.json(&["dead-letters", "list"]).as_array().unwrap().clone();
    stage.until("the dead letter", || letters().len() == 1);
    assert!(letters()[0]["what"].as_str().unwrap().contains("company_name"), "{:#}", letters()[0]);
    let now = jiff::Timestamp::now();
    stage
        .world
        .sql(&format!("UPDATE customers SET company_name = 'Acme', updated_at = '{now}' WHERE customer_no = 'C-9'"));
    stage.say(&["dead-letters", "retry", letters()[0]["id"].as_str().unwrap()]);
    stage.until("the row", || stage.buyers().contains(&"C-9 Acme 5".to_owned()) && stage.waiting() == 0);
}

/// Nobody gives these events an id, and the warehouse notes what each has done.
#[test]
fn a_row_that_is_again_what_it_was_is_written_again() {
    let mut stage = Stage::polling();
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    let named = |name: &str| {
        let now = jiff::Timestamp::now();
        stage.world.sql(&format!(
            "BEGIN; DELETE FROM customers WHERE customer_no = 'C-9';
             INSERT INTO customers (customer_no, company_name, credit_limit, updated_at) VALUES ('C-9', '{name}', '5', '{now}'); COMMIT"
        ));
        stage.until(name, || stage.buyers().contains(&format!("C-9 {name} 5")));
    };
    for name in ["First", "Second", "First", "Second"] {
        named(name);
    }
}

#[test]
fn a_row_that_changes_back_after_a_lost_answer_is_written_back_too() {
    let (mut stage, _runtime, erp) = to_the_erp(EVENTS);
    stage.start();
    stage.account("C-1", "First", 1);
    stage.until("the row", || !erp.rows().is_empty() && stage.waiting_for("erp") == 0);
    erp.trouble(Trouble::LoseAnswer);
    stage.account("C-1", "Second", 1);
    stage.until("the write whose answer is lost", || erp.rows()[0]["name"] == "Second");
    stage.account("C-1", "First", 1);
    stage.until("the end", || stage.waiting_for("erp") == 0);
    assert_eq!(erp.rows()[0]["name"], "First");
}

#[test]
fn a_row_that_changes_back_after_a_kill_is_written_back_too() {
    let mut stage = Stage::new();
    stage.start();
    stage.account("C-1", "First", 1);
    stage.until("the row", || stage.buyers() == ["C-1 First 1"] && stage.waiting() == 0);
    stage.kill();
    stage.start_with("sink.after@1=abort");
    stage.account("C-1", "Second", 2);
    stage.until("the write that nothing records", || stage.buyers() == ["C-1 Second 2"]);
    stage.kill();
    stage.account("C-1", "First", 1);
    stage.start();
    stage.until("the end", || stage.waiting() == 0);
    assert_eq!(stage.buyers(), ["C-1 First 1"]);
}

/// Where the source cannot say what changed, the place that its first sweep reached is no place to go on from: rows that
/// lie behind it have not changed because of that.
#[test]
fn a_source_without_a_time_of_change_sends_nothing_that_did_not_change() {
    let mut stage = Stage::polling();
    let finance = std::fs::read_to_string(stage.world.dir.join("systems/finance.yaml")).unwrap();
    let line = finance.lines().find(|line| line.trim_start().starts_with("watermark:")).unwrap();
    stage.world.edit("systems/finance.yaml", &format!("{line}\n"), "");
    // More rows than come in one page.
    stage.world.sql(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5200)
         INSERT INTO customers (customer_no, company_name, credit_limit, updated_at)
         SELECT printf('N-%05d', i), 'Client ' || i || ' (sample)', '100', '2026-01-01T00:00:00Z' FROM n",
    );
    stage.start();
    let said = |stage: &Stage| stage.log().matches("cannot say what changed").count();
    stage.until("three sweeps", || said(&stage) >= 3);
    assert_eq!((stage.waiting(), stage.sweeps()), (0, String::new()));
    assert_eq!(stage.buyers(), Vec::<String>::new(), "nothing of it has changed");
}

#[test]
fn a_column_that_was_retyped_makes_no_dead_letters_of_events() {
    let mut stage = Stage::polling();
    retype(&stage.world, &declared(&stage.world, "credit_limit"), "credit_limit NUMERIC");
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    let come = |stage: &Stage, number: &str, limit: &str| {
        let now = jiff::Timestamp::now();
        stage.world.sql(&format!(
            "INSERT INTO customers (customer_no, company_name, credit_limit, updated_at) VALUES ('{number}', 'Polled', {limit}, '{now}')"
        ));
    };
    come(&stage, "C-8", "5");
    stage.until("the first row", || stage.buyers().contains(&"C-8 Polled 5".to_owned()));

    // The sweep sees it, although nothing waits, and says so.
    retype(&stage.world, "credit_limit NUMERIC", "credit_limit TEXT");
    stage.until("the column in the status", || stage.say(&["status"]).contains("IB0635"));
    come(&stage, "C-9", "'much'");
    let status = stage.say(&["status"]);
    assert!(status.contains("`credit_limit` of `customers` holds text now, and held decimal"), "{status}");
    std::thread::sleep(std::time::Duration::from_secs(2));
    let letters = stage.json(&["dead-letters", "list"]);
    assert_eq!((letters.as_array().unwrap().len(), stage.effects("C-9")), (0, 0), "{letters}");

    // It has its type back: what came meanwhile is found.
    stage.world.sql("UPDATE customers SET credit_limit = '7' WHERE customer_no = 'C-9'");
    retype(&stage.world, "credit_limit TEXT", "credit_limit NUMERIC");
    stage.until("the row that came meanwhile", || stage.buyers().contains(&"C-9 Polled 7".to_owned()));
    stage.until("the end of it", || !stage.say(&["status"]).contains("IB0635"));

    // Somebody says that it is right as it is.
    retype(&stage.world, "credit_limit NUMERIC", "credit_limit TEXT");
    stage.until("the column in the status", || stage.say(&["status"]).contains("IB0635"));
    let said = stage.say(&["state", "reset", "buyers", "customer"]);
    assert!(said.contains("what waits is delivered"), "{said}");
    come(&stage, "C-10", "'8'");
    stage.until("the row after that", || stage.buyers().contains(&"C-10 Polled 8".to_owned()));
}
