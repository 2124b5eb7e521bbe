//! The records of a flow in their systems: read whole, and written a few fields at a time.

use std::sync::Arc;

use definition::Project;
use mapping::{Read, ReadMapping, ReadPlan, WriteMapping};
use record::hash::RowHasher;
use record::{Batch, Change, Entity, Fault, Key, Op, ReadSpec, RetryPolicy, Row, Sink, Source, Type, Value, ValueRef};

use crate::codes;
use crate::compile::{self, ROWS_PER_BATCH, Side};
use crate::outage::unanswered;

/// Reads the records of one entity from one system.
pub(crate) struct Reader {
    read: ReadMapping,
    from: String,
    pub table: String,
    by_key: Arc<dyn Source>,
    /// By the column of the system's own id.
    by_id: Option<Arc<dyn Source>>,
    /// The column of the system's own id.
    id: Option<String>,
}

/// A record as its system has it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub key: Key,
    pub row: Row,
    /// Tells it from another one that is made under its key once it is gone, where the table has an id of its own.
    pub own: Option<String>,
}

impl Reader {
    /// *Errors*: a mapping that does not fit what the system has; an entity whose key is not read as it is.
    pub async fn compile(
        project: &Project,
        from: &Side<'_>,
        entity: &Arc<Entity>,
        retry: &RetryPolicy,
    ) -> Result<Reader, Fault> {
        let held = from.held(&entity.name);
        let (table, columns) = from.table(held, retry).await?;
        let entities = project.entities_by_name();
        let lookups = from.defined.lookup_keys(&entities);
        let zone = from.defined.time_zone.clone();
        let read = ReadMapping::compile(&ReadPlan {
            entity,
            rules: &held.read,
            filter: held.where_.as_deref(),
            columns: &columns,
            entities: &entities,
            lookups: from.defined.kind.keeps.lookups.then_some(&lookups),
            zone: zone.clone(),
        })
        .map_err(|problems| compile::does_not_fit(&from.defined.name, &held.read, problems))?;
        let Some(key) = held.key_columns(entity) else {
            let what =
                format!("`{}` cannot be found by its key in `{}`: no column is it", entity.name, from.defined.name);
            return Err(Fault::ask_person(codes::FLOW_RECORD, what)
                .at_system(&from.defined.name)
                .fix("read the key from plain columns, without a formula"));
        };
        let primary = table.iter().flat_map(|table| &table.keys).find(|key| key.primary);
        let primary = primary.map(|key| key.columns.clone()).filter(|columns| columns.len() == 1);
        let mut columns = read.columns().to_vec();
        let more = held.watermark.iter().map(|mark| &mark.column).chain(&key).chain(primary.iter().flatten());
        for column in more {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        let spec = ReadSpec {
            table: held.table.clone().unwrap_or_default(),
            columns,
            declared: held.columns.clone(),
            watermark: held.watermark.clone(),
            key,
            rows_per_batch: ROWS_PER_BATCH,
            time_zone: zone,
            fields: compile::plain(&held.read, |field, column| (field.to_owned(), column.to_owned())),
            options: held.options.clone(),
        };
        let id = primary.as_ref().and_then(|columns| columns.first().cloned());
        let by_id = primary.map(|key| from.system.source(ReadSpec { key, ..spec.clone() })).transpose()?;
        let table = spec.table.clone();
        Ok(Reader { read, from: from.defined.name.clone(), table, by_key: from.system.source(spec)?, by_id, id })
    }

    /// The record with this key of the entity; nothing where there is none.
    pub async fn get(&self, key: &Key) -> Result<Option<Found>, Fault> {
        let found = self.by_key.get(std::slice::from_ref(key)).await?.pop().flatten();
        Ok(found.map(|row| self.record(&row)).transpose()?.flatten())
    }

    /// The record that has this id in its system.
    pub async fn by_id(&self, id: &Value) -> Result<Option<Found>, Fault> {
        let Some(source) = &self.by_id else { return Ok(None) };
        let key = Key::of([id])
            .map_err(|why| Fault::reject(codes::FLOW_RECORD, format!("the row's id cannot be used: {why}")))?;
        let found = source.get(&[key]).await?.pop().flatten();
        Ok(found.map(|row| self.record(&row)).transpose()?.flatten())
    }

    /// What changed, for a sweep.
    pub fn changes(&self) -> &dyn Source {
        self.by_id.as_deref().unwrap_or(&*self.by_key)
    }

    /// A row of the system as a record; nothing where it is not of this entity.
    ///
    /// *Errors*: a value that the entity does not take.
    pub fn record(&self, row: &Row) -> Result<Option<Found>, Fault> {
        let own = self.id.as_deref().and_then(|id| row.get(id)).filter(|id| !id.is_blank());
        let own = own.map(|id| format!("{:032x}", RowHasher::default().hash([ValueRef::Text(&id.to_string())])));
        let batch = Batch::from_rows(row.schema().clone(), [row]);
        let row = batch.row(0);
        let binding = self.read.bind(row.schema()).map_err(|missing| {
            let what = format!("`{}` has no column `{}`, which the mapping reads", self.from, missing.join("`, `"));
            Fault::stop(codes::COLUMN_MISSING, what).at_system(&self.from).fix("correct the mapping, or give it back")
        })?;
        let Some(key) = self.read.key(row, &binding) else { return Ok(None) };
        match self.read.apply(row, &binding) {
            Ok(Read::Row(row)) => Ok(Some(Found { key, row, own })),
            Ok(Read::LeftOut) => Ok(None),
            Err(mut rejected) => Err(rejected.faults.remove(0).at_key(key.to_string())),
        }
    }
}

/// Writes some fields of the records of one entity into one system.
pub(crate) struct Writer {
    entity: Arc<Entity>,
    write: WriteMapping,
    sink: Arc<dyn Sink>,
    key: Vec<String>,
    to: String,
}

impl Writer {
    /// *Errors*: a mapping that does not fit what the system has.
    pub async fn compile(
        project: &Project,
        to: &Side<'_>,
        entity: &Arc<Entity>,
        fields: &[&str],
        retry: &RetryPolicy,
    ) -> Result<Writer, Fault> {
        // What is set and written nowhere would count as written.
        let written = |field: &&&str| to.held(&entity.name).write.iter().any(|rule| carries(rule, &[**field]));
        if let Some(field) = fields.iter().find(|field| !written(field)) {
            let what = format!("`{}` of `{}` is written nowhere in `{}`", field, entity.name, to.defined.name);
            return Err(Fault::ask_person(codes::MAPPING_DOES_NOT_FIT, what).at_system(&to.defined.name).fix(
                "map the field again, or move the instance to a version that does without it: ironbridge flow migrate",
            ));
        }
        let (write, sink) = compile::part(project, to, entity, |rule| carries(rule, fields), retry).await?;
        Ok(Writer {
            entity: entity.clone(),
            sink,
            write,
            key: to.held(&entity.name).alternate_key.clone(),
            to: to.defined.name.clone(),
        })
    }

