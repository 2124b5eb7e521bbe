//! Topics, subscriptions, filters, forwarding: where a message goes.

use std::time::Duration;

use store::queue::{Counts, Delivery, Filter, Message, NewMessage, Op, Problem, Property, Rule, Settings};
use store::{OpResult, Refusal};

use crate::support::Bench;

fn put(bench: &Bench, queue: &str, settings: Settings) {
    bench.one(Op::Put { queue: queue.into(), settings });
}

fn topic(bench: &Bench, subscriptions: &[(&str, Vec<Filter>)]) {
    bench.one(Op::PutTopic { topic: "t".into(), settings: Settings::default() });
    for (name, filters) in subscriptions {
        let rules = filters.iter().enumerate();
        let rules = rules.map(|(n, filter)| Rule { name: format!("r{n}"), filter: filter.clone() }).collect();
        let settings = Settings::default();
        bench.one(Op::PutSubscription { topic: "t".into(), name: (*name).into(), settings, rules });
    }
}

fn region(text: &str) -> Vec<(String, Property)> {
    vec![("region".into(), Property::Text(text.into()))]
}

fn message(id: &str, properties: Vec<(String, Property)>) -> NewMessage {
    Message { id: id.into(), properties, ..Message::default() }.into()
}

fn send(bench: &Bench, queue: &str, messages: Vec<NewMessage>) {
    bench.one(Op::Send { queue: queue.into(), messages });
}

fn receive(bench: &Bench, queue: &str) -> Vec<Delivery> {
    match bench.one(Op::Receive { queue: queue.into(), max: 100 }) {
        OpResult::Messages(deliveries) => deliveries,
        other => panic!("{other:?}"),
    }
}

fn ids(bench: &Bench, queue: &str) -> Vec<String> {
    receive(bench, queue).into_iter().map(|delivery| delivery.message.id).collect()
}

fn counts(bench: &Bench, queue: &str) -> Counts {
    bench.store.queue_counts(queue).unwrap().unwrap()
}

#[test]
fn each_subscription_takes_what_it_wants_once() {
    let mut bench = Bench::new();
    let eu = Filter::Equal(region("EU"));
    topic(
        &bench,
        &[("all", vec![Filter::All, eu.clone()]), ("eu", vec![eu]), ("none", vec![]), ("off", vec![Filter::None])],
    );
    bench.reopen("");
    send(&bench, "t", vec![message("a", region("EU")), message("b", region("US")), message("c", vec![])]);
    assert_eq!(ids(&bench, "t/subscriptions/all"), ["a", "b", "c"]);
    assert_eq!(ids(&bench, "T/Subscriptions/EU"), ["a"]);
    for empty in ["none", "off"] {
        assert_eq!(counts(&bench, &format!("t/subscriptions/{empty}")), Counts::default());
    }

    // New rules count from the next message on.
    let rules = vec![Rule { name: "r".into(), filter: Filter::Equal(region("US")) }];
    bench.one(Op::PutSubscription { topic: "t".into(), name: "eu".into(), settings: Settings::default(), rules });
    send(&bench, "t", vec![message("d", region("EU")), message("e", region("US"))]);
    assert_eq!(ids(&bench, "t/subscriptions/eu"), ["e"]);
}

#[test]
fn a_scheduled_message_waits_at_the_topic() {
    let bench = Bench::new();
    topic(&bench, &[("all", vec![Filter::All])]);
    let at = bench.now() + Duration::from_secs(5);
    send(&bench, "t", vec![NewMessage { at: Some(at), ..message("later", vec![]) }]);
    send(&bench, "t", vec![message("now", vec![])]);
    assert_eq!(ids(&bench, "t/subscriptions/all"), ["now"]);
    bench.pass(4999);
    assert_eq!(ids(&bench, "t/subscriptions/all"), Vec::<String>::new());
    bench.pass(1);
    let late = receive(&bench, "t/subscriptions/all");
    assert_eq!((late[0].message.id.as_str(), late[0].enqueued), ("later", at));
    assert!(late[0].first_seq < late[0].seq, "a new number, and the first is still known");
    assert_eq!(counts(&bench, "t"), Counts::default());
}

#[test]
fn nobody_receives_from_a_topic_or_sends_to_a_subscription() {
    let bench = Bench::new();
    topic(&bench, &[("s", vec![Filter::All])]);
    put(&bench, "out", Settings::default());
    put(&bench, "in", Settings { forward_to: Some("out".into()), ..Settings::default() });
    let settings = Settings::default;
    for op in [
        Op::Receive { queue: "t".into(), max: 1 },
        Op::Receive { queue: "in".into(), max: 1 },
        Op::Send { queue: "t/subscriptions/s".into(), messages: vec![message("a", vec![])] },
        Op::Send { queue: "out/$deadletterqueue".into(), messages: vec![message("a", vec![])] },
        Op::Purge { queue: "out/$DeadLetterQueue".into(), max: 1 },
        Op::Remove { queue: "out/$deadletterqueue".into() },
        Op::Put { queue: "t".into(), settings: settings() },
        Op::Put { queue: "t/subscriptions/x".into(), settings: settings() },
        Op::Put { queue: String::new(), settings: settings() },
        Op::PutTopic { topic: "out".into(), settings: settings() },
        Op::PutSubscription { topic: "out".into(), name: "s".into(), settings: settings(), rules: vec![] },
        Op::AcceptSession { queue: "out".into(), session: None },
    ] {
        assert!(matches!(bench.refusal(op.clone()), Refusal::QueueUse { .. }), "{op:?}");
    }
}

