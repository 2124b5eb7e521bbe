//! What starts a flow: an event that came in, a change that a sweep finds, or a person.
//!
//! Each start has a cause, and one cause starts one instance: a webhook and the sweep that finds the same change are
//! one start. Above the ceiling of a day new instances are held, and begin when there is room.

use std::sync::Arc;
use std::time::Duration;

use definition::Flow;
use jiff::{SignedDuration, Timestamp};
use record::hash::RowHasher;
use record::{Fault, Happened, Key, Now, Scope, Value};
use store::dead_letters::{self, DeadLetterId, State as Letter};
use store::flows::{Instance, InstanceId, NewStep, Op, Start, State as Stands};
use store::queue::{Delivery, Op as QueueOp, Problem, Settings};
use store::{OpResult, cursors, outages};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::call::{Call, Calls};
use super::form::{self, Filled};
use super::record::Found;
use super::running::{Flows, Running};
use super::state::State;
use crate::error::{Error, Stopped};
use crate::events::{at, letters, news, row_in};
use crate::{codes, json, schedule};

/// How often a system is asked for what changed.
const SWEEP: Duration = Duration::from_secs(60);
/// The queue is looked at this often for what other processes sent.
const TICK: Duration = Duration::from_millis(500);
/// What this process wrote is looked at this soon; a burst of writes is one look.
pub(super) const GAP: Duration = Duration::from_millis(10);
const STREAM: &str = "flow";
/// Up to which slot of its schedule a flow has started.
const SLOTS: &str = "flow schedule";
/// Who was who when its questions were last looked at because of that.
const PEOPLE: &str = "flow people";
/// What a message of a call is, as opposed to an event of the system.
pub const CALLED: &str = "FlowCall";
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Events that are taken at once.
const AT_ONCE: usize = 16;
/// What cannot be taken is looked at again after this long.
const REST: Duration = Duration::from_secs(15);
/// An event that cannot be taken for this often is a dead letter.
const DELIVERIES_MAX: u32 = 20;

/// Where the events of a flow come in.
pub fn queue(flow: &str) -> String {
    format!("flows/{flow}")
}

/// The operation that makes it, or nothing new where it is there.
pub fn prepare(flow: &str) -> store::Op {
    let settings = Settings {
        duplicate_window: Some(Duration::from_secs(3600)),
        max_deliveries: DELIVERIES_MAX,
        ..Settings::default()
    };
    QueueOp::Put { queue: queue(flow), settings }.into()
}

