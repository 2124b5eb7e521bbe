//! OData v4 services as business systems have them: Business Central, Finance and Operations, SAP.
//!
//! Reading is a list with `$filter` on the watermark and `@odata.nextLink`, so it is done by what reads REST lists.
//! Writing is one `$batch` for each chunk: `POST` for a new row, `PATCH` under its ETag for one that is there.
//!
//! *Source*: OData 4.0 part 1 (11.2.5 query options, 11.4 data modification, 11.7 batch), part 3 (CSDL, entity keys);
//! Dataverse's own dialect has its own connector.

mod filter;
mod metadata;
mod options;
mod sink;
mod source;

use std::sync::Arc;

use record::{BoxFuture, Catalog, Code, Fault, Health, Options, ReadSpec, Sink, Source, System, TableUse, WriteSpec};
use tokio::sync::OnceCell;

use crate::http::Client;
use crate::http::client::Sent;
use metadata::Metadata;
pub use options::KIND;

/// Opens an OData service; see [`crate::registry::Entry::open`].
pub fn open(name: &str, options: Options) -> Result<Arc<dyn System>, Fault> {
    let client = Client::new(name, &options)?;
    let parameters = options.text("parameters").unwrap_or_default().trim_start_matches(['?', '&']).to_owned();
    let page_rows = options.number("page_rows").and_then(|rows| u32::try_from(rows).ok()).unwrap_or(1_000);
    Ok(Arc::new(Opened(Arc::new(Service { client, parameters, page_rows, metadata: OnceCell::new() }))))
}

/// A service, and what it says of itself.
struct Service {
    client: Client,
    /// What each query carries besides its own options (`cross-company=true`).
    parameters: String,
    page_rows: u32,
    metadata: OnceCell<Metadata>,
}

struct Opened(Arc<Service>);

impl Service {
    /// `$metadata`, asked for once. *Errors*: no answer, or one that is no CSDL.
    async fn metadata(&self) -> Result<&Metadata, Fault> {
        self.metadata.get_or_try_init(|| self.fetch()).await
    }

    async fn fetch(&self) -> Result<Metadata, Fault> {
        let system = self.client.system();
        let sent = Sent::default().header("Accept", "application/xml");
        let answer = self.client.send(&reqwest::Method::GET, "/$metadata", sent).await?.ok_or_else(|| {
            Fault::ask_person(Code("IB0510"), format!("`{system}` has no `$metadata` at its address"))
                .at_system(system)
                .fix("give the root of the OData service as `connection: url`")
        })?;
        Metadata::read(&answer.text).map_err(|why| {
            Fault::ask_person(Code("IB0510"), format!("the `$metadata` of `{system}` could not be understood: {why}"))
                .at_system(system)
                .fix("give the root of an OData v4 service as `connection: url`")
        })
    }

    /// The entity set of this name. *Errors*: there is none.
    async fn set(&self, name: &str, missing: &'static str) -> Result<&metadata::Set, Fault> {
        self.metadata().await?.set(name).ok_or_else(|| {
            let system = self.client.system();
            Fault::ask_person(Code(missing), format!("`{system}` has no entity set `{name}`"))
                .at_system(system)
                .at_table(name)
                .fix("correct `table:` in the system's file; names are as `$metadata` has them")
        })
    }

    /// A path with the options of a query, as text, and what every query carries.
    fn path(&self, set: &str, options: &[(&str, String)]) -> String {
        let own = options.iter().map(|(name, value)| format!("{name}={}", odata::encode(value)));
        let all: Vec<String> = own.chain((!self.parameters.is_empty()).then(|| self.parameters.clone())).collect();
        match all.is_empty() {
            true => format!("/{set}"),
            false => format!("/{set}?{}", all.join("&")),
        }
    }
}

impl System for Opened {
    fn check(&self) -> BoxFuture<'_, Result<Health, Fault>> {
        Box::pin(async move {
            let server = self.0.client.reachable().await?;
            let metadata = self.0.metadata().await?;
            let version = match server {
                Some(server) => format!("OData {}, {server}", metadata.version),
                None => format!("OData {}", metadata.version),
            };
            Ok(Health { version, ..Health::default() })
        })
    }

    fn catalog<'a>(&'a self, tables: &'a [&'a str]) -> BoxFuture<'a, Result<Catalog, Fault>> {
        Box::pin(async move {
            let metadata = self.0.metadata().await?;
            Ok(Catalog { tables: tables.iter().filter_map(|name| metadata.table(name)).collect() })
        })
    }

    fn untold(&self, uses: &[TableUse]) -> Vec<String> {
        let says = |of: &TableUse| {
            let needs = match (of.writes, of.deletes) {
                (true, true) => "GET, POST, PATCH and DELETE",
                (true, false) => "GET, POST and PATCH",
                (false, true) => "GET and DELETE",
                (false, false) => return None,
            };
            Some(format!(
                "whether `{}` may be written: the service tells it only to a write; its user has to be allowed {needs} there",
                of.table
            ))
        };
        uses.iter().filter_map(says).collect()
    }

    fn source(&self, spec: ReadSpec) -> Result<Arc<dyn Source>, Fault> {
        Ok(Arc::new(source::Rows::new(self.0.clone(), spec)))
    }

    fn sink(&self, spec: WriteSpec) -> Result<Arc<dyn Sink>, Fault> {
        Ok(Arc::new(sink::Rows::new(self.0.clone(), spec)))
    }
}
