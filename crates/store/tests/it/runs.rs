//! Leases, runs and cursors: the frame of a batch run.

use std::time::Duration;

use store::leases::{self, Epoch, Lease};
use store::runs::{self, Counts, RunError, RunId, State, Trigger};
use store::{Error, OpResult, Refusal, cursors};

use crate::support::Bench;

const MINUTE: Duration = Duration::from_secs(60);

fn take(bench: &Bench, holder: &str) -> Result<Lease, Error> {
    let op = leases::Op::Take { name: "customers".into(), holder: holder.into(), length: MINUTE };
    bench.try_one(op).map(|result| match result {
        OpResult::Lease(lease) => lease,
        other => panic!("{other:?}"),
    })
}

fn start(bench: &Bench, integration: &str) -> RunId {
    let op =
        runs::Op::Start { integration: integration.into(), trigger: Trigger::Schedule, slot: None, retry_of: None };
    match bench.one(op) {
        OpResult::Run(run) => run,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lease_has_one_holder_until_it_runs_out() {
    let bench = Bench::new();
    let first = take(&bench, "a").unwrap();
    assert_eq!(first.epoch, Epoch(1));
    let held = take(&bench, "b").unwrap_err();
    assert!(
        matches!(held.refusal(), Some(Refusal::LeaseHeld { holder, until, .. }) if holder == "a" && *until == first.until)
    );
    assert_eq!(held.code().unwrap().0, "IB0018");

    bench.pass(59_999);
    let renew = |epoch| leases::Op::Renew { name: "customers".into(), epoch, length: MINUTE };
    bench.one(renew(first.epoch));
    bench.pass(59_999);
    assert!(take(&bench, "b").is_err());
    bench.pass(1);
    let second = take(&bench, "b").unwrap();
    assert_eq!(second.epoch, Epoch(2));

    let lost = Refusal::LeaseLost { name: "customers".into(), epoch: first.epoch };
    assert_eq!(bench.refusal(renew(first.epoch)), lost);
    assert_eq!(bench.refusal(first.fence()), lost);
    // Giving back what is lost already does the new holder no harm.
    bench.one(leases::Op::Release { name: "customers".into(), epoch: first.epoch });
    assert_eq!(bench.store.lease("customers").unwrap(), Some(second.clone()));

    bench.one(leases::Op::Release { name: "customers".into(), epoch: second.epoch });
    assert_eq!(bench.store.lease("customers").unwrap(), None);
    assert!(matches!(bench.refusal(second.fence()), Refusal::LeaseLost { .. }));
    assert_eq!(take(&bench, "c").unwrap().epoch, Epoch(3), "an epoch is never used twice");
}

#[test]
fn a_late_holder_changes_nothing() {
    let bench = Bench::new();
    let stalled = take(&bench, "a").unwrap();
    let run = start(&bench, "customers");
    bench.pass(60_000);
    take(&bench, "b").unwrap();

    let set = cursors::Op::Set {
        integration: "customers".into(),
        stream: "customer".into(),
        position: "7".into(),
        fingerprint: "f".into(),
    };
    let progress = runs::Op::Progress { run, more: Counts { read: 1, ..Counts::default() } };
    // Wherever the fence stands, nothing of the commit stays.
    let refused = bench.store.commit_blocking(vec![set.into(), progress.into(), stalled.fence()]).unwrap_err();
    assert!(matches!(refused, Error::Refused { op: 2, refusal: Refusal::LeaseLost { .. } }), "{refused:?}");
    assert_eq!(bench.store.cursors("customers").unwrap(), []);
    assert_eq!(bench.store.run(run).unwrap().unwrap().counts, Counts::default());
}

#[test]
fn a_run_is_told_from_start_to_end() {
    let bench = Bench::new();
    let run = start(&bench, "customers");
    let more = Counts { read: 5, created: 1, updated: 1, deleted: 0, unchanged: 1, rejected: 1, skipped: 1 };
    assert!(more.adds_up());
    bench.one(runs::Op::Progress { run, more });
    bench.one(runs::Op::Progress { run, more });
    bench.pass(1500);
    let error = RunError { code: "IB0501".into(), text: "Dynamics did not answer.".into(), detail: "{}".into() };
    bench.one(runs::Op::Finish { run, state: State::Failed, error: Some(error.clone()) });

    let told = bench.store.last_run("customers").unwrap().unwrap();
    assert_eq!((told.id, told.state, told.error), (run, State::Failed, Some(error)));
    assert_eq!((told.counts.read, told.counts.written(), told.counts.adds_up()), (10, 4, true));
    assert_eq!(told.finished.unwrap().duration_since(told.started).as_millis(), 1500);

    let again = Refusal::NotRunning { run };
    assert_eq!(bench.refusal(runs::Op::Progress { run, more }), again);
    assert_eq!(bench.refusal(runs::Op::Finish { run, state: State::Ok, error: None }), again);
}

#[test]
fn runs_are_listed_newest_first_page_by_page() {
    let bench = Bench::new();
    let all: Vec<RunId> = (0..7).map(|n| start(&bench, if n % 2 == 0 { "customers" } else { "orders" })).collect();
    let ids = |integration, before, limit| -> Vec<RunId> {
        bench.store.runs(integration, before, limit).unwrap().into_iter().map(|run| run.id).collect()
    };
    assert_eq!(ids(None, None, 3), [all[6], all[5], all[4]]);
    assert_eq!(ids(None, Some(all[4]), 3), [all[3], all[2], all[1]]);
    assert_eq!(ids(Some("orders"), None, 10), [all[5], all[3], all[1]]);
    let last: Vec<RunId> = bench.store.last_runs().unwrap().into_iter().map(|run| run.id).collect();
    assert_eq!(last, [all[6], all[5]], "one for each integration, by its name");
}

#[test]
fn what_a_crash_left_running_is_closed() {
    let mut bench = Bench::new();
    let left = start(&bench, "customers");
    let other = start(&bench, "orders");
    bench.reopen("");
    let close = || runs::Op::CloseInterrupted { integration: "customers".into() };
    assert_eq!(bench.one(close()), OpResult::Runs(vec![left]));
    assert_eq!(bench.one(close()), OpResult::Runs(vec![]));
    assert_eq!(bench.store.run(left).unwrap().unwrap().state, State::Interrupted);
    assert_eq!(bench.store.run(other).unwrap().unwrap().state, State::Running);
}

#[test]
fn a_cursor_moves_only_from_where_it_was_seen() {
    let bench = Bench::new();
    let set = |seen: Option<&str>, position: &str| cursors::Op::SetIf {
        integration: "customers".into(),
        stream: "customer".into(),
        seen: seen.map(str::to_owned),
        position: position.into(),
        fingerprint: "f".into(),
    };
    bench.one(set(None, "1"));
    bench.one(set(Some("1"), "2"));
    for seen in [None, Some("1")] {
        assert!(matches!(bench.refusal(set(seen, "3")), Refusal::CursorMoved { .. }));
    }
    let cursor = bench.store.cursor("customers", "customer").unwrap().unwrap();
    assert_eq!((cursor.position.as_str(), cursor.updated), ("2", bench.now()));
    assert_eq!(bench.store.cursor("customers", "other").unwrap(), None);

    let reset = |stream: Option<&str>| cursors::Op::Reset {
        integration: "customers".into(),
        stream: stream.map(str::to_owned),
    };
    assert_eq!(bench.one(reset(Some("other"))), OpResult::Count(0));
    assert_eq!(bench.one(reset(None)), OpResult::Count(1));
    assert_eq!(bench.store.cursors("customers").unwrap(), []);
}
