//! Answering a user's question by what an API can do: one row by its key, some rows by a field, or its whole list.
//!
//! What the API cannot decide is not asked of it. Each row that comes back is held against the question again: an API
//! that ignores a parameter would answer with rows that nobody asked for.

use std::sync::Arc;

use record::query::{Answer, Comparison, Expr, Query};
use record::{Batch, BoxFuture, Code, Fault, Queryable, ReadSpec, Schema, Source, Type, Value};
use serde_json::Value as Json;

use super::source;
use super::template::{self, Template};
use crate::http::client::Sent;
use crate::http::{Client, typed};

/// Requests that one question may cost.
const REQUESTS_MAX: usize = 50;

pub(super) struct Table {
    what: source::What,
    schema: Arc<Schema>,
    get: Option<Template>,
    find: Option<Find>,
    /// The whole list, where the API has one.
    all: Option<source::Rows>,
}

struct Find {
    /// The columns of the fields that the request names.
    by: Vec<String>,
    request: Template,
    at_most: usize,
    /// The JSON path of the rows; empty where the answer is the list.
    rows: String,
}

impl Table {
    pub fn new(client: Client, spec: ReadSpec) -> Result<Table, Fault> {
        let get = template::option(client.system(), &spec.options, "get")?;
        let find = match spec.options.group("find") {
            None => None,
            Some(find) => template::option(client.system(), &find, "request")?.map(|request| Find {
                by: find.texts("by").into_iter().map(|field| column_of(&spec, field).to_owned()).collect(),
                request,
                at_most: find.number("at_most").and_then(|n| usize::try_from(n).ok()).unwrap_or(1).max(1),
                rows: find.text("rows").unwrap_or_default().to_owned(),
            }),
        };
        let all = match spec.options.group("list") {
            Some(_) => Some(source::Rows::new(client.clone(), spec.clone())?),
            None => None,
        };
        let type_of = |name: &str| spec.declared.iter().find(|(known, _)| known == name).map(|(_, ty)| ty.clone());
        let columns = spec.columns.iter().map(|name| (name.as_str(), type_of(name).unwrap_or(Type::Unknown)));
        let schema = Schema::of(columns.collect::<Vec<_>>());
        Ok(Table { what: source::What::new(client, spec), schema, get, find, all })
    }

    /// The values that a filter wants in a column, where it says so.
    fn named<'q>(query: &'q Query, column: &str) -> Option<Vec<&'q Value>> {
        let parts: Vec<&Expr> = match &query.filter {
            Some(Expr::And(all)) => all.iter().collect(),
            Some(one) => vec![one],
            None => Vec::new(),
        };
        parts.into_iter().find_map(|part| match part {
            Expr::Compare(Comparison::Equal, left, right) => match (&**left, &**right) {
                (Expr::Column(name), Expr::Value(value)) if name == column => Some(vec![value]),
                _ => None,
            },
            Expr::In(left, list) if **left == Expr::column(column) => Some(list.iter().collect()),
            _ => None,
        })
    }

    async fn fetch(&self, query: &Query) -> Result<Vec<Vec<Value>>, Fault> {
        if let Some(find) = &self.find {
            let named: Option<Vec<Vec<&Value>>> = find.by.iter().map(|column| Self::named(query, column)).collect();
            if let Some(named) = named {
                return self.found(find, &named).await;
            }
        }
        if let Some(get) = &self.get {
            let named: Option<Vec<Vec<&Value>>> =
                self.what.spec.key.iter().map(|column| Self::named(query, column)).collect();
            if let Some(named) = named.filter(|named| !named.is_empty()) {
                return self.got(get, &named).await;
            }
        }
        self.listed(query).await
    }

    /// By `find`: several values of one field in one request, as far as it takes them.
    async fn found(&self, find: &Find, named: &[Vec<&Value>]) -> Result<Vec<Vec<Value>>, Fault> {
        let mut rows = Vec::new();
        let several = if named.len() == 1 { find.at_most } else { 1 };
        for chosen in combinations(named, several) {
            let path = self.fill(&find.request, &find.by, &chosen)?;
            let answer = self.what.client.send(&find.request.method, &path, Sent::default()).await?;
            let Some(answer) = answer else { continue };
            let json = if find.rows.is_empty() { Some(&answer.json) } else { typed::at(&answer.json, &find.rows) };
            match json {
                Some(Json::Array(all)) => {
                    for one in all {
                        rows.push(self.row(one)?);
                    }
                }
                Some(one @ Json::Object(_)) => rows.push(self.row(one)?),
                None | Some(Json::Null) => {}
                Some(_) => return Err(self.no_rows(&find.rows)),
            }
        }
        Ok(rows)
    }

    async fn got(&self, get: &Template, named: &[Vec<&Value>]) -> Result<Vec<Vec<Value>>, Fault> {
        let mut rows = Vec::new();
        for chosen in combinations(named, 1) {
            let path = self.fill(get, &self.what.spec.key, &chosen)?;
            if let Some(answer) = self.what.client.send(&get.method, &path, Sent::default()).await?
                && answer.json.is_object()
            {
                rows.push(self.row(&answer.json)?);
            }
        }
        Ok(rows)
    }

    async fn listed(&self, query: &Query) -> Result<Vec<Vec<Value>>, Fault> {
        let Some(all) = &self.all else {
            let system = self.what.client.system();
            return Err(Fault::stop(Code("IB0510"), format!("`{system}` has no request for these rows"))
                .at_system(system)
                .fix("write `list: { request: GET /… }` in the system's file"));
        };
        let mut reader = all.read(None).await?;
        let mut rows = Vec::new();
        while let Some(page) = reader.next().await? {
            for row in page.batch.rows() {
                rows.push(row.values().map(|value| value.to_owned()).collect());
            }
            if let Some(unreadable) = page.unreadable.into_iter().next() {
                return Err(unreadable.fault);
            }
            if rows.len() as u64 >= query.limit {
                break;
            }
        }
        Ok(rows)
    }

    fn row(&self, json: &Json) -> Result<Vec<Value>, Fault> {
        self.what.row(json).map(record::Row::into_values).map_err(|unreadable| unreadable.fault)
    }

    /// The request with the values of its fields; several values of one stand behind each other with commas.
    fn fill(&self, request: &Template, by: &[String], chosen: &[Vec<&Value>]) -> Result<String, Fault> {
        let value = |field: &str| {
            let at = by.iter().position(|column| column == column_of(&self.what.spec, field))?;
            let values: Vec<String> = chosen.get(at)?.iter().map(|value| value.to_string()).collect();
            Some(values.join(","))
        };
        request.fill(value).map_err(|field| {
            let system = self.what.client.system();
            Fault::stop(Code("IB0510"), format!("`{request}` needs `{field}`, which a query does not say"))
                .at_system(system)
                .fix("name only fields of `by:` in `find:`, and of the entity's key in `get:`")
        })
    }

    fn no_rows(&self, path: &str) -> Fault {
        let system = self.what.client.system();
        let at = if path.is_empty() { "its answer".to_owned() } else { format!("`{path}`") };
        Fault::stop(Code("IB0510"), format!("{at} of `{system}` is no list of rows"))
            .at_system(system)
            .fix("say where the rows are: `find: { …, rows: <path> }`")
    }
}

