//! Runs that somebody has to look at first.

use serde_json::{Value as Json, json};

use crate::support::{Said, World, http};

const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

fn world(ask: &str) -> World {
    let world = World::new(30);
    world.sql("DELETE FROM customers WHERE customer_no IS NULL OR terms_code NOT IN ('30','60','PP')");
    world.sql("UPDATE customers SET parent_no = NULL");
    world.edit("integrations/customers.yaml", "schedule:", &format!("{ask}\nschedule:"));
    let people = "people:\n  controller: { name: (sample) credit controller, email: controller@contoso.example }\n";
    let groups = "groups:\n  credit-control: { members: [controller] }\n";
    world.edit("people.yaml", "groups:\n", &format!("{people}{groups}"));
    world
}

fn approvals(world: &World) -> Vec<Json> {
    let list = world.ironbridge(&["--format", "json", "approvals", "list", "--all"]).ok().json();
    list.as_array().unwrap().clone()
}

fn states(world: &World) -> Vec<String> {
    approvals(world).iter().map(|a| a["state"].as_str().unwrap().to_owned()).collect()
}

fn decide(world: &World, verb: &str, id: &str, more: &[&str]) -> Said {
    let args: Vec<&str> = ["approvals", verb, id].into_iter().chain(more.iter().copied()).collect();
    world.ironbridge(&args)
}

fn change(world: &World, limit: u32, rows: usize) {
    world.sql(&format!(
        "UPDATE customers SET credit_limit = '{limit}.50', contact_email = 'p{limit}@personal.example', updated_at = {NOW}
         WHERE rowid IN (SELECT rowid FROM customers ORDER BY rowid LIMIT {rows})"
    ));
}

/// A webhook step on updates of the credit limit, a real-time workflow on creation, a flow on both.
fn automations(world: &World) {
    let post = |set: &str, body: &Json| http(&world.url, "POST", &format!("/api/data/v9.2/{set}"), &body.to_string());
    let id = |set: &str, column: &str, filter: &str| {
        let path = format!("/api/data/v9.2/{set}?$select={column}&$filter={}", filter.replace(' ', "%20"));
        let page: Json = serde_json::from_str(&http(&world.url, "GET", &path, "")).unwrap();
        page["value"][0][column].as_str().unwrap_or_else(|| panic!("{page}")).to_owned()
    };
    post(
        "serviceendpoints",
        &json!({
            "name": "audit", "contract": 8, "authtype": 4, "url": "http://127.0.0.1:9/none", "authvalue": "k",
        }),
    );
    let endpoint = id("serviceendpoints", "serviceendpointid", "name eq 'audit'");
    let message = id("sdkmessages", "sdkmessageid", "name eq 'Update'");
    let filter = id(
        "sdkmessagefilters",
        "sdkmessagefilterid",
        &format!("primaryobjecttypecode eq 'account' and _sdkmessageid_value eq {message}"),
    );
    post(
        "sdkmessageprocessingsteps",
        &json!({
            "name": "audit of limits", "mode": 1, "stage": 40, "rank": 1, "filteringattributes": "creditlimit",
            "sdkmessageid@odata.bind": format!("/sdkmessages({message})"),
            "sdkmessagefilterid@odata.bind": format!("/sdkmessagefilters({filter})"),
            "eventhandler_serviceendpoint@odata.bind": format!("/serviceendpoints({endpoint})"),
        }),
    );
    post(
        "workflows",
        &json!({
            "name": "welcome", "primaryentity": "account", "type": 1, "category": 0, "mode": 1, "triggeroncreate": true,
            "statecode": 1, "statuscode": 2,
        }),
    );
    post("callbackregistrations", &json!({ "name": "Tell sales", "entityname": "account", "message": 4 }));
}

