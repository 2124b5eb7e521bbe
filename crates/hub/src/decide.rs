//! Who may answer a question, and the answer.

use definition::Project;
use jiff::Timestamp;
use record::Fault;
use store::approvals::{Approval, Op, State};
use store::{Refusal, Store};

use crate::compile::Systems;
use crate::error::Error;
pub use crate::flows::Answer;
use crate::flows::{self, decide::NotTaken, form::Wrong};

/// Why an answer does not count. Nothing was decided.
#[derive(Debug, Clone, PartialEq)]
pub enum NotDecided {
    /// Somebody else was asked: these.
    NotAsked { asked: Vec<String> },
    /// It was to be answered until then.
    Expired { at: Timestamp },
    /// The question does not stand any more: it was decided or superseded.
    Closed { state: State, by: Option<String>, at: Option<Timestamp> },
    /// They answer in order: this one first.
    NotYet { first: String },
    /// The answer has to say why.
    NoComment,
    /// What was filled in cannot be taken.
    Form(Vec<Wrong>),
    /// Whether what was filled in is there cannot be told now.
    Unanswered(Box<Fault>),
}

/// Who may answer. A group with members is asked as these members; *shape*: empty where everybody may, since a group
/// that is an address only cannot tell who belongs to it.
pub fn asked<'p>(project: &'p Project, approval: &Approval) -> Vec<&'p str> {
    if flows::subject_of(approval).is_some() {
        // Its people are named one by one.
        let of = |id: &&str| approval.asked_of.split(", ").any(|asked| asked == *id);
        return project.people.iter().map(|person| person.id.as_str()).filter(of).collect();
    }
    let asked = approval.asked_of.trim_start_matches("group:");
    match project.groups.iter().find(|group| group.id == asked) {
        Some(group) => group.members.iter().map(String::as_str).collect(),
        None => project.people.iter().filter(|person| person.id == asked).map(|person| person.id.as_str()).collect(),
    }
}

/// Says yes or no to a question, as a person of people.yaml; `more` is committed with the answer.
///
/// *Errors*: of our own state.
pub async fn decide(
    project: &Project,
    systems: &dyn Systems,
    store: &Store,
    approval: &Approval,
    answer: &Answer<'_>,
    more: Vec<store::Op>,
) -> Result<Result<(), NotDecided>, Error> {
    if flows::subject_of(approval).is_some() {
        return of_flow(project, systems, store, approval, answer, more).await;
    }
    let Answer { by, approve, comment, .. } = *answer;
    let asked = asked(project, approval);
    if !asked.is_empty() && !asked.contains(&by) {
        return Ok(Err(NotDecided::NotAsked { asked: asked.into_iter().map(str::to_owned).collect() }));
    }
    let op = Op::Decide { id: approval.id, approve, by: by.to_owned(), comment: comment.map(str::to_owned) };
    let ops = std::iter::once(op.into()).chain(more).collect();
    match store.commit(ops).await {
        Err(error) if matches!(error.refusal(), Some(Refusal::ApprovalState { .. })) => {
            let now = store.approval(approval.id)?;
            let now = now.unwrap_or_else(|| approval.clone());
            Ok(Err(match now.expires.filter(|_| now.has_expired(store.clock().now())) {
                Some(at) => NotDecided::Expired { at },
                None => NotDecided::Closed { state: now.state, by: now.decided_by, at: now.decided },
            }))
        }
        result => Ok(Ok(result.map(drop)?)),
    }
}

/// The answer to a question of a flow, which goes by the flow's own rules.
async fn of_flow(
    project: &Project,
    systems: &dyn Systems,
    store: &Store,
    approval: &Approval,
    answer: &Answer<'_>,
    more: Vec<store::Op>,
) -> Result<Result<(), NotDecided>, Error> {
    let by = answer.by;
    let closed = |by: Option<String>, at: Option<Timestamp>| -> Result<NotDecided, Error> {
        let now = store.approval(approval.id)?.unwrap_or_else(|| approval.clone());
        Ok(NotDecided::Closed { state: now.state, by: by.or(now.decided_by), at: at.or(now.decided) })
    };
    Ok(match flows::answer(project, systems, store, approval, answer, more).await {
        Ok(_) => Ok(()),
        Err(flows::Refused::Store(error)) => return Err(error.into()),
        Err(flows::Refused::NotTaken(NotTaken::NotAsked { of })) => Err(NotDecided::NotAsked { asked: of }),
        Err(flows::Refused::NotTaken(NotTaken::Excluded)) => {
            let others = asked(project, approval).into_iter().filter(|who| *who != by).map(str::to_owned);
            Err(NotDecided::NotAsked { asked: others.collect() })
        }
        Err(flows::Refused::NotTaken(NotTaken::Decided { by, at })) => Err(closed(Some(by), Some(at))?),
        Err(flows::Refused::NotTaken(NotTaken::NotYet { first })) => Err(NotDecided::NotYet { first }),
        Err(flows::Refused::NotTaken(NotTaken::NoComment)) => Err(NotDecided::NoComment),
        Err(flows::Refused::Form(wrong)) => Err(NotDecided::Form(wrong)),
        Err(flows::Refused::Fault(fault)) => Err(NotDecided::Unanswered(fault)),
        Err(_) => Err(closed(None, None)?),
    })
}
