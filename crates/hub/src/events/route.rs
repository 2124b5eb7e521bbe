//! The compiled path of the events of one integration to one destination.

use std::sync::Arc;

use definition::{Event, Integration, Payload, Project};
use mapping::{Condition, Explained, Wanted, WriteMapping, WritePlan, content};
use record::hash::RowHasher;
use record::{
    Batch, Change, Column, Entity, Fault, Happened, Key, Op, ReadSpec, RetryPolicy, Row, Schema, Signal, Sink, Source,
    System, Type, Value, WriteSpec,
};
use serde_json::{Value as Json, json};

use crate::codes;
use crate::compile::{self, Compiled, Side, Systems};
use crate::gone::Gone;
use crate::json;
use crate::lines;
use crate::pair::Pair;

/// What an event brings: a row to be asked for, or the row itself.
pub(crate) enum Brought {
    Row(Row),
    /// The trigger does not want it.
    LeftOut,
    /// The source has it no longer.
    Gone,
}

/// A row on its way through the mappings.
pub(crate) struct Mapped {
    pub key: Key,
    pub record: Row,
    pub wanted: Wanted,
    pub content_hash: u128,
}

pub(crate) enum Read {
    Mapped(Box<Mapped>),
    /// Why nothing is to be done about it.
    LeftOut(&'static str),
    Bad {
        key: Option<Key>,
        faults: Vec<Fault>,
        fields: Vec<Explained>,
    },
}

pub(crate) struct Route {
    pub pair: Pair,
    event: Event,
    condition: Option<Condition>,
    from: Arc<dyn System>,
    table: String,
    /// The column of the id that signals carry, and what reads rows by it. `None` where the table has no primary key of
    /// one column.
    by_id: Option<(String, Arc<dyn Source>)>,
    /// The columns of the entity's key in the source.
    key: Vec<String>,
    home: Option<Home>,
}

/// Where what the destination returned goes back to.
struct Home {
    write: WriteMapping,
    sink: Arc<dyn Sink>,
    key: Vec<String>,
}

/// Everything about an event besides its body.
pub(crate) struct Told<'a> {
    pub body: &'a [u8],
    /// It is sent by the hub, and only names a row.
    pub by_hub: bool,
}

impl Route {
    /// *Errors*: a system that does not answer, and a mapping that does not fit what it has.
    pub async fn compile(
        project: &Project,
        integration: &Integration,
        event: &Event,
        to: &str,
        systems: &dyn Systems,
    ) -> Result<Route, Fault> {
        let (from, to) = (Side::open(project, systems, &event.from)?, Side::open(project, systems, to)?);
        let entities = project.entities_by_name();
        let retry = RetryPolicy { give_up_after: std::time::Duration::from_secs(5), ..RetryPolicy::default() };
        let Compiled { pair, reads, primary } =
            compile::pair(project, &event.entity, &from, &to, &entities, Gone::Ignore, &retry).await?;
        let unsupported = [
            (event.trigger.deleted, "`rows: [deleted]`"),
            (
                event.order_by.as_ref().is_some_and(|field| pair.entity.key != [field.clone()]),
                "`order_by:` another field than the key",
            ),
        ];
        if let Some((_, what)) = unsupported.iter().find(|(is, _)| *is) {
            return Err(compile::not_yet(&integration.name, what));
        }
        let condition = event.trigger.if_.as_deref().map(|text| Condition::compile(text, &pair.entity));
        let condition = condition.transpose().map_err(|problems| {
            let all: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
            Fault::ask_person(codes::MAPPING_DOES_NOT_FIT, format!("`if:` of the trigger: {}", all.join("; ")))
                .fix("correct the formula; it is over the fields of the entity")
        })?;
        let by_id = match primary.as_slice() {
            [id] => {
                let mut columns = reads.columns.clone();
                if !columns.contains(id) {
                    columns.push(id.clone());
                }
                let spec = ReadSpec { key: primary.clone(), columns, ..reads.clone() };
                Some((id.clone(), from.system.source(spec)?))
            }
            _ => None,
        };
        let home = match event.write_back.is_empty() {
            true => None,
            false => Some(Home::compile(project, &from, event, &pair.entity, &retry).await?),
        };
        Ok(Route {
            home,
            pair,
            event: event.clone(),
            condition,
            from: from.system,
            table: reads.table,
            by_id,
            key: reads.key,
        })
    }

