//! Webhooks: `ironbridge up` keeping each event before it answers, beside the same server answering without keeping.
//!
//! `cargo build --release && cargo bench -p bench --bench webhooks`. `BENCH_NODE_RED` is the path of a `node-red` to put
//! beside it (`npm install node-red`), with a flow that appends each body to a file and then answers.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints numbers")]

mod load;
mod servers;

use std::time::Duration;

use load::{Load, Request};

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 5;
const EACH: Duration = Duration::from_secs(3);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let dir = std::env::temp_dir().join(format!("ironbridge-bench-{}", std::process::id()));
    let up = servers::up(&dir.join("hub"));
    let kept =
        Request { address: up.address, path: "/webhooks/changes", headers: servers::KEY, whole: true, answers: 202 };
    // The last byte is missing: the key is compared, the body read and parsed, and nothing is kept.
    let refused = Request { whole: false, answers: 400, ..kept };
    runtime.block_on(load::run(kept, CONNECTIONS, EACH));
    let (mut keeping, mut answering, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (request, loads) in [(refused, &mut answering), (kept, &mut keeping)] {
            let before = up.cpu_seconds();
            let mut load = runtime.block_on(load::run(request, CONNECTIONS, EACH));
            load.cpu_seconds = up.cpu_seconds() - before;
            loads.push(load);
        }
        let (with, without) = (keeping.last().unwrap().rate(), answering.last().unwrap().rate());
        println!("  answered only {without:>7.0}/s   kept first {with:>7.0}/s   {:>3.0} %", with / without * 100.0);
        ratios.push(with / without);
    }
    drop(up);
    ratios.sort_by(f64::total_cmp);
    let (keeping, answering) = (Load::all(keeping), Load::all(answering));
    answering.print("answered without being kept (400)");
    keeping.print("kept, then answered (202)");
    println!(
        "{CONNECTIONS} connections: {:.0} % of the server that keeps nothing (goal: 60 %), p99 {:.1} ms (goal: 12)",
        ratios[ratios.len() / 2] * 100.0,
        keeping.at_share(0.99)
    );
    match std::env::var("BENCH_NODE_RED") {
        Ok(program) => {
            let server = servers::node_red(&program, &dir.join("node-red"));
            let hook = Request { address: server.address, path: "/hook", headers: "", whole: true, answers: 202 };
            runtime.block_on(load::run(hook, CONNECTIONS, EACH));
            let theirs = Load::all((0..2).map(|_| runtime.block_on(load::run(hook, CONNECTIONS, EACH))).collect());
            theirs.print("Node-RED, appended to a file without a sync");
            println!("{:.1} times Node-RED (goal: 5)", keeping.rate() / theirs.rate());
        }
        Err(_) => println!("Node-RED is left out: BENCH_NODE_RED does not say where it is"),
    }
    std::fs::remove_dir_all(dir).unwrap();
}
