//! Answering a user's question: one prepared statement on a session that is kept.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::tz::TimeZone;
use record::hash::RowHasher;
use record::query::{Answer, Comparison, Expr, Function, Lookup, Query};
use record::{BoxFuture, Column, Fault, Queryable, ReadSpec, Schema, Type, Value};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use super::fault::{self, Failure};
use super::value::{self, AsText, Holds};
use super::{Database, Use, quote_table};
use crate::sql::asked::{Gathered, Kept};
use crate::sql::moment::Dst;
use crate::sql::query::{Dialect, Sort, accepts, in_both, write};
use crate::sql::quote;
use crate::sql::text::Times;

/// Statements that a session keeps prepared.
const PREPARED: usize = 64;
/// The number of the collation `default`, the same in every database.
const DEFAULT_COLLATION: u32 = 100;

pub(super) struct Table {
    database: Database,
    spec: ReadSpec,
    from: String,
    kept: Kept<Session>,
    columns: OnceLock<Arc<Columns>>,
}

struct Session {
    client: Client,
    /// How long its statements may take.
    within: Duration,
    prepared: HashMap<String, Statement>,
}

/// The columns as the database has them.
struct Columns {
    schema: Arc<Schema>,
    money: Vec<bool>,
    /// Floats of four bytes, which are other numbers to the server than what it shows.
    short: Vec<bool>,
    /// Floats of eight bytes, as [`Postgres::column`] writes them.
    floats: Vec<String>,
    /// The zone of a column that keeps times without one.
    zones: Vec<Option<String>>,
    /// Columns that always have a value.
    filled: Vec<String>,
    /// Columns whose collation takes different texts for one, such as capitals for small letters.
    loose: Vec<String>,
    /// The texts of the key may have several collations: the server makes no text of two of them.
    mixed: bool,
    /// Texts are kept in UTF-8, so that their bytes are those that are hashed.
    utf8: bool,
    /// Capital letters are known beyond those of English: a database of the locale `C` knows no others.
    letters: bool,
}

impl Table {
    pub fn new(database: Database, spec: ReadSpec) -> Table {
        let from = match spec.options.text("query") {
            Some(query) => format!("({}) AS t", query.trim().trim_end_matches(';')),
            None => format!("{} AS t", quote_table(&spec.table)),
        };
        Table { database, spec, from, kept: Kept::default(), columns: OnceLock::new() }
    }

    fn failed(&self, failure: &Failure) -> Fault {
        fault::source(&self.database, &self.spec.table, failure)
    }

    async fn session(&self, within: Duration) -> Result<Session, Failure> {
        let mut session = match self.kept.take().filter(|session| !session.client.is_closed()) {
            Some(session) => session,
            None => {
                let client = self.database.connect(Use::Read).await?;
                Session { client, within: self.database.timeout, prepared: HashMap::new() }
            }
        };
        if session.within != within {
            let sql = format!("SET statement_timeout = {}", within.as_millis().max(1));
            self.database.in_time(async { Ok(session.client.batch_execute(&sql).await?) }).await?;
            session.within = within;
        }
        Ok(session)
    }

    /// Whether times in it are the same to the server: it takes an hour that a clock shows twice, or skips, for the later one.
    fn decides(&self, expr: &Expr) -> bool {
        let Some(columns) = self.columns.get().filter(|_| self.times().dst == Dst::Earlier) else { return true };
        let (mut names, places) = (Vec::new(), |name: &&str| columns.schema.index(name));
        expr.columns(&mut names);
        names.iter().filter_map(places).all(|at| columns.zones[at].is_none())
    }

    fn times(&self) -> Times {
        Times { zone: self.spec.time_zone.clone(), dst: Dst::of(self.spec.options.text("dst")) }
    }

    fn keep(&self, session: Session) {
        if !session.client.is_closed() {
            self.kept.keep(session);
        }
    }

