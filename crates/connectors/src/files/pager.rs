//! Rows of a file into pages.

use std::collections::HashMap;
use std::fs::File;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use record::hash::RowHasher;
use record::{Batch, BatchBuilder, Fault, Page, ReadSpec, Row, Schema, Type, Unreadable, Value};
use tokio::sync::mpsc;

use super::cursor::{Cursor, Known, Midway};
use super::fault::{self, Spot};
use super::format::{self, Broken, Cells, Taker};
use super::passing::{Passed, Passing};
use super::place::{Entry, Fetched, is_still};
use super::settings::{Format, Kind, Settings};
use super::value::{self, Cell};
use crate::sql::pages::{PAGE_BYTES_MAX, Told};

/// What a read knows from its beginning to its end.
pub(super) struct Read {
    pub system: String,
    pub spec: Arc<ReadSpec>,
    pub settings: Arc<Settings>,
    pub schema: Arc<Schema>,
    pub out: mpsc::Sender<Result<Told, Fault>>,
    /// Where many files are read anew: the last word on each row.
    pub latest: Latest,
}

/// Why a read ends before its end.
pub(super) enum Ended {
    /// Nobody listens any more.
    Unheard,
    Fault(Box<Fault>),
}

/// Reads one file and sends its pages; the last of them carries the cursor behind it. Blocks.
pub(super) fn file(
    read: &Read,
    entry: &Entry,
    mut fetched: Fetched,
    skip: u64,
    step: u32,
    cursor: &mut Cursor,
) -> Result<(), Ended> {
    let broken = |broken| Ended::Fault(Box::new(explain(&read.system, &entry.name, broken)));
    let watched = match fetched.watched {
        true => Some(fetched.file.try_clone().map_err(|error| broken(error.into()))?),
        false => None,
    };
    let kind = read.settings.format.kind_of(&entry.name);
    let whole = match kind {
        // It is not read from its beginning to its end.
        Kind::Excel => Some(fetched.hash().map_err(|error| broken(error.into()))?),
        _ => fetched.hash,
    };
    let mut passing = Passing::new(fetched.file, whole.map(|hash| (entry.size, hash)));
    let mut pager = Pager {
        read,
        spot: Spot { system: &read.system, file: &entry.name, line: 0, noun: format::noun(kind) },
        entry,
        watched,
        types: read.schema.columns().iter().map(|column| column.ty.clone()).collect(),
        key: key_columns(&read.spec, &read.schema),
        mark: mark_column(&read.spec, &read.schema),
        step,
        batch: Batch::builder(read.schema.clone()),
        unreadable: Vec::new(),
        rows: 0,
        skip,
        cursor,
        passed: passing.passed(),
        ended: None,
    };
    format::read(&mut passing, &entry.name, &read.spec, &read.settings, &mut pager).map_err(broken)?;
    if pager.ended.is_none() {
        passing.drain().map_err(|error| broken(error.into()))?;
    }
    pager.finish()
}

fn explain(system: &str, name: &str, broken: Broken) -> Fault {
    match broken {
        Broken::Io(error) => fault::unreachable(system, &format!("`{name}`"), error),
        Broken::NoColumn { missing, there, is_header } => fault::no_column(system, name, &missing, &there, is_header),
        Broken::Format(why, fix) => fault::not_its_format(system, name, &why, fix),
        Broken::TooLarge(why) => fault::too_large(system, name, &why),
    }
}

/// Looks through one file for what it says of which row. Blocks.
pub(super) fn look_through(
    read: &Read,
    entry: &Entry,
    fetched: Fetched,
    step: u32,
    latest: &mut Latest,
) -> Result<(), Ended> {
    let broken = |broken| Ended::Fault(Box::new(explain(&read.system, &entry.name, broken)));
    let types: Vec<Type> = read.schema.columns().iter().map(|column| column.ty.clone()).collect();
    let mut look = Look { read, types: &types, key: key_columns(&read.spec, &read.schema), step, latest };
    format::read(&mut Passing::plain(fetched.file), &entry.name, &read.spec, &read.settings, &mut look).map_err(broken)
}

struct Look<'a> {
    read: &'a Read,
    types: &'a [Type],
    key: Vec<usize>,
    step: u32,
    latest: &'a mut Latest,
}

