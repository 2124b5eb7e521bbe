//! Who runs an integration: its lease, from the first commit of a run to the last.

use std::time::Duration;

use record::Fault;
use store::approvals::ApprovalId;
use store::leases::{self, Lease};
use store::runs::{self, RunError, RunId, State};
use store::{Op, OpResult, Refusal, Store};

use super::Start;
use crate::error::Error;
use crate::json;

/// How long a lease lasts; it is renewed three times as often.
const LEASE: Duration = Duration::from_secs(15);

/// Ends the run, with what else belongs to its end, and gives the lease back, in one commit. Answers the question that
/// stands after it, where one was asked.
pub(crate) async fn end(
    store: &Store,
    lease: &Lease,
    run: RunId,
    state: State,
    error: Option<&Fault>,
    more: Vec<Op>,
) -> Result<Option<ApprovalId>, Error> {
    let error = error.map(|fault| RunError {
        code: fault.code.to_string(),
        text: fault.what.clone(),
        detail: json::fault(fault).to_string(),
    });
    let release = leases::Op::Release { name: lease.name.clone(), epoch: lease.epoch };
    let finish = runs::Op::Finish { run, state, error };
    let ops = [lease.fence(), finish.into()].into_iter().chain(more).chain([release.into()]);
    let results = store.commit(ops.collect()).await?;
    Ok(results.into_iter().find_map(|result| match result {
        OpResult::Approval(id) => Some(id),
        _ => None,
    }))
}

/// Takes the lease, closes what a crash left running, and starts the run, in one commit.
pub(crate) async fn begin(store: &Store, integration: &str, start: &Start) -> Result<(Lease, RunId), Error> {
    let ops = |first: Option<Op>| -> Vec<Op> {
        let integration = integration.to_owned();
        let take = leases::Op::Take { name: integration.clone(), holder: start.holder.clone(), length: LEASE };
        let started = runs::Op::Start {
            integration: integration.clone(),
            trigger: start.trigger,
            slot: start.slot,
            retry_of: start.retry_of,
        };
        let rest = [take.into(), runs::Op::CloseInterrupted { integration }.into(), started.into()];
        first.into_iter().chain(rest).collect()
    };
    let results = match store.commit(ops(None)).await {
        Err(error) if matches!(error.refusal(), Some(Refusal::LeaseHeld { .. })) => {
            let Some(release) = left_behind(store, integration, &start.holder)? else { return Err(error.into()) };
            store.commit(ops(Some(release))).await?
        }
        results => results?,
    };
    let mut lease = None;
    let mut run = None;
    for result in results {
        match result {
            OpResult::Lease(taken) => lease = Some(taken),
            OpResult::Run(id) => run = Some(id),
            _ => {}
        }
    }
    Ok((lease.expect("Take answers with the lease"), run.expect("Start answers with the run")))
}

/// What takes the lease of an integration back from a holder on this machine that is no longer alive, and so keeps nobody
/// waiting: its epoch fences it off for good. Nothing where somebody works.
pub fn left_behind(store: &Store, integration: &str, ours: &str) -> Result<Option<Op>, store::Error> {
    let held = store.lease(integration)?.filter(|held| is_gone(&held.holder, ours));
    Ok(held.map(|held| leases::Op::Release { name: held.name, epoch: held.epoch }.into()))
}

/// Whether `holder` (`machine/process`) was a process of our machine that has ended. Unknown counts as alive.
fn is_gone(holder: &str, ours: &str) -> bool {
    let (Some((machine, process)), Some((our_machine, _))) = (holder.rsplit_once('/'), ours.rsplit_once('/')) else {
        return false;
    };
    let proc = std::path::Path::new("/proc");
    machine == our_machine
        && process.parse::<u32>().is_ok()
        && proc.join("self").exists()
        && !proc.join(process).exists()
}

/// Renews the lease until that fails.
pub(crate) async fn keep(store: &Store, lease: &Lease) -> store::Error {
    loop {
        tokio::time::sleep(LEASE / 3).await;
        match store.renew_lease(lease, LEASE).await {
            Ok(_) => {}
            // Another process holds the file for a moment: the lease has two more tries.
            Err(store::Error::Busy { .. }) => {}
            Err(error) => return error,
        }
    }
}
