//! What a client wants written, checked against the table and ready for SQL.

use std::sync::Arc;

use rusqlite::types::Value;
use uuid::Uuid;

use super::address::follow;
use super::engine::Engine;
use super::json::{self, Object};
use super::model::{Kind, Nav, Table};
use super::refusal::{self, Answer, Refusal};
use super::storage::blob;
use super::value;

/// How deep rows may be created inside rows.
const DEPTH_MAX: usize = 8;

/// One column's new value; a polymorphic lookup also says which table it points to.
#[derive(Debug, Clone)]
pub struct Cell {
    pub column: usize,
    pub value: Value,
    pub target: Option<String>,
}

/// A row that is created together with the one that it stands in.
#[derive(Debug)]
pub struct Nested {
    pub nav: String,
    pub table: Arc<Table>,
    pub payload: Payload,
}

/// A body, read.
#[derive(Debug, Default)]
pub struct Payload {
    pub id: Option<Uuid>,
    /// `@odata.type`, without which a bulk message does not know what its rows are.
    pub odata_type: Option<String>,
    /// `@odata.id`, with which bulk messages name their rows.
    pub odata_id: Option<String>,
    pub cells: Vec<Cell>,
    /// Rows that this one points to, to be created before it.
    pub parents: Vec<(usize, Nested)>,
    /// Rows that point to this one, to be created after it.
    pub children: Vec<Nested>,
    /// Existing rows to associate once this one exists.
    pub links: Vec<(String, Arc<Table>, Uuid)>,
}

impl Payload {
    pub fn cell(&self, table: &Table, name: &str) -> Option<&Cell> {
        let index = table.columns.get_index_of(name)?;
        self.cells.iter().find(|cell| cell.column == index)
    }

    /// Whether nothing else is written with the row.
    pub fn stands_alone(&self) -> bool {
        self.parents.is_empty() && self.children.is_empty() && self.links.is_empty()
    }

    pub fn set(&mut self, table: &Table, name: &str, value: Value) {
        let Some(column) = table.columns.get_index_of(name) else { return };
        self.put(Cell { column, value, target: None });
    }

    pub fn put(&mut self, cell: Cell) {
        match self.cells.iter_mut().find(|known| known.column == cell.column) {
            Some(known) => *known = cell,
            None => self.cells.push(cell),
        }
    }
}

/// Reads a body for `table`.
///
/// *Errors*: a property that the table has not, a value that does not fit, a bind to a row that is not there.
pub fn read(engine: &Engine, table: &Arc<Table>, body: &str) -> Answer<Payload> {
    of(engine, table, &Object::parse(body).map_err(|error| not_json(&table.set, &error))?)
}

/// As [`read`], of a body that was taken apart already.
pub fn of(engine: &Engine, table: &Arc<Table>, object: &Object<'_>) -> Answer<Payload> {
    read_object(engine, table, object, 0)
}

pub fn not_json(set: &str, error: &serde_json::Error) -> Refusal {
    Refusal::payload(set, format!("The request body is not valid JSON: {error}"))
}

fn read_object(engine: &Engine, table: &Arc<Table>, object: &Object, depth: usize) -> Answer<Payload> {
    if depth > DEPTH_MAX {
        return Err(Refusal::payload(&table.set, "Deep insert is nested too deeply."));
    }
    // The platform adds about as many values again.
    let mut payload = Payload { cells: Vec::with_capacity(object.0.len() + 20), ..Payload::default() };
    for (name, raw) in &object.0 {
        if name.starts_with('@') {
            match name.as_str() {
                "@odata.id" => payload.odata_id = json::text(raw),
                "@odata.type" => payload.odata_type = json::text(raw),
                _ => {}
            }
        } else if let Some(nav) = name.strip_suffix("@odata.bind") {
            bind(engine, table, nav, raw, &mut payload)?;
        } else if let Some((base, _)) = name.split_once('@') {
            // Annotations come back from clients that send what they read.
            if table.column_of_property(base).is_none() && engine.catalog.nav(&table.name, base).is_none() {
                return Err(Refusal::undeclared(&table.set, base));
            }
        } else {
            property(engine, table, name, raw, depth, &mut payload)?;
        }
    }
    Ok(payload)
}

