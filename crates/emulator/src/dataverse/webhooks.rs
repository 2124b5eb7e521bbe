//! Webhooks: which steps are registered, and the notice that each change makes for them.
//!
//! Only asynchronous steps are carried out: a notice is built inside the transaction that makes the change and sent
//! after its commit. The body is the platform's `RemoteExecutionContext`.

use std::sync::Arc;

use rusqlite::OptionalExtension;
use rusqlite::types::{Value, ValueRef};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::builtin;
use super::engine::{Deed, Engine};
use super::json::{self, Writer};
use super::model::{Behaviour, Column, Kind, Table};
use super::payload::Cell;
use super::refusal::{Answer, Refusal};
use super::storage::{blob, primary_name, sql_column};
use super::value;
use super::write::{self, Caller};

/// A body larger than this loses its parameters and images, and says so in a header.
const BODY_BYTES_MAX: usize = 256 * 1024;

const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";

/// A notice on its way to a webhook.
#[derive(Debug, Clone)]
pub struct Post {
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub step: Uuid,
    pub name: String,
    pub message: &'static str,
    /// Whether a job that succeeded leaves no trace.
    pub forget_success: bool,
}

/// A registered step with its endpoint and images.
#[derive(Debug)]
pub struct Step {
    id: Uuid,
    name: String,
    deed: Deed,
    /// The table, or all of them.
    table: Option<String>,
    /// Columns of which one must be in an update; empty for any.
    columns: Vec<String>,
    stage: i64,
    forget_success: bool,
    url: String,
    /// Header names and values, or one pair for the query string.
    auth: Auth,
    images: Vec<Image>,
}

#[derive(Debug)]
enum Auth {
    Headers(Vec<(String, String)>),
    Query(Vec<(String, String)>),
}

#[derive(Debug)]
struct Image {
    alias: String,
    before: bool,
    after: bool,
    columns: Vec<String>,
}

/// The images of a row before it changed: alias and value, for each step that wants one.
pub struct Before(Vec<(Uuid, String, String)>);

/// Takes the images that steps want of the row as it is now.
pub fn before(engine: &mut Engine, table: &Arc<Table>, deed: Deed, id: Uuid) -> Answer<Option<Before>> {
    let steps = steps(engine)?;
    let mut images = Vec::new();
    for step in steps.iter().filter(|step| step.wants(table, deed)) {
        for image in step.images.iter().filter(|image| image.before) {
            if let Some(text) = image_of(engine, table, id, &image.columns)? {
                images.push((step.id, image.alias.clone(), text));
            }
        }
    }
    Ok((!images.is_empty()).then_some(Before(images)))
}

/// Builds the notices for a change that has just been made.
pub fn after(
    engine: &mut Engine,
    caller: &Caller,
    table: &Arc<Table>,
    deed: Deed,
    id: Uuid,
    cells: &[Cell],
    before: Option<Before>,
) -> Answer<()> {
    if matches!(table.name.as_str(), "serviceendpoint" | "sdkmessageprocessingstep" | "sdkmessageprocessingstepimage") {
        engine.steps = None;
        return refuse_synchronous(engine, table, id);
    }
    if caller.quiet {
        return Ok(());
    }
    let steps = steps(engine)?;
    for step in steps.iter().filter(|step| step.wants(table, deed)) {
        let touched = |name: &String| cells.iter().any(|cell| table.columns[cell.column].name == *name);
        if deed == Deed::Updated && !step.columns.is_empty() && !step.columns.iter().any(touched) {
            continue;
        }
        let pre: Vec<(String, String)> = before
            .iter()
            .flat_map(|before| &before.0)
            .filter(|(owner, ..)| *owner == step.id)
            .map(|(_, alias, text)| (alias.clone(), text.clone()))
            .collect();
        let mut post = Vec::new();
        if deed != Deed::Deleted {
            for image in step.images.iter().filter(|image| image.after) {
                if let Some(text) = image_of(engine, table, id, &image.columns)? {
                    post.push((image.alias.clone(), text));
                }
            }
            // Asynchronous steps get the primary name without asking.
            if let Some(text) = image_of(engine, table, id, &[table.primary_id.clone(), table.primary_name.clone()])? {
                post.push(("AsynchronousStepPrimaryName".into(), text));
            }
        }
        let target = target(engine, table, deed, id, cells)?;
        let notice = notice(engine, caller, table, step, id, &target, &pre, &post);
        engine.posts.push(notice);
    }
    Ok(())
}

impl Step {
    fn wants(&self, table: &Table, deed: Deed) -> bool {
        self.deed == deed && self.table.as_ref().is_none_or(|name| *name == table.name)
    }
}

