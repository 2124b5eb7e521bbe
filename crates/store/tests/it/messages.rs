//! One message from sent to settled.

use std::time::Duration;

use store::queue::{Counts, Delivery, LockToken, Message, NewMessage, Op, Problem, Sent, Settings};
use store::{OpResult, Refusal};

use crate::support::Bench;

fn put(bench: &Bench, settings: Settings) {
    bench.one(Op::Put { queue: "q".into(), settings });
}

fn message(id: &str) -> NewMessage {
    Message { id: id.into(), body: id.as_bytes().to_vec(), ..Message::default() }.into()
}

fn send(bench: &Bench, messages: Vec<NewMessage>) -> Vec<Sent> {
    match bench.one(Op::Send { queue: "q".into(), messages }) {
        OpResult::Sent(sent) => sent,
        other => panic!("{other:?}"),
    }
}

fn receive(bench: &Bench, max: usize) -> Vec<Delivery> {
    match bench.one(Op::Receive { queue: "q".into(), max }) {
        OpResult::Messages(messages) => messages,
        other => panic!("{other:?}"),
    }
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.message.id.as_str()).collect()
}

fn counts(bench: &Bench) -> Counts {
    bench.store.queue_counts("q").unwrap().unwrap()
}

#[test]
fn sent_received_completed() {
    let mut bench = Bench::new();
    put(&bench, Settings::default());
    assert_eq!(send(&bench, vec![message("a"), message("b"), message("c")]).len(), 3);
    let first = receive(&bench, 2);
    assert_eq!(ids(&first), ["a", "b"]);
    assert_eq!(first[0].message.body, b"a");
    assert_eq!(counts(&bench), Counts { ready: 1, locked: 2, ..Counts::default() });
    bench.reopen("");
    assert_eq!(ids(&receive(&bench, 9)), ["c"]);
    let tokens: Vec<LockToken> = first.iter().map(|delivery| delivery.token).collect();
    assert_eq!(bench.one(Op::Complete { queue: "Q".into(), tokens: tokens.clone() }), OpResult::Count(2));
    let again = Op::Complete { queue: "q".into(), tokens };
    assert_eq!(bench.refusal(again), Refusal::LockLost { path: "q".into(), seq: first[0].seq });
    assert_eq!(counts(&bench), Counts { locked: 1, ..Counts::default() });
}

#[test]
fn a_lock_that_runs_out_counts_as_a_delivery() {
    let bench = Bench::new();
    put(&bench, Settings { max_deliveries: 2, ..Settings::default() });
    send(&bench, vec![message("a")]);
    let first = receive(&bench, 1);
    bench.pass(59_999);
    bench.one(Op::Renew { queue: "q".into(), token: first[0].token });
    bench.pass(59_999);
    assert_eq!(receive(&bench, 1), []);
    bench.pass(1);
    let second = receive(&bench, 1);
    assert_eq!((second[0].seq, second[0].deliveries), (first[0].seq, 1));
    let late = Op::Complete { queue: "q".into(), tokens: vec![first[0].token] };
    assert!(matches!(bench.refusal(late), Refusal::LockLost { .. }));
    bench.pass(60_000);
    assert_eq!(receive(&bench, 1), []);
    assert_eq!(counts(&bench), Counts { dead: 1, ..Counts::default() });
    let [dead] = &bench.store.dead_letters(&Default::default(), 9).unwrap()[..] else { panic!() };
    assert_eq!(dead.problem.code, "MaxDeliveryCountExceeded");
}

#[test]
fn abandoned_messages_keep_their_place() {
    let bench = Bench::new();
    put(&bench, Settings::default());
    send(&bench, vec![message("a"), message("b")]);
    let first = receive(&bench, 1);
    bench.one(Op::Abandon { queue: "q".into(), token: first[0].token, delay: None });
    let again = receive(&bench, 2);
    assert_eq!((ids(&again), again[0].deliveries), (vec!["a", "b"], 1));
    bench.one(Op::Abandon { queue: "q".into(), token: again[0].token, delay: Some(Duration::from_secs(5)) });
    assert_eq!(counts(&bench), Counts { delayed: 1, locked: 1, ..Counts::default() });
    bench.pass(4999);
    assert_eq!(receive(&bench, 2), []);
    bench.pass(1);
    assert_eq!(receive(&bench, 2)[0].deliveries, 2);
}