#[test]
fn a_first_load_waits_for_a_yes_and_is_written_once() {
    let world = world("first_load: { approve: credit-control }");
    automations(&world);
    world.reset_stats();
    let waits = world.ironbridge(&["run", "customers"]).ok();
    assert!(waits.out.contains("waits until somebody has looked"), "{waits:#?}");
    // The next slot does not ask twice.
    let again = world.run();
    assert_eq!((&again["state"], &again["approval"]), (&json!("waiting_for_approval"), &json!(1)), "{again:#}");
    assert_eq!(states(&world), ["open"]);
    assert_eq!(world.rows_written(), 0);
    let shown = decide(&world, "show", "1", &[]).ok();
    let rows = world.expected().len();
    for part in [
        &format!("may it create {rows} rows in `dynamics`? credit-control is asked, since it is the first load"),
        "create customer C-1001",
        &format!("workflow `welcome` on account, {rows} times, and each write waits for it"),
        &format!("flow `Tell sales` on account, {rows} times"),
        "emailaddress1: ***",
    ] {
        assert!(shown.out.contains(part), "no `{part}` in {shown:#?}");
    }
    assert!(!shown.out.contains("audit of limits"), "nothing is updated: {shown:#?}");
    let status = world.ironbridge(&["status"]).ok();
    assert!(status.out.contains("waiting_for_approval") && status.err.contains("approvals show 1"), "{status:#?}");

    decide(&world, "approve", "1", &["--by", "somebody"]).fails(2, "IB0735");
    decide(&world, "approve", "7", &["--by", "controller"]).fails(2, "IB0002");
    decide(&world, "approve", "1", &["--by", "controller", "--comment", "as agreed"]).ok();
    decide(&world, "reject", "1", &["--by", "controller"]).fails(1, "IB0735");
    assert_eq!(states(&world), ["approved"]);
    let run = world.run();
    assert!(run["error"].is_null(), "{run:#}");
    assert_eq!(run["created"], json!(rows), "{run:#}");
    assert_eq!(world.accounts(), world.expected());
    assert_eq!(states(&world), ["used"]);
    assert_eq!(approvals(&world)[0]["used_by_run"], run["run"]);
    // It was the first load, and is no more.
    change(&world, 10, 3);
    assert_eq!(world.run()["updated"], json!(3));
    assert_eq!(states(&world), ["used"]);
}

#[test]
fn a_changed_world_renews_the_question_and_a_no_writes_nothing() {
    let world = world("approve: { when: '=changes.updated > 4 || changes.percent >= 50', by: credit-control }");
    automations(&world);
    world.sql("CREATE TABLE rest AS SELECT * FROM customers; DELETE FROM customers WHERE rowid > 4");
    assert_eq!(world.run()["approval"], json!(1), "everything is more than half of nothing");
    decide(&world, "approve", "1", &["--by", "controller"]).ok();
    world.run();
    world.sql("INSERT INTO customers SELECT * FROM rest WHERE customer_no NOT IN (SELECT customer_no FROM customers)");
    assert_eq!(world.run()["approval"], json!(2));
    decide(&world, "approve", "2", &["--by", "controller"]).ok();
    assert!(world.run()["error"].is_null());
    change(&world, 20, 2);
    assert_eq!(world.run()["updated"], json!(2), "so few need nobody");

    world.reset_stats();
    change(&world, 30, 6);
    assert_eq!(world.run()["approval"], json!(3));
    let shown = decide(&world, "show", "3", &[]).ok();
    assert!(shown.out.contains("webhook `audit of limits` on account, 6 times"), "{shown:#?}");
    change(&world, 40, 7);
    assert_eq!(world.run()["approval"], json!(4));
    assert_eq!(states(&world)[..2], ["open", "superseded"]);
    decide(&world, "approve", "3", &["--by", "controller"]).fails(1, "IB0735");
    // Approved, and then the world moves: what was approved is not what would be written.
    decide(&world, "approve", "4", &["--by", "controller"]).ok();
    change(&world, 50, 7);
    assert_eq!(world.run()["approval"], json!(5));
    assert_eq!(states(&world)[..2], ["open", "superseded"]);
    decide(&world, "reject", "5", &["--by", "controller", "--comment", "not before the audit"]).ok();
    for _ in 0..2 {
        let no = world.ironbridge(&["run", "customers"]).fails(1, "IB0733");
        assert!(no.err.contains("controller said no") && no.err.contains("not before the audit"), "{no:#?}");
    }
    let runs = world.ironbridge(&["--format", "json", "runs"]).ok().json();
    assert_eq!(runs[0]["state"], json!("not_approved"));
    assert_eq!(world.rows_written(), 0);
    // Changed their mind.
    decide(&world, "approve", "5", &["--by", "controller"]).ok();
    assert_eq!(world.run()["updated"], json!(7));
    assert_eq!(world.accounts(), world.expected());
    // A question that nobody needs to answer any more is closed.
    change(&world, 60, 6);
    assert_eq!(world.run()["approval"], json!(6));
    change(&world, 50, 6);
    assert!(world.run()["approval"].is_null());
    assert_eq!(states(&world)[0], "superseded");
}

