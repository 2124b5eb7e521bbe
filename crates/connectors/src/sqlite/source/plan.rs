//! How a read goes through a table, and the statement of each page.

use std::sync::Arc;

use jiff::tz::TimeZone;
use record::{Column, ReadSpec, Schema, Type, Value};
use rusqlite::{Connection, Statement};

use crate::sql::cursor::Cursor;
use crate::sql::moment::{self, Dst};
use crate::sql::text::Times;
use crate::sql::watermark::{Clock, Numbers};
use crate::sql::{order, quote};
use crate::sqlite::{catalog, value};

/// How this read goes through the table.
pub(in crate::sqlite) struct Plan {
    /// `"customers"`, or the query in brackets.
    pub from: String,
    /// The columns asked for.
    pub wanted: Vec<String>,
    /// What the rows are ordered by; a blank comes first. Empty: as they come, with no way to go on after a cut.
    pub order: Vec<String>,
    /// No two rows are equal in `order`.
    pub unique: bool,
    /// The watermark column, in a read of changes.
    pub watermark: Option<String>,
    pub numbers: Numbers,
    pub times: Times,
    pub schema: Arc<Schema>,
    /// Whether positions are row ids, which a `VACUUM` may give out anew.
    pub by_rowid: bool,
}

/// Which rows a read of changes is at: those without a watermark, or with an empty text, are read each time, before the
/// others.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Phase {
    Blanks,
    Values,
}

impl Plan {
    pub fn of(
        connection: &Connection,
        spec: &ReadSpec,
        rowid: Option<&'static str>,
        changes: bool,
    ) -> rusqlite::Result<Plan> {
        let from = from(spec);
        let wanted: Vec<String> = spec.columns.iter().map(|name| format!("t.{}", quote(name))).collect();
        let times = times(spec);
        let probe = if wanted.is_empty() { "1".to_owned() } else { wanted.join(", ") };
        let statement = connection.prepare(&format!("SELECT {probe} FROM {from} AS t"))?;
        let watermark = spec.watermark.as_ref().map(|watermark| format!("t.{}", quote(&watermark.column)));
        let mut numbers = Numbers::Count;
        if let Some(column) = &watermark {
            let statement = connection.prepare(&format!("SELECT {column} FROM {from} AS t"))?;
            let column = statement.columns().next();
            let declared = value::declared(column.as_ref().and_then(|column| column.decl_type()));
            if matches!(declared, Type::Date | Type::DateTime | Type::LocalDateTime) {
                numbers = Numbers::Unix;
            }
        }
        let by_key: Vec<String> = spec.key.iter().map(|name| format!("t.{}", quote(name))).collect();
        let mut order: Vec<String> = if changes { watermark.iter().cloned().collect() } else { Vec::new() };
        match rowid {
            Some(rowid) => order.push(format!("t.{rowid}")),
            None => order.extend(by_key),
        }
        Ok(Plan {
            schema: schema(&statement, spec, &times),
            from,
            wanted,
            order,
            unique: rowid.is_some(),
            watermark: watermark.filter(|_| changes),
            numbers,
            times,
            by_rowid: rowid.is_some(),
        })
    }

    /// The statement of the next page, and what to bind.
    pub(in crate::sqlite::source) fn statement(
        &self,
        phase: Phase,
        cursor: &Cursor,
        lower: Option<&Value>,
        rows: usize,
    ) -> (String, Vec<Value>) {
        let mut bound: Vec<Value> = Vec::new();
        let mut all: Vec<String> = Vec::new();
        if let Some(watermark) = &self.watermark {
            match (phase, lower) {
                (Phase::Blanks, _) => all.push(format!("({watermark} IS NULL OR {watermark} = '')")),
                (Phase::Values, Some(lower)) => {
                    bound.push(lower.clone());
                    all.push(format!("{watermark} >= ?{}", bound.len()));
                }
                (Phase::Values, None) => all.push(format!("{watermark} <> ''")),
            }
            if let Some(until) = &cursor.until {
                bound.push(until.value.clone());
                all.push(format!("{watermark} {} ?{}", until.sign, bound.len()));
            }
        }
        if !cursor.after.is_empty() {
            let before = bound.len();
            let (sql, values) = order::after(&self.order, &cursor.after, |i| format!("?{}", before + i + 1));
            bound.extend(values.into_iter().cloned());
            all.push(sql);
        }
        let mut columns = self.wanted.clone();
        columns.extend(self.order.iter().cloned());
        let mut sql = format!(
            "SELECT {} FROM {} AS t",
            if columns.is_empty() { "1".to_owned() } else { columns.join(", ") },
            self.from
        );
        if !all.is_empty() {
            sql.push_str(&format!(" WHERE {}", all.join(" AND ")));
        }
        if !self.order.is_empty() {
            sql.push_str(&format!(" ORDER BY {}", self.order.join(", ")));
        }
        if self.unique {
            sql.push_str(&format!(" LIMIT {rows}"));
        }
        (sql, bound)
    }
}

