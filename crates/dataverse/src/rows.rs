//! Finding rows: by their keys, and the rows that lookups point to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use record::{BoxFuture, Fault, Key, Reference, Value};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::client::Client;
use crate::json::{self, Object};
use crate::refusal::{self, Codes};
use crate::table::{Attribute, Kind, Table};
use crate::{address, value};
use odata::batch::Part;

/// Keys in one `$filter`; and its length, which must stay below the 64 KB of a URL in a batch.
const KEYS_PER_FILTER: usize = 50;
const FILTER_BYTES_MAX: usize = 16 << 10;
const PARTS_PER_BATCH: usize = 20;

/// A lookup to several tables says beside its id which one it is.
pub(crate) const LOOKUP_TABLES: &str = "odata.include-annotations=\"Microsoft.Dynamics.CRM.lookuplogicalname\"";

/// One row as the service gave it: each member as its own text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    members: HashMap<String, Box<RawValue>>,
}

impl Found {
    pub fn of(raw: &RawValue) -> Option<Found> {
        let object: Object<'_> = json::object(raw.get().as_bytes())?;
        Some(Found { members: object.into_iter().map(|(k, v)| (k.into_owned(), v.to_owned())).collect() })
    }

    pub fn raw(&self, name: &str) -> Option<&RawValue> {
        self.members.get(name).map(|raw| &**raw)
    }

    pub fn text(&self, name: &str) -> Option<String> {
        json::string(self.raw(name)?)
    }

    pub fn id(&self, table: &Table) -> Option<Arc<str>> {
        self.text(&table.primary_id).map(Into::into)
    }

    /// The row's version, for `If-Match`.
    pub fn version(&self) -> Option<Arc<str>> {
        self.text("@odata.etag").map(Into::into)
    }
}

/// The rows with these values in these columns, in the order asked, with these properties.
///
/// *Shape*: the first one where several rows have a key.
pub(crate) async fn by_key(
    client: &Client,
    table: &Table,
    names: &[String],
    keys: &[Vec<Value>],
    select: &[String],
    codes: Codes,
) -> Result<Vec<Vec<Found>>, Fault> {
    let mut properties: Vec<String> = names.iter().filter_map(|n| table.column(n)).map(Attribute::property).collect();
    properties.extend(select.iter().cloned());
    properties.push(table.primary_id.clone());
    properties.sort();
    properties.dedup();
    let select = properties.join(",");

    let mut filters: Vec<String> = Vec::new();
    let mut count = 0;
    for key in keys {
        let Some(one) = address::filter(table, names, key) else { continue };
        match filters.last_mut() {
            Some(last) if count < KEYS_PER_FILTER && last.len() + one.len() < FILTER_BYTES_MAX / 3 => {
                last.push_str(&format!(" or ({one})"));
                count += 1;
            }
            _ => {
                filters.push(format!("({one})"));
                count = 1;
            }
        }
    }
    let part = |filter: &String| Part {
        method: "GET",
        url: format!("{}?$select={select}&$filter={}", table.set, odata::encode(filter)),
        headers: vec![("Prefer", LOOKUP_TABLES.to_owned())],
        body: None,
    };
    let parts: Vec<Part> = filters.iter().map(part).collect();
    let mut calls: Vec<BoxFuture<'_, Result<Vec<Found>, Fault>>> = Vec::new();
    for parts in parts.chunks(PARTS_PER_BATCH) {
        calls.push(Box::pin(get_all(client, table, parts, codes)));
    }
    let found: Vec<Vec<Found>> = stream::iter(calls).buffered(client.at_once()).try_collect().await?;

    // The filter finds also what only looks alike (`_` and `%` are wildcards), so the key is compared again here.
    let mut by_key: HashMap<String, Vec<Found>> = HashMap::new();
    for row in found.into_iter().flatten() {
        let own: Option<Vec<Value>> = names
            .iter()
            .map(|name| {
                let column = table.column(name)?;
                value::read(row.raw(&column.property())?, column).ok()
            })
            .collect();
        if let Some(own) = own {
            by_key.entry(folded(table, names, &own)).or_default().push(row);
        }
    }
    Ok(keys.iter().map(|key| by_key.get(&folded(table, names, key)).cloned().unwrap_or_default()).collect())
}

