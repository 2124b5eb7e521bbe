//! Event integrations: a message of the durable queue on its way to each destination.
//!
//! What comes in is a topic of the integration; each destination has a subscription, with its own progress and its own
//! dead letters. Messages of one row are a session: delivered in order, one at a time, while other rows go on beside
//! them. A message is completed in one commit with what it left in the ledger, after the destination has taken it.

mod about;
mod covers;
mod deliver;
mod guard;
mod hold;
mod home;
mod lane;
pub(crate) mod letters;
mod notes;
mod order;
mod remove;
mod route;
mod sweep;
mod version;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use definition::{Integration, Pattern, Project};
use record::{Fault, RetryPolicy};
use store::queue::{Condition, Filter, Op as QueueOp, Rule, Settings};
use store::{Op, OpResult, Store, dead_letters, journal, outages};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::compile::Systems;
use crate::error::Error;
use crate::{patience, unheard};
pub use about::key_of;
pub(crate) use lane::news;
pub use order::{MadeKey, Ordered, session};
pub use route::{at, row_in};

/// A message that says this in its property `destination` is for that destination only.
pub const DESTINATION: &str = "destination";
/// For how long an event that was sent twice is taken once.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// How long the events of a row that was in the hands of a hub that died wait for the next one.
const LOCK: Duration = Duration::from_secs(20);
/// The hub ends a message by its own policy. So many deliveries more than that has, such as crashes, end it too: by the
/// hub where it lives that long, else in the queue.
const DELIVERIES_MORE: u32 = 100;
/// What ended with a panic, which is a fault of ours, begins again after this long.
const REST: Duration = Duration::from_secs(3);

/// So long work may need to end once it is told to stop.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// What is old goes in commits of this size.
const FORGOTTEN_AT_ONCE: usize = 1000;

/// Where the events of an integration come in.
pub fn topic(integration: &str) -> String {
    format!("events/{integration}")
}

/// Where the events for one destination wait.
pub fn subscription(integration: &str, to: &str) -> String {
    format!("events/{integration}/subscriptions/{to}")
}

/// How many events of an integration are on their way to these destinations, and how many more are held by a dead letter
/// of their record.
///
/// *Errors*: of our own state.
pub fn waiting(store: &Store, integration: &str, to: &[String]) -> Result<(u64, u64), store::Error> {
    let (mut waiting, mut held) = (0, 0);
    for to in to {
        let counts = store.queue_counts(&subscription(integration, to))?.unwrap_or_default();
        waiting += counts.ready + counts.delayed + counts.locked;
        held += counts.deferred;
    }
    Ok((waiting, held))
}

/// The subscriptions, and queues of flows, that hold messages and to which the project has no integration or destination any
/// more: nobody delivers those. *Shape*: with how many they are, in the order of their paths.
///
/// *Errors*: of our own state.
pub fn left_over(project: &Project, store: &Store) -> Result<Vec<(String, u64)>, store::Error> {
    let mine = |name: &str, to: &str| match project.integration(name).map(|integration| &integration.pattern) {
        Some(Pattern::Event(event)) => event.to.iter().any(|one| one == to),
        _ => false,
    };
    let mut left = Vec::new();
    for path in store.queues()? {
        let of = path.strip_prefix("events/").and_then(|of| of.split_once("/subscriptions/"));
        let is_flow = |name| project.integration(name).is_some_and(|one| matches!(one.pattern, Pattern::Flow(_)));
        if of.is_none_or(|(name, to)| mine(name, to)) && path.strip_prefix("flows/").is_none_or(is_flow) {
            continue;
        }
        let counts = store.queue_counts(&path)?.unwrap_or_default();
        let all = counts.ready + counts.delayed + counts.locked + counts.deferred;
        left.extend((all > 0).then_some((path, all)));
    }
    Ok(left)
}

/// How long a message that fails by itself is tried again.
pub fn policy(event: &definition::Event) -> RetryPolicy {
    RetryPolicy {
        immediate: 2,
        first: Duration::from_secs(2),
        longest: Duration::from_secs(120),
        give_up_after: event.retry_for,
    }
}

/// After so many deliveries a message is given up on, whatever they ended by.
fn deliveries_max(event: &definition::Event) -> u32 {
    policy(event).worst_case().0 + DELIVERIES_MORE
}

