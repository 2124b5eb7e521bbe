//! Batches of cells as a driver has them, whose texts nobody has looked at yet.

use std::sync::Arc;

use jiff::civil::Date;
use rust_decimal::Decimal;

use super::{Batch, BatchBuilder, Cell, Span};
use crate::{Schema, ValueRef};

/// Fills a batch cell by cell from bytes that should be texts: whether they are is seen of all together at the end, which
/// takes a fraction of looking at each.
#[derive(Debug)]
pub struct UnreadBuilder {
    builder: BatchBuilder,
    texts: Vec<u8>,
}

impl UnreadBuilder {
    pub fn new(schema: Arc<Schema>) -> UnreadBuilder {
        UnreadBuilder { builder: Batch::builder(schema), texts: Vec::new() }
    }

    /// Makes room for so many rows with short texts.
    pub fn reserve(&mut self, rows: usize) {
        let cells = rows * self.builder.batch.schema.len();
        self.builder.batch.cells.reserve(cells);
        self.texts.reserve(cells * 8);
    }

    /// Cells so far, of all rows.
    pub fn cells(&self) -> usize {
        self.builder.batch.cells.len()
    }

    #[inline]
    pub fn push_blank(&mut self) {
        self.builder.batch.cells.push(Cell::Blank);
    }

    #[inline]
    pub fn push_int(&mut self, number: i64) {
        self.builder.batch.cells.push(Cell::Int(number));
    }

    #[inline]
    pub fn push_decimal(&mut self, number: Decimal) {
        self.builder.batch.cells.push(Cell::Decimal(number));
    }

    #[inline]
    pub fn push_date(&mut self, date: Date) {
        self.builder.batch.cells.push(Cell::Date(date));
    }

    /// What should be a text.
    #[inline]
    pub fn push_unread(&mut self, text: &[u8]) {
        let span = Span::new(self.texts.len(), text.len());
        self.texts.extend_from_slice(text);
        self.builder.batch.cells.push(Cell::Text(span));
    }

    pub fn push(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Text(text) => self.push_unread(text.as_bytes()),
            ValueRef::Choice(text) => {
                self.push_unread(text.as_bytes());
                if let Some(Cell::Text(span)) = self.builder.batch.cells.pop() {
                    self.builder.batch.cells.push(Cell::Choice(span));
                }
            }
            other => self.builder.push(other),
        }
    }

    /// The first cell, counted over all rows, whose text is not UTF-8.
    pub fn unreadable(&self) -> Option<usize> {
        unreadable(&self.builder.batch.cells, &self.texts)
    }

    /// *Errors*: the first cell, counted over all rows, whose text is not UTF-8.
    ///
    /// # Panics
    /// If the last row is not whole.
    pub fn finish(mut self) -> Result<Batch, usize> {
        let cells = &self.builder.batch.cells;
        let texts = String::from_utf8(self.texts).map_err(|error| {
            // The texts are all of it, one after the other: one of them is what is wrong.
            unreadable(cells, error.as_bytes()).unwrap_or_default()
        })?;
        // Two halves of a character, in the end of one cell and the beginning of the next, are no text of either.
        if !texts.is_ascii()
            && let Some(at) = cells.iter().position(|cell| span(cell).is_some_and(|span| !is_whole(span, &texts)))
        {
            return Err(at);
        }
        self.builder.batch.texts = texts;
        Ok(self.builder.finish())
    }
}

fn span(cell: &Cell) -> Option<Span> {
    match cell {
        Cell::Text(span) | Cell::Choice(span) => Some(*span),
        _ => None,
    }
}

fn is_whole(span: Span, texts: &str) -> bool {
    let range = span.range();
    texts.is_char_boundary(range.start) && texts.is_char_boundary(range.end)
}

fn unreadable(cells: &[Cell], texts: &[u8]) -> Option<usize> {
    let is_text = |span: Span| std::str::from_utf8(&texts[span.range()]).is_ok();
    cells.iter().position(|cell| span(cell).is_some_and(|span| !is_text(span)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Type;

    fn filled(cells: &[&[u8]]) -> UnreadBuilder {
        let mut builder = UnreadBuilder::new(Schema::of([("a", Type::Unknown), ("b", Type::Unknown)]));
        cells.iter().for_each(|cell| builder.push_unread(cell));
        builder
    }

    #[test]
    fn texts_are_read_together_and_each_must_be_one() {
        let check = |cells: &[&[u8]], expected: Result<&[&str], usize>| {
            let builder = filled(cells);
            assert_eq!(builder.unreadable(), expected.err(), "{cells:?}");
            let found = builder.finish().map(|batch| {
                batch.rows().flat_map(|row| row.values().map(|value| value.to_string()).collect::<Vec<_>>()).collect()
            });
            let expected: Result<Vec<String>, usize> =
                expected.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect());
            assert_eq!(found, expected, "{cells:?}");
        };
        check(&[b"a", b""], Ok(&["a", ""]));
        check(&["Zoë".as_bytes(), "東京".as_bytes(), b"x", "ü".as_bytes()], Ok(&["Zoë", "東京", "x", "ü"]));
        check(&[b"a", b"\xff"], Err(1));
        check(&[b"a", b"b", "ü".as_bytes(), b"\xc3"], Err(3));
        // Together they are the two bytes of one character, alone they are nothing.
        check(&[b"\xc3", b"\xbc"], Err(0));
        check(&["ü".as_bytes(), b"x\xc3", b"\xbcy", b"z"], Err(1));
    }

    #[test]
    fn what_goes_in_beside_texts_comes_out() {
        let mut builder = filled(&[]);
        let guid = uuid::Uuid::from_u128(7);
        builder.push_blank();
        builder.push_int(-4);
        builder.push_decimal(Decimal::new(125, 2));
        builder.push_date(jiff::civil::date(2026, 11, 23));
        builder.push(ValueRef::Guid(guid));
        builder.push(ValueRef::Choice("net30"));
        builder.push(ValueRef::Text("ü"));
        builder.push(ValueRef::Bytes(&[0, 255]));
        assert_eq!((builder.cells(), builder.unreadable()), (8, None));
        let batch = builder.finish().unwrap();
        let found: Vec<ValueRef<'_>> = batch.rows().flat_map(|row| [row.at(0), row.at(1)]).collect();
        let expected = [
            ValueRef::Blank,
            ValueRef::Int(-4),
            ValueRef::Decimal(Decimal::new(125, 2)),
            ValueRef::Date(jiff::civil::date(2026, 11, 23)),
            ValueRef::Guid(guid),
            ValueRef::Choice("net30"),
            ValueRef::Text("ü"),
            ValueRef::Bytes(&[0, 255]),
        ];
        assert_eq!(found, expected);
    }
}
