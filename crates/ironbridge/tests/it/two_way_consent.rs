//! Both ways: plans that are saved and applied, approvals, limits, comparisons, and rows that point to each other.

use serde_json::{Value as Json, json};

use crate::support::Said;
use crate::two_way::Pair;

const NAME: &str = "customers-two-way";

fn sample() -> Pair {
    let pair = Pair::new();
    pair.client("C-1", "Only finance (sample)", "", "1000.00", "30");
    pair.client("C-2", "Both (sample)", "", "300", "PP");
    pair.account(
        "C-2",
        &json!({"name": "Both (sample)", "emailaddress1": "two@sample.example", "paymenttermscode": 10}),
    );
    pair.account("C-3", &json!({"name": "Only Dynamics (sample)", "emailaddress1": "three@sample.example"}));
    pair
}

fn plan_to(pair: &Pair, file: &str) {
    let said = pair.world.ironbridge(&["plan", NAME, "--save", pair.world.dir.join(file).to_str().unwrap()]);
    assert_eq!(said.code, Some(3), "there is something to do: {said:#?}");
}

fn apply(pair: &Pair, file: &str) -> Said {
    let path = pair.world.dir.join(file);
    pair.world.ironbridge(&["--format", "json", "run", NAME, "--plan", path.to_str().unwrap()])
}

#[test]
fn a_saved_plan_is_applied_as_it_is_or_not_at_all() {
    let pair = sample();
    plan_to(&pair, "plan.json");
    let text = std::fs::read_to_string(pair.world.dir.join("plan.json")).unwrap();
    assert!(!text.contains("three@sample.example"), "personal fields are masked: {text}");
    let (finance, dynamics) = (pair.finance(), pair.dynamics());

    // Somebody changes a row meanwhile: nothing at all is written, on either side.
    pair.sql("UPDATE clients SET company = 'Renamed (sample)' WHERE client_no = 'C-1'");
    let moved = apply(&pair, "plan.json");
    assert_eq!(moved.code, Some(1), "{moved:#?}");
    let error = &moved.json()["error"];
    assert!(error["code"] == "IB0730" && error["what"].as_str().unwrap().contains("C-1"), "{error:#}");
    assert_eq!(pair.dynamics(), dynamics);
    assert_ne!(pair.finance(), finance, "only what somebody did by hand");

    plan_to(&pair, "plan.json");
    pair.world.reset_stats();
    let run = apply(&pair, "plan.json").json();
    assert!(run["error"].is_null(), "{run:#}");
    assert_eq!((&run["created"], &run["rejected"]), (&json!(2), &json!(0)), "{run:#}");
    pair.rests();
    // It has had its time.
    assert_eq!(apply(&pair, "plan.json").json()["error"]["code"], "IB0730");
}

#[test]
fn somebody_looks_at_the_first_load_and_at_large_changes() {
    let ask =
        "first_load: { approve: finance-it }\napprove: { when: '=changes.updated > 2', by: finance-it }\nschedule:";
    let pair = Pair::with("schedule:", ask);
    for number in 1..=5 {
        pair.client(&format!("C-{number}"), &format!("Sample {number}"), "", "100", "30");
    }
    let waits = pair.run();
    assert_eq!((&waits["state"], &waits["approval"]), (&json!("waiting_for_approval"), &json!(1)), "{waits:#}");
    assert_eq!(pair.dynamics().len(), 0);
    let shown = pair.world.ironbridge(&["approvals", "show", "1"]).ok();
    assert!(shown.out.contains("may it create 5 rows in `finance` and `dynamics`?"), "{shown:#?}");
    pair.world.ironbridge(&["approvals", "approve", "1", "--by", "finance-it"]).ok();
    assert_eq!(pair.good_run()["created"], 5);
    pair.rests();

    pair.sql("UPDATE clients SET credit = '200' WHERE client_no IN ('C-1', 'C-2')");
    assert_eq!(pair.good_run()["updated"], 2, "two are not many");
    pair.sql("UPDATE clients SET credit = '300' WHERE client_no <> 'C-5'");
    assert_eq!(pair.run()["approval"], 2);
    pair.world.ironbridge(&["approvals", "reject", "2", "--by", "finance-it"]).ok();
    assert_eq!(pair.run()["state"], "not_approved");
    assert_eq!(pair.dynamics()["C-1"][2].as_deref(), Some("200"));
}

#[test]
fn a_side_that_gives_too_few_rows_removes_nothing() {
    let pair = Pair::with("schedule:", "deletes: delete\nmax_deletes: 100 %\nmin_rows: 3\nschedule:");
    for number in 1..=4 {
        pair.client(&format!("C-{number}"), &format!("Sample {number}"), "", "100", "30");
    }
    // Dynamics has none yet, which is no reason to bring it none.
    pair.good_run();
    assert_eq!(pair.dynamics().len(), 4);
    pair.rests();
    pair.sql("DELETE FROM clients WHERE client_no > 'C-2'");
    let run = pair.run();
    assert_eq!(run["error"]["code"], "IB0705", "{run:#}");
    assert_eq!(pair.dynamics().len(), 4);
    pair.client("C-9", "Sample 9", "", "100", "30");
    assert_eq!(pair.good_run()["deleted"], 2);
    assert_eq!(pair.dynamics().len(), 3);
}

