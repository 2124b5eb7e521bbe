//! Reading a table, a view or a query, page by page.
//!
//! A read is one statement in one read-only transaction, fetched a page at a time: it sees one moment of the database,
//! needs one sort at most, and each page is under the time-out. It is ordered by watermark and key, or by key, so that a
//! read that was cut goes on after the last row; without a key the rows come as they come.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use record::{
    Batch, BoxFuture, Column, Fault, Key, Page, ReadKind, ReadSpec, Reader, Row, Schema, Source, Type, Unreadable,
    Value,
};
use tokio::sync::mpsc;
use tokio_postgres::types::{ToSql, Type as PgType};
use tokio_postgres::{Client, Transaction};

use super::fault::{self, Failure};
use super::value::{self, AsText};
use super::{Database, Use, catalog, quote_table};
use crate::sql::cursor::{Cursor, no_window};
use crate::sql::moment::Dst;
use crate::sql::pages::{self, PAGE_BYTES_MAX, Pages, Told};
use crate::sql::text::Times;
use crate::sql::watermark::{Clock, Numbers};
use crate::sql::{order, quote};

/// Rows that are fetched at a time: their memory is held twice for a moment.
const FETCH: i32 = 1_000;

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
    ) -> BoxFuture<'_, Result<Box<dyn Reader>, Fault>> {
        let (database, spec) = (self.database.clone(), self.spec.clone());
        let (send, receive) = mpsc::channel(1);
        Box::pin(async move {
            tokio::spawn(async move {
                let read = Read { database: &database, spec: &spec, out: &send };
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
        self.start(cursor.map(str::to_owned), None)
    }

    fn window<'a>(&'a self, from: Timestamp, to: Timestamp) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        self.start(None, Some((from, to)))
    }

    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Row>>, Fault>> {
        Box::pin(async move {
            let found = get(&self.database, &self.spec, keys).await;
            found.map_err(|failure| fault::source(&self.database, &self.spec.table, &failure))
        })
    }
}

/// The statements of a read.
struct Plan {
    from: String,
    /// The columns asked for, as texts.
    wanted: Vec<String>,
    /// What the rows are ordered by. Empty: as they come, with no way to go on after a cut.
    order: Vec<String>,
    /// Whether each of `order` may be blank.
    nullable: Vec<bool>,
    order_texts: Vec<String>,
    watermark: Option<String>,
    watermark_type: Type,
    times: Times,
    schema: Arc<Schema>,
}

/// Which rows a read of changes is at: those without a watermark are read each time, before the others.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Blanks,
    Values,
}

impl Plan {
    async fn of(client: &Client, spec: &ReadSpec, changes: bool) -> Result<Plan, Failure> {
        let from = match spec.options.text("query") {
            Some(query) => format!("({})", query.trim().trim_end_matches(';')),
            None => quote_table(&spec.table),
        };
        let filled = match spec.options.text("query") {
            Some(_) => Vec::new(),
            None => catalog::table(client, &spec.table).await?.map(|table| table.filled).unwrap_or_default(),
        };
        let watermark = spec.watermark.as_ref().map(|watermark| watermark.column.clone());
        let mut names: Vec<&String> = spec.columns.iter().chain(&spec.key).collect();
        names.extend(&watermark);
        let column = |name: &str| format!("t.{}", quote(name));
        let probe: Vec<String> = names.iter().map(|name| column(name)).collect();
        let probe = if probe.is_empty() { "1".to_owned() } else { probe.join(", ") };
        let statement = client.prepare(&format!("SELECT {probe} FROM {from} AS t")).await?;
        let of = |name: &str| {
            let at = names.iter().position(|known| *known == name).expect("every column is in the probe");
            let column = &statement.columns()[at];
            (column.type_().clone(), column.type_modifier())
        };
        let text = |name: &str| value::as_text(&column(name), of(name).0 == PgType::MONEY);
        let times = Times { zone: spec.time_zone.clone(), dst: Dst::of(spec.options.text("dst")) };
        let schema = spec.columns.iter().map(|name| {
            let (ty, modifier) = of(name);
            let ty = match value::declared(&ty, modifier) {
                Type::LocalDateTime if times.zone.is_some() => Type::DateTime,
                ty => ty,
            };
            Column { name: name.as_str().into(), ty }
        });
        let schema = Schema::new(schema.collect());
        let ordered: Vec<&String> = watermark.iter().filter(|_| changes).chain(&spec.key).collect();
        // A read of changes asks for rows with a watermark and rows without one apart.
        let is_watermark = |at: usize| changes && at == 0;
        Ok(Plan {
            wanted: spec.columns.iter().map(|name| text(name)).collect(),
            order: ordered.iter().map(|name| column(name)).collect(),
            nullable: (0..ordered.len()).map(|at| !is_watermark(at) && !filled.contains(ordered[at])).collect(),
            order_texts: ordered.iter().map(|name| text(name)).collect(),
            watermark_type: watermark.as_deref().map_or(Type::Unknown, |name| value::declared(&of(name).0, -1)),
            watermark: watermark.as_deref().map(column),
            from,
            times,
            schema,
        })
    }