impl Queryable for Table {
    fn schema(&self) -> BoxFuture<'_, Result<Arc<Schema>, Fault>> {
        Box::pin(std::future::ready(Ok(self.schema.clone())))
    }

    /// Equality with values of a field that a request names, and no more values than a few requests can carry.
    fn accepts(&self, expr: &Expr, _: &Schema) -> bool {
        let (column, values) = match expr {
            Expr::Compare(Comparison::Equal, left, right) => match (&**left, &**right) {
                (Expr::Column(column), Expr::Value(value)) if !value.is_blank() => (column, 1),
                _ => return false,
            },
            Expr::In(left, list) => match &**left {
                Expr::Column(column) => (column, list.len()),
                _ => return false,
            },
            // Nothing fits: that needs nobody to be asked.
            Expr::Or(none) => return none.is_empty(),
            _ => return false,
        };
        let by_find = |find: &Find| find.by == [column.clone()] && values <= find.at_most * REQUESTS_MAX;
        let by_get = self.get.is_some() && self.what.spec.key.contains(column) && values <= REQUESTS_MAX;
        let of_several =
            self.find.as_ref().is_some_and(|find| find.by.len() > 1 && find.by.contains(column)) && values == 1;
        self.find.as_ref().is_some_and(by_find) || by_get || of_several
    }

    fn lists(&self) -> bool {
        self.all.is_some()
    }

    fn hashes_keys(&self) -> bool {
        false
    }

    fn query<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Answer, Fault>> {
        Box::pin(async move {
            let nothing = matches!(&query.filter, Some(Expr::Or(none)) if none.is_empty())
                || matches!(&query.filter, Some(Expr::And(all)) if all.contains(&Expr::Or(Vec::new())));
            let rows = if nothing { Vec::new() } else { self.fetch(query).await? };
            let fits = |row: &Vec<Value>| {
                let cell = |name: &str| self.schema.index(name).map(|at| row[at].clone()).unwrap_or_default();
                query.filter.as_ref().is_none_or(|filter| filter.holds(&cell))
            };
            let places: Vec<usize> = query.columns.iter().filter_map(|name| self.schema.index(name)).collect();
            let wanted = Schema::new(places.iter().map(|at| self.schema.columns()[*at].clone()).collect());
            let mut batch = Batch::builder(wanted);
            for row in rows.iter().filter(|row| fits(row)).take(usize::try_from(query.limit).unwrap_or(usize::MAX)) {
                places.iter().for_each(|at| batch.push(row[*at].as_ref()));
            }
            Ok(Answer { rows: batch.finish(), count: None })
        })
    }
}

/// The column that a field is read from, or a column by its own name.
fn column_of<'s>(spec: &'s ReadSpec, field: &'s str) -> &'s str {
    spec.fields.iter().find(|(name, _)| name == field).map_or(field, |(_, column)| column)
}

/// One choice of each field, for each request; the last field several at a time. *Shape*: at most [`REQUESTS_MAX`].
fn combinations<'v>(named: &[Vec<&'v Value>], several: usize) -> Vec<Vec<Vec<&'v Value>>> {
    let mut all: Vec<Vec<Vec<&Value>>> = vec![Vec::new()];
    for values in named {
        let chunks: Vec<Vec<&Value>> = values.chunks(several).map(<[&Value]>::to_vec).collect();
        all = all
            .iter()
            .flat_map(|before| {
                chunks.iter().map(|chunk| before.iter().cloned().chain([chunk.clone()]).collect::<Vec<_>>())
            })
            .take(REQUESTS_MAX)
            .collect();
    }
    all
}
