//! Rows that stay as bad as they are: refused by the destination, or with the key of another row. Nobody is told twice, and
//! they hold up nothing.

use serde_json::Value as Json;

use crate::alerts::{Up, until};
use crate::moved::Shop;
use crate::post::Post;
use crate::support::World;

fn letters(shop: &Shop) -> Vec<(String, String, u64)> {
    let all = shop.ironbridge(&["--format", "json", "dead-letters", "list", "--all"]).json();
    let one = |letter: &Json| {
        let text = |name: &str| letter[name].as_str().unwrap().to_owned();
        (text("key"), text("state"), letter["count"].as_u64().unwrap())
    };
    all.as_array().unwrap().iter().map(one).collect()
}

fn letter(key: &str, state: &str, count: u64) -> (String, String, u64) {
    (key.to_owned(), state.to_owned(), count)
}

/// A shop that reads everything at each run, and takes no name of the number 3 or more.
fn picky() -> Shop {
    let shop = Shop::new();
    shop.0.edit("systems/books.yaml", "    watermark: { column: changed, overlap: 5 minutes }\n", "");
    shop.shop("DROP TABLE buyers; CREATE TABLE buyers (code TEXT PRIMARY KEY, title TEXT CHECK (title < 'name 3'), seen DATETIME)");
    shop
}

#[test]
fn a_row_that_is_refused_again_is_told_once_and_stays_discarded() {
    let shop = picky();
    shop.books("DELETE FROM debtors WHERE no > 'D-3'");
    let run = shop.ironbridge(&["--format", "json", "run", "debtors"]).json();
    assert_eq!((&run["created"], &run["rejected"]), (&2.into(), &1.into()), "{run:#}");
    let again = shop.ironbridge(&["--format", "json", "run", "debtors"]).json();
    assert_eq!(
        (&again["unchanged"], &again["skipped"], &again["rejected"]),
        (&2.into(), &1.into(), &0.into()),
        "{again:#}"
    );
    assert_eq!(letters(&shop), [letter("D-3", "open", 1)]);
    let id =
        shop.ironbridge(&["--format", "json", "dead-letters", "list"]).json()[0]["id"].as_str().unwrap().to_owned();
    shop.ironbridge(&["dead-letters", "discard", &id, "--note", "a test row"]).ok();
    shop.ironbridge(&["run", "debtors"]).ok();
    assert_eq!(letters(&shop), [letter("D-3", "discarded", 1)]);
    // Once it is another row, it is another matter.
    shop.books("UPDATE debtors SET name = 'name 4' WHERE no = 'D-3'");
    shop.ironbridge(&["run", "debtors"]).ok();
    assert_eq!(letters(&shop), [letter("D-3", "open", 2)]);
    // It is tried each time: the destination may take it one day.
    shop.shop("DROP TABLE buyers; CREATE TABLE buyers (code TEXT PRIMARY KEY, title TEXT, seen DATETIME)");
    shop.ironbridge(&["run", "debtors"]).ok();
    assert_eq!(letters(&shop), [letter("D-3", "superseded", 2)]);
}

#[test]
fn rows_that_were_refused_before_stop_no_run() {
    let shop = picky();
    shop.0.edit(
        "integrations/debtors.yaml",
        "owner:",
        "stop_after: { rejected: 2, or: 100 % }\ndeletes: delete\nmax_deletes: 100 %\nowner:",
    );
    let stopped = shop.ironbridge(&["run", "debtors"]).fails(1, "IB0701");
    assert!(stopped.err.contains("3 rows were rejected"), "{stopped:?}");
    shop.books("DELETE FROM debtors WHERE no = 'D-1'");
    for _ in 0..2 {
        shop.ironbridge(&["run", "debtors"]).ok();
    }
    assert_eq!(shop.rows("SELECT code FROM buyers"), ["D-2"], "what is gone goes");
    assert_eq!(letters(&shop).len(), 3);
}

/// Rows of which a read hands out 5,000 at a time, with one key on the first and on the last of them.
fn far_apart(shop: &Shop) {
    shop.0.edit("systems/books.yaml", "    watermark: { column: changed, overlap: 5 minutes }\n", "");
    shop.books(
        "INSERT INTO debtors (no, name) VALUES ('TWIN', 'first');
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5100)
         INSERT INTO debtors (no, name) SELECT 'D-' || i, 'name ' || i FROM n;
         INSERT INTO debtors (no, name) VALUES ('TWIN', 'second');",
    );
}

