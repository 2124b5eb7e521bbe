//! One sender: each message is a commit of its own, and waits for the disk alone.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::time::Instant;

use crate::{at_share, fresh, send};

const ROUNDS: usize = 40;
const EACH: u64 = 100;

/// A write of 4 KB and its sync, and a send, in turn; so that both see the same disk.
pub fn one_sender(dir: &Path) {
    let store = fresh(&dir.join("one"));
    let mut file = File::create(dir.join("sync")).unwrap();
    file.write_all(&[0; 4096]).unwrap();
    file.sync_all().unwrap();
    let (mut syncs, mut sends, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..EACH {
            file.rewind().unwrap();
            file.write_all(&[round as u8; 4096]).unwrap();
            file.sync_data().unwrap();
        }
        let sync = began.elapsed().as_secs_f64() * 1e6 / EACH as f64;
        let began = Instant::now();
        for n in 0..EACH {
            store.commit_blocking(vec![send(n)]).unwrap();
        }
        let sent = began.elapsed().as_secs_f64() * 1e6 / EACH as f64;
        // The first rounds make the log grow; later ones write over it.
        if round >= ROUNDS / 4 {
            syncs.push(sync);
            sends.push(sent);
            ratios.push(sent / sync);
        }
    }
    for values in [&mut syncs, &mut sends, &mut ratios] {
        values.sort_by(f64::total_cmp);
    }
    println!("one write of 4 KB and its sync       {:>9.0} µs", at_share(&syncs, 0.5));
    println!("one sender, one message of 1 KB      {:>9.0} µs", at_share(&sends, 0.5));
    println!(
        "one sender: {:.2} times one sync (quarters {:.2} to {:.2}; goal: 1.3)",
        at_share(&ratios, 0.5),
        at_share(&ratios, 0.25),
        at_share(&ratios, 0.75)
    );
}
