//! `ironbridge virtual serve`: the OData endpoint alone.

use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::cli::{Cli, Virtual};
use crate::commands::emulate::{cannot_listen, stopped};
use crate::failure::{Failure, NO_SUCH_NAME, USAGE};
use crate::wiring::{self, OpenSystems};
use crate::{ingress, talk};

pub async fn virtual_tables(cli: &Cli, command: &Virtual) -> Result<u8, Failure> {
    match command {
        Virtual::Serve { dir, listen } => serve(cli, dir.as_deref().unwrap_or(&cli.project), *listen).await,
    }
}

async fn serve(cli: &Cli, dir: &Path, listen: std::net::SocketAddr) -> Result<u8, Failure> {
    let project = wiring::project_in(cli, dir)?;
    let opener = wiring::opener(Arc::new(OpenSystems::new(project.clone())));
    let listener = TcpListener::bind(listen).await.map_err(|why| cannot_listen(listen, &why))?;
    let address = listener.local_addr()?;
    let Some(routes) = ingress::odata::routes(&project, opener, address.ip().is_loopback())? else {
        let what = format!("{} has no virtual integration to answer for", wiring::shown(dir));
        let fix = "write one, with `pattern: virtual`, in integrations/";
        return Err(Failure::new(USAGE, NO_SUCH_NAME, what, fix));
    };
    for path in ingress::odata::addresses(&project) {
        talk!("Virtual tables answer at http://{address}{path}");
    }
    talk!("Stop it with Ctrl-C.");
    axum::serve(listener, routes).with_graceful_shutdown(stopped()).await?;
    Ok(0)
}