#[test]
fn one_key_on_two_rows_far_apart_is_a_dead_letter() {
    let shop = Shop::empty();
    far_apart(&shop);
    let twin = || shop.rows("SELECT title FROM buyers WHERE code = 'TWIN'");
    for (created, unchanged, count) in [(5101, 0, 1), (0, 5101, 2)] {
        let run = shop.run();
        assert_eq!(
            (&run["created"], &run["unchanged"], &run["rejected"]),
            (&created.into(), &unchanged.into(), &1.into())
        );
        assert_eq!((twin(), letters(&shop)), (vec!["first".to_owned()], vec![letter("TWIN", "open", count)]));
    }
    let id =
        shop.ironbridge(&["--format", "json", "dead-letters", "list"]).json()[0]["id"].as_str().unwrap().to_owned();
    shop.ironbridge(&["dead-letters", "discard", &id, "--note", "nobody mends it"]).ok();
    shop.run();
    assert_eq!((twin(), letters(&shop)), (vec!["first".to_owned()], vec![letter("TWIN", "discarded", 2)]));
    // Both differ from what was written: still one of them at most goes there.
    shop.books("UPDATE debtors SET name = name || ' again' WHERE no = 'TWIN'");
    shop.run();
    assert_eq!((twin(), letters(&shop)), (vec!["first again".to_owned()], vec![letter("TWIN", "open", 3)]));
    shop.books("DELETE FROM debtors WHERE name = 'first again'");
    shop.run();
    assert_eq!((twin(), letters(&shop)), (vec!["second again".to_owned()], vec![letter("TWIN", "superseded", 3)]));
}

#[test]
fn one_key_on_two_rows_far_apart_is_a_dead_letter_of_rows_that_are_created_together() {
    let shop = Shop::empty();
    far_apart(&shop);
    let dynamics = format!(
        "system: crm\nkind: dataverse\nowner: finance-it\nconnection: {{ url: \"{}\", token: \"${{file:dynamics.token}}\" }}\nentities:\n  debtor:\n    table: account\n    alternate_key: accountnumber\n    write: {{ accountnumber: number, name: name }}\n",
        shop.0.url
    );
    std::fs::write(shop.0.dir.join("systems/crm.yaml"), dynamics).unwrap();
    shop.0.edit("integrations/debtors.yaml", "to: shop", "to: crm");
    let run = shop.run();
    assert_eq!((&run["created"], &run["rejected"]), (&5101.into(), &1.into()), "{run:#}");
    let of = |world: &World| world.accounts()["TWIN"].name.clone();
    assert_eq!((of(&shop.0).as_deref(), letters(&shop)), (Some("first"), vec![letter("TWIN", "open", 1)]));
}

#[test]
fn one_key_on_two_rows_side_by_side_is_told_once() {
    let shop = Shop::new();
    shop.0.edit("systems/books.yaml", "    watermark: { column: changed, overlap: 5 minutes }\n", "");
    shop.books("INSERT INTO debtors (no, name) VALUES ('D-1', 'another')");
    assert_eq!(shop.run()["rejected"], 2);
    for _ in 0..3 {
        let run = shop.run();
        assert_eq!((&run["rejected"], &run["skipped"]), (&0.into(), &2.into()), "{run:#}");
    }
    assert_eq!(letters(&shop), [letter("D-1", "open", 2)]);
    shop.books("DELETE FROM debtors WHERE name = 'another'");
    assert_eq!(shop.run()["created"], 1);
    assert_eq!(letters(&shop), [letter("D-1", "superseded", 2)]);
}

#[test]
fn no_run_of_the_schedule_goes_further_than_the_one_that_was_stopped() {
    let shop = picky();
    let file = "integrations/debtors.yaml";
    shop.0.edit(file, "daily at 02:00", "every 1 second\nstop_after: { rejected: 2, or: 100 % }");
    let runs = || shop.ironbridge(&["--format", "json", "runs", "debtors"]).json().as_array().unwrap().clone();
    let stopped = |run: &Json| run["error"]["code"] == "IB0701" && run["state"] == "failed";
    let up = Up::start(&shop.0, &[]);
    until(&shop.0, "some runs", || runs().len() > 3);
    drop(up);
    let all = runs();
    assert!(all.iter().filter(|run| run["state"] != "running").all(stopped), "{all:#?}");
    assert_eq!(letters(&shop).len(), 3);
    // Somebody has looked, and these rows may stay as they are.
    shop.ironbridge(&["run", "debtors"]).ok();
    let before = runs().len();
    let up = Up::start(&shop.0, &[]);
    until(&shop.0, "some more", || runs().len() > before + 2);
    drop(up);
    let after = runs();
    assert!(!after[..after.len() - before].iter().any(stopped), "{after:#?}");
}

