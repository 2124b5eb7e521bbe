use record::query::{Expr, Order};
use record::{Batch, Decimal, Schema, Value, ValueRef};
use uuid::Uuid;

/// A question about one virtual table, in the names of its properties.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ask {
    /// The places of properties to return, without repeats.
    pub select: Vec<usize>,
    pub filter: Option<Expr>,
    pub order: Vec<Order>,
    pub skip: u64,
    /// How many rows are wanted over all pages.
    pub top: Option<u64>,
    /// The most rows of this page.
    pub page: u64,
    pub count: bool,
    /// Where the page before ended.
    pub after: Option<Position>,
}

/// A place in an order: what a next link carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Position {
    /// The values of the order at the last row.
    Values(Vec<Value>),
    /// So many rows from the start, where the hub itself orders them.
    Rows(u64),
}

/// An answer, or a part of it.
#[derive(Debug, Clone)]
pub struct Page {
    rows: Batch,
    /// In the order of `select`.
    places: Vec<Place>,
    keys: Vec<Uuid>,
    pub count: Option<u64>,
    /// Where to go on; nothing at the end.
    pub next: Option<Position>,
}

/// Where the value of a property is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is the GUID of the row.
    Key,
    /// In this column, as a user sees it.
    Column(usize),
    /// In this column, as the source gave it.
    Source(usize),
}

impl Default for Page {
    fn default() -> Page {
        Page::new(Batch::builder(Schema::new(Vec::new())).finish(), Vec::new(), Vec::new())
    }
}

impl Page {
    /// *Shape*: the first rows, as many as there are keys.
    pub(crate) fn new(rows: Batch, places: Vec<Place>, keys: Vec<Uuid>) -> Page {
        Page { rows, places, keys, count: None, next: None }
    }

    pub(crate) fn counted(self, count: Option<u64>) -> Page {
        Page { count, ..self }
    }

    pub(crate) fn followed(self, next: Option<Position>) -> Page {
        Page { next, ..self }
    }

    /// The number of rows. *Shape*: at most `page`.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key of a row, as a GUID.
    #[inline]
    pub fn key(&self, row: usize) -> Uuid {
        self.keys[row]
    }

    /// A value of a row, by its place in `select`.
    #[inline]
    pub fn value(&self, row: usize, selected: usize) -> ValueRef<'_> {
        match self.places[selected] {
            Place::Key => ValueRef::Guid(self.keys[row]),
            Place::Column(column) => self.rows.get(row, column),
            Place::Source(column) => match self.rows.get(row, column) {
                // What a mapping makes of every text and number.
                ValueRef::Text("") => ValueRef::Blank,
                ValueRef::Decimal(number) => ValueRef::Decimal(shortest(number)),
                value => value,
            },
        }
    }
}

/// The number without zeros at its end.
fn shortest(number: Decimal) -> Decimal {
    match u64::try_from(number.mantissa().unsigned_abs()) {
        _ if number.scale() == 0 => number,
        Ok(digits) if digits % 10 != 0 => number,
        _ => number.normalize(),
    }
}
