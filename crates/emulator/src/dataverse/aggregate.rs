//! `$apply`: filter, group and aggregate, as far as the platform goes.

use std::sync::Arc;

use odata::{Aggregate, Expr, Method, Options, Path, Transformation};
use rusqlite::params_from_iter;
use rusqlite::types::ValueRef;

use super::engine::Engine;
use super::filter::Translator;
use super::json::Writer;
use super::model::{Behaviour, Kind, Table};
use super::refusal::{Answer, Refusal};
use super::value;
use super::wire::{Request, Response};

/// How many rows an aggregation may run over.
const ROWS_MAX: usize = 50_000;

/// One column of the answer: its name, its SQL and how to write it.
struct Output {
    name: String,
    sql: String,
    /// The kind of a value that is a column's; nothing for a count or an average.
    kind: Option<Kind>,
    /// The places of an average over an exact column, whose sum and count are read beside each other.
    average: Option<u32>,
}

pub fn list(engine: &Engine, request: &Request, table: &Arc<Table>, options: &Options) -> Answer<Response> {
    let steps = options.apply.as_deref().unwrap_or_default();
    let now = engine.clock.now();
    let mut translator = Translator::new(&engine.catalog, table, "t", &options.aliases, now, request.user);
    let mut wanted = Vec::new();
    let mut steps = steps.iter();
    let (by, aggregates): (&[Path], &[Aggregate]) = loop {
        match steps.next() {
            Some(Transformation::Identity) => {}
            Some(Transformation::Filter(filter)) => wanted.push(translator.predicate(filter)?),
            Some(Transformation::Aggregate(items)) => break (&[], items),
            Some(Transformation::GroupBy { by, then }) => match then.as_slice() {
                [] => break (by, &[]),
                [Transformation::Aggregate(items)] => break (by, items),
                _ => return Err(Refusal::not_emulated("$apply with more than aggregate(…) inside groupby(…)")),
            },
            None => return Err(Refusal::not_emulated("$apply without aggregate(…) or groupby(…)")),
        }
    };
    if steps.next().is_some() {
        return Err(Refusal::not_emulated("$apply with steps after an aggregation"));
    }
    if !options.orderby.is_empty() {
        return Err(Refusal::query("$orderby on aggregate values isn't supported."));
    }
    if let Some(filter) = &options.filter {
        wanted.push(translator.predicate(filter)?);
    }
    let mut outputs = Vec::new();
    for path in by {
        let (sql, kind) = translator.column(path)?;
        if matches!(kind, Kind::DateTime { behaviour: Behaviour::UserLocal | Behaviour::TimeZoneIndependent, .. }) {
            return Err(Refusal::query("Grouping on date-time values isn't supported."));
        }
        // A value reached through a lookup is named after both.
        outputs.push(Output { name: path.0.join("_"), sql, kind: Some(kind), average: None });
    }
    let groups = outputs.len();
    for item in aggregates {
        outputs.push(aggregate(&mut translator, item)?);
    }
    let filter = if wanted.is_empty() { String::new() } else { format!(" WHERE {}", wanted.join(" AND ")) };
    let from = format!("{} t{filter}", table.sql());
    let count = format!("SELECT count(*) FROM (SELECT 1 FROM {from} LIMIT {})", ROWS_MAX + 1);
    let rows: i64 = engine.conn.query_row(&count, params_from_iter(&translator.params), |row| row.get(0))?;
    if usize::try_from(rows).unwrap_or(0) > ROWS_MAX {
        let message = "AggregateQueryRecordLimit exceeded. Cannot perform this operation.";
        return Err(Refusal::new(400, "0x8004e023", message));
    }
    let list: Vec<&str> = outputs.iter().map(|output| output.sql.as_str()).collect();
    let group: Vec<&str> = list[..groups].to_vec();
    let group = if group.is_empty() { String::new() } else { format!(" GROUP BY {0} ORDER BY {0}", group.join(", ")) };
    let sql = format!("SELECT {} FROM {from}{group}", list.join(", "));

    let mut body = String::new();
    let mut object = Writer::new(&mut body);
    object.text("@odata.context", &format!("{}$metadata#{}", request.root, table.set));
    let values = object.member("value");
    values.push('[');
    let mut statement = engine.conn.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(&translator.params))?;
    let mut separator = "";
    while let Some(row) = rows.next()? {
        values.push_str(separator);
        separator = ",";
        let mut entry = Writer::new(values);
        for (index, output) in outputs.iter().enumerate() {
            let stored = row.get_ref(index)?;
            // A group without a value leaves it out.
            if index < groups && stored == ValueRef::Null {
                continue;
            }
            write(entry.member(&output.name), output, stored);
        }
        entry.end();
    }
    values.push(']');
    object.end();
    Ok(Response::json(200, body))
}

fn aggregate(translator: &mut Translator, item: &Aggregate) -> Answer<Output> {
    let name = item.alias.clone();
    let Some((expr, method)) = &item.of else {
        return Ok(Output { name, sql: "count(*)".into(), kind: None, average: None });
    };
    let Expr::Path(path) = expr else { return Err(Refusal::not_emulated("aggregation of an expression")) };
    let (sql, kind) = translator.column(path)?;
    let whole = matches!(kind, Kind::Integer { .. } | Kind::BigInt);
    let number = whole || kind.scale().is_some() || matches!(kind, Kind::Double { .. });
    let refuse =
        |method: &str| Refusal::query(format!("The aggregation method '{method}' isn't supported for '{path}'."));
    Ok(match method {
        Method::Sum if number => Output { name, sql: format!("sum({sql})"), kind: Some(kind), average: None },
        Method::Min | Method::Max if number || matches!(kind, Kind::DateTime { .. }) => {
            let function = if *method == Method::Min { "min" } else { "max" };
            Output { name, sql: format!("{function}({sql})"), kind: Some(kind), average: None }
        }
        Method::Average if whole || kind.scale().is_some() => {
            let places = kind.scale().unwrap_or(0);
            // Exact: the sum and the count travel as text and are divided as decimals.
            let sql = format!("sum({sql}) || '/' || count({sql})");
            Output { name, sql, kind: None, average: Some(places) }
        }
        Method::Average if number => Output { name, sql: format!("avg({sql})"), kind: Some(kind), average: None },
        Method::CountDistinct => Output { name, sql: format!("count(DISTINCT {sql})"), kind: None, average: None },
        Method::Custom(other) => return Err(refuse(other)),
        other => return Err(refuse(&format!("{other:?}").to_lowercase())),
    })
}

fn write(out: &mut String, output: &Output, stored: ValueRef) {
    match (&output.kind, output.average, stored) {
        (_, Some(places), ValueRef::Text(text)) => {
            let text = String::from_utf8_lossy(text);
            let quotient = text.split_once('/').and_then(|(sum, count)| {
                let sum = rust_decimal::Decimal::try_from_i128_with_scale(sum.parse().ok()?, places).ok()?;
                sum.checked_div(count.parse::<i64>().ok()?.into())
            });
            out.push_str(&quotient.map_or("null".to_owned(), |quotient| quotient.to_string()));
        }
        (Some(kind), _, stored) => value::write_json(out, kind, stored),
        (None, _, ValueRef::Integer(number)) => out.push_str(&number.to_string()),
        _ => out.push_str("null"),
    }
}
