//! A cheap look at each system in use: does it answer, before something has to go there?
//!
//! It asks what the connector's own check asks, on the connection that runs and events use, so that their budgets hold.
//! Few are asked at once; one that hangs is not asked a second time before the first answer; one that asks to be left
//! alone is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use definition::{Batch, Direction, Pattern, Project};
use jiff::Timestamp;
use record::{Fault, Health, Now};
use store::looks::{Found, Look, Op, Silence};
use store::runs::{Run, State};
use store::{Error, Store};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::compile::Systems;
use crate::health::{PATIENCE, silent};
use crate::pulse::{Part, Pulse};

/// How often it is found out what is due.
const TICK: Duration = Duration::from_secs(2);
/// So many systems are asked at once.
const AT_ONCE: usize = 4;
/// One that does not answer is asked as often as this.
const CLOSER: Duration = Duration::from_secs(60);
/// One that a run or an event found closed since it was asked is asked this long after the last time; so is, once, one of a
/// run that takes longer than this, which may be trying again what fails.
const DOUBT: Duration = Duration::from_secs(15);
/// So many of the newest runs show whether a system was heard of since it was asked.
const RUNS: usize = 10;

/// Whether a system is asked now. Pure.
///
/// `every` is what the definition says; `closed` when a run or an event last found it closed.
fn is_due(every: Duration, look: Option<&Look>, closed: Option<Timestamp>, now: Timestamp) -> bool {
    let Some(look) = look else { return true };
    let wait = match look.silence() {
        // What it said then may not be what it says now.
        _ if closed.is_some_and(|closed| closed > look.seen) => every.min(DOUBT),
        Some(_) => every.min(CLOSER),
        None => every,
    };
    let wait = wait.max(look.wait);
    // A clock that was set back does not hold it up.
    look.seen > now || look.seen.checked_add(wait).is_ok_and(|then| then <= now)
}

/// Whether what was found is new enough to say something of this moment: a hub that was down has not looked.
pub fn is_fresh(project: &Project, look: &Look, now: Timestamp) -> bool {
    let every = project.system(&look.system).and_then(|system| system.health);
    every.is_some_and(|every| look.seen.checked_add(stale(every, look.wait)).is_ok_and(|then| then >= now))
}

/// The systems that do not answer, with since when and why. *Shape*: by name; only those that somebody uses now.
///
/// *Errors*: of our own state.
pub fn silent_ones(project: &Project, store: &Store) -> Result<Vec<Look>, Error> {
    let now = store.clock().now();
    let paused: Vec<String> = store.pauses()?.into_iter().map(|pause| pause.integration).collect();
    let mut looks = store.looks()?;
    looks.retain(|look| {
        look.silence().is_some() && is_fresh(project, look, now) && is_used(project, &look.system, &paused)
    });
    let mut heard = Vec::new();
    for look in &looks {
        for user in users(project, &look.system) {
            // A run after the one that wrote may have had nothing to write.
            let runs = store.runs(Some(&user.name), None, RUNS)?;
            if runs.iter().any(|run| has_heard(user, run, look)) {
                heard.push(look.system.clone());
                break;
            }
        }
    }
    looks.retain(|look| !heard.contains(&look.system));
    Ok(looks)
}

/// Whether a run of an integration that uses the system has read from it or written to it since it was asked: then it has
/// answered.
fn has_heard(user: &definition::Integration, run: &Run, look: &Look) -> bool {
    let reads = match &user.pattern {
        Pattern::Batch(Batch { direction: Direction::OneWay { from, .. }, .. }) => *from == look.system,
        _ => false,
    };
    let rows = if reads { run.counts.read } else { run.counts.written() };
    let is_well = matches!(run.state, State::Ok | State::OkWithDeadLetters) && rows > 0;
    is_well && run.finished.is_some_and(|finished| finished > look.seen)
}

/// How old a look may be before it says nothing any more.
fn stale(every: Duration, wait: Duration) -> Duration {
    every.max(wait) * 2 + CLOSER
}

