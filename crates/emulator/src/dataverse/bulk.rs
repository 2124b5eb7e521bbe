//! `CreateMultiple`, `UpdateMultiple` and `UpsertMultiple`: many rows of one table, all or nothing.

use std::sync::Arc;

use uuid::Uuid;

use super::address::{Address, locate};
use super::engine::Engine;
use super::json::{self, Object, Writer};
use super::model::Table;
use super::payload::{self, Payload, not_json};
use super::refusal::{self, Answer, Refusal};
use super::service::{caller, create_by, text, update_by};
use super::wire::{Request, Response};
use super::write;

pub fn run(engine: &mut Engine, request: &Request, table: &Arc<Table>, message: &str) -> Answer<Response> {
    if !matches!(message, "CreateMultiple" | "UpdateMultiple" | "UpsertMultiple") {
        if message == "DeleteMultiple" {
            return Err(Refusal::new(501, refusal::UNEXPECTED, "DeleteMultiple has not yet been implemented."));
        }
        return Err(Refusal::not_emulated(format!("the operation '{message}'")));
    }
    let bad = |error: serde_json::Error| not_json(&table.set, &error);
    let body = Object::parse(text(request, table)?).map_err(bad)?;
    let targets =
        body.get("Targets").ok_or_else(|| Refusal::payload(&table.set, "The parameter 'Targets' is missing."))?;
    let targets = json::array(targets).map_err(bad)?;
    let caller = caller(request);
    let mut ids: Vec<Uuid> = Vec::with_capacity(targets.len());
    for target in targets {
        let payload = payload::read(engine, table, target)?;
        check_type(table, &payload)?;
        match message {
            "CreateMultiple" => ids.push(write::create(engine, &caller, table, payload)?),
            "UpdateMultiple" => {
                let address = address(engine, table, &payload)?;
                let id = address.require(engine, table)?;
                update_by(engine, &caller, table, &address, id, payload)?;
            }
            _ => {
                let address = address(engine, table, &payload)?;
                match address.find(engine, table)? {
                    Some(id) => update_by(engine, &caller, table, &address, id, payload)?,
                    None => {
                        refuse_key_twice(&address, &payload)?;
                        create_by(engine, &caller, table, &address, payload)?;
                    }
                }
            }
        }
    }
    if message != "CreateMultiple" {
        return Ok(Response::no_content());
    }
    let mut out = String::new();
    let mut object = Writer::new(&mut out);
    object.text("@odata.context", &request.link("$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse"));
    let values: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
    object.raw("Ids", &format!("[{}]", values.join(",")));
    object.end();
    Ok(Response::json(200, out))
}

/// The targets are of an abstract type, so each says which one it is; all must be of the table in the URL.
fn check_type(table: &Table, payload: &Payload) -> Answer<()> {
    let named = payload.odata_type.as_deref().ok_or_else(|| {
        Refusal::payload(
            &table.set,
            "Each of the Targets needs an '@odata.type', such as 'Microsoft.Dynamics.CRM.account'.",
        )
    })?;
    if named.trim_start_matches('#') == format!("Microsoft.Dynamics.CRM.{}", table.name) {
        return Ok(());
    }
    Err(Refusal::payload(&table.set, format!("A target of type '{named}' is not of the table '{}'.", table.name)))
}

fn address(engine: &Engine, table: &Table, payload: &Payload) -> Answer<Address> {
    if let Some(url) = &payload.odata_id {
        let (found, address) = locate(engine, url)?;
        if found.name != table.name {
            return Err(Refusal::payload(&table.set, format!("'{url}' is not a row of '{}'.", table.set)));
        }
        return Ok(address);
    }
    match payload.id {
        Some(id) => Ok(Address::Id(id)),
        None => Err(Refusal::payload(
            &table.set,
            format!("Each of the Targets needs '{}' or '@odata.id'.", table.primary_id),
        )),
    }
}

/// Observed on the platform: on the create path of `UpsertMultiple` a key value must not also be in the body.
fn refuse_key_twice(address: &Address, payload: &Payload) -> Answer<()> {
    let Address::Key { parts, .. } = address else { return Ok(()) };
    if parts.iter().any(|(column, _)| payload.cells.iter().any(|cell| cell.column == *column)) {
        return Err(Refusal::new(400, refusal::UNEXPECTED, "An unexpected error occurred"));
    }
    Ok(())
}