    async fn columns(&self, session: &mut Session) -> Result<Arc<Columns>, Failure> {
        if let Some(columns) = self.columns.get() {
            return Ok(columns.clone());
        }
        let wanted: Vec<String> = self.spec.columns.iter().map(|name| format!("t.{}", quote(name))).collect();
        let wanted = if wanted.is_empty() { "1".to_owned() } else { wanted.join(", ") };
        let sql = format!("SELECT {wanted} FROM {}", self.from);
        let statement = self.database.in_time(async { Ok(session.client.prepare(&sql).await?) }).await?;
        let zone = self.spec.time_zone.as_ref().and_then(TimeZone::iana_name);
        let (mut schema, mut money, mut short, mut zones) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut floats = Vec::new();
        for (name, column) in self.spec.columns.iter().zip(statement.columns()) {
            let mut ty = value::declared(column.type_(), column.type_modifier());
            let mut of = None;
            if ty == Type::LocalDateTime
                && let Some(zone) = zone
            {
                ty = Type::DateTime;
                of = Some(zone.replace('\'', "''"));
            }
            money.push(ty == Type::Money);
            schema.push(Column { name: name.as_str().into(), ty });
            let is_short = value::holds(column.type_(), column.type_modifier()).float;
            short.push(is_short == Some(true));
            if is_short == Some(false) {
                floats.push(format!("t.{}", quote(name)));
            }
            zones.push(of);
        }
        // The 196th character is a capital letter in Unicode and in every encoding of one byte that has letters there.
        let sql = "SELECT e = 'UTF8', lower(chr(n)) = chr(n + 32) FROM (SELECT e, CASE WHEN e = 'UTF8' OR
            pg_encoding_max_length(pg_char_to_encoding(e)) = 1 THEN 196 ELSE 65 END AS n FROM current_setting('server_encoding') AS e) AS x";
        let server = self.database.in_time(async { Ok(session.client.query_one(sql, &[]).await?) }).await?;
        let (utf8, letters) = (server.try_get(0)?, server.try_get(1)?);
        let (mut filled, mut loose, mut collations) = (Vec::new(), Vec::new(), BTreeSet::new());
        let is_query = self.spec.options.text("query").is_some();
        if is_query {
            // Which columns of it have such a collation nobody knows.
            let sql =
                "SELECT EXISTS (SELECT FROM pg_collation c WHERE to_jsonb(c) ->> 'collisdeterministic' = 'false')";
            let is_there = self.database.in_time(async { Ok(session.client.query_one(sql, &[]).await?) }).await?;
            if is_there.try_get(0)? {
                let named = self.spec.columns.iter().zip(statement.columns());
                let collated = named.filter(|(_, column)| value::has_collation(column.type_()));
                loose.extend(collated.map(|(name, _)| name.clone()));
            }
        } else {
            // Servers before version 12 have no such collations, and no column that says so.
            let sql = "SELECT attname::text, attnotnull, coalesce(to_jsonb(c) ->> 'collisdeterministic' = 'false', false), attcollation
                FROM pg_attribute a LEFT JOIN pg_collation c ON c.oid = a.attcollation WHERE attrelid = $1::text::regclass AND attnum > 0";
            let table = quote_table(&self.spec.table);
            for row in self.database.in_time(async { Ok(session.client.query(sql, &[&table]).await?) }).await? {
                let name: String = row.try_get(0)?;
                if row.try_get(1)? {
                    filled.push(name.clone());
                }
                if self.spec.key.contains(&name) {
                    collations.insert(row.try_get::<_, u32>(3)?);
                }
                if row.try_get(2)? {
                    loose.push(name);
                }
            }
        }
        // What is no text has none, and that of the database gives way to any other.
        let own = collations.iter().filter(|of| ![0, DEFAULT_COLLATION].contains(*of)).count();
        let (schema, mixed) = (Schema::new(schema), is_query || own > 1);
        let columns = Arc::new(Columns { schema, money, short, floats, zones, filled, loose, mixed, utf8, letters });
        Ok(self.columns.get_or_init(|| columns).clone())
    }

    /// The index that finds rows by the hash of their key. *Shape*: nothing to be created where the hash is one of a view,
    /// or of what the database writes as its sessions are set: an index takes only what never changes.
    async fn lookup(&self, key: &[String]) -> Result<Lookup, Failure> {
        let mut session = self.session(self.database.timeout).await?;
        let columns = self.columns(&mut session).await?;
        let dialect = Postgres { columns: &columns };
        let lasting = |name: &String| {
            let ty = columns.schema.index(name).map(|at| &columns.schema.columns()[at].ty);
            matches!(ty, Some(Type::Text { .. } | Type::WholeNumber | Type::Guid))
        };
        if !columns.utf8 || self.spec.options.text("query").is_some() || !key.iter().all(lasting) {
            self.keep(session);
            return Ok(Lookup::Scan);
        }
        let parts = key.iter().map(|name| {
            let ty = columns.schema.index(name).map_or(&Type::Unknown, |at| &columns.schema.columns()[at].ty);
            dialect.column(name, ty).replacen("t.", "", 1)
        });
        let hash = dialect.key_guid(&parts.collect::<Vec<_>>());
        let table = quote_table(&self.spec.table);
        // An index on another key is another index.
        let of = RowHasher::default().hash([record::ValueRef::Text(&table), record::ValueRef::Text(&hash)]) as u32;
        let bare: String = self.spec.table.rsplit('.').next().unwrap_or_default().chars().take(12).collect();
        let name = format!("ironbridge_key_{bare}_{of:08x}");
        let sql = "SELECT c.relkind = 'r' OR c.relkind = 'p', EXISTS (SELECT FROM pg_index i JOIN pg_class n ON n.oid = i.indexrelid
            WHERE i.indrelid = c.oid AND i.indisvalid AND n.relname = $2) FROM pg_class c WHERE c.oid = $1::text::regclass";
        let row = self.database.in_time(async { Ok(session.client.query_one(sql, &[&table, &name]).await?) }).await?;
        let (is_table, is_there): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
        self.keep(session);
        if is_there || !is_table {
            return Ok(if is_there { Lookup::Indexed } else { Lookup::Scan });
        }
        Ok(Lookup::Needs(format!("CREATE INDEX CONCURRENTLY {} ON {table} (({hash}));", quote(&name))))
    }

    async fn answer(&self, query: &Query) -> Result<Answer, Failure> {
        let within = if query.within.is_zero() { self.database.timeout } else { query.within };
        let session = self.session(within).await?;
        // A question that nobody waits for any more is ended at the server, and its session is not used again.
        let mut guard = Cancels { session: Some(session), database: &self.database };
        let session = guard.session.as_mut().expect("it was put there a line above");
        let columns = self.columns(session).await?;
        let statements = write(&Postgres { columns: &columns }, &self.from, &columns.schema, query);
        if statements.count.is_some() {
            session.client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        }
        let rows = session.query(&statements.rows, &statements.bound).await?;
        let count = match &statements.count {
            None => None,
            Some(sql) => {
                let counted = session.query(sql, &statements.count_bound).await?;
                session.client.batch_execute("COMMIT").await?;
                let count: i64 = counted.first().map_or(Ok(0), |row| row.try_get(0))?;
                Some(count.unsigned_abs())
            }
        };
        let times = self.times();
        let mut gathered = Gathered::new(&self.database.system, &self.spec, &columns.schema, query);
        let wanted = gathered.schema();
        for row in &rows {
            for (at, column) in wanted.columns().iter().enumerate() {
                gathered.push(value::read(row.try_get(at)?, &column.ty, &times))?;
            }
        }
        if let Some(session) = guard.session.take() {
            self.keep(session);
        }
        Ok(gathered.answer(count)?)
    }
}

