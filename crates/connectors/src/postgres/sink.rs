//! Writing a table: each chunk is one transaction, and rows with the same columns go together.
//!
//! Rows that are there are updated where a column differs, the others are inserted by `ON CONFLICT`, so that nothing can
//! come between. Where the table refuses one of them, the group is undone and its rows go one by one, each in a
//! savepoint, so that a bad row stops no other.

mod documents;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use record::{
    BoxFuture, Change, Code, Current, Effected, Fault, Key, KeyRules, Op, Outcome, Row, Schema, Sink, Type, Value,
    WriteSpec, Written,
};
use tokio::sync::Mutex;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::catalog::{self, Described};
use super::fault::{self, Failure};
use super::{Database, Use, quote_table, value};
use crate::sql::documents::{apply, current, spec_of, unfit};
use crate::sql::filled::left_blank;
use crate::sql::moment::Dst;
use crate::sql::quote;
use crate::sql::text::Times;

pub(super) struct Table {
    database: Database,
    spec: WriteSpec,
    /// What writes the lines of its documents.
    lines: Vec<Table>,
    session: Mutex<Option<Session>>,
}

/// A session that is kept from chunk to chunk, with what it knows of the table.
struct Session {
    client: Client,
    described: Arc<Described>,
    /// The tables of the lines.
    lines: Vec<Arc<Described>>,
    /// The table of notes is there.
    has_inbox: bool,
}

impl Table {
    pub fn new(database: Database, spec: WriteSpec) -> Table {
        let lines = spec.lines.iter().map(|lines| Table::new(database.clone(), spec_of(&spec, lines))).collect();
        Table { database, spec, lines, session: Mutex::default() }
    }

    async fn open(&self) -> Result<Session, Failure> {
        let client = self.database.connect(Use::Write).await?;
        let described = self.described(&client).await?;
        let mut lines = Vec::with_capacity(self.lines.len());
        for table in &self.lines {
            lines.push(table.described(&client).await?);
        }
        Ok(Session { client, described, lines, has_inbox: false })
    }

    async fn described(&self, client: &Client) -> Result<Arc<Described>, Failure> {
        let described = self.database.in_time(catalog::table(client, &self.spec.table)).await?;
        let described = described.ok_or_else(|| {
            let what = format!("there is no table `{}`", self.spec.table);
            fault::place(Fault::ask_person(Code("IB0504"), what), &self.database, &self.spec.table)
                .fix("correct `table:`, with its schema where it is not in the search path: finance.customers")
        })?;
        Ok(Arc::new(described))
    }

    /// Takes the session; whoever is done with it puts it back, unless it failed.
    async fn session(&self) -> Result<Session, Failure> {
        let kept = self.session.lock().await.take();
        match kept.filter(|session| !session.client.is_closed()) {
            Some(session) => Ok(session),
            None => self.open().await,
        }
    }

    fn failed(&self, failure: Failure) -> Fault {
        fault::sink(&self.database, &self.spec.table, &failure)
    }
}

impl Table {
    async fn applied(&self, message: Option<&str>, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let mut session = self.session().await.map_err(|failure| self.failed(failure))?;
        let mut tables = documents::Opened { table: self, session: &mut session };
        let outcomes = apply(&mut tables, &self.spec, message, changes).await;
        let outcomes = outcomes.map_err(|failure| self.failed(failure))?;
        *self.session.lock().await = Some(session);
        Ok(outcomes)
    }

    async fn found(
        &self,
        by: &[String],
        values: &[Vec<Value>],
        columns: &[String],
        ids: bool,
    ) -> Result<Vec<Vec<Current>>, Fault> {
        let mut session = self.session().await.map_err(|failure| self.failed(failure))?;
        let mut tables = documents::Opened { table: self, session: &mut session };
        let found = current(&mut tables, &self.spec, by, values, columns, ids).await;
        let found = found.map_err(|failure| self.failed(failure))?;
        *self.session.lock().await = Some(session);
        Ok(found)
    }
}

