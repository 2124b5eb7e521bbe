//! What is known at a moment, gathered from the store and the definition.

use std::collections::BTreeMap;
use std::sync::Arc;

use definition::{Pattern, Project};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use store::alerts::RouteState;
use store::approvals::{Approval, State as Decided};
use store::dead_letters::{DeadLetter, Filter, State as Letter};
use store::deadlines::Deadline;
use store::looks::Look;
use store::outages::Outage;
use store::runs::{Run, State, Trigger};
use store::unheard::Unheard;
use store::{Error, Store, flows};

use crate::events::subscription;

/// What is asked of the machine, and of what lies beside the project.
pub trait Machine: Send + Sync {
    /// The room on the disk that holds the state. `None` where the machine does not tell.
    fn disk(&self) -> Option<Disk>;
    /// Certificates and tokens that say themselves when they end.
    fn expiring(&self) -> Vec<Expiring>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    pub free_bytes: u64,
    /// What the state takes already.
    pub state_bytes: u64,
}

/// Something that ends on a day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiring {
    pub system: String,
    /// `client_secret`, `the certificate of …`, `the support of Contoso Ledger`.
    pub what: String,
    pub on: Date,
    /// People need longer than a month to do something about it.
    pub long: bool,
}

/// What waits for one destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Backlog {
    pub to: String,
    pub waiting: u64,
    /// Those that a dead letter of their record holds.
    pub held: u64,
    pub oldest: Option<Timestamp>,
}

/// Hours, each by its beginning, with what went through in it.
pub type Hourly = Vec<(Timestamp, u64)>;

/// What is known of one integration.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub name: String,
    /// The newest run that answers what was due, and the newest of these that has ended.
    pub last: Option<Run>,
    pub ended: Option<Run>,
    /// When the newest good one began.
    pub good: Option<Timestamp>,
    /// When the last pause ended.
    pub resumed: Option<Timestamp>,
    pub deadline: Option<Deadline>,
    pub paused: bool,
    pub outages: Vec<Outage>,
    pub backlog: Vec<Backlog>,
    /// Its webhooks do not come.
    pub unheard: Option<Unheard>,
    /// Dead letters that wait.
    pub letters: u64,
    /// The last of them.
    pub letter: Option<DeadLetter>,
    /// Those that nobody has looked at, and since when the oldest of them waits for that.
    pub unreviewed: Option<(u64, Timestamp)>,
    /// The newest good runs, newest first.
    pub good_runs: Vec<Run>,
    /// What each slot brought, newest first, and when.
    pub brought: Vec<(Timestamp, u64)>,
    /// What went through by hour, of the integration or of each destination, over the last weeks.
    pub traffic: Vec<(String, Hourly)>,
    /// How often a flow has started within a day, and how many starts wait for room.
    pub started: u64,
    pub held: u64,
    /// How many started on each of the days before that, the oldest first. *Shape*: empty where nobody has to know.
    pub days_before: Vec<u64>,
    pub stuck: Option<Stuck>,
}

/// Instances of a flow that cannot go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Stuck {
    pub instances: u64,
    /// The first of them.
    pub first: flows::InstanceId,
    pub since: Timestamp,
    /// Its error, as a JSON object.
    pub problem: String,
}

impl Stuck {
    /// The error of the first of them: `IB0703: the mapping does not fit …`.
    pub fn error(&self) -> String {
        let detail: serde_json::Value = serde_json::from_str(&self.problem).unwrap_or_default();
        let part = |part: &str| detail[part].as_str().unwrap_or_default();
        format!("{}: {}", part("code"), part("what"))
    }
}

/// Everything that conditions are worked out from.
#[derive(Debug, Clone)]
pub struct Facts {
    pub now: Timestamp,
    /// When this hub began to look: where what never happened counts from.
    pub started: Timestamp,
    /// In the order of the project.
    pub integrations: Vec<Known>,
    /// Questions that are open.
    pub approvals: Arc<Vec<Approval>>,
    /// Systems in use that did not answer when they were asked last.
    pub silent: Vec<Look>,
    pub expiring: Vec<Expiring>,
    pub disk: Option<Disk>,
    pub routes: Vec<RouteState>,
}

