//! What was edited behind the hub's back: found by comparing, reported or written over.

use serde_json::{Value as Json, json};

use crate::support::{World, http};

fn world(drift: &str) -> (World, String) {
    let world = World::new(30);
    let lines = format!("compare_live: every 1 second\n{drift}\nschedule:");
    world.edit("integrations/customers.yaml", "schedule:", &lines);
    let first = world.run();
    assert!(first["error"].is_null(), "{first:#}");
    let path = "/api/data/v9.2/accounts?$select=accountid&$orderby=accountnumber&$top=1";
    let page: Json = serde_json::from_str(&http(&world.url, "GET", path, "")).unwrap();
    let account = page["value"][0]["accountid"].as_str().unwrap();
    http(&world.url, "PATCH", &format!("/api/data/v9.2/accounts({account})"), r#"{"name": "Edited by hand"}"#);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    (world, account.to_owned())
}

#[test]
fn is_reported_and_left_alone() {
    let (world, account) = world("drift: report");
    world.reset_stats();
    let planned = world.ironbridge(&["--format", "json", "plan", "customers"]).json();
    let run = world.run();
    assert_eq!(run["rejected_by_code"], json!({ "IB0708": 1 }), "{run:#}");
    assert_eq!((&planned["reject"], &planned["update"]), (&run["rejected"], &json!(0)));
    assert_eq!(world.rows_written(), 0);
    let letters = world.ironbridge(&["--format", "json", "dead-letters", "list", "--code", "IB0708"]).json();
    assert_eq!(letters.as_array().unwrap().len(), 1);
    assert!(letters[0]["what"].as_str().unwrap().ends_with("in: name"), "{letters:#}");
    // Changed back by hand: the next comparison closes the dead letter.
    let good = world.expected().into_values().find(|a| !world.accounts().values().any(|b| a.name == b.name)).unwrap();
    let body = json!({ "name": good.name }).to_string();
    http(&world.url, "PATCH", &format!("/api/data/v9.2/accounts({account})"), &body);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert_eq!(world.run()["rejected"], json!(0));
    let letters = world.ironbridge(&["--format", "json", "dead-letters", "list", "--code", "IB0708"]).json();
    assert_eq!(letters, json!([]));
}

/// However much was edited there, it is told, and what is new in the source goes on.
#[test]
fn stops_no_run() {
    let (world, _) = world("drift: report\nstop_after: { rejected: 10, or: 100 % }");
    for number in world.accounts().keys() {
        let path = format!("/api/data/v9.2/accounts(accountnumber='{number}')");
        http(&world.url, "PATCH", &path, r#"{"name": "Edited by hand"}"#);
    }
    world.sql("INSERT INTO customers (customer_no, company_name, terms_code, updated_at) VALUES ('C-9', 'New (sample)', '30', strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))");
    let edited = world.accounts().len();
    let run = world.run();
    assert!(run["error"].is_null(), "{run:#}");
    assert_eq!((&run["created"], &run["rejected_by_code"]), (&json!(1), &json!({ "IB0708": edited })), "{run:#}");
}

#[test]
fn is_written_over_where_the_source_is_right() {
    let (world, _) = world("drift: overwrite");
    let planned = world.ironbridge(&["--format", "json", "plan", "customers"]).json();
    let run = world.run();
    assert_eq!((&run["updated"], &run["rejected"]), (&json!(1), &json!(0)), "{run:#}");
    assert_eq!(planned["update"], json!(1));
    assert_eq!(world.accounts(), world.expected());
}
