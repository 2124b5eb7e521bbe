//! A checked formula, ready to run: names are slots, types are settled, coercions are written out.

use crate::eval::Env;
use crate::functions::regex::Matcher;
use crate::types::Type;
use crate::value::Value;
use std::sync::Arc;

/// A function that takes its arguments as values; errors among them were dealt with before.
pub(crate) type Strict = for<'a> fn(&mut Env<'a>, &mut [Value<'a>]) -> Value<'a>;
/// A function that evaluates its own arguments: some, in its own order, or once for each row.
pub(crate) type Lazy = for<'a> fn(&mut Env<'a>, &'a [Node]) -> Value<'a>;

#[derive(Debug)]
pub(crate) enum Node {
    Const(Value<'static>),
    Slot(usize),
    /// The record that the n-th enclosing lambda runs over, counted from the outside.
    Frame(usize),
    FrameField(usize, Arc<str>),
    Field(Box<Node>, Arc<str>),
    /// Names in order.
    Record(Arc<[Arc<str>]>, Vec<Node>),
    /// One node for each row, or for each value of the column `Value`.
    Rows(Vec<Node>),
    Values(Vec<Node>),
    Coerce(Box<Node>, Box<Type>),
    Arithmetic(Arithmetic, Box<Node>, Box<Node>),
    Equal(bool, Box<Node>, Box<Node>),
    Order(Order, Box<Node>, Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    /// Text after text, written into one buffer.
    Concat(Vec<Node>),
    Trim(Box<Node>),
    Lower(Box<Node>),
    Upper(Box<Node>),
    If(Vec<(Node, Node)>, Box<Node>),
    Switch(Box<Switch>),
    Match(Box<Matcher>, Box<Node>),
    Lazy(Lazy, Vec<Node>),
    Strict(Strict, Vec<Node>),
    /// A strict function mapped over those arguments that are one-column tables.
    Lift(Strict, Vec<(Node, bool)>),
}

#[derive(Debug)]
pub(crate) struct Switch {
    pub subject: Node,
    pub cases: Vec<(Node, Node)>,
    pub default: Node,
}

/// An operation on two numbers or dates, chosen by the types of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    /// The left side, a date, a date and time or a time, moved by days or by a time.
    DateAdd(DateKind),
    DateSubtract(DateKind),
    /// The days between two of them.
    DateDifference,
    /// Decided when the values are there.
    DynamicAdd,
    DynamicSubtract,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateKind {
    Date,
    DateTime,
    Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Node {
    pub fn blank() -> Node {
        Node::Const(Value::Blank)
    }

    pub fn text(text: &str) -> Node {
        Node::Const(Value::owned(text.to_owned()))
    }

    /// The constant, where this is one.
    pub fn constant(&self) -> Option<&Value<'static>> {
        match self {
            Node::Const(value) => Some(value),
            _ => None,
        }
    }
}
