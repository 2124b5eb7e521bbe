//! Many senders: send, lock and complete, each on disk before it is answered.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use store::journal::{self, Note, What};
use store::queue::{Delivery, LockToken, Op};
use store::{OpResult, Store};

use crate::cpu::Cpu;
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

/// What a note for each message costs: rounds with and without, in turn.
pub fn journal(dir: &Path, messages: u64) {
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        let without = through(&fresh(&dir.join("quiet")), messages, SENDERS);
        let with = run(&fresh(&dir.join("noted")), messages, SENDERS, true);
        without.print("without notes");
        with.print("with a note for each message");
        rates.push(with.rate / without.rate);
        costs.extend(with.cpu.zip(without.cpu).map(|(with, without)| with.process / without.process));
    }
    for values in [&mut rates, &mut costs] {
        values.sort_by(f64::total_cmp);
    }
    let at = |values: &[f64], share| if values.is_empty() { f64::NAN } else { at_share(values, share) * 100.0 - 100.0 };
    println!("journal: throughput {:+.1} % in the middle of six (goal: at least -10 %)", at(&rates, 0.5));
    println!("journal: CPU {:+.1} % in the middle of six", at(&costs, 0.5));
}

/// What came of it.
pub struct Through {
    /// Messages a second, from the first send to the last completion.
    pub rate: f64,
    /// How long a send took, sorted, in milliseconds.
    pub sends: Vec<f64>,
    /// What a message cost, where the system says it.
    pub cpu: Option<Cpu>,
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
        if let Some(Cpu { process, writer }) = self.cpu {
            println!(
                "{:46} {process:>8.1} µs of CPU a message, {writer:.1} of them in the writer: at most {:.0} messages/s on 2 cores",
                "",
                (2e6 / process).min(1e6 / writer)
            );
        }
    }
}

/// Messages sent one by one by many senders while two receivers lock and complete them.
pub fn through(store: &Store, messages: u64, senders: u64) -> Through {
    run(store, messages, senders, false)
}

fn run(store: &Store, messages: u64, senders: u64, notes: bool) -> Through {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let done = Arc::new(AtomicU64::new(0));
    let total = messages / senders * senders;
    let (began, before) = (Instant::now(), Cpu::now());
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
        let receivers: Vec<_> =
            (0..2).map(|_| tokio::spawn(receive(store.clone(), done.clone(), total, notes))).collect();
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
    let cpu = before.zip(Cpu::now()).map(|(before, now)| now.since(before, total));
    sends.sort_by(f64::total_cmp);
    Through { rate, sends, cpu }
}

async fn receive(store: Store, done: Arc<AtomicU64>, total: u64, notes: bool) {
    while done.load(Ordering::Relaxed) < total {
        let received = store.commit_one(Op::Receive { queue: "q".into(), max: 256 }).await.unwrap();
        let OpResult::Messages(received) = received else { unreachable!("a receive answers with messages") };
        if received.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        let tokens: Vec<LockToken> = received.iter().map(|delivery| delivery.token).collect();
        let count = tokens.len() as u64;
        let complete = Op::Complete { queue: "q".into(), tokens };
        if notes {
            let notes = journal::Op::Note(received.iter().map(note).collect());
            store.commit(vec![complete.into(), notes.into()]).await.unwrap();
        } else {
            store.commit_one(complete).await.unwrap();
        }
        done.fetch_add(count, Ordering::Relaxed);
    }
}

/// What the hub notes of an event that was delivered.
fn note(delivery: &Delivery) -> Note {
    Note {
        message: Some(delivery.seq),
        came: Some(delivery.enqueued),
        attempt: delivery.deliveries + 1,
        session: Some(format!("account|{}", delivery.message.id)),
        ..Note::new("customer", &delivery.message.id, What::Updated, "customers", "dynamics")
    }
}