#[test]
fn what_waits_for_its_second_chance_can_be_woken() {
    let bench = Bench::new();
    put(&bench, Settings::default());
    let sent = send(&bench, vec![message("a"), message("b")]);
    let (Sent::Accepted(first), Sent::Accepted(second)) = (sent[0], sent[1]) else { panic!("{sent:?}") };
    let token = receive(&bench, 1)[0].token;
    bench.one(Op::Abandon { queue: "q".into(), token, delay: Some(Duration::from_secs(3600)) });
    assert_eq!(counts(&bench), Counts { ready: 1, delayed: 1, ..Counts::default() });
    // One that does not wait, and one that is not there, are passed over.
    let wake = || bench.one(Op::Wake { queue: "q".into(), seqs: vec![first, second, 999] });
    assert_eq!(wake(), store::OpResult::Count(1));
    assert_eq!(wake(), store::OpResult::Count(0));
    let again = receive(&bench, 2);
    assert_eq!((ids(&again), again[0].deliveries), (vec!["a", "b"], 1));
}

#[test]
fn an_id_is_taken_once_within_the_window() {
    let mut bench = Bench::new();
    put(&bench, Settings { duplicate_window: Some(Duration::from_secs(600)), ..Settings::default() });
    let sent = send(&bench, vec![message("customers/2026-01-01T04:00"), message("b"), message("b")]);
    assert!(matches!(sent[..], [Sent::Accepted(_), Sent::Accepted(_), Sent::Duplicate]));
    let taken = receive(&bench, 9);
    bench.one(Op::Complete { queue: "q".into(), tokens: taken.iter().map(|delivery| delivery.token).collect() });
    bench.reopen("");
    bench.pass(599_999);
    assert_eq!(send(&bench, vec![message("b")]), [Sent::Duplicate]);
    bench.pass(1);
    assert!(matches!(send(&bench, vec![message("b")])[..], [Sent::Accepted(_)]));
}

/// Somebody has set the clock three days ahead, and it is put right.
#[test]
fn what_ends_after_a_while_does_so_also_where_the_clock_is_put_back() {
    let days = 3 * 24 * 3_600_000;
    let second = Duration::from_secs(1);
    let mut bench = Bench::new();
    put(
        &bench,
        Settings {
            lock: 20 * second,
            duplicate_window: Some(600 * second),
            ttl: Some(3_000 * second),
            ..Settings::default()
        },
    );
    bench.pass(days);
    send(&bench, ["delayed", "locked", "waits", "stays"].map(message).to_vec());
    let [delayed, _] = <[Delivery; 2]>::try_from(receive(&bench, 2)).unwrap();
    bench.one(Op::Abandon { queue: "q".into(), token: delayed.token, delay: Some(120 * second) });
    bench.pass(-days);
    // Also where the hub was not there to see it.
    bench.reopen("");
    let next = |expected: &str| {
        let one = receive(&bench, 1).pop().unwrap();
        assert_eq!(one.message.id, expected);
        bench.one(Op::Complete { queue: "q".into(), tokens: vec![one.token] });
    };
    next("waits");
    bench.pass(21_000);
    next("locked");
    bench.pass(100_000);
    next("delayed");
    assert_eq!(send(&bench, vec![message("locked")]), [Sent::Duplicate]);
    bench.pass(480_000);
    assert!(matches!(send(&bench, vec![message("locked")])[..], [Sent::Accepted(_)]), "the window is over");
    bench.pass(2_398_000);
    next("stays");
}

