//! Many rows of one schema, in one piece of memory.
//!
//! Cells are small and fixed; texts live in one piece of text that cells point into, and bytes in another. A batch of ten
//! thousand rows is a few allocations, and a formula reads its inputs without copying them, or looking at each of their
//! bytes again.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::{Reference, Row, Schema, ValueRef};

mod unread;

pub use unread::UnreadBuilder;

/// Rows with a shared schema. *Shape*: at most 4 GiB of text; immutable once built.
#[derive(Debug, Clone)]
pub struct Batch {
    schema: Arc<Schema>,
    cells: Vec<Cell>,
    texts: String,
    bytes: Vec<u8>,
    references: Vec<Reference>,
    children: Vec<Vec<Row>>,
}

/// Fills a batch cell by cell, row after row.
#[derive(Debug)]
pub struct BatchBuilder {
    batch: Batch,
}

/// One row of a batch, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct RowRef<'a> {
    batch: &'a Batch,
    row: usize,
}

/// What the cells of a column are, all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds {
    /// There is a blank or a text without characters.
    pub blank: bool,
    /// There are texts, and no longer ones. *Unit*: bytes.
    pub text: Option<usize>,
    /// A text begins with something else than a visible character of ASCII.
    pub unusual: bool,
    pub whole: bool,
    /// There are decimals, and none of more places.
    pub decimal: Option<u32>,
    pub date: bool,
    /// There is anything else.
    pub other: bool,
}

#[derive(Debug, Clone, Copy)]
enum Cell {
    Blank,
    Bool(bool),
    Int(i64),
    Decimal(Decimal),
    Float(f64),
    Text(Span),
    Date(Date),
    Time(Time),
    Instant(Timestamp),
    LocalDateTime(DateTime),
    Guid(Uuid),
    Bytes(Span),
    Choice(Span),
    Reference(u32),
    Rows(u32),
}

#[derive(Debug, Clone, Copy)]
struct Span {
    at: u32,
    len: u32,
}

impl Batch {
    pub fn builder(schema: Arc<Schema>) -> BatchBuilder {
        BatchBuilder {
            batch: Batch {
                schema,
                cells: Vec::new(),
                texts: String::new(),
                bytes: Vec::new(),
                references: Vec::new(),
                children: Vec::new(),
            },
        }
    }

    /// A batch from owned rows, all of the schema given.
    pub fn from_rows<'r>(schema: Arc<Schema>, rows: impl IntoIterator<Item = &'r Row>) -> Batch {
        let mut builder = Batch::builder(schema);
        for row in rows {
            for value in row.values() {
                builder.push(value.as_ref());
            }
        }
        builder.finish()
    }

    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.cells.len().checked_div(self.schema.len()).unwrap_or(0)
    }

    /// Bytes of memory that it holds, without references and rows within rows.
    pub fn held_bytes(&self) -> usize {
        self.texts.len() + self.bytes.len() + self.cells.len() * size_of::<Cell>()
    }

    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    pub fn row(&self, row: usize) -> RowRef<'_> {
        RowRef { batch: self, row }
    }

    pub fn rows(&self) -> impl ExactSizeIterator<Item = RowRef<'_>> {
        (0..self.len()).map(|row| self.row(row))
    }

    /// # Panics
    /// If the row or column is not in the batch.
    #[inline(always)] // millions of them: what is made here is looked at by whoever asked, and not put down in between
    pub fn get(&self, row: usize, column: usize) -> ValueRef<'_> {
        assert!(column < self.schema.len(), "the column is in the schema");
        self.value(&self.cells[row * self.schema.len() + column])
    }

    /// The values of one column, from the first row on.
    ///
    /// # Panics
    /// If the column is not in the batch.
    pub fn column(&self, column: usize) -> impl ExactSizeIterator<Item = ValueRef<'_>> {
        assert!(column < self.schema.len(), "the column is in the schema");
        self.cells.chunks_exact(self.schema.len()).map(move |row| self.value(&row[column]))
    }

    /// What the first cells of a column are.
    ///
    /// # Panics
    /// If the column is not in the batch.
    pub fn kinds(&self, column: usize, rows: usize) -> Kinds {
        let (width, mut kinds) = (self.schema.len(), Kinds::default());
        assert!(column < width, "the column is in the schema");
        for row in self.cells.chunks_exact(width).take(rows) {
            match row[column] {
                Cell::Blank | Cell::Text(Span { len: 0, .. }) => kinds.blank = true,
                Cell::Text(span) => {
                    kinds.text = kinds.text.max(Some(span.len as usize));
                    kinds.unusual |= !self.texts.as_bytes()[span.at as usize].is_ascii_graphic();
                }
                Cell::Int(_) => kinds.whole = true,
                Cell::Decimal(number) => kinds.decimal = kinds.decimal.max(Some(number.scale())),
                Cell::Date(_) => kinds.date = true,
                _ => kinds.other = true,
            }
        }
        kinds
    }

    #[inline(always)]
    fn value(&self, cell: &Cell) -> ValueRef<'_> {
        match *cell {
            Cell::Blank => ValueRef::Blank,
            Cell::Bool(v) => ValueRef::Bool(v),
            Cell::Int(v) => ValueRef::Int(v),
            Cell::Decimal(v) => ValueRef::Decimal(v),
            Cell::Float(v) => ValueRef::Float(v),
            Cell::Text(span) => ValueRef::Text(self.str(span)),
            Cell::Date(v) => ValueRef::Date(v),
            Cell::Time(v) => ValueRef::Time(v),
            Cell::Instant(v) => ValueRef::Instant(v),
            Cell::LocalDateTime(v) => ValueRef::LocalDateTime(v),
            Cell::Guid(v) => ValueRef::Guid(v),
            Cell::Bytes(span) => ValueRef::Bytes(self.bytes(span)),
            Cell::Choice(span) => ValueRef::Choice(self.str(span)),
            Cell::Reference(at) => ValueRef::Reference(&self.references[at as usize]),
            Cell::Rows(at) => ValueRef::Rows(&self.children[at as usize]),
        }
    }

    fn bytes(&self, span: Span) -> &[u8] {
        &self.bytes[span.range()]
    }

    #[inline]
    fn str(&self, span: Span) -> &str {
        &self.texts[span.range()]
    }
}

