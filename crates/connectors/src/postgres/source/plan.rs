//! What a read asks for, and how its rows are read.

use std::sync::Arc;

use record::{BatchBuilder, Column, ReadSpec, Row, Schema, Type, Unreadable, Value, ValueRef};
use tokio_postgres::Client;
use tokio_postgres::types::Type as PgType;

use crate::postgres::fault::Failure;
use crate::postgres::wire::{self, Misread, Raw, Wire};
use crate::postgres::{Database, catalog, quote_table, value};
use crate::sql::cursor::Cursor;
use crate::sql::moment::Dst;
use crate::sql::text::Times;
use crate::sql::{order, pages, quote};

/// The statements of a read.
pub(super) struct Plan {
    pub from: String,
    /// The columns asked for, as they are asked for.
    pub wanted: Vec<String>,
    /// How each of `wanted` comes.
    wires: Vec<Wire>,
    /// What the rows are ordered by. Empty: as they come, with no way to go on after a cut.
    pub order: Vec<String>,
    /// Whether each of `order` may be blank.
    nullable: Vec<bool>,
    order_texts: Vec<String>,
    pub watermark: Option<String>,
    pub watermark_type: Type,
    times: Times,
    pub schema: Arc<Schema>,
}

/// Which rows a read of changes is at: those without a watermark are read each time, before the others.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Phase {
    Blanks,
    Values,
}

impl Plan {
    pub async fn of(client: &Client, spec: &ReadSpec, changes: bool) -> Result<Plan, Failure> {
        let from = match spec.options.text("query") {
            Some(query) => format!("({})", query.trim().trim_end_matches(';')),
            None => quote_table(&spec.table),
        };
        let filled = match spec.options.text("query") {
            Some(_) => Vec::new(),
            None => catalog::table(client, &spec.table).await?.map(|table| table.filled).unwrap_or_default(),
        };
        let watermark = spec.watermark.as_ref().map(|watermark| watermark.column.clone());
        let mut names: Vec<&String> = spec.columns.iter().chain(&spec.key).collect();
        names.extend(&watermark);
        let column = |name: &str| format!("t.{}", quote(name));
        let probe: Vec<String> = names.iter().map(|name| column(name)).collect();
        let probe = if probe.is_empty() { "1".to_owned() } else { probe.join(", ") };
        let statement = client.prepare(&format!("SELECT {probe} FROM {from} AS t")).await?;
        let of = |name: &str| {
            let at = names.iter().position(|known| *known == name).expect("every column is in the probe");
            let column = &statement.columns()[at];
            (column.type_().clone(), column.type_modifier())
        };
        let text = |name: &str| value::as_text(&column(name), of(name).0 == PgType::MONEY);
        let (wanted, wires) = spec.columns.iter().map(|name| Wire::of(&of(name).0, &column(name))).unzip();
        let times = Times { zone: spec.time_zone.clone(), dst: Dst::of(spec.options.text("dst")) };
        let schema = spec.columns.iter().map(|name| {
            let (ty, modifier) = of(name);
            let ty = match value::declared(&ty, modifier) {
                Type::LocalDateTime if times.zone.is_some() => Type::DateTime,
                ty => ty,
            };
            Column { name: name.as_str().into(), ty }
        });
        let schema = Schema::new(schema.collect());
        let ordered: Vec<&String> = watermark.iter().filter(|_| changes).chain(&spec.key).collect();
        // A read of changes asks for rows with a watermark and rows without one apart.
        let is_watermark = |at: usize| changes && at == 0;
        Ok(Plan {
            wanted,
            wires,
            order: ordered.iter().map(|name| column(name)).collect(),
            nullable: (0..ordered.len()).map(|at| !is_watermark(at) && !filled.contains(ordered[at])).collect(),
            order_texts: ordered.iter().map(|name| text(name)).collect(),
            watermark_type: watermark.as_deref().map_or(Type::Unknown, |name| value::declared(&of(name).0, -1)),
            watermark: watermark.as_deref().map(column),
            from,
            times,
            schema,
        })
    }

