//! One cell: owned ([`Value`]) and borrowed ([`ValueRef`]).

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::Row;

/// One cell of a row, owned.
///
/// *Shape*: plain data. A currency is in the schema, not here. A number that is money is a `Decimal`, never a `Float`.
/// *Units*: `Instant` is UTC; `LocalDateTime` has no zone and must get one before it is stored anywhere.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    #[default]
    Blank,
    Bool(bool),
    Int(i64),
    Decimal(Decimal),
    Float(f64),
    Text(String),
    Date(Date),
    Time(Time),
    Instant(Timestamp),
    LocalDateTime(DateTime),
    Guid(Uuid),
    Bytes(Vec<u8>),
    /// A choice by its name in the entity (`net30`), not by its number in one system.
    Choice(String),
    Reference(Box<Reference>),
    /// Children (`lines`).
    Rows(Vec<Row>),
}

/// A pointer to another row by the values of its key.
///
/// *Shape*: in the hub's words `of` is an entity and the names are its key fields; in one system's words `of` is a table
/// and the names are columns of its alternate key. The mapping turns one into the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    pub of: Arc<str>,
    pub key: Vec<(Arc<str>, Value)>,
}

/// One cell, borrowed from a batch or a row.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum ValueRef<'a> {
    #[default]
    Blank,
    Bool(bool),
    Int(i64),
    Decimal(Decimal),
    Float(f64),
    Text(&'a str),
    Date(Date),
    Time(Time),
    Instant(Timestamp),
    LocalDateTime(DateTime),
    Guid(Uuid),
    Bytes(&'a [u8]),
    Choice(&'a str),
    Reference(&'a Reference),
    Rows(&'a [Row]),
}

impl Value {
    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    pub fn is_blank(&self) -> bool {
        matches!(self, Value::Blank)
    }

    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::Blank => ValueRef::Blank,
            Value::Bool(v) => ValueRef::Bool(*v),
            Value::Int(v) => ValueRef::Int(*v),
            Value::Decimal(v) => ValueRef::Decimal(*v),
            Value::Float(v) => ValueRef::Float(*v),
            Value::Text(v) => ValueRef::Text(v),
            Value::Date(v) => ValueRef::Date(*v),
            Value::Time(v) => ValueRef::Time(*v),
            Value::Instant(v) => ValueRef::Instant(*v),
            Value::LocalDateTime(v) => ValueRef::LocalDateTime(*v),
            Value::Guid(v) => ValueRef::Guid(*v),
            Value::Bytes(v) => ValueRef::Bytes(v),
            Value::Choice(v) => ValueRef::Choice(v),
            Value::Reference(v) => ValueRef::Reference(v),
            Value::Rows(v) => ValueRef::Rows(v),
        }
    }

    /// The name of the kind of this value, in the words of a definition file.
    pub fn kind(&self) -> &'static str {
        self.as_ref().kind()
    }
}

impl ValueRef<'_> {
    pub fn is_blank(&self) -> bool {
        matches!(self, ValueRef::Blank)
    }

    pub fn to_owned(&self) -> Value {
        match *self {
            ValueRef::Blank => Value::Blank,
            ValueRef::Bool(v) => Value::Bool(v),
            ValueRef::Int(v) => Value::Int(v),
            ValueRef::Decimal(v) => Value::Decimal(v),
            ValueRef::Float(v) => Value::Float(v),
            ValueRef::Text(v) => Value::Text(v.to_owned()),
            ValueRef::Date(v) => Value::Date(v),
            ValueRef::Time(v) => Value::Time(v),
            ValueRef::Instant(v) => Value::Instant(v),
            ValueRef::LocalDateTime(v) => Value::LocalDateTime(v),
            ValueRef::Guid(v) => Value::Guid(v),
            ValueRef::Bytes(v) => Value::Bytes(v.to_owned()),
            ValueRef::Choice(v) => Value::Choice(v.to_owned()),
            ValueRef::Reference(v) => Value::Reference(Box::new(v.clone())),
            ValueRef::Rows(v) => Value::Rows(v.to_vec()),
        }
    }

    /// The name of the kind of this value, in the words of a definition file.
    pub fn kind(&self) -> &'static str {
        match self {
            ValueRef::Blank => "blank",
            ValueRef::Bool(_) => "yes_no",
            ValueRef::Int(_) => "whole_number",
            ValueRef::Decimal(_) => "decimal",
            ValueRef::Float(_) => "float",
            ValueRef::Text(_) => "text",
            ValueRef::Date(_) => "date",
            ValueRef::Time(_) => "time",
            ValueRef::Instant(_) => "datetime",
            ValueRef::LocalDateTime(_) => "datetime without a zone",
            ValueRef::Guid(_) => "guid",
            ValueRef::Bytes(_) => "bytes",
            ValueRef::Choice(_) => "choice",
            ValueRef::Reference(_) => "reference",
            ValueRef::Rows(_) => "lines",
        }
    }
}

/// For people: what a table of old and new values shows. Not a wire format.
impl fmt::Display for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueRef::Blank => f.write_str("(blank)"),
            ValueRef::Bool(v) => f.write_str(if *v { "yes" } else { "no" }),
            ValueRef::Int(v) => v.fmt(f),
            ValueRef::Decimal(v) => v.fmt(f),
            ValueRef::Float(v) => v.fmt(f),
            ValueRef::Text(v) | ValueRef::Choice(v) => f.write_str(v),
            ValueRef::Date(v) => v.fmt(f),
            ValueRef::Time(v) => v.fmt(f),
            ValueRef::Instant(v) => v.fmt(f),
            ValueRef::LocalDateTime(v) => v.fmt(f),
            ValueRef::Guid(v) => v.fmt(f),
            ValueRef::Bytes(v) => write!(f, "({} bytes)", v.len()),
            ValueRef::Reference(v) => v.fmt(f),
            ValueRef::Rows(v) => write!(f, "({} lines)", v.len()),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// `customer C-1042`, or `uom(name=each)` where the key is not a single business key.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(_, value)] = self.key.as_slice() {
            return write!(f, "{} {}", self.of, value);
        }
        write!(f, "{}(", self.of)?;
        for (i, (name, value)) in self.key.iter().enumerate() {
            write!(f, "{}{name}={value}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str(")")
    }
}

impl From<&str> for Value {
    fn from(v: &str) -> Value {
        Value::Text(v.to_owned())
    }
}

impl From<i64> for Value {
    fn from(v: i64) -> Value {
        Value::Int(v)
    }
}

impl From<Decimal> for Value {
    fn from(v: Decimal) -> Value {
        Value::Decimal(v)
    }
}

impl From<bool> for Value {
    fn from(v: bool) -> Value {
        Value::Bool(v)
    }
}
