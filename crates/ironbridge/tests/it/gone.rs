//! Rows that are gone from the source: deactivated or deleted, never more than is believed, never somebody else's.

use serde_json::{Value as Json, json};

use crate::support::{Said, World, http};

fn world(deletes: &str) -> World {
    let world = World::new(60);
    world.sql("DELETE FROM customers WHERE customer_no IS NULL OR terms_code NOT IN ('30','60','PP')");
    world.sql("UPDATE customers SET parent_no = NULL");
    world.edit("integrations/customers.yaml", "schedule:", &format!("{deletes}\nschedule:"));
    let first = world.run();
    assert!(first["error"].is_null(), "{first:#}");
    world
}

fn some(world: &World, count: usize) -> Vec<String> {
    world.states().into_keys().take(count).collect()
}

fn sql_list(keys: &[String]) -> String {
    keys.iter().map(|key| format!("'{key}'")).collect::<Vec<_>>().join(",")
}

fn plan(world: &World, exit: i32) -> Json {
    let said = world.ironbridge(&["--format", "json", "plan", "customers"]);
    assert_eq!(said.code, Some(exit), "{said:#?}");
    serde_json::from_str(&said.out).unwrap()
}

/// A run does what the plan said, and adds up.
fn run_as_planned(world: &World) -> Json {
    let plan = plan(world, 3);
    let run = world.run();
    assert!(run["error"].is_null(), "{run:#}");
    for (planned, done) in [
        ("create", "created"),
        ("update", "updated"),
        ("delete", "deleted"),
        ("unchanged", "unchanged"),
        ("read", "read"),
    ] {
        assert_eq!(plan[planned], run[done], "{planned}: {plan:#} {run:#}");
    }
    run
}

#[test]
fn a_row_that_is_gone_becomes_inactive_and_active_again_when_it_returns() {
    let world = world("deletes: deactivate\nmax_deletes: 20 %");
    let gone = some(&world, 2);
    let rows = sql_list(&gone);
    world.sql(&format!(
        "CREATE TABLE kept AS SELECT * FROM customers WHERE customer_no IN ({rows});
                        DELETE FROM customers WHERE customer_no IN ({rows})"
    ));
    let run = run_as_planned(&world);
    assert_eq!((&run["deleted"], &run["created"], &run["updated"]), (&json!(2), &json!(0), &json!(0)));
    let inactive =
        |world: &World| world.states().into_iter().filter(|(_, s)| *s == 1).map(|(k, _)| k).collect::<Vec<_>>();
    assert_eq!(inactive(&world), gone);
    world.reset_stats();
    assert_eq!(plan(&world, 0)["delete"], json!(0));
    assert_eq!(world.run()["deleted"], json!(0));
    assert_eq!(world.rows_written(), 0, "what is inactive stays so without being written again");
    world.sql("INSERT INTO customers SELECT * FROM kept");
    let run = run_as_planned(&world);
    assert_eq!((&run["updated"], &run["created"]), (&json!(2), &json!(0)));
    assert_eq!(inactive(&world), Vec::<String>::new());
}

/// The hub deactivates a row, or deletes it, and is killed before it remembers that; meanwhile the source has it again, as
/// it was.
#[test]
fn a_row_that_returns_before_anybody_remembers_that_it_went_is_there() {
    for deletes in ["deactivate", "delete"] {
        let world = world(&format!("deletes: {deletes}\nmax_deletes: 20 %"));
        let gone = some(&world, 2);
        let rows = sql_list(&gone);
        world.sql(&format!(
            "CREATE TABLE kept AS SELECT * FROM customers WHERE customer_no IN ({rows});
                            DELETE FROM customers WHERE customer_no IN ({rows})"
        ));
        assert_ne!(world.with_failpoints(&["run", "customers"], "sink.after@1=abort").code, Some(0));
        let states = world.states();
        assert!(gone.iter().all(|key| states.get(key).is_none_or(|state| *state == 1)), "{deletes}: {states:?}");
        world.sql("INSERT INTO customers SELECT * FROM kept");
        let run = world.run();
        assert!(run["error"].is_null(), "{run:#}");
        let states = world.states();
        assert!(gone.iter().all(|key| states.get(key) == Some(&0)), "{deletes}: {run:#} {states:?}");
        assert_eq!(world.accounts(), world.expected(), "{deletes}");
        world.reset_stats();
        world.run();
        assert_eq!(world.rows_written(), 0, "{deletes}");
    }
}

