//! Events as webhooks keep them: a topic, a subscription with sessions, and nobody who takes them yet.

use std::path::Path;
use std::time::Instant;

use store::Store;
use store::queue::{Condition, Filter, Message, Op, Rule, Settings};

use crate::cpu::Cpu;
use crate::through::Through;
use crate::{BODY_BYTES, fresh};

const SENDERS: u64 = 64;
/// Rows that the events are about: a session each.
const ROWS: u64 = 10_000;

pub fn intake(dir: &Path, messages: u64) {
    for _ in 0..3 {
        let store = fresh(&dir.join("intake"));
        let sessions = Settings { sessions: true, ..Settings::default() };
        let mine = Condition::parse("destination IS NULL OR destination = 'erp'").unwrap();
        let rules = vec![Rule { name: "mine".into(), filter: Filter::Sql(mine) }];
        let put = Op::PutSubscription { topic: "events".into(), name: "erp".into(), settings: sessions, rules };
        let topic = Op::PutTopic { topic: "events".into(), settings: Settings::default() };
        store.commit_blocking(vec![topic.into(), put.into()]).unwrap();
        keep(&store, messages).print("64 senders, an event kept for one destination");
    }
}

fn event(n: u64) -> Message {
    Message {
        integration: Some("changes".into()),
        entity: Some("customer".into()),
        session: Some(format!("customer|\"C-{}\"", n % ROWS)),
        content_type: Some("application/json".into()),
        body: vec![b'x'; BODY_BYTES],
        ..Message::default()
    }
}

fn keep(store: &Store, messages: u64) -> Through {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let each = messages / SENDERS;
    let (began, before) = (Instant::now(), Cpu::now());
    let mut sends = runtime.block_on(async {
        let sending = (0..SENDERS).map(|sender| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut times = Vec::with_capacity(each as usize);
                for n in 0..each {
                    let messages = vec![event(n * SENDERS + sender).into()];
                    let began = Instant::now();
                    store.commit_one(Op::Send { queue: "events".into(), messages }).await.unwrap();
                    times.push(began.elapsed().as_secs_f64() * 1e3);
                }
                times
            })
        });
        let mut times = Vec::new();
        for task in sending.collect::<Vec<_>>() {
            times.extend(task.await.unwrap());
        }
        times
    });
    let total = each * SENDERS;
    let rate = total as f64 / began.elapsed().as_secs_f64();
    let cpu = before.zip(Cpu::now()).map(|(before, now)| now.since(before, total));
    sends.sort_by(f64::total_cmp);
    Through { rate, sends, cpu }
}
