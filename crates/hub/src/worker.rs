//! What `up` does all day: finds out what is due, and runs it.
//!
//! A due run is a message in the durable queue, with an id made of the integration and the slot: a restart, or a second
//! look, cannot double it. One integration never runs twice at once; several integrations do.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use definition::{Batch, Missed, Overlap, Pattern, Project};
use jiff::Timestamp;
use record::RetryPolicy;
use store::approvals::{Approval, Kind, State as Decided};
use store::audit::Actor;
use store::queue::{self, Delivery, LockToken, Message, NewMessage};
use store::runs::{Run, State, Trigger};
use store::{Op, OpResult, Refusal, Store, leases};
use tokio::sync::watch;
use tokio::task::{self, JoinSet};

use crate::batch::{self, Job, Report, Start};
use crate::codes;
use crate::compile::{Systems, compile};
use crate::consent;
use crate::error::Error;
use crate::pulse::{Part, Pulse};
use crate::schedule;
use crate::watch::Log;

/// The queue of due runs.
pub const QUEUE: &str = "hub/runs";
/// How often the clock is looked at. A slot is never early, and late by this at most.
const TICK: Duration = Duration::from_millis(500);

/// How often the lock of a run's message is renewed, which lasts for a minute.
const HELD_AGAIN: Duration = Duration::from_secs(5);

/// How long a run that could not be recorded to its end waits to begin again: until its lease is over.
const AGAIN: Duration = Duration::from_secs(15);

/// How long the id of a due run is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// One look at the clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    pub integration: String,
    pub slot: Timestamp,
    pub trigger: Trigger,
}

/// What is due now. Pure.
///
/// `last` are the newest runs by integration; `looked` is since when this hub looks at each: since it began to, or since a
/// pause ended. That is where an integration that never ran counts from.
pub fn due(
    project: &Project,
    last: &BTreeMap<String, Run>,
    paused: &[String],
    looked: impl Fn(&str) -> Timestamp,
    now: Timestamp,
) -> Vec<Due> {
    let zone = &project.hub.time_zone;
    let batches = project.integrations.iter().filter_map(|integration| match &integration.pattern {
        Pattern::Batch(batch) if !paused.contains(&integration.name) => Some((&integration.name, batch)),
        _ => None,
    });
    batches.filter_map(|(name, batch)| due_now(name, batch, last.get(name), zone, looked(name), now)).collect()
}

pub(crate) fn due_now(
    name: &str,
    batch: &Batch,
    last: Option<&Run>,
    zone: &jiff::tz::TimeZone,
    looked: Timestamp,
    now: Timestamp,
) -> Option<Due> {
    // A first run does not wait for its slot: the first ten minutes are for seeing something.
    let Some(last) = last else {
        return Some(Due { integration: name.to_owned(), slot: looked, trigger: Trigger::Schedule });
    };
    let begun = last.slot.unwrap_or(last.started);
    // What fell due while the last run went on: its reading has that already, or one more run follows at once.
    let since = match batch.overlap {
        Overlap::Skip => begun.max(last.finished.unwrap_or(last.started)),
        Overlap::QueueOne => begun.max(last.started),
    };
    // It ran while the clock was ahead: what was due since then is not known, and waiting for that time to come would be
    // to stand still.
    if schedule::was_ahead(since, now) {
        let slot = schedule::latest(&batch.schedule, zone, Timestamp::UNIX_EPOCH, now)?;
        return Some(Due { integration: name.to_owned(), slot, trigger: Trigger::Schedule });
    }
    let slot = match batch.missed {
        Missed::RunOnce => schedule::latest(&batch.schedule, zone, since, now),
        Missed::RunAll => next_missed(batch, last, zone, begun).filter(|slot| *slot <= now),
        // Only what falls due while this hub looks.
        Missed::Skip => schedule::latest(&batch.schedule, zone, since.max(looked), now),
    };
    if let Some(slot) = slot {
        return Some(Due { integration: name.to_owned(), slot, trigger: Trigger::Schedule });
    }
    let failed = matches!(last.state, State::Failed | State::Interrupted);
    let again = batch.retry_run.filter(|_| failed).and_then(|every| {
        let every = jiff::SignedDuration::try_from(every).ok()?;
        last.finished?.checked_add(every).ok()
    });
    let slot = again.filter(|slot| *slot <= now)?;
    Some(Due { integration: name.to_owned(), slot, trigger: Trigger::Retry })
}

