//! Everything that goes wrong has a code, says what to do, and loses nothing.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use rusqlite::Connection;

use crate::alerts::until;
use crate::support::{World, binary, http};

#[test]
fn a_wrong_token() {
    let world = World::new(20);
    std::fs::write(world.dir.join("dynamics.token"), "wrong").unwrap();
    let said = world.ironbridge(&["run", "customers"]).fails(1, "IB0502");
    assert!(said.err.contains("do: ") && said.err.contains("more: ironbridge explain IB0502"), "{said:#?}");
    assert!(!said.err.contains("wrong"), "a token is never shown: {said:#?}");
    std::fs::write(world.dir.join("dynamics.token"), "local").unwrap();
    assert_eq!(world.run()["created"], 14);
    assert_eq!(world.accounts(), world.expected());
}

#[test]
fn a_secret_without_a_value() {
    let world = World::new(20);
    std::fs::remove_file(world.dir.join("dynamics.token")).unwrap();
    let said = world.ironbridge(&["run", "customers"]).fails(1, "IB0006");
    assert!(said.err.contains("dynamics.token"), "{said:#?}");
    let runs = world.ironbridge(&["runs"]);
    assert!(runs.err.contains("Nothing has run yet"), "what a shell lacks is no failure of the hub: {runs:#?}");
}

#[test]
fn nobody_at_the_address_of_dynamics() {
    let mut world = World::new(20);
    world.stop_dynamics();
    world.ironbridge(&["check", "--online"]).fails(1, "IB0501");
    let runs = world.ironbridge(&["runs"]);
    assert!(runs.err.contains("Nothing has run yet"), "a check is no run: {runs:#?}");
}

#[test]
fn what_is_refused_is_not_passed_by_the_chunks_behind_it() {
    // Two pages, a thousand rows in a chunk, four chunks under way: the last but one of the first page is refused, and
    // again when its rows are looked at one by one, while those behind it were taken long before.
    for (refused, again) in [(9, 12), (9, 13), (10, 13)] {
        let world = World::new(6_500);
        world.edit("systems/dynamics.yaml", "token: ", "batch_rows: 400, create_rows: 1000, concurrency: 1, token: ");
        world.fault(&format!("403@every:{refused},403@every:{again}"));
        let first = world.run();
        assert_eq!(first["error"]["code"], "IB0503", "requests {refused} and {again}: {first:#}");
        world.fault("");
        let next = world.run();
        assert!(next["error"].is_null(), "requests {refused} and {again}: {next:#}");
        assert_eq!(world.accounts(), world.expected(), "requests {refused} and {again}: {first:#} {next:#}");
    }
}

#[test]
fn a_table_or_column_that_is_not_there() {
    let world = World::new(20);
    world.edit("systems/dynamics.yaml", "table: account", "table: acount");
    world.ironbridge(&["run", "customers"]).fails(1, "IB0504");
    world.edit("systems/dynamics.yaml", "table: acount", "table: account");
    world.edit("systems/dynamics.yaml", "creditlimit: credit_limit", "creditlimits: credit_limit");
    let said = world.ironbridge(&["run", "customers"]).fails(1, "IB0703");
    assert!(
        said.err.contains("systems/dynamics.yaml:16") && said.err.contains("did you mean `creditlimit`?"),
        "{said:#?}"
    );
    world.edit("systems/dynamics.yaml", "creditlimits:", "creditlimit:");
    world.sql("ALTER TABLE customers RENAME COLUMN terms_code TO terms");
    let said = world.ironbridge(&["run", "customers"]).fails(1, "IB0703");
    assert!(said.err.contains("`terms_code`"), "{said:#?}");
    assert_eq!(world.rows_written(), 0);
    world.sql("ALTER TABLE customers RENAME COLUMN terms TO terms_code");
    assert_eq!(world.run()["created"], 14);
}

