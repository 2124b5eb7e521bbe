//! What two sides agreed on is there after the commit, and pending keys are found by themselves.

use std::ops::ControlFlow;

use record::{Key, Value};
use store::agreements::{Agreement, Op, State};
use store::{Options, Store};

fn key(name: &str) -> Key {
    Key::of(&[Value::text(name)]).unwrap()
}

#[test]
fn agreements_are_kept_by_integration_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    let one = |name: &str, state, content: &[u8]| Agreement { key: key(name), state, content: content.to_vec() };
    let put = |integration: &str, agreements| {
        let op = Op::Put { integration: integration.into(), entity: "customer".into(), agreements };
        store.commit_blocking(vec![op.into()]).unwrap();
    };
    put("both", vec![one("b", State::Pending, b"2"), one("a", State::Settled, b"1")]);
    put("others", vec![one("a", State::Pending, b"9")]);
    let keys = [key("a"), key("missing"), key("b")];
    let found = store.agreements("both", "customer", &keys).unwrap();
    assert_eq!(found, [Some(one("a", State::Settled, b"1")), None, Some(one("b", State::Pending, b"2"))]);
    assert_eq!(store.agreements_pending("both", "customer").unwrap(), [key("b")]);

    put("both", vec![one("b", State::Settled, b"3")]);
    assert_eq!(store.agreements_pending("both", "customer").unwrap(), []);
    let mut seen = Vec::new();
    let each = |agreement: Agreement| {
        seen.push(agreement.content);
        ControlFlow::Continue(())
    };
    store.agreements_scan("both", "customer", each).unwrap();
    assert_eq!(seen, [b"1".to_vec(), b"3".to_vec()]);

    let remove =
        Op::Remove { integration: "both".into(), entity: "customer".into(), keys: vec![key("a"), key("missing")] };
    assert_eq!(store.commit_blocking(vec![remove.into()]).unwrap(), [store::OpResult::Count(1)]);
    assert_eq!(store.agreements("both", "customer", &[key("a")]).unwrap(), [None]);
    assert!(store.agreements("others", "customer", &[key("a")]).unwrap()[0].is_some());

    // Between other places nothing is agreed on.
    let place = |at: &str| Op::Place { integration: "both".into(), entity: "customer".into(), place: at.into() };
    for (at, forgotten) in [("here", 0), ("here", 0), ("there", 1)] {
        assert_eq!(store.commit_blocking(vec![place(at).into()]).unwrap(), [store::OpResult::Count(forgotten)]);
        assert_eq!(store.agreements_place("both", "customer").unwrap().as_deref(), Some(at));
    }
    assert_eq!(store.agreements("both", "customer", &[key("b")]).unwrap(), [None]);
    assert!(store.agreements("others", "customer", &[key("a")]).unwrap()[0].is_some());
}
