//! Writing rows: one `$batch` for each chunk, and never a second row for a lost answer.

use std::sync::Arc;

use odata::batch::{self, Part, PartAnswer};
use record::{
    BoxFuture, Change, Code, Current, Effect, Effected, Fault, Key, KeyRules, Op, Outcome, Row, Schema, Scope, Sink,
    Value, WriteSpec, Written,
};
use reqwest::Method;
use serde_json::Value as Json;

use super::metadata::Set;
use super::{Service, filter};
use crate::http::client::{self, Sent};
use crate::http::uncertain::Uncertain;
use crate::http::{self, typed};
use crate::rest::body;
use crate::rest::source::list;

/// Rows that one question by key asks for: a URL holds so many.
const KEYS_PER_QUESTION: usize = 15;
/// Business Central takes 100 requests in one batch.
const ROWS_PER_CHUNK: usize = 100;

pub(super) struct Rows {
    service: Arc<Service>,
    spec: WriteSpec,
    uncertain: Uncertain,
}

impl Rows {
    pub fn new(service: Arc<Service>, spec: WriteSpec) -> Rows {
        Rows { service, spec, uncertain: Uncertain::default() }
    }

    async fn set(&self) -> Result<&Set, Fault> {
        self.service.set(&self.spec.table, "IB0504").await
    }

    /// The rows that hold one of these combinations of values.
    async fn holding(&self, by: &[String], values: &[Vec<Value>], columns: &[String]) -> Result<Vec<Json>, Fault> {
        let set = self.set().await?;
        let mut select: Vec<&String> = Vec::new();
        for column in set.key.iter().chain(by).chain(columns) {
            if set.type_of(column).is_none() {
                return Err(self.no_column(column));
            }
            if !select.contains(&column) {
                select.push(column);
            }
        }
        let select = select.iter().map(|column| column.as_str()).collect::<Vec<_>>().join(",");
        let mut rows = Vec::new();
        for some in values.chunks(KEYS_PER_QUESTION) {
            let options = [("$select", select.clone()), ("$filter", filter::one_of(by, some))];
            let mut path = Some(self.service.path(&self.spec.table, &options));
            while let Some(at) = path.take() {
                let answer = self.service.client.send(&Method::GET, &at, Sent::default()).await?.unwrap_or_default();
                rows.extend(list(&self.service.client, &answer.json, "value", "table")?.iter().cloned());
                let next = answer.json.get("@odata.nextLink").and_then(Json::as_str);
                path = next.map(|next| self.service.client.link(&at, next)).transpose()?;
            }
        }
        Ok(rows)
    }

    fn gone(&self, change: &Change) -> Fault {
        let fault = record::gone_meanwhile().at_system(self.service.client.system());
        fault.at_table(&self.spec.table).at_key(change.key.to_string())
    }

    fn no_column(&self, column: &str) -> Fault {
        let system = self.service.client.system();
        Fault::ask_person(Code("IB0505"), format!("`{}` of `{system}` has no column `{column}`", self.spec.table))
            .at_system(system)
            .at_table(&self.spec.table)
            .at_column(column)
            .fix("correct the mapping; names are as `$metadata` has them")
    }

    /// A row as the service has it; its id is its key behind the set.
    fn current(&self, set: &Set, json: &Json, columns: &[String]) -> Result<Current, Fault> {
        let ours: Vec<record::Column> =
            set.columns.iter().filter(|c| columns.contains(&c.name.to_string())).cloned().collect();
        let row = typed::row(json, &Schema::new(ours), self.spec.time_zone.as_ref()).map_err(|why| {
            let system = self.service.client.system();
            Fault::stop(Code("IB0510"), format!("a row of `{}` cannot be read: {why}", self.spec.table))
                .at_system(system)
                .fix("look at the row there; `$metadata` and what the service sends do not agree")
        })?;
        Ok(Current { remote_id: Some(self.id(set, json)?.into()), version: etag(json), columns: row, returned: None })
    }

