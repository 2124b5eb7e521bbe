//! Rows that point to other rows: parents that come later, from elsewhere, never, or that point back.

use std::sync::Arc;

use record::{Fault, OptionValue, RetryPolicy, Secret, Secrets, System};
use serde_json::{Value as Json, json};
use store::runs::Trigger;

use crate::support::World;

fn world(rows: &str, schedule: &str) -> World {
    let world = World::new(0);
    world.edit("integrations/customers.yaml", "every 15 minutes", schedule);
    world.sql("DELETE FROM customers");
    insert(&world, rows);
    world
}

/// Rows as `number>parent`, changed in this order.
fn insert(world: &World, rows: &str) {
    world.sql(&inserts(rows));
}

fn inserts(rows: &str) -> String {
    let row = |row: &str| {
        let (number, parent) = row.split_once('>').unwrap_or((row, ""));
        format!(
            "INSERT INTO customers (customer_no, company_name, terms_code, parent_no, updated_at)
             VALUES ('{number}', 'Sample {number}', '30', NULLIF('{parent}', ''), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'));"
        )
    };
    rows.split_whitespace().map(row).collect()
}

/// What Dynamics has, as `number>parent`.
fn accounts(world: &World) -> String {
    let shown = |(number, account): (String, crate::support::Account)| match account.parent {
        Some(parent) => format!("{number}>{parent}"),
        None => number,
    };
    world.accounts().into_iter().map(shown).collect::<Vec<_>>().join(" ")
}

fn counts(run: &Json) -> [u64; 5] {
    assert!(run["error"].is_null(), "{run:#}");
    ["created", "updated", "rejected", "skipped", "waiting"].map(|name| run[name].as_u64().unwrap())
}

#[test]
fn rows_that_wait_for_each_other_are_made_and_then_joined() {
    for (rows, created) in [("A>B B>A", 2), ("A>A", 1), ("A>B B>C C>A D>A E", 5)] {
        let world = world(rows, "every 15 minutes");
        let run = world.run();
        assert_eq!(counts(&run), [created, 0, 0, 0, 0], "{rows}: {run:#}");
        assert_eq!(accounts(&world), rows);
        world.reset_stats();
        assert_eq!(counts(&world.run()), [0; 5]);
        assert_eq!(world.rows_written(), 0, "{rows}");
    }
}

#[test]
fn a_parent_that_comes_in_a_later_run_is_waited_for() {
    let world = world("A>X B", "every 15 minutes");
    assert_eq!(counts(&world.run()), [1, 0, 0, 1, 1]);
    assert_eq!(counts(&world.run()), [0, 0, 0, 1, 1], "it is tried again, although nothing of it has changed");
    assert_eq!(accounts(&world), "B");
    insert(&world, "X");
    assert_eq!(counts(&world.run()), [2, 0, 0, 0, 0]);
    assert_eq!(accounts(&world), "A>X B X");
}

#[test]
fn a_row_that_was_there_before_keeps_its_old_parent_while_it_waits() {
    let world = world("A>B B", "every 15 minutes");
    assert_eq!(counts(&world.run()), [2, 0, 0, 0, 0]);
    world.sql("UPDATE customers SET parent_no = 'X', updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE customer_no = 'A'");
    assert_eq!(counts(&world.run()), [0, 0, 0, 1, 1]);
    assert_eq!(accounts(&world), "A>B B");
    insert(&world, "X>A");
    assert_eq!(counts(&world.run()), [1, 1, 0, 0, 0], "X is new, and A is not");
    assert_eq!(accounts(&world), "A>X B X>A");
}

#[test]
fn what_was_waited_for_in_vain_is_a_dead_letter_until_it_comes_after_all() {
    let world = world("A>X B", "every 1 second");
    world.sql("UPDATE customers SET updated_at = '2020-01-01T00:00:00Z' WHERE customer_no = 'A'");
    assert_eq!(counts(&world.run()), [1, 0, 0, 1, 1]);
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    let run = world.run();
    assert_eq!(counts(&run), [0, 0, 1, 0, 0], "{run:#}");
    assert_eq!(run["rejected_by_code"]["IB0515"], 1, "{run:#}");
    let letters = world.ironbridge(&["dead-letters", "list", "customers"]).ok().out;
    assert!(letters.contains("waited for"), "{letters}");
    assert_eq!(counts(&world.run())[..3], [0, 0, 0], "nothing has changed: it is not tried again");
    insert(&world, "X");
    assert_eq!(counts(&world.run())[0], 1);
    assert_eq!(counts(&world.run())[0], 1, "the run after the one that brought X brings A");
    assert_eq!(accounts(&world), "A>X B X");
    assert_eq!(world.ironbridge(&["--format", "json", "dead-letters", "list", "customers"]).ok().out.trim(), "[]");
}

#[test]
fn what_points_to_a_row_that_waits_waits_with_it() {
    let world = world("A>X C>A D>E E>D F>D", "every 15 minutes");
    assert_eq!(counts(&world.run()), [3, 0, 0, 2, 2]);
    assert_eq!(accounts(&world), "D>E E>D F>D", "C is not made without its parent");
    insert(&world, "X");
    assert_eq!(counts(&world.run()), [3, 0, 0, 0, 0]);
    assert_eq!(accounts(&world), "A>X C>A D>E E>D F>D X");
}

#[test]
fn a_row_without_its_parent_does_not_hold_up_a_saved_plan() {
    let world = world("A>X B C>A", "every 15 minutes");
    let plan = world.dir.join("plan.json");
    let plan = plan.to_str().unwrap();
    let save = |offset| world.with_clock(&["plan", "customers", "--save", plan], "", offset).out;
    let apply = |offset| world.with_clock(&["--format", "json", "run", "customers", "--plan", plan], "", offset).json();
    save(0);
    assert_eq!(counts(&apply(0)), [1, 0, 0, 2, 2]);
    // Nobody waits any longer, and it is a dead letter.
    insert(&world, "D D2>D");
    assert!(save(3_600).contains("2 to create, 0 to update, 1 unchanged, 2 to reject"));
    assert_eq!(counts(&apply(3_600)), [2, 0, 2, 0, 0]);
    assert_eq!(accounts(&world), "B D D2>D");
}

#[test]
fn a_dead_letter_says_what_its_row_waits_for_now() {
    let world = world("A>X B", "every 15 minutes");
    world.sql("UPDATE customers SET terms_code = '99' WHERE customer_no = 'A'");
    assert_eq!(counts(&world.run()), [1, 0, 1, 0, 0]);
    let letter = || world.ironbridge(&["--format", "json", "dead-letters", "list", "customers"]).ok().json()[0].take();
    let before = letter();
    assert_ne!(before["code"], "IB0515", "{before:#}");
    // What was wrong is right now; what is left is that its parent has not come.
    world.sql("UPDATE customers SET terms_code = '30', updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE customer_no = 'A'");
    for _ in 0..2 {
        assert_eq!(counts(&world.run()), [0, 0, 0, 1, 1]);
        let now = letter();
        assert_eq!((&now["id"], &now["count"]), (&before["id"], &before["count"]), "{now:#}");
        assert_eq!((&now["code"], &now["state"]), (&"IB0515".into(), &"open".into()), "{now:#}");
    }
    let shown = world.ironbridge(&["dead-letters", "show", before["id"].as_str().unwrap()]).ok().out;
    assert!(shown.contains("it waits for that row, and each run tries it again"), "{shown}");
    insert(&world, "X");
    assert_eq!(counts(&world.run())[0], 2);
    assert_eq!(world.ironbridge(&["--format", "json", "dead-letters", "list", "customers"]).ok().out.trim(), "[]");
}

/// People who work in finance meanwhile: each customer comes with another one that is no customer without it.
#[test]
fn several_entities_are_read_at_one_moment() {
    let world = World::new(5);
    world.sql(
        "PRAGMA journal_mode = WAL; DELETE FROM customers;
         CREATE TABLE people (no TEXT PRIMARY KEY, name TEXT, customer_no TEXT)",
    );
    let write = |file: &str, text: &str| std::fs::write(world.dir.join(file), text).unwrap();
    let add = |file: &str, text: &str| {
        let before = std::fs::read_to_string(world.dir.join(file)).unwrap();
        write(file, &format!("{}\n{text}", before.trim_end()));
    };
    write(
        "entities/person.yaml",
        "entity: person\nkey: number\nfields:\n  number: { type: text }\n  name: { type: text }\n  customer: { type: reference, entity: customer }\n",
    );
    add(
        "systems/finance.yaml",
        "  person:\n    table: people\n    read: { number: no, name: name, customer: customer_no }\n",
    );
    add(
        "systems/dynamics.yaml",
        "  person:\n    table: contact\n    alternate_key: new_number\n    write: { new_number: number, lastname: name, parentcustomerid: customer }\n",
    );
    world.edit("integrations/customers.yaml", "entity: customer", "entities: [customer, person]");
    let both = |at: usize| {
        world.sql(&format!(
            "BEGIN; INSERT INTO customers (customer_no, company_name, terms_code, updated_at)
               VALUES ('S-{at}', 'Sample {at}', '30', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'));
             INSERT INTO people VALUES ('P-{at}', 'Sample {at}', 'S-{at}'); COMMIT"
        ));
    };
    both(0);
    // Between the read of the customers and that of the people much time passes.
    world.fault("slow:150ms");
    for round in 1..=3 {
        let run = std::thread::scope(|scope| {
            let running = scope.spawn(|| world.run());
            let mut at = round * 1_000;
            while !running.is_finished() {
                both(at);
                at += 1;
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            running.join().unwrap()
        });
        assert!(run["error"].is_null(), "{run:#}");
        assert_eq!((&run["waiting"], &run["rejected"]), (&json!(0), &json!(0)), "round {round}: {run:#}");
        assert!(run["created"].as_u64() > Some(1), "round {round}: {run:#}");
    }
}

/// A second finance system, whose customers another integration brings into the same Dynamics.
fn with_another_source(world: &World, rows: &str) {
    let read = |file: &str| std::fs::read_to_string(world.dir.join(file)).unwrap();
    let write = |file: &str, text: String| std::fs::write(world.dir.join(file), text).unwrap();
    let system = read("systems/finance.yaml").replace("system: finance", "system: second");
    write("systems/second.yaml", system.replace("finance.db", "second.db"));
    let integration = read("integrations/customers.yaml").replace("integration: customers", "integration: others");
    write("integrations/others.yaml", integration.replace("from: finance", "from: second"));
    // An empty copy.
    std::fs::copy(world.finance(), world.dir.join("data/second.db")).unwrap();
    let conn = rusqlite::Connection::open(world.dir.join("data/second.db")).unwrap();
    conn.execute_batch(&format!("DELETE FROM customers; {}", inserts(rows))).unwrap();
}

/// What one integration waits for is nothing that another one may forget, though both write the same table.
#[test]
fn a_row_goes_on_waiting_whatever_other_integrations_bring() {
    let world = world("A>X B", "every 15 minutes");
    // Longer ago than the overlap: what is not waited for is not read again.
    world.sql("UPDATE customers SET updated_at = '2020-01-01T00:00:00Z' WHERE customer_no = 'A'");
    with_another_source(&world, "T");
    let others = || counts(&world.ironbridge(&["--format", "json", "run", "others"]).ok().json());
    assert_eq!(counts(&world.run()), [1, 0, 0, 1, 1]);
    assert_eq!(others(), [1, 0, 0, 0, 0]);
    assert_eq!(others(), [0; 5]);
    assert_eq!(counts(&world.run()), [0, 0, 0, 1, 1], "what waits here was forgotten there");
    insert(&world, "X");
    assert_eq!(counts(&world.run()), [2, 0, 0, 0, 0]);
    assert_eq!(accounts(&world), "A>X B T X");
}

/// A pointer that is only written when a row is created cannot be added later: the row waits for what it points to.
#[test]
fn a_pointer_that_is_only_written_once_is_never_left_out() {
    let world = world("A>B B>X", "every 15 minutes");
    world.edit(
        "systems/dynamics.yaml",
        "parentaccountid: parent",
        "parentaccountid: { value: parent, only_on: create }",
    );
    let waits = |count: &str| {
        let plan = world.ironbridge(&["--format", "json", "plan", "customers"]).json();
        let run = world.run();
        assert_eq!(plan["wait"].to_string(), count, "{plan:#}");
        for (planned, done) in [("create", "created"), ("update", "updated"), ("wait", "waiting")] {
            assert_eq!(plan[planned], run[done], "{plan:#} {run:#}");
        }
        counts(&run)
    };
    assert_eq!(waits("2"), [0, 0, 0, 2, 2]);
    insert(&world, "X");
    assert_eq!(waits("0"), [3, 0, 0, 0, 0]);
    assert_eq!(accounts(&world), "A>B B>X X");
}

/// More dead letters than are looked at at a time, most of them closed or without a parent still: none of them is forgotten.
#[test]
fn each_dead_letter_is_taken_up_again_however_many_there_are() {
    let world = world("A>X", "every 1 second");
    world.edit(
        "integrations/customers.yaml",
        "schedule:",
        "stop_after: { rejected: 10000, or: 100 %, first_rows_alike: 10000 }\nschedule:",
    );
    let many: Vec<String> = (0..1_005).map(|at| format!("W-{at}>Y")).collect();
    insert(&world, &many.join(" "));
    world.sql("UPDATE customers SET updated_at = '2020-01-01T00:00:00Z'");
    insert(&world, "B");
    assert_eq!(counts(&world.run()), [1, 0, 0, 1_006, 1_006]);
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    assert_eq!(counts(&world.run()), [0, 0, 1_006, 0, 0]);
    insert(&world, "X");
    assert_eq!(counts(&world.run())[0], 1);
    assert_eq!(counts(&world.run())[0], 1, "the run after the one that brought X brings A");
    assert_eq!(accounts(&world), "A>X B X");
}

/// The systems of a world, for a job that is changed by hand.
struct Here<'w> {
    world: &'w World,
    project: definition::Project,
}

impl Secrets for Here<'_> {
    fn resolve(&self, _: &str, name: &str) -> Result<Secret, String> {
        std::fs::read_to_string(self.world.dir.join(name)).map(Secret::new).map_err(|why| why.to_string())
    }
}

impl hub::Systems for Here<'_> {
    fn open(&self, name: &str) -> Result<Arc<dyn System>, Fault> {
        let defined = self.project.system(name).unwrap();
        let mut options = defined.connection.resolve(self).unwrap();
        if let Some(OptionValue::Text(file)) = options.0.get_mut("file") {
            *file = self.world.finance().display().to_string();
        }
        (connectors::registry::find(defined.kind.name).unwrap().open)(name, options)
    }
}

