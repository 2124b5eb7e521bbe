//! What people do about dead letters: groups, retries of many, the archive, and the log of what was done.

use serde_json::Value as Json;

use crate::stage::{EVENTS, Stage};
use crate::support::World;

/// Six bad rows in four groups: two lack a key, two share one, one has an unknown code, one a long name.
const CUSTOMERS: usize = 300;

fn groups(world: &World) -> Vec<Json> {
    let list = world.ironbridge(&["--format", "json", "dead-letters", "groups"]).ok().json();
    list.as_array().unwrap().clone()
}

fn short(group: &Json) -> String {
    group["group"].as_str().unwrap()[..9].to_owned()
}

#[test]
fn groups_say_why_they_are_one_and_show_an_example() {
    let world = World::new(CUSTOMERS);
    world.run();
    let found = groups(&world);
    let mut counts: Vec<(&str, u64)> =
        found.iter().map(|g| (g["code"].as_str().unwrap(), g["waiting"].as_u64().unwrap())).collect();
    counts.sort_unstable();
    assert_eq!(counts, [("IB0401", 2), ("IB0402", 2), ("IB0411", 1), ("IB0412", 1)], "{found:#?}");
    let unknown = found.iter().find(|g| g["code"] == "IB0412").unwrap();
    let shown = world.ironbridge(&["dead-letters", "show", &short(unknown)]).ok();
    for part in ["1 waits", "one group because", "nobody has looked at it", "One of them", "systems/finance.yaml:"] {
        assert!(shown.out.contains(part), "no {part} in {}", shown.out);
    }
    assert!(!shown.out.contains(".example"), "the e-mail is personal: {}", shown.out);
    let csv = world.ironbridge(&["--format", "csv", "dead-letters", "groups"]).ok().out;
    assert!(csv.starts_with("group,integration,step,code,message,") && csv.lines().count() == 5, "{csv}");
    let list = world.ironbridge(&["--format", "csv", "dead-letters", "list", "--group", &short(unknown)]).ok().out;
    assert_eq!(list.lines().count(), 2, "{list}");
    let only = world.ironbridge(&["--format", "csv", "status"]);
    assert_eq!(only.code, Some(2), "{only:#?}");

    let id = short(unknown);
    world
        .ironbridge(&["dead-letters", "mark", &id, "--owner", "ann", "--note", "asked finance", "--hold", "3 days"])
        .ok();
    let marked = world.ironbridge(&["dead-letters", "groups"]).ok().out;
    assert!(marked.contains("put aside until") && marked.contains("ann"), "{marked}");
    world.ironbridge(&["dead-letters", "mark", "gffffffff"]).fails(1, "IB0002");
}

#[test]
fn rows_of_a_group_are_read_again_by_a_job() {
    let world = World::new(CUSTOMERS);
    world.run();
    let found = groups(&world);
    let unknown = found.iter().find(|g| g["code"] == "IB0412").unwrap();
    let id = short(unknown);
    let preview = world.ironbridge(&["dead-letters", "retry", &id, "--preview"]).ok();
    for part in ["would run again: 1", "it is a row, which the next run of customers reads again", "not known"] {
        assert!(preview.out.contains(part), "no {part} in {}", preview.out);
    }
    // Of one dead letter nothing is sent again where somebody only wanted to see.
    let letters = || world.ironbridge(&["--format", "json", "dead-letters", "list"]).ok().json();
    let one = letters().as_array().unwrap().iter().find(|letter| letter["code"] == "IB0412").unwrap().clone();
    for option in [&["--preview"][..], &["--first", "5"], &["--rate", "5"]] {
        let told = world.ironbridge(&[&["dead-letters", "retry", one["id"].as_str().unwrap()], option].concat());
        assert!(told.fails(2, "IB1030").err.contains("dead-letters retry g"));
    }
    assert!(letters().as_array().unwrap().iter().all(|letter| letter["state"] == "open"));
    let jobs = || world.ironbridge(&["--format", "json", "dead-letters", "jobs", "show", "1"]).ok().json();
    world.ironbridge(&["dead-letters", "retry", &id, "--note", "the code is there now"]).ok();
    assert_eq!((jobs()["state"].as_str(), jobs()["started"].as_u64()), (Some("running"), Some(1)));
    world.ironbridge(&["dead-letters", "retry", &id]).ok().err.contains("on its way already");
    // A run that fails says nothing of the row.
    let away = world.dir.join("data/away.db");
    std::fs::rename(world.finance(), &away).unwrap();
    assert_eq!(world.run()["state"], "failed");
    assert_eq!((jobs()["state"].as_str(), jobs()["started"].as_u64()), (Some("running"), Some(1)));
    std::fs::rename(&away, world.finance()).unwrap();
    let key = world.ironbridge(&["--format", "json", "dead-letters", "show", &id]).ok().json()["example"]["key"]
        .as_str()
        .unwrap()
        .to_owned();
    world.sql(&format!("UPDATE customers SET terms_code = '30' WHERE customer_no = '{key}'"));
    assert_eq!(world.run()["created"], 1);
    let done = jobs();
    assert_eq!((done["state"].as_str(), done["items"][0]["state"].as_str()), (Some("done"), Some("ok")), "{done:#}");
    world.ironbridge(&["dead-letters", "jobs", "resume", "1"]).fails(1, "IB1030");
    world.ironbridge(&["dead-letters", "jobs", "show", "9"]).fails(1, "IB0002");
}