/// Half of an answer says nothing of the other rows: they are asked for again, and are nobody's dead letters.
#[test]
fn a_removal_whose_answer_was_cut_is_repeated() {
    let world = world("deletes: deactivate\nmax_deletes: 50 %");
    let gone = some(&world, 10);
    world.sql(&format!("DELETE FROM customers WHERE customer_no IN ({})", sql_list(&gone)));
    world.fault("half-batch@every:2");
    let run = world.run();
    world.fault("");
    assert!(run["error"].is_null(), "{run:#}");
    assert_eq!((&run["deleted"], &run["rejected"]), (&json!(10), &json!(0)), "{run:#}");
    let states = world.states();
    assert!(gone.iter().all(|key| states[key] == 1), "{states:?}");
}

#[test]
fn a_row_that_is_gone_is_deleted_and_rows_of_others_stay() {
    let world = world("deletes: delete\nmax_deletes: 20 %");
    let others = r#"{"name": "Somebody else's", "accountnumber": "X-1"}"#;
    http(&world.url, "POST", "/api/data/v9.2/accounts", others);
    let before = world.states();
    let gone = some(&world, 3);
    world.sql(&format!("DELETE FROM customers WHERE customer_no IN ({})", sql_list(&gone)));
    assert_eq!(run_as_planned(&world)["deleted"], json!(3));
    let after = world.states();
    assert!(after.contains_key("X-1"));
    assert_eq!(after.len() + 3, before.len());
    assert!(gone.iter().all(|key| !after.contains_key(key)));
}

#[test]
fn a_row_that_where_leaves_out_follows_deletes() {
    let world = world("deletes: deactivate\nmax_deletes: 100 %");
    let finance = rusqlite::Connection::open(world.finance()).unwrap();
    let mut statement = finance.prepare("SELECT customer_no FROM customers WHERE terms_code = 'PP'").unwrap();
    let prepaid: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    // One of the sample's bad rows is among them, and was never written.
    let written = world.states();
    let prepaid = prepaid.iter().filter(|key| written.contains_key(*key)).count();
    assert!(prepaid > 0);
    world.edit(
        "systems/finance.yaml",
        "    table: customers",
        "    table: customers\n    where: =terms_code <> \"PP\"",
    );
    let run = run_as_planned(&world);
    assert_eq!(run["deleted"], json!(prepaid));
    assert_eq!(world.states().values().filter(|state| **state == 1).count(), prepaid);
}

#[test]
fn too_many_rows_gone_ask_a_person() {
    let world = world("deletes: delete");
    let before = world.states();
    world.sql(&format!("DELETE FROM customers WHERE customer_no IN ({})", sql_list(&some(&world, 10))));
    let planned = plan(&world, 3);
    assert_eq!((&planned["delete"], &planned["refused"]["code"]), (&json!(10), &json!("IB0704")));
    let run = world.run();
    assert_eq!(run["error"]["code"], "IB0704", "{run:#}");
    assert_eq!(world.states(), before);
    let meant = world.ironbridge(&["--format", "json", "run", "customers", "--max-deletes", "50 %"]).json();
    assert_eq!(meant["deleted"], json!(10));
    assert_eq!(world.states().len() + 10, before.len());
}

#[test]
fn an_empty_or_short_source_deletes_nothing() {
    let world = world("deletes: delete\nmax_deletes: 100 %\nmin_rows: 20");
    let before = world.states();
    for sql in [
        "DELETE FROM customers WHERE customer_no NOT IN (SELECT customer_no FROM customers LIMIT 15)",
        "DELETE FROM customers",
    ] {
        world.sql(sql);
        let run = world.run();
        assert_eq!(run["error"]["code"], "IB0705", "{run:#}");
        assert_eq!(world.states(), before);
    }
    world.edit("integrations/customers.yaml", "\nmin_rows: 20", "");
    assert_eq!(world.run()["error"]["code"], "IB0705", "without min_rows an empty source deletes nothing either");
}

#[test]
fn a_kill_anywhere_ends_in_the_same_state() {
    for failpoint in ["commit.before", "commit.after", "sink.before", "sink.after"] {
        for hit in 1..=6 {
            let world = world("deletes: delete\nmax_deletes: 50 %");
            let expected = world.states();
            let gone = some(&world, 8);
            world.sql(&format!("DELETE FROM customers WHERE customer_no IN ({})", sql_list(&gone)));
            let _: Said = world.with_failpoints(&["run", "customers"], &format!("{failpoint}@{hit}=abort"));
            let run = world.run();
            assert!(run["error"].is_null(), "{failpoint} {hit}: {run:#}");
            let left: Vec<String> = expected.into_keys().filter(|key| !gone.contains(key)).collect();
            assert_eq!(world.states().into_keys().collect::<Vec<_>>(), left, "{failpoint} {hit}");
            assert_eq!(plan(&world, 0)["delete"], json!(0));
        }
    }
}
