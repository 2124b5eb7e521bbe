//! Whether each virtual table fits what its source has now. Whoever looks at one that does not gets an error, and tells
//! nobody here; the system itself answers, so that is looked at too.

use std::sync::Arc;
use std::time::Duration;

use definition::{Pattern, Project};
use hub::Systems;
use record::Fault;
use store::outages::Op;
use store::{Error, Store};
use tokio::sync::watch;

use crate::wiring::OpenSystems;

/// How often each is looked at.
const EVERY: Duration = Duration::from_secs(60);
/// What takes longer is known no better by waiting: whether the system answers is asked elsewhere.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks until it is told to stop.
///
/// *Errors*: of our own state.
pub async fn work(
    project: Arc<Project>,
    systems: Arc<OpenSystems>,
    store: Store,
    mut stop: watch::Receiver<bool>,
) -> Result<(), hub::Error> {
    loop {
        once(&project, &systems, &store).await?;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
    }
}

async fn once(project: &Project, systems: &OpenSystems, store: &Store) -> Result<(), Error> {
    for integration in &project.integrations {
        let Pattern::Virtual(shown) = &integration.pattern else { continue };
        let (name, system) = (integration.name.clone(), shown.from.clone());
        let Some(exposed) = virtual_tables::exposed(project, integration) else { continue };
        let fits = async { virtual_tables::fits(project, &exposed, &*systems.open(&system)?).await };
        let fault: Fault = match tokio::time::timeout(PATIENCE, fits).await {
            Ok(Err(fault)) if !fault.is_transient() => fault,
            Ok(Ok(())) => {
                if store.outages()?.iter().any(|outage| outage.integration == name) {
                    tracing::info!("{name}: {system} can be shown again");
                    store.commit(vec![Op::End { integration: name, system }.into()]).await?;
                }
                continue;
            }
            Ok(Err(_)) | Err(_) => continue,
        };
        let known = store.outages()?.into_iter().find(|outage| outage.integration == name);
        if known.as_ref().is_none_or(|known| known.what != fault.to_string()) {
            tracing::error!(
                integration = name, code = %fault.code, what = fault.what, "do" = fault.fix,
                "{name}: whoever looks gets an error: {fault}; see ironbridge status"
            );
        }
        let failures = known.map_or(1, |known| known.failures + 1);
        let (code, what, fix) = (fault.code.to_string(), fault.to_string(), fault.fix.clone());
        store
            .commit(vec![Op::Note { integration: name, at: system.clone(), system, code, what, fix, failures }.into()])
            .await?;
    }
    Ok(())
}
