//! `ironbridge virtual serve`: the OData endpoint alone.

use std::path::Path;
use std::sync::Arc;

use definition::{Integration, Pattern, Project};
use hub::Systems;
use record::query::Lookup;
use tokio::net::TcpListener;

use crate::cli::{Cli, Virtual};
use crate::commands::emulate::{cannot_listen, stopped};
use crate::failure::{Failure, NO_SUCH_NAME, USAGE};
use crate::ingress::odata::Listens;
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
    let listens = Listens { local: address.ip().is_loopback(), tls: false };
    let Some(routes) = ingress::odata::routes(&project, opener, listens)? else {
        let what = format!("{} has no virtual integration to answer for", wiring::shown(dir));
        let fix = "write one, with `pattern: virtual`, in integrations/";
        return Err(Failure::new(USAGE, NO_SUCH_NAME, what, fix));
    };
    for path in ingress::odata::addresses(&project) {
        talk!("Virtual tables answer at http://{address}{path}");
    }
    talk!("Stop it with Ctrl-C.");
    axum::serve(ingress::prompt(listener), routes).with_graceful_shutdown(stopped()).await?;
    Ok(0)
}

/// What it costs the source to find a row by its GUID, where somebody can do something about it; nothing where the GUID
/// says the key itself, or the source does not answer.
pub async fn lookup_note(project: &Project, integration: &Integration, systems: &OpenSystems) -> Option<String> {
    let Pattern::Virtual(shown) = &integration.pattern else { return None };
    let exposed = virtual_tables::exposed(project, integration)?;
    let source = systems.open(&shown.from).ok()?;
    let (name, from) = (&integration.name, &shown.from);
    let why = format!(
        "{name}: a GUID there is a hash of the key, and to find its row `{from}` computes the hash of every row"
    );
    Some(match virtual_tables::lookup(project, &exposed, &*source).await.ok()?? {
        Lookup::Indexed => format!("{name}: a GUID there is a hash of the key, and `{from}` finds its row by an index"),
        Lookup::Needs(sql) => {
            format!("{why}. Where the table is large, run this there once, and start the hub again:\n    {sql}")
        }
        Lookup::Here => format!(
            "{name}: `{from}` does not have the key as it is shown, so that every question reads all rows: of more than {} rows \
             (`max_rows:`) none is shown. Read the key from plain columns",
            exposed.max_rows
        ),
        Lookup::Scan => {
            format!(
                "{why}, as long as `timeout:` lets it. Where the table is large, give the texts of the key a `pattern:`"
            )
        }
    })
}
