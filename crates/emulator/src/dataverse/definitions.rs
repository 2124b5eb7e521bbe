//! The metadata of tables, columns, keys and relationships, as JSON and as answers.

pub(super) mod describe;
mod query;

use std::sync::Arc;

use odata::{Argument, Expr, Literal, Segment};
use serde_json::Value;
use uuid::Uuid;

use super::define;
use super::engine::Engine;
use super::model::{Catalog, Table};
use super::refusal::{self, Answer, Refusal};
use super::wire::{Request, Response};
use query::Ask;

/// `EntityDefinitions…` and `RelationshipDefinitions…`.
pub fn dispatch(engine: &mut Engine, request: &Request, segments: &[Segment]) -> Answer<Response> {
    let (first, rest) = segments.split_first().ok_or_else(|| Refusal::no_segment(""))?;
    if request.method != "GET" {
        return define::dispatch(engine, request, segments);
    }
    let ask = Ask::of(request)?;
    let catalog = engine.catalog.clone();
    if first.name == "RelationshipDefinitions" {
        return relationships(&catalog, request, &ask, first, rest);
    }
    let Some(arguments) = &first.arguments else {
        let rows = catalog.tables.values().map(|table| describe::table(&catalog, table)).collect();
        return many(request, "EntityDefinitions", rows, &ask, rest);
    };
    let table = table_of(&catalog, arguments)?;
    match rest {
        [] => one(request, "EntityDefinitions/$entity", describe::table(&catalog, &table), &ask),
        [cast] if cast.name == "Microsoft.Dynamics.CRM.EntityMetadata" => {
            one(request, "EntityDefinitions/$entity", describe::table(&catalog, &table), &ask)
        }
        [part, below @ ..] => part_of_table(&catalog, request, &table, part, below, &ask),
    }
}

fn part_of_table(
    catalog: &Catalog,
    request: &Request,
    table: &Arc<Table>,
    part: &Segment,
    below: &[Segment],
    ask: &Ask,
) -> Answer<Response> {
    let context = format!("EntityDefinitions('{}')/{}", table.name, part.name);
    let Some(rows) = describe::part(catalog, table, &part.name) else {
        return Err(match part.name.as_str() {
            "Privileges" | "Settings" => Refusal::not_emulated(format!("'{}' of a table", part.name)),
            other => Refusal::no_segment(other),
        });
    };
    let Some(arguments) = &part.arguments else { return many(request, &context, rows, ask, below) };
    let found = rows.into_iter().find(|row| is_named(row, arguments));
    let found = found.ok_or_else(|| {
        let message =
            format!("Could not find a {} with the given key in table '{}'.", singular(&part.name), table.name);
        Refusal::new(404, refusal::OBJECT_DOES_NOT_EXIST, message)
    })?;
    match below {
        [] => one(request, &format!("{context}/$entity"), found, ask),
        [cast] if is_cast(cast) => {
            if !has_type(&found, &cast.name) {
                return Err(Refusal::no_segment(&cast.name));
            }
            one(request, &format!("{context}/{}/$entity", cast.name), found, ask)
        }
        [rest @ .., last] => {
            // `…/Attributes(…)/Microsoft.Dynamics.CRM.PicklistAttributeMetadata/OptionSet`
            let inner = found.get(&last.name).filter(|_| rest.iter().all(is_cast)).cloned();
            one(request, &context, inner.ok_or_else(|| Refusal::no_segment(&last.name))?, ask)
        }
    }
}

fn relationships(
    catalog: &Catalog,
    request: &Request,
    ask: &Ask,
    first: &Segment,
    rest: &[Segment],
) -> Answer<Response> {
    let rows = describe::relationships(catalog);
    match &first.arguments {
        None => many(request, "RelationshipDefinitions", rows, ask, rest),
        Some(arguments) => {
            let found = rows.into_iter().find(|row| is_named(row, arguments)).ok_or_else(|| {
                Refusal::new(404, refusal::OBJECT_DOES_NOT_EXIST, "Could not find a relationship with the given key.")
            })?;
            one(request, "RelationshipDefinitions/$entity", found, ask)
        }
    }
}