/// What becomes of a message that fails by itself, at worst: `18 attempts over 29m, then a dead letter`.
pub fn worst_case(event: &definition::Event) -> String {
    let (attempts, time) = policy(event).worst_case();
    format!("{attempts} attempts over {}, then a dead letter", shown(time))
}

/// A time as people read it: `28m 6s`.
fn shown(time: Duration) -> String {
    format!("{:#}", jiff::SignedDuration::try_from(time).unwrap_or(jiff::SignedDuration::MAX))
}

/// Compiles an event integration against the live catalogues of its systems, and does nothing with it.
///
/// *Errors*: a system that does not answer, a mapping that does not fit, and what cannot run yet.
pub async fn fits(project: &Project, integration: &Integration, systems: &dyn Systems) -> Result<(), Fault> {
    let Pattern::Event(event) = &integration.pattern else { return Ok(()) };
    for to in &event.to {
        route::Route::compile(project, integration, event, to, systems).await?;
    }
    Ok(())
}

/// Makes the topics and subscriptions of every event integration, so that nothing is refused for want of a place. A
/// destination that the integration does not have any more gets nothing new; what waits for it stays, and so does what
/// somebody sends to it by its name: the retry of a dead letter.
pub async fn prepare(project: &Project, store: &Store) -> Result<(), Error> {
    let mut ops = Vec::new();
    let known = store.queues()?;
    for integration in &project.integrations {
        let Pattern::Event(event) = &integration.pattern else { continue };
        let topic = topic(&integration.name);
        let settings = Settings { duplicate_window: Some(REMEMBERED), ..Settings::default() };
        if store.queue_settings(&topic)?.as_ref() != Some(&settings) {
            ops.push(QueueOp::PutTopic { topic: topic.clone(), settings }.into());
        }
        for to in &event.to {
            let max_deliveries = deliveries_max(event);
            let settings = Settings { lock: LOCK, sessions: true, max_deliveries, ..Settings::default() };
            let rules = mine(&format!("{DESTINATION} IS NULL OR {DESTINATION} = '{to}'"));
            let path = subscription(&integration.name, to);
            if store.queue_settings(&path)?.as_ref() != Some(&settings) || store.subscription_rules(&path)? != rules {
                ops.push(QueueOp::PutSubscription { topic: topic.clone(), name: to.clone(), settings, rules }.into());
            }
        }
        let before = subscription(&integration.name, "");
        for name in known.iter().filter_map(|path| path.strip_prefix(&before)) {
            let path = subscription(&integration.name, name);
            let rules = mine(&format!("{DESTINATION} = '{name}'"));
            if event.to.iter().any(|to| to == name) || store.subscription_rules(&path)? == rules {
                continue;
            }
            let (topic, name) = (topic.clone(), name.to_owned());
            let settings = store.queue_settings(&path)?.unwrap_or_default();
            ops.push(QueueOp::PutSubscription { topic, name, settings, rules }.into());
        }
    }
    if !ops.is_empty() {
        patience::commit(store, ops).await?;
    }
    Ok(())
}

/// Ends the outages of what the project does not have any more: nobody would find that they are over.
async fn end_outages(project: &Project, store: &Store) -> Result<(), Error> {
    for outage in store.outages()? {
        let goes_on = match project.integration(&outage.integration).map(|integration| &integration.pattern) {
            Some(Pattern::Event(event)) => event.to.contains(&outage.system),
            Some(Pattern::Virtual(_) | Pattern::Flow(_)) => true,
            _ => false,
        };
        if !goes_on {
            let (integration, system) = (outage.integration, outage.system);
            patience::commit_one(store, outages::Op::End { integration, system }).await?;
        }
    }
    Ok(())
}

fn mine(condition: &str) -> Vec<Rule> {
    let condition = Condition::parse(condition).expect("names of systems need no quoting");
    vec![Rule { name: "mine".into(), filter: Filter::Sql(condition) }]
}

