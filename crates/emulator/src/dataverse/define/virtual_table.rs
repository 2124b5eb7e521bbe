//! What makes a table virtual, and what a virtual table cannot be.
//!
//! *Source*: the reference of `EntityMetadata` and "API considerations of virtual tables" in the Dataverse developer
//! guide; the wording of refusals where somebody has reported it, our own otherwise.

use rusqlite::OptionalExtension;
use serde_json::Value;
use uuid::Uuid;

use super::column::text;
use super::invalid;
use crate::dataverse::engine::Engine;
use crate::dataverse::model::{Column, External, Kind, Table};
use crate::dataverse::refusal::Answer;
use crate::dataverse::storage::blob;

/// Stands for a provider that is not known yet.
const NO_PROVIDER: Uuid = Uuid::from_u128(0x7015_a531_cc0d_4537_b5f2_c882_a1eb_65ad);

/// The external side of a table to be made; nothing if it is to be a standard one.
///
/// *Errors*: what a virtual table must have is missing; what it cannot have is asked for.
pub fn read(engine: &Engine, body: &Value, name: &str, columns: &[Column]) -> Answer<Option<External>> {
    if text(body, "TableType") != Some("Virtual") && body["DataProviderId"].is_null() {
        return Ok(None);
    }
    if text(body, "OwnershipType") != Some("OrganizationOwned") {
        return Err(invalid(format!("The ownership of the virtual Entity {name} must be OrganizationOwned.")));
    }
    let off = |flag: &str| body[flag]["Value"] == false;
    if body["ChangeTrackingEnabled"] != false || !off("CanChangeTrackingBeEnabled") {
        return Err(invalid(format!("CanChangeTrackingBeEnabled can not be active for {name} virtual Entity")));
    }
    if !off("CanCreateCharts") {
        return Err(invalid(format!("Cannot create charts for virtual Entity {name}")));
    }
    if body["IsAvailableOffline"] != false || !off("IsVisibleInMobileClient") {
        return Err(invalid(format!("The virtual Entity {name} cannot be available offline.")));
    }
    for flag in ["IsActivity", "HasActivities", "HasNotes"] {
        if body[flag] == true {
            return Err(invalid(format!("{flag} can not be active for {name} virtual Entity")));
        }
    }
    let named = |property: &str, shown: &str| {
        let value = text(body, property).filter(|value| !value.is_empty());
        value.map(str::to_owned).ok_or_else(|| {
            invalid(format!("You must specify a value for the {shown} property of the virtual Entity {name}"))
        })
    };
    let mut external = External {
        provider: None,
        source: None,
        name: named("ExternalName", "External Name")?,
        collection: named("ExternalCollectionName", "External Collection Name")?,
    };
    provide(engine, &mut external, body)?;
    columns.iter().try_for_each(check_column)?;
    match columns.first() {
        Some(primary) if !matches!(primary.kind, Kind::Text { .. }) => {
            Err(invalid(format!("The primary attribute of the virtual Entity {name} must be a String.")))
        }
        Some(primary) if primary.external_name.is_none() => Err(invalid(format!(
            "The attribute '{}' of the virtual Entity {name} needs an ExternalName.",
            primary.name
        ))),
        _ => Ok(Some(external)),
    }
}

/// Changes the external side of a virtual table; a standard table has none, and gets none.
pub fn update(engine: &Engine, table: &mut Table, body: &Value) -> Answer<()> {
    let Some(external) = &mut table.external else {
        if text(body, "TableType") == Some("Virtual") || !body["DataProviderId"].is_null() {
            return Err(invalid(format!(
                "The entity '{}' is a standard table and cannot be converted to a virtual one.",
                table.name
            )));
        }
        return Ok(());
    };
    if body["ChangeTrackingEnabled"] == true {
        return Err(invalid(format!("ChangeTrackingEnabled can not be active for {} virtual Entity", table.name)));
    }
    if let Some(name) = text(body, "ExternalName") {
        external.name = name.to_owned();
    }
    if let Some(collection) = text(body, "ExternalCollectionName") {
        external.collection = collection.to_owned();
    }
    provide(engine, external, body)
}

/// Reads who fetches the rows, and from which data source; both have to be there.
fn provide(engine: &Engine, external: &mut External, body: &Value) -> Answer<()> {
    let id = |property: &str| text(body, property).and_then(|id| Uuid::try_parse(id).ok());
    if let Some(provider) = id("DataProviderId") {
        let known = exists(engine, "t_entitydataprovider", provider)?;
        if !known && provider != NO_PROVIDER {
            return Err(invalid(format!("There is no data provider with the id {provider}.")));
        }
        external.provider = known.then_some(provider);
    }
    if let Some(source) = id("DataSourceId") {
        if !exists(engine, "t_msdyn_odatav4ds", source)? {
            return Err(invalid(format!("There is no data source with the id {source}.")));
        }
        external.source = Some(source);
    }
    Ok(())
}

fn exists(engine: &Engine, sql_table: &str, id: Uuid) -> Answer<bool> {
    let sql = format!("SELECT 1 FROM {sql_table} WHERE id = ?1");
    Ok(engine.conn.query_row(&sql, [blob(id)], |_| Ok(())).optional()?.is_some())
}

/// Whether a column of this type can be in a virtual table.
pub fn check_column(column: &Column) -> Answer<()> {
    let refused = match column.kind {
        Kind::Money { .. } => "money",
        Kind::Choices { .. } => "multiselectpicklist",
        Kind::State { .. } | Kind::Status { .. } => "state",
        _ => return Ok(()),
    };
    Err(invalid(format!("Attribute data type: {refused} is not valid for this entity")))
}