/// Whether an integration that nobody has paused uses it.
pub(crate) fn is_used(project: &Project, system: &str, paused: &[String]) -> bool {
    let uses = |integration: &&definition::Integration| integration.systems().contains(&system);
    project.integrations.iter().filter(uses).any(|integration| !paused.contains(&integration.name))
}

/// One answer, or none in time; then with what is still under way.
struct Asked {
    system: String,
    took: Duration,
    health: Result<Health, Fault>,
    hangs: Option<JoinHandle<Result<Health, Fault>>>,
}

/// Asks the systems of a project, each when it is due.
pub struct Looker {
    project: Arc<Project>,
    systems: Arc<dyn Systems + Send + Sync>,
    store: Store,
    asking: JoinSet<Asked>,
    /// Those that are asked now.
    busy: Vec<String>,
    /// What has not answered in time, and has not ended.
    hanging: BTreeMap<String, JoinHandle<Result<Health, Fault>>>,
}

impl Looker {
    pub fn new(project: Arc<Project>, systems: Arc<dyn Systems + Send + Sync>, store: Store) -> Looker {
        let (asking, busy, hanging) = Default::default();
        Looker { project, systems, store, asking, busy, hanging }
    }

    /// Asks those that are due now, and waits until each has answered or had its time.
    ///
    /// *Errors*: of our own state.
    pub async fn once(&mut self) -> Result<(), Error> {
        loop {
            self.begin()?;
            let Some(asked) = self.asking.join_next().await else { return Ok(()) };
            self.note(asked).await?;
        }
    }

    /// Begins to ask those that are due, as many at once as may be.
    fn begin(&mut self) -> Result<(), Error> {
        let now = self.store.clock().now();
        let (looks, last) = (self.store.looks()?, self.store.last_runs()?);
        let paused: Vec<String> = self.store.pauses()?.into_iter().map(|pause| pause.integration).collect();
        let outages = self.store.outages()?;
        self.hanging.retain(|_, task| !task.is_finished());
        for system in &self.project.systems {
            let (name, Some(every)) = (&system.name, system.health) else { continue };
            let look = looks.iter().find(|look| look.system == *name);
            let failed =
                last.iter().filter(|run| failed_at(run).as_deref() == Some(name)).filter_map(|run| run.finished);
            let stopped = outages.iter().filter(|outage| outage.at == *name).map(|outage| outage.seen);
            let goes_on = |run: &&Run| {
                run.state == State::Running && run.started.checked_add(DOUBT).is_ok_and(|then| then <= now)
            };
            let uses = |run: &&Run| {
                self.project.integration(&run.integration).is_some_and(|one| one.systems().contains(&name.as_str()))
            };
            let long = last.iter().filter(goes_on).filter(uses).map(|run| run.started);
            let closed = failed.chain(stopped).chain(long).max();
            let free = !self.busy.contains(name) && !self.hanging.contains_key(name);
            if self.asking.len() >= AT_ONCE || !free || !is_due(every, look, closed, now) {
                continue;
            }
            if is_used(&self.project, name, &paused) {
                self.busy.push(name.clone());
                self.asking.spawn(ask(self.systems.clone(), name.clone()));
            }
        }
        Ok(())
    }

    /// Writes what was found.
    async fn note(&mut self, asked: Result<Asked, tokio::task::JoinError>) -> Result<(), Error> {
        let Ok(Asked { system, took, health, hangs }) = asked else {
            // It panicked: whoever it was is asked again.
            self.busy.clear();
            return Ok(());
        };
        self.busy.retain(|busy| *busy != system);
        self.hanging.extend(hangs.map(|task| (system.clone(), task)));
        let every = self.project.system(&system).and_then(|system| system.health).unwrap_or(CLOSER);
        let (found, wait) = found(health);
        let fresh = self.store.clock().now().checked_sub(stale(every, wait)).unwrap_or(Timestamp::MIN);
        self.store.commit(vec![Op::Note { system, took, found, wait, fresh }.into()]).await?;
        Ok(())
    }
}

