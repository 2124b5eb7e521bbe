//! Values while a formula runs. They borrow from the row and from the formula wherever they can.

use crate::error::{ErrorKind, ErrorValue};
use crate::json::Json;
use rust_decimal::Decimal;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use uuid::Uuid;

/// What a formula reads and gives.
///
/// Shape: `'a` is the life of the row and of the formula, from which text is borrowed.
#[derive(Debug, Clone, Default)]
pub enum Value<'a> {
    #[default]
    Blank,
    Boolean(bool),
    Number(Decimal),
    Float(f64),
    Text(Text<'a>),
    Date(Moment),
    Time(Moment),
    DateTime(Moment),
    Guid(Uuid),
    Reference(Arc<Reference<'a>>),
    Record(Arc<Record<'a>>),
    Table(Arc<Table<'a>>),
    Untyped(Arc<Json>),
    Error(Arc<ErrorValue>),
}

/// A point on the local wall clock, or a span of time.
///
/// Units: microseconds since 1899-12-30 00:00, the day zero of spreadsheets, in the time zone of the
/// [`Context`](crate::Context). A `Date` is its midnight; a `Time` is the span since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(pub i64);

/// Text that is borrowed while nothing changed it.
#[derive(Debug, Clone)]
pub enum Text<'a> {
    Borrowed(&'a str),
    Owned(String),
    Shared(Arc<str>),
}

/// A row that is no entity of ours, named by columns that are unique together: `Row("team", {name: "Sales"})`.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference<'a> {
    pub table: Text<'a>,
    /// In the order of their names.
    pub columns: Vec<(Arc<str>, Value<'a>)>,
}

/// Named values, in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct Record<'a> {
    pub(crate) names: Arc<[Arc<str>]>,
    pub(crate) values: Vec<Value<'a>>,
}

/// Rows; each is a record, a blank or an error.
#[derive(Debug, Clone, Default)]
pub struct Table<'a> {
    pub rows: Vec<Value<'a>>,
}

impl<'a> Value<'a> {
    pub fn text(text: &'a str) -> Self {
        Value::Text(Text::Borrowed(text))
    }

    pub fn owned(text: String) -> Self {
        Value::Text(Text::Owned(text))
    }

    pub fn error(kind: ErrorKind, message: impl Into<Arc<str>>) -> Self {
        Value::Error(Arc::new(ErrorValue::new(kind, message)))
    }

    pub(crate) fn invalid(message: impl Into<Arc<str>>) -> Self {
        Self::error(ErrorKind::INVALID_ARGUMENT, message)
    }

    pub(crate) fn number(n: impl Into<Decimal>) -> Self {
        Value::Number(n.into())
    }

    pub fn is_blank(&self) -> bool {
        match self {
            Value::Blank => true,
            Value::Untyped(json) => matches!(**json, Json::Null),
            _ => false,
        }
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Value::Error(_))
    }

    /// The text, where this is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(t) => Some(t),
            _ => None,
        }
    }

    /// The same value, borrowed from this one instead of copied.
    pub(crate) fn borrow(&'a self) -> Value<'a> {
        match self {
            Value::Text(t) => Value::Text(Text::Borrowed(t)),
            other => other.clone(),
        }
    }

    /// The same value in a form that is cheap to clone, for keeping in records and tables.
    pub(crate) fn shared(self) -> Value<'a> {
        match self {
            Value::Text(Text::Owned(s)) => Value::Text(Text::Shared(s.into())),
            other => other,
        }
    }

    /// The same value with nothing borrowed. Parts that are shared stay shared.
    pub fn into_static(self) -> Value<'static> {
        self.copied(&mut HashMap::new())
    }

    fn copied(self, done: &mut HashMap<usize, Value<'static>>) -> Value<'static> {
        let address = match &self {
            Value::Record(r) => Arc::as_ptr(r) as usize,
            Value::Table(t) => Arc::as_ptr(t) as usize,
            _ => 0,
        };
        if let Some(value) = done.get(&address) {
            return value.clone();
        }
        let value = match self {
            Value::Blank => Value::Blank,
            Value::Boolean(b) => Value::Boolean(b),
            Value::Number(n) => Value::Number(n),
            Value::Float(f) => Value::Float(f),
            Value::Text(t) => Value::Text(t.into_static()),
            Value::Date(m) => Value::Date(m),
            Value::Time(m) => Value::Time(m),
            Value::DateTime(m) => Value::DateTime(m),
            Value::Guid(g) => Value::Guid(g),
            Value::Reference(r) => Value::Reference(Arc::new(Reference {
                table: r.table.clone().into_static(),
                columns: r.columns.iter().map(|(n, v)| (n.clone(), v.clone().copied(done))).collect(),
            })),
            Value::Record(ref r) => {
                let values = r.values.iter().map(|v| v.clone().copied(done)).collect();
                Value::Record(Arc::new(Record { names: r.names.clone(), values }))
            }
            Value::Table(ref t) => Value::table(t.rows.iter().map(|v| v.clone().copied(done)).collect()),
            Value::Untyped(j) => Value::Untyped(j),
            Value::Error(e) => Value::Error(e),
        };
        if address != 0 {
            done.insert(address, value.clone());
        }
        value
    }

    pub(crate) fn table(rows: Vec<Value<'a>>) -> Self {
        Value::Table(Arc::new(Table { rows }))
    }
}

/// Equality of values of one type; numbers of both kinds compare with each other, text by its letters.
impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        use Value::*;
        match (self, other) {
            (Blank, Blank) => true,
            (Boolean(a), Boolean(b)) => a == b,
            (Number(a), Number(b)) => a == b,
            (Float(a), Float(b)) => a == b,
            (Number(n), Float(f)) | (Float(f), Number(n)) => crate::number::to_float(*n) == *f,
            (Text(a), Text(b)) => **a == **b,
            (Date(a) | DateTime(a) | Time(a), Date(b) | DateTime(b) | Time(b)) => a == b,
            (Guid(a), Guid(b)) => a == b,
            (Reference(a), Reference(b)) => a == b,
            (Record(a), Record(b)) => a.names == b.names && a.values == b.values,
            (Table(a), Table(b)) => a.rows == b.rows,
            (Untyped(a), Untyped(b)) => a == b,
            (Error(a), Error(b)) => a == b,
            _ => false,
        }
    }
}

impl<'a> Text<'a> {
    pub fn into_string(self) -> String {
        match self {
            Text::Borrowed(s) => s.to_owned(),
            Text::Owned(s) => s,
            Text::Shared(s) => (*s).to_owned(),
        }
    }

    pub fn into_static(self) -> Text<'static> {
        match self {
            Text::Borrowed(s) => Text::Owned(s.to_owned()),
            Text::Owned(s) => Text::Owned(s),
            Text::Shared(s) => Text::Shared(s),
        }
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Borrowed(s) => s,
            Text::Owned(s) => s,
            Text::Shared(s) => s,
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<'a> Record<'a> {
    /// Shape: a later value of a name replaces an earlier one.
    pub fn new(fields: impl IntoIterator<Item = (Arc<str>, Value<'a>)>) -> Self {
        let sorted: std::collections::BTreeMap<Arc<str>, Value<'a>> = fields.into_iter().collect();
        let (names, values): (Vec<_>, Vec<_>) = sorted.into_iter().map(|(n, v)| (n, v.shared())).unzip();
        Self { names: names.into(), values }
    }

    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        let at = self.names.binary_search_by(|n| (**n).cmp(name)).ok()?;
        self.values.get(at)
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Value<'a>)> {
        self.names.iter().zip(self.values.iter())
    }
}