/// The first slot that no run answers; of those that fell due while the last run went on, what `overlap:` says.
fn next_missed(batch: &Batch, last: &Run, zone: &jiff::tz::TimeZone, begun: Timestamp) -> Option<Timestamp> {
    let first = schedule::next(&batch.schedule, zone, begun)?;
    match (last.finished.filter(|finished| last.started < first && first <= *finished), batch.overlap) {
        (None, _) => Some(first),
        (Some(finished), Overlap::Skip) => schedule::next(&batch.schedule, zone, finished),
        (Some(finished), Overlap::QueueOne) => schedule::latest(&batch.schedule, zone, begun, finished),
    }
}

/// What somebody has approved and no run has taken up yet: due at once. What a window asked is for a run of that window,
/// by hand. Pure.
pub fn approved(approvals: &[Approval], last: &BTreeMap<String, Run>, resting: &[String]) -> Vec<Due> {
    let of_runs = approvals.iter().filter(|approval| {
        approval.kind == Kind::Run && approval.subject == consent::SUBJECT && approval.state == Decided::Approved
    });
    let due = of_runs.filter_map(|approval| {
        let slot = approval.decided?;
        let taken_up = last.get(&approval.integration).is_some_and(|run| run.started >= slot);
        (!taken_up && !resting.contains(&approval.integration)).then(|| Due {
            integration: approval.integration.clone(),
            slot,
            trigger: Trigger::Approval,
        })
    });
    due.collect()
}

