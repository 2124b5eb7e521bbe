//! Whatever is in the source: a second run writes nothing.

use proptest::prelude::*;
use rusqlite::{Connection, params};

use crate::database::Database;
use crate::support::World;

#[derive(Debug, Clone)]
struct Customer {
    name: String,
    email: Option<String>,
    limit: Option<String>,
    terms: Option<&'static str>,
    parent: Option<usize>,
}

fn customer() -> impl Strategy<Value = Customer> {
    let name = prop_oneof!["[ a-zA-Z0-9.&'éßøЖ中🚀-]{0,40}", Just("e\u{301}tude ".to_owned()), "[a-z]{155,165}"];
    let email = proptest::option::of("[A-Za-z ]{0,12}@[a-z]{1,8}\\.example");
    let limit = proptest::option::of(prop_oneof![
        (0i64..100_000_000, 0u32..=2).prop_map(|(n, scale)| record::Decimal::new(n, scale).to_string()),
        Just("12.34567".to_owned()),
    ]);
    let terms = proptest::option::of(prop_oneof![Just("30"), Just("60"), Just("PP"), Just("99")]);
    (name, email, limit, terms, proptest::option::of(0usize..60))
        .prop_map(|(name, email, limit, terms, parent)| Customer { name, email, limit, terms, parent })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn writes_nothing(customers in proptest::collection::vec(customer(), 1..60)) {
        let world = World::new(10);
        let conn = Connection::open(world.finance()).unwrap();
        conn.execute("DELETE FROM customers", []).unwrap();
        for (at, c) in customers.iter().enumerate() {
            conn.execute(
                "INSERT INTO customers (customer_no, company_name, contact_email, credit_limit, terms_code, parent_no, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, '2026-01-01T00:00:00Z')",
                params![format!("C-{at}"), c.name, c.email, c.limit, c.terms, c.parent.map(|p| format!("C-{p}"))],
            ).unwrap();
        }
        world.edit("integrations/customers.yaml", "schedule:", "stop_after: { rejected: 1000, or: 100 %, first_rows_alike: 1000 }\nschedule:");
        let first = world.run();
        prop_assert!(first["error"].is_null(), "{first:#}");
        prop_assert_eq!(first["read"].as_u64(), Some(customers.len() as u64));
        world.reset_stats();
        let second = world.run();
        prop_assert!(second["error"].is_null(), "{second:#}");
        prop_assert_eq!(world.rows_written(), 0, "{:#}", second);
        // And once more with nothing remembered: what Dynamics holds is recognised and adopted.
        std::fs::remove_dir_all(world.dir.join(".ironbridge")).unwrap();
        let third = world.run();
        prop_assert_eq!(world.rows_written(), 0, "{:#}", third);
        prop_assert_eq!(third["rejected"].clone(), first["rejected"].clone());
    }
}

#[test]
fn keys_that_differ_in_an_accent_or_in_how_it_is_written_are_one_in_dynamics() {
    let world = World::new(10);
    let add = |key: &str| {
        world.sql(&format!(
            "INSERT INTO customers (customer_no, company_name, updated_at) VALUES ('{key}', '(sample) {key}', '2026-01-01T00:00:00Z')"
        ));
    };
    ["CAF\u{c9}-1", "cafe-1", "Zo\u{eb}", "Zoe\u{308}", "\u{d8}re", "Ore"].into_iter().for_each(add);
    world.run();
    let letters = || world.ironbridge(&["--format", "json", "dead-letters", "list", "--code", "IB0402"]).ok().json();
    let keys = || {
        let letters = letters();
        let mut keys: Vec<String> =
            letters.as_array().unwrap().iter().map(|letter| letter["key"].as_str().unwrap().to_owned()).collect();
        keys.sort();
        keys
    };
    // The sample has two that differ in capitals; a letter of its own is another letter.
    let expected = ["C-1008", "CAF\u{c9}-1", "Zoe\u{308}", "Zo\u{eb}", "c-1008", "cafe-1"];
    assert_eq!(keys(), expected);
    // One that comes in a later run than the other.
    world.sql("INSERT INTO customers (customer_no, company_name, updated_at) VALUES ('\u{d3}re', '(sample) another', strftime('%Y-%m-%dT%H:%M:%SZ'))");
    world.run();
    assert!(keys().contains(&"\u{d3}re".to_owned()), "{:#}", letters());
}

