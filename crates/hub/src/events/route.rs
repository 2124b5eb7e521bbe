//! The compiled path of the events of one integration to one destination.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use definition::{Event, Integration, Pattern, Payload, Project};
use jiff::tz::TimeZone;
use mapping::{Condition, Explained, Wanted, content};
use record::hash::RowHasher;
use record::{
    Batch, Column, Fault, Happened, Key, KeyHasher, ReadSpec, RetryPolicy, Row, Schema, Signal, Source, System, Type,
    Value,
};
use serde_json::{Value as Json, json};
use store::Store;
use store::queue::Message;

use super::home::Home;
use super::letters::{self, OfRow};
use super::order::{self, Ordered};
use super::remove;
use crate::codes;
use crate::compile::{self, Compiled, Side, Systems};
use crate::gone::Gone;
use crate::json;
use crate::lines;
use crate::pair::Pair;

/// What an event brings: a row to be asked for, or the row itself.
pub(crate) enum Brought {
    /// A row, and the columns that nobody said anything about.
    Row(Row, Vec<String>),
    /// The source has it no longer, and that is what the event is about: its key, where it can be told.
    Deleted(Option<Key>),
    /// That, and a row that the source has under its key by now: another one.
    Again(Row, Key),
    /// The trigger does not want it.
    LeftOut,
    /// The source has it no longer.
    Gone,
}

/// How a source says what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changes {
    /// By a column that grows: `watermark:`.
    Watermark,
    /// By change tracking of its own.
    Tracked,
    /// Not at all, or only that something did: it is read as a whole each time.
    Whole,
}

/// A row on its way through the mappings.
pub(crate) struct Mapped {
    pub key: Key,
    pub record: Row,
    pub wanted: Wanted,
    /// Of all of it; nothing where only a part is known.
    pub content_hash: Option<u128>,
}

/// How a message of the hub's own names a row.
pub(crate) struct Named {
    /// Its key in the source.
    pub key: Key,
    /// The same for people, and for what looks through waiting messages.
    pub body: Json,
    /// What events of the row share.
    pub session: String,
}

pub(crate) enum Read {
    Mapped(Box<Mapped>),
    LeftOut {
        key: Option<Key>,
        /// Why nothing is to be done about it.
        why: &'static str,
    },
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
    /// By what signals name the environment that they come from, where what they say is written.
    environment: Option<String>,
    table: String,
    /// The column of the id that signals carry, and what reads rows by it. `None` where the table has no primary key of
    /// one column.
    by_id: Option<(String, Arc<dyn Source>)>,
    /// The columns of the entity's key in the source.
    key: Vec<String>,
    /// How the source says what changed.
    pub changes: Changes,
    pub home: Option<Home>,
    ordered_by: Ordered,
    /// Where in the entity the field is that orders versions, where what is sent is written.
    version: Option<usize>,
    /// The integrations that deliver deletions of the same rows, this one among them.
    deleting: Vec<String>,
    /// Rows that are being written.
    writing: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>,
}

