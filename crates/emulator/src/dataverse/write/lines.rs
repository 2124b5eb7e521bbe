//! Lines of a document that may no longer be changed.

use rusqlite::OptionalExtension;
use uuid::Uuid;

use crate::dataverse::engine::Engine;
use crate::dataverse::model::Table;
use crate::dataverse::payload::Payload;
use crate::dataverse::refusal::{self, Answer, Refusal};
use crate::dataverse::storage::blob;

/// A line that is written or removed.
pub(super) enum Line<'a> {
    New(&'a Payload),
    Known(Uuid),
}

/// The lines of an order that is no longer active are fixed. *Source*: the application's behaviour, from memory; the code
/// and the words are not confirmed.
pub(super) fn refuse_line_of_closed(engine: &Engine, table: &Table, line: Line<'_>) -> Answer<()> {
    if table.name != "salesorderdetail" {
        return Ok(());
    }
    let order = match line {
        Line::New(payload) => payload.cell(table, "salesorderid").map(|cell| cell.value.clone()),
        Line::Known(id) => {
            let sql = "SELECT c_salesorderid FROM t_salesorderdetail WHERE id = ?1";
            engine.conn.prepare_cached(sql)?.query_row([blob(id)], |row| row.get(0)).optional()?
        }
    };
    let sql = "SELECT c_statecode FROM t_salesorder WHERE id = ?1";
    let state: Option<i64> =
        engine.conn.prepare_cached(sql)?.query_row([order], |row| row.get(0)).optional()?.flatten();
    if state.is_none_or(|state| state == 0) {
        return Ok(());
    }
    let message = "You cannot add, edit or remove an order product of an order that is not active.";
    Err(Refusal::new(400, refusal::INVALID_STATUS, message))
}