/// Takes what starts one flow until it is told to stop.
///
/// *Errors*: only when our own state cannot be used.
pub(super) async fn take(flows: Arc<Flows>, name: String, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
    let version = flows.keep(&name).await?;
    flows.store.commit(vec![prepare(&name)]).await?;
    people_moved(&flows, &name).await?;
    let mut written = flows.store.watch();
    let mut next_sweep = tokio::time::Instant::now();
    let mut quiet_until = tokio::time::Instant::now();
    let mut told = flows.store.outages()?.iter().any(|outage| outage.integration == name);
    let mut failures = 0;
    loop {
        let looked = tokio::time::Instant::now();
        if tokio::time::Instant::now() >= next_sweep {
            next_sweep = tokio::time::Instant::now() + SWEEP;
            release(&flows, &name).await?;
            if let Err(stopped) = sweep(&flows, &name, version).await {
                match stopped {
                    Stopped::Store(error) => return Err(error.into()),
                    Stopped::Fault(fault) => {
                        tracing::warn!(integration = name, code = %fault.code, "{name}: what starts it cannot be looked for: {fault}; tried again in {SWEEP:?}");
                        flows.forget(&name);
                    }
                }
            }
        }
        if let Err(stopped) = scheduled(&flows, &name, version).await {
            match stopped {
                Stopped::Store(error) => return Err(error.into()),
                Stopped::Fault(fault) => {
                    tracing::warn!(integration = name, code = %fault.code, "{name}: its schedule cannot be followed: {fault}; tried again");
                    flows.forget(&name);
                }
            }
        }
        let mut over = false;
        // A look that finds nothing writes nothing, and so wakes nobody.
        while tokio::time::Instant::now() >= quiet_until && has_work(&flows, &name)? {
            match events(&flows, &name, version).await? {
                Taken::Some { through } => over |= through,
                Taken::Nothing => break,
                Taken::Down(fault) => {
                    quiet_until = tokio::time::Instant::now() + REST;
                    (told, failures) = (true, failures + 1);
                    flows.store.commit_one(closed(&flows, &name, &fault, failures)).await?;
                }
            }
        }
        if told && (over || waiting(&flows, &name)? == 0) {
            (told, failures) = (false, 0);
            let end = outages::Op::End { integration: name.clone(), system: name.clone() };
            flows.store.commit_one(end).await?;
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = news(&mut written, looked + GAP) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
    }
}

/// Looks at what waits for people, where people.yaml is another one than when that was last done.
async fn people_moved(flows: &Flows, name: &str) -> Result<(), store::Error> {
    let position = flows.people_now()?.mark();
    let (integration, stream) = (name.to_owned(), PEOPLE.to_owned());
    if flows.store.cursor(name, PEOPLE)?.is_some_and(|cursor| cursor.position == position) {
        return Ok(());
    }
    let reached = cursors::Op::Set { integration, stream, position, fingerprint: String::new() };
    flows.store.commit(vec![Op::WakeAll { integration: name.to_owned() }.into(), reached.into()]).await?;
    Ok(())
}

fn has_work(flows: &Flows, name: &str) -> Result<bool, store::Error> {
    Ok(flows.store.queue_counts(&queue(name))?.is_some_and(|counts| counts.ready > 0))
}

/// How many events wait to be taken.
fn waiting(flows: &Flows, name: &str) -> Result<u64, store::Error> {
    let counts = flows.store.queue_counts(&queue(name))?.unwrap_or_default();
    Ok(counts.ready + counts.locked + counts.delayed)
}

/// Notes that nobody can be asked what the events of a flow are about: its outage, as of a destination of its own name.
fn closed(flows: &Flows, name: &str, fault: &Fault, failures: u64) -> outages::Op {
    let source = flows.defined(name).map_or_else(String::new, |(_, flow)| flow.in_.clone());
    outages::Op::Note {
        integration: name.to_owned(),
        system: name.to_owned(),
        at: fault.place.system.clone().unwrap_or(source),
        code: fault.code.to_string(),
        what: fault.to_string(),
        fix: fault.fix.clone(),
        failures,
    }
}

/// Whether the system of one event has answered; or the event, and why it cannot be asked.
type Looked = Result<bool, (Delivery, Box<Fault>)>;

/// What became of a look for events.
enum Taken {
    /// `through`: their system has answered.
    Some {
        through: bool,
    },
    Nothing,
    /// Nobody can be asked what they are about, of any of them.
    Down(Box<Fault>),
}

/// Takes some events that came in, beside each other. While their system does not answer they wait, and that costs them no
/// deliveries.
async fn events(flows: &Arc<Flows>, name: &str, version: u32) -> Result<Taken, Error> {
    let receive = QueueOp::Receive { queue: queue(name), max: AT_ONCE };
    let OpResult::Messages(messages) = flows.store.commit_one(receive).await? else {
        unreachable!("Receive answers with messages")
    };
    let count = messages.len();
    let mut taken: JoinSet<Result<Looked, Error>> = JoinSet::new();
    for delivery in messages {
        let (flows, name) = (flows.clone(), name.to_owned());
        taken.spawn(async move {
            let (settle, asked) = match settled(&flows, &name, version, &delivery).await? {
                Ok(settled) => settled,
                Err(fault) => return Ok(Err((delivery, fault))),
            };
            match flows.store.commit(settle).await {
                // It is given again, and looked at anew.
                Err(error) if letters::is_dealt_with(&error) => Ok(Ok(asked)),
                settled => Ok(Ok(settled.map(|_| asked)?)),
            }
        });
    }
    let (mut through, mut closed) = (false, Vec::new());
    while let Some(taken) = taken.join_next().await {
        match taken {
            Ok(taken) => match taken? {
                Ok(asked) => through |= asked,
                Err(one) => closed.push(one),
            },
            // Its lock ends, and it is given again.
            Err(panicked) => tracing::error!(integration = name, "taking an event ended with a panic: {panicked}"),
        }
    }
    if let Some((_, fault)) = closed.pop_if(|_| !through) {
        flows.store.commit_one(QueueOp::TakeBack { queue: queue(name) }).await?;
        return Ok(Taken::Down(fault));
    }
    // Others get through, so that it is their own.
    let again = |(delivery, _): (Delivery, _)| {
        QueueOp::Abandon { queue: queue(name), token: delivery.token, delay: Some(REST) }.into()
    };
    if !closed.is_empty() {
        flows.store.commit(closed.into_iter().map(again).collect()).await?;
    }
    Ok(if count > 0 { Taken::Some { through } } else { Taken::Nothing })
}

/// What becomes of the message of an event, and whether its system has answered; why it cannot be asked, where it cannot.
async fn settled(
    flows: &Flows,
    name: &str,
    version: u32,
    delivery: &Delivery,
) -> Result<Result<(Vec<store::Op>, bool), Box<Fault>>, Error> {
    let complete = || -> store::Op { QueueOp::Complete { queue: queue(name), tokens: vec![delivery.token] }.into() };
    // The retry of a dead letter.
    let retry_of = delivery.message.causation.as_deref().map(DeadLetterId::from);
    if let Some(id) = &retry_of
        && !flows.store.dead_letters_like(id.as_str())?.iter().any(|letter| letter.state == Letter::Retrying)
    {
        tracing::info!("the retry of dead letter {id} is not wanted any more");
        return Ok(Ok((vec![complete()], false)));
    }
    let mut answered = false;
    let ops = match event(flows, name, version, delivery).await {
        Ok(asked) => {
            answered = asked;
            let resolved = retry_of.map(|id| {
                let (seen, to) = (Letter::Retrying, Letter::Resolved);
                dead_letters::Op::Change { id, seen, to, by: None, note: None }.into()
            });
            [complete()].into_iter().chain(resolved).collect()
        }
        Err(Stopped::Store(error)) => return Err(error.into()),
        Err(Stopped::Fault(fault)) if fault.now != Now::Reject && fault.scope == Scope::Destination => {
            tracing::warn!(integration = name, code = %fault.code, "{name}: an event cannot be taken yet: {fault}");
            flows.forget(name);
            return Ok(Err(fault));
        }
        Err(Stopped::Fault(fault)) if fault.is_transient() => {
            tracing::warn!(integration = name, code = %fault.code, "{name}: an event cannot be taken yet: {fault}");
            vec![QueueOp::Abandon { queue: queue(name), token: delivery.token, delay: Some(REST) }.into()]
        }
        Err(Stopped::Fault(fault)) => {
            tracing::error!(integration = name, code = %fault.code, "{name}: an event cannot be taken: {fault}; {}", fault.fix);
            let problem = Problem {
                code: fault.code.0.to_owned(),
                what: fault.what.clone(),
                place: flows.defined(name).map_or_else(String::new, |(_, flow)| flow.in_.clone()),
                fix: fault.fix.clone(),
                detail: json::fault(&fault).to_string(),
                ..Problem::default()
            };
            match retry_of {
                Some(id) => vec![complete(), dead_letters::Op::Again { id, problem }.into()],
                None => {
                    vec![QueueOp::DeadLetter { queue: queue(name), token: delivery.token, key: None, problem }.into()]
                }
            }
        }
    };
    Ok(Ok((ops, answered)))
}

/// Starts what an event asks for; answers whether its system was asked.
async fn event(flows: &Flows, name: &str, version: u32, delivery: &Delivery) -> Result<bool, Stopped> {
    let running = flows.running(name, version).await?;
    let body = &delivery.message.body;
    if delivery.message.op.as_deref() == Some(CALLED) {
        return called(flows, &running, delivery).await.map(|()| true);
    }
    let system = flows.systems.open(&running.flow.in_)?;
    let listens = running.listens();
    let found = match system.decode(body) {
        Some(signal) => {
            let signal = signal?;
            let trigger = &running.flow.trigger;
            let touched = |columns: &Vec<String>| trigger.columns.iter().any(|column| columns.contains(column));
            let wanted = match signal.happened {
                Happened::Created => trigger.created,
                Happened::Updated => {
                    trigger.updated && (trigger.columns.is_empty() || signal.columns.as_ref().is_none_or(touched))
                }
                Happened::Deleted => false,
            };
            if !(wanted || listens) || !signal.table.eq_ignore_ascii_case(&running.reader.table) {
                return Ok(false);
            }
            let found = running.reader.by_id(&signal.id).await?;
            if let Some(Found { key, .. }) = found.as_ref().filter(|_| listens) {
                flows.store.commit_one(Op::WakeAbout { integration: name.to_owned(), key: key.clone() }).await?;
            }
            found.filter(|_| wanted)
        }
        None => {
            let event: serde_json::Value = serde_json::from_slice(body).map_err(|why| unreadable(&why.to_string()))?;
            let held = flows.project.system(&running.flow.in_).and_then(|system| system.entity(&running.flow.entity));
            let columns = held.and_then(|held| held.key_columns(&running.program.entity)).unwrap_or_default();
            let row = row_in(&event);
            let values = columns.iter().map(|column| at(row, column).map_or(Value::Blank, json::value));
            let values: Vec<Value> = values.collect();
            let key = Key::of(values.iter()).map_err(|why| unreadable(&why.to_string()))?;
            running.reader.get(&key).await?
        }
    };
    let Some(found) = found else { return Ok(true) };
    // A record that came while the first look was on its way is known from before, and was told of all the same.
    start(flows, &running, &found, &running.cause(&found), true).await?;
    Ok(true)
}

fn unreadable(why: &str) -> Fault {
    Fault::reject(codes::EVENT_UNREADABLE, format!("the event cannot be read: {why}"))
        .fix("look at what was sent; the sender has to send it again")
}

/// Finds what changed and never came as an event. The first look only remembers what was there before the flow.
async fn sweep(flows: &Flows, name: &str, version: u32) -> Result<(), Stopped> {
    let running = flows.running(name, version).await?;
    let position = flows.store.cursor(name, STREAM)?.map(|cursor| cursor.position);
    let (listens, trigger) = (running.listens(), &running.flow.trigger);
    let starts = trigger.created || trigger.updated;
    if !listens && !starts {
        return Ok(());
    }
    let mut reader = running.reader.changes().read(position.as_deref()).await?;
    let mut reached = position.is_some();
    while let Some(page) = reader.next().await? {
        reached |= page.cursor.is_some();
        let (mut known, mut wakes) = (Vec::new(), Vec::new());
        for row in page.batch.rows().map(|row| row.to_row()) {
            let found = match running.reader.record(&row) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(fault) => {
                    tracing::warn!(integration = name, code = %fault.code, "{name}: a record cannot be read, and starts nothing: {fault}");
                    continue;
                }
            };
            if listens && position.is_some() {
                wakes.push(Op::WakeAbout { integration: name.to_owned(), key: found.key.clone() }.into());
            }
            if !starts {
                continue;
            }
            let because = running.cause(&found);
            if position.is_none() {
                known.push((because.text, because.state_of));
                continue;
            }
            if flows.store.flow_knows(name, &because.text)? {
                continue;
            }
            // A webhook may have brought something newer since the page was read.
            let started = async {
                let Some(found) = running.reader.get(&found.key).await? else { return Ok(None) };
                start(flows, &running, &found, &running.cause(&found), false).await
            };
            untold(name, started.await)?;
        }
        let Some(cursor) = &page.cursor else { continue };
        let (integration, stream) = (name.to_owned(), STREAM.to_owned());
        let place = cursors::Op::Set { integration, stream, position: cursor.clone(), fingerprint: String::new() };
        let known = Op::Know { integration: name.to_owned(), causes: known };
        wakes.extend([known.into(), place.into()]);
        flows.store.commit(wakes).await?;
    }
    if !reached {
        let (from, entity) = (&running.flow.in_, &running.flow.entity);
        tracing::warn!(
            integration = name,
            "{from} cannot say what changed, so {name} starts for what it is told of only: give `{entity}` a `watermark:` there"
        );
    }
    Ok(())
}

