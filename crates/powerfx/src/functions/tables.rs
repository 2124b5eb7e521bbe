//! Tables and records. A blank table counts as having no rows; a table that is an error gives the error.

use super::text::whole;
use super::{ANY, Function};
use crate::ast::Expr;
use crate::check::{Checker, Typed, convert};
use crate::error::Span;
use crate::eval::{Env, eval, join_errors, rows, rows_of, value_row};
use crate::json::Json;
use crate::node::{Lazy, Node};
use crate::types::{Fields, Type, union};
use crate::value::{Reference, Value};
use std::sync::Arc;

mod columns;
mod counting;
mod lambdas;
mod sorting;

use columns::*;
use counting::*;
use lambdas::*;
use sorting::*;

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
    Function::special("CountRows", 1, 1, |c, a, _| check_count(c, a, count_rows, None)).doc(
        "CountRows(table)",
        "How many rows there are.",
        &[("CountRows([1, 2])", "2")],
    ),
    Function::special("Count", 1, 1, |c, a, _| check_count(c, a, count, Some(is_countable)))
    .doc("Count(table)", "How many numbers the one column holds.", &[("Count([1, Blank(), 3])", "2")]),
    Function::special("CountA", 1, 1, |c, a, _| check_count(c, a, count_a, Some(|_| true))).doc(
        "CountA(table)",
        "How many values of the one column are not blank. An empty text counts.",
        &[("CountA([\"a\", \"\", Blank()])", "2")],
    ),
    Function::special("CountIf", 2, ANY, check_count_if).doc(
        "CountIf(table, condition, …)",
        "For how many rows all conditions are true.",
        &[("CountIf([1, 2, 3], Value > 1)", "2")],
    ),
    Function::special("IsEmpty", 1, 1, |c, a, _| {
        let typed = check_count(c, a, is_empty, None);
        Typed::new(typed.node, Type::Boolean)
    })
    .doc("IsEmpty(table)", "Whether there are no rows.", &[("IsEmpty([])", "true")]),
    Function::special("Row", 2, 2, check_reference).doc(
        "Row(table, record)",
        "A reference to a row that is no entity of the project, named by columns that are unique together. Ours: Power Apps has LookUp for it.",
        &[("Row(\"team\", {name: \"Sales UK\"})", "Row(\"team\",{name:\"Sales UK\"})")],
    ),
];

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
            // One row, also where it turns out to be blank or an error.
            Type::Record(_) => Node::Rows(vec![convert(arg, &Type::Record(fields.clone()))]),
            Type::Blank => Node::Rows(vec![arg.node]),
            Type::Table(_) => convert(arg, &Type::Table(fields.clone())),
            _ => arg.node,
        })
        .collect();
    Typed::new(Node::Lazy(table, nodes), if unknown { Type::Unknown } else { Type::Table(fields) })
}

fn table<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let mut out = Vec::new();
    let mut failed = Vec::new();
    for node in nodes {
        match eval(node, env) {
            Value::Table(table) => out.extend(table.rows.iter().cloned()),
            error @ Value::Error(_) => failed.push(error),
            Value::Blank => {}
            row => out.push(row),
        }
    }
    if failed.is_empty() { env.table(out) } else { join_errors(failed.iter()) }
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

fn check_reference(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let (table, record) = (c.expr(&args[0]), c.expr(&args[1]));
    let name = table.node.constant().and_then(Value::as_str).filter(|n| !n.is_empty()).map(Arc::<str>::from);
    let Some(name) = name else {
        return c.type_error(args[0].span, "expected the name of a table as a text in quotes");
    };
    match &record.ty {
        Type::Record(fields) if !fields.is_empty() => {
            c.references.push((name.clone(), fields.iter().map(|(column, _)| column.clone()).collect()));
        }
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
