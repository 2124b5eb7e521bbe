//! Moves instances on: looks at what is due, decides, does what is wanted outside, and commits all of it together.
//!
//! A crash before the commit repeats a look that changes nothing, and at most one write outside, which writes nothing
//! that is there already.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use definition::{Integration, Pattern};
use jiff::{SignedDuration, Timestamp};
use record::{Fault, Key, Value};
use serde_json::json;
use store::approvals::{self, Kind};
use store::flows::{Instance, InstanceId, Move, NewStep, Op, State as Stands};
use store::journal::{self, What as Happened};
use store::{Refusal, Store};
use tokio::sync::watch;
use tokio::task::{self, JoinSet};

use super::children::{end_child, end_children};
use super::decide::{self, Decided, Effect, Event, Note, Sight, Stuck};
use super::form::Filled;
use super::intake;
use super::links::{Link, Links};
use super::people::withdraw;
use super::running::{Flows, Running};
use super::shown::digest_of;
use super::state::{Doing, State};
use crate::error::{Error, Stopped};
use crate::events::news;
use crate::json;
use crate::operations::tell;

/// Instances that are looked at together.
const AT_ONCE: usize = 16;
const TICK: Duration = Duration::from_millis(500);
/// The delays between tries of a step that fails, in seconds; the last one repeats.
const DELAYS: [i64; 6] = [2, 10, 30, 120, 300, 900];
/// A step that fails for a while is tried this often, over about a day.
pub const TRIES: u32 = 100;