/// Somebody called, and says for which record, and what the form has.
async fn called(flows: &Flows, running: &Running, delivery: &Delivery) -> Result<(), Stopped> {
    let entity = &running.program.entity;
    let gone = || unreadable("the flow is not started by calls any more");
    let calls = Calls::of(&flows.project, &running.flow).ok_or_else(gone)?;
    let Call { key, by, filled } = calls.read(&delivery.message.body).map_err(|why| unreadable(&why))?;
    let home = Some(running.flow.in_.as_str());
    let missing = form::there(&flows.project, &*flows.systems, home, calls.form(), &filled).await?;
    if !missing.is_empty() {
        let Fault { what, .. } = form::refused(&missing);
        return Err(Fault::reject(codes::FORM_WRONG, what).at_key(key.to_string()).fix("call again, corrected").into());
    }
    let Some(found) = running.reader.get(&key).await? else {
        let what = format!("`{}` has no {} {key}", running.flow.in_, entity.name);
        return Err(Fault::reject(codes::FLOW_RECORD, what)
            .at_system(&running.flow.in_)
            .at_key(key.to_string())
            .fix("call with the key of a record that is there")
            .into());
    };
    let told = match form::told(calls.form(), &filled, &flows.project.hub.time_zone) {
        filled if filled.is_empty() => "called".to_owned(),
        filled => format!("called: {filled}"),
    };
    let told = Some(NewStep { path: String::new(), what: told, person: by.clone() });
    let begun = Begun { heard: true, requester: by, form: filled, told, ..Begun::default() };
    let cause = Cause::once(format!("called {}", delivery.message.id));
    start_as(flows, running, &found, &cause, begun).await?;
    Ok(())
}

