//! Rows whose key has changed, in the destination or in the source: never doubled, never lost.

use serde_json::{Value as Json, json};

use crate::stage::{EVENTS, Stage};
use crate::support::{World, http};

const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

/// The rows of Dynamics: ids by account number.
fn ids(world: &World) -> std::collections::BTreeMap<String, String> {
    let page = http(&world.url, "GET", "/api/data/v9.2/accounts?$select=accountnumber", "");
    let page: Json = serde_json::from_str(&page).unwrap();
    let text = |row: &Json, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    page["value"].as_array().unwrap().iter().map(|row| (text(row, "accountnumber"), text(row, "accountid"))).collect()
}

fn world(integration: &str) -> (World, Vec<String>) {
    let world = World::new(40);
    world.sql("UPDATE customers SET parent_no = NULL");
    world.edit("integrations/customers.yaml", "schedule:", &format!("{integration}schedule:"));
    let first = world.run();
    assert!(first["error"].is_null(), "{first:#}");
    let unique = "SELECT customer_no FROM customers c WHERE contact_email <> '' AND customer_no IN (SELECT customer_no FROM customers)
                  AND NOT EXISTS (SELECT 1 FROM customers d WHERE d.rowid <> c.rowid AND d.company_name = c.company_name)";
    let conn = rusqlite::Connection::open(world.finance()).unwrap();
    let mut statement = conn.prepare(unique).unwrap();
    let keys: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let there = ids(&world);
    let keys = keys.into_iter().filter(|key| there.contains_key(key)).collect();
    (world, keys)
}

fn rename_in_dynamics(world: &World, id: &str, to: &str) {
    http(&world.url, "PATCH", &format!("/api/data/v9.2/accounts({id})"), &json!({ "accountnumber": to }).to_string());
}

#[test]
fn a_key_that_was_changed_in_dynamics_is_put_back_and_nothing_is_doubled() {
    let (world, keys) = world("");
    let before = ids(&world);
    rename_in_dynamics(&world, &before[&keys[0]], "SOMEBODY-1");
    world.sql(&format!(
        "UPDATE customers SET credit_limit = '12.50', updated_at = {NOW} WHERE customer_no = '{}'",
        keys[0]
    ));
    let plan = world.ironbridge(&["--format", "json", "plan", "customers"]);
    let plan: Json = serde_json::from_str(&plan.out).unwrap();
    let run = world.run();
    assert_eq!((&run["created"], &run["updated"]), (&json!(0), &json!(1)), "{run:#}");
    assert_eq!((&plan["create"], &plan["update"]), (&run["created"], &run["updated"]));
    assert_eq!(ids(&world), before);
    assert_eq!(world.accounts(), world.expected());
}

#[test]
fn what_is_gone_and_has_another_key_in_dynamics_is_left_to_a_person() {
    let (world, keys) = world("deletes: delete\nmax_deletes: 50 %\n");
    let before = ids(&world);
    rename_in_dynamics(&world, &before[&keys[0]], "SOMEBODY-1");
    world.sql(&format!("DELETE FROM customers WHERE customer_no IN ('{}', '{}')", keys[0], keys[1]));
    let plan = world.ironbridge(&["--format", "json", "plan", "customers"]);
    let plan: Json = serde_json::from_str(&plan.out).unwrap();
    let run = world.run();
    assert_eq!((&run["deleted"], &run["rejected_by_code"]["IB0750"]), (&json!(1), &json!(1)), "{run:#}");
    assert_eq!((&plan["delete"], &plan["reject"]), (&json!(1), &json!(1)), "{plan:#}");
    assert!(ids(&world).contains_key("SOMEBODY-1"));
    // With its key back it goes, and the dead letter closes.
    rename_in_dynamics(&world, &before[&keys[0]], &keys[0]);
    assert_eq!(world.run()["deleted"], json!(1));
    let letters = world.ironbridge(&["--format", "json", "dead-letters", "list", "customers", "--code", "IB0750"]);
    assert_eq!(letters.ok().out.trim(), "[]");
}

