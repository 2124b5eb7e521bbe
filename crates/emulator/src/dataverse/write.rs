//! Creating, changing and deleting rows, with what the platform itself adds to each.

mod derive;
mod lines;
mod settle;

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{ErrorCode, OptionalExtension, params, params_from_iter};
use uuid::Uuid;

use super::builtin;
use super::engine::{Deed, Engine};
use super::model::{Nav, OnDelete, Table};
use super::payload::{Cell, Nested, Payload, point};
use super::refusal::{self, Answer, Refusal};
use super::storage::{blob, sql_column};
use super::{value, webhooks};
use derive::{derive, is_derived_from};
use lines::{Line, refuse_line_of_closed};
use settle::{complete, require, settle_money, settle_owner, settle_state};

/// On whose behalf something is written, and what was said along with it.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user: Uuid,
    /// `?tag=`, which reaches webhooks as a shared variable.
    pub tag: Option<String>,
    pub request_id: Uuid,
    /// `MSCRM.BypassBusinessLogicExecution: CustomAsync`: no webhook hears of it.
    pub quiet: bool,
}

/// Creates a row.
///
/// *Errors*: a required column without a value; an id or a key that is taken.
pub fn create(engine: &mut Engine, caller: &Caller, table: &Arc<Table>, mut payload: Payload) -> Answer<Uuid> {
    for (column, parent) in std::mem::take(&mut payload.parents) {
        let id = create(engine, caller, &parent.table, parent.payload)?;
        payload.put(point(table, column, &parent.table, id));
    }
    refuse_line_of_closed(engine, table, Line::New(&payload))?;
    let id = payload.id.unwrap_or_else(|| engine.new_id());
    let submitted: Vec<usize> = payload.cells.iter().map(|cell| cell.column).collect();
    complete(engine, caller, table, &mut payload)?;
    require(table, &payload)?;
    let version = engine.next_version();
    insert(engine, table, id, version, &payload.cells)?;
    derive(engine, table, id, &submitted)?;
    engine.deeds.push((table.name.clone(), Deed::Created));
    let children = std::mem::take(&mut payload.children);
    for child in children {
        create_child(engine, caller, table, id, child)?;
    }
    for (nav, target, other) in std::mem::take(&mut payload.links) {
        associate(engine, caller, table, id, &nav, &target, other)?;
    }
    webhooks::after(engine, caller, table, Deed::Created, id, &payload.cells, None)?;
    Ok(id)
}

/// Creates rows that nothing else is written with, as [`create`] would one after the other.
pub fn create_alone(
    engine: &mut Engine,
    caller: &Caller,
    table: &Arc<Table>,
    payloads: Vec<Payload>,
) -> Answer<Vec<Uuid>> {
    let mut rows = Vec::with_capacity(payloads.len());
    let mut submitted: Vec<Vec<usize>> = Vec::new();
    for mut payload in payloads {
        refuse_line_of_closed(engine, table, Line::New(&payload))?;
        let id = payload.id.unwrap_or_else(|| engine.new_id());
        let columns = payload.cells.iter().map(|cell| cell.column);
        if !submitted.last().is_some_and(|last| last.iter().copied().eq(columns.clone())) {
            submitted.push(columns.collect());
        }
        complete(engine, caller, table, &mut payload)?;
        require(table, &payload)?;
        rows.push((id, engine.next_version(), payload.cells));
    }
    insert_all(engine, table, &rows)?;
    let derives = submitted.iter().any(|columns| is_derived_from(table, columns));
    let mut ids = Vec::with_capacity(rows.len());
    for (id, _, cells) in rows {
        if derives {
            let all: Vec<usize> = submitted.iter().flatten().copied().collect();
            derive(engine, table, id, &all)?;
        }
        engine.deeds.push((table.name.clone(), Deed::Created));
        webhooks::after(engine, caller, table, Deed::Created, id, &cells, None)?;
        ids.push(id);
    }
    Ok(ids)
}

fn create_child(engine: &mut Engine, caller: &Caller, table: &Table, id: Uuid, mut child: Nested) -> Answer<()> {
    if let Some(Nav::Many { column, .. }) = engine.catalog.nav(&table.name, &child.nav)
        && let Some(index) = child.table.columns.get_index_of(column)
    {
        child.payload.put(point(&child.table, index, table, id));
    }
    create(engine, caller, &child.table, child.payload).map(drop)
}

