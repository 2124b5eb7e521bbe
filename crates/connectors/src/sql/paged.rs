//! Reading a table, a view or a query of a database that has an [`Engine`].
//!
//! A table with a key of its own is read a page a statement, each after the last row of the one before. Whatever may
//! hold rows with one place in common, a query first of all, is one statement whose rows come as they are taken; a read
//! of it that was cut goes on at its last place, and reads the rows there again.

mod plan;
mod reading;

use std::sync::Arc;

use jiff::Timestamp;
use record::{BoxFuture, Fault, Key, ReadSpec, Reader, Row, Source, Value};
use tokio::sync::mpsc;

use super::engine::{Engine, Use};
use super::failure::{self, Failure};
use super::lookup::{self, Wanted};
use super::pages::Pages;
pub(crate) use plan::{Place, Plan};

pub(crate) struct Table {
    engine: Arc<dyn Engine>,
    spec: Arc<ReadSpec>,
}

impl Table {
    pub fn new(engine: Arc<dyn Engine>, spec: ReadSpec) -> Table {
        Table { engine, spec: Arc::new(spec) }
    }

    fn failed(&self, failure: Failure) -> Fault {
        failure::source(&self.engine.words(), self.engine.timeout(), &self.spec.table, &failure)
    }

    fn start(
        &self,
        cursor: Option<String>,
        window: Option<(Timestamp, Timestamp)>,
    ) -> BoxFuture<'_, Result<Box<dyn Reader>, Fault>> {
        let (engine, spec) = (self.engine.clone(), self.spec.clone());
        let (send, receive) = mpsc::channel(1);
        Box::pin(async move {
            tokio::spawn(async move {
                let read = reading::Read { engine: &*engine, spec: &spec, out: &send };
                tokio::select! {
                    // The reader was dropped: the session ends with this future.
                    () = send.closed() => {}
                    ended = read.run(cursor.as_deref(), window) => {
                        if let Err(failure) = ended {
                            let fault = failure::source(&engine.words(), engine.timeout(), &spec.table, &failure);
                            send.send(Err(fault)).await.ok();
                        }
                    }
                }
            });
            Pages::start(receive, None).await
        })
    }

    /// The rows with these values in `by`. `lenient` gives a value that cannot be read as the text that it is, for the
    /// mapping to refuse it with its document.
    async fn look_up(&self, by: &[String], wanted: &[Vec<Value>], lenient: bool) -> Result<Vec<Vec<Row>>, Failure> {
        let mut session = self.engine.connect(Use::Read).await?;
        let plan = Plan::of(&*self.engine, &mut *session, &self.spec, false, by).await?;
        let columns: Vec<_> = plan.wanted.iter().map(|wanted| wanted.column.clone()).collect();
        let by: Vec<_> = by.iter().map(|name| plan.column(name).clone()).collect();
        let zone = self.spec.time_zone.as_ref();
        let asked = Wanted { from: &plan.from, by: &by, columns: &columns, zone, locks: false };
        let found = lookup::rows(self.engine.dialect(), &mut *session, &asked, wanted).await?;
        let mut answer = Vec::with_capacity(found.len());
        for cells in found {
            let mut rows = Vec::with_capacity(cells.len());
            for cells in cells {
                match plan.row(&*self.engine, &self.spec, &cells) {
                    Ok(values) => rows.push(Row::new(plan.schema.clone(), values)),
                    Err(_) if lenient => rows.push(Row::new(plan.schema.clone(), plan.as_they_are(&cells))),
                    Err(unreadable) => return Err(unreadable.fault.into()),
                }
            }
            answer.push(rows);
        }
        Ok(answer)
    }
}

impl Source for Table {
    fn read<'a>(&'a self, cursor: Option<&'a str>) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        self.start(cursor.map(str::to_owned), None)
    }

    fn window<'a>(&'a self, from: Timestamp, to: Timestamp) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        self.start(None, Some((from, to)))
    }

    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Row>>, Fault>> {
        Box::pin(async move {
            let wanted: Vec<Vec<Value>> = keys.iter().map(Key::parts).collect();
            let found = self.look_up(&self.spec.key, &wanted, false).await.map_err(|failure| self.failed(failure))?;
            Ok(found.into_iter().map(|rows| rows.into_iter().next()).collect())
        })
    }

    fn children<'a>(&'a self, parent: &'a str, ids: &'a [Value]) -> BoxFuture<'a, Result<Vec<Vec<Row>>, Fault>> {
        Box::pin(async move {
            let wanted: Vec<Vec<Value>> = ids.iter().map(|id| vec![id.clone()]).collect();
            self.look_up(&[parent.to_owned()], &wanted, true).await.map_err(|failure| self.failed(failure))
        })
    }
}
