//! Conditions, blanks and errors.

use super::{ANY, Function};
use crate::ast::Expr;
use crate::check::{Checker, Typed, aliased, convert};
use crate::enums;
use crate::error::{ErrorInfo, ErrorKind, ErrorValue, Span};
use crate::eval::{Env, eval};
use crate::node::{Node, Switch};
use crate::types::{Type, coerces};
use crate::value::{Record, Table, Value};
use rust_decimal::prelude::ToPrimitive;
use std::sync::Arc;

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::special("If", 2, ANY, check_if).doc(
        "If(condition, then, [condition, then, …], [else])",
        "Gives the result of the first condition that is true, else the last argument or a blank. Only the branch that is taken is evaluated.",
        &[("If(1 < 2, \"less\", \"more\")", "\"less\""), ("If(false, 1)", "Blank()"), ("If(false, 1, true, 2, 3)", "2")],
    ),
    Function::special("Switch", 3, ANY, check_switch).doc(
        "Switch(value, match, result, [match, result, …], [default])",
        "Gives the result beside the first match that equals the value, else the default or a blank.",
        &[("Switch(\"30\", \"30\", \"net30\", \"60\", \"net60\", \"prepaid\")", "\"net30\""), ("Switch(3, 1, \"a\")", "Blank()")],
    ),
    Function::special("Coalesce", 1, ANY, check_coalesce).doc(
        "Coalesce(value, [value, …])",
        "Gives the first value that is neither blank nor an empty text.",
        &[("Coalesce(Blank(), \"\", \"x\")", "\"x\"")],
    ),
    Function::special("IfError", 2, ANY, check_if_error).doc(
        "IfError(value, fallback, [value, fallback, …], [default])",
        "Gives the fallback beside the first value that is an error, else the default or the last value. A fallback may read FirstError and AllErrors, each with Kind and Message.",
        &[("IfError(1/0, 7)", "7"), ("IfError(1/0, Value(FirstError.Kind))", "13")],
    ),
    Function::special("IsError", 1, 1, |c, args, _| check_test(c, args, is_error)).doc(
        "IsError(value)",
        "Whether the value is an error.",
        &[("IsError(1/0)", "true")],
    ),
    Function::special("IsBlank", 1, 1, |c, args, _| check_test(c, args, is_blank)).doc(
        "IsBlank(value)",
        "Whether the value is blank or an empty text. An error stays an error.",
        &[("IsBlank(\"\")", "true"), ("IsBlank(0)", "false")],
    ),
    Function::special("IsBlankOrError", 1, 1, |c, args, _| check_test(c, args, is_blank_or_error)).doc(
        "IsBlankOrError(value)",
        "Whether the value is blank, an empty text or an error.",
        &[("IsBlankOrError(1/0)", "true")],
    ),
    Function::special("Error", 1, 1, check_error).doc(
        "Error(record or text)",
        "Makes an error value, of the given Kind and Message, or of kind Custom with the text as its message.",
        &[("IfError(Error({Kind: ErrorKind.Validation}), Value(FirstError.Kind))", "11")],
    ),
    Function::special("And", 1, ANY, |c, args, _| {
        Typed::new(Node::And(c.all_as(args, &Type::Boolean)), Type::Boolean)
    })
    .doc(
        "And(condition, …)",
        "Whether all conditions are true; stops at the first that is not. The same as && and the word And.",
        &[("And(true, 1 < 2)", "true"), ("true And false", "false")],
    ),
    Function::special("Or", 1, ANY, |c, args, _| Typed::new(Node::Or(c.all_as(args, &Type::Boolean)), Type::Boolean)).doc(
        "Or(condition, …)",
        "Whether any condition is true; stops at the first that is. The same as || and the word Or.",
        &[("Or(false, true)", "true")],
    ),
    Function::special("Not", 1, 1, |c, args, _| {
        Typed::new(Node::Not(Box::new(c.expr_as(&args[0], &Type::Boolean))), Type::Boolean)
    })
    .doc(
        "Not(condition)",
        "The opposite. The same as ! and the word Not.",
        &[("Not(true)", "false"), ("Not(Blank())", "true")],
    ),
    Function::special("Blank", 0, 0, |_, _, _| Typed::new(Node::blank(), Type::Blank)).doc(
        "Blank()",
        "The value that is none.",
        &[("Blank()", "Blank()"), ("Blank() + 5", "5")],
    ),
    Function::special("With", 2, 2, check_with).doc(
        "With(record, expression)",
        "Evaluates the expression with the record's fields as names.",
        &[("With({x: 3, y: 4}, x * y)", "12"), ("With({x: 5} As outer, outer.x + 1)", "6")],
    ),
];