/// More has expired than one commit deals with.
#[test]
fn what_has_outlived_its_time_is_given_to_nobody() {
    for sessions in [false, true] {
        let bench = Bench::new();
        put(&bench, Settings { sessions, ..Settings::default() });
        let old = |n: usize| {
            let message = Message { id: n.to_string(), session: Some("s".into()), ..Message::default() };
            NewMessage { ttl: Some(Duration::from_secs(1)), ..message.into() }
        };
        send(&bench, (0..3_000).map(old).collect());
        send(&bench, vec![Message { id: "new".into(), session: Some("s".into()), ..Message::default() }.into()]);
        let accept = |bench: &Bench| match bench.one(Op::AcceptSession { queue: "q".into(), session: Some("s".into()) })
        {
            OpResult::Session(Some(session)) => session.token,
            other => panic!("{other:?}"),
        };
        let token = sessions.then(|| accept(&bench));
        bench.pass(2_000);
        let received = match token {
            None => receive(&bench, 10),
            Some(session) => match bench.one(Op::ReceiveInSession { queue: "q".into(), session, max: 10 }) {
                OpResult::Messages(messages) => messages,
                other => panic!("{other:?}"),
            },
        };
        assert_eq!(ids(&received), ["new"], "sessions: {sessions}");
        bench.one(Op::Complete { queue: "q".into(), tokens: vec![received[0].token] });
        assert_eq!(counts(&bench), Counts::default());
    }
}

/// And what was sent before the clock was ahead lives no shorter for it.
#[test]
fn a_time_to_live_counts_from_when_it_was_sent() {
    let bench = Bench::new();
    put(&bench, Settings { ttl: Some(Duration::from_secs(3_000)), ..Settings::default() });
    send(&bench, vec![message("a")]);
    bench.pass(1_000_000);
    send(&bench, vec![message("b")]);
    for (passed, ready) in [(-1_000_000, 2), (2_999_000, 2), (1_000, 0)] {
        bench.pass(passed);
        bench.one(Op::Purge { queue: "q".into(), max: 0 });
        assert_eq!(counts(&bench).ready, ready, "after {passed}");
    }
}

#[test]
fn what_expires_is_dropped_or_becomes_a_dead_letter() {
    for dead_letter_expired in [false, true] {
        let bench = Bench::new();
        put(&bench, Settings { ttl: Some(Duration::from_secs(30)), dead_letter_expired, ..Settings::default() });
        let short = NewMessage { ttl: Some(Duration::from_secs(10)), ..message("a") };
        let long = NewMessage { ttl: Some(Duration::from_secs(100)), ..message("b") };
        send(&bench, vec![short, long, message("c")]);
        bench.pass(9_000);
        let locked = receive(&bench, 1);
        bench.pass(20_999);
        assert_eq!(ids(&receive(&bench, 1)), ["b"]);
        bench.one(Op::Renew { queue: "q".into(), token: locked[0].token });
        // The two that are locked outlive their time as long as the lock holds.
        bench.pass(1);
        assert_eq!(receive(&bench, 9), []);
        assert_eq!((counts(&bench).locked, counts(&bench).dead), (2, u64::from(dead_letter_expired)));
        bench.pass(60_000);
        assert_eq!(receive(&bench, 9), []);
        assert_eq!(counts(&bench), Counts { dead: if dead_letter_expired { 3 } else { 0 }, ..Counts::default() });
    }
}

#[test]
fn a_queue_is_removed_with_everything_but_its_dead_letters() {
    let bench = Bench::new();
    put(&bench, Settings::default());
    send(&bench, vec![message("a"), message("b")]);
    let first = receive(&bench, 1);
    bench.one(Op::DeadLetter { queue: "q".into(), token: first[0].token, key: None, problem: Problem::default() });
    assert_eq!(bench.one(Op::Remove { queue: "q".into() }), OpResult::Count(2));
    assert_eq!(bench.store.queues().unwrap(), Vec::<String>::new());
    let [dead] = &bench.store.dead_letters(&Default::default(), 9).unwrap()[..] else { panic!() };
    assert_eq!(bench.store.dead_letter_message(&dead.id).unwrap().unwrap().id, "a");
    let gone = Op::Send { queue: "q".into(), messages: vec![message("c")] };
    assert_eq!(bench.refusal(gone), Refusal::NoQueue { path: "q".into() });
}
