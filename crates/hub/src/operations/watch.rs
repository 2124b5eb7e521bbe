//! Looks at the facts again and again, and writes what changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use definition::Project;
use jiff::Timestamp;
use jiff::civil::Date;
use record::{Notice, NoticeKind as Said, Severity};
use std::sync::Mutex;
use store::alerts::{self, NoticeKind, Opening};
use store::{Error, Op, Store};
use tokio::sync::mpsc;

use super::conditions::{LOOK, Rules, conditions};
use super::evaluate::{Change, Tell, evaluate};
use super::facts::{Gatherer, Machine};
use super::notice;
use super::routes::{everyone, wanted, works_next};
use super::send::{Urgent, prepare, queue, queue_as};
use super::weekly;

/// When the watcher last did its work: for a heartbeat that stops when it does.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Mutex<Option<Instant>>>);

impl Pulse {
    /// Whether somebody has looked within so long.
    pub fn beats(&self, within: Duration) -> bool {
        let last = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        last.is_some_and(|last| last.elapsed() <= within)
    }

    fn beat(&self) {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(Instant::now());
    }
}

/// Evaluates a project's alerts. One of them for each folder: that of its `up`.
pub struct Watcher<'p> {
    project: &'p Project,
    store: &'p Store,
    machine: &'p dyn Machine,
    rules: Rules,
    started: Timestamp,
    gatherer: Gatherer,
    forgotten: Option<Timestamp>,
    /// The day on which the week's dead letters were told.
    weekly: Option<Date>,
}

