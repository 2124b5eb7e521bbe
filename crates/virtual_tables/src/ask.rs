use record::Value;
use record::query::{Expr, Order};

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
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// Values in the order of `select`. *Shape*: at most `page` rows.
    pub rows: Vec<Vec<Value>>,
    /// The key of each row, as a GUID.
    pub keys: Vec<Value>,
    pub count: Option<u64>,
    /// Where to go on; nothing at the end.
    pub next: Option<Position>,
}