/// Runs all and gives the last.
pub(crate) fn chain<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let mut last = Value::Blank;
    for node in nodes {
        last = eval(node, env);
    }
    last
}

fn check_if(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let mut conditions = Vec::new();
    let mut results = Vec::new();
    let mut args = args.iter();
    while let Some(first) = args.next() {
        match args.next() {
            Some(then) => {
                conditions.push(c.expr_as(first, &Type::Boolean));
                results.push((c.expr(then), then.span));
            }
            None => results.push((c.expr(first), first.span)),
        }
    }
    let (mut nodes, ty) = c.agree(results);
    let otherwise = if nodes.len() > conditions.len() { nodes.pop() } else { None };
    let branches = conditions.into_iter().zip(nodes).collect();
    Typed::new(Node::If(branches, Box::new(otherwise.unwrap_or_else(Node::blank))), ty)
}

fn check_switch(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let subject = c.expr(&args[0]);
    let mut matches = Vec::new();
    let mut results = Vec::new();
    let mut rest = args[1..].iter();
    while let Some(first) = rest.next() {
        match rest.next() {
            Some(result) => {
                let case = c.expr(first);
                let fits = c.comparable(&subject, &case, first.span);
                let untyped = case.ty == Type::Untyped && fits;
                matches.push(if untyped { convert(case, &subject.ty) } else { case.node });
                results.push((c.expr(result), result.span));
            }
            None => results.push((c.expr(first), first.span)),
        }
    }
    let (mut nodes, ty) = c.agree(results);
    let default = if nodes.len() > matches.len() { nodes.pop() } else { None }.unwrap_or_else(Node::blank);
    let cases = matches.into_iter().zip(nodes).collect();
    Typed::new(Node::Switch(Box::new(Switch { subject: subject.node, cases, default })), ty)
}

fn check_coalesce(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let values = args.iter().map(|e| (c.expr(e), e.span)).collect();
    let (nodes, ty) = c.agree(values);
    Typed::new(Node::Lazy(coalesce, nodes), ty)
}

fn coalesce<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    for node in nodes {
        let value = eval(node, env);
        if !blank(&value) {
            return value;
        }
    }
    Value::Blank
}

fn blank(value: &Value<'_>) -> bool {
    match value {
        Value::Text(t) => t.is_empty(),
        Value::Untyped(json) => match &**json {
            crate::json::Json::Text(t) => t.is_empty(),
            crate::json::Json::Null => true,
            _ => false,
        },
        other => other.is_blank(),
    }
}

/// What can be the result: every fallback, and the default or, without one, the last value. The last decides the type.
fn check_if_error(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let last = if args.len().is_multiple_of(2) { args.len() - 2 } else { args.len() - 1 };
    let mut nodes: Vec<Option<Node>> = Vec::new();
    let mut results = Vec::new();
    let mut order = Vec::new();
    for (i, arg) in args.iter().enumerate() {
        let typed = if i % 2 == 1 { c.fallback(arg) } else { c.expr(arg) };
        if typed.ty == Type::Void {
            c.type_error(arg.span, "this has no value");
        }
        if i == last {
            results.insert(0, (typed, arg.span));
            order.insert(0, i);
            nodes.push(None);
        } else if i % 2 == 1 {
            results.push((typed, arg.span));
            order.push(i);
            nodes.push(None);
        } else {
            nodes.push(Some(typed.node));
        }
    }
    let (fitted, ty) = c.agree(results);
    for (node, i) in fitted.into_iter().zip(order) {
        nodes[i] = Some(node);
    }
    Typed::new(Node::Lazy(if_error, nodes.into_iter().flatten().collect()), ty)
}

fn if_error<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let mut last = Value::Blank;
    for pair in nodes.chunks(2) {
        last = eval(&pair[0], env);
        if let (Value::Error(error), Some(fallback)) = (&last, pair.get(1)) {
            return env.with_row(error_frame(error), fallback);
        }
    }
    last
}

