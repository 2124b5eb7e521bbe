//! The examples of the format load, whatever is built so far.

use std::path::Path;

use definition::{LoadOptions, Loaded, load};

pub fn contoso(environment: Option<&str>) -> Loaded {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/contoso");
    load(&dir, &LoadOptions { environment, kinds: super::kinds::KINDS, ..LoadOptions::default() })
}

#[test]
fn the_examples_load_without_a_diagnostic() {
    for environment in [None, Some("production")] {
        let loaded = contoso(environment);
        assert!(loaded.diagnostics.is_empty(), "{}", loaded.render(false, 140));
        let project = loaded.project.expect("there is no diagnostic");
        assert_eq!(project.integrations.len(), 6);
        assert_eq!(project.protected(), environment.is_some());
    }
}

#[test]
fn the_examples_become_plain_data() {
    use definition::{
        Deletes, Direction, Expectation, Happening, MinRows, NeededBy, Pattern, Rows, Schedule, StepKind, Wait,
    };
    use std::time::Duration;

    let project = contoso(None).project.unwrap();
    assert_eq!(project.hub.name, "contoso");
    assert_eq!(project.addresses("credit-control"), ["controller@contoso.example"]);

    let Pattern::Batch(batch) = &project.integration("customers-and-contacts").unwrap().pattern else { panic!() };
    assert_eq!(batch.entities, ["customer", "contact"]);
    assert_eq!(batch.direction, Direction::OneWay { from: "finance".into(), to: "dynamics".into() });
    assert_eq!(batch.schedule, Schedule::Every(Duration::from_secs(900)));
    assert_eq!(batch.needed_by, Some(NeededBy::Within(Duration::from_secs(3600))));
    assert_eq!(batch.deletes, Deletes::Deactivate);
    assert_eq!(batch.compare_live, Some(Duration::from_secs(7 * 86_400)));

    let Pattern::Batch(prices) = &project.integration("prices").unwrap().pattern else { panic!() };
    assert_eq!(prices.min_rows, Some(MinRows::OfUsual(80.into())));

    let Pattern::Event(orders) = &project.integration("orders").unwrap().pattern else { panic!() };
    assert_eq!(orders.retry_for, Duration::from_secs(1800));
    assert_eq!(orders.trigger.if_.as_deref(), Some("status = \"submitted\""));
    assert!(orders.hold_key && orders.trigger.created && !orders.trigger.deleted);

    let Pattern::Flow(flow) = &project.integration("credit-limit").unwrap().pattern else { panic!() };
    assert_eq!((flow.expected, flow.ceiling), (Some(30), 200));
    let StepKind::If { otherwise, .. } = &flow.steps[0].kind else { panic!() };
    let StepKind::Approve(approval) = &otherwise[0].kind else { panic!() };
    assert_eq!(approval.deadline, Wait::WorkingDays(5));
    assert_eq!(otherwise[0].path, "steps[0].else[0]");
    assert_eq!(project.integration("credit-limit").unwrap().systems(), ["dynamics", "finance"]);

    let finance = project.system("finance").unwrap();
    let customer = finance.entity("customer").unwrap();
    assert_eq!(customer.watermark.as_ref().unwrap().overlap, Duration::from_secs(300));
    // The key of the table is where the entity's key is read from, and it is written too.
    assert_eq!(customer.alternate_key, ["customer_no"]);
    assert_eq!(customer.write.last().unwrap().target, "customer_no");
    // Finance masters the limit, so no sync writes it there.
    let entity = project.entity("customer").unwrap();
    let synced: Vec<String> = finance.sync_rules(customer, entity).into_iter().map(|rule| rule.target).collect();
    assert_eq!(synced, ["contact_email", "customer_no"]);

    let test = &project.tests[0];
    assert_eq!(test.when, Happening::Run("customers-and-contacts".into()));
    assert_eq!(test.given[0].2[0]["company_name"], " Acme ");
    assert_eq!(
        test.then[0],
        Expectation::Rows { system: "dynamics".into(), table: "account".into(), rows: Rows::None }
    );
    let Expectation::DeadLetters(Rows::These(rows)) = &test.then[1] else { panic!() };
    assert_eq!(rows[0]["code"], "IB0412");
}
