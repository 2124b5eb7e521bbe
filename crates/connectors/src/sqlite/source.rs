//! Reading a table, a view or a query, page by page.
//!
//! A read of everything goes by row id, which needs no index and no sorting. A read of changes goes by watermark and row
//! id. A view or a query has no row id: there the order is the key, and a page ends only where the key changes, so that
//! rows that share one are never cut apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use record::{
    Batch, BoxFuture, Code, Column, Fault, Key, Page, ReadKind, ReadSpec, Reader, Row, Schema, Source, Type,
    Unreadable, Value,
};
use rusqlite::{Connection, OpenFlags, Statement};
use tokio::sync::mpsc;

use super::value::Times;
use super::{Database, catalog, fault, value};
use crate::sql::cursor::Cursor;
use crate::sql::moment::Dst;
use crate::sql::order;
use crate::sql::quote;
use crate::sql::watermark::{Clock, Numbers};

/// A page is closed before it holds more than this, whatever the number of its rows.
const PAGE_BYTES_MAX: usize = 16 << 20;

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

/// What the blocking side says.
enum Told {
    Start { kind: ReadKind, schema: Arc<Schema> },
    Page(Page),
    End,
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

/// The reader was dropped, or something failed.
enum Ended {
    Unheard,
    Fault(Box<Fault>),
}

struct Read<'a> {
    database: &'a Database,
    spec: &'a ReadSpec,
    out: mpsc::Sender<Result<Told, Fault>>,
    cancelled: Arc<AtomicBool>,
}

/// How this read goes through the table.
struct Plan {
    /// `"customers"`, or the query in brackets.
    from: String,
    /// The columns asked for.
    wanted: Vec<String>,
    /// What the rows are ordered by; a blank comes first. Empty: as they come, with no way to go on after a cut.
    order: Vec<String>,
    /// No two rows are equal in `order`.
    unique: bool,
    /// The watermark column, in a read of changes.
    watermark: Option<String>,
    numbers: Numbers,
    times: Times,
    schema: Arc<Schema>,
    /// Whether positions are row ids, which a `VACUUM` may give out anew.
    by_rowid: bool,
}

/// Which rows a read of changes is at: those without a watermark are read each time, before the others.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Blanks,
    Values,
}

