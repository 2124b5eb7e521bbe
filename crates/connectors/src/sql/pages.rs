//! A read as pages that come over a bounded channel from whoever speaks to the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use record::{
    Batch, BatchBuilder, BoxFuture, Code, Fault, Page, ReadKind, ReadSpec, Reader, Row, Schema, Unreadable, Value,
};
use tokio::sync::mpsc;

use super::cursor::Cursor;

/// A page is closed before it holds more than this, whatever the number of its rows.
pub(crate) const PAGE_BYTES_MAX: usize = 16 << 20;
const VALUE_SHOWN_MAX: usize = 80;

/// What the other end says.
pub(crate) enum Told {
    Start { kind: ReadKind, schema: Arc<Schema> },
    Page(Page),
    End,
}

/// A read in progress whose other end sends pages.
pub(crate) struct Pages {
    kind: ReadKind,
    schema: Arc<Schema>,
    receive: mpsc::Receiver<Result<Told, Fault>>,
    left: Option<String>,
    ended: bool,
    _guard: Option<Guard>,
}

impl Pages {
    /// Waits until the other end says what it reads. *Errors*: those of the other end.
    pub async fn start(
        receive: mpsc::Receiver<Result<Told, Fault>>,
        guard: Option<Guard>,
    ) -> Result<Box<dyn Reader>, Fault> {
        Pages::leaving(None, receive, guard).await
    }

    /// The same, where something that is there is left for a later read.
    pub async fn leaving(
        left: Option<String>,
        mut receive: mpsc::Receiver<Result<Told, Fault>>,
        guard: Option<Guard>,
    ) -> Result<Box<dyn Reader>, Fault> {
        match receive.recv().await {
            Some(Ok(Told::Start { kind, schema })) => {
                Ok(Box::new(Pages { kind, schema, receive, left, ended: false, _guard: guard }) as Box<dyn Reader>)
            }
            Some(Err(fault)) => Err(fault),
            Some(Ok(_)) | None => Err(cut()),
        }
    }
}

/// A read that ends without a word was cut: it must not look like the end of the table.
fn cut() -> Fault {
    Fault::retry(Code("IB0607"), "the read ended without saying that it was done", None)
        .fix("nothing: the run is repeated")
}

/// Stops the blocking side within some thousand steps of SQLite when the reader goes away.
pub(crate) struct Guard(pub Arc<AtomicBool>);

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

    fn left(&self) -> Option<&str> {
        self.left.as_deref()
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
                Some(Ok(Told::Start { .. })) | None => {
                    self.ended = true;
                    Err(cut())
                }
            }
        })
    }
}

/// Gathers the rows of one page.
pub(crate) struct Gathered {
    schema: Arc<Schema>,
    batch: BatchBuilder,
    unreadable: Vec<Unreadable>,
}

impl Gathered {
    pub fn new(schema: &Arc<Schema>) -> Gathered {
        Gathered { schema: schema.clone(), batch: Batch::builder(schema.clone()), unreadable: Vec::new() }
    }

    pub fn put(&mut self, row: Result<Vec<Value>, Box<Unreadable>>) {
        match row {
            Ok(values) => values.iter().for_each(|value| self.batch.push(value.as_ref())),
            Err(unreadable) => self.unreadable.push(*unreadable),
        }
    }

    pub fn rows(&self) -> usize {
        self.batch.rows() + self.unreadable.len()
    }

    pub fn bytes(&self) -> usize {
        self.batch.bytes()
    }

    pub fn is_full(&self, rows: usize) -> bool {
        self.rows() >= rows || self.bytes() >= PAGE_BYTES_MAX
    }

    /// The page, and the next one begins.
    pub fn take(&mut self, cursor: Option<String>) -> Page {
        let full = std::mem::replace(self, Gathered::new(&self.schema));
        Page { batch: full.batch.finish(), unreadable: full.unreadable, deleted: Vec::new(), cursor }
    }
}

/// Where to start, and why everything is read although changes were asked for.
pub(crate) fn start(by: Option<String>, text: Option<&str>) -> (Cursor, Option<String>) {
    let everything = Cursor::everything(by.clone());
    let Some(text) = text else { return (everything, None) };
    match Cursor::parse(text) {
        None => (everything, Some("the place that was kept is not one of this kind of system".to_owned())),
        Some(cursor) if cursor.by != by => {
            (everything, Some("the watermark column is another one than in the last read".to_owned()))
        }
        Some(cursor) => (cursor, None),
    }
}

/// A row with a value in column `i` that cannot be read.
pub(crate) fn unreadable(system: &str, spec: &ReadSpec, row: Row, i: usize, why: String, value: &str) -> Unreadable {
    let column = row.schema().columns()[i].name.clone();
    let code = if why.starts_with("this local time") { "IB0608" } else { "IB0606" };
    let key: Vec<String> = spec.key.iter().filter_map(|name| row.get(name)).map(Value::to_string).collect();
    let shown: String = value.chars().take(VALUE_SHOWN_MAX).collect();
    let mut fault = Fault::reject(Code(code), format!("column `{column}` of `{}`: {why}", spec.table))
        .at_system(system)
        .at_table(&spec.table)
        .at_column(&*column)
        .at_value(shown)
        .fix("correct the value at its source");
    if !key.is_empty() {
        fault = fault.at_key(key.join("|"));
    }
    Unreadable { row, fault }
}
