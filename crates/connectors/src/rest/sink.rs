//! Writing rows: one request each, and never a second row for a lost answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use record::hash::RowHasher;
use record::{
    BoxFuture, Change, Code, Current, Effect, Effected, Fault, Key, KeyRules, Now, Op, Outcome, Row, Schema, Sink,
    Type, Value, WriteSpec, Written,
};
use serde_json::Value as Json;

use super::body;
use super::template::{self, Template};
use crate::http::client::{self, Sent};
use crate::http::turns::Turns;
use crate::http::uncertain::Uncertain;
use crate::http::{self, Client, typed};

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
    uncertain: Uncertain,
}

impl Rows {
    pub fn new(client: Client, spec: WriteSpec) -> Result<Rows, Fault> {
        let of = |name| template::option(client.system(), &spec.options, name);
        let (create, update, delete) = (of("create")?, of("update")?, of("delete")?);
        // A request for one row by its key tells as well whether the row is there.
        let (exists, asks) = match of("exists")? {
            Some(exists) => (Some(exists), "exists"),
            None => (of("get")?, "get"),
        };
        let returns = client::texts(&spec.options, "returns");
        let key_header = spec.options.text("idempotency_key").unwrap_or("Idempotency-Key").to_owned();
        let rows =
            Rows { create, update, delete, exists, returns, key_header, client, spec, uncertain: Uncertain::default() };
        let given =
            [("create", &rows.create), ("update", &rows.update), ("delete", &rows.delete), (asks, &rows.exists)];
        for (option, template) in given.into_iter().filter_map(|(option, template)| Some((option, template.as_ref()?)))
        {
            rows.knows(option, template)?;
        }
        Ok(rows)
    }

