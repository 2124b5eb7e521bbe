//! Integrations by their patterns.

use std::time::Duration;

use record::Decimal;

use super::{Flow, StepKind};
use crate::units::{MinRows, NeededBy, Schedule};

/// Moves one entity, or several of one snapshot, by one pattern.
#[derive(Debug, Clone)]
pub struct Integration {
    pub name: String,
    pub owner: String,
    pub purpose: String,
    pub pattern: Pattern,
    pub dead_letters: DeadLetterRules,
    /// The team's own page, where `runbooks/<name>.md` exists. *Shape*: a path relative to the project's folder.
    pub runbook: Option<String>,
    /// `integrations/customers.yaml:1`.
    pub origin: String,
}

/// The name of an integration as the language of queries takes it.
pub(crate) fn set_of(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect()
}

/// What is expected of people about dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterRules {
    /// One that nobody has looked at for longer is an alert.
    pub reviewed_within: Duration,
    /// Whether a person may send a changed copy.
    pub edit_and_retry: bool,
    /// How long a discarded one can be restored.
    pub discarded_for: Duration,
}

#[derive(Debug, Clone)]
pub enum Pattern {
    Batch(Batch),
    Event(Event),
    Virtual(Virtual),
    Flow(Flow),
}

impl Pattern {
    pub fn word(&self) -> &'static str {
        match self {
            Pattern::Batch(_) => "batch",
            Pattern::Event(_) => "event",
            Pattern::Virtual(_) => "virtual",
            Pattern::Flow(_) => "flow",
        }
    }
}

impl Integration {
    /// The name of the entity set that a virtual one answers as.
    pub fn set(&self) -> String {
        set_of(&self.name)
    }

    /// The entities that it moves, in the order of the file.
    pub fn entities(&self) -> Vec<&str> {
        match &self.pattern {
            Pattern::Batch(batch) => batch.entities.iter().map(String::as_str).collect(),
            Pattern::Event(event) => vec![&event.entity],
            Pattern::Virtual(virtual_) => vec![&virtual_.entity],
            Pattern::Flow(flow) => vec![&flow.entity],
        }
    }

    /// Whether it takes records from the system.
    pub fn reads(&self, system: &str) -> bool {
        match &self.pattern {
            Pattern::Batch(batch) => match &batch.direction {
                Direction::OneWay { from, .. } => from == system,
                Direction::TwoWay { between, .. } => between.iter().any(|one| one == system),
            },
            Pattern::Event(event) => event.from == system,
            Pattern::Virtual(virtual_) => virtual_.from == system,
            Pattern::Flow(flow) => flow.in_ == system,
        }
    }

    /// Whether it writes records into the system.
    pub fn writes(&self, system: &str) -> bool {
        match &self.pattern {
            Pattern::Batch(batch) => match &batch.direction {
                Direction::OneWay { to, .. } => to == system,
                Direction::TwoWay { between, .. } => between.iter().any(|one| one == system),
            },
            Pattern::Event(event) => event.to.iter().any(|one| one == system),
            Pattern::Virtual(_) => false,
            Pattern::Flow(flow) => {
                flow.all_steps().iter().any(|step| matches!(&step.kind, StepKind::Write { to, .. } if to == system))
            }
        }
    }

    /// Every system that it touches, without repeats: sources first.
    pub fn systems(&self) -> Vec<&str> {
        let mut systems: Vec<&str> = match &self.pattern {
            Pattern::Batch(batch) => match &batch.direction {
                Direction::OneWay { from, to } => vec![from, to],
                Direction::TwoWay { between, .. } => between.iter().map(String::as_str).collect(),
            },
            Pattern::Event(event) => std::iter::once(&*event.from).chain(event.to.iter().map(String::as_str)).collect(),
            Pattern::Virtual(virtual_) => vec![&virtual_.from, &virtual_.to],
            Pattern::Flow(flow) => flow.systems(),
        };
        let mut seen = std::collections::BTreeSet::new();
        systems.retain(|name| seen.insert(*name));
        systems
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// In the order in which they are written: what is referred to comes first.
    pub entities: Vec<String>,
    pub direction: Direction,
    pub schedule: Schedule,
    pub missed: Missed,
    pub overlap: Overlap,
    /// How often a failed run tries again by itself; nothing for `off`.
    pub retry_run: Option<Duration>,
    pub needed_by: Option<NeededBy>,
    pub deletes: Deletes,
    /// In percent.
    pub max_deletes: Decimal,
    pub returns_active: bool,
    pub min_rows: Option<MinRows>,
    pub stop_after: StopAfter,
    /// Who approves the first load.
    pub first_load: Option<String>,
    pub approve: Option<ApproveRun>,
    pub compare_live: Option<Duration>,
    pub drift: Drift,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Direction {
    OneWay { from: String, to: String },
    TwoWay { between: [String; 2], creates_in: Vec<String>, conflict: Conflict },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    Newest,
    Ask,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    RunOnce,
    RunAll,
    Skip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    Skip,
    QueueOne,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletes {
    Ignore,
    Deactivate,
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    Report,
    Overwrite,
}

#[derive(Debug, Clone, PartialEq)]
pub struct StopAfter {
    pub rejected: u64,
    /// In percent of all rows.
    pub or: Decimal,
    /// So many rows from the start, all rejected for one reason.
    pub first_rows_alike: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ApproveRun {
    /// Power Fx over `changes`, without the `=`.
    pub when: String,
    pub by: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub entity: String,
    pub from: String,
    pub to: Vec<String>,
    pub trigger: Trigger,
    pub because: String,
    pub payload: Payload,
    /// The field whose values keep their order; by default the key.
    pub order_by: Option<String>,
    pub write_back: Vec<String>,
    /// A dead letter holds the later events of its key.
    pub hold_key: bool,
    /// How long a failing message tries again before it is a dead letter.
    pub retry_for: Duration,
    /// Nothing for `off`.
    pub sweep: Option<Duration>,
    pub needed_by: Option<NeededBy>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    pub created: bool,
    pub updated: bool,
    pub deleted: bool,
    /// Only when one of these columns changed; empty for any.
    pub columns: Vec<String>,
    /// Power Fx over the entity, without the `=`.
    pub if_: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    Fetch,
    AsSent,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Virtual {
    pub entity: String,
    pub from: String,
    pub to: String,
    /// What a query without a filter gets, where the source cannot list: nothing, or a refusal.
    pub refuse_without_filter: bool,
    pub timeout: Duration,
    pub cache: Duration,
    pub max_rows: u64,
    /// The fields that are shown; empty for all that are not personal.
    pub expose: Vec<String>,
}
