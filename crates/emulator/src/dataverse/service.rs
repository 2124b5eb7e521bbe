//! From a method and a path to what is done.

use std::sync::Arc;

use odata::Segment;
use uuid::Uuid;

use super::address::{Address, follow, refuse_dangerous};
use super::engine::Engine;
use super::json::{self, Object, Writer};
use super::model::{Nav, Table};
use super::payload::{self, Payload, not_json};
use super::refusal::{self, Answer, Refusal};
use super::shape::Shape;
use super::wire::{Condition, Request, Response, below_root};
use super::write::{self, Caller};
use super::{builtin, bulk, bulk_delete, define, definitions, provider, read, storage, value};

const RETRIEVE_USER_PRIVILEGES: &str = "Microsoft.Dynamics.CRM.RetrieveUserPrivileges";

/// Answers one request that is not a batch.
pub fn answer(engine: &mut Engine, request: &Request) -> Response {
    let result = if request.method == "GET" {
        dispatch(engine, request)
    } else {
        engine.transaction(|engine| dispatch(engine, request))
    };
    result.unwrap_or_else(|refusal| refusal.response(&request.prefer()))
}

/// Answers inside whatever transaction is open.
pub fn dispatch(engine: &mut Engine, request: &Request) -> Answer<Response> {
    if request.header("mscrm.suppressduplicatedetection").is_some_and(|value| value.eq_ignore_ascii_case("false")) {
        return Err(Refusal::not_emulated("duplicate detection (MSCRM.SuppressDuplicateDetection: false)"));
    }
    let segments = odata::resource_path(&request.path)?;
    refuse_dangerous(&segments)?;
    let Some((first, rest)) = segments.split_first() else {
        return match request.method.as_str() {
            "GET" => Ok(service_document(engine, request)),
            other => Err(Refusal::method(other)),
        };
    };
    match first.name.as_str() {
        "EntityDefinitions" | "RelationshipDefinitions" => return definitions::dispatch(engine, request, &segments),
        "$batch" => return Err(Refusal::query("A batch cannot hold another batch.")),
        "WhoAmI" => return Ok(who_am_i(request)),
        "RetrieveTotalRecordCount" => return total_record_count(engine, request, first),
        "BulkDelete" if request.method == "POST" => return bulk_delete::run(engine, request),
        "CreateEntities" if request.method == "POST" => return define::create_entities(engine, request),
        "ReactivateEntityKey" if request.method == "POST" => return define::reactivate_key(engine, request),
        "PublishXml" if request.method == "POST" => return Ok(Response::no_content()),
        "PublishAllXml" if request.method == "POST" => {
            engine.provider.forget();
            return Ok(Response::no_content());
        }
        _ => {}
    }
    let Some(table) = engine.catalog.by_set(&first.name).cloned() else { return Err(unknown(engine, &first.name)) };
    if let Some(asked) = provider::asked(engine, request) {
        // Only a batch comes here with one; whoever waits for it waits for the batch.
        let asked = asked?;
        let answered = tokio::runtime::Handle::current().block_on(asked.ask());
        return answered.map_err(|trouble| asked.refusal(&trouble));
    }
    let Some(arguments) = &first.arguments else { return collection(engine, request, &table, rest) };
    let address = Address::parse(&table, arguments)?;
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let id = address.require(engine, &table)?;
            read::row(engine, request, &table, id)
        }
        ("PATCH", []) => patch(engine, request, &table, &address),
        ("DELETE", []) => remove(engine, request, &table, &address),
        (other, []) => Err(Refusal::method(other)),
        (_, rest) => below_row(engine, request, &table, &address, rest),
    }
}

/// `{set}` and what hangs on it.
fn collection(engine: &mut Engine, request: &Request, table: &Arc<Table>, rest: &[Segment]) -> Answer<Response> {
    match (request.method.as_str(), rest) {
        ("GET", []) => read::list(engine, request, table),
        ("POST", []) => create(engine, request, table),
        (other, []) => Err(Refusal::method(other)),
        ("GET", [last]) if last.name == "$count" => read::count(engine, request, table),
        ("POST", [last]) => match last.name.strip_prefix("Microsoft.Dynamics.CRM.") {
            Some(message) => bulk::run(engine, request, table, message),
            None => Err(Refusal::no_segment(&last.name)),
        },
        (_, [last, ..]) => Err(Refusal::no_segment(&last.name)),
    }
}

