//! Columns added, dropped and renamed, in tables and in single records.

use crate::ast::{Expr, ExprKind};
use crate::check::{Checker, Typed, aliased};
use crate::enums;
use crate::error::Span;
use crate::eval::{Env, eval};
use crate::node::Node;
use crate::types::{Fields, Type};
use crate::value::{Record, Value};
use std::sync::Arc;

/// The columns of a table or record argument; `true` for a table.
pub(super) fn shape(c: &mut Checker<'_>, e: &Expr) -> Option<(Node, Fields, bool, Option<String>)> {
    let (inner, alias) = aliased(e);
    let typed = c.expr(inner);
    match typed.ty {
        Type::Table(fields) => Some((typed.node, fields, true, alias)),
        Type::Record(fields) => Some((typed.node, fields, false, alias)),
        Type::Error => None,
        other => {
            c.type_error(inner.span, format!("expected a table or a record whose columns are known, found {other}"));
            None
        }
    }
}

pub(super) fn column_name(c: &mut Checker<'_>, e: &Expr) -> Option<String> {
    if let ExprKind::Name(name) = &e.kind {
        return Some(name.clone());
    }
    let message = match &e.kind {
        ExprKind::Text(name) => format!("a column is written without quotes: {name}"),
        _ => "expected the name of a column".to_owned(),
    };
    c.type_error(e.span, message);
    None
}

pub(super) fn wrap(fields: Fields, is_table: bool) -> Type {
    if is_table { Type::Table(fields) } else { Type::Record(fields) }
}

pub(super) fn check_add_columns(c: &mut Checker<'_>, args: &[Expr], span: Span) -> Typed {
    let Some((node, fields, is_table, alias)) = shape(c, &args[0]) else { return Typed::error() };
    if fields == enums::error_record() {
        c.type_error(args[0].span, "columns cannot be added to an error; take some with ShowColumns first");
    }
    if args.len().is_multiple_of(2) {
        return c.type_error(span, "each new column needs a name and an expression");
    }
    let row = Type::Record(fields.clone());
    let mut all: Vec<(Arc<str>, Type)> = fields.iter().map(|(n, t)| (n.clone(), t.clone())).collect();
    let mut nodes = vec![node];
    for pair in args[1..].chunks(2) {
        let typed = c.lambda(&row, &alias, &pair[1]);
        let Some(name) = column_name(c, &pair[0]) else { continue };
        if all.iter().any(|(n, _)| **n == *name) {
            c.type_error(pair[0].span, format!("there is a column `{name}` already"));
        }
        if typed.ty == Type::Void {
            c.type_error(pair[1].span, "this has no value");
        }
        all.push((name.as_str().into(), typed.ty));
        nodes.push(Node::text(&name));
        nodes.push(typed.node);
    }
    Typed::new(Node::Lazy(add_columns, nodes), wrap(Fields::new(all), is_table))
}

/// Applies a change to the record, or to each record of the table.
pub(super) fn each_row<'a>(
    env: &mut Env<'a>,
    value: Value<'a>,
    mut change: impl FnMut(&mut Env<'a>, &Value<'a>, &Record<'a>) -> Value<'a>,
) -> Value<'a> {
    match &value {
        Value::Record(record) => change(env, &value, record),
        Value::Table(table) => {
            let mut out = Vec::with_capacity(table.rows.len());
            for row in &table.rows {
                if let Err(error) = env.step() {
                    return error;
                }
                out.push(match row {
                    Value::Record(record) => change(env, row, record),
                    other => other.clone(),
                });
            }
            env.table(out)
        }
        _ => value,
    }
}

