//! Rows that are gone from the source: deactivated or deleted, never more than is believed, never somebody else's.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};

use crate::moved::Shop;
use crate::services::serve;
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
    run_as(plan(world, 3), world)
}

fn run_as(plan: Json, world: &World) -> Json {
    let run = world.run();
    assert!(run["error"].is_null(), "{run:#}");
    for (planned, done) in [
        ("create", "created"),
        ("update", "updated"),
        ("delete", "deleted"),
        ("unchanged", "unchanged"),
        ("reject", "rejected"),
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

const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

/// Sets aside a customer, so that the hub deactivates or deletes it.
fn leave(world: &World, key: &str) {
    world.sql(&format!(
        "CREATE TABLE kept AS SELECT * FROM customers WHERE customer_no = '{key}';
         DELETE FROM customers WHERE customer_no = '{key}'"
    ));
    let run = world.run();
    assert_eq!(run["deleted"], json!(1), "{run:#}");
}

/// What keeps a row that has come back from being written at first does not keep it inactive.
#[test]
fn a_row_that_returns_with_a_fault_is_active_once_it_is_right() {
    for (wrong, right) in [("terms_code = '99'", "terms_code = '60'"), ("parent_no = 'X'", "parent_no = NULL")] {
        let world = world("deletes: deactivate\nmax_deletes: 20 %");
        let key = some(&world, 1).remove(0);
        leave(&world, &key);
        world.sql(&format!(
            "INSERT INTO customers SELECT * FROM kept; UPDATE customers SET {wrong} WHERE customer_no = '{key}'"
        ));
        let run = world.run();
        assert_eq!(run["updated"], json!(0), "{wrong}: {run:#}");
        world.sql(&format!("UPDATE customers SET {right} WHERE customer_no = '{key}'"));
        run_as_planned(&world);
        assert_eq!(world.states()[&key], 0, "{wrong}, then {right}");
        assert_eq!(world.accounts(), world.expected());
        world.reset_stats();
        world.run();
        assert_eq!(world.rows_written(), 0, "{wrong}");
    }
}

/// Where finance says which customers are active, one that returns is as finance says.
#[test]
fn a_row_that_returns_is_as_its_mapping_says() {
    let world = World::new(60);
    world.sql("DELETE FROM customers WHERE customer_no IS NULL OR terms_code NOT IN ('30','60','PP'); UPDATE customers SET parent_no = NULL");
    world.edit("integrations/customers.yaml", "schedule:", "deletes: deactivate\nmax_deletes: 20 %\nschedule:");
    let name = "      name: name\n";
    world.edit(
        "systems/dynamics.yaml",
        name,
        &format!("{name}      statecode: '=If(name = \"Closed (sample)\", 1, 0)'\n"),
    );
    assert!(world.run()["error"].is_null());
    let key = some(&world, 1).remove(0);
    world.sql(&format!("UPDATE customers SET company_name = 'Closed (sample)' WHERE customer_no = '{key}'"));
    world.run();
    assert_eq!(world.states()[&key], 1);
    world.sql(&format!(
        "CREATE TABLE kept AS SELECT * FROM customers WHERE customer_no = '{key}';
         DELETE FROM customers WHERE customer_no = '{key}'"
    ));
    assert!(world.run()["error"].is_null());
    world.sql("INSERT INTO customers SELECT * FROM kept");
    world.run();
    assert_eq!(world.states()[&key], 1, "finance says that it is closed");
    world.sql(&format!("UPDATE customers SET company_name = 'Open (sample)' WHERE customer_no = '{key}'"));
    world.run();
    assert_eq!(world.states()[&key], 0);
}

#[test]
fn a_retry_makes_nothing_active_that_a_person_has_made_inactive() {
    let world = world("deletes: deactivate\nmax_deletes: 20 %");
    let key = some(&world, 1).remove(0);
    let terms =
        |code: &str| world.sql(&format!("UPDATE customers SET terms_code = '{code}' WHERE customer_no = '{key}'"));
    let conn = rusqlite::Connection::open(world.finance()).unwrap();
    let sql = "SELECT terms_code FROM customers WHERE customer_no = ?1";
    let good: String = conn.query_row(sql, [&key], |row| row.get(0)).unwrap();
    terms("99");
    assert_eq!(world.run()["rejected"], json!(1));
    let path = format!("/api/data/v9.2/accounts(accountnumber='{key}')");
    http(&world.url, "PATCH", &path, r#"{"statecode": 1, "statuscode": 2}"#);
    assert_eq!(world.states()[&key], 1);
    terms(&good);
    let letters = world.ironbridge(&["--format", "json", "dead-letters", "list", "customers"]).ok().json();
    let letter = letters.as_array().unwrap().iter().find(|letter| letter["key"] == json!(key)).unwrap();
    world.ironbridge(&["dead-letters", "retry", &letter["id"].as_str().unwrap()[..8]]).ok();
    let run = world.run();
    assert_eq!((&run["error"], &run["rejected"]), (&Json::Null, &json!(0)), "{run:#}");
    assert_eq!(world.states()[&key], 1, "{run:#}");
    assert_eq!(told(&world, &key), [""; 0]);
}

/// The codes of a row's dead letters.
fn told(world: &World, key: &str) -> Vec<String> {
    let letters = world.ironbridge(&["--format", "json", "dead-letters", "list", "customers"]).ok().json();
    let own = letters.as_array().unwrap().iter().filter(|letter| letter["key"] == key);
    own.map(|letter| letter["code"].as_str().unwrap().to_owned()).collect()
}

/// The hub never wrote it: it waited for another row, and somebody made one of its key by hand.
#[test]
fn a_row_that_only_waited_takes_nobodys_row_with_it() {
    let world = world("deletes: delete\nmax_deletes: 20 %");
    world.sql(&format!(
        "INSERT INTO customers (customer_no, company_name, terms_code, parent_no, updated_at)
         VALUES ('W-1', 'Waits', '30', 'X', {NOW}), ('W-2', 'Waits too', '30', 'X', {NOW})"
    ));
    assert_eq!(world.run()["waiting"], json!(2));
    http(&world.url, "POST", "/api/data/v9.2/accounts", r#"{"name": "By hand", "accountnumber": "W-1"}"#);
    world.sql("DELETE FROM customers WHERE customer_no LIKE 'W-%'");
    run_as(plan(&world, 0), &world);
    assert!(world.states().contains_key("W-1"), "a row that the hub never wrote is gone");
    assert_eq!((told(&world, "W-1"), told(&world, "W-2")), (vec!["IB0707".to_owned()], Vec::new()));
}

#[test]
fn a_row_that_somebody_has_replaced_is_left_to_a_person() {
    let world = world("deletes: delete\nmax_deletes: 20 %");
    let key = some(&world, 1).remove(0);
    let path = format!("/api/data/v9.2/accounts(accountnumber='{key}')");
    http(&world.url, "DELETE", &path, "");
    let theirs = json!({ "name": "Another one (sample)", "accountnumber": key });
    http(&world.url, "POST", "/api/data/v9.2/accounts", &theirs.to_string());
    world.sql(&format!("DELETE FROM customers WHERE customer_no = '{key}'"));
    run_as(plan(&world, 0), &world);
    assert!(world.states().contains_key(&key), "a row that the hub never wrote is gone");
    assert_eq!(told(&world, &key), ["IB0707"]);
    assert_eq!(world.run()["rejected"], json!(0), "it is told once");
}

/// A row that cannot be read is known as ours all the same.
#[test]
fn a_row_that_cannot_be_read_goes_like_any_other() {
    let world = World::new(60);
    world.sql("DELETE FROM customers WHERE customer_no IS NULL OR terms_code NOT IN ('30','60','PP'); UPDATE customers SET parent_no = NULL");
    let declared = crate::reading::declared(&world, "credit_limit");
    crate::reading::retype(&world, &declared, "credit_limit NUMERIC");
    world.edit("integrations/customers.yaml", "schedule:", "deletes: delete\nmax_deletes: 20 %\nschedule:");
    assert!(world.run()["error"].is_null());
    let key = some(&world, 1).remove(0);
    world.sql(&format!("UPDATE customers SET credit_limit = 'much' WHERE customer_no = '{key}'"));
    assert_eq!(world.run()["rejected"], json!(1));
    world.sql(&format!("DELETE FROM customers WHERE customer_no = '{key}'"));
    let run = run_as_planned(&world);
    assert_eq!((&run["deleted"], told(&world, &key).len()), (&json!(1), 0), "{run:#}");
    assert!(!world.states().contains_key(&key));
}

/// What events bring from another system is in no row of this source.
#[test]
fn what_comes_from_elsewhere_by_events_is_not_taken_for_gone() {
    let world = world("deletes: delete");
    let read = |file: &str| std::fs::read_to_string(world.dir.join(file)).unwrap();
    let write = |file: &str, text: &str| std::fs::write(world.dir.join(file), text).unwrap();
    write("systems/second.yaml", &read("systems/finance.yaml").replace("system: finance", "system: second"));
    let events = "integration: events\npattern: event\nentity: customer\nfrom: second\nto: [dynamics]\n\
                  trigger: { rows: [created, updated] }\nsweep: every 1 minute\nowner: finance-it\n\
                  because: Somebody waits on the telephone.\npurpose: Urgent customers of another system.\n";
    write("integrations/events.yaml", events);
    let said = world.ironbridge(&["run", "customers"]).fails(1, "IB0706");
    assert!(said.err.contains("`customers` and `events` both write `customer`"), "{said:#?}");
    // What they bring from this one is here as well.
    write("integrations/events.yaml", &events.replace("from: second", "from: finance"));
    assert!(world.run()["error"].is_null());
}

#[test]
fn where_one_entity_cannot_be_believed_nothing_of_the_others_goes() {
    let shop = Shop::new();
    let write = |file: &str, text: &str| std::fs::write(shop.0.dir.join(file), text).unwrap();
    write(
        "entities/note.yaml",
        "entity: note\nkey: number\nfields: { number: { type: text, max_length: 20 }, name: { type: text, max_length: 40 } }\n",
    );
    shop.0.edit(
        "systems/books.yaml",
        "entities:\n",
        "entities:\n  note: { table: notes, read: { number: no, name: name } }\n",
    );
    shop.0.edit(
        "systems/shop.yaml",
        "entities:\n",
        "entities:\n  note: { table: notes, alternate_key: code, write: { code: number, title: name } }\n",
    );
    shop.0.edit(
        "integrations/debtors.yaml",
        "entity: debtor",
        "entities: [debtor, note]\ndeletes: delete\nmax_deletes: 50 %",
    );
    shop.books(
        "CREATE TABLE notes (no TEXT, name TEXT); INSERT INTO notes VALUES ('N-1', 'a'), ('N-2', 'b'), ('N-3', 'c')",
    );
    shop.shop("CREATE TABLE notes (code TEXT PRIMARY KEY, title TEXT)");
    shop.run();
    // A source that has lost half of its rows says nothing of the other table either.
    shop.books("DELETE FROM debtors WHERE no > 'D-2'; DELETE FROM notes WHERE no = 'N-1'");
    shop.ironbridge(&["run", "debtors"]).fails(1, "IB0704");
    assert_eq!(shop.rows("SELECT code FROM notes").len(), 3);
    assert_eq!(shop.rows("SELECT code FROM buyers").len(), 5);
    shop.ironbridge(&["run", "debtors", "--max-deletes", "100 %"]).ok();
    assert_eq!(shop.rows("SELECT code FROM notes"), ["N-2", "N-3"]);
    assert_eq!(shop.rows("SELECT code FROM buyers"), ["D-1", "D-2"]);
}

/// An API that nobody can ask what it has, and files of changes: what is there is not known, and the deletion is told all
/// the same.
#[test]
fn a_destination_that_cannot_be_asked_is_told_what_is_gone() {
    let there: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let rows = there.clone();
    let (url, _) = serve(move |asked| {
        let number = asked.path.rsplit('/').next().unwrap().to_owned();
        let was_there = match asked.method.as_str() {
            "PUT" => {
                rows.lock().unwrap().insert(number);
                true
            }
            _ => rows.lock().unwrap().remove(&number),
        };
        (if was_there { 204 } else { 404 }, String::new(), String::new())
    });
    let write = "write: { no: number, name: name }";
    for (system, kind) in [
        (
            "shop",
            format!(
                "kind: rest\nconnection: {{ url: \"{url}\" }}\nentities:\n  customer:\n    alternate_key: no\n    update: PUT /customers/{{number}}\n    delete: DELETE /customers/{{number}}\n    {write}"
            ),
        ),
        (
            "partner",
            format!(
                "kind: files\nconnection: {{ folder: data/out }}\nentities:\n  customer:\n    alternate_key: no\n    file: customers_*.csv\n    {write}"
            ),
        ),
    ] {
        let world = World::new(3);
        world.sql("DELETE FROM customers WHERE rowid > 3");
        world.sql("UPDATE customers SET customer_no = 'C-' || rowid, terms_code = '30', parent_no = NULL");
        std::fs::create_dir_all(world.dir.join("data/out")).unwrap();
        let text = format!("system: {system}\nowner: finance-it\n{kind}\n");
        std::fs::write(world.dir.join(format!("systems/{system}.yaml")), text).unwrap();
        let to = format!("to: {system}\ndeletes: delete\nmax_deletes: 90 %");
        world.edit("integrations/customers.yaml", "to: dynamics", &to);
        assert_eq!(world.run()["created"], json!(3));
        world.sql("DELETE FROM customers WHERE customer_no IN ('C-1', 'C-2')");
        // Somebody was faster with one of them.
        there.lock().unwrap().remove("C-1");
        match system {
            "shop" => {
                let run = run_as_planned(&world);
                assert_eq!((&run["deleted"], &run["rejected"]), (&json!(2), &json!(0)), "{run:#}");
                assert_eq!(*there.lock().unwrap(), BTreeSet::from(["C-3".to_owned()]));
            }
            _ => {
                assert_eq!(world.run()["rejected"], json!(2));
                assert_eq!(told(&world, "C-1"), ["IB0512"]);
            }
        }
    }
}
