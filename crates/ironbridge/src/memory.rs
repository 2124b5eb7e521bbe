//! A system whose tables are in memory: what stands in for every system but Dataverse while a case is tested.
//!
//! It holds what it was given and what was written to it. Reading is always reading everything; a row is written by the
//! values of its key. Columns are what the definition declares, or whatever a row has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use record::catalog::{Catalog, Table as Described, TableColumn};
use record::{
    Batch, BoxFuture, Change, Column, Current, Effected, Fault, Health, Keeps, Key, KeyRules, Kind, Op, Outcome, Page,
    ReadKind, ReadSpec, Reader, Row, Schema, Sink, Source, System, Type, Value, WriteSpec, Written,
};

/// The kind that a system gets while it is replaced. Without a catalogue: any column may be there.
pub static KIND: Kind = Kind {
    name: "memory",
    doc: "Tables in memory.",
    connection: &[],
    entity: &[],
    reads: true,
    writes: true,
    has_catalog: false,
    line_tables: false,
    keeps: Keeps::EXACTLY,
};

/// A row by column. *Shape*: a path (`a.b`) is a column; a blank may be left out.
pub type Cells = BTreeMap<String, Value>;

/// Tables in memory. Clones share them.
#[derive(Clone)]
pub struct Memory(Arc<Mutex<BTreeMap<String, Table>>>);

#[derive(Default)]
struct Table {
    /// Declared ones; any other column is of an unknown type.
    columns: Vec<(String, Type)>,
    rows: Vec<Cells>,
}

impl Memory {
    /// Empty tables with their declared columns.
    pub fn new(tables: impl IntoIterator<Item = (String, Vec<(String, Type)>)>) -> Memory {
        let tables = tables.into_iter().map(|(name, columns)| (name, Table { columns, rows: Vec::new() }));
        Memory(Arc::new(Mutex::new(tables.collect())))
    }

    pub fn has(&self, table: &str) -> bool {
        self.tables().contains_key(table)
    }

    pub fn names(&self) -> Vec<String> {
        self.tables().keys().cloned().collect()
    }

    pub fn type_of(&self, table: &str, column: &str) -> Type {
        self.tables().get(table).map_or(Type::Unknown, |table| table.type_of(column))
    }

    /// The rows of a table, in the order in which they came.
    pub fn rows(&self, table: &str) -> Vec<Cells> {
        self.tables().get(table).map(|table| table.rows.clone()).unwrap_or_default()
    }

    /// Changes the row that is equal in the columns `key`, and adds one where there is none, or where `key` names none.
    pub fn put(&self, table: &str, key: &[String], cells: Cells) {
        let mut tables = self.tables();
        let table = tables.entry(table.to_owned()).or_default();
        let values: Vec<&Value> = key.iter().filter_map(|column| cells.get(column)).collect();
        let at = (!key.is_empty() && values.len() == key.len()).then(|| table.find(key, &values)).flatten();
        match at {
            Some(at) => table.rows[at].extend(cells),
            None => table.rows.push(cells),
        }
    }

    fn tables(&self) -> MutexGuard<'_, BTreeMap<String, Table>> {
        self.0.lock().expect("nothing panics while it holds the tables")
    }
}

impl Table {
    fn type_of(&self, column: &str) -> Type {
        self.columns.iter().find(|(name, _)| name == column).map_or(Type::Unknown, |(_, ty)| ty.clone())
    }

    fn find(&self, columns: &[String], values: &[&Value]) -> Option<usize> {
        let same = |row: &Cells| {
            // 1001 and "1001" are one key: which of them a file holds depends only on its quotes.
            columns.iter().zip(values).all(|(column, value)| {
                row.get(column).is_some_and(|have| !have.is_blank() && have.to_string() == value.to_string())
            })
        };
        self.rows.iter().position(same)
    }

    fn schema(&self, columns: &[String]) -> Arc<Schema> {
        Schema::of(columns.iter().map(|name| (name.as_str(), self.type_of(name))))
    }

    fn row(&self, at: usize, schema: &Arc<Schema>) -> Row {
        let value = |column: &Column| self.rows[at].get(&*column.name).cloned().unwrap_or_default();
        Row::new(schema.clone(), schema.columns().iter().map(value).collect())
    }
}

