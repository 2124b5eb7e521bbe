//! The first ten minutes.

use crate::support::{World, binary, said};

/// Good rows of the sample, which has six bad ones.
const CUSTOMERS: usize = 300;
const BAD: u64 = 6;

#[test]
fn a_finance_customer_reaches_dynamics_and_a_second_run_writes_nothing() {
    let world = World::new(CUSTOMERS);
    assert!(world.ironbridge(&["check"]).ok().out.contains("2 systems, 1 entity, 1 integration"));
    let online = world.ironbridge(&["check", "--online"]).ok();
    assert!(online.out.contains("customers: fits its systems"), "{online:#?}");

    let plan = world.ironbridge(&["--format", "json", "plan", "customers"]);
    assert_eq!(plan.code, Some(3));
    let plan = plan.json();
    assert_eq!(world.rows_written(), 0, "a plan writes nothing");

    let first = world.run();
    assert_eq!(first["state"], "ok_with_dead_letters", "{first:#}");
    assert_eq!(first["read"], CUSTOMERS as u64);
    assert_eq!(first["rejected"], BAD);
    assert_eq!((&first["created"], &first["rejected"]), (&plan["create"], &plan["reject"]), "the plan said so");
    assert_eq!(world.accounts(), world.expected());

    world.reset_stats();
    let second = world.run();
    assert_eq!((second["created"].as_u64(), second["updated"].as_u64()), (Some(0), Some(0)), "{second:#}");
    assert_eq!(world.rows_written(), 0);
    assert_eq!(world.ironbridge(&["plan", "customers"]).code, Some(0));
}

#[test]
fn a_changed_row_writes_one_and_the_plan_shows_old_and_new() {
    let world = World::new(CUSTOMERS);
    world.run();
    world.sql(
        "UPDATE customers SET credit_limit = '77123.45', updated_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now')
         WHERE customer_no = 'C-1001'",
    );
    world.reset_stats();
    let plan = world.ironbridge(&["plan", "customers"]);
    assert_eq!(plan.code, Some(3));
    assert!(plan.out.contains("~ update customer C-1001") && plan.out.contains("-> 77123.45"), "{plan:#?}");
    let run = world.run();
    assert_eq!((run["created"].as_u64(), run["updated"].as_u64()), (Some(0), Some(1)), "{run:#}");
    assert_eq!(world.rows_written(), 1);
    assert_eq!(world.accounts()["C-1001"].credit_limit.as_deref(), Some("77123.45"));
}

