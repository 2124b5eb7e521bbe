//! Tables and records. A blank table counts as having no rows; a table that is an error gives the error.

use super::text::whole;
use super::{ANY, Function};
use crate::ast::{Expr, ExprKind};
use crate::check::{Checker, TableArg, Typed, aliased, convert};
use crate::coerce::{compare, text_order};
use crate::enums;
use crate::error::Span;
use crate::eval::{Env, eval, join_errors, rows, rows_of, value_row};
use crate::json::Json;
use crate::node::{Lazy, Node};
use crate::types::{Fields, Type, union};
use crate::value::{Record, Reference, Value};
use jiff::tz::TimeZone;
use std::cmp::Ordering;
use std::sync::Arc;

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::special("Table", 0, ANY, check_table).doc(
        "Table(record or table, …)",
        "One table of all the rows; columns that some of them lack are blank there.",
        &[("Table({a: 1}, {b: 2})", "Table({a:1,b:Blank()},{a:Blank(),b:2})"), ("Table([1], [2])", "Table({Value:1},{Value:2})")],
    ),
    Function::special("First", 1, 1, |c, a, _| check_row(c, a, first)).doc(
        "First(table)",
        "The first row, or a blank.",
        &[("First([3, 4]).Value", "3")],
    ),
    Function::special("Last", 1, 1, |c, a, _| check_row(c, a, last)).doc(
        "Last(table)",
        "The last row, or a blank.",
        &[("Last([3, 4]).Value", "4")],
    ),
    Function::special("FirstN", 2, 2, |c, a, _| check_part(c, a, first_n)).doc(
        "FirstN(table, count)",
        "The first rows.",
        &[("FirstN([1, 2, 3], 2)", "Table({Value:1},{Value:2})")],
    ),
    Function::special("LastN", 2, 2, |c, a, _| check_part(c, a, last_n)).doc(
        "LastN(table, count)",
        "The last rows.",
        &[("LastN([1, 2, 3], 2)", "Table({Value:2},{Value:3})")],
    ),
    Function::special("Index", 2, 2, |c, a, _| check_row(c, a, index)).doc(
        "Index(table, position)",
        "The row at a position from 1; an error where there is none.",
        &[("Index([5, 6], 2).Value", "6")],
    ),
    Function::special("Filter", 2, ANY, check_filter).doc(
        "Filter(table, condition, …)",
        "The rows for which all conditions are true. A row whose condition is an error becomes that error.",
        &[("Filter([1, 2, 3], Value > 1)", "Table({Value:2},{Value:3})"), ("Filter([1, 2] As n, n.Value = 1)", "Table({Value:1})")],
    ),
    Function::special("LookUp", 2, 3, check_look_up).doc(
        "LookUp(table, condition, [result])",
        "The first row for which the condition is true, or an expression over it; else a blank.",
        &[("LookUp([1, 2, 3], Value > 1, Value * 10)", "20"), ("LookUp([1], Value > 1)", "Blank()")],
    ),
    Function::special("ForAll", 2, 2, check_for_all).doc(
        "ForAll(table, expression)",
        "The expression's value for each row: records as rows, other values in the column Value. Errors are gathered.",
        &[("ForAll([1, 2], Value * 2)", "Table({Value:2},{Value:4})"), ("ForAll([1], {n: Value})", "Table({n:1})")],
    ),
    Function::special("Sort", 2, 3, check_sort).doc(
        "Sort(table, expression, [order])",
        "The rows in the order of an expression; blanks come last.",
        &[("Sort([2, 1, 3], Value, SortOrder.Descending)", "Table({Value:3},{Value:2},{Value:1})")],
    ).differs("Texts are in the order of their letters with capitals and small letters alike, not in that of a language."),
    Function::special("SortByColumns", 2, ANY, check_sort_by_columns).doc(
        "SortByColumns(table, column, [order], [column, order, …])",
        "The rows in the order of columns.",
        &[("SortByColumns([2, 1], Value)", "Table({Value:1},{Value:2})")],
    ),
    Function::special("Distinct", 2, 2, check_distinct).doc(
        "Distinct(table, expression)",
        "Each value of the expression once, in the column Value, in the order of their first rows.",
        &[("Distinct([1, 2, 1], Value)", "Table({Value:1},{Value:2})")],
    ),
    Function::special("AddColumns", 3, ANY, check_add_columns).doc(
        "AddColumns(table or record, name, expression, …)",
        "With columns that are computed from the others.",
        &[("AddColumns([1, 2], Twice, Value * 2)", "Table({Twice:2,Value:1},{Twice:4,Value:2})")],
    ),
    Function::special("DropColumns", 2, ANY, |c, a, _| check_columns(c, a, false)).doc(
        "DropColumns(table or record, name, …)",
        "Without these columns.",
        &[("DropColumns({a: 1, b: 2}, a)", "{b:2}")],
    ),
    Function::special("ShowColumns", 2, ANY, |c, a, _| check_columns(c, a, true)).doc(
        "ShowColumns(table or record, name, …)",
        "With these columns only.",
        &[("ShowColumns({a: 1, b: 2}, a)", "{a:1}")],
    ),
    Function::special("RenameColumns", 3, ANY, check_rename).doc(
        "RenameColumns(table or record, old name, new name, …)",
        "With columns under other names.",
        &[("RenameColumns({a: 1}, a, b)", "{b:1}")],
    ),
    Function::special("CountRows", 1, 1, |c, a, _| check_count(c, a, count_rows, |_| true)).doc(
        "CountRows(table)",
        "How many rows there are.",
        &[("CountRows([1, 2])", "2")],
    ),
    Function::special("Count", 1, 1, |c, a, _| {
        check_count(c, a, count, |t| matches!(t, Type::Number | Type::Float | Type::Date | Type::DateTime | Type::Time | Type::Untyped) || t.is_any())
    })
    .doc("Count(table)", "How many numbers the one column holds.", &[("Count([1, Blank(), 3])", "2")]),
    Function::special("CountA", 1, 1, |c, a, _| check_count(c, a, count_a, |_| true)).doc(
        "CountA(table)",
        "How many values of the one column are not blank.",
        &[("CountA([\"a\", Blank()])", "1")],
    ),
    Function::special("CountIf", 2, ANY, check_count_if).doc(
        "CountIf(table, condition, …)",
        "For how many rows all conditions are true.",
        &[("CountIf([1, 2, 3], Value > 1)", "2")],
    ),
    Function::special("IsEmpty", 1, 1, |c, a, _| {
        let typed = check_count(c, a, is_empty, |_| true);
        Typed::new(typed.node, Type::Boolean)
    })
    .doc("IsEmpty(table)", "Whether there are no rows.", &[("IsEmpty([])", "true")]),
    Function::special("Row", 2, 2, check_reference).doc(
        "Row(table, record)",
        "A reference to a row that is no entity of the project, named by columns that are unique together. Ours: Power Apps has LookUp for it.",
        &[("Row(\"team\", {name: \"Sales UK\"})", "Row(\"team\",{name:\"Sales UK\"})")],
    ),
];

