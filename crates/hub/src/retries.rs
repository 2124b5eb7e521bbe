//! Retries of many dead letters: a stored job that goes on where it was, at a rate, with a result for each.
//!
//! An item is started in the commit that sends its letter again, so that a crash neither loses one nor sends it twice.
//! What became of it is read from the letter: processed, a dead letter again, or dealt with by somebody else.

mod preview;

use std::sync::Arc;
use std::time::Duration;

use definition::{Pattern, Project};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::audit::Actor;
use store::dead_letters::{DeadLetter, DeadLetterId, Filter, Kind, State};
use store::queue::{self, Message, NewMessage};
use store::retries::{self, Item, ItemCounts, ItemState, Job, JobId, NewJob, State as JobState};
use store::runs::{Run, Trigger};
use store::{OpResult, Refusal, Store};
use tokio::sync::watch;

use crate::error::Error;
use crate::pulse::{Part, Pulse};
use crate::{letters, worker};

pub use preview::{Preview, TookEffect, preview};

/// How often a job is looked at.
const TICK: Duration = Duration::from_secs(1);
/// So many are started at one look, where nobody asks for a rate.
const AT_ONCE: u64 = 50;
/// So many are on their way at once: what comes after them waits until it is known how they fare.
const ON_THE_WAY_MAX: u64 = 500;
/// The most dead letters that one job takes.
pub const LETTERS_MAX: usize = 100_000;

/// What somebody wants to have sent again.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// All that wait in this group.
    pub group: String,
    pub integration: String,
    /// As they were when somebody looked.
    pub as_of: Timestamp,
    /// Pause after so many.
    pub stop_after: Option<u64>,
    pub per_minute: Option<u32>,
    pub why: Option<String>,
}