#[test]
fn what_is_discarded_comes_back_and_everything_is_in_the_audit_log() {
    let world = World::new(CUSTOMERS);
    world.run();
    let list = world.ironbridge(&["--format", "json", "dead-letters", "list"]).ok().json();
    let id = &list[0]["id"].as_str().unwrap()[..8];
    let said = world.ironbridge(&["dead-letters", "discard", id, "--note", "a test row"]).ok();
    assert!(said.out.contains("goes for good on 20") && said.err.contains("dead-letters restore"), "{said:#?}");
    world.ironbridge(&["dead-letters", "discard", id]).fails(1, "IB1034");
    let shown = world.ironbridge(&["dead-letters", "show", id]).ok().out;
    assert!(shown.contains("discarded") && shown.contains("a test row") && shown.contains("goes for good"), "{shown}");
    world.ironbridge(&["dead-letters", "restore", id]).ok();
    world.ironbridge(&["dead-letters", "restore", id]).fails(1, "IB1034");
    let back = world.ironbridge(&["--format", "json", "dead-letters", "show", id]).ok().json();
    assert_eq!((back["state"].as_str(), back["goes"].is_null()), (Some("open"), true));

    world.ironbridge(&["pause", "customers", "--note", "a flood"]).ok();
    world.ironbridge(&["resume", "customers"]).ok();
    world.ironbridge(&["state", "reset", "customers"]).ok();
    let log = world.ironbridge(&["--format", "json", "audit", "list"]).ok().json();
    let did: Vec<&str> = log.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    let expected = ["state reset", "resume", "pause", "dead-letters restore", "dead-letters discard", "run"];
    assert_eq!(did, expected, "the newest first");
    assert_eq!((log[4]["why"].as_str(), log[4]["via"].as_str()), (Some("a test row"), Some("command line")));
    let only = world.ironbridge(&["audit", "list", "--action", "dead-letters"]).ok().out;
    assert_eq!(only.lines().count(), 3, "{only}");
    let verified = world.ironbridge(&["--format", "json", "audit", "verify"]).ok().json();
    let head = verified["head"].as_str().unwrap();
    assert_eq!(verified["entries"], 6);
    world.ironbridge(&["audit", "verify", "--head", head]).ok();
    world.ironbridge(&["audit", "verify", "--head", &"0".repeat(64)]).fails(1, "IB1032");
    let exported = world.ironbridge(&["audit", "export", "-"]).ok().out;
    assert_eq!((exported.lines().count(), exported.contains(head)), (6, true));
}