#[test]
fn a_plan_shows_the_first_rows_of_each_kind_or_every_row() {
    let world = World::new(CUSTOMERS);
    let count = |out: &str| out.lines().filter(|line| line.starts_with("+ create customer ")).count();
    let plan = world.ironbridge(&["plan", "customers"]);
    let (_, more) = plan.out.split_once("… and ").unwrap();
    let more: usize = more.split(' ').next().unwrap().parse().unwrap();
    let detailed = world.ironbridge(&["plan", "customers", "--detailed"]);
    assert_eq!((plan.code, detailed.code, count(&plan.out)), (Some(3), Some(3), 10), "{plan:#?}");
    assert_eq!(count(&detailed.out), 10 + more, "{detailed:#?}");
    assert!(!detailed.out.contains("… and ") && !detailed.out.contains(".example"), "the e-mail is personal");
    let json = world.ironbridge(&["--format", "json", "plan", "customers"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let creates = json["rows"].as_array().unwrap().iter().filter(|row| row["effect"] == "create").count();
    assert_eq!((creates, json["create"].as_u64()), (10 + more, Some(creates as u64)));
    assert!(world.accounts().is_empty());
}

#[test]
fn bad_rows_are_dead_letters_until_they_are_good() {
    let world = World::new(CUSTOMERS);
    world.run();
    let list = world.ironbridge(&["--format", "json", "dead-letters", "list"]).ok().json();
    let mut codes: Vec<&str> = list.as_array().unwrap().iter().map(|l| l["code"].as_str().unwrap()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["IB0401", "IB0401", "IB0402", "IB0402", "IB0411", "IB0412"]);

    let unknown = list.as_array().unwrap().iter().find(|l| l["code"] == "IB0412").unwrap();
    let (id, key) = (unknown["id"].as_str().unwrap(), unknown["key"].as_str().unwrap());
    let shown = world.ironbridge(&["dead-letters", "show", &id[..8]]).ok();
    for part in ["`99`", "terms_code", "systems/finance.yaml:", "ironbridge explain IB0412"] {
        assert!(shown.out.contains(part), "no {part} in {}", shown.out);
    }
    assert!(!shown.out.contains(".example"), "the e-mail is personal: {}", shown.out);

    world.sql(&format!(
        "UPDATE customers SET terms_code = '30', updated_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE customer_no = '{key}'"
    ));
    assert_eq!(world.run()["created"], 1);
    let closed = world.ironbridge(&["--format", "json", "dead-letters", "show", id]).ok().json();
    assert_eq!(closed["state"], "superseded");
    assert_eq!(world.accounts(), world.expected());
}

#[test]
fn what_the_commands_say_of_it() {
    let world = World::new(20);
    assert!(world.ironbridge(&["runs"]).ok().err.contains("Nothing has run yet"));
    world.run();
    let runs = world.ironbridge(&["runs"]).ok().out;
    assert!(runs.contains("ok_with_dead_letters") && runs.contains("command"), "{runs}");
    let status = world.ironbridge(&["--format", "json", "status"]).ok().json();
    assert_eq!(status[0]["dead_letters"], BAD);
    assert!(status[0]["next"].is_string(), "{status}");
    let show = world.ironbridge(&["show", "customers"]).ok().out;
    assert!(show.contains("schedule: every 15 minutes") && show.contains("# integrations/customers.yaml:8"), "{show}");
    assert!(show.contains("# default"), "{show}");
    let page = world.ironbridge(&["explain", "ib0412"]).ok().out;
    assert!(page.starts_with("# IB0412: "), "{page}");
}

#[test]
fn a_sample_drafts_an_entity_that_loads() {
    let world = World::new(20);
    let csv = world.dir.join("Article Prices.csv");
    std::fs::write(&csv, "Nr;Name;Amount\nA-1;Bolt;1.50\nA-2;Nut;2\n").unwrap();
    let drafted = world.ironbridge(&["init", "--from-sample", csv.to_str().unwrap()]).ok().out;
    assert!(
        drafted.contains("entity: article_prices\nkey: nr\n") && drafted.contains("      Amount: decimal"),
        "{drafted}"
    );
    let entity = drafted.split("# systems/").next().unwrap();
    std::fs::write(world.dir.join("entities/article_prices.yaml"), entity).unwrap();
    assert!(world.ironbridge(&["check"]).ok().out.contains("2 entities"));
    let live = world.ironbridge(&["init", "--from-sample", "finance.customers", "--entity", "debtor"]).ok();
    assert!(live.out.contains("entity: debtor") && live.out.contains("credit_limit: { type: decimal"), "{live:#?}");
    // A run of it finds its table, whose columns nobody has to declare.
    assert!(live.out.contains("  debtor:\n    table: customers\n    read:\n"), "{live:#?}");
    world.ironbridge(&["init", "--from-sample", "nothing.here"]).fails(2, "IB0009");
}

#[test]
fn demo_once_is_a_full_round() {
    let said = said(binary().args(["demo", "--once"]).output().unwrap()).ok();
    for line in ["first sync", "again: nothing to write", "one row changed: one written"] {
        let row = said.out.lines().find(|l| l.starts_with(line)).unwrap_or_else(|| panic!("{said:#?}"));
        assert!(row.ends_with("ok"), "{row}");
    }
    // Whoever asks for a limit can be told what came of it.
    assert!(!said.err.contains("no way leads there"), "{}", said.err);
}