impl Sink for Table {
    fn apply<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        Box::pin(self.applied(None, changes))
    }

    fn apply_once<'a>(&'a self, message: &'a str, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        Box::pin(self.applied(Some(message), changes))
    }

    fn current<'a>(
        &'a self,
        keys: &'a [Key],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Current>>, Fault>> {
        Box::pin(async move {
            let wanted: Vec<Vec<Value>> = keys.iter().map(Key::parts).collect();
            let found = self.found(&self.spec.key, &wanted, columns, false).await?;
            Ok(found.into_iter().map(|rows| rows.into_iter().next()).collect())
        })
    }

    fn find<'a>(
        &'a self,
        by: &'a [String],
        values: &'a [Vec<Value>],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Vec<Current>>, Fault>> {
        Box::pin(self.found(by, values, columns, true))
    }

    fn unfit<'a>(&'a self, changes: &'a [Change], new: &'a [bool]) -> BoxFuture<'a, Result<Vec<Option<Fault>>, Fault>> {
        Box::pin(async move {
            let session = self.session().await.map_err(|failure| self.failed(failure))?;
            let faults = unfit(&self.spec, changes, new, |at, change, is_new| {
                let names: Vec<&str> = change.columns.iter().map(|(name, _)| name).collect();
                let (table, described) = match at.checked_sub(1) {
                    None => {
                        self.texts(&session.described, change, &names)?;
                        (self, &session.described)
                    }
                    Some(at) => (&self.lines[at], &session.lines[at]),
                };
                match left_blank(&described.refuses, &table.spec, change, is_new) {
                    Some(fault) => Err(fault::place(fault, &self.database, &table.spec.table)),
                    None => Ok(()),
                }
            });
            *self.session.lock().await = Some(session);
            Ok(faults)
        })
    }

    fn rows_per_chunk(&self) -> usize {
        1000
    }

    fn key_rules(&self) -> KeyRules {
        self.database.rules.of(&self.spec.table, &self.spec.key, KeyRules::default())
    }
}

/// Rows of one chunk that are treated alike.
struct Group<'a> {
    op: Op,
    /// The id of the row that is to be adopted.
    adopts: Option<&'a str>,
    /// Without those of the key.
    names: Vec<&'a str>,
    /// The places of the rows in the chunk.
    rows: Vec<usize>,
}

/// What rows of one group have in common: the parts of [`Group`].
type Alike<'a> = (Op, Option<&'a str>, Vec<&'a str>);

/// A row as texts: the key's columns, then the others.
type Texts = Vec<Option<String>>;

impl Table {
    /// Writes rows in the transaction that is open.
    async fn write(&self, client: &Client, described: &Described, changes: &[Change]) -> Result<Vec<Outcome>, Failure> {
        let mut outcomes: Vec<Option<Outcome>> = changes.iter().map(|_| None).collect();
        let mut texts: Vec<Texts> = Vec::with_capacity(changes.len());
        let mut groups: BTreeMap<Alike<'_>, Vec<usize>> = BTreeMap::new();
        for (at, change) in changes.iter().enumerate() {
            let deletes = change.op == Op::Delete;
            let names: Vec<&str> = change
                .columns
                .iter()
                .map(|(name, _)| name)
                .filter(|name| !deletes && !self.spec.key.iter().any(|key| key == name))
                .collect();
            match self.texts(described, change, &names) {
                Ok(row) => {
                    texts.push(row);
                    let adopts = change.remote_id.as_deref().filter(|_| change.op == Op::Adopt);
                    groups.entry((change.op, adopts, names)).or_default().push(at);
                }
                Err(refused) => {
                    texts.push(Vec::new());
                    outcomes[at] = Some(Err(refused));
                }
            }
        }
        for ((op, adopts, names), rows) in groups {
            let group = Group { op, adopts, names, rows };
            match self.attempt(client, described, &group, &group.rows, &texts).await {
                Ok(effects) => put(&mut outcomes, effects),
                Err(failure) if !failure.is_of_a_row() => return Err(failure),
                Err(_) => {
                    for &at in &group.rows {
                        match self.attempt(client, described, &group, &[at], &texts).await {
                            Ok(effects) => put(&mut outcomes, effects),
                            Err(failure) if failure.is_of_a_row() => {
                                let key = changes[at].key.to_string();
                                outcomes[at] = Some(Err(fault::row(&self.database, &self.spec.table, key, &failure)));
                            }
                            Err(failure) => return Err(failure),
                        }
                    }
                }
            }
        }
        let gone = |change: &Change| {
            let fault = fault::place(record::gone_meanwhile(), &self.database, &self.spec.table);
            Err(fault.at_key(change.key.to_string()))
        };
        let outcomes = outcomes.into_iter().zip(changes);
        Ok(outcomes.map(|(outcome, change)| outcome.unwrap_or_else(|| gone(change))).collect())
    }