    /// The row that an event is about, as it is now (`payload: fetch`) or as it came.
    pub async fn row(&self, told: &Told<'_>) -> Result<Brought, Fault> {
        match self.brought(told).await? {
            Brought::Row(row) => Ok(Brought::Row(self.with_lines(row).await?)),
            other => Ok(other),
        }
    }

    /// A row of the source with its lines, as they are now.
    pub async fn with_lines(&self, row: Row) -> Result<Row, Fault> {
        lines::of_row(&self.pair, row).await
    }

    async fn brought(&self, told: &Told<'_>) -> Result<Brought, Fault> {
        if !told.by_hub
            && let Some(signal) = self.from.decode(told.body)
        {
            return self.signalled(&signal?).await;
        }
        let event: Json =
            serde_json::from_slice(told.body).map_err(|why| self.unreadable(&format!("it is not JSON: {why}")))?;
        if told.by_hub && self.by_id.is_some() {
            let id = match json::value(&event["id"]) {
                Value::Text(text) => text.parse().map_or(Value::Text(text), Value::Guid),
                other => other,
            };
            return self.fetch(&id).await;
        }
        // A CloudEvent carries the row in `data`.
        let row = if event["specversion"].is_string() { &event["data"] } else { &event };
        if !row.is_object() {
            return Err(self.unreadable("it is not a JSON object with the row's columns"));
        }
        if self.event.payload == Payload::Fetch || told.by_hub {
            let key = sent(row, &self.key).map_err(|missing| self.unreadable(&format!("it has no {missing}")))?;
            let key = Key::of(key.iter()).map_err(|why| self.unreadable(&format!("its key cannot be used: {why}")))?;
            return Ok(found(self.pair.source.get(&[key]).await?));
        }
        let columns = self.pair.read.columns();
        let values = sent(row, columns)
            .map_err(|missing| self.unreadable(&format!("it has no {missing}, which the mapping reads")))?;
        let schema = Schema::of(columns.iter().map(|name| (name.as_str(), Type::Unknown)));
        let mut row_of_event = Row::new(schema, values);
        for children in self.pair.read.children().iter().filter(|children| children.parent.is_none()) {
            let lines = row.get(&children.of).and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
            let schema = Schema::of(children.columns().iter().map(|name| (name.as_str(), Type::Unknown)));
            let line = |line: &Json| sent(line, children.columns()).map(|values| Row::new(schema.clone(), values));
            let lines: Result<Vec<Row>, String> = lines.iter().map(line).collect();
            let lines = lines.map_err(|missing| {
                self.unreadable(&format!("a line of `{}` has no {missing}, which the mapping reads", children.of))
            })?;
            let column = Column { name: children.of.as_str().into(), ty: Type::Unknown };
            row_of_event = row_of_event.with(column, Value::Rows(lines));
        }
        Ok(Brought::Row(row_of_event))
    }

    async fn signalled(&self, signal: &Signal) -> Result<Brought, Fault> {
        if !signal.table.eq_ignore_ascii_case(&self.table) {
            let what = format!("it is about `{}`, and the integration reads `{}`", signal.table, self.table);
            return Err(self.unreadable(&what));
        }
        let trigger = &self.event.trigger;
        let wanted = match signal.happened {
            Happened::Created => trigger.created,
            Happened::Updated => {
                let touched = |columns: &Vec<String>| trigger.columns.iter().any(|column| columns.contains(column));
                trigger.updated && (trigger.columns.is_empty() || signal.columns.as_ref().is_none_or(touched))
            }
            Happened::Deleted => false,
        };
        if !wanted {
            return Ok(Brought::LeftOut);
        }
        self.fetch(&signal.id).await
    }