/// Runs the flows of a project until it is told to stop.
///
/// *Errors*: only when our own state cannot be used.
pub async fn work(flows: Arc<Flows>, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
    let mut intakes: JoinSet<Result<(), Error>> = JoinSet::new();
    for integration in &flows.project.integrations {
        if matches!(integration.pattern, Pattern::Flow(_)) {
            intakes.spawn(intake::take(flows.clone(), integration.name.clone(), stop.clone()));
        }
    }
    if intakes.is_empty() {
        return Ok(());
    }
    let mut written = flows.store.watch();
    loop {
        let looked = tokio::time::Instant::now();
        while advance_due(&flows).await? > 0 {}
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = news(&mut written, looked + intake::GAP) => {}
            Some(ended) = intakes.join_next() => match ended {
                Ok(ended) => ended?,
                Err(panicked) => tracing::error!("what starts a flow ended with a panic: {panicked}"),
            },
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    intakes.shutdown().await;
    Ok(())
}

/// Looks at some instances that are due; answers how many there were.
async fn advance_due(flows: &Arc<Flows>) -> Result<usize, Error> {
    // A flow that the project has no longer, or that is paused, leaves its instances where they are, and holds up no other.
    let paused: Vec<String> = flows.store.pauses()?.into_iter().map(|pause| pause.integration).collect();
    let is_on = |integration: &&Integration| {
        matches!(integration.pattern, Pattern::Flow(_)) && !paused.contains(&integration.name)
    };
    let on: Vec<&str> = flows.project.integrations.iter().filter(is_on).map(|one| one.name.as_str()).collect();
    let due = flows.store.flow_due(flows.store.clock().now(), &on, AT_ONCE)?;
    let count = due.len();
    let mut looks: JoinSet<Result<(), Error>> = JoinSet::new();
    // A look that ends in a panic says of no instance.
    let mut about: HashMap<task::Id, Instance> = HashMap::new();
    for instance in due {
        let (flows, of) = (flows.clone(), instance.clone());
        about.insert(looks.spawn(async move { advance(&flows, of).await }).id(), instance);
    }
    while let Some(looked) = looks.join_next_with_id().await {
        match looked {
            Ok((_, looked)) => looked?,
            Err(panicked) => {
                let Some(instance) = about.remove(&panicked.id()) else { continue };
                let at = instance.at.clone().unwrap_or_default();
                let what = format!("the look at {at} ended with a panic: {panicked}");
                let fault = Fault::retry(crate::codes::FLOW_PANIC, what, None)
                    .fix("see the panic in the log; move the instance to another version, or cancel it");
                let now = flows.store.clock().now();
                moved_on(flows, vec![Op::Move(Box::new(failed(&instance, &at, &fault, now))).into()]).await?;
            }
        }
    }
    Ok(count)
}

/// Looks at one instance, and moves it as far as it goes.
pub(super) async fn advance(flows: &Flows, instance: Instance) -> Result<(), Error> {
    let ops = match look(flows, &instance).await {
        Ok(Some(ops)) => ops,
        Ok(None) => {
            let mut ops = cancelled(&flows.store, &instance, "the record is gone")?;
            // What is made under its key is another one.
            ops.push(intake::forgotten(&instance).into());
            ops
        }
        Err(Failed { stopped: Stopped::Store(error), .. }) => return Err(error.into()),
        Err(Failed { at, stopped: Stopped::Fault(fault), reached }) => {
            flows.forget(&instance.integration);
            missed(flows, &instance, &at, &fault, reached).await?
        }
    };
    moved_on(flows, ops).await
}

async fn moved_on(flows: &Flows, ops: Vec<store::Op>) -> Result<(), Error> {
    match flows.store.commit(ops).await {
        // Somebody else has moved it: it is looked at as it is then.
        Err(error) if matches!(error.refusal(), Some(Refusal::FlowMoved { .. })) => Ok(()),
        result => Ok(result.map(drop)?),
    }
}

/// Why a look came to nothing, and the step at which that was.
struct Failed {
    at: String,
    stopped: Stopped,
    /// How far it came before that.
    reached: Option<Box<Decided>>,
}

/// What one look comes to; nothing where the record is gone.
async fn look(flows: &Flows, instance: &Instance) -> Result<Option<Vec<store::Op>>, Failed> {
    let at = instance.at.clone().unwrap_or_default();
    let here = |stopped: Stopped| Failed { at: at.clone(), stopped, reached: None };
    let running = flows.running(&instance.integration, instance.version).await.map_err(|fault| here(fault.into()))?;
    let state = read(instance).map_err(|fault| here(fault.into()))?;
    let record = running.sight(&instance.key, state.own.as_deref()).await.map_err(|fault| here(fault.into()))?;
    let Some(record) = record else { return Ok(None) };
    let people = flows.people_now().map_err(|error| here(error.into()))?;
    let children = children(flows, instance, &state).map_err(|error| here(error.into()))?;
    let see = |state: &State, event, found: Option<&Filled>, silent: &[String]| {
        decide::decide(
            state,
            event,
            &Sight {
                program: &running.program,
                people: &people,
                record: &record,
                children: &children,
                found,
                silent,
                now: flows.store.clock().now(),
                calendar: &flows.project.hub.calendar,
                zone: &flows.project.hub.time_zone,
            },
        )
    };
    let stuck = |stuck: Box<Stuck>| Failed { at: stuck.at, stopped: stuck.fault.into(), reached: Some(stuck.reached) };
    let mut decided = see(&state, Event::Go, None, &[]).map_err(stuck)?;
    // The first step whose system does not answer. What other ways want is done all the same.
    let (mut silent, mut unanswered): (Vec<String>, Option<(String, Fault)>) = (Vec::new(), None);
    while let Some(effect) = decided.effects.iter().find(|effect| effect.is_outside()) {
        let at = decide::outside(&decided.state, &running.program, &silent).unwrap_or_default().to_owned();
        let there = |stopped: Stopped| Failed { at: at.clone(), stopped, reached: Some(Box::new(decided.clone())) };
        let failpoint = |name| flows.store.failpoints().hit(name).map_err(store::Error::from);
        failpoint("sink.before").map_err(|error| there(error.into()))?;
        match flows.perform(&running, &instance.key, &record, effect).await {
            Ok(found) => {
                failpoint("sink.after").map_err(|error| there(error.into()))?;
                let before = decided;
                // The write is there, and what comes after it cannot be done.
                let after = see(&before.state, Event::Done, found.as_ref(), &silent);
                let after = after.map_err(|stuck: Box<Stuck>| Failed {
                    at: stuck.at,
                    stopped: stuck.fault.into(),
                    reached: Some(Box::new(joined(before.clone(), *stuck.reached))),
                })?;
                decided = joined(before, after);
                break;
            }
            Err(fault) if fault.is_transient() => {
                silent.push(at.clone());
                unanswered.get_or_insert((at, fault));
                let next = see(&decided.state, Event::Go, None, &silent).map_err(stuck)?;
                let wanted: Vec<Effect> = next.effects.iter().filter(|effect| effect.is_outside()).cloned().collect();
                decided = joined(decided, next);
                decided.effects.extend(wanted);
            }
            Err(fault) => return Err(there(fault.into())),
        }
    }
    if let Some((at, fault)) = unanswered {
        return Err(Failed { at, stopped: fault.into(), reached: Some(Box::new(decided)) });
    }
    commit(flows, &running, instance, decided, None).await.map(Some).map_err(here)
}

/// How the children of an instance have ended, by the cause that its state knows them by.
fn children(flows: &Flows, instance: &Instance, state: &State) -> Result<BTreeMap<String, &'static str>, store::Error> {
    let mut ended = BTreeMap::new();
    for (_, _, doing) in state.ways() {
        let Doing::Child { flow, cause } = doing else { continue };
        let outcome = match flows.store.flow_started_by(flow, &child_of(instance.id, cause))? {
            Some(Stands::Done) => "done",
            Some(Stands::Cancelled) => "cancelled",
            Some(Stands::Held | Stands::Running | Stands::Failed) => continue,
            // It ended so long ago that it is forgotten.
            None => "done",
        };
        ended.insert(cause.clone(), outcome);
    }
    Ok(ended)
}

