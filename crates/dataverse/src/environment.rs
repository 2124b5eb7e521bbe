//! One environment, as a system of the hub.

use std::sync::Arc;

use record::{
    Automation, BoxFuture, Catalog, Difference, Fault, Health, Published, ReadSpec, Registration, Signal, Sink, Source,
    System, TableUse, VirtualTable, WantedKey, WriteSpec,
};

use crate::client::{Call, Client};
use crate::config::Config;
use crate::refusal::WRITE;
use crate::{automation, context, keys, publish, register, rights, sink, source};

/// A Dataverse environment. Cheap to clone; clones share their token, their pace and what they know of tables.
#[derive(Clone)]
pub struct Environment {
    client: Client,
}

impl Environment {
    /// Does no IO.
    pub fn new(system: &str, config: Config) -> Environment {
        Environment { client: Client::new(system, config) }
    }
}

impl System for Environment {
    fn check(&self) -> BoxFuture<'_, Result<Health, Fault>> {
        Box::pin(async move {
            let who = self.client.ask(&Call::get("WhoAmI", WRITE), "").await?;
            let user = source::text_of(&who, "UserId");
            // Not every stand-in of the service knows its version; that is no reason to call it unhealthy.
            let version = match self.client.send(&Call::get("RetrieveVersion()", WRITE)).await {
                Ok(answer) if answer.status == 200 => source::text_of(&answer, "Version"),
                _ => None,
            };
            let version = version.map_or_else(|| "Dataverse Web API v9.2".to_owned(), |v| format!("Dataverse {v}"));
            Ok(Health { version, user, ..Health::default() })
        })
    }

    fn catalog<'a>(&'a self, tables: &'a [&'a str]) -> BoxFuture<'a, Result<Catalog, Fault>> {
        Box::pin(async move {
            let mut catalog = Catalog::default();
            for name in tables {
                match self.client.table(name, WRITE).await {
                    Ok(table) => catalog.tables.push(table.describe()),
                    Err(fault) if fault.code.0 == WRITE.no_table => {}
                    Err(fault) => return Err(fault),
                }
            }
            Ok(catalog)
        })
    }

    fn lacks<'a>(&'a self, uses: &'a [TableUse]) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(rights::lacks(&self.client, uses))
    }

    fn source(&self, spec: ReadSpec) -> Result<Arc<dyn Source>, Fault> {
        Ok(Arc::new(source::Rows::new(self.client.clone(), spec)))
    }

    fn sink(&self, spec: WriteSpec) -> Result<Arc<dyn Sink>, Fault> {
        Ok(Arc::new(sink::Rows::new(self.client.clone(), spec)))
    }

    fn starts<'a>(&'a self, tables: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Automation>, Fault>> {
        Box::pin(automation::starts(&self.client, tables))
    }

    fn register<'a>(
        &'a self,
        wanted: &'a Registration,
        apply: bool,
    ) -> Option<BoxFuture<'a, Result<Vec<Difference>, Fault>>> {
        Some(Box::pin(register::register(&self.client, wanted, apply)))
    }

    fn keys<'a>(
        &'a self,
        wanted: &'a [WantedKey],
        apply: bool,
    ) -> Option<BoxFuture<'a, Result<Vec<Difference>, Fault>>> {
        Some(Box::pin(keys::keys(&self.client, wanted, apply)))
    }

    fn publish<'a>(&'a self, wanted: &'a VirtualTable, apply: bool) -> Option<BoxFuture<'a, Result<Published, Fault>>> {
        Some(Box::pin(publish::publish(&self.client, wanted, apply)))
    }

    fn environment(&self) -> BoxFuture<'_, Result<Option<String>, Fault>> {
        Box::pin(async move {
            let who = self.client.ask(&Call::get("WhoAmI", WRITE), "").await?;
            Ok(source::text_of(&who, "OrganizationId"))
        })
    }

    fn decode(&self, body: &[u8]) -> Option<Result<Signal, Fault>> {
        let signal = context::decode(body).map_err(|why| {
            Fault::reject(context::NOT_A_CONTEXT, format!("the event is no message of Dataverse: {why}"))
                .at_system(self.client.system())
                .fix("let a registered webhook step send to this address, and nothing else")
        });
        Some(signal)
    }
}
