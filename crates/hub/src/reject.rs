//! A row that cannot be written becomes a dead letter.

use mapping::Explained;
use record::{Fault, Key, Row, Value};
use serde_json::json;
use store::dead_letters::Rejection;
use store::ledger::{Entry, State};
use store::queue::Problem;
use store::runs::RunId;

use crate::json;
use crate::pair::Pair;
use crate::parents::Parent;

/// A rejected row, before it is recorded.
#[derive(Debug, Clone)]
pub(crate) struct Rejected {
    /// The entity's key, or one made of the row's content where it has none.
    pub key: Key,
    pub source_hash: u128,
    pub faults: Vec<Fault>,
    pub source: Row,
    pub fields: Vec<Explained>,
    /// The destination's id, where an earlier version of the row was written.
    pub remote_id: Option<String>,
    /// The rows that it points to and that the hub has not written: once one of them is, this one is tried again.
    pub parents: Vec<Parent>,
    /// What the ledger has of it in the destination from now on: see [`store::ledger::Entry::standing`]. `None` where it
    /// keeps what it has: the row was written, and what is wrong with it now came later.
    pub standing: Option<u128>,
}

/// Where the detail of a dead letter names the rows that it waits for.
const PARENTS: &str = "waits_for";

/// The rows that a dead letter waits for, from its detail.
pub(crate) fn parents_in(detail: &str) -> Vec<Parent> {
    let detail: serde_json::Value = serde_json::from_str(detail).unwrap_or_default();
    let parent = |parent: &serde_json::Value| {
        Some((parent["entity"].as_str()?.to_owned(), Key::from_bytes(&bytes(parent["key"].as_str()?)?).ok()?))
    };
    detail[PARENTS].as_array().into_iter().flatten().filter_map(parent).collect()
}

/// The bytes of a key as a detail holds them.
pub(crate) fn hex(key: &Key) -> String {
    key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn bytes(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()).collect()
}

/// The name of a row that has no key: it stays the same as long as the row does.
pub(crate) fn keyless(source_hash: u128) -> Key {
    let name = Value::Text(format!("(no key) {:012x}", source_hash >> 80));
    Key::of([&name]).expect("the text is not blank")
}

impl Rejected {
    /// What the ledger has of it from now on; nothing where it keeps what it has.
    pub fn entry(&self, pair: &Pair) -> Option<Entry> {
        Some(Entry {
            key: self.key.clone(),
            source_hash: self.source_hash,
            content_hash: self.standing?,
            mapping: pair.fingerprint(),
            state: State::Rejected,
            generation: 0,
            remote_id: self.remote_id.clone(),
            version: None,
        })
    }

    pub fn into_dead_letter(self, integration: &str, pair: &Pair, run: RunId) -> Rejection {
        Rejection {
            integration: integration.to_owned(),
            entity: pair.entity.name.to_string(),
            record: json::row(&self.source, &pair.read.personal_columns()).into_bytes(),
            problem: self.problem(pair),
            run: Some(run),
            key: self.key,
        }
    }

    /// Why the row cannot be written, in parts that a person can act on.
    pub fn problem(&self, pair: &Pair) -> Problem {
        let first = self.faults.first().expect("a row is rejected for a reason");
        let fields: Vec<_> = self
            .fields
            .iter()
            .map(|field| {
                // A field of the entity, or a column that it is written to.
                let of_entity = pair.entity.field(&field.target).is_some_and(|f| f.personal);
                let personal = of_entity || pair.write.is_personal(&field.target);
                let value = match &field.value {
                    Ok(value) if personal && !value.is_blank() => json!("***"),
                    Ok(value) => json!(value.to_string()),
                    Err(_) if personal => json!({ "error": "a personal field: not shown" }),
                    Err(why) => json!({ "error": why }),
                };
                json!({ "field": field.target, "formula": field.formula, "at": field.origin, "value": value })
            })
            .collect();
        let faults: Vec<_> = self.faults.iter().map(json::fault).collect();
        let place = [
            first.place.system.as_deref().unwrap_or(&pair.to),
            first.place.table.as_deref().unwrap_or_default(),
            first.place.column.as_deref().unwrap_or_default(),
            first.place.formula.as_deref().unwrap_or_default(),
        ];
        let place: Vec<&str> = place.into_iter().filter(|part| !part.is_empty()).collect();
        let mut detail = json!({ "faults": faults, "fields": fields });
        if !self.parents.is_empty() {
            let parent = |(entity, key): &Parent| json!({ "entity": entity, "key": hex(key), "name": key.to_string() });
            detail[PARENTS] = self.parents.iter().map(parent).collect();
        }
        Problem {
            code: first.code.to_string(),
            what: first.what.clone(),
            place: place.join(" · "),
            why: first.why.as_ref().map(|why| why.to_string()).unwrap_or_default(),
            fix: first.fix.clone(),
            detail: detail.to_string(),
        }
    }
}
