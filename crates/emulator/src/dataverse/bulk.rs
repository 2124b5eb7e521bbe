//! `CreateMultiple`, `UpdateMultiple` and `UpsertMultiple`: many rows of one table, all or nothing.

use std::sync::Arc;

use serde::Deserialize;
use uuid::Uuid;

use super::address::{Address, locate};
use super::engine::Engine;
use super::json::{Object, Writer};
use super::model::Table;
use super::payload::{self, Payload, not_json};
use super::refusal::{self, Answer, Refusal};
use super::service::{caller, create_by, text, update_by};
use super::wire::{Request, Response};
use super::write::{self, Caller};

pub fn run(engine: &mut Engine, request: &Request, table: &Arc<Table>, message: &str) -> Answer<Response> {
    if !matches!(message, "CreateMultiple" | "UpdateMultiple" | "UpsertMultiple") {
        if message == "DeleteMultiple" {
            return Err(Refusal::new(501, refusal::UNEXPECTED, "DeleteMultiple has not yet been implemented."));
        }
        return Err(Refusal::not_emulated(format!("the operation '{message}'")));
    }
    let body: Body<'_> = serde_json::from_str(text(request, table)?).map_err(|error| not_json(&table.set, &error))?;
    let targets = body.targets.ok_or_else(|| Refusal::payload(&table.set, "The parameter 'Targets' is missing."))?;
    let caller = caller(request);
    if message == "CreateMultiple" {
        let ids = create(engine, &caller, table, &targets)?;
        return Ok(created(request, &ids));
    }
    for target in &targets {
        let payload = payload::of(engine, table, target)?;
        check_type(table, &payload)?;
        match message {
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
    Ok(Response::no_content())
}

/// The parameters of a bulk message, each row read once.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(rename = "Targets", borrow)]
    targets: Option<Vec<Object<'a>>>,
}

/// Creates the rows in their order. Rows that stand alone are gathered, and written before one that may point to them.
fn create(engine: &mut Engine, caller: &Caller, table: &Arc<Table>, targets: &[Object<'_>]) -> Answer<Vec<Uuid>> {
    let (mut ids, mut alone) = (Vec::with_capacity(targets.len()), Vec::with_capacity(targets.len()));
    for target in targets {
        if target.0.iter().any(|(name, _)| name.ends_with("@odata.bind")) {
            ids.extend(write::create_alone(engine, caller, table, std::mem::take(&mut alone))?);
        }
        let payload = payload::of(engine, table, target)?;
        check_type(table, &payload)?;
        if payload.stands_alone() {
            alone.push(payload);
        } else {
            ids.extend(write::create_alone(engine, caller, table, std::mem::take(&mut alone))?);
            ids.push(write::create(engine, caller, table, payload)?);
        }
    }
    ids.extend(write::create_alone(engine, caller, table, alone)?);
    Ok(ids)
}

fn created(request: &Request, ids: &[Uuid]) -> Response {
    let mut out = String::with_capacity(256 + 40 * ids.len());
    let mut object = Writer::new(&mut out);
    object.text("@odata.context", &request.link("$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse"));
    let list = object.member("Ids");
    let mut buffer = Uuid::encode_buffer();
    for (at, id) in ids.iter().enumerate() {
        list.push_str(if at == 0 { "[\"" } else { "\",\"" });
        list.push_str(id.hyphenated().encode_lower(&mut buffer));
    }
    list.push_str(if ids.is_empty() { "[]" } else { "\"]" });
    object.end();
    Response::json(200, out)
}

/// The targets are of an abstract type, so each says which one it is; all must be of the table in the URL.
fn check_type(table: &Table, payload: &Payload) -> Answer<()> {
    let named = payload.odata_type.as_deref().ok_or_else(|| {
        Refusal::payload(
            &table.set,
            "Each of the Targets needs an '@odata.type', such as 'Microsoft.Dynamics.CRM.account'.",
        )
    })?;
    if named.trim_start_matches('#').strip_prefix("Microsoft.Dynamics.CRM.") == Some(&table.name) {
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