/// A key as the service compares it, as a text that serves only to compare.
fn folded(table: &Table, names: &[String], values: &[Value]) -> String {
    let part = |(name, value): (&String, &Value)| match table.column(name) {
        Some(column) => match value::literal(value, column) {
            Some(literal) => match column.kind {
                Kind::Text { .. } => {
                    let text = Value::text(literal.trim_matches('\''));
                    Key::of([&text]).map(|key| key.folded(table.rules).to_string()).unwrap_or_default()
                }
                // 5 and 5.00 are one number.
                Kind::Decimal { .. } | Kind::Money { .. } => {
                    literal.parse::<record::Decimal>().map(|n| n.normalize().to_string()).unwrap_or(literal)
                }
                _ => literal,
            },
            None => String::new(),
        },
        None => String::new(),
    };
    names.iter().zip(values).map(part).collect::<Vec<_>>().join("\u{1f}")
}

async fn get_all(client: &Client, table: &Table, parts: &[Part], codes: Codes) -> Result<Vec<Found>, Fault> {
    let answers = client.batch(parts, codes).await?;
    if answers.len() < parts.len() {
        return Err(Fault::retry(record::Code(codes.lost), "the answer was cut before all rows had come", None)
            .at_system(client.system())
            .at_table(&table.name)
            .fix("nothing: it is asked for again"));
    }
    let mut rows = Vec::new();
    for answer in answers {
        if answer.status == 404 {
            continue;
        }
        if answer.status != 200 {
            let wait = answer.header("retry-after").and_then(crate::client::parse_retry_after);
            let why = refusal::words(answer.status, &answer.body, answer.header("req_id").map(str::to_owned));
            let mut fault = refusal::of(why, wait, codes).at_system(client.system()).at_table(&table.name);
            fault.scope = record::Scope::Destination;
            return Err(fault);
        }
        let body = json::object(&answer.body).ok_or_else(|| rubbish(client, table, codes))?;
        match body.get("value") {
            Some(list) => {
                let list = json::rows(list).ok_or_else(|| rubbish(client, table, codes))?;
                rows.extend(list.into_iter().filter_map(Found::of));
            }
            // A single row.
            None => rows.extend(serde_json::from_slice::<&RawValue>(&answer.body).ok().and_then(Found::of)),
        }
    }
    Ok(rows)
}

/// Which references name no row, or several, in the order asked.
pub(crate) async fn missing(client: &Client, references: &[&Reference], codes: Codes) -> Result<Vec<bool>, Fault> {
    let mut groups: HashMap<(&str, Vec<String>), Vec<usize>> = HashMap::new();
    for (at, reference) in references.iter().enumerate() {
        let names = reference.key.iter().map(|(name, _)| name.to_string()).collect();
        groups.entry((&*reference.of, names)).or_default().push(at);
    }
    let mut missing = vec![true; references.len()];
    for ((of, names), places) in groups {
        let table = client.table(of, codes).await?;
        let values = |at: &usize| references[*at].key.iter().map(|(_, value)| value.clone()).collect();
        let keys: Vec<Vec<Value>> = places.iter().map(values).collect();
        let found = by_key(client, &table, &names, &keys, &[], codes).await?;
        for (at, rows) in places.into_iter().zip(found) {
            missing[at] = rows.len() != 1;
        }
    }
    Ok(missing)
}

pub(crate) fn rubbish(client: &Client, table: &Table, codes: Codes) -> Fault {
    Fault::retry(record::Code(codes.rubbish), "the answer is not what the Web API answers", None)
        .at_system(client.system())
        .at_table(&table.name)
        .fix("check that `url` is the address of a Dataverse environment, and that no proxy stands before it")
}

/// The ids of rows by what a lookup says of them, remembered: an id stays what it is.
#[derive(Default)]
pub(crate) struct Ids {
    known: Mutex<HashMap<String, Arc<str>>>,
}

const IDS_MAX: usize = 100_000;

