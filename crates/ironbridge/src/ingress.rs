//! What `up` answers over HTTP. Each way in has a module and nests its routes here.

pub mod health;
pub mod metrics;
pub mod odata;
mod reasons;
mod signatures;
pub mod tls;
pub mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::serve::{Listener, ListenerExt};
use definition::Project;
use store::Store;
use tokio::net::TcpListener;
use web_console::{Console, Setup};

use crate::addressed;
use crate::commands::explain;
use crate::failure::Failure;
use crate::wiring::{self, OpenSystems};
pub use reasons::Reasons;

/// Connections whose answers leave at once: whoever asks here waits for them.
pub fn prompt(listener: TcpListener) -> Reasons<impl Listener<Addr = SocketAddr>> {
    Reasons(listener.tap_io(|stream| {
        // Without it everything works, a little later.
        let _ = stream.set_nodelay(true);
    }))
}

/// Every route of a hub, ready to be served.
///
/// *Errors*: a webhook's key has no value; the state cannot be written.
pub async fn routes(project: &Arc<Project>, store: &Store, systems: &Arc<OpenSystems>) -> Result<Router, Failure> {
    let answers = web_console::answers(project, store, systems.clone()).await?;
    Ok(webhooks::routes(project, store).await?.merge(answers))
}

/// The web console. Where it may not be shown at this address, that is said in the log and to whoever asks for it.
///
/// *Errors*: the state cannot be used.
pub async fn console(
    project: &Arc<Project>,
    store: &Store,
    systems: Arc<OpenSystems>,
    address: SocketAddr,
    tls: bool,
) -> Result<Router, Failure> {
    let setup = Setup {
        project: project.clone(),
        store: store.clone(),
        systems,
        kinds: wiring::kinds(),
        address,
        tls,
        person: wiring::person(),
        explain: explain::page_of,
    };
    let console = Console::new(setup).await?;
    if let Some(problem) = web_console::refused_at(&console)? {
        let code = problem.code.map_or("", |code| code.0);
        tracing::warn!(code, "{}; {}", problem.what, problem.fix);
    }
    Ok(addressed::pages(web_console::router(&console)))
}
