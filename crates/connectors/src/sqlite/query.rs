//! Answering a user's question: one prepared statement on a connection that is kept.
//!
//! SQLite is taught the functions of [`record::query`] themselves, so that it means by each what the hub means.
//!
//! A statement that was short the last time is run where it is asked for: waking another thread and being woken by it
//! takes longer than reading a row. It gets [`IN_PLACE`] and waits for no lock; one that needs more is ended, and begun
//! again on a thread that may wait.

mod marks;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use record::query::{Answer, Comparison, Expr, Function, Query};
use record::{BoxFuture, Fault, Queryable, ReadSpec, Schema, Type, Value};
use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};

use marks::Marks;

use super::source::plan::Plan;
use super::usual::Usual;
use super::{Database, catalog, fault, value};
use crate::sql::asked::{Gathered, Kept};
use crate::sql::query::{Dialect, Sort, Statements, accepts, in_both, type_of, write};
use crate::sql::text::{Times, cannot};
use crate::sql::{moment, quote};

/// Statements that a connection keeps prepared.
const PREPARED: usize = 64;
/// A statement that took no longer is run in place the next time.
const SHORT: Duration = Duration::from_millis(1);
/// How long a statement may keep the thread that it is asked for on.
const IN_PLACE: Duration = Duration::from_millis(3);
/// Statements that are known to be short.
const KNOWN: usize = 512;

pub(super) struct Table {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    spec: ReadSpec,
    kept: Kept<Session>,
    lite: OnceLock<Arc<Lite>>,
    short: Mutex<HashSet<String>>,
}

/// A connection, and what it knows of the table.
struct Session {
    connection: Connection,
    /// The file that it was opened on.
    file: Option<Identity>,
    marks: Marks,
}

impl Table {
    pub fn new(database: Database, spec: ReadSpec) -> Table {
        let shared = Shared { database, spec, kept: Kept::default(), lite: OnceLock::new(), short: Mutex::default() };
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

    async fn lite(&self) -> Result<Arc<Lite>, Fault> {
        match self.shared.lite.get() {
            Some(lite) => Ok(lite.clone()),
            None => self.blocking(|shared| shared.with(Duration::ZERO, |session| shared.lite(session))).await,
        }
    }
}

impl Queryable for Table {
    fn schema(&self) -> BoxFuture<'_, Result<Arc<Schema>, Fault>> {
        Box::pin(async move { Ok(self.lite().await?.schema.clone()) })
    }

