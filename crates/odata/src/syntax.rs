//! The syntax tree.

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use uuid::Uuid;

/// The query options of one URL, or of one `$expand` item.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    pub select: Option<Vec<Path>>,
    pub filter: Option<Expr>,
    pub orderby: Vec<OrderItem>,
    pub top: Option<u64>,
    pub skip: Option<u64>,
    pub count: Option<bool>,
    pub expand: Vec<Expand>,
    pub apply: Option<Vec<Transformation>>,
    pub levels: Option<String>,
    pub search: Option<String>,
    pub skiptoken: Option<String>,
    pub deltatoken: Option<String>,
    pub format: Option<String>,
    /// Parameter aliases (`@p1=…`) with their `@`, in the order given.
    pub aliases: Vec<(String, Expr)>,
    /// Options without `$` or `@`, which belong to the service; in the order given, decoded.
    pub custom: Vec<(String, String)>,
}

/// Steps from one thing to another: `primarycontactid/fullname`. A qualified name is a cast.
///
/// *Shape*: at least one step; `*` in `$select` is a step of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path(pub Vec<String>);

impl Path {
    /// A path of one step.
    pub fn of(name: &str) -> Path {
        Path(vec![name.to_owned()])
    }

    /// The step, when there is only one.
    pub fn single(&self) -> Option<&str> {
        match self.0.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// An expression of `$filter`, `$orderby`, a key or a function's argument.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Literal(Literal),
    Path(Path),
    /// `@name`, with its `@`.
    Alias(String),
    /// All must hold. *Shape*: two or more.
    And(Vec<Expr>),
    /// One must hold. *Shape*: two or more.
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// `left in (…)`; the right side is a list, a path or an alias.
    In(Box<Expr>, Box<Expr>),
    List(Vec<Expr>),
    Call(String, Vec<Argument>),
    /// `path/any(x:…)`; without a predicate `any()` asks whether there is one.
    Lambda {
        path: Path,
        quantifier: Quantifier,
        body: Option<(String, Box<Expr>)>,
    },
}

/// One argument of a function, or one part of a key: with a name or by position.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    pub name: Option<String>,
    pub value: Expr,
}

/// Operators with two sides, without the logical ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Binary {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    Has,
    Add,
    Sub,
    Mul,
    Div,
    DivBy,
    Mod,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantifier {
    Any,
    All,
}

/// A literal of any primitive type. Numbers are exact; what only a float can hold stays text.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Decimal(Decimal),
    /// A number with an exponent, more than 28 digits, `INF`, `-INF` or `NaN`, as written.
    Double(String),
    String(String),
    Guid(Uuid),
    Date(Date),
    Time(Time),
    Instant(Timestamp),
    /// A moment in UTC that is later than any [`Timestamp`]: of the last hours of the year 9999, which stand for no end.
    Late(DateTime),
    Duration(SignedDuration),
    /// `binary'…'` in base64url, as written.
    Binary(String),
    Enum {
        kind: String,
        value: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct OrderItem {
    pub by: Expr,
    pub direction: Direction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

/// One item of `$expand`: a navigation path, perhaps ending in `$ref` or `$count`, with options of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Expand {
    pub path: Path,
    pub options: Options,
}

/// One step of `$apply`.
#[derive(Debug, Clone, PartialEq)]
pub enum Transformation {
    Identity,
    Filter(Expr),
    Aggregate(Vec<Aggregate>),
    GroupBy { by: Vec<Path>, then: Vec<Transformation> },
}

/// `revenue with sum as total`; `$count as n` has neither expression nor method.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    pub of: Option<(Expr, Method)>,
    pub alias: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    Sum,
    Average,
    Min,
    Max,
    CountDistinct,
    Custom(String),
}
