//! Defining tables, columns, keys and relationships, as clients ask for it in metadata.

mod column;
mod key;
mod virtual_table;

use std::sync::Arc;

use odata::{Argument, Expr, Literal, Segment};
use serde_json::Value;
use uuid::Uuid;

use super::columns::{self, TableNames, base_of, column, currency_columns};
use super::definitions::table_of;
use super::engine::Engine;
use super::model::{
    Behaviour, Catalog, Column, Flavour, Kind, ManyToMany, OnDelete, OneToMany, Ownership, Required, Table,
};
use super::refusal::{self, Answer, Refusal};
use super::wire::{Request, Response};
use super::{storage, webhooks};
use column::{check_name, label, read_column, required, text};
pub use key::reactivate_key;
use key::{create_key, delete_key};

/// `POST`, `PUT` and `DELETE` below `EntityDefinitions` and `RelationshipDefinitions`.
pub fn dispatch(engine: &mut Engine, request: &Request, segments: &[Segment]) -> Answer<Response> {
    let method = request.method.as_str();
    let names: Vec<&str> = segments.iter().map(|segment| segment.name.as_str()).collect();
    let keys: Vec<Option<&[Argument]>> = segments.iter().map(|segment| segment.arguments.as_deref()).collect();
    match (method, names.as_slice(), keys.as_slice()) {
        ("POST", ["EntityDefinitions"], [None]) => {
            let table = create_table(engine, &body(request)?)?;
            Ok(created(request, &format!("EntityDefinitions({})", table.id)))
        }
        ("POST", ["RelationshipDefinitions"], [None]) => {
            let id = create_relationship(engine, &body(request)?)?;
            Ok(created(request, &format!("RelationshipDefinitions({id})")))
        }
        ("DELETE", ["RelationshipDefinitions"], [Some(key)]) => {
            delete_relationship(engine, key)?;
            Ok(Response::no_content())
        }
        ("POST" | "PUT" | "DELETE", ["EntityDefinitions", rest @ ..], [Some(key), below @ ..]) => {
            let table = table_of(&engine.catalog, key)?;
            match (method, rest, below) {
                ("DELETE", [], []) => delete_table(engine, &table).map(|()| Response::no_content()),
                ("PUT", [], []) => update_table(engine, &table, &body(request)?).map(|()| Response::no_content()),
                ("POST", ["Attributes"], [None]) => {
                    let id = create_column(engine, &table, &body(request)?)?;
                    Ok(created(request, &format!("EntityDefinitions({})/Attributes({id})", table.id)))
                }
                ("PUT", ["Attributes", ..], [Some(key), ..]) => {
                    update_column(engine, &table, key, &body(request)?).map(|()| Response::no_content())
                }
                ("DELETE", ["Attributes"], [Some(key)]) => {
                    delete_column(engine, &table, key).map(|()| Response::no_content())
                }
                ("POST", ["Keys"], [None]) => {
                    let id = create_key(engine, &table, &body(request)?)?;
                    // Clients take the first id in parentheses for the key's.
                    Ok(created(request, &format!("EntityDefinitions(LogicalName='{}')/Keys({id})", table.name)))
                }
                ("DELETE", ["Keys"], [Some(key)]) => delete_key(engine, &table, key).map(|()| Response::no_content()),
                _ => Err(Refusal::not_emulated(format!("{method} {}", request.path))),
            }
        }
        _ => Err(Refusal::not_emulated(format!("{method} {}", request.path))),
    }
}

/// The action that the official Python client makes tables with.
pub fn create_entities(engine: &mut Engine, request: &Request) -> Answer<Response> {
    let body = body(request)?;
    let entities = body["Entities"].as_array().ok_or_else(|| invalid("The parameter 'Entities' is missing."))?;
    let mut ids = Vec::new();
    for entity in entities {
        ids.push(create_table(engine, entity)?.id);
    }
    let context = request.link("$metadata#Microsoft.Dynamics.CRM.CreateEntitiesResponse");
    Ok(Response::json(200, serde_json::json!({ "@odata.context": context, "EntityIds": ids }).to_string()))
}