impl Taker for Look<'_> {
    fn row(&mut self, _: u64, cells: &dyn Cells) -> ControlFlow<()> {
        let cells: Vec<Cell<'_>> = (0..self.types.len()).map(|at| cells.cell(at)).collect();
        if let Some(key) = key_of(&self.key, &cells, self.types, &self.read.settings.format) {
            self.latest.0.insert(key, self.step);
        }
        if self.read.out.is_closed() || self.latest.0.len() > LATEST_MAX {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn unreadable(&mut self, _: u64, _: &str, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Rows of which the last word is known; beyond that each file is read as it is.
pub(super) const LATEST_MAX: usize = 4_000_000;

/// Which of the files of a read has the last word on a row, by the hash of its key. *Shape*: empty where every file
/// counts.
#[derive(Default)]
pub(super) struct Latest(pub HashMap<u64, u32>);

impl Latest {
    fn is_last(&self, step: u32, key: impl FnOnce() -> Option<u64>) -> bool {
        self.0.is_empty() || key().is_none_or(|key| self.0.get(&key).is_none_or(|last| *last == step))
    }
}

fn key_columns(spec: &ReadSpec, schema: &Schema) -> Vec<usize> {
    spec.key.iter().filter_map(|name| schema.index(name)).collect()
}

/// `None` where the key cannot be read.
fn key_of(key: &[usize], cells: &[Cell<'_>], types: &[Type], format: &Format) -> Option<u64> {
    let values: Option<Vec<_>> = key.iter().map(|at| value::read(&cells[*at], &types[*at], format).ok()).collect();
    Some(RowHasher::default().hash(values.filter(|values| !values.is_empty())?) as u64)
}

/// The column that tells lines apart that cannot be read: one that takes a text, and no part of the key.
fn mark_column(spec: &ReadSpec, schema: &Schema) -> Option<usize> {
    let is_free = |column: &record::Column| !spec.key.iter().any(|key| **key == *column.name);
    let is_text = |column: &record::Column| matches!(column.ty, Type::Text { .. } | Type::Unknown);
    let columns = schema.columns();
    columns.iter().rposition(|c| is_free(c) && is_text(c)).or_else(|| columns.iter().rposition(is_free))
}

struct Pager<'a> {
    read: &'a Read,
    spot: Spot<'a>,
    entry: &'a Entry,
    /// A file that others may go on writing.
    watched: Option<File>,
    types: Vec<Type>,
    key: Vec<usize>,
    mark: Option<usize>,
    /// Which of the files of this read it is.
    step: u32,
    batch: BatchBuilder,
    unreadable: Vec<Unreadable>,
    /// Rows of the file so far, good or bad.
    rows: u64,
    /// Rows that an earlier read has done.
    skip: u64,
    cursor: &'a mut Cursor,
    passed: Rc<Passed>,
    ended: Option<Ended>,
}

impl Pager<'_> {
    fn is_next(&mut self, line: u64) -> bool {
        self.rows += 1;
        self.spot.line = line;
        self.rows > self.skip
    }

    fn flow(&mut self) -> ControlFlow<()> {
        let rows = self.batch.rows() + self.unreadable.len();
        if rows < self.read.spec.rows_per_batch.max(1) && self.batch.bytes() < PAGE_BYTES_MAX {
            return ControlFlow::Continue(());
        }
        let (bytes, hash) = self.passed.so_far();
        self.cursor.at = Some(Midway { known: Known::of(self.entry, hash), bytes, rows: self.rows });
        match self.send() {
            Ok(()) => ControlFlow::Continue(()),
            Err(ended) => {
                self.ended = Some(ended);
                ControlFlow::Break(())
            }
        }
    }

    fn send(&mut self) -> Result<(), Ended> {
        if self.watched.as_ref().is_some_and(|file| !is_still(file, self.entry)) {
            return Err(Ended::Fault(Box::new(fault::changed(&self.read.system, &self.entry.name))));
        }
        let mut next = Batch::builder(self.read.schema.clone());
        // The next page is likely to be as large as this one: its memory does not grow step by step.
        next.reserve(self.batch.rows());
        let batch = std::mem::replace(&mut self.batch, next);
        let page = Page {
            batch: batch.finish(),
            unreadable: std::mem::take(&mut self.unreadable),
            deleted: Vec::new(),
            cursor: Some(self.cursor.to_text()),
        };
        self.read.out.blocking_send(Ok(Told::Page(page))).map_err(|_| Ended::Unheard)
    }

    fn finish(mut self) -> Result<(), Ended> {
        if let Some(ended) = self.ended.take() {
            return Err(ended);
        }
        let (_, hash) = self.passed.so_far();
        self.cursor.done(Known::of(self.entry, hash), self.read.settings.whole);
        self.send()
    }

    /// The values of a row that has a wrong one; what is right stays.
    fn set_aside(&mut self, cells: &[Cell<'_>], wrong: usize, why: &str) {
        let format = &self.read.settings.format;
        let value = |(cell, ty): (&Cell<'_>, &Type)| {
            value::read(cell, ty, format).map_or(Value::Blank, |value| value.to_owned())
        };
        let values = cells.iter().zip(&self.types).map(value).collect();
        let shown = match &cells[wrong] {
            Cell::Text(text) | Cell::Number(text) => text.to_string(),
            Cell::Plain(text) => (*text).to_owned(),
            Cell::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Cell::Time(at) => at.to_string(),
            Cell::Bool(value) => value.to_string(),
            Cell::Blank | Cell::Rows(_) | Cell::Wrong(_) => String::new(),
        };
        let row = Row::new(self.read.schema.clone(), values);
        self.unreadable.push(self.spot.value(&self.read.spec, row, wrong, why, &shown));
    }
}

impl Taker for Pager<'_> {
    fn row(&mut self, line: u64, cells: &dyn Cells) -> ControlFlow<()> {
        if !self.is_next(line) {
            return ControlFlow::Continue(());
        }
        let read = self.read;
        let format = &read.settings.format;
        let all = |types: &[Type]| -> Vec<Cell<'_>> { (0..types.len()).map(|at| cells.cell(at)).collect() };
        if !read.latest.is_last(self.step, || key_of(&self.key, &all(&self.types), &self.types, format)) {
            return ControlFlow::Continue(());
        }
        for at in 0..self.types.len() {
            // Straight into the batch: a row costs no allocation of its own.
            match value::read(&cells.cell(at), &self.types[at], format) {
                Ok(value) => self.batch.push(value),
                Err(why) => {
                    self.batch.drop_row();
                    self.set_aside(&all(&self.types), at, &why);
                    return self.flow();
                }
            }
        }
        self.flow()
    }

    fn unreadable(&mut self, line: u64, why: &str, content: u64) -> ControlFlow<()> {
        if !self.is_next(line) {
            return ControlFlow::Continue(());
        }
        let mut values = vec![Value::Blank; self.types.len()];
        if let Some(mark) = self.mark {
            // Two such lines are two dead letters, and the same line tomorrow is the same one.
            values[mark] = Value::text(format!("(a line that cannot be read, {content:016x})"));
        }
        let row = Row::new(self.read.schema.clone(), values);
        self.unreadable.push(self.spot.line(row, why));
        self.flow()
    }
}