    async fn fetch(&self, id: &Value) -> Result<Brought, Fault> {
        let Some((_, source)) = &self.by_id else {
            return Err(self.unreadable("its table has no primary key to find the row by"));
        };
        let key = Key::of([id]).map_err(|why| self.unreadable(&format!("the row's id cannot be used: {why}")))?;
        Ok(found(source.get(&[key]).await?))
    }

    /// A row of the source as the destination should have it.
    ///
    /// *Errors*: the source lacks a column, so that no row can be read.
    pub fn map(&self, row: &Row) -> Result<Read, Fault> {
        let pair = &self.pair;
        let batch = Batch::from_rows(row.schema().clone(), [row]);
        let row = batch.row(0);
        let binding = pair.read.bind(row.schema()).map_err(|missing| {
            let what = format!("`{}` has no column `{}`, which the mapping reads", pair.from, missing.join("`, `"));
            Fault::stop(codes::COLUMN_MISSING, what)
                .at_system(&pair.from)
                .fix("correct the mapping, or give the source its column back; nothing was written")
        })?;
        let key = pair.read.key(row, &binding);
        let bad = |faults| Ok(Read::Bad { key: key.clone(), faults, fields: pair.read.explain(row, &binding) });
        let record = match pair.read.apply(row, &binding) {
            Ok(mapping::Read::Row(record)) => record,
            Ok(mapping::Read::LeftOut) => return Ok(Read::LeftOut("not of this entity (`where:`)")),
            Err(rejected) => return bad(rejected.faults),
        };
        if let Some(condition) = &self.condition {
            match condition.holds(&record) {
                Ok(true) => {}
                Ok(false) => return Ok(Read::LeftOut("not what the trigger wants (`if:`)")),
                Err(why) => {
                    let what = format!("`if:` of the trigger cannot be told: {why}");
                    let fault = Fault::reject(mapping::read::FORMULA_FAILED, what);
                    return bad(vec![fault.fix("correct the row, or guard the formula with IfError(…)")]);
                }
            }
        }
        let wanted = match pair.write.apply(&record) {
            Ok(wanted) => wanted,
            Err(faults) => return bad(faults),
        };
        let content_hash = content::hash(&wanted.columns, pair.write.keeps(), &mut RowHasher::default());
        let key = key.clone().expect("a row without a key has no record");
        Ok(Read::Mapped(Box::new(Mapped { key, record, wanted, content_hash })))
    }

    /// Writes what the destination returned into the source, unless it is there already.
    ///
    /// *Errors*: the source does not take it, or the destination did not return it.
    pub async fn write_home(&self, record: &Row, returned: Option<&Row>) -> Result<(), Fault> {
        let Some(home) = &self.home else { return Ok(()) };
        let mut values = record.values().to_vec();
        for field in &self.event.write_back {
            let at = record.schema().index(field).expect("a checked definition names fields that exist");
            let Some(value) = returned.and_then(|row| row.get(field)).filter(|value| !value.is_blank()) else {
                let what = format!("`{}` took the row and did not return `{field}`", self.pair.to);
                return Err(Fault::reject(codes::NOT_RETURNED, what)
                    .at_system(&self.pair.to)
                    .fix("say in `returns:` where its answer has the field; then send the dead letter again"));
            };
            let ty = &record.schema().columns()[at].ty;
            values[at] = mapping::fit::fit(value.as_ref(), ty, None).map_err(|misfit| {
                Fault::reject(misfit.code, format!("`{field}` as `{}` returned it {}", self.pair.to, misfit.why))
                    .at_system(&self.pair.to)
                    .fix(misfit.fix)
            })?;
        }
        let record = Row::new(record.schema().clone(), values);
        let wanted = home.write.apply(&record).map_err(|mut faults| faults.remove(0))?;
        let columns: Vec<String> = home.key.iter().cloned().chain(home.write.compared()).collect();
        let current = home.sink.current(std::slice::from_ref(&wanted.key), &columns).await?;
        let Some(Some(current)) = current.first() else {
            // Deleted meanwhile: nothing misses the number.
            return Ok(());
        };
        let same = |(name, value): (&str, &Value)| home.write.holds(&current.columns, name, value);
        if wanted.columns.iter().all(same) {
            return Ok(());
        }
        let change = Change {
            op: Op::Upsert,
            key: wanted.key,
            columns: wanted.columns,
            remote_id: current.remote_id.clone(),
            if_version: None,
        };
        home.sink.apply(&[change]).await?.into_iter().next().unwrap_or_else(|| Err(self.unreadable("no answer")))?;
        Ok(())
    }