#[test]
fn rows_beyond_those_that_may_wait_come_back_by_themselves_too() {
    let world = world("A>X B>X C", "every 15 minutes");
    world.sql("UPDATE customers SET updated_at = '2026-01-01T00:00:00Z' WHERE parent_no IS NOT NULL");
    let kinds: Vec<_> = connectors::registry::kinds().collect();
    let loaded = definition::load(&world.dir, &definition::LoadOptions { kinds: &kinds, ..Default::default() });
    let here = Here { world: &world, project: loaded.project.unwrap() };
    let store = store::Store::open(world.dir.join(".ironbridge"), store::Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let report = runtime.block_on(async {
        let integration = here.project.integration("customers").unwrap();
        let mut job = hub::compile(&here.project, integration, &here, RetryPolicy::default()).await.unwrap();
        job.waiting_max = 0;
        let start = hub::Start { trigger: Trigger::Command, slot: None, retry_of: None, holder: "a test".into() };
        hub::run(&store, &job, start, &hub::Log(None)).await.unwrap()
    });
    drop(store);
    assert_eq!((report.counts.created, report.counts.rejected, report.waiting), (1, 2, 0), "{report:?}");
    insert(&world, "X");
    world.run();
    world.run();
    assert_eq!(accounts(&world), "A>X B>X C X");
}