/// The enabled asynchronous steps whose handler is a webhook, read again only after a change.
fn steps(engine: &mut Engine) -> Answer<Arc<Vec<Step>>> {
    if let Some(steps) = &engine.steps {
        return Ok(steps.clone());
    }
    let mut steps = Vec::new();
    let sql = "SELECT s.id, s.c_name, m.c_name, f.c_primaryobjecttypecode, s.c_filteringattributes, s.c_stage, \
               s.c_asyncautodelete, e.c_url, e.c_authtype, e.c_authvalue \
               FROM t_sdkmessageprocessingstep s JOIN t_sdkmessage m ON m.id = s.c_sdkmessageid \
               LEFT JOIN t_sdkmessagefilter f ON f.id = s.c_sdkmessagefilterid \
               JOIN t_serviceendpoint e ON e.id = s.c_eventhandler \
               WHERE s.c_statecode = 0 AND e.c_contract = 8 ORDER BY s.c_rank, s.id";
    let mut statement = engine.conn.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let deed = match row.get::<_, String>(2)?.as_str() {
            "Create" => Deed::Created,
            "Update" => Deed::Updated,
            "Delete" => Deed::Deleted,
            // Steps on the bulk messages fire for each row through the single ones.
            _ => continue,
        };
        let id = Uuid::from_bytes(row.get::<_, [u8; 16]>(0)?);
        steps.push(Step {
            id,
            name: row.get(1)?,
            deed,
            table: row.get(3)?,
            columns: names(&row.get::<_, Option<String>>(4)?.unwrap_or_default()),
            stage: row.get::<_, Option<i64>>(5)?.unwrap_or(40),
            forget_success: row.get::<_, Option<i64>>(6)?.unwrap_or(0) != 0,
            url: row.get::<_, Option<String>>(7)?.unwrap_or_default(),
            auth: auth(
                row.get::<_, Option<i64>>(8)?.unwrap_or(0),
                &row.get::<_, Option<String>>(9)?.unwrap_or_default(),
            ),
            images: Vec::new(),
        });
    }
    drop(rows);
    drop(statement);
    for step in &mut steps {
        let sql = "SELECT c_entityalias, c_imagetype, c_attributes FROM t_sdkmessageprocessingstepimage \
                   WHERE c_sdkmessageprocessingstepid = ?1 ORDER BY id";
        let mut statement = engine.conn.prepare_cached(sql)?;
        let mut rows = statement.query([blob(step.id)])?;
        while let Some(row) = rows.next()? {
            let kind: i64 = row.get::<_, Option<i64>>(1)?.unwrap_or(0);
            let columns = names(&row.get::<_, Option<String>>(2)?.unwrap_or_default());
            step.images.push(Image { alias: row.get(0)?, before: kind != 1, after: kind != 0, columns });
        }
    }
    let steps = Arc::new(steps);
    engine.steps = Some(steps.clone());
    Ok(steps)
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// `authvalue` is the key itself, or settings as XML (`<settings><setting name="…" value="…" /></settings>`).
fn auth(kind: i64, text: &str) -> Auth {
    let mut pairs = Vec::new();
    for setting in text.split("<setting ").skip(1) {
        let attribute = |name: &str| {
            let start = setting.find(&format!("{name}=\""))? + name.len() + 2;
            Some(setting[start..].split('"').next()?.replace("&quot;", "\"").replace("&lt;", "<").replace("&amp;", "&"))
        };
        pairs.extend(attribute("name").zip(attribute("value")));
    }
    match kind {
        4 => Auth::Query(vec![("code".into(), text.to_owned())]),
        6 => Auth::Query(pairs),
        _ => Auth::Headers(pairs),
    }
}

/// A synchronous step would have to answer before the change is made.
fn refuse_synchronous(engine: &Engine, table: &Table, id: Uuid) -> Answer<()> {
    if table.name != "sdkmessageprocessingstep" {
        return Ok(());
    }
    let sql = "SELECT c_mode FROM t_sdkmessageprocessingstep WHERE id = ?1";
    let mode: Option<Option<i64>> = engine.conn.query_row(sql, [blob(id)], |row| row.get(0)).optional()?;
    match mode {
        Some(mode) if mode != Some(1) => Err(Refusal::not_emulated("synchronous steps; register with \"mode\": 1")),
        _ => Ok(()),
    }
}

/// The `Target` of a message: what was submitted and what the platform added, or for a deletion where the row was.
fn target(engine: &Engine, table: &Table, deed: Deed, id: Uuid, cells: &[Cell]) -> Answer<String> {
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
fn image_of(engine: &Engine, table: &Table, id: Uuid, columns: &[String]) -> Answer<Option<String>> {
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
            json::string(&mut quoted, &text);
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
    json::string(&mut out, key);
    out.push_str(&format!(",\"value\":{value}}}"));
    out
}

#[expect(clippy::too_many_arguments, reason = "one notice is put together from exactly these")]
fn notice(
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
            json::string(&mut quoted, tag);
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

/// Leaves the trace of a notice: a system job that succeeded or failed.
pub fn record(engine: &mut Engine, post: &Post, failure: Option<&str>) -> Answer<()> {
    if failure.is_none() && post.forget_success {
        return Ok(());
    }
    let now = value::instant_text(engine.clock.now());
    let quoted = |text: &str| {
        let mut out = String::new();
        json::string(&mut out, text);
        out
    };
    let mut columns = vec![
        ("name", quoted(&post.name)),
        ("messagename", quoted(post.message)),
        ("operationtype", "1".into()),
        ("statecode", "3".into()),
        ("statuscode", if failure.is_some() { "31".into() } else { "30".into() }),
        ("startedon", quoted(&now)),
        ("completedon", quoted(&now)),
        ("owningextensionid", quoted(&post.step.to_string())),
    ];
    if let Some(failure) = failure {
        columns.push(("message", quoted(failure)));
    }
    engine.transaction(|engine| write::seed(engine, "asyncoperation", Uuid::now_v7(), &columns))
}

/// Makes the rows by which steps name a message of one table.
pub fn add_filters(engine: &mut Engine, table: &str) -> Answer<()> {
    for name in builtin::MESSAGES {
        let message: [u8; 16] =
            engine.conn.query_row("SELECT id FROM t_sdkmessage WHERE c_name = ?1", [name], |row| row.get(0))?;
        let columns = [
            ("name", format!("\"{name} {table}\"")),
            ("primaryobjecttypecode", format!("\"{table}\"")),
            ("sdkmessageid", format!("\"{}\"", Uuid::from_bytes(message))),
        ];
        write::seed(engine, "sdkmessagefilter", Uuid::now_v7(), &columns)?;
    }
    Ok(())
}
