//! The ledger: rows written in chunks, and read as a whole.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use record::{Key, Value};
use store::ledger;

use crate::fresh;

const CHUNK: usize = 1000;

pub fn ledger(dir: &Path, rows: u64) {
    let store = fresh(&dir.join("ledger"));
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
    for (round, what) in [(0, "new"), (1, "changed")] {
        let began = Instant::now();
        for from in (0..rows).step_by(CHUNK) {
            let entries = (from..from + CHUNK as u64).map(|n| entry(n, round)).collect();
            let put = ledger::Op::Put { system: "s".into(), entity: "e".into(), entries };
            store.commit_blocking(vec![put.into()]).unwrap();
        }
        let rate = rows as f64 / began.elapsed().as_secs_f64();
        println!("ledger: {what:<7} rows, chunks of {CHUNK}  {rate:>9.0} rows/s");
    }
    for _ in 0..2 {
        let (mut seen, mut sum) = (0u64, 0u128);
        let began = Instant::now();
        let each = |row: ledger::Seen<'_>| {
            seen += row.key.len() as u64;
            ControlFlow::Continue(())
        };
        store.ledger_scan("s", "e", each).unwrap();
        let scanned = began.elapsed();
        let began = Instant::now();
        store.ledger_written("s", "e", 7, |hash| sum = sum.wrapping_add(hash)).unwrap();
        assert!(seen > 0 && sum != 0);
        println!("ledger: scan of {rows} rows       {:>9.0} ms", scanned.as_secs_f64() * 1e3);
        println!("ledger: their source hashes alone    {:>9.0} ms", began.elapsed().as_secs_f64() * 1e3);
    }
    let size = std::fs::metadata(dir.join("ledger/state.db")).unwrap().len();
    println!("ledger: file                         {:>9} MB", size >> 20);
}
