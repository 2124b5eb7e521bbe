//! Rows in an order; blanks come last whatever the direction.

use super::table_type;
use crate::ast::{Expr, ExprKind};
use crate::check::{Checker, Typed};
use crate::coerce::{compare, text_order};
use crate::enums;
use crate::error::Span;
use crate::eval::{Env, eval, rows};
use crate::functions::text::text_of;
use crate::node::Node;
use crate::types::Type;
use crate::value::Value;
use jiff::tz::TimeZone;
use std::cmp::Ordering;

pub(super) fn check_sort(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let Some(table) = c.table(&args[0]) else { return Typed::error() };
    let body = c.lambda(&table.row, &table.alias, &args[1]);
    if matches!(body.ty, Type::Record(_) | Type::Table(_) | Type::Untyped | Type::Void) {
        c.type_error(args[1].span, format!("rows cannot be put in the order of a {}", body.ty));
    }
    let ty = table_type(&table.row);
    let mut nodes = vec![table.node, body.node];
    if let Some(order) = args.get(2) {
        nodes.push(c.expr_as(order, &enums::ty("SortOrder")));
    }
    Typed::new(Node::Lazy(sort, nodes), ty)
}

pub(super) fn descending(order: Option<&Value<'_>>) -> Result<bool, ()> {
    match order {
        None | Some(Value::Blank) => Ok(false),
        Some(Value::Text(t)) if t.eq_ignore_ascii_case("ascending") => Ok(false),
        Some(Value::Text(t)) if t.eq_ignore_ascii_case("descending") => Ok(true),
        Some(_) => Err(()),
    }
}

pub(super) fn sort<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let table = match rows(env, &nodes[0]) {
        Ok(table) => table,
        Err(other) => return other,
    };
    let order = nodes.get(2).map(|n| eval(n, env));
    if let Some(error @ Value::Error(_)) = order {
        return error;
    }
    let Ok(down) = descending(order.as_ref()) else {
        return Value::invalid("the order is SortOrder.Ascending or SortOrder.Descending");
    };
    let mut keyed = Vec::with_capacity(table.rows.len());
    for row in &table.rows {
        if let Err(error) = env.step() {
            return error;
        }
        let value = env.with_row(row.clone(), &nodes[1]);
        if value.is_error() {
            return value;
        }
        keyed.push((value, row.clone()));
    }
    let zone = &env.context.zone;
    keyed.sort_by(|(a, _), (b, _)| in_order(a, b, down, zone));
    env.table(keyed.into_iter().map(|(_, row)| row).collect())
}

/// Blanks come last whatever the direction.
pub(super) fn in_order(a: &Value<'_>, b: &Value<'_>, down: bool, zone: &TimeZone) -> Ordering {
    let ordering = match (a, b) {
        (Value::Blank, Value::Blank) => return Ordering::Equal,
        (Value::Blank, _) => return Ordering::Greater,
        (_, Value::Blank) => return Ordering::Less,
        (Value::Text(a), Value::Text(b)) => text_order(a, b),
        // True stands before false.
        (Value::Boolean(a), Value::Boolean(b)) => b.cmp(a),
        (Value::Guid(a), Value::Guid(b)) => a.cmp(b),
        _ => compare(a, b, zone).unwrap_or(Ordering::Equal),
    };
    if down { ordering.reverse() } else { ordering }
}

pub(super) fn check_sort_by_columns(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let Some(table) = c.table(&args[0]) else { return Typed::error() };
    let ty = table_type(&table.row);
    let mut nodes = vec![table.node];
    for (i, arg) in args[1..].iter().enumerate() {
        if i % 2 == 1 {
            let order = c.expr(arg);
            if i == 1 && args.len() == 3 && matches!(order.ty, Type::Table(_)) {
                nodes.push(order.node);
            } else {
                nodes.push(c.fit(order, &enums::ty("SortOrder"), arg.span));
            }
            continue;
        }
        let name = match &arg.kind {
            ExprKind::Text(name) | ExprKind::Name(name) => name.clone(),
            _ => {
                c.type_error(arg.span, "expected the name of a column");
                continue;
            }
        };
        if let Type::Record(fields) = &table.row
            && fields.get(&name).is_none_or(|t| matches!(t, Type::Record(_) | Type::Table(_)))
        {
            c.type_error(arg.span, format!("the table has no column `{name}` to sort by"));
        }
        nodes.push(Node::text(&name));
    }
    Typed::new(Node::Lazy(sort_by_columns, nodes), ty)
}

pub(super) fn sort_by_columns<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let table = match rows(env, &nodes[0]) {
        Ok(table) => table,
        Err(other) => return other,
    };
    enum Rule<'a> {
        Direction(bool),
        Among(Vec<Value<'a>>),
    }
    let mut rules = Vec::new();
    for pair in nodes[1..].chunks(2) {
        let name = eval(&pair[0], env);
        let rule = match pair.get(1).map(|n| eval(n, env)) {
            Some(error @ Value::Error(_)) => return error,
            Some(Value::Table(order)) => Rule::Among(
                order
                    .rows
                    .iter()
                    .filter_map(|r| if let Value::Record(r) = r { r.values.first().cloned() } else { None })
                    .collect(),
            ),
            order => match descending(order.as_ref()) {
                Ok(down) => Rule::Direction(down),
                Err(()) => return Value::invalid("the order is SortOrder.Ascending or SortOrder.Descending"),
            },
        };
        rules.push((text_of(&name).to_owned(), rule));
    }
    for row in &table.rows {
        if row.is_error() {
            return row.clone();
        }
        for (name, _) in &rules {
            let value = crate::eval::field(row, name);
            if value.is_error() {
                return value;
            }
        }
    }
    if let Err(error) = env.table_room(table.rows.len()) {
        return error;
    }
    let zone = &env.context.zone;
    let mut out = table.rows.clone();
    out.sort_by(|a, b| {
        for (name, rule) in &rules {
            let (a, b) = (crate::eval::field(a, name), crate::eval::field(b, name));
            let ordering = match rule {
                Rule::Direction(down) => in_order(&a, &b, *down, zone),
                Rule::Among(values) => {
                    let place = |v: &Value<'_>| values.iter().position(|o| o == v).unwrap_or(usize::MAX);
                    place(&a).cmp(&place(&b))
                }
            };
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        Ordering::Equal
    });
    if let Some((name, Rule::Among(values))) = rules.first() {
        out.retain(|row| values.contains(&crate::eval::field(row, name)));
    }
    Value::table(out)
}