    /// *Errors*: a request that names what no row says: a name that is misspelt, or a column where only the key is known.
    fn knows(&self, option: &str, template: &Template) -> Result<(), Fault> {
        let only_key = !matches!(option, "create" | "update");
        let says = |column: &String| self.spec.key.contains(column) || !only_key && self.spec.columns.contains(column);
        let fields = self.spec.fields.iter().filter(|(_, column)| says(column)).map(|(field, _)| field);
        let columns = self.spec.key.iter().chain(&self.spec.columns).filter(|column| says(column));
        // The row's number there is known once it is there.
        let returned = self.returns.iter().map(|(field, _)| field).filter(|_| matches!(option, "update" | "delete"));
        let known: BTreeSet<&str> = fields.chain(columns).chain(returned).map(String::as_str).collect();
        let Some(unknown) = template.fields().find(|field| !known.contains(field)) else { return Ok(()) };
        let system = self.client.system();
        let known: Vec<&str> = known.into_iter().collect();
        let what = format!("`{option}:` of `{system}`: `{template}` names `{unknown}`, which nothing says there");
        Err(Fault::stop(Code("IB0510"), what).at_system(system).fix(format!(
            "name one of these in the request: {}; or write the field in the mapping, or give it by `returns:`",
            known.join(", ")
        )))
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
        let answer = self.client.send(&exists.method, &path, Sent::default()).await?;
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
                list.filter(|_| !self.spec.key.iter().all(|column| typed::at(json, column).is_some()))
            }
            _ => None,
        };
        let parts = key.parts();
        let is_own = |row: &&Json| {
            row.is_object()
                && self.spec.key.iter().zip(&parts).all(|(column, part)| {
                    // An API that does not know the parameter answers with somebody else's rows.
                    typed::at(row, column).is_none_or(|found| typed::plain(found).to_string() == part.to_string())
                })
        };
        match list {
            Some(list) => list.iter().find(is_own),
            // What has neither our key nor a number of its own is no row.
            None => Some(json).filter(is_own).filter(|row| {
                let path = self.id_path();
                let mut names = self.spec.key.iter().map(String::as_str).chain(path);
                path.is_none() || names.any(|name| typed::at(row, name).is_some())
            }),
        }
    }

    /// What names a row there: the number that it was given, or our own key where it gives none.
    fn id(&self, json: &Json, key: &Key) -> Option<Arc<str>> {
        let Some(path) = self.id_path() else { return Some(key.to_string().into()) };
        let id = typed::plain(typed::at(json, path)?);
        (!id.is_blank()).then(|| id.to_string().into())
    }

    /// What an answer gives of a row. `id`: what names the row there, which not each answer repeats.
    fn returned(&self, json: &Json, id: Option<&str>) -> Option<Row> {
        let known = |path: &str| id.filter(|_| self.id_path() == Some(path)).map(Value::text);
        let value = |path: &str| {
            typed::at(json, path).map(typed::plain).filter(|value| !value.is_blank()).or_else(|| known(path))
        };
        let given = self.returns.iter().filter_map(|(field, path)| Some((field, value(path)?)));
        let (fields, values): (Vec<&String>, Vec<Value>) = given.unzip();
        let schema = Schema::of(fields.into_iter().map(|field| (field.as_str(), Type::Unknown)));
        (!values.is_empty()).then(|| Row::new(schema, values))
    }

    /// A row that is not known to be there; asked for first, where an earlier request for it has lost its answer.
    async fn create(&self, message: Option<&str>, change: &Change) -> Outcome {
        let key = &change.key;
        let in_doubt = self.uncertain.has(key);
        if in_doubt {
            let found = self.find(key).await?;
            self.uncertain.remove(key);
            if let Some(found) = found {
                return self.write(message, &self.there(&found, change)?).await;
            }
        }
        match self.write(message, change).await {
            Err(fault) if status(&fault) == Some(409) => match self.find(key).await? {
                // Somebody was faster, perhaps a request of ours whose answer was lost.
                Some(found) => self.write(message, &self.there(&found, change)?).await,
                // An API says so too while it still works on a request with the same key.
                None if in_doubt => {
                    self.uncertain.add(key);
                    Err(Fault { now: Now::RetryAfter(None), effect: Effect::Unknown, ..fault })
                }
                None => Err(fault),
            },
            outcome => {
                if outcome.as_ref().is_err_and(|fault| fault.effect == Effect::Unknown) {
                    self.uncertain.add(key);
                }
                outcome
            }
        }
    }

    /// A change of a row that was found there.
    ///
    /// *Errors*: nothing says what names it, so that it can only be made once more.
    fn there(&self, found: &Json, change: &Change) -> Result<Change, Fault> {
        let remote_id = self.id(found, &change.key).ok_or_else(|| {
            let path = self.id_path().unwrap_or_default();
            let what = format!("the row is there, and what `{}` answers has no `{path}`", self.client.system());
            Fault::reject(Code("IB0512"), what)
                .at_system(self.client.system())
                .at_key(change.key.to_string())
                .fix("ask in `exists:` for what has it too, or name another path in `returns:`")
        })?;
        Ok(Change { remote_id: Some(remote_id), ..change.clone() })
    }

    async fn write(&self, message: Option<&str>, change: &Change) -> Outcome {
        let fault = |what: String, fix: &str| {
            Fault::reject(Code("IB0512"), what).at_system(self.client.system()).at_key(change.key.to_string()).fix(fix)
        };
        let id = change.remote_id.as_deref();
        if change.op == Op::Delete {
            let Some(delete) = &self.delete else {
                return Err(fault("rows are not deleted there".into(), "write `delete:`, or `deletes: ignore`"));
            };
            let path = self.fill(delete, &change.key, None, id)?;
            let effect = match self.client.send(&delete.method, &path, Sent::default()).await {
                Ok(_) => Effected::Deleted,
                // It is gone already, perhaps by a request whose answer was lost.
                Err(fault) if matches!(status(&fault), Some(404 | 410)) => Effected::Unchanged,
                Err(fault) => return Err(fault),
            };
            return Ok(Written { effect, remote_id: None, version: None, returned: None });
        }
        let parts = change.key.parts();
        let named = self.spec.key.iter().map(String::as_str).zip(&parts);
        let text = body::object(named.chain(change.columns.iter()));
        let written = |effect, json: &Json| Written {
            effect,
            remote_id: self.id(json, &change.key).or_else(|| change.remote_id.clone()),
            version: None,
            returned: self.returned(json, id),
        };
        if id.is_some() {
            let Some(update) = &self.update else { return self.unchangeable(change).await };
            let path = self.fill(update, &change.key, Some(&change.columns), id)?;
            let answer = match self.client.send(&update.method, &path, Sent::json(text)).await {
                Err(fault) if change.op == Op::Update && matches!(status(&fault), Some(404 | 410)) => {
                    let gone = record::gone_meanwhile().at_system(self.client.system());
                    return Err(Fault { why: fault.why, ..gone });
                }
                answer => answer?,
            };
            return Ok(written(Effected::Updated, &answer.map(|answer| answer.json).unwrap_or_default()));
        }
        let put = self.update.as_ref().filter(|update| update.method == reqwest::Method::PUT);
        // `PUT /customers/{number}` makes the row where there is none.
        let Some(create) = self.create.as_ref().or(put) else {
            return Err(fault("rows are not created there".into(), "write `create:` in the system's file"));
        };
        let path = self.fill(create, &change.key, Some(&change.columns), None)?;
        // The same however often a message is sent, and another one for the next that says the same: what was removed
        // meanwhile is made again. A run knows no more of an earlier one than the row and its content.
        let parts = message.into_iter().chain([&*path, &*text]).map(Value::text);
        let key = RowHasher::default().hash(parts.collect::<Vec<_>>().iter().map(Value::as_ref));
        let sent = Sent::json(text).header(&self.key_header, format!("{key:032x}"));
        let answer = self.client.send(&create.method, &path, sent).await?;
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
        let differs = plain.find(|(column, value)| {
            typed::at(&found, column).is_some_and(|shown| !typed::same(&typed::plain(shown), value))
        });
        if let Some((column, _)) = differs {
            let what =
                format!("the row is there with another `{column}`, and `{}` has no `update:`", self.client.system());
            return Err(Fault::reject(Code("IB0512"), what)
                .at_system(self.client.system())
                .at_key(change.key.to_string())
                .at_column(column)
                .fix("write `update:` in the system's file, or correct the row there by hand"));
        }
        let (remote_id, returned) = (change.remote_id.clone(), self.returned(&found, change.remote_id.as_deref()));
        Ok(Written { effect: Effected::Unchanged, remote_id, version: None, returned })
    }

    /// `message`: which message says so, where one does.
    async fn write_all(&self, message: Option<&str>, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let (mut outcomes, mut turns): (Vec<Outcome>, _) = (Vec::with_capacity(changes.len()), Turns::default());
        for change in changes {
            let outcome = loop {
                let outcome = match change.op {
                    Op::Upsert | Op::Update if change.remote_id.is_none() => self.create(message, change).await,
                    _ => self.write(message, change).await,
                };
                match turns.wait(&outcome) {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => break outcome,
                }
            };
            let outcome = outcome.map_err(|fault| match fault.place.key {
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
    }
}

/// What the other side answered with.
fn status(fault: &Fault) -> Option<u16> {
    fault.why.as_ref()?.status
}

impl Sink for Rows {
    fn apply<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        Box::pin(self.write_all(None, changes))
    }

    fn apply_once<'a>(&'a self, message: &'a str, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        Box::pin(self.write_all(Some(message), changes))
    }

    fn current<'a>(
        &'a self,
        keys: &'a [Key],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Current>>, Fault>> {
        Box::pin(async move {
            let (mut found, mut turns) = (Vec::with_capacity(keys.len()), Turns::default());
            for key in keys {
                let parts = key.parts();
                let there = loop {
                    let there = self.find(key).await;
                    match turns.wait(&there) {
                        Some(wait) => tokio::time::sleep(wait).await,
                        None => break there?,
                    }
                };
                found.push(there.map(|json| {
                    // The key is what was asked for, also where the answer does not repeat it.
                    let value = |column: &String| match self.spec.key.iter().position(|name| name == column) {
                        Some(at) => parts.get(at).cloned(),
                        None => typed::at(&json, column).map(typed::plain),
                    };
                    let shown = columns.iter().filter_map(|column| Some((column.as_str(), value(column)?)));
                    let (names, values): (Vec<&str>, Vec<Value>) = shown.unzip();
                    let schema = Schema::of(names.into_iter().map(|name| (name, Type::Unknown)));
                    let (remote_id, returned) = (self.id(&json, key), self.returned(&json, None));
                    if remote_id.is_none() {
                        // It is not to be made once more.
                        self.uncertain.add(key);
                    }
                    Current { remote_id, version: None, columns: Row::new(schema, values), returned }
                }));
            }
            Ok(found)
        })
    }

    fn rows_per_chunk(&self) -> usize {
        50
    }

    fn tells(&self) -> bool {
        self.exists.is_some()
    }

    fn replaces(&self) -> bool {
        self.update.as_ref().is_some_and(|update| update.method == reqwest::Method::PUT)
    }

    fn key_rules(&self) -> KeyRules {
        http::KEY_RULES
    }
}
