//! Measures the store on this machine: `cargo run --release -p store --example measure [DIR] [MESSAGES] [PART]`, where a part
//! is `small`, `queue`, `backlog` or `ledger`.
//!
//! Every send is a commit of its own that is answered after the sync; so is every receive and every completion.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints numbers")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use record::{Key, Value};
use store::queue::{LockToken, Message, NewMessage, Op, Settings};
use store::{OpResult, Options, Store, ledger};

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().map_or_else(|| std::env::temp_dir().join("store-measure"), PathBuf::from);
    let messages: u64 = args.next().map_or(400_000, |text| text.parse().unwrap());
    let part = args.next().unwrap_or_default();
    let wanted = |name: &str| part.is_empty() || part == name;
    let _ = std::fs::remove_dir_all(&dir);
    one_sync(&dir);
    if wanted("small") {
        open_again(&dir);
        one_sender(&dir);
    }
    if wanted("queue") {
        through(&dir, messages, 256);
        through(&dir, messages / 8, 16);
    }
    if wanted("backlog") {
        backlog(&dir, messages * 2);
    }
    if wanted("ledger") {
        ledger(&dir, 1_000_000);
    }
    let _ = std::fs::remove_dir_all(&dir);
}

fn fresh(dir: &Path, name: &str) -> Store {
    let dir = dir.join(name);
    let _ = std::fs::remove_dir_all(&dir);
    Store::open(dir, Options::default()).unwrap()
}

fn message(n: u64) -> NewMessage {
    Message { id: n.to_string(), body: vec![b'x'; 1024], ..Message::default() }.into()
}

fn put(store: &Store, queue: &str) {
    store.commit_blocking(vec![Op::Put { queue: queue.into(), settings: Settings::default() }.into()]).unwrap();
}

/// What the disk itself costs: 4 KB written in place and synced.
fn one_sync(dir: &Path) {
    use std::io::{Seek, Write};
    std::fs::create_dir_all(dir).unwrap();
    let mut file = std::fs::File::create(dir.join("sync")).unwrap();
    file.write_all(&[0; 4096]).unwrap();
    file.sync_all().unwrap();
    let began = Instant::now();
    for _ in 0..2000 {
        file.rewind().unwrap();
        file.write_all(&[1; 4096]).unwrap();
        file.sync_data().unwrap();
    }
    println!("one sync of the disk                 {:>9.1} µs", micros(began) / 2000.0);
}

fn open_again(dir: &Path) {
    drop(fresh(dir, "open"));
    let began = Instant::now();
    let store = Store::open(dir.join("open"), Options::default()).unwrap();
    store.lease("x").unwrap();
    println!("open an existing store and read      {:>9.1} ms", micros(began) / 1000.0);
}

fn one_sender(dir: &Path) {
    let store = fresh(dir, "one");
    put(&store, "q");
    for n in 0..200 {
        store.commit_blocking(vec![Op::Send { queue: "q".into(), messages: vec![message(n)] }.into()]).unwrap();
    }
    let began = Instant::now();
    for n in 0..3000 {
        store.commit_blocking(vec![Op::Send { queue: "q".into(), messages: vec![message(n)] }.into()]).unwrap();
    }
    println!("one sender, one message              {:>9.1} µs", micros(began) / 3000.0);
}

/// Messages sent one by one by many senders while receivers lock and complete them.
fn through(dir: &Path, messages: u64, senders: u64) {
    let store = fresh(dir, "through");
    put(&store, "q");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let done = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut times = runtime.block_on(async {
        let mut tasks = Vec::new();
        for sender in 0..senders {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                let mut times = Vec::new();
                for n in 0..messages / senders {
                    let began = Instant::now();
                    let send = Op::Send { queue: "q".into(), messages: vec![message(sender * messages + n)] };
                    store.commit_one(send).await.unwrap();
                    times.push(began.elapsed());
                }
                times
            }));
        }
        let total = messages / senders * senders;
        let mut receivers = Vec::new();
        for _ in 0..2 {
            let (store, done) = (store.clone(), Arc::clone(&done));
            receivers.push(tokio::spawn(async move {
                while done.load(Ordering::Relaxed) < total {
                    let received = store.commit_one(Op::Receive { queue: "q".into(), max: 256 }).await.unwrap();
                    let OpResult::Messages(received) = received else { panic!() };
                    if received.is_empty() {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        continue;
                    }
                    let tokens: Vec<LockToken> = received.iter().map(|delivery| delivery.token).collect();
                    done.fetch_add(tokens.len() as u64, Ordering::Relaxed);
                    store.commit_one(Op::Complete { queue: "q".into(), tokens }).await.unwrap();
                }
            }));
        }
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await.unwrap());
        }
        for receiver in receivers {
            receiver.await.unwrap();
        }
        times
    });
    let rate = messages as f64 / began.elapsed().as_secs_f64();
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!(
        "{senders:>3} senders, send + lock + complete   {rate:>9.0} messages/s   send p50 {:.2} p99 {:.2} p99.9 {:.2} ms",
        at(0.5),
        at(0.99),
        at(0.999)
    );
}