/// A stage whose warehouse refuses every row, so that each event becomes a dead letter of one group.
fn refused(events: u32) -> Stage {
    let mut stage = Stage::with(&EVENTS.replace("after_dead_letter: hold_key", "after_dead_letter: continue"));
    stage.sql("CREATE TRIGGER no BEFORE INSERT ON buyers BEGIN SELECT raise(ABORT, 'closed'); END");
    stage.start();
    for n in 1..=events {
        stage.account(&format!("C-{n}"), "Somebody", n);
    }
    stage.until("the dead letters", || {
        stage.json(&["dead-letters", "list"]).as_array().unwrap().len() == events as usize
    });
    stage
}

#[test]
fn a_few_first_and_then_the_rest() {
    let stage = refused(5);
    let found = stage.json(&["dead-letters", "groups"]);
    assert_eq!((found.as_array().unwrap().len(), found[0]["waiting"].as_u64()), (1, Some(5)), "{found:#}");
    let id = short(&found[0]);
    let shown = stage.json(&["dead-letters", "show", &id]);
    let as_of = shown["as_of"].as_str().unwrap().to_owned();
    // One more after the look: it is left alone.
    stage.account("C-6", "Somebody", 6);
    stage.until("one more", || stage.json(&["dead-letters", "list"]).as_array().unwrap().len() == 6);
    stage.sql("DROP TRIGGER no");
    let preview = stage.say(&["dead-letters", "retry", &id, "--preview", "--as-of", &as_of]);
    for part in ["would run again: 5", "5 for warehouse", "the definition is the same", "1 more since you looked"] {
        assert!(preview.contains(part), "no {part} in {preview}");
    }
    let said = stage.say(&["dead-letters", "retry", &id, "--first", "2", "--as-of", &as_of, "--note", "open again"]);
    assert!(said.contains("5 dead letters, 2 sent again") && said.contains("1 more since then"), "{said}");
    let job = || stage.json(&["dead-letters", "jobs", "show", "1"]);
    stage.until("the first two", || job()["state"] == "paused");
    assert_eq!((job()["ok"].as_u64(), job()["waiting"].as_u64()), (Some(2), Some(3)), "{:#}", job());
    assert!(job()["note"].as_str().unwrap().starts_with("the first 2 are through"), "{:#}", job());
    assert_eq!(stage.buyers().len(), 2);
    stage.say(&["dead-letters", "jobs", "resume", "1", "--rate", "600"]);
    stage.until("the rest", || job()["state"] == "done");
    assert_eq!((job()["ok"].as_u64(), stage.buyers().len()), (Some(5), 5), "{:#}", job());
    let shown = stage.say(&["dead-letters", "jobs", "show", "1"]);
    assert!(shown.contains("5 of 5 through") && shown.contains("it was delivered"), "{shown}");
    let waits = stage.json(&["dead-letters", "list"]);
    assert_eq!(waits.as_array().unwrap().len(), 1, "what came later waits: {waits:#}");
    let again = stage.say(&["dead-letters", "jobs", "list", "--all"]);
    assert!(again.contains("done"), "{again}");
}

#[test]
fn a_job_survives_kill_at_every_step() {
    let mut stage = refused(4);
    stage.kill();
    stage.sql("DROP TRIGGER no");
    let id = short(&stage.json(&["dead-letters", "groups"])[0]);
    let said = stage.say(&["dead-letters", "retry", &id, "--rate", "60"]);
    assert!(said.contains("4 dead letters, 0 sent again"), "{said}");
    let job = |stage: &Stage| stage.json(&["dead-letters", "jobs", "show", "1"]);
    for failpoint in ["retry.before@1=abort", "retry.after@1=abort", "retry.before@2=abort", "retry.after@1=abort"] {
        // It may come to it before it listens.
        let _ = stage.start_until_ready(failpoint);
        let up = stage.up.as_mut().unwrap();
        let begun = std::time::Instant::now();
        while up.try_wait().unwrap().is_none() {
            assert!(begun.elapsed().as_secs() < 30, "{failpoint} was not met");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    stage.start();
    stage.until("the end of the job", || job(&stage)["state"] == "done");
    let done = job(&stage);
    assert_eq!((done["ok"].as_u64(), done["dead_letters"].as_u64()), (Some(4), Some(4)), "{done:#}");
    for n in 1..=4 {
        assert_eq!(stage.effects(&format!("C-{n}")), 1, "C-{n} was delivered once");
    }
}
