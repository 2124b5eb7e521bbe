//! Webhooks that do not come, from the first that was missed to the first that comes.

use store::unheard::{Op, Unheard};

use crate::support::Bench;

#[test]
fn it_adds_up_until_one_comes() {
    let bench = Bench::new();
    let begun = bench.now();
    let of = |name: &str| name.to_owned();
    bench.pass(1_000);
    bench.one(Op::Missed { integration: of("orders"), changes: 3, since: begun });
    bench.one(Op::Refused { integration: of("prices"), calls: 3 });
    bench.pass(1_000);
    bench.one(Op::Refused { integration: of("orders"), calls: 4 });
    bench.one(Op::Missed { integration: of("orders"), changes: 1, since: bench.now() });
    let found = bench.store.unheard().unwrap();
    let expected =
        Unheard { integration: of("orders"), since: begun, seen: bench.now(), changes: 4, sweeps: 2, refused: 4 };
    assert_eq!((found.len(), &found[0]), (2, &expected));
    bench.one(Op::Heard { integration: of("orders") });
    bench.one(Op::Heard { integration: of("orders") });
    assert_eq!(bench.store.unheard().unwrap(), found[1..]);
}
