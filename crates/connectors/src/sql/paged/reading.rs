//! A read in progress: its statements one after the other, and the place of each page.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use record::{Fault, Page, ReadKind, ReadSpec, Value};
use tokio::sync::mpsc;

use super::plan::{Phase, Place, Plan};
use crate::sql::cursor::{Cursor, no_window};
use crate::sql::engine::{Cell, Engine, Session, Use};
use crate::sql::failure::Failure;
use crate::sql::moment::{self, Dst, Moment};
use crate::sql::pages::{Gathered, PAGE_BYTES_MAX, Told, start};
use crate::sql::text::Times;
use crate::sql::watermark::{self, Clock, Numbers};

/// Rows that are taken from the driver at a time: their memory is held twice for a moment.
const FETCH: usize = 500;

pub(super) struct Read<'a> {
    pub engine: &'a dyn Engine,
    pub spec: &'a ReadSpec,
    pub out: &'a mpsc::Sender<Result<Told, Fault>>,
}

/// What a read carries through its statements.
struct Going<'a> {
    plan: &'a Plan,
    cursor: Cursor,
    lower: Option<Cell>,
    /// Where a window ends, and how a watermark within compares with it.
    until: Option<(&'static str, Cell)>,
    /// The last page carries the cursor of the ended read, so a page waits until the next one is known.
    waiting: Option<Page>,
}

