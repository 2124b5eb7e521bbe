//! The `RemoteExecutionContext`: what a notice says of a change.

use rusqlite::OptionalExtension;
use rusqlite::types::{Value, ValueRef};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::Post;
use super::steps::{Auth, Step};
use crate::dataverse::builtin;
use crate::dataverse::engine::{Deed, Engine};
use crate::dataverse::json::Writer;
use crate::dataverse::model::{Behaviour, Column, Kind, Table};
use crate::dataverse::payload::Cell;
use crate::dataverse::refusal::Answer;
use crate::dataverse::storage::{blob, primary_name, sql_column};
use crate::dataverse::value;
use crate::dataverse::write::Caller;

/// A body larger than this loses its parameters and images, and says so in a header.
const BODY_BYTES_MAX: usize = 256 * 1024;

const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";

/// The `Target` of a message: what was submitted and what the platform added, or for a deletion where the row was.
pub(super) fn target(engine: &Engine, table: &Table, deed: Deed, id: Uuid, cells: &[Cell]) -> Answer<String> {
    if deed == Deed::Deleted {
        return Ok(reference(&table.name, id, None));
    }
    let mut attributes = Vec::new();
    for cell in cells {
        let column = &table.columns[cell.column];
        attributes.push((column, cell.value.clone(), cell.target.clone()));
    }
    entity(engine, table, id, &attributes, true)
}

/// A row with some of its columns; without any named, all that have a value. Nothing if the row is not there.
pub(super) fn image_of(engine: &Engine, table: &Table, id: Uuid, columns: &[String]) -> Answer<Option<String>> {
    let wanted: Vec<&Column> =
        table.columns.values().filter(|column| columns.is_empty() || columns.contains(&column.name)).collect();
    let mut list = String::from("t.id");
    for column in &wanted {
        list.push_str(&format!(", {}", sql_column(table, column, "t")));
        list.push_str(&column.sql_target().map_or(", NULL".to_owned(), |target| format!(", t.{target}")));
    }
    let sql = format!("SELECT {list} FROM {} t WHERE t.id = ?1", table.sql());
    let mut statement = engine.conn.prepare_cached(&sql)?;
    let values = statement
        .query_row([blob(id)], |row| {
            let mut attributes = Vec::new();
            for (index, column) in wanted.iter().enumerate() {
                let value: Value = row.get(1 + 2 * index)?;
                if value != Value::Null {
                    attributes.push((*column, value, row.get::<_, Option<String>>(2 + 2 * index)?));
                }
            }
            Ok(attributes)
        })
        .optional()?;
    values.map(|attributes| entity(engine, table, id, &attributes, false)).transpose()
}

/// An entity as the context carries it; images have no `__type`.
fn entity(
    engine: &Engine,
    table: &Table,
    id: Uuid,
    attributes: &[(&Column, Value, Option<String>)],
    typed: bool,
) -> Answer<String> {
    let (mut values, mut formatted) = (Vec::new(), Vec::new());
    for (column, stored, target) in attributes {
        let value = attribute(engine, column, stored, target.as_deref())?;
        values.push(pair(&column.name, &value));
        if let Some(text) = value::formatted(&column.kind, stored.into()) {
            let mut quoted = String::new();
            odata::payload::quoted(&mut quoted, &text);
            formatted.push(pair(&column.name, &quoted));
        }
    }
    if attributes.iter().all(|(column, ..)| column.name != table.primary_id) {
        values.push(pair(&table.primary_id, &format!("\"{id}\"")));
    }
    let mut out = String::new();
    let mut object = Writer::new(&mut out);
    if typed {
        object.text("__type", &format!("Entity:{CONTRACTS}"));
    }
    object.raw("Attributes", &format!("[{}]", values.join(",")));
    object.raw("EntityState", "null");
    object.raw("FormattedValues", &format!("[{}]", formatted.join(",")));
    object.text("Id", &id.to_string());
    object.raw("KeyAttributes", "[]");
    object.text("LogicalName", &table.name);
    object.raw("RelatedEntities", "[]");
    object.raw("RowVersion", "null");
    object.end();
    Ok(out)
}

fn attribute(engine: &Engine, column: &Column, stored: &Value, target: Option<&str>) -> Answer<String> {
    Ok(match (&column.kind, stored) {
        (_, Value::Null) => "null".into(),
        (Kind::Lookup { targets, .. }, Value::Blob(id)) => {
            let target = target.or(targets.first().map(String::as_str)).unwrap_or_default();
            let name = match engine.catalog.table(target) {
                Some(table) => primary_name(&engine.conn, table, id)?,
                None => None,
            };
            reference(target, Uuid::from_slice(id).unwrap_or_default(), name.as_deref())
        }
        (Kind::Choice { .. } | Kind::State { .. } | Kind::Status { .. }, Value::Integer(number)) => {
            format!("{{\"__type\":\"OptionSetValue:{CONTRACTS}\",\"Value\":{number}}}")
        }
        (Kind::Money { .. }, Value::Integer(number)) => {
            let amount = Decimal::from_i128_with_scale((*number).into(), 4).normalize();
            format!("{{\"__type\":\"Money:{CONTRACTS}\",\"Value\":{amount}}}")
        }
        (Kind::DateTime { behaviour: Behaviour::DateOnly, .. }, Value::Text(text)) => {
            format!("\"{}\"", date(value::instant(text).unwrap_or_default()))
        }
        (Kind::DateTime { .. }, Value::Integer(seconds)) => format!("\"{}\"", date(*seconds)),
        (kind, stored) => {
            let mut out = String::new();
            value::write_json(&mut out, kind, ValueRef::from(stored));
            out
        }
    })
}

