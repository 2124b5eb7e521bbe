//! Creating many rows by one request.
//!
//! `CreateMultiple` takes rows of one table, all or nothing, and of a refusal it says neither which row it was nor
//! whether the others are fine. So it is only for rows that nobody knows, of tables with an active alternate key, which
//! keeps a row that is there from being made a second time. What is refused so is written row by row afterwards.
//!
//! *Source*: "Use bulk operation messages": standard tables roll back as a whole, elastic ones do not, and not every
//! table has the message; `sdkmessagefilters` says which.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use record::{Attempt, BoxFuture, Change, Effect, Effected, Fault, Key, Op, Reference, Value, Written};
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use super::Rows;
use crate::client::Call;
use crate::json;
use crate::refusal::{self, WRITE};
use crate::table::Table;

/// Whether rows of a table are created many at a time.
#[derive(Default)]
pub(super) struct Many {
    /// The table has the message, and takes it all or nothing.
    offered: OnceCell<bool>,
    done: AtomicUsize,
    refused: AtomicUsize,
}

/// So many requests may be refused before the balance counts: each of them costs its rows a second way.
const REFUSED_MAX: usize = 32;

impl Many {
    /// Where most of the rows are there already, or one in each request is bad, trying costs more than it saves.
    pub fn is_worth_it(&self) -> bool {
        let refused = self.refused.load(Ordering::Relaxed);
        let offered = self.offered.get().copied().unwrap_or(true);
        offered && (refused <= REFUSED_MAX || refused <= self.done.load(Ordering::Relaxed))
    }
}

/// Rows of one request, with their places among the changes.
struct Request {
    at: Vec<usize>,
    body: Bytes,
}

type Tried = (Request, Result<Vec<Attempt>, Fault>);

impl Rows {
    pub(super) async fn create_many(&self, changes: &[Change]) -> Result<Vec<Attempt>, Fault> {
        let mut answers = vec![Attempt::Not; changes.len()];
        let per_request = self.client.config().rows_per_create;
        if per_request == 0 || !self.many.is_worth_it() {
            return Ok(answers);
        }
        let table = self.table().await?;
        self.check_key(&table)?;
        if !self.offered(&table).await? {
            return Ok(answers);
        }
        self.learn(changes).await?;
        let apart = self.apart_from_each_other(changes);
        let too_fine = self.too_fine(&table, changes).await?;
        let fits = |at: &usize| {
            let change = &changes[*at];
            // A row that is born closed is made first and closed then.
            let closed =
                |name: &str, value: &Value| name == "statecode" && !value.is_blank() && value.to_string() != "0";
            let own_ways = change.columns.iter().any(|(name, value)| self.is_lines(name) || closed(name, value));
            change.op == Op::Upsert
                && change.remote_id.is_none()
                && !own_ways
                && !apart.contains(at)
                && too_fine[*at].is_none()
        };
        let fitting: Vec<usize> = (0..changes.len()).filter(fits).collect();
        let mut calls: Vec<BoxFuture<'_, Tried>> = Vec::new();
        for at in fitting.chunks(per_request) {
            calls.push(Box::pin(self.send_many(&table, changes, at)));
        }
        // A body is made when its turn comes, while the service works on those before.
        let results: Vec<Tried> = stream::iter(calls).buffered(self.client.at_once()).collect().await;
        let nothing_written = |result: &Result<Vec<Attempt>, Fault>| matches!(result, Err(fault) if fault.is_transient() && fault.effect == Effect::None);
        if results.iter().all(|(_, result)| nothing_written(result))
            && let Some((_, Err(fault))) = results.first()
        {
            return Err(fault.clone().at_table(&table.name));
        }
        for (request, result) in results {
            let effect = result.as_ref().err().map(|fault| fault.effect);
            match (result, effect) {
                (Ok(attempts), _) => {
                    self.many.done.fetch_add(1, Ordering::Relaxed);
                    request.at.iter().zip(attempts).for_each(|(at, attempt)| answers[*at] = attempt);
                }
                (Err(_), Some(Effect::Unknown)) => request.at.iter().for_each(|at| answers[*at] = Attempt::Unknown),
                (Err(fault), _) => {
                    // A pace that is too fast says nothing about the rows.
                    self.many.refused.fetch_add(usize::from(!fault.is_transient()), Ordering::Relaxed);
                }
            }
        }
        Ok(answers)
    }

    /// Whether the table takes the message, all or nothing. Asked once.
    async fn offered(&self, table: &Table) -> Result<bool, Fault> {
        let ask = || async {
            let name = odata::encode(&table.name.replace('\'', "''"));
            let kind = format!("EntityDefinitions(LogicalName='{name}')?$select=LogicalName,TableType");
            let filter = format!("sdkmessageid/name eq 'CreateMultiple' and primaryobjecttypecode eq '{}'", table.name);
            let filters =
                format!("sdkmessagefilters?$select=sdkmessagefilterid&$top=1&$filter={}", odata::encode(&filter));
            for (url, takes) in [(kind, is_standard as fn(&[u8]) -> bool), (filters, has_row)] {
                let answer = self.client.send(&Call::get(url, WRITE)).await?;
                match answer.status {
                    200 if takes(&answer.body) => {}
                    // A user who may not see it does without.
                    200 | 400 | 403 | 404 => return Ok(false),
                    _ => return Err(refusal::of_answer(&answer, WRITE).at_system(self.client.system())),
                }
            }
            Ok(true)
        };
        self.many.offered.get_or_try_init(ask).await.copied()
    }

