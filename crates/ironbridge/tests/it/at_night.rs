//! What whoever is woken at three reads: that no hub runs, that it runs by older files, that a table shows nothing, what
//! failed and what to do.

use rusqlite::Connection;

use crate::alerts::{Up, list, until};
use crate::support::{World, binary, said};

#[test]
fn no_hub_and_a_hub_by_older_files() {
    let world = World::new(5);
    world.run();
    let alone = || {
        let said = world.ironbridge(&["status"]).ok();
        let lock = world.dir.join(".ironbridge/up.lock");
        assert_eq!(
            said.out.contains(':'),
            !said.err.contains("does not run"),
            "a time at which nothing runs: {said:?}"
        );
        (said.err.contains(&format!("`{}` does not run on this folder", world.typed("up"))), lock)
    };
    let (nobody, lock) = alone();
    assert!(nobody);
    let page = world.ironbridge(&["runbook", "customers"]).ok().out;
    assert!(page.contains("does not run on this folder") && !page.contains("The next run is due"), "{page}");
    // The number of a hub that has ended is that of another program.
    std::fs::write(lock, std::process::id().to_string()).unwrap();
    assert!(alone().0);
    let up = Up::start(&world, &[]);
    until(&world, "the hub", || !alone().0);
    world.edit("systems/finance.yaml", "# The finance system", "# Our finance system");
    for command in ["status", "check"] {
        let said = world.ironbridge(&[command]).ok();
        assert!(said.err.contains("Changed since: systems/finance.yaml. Stop it and start it again"), "{said:?}");
    }
    drop(up);
    let _up = Up::start(&world, &[]);
    until(&world, "the new files", || !world.ironbridge(&["status"]).ok().err.contains("Changed since"));
}

#[test]
fn a_mistake_in_a_file_keeps_nobody_from_looking_and_stopping() {
    let world = World::new(20);
    world.edit("integrations/customers.yaml", "schedule:", "shedule:");
    world.ironbridge(&["status"]).fails(2, "IB0110");
    world.edit("integrations/customers.yaml", "shedule:", "schedule:");
    let up = Up::start(&world, &[]);
    until(&world, "the first run", || world.accounts() == world.expected());
    until(&world, "its end", || world.ironbridge(&["status"]).ok().out.contains("ok_with_dead_letters"));

    world.edit("integrations/customers.yaml", "schedule:", "shedule:");
    world.edit("systems/dynamics.yaml", "      name: name\n", "      name: nome\n");
    let said = world.ironbridge(&["status"]).ok();
    assert!(said.out.contains("ok_with_dead_letters"), "{said:?}");
    for part in ["There are mistakes in the files", "Changed since: integrations/customers.yaml, systems/dynamics.yaml"]
    {
        assert!(said.err.contains(part), "no `{part}` in {said:?}");
    }
    world.ironbridge(&["systems", "check", "dynamics"]).ok();
    world.ironbridge(&["dead-letters", "list", "customers"]).ok();
    world.ironbridge(&["trace", "customer", "C-1001"]).ok();
    world.ironbridge(&["pause", "customers", "--note", "somebody is at the files"]).ok();
    world.ironbridge(&["support-bundle", world.dir.join("bundle.zip").to_str().unwrap()]).ok();
    // What would make something of the files does not begin.
    for command in [&["check"][..], &["plan", "customers"], &["run", "customers"], &["show", "customers"], &["up"]] {
        world.ironbridge(command).fails(2, "IB0110");
    }
    drop(up);
    assert!(world.ironbridge(&["status"]).ok().out.contains("paused by"));
}

#[test]
fn a_secret_in_a_file_is_taken_without_a_restart() {
    let world = World::new(20);
    world.edit("integrations/customers.yaml", "every 15 minutes", "every 1 second");
    let token = world.dir.join("dynamics.token");
    std::fs::write(&token, "wrong").unwrap();
    let _up = Up::start(&world, &[]);
    let last = || world.ironbridge(&["--format", "json", "status"]).ok().json()[0]["last_run"].clone();
    until(&world, "the refusal", || last()["error"]["code"] == "IB0502");
    std::fs::write(&token, "local").unwrap();
    until(&world, "the rows", || world.accounts() == world.expected());
}

