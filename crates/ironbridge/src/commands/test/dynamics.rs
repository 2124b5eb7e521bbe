//! A Dataverse of one case's own: an emulator in this process, seen through the connector.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use definition::SystemEntity;
use emulator::dataverse::{Config, Handle};
use jiff::tz::TimeZone;
use record::catalog::Table;
use record::{
    Change, Fault, Key, Op, OptionValue, Options, ReadSpec, Reference, Row, Schema, Secret, System, Type, Value,
    WriteSpec,
};
use serde_json::Value as Json;

use super::cell;
use crate::commands::init::LOCAL_TOKEN;

/// An empty Dataverse. Ends when it is dropped.
pub struct Dynamics {
    pub system: Arc<dyn System>,
    name: String,
    zone: TimeZone,
    /// Of rows that have no business key.
    ids: AtomicU64,
    _emulator: Handle,
}

impl Dynamics {
    pub async fn start(defined: &definition::System, zone: &TimeZone) -> anyhow::Result<Dynamics> {
        let config = Config { token: Some(LOCAL_TOKEN.to_owned()), ..Config::default() };
        let emulator = emulator::dataverse::start(config).await?;
        let mut options = Options::default();
        options.0.insert("url".to_owned(), OptionValue::Text(emulator.url.clone()));
        options.0.insert("token".to_owned(), OptionValue::Secret(Secret::new(LOCAL_TOKEN)));
        let entry = connectors::registry::find(defined.kind.name).expect("the kind was found by this name");
        let system = (entry.open)(&defined.name, options).map_err(|fault| anyhow::anyhow!("{fault}"))?;
        Ok(Dynamics {
            system,
            name: defined.name.clone(),
            zone: zone.clone(),
            ids: AtomicU64::new(1),
            _emulator: emulator,
        })
    }

    /// Writes rows as they stand in a case; a row that points to another one may stand before it.
    ///
    /// *Errors*: one sentence.
    pub async fn put(&self, wanted: &[(&str, Option<&SystemEntity>, &Json)]) -> Result<(), String> {
        let mut waiting: VecDeque<_> = wanted.iter().collect();
        let mut failures = 0;
        while let Some(next) = waiting.pop_front() {
            let (table, held, row) = *next;
            match self.put_one(table, held, row).await {
                Ok(()) => failures = 0,
                Err(fault) if fault.code == hub::codes::REFERENCE_MISSING && failures < waiting.len() => {
                    failures += 1;
                    waiting.push_back(next);
                }
                Err(fault) => {
                    return Err(format!("the row {row} of {}.{table} cannot be given: {}", self.name, told(&fault)));
                }
            }
        }
        Ok(())
    }

    async fn put_one(&self, name: &str, held: Option<&SystemEntity>, row: &Json) -> Result<(), Fault> {
        let table = self.table(name).await?;
        let mut cells: Vec<(String, Value)> = Vec::new();
        for (column, json) in row.as_object().into_iter().flatten() {
            let ty = table.type_of(column).ok_or_else(|| self.no_column(&table, column))?;
            cells.push((column.clone(), self.value(json, ty).await?));
        }
        let key = key_columns(&table, held, &cells);
        if !key.iter().all(|column| cells.iter().any(|(name, _)| name == column)) {
            // Only the primary id is left out like this: a row without a business key gets one of its own.
            let id = format!("00000000-0000-4000-8000-{:012x}", self.ids.fetch_add(1, Ordering::Relaxed));
            let id = Value::Guid(id.parse().expect("it is written as one"));
            cells.extend(key.iter().map(|column| (column.clone(), id.clone())));
        }
        let value = |column: &String| cells.iter().find(|(name, _)| name == column).map(|(_, value)| value);
        let parts = Key::of(key.iter().filter_map(value)).map_err(|why| {
            Fault::stop(hub::codes::ALTERNATE_KEY, format!("its key ({}) is no key: {why}", key.join(", ")))
        })?;
        let others: Vec<&(String, Value)> = cells.iter().filter(|(name, _)| !key.contains(name)).collect();
        let schema = Schema::of(others.iter().map(|(name, _)| (name.as_str(), Type::Unknown)));
        let change = Change {
            op: Op::Upsert,
            key: parts,
            columns: Row::new(schema, others.iter().map(|(_, value)| value.clone()).collect()),
            remote_id: None,
            if_version: None,
        };
        let spec = WriteSpec {
            table: name.to_owned(),
            key,
            columns: others.iter().map(|(name, _)| name.clone()).collect(),
            time_zone: Some(self.zone.clone()),
            fields: Vec::new(),
            lines: Vec::new(),
            options: Options::default(),
        };
        let outcomes = self.system.sink(spec)?.apply(&[change]).await?;
        outcomes.into_iter().try_for_each(|outcome| outcome.map(drop))
    }