/// Changes a row that exists.
pub fn update(engine: &mut Engine, caller: &Caller, table: &Arc<Table>, id: Uuid, mut payload: Payload) -> Answer<()> {
    if !payload.children.is_empty() {
        return Err(Refusal::payload(&table.set, "Deep update of a collection is not supported."));
    }
    if let Some((column, _)) = payload.parents.first() {
        let name = &table.columns[*column].name;
        return Err(Refusal::not_emulated(format!("deep update through '{name}'")));
    }
    refuse_line_of_closed(engine, table, Line::Known(id))?;
    let before = webhooks::before(engine, table, Deed::Updated, id)?;
    let submitted: Vec<usize> = payload.cells.iter().map(|cell| cell.column).collect();
    payload.cells.retain(|cell| table.columns[cell.column].update);
    let created = table.columns.get_index_of("overriddencreatedon");
    payload.cells.retain(|cell| Some(cell.column) != created);
    settle_state(engine, table, Some(id), &mut payload)?;
    settle_owner(table, &mut payload);
    settle_money(engine, table, Some(id), &mut payload)?;
    payload.set(table, "modifiedon", Value::Integer(engine.clock.now()));
    payload.set(table, "modifiedby", Value::Blob(blob(caller.user)));
    change(engine, table, id, &payload.cells)?;
    derive(engine, table, id, &submitted)?;
    engine.deeds.push((table.name.clone(), Deed::Updated));
    for (nav, target, other) in std::mem::take(&mut payload.links) {
        associate(engine, caller, table, id, &nav, &target, other)?;
    }
    webhooks::after(engine, caller, table, Deed::Updated, id, &payload.cells, before)
}

/// Deletes a row that exists, and does to the rows that point to it what their relationships say.
pub fn delete(engine: &mut Engine, caller: &Caller, table: &Arc<Table>, id: Uuid) -> Answer<()> {
    refuse_line_of_closed(engine, table, Line::Known(id))?;
    // A list of what is still to go, so that a long or circular chain of cascades needs no stack.
    let mut doomed = vec![(table.clone(), id)];
    let mut first = true;
    while let Some((table, id)) = doomed.pop() {
        let before = webhooks::before(engine, &table, Deed::Deleted, id)?;
        let sql = format!("DELETE FROM {} WHERE id = ?1", table.sql());
        if engine.conn.prepare_cached(&sql)?.execute([blob(id)])? == 0 {
            if first {
                return Err(Refusal::no_row(&table.name, id));
            }
            continue;
        }
        first = false;
        release(engine, &table, id, &mut doomed)?;
        let version = engine.next_version();
        let now = engine.clock.now();
        let tombstone = "INSERT INTO tombstone (table_name, v, id, at) VALUES (?1, ?2, ?3, ?4)";
        engine.conn.prepare_cached(tombstone)?.execute(params![table.name, version, blob(id), now])?;
        engine.deeds.push((table.name.clone(), Deed::Deleted));
        webhooks::after(engine, caller, &table, Deed::Deleted, id, &[], before)?;
    }
    Ok(())
}

/// Unlinks what pointed to a row that is gone, or adds it to what is to go as well.
fn release(engine: &mut Engine, table: &Table, id: Uuid, doomed: &mut Vec<(Arc<Table>, Uuid)>) -> Answer<()> {
    let catalog = engine.catalog.clone();
    for relation in catalog.one_to_many.iter().filter(|relation| relation.one == table.name) {
        let Some(many) = catalog.table(&relation.many) else { continue };
        let Some(column) = many.column(&relation.column) else { continue };
        let (sql, name) = (many.sql(), column.sql());
        let mut statement = engine.conn.prepare_cached(&format!("SELECT id FROM {sql} WHERE {name} = ?1"))?;
        let found = statement.query_map([blob(id)], |row| row.get::<_, [u8; 16]>(0))?;
        let found = found.collect::<Result<Vec<_>, _>>()?;
        drop(statement);
        for child in found.into_iter().map(Uuid::from_bytes) {
            match relation.on_delete {
                OnDelete::RemoveLink => {
                    let version = engine.next_version();
                    let unlink = format!("UPDATE {sql} SET {name} = NULL, v = ?2 WHERE id = ?1");
                    engine.conn.prepare_cached(&unlink)?.execute(params![blob(child), version])?;
                }
                OnDelete::Cascade => doomed.push((many.clone(), child)),
                OnDelete::Restrict => {
                    let message =
                        "The object you tried to delete is associated with another object and cannot be deleted.";
                    return Err(Refusal::new(405, "0x80047002", message));
                }
            }
        }
    }
    for link in &catalog.many_to_many {
        for (side, name) in [(0, "a"), (1, "b")] {
            if link.tables[side] == table.name {
                engine.conn.execute(&format!("DELETE FROM {} WHERE {name} = ?1", link.sql()), [blob(id)])?;
            }
        }
    }
    Ok(())
}

