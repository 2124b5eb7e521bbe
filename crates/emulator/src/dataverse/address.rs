//! Finding the row that a URL, a bind or an `@odata.id` names.

use std::sync::Arc;

use odata::{Argument, Expr, Literal, Segment};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params_from_iter};
use uuid::Uuid;

use super::engine::Engine;
use super::model::{KeyStatus, Kind, Table};
use super::refusal::{Answer, Refusal};
use super::storage::exists;
use super::value;
use super::wire::below_root;

/// What stands in the parentheses after an entity set.
#[derive(Debug, Clone)]
pub enum Address {
    Id(Uuid),
    /// An alternate key: positions of columns with their values, and the text as the client wrote it.
    Key {
        parts: Vec<(usize, Value)>,
        text: String,
    },
}

impl Address {
    /// Reads a key predicate of `table`.
    ///
    /// *Errors*: names that are no alternate key; a value of the wrong type.
    pub fn parse(table: &Table, arguments: &[Argument]) -> Answer<Address> {
        if let [Argument { name: None, value: Expr::Literal(literal) }] = arguments {
            return match literal {
                Literal::Guid(id) => Ok(Address::Id(*id)),
                // Some clients quote the id.
                Literal::String(text) => Uuid::try_parse(text).map(Address::Id).map_err(|_| invalid_key(table)),
                _ => Err(invalid_key(table)),
            };
        }
        let mut parts = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let (Some(name), Expr::Literal(literal)) = (&argument.name, &argument.value) else {
                return Err(invalid_key(table));
            };
            if *name == table.primary_id && arguments.len() == 1 {
                return match literal {
                    Literal::Guid(id) => Ok(Address::Id(*id)),
                    _ => Err(invalid_key(table)),
                };
            }
            let column = table.column_of_property(name).ok_or_else(|| invalid_key(table))?;
            let raw = as_json(&column.kind, literal).ok_or_else(|| invalid_key(table))?;
            let stored = value::from_json(table, column, &raw)?;
            let index = table.columns.get_index_of(&column.name).ok_or_else(|| invalid_key(table))?;
            parts.push((index, stored));
        }
        let named = |key: &&super::model::AlternateKey| {
            key.status == KeyStatus::Active
                && key.columns.len() == parts.len()
                && key.columns.iter().all(|name| parts.iter().any(|(index, _)| table.columns[*index].name == *name))
        };
        if parts.is_empty() || table.keys.iter().find(named).is_none() {
            return Err(invalid_key(table));
        }
        let text: Vec<String> = arguments.iter().map(Argument::to_string).collect();
        Ok(Address::Key { parts, text: text.join(",") })
    }

    /// The row's id, if there is such a row.
    pub fn find(&self, engine: &Engine, table: &Table) -> Answer<Option<Uuid>> {
        match self {
            Address::Id(id) => Ok(exists(&engine.conn, table, *id)?.then_some(*id)),
            Address::Key { parts, .. } => {
                // A blank is never a key's value, so it finds nothing.
                if parts.iter().any(|(_, value)| *value == Value::Null) {
                    return Ok(None);
                }
                let tests: Vec<String> = parts
                    .iter()
                    .enumerate()
                    .map(|(n, (index, _))| format!("{} = ?{}", table.columns[*index].sql(), n + 1))
                    .collect();
                let sql = format!("SELECT id FROM {} WHERE {}", table.sql(), tests.join(" AND "));
                let mut statement = engine.conn.prepare_cached(&sql)?;
                let values = params_from_iter(parts.iter().map(|(_, value)| value));
                Ok(statement.query_row(values, |row| row.get::<_, [u8; 16]>(0)).optional()?.map(Uuid::from_bytes))
            }
        }
    }

    /// The row's id.
    ///
    /// *Errors*: that there is no such row, as the platform says it for ids and for keys.
    pub fn require(&self, engine: &Engine, table: &Table) -> Answer<Uuid> {
        self.find(engine, table)?.ok_or_else(|| self.missing(table))
    }

    pub fn missing(&self, table: &Table) -> Refusal {
        match self {
            Address::Id(id) => Refusal::no_row(&table.name, *id),
            Address::Key { .. } => Refusal::no_row_by_key(&table.name),
        }
    }

    /// `set(…)` in the form that the client used.
    pub fn text(&self, table: &Table) -> String {
        match self {
            Address::Id(id) => format!("{}({id})", table.set),
            Address::Key { text, .. } => format!("{}({text})", table.set),
        }
    }
}

/// Characters that the web server in front of the platform does not let through in a path.
pub fn refuse_dangerous(segments: &[Segment]) -> Answer<()> {
    for argument in segments.iter().flat_map(|segment| segment.arguments.iter().flatten()) {
        if let Expr::Literal(Literal::String(text)) = &argument.value
            && argument.name.is_some()
            && let Some(c) = text.chars().find(|c| "/<>*%&:\\?+".contains(*c))
        {
            let message = format!("A potentially dangerous Request.Path value was detected from the client ({c}).");
            return Err(Refusal::new(400, "0x0", message));
        }
    }
    Ok(())
}

/// Follows a bind, an `@odata.id` or a `$id`: in any dress, by id or by alternate key, or `$n` inside a change set.
pub fn follow(engine: &Engine, url: &str) -> Answer<(Arc<Table>, Uuid)> {
    let (table, address) = locate(engine, url)?;
    let id = address.require(engine, &table)?;
    Ok((table, id))
}

/// As [`follow`], but whether the row exists is left open.
pub fn locate(engine: &Engine, url: &str) -> Answer<(Arc<Table>, Address)> {
    let referenced;
    let url = match url.strip_prefix('$') {
        Some(name) => {
            referenced = engine.references.get(name).cloned().ok_or_else(|| unknown_reference(url))?;
            &referenced
        }
        None => url,
    };
    let path = below_root(url).split('?').next().unwrap_or_default();
    let segments = odata::resource_path(path)?;
    let [Segment { name, arguments: Some(arguments) }] = segments.as_slice() else {
        return Err(Refusal::query(format!("Invalid URI: '{url}' does not name a row.")));
    };
    let table = engine.catalog.by_set(name).ok_or_else(|| Refusal::no_segment(name))?.clone();
    let address = Address::parse(&table, arguments)?;
    Ok((table, address))
}

pub fn unknown_reference(name: &str) -> Refusal {
    Refusal::query(format!("Content-ID Reference: '{name}' does not exist in the batch context."))
}

fn invalid_key(table: &Table) -> Refusal {
    let kind = format!("Microsoft.Dynamics.CRM.{}", table.name);
    Refusal::query(format!(
        "The key in the request URI is not valid for resource '{kind}'. Ensure that the names and number of key \
         properties match the declared or alternate key properties for the resource '{kind}'."
    ))
}

/// A key's value as the JSON that a body would carry.
fn as_json(kind: &Kind, literal: &Literal) -> Option<String> {
    Some(match (kind, literal) {
        (Kind::Text { .. }, Literal::String(text)) => quoted(text),
        (Kind::Lookup { .. }, Literal::Guid(id)) => quoted(&id.to_string()),
        (Kind::DateTime { .. }, Literal::Date(_) | Literal::Instant(_)) => quoted(&literal.to_string()),
        (Kind::Integer { .. } | Kind::Choice { .. } | Kind::Decimal { .. }, Literal::Int(number)) => number.to_string(),
        (Kind::Decimal { .. }, Literal::Decimal(number)) => number.to_string(),
        _ => return None,
    })
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    odata::payload::quoted(&mut out, text);
    out
}
