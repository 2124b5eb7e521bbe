//! REST APIs that speak JSON: each request is written in the definition, with fields of the entity in braces.

pub(crate) mod body;
mod options;
pub(crate) mod paging;
mod query;
mod sink;
pub(crate) mod source;
pub(crate) mod template;

use std::sync::Arc;

use record::{
    BoxFuture, Catalog, Fault, Health, Options, Queryable, ReadSpec, Sink, Source, System, TableUse, WriteSpec,
};

use crate::http::Client;
pub use options::KIND;

/// Opens a REST system; see [`crate::registry::Entry::open`].
pub fn open(name: &str, options: Options) -> Result<Arc<dyn System>, Fault> {
    Ok(Arc::new(Api { client: Client::new(name, &options)? }))
}

/// One API.
struct Api {
    client: Client,
}

impl System for Api {
    /// An API has no page that all of them have: any answer but a refusal says that it is there.
    fn check(&self) -> BoxFuture<'_, Result<Health, Fault>> {
        Box::pin(async move {
            let server = self.client.reachable().await?;
            Ok(Health { version: server.unwrap_or_else(|| "a REST API".to_owned()), ..Health::default() })
        })
    }

    fn catalog<'a>(&'a self, _: &'a [&'a str]) -> BoxFuture<'a, Result<Catalog, Fault>> {
        Box::pin(std::future::ready(Ok(Catalog::default())))
    }

    fn untold(&self, uses: &[TableUse]) -> Vec<String> {
        let written = uses.iter().filter(|of| of.writes || of.deletes);
        let says = |of: &TableUse| {
            let (entity, system) = (&of.table, self.client.system());
            format!(
                "whether `{entity}` may be written: an API tells it only to a write; its key has to be allowed what `{entity}` of systems/{system}.yaml sends (`exists:`, `create:`, `update:`, `delete:`)"
            )
        };
        written.map(says).collect()
    }

    fn source(&self, spec: ReadSpec) -> Result<Arc<dyn Source>, Fault> {
        Ok(Arc::new(source::Rows::new(self.client.clone(), spec)?))
    }

    fn queryable(&self, spec: ReadSpec) -> Result<Arc<dyn Queryable>, Fault> {
        Ok(Arc::new(query::Table::new(self.client.clone(), spec)?))
    }

    fn sink(&self, spec: WriteSpec) -> Result<Arc<dyn Sink>, Fault> {
        Ok(Arc::new(sink::Rows::new(self.client.clone(), spec)?))
    }
}