#[test]
fn what_was_approved_goes_on_after_a_kill_without_asking_again() {
    for failpoint in ["sink.before@1=abort", "sink.after@1=abort", "commit.before@3=abort", "commit.after@3=abort"] {
        let world = world("first_load: { approve: credit-control }");
        world.edit(
            "systems/dynamics.yaml",
            "connection: { ",
            "connection: { batch_rows: 5, create_rows: 5, concurrency: 1, ",
        );
        world.run();
        decide(&world, "approve", "1", &["--by", "controller"]).ok();
        world.with_failpoints(&["run", "customers"], failpoint);
        let run = world.run();
        assert!(run["error"].is_null(), "{failpoint}: {run:#}");
        assert_eq!(world.accounts(), world.expected(), "{failpoint}");
        assert_eq!(states(&world), ["used"], "{failpoint}");
    }
}

#[test]
fn a_saved_plan_does_not_get_around_an_approval() {
    let world = world("first_load: { approve: credit-control }");
    let file = world.dir.join("plan.json");
    let file = file.to_str().unwrap();
    world.ironbridge(&["plan", "customers", "--save", file]);
    world.reset_stats();
    let waits = world.ironbridge(&["run", "customers", "--plan", file]).ok();
    assert!(waits.out.contains("waits until somebody has looked"), "{waits:#?}");
    assert_eq!(world.rows_written(), 0);
    decide(&world, "approve", "1", &["--by", "controller"]).ok();
    world.ironbridge(&["run", "customers", "--plan", file]).ok();
    assert_eq!(world.accounts(), world.expected());
}

#[test]
fn a_question_and_a_yes_hold_for_a_week() {
    let world = world("first_load: { approve: credit-control }");
    assert_eq!(world.run()["approval"], json!(1));
    let days = |days: i64, args: &[&str]| world.with_clock(args, "", days * 86_400);
    let approve = |id: &str| ["approvals", "approve", id, "--by", "controller"].map(str::to_owned);
    let approve = |after: i64, id: &str| days(after, &approve(id).iter().map(String::as_str).collect::<Vec<_>>());

    let late = approve(8, "1").fails(1, "IB0735");
    assert!(late.err.contains("approval 1 has expired: it was to be answered until"), "{late:#?}");
    assert!(late.err.contains(&world.typed("run customers")), "{late:#?}");
    let shown = days(8, &["approvals", "show", "1"]).ok();
    assert!(shown.out.contains("it is expired") && shown.out.contains("it held until"), "{shown:#?}");
    let listed = days(8, &["--format", "json", "approvals", "list"]).ok().json();
    assert_eq!(listed[0]["state"], "expired", "{listed:#}");

    // The next run asks again, and a yes to that is good for a week, too.
    let again = days(8, &["--format", "json", "run", "customers"]).json();
    assert_eq!((&again["state"], &again["approval"]), (&json!("waiting_for_approval"), &json!(2)), "{again:#}");
    approve(9, "2").ok();
    let late = days(16, &["--format", "json", "run", "customers"]).json();
    assert_eq!((&late["state"], &late["approval"]), (&json!("waiting_for_approval"), &json!(3)), "{late:#}");
    assert_eq!(world.rows_written(), 0);
    approve(17, "3").ok();
    let run = days(18, &["--format", "json", "run", "customers"]).json();
    assert!(run["error"].is_null() && run["created"].as_u64() > Some(0), "{run:#}");
    assert_eq!(states(&world), ["used", "superseded", "superseded"]);
}