/// Everything about an event besides its body.
pub(crate) struct Told<'a> {
    /// The id of the message.
    pub message: &'a str,
    pub body: &'a [u8],
    /// It is sent by the hub, and only names a row.
    pub by_hub: bool,
    /// The row's key in the source, where the hub sent it.
    pub row: Option<&'a Key>,
    /// The key under which the row was delivered before it got another one, where that is what the hub sent it for.
    pub was: Option<&'a Key>,
    /// The row is asked for, whatever the event says of it.
    pub now: bool,
    /// It was delivered before, without an end: nobody knows what the destination took of it.
    pub again: bool,
    /// The key under which a row was delivered, by its id in the source.
    pub keys: &'a (dyn Fn(&Value) -> Option<Key> + Send + Sync),
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
            (
                event.trigger.deleted && from.system.decode(b"").is_none(),
                "`rows: [deleted]` of a system whose events carry the row,",
            ),
            (
                event.trigger.deleted && !pair.write.is_keyed_by_key(),
                "`rows: [deleted]` where the destination's key is made of more than the entity's key,",
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
        let asked = event.payload == Payload::Fetch || from.defined.webhooks.is_none();
        if asked && by_id.is_none() && reads.key.is_empty() {
            let (from, table) = (&from.defined.name, &reads.table);
            let what = format!(
                "no row of `{table}` in `{from}` can be asked for: its key is made by a formula, and it has no primary key"
            );
            return Err(Fault::ask_person(codes::MAPPING_DOES_NOT_FIT, what).at_system(from).at_table(table).fix(
                "read the key from a column as it is, such as `number: code`; a formula may correct it in a `query:`",
            ));
        }
        let home = Home::compile(project, &from, &to, event, &pair.entity, &retry).await?;
        let signals = from.system.decode(b"").is_some();
        let environment = match event.payload {
            Payload::Fetch => None,
            Payload::AsSent => from.system.environment().await?,
        };
        let ordered_by = Ordered::of(event, &pair.entity, from.held(&event.entity), signals);
        let version = pair.entity.version.as_ref().filter(|_| event.payload == Payload::AsSent);
        let version = version.and_then(|version| pair.entity.schema.index(version));
        let deletes = |other: &&Integration| match &other.pattern {
            Pattern::Event(one) => one.trigger.deleted && (&one.from, &one.entity) == (&event.from, &event.entity),
            _ => false,
        };
        let deleting = project.integrations.iter().filter(deletes).map(|other| other.name.clone()).collect();
        Ok(Route {
            home,
            deleting,
            ordered_by,
            version,
            pair,
            event: event.clone(),
            condition,
            from: from.system,
            environment,
            table: reads.table,
            by_id,
            key: reads.key,
            changes: match reads.watermark {
                Some(_) => Changes::Watermark,
                None if signals => Changes::Tracked,
                None => Changes::Whole,
            },
            writing: Mutex::default(),
        })
    }

    /// Changes when what is written changes, there or at home.
    pub fn fingerprint(&self) -> u64 {
        self.pair.fingerprint() ^ self.home.as_ref().map_or(0, |home| home.fingerprint().rotate_left(16))
    }

    /// Waits until nobody else writes the row: two sessions have the same one where one row of the source is deleted, and
    /// another has its key.
    pub async fn alone(&self, key: &Key) -> tokio::sync::OwnedMutexGuard<()> {
        let row = {
            let mut writing = self.writing.lock().expect("nothing panics while it looks here");
            writing.retain(|_, row| Arc::strong_count(row) > 1);
            writing.entry(key.clone()).or_default().clone()
        };
        row.lock_owned().await
    }

    /// The row that an event is about, as it is now (`payload: fetch`) or as it came.
    pub async fn row(&self, told: &Told<'_>) -> Result<Brought, Fault> {
        let mut brought = self.brought(told).await?;
        if let Brought::Row(row, absent) = brought {
            let row = self.with_lines(row).await?;
            if !lines::lack(&self.pair, &row) {
                return Ok(Brought::Row(row, absent));
            }
            brought = match self.brought(&Told { now: true, ..*told }).await? {
                Brought::Row(..) => return Ok(Brought::Row(row, absent)),
                other => other,
            };
        }
        let Brought::Deleted(Some(key)) = brought else { return Ok(brought) };
        let again = match remove::there_again(&self.pair, &key).await? {
            Some(row) => Some(self.with_lines(row).await?),
            None => None,
        };
        let is_gone = again.as_ref().is_some_and(|row| lines::lack(&self.pair, row))
            && remove::there_again(&self.pair, &key).await?.is_none();
        Ok(match again.filter(|_| !is_gone) {
            Some(row) => Brought::Again(row, key),
            None => Brought::Deleted(Some(key)),
        })
    }

    /// A row of the source with its lines, as they are now.
    pub async fn with_lines(&self, row: Row) -> Result<Row, Fault> {
        lines::of_row(&self.pair, row).await
    }

    /// Whether the source can be asked for the row that an event names.
    pub fn can_ask(&self, told: &Told<'_>) -> bool {
        !told.now && !told.by_hub && self.by_id.is_some() && self.from.decode(told.body).is_some()
    }

    /// Whether what a message delivers is the row as it is by then, whatever the message says of it. `again`: it is the
    /// retry of a dead letter.
    pub fn reads_now(&self, message: &Message, again: bool) -> bool {
        let by_hub = message.op.as_deref() == Some(letters::SWEEP);
        self.event.payload == Payload::Fetch || by_hub || again && self.from.decode(&message.body).is_some()
    }

    async fn brought(&self, told: &Told<'_>) -> Result<Brought, Fault> {
        if !told.by_hub
            && let Some(signal) = self.from.decode(told.body)
        {
            return self.signalled(&signal?, told).await;
        }
        let event: Json =
            serde_json::from_slice(told.body).map_err(|why| self.unreadable(&format!("it is not JSON: {why}")))?;
        if told.by_hub && self.by_id.is_some() {
            let id = told.row.and_then(|row| row.parts().into_iter().next());
            // An earlier version named a row by its text alone.
            let id = id.unwrap_or_else(|| match json::value(&event["id"]) {
                Value::Text(text) => text.parse().map_or(Value::Text(text), Value::Guid),
                other => other,
            });
            return match self.fetch(&id).await? {
                // What was never delivered is not missed.
                Brought::Gone if event[letters::DELETED] == true => {
                    Ok((told.keys)(&id).map_or(Brought::Gone, |key| Brought::Deleted(Some(key))))
                }
                brought => Ok(match told.was {
                    Some(was) => self.left_under(was, brought),
                    None => brought,
                }),
            };
        }
        let row = row_in(&event);
        if !row.is_object() {
            return Err(self.unreadable("it is not a JSON object with the row's columns"));
        }
        if self.event.payload == Payload::Fetch || told.by_hub {
            let key = told.row.map_or_else(|| self.key_said(row), |row| Ok(row.clone()))?;
            return Ok(found(self.pair.source.get(&[key]).await.map_err(|fault| self.pair.read.hide(fault))?));
        }
        let columns = self.pair.read.columns();
        let said: Vec<Option<Value>> = columns.iter().map(|column| at(row, column).map(json::value)).collect();
        let absent = absent(columns, &said);
        if self.lacks(&absent) {
            return self.asked_for(row, &absent).await;
        }
        let schema = Schema::of(columns.iter().map(|name| (name.as_str(), Type::Unknown)));
        let mut row_of_event = Row::new(schema, said.into_iter().map(Option::unwrap_or_default).collect());
        for children in self.pair.read.children().iter().filter(|children| children.parent.is_none()) {
            let of = &children.of;
            let lines = match at(row, of) {
                Some(Json::Array(lines)) => lines.as_slice(),
                Some(Json::Null) => &[],
                // Not that the document has none: half a document is worse than one that waits for somebody.
                Some(_) => return Err(self.unreadable(&format!("its `{of}` is no list of lines"))),
                None => return Err(self.unreadable(&format!("it has no `{of}`, where the mapping reads its lines"))),
            };
            let schema = Schema::of(children.columns().iter().map(|name| (name.as_str(), Type::Unknown)));
            let line = |line: &Json| sent(line, children.columns()).map(|values| Row::new(schema.clone(), values));
            let lines: Result<Vec<Row>, String> = lines.iter().map(line).collect();
            let lines = lines.map_err(|missing| {
                self.unreadable(&format!("a line of `{of}` has no {missing}, which the mapping reads"))
            })?;
            let column = Column { name: children.of.as_str().into(), ty: Type::Unknown };
            row_of_event = row_of_event.with(column, Value::Rows(lines));
        }
        Ok(Brought::Row(row_of_event, absent))
    }

    /// The key in the source that plain JSON says.
    fn key_said(&self, row: &Json) -> Result<Key, Fault> {
        let key = sent(row, &self.key).map_err(|missing| self.unreadable(&format!("it has no {missing}")))?;
        Key::of(key.iter()).map_err(|why| self.unreadable(&format!("its key cannot be used: {why}")))
    }

    /// The row that plain JSON does not say enough of. Where the source cannot be asked for it, the sender has to say more.
    async fn asked_for(&self, row: &Json, absent: &[String]) -> Result<Brought, Fault> {
        let lacks = || format!("it has no `{}`, which the mapping reads", absent.join("`, `"));
        if sent(row, &self.key).is_err() || self.key.is_empty() {
            return Err(self.unreadable(&lacks()));
        }
        match self.pair.source.get(&[self.key_said(row)?]).await {
            Err(fault) if fault.code == codes::NO_REQUEST => {
                Err(self.unreadable(&format!("{}, and {}", lacks(), fault.what)))
            }
            rows => Ok(found(rows.map_err(|fault| self.pair.read.hide(fault))?)),
        }
    }

    /// Whether a row cannot be delivered without what is absent of it: the key and `where:` need it, or `if:`, or the
    /// version by which late events are told, or a destination that replaces rows and would blank it.
    fn lacks(&self, absent: &[String]) -> bool {
        let needed = self.pair.read.needed();
        let unknown = self.pair.read.unknown(absent);
        absent.iter().any(|column| needed.contains(&column.as_str()))
            || self.condition.as_ref().is_some_and(|condition| condition.reads_any(&unknown))
            || self.version.is_some_and(|at| unknown.contains(&&*self.pair.entity.fields[at].name))
            || !absent.is_empty() && self.pair.sink.replaces()
    }

    /// What a row that had this key has left there, where it has another one by now.
    fn left_under(&self, was: &Key, brought: Brought) -> Brought {
        let (mut hasher, rules) = (KeyHasher::default(), self.pair.sink.key_rules());
        match &brought {
            Brought::Row(row, _) => match self.key_of(row) {
                Some(now) if now == *was => brought,
                // The destination takes the two for one.
                Some(now) if hasher.hash(&now, rules) == hasher.hash(was, rules) => Brought::LeftOut,
                _ => Brought::Deleted(Some(was.clone())),
            },
            _ => Brought::Deleted(Some(was.clone())),
        }
    }

    async fn signalled(&self, signal: &Signal, told: &Told<'_>) -> Result<Brought, Fault> {
        if !signal.table.eq_ignore_ascii_case(&self.table) {
            let what = format!("it is about `{}`, and the integration reads `{}`", signal.table, self.table);
            return Err(self.unreadable(&what));
        }
        if !self.wants(signal) {
            return Ok(Brought::LeftOut);
        }
        if signal.happened == Happened::Deleted {
            return match self.fetch(&signal.id).await? {
                Brought::Gone => Ok(Brought::Deleted(self.key_in(signal).or_else(|| (told.keys)(&signal.id)))),
                // It is there again.
                brought => Ok(brought),
            };
        }
        if told.now || self.fetches(signal) {
            return self.fetch(&signal.id).await;
        }
        self.as_sent(signal).await
    }

    /// Whether a signal only names its row. What another environment says of it, such as a copy of this one that has kept
    /// its webhooks, is not so here.
    pub fn fetches(&self, signal: &Signal) -> bool {
        let elsewhere = signal
            .environment
            .as_ref()
            .zip(self.environment.as_ref())
            .is_some_and(|(of, here)| !of.eq_ignore_ascii_case(here));
        self.event.payload == Payload::Fetch || elsewhere || signal.values.is_empty()
    }

    /// Whether the trigger wants what a signal tells of.
    pub fn wants(&self, signal: &Signal) -> bool {
        let trigger = &self.event.trigger;
        match signal.happened {
            Happened::Created => trigger.created,
            Happened::Updated => {
                let touched = |columns: &Vec<String>| trigger.columns.iter().any(|column| columns.contains(column));
                trigger.updated && (trigger.columns.is_empty() || signal.columns.as_ref().is_none_or(touched))
            }
            Happened::Deleted => trigger.deleted,
        }
    }

    /// What a signal of the source's own tells; nothing where the source sends rows.
    pub fn signal(&self, body: &[u8]) -> Option<Result<Signal, Fault>> {
        self.from.decode(body)
    }

    pub fn payload(&self) -> Payload {
        self.event.payload
    }

    /// Whether rows that are deleted in the source are deleted in the destination.
    pub fn delivers_deletions(&self) -> bool {
        self.event.trigger.deleted
    }

    /// A row as the event tells it. What every row must have, and the event does not carry, is asked for.
    async fn as_sent(&self, signal: &Signal) -> Result<Brought, Fault> {
        let columns = self.pair.read.columns();
        let is_id = |column: &str| self.by_id.as_ref().is_some_and(|(id, _)| id == column);
        let said = |column: &String| self.said(signal, column).or_else(|| is_id(column).then(|| signal.id.clone()));
        let mut found: Vec<Option<Value>> = columns.iter().map(said).collect();
        let needed = self.pair.read.needed();
        let lacks = |(column, value): (&String, &Option<Value>)| value.is_none() && needed.contains(&column.as_str());
        if columns.iter().zip(&found).any(lacks) {
            let Brought::Row(row, _) = self.fetch(&signal.id).await? else { return Ok(Brought::Gone) };
            for (column, value) in columns.iter().zip(&mut found) {
                if needed.contains(&column.as_str()) {
                    *value = value.take().or_else(|| row.get(column).cloned());
                }
            }
        }
        let absent = absent(columns, &found);
        let mut named: Vec<Column> =
            columns.iter().map(|name| Column { name: name.as_str().into(), ty: Type::Unknown }).collect();
        let mut values: Vec<Value> = found.into_iter().map(Option::unwrap_or_default).collect();
        if let Some((id, _)) = self.by_id.as_ref().filter(|(id, _)| !columns.contains(id)) {
            named.push(Column { name: id.as_str().into(), ty: Type::Unknown });
            values.push(signal.id.clone());
        }
        if self.lacks(&absent) {
            return self.fetch(&signal.id).await;
        }
        Ok(Brought::Row(Row::new(Schema::new(named), values), absent))
    }

    /// What an event says of a column, as the column holds it.
    fn said(&self, signal: &Signal, column: &str) -> Option<Value> {
        let (_, value) = signal.values.iter().find(|(name, _)| name == column)?;
        Some(match (value, self.pair.read.type_of(column)) {
            (Value::Instant(at), Some(Type::Date)) => Value::Date(TimeZone::UTC.to_datetime(*at).date()),
            (Value::Instant(at), Some(Type::LocalDateTime)) => Value::LocalDateTime(TimeZone::UTC.to_datetime(*at)),
            (value, _) => value.clone(),
        })
    }

    /// The entity's key, from what an event says the row held.
    fn key_in(&self, signal: &Signal) -> Option<Key> {
        self.key_from(|column| self.said(signal, column))
    }

    /// The same, from what is known of its columns; nothing where one is not known that the key is made of.
    fn key_from(&self, known: impl Fn(&str) -> Option<Value>) -> Option<Key> {
        let read = &self.pair.read;
        let found: Vec<Option<Value>> = read.columns().iter().map(|column| known(column)).collect();
        let unknown = read.unknown(&absent(read.columns(), &found));
        if self.pair.entity.key.iter().any(|field| unknown.contains(&&**field)) {
            return None;
        }
        let named = read.columns().iter().map(|name| Column { name: name.as_str().into(), ty: Type::Unknown });
        let values = found.into_iter().map(Option::unwrap_or_default).collect();
        self.key_of(&Row::new(Schema::new(named.collect()), values))
    }

    /// The entity's key, as far as an event tells it whose row cannot be read.
    pub fn key_told(&self, told: &Told<'_>) -> Option<Key> {
        if told.was.is_some() {
            return told.was.cloned();
        }
        if !told.by_hub
            && let Some(signal) = self.from.decode(told.body)
        {
            let signal = signal.ok()?;
            return self.key_in(&signal).or_else(|| (told.keys)(&signal.id));
        }
        let event: Json = serde_json::from_slice(told.body).ok()?;
        let row = row_in(&event);
        self.key_from(|column| at(row, column).map(json::value))
    }

    async fn fetch(&self, id: &Value) -> Result<Brought, Fault> {
        let Some((_, source)) = &self.by_id else {
            return Err(self.unreadable("its table has no primary key to find the row by"));
        };
        let key = Key::of([id]).map_err(|why| self.unreadable(&format!("the row's id cannot be used: {why}")))?;
        Ok(found(source.get(&[key]).await.map_err(|fault| self.pair.read.hide(fault))?))
    }

    /// A row of the source as the destination should have it.
    ///
    /// *Errors*: the source lacks a column, so that no row can be read.
    pub fn map(&self, row: &Row, absent: &[String]) -> Result<Read, Fault> {
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
        let record = match pair.read.apply_part(row, &binding, absent) {
            Ok(mapping::Read::Row(record)) => record,
            Ok(mapping::Read::LeftOut) => {
                return Ok(Read::LeftOut { key: key.clone(), why: "not of this entity (`where:`)" });
            }
            Err(rejected) => return bad(rejected.faults),
        };
        if let Some(condition) = &self.condition {
            match condition.holds(&record) {
                Ok(true) => {}
                Ok(false) => {
                    return Ok(Read::LeftOut { key: key.clone(), why: "not what the trigger wants (`if:`)" });
                }
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
        let wanted = match absent.is_empty() {
            true => wanted,
            false => pair.write.without(wanted, &pair.read.unknown(absent)),
        };
        let content_hash = content::hash(&wanted.columns, pair.write.keeps(), &mut RowHasher::default());
        let content_hash = absent.is_empty().then_some(content_hash);
        let key = key.clone().expect("a row without a key has no record");
        Ok(Read::Mapped(Box::new(Mapped { key, record, wanted, content_hash })))
    }

    /// The entity's key of a row, as far as it can be read.
    pub fn key_of(&self, row: &Row) -> Option<Key> {
        let batch = Batch::from_rows(row.schema().clone(), [row]);
        self.pair.read.key(batch.row(0), &self.pair.read.bind(row.schema()).ok()?)
    }

    /// The version of a record, and its type, where a late, older event is not to be written.
    pub fn version<'r>(&self, record: &'r Row) -> Option<(&'r Value, &Type)> {
        let at = self.version?;
        Some((&record.values()[at], &self.pair.entity.fields[at].ty))
    }

    /// What a later deletion of the row needs, where deletions are delivered; and what takes away what was delivered under
    /// another key that the row had before.
    ///
    /// *Errors*: our own state cannot be read.
    pub fn remembers(&self, store: &Store, row: &Row, key: &Key) -> Result<Vec<store::Op>, store::Error> {
        let deletes = self.by_id.as_ref().filter(|_| self.event.trigger.deleted);
        let named = deletes.and_then(|(id, _)| Some((row.get(id)?, Key::of([row.get(id)?]).ok()?)));
        let Some((id, named)) = named else { return Ok(Vec::new()) };
        let (from, entity) = (&self.pair.from, &*self.pair.entity.name);
        let was = remove::remembered(store, from, entity, id)?;
        if was.as_ref() == Some(key) {
            return Ok(Vec::new());
        }
        let mut ops: Vec<store::Op> = remove::remember(from, entity, id, key).into_iter().collect();
        if let Some(was) = was.filter(|_| self.pair.source_by_key) {
            for integration in &self.deleting {
                let (body, session) = (json!({ "id": json::of(id) }), self.session_of_id(&id.to_string()));
                let was = Some(was.clone());
                ops.push(OfRow { integration, to: None, entity, named: &named, body, session, was }.send());
            }
        }
        Ok(ops)
    }

    /// What names a row in the source, where signals name rows.
    pub fn id_of(&self, row: &Row) -> Option<Key> {
        let (id, _) = self.by_id.as_ref()?;
        Key::of([row.get(id)?]).ok()
    }

    /// What changed in the source, with the id of each row where it has one.
    pub fn changed(&self) -> &dyn Source {
        self.by_id.as_ref().map_or(&*self.pair.source, |(_, source)| &**source)
    }

    /// What a message has to say so that this row is fetched.
    ///
    /// `None` for a row that nothing names.
    pub fn names(&self, row: &Row) -> Option<Named> {
        // An empty text is no more of a key than a blank.
        let key = |columns: &[String]| {
            let values: Option<Vec<&Value>> = columns.iter().map(|column| row.get(column)).collect();
            Key::of(values?).ok()
        };
        let text = |column: &String| row.get(column).filter(|value| Key::of([*value]).is_ok()).map(json::of);
        let id = self.by_id.as_ref().and_then(|(id, _)| Some((key(std::slice::from_ref(id))?, text(id)?)));
        let named = self.key.iter().map(|column| Some((column.clone(), text(column)?)));
        let named: Option<serde_json::Map<String, Json>> = named.collect();
        let named = named.filter(|named| !named.is_empty());
        let signals = self.from.decode(b"").is_some();
        let entity = &self.pair.entity.name;
        let session = match (&id, &named) {
            (Some((_, id)), _) if signals => format!("{}|{}", self.table, id.as_str().unwrap_or_default()),
            (_, Some(named)) if !signals => order::session(entity, &named.values().collect::<Vec<_>>()),
            _ => return None,
        };
        let session = match &self.ordered_by {
            Ordered::ByRow => session,
            Ordered::All => entity.to_string(),
            Ordered::By(column) => text(column).map_or_else(|| entity.to_string(), |by| order::session(entity, &[&by])),
        };
        let (key, body) = match id {
            Some((key, id)) => (key, json!({ "id": id })),
            None => (key(&self.key)?, Json::Object(named?)),
        };
        Some(Named { key, body, session })
    }

    /// Whether rows can be named at all.
    pub fn can_name(&self) -> bool {
        self.by_id.is_some() || !self.key.is_empty()
    }

    /// Whether events of several rows are in one session.
    pub fn shares_sessions(&self) -> bool {
        self.ordered_by != Ordered::ByRow
    }

    /// The session of events of the row with this id, where events name rows by ids.
    pub fn session_of_id(&self, id: &str) -> String {
        match &self.ordered_by {
            Ordered::ByRow => format!("{}|{id}", self.table),
            Ordered::By(_) | Ordered::All => self.pair.entity.name.to_string(),
        }
    }

    fn unreadable(&self, why: &str) -> Fault {
        Fault::reject(codes::EVENT_UNREADABLE, format!("the event from `{}` cannot be used: {why}", self.pair.from))
            .at_system(&self.pair.from)
            .fix("have the sender send what is needed, or correct the mapping; the dead letter keeps what was sent")
    }
}

fn found(rows: Vec<Option<Row>>) -> Brought {
    rows.into_iter().next().flatten().map_or(Brought::Gone, |row| Brought::Row(row, Vec::new()))
}

/// The columns of which nothing is known.
fn absent(columns: &[String], known: &[Option<Value>]) -> Vec<String> {
    let absent = columns.iter().zip(known).filter(|(_, value)| value.is_none());
    absent.map(|(column, _)| column.clone()).collect()
}

/// The values of these columns in what was sent; a dot leads into an object. *Errors*: what is not there.
fn sent(row: &Json, columns: &[String]) -> Result<Vec<Value>, String> {
    columns.iter().map(|column| at(row, column).map(json::value).ok_or_else(|| format!("`{column}`"))).collect()
}

/// The row that an event carries: a CloudEvent has it in `data`, and any other is one.
pub fn row_in(event: &Json) -> &Json {
    if event["specversion"].is_string() { &event["data"] } else { event }
}

/// What stands at a path: under that very name, or where its dots lead.
pub fn at<'j>(row: &'j Json, path: &str) -> Option<&'j Json> {
    row.get(path).or_else(|| path.split('.').try_fold(row, |at, name| at.get(name)))
}
