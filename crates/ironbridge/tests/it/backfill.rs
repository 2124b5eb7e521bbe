//! A run over a window of time: what the source changed then, wherever the position is.

use serde_json::json;

use crate::support::World;

#[test]
fn a_window_is_read_whatever_the_position_is_and_nothing_is_taken_for_gone() {
    let world = World::new(30);
    world.sql("DELETE FROM customers WHERE customer_no IS NULL OR terms_code NOT IN ('30','60','PP')");
    world.sql("UPDATE customers SET parent_no = NULL, updated_at = '2026-01-01T00:00:00.000Z'");
    world.edit("integrations/customers.yaml", "schedule:", "deletes: ignore\nschedule:");
    world.run();
    // They were changed behind the watermark: no run reads them.
    world.sql("UPDATE customers SET credit_limit = '5.50', updated_at = '2025-03-29T01:30:00.000Z' WHERE customer_no = 'C-1002'");
    world.sql("UPDATE customers SET credit_limit = '6.50', updated_at = '2025-04-01T00:00:00.000Z' WHERE customer_no = 'C-1003'");
    assert_eq!(world.run()["updated"], json!(0));
    let position = world.ironbridge(&["state", "show", "customers"]).ok().out;
    let window = ["--from", "2025-03-29", "--to", "2025-04-01"];
    let plan = world.ironbridge(&[&["--format", "json", "plan", "customers"][..], &window].concat());
    assert_eq!((plan.code, &plan.json()["update"]), (Some(3), &json!(1)), "{plan:#?}");
    let run = world.ironbridge(&[&["--format", "json", "run", "customers"][..], &window].concat()).ok().json();
    // By London's clocks: the first of April begins an hour before that of UTC.
    assert_eq!((&run["read"], &run["updated"]), (&json!(1), &json!(1)), "{run:#}");
    let run = world.ironbridge(&["--format", "json", "run", "customers", "--from", "2025-04-01T00:00:00Z"]).ok().json();
    assert_eq!(run["updated"], json!(1), "{run:#}");
    assert_eq!(world.ironbridge(&["state", "show", "customers"]).ok().out, position, "the position stays");
    assert_eq!(world.accounts(), world.expected());
}

#[test]
fn a_window_removes_nothing_and_what_cannot_be_read_by_time_says_so() {
    let world = World::new(20);
    world.sql("UPDATE customers SET parent_no = NULL");
    world.edit(
        "integrations/customers.yaml",
        "schedule:",
        "deletes: delete\nmax_deletes: 100 %\nmin_rows: 5\nschedule:",
    );
    world.run();
    let before = world.accounts().len();
    world.sql("DELETE FROM customers WHERE rowid < 10");
    world.ironbridge(&["run", "customers", "--from", "2020-01-01", "--to", "2020-01-02"]).ok();
    assert_eq!(world.accounts().len(), before);
    for (args, code) in
        [(&["--from", "yesterday"][..], "IB0738"), (&["--from", "2026-02-01", "--to", "2026-01-01"], "IB0738")]
    {
        world.ironbridge(&[&["run", "customers"], args].concat()).fails(2, code);
    }
    world.edit("systems/finance.yaml", "    watermark: { column: updated_at, overlap: 5 minutes }", "    #");
    let refused = world.ironbridge(&["run", "customers", "--from", "2026-01-01"]).fails(1, "IB0736");
    assert!(refused.err.contains("`customers` has no `watermark:`"), "{refused:#?}");
    world.edit("systems/finance.yaml", "    #", "    watermark: { column: customer_no }");
    world.ironbridge(&["run", "customers", "--from", "2026-01-01"]).fails(1, "IB0736");
}

/// A window is no answer to what was due: neither for the clock, nor for what is usual.
#[test]
fn a_window_answers_nothing_that_was_due() {
    let world = World::new(30);
    world.sql("DELETE FROM customers WHERE customer_no IS NULL OR terms_code NOT IN ('30','60','PP')");
    world.sql("UPDATE customers SET parent_no = NULL, updated_at = '2026-01-01T00:00:00.000Z'");
    world.edit(
        "integrations/customers.yaml",
        "schedule:",
        "needed_by: 1 hour\ndeletes: delete\nmax_deletes: 100 %\nmin_rows: 80 % of usual\nschedule:",
    );
    for _ in 0..3 {
        world.run();
    }
    let later = |args: &[&str]| world.with_clock(args, "", 3 * 3600).ok();
    let late = || !later(&["--format", "json", "status"]).json()[0]["late"].is_null();
    assert!(late());
    world.sql("UPDATE customers SET updated_at = '2025-04-01T00:00:00.000Z' WHERE rowid IN (SELECT rowid FROM customers LIMIT 1)");
    for _ in 0..5 {
        later(&["run", "customers", "--from", "2025-03-31", "--to", "2025-04-03"]);
    }
    assert!(late(), "a window was read again, and what was due is not there");
    let runs = world.ironbridge(&["--format", "json", "runs"]).ok().json();
    assert_eq!(runs[0]["why"], "backfill");
    let before = world.accounts().len();
    world.sql("DELETE FROM customers WHERE rowid > (SELECT min(rowid) + 3 FROM customers)");
    world.ironbridge(&["run", "customers"]).fails(1, "IB0705");
    assert_eq!(world.accounts().len(), before);
    world.sql("UPDATE customers SET company_name = 'Another (sample)'");
    world.edit("integrations/customers.yaml", "min_rows: 80 % of usual", "min_rows: 1");
    later(&["run", "customers"]);
    assert!(!late());
}