    /// A cell of the file as this column takes it: a lookup is the key of the other row, or `{ table: key }`.
    async fn value(&self, json: &Json, ty: &Type) -> Result<Value, Fault> {
        let Type::Reference { to } = ty else { return Ok(cell::value(json, ty, &self.zone)) };
        let (of, key) = match json {
            Json::Null => return Ok(Value::Blank),
            Json::Object(one) if one.len() == 1 => one.iter().next().map(|(of, key)| (of.as_str(), key)),
            _ => to.first().map(|of| (of.as_str(), json)),
        }
        .ok_or_else(|| Fault::stop(hub::codes::TABLE_MISSING, "this lookup points to no table"))?;
        let far = self.table(of).await?;
        let by_id = cell::value(key, &Type::Guid, &self.zone);
        let wanted = |primary: bool| {
            move |key: &&record::catalog::TableKey| key.active && key.primary == primary && key.columns.len() == 1
        };
        let columns = far.keys.iter().filter(wanted(matches!(by_id, Value::Guid(_)))).map(|key| &key.columns[0]).min();
        let Some(column) = columns else {
            let what = format!("`{of}` has no alternate key of one column, so a case cannot name its rows");
            return Err(Fault::stop(hub::codes::ALTERNATE_KEY, what).fix("give the row's id"));
        };
        let part = cell::value(key, far.type_of(column).unwrap_or(&Type::Unknown), &self.zone);
        let key = vec![(column.as_str().into(), part)];
        Ok(Value::Reference(Box::new(Reference { of: of.into(), key })))
    }

    /// The rows of a table with these columns, and what each of those columns holds.
    pub async fn rows(&self, name: &str, columns: &[String]) -> Result<(Vec<Row>, Arc<Schema>), String> {
        self.read(name, columns).await.map_err(|fault| told(&fault))
    }

    async fn read(&self, name: &str, columns: &[String]) -> Result<(Vec<Row>, Arc<Schema>), Fault> {
        let table = self.table(name).await?;
        let columns = if columns.is_empty() { key_columns(&table, None, &[]) } else { columns.to_vec() };
        let spec = ReadSpec {
            table: name.to_owned(),
            columns,
            declared: Vec::new(),
            watermark: None,
            key: Vec::new(),
            rows_per_batch: 1_000,
            time_zone: Some(self.zone.clone()),
            fields: Vec::new(),
            options: Options::default(),
        };
        let source = self.system.source(spec)?;
        let mut reader = source.read(None).await?;
        let mut rows = Vec::new();
        while let Some(page) = reader.next().await? {
            rows.extend(page.batch.rows().map(|row| row.to_row()));
            rows.extend(page.unreadable.into_iter().map(|unreadable| unreadable.row));
        }
        Ok((rows, reader.schema().clone()))
    }

    async fn table(&self, name: &str) -> Result<Table, Fault> {
        let catalog = self.system.catalog(&[name]).await?;
        catalog.table(name).cloned().ok_or_else(|| {
            Fault::stop(hub::codes::TABLE_MISSING, format!("the local Dataverse has no table `{name}`")).fix(
                "correct its logical name (singular, lower case); a table of your own (`new_…`) is not in the \
                     local Dataverse, so leave it out of this case and test it with `check --online` and `plan`",
            )
        })
    }

    fn no_column(&self, table: &Table, column: &str) -> Fault {
        Fault::stop(
            hub::codes::COLUMN_MISSING,
            format!("the local Dataverse has no column `{column}` in `{}`", table.name),
        )
        .fix(
            "correct its logical name (lower case); a column of your own (`new_…`) is not in the local Dataverse, so \
             leave it out of this case and test it with `check --online` and `plan`",
        )
    }
}

/// The columns by which a row is written: the definition's, else those of a key that the row has, else its id.
fn key_columns(table: &Table, held: Option<&SystemEntity>, cells: &[(String, Value)]) -> Vec<String> {
    let has = |columns: &[String]| {
        columns.iter().all(|column| cells.iter().any(|(name, value)| name == column && !value.is_blank()))
    };
    if let Some(held) = held.filter(|held| !held.alternate_key.is_empty() && has(&held.alternate_key)) {
        return held.alternate_key.clone();
    }
    let active = || table.keys.iter().filter(|key| key.active);
    let key = active().find(|key| !key.primary && has(&key.columns)).or_else(|| active().find(|key| key.primary));
    key.map(|key| key.columns.clone()).unwrap_or_default()
}

/// A fault in one line.
pub fn told(fault: &Fault) -> String {
    if fault.fix.is_empty() { fault.to_string() } else { format!("{fault}; {}", fault.fix) }
}
