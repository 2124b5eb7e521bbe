//! Results that are late, and runs that meet: two processes on one folder.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::support::{World, binary, said};

/// `up` in the project, ended with the test.
struct Up(Child);

impl Up {
    fn start(world: &World) -> Up {
        let args = ["-C", world.dir.to_str().unwrap(), "up", "--listen", "127.0.0.1:0"];
        let file = std::fs::File::create(world.dir.join("up.log")).unwrap();
        Up(binary().args(args).stdout(Stdio::null()).stderr(file).spawn().unwrap())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn status(world: &World) -> Json {
    world.ironbridge(&["--format", "json", "status"]).ok().json()[0].clone()
}

fn until(world: &World, what: &str, done: impl Fn(&Json) -> bool) -> Json {
    let begun = Instant::now();
    loop {
        let now = status(world);
        if done(&now) {
            return now;
        }
        let log = || std::fs::read_to_string(world.dir.join("up.log")).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} did not come: {now:#}\n{}", log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_result_is_late_when_it_is_not_there_and_no_longer_once_it_is() {
    let world = World::new(10);
    world.edit("integrations/customers.yaml", "every 15 minutes", "every 1 second");
    world.edit(
        "integrations/customers.yaml",
        "schedule:",
        "needed_by: 4 seconds\nretry_run: every 1 second\nschedule:",
    );
    let up = Up::start(&world);
    until(&world, "a good run", |now| now["state"] == "ok" || now["state"] == "ok_with_dead_letters");
    assert!(status(&world)["late"].is_null());
    // One attempt that fails is no lateness; a result that is not there in time is.
    let (finance, away) = (world.finance(), world.dir.join("data/away.db"));
    std::fs::rename(&finance, &away).unwrap();
    let late = until(&world, "lateness", |now| !now["late"]["noticed"].is_null());
    let at = |name: &str| late["late"][name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(at("needed_by").duration_since(at("since")), jiff::SignedDuration::from_secs(4));
    assert!(at("noticed") >= at("needed_by"), "{late:#}");
    let table = world.ironbridge(&["status"]).ok().out;
    assert!(table.contains("late since ") && table.contains("needed by "), "{table}");
    let log = std::fs::read_to_string(world.dir.join("up.log")).unwrap();
    assert_eq!(log.matches("customers is late").count(), 1, "it is said once: {log}");
    std::fs::rename(&away, &finance).unwrap();
    until(&world, "the result", |now| now["late"].is_null());
    drop(up);
    // Nobody watches any more, and `status` says so all the same.
    std::thread::sleep(Duration::from_secs(6));
    let late = status(&world);
    assert!(late["late"]["since"].is_string() && late["late"]["noticed"].is_null(), "{late:#}");
    world.ironbridge(&["pause", "customers", "--note", "a test"]).ok();
    assert!(status(&world)["late"].is_null(), "nobody waits for what is paused");
}

#[test]
fn what_is_approved_is_written_by_up_at_once() {
    let world = World::new(10);
    world.edit("integrations/customers.yaml", "schedule:", "first_load: { approve: finance-it }\nschedule:");
    let _up = Up::start(&world);
    until(&world, "the question", |now| now["approval"]["id"] == 1);
    assert!(world.accounts().is_empty());
    world.ironbridge(&["approvals", "approve", "1"]).ok();
    until(&world, "the run", |now| now["last_run"]["why"] == "approval" && now["state"] != "running");
    assert_eq!(world.accounts(), world.expected());
}

#[test]
fn two_processes_never_run_one_integration_at_once() {
    let world = World::new(600);
    world.reset_stats();
    for round in 0..3 {
        world.sql(&format!(
            "UPDATE customers SET credit_limit = '{round}.75', updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
        ));
        let start = |_| {
            let args = ["-C", world.dir.to_str().unwrap(), "--format", "json", "run", "customers"];
            binary().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let children: Vec<Child> = (0..4).map(start).collect();
        let ended: Vec<_> = children.into_iter().map(|child| said(child.wait_with_output().unwrap())).collect();
        for one in &ended {
            assert!(one.code == Some(0) || one.out.contains("IB0018"), "{one:#?}");
        }
        assert!(ended.iter().any(|one| one.code == Some(0)), "{ended:#?}");
    }
    let runs = world.ironbridge(&["--format", "json", "runs", "--last", "100"]).ok().json();
    let runs = runs.as_array().unwrap();
    let at = |run: &Json, name: &str| run[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    for pair in runs.windows(2) {
        assert!(at(&pair[1], "finished") <= at(&pair[0], "started"), "two at once: {pair:#?}");
        assert_ne!(pair[0]["state"], json!("interrupted"));
    }
    let count = |name: &str| runs.iter().filter_map(|run| run[name].as_u64()).sum::<u64>();
    assert_eq!(world.rows_written(), count("created") + count("updated"), "each row was written by one of them");
    assert_eq!(world.accounts(), world.expected());
}

#[test]
fn what_was_due_in_a_pause_is_needed_after_it() {
    let world = World::new(10);
    world.edit("integrations/customers.yaml", "schedule:", "needed_by: 2 hours\nschedule:");
    world.run();
    world.ironbridge(&["pause", "customers", "--note", "a test", "--for", "10 hours"]).ok();
    let late = |hours: i64| {
        let status = world.with_clock(&["--format", "json", "status"], "", hours * 3600).ok();
        !status.json()[0]["late"].is_null()
    };
    assert_eq!([5, 11, 13].map(late), [false, false, true]);
    world.ironbridge(&["resume", "customers"]).ok();
    assert_eq!([1, 3].map(late), [false, true]);
}