impl BatchBuilder {
    /// Makes room for so many rows with short texts.
    pub fn reserve(&mut self, rows: usize) {
        let cells = rows * self.batch.schema.len();
        self.batch.cells.reserve(cells);
        self.batch.texts.reserve(cells * 8);
    }

    /// Adds the next cell: rows are filled from left to right.
    #[inline]
    pub fn push(&mut self, value: ValueRef<'_>) {
        let batch = &mut self.batch;
        let cell = match value {
            ValueRef::Blank => Cell::Blank,
            ValueRef::Bool(v) => Cell::Bool(v),
            ValueRef::Int(v) => Cell::Int(v),
            ValueRef::Decimal(v) => Cell::Decimal(v),
            ValueRef::Float(v) => Cell::Float(v),
            ValueRef::Text(v) => Cell::Text(put(&mut batch.texts, v)),
            ValueRef::Date(v) => Cell::Date(v),
            ValueRef::Time(v) => Cell::Time(v),
            ValueRef::Instant(v) => Cell::Instant(v),
            ValueRef::LocalDateTime(v) => Cell::LocalDateTime(v),
            ValueRef::Guid(v) => Cell::Guid(v),
            ValueRef::Bytes(v) => {
                let span = Span::new(batch.bytes.len(), v.len());
                batch.bytes.extend_from_slice(v);
                Cell::Bytes(span)
            }
            ValueRef::Choice(v) => Cell::Choice(put(&mut batch.texts, v)),
            ValueRef::Reference(v) => {
                batch.references.push(v.clone());
                Cell::Reference((batch.references.len() - 1) as u32)
            }
            ValueRef::Rows(v) => {
                batch.children.push(v.to_vec());
                Cell::Rows((batch.children.len() - 1) as u32)
            }
        };
        batch.cells.push(cell);
    }

    /// Takes the cells of a row back that is not whole.
    pub fn drop_row(&mut self) {
        let width = self.batch.schema.len().max(1);
        self.batch.cells.truncate(self.batch.cells.len() / width * width);
    }

    /// Whole rows so far.
    pub fn rows(&self) -> usize {
        self.batch.len()
    }

    /// Bytes that the batch holds so far: close it before it grows past what a reader was told to hold.
    pub fn bytes(&self) -> usize {
        self.batch.held_bytes()
    }

    /// # Panics
    /// If the last row is not whole.
    pub fn finish(self) -> Batch {
        let width = self.batch.schema.len();
        assert!(width == 0 || self.batch.cells.len().is_multiple_of(width), "the last row of a batch is whole");
        self.batch
    }
}

impl Span {
    #[inline]
    fn new(at: usize, len: usize) -> Span {
        Span {
            at: u32::try_from(at).expect("readers close a batch long before its text reaches 4 GiB"),
            len: u32::try_from(len).expect("one value stays below 4 GiB"),
        }
    }

    fn range(self) -> std::ops::Range<usize> {
        self.at as usize..self.at as usize + self.len as usize
    }
}

