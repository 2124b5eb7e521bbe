//! The OData v4 data provider: a query of a virtual table becomes a request to the service that its data source names.
//!
//! Which requests it sends is documented nowhere; what is seen in the logs of services is what this does: pages by
//! `$top` and `$skip`, the key always selected, the count where the data source says so, a row as `Set(guid)`, names as
//! the service's metadata has them, which is kept for eight hours. Virtual tables are read here and not written.
//!
//! *Source*: "OData v4 data provider configuration, requirements and best practices"; requests seen by services that
//! others run behind virtual tables. How a failure looks to a client of the Web API is our own reading of it.

mod answer;
mod call;
mod metadata;
mod query;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use odata::{Expr, Literal, Options};
use parking_lot::Mutex;
use uuid::Uuid;

use super::engine::Engine;
use super::model::{Column, Table};
use super::refusal::{self, Answer, Refusal};
use super::wire::{Prefer, Request, Response};
use super::{read, storage, write};
use metadata::Metadata;

/// The most rows that one query of a virtual table gets.
pub const ROWS_MAX: u64 = 1_000;
/// How long the provider goes on with metadata that it has read.
const METADATA_SECONDS: i64 = 8 * 3600;
/// What the sandbox leaves a plug-in.
const SECONDS_MAX: u64 = 120;
/// The code of whatever a plug-in throws.
const PLUGIN_FAILED: &str = "0x80040265";
/// What a user sees, whatever it was.
const NOT_RETRIEVED: &str =
    "Entity could not be retrieved from data source. Please try again or contact your system administrator.";

/// What the provider remembers of services, by their data source.
#[derive(Default)]
pub struct Known(Mutex<HashMap<Uuid, (i64, Arc<Metadata>)>>);