/// A backlog: sent in batches, then drained.
fn backlog(dir: &Path, messages: u64) {
    let store = fresh(dir, "backlog");
    put(&store, "q");
    let began = Instant::now();
    for from in (0..messages).step_by(500) {
        let batch = (from..from + 500).map(message).collect();
        store.commit_blocking(vec![Op::Send { queue: "q".into(), messages: batch }.into()]).unwrap();
    }
    println!(
        "backlog: send in batches of 500      {:>9.0} messages/s",
        messages as f64 / began.elapsed().as_secs_f64()
    );
    drop(store);
    let began = Instant::now();
    let store = Store::open(dir.join("backlog"), Options::default()).unwrap();
    let size = || std::fs::metadata(dir.join("backlog/state.db")).unwrap().len() >> 20;
    println!("backlog: open with {messages} waiting {:>9.1} ms, file {} MB", micros(began) / 1000.0, size());
    let began = Instant::now();
    let mut drained = 0;
    while drained < messages {
        let mut received = store.commit_blocking(vec![Op::Receive { queue: "q".into(), max: 500 }.into()]).unwrap();
        let Some(OpResult::Messages(received)) = received.pop() else { panic!() };
        let tokens: Vec<LockToken> = received.iter().map(|delivery| delivery.token).collect();
        drained += tokens.len() as u64;
        store.commit_blocking(vec![Op::Complete { queue: "q".into(), tokens }.into()]).unwrap();
    }
    println!(
        "backlog: drain in batches of 500     {:>9.0} messages/s",
        messages as f64 / began.elapsed().as_secs_f64()
    );
    let began = Instant::now();
    while size() > 50 && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("backlog: file after draining         {:>9} MB after {:.1} s", size(), began.elapsed().as_secs_f64());
}

fn ledger(dir: &Path, rows: u64) {
    let store = fresh(dir, "ledger");
    let entry = |n: u64, round: u64| ledger::Entry {
        key: Key::of(&[Value::text(format!("C-{n:08}"))]).unwrap(),
        source_hash: u128::from(n) << 64 | u128::from(round),
        content_hash: u128::from(n) << 32,
        mapping: 7,
        state: ledger::State::Written,
        generation: 1,
        remote_id: Some(format!("8e0b7f3a-0c1d-4a52-9c7e-{n:012x}")),
        version: Some(format!("W/\"{n}\"")),
    };
    for (round, chunk) in [(0, 1000), (1, 1000)] {
        let began = Instant::now();
        for from in (0..rows).step_by(chunk) {
            let entries = (from..from + chunk as u64).map(|n| entry(n, round)).collect();
            let put = ledger::Op::Put { system: "s".into(), entity: "e".into(), entries };
            store.commit_blocking(vec![put.into()]).unwrap();
        }
        let what = if round == 0 { "new" } else { "changed" };
        println!(
            "ledger: {what:<7} rows, chunks of {chunk}  {:>9.0} rows/s",
            rows as f64 / began.elapsed().as_secs_f64()
        );
    }
    for _ in 0..2 {
        let (mut seen, mut sum) = (0u64, 0u128);
        let began = Instant::now();
        let each = |row: ledger::Seen<'_>| {
            seen += row.key.len() as u64;
            sum = sum.wrapping_add(row.source_hash);
            ControlFlow::Continue(())
        };
        store.ledger_scan("s", "e", each).unwrap();
        assert!(seen > 0 && sum != 0);
        println!("ledger: scan of {rows} rows       {:>9.0} ms", micros(began) / 1000.0);
    }
    let size = std::fs::metadata(dir.join("ledger/state.db")).unwrap().len();
    println!("ledger: file                         {:>9} MB", size >> 20);
}

fn micros(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e6
}
