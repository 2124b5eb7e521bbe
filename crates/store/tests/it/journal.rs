//! The journal says what happened to a record, and only what did happen.

use store::dead_letters::DeadLetterId;
use store::journal::{Note, Op, What};
use store::leases::{self, Epoch};
use store::queue::{self, Message, Settings};

use crate::support::Bench;

fn note(key: &str, what: What) -> Note {
    Note { message: Some(7), attempt: 1, ..Note::new("order", key, what, "orders", "erp") }
}

fn story(bench: &Bench, key: &str) -> Vec<What> {
    bench.store.journal_of("order", key, 100).unwrap().into_iter().map(|noted| noted.note.what).collect()
}

#[test]
fn a_record_has_its_own_story_in_order() {
    let mut bench = Bench::new();
    bench.one(Op::Note(vec![note("SO-1", What::Failed), note("SO-2", What::Created)]));
    bench.pass(1500);
    bench.one(Op::Note(vec![note("SO-1", What::Created)]));
    bench.reopen("");
    assert_eq!(story(&bench, "so-1"), [What::Failed, What::Created]);
    assert_eq!(story(&bench, "SO-2"), [What::Created]);
    assert_eq!(story(&bench, "SO"), []);
    let last = bench.store.journal_of("order", "SO-1", 1).unwrap();
    assert_eq!((last.len(), last[0].at, last[0].note.what), (1, bench.now(), What::Created));
    let (all, place) = bench.store.journal_after(0, 1).unwrap();
    let (rest, end) = bench.store.journal_after(place, 10).unwrap();
    assert_eq!((all.len(), rest.len(), bench.store.journal_after(end, 10).unwrap().0.len()), (2, 1, 0));
}

#[test]
fn what_was_refused_is_not_noted() {
    let bench = Bench::new();
    bench.one(queue::Op::Put { queue: "q".into(), settings: Settings::default() });
    let stale = leases::Op::Fence { name: "nobody".into(), epoch: Epoch(1) };
    let refused = vec![Op::Note(vec![note("SO-1", What::Created)]).into(), stale.into()];
    bench.store.commit_blocking(refused).unwrap_err();
    let send = queue::Op::Send { queue: "q".into(), messages: vec![Message::default().into()] };
    bench.store.commit_blocking(vec![send.into(), Op::Note(vec![note("SO-2", What::Failed)]).into()]).unwrap();
    assert_eq!((story(&bench, "SO-1"), story(&bench, "SO-2")), (vec![], vec![What::Failed]));
}

#[test]
fn what_is_old_is_forgotten() {
    let bench = Bench::new();
    for key in ["a", "b", "c"] {
        bench.one(Op::Note(vec![Note { dead_letter: Some(DeadLetterId::of_seq(1)), ..note(key, What::DeadLetter) }]));
        bench.pass(1000);
    }
    let before = "2026-01-01T00:00:02Z".parse().unwrap();
    assert_eq!(bench.one(Op::Forget { before, max: 1 }), store::OpResult::Count(1));
    assert_eq!(bench.one(Op::Forget { before, max: 9 }), store::OpResult::Count(1));
    assert_eq!((story(&bench, "a"), story(&bench, "b"), story(&bench, "c")), (vec![], vec![], vec![What::DeadLetter]));
}

/// What reality is compared with: how many came since a moment, and since when they come.
#[test]
fn what_came_is_counted_from_the_first_that_came() {
    use store::flows::{Op as Flow, Start};
    let bench = Bench::new();
    bench.one(Op::Note(vec![note("SO-0", What::Created)]));
    bench.pass(5_000);
    let since = bench.now();
    bench.pass(1_000);
    let first = bench.now();
    bench.one(Op::Note(vec![note("SO-1", What::Created), note("SO-2", What::Failed)]));
    bench.pass(1_000);
    bench.one(Op::Note(vec![Note { message: None, ..note("SO-3", What::Updated) }, note("SO-1", What::Unchanged)]));
    let effects = bench.store.journal_effects(since).unwrap();
    assert_eq!(effects.into_iter().collect::<Vec<_>>(), [("orders".to_owned(), (2, first))]);

    let start = |cause: &str| {
        let key = crate::support::key(cause);
        let (integration, entity, data) = ("limits".to_owned(), "request".to_owned(), "{}".to_owned());
        let start = Start {
            integration,
            version: 1,
            entity,
            key,
            cause: cause.to_owned(),
            state_of: None,
            heard: true,
            ceiling: 1,
            since,
            at: None,
            data,
            steps: Vec::new(),
        };
        bench.one(Flow::Start(Box::new(start)));
    };
    bench.one(Flow::Version { integration: "limits".into(), fingerprint: "1".into(), definition: "{}".into() });
    let now = bench.now();
    start("a");
    bench.pass(1_000);
    start("b");
    start("a");
    let came = bench.store.flows_came(since).unwrap();
    assert_eq!(came.into_iter().collect::<Vec<_>>(), [("limits".to_owned(), (2, now))], "held ones came too");
    assert!(bench.store.flows_came(bench.now() + jiff::SignedDuration::from_secs(1)).unwrap().is_empty());
}