/// Asks one system. A check that does not end in time goes on by itself, and nobody waits for it.
async fn ask(systems: Arc<dyn Systems + Send + Sync>, system: String) -> Asked {
    let begun = Instant::now();
    let name = system.clone();
    let mut task = tokio::spawn(async move { systems.open(&name)?.check().await });
    let (health, hangs) = match tokio::time::timeout(PATIENCE, &mut task).await {
        Ok(Ok(health)) => (health, None),
        Ok(Err(_)) => (Err(silent(&system)), None),
        Err(_) => (Err(silent(&system)), Some(task)),
    };
    Asked { system, took: begun.elapsed(), health, hangs }
}

/// What an answer says. Whoever says that we ask too often does answer.
fn found(health: Result<Health, Fault>) -> (Found, Duration) {
    let fault = match health {
        Ok(Health { version, user, .. }) => return (Found::Answer { version, user }, Duration::ZERO),
        Err(fault) => fault,
    };
    let asked = match fault.now {
        Now::RetryAfter(asked) => asked.unwrap_or_default().min(Duration::from_secs(3600)),
        _ => Duration::ZERO,
    };
    if fault.why.as_ref().is_some_and(|why| why.status == Some(429)) {
        return (Found::Answer { version: "limits our requests".to_owned(), user: None }, asked);
    }
    let person = !fault.is_transient();
    let why = crate::watch::why(&fault);
    let silence = Silence { code: fault.code.to_string(), what: fault.what, why, fix: fault.fix, person };
    (Found::Silence(silence), asked)
}

/// The system that a run failed at.
pub(crate) fn failed_at(run: &Run) -> Option<String> {
    let detail: serde_json::Value = serde_json::from_str(&run.error.as_ref()?.detail).ok()?;
    detail["where"]["system"].as_str().map(str::to_owned)
}

