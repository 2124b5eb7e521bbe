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