// Rows of a table

fn table_type(row: &Type) -> Type {
    match row {
        Type::Record(fields) => Type::Table(fields.clone()),
        other => other.clone(),
    }
}

fn check_table(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let args: Vec<(Typed, Span)> = args.iter().map(|e| (c.expr(e), e.span)).collect();
    if let [(Typed { ty: Type::Untyped, .. }, _)] = args.as_slice() {
        let nodes = args.into_iter().map(|(t, _)| t.node).collect();
        return Typed::new(Node::Lazy(table_of_json, nodes), Type::list(Type::Untyped));
    }
    let mut all = Type::Record(Fields::default());
    let mut unknown = false;
    for (arg, span) in &args {
        let row = match &arg.ty {
            Type::Record(_) => arg.ty.clone(),
            Type::Table(fields) => Type::Record(fields.clone()),
            Type::Blank | Type::Error => continue,
            Type::Unknown => {
                unknown = true;
                continue;
            }
            other => {
                c.type_error(*span, format!("expected a record or a table, found {other}"));
                continue;
            }
        };
        match union(&all, &row) {
            Some(joined) => all = joined,
            None => {
                c.type_error(*span, "the columns of this do not fit those of the rows before it");
            }
        }
    }
    let Type::Record(fields) = all else { return Typed::error() };
    let nodes = args
        .into_iter()
        .map(|(arg, _)| match &arg.ty {
            Type::Record(_) => convert(arg, &Type::Record(fields.clone())),
            Type::Table(_) => convert(arg, &Type::Table(fields.clone())),
            Type::Blank => Node::Rows(vec![arg.node]),
            _ => arg.node,
        })
        .collect();
    Typed::new(Node::Lazy(table, nodes), if unknown { Type::Unknown } else { Type::Table(fields) })
}