impl Ids {
    /// Learns the ids of those references that no URL can name: those by columns that are no alternate key, or whose
    /// values hold characters that a URL must not. With `all`, of every reference.
    pub async fn learn(
        &self,
        client: &Client,
        references: &[&Reference],
        all: bool,
        codes: Codes,
    ) -> Result<(), Fault> {
        let mut groups: HashMap<(String, Vec<String>), Vec<Vec<Value>>> = HashMap::new();
        for reference in references {
            let names: Vec<String> = reference.key.iter().map(|(name, _)| name.to_string()).collect();
            let values: Vec<Value> = reference.key.iter().map(|(_, value)| value.clone()).collect();
            let table = client.table(&reference.of, codes).await?;
            if self.known.lock().contains_key(&name_of(&table, reference)) {
                continue;
            }
            let direct = !all && table.active_key(&names) && address::by_key(&table, &names, &values).is_some();
            if !direct {
                groups.entry((reference.of.to_string(), names)).or_default().push(values);
            }
        }
        for ((of, names), mut keys) in groups {
            let table = client.table(&of, codes).await?;
            let mut seen = HashSet::new();
            keys.retain(|key| seen.insert(folded(&table, &names, key)));
            let found = by_key(client, &table, &names, &keys, &[], codes).await?;
            let mut known = self.known.lock();
            if known.len() > IDS_MAX {
                known.clear();
            }
            for (key, rows) in keys.into_iter().zip(found) {
                // Several rows are no answer: the reference stays unknown, and its row is refused with that reason.
                if let [row] = rows.as_slice()
                    && let Some(id) = row.id(&table)
                {
                    let key = names.iter().map(|name| name.as_str().into()).zip(key).collect();
                    known.insert(name_of(&table, &Reference { of: of.as_str().into(), key }), id);
                }
            }
        }
        Ok(())
    }

    /// `/accounts(accountnumber='C-1')` or `/accounts(6f96…)`, for a bind.
    ///
    /// *Errors*: one sentence, where the row cannot be named.
    pub fn bind(&self, table: &Table, reference: &Reference) -> Result<String, String> {
        let names: Vec<String> = reference.key.iter().map(|(name, _)| name.to_string()).collect();
        let values: Vec<Value> = reference.key.iter().map(|(_, value)| value.clone()).collect();
        if let ([name], [Value::Guid(id)]) = (names.as_slice(), values.as_slice())
            && *name == table.primary_id
        {
            return Ok(format!("/{}", address::by_id(table, &id.to_string())));
        }
        if table.active_key(&names)
            && let Some(address) = address::by_key(table, &names, &values)
        {
            return Ok(format!("/{address}"));
        }
        match self.known.lock().get(&name_of(table, reference)) {
            Some(id) => Ok(format!("/{}", address::by_id(table, id))),
            None => Err(no_single(reference)),
        }
    }

    /// The id of the row, once it was learned.
    ///
    /// *Errors*: one sentence, where there is no such row, or several.
    pub fn id(&self, table: &Table, reference: &Reference) -> Result<Uuid, String> {
        if let [(name, Value::Guid(id))] = reference.key.as_slice()
            && **name == *table.primary_id
        {
            return Ok(*id);
        }
        let known = self.known.lock().get(&name_of(table, reference)).and_then(|id| id.parse().ok());
        known.ok_or_else(|| no_single(reference))
    }
}

/// A reference as the service compares it, as a text that serves only to compare.
fn name_of(table: &Table, reference: &Reference) -> String {
    let names: Vec<String> = reference.key.iter().map(|(name, _)| name.to_string()).collect();
    let values: Vec<Value> = reference.key.iter().map(|(_, value)| value.clone()).collect();
    format!("{}({})={}", table.name, names.join(","), folded(table, &names, &values))
}

fn no_single(reference: &Reference) -> String {
    format!("there is no row, or there are several, for {reference}")
}

/// Turns the ids in lookups into references by business key, remembering what it saw.
#[derive(Default)]
pub(crate) struct Names {
    known: Mutex<HashMap<String, Arc<Found>>>,
}

impl Names {
    /// The rows with these ids of one table, with these properties.
    pub async fn rows(
        &self,
        client: &Client,
        table: &Table,
        ids: &[String],
        properties: &[String],
        codes: Codes,
    ) -> Result<HashMap<String, Arc<Found>>, Fault> {
        let select = properties.join(",");
        let name = |id: &str| format!("{}({id})?{select}", table.set);
        let mut missing: Vec<&String> = ids.iter().filter(|id| !self.known.lock().contains_key(&name(id))).collect();
        missing.sort();
        missing.dedup();
        let column = table.primary_id.clone();
        let keys: Vec<Vec<Value>> =
            missing.iter().filter_map(|id| id.parse().ok()).map(|id| vec![Value::Guid(id)]).collect();
        let found = by_key(client, table, &[column], &keys, properties, codes).await?;
        let mut known = self.known.lock();
        if known.len() > IDS_MAX {
            known.clear();
        }
        let mut answer = HashMap::new();
        for row in found.into_iter().flatten() {
            if let Some(id) = row.id(table) {
                known.insert(name(&id), Arc::new(row));
            }
        }
        for id in ids {
            if let Some(row) = known.get(&name(id)) {
                answer.insert(id.clone(), row.clone());
            }
        }
        Ok(answer)
    }
}
