//! The durable queue, beside what the disk itself costs and beside RabbitMQ.
//!
//! `cargo bench -p bench --bench queue [-- PART…]`; the parts are `one`, `many`, `intake`, `journal`, `waiting` and `ledger`, and without
//! any all but the last are measured. `BENCH_DIR` is where the files are made (a disk, not a file system in memory),
//! `BENCH_MESSAGES` and `BENCH_WAITING` how many there are.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints numbers")]

mod cpu;
mod disk;
mod intake;
mod ledger;
mod rabbitmq;
mod through;
mod waiting;

use std::path::PathBuf;

use store::queue::{Message, NewMessage, Op, Settings};
use store::{Options, Store};

/// The binary's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What every message holds.
const BODY_BYTES: usize = 1024;

fn main() {
    let mut parts: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [first, dir] = parts.as_slice()
        && first == waiting::CHILD
    {
        return waiting::child(&PathBuf::from(dir));
    }
    if parts.is_empty() {
        parts = ["one", "many", "intake", "journal", "waiting"].map(str::to_owned).into();
    }
    let base = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = base.join(format!("ironbridge-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    for part in parts {
        match part.as_str() {
            "one" => disk::one_sender(&dir),
            "many" => through::many(&dir, number("BENCH_MESSAGES", 200_000)),
            "intake" => intake::intake(&dir, number("BENCH_MESSAGES", 200_000)),
            "journal" => through::journal(&dir, number("BENCH_MESSAGES", 200_000)),
            "waiting" => waiting::waiting(&dir, number("BENCH_WAITING", 5_000_000), number("BENCH_MESSAGES", 200_000)),
            "ledger" => ledger::ledger(&dir, 1_000_000),
            other => println!("there is no part `{other}`: one, many, intake, journal, waiting, ledger"),
        }
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn fresh(dir: &std::path::Path) -> Store {
    let _ = std::fs::remove_dir_all(dir);
    let store = Store::open(dir, Options::default()).unwrap();
    store.commit_blocking(vec![Op::Put { queue: "q".into(), settings: Settings::default() }.into()]).unwrap();
    store
}

fn message(n: u64) -> NewMessage {
    Message { id: n.to_string(), body: vec![b'x'; BODY_BYTES], ..Message::default() }.into()
}

fn send(n: u64) -> store::Op {
    Op::Send { queue: "q".into(), messages: vec![message(n)] }.into()
}

/// The value below which this share of the sorted values is.
fn at_share(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}