/// `{set}(key)/…`.
fn below_row(
    engine: &mut Engine,
    request: &Request,
    table: &Arc<Table>,
    address: &Address,
    rest: &[Segment],
) -> Answer<Response> {
    let id = address.require(engine, table)?;
    let is_nav = |name: &str| engine.catalog.nav(&table.name, name).is_some();
    match (request.method.as_str(), rest) {
        ("GET", [name]) if table.name == "systemuser" && name.name == RETRIEVE_USER_PRIVILEGES => {
            Ok(user_privileges(engine, request))
        }
        ("GET", [name]) => read::member(engine, request, table, id, &name.name),
        ("GET", [name, last]) if last.name == "$value" => read::plain_value(engine, table, id, &name.name),
        ("GET", [nav, last]) if last.name == "$ref" => read::references(engine, request, table, id, &nav.name),
        ("GET", [nav, last]) if last.name == "$count" => read::count_related(engine, table, id, &nav.name),
        ("PUT" | "DELETE", [name]) if !is_nav(&name.name) => set_property(engine, request, table, id, &name.name),
        ("PUT" | "POST", [nav, last]) if last.name == "$ref" => connect(engine, request, table, id, &nav.name),
        ("DELETE", [nav, last]) if last.name == "$ref" => disconnect(engine, request, table, id, nav),
        (_, [name, ..]) if name.name.starts_with("Microsoft.Dynamics.CRM.") => {
            Err(Refusal::not_emulated(format!("the operation '{}'", name.name)))
        }
        (_, [name, ..]) if !is_nav(&name.name) && table.column_of_property(&name.name).is_none() => {
            Err(Refusal::no_segment(&name.name))
        }
        (method, _) => Err(Refusal::not_emulated(format!("{method} {}", request.path))),
    }
}

fn create(engine: &mut Engine, request: &Request, table: &Arc<Table>) -> Answer<Response> {
    let payload = body(engine, request, table)?;
    let id = write::create(engine, &caller(request), table, payload)?;
    let address = Address::Id(id);
    written(engine, request, table, &address, id, true)
}

/// Update, upsert, update only or create only, as the conditions say.
fn patch(engine: &mut Engine, request: &Request, table: &Arc<Table>, address: &Address) -> Answer<Response> {
    let if_match = request.condition("if-match");
    let create_only = request.condition("if-none-match") == Some(Condition::Any);
    let payload = body(engine, request, table)?;
    match address.find(engine, table)? {
        Some(_) if create_only => {
            let message = "A record with matching key values already exists.";
            Err(Refusal::new(412, refusal::DUPLICATE_RECORD, message))
        }
        Some(id) => {
            check_version(engine, table, id, if_match)?;
            update_by(engine, &caller(request), table, address, id, payload)?;
            written(engine, request, table, address, id, false)
        }
        None if if_match.is_some() => Err(address.missing(table)),
        None => {
            let id = create_by(engine, &caller(request), table, address, payload)?;
            written(engine, request, table, address, id, true)
        }
    }
}

/// Updates the row that `address` found; a key in the address cannot be changed by the same request.
pub fn update_by(
    engine: &mut Engine,
    caller: &Caller,
    table: &Arc<Table>,
    address: &Address,
    id: Uuid,
    mut payload: Payload,
) -> Answer<()> {
    if let Address::Key { parts, .. } = address {
        payload.cells.retain(|cell| parts.iter().all(|(column, _)| *column != cell.column));
    }
    write::update(engine, caller, table, id, payload)
}

/// Creates the row that `address` did not find; what the body says of the key wins over the address.
pub fn create_by(
    engine: &mut Engine,
    caller: &Caller,
    table: &Arc<Table>,
    address: &Address,
    mut payload: Payload,
) -> Answer<Uuid> {
    match address {
        Address::Id(id) => payload.id = Some(*id),
        Address::Key { parts, .. } => {
            for (column, value) in parts {
                if payload.cells.iter().all(|cell| cell.column != *column) {
                    payload.put(payload::Cell { column: *column, value: value.clone(), target: None });
                }
            }
        }
    }
    write::create(engine, caller, table, payload)
}

fn remove(engine: &mut Engine, request: &Request, table: &Arc<Table>, address: &Address) -> Answer<Response> {
    let id = address.require(engine, table)?;
    check_version(engine, table, id, request.condition("if-match"))?;
    write::delete(engine, &caller(request), table, id)?;
    Ok(Response::no_content())
}

fn check_version(engine: &Engine, table: &Table, id: Uuid, condition: Option<Condition>) -> Answer<()> {
    let Some(Condition::Version(expected)) = condition else { return Ok(()) };
    if write::version(engine, table, id)? == Some(expected) {
        return Ok(());
    }
    let message = "The version of the existing record doesn't match the RowVersion property provided.";
    Err(Refusal::new(412, refusal::VERSION_MISMATCH, message))
}