/// Starts for each record that the trigger wants, where a slot of the schedule has come. A crash repeats a slot, and
/// what has started for it does not start again.
async fn scheduled(flows: &Flows, name: &str, version: u32) -> Result<(), Stopped> {
    let Some((_, flow)) = flows.defined(name) else { return Ok(()) };
    let Some(by) = &flow.schedule else { return Ok(()) };
    let now = flows.store.clock().now();
    let reached = |at: Timestamp| {
        let (integration, stream) = (name.to_owned(), SLOTS.to_owned());
        cursors::Op::Set { integration, stream, position: at.to_string(), fingerprint: String::new() }
    };
    let position = flows.store.cursor(name, SLOTS)?.map(|cursor| cursor.position);
    let Some(since) = position.and_then(|position| position.parse::<Timestamp>().ok()) else {
        // It is new: its first slot is the next one.
        flows.store.commit_one(reached(now)).await?;
        return Ok(());
    };
    let since = if schedule::was_ahead(since, now) { Timestamp::UNIX_EPOCH } else { since };
    let Some(slot) = schedule::latest(by, &flows.project.hub.time_zone, since, now) else { return Ok(()) };
    let running = flows.running(name, version).await?;
    let mut reader = running.reader.changes().read(None).await?;
    while let Some(page) = reader.next().await? {
        for row in page.batch.rows().map(|row| row.to_row()) {
            match running.reader.record(&row) {
                Ok(Some(found)) => {
                    let cause = Cause::once(format!("scheduled {slot} {}", found.key));
                    untold(name, start(flows, &running, &found, &cause, false).await)?;
                }
                Ok(None) => {}
                Err(fault) => {
                    tracing::warn!(integration = name, code = %fault.code, "{name}: a record cannot be read, and starts nothing: {fault}");
                }
            }
        }
    }
    flows.store.commit_one(reached(slot)).await?;
    Ok(())
}

