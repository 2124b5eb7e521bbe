//! How a read goes through a table or a query, and its statements.

use std::sync::Arc;

use record::{Code, Column, Fault, ReadSpec, Row, Schema, Type, Unreadable, Value};

use crate::sql::engine::{Binder, Cell, Described, Dialect, Engine, Select, Session, SqlColumn, ask_for, from};
use crate::sql::failure::{self, Failure};
use crate::sql::moment::Dst;
use crate::sql::text::Times;
use crate::sql::{order, pages};

/// A column of the order, and how a statement names it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub expression: String,
    pub column: SqlColumn,
}

/// The statements of a read.
pub(crate) struct Plan {
    dialect: &'static dyn Dialect,
    pub from: String,
    columns: Vec<SqlColumn>,
    pub wanted: Vec<Place>,
    /// What the rows are ordered by. Empty: as they come, with no way to go on after a cut.
    pub order: Vec<Place>,
    /// No two rows have one place.
    pub unique: bool,
    pub watermark: Option<Place>,
    pub times: Times,
    pub schema: Arc<Schema>,
}

/// Which rows a read of changes is at: those without a watermark are read each time, before the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Phase {
    Blanks,
    Values,
}

impl Plan {
    /// *Errors*: a table or a column that is not there. `more` are columns that are asked by, beside those of the spec.
    pub async fn of(
        engine: &dyn Engine,
        session: &mut dyn Session,
        spec: &ReadSpec,
        changes: bool,
        more: &[String],
    ) -> Result<Plan, Failure> {
        let dialect = engine.dialect();
        let query = spec.options.text("query");
        let from = from(dialect, &spec.table, query);
        let described = match query {
            Some(_) => {
                let select = Select { columns: vec!["*".to_owned()], from: from.clone(), ..Select::default() };
                Described::new("", session.columns_of(&dialect.select(&select)).await?, Vec::new())
            }
            None => match session.describe(&spec.table).await? {
                Some(described) => described,
                None => {
                    ask_for(dialect, session, &spec.table).await?;
                    return Err(no_table(engine, spec));
                }
            },
        };
        let find = |name: &String| {
            let column = described.column(name).ok_or_else(|| no_column(engine, spec, name))?;
            Ok::<_, Failure>(Place { expression: format!("t.{}", dialect.quote(&column.name)), column: column.clone() })
        };
        let wanted = spec.columns.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        for name in more {
            find(name)?;
        }
        let key = spec.key.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let primary = || {
            let primary = described.table.keys.iter().find(|key| key.primary && key.active);
            primary.map(|key| key.columns.iter().map(find).collect()).transpose()
        };
        let key = if key.is_empty() { primary()?.unwrap_or_default() } else { key };
        let watermark = spec.watermark.as_ref().map(|watermark| find(&watermark.column)).transpose()?;
        let is_key = |name: &String| key.iter().any(|place| place.column.name == *name && place.column.filled);
        let unique = described.table.keys.iter().any(|key| key.active && key.columns.iter().all(is_key));
        let times = Times { zone: spec.time_zone.clone(), dst: Dst::of(spec.options.text("dst")) };
        let schema = wanted.iter().zip(&spec.columns).map(|(place, name)| {
            let ty = match &place.column.ty {
                Type::LocalDateTime if times.zone.is_some() => Type::DateTime,
                ty => ty.clone(),
            };
            Column { name: name.as_str().into(), ty }
        });
        Ok(Plan {
            schema: Schema::new(schema.collect()),
            order: watermark.iter().filter(|_| changes).cloned().chain(key).collect(),
            dialect,
            from,
            columns: described.columns,
            wanted,
            unique,
            watermark,
            times,
        })
    }

    /// A plan that reads these columns of a table, without a server.
    #[cfg(test)]
    pub fn for_tests(dialect: &'static dyn Dialect, columns: Vec<SqlColumn>) -> Plan {
        let place = |column: &SqlColumn| Place {
            expression: format!("t.{}", dialect.quote(&column.name)),
            column: column.clone(),
        };
        let utc = |ty: &Type| if *ty == Type::LocalDateTime { Type::DateTime } else { ty.clone() };
        let schema = columns.iter().map(|column| Column { name: column.name.as_str().into(), ty: utc(&column.ty) });
        Plan {
            schema: Schema::new(schema.collect()),
            dialect,
            from: String::new(),
            wanted: columns.iter().map(place).collect(),
            columns,
            order: Vec::new(),
            unique: false,
            watermark: None,
            times: Times { zone: Some(jiff::tz::TimeZone::UTC), dst: Dst::Reject },
        }
    }

