//! Writing rows: one request each, and never a second row for a lost answer.

use std::sync::Arc;

use record::hash::RowHasher;
use record::{
    BoxFuture, Change, Code, Current, Effected, Fault, Key, KeyRules, Op, Outcome, Row, Schema, Sink, Type, Value,
    WriteSpec, Written,
};
use serde_json::Value as Json;

use super::body;
use super::client::{self, Client};
use super::template::{self, Template};

pub(super) struct Rows {
    client: Client,
    spec: WriteSpec,
    create: Option<Template>,
    update: Option<Template>,
    delete: Option<Template>,
    exists: Option<Template>,
    /// Fields of the entity with the paths of the answer that give them.
    returns: Vec<(String, String)>,
    /// The header that makes a repeated create safe.
    key_header: String,
}

impl Rows {
    pub fn new(client: Client, spec: WriteSpec) -> Result<Rows, Fault> {
        let of = |name| template::option(client.system(), &spec.options, name);
        let (create, update, delete) = (of("create")?, of("update")?, of("delete")?);
        // A request for one row by its key tells as well whether the row is there.
        let exists = match of("exists")? {
            Some(exists) => Some(exists),
            None => of("get")?,
        };
        let returns = client::texts(&spec.options, "returns");
        let key_header = spec.options.text("idempotency_key").unwrap_or("Idempotency-Key").to_owned();
        Ok(Rows { create, update, delete, exists, returns, key_header, client, spec })
    }

    /// The field that names a row there: the one of `returns:` that a request needs, else the first.
    fn id_path(&self) -> Option<&str> {
        let needed = [&self.update, &self.delete].into_iter().flatten().flat_map(Template::fields);
        let needed: Vec<&str> = needed.collect();
        let named = self.returns.iter().find(|(field, _)| needed.contains(&field.as_str()));
        named.or(self.returns.first()).map(|(_, path)| path.as_str())
    }

    /// What a request says of a field: of the key, of the columns, or the row's own id there.
    fn value(&self, field: &str, key: &Key, columns: Option<&Row>, id: Option<&str>) -> Option<String> {
        if self.returns.iter().any(|(returned, _)| returned == field) {
            return id.map(str::to_owned);
        }
        let column = self.spec.fields.iter().find(|(name, _)| name == field).map_or(field, |(_, column)| column);
        if let Some(at) = self.spec.key.iter().position(|name| name == column) {
            return key.parts().get(at).map(Value::to_string);
        }
        columns?.get(column).filter(|value| !value.is_blank()).map(Value::to_string)
    }

    fn fill(&self, template: &Template, key: &Key, columns: Option<&Row>, id: Option<&str>) -> Result<String, Fault> {
        template.fill(|field| self.value(field, key, columns, id)).map_err(|field| {
            let what = format!("`{template}` needs `{field}`, which is not known for this row");
            Fault::reject(Code("IB0512"), what)
                .at_system(self.client.system())
                .at_key(key.to_string())
                .fix("write the field in the mapping, or name it in `returns:`")
        })
    }

    /// The row that the destination has for a key, as it answers.
    async fn find(&self, key: &Key) -> Result<Option<Json>, Fault> {
        let Some(exists) = &self.exists else { return Ok(None) };
        let path = self.fill(exists, key, None, None)?;
        let answer = self.client.ask(exists, &path, None, None).await?;
        Ok(answer.and_then(|answer| self.own(&answer.json, key).cloned()))
    }

