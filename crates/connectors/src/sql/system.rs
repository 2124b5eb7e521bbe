//! The system of a database that has an [`Engine`].

use std::sync::Arc;

use record::{BoxFuture, Catalog, Fault, Health, Queryable, ReadSpec, Sink, Source, System, TableUse, WriteSpec};

use super::engine::{Engine, Use};
use super::failure::{self, Failure};
use super::{lacking, live, paged, rows};

struct Opened(Arc<dyn Engine>);

/// The system of one database. Does no IO.
pub(crate) fn of(engine: impl Engine + 'static) -> Arc<dyn System> {
    Arc::new(Opened(Arc::new(engine)))
}

impl Opened {
    fn failed(&self, failure: &Failure) -> Fault {
        failure::source(&self.0.words(), self.0.timeout(), "", failure)
    }
}

impl System for Opened {
    fn check(&self) -> BoxFuture<'_, Result<Health, Fault>> {
        Box::pin(async {
            let asked = async {
                let mut session = self.0.connect(Use::Read).await?;
                session.rows(self.0.who(), &[]).await
            };
            let rows = asked.await.map_err(|failure| self.failed(&failure))?;
            Ok(self.0.health(rows.first().map(Vec::as_slice).unwrap_or_default()))
        })
    }

    fn catalog<'a>(&'a self, tables: &'a [&'a str]) -> BoxFuture<'a, Result<Catalog, Fault>> {
        Box::pin(async move {
            let described = async {
                let mut session = self.0.connect(Use::Read).await?;
                let mut catalog = Catalog::default();
                for name in tables {
                    catalog.tables.extend(session.describe(name).await?.map(|described| described.table));
                }
                Ok(catalog)
            };
            described.await.map_err(|failure: Failure| self.failed(&failure))
        })
    }

    fn lacks<'a>(&'a self, uses: &'a [TableUse]) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(async move {
            let asked = async {
                let mut session = self.0.connect(Use::Read).await?;
                let mut missing = Vec::new();
                for of in uses {
                    let Some(described) = session.describe(&of.table).await? else { continue };
                    let mut lacks = Vec::new();
                    for right in of.rights() {
                        if !session.may(&described, right).await? {
                            lacks.push(right);
                        }
                    }
                    let words = self.0.words();
                    missing.extend(lacking(words.user, &of.table, &lacks, "an administrator", &words.grantee));
                }
                Ok(missing)
            };
            asked.await.map_err(|failure: Failure| self.failed(&failure))
        })
    }

    fn source(&self, spec: ReadSpec) -> Result<Arc<dyn Source>, Fault> {
        Ok(Arc::new(paged::Table::new(self.0.clone(), spec)))
    }

    fn queryable(&self, spec: ReadSpec) -> Result<Arc<dyn Queryable>, Fault> {
        Ok(Arc::new(live::Table::new(self.0.clone(), spec)))
    }

    fn sink(&self, spec: WriteSpec) -> Result<Arc<dyn Sink>, Fault> {
        Ok(Arc::new(rows::Table::new(self.0.clone(), spec)))
    }
}
