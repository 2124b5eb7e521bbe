//! What starts an instance of a flow, and what is known to have done so.

use record::{Key, Value};
use store::OpResult;
use store::flows::{Op, Start};

use crate::support::Bench;

fn start(bench: &Bench, cause: &str, state_of: &str) -> bool {
    let start = Start {
        integration: "limits".into(),
        version: 1,
        entity: "customer".into(),
        key: Key::of(&[Value::text("C-1")]).unwrap(),
        cause: cause.into(),
        state_of: (!state_of.is_empty()).then(|| state_of.into()),
        heard: false,
        ceiling: 100,
        since: jiff::Timestamp::MIN,
        at: None,
        data: String::new(),
        steps: Vec::new(),
    };
    match bench.one(Op::Start(Box::new(start))) {
        OpResult::Instance(id) => id.is_some(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_known_without_its_state_is_the_state_that_is_met_first() {
    let bench = Bench::new();
    assert!(start(&bench, "created C-1", ""), "by an earlier version");
    assert!(!start(&bench, "created C-1 aa", "created C-1 "));
    assert!(start(&bench, "created C-1 bb", "created C-1 "), "made again under its key");
    assert!(!start(&bench, "created C-1 bb", "created C-1 "));
    // What is forgotten of one is known of another whose key begins alike.
    assert!(start(&bench, "created C-1 B cc", "created C-1 B "));
    let states_of = vec!["created C-1 ".to_owned()];
    assert_eq!(bench.one(Op::Unknow { integration: "limits".into(), states_of }), OpResult::Count(1));
    assert!(!start(&bench, "created C-1 B cc", "created C-1 B "));
    assert!(start(&bench, "created C-1 bb", "created C-1 "));
}