/// How often what costs more to read is read.
const SLOW: SignedDuration = SignedDuration::from_secs(60);
/// Good runs that show what is usual.
const RUNS: usize = 60;
/// Weeks of traffic that show what is usual.
pub(crate) const WEEKS: i64 = 5;

/// Reads facts, and remembers for a minute what costs more.
#[derive(Debug, Default)]
pub struct Gatherer {
    read: Option<Timestamp>,
    good_runs: BTreeMap<String, Vec<Run>>,
    brought: BTreeMap<String, Vec<(Timestamp, u64)>>,
    traffic: BTreeMap<String, Vec<(String, Hourly)>>,
    expiring: Vec<Expiring>,
    /// The open questions, and by which mark they were read: where nothing is asked or answered nothing is read.
    questions: Arc<Vec<Approval>>,
    questions_at: Option<(u64, i64)>,
}

impl Gatherer {
    /// *Errors*: of our own state.
    pub fn gather(
        &mut self,
        project: &Project,
        store: &Store,
        machine: &dyn Machine,
        started: Timestamp,
    ) -> Result<Facts, Error> {
        let now = store.clock().now();
        if self.read.is_none_or(|read| now.duration_since(read).abs() >= SLOW) {
            self.slow(project, store, machine, now)?;
            self.read = Some(now);
        }
        let last: BTreeMap<String, Run> =
            store.last_due_runs()?.into_iter().map(|run| (run.integration.clone(), run)).collect();
        let (pauses, resumed) = (store.pauses()?, store.resumptions()?);
        let (outages, deadlines, unheard) = (store.outages()?, store.deadlines()?, store.unheard()?);
        let letters: BTreeMap<String, u64> = store.dead_letters_waiting()?.into_iter().collect();
        let unreviewed: BTreeMap<String, (u64, Timestamp)> = store
            .dead_letters_unreviewed()?
            .into_iter()
            .map(|unreviewed| (unreviewed.integration, (unreviewed.letters, unreviewed.since)))
            .collect();
        let mut integrations = Vec::new();
        for integration in &project.integrations {
            let name = &integration.name;
            let mut known = Known {
                name: name.clone(),
                last: last.get(name).cloned(),
                deadline: deadlines.iter().find(|deadline| deadline.integration == *name).cloned(),
                paused: pauses.iter().any(|pause| pause.integration == *name),
                resumed: resumed.get(name).copied(),
                outages: outages.iter().filter(|outage| outage.integration == *name).cloned().collect(),
                unheard: unheard.iter().find(|unheard| unheard.integration == *name).cloned(),
                letters: letters.get(name).copied().unwrap_or(0),
                unreviewed: unreviewed.get(name).copied(),
                good_runs: self.good_runs.get(name).cloned().unwrap_or_default(),
                brought: self.brought.get(name).cloned().unwrap_or_default(),
                traffic: self.traffic.get(name).cloned().unwrap_or_default(),
                ..Known::default()
            };
            match &integration.pattern {
                Pattern::Batch(_) => {
                    known.good = store.last_good_start(name)?;
                    known.ended = match &known.last {
                        Some(run) if run.state == State::Running => {
                            let mut before = store.runs(Some(name), Some(run.id), RUNS)?.into_iter();
                            before.find(|run| run.trigger != Trigger::Backfill)
                        }
                        last => last.clone(),
                    };
                }
                Pattern::Event(event) => {
                    for to in &event.to {
                        let queue = subscription(name, to);
                        let (waiting, held) = crate::events::waiting(store, name, std::slice::from_ref(to))?;
                        let oldest = store.oldest_ready(&queue)?;
                        known.backlog.push(Backlog { to: to.clone(), waiting, held, oldest });
                    }
                }
                Pattern::Flow(flow) => {
                    let day = now.checked_sub(SignedDuration::from_hours(24)).unwrap_or(now);
                    known.started = store.flow_started_since(name, day)?;
                    known.held = store.flow_count(name, flows::State::Held)?;
                    if known.nears(flow.ceiling) {
                        known.days_before = days_before(store, name, known.started, now)?;
                    }
                    known.stuck = stuck(store, name)?;
                }
                Pattern::Virtual(_) => {}
            }
            if known.letters > 0 {
                let states = vec![Letter::Open, Letter::Retrying];
                let filter = Filter { integration: Some(name.clone()), states, ..Filter::default() };
                known.letter = store.dead_letters(&filter, 1)?.pop();
            }
            integrations.push(known);
        }
        let approvals = self.open_questions(store)?;
        Ok(Facts {
            now,
            started,
            integrations,
            approvals,
            silent: crate::looks::silent_ones(project, store)?,
            expiring: self.expiring.clone(),
            disk: machine.disk(),
            routes: store.alert_routes()?,
        })
    }

