//! Webhooks: who is registered for what.

use uuid::Uuid;

use super::builtin;
use super::engine::{Deed, Engine};
use super::model::Table;
use super::payload::Cell;
use super::refusal::{Answer, Refusal};
use super::write::{self, Caller};

/// A notice on its way to a webhook.
#[derive(Debug, Clone)]
pub struct Post {}

/// A registered step.
#[derive(Debug, Clone)]
pub struct Step {}

/// The row as it was before a change, where a step wants to see it.
pub struct Before {}

pub fn before(_engine: &mut Engine, _table: &Table, _deed: Deed, _id: Uuid) -> Answer<Option<Before>> {
    Ok(None)
}

pub fn after(
    _engine: &mut Engine,
    _caller: &Caller,
    table: &Table,
    _deed: Deed,
    _id: Uuid,
    _cells: &[Cell],
    _before: Option<Before>,
) -> Answer<()> {
    if table.name == "sdkmessageprocessingstep" {
        return Err(Refusal::not_emulated("steps"));
    }
    Ok(())
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