impl Session {
    async fn query(&mut self, sql: &str, bound: &[(Value, Sort)]) -> Result<Vec<tokio_postgres::Row>, Failure> {
        let params: Vec<AsText> = bound.iter().map(|(value, _)| bind(value)).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param as &(dyn ToSql + Sync)).collect();
        let statement = match self.prepared.get(sql) {
            Some(statement) => statement.clone(),
            None => {
                if self.prepared.len() >= PREPARED {
                    self.prepared.clear();
                }
                let statement = self.client.prepare(sql).await?;
                self.prepared.insert(sql.to_owned(), statement.clone());
                statement
            }
        };
        Ok(self.client.query(&statement, &params).await?)
    }
}

/// Tells the server to stop where the answer is not waited for to its end.
struct Cancels<'a> {
    session: Option<Session>,
    database: &'a Database,
}

impl Drop for Cancels<'_> {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        let token = session.client.cancel_token();
        // Over TLS the session simply ends; the statement's own time-out stops the work.
        if self.database.config.get_ssl_mode() == tokio_postgres::config::SslMode::Disable
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                let _ = token.cancel_query(NoTls).await;
                drop(session);
            });
        }
    }
}

impl Queryable for Table {
    fn schema(&self) -> BoxFuture<'_, Result<Arc<Schema>, Fault>> {
        Box::pin(async move {
            let schema = async {
                let mut session = self.session(self.database.timeout).await?;
                let columns = self.columns(&mut session).await?;
                self.keep(session);
                Ok(columns.schema.clone())
            };
            schema.await.map_err(|failure: Failure| self.failed(&failure))
        })
    }

    fn accepts(&self, expr: &Expr, schema: &Schema) -> bool {
        let letters = self.columns.get().is_none_or(|columns| columns.letters);
        let has_letters = letters || !expr.calls(&[Function::ToLower, Function::ToUpper]);
        accepts(expr, schema) && has_letters && (self.decides(expr) || expr.asks_for_blank())
    }

    fn lists(&self) -> bool {
        true
    }

    fn hashes_keys(&self) -> bool {
        true
    }

    fn lookup<'a>(&'a self, columns: &'a [String]) -> BoxFuture<'a, Result<Lookup, Fault>> {
        Box::pin(async move { self.lookup(columns).await.map_err(|failure| self.failed(&failure)) })
    }

    fn query<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Answer, Fault>> {
        let failed = |failure: Failure| match failure.is_of_a_question() {
            true => fault::question(&self.database, &self.spec.table, &failure),
            false => self.failed(&failure),
        };
        Box::pin(async move { self.answer(query).await.map_err(failed) })
    }
}