/// Connects two rows through a navigation property of the first.
pub fn associate(
    engine: &mut Engine,
    caller: &Caller,
    table: &Arc<Table>,
    id: Uuid,
    nav: &str,
    target: &Arc<Table>,
    other: Uuid,
) -> Answer<()> {
    let catalog = engine.catalog.clone();
    match catalog.nav(&table.name, nav) {
        Some(Nav::One { column, targets }) if targets.contains(&target.name) => {
            let mut payload = Payload::default();
            let index = table.columns.get_index_of(column).ok_or_else(|| Refusal::no_property(nav, &table.name))?;
            payload.put(point(table, index, target, other));
            update(engine, caller, table, id, payload)
        }
        Some(Nav::Many { table: many, column }) if *many == target.name => {
            let mut payload = Payload::default();
            let index = target.columns.get_index_of(column).ok_or_else(|| Refusal::no_property(nav, &table.name))?;
            payload.put(point(target, index, table, id));
            update(engine, caller, target, other, payload)
        }
        Some(Nav::Linked { link, here }) if link.tables[1 - here] == target.name => {
            let (a, b) = if *here == 0 { (id, other) } else { (other, id) };
            let sql = format!("INSERT OR IGNORE INTO {} (a, b) VALUES (?1, ?2)", link.sql());
            engine.conn.execute(&sql, params![blob(a), blob(b)])?;
            Ok(())
        }
        Some(_) => Err(Refusal::query(format!("'{nav}' does not lead to '{}'.", target.set))),
        None => Err(Refusal::no_segment(nav)),
    }
}

/// Puts in a row of the environment itself, its lookups as plain ids.
pub fn seed(engine: &mut Engine, table: &str, id: Uuid, columns: &[(&str, String)]) -> Answer<()> {
    let table = engine.catalog.table(table).ok_or_else(|| Refusal::no_segment(table))?.clone();
    let mut payload = Payload { id: Some(id), ..Payload::default() };
    for (name, raw) in columns {
        let column = table.column(name).ok_or_else(|| Refusal::no_property(name, &table.name))?;
        payload.set(&table, name, value::from_json(&table, column, raw)?);
    }
    let caller = Caller { user: builtin::APPLICATION_USER, tag: None, request_id: Uuid::nil(), quiet: true };
    complete(engine, &caller, &table, &mut payload)?;
    let version = engine.next_version();
    insert(engine, &table, id, version, &payload.cells)
}

fn insert(engine: &Engine, table: &Table, id: Uuid, version: i64, cells: &[Cell]) -> Answer<()> {
    insert_all(engine, table, &[(id, version, cells)])
}