impl Read<'_> {
    fn run(&self, cursor: Option<&str>) -> Result<(), Fault> {
        match self.pages(cursor) {
            Ok(()) | Err(Ended::Unheard) => Ok(()),
            Err(Ended::Fault(fault)) => Err(*fault),
        }
    }

    fn pages(&self, text: Option<&str>) -> Result<(), Ended> {
        let failed = |e: rusqlite::Error| Ended::Fault(Box::new(self.failed(&e)));
        let mut connection = self.database.connect(OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
        let deadline = self.watch(&mut connection).map_err(failed)?;
        let from = from(self.spec);
        let clock = clock(&connection, self.spec).map_err(failed)?;
        let layout = layout(&connection).map_err(failed)?;
        let rowid = rowid(&connection, self.spec).map_err(failed)?;
        let (mut cursor, why) = start(self.spec, text, rowid.is_some().then_some(layout));
        let plan = self.plan(&connection, from, rowid, !cursor.full).map_err(failed)?;
        if cursor.after.len() != plan.order.len() && !cursor.after.is_empty() {
            cursor.after.clear();
        }
        if cursor.after.is_empty()
            && let Some(watermark) = &self.spec.watermark
        {
            let sql = format!("SELECT max(t.{}) FROM {} AS t", quote(&watermark.column), plan.from);
            let last = connection.query_row(&sql, [], |row| row.get_ref(0).map(value::raw)).map_err(failed)?;
            cursor.cap = (!last.is_blank()).then(|| clock.limit(last, plan.numbers));
        }
        let lower = match (&plan.watermark, &cursor.since, &self.spec.watermark) {
            (Some(_), Some(since), Some(watermark)) => Some(clock.back(since, watermark.overlap, plan.numbers)),
            _ => None,
        };
        let kind = if cursor.full { ReadKind::Full { why } } else { ReadKind::Changes };
        self.tell(Told::Start { kind, schema: plan.schema.clone() })?;

        let mut phase = match (&plan.watermark, cursor.after.first()) {
            (None, _) => Phase::Values,
            (Some(_), Some(first)) if !first.is_blank() => Phase::Values,
            (Some(_), _) => Phase::Blanks,
        };
        // The last page carries the cursor of the ended read, so a page waits until the next one is known.
        let mut waiting: Option<Page> = None;
        loop {
            deadline.renew();
            if plan.by_rowid && self::layout(&connection).map_err(failed)? != layout {
                return Err(Ended::Fault(Box::new(self.layout_changed())));
            }
            let (sql, bound) = plan.statement(phase, &cursor, lower.as_ref(), self.spec.rows_per_batch.max(1));
            let mut statement = connection.prepare(&sql).map_err(failed)?;
            let bound = bound.into_iter().map(|value| value::bind(&value));
            let mut rows = statement.query(rusqlite::params_from_iter(bound)).map_err(failed)?;
            let mut page = PageBuilder::new(self, &plan);
            let mut last: Option<Vec<Value>> = None;
            let mut seen = 0;
            let mut more = false;
            while let Some(row) = rows.next().map_err(failed)? {
                let at = (0..plan.order.len()).map(|i| row.get_ref(plan.wanted.len() + i).map(value::raw));
                let at: Vec<Value> = at.collect::<Result<_, _>>().map_err(failed)?;
                let new_place = last.as_ref() != Some(&at);
                if page.is_full(self.spec.rows_per_batch.max(1)) {
                    if new_place && !plan.order.is_empty() {
                        more = true;
                        break;
                    }
                    // Many rows with one key, or no order at all: the page goes out, and the place stays before it.
                    let full = std::mem::replace(&mut page, PageBuilder::new(self, &plan));
                    self.send(&mut waiting, full.finish((!plan.order.is_empty()).then_some(&cursor)))?;
                    deadline.renew();
                }
                if new_place && let Some(before) = last.replace(at) {
                    cursor.after = before;
                }
                page.push(row).map_err(failed)?;
                seen += 1;
            }
            drop(rows);
            if let Some(last) = last {
                cursor.after = last;
            }
            if plan.by_rowid {
                cursor.layout = Some(layout);
            }
            if !page.is_empty() {
                self.send(&mut waiting, page.finish((!plan.order.is_empty()).then_some(&cursor)))?;
            }
            if more || (plan.unique && seen >= self.spec.rows_per_batch.max(1)) {
                continue;
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
            None if ended.is_some() => Some(Page { cursor: ended, ..PageBuilder::new(self, &plan).finish(None) }),
            None => None,
        };
        if let Some(page) = page {
            self.tell(Told::Page(page))?;
        }
        self.tell(Told::End)
    }

    fn plan(
        &self,
        connection: &Connection,
        from: String,
        rowid: Option<&'static str>,
        changes: bool,
    ) -> rusqlite::Result<Plan> {
        let spec = self.spec;
        let wanted: Vec<String> = spec.columns.iter().map(|name| format!("t.{}", quote(name))).collect();
        let times = times(spec);
        let probe = if wanted.is_empty() { "1".to_owned() } else { wanted.join(", ") };
        let statement = connection.prepare(&format!("SELECT {probe} FROM {from} AS t"))?;
        let watermark = spec.watermark.as_ref().map(|watermark| format!("t.{}", quote(&watermark.column)));
        let mut numbers = Numbers::Count;
        if let Some(column) = &watermark {
            let statement = connection.prepare(&format!("SELECT {column} FROM {from} AS t"))?;
            let column = statement.columns().next();
            let declared = value::declared(column.as_ref().and_then(|column| column.decl_type()));
            if matches!(declared, Type::Date | Type::DateTime | Type::LocalDateTime) {
                numbers = Numbers::Unix;
            }
        }
        let by_key: Vec<String> = spec.key.iter().map(|name| format!("t.{}", quote(name))).collect();
        let mut order: Vec<String> = if changes { watermark.iter().cloned().collect() } else { Vec::new() };
        match rowid {
            Some(rowid) => order.push(format!("t.{rowid}")),
            None => order.extend(by_key),
        }
        Ok(Plan {
            schema: schema(&statement, spec, &times),
            from,
            wanted,
            order,
            unique: rowid.is_some(),
            watermark: watermark.filter(|_| changes),
            numbers,
            times,
            by_rowid: rowid.is_some(),
        })
    }

    /// Interrupts a statement when its page takes too long, or when nobody waits for it any more.
    fn watch(&self, connection: &mut Connection) -> rusqlite::Result<Deadline> {
        let deadline = Deadline { started: Instant::now(), until_ms: Arc::default(), allowed: self.database.timeout };
        deadline.renew();
        let (cancelled, until_ms, started) = (self.cancelled.clone(), deadline.until_ms.clone(), deadline.started);
        connection.progress_handler(
            STEPS_BETWEEN_LOOKS,
            Some(move || {
                cancelled.load(Ordering::Relaxed)
                    || started.elapsed().as_millis() as u64 > until_ms.load(Ordering::Relaxed)
            }),
        )?;
        Ok(deadline)
    }

    fn send(&self, waiting: &mut Option<Page>, page: Page) -> Result<(), Ended> {
        match waiting.replace(page) {
            Some(page) => self.tell(Told::Page(page)),
            None => Ok(()),
        }
    }

    fn tell(&self, told: Told) -> Result<(), Ended> {
        self.out.blocking_send(Ok(told)).map_err(|_| Ended::Unheard)
    }

    fn failed(&self, error: &rusqlite::Error) -> Fault {
        fault::source(self.database, &self.spec.table, error)
    }

    fn layout_changed(&self) -> Fault {
        Fault::retry(Code("IB0607"), format!("the file was rebuilt while `{}` was read", self.spec.table), None)
            .at_system(&self.database.system)
            .at_table(&self.spec.table)
            .fix("nothing: the run is repeated from the beginning of the table")
    }
}

const STEPS_BETWEEN_LOOKS: i32 = 10_000;

struct Deadline {
    started: Instant,
    until_ms: Arc<AtomicU64>,
    allowed: Duration,
}

impl Deadline {
    fn renew(&self) {
        self.until_ms.store((self.started.elapsed() + self.allowed).as_millis() as u64, Ordering::Relaxed);
    }
}

impl Plan {
    /// The statement of the next page, and what to bind.
    fn statement(&self, phase: Phase, cursor: &Cursor, lower: Option<&Value>, rows: usize) -> (String, Vec<Value>) {
        let mut bound: Vec<Value> = Vec::new();
        let mut all: Vec<String> = Vec::new();
        if let Some(watermark) = &self.watermark {
            match (phase, lower) {
                (Phase::Blanks, _) => all.push(format!("{watermark} IS NULL")),
                (Phase::Values, Some(lower)) => {
                    bound.push(lower.clone());
                    all.push(format!("{watermark} >= ?{}", bound.len()));
                }
                (Phase::Values, None) => all.push(format!("{watermark} IS NOT NULL")),
            }
        }
        if !cursor.after.is_empty() {
            let before = bound.len();
            let (sql, values) = order::after(&self.order, &cursor.after, |i| format!("?{}", before + i + 1));
            bound.extend(values.into_iter().cloned());
            all.push(sql);
        }
        let mut columns = self.wanted.clone();
        columns.extend(self.order.iter().cloned());
        let mut sql = format!(
            "SELECT {} FROM {} AS t",
            if columns.is_empty() { "1".to_owned() } else { columns.join(", ") },
            self.from
        );
        if !all.is_empty() {
            sql.push_str(&format!(" WHERE {}", all.join(" AND ")));
        }
        if !self.order.is_empty() {
            sql.push_str(&format!(" ORDER BY {}", self.order.join(", ")));
        }
        if self.unique {
            sql.push_str(&format!(" LIMIT {rows}"));
        }
        (sql, bound)
    }
}

/// Gathers the rows of one page.
struct PageBuilder<'a> {
    read: &'a Read<'a>,
    plan: &'a Plan,
    batch: record::BatchBuilder,
    unreadable: Vec<Unreadable>,
}

