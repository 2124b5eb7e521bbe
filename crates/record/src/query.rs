//! What somebody asks of one table, right now: columns, a filter, an order, a page.
//!
//! Flat and typed: names are columns of one table, literals are [`Value`]s. The same tree is turned into SQL by a
//! connector, sent to an API as far as it can take it, and evaluated here ([`Expr::value`]) for what is left. All of
//! them give one answer, so every function has one meaning, written once in [`Function::apply`].
//!
//! *Source*: the meaning of operators over null is that of OData 4.0 part 2, section 5.1.1: a comparison is true or
//! false and never null; `not`, `and`, `or` and functions know null.

mod eval;
mod function;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use eval::compare;
pub use function::Function;

use crate::{Batch, BoxFuture, Fault, Schema, Value};

/// A question about one table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    /// The columns to return, in this order, without repeats.
    pub columns: Vec<String>,
    pub filter: Option<Expr>,
    /// Blanks come first ascending and last descending.
    pub order: Vec<Order>,
    pub skip: u64,
    /// The most rows to return.
    pub limit: u64,
    /// Also say how many rows the filter lets through, whatever `skip` and `limit` are.
    pub count: bool,
    /// How long the source may work on it; zero for as long as its connection says.
    pub within: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub by: Expr,
    pub descending: bool,
}

/// An expression over the columns of one table.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Column(String),
    Value(Value),
    /// All of them. *Shape*: may be empty, which is true.
    And(Vec<Expr>),
    /// One of them. *Shape*: may be empty, which is false.
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// *Shape*: the list holds no blank; a test for blanks stands beside it.
    In(Box<Expr>, Vec<Value>),
    Call(Function, Vec<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// In the columns of the query. *Shape*: at most `limit` rows.
    pub rows: Batch,
    /// Where the query asked for it.
    pub count: Option<u64>,
}

/// How a source finds the rows for which an expression gives one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// By an index.
    Indexed,
    /// By looking at every row, until somebody who may runs this statement there once.
    Needs(String),
    /// By looking at every row: the source has no index on what is computed, or we know of none.
    Scan,
    /// Not at all: it cannot compute it, and every row has to come here.
    Here,
}

/// One table of a system that answers questions while somebody waits.
pub trait Queryable: Send + Sync {
    /// The columns that it was opened with, with the types that the source gives them.
    ///
    /// *Errors*: `IB06xx`: it does not answer, or a column is not there.
    fn schema(&self) -> BoxFuture<'_, Result<Arc<Schema>, Fault>>;

    /// Whether another table stands in the place of the one whose columns it has told: then it is opened anew.
    fn is_outdated(&self) -> bool {
        false
    }

    /// Whether the source itself can decide this expression, exactly as it is meant here.
    fn accepts(&self, expr: &Expr, schema: &Schema) -> bool;

    /// Whether it can give rows without a filter that names some.
    fn lists(&self) -> bool;

    /// Whether it can give the rows of this filter, which holds only what [`Queryable::accepts`] said yes to.
    fn finds(&self, filter: Option<&Expr>) -> bool {
        let _ = filter;
        self.lists()
    }

    /// Whether [`Function::KeyGuid`] can be computed where the rows are.
    fn hashes_keys(&self) -> bool;

    /// Whether no two rows have the same texts in these columns as the source itself compares them, and it has them in
    /// that order already: then [`Function::AsStored`] of them is a total order that costs no sorting.
    fn orders(&self, columns: &[&str]) -> bool {
        let _ = columns;
        false
    }

    /// How it finds rows by [`Function::KeyGuid`] of these columns.
    ///
    /// *Errors*: `IB06xx`.
    fn lookup<'a>(&'a self, columns: &'a [String]) -> BoxFuture<'a, Result<Lookup, Fault>> {
        let _ = columns;
        Box::pin(async { Ok(Lookup::Scan) })
    }

    /// *Shape*: filter and order hold only what [`Queryable::accepts`] said yes to, and the rows are some that it
    /// [`Queryable::finds`]. Where it had to look through more rows than the limit, the answer is that many of them, whether
    /// they pass or not: nobody knows what else there is.
    ///
    /// *Errors*: `IB06xx`. *Cancel*: safe; the source stops working on it within its time-out.
    fn query<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Answer, Fault>>;
}

impl Expr {
    pub fn column(name: impl Into<String>) -> Expr {
        Expr::Column(name.into())
    }

    pub fn equal(left: Expr, right: Value) -> Expr {
        Expr::Compare(Comparison::Equal, Box::new(left), Box::new(Expr::Value(right)))
    }

    /// The filter that wants both.
    pub fn and(left: Option<Expr>, right: Expr) -> Expr {
        match left {
            None => right,
            Some(Expr::And(mut all)) => {
                all.push(right);
                Expr::And(all)
            }
            Some(left) => Expr::And(vec![left, right]),
        }
    }

    /// The parts that must all hold.
    pub fn conjuncts(self) -> Vec<Expr> {
        match self {
            Expr::And(all) => all.into_iter().flat_map(Expr::conjuncts).collect(),
            other => vec![other],
        }
    }

    /// Every column that it names, in order, with repeats.
    pub fn columns<'a>(&'a self, found: &mut Vec<&'a str>) {
        match self {
            Expr::Column(name) => found.push(name),
            Expr::Value(_) => {}
            Expr::And(all) | Expr::Or(all) | Expr::Call(_, all) => all.iter().for_each(|expr| expr.columns(found)),
            Expr::Not(inner) | Expr::In(inner, _) => inner.columns(found),
            Expr::Compare(_, left, right) => {
                left.columns(found);
                right.columns(found);
            }
        }
    }

    /// Whether one of these functions is computed anywhere in it.
    pub fn calls(&self, functions: &[Function]) -> bool {
        match self {
            Expr::Column(_) | Expr::Value(_) => false,
            Expr::Call(function, all) => functions.contains(function) || all.iter().any(|expr| expr.calls(functions)),
            Expr::And(all) | Expr::Or(all) => all.iter().any(|expr| expr.calls(functions)),
            Expr::Not(inner) | Expr::In(inner, _) => inner.calls(functions),
            Expr::Compare(_, left, right) => left.calls(functions) || right.calls(functions),
        }
    }

    /// Whether it asks of a column whether it has a value at all.
    pub fn asks_for_blank(&self) -> bool {
        let Expr::Compare(Comparison::Equal | Comparison::NotEqual, left, right) = self else { return false };
        matches!((&**left, &**right), (Expr::Column(_), Expr::Value(Value::Blank)))
    }

    /// Whether it gives true or false and never null.
    pub fn is_decided(&self) -> bool {
        match self {
            Expr::Compare(..) | Expr::In(..) => true,
            Expr::Value(value) => !value.is_blank(),
            Expr::And(all) | Expr::Or(all) => all.iter().all(Expr::is_decided),
            Expr::Not(inner) => inner.is_decided(),
            Expr::Column(_) | Expr::Call(..) => false,
        }
    }
}

impl Comparison {
    /// The one that holds exactly where this does not, for two values that are both there.
    pub fn opposite(self) -> Comparison {
        match self {
            Comparison::Equal => Comparison::NotEqual,
            Comparison::NotEqual => Comparison::Equal,
            Comparison::Less => Comparison::GreaterOrEqual,
            Comparison::LessOrEqual => Comparison::Greater,
            Comparison::Greater => Comparison::LessOrEqual,
            Comparison::GreaterOrEqual => Comparison::Less,
        }
    }

    /// The one that holds with its sides exchanged.
    pub fn mirrored(self) -> Comparison {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            same => same,
        }
    }

    pub fn sign(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sign())
    }
}