/// What a start is known by.
#[derive(Debug, Clone)]
pub(super) struct Cause {
    pub text: String,
    /// See [`Start::state_of`].
    pub state_of: Option<String>,
}

impl Cause {
    pub fn once(text: String) -> Cause {
        Cause { text, state_of: None }
    }
}

fn created(key: &Key) -> String {
    format!("created {key} ")
}

fn changed(key: &Key) -> String {
    format!("changed {key} ")
}

/// Forgets what is known of a record that is gone.
pub(super) fn forgotten(instance: &Instance) -> Op {
    let states_of = vec![created(&instance.key), changed(&instance.key)];
    Op::Unknow { integration: instance.integration.clone(), states_of }
}

impl Running {
    /// A creation is known by its record, and by what tells that from an earlier one of its key; a change by what the
    /// record holds since: in the fields that are read from the columns of the trigger, where it names any.
    fn cause(&self, found: &Found) -> Cause {
        let Found { key, row: record, own } = found;
        if !self.flow.trigger.updated {
            let state_of = created(key);
            let state = own.as_deref().unwrap_or("once");
            return Cause { text: format!("{state_of}{state}"), state_of: Some(state_of) };
        }
        let watched = |name: &str| self.watched.is_empty() || self.watched.iter().any(|field| field == name);
        let values = record.iter().filter(|(name, _)| watched(name)).map(|(_, value)| value.as_ref());
        let state_of = changed(key);
        Cause { text: format!("{state_of}{:032x}", RowHasher::default().hash(values)), state_of: Some(state_of) }
    }
}

/// What cannot be told of one record starts nothing, and holds up no other.
fn untold(name: &str, started: Result<Option<InstanceId>, Stopped>) -> Result<(), Stopped> {
    match started {
        Err(Stopped::Fault(fault)) if !fault.is_transient() => {
            tracing::warn!(integration = name, code = %fault.code, "{name}: a record starts nothing: {fault}; {}", fault.fix);
            Ok(())
        }
        started => started.map(drop),
    }
}

/// Starts an instance, unless the trigger does not want the record or the cause is known.
async fn start(
    flows: &Flows,
    running: &Running,
    found: &Found,
    cause: &Cause,
    heard: bool,
) -> Result<Option<InstanceId>, Stopped> {
    start_as(flows, running, found, cause, Begun { heard, ..Begun::default() }).await
}

