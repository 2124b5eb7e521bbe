//! Flows and their steps.

use std::time::Duration;

use record::Type;

use super::{FormField, Trigger};
use crate::units::{Schedule, Wait};

#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    pub entity: String,
    /// The system in which the trigger happens.
    pub in_: String,
    pub trigger: Trigger,
    /// At these times it starts for each record that the trigger wants.
    pub schedule: Option<Schedule>,
    /// An HTTP call starts it.
    pub call: bool,
    /// What whoever starts one fills in; nothing where no form starts it.
    pub form: Option<Vec<FormField>>,
    /// Who may start one with the form; empty: whoever may operate the hub.
    pub started_by: Vec<String>,
    pub criticality: String,
    /// So many a day.
    pub expected: Option<u64>,
    /// So many a day.
    pub ceiling: u64,
    pub steps: Vec<Step>,
}

impl Flow {
    pub(super) fn systems(&self) -> Vec<&str> {
        let others = self.all_steps().into_iter().filter_map(|step| match &step.kind {
            StepKind::Write { to: other, .. } | StepKind::Read { from: other, .. } => Some(other.as_str()),
            _ => None,
        });
        std::iter::once(self.in_.as_str()).chain(others).collect()
    }

    /// Every step, those within others too, in the order in which they stand.
    pub fn all_steps(&self) -> Vec<&Step> {
        fn all<'s>(steps: &'s [Step], found: &mut Vec<&'s Step>) {
            for step in steps {
                found.push(step);
                step.kind.lists().into_iter().for_each(|(_, list)| all(list, found));
            }
        }
        let mut found = Vec::new();
        all(&self.steps, &mut found);
        found
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Stays the same while steps before it come and go: `steps[1].else[0]`.
    pub path: String,
    /// `integrations/credit-limit.yaml:9`.
    pub origin: String,
    pub kind: StepKind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// *Shape*: `condition` is Power Fx without the `=`.
    If {
        condition: String,
        then: Vec<Step>,
        otherwise: Vec<Step>,
    },
    /// *Shape*: `value` is Power Fx without the `=`; its text is compared with the names of the cases.
    Switch {
        value: String,
        cases: Vec<(String, Vec<Step>)>,
        otherwise: Vec<Step>,
    },
    /// For each line in a field of the record.
    ForEach {
        field: String,
        at_most: u32,
        body: Vec<Step>,
    },
    Parallel(Vec<(String, Vec<Step>)>),
    Scope {
        name: String,
        steps: Vec<Step>,
        if_failed: Vec<Step>,
    },
    Child {
        flow: String,
        key: Vec<String>,
        name: Option<String>,
    },
    WaitFor {
        condition: String,
        at_most: Wait,
        name: Option<String>,
    },
    /// Power Fx that gives a date or a time.
    DelayUntil(String),
    Terminate(Given),
    Approve(Approval),
    /// Fields of the record that the flow is about.
    Set(Vec<Assignment>),
    /// Another record, whose fields later formulas read by this name.
    Read {
        name: String,
        entity: String,
        from: String,
        key: Vec<String>,
    },
    Write {
        entity: String,
        to: String,
        key: Vec<String>,
        set: Vec<Assignment>,
    },
    Notify {
        to: Given,
        text: Given,
    },
    Wait(Wait),
}

impl StepKind {
    /// The lists of steps within this one, each with the part of the path that leads to it.
    pub fn lists(&self) -> Vec<(String, &[Step])> {
        match self {
            StepKind::If { then, otherwise, .. } => {
                vec![("then".to_owned(), then.as_slice()), ("else".to_owned(), otherwise)]
            }
            StepKind::Switch { cases, otherwise, .. } => cases
                .iter()
                .map(|(name, steps)| (format!("cases.{name}"), steps.as_slice()))
                .chain([("default".to_owned(), otherwise.as_slice())])
                .collect(),
            StepKind::ForEach { body, .. } => vec![("do".to_owned(), body)],
            StepKind::Parallel(branches) => {
                branches.iter().map(|(name, steps)| (format!("parallel.{name}"), steps.as_slice())).collect()
            }
            StepKind::Scope { steps, if_failed, .. } => {
                vec![("steps".to_owned(), steps.as_slice()), ("if_failed".to_owned(), if_failed)]
            }
            StepKind::Child { .. }
            | StepKind::WaitFor { .. }
            | StepKind::DelayUntil(_)
            | StepKind::Terminate(_)
            | StepKind::Approve(_)
            | StepKind::Set(_)
            | StepKind::Read { .. }
            | StepKind::Write { .. }
            | StepKind::Notify { .. }
            | StepKind::Wait(_) => Vec::new(),
        }
    }

    /// The name by which later steps read what came of it.
    pub fn answer(&self) -> Option<&str> {
        match self {
            StepKind::Approve(approval) => Some(&approval.name),
            StepKind::Scope { name, .. } | StepKind::Read { name, .. } => Some(name),
            StepKind::Child { name, .. } | StepKind::WaitFor { name, .. } => name.as_deref(),
            _ => None,
        }
    }
}

/// Whether a step that reads a record gives later formulas fields of this type: one value, and no other record.
pub fn read_by_a_step(ty: &Type) -> bool {
    !matches!(ty, Type::Lines(_) | Type::Reference { .. } | Type::Choices { .. })
}

/// A fixed text, or Power Fx without the `=`.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    Fixed(record::Value),
    Formula(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    pub field: String,
    pub value: Given,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    pub name: String,
    pub ask: Given,
    pub of: Deciders,
    /// Power Fx that gives a person who may not decide.
    pub not: Option<String>,
    pub comment: CommentNeeded,
    /// What is filled in with the answer.
    pub form: Vec<FormField>,
    pub remind: Option<Wait>,
    pub escalate: Option<Escalation>,
    pub deadline: Wait,
    /// `approved` or `rejected`.
    pub deadline_outcome: String,
    /// A change of these fields asks again.
    pub if_changed: Vec<String>,
}

/// Whether an answer has to say why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommentNeeded {
    Optional,
    Required,
    RequiredToReject,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Deciders {
    OneOf(Vec<String>),
    AllOf(Vec<String>),
    /// All of them, one after the other.
    InOrder(Vec<String>),
    SomeOf {
        who: Vec<String>,
        at_least: u32,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Escalation {
    pub after: Wait,
    pub to: Vec<String>,
}

impl Default for Flow {
    fn default() -> Flow {
        Flow {
            entity: String::new(),
            in_: String::new(),
            trigger: Trigger { created: false, updated: false, deleted: false, columns: Vec::new(), if_: None },
            schedule: None,
            call: false,
            form: None,
            started_by: Vec::new(),
            criticality: String::new(),
            expected: None,
            ceiling: 0,
            steps: Vec::new(),
        }
    }
}

impl Default for Wait {
    fn default() -> Wait {
        Wait::Elapsed(Duration::ZERO)
    }
}
