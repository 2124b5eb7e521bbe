//! Reading: lists with paging, single rows, counts, properties and references.

use std::sync::Arc;

use odata::{Direction, Expr, Options, decode, encode};
use rusqlite::params_from_iter;
use rusqlite::types::Value;
use uuid::Uuid;

use super::engine::Engine;
use super::filter::Translator;
use super::json::Writer;
use super::model::{Nav, Table};
use super::refusal::{Answer, Refusal};
use super::shape::{self, Shape, Voice, related};
use super::storage::blob;
use super::wire::{Condition, Prefer, Request, Response};
use super::{aggregate, tracking, write};

/// The most rows that one page has, and the cap of every count.
const ROWS_MAX: usize = 5000;

/// `GET {set}`.
pub fn list(engine: &mut Engine, request: &Request, table: &Arc<Table>) -> Answer<Response> {
    let options = options(request)?;
    let prefer = request.prefer();
    if prefer.track_changes || options.deltatoken.is_some() {
        return tracking::list(engine, request, table, &options, &prefer);
    }
    if options.apply.is_some() {
        return aggregate::list(engine, request, table, &options);
    }
    let from = (format!("{} t", table.sql()), None);
    page(engine, request, table, &options, &prefer, from, &table.set)
}

/// One page of the rows of `from`, with everything around it.
fn page(
    engine: &Engine,
    request: &Request,
    table: &Arc<Table>,
    options: &Options,
    prefer: &Prefer,
    (from, anchor): (String, Option<(String, Uuid)>),
    context: &str,
) -> Answer<Response> {
    let shape = Shape::of(engine, table, options)?;
    let now = engine.clock.now();
    let mut translator = Translator::new(&engine.catalog, table, "t", &options.aliases, now, request.user);
    let mut wanted = Vec::new();
    let mut params: Vec<Value> = Vec::new();
    if let Some((expression, id)) = &anchor {
        wanted.push(format!("{expression} = ?"));
        params.push(Value::Blob(blob(*id)));
    }
    if let Some(filter) = &options.filter {
        wanted.push(translator.predicate(filter)?);
    }
    params.append(&mut translator.params);
    let count = match options.count {
        Some(true) => Some(count_up_to_cap(engine, &from, &wanted, &params)?),
        _ => None,
    };

    // Paging wins over $top.
    let paged = prefer.page_rows.is_some();
    let top = options.top.filter(|_| !paged).and_then(|top| usize::try_from(top).ok());
    let rows_max = prefer.page_rows.unwrap_or(ROWS_MAX);
    let limit = top.map_or(rows_max, |top| top.min(rows_max));
    let cookie = options.skiptoken.as_deref().map(Cookie::parse).transpose()?;
    let by_key = in_key_order(table, options);
    let mut offset = 0;
    if let Some(cookie) = &cookie {
        match cookie.last.filter(|_| by_key) {
            Some(last) => {
                wanted.push("t.id > ?".into());
                params.push(Value::Blob(blob(last)));
            }
            None => offset = cookie.page.saturating_sub(1).saturating_mul(rows_max),
        }
    }
    let mut order = if by_key { Vec::new() } else { translator.order(&options.orderby)? };
    params.append(&mut translator.params);
    order.push("t.id".into());

    let filter = if wanted.is_empty() { String::new() } else { format!(" WHERE {}", wanted.join(" AND ")) };
    // One row more than the page tells whether there is another page.
    let sql = format!(
        "SELECT {} FROM {from}{filter} ORDER BY {} LIMIT {} OFFSET {offset}",
        shape.sql("t"),
        order.join(", "),
        limit.saturating_add(1)
    );
    let voice = Voice { engine, root: &request.root, prefer, user: request.user };
    let mut statement = engine.conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(params))?;

    let mut body = String::with_capacity(16 * 1024);
    let mut object = Writer::new(&mut body);
    object.text("@odata.context", &format!("{}$metadata#{context}{}", request.root, shape.context()));
    if let Some(count) = count {
        object.raw("@odata.count", &count.to_string());
    }
    totals(&mut object, prefer, count);
    let values = object.member("value");
    values.push('[');
    let (mut written, mut more, mut first, mut last) = (0, false, None, None);
    while let Some(row) = rows.next()? {
        if written == limit {
            more = true;
            break;
        }
        if written > 0 {
            values.push(',');
        }
        let id = Uuid::from_bytes(row.get::<_, [u8; 16]>(0)?);
        first.get_or_insert(id);
        last = Some(id);
        shape.write(&voice, row, None, values)?;
        written += 1;
    }
    values.push(']');
    if let (true, None, Some(first), Some(last)) = (more, top, first, last) {
        let page = cookie.map_or(1, |cookie| cookie.page) + 1;
        object.text(
            "@odata.nextLink",
            &next_link((&request.root, &request.path, &request.query), table, page, first, last),
        );
    }
    object.end();
    Ok(applied(Response::json(200, body), prefer))
}