fn table<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let mut out = Vec::new();
    let mut failed = Vec::new();
    for node in nodes {
        // A record that is an error is a row; a table that is one spoils the whole.
        let is_table = matches!(node, Node::Rows(_) | Node::Values(_)) || !is_row(node);
        match eval(node, env) {
            Value::Table(table) => out.extend(table.rows.iter().cloned()),
            error @ Value::Error(_) if is_table => failed.push(error),
            Value::Blank if is_table => {}
            row => out.push(row),
        }
    }
    if failed.is_empty() { env.table(out) } else { join_errors(failed.iter()) }
}

/// Whether a node gives one row; its type was settled by the checker and is written in the coercion, if anywhere.
fn is_row(node: &Node) -> bool {
    match node {
        Node::Coerce(inner, to) => matches!(**to, Type::Record(_)) || is_row(inner),
        Node::Record(..) => true,
        Node::If(branches, otherwise) => branches.iter().any(|(_, then)| is_row(then)) || is_row(otherwise),
        _ => false,
    }
}

fn table_of_json<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    match rows(env, &nodes[0]) {
        Ok(table) => env.table(table.rows.iter().map(|row| value_row(row.clone())).collect()),
        Err(other) => other,
    }
}

fn check_row(c: &mut Checker<'_>, args: &[Expr], run: Lazy) -> Typed {
    let Some(table) = c.table(&args[0]) else { return Typed::error() };
    let mut nodes = vec![table.node];
    if let Some(position) = args.get(1) {
        nodes.push(c.expr_as(position, &Type::Number));
    }
    Typed::new(Node::Lazy(run, nodes), table.row)
}

fn first<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    match rows(env, &nodes[0]) {
        Ok(table) => table.rows.first().cloned().unwrap_or_default(),
        Err(other) => other,
    }
}

fn last<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    match rows(env, &nodes[0]) {
        Ok(table) => table.rows.last().cloned().unwrap_or_default(),
        Err(other) => other,
    }
}

/// The table and the number beside it, or what the whole gives instead.
fn table_and_count<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Result<(Value<'a>, i64), Value<'a>> {
    let (table, count) = (eval(&nodes[0], env), eval(&nodes[1], env));
    if table.is_error() || count.is_error() {
        return Err(join_errors([&table, &count].into_iter()));
    }
    Ok((table, whole(&count)))
}

fn index<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let (table, at) = match table_and_count(env, nodes) {
        Ok(found) => found,
        Err(error) => return error,
    };
    match rows_of(env, table) {
        Ok(table) => usize::try_from(at)
            .ok()
            .and_then(|at| table.rows.get(at.checked_sub(1)?))
            .cloned()
            .unwrap_or_else(|| Value::invalid("there is no row at this position")),
        Err(other) => other,
    }
}

fn check_part(c: &mut Checker<'_>, args: &[Expr], run: Lazy) -> Typed {
    let Some(table) = c.table(&args[0]) else { return Typed::error() };
    let count = c.expr_as(&args[1], &Type::Number);
    Typed::new(Node::Lazy(run, vec![table.node, count]), table_type(&table.row))
}

fn first_n<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    part(env, nodes, |rows, count| &rows[..count])
}