    fn id(&self, set: &Set, json: &Json) -> Result<String, Fault> {
        let schema =
            Schema::new(set.columns.iter().filter(|c| set.key.iter().any(|k| **k == *c.name)).cloned().collect());
        let row = typed::row(json, &schema, None).unwrap_or_else(|_| Row::new(Schema::new(Vec::new()), Vec::new()));
        let values: Option<Vec<Value>> = set.key.iter().map(|name| row.get(name).cloned()).collect();
        let whole = values.filter(|values| !set.key.is_empty() && values.iter().all(|value| !value.is_blank()));
        whole.map(|values| filter::key(&set.key, &values)).ok_or_else(|| {
            let what = format!("a row of `{}` came without its key ({})", self.spec.table, set.key.join(", "));
            Fault::stop(Code("IB0510"), what)
                .at_system(self.service.client.system())
                .fix("look at the entity set in `$metadata`; a set without a key cannot be written")
        })
    }

    /// What would be sent for one change.
    fn part(&self, set: &Set, change: &Change, id: Option<&str>) -> Part {
        let body = || {
            let parts = change.key.parts();
            let key = self.spec.key.iter().map(String::as_str).zip(&parts);
            // A key that the service made stays as it is.
            let key = key.filter(|(column, _)| id.is_none() || !set.key.iter().any(|known| known == column));
            json(set, key.chain(change.columns.iter()))
        };
        let at = |id: &str| format!("{}{id}{}", self.spec.table, self.query());
        let if_match = || vec![("If-Match", change.if_version.as_deref().unwrap_or("*").to_owned())];
        let (method, url, headers, body) = match (change.op, id) {
            (Op::Delete, Some(id)) => return Part { method: "DELETE", url: at(id), headers: if_match(), body: None },
            (_, Some(id)) => ("PATCH", at(id), if_match(), body()),
            (_, None) => ("POST", at(""), Vec::new(), body()),
        };
        let (text, content_type) = body;
        let headers = headers.into_iter().chain(content_type.map(|ty| ("Content-Type", ty.to_owned())));
        Part { method, url, headers: headers.collect(), body: Some(text) }
    }

    fn query(&self) -> String {
        if self.service.parameters.is_empty() { String::new() } else { format!("?{}", self.service.parameters) }
    }

    fn settled(&self, set: &Set, change: &Change, id: Option<&str>, answer: &PartAnswer) -> Outcome {
        let system = self.service.client.system();
        let fault = |fault: Fault| fault.at_system(system).at_table(&self.spec.table).at_key(change.key.to_string());
        if (200..300).contains(&answer.status) {
            let json: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
            let remote_id = match id {
                Some(id) => Some(id.to_owned()),
                // Who is told to answer briefly names the row in a header alone.
                None => self.id(set, &json).ok().or_else(|| {
                    let address = answer.header("odata-entityid").or_else(|| answer.header("location"))?;
                    let (_, named) = address.rsplit_once('/')?;
                    named.find('(').map(|at| named[at..].to_owned())
                }),
            };
            let effect = match (change.op, id) {
                (Op::Delete, _) => Effected::Deleted,
                (_, None) => Effected::Created,
                (_, Some(_)) => Effected::Updated,
            };
            let version = etag(&json).or_else(|| answer.header("etag").map(Into::into));
            return Ok(Written { effect, remote_id: remote_id.map(Into::into), version, returned: None });
        }
        if change.op == Op::Delete && answer.status == 404 {
            return Ok(Written { effect: Effected::Unchanged, remote_id: None, version: None, returned: None });
        }
        let after = answer.header("retry-after").and_then(|text| text.trim().parse().ok());
        let after = after.map(std::time::Duration::from_secs);
        let refused = client::refusal(system, answer.status, after, &answer.body, id.is_none());
        match change.op == Op::Update && answer.status == 404 {
            true => Err(Fault { why: refused.why, ..self.gone(change) }),
            false => Err(fault(refused)),
        }
    }

