//! What people do with instances: start, answer, cancel, retry, skip, move to another version.
//!
//! Each is one commit under the revision that was seen, so that two people at once never both count.

use record::{Fault, Key};
use serde_json::json;
use store::approvals::{self, Approval, Kind};
use store::flows::{Instance, InstanceId, Move, NewStep, Op, State as Stands};
use store::{Refusal, Store, journal};

use super::decide::{NotTaken, People, skipped, vote};
use super::intake;
use super::running::Flows;
use super::state::{Doing, State};
use super::work::{step, told};
use crate::codes;

/// How often a commit is tried anew because somebody else was quicker.
const TRIES: usize = 20;

/// Why nothing was done.
#[derive(Debug)]
pub enum Refused {
    Fault(Box<Fault>),
    NotTaken(NotTaken),
    /// The instance is not in a state in which this can be done.
    State(Stands),
    NoInstance,
    /// The step of the instance is not in this version.
    NoStep(String),
    /// The step cannot be left out, and why.
    NotSkipped(String, &'static str),
    Store(store::Error),
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Refused {
        Refused::Store(error)
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Refused {
        Refused::Fault(Box::new(fault))
    }
}

/// Starts an instance by hand, for a record that there is.
pub async fn start(flows: &Flows, name: &str, key: &Key, by: &str) -> Result<InstanceId, Refused> {
    let version = flows.keep(name).await?;
    let running = flows.running(name, version).await?;
    if running.reader.get(key).await?.is_none() {
        let what = format!("`{}` has no {} {key}", running.flow.in_, running.program.entity.name);
        return Err(Fault::ask_person(codes::FLOW_RECORD, what)
            .at_system(&running.flow.in_)
            .at_key(key.to_string())
            .fix("give the key of a record that is there")
            .into());
    }
    let cause = format!("by hand {by} {}", flows.store.clock().now());
    let id = intake::begin(flows, &running, key, &cause, false).await?;
    id.ok_or(Refused::NoInstance)
}

/// The instance and the name of the decision that an approval is about.
pub fn subject_of(approval: &Approval) -> Option<(InstanceId, &str)> {
    let (id, name) = approval.subject.split_once('/')?;
    (approval.kind == Kind::Flow).then_some((InstanceId(id.parse().ok()?), name))
}

/// Somebody answers the approval of a flow; `more` is committed with it. Answers the outcome, where theirs made it.
pub async fn answer(
    store: &Store,
    people: &People,
    approval: &Approval,
    by: &str,
    approve: bool,
    comment: Option<&str>,
    more: Vec<store::Op>,
) -> Result<Option<bool>, Refused> {
    let (id, name) = subject_of(approval).ok_or(Refused::NoInstance)?;
    for _ in 0..TRIES {
        let now_open = store.approval(approval.id)?.is_some_and(|now| now.state == approvals::State::Open);
        let instance = store.flow_instance(id)?.ok_or(Refused::NoInstance)?;
        let state = read(&instance)?;
        let taken = vote(&state, name, by, approve, comment, people, store.clock().now());
        let voted = match taken {
            Ok(voted) if now_open => voted,
            // It asks something else by now.
            Ok(_) => return Err(Refused::NotTaken(NotTaken::NothingAsked)),
            Err(why) => return Err(Refused::NotTaken(why)),
        };
        let by = voted.note.by.clone().unwrap_or_default();
        let note = told(&instance, &voted.note);
        let mut to = moved(&instance, &voted.state);
        to.wake = Some(store.clock().now());
        to.steps = vec![step(voted.note)];
        let mut ops: Vec<store::Op> = vec![Op::Move(Box::new(to)).into(), journal::Op::Note(vec![note]).into()];
        if let Some(approve) = voted.outcome {
            let comment = comment.map(str::to_owned);
            ops.push(approvals::Op::Decide { id: approval.id, approve, by, comment }.into());
        }
        ops.extend(more.iter().cloned());
        match store.commit(ops).await {
            Err(error)
                if matches!(error.refusal(), Some(Refusal::FlowMoved { .. } | Refusal::ApprovalState { .. })) => {}
            result => return result.map(|_| voted.outcome).map_err(Refused::from),
        }
    }
    Err(Refused::Store(store::Error::Overloaded { waiting: TRIES }))
}

/// Ends an instance, with a reason.
pub async fn cancel(store: &Store, id: InstanceId, by: &str, why: &str) -> Result<(), Refused> {
    change(store, id, by, |instance, state| {
        if instance.state.is_over() {
            return Err(Refused::State(instance.state));
        }
        let mut to = moved(instance, state);
        to.state = Stands::Cancelled;
        to.wake = None;
        Ok((to, format!("cancelled: {why}")))
    })
    .await
}

/// Lets an instance that failed try its step again.
pub async fn retry(store: &Store, id: InstanceId, by: &str) -> Result<(), Refused> {
    change(store, id, by, |instance, state| {
        if instance.state != Stands::Failed && instance.problem.is_none() {
            return Err(Refused::State(instance.state));
        }
        let mut to = moved(instance, state);
        to.state = Stands::Running;
        to.wake = Some(store.clock().now());
        Ok((to, "tried again".to_owned()))
    })
    .await
}

/// Leaves out the step at which an instance has failed, with a reason.
pub async fn skip(flows: &Flows, id: InstanceId, by: &str, why: &str) -> Result<(), Refused> {
    let instance = flows.store.flow_instance(id)?.ok_or(Refused::NoInstance)?;
    let running = flows.running(&instance.integration, instance.version).await?;
    change(&flows.store, id, by, |instance, state| {
        if instance.state != Stands::Failed && instance.problem.is_none() {
            return Err(Refused::State(instance.state));
        }
        let problem: serde_json::Value =
            instance.problem.as_ref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let at = problem["step"].as_str().or(instance.at.as_deref()).unwrap_or_default().to_owned();
        let next = skipped(state, &running.program, &at).map_err(|why| Refused::NotSkipped(at.clone(), why))?;
        let mut to = moved(instance, &next);
        to.state = Stands::Running;
        to.wake = Some(flows.store.clock().now());
        Ok((to, format!("skipped {at}: {why}")))
    })
    .await
}

/// Lets an instance go on with another version of its flow, where that has the step at which it stands.
pub async fn migrate(flows: &Flows, id: InstanceId, version: u32, by: &str) -> Result<(), Refused> {
    let instance = flows.store.flow_instance(id)?.ok_or(Refused::NoInstance)?;
    let running = flows.running(&instance.integration, version).await?;
    change(&flows.store, id, by, |instance, state| {
        if instance.state.is_over() {
            return Err(Refused::State(instance.state));
        }
        let is_missing = |at: &&str| running.program.index(at).is_none();
        if let Some(at) = state.ways().filter_map(|(_, at, _)| at).find(is_missing) {
            return Err(Refused::NoStep(at.to_owned()));
        }
        let mut state = state.clone();
        // What was asked by the old words is asked anew.
        for doing in state.branches.values_mut().map(|branch| &mut branch.doing).chain([&mut state.doing]) {
            if matches!(doing, Doing::Asking(_)) {
                *doing = Doing::Ready;
            }
        }
        let mut to = moved(instance, &state);
        to.version = version;
        to.state = if instance.state == Stands::Held { Stands::Held } else { Stands::Running };
        to.wake = (to.state == Stands::Running).then(|| flows.store.clock().now());
        Ok((to, format!("goes on with version {version}, begun with version {}", instance.version)))
    })
    .await
}

async fn change(
    store: &Store,
    id: InstanceId,
    by: &str,
    to: impl Fn(&Instance, &State) -> Result<(Move, String), Refused>,
) -> Result<(), Refused> {
    for _ in 0..TRIES {
        let instance = store.flow_instance(id)?.ok_or(Refused::NoInstance)?;
        let state = read(&instance)?;
        let (mut to, what) = to(&instance, &state)?;
        let path = instance.at.clone().unwrap_or_default();
        let note = super::decide::Note { path: path.clone(), what: what.clone(), by: Some(by.to_owned()) };
        to.steps = vec![NewStep { path, what, person: Some(by.to_owned()) }];
        let ends = to.state.is_over();
        let after: State = serde_json::from_str(&to.data).unwrap_or_else(|_| state.clone());
        let asks = |of: &State, name: &str| of.asking().any(|(_, asking)| asking.name == name);
        // Questions that do not stand any more.
        let closed: Vec<String> =
            state.asking().map(|(_, asking)| asking.name.clone()).filter(|name| ends || !asks(&after, name)).collect();
        let mut ops: Vec<store::Op> =
            vec![Op::Move(Box::new(to)).into(), journal::Op::Note(vec![told(&instance, &note)]).into()];
        if !closed.is_empty() {
            ops.extend(withdraw(store, &instance, &closed)?);
        }
        if let Some(parent) = state.parent.filter(|_| ends) {
            ops.push(Op::Wake { id: InstanceId(parent) }.into());
        }
        match store.commit(ops).await {
            Err(error) if matches!(error.refusal(), Some(Refusal::FlowMoved { .. })) => {}
            result => return result.map(drop).map_err(Refused::from),
        }
    }
    Err(Refused::Store(store::Error::Overloaded { waiting: TRIES }))
}

/// Closes questions that an instance has put; one without a name is from before questions had one.
fn withdraw(store: &Store, instance: &Instance, names: &[String]) -> Result<Vec<store::Op>, store::Error> {
    let named = |name: &str| names.iter().any(|closed| closed.is_empty() || closed == name);
    let mine = |approval: &Approval| {
        approval.integration == instance.integration
            && subject_of(approval).is_some_and(|(id, name)| id == instance.id && named(name))
    };
    let open = store.approvals(false, 1_000)?.into_iter().filter(mine);
    let close = open.map(|approval| {
        let (integration, subject) = (approval.integration, approval.subject);
        approvals::Op::Withdraw { integration, kind: Kind::Flow, subject }.into()
    });
    Ok(close.collect())
}

fn read(instance: &Instance) -> Result<State, Refused> {
    serde_json::from_str(&instance.data).map_err(|why| {
        let what = format!("what is kept of instance {} cannot be read: {why}", instance.id);
        Fault::ask_person(codes::FLOW_VERSION, what).fix("use the Ironbridge that wrote it").into()
    })
}

/// An instance as it is, with this state.
fn moved(instance: &Instance, state: &State) -> Move {
    Move { at: state.at.clone(), data: json!(state).to_string(), ..Move::of(instance) }
}
