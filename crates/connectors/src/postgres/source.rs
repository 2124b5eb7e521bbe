//! Reading a table, a view or a query, page by page.
//!
//! A read is one statement in one read-only transaction, fetched some thousand rows at a time: it sees one moment of the
//! database, needs one sort at most, and each fetch is under the time-out. It is ordered by watermark and key, or by key,
//! so that a read that was cut goes on after the last row; without a key the rows come as they come.

mod gathered;
mod plan;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use record::{BoxFuture, Fault, Key, Moment, Page, ReadKind, ReadSpec, Reader, Row, Source, Type, Value};
use tokio::sync::mpsc;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Transaction};

use self::gathered::{Gathered, Places};
use self::plan::{Phase, Plan};
use super::fault::{self, Failure};
use super::value::{self, AsText, Holds};
use super::{Database, Use};
use crate::sql::children::Children;
use crate::sql::cursor::{Cursor, no_window};
use crate::sql::moment::Dst;
use crate::sql::pages::{Pages, Told, start};
use crate::sql::quote;
use crate::sql::text::Times;
use crate::sql::watermark::{self, Clock, Numbers};

/// Rows that are fetched at a time, until it is known how long they are.
const FETCH_FIRST: i32 = 1_000;
/// Rows that are fetched at a time at most, and the bytes of them: a page of them is held beside the one that is worked on.
const FETCH_MAX: i32 = 10_000;
const FETCH_BYTES: usize = 4 << 20;

/// A moment that a session exports as long as its transaction lasts.
pub(super) struct Held {
    pub name: String,
    pub _session: Client,
}

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
        snapshot: Option<String>,
    ) -> BoxFuture<'_, Result<Box<dyn Reader>, Fault>> {
        let (database, spec) = (self.database.clone(), self.spec.clone());
        let (send, receive) = mpsc::channel(1);
        Box::pin(async move {
            tokio::spawn(async move {
                let read = Read { database: &database, spec: &spec, out: &send, snapshot: snapshot.as_deref() };
                tokio::select! {
                    // The reader was dropped: the session ends with this future.
                    () = send.closed() => {}
                    ended = read.run(cursor.as_deref(), window) => {
                        if let Err(failure) = ended {
                            send.send(Err(fault::source(&database, &spec.table, &failure))).await.ok();
                        }
                    }
                }
            });
            Pages::start(receive, None).await
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
        let snapshot = moment.held::<Held>().map(|held| held.name.clone());
        self.start(cursor.map(str::to_owned), None, snapshot)
    }

    fn window<'a>(&'a self, from: Timestamp, to: Timestamp) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        self.start(None, Some((from, to)), None)
    }

    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Row>>, Fault>> {
        Box::pin(async move {
            let found = get(&self.database, &self.spec, keys).await;
            found.map_err(|failure| fault::source(&self.database, &self.spec.table, &failure))
        })
    }

    fn children<'a>(&'a self, parent: &'a str, ids: &'a [Value]) -> BoxFuture<'a, Result<Vec<Vec<Row>>, Fault>> {
        Box::pin(async move {
            let found = children(&self.database, &self.spec, parent, ids).await;
            found.map_err(|failure| fault::source(&self.database, &self.spec.table, &failure))
        })
    }
}

/// What is bound, as texts that PostgreSQL takes for the types that it finds out by itself.
fn bind(values: &[Value]) -> Vec<AsText> {
    // A watermark keeps the type that it was read with, and its text is that of the type.
    values
        .iter()
        .map(|value| AsText(value::write(value, &Type::Unknown, Holds::default(), None).unwrap_or_default()))
        .collect()
}

fn dynamic(params: &[AsText]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
}

struct Read<'a> {
    database: &'a Database,
    spec: &'a ReadSpec,
    out: &'a mpsc::Sender<Result<Told, Fault>>,
    /// The exported moment to read at.
    snapshot: Option<&'a str>,
}

