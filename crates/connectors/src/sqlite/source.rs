//! Reading a table, a view or a query, page by page.
//!
//! A read of everything goes by row id, which needs no index and no sorting. A read of changes goes by watermark and row
//! id. A view or a query has no row id: there the order is the key, and a page ends only where the key changes, so that
//! rows that share one are never cut apart.

mod plan;
mod reading;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use record::{BoxFuture, Code, Fault, Key, Page, ReadKind, ReadSpec, Reader, Row, Schema, Source, Type};
use rusqlite::OpenFlags;
use tokio::sync::mpsc;

use self::plan::Plan;
use self::reading::{Read, Told, read_row};
use super::{Database, fault, value};
use crate::sql::quote;

pub(super) struct Table {
    database: Database,
    spec: Arc<ReadSpec>,
}

impl Table {
    pub fn new(database: Database, spec: ReadSpec) -> Table {
        Table { database, spec: Arc::new(spec) }
    }
}

impl Source for Table {
    fn read<'a>(&'a self, cursor: Option<&'a str>) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        let (database, spec, cursor) = (self.database.clone(), self.spec.clone(), cursor.map(str::to_owned));
        Box::pin(async move {
            let cancelled = Arc::new(AtomicBool::new(false));
            let (send, mut receive) = mpsc::channel(1);
            let guard = Guard(cancelled.clone());
            tokio::task::spawn_blocking(move || {
                let read = Read { database: &database, spec: &spec, out: send.clone(), cancelled };
                if let Err(fault) = read.run(cursor.as_deref()) {
                    // Nobody listens any more where the reader was dropped.
                    send.blocking_send(Err(fault)).ok();
                }
            });
            match receive.recv().await {
                Some(Ok(Told::Start { kind, schema })) => {
                    Ok(Box::new(Pages { kind, schema, receive, ended: false, _guard: guard }) as Box<dyn Reader>)
                }
                Some(Err(fault)) => Err(fault),
                Some(Ok(_)) | None => Err(cut(&self.database, &self.spec)),
            }
        })
    }

    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Row>>, Fault>> {
        let (spec, keys) = (self.spec.clone(), keys.to_vec());
        self.database.blocking(move |database| get(database, &spec, &keys))
    }
}

fn cut(database: &Database, spec: &ReadSpec) -> Fault {
    Fault::retry(Code("IB0607"), format!("the read of `{}` ended without saying that it was done", spec.table), None)
        .at_system(&database.system)
        .at_table(&spec.table)
        .fix("nothing: the run is repeated")
}

struct Pages {
    kind: ReadKind,
    schema: Arc<Schema>,
    receive: mpsc::Receiver<Result<Told, Fault>>,
    ended: bool,
    _guard: Guard,
}

/// Stops the blocking side within some thousand steps of SQLite when the reader goes away.
struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Reader for Pages {
    fn kind(&self) -> ReadKind {
        self.kind.clone()
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>, Fault>> {
        Box::pin(async move {
            if self.ended {
                return Ok(None);
            }
            match self.receive.recv().await {
                Some(Ok(Told::Page(page))) => Ok(Some(page)),
                Some(Ok(Told::End)) => {
                    self.ended = true;
                    Ok(None)
                }
                Some(Err(fault)) => {
                    self.ended = true;
                    Err(fault)
                }
                // A read that ends without a word was cut: it must not look like the end of the table.
                Some(Ok(Told::Start { .. })) | None => {
                    self.ended = true;
                    Err(Fault::retry(Code("IB0607"), "the read ended without saying that it was done", None)
                        .fix("nothing: the run is repeated"))
                }
            }
        })
    }
}

fn get(database: &Database, spec: &ReadSpec, keys: &[Key]) -> Result<Vec<Option<Row>>, Fault> {
    let failed = |e: rusqlite::Error| fault::source(database, &spec.table, &e);
    let mut connection = database.connect(OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let (out, _) = mpsc::channel(1);
    let read = Read { database, spec, out, cancelled: Arc::default() };
    let deadline = read.watch(&mut connection).map_err(failed)?;
    let plan = Plan::of(&connection, spec, None, false).map_err(failed)?;
    let equal: Vec<String> = (0..spec.key.len()).map(|i| format!("t.{} = ?{}", quote(&spec.key[i]), i + 1)).collect();
    let columns = if plan.wanted.is_empty() { "1".to_owned() } else { plan.wanted.join(", ") };
    let sql = format!("SELECT {columns} FROM {} AS t WHERE {} LIMIT 1", plan.from, equal.join(" AND "));
    let mut statement = connection.prepare(&sql).map_err(failed)?;
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        deadline.renew();
        let parts = key.parts();
        let bound = parts.iter().map(|part| value::write(part, &Type::Unknown, spec.time_zone.as_ref()));
        let bound: Vec<_> = bound.collect::<Result<_, _>>().map_err(|why| {
            Fault::reject(Code("IB0606"), format!("this key cannot be looked up in `{}`: {why}", spec.table))
                .at_system(&database.system)
                .at_table(&spec.table)
                .at_key(key.to_string())
                .fix("check the columns of the key")
        })?;
        let mut rows = statement.query(rusqlite::params_from_iter(bound)).map_err(failed)?;
        found.push(match rows.next().map_err(failed)? {
            None => None,
            Some(row) => match read_row(database, spec, &plan, row).map_err(failed)? {
                Ok(values) => Some(Row::new(plan.schema.clone(), values)),
                Err(unreadable) => return Err(unreadable.fault),
            },
        });
    }
    Ok(found)
}
