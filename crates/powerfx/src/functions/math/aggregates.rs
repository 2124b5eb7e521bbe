//! Sums and their like, over values and over the rows of a table.

use super::arithmetic;
use super::{as_float, div0, float};
use crate::ast::Expr;
use crate::check::{Checker, Typed, aliased};
use crate::coerce::{to_float as coerce_float, to_number};
use crate::error::Span;
use crate::eval::{Env, eval, join_errors, rows};
use crate::node::{Arithmetic, Node};
use crate::types::Type;
use crate::value::Value;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
    Deviation,
    Variance,
}

/// Numbers beside each other, or an expression over the rows of a table.
pub(super) fn check_aggregate(c: &mut Checker<'_>, args: &[Expr], span: Span, which: Aggregate) -> Typed {
    let (inner, alias) = aliased(&args[0]);
    let first = c.expr(inner);
    let table_form = match first.ty {
        Type::Table(_) => true,
        Type::Untyped => args.len() == 2,
        _ => alias.is_some(),
    };
    let mut nodes = Vec::new();
    let mut types = Vec::new();
    let spans: Vec<Span>;
    if table_form {
        if args.len() != 2 {
            return c.type_error(span, "over a table, give one expression for its rows");
        }
        let Some(table) = c.table_of(first, inner.span, alias) else { return Typed::error() };
        let body = c.lambda(&table.row, &table.alias, &args[1]);
        spans = vec![args[1].span];
        types.push(body.ty);
        nodes = vec![table.node, body.node];
    } else {
        spans = args.iter().map(|a| a.span).collect();
        let rest: Vec<Typed> = args[1..].iter().map(|arg| c.expr(arg)).collect();
        for typed in std::iter::once(first).chain(rest) {
            types.push(typed.ty);
            nodes.push(typed.node);
        }
    }
    let ordered = matches!(which, Aggregate::Min | Aggregate::Max);
    let ty = if ordered && types.iter().any(Type::is_dateish) && types.iter().all(|t| t.is_dateish() || t.is_any()) {
        let first = types.iter().find(|t| t.is_dateish()).cloned().unwrap_or(Type::DateTime);
        if types.iter().all(|t| *t == first || t.is_any()) { first } else { Type::DateTime }
    } else if matches!(which, Aggregate::Deviation | Aggregate::Variance) || types.contains(&Type::Float) {
        Type::Float
    } else if ordered && types.contains(&Type::Unknown) {
        Type::Unknown
    } else {
        Type::Number
    };
    let skip = usize::from(table_form);
    let mut fitted = Vec::new();
    for (i, node) in nodes.into_iter().enumerate() {
        if i < skip {
            fitted.push(node);
        } else {
            let typed = Typed::new(node, types[i - skip].clone());
            fitted.push(if ty.is_dateish() { typed.node } else { c.fit(typed, &ty, spans[i - skip]) });
        }
    }
    let run: crate::node::Lazy = match (which, table_form) {
        (Aggregate::Sum, false) => |e, n| over_values(e, n, Aggregate::Sum),
        (Aggregate::Average, false) => |e, n| over_values(e, n, Aggregate::Average),
        (Aggregate::Min, false) => |e, n| over_values(e, n, Aggregate::Min),
        (Aggregate::Max, false) => |e, n| over_values(e, n, Aggregate::Max),
        (Aggregate::Deviation, false) => |e, n| over_values(e, n, Aggregate::Deviation),
        (Aggregate::Variance, false) => |e, n| over_values(e, n, Aggregate::Variance),
        (Aggregate::Sum, true) => |e, n| over_rows_of(e, n, Aggregate::Sum),
        (Aggregate::Average, true) => |e, n| over_rows_of(e, n, Aggregate::Average),
        (Aggregate::Min, true) => |e, n| over_rows_of(e, n, Aggregate::Min),
        (Aggregate::Max, true) => |e, n| over_rows_of(e, n, Aggregate::Max),
        (Aggregate::Deviation, true) => |e, n| over_rows_of(e, n, Aggregate::Deviation),
        (Aggregate::Variance, true) => |e, n| over_rows_of(e, n, Aggregate::Variance),
    };
    Typed::new(Node::Lazy(run, fitted), ty)
}

pub(super) fn over_values<'a>(env: &mut Env<'a>, nodes: &'a [Node], which: Aggregate) -> Value<'a> {
    let values: Vec<Value<'a>> = nodes.iter().map(|n| eval(n, env)).collect();
    if values.iter().any(Value::is_error) {
        return join_errors(values.iter());
    }
    aggregate(env, values, which)
}

pub(super) fn over_rows_of<'a>(env: &mut Env<'a>, nodes: &'a [Node], which: Aggregate) -> Value<'a> {
    let table = match rows(env, &nodes[0]) {
        Ok(table) => table,
        Err(Value::Blank) => return aggregate(env, Vec::new(), which),
        Err(error) => return error,
    };
    let mut values = Vec::with_capacity(table.rows.len());
    for row in &table.rows {
        if let Err(error) = env.step() {
            return error;
        }
        let value = env.with_row(row.clone(), &nodes[1]);
        if value.is_error() {
            return value;
        }
        values.push(value);
    }
    aggregate(env, values, which)
}

pub(super) fn aggregate<'a>(env: &Env<'a>, values: Vec<Value<'a>>, which: Aggregate) -> Value<'a> {
    let dated = values.iter().any(|v| matches!(v, Value::Date(_) | Value::DateTime(_) | Value::Time(_)));
    let values: Vec<Value<'a>> = values
        .into_iter()
        .filter(|v| !v.is_blank())
        // A column of unknown type may hold a number as text.
        .map(|v| if matches!(v, Value::Text(_)) && !dated { to_number(&v) } else { v })
        .collect();
    if values.iter().any(Value::is_error) {
        return join_errors(values.iter());
    }
    let Some(first) = values.first() else {
        return match which {
            Aggregate::Average | Aggregate::Deviation | Aggregate::Variance => div0(),
            _ => Value::Blank,
        };
    };
    match which {
        Aggregate::Min | Aggregate::Max => {
            let mut best = first;
            for value in &values[1..] {
                match crate::coerce::compare(value, best, &env.context.zone) {
                    Ok(order)
                        if (order.is_lt() && which == Aggregate::Min) || (order.is_gt() && which == Aggregate::Max) =>
                    {
                        best = value;
                    }
                    Ok(_) => {}
                    Err(error) => return error,
                }
            }
            best.clone()
        }
        Aggregate::Sum | Aggregate::Average => {
            let count = values.len();
            let sum = values.into_iter().reduce(|a, b| match (&a, &b) {
                (Value::Error(_), _) => a,
                _ => arithmetic(Arithmetic::Add, a, b),
            });
            match sum {
                Some(sum) if which == Aggregate::Average && !sum.is_error() => {
                    arithmetic(Arithmetic::Divide, sum, Value::number(count as u64))
                }
                Some(sum) => sum,
                None => Value::Blank,
            }
        }
        Aggregate::Deviation | Aggregate::Variance => {
            let floats: Vec<f64> = values.iter().map(|v| as_float(&coerce_float(v))).collect();
            let count = floats.len() as f64;
            let mean = floats.iter().sum::<f64>() / count;
            let variance = floats.iter().map(|f| (f - mean) * (f - mean)).sum::<f64>() / count;
            float(if which == Aggregate::Variance { variance } else { variance.sqrt() })
        }
    }
}