impl Read<'_> {
    /// Reads on from a cursor, or what lies in a window of time.
    async fn run(&self, text: Option<&str>, window: Option<(Timestamp, Timestamp)>) -> Result<(), Failure> {
        let mut client = self.database.connect(Use::Read).await?;
        let by = self.spec.watermark.as_ref().map(|watermark| watermark.column.clone());
        let no_window = || Failure::Said(Box::new(no_window(&self.database.system, &self.spec.table, by.as_deref())));
        let (mut cursor, mut why) = start(by.clone(), text);
        if window.is_some() {
            by.as_ref().ok_or_else(no_window)?;
            cursor = Cursor { by: by.clone(), ..Cursor::default() };
        }
        let mut plan = self.database.in_time(Plan::of(&client, self.spec, !cursor.full)).await?;
        let clock = self.clock(&client).await?;
        if let (Some(since), Some(watermark)) = (&cursor.since, &self.spec.watermark)
            && let Some(lost) = clock.lost(since, watermark.overlap, &plan.watermark_type, Numbers::Count)
        {
            (cursor, why) = (Cursor::everything(by.clone()), Some(lost));
            plan = self.database.in_time(Plan::of(&client, self.spec, false)).await?;
        }
        let mut changes = !cursor.full;
        if cursor.after.len() != plan.order.len() {
            cursor.after.clear();
        }
        let moment =
            client.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead).read_only(true);
        let transaction = self.database.in_time(async { Ok(moment.start().await?) }).await?;
        if let Some(name) = self.snapshot {
            let at = format!("SET TRANSACTION SNAPSHOT '{}'", name.replace('\'', "''"));
            self.database.in_time(async { Ok(transaction.batch_execute(&at).await?) }).await?;
        }
        if cursor.after.is_empty()
            && let Some(watermark) = &plan.watermark
        {
            let sql = format!("SELECT max({watermark})::text FROM {} AS t", plan.from);
            let row = self.database.in_time(async { Ok(transaction.query_one(&sql, &[]).await?) }).await?;
            let written: Option<&str> = row.try_get(0)?;
            let exactly = Times { zone: None, dst: Dst::Earlier };
            let last = value::read(written, &plan.watermark_type, &exactly);
            let last = watermark::last(last, written, &plan.watermark_type);
            let column = by.as_deref().unwrap_or_default();
            watermark::in_order(&last, &self.database.system, &self.spec.table, column).map_err(Failure::Said)?;
            if let Some(anew) = cursor.since.as_ref().and_then(|since| watermark::counts_anew(since, &last)) {
                (cursor, why, changes) = (Cursor::everything(by.clone()), Some(anew), false);
                plan = self.database.in_time(Plan::of(transaction.client(), self.spec, false)).await?;
            }
            if let (Some(window), false) = (window, last.is_blank()) {
                let (since, until) = clock.window(&last, window, Numbers::Count).ok_or_else(no_window)?;
                (cursor.since, cursor.until) = (Some(since), Some(until));
            }
            cursor.cap = (!last.is_blank()).then(|| clock.limit(last, Numbers::Count));
        }
        let lower = match (&cursor.since, &self.spec.watermark) {
            (Some(since), _) if window.is_some() => Some(since.clone()),
            (Some(_), Some(watermark)) if changes => cursor.lower(&clock, watermark.overlap),
            _ => None,
        };
        let kind = if cursor.full { ReadKind::Full { why } } else { ReadKind::Changes };
        if self.tell(Told::Start { kind, schema: plan.schema.clone() }).await {
            return Ok(());
        }
        let mut phase = match cursor.after.first() {
            _ if !changes || plan.watermark.is_none() || window.is_some() => Phase::Values,
            Some(first) if !first.is_blank() => Phase::Values,
            _ => Phase::Blanks,
        };
        // The last page carries the cursor of the ended read, so a page waits until the next one is known.
        let mut waiting = None;
        loop {
            if self.phase(&transaction, &plan, changes, phase, &mut cursor, lower.as_ref(), &mut waiting).await? {
                return Ok(());
            }
            if phase == Phase::Values {
                break;
            }
            phase = Phase::Values;
            cursor.after.clear();
        }
        let overlap = self.spec.watermark.as_ref().map_or(Duration::ZERO, |watermark| watermark.overlap);
        let ended = cursor.ended_at(&clock, overlap).map(|cursor| cursor.to_text());
        let page = match waiting {
            Some(page) => Some(Page { cursor: ended, ..page }),
            None if ended.is_some() => Some(Page { cursor: ended, ..Gathered::new(&plan).finish(None) }),
            None => None,
        };
        if let Some(page) = page {
            self.tell(Told::Page(page)).await;
        }
        self.tell(Told::End).await;
        Ok(())
    }

    /// Reads the rows of one phase to their end. Whether nobody listens any more.
    #[expect(clippy::too_many_arguments, reason = "what a read is at")]
    async fn phase(
        &self,
        transaction: &Transaction<'_>,
        plan: &Plan,
        changes: bool,
        phase: Phase,
        cursor: &mut Cursor,
        lower: Option<&Value>,
        waiting: &mut Option<Page>,
    ) -> Result<bool, Failure> {
        let (sql, bound) = plan.statement(changes, phase, cursor, lower);
        let params = bind(&bound);
        let portal = self
            .database
            .in_time(async {
                let statement = transaction.prepare(&sql).await?;
                Ok(transaction.bind(&statement, &dynamic(&params)).await?)
            })
            .await?;
        let ordered = !plan.order.is_empty();
        let rows_max = self.spec.rows_per_batch.max(1);
        let mut page = Gathered::new(plan);
        let mut places = Places::default();
        let mut fetch = FETCH_FIRST;
        loop {
            // Whoever takes the pages waits until all of it is here: the server's time-out is for the server's work.
            let mut full = Vec::new();
            let (mut fetched, mut bytes) = (0, 0);
            let receive = async {
                let mut rows = pin!(transaction.query_portal_raw(&portal, fetch).await?);
                while let Some(row) = rows.try_next().await? {
                    fetched += 1;
                    bytes += row.raw_size_bytes();
                    places.go_on(&row, plan.wanted.len())?;
                    if page.is_full(rows_max) {
                        places.before(cursor);
                        let done = std::mem::replace(&mut page, Gathered::new(plan));
                        full.push(done.finish(ordered.then_some(&*cursor)));
                    }
                    page.unreadable.extend(plan.gather(self.database, self.spec, &row, &mut page.batch)?);
                }
                Ok(())
            };
            self.database.in_time(receive).await?;
            for page in full {
                if self.send(waiting, page).await {
                    return Ok(true);
                }
            }
            if fetched < fetch {
                break;
            }
            fetch = fetch_next(fetched, bytes);
        }
        places.here(cursor);
        Ok(!page.is_empty() && self.send(waiting, page.finish(ordered.then_some(&*cursor))).await)
    }

    async fn clock(&self, client: &Client) -> Result<Clock, Failure> {
        let sql = r#"SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#;
        let row = self.database.in_time(async { Ok(client.query_one(sql, &[]).await?) }).await?;
        let now: &str = row.try_get(0)?;
        let now = now.parse().expect("PostgreSQL writes the time as it was asked to");
        Ok(Clock { now, zone: self.spec.time_zone.clone().unwrap_or(TimeZone::UTC) })
    }

    async fn send(&self, waiting: &mut Option<Page>, page: Page) -> bool {
        match waiting.replace(page) {
            Some(page) => self.tell(Told::Page(page)).await,
            None => false,
        }
    }

    /// Whether nobody listens any more.
    async fn tell(&self, told: Told) -> bool {
        self.out.send(Ok(told)).await.is_err()
    }
}