pub(super) fn add_columns<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let value = eval(&nodes[0], env);
    each_row(env, value, |env, row, record| {
        let mut fields: Vec<(Arc<str>, Value<'a>)> = record.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        for pair in nodes[1..].chunks(2) {
            let added = env.with_row(row.clone(), &pair[1]);
            if let Some(Value::Text(name)) = pair[0].constant() {
                fields.push((Arc::from(&**name), added));
            }
        }
        if let Err(error) = env.take(64 * fields.len()) {
            return error;
        }
        Value::Record(Arc::new(Record::new(fields)))
    })
}

pub(super) fn check_columns(c: &mut Checker<'_>, args: &[Expr], show: bool) -> Typed {
    let Some((node, fields, is_table, _)) = shape(c, &args[0]) else { return Typed::error() };
    let mut named = Vec::new();
    for arg in &args[1..] {
        let Some(name) = column_name(c, arg) else { continue };
        if fields.get(&name).is_none() {
            let help = crate::check::nearest(&name, fields.iter().map(|(n, _)| &**n)).unwrap_or_default();
            c.type_error(arg.span, format!("there is no column `{name}` here {help}").trim_end().to_owned());
        }
        named.push(name);
    }
    let keep: Vec<(Arc<str>, Type)> = fields
        .iter()
        .filter(|(n, _)| named.iter().any(|k| **k == ***n) == show)
        .map(|(n, t)| (n.clone(), t.clone()))
        .collect();
    let mut nodes = vec![node];
    nodes.extend(keep.iter().map(|(n, _)| Node::text(n)));
    Typed::new(Node::Lazy(keep_columns, nodes), wrap(Fields::new(keep), is_table))
}

pub(super) fn keep_columns<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let value = eval(&nodes[0], env);
    each_row(env, value, |_, _, record| {
        let kept = |name: &str| nodes[1..].iter().any(|n| n.constant().and_then(Value::as_str) == Some(name));
        let fields = record.iter().filter(|(n, _)| kept(n)).map(|(n, v)| (n.clone(), v.clone()));
        Value::Record(Arc::new(Record::new(fields)))
    })
}

pub(super) fn check_rename(c: &mut Checker<'_>, args: &[Expr], span: Span) -> Typed {
    let Some((node, fields, is_table, _)) = shape(c, &args[0]) else { return Typed::error() };
    if fields == enums::error_record() {
        c.type_error(args[0].span, "the columns of an error cannot be renamed; take some with ShowColumns first");
    }
    if args.len().is_multiple_of(2) {
        return c.type_error(span, "each column needs its old and its new name");
    }
    let mut nodes = vec![node];
    let mut all: Vec<(Arc<str>, Type)> = fields.iter().map(|(n, t)| (n.clone(), t.clone())).collect();
    for pair in args[1..].chunks(2) {
        let (Some(old), Some(new)) = (column_name(c, &pair[0]), column_name(c, &pair[1])) else { continue };
        match fields.get(&old) {
            Some(_) if all.iter().any(|(n, _)| **n == *new) => {
                c.type_error(pair[1].span, format!("there is a column `{new}` already"));
            }
            Some(ty) => {
                all.retain(|(n, _)| **n != *old);
                all.push((new.as_str().into(), ty.clone()));
            }
            None => {
                c.type_error(pair[0].span, format!("there is no column `{old}` here"));
            }
        }
        nodes.push(Node::text(&old));
        nodes.push(Node::text(&new));
    }
    Typed::new(Node::Lazy(rename_columns, nodes), wrap(Fields::new(all), is_table))
}

pub(super) fn rename_columns<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let value = eval(&nodes[0], env);
    each_row(env, value, |_, _, record| {
        let fields = record.iter().map(|(name, value)| {
            let renamed = nodes[1..].chunks(2).find(|pair| pair[0].constant().and_then(Value::as_str) == Some(&**name));
            let name = match renamed.and_then(|pair| pair[1].constant()).and_then(Value::as_str) {
                Some(new) => Arc::from(new),
                None => name.clone(),
            };
            (name, value.clone())
        });
        Value::Record(Arc::new(Record::new(fields)))
    })
}