    /// The statement that reads on from a place, and what to bind.
    pub fn statement(
        &self,
        changes: bool,
        phase: Phase,
        cursor: &Cursor,
        lower: Option<&Value>,
    ) -> (String, Vec<Value>) {
        let (mut bound, mut all): (Vec<Value>, Vec<String>) = (Vec::new(), Vec::new());
        if let Some(watermark) = self.watermark.as_ref().filter(|_| changes) {
            match (phase, lower) {
                (Phase::Blanks, _) => all.push(format!("{watermark} IS NULL")),
                (Phase::Values, Some(lower)) => {
                    bound.push(lower.clone());
                    all.push(format!("{watermark} >= ${}", bound.len()));
                }
                (Phase::Values, None) => all.push(format!("{watermark} IS NOT NULL")),
            }
            if let Some(until) = &cursor.until {
                bound.push(until.value.clone());
                all.push(format!("{watermark} {} ${}", until.sign, bound.len()));
            }
        }
        if !cursor.after.is_empty() {
            let before = bound.len();
            let (sql, values) = order::after(&self.order, &cursor.after, |i| format!("${}", before + i + 1));
            bound.extend(values.into_iter().cloned());
            all.push(sql);
        }
        let columns: Vec<&str> = self.wanted.iter().chain(&self.order_texts).map(String::as_str).collect();
        let columns = if columns.is_empty() { "1::text".to_owned() } else { columns.join(", ") };
        let mut sql = format!("SELECT {columns} FROM {} AS t", self.from);
        if !all.is_empty() {
            sql.push_str(&format!(" WHERE {}", all.join(" AND ")));
        }
        if !self.order.is_empty() {
            let by = self.order.iter().zip(&self.nullable);
            let by: Vec<String> = by
                .map(|(column, nullable)| format!("{column}{}", if *nullable { " NULLS FIRST" } else { "" }))
                .collect();
            sql.push_str(&format!(" ORDER BY {}", by.join(", ")));
        }
        (sql, bound)
    }

    /// Adds a row to a batch, or says what is wrong with it.
    pub fn gather(
        &self,
        database: &Database,
        spec: &ReadSpec,
        row: &tokio_postgres::Row,
        batch: &mut BatchBuilder,
    ) -> Result<Option<Unreadable>, Failure> {
        for at in 0..self.wires.len() {
            match self.cell(row, at)? {
                Ok(value) => batch.push(value),
                Err(_) => {
                    batch.drop_row();
                    return Ok(self.row(database, spec, row)?.err());
                }
            }
        }
        Ok(None)
    }

    /// The values of a row, or what is wrong with it.
    pub fn row(
        &self,
        database: &Database,
        spec: &ReadSpec,
        row: &tokio_postgres::Row,
    ) -> Result<Result<Vec<Value>, Unreadable>, Failure> {
        let mut values = Vec::with_capacity(self.wires.len());
        let mut wrong = None;
        for at in 0..self.wires.len() {
            match self.cell(row, at)? {
                Ok(value) => values.push(value.to_owned()),
                Err(misread) => {
                    values.push(Value::Blank);
                    wrong.get_or_insert((at, misread));
                }
            }
        }
        let Some((at, misread)) = wrong else { return Ok(Ok(values)) };
        let row = Row::new(self.schema.clone(), values);
        Ok(Err(pages::unreadable(&database.system, spec, row, at, misread.why, &misread.shown)))
    }

    fn cell<'r>(&self, row: &'r tokio_postgres::Row, at: usize) -> Result<Result<ValueRef<'r>, Misread>, Failure> {
        let cell: Option<Raw<'r>> = row.try_get(at)?;
        Ok(wire::read(cell.map(|raw| raw.0), self.wires[at], &self.schema.columns()[at].ty, &self.times))
    }
}