fn property(
    engine: &Engine,
    table: &Arc<Table>,
    name: &str,
    raw: &str,
    depth: usize,
    payload: &mut Payload,
) -> Answer<()> {
    if let Some((column, _, known)) = table.columns.get_full(name)
        && !known.kind.is_lookup()
    {
        if name == table.primary_id {
            let Value::Blob(id) = value::from_json(table, known, raw)? else { return Ok(()) };
            payload.id = Uuid::from_slice(&id).ok();
        } else if known.create || known.update {
            payload.put(Cell { column, value: value::from_json(table, known, raw)?, target: None });
        }
        return Ok(());
    }
    if table.column_of_property(name).is_some() {
        return Err(direct_update());
    }
    let nested = |target: &str, raw: &str| -> Answer<Nested> {
        let child = engine.catalog.table(target).ok_or_else(|| Refusal::undeclared(&table.set, name))?.clone();
        let object = Object::parse(raw).map_err(|error| not_json(&table.set, &error))?;
        let payload = read_object(engine, &child, &object, depth + 1)?;
        Ok(Nested { nav: name.to_owned(), table: child, payload })
    };
    match engine.catalog.nav(&table.name, name) {
        Some(Nav::One { column, targets }) => {
            let index = table.columns.get_index_of(column).ok_or_else(|| Refusal::undeclared(&table.set, name))?;
            match (raw, targets.first()) {
                ("null", _) => payload.put(Cell { column: index, value: Value::Null, target: None }),
                (raw, Some(target)) if raw.starts_with('{') => payload.parents.push((index, nested(target, raw)?)),
                _ => return Err(direct_update()),
            }
        }
        Some(Nav::Many { table: many, .. }) => {
            let items = json::array(raw).map_err(|error| not_json(&table.set, &error))?;
            for item in items {
                payload.children.push(nested(many, item)?);
            }
        }
        Some(Nav::Linked { .. }) => {
            return Err(Refusal::not_emulated("deep insert through a many-to-many relationship"));
        }
        // A polymorphic lookup can be cleared by its plain name, though nothing can be bound by it.
        None if table.columns.contains_key(name) => match raw {
            "null" => payload.set(table, name, Value::Null),
            _ => return Err(direct_update()),
        },
        None => {
            return Err(Refusal::payload(
                &table.set,
                format!(
                    "The property '{name}' does not exist on type 'Microsoft.Dynamics.CRM.{}'. Make sure to only use \
                     property names that are defined by the type.",
                    table.name
                ),
            ));
        }
    }
    Ok(())
}

fn bind(engine: &Engine, table: &Arc<Table>, nav: &str, raw: &str, payload: &mut Payload) -> Answer<()> {
    match engine.catalog.nav(&table.name, nav) {
        Some(Nav::One { column, targets }) => {
            let index = table.columns.get_index_of(column).ok_or_else(|| Refusal::undeclared(&table.set, nav))?;
            if !table.columns[index].create && !table.columns[index].update {
                return Ok(());
            }
            if raw == "null" {
                payload.put(Cell { column: index, value: Value::Null, target: None });
                return Ok(());
            }
            let url = json::text(raw)
                .ok_or_else(|| Refusal::payload(&table.set, format!("'{nav}@odata.bind' must be a URL or null.")))?;
            let (target, id) = follow(engine, &url)?;
            if !targets.contains(&target.name) {
                return Err(Refusal::payload(
                    &table.set,
                    format!("A value of type 'Microsoft.Dynamics.CRM.{}' cannot be bound to '{nav}'.", target.name),
                ));
            }
            payload.put(point(table, index, &target, id));
            Ok(())
        }
        Some(Nav::Many { .. } | Nav::Linked { .. }) => {
            for item in json::array(raw).map_err(|error| not_json(&table.set, &error))? {
                let url = json::text(item).ok_or_else(|| Refusal::undeclared(&table.set, nav))?;
                let (target, id) = follow(engine, &url)?;
                payload.links.push((nav.to_owned(), target, id));
            }
            Ok(())
        }
        None => Err(Refusal::undeclared(&table.set, nav)),
    }
}

/// A lookup cell that points to a row.
pub fn point(table: &Table, column: usize, target: &Table, id: Uuid) -> Cell {
    let several = matches!(&table.columns[column].kind, Kind::Lookup { targets, .. } if targets.len() > 1);
    Cell { column, value: Value::Blob(blob(id)), target: several.then(|| target.name.clone()) }
}

fn direct_update() -> Refusal {
    Refusal::new(
        400,
        refusal::INVALID_QUERY,
        "CRM do not support direct update of Entity Reference properties, Use Navigation properties instead.",
    )
}
