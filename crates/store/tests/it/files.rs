//! The folder: several processes, crashes, and what is refused at the door.

use std::process::Command;
use std::time::Duration;

use store::{Error, OpResult, Options, Store, cursors, leases};

use crate::support::Bench;

fn set(position: &str) -> cursors::Op {
    cursors::Op::Set {
        integration: "customers".into(),
        stream: "customer".into(),
        position: position.into(),
        fingerprint: String::new(),
    }
}

fn position(store: &Store) -> Option<String> {
    store.cursor("customers", "customer").unwrap().map(|cursor| cursor.position)
}

#[test]
fn two_stores_on_one_folder_see_each_other() {
    let bench = Bench::new();
    let other = bench.another();
    let before = other.data_version().unwrap();
    assert_eq!(other.data_version().unwrap(), before);
    bench.one(set("1"));
    assert_ne!(other.data_version().unwrap(), before);
    assert_eq!(position(&other).as_deref(), Some("1"));
}

#[test]
fn there_is_one_up_for_each_folder() {
    let bench = Bench::new();
    let other = bench.another();
    let lock = bench.store.lock_up().unwrap();
    let refused = other.lock_up().unwrap_err();
    assert!(matches!(refused, Error::UpIsRunning { pid: Some(pid), .. } if pid == std::process::id()), "{refused:?}");
    drop(lock);
    other.lock_up().unwrap();
}

#[test]
fn a_folder_that_cannot_be_used_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let error = Store::open(file.join("state"), Options::default()).unwrap_err();
    assert!(matches!(error, Error::Folder { .. }), "{error:?}");
    assert_eq!(error.code().unwrap().0, "IB0010");
}

#[test]
fn a_failed_commit_is_not_there_and_a_lost_answer_is() {
    let mut bench = Bench::new();
    bench.reopen("commit.before@1=error;commit.after@2=error");
    let before = bench.try_one(set("1")).unwrap_err();
    assert!(matches!(before, Error::Injected(_)) && !before.effect_is_unknown());
    assert_eq!(position(&bench.store), None);
    bench.one(set("2"));
    let after = bench.try_one(set("3")).unwrap_err();
    assert!(after.effect_is_unknown());
    assert_eq!(position(&bench.store).as_deref(), Some("3"));
    bench.one(set("4"));
}

#[test]
fn commits_that_were_handed_in_are_written_before_the_store_closes() {
    let bench = Bench::new();
    let store = bench.another();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut commit = Box::pin(store.commit(vec![set("9").into()]));
        // Handed in, and then nobody waits for the answer.
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(commit.as_mut().poll(context))).await;
        drop(polled);
    });
    drop(store);
    assert_eq!(position(&bench.store).as_deref(), Some("9"));
}

/// Runs one of the `#[ignore]`d children below in a process of its own.
fn child(name: &str, dir: &std::path::Path, failpoints: &str) -> std::process::ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("files::{name}"), "--ignored", "--nocapture"])
        .env("STORE_DIR", dir)
        .env("STORE_FAILPOINTS", failpoints)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap()
}

fn child_store() -> Option<Store> {
    let dir = std::env::var_os("STORE_DIR")?;
    let failpoints = std::env::var("STORE_FAILPOINTS").unwrap().parse().unwrap();
    Some(Store::open(dir, Options { failpoints, ..Options::default() }).unwrap())
}

#[test]
#[ignore = "the other process of the tests below"]
fn child_counts_to_ten() {
    let Some(store) = child_store() else { return };
    let from = position(&store).map_or(0, |text| text.parse().unwrap());
    for n in from..10 {
        let put = store::ledger::Op::Put { system: "s".into(), entity: "e".into(), entries: vec![] };
        store.commit_blocking(vec![put.into(), set(&(n + 1).to_string()).into()]).unwrap();
    }
}

