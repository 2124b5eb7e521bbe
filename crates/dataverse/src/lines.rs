//! The lines of documents, as rows of a table that points to the document.
//!
//! What is there is read first, and only what differs is written: a line is created, changed or removed by itself. So a
//! document whose answer was lost is written again without a line too many. A row without the column that tells lines
//! apart is nobody's line, and stays.

use std::collections::HashMap;
use std::sync::Arc;

use record::{Code, Fault, Reference, Row, Schema, Scope, Value, WriteLines};

use crate::body::{Body, missing, no_column};
use crate::client::{Client, parse_retry_after};
use crate::columns::Columns;
use crate::refusal::{self, NO_ROW, WRITE};
use crate::rows::{self, Found, Names};
use crate::table::{Attribute, Kind, Table};
use crate::{address, json, value};
use odata::batch::{Part, PartAnswer};

/// A document whose lines are to be these.
pub(crate) struct Document<'a> {
    /// Its place in the chunk.
    pub at: usize,
    pub id: Arc<str>,
    pub rows: &'a [Row],
}

/// The lines that each of these documents has, in the columns that a mapping compares.
pub(crate) async fn current(
    client: &Client,
    names: &Names,
    spec: &WriteLines,
    ids: &[Arc<str>],
) -> Result<Vec<Vec<Row>>, Fault> {
    let table = client.table(&spec.table, WRITE).await?;
    let wanted = Columns::of(client, &table, &spec.columns, WRITE).await?;
    let found = of_documents(client, &table, spec, ids, &wanted.properties()).await?;
    let schema: Arc<Schema> = wanted.schema();
    let mut answer = Vec::with_capacity(ids.len());
    for lines in found {
        let values = wanted.values(client, names, &lines, WRITE).await?;
        // What cannot be read differs from anything that is to be written, and is overwritten.
        let values = values.into_iter().map(|line| line.unwrap_or_else(|unread| unread.values));
        let rows = values.map(|values| Row::new(schema.clone(), values));
        answer.push(rows.filter(|row| row.get(&spec.key).is_some_and(|key| !key.is_blank())).collect());
    }
    Ok(answer)
}

async fn of_documents(
    client: &Client,
    table: &Table,
    spec: &WriteLines,
    ids: &[Arc<str>],
    properties: &[String],
) -> Result<Vec<Vec<Found>>, Fault> {
    let ids: Vec<Vec<Value>> = ids.iter().map(|id| vec![id.parse().map_or(Value::Blank, Value::Guid)]).collect();
    rows::by_key(client, table, std::slice::from_ref(&spec.parent), &ids, properties, WRITE).await
}

