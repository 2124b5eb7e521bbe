use std::fmt::Write;

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

impl Ask {
    /// The question as a text: another one for another question. *Shape*: for every request, so that it is written without
    /// what makes `Debug` long.
    pub(crate) fn text(&self) -> String {
        let Ask { select, filter, order, skip, top, page, count, after } = self;
        let mut out = String::with_capacity(160);
        select.iter().for_each(|at| written(&mut out, format_args!("{at},")));
        written(&mut out, format_args!(";{skip},{},{page},{count}", top.map_or(-1, i128::from)));
        if let Some(filter) = filter {
            out.push('?');
            expression(&mut out, filter);
        }
        for order in order {
            out.push(if order.descending { '>' } else { '<' });
            expression(&mut out, &order.by);
        }
        match after {
            None => {}
            Some(Position::Rows(rows)) => written(&mut out, format_args!("#{rows}")),
            Some(Position::Values(values)) => values.iter().for_each(|one| value(&mut out, one)),
        }
        out
    }
}

fn expression(out: &mut String, expr: &Expr) {
    let mut list = |name: &str, parts: &[Expr]| {
        out.push_str(name);
        out.push('(');
        parts.iter().for_each(|part| expression(out, part));
        out.push(')');
    };
    match expr {
        Expr::And(parts) => list("and", parts),
        Expr::Or(parts) => list("or", parts),
        Expr::Not(part) => list("not", std::slice::from_ref(part)),
        Expr::Call(function, parts) => list(function.name(), parts),
        Expr::Column(name) => text(out, 'c', name),
        Expr::Value(one) => value(out, one),
        Expr::Compare(comparison, left, right) => {
            written(out, format_args!("{comparison:?}("));
            expression(out, left);
            expression(out, right);
            out.push(')');
        }
        Expr::In(of, values) => {
            out.push_str("in(");
            expression(out, of);
            values.iter().for_each(|one| value(out, one));
            out.push(')');
        }
    }
}

fn value(out: &mut String, one: &Value) {
    match one {
        Value::Text(of) => text(out, 't', of),
        other => written(out, format_args!("v{other:?}")),
    }
}

/// A text, and before it how long it is: what is in it cannot be taken for what follows.
fn text(out: &mut String, kind: char, of: &str) {
    written(out, format_args!("{kind}{}:", of.len()));
    out.push_str(of);
}

fn written(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing into a text cannot fail.
    let _ = out.write_fmt(what);
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

    /// Bytes of memory that it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.held_bytes() + size_of_val(self.keys.as_slice())
    }

    /// The key of a row, as a GUID.
    #[inline]
    pub fn key(&self, row: usize) -> Uuid {
        self.keys[row]
    }

    /// A value of a row, by its place in `select`.
    #[inline(always)]
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

#[cfg(test)]
mod tests {
    use record::query::{Comparison, Function};

    use super::*;

    #[test]
    fn no_two_questions_have_one_text() {
        let column = |name: &str| Box::new(Expr::column(name));
        let value = |of: &str| Box::new(Expr::Value(Value::text(of)));
        let filters = [
            Expr::Compare(Comparison::Equal, column("a"), value("b")),
            Expr::Compare(Comparison::Less, column("a"), value("b")),
            Expr::Compare(Comparison::Equal, column("a"), value("b)t1:c")),
            Expr::Compare(Comparison::Equal, column("a"), Box::new(Expr::Value(Value::Int(1)))),
            Expr::Compare(Comparison::Equal, column("a"), value("1")),
            Expr::In(column("a"), vec![Value::text("b"), Value::text("c")]),
            Expr::In(column("a"), vec![Value::text("b,c")]),
            Expr::And(vec![*column("a"), *column("b")]),
            Expr::Or(vec![*column("a"), *column("b")]),
            Expr::And(vec![*column("a"), Expr::And(vec![*column("b")])]),
            Expr::Not(column("a")),
            Expr::Call(Function::ToLower, vec![*column("a")]),
            Expr::Call(Function::Trim, vec![*column("a")]),
        ];
        let order = |descending: bool| vec![Order { by: *column("a"), descending }];
        let one = Ask { select: vec![1, 2], page: 10, ..Ask::default() };
        let mut asks = vec![
            one.clone(),
            Ask { select: vec![12], ..one.clone() },
            Ask { select: vec![1], skip: 2, ..one.clone() },
            Ask { skip: 1, ..one.clone() },
            Ask { top: Some(0), ..one.clone() },
            Ask { top: Some(1), ..one.clone() },
            Ask { page: 1, ..one.clone() },
            Ask { count: true, ..one.clone() },
            Ask { order: order(false), ..one.clone() },
            Ask { order: order(true), ..one.clone() },
            Ask { after: Some(Position::Rows(1)), ..one.clone() },
            Ask { after: Some(Position::Values(vec![Value::Int(1)])), ..one.clone() },
            Ask { after: Some(Position::Values(vec![Value::text("1")])), ..one.clone() },
            Ask { after: Some(Position::Values(vec![Value::Blank])), ..one.clone() },
        ];
        asks.extend(filters.map(|filter| Ask { filter: Some(filter), ..one.clone() }));
        let texts: std::collections::HashSet<String> = asks.iter().map(Ask::text).collect();
        assert_eq!(texts.len(), asks.len(), "{texts:#?}");
        assert_eq!(one.text(), one.clone().text());
    }
}