#[test]
fn forwarding_moves_everything_on() {
    let bench = Bench::new();
    put(&bench, "out", Settings::default());
    put(&bench, "in", Settings::default());
    send(&bench, "in", vec![message("before", vec![])]);
    put(&bench, "in", Settings { forward_to: Some("out".into()), ..Settings::default() });
    send(&bench, "in", vec![message("after", vec![])]);
    assert_eq!(ids(&bench, "out"), ["before", "after"]);
    assert_eq!(counts(&bench, "in"), Counts::default());

    // A chain that is too long, and a target that is gone: nothing is lost.
    for n in 0..6 {
        let forward_to = Some(format!("chain{}", n + 1));
        put(&bench, &format!("chain{n}"), Settings { forward_to, ..Settings::default() });
    }
    send(&bench, "chain0", vec![message("far", vec![])]);
    assert_eq!(counts(&bench, "chain4").dead, 1);
    put(&bench, "alone", Settings { forward_to: Some("gone".into()), ..Settings::default() });
    send(&bench, "alone", vec![message("lost", vec![])]);
    let dead = receive(&bench, "alone/$deadletterqueue");
    assert_eq!(dead[0].problem.as_ref().unwrap().code, "ForwardingFailed");
    let codes: Vec<String> = bench
        .store
        .dead_letters(&Default::default(), 9)
        .unwrap()
        .into_iter()
        .map(|letter| letter.problem.code)
        .collect();
    assert_eq!(codes, ["ForwardingFailed", "MaxTransferHopCountExceeded"]);
}

#[test]
fn what_was_held_when_a_queue_began_to_forward_goes_on_too() {
    let bench = Bench::new();
    put(&bench, "out", Settings::default());
    put(&bench, "in", Settings::default());
    send(&bench, "in", ["a", "b", "c"].map(|id| message(id, vec![])).to_vec());
    let held = receive(&bench, "in");
    put(&bench, "in", Settings { forward_to: Some("out".into()), ..Settings::default() });
    // Nobody can receive from it any more: one is given back, one with a delay, and of one the lock runs out.
    for (delivery, delay) in held.iter().zip([None, Some(Duration::from_secs(5))]) {
        bench.one(Op::Abandon { queue: "in".into(), token: delivery.token, delay });
    }
    bench.pass(60_001);
    assert_eq!(ids(&bench, "out"), ["a", "b", "c"]);
    assert_eq!(counts(&bench, "in"), Counts::default());
}

#[test]
fn a_message_expires_where_it_was_forwarded_to_as_well() {
    let bench = Bench::new();
    put(&bench, "out", Settings::default());
    put(&bench, "in", Settings::default());
    let soon = |id: &str| NewMessage { ttl: Some(Duration::from_secs(5)), ..message(id, vec![]) };
    send(&bench, "in", vec![soon("before")]);
    bench.pass(1000);
    put(&bench, "in", Settings { forward_to: Some("out".into()), ..Settings::default() });
    send(&bench, "in", vec![soon("after"), message("for good", vec![])]);
    let at = |seconds: u64| Some(bench.now() + Duration::from_secs(seconds));
    let expires = bench.store.peek("out", 0, 9).unwrap().unwrap().into_iter().map(|peeked| peeked.expires);
    assert_eq!(expires.collect::<Vec<_>>(), [at(4), at(5), None]);
    bench.pass(5000);
    assert_eq!(ids(&bench, "out"), ["for good"]);
}

#[test]
fn what_goes_round_in_circles_stays_where_that_is_noticed() {
    let bench = Bench::new();
    let round = |to: &str| Settings {
        forward_to: Some(to.into()),
        forward_dead_letters_to: Some(to.into()),
        ..Settings::default()
    };
    put(&bench, "a", round("b"));
    put(&bench, "b", round("a"));
    send(&bench, "a", vec![message("round", vec![])]);
    assert_eq!(counts(&bench, "a").dead, 1);
    // It names no session, and is not sent on to where it would come from again.
    put(&bench, "d", Settings { forward_to: Some("c".into()), ..Settings::default() });
    let settings = Settings { sessions: true, forward_dead_letters_to: Some("d".into()), ..Settings::default() };
    put(&bench, "c", settings);
    send(&bench, "d", vec![message("none", vec![])]);
    assert_eq!(counts(&bench, "c").dead, 1);
}