impl Known {
    /// As after publishing all customizations.
    pub fn forget(&self) {
        self.0.lock().clear();
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub struct Trouble {
    /// The exception of the platform.
    pub class: &'static str,
    /// What the trace log says.
    pub trace: String,
}

impl Trouble {
    fn metadata(trace: impl Into<String>) -> Trouble {
        Trouble { class: "InvalidMetadataException", trace: trace.into() }
    }

    fn data(trace: impl Into<String>) -> Trouble {
        Trouble { class: "GenericDataAccessException", trace: trace.into() }
    }
}

/// One row of `msdyn_odatav4ds`.
struct DataSource {
    id: Uuid,
    uri: String,
    timeout: Duration,
    counts: bool,
    headers: Vec<(String, String)>,
    parameters: Vec<(String, String)>,
}

enum What {
    /// `page` is 1 for the first one.
    List {
        page: u64,
        rows: u64,
        /// Whether the client pages, or has said how many it wants.
        is_paged: bool,
    },
    Row(Uuid),
    Count,
}

/// What a client asked of a virtual table, with everything of the environment that answering needs.
pub struct Asked {
    table: Arc<Table>,
    set: String,
    source: DataSource,
    what: What,
    columns: Vec<Column>,
    /// The names of `$select`, where the client sent it.
    selected: Option<Vec<String>>,
    /// Path and query below the root of the service.
    path: String,
    prefer: Prefer,
    wants_count: bool,
    /// Of the client's own request.
    root: String,
    own_path: String,
    own_query: String,
    now: i64,
    known: Arc<Known>,
}

/// Reads a request for a virtual table; nothing if it is for something else.
pub fn asked(engine: &Engine, request: &Request) -> Option<Answer<Asked>> {
    let segments = odata::resource_path(&request.path).ok()?;
    let first = segments.first()?;
    let table = engine.catalog.by_set(&first.name)?;
    table.external.as_ref()?;
    Some(prepare(engine, request, table, &segments))
}

fn prepare(engine: &Engine, request: &Request, table: &Arc<Table>, segments: &[odata::Segment]) -> Answer<Asked> {
    if request.method != "GET" {
        let what =
            format!("writing the virtual table '{}'; its data provider could, the services here are read", table.name);
        return Err(Refusal::not_emulated(what));
    }
    let external = table.external.as_ref().expect("only virtual tables come here");
    let (options, prefer) = (read::options(request)?, request.prefer());
    refuse_what_is_not_passed_on(table, &options, &prefer)?;
    let what = match segments {
        [set] => match &set.arguments {
            Some(arguments) => What::Row(row_id(table, arguments)?),
            None => {
                let is_paged = options.top.is_none() || prefer.page_rows.is_some();
                let wanted = prefer.page_rows.map(|rows| rows as u64).or(options.top);
                let page = options.skiptoken.as_deref().map(read::page_number).transpose()?.unwrap_or(1) as u64;
                What::List { page, rows: wanted.unwrap_or(ROWS_MAX).min(ROWS_MAX), is_paged }
            }
        },
        [set, last] if last.name == "$count" && set.arguments.is_none() => What::Count,
        _ => return Err(Refusal::not_emulated(format!("GET {} of a virtual table", request.path))),
    };
    let source = data_source(engine, table)?;
    let (columns, selected) = query::selected(table, &options)?;
    let path = query::path(table, &external.collection, &what, &columns, &options, &source, engine.clock.now())?;
    Ok(Asked {
        table: table.clone(),
        set: external.collection.clone(),
        source,
        what,
        columns,
        selected,
        path,
        prefer,
        wants_count: options.count == Some(true),
        root: request.root.clone(),
        own_path: request.path.clone(),
        own_query: request.query.clone(),
        now: engine.clock.now(),
        known: engine.provider.clone(),
    })
}

/// The key in the address; virtual tables have no alternate keys.
fn row_id(table: &Table, arguments: &[odata::Argument]) -> Answer<Uuid> {
    match arguments {
        [odata::Argument { name, value: Expr::Literal(Literal::Guid(id)) }]
            if name.as_deref().is_none_or(|name| name == table.primary_id) =>
        {
            Ok(*id)
        }
        _ => Err(Refusal::query(format!("The virtual entity '{}' is found by its id only.", table.name))),
    }
}

/// What the platform does not do for virtual tables at all, or not by way of the provider.
fn refuse_what_is_not_passed_on(table: &Table, options: &Options, prefer: &Prefer) -> Answer<()> {
    if prefer.track_changes || options.deltatoken.is_some() {
        let message = format!("Change tracking is not enabled for the entity '{}'.", table.name);
        return Err(Refusal::new(400, refusal::NOT_CHANGE_TRACKED, message));
    }
    if options.apply.is_some() {
        return Err(Refusal::query(format!("Aggregates are not supported for the virtual entity '{}'.", table.name)));
    }
    if !options.expand.is_empty() {
        return Err(Refusal::not_emulated("$expand from a virtual table"));
    }
    Ok(())
}

fn data_source(engine: &Engine, table: &Table) -> Answer<DataSource> {
    let external = table.external.as_ref().expect("only virtual tables come here");
    let none = || {
        Refusal::new(
            400,
            PLUGIN_FAILED,
            format!("The virtual entity '{}' has no data provider or data source.", table.name),
        )
    };
    let id = external.source.filter(|_| external.provider.is_some()).ok_or_else(none)?;
    let sql = "SELECT c_msdyn_uri, c_msdyn_timeout, c_msdyn_returninlinecount, c_msdyn_paginationtype \
               FROM t_msdyn_odatav4ds WHERE id = ?1";
    let row = engine.conn.query_row(sql, [storage::blob(id)], |row| {
        Ok((
            row.get::<_, Option<String>>(0)?,
            row.get::<_, Option<u16>>(1)?,
            row.get::<_, Option<bool>>(2)?,
            row.get::<_, Option<i64>>(3)?,
        ))
    });
    let (uri, seconds, counts, paging) = match row {
        Err(rusqlite::Error::QueryReturnedNoRows) => return Err(none()),
        row => row?,
    };
    if paging == Some(1) {
        return Err(Refusal::not_emulated("a data source with server-side paging"));
    }
    let (mut headers, mut parameters) = (Vec::new(), Vec::new());
    for n in 1..=10 {
        let sql = format!(
            "SELECT c_msdyn_parameter{n}name, c_msdyn_parameter{n}value, c_msdyn_isparameter{n}header \
             FROM t_msdyn_odatav4ds WHERE id = ?1"
        );
        let row = engine.conn.prepare_cached(&sql)?.query_row([storage::blob(id)], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, Option<bool>>(2)?))
        })?;
        if let (Some(name), value, is_header) = row {
            let list = if is_header == Some(true) { &mut headers } else { &mut parameters };
            list.push((name, value.unwrap_or_default()));
        }
    }
    Ok(DataSource {
        id,
        uri: uri.unwrap_or_default(),
        timeout: Duration::from_secs(seconds.map_or(SECONDS_MAX, u64::from).clamp(1, SECONDS_MAX)),
        counts: counts.unwrap_or_default(),
        headers,
        parameters,
    })
}