pub fn totals(object: &mut Writer, prefer: &Prefer, count: Option<usize>) {
    if prefer.wants("Microsoft.Dynamics.CRM.totalrecordcount") {
        let total = count.map_or("-1".to_owned(), |count| count.to_string());
        object.raw("@Microsoft.Dynamics.CRM.totalrecordcount", &total);
    }
    if prefer.wants("Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded") {
        let exceeded = if count == Some(ROWS_MAX) { "true" } else { "false" };
        object.raw("@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded", exceeded);
    }
    if prefer.wants("Microsoft.Dynamics.CRM.globalmetadataversion") {
        object.text("@Microsoft.Dynamics.CRM.globalmetadataversion", "1");
    }
}

pub fn applied(response: Response, prefer: &Prefer) -> Response {
    match prefer.applied_to_read() {
        Some(applied) => response.with("Preference-Applied", applied),
        None => response,
    }
}

/// The query options, without those that the platform does not have.
pub fn options(request: &Request) -> Answer<Options> {
    let options = Options::parse(&request.query)?;
    for (name, _) in &options.custom {
        if let "fetchXml" | "savedQuery" | "userQuery" | "sql" | "partitionId" = name.as_str() {
            return Err(Refusal::not_emulated(format!("the query option '{name}'")));
        }
    }
    if options.skip.is_some() {
        return Err(Refusal::query("Skip Clause is not supported in CRM"));
    }
    if options.search.is_some() {
        return Err(Refusal::query("The query option '$search' is not supported."));
    }
    if options.format.is_some() {
        return Err(Refusal::query("The query option '$format' is not supported."));
    }
    Ok(options)
}

