//! Which record a message is about, as far as it says so itself or the hub remembers the row: for people, who know a record
//! by its key. Nothing decides by it.

use definition::{Pattern, Project};
use mapping::fit;
use record::{Key, Value};
use serde_json::Value as Json;
use store::Store;
use store::queue::Message;

use super::order::MadeKey;
use super::remove::remembered;
use super::route::{at, row_in};
use crate::json;

/// The key of the record. Nothing where only its id in the source is told, and the hub does not remember that.
///
/// *Errors*: of our own state.
pub fn key_of(project: &Project, store: &Store, message: &Message) -> Result<Option<Key>, store::Error> {
    if message.key.is_some() {
        return Ok(message.key.clone());
    }
    let integration = message.integration.as_deref().and_then(|name| project.integration(name));
    let Some(Pattern::Event(event)) = integration.map(|integration| &integration.pattern) else { return Ok(None) };
    let (Some(entity), Some(system)) = (project.entity(&event.entity), project.system(&event.from)) else {
        return Ok(None);
    };
    let body: Json = serde_json::from_slice(&message.body).unwrap_or_default();
    let columns = system.entity(&event.entity).and_then(|held| held.key_columns(entity)).unwrap_or_default();
    let said = |column: &String| at(row_in(&body), column).or_else(|| attribute(&body, column)).map(json::value);
    let values: Option<Vec<Value>> = columns.iter().map(said).collect();
    let typed = values.filter(|values| !values.is_empty()).and_then(|values| {
        let fields = entity.key.iter().map(|field| entity.field(field));
        let fit =
            |(field, value): (Option<&record::EntityField>, &Value)| fit::fit(value.as_ref(), &field?.ty, None).ok();
        let values: Option<Vec<Value>> = fields.zip(&values).map(fit).collect();
        Key::of(&values?).ok()
    });
    // A context of Dynamics is no row.
    let is_row = columns.is_empty() && system.kind.name != "dataverse";
    let made = || {
        let held = system.entity(&event.entity).filter(|_| is_row)?;
        MadeKey::of(project, system, held, entity)?.key(row_in(&body))
    };
    if let Some(key) = typed.or_else(made) {
        return Ok(Some(key));
    }
    // What a sweep sends, and what Dynamics does.
    let Some(id) = body["id"].as_str().or_else(|| body["PrimaryEntityId"].as_str()) else { return Ok(None) };
    let id = id.parse().map_or_else(|_| Value::text(id), Value::Guid);
    remembered(store, &event.from, &event.entity, &id)
}

/// An attribute of the row that a context of Dynamics carries: what was written, or an image.
fn attribute<'j>(context: &'j Json, column: &str) -> Option<&'j Json> {
    let parts =
        ["InputParameters", "PostEntityImages", "PreEntityImages"].into_iter().filter_map(|part| context.get(part));
    let pairs = parts.filter_map(Json::as_array).flatten();
    let attributes = pairs.filter_map(|pair| pair["value"]["Attributes"].as_array()).flatten();
    attributes.filter(|attribute| attribute["key"] == column).map(|attribute| &attribute["value"]).next()
}