/// The dead letters that a job would take, the oldest first.
pub fn letters_of(store: &Store, wanted: &Wanted) -> Result<Vec<DeadLetter>, store::Error> {
    let mut filter = Filter {
        cause: Some(wanted.group.clone()),
        seen_until: Some(wanted.as_of),
        states: vec![State::Open],
        ..Filter::default()
    };
    let mut found: Vec<DeadLetter> = Vec::new();
    loop {
        let page = store.dead_letters(&filter, 1000)?;
        let Some(last) = page.last() else { break };
        filter.after = Some(last.place());
        found.extend(page);
        if found.len() >= LETTERS_MAX {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

/// Makes a job of everything that waited in a group when somebody looked. Nothing where nothing did.
pub async fn start(store: &Store, wanted: &Wanted, by: &Actor) -> Result<Option<JobId>, Error> {
    let letters: Vec<DeadLetterId> = letters_of(store, wanted)?.into_iter().map(|letter| letter.id).collect();
    if letters.is_empty() {
        return Ok(None);
    }
    let detail = json!({
        "group": wanted.group, "dead_letters": letters.len(), "as_of": wanted.as_of.to_string(),
        "stop_after": wanted.stop_after, "per_minute": wanted.per_minute,
    });
    let did = by.did("dead-letters retry", &*wanted.integration).because(wanted.why.as_deref()).with(detail).op();
    let job = NewJob {
        integration: wanted.integration.clone(),
        cause: wanted.group.clone(),
        by: by.clone(),
        why: wanted.why.clone(),
        as_of: wanted.as_of,
        stop_after: wanted.stop_after,
        per_minute: wanted.per_minute,
        letters,
    };
    let results = store.commit(vec![retries::Op::Start(Box::new(job)).into(), did]).await?;
    Ok(results.into_iter().find_map(|result| match result {
        OpResult::Job(id) => Some(id),
        _ => None,
    }))
}

/// What a person can do with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Goes on with the rest, at this rate.
    Resume {
        per_minute: Option<u32>,
        stop_after: Option<u64>,
    },
    Pause,
    Cancel,
}

/// Does it. *Errors*: somebody else has changed the job meanwhile, or it is over.
pub async fn order(store: &Store, job: &Job, order: Order, by: &Actor, why: Option<&str>) -> Result<(), Error> {
    let by_whom = |word: &str| format!("{word} by {}", by.name);
    let (to, action, note) = match order {
        Order::Resume { .. } => (JobState::Running, "retry job resume", String::new()),
        Order::Pause => (JobState::Paused, "retry job pause", by_whom("paused")),
        Order::Cancel => (JobState::Cancelled, "retry job cancel", by_whom("ended")),
    };
    let detail = json!({ "job": job.id.0, "left": job.counts.waiting });
    let mut ops = vec![retries::Op::Change { job: job.id, seen: job.state, to, note }.into()];
    if let Order::Resume { per_minute, stop_after } = order {
        let stop_after = stop_after.map(|more| more + job.counts.all() - job.counts.waiting);
        ops.push(retries::Op::Pace { job: job.id, per_minute, stop_after }.into());
    }
    ops.push(by.did(action, &*job.integration).because(why).with(detail).op());
    store.commit(ops).await?;
    Ok(())
}

/// Works on every job until it is told to stop.
///
/// *Errors*: only when our own state cannot be used.
pub async fn work(
    project: Arc<Project>,
    store: Store,
    pulse: Pulse,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    while !*stop.borrow() {
        pulse.beat(Part::Retries);
        for job in store.retry_jobs(false, 100)? {
            if job.state == JobState::Running || job.counts.started > 0 {
                step(&project, &store, &job).await?;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            _ = stop.changed() => {}
        }
    }
    Ok(())
}

/// Notes what became of what is on its way, and starts nothing.
pub async fn refresh(store: &Store, job: &Job) -> Result<(), Error> {
    note_results(store, job).await?;
    match store.retry_job(job.id)? {
        Some(job) if job.state == JobState::Running && next(&job, 0) == Next::Done => {
            turn(store, &job, JobState::Done, told(&job.counts)).await
        }
        _ => Ok(()),
    }
}

/// One look at a job: notes what became of what is on its way, and starts what may start.
pub async fn step(project: &Project, store: &Store, job: &Job) -> Result<(), Error> {
    note_results(store, job).await?;
    let Some(job) = store.retry_job(job.id)? else { return Ok(()) };
    if job.state != JobState::Running {
        return Ok(());
    }
    let now = store.clock().now();
    let last_minute = match job.per_minute {
        Some(_) => store.retry_started_since(job.id, now - SignedDuration::from_secs(60))?,
        None => 0,
    };
    match next(&job, last_minute) {
        Next::Start(most) => {
            let items = store.retry_items(job.id, Some(ItemState::Waiting), 0, most as usize)?;
            let mut rows = false;
            for item in &items {
                rows |= start_one(project, store, &job, item).await?;
            }
            if rows {
                ask_for_a_run(project, store, &job, now).await?;
            }
            Ok(())
        }
        Next::Wait => Ok(()),
        Next::Pause(note) => turn(store, &job, JobState::Paused, note).await,
        Next::Done => turn(store, &job, JobState::Done, told(&job.counts)).await,
    }
}

/// What a job does next. Pure.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    Start(u64),
    Wait,
    Pause(String),
    Done,
}

fn next(job: &Job, started_in_last_minute: u64) -> Next {
    let counts = &job.counts;
    if counts.waiting == 0 {
        return if counts.started == 0 { Next::Done } else { Next::Wait };
    }
    let begun = counts.all() - counts.waiting;
    let mut most = AT_ONCE.min(ON_THE_WAY_MAX.saturating_sub(counts.started));
    if let Some(per_minute) = job.per_minute {
        let per_minute = u64::from(per_minute);
        most = most.min(per_minute.div_ceil(60)).min(per_minute.saturating_sub(started_in_last_minute));
    }
    if let Some(stop_after) = job.stop_after {
        if begun >= stop_after && counts.started == 0 {
            let first = if begun == 1 { "the first one is".to_owned() } else { format!("the first {begun} are") };
            return Next::Pause(format!("{first} through: {}; look, and go on with the rest", told(counts)));
        }
        most = most.min(stop_after.saturating_sub(begun));
    }
    if most == 0 { Next::Wait } else { Next::Start(most) }
}

fn told(counts: &ItemCounts) -> String {
    let parts = [(counts.ok, "went through"), (counts.failed, "failed again"), (counts.skipped, "needed nothing")];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if parts.is_empty() { "nothing was to be done".to_owned() } else { parts.join(", ") }
}

async fn turn(store: &Store, job: &Job, to: JobState, note: String) -> Result<(), Error> {
    ignore_moved(store.commit(vec![retries::Op::Change { job: job.id, seen: job.state, to, note }.into()]).await)
}

/// Sends one letter of a job again. Answers whether a run has to read it.
async fn start_one(project: &Project, store: &Store, job: &Job, item: &Item) -> Result<bool, Error> {
    let set = |to, result: String| {
        retries::Op::Item { job: job.id, pos: item.pos, seen: ItemState::Waiting, to, result }.into()
    };
    let letter = store.dead_letters_like(item.letter.as_str())?.pop();
    let skipped = match &letter {
        None => Some("it was forgotten meanwhile".to_owned()),
        Some(letter) if letter.state != State::Open => Some(format!("it was {} meanwhile", letter.state)),
        Some(_) => None,
    };
    let (Some(letter), None) = (letter, &skipped) else {
        ignore_moved(store.commit(vec![set(ItemState::Skipped, skipped.unwrap_or_default())]).await)?;
        return Ok(false);
    };
    let mut ops = letters::retry_ops(store, project, &letter, &job.by, job.why.as_deref())?;
    ops.push(set(ItemState::Started, String::new()));
    store.failpoints().hit("retry.before").map_err(store::Error::from)?;
    ignore_moved(store.commit(ops).await)?;
    store.failpoints().hit("retry.after").map_err(store::Error::from)?;
    Ok(letter.kind == Kind::Row)
}

/// Somebody was faster: the next look sees what they did.
fn ignore_moved(result: Result<Vec<OpResult>, store::Error>) -> Result<(), Error> {
    match result {
        Err(error)
            if matches!(
                error.refusal(),
                Some(Refusal::RetryMoved { .. } | Refusal::DeadLetterState { .. } | Refusal::NoDeadLetter { .. })
            ) =>
        {
            Ok(())
        }
        result => Ok(result.map(drop)?),
    }
}

async fn note_results(store: &Store, job: &Job) -> Result<(), Error> {
    let started = store.retry_items(job.id, Some(ItemState::Started), 0, ON_THE_WAY_MAX as usize)?;
    let run = store.last_run(&job.integration)?;
    for item in &started {
        let letter = store.dead_letters_like(item.letter.as_str())?.pop();
        let Some((to, result)) = outcome(letter.as_ref(), item, run.as_ref()) else { continue };
        let op = retries::Op::Item { job: job.id, pos: item.pos, seen: ItemState::Started, to, result };
        ignore_moved(store.commit(vec![op.into()]).await)?;
    }
    Ok(())
}

/// What became of a letter that was sent again; nothing while it is on its way. Pure.
fn outcome(letter: Option<&DeadLetter>, item: &Item, last_run: Option<&Run>) -> Option<(ItemState, String)> {
    let Some(letter) = letter else { return Some((ItemState::Skipped, "it was forgotten meanwhile".to_owned())) };
    Some(match letter.state {
        State::Resolved => (ItemState::Ok, "it was delivered".to_owned()),
        State::Superseded => (ItemState::Ok, "the row as it is now was written".to_owned()),
        State::Discarded => (ItemState::Skipped, "somebody discarded it meanwhile".to_owned()),
        State::Open => (ItemState::Failed, format!("{}: {}", letter.problem.code, letter.problem.what)),
        State::Retrying => {
            // One that failed, or read a window, may not have come to the row.
            let whole = |run: &&Run| run.state.is_good() && run.trigger != Trigger::Backfill;
            let over = last_run.filter(whole).filter(|run| Some(run.started) > item.at);
            let run = over.filter(|_| letter.kind == Kind::Row)?;
            (ItemState::Skipped, format!("run {} did not meet the row; is it still in the source?", run.id))
        }
    })
}

/// Rows are read by a run: once a minute for all that a job has started.
async fn ask_for_a_run(project: &Project, store: &Store, job: &Job, now: Timestamp) -> Result<(), Error> {
    let name = &job.integration;
    let is_batch = project.integration(name).is_some_and(|i| matches!(i.pattern, Pattern::Batch(_)));
    let paused = store.pauses()?.iter().any(|pause| pause.integration == *name);
    if !is_batch || paused || store.queue_counts(worker::QUEUE)?.is_none() {
        return Ok(());
    }
    let message = Message {
        id: format!("{name}@retry-{}-{}", job.id, now.as_second() / 60),
        integration: Some(name.clone()),
        body: format!(r#"{{"trigger": "{}"}}"#, Trigger::Command).into_bytes(),
        ..Message::default()
    };
    let messages = vec![NewMessage { message, at: None, ttl: None }];
    store.commit_one(queue::Op::Send { queue: worker::QUEUE.to_owned(), messages }).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(waiting: u64, started: u64, ok: u64, failed: u64) -> Job {
        let at = Timestamp::UNIX_EPOCH;
        let counts = ItemCounts { waiting, started, ok, failed, skipped: 0 };
        Job {
            id: JobId(1),
            integration: "orders".into(),
            cause: String::new(),
            made: at,
            by: Actor::new("ann", "command line"),
            why: None,
            as_of: at,
            state: JobState::Running,
            stop_after: None,
            per_minute: None,
            changed: at,
            note: String::new(),
            counts,
        }
    }

    #[test]
    fn a_few_first_and_then_the_rest_at_a_rate() {
        let first = |n| Some(n);
        let few = |job: Job| next(&Job { stop_after: first(5), ..job }, 0);
        assert_eq!(few(job(100, 0, 0, 0)), Next::Start(5));
        assert_eq!(few(job(97, 3, 0, 0)), Next::Start(2));
        assert_eq!(few(job(95, 1, 4, 0)), Next::Wait, "the last of the first is still on its way");
        let Next::Pause(note) = few(job(95, 0, 4, 1)) else { panic!() };
        assert_eq!(note, "the first 5 are through: 4 went through, 1 failed again; look, and go on with the rest");
        assert_eq!(next(&job(0, 1, 4, 1), 0), Next::Wait);
        assert_eq!(next(&job(0, 0, 4, 1), 0), Next::Done);
        assert_eq!(next(&job(1000, 0, 0, 0), 0), Next::Start(AT_ONCE));
        assert_eq!(next(&job(1000, 480, 0, 0), 0), Next::Start(20));
        assert_eq!(next(&job(1000, 500, 0, 0), 0), Next::Wait);
        let slow = |rate, lately| next(&Job { per_minute: Some(rate), ..job(1000, 0, 0, 0) }, lately);
        assert_eq!((slow(120, 0), slow(120, 119), slow(120, 120)), (Next::Start(2), Next::Start(1), Next::Wait));
        assert_eq!((slow(6, 5), slow(6, 6)), (Next::Start(1), Next::Wait));
    }
}