    /// Some rows of a group in a savepoint: all of them, or nothing. *Shape*: without those that are gone meanwhile.
    async fn attempt(
        &self,
        client: &Client,
        described: &Described,
        group: &Group<'_>,
        rows: &[usize],
        texts: &[Texts],
    ) -> Result<Vec<(usize, Effected)>, Failure> {
        self.run(client, "SAVEPOINT rows_of_a_chunk").await?;
        let result = self.some(client, described, group, rows, texts).await;
        match &result {
            Ok(_) => self.run(client, "RELEASE SAVEPOINT rows_of_a_chunk").await?,
            Err(failure) if failure.ends_session() => {}
            Err(_) => {
                self.run(client, "ROLLBACK TO SAVEPOINT rows_of_a_chunk; RELEASE SAVEPOINT rows_of_a_chunk").await?;
            }
        }
        result
    }

    async fn run(&self, client: &Client, sql: &str) -> Result<(), Failure> {
        self.database.in_time(async { Ok(client.batch_execute(sql).await?) }).await
    }

    async fn some(
        &self,
        client: &Client,
        described: &Described,
        group: &Group<'_>,
        rows: &[usize],
        texts: &[Texts],
    ) -> Result<Vec<(usize, Effected)>, Failure> {
        if let (Some(id), [at]) = (group.adopts, rows) {
            return Ok(vec![(*at, self.adopt(client, described, group, &texts[*at], id).await?)]);
        }
        let key: Vec<&str> = self.spec.key.iter().map(String::as_str).collect();
        let all: Vec<&str> = key.iter().chain(&group.names).copied().collect();
        let table = quote_table(&self.spec.table);
        let given = given(described, &all);
        let by_key = equal(&key);
        let numbers: Vec<i32> = rows.iter().map(|&at| at as i32).collect();
        let arrays = arrays(all.len(), rows.iter().map(|&at| &texts[at]));
        let bound = bound(&numbers, &arrays);
        if group.op == Op::Delete {
            let sql = format!(
                "WITH v AS ({given}) DELETE FROM {table} AS t USING v WHERE {by_key} RETURNING v.ironbridge_row"
            );
            let deleted = self.numbers(client, &sql, &bound).await?;
            let effect = |at| if deleted.contains(&at) { Effected::Deleted } else { Effected::Unchanged };
            return Ok(rows.iter().map(|&at| (at, effect(at))).collect());
        }
        let sql = format!("WITH v AS ({given}) SELECT v.ironbridge_row FROM v JOIN {table} AS t ON {by_key}");
        let there = self.numbers(client, &sql, &bound).await?;
        let updated = if group.names.is_empty() || there.is_empty() {
            HashSet::new()
        } else {
            let set: Vec<String> = group.names.iter().map(|name| format!("{0} = v.{0}", quote(name))).collect();
            let differs = group.names.iter().map(|name| {
                let name_quoted = quote(name);
                described.differs(name, &format!("t.{name_quoted}"), &format!("v.{name_quoted}"))
            });
            let differs = differs.collect::<Vec<_>>().join(" OR ");
            let sql = format!(
                "WITH v AS ({given}) UPDATE {table} AS t SET {} FROM v WHERE {by_key} AND ({differs}) RETURNING v.ironbridge_row",
                set.join(", ")
            );
            self.numbers(client, &sql, &bound).await?
        };
        let new: Vec<usize> = rows.iter().copied().filter(|at| !there.contains(at)).collect();
        if !new.is_empty() && group.op != Op::Update {
            let numbers: Vec<i32> = new.iter().map(|&at| at as i32).collect();
            let arrays = self::arrays(all.len(), new.iter().map(|&at| &texts[at]));
            let columns: Vec<String> = all.iter().map(|name| quote(name)).collect();
            let set: Vec<String> = group.names.iter().map(|name| format!("{0} = EXCLUDED.{0}", quote(name))).collect();
            let conflict = if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", set.join(", ")) };
            let on: Vec<String> = key.iter().map(|name| quote(name)).collect();
            let sql = format!(
                "WITH v AS ({given}) INSERT INTO {table} ({0}) SELECT {0} FROM v ON CONFLICT ({1}) DO {conflict}",
                columns.join(", "),
                on.join(", ")
            );
            self.database.in_time(async { Ok(client.execute(&sql, &self::bound(&numbers, &arrays)).await?) }).await?;
        }
        let effect = |at: &usize| match (there.contains(at), updated.contains(at)) {
            (false, _) if group.op == Op::Update => None,
            (false, _) => Some((*at, Effected::Created)),
            (true, true) => Some((*at, Effected::Updated)),
            (true, false) => Some((*at, Effected::Unchanged)),
        };
        Ok(rows.iter().filter_map(effect).collect())
    }

