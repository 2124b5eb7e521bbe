//! What a read must not miss: late commits, rows without a stamp, clocks that are wrong, places that are lost, columns
//! that are gone. And that a dead letter is one.

use serde_json::{Value as Json, json};

use crate::support::{World, http};

const GOOD: &str = "DELETE FROM customers WHERE customer_no IS NULL OR terms_code NOT IN ('30','60','PP');
                    UPDATE customers SET parent_no = NULL";

fn world() -> (World, Vec<String>) {
    let world = World::new(30);
    world.sql(GOOD);
    let first = world.run();
    assert!(first["error"].is_null(), "{first:#}");
    let keys = world.accounts().into_keys().collect();
    (world, keys)
}

/// Changes one row, stamped as this expression says.
fn change(world: &World, key: &str, limit: &str, stamp: &str) {
    world.sql(&format!(
        "UPDATE customers SET credit_limit = '{limit}', updated_at = {stamp} WHERE customer_no = '{key}'"
    ));
}

fn ago(modifier: &str) -> String {
    format!("strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '{modifier}')")
}

#[test]
fn a_watermark_misses_nothing_that_it_can_know() {
    let (world, keys) = world();
    world.stamps_may_be_missing();
    let limit = |world: &World, key: &str| world.accounts()[key].credit_limit.clone().unwrap_or_default();
    for (at, stamp) in [ago("-4 minutes"), "NULL".to_owned(), ago("+1 year"), ago("+0 seconds")].iter().enumerate() {
        let value = format!("7{at}");
        change(&world, &keys[at], &value, stamp);
        let run = world.run();
        assert_eq!((&run["updated"], limit(&world, &keys[at])), (&json!(1), value), "stamped {stamp}: {run:#}");
    }
    // The stamp of a year ahead hides nothing, and what has no stamp is read each time and not written again.
    world.reset_stats();
    let run = world.run();
    assert!(run["unchanged"].as_u64() >= Some(2) && world.rows_written() == 0, "{run:#}");
    change(&world, &keys[5], "75", &ago("+0 seconds"));
    assert_eq!(world.run()["updated"], json!(1));
    // Later than the overlap allows: a read of everything finds it.
    change(&world, &keys[6], "76", &ago("-2 hours"));
    assert_eq!(world.run()["updated"], json!(0));
    world.ironbridge(&["state", "reset", "customers"]).ok();
    assert_eq!((&world.run()["updated"], limit(&world, &keys[6])), (&json!(1), "76".to_owned()));
}

#[test]
fn a_stamp_that_is_no_time_hides_nothing() {
    let (world, keys) = world();
    world.edit("systems/finance.yaml", "      changed_at: updated_at\n", "");
    world.run();
    for (at, stamp) in ["''", "'unknown'"].into_iter().enumerate() {
        change(&world, &keys[at], "71", stamp);
        world.run();
        // Its row is read each time, and so is what changed since.
        change(&world, &keys[at], "72", stamp);
        change(&world, &keys[at + 2], "73", &ago("+0 seconds"));
        let run = world.run();
        assert_eq!(run["updated"], json!(2), "{stamp}: {run:#}");
    }
    assert_eq!(world.accounts(), world.expected());
}

#[test]
fn a_clock_of_the_hub_that_is_wrong_hides_nothing() {
    let (world, keys) = world();
    for (at, offset) in [86_400_i64, -86_400, 30 * 86_400, -30 * 86_400].into_iter().enumerate() {
        change(&world, &keys[at], &format!("8{at}"), &ago("+0 seconds"));
        let run = world.with_clock(&["--format", "json", "run", "customers"], "", offset).json();
        assert_eq!(run["updated"], json!(1), "{offset}: {run:#}");
    }
    assert_eq!(world.accounts(), world.expected());
}

