//! Whatever is in the source: a second run writes nothing.

use proptest::prelude::*;
use rusqlite::{Connection, params};

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