fn last_n<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    part(env, nodes, |rows, count| &rows[rows.len() - count..])
}

fn part<'a>(
    env: &mut Env<'a>,
    nodes: &'a [Node],
    take: for<'t> fn(&'t [Value<'a>], usize) -> &'t [Value<'a>],
) -> Value<'a> {
    let (value, count) = match table_and_count(env, nodes) {
        Ok(found) => found,
        Err(error) => return error,
    };
    let json = matches!(value, Value::Untyped(_));
    match rows_of(env, value) {
        Ok(table) => {
            let count = usize::try_from(count).unwrap_or(0).min(table.rows.len());
            let rows = take(&table.rows, count).to_vec();
            if json { json_array(rows) } else { env.table(rows) }
        }
        Err(other) => other,
    }
}

/// Rows of JSON as JSON again.
fn json_array<'a>(rows: Vec<Value<'a>>) -> Value<'a> {
    let items = rows
        .into_iter()
        .map(|row| match row {
            Value::Untyped(json) => json,
            _ => Arc::new(Json::Null),
        })
        .collect();
    Value::Untyped(Arc::new(Json::Array(items)))
}

// Lambdas over rows

/// The conditions after a table, as one.
fn conditions(c: &mut Checker<'_>, table: &TableArg, args: &[Expr]) -> Vec<Node> {
    let mut nodes = Vec::new();
    for arg in args {
        let typed = c.lambda(&table.row, &table.alias, arg);
        nodes.push(c.fit(typed, &Type::Boolean, arg.span));
    }
    nodes
}

fn check_filter(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let Some(table) = c.table(&args[0]) else { return Typed::error() };
    let mut nodes = conditions(c, &table, &args[1..]);
    let ty = table_type(&table.row);
    nodes.insert(0, table.node);
    Typed::new(Node::Lazy(filter, nodes), ty)
}

/// Whether all conditions hold; the first error among them otherwise.
fn holds<'a>(env: &mut Env<'a>, row: &Value<'a>, conditions: &'a [Node]) -> Result<bool, Value<'a>> {
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

fn filter<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
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
fn quota(error: &Value<'_>) -> bool {
    matches!(error, Value::Error(e) if e.kind() == crate::error::ErrorKind::QUOTA_EXCEEDED)
}

fn check_look_up(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
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

fn look_up<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
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

fn check_for_all(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
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

fn for_all<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
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

fn check_count_if(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let Some(table) = c.table(&args[0]) else { return Typed::error() };
    let mut nodes = conditions(c, &table, &args[1..]);
    nodes.insert(0, table.node);
    Typed::new(Node::Lazy(count_if, nodes), Type::Number)
}

fn count_if<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
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

fn check_distinct(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let Some(table) = c.table(&args[0]) else { return Typed::error() };
    let body = c.lambda(&table.row, &table.alias, &args[1]);
    Typed::new(Node::Lazy(distinct, vec![table.node, body.node]), Type::list(body.ty))
}

fn distinct<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
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
fn key(value: &Value<'_>) -> String {
    match value {
        Value::Number(n) => format!("n{}", n.normalize()),
        Value::Float(f) => format!("f{f}"),
        other => crate::print::literal(other),
    }
}

// Sorting

fn check_sort(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
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

fn descending(order: Option<&Value<'_>>) -> Result<bool, ()> {
    match order {
        None | Some(Value::Blank) => Ok(false),
        Some(Value::Text(t)) if t.eq_ignore_ascii_case("ascending") => Ok(false),
        Some(Value::Text(t)) if t.eq_ignore_ascii_case("descending") => Ok(true),
        Some(_) => Err(()),
    }
}

fn sort<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
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
fn in_order(a: &Value<'_>, b: &Value<'_>, down: bool, zone: &TimeZone) -> Ordering {
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

fn check_sort_by_columns(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
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

fn sort_by_columns<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
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
        rules.push((super::text::text_of(&name).to_owned(), rule));
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

// Counting

fn check_count(c: &mut Checker<'_>, args: &[Expr], run: Lazy, column: fn(&Type) -> bool) -> Typed {
    let Some(table) = c.table(&args[0]) else { return Typed::error() };
    let by_column = run as usize == count as Lazy as usize || run as usize == count_a as Lazy as usize;
    if by_column && let Type::Record(fields) = &table.row {
        let fine = fields.is_empty() || fields.single().is_some_and(|(_, ty)| column(ty));
        if !fine {
            return c.type_error(args[0].span, "expected a table with one column of numbers, or of values for CountA");
        }
    }
    Typed::new(Node::Lazy(run, vec![table.node]), Type::Number)
}

/// Counts rows by their first value; a row or value that is an error gives the error.
fn counted<'a>(env: &mut Env<'a>, nodes: &'a [Node], counts: fn(&Value<'a>) -> bool, deep: bool) -> Value<'a> {
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

fn count_rows<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    counted(env, nodes, |_| true, false)
}

fn count<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    counted(env, nodes, |v| !v.is_blank() && !matches!(v, Value::Text(_) | Value::Boolean(_)), true)
}

fn count_a<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    counted(env, nodes, |v| !v.is_blank() && v.as_str() != Some(""), true)
}