#[test]
fn a_window_that_is_read_again_takes_no_question_and_no_answer_with_it() {
    let world = world("approve: { when: =changes.count > 3, by: credit-control }");
    world.edit("integrations/customers.yaml", "approve:", "#approve:");
    world.run();
    world.edit("integrations/customers.yaml", "#approve:", "approve:");
    change(&world, 20, 5);
    assert_eq!(world.run()["state"], "waiting_for_approval");
    let window = || world.ironbridge(&["run", "customers", "--from", "2020-01-01", "--to", "2020-01-02"]).ok();
    window();
    assert_eq!(states(&world), ["open"]);
    decide(&world, "approve", "1", &["--by", "controller"]).ok();
    window();
    assert_eq!(states(&world), ["approved"]);
    assert_eq!(world.run()["updated"], 5);
    assert_eq!(states(&world), ["used"]);
}

#[test]
fn a_window_asks_for_itself() {
    let world = world("approve: { when: =changes.count > 3, by: credit-control }");
    let window = ["run", "customers", "--from", "2020-01-01T00:00:00Z", "--to", "2030-01-01T00:00:00Z"];
    world.ironbridge(&window).ok();
    assert_eq!((states(&world), world.rows_written()), (vec!["open".into()], 0));
    // A run asks about everything, beside it.
    assert_eq!(world.run()["state"], "waiting_for_approval");
    assert_eq!(states(&world), ["open", "open"]);
    let approved = decide(&world, "approve", "1", &["--by", "controller"]).ok();
    let again = world.typed("run customers --from 2020-01-01T00:00:00Z --to 2030-01-01T00:00:00Z");
    assert!(approved.err.contains(&again), "{approved:#?}");
    // The yes is for the window alone.
    assert_eq!((world.run()["state"].clone(), world.rows_written()), (json!("waiting_for_approval"), 0));
    world.ironbridge(&window).ok();
    assert!(world.rows_written() > 0);
    assert_eq!(states(&world), ["open", "used"]);
}

/// What a table refuses is foreseen, and keeps nobody from writing the rest: once it is new, and once it is a dead letter.
#[test]
fn a_row_that_its_destination_refuses_does_not_hold_up_what_was_approved() {
    let world = world("approve: { when: '=changes.count > 0', by: credit-control }");
    let held = "system: archive\nkind: sqlite\nowner: finance-it\nconnection: { file: data/archive.db }\nentities:\n  customer:\n    \
                table: kept\n    alternate_key: no\n    write: { no: number, name: name, mail: email, terms: =Text(terms) }\n    personal_because: Audits need to know whom we wrote to.\n";
    std::fs::write(world.dir.join("systems/archive.yaml"), held).unwrap();
    world.edit("integrations/customers.yaml", "to: dynamics", "to: archive");
    let archive = rusqlite::Connection::open(world.dir.join("data/archive.db")).unwrap();
    let make = "CREATE TABLE kept (no TEXT PRIMARY KEY, name TEXT, mail TEXT NOT NULL, terms TEXT)";
    archive.execute_batch(make).unwrap();
    let yes = |id: &str| drop(decide(&world, "approve", id, &["--by", "controller"]).ok());
    world.sql("DELETE FROM customers WHERE rowid > 6");
    world.sql("UPDATE customers SET contact_email = customer_no || '@sample.example', company_name = 'Sample'");
    world.sql("UPDATE customers SET contact_email = NULL WHERE rowid = 2");
    let plan = world.ironbridge(&["--format", "json", "plan", "customers"]).json();
    let (rows, rejected) = (plan["create"].as_u64().unwrap(), &plan["rejected_by_code"]);
    assert_eq!((plan["reject"].as_u64(), rejected), (Some(1), &json!({ "IB0512": 1 })), "{plan:#}");
    assert_eq!(world.run()["approval"], json!(1));
    yes("1");
    let run = world.run();
    assert!(run["error"].is_null(), "{run:#}");
    assert_eq!((&run["created"], &run["rejected_by_code"]), (&json!(rows), rejected), "{run:#}");

    world.sql(&format!("UPDATE customers SET company_name = 'Renamed (sample)', updated_at = {NOW} WHERE rowid = 1"));
    world.ironbridge(&["state", "reset", "customers"]).ok();
    assert_eq!(world.run()["approval"], json!(2));
    yes("2");
    let run = world.run();
    assert!(run["error"].is_null(), "{run:#}");
    assert_eq!((&run["updated"], &run["rejected"], &run["skipped"]), (&json!(1), &json!(0), &json!(1)), "{run:#}");
}