/// The table that `(LogicalName='x')` or `(id)` names.
pub fn table_of(catalog: &Catalog, arguments: &[Argument]) -> Answer<Arc<Table>> {
    let missing = |what: String| {
        let message = format!("Could not find an entity with {what}.");
        Err(Refusal::new(404, refusal::OBJECT_DOES_NOT_EXIST, message))
    };
    match arguments {
        [Argument { name: Some(key), value: Expr::Literal(Literal::String(name)) }] if key == "LogicalName" => {
            match catalog.table(&name.to_lowercase()) {
                Some(table) => Ok(table.clone()),
                None => missing(format!("specified entity name: '{name}'")),
            }
        }
        [Argument { value: Expr::Literal(Literal::Guid(id)), .. }] => {
            by_id(catalog, *id).map_or_else(|| missing(format!("id {id}")), Ok)
        }
        _ => Err(Refusal::query("The key in the request URI is not valid for resource 'EntityDefinitions'.")),
    }
}

fn by_id(catalog: &Catalog, id: Uuid) -> Option<Arc<Table>> {
    catalog.tables.values().find(|table| table.id == id).cloned()
}

/// Whether the row is the one that `(LogicalName='x')`, `(SchemaName='x')` or `(id)` names.
fn is_named(row: &Value, arguments: &[Argument]) -> bool {
    match arguments {
        [Argument { name, value: Expr::Literal(Literal::Guid(id)) }] => {
            name.as_deref().is_none_or(|name| name == "MetadataId") && row["MetadataId"] == id.to_string()
        }
        [Argument { name: Some(name), value: Expr::Literal(Literal::String(text)) }] => {
            row[name].as_str().is_some_and(|known| known.eq_ignore_ascii_case(text))
        }
        _ => false,
    }
}

fn is_cast(segment: &Segment) -> bool {
    segment.name.starts_with("Microsoft.Dynamics.CRM.") && segment.arguments.is_none()
}

fn has_type(row: &Value, cast: &str) -> bool {
    row["@odata.type"].as_str().is_some_and(|kind| kind.trim_start_matches('#') == cast)
        || cast == "Microsoft.Dynamics.CRM.RelationshipMetadataBase"
        || cast == "Microsoft.Dynamics.CRM.AttributeMetadata"
}

fn singular(part: &str) -> &str {
    match part {
        "Attributes" => "column",
        "Keys" => "key",
        _ => "relationship",
    }
}

fn many(request: &Request, context: &str, rows: Vec<Value>, ask: &Ask, below: &[Segment]) -> Answer<Response> {
    let (rows, ask, context) = match below {
        [] => (rows, ask.clone(), context.to_owned()),
        [last] if last.name == "$count" => {
            let count =
                rows.iter().map(|row| ask.keeps(row)).collect::<Answer<Vec<_>>>()?.into_iter().filter(|yes| *yes);
            return Ok(Response::text(count.count().to_string()));
        }
        [cast] if is_cast(cast) => {
            let rows = rows.into_iter().filter(|row| has_type(row, &cast.name)).collect();
            (rows, ask.clone(), format!("{context}/{}", cast.name))
        }
        [other, ..] => return Err(Refusal::no_segment(&other.name)),
    };
    let mut kept = Vec::new();
    for row in rows {
        if ask.keeps(&row)? {
            kept.push(ask.shape(row)?);
        }
    }
    let context = format!("{}$metadata#{context}{}", request.root, ask.context());
    let body = serde_json::json!({ "@odata.context": context, "value": kept });
    Ok(Response::json(200, body.to_string()))
}

fn one(request: &Request, context: &str, row: Value, ask: &Ask) -> Answer<Response> {
    let mut body = serde_json::Map::new();
    let (base, entity) = context.strip_suffix("/$entity").map_or((context, ""), |base| (base, "/$entity"));
    let context = format!("{}$metadata#{base}{}{entity}", request.root, ask.context());
    body.insert("@odata.context".into(), context.into());
    if let Value::Object(members) = ask.shape(row)? {
        body.extend(members);
    }
    Ok(Response::json(200, Value::Object(body).to_string()))
}