fn put(texts: &mut String, text: &str) -> Span {
    let span = Span::new(texts.len(), text.len());
    texts.push_str(text);
    span
}

impl<'a> RowRef<'a> {
    pub fn schema(&self) -> &'a Arc<Schema> {
        &self.batch.schema
    }

    #[inline]
    pub fn at(&self, column: usize) -> ValueRef<'a> {
        self.batch.get(self.row, column)
    }

    pub fn get(&self, name: &str) -> Option<ValueRef<'a>> {
        self.batch.schema.index(name).map(|column| self.at(column))
    }

    pub fn values(&self) -> impl ExactSizeIterator<Item = ValueRef<'a>> + use<'a> {
        let this = *self;
        (0..this.batch.schema.len()).map(move |column| this.at(column))
    }

    pub fn to_row(&self) -> Row {
        Row::new(self.schema().clone(), self.values().map(|v| v.to_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Type, Value};

    #[test]
    fn what_goes_in_comes_out() {
        let schema =
            Schema::of([("a", Type::Text { max_length: None }), ("b", Type::WholeNumber), ("c", Type::Unknown)]);
        let reference = Reference { of: "customer".into(), key: vec![("number".into(), Value::text("C-1"))] };
        let rows = [
            Row::new(schema.clone(), vec![Value::text("Zoë"), Value::Int(-4), Value::Blank]),
            Row::new(
                schema.clone(),
                vec![Value::text(""), Value::Blank, Value::Reference(Box::new(reference.clone()))],
            ),
            Row::new(schema.clone(), vec![Value::Blank, Value::Bool(true), Value::Bytes(vec![0, 255])]),
        ];
        let batch = Batch::from_rows(schema.clone(), &rows);
        assert_eq!(batch.len(), 3);
        let back: Vec<Row> = batch.rows().map(|r| r.to_row()).collect();
        assert_eq!(back, rows);
        assert_eq!(batch.row(1).get("c"), Some(ValueRef::Reference(&reference)));
        assert_eq!(batch.row(1).get("nope"), None);
    }

    #[test]
    fn a_column_says_what_its_cells_are() {
        let check = |values: &[Value], expected: Kinds| {
            let schema = Schema::of([("before", Type::Unknown), ("a", Type::Unknown)]);
            let row = |value: &Value| Row::new(schema.clone(), vec![Value::Bool(true), value.clone()]);
            let rows: Vec<Row> = values.iter().chain([&Value::Bool(true)]).map(row).collect();
            let batch = Batch::from_rows(schema.clone(), &rows);
            assert_eq!(batch.kinds(1, values.len()), expected, "{values:?}");
            assert_eq!(batch.kinds(1, usize::MAX), Kinds { other: true, ..expected }, "{values:?}");
        };
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        let none = Kinds::default();
        check(&[], none);
        check(&[Value::Blank], Kinds { blank: true, ..none });
        check(&[Value::text("")], Kinds { blank: true, ..none });
        check(&[Value::text("a"), Value::text("bcd"), Value::text("e")], Kinds { text: Some(3), ..none });
        check(&[Value::text("a"), Value::text(" b")], Kinds { text: Some(2), unusual: true, ..none });
        check(&[Value::text("é")], Kinds { text: Some(2), unusual: true, ..none });
        check(&[Value::Int(0), decimal("1.50"), decimal("2")], Kinds { whole: true, decimal: Some(2), ..none });
        check(&[Value::Date(jiff::civil::date(2026, 11, 23))], Kinds { date: true, ..none });
        check(&[Value::Float(1.5), Value::Choice("a".into())], Kinds { other: true, ..none });
    }

    #[test]
    fn a_row_that_is_not_whole_can_be_taken_back() {
        let mut builder = Batch::builder(Schema::of([("a", Type::Unknown), ("b", Type::Unknown)]));
        for value in [1, 2, 3] {
            builder.push(ValueRef::Int(value));
        }
        builder.drop_row();
        builder.drop_row();
        builder.push(ValueRef::Text("x"));
        builder.push(ValueRef::Blank);
        let batch = builder.finish();
        let rows: Vec<Vec<ValueRef<'_>>> = batch.rows().map(|row| row.values().collect()).collect();
        assert_eq!(rows, [[ValueRef::Int(1), ValueRef::Int(2)], [ValueRef::Text("x"), ValueRef::Blank]]);
    }

    #[test]
    fn an_empty_batch_has_no_rows() {
        assert_eq!(Batch::builder(Schema::of([("a", Type::Unknown)])).finish().len(), 0);
        assert_eq!(Batch::builder(Schema::new(vec![])).finish().len(), 0);
    }
}