#[test]
fn rows_that_are_gone_or_have_got_a_key_leave_no_dead_letter_behind() {
    let shop = picky();
    let run = || shop.ironbridge(&["run", "debtors"]).ok();
    shop.books("DELETE FROM debtors WHERE no > 'D-3'; INSERT INTO debtors (no, name) VALUES (NULL, 'a')");
    run();
    let states = || {
        let mut all: Vec<String> = letters(&shop).into_iter().map(|(key, state, _)| format!("{key} {state}")).collect();
        all.iter_mut().filter(|one| one.starts_with("(no key)")).for_each(|one| *one = one[one.len() - 4..].to_owned());
        all.sort();
        all
    };
    assert_eq!(states(), ["D-3 open", "open"]);
    // Another row as far as anybody can tell, and still one dead letter that waits.
    for name in ["b", "c"] {
        shop.books(&format!("UPDATE debtors SET name = '{name}' WHERE no IS NULL"));
        run();
        let open = states().into_iter().filter(|one| one.ends_with("open")).collect::<Vec<_>>();
        assert_eq!(open, ["D-3 open", "open"]);
    }
    shop.books("UPDATE debtors SET no = 'D-9' WHERE no IS NULL; DELETE FROM debtors WHERE no = 'D-3'");
    run();
    assert!(states().iter().all(|one| !one.ends_with("open")), "{:?}", states());
    // It comes back as it was, and so does its dead letter.
    shop.books("INSERT INTO debtors VALUES ('D-3', 'name 3', '2026-07-03 12:00:00', '2026-11-03 10:00:00')");
    run();
    assert!(states().contains(&"D-3 open".to_owned()), "{:?}", states());
}

#[test]
fn a_row_that_cannot_be_read_again_is_told_once() {
    let shop = picky();
    shop.books("DELETE FROM debtors WHERE no > 'D-2'; UPDATE debtors SET name = x'00ff' WHERE no = 'D-2'");
    for (rejected, skipped) in [(1, 0), (0, 1), (0, 1)] {
        let run = shop.run();
        assert_eq!((&run["rejected"], &run["skipped"]), (&rejected.into(), &skipped.into()), "{run:#}");
        assert_eq!(letters(&shop), [letter("D-2", "open", 1)]);
    }
}

#[test]
fn a_removal_that_is_refused_again_is_told_once_and_goes_on_being_tried() {
    let shop = Shop::new();
    shop.0.edit("integrations/debtors.yaml", "owner:", "deletes: delete\nmax_deletes: 100 %\nowner:");
    shop.ironbridge(&["run", "debtors"]).ok();
    shop.shop("CREATE TRIGGER stays BEFORE DELETE ON buyers BEGIN SELECT RAISE(ABORT, 'it is invoiced'); END");
    shop.books("CREATE TABLE kept AS SELECT * FROM debtors WHERE no = 'D-1'; DELETE FROM debtors WHERE no = 'D-1'");
    let run = || shop.ironbridge(&["--format", "json", "run", "debtors"]).ok().json();
    for (rejected, skipped) in [(1, 0), (0, 1), (0, 1)] {
        let run = run();
        assert_eq!((&run["rejected"], &run["skipped"]), (&rejected.into(), &skipped.into()), "{run:#}");
        assert_eq!(letters(&shop), [letter("D-1", "open", 1)]);
    }
    // The source has it again.
    shop.books("INSERT INTO debtors SELECT * FROM kept");
    assert_eq!(run()["unchanged"], 5);
    assert_eq!(letters(&shop), [letter("D-1", "superseded", 1)]);
    shop.books("DELETE FROM debtors WHERE no = 'D-1'");
    assert_eq!(run()["rejected"], 1);
    assert_eq!(letters(&shop), [letter("D-1", "open", 2)]);
    shop.shop("DROP TRIGGER stays");
    assert_eq!(run()["deleted"], 1);
    assert_eq!(letters(&shop), [letter("D-1", "superseded", 2)]);
}

/// A service that nobody can ask what it holds: what is blank now goes there as well, and what is for new rows only does not.
#[test]
fn a_row_that_nobody_can_look_at_is_updated_as_one_that_is_there() {
    let (shop, post) = (Shop::new(), Post::http());
    shop.books("DELETE FROM debtors WHERE no <> 'D-1'");
    shop.0.edit("systems/shop.yaml", "kind: sqlite", "kind: rest");
    shop.0.edit("systems/shop.yaml", "{ file: data/shop.db }", &format!("{{ url: \"http://{}\" }}", post.address));
    let calls = "create: POST /buyers\n    idempotency_key: Idempotency-Key\n    update: PATCH /buyers/{number}\n";
    shop.0.edit("systems/shop.yaml", "table: buyers\n    alternate_key: code\n", calls);
    shop.0.edit("systems/shop.yaml", "seen: seen }", "seen: seen, state: { value: =\"new\", only_on: create } }");
    shop.run();
    shop.books("UPDATE debtors SET seen = NULL, name = 'another', changed = datetime('now')");
    let run = shop.run();
    assert_eq!((&run["created"], &run["updated"]), (&0.into(), &1.into()), "{run:#}");
    let bodies: Vec<Json> = post.taken().iter().filter_map(|body| serde_json::from_str(body).ok()).collect();
    assert_eq!(bodies.len(), 2, "{:?}", post.taken());
    assert_eq!(bodies[0]["state"], "new");
    assert_eq!(bodies[1]["title"], "another");
    let sent = bodies[1].as_object().unwrap();
    assert!(sent.get("seen").is_some_and(Json::is_null) && !sent.contains_key("state"), "{sent:?}");
}