/// Asks `up` to run an integration once, now: also where it is paused, as by hand. Nothing where a run of it goes on.
/// That somebody asked is in the audit log.
///
/// *Errors*: of our own state.
pub async fn run_soon(store: &Store, name: &str, by: &Actor) -> Result<(), Error> {
    let settings = queue::Settings { duplicate_window: Some(REMEMBERED), ..queue::Settings::default() };
    let message = Message {
        id: format!("{name}@{}/asked", store.clock().now()),
        integration: Some(name.to_owned()),
        body: format!(r#"{{"trigger": "{}"}}"#, Trigger::Command).into_bytes(),
        ..Message::default()
    };
    let send = queue::Op::Send { queue: QUEUE.to_owned(), messages: vec![message.into()] };
    let put = queue::Op::Put { queue: QUEUE.to_owned(), settings };
    store.commit(vec![put.into(), send.into(), by.did("run", name).op()]).await?;
    Ok(())
}

/// Looks, sends and runs until it is told to stop; then lets the runs in progress end their chunk.
///
/// *Errors*: only when our own state cannot be used.
pub async fn work(
    project: Arc<Project>,
    systems: Arc<dyn Systems + Send + Sync>,
    store: Store,
    holder: String,
    pulse: Pulse,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    let settings = queue::Settings { duplicate_window: Some(REMEMBERED), ..queue::Settings::default() };
    store.commit_one(queue::Op::Put { queue: QUEUE.to_owned(), settings }).await?;
    take_back(&project, &store, &holder).await?;
    let started = store.clock().now();
    let mut running: JoinSet<()> = JoinSet::new();
    // A run that ends in a panic says no name.
    let mut names: HashMap<task::Id, String> = HashMap::new();
    let mut sent: BTreeMap<String, Timestamp> = BTreeMap::new();
    loop {
        pulse.beat(Part::Schedule);
        let mut busy: Vec<String> = names.values().cloned().collect();
        send_due(&project, &store, &busy, started, &mut sent).await?;
        for delivery in receive(&store).await? {
            let name = delivery.message.integration.clone().unwrap_or_default();
            if busy.contains(&name) {
                settle(&store, &delivery).await?;
                continue;
            }
            busy.push(name.clone());
            let (project, systems, store, holder) = (project.clone(), systems.clone(), store.clone(), holder.clone());
            let run = async move { run_message(&project, &*systems, &store, &holder, &delivery).await };
            names.insert(running.spawn(run).id(), name);
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            Some(ended) = running.join_next_with_id() => match ended {
                Ok((id, ())) => drop(names.remove(&id)),
                Err(panicked) => {
                    let name = names.remove(&panicked.id()).unwrap_or_default();
                    tracing::error!("a run of {name} ended with a panic, and begins again: {panicked}");
                }
            },
            _ = stop.changed() => break,
        }
    }
    // What runs is safe to cut: the next start closes it as interrupted and goes on after the last commit.
    running.shutdown().await;
    Ok(())
}

/// What an earlier self held is nobody's: one that was killed, or one that ended because the state could not be written.
/// Its runs need not wait until its locks and leases are over. There is one `up` at a time.
async fn take_back(project: &Project, store: &Store, holder: &str) -> Result<(), Error> {
    let mut ops: Vec<Op> = vec![queue::Op::TakeBack { queue: QUEUE.to_owned() }.into()];
    for integration in &project.integrations {
        if let Some(lease) = store.lease(&integration.name)?.filter(|lease| lease.holder == holder) {
            ops.push(leases::Op::Release { name: lease.name, epoch: lease.epoch }.into());
        }
    }
    store.commit(ops).await?;
    Ok(())
}

/// Sends what is due; `sent` remembers the last slot of each, so that an idle hub writes nothing.
async fn send_due(
    project: &Project,
    store: &Store,
    busy: &[String],
    started: Timestamp,
    sent: &mut BTreeMap<String, Timestamp>,
) -> Result<(), Error> {
    let last: BTreeMap<String, Run> =
        store.last_due_runs()?.into_iter().map(|run| (run.integration.clone(), run)).collect();
    let now = store.clock().now();
    let paused = store.pauses()?.into_iter().map(|pause| pause.integration);
    let resting: Vec<String> = busy.iter().cloned().chain(paused).collect();
    let mut all = approved(&store.approvals_to_use()?, &last, &resting);
    all.retain(|due| project.integration(&due.integration).is_some());
    let resumed = store.resumptions()?;
    let looked = |name: &str| resumed.get(name).map_or(started, |resumed| started.max(*resumed));
    all.extend(due(project, &last, &resting, looked, now));
    for due in all {
        if sent.get(&due.integration) == Some(&due.slot) {
            continue;
        }
        // A run that another process does right now ends as a run of this slot too; a backfill does not, and is waited for.
        if store.lease(&due.integration)?.is_some_and(|lease| lease.until > now) {
            continue;
        }
        let message = Message {
            id: format!("{}@{}", due.integration, due.slot),
            integration: Some(due.integration.clone()),
            body: format!(r#"{{"slot": "{}", "trigger": "{}"}}"#, due.slot, due.trigger).into_bytes(),
            ..Message::default()
        };
        let message = NewMessage { message, at: None, ttl: None };
        store.commit_one(queue::Op::Send { queue: QUEUE.to_owned(), messages: vec![message] }).await?;
        sent.insert(due.integration, due.slot);
    }
    Ok(())
}

async fn receive(store: &Store) -> Result<Vec<Delivery>, Error> {
    match store.commit_one(queue::Op::Receive { queue: QUEUE.to_owned(), max: 4 }).await? {
        OpResult::Messages(messages) => Ok(messages),
        other => unreachable!("Receive answers with messages, not {other:?}"),
    }
}

/// Runs what a message asks for, and settles it. A failed run is recorded as a run; the schedule and `retry_run` bring
/// the next one, so the message is done either way. A run that could not be recorded to its end is not: it begins again.
async fn run_message(project: &Project, systems: &dyn Systems, store: &Store, holder: &str, delivery: &Delivery) {
    let message = &delivery.message;
    let name = message.integration.as_deref().unwrap_or_default();
    let body: serde_json::Value = serde_json::from_slice(&message.body).unwrap_or_default();
    let slot = body["slot"].as_str().and_then(|slot| slot.parse().ok());
    let trigger = body["trigger"].as_str().and_then(Trigger::of).unwrap_or(Trigger::Schedule);
    let start = Start { trigger, slot, retry_of: None, holder: holder.to_owned() };
    let ended = tokio::select! {
        ended = run_in_turn(project, systems, store, name, &start) => ended,
        never = hold(store, delivery.token) => match never {},
    };
    match ended {
        Ok(report) => log(name, &report),
        Err(error) => match error.busy() {
            Some((other, _)) => tracing::info!("{name} is run by {other} right now"),
            None => {
                tracing::error!("{name} could not be run, and begins again: {error}");
                let (queue, token, delay) = (QUEUE.to_owned(), delivery.token, Some(AGAIN));
                // Where that cannot be written either, its lock ends by itself.
                if let Err(error) = store.commit_one(queue::Op::Abandon { queue, token, delay }).await {
                    tracing::warn!("the message of a run of {name} could not be given back: {error}");
                }
                return;
            }
        },
    }
    if let Err(error) = settle(store, delivery).await {
        tracing::warn!("the message of a run of {name} could not be completed: {error}");
    }
}

/// Runs one integration, after whatever has begun with it since it was due and answers nothing that is: a backfill, or
/// somebody who moves its position.
async fn run_in_turn(
    project: &Project,
    systems: &dyn Systems,
    store: &Store,
    name: &str,
    start: &Start,
) -> Result<Report, Error> {
    loop {
        let ended = run_now(project, systems, store, name, start.clone()).await;
        if ended.as_ref().err().and_then(Error::busy).is_none() {
            return ended;
        }
        let last = store.last_run(name)?;
        if last.is_some_and(|run| run.state == State::Running && run.trigger != Trigger::Backfill) {
            return ended;
        }
        while store.lease(name)?.is_some_and(|lease| lease.until > store.clock().now()) {
            tokio::time::sleep(TICK).await;
        }
    }
}

/// Holds on to the message of a run for as long as that goes on: should the process end, the next one begins the run again.
async fn hold(store: &Store, token: LockToken) -> Infallible {
    loop {
        tokio::time::sleep(HELD_AGAIN).await;
        // A lock that is lost, or cannot be held on to just now, takes nothing from the run.
        let renew = queue::Op::Renew { queue: QUEUE.to_owned(), token };
        store.commit_one(renew).await.ok();
    }
}

/// Compiles and runs one integration. A definition that does not fit the live systems is a failed run too, so that
/// `runs` and `status` show it.
pub async fn run_now(
    project: &Project,
    systems: &dyn Systems,
    store: &Store,
    name: &str,
    start: Start,
) -> Result<Report, Error> {
    let integration = project.integration(name).expect("the caller has looked the integration up");
    let by_itself = start.trigger != Trigger::Command;
    let stopped_before = by_itself && store.failed_since_good(name, codes::TOO_MANY_REJECTED.0)?;
    let job = async {
        let job = compile(project, integration, systems, RetryPolicy::default()).await?;
        Ok(Job { stopped_before, ..job })
    };
    batch::run_compiled(store, name, &start, &Log(Some(name)), job).await
}

/// *Errors*: none for a lock that ran out while the run went on: whoever has the message now sees that the run is done.
async fn settle(store: &Store, delivery: &Delivery) -> Result<(), Error> {
    let complete = queue::Op::Complete { queue: QUEUE.to_owned(), tokens: vec![delivery.token] };
    match store.commit_one(complete).await {
        Err(error) if matches!(error.refusal(), Some(Refusal::LockLost { .. })) => Ok(()),
        result => Ok(result.map(drop)?),
    }
}

fn log(name: &str, report: &Report) {
    if let Some(id) = report.approval {
        tracing::warn!(
            integration = name, run = %report.run,
            "run {} of {name} waits until somebody has looked at it: ironbridge approvals show {id}", report.run
        );
        return;
    }
    let counts = &report.counts;
    let some = |count: u64, what: &str| if count > 0 { format!(", {count} {what}") } else { String::new() };
    let summary = format!(
        "{} read, {} created, {} updated{}, {} unchanged, {} rejected{}",
        counts.read,
        counts.created,
        counts.updated,
        some(counts.deleted, "deleted or deactivated"),
        counts.unchanged,
        counts.rejected,
        some(counts.skipped, "skipped")
    );
    match &report.error {
        Some(fault) => {
            let why = crate::watch::why(fault);
            tracing::error!(integration = name, run = %report.run, code = %fault.code, what = fault.what, why, "do" = fault.fix, "run {} of {name} failed: {fault}; {}", report.run, fault.fix)
        }
        None if counts.rejected > 0 => {
            tracing::warn!(integration = name, run = %report.run, "run {} of {name}: {summary}; look at them: ironbridge dead-letters list {name}", report.run)
        }
        None => tracing::info!(integration = name, run = %report.run, "run {} of {name}: {summary}", report.run),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};

    use definition::{LoadOptions, load_files};
    use jiff::SignedDuration;
    use record::{BoxFuture, Catalog, Code, Fault, Health, ReadSpec, Sink, Source, System, WriteSpec};
    use store::runs::{Counts, RunId};
    use store::{Clock, Options, pauses};

    const PROJECT: &[(&str, &str)] = &[
        ("ironbridge.yaml", "hub: contoso\ntime_zone: Europe/London\n"),
        ("people.yaml", "groups: { it: { email: it@contoso.example } }\n"),
        ("entities/thing.yaml", "entity: thing\nkey: number\nfields: { number: { type: text, max_length: 20 } }\n"),
        (
            "systems/a.yaml",
            "system: a\nkind: postgres\nowner: it\nconnection: { url: \"${env:A}\" }\nentities: { thing: { table: t, read: { number: n } } }\n",
        ),
        (
            "systems/b.yaml",
            "system: b\nkind: postgres\nowner: it\nconnection: { url: \"${env:B}\" }\nentities: { thing: { table: t, alternate_key: n, write: { n: number } } }\n",
        ),
        (
            "integrations/things.yaml",
            "integration: things\npattern: batch\nentity: thing\nfrom: a\nto: b\nschedule: every 15 minutes\nretry_run: every 2 minutes\nowner: it\npurpose: A test.\n",
        ),
    ];

    fn at(text: &str) -> Timestamp {
        format!("2026-11-23T{text}Z").parse().unwrap()
    }

    fn ran(state: State, started: &str, slot: Option<&str>) -> BTreeMap<String, Run> {
        let run = Run {
            id: RunId(1),
            integration: "things".into(),
            trigger: Trigger::Schedule,
            slot: slot.map(at),
            retry_of: None,
            state,
            started: at(started),
            finished: Some(at(started)),
            counts: Counts::default(),
            error: None,
        };
        [("things".to_owned(), run)].into()
    }

    fn check(last: &BTreeMap<String, Run>, now: &str, expected: Option<(&str, Trigger)>) {
        check_with("", last, now, expected);
    }

    /// The project with one more line in the file of its integration.
    fn project(line: &str) -> Project {
        let files: Vec<(&str, String)> = PROJECT
            .iter()
            .map(|(name, text)| {
                (*name, if name.starts_with("integrations/") { format!("{text}{line}") } else { (*text).to_owned() })
            })
            .collect();
        let kinds: Vec<_> = connectors::registry::kinds().collect();
        let options = LoadOptions { kinds: &kinds, ..LoadOptions::default() };
        let loaded = load_files(files.iter().map(|(name, text)| (*name, text.as_str())), &options);
        loaded.project.unwrap_or_else(|| panic!("the project has mistakes: {files:?}"))
    }

    fn check_with(line: &str, last: &BTreeMap<String, Run>, now: &str, expected: Option<(&str, Trigger)>) {
        let project = project(line);
        let looked = |_: &str| at("10:01:00");
        let due = due(&project, last, &[], looked, at(now));
        let expected = expected
            .map(|(slot, trigger)| Due { integration: "things".to_owned(), slot: at(slot), trigger })
            .into_iter()
            .collect::<Vec<_>>();
        assert_eq!(due, expected, "at {now} after {last:?}");
        assert_eq!(super::due(&project, last, &["things".to_owned()], looked, at(now)), [], "while it runs");
    }

    #[test]
    fn what_is_due() {
        let never = BTreeMap::new();
        check(&never, "10:02:00", Some(("10:01:00", Trigger::Schedule)));
        let good = ran(State::Ok, "10:01:05", Some("10:01:00"));
        check(&good, "10:14:59", None);
        check(&good, "10:15:00", Some(("10:15:00", Trigger::Schedule)));
        // The hub was down for hours: one run, of the last slot.
        check(&good, "14:20:00", Some(("14:15:00", Trigger::Schedule)));
        // A failed run tries again by itself, until its next slot is due anyway.
        let failed = ran(State::Failed, "10:01:05", Some("10:01:00"));
        check(&failed, "10:03:00", None);
        check(&failed, "10:03:05", Some(("10:03:05", Trigger::Retry)));
        check(&failed, "10:15:01", Some(("10:15:00", Trigger::Schedule)));
        // Each missed slot in turn, or none that fell due before this hub looked.
        check_with("missed: run_all\n", &good, "14:20:00", Some(("10:15:00", Trigger::Schedule)));
        let caught_up = ran(State::Ok, "14:20:05", Some("10:15:00"));
        check_with("missed: run_all\n", &caught_up, "14:20:10", Some(("10:30:00", Trigger::Schedule)));
        let before = ran(State::Ok, "09:15:05", Some("09:15:00"));
        check_with("missed: skip\n", &before, "10:02:00", None);
        check_with("missed: skip\n", &before, "10:15:00", Some(("10:15:00", Trigger::Schedule)));
        // It ran for so long that a slot fell due meanwhile.
        let mut long = ran(State::Ok, "10:15:01", Some("10:15:00"));
        long.get_mut("things").unwrap().finished = Some(at("10:31:00"));
        check(&long, "10:32:00", None);
        check_with("overlap: queue_one\n", &long, "10:32:00", Some(("10:30:00", Trigger::Schedule)));
        // Of a run for each slot that was missed, those that fell due while the last one went on are left out, or are one.
        let late = &mut ran(State::Ok, "10:20:00", Some("10:15:00"));
        late.get_mut("things").unwrap().finished = Some(at("11:05:00"));
        check_with("missed: run_all\n", late, "11:10:00", None);
        check_with("missed: run_all\n", late, "11:16:00", Some(("11:15:00", Trigger::Schedule)));
        check_with("missed: run_all\noverlap: queue_one\n", late, "11:10:00", Some(("11:00:00", Trigger::Schedule)));
        // The clock was days ahead, and is right again: the last slot, and not none until those days have passed.
        let mut ahead = ran(State::Ok, "10:15:01", Some("10:15:00"));
        let run = ahead.get_mut("things").unwrap();
        for at in [run.slot.as_mut(), Some(&mut run.started), run.finished.as_mut()].into_iter().flatten() {
            *at += jiff::SignedDuration::from_hours(72);
        }
        for line in ["", "missed: run_all\n", "missed: skip\n", "overlap: queue_one\n"] {
            check_with(line, &ahead, "10:32:00", Some(("10:30:00", Trigger::Schedule)));
        }
        // A run by hand after the slot has done what the slot asked for.
        check(&ran(State::Ok, "10:15:30", None), "10:16:00", None);
    }

    /// A worker over an empty folder, by a clock that the test moves.
    struct Bench {
        store: Store,
        seconds: Arc<AtomicI64>,
        _dir: tempfile::TempDir,
        _stop: watch::Sender<bool>,
    }

    impl Bench {
        async fn new(systems: impl Systems + Send + 'static, failpoints: &str) -> Bench {
            let (dir, seconds) = (tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(0)));
            let passed = seconds.clone();
            let clock = Clock::of(move || at("10:01:00") + SignedDuration::from_secs(passed.load(Ordering::Relaxed)));
            let store = Store::open(
                dir.path(),
                Options { clock, failpoints: failpoints.parse().unwrap(), ..Options::default() },
            )
            .unwrap();
            let (stop, stopped) = watch::channel(false);
            let (of, systems) = (store.clone(), Arc::new(systems));
            tokio::spawn(work(Arc::new(project("")), systems, of, "here/1".into(), Pulse::default(), stopped));
            Bench { store, seconds, _dir: dir, _stop: stop }
        }

        fn pass(&self, seconds: i64) {
            self.seconds.fetch_add(seconds, Ordering::Relaxed);
        }

        async fn until(&self, what: &str, holds: impl Fn(&Store) -> bool) {
            for _ in 0..100 {
                if holds(&self.store) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            panic!("{what} did not come");
        }
    }

    #[tokio::test]
    async fn what_fell_due_in_a_pause_was_missed() {
        let (dir, seconds) = (tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(0)));
        let passed = seconds.clone();
        let clock = Clock::of(move || at("10:01:00") + SignedDuration::from_secs(passed.load(Ordering::Relaxed)));
        let store = Store::open(dir.path(), Options { clock, ..Options::default() }).unwrap();
        let put = queue::Op::Put { queue: QUEUE.to_owned(), settings: queue::Settings::default() };
        store.commit_one(put).await.unwrap();
        let mut project = project("missed: skip\n");
        let Pattern::Batch(batch) = &mut project.integrations[0].pattern else { unreachable!("it is one") };
        batch.retry_run = None;
        let (trigger, slot) = (Trigger::Schedule, Some(at("10:01:00")));
        let start = Start { trigger, slot, retry_of: None, holder: "here/1".into() };
        batch::failed(&store, "things", start, Fault::stop(Code("IB0601"), "a test")).await.unwrap();
        let (integration, by, note) = ("things".to_owned(), "ann".to_owned(), "a test".to_owned());
        store.commit_one(pauses::Op::Set { integration, by, note, until: None }).await.unwrap();
        seconds.store(19 * 60, Ordering::Relaxed);
        store.commit_one(pauses::Op::End { integration: "things".to_owned() }).await.unwrap();
        let mut sent = BTreeMap::new();
        send_due(&project, &store, &[], at("10:01:00"), &mut sent).await.unwrap();
        assert_eq!(sent, BTreeMap::new(), "10:15 was missed");
        seconds.store(29 * 60, Ordering::Relaxed);
        send_due(&project, &store, &[], at("10:01:00"), &mut sent).await.unwrap();
        assert_eq!(sent, BTreeMap::from([("things".to_owned(), at("10:30:00"))]));
    }

    /// Opens nothing, and panics at the first time.
    #[derive(Default)]
    struct Panics(AtomicI64);

    impl Systems for Panics {
        fn open(&self, name: &str) -> Result<Arc<dyn System>, Fault> {
            assert!(self.0.fetch_add(1, Ordering::Relaxed) > 0, "a test");
            Err(Fault::stop(Code("IB0601"), format!("{name} is not there")))
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_integration_whose_run_ended_in_a_panic_runs_again() {
        let bench = Bench::new(Panics::default(), "").await;
        tokio::time::sleep(TICK * 3).await;
        run_soon(&bench.store, "things", &Actor::new("ann", "a test")).await.unwrap();
        bench.until("a run", |store| store.last_run("things").unwrap().is_some()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_run_that_could_not_be_recorded_begins_again() {
        // The queue, what an earlier self held, the message, its delivery; the beginning of the run.
        let bench = Bench::new(Panics(AtomicI64::new(1)), "commit.before@5=error").await;
        tokio::time::sleep(TICK * 3).await;
        assert_eq!(bench.store.last_run("things").unwrap(), None);
        bench.pass(AGAIN.as_secs() as i64 + 1);
        bench.until("a run", |store| store.last_run("things").unwrap().is_some()).await;
    }

    /// A backfill, or a position that is moved, begins in the moment between a run being due and its beginning.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_answers_nothing_that_is_due_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Options::default()).unwrap();
        let settings = queue::Settings { duplicate_window: Some(REMEMBERED), ..queue::Settings::default() };
        store.commit_one(queue::Op::Put { queue: QUEUE.to_owned(), settings }).await.unwrap();
        let project = Arc::new(project(""));
        send_due(&project, &store, &[], store.clock().now(), &mut BTreeMap::new()).await.unwrap();
        let delivery = receive(&store).await.unwrap().pop().unwrap();
        let lease = store.take_lease("things", "elsewhere/2", Duration::from_secs(15)).await.unwrap();
        let of = store.clone();
        let systems = Panics(AtomicI64::new(1));
        let run = tokio::spawn(async move { run_message(&project, &systems, &of, "here/1", &delivery).await });
        tokio::time::sleep(TICK).await;
        assert!(!run.is_finished(), "the slot is left out");
        store.commit_one(leases::Op::Release { name: lease.name, epoch: lease.epoch }).await.unwrap();
        run.await.unwrap();
        assert_eq!(store.last_run("things").unwrap().map(|run| run.trigger), Some(Trigger::Schedule));
    }

    /// Whose catalogue never comes.
    struct Hangs;

    impl Systems for Hangs {
        fn open(&self, _: &str) -> Result<Arc<dyn System>, Fault> {
            Ok(Arc::new(Hangs))
        }
    }

    impl System for Hangs {
        fn check(&self) -> BoxFuture<'_, Result<Health, Fault>> {
            Box::pin(std::future::pending())
        }

        fn catalog<'a>(&'a self, _: &'a [&'a str]) -> BoxFuture<'a, Result<Catalog, Fault>> {
            Box::pin(std::future::pending())
        }

        fn source(&self, _: ReadSpec) -> Result<Arc<dyn Source>, Fault> {
            unreachable!("no run comes so far")
        }

        fn sink(&self, _: WriteSpec) -> Result<Arc<dyn Sink>, Fault> {
            unreachable!("no run comes so far")
        }
    }

    /// A process that ends after an hour of a run leaves its message to the next one.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_message_of_a_long_run_stays_in_its_hands() {
        let bench = Bench::new(Hangs, "").await;
        let locked = |store: &Store| store.queue_counts(QUEUE).unwrap().is_some_and(|counts| counts.locked == 1);
        bench.until("a run", locked).await;
        for _ in 0..2 {
            bench.pass(40);
            tokio::time::sleep(HELD_AGAIN + TICK * 2).await;
            assert!(locked(&bench.store), "its lock lasts for a minute, and is renewed");
        }
    }
}