    fn is_outdated(&self) -> bool {
        let is_another = |lite: &Arc<Lite>| {
            let file = identity(&self.shared.database.file);
            file.is_some() && file != lite.file
        };
        self.shared.lite.get().is_some_and(is_another)
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
        Box::pin(async move {
            let lite = self.lite().await?;
            let from = format!("{} AS t", super::source::plan::from(&self.shared.spec));
            let statements = write(&*lite, &from, &lite.schema, query);
            if let Some(answer) = self.shared.in_place(&lite.schema, &statements, query) {
                return answer;
            }
            let query = query.clone();
            self.blocking(move |shared| {
                let began = Instant::now();
                let answer =
                    shared.with(query.within, |session| shared.answer(session, &lite.schema, &statements, &query))?;
                shared.note(&statements, began.elapsed() <= SHORT);
                Ok(answer)
            })
            .await
        })
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
    fn with<T>(&self, within: Duration, work: impl FnOnce(&mut Session) -> Result<T, Failed>) -> Result<T, Fault> {
        let worked = (|| {
            let mut session = match self.kept() {
                Some(session) => session,
                None => self.connect()?,
            };
            let within = if within.is_zero() { self.database.timeout } else { within };
            let until = Instant::now() + within;
            session.connection.progress_handler(1_000, Some(move || Instant::now() > until))?;
            let result = work(&mut session)?;
            session.connection.progress_handler(0, None::<fn() -> bool>)?;
            self.kept.keep(session);
            Ok(result)
        })();
        worked.map_err(|failed| self.fault(failed))
    }

    fn fault(&self, failed: Failed) -> Fault {
        match failed {
            Failed::Sql(error) => fault::source(&self.database, &self.spec.table, &error),
            Failed::Fault(fault) => *fault,
        }
    }

    /// The answer of a statement that is short; nothing where it is not, or has to wait for somebody who writes.
    fn in_place(&self, schema: &Schema, statements: &Statements, query: &Query) -> Option<Result<Answer, Fault>> {
        if !self.short.lock().expect("nothing panics while it looks here").contains(&statements.rows) {
            return None;
        }
        let mut session = self.kept()?;
        let answered = (|| {
            session.connection.busy_timeout(Duration::ZERO)?;
            let until = Instant::now() + IN_PLACE;
            session.connection.progress_handler(1_000, Some(move || Instant::now() > until))?;
            let answered = self.answer(&mut session, schema, statements, query);
            session.connection.progress_handler(0, None::<fn() -> bool>)?;
            session.connection.busy_timeout(self.database.timeout)?;
            Ok(answered)
        })();
        match answered {
            Ok(Ok(answer)) => {
                self.kept.keep(session);
                Some(Ok(answer))
            }
            // A statement that was ended leaves the connection as good as it was, and what it has prepared.
            Ok(Err(Failed::Sql(error)))
                if matches!(
                    error.sqlite_error_code(),
                    Some(ErrorCode::OperationInterrupted | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
                ) =>
            {
                self.note(statements, false);
                self.kept.keep(session);
                None
            }
            Ok(Err(failed)) | Err(failed) => Some(Err(self.fault(failed))),
        }
    }

    fn note(&self, statements: &Statements, short: bool) {
        let mut known = self.short.lock().expect("nothing panics while it looks here");
        if !short {
            known.remove(&statements.rows);
        } else if !known.contains(&statements.rows) {
            if known.len() >= KNOWN {
                known.clear();
            }
            known.insert(statements.rows.clone());
        }
    }

    /// A connection that is kept. One to a file in whose place somebody has put another would answer from the old one.
    fn kept(&self) -> Option<Session> {
        let file = identity(&self.database.file);
        std::iter::from_fn(|| self.kept.take()).find(|session| session.file == file)
    }

    fn connect(&self) -> Result<Session, Failed> {
        let file = identity(&self.database.file);
        let connection = self.database.connect(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        super::functions::teach(&connection, self.times())?;
        Ok(Session { connection, file, marks: Marks::default() })
    }

    fn times(&self) -> Times {
        Times { zone: self.spec.time_zone.clone(), dst: moment::Dst::of(self.spec.options.text("dst")) }
    }

    fn lite(&self, session: &Session) -> Result<Arc<Lite>, Failed> {
        if let Some(lite) = self.lite.get() {
            return Ok(lite.clone());
        }
        let Session { connection, file, .. } = session;
        let schema = Plan::of(connection, &self.spec, None, false)?.schema;
        let text = schema.columns().iter().filter(|column| matches!(column.ty, Type::Text { .. }));
        let text: Vec<String> = text.map(|column| column.name.to_string()).collect();
        let (mut loose, mut texts, mut documents) = (Vec::new(), Vec::new(), Vec::new());
        for name in text {
            let kind = match () {
                () if self.is_document(connection, &name)? => &mut documents,
                () if self.is_by_characters(connection, &name) => &mut texts,
                () => &mut loose,
            };
            kind.push(name);
        }
        // SQLite reads a text as a number where the word of its column says so, as ours does: of a table, not of a view.
        let is_of_a_table = |name: &str| connection.column_metadata(None, self.spec.table.as_str(), name).is_ok();
        let is_query = self.spec.options.text("query").is_some();
        let of_numbers = |is_wanted: &dyn Fn(&Type) -> bool| -> Vec<String> {
            let wanted = schema.columns().iter().filter(|column| !is_query && is_wanted(&column.ty));
            wanted.filter(|column| is_of_a_table(&column.name)).map(|column| column.name.to_string()).collect()
        };
        let (numbers, primary) = (of_numbers(&is_number), self.primary(connection)?);
        let fractions = of_numbers(&|ty| is_number(ty) && *ty != Type::WholeNumber);
        let lite = Lite { schema, file: *file, loose, texts, documents, numbers, fractions, primary };
        Ok(self.lite.get_or_init(|| Arc::new(lite)).clone())
    }

    /// Whether a column that holds texts, such as `JSON`, is one of numbers to SQLite.
    ///
    /// *Source*: "Determination Of Column Affinity" of SQLite's documentation: INT goes before these, and is no text here.
    fn is_document(&self, connection: &Connection, column: &str) -> rusqlite::Result<bool> {
        let from = super::source::plan::from(&self.spec);
        let statement = connection.prepare(&format!("SELECT t.{} FROM {from} AS t", quote(column)))?;
        let declared = statement.columns().next().and_then(|column| column.decl_type().map(str::to_uppercase));
        let declared = declared.unwrap_or_default();
        Ok(!["CHAR", "CLOB", "TEXT"].iter().any(|part| declared.contains(part)))
    }

    /// Whether a column compares by its characters alone, as every text of a query does. Of a view and of a `query:`
    /// nobody knows.
    fn is_by_characters(&self, connection: &Connection, column: &str) -> bool {
        let metadata = || connection.column_metadata(None, self.spec.table.as_str(), column).ok();
        let known = if self.spec.options.text("query").is_some() { None } else { metadata() };
        let collation = known.and_then(|(_, collation, ..)| collation);
        collation.is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"BINARY"))
    }

    /// The columns of the primary key, where none of them can be blank; nothing of a view and of a `query:`.
    fn primary(&self, connection: &Connection) -> rusqlite::Result<Vec<String>> {
        if self.spec.options.text("query").is_some() {
            return Ok(Vec::new());
        }
        let table = catalog::table(connection, &self.spec.table)?;
        let key = table.and_then(|table| table.keys.into_iter().find(|key| key.primary));
        let key = key.map(|key| key.columns).unwrap_or_default();
        for name in &key {
            let (declared, _, never_blank, ..) = connection.column_metadata(None, self.spec.table.as_str(), name)?;
            // SQLite lets a primary key be blank, but for the one that is the number of the row.
            let is_integer = declared.is_some_and(|word| word.to_bytes().eq_ignore_ascii_case(b"INTEGER"));
            let is_row_number = is_integer && key.len() == 1;
            if !(never_blank || is_row_number) {
                return Ok(Vec::new());
            }
        }
        Ok(key)
    }

    fn answer(
        &self,
        session: &mut Session,
        schema: &Schema,
        statements: &Statements,
        query: &Query,
    ) -> Result<Answer, Failed> {
        let Session { connection, marks, .. } = session;
        // Rows and their count are of one moment.
        let _moment = if statements.count.is_some() { Some(connection.unchecked_transaction()?) } else { None };
        let mut gathered = Gathered::new(&self.database.system, &self.spec, schema, query);
        self.rows(connection, marks, statements, &mut gathered)?;
        let count = match &statements.count {
            None => None,
            Some(sql) => {
                let mut statement = connection.prepare_cached(sql)?;
                let bound = statements.count_bound.iter().map(|(value, sort)| bind(value, *sort));
                let count: i64 = statement.query_row(rusqlite::params_from_iter(bound), |row| row.get(0))?;
                Some(count.unsigned_abs())
            }
        };
        gathered.answer(count).map_err(|fault| Failed::Fault(Box::new(fault)))
    }

    fn rows(
        &self,
        connection: &Connection,
        marks: &mut Marks,
        statements: &Statements,
        gathered: &mut Gathered<'_>,
    ) -> Result<(), Failed> {
        let bound = statements.bound.iter().map(|(value, sort)| bind(value, *sort));
        let Some(onwards) = &statements.onwards else {
            return self.read(connection, &statements.rows, bound, gathered, |_, _| ());
        };
        let mut version = connection.prepare_cached("PRAGMA data_version")?;
        let (version, _moment) = marks::version(&mut version)?;
        marks.are_of(version);
        let known = marks.before(&onwards.order, onwards.skip);
        let note = |at: u64, row: &Row<'_>| {
            // A key that cannot be read is no place to go on from; the page says so itself.
            if (at == 0 || at + 1 == onwards.limit)
                && let Ok(key) = marks::key(row, &onwards.key)
            {
                marks.note(&onwards.order, onwards.skip + at, key);
            }
        };
        match known {
            Some((key, further)) => {
                let further = Sql::Integer(i64::try_from(further).unwrap_or(i64::MAX));
                let bound = key.into_iter().chain([further]);
                self.read(connection, &onwards.rows, bound, gathered, note)
            }
            None => self.read(connection, &statements.rows, bound, gathered, note),
        }
    }