/// Forgets what was kept for longer than `retention:` says, now and then: notes of the journal, and dead letters that were
/// closed, with their messages. What is open stays. What was delivered is not kept at all: its story is in the journal.
async fn forget(project: Arc<Project>, store: Store, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
    let retention = &project.hub.retention;
    let store_of = &store;
    let all = |op: Op| async move {
        while matches!(patience::commit_one(store_of, op.clone()).await?, OpResult::Count(n) if n as usize == FORGOTTEN_AT_ONCE)
        {
        }
        Ok::<(), Error>(())
    };
    loop {
        let max = FORGOTTEN_AT_ONCE;
        if let Some(before) = ago(&store, retention.journal) {
            all(journal::Op::Forget { before, max }.into()).await?;
        }
        if let Some(closed_before) = ago(&store, retention.messages) {
            all(dead_letters::Op::Forget { closed_before, max }.into()).await?;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(3600)) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
    }
}

fn ago(store: &Store, long: Duration) -> Option<jiff::Timestamp> {
    let long = jiff::SignedDuration::try_from(long).unwrap_or(jiff::SignedDuration::MAX);
    store.clock().now().checked_sub(long).ok()
}

/// Ends work soon after it was told to stop, also where it waits for a disk that takes nothing.
async fn cut_when_stopped(
    work: impl Future<Output = Result<(), Error>>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    let cut = async {
        let _ = stop.wait_for(|stop| *stop).await;
        tokio::time::sleep(ENDS_WITHIN).await;
    };
    tokio::select! {
        ended = work => ended,
        () = cut => Ok(()),
    }
}

/// Does a part of the work until that ends; begins it again after a panic.
async fn again<W>(part: String, mut stop: watch::Receiver<bool>, work: impl Fn() -> W) -> Result<(), Error>
where
    W: Future<Output = Result<(), Error>> + Send + 'static,
{
    loop {
        // A task of its own, which ends with this one.
        let mut task = JoinSet::new();
        task.spawn(cut_when_stopped(work(), stop.clone()));
        match task.join_next().await {
            Some(Err(panicked)) => tracing::error!("{part} ended with a panic, and begins again: {panicked}"),
            Some(Ok(ended)) => return ended,
            None => return Ok(()),
        }
        tokio::select! {
            () = tokio::time::sleep(REST) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
    }
}

/// Delivers what comes in until it is told to stop. What is cut then is delivered again at the next start, and writes
/// nothing that is there already.
///
/// *Errors*: only when our own state cannot be used.
pub async fn work(
    project: Arc<Project>,
    systems: Arc<dyn Systems + Send + Sync>,
    store: Store,
    stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    prepare(&project, &store).await?;
    end_outages(&project, &store).await?;
    let outdated = unheard::outdated(&project, &store)?;
    if !outdated.is_empty() {
        patience::commit(&store, outdated).await?;
    }
    let mut lanes: JoinSet<Result<(), Error>> = JoinSet::new();
    for integration in &project.integrations {
        let Pattern::Event(event) = &integration.pattern else { continue };
        let (of, systems_of, store_of) = (project.clone(), systems.clone(), store.clone());
        let (name, doubts) = (integration.name.clone(), watch::Sender::new(0));
        let told = doubts.clone();
        let sweep = sweep::Sweep { project: of, systems: systems_of, store: store_of, integration: name, doubts: told };
        let (part, ends) = (format!("the sweep of {}", integration.name), stop.clone());
        lanes.spawn(again(part, stop.clone(), move || sweep.clone().run(ends.clone())));
        for to in &event.to {
            let lane =
                lane::Lane::new(project.clone(), systems.clone(), store.clone(), integration.name.clone(), to.clone());
            let (part, doubts, ends) = (format!("{} to {to}", integration.name), doubts.clone(), stop.clone());
            lanes.spawn(again(part, stop.clone(), move || lane.clone().run(doubts.subscribe(), ends.clone())));
        }
    }
    lanes.spawn(cut_when_stopped(forget(project.clone(), store.clone(), stop.clone()), stop.clone()));
    while let Some(ended) = lanes.join_next().await {
        match ended {
            Ok(ended) => ended?,
            Err(panicked) => tracing::error!("the delivery of events ended with a panic: {panicked}"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_panics_begins_again() {
        let (begun, stop) = (Arc::new(AtomicU32::new(0)), watch::Sender::new(false));
        let times = begun.clone();
        let work = move || {
            let times = times.clone();
            async move {
                assert!(times.fetch_add(1, Ordering::Relaxed) >= 2, "a test");
                Ok(())
            }
        };
        again("a test".into(), stop.subscribe(), work).await.unwrap();
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }
}