#[test]
fn what_no_watermark_tells_is_found_when_both_sides_are_compared() {
    let pair = Pair::with("schedule:", "compare_live: weekly\nschedule:");
    pair.client("C-1", "Sample 1", "", "100", "30");
    pair.good_run();
    pair.sql("DROP TRIGGER clients_touched; UPDATE clients SET credit = '900', updated_at = '2020-01-01 00:00:00.000'");
    pair.good_run();
    assert_eq!(pair.dynamics()["C-1"][2].as_deref(), Some("100"), "nothing says that it has changed");
    let later = pair.world.with_clock(&["--format", "json", "run", NAME], "", 8 * 86_400).json();
    assert!(later["error"].is_null(), "{later:#}");
    assert_eq!(pair.dynamics()["C-1"][2].as_deref(), Some("900"));
}

#[test]
fn rows_that_point_to_each_other_are_made_and_then_joined() {
    let pair = Pair::new();
    let world = &pair.world;
    world.edit("entities/customer.yaml", "  terms: ", "  parent: { type: reference, entity: customer }\n  terms: ");
    world.edit("systems/finance.yaml", "      company: name\n", "      company: name\n      parent_no: parent\n");
    world.edit("systems/dynamics.yaml", "      name: name\n", "      name: name\n      parentaccountid: parent\n");
    pair.sql("ALTER TABLE clients ADD COLUMN parent_no TEXT");
    // Three in a circle, one that hangs on it, one that waits for what nobody has, and one for that one.
    for (number, parent) in
        [("C-1", "C-2"), ("C-2", "C-3"), ("C-3", "C-1"), ("C-4", "C-1"), ("C-5", "C-9"), ("C-6", "C-5")]
    {
        pair.sql(&format!(
            "INSERT INTO clients (client_no, company, terms, parent_no) VALUES ('{number}', '{number} (sample)', '30', '{parent}')"
        ));
    }
    let run = pair.good_run();
    let parents = || -> Vec<(String, Option<String>)> {
        pair.world.accounts().into_iter().map(|(number, account)| (number, account.parent)).collect()
    };
    let of = |number: &str, parent: &str| (number.to_owned(), Some(parent.to_owned()));
    let circle = [of("C-1", "C-2"), of("C-2", "C-3"), of("C-3", "C-1"), of("C-4", "C-1")];
    assert_eq!(parents()[..4], circle, "{run:#}");
    // C-6 waits for C-5, which waits as well: it is there already, without the pointer.
    assert_eq!((&run["created"], &run["rejected"]), (&json!(5), &json!(0)), "{run:#}");
    assert_eq!(parents()[4..], [("C-6".to_owned(), None)], "{run:#}");
    pair.account("C-9", &json!({"name": "C-9 (sample)"}));
    pair.good_run();
    assert_eq!(parents()[4..], [of("C-5", "C-9"), of("C-6", "C-5"), ("C-9".to_owned(), None)]);
    pair.rests();
    let _: Vec<Json> = pair.letters();
}

/// The place of a read that has ended is no place to go on from: what changed on its first page is found.
#[test]
fn a_side_without_a_time_of_change_is_read_whole_each_time() {
    let pair = Pair::new();
    pair.world.edit("systems/finance.yaml", "    watermark: { column: updated_at, overlap: 5 minutes }\n", "");
    // More rows than come in one page.
    pair.sql(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5200)
         INSERT INTO clients (client_no, company, credit, terms) SELECT printf('C-%05d', i), 'Client ' || i || ' (sample)', '100', '30' FROM n",
    );
    assert_eq!(pair.good_run()["created"], 5_200);
    pair.sql("UPDATE clients SET company = 'Renamed (sample)' WHERE client_no = 'C-00007'");
    let second = pair.good_run();
    assert_eq!(second["updated"], 1, "{second:#}");
    assert_eq!(pair.dynamics()["C-00007"][0].as_deref(), Some("Renamed (sample)"));
    assert_eq!(pair.finance(), pair.dynamics());
}

#[test]
fn a_row_that_one_side_refuses_does_not_hold_up_a_plan() {
    let pair = Pair::new();
    pair.sql(
        "DROP TABLE clients; CREATE TABLE clients (client_no TEXT PRIMARY KEY, company TEXT NOT NULL, mail TEXT NOT NULL,
           credit TEXT, terms TEXT, updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')))",
    );
    pair.client("C-1", "Only finance (sample)", "one@sample.example", "1000.00", "30");
    pair.account("C-3", &json!({"name": "Without an address (sample)"}));
    for (rejected, next) in [(1, "C-4"), (0, "C-5")] {
        plan_to(&pair, "plan.json");
        let run = apply(&pair, "plan.json").json();
        assert!(run["error"].is_null(), "{run:#}");
        assert_eq!((&run["created"], &run["rejected"]), (&json!(1), &json!(rejected)), "{run:#}");
        pair.client(next, "Comes later (sample)", "four@sample.example", "10.00", "30");
        pair.world.ironbridge(&["state", "reset", NAME]).ok();
    }
}