fn bind(value: &Value) -> AsText {
    AsText(value::write(value, &Type::DateTime, Holds::default(), None).unwrap_or_default())
}

struct Postgres<'a> {
    columns: &'a Columns,
}

impl Postgres<'_> {
    fn is_loose(&self, column: &str) -> bool {
        self.columns.loose.iter().any(|known| known == column)
    }

    /// Two texts, in one collation where neither is a value: those of two columns may differ.
    fn in_one<const N: usize>(&self, texts: [&str; N], collation: &str) -> [String; N] {
        let are_columns = !texts.iter().any(|text| text.starts_with('$'));
        texts.map(|text| if are_columns { format!("({text} COLLATE \"{collation}\")") } else { text.to_owned() })
    }

    /// The number that is shown: of a float of eight bytes the server takes fifteen digits, and shows up to seventeen.
    fn exactly(&self, number: &str) -> String {
        let is_float = self.columns.floats.iter().any(|float| float == number);
        if is_float { format!("({number})::text::numeric") } else { format!("({number})::numeric") }
    }

    fn key_guid(&self, parts: &[String]) -> String {
        let part = |part: &String| match self.columns.mixed && parts.len() > 1 {
            true => format!("(({part})::text COLLATE \"C\")"),
            false => part.clone(),
        };
        key_guid(&parts.iter().map(part).collect::<Vec<_>>(), self.columns.utf8)
    }
}

/// White space as `Trim` means it, as far as an encoding of one byte has it, and all of it.
const WHITE_SPACE: [&str; 2] = [
    r"E' \t\n\r\f\u000B\u0085\u00A0'",
    r"E' \t\n\r\f\u000B\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'",
];