fn count_up_to_cap(engine: &Engine, from: &str, wanted: &[String], params: &[Value]) -> Answer<usize> {
    let filter = if wanted.is_empty() { String::new() } else { format!(" WHERE {}", wanted.join(" AND ")) };
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {from}{filter} LIMIT {ROWS_MAX})");
    let count: i64 = engine.conn.prepare_cached(&sql)?.query_row(params_from_iter(params), |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Whether the order asked for is that of the primary key, in which paging never loses its place.
fn in_key_order(table: &Table, options: &Options) -> bool {
    match options.orderby.as_slice() {
        [] => true,
        [item] => {
            item.direction == Direction::Ascending
                && matches!(&item.by, Expr::Path(path) if path.single() == Some(&table.primary_id))
        }
        _ => false,
    }
}

/// The page that a `$skiptoken` asks for, from 1.
pub fn page_number(token: &str) -> Answer<usize> {
    Cookie::parse(token).map(|cookie| cookie.page.max(1))
}

/// Where a page begins.
struct Cookie {
    page: usize,
    last: Option<Uuid>,
}

impl Cookie {
    /// Reads a `$skiptoken`, however often a client has re-encoded it and with what it may have put behind it.
    fn parse(token: &str) -> Answer<Cookie> {
        let malformed = || Refusal::query("The $skiptoken is malformed.");
        let attribute = |text: &str, name: &str| -> Option<String> {
            let start = text.find(&format!("{name}=\""))? + name.len() + 2;
            let end = text[start..].find('"')? + start;
            Some(text[start..end].to_owned())
        };
        let page = attribute(token, "pagenumber").and_then(|page| page.parse().ok()).ok_or_else(malformed)?;
        let mut inner = attribute(token, "pagingcookie").unwrap_or_default();
        for _ in 0..3 {
            if !inner.contains('%') {
                break;
            }
            inner = decode(&inner, false)?;
        }
        let last = attribute(&inner, "last").and_then(|id| Uuid::try_parse(id.trim_matches(['{', '}'])).ok());
        Ok(Cookie { page, last })
    }
}

/// The link to the page after this one; `asked` is the root, path and query of this one's request.
pub fn next_link(asked: (&str, &str, &str), table: &Table, page: usize, first: Uuid, last: Uuid) -> String {
    let (root, path, query) = asked;
    let upper = |id: Uuid| id.to_string().to_uppercase();
    let inner = format!(
        "<cookie page=\"{}\"><{key} last=\"{{{}}}\" first=\"{{{}}}\" /></cookie>",
        page - 1,
        upper(last),
        upper(first),
        key = table.primary_id
    );
    let token = format!(
        "%3Ccookie%20pagenumber=%22{page}%22%20pagingcookie=%22{}%22%20istracking=%22False%22%20/%3E",
        encode(&encode(&inner))
    );
    format!("{root}{path}{}$skiptoken={token}", kept_query(query))
}

/// The query as the client wrote it without its `$skiptoken`, ready for one more option.
pub fn kept_query(query: &str) -> String {
    let kept: Vec<&str> = query
        .split('&')
        .filter(|part| !part.is_empty())
        .filter(|part| {
            let name = decode(part.split('=').next().unwrap_or_default(), true).unwrap_or_default();
            name != "$skiptoken" && name != "$deltatoken"
        })
        .collect();
    if kept.is_empty() { "?".into() } else { format!("?{}&", kept.join("&")) }
}

/// `GET {set}/$count`.
pub fn count(engine: &Engine, request: &Request, table: &Arc<Table>) -> Answer<Response> {
    let options = options(request)?;
    if options.deltatoken.is_some() {
        return tracking::count(engine, table, &options);
    }
    let now = engine.clock.now();
    let mut translator = Translator::new(&engine.catalog, table, "t", &options.aliases, now, request.user);
    let wanted: Vec<String> =
        options.filter.iter().map(|filter| translator.predicate(filter)).collect::<Answer<_>>()?;
    let count = count_up_to_cap(engine, &format!("{} t", table.sql()), &wanted, &translator.params)?;
    Ok(Response::text(count.to_string()))
}

/// `GET {set}(key)`.
pub fn row(engine: &Engine, request: &Request, table: &Arc<Table>, id: Uuid) -> Answer<Response> {
    let options = options(request)?;
    let prefer = request.prefer();
    let shape = Shape::of(engine, table, &options)?;
    // A cached row is good only if nothing but the row itself is in the answer.
    if let Some(Condition::Version(known)) = request.condition("if-none-match")
        && !shape.expands()
        && !prefer.wants_any()
        && write::version(engine, table, id)? == Some(known)
    {
        return Ok(Response { status: 304, headers: Vec::new(), body: Vec::new() });
    }
    single(engine, request, &prefer, &shape, id, 200)
}

/// One row as the whole answer.
pub fn single(
    engine: &Engine,
    request: &Request,
    prefer: &Prefer,
    shape: &Shape,
    id: Uuid,
    status: u16,
) -> Answer<Response> {
    let context = format!("{}$metadata#{}{}/$entity", request.root, shape.table.set, shape.context());
    let voice = Voice { engine, root: &request.root, prefer, user: request.user };
    let found = shape::one(&voice, shape, id, &context)?;
    let (text, version) = found.ok_or_else(|| Refusal::no_row(&shape.table.name, id))?;
    let response = Response::json(status, text).with("ETag", format!("W/\"{version}\""));
    Ok(applied(response, prefer))
}

/// `GET {set}(key)/{name}`, where the name is a column or a navigation property.
pub fn member(engine: &Engine, request: &Request, table: &Arc<Table>, id: Uuid, name: &str) -> Answer<Response> {
    if let Some(column) = table.column_of_property(name) {
        let stored = write::stored(engine, table, id, column)?;
        if stored == Value::Null {
            return Ok(Response::no_content());
        }
        let mut body = String::new();
        let mut object = Writer::new(&mut body);
        object.text("@odata.context", &format!("{}$metadata#{}({id})/{name}", request.root, table.set));
        object.raw("value", &shape::value_text(&column.kind, &stored));
        object.end();
        return Ok(Response::json(200, body));
    }
    let way = engine.catalog.nav(&table.name, name).ok_or_else(|| Refusal::no_segment(name))?;
    match way {
        Nav::One { .. } => match pointed_at(engine, table, id, way)? {
            None => Ok(Response::no_content()),
            Some((target, other)) => row(engine, request, &target, other),
        },
        Nav::Many { .. } | Nav::Linked { .. } => {
            let target = far_table(engine, way).ok_or_else(|| Refusal::no_segment(name))?;
            let (from, anchor) = related(way, &target).ok_or_else(|| Refusal::no_segment(name))?;
            let options = options(request)?;
            let prefer = request.prefer();
            page(engine, request, &target, &options, &prefer, (from, Some((anchor, id))), &target.set)
        }
    }
}

/// `GET {set}(key)/{column}/$value`.
pub fn plain_value(engine: &Engine, table: &Arc<Table>, id: Uuid, name: &str) -> Answer<Response> {
    let column = table.column_of_property(name).ok_or_else(|| Refusal::no_segment(name))?;
    match write::stored(engine, table, id, column)? {
        Value::Null => Ok(Response::no_content()),
        stored => {
            let body = shape::plain_text(&column.kind, &stored).into_bytes();
            Ok(Response { status: 200, headers: vec![("Content-Type", "text/plain".into())], body })
        }
    }
}

/// `GET {set}(key)/{nav}/$ref`.
pub fn references(engine: &Engine, request: &Request, table: &Arc<Table>, id: Uuid, nav: &str) -> Answer<Response> {
    let way = engine.catalog.nav(&table.name, nav).ok_or_else(|| Refusal::no_segment(nav))?;
    let mut body = String::new();
    let mut object = Writer::new(&mut body);
    let link = |table: &Table, id: Uuid| request.link(&format!("{}({id})", table.set));
    match way {
        Nav::One { .. } => {
            let Some((target, other)) = pointed_at(engine, table, id, way)? else { return Ok(Response::no_content()) };
            object.text("@odata.context", &format!("{}$metadata#$ref", request.root));
            object.text("@odata.id", &link(&target, other));
        }
        _ => {
            let target = far_table(engine, way).ok_or_else(|| Refusal::no_segment(nav))?;
            let (from, anchor) = related(way, &target).ok_or_else(|| Refusal::no_segment(nav))?;
            let sql = format!("SELECT t.id FROM {from} WHERE {anchor} = ?1 ORDER BY t.id LIMIT {ROWS_MAX}");
            let mut statement = engine.conn.prepare_cached(&sql)?;
            let mut rows = statement.query([blob(id)])?;
            object.text("@odata.context", &format!("{}$metadata#Collection($ref)", request.root));
            let values = object.member("value");
            values.push('[');
            let mut separator = "";
            while let Some(row) = rows.next()? {
                let other = Uuid::from_bytes(row.get::<_, [u8; 16]>(0)?);
                values.push_str(separator);
                separator = ",";
                values.push_str("{\"@odata.id\":");
                odata::payload::quoted(values, &link(&target, other));
                values.push('}');
            }
            values.push(']');
        }
    }
    object.end();
    Ok(Response::json(200, body))
}

/// `GET {set}(key)/{nav}/$count`.
pub fn count_related(engine: &Engine, table: &Arc<Table>, id: Uuid, nav: &str) -> Answer<Response> {
    let way = engine.catalog.nav(&table.name, nav).ok_or_else(|| Refusal::no_segment(nav))?;
    let target = far_table(engine, way).ok_or_else(|| Refusal::no_segment(nav))?;
    let (from, anchor) = related(way, &target).ok_or_else(|| Refusal::no_segment(nav))?;
    let count = count_up_to_cap(engine, &from, &[format!("{anchor} = ?")], &[Value::Blob(blob(id))])?;
    Ok(Response::text(count.to_string()))
}

fn far_table(engine: &Engine, way: &Nav) -> Option<Arc<Table>> {
    let name = match way {
        Nav::One { targets, .. } => targets.first()?,
        Nav::Many { table, .. } => table,
        Nav::Linked { link, here } => &link.tables[1 - here],
    };
    engine.catalog.table(name).cloned()
}

/// The row that a single-valued navigation property leads to, if any.
fn pointed_at(engine: &Engine, table: &Table, id: Uuid, way: &Nav) -> Answer<Option<(Arc<Table>, Uuid)>> {
    let Nav::One { column, targets } = way else { return Ok(None) };
    let Some(column) = table.column(column) else { return Ok(None) };
    let Value::Blob(other) = write::stored(engine, table, id, column)? else { return Ok(None) };
    let other = Uuid::from_slice(&other).unwrap_or_default();
    let target = match column.sql_target() {
        Some(name) => {
            let sql = format!("SELECT {name} FROM {} WHERE id = ?1", table.sql());
            engine.conn.query_row(&sql, [blob(id)], |row| row.get::<_, Option<String>>(0))?
        }
        None => targets.first().cloned(),
    };
    let target = target.filter(|target| targets.contains(target));
    Ok(target.and_then(|target| engine.catalog.table(&target).cloned()).map(|table| (table, other)))
}