fn schema(statement: &Statement<'_>, spec: &ReadSpec, times: &Times) -> Arc<Schema> {
    let columns = spec.columns.iter().zip(statement.columns()).map(|(name, column)| {
        let ty = match value::declared(column.decl_type()) {
            Type::LocalDateTime if times.zone.is_some() => Type::DateTime,
            ty => ty,
        };
        Column { name: name.as_str().into(), ty }
    });
    Schema::new(columns.collect())
}

fn times(spec: &ReadSpec) -> Times {
    Times { zone: spec.time_zone.clone(), dst: Dst::of(spec.options.text("dst")) }
}

pub(in crate::sqlite) fn from(spec: &ReadSpec) -> String {
    match spec.options.text("query") {
        Some(query) => format!("({})", query.trim().trim_end_matches(';')),
        None => quote(&spec.table),
    }
}

/// A name for the row id of this table, or `None` where it has none.
pub(super) fn rowid(connection: &Connection, spec: &ReadSpec) -> rusqlite::Result<Option<&'static str>> {
    if spec.options.text("query").is_some() || !catalog::has_rowid(connection, &spec.table) {
        return Ok(None);
    }
    let Some(table) = catalog::table(connection, &spec.table)? else { return Ok(None) };
    let taken = |name: &str| table.columns.iter().any(|c| c.column.name.eq_ignore_ascii_case(name));
    Ok(["rowid", "_rowid_", "oid"].into_iter().find(|name| !taken(name)))
}

/// Grows with each change of the schema and with each `VACUUM`.
pub(super) fn layout(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "schema_version", |row| row.get(0))
}

/// The last watermark that there is. What is no time stands behind the times, and does not hide them: it is read each time.
pub(super) fn last(connection: &Connection, column: &str, from: &str) -> rusqlite::Result<Value> {
    let max = |only: &str| {
        let sql = format!("SELECT max(t.{}) FROM {from} AS t{only}", quote(column));
        connection.query_row(&sql, [], |row| row.get_ref(0).map(value::raw))
    };
    let last = max("")?;
    match &last {
        Value::Text(text) if text.is_empty() => Ok(Value::Blank),
        Value::Text(text) if moment::parse(text).is_none() => {
            let time = max(&format!(" WHERE t.{} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'", quote(column)))?;
            Ok(if time.is_blank() { last } else { time })
        }
        _ => Ok(last),
    }
}

/// Whether a watermark stands among values like the last one: all numbers are before all texts.
pub(super) fn is_ordered_with(since: &Value, last: &Value) -> bool {
    let is_number = |value: &Value| matches!(value, Value::Int(_) | Value::Float(_));
    last.is_blank() || is_number(since) == is_number(last)
}

pub(super) fn clock(connection: &Connection, spec: &ReadSpec) -> rusqlite::Result<Clock> {
    let now: String = connection.query_row("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')", [], |row| row.get(0))?;
    let now = now.parse().expect("SQLite writes the time as it was asked to");
    Ok(Clock { now, zone: spec.time_zone.clone().unwrap_or(TimeZone::UTC) })
}

/// Where to start, and why everything is read although changes were asked for.
pub(super) fn start(spec: &ReadSpec, text: Option<&str>, layout: Option<i64>) -> (Cursor, Option<String>) {
    let by = spec.watermark.as_ref().map(|watermark| watermark.column.clone());
    let everything = Cursor { layout, ..Cursor::everything(by.clone()) };
    let Some(text) = text else { return (everything, None) };
    let Some(cursor) = Cursor::parse(text) else {
        return (everything, Some("the place that was kept is not one of this kind of system".to_owned()));
    };
    if cursor.by != by {
        return (everything, Some("the watermark column is another one than in the last read".to_owned()));
    }
    if !cursor.after.is_empty() && cursor.layout != layout {
        if cursor.full {
            return (everything, Some("the file was rebuilt since the last read was cut".to_owned()));
        }
        return (Cursor { after: Vec::new(), ..cursor }, None);
    }
    (cursor, None)
}
