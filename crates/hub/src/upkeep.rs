//! What `up` does for order, now and then: forgets what was kept for long enough, and reminds of what nobody has looked at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use definition::Project;
use jiff::Timestamp;
use store::dead_letters::{self, Unreviewed};
use store::{Op, OpResult, Store, flows, forget, retries};
use tokio::sync::watch;

use crate::codes;
use crate::digest::{self, span};
use crate::error::Error;
use crate::pulse::{Part, Pulse};

/// How often.
const EVERY: Duration = Duration::from_secs(60);
/// So many go in one commit, so that nobody waits long for the disk.
const AT_ONCE: usize = 500;

/// Dead letters of one integration that somebody should have looked at by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    pub integration: String,
    pub owner: String,
    pub letters: u64,
    /// Since when the oldest of them waits to be looked at.
    pub since: Timestamp,
    /// When somebody should have looked.
    pub due: Timestamp,
}

/// The integrations whose dead letters nobody has looked at in time, by name.
///
/// *Errors*: of our own state.
pub fn overdue(project: &Project, store: &Store) -> Result<Vec<Overdue>, store::Error> {
    let now = store.clock().now();
    Ok(waiting_for_eyes(project, store)?.into_iter().filter(|overdue| overdue.due <= now).collect())
}

/// The same with those that are still in time.
pub fn waiting_for_eyes(project: &Project, store: &Store) -> Result<Vec<Overdue>, store::Error> {
    let found = store.dead_letters_unreviewed()?.into_iter();
    Ok(found.filter_map(|unreviewed| due(project, unreviewed)).collect())
}

fn due(project: &Project, unreviewed: Unreviewed) -> Option<Overdue> {
    let integration = project.integration(&unreviewed.integration)?;
    let due = unreviewed.since.checked_add(span(integration.dead_letters.reviewed_within)).ok()?;
    let Unreviewed { integration: name, letters, since } = unreviewed;
    Some(Overdue { integration: name, owner: integration.owner.clone(), letters, since, due })
}

/// Works until it is told to stop.
///
/// *Errors*: only when our own state cannot be used.
pub async fn work(
    project: Arc<Project>,
    store: Store,
    pulse: Pulse,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    store.commit(vec![digest::in_use(&project)]).await?;
    all(&store, || dead_letters::Op::Regroup { max: AT_ONCE }.into()).await?;
    let mut told: BTreeMap<String, Timestamp> = BTreeMap::new();
    loop {
        pulse.beat(Part::Upkeep);
        forget(&project, &store).await?;
        remind(&project, &store, &mut told)?;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
    }
}

/// Jobs and instances of flows that are over go with the journal; what is personal of those goes before.
async fn forget(project: &Project, store: &Store) -> Result<(), Error> {
    let (now, retention) = (store.clock().now(), &project.hub.retention);
    if let Ok(before) = now.checked_sub(span(retention.journal)) {
        all(store, || retries::Op::Forget { before, max: AT_ONCE }.into()).await?;
        all(store, || flows::Op::Forget { before, max: AT_ONCE }.into()).await?;
    }
    let personal = project.entities.iter().filter(|entity| entity.fields.iter().any(|field| field.personal));
    let mut entities: Vec<String> = personal.map(|entity| entity.name.to_string()).collect();
    // A step may have read a record with personal fields.
    for integration in &project.integrations {
        let definition::Pattern::Flow(flow) = &integration.pattern else { continue };
        let is_personal = |kind: &definition::StepKind| matches!(kind, definition::StepKind::Read { entity, .. } if entities.contains(entity));
        if !entities.contains(&flow.entity) && flow.all_steps().iter().any(|step| is_personal(&step.kind)) {
            entities.push(flow.entity.clone());
        }
    }
    match now.checked_sub(span(retention.personal)) {
        Ok(before) if !entities.is_empty() => {
            all(store, || forget::Op::Personal { entities: entities.clone(), before, max: AT_ONCE }.into()).await
        }
        _ => Ok(()),
    }
}

/// Until nothing is left to do.
async fn all(store: &Store, op: impl Fn() -> Op) -> Result<(), Error> {
    loop {
        let results = store.commit(vec![op()]).await?;
        if !matches!(results.as_slice(), [OpResult::Count(n)] if *n as usize == AT_ONCE) {
            return Ok(());
        }
    }
}

/// Says once, in the log, that nobody has looked in time.
fn remind(project: &Project, store: &Store, told: &mut BTreeMap<String, Timestamp>) -> Result<(), Error> {
    let overdue = overdue(project, store)?;
    for one in &overdue {
        let Overdue { integration, owner, letters, since, .. } = one;
        if told.insert(integration.clone(), *since) != Some(*since) {
            tracing::warn!(
                integration,
                code = %codes::NOT_REVIEWED,
                "{}: nobody has looked at {letters} dead letters of {integration} since {since:.0}; its owner is {owner}: ironbridge dead-letters groups {integration}",
                codes::NOT_REVIEWED
            );
        }
    }
    told.retain(|integration, _| overdue.iter().any(|one| one.integration == *integration));
    Ok(())
}
