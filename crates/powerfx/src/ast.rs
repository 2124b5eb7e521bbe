//! A formula as it was written.

use crate::error::Span;

#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub kind: ExprKind,
    pub span: Span,
    /// How deep the tree below is, so that every later walk is bounded.
    pub depth: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub text: String,
    pub span: Span,
}

#[derive(Debug, Clone)]
pub(crate) enum ExprKind {
    Number(String),
    Text(String),
    Boolean(bool),
    Name(String),
    Dot(Box<Expr>, Name),
    Call(Name, Vec<Expr>),
    Prefix(PrefixOp, Box<Expr>),
    Percent(Box<Expr>),
    Binary(BinaryOp, Span, Box<Expr>, Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Concat(Vec<Expr>),
    Interpolated(Vec<Expr>),
    Record(Vec<(Name, Expr)>),
    List(Vec<Expr>),
    As(Box<Expr>, Name),
    Chain(Vec<Expr>),
    /// A formula of nothing but white space and comments.
    Empty,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PrefixOp {
    Minus,
    Plus,
    Not,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    ExactIn,
}