fn reference(table: &str, id: Uuid, name: Option<&str>) -> String {
    let mut out = String::new();
    let mut object = Writer::new(&mut out);
    object.text("__type", &format!("EntityReference:{CONTRACTS}"));
    object.text("Id", &id.to_string());
    object.raw("KeyAttributes", "[]");
    object.text("LogicalName", table);
    match name {
        Some(name) => object.text("Name", name),
        None => object.raw("Name", "null"),
    }
    object.raw("RowVersion", "null");
    object.end();
    out
}

/// Milliseconds since the epoch between slashes that JSON sees escaped.
fn date(seconds: i64) -> String {
    format!("\\/Date({}000)\\/", seconds)
}

fn pair(key: &str, value: &str) -> String {
    let mut out = String::from("{\"key\":");
    odata::payload::quoted(&mut out, key);
    out.push_str(&format!(",\"value\":{value}}}"));
    out
}

#[expect(clippy::too_many_arguments, reason = "one notice is put together from exactly these")]
pub(super) fn notice(
    engine: &Engine,
    caller: &Caller,
    table: &Table,
    step: &Step,
    id: Uuid,
    target: &str,
    pre: &[(String, String)],
    post: &[(String, String)],
) -> Post {
    let message = match step.deed {
        Deed::Created => "Create",
        Deed::Updated => "Update",
        Deed::Deleted => "Delete",
    };
    let pairs = |list: &[(String, String)]| {
        let pairs: Vec<String> = list.iter().map(|(key, value)| pair(key, value)).collect();
        format!("[{}]", pairs.join(","))
    };
    let write = |whole: bool| {
        let mut out = String::with_capacity(4096);
        let mut object = Writer::new(&mut out);
        object.text("BusinessUnitId", &builtin::BUSINESS_UNIT.to_string());
        object.text("CorrelationId", &caller.request_id.to_string());
        object.raw("Depth", "1");
        object.text("InitiatingUserId", &caller.user.to_string());
        if whole {
            object.raw("InputParameters", &format!("[{}]", pair("Target", target)));
        }
        object.raw("IsExecutingOffline", "false");
        object.raw("IsInTransaction", "false");
        object.raw("IsOfflinePlayback", "false");
        object.raw("IsolationMode", "1");
        object.text("MessageName", message);
        object.raw("Mode", "1");
        object.raw("OperationCreatedOn", &format!("\"\\/Date({}000+0000)\\/\"", engine.clock.now()));
        object.text("OperationId", &Uuid::new_v4().to_string());
        object.text("OrganizationId", &builtin::ORGANIZATION.to_string());
        object.text("OrganizationName", "contoso");
        let created = format!("[{}]", pair("id", &format!("\"{id}\"")));
        object.raw("OutputParameters", if step.deed == Deed::Created { &created } else { "[]" });
        let owner = object.member("OwningExtension");
        let mut owner = Writer::new(owner);
        owner.text("Id", &step.id.to_string());
        owner.raw("KeyAttributes", "[]");
        owner.text("LogicalName", "sdkmessageprocessingstep");
        owner.text("Name", &step.name);
        owner.raw("RowVersion", "null");
        owner.end();
        if whole {
            object.raw("ParentContext", "null");
            object.raw("PostEntityImages", &pairs(post));
            object.raw("PreEntityImages", &pairs(pre));
        }
        object.text("PrimaryEntityId", &id.to_string());
        object.text("PrimaryEntityName", &table.name);
        object.raw("RequestId", "null");
        object.text("SecondaryEntityName", "none");
        let shared = caller.tag.as_ref().map_or(String::new(), |tag| {
            let mut quoted = String::new();
            odata::payload::quoted(&mut quoted, tag);
            pair("tag", &quoted)
        });
        object.raw("SharedVariables", &format!("[{shared}]"));
        object.raw("Stage", &step.stage.to_string());
        object.text("UserId", &caller.user.to_string());
        object.end();
        out
    };
    let mut body = write(true);
    let mut headers = vec![
        ("x-ms-dynamics-organization".to_owned(), "contoso.emulator.example".to_owned()),
        ("x-ms-dynamics-entity-name".to_owned(), table.name.clone()),
        ("x-ms-dynamics-request-name".to_owned(), message.to_owned()),
        ("x-ms-correlation-request-id".to_owned(), caller.request_id.to_string()),
    ];
    if body.len() > BODY_BYTES_MAX {
        body = write(false);
        headers.push(("x-ms-dynamics-msg-size-exceeded".to_owned(), "true".to_owned()));
    }
    let mut url = step.url.clone();
    match &step.auth {
        Auth::Headers(pairs) => headers.extend(pairs.iter().cloned()),
        Auth::Query(pairs) => {
            for (name, value) in pairs {
                url.push(if url.contains('?') { '&' } else { '?' });
                url.push_str(&format!("{}={}", odata::encode(name), odata::encode(value)));
            }
        }
    }
    Post { url, headers, body, step: step.id, name: step.name.clone(), message, forget_success: step.forget_success }
}