/// Inserts rows; those that follow one with values in the same columns share its statement.
fn insert_all(engine: &Engine, table: &Table, rows: &[(Uuid, i64, impl AsRef<[Cell]>)]) -> Answer<()> {
    let shape = |cell: &Cell| (cell.column, cell.target.is_some());
    let mut statement: Option<(Vec<(usize, bool)>, rusqlite::CachedStatement<'_>)> = None;
    for (id, version, cells) in rows {
        let cells = cells.as_ref();
        let (_, statement) = match &mut statement {
            Some(known) if known.0.iter().copied().eq(filled(cells).map(shape)) => known,
            other => {
                let shapes: Vec<(usize, bool)> = filled(cells).map(shape).collect();
                let prepared = engine.conn.prepare_cached(&insertion(table, &shapes))?;
                other.insert((shapes, prepared))
            }
        };
        statement.raw_bind_parameter(1, id.as_bytes().as_slice())?;
        statement.raw_bind_parameter(2, version)?;
        let mut at = 3;
        for cell in filled(cells) {
            statement.raw_bind_parameter(at, &cell.value)?;
            at += 1;
            if let Some(target) = cell.target.as_ref().filter(|_| table.columns[cell.column].is_polymorphic()) {
                statement.raw_bind_parameter(at, target)?;
                at += 1;
            }
        }
        statement.raw_execute().map_err(|error| taken(table, error))?;
    }
    Ok(())
}

fn filled(cells: &[Cell]) -> impl Iterator<Item = &Cell> {
    cells.iter().filter(|cell| cell.value != Value::Null)
}

/// The statement for values in these columns; with whether a lookup says which table it points to.
fn insertion(table: &Table, columns: &[(usize, bool)]) -> String {
    let (mut names, mut marks) = (String::from("id, v"), String::from("?, ?"));
    for (column, has_target) in columns {
        let column = &table.columns[*column];
        let target = column.sql_target().filter(|_| *has_target);
        for name in [column.sql()].into_iter().chain(target) {
            names.push_str(", ");
            names.push_str(&name);
            marks.push_str(", ?");
        }
    }
    format!("INSERT INTO {} ({names}) VALUES ({marks})", table.sql())
}

fn change(engine: &mut Engine, table: &Table, id: Uuid, cells: &[Cell]) -> Answer<()> {
    let mut sets = String::from("v = ?");
    let mut values: Vec<Value> = vec![Value::Integer(engine.next_version())];
    for cell in cells {
        let column = &table.columns[cell.column];
        sets.push_str(&format!(", {} = ?", column.sql()));
        values.push(cell.value.clone());
        if let Some(name) = column.sql_target() {
            sets.push_str(&format!(", {name} = ?"));
            values.push(cell.target.clone().map_or(Value::Null, Value::Text));
        }
    }
    values.push(Value::Blob(blob(id)));
    let sql = format!("UPDATE {} SET {sets} WHERE id = ?", table.sql());
    match engine.conn.prepare_cached(&sql)?.execute(params_from_iter(values)) {
        Ok(0) => Err(Refusal::no_row(&table.name, id)),
        Ok(_) => Ok(()),
        Err(error) => Err(taken(table, error)),
    }
}

/// What a violated unique index means to the client.
fn taken(table: &Table, error: rusqlite::Error) -> Refusal {
    let rusqlite::Error::SqliteFailure(code, Some(text)) = &error else { return error.into() };
    if code.code != ErrorCode::ConstraintViolation {
        return error.into();
    }
    let columns: Vec<&str> = text.rsplit(": ").next().unwrap_or_default().split(", ").collect();
    let names: Vec<&str> = columns.iter().filter_map(|column| column.rsplit('.').next()).collect();
    let hit = table.keys.iter().find(|key| {
        key.columns.len() == names.len() && key.columns.iter().zip(&names).all(|(a, b)| b.strip_prefix("c_") == Some(a))
    });
    match hit {
        Some(key) => {
            let labels: Vec<&str> =
                key.columns.iter().filter_map(|name| table.column(name)).map(|column| column.label.as_str()).collect();
            let message = format!(
                "Entity Key {} violated. A record with the same value for {} already exists. A duplicate record cannot \
                 be created. Select one or more unique values and try again.",
                key.label,
                labels.join(", ")
            );
            Refusal::new(412, refusal::DUPLICATE_KEY, message)
        }
        None => Refusal::new(412, refusal::DUPLICATE_RECORD, "Cannot insert duplicate key."),
    }
}

/// The current row version, or nothing if there is no such row.
pub fn version(engine: &Engine, table: &Table, id: Uuid) -> Answer<Option<i64>> {
    let sql = format!("SELECT v FROM {} WHERE id = ?1", table.sql());
    Ok(engine.conn.prepare_cached(&sql)?.query_row([blob(id)], |row| row.get(0)).optional()?)
}

/// One stored value of a row.
pub fn stored(engine: &Engine, table: &Table, id: Uuid, column: &super::model::Column) -> Answer<Value> {
    let sql = format!("SELECT {} FROM {} t WHERE t.id = ?1", sql_column(table, column, "t"), table.sql());
    let found = engine.conn.prepare_cached(&sql)?.query_row([blob(id)], |row| row.get(0)).optional()?;
    found.ok_or_else(|| Refusal::no_row(&table.name, id))
}
