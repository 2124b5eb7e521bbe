//! Groups of dead letters, retry jobs and the audit log.

use jiff::SignedDuration;
use store::audit::{self, Actor};
use store::dead_letters::{DeadLetterId, Filter, Op, Rejection, Said, State};
use store::queue::Problem;
use store::retries::{self, ItemState, JobId, NewJob, State as JobState};
use store::{OpResult, Refusal};

use crate::support::{Bench, key};

fn reject(bench: &Bench, text: &str, what: &str) -> DeadLetterId {
    let row = Rejection {
        integration: "customers".into(),
        entity: "customer".into(),
        key: key(text),
        record: b"{}".to_vec(),
        problem: Problem { code: "IB0410".into(), what: what.replace("KEY", text), ..Problem::default() },
        run: None,
    };
    match bench.one(Op::Reject(Box::new(row))) {
        OpResult::DeadLetter(id) => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn letters_with_one_cause_are_one_group() {
    let bench = Bench::new();
    let began = bench.now();
    for n in 0..5 {
        reject(&bench, &format!("C-{n}"), "customer KEY: the name is too long");
        bench.pass(1000);
    }
    reject(&bench, "C-9", "customer KEY: the mail is too long");
    let groups = bench.store.dead_letter_groups(None, false, 10).unwrap();
    assert_eq!(groups.iter().map(|group| group.waiting).collect::<Vec<_>>(), [1, 5], "the last seen first");
    let names = &groups[1];
    assert_eq!(names.cause.message, "customer …: the name is too long");
    assert_eq!((names.first_seen, names.times), (began, 5));
    let filter = Filter { cause: Some(names.id.clone()), ..Filter::default() };
    assert_eq!(bench.store.dead_letters(&filter, 10).unwrap().len(), 5);
    let looked = Filter { seen_until: Some(began), ..filter };
    assert_eq!(bench.store.dead_letters(&looked, 10).unwrap().len(), 1, "what was there when somebody looked");
    assert_eq!(bench.store.dead_letters_since(&names.id, began).unwrap(), 4);
    assert_eq!(bench.store.dead_letter_groups_like(&names.id[..6]).unwrap().len(), 1);

    // Rejected again for another reason, a letter changes its group.
    reject(&bench, "C-0", "customer KEY: the mail is too long");
    let groups = bench.store.dead_letter_groups(Some("customers"), false, 10).unwrap();
    assert_eq!(groups.iter().map(|group| group.waiting).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(bench.store.dead_letter_groups(Some("orders"), false, 10).unwrap(), []);
}

#[test]
fn nobody_has_looked_until_somebody_has() {
    let bench = Bench::new();
    let first = reject(&bench, "C-1", "customer KEY: no");
    let since = bench.now();
    let unreviewed = || bench.store.dead_letters_unreviewed().unwrap();
    assert_eq!((unreviewed()[0].letters, unreviewed()[0].since), (1, since));
    let group = bench.store.dead_letter_groups(None, false, 1).unwrap().remove(0).id;
    bench.pass(10);
    let note = Said { note: Some("known".into()), ..Said::default() };
    bench.one(Op::Say { group: group.clone(), by: "ann".into(), said: note });
    assert_eq!(unreviewed(), []);
    // One that came later is not looked at yet; one that fails again is.
    bench.pass(10);
    reject(&bench, "C-1", "customer KEY: no");
    assert_eq!(unreviewed(), []);
    reject(&bench, "C-2", "customer KEY: no");
    assert_eq!((unreviewed()[0].letters, unreviewed()[0].since), (1, bench.now()));
    // Put aside, nobody is troubled; after that, everybody is, from then on.
    let until = bench.now() + SignedDuration::from_secs(60);
    let hold = Said { hold_until: Some(Some(until)), ..Said::default() };
    bench.one(Op::Say { group: group.clone(), by: "ann".into(), said: hold });
    bench.pass(10);
    reject(&bench, "C-3", "customer KEY: no");
    assert_eq!(unreviewed(), []);
    bench.pass(60_000);
    assert_eq!((unreviewed()[0].letters, unreviewed()[0].since), (3, until));
    // Whoever does something about one has looked at the group.
    let by = Some("ben".to_owned());
    bench.one(Op::Change { id: first, seen: State::Open, to: State::Retrying, by, note: None });
    assert_eq!(unreviewed(), []);
    let found = bench.store.dead_letter_groups(None, false, 1).unwrap().remove(0);
    assert_eq!((found.note.as_deref(), found.reviewed_by.as_deref()), (Some("known"), Some("ben")));
    let no_group = Op::Say { group: "00".into(), by: "ann".into(), said: Said::default() };
    assert_eq!(bench.refusal(no_group), Refusal::NoDeadLetter { id: "00".into() });
}

#[test]
fn what_is_discarded_can_be_restored_until_its_day() {
    let bench = Bench::new();
    let id = reject(&bench, "C-1", "customer KEY: no");
    let goes = bench.now() + SignedDuration::from_secs(60);
    let archive = |seen| Op::Archive { id: id.clone(), seen, by: "ann".into(), note: None, goes };
    bench.one(archive(State::Open));
    assert!(matches!(bench.refusal(archive(State::Open)), Refusal::DeadLetterState { .. }));
    let found = bench.store.dead_letters(&Filter::default(), 1).unwrap().remove(0);
    assert_eq!((found.state, found.goes), (State::Discarded, Some(goes)));
    // What is closed long ago goes, but not before the day that was promised.
    bench.pass(30_000);
    let forget = || bench.one(Op::Forget { closed_before: bench.now(), max: 9 });
    assert_eq!(forget(), OpResult::Count(0));
    bench.one(Op::Change { id: id.clone(), seen: State::Discarded, to: State::Open, by: None, note: None });
    let found = bench.store.dead_letters(&Filter::default(), 1).unwrap().remove(0);
    assert_eq!((found.state, found.goes), (State::Open, None));
    let goes = bench.now();
    bench.one(Op::Archive { id, seen: State::Open, by: "ann".into(), note: None, goes });
    bench.pass(1);
    assert_eq!(forget(), OpResult::Count(1));
    assert_eq!(bench.store.dead_letter_groups(None, true, 9).unwrap(), []);
}

#[test]
fn a_job_remembers_what_became_of_each() {
    let mut bench = Bench::new();
    let letters: Vec<DeadLetterId> = (0..3).map(|n| reject(&bench, &format!("C-{n}"), "customer KEY: no")).collect();
    let job = NewJob {
        integration: "customers".into(),
        cause: "c".into(),
        by: Actor::new("ann", "command line"),
        why: Some("corrected".into()),
        as_of: bench.now(),
        stop_after: Some(1),
        per_minute: None,
        letters: letters.clone(),
    };
    assert_eq!(bench.one(retries::Op::Start(Box::new(job))), OpResult::Job(JobId(1)));
    let item = |pos, seen, to| retries::Op::Item { job: JobId(1), pos, seen, to, result: "so".into() };
    bench.one(item(0, ItemState::Waiting, ItemState::Started));
    let moved = Refusal::RetryMoved { job: JobId(1) };
    assert_eq!(bench.refusal(item(0, ItemState::Waiting, ItemState::Started)), moved, "never started twice");
    bench.one(item(0, ItemState::Started, ItemState::Ok));
    let change = |seen, to| retries::Op::Change { job: JobId(1), seen, to, note: "look".into() };
    bench.one(change(JobState::Running, JobState::Paused));
    assert_eq!(bench.refusal(item(1, ItemState::Waiting, ItemState::Started)), moved, "nothing starts while it rests");
    bench.reopen("");
    let found = bench.store.retry_job(JobId(1)).unwrap().unwrap();
    assert_eq!((found.state, found.counts.ok, found.counts.waiting, found.counts.all()), (JobState::Paused, 1, 2, 3));
    let items = bench.store.retry_items(JobId(1), Some(ItemState::Waiting), 0, 9).unwrap();
    assert_eq!(items.iter().map(|item| &item.letter).collect::<Vec<_>>(), [&letters[1], &letters[2]]);
    assert_eq!(bench.store.retry_jobs(false, 9).unwrap().len(), 1);
    bench.one(change(JobState::Paused, JobState::Cancelled));
    assert_eq!(bench.store.retry_jobs(false, 9).unwrap(), []);
    bench.pass(1);
    assert_eq!(bench.one(retries::Op::Forget { before: bench.now(), max: 9 }), OpResult::Count(1));
}

#[test]
fn the_audit_log_is_only_added_to_and_proves_itself() {
    let bench = Bench::new();
    let ann = Actor::new("ann", "command line");
    assert_eq!(bench.store.audit_verify(None).unwrap().entries, 0);
    bench.one(ann.did("pause", "customers").because(Some("a flood")).op());
    let kept = bench.store.audit_head().unwrap();
    bench.pass(1000);
    bench.one(Actor::new("ben", "console").did("resume", "customers").op());
    let all = bench.store.audit(&audit::Filter::default(), 9).unwrap();
    assert_eq!(all.iter().map(|r| (r.id, r.entry.action.as_str())).collect::<Vec<_>>(), [(2, "resume"), (1, "pause")]);
    let of_ben = audit::Filter { by: Some("ben".into()), ..audit::Filter::default() };
    assert_eq!(bench.store.audit(&of_ben, 9).unwrap().len(), 1);
    let verified = bench.store.audit_verify(Some(kept)).unwrap();
    assert_eq!((verified.entries, verified.broken, verified.holds), (2, None, true));
    assert!(!bench.store.audit_verify(Some([7; 32])).unwrap().holds);

    // Somebody with the file in their hands: first the triggers are in the way, then the chain tells.
    let conn = rusqlite::Connection::open(bench.dir.path().join("state.db")).unwrap();
    for sql in ["UPDATE audit SET by = 'eve'", "DELETE FROM audit"] {
        assert!(conn.execute(sql, []).unwrap_err().to_string().contains("only added to"));
    }
    conn.execute_batch("DROP TRIGGER audit_is_not_changed; UPDATE audit SET by = 'eve' WHERE id = 1").unwrap();
    assert_eq!(bench.store.audit_verify(None).unwrap().broken, Some(1));
    conn.execute_batch("UPDATE audit SET by = 'ann' WHERE id = 1; DROP TRIGGER audit_is_not_shortened").unwrap();
    assert_eq!(bench.store.audit_verify(None).unwrap().broken, None);
    conn.execute_batch("DELETE FROM audit WHERE id = 1").unwrap();
    assert_eq!(bench.store.audit_verify(None).unwrap().broken, Some(1));
}

/// An instance of a flow about a customer, which has asked something.
fn begin(bench: &Bench, text: &str) -> store::flows::Instance {
    use store::flows::{Move, NewStep, Op, Start};
    let start = Start {
        integration: "limits".into(),
        version: 1,
        entity: "customer".into(),
        key: key(text),
        cause: format!("created {text}"),
        state_of: None,
        heard: true,
        ceiling: u64::MAX,
        since: jiff::Timestamp::MAX,
        at: Some("steps.0".into()),
        data: format!("{{\"shown\":\"{text}\"}}"),
        steps: Vec::new(),
    };
    let OpResult::Instance(Some(id)) = bench.one(Op::Start(Box::new(start))) else { panic!("it is new") };
    let instance = bench.store.flow_instance(id).unwrap().unwrap();
    let step = NewStep { path: "steps.0".into(), what: format!("asked ann: Raise the limit of {text}"), person: None };
    bench.one(Op::Move(Box::new(Move { steps: vec![step], ..Move::of(&instance) })));
    let question = store::approvals::Question {
        integration: "limits".into(),
        kind: store::approvals::Kind::Flow,
        subject: format!("{id}/credit"),
        question: format!("Raise the limit of {text}?"),
        digest: "a hash".into(),
        details: format!("{{\"record\":\"{text}\"}}"),
        proofs: Vec::new(),
        asked_of: "ann".into(),
        expires: None,
    };
    bench.one(store::approvals::Op::Ask(Box::new(question)));
    bench.store.flow_instance(id).unwrap().unwrap()
}

#[test]
fn what_is_personal_of_an_instance_goes_and_that_it_was_stays() {
    use store::flows::{Move, Op, State};
    use store::forget::Op as ForgetOp;
    let bench = Bench::new();
    let (over, under_way) = (begin(&bench, "C-1"), begin(&bench, "C-2"));
    bench.one(Op::Move(Box::new(Move { state: State::Done, at: None, ..Move::of(&over) })));
    bench.pass(10);
    let forget =
        |entity: &str| bench.one(ForgetOp::Personal { entities: vec![entity.to_owned()], before: bench.now(), max: 9 });
    assert_eq!(forget("price"), OpResult::Count(0));
    assert_eq!(forget("customer"), OpResult::Count(1));
    assert_eq!(forget("customer"), OpResult::Count(0), "once");
    let left = bench.store.flow_instance(over.id).unwrap().unwrap();
    assert_eq!((left.state, left.data.as_str()), (State::Done, "{\"at\":null}"));
    assert_eq!(bench.store.flow_steps(over.id).unwrap()[0].what, "asked ann");
    let whole = bench.store.flow_instance(under_way.id).unwrap().unwrap();
    assert!(whole.data.contains("C-2"));
    let questions = bench.store.approvals(true, 9).unwrap();
    let of = |id| questions.iter().find(|one| one.subject == format!("{id}/credit")).unwrap();
    assert_eq!((of(over.id).question.as_str(), of(over.id).details.as_str()), ("", "{}"));
    assert!(of(under_way.id).question.contains("C-2"));
}

#[test]
fn a_record_is_forgotten_everywhere_and_its_neighbours_stay() {
    use store::alerts;
    use store::forget::{Forgotten, Op as ForgetOp, Wanted};
    use store::journal::{self, Note, What};
    use store::ledger::{self, Entry, State as Settled};
    use store::queue::{self, Message, Settings};

    let bench = Bench::new();
    let secret = "PLANTED-C-77";
    reject(&bench, secret, "customer KEY: no");
    reject(&bench, "C-2", "customer KEY: no");
    let note = |key: &str| Note::new("customer", key, What::Created, "customers", "erp");
    bench.one(journal::Op::Note(vec![note(secret), note("C-2"), note("planted-c-77")]));
    let entry = |text: &str| Entry {
        key: key(text),
        source_hash: 1,
        content_hash: 1,
        mapping: 1,
        state: Settled::Written,
        generation: 1,
        remote_id: None,
        version: None,
    };
    let (system, entity) = ("erp".to_owned(), "customer".to_owned());
    bench.one(ledger::Op::Put { system, entity, entries: vec![entry(secret), entry("C-2")] });
    // What events remember beside an entity: under the same keys, and as what is found by an id.
    let hex = |text: &str| key(text).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let by_id = |id: &str, text: &str| Entry { remote_id: Some(hex(text)), ..entry(id) };
    for (entity, entries) in [
        ("customer versions", vec![entry(secret), entry("C-2")]),
        ("customer by id", vec![by_id("7", secret), by_id("8", "C-2")]),
    ] {
        bench.one(ledger::Op::Put { system: "erp".into(), entity: entity.into(), entries });
    }
    bench.one(queue::Op::Put { queue: "q".into(), settings: Settings::default() });
    let message = |text: &str, session: Option<&str>| Message {
        id: format!("m/{text}/{}", session.is_some()),
        entity: Some("customer".into()),
        key: session.is_none().then(|| key(text)),
        session: session.map(str::to_owned),
        body: text.as_bytes().to_vec(),
        ..Message::default()
    };
    let messages = vec![message(secret, None), message(secret, Some("account|7")), message("C-2", None)];
    bench.one(queue::Op::Send { queue: "q".into(), messages: messages.into_iter().map(Into::into).collect() });

    let wanted = Wanted {
        entity: "customer".into(),
        key_text: secret.into(),
        key: Some(key(secret)),
        sessions: ["account|7".to_owned()].into(),
        shared: ["by_customer".to_owned()].into(),
    };
    for text in [secret, "C-2"] {
        begin(&bench, text);
    }
    for (alert, is_over) in [("dead-letters/customers", false), ("late/customers", true)] {
        let saying = alerts::Saying {
            severity: alerts::Severity::Warning,
            title: format!("{secret} is refused"),
            text: String::new(),
            facts: vec![("last error".into(), format!("no {secret} (somebody@private.example)"))],
            command: String::new(),
            since: bench.now(),
        };
        let (kind, integration) = alert.split_once('/').unwrap();
        let opening = alerts::Opening {
            key: alert.into(),
            kind: kind.into(),
            integration: integration.into(),
            system: String::new(),
            saying,
            cause: None,
        };
        bench.one(alerts::Op::Open(Box::new(opening)));
        if is_over {
            bench.one(alerts::Op::Resolve { key: alert.into() });
        }
    }
    let forget = |only_count| bench.one(ForgetOp::Forget { wanted: Box::new(wanted.clone()), only_count });
    let all = Forgotten { notes: 2, dead_letters: 1, messages: 2, ledger: 3, flows: 1, ..Forgotten::default() };
    assert_eq!(forget(true), OpResult::Forgotten(all), "a look changes nothing");
    assert_eq!(forget(false), OpResult::Forgotten(all));
    assert_eq!(forget(true), OpResult::Forgotten(Forgotten::default()));
    assert_eq!(bench.store.journal_of("customer", "C-2", 9).unwrap().len(), 1);
    assert_eq!(bench.store.dead_letters(&Filter::default(), 9).unwrap().len(), 1);
    for entity in ["customer", "customer versions", "customer by id"] {
        assert_eq!(bench.store.ledger_totals("erp", entity).unwrap().written, 1, "{entity}");
    }
    assert_eq!(bench.store.queue_counts("q").unwrap().unwrap().ready, 1);
    assert!(bench.store.past_alerts(9).unwrap()[0].saying.facts.is_empty());
    bench.store.scrub().unwrap();
    for file in std::fs::read_dir(bench.dir.path()).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        assert!(!text.contains("planted-c-77"), "{} still holds it", file.display());
    }
}

#[test]
fn what_shares_a_session_with_a_record_stays_when_that_is_forgotten() {
    use store::forget::{Forgotten, Op as ForgetOp, Wanted};
    use store::queue::{Message, Op as Queue, Settings};

    let bench = Bench::new();
    bench.one(Queue::Put { queue: "q".into(), settings: Settings { sessions: true, ..Settings::default() } });
    let message = |id: &str| Message {
        id: id.into(),
        integration: Some("by_customer".into()),
        entity: Some("order".into()),
        session: Some("order|C-1".into()),
        ..Message::default()
    };
    let messages = vec![message("SO-1").into(), message("SO-2").into()];
    bench.one(Queue::Send { queue: "q".into(), messages });
    let queue = || "q".to_owned();
    let OpResult::Session(Some(session)) = bench.one(Queue::AcceptSession { queue: queue(), session: None }) else {
        panic!("it is free")
    };
    let receive = Queue::ReceiveInSession { queue: queue(), session: session.token, max: 1 };
    let OpResult::Messages(received) = bench.one(receive) else { panic!("it waits") };
    let (token, problem) = (received[0].token, Problem::default());
    bench.one(Queue::DeadLetter { queue: queue(), token, key: Some(key("SO-1")), problem });
    bench.one(Queue::ReleaseSession { queue: queue(), session: session.token });
    let wanted = Wanted {
        entity: "order".into(),
        key_text: "SO-1".into(),
        key: Some(key("SO-1")),
        sessions: Default::default(),
        shared: ["by_customer".to_owned()].into(),
    };
    let forgotten = bench.one(ForgetOp::Forget { wanted: Box::new(wanted), only_count: false });
    assert_eq!(forgotten, OpResult::Forgotten(Forgotten { dead_letters: 1, ..Forgotten::default() }));
    assert_eq!(bench.store.queue_counts("q").unwrap().unwrap().ready, 1);
}