/// How many rows to fetch next, after so many of so many bytes.
fn fetch_next(rows: i32, bytes: usize) -> i32 {
    let bytes_per_row = bytes / rows.max(1) as usize + 1;
    i32::try_from(FETCH_BYTES / bytes_per_row).unwrap_or(FETCH_MAX).clamp(10, FETCH_MAX)
}

async fn get(database: &Database, spec: &ReadSpec, keys: &[Key]) -> Result<Vec<Option<Row>>, Failure> {
    let client = database.connect(Use::Read).await?;
    let plan = database.in_time(Plan::of(&client, spec, false)).await?;
    let equal: Vec<String> =
        spec.key.iter().enumerate().map(|(i, name)| format!("t.{} = ${}", quote(name), i + 1)).collect();
    let columns = if plan.wanted.is_empty() { "1::text".to_owned() } else { plan.wanted.join(", ") };
    let sql = format!("SELECT {columns} FROM {} AS t WHERE {} LIMIT 1", plan.from, equal.join(" AND "));
    let statement = database.in_time(async { Ok(client.prepare(&sql).await?) }).await?;
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let written = key.parts().into_iter().zip(statement.params()).map(|(part, ty)| {
            AsText(
                value::write(&part, &value::declared(ty, -1), Holds::default(), spec.time_zone.as_ref())
                    .unwrap_or_default(),
            )
        });
        let params: Vec<AsText> = written.collect();
        let row = database.in_time(async { Ok(client.query_opt(&statement, &dynamic(&params)).await?) }).await;
        found.push(match row {
            Ok(None) => None,
            // A key that is no value of its column's type is no key of the table.
            Err(failure) if failure.is_of_a_row() => None,
            Err(failure) => return Err(failure),
            Ok(Some(row)) => match plan.row(database, spec, &row)? {
                Ok(values) => Some(Row::new(plan.schema.clone(), values)),
                Err(unreadable) => return Err(unreadable.fault.into()),
            },
        });
    }
    Ok(found)
}

/// Parents whose children are asked for at a time.
const PARENTS: usize = 400;

async fn children(database: &Database, spec: &ReadSpec, parent: &str, ids: &[Value]) -> Result<Vec<Vec<Row>>, Failure> {
    let client = database.connect(Use::Read).await?;
    let plan = database.in_time(Plan::of(&client, spec, false)).await?;
    let mut found = Children::of(ids);
    let asked: Vec<Value> = ids.iter().filter(|id| !id.is_blank()).cloned().collect();
    let column = format!("t.{}", quote(parent));
    let columns: Vec<String> = plan.wanted.iter().cloned().chain([format!("({column})::text")]).collect();
    for ids in asked.chunks(PARENTS) {
        let marks: Vec<String> = (1..=ids.len()).map(|at| format!("${at}")).collect();
        let sql =
            format!("SELECT {} FROM {} AS t WHERE {column} IN ({})", columns.join(", "), plan.from, marks.join(", "));
        let params = bind(ids);
        let rows = database
            .in_time(async {
                let statement = client.prepare(&sql).await?;
                Ok(client.query(&statement, &dynamic(&params)).await?)
            })
            .await?;
        for row in &rows {
            let values = match plan.row(database, spec, row)? {
                Ok(values) => values,
                Err(unreadable) => return Err(unreadable.fault.into()),
            };
            let of: Option<&str> = row.try_get(plan.wanted.len())?;
            found.push(&Value::text(of.unwrap_or_default()), Row::new(plan.schema.clone(), values));
        }
    }
    Ok(found.rows)
}