/// What a child flow is known by: a crash begins it once.
pub(super) fn child_of(instance: InstanceId, cause: &str) -> String {
    format!("child of {instance} {cause}")
}

/// What becomes of an instance whose step has failed. What it did before that stays done; a scope around the step goes on
/// with `if_failed` once it has failed for good.
async fn missed(
    flows: &Flows,
    instance: &Instance,
    at: &str,
    fault: &Fault,
    reached: Option<Box<Decided>>,
) -> Result<Vec<store::Op>, Error> {
    let now = flows.store.clock().now();
    let plain = || vec![Op::Move(Box::new(failed(instance, at, fault, now))).into()];
    let Ok(running) = flows.running(&instance.integration, instance.version).await else { return Ok(plain()) };
    let reached = match reached {
        Some(reached) => *reached,
        None => match read(instance) {
            Ok(state) => Decided { state, effects: Vec::new(), notes: Vec::new(), wake: None },
            Err(_) => return Ok(plain()),
        },
    };
    let rescued = match tried_again(instance, fault) {
        true => None,
        false => decide::rescued(&reached.state, &running.program, at, fault, now),
    };
    let ops = match rescued {
        Some(rescued) => {
            let (name, id) = (&instance.integration, instance.id);
            tracing::warn!(integration = name, code = %fault.code, "instance {id} of {name}: {at} has failed: {fault}; it goes on with `if_failed`");
            commit(flows, &running, instance, joined(reached, rescued), None).await
        }
        None => commit(flows, &running, instance, reached, Some((at, fault))).await,
    };
    match ops {
        Ok(ops) => Ok(ops),
        Err(Stopped::Store(error)) => Err(error.into()),
        Err(Stopped::Fault(_)) => Ok(plain()),
    }
}

fn tried_again(instance: &Instance, fault: &Fault) -> bool {
    fault.is_transient() && instance.attempts + 1 < TRIES
}

fn read(instance: &Instance) -> Result<State, Fault> {
    serde_json::from_str(&instance.data).map_err(|why| {
        Fault::ask_person(
            crate::codes::FLOW_VERSION,
            format!("what is kept of instance {} cannot be read: {why}", instance.id),
        )
        .fix("use the Ironbridge that wrote it, or cancel the instance")
    })
}

/// Two looks as one commit. What the second wants done outside is looked at anew, from what is committed.
fn joined(before: Decided, after: Decided) -> Decided {
    let inside = |effect: &Effect| !effect.is_outside();
    let goes_on = !after.effects.iter().all(inside);
    let effects = before.effects.into_iter().chain(after.effects).filter(inside).collect();
    let notes = before.notes.into_iter().chain(after.notes).collect();
    let wake = if goes_on { Some(Timestamp::MIN) } else { after.wake };
    Decided { state: after.state, effects, notes, wake }
}