#[test]
fn a_process_that_dies_at_any_commit_loses_only_that_commit() {
    for at in 1..=10 {
        for (point, kept) in [("before", at - 1), ("after", at)] {
            let dir = tempfile::tempdir().unwrap();
            assert!(!child("child_counts_to_ten", dir.path(), &format!("commit.{point}@{at}=abort")).success());
            let seen = Store::open(dir.path(), Options::default()).map(|store| position(&store)).unwrap();
            assert_eq!(seen.map_or(0, |text| text.parse().unwrap()), kept, "{point} {at}");
            assert!(child("child_counts_to_ten", dir.path(), "").success());
            let store = Store::open(dir.path(), Options::default()).unwrap();
            assert_eq!(position(&store).as_deref(), Some("10"));
        }
    }
}

#[test]
#[ignore = "the other process of the tests below"]
fn child_holds_everything() {
    let Some(store) = child_store() else { return };
    let _up = store.lock_up().unwrap();
    let take = leases::Op::Take { name: "n".into(), holder: "child".into(), length: Duration::from_millis(300) };
    store.commit_blocking(vec![take.into()]).unwrap();
    std::fs::write(store.dir().join("ready"), std::process::id().to_string()).unwrap();
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn what_a_killed_process_held_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "files::child_holds_everything", "--ignored"])
        .env("STORE_DIR", dir.path())
        .env("STORE_FAILPOINTS", "")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let ready = dir.path().join("ready");
    while !ready.exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let store = Store::open(dir.path(), Options::default()).unwrap();
    let refused = store.lock_up().unwrap_err();
    assert!(matches!(refused, Error::UpIsRunning { pid: Some(pid), .. } if pid == process.id()), "{refused:?}");
    process.kill().unwrap();
    process.wait().unwrap();
    let _up = store.lock_up().unwrap();

    let take = || leases::Op::Take { name: "n".into(), holder: "me".into(), length: Duration::from_secs(60) };
    let lease = loop {
        match store.commit_blocking(vec![take().into()]) {
            Ok(results) => break results,
            Err(error) => assert!(error.refusal().is_some(), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(matches!(&lease[..], [OpResult::Lease(lease)] if lease.epoch == leases::Epoch(2)));
}

/// Two processes and one lease: their turns never overlap, which each turn proves by a value that it leaves behind.
#[test]
#[ignore = "the other process of the tests below"]
fn child_takes_turns() {
    let Some(store) = child_store() else { return };
    let mut turns = 0;
    while turns < 25 {
        let take = leases::Op::Take { name: "turn".into(), holder: "x".into(), length: Duration::from_secs(30) };
        let lease = match store.commit_blocking(vec![take.into()]) {
            Ok(results) => match results.into_iter().next() {
                Some(OpResult::Lease(lease)) => lease,
                other => panic!("{other:?}"),
            },
            Err(error) if error.refusal().is_some() => {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let seen: u64 = position(&store).map_or(0, |text| text.parse().unwrap());
        store.commit_blocking(vec![lease.fence(), set(&(seen + 1).to_string()).into()]).unwrap();
        let release = leases::Op::Release { name: "turn".into(), epoch: lease.epoch };
        store.commit_blocking(vec![release.into()]).unwrap();
        turns += 1;
    }
}

#[test]
fn two_processes_never_hold_one_lease() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| child("child_takes_turns", dir.path(), "")));
        for process in both {
            assert!(process.join().unwrap().success());
        }
    });
    let store = Store::open(dir.path(), Options::default()).unwrap();
    assert_eq!(position(&store).as_deref(), Some("50"));
}

#[test]
fn due_messages_wake_those_who_wait() {
    use store::queue::{Message, NewMessage, Op, Settings};
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(150);
    let message = NewMessage { at: Some(at), ..Message::default().into() };
    let put = Op::Put { queue: "q".into(), settings: Settings::default() };
    store.commit_blocking(vec![put.into(), Op::Send { queue: "q".into(), messages: vec![message] }.into()]).unwrap();
    let mut watch = store.watch();
    assert_eq!(store.queue_counts("q").unwrap().unwrap().scheduled, 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(10), async {
            while store.queue_counts("q").unwrap().unwrap().ready == 0 {
                watch.changed().await.unwrap();
            }
        })
        .await
        .expect("a due message wakes");
    });
    assert!(jiff::Timestamp::now() >= at);
}