#[test]
fn dead_letters_can_be_forwarded() {
    let bench = Bench::new();
    put(&bench, "repair", Settings::default());
    put(&bench, "q", Settings { forward_dead_letters_to: Some("repair".into()), ..Settings::default() });
    send(&bench, "q", vec![message("a", vec![])]);
    let token = receive(&bench, "q")[0].token;
    let problem = Problem { code: "Broken".into(), what: "no lines".into(), ..Problem::default() };
    bench.one(Op::DeadLetter { queue: "q".into(), token, key: None, problem });
    let told = receive(&bench, "repair").remove(0).message.properties;
    let text = |text: &str| Property::Text(text.into());
    let expected =
        [("DeadLetterReason".to_owned(), text("Broken")), ("DeadLetterErrorDescription".to_owned(), text("no lines"))];
    assert_eq!(told, expected);
    assert_eq!(counts(&bench, "q"), Counts::default());
}

#[test]
fn a_topic_goes_with_its_subscriptions() {
    let bench = Bench::new();
    topic(&bench, &[("a", vec![Filter::All]), ("b", vec![Filter::All])]);
    send(&bench, "t", vec![message("m", vec![])]);
    assert_eq!(bench.store.queues().unwrap(), ["t", "t/subscriptions/a", "t/subscriptions/b"]);
    assert_eq!(bench.one(Op::Remove { queue: "t".into() }), OpResult::Count(2));
    assert_eq!(bench.store.queues().unwrap(), Vec::<String>::new());
}

#[test]
fn purging_leaves_what_somebody_holds() {
    let bench = Bench::new();
    put(&bench, "q", Settings::default());
    send(&bench, "q", (0..10).map(|n| message(&n.to_string(), vec![])).collect());
    let Some(OpResult::Messages(held)) =
        bench.store.commit_blocking(vec![Op::Receive { queue: "q".into(), max: 2 }.into()]).unwrap().pop()
    else {
        panic!()
    };
    assert_eq!(bench.one(Op::Purge { queue: "q".into(), max: 3 }), OpResult::Count(3));
    assert_eq!(bench.one(Op::Purge { queue: "q".into(), max: 100 }), OpResult::Count(5));
    assert_eq!(counts(&bench, "q"), Counts { locked: 2, ..Counts::default() });
    let tokens = held.iter().map(|delivery| delivery.token).collect();
    bench.one(Op::Complete { queue: "q".into(), tokens });
}

/// One day in steps of odd length: everything happens at its millisecond, nothing early, nothing late.
#[test]
fn a_day_passes_to_the_millisecond() {
    const HOUR: i64 = 3_600_000;
    let mut bench = Bench::new();
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let settings = Settings {
        lock: minutes(5),
        max_deliveries: 0,
        duplicate_window: Some(minutes(60)),
        ttl: Some(minutes(600)),
        ..Settings::default()
    };
    put(&bench, "q", settings);
    let start = bench.now();
    let hour = |n: i64| start + jiff::SignedDuration::from_hours(n);
    let scheduled = (1..24).map(|n| NewMessage { at: Some(hour(n)), ..message(&format!("at{n}"), vec![]) });
    send(&bench, "q", scheduled.collect());
    let mut spent = 0;
    for n in 1..24 {
        bench.pass(HOUR - 1 - spent);
        assert_eq!(ids(&bench, "q"), Vec::<String>::new(), "hour {n}: nothing is early");
        bench.pass(1);
        if n % 6 == 0 {
            bench.reopen("");
        }
        // The id of the scheduled message was seen when it was sent; this one is new each hour and seen for an hour.
        send(&bench, "q", vec![message("hourly", vec![])]);
        let received = receive(&bench, "q");
        let expected = [format!("at{n}"), "hourly".to_owned()];
        assert_eq!(received.iter().map(|d| d.message.id.clone()).collect::<Vec<_>>(), expected);
        assert!(received.iter().all(|delivery| delivery.enqueued == hour(n) && delivery.deliveries == 0));
        assert!(received.iter().all(|d| d.expires == Some(hour(n) + Duration::from_secs(36_000))));
        // A lock holds for five minutes to the millisecond, and is renewed in time.
        bench.pass(299_999);
        let tokens: Vec<_> = received.iter().map(|delivery| delivery.token).collect();
        bench.one(Op::Renew { queue: "q".into(), token: tokens[0] });
        bench.pass(1);
        assert_eq!(ids(&bench, "q"), ["hourly"], "the other lock ran out");
        assert!(matches!(
            bench.refusal(Op::Complete { queue: "q".into(), tokens: tokens.clone() }),
            Refusal::LockLost { .. }
        ));
        bench.one(Op::Complete { queue: "q".into(), tokens: vec![tokens[0]] });
        let again =
            bench.store.peek("q", 0, 100).unwrap().unwrap().into_iter().find(|p| p.message.id == "hourly").unwrap();
        assert_eq!(again.deliveries, 1);
        bench.pass(300_000);
        let last = receive(&bench, "q");
        assert_eq!((last.len(), last[0].deliveries), (1, 2));
        bench.one(Op::Complete { queue: "q".into(), tokens: vec![last[0].token] });
        spent = 600_000;
    }
    assert_eq!(counts(&bench, "q"), Counts::default());
}