impl System for Memory {
    fn check(&self) -> BoxFuture<'_, Result<Health, Fault>> {
        Box::pin(async { Ok(Health { version: "tables in memory".to_owned(), ..Health::default() }) })
    }

    fn catalog<'a>(&'a self, tables: &'a [&'a str]) -> BoxFuture<'a, Result<Catalog, Fault>> {
        let known = self.tables();
        let describe = |name: &&str| {
            let column = |(name, ty): &(String, Type)| TableColumn {
                column: Column { name: name.as_str().into(), ty: ty.clone() },
                required: false,
                writable: true,
                labels: Vec::new(),
            };
            let columns = known.get(*name)?.columns.iter().map(column).collect();
            Some(Described { name: (*name).to_owned(), columns, keys: Vec::new() })
        };
        let catalog = Catalog { tables: tables.iter().filter_map(describe).collect() };
        Box::pin(async move { Ok(catalog) })
    }

    fn source(&self, spec: ReadSpec) -> Result<Arc<dyn Source>, Fault> {
        let page_rows = spec.rows_per_batch.max(1);
        Ok(Arc::new(Rows { memory: self.clone(), table: spec.table, columns: spec.columns, key: spec.key, page_rows }))
    }

    fn sink(&self, spec: WriteSpec) -> Result<Arc<dyn Sink>, Fault> {
        let page_rows = ROWS_PER_CHUNK;
        Ok(Arc::new(Rows { memory: self.clone(), table: spec.table, columns: spec.columns, key: spec.key, page_rows }))
    }
}

const ROWS_PER_CHUNK: usize = 500;

/// One table, read or written.
struct Rows {
    memory: Memory,
    table: String,
    columns: Vec<String>,
    key: Vec<String>,
    page_rows: usize,
}

impl Rows {
    /// The rows with these keys, with these columns.
    fn by_key(&self, keys: &[Key], columns: &[String]) -> Vec<Option<Row>> {
        let tables = self.memory.tables();
        let Some(table) = tables.get(&self.table) else { return vec![None; keys.len()] };
        let schema = table.schema(columns);
        let one = |key: &Key| {
            let parts = key.parts();
            let at = table.find(&self.key, &parts.iter().collect::<Vec<_>>())?;
            Some(table.row(at, &schema))
        };
        keys.iter().map(one).collect()
    }
}

impl Source for Rows {
    fn read<'a>(&'a self, _cursor: Option<&'a str>) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        let tables = self.memory.tables();
        let empty = Table::default();
        let table = tables.get(&self.table).unwrap_or(&empty);
        let schema = table.schema(&self.columns);
        let rows: Vec<Row> = (0..table.rows.len()).map(|at| table.row(at, &schema)).collect();
        let page = |rows: &[Row]| Page {
            batch: Batch::from_rows(schema.clone(), rows),
            unreadable: Vec::new(),
            deleted: Vec::new(),
            cursor: None,
        };
        let left: Vec<Page> = rows.chunks(self.page_rows).map(page).collect();
        let pages = Pages { schema, left: left.into_iter() };
        Box::pin(async move { Ok(Box::new(pages) as Box<dyn Reader>) })
    }

    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Row>>, Fault>> {
        let rows = self.by_key(keys, &self.columns);
        Box::pin(async move { Ok(rows) })
    }
}

/// Everything that there was when the read began.
struct Pages {
    schema: Arc<Schema>,
    left: std::vec::IntoIter<Page>,
}

impl Reader for Pages {
    fn kind(&self) -> ReadKind {
        ReadKind::Full { why: None }
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>, Fault>> {
        let page = self.left.next();
        Box::pin(async move { Ok(page) })
    }
}

impl Sink for Rows {
    fn apply<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        let mut tables = self.memory.tables();
        let table = tables.entry(self.table.clone()).or_default();
        let one = |change: &Change| {
            let parts = change.key.parts();
            let at = table.find(&self.key, &parts.iter().collect::<Vec<_>>());
            let written: Cells = change.columns.iter().map(|(name, value)| (name.to_owned(), plain(value))).collect();
            let effect = match (change.op, at) {
                (Op::Delete, Some(at)) => {
                    table.rows.remove(at);
                    Effected::Deleted
                }
                (Op::Delete, None) => Effected::Unchanged,
                (Op::Upsert | Op::Update | Op::Adopt, Some(at)) => {
                    table.rows[at].extend(written);
                    Effected::Updated
                }
                (Op::Update, None) => return Err(record::gone_meanwhile()),
                (Op::Upsert | Op::Adopt, None) => {
                    let mut row: Cells = self.key.iter().cloned().zip(parts).collect();
                    row.extend(written);
                    table.rows.push(row);
                    Effected::Created
                }
            };
            Ok(Written { effect, remote_id: None, version: None, returned: None })
        };
        let outcomes = changes.iter().map(one).collect();
        Box::pin(async move { Ok(outcomes) })
    }

    fn current<'a>(
        &'a self,
        keys: &'a [Key],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Current>>, Fault>> {
        let current = |columns: Row| Current { remote_id: None, version: None, columns, returned: None };
        let rows = self.by_key(keys, columns).into_iter().map(|row| row.map(current)).collect();
        Box::pin(async move { Ok(rows) })
    }

    fn rows_per_chunk(&self) -> usize {
        ROWS_PER_CHUNK
    }

    fn key_rules(&self) -> KeyRules {
        KeyRules::default()
    }
}

/// Without lookups a column holds the other row's key itself.
fn plain(value: &Value) -> Value {
    match value {
        Value::Reference(reference) if reference.key.len() == 1 => reference.key[0].1.clone(),
        other => other.clone(),
    }
}