    /// Learns the ids of the rows that these point to, where no URL can name them.
    async fn learn(&self, changes: &[Change]) -> Result<(), Fault> {
        let parts: Vec<Vec<Value>> = changes.iter().map(|change| change.key.parts()).collect();
        let values = changes.iter().flat_map(|change| change.columns.values()).chain(parts.iter().flatten());
        let references: Vec<&Reference> =
            values.filter_map(|v| if let Value::Reference(to) = v { Some(&**to) } else { None }).collect();
        self.ids.learn(&self.client, &references, false, WRITE).await
    }

    /// The rows that point to others which are to be created with them: in which order is not promised.
    fn apart_from_each_other(&self, changes: &[Change]) -> HashSet<usize> {
        let rules = self.client.key_rules();
        let keys: HashSet<Key> = changes.iter().map(|change| change.key.folded(rules)).collect();
        let among = |value: &Value| {
            let Value::Reference(to) = value else { return false };
            if *to.of != *self.spec.table {
                return false;
            }
            let part = |column: &String| to.key.iter().find(|(name, _)| **name == **column).map(|(_, part)| part);
            let parts: Option<Vec<&Value>> = self.spec.key.iter().map(part).collect();
            // What is pointed to by other columns might be any row.
            let key = parts.filter(|parts| parts.len() == to.key.len()).and_then(|parts| Key::of(parts).ok());
            key.is_none_or(|key| keys.contains(&key.folded(rules)))
        };
        (0..changes.len()).filter(|at| changes[*at].columns.values().iter().any(among)).collect()
    }

    async fn send_many(&self, table: &Table, changes: &[Change], at: &[usize]) -> Tried {
        let request = self.request(table, changes, at);
        if request.at.is_empty() {
            return (request, Ok(Vec::new()));
        }
        let call = Call {
            method: reqwest::Method::POST,
            url: format!("{}/Microsoft.Dynamics.CRM.CreateMultiple", table.set),
            headers: Vec::new(),
            body: Some(("application/json".to_owned(), request.body.clone())),
            codes: WRITE,
        };
        let answer = match self.client.ask(&call, &table.name).await {
            Ok(answer) => answer,
            Err(fault) => return (request, Err(fault)),
        };
        let created = |id: String| {
            Attempt::Created(Written {
                effect: Effected::Created,
                remote_id: Some(id.into()),
                version: None,
                returned: None,
            })
        };
        // Anything else is an answer that cannot be told from a lost one.
        let attempts = match ids(&answer.body) {
            Some(ids) if ids.len() == request.at.len() => ids.into_iter().map(created).collect(),
            _ => vec![Attempt::Unknown; request.at.len()],
        };
        (request, Ok(attempts))
    }

    /// The body, with the rows that have one; what is wrong with the others is told where they are written alone.
    fn request(&self, table: &Table, changes: &[Change], at: &[usize]) -> Request {
        let body = self.body();
        // As long as most rows are, or nearly.
        let mut text = String::with_capacity(64 + 256 * at.len());
        text.push_str("{\"Targets\":[");
        let mut placed = Vec::with_capacity(at.len());
        for &at in at {
            let (start, change) = (text.len(), &changes[at]);
            if start > "{\"Targets\":[".len() {
                text.push(',');
            }
            text.push_str("{\"@odata.type\":\"Microsoft.Dynamics.CRM.");
            text.push_str(&table.name);
            text.push('"');
            let mut key = self.spec.key.iter().map(String::as_str).zip(change.key.parts());
            let mut columns = change.columns.iter().filter(|(name, _)| !self.spec.key.iter().any(|key| key == name));
            let mut add = |name: &str, value: &Value| {
                text.push(',');
                body.append(&mut text, table, name, value)
            };
            let members = key.try_for_each(|(name, value)| add(name, &value));
            let members = members.and_then(|()| columns.try_for_each(|(name, value)| add(name, value)));
            match members {
                Ok(()) => {
                    text.push('}');
                    placed.push(at);
                }
                Err(_) => text.truncate(start),
            }
        }
        text.push_str("]}");
        Request { at: placed, body: text.into() }
    }
}

fn is_standard(body: &[u8]) -> bool {
    let kind = json::object(body).and_then(|object| object.get("TableType").and_then(|raw| json::string(raw)));
    kind.as_deref() == Some("Standard")
}

fn has_row(body: &[u8]) -> bool {
    json::object(body).and_then(|object| json::rows(object.get("value")?).map(|rows| !rows.is_empty())).unwrap_or(false)
}

/// `{"Ids":["…",…]}`
fn ids(body: &[u8]) -> Option<Vec<String>> {
    let object = json::object(body)?;
    let list: &RawValue = object.get("Ids")?;
    serde_json::from_str(list.get()).ok()
}