#[test]
fn a_row_that_finance_gave_another_key_keeps_its_account_where_it_matches() {
    let (world, keys) = world("deletes: delete\nmax_deletes: 50 %\n");
    let table = "    alternate_key: accountnumber";
    world.edit("systems/dynamics.yaml", table, &format!("{table}\n    match_existing: [name, emailaddress1]"));
    let before = ids(&world);
    let renumber = |from: &str, to: &str| {
        world.sql(&format!(
            "UPDATE customers SET customer_no = '{to}', updated_at = {NOW} WHERE customer_no = '{from}'"
        ));
    };
    renumber(&keys[0], "NEW-1");
    // Another record that looks the same: its key is still in the source.
    world.sql(&format!(
        "INSERT INTO customers (customer_no, company_name, contact_email, terms_code, updated_at)
         SELECT 'TWIN-1', company_name, contact_email, terms_code, {NOW} FROM customers WHERE customer_no = '{}'",
        keys[1]
    ));
    let plan = world.ironbridge(&["--format", "json", "plan", "customers"]);
    let plan: Json = serde_json::from_str(&plan.out).unwrap();
    let run = world.run();
    assert_eq!((&run["created"], &run["updated"], &run["deleted"]), (&json!(1), &json!(1), &json!(0)), "{run:#}");
    for (planned, done) in [("create", "created"), ("update", "updated")] {
        assert_eq!(plan[planned], run[done], "{plan:#}");
    }
    let after = ids(&world);
    assert_eq!(after["NEW-1"], before[&keys[0]], "it is the same account");
    assert!(after.contains_key("TWIN-1") && !after.contains_key(&keys[0]));
    world.reset_stats();
    let again = world.run();
    assert!(again["error"].is_null() && world.rows_written() == 0, "{again:#}");

    // A process that ends between writing and remembering.
    for failpoint in ["sink.after@1=abort", "commit.before@3=abort", "commit.before@4=abort"] {
        let key = ids(&world).into_keys().find(|key| keys[2..].contains(key)).unwrap();
        let id = ids(&world)[&key].clone();
        let new = format!("{key}-{}", failpoint.len());
        renumber(&key, &new);
        world.with_failpoints(&["run", "customers"], failpoint);
        let run = world.run();
        assert!(run["error"].is_null() && run["rejected"] == json!(0), "{failpoint}: {run:#}");
        assert_eq!(ids(&world).get(&new), Some(&id), "{failpoint}");
        assert!(!ids(&world).contains_key(&key), "{failpoint}");
    }
}

/// The account of one customer has got the number of another one, which finance makes later: then it is that one's.
#[test]
fn an_account_that_is_another_customers_by_now_is_not_taken_back() {
    let (world, keys) = world("");
    let before = ids(&world);
    rename_in_dynamics(&world, &before[&keys[0]], "NEW-1");
    world.sql(&format!(
        "INSERT INTO customers (customer_no, company_name, terms_code, updated_at) VALUES ('NEW-1', 'New (sample)', '30', {NOW})"
    ));
    let run = world.run();
    assert_eq!((&run["created"], &run["updated"]), (&json!(0), &json!(1)), "{run:#}");
    world.sql(&format!(
        "UPDATE customers SET credit_limit = '12.50', updated_at = {NOW} WHERE customer_no = '{}'",
        keys[0]
    ));
    let plan = world.ironbridge(&["--format", "json", "plan", "customers"]).json();
    let run = world.run();
    assert_eq!((&run["created"], &run["updated"]), (&json!(1), &json!(0)), "{run:#}");
    assert_eq!((&plan["create"], &plan["update"]), (&run["created"], &run["updated"]));
    assert_eq!(ids(&world)["NEW-1"], before[&keys[0]]);
    assert_eq!(world.accounts(), world.expected());
}

/// Finance corrects the capitals of a number: Dynamics takes the two for one, and so does the hub.
#[test]
fn a_number_whose_capitals_were_changed_is_the_same_customer() {
    for deletes in ["ignore", "delete"] {
        let (world, keys) = world(&format!("deletes: {deletes}\nmax_deletes: 50 %\n"));
        let before = ids(&world);
        let new = keys[0].to_lowercase();
        world.sql(&format!(
            "UPDATE customers SET customer_no = '{new}', credit_limit = '12.50', updated_at = {NOW} WHERE customer_no = '{}'",
            keys[0]
        ));
        let plan = world.ironbridge(&["--format", "json", "plan", "customers"]).json();
        let run = world.run();
        assert_eq!((&run["created"], &run["updated"], &run["deleted"]), (&json!(0), &json!(1), &json!(0)), "{run:#}");
        assert_eq!(
            (&plan["update"], &plan["reject"], &plan["delete"]),
            (&json!(1), &run["rejected"], &json!(0)),
            "{plan:#}"
        );
        assert_eq!(ids(&world)[&new], before[&keys[0]]);
        assert_eq!(world.accounts(), world.expected());
        world.reset_stats();
        world.run();
        assert_eq!(world.rows_written(), 0);
    }
}

