//! Questions to people, and results that are needed: what the store promises of both.

use std::time::Duration;

use store::approvals::{self, ApprovalId, Kind, Question, State};
use store::deadlines;
use store::runs::{self, RunId, Trigger};
use store::{OpResult, Refusal};

use crate::support::Bench;

fn question(bench: &Bench, digest: &str, expires_ms: Option<i64>) -> approvals::Op {
    let expires = expires_ms.map(|ms| bench.now().checked_add(jiff::SignedDuration::from_millis(ms)).unwrap());
    approvals::Op::Ask(Box::new(Question {
        integration: "customers".into(),
        kind: Kind::Run,
        subject: "run".into(),
        question: format!("may it write {digest}?"),
        details: "{}".into(),
        digest: digest.into(),
        proofs: digest.as_bytes().to_vec(),
        asked_of: "finance-it".into(),
        expires,
    }))
}

fn ask(bench: &Bench, digest: &str) -> i64 {
    match bench.one(question(bench, digest, None)) {
        OpResult::Approval(id) => id.0,
        other => panic!("{other:?}"),
    }
}

fn decide(id: i64, approve: bool) -> approvals::Op {
    approvals::Op::Decide { id: ApprovalId(id), approve, by: "controller".into(), comment: None }
}

fn states(bench: &Bench) -> Vec<State> {
    bench.store.approvals(true, 100).unwrap().iter().rev().map(|approval| approval.state).collect()
}

#[test]
fn a_subject_has_one_question_that_counts() {
    let bench = Bench::new();
    assert_eq!([ask(&bench, "a"), ask(&bench, "a"), ask(&bench, "b")], [1, 1, 2]);
    assert_eq!(states(&bench), [State::Superseded, State::Open]);
    let closed = Refusal::ApprovalState { id: ApprovalId(1), state: State::Superseded };
    assert_eq!(bench.refusal(decide(1, true)), closed);
    assert_eq!(bench.refusal(decide(9, true)), Refusal::NoApproval { id: ApprovalId(9) });
    bench.one(decide(2, true));
    assert_eq!(ask(&bench, "b"), 2, "a yes to the same is not asked for again");
    assert_eq!(bench.store.approval_proofs(ApprovalId(2)).unwrap(), b"b");
    assert_eq!(ask(&bench, "c"), 3);
    assert_eq!(
        bench.refusal(approvals::Op::Use { id: ApprovalId(2), run: RunId(1) }).to_string(),
        "approval 2 is superseded"
    );
    bench.one(decide(3, false));
    // A no may become a yes, as long as nothing else was asked since.
    bench.one(decide(3, true));
    bench.one(approvals::Op::Use { id: ApprovalId(3), run: RunId(1) });
    let used = Refusal::ApprovalState { id: ApprovalId(3), state: State::Used };
    assert_eq!(bench.refusal(approvals::Op::Use { id: ApprovalId(3), run: RunId(2) }), used);
    assert_eq!(ask(&bench, "c"), 4, "what is done is asked for again");
    bench.one(decide(4, false));
    assert_eq!(ask(&bench, "d"), 5);
    assert_eq!(bench.refusal(decide(4, true)), Refusal::ApprovalState { id: ApprovalId(4), state: State::Rejected });
    let withdraw = approvals::Op::Withdraw { integration: "customers".into(), kind: Kind::Run, subject: "run".into() };
    assert_eq!([bench.one(withdraw.clone()), bench.one(withdraw)], [OpResult::Count(1), OpResult::Count(0)]);
    assert_eq!(bench.store.approvals(false, 100).unwrap(), []);
}

/// A run is not forgotten because flows have asked a thousand things since.
#[test]
fn what_was_approved_for_a_run_is_found_among_many_questions() {
    let bench = Bench::new();
    let id = ask(&bench, "a");
    for n in 0..1_050 {
        let approvals::Op::Ask(of_run) = question(&bench, "b", None) else { unreachable!() };
        bench.one(approvals::Op::Ask(Box::new(Question { kind: Kind::Flow, subject: format!("{n}/d"), ..*of_run })));
    }
    assert_eq!(bench.store.approvals_to_use().unwrap(), []);
    bench.one(decide(id, true));
    bench.one(decide(id + 1, true));
    let found = |approvals: Vec<approvals::Approval>| approvals.iter().map(|one| one.id.0).collect::<Vec<_>>();
    assert_eq!(found(bench.store.approvals_to_use().unwrap()), [id]);
    // What a flow has been told is not open any more.
    assert_eq!(found(bench.store.approvals(false, 3).unwrap()), [id + 1_050, id + 1_049, id + 1_048]);
    assert_eq!(bench.store.approvals(false, 9_999).unwrap().len(), 1_000);
}

#[test]
fn nobody_decides_after_the_time() {
    let bench = Bench::new();
    assert_eq!(bench.one(question(&bench, "a", Some(1_000))), OpResult::Approval(ApprovalId(1)));
    bench.pass(1_000);
    assert_eq!(bench.refusal(decide(1, true)), Refusal::ApprovalState { id: ApprovalId(1), state: State::Open });
    assert_eq!(bench.one(question(&bench, "a", Some(1_000))), OpResult::Approval(ApprovalId(2)), "it is asked anew");
    bench.pass(999);
    bench.one(decide(2, true));
}

#[test]
fn a_good_run_meets_what_was_due_when_it_began() {
    let bench = Bench::new();
    let hour = jiff::SignedDuration::from_hours(1);
    let open = |bench: &Bench| {
        let (slot, needed) = (bench.now(), bench.now().checked_add(hour).unwrap());
        bench.one(deadlines::Op::Open { integration: "customers".into(), slot, needed })
    };
    let start = |bench: &Bench| {
        let start =
            runs::Op::Start { integration: "customers".into(), trigger: Trigger::Schedule, slot: None, retry_of: None };
        match bench.one(start) {
            OpResult::Run(run) => run,
            other => panic!("{other:?}"),
        }
    };
    let end = |bench: &Bench, run, state| bench.one(runs::Op::Finish { run, state, error: None });
    let before = start(&bench);
    bench.pass(1);
    assert_eq!([open(&bench), open(&bench)], [OpResult::Count(1), OpResult::Count(0)], "one at a time");
    end(&bench, before, runs::State::Ok);
    assert_eq!(bench.store.deadlines().unwrap().len(), 1, "that run began before the slot");
    bench.pass(Duration::from_secs(60).as_millis() as i64);
    let failed = start(&bench);
    end(&bench, failed, runs::State::Failed);
    let waits = start(&bench);
    end(&bench, waits, runs::State::WaitingForApproval);
    let slot = bench.store.deadlines().unwrap()[0].slot;
    let miss = deadlines::Op::Miss { integration: "customers".into(), slot };
    assert_eq!(bench.one(miss.clone()), OpResult::Count(0), "it has not passed");
    bench.pass(3_600_000);
    assert_eq!([bench.one(miss.clone()), bench.one(miss)], [OpResult::Count(1), OpResult::Count(0)], "noted once");
    let good = start(&bench);
    bench.pass(5);
    end(&bench, good, runs::State::OkWithDeadLetters);
    assert_eq!(bench.store.deadlines().unwrap(), []);
    let late = bench.store.late_deadlines().unwrap();
    assert_eq!((late.len(), late[0].met), (1, Some(bench.now())));
    // In time: no trace is left.
    bench.pass(1);
    open(&bench);
    let good = start(&bench);
    end(&bench, good, runs::State::Ok);
    assert_eq!((bench.store.deadlines().unwrap().len(), bench.store.late_deadlines().unwrap().len()), (0, 1));
}
