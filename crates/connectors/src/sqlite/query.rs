//! Answering a user's question: one prepared statement on a connection that is kept.
//!
//! SQLite is taught the functions of [`record::query`] themselves, so that it means by each what the hub means.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use record::query::{Answer, Expr, Function, Query};
use record::{BoxFuture, Fault, Queryable, ReadSpec, Schema, Type, Value};
use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, OpenFlags};

use super::source::plan::Plan;
use super::{Database, fault, value};
use crate::sql::asked::{Gathered, Kept};
use crate::sql::query::{Dialect, Sort, accepts, write};
use crate::sql::text::Times;
use crate::sql::{moment, quote};

/// Statements that a connection keeps prepared.
const PREPARED: usize = 64;

pub(super) struct Table {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    spec: ReadSpec,
    kept: Kept<Connection>,
    schema: OnceLock<Arc<Schema>>,
}

impl Table {
    pub fn new(database: Database, spec: ReadSpec) -> Table {
        let shared = Shared { database, spec, kept: Kept::default(), schema: OnceLock::new() };
        Table { shared: Arc::new(shared) }
    }

    fn blocking<'a, T: Send + 'static>(
        &'a self,
        work: impl FnOnce(&Shared) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'a, Result<T, Fault>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            match tokio::task::spawn_blocking(move || work(&shared)).await {
                Ok(result) => result,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        })
    }
}

impl Queryable for Table {
    fn schema(&self) -> BoxFuture<'_, Result<Arc<Schema>, Fault>> {
        if let Some(schema) = self.shared.schema.get() {
            let schema = schema.clone();
            return Box::pin(async move { Ok(schema) });
        }
        self.blocking(|shared| shared.with(Duration::ZERO, |connection| shared.schema(connection)))
    }

    fn accepts(&self, expr: &Expr, schema: &Schema) -> bool {
        accepts(expr, schema)
    }

    fn lists(&self) -> bool {
        true
    }

    fn hashes_keys(&self) -> bool {
        true
    }

    fn query<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Answer, Fault>> {
        let query = query.clone();
        self.blocking(move |shared| shared.with(query.within, |connection| shared.answer(connection, &query)))
    }
}

/// Why there is no answer.
enum Failed {
    Sql(rusqlite::Error),
    Fault(Box<Fault>),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Failed {
        Failed::Sql(error)
    }
}

impl Shared {
    /// Works with a connection that is kept; one that failed is closed.
    fn with<T>(&self, within: Duration, work: impl FnOnce(&Connection) -> Result<T, Failed>) -> Result<T, Fault> {
        let worked = (|| {
            let mut connection = match self.kept.take() {
                Some(connection) => connection,
                None => self.connect()?,
            };
            let within = if within.is_zero() { self.database.timeout } else { within };
            let until = Instant::now() + within;
            connection.progress_handler(1_000, Some(move || Instant::now() > until))?;
            let result = work(&connection)?;
            connection.progress_handler(0, None::<fn() -> bool>)?;
            self.kept.keep(connection);
            Ok(result)
        })();
        worked.map_err(|failed| match failed {
            Failed::Sql(error) => fault::source(&self.database, &self.spec.table, &error),
            Failed::Fault(fault) => *fault,
        })
    }

