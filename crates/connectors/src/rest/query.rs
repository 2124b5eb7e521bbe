//! Answering a user's question by what an API can do: one row by its key, some rows by a field, or its whole list.
//!
//! What the API cannot decide is not asked of it. Each row that comes back is held against the question again: an API
//! that ignores a parameter would answer with rows that nobody asked for.

use std::collections::HashSet;
use std::sync::Arc;

use record::query::{Answer, Comparison, Expr, Query};
use record::{Batch, BoxFuture, Code, Fault, Key, Queryable, ReadSpec, Schema, Source, Type, Value};
use serde_json::Value as Json;

use super::paging::Paging;
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
    paging: Paging,
}

impl Table {
    pub fn new(client: Client, spec: ReadSpec) -> Result<Table, Fault> {
        let get = template::option(client.system(), &spec.options, "get")?;
        let all = match spec.options.group("list") {
            Some(_) => Some(source::Rows::new(client.clone(), spec.clone())?),
            None => None,
        };
        let list = all.as_ref().and_then(source::Rows::list);
        let find = match spec.options.group("find") {
            None => None,
            Some(find) => template::option(client.system(), &find, "request")?.map(|request| Find {
                by: find.texts("by").into_iter().map(|field| column_of(&spec, field).to_owned()).collect(),
                paging: source::beside(list, &request),
                request,
                at_most: find.number("at_most").and_then(|n| usize::try_from(n).ok()).unwrap_or(1).max(1),
                rows: find.text("rows").unwrap_or_default().to_owned(),
            }),
        };
        let type_of = |name: &str| spec.declared.iter().find(|(known, _)| known == name).map(|(_, ty)| ty.clone());
        let columns = spec.columns.iter().map(|name| (name.as_str(), type_of(name).unwrap_or(Type::Unknown)));
        let schema = Schema::of(columns.collect::<Vec<_>>());
        Ok(Table { what: source::What::new(client, spec), schema, get, find, all })
    }