    /// Gathers the rows of a statement. `seen` is told each of them with how many came before it.
    fn read(
        &self,
        connection: &Connection,
        sql: &str,
        bound: impl Iterator<Item = Sql>,
        gathered: &mut Gathered<'_>,
        mut seen: impl FnMut(u64, &Row<'_>),
    ) -> Result<(), Failed> {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(bound))?;
        let (wanted, times) = (gathered.schema(), self.times());
        let usual: Vec<Usual> = wanted.columns().iter().map(|column| Usual::of(&column.ty)).collect();
        let mut before = 0;
        while let Some(row) = rows.next()? {
            seen(before, row);
            before += 1;
            for (at, usual) in usual.iter().enumerate() {
                let cell = row.get_ref(at)?;
                if !usual.put(cell, &mut gathered.rows) {
                    let ty = &wanted.columns()[at].ty;
                    let value = match cell {
                        // Bytes equal no text, and are more than each: their text would be found by nobody.
                        ValueRef::Blob(_) if matches!(ty, Type::Text { .. }) || is_number(ty) => {
                            Err(cannot(ty, "bytes"))
                        }
                        cell => value::read(cell, ty, &times),
                    };
                    gathered.push(value).map_err(|fault| Failed::Fault(Box::new(fault)))?;
                }
            }
        }
        Ok(())
    }
}