    fn connect(&self) -> Result<Connection, Failed> {
        let connection = self.database.connect(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        super::functions::teach(&connection, self.times())?;
        Ok(connection)
    }

    fn times(&self) -> Times {
        Times { zone: self.spec.time_zone.clone(), dst: moment::Dst::of(self.spec.options.text("dst")) }
    }

    fn schema(&self, connection: &Connection) -> Result<Arc<Schema>, Failed> {
        if let Some(schema) = self.schema.get() {
            return Ok(schema.clone());
        }
        let schema = Plan::of(connection, &self.spec, None, false)?.schema;
        Ok(self.schema.get_or_init(|| schema).clone())
    }

    fn answer(&self, connection: &Connection, query: &Query) -> Result<Answer, Failed> {
        let schema = self.schema(connection)?;
        let from = format!("{} AS t", super::source::plan::from(&self.spec));
        let statements = write(&Lite, &from, &schema, query);
        // Rows and their count are of one moment.
        let _moment = if statements.count.is_some() { Some(connection.unchecked_transaction()?) } else { None };
        let mut statement = connection.prepare_cached(&statements.rows)?;
        let bound = statements.bound.iter().map(|(value, sort)| bind(value, *sort));
        let mut rows = statement.query(rusqlite::params_from_iter(bound))?;
        let mut gathered = Gathered::new(&self.database.system, &self.spec, &schema, query);
        let (wanted, times) = (gathered.schema(), self.times());
        while let Some(row) = rows.next()? {
            for (at, column) in wanted.columns().iter().enumerate() {
                let value = value::read(row.get_ref(at)?, &column.ty, &times);
                gathered.push(value).map_err(|fault| Failed::Fault(Box::new(fault)))?;
            }
        }
        drop(rows);
        let count = match &statements.count {
            None => None,
            Some(sql) => {
                let mut statement = connection.prepare_cached(sql)?;
                let bound = statements.count_bound.iter().map(|(value, sort)| bind(value, *sort));
                let count: i64 = statement.query_row(rusqlite::params_from_iter(bound), |row| row.get(0))?;
                Some(count.unsigned_abs())
            }
        };
        Ok(gathered.answer(count))
    }
}

fn bind(value: &Value, sort: Sort) -> Sql {
    match (value, sort) {
        (Value::Instant(at), _) => Sql::Text(super::functions::instant_text(*at)),
        (Value::Decimal(_) | Value::Float(_), _) => super::functions::number(value),
        // Whatever it is, it was accepted: each kind has its form.
        (value, _) => value::write(value, &Type::Unknown, None).unwrap_or(Sql::Null),
    }
}

/// SQLite with the functions that it was taught.
struct Lite;

impl Dialect for Lite {
    fn column(&self, name: &str, ty: &Type) -> String {
        let column = format!("t.{}", quote(name));
        match ty {
            // Dates, times and GUIDs are stored as somebody wrote them; they compare as what they mean.
            Type::DateTime => format!("ib_as_instant({column})"),
            Type::Date => format!("ib_as_date({column})"),
            Type::Guid => format!("ib_as_guid({column})"),
            _ => column,
        }
    }

    fn returned(&self, name: &str, _: &Type) -> String {
        if name.is_empty() { "1".to_owned() } else { format!("t.{}", quote(name)) }
    }

    fn param(&self, number: usize, _: &Value) -> String {
        format!("?{number}")
    }

    fn call(&self, function: Function, parts: &[String], _: &[Sort]) -> String {
        format!("ib_{}({})", function.name(), parts.join(", "))
    }

    fn same(&self, left: &str, right: &str) -> String {
        format!("{left} IS {right}")
    }

    fn truth(&self, yes: bool) -> &'static str {
        if yes { "1" } else { "0" }
    }

    fn holds(&self, column: &str) -> String {
        column.to_owned()
    }

    fn equal(&self, name: &str, ty: &Type, value: &Value) -> Option<(String, Vec<Value>)> {
        let (Type::Guid, Value::Guid(guid)) = (ty, value) else { return None };
        let (lower, upper) = (guid.to_string(), guid.to_string().to_uppercase());
        let values = vec![Value::Text(lower), Value::Text(upper), Value::Bytes(guid.as_bytes().to_vec())];
        Some((format!("t.{} IN ({{}}, {{}}, {{}})", quote(name)), values))
    }

    fn begins(&self, column: &str, from: &str, before: &str) -> Option<String> {
        Some(format!("{column} >= {from} AND {column} < {before}"))
    }
}

/// A cell of a taught function's argument.
pub(super) fn cell(cell: ValueRef<'_>) -> Value {
    match cell {
        ValueRef::Null => Value::Blank,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Real(number) => super::functions::exact(number),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
    }
}