    /// The values that a filter wants in a column, each once, where it says so.
    fn named<'q>(filter: &'q Expr, column: &str) -> Option<Vec<&'q Value>> {
        let mut named = conjuncts(filter).iter().find_map(|part| match part {
            Expr::Compare(Comparison::Equal, left, right) => match (&**left, &**right) {
                (Expr::Column(name), Expr::Value(value)) if name == column => Some(vec![value]),
                _ => None,
            },
            Expr::In(left, list) if **left == Expr::column(column) => Some(list.iter().collect::<Vec<_>>()),
            _ => None,
        })?;
        let mut seen = HashSet::new();
        named.retain(|value| seen.insert(value.to_string()));
        Some(named)
    }

    /// How the rows of a filter are come by. *Shape*: nothing where there is no way to them, or only by too many requests.
    fn way<'w>(&'w self, filter: Option<&'w Expr>) -> Option<Way<'w>> {
        let Some(filter) = filter else { return self.all.as_ref().map(Way::List) };
        if conjuncts(filter).iter().any(|part| *part == Expr::Or(Vec::new())) {
            return Some(Way::Nothing);
        }
        let named = |columns: &[String], several: usize| {
            let named: Vec<Vec<&Value>> =
                columns.iter().map(|column| Self::named(filter, column)).collect::<Option<_>>()?;
            if several > 1 && named.iter().flatten().any(|value| has_comma(value)) {
                return None;
            }
            let requests =
                named.iter().try_fold(1usize, |all, values| all.checked_mul(values.len().div_ceil(several)))?;
            (!named.is_empty() && requests <= REQUESTS_MAX).then(|| combinations(&named, several))
        };
        let by_find = self.find.as_ref().and_then(|find| Some(Way::Find(find, named(&find.by, find.several())?)));
        let rows = || conjuncts(filter).iter().find_map(|part| self.rows(part));
        let by_get =
            || self.get.as_ref().and_then(|get| Some(Way::Get(get, named(&self.what.spec.key, 1).or_else(rows)?)));
        by_find.or_else(by_get).or_else(|| self.all.as_ref().map(Way::List))
    }

    /// The rows that an expression names, each by its whole key; nothing where it says anything else, or names too many.
    fn rows<'q>(&self, expr: &'q Expr) -> Option<Vec<Vec<Vec<&'q Value>>>> {
        let Expr::Or(all) = expr else { return None };
        let row = |one: &'q Expr| {
            let key = &self.what.spec.key;
            let values: Vec<Vec<&Value>> = key.iter().map(|column| Self::named(one, column)).collect::<Option<_>>()?;
            (conjuncts(one).len() == key.len() && values.iter().all(|values| values.len() == 1)).then_some(values)
        };
        if all.is_empty() || all.len() > REQUESTS_MAX { None } else { all.iter().map(row).collect() }
    }

    /// By `find`: several values of one field in one request, as far as it takes them; and no more rows than the limit.
    async fn found(&self, find: &Find, choices: Vec<Vec<Vec<&Value>>>, limit: u64) -> Result<Vec<Vec<Value>>, Fault> {
        let mut rows = Vec::new();
        let is_key = find.by == self.what.spec.key;
        for chosen in choices {
            let path = self.fill(&find.request, &find.by, &chosen)?;
            // Of each key there is one row.
            let named = chosen.iter().map(Vec::len).product();
            let most = if is_key { named } else { usize::try_from(limit).unwrap_or(usize::MAX) };
            let (client, method) = (&self.what.client, &find.request.method);
            for answer in source::answers(client, method, &path, &find.paging, &find.rows, most).await? {
                match typed::within(&answer.json, &find.rows) {
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
        }
        Ok(rows)
    }

    async fn got(&self, get: &Template, choices: Vec<Vec<Vec<&Value>>>) -> Result<Vec<Vec<Value>>, Fault> {
        let mut rows = Vec::new();
        for chosen in choices {
            let path = self.fill(get, &self.what.spec.key, &chosen)?;
            if let Some(answer) = self.what.client.send(&get.method, &path, Sent::default()).await?
                && let Some(one) = source::the_one(&self.what.client, &answer.json)?
            {
                rows.push(self.row(one)?);
            }
        }
        Ok(rows)
    }

    /// The list, and no more of it than the limit.
    async fn listed(&self, all: &source::Rows, limit: u64) -> Result<Vec<Vec<Value>>, Fault> {
        let mut reader = all.read(None).await?;
        let mut rows = Vec::new();
        while let Some(page) = reader.next().await? {
            for row in page.batch.rows() {
                rows.push(row.values().map(|value| value.to_owned()).collect());
            }
            if let Some(unreadable) = page.unreadable.into_iter().next() {
                return Err(unreadable.fault);
            }
            if rows.len() as u64 >= limit {
                break;
            }
        }
        Ok(rows)
    }

    /// Each row once: an API that takes capitals for small letters gives one for each way that it was named in.
    fn once(&self, mut rows: Vec<Vec<Value>>) -> Vec<Vec<Value>> {
        let key: Option<Vec<usize>> = self.what.spec.key.iter().map(|name| self.schema.index(name)).collect();
        let Some(key) = key else { return rows };
        let mut seen = HashSet::new();
        rows.retain(|row| Key::of(key.iter().map(|at| &row[*at])).map_or(true, |key| seen.insert(key)));
        rows
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

    fn no_way(&self) -> Fault {
        let system = self.what.client.system();
        Fault::stop(Code("IB0510"), format!("`{system}` has no request for these rows"))
            .at_system(system)
            .fix("write `list: { request: GET /… }` in the system's file")
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

    /// Equality with values of a field that a request names, and no more values than a few requests can carry; or some rows
    /// by their keys.
    fn accepts(&self, expr: &Expr, _: &Schema) -> bool {
        let (column, values) = match expr {
            Expr::Compare(Comparison::Equal, left, right) => match (&**left, &**right) {
                (Expr::Column(column), Expr::Value(value)) if !value.is_blank() => {
                    (column, std::slice::from_ref(value))
                }
                _ => return false,
            },
            Expr::In(left, list) => match &**left {
                Expr::Column(column) => (column, list.as_slice()),
                _ => return false,
            },
            // Nothing fits: that needs nobody to be asked.
            Expr::Or(none) if none.is_empty() => return true,
            several @ Expr::Or(_) => return self.get.is_some() && self.rows(several).is_some(),
            _ => return false,
        };
        let by_find = |find: &Find| {
            let can_be_told = find.several() == 1 || !values.iter().any(has_comma);
            find.by == [column.clone()] && values.len() <= find.at_most * REQUESTS_MAX && can_be_told
        };
        let by_get = self.get.is_some() && self.what.spec.key.contains(column) && values.len() <= REQUESTS_MAX;
        let of_several =
            self.find.as_ref().is_some_and(|find| find.by.len() > 1 && find.by.contains(column)) && values.len() == 1;
        self.find.as_ref().is_some_and(by_find) || by_get || of_several
    }

    fn lists(&self) -> bool {
        self.all.is_some()
    }

    fn finds(&self, filter: Option<&Expr>) -> bool {
        self.way(filter).is_some()
    }

    fn hashes_keys(&self) -> bool {
        false
    }

    fn query<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Answer, Fault>> {
        Box::pin(async move {
            let mut is_cut = false;
            let rows = match self.way(query.filter.as_ref()).ok_or_else(|| self.no_way())? {
                Way::Nothing => Vec::new(),
                Way::Find(find, choices) => {
                    let rows = self.once(self.found(find, choices, query.limit).await?);
                    is_cut = rows.len() as u64 >= query.limit;
                    rows
                }
                Way::Get(get, choices) => self.once(self.got(get, choices).await?),
                Way::List(all) => {
                    let rows = self.listed(all, query.limit).await?;
                    is_cut = rows.len() as u64 >= query.limit;
                    rows
                }
            };
            let fits = |row: &Vec<Value>| {
                let cell = |name: &str| self.schema.index(name).map(|at| row[at].clone()).unwrap_or_default();
                is_cut || query.filter.as_ref().is_none_or(|filter| filter.holds(&cell))
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

/// How rows are come by, with what each request names.
enum Way<'w> {
    /// There are none.
    Nothing,
    Find(&'w Find, Vec<Vec<Vec<&'w Value>>>),
    Get(&'w Template, Vec<Vec<Vec<&'w Value>>>),
    List(&'w source::Rows),
}

impl Find {
    /// How many values one request names.
    fn several(&self) -> usize {
        if self.by.len() == 1 { self.at_most } else { 1 }
    }
}

/// Whether a value would be read as two where several stand behind each other.
fn has_comma(value: &Value) -> bool {
    value.to_string().contains(',')
}

/// The parts of a filter that must all hold.
fn conjuncts(filter: &Expr) -> &[Expr] {
    match filter {
        Expr::And(all) => all,
        one => std::slice::from_ref(one),
    }
}

/// The column that a field is read from, or a column by its own name.
fn column_of<'s>(spec: &'s ReadSpec, field: &'s str) -> &'s str {
    spec.fields.iter().find(|(name, _)| name == field).map_or(field, |(_, column)| column)
}

/// One choice of each field for each request, or so many values of it.
fn combinations<'v>(named: &[Vec<&'v Value>], several: usize) -> Vec<Vec<Vec<&'v Value>>> {
    let mut all: Vec<Vec<Vec<&Value>>> = vec![Vec::new()];
    for values in named {
        let chunks: Vec<Vec<&Value>> = values.chunks(several).map(<[&Value]>::to_vec).collect();
        all = all
            .iter()
            .flat_map(|before| {
                chunks.iter().map(|chunk| before.iter().cloned().chain([chunk.clone()]).collect::<Vec<_>>())
            })
            .collect();
    }
    all
}
