//! Webhooks: which steps are registered, and the notice that each change makes for them.
//!
//! Only asynchronous steps are carried out: a notice is built inside the transaction that makes the change and sent
//! after its commit. The body is the platform's `RemoteExecutionContext`.

mod context;
mod steps;

use std::sync::Arc;

use rusqlite::OptionalExtension;
use uuid::Uuid;

use super::builtin;
use super::engine::{Deed, Engine};
use super::model::Table;
use super::payload::Cell;
use super::refusal::{Answer, Refusal};
use super::storage::blob;
use super::value;
use super::write::{self, Caller};
use context::{image_of, notice, target};
pub use steps::Step;
use steps::steps;

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

/// Leaves the trace of a notice: a system job that succeeded or failed.
pub fn record(engine: &mut Engine, post: &Post, failure: Option<&str>) -> Answer<()> {
    if failure.is_none() && post.forget_success {
        return Ok(());
    }
    let now = value::instant_text(engine.clock.now());
    let quoted = |text: &str| {
        let mut out = String::new();
        odata::payload::quoted(&mut out, text);
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