    /// The statement that reads on from a place, and what to bind.
    fn statement(&self, changes: bool, phase: Phase, cursor: &Cursor, lower: Option<&Value>) -> (String, Vec<Value>) {
        let (mut bound, mut all): (Vec<Value>, Vec<String>) = (Vec::new(), Vec::new());
        if let Some(watermark) = self.watermark.as_ref().filter(|_| changes) {
            match (phase, lower) {
                (Phase::Blanks, _) => all.push(format!("{watermark} IS NULL")),
                (Phase::Values, Some(lower)) => {
                    bound.push(lower.clone());
                    all.push(format!("{watermark} >= ${}", bound.len()));
                }
                (Phase::Values, None) => all.push(format!("{watermark} IS NOT NULL")),
            }
            if let Some(until) = &cursor.until {
                bound.push(until.clone());
                all.push(format!("{watermark} < ${}", bound.len()));
            }
        }
        if !cursor.after.is_empty() {
            let before = bound.len();
            let (sql, values) = order::after(&self.order, &cursor.after, |i| format!("${}", before + i + 1));
            bound.extend(values.into_iter().cloned());
            all.push(sql);
        }
        let columns: Vec<&str> = self.wanted.iter().chain(&self.order_texts).map(String::as_str).collect();
        let columns = if columns.is_empty() { "1::text".to_owned() } else { columns.join(", ") };
        let mut sql = format!("SELECT {columns} FROM {} AS t", self.from);
        if !all.is_empty() {
            sql.push_str(&format!(" WHERE {}", all.join(" AND ")));
        }
        if !self.order.is_empty() {
            let by = self.order.iter().zip(&self.nullable);
            let by: Vec<String> = by
                .map(|(column, nullable)| format!("{column}{}", if *nullable { " NULLS FIRST" } else { "" }))
                .collect();
            sql.push_str(&format!(" ORDER BY {}", by.join(", ")));
        }
        (sql, bound)
    }

    /// The values of a row, or what is wrong with it.
    fn row(
        &self,
        database: &Database,
        spec: &ReadSpec,
        row: &tokio_postgres::Row,
    ) -> Result<Result<Vec<Value>, Unreadable>, Failure> {
        let mut values = Vec::with_capacity(self.wanted.len());
        let mut wrong = None;
        for (i, column) in self.schema.columns().iter().enumerate() {
            let cell: Option<&str> = row.try_get(i)?;
            match value::read(cell, &column.ty, &self.times) {
                Ok(value) => values.push(value),
                Err(why) => {
                    values.push(Value::Blank);
                    wrong.get_or_insert((i, why, cell.unwrap_or_default().to_owned()));
                }
            }
        }
        let Some((i, why, shown)) = wrong else { return Ok(Ok(values)) };
        let row = Row::new(self.schema.clone(), values);
        Ok(Err(pages::unreadable(&database.system, spec, row, i, why, &shown)))
    }
}

/// What is bound, as texts that PostgreSQL takes for the types that it finds out by itself.
fn bind(values: &[Value]) -> Vec<AsText> {
    // A watermark keeps the type that it was read with, and its text is that of the type.
    values.iter().map(|value| AsText(value::write(value, &Type::Unknown, None).unwrap_or_default())).collect()
}

fn dynamic(params: &[AsText]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
}

struct Read<'a> {
    database: &'a Database,
    spec: &'a ReadSpec,
    out: &'a mpsc::Sender<Result<Told, Fault>>,
}

