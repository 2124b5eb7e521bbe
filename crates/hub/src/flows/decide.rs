//! What an instance of a flow does next. Pure: everything that it knows comes in, everything that it wants goes out.
//!
//! An approval is passed by an outcome only: by enough answers of people who were asked, or by its deadline, which has an
//! outcome of its own. Nothing else moves an instance past it. Parallel branches are ways that are walked in turn; one
//! thing is wanted outside at a time.

mod asking;
mod people;
mod walk;

use std::collections::BTreeMap;

use definition::Calendar;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use record::{Fault, Row, Value};
use serde_json::Value as Json;

use super::form::Filled;
use super::program::{Program, What};
use super::state::{Decision, Doing, State};

pub use asking::{NotTaken, Said, Voted, vote};
pub use people::{Away, People, is_channel};

pub const APPROVED: &str = "approved";
pub const REJECTED: &str = "rejected";
/// Who decided, where nobody answered in time.
pub const DEADLINE: &str = "deadline";

/// Who decided, as a sentence names them.
pub fn decider(by: &str) -> &str {
    if by == DEADLINE { "the deadline" } else { by }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Time has passed, or it has just begun.
    Go,
    /// What the last answer wanted done outside is done.
    Done,
}

/// Everything that a decision is made from, besides the instance.
pub struct Sight<'a> {
    pub program: &'a Program,
    pub people: &'a People,
    /// In the columns of [`Program::sight`]; what the instance has set and decided is laid over it.
    pub record: &'a Row,
    /// How child flows have ended, by their cause.
    pub children: &'a BTreeMap<String, &'static str>,
    /// With [`Event::Done`] of a step that reads: the record by its fields; nothing where there is none.
    pub found: Option<&'a Filled>,
    /// The steps whose systems have just not answered: others go first.
    pub silent: &'a [String],
    pub now: Timestamp,
    pub calendar: &'a Calendar,
    pub zone: &'a TimeZone,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A question is put. It takes the place of an earlier one of the same name.
    Ask {
        name: String,
        text: String,
        of: Vec<String>,
        deadline: Timestamp,
        /// What is filled in with the answer, as [`super::form::kept`] has it.
        form: Json,
        /// The record as it is shown: with what the instance has set, what was filled in, and what was decided.
        shown: Box<Row>,
    },
    /// Others may answer a question that stands: these.
    Pass { name: String, of: Vec<String> },
    /// Nobody has to answer any more.
    Close { name: String, approved: Option<bool>, by: String, comment: Option<String> },
    /// Somebody is to hear this.
    Tell { to: Vec<String>, text: String, why: &'static str, decision: Option<String> },
    /// Another flow begins for a record; it is known by this cause.
    Begin { flow: String, key: Vec<Value>, cause: String },
    /// A child that is under way ends, with everything that it waits for.
    Stop { flow: String, cause: String },
    /// Fields of the record, in the system where it came from; [`Event::Done`] follows.
    Set(Vec<(String, Value)>),
    /// Another record is read; [`Event::Done`] follows, with it in [`Sight::found`].
    Read { entity: String, from: String, key: Vec<Value> },
    /// Fields of another record; [`Event::Done`] follows.
    Write { entity: String, to: String, key: Vec<Value>, set: Vec<(String, Value)> },
}

impl Effect {
    /// Whether it is done in another system.
    pub fn is_outside(&self) -> bool {
        matches!(self, Effect::Set(_) | Effect::Read { .. } | Effect::Write { .. })
    }
}

/// A line of the history of an instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    pub path: String,
    pub what: String,
    /// A person, where one did it.
    pub by: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    pub state: State,
    pub effects: Vec<Effect>,
    pub notes: Vec<Note>,
    /// When to look again without being asked.
    pub wake: Option<Timestamp>,
}

/// A step that cannot be done.
#[derive(Debug, Clone)]
pub struct Stuck {
    /// The path of the step.
    pub at: String,
    pub fault: Fault,
    /// What was done before it.
    pub reached: Box<Decided>,
}

