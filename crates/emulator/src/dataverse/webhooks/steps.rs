//! Registered steps: which change of which table is told to whom.

use std::sync::Arc;

use uuid::Uuid;

use crate::dataverse::engine::{Deed, Engine};
use crate::dataverse::model::Table;
use crate::dataverse::refusal::Answer;
use crate::dataverse::storage::blob;

/// A registered step with its endpoint and images.
#[derive(Debug)]
pub struct Step {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) deed: Deed,
    /// The table, or all of them.
    pub(super) table: Option<String>,
    /// Columns of which one must be in an update; empty for any.
    pub(super) columns: Vec<String>,
    pub(super) stage: i64,
    pub(super) forget_success: bool,
    pub(super) url: String,
    /// Header names and values, or one pair for the query string.
    pub(super) auth: Auth,
    pub(super) images: Vec<Image>,
}

#[derive(Debug)]
pub(super) enum Auth {
    Headers(Vec<(String, String)>),
    Query(Vec<(String, String)>),
}

#[derive(Debug)]
pub(super) struct Image {
    pub(super) alias: String,
    pub(super) before: bool,
    pub(super) after: bool,
    pub(super) columns: Vec<String>,
}

impl Step {
    pub(super) fn wants(&self, table: &Table, deed: Deed) -> bool {
        self.deed == deed && self.table.as_ref().is_none_or(|name| *name == table.name)
    }
}

/// The enabled asynchronous steps whose handler is a webhook, read again only after a change.
pub(super) fn steps(engine: &mut Engine) -> Answer<Arc<Vec<Step>>> {
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