/// The same, with what it begins with.
async fn start_as(
    flows: &Flows,
    running: &Running,
    found: &Found,
    cause: &Cause,
    begun: Begun,
) -> Result<Option<InstanceId>, Stopped> {
    let Found { key, row: record, own } = found;
    if let Some(condition) = &running.program.trigger {
        let zone = &flows.project.hub.time_zone;
        let holds = condition.holds_at(record, flows.store.clock().now(), zone);
        let holds = holds.map_err(|why| {
            Fault::reject(codes::FLOW_FORMULA, format!("`if:` of the trigger cannot be told: {why}"))
                .at_key(key.to_string())
                .fix("correct the record or the formula")
        })?;
        if !holds {
            // The state that it has now is seen all the same: the one before it may come back.
            if running.flow.trigger.updated && cause.state_of.is_some() {
                let causes = vec![(cause.text.clone(), cause.state_of.clone())];
                flows.store.commit_one(Op::Know { integration: running.program.flow.clone(), causes }).await?;
            }
            return Ok(None);
        }
    }
    let begun = Begun { own: own.clone(), ..begun };
    Ok(begin_as(flows, running, key, cause, begun, Vec::new()).await?)
}

/// Begins an instance whatever the trigger says, with who began it and what they filled in, and what else belongs into its
/// commit; nothing where the cause is known.
pub(super) async fn begin_as(
    flows: &Flows,
    running: &Running,
    key: &Key,
    cause: &Cause,
    begun: Begun,
    more: Vec<store::Op>,
) -> Result<Option<InstanceId>, store::Error> {
    let start = starting(flows, running, key, cause, begun);
    let ops = std::iter::once(Op::Start(Box::new(start)).into()).chain(more).collect();
    match flows.store.commit(ops).await?.swap_remove(0) {
        OpResult::Instance(id) => {
            let begun = id.map(|id| flows.store.flow_instance(id)).transpose()?.flatten();
            if begun.is_some_and(|instance| instance.state == Stands::Held) {
                let (name, ceiling) = (&running.program.flow, running.flow.ceiling);
                tracing::warn!(
                    integration = name,
                    "{name} has started {ceiling} times since yesterday, its ceiling: the start for {key} is held"
                );
            }
            Ok(id)
        }
        other => unreachable!("Start answers with an instance, not {other:?}"),
    }
}

/// What an instance begins with, besides its record.
#[derive(Debug, Default)]
pub(super) struct Begun {
    pub heard: bool,
    /// See [`State::own`].
    pub own: Option<String>,
    pub parent: Option<InstanceId>,
    pub requester: Option<String>,
    pub form: Filled,
    /// The first line of its history.
    pub told: Option<NewStep>,
}

/// An instance that is to begin: held where the flow is at its ceiling.
pub(super) fn starting(flows: &Flows, running: &Running, key: &Key, cause: &Cause, begun: Begun) -> Start {
    let name = &running.program.flow;
    let Begun { heard, own, parent, requester, form, told } = begun;
    let parent = parent.map(|parent| parent.0);
    let state = State { own, parent, requester, form, ..State::begin(running.program.first()) };
    Start {
        integration: name.clone(),
        version: running.version,
        entity: running.program.entity.name.to_string(),
        key: key.clone(),
        cause: cause.text.clone(),
        state_of: cause.state_of.clone(),
        heard,
        ceiling: running.flow.ceiling,
        since: a_day_ago(flows),
        at: state.at.clone(),
        data: serde_json::to_string(&state).expect("a state is JSON"),
        steps: told.into_iter().collect(),
    }
}

fn a_day_ago(flows: &Flows) -> Timestamp {
    flows.store.clock().now().checked_sub(DAY).unwrap_or(Timestamp::MIN)
}

/// How many more may start now.
fn room(flows: &Flows, flow: &Flow, name: &str) -> Result<u64, store::Error> {
    Ok(flow.ceiling.saturating_sub(flows.store.flow_started_since(name, a_day_ago(flows))?))
}

async fn release(flows: &Flows, name: &str) -> Result<(), store::Error> {
    let Some((_, flow)) = flows.defined(name) else { return Ok(()) };
    if flows.store.flow_count(name, Stands::Held)? == 0 {
        return Ok(());
    }
    let max = room(flows, flow, name)?;
    if max > 0 {
        flows.store.commit_one(Op::Release { integration: name.to_owned(), max }).await?;
    }
    Ok(())
}