impl<'a> PageBuilder<'a> {
    fn new(read: &'a Read<'a>, plan: &'a Plan) -> PageBuilder<'a> {
        PageBuilder { read, plan, batch: Batch::builder(plan.schema.clone()), unreadable: Vec::new() }
    }

    fn is_full(&self, rows: usize) -> bool {
        self.batch.rows() + self.unreadable.len() >= rows || self.batch.bytes() >= PAGE_BYTES_MAX
    }

    fn is_empty(&self) -> bool {
        self.batch.rows() == 0 && self.unreadable.is_empty()
    }

    fn push(&mut self, row: &rusqlite::Row<'_>) -> rusqlite::Result<()> {
        match read_row(self.read.database, self.read.spec, self.plan, row)? {
            Ok(values) => values.iter().for_each(|value| self.batch.push(value.as_ref())),
            Err(unreadable) => self.unreadable.push(*unreadable),
        }
        Ok(())
    }

    fn finish(self, cursor: Option<&Cursor>) -> Page {
        Page {
            batch: self.batch.finish(),
            unreadable: self.unreadable,
            deleted: Vec::new(),
            cursor: cursor.map(Cursor::to_text),
        }
    }
}

/// The values of a row, or what is wrong with it.
fn read_row(
    database: &Database,
    spec: &ReadSpec,
    plan: &Plan,
    row: &rusqlite::Row<'_>,
) -> rusqlite::Result<Result<Vec<Value>, Box<Unreadable>>> {
    let mut values = Vec::with_capacity(plan.wanted.len());
    let mut wrong: Option<(usize, String)> = None;
    for (i, column) in plan.schema.columns().iter().enumerate() {
        match value::read(row.get_ref(i)?, &column.ty, &plan.times) {
            Ok(value) => values.push(value),
            Err(why) => {
                values.push(Value::Blank);
                wrong.get_or_insert((i, why));
            }
        }
    }
    let Some((i, why)) = wrong else { return Ok(Ok(values)) };
    let column = &plan.schema.columns()[i].name;
    let code = if why.starts_with("this local time") { "IB0608" } else { "IB0606" };
    let row_of_page = Row::new(plan.schema.clone(), values);
    let key: Vec<String> = spec.key.iter().filter_map(|name| row_of_page.get(name)).map(Value::to_string).collect();
    let shown: String = value::raw(row.get_ref(i)?).to_string().chars().take(VALUE_SHOWN_MAX).collect();
    let mut fault = Fault::reject(Code(code), format!("column `{column}` of `{}`: {why}", spec.table))
        .at_system(&database.system)
        .at_table(&spec.table)
        .at_column(&**column)
        .at_value(shown)
        .fix("correct the value at its source");
    if !key.is_empty() {
        fault = fault.at_key(key.join("|"));
    }
    Ok(Err(Box::new(Unreadable { row: row_of_page, fault })))
}

const VALUE_SHOWN_MAX: usize = 80;

fn schema(statement: &Statement<'_>, spec: &ReadSpec, times: &Times) -> Arc<Schema> {
    let columns = spec.columns.iter().zip(statement.columns()).map(|(name, column)| {
        let ty = match value::declared(column.decl_type()) {
            Type::LocalDateTime if times.zone.is_some() => Type::DateTime,
            ty => ty,
        };
        Column { name: name.as_str().into(), ty }
    });
    Schema::new(columns.collect())
}

fn times(spec: &ReadSpec) -> Times {
    Times { zone: spec.time_zone.clone(), dst: Dst::of(spec.options.text("dst")) }
}

fn from(spec: &ReadSpec) -> String {
    match spec.options.text("query") {
        Some(query) => format!("({})", query.trim().trim_end_matches(';')),
        None => quote(&spec.table),
    }
}

/// A name for the row id of this table, or `None` where it has none.
fn rowid(connection: &Connection, spec: &ReadSpec) -> rusqlite::Result<Option<&'static str>> {
    if spec.options.text("query").is_some() || !catalog::has_rowid(connection, &spec.table) {
        return Ok(None);
    }
    let Some(table) = catalog::table(connection, &spec.table)? else { return Ok(None) };
    let taken = |name: &str| table.columns.iter().any(|c| c.column.name.eq_ignore_ascii_case(name));
    Ok(["rowid", "_rowid_", "oid"].into_iter().find(|name| !taken(name)))
}

