//! kill -9 at every commit, and around every write: source and destination are equal in the end.

use crate::support::World;

const CUSTOMERS: usize = 1_100;

/// Kills a run at the Nth hit of a failpoint, for N = 1, 2, … until a run gets through; runs again after each kill.
fn kill_at_each(point: &str) {
    for n in 1..100 {
        if !is_killed_at(point, n, CUSTOMERS) {
            assert!(n > 3, "{point} was hit {} times only", n - 1);
            return;
        }
    }
    panic!("{point} was hit a hundred times");
}

/// Kills a run over so many customers at the Nth hit of a failpoint and runs again. *Shape*: false where the run got
/// through before.
fn is_killed_at(point: &str, n: usize, customers: usize) -> bool {
    let world = World::new(customers);
    let run = ["--format", "json", "run", "customers"];
    let said = world.with_failpoints(&run, &format!("{point}@{n}=abort"));
    if said.code == Some(0) {
        return false;
    }
    assert_eq!(said.code, None, "the process was to be killed: {said:#?}");

    let after = world.run();
    let count = |name: &str| after[name].as_u64().unwrap();
    let ended = count("created") + count("updated") + count("unchanged") + count("rejected") + count("skipped");
    assert_eq!(count("read"), ended, "{point}@{n}: {after:#}");
    assert_eq!(world.accounts(), world.expected(), "{point}@{n}");
    let letters = world.ironbridge(&["--format", "json", "dead-letters", "list"]).ok().json();
    assert_eq!(letters.as_array().unwrap().len(), 6, "{point}@{n}: {letters:#}");
    world.reset_stats();
    assert_eq!(world.run()["state"], "ok", "{point}@{n}");
    assert_eq!(world.rows_written(), 0, "{point}@{n}: a further run writes nothing");
    let interrupted = world.ironbridge(&["--format", "json", "runs"]).ok().json();
    let states: Vec<&str> = interrupted.as_array().unwrap().iter().map(|r| r["state"].as_str().unwrap()).collect();
    assert!(!states.contains(&"running"), "{point}@{n}: {states:?}");
    true
}

#[test]
fn status_says_that_nobody_works_on_a_run_that_was_killed() {
    let world = World::new(CUSTOMERS);
    world.with_failpoints(&["run", "customers"], "commit.before@6=abort");
    let status = world.ironbridge(&["status"]).ok();
    assert!(status.out.contains("running, but its process is gone"), "{status:?}");
    world.run();
    let status = world.ironbridge(&["status"]).ok();
    assert!(!status.out.contains("running"), "{status:?}");
}

#[test]
fn before_a_commit() {
    kill_at_each("commit.before");
}

#[test]
fn after_a_commit() {
    kill_at_each("commit.after");
}

#[test]
fn before_a_write_to_dynamics() {
    kill_at_each("sink.before");
}

#[test]
fn after_a_write_to_dynamics() {
    kill_at_each("sink.after");
}

#[test]
fn while_several_chunks_are_under_way() {
    // Ten pages of new rows, up to four chunks of them at once: some are written, some are not, and of some nobody knows.
    for (point, n) in
        [("sink.before", 7), ("sink.after", 2), ("sink.after", 8), ("commit.before", 7), ("commit.after", 6)]
    {
        assert!(is_killed_at(point, n, 10_000), "{point} is not hit {n} times");
    }
}

#[test]
fn while_a_row_waits_for_its_parent() {
    let world = World::new(20);
    world.sql("UPDATE customers SET parent_no = 'C-99999' WHERE customer_no = 'C-1004'");
    // Who did it, the start, the secret of the folder, the types of the columns, the place of the rows, the rows, and then
    // the second look at what waits: killed before that.
    let killed = world.with_failpoints(&["run", "customers"], "commit.before@7=abort");
    assert_eq!(killed.code, None, "{killed:#?}");
    world.sql("DELETE FROM customers WHERE customer_no = 'C-1004'");
    let next = world.ironbridge(&["run", "customers"]).ok();
    assert!(next.err.contains("rows of it are not settled yet"), "{next:#?}");
    let last = world.ironbridge(&["run", "customers"]).ok();
    assert!(!last.err.contains("reading every"), "what waited is gone, and is not looked for again: {last:#?}");
    assert_eq!(world.accounts(), world.expected());
}