/// The change is written and the run ends without remembering it: killed, or because nobody knows what became of it.
#[test]
fn a_row_that_changes_back_after_a_write_that_nobody_remembers_is_written_back() {
    for end in ["sink.after@1=abort", "sink.after@1=error"] {
        let (world, keys) = world();
        let before = world.accounts();
        let old = before[&keys[0]].credit_limit.clone().unwrap();
        change(&world, &keys[0], "7777.5", &ago("+0 seconds"));
        let said = world.with_failpoints(&["run", "customers"], end);
        assert_ne!(said.code, Some(0), "{end}: {said:#?}");
        assert_eq!(world.accounts()[&keys[0]].credit_limit.as_deref(), Some("7777.5"), "{end}: it was written");
        change(&world, &keys[0], &old, &ago("+0 seconds"));
        let run = world.run();
        assert!(run["error"].is_null() && world.accounts() == before, "{end}: {run:#}");
        world.reset_stats();
        world.run();
        assert_eq!(world.rows_written(), 0, "{end}");
    }
}

#[test]
fn a_column_that_is_gone_stops_just_what_uses_it() {
    let (world, keys) = world();
    // A second integration from the same file, which reads other columns of another table.
    world.sql("CREATE TABLE people (no TEXT PRIMARY KEY, full_name TEXT); INSERT INTO people VALUES ('P-1', 'Sample (sample)')");
    std::fs::write(
        world.dir.join("entities/person.yaml"),
        "entity: person\nkey: number\nfields: { number: { type: text }, name: { type: text } }\n",
    )
    .unwrap();
    let add = |file: &str, text: &str| {
        let before = std::fs::read_to_string(world.dir.join(file)).unwrap();
        std::fs::write(world.dir.join(file), format!("{}\n{text}", before.trim_end())).unwrap();
    };
    add("systems/finance.yaml", "  person:\n    table: people\n    read: { number: no, name: full_name }\n");
    add(
        "systems/dynamics.yaml",
        "  person:\n    table: contact\n    alternate_key: emailaddress1\n    write: { emailaddress1: number, lastname: name }\n",
    );
    std::fs::write(
        world.dir.join("integrations/people.yaml"),
        "integration: people\npattern: batch\nentity: person\nfrom: finance\nto: dynamics\nschedule: daily at 02:00\nowner: finance-it\npurpose: A second one.\n",
    )
    .unwrap();
    let label = json!({ "LocalizedLabels": [{ "Label": "Mail", "LanguageCode": 1033 }] });
    let key = json!({ "SchemaName": "mail_key", "DisplayName": label, "KeyAttributes": ["emailaddress1"] });
    http(&world.url, "POST", "/api/data/v9.2/EntityDefinitions(LogicalName='contact')/Keys", &key.to_string());

    change(&world, &keys[0], "91", &ago("+0 seconds"));
    world.sql("ALTER TABLE customers RENAME COLUMN credit_limit TO limit_of_credit");
    world.reset_stats();
    let said = world.ironbridge(&["run", "customers"]).fails(1, "IB0703");
    assert!(said.err.contains("credit_limit"), "{said:#?}");
    assert_eq!(world.rows_written(), 0);
    let people = world.ironbridge(&["--format", "json", "run", "people"]).json();
    assert_eq!((&people["created"], &people["error"]), (&json!(1), &Json::Null), "{people:#}");
    // The column is back: nothing was lost in between.
    world.sql("ALTER TABLE customers RENAME COLUMN limit_of_credit TO credit_limit");
    assert_eq!(world.run()["updated"], json!(1));
    world.sql("ALTER TABLE customers DROP COLUMN contact_email");
    world.ironbridge(&["run", "customers"]).fails(1, "IB0703");
}

/// Makes the customers' table anew, with another type for one column; what it held is kept as far as it can be.
pub fn retype(world: &World, from: &str, to: &str) {
    let conn = rusqlite::Connection::open(world.finance()).unwrap();
    let made: String =
        conn.query_row("SELECT sql FROM sqlite_master WHERE name = 'customers'", [], |row| row.get(0)).unwrap();
    assert!(made.contains(from), "{made}");
    let anew = made.replace(from, to);
    conn.execute_batch(&format!(
        "ALTER TABLE customers RENAME TO old_customers; {anew}; INSERT INTO customers SELECT * FROM old_customers; DROP TABLE old_customers"
    ))
    .unwrap();
}

