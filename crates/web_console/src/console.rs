//! What the console works with.

use std::net::SocketAddr;
use std::sync::Arc;

use definition::Project;
use hub::Systems;
use hub::flows::Flows;
use parking_lot::Mutex;
use store::Store;

use crate::access::{Access, access};
use crate::history::History;
use crate::tries::Tries;

/// What the console is given.
pub struct Setup {
    pub project: Arc<Project>,
    pub store: Store,
    pub systems: Arc<dyn Systems + Send + Sync>,
    /// The kinds that a definition may name, for reading earlier versions of flows.
    pub kinds: Vec<&'static record::Kind>,
    /// Where the hub listens.
    pub address: SocketAddr,
    pub tls: bool,
    /// Who sits at this machine, where nobody signs in.
    pub person: String,
    /// The page of a code, as Markdown.
    pub explain: fn(&str) -> Option<String>,
}

/// The console of a hub.
pub struct Console {
    pub project: Arc<Project>,
    pub store: Store,
    pub(crate) systems: Arc<dyn Systems + Send + Sync>,
    pub(crate) flows: Flows,
    pub(crate) address: SocketAddr,
    pub(crate) tls: bool,
    pub(crate) person: String,
    pub(crate) explain: fn(&str) -> Option<String>,
    pub(crate) secret: [u8; 32],
    pub(crate) tries: Mutex<Tries>,
    pub(crate) history: History,
    /// What a look at the whole audit log found, and the newest hash at that time.
    pub(crate) audit: Mutex<Option<store::audit::Verified>>,
    pub(crate) checks: Mutex<std::collections::BTreeMap<String, crate::pages::systems::Checked>>,
}

impl Console {
    /// *Errors*: of our own state.
    pub async fn new(setup: Setup) -> Result<Arc<Console>, store::Error> {
        let secret = setup.store.secret("console").await?;
        let Setup { project, store, systems, kinds, address, tls, person, explain } = setup;
        let flows = Flows::new(project.clone(), systems.clone(), store.clone(), kinds);
        let (tries, history, audit, checks) = Default::default();
        Ok(Arc::new(Console {
            project,
            store,
            systems,
            flows,
            address,
            tls,
            person,
            explain,
            secret,
            tries,
            history,
            audit,
            checks,
        }))
    }

    /// Whether the audit log is as it was recorded. Looked through again once something was added to it.
    ///
    /// *Errors*: of our own state.
    pub(crate) fn audit_verified(&self) -> Result<store::audit::Verified, store::Error> {
        let mut last = self.audit.lock();
        let head = self.store.audit_head()?;
        match last.as_ref().filter(|last| last.head == head && last.broken.is_none()) {
            Some(last) => Ok(last.clone()),
            None => Ok(last.insert(self.store.audit_verify(None)?).clone()),
        }
    }

    /// How it is reached, as the users stand now.
    pub(crate) fn access(&self) -> Result<Access, store::Error> {
        Ok(access(self.address.ip().is_loopback(), self.tls, self.store.has_users()?))
    }
}