impl<'p> Watcher<'p> {
    pub fn new(project: &'p Project, store: &'p Store, machine: &'p dyn Machine, rules: Rules) -> Watcher<'p> {
        let started = store.clock().now();
        Watcher {
            project,
            store,
            machine,
            rules,
            started,
            gatherer: Gatherer::default(),
            forgotten: None,
            weekly: None,
        }
    }

    /// One look: what changed since the last one, in one commit with the notices of it. Blocks; not for a thread of a
    /// runtime. *Errors*: of our own state; nothing was told then, and the next look finds the same.
    pub fn look(&mut self) -> Result<(), Error> {
        let facts = self.gatherer.gather(self.project, self.store, self.machine, self.started)?;
        let standing = self.store.standing_alerts()?;
        let silences = self.store.silences()?;
        let keys: BTreeSet<String> = standing.iter().map(|(alert, _)| alert.key.clone()).collect();
        let holding = conditions(self.project, &facts, &self.rules, &keys);
        let wanted = |opening: &Opening| wanted(self.project, opening, facts.now);
        let changes = evaluate(&holding, &standing, &silences, &wanted, facts.now);
        if !changes.is_empty() {
            let mut ops = vec![prepare()];
            ops.extend(write(self.project, &changes, &standing, &holding, facts.now));
            self.store.commit_blocking(ops)?;
            log(&changes);
        }
        self.weekly(facts.now)?;
        self.forget(facts.now)
    }

    /// Once a week, what waits and who has not looked. A hub that is started again on that day queues it again, and the
    /// queue takes it once.
    fn weekly(&mut self, now: Timestamp) -> Result<(), Error> {
        let hub = &self.project.hub;
        let today = now.to_zoned(hub.time_zone.clone()).date();
        if self.weekly == Some(today) || !weekly::is_due(now, &hub.calendar, &hub.time_zone) {
            return Ok(());
        }
        let waiting: BTreeMap<String, u64> = self.store.dead_letters_waiting()?.into_iter().collect();
        let eyes = crate::upkeep::waiting_for_eyes(self.project, self.store)?;
        let told = weekly::notices(self.project, &waiting, &eyes, now);
        if !told.is_empty() {
            let mut ops = vec![prepare()];
            ops.extend(
                told.iter()
                    .map(|(route, notice)| queue_as(format!("{}/{}", notice.about, route.name()), route, notice, None)),
            );
            self.store.commit_blocking(ops)?;
        }
        self.weekly = Some(today);
        Ok(())
    }

    /// Forgets what is over for longer than `retention:` says, now and then.
    fn forget(&mut self, now: Timestamp) -> Result<(), Error> {
        let hour = jiff::SignedDuration::from_hours(1);
        if self.forgotten.is_some_and(|last| now.duration_since(last) < hour) {
            return Ok(());
        }
        self.forgotten = Some(now);
        let kept = self.project.hub.retention.journal;
        if let Ok(before) = now.checked_sub(kept) {
            self.store.commit_blocking(vec![alerts::Op::Forget { before, max: 1_000 }.into()])?;
        }
        Ok(())
    }
}

/// The operations of changes, in their order.
fn write(
    project: &Project,
    changes: &[Change],
    standing: &[super::evaluate::Standing],
    holding: &[super::conditions::Condition],
    now: Timestamp,
) -> Vec<Op> {
    let mut ops = Vec::new();
    for change in changes {
        match change {
            Change::Write(op) => ops.push(op.clone().into()),
            Change::Tell(tell) => {
                let alerts: Vec<Opening> = tell
                    .keys
                    .iter()
                    .filter_map(|key| {
                        let stood =
                            standing.iter().find(|(alert, _)| alert.key == *key).map(|(alert, _)| Opening::from(alert));
                        let holds = holding.iter().find(|condition| condition.key == *key).map(|condition| Opening {
                            key: key.clone(),
                            kind: condition.kind.word().to_owned(),
                            integration: condition.integration.clone(),
                            system: condition.system.clone(),
                            saying: condition.saying.clone(),
                            cause: None,
                        });
                        holds.or(stood)
                    })
                    .collect();
                let alerts: Vec<&Opening> = alerts.iter().collect();
                let notice = notice_of(project, tell, &alerts, now);
                for key in &tell.keys {
                    let told = alerts::Op::Told {
                        key: key.clone(),
                        route: tell.route.name(),
                        kind: tell.kind,
                        severity: tell.severity,
                        about: tell.about.clone(),
                    };
                    ops.push(told.into());
                }
                ops.push(queue(&tell.route, &notice, not_before(project, tell, &alerts, now)));
            }
        }
    }
    ops
}

/// That a warning is over wakes nobody either: when those who were told of it are told that.
fn not_before(project: &Project, tell: &Tell, alerts: &[&Opening], now: Timestamp) -> Option<Timestamp> {
    let at_once = tell.kind == NoticeKind::Opened
        || tell.severity == alerts::Severity::Critical
        || alerts.iter().any(|alert| wanted(project, alert, now).iter().any(|(route, _)| *route == tell.route));
    works_next(project, &tell.route.who, now).filter(|_| !at_once)
}

fn notice_of(project: &Project, tell: &Tell, alerts: &[&Opening], now: Timestamp) -> Notice {
    match tell.kind {
        NoticeKind::Opened => notice::opened(project, tell, alerts, now),
        NoticeKind::Resolved => notice::resolved(project, &tell.about, alerts, tell.severity, now),
    }
}

fn log(changes: &[Change]) {
    for change in changes {
        match change {
            Change::Write(alerts::Op::Open(opening)) if opening.cause.is_none() => {
                tracing::warn!(alert = opening.key, severity = %opening.saying.severity, "alert {} has opened; see it: ironbridge alerts list", opening.key);
            }
            Change::Write(alerts::Op::Resolve { key }) => tracing::info!(alert = key, "alert {key} is over"),
            _ => {}
        }
    }
}

/// Looks until it is told to stop. Blocks: give it a thread of its own, so that nothing that a run does holds it up.
///
/// Where our own state cannot be written (a full disk), that is told past it.
pub fn watch(
    project: &Project,
    store: &Store,
    machine: &dyn Machine,
    urgent: &mpsc::Sender<Urgent>,
    pulse: &Pulse,
    stop: impl Fn() -> bool,
) {
    let mut watcher = Watcher::new(project, store, machine, Rules::default());
    let mut failing = Failing::default();
    while !stop() {
        match watcher.look() {
            Ok(()) => {
                pulse.beat();
                if let Some(since) = failing.worked() {
                    let notice = state_works(project, since, store.clock().now());
                    urgent.try_send((everyone(project), notice)).ok();
                }
            }
            Err(error) => {
                let now = store.clock().now();
                if failing.failed(now) {
                    tracing::error!("alerts cannot be kept, and are looked at again: {error}");
                    urgent.try_send((everyone(project), state_fails(project, &error, now))).ok();
                }
            }
        }
        let end = Instant::now() + LOOK.unsigned_abs();
        while Instant::now() < end && !stop() {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Failures in a row of our own state: told once, when they have lasted.
#[derive(Debug, Default)]
struct Failing {
    looks: u32,
    since: Option<Timestamp>,
    told: bool,
}

/// So many looks in a row: what passes by itself is not told.
const LOOKS: u32 = 5;

impl Failing {
    /// Whether to tell people now.
    fn failed(&mut self, now: Timestamp) -> bool {
        self.looks += 1;
        self.since.get_or_insert(now);
        let tell = self.looks == LOOKS;
        self.told |= tell;
        tell
    }

    /// Since when it did not work, where people were told so.
    fn worked(&mut self) -> Option<Timestamp> {
        let ended = std::mem::take(self);
        ended.since.filter(|_| ended.told)
    }
}

/// What is told of our own state. To everybody, since it may be the last that they hear.
fn of_state(project: &Project, kind: Said, text: &str, now: Timestamp) -> Notice {
    Notice {
        about: format!("state/{}", project.hub.name),
        kind,
        severity: Severity::Critical,
        title: format!("{}: the hub cannot write its state", project.hub.name),
        text: text.to_owned(),
        facts: Vec::new(),
        command: None,
        link: None,
        at: now,
    }
}

fn state_fails(project: &Project, error: &Error, now: Timestamp) -> Notice {
    let code = error.code().map_or("IB0017", |code| code.0);
    let facts = [("last error", format!("{code}: {error}")), ("folder", project.dir.display().to_string())];
    let text = "Nothing runs and no event is taken until that is mended. What was written before is safe, and this notice is the only one: others cannot be kept meanwhile.";
    Notice {
        facts: facts.map(|(name, value)| (name.to_owned(), value)).into(),
        command: Some(format!("ironbridge explain {code}")),
        ..of_state(project, Said::Opened, text, now)
    }
}

fn state_works(project: &Project, since: Timestamp, now: Timestamp) -> Notice {
    let at = |at| super::conditions::moment(at, &project.hub.time_zone);
    Notice {
        facts: vec![("from".to_owned(), at(since)), ("until".to_owned(), at(now))],
        command: Some("ironbridge status".to_owned()),
        ..of_state(project, Said::Resolved, "This is over: the hub works again.", now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_fails_is_told_once_and_so_is_its_end() {
        let now = Timestamp::UNIX_EPOCH;
        let mut failing = Failing::default();
        let told: Vec<bool> = (0..8).map(|_| failing.failed(now)).collect();
        assert_eq!(told, [false, false, false, false, true, false, false, false]);
        assert_eq!(failing.worked(), Some(now));
        assert!(!failing.failed(now));
        assert_eq!(failing.worked(), None, "what passes by itself is not told");
    }
}
