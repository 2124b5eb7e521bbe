//! What the console works with.

use std::net::SocketAddr;
use std::sync::Arc;

use definition::Project;
use hub::Systems;
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
    pub(crate) address: SocketAddr,
    pub(crate) tls: bool,
    pub(crate) person: String,
    pub(crate) explain: fn(&str) -> Option<String>,
    pub(crate) secret: [u8; 32],
    pub(crate) tries: Mutex<Tries>,
    pub(crate) history: History,
    pub(crate) checks: Mutex<std::collections::BTreeMap<String, crate::pages::systems::Checked>>,
}

impl Console {
    /// *Errors*: of our own state.
    pub async fn new(setup: Setup) -> Result<Arc<Console>, store::Error> {
        let secret = setup.store.secret("console").await?;
        let Setup { project, store, systems, address, tls, person, explain } = setup;
        let (tries, history, checks) = Default::default();
        Ok(Arc::new(Console { project, store, systems, address, tls, person, explain, secret, tries, history, checks }))
    }

    /// How it is reached, as the users stand now.
    pub(crate) fn access(&self) -> Result<Access, store::Error> {
        Ok(access(self.address.ip().is_loopback(), self.tls, self.store.has_users()?))
    }
}