/// What tells one file from another of the same name: its device and its number there.
type Identity = (u64, u64);

/// Nothing where there is no file, and where a file that is open cannot be replaced anyway.
fn identity(file: &Path) -> Option<Identity> {
    #[cfg(unix)]
    return std::fs::metadata(file).ok().map(|known| {
        use std::os::unix::fs::MetadataExt;
        (known.dev(), known.ino())
    });
    #[cfg(not(unix))]
    return None;
}

fn bind(value: &Value, sort: Sort) -> Sql {
    match (value, sort) {
        (Value::Instant(at), _) => Sql::Text(super::functions::instant_text(*at)),
        (Value::Decimal(_) | Value::Float(_), _) => super::functions::number(value),
        // As `ib_as_instant` writes an end that never comes.
        (Value::LocalDateTime(at), _) => Sql::Text(at.to_string()),
        // Whatever it is, it was accepted: each kind has its form.
        (value, _) => value::write(value, &Type::Unknown, None).unwrap_or(Sql::Null),
    }
}

/// What a float of fifteen digits in a column is at least and at most, noise and all.
fn least_and_most(ty: &Type) -> [String; 2] {
    ["-", "+"].map(|sign| format!("{{}} {sign} abs({{}}) * 1e-14 {sign} {:e}", value::noise(ty)))
}