fn error_frame<'a>(error: &ErrorValue) -> Value<'a> {
    let rows: Vec<Value<'a>> = error.errors.iter().map(error_row).collect();
    let first = rows.first().cloned().unwrap_or_default();
    Value::Record(Arc::new(Record::new([
        (Arc::from("FirstError"), first),
        (Arc::from("AllErrors"), Value::Table(Arc::new(Table { rows }))),
    ])))
}

fn error_row<'a>(info: &ErrorInfo) -> Value<'a> {
    Value::Record(Arc::new(Record::new([
        (Arc::from("Kind"), Value::number(info.kind.0)),
        (Arc::from("Message"), Value::owned(info.message.to_string())),
        (Arc::from("Source"), Value::text("")),
        (Arc::from("Observed"), Value::text("")),
        (Arc::from("Details"), Value::Blank),
    ])))
}

fn check_test(c: &mut Checker<'_>, args: &[Expr], test: crate::node::Lazy) -> Typed {
    let value = c.expr(&args[0]);
    if value.ty == Type::Void {
        c.type_error(args[0].span, "this has no value");
    }
    Typed::new(Node::Lazy(test, vec![value.node]), Type::Boolean)
}

fn is_error<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    Value::Boolean(eval(&nodes[0], env).is_error())
}

fn is_blank<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    match eval(&nodes[0], env) {
        error @ Value::Error(_) => error,
        value => Value::Boolean(blank(&value)),
    }
}

fn is_blank_or_error<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let value = eval(&nodes[0], env);
    Value::Boolean(value.is_error() || blank(&value))
}

fn check_error(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let value = c.expr(&args[0]);
    let known = |fields: &crate::types::Fields| {
        let kind = fields.get("Kind").is_some_and(|ty| coerces(ty, &Type::Number) && *ty != Type::Text);
        kind && fields.iter().all(|(n, _)| enums::error_record().get(n).is_some())
    };
    let fine = match &value.ty {
        Type::Record(fields) | Type::Table(fields) => known(fields),
        ty => ty.is_any() || *ty == Type::Text,
    };
    if !fine {
        let message = format!("expected a text, or a record with Kind and Message, found {}", value.ty);
        return c.type_error(args[0].span, message);
    }
    Typed::new(Node::Strict(error, vec![value.node]), Type::Blank)
}

fn error<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let mut errors = Vec::new();
    match &args[0] {
        Value::Table(table) => {
            for row in &table.rows {
                match row {
                    Value::Record(record) => errors.push(info(record)),
                    Value::Error(e) => errors.extend(e.errors.iter().cloned()),
                    _ => {}
                }
            }
        }
        Value::Record(record) => errors.push(info(record)),
        Value::Text(t) => errors.push(ErrorInfo { kind: ErrorKind::CUSTOM, message: (**t).into() }),
        _ => {}
    }
    if errors.is_empty() {
        return Value::Blank;
    }
    Value::Error(Arc::new(ErrorValue { errors }))
}

fn info(record: &Record<'_>) -> ErrorInfo {
    let kind = match record.get("Kind") {
        Some(Value::Number(n)) => n.to_i64().map_or(ErrorKind::UNKNOWN, ErrorKind),
        _ => ErrorKind::CUSTOM,
    };
    let message = record.get("Message").and_then(Value::as_str).unwrap_or_default();
    ErrorInfo { kind, message: message.into() }
}

fn check_with(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let (inner, alias) = aliased(&args[0]);
    let record = c.expr(inner);
    let row = match &record.ty {
        Type::Record(_) | Type::Untyped | Type::Unknown => record.ty.clone(),
        Type::Blank | Type::Error => Type::Unknown,
        other => {
            c.type_error(inner.span, format!("expected a record, found {other}"));
            Type::Unknown
        }
    };
    let row = if record.ty == Type::Blank { Type::Record(Default::default()) } else { row };
    let body = c.lambda(&row, &alias, &args[1]);
    Typed::new(Node::Lazy(with, vec![record.node, body.node]), body.ty)
}

fn with<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let record = eval(&nodes[0], env);
    if record.is_error() {
        return record;
    }
    env.with_row(record, &nodes[1])
}