impl Dialect for Postgres<'_> {
    fn column(&self, name: &str, ty: &Type) -> String {
        let column = format!("t.{}", quote(name));
        let at = self.columns.schema.index(name);
        match (ty, at) {
            // Enumerations and documents compare as their texts; for texts this changes nothing.
            (Type::Text { .. } | Type::Multiline { .. }, _) if self.is_loose(name) => {
                format!("({column})::text COLLATE \"C\"")
            }
            (Type::Text { .. } | Type::Multiline { .. }, _) => format!("({column})::text"),
            (Type::Money | Type::Decimal { .. }, Some(at)) if self.columns.money[at] => format!("({column})::numeric"),
            (Type::Decimal { .. }, Some(at)) if self.columns.short[at] => format!("({column})::text::numeric"),
            (Type::DateTime, Some(at)) => match &self.columns.zones[at] {
                Some(zone) => format!("({column} AT TIME ZONE '{zone}')"),
                None => column,
            },
            _ => column,
        }
    }

    fn returned(&self, name: &str, ty: &Type) -> String {
        if name.is_empty() {
            return "1::text".to_owned();
        }
        let money = *ty == Type::Money && self.columns.schema.index(name).is_some_and(|at| self.columns.money[at]);
        value::as_text(&format!("t.{}", quote(name)), money)
    }

    fn param(&self, number: usize, value: &Value) -> String {
        let cast = match value {
            Value::Int(_) => "bigint",
            Value::Decimal(_) => "numeric",
            Value::Float(_) => "double precision",
            Value::Bool(_) => "boolean",
            Value::Date(_) => "date",
            Value::Time(_) => "time",
            Value::Instant(_) => "timestamptz",
            Value::LocalDateTime(_) => "timestamp",
            Value::Guid(_) => "uuid",
            Value::Bytes(_) => "bytea",
            _ => "text",
        };
        format!("${number}::{cast}")
    }

    fn call(&self, function: Function, parts: &[String], sorts: &[Sort]) -> String {
        let part = |at: usize| parts.get(at).map_or("NULL", String::as_str);
        let (a, b) = (part(0), part(1));
        // Parts of a date are those of UTC.
        let at_utc = match sorts.first() {
            Some(Sort::Instant) => format!("({a} AT TIME ZONE 'UTC')"),
            // Of a day the server knows no hour.
            Some(Sort::Date) => format!("({a})::timestamp"),
            _ => a.to_owned(),
        };
        // No overflow is an error of the user's; and the least of nothing and a number would be the number.
        let places = |number: &str| {
            format!("(CASE WHEN {number} IS NOT NULL THEN least(greatest({number}, 0), 2000000000)::int END)")
        };
        let extract = |what: &str| format!("trunc(extract({what} FROM {at_utc}))::bigint");
        let (number_a, number_b) = (self.exactly(a), self.exactly(b));
        let (same, [exact_a, exact_b]) = (self.in_one([a, b], "default"), self.in_one([a, b], "C"));
        match function {
            Function::Contains => format!("(strpos({exact_a}, {exact_b}) > 0)"),
            Function::StartsWith => format!("starts_with({exact_a}, {exact_b})"),
            Function::EndsWith => format!("(right({exact_a}, length({exact_b})) = {exact_b})"),
            Function::Length => format!("length({a})::bigint"),
            Function::IndexOf => format!("(strpos({exact_a}, {exact_b}) - 1)::bigint"),
            Function::Substring => match parts.get(2) {
                // An overflow of `from + length` is no error of the user's.
                Some(length) => format!("left(substr({a}, {} + 1), {})", places(b), places(length)),
                None => format!("substr({a}, {} + 1)", places(b)),
            },
            // In the letters of the database: a collation such as `C` may know no more than those of English.
            Function::ToLower => format!("lower({a} COLLATE \"default\")"),
            Function::ToUpper => format!("upper({a} COLLATE \"default\")"),
            Function::Trim => format!("btrim({a}, {})", WHITE_SPACE[usize::from(self.columns.utf8)]),
            Function::TrimWords => format!("btrim(regexp_replace({a}, ' +', ' ', 'g'), ' ')"),
            Function::Concat => format!("({})", same.join(" || ")),
            Function::Filled => format!("nullif({a}, '')"),
            Function::AsText => format!("(({a})::text COLLATE \"C\")"),
            Function::Year => extract("YEAR"),
            Function::Month => extract("MONTH"),
            Function::Day => extract("DAY"),
            Function::Hour => extract("HOUR"),
            Function::Minute => extract("MINUTE"),
            Function::Second => extract("SECOND"),
            Function::FractionalSeconds => format!("(extract(SECOND FROM {at_utc}) % 1)::numeric"),
            Function::Date => format!("({at_utc})::date"),
            Function::Time => format!("({at_utc})::time"),
            Function::Round => format!("round({number_a})"),
            Function::Floor => format!("floor({number_a})"),
            Function::Ceiling => format!("ceil({number_a})"),
            // Two 64-bit numbers may leave their range; a number of any size does not.
            Function::Add => format!("({number_a} + {number_b})"),
            Function::Subtract => format!("({number_a} - {number_b})"),
            Function::Multiply => format!("({number_a} * {number_b})"),
            Function::Divide => format!("trunc({number_a} / nullif({number_b}, 0))"),
            Function::DivideExactly => format!("({number_a} / nullif({number_b}, 0))"),
            Function::Modulo => format!("({number_a} % nullif({number_b}, 0))"),
            Function::Negate => format!("(- {number_a})"),
            Function::KeyGuid => self.key_guid(parts),
            Function::AsStored => a.to_owned(),
        }
    }

    fn equal(&self, name: &str, ty: &Type, value: &Value) -> Option<(String, Vec<Value>)> {
        if let Some(sql) = self.beyond(name, Comparison::Equal, value) {
            return Some((sql, vec![value.clone()]));
        }
        let Value::Text(text) = value else { return None };
        let (own, exact) = (format!("t.{}", quote(name)), self.column(name, ty));
        self.is_loose(name).then(|| in_both([&own, "{}"], [&exact, "{}"], text))
    }

    fn beyond(&self, name: &str, op: Comparison, value: &Value) -> Option<String> {
        // An end that never comes is what a clock shows there.
        matches!(value, Value::LocalDateTime(_)).then(|| format!("t.{} {op} {{}}", quote(name)))
    }

    fn same(&self, left: &str, right: &str) -> String {
        format!("{left} IS NOT DISTINCT FROM {right}")
    }

    fn alike(&self, text: String) -> String {
        format!("({text} COLLATE \"C\")")
    }

    fn truth(&self, yes: bool) -> &'static str {
        if yes { "TRUE" } else { "FALSE" }
    }

    fn holds(&self, column: &str) -> String {
        column.to_owned()
    }

    fn order(&self, by: &str, descending: bool, column: Option<&str>) -> String {
        // Where there are no blanks, saying where they go would only keep the index from being used.
        if column.is_some_and(|name| self.columns.filled.iter().any(|filled| filled == name)) {
            return format!("{by}{}", if descending { " DESC" } else { "" });
        }
        if descending { format!("{by} DESC NULLS LAST") } else { format!("{by} NULLS FIRST") }
    }
}

/// The hash of [`record::guid::hashed`], in SQL: it may stand in an index on an expression.
fn key_guid(parts: &[String], utf8: bool) -> String {
    let text = |part: &String| format!("replace(replace(({part})::text, '\\', '\\\\'), '|', '\\|')");
    let whole: Vec<String> = parts.iter().map(text).collect();
    let whole = whole.join(" || '|' || ");
    // An index takes only functions that never give anything else, and PostgreSQL does not promise that of `convert_to`.
    let bytes = match utf8 {
        true => format!("decode(replace({whole}, '\\', '\\\\'), 'escape')"),
        false => format!("convert_to({whole}, 'UTF8')"),
    };
    let hash = format!("encode(sha256({bytes}), 'hex')");
    format!(
        "(substr({hash}, 1, 12) || '8' || substr({hash}, 14, 3) || translate(substr({hash}, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab') || substr({hash}, 18, 15))::uuid"
    )
}