    /// Whether the table has a column of this name, whoever asked for it.
    pub fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }

    /// Whether these columns are always there, and an index says that no two rows have the same values in them.
    pub fn orders(&self, columns: &[&str]) -> bool {
        let places: Vec<&Place> = columns.iter().map(|name| self.place(name)).collect();
        let is_in_its_order = |place: &&Place| match place.column.ty {
            Type::Text { .. } => matches!(place.column.declared.as_str(), "char" | "varchar"),
            _ => true,
        };
        let is_given = |place: &Place| places.iter().any(|given| given.column.name == place.column.name);
        self.unique
            && self.order.iter().all(is_given)
            && places.iter().all(|place| place.column.filled)
            && places.iter().all(is_in_its_order)
    }

    /// A column of the spec, by the name that it has there.
    pub fn place(&self, name: &str) -> &Place {
        let at = self.schema.index(name).expect("only columns that the plan was made for are asked for");
        &self.wanted[at]
    }

    /// Whether the database compares the values of this column as the hub does. Not the local times of a place, which
    /// change with the clocks there, and not floats of four bytes, which are other numbers to it than what it shows.
    pub fn is_decided(&self, name: &str) -> bool {
        let column = match self.schema.index(name) {
            Some(at) => &self.wanted[at].column,
            None => return true,
        };
        match column.ty {
            Type::LocalDateTime => self.times.zone.as_ref().is_none_or(|zone| *zone == jiff::tz::TimeZone::UTC),
            _ => !column.is_short_float,
        }
    }

    /// A column that [`Plan::of`] has found.
    pub fn column(&self, name: &str) -> &SqlColumn {
        let same = |column: &&SqlColumn| column.name.eq_ignore_ascii_case(name);
        self.columns.iter().find(same).expect("the plan was made for this column")
    }

    /// The statement that reads on from a place, and what it binds.
    pub(super) fn statement(
        &self,
        phase: Option<Phase>,
        after: &[Cell],
        lower: Option<&Cell>,
        until: Option<&(&'static str, Cell)>,
        rows: Option<usize>,
    ) -> (String, Vec<Cell>) {
        let mut binder = Binder::new(self.dialect);
        let mut all = Vec::new();
        if let (Some(phase), Some(watermark)) = (phase, &self.watermark) {
            let expression = &watermark.expression;
            all.push(match (phase, lower) {
                (Phase::Blanks, _) => format!("{expression} IS NULL"),
                (Phase::Values, Some(lower)) => {
                    format!("{expression} >= {}", binder.compared(lower.clone(), &watermark.column))
                }
                (Phase::Values, None) => format!("{expression} IS NOT NULL"),
            });
            if let Some((sign, until)) = until {
                all.push(format!("{expression} {sign} {}", binder.compared(until.clone(), &watermark.column)));
            }
        }
        if !after.is_empty() {
            all.push(order::beyond(&self.order, after, !self.unique, &mut binder));
        }
        let exact = |place: &Place| self.dialect.exact(place.expression.clone(), &place.column);
        let mut columns: Vec<String> = self.wanted.iter().chain(&self.order).map(exact).collect();
        if columns.is_empty() {
            columns.push("1".to_owned());
        }
        // A column of the order that is the same in every row of this phase costs a sort.
        let by = self.order.iter().skip(usize::from(phase == Some(Phase::Blanks)));
        let order = by.map(|place| place.expression.clone()).collect();
        let select = Select { columns, from: self.from.clone(), all, order, rows, locks: false };
        (self.dialect.select(&select), binder.cells)
    }

    /// The largest watermark that there is, in a form that loses nothing.
    pub fn last(&self, watermark: &Place) -> String {
        if let Some(sql) = self.dialect.last_watermark(&watermark.column) {
            return sql.to_owned();
        }
        let largest = self.dialect.exact(format!("MAX({})", watermark.expression), &watermark.column);
        self.dialect.select(&Select { columns: vec![largest], from: self.from.clone(), ..Select::default() })
    }

    /// The values of a row, or what is wrong with it.
    pub fn row(&self, engine: &dyn Engine, spec: &ReadSpec, cells: &[Cell]) -> Result<Vec<Value>, Box<Unreadable>> {
        let mut values = Vec::with_capacity(self.wanted.len());
        let mut wrong = None;
        for (i, (cell, place)) in cells.iter().zip(&self.wanted).enumerate() {
            match self.dialect.read(cell, &place.column.ty, &self.times) {
                Ok(value) => values.push(value),
                Err(why) => {
                    values.push(Value::Blank);
                    wrong.get_or_insert((i, why, shown(cell)));
                }
            }
        }
        let Some((i, why, shown)) = wrong else { return Ok(values) };
        let row = Row::new(self.schema.clone(), values);
        Err(Box::new(pages::unreadable(engine.words().system, spec, row, i, why, &shown)))
    }

    /// The values of a row, and texts where there are none.
    pub fn as_they_are(&self, cells: &[Cell]) -> Vec<Value> {
        let value = |(cell, place): (&Cell, &Place)| {
            self.dialect.read(cell, &place.column.ty, &self.times).unwrap_or_else(|_| Value::text(shown(cell)))
        };
        cells.iter().zip(&self.wanted).map(value).collect()
    }
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Int(number) => number.to_string(),
        Cell::Float(number) => number.to_string(),
        Cell::Text(text) => text.clone(),
        Cell::Bytes(bytes) => format!("({} bytes)", bytes.len()),
    }
}

fn no_table(engine: &dyn Engine, spec: &ReadSpec) -> Failure {
    let words = engine.words();
    let what = format!("there is no table `{}` in `{}`", spec.table, words.database);
    let fault = Fault::ask_person(Code("IB0602"), what)
        .fix(format!("correct `table:`, or let `{}` see it; what the user can see: {}", words.user, words.shell));
    failure::place(fault, &words, &spec.table).into()
}

fn no_column(engine: &dyn Engine, spec: &ReadSpec, column: &str) -> Failure {
    let words = engine.words();
    let of = if spec.table.is_empty() { "the query".to_owned() } else { format!("table `{}`", spec.table) };
    let fault = Fault::ask_person(Code("IB0603"), format!("{of} has no column `{column}`"))
        .at_column(column)
        .fix(format!("look at its columns: {}", words.describe.replace("{}", &spec.table)));
    failure::place(fault, &words, &spec.table).into()
}