/// What comes next.
///
/// *Errors*: what time does not mend: a formula without a value, nobody who may decide.
pub fn decide(state: &State, event: Event, sight: &Sight<'_>) -> Result<Decided, Box<Stuck>> {
    walk::walk(state, event, sight)
}

/// The path of the step that wants something done outside, after [`decide`] has said so: the first one that is not `silent`.
pub fn outside<'s>(state: &'s State, program: &Program, silent: &[String]) -> Option<&'s str> {
    let wants = |at: &str| {
        let step = program.index(at).map(|at| &program.steps[at].what);
        matches!(step, Some(What::Set(_) | What::Read { .. } | What::Write { .. }))
    };
    state.ways().find_map(|(_, at, doing)| {
        at.filter(|at| *doing == Doing::Ready && wants(at) && !silent.iter().any(|silent| silent == at))
    })
}

/// How an instance goes on where a step has failed for good: at what its scope says for that. Nothing where no scope does.
pub fn rescued(state: &State, program: &Program, at: &str, fault: &Fault, now: Timestamp) -> Option<Decided> {
    let handler = program.handler(program.index(at)?)?;
    let mut state = state.clone();
    let within = |path: &str| path.strip_prefix(&*handler.path).is_some_and(|rest| rest.starts_with('.'));
    // Whatever goes on within the scope ends with it.
    let mut effects = Vec::new();
    for (path, asking) in state.asking().filter(|(path, _)| within(path)) {
        debug_assert!(!path.is_empty());
        let name = asking.name.clone();
        effects.push(Effect::Close { name, approved: None, by: "failure".to_owned(), comment: None });
    }
    let under_way = state.ways().filter(|(_, at, _)| at.is_some_and(within));
    effects.extend(under_way.filter_map(|(_, _, doing)| match doing {
        Doing::Child { flow, cause } => Some(Effect::Stop { flow: flow.clone(), cause: cause.clone() }),
        _ => None,
    }));
    state.branches.retain(|way, _| !within(way));
    state.loops.retain(|head, _| !within(head));
    let owner =
        state.branches.keys().filter(|way| handler.path.starts_with(&format!("{way}["))).max_by_key(|way| way.len());
    let owner = owner.cloned().unwrap_or_default();
    let (way, doing) = state.way(&owner)?;
    *way = program.path(handler.to);
    *doing = Doing::Ready;
    let failed = Decision {
        outcome: "failed".to_owned(),
        by: fault.code.0.to_owned(),
        comment: Some(fault.what.clone()),
        fields: BTreeMap::new(),
        at: now,
    };
    state.decisions.insert(handler.scope.clone(), failed);
    let what = format!("failed: {fault}; {} goes on with `if_failed`", handler.scope);
    let notes = vec![Note { path: at.to_owned(), what, by: None }];
    Some(Decided { state, effects, notes, wake: Some(now) })
}

/// An instance past a step that somebody leaves out. *Errors*: why that step cannot be left out.
pub fn skipped(state: &State, program: &Program, at: &str) -> Result<State, &'static str> {
    let Some(index) = program.index(at) else { return Err("this version of the flow does not have it") };
    let next = match &program.steps[index].what {
        What::Approve(_) => return Err("an approval is decided, and not left out"),
        What::Test { .. } | What::Choose { .. } => return Err("it says which way to go"),
        What::Fork { .. } | What::Join | What::Enter | What::Leave { .. } | What::Jump(_) => {
            return Err("it holds other steps");
        }
        What::Each { after, .. } => *after,
        What::Set(_)
        | What::Read { .. }
        | What::Write { .. }
        | What::Notify { .. }
        | What::Wait(_)
        | What::WaitFor { .. }
        | What::Until(_)
        | What::Child { .. }
        | What::End(_) => index + 1,
    };
    let mut state = state.clone();
    let way = state.ways().find(|(_, path, _)| *path == Some(at)).map(|(name, ..)| name.to_owned());
    let (path, doing) = way.as_deref().and_then(|way| state.way(way)).ok_or("the instance is not there")?;
    *path = program.path(next);
    *doing = Doing::Ready;
    Ok(state)
}

#[cfg(test)]
mod tests;
