//! How many rows and values there are.

use crate::ast::Expr;
use crate::check::{Checker, Typed};
use crate::eval::{Env, rows};
use crate::node::{Lazy, Node};
use crate::types::Type;
use crate::value::Value;

/// A table; with a condition on the one column that it must have.
pub(super) fn check_count(c: &mut Checker<'_>, args: &[Expr], run: Lazy, column: Option<fn(&Type) -> bool>) -> Typed {
    let Some(table) = c.table(&args[0]) else { return Typed::error() };
    if let (Some(column), Type::Record(fields)) = (column, &table.row) {
        let fine = fields.is_empty() || fields.single().is_some_and(|(_, ty)| column(ty));
        if !fine {
            return c.type_error(args[0].span, "expected a table with one column of numbers, or of values for CountA");
        }
    }
    Typed::new(Node::Lazy(run, vec![table.node]), Type::Number)
}

/// What Count counts.
pub(super) fn is_countable(ty: &Type) -> bool {
    ty.is_any() || ty.is_dateish() || matches!(ty, Type::Number | Type::Float | Type::Untyped)
}

/// Counts rows by their first value; a row or value that is an error gives the error.
pub(super) fn counted<'a>(
    env: &mut Env<'a>,
    nodes: &'a [Node],
    counts: fn(&Value<'a>) -> bool,
    deep: bool,
) -> Value<'a> {
    let table = match rows(env, &nodes[0]) {
        Ok(table) => table,
        Err(Value::Blank) => return Value::number(0),
        Err(error) => return error,
    };
    let mut found = 0u64;
    for row in &table.rows {
        let value = match row {
            Value::Record(r) if deep => r.values.first().cloned().unwrap_or_default(),
            other => other.clone(),
        };
        if value.is_error() {
            return value;
        }
        found += u64::from(counts(&value));
    }
    Value::number(found)
}

pub(super) fn count_rows<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    counted(env, nodes, |_| true, false)
}

pub(super) fn count<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    counted(env, nodes, |v| !v.is_blank() && !matches!(v, Value::Text(_) | Value::Boolean(_)), true)
}

pub(super) fn count_a<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    counted(env, nodes, |v| !v.is_blank(), true)
}

pub(super) fn is_empty<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    match rows(env, &nodes[0]) {
        Ok(table) => Value::Boolean(table.rows.is_empty()),
        Err(Value::Blank) => Value::Boolean(true),
        Err(error) => error,
    }
}