impl Read<'_> {
    /// Reads on from a cursor, or what lies in a window of time.
    pub async fn run(&self, cursor: Option<&str>, window: Option<(Timestamp, Timestamp)>) -> Result<(), Failure> {
        let by = self.spec.watermark.as_ref().map(|watermark| watermark.column.clone());
        let no_window = || Failure::from(no_window(self.engine.words().system, &self.spec.table, by.as_deref()));
        let (mut cursor, mut why) = start(by.clone(), cursor);
        if window.is_some() {
            by.as_ref().ok_or_else(no_window)?;
            cursor = Cursor { by: by.clone(), ..Cursor::default() };
        }
        let is_of_changes = |cursor: &Cursor| !cursor.full && by.is_some();
        let mut session = self.engine.connect(Use::Read).await?;
        let (begin, end) = self.engine.dialect().reading();
        session.run(begin, &[]).await?;
        let mut plan = Plan::of(self.engine, &mut *session, self.spec, is_of_changes(&cursor), &[]).await?;
        let clock = self.clock(&mut *session).await?;
        if let (Some(since), Some(watermark), Some(place)) = (&cursor.since, &self.spec.watermark, &plan.watermark)
            && let Some(lost) = clock.lost(since, watermark.overlap, &place.column.ty, Numbers::Count)
        {
            (cursor, why) = (Cursor::everything(by.clone()), Some(lost));
            plan = Plan::of(self.engine, &mut *session, self.spec, false, &[]).await?;
        }
        let mut changes = is_of_changes(&cursor);
        if cursor.after.len() != plan.order.len() {
            cursor.after.clear();
        }
        let (mut lower, mut until, mut anew) = (None, None, None);
        if let (Some(place), Some(watermark)) = (&plan.watermark, &self.spec.watermark) {
            if cursor.cap.is_none() && cursor.after.is_empty() {
                let last = self.last(&mut *session, &plan, place).await?;
                watermark::in_order(&last, self.engine.words().system, &self.spec.table, &watermark.column)
                    .map_err(|fault| Failure::from(*fault))?;
                anew = cursor.since.as_ref().and_then(|since| watermark::counts_anew(since, &last));
                if let (Some(window), false) = (window, last.is_blank()) {
                    let (since, to) = clock.window(&last, window, Numbers::Count).ok_or_else(no_window)?;
                    lower = Some(self.cell(&since, place)?);
                    until = Some((to.sign, self.cell(&to.value, place)?));
                }
                cursor.cap = (!last.is_blank()).then(|| clock.limit(last, Numbers::Count));
            }
            if let (Some(begin), true) = (cursor.lower(&clock, watermark.overlap), changes) {
                lower = Some(self.cell(&begin, place)?);
            }
        }
        if let Some(lost) = anew {
            cursor = Cursor { cap: cursor.cap.take(), ..Cursor::everything(by.clone()) };
            plan = Plan::of(self.engine, &mut *session, self.spec, false, &[]).await?;
            (why, changes, lower) = (Some(lost), false, None);
        }
        let kind = if cursor.full { ReadKind::Full { why } } else { ReadKind::Changes };
        if self.tell(Told::Start { kind, schema: plan.schema.clone() }).await {
            return Ok(());
        }
        let phases: &[Option<Phase>] = match cursor.after.first() {
            _ if !changes => &[None],
            _ if window.is_some() => &[Some(Phase::Values)],
            Some(first) if !first.is_blank() => &[Some(Phase::Values)],
            _ => &[Some(Phase::Blanks), Some(Phase::Values)],
        };
        let mut going = Going { plan: &plan, cursor, lower, until, waiting: None };
        for (i, phase) in phases.iter().enumerate() {
            if i > 0 {
                going.cursor.after.clear();
            }
            if self.phase(&mut *session, &mut going, *phase).await? {
                return Ok(());
            }
        }
        // What no open transaction can fall behind needs none.
        let is_safe = |place: &Place| self.engine.dialect().last_watermark(&place.column).is_some();
        let overlap = self.spec.watermark.as_ref().filter(|_| !plan.watermark.as_ref().is_some_and(is_safe));
        let overlap = overlap.map_or(Duration::ZERO, |watermark| watermark.overlap);
        let ended = going.cursor.ended_at(&clock, overlap).map(|cursor| cursor.to_text());
        let page = match going.waiting {
            Some(page) => Some(Page { cursor: ended, ..page }),
            None if ended.is_some() => Some(Gathered::new(&plan.schema).take(ended)),
            None => None,
        };
        session.run(end, &[]).await.ok();
        if let Some(page) = page {
            self.tell(Told::Page(page)).await;
        }
        self.tell(Told::End).await;
        Ok(())
    }

    /// Reads the rows of one phase to their end. Whether nobody listens any more.
    async fn phase(
        &self,
        session: &mut dyn Session,
        going: &mut Going<'_>,
        phase: Option<Phase>,
    ) -> Result<bool, Failure> {
        let plan = going.plan;
        let rows_max = self.spec.rows_per_batch.max(1);
        // Without a place of its own for each row, one statement reads them all.
        let pages = plan.unique && !plan.order.is_empty();
        if !pages {
            session.unlimited().await?;
        }
        let mut rows = rows_max.min(FETCH);
        let mut page = Gathered::new(&plan.schema);
        loop {
            let after = self.place(plan, &going.cursor.after)?;
            let (sql, bound) =
                plan.statement(phase, &after, going.lower.as_ref(), going.until.as_ref(), pages.then_some(rows));
            let mut taken = 0;
            let mut stream = session.stream(&sql, &bound).await?;
            loop {
                let some = stream.next(FETCH.min(rows_max)).await?;
                if some.is_empty() {
                    break;
                }
                taken += some.len();
                for cells in &some {
                    if page.is_full(rows_max) {
                        let full = page.take(self.text(going));
                        if self.send(going, full).await {
                            return Ok(true);
                        }
                    }
                    page.put(plan.row(self.engine, self.spec, cells));
                    going.cursor.after = self.after(plan, &cells[plan.wanted.len()..]);
                }
            }
            drop(stream);
            if !pages || taken < rows {
                break;
            }
            // Long rows come in small statements: a page is bounded, whatever its rows hold.
            let bytes = (page.bytes() / page.rows().max(1)).max(1);
            rows = (PAGE_BYTES_MAX / bytes).clamp(1, rows_max);
        }
        let cursor = self.text(going);
        Ok(page.rows() > 0 && {
            let rest = page.take(cursor);
            self.send(going, rest).await
        })
    }

    /// The cursor of a page that ends here.
    fn text(&self, going: &Going<'_>) -> Option<String> {
        (!going.plan.order.is_empty()).then(|| going.cursor.to_text())
    }

    /// The place after a row: what the driver gave, with its kind.
    fn after(&self, plan: &Plan, cells: &[Cell]) -> Vec<Value> {
        let kept = |cell: &Cell| match cell {
            Cell::Null => Value::Blank,
            Cell::Int(number) => Value::Int(*number),
            Cell::Float(number) => Value::Float(*number),
            Cell::Text(text) => Value::text(text.clone()),
            Cell::Bytes(bytes) => Value::Bytes(bytes.clone()),
        };
        cells.iter().take(plan.order.len()).map(kept).collect()
    }

    fn place(&self, plan: &Plan, after: &[Value]) -> Result<Vec<Cell>, Failure> {
        let bound = |(value, place): (&Value, &Place)| match value {
            Value::Text(text) => Ok(Cell::Text(text.clone())),
            value => self.engine.dialect().write(value, &place.column, None).map_err(|why| self.unusable(&why)),
        };
        after.iter().zip(&plan.order).map(bound).collect()
    }

    /// A watermark as the database compares it with its column.
    fn cell(&self, watermark: &Value, place: &Place) -> Result<Cell, Failure> {
        self.engine.dialect().write(watermark, &place.column, None).map_err(|why| self.unusable(&why))
    }

    /// The last watermark that there is.
    async fn last(&self, session: &mut dyn Session, plan: &Plan, watermark: &Place) -> Result<Value, Failure> {
        let rows = session.rows(&plan.last(watermark), &[]).await?;
        let Some(cell) = rows.first().and_then(|row| row.first()) else { return Ok(Value::Blank) };
        let exactly = Times { zone: None, dst: Dst::Earlier };
        // A watermark such as 0000-00-00 is none to go on from: what has one is read each time.
        let ty = &watermark.column.ty;
        Ok(watermark::last(self.engine.dialect().read(cell, ty, &exactly), None, ty))
    }

    async fn clock(&self, session: &mut dyn Session) -> Result<Clock, Failure> {
        let rows = session.rows(self.engine.dialect().now(), &[]).await?;
        let text = match rows.first().and_then(|row| row.first()) {
            Some(Cell::Text(text)) => text.as_str(),
            _ => "",
        };
        let now = match moment::parse(text) {
            Some(Moment::Civil(at)) => TimeZone::UTC.to_timestamp(at).ok(),
            Some(Moment::Instant(at)) => Some(at),
            None => None,
        };
        let now = now.ok_or_else(|| self.unusable("the server did not say its time"))?;
        Ok(Clock { now, zone: self.spec.time_zone.clone().unwrap_or(TimeZone::UTC) })
    }

    fn unusable(&self, why: &str) -> Failure {
        let words = self.engine.words();
        Fault::stop(record::Code("IB0605"), format!("reading `{}` cannot go on: {why}", self.spec.table))
            .at_system(words.system)
            .at_table(&self.spec.table)
            .fix("read everything again: ironbridge state reset, with the name of the integration")
            .into()
    }

    async fn send(&self, going: &mut Going<'_>, page: Page) -> bool {
        match going.waiting.replace(page) {
            Some(page) => self.tell(Told::Page(page)).await,
            None => false,
        }
    }

    /// Whether nobody listens any more.
    async fn tell(&self, told: Told) -> bool {
        self.out.send(Ok(told)).await.is_err()
    }
}
