//! Flows and their steps.

use std::time::Duration;

use super::Trigger;
use crate::units::Wait;

#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    pub entity: String,
    /// The system in which the trigger happens.
    pub in_: String,
    pub trigger: Trigger,
    pub criticality: String,
    /// So many a day.
    pub expected: Option<u64>,
    /// So many a day.
    pub ceiling: u64,
    pub steps: Vec<Step>,
}

impl Flow {
    pub(super) fn systems(&self) -> Vec<&str> {
        fn written<'s>(steps: &'s [Step], found: &mut Vec<&'s str>) {
            for step in steps {
                match &step.kind {
                    StepKind::If { then, otherwise, .. } => {
                        written(then, found);
                        written(otherwise, found);
                    }
                    StepKind::Write { to, .. } => found.push(to),
                    _ => {}
                }
            }
        }
        let mut found = vec![self.in_.as_str()];
        written(&self.steps, &mut found);
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
    Approve(Approval),
    /// Fields of the record that the flow is about.
    Set(Vec<Assignment>),
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
    pub remind: Option<Wait>,
    pub escalate: Option<Escalation>,
    pub deadline: Wait,
    /// `approved` or `rejected`.
    pub deadline_outcome: String,
    /// A change of these fields asks again.
    pub if_changed: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Deciders {
    OneOf(Vec<String>),
    AllOf(Vec<String>),
    SomeOf { who: Vec<String>, at_least: u32 },
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