    async fn numbers(
        &self,
        client: &Client,
        sql: &str,
        bound: &[&(dyn ToSql + Sync)],
    ) -> Result<HashSet<usize>, Failure> {
        let rows = self.database.in_time(async { Ok(client.query(sql, bound).await?) }).await?;
        Ok(rows.iter().map(|row| row.get::<_, i32>(0) as usize).collect())
    }

    /// The rows with these values in `by`; each has what stands in `id` as its id.
    async fn look_up(
        &self,
        client: &Client,
        described: &Described,
        by: &[String],
        values: &[Vec<Value>],
        names: &[String],
        id: Option<&str>,
    ) -> Result<Vec<Vec<Current>>, Failure> {
        match self.rows(client, described, by, values, names, id).await {
            // One value that is none of its column's type spoils the statement for all.
            Err(failure) if failure.is_of_a_row() => {
                let mut found = Vec::with_capacity(values.len());
                for values in values {
                    match self.rows(client, described, by, std::slice::from_ref(values), names, id).await {
                        Ok(one) => found.extend(one),
                        Err(failure) if failure.is_of_a_row() => found.push(Vec::new()),
                        Err(failure) => return Err(failure),
                    }
                }
                Ok(found)
            }
            found => found,
        }
    }

    async fn rows(
        &self,
        client: &Client,
        described: &Described,
        by: &[String],
        values: &[Vec<Value>],
        names: &[String],
        id: Option<&str>,
    ) -> Result<Vec<Vec<Current>>, Failure> {
        let ty = |name: &String| described.table.type_of(name).cloned().unwrap_or(Type::Unknown);
        let schema = Schema::of(names.iter().map(|name| (name.as_str(), ty(name))));
        let key: Vec<&str> = by.iter().map(String::as_str).collect();
        let zone = self.spec.time_zone.as_ref();
        let part = |(value, name): (&Value, &String)| described.text(name, value, zone).unwrap_or_default();
        let texts: Vec<Texts> = values.iter().map(|values| values.iter().zip(by).map(part).collect()).collect();
        let numbers: Vec<i32> = (0..values.len() as i32).collect();
        let arrays = arrays(key.len(), texts.iter());
        let mut columns = vec!["v.ironbridge_row".to_owned()];
        columns.push(id.map_or_else(|| "NULL::text".to_owned(), |id| format!("(t.{})::text", quote(id))));
        columns.extend(
            names.iter().map(|name| value::as_text(&format!("t.{}", quote(name)), described.cast(name) == "money")),
        );
        let sql = format!(
            "WITH v AS ({}) SELECT {} FROM v JOIN {} AS t ON {}",
            given(described, &key),
            columns.join(", "),
            quote_table(&self.spec.table),
            equal(&key)
        );
        let rows = self.database.in_time(async { Ok(client.query(&sql, &bound(&numbers, &arrays)).await?) }).await?;
        let times = Times { zone: self.spec.time_zone.clone(), dst: Dst::Earlier };
        let mut found: Vec<Vec<Current>> = values.iter().map(|_| Vec::new()).collect();
        for row in rows {
            let mut cells = Vec::with_capacity(names.len());
            for (i, column) in schema.columns().iter().enumerate() {
                let cell: Option<&str> = row.try_get(i + 2)?;
                // What cannot be read differs from anything that is to be written, and is overwritten.
                cells.push(
                    value::read(cell, &column.ty, &times).unwrap_or_else(|_| cell.map_or(Value::Blank, Value::text)),
                );
            }
            let remote_id = row.try_get::<_, Option<&str>>(1)?.map(Into::into);
            let columns = Row::new(schema.clone(), cells);
            let current = Current { remote_id, version: None, columns, returned: None };
            found[row.get::<_, i32>(0) as usize].push(current);
        }
        Ok(found)
    }