    /// Sets fields of the record with this key; `base` is what is known of the rest. Writes nothing where it is so
    /// already, and nothing over a change that came between the look and the write.
    ///
    /// *Errors*: there is no such record, or its system does not take the values.
    pub async fn set(&self, key: &[Value], set: &[(String, Value)], base: Option<&Row>) -> Result<(), Fault> {
        let schema = &self.entity.schema;
        let mut values: Vec<Value> = match base {
            Some(base) => schema.columns().iter().map(|c| base.get(&c.name).cloned().unwrap_or_default()).collect(),
            None => vec![Value::Blank; schema.columns().len()],
        };
        let keyed = self.entity.key.iter().map(String::as_str).zip(key.iter().cloned());
        for (field, value) in keyed.chain(set.iter().map(|(field, value)| (field.as_str(), value.clone()))) {
            let at = schema.index(field).expect("a checked definition names fields that exist");
            values[at] = fit(&value, &schema.columns()[at].ty).map_err(|misfit| {
                Fault::ask_person(misfit.code, format!("`{field}` of `{}` {}", self.entity.name, misfit.why))
                    .at_system(&self.to)
                    .fix(misfit.fix)
            })?;
        }
        let record = Row::new(schema.clone(), values);
        let wanted = self.write.apply(&record).map_err(|mut faults| faults.remove(0))?;
        let columns: Vec<String> = self.key.iter().cloned().chain(self.write.compared()).collect();
        let current = self.sink.current(std::slice::from_ref(&wanted.key), &columns).await?;
        let Some(current) = current.into_iter().next().flatten() else {
            let what = format!("`{}` has no {} {}", self.to, self.entity.name, wanted.key);
            return Err(Fault::ask_person(codes::FLOW_RECORD, what)
                .at_system(&self.to)
                .at_key(wanted.key.to_string())
                .fix("bring the record there, then: ironbridge flow retry"));
        };
        if wanted.columns.iter().all(|(name, value)| self.write.holds(&current.columns, name, value)) {
            return Ok(());
        }
        let change = Change {
            op: Op::Update,
            key: wanted.key,
            columns: wanted.columns,
            remote_id: current.remote_id,
            if_version: current.version,
        };
        let outcome = self.sink.apply(&[change]).await?.into_iter().next();
        outcome.unwrap_or_else(|| Err(unanswered(&self.to)))?;
        Ok(())
    }
}

fn fit(value: &Value, ty: &Type) -> Result<Value, mapping::fit::Misfit> {
    mapping::fit::fit(value.as_ref(), ty, None)
}

/// Whether a rule writes one of these fields.
pub(super) fn carries(rule: &mapping::Rule, fields: &[&str]) -> bool {
    match &rule.expr {
        mapping::Expr::Source(field) | mapping::Expr::Choice { source: field, .. } => fields.contains(&&**field),
        mapping::Expr::Formula(text) => fields.iter().any(|field| text.contains(field)) && !rule.only_on_create,
        _ => false,
    }
}