#[test]
fn an_event_of_a_row_with_another_number_takes_what_was_written_under_the_old_one_along() {
    let events = EVENTS.replace("from: dynamics", "from: finance").replace("to: [warehouse]", "to: [dynamics]");
    let events = events.replace(", columns: [name, creditlimit, emailaddress1]", "");
    let mut stage = Stage::unregistered(&format!("{events}sweep: every 1 second\n"));
    let key = "alternate_key: accountnumber";
    stage.world.edit("systems/dynamics.yaml", key, &format!("{key}\n    match_existing: [emailaddress1]"));
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    stage.world.sql(&format!(
        "INSERT INTO customers (customer_no, company_name, contact_email, credit_limit, updated_at)
         VALUES ('N-1', 'Acme', 'n@contoso.example', '5', {NOW})"
    ));
    let there = || {
        let found =
            stage.dynamics("GET", "accounts?$select=accountnumber&$filter=emailaddress1 eq 'n@contoso.example'", "");
        let found = found["value"].as_array().unwrap().clone();
        found.iter().map(|row| row["accountnumber"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    stage.until("the row", || there() == ["N-1"] && stage.waiting_for("dynamics") == 0);
    stage.world.sql(&format!("UPDATE customers SET customer_no = 'N-2', updated_at = {NOW} WHERE customer_no = 'N-1'"));
    stage.until("its new number", || there() == ["N-2"] && stage.waiting_for("dynamics") == 0);
    let old = stage.say(&["trace", "customer", "N-1"]);
    assert!(old.contains("it is N-2 now") && !old.contains("as the hub wrote it"), "{old}");
    let new = stage.say(&["trace", "customer", "N-2"]);
    assert!(new.contains("it was N-1 before") && new.contains("as the hub wrote it"), "{new}");
}

/// The hub knows by the row's id that it had another number, and with deletions nothing is to stay of that one.
#[test]
fn what_was_delivered_under_a_number_that_the_row_has_no_longer_goes() {
    let events = EVENTS.replace("[created, updated]", "[created, updated, deleted]");
    let events = events.replace("[name, creditlimit, emailaddress1]", "[accountnumber, name, creditlimit]");
    let events = events.replace("to: [warehouse]", "to: [warehouse, archive]");
    let mut stage = Stage::with(&format!("{events}sweep: every 1 second\n"));
    let warehouse = std::fs::read_to_string(stage.world.dir.join("systems/warehouse.yaml")).unwrap();
    let archive = warehouse.replace("system: warehouse", "system: archive").replace("table: buyers", "table: kept");
    std::fs::write(stage.world.dir.join("systems/archive.yaml"), archive).unwrap();
    stage.sql(
        "CREATE TABLE kept (code TEXT PRIMARY KEY, title TEXT, mail TEXT, money TEXT);
         CREATE TRIGGER refuse BEFORE INSERT ON buyers WHEN new.title = 'Poison' BEGIN SELECT raise(ABORT, 'no'); END;",
    );
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    let kept = || stage.texts("SELECT code || ' ' || title FROM kept ORDER BY code");
    let quiet = || stage.waiting() == 0 && stage.waiting_for("archive") == 0;
    for number in ["C-1", "C-2", "C-3"] {
        stage.account(number, "Acme", 1);
    }
    stage.until("the rows", || stage.buyers().len() == 3 && kept().len() == 3 && quiet());
    let ids = ids(&stage.world);
    rename_in_dynamics(&stage.world, &ids["C-1"], "N-1");
    stage.until("its new number", || {
        stage.buyers() == ["C-2 Acme 1", "C-3 Acme 1", "N-1 Acme 1"]
            && kept() == ["C-2 Acme", "C-3 Acme", "N-1 Acme"]
            && quiet()
    });
    // Two rows change numbers: neither takes the other one's away.
    for (id, to) in [(&ids["C-2"], "between"), (&ids["C-3"], "C-2"), (&ids["C-2"], "C-3")] {
        rename_in_dynamics(&stage.world, id, to);
    }
    stage.dynamics("PATCH", &format!("accounts({})", ids["C-2"]), r#"{"name": "Was two"}"#);
    stage.until("both", || {
        stage.buyers() == ["C-2 Acme 1", "C-3 Was two 1", "N-1 Acme 1"]
            && kept() == ["C-2 Acme", "C-3 Was two", "N-1 Acme"]
            && quiet()
    });
    // Where the new number is refused, the old one stays until somebody has dealt with it.
    let body = json!({ "accountnumber": "N-2", "name": "Poison" }).to_string();
    http(&stage.world.url, "PATCH", &format!("/api/data/v9.2/accounts({})", ids["C-1"]), &body);
    let letters = || stage.json(&["dead-letters", "list"]).as_array().unwrap().clone();
    stage.until("the dead letter", || letters().len() == 1 && kept() == ["C-2 Acme", "C-3 Was two", "N-2 Poison"]);
    assert_eq!(stage.buyers(), ["C-2 Acme 1", "C-3 Was two 1", "N-1 Acme 1"]);
    stage.sql("DROP TRIGGER refuse");
    stage.say(&["dead-letters", "retry", letters()[0]["id"].as_str().unwrap()]);
    stage.until("its new number", || stage.buyers() == ["C-2 Acme 1", "C-3 Was two 1", "N-2 Poison 1"] && quiet());
    stage.dynamics("DELETE", &format!("accounts({})", ids["C-1"]), "");
    stage.until("its deletion", || stage.buyers().len() == 2 && kept().len() == 2 && quiet());
}