/// SQLite with the functions that it was taught, and what it has told of the table.
struct Lite {
    schema: Arc<Schema>,
    /// The file that this was told of.
    file: Option<Identity>,
    /// Columns of text that SQLite may compare by other rules than their characters.
    loose: Vec<String>,
    /// Columns that keep everything as a text but blanks and bytes.
    texts: Vec<String>,
    /// Columns of text, such as `JSON`, that keep every text that is a number as the number.
    documents: Vec<String>,
    /// Columns of a table that keep every text that is a number as the number.
    numbers: Vec<String>,
    /// Those of them whose numbers may have a fraction.
    fractions: Vec<String>,
    /// What no two rows have in common, and is never blank.
    primary: Vec<String>,
}

fn is_number(ty: &Type) -> bool {
    matches!(ty, Type::WholeNumber | Type::Decimal { .. } | Type::Money)
}

impl Lite {
    fn is_loose(&self, column: &str) -> bool {
        self.loose.iter().any(|known| known == column)
    }

    fn is_document(&self, column: &str) -> bool {
        self.documents.iter().any(|known| known == column)
    }

    /// Whether a number is compared with a column in which no text is one.
    fn compares_numbers(&self, column: &str, value: &Value) -> bool {
        let is_number = matches!(value, Value::Int(_) | Value::Decimal(_) | Value::Float(_));
        is_number && self.numbers.iter().any(|known| known == column)
    }

    /// Whether a number of this column may be a float that is shown without its noise.
    fn has_noise(&self, column: &str) -> bool {
        self.fractions.iter().any(|known| known == column)
    }

    fn is_primary(&self, column: &str) -> bool {
        self.primary.iter().any(|known| known == column)
    }
}

impl Dialect for Lite {
    fn column(&self, name: &str, ty: &Type) -> String {
        let column = format!("t.{}", quote(name));
        match ty {
            // Dates, times and GUIDs are stored as somebody wrote them; they compare as what they mean.
            Type::DateTime => format!("ib_as_instant({column})"),
            Type::Date => format!("ib_as_date({column})"),
            Type::Guid => format!("ib_as_guid({column})"),
            Type::YesNo => format!("ib_as_yes_no({column})"),
            Type::Text { .. } if self.is_document(name) => format!("CAST({column} AS TEXT) COLLATE BINARY"),
            // A text is no number, and nothing at all where it is empty; to SQLite it is more than any number.
            Type::WholeNumber if !self.is_primary(name) => {
                format!("CASE typeof({column}) WHEN 'text' THEN ib_as_number({column}) ELSE {column} END")
            }
            // Nor is a float always the number that is shown: the sum of 0.1 and 0.2 is a little more than 0.3.
            ty if is_number(ty) && !self.is_primary(name) => {
                let places = match ty {
                    Type::Decimal { scale: Some(scale) } => format!(", {scale}"),
                    _ => String::new(),
                };
                let shown = format!("ib_as_number({column}{places})");
                format!("CASE WHEN typeof({column}) IN ('real', 'text') THEN {shown} ELSE {column} END")
            }
            _ => column,
        }
    }

    fn returned(&self, name: &str, ty: &Type) -> String {
        match name {
            "" => "1".to_owned(),
            document if self.is_document(document) => self.column(document, ty),
            name => format!("t.{}", quote(name)),
        }
    }

    fn param(&self, number: usize, _: &Value) -> String {
        format!("?{number}")
    }