/// Grows with each change of the schema and with each `VACUUM`.
fn layout(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "schema_version", |row| row.get(0))
}

fn clock(connection: &Connection, spec: &ReadSpec) -> rusqlite::Result<Clock> {
    let now: String = connection.query_row("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')", [], |row| row.get(0))?;
    let now = now.parse().expect("SQLite writes the time as it was asked to");
    Ok(Clock { now, zone: spec.time_zone.clone().unwrap_or(TimeZone::UTC) })
}

/// Where to start, and why everything is read although changes were asked for.
fn start(spec: &ReadSpec, text: Option<&str>, layout: Option<i64>) -> (Cursor, Option<String>) {
    let by = spec.watermark.as_ref().map(|watermark| watermark.column.clone());
    let everything = Cursor { full: true, by: by.clone(), layout, ..Cursor::default() };
    let Some(text) = text else { return (everything, None) };
    let Some(cursor) = Cursor::parse(text) else {
        return (everything, Some("the place that was kept is not one of this kind of system".to_owned()));
    };
    if cursor.by != by {
        return (everything, Some("the watermark column is another one than in the last read".to_owned()));
    }
    if !cursor.after.is_empty() && cursor.layout != layout {
        if cursor.full {
            return (everything, Some("the file was rebuilt since the last read was cut".to_owned()));
        }
        return (Cursor { after: Vec::new(), ..cursor }, None);
    }
    (cursor, None)
}

fn get(database: &Database, spec: &ReadSpec, keys: &[Key]) -> Result<Vec<Option<Row>>, Fault> {
    let failed = |e: rusqlite::Error| fault::source(database, &spec.table, &e);
    let mut connection = database.connect(OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let (out, _) = mpsc::channel(1);
    let read = Read { database, spec, out, cancelled: Arc::default() };
    let deadline = read.watch(&mut connection).map_err(failed)?;
    let plan = read.plan(&connection, from(spec), None, false).map_err(failed)?;
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