/// How a column of the customers' table is declared.
pub fn declared(world: &World, column: &str) -> String {
    let conn = rusqlite::Connection::open(world.finance()).unwrap();
    let made: String =
        conn.query_row("SELECT sql FROM sqlite_master WHERE name = 'customers'", [], |row| row.get(0)).unwrap();
    let at = made.find(column).unwrap();
    made[at..].split([',', '\n', ')']).next().unwrap().trim().to_owned()
}

#[test]
fn a_column_that_was_retyped_stops_just_what_uses_it() {
    let world = World::new(300);
    world.sql(GOOD);
    retype(&world, &declared(&world, "credit_limit"), "credit_limit NUMERIC");
    assert!(world.run()["error"].is_null());
    world.sql(&format!("UPDATE customers SET updated_at = {}", ago("+0 seconds")));
    let before = world.accounts();
    world.reset_stats();

    // What another type says in the same way stops nothing.
    retype(&world, "credit_limit NUMERIC", "credit_limit DECIMAL(18,4)");
    assert!(world.run()["error"].is_null());
    retype(&world, "credit_limit DECIMAL(18,4)", "credit_limit TEXT");
    world.sql(&format!("UPDATE customers SET credit_limit = 'much', updated_at = {}", ago("+0 seconds")));
    for command in ["plan", "run"] {
        let said = world.ironbridge(&[command, "customers"]).fails(1, "IB0635");
        for part in ["`credit_limit` of `customers` holds text now", "held decimal", "money", "state reset customers"] {
            assert!(said.err.contains(part), "{command} does not say {part}: {said:#?}");
        }
    }
    let run = world.run();
    assert_eq!(
        (run["rejected"].as_u64(), run["read"].as_u64()),
        (Some(0), Some(0)),
        "no row became a dead letter: {run:#}"
    );
    assert_eq!((world.rows_written(), world.accounts()), (0, before));

    // A position says nothing of it.
    let file = world.dir.join("state.json");
    std::fs::write(&file, world.ironbridge(&["state", "show", "customers"]).ok().out).unwrap();
    world.ironbridge(&["state", "set", "customers", file.to_str().unwrap()]).ok();
    world.ironbridge(&["run", "customers"]).fails(1, "IB0635");

    // A mapping that was changed says what the new type means.
    world.sql("UPDATE customers SET credit_limit = '4,000.25'");
    world.edit(
        "systems/finance.yaml",
        "credit_limit: credit_limit",
        "credit_limit: '=Value(Substitute(credit_limit, \",\", \"\"))'",
    );
    let run = world.run();
    assert!(run["error"].is_null() && run["updated"].as_u64() > Some(280), "{run:#}");
    assert!(world.accounts().values().all(|account| account.credit_limit.as_deref() == Some("4000.25")));

    // What a formula reads has a type as well.
    retype(&world, "credit_limit TEXT", "credit_limit NUMERIC");
    world.ironbridge(&["run", "customers"]).fails(1, "IB0635");
    world.ironbridge(&["state", "reset", "customers", "customer"]).ok();
    world.sql("UPDATE customers SET credit_limit = 7");
    let run = world.run();
    assert!(run["error"].is_null() && run["updated"].as_u64() > Some(280), "{run:#}");
}

#[test]
fn a_column_that_was_retyped_in_postgresql_stops_the_run() {
    let Some(postgres) = crate::postgres::Postgres::new("retyped", 120) else { return };
    let world = &postgres.world;
    assert!(world.run()["error"].is_null());
    let alter = |ty: &str| postgres.sql(&format!("ALTER TABLE finance.customers ALTER COLUMN {ty}"));
    alter("credit_limit TYPE numeric(18,2)");
    alter("terms_code TYPE text");
    alter("company_name TYPE varchar(400)");
    assert!(world.run()["error"].is_null(), "these say the same");
    let before = world.accounts();
    world.reset_stats();
    alter("credit_limit TYPE text USING 'EUR ' || credit_limit");
    postgres.sql("UPDATE finance.customers SET updated_at = now()");
    let said = world.ironbridge(&["run", "customers"]).fails(1, "IB0635");
    assert!(said.err.contains("`credit_limit` of `finance.customers` holds text now, and held decimal"), "{said:#?}");
    alter("credit_limit TYPE boolean USING true");
    let said = world.ironbridge(&["run", "customers"]).fails(1, "IB0635");
    assert!(said.err.contains("no yes_no is money"), "{said:#?}");
    assert_eq!((world.rows_written(), world.accounts()), (0, before));
    // It has its type back: the run goes on where the last good one ended.
    alter("credit_limit TYPE numeric(18,4) USING 12.5");
    let run = world.run();
    assert!(run["error"].is_null() && run["updated"].as_u64() > Some(100), "{run:#}");
    let letters = world.ironbridge(&["dead-letters", "list"]).ok().out;
    assert!(!letters.contains("IB0410"), "no value was refused for its type: {letters}");
}