    /// The ids of changes: as they are known, or asked for where they are not and that may be wrong.
    async fn ids(
        &self,
        changes: &[Change],
        in_doubt: impl Fn(&Change) -> bool,
    ) -> Result<Vec<Result<Option<String>, Fault>>, Fault> {
        let mut ids: Vec<Result<Option<String>, Fault>> =
            changes.iter().map(|change| Ok(change.remote_id.as_deref().map(str::to_owned))).collect();
        let unknown = |change: &Change| change.remote_id.is_none() && in_doubt(change);
        let asked: Vec<usize> = (0..changes.len()).filter(|at| unknown(&changes[*at])).collect();
        let keys: Vec<Key> = asked.iter().map(|at| changes[*at].key.clone()).collect();
        if keys.is_empty() {
            return Ok(ids);
        }
        for (at, found) in asked.into_iter().zip(self.of_keys(&keys, &[]).await?) {
            self.uncertain.remove(&changes[at].key);
            ids[at] = found.map(|found| found.and_then(|current| current.remote_id).map(|id| id.to_string()));
        }
        Ok(ids)
    }

    /// The row of each key; a fault where several have it.
    async fn of_keys(&self, keys: &[Key], columns: &[String]) -> Result<Vec<Result<Option<Current>, Fault>>, Fault> {
        let set = self.set().await?;
        let values: Vec<Vec<Value>> = keys.iter().map(Key::parts).collect();
        let wanted: Vec<String> = self.spec.key.iter().chain(columns).cloned().collect();
        let found = self.holding(&self.spec.key, &values, &wanted).await?;
        let found = found.iter().map(|json| self.current(set, json, &wanted)).collect::<Result<Vec<_>, _>>()?;
        let one = |(values, key): (&Vec<Value>, &Key)| {
            let mut own = found.iter().filter(|current| {
                let same = |(column, value): (&String, &Value)| {
                    current.columns.get(column).is_some_and(|found| typed::same(found, value))
                };
                self.spec.key.iter().zip(values).all(same)
            });
            match (own.next(), own.next()) {
                (_, Some(_)) => Err(Fault::reject(
                    Code("IB0512"),
                    format!("`{}` has several rows with the key {key}", self.spec.table),
                )
                .at_system(self.service.client.system())
                .at_table(&self.spec.table)
                .at_key(key.to_string())
                .fix("give each row a key of its own there, or take another `alternate_key:`")),
                (found, None) => Ok(found.cloned()),
            }
        };
        Ok(values.iter().zip(keys).map(one).collect())
    }
}

/// JSON in which numbers of `Edm.Int64` and `Edm.Decimal` are texts, so that no program reads them as floats.
///
/// *Source*: OData JSON Format 4.0, section 3.2.
const LONG_NUMBERS: &str = "application/json;IEEE754Compatible=true";

/// The body with these columns; and its type, where numbers of more digits than a float has leave as texts.
fn json<'a>(set: &Set, columns: impl Iterator<Item = (&'a str, &'a Value)>) -> (String, Option<&'static str>) {
    let columns: Vec<(&str, &Value)> = columns.collect();
    let is_long = |(name, _): &&(&str, &Value)| set.long.iter().any(|long| long == name);
    if !columns.iter().filter(is_long).any(|(_, value)| has_many_digits(value)) {
        return (body::object(columns), None);
    }
    let as_text = |column: &(&str, &Value)| match column.1 {
        value @ (Value::Int(_) | Value::Decimal(_)) if is_long(&column) => Value::Text(value.to_string()),
        value => value.clone(),
    };
    let texts: Vec<Value> = columns.iter().map(as_text).collect();
    let columns = columns.iter().map(|(name, _)| *name).zip(&texts);
    (body::object(columns), Some(LONG_NUMBERS))
}

/// Whether a program whose numbers are floats may lose some of them.
fn has_many_digits(value: &Value) -> bool {
    const SURE: u128 = 10u128.pow(f64::DIGITS);
    match value {
        Value::Int(number) => u128::from(number.unsigned_abs()) >= SURE,
        Value::Decimal(number) => number.normalize().mantissa().unsigned_abs() >= SURE,
        _ => false,
    }
}

/// Whether a row could not be created because it is there: `409 Conflict`, or `412` from Dynamics.
fn is_there(outcome: &Outcome) -> bool {
    let status = outcome.as_ref().err().and_then(|fault| fault.why.as_ref()).and_then(|why| why.status);
    matches!(status, Some(409 | 412))
}

fn etag(json: &Json) -> Option<Arc<str>> {
    json.get("@odata.etag").and_then(Json::as_str).map(Into::into)
}

