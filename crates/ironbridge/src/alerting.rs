//! Alerts beside everything else that `up` does: a watcher on a thread of its own, the sending of notices, a heartbeat.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use definition::Project;
use hub::operations::{self, Disk, Expiring, Machine, Pulse};
use store::Store;
use tokio::sync::{mpsc, watch};

use crate::failure::Failure;
use crate::ways::{ProjectWays, secret};
use crate::{expiry, wiring};

/// This machine, and the files beside the project.
pub struct ThisMachine {
    project: Arc<Project>,
    state: PathBuf,
    /// With which `up` speaks https.
    certificate: Option<PathBuf>,
}

impl ThisMachine {
    pub fn new(project: Arc<Project>, certificate: Option<PathBuf>) -> ThisMachine {
        let state = wiring::state_of(&project);
        ThisMachine { project, state, certificate }
    }
}

impl Machine for ThisMachine {
    fn disk(&self) -> Option<Disk> {
        let files = std::fs::read_dir(&self.state).ok()?.flatten();
        let state_bytes = files.filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum();
        Some(Disk { free_bytes: free_bytes(&self.state)?, state_bytes })
    }

    fn expiring(&self) -> Vec<Expiring> {
        let own = self.certificate.as_ref().and_then(|file| expiry::of_the_hub(&self.project, file));
        expiry::expiring(&self.project).into_iter().chain(own).collect()
    }
}

#[cfg(unix)]
fn free_bytes(dir: &std::path::Path) -> Option<u64> {
    let room = rustix::fs::statvfs(dir).ok()?;
    Some(room.f_bavail.saturating_mul(room.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &std::path::Path) -> Option<u64> {
    None
}

/// Starts the watcher, and answers it with what sends notices and the heartbeat until it is told to stop.
pub fn start(
    project: &Arc<Project>,
    store: &Store,
    stopping: &watch::Receiver<bool>,
    certificate: Option<PathBuf>,
) -> Result<(JoinHandle<()>, impl Future<Output = Result<(), hub::Error>> + use<>), Failure> {
    let (urgent, from_watcher) = mpsc::channel(4);
    let pulse = Pulse::default();
    let watcher = {
        let (project, store, stopping, pulse) = (project.clone(), store.clone(), stopping.clone(), pulse.clone());
        let machine = ThisMachine::new(project.clone(), certificate);
        let watch = move || operations::watch(&project, &store, &machine, &urgent, &pulse, || *stopping.borrow());
        std::thread::Builder::new().name("alerts".to_owned()).spawn(watch)?
    };
    let ways = Arc::new(ProjectWays(project.clone()));
    let sending = operations::send(store.clone(), ways, from_watcher, stopping.clone());
    let beating = beat(project.clone(), pulse, stopping.clone());
    let both = async move {
        let (sent, ()) = tokio::join!(sending, beating);
        sent
    };
    Ok((watcher, both))
}

/// A watcher that has not looked for so long is not well.
const SILENT: Duration = Duration::from_secs(60);

/// Calls the address of the heartbeat again and again, as long as the watcher works: the watcher reads and writes the
/// state, so that a hub that cannot is silent.
async fn beat(project: Arc<Project>, pulse: Pulse, mut stop: watch::Receiver<bool>) {
    let Some(heartbeat) = &project.hub.heartbeat else { return };
    let mut failing = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(heartbeat.every.max(Duration::from_secs(1))) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if !pulse.beats(SILENT) {
            tracing::warn!("no heartbeat: alerts were not looked at for {} seconds", SILENT.as_secs());
            continue;
        }
        let beat = async { connectors::notify::beat(&secret(&project, &heartbeat.url)?).await };
        match beat.await {
            Ok(()) => failing = false,
            // The watcher outside says it louder; one line is enough here.
            Err(fault) if !failing => {
                failing = true;
                tracing::warn!(code = %fault.code, "{fault}; it is tried again every {:?}", heartbeat.every);
            }
            Err(_) => {}
        }
    }
}