impl Read<'_> {
    /// Reads on from a cursor, or what lies in a window of time.
    async fn run(&self, text: Option<&str>, window: Option<(Timestamp, Timestamp)>) -> Result<(), Failure> {
        let mut client = self.database.connect(Use::Read).await?;
        let by = self.spec.watermark.as_ref().map(|watermark| watermark.column.clone());
        let no_window = || Failure::Said(Box::new(no_window(&self.database.system, &self.spec.table, by.as_deref())));
        let (mut cursor, why) = start(by.clone(), text);
        if window.is_some() {
            by.as_ref().ok_or_else(no_window)?;
            cursor = Cursor { by: by.clone(), ..Cursor::default() };
        }
        let changes = !cursor.full;
        let plan = self.database.in_time(Plan::of(&client, self.spec, changes)).await?;
        if cursor.after.len() != plan.order.len() {
            cursor.after.clear();
        }
        let moment =
            client.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead).read_only(true);
        let transaction = self.database.in_time(async { Ok(moment.start().await?) }).await?;
        let clock = self.clock(&transaction).await?;
        if cursor.after.is_empty()
            && let Some(watermark) = &plan.watermark
        {
            let sql = format!("SELECT max({watermark})::text FROM {} AS t", plan.from);
            let row = self.database.in_time(async { Ok(transaction.query_one(&sql, &[]).await?) }).await?;
            let last: Option<&str> = row.try_get(0)?;
            let exactly = Times { zone: None, dst: Dst::Earlier };
            // A watermark such as `infinity` is none to go on from: what has one is read each time.
            let last = value::read(last, &plan.watermark_type, &exactly).unwrap_or_default();
            if let (Some((from, to)), false) = (window, last.is_blank()) {
                cursor.since = Some(clock.at(&last, from, Numbers::Count).ok_or_else(no_window)?);
                cursor.until = Some(clock.at(&last, to, Numbers::Count).ok_or_else(no_window)?);
            }
            cursor.cap = (!last.is_blank()).then(|| clock.limit(last, Numbers::Count));
        }
        let lower = match (&cursor.since, &self.spec.watermark) {
            (Some(since), _) if window.is_some() => Some(since.clone()),
            (Some(since), Some(watermark)) if changes => Some(clock.back(since, watermark.overlap, Numbers::Count)),
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
        let ended = cursor.ended().map(|cursor| cursor.to_text());
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
        let mut page = Gathered::new(plan);
        let mut last: Option<Vec<Value>> = None;
        loop {
            let rows = self.database.in_time(async { Ok(transaction.query_portal(&portal, FETCH).await?) }).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                let cell = |i: usize| {
                    row.try_get::<_, Option<&str>>(plan.wanted.len() + i)
                        .map(|cell| cell.map_or(Value::Blank, Value::text))
                };
                let at: Vec<Value> = (0..plan.order.len()).map(cell).collect::<Result<_, _>>()?;
                let new_place = last.as_ref() != Some(&at);
                if page.is_full(self.spec.rows_per_batch.max(1)) {
                    // Rows that share one place are never cut apart: the place to go on from stays before them.
                    if new_place && let Some(last) = &last {
                        cursor.after.clone_from(last);
                    }
                    let full = std::mem::replace(&mut page, Gathered::new(plan)).finish(ordered.then_some(&*cursor));
                    if self.send(waiting, full).await {
                        return Ok(true);
                    }
                }
                if new_place && let Some(before) = last.replace(at) {
                    cursor.after = before;
                }
                match plan.row(self.database, self.spec, row)? {
                    Ok(values) => values.iter().for_each(|value| page.batch.push(value.as_ref())),
                    Err(unreadable) => page.unreadable.push(unreadable),
                }
            }
        }
        if let Some(last) = last {
            cursor.after = last;
        }
        Ok(!page.is_empty() && self.send(waiting, page.finish(ordered.then_some(&*cursor))).await)
    }

    async fn clock(&self, transaction: &Transaction<'_>) -> Result<Clock, Failure> {
        let sql = r#"SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#;
        let row = self.database.in_time(async { Ok(transaction.query_one(sql, &[]).await?) }).await?;
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

/// Where to start, and why everything is read although changes were asked for.
fn start(by: Option<String>, text: Option<&str>) -> (Cursor, Option<String>) {
    let everything = Cursor { full: true, by: by.clone(), ..Cursor::default() };
    let Some(text) = text else { return (everything, None) };
    match Cursor::parse(text) {
        None => (everything, Some("the place that was kept is not one of this kind of system".to_owned())),
        Some(cursor) if cursor.by != by => {
            (everything, Some("the watermark column is another one than in the last read".to_owned()))
        }
        Some(cursor) => (cursor, None),
    }
}

/// Gathers the rows of one page.
struct Gathered {
    batch: record::BatchBuilder,
    unreadable: Vec<Unreadable>,
}

impl Gathered {
    fn new(plan: &Plan) -> Gathered {
        Gathered { batch: Batch::builder(plan.schema.clone()), unreadable: Vec::new() }
    }

    fn is_full(&self, rows: usize) -> bool {
        self.batch.rows() + self.unreadable.len() >= rows || self.batch.bytes() >= PAGE_BYTES_MAX
    }

    fn is_empty(&self) -> bool {
        self.batch.rows() == 0 && self.unreadable.is_empty()
    }

    fn finish(self, cursor: Option<&Cursor>) -> Page {
        let cursor = cursor.map(Cursor::to_text);
        Page { batch: self.batch.finish(), unreadable: self.unreadable, deleted: Vec::new(), cursor }
    }
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
        let params = bind(&key.parts());
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