    /// What changed in the source, with the id of each row where it has one.
    pub fn changes(&self) -> &dyn Source {
        self.by_id.as_ref().map_or(&*self.pair.source, |(_, source)| &**source)
    }

    /// What a message has to say so that this row is fetched, and the session that events of the row share.
    ///
    /// `None` for a row that nothing names.
    pub fn names(&self, row: &Row) -> Option<(Json, String)> {
        let text = |column: &String| row.get(column).filter(|value| !value.is_blank()).map(json::of);
        let id = self.by_id.as_ref().and_then(|(id, _)| text(id));
        let key = self.key.iter().map(|column| Some((column.clone(), text(column)?)));
        let key: Option<serde_json::Map<String, Json>> = key.collect();
        let key = key.filter(|key| !key.is_empty());
        let signals = self.from.decode(b"").is_some();
        let session = match (&id, &key) {
            (Some(id), _) if signals => format!("{}|{}", self.table, id.as_str().unwrap_or_default()),
            (_, Some(key)) if !signals => {
                let values: Vec<String> = key.values().map(Json::to_string).collect();
                format!("{}|{}", self.pair.entity.name, values.join("|"))
            }
            _ => return None,
        };
        let body = match id {
            Some(id) => json!({ "id": id }),
            None => Json::Object(key?),
        };
        Some((body, session))
    }

    fn unreadable(&self, why: &str) -> Fault {
        Fault::reject(codes::EVENT_UNREADABLE, format!("the event from `{}` cannot be used: {why}", self.pair.from))
            .at_system(&self.pair.from)
            .fix("have the sender send what is needed, or correct the mapping; the dead letter keeps what was sent")
    }
}

impl Home {
    async fn compile(
        project: &Project,
        from: &Side<'_>,
        event: &Event,
        entity: &Arc<Entity>,
        retry: &RetryPolicy,
    ) -> Result<Home, Fault> {
        let held = from.held(&event.entity);
        let goes_home = |rule: &&mapping::Rule| {
            held.alternate_key.contains(&rule.target)
                || matches!(&rule.expr, mapping::Expr::Source(field) if event.write_back.contains(field))
        };
        let rules: Vec<mapping::Rule> = held.write.iter().filter(goes_home).cloned().collect();
        let (_, columns) = from.table(held, retry).await?;
        let entities = project.entities_by_name();
        let write = WriteMapping::compile(&WritePlan {
            entity,
            rules: &rules,
            alternate_key: &held.alternate_key,
            columns: &columns,
            keeps: from.defined.kind.keeps,
            entities: &entities,
            lookups: &from.defined.lookup_keys(&entities),
        })
        .map_err(|problems| compile::does_not_fit(&from.defined.name, &rules, problems))?;
        let spec = WriteSpec {
            table: held.table.clone().unwrap_or_default(),
            key: held.alternate_key.clone(),
            columns: write.columns(),
            time_zone: from.defined.time_zone.clone(),
            fields: compile::plain(&rules, |column, field| (field.to_owned(), column.to_owned())),
            lines: Vec::new(),
            options: held.options.clone(),
        };
        Ok(Home { sink: from.system.sink(spec)?, write, key: held.alternate_key.clone() })
    }
}

fn found(rows: Vec<Option<Row>>) -> Brought {
    rows.into_iter().next().flatten().map_or(Brought::Gone, Brought::Row)
}

/// The values of these columns in what was sent; a dot leads into an object. *Errors*: what is not there.
fn sent(row: &Json, columns: &[String]) -> Result<Vec<Value>, String> {
    let value = |column: &String| {
        let found = row.get(column).or_else(|| column.split('.').try_fold(row, |at, name| at.get(name)));
        found.map(json::value).ok_or_else(|| format!("`{column}`"))
    };
    columns.iter().map(value).collect()
}
