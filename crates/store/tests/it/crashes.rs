//! Processes that die: at each commit by a failpoint, and at any moment by being killed.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use record::Key;
use store::queue::{Delivery, Message, NewMessage, Op, Settings};
use store::{Error, OpResult, Options, Store, ledger};

const MESSAGES: i64 = 4;

/// Another process, running one of the `#[ignore]`d children below.
fn child(name: &str, dir: &Path, failpoints: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("crashes::{name}"), "--ignored"])
        .env("STORE_DIR", dir)
        .env("STORE_FAILPOINTS", failpoints)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn child_store() -> Option<Store> {
    let dir = std::env::var_os("STORE_DIR")?;
    let failpoints = std::env::var("STORE_FAILPOINTS").unwrap().parse().unwrap();
    Some(Store::open(dir, Options { failpoints, ..Options::default() }).unwrap())
}

fn settings() -> Settings {
    let window = Some(Duration::from_secs(3600));
    // Short, so that what a dead process held comes back while the test waits; no limit, because that is not the point.
    Settings { lock: Duration::from_millis(40), max_deliveries: 0, duplicate_window: window, ..Settings::default() }
}

fn receive(store: &Store) -> Option<Delivery> {
    let received = store.commit_blocking(vec![Op::Receive { queue: "work".into(), max: 1 }.into()]).unwrap();
    match received.into_iter().next() {
        Some(OpResult::Messages(mut deliveries)) => deliveries.pop(),
        other => panic!("{other:?}"),
    }
}

/// Sends what is not sent yet, and settles each message together with its effect and with what follows from it.
#[test]
#[ignore = "the other process of the tests below"]
fn child_works_through_the_queue() {
    let Some(store) = child_store() else { return };
    for queue in ["work", "next"] {
        store.commit_blocking(vec![Op::Put { queue: queue.into(), settings: settings() }.into()]).unwrap();
    }
    for n in 0..MESSAGES {
        let message = Message { id: n.to_string(), body: vec![n as u8], ..Message::default() };
        store.commit_blocking(vec![Op::Send { queue: "work".into(), messages: vec![message.into()] }.into()]).unwrap();
    }
    loop {
        let counts = store.queue_counts("work").unwrap().unwrap();
        if counts.ready + counts.locked == 0 {
            return;
        }
        let Some(delivery) = receive(&store) else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        let key = Key::of(&[delivery.message.id.as_str().into()]).unwrap();
        let found = store.ledger_get("s", "e", std::slice::from_ref(&key)).unwrap().pop().flatten();
        let times = found.map_or(0, |entry| entry.generation) + 1;
        let entry = ledger::Entry {
            key,
            source_hash: 0,
            content_hash: 0,
            mapping: 0,
            state: ledger::State::Written,
            generation: times,
            remote_id: None,
            version: None,
        };
        let follow = Message { id: format!("after {}", delivery.message.id), ..Message::default() };
        let settled = store.commit_blocking(vec![
            Op::Complete { queue: "work".into(), tokens: vec![delivery.token] }.into(),
            ledger::Op::Put { system: "s".into(), entity: "e".into(), entries: vec![entry] }.into(),
            Op::Send { queue: "next".into(), messages: vec![follow.into()] }.into(),
        ]);
        // On a slow disk the lock runs out; then nothing of the commit may stay, and the message comes again.
        assert!(matches!(settled, Ok(_) | Err(Error::Refused { op: 0, .. })), "{settled:?}");
    }
}

#[test]
fn a_crash_at_any_commit_loses_nothing_and_repeats_no_effect() {
    let mut at = 1;
    loop {
        let mut finished = 0;
        for point in ["before", "after"] {
            let dir = tempfile::tempdir().unwrap();
            let failpoints = format!("commit.{point}@{at}=abort");
            let crashed = !child("child_works_through_the_queue", dir.path(), &failpoints).status().unwrap().success();
            finished += u32::from(!crashed);
            assert!(child("child_works_through_the_queue", dir.path(), "").status().unwrap().success());

            let store = Store::open(dir.path(), Options::default()).unwrap();
            let mut effects = Vec::new();
            let scan = store.ledger_scan("s", "e", |seen| {
                effects.push(seen.generation);
                std::ops::ControlFlow::Continue(())
            });
            scan.unwrap();
            assert_eq!(effects, vec![1; MESSAGES as usize], "{failpoints}: each effect once");
            let next = store.peek("next", 0, 100).unwrap().unwrap();
            let mut next: Vec<String> = next.into_iter().map(|peeked| peeked.message.id).collect();
            next.sort();
            assert_eq!(next, (0..MESSAGES).map(|n| format!("after {n}")).collect::<Vec<_>>(), "{failpoints}");
        }
        if finished == 2 {
            break;
        }
        at += 1;
    }
    assert!(at as i64 > 2 + MESSAGES * 3, "every commit of the child was hit: {at}");
}

#[test]
#[ignore = "the other process of the tests below"]
fn child_sends_and_says_what_was_acknowledged() {
    let Some(store) = child_store() else { return };
    store.commit_blocking(vec![Op::Put { queue: "work".into(), settings: Settings::default() }.into()]).unwrap();
    let acknowledged =
        std::fs::OpenOptions::new().create(true).append(true).open(store.dir().join("acknowledged")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let tasks = (0..8).map(|task| {
            let (store, mut acknowledged) = (store.clone(), acknowledged.try_clone().unwrap());
            tokio::spawn(async move {
                for n in 0.. {
                    let id = format!("{}.{task}.{n}", std::process::id());
                    let message =
                        NewMessage::from(Message { id: id.clone(), body: vec![7; 3000], ..Message::default() });
                    store.commit_one(Op::Send { queue: "work".into(), messages: vec![message] }).await.unwrap();
                    acknowledged.write_all(format!("{id}\n").as_bytes()).unwrap();
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
}

#[test]
fn what_was_acknowledged_survives_being_killed() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..12 {
        let said = || std::fs::metadata(dir.path().join("acknowledged")).map_or(0, |file| file.len());
        let (before, begun) = (said(), std::time::Instant::now());
        let mut process = child("child_sends_and_says_what_was_acknowledged", dir.path(), "").spawn().unwrap();
        // Once it works, at any moment; on a busy machine that takes its time.
        while said() == before && begun.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(round * 17 % 60));
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let acknowledged = std::fs::read_to_string(dir.path().join("acknowledged")).unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    let (mut there, mut from) = (std::collections::HashSet::new(), 0);
    loop {
        let page = store.peek("work", from, 1000).unwrap().unwrap();
        let Some(last) = page.last() else { break };
        from = last.seq + 1;
        for peeked in page {
            assert_eq!(peeked.message.body, [7; 3000]);
            assert!(there.insert(peeked.message.id), "no message is there twice");
        }
    }
    assert_eq!(store.queue_counts("work").unwrap().unwrap().ready, there.len() as u64);
    // The last line may be cut: the process was killed while it wrote it.
    let whole = &acknowledged[..acknowledged.rfind('\n').map_or(0, |end| end + 1)];
    assert!(whole.lines().count() > 12, "the children did something");
    let lost: Vec<&str> = whole.lines().filter(|id| !there.contains(*id)).collect();
    assert_eq!(lost, Vec::<&str>::new());
}