fn create_table(engine: &mut Engine, body: &Value) -> Answer<Arc<Table>> {
    let schema_name = text(body, "SchemaName").ok_or_else(|| invalid("'SchemaName' is required."))?;
    check_name(schema_name)?;
    let name = schema_name.to_lowercase();
    if engine.catalog.table(&name).is_some() {
        return Err(invalid(format!(
            "An entity with the specified name {name} already exists. Specify a unique name."
        )));
    }
    let attributes = body["Attributes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let primary = attributes.iter().find(|attribute| attribute["IsPrimaryName"] == true);
    let primary = primary.ok_or_else(|| invalid("One of the Attributes must be the primary name."))?;
    let mut defined = vec![read_column(primary)?];
    for attribute in attributes.iter().filter(|attribute| attribute["IsPrimaryName"] != true) {
        defined.push(read_column(attribute)?);
    }
    if defined.iter().any(|column| matches!(column.kind, Kind::Money { .. })) {
        defined.extend(currency_columns());
    }
    let ownership = match text(body, "OwnershipType") {
        Some("OrganizationOwned") => Ownership::OrganizationOwned,
        None | Some("UserOwned") => Ownership::UserOwned,
        Some(other) => return Err(Refusal::not_emulated(format!("the OwnershipType '{other}'"))),
    };
    let primary_name = defined[0].name.clone();
    let external = virtual_table::read(engine, body, &name, &defined)?;
    if external.is_none() {
        defined.extend(columns::active_inactive());
    }
    let set = text(body, "EntitySetName").map_or_else(|| plural(&name), str::to_lowercase);
    let shown = label(&body["DisplayName"]).unwrap_or_else(|| schema_name.to_owned());
    let plural_shown = label(&body["DisplayCollectionName"]).unwrap_or_else(|| shown.clone());
    let primary_id = format!("{name}id");
    let names = TableNames {
        name: &name,
        schema_name,
        set: &set,
        label: &shown,
        plural: &plural_shown,
        primary_id: &primary_id,
        primary_name: &primary_name,
    };
    let highest = engine.catalog.tables.values().map(|table| table.type_code).max().unwrap_or(0);
    let own: Vec<String> = defined.iter().map(|column| column.name.clone()).collect();
    let mut table = columns::table(names, highest.max(9999) + 1, ownership, defined);
    table.custom = true;
    if external.is_some() {
        // Only its name and its id, and what it is given.
        table.columns.retain(|name, _| *name == primary_id || own.contains(name));
    }
    table.description = label(&body["Description"]).unwrap_or_default();
    // New tables are tracked by default on the platform too.
    table.change_tracking = external.is_none() && body["ChangeTrackingEnabled"].as_bool().unwrap_or(true);
    table.external = external;
    let is_virtual = table.external.is_some();
    storage::create_table(&engine.conn, &table)?;
    let relations = columns::relationships(&table);
    for relation in &relations {
        storage::save_relation(&engine.conn, relation)?;
    }
    change(engine, |catalog| {
        catalog.tables.insert(table.name.clone(), Arc::new(table));
        catalog.one_to_many.extend(relations.into_iter().map(Arc::new));
    });
    // Virtual tables raise no events.
    if !is_virtual {
        webhooks::add_filters(engine, &name)?;
    }
    Ok(engine.catalog.table(&name).expect("the table was put in above").clone())
}

fn update_table(engine: &mut Engine, table: &Table, body: &Value) -> Answer<()> {
    let mut changed = table.clone();
    if let Some(shown) = label(&body["DisplayName"]) {
        changed.label = shown;
    }
    if let Some(shown) = label(&body["DisplayCollectionName"]) {
        changed.plural = shown;
    }
    virtual_table::update(engine, &mut changed, body)?;
    if let Some(tracked) = body["ChangeTrackingEnabled"].as_bool() {
        changed.change_tracking = tracked;
    }
    replace(engine, changed)
}

fn delete_table(engine: &mut Engine, table: &Table) -> Answer<()> {
    if !table.custom {
        return Err(invalid(format!("The entity '{}' belongs to the system and cannot be deleted.", table.name)));
    }
    let catalog = engine.catalog.clone();
    let gone = |schema: &str| storage::drop_relation(&engine.conn, schema);
    for relation in &catalog.one_to_many {
        if relation.one == table.name && relation.many != table.name && !is_book_keeping(relation) {
            return Err(invalid(format!(
                "The entity '{}' cannot be deleted: the column '{}' of '{}' refers to it.",
                table.name, relation.column, relation.many
            )));
        }
        if relation.one == table.name || relation.many == table.name {
            gone(&relation.schema_name)?;
        }
    }
    storage::drop_table(&engine.conn, table)?;
    change(engine, |catalog| {
        catalog.tables.shift_remove(&table.name);
        catalog.one_to_many.retain(|relation| relation.one != table.name && relation.many != table.name);
    });
    Ok(())
}

fn is_book_keeping(relation: &OneToMany) -> bool {
    !relation.custom
}

fn create_column(engine: &mut Engine, table: &Table, body: &Value) -> Answer<Uuid> {
    let column = read_column(body)?;
    if table.external.is_some() {
        virtual_table::check_column(&column)?;
    }
    if table.columns.contains_key(&column.name) {
        return Err(invalid(format!(
            "An attribute with the specified name {} already exists for this entity.",
            column.name
        )));
    }
    let mut changed = table.clone();
    let id = column.id;
    let mut added = vec![column];
    if let Kind::Money { .. } = added[0].kind {
        added.push(base_of(&added[0]));
        added.extend(currency_columns().into_iter().filter(|column| !table.columns.contains_key(&column.name)));
    }
    for column in added {
        storage::add_column(&engine.conn, table, &column)?;
        changed.columns.insert(column.name.clone(), column);
    }
    let known: Vec<String> = engine.catalog.one_to_many.iter().map(|relation| relation.schema_name.clone()).collect();
    let relations: Vec<OneToMany> = columns::relationships(&changed)
        .into_iter()
        .filter(|relation| !table.columns.contains_key(&relation.column) && !known.contains(&relation.schema_name))
        .collect();
    for relation in &relations {
        storage::save_relation(&engine.conn, relation)?;
    }
    change(engine, |catalog| catalog.one_to_many.extend(relations.into_iter().map(Arc::new)));
    replace(engine, changed)?;
    Ok(id)
}

fn update_column(engine: &mut Engine, table: &Table, key: &[Argument], body: &Value) -> Answer<()> {
    let known = column_of(table, key)?;
    let mut column = match known.kind {
        Kind::Lookup { .. } => updated_lookup(known, body)?,
        _ => read_column(&merged(known, body))?,
    };
    if std::mem::discriminant(&column.kind) != std::mem::discriminant(&known.kind) {
        return Err(invalid(format!("The type of the column '{}' cannot be changed.", known.name)));
    }
    if let (Kind::DateTime { behaviour: is, .. }, Kind::DateTime { behaviour: was, .. }) = (&column.kind, &known.kind)
        && is != was
        && *was != Behaviour::UserLocal
    {
        return Err(invalid(format!("The behavior of the column '{}' cannot be changed.", known.name)));
    }
    if known.required == Required::System {
        column.required = Required::System;
    }
    column.external_name = column.external_name.or_else(|| known.external_name.clone());
    column.id = known.id;
    column.custom = known.custom;
    column.name = known.name.clone();
    column.schema_name = known.schema_name.clone();
    let mut changed = table.clone();
    changed.columns.insert(known.name.clone(), column);
    replace(engine, changed)
}

/// A lookup with another name to be shown or read by, or another level: its tables are those of its relationships.
fn updated_lookup(known: &Column, body: &Value) -> Answer<Column> {
    if let Some(foreign) = ["MaxLength", "FormatName", "Precision"].into_iter().find(|name| !body[*name].is_null()) {
        return Err(invalid(format!(
            "The property '{foreign}' does not exist on type 'Microsoft.Dynamics.CRM.LookupAttributeMetadata'."
        )));
    }
    let mut column = known.clone().required(required(body)?);
    column.label = label(&body["DisplayName"]).unwrap_or(column.label);
    column.external_name = text(body, "ExternalName").map(str::to_owned);
    Ok(column)
}

/// A definition to be read, with what every definition needs taken from the known column where it is left out.
fn merged(known: &Column, body: &Value) -> Value {
    let mut body = body.clone();
    if let Value::Object(members) = &mut body {
        members.insert("SchemaName".into(), known.schema_name.clone().into());
        if !members.contains_key("@odata.type") {
            members.insert("@odata.type".into(), known.kind.metadata_type().into());
        }
        if let (Kind::Text { max_length, .. } | Kind::Memo { max_length }, false) =
            (&known.kind, members.contains_key("MaxLength"))
        {
            members.insert("MaxLength".into(), (*max_length).into());
        }
    }
    body
}

fn delete_column(engine: &mut Engine, table: &Table, key: &[Argument]) -> Answer<()> {
    let column = column_of(table, key)?.clone();
    if !column.custom {
        return Err(invalid(format!("The attribute '{}' belongs to the system and cannot be deleted.", column.name)));
    }
    if table.primary_name == column.name {
        return Err(invalid(format!("The attribute '{}' is the primary name and cannot be deleted.", column.name)));
    }
    if table.keys.iter().any(|key| key.columns.contains(&column.name)) {
        return Err(invalid(format!(
            "The attribute '{}' is part of an alternate key and cannot be deleted.",
            column.name
        )));
    }
    storage::drop_column(&engine.conn, table, &column)?;
    let mut changed = table.clone();
    changed.columns.shift_remove(&column.name);
    let relations: Vec<Arc<OneToMany>> = engine
        .catalog
        .one_to_many
        .iter()
        .filter(|relation| relation.many == table.name && relation.column == column.name)
        .cloned()
        .collect();
    for relation in &relations {
        storage::drop_relation(&engine.conn, &relation.schema_name)?;
    }
    change(engine, |catalog| {
        catalog.one_to_many.retain(|relation| !(relation.many == table.name && relation.column == column.name));
    });
    replace(engine, changed)
}

fn create_relationship(engine: &mut Engine, body: &Value) -> Answer<Uuid> {
    let schema_name = text(body, "SchemaName").ok_or_else(|| invalid("'SchemaName' is required."))?.to_owned();
    check_name(&schema_name)?;
    let known = engine.catalog.one_to_many.iter().any(|relation| relation.schema_name == schema_name);
    if known || engine.catalog.many_to_many.iter().any(|link| link.schema_name == schema_name) {
        return Err(invalid(format!("A relationship with the name {schema_name} already exists.")));
    }
    let side = |name: &str| -> Answer<Arc<Table>> {
        let table = text(body, name).and_then(|table| engine.catalog.table(table)).cloned();
        table.ok_or_else(|| invalid(format!("'{name}' names no table.")))
    };
    if text(body, "@odata.type").is_some_and(|kind| kind.ends_with("ManyToManyRelationshipMetadata")) {
        let tables = [side("Entity1LogicalName")?, side("Entity2LogicalName")?];
        let nav = |name: &str| text(body, name).unwrap_or(&schema_name).to_owned();
        let link = ManyToMany {
            id: Uuid::new_v4(),
            tables: tables.map(|table| table.name.clone()),
            intersect: text(body, "IntersectEntityName").unwrap_or(&schema_name).to_lowercase(),
            navs: [nav("Entity1NavigationPropertyName"), nav("Entity2NavigationPropertyName")],
            custom: true,
            schema_name,
        };
        check_name(&link.intersect)?;
        storage::save_link(&engine.conn, &link)?;
        let id = link.id;
        change(engine, |catalog| catalog.many_to_many.push(Arc::new(link)));
        return Ok(id);
    }
    let (one, many) = (side("ReferencedEntity")?, side("ReferencingEntity")?);
    let lookup = &body["Lookup"];
    let lookup_name = text(lookup, "SchemaName").ok_or_else(|| invalid("'Lookup/SchemaName' is required."))?;
    check_name(lookup_name)?;
    let kind = Kind::Lookup { targets: vec![one.name.clone()], flavour: Flavour::Lookup };
    let shown = label(&lookup["DisplayName"]).unwrap_or_else(|| lookup_name.to_owned());
    let mut column = column(lookup_name, &shown, kind).custom().required(required(lookup)?);
    column.external_name = text(lookup, "ExternalName").map(str::to_owned);
    if many.columns.contains_key(&column.name) {
        return Err(invalid(format!(
            "An attribute with the specified name {} already exists for this entity.",
            column.name
        )));
    }
    let on_delete = match body["CascadeConfiguration"]["Delete"].as_str() {
        Some("Cascade") => OnDelete::Cascade,
        Some("Restrict") => OnDelete::Restrict,
        _ => OnDelete::RemoveLink,
    };
    let relation = OneToMany {
        id: Uuid::new_v4(),
        one: one.name.clone(),
        many: many.name.clone(),
        column: column.name.clone(),
        nav_many: text(body, "ReferencingEntityNavigationPropertyName").unwrap_or(lookup_name).to_owned(),
        nav_one: text(body, "ReferencedEntityNavigationPropertyName").unwrap_or(&schema_name).to_owned(),
        on_delete,
        custom: true,
        schema_name,
    };
    let id = relation.id;
    storage::add_column(&engine.conn, &many, &column)?;
    storage::save_relation(&engine.conn, &relation)?;
    let mut changed = (*many).clone();
    changed.columns.insert(column.name.clone(), column);
    change(engine, |catalog| catalog.one_to_many.push(Arc::new(relation)));
    replace(engine, changed)?;
    Ok(id)
}

fn delete_relationship(engine: &mut Engine, key: &[Argument]) -> Answer<()> {
    let [Argument { value: Expr::Literal(Literal::Guid(id)), .. }] = key else { return Err(missing("relationship")) };
    let catalog = engine.catalog.clone();
    if let Some(link) = catalog.many_to_many.iter().find(|link| link.id == *id) {
        storage::drop_relation(&engine.conn, &link.schema_name)?;
        engine.conn.execute_batch(&format!("DROP TABLE {}", link.sql()))?;
        change(engine, |catalog| catalog.many_to_many.retain(|link| link.id != *id));
        return Ok(());
    }
    let relation = catalog.one_to_many.iter().find(|relation| relation.id == *id);
    let relation = relation.ok_or_else(|| missing("relationship"))?;
    let many = catalog.table(&relation.many).ok_or_else(|| missing("relationship"))?;
    let name = Expr::Literal(Literal::String(relation.column.clone()));
    delete_column(engine, many, &[Argument { name: Some("LogicalName".into()), value: name }])
}

fn plural(name: &str) -> String {
    match name {
        name if name.ends_with('y') && !name.ends_with("ey") && !name.ends_with("ay") && !name.ends_with("oy") => {
            format!("{}ies", &name[..name.len() - 1])
        }
        name if name.ends_with('s') || name.ends_with('x') || name.ends_with("ch") || name.ends_with("sh") => {
            format!("{name}es")
        }
        name => format!("{name}s"),
    }
}

fn column_of<'a>(table: &'a Table, key: &[Argument]) -> Answer<&'a Column> {
    let found = match key {
        [Argument { value: Expr::Literal(Literal::Guid(id)), .. }] => {
            table.columns.values().find(|column| column.id == *id)
        }
        [Argument { value: Expr::Literal(Literal::String(name)), .. }] => table.column(&name.to_lowercase()),
        _ => None,
    };
    found.ok_or_else(|| missing("column"))
}

/// Puts a changed table in the place of the known one.
fn replace(engine: &mut Engine, table: Table) -> Answer<()> {
    storage::save_table(&engine.conn, &table)?;
    change(engine, |catalog| {
        catalog.tables.insert(table.name.clone(), Arc::new(table));
    });
    Ok(())
}

fn change(engine: &mut Engine, edit: impl FnOnce(&mut Catalog)) {
    let mut catalog = (*engine.catalog).clone();
    edit(&mut catalog);
    catalog.index();
    engine.catalog = Arc::new(catalog);
}

fn body(request: &Request) -> Answer<Value> {
    serde_json::from_slice(&request.body)
        .map_err(|error| Refusal::payload("EntityDefinitions", format!("The request body is not valid JSON: {error}")))
}

fn created(request: &Request, path: &str) -> Response {
    Response::no_content().with("OData-EntityId", request.link(path))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, refusal::INVALID_ARGUMENT, message)
}

fn missing(what: &str) -> Refusal {
    Refusal::new(404, refusal::OBJECT_DOES_NOT_EXIST, format!("Could not find a {what} with the given key."))
}
