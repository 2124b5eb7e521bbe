//! What people do with instances: start, answer, cancel, retry, skip, move to another version.
//!
//! Each is one commit under the revision that was seen, so that two people at once never both count; with its entry in
//! the audit log.

use definition::{FormField, Pattern, Project};
use record::{Fault, Key};
use serde_json::json;
use store::approvals::{self, Approval, Kind};
use store::audit::Actor;
use store::flows::{Instance, InstanceId, Move, NewStep, Op, State as Stands};
use store::{Refusal, Store, journal};

use super::children::end_children;
use super::decide::{NotTaken, People, Said, skipped, vote};
use super::form::{self, Filled, Wrong};
use super::intake;
use super::running::Flows;
use super::shown::form_of;
use super::state::{Doing, State};
use super::work::{step, told};
use crate::codes;
use crate::compile::Systems;

/// How often a commit is tried anew because somebody else was quicker.
const TRIES: usize = 20;

/// Why nothing was done.
#[derive(Debug)]
pub enum Refused {
    Fault(Box<Fault>),
    NotTaken(NotTaken),
    /// What was filled in cannot be taken.
    Form(Vec<Wrong>),
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

/// Whether somebody may start a flow with its form: where it names people, one of them.
pub fn may_start(people: &People, flow: &definition::Flow, person: &str) -> bool {
    let of = people.resolve(&flow.started_by);
    let person = people.person(person);
    flow.started_by.is_empty() || of.iter().any(|name| *name == person || name.starts_with("group:"))
}

/// Starts an instance by hand, for a record that there is, with what was filled in: texts by field.
/// `by` is who it is for, as in people.yaml, and `actor` whose deed it is.
///
/// *Errors*: a form that is not filled in rightly, somebody who may not start it, a record that is not there.
pub async fn start(
    flows: &Flows,
    name: &str,
    key: &Key,
    by: &str,
    actor: &Actor,
    given: &[(String, String)],
) -> Result<InstanceId, Refused> {
    let people = flows.people_now()?;
    let by = people.person(by);
    let form = flows.defined(name).and_then(|(_, flow)| flow.form.clone()).unwrap_or_default();
    if let Some((_, flow)) = flows.defined(name).filter(|(_, flow)| !may_start(&people, flow, &by)) {
        let of = people.resolve(&flow.started_by);
        return Err(Fault::ask_person(codes::NOT_A_STARTER, format!("{by} may not start `{name}`"))
            .fix(format!("one of these starts it: {}", of.join(", ")))
            .into());
    }
    let zone = &flows.project.hub.time_zone;
    let filled = form::take(&form, given, None, zone).map_err(Refused::Form)?;
    let home = flows.defined(name).map(|(_, flow)| flow.in_.as_str());
    let missing = form::there(&flows.project, &*flows.systems, home, &form, &filled).await?;
    if !missing.is_empty() {
        return Err(Refused::Form(missing));
    }
    let version = flows.keep(name).await?;
    let running = flows.running(name, version).await?;
    let Some(found) = running.reader.get(key).await? else {
        let what = format!("`{}` has no {} {key}", running.flow.in_, running.program.entity.name);
        return Err(Fault::ask_person(codes::FLOW_RECORD, what)
            .at_system(&running.flow.in_)
            .at_key(key.to_string())
            .fix("give the key of a record that is there")
            .into());
    };
    let cause = intake::Cause::once(format!("by hand {by} {}", flows.store.clock().now()));
    let first = match form::told(&form, &filled, zone) {
        filled if filled.is_empty() => "started".to_owned(),
        filled => format!("started: {filled}"),
    };
    let told = Some(NewStep { path: String::new(), what: first, person: Some(by.clone()) });
    let did = actor.did("flow start", name).with(json!({ "by": by }));
    let begun = intake::Begun { own: found.own, requester: Some(by), form: filled, told, ..intake::Begun::default() };
    let id = intake::begin_as(flows, &running, key, &cause, begun, vec![did.op()]).await?;
    id.ok_or(Refused::NoInstance)
}

/// The instance and the name of the decision that an approval is about.
pub fn subject_of(approval: &Approval) -> Option<(InstanceId, &str)> {
    let (id, name) = approval.subject.split_once('/')?;
    (approval.kind == Kind::Flow).then_some((InstanceId(id.parse().ok()?), name))
}

/// An answer to a question.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// As in people.yaml.
    pub by: &'a str,
    pub approve: bool,
    pub comment: Option<&'a str>,
    /// What was filled in with it: texts by field.
    pub fields: &'a [(String, String)],
}