async fn commit(
    flows: &Flows,
    running: &Running,
    instance: &Instance,
    decided: Decided,
    // The step that came next and failed.
    missed: Option<(&str, &Fault)>,
) -> Result<Vec<store::Op>, Stopped> {
    let Decided { state, effects, notes, wake } = decided;
    let over = state.at.is_none();
    let now = flows.store.clock().now();
    let links = Links::of(&flows.store).await?;
    let mut ops = Vec::new();
    let mut steps: Vec<NewStep> = Vec::new();
    for (nth, effect) in effects.into_iter().enumerate() {
        if let Effect::Tell { to, text, why, decision } = &effect {
            let Some(why) = tell::Why::of(why) else { continue };
            let asking = state.asking().find(|(_, asking)| Some(&asking.name) == decision.as_ref());
            let link = |person: &str| {
                let (decision, until) = (decision.clone()?, asking.as_ref()?.1.deadline);
                let (flow, person) = (instance.integration.clone(), person.to_owned());
                Some(links.token(&Link { flow, instance: instance.id, decision, person, until }))
            };
            let until = asking.as_ref().map(|(_, asking)| asking.deadline);
            let says = tell::Says { to, why, text, decision: decision.as_deref(), until, link: &link };
            let told = tell::tell(&flows.project, instance, &says, nth, now);
            ops.extend(told.ops);
            steps.extend(told.unheard.into_iter().map(|who| unheard(instance, who)));
            continue;
        }
        if let Effect::Stop { flow, cause } = &effect {
            let why = format!("instance {} goes on without it", instance.id);
            ops.extend(end_child(&flows.store, instance.id, flow, cause, None, &why)?);
            continue;
        }
        if let Effect::Begin { flow, key, cause } = &effect {
            ops.push(child(flows, instance, flow, key, cause).await?);
            continue;
        }
        ops.extend(inside(&flows.store, running, instance, effect)?);
    }
    if let Some(parent) = state.parent.filter(|_| over) {
        ops.push(Op::Wake { id: InstanceId(parent) }.into());
    }
    let journal = notes.iter().filter(|note| !note.what.starts_with('=')).map(|note| told(instance, note));
    let journal: Vec<journal::Note> = journal.collect();
    let mut to = Move {
        state: if over { Stands::Done } else { Stands::Running },
        at: state.at.clone(),
        data: serde_json::to_string(&state).expect("a state is JSON"),
        wake: wake.filter(|_| !over).map(|wake| wake.max(now)),
        steps: notes.into_iter().map(step).chain(steps).collect(),
        ..Move::of(instance)
    };
    if let Some((at, fault)) = missed {
        let Move { state, wake: again, attempts, problem, steps, .. } = failed(instance, at, fault, now);
        to.steps.extend(steps);
        // Another way may want to be looked at before that; where it goes on at once, that is no try of this one.
        let goes_on = to.wake == Some(now);
        let attempts = if again.is_some() && goes_on { instance.attempts } else { attempts };
        to.wake = again.map(|again| to.wake.map_or(again, |wake| wake.min(again)));
        to = Move { state, attempts, problem, ..to };
    }
    ops.push(Op::Move(Box::new(to)).into());
    if !journal.is_empty() {
        ops.push(journal::Op::Note(journal).into());
    }
    Ok(ops)
}

/// That somebody could not be told, in the history of the instance.
fn unheard(instance: &Instance, who: String) -> NewStep {
    tracing::warn!(
        integration = instance.integration,
        "instance {} of {} cannot tell {who}: no way leads there; see why: ironbridge alerts coverage",
        instance.id,
        instance.integration
    );
    let what = format!("{who} was not told: no way in people.yaml leads there");
    NewStep { path: instance.at.clone().unwrap_or_default(), what, person: None }
}