    /// Gives a row that was there before its key, and the other columns.
    async fn adopt(
        &self,
        client: &Client,
        described: &Described,
        group: &Group<'_>,
        texts: &Texts,
        remote_id: &str,
    ) -> Result<Effected, Failure> {
        let id = id(described).expect("only a table with such a key gave the id");
        let all: Vec<&str> = self.spec.key.iter().map(String::as_str).chain(group.names.iter().copied()).collect();
        let set: Vec<String> = all.iter().map(|name| format!("{0} = v.{0}", quote(name))).collect();
        let sql = format!(
            "WITH v AS ({}) UPDATE {} AS t SET {} FROM v WHERE t.{} = CAST(${}::text AS {})",
            given(described, &all),
            quote_table(&self.spec.table),
            set.join(", "),
            quote(id),
            all.len() + 2,
            described.cast(id)
        );
        let numbers = vec![0];
        let arrays = arrays(all.len(), std::iter::once(texts));
        let mut bound = bound(&numbers, &arrays);
        bound.push(&remote_id);
        self.database.in_time(async { Ok(client.execute(&sql, &bound).await?) }).await?;
        Ok(Effected::Updated)
    }

    fn texts(&self, described: &Described, change: &Change, names: &[&str]) -> Result<Texts, Fault> {
        let refused = |column: &str, why: String| {
            let what = format!("this row cannot be written to `{}`: {why}", self.spec.table);
            let fault = Fault::reject(Code("IB0512"), what).at_key(change.key.to_string()).at_column(column);
            fault::place(fault, &self.database, &self.spec.table).fix("correct the value at its source")
        };
        if change.if_version.is_some() {
            return Err(refused("", "a table keeps no version of a row to compare".to_owned()));
        }
        let zone = self.spec.time_zone.as_ref();
        let text = |name: &str, value: &Value| {
            if described.table.type_of(name).is_none() {
                let what = format!("table `{}` has no column `{name}`", self.spec.table);
                let fault = Fault::ask_person(Code("IB0505"), what).at_column(name);
                return Err(fault::place(fault, &self.database, &self.spec.table)
                    .fix(format!("look at its columns: psql -c '\\d {}'", self.spec.table)));
            }
            described.text(name, value, zone).map_err(|why| refused(name, why))
        };
        let mut row = Texts::new();
        for (name, value) in self.spec.key.iter().zip(change.key.parts()) {
            row.push(text(name, &value)?);
        }
        for name in names {
            let value = change.columns.get(name).expect("the names are those of the change");
            row.push(text(name, value)?);
        }
        Ok(row)
    }
}

/// The single column that names a row for good, whatever its alternate key says.
fn id(described: &Described) -> Option<&str> {
    match described.table.keys.iter().find(|key| key.primary)?.columns.as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

fn put(outcomes: &mut [Option<Outcome>], effects: Vec<(usize, Effected)>) {
    for (at, effect) in effects {
        outcomes[at] = Some(Ok(Written { effect, remote_id: None, version: None, returned: None }));
    }
}

/// The rows that are bound, as a table `v` with a number and these columns in their own types.
fn given(described: &Described, names: &[&str]) -> String {
    let plain: Vec<String> = (0..names.len()).map(|i| format!("c{i}")).collect();
    let params: Vec<String> = (0..names.len()).map(|i| format!("${}::text[]", i + 2)).collect();
    let typed = names
        .iter()
        .zip(&plain)
        .map(|(name, plain)| format!("CAST(u.{plain} AS {}) AS {}", described.cast(name), quote(name)));
    let typed: Vec<String> = std::iter::once("u.ironbridge_row".to_owned()).chain(typed).collect();
    format!(
        "SELECT {} FROM unnest($1::int4[], {}) AS u (ironbridge_row, {})",
        typed.join(", "),
        params.join(", "),
        plain.join(", ")
    )
}

fn equal(key: &[&str]) -> String {
    key.iter().map(|name| format!("t.{0} = v.{0}", quote(name))).collect::<Vec<_>>().join(" AND ")
}

/// Rows turned into columns.
fn arrays<'r>(columns: usize, rows: impl Iterator<Item = &'r Texts>) -> Vec<Vec<Option<&'r str>>> {
    let mut arrays: Vec<Vec<Option<&str>>> = vec![Vec::new(); columns];
    for row in rows {
        for (array, cell) in arrays.iter_mut().zip(row) {
            array.push(cell.as_deref());
        }
    }
    arrays
}

fn bound<'b>(numbers: &'b Vec<i32>, arrays: &'b [Vec<Option<&'b str>>]) -> Vec<&'b (dyn ToSql + Sync)> {
    let numbers: &(dyn ToSql + Sync) = numbers;
    std::iter::once(numbers).chain(arrays.iter().map(|array| array as &(dyn ToSql + Sync))).collect()
}