/// The answer to a write: where the row is, or the row itself.
fn written(
    engine: &Engine,
    request: &Request,
    table: &Arc<Table>,
    address: &Address,
    id: Uuid,
    created: bool,
) -> Answer<Response> {
    let prefer = request.prefer();
    if prefer.representation {
        let options = read::options(request)?;
        let shape = Shape::of(engine, table, &options)?;
        let status = if created { 201 } else { 200 };
        let response = read::single(engine, request, &prefer, &shape, id, status)?;
        return Ok(response.with("Preference-Applied", "return=representation"));
    }
    let link = request.link(&address.text(table));
    Ok(Response::no_content().with("Location", link.clone()).with("OData-EntityId", link))
}

/// `PUT {set}(id)/{column}` with `{"value": …}`, and `DELETE` to clear it.
fn set_property(engine: &mut Engine, request: &Request, table: &Arc<Table>, id: Uuid, name: &str) -> Answer<Response> {
    let column = table.column_of_property(name).ok_or_else(|| Refusal::no_segment(name))?;
    let mut payload = Payload::default();
    if request.method == "DELETE" {
        payload.set(table, &column.name, rusqlite::types::Value::Null);
    } else {
        let text = text(request, table)?;
        let object = Object::parse(text).map_err(|error| not_json(&table.set, &error))?;
        let raw = object.get("value").ok_or_else(|| Refusal::payload(&table.set, "The body has no 'value'."))?;
        payload.set(table, &column.name, value::from_json(table, column, raw)?);
    }
    write::update(engine, &caller(request), table, id, payload)?;
    Ok(Response::no_content())
}

fn connect(engine: &mut Engine, request: &Request, table: &Arc<Table>, id: Uuid, nav: &str) -> Answer<Response> {
    let text = text(request, table)?;
    let object = Object::parse(text).map_err(|error| not_json(&table.set, &error))?;
    let url = object.get("@odata.id").and_then(json::text);
    let url = url.ok_or_else(|| Refusal::payload(&table.set, "The body has no '@odata.id'."))?;
    let (target, other) = follow(engine, &url)?;
    write::associate(engine, &caller(request), table, id, nav, &target, other)?;
    Ok(Response::no_content())
}

fn disconnect(engine: &mut Engine, request: &Request, table: &Arc<Table>, id: Uuid, nav: &Segment) -> Answer<Response> {
    let way = engine.catalog.nav(&table.name, &nav.name).ok_or_else(|| Refusal::no_segment(&nav.name))?.clone();
    let caller = caller(request);
    let mut cleared = Payload::default();
    if let Nav::One { column, .. } = &way {
        cleared.set(table, column, rusqlite::types::Value::Null);
        write::update(engine, &caller, table, id, cleared)?;
        return Ok(Response::no_content());
    }
    let query = odata::query_pairs(&request.query)?;
    let by_query = query.iter().find(|(name, _)| name == "$id").map(|(_, url)| url.clone());
    let far = match &way {
        Nav::Many { table, .. } => engine.catalog.table(table),
        Nav::Linked { link, here } => engine.catalog.table(&link.tables[1 - here]),
        Nav::One { .. } => None,
    };
    let far = far.ok_or_else(|| Refusal::no_segment(&nav.name))?.clone();
    let other = match (&nav.arguments, by_query) {
        (Some(arguments), _) => Address::parse(&far, arguments)?.require(engine, &far)?,
        (None, Some(url)) => follow(engine, below_root(&url))?.1,
        (None, None) => return Err(Refusal::query("Which row to disassociate is missing.")),
    };
    match &way {
        Nav::Many { column, .. } => {
            cleared.set(&far, column, rusqlite::types::Value::Null);
            write::update(engine, &caller, &far, other, cleared)?;
        }
        Nav::Linked { link, here } => {
            let (a, b) = if *here == 0 { (id, other) } else { (other, id) };
            let sql = format!("DELETE FROM {} WHERE a = ?1 AND b = ?2", link.sql());
            engine.conn.execute(&sql, [storage::blob(a), storage::blob(b)])?;
        }
        Nav::One { .. } => {}
    }
    Ok(Response::no_content())
}

pub fn caller(request: &Request) -> Caller {
    let pairs = odata::query_pairs(&request.query).unwrap_or_default();
    let tag = pairs.into_iter().find(|(name, _)| name == "tag").map(|(_, value)| value);
    let bypassed = request.header("mscrm.bypassbusinesslogicexecution").unwrap_or_default();
    let quiet = bypassed.split(',').any(|what| what.trim().eq_ignore_ascii_case("CustomAsync"));
    Caller { user: request.user, tag, request_id: Uuid::new_v4(), quiet }
}