/// Brings the lines of these documents to what they are to be. *Shape*: for each document, whether anything was written,
/// or what is wrong with its lines.
///
/// *Errors*: of the service as a whole; doing it again is safe.
pub(crate) async fn write(
    body: &Body<'_>,
    spec: &WriteLines,
    documents: &[Document<'_>],
) -> Result<Vec<Result<bool, Fault>>, Fault> {
    let table = body.client.table(&spec.table, WRITE).await?;
    let key = table.column(&spec.key).ok_or_else(|| no_column(&table, &spec.key))?;
    let navigation = navigation(&table, &spec.parent)?;
    let references: Vec<&Reference> = documents
        .iter()
        .flat_map(|document| document.rows.iter().flat_map(Row::values))
        .filter_map(|value| if let Value::Reference(reference) = value { Some(&**reference) } else { None })
        .collect();
    body.ids.learn(body.client, &references, true, WRITE).await?;
    let mut properties: Vec<String> = Vec::new();
    for name in documents.iter().flat_map(|document| document.rows.iter().flat_map(|row| row.iter().map(|(n, _)| n))) {
        let column = table.column(name).ok_or_else(|| no_column(&table, name))?;
        properties.push(column.property());
    }
    properties.push(key.property());
    properties.sort();
    properties.dedup();
    let ids: Vec<Arc<str>> = documents.iter().map(|document| document.id.clone()).collect();
    let found = of_documents(body.client, &table, spec, &ids, &properties).await?;

    let mut results: Vec<Result<bool, Fault>> = Vec::with_capacity(documents.len());
    let (mut parts, mut of) = (Vec::new(), Vec::new());
    for (document, there) in documents.iter().zip(&found) {
        match differences(body, &table, spec, key, &navigation, document, there) {
            Ok(own) => {
                of.extend(own.iter().map(|(line, _)| (results.len(), line.clone())));
                results.push(Ok(!own.is_empty()));
                parts.extend(own.into_iter().map(|(_, part)| part));
            }
            Err(fault) => results.push(Err(fault)),
        }
    }
    let mut sent = of.into_iter();
    for parts in parts.chunks(body.client.config().rows_per_batch.clamp(1, 400)) {
        let answers = body.client.batch(parts, WRITE).await?;
        let mut answers = answers.into_iter();
        for (part, (at, line)) in parts.iter().zip(sent.by_ref()) {
            if let Err(fault) = judge(part, answers.next()) {
                results[at] = Err(of_line(&line, fault).at_table(&spec.table));
            }
        }
    }
    Ok(results)
}

/// The lookup's navigation property that leads to the document.
fn navigation(table: &Table, parent: &str) -> Result<(String, String), Fault> {
    let column = table.column(parent).ok_or_else(|| no_column(table, parent))?;
    match &column.kind {
        Kind::Lookup { targets } if targets.len() == 1 => Ok((targets[0].navigation.clone(), targets[0].table.clone())),
        _ => Err(Fault::ask_person(
            Code("IB0512"),
            format!("`{parent}` of `{}` is no lookup to one table, so it cannot point to the document", table.name),
        )
        .at_column(parent)
        .fix("write the lookup to the document in `parent:`")),
    }
}

/// What is to be sent so that this document has its lines: removals first, then changes, then what is new.
fn differences(
    body: &Body<'_>,
    table: &Table,
    spec: &WriteLines,
    key: &Attribute,
    (navigation, parent): &(String, String),
    document: &Document<'_>,
    there: &[Found],
) -> Result<Vec<(String, Part)>, Fault> {
    let mut by_key: HashMap<String, &Found> = HashMap::new();
    let mut removed: Vec<&Found> = Vec::new();
    for line in there {
        let own = line.raw(&key.property()).and_then(|raw| value::read(raw, key).ok());
        let Some(own) = own.as_ref().and_then(|own| named(own, key)) else { continue };
        if let Some(twice) = by_key.insert(own, line) {
            removed.push(twice);
        }
    }
    let (mut changed, mut created) = (Vec::new(), Vec::new());
    for (row, own) in document.rows.iter().zip(keys(spec, key, document.rows)?) {
        let now = by_key.remove(&own);
        let mut members = Vec::new();
        for (name, value) in row.iter().filter(|(name, value)| match now {
            Some(now) => !holds(body, table, now, name, value),
            None => !value.is_blank() && *name != spec.parent,
        }) {
            if let Value::Reference(to) = value
                && let Some(far) = body.client.known_table(&to.of)
                && let Err(why) = body.ids.id(&far, to)
            {
                return Err(of_line(&own, missing(name, why)));
            }
            members.push(body.member(table, name, value).map_err(|fault| of_line(&own, fault))?);
        }
        match now {
            Some(_) if members.is_empty() => {}
            Some(now) => {
                let id = now.id(table).unwrap_or_default();
                let headers = vec![("If-Match", "*".to_owned())];
                let body = Some(format!("{{{}}}", members.join(",")));
                changed.push((own.clone(), Part { method: "PATCH", url: address::by_id(table, &id), headers, body }));
            }
            None => {
                let far = body.client.known_table(parent);
                let set = far.map_or_else(|| format!("{parent}s"), |far| far.set.clone());
                let bind = json::quoted(&format!("/{set}({})", document.id));
                members.push(format!("{}:{bind}", json::quoted(&format!("{navigation}@odata.bind"))));
                let body = Some(format!("{{{}}}", members.join(",")));
                created.push((own.clone(), Part { method: "POST", url: table.set.clone(), headers: Vec::new(), body }));
            }
        }
    }
    let twice = removed.into_iter().map(|line| ("(twice)".to_owned(), line));
    let mut left: Vec<(String, &Found)> = by_key.into_iter().chain(twice).collect();
    left.sort_by_key(|(_, line)| line.id(table));
    let delete = |(own, line): (String, &Found)| {
        let url = address::by_id(table, &line.id(table).unwrap_or_default());
        (own, Part { method: "DELETE", url, headers: Vec::new(), body: None })
    };
    Ok(left.into_iter().map(delete).chain(changed).chain(created).collect())
}

fn named(value: &Value, key: &Attribute) -> Option<String> {
    value::literal(value, key).filter(|_| !value.is_blank())
}

/// What tells the lines of one document apart, in their order.
///
/// *Errors*: a line without it, or with that of another.
pub(crate) fn keys(spec: &WriteLines, key: &Attribute, rows: &[Row]) -> Result<Vec<String>, Fault> {
    let mut seen: Vec<String> = Vec::with_capacity(rows.len());
    for row in rows {
        let own = row.get(&spec.key).and_then(|value| named(value, key)).ok_or_else(|| {
            Fault::reject(Code("IB0512"), format!("a line has no `{}` that its column takes", spec.key))
                .at_column(&spec.key)
                .fix("give each line its key in the source")
        })?;
        if seen.contains(&own) {
            return Err(Fault::reject(Code("IB0512"), format!("two lines have the {} {own}", spec.key))
                .at_column(&spec.key)
                .fix("give one of the two lines another key in the source"));
        }
        seen.push(own);
    }
    Ok(seen)
}

fn of_line(line: &str, fault: Fault) -> Fault {
    Fault { what: format!("line {line}: {}", fault.what), ..fault }
}

/// Whether a line has this value already: a lookup by the id of its row, a number as a number.
fn holds(body: &Body<'_>, table: &Table, now: &Found, name: &str, wanted: &Value) -> bool {
    let Some(column) = table.column(name) else { return false };
    let raw = now.raw(&column.property());
    let there = raw.map_or(Ok(Value::Blank), |raw| value::read(raw, column));
    match (wanted, there) {
        (Value::Reference(reference), Ok(Value::Guid(id))) => body
            .client
            .known_table(&reference.of)
            .and_then(|far| body.ids.id(&far, reference).ok())
            .is_some_and(|wanted| wanted == id),
        (wanted, Ok(there)) => {
            let text = |value: &Value| {
                value::write(value, column, body.zone).map(|text| match text.parse::<record::Decimal>() {
                    Ok(number) => number.normalize().to_string(),
                    Err(_) => text,
                })
            };
            text(wanted).is_ok_and(|wanted| text(&there).is_ok_and(|there| wanted == there))
        }
        (_, Err(_)) => false,
    }
}

fn judge(part: &Part, answer: Option<PartAnswer>) -> Result<(), Fault> {
    let Some(answer) = answer else {
        return Err(Fault::retry(Code(WRITE.lost), "the answer was cut before it told of all lines", None)
            .scope(Scope::Row)
            .effect_unknown()
            .fix("nothing: the lines are compared and written again, and that is safe"));
    };
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    let wait = answer.header("retry-after").and_then(parse_retry_after);
    let id = answer.header("x-ms-service-request-id").or_else(|| answer.header("req_id")).map(str::to_owned);
    let why = refusal::words(answer.status, &answer.body, id);
    if part.method == "DELETE" && answer.status == 404 && why.code.as_deref() == Some(NO_ROW) {
        return Ok(());
    }
    let mut fault = refusal::of(why, wait, WRITE);
    if fault.scope == Scope::Destination && answer.status >= 500 {
        fault.scope = Scope::Row;
    }
    Err(fault)
}