/// Dynamics to a table of the warehouse, by change tracking.
fn copies() -> World {
    let (world, _) = world();
    let db = world.dir.join("data/copies.db");
    let sql = "CREATE TABLE copies (no TEXT PRIMARY KEY, title TEXT)";
    rusqlite::Connection::open(db).unwrap().execute_batch(sql).unwrap();
    let write = |file: &str, text: &str| std::fs::write(world.dir.join(file), text).unwrap();
    write(
        "entities/copy.yaml",
        "entity: copy\nkey: number\nfields: { number: { type: text }, name: { type: text } }\n",
    );
    write(
        "systems/warehouse.yaml",
        "system: warehouse\nkind: sqlite\nowner: finance-it\nconnection: { file: data/copies.db }\nentities:\n  copy:\n    table: copies\n    alternate_key: no\n    write: { \"no\": number, title: name }\n"
            .replace("alternate_key: no", "alternate_key: \"no\"")
            .as_str(),
    );
    let dynamics = std::fs::read_to_string(world.dir.join("systems/dynamics.yaml")).unwrap();
    let read = "  copy:\n    table: account\n    where: =!IsBlank(accountnumber)\n    read: { number: accountnumber, name: name }\n";
    write("systems/dynamics.yaml", &format!("{}\n{read}", dynamics.trim_end()));
    write(
        "integrations/copies.yaml",
        "integration: copies\npattern: batch\nentity: copy\nfrom: dynamics\nto: warehouse\nschedule: every 15 minutes\ndeletes: delete\nmax_deletes: 50 %\nowner: finance-it\npurpose: A copy.\n",
    );
    world
}

#[test]
fn a_mapping_that_is_taken_back_after_a_kill_leaves_nothing_of_it() {
    let world = copies();
    let titles = || {
        let conn = rusqlite::Connection::open(world.dir.join("data/copies.db")).unwrap();
        let mut statement = conn.prepare("SELECT no || ' ' || title FROM copies ORDER BY no").unwrap();
        statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap).collect::<Vec<String>>()
    };
    world.ironbridge(&["run", "copies"]).ok();
    let before = titles();
    for failpoint in ["sink.after@1=abort", "commit.before@3=abort", "commit.before@4=abort"] {
        world.edit("systems/warehouse.yaml", "title: name", "title: =name & \"!\"");
        world.with_failpoints(&["run", "copies"], failpoint);
        world.edit("systems/warehouse.yaml", "title: =name & \"!\"", "title: name");
        world.ironbridge(&["run", "copies"]).ok();
        assert_eq!(titles(), before, "{failpoint}");
    }
}

#[test]
fn a_place_that_dynamics_has_forgotten_is_healed_by_reading_everything_and_saying_so() {
    let world = copies();
    let run = || world.ironbridge(&["run", "copies"]).ok();
    let titles = || {
        let conn = rusqlite::Connection::open(world.dir.join("data/copies.db")).unwrap();
        let mut statement = conn.prepare("SELECT no || ' ' || title FROM copies ORDER BY no").unwrap();
        statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap).collect::<Vec<String>>()
    };
    run();
    let before = titles();
    assert!(before.len() > 10);
    let keys: Vec<String> = world.accounts().into_keys().collect();
    let account = |key: &str| format!("/api/data/v9.2/accounts(accountnumber='{key}')");
    http(&world.url, "PATCH", &account(&keys[0]), r#"{"name": "Renamed (sample)"}"#);
    http(&world.url, "DELETE", &account(&keys[1]), "");
    http(&world.url, "POST", "/emulator/expire/delta-tokens", "");
    let said = run();
    assert!(said.err.contains("no longer goes on from the place of the last read"), "{said:#?}");
    let after = titles();
    assert_eq!(after.len() + 1, before.len());
    assert_eq!(after[0], format!("{} Renamed (sample)", keys[0]));
    // Then it goes on by changes.
    let said = run();
    assert!(!said.err.contains("everything") && said.out.contains("0 read"), "{said:#?}");
}

