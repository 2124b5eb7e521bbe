//! The ledger.

use std::ops::ControlFlow;

use proptest::prelude::*;
use store::ledger::{Entry, Op, State, Totals};
use store::{Error, OpResult, leases};

use crate::support::{Bench, cases, key};

fn entry(text: &str, state: State, hash: u128) -> Entry {
    Entry {
        key: key(text),
        source_hash: hash,
        content_hash: !hash,
        mapping: u64::MAX - 1,
        state,
        generation: 3,
        remote_id: Some("8e0b7f3a-0c1d-4a52-9c7e-000000000042".into()),
        version: Some("W/\"17\"".into()),
    }
}

fn put(entries: Vec<Entry>) -> Op {
    Op::Put { system: "dynamics".into(), entity: "customer".into(), entries }
}

fn scanned(bench: &Bench) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let scan = bench.store.ledger_scan("dynamics", "customer", |seen| {
        keys.push(seen.key.to_vec());
        ControlFlow::Continue(())
    });
    scan.unwrap();
    keys
}

#[test]
fn rows_come_back_as_they_went_in() {
    let bench = Bench::new();
    let mut second = entry("C-2", State::Waiting, 9);
    (second.remote_id, second.version) = (None, None);
    let mut third = entry("C-3", State::Rejected, u128::MAX);
    third.remote_id = Some("ERP-1".into());
    let rows = [entry("C-1", State::Written, 7), second, third];
    bench.one(put(rows.iter().rev().cloned().collect()));
    let asked = ["C-2", "none", "C-3", "C-1"].map(key);
    let expected = vec![Some(rows[1].clone()), None, Some(rows[2].clone()), Some(rows[0].clone())];
    assert_eq!(bench.store.ledger_get("dynamics", "customer", &asked).unwrap(), expected);
    assert_eq!(bench.store.ledger_get("dynamics", "order", &asked).unwrap(), vec![None; 4]);
}

#[test]
fn a_scan_is_in_key_order_and_may_stop() {
    let bench = Bench::new();
    let texts = ["b", "a", "c", "aa", "B"];
    bench.one(put(texts.iter().map(|text| entry(text, State::Written, 1)).collect()));
    let mut expected = texts.map(|text| key(text).as_bytes().to_vec());
    expected.sort();
    assert_eq!(scanned(&bench), expected);

    let mut seen = 0;
    let stop = |_: store::ledger::Seen<'_>| {
        seen += 1;
        if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    bench.store.ledger_scan("dynamics", "customer", stop).unwrap();
    assert_eq!(seen, 2);
}

#[test]
fn a_refused_commit_leaves_the_totals_alone() {
    let bench = Bench::new();
    bench.one(put(vec![entry("a", State::Written, 1)]));
    let stale = leases::Op::Fence { name: "nobody".into(), epoch: leases::Epoch(1) };
    let refused = bench.store.commit_blocking(vec![put(vec![entry("b", State::Written, 1)]).into(), stale.into()]);
    assert!(matches!(refused, Err(Error::Refused { op: 1, .. })));
    let totals = bench.store.ledger_totals("dynamics", "customer").unwrap();
    assert_eq!(totals, Totals { written: 1, ..Totals::default() });
    assert_eq!(scanned(&bench).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(24), failure_persistence: None, ..ProptestConfig::default() })]

    /// The kept totals are what counting would give, whatever was put, removed or cleared, one by one or together.
    #[test]
    fn totals_are_what_counting_gives(
        steps in proptest::collection::vec(
            proptest::collection::vec((0u8..10, "[a-e]", 0u8..3), 1..6), 1..12)
    ) {
        let bench = Bench::new();
        let mut model = std::collections::BTreeMap::new();
        for step in steps {
            let mut ops = Vec::new();
            for (what, text, state) in step {
                let state = [State::Written, State::Rejected, State::Waiting, State::Deactivated][state as usize];
                let (system, entity) = ("dynamics".to_owned(), "customer".to_owned());
                match what {
                    0 => {
                        ops.push(Op::Clear { system, entity }.into());
                        model.clear();
                    }
                    1..4 => {
                        ops.push(Op::Remove { system, entity, keys: vec![key(&text)] }.into());
                        model.remove(&key(&text));
                    }
                    _ => {
                        ops.push(put(vec![entry(&text, state, 5)]).into());
                        model.insert(key(&text), state);
                    }
                }
            }
            bench.store.commit_blocking(ops).unwrap();
            let of = |state| model.values().filter(|s| **s == state).count() as u64;
            let expected = Totals { written: of(State::Written), rejected: of(State::Rejected), waiting: of(State::Waiting), deactivated: of(State::Deactivated) };
            prop_assert_eq!(bench.store.ledger_totals("dynamics", "customer").unwrap(), expected);
            prop_assert_eq!(scanned(&bench), model.keys().map(|key| key.as_bytes().to_vec()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn removing_says_how_many_there_were() {
    let bench = Bench::new();
    let remove = || Op::Remove { system: "dynamics".into(), entity: "customer".into(), keys: vec![key("a"), key("z")] };
    assert_eq!(bench.one(remove()), OpResult::Count(0));
    bench.one(put(vec![entry("a", State::Written, 1), entry("b", State::Written, 1)]));
    assert_eq!(bench.one(remove()), OpResult::Count(1));
    assert_eq!(bench.one(Op::Clear { system: "dynamics".into(), entity: "customer".into() }), OpResult::Count(1));
}

#[test]
fn what_was_written_at_another_place_is_not_taken_for_granted() {
    let bench = Bench::new();
    let (written, rejected) = (entry("a", State::Written, 7), entry("b", State::Rejected, 8));
    bench.one(put(vec![written.clone(), rejected.clone()]));
    let place = |at: &str| Op::Place { system: "dynamics".into(), entity: "customer".into(), place: at.into() };
    // Nobody has said before where it was, and then it is where it was.
    assert_eq!(["account", "account"].map(|at| bench.one(place(at))), [OpResult::Count(0), OpResult::Count(0)]);
    let known = || bench.store.ledger_get("dynamics", "customer", &["a", "b"].map(key)).unwrap();
    assert_eq!(known(), [Some(written.clone()), Some(rejected.clone())]);
    assert_eq!(bench.one(place("contact")), OpResult::Count(1));
    assert_eq!(known(), [written.doubted(), Some(rejected)]);
    assert_eq!(bench.store.ledger_place("dynamics", "customer").unwrap().as_deref(), Some("contact"));
    assert_eq!(bench.store.ledger_place("dynamics", "order").unwrap(), None);
}