/// Somebody answers the approval of a flow; `more` is committed with it. Answers the outcome, where theirs made it.
pub async fn answer(
    project: &Project,
    systems: &dyn Systems,
    store: &Store,
    approval: &Approval,
    answer: &Answer<'_>,
    more: Vec<store::Op>,
) -> Result<Option<bool>, Refused> {
    let Answer { by, approve, comment, fields } = *answer;
    let (id, name) = subject_of(approval).ok_or(Refused::NoInstance)?;
    let people = super::running::people_now(project, store)?;
    let (form, filled, wrong) = filled(project, systems, approval, approve, fields).await?;
    let words = form::told(&form, &filled, &project.hub.time_zone);
    let said = Said { comment, filled: Some((&filled, &words)) };
    for _ in 0..TRIES {
        let now_open = store.approval(approval.id)?.is_some_and(|now| now.state == approvals::State::Open);
        let instance = store.flow_instance(id)?.ok_or(Refused::NoInstance)?;
        let state = read(&instance)?;
        let taken = vote(&state, name, by, approve, said, &people, store.clock().now());
        let voted = match taken {
            Ok(voted) if now_open && wrong.is_empty() => voted,
            // What is wrong with the form matters to whoever may answer.
            Ok(_) if now_open => return Err(Refused::Form(wrong.clone())),
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

/// The form of a question, what was filled in, and what is wrong with it.
async fn filled(
    project: &Project,
    systems: &dyn Systems,
    approval: &Approval,
    approve: bool,
    given: &[(String, String)],
) -> Result<(Vec<FormField>, Filled, Vec<Wrong>), Refused> {
    let form: Vec<FormField> = form_of(approval).into_iter().map(|(field, _)| field).collect();
    Ok(match form::take(&form, given, Some(approve), &project.hub.time_zone) {
        Err(wrong) => (form, Filled::new(), wrong),
        Ok(filled) => {
            let home = project.integration(&approval.integration).and_then(|integration| match &integration.pattern {
                Pattern::Flow(flow) => Some(flow.in_.as_str()),
                _ => None,
            });
            let missing = form::there(project, systems, home, &form, &filled).await?;
            (form, filled, missing)
        }
    })
}

/// Ends an instance, with a reason.
pub async fn cancel(store: &Store, id: InstanceId, by: &Actor, why: &str) -> Result<(), Refused> {
    change(store, id, Deed { by, action: "flow cancel", why: Some(why), version: None }, |instance, state| {
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
pub async fn retry(store: &Store, id: InstanceId, by: &Actor) -> Result<(), Refused> {
    change(store, id, Deed { by, action: "flow retry", why: None, version: None }, |instance, state| {
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
pub async fn skip(flows: &Flows, id: InstanceId, by: &Actor, why: &str) -> Result<(), Refused> {
    let instance = flows.store.flow_instance(id)?.ok_or(Refused::NoInstance)?;
    let running = flows.running(&instance.integration, instance.version).await?;
    change(&flows.store, id, Deed { by, action: "flow skip", why: Some(why), version: None }, |instance, state| {
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
pub async fn migrate(flows: &Flows, id: InstanceId, version: u32, by: &Actor) -> Result<(), Refused> {
    let instance = flows.store.flow_instance(id)?.ok_or(Refused::NoInstance)?;
    let running = flows.running(&instance.integration, version).await?;
    change(
        &flows.store,
        id,
        Deed { by, action: "flow migrate", why: None, version: Some(version) },
        |instance, state| {
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
        },
    )
    .await
}

/// What somebody does to an instance, as the audit log has it. The history of the instance has it too, by the same name.
struct Deed<'a> {
    by: &'a Actor,
    action: &'a str,
    why: Option<&'a str>,
    version: Option<u32>,
}

impl Deed<'_> {
    fn op(&self, instance: &Instance) -> store::Op {
        let mut detail = json!({ "instance": instance.id.0 });
        if let Some(version) = self.version {
            detail["version"] = json!(version);
        }
        self.by.did(self.action, &*instance.integration).because(self.why).with(detail).op()
    }
}

async fn change(
    store: &Store,
    id: InstanceId,
    deed: Deed<'_>,
    to: impl Fn(&Instance, &State) -> Result<(Move, String), Refused>,
) -> Result<(), Refused> {
    for _ in 0..TRIES {
        let instance = store.flow_instance(id)?.ok_or(Refused::NoInstance)?;
        let state = read(&instance)?;
        let (mut to, what) = to(&instance, &state)?;
        let path = instance.at.clone().unwrap_or_default();
        let by = &deed.by.name;
        let note = super::decide::Note { path: path.clone(), what: what.clone(), by: Some(by.clone()) };
        to.steps = vec![NewStep { path, what: what.clone(), person: Some(by.clone()) }];
        let ends = to.state.is_over();
        let after: State = serde_json::from_str(&to.data).unwrap_or_else(|_| state.clone());
        let asks = |of: &State, name: &str| of.asking().any(|(_, asking)| asking.name == name);
        // Questions that do not stand any more.
        let closed: Vec<String> =
            state.asking().map(|(_, asking)| asking.name.clone()).filter(|name| ends || !asks(&after, name)).collect();
        let mut ops: Vec<store::Op> = vec![
            Op::Move(Box::new(to)).into(),
            journal::Op::Note(vec![told(&instance, &note)]).into(),
            deed.op(&instance),
        ];
        if !closed.is_empty() {
            ops.extend(withdraw(store, &instance, &closed)?);
        }
        if ends {
            ops.extend(end_children(store, &instance, &state, Some(by), &what)?);
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
pub(super) fn withdraw(store: &Store, instance: &Instance, names: &[String]) -> Result<Vec<store::Op>, store::Error> {
    let named = |name: &str| names.iter().any(|closed| closed.is_empty() || closed == name);
    let mine = |approval: &Approval| {
        approval.integration == instance.integration
            && subject_of(approval).is_some_and(|(id, name)| id == instance.id && named(name))
    };
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let asked = store.approvals_about(&instance.integration, &format!("{}/", instance.id))?;
    // Also where somebody has answered, and nothing has come of that yet: an answer that stands would be found again.
    let stands = |approval: &Approval| matches!(approval.state, approvals::State::Open | approvals::State::Approved);
    let close = asked.into_iter().filter(stands).filter(mine).map(|approval| {
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
