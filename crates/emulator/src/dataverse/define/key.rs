//! Alternate keys: an index over columns, built as soon as it is defined.

use odata::{Argument, Expr, Literal};
use serde_json::Value;
use uuid::Uuid;

use super::column::{check_name, label, text};
use super::{body, invalid, missing, replace};
use crate::dataverse::engine::Engine;
use crate::dataverse::model::{AlternateKey, KeyStatus, Table};
use crate::dataverse::refusal::{Answer, Refusal};
use crate::dataverse::storage;
use crate::dataverse::wire::{Request, Response};

/// Keys per table and columns per key.
const KEYS_MAX: usize = 10;
const KEY_COLUMNS_MAX: usize = 16;

/// `ReactivateEntityKey`: tries again to build the index of a key, after its duplicates are gone.
pub fn reactivate_key(engine: &mut Engine, request: &Request) -> Answer<Response> {
    let body = body(request)?;
    let table = text(&body, "EntityLogicalName").and_then(|name| engine.catalog.table(name)).cloned();
    let table = table.ok_or_else(|| invalid("'EntityLogicalName' names no table."))?;
    let name = text(&body, "EntityKeyLogicalName").unwrap_or_default();
    let mut changed = (*table).clone();
    let key = changed.keys.iter_mut().find(|key| key.name == name);
    let key = key.ok_or_else(|| invalid("'EntityKeyLogicalName' names no key of the table."))?;
    if key.status != KeyStatus::Active {
        key.status = build(engine, &table, key)?;
    }
    replace(engine, changed)?;
    Ok(Response::no_content())
}

pub fn create_key(engine: &mut Engine, table: &Table, body: &Value) -> Answer<Uuid> {
    let schema_name = text(body, "SchemaName").ok_or_else(|| invalid("'SchemaName' is required."))?;
    check_name(schema_name)?;
    if table.external.is_some() {
        return Err(invalid(format!("Keys are not supported for the virtual entity '{}'.", table.name)));
    }
    let columns: Vec<String> = body["KeyAttributes"]
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    if columns.is_empty() || columns.len() > KEY_COLUMNS_MAX || table.keys.len() >= KEYS_MAX {
        return Err(invalid(format!(
            "A key has 1 to {KEY_COLUMNS_MAX} columns, and a table has at most {KEYS_MAX} keys."
        )));
    }
    for name in &columns {
        let column = table.column(name).ok_or_else(|| Refusal::no_property(name, &table.name))?;
        if !storage::can_be_key(&column.kind) {
            return Err(invalid(format!(
                "The column '{name}' of type {} cannot be part of an alternate key.",
                column.kind.type_name()
            )));
        }
    }
    let name = schema_name.to_lowercase();
    if table.keys.iter().any(|key| key.name == name) {
        return Err(invalid(format!("A key with the name {name} already exists for this entity.")));
    }
    let shown = label(&body["DisplayName"]).unwrap_or_else(|| schema_name.to_owned());
    let mut key = AlternateKey {
        id: Uuid::new_v4(),
        name,
        schema_name: schema_name.to_owned(),
        label: shown,
        columns,
        status: KeyStatus::Pending,
    };
    key.status = build(engine, table, &key)?;
    let id = key.id;
    let mut changed = table.clone();
    changed.keys.push(key);
    replace(engine, changed)?;
    Ok(id)
}

/// Builds the index at once, which on the platform a job does a little later; rows that are alike make it fail.
fn build(engine: &Engine, table: &Table, key: &AlternateKey) -> Answer<KeyStatus> {
    match storage::create_key(&engine.conn, table, key) {
        Ok(()) => Ok(KeyStatus::Active),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
            Ok(KeyStatus::Failed)
        }
        Err(error) => Err(error.into()),
    }
}

pub fn delete_key(engine: &mut Engine, table: &Table, key: &[Argument]) -> Answer<()> {
    let named = |known: &AlternateKey| match key {
        [Argument { value: Expr::Literal(Literal::Guid(id)), .. }] => known.id == *id,
        [Argument { value: Expr::Literal(Literal::String(name)), .. }] => known.name == name.to_lowercase(),
        _ => false,
    };
    let found = table.keys.iter().find(|known| named(known)).cloned();
    let found = found.ok_or_else(|| missing("key"))?;
    storage::drop_key(&engine.conn, table, &found)?;
    let mut changed = table.clone();
    changed.keys.retain(|key| key.id != found.id);
    replace(engine, changed)
}
