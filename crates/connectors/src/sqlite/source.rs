//! Reading a table, a view or a query, page by page.
//!
//! A read of everything goes by row id, which needs no index and no sorting. A read of changes goes by watermark and row
//! id. A view or a query has no row id: there the order is the key, and a page ends only where the key changes, so that
//! rows that share one are never cut apart.

pub(super) mod plan;
mod reading;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use record::{BoxFuture, Code, Fault, Key, Moment, ReadSpec, Reader, Row, Source, Type, Value};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::mpsc;

use self::plan::Plan;
use self::reading::{Read, read_row};
use super::{Database, fault, functions, value};
use crate::sql::children::Children;
use crate::sql::pages::{Guard, Pages};
use crate::sql::quote;

/// A connection in the middle of a read transaction: what it reads is as it was when that began.
pub(super) struct Held(pub Arc<Mutex<Connection>>);

pub(super) struct Table {
    database: Database,
    spec: Arc<ReadSpec>,
}

impl Table {
    pub fn new(database: Database, spec: ReadSpec) -> Table {
        Table { database, spec: Arc::new(spec) }
    }
}

impl Table {
    fn start(
        &self,
        cursor: Option<String>,
        window: Option<(Timestamp, Timestamp)>,
        held: Option<Arc<Mutex<Connection>>>,
    ) -> BoxFuture<'_, Result<Box<dyn Reader>, Fault>> {
        let (database, spec) = (self.database.clone(), self.spec.clone());
        Box::pin(async move {
            let cancelled = Arc::new(AtomicBool::new(false));
            let (send, receive) = mpsc::channel(1);
            let guard = Guard(cancelled.clone());
            tokio::task::spawn_blocking(move || {
                let read = Read { database: &database, spec: &spec, out: send.clone(), cancelled };
                if let Err(fault) = read.run(cursor.as_deref(), window, held.as_deref()) {
                    // Nobody listens any more where the reader was dropped.
                    send.blocking_send(Err(fault)).ok();
                }
            });
            Pages::start(receive, Some(guard)).await
        })
    }
}

impl Source for Table {
    fn read<'a>(&'a self, cursor: Option<&'a str>) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        self.start(cursor.map(str::to_owned), None, None)
    }

    fn read_at<'a>(
        &'a self,
        cursor: Option<&'a str>,
        moment: &'a Arc<Moment>,
    ) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        let held = moment.held::<Held>().map(|held| held.0.clone());
        self.start(cursor.map(str::to_owned), None, held)
    }

    fn window<'a>(&'a self, from: Timestamp, to: Timestamp) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        self.start(None, Some((from, to)), None)
    }

    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Row>>, Fault>> {
        let (spec, keys) = (self.spec.clone(), keys.to_vec());
        self.database.blocking(move |database| get(database, &spec, &keys))
    }

    fn children<'a>(&'a self, parent: &'a str, ids: &'a [Value]) -> BoxFuture<'a, Result<Vec<Vec<Row>>, Fault>> {
        let (spec, parent, ids) = (self.spec.clone(), parent.to_owned(), ids.to_vec());
        self.database.blocking(move |database| children(database, &spec, &parent, &ids))
    }
}

fn get(database: &Database, spec: &ReadSpec, keys: &[Key]) -> Result<Vec<Option<Row>>, Fault> {
    let failed = |e: rusqlite::Error| fault::source(database, &spec.table, &e);
    let mut connection = database.connect(OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let (out, _) = mpsc::channel(1);
    let read = Read { database, spec, out, cancelled: Arc::default() };
    let deadline = read.watch(&mut connection).map_err(failed)?;
    let plan = Plan::of(&connection, spec, None, false).map_err(failed)?;
    if keys.iter().flat_map(Key::parts).any(|part| matches!(part, Value::Instant(_) | Value::Date(_))) {
        functions::teach(&connection, plan.times.clone()).map_err(failed)?;
    }
    let columns = if plan.wanted.is_empty() { "1".to_owned() } else { plan.wanted.join(", ") };
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        deadline.renew();
        let parts = key.parts();
        let mut bound = Vec::with_capacity(parts.len());
        let equal = spec.key.iter().zip(&parts).map(|(name, part)| equal(name, part, spec, &mut bound));
        let equal: Vec<String> = equal.collect::<Result<_, _>>().map_err(|why| {
            Fault::reject(Code("IB0606"), format!("this key cannot be looked up in `{}`: {why}", spec.table))
                .at_system(&database.system)
                .at_table(&spec.table)
                .at_key(key.to_string())
                .fix("check the columns of the key")
        })?;
        let sql = format!("SELECT {columns} FROM {} AS t WHERE {} LIMIT 1", plan.from, equal.join(" AND "));
        let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
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

/// What holds for the rows whose column has this value, however SQLite keeps it: a GUID or a time is written in many ways.
///
/// *Errors*: as [`value::write`].
fn equal(name: &str, part: &Value, spec: &ReadSpec, bound: &mut Vec<rusqlite::types::Value>) -> Result<String, String> {
    let column = format!("t.{}", quote(name));
    let mut bind = |value| {
        bound.push(value);
        format!("?{}", bound.len())
    };
    Ok(match part {
        Value::Guid(guid) => {
            let written = record::guid::writings(*guid).map(|text| bind(text.into()));
            format!("{column} IN ({}, {})", written.join(", "), bind(guid.as_bytes().to_vec().into()))
        }
        Value::Instant(at) => format!("ib_as_instant({column}) = {}", bind(functions::instant_text(*at).into())),
        Value::Date(date) => format!("ib_as_date({column}) = {}", bind(date.to_string().into())),
        part => format!("{column} = {}", bind(value::write(part, &Type::Unknown, spec.time_zone.as_ref())?)),
    })
}

/// Parents whose children are asked for at a time.
const PARENTS: usize = 400;

fn children(database: &Database, spec: &ReadSpec, parent: &str, ids: &[Value]) -> Result<Vec<Vec<Row>>, Fault> {
    let failed = |e: rusqlite::Error| fault::source(database, &spec.table, &e);
    let mut connection = database.connect(OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let (out, _) = mpsc::channel(1);
    let read = Read { database, spec, out, cancelled: Arc::default() };
    let deadline = read.watch(&mut connection).map_err(failed)?;
    let plan = Plan::of(&connection, spec, None, false).map_err(failed)?;
    let mut found = Children::of(ids);
    for ids in ids.chunks(PARENTS) {
        deadline.renew();
        let marks = vec!["?"; ids.len()].join(", ");
        let columns: Vec<String> = plan.wanted.iter().cloned().chain([format!("t.{}", quote(parent))]).collect();
        let sql =
            format!("SELECT {} FROM {} AS t WHERE t.{} IN ({marks})", columns.join(", "), plan.from, quote(parent));
        let bound: Vec<_> = ids
            .iter()
            .map(|id| value::write(id, &Type::Unknown, spec.time_zone.as_ref()).unwrap_or(rusqlite::types::Value::Null))
            .collect();
        let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
        let mut rows = statement.query(rusqlite::params_from_iter(bound)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let mut values = Vec::with_capacity(plan.wanted.len());
            for (at, column) in plan.schema.columns().iter().enumerate() {
                let cell = row.get_ref(at).map_err(failed)?;
                // What its column's type does not allow is for the mapping to refuse, with its document.
                values.push(value::read(cell, &column.ty, &plan.times).unwrap_or_else(|_| value::raw(cell)));
            }
            let of = value::raw(row.get_ref(plan.wanted.len()).map_err(failed)?);
            found.push(&of, Row::new(plan.schema.clone(), values));
        }
    }
    Ok(found.rows)
}
