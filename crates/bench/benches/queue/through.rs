//! Many senders: send, lock and complete, each on disk before it is answered.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use store::queue::{LockToken, Op};
use store::{OpResult, Store};

use crate::{at_share, fresh, rabbitmq, send};

const SENDERS: u64 = 256;

pub fn many(dir: &Path, messages: u64) {
    let mut best = 0.0f64;
    for round in 0..3 {
        let ours = through(&fresh(&dir.join("many")), messages, SENDERS);
        ours.print(&format!("{SENDERS} senders, send + lock + complete"));
        best = best.max(ours.rate);
        if round == 0 {
            through(&fresh(&dir.join("few")), messages / 8, 16).print("16 senders (goal: p99.9 of a send under 5 ms)");
        }
    }
    println!("{SENDERS} senders: {best:.0} messages/s at best of three (goal: 80,000)");
    match rabbitmq::through(&dir.join("rabbitmq"), messages / 4, SENDERS) {
        Ok(theirs) => {
            theirs.print("RabbitMQ, durable, confirmed");
            println!("{SENDERS} senders: {:.1} times RabbitMQ", best / theirs.rate);
        }
        Err(why) => println!("RabbitMQ is left out: {why}"),
    }
}

/// What came of it.
pub struct Through {
    /// Messages a second, from the first send to the last completion.
    pub rate: f64,
    /// How long a send took, sorted, in milliseconds.
    pub sends: Vec<f64>,
}

impl Through {
    pub fn print(&self, what: &str) {
        let at = |share| at_share(&self.sends, share);
        println!(
            "{what:<46} {:>8.0} messages/s   send p50 {:.2} p99 {:.2} p99.9 {:.2} ms",
            self.rate,
            at(0.5),
            at(0.99),
            at(0.999)
        );
    }
}

/// Messages sent one by one by many senders while two receivers lock and complete them.
pub fn through(store: &Store, messages: u64, senders: u64) -> Through {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let done = Arc::new(AtomicU64::new(0));
    let total = messages / senders * senders;
    let began = Instant::now();
    let mut sends = runtime.block_on(async {
        let tasks: Vec<_> = (0..senders)
            .map(|sender| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut times = Vec::with_capacity((messages / senders) as usize);
                    for n in 0..messages / senders {
                        let began = Instant::now();
                        store.commit_one(send(sender * messages + n)).await.unwrap();
                        times.push(began.elapsed().as_secs_f64() * 1e3);
                    }
                    times
                })
            })
            .collect();
        let receivers: Vec<_> = (0..2).map(|_| tokio::spawn(receive(store.clone(), done.clone(), total))).collect();
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await.unwrap());
        }
        for receiver in receivers {
            receiver.await.unwrap();
        }
        times
    });
    let rate = total as f64 / began.elapsed().as_secs_f64();
    sends.sort_by(f64::total_cmp);
    Through { rate, sends }
}

async fn receive(store: Store, done: Arc<AtomicU64>, total: u64) {
    while done.load(Ordering::Relaxed) < total {
        let received = store.commit_one(Op::Receive { queue: "q".into(), max: 256 }).await.unwrap();
        let OpResult::Messages(received) = received else { unreachable!("a receive answers with messages") };
        if received.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        let tokens: Vec<LockToken> = received.iter().map(|delivery| delivery.token).collect();
        let count = tokens.len() as u64;
        store.commit_one(Op::Complete { queue: "q".into(), tokens }).await.unwrap();
        done.fetch_add(count, Ordering::Relaxed);
    }
}
