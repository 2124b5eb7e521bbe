//! Millions of messages wait: what that costs those who come and go, and whoever opens the store.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use store::queue::Op;
use store::{Options, Store};

use crate::through::through;
use crate::{fresh, message};

/// With and without, in turn, so that both see the same disk.
const ROUNDS: u64 = 7;

/// The argument of the process that opens the store on its own, so that its memory is its own.
pub const CHILD: &str = "open-with-backlog";

pub fn waiting(dir: &Path, waiting: u64, messages: u64) {
    let backlog = dir.join("backlog");
    let store = fresh(&backlog);
    let began = Instant::now();
    for from in (0..waiting).step_by(1000) {
        let batch = (from..from + 1000).map(message).collect();
        store.commit_blocking(vec![Op::Send { queue: "q".into(), messages: batch }.into()]).unwrap();
    }
    let rate = waiting as f64 / began.elapsed().as_secs_f64();
    println!("{waiting} sent in batches of 1,000       {rate:>9.0} messages/s");
    drop(store);
    let size = std::fs::metadata(backlog.join("state.db")).unwrap().len() >> 20;
    println!("their file                           {size:>9} MB");

    let child = Command::new(std::env::current_exe().unwrap()).arg(CHILD).arg(&backlog).status();
    assert!(child.unwrap().success());

    let store = Store::open(&backlog, Options::default()).unwrap();
    let empty = fresh(&dir.join("none"));
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let none = through(&empty, messages / ROUNDS, 256);
        none.print("none waiting, send + lock + complete");
        let some = through(&store, messages / ROUNDS, 256);
        some.print(&format!("{waiting} waiting"));
        ratios.push(some.rate / none.rate);
    }
    ratios.sort_by(f64::total_cmp);
    let at = |share| crate::at_share(&ratios, share) * 100.0;
    println!(
        "{waiting} waiting: {:.0} % of the rate with none (quarters {:.0} to {:.0}; goal: 80 %)",
        at(0.5),
        at(0.25),
        at(0.75)
    );
}

/// Opens the store, takes and completes one message, and says how long that took and how much memory it needed.
pub fn child(dir: &Path) {
    let began = Instant::now();
    let store = Store::open(dir, Options::default()).unwrap();
    let opened = began.elapsed();
    through(&store, 256, 1);
    let first = began.elapsed();
    through(&store, 20_000, 256);
    println!(
        "open with a backlog                  {:>9.0} ms, {:.0} ms until 256 messages went through (goal: under 2 s)",
        opened.as_secs_f64() * 1e3,
        first.as_secs_f64() * 1e3
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("resident at most                     {:>9} MB (goal: under 150)", peak >> 10);
}