impl Sink for Rows {
    fn apply<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        Box::pin(async move {
            let set = self.set().await?;
            for column in changes.iter().flat_map(|change| change.columns.iter()).map(|(name, _)| name) {
                if set.type_of(column.split('.').next().unwrap_or(column)).is_none() {
                    return Err(self.no_column(column));
                }
            }
            let ids = self.ids(changes, |change| change.op == Op::Delete || self.uncertain.has(&change.key)).await?;
            let mut outcomes = self.once(set, changes, &ids).await?;
            // Somebody was faster, or knew the row before us: it is there, and is changed.
            let there: Vec<usize> =
                (0..changes.len()).filter(|at| matches!(ids[*at], Ok(None)) && is_there(&outcomes[*at])).collect();
            if !there.is_empty() {
                let again: Vec<Change> = there.iter().map(|at| changes[*at].clone()).collect();
                let ids = self.ids(&again, |_| true).await?;
                if ids.iter().any(|id| matches!(id, Ok(Some(_)))) {
                    for (at, outcome) in there.into_iter().zip(self.once(set, &again, &ids).await?) {
                        outcomes[at] = outcome;
                    }
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
            let found = self.of_keys(keys, columns).await?;
            // Which of several rows is meant, nobody knows: what is written to it is refused by `apply`.
            let own = |current: Current| {
                let (schema, row) = (current.columns.schema().clone(), current.columns);
                let kept = schema.columns().iter().filter(|column| columns.contains(&column.name.to_string()));
                let kept: Vec<record::Column> = kept.cloned().collect();
                let values = kept.iter().map(|column| row.get(&column.name).cloned().unwrap_or_default()).collect();
                Current { columns: Row::new(Schema::new(kept), values), ..current }
            };
            Ok(found.into_iter().map(|found| found.unwrap_or(None).map(own)).collect())
        })
    }

    fn find<'a>(
        &'a self,
        by: &'a [String],
        values: &'a [Vec<Value>],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Vec<Current>>, Fault>> {
        Box::pin(async move {
            let set = self.set().await?;
            let wanted: Vec<String> = by.iter().chain(columns).cloned().collect();
            let rows = self.holding(by, values, &wanted).await?;
            let rows = rows.iter().map(|json| self.current(set, json, &wanted)).collect::<Result<Vec<_>, _>>()?;
            let own = |values: &Vec<Value>| {
                let holds = |current: &&Current| {
                    by.iter().zip(values).all(|(column, value)| {
                        current.columns.get(column).is_some_and(|found| typed::same(found, value))
                    })
                };
                rows.iter().filter(holds).cloned().collect()
            };
            Ok(values.iter().map(own).collect())
        })
    }

    fn rows_per_chunk(&self) -> usize {
        ROWS_PER_CHUNK
    }

    fn key_rules(&self) -> KeyRules {
        http::KEY_RULES
    }
}

impl Rows {
    /// Sends changes once. *Shape*: one outcome for each, in order.
    async fn once(
        &self,
        set: &Set,
        changes: &[Change],
        ids: &[Result<Option<String>, Fault>],
    ) -> Result<Vec<Outcome>, Fault> {
        let (mut parts, mut sent) = (Vec::new(), Vec::new());
        let mut outcomes: Vec<Option<Outcome>> = vec![None; changes.len()];
        for (at, (change, id)) in changes.iter().zip(ids).enumerate() {
            match id {
                Err(fault) => outcomes[at] = Some(Err(fault.clone())),
                Ok(None) if change.op == Op::Delete => {
                    let (effect, remote_id) = (Effected::Unchanged, None);
                    outcomes[at] = Some(Ok(Written { effect, remote_id, version: None, returned: None }));
                }
                Ok(None) if change.op == Op::Update => outcomes[at] = Some(Err(self.gone(change))),
                Ok(id) => {
                    parts.push(self.part(set, change, id.as_deref()));
                    sent.push((at, id.as_deref()));
                }
            }
        }
        let answers = match parts.is_empty() {
            true => Vec::new(),
            false => self.send(&parts).await.inspect_err(|fault| {
                if fault.effect == Effect::Unknown {
                    let created = sent.iter().filter(|(_, id)| id.is_none());
                    created.for_each(|(at, _)| self.uncertain.add(&changes[*at].key));
                }
            })?,
        };
        for (which, (at, id)) in sent.iter().enumerate() {
            let change = &changes[*at];
            let outcome = match answers.get(which) {
                Some(answer) => self.settled(set, change, *id, answer),
                // The answer was cut, or the service stopped at the one before.
                None => Err(Fault::retry(Code("IB0509"), "the batch was not answered to its end", None)
                    .scope(Scope::Row)
                    .effect_unknown()
                    .at_system(self.service.client.system())
                    .at_key(change.key.to_string())
                    .fix("nothing: it is asked whether the row is there, before the request is repeated")),
            };
            if id.is_none() && outcome.as_ref().is_err_and(|fault| fault.effect == Effect::Unknown) {
                self.uncertain.add(&change.key);
            }
            outcomes[*at] = Some(outcome);
        }
        Ok(outcomes.into_iter().map(|outcome| outcome.expect("each change was sent or settled")).collect())
    }

