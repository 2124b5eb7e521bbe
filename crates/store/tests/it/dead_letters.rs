//! Dead letters of rows and of messages.

use store::dead_letters::{DeadLetter, DeadLetterId, Filter, Kind, Op, Rejection, State};
use store::queue::{self, Message, NewMessage, Problem, Settings};
use store::{OpResult, Refusal};

use crate::support::{Bench, key};

fn problem(code: &str) -> Problem {
    Problem {
        code: code.into(),
        what: "customer `C-1`: the name is too long".into(),
        place: "system dynamics, column name".into(),
        why: "0x80044331: the limit is 160".into(),
        fix: "shorten it".into(),
        detail: "{}".into(),
    }
}

fn reject(bench: &Bench, integration: &str, text: &str, code: &str) -> DeadLetterId {
    let row = Rejection {
        integration: integration.into(),
        entity: "customer".into(),
        key: key(text),
        record: format!(r#"{{"number":"{text}"}}"#).into_bytes(),
        problem: problem(code),
        run: None,
    };
    match bench.one(Op::Reject(Box::new(row))) {
        OpResult::DeadLetter(id) => id,
        other => panic!("{other:?}"),
    }
}

fn supersede(bench: &Bench, text: &str) -> OpResult {
    bench.one(Op::Supersede { integration: "customers".into(), entity: "customer".into(), keys: vec![key(text)] })
}

fn all(bench: &Bench) -> Vec<DeadLetter> {
    bench.store.dead_letters(&Filter::default(), 100).unwrap()
}

#[test]
fn one_for_each_key_updated_and_superseded() {
    let bench = Bench::new();
    let first = reject(&bench, "customers", "C-1", "IB0401");
    let began = bench.now();
    bench.pass(1000);
    assert_eq!(reject(&bench, "customers", "C-1", "IB0402"), first);
    let [found] = &all(&bench)[..] else { panic!() };
    assert_eq!((found.count, found.first_seen, found.last_seen), (2, began, bench.now()));
    assert_eq!((found.kind, &found.problem, found.key.clone()), (Kind::Row, &problem("IB0402"), Some(key("C-1"))));
    assert_eq!(bench.store.dead_letters_waiting().unwrap(), [("customers".into(), 1)]);
    assert_eq!(bench.store.queue_counts("customers").unwrap().unwrap().dead, 1);
    let message = bench.store.dead_letter_message(&first).unwrap().unwrap();
    assert_eq!(message.body, br#"{"number":"C-1"}"#);

    // It waits for something else now: another reason and record, and not given up on once more.
    let waits = |text: &str| {
        let record = format!(r#"{{"number":"{text}","name":"short"}}"#).into_bytes();
        let (integration, entity) = ("customers".into(), "customer".into());
        let row = Rejection { integration, entity, key: key(text), record, problem: problem("IB0515"), run: None };
        bench.one(Op::Waits(Box::new(row)))
    };
    bench.pass(1000);
    let at = bench.now();
    for text in ["C-1", "C-2"] {
        assert_eq!(waits(text), OpResult::Done);
    }
    bench.pass(1000);
    assert_eq!(waits("C-1"), OpResult::Done, "nothing new");
    let [found] = &all(&bench)[..] else { panic!("one that has no dead letter gets none") };
    assert_eq!((found.count, found.last_seen, &found.problem), (2, at, &problem("IB0515")));
    let message = bench.store.dead_letter_message(&first).unwrap().unwrap();
    assert_eq!(message.body, br#"{"number":"C-1","name":"short"}"#);
    assert_eq!(bench.store.queue_counts("customers").unwrap().unwrap().dead, 1);

    assert_eq!(supersede(&bench, "C-2"), OpResult::Count(0));
    assert_eq!(supersede(&bench, "C-1"), OpResult::Count(1));
    assert_eq!(supersede(&bench, "C-1"), OpResult::Count(0));
    assert_eq!(all(&bench)[0].state, State::Superseded);
    assert_eq!(bench.store.dead_letters_waiting().unwrap(), []);
    assert_eq!(bench.store.queue_counts("customers").unwrap().unwrap().dead, 0);

    assert_eq!(reject(&bench, "customers", "C-1", "IB0401"), first);
    assert_eq!((all(&bench)[0].state, all(&bench)[0].count), (State::Open, 3));
    assert_eq!(bench.store.queue_counts("customers").unwrap().unwrap().dead, 1);
}

#[test]
fn a_person_changes_what_they_saw() {
    let bench = Bench::new();
    let id = reject(&bench, "customers", "C-1", "IB0401");
    let change = |seen, to| Op::Change { id: id.clone(), seen, to, by: Some("ann".into()), note: Some("known".into()) };
    bench.one(change(State::Open, State::Discarded));
    let refused = Refusal::DeadLetterState { id: id.to_string(), state: State::Discarded };
    assert_eq!(bench.refusal(change(State::Open, State::Retrying)), refused);
    let found = &all(&bench)[0];
    assert_eq!(
        (found.state, found.changed_by.as_deref(), found.note.as_deref()),
        (State::Discarded, Some("ann"), Some("known"))
    );
    // It is not needed as it is: for another reason it is.
    for (code, state, count) in [("IB0401", State::Discarded, 1), ("IB0402", State::Open, 2)] {
        assert_eq!(reject(&bench, "customers", "C-1", code), id);
        assert_eq!((all(&bench)[0].state, all(&bench)[0].count), (state, count), "{code}");
    }
    // Refused again as it was: one that waits says why now, one that was sent again is open again.
    let refused = || {
        let row = Rejection {
            integration: "customers".into(),
            entity: "customer".into(),
            key: key("C-1"),
            record: b"{}".to_vec(),
            problem: problem("IB0403"),
            run: None,
        };
        bench.one(Op::Refused(Box::new(row)));
        let now = &all(&bench)[0];
        (now.state, now.count, now.problem.code.clone())
    };
    assert_eq!(refused(), (State::Open, 2, "IB0403".into()));
    bench.one(change(State::Open, State::Retrying));
    assert_eq!(refused(), (State::Open, 3, "IB0403".into()));
    bench.one(change(State::Open, State::Discarded));
    assert_eq!(refused(), (State::Discarded, 3, "IB0403".into()));
    // A discarded one can be taken back, and is a message again.
    bench.one(change(State::Discarded, State::Open));
    assert_eq!(bench.store.queue_counts("customers").unwrap().unwrap().dead, 1);

    let nobody = Op::Change { id: "00".into(), seen: State::Open, to: State::Open, by: None, note: None };
    assert_eq!(bench.refusal(nobody), Refusal::NoDeadLetter { id: "00".into() });
}

#[test]
fn what_was_closed_long_ago_is_forgotten() {
    let bench = Bench::new();
    for n in 0..5 {
        reject(&bench, "customers", &format!("C-{n}"), "IB0401");
    }
    supersede(&bench, "C-0");
    supersede(&bench, "C-1");
    bench.pass(1000);
    supersede(&bench, "C-2");
    let forget = |max| bench.one(Op::Forget { closed_before: bench.now(), max });
    assert_eq!(forget(1), OpResult::Count(1));
    assert_eq!(forget(9), OpResult::Count(1));
    assert_eq!(forget(9), OpResult::Count(0));
    let left: Vec<String> = all(&bench).into_iter().map(|letter| letter.key_text).collect();
    assert_eq!(left, ["C-4", "C-3", "C-2"]);
    // The key is free again, under a new id and with a new count.
    reject(&bench, "customers", "C-0", "IB0401");
    assert_eq!(all(&bench)[0].count, 1);
    assert_eq!(bench.store.dead_letters_waiting().unwrap(), [("customers".into(), 3)]);
}

#[test]
fn lists_filter_and_page() {
    let bench = Bench::new();
    for n in 0..25 {
        bench.pass(n % 3);
        let code = if n % 5 == 0 { "IB0402" } else { "IB0401" };
        reject(&bench, if n % 2 == 0 { "customers" } else { "orders" }, &format!("C-{n}"), code);
    }
    supersede(&bench, "C-0");
    let count = |filter| bench.store.dead_letters(&filter, 100).unwrap().len();
    assert_eq!(count(Filter { integration: Some("orders".into()), ..Filter::default() }), 12);
    assert_eq!(count(Filter { code: Some("IB0402".into()), ..Filter::default() }), 5);
    assert_eq!(count(Filter { states: vec![State::Superseded, State::Discarded], ..Filter::default() }), 1);
    assert_eq!(count(Filter { entity: Some("order".into()), ..Filter::default() }), 0);

    let whole = all(&bench);
    assert!(whole.is_sorted_by_key(|letter| std::cmp::Reverse((letter.last_seen, letter.seq))));
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = bench.store.dead_letters(&Filter { after, ..Filter::default() }, 4).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.place());
        paged.extend(page);
    }
    assert_eq!(paged, whole);
}

#[test]
fn the_beginning_of_an_id_is_enough() {
    let bench = Bench::new();
    let ids: Vec<DeadLetterId> = (0..40).map(|n| reject(&bench, "customers", &format!("C-{n}"), "IB0401")).collect();
    for id in &ids {
        let found = bench.store.dead_letters_like(&id.as_str()[..8].to_uppercase()).unwrap();
        assert_eq!(found.iter().map(|letter| &letter.id).collect::<Vec<_>>(), [id]);
    }
    assert_eq!(bench.store.dead_letters_like("").unwrap().len(), 10);
    assert_eq!(bench.store.dead_letters_like("x").unwrap(), []);
}

#[test]
fn a_message_that_was_given_up_on_is_listed_and_received() {
    let bench = Bench::new();
    bench.one(queue::Op::Put { queue: "orders".into(), settings: Settings::default() });
    let message = Message {
        id: "m1".into(),
        entity: Some("order".into()),
        key: Some(key("O-1")),
        body: vec![0, 255, 10],
        ..Message::default()
    };
    bench.one(queue::Op::Send { queue: "orders".into(), messages: vec![NewMessage::from(message.clone())] });
    let received = bench.one(queue::Op::Receive { queue: "orders".into(), max: 1 });
    let OpResult::Messages(received) = received else { panic!() };
    let token = received[0].token;
    bench.one(queue::Op::DeadLetter { queue: "orders".into(), token, key: None, problem: problem("IB0501") });

    let [found] = &all(&bench)[..] else { panic!() };
    assert_eq!((found.kind, found.integration.as_str(), found.key_text.as_str()), (Kind::Message, "orders", "O-1"));
    assert_eq!(bench.store.dead_letter_message(&found.id).unwrap(), Some(message.clone()));

    let dead = "orders/$deadletterqueue".to_owned();
    let received = bench.one(queue::Op::Receive { queue: dead.clone(), max: 5 });
    let OpResult::Messages(received) = received else { panic!() };
    assert_eq!((received.len(), &received[0].message), (1, &message));
    bench.one(queue::Op::Complete { queue: dead, tokens: vec![received[0].token] });
    assert_eq!(all(&bench)[0].state, State::Resolved);
    assert_eq!(bench.store.dead_letters_waiting().unwrap(), []);
}
