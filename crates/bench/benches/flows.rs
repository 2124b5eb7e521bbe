//! Instances of flows: starting them, and what a hundred thousand that wait cost.
//!
//! `cargo bench -p bench --bench flows`; `BENCH_DIR` is where the file is made (a disk, not a file system in memory),
//! `BENCH_INSTANCES` how many wait.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints numbers")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use record::{Key, Value};
use store::flows::{Filter, Move, Op, Start};
use store::queue::{Message, NewMessage, Op as QueueOp, Settings};
use store::{OpResult, Options, Store};

const FLOW: &str = "credit-limit";
/// What an instance keeps that asks somebody.
const STATE: &str = r#"{"at":"steps[0].else[0]","doing":{"asking":{"name":"decision","since":"2026-11-26T07:16:30Z","of":["controller","deputy"],"rule":"one","escalated":[],"not":"sales@contoso.example","votes":[],"remind":"2026-11-27T09:00:00Z","escalate":"2026-11-30T09:00:00Z","deadline":"2026-12-03T09:00:00Z","told":2,"comment":"optional","shown":{"requested":25000,"customer.credit_limit":4500}}},"set":{},"decisions":{}}"#;
/// Starts that are under way at the same time: what the hub takes from the queue at once.
const AT_ONCE: usize = 16;
const STARTS: usize = 4_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let base = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = base.join(format!("ironbridge-bench-flows-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let waiting = std::env::var("BENCH_INSTANCES").map_or(100_000, |text| text.parse().unwrap());
    starts(&dir.join("starts")).await;
    fill(&dir.join("waiting"), waiting).await;
    look(&dir.join("waiting"), waiting);
    std::fs::remove_dir_all(&dir).unwrap();
}

fn start(n: usize) -> Op {
    Op::Start(Box::new(Start {
        integration: FLOW.into(),
        version: 1,
        entity: "credit_request".into(),
        key: Key::of([&Value::text(format!("R-{n}"))]).unwrap(),
        cause: format!("created R-{n}"),
        state_of: None,
        heard: true,
        ceiling: u64::MAX,
        since: Timestamp::MAX,
        at: Some("steps[0]".into()),
        data: STATE.into(),
        steps: Vec::new(),
    }))
}

/// `count` commits by so many tasks at once; answers how many a second.
async fn rate(store: &Store, count: usize, op: impl Fn(usize) -> store::Op + Clone + Send + 'static) -> f64 {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|task| {
            let (store, op) = (store.clone(), op.clone());
            tokio::spawn(async move {
                for n in (task..count).step_by(AT_ONCE) {
                    store.commit(vec![op(n)]).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    count as f64 / begun.elapsed().as_secs_f64()
}

async fn starts(dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    let store = Store::open(dir, Options::default()).unwrap();
    let queue = || "yardstick".to_owned();
    store.commit(vec![QueueOp::Put { queue: queue(), settings: Settings::default() }.into()]).await.unwrap();
    let send = move |n: usize| {
        let message = Message { id: format!("m{n}"), body: STATE.into(), ..Message::default() };
        QueueOp::Send { queue: queue(), messages: vec![NewMessage::from(message)] }.into()
    };
    let sent = rate(&store, STARTS, send).await;
    let started = rate(&store, STARTS, |n| start(n).into()).await;
    println!(
        "{AT_ONCE} at once: {started:.0} starts/s, {:.2} times as many messages kept ({sent:.0}/s)",
        started / sent
    );
}

async fn fill(dir: &Path, count: usize) {
    std::fs::create_dir_all(dir).unwrap();
    let store = Store::open(dir, Options::default()).unwrap();
    for begin in (0..count).step_by(1_000) {
        let ops = (begin..count.min(begin + 1_000)).map(|n| start(n).into()).collect();
        store.commit(ops).await.unwrap();
    }
    // All of them ask, and are looked at tomorrow.
    let tomorrow = Timestamp::now() + Duration::from_secs(86_400);
    // The file keeps milliseconds.
    let soon = tomorrow - Duration::from_secs(1);
    loop {
        let due = store.flow_due(Timestamp::MAX, &[FLOW], 1_000).unwrap();
        let due: Vec<_> = due.into_iter().filter(|instance| instance.wake.is_some_and(|wake| wake < soon)).collect();
        if due.is_empty() {
            break;
        }
        let ops =
            due.iter().map(|instance| Op::Move(Box::new(Move { wake: Some(tomorrow), ..Move::of(instance) })).into());
        assert!(store.commit(ops.collect()).await.unwrap().iter().all(|result| *result == OpResult::Done));
    }
}

fn look(dir: &Path, count: usize) {
    let begun = Instant::now();
    let store = Store::open(dir, Options::default()).unwrap();
    let now = Timestamp::now();
    assert!(store.flow_due(now, &[FLOW], AT_ONCE).unwrap().is_empty());
    println!("{count} waiting: open, and looked for what is due, in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    let looks = 2_000;
    let begun = Instant::now();
    for _ in 0..looks {
        assert!(store.flow_due(now, &[FLOW], AT_ONCE).unwrap().is_empty());
    }
    let look = begun.elapsed().as_secs_f64() / f64::from(looks);
    println!("one look for what is due: {:.1} µs, twice a second: {:.4} % of a core", look * 1e6, look * 2.0 * 100.0);
    let begun = Instant::now();
    let listed = store.flow_instances(&Filter::default(), 200).unwrap();
    println!("the newest {} of them: {:.1} ms", listed.len(), begun.elapsed().as_secs_f64() * 1e3);
    let begun = Instant::now();
    let counts = store.flow_counts("credit-limit").unwrap();
    println!("how many stand where ({} places): {:.1} ms", counts.len(), begun.elapsed().as_secs_f64() * 1e3);
}
