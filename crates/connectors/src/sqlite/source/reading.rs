//! The blocking side of a read: page after page, each handed over before the next is fetched.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use record::{Batch, Code, Fault, Page, ReadKind, ReadSpec, Row, Type, Unreadable, Value};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::mpsc;

use super::plan::{self, Phase, Plan};
use crate::sql::cursor::{Cursor, no_window};
use crate::sql::pages::{self, PAGE_BYTES_MAX, Told};
use crate::sql::watermark;
use crate::sqlite::{Database, fault, value};

/// The reader was dropped, or something failed.
enum Ended {
    Unheard,
    Fault(Box<Fault>),
}

pub(super) struct Read<'a> {
    pub database: &'a Database,
    pub spec: &'a ReadSpec,
    pub out: mpsc::Sender<Result<Told, Fault>>,
    pub cancelled: Arc<AtomicBool>,
}

impl Read<'_> {
    /// Reads on from a cursor, or what lies in a window of time; by a connection that holds a moment, where there is one.
    pub fn run(
        &self,
        cursor: Option<&str>,
        window: Option<(Timestamp, Timestamp)>,
        held: Option<&Mutex<Connection>>,
    ) -> Result<(), Fault> {
        let done = match held {
            // A reader that ended in a panic left the transaction as it was.
            Some(held) => {
                let mut connection = held.lock().unwrap_or_else(PoisonError::into_inner);
                let done = self.pages(&mut connection, cursor, window);
                // Nobody waits for this read any more, and others are to come.
                connection.progress_handler(0, None::<fn() -> bool>).ok();
                done
            }
            None => match self.database.connect(OpenFlags::SQLITE_OPEN_READ_ONLY) {
                Ok(mut connection) => self.pages(&mut connection, cursor, window),
                Err(error) => return Err(self.failed(&error)),
            },
        };
        match done {
            Ok(()) | Err(Ended::Unheard) => Ok(()),
            Err(Ended::Fault(fault)) => Err(*fault),
        }
    }

    fn pages(
        &self,
        connection: &mut Connection,
        text: Option<&str>,
        window: Option<(Timestamp, Timestamp)>,
    ) -> Result<(), Ended> {
        let failed = |e: rusqlite::Error| Ended::Fault(Box::new(self.failed(&e)));
        let deadline = self.watch(connection).map_err(failed)?;
        let connection = &*connection;
        let clock = plan::clock(connection, self.spec).map_err(failed)?;
        let layout = plan::layout(connection).map_err(failed)?;
        let rowid = plan::rowid(connection, self.spec).map_err(failed)?;
        let (mut cursor, mut why) = plan::start(self.spec, text, rowid.is_some().then_some(layout));
        let column = self.spec.watermark.as_ref().map(|watermark| watermark.column.as_str());
        let no_window = || Ended::Fault(Box::new(no_window(&self.database.system, &self.spec.table, column)));
        if window.is_some() {
            column.ok_or_else(no_window)?;
            cursor = Cursor { by: column.map(str::to_owned), ..Cursor::default() };
        }
        let mut plan = Plan::of(connection, self.spec, rowid, !cursor.full).map_err(failed)?;
        if cursor.after.len() != plan.order.len() && !cursor.after.is_empty() {
            cursor.after.clear();
        }
        if cursor.after.is_empty()
            && let Some(watermark) = &self.spec.watermark
        {
            let last = plan::last(connection, &watermark.column, &plan.from).map_err(failed)?;
            let (system, table) = (&self.database.system, &self.spec.table);
            watermark::in_order(&last, system, table, &watermark.column).map_err(Ended::Fault)?;
            let anew = |since| {
                (plan.numbers == watermark::Numbers::Count).then(|| watermark::counts_anew(since, &last)).flatten()
            };
            if let Some(since) = &cursor.since
                && let Some(lost) = match plan::is_ordered_with(since, &last) {
                    true => clock.lost(since, watermark.overlap, &Type::Unknown, plan.numbers).or_else(|| anew(since)),
                    false => Some(watermark::OTHER_TYPE.to_owned()),
                }
            {
                let layout = rowid.is_some().then_some(layout);
                (cursor, why) = (Cursor { layout, ..Cursor::everything(cursor.by) }, Some(lost));
                plan = Plan::of(connection, self.spec, rowid, false).map_err(failed)?;
            }
            if let (Some(window), false) = (window, last.is_blank()) {
                let (since, until) = clock.window(&last, window, plan.numbers).ok_or_else(no_window)?;
                (cursor.since, cursor.until) = (Some(since), Some(until));
            }
            cursor.cap = (!last.is_blank()).then(|| clock.limit(last, plan.numbers));
        }
        let lower = match (&plan.watermark, &cursor.since, &self.spec.watermark) {
            (Some(_), Some(since), _) if window.is_some() => Some(since.clone()),
            (Some(_), Some(since), Some(watermark)) => Some(clock.back(since, watermark.overlap, plan.numbers)),
            _ => None,
        };
        let kind = if cursor.full { ReadKind::Full { why } } else { ReadKind::Changes };
        self.tell(Told::Start { kind, schema: plan.schema.clone() })?;

        let mut phase = match (&plan.watermark, cursor.after.first()) {
            _ if window.is_some() => Phase::Values,
            (None, _) => Phase::Values,
            (Some(_), Some(first)) if !first.is_blank() && *first != Value::text("") => Phase::Values,
            (Some(_), _) => Phase::Blanks,
        };
        // The last page carries the cursor of the ended read, so a page waits until the next one is known.
        let mut waiting: Option<Page> = None;
        loop {
            deadline.renew();
            if plan.by_rowid && plan::layout(connection).map_err(failed)? != layout {
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

    /// Interrupts a statement when its page takes too long, or when nobody waits for it any more.
    pub fn watch(&self, connection: &mut Connection) -> rusqlite::Result<Deadline> {
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

    pub fn failed(&self, error: &rusqlite::Error) -> Fault {
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

pub(super) struct Deadline {
    started: Instant,
    until_ms: Arc<AtomicU64>,
    allowed: Duration,
}

impl Deadline {
    pub fn renew(&self) {
        self.until_ms.store((self.started.elapsed() + self.allowed).as_millis() as u64, Ordering::Relaxed);
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
pub(super) fn read_row(
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
    let shown = value::raw(row.get_ref(i)?).to_string();
    let row = Row::new(plan.schema.clone(), values);
    Ok(Err(Box::new(pages::unreadable(&database.system, spec, row, i, why, &shown))))
}