fn is_empty<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    match rows(env, &nodes[0]) {
        Ok(table) => Value::Boolean(table.rows.is_empty()),
        Err(Value::Blank) => Value::Boolean(true),
        Err(error) => error,
    }
}

// Columns

/// The columns of a table or record argument; `true` for a table.
fn shape(c: &mut Checker<'_>, e: &Expr) -> Option<(Node, Fields, bool, Option<String>)> {
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

fn column_name(c: &mut Checker<'_>, e: &Expr) -> Option<String> {
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

fn wrap(fields: Fields, is_table: bool) -> Type {
    if is_table { Type::Table(fields) } else { Type::Record(fields) }
}

fn check_add_columns(c: &mut Checker<'_>, args: &[Expr], span: Span) -> Typed {
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
fn each_row<'a>(
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

fn add_columns<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
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

fn check_columns(c: &mut Checker<'_>, args: &[Expr], show: bool) -> Typed {
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

fn keep_columns<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let value = eval(&nodes[0], env);
    each_row(env, value, |_, _, record| {
        let kept = |name: &str| nodes[1..].iter().any(|n| n.constant().and_then(Value::as_str) == Some(name));
        let fields = record.iter().filter(|(n, _)| kept(n)).map(|(n, v)| (n.clone(), v.clone()));
        Value::Record(Arc::new(Record::new(fields)))
    })
}

fn check_rename(c: &mut Checker<'_>, args: &[Expr], span: Span) -> Typed {
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

fn rename_columns<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
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

// References

fn check_reference(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let (table, record) = (c.expr(&args[0]), c.expr(&args[1]));
    let name = table.node.constant().and_then(Value::as_str).filter(|n| !n.is_empty()).map(Arc::<str>::from);
    let Some(name) = name else {
        return c.type_error(args[0].span, "expected the name of a table as a text in quotes");
    };
    match &record.ty {
        Type::Record(fields) if !fields.is_empty() => {}
        Type::Error => {}
        other => {
            let message = format!("expected the columns that name the row, as {{column: value}}, found {other}");
            return c.type_error(args[1].span, message);
        }
    }
    Typed::new(Node::Strict(reference, vec![table.node, record.node]), Type::Reference(name))
}

/// A reference of which a column is blank refers to no row, so it is blank.
fn reference<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let (Value::Text(table), Value::Record(record)) = (std::mem::take(&mut args[0]), std::mem::take(&mut args[1]))
    else {
        return Value::Blank;
    };
    let columns: Vec<(Arc<str>, Value<'a>)> = record.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
    if columns.iter().any(|(_, v)| v.is_error()) {
        return join_errors(columns.iter().map(|(_, v)| v));
    }
    if columns.iter().any(|(_, v)| v.is_blank()) {
        return Value::Blank;
    }
    Value::Reference(Arc::new(Reference { table, columns }))
}