impl Asked {
    /// Calls the service; without the environment, which others go on using meanwhile.
    pub async fn ask(&self) -> Result<Response, Trouble> {
        match tokio::time::timeout(self.source.timeout, self.within_time()).await {
            Ok(answered) => answered,
            Err(_) => Err(Trouble {
                class: "TimeoutException",
                trace: format!("The operation has timed out after {} seconds.", self.source.timeout.as_secs()),
            }),
        }
    }

    async fn within_time(&self) -> Result<Response, Trouble> {
        let metadata = self.metadata().await?;
        metadata.check(&self.table, &self.set)?;
        let reply = call::get(&self.source, &self.path, "application/json").await?;
        match reply.status {
            200 => self.shown(&reply.body),
            404 if matches!(self.what, What::Row(_)) => {
                Err(Trouble { class: "ObjectNotFoundException", trace: call::remote_said(404) })
            }
            status => Err(Trouble { class: class_of(status), trace: call::remote_said(status) }),
        }
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, Trouble> {
        let fresh =
            |(at, metadata): &(i64, Arc<Metadata>)| (self.now - at < METADATA_SECONDS).then(|| metadata.clone());
        if let Some(known) = self.known.0.lock().get(&self.source.id).and_then(fresh) {
            return Ok(known);
        }
        let reply = call::get(&self.source, "$metadata", "application/xml").await?;
        if reply.status != 200 {
            return Err(Trouble { class: class_of(reply.status), trace: call::remote_said(reply.status) });
        }
        let text = String::from_utf8(reply.body).map_err(|_| Trouble::metadata("$metadata is not UTF-8."))?;
        let metadata = Arc::new(Metadata::read(&text)?);
        self.known.0.lock().insert(self.source.id, (self.now, metadata.clone()));
        Ok(metadata)
    }

    /// What the client is told of a failure.
    pub fn refusal(&self, trouble: &Trouble) -> Refusal {
        match &self.what {
            What::Row(id) if trouble.class == "ObjectNotFoundException" => Refusal::no_row(&self.table.name, *id),
            _ => Refusal::new(400, PLUGIN_FAILED, NOT_RETRIEVED),
        }
    }

    /// Leaves a failure in the plug-in trace log, where an administrator finds it.
    pub fn trace(&self, engine: &mut Engine, trouble: &Trouble) -> Answer<()> {
        let quoted = |text: &str| {
            let mut out = String::new();
            odata::payload::quoted(&mut out, text);
            out
        };
        let message = if matches!(self.what, What::Row(_)) { "Retrieve" } else { "RetrieveMultiple" };
        let exception = format!("Microsoft.Xrm.Sdk.Data.Exceptions.{}: {}", trouble.class, trouble.trace);
        let block = format!("GET {}/{}", self.source.uri.trim_end_matches('/'), self.path);
        let columns = [
            ("typename", quoted("Microsoft.Crm.Extensibility.ODataV4DataProvider")),
            ("messagename", quoted(message)),
            ("primaryentity", quoted(&self.table.name)),
            ("messageblock", quoted(&block.chars().take(5_000).collect::<String>())),
            ("exceptiondetails", quoted(&exception)),
        ];
        engine.transaction(|engine| write::seed(engine, "plugintracelog", Uuid::now_v7(), &columns))
    }
}

fn class_of(status: u16) -> &'static str {
    match status {
        401 | 403 => "AuthenticationException",
        404 => "EndpointException",
        400 | 501 => "InvalidQueryException",
        408 | 504 => "TimeoutException",
        _ => "GenericDataAccessException",
    }
}