/// Works until it is told to stop.
///
/// *Errors*: only when our own state cannot be used.
pub async fn work(
    project: Arc<Project>,
    systems: Arc<dyn Systems + Send + Sync>,
    store: Store,
    pulse: Pulse,
    mut stop: watch::Receiver<bool>,
) -> Result<(), crate::Error> {
    let mut looker = Looker::new(project, systems, store);
    loop {
        pulse.beat(Part::Looks);
        looker.begin()?;
        let asked = tokio::select! {
            asked = looker.asking.join_next(), if !looker.asking.is_empty() => asked,
            () = tokio::time::sleep(TICK) => None,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        if let Some(asked) = asked {
            looker.note(asked).await?;
        }
    }
}

/// The integrations that a system concerns: those that use it, each with what it is for.
pub(crate) fn users<'p>(project: &'p Project, system: &str) -> Vec<&'p definition::Integration> {
    project.integrations.iter().filter(|integration| integration.systems().contains(&system)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{Code, Why};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_764_000_000 + seconds).unwrap()
    }

    fn look(seen: i64, answers: bool, wait: u64) -> Look {
        let silence = Silence {
            code: "IB0501".into(),
            what: String::new(),
            why: String::new(),
            fix: String::new(),
            person: false,
        };
        Look {
            system: "crm".into(),
            since: at(seen),
            seen: at(seen),
            took: Duration::ZERO,
            good: None,
            found: if answers { Found::Answer { version: String::new(), user: None } } else { Found::Silence(silence) },
            wait: Duration::from_secs(wait),
        }
    }

    #[test]
    fn asked_now_and_then_and_closer_where_there_is_doubt() {
        let every = Duration::from_secs(300);
        for (look, closed, now, expected) in [
            (None, None, 0, true),
            (Some(look(0, true, 0)), None, 299, false),
            (Some(look(0, true, 0)), None, 300, true),
            // A run failed there since: it is asked sooner, and not each time.
            (Some(look(0, true, 0)), Some(10), 14, false),
            (Some(look(0, true, 0)), Some(10), 15, true),
            // That was before the look, which knows better.
            (Some(look(20, true, 0)), Some(10), 100, false),
            (Some(look(0, false, 0)), None, 59, false),
            (Some(look(0, false, 0)), None, 60, true),
            // A run met it since, and may have been told something else.
            (Some(look(0, false, 0)), Some(10), 15, true),
            (Some(look(0, false, 0)), Some(10), 14, false),
            // It asked to be left alone.
            (Some(look(0, true, 900)), None, 600, false),
            (Some(look(0, false, 120)), None, 60, false),
            // The clock was set back.
            (Some(look(5_000, true, 0)), None, 0, true),
        ] {
            assert_eq!(is_due(every, look.as_ref(), closed.map(at), at(now)), expected, "{look:?} {closed:?} {now}");
        }
    }

    #[test]
    fn rows_that_were_read_are_an_answer_of_their_source_and_rows_that_were_written_of_both() {
        let files = [
            ("ironbridge.yaml", "hub: contoso\n"),
            ("people.yaml", "groups: { it: { email: it@contoso.example } }\n"),
            ("entities/thing.yaml", "entity: thing\nkey: number\nfields: { number: { type: text, max_length: 20 } }\n"),
            (
                "systems/a.yaml",
                "system: a\nkind: sqlite\nowner: it\nconnection: { file: a.db }\nentities: { thing: { table: t, read: { number: n } } }\n",
            ),
            (
                "systems/crm.yaml",
                "system: crm\nkind: sqlite\nowner: it\nconnection: { file: b.db }\nentities: { thing: { table: t, alternate_key: n, write: { n: number } } }\n",
            ),
            (
                "integrations/things.yaml",
                "integration: things\npattern: batch\nentity: thing\nfrom: a\nto: crm\nschedule: every 15 minutes\nowner: it\npurpose: A test.\n",
            ),
        ];
        let kinds: Vec<_> = connectors::registry::kinds().collect();
        let options = definition::LoadOptions { kinds: &kinds, ..definition::LoadOptions::default() };
        let loaded = definition::load_files(files, &options);
        let project = loaded.project.clone().unwrap_or_else(|| panic!("{}", loaded.render(false, 100)));
        let user = project.integration("things").unwrap();
        for (read, created, finished, source, destination) in
            [(0, 0, 20, false, false), (5, 0, 20, true, false), (5, 5, 20, true, true), (5, 5, 5, false, false)]
        {
            let run = Run {
                id: store::runs::RunId(1),
                integration: "things".into(),
                trigger: store::runs::Trigger::Schedule,
                slot: None,
                retry_of: None,
                state: State::Ok,
                started: at(finished),
                finished: Some(at(finished)),
                counts: store::runs::Counts { read, created, unchanged: read - created, ..Default::default() },
                error: None,
            };
            let of = |system: &str| has_heard(user, &run, &Look { system: system.into(), ..look(10, false, 0) });
            assert_eq!((of("a"), of("crm")), (source, destination), "{run:?}");
        }
    }

    #[test]
    fn who_limits_us_answers_and_who_refuses_us_needs_a_person() {
        let limited = Fault::retry(Code("IB0507"), "too many", Some(Duration::from_secs(30)))
            .why(Why { status: Some(429), ..Why::default() });
        let (answer, wait) = found(Err(limited));
        assert!(matches!(answer, Found::Answer { .. }) && wait == Duration::from_secs(30));
        for (fault, person) in [
            (Fault::retry(Code("IB0501"), "closed", None), false),
            (Fault::ask_person(Code("IB0502"), "the secret has expired"), true),
            (Fault::stop(Code("IB0502"), "no such database"), true),
        ] {
            let (Found::Silence(silence), _) = found(Err(fault)) else { panic!("it does not answer") };
            assert_eq!(silence.person, person);
        }
    }
}
