//! Expressions that run once for each row.

use super::{json_array, table_type};
use crate::ast::Expr;
use crate::check::{Checker, TableArg, Typed};
use crate::error::Span;
use crate::eval::{Env, eval, join_errors, rows, rows_of, value_row};
use crate::node::Node;
use crate::types::Type;
use crate::value::Value;

/// The conditions after a table, as one.
pub(super) fn conditions(c: &mut Checker<'_>, table: &TableArg, args: &[Expr]) -> Vec<Node> {
    let mut nodes = Vec::new();
    for arg in args {
        let typed = c.lambda(&table.row, &table.alias, arg);
        nodes.push(c.fit(typed, &Type::Boolean, arg.span));
    }
    nodes
}

pub(super) fn check_filter(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let Some(table) = c.table(&args[0]) else { return Typed::error() };
    let mut nodes = conditions(c, &table, &args[1..]);
    let ty = table_type(&table.row);
    nodes.insert(0, table.node);
    Typed::new(Node::Lazy(filter, nodes), ty)
}

/// Whether all conditions hold; the first error among them otherwise.
pub(super) fn holds<'a>(env: &mut Env<'a>, row: &Value<'a>, conditions: &'a [Node]) -> Result<bool, Value<'a>> {
    env.step()?;
    for condition in conditions {
        match env.with_row(row.clone(), condition) {
            Value::Boolean(true) => {}
            error @ Value::Error(_) => return Err(error),
            _ => return Ok(false),
        }
    }
    Ok(true)
}

pub(super) fn filter<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let value = eval(&nodes[0], env);
    let json = matches!(value, Value::Untyped(_));
    let table = match rows_of(env, value) {
        Ok(table) => table,
        Err(other) => return other,
    };
    let mut out = Vec::new();
    for row in &table.rows {
        match holds(env, row, &nodes[1..]) {
            Ok(true) => out.push(row.clone()),
            Ok(false) => {}
            Err(error) if quota(&error) => return error,
            Err(error) => out.push(error),
        }
    }
    if json { json_array(out) } else { env.table(out) }
}

/// Limits end the whole evaluation and do not become a row.
pub(super) fn quota(error: &Value<'_>) -> bool {
    matches!(error, Value::Error(e) if e.kind() == crate::error::ErrorKind::QUOTA_EXCEEDED)
}

pub(super) fn check_look_up(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let Some(table) = c.table(&args[0]) else { return Typed::error() };
    let mut nodes = conditions(c, &table, &args[1..2]);
    let mut ty = table.row.clone();
    if let Some(result) = args.get(2) {
        let typed = c.lambda(&table.row, &table.alias, result);
        ty = typed.ty;
        nodes.push(typed.node);
    }
    nodes.insert(0, table.node);
    Typed::new(Node::Lazy(look_up, nodes), ty)
}

pub(super) fn look_up<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let table = match rows(env, &nodes[0]) {
        Ok(table) => table,
        Err(other) => return other,
    };
    for row in &table.rows {
        match holds(env, row, &nodes[1..2]) {
            Ok(true) => {
                return match nodes.get(2) {
                    Some(result) => env.with_row(row.clone(), result),
                    None => row.clone(),
                };
            }
            Ok(false) => {}
            Err(error) => return error,
        }
    }
    Value::Blank
}

pub(super) fn check_for_all(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let Some(table) = c.table(&args[0]) else { return Typed::error() };
    let body = c.lambda(&table.row, &table.alias, &args[1]);
    let ty = match body.ty {
        Type::Record(fields) => Type::Table(fields),
        Type::Unknown => Type::Unknown,
        Type::Error => Type::Error,
        Type::Void => return c.type_error(args[1].span, "this has no value"),
        ty => Type::list(ty),
    };
    Typed::new(Node::Lazy(for_all, vec![table.node, body.node]), ty)
}

pub(super) fn for_all<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let table = match rows(env, &nodes[0]) {
        Ok(table) => table,
        Err(other) => return other,
    };
    let mut out = Vec::with_capacity(table.rows.len());
    let mut failed = Vec::new();
    for row in &table.rows {
        if let Err(error) = env.step() {
            return error;
        }
        match env.with_row(row.clone(), &nodes[1]) {
            record @ Value::Record(_) => out.push(record),
            error @ Value::Error(_) if quota(&error) => return error,
            error @ Value::Error(_) => failed.push(error),
            other => out.push(value_row(other)),
        }
    }
    if failed.is_empty() { env.table(out) } else { join_errors(failed.iter()) }
}

pub(super) fn check_count_if(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let Some(table) = c.table(&args[0]) else { return Typed::error() };
    let mut nodes = conditions(c, &table, &args[1..]);
    nodes.insert(0, table.node);
    Typed::new(Node::Lazy(count_if, nodes), Type::Number)
}

pub(super) fn count_if<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let table = match rows(env, &nodes[0]) {
        Ok(table) => table,
        Err(Value::Blank) => return Value::number(0),
        Err(error) => return error,
    };
    let mut found = 0u64;
    for row in &table.rows {
        match holds(env, row, &nodes[1..]) {
            Ok(holds) => found += u64::from(holds),
            Err(error) => return error,
        }
    }
    Value::number(found)
}

pub(super) fn check_distinct(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let Some(table) = c.table(&args[0]) else { return Typed::error() };
    let body = c.lambda(&table.row, &table.alias, &args[1]);
    Typed::new(Node::Lazy(distinct, vec![table.node, body.node]), Type::list(body.ty))
}

pub(super) fn distinct<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let table = match rows(env, &nodes[0]) {
        Ok(table) => table,
        Err(other) => return other,
    };
    let mut seen = std::collections::HashSet::new();
    let mut out: Vec<Value<'a>> = Vec::new();
    for row in &table.rows {
        if let Err(error) = env.step() {
            return error;
        }
        let value = env.with_row(row.clone(), &nodes[1]);
        match &value {
            Value::Error(_) => return value,
            Value::Record(_) | Value::Table(_) | Value::Untyped(_) => {
                return Value::invalid("Distinct needs an expression that gives a single value");
            }
            _ => {}
        }
        if seen.insert(key(&value)) {
            out.push(value_row(value));
        }
    }
    env.table(out)
}

/// A text that is the same for equal values.
pub(super) fn key(value: &Value<'_>) -> String {
    match value {
        Value::Number(n) => format!("n{}", n.normalize()),
        Value::Float(f) => format!("f{f}"),
        other => crate::print::literal(other),
    }
}