#[test]
fn an_alternate_key_that_does_not_exist() {
    let world = World::new(20);
    world.edit("systems/dynamics.yaml", "alternate_key: accountnumber", "alternate_key: name");
    let said = world.ironbridge(&["run", "customers"]).fails(1, "IB0506");
    assert!(said.err.contains(&world.typed("dataverse keys dynamics")), "{said:#?}");
    let said = world.ironbridge(&["check", "--online"]).fails(2, "IB0209");
    assert!(said.err.contains(&format!("make it: {}", world.typed("dataverse keys dynamics"))), "{said:#?}");
    let account = |method: &str, path: &str, number: &str| {
        let body = format!(r#"{{"name":"The same","accountnumber":"{number}"}}"#);
        http(&world.url, method, &format!("/api/data/v9.2/{path}"), if number.is_empty() { "" } else { &body });
    };
    ["A-1", "A-2"].iter().for_each(|number| account("POST", "accounts", number));
    let keys = |more: &[&str]| world.ironbridge(&[&["dataverse", "keys"], more].concat());
    let said = keys(&[]);
    let missing = "+ key of `account` on name, named new_by_name; 1 value is in more than one row";
    assert!(said.code == Some(3) && said.out.contains(missing) && said.err.contains("say --yes"), "{said:#?}");
    assert_eq!(keys(&[]).out, said.out, "nothing was written");
    // Made all the same: the platform takes it, and cannot build it.
    let said = keys(&["--yes"]);
    let failed = "~ key of `account` on name: its index could not be built; 1 value is in more than one row";
    assert!(said.code == Some(3) && said.err.contains(failed), "{said:#?}");
    account("DELETE", "accounts(accountnumber='A-2')", "");
    let said = keys(&["dynamics", "--yes"]);
    assert!(said.code == Some(0) && said.err.contains("= key of `account` on name"), "{said:#?}");
    assert!(keys(&[]).ok().err.contains("as it should be"));
    world.ironbridge(&["run", "customers"]).ok();
    let audit = world.ironbridge(&["audit", "list"]).ok();
    assert!(audit.out.contains("dataverse keys"), "{audit:#?}");
    keys(&["finance"]).fails(2, "IB0830");
    keys(&["finanse"]).fails(2, "finance");
}

#[test]
fn a_value_that_dynamics_refuses_is_one_dead_letter() {
    let world = World::new(20);
    // More than the column's range: only Dynamics knows that.
    world.sql("UPDATE customers SET credit_limit = '999999999999999' WHERE customer_no = 'C-1003'");
    let run = world.run();
    assert_eq!(run["state"], "ok_with_dead_letters", "{run:#}");
    assert_eq!((run["created"].as_u64(), run["rejected"].as_u64()), (Some(13), Some(7)), "{run:#}");
    let letters = world.ironbridge(&["--format", "json", "dead-letters", "list", "--code", "IB0512"]).ok().json();
    assert_eq!(letters[0]["key"], "C-1003", "{letters:#}");
    assert!(!letters[0]["why"].as_str().unwrap().is_empty(), "Dynamics' own words: {letters:#}");
}

#[test]
fn throttling_errors_lost_answers_and_half_batches() {
    for fault in
        ["429@30%", "503@30%", "drop@20%", "cut@20%", "half-batch@40%", "429@15%,503@10%,drop@10%,half-batch@10%"]
    {
        let world = World::new(150);
        world.fault(fault);
        for _ in 0..8 {
            let run = world.run();
            if run["error"].is_null() && run["state"].is_string() {
                break;
            }
        }
        world.fault("");
        let last = world.run();
        assert!(last["error"].is_null(), "{fault}: {last:#}");
        assert_eq!(world.accounts(), world.expected(), "{fault}");
        world.reset_stats();
        world.run();
        assert_eq!(world.rows_written(), 0, "{fault}");
    }
}

#[test]
fn what_only_a_person_can_change_stops_the_run_at_once() {
    let world = World::new(20);
    for (fault, code) in [("403@100%", "IB0503"), ("401@100%", "IB0502")] {
        world.fault(fault);
        let begun = std::time::Instant::now();
        world.ironbridge(&["run", "customers"]).fails(1, code);
        assert!(begun.elapsed().as_secs() < 20, "{fault} was tried again and again");
    }
    world.fault("");
    assert_eq!(world.rows_written(), 0);
    assert_eq!(world.run()["created"], 14);
}

#[test]
fn dynamics_is_down_and_comes_back() {
    let world = World::new(150);
    world.fault("down");
    world.ironbridge(&["run", "customers"]).fails(1, "IB0508");
    assert_eq!(world.rows_written(), 0);
    for fault in ["500@30%", "502@30%", "504@30%", "412@20%"] {
        world.fault(fault);
        world.run();
    }
    world.fault("");
    assert!(world.run()["error"].is_null());
    let kept: Vec<_> =
        world.ironbridge(&["--format", "json", "dead-letters", "list"]).ok().json().as_array().unwrap().clone();
    assert_eq!(kept.len(), 6, "only the bad rows: {kept:#?}");
    assert_eq!(world.accounts(), world.expected());
}

#[test]
fn a_row_that_points_to_one_that_comes_later_or_never() {
    let world = World::new(20);
    // The page's order is by time of change: the child comes first, in the same run.
    world.sql(
        "UPDATE customers SET parent_no = 'C-1009', updated_at = '2020-01-01T00:00:00Z' WHERE customer_no = 'C-1002'",
    );
    world.sql("UPDATE customers SET parent_no = 'C-99999' WHERE customer_no = 'C-1004'");
    let run = world.run();
    assert_eq!(run["waiting"], 1, "{run:#}");
    let accounts = world.accounts();
    assert_eq!(accounts["C-1002"].parent.as_deref(), Some("C-1009"));
    assert!(!accounts.contains_key("C-1004"));
}

#[test]
fn a_state_file_of_a_newer_version() {
    let world = World::new(20);
    world.run();
    let state = world.dir.join(".ironbridge/state.db");
    Connection::open(&state).unwrap().pragma_update(None, "user_version", 9_999).unwrap();
    let before = std::fs::read(&state).unwrap();
    world.ironbridge(&["run", "customers"]).fails(1, "IB0013");
    assert_eq!(std::fs::read(&state).unwrap(), before, "nothing was touched");
}

#[test]
fn a_state_file_that_is_none() {
    let world = World::new(20);
    std::fs::create_dir_all(world.dir.join(".ironbridge")).unwrap();
    std::fs::write(world.dir.join(".ironbridge/state.db"), "this is no database, it is a text that somebody put here")
        .unwrap();
    world.ironbridge(&["status"]).fails(1, "IB0011");
}

#[test]
fn names_that_do_not_exist() {
    let world = World::new(20);
    for args in [&["run", "custmers"][..], &["plan", "x"], &["show", "x"], &["runs", "x"], &["explain", "IB9999"]] {
        world.ironbridge(args).fails(2, "IB0002");
    }
    world.ironbridge(&["dead-letters", "show", "abc"]).fails(1, "IB0002");
    world.ironbridge(&["init", world.dir.to_str().unwrap()]).fails(2, "IB0005");
}

#[test]
fn a_mistake_in_a_file_is_shown_where_it_is() {
    let world = World::new(20);
    world.edit("integrations/customers.yaml", "schedule:", "shedule:");
    let said = world.ironbridge(&["check"]);
    assert_eq!(said.code, Some(2));
    for part in ["integrations/customers.yaml:8:1", "did you mean `schedule`?", "^^^^^^^"] {
        assert!(said.err.contains(part), "no {part} in {}", said.err);
    }
    assert_eq!(world.ironbridge(&["run", "customers"]).code, Some(2), "what is wrong does not run");
}

/// A hub that runs until the test ends.
struct Up(Child);

impl Up {
    fn start(world: &World) -> Up {
        let mut command = binary();
        command.args(["-C", world.dir.to_str().unwrap(), "up", "--listen", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        // From here on nobody reads what it logs, as where a collector of logs has ended.
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("is up: http://127.0.0.1:"), "{line}");
        Up(child)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn two_up_on_one_folder_and_commands_beside_it() {
    let world = World::new(100);
    let first = Up::start(&world);
    let second = world.ironbridge(&["up", "--listen", "127.0.0.1:0"]).fails(1, "IB0014");
    assert!(second.err.contains(&first.0.id().to_string()), "which process: {second:#?}");
    // The first run comes by itself; what a person runs beside it waits its turn or finds nothing to do.
    let expected = world.expected();
    for _ in 0..100 {
        if world.accounts() == expected {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(world.accounts(), expected);
    for _ in 0..100 {
        if world.ironbridge(&["--format", "json", "status"]).ok().json()[0]["state"] == "ok_with_dead_letters" {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(world.run()["created"], 0);
    drop(first);
    let again = Up::start(&world);
    drop(again);
}

/// As the guide on operating a hub has it.
#[test]
fn a_backup_that_was_made_while_the_hub_worked_is_gone_on_from() {
    let world = World::new(60);
    let up = Up::start(&world);
    until(&world, "the first run", || world.accounts() == world.expected());
    let (state, copy) = (world.dir.join(".ironbridge/state.db"), world.dir.join("copy.db"));
    Connection::open(&state).unwrap().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    world.sql(
        "UPDATE customers SET credit_limit = '4321.00', updated_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now')
         WHERE customer_no = 'C-1001'",
    );
    until(&world, "a run by hand", || world.ironbridge(&["run", "customers"]).code == Some(0));
    assert_eq!(world.accounts(), world.expected());
    drop(up);

    for file in ["state.db-wal", "state.db-shm"] {
        let _ = std::fs::remove_file(state.with_file_name(file));
    }
    std::fs::rename(copy, state).unwrap();
    world.reset_stats();
    let run = world.run();
    assert!(run["error"].is_null() && run["read"].as_u64() > Some(0), "{run:#}");
    assert_eq!(world.rows_written(), 0, "what is right already is not written again: {run:#}");
    assert_eq!(world.accounts(), world.expected());
    world.ironbridge(&["audit", "verify"]).ok();
}