/// Another flow begins for a record.
async fn child(flows: &Flows, parent: &Instance, flow: &str, key: &[Value], cause: &str) -> Result<store::Op, Stopped> {
    let key = Key::of(key.iter()).map_err(|why| {
        Fault::ask_person(crate::codes::FLOW_FORMULA, format!("the key for `{flow}` cannot be one: {why}"))
            .fix("correct the record, then: ironbridge flow retry")
    })?;
    let version = flows.keep(flow).await?;
    let running = flows.running(flow, version).await?;
    // Whoever asked for the parent asks for the child.
    let requester = read(parent).ok().and_then(|state| state.requester);
    let begun = intake::Begun { parent: Some(parent.id), requester, ..intake::Begun::default() };
    let start = intake::starting(flows, &running, &key, &intake::Cause::once(child_of(parent.id, cause)), begun);
    Ok(Op::Start(Box::new(start)).into())
}

pub(super) fn step(note: Note) -> NewStep {
    NewStep { path: note.path, what: note.what, person: note.by }
}

pub(super) fn told(instance: &Instance, note: &Note) -> journal::Note {
    let what = match &note.by {
        Some(by) => format!("{} ({by})", note.what),
        None => note.what.clone(),
    };
    journal::Note {
        detail: what,
        ..journal::Note::new(&instance.entity, &instance.key.to_string(), Happened::Flow, &instance.integration, "")
    }
}

/// What the subject of an approval of a flow is.
pub fn subject(instance: store::flows::InstanceId, name: &str) -> String {
    format!("{instance}/{name}")
}

/// What a decision wants of our own state.
fn inside(store: &Store, running: &Running, instance: &Instance, effect: Effect) -> Result<Vec<store::Op>, Stopped> {
    Ok(match effect {
        Effect::Ask { name, text, of, deadline, form, shown } => {
            let personal: Vec<&str> = running.program.personal.iter().map(String::as_str).collect();
            let shown: serde_json::Value = serde_json::from_str(&json::row(&shown, &personal)).unwrap_or_default();
            let mut details = json!({ "instance": instance.id.0, "deadline": deadline.to_string(), "record": shown });
            if form.as_array().is_some_and(|form| !form.is_empty()) {
                details["form"] = form;
            }
            let question = approvals::Question {
                integration: instance.integration.clone(),
                kind: Kind::Flow,
                subject: subject(instance.id, &name),
                // What was approved is what was shown: asking again shows something else.
                digest: digest_of(&text, &details.to_string()),
                question: text,
                details: details.to_string(),
                proofs: Vec::new(),
                asked_of: of.join(", "),
                // The instance has the clock of its own question.
                expires: None,
            };
            vec![approvals::Op::Ask(Box::new(question)).into()]
        }
        Effect::Pass { name, of } => {
            let (integration, subject) = (instance.integration.clone(), subject(instance.id, &name));
            vec![approvals::Op::Pass { integration, kind: Kind::Flow, subject, asked_of: of.join(", ") }.into()]
        }
        Effect::Close { name, approved, by, comment } => {
            let (integration, subject) = (instance.integration.clone(), subject(instance.id, &name));
            let Some(approve) = approved else {
                // Also where somebody has answered: that came to nothing.
                return Ok(vec![approvals::Op::Withdraw { integration, kind: Kind::Flow, subject }.into()]);
            };
            let standing = store.approval_of(&integration, Kind::Flow, &subject)?;
            // Whoever decided has closed it already.
            let open = standing.filter(|approval| approval.state == approvals::State::Open);
            open.map(|approval| approvals::Op::Decide { id: approval.id, approve, by, comment }.into())
                .into_iter()
                .collect()
        }
        Effect::Tell { .. }
        | Effect::Begin { .. }
        | Effect::Stop { .. }
        | Effect::Set(_)
        | Effect::Read { .. }
        | Effect::Write { .. } => Vec::new(),
    })
}

fn cancelled(store: &Store, instance: &Instance, why: &str) -> Result<Vec<store::Op>, store::Error> {
    let step =
        NewStep { path: instance.at.clone().unwrap_or_default(), what: format!("cancelled: {why}"), person: None };
    let to = Move { state: Stands::Cancelled, wake: None, steps: vec![step], ..Move::of(instance) };
    let mut ops: Vec<store::Op> = vec![Op::Move(Box::new(to)).into()];
    let Ok(state) = read(instance) else { return Ok(ops) };
    let open: Vec<String> = state.asking().map(|(_, asking)| asking.name.clone()).collect();
    ops.extend(withdraw(store, instance, &open)?);
    ops.extend(end_children(store, instance, &state, None, why)?);
    ops.extend(state.parent.map(|parent| Op::Wake { id: InstanceId(parent) }.into()));
    Ok(ops)
}