    fn call(&self, function: Function, parts: &[String], _: &[Sort]) -> String {
        // What SQLite means as the hub does is not asked of the hub, row by row.
        match (function, parts) {
            (Function::Contains, [text, part]) => format!("(instr({text}, {part}) > 0)"),
            (Function::StartsWith, [text, part]) => format!("(instr({text}, {part}) = 1)"),
            (Function::Filled, [text]) => format!("nullif({text} COLLATE BINARY, '')"),
            _ => format!("ib_{}({})", function.name(), parts.join(", ")),
        }
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

    fn second_digits(&self) -> u32 {
        9
    }

    fn equal(&self, name: &str, ty: &Type, value: &Value) -> Option<(String, Vec<Value>)> {
        if let Value::Text(text) = value
            && self.is_loose(name)
        {
            let column = format!("t.{}", quote(name));
            return Some(in_both([&column, "{}"], [&format!("{column} COLLATE BINARY"), "{}"], text));
        }
        // No text is a number in a column of numbers, and its index finds them.
        if self.compares_numbers(name, value) && self.has_noise(name) && !self.is_primary(name) {
            let (column, shown) = (format!("t.{}", quote(name)), self.column(name, ty));
            let [least, most] = least_and_most(ty);
            let sql = format!("({column} >= {least} AND {column} <= {most} AND {shown} = {{}})");
            return Some((sql, vec![value.clone(); 5]));
        }
        if self.compares_numbers(name, value) {
            return Some((format!("t.{} = {{}}", quote(name)), vec![value.clone()]));
        }
        let (Type::Guid, Value::Guid(guid)) = (ty, value) else { return None };
        let texts = record::guid::writings(*guid).map(Value::Text);
        let values: Vec<Value> = texts.into_iter().chain([Value::Bytes(guid.as_bytes().to_vec())]).collect();
        Some((format!("t.{} IN ({})", quote(name), vec!["{}"; values.len()].join(", ")), values))
    }

    fn beyond(&self, name: &str, op: Comparison, value: &Value) -> Option<String> {
        let column = format!("t.{}", quote(name));
        if !self.compares_numbers(name, value) {
            return None;
        }
        let ty = type_of(&self.schema, name);
        let [least, most] = least_and_most(ty);
        let (bound, surely) = match op {
            Comparison::Less | Comparison::LessOrEqual => (most, least),
            Comparison::Greater | Comparison::GreaterOrEqual => (least, most),
            Comparison::Equal | Comparison::NotEqual => return None,
        };
        // To SQLite a text is more than any number.
        let is_number = match op {
            Comparison::Less | Comparison::LessOrEqual => String::new(),
            _ => format!(" AND typeof({column}) <> 'text'"),
        };
        if !self.has_noise(name) || self.is_primary(name) {
            return Some(format!("({column} {op} {{}}{is_number})"));
        }
        // The index finds what is near; what is so near that only the noise may differ is looked at as it is shown.
        let shown = self.column(name, ty);
        Some(format!("({column} {op} {bound}{is_number} AND ({column} {op} {surely} OR {shown} {op} {{}}))"))
    }

    fn compared(&self, side: String, sort: Sort, column: Option<&str>) -> String {
        match column {
            Some(name) if sort == Sort::Text && self.is_loose(name) => format!("{side} COLLATE BINARY"),
            _ => side,
        }
    }

    fn seeks(&self, order: &[(&str, &Type)]) -> bool {
        // Its own rule of comparing is that of its index, and nothing is made of it before.
        let is_by_index = |(name, ty): &(&str, &Type)| {
            let is_stored = !matches!(ty, Type::DateTime | Type::Date | Type::Guid);
            is_stored && !self.is_loose(name) && self.is_primary(name)
        };
        let is_total = self.primary.iter().all(|name| order.iter().any(|(by, _)| by == name));
        !self.primary.is_empty() && is_total && order.iter().all(is_by_index)
    }

    fn begins(&self, name: &str, column: &str, from: &str, before: &str) -> Option<(String, bool)> {
        // Between texts there is nothing but what begins so; a number in a column without a type is no text.
        if self.is_document(name) {
            return None;
        }
        let all = !self.is_loose(name) && self.texts.iter().any(|known| known == name);
        Some((format!("{column} >= {from} AND {column} < {before}"), all))
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
