//! Messages come into the index of sessions many at a time, and nobody can tell.

use std::time::Duration;

use store::OpResult;
use store::queue::{Message, NewMessage, Op, Session, Settings};

use crate::support::Bench;

fn bench() -> Bench {
    let bench = Bench::new();
    bench.one(Op::Put { queue: "q".into(), settings: Settings { sessions: true, ..Settings::default() } });
    bench
}

fn message(n: usize, session: &str) -> NewMessage {
    Message { id: n.to_string(), session: Some(session.into()), ..Message::default() }.into()
}

fn send(bench: &Bench, messages: Vec<NewMessage>) {
    bench.one(Op::Send { queue: "q".into(), messages });
}

fn accept(bench: &Bench, session: Option<&str>) -> Option<Session> {
    match bench.one(Op::AcceptSession { queue: "q".into(), session: session.map(str::to_owned) }) {
        OpResult::Session(session) => session,
        other => panic!("{other:?}"),
    }
}

fn take(bench: &Bench, session: &Session, max: usize) -> Vec<usize> {
    let received = bench.one(Op::ReceiveInSession { queue: "q".into(), session: session.token, max });
    let OpResult::Messages(received) = received else { panic!("{received:?}") };
    let tokens = received.iter().map(|delivery| delivery.token).collect();
    bench.one(Op::Complete { queue: "q".into(), tokens });
    received.into_iter().map(|delivery| delivery.message.id.parse().unwrap()).collect()
}

#[test]
fn each_session_has_all_of_its_messages_in_order_however_many_came_at_once() {
    let mut bench = bench();
    // More than are left unfiled, in batches and one by one, over a restart.
    for batch in 0..25 {
        send(&bench, (0..100).map(|n| message(batch * 100 + n, &format!("s{}", (batch + n) % 7))).collect());
    }
    bench.reopen("");
    (2500..2600).for_each(|n| send(&bench, vec![message(n, &format!("s{}", n % 7))]));
    let mut all = Vec::new();
    while let Some(session) = accept(&bench, None) {
        let mut mine = take(&bench, &session, 17);
        // More comes while the session is held.
        if all.is_empty() && mine.len() == 17 {
            send(&bench, vec![message(2600, &session.name)]);
        }
        loop {
            let more = take(&bench, &session, 500);
            if more.is_empty() {
                break;
            }
            mine.extend(more);
        }
        assert!(mine.is_sorted() && mine.len() > 300, "{}: {mine:?}", session.name);
        all.extend(mine);
        bench.one(Op::ReleaseSession { queue: "q".into(), session: session.token });
    }
    all.sort_unstable();
    assert_eq!(all, (0..=2600).collect::<Vec<_>>());
    assert_eq!(bench.store.sessions("q", "", 10).unwrap(), Vec::<String>::new());
}

#[test]
fn what_another_process_sent_is_filed_as_well() {
    let bench = bench();
    send(&bench, vec![message(0, "a"), message(1, "b")]);
    let other = bench.another();
    for n in 2..40 {
        let session = if n % 2 == 0 { "a" } else { "b" };
        let store = if n % 3 == 0 { &other } else { &bench.store };
        store
            .commit_blocking(vec![Op::Send { queue: "q".into(), messages: vec![message(n, session)] }.into()])
            .unwrap();
    }
    let session = accept(&bench, Some("b")).unwrap();
    assert_eq!(take(&bench, &session, 100), (1..40).step_by(2).collect::<Vec<_>>());
}

#[test]
fn what_only_looks_sees_what_is_not_filed() {
    let bench = bench();
    send(&bench, vec![message(0, "a")]);
    // The first one is filed by looking; what comes behind it is not.
    let session = accept(&bench, Some("a")).unwrap();
    send(&bench, (1..6).map(|n| message(n, if n == 3 { "b" } else { "a" })).collect());
    let waiting = bench.store.session_waiting("q", "a", 3).unwrap();
    assert_eq!(waiting.iter().map(|message| &*message.id).collect::<Vec<_>>(), ["5", "4", "2"]);
    assert_eq!(bench.store.session_waiting("q", "b", 3).unwrap().len(), 1);
    assert_eq!(bench.store.peek("q", 0, 10).unwrap().unwrap().len(), 6);
    assert_eq!(take(&bench, &session, 10), [0, 1, 2, 4, 5]);
}

#[test]
fn what_expires_or_is_purged_unfiled_leaves_its_session() {
    let bench = bench();
    for n in 0..4 {
        let ttl = (n % 2 == 0).then_some(Duration::from_millis(50));
        let NewMessage { message, .. } = message(n, if n < 2 { "a" } else { "b" });
        send(&bench, vec![NewMessage { message, at: None, ttl }]);
    }
    bench.pass(100);
    let session = accept(&bench, None).unwrap();
    assert_eq!((session.name.as_str(), take(&bench, &session, 10)), ("a", vec![1]));
    bench.one(Op::ReleaseSession { queue: "q".into(), session: session.token });
    send(&bench, vec![message(4, "c")]);
    assert_eq!(bench.one(Op::Purge { queue: "q".into(), max: 10 }), OpResult::Count(2));
    assert_eq!(bench.store.sessions("q", "", 10).unwrap(), Vec::<String>::new());
    assert_eq!(accept(&bench, None), None);
}