pub fn text<'a>(request: &'a Request, table: &Table) -> Answer<&'a str> {
    let text = request.body_text().map_err(|_| Refusal::payload(&table.set, "The request body is not UTF-8."))?;
    Ok(text.trim_start_matches('\u{feff}'))
}

fn body(engine: &Engine, request: &Request, table: &Arc<Table>) -> Answer<Payload> {
    payload::read(engine, table, text(request, table)?)
}

fn service_document(engine: &Engine, request: &Request) -> Response {
    let mut out = String::new();
    let mut object = Writer::new(&mut out);
    object.text("@odata.context", &request.link("$metadata"));
    let values = object.member("value");
    values.push('[');
    for (index, table) in engine.catalog.tables.values().enumerate() {
        if index > 0 {
            values.push(',');
        }
        let mut entry = Writer::new(values);
        entry.text("name", &table.set);
        entry.text("kind", "EntitySet");
        entry.text("url", &table.set);
        entry.end();
    }
    values.push(']');
    object.end();
    Response::json(200, out)
}

fn who_am_i(request: &Request) -> Response {
    let mut out = String::new();
    let mut object = Writer::new(&mut out);
    object.text("@odata.context", &request.link("$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse"));
    object.text("BusinessUnitId", &builtin::BUSINESS_UNIT.to_string());
    object.text("UserId", &request.user.to_string());
    object.text("OrganizationId", &builtin::ORGANIZATION.to_string());
    object.end();
    Response::json(200, out)
}

/// `systemusers(…)/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()`: whoever is here may do everything.
fn user_privileges(engine: &Engine, request: &Request) -> Response {
    let all = engine.catalog.tables.values().flat_map(|table| definitions::describe::privileges(table));
    let role = |privilege: definitions::describe::Privilege| {
        serde_json::json!({
            "Depth": "Global", "PrivilegeId": privilege.id, "BusinessUnitId": builtin::BUSINESS_UNIT,
            "PrivilegeName": privilege.name,
        })
    };
    let body = serde_json::json!({
        "@odata.context": request.link("$metadata#Microsoft.Dynamics.CRM.RetrieveUserPrivilegesResponse"),
        "RolePrivileges": all.map(role).collect::<Vec<_>>(),
    });
    Response::json(200, body.to_string())
}

/// `RetrieveTotalRecordCount(EntityNames=['account'])`, which has no cap.
fn total_record_count(engine: &Engine, request: &Request, segment: &Segment) -> Answer<Response> {
    let options = odata::Options::parse(&request.query)?;
    let argument = segment.arguments.iter().flatten().find(|argument| argument.name.as_deref() == Some("EntityNames"));
    let names = match argument.map(|argument| &argument.value) {
        Some(odata::Expr::Alias(alias)) => {
            options.aliases.iter().find(|(name, _)| name == alias).map(|(_, value)| value)
        }
        other => other,
    };
    let Some(odata::Expr::List(names)) = names else {
        return Err(Refusal::query("The function 'RetrieveTotalRecordCount' needs the parameter 'EntityNames'."));
    };
    let (mut keys, mut counts) = (Vec::new(), Vec::new());
    for name in names {
        let odata::Expr::Literal(odata::Literal::String(name)) = name else { continue };
        let table = engine.catalog.table(name).ok_or_else(|| Refusal::no_segment(name))?;
        if table.external.is_some() {
            return Err(Refusal::query(format!("The rows of the virtual entity '{name}' are not counted.")));
        }
        let sql = format!("SELECT count(*) FROM {}", table.sql());
        let count: i64 = engine.conn.query_row(&sql, [], |row| row.get(0))?;
        keys.push(name.clone());
        counts.push(count);
    }
    let context = request.link("$metadata#Microsoft.Dynamics.CRM.RetrieveTotalRecordCountResponse");
    let body = serde_json::json!({
        "@odata.context": context,
        "EntityRecordCountCollection": { "Count": counts.len(), "IsReadOnly": false, "Keys": keys, "Values": counts },
    });
    Ok(Response::json(200, body.to_string()))
}

/// A segment that is no set of ours: functions and actions begin with a capital and may exist on the platform; a set
/// in the wrong case never does.
fn unknown(engine: &Engine, name: &str) -> Refusal {
    let lower = name.to_lowercase();
    let wrong_case = engine.catalog.table(&lower).is_some() || engine.catalog.by_set(&lower).is_some();
    if !wrong_case && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '$') {
        return Refusal::not_emulated(format!("'{name}'"));
    }
    Refusal::no_segment(name)
}
