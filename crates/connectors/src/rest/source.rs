//! Reading rows: all of them, page by page, or one by its key.

use std::sync::Arc;

use record::{Batch, BoxFuture, Code, Fault, Key, Page, ReadKind, ReadSpec, Reader, Row, Schema, Source, Type, Value};
use serde_json::Value as Json;

use super::body;
use super::client::Client;
use super::template::{self, Template};

pub(super) struct Rows {
    client: Client,
    spec: ReadSpec,
    get: Option<Template>,
    list: Option<List>,
}

#[derive(Clone)]
struct List {
    request: Template,
    /// The JSON path of the rows; empty where the answer is the list.
    rows: String,
    /// The JSON path of the link to the next page.
    next: Option<String>,
}

impl Rows {
    pub fn new(client: Client, spec: ReadSpec) -> Result<Rows, Fault> {
        let get = template::option(client.system(), &spec.options, "get")?;
        let list = match spec.options.group("list") {
            None => None,
            Some(list) => template::option(client.system(), &list, "request")?.map(|request| List {
                request,
                rows: list.text("rows").unwrap_or_default().to_owned(),
                next: list.text("next").map(str::to_owned),
            }),
        };
        Ok(Rows { client, spec, get, list })
    }

    fn schema(&self) -> Arc<Schema> {
        Schema::of(self.spec.columns.iter().map(|name| (name.as_str(), Type::Unknown)))
    }
}

fn row(json: &Json, schema: &Schema) -> Vec<Value> {
    schema.columns().iter().map(|column| body::at(json, &column.name).map_or(Value::Blank, body::value)).collect()
}

impl Source for Rows {
    fn read<'a>(&'a self, cursor: Option<&'a str>) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        Box::pin(async move {
            let system = self.client.system();
            let Some(list) = self.list.clone() else {
                return Err(Fault::stop(Code("IB0510"), format!("`{system}` has no request for all rows"))
                    .at_system(system)
                    .fix("write `list: { request: GET /… }` in the system's file"));
            };
            let first = list.request.fill(|_| None).map_err(|field| {
                Fault::stop(Code("IB0510"), format!("`{}` names `{field}`, and all rows are asked for", list.request))
                    .at_system(system)
                    .fix("leave fields out of `list:`")
            })?;
            let url = cursor.map_or(first, str::to_owned);
            Ok(Box::new(Pages { client: self.client.clone(), schema: self.schema(), list, url: Some(url) })
                as Box<dyn Reader>)
        })
    }

    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Row>>, Fault>> {
        Box::pin(async move {
            let system = self.client.system();
            let Some(get) = &self.get else {
                return Err(Fault::stop(Code("IB0510"), format!("`{system}` has no request for one row"))
                    .at_system(system)
                    .fix("write `get: GET /…/{field}` in the system's file"));
            };
            let schema = self.schema();
            let mut found = Vec::with_capacity(keys.len());
            for key in keys {
                let parts = key.parts();
                let value = |field: &str| {
                    let column = self.spec.fields.iter().find(|(name, _)| name == field).map_or(field, |(_, c)| c);
                    let at = self.spec.key.iter().position(|name| name == column)?;
                    parts.get(at).map(Value::to_string)
                };
                let path = get.fill(value).map_err(|field| {
                    Fault::stop(Code("IB0510"), format!("`{get}` needs `{field}`, which is no part of the key"))
                        .at_system(system)
                        .fix("name fields of the entity's key in `get:`")
                })?;
                let answer = self.client.ask(get, &path, None, None).await?;
                let json = answer.map(|answer| answer.json).filter(Json::is_object);
                found.push(json.map(|json| Row::new(schema.clone(), row(&json, &schema))));
            }
            Ok(found)
        })
    }
}

struct Pages {
    client: Client,
    schema: Arc<Schema>,
    list: List,
    url: Option<String>,
}

impl Reader for Pages {
    fn kind(&self) -> ReadKind {
        ReadKind::Full { why: None }
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>, Fault>> {
        Box::pin(async move {
            let Some(url) = self.url.take() else { return Ok(None) };
            let system = self.client.system().to_owned();
            let answer = self.client.ask(&self.list.request, &url, None, None).await?;
            let Some(answer) = answer else {
                return Err(Fault::ask_person(Code("IB0602"), format!("`{system}` has nothing at {url}"))
                    .at_system(&system)
                    .at_table(&url)
                    .fix("correct `list:` in the system's file"));
            };
            let rows =
                if self.list.rows.is_empty() { Some(&answer.json) } else { body::at(&answer.json, &self.list.rows) };
            let Some(rows) = rows.and_then(Json::as_array) else {
                let at =
                    if self.list.rows.is_empty() { "its answer".to_owned() } else { format!("`{}`", self.list.rows) };
                return Err(Fault::stop(Code("IB0510"), format!("{at} of `{system}` is no list of rows"))
                    .at_system(&system)
                    .fix("say where the rows are: `list: { request: …, rows: <path> }`"));
            };
            let mut batch = Batch::builder(self.schema.clone());
            for json in rows {
                row(json, &self.schema).iter().for_each(|value| batch.push(value.as_ref()));
            }
            let next = self.list.next.as_ref().and_then(|path| body::at(&answer.json, path)).and_then(Json::as_str);
            let next = next.filter(|next| !next.is_empty()).map(str::to_owned).or(answer.next);
            let next = next.map(|next| self.client.link(&url, &next)).transpose()?;
            self.url.clone_from(&next);
            Ok(Some(Page { batch: batch.finish(), unreadable: Vec::new(), deleted: Vec::new(), cursor: next }))
        })
    }
}
