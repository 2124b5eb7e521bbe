//! Rows that Dynamics had before the hub: adopted where the match is unique, never doubled.

use serde_json::{Value as Json, json};

use crate::support::{World, http};

/// The name and e-mail address of a customer, as the mapping writes them.
fn customer(world: &World, at: usize) -> (String, Option<String>, Option<String>) {
    let (key, account) = world.expected().into_iter().filter(|(_, a)| a.email.is_some()).nth(at).unwrap();
    (key, account.name, account.email)
}

fn add(world: &World, row: &Json) -> String {
    http(&world.url, "POST", "/api/data/v9.2/accounts", &row.to_string());
    let filter = "/api/data/v9.2/accounts?$select=accountid&$orderby=createdon%20desc&$top=1";
    let page: Json = serde_json::from_str(&http(&world.url, "GET", filter, "")).unwrap();
    page["value"][0]["accountid"].as_str().unwrap().to_owned()
}

fn count(world: &World) -> usize {
    let page = http(&world.url, "GET", "/api/data/v9.2/accounts?$select=accountid", "");
    serde_json::from_str::<Json>(&page).unwrap()["value"].as_array().unwrap().len()
}

#[test]
fn a_unique_match_is_adopted_and_several_ask_a_person() {
    let world = World::new(30);
    let table = "    alternate_key: accountnumber";
    world.edit("systems/dynamics.yaml", table, &format!("{table}\n    match_existing: [name, emailaddress1]"));
    let (unique, name, email) = customer(&world, 0);
    add(&world, &json!({ "name": name, "emailaddress1": email, "telephone1": "kept" }));
    let (twice, name, email) = customer(&world, 1);
    for _ in 0..2 {
        add(&world, &json!({ "name": name, "emailaddress1": email }));
    }
    // It has a key of its own, so it is another record, however alike.
    let (keyed, name, email) = customer(&world, 2);
    add(&world, &json!({ "name": name, "emailaddress1": email, "accountnumber": "OTHER-1" }));

    let plan = world.ironbridge(&["--format", "json", "plan", "customers"]);
    let plan: Json = serde_json::from_str(&plan.out).unwrap();
    let run = world.run();
    assert!(run["error"].is_null(), "{run:#}");
    assert_eq!((&plan["create"], &plan["update"]), (&run["created"], &run["updated"]));
    assert_eq!(run["updated"], json!(1), "{run:#}");
    assert_eq!(run["rejected_by_code"]["IB0709"], json!(1), "{run:#}");
    let accounts = world.accounts();
    assert!(accounts.contains_key(&unique) && accounts.contains_key(&keyed) && !accounts.contains_key(&twice));
    assert_eq!(count(&world), accounts.len() + 2, "the two that match one customer are left as they were");
    let kept = format!("/api/data/v9.2/accounts(accountnumber='{unique}')?$select=telephone1");
    assert!(http(&world.url, "GET", &kept, "").contains("kept"));

    world.reset_stats();
    assert_eq!(world.run()["created"], json!(0));
    assert_eq!(world.rows_written(), 0);
}