#[test]
fn what_failed_and_what_to_do_stands_below_the_runs() {
    let world = World::new(20);
    let token = world.dir.join("dynamics.token");
    std::fs::write(&token, "wrong").unwrap();
    for _ in 0..2 {
        world.ironbridge(&["run", "customers"]).fails(1, "IB0502");
    }
    let said = world.ironbridge(&["runs"]).ok();
    assert_eq!(said.err.matches("IB0502 ").count(), 1, "the same is said once: {said:?}");
    for part in ["run 2: IB0502 ", "\n  why: 401", "\n  do: ", "\n  more: ironbridge explain IB0502"] {
        assert!(said.err.contains(part), "no `{part}` in {said:?}");
    }
}

#[test]
fn a_virtual_table_that_shows_nothing_is_seen_though_its_system_answers() {
    let world = World::new(1);
    let file = |name: &str, text: &str| std::fs::write(world.dir.join(name), text).unwrap();
    file(
        "entities/item.yaml",
        "entity: item\nkey: number\nfields: { number: { type: whole_number }, name: { type: text, max_length: 50 } }\n",
    );
    file(
        "systems/warehouse.yaml",
        "system: warehouse\nkind: sqlite\nowner: finance-it\nconnection: { file: data/warehouse.db }\nentities: { item: { table: items, read: { number: no, name: name } } }\n",
    );
    file(
        "integrations/items.yaml",
        "integration: items\npattern: virtual\nentity: item\nfrom: warehouse\nto: dynamics\nowner: finance-it\npurpose: Sales see what is there.\n",
    );
    world.edit(
        "systems/dynamics.yaml",
        "entities:\n",
        "entities:\n  item: { virtual_table: new_item, primary_name: name }\n",
    );
    let warehouse = Connection::open(world.dir.join("data/warehouse.db")).unwrap();
    warehouse.execute_batch("CREATE TABLE items (no INTEGER PRIMARY KEY, title TEXT)").unwrap();
    let state = |word: &str| world.ironbridge(&["status"]).ok().out.contains(word);
    let up = Up::start(&world, &[]);
    until(&world, "that it shows nothing", || state("cannot be shown since"));
    let said = world.ironbridge(&["status"]).ok();
    assert!(said.err.contains("items: whoever looks gets an error since "), "{said:?}");
    assert!(said.err.contains("no such column") && said.err.contains("\n  do: "), "{said:?}");
    let page = world.ironbridge(&["runbook", "items"]).ok().out;
    assert!(
        page.contains("- Whoever looks gets an error since ") && page.contains("A virtual table shows nothing"),
        "{page}"
    );
    drop(up);
    let later = [("IRONBRIDGE_CLOCK_OFFSET", "300")];
    let up = Up::start(&world, &later);
    let alert = || list(&world).into_iter().find(|alert| alert["key"] == "not-shown/items");
    until(&world, "the alert", || alert().is_some());
    drop(up);
    warehouse.execute_batch("ALTER TABLE items RENAME COLUMN title TO name").unwrap();
    let _up = Up::start(&world, &later);
    until(&world, "its end", || state("answers when asked"));
    until(&world, "the end of the alert", || alert().is_some_and(|alert| !alert["resolved"].is_null()));
}

#[test]
fn whoever_types_as_the_user_of_the_hub_is_known() {
    let world = World::new(1);
    let mut pause = binary();
    pause.env("USER", "ironbridge").env("SUDO_USER", "ann").arg("-C").arg(&world.dir);
    said(pause.args(["pause", "customers", "--note", "finance moves"]).output().unwrap()).ok();
    let audit = world.ironbridge(&["audit", "list"]).ok().out;
    assert!(audit.contains("ann") && !audit.contains("ironbridge"), "{audit}");
    let status = world.ironbridge(&["status"]).ok().out;
    assert!(status.contains("paused by ann"), "{status}");
}
