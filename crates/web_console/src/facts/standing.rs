//! How one integration stands.

use std::collections::HashMap;

use definition::{Pattern, Project};
use hub::operations::{Stuck, stuck};
use jiff::Timestamp;
use store::Store;
use store::approvals::Approval;
use store::deadlines::Deadline;
use store::flows::State as Instance;
use store::looks::Look;
use store::outages::Outage;
use store::pauses::Pause;
use store::runs::{Run, State};

use crate::words::{on_their_way, relative, spoken};

/// How bad something is, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Data does not get through, or a result is late.
    Bad,
    /// Somebody has to look, and nothing is on fire.
    Warn,
    /// A person has stopped it.
    Paused,
    /// It runs right now.
    Busy,
    Good,
    /// Nothing has happened yet.
    Quiet,
}

impl Level {
    pub const ALL: [Level; 6] = [Level::Bad, Level::Warn, Level::Paused, Level::Busy, Level::Good, Level::Quiet];

    /// The name in style sheets and addresses.
    pub fn class(self) -> &'static str {
        match self {
            Level::Bad => "bad",
            Level::Warn => "warn",
            Level::Paused => "paused",
            Level::Busy => "busy",
            Level::Good => "good",
            Level::Quiet => "quiet",
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Level::Bad => "needs attention now",
            Level::Warn => "look at it today",
            Level::Paused => "paused",
            Level::Busy => "running",
            Level::Good => "fine",
            Level::Quiet => "nothing yet",
        }
    }
}

/// One integration, as it stands.
#[derive(Debug, Clone)]
pub struct Standing {
    pub name: String,
    pub pattern: &'static str,
    pub owner: String,
    pub purpose: String,
    pub level: Level,
    /// A few words: `ok`, `failed`, `erp down since 5 min, 8 wait`.
    pub state: String,
    pub last: Option<Run>,
    pub next: Option<Timestamp>,
    pub pause: Option<Pause>,
    pub late: Option<Deadline>,
    pub dead_letters: u64,
    /// Messages on their way; of a flow, instances under way.
    pub waiting: u64,
    /// Messages that wait for what becomes of a dead letter of their record.
    pub held: u64,
    /// Instances of a flow that cannot go on.
    pub stuck: Option<Stuck>,
    pub outage: Option<Outage>,
    /// The question that it waits for.
    pub question: Option<i64>,
}

impl Standing {
    /// It stands well, but a system of it does not answer: the next time that something has to go there, it will not.
    pub(super) fn follows(&mut self, silent: Option<&Look>) {
        let Some(look) = silent.filter(|_| self.outage.is_none() && self.pause.is_none()) else { return };
        let Some(silence) = look.silence() else { return };
        let joined = if self.level == Level::Good { "but" } else { "and" };
        self.state += &format!(", {joined} {} {}", look.system, silence.does());
        self.level = self.level.min(Level::Warn);
    }
}

/// Every integration of the project, in its order.
///
/// *Errors*: of our own state.
pub fn standings(
    project: &Project,
    store: &Store,
    outages: &[Outage],
    questions: &[Approval],
    now: Timestamp,
) -> Result<Vec<Standing>, store::Error> {
    let mut last: HashMap<String, Run> =
        store.last_runs()?.into_iter().map(|run| (run.integration.clone(), run)).collect();
    let dead: HashMap<String, u64> = store.dead_letters_waiting()?.into_iter().collect();
    let mut pauses: HashMap<String, Pause> =
        store.pauses()?.into_iter().map(|pause| (pause.integration.clone(), pause)).collect();
    let mut late = hub::deadline::late(project, store)?;
    let mut all = Vec::with_capacity(project.integrations.len());
    for integration in &project.integrations {
        let name = &integration.name;
        let (next, (waiting, held)) = match &integration.pattern {
            Pattern::Batch(batch) => (hub::schedule::next(&batch.schedule, &project.hub.time_zone, now), (0, 0)),
            Pattern::Event(event) => (None, hub::events::waiting(store, name, &event.to)?),
            Pattern::Flow(_) => {
                (None, (store.flow_count(name, Instance::Running)? + store.flow_count(name, Instance::Held)?, 0))
            }
            _ => (None, (0, 0)),
        };
        let mut standing = Standing {
            name: name.clone(),
            pattern: integration.pattern.word(),
            owner: integration.owner.clone(),
            purpose: integration.purpose.clone(),
            level: Level::Quiet,
            state: String::new(),
            // What it was before it became something else says nothing of it.
            last: last.remove(name).filter(|_| matches!(integration.pattern, Pattern::Batch(_))),
            next,
            pause: pauses.remove(name),
            late: late.remove(name),
            dead_letters: dead.get(name).copied().unwrap_or(0),
            waiting,
            held,
            stuck: match &integration.pattern {
                Pattern::Flow(_) => stuck(store, name)?,
                _ => None,
            },
            outage: outages.iter().find(|outage| outage.integration == *name).cloned(),
            question: questions.iter().find(|question| question.integration == *name).map(|question| question.id.0),
        };
        if standing.pause.is_some() {
            standing.next = None;
        }
        (standing.level, standing.state) = judge(&standing, now);
        all.push(standing);
    }
    Ok(all)
}

/// How it stands, in a level and in words. Pure.
fn judge(standing: &Standing, now: Timestamp) -> (Level, String) {
    if let Some(outage) = &standing.outage {
        let since = relative(outage.since, now);
        if standing.pattern == "virtual" {
            return (Level::Bad, format!("cannot be shown, since {since}"));
        }
        let waits = if standing.waiting > 0 { format!("; {} wait", standing.waiting) } else { String::new() };
        return (Level::Bad, format!("{} down, since {since}{waits}", outage.at));
    }
    if standing.late.is_some() {
        return (Level::Bad, "late".to_owned());
    }
    let last = standing.last.as_ref();
    if let Some(pause) = &standing.pause {
        return (Level::Paused, format!("paused by {}", pause.by));
    }
    let state = match last {
        None if standing.pattern == "event" => on_their_way(standing.waiting, standing.held),
        None if standing.pattern == "flow" => match &standing.stuck {
            Some(stuck) => format!("{} under way, {} cannot go on", standing.waiting, stuck.instances),
            None if standing.waiting == 0 => "nothing is under way".to_owned(),
            None => format!("{} under way", standing.waiting),
        },
        None if standing.pattern == "virtual" => "answers when asked".to_owned(),
        None => "never ran".to_owned(),
        Some(run) if run.state == State::Ok && standing.dead_letters > 0 => "ok, and dead letters wait".to_owned(),
        Some(run) => spoken(run.state.as_str()),
    };
    let level = match last.map(|run| run.state) {
        // One failed attempt tries again by itself; what is late was said above.
        Some(State::Failed | State::Interrupted | State::WaitingForApproval | State::NotApproved) => Level::Warn,
        Some(State::Running) => Level::Busy,
        _ if standing.stuck.is_some() => Level::Bad,
        _ if standing.dead_letters > 0 || standing.question.is_some() => Level::Warn,
        Some(State::Ok | State::OkWithDeadLetters) => Level::Good,
        Some(State::Degraded) => Level::Warn,
        None if standing.pattern == "batch" => Level::Quiet,
        None => Level::Good,
    };
    (level, state)
}