/// A deletion has a run read everything once more; what goes while it does so, and was among the changes, is gone as well.
#[test]
fn a_row_that_changes_and_goes_in_one_run_is_gone() {
    let world = copies();
    let run = || world.ironbridge(&["--format", "json", "run", "copies"]).ok().json();
    run();
    let keys: Vec<String> = world.accounts().into_keys().collect();
    let account = |key: &str| format!("/api/data/v9.2/accounts(accountnumber='{key}')");
    let copies = |title: &str| {
        let conn = rusqlite::Connection::open(world.dir.join("data/copies.db")).unwrap();
        let sql = "SELECT count(*) FROM copies WHERE no = ?1 AND title LIKE ?2";
        conn.query_row(sql, [&keys[0], title], |row| row.get::<_, i64>(0)).unwrap()
    };
    http(&world.url, "PATCH", &account(&keys[0]), r#"{"name": "Renamed (sample)"}"#);
    http(&world.url, "DELETE", &account(&keys[1]), "");
    world.fault("slow:500ms");
    let both = std::thread::scope(|scope| {
        let running = scope.spawn(run);
        while copies("Renamed (sample)") == 0 && !running.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        // The read of everything waits for its first answer.
        world.fault("");
        http(&world.url, "DELETE", &account(&keys[0]), "");
        running.join().unwrap()
    });
    assert_eq!(both["updated"], json!(1), "{both:#}");
    run();
    assert_eq!(copies("%"), 0, "a row that is gone stays for ever: {both:#}");
}

#[test]
fn a_row_has_one_dead_letter_however_often_it_is_bad() {
    let (world, keys) = world();
    let letters = || {
        let said = world.ironbridge(&["--format", "json", "dead-letters", "list", "customers"]).ok();
        let all = said.json().as_array().unwrap().clone();
        let ours = all.into_iter().filter(|letter| letter["key"] == json!(keys[3]));
        ours.map(|letter| (letter["id"].clone(), letter["what"].to_string())).collect::<Vec<_>>()
    };
    let term = |term: &str| {
        world.sql(&format!(
            "UPDATE customers SET terms_code = '{term}', updated_at = {} WHERE customer_no = '{}'",
            ago("+0 seconds"),
            keys[3]
        ));
        world.run()
    };
    assert_eq!(term("98")["rejected"], json!(1));
    let first = letters();
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(term("99")["rejected"], json!(1));
    let second = letters();
    assert_eq!((second.len(), &second[0].0), (1, &first[0].0), "it is the same letter, and says what is so now");
    assert!(second[0].1.contains("99") && !second[0].1.contains("98"), "{second:?}");
    // A retry of the old letter reads the row as it is now.
    let id = first[0].0.as_str().unwrap().to_owned();
    world.sql(&format!("UPDATE customers SET terms_code = '60' WHERE customer_no = '{}'", keys[3]));
    world.ironbridge(&["dead-letters", "retry", &id]).ok();
    assert_eq!(world.run()["updated"], json!(1));
    assert_eq!(world.accounts()[&keys[3]].terms, Some(4));
    assert_eq!(letters(), []);
}

#[test]
fn a_dead_letter_is_closed_once_a_newer_row_was_written() {
    let (world, keys) = world();
    let row = |columns: &str| {
        world.sql(&format!(
            "UPDATE customers SET {columns}, updated_at = {} WHERE customer_no = '{}'",
            ago("+0 seconds"),
            keys[3]
        ));
    };
    let states = || {
        let said = world.ironbridge(&["--format", "json", "dead-letters", "list", "customers", "--all"]).ok().json();
        let ours = said.as_array().unwrap().iter().filter(|letter| letter["key"] == json!(keys[3])).cloned();
        ours.map(|letter| letter["state"].to_string()).collect::<Vec<_>>()
    };
    row("terms_code = '98'");
    assert_eq!(world.run()["rejected"], json!(1));
    assert_eq!(states(), ["\"open\""]);
    // Nobody retries it: the row is repaired at its source, and the next run writes it.
    row("terms_code = '60', credit_limit = '77'");
    assert_eq!(world.run()["updated"], json!(1));
    assert_eq!(states(), ["\"superseded\""]);
    assert_eq!(world.accounts(), world.expected());
}

#[test]
fn what_is_written_once_is_left_to_people_afterwards() {
    let (world, keys) = world();
    let lead = "      parentaccountid: parent\n";
    world.edit(
        "systems/dynamics.yaml",
        lead,
        &format!("{lead}      telephone1: {{ value: '=\"0800\"', only_on: create }}\n"),
    );
    let phone = |key: &str| {
        let path = format!("/api/data/v9.2/accounts(accountnumber='{key}')?$select=telephone1");
        serde_json::from_str::<Json>(&http(&world.url, "GET", &path, "")).unwrap()["telephone1"].clone()
    };
    // Rows that are there already do not get it, though the mapping has changed and everything is read again.
    let run = world.run();
    assert_eq!((&run["updated"], &run["error"], phone(&keys[0])), (&json!(0), &Json::Null, Json::Null), "{run:#}");
    world.sql(&format!(
        "INSERT INTO customers (customer_no, company_name, terms_code, updated_at) VALUES ('C-9001', 'New (sample)', '30', {})",
        ago("+0 seconds")
    ));
    assert_eq!(world.run()["created"], json!(1));
    assert_eq!(phone("C-9001"), json!("0800"));
    http(&world.url, "PATCH", "/api/data/v9.2/accounts(accountnumber='C-9001')", r#"{"telephone1": "0207"}"#);
    change(&world, "C-9001", "12", &ago("+0 seconds"));
    assert_eq!(world.run()["updated"], json!(1));
    world.ironbridge(&["state", "reset", "customers"]).ok();
    assert_eq!(world.run()["updated"], json!(0));
    assert_eq!(phone("C-9001"), json!("0207"), "somebody has written it since");
}

#[test]
fn a_window_of_dynamics_is_read_by_the_time_of_the_last_change() {
    let world = copies();
    let keys: Vec<String> = world.accounts().into_keys().collect();
    let titles = || {
        let conn = rusqlite::Connection::open(world.dir.join("data/copies.db")).unwrap();
        let sql = "SELECT count(*) FILTER (WHERE title = 'Later (sample)') FROM copies";
        conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    world.ironbridge(&["run", "copies"]).ok();
    // An hour later somebody changes two rows, and the copy loses them.
    http(&world.url, "POST", "/emulator/clock", r#"{"advance_seconds": 3600}"#);
    for key in &keys[..2] {
        let account = format!("/api/data/v9.2/accounts(accountnumber='{key}')");
        http(&world.url, "PATCH", &account, r#"{"name": "Later (sample)"}"#);
    }
    let moved = world.ironbridge(&["--format", "json", "run", "copies"]).ok().json();
    assert_eq!((&moved["updated"], titles()), (&json!(2), 2), "{moved:#}");
    let conn = rusqlite::Connection::open(world.dir.join("data/copies.db")).unwrap();
    conn.execute_batch("UPDATE copies SET title = 'Overwritten by hand'").unwrap();
    let after = |minutes: i64| jiff::Timestamp::now() + jiff::SignedDuration::from_mins(minutes);
    let (from, to) = (after(30).to_string(), after(90).to_string());
    let run = world.ironbridge(&["--format", "json", "run", "copies", "--from", &from, "--to", &to]).ok().json();
    assert_eq!(run["read"], json!(2), "only what was changed in that time: {run:#}");
    // What the ledger knows as written is not written again by a window; comparing does that.
    assert_eq!((&run["unchanged"], titles()), (&json!(2), 0), "{run:#}");
}