    /// One `$batch`. *Shape*: one answer for each part, in order; fewer where the service stopped.
    async fn send(&self, parts: &[Part]) -> Result<Vec<PartAnswer>, Fault> {
        let client = &self.service.client;
        let boundary = format!("batch_{}", uuid::Uuid::new_v4());
        let (content_type, body) = batch::write(parts, &boundary, "");
        let sent = Sent {
            body: Some(String::from_utf8_lossy(&body).into_owned()),
            content_type: Some(content_type),
            headers: vec![
                ("Accept".to_owned(), "multipart/mixed".to_owned()),
                ("Prefer".to_owned(), "odata.continue-on-error".to_owned()),
                ("OData-Version".to_owned(), "4.0".to_owned()),
            ],
        };
        let path = format!("/$batch{}", self.query());
        let answer = client.send(&Method::POST, &path, sent).await?.unwrap_or_default();
        let content_type = answer.content_type.unwrap_or_default();
        batch::read(&content_type, &answer.text.into_bytes().into()).ok_or_else(|| {
            Fault::stop(Code("IB0510"), format!("`{}` did not answer its `$batch` with parts", client.system()))
                .at_system(client.system())
                .effect_unknown()
                .fix("look whether `connection: url` is the root of an OData service that takes batches")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odata::metadata::Metadata;

    const CSDL: &str = r#"<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
 <Schema Namespace="sample" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="numbered" Abstract="true"><Property Name="id" Type="Edm.Int64"/></EntityType>
  <EntityType Name="thing" BaseType="sample.numbered"><Property Name="total" Type="Edm.Decimal" Scale="variable"/>
   <Property Name="rate" Type="Edm.Double"/><Property Name="note" Type="Edm.String"/></EntityType>
  <EntityContainer Name="Service"><EntitySet Name="things" EntityType="sample.thing"/></EntityContainer>
 </Schema></edmx:DataServices></edmx:Edmx>"#;

    #[test]
    fn numbers_that_a_float_does_not_hold_leave_as_texts() {
        let told = Metadata::read(CSDL).unwrap();
        let set = told.set("things").unwrap();
        let check = |id: i64, total: &str, is_long: bool, expected: &str| {
            let total = Value::Decimal(total.parse().unwrap());
            let columns = [("id", &Value::Int(id)), ("total", &total), ("rate", &total), ("note", &Value::text("1"))];
            let content_type = is_long.then_some(LONG_NUMBERS);
            assert_eq!(json(set, columns.into_iter()), (expected.to_owned(), content_type));
        };
        check(7, "12.50", false, r#"{"id":7,"total":12.50,"rate":12.50,"note":"1"}"#);
        check(999_999_999_999_999, "0.1", false, r#"{"id":999999999999999,"total":0.1,"rate":0.1,"note":"1"}"#);
        check(i64::MIN, "0.1", true, r#"{"id":"-9223372036854775808","total":"0.1","rate":0.1,"note":"1"}"#);
        let money = "12345678901234.56";
        check(-7, money, true, &format!(r#"{{"id":"-7","total":"{money}","rate":{money},"note":"1"}}"#));
        check(
            0,
            "1000000000000000000000.00",
            true,
            r#"{"id":"0","total":"1000000000000000000000.00","rate":1000000000000000000000.00,"note":"1"}"#,
        );
    }
}