/// A look that failed: tried again where time may help, or left for a person.
fn failed(instance: &Instance, at: &str, fault: &Fault, now: Timestamp) -> Move {
    let attempts = instance.attempts + 1;
    let again = tried_again(instance, fault);
    let wake = again.then(|| {
        let delay = DELAYS[(attempts as usize - 1).min(DELAYS.len() - 1)];
        now.checked_add(SignedDuration::from_secs(delay)).unwrap_or(Timestamp::MAX)
    });
    let (name, id) = (&instance.integration, instance.id);
    let mut steps = Vec::new();
    if again {
        tracing::warn!(integration = name, code = %fault.code, "instance {id} of {name}: {fault}; tried again later ({attempts} of {TRIES})");
    } else {
        tracing::error!(integration = name, code = %fault.code, "instance {id} of {name} cannot go on: {fault}; {}", fault.fix);
        steps.push(NewStep { path: at.to_owned(), what: format!("failed: {fault}"), person: None });
    }
    let mut problem = json::fault(fault);
    problem["step"] = json!(at);
    Move {
        state: if again { Stands::Running } else { Stands::Failed },
        wake,
        attempts,
        problem: Some(problem.to_string()),
        steps,
        ..Move::of(instance)
    }
}

#[cfg(test)]
mod tests {
    use definition::{LoadOptions, load_files};
    use record::System;
    use store::{OpResult, Options};

    use super::*;
    use crate::compile::Systems;

    const PROJECT: [(&str, &str); 5] = [
        ("ironbridge.yaml", "hub: contoso\ntime_zone: Europe/London\n"),
        ("people.yaml", "groups: { it: { email: it@contoso.example } }\n"),
        ("entities/thing.yaml", "entity: thing\nkey: number\nfields: { number: { type: text, max_length: 20 } }\n"),
        (
            "systems/a.yaml",
            "system: a\nkind: postgres\nowner: it\nconnection: { url: \"${env:A}\" }\nentities: { thing: { table: t, read: { number: n } } }\n",
        ),
        (
            "integrations/f.yaml",
            "integration: f\npattern: flow\ntrigger: { entity: thing, in: a, call: true }\nsteps: [ { wait: 1 day } ]\nowner: it\npurpose: A test.\n",
        ),
    ];

    struct Panics;

    impl Systems for Panics {
        fn open(&self, _: &str) -> Result<Arc<dyn System>, Fault> {
            panic!("a test");
        }
    }

    #[tokio::test]
    async fn an_instance_whose_look_ends_in_a_panic_waits_and_holds_up_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Options::default()).unwrap();
        let kinds: Vec<_> = connectors::registry::kinds().collect();
        let loaded = load_files(PROJECT, &LoadOptions { kinds: &kinds, ..LoadOptions::default() });
        let project = loaded.project.clone().unwrap_or_else(|| panic!("{}", loaded.render(false, 100)));
        let flows = Arc::new(Flows::new(Arc::new(project), Arc::new(Panics), store.clone(), kinds));
        let state = State::begin(Some("steps[0]".to_owned()));
        let start = store::flows::Start {
            integration: "f".to_owned(),
            version: flows.keep("f").await.unwrap(),
            entity: "thing".to_owned(),
            key: Key::of([&Value::text("1")]).unwrap(),
            cause: "a test".to_owned(),
            state_of: None,
            heard: true,
            ceiling: 10,
            since: Timestamp::MIN,
            at: state.at.clone(),
            data: json!(state).to_string(),
            steps: Vec::new(),
        };
        let begun = store.commit_one(Op::Start(Box::new(start))).await.unwrap();
        let OpResult::Instance(Some(id)) = begun else { panic!("{begun:?}") };
        assert_eq!(advance_due(&flows).await.unwrap(), 1);
        let instance = store.flow_instance(id).unwrap().unwrap();
        assert_eq!((instance.state, instance.attempts), (Stands::Running, 1));
        assert!(instance.problem.unwrap().contains("IB1218"));
        assert_eq!(advance_due(&flows).await.unwrap(), 0, "it waits");
    }
}