    /// The row with this key in an answer: a row, a list of rows, or a list within an object.
    fn own<'j>(&self, json: &'j Json, key: &Key) -> Option<&'j Json> {
        let list = match json {
            Json::Array(list) => Some(list),
            Json::Object(members) => {
                let mut lists = members.values().filter_map(Json::as_array);
                let list = lists.next().filter(|_| lists.next().is_none());
                // A row may have a list of its own, its lines: then its key stands beside it.
                list.filter(|_| !self.spec.key.iter().all(|column| body::at(json, column).is_some()))
            }
            _ => None,
        };
        let parts = key.parts();
        let is_own = |row: &&Json| {
            row.is_object()
                && self.spec.key.iter().zip(&parts).all(|(column, part)| {
                    // An API that does not know the parameter answers with somebody else's rows.
                    body::at(row, column).is_none_or(|found| body::value(found).to_string() == part.to_string())
                })
        };
        match list {
            Some(list) => list.iter().find(is_own),
            None => Some(json).filter(is_own),
        }
    }

    fn id(&self, json: &Json) -> Option<Arc<str>> {
        let id = body::value(body::at(json, self.id_path()?)?);
        (!id.is_blank()).then(|| id.to_string().into())
    }

    fn returned(&self, json: &Json) -> Option<Row> {
        let given = self.returns.iter().filter_map(|(field, path)| Some((field, body::value(body::at(json, path)?))));
        let (fields, values): (Vec<&String>, Vec<Value>) = given.unzip();
        let schema = Schema::of(fields.into_iter().map(|field| (field.as_str(), Type::Unknown)));
        (!values.is_empty()).then(|| Row::new(schema, values))
    }

    async fn write(&self, change: &Change) -> Outcome {
        let fault = |what: String, fix: &str| {
            Fault::reject(Code("IB0512"), what).at_system(self.client.system()).at_key(change.key.to_string()).fix(fix)
        };
        let id = change.remote_id.as_deref();
        if change.op == Op::Delete {
            let Some(delete) = &self.delete else {
                return Err(fault("rows are not deleted there".into(), "write `delete:`, or `deletes: ignore`"));
            };
            let path = self.fill(delete, &change.key, None, id)?;
            self.client.ask(delete, &path, None, None).await?;
            return Ok(Written { effect: Effected::Deleted, remote_id: None, version: None, returned: None });
        }
        let parts = change.key.parts();
        let named = self.spec.key.iter().map(String::as_str).zip(&parts);
        let text = body::object(named.chain(change.columns.iter()));
        let written = |effect, json: &Json| Written {
            effect,
            remote_id: self.id(json).or_else(|| change.remote_id.clone()),
            version: None,
            returned: self.returned(json),
        };
        if id.is_some() {
            let Some(update) = &self.update else { return self.unchangeable(change).await };
            let path = self.fill(update, &change.key, Some(&change.columns), id)?;
            let answer = self.client.ask(update, &path, Some(text), None).await?;
            return Ok(written(Effected::Updated, &answer.map(|answer| answer.json).unwrap_or_default()));
        }
        let Some(create) = &self.create else {
            return Err(fault("rows are not created there".into(), "write `create:` in the system's file"));
        };
        let path = self.fill(create, &change.key, Some(&change.columns), None)?;
        // The same for the same row and content, however often it is sent.
        let key = RowHasher::default().hash([Value::text(&*path), Value::text(&*text)].iter().map(Value::as_ref));
        let key = Some((self.key_header.as_str(), format!("{key:032x}")));
        let answer = self.client.ask(create, &path, Some(text), key).await?;
        // `201 Created` is one; an answer to a request that it had before is not.
        let effect = match &answer {
            Some(answer) if answer.status == 201 => Effected::Created,
            _ => Effected::Upserted,
        };
        let json = answer.map(|answer| answer.json).unwrap_or_default();
        Ok(written(effect, self.own(&json, &change.key).unwrap_or(&json)))
    }

    /// A row that is there, where nothing changes rows: fine as long as what it shows is what it should be.
    async fn unchangeable(&self, change: &Change) -> Outcome {
        let found = self.find(&change.key).await?.unwrap_or_default();
        // Lines are shown in as many ways as there are APIs.
        let mut plain = change.columns.iter().filter(|(_, value)| !matches!(value, Value::Rows(_)));
        let differs = plain
            .find(|(column, value)| body::at(&found, column).is_some_and(|shown| !same(&body::value(shown), value)));
        if let Some((column, _)) = differs {
            let what =
                format!("the row is there with another `{column}`, and `{}` has no `update:`", self.client.system());
            return Err(Fault::reject(Code("IB0512"), what)
                .at_system(self.client.system())
                .at_key(change.key.to_string())
                .at_column(column)
                .fix("write `update:` in the system's file, or correct the row there by hand"));
        }
        let (remote_id, returned) = (change.remote_id.clone(), self.returned(&found));
        Ok(Written { effect: Effected::Unchanged, remote_id, version: None, returned })
    }
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Decimal(one), Value::Decimal(other)) => one == other,
        (Value::Decimal(one), Value::Int(other)) => *one == (*other).into(),
        _ => one.to_string() == other.to_string(),
    }
}

impl Sink for Rows {
    fn apply<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        Box::pin(async move {
            let mut outcomes: Vec<Outcome> = Vec::with_capacity(changes.len());
            for change in changes {
                let outcome = self.write(change).await.map_err(|fault| match fault.place.key {
                    None => fault.at_key(change.key.to_string()),
                    Some(_) => fault,
                });
                match outcome {
                    // Nothing gets through: the rows before this one are done, and are not done again.
                    Err(fault) if fault.scope == record::Scope::Destination && outcomes.is_empty() => {
                        return Err(fault);
                    }
                    outcome => outcomes.push(outcome),
                }
            }
            Ok(outcomes)
        })
    }

    fn current<'a>(
        &'a self,
        keys: &'a [Key],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Current>>, Fault>> {
        Box::pin(async move {
            let mut found = Vec::with_capacity(keys.len());
            for key in keys {
                let parts = key.parts();
                found.push(self.find(key).await?.map(|json| {
                    // The key is what was asked for, also where the answer does not repeat it.
                    let value = |column: &String| match self.spec.key.iter().position(|name| name == column) {
                        Some(at) => parts.get(at).cloned(),
                        None => body::at(&json, column).map(body::value),
                    };
                    let shown = columns.iter().filter_map(|column| Some((column.as_str(), value(column)?)));
                    let (names, values): (Vec<&str>, Vec<Value>) = shown.unzip();
                    let schema = Schema::of(names.into_iter().map(|name| (name, Type::Unknown)));
                    let (remote_id, returned) = (self.id(&json), self.returned(&json));
                    Current { remote_id, version: None, columns: Row::new(schema, values), returned }
                }));
            }
            Ok(found)
        })
    }

    fn rows_per_chunk(&self) -> usize {
        50
    }

    fn replaces(&self) -> bool {
        self.update.as_ref().is_some_and(|update| update.method == reqwest::Method::PUT)
    }

    fn key_rules(&self) -> KeyRules {
        KeyRules { ignore_case: false, ignore_trailing_spaces: false }
    }
}
