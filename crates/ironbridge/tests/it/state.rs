//! Pausing an integration, and moving its position by hand.

use serde_json::{Value as Json, json};

use crate::stage::Stage;
use crate::support::World;

#[test]
fn a_position_goes_out_and_in_again_and_a_reset_writes_nothing_twice() {
    let world = World::new(30);
    world.run();
    let shown = world.ironbridge(&["state", "show", "customers"]).json();
    assert_eq!(shown["integration"], "customers");
    let position = shown["positions"]["customer"]["position"].as_str().unwrap().to_owned();
    let file = world.dir.join("state.json");
    std::fs::write(&file, shown.to_string()).unwrap();
    let file = file.to_str().unwrap();

    world.ironbridge(&["state", "reset", "customers"]).ok();
    assert_eq!(world.ironbridge(&["state", "show", "customers"]).json()["positions"], json!({}));
    world.reset_stats();
    let again = world.run();
    assert!(again["read"].as_u64() >= Some(30), "{again:#}");
    assert_eq!(world.rows_written(), 0, "{again:#}");

    for how in ["set", "merge"] {
        world.ironbridge(&["state", "reset", "customers", "customer"]).ok();
        world.ironbridge(&["state", how, "customers", file]).ok();
        let now = world.ironbridge(&["state", "show", "customers"]).json();
        assert_eq!(now["positions"]["customer"]["position"], Json::from(position.clone()), "{how}");
    }
}

#[test]
fn a_position_that_makes_no_sense_is_refused() {
    let world = World::new(10);
    let file = world.dir.join("state.json");
    let check = |text: &str, expected: &str| {
        std::fs::write(&file, text).unwrap();
        let said = world.ironbridge(&["state", "set", "customers", file.to_str().unwrap()]);
        assert_eq!(said.code, Some(2), "{said:#?}");
        assert!(said.err.contains(expected), "no `{expected}` in {said:#?}");
    };
    check("{", "IB0019");
    check(r#"{"integration": "prices", "positions": {}}"#, "it is that of `prices`");
    check(
        r#"{"integration": "customers", "positions": {"order": {"position": "1", "fingerprint": "2"}}}"#,
        "moves no entity `order`",
    );
    check(r#"{"integration": "customers", "positions": {}, "more": 1}"#, "unknown field `more`");
    let said = world.ironbridge(&["state", "show", "custmers"]);
    assert_eq!(said.code, Some(2), "{said:#?}");
}

#[test]
fn what_is_no_batch_has_no_position_to_move() {
    let stage = Stage::new();
    let file = stage.world.dir.join("state.json");
    let mut state =
        json!({ "integration": "buyers", "positions": { "customer": { "position": "1", "fingerprint": "2" } } });
    for how in ["set", "merge"] {
        std::fs::write(&file, state.to_string()).unwrap();
        let said = stage.world.ironbridge(&["state", how, "buyers", file.to_str().unwrap()]).fails(2, "IB0019");
        assert!(said.err.contains("state reset buyers"), "{said:#?}");
    }
    // What is shown may be given back, and changes nothing.
    state["positions"] = json!({});
    assert_eq!(stage.world.ironbridge(&["state", "show", "buyers"]).ok().json(), state);
    std::fs::write(&file, state.to_string()).unwrap();
    stage.world.ironbridge(&["state", "set", "buyers", file.to_str().unwrap()]).ok();
}

#[test]
fn a_position_stays_while_a_run_moves_it() {
    let world = World::new(300);
    world.fault("slow:1s@100%");
    let dir = world.dir.clone();
    let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_ironbridge"))
        .args(["-C", dir.to_str().unwrap(), "run", "customers"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let refused = (0..200).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        let running = world.ironbridge(&["--format", "json", "runs"]).json();
        let under_way = running.as_array().is_some_and(|runs| runs.iter().any(|run| run["state"] == "running"));
        under_way.then(|| world.ironbridge(&["state", "reset", "customers"]))
    });
    let ended = run.try_wait().unwrap().is_some();
    let _ = run.kill();
    let _ = run.wait();
    let refused = refused.expect("the run was seen under way");
    assert!(ended || refused.code == Some(1) && refused.err.contains("runs right now"), "{refused:#?}");
}

#[test]
fn a_run_that_was_killed_on_this_machine_holds_nobody_up() {
    let world = World::new(30);
    assert_eq!(world.with_failpoints(&["run", "customers"], "sink.after@1=abort").code, None);
    world.ironbridge(&["state", "reset", "customers"]).ok();
    assert!(world.run()["error"].is_null());
}

#[test]
fn a_paused_integration_says_so_and_resumes() {
    let world = World::new(10);
    world.ironbridge(&["pause", "customers", "--note", "finance closes the year", "--for", "2 hours"]).ok();
    let status = world.ironbridge(&["--format", "json", "status"]).json();
    let paused = &status[0]["paused"];
    assert_eq!(paused["note"], "finance closes the year");
    assert!(paused["until"].is_string() && status[0]["next"].is_null(), "{status:#}");
    let people = world.ironbridge(&["status"]).ok().out;
    assert!(people.contains("paused until") && people.contains("finance closes the year"), "{people}");
    world.ironbridge(&["resume", "customers"]).ok();
    let status = world.ironbridge(&["--format", "json", "status"]).json();
    assert!(status[0]["paused"].is_null() && status[0]["next"].is_string(), "{status:#}");
    assert!(world.ironbridge(&["resume", "customers"]).ok().err.contains("was not paused"));
    let said = world.ironbridge(&["pause", "customers", "--note", "x", "--for", "2"]);
    assert!(said.code == Some(2) && said.err.contains("Its unit is missing"), "{said:#?}");
}