    fn open_questions(&mut self, store: &Store) -> Result<Arc<Vec<Approval>>, Error> {
        let mark = store.approvals_open_mark()?;
        if self.questions_at != Some(mark) {
            let mut questions = store.approvals(false, 1_000)?;
            questions.retain(|approval| approval.state == Decided::Open);
            (self.questions, self.questions_at) = (Arc::new(questions), Some(mark));
        }
        Ok(self.questions.clone())
    }

    fn slow(&mut self, project: &Project, store: &Store, machine: &dyn Machine, now: Timestamp) -> Result<(), Error> {
        let since = now.checked_sub(SignedDuration::from_hours(24 * 7 * WEEKS)).unwrap_or(now);
        for integration in &project.integrations {
            let name = &integration.name;
            let names = match &integration.pattern {
                Pattern::Batch(_) => {
                    let mut runs = store.runs(Some(name), None, RUNS)?;
                    runs.retain(|run| run.trigger != Trigger::Backfill);
                    self.brought.insert(name.clone(), super::usual::brought(&runs));
                    runs.retain(|run| run.state.is_good());
                    self.good_runs.insert(name.clone(), runs);
                    vec![(name.clone(), name.clone())]
                }
                Pattern::Event(event) => event.to.iter().map(|to| (to.clone(), subscription(name, to))).collect(),
                Pattern::Virtual(_) | Pattern::Flow(_) => Vec::new(),
            };
            let mut all = Vec::new();
            for (shown, name) in names {
                all.push((shown, store.traffic(&name, since, now)?));
            }
            self.traffic.insert(name.clone(), all);
        }
        self.expiring = declared(project);
        self.expiring.extend(machine.expiring());
        self.expiring.sort();
        self.expiring.dedup();
        Ok(())
    }
}

impl Known {
    /// Whether so many start that people hear of it: four fifths of the ceiling, or more than there is room for.
    pub fn nears(&self, ceiling: u64) -> bool {
        ceiling > 0 && (self.held > 0 || self.started * 5 >= ceiling * 4)
    }
}

/// How many instances of a flow started on each of the seven days before the last, the oldest first.
fn days_before(store: &Store, name: &str, last: u64, now: Timestamp) -> Result<Vec<u64>, Error> {
    let (mut days, mut since) = (Vec::new(), last);
    for day in 2..=8 {
        let before = now.checked_sub(SignedDuration::from_hours(24 * day)).unwrap_or(now);
        let more = store.flow_started_since(name, before)?;
        days.insert(0, more.saturating_sub(since));
        since = more;
    }
    Ok(days)
}

/// What of a flow cannot go on; nothing where all of it can.
///
/// *Errors*: of our own state.
pub fn stuck(store: &Store, name: &str) -> Result<Option<Stuck>, Error> {
    let instances = store.flow_count(name, flows::State::Failed)?;
    if instances == 0 {
        return Ok(None);
    }
    let first = store.flow_first(name, flows::State::Failed)?;
    Ok(first.map(|first| Stuck {
        instances,
        first: first.id,
        since: first.updated,
        problem: first.problem.unwrap_or_default(),
    }))
}

/// What the definition says of ends.
fn declared(project: &Project) -> Vec<Expiring> {
    let mut all = Vec::new();
    for system in &project.systems {
        let of = |what: String, on, long| Expiring { system: system.name.clone(), what, on, long };
        if let Some((vendor, on)) = system.vendor.as_ref().and_then(|vendor| Some((vendor, vendor.supported_until?))) {
            all.push(of(format!("the support of {}", vendor.name), on, true));
        }
        all.extend(system.expires.iter().map(|(what, on)| of(what.clone(), *on, false)));
    }
    all
}
