//! The rows of one page, and the place in the order where they end.

use std::mem;

use record::{Batch, BatchBuilder, Page, Unreadable, Value};
use tokio_postgres::Row;

use super::plan::Plan;
use crate::postgres::fault::Failure;
use crate::postgres::wire::Raw;
use crate::sql::cursor::Cursor;
use crate::sql::pages::PAGE_BYTES_MAX;

/// Gathers the rows of one page.
pub(super) struct Gathered {
    pub batch: BatchBuilder,
    pub unreadable: Vec<Unreadable>,
}

impl Gathered {
    pub fn new(plan: &Plan) -> Gathered {
        Gathered { batch: Batch::builder(plan.schema.clone()), unreadable: Vec::new() }
    }

    pub fn is_full(&self, rows: usize) -> bool {
        self.batch.rows() + self.unreadable.len() >= rows || self.batch.bytes() >= PAGE_BYTES_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.batch.rows() == 0 && self.unreadable.is_empty()
    }

    pub fn finish(self, cursor: Option<&Cursor>) -> Page {
        let cursor = cursor.map(Cursor::to_text);
        Page { batch: self.batch.finish(), unreadable: self.unreadable, deleted: Vec::new(), cursor }
    }
}

/// The place of the row last read, and of the last row that has another one. Rows that share a place are never cut apart.
#[derive(Default)]
pub(super) struct Places {
    here: Place,
    before: Place,
}

/// The order's columns of a row, as PostgreSQL writes them.
#[derive(Default)]
struct Place {
    text: String,
    /// Where each column ends in `text`; `None`: it is blank.
    ends: Vec<Option<usize>>,
    is_set: bool,
}

impl Places {
    /// Goes on to a row's place, which its columns from `first` on say. Whether it is another one.
    pub fn go_on(&mut self, row: &Row, first: usize) -> Result<bool, Failure> {
        if self.here.is_set && self.here.is_of(row, first)? {
            return Ok(false);
        }
        mem::swap(&mut self.here, &mut self.before);
        self.here.set(row, first)?;
        Ok(true)
    }

    /// Puts the place before the last row into a cursor, where there is one.
    pub fn before(&self, cursor: &mut Cursor) {
        self.before.put(cursor);
    }

    /// Puts the place of the last row into a cursor, where there is one.
    pub fn here(&self, cursor: &mut Cursor) {
        self.here.put(cursor);
    }
}

impl Place {
    fn is_of(&self, row: &Row, first: usize) -> Result<bool, Failure> {
        let mut from = 0;
        for (at, end) in self.ends.iter().enumerate() {
            let cell: Option<Raw<'_>> = row.try_get(first + at)?;
            let same = match (end, cell) {
                (None, None) => true,
                (Some(end), Some(cell)) => self.text.as_bytes()[mem::replace(&mut from, *end)..*end] == *cell.0,
                _ => false,
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn set(&mut self, row: &Row, first: usize) -> Result<(), Failure> {
        self.text.clear();
        self.ends.clear();
        self.is_set = true;
        for at in first..row.len() {
            let cell: Option<&str> = row.try_get(at)?;
            self.text.push_str(cell.unwrap_or_default());
            self.ends.push(cell.map(|_| self.text.len()));
        }
        Ok(())
    }

    fn put(&self, cursor: &mut Cursor) {
        if !self.is_set {
            return;
        }
        let mut from = 0;
        let value = |end: &Option<usize>| match end {
            None => Value::Blank,
            Some(end) => Value::text(&self.text[mem::replace(&mut from, *end)..*end]),
        };
        cursor.after = self.ends.iter().map(value).collect();
    }
}
