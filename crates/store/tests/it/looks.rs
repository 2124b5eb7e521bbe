//! What was found when systems were asked, and what nobody is told of.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use store::alerts;
use store::looks::{Found, Op, Silence};

use crate::support::Bench;

fn answer() -> Found {
    Found::Answer { version: "9.2".into(), user: Some("hub".into()) }
}

fn silence(what: &str) -> Found {
    Found::Silence(Silence {
        code: "IB0501".into(),
        what: what.into(),
        why: "refused".into(),
        fix: String::new(),
        person: false,
    })
}

#[test]
fn it_stands_as_it_does_since_it_changed() {
    let bench = Bench::new();
    let begun = bench.now();
    // Each look a minute after the one before, and older ones than two minutes say nothing of now.
    let look = |pause: i64, found: Found| {
        bench.pass(pause);
        let fresh = bench.now().checked_sub(SignedDuration::from_mins(2)).unwrap();
        let took = Duration::from_millis(7);
        bench.one(Op::Note { system: "crm".into(), took, found, wait: Duration::ZERO, fresh });
        bench.store.looks().unwrap().pop().unwrap()
    };
    let at = |minutes: i64| begun.checked_add(SignedDuration::from_mins(minutes)).unwrap();
    const MINUTE: i64 = 60_000;
    let first = look(0, answer());
    assert_eq!((first.since, first.good, first.found), (at(0), Some(at(0)), answer()));
    assert_eq!(look(MINUTE, answer()).since, at(0));
    let down = look(MINUTE, silence("closed"));
    assert_eq!(
        (down.since, down.good, down.silence().map(|it| it.what.as_str())),
        (at(2), Some(at(1)), Some("closed"))
    );
    let still = look(MINUTE, silence("no answer"));
    assert_eq!((still.since, still.seen, still.good), (at(2), at(3), Some(at(1))));
    // Nobody asked for an hour: what it did meanwhile is not known.
    assert_eq!(look(60 * MINUTE, silence("closed")).since, at(63));
    // It is there again, and has another password.
    let refusal = || match silence("401") {
        Found::Silence(silence) => Found::Silence(Silence { person: true, ..silence }),
        answer => answer,
    };
    assert_eq!((look(MINUTE, refusal()).since, look(MINUTE, refusal()).since), (at(64), at(64)));
    let back = look(MINUTE, answer());
    assert_eq!((back.since, back.good, back.found), (at(66), Some(at(66)), answer()));
}

#[test]
fn a_subject_has_one_silence_until_the_later_end() {
    let bench = Bench::new();
    let begun = bench.now();
    let until = |hours: i64| begun.checked_add(SignedDuration::from_hours(hours)).unwrap();
    let silence = |subject: &str, by: &str, until: Timestamp| {
        let (subject, by, note) = (subject.to_owned(), by.to_owned(), format!("says {by}"));
        bench.one(alerts::Op::Silence { subject, by, note, until });
        let found = bench.store.silences().unwrap();
        found.into_iter().map(|silence| (silence.subject, silence.note, silence.until)).collect::<Vec<_>>()
    };
    let one = |subject: &str, by: &str, hours| (subject.to_owned(), format!("says {by}"), until(hours));
    assert_eq!(silence("crm", "ann", until(2)), [one("crm", "ann", 2)]);
    // Longer, then shorter: it lasts until the later end, and the last one who said so says why.
    assert_eq!(silence("crm", "bob", until(8)), [one("crm", "bob", 8)]);
    assert_eq!(silence("crm", "eve", until(1)), [one("crm", "eve", 8)]);
    assert_eq!(silence("erp", "ann", until(1)), [one("erp", "ann", 1), one("crm", "eve", 8)]);
    // One that is over is history, and a new one begins.
    bench.pass(2 * 3_600_000);
    assert_eq!(silence("erp", "bob", until(3)), [one("erp", "bob", 3), one("crm", "eve", 8)]);
    let crm = bench.store.silences().unwrap().into_iter().find(|silence| silence.subject == "crm").unwrap();
    bench.one(alerts::Op::EndSilence { id: crm.id });
    assert_eq!(bench.store.silences().unwrap().len(), 1);
}