#[test]
fn keys_that_a_database_takes_for_one_are_refused_and_the_others_go() {
    let own = "CREATE COLLATION own (provider = icu, locale = 'und-u-ks-level1', deterministic = false)";
    for (kind, before, key) in [
        ("mysql", "DO 0", "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"),
        ("postgres", own, "TEXT COLLATE own"),
        ("postgres", "CREATE EXTENSION citext", "CITEXT"),
    ] {
        let world = World::new(0);
        let Some(store) = Database::new(kind, "taken_for_one", &world.dir) else { return };
        store.sql(before);
        store.sql(&format!("CREATE TABLE buyers (no {key} PRIMARY KEY, name VARCHAR(200))"));
        if let Some(wire) = store.wire() {
            std::fs::write(world.dir.join("store.url"), &wire.url).unwrap();
        }
        let system = format!(
            "system: store\nkind: {kind}\nowner: finance-it\nconnection: {}\nentities: {{ customer: {{ table: buyers, alternate_key: no, write: {{ no: number, name: name }} }} }}\n",
            store.connection("store")
        );
        std::fs::write(world.dir.join("systems/store.yaml"), system).unwrap();
        world.edit("integrations/customers.yaml", "to: dynamics", "to: store");
        world.sql("DELETE FROM customers");
        for (at, no) in ["alone", "Mue", "M\u{fc}e", "case", "CASE", "\u{e9}x", "e\u{301}x"].iter().enumerate() {
            world.sql(&format!(
                "INSERT INTO customers (customer_no, company_name, updated_at) VALUES ('{no}', '(sample) {at}', '2026-01-01T00:00:00Z')"
            ));
        }
        world.run();
        let expected = if key == "CITEXT" { "Mue M\u{fc}e alone" } else { "alone" };
        let mut there = store.texts("SELECT CAST(no AS CHAR(40)) FROM buyers");
        there = there.iter().map(|no| no.trim().to_owned()).collect();
        there.sort();
        assert_eq!(there.join(" "), expected, "{key}");
        store.remove();
    }
}

#[test]
fn a_key_that_a_formula_makes_twice_writes_no_row_over_another() {
    let world = World::new(0);
    world.sql("DELETE FROM customers");
    world.edit("systems/dynamics.yaml", "accountnumber: number", "accountnumber: =Left(number, 6)");
    world.edit("systems/dynamics.yaml", "      parentaccountid: parent\n", "");
    let put = |no: &str, name: &str| {
        world.sql(&format!(
            "DELETE FROM customers WHERE customer_no = '{no}';
             INSERT INTO customers (customer_no, company_name, updated_at) VALUES ('{no}', '{name}', strftime('%Y-%m-%dT%H:%M:%SZ'))"
        ));
    };
    let name = || world.accounts().get("C-9001").and_then(|account| account.name.clone());
    let refused = |expected: &[&str]| {
        let letters = world.ironbridge(&["--format", "json", "dead-letters", "list"]).ok().json();
        let keys: Vec<&str> =
            letters.as_array().unwrap().iter().map(|letter| letter["key"].as_str().unwrap()).collect();
        assert_eq!(keys, expected, "{letters:#}");
        assert!(letters.as_array().unwrap().iter().all(|letter| letter["code"] == "IB0402"), "{letters:#}");
    };
    put("C-9001-A", "first");
    put("C-9001-B", "second");
    world.run();
    assert_eq!(name().as_deref(), Some("first"));
    refused(&["C-9001-B"]);
    // In a later run, alone, and with the plan that says so.
    put("C-9001-B", "changed");
    let plan = world.ironbridge(&["--format", "json", "plan", "customers"]);
    assert_eq!((&plan.json()["update"], &plan.json()["reject"]), (&0.into(), &1.into()), "{plan:#?}");
    world.run();
    assert_eq!(name().as_deref(), Some("first"));
    refused(&["C-9001-B"]);
    // The other one is gone: its row is that of this one now.
    world.sql("DELETE FROM customers WHERE customer_no = 'C-9001-A'");
    put("C-9001-B", "alone");
    world.run();
    assert_eq!(name().as_deref(), Some("alone"));
    refused(&[]);
}

#[test]
fn a_retried_dead_letter_is_read_again_by_the_next_run_and_a_discarded_one_stays_closed() {
    let world = World::new(20);
    world.sql("UPDATE customers SET terms_code = '99' WHERE customer_no = 'C-1002'");
    world.run();
    let letters = || world.ironbridge(&["--format", "json", "dead-letters", "list", "--all"]).json();
    let of = |key: &str| letters().as_array().unwrap().iter().find(|l| l["key"] == key).cloned().unwrap();
    let id = of("C-1002")["id"].as_str().unwrap().to_owned();
    assert_eq!(world.run()["rejected"], 0, "it has not changed, and is not rejected anew");
    let said = world.ironbridge(&["dead-letters", "retry", &id]).ok();
    assert!(said.out.contains("the next run of customers reads its row again"), "{said:?}");
    assert_eq!(of("C-1002")["state"], "retrying");
    world.run();
    assert_eq!((of("C-1002")["state"].as_str(), of("C-1002")["count"].as_u64()), (Some("open"), Some(2)));
    world.ironbridge(&["dead-letters", "discard", &id, "--note", "test data"]).ok();
    world.run();
    assert_eq!(of("C-1002")["state"], "discarded");
    world.ironbridge(&["dead-letters", "retry", &id]).fails(1, "IB1034");
}

#[test]
fn a_table_without_a_time_of_change_is_read_whole_each_time() {
    // More rows than come in one page.
    let world = World::new(6_500);
    let file = std::fs::read_to_string(world.dir.join("systems/finance.yaml")).unwrap();
    let line = file.lines().find(|line| line.trim_start().starts_with("watermark:")).unwrap();
    world.edit("systems/finance.yaml", &format!("{line}\n"), "");
    assert_eq!(world.run()["read"], 6_500);
    world.sql("UPDATE customers SET credit_limit = '4711' WHERE customer_no = 'C-1004'");
    let second = world.run();
    assert_eq!((&second["read"], &second["updated"]), (&6_500.into(), &1.into()), "{second:#}");
    assert_eq!(world.accounts(), world.expected());
}
