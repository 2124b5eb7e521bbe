//! Writing rows by alternate key.
//!
//! Each row is one `PATCH` by its key in a `$batch` that goes on after failures, so a chunk costs few requests and each
//! row still has an outcome of its own. Repeating a chunk whose answer was lost is safe: an upsert by key ends in the
//! same row. Rows that nobody knows yet are created many at a time ([`create`]).

mod create;
mod current;
mod send;

use std::sync::Arc;

use record::{
    Attempt, BoxFuture, Change, Code, Current, Effected, Fault, Key, KeyRules, Now, Op, Outcome, Reference, Sink,
    Value, WriteSpec, Written,
};

use crate::address;
use crate::body::{Body, missing, no_column};
use crate::client::Client;
use crate::currency::Currencies;
use crate::lines::{self, Document};
use crate::refusal::{DUPLICATE, DUPLICATE_KEY, WRITE};
use crate::rows::{self, Ids, Names};
use crate::table::{Kind, Table};
use odata::batch::Part;
use tokio::sync::OnceCell;

pub(crate) struct Rows {
    client: Client,
    spec: WriteSpec,
    ids: Ids,
    names: Names,
    many: create::Many,
    /// Asked for once an amount needs them.
    currencies: OnceCell<Option<Currencies>>,
}

impl Rows {
    pub fn new(client: Client, spec: WriteSpec) -> Rows {
        Rows {
            client,
            spec,
            ids: Ids::default(),
            names: Names::default(),
            many: create::Many::default(),
            currencies: OnceCell::new(),
        }
    }

    /// For each change the fault of an amount that the service would round.
    async fn too_fine(&self, table: &Table, changes: &[Change]) -> Result<Vec<Option<Fault>>, Fault> {
        let by_currency =
            |name: &String| table.column(name).is_some_and(|column| matches!(column.kind, Kind::Money { scale: None }));
        if !self.spec.columns.iter().any(by_currency) {
            return Ok(vec![None; changes.len()]);
        }
        match self.currencies.get_or_try_init(|| Currencies::fetch(&self.client)).await? {
            Some(known) => known.too_fine(&self.client, &self.ids, table, &self.spec.key, changes).await,
            None => Ok(vec![None; changes.len()]),
        }
    }

    /// The changes that are refused before anything of them is sent: an amount with too many digits, and a document whose
    /// lines cannot be told apart.
    async fn not_fitting(&self, table: &Table, changes: &[Change]) -> Result<Vec<Option<Fault>>, Fault> {
        let mut faults = self.too_fine(table, changes).await?;
        for spec in &self.spec.lines {
            for (fault, change) in faults.iter_mut().zip(changes).filter(|(fault, _)| fault.is_none()) {
                let Some(Value::Rows(rows)) = change.columns.get(&spec.table) else { continue };
                let table = self.client.table(&spec.table, WRITE).await?;
                let key = table.column(&spec.key).ok_or_else(|| no_column(&table, &spec.key))?;
                *fault = lines::keys(spec, key, rows).err();
            }
        }
        Ok(faults)
    }
}

impl Sink for Rows {
    fn apply<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        Box::pin(self.write(changes))
    }

    fn current<'a>(
        &'a self,
        keys: &'a [Key],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Current>>, Fault>> {
        Box::pin(self.read(keys, columns))
    }

    fn find<'a>(
        &'a self,
        by: &'a [String],
        values: &'a [Vec<Value>],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Vec<Current>>, Fault>> {
        Box::pin(self.search(by, values, columns))
    }

    fn by_id<'a>(
        &'a self,
        ids: &'a [Arc<str>],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Current>>, Fault>> {
        Box::pin(self.of_ids(ids, columns))
    }

    fn missing<'a>(&'a self, references: &'a [&'a Reference]) -> BoxFuture<'a, Result<Vec<bool>, Fault>> {
        Box::pin(rows::missing(&self.client, references, WRITE))
    }

    fn unfit<'a>(
        &'a self,
        changes: &'a [Change],
        _new: &'a [bool],
    ) -> BoxFuture<'a, Result<Vec<Option<Fault>>, Fault>> {
        Box::pin(async move {
            let table = self.table().await?;
            self.not_fitting(&table, changes).await
        })
    }

    fn rows_per_chunk(&self) -> usize {
        self.client.config().rows_per_batch * self.client.at_once()
    }

    fn rows_per_create(&self) -> usize {
        if self.many.is_worth_it() { self.client.config().rows_per_create * self.client.at_once() } else { 0 }
    }

    fn create<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Attempt>, Fault>> {
        Box::pin(self.create_many(changes))
    }

    fn key_rules(&self) -> KeyRules {
        self.client.key_rules()
    }
}

/// One row on its way: what is sent, in this order.
struct Sending {
    /// The change's place in the chunk.
    at: usize,
    parts: Vec<Part>,
}

/// How a row is addressed.
enum Aim {
    /// By its key, whether it is there or not.
    Key(String),
    /// By the id that was found for a key that no URL can hold.
    Id(String),
    /// It is not there, and its key cannot be in a URL: it is created with its key in the body.
    New,
}

impl Rows {
    async fn write(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let table = self.table().await?;
        self.check_key(&table)?;
        let references: Vec<&Reference> = changes
            .iter()
            .flat_map(|change| change.columns.values())
            .filter_map(|value| if let Value::Reference(reference) = value { Some(&**reference) } else { None })
            .collect();
        self.ids.learn(&self.client, &references, false, WRITE).await?;

        let mut outcomes: Vec<Option<Outcome>> = changes.iter().map(|_| None).collect();
        let mut todo: Vec<usize> = (0..changes.len()).collect();
        let keys = self.keys(changes.iter().map(|change| &change.key)).await?;
        for (at, change) in changes.iter().enumerate().filter(|(_, change)| change.op == Op::Delete) {
            // What a key points to is gone, and the row with it.
            if keys[at].is_err() && change.remote_id.is_none() {
                outcomes[at] = Some(Ok(written(Effected::Unchanged)));
                todo.retain(|left| *left != at);
            }
        }
        for (at, fault) in self.not_fitting(&table, changes).await?.into_iter().enumerate() {
            if let Some(fault) = fault {
                outcomes[at] = Some(Err(self.placed(fault, &changes[at])));
                todo.retain(|left| *left != at);
            }
        }
        // A row that somebody else created between our look and our write is tried once more, as an update.
        for attempt in 0..2 {
            let aims = self.aim(&table, changes, &keys, &todo).await?;
            let mut sending = Vec::new();
            for (at, aim) in todo.drain(..).zip(aims) {
                match aim.and_then(|aim| self.prepare(&table, &changes[at], at, aim)) {
                    Ok(Prepared::Send(one)) => sending.push(one),
                    Ok(Prepared::Done(effect)) => {
                        let remote_id = changes[at].remote_id.clone();
                        outcomes[at] = Some(Ok(Written { remote_id, ..written(effect) }));
                    }
                    Err(fault) => outcomes[at] = Some(Err(self.placed(fault, &changes[at]))),
                }
            }
            for (at, outcome) in self.send(&table, changes, sending).await? {
                let raced = matches!(&outcome, Err(fault) if attempt == 0 && is_duplicate(fault));
                if raced {
                    todo.push(at);
                } else {
                    outcomes[at] = Some(outcome.map_err(|fault| self.placed(fault, &changes[at])));
                }
            }
            if todo.is_empty() {
                break;
            }
        }
        let mut outcomes: Vec<Outcome> =
            outcomes.into_iter().map(|outcome| outcome.expect("each change was answered or sent again")).collect();
        self.write_lines(changes, &mut outcomes).await?;
        self.close(&table, changes, &mut outcomes).await?;
        if outcomes.iter().any(|o| matches!(o, Err(fault) if fault.code.0 == WRITE.no_column)) {
            self.client.forget_tables();
        }
        Ok(outcomes)
    }

    async fn table(&self) -> Result<Arc<Table>, Fault> {
        self.client.table(&self.spec.table, WRITE).await
    }

    fn check_key(&self, table: &Table) -> Result<(), Fault> {
        if table.active_key(&self.spec.key) {
            return Ok(());
        }
        self.client.forget_tables();
        let key = self.spec.key.join(", ");
        let building = table.keys.iter().any(|known| !known.active && known.columns == self.spec.key);
        let what = if building {
            format!("the alternate key ({key}) of `{}` is not active", table.name)
        } else {
            format!("`{}` has no alternate key ({key})", table.name)
        };
        Err(Fault::ask_person(Code("IB0506"), what).at_system(self.client.system()).at_table(&table.name).fix(
            if building {
                format!(
                    "wait until the key is built; where it failed, remove rows with the same values, then: ironbridge dataverse keys {}",
                    self.client.system()
                )
            } else {
                format!("make the key over {key}: ironbridge dataverse keys {}", self.client.system())
            },
        ))
    }

    /// The values of each key as the service compares them: a lookup by the id of its row.
    ///
    /// *Errors*: of one key, that a row which it points to is not there.
    async fn keys<'a>(&self, keys: impl Iterator<Item = &'a Key>) -> Result<Vec<Result<Vec<Value>, Fault>>, Fault> {
        let parts: Vec<Vec<Value>> = keys.map(Key::parts).collect();
        let references: Vec<&Reference> = parts
            .iter()
            .flatten()
            .filter_map(|part| if let Value::Reference(reference) = part { Some(&**reference) } else { None })
            .collect();
        if references.is_empty() {
            return Ok(parts.into_iter().map(Ok).collect());
        }
        self.ids.learn(&self.client, &references, true, WRITE).await?;
        let id = |(name, part): (&String, Value)| match part {
            Value::Reference(reference) => {
                let far = self.client.known_table(&reference.of);
                let id = far.ok_or_else(|| format!("`{}` is not known", reference.of));
                id.and_then(|far| self.ids.id(&far, &reference)).map(Value::Guid).map_err(|why| missing(name, why))
            }
            other => Ok(other),
        };
        Ok(parts.into_iter().map(|parts| self.spec.key.iter().zip(parts).map(id).collect()).collect())
    }

    /// How each of these changes is addressed. Asks the service only about keys that no URL can hold.
    async fn aim(
        &self,
        table: &Table,
        changes: &[Change],
        keys: &[Result<Vec<Value>, Fault>],
        todo: &[usize],
    ) -> Result<Vec<Result<Aim, Fault>>, Fault> {
        let address_of = |at: usize| match (changes[at].op, &changes[at].remote_id, &keys[at]) {
            (Op::Adopt, Some(id), _) => Some(address::by_id(table, id)),
            (_, _, Ok(key)) => address::by_key(table, &self.spec.key, key),
            (Op::Delete, Some(id), Err(_)) => Some(address::by_id(table, id)),
            (_, _, Err(_)) => None,
        };
        let by_key: Vec<Option<String>> = todo.iter().map(|&at| address_of(at)).collect();
        let hidden: Vec<Vec<Value>> = todo
            .iter()
            .zip(&by_key)
            .filter(|(_, aim)| aim.is_none())
            .filter_map(|(&at, _)| keys[at].as_ref().ok().cloned())
            .collect();
        let mut found = if hidden.is_empty() {
            Vec::new()
        } else {
            rows::by_key(&self.client, table, &self.spec.key, &hidden, &[], WRITE).await?
        }
        .into_iter();
        let mut aims = Vec::with_capacity(todo.len());
        for (&at, aim) in todo.iter().zip(by_key) {
            aims.push(match aim {
                Some(url) => Ok(Aim::Key(url)),
                None if keys[at].is_err() => keys[at].clone().map(|_| Aim::New),
                None if keys[at].as_ref().is_ok_and(|key| address::filter(table, &self.spec.key, key).is_none()) => {
                    found.next();
                    Err(Fault::reject(Code("IB0512"), "the key does not fit the type of its column")
                        .fix("correct the key at its source"))
                }
                None => match found.next().unwrap_or_default().as_slice() {
                    [] => Ok(Aim::New),
                    [row] => Ok(Aim::Id(row.id(table).map(|id| id.to_string()).unwrap_or_default())),
                    several => Err(Fault::reject(Code("IB0506"), format!("{} rows have this key", several.len()))
                        .fix("remove the double rows; an active alternate key keeps new ones out")),
                },
            });
        }
        Ok(aims)
    }

    fn body(&self) -> Body<'_> {
        Body { client: &self.client, ids: &self.ids, zone: self.spec.time_zone.as_ref() }
    }

    fn is_lines(&self, column: &str) -> bool {
        self.spec.lines.iter().any(|lines| lines.table == column)
    }

    /// A document that is closed takes no lines any more, so it is closed once they are written.
    fn closes_after_lines(&self, change: &Change) -> bool {
        let closes = |value: &Value| !value.is_blank() && value.to_string() != "0";
        change.op != Op::Delete
            && change.columns.get("statecode").is_some_and(closes)
            && change.columns.iter().any(|(name, _)| self.is_lines(name))
    }

    /// The lines of the rows that were written.
    ///
    /// *Errors*: of the service as a whole. What is wrong with a line is the fault of its document.
    async fn write_lines(&self, changes: &[Change], outcomes: &mut [Outcome]) -> Result<(), Fault> {
        for spec in &self.spec.lines {
            let mut documents = Vec::new();
            for (at, (change, outcome)) in changes.iter().zip(outcomes.iter()).enumerate() {
                let Ok(written) = outcome else { continue };
                let id = written.remote_id.as_ref().or(change.remote_id.as_ref());
                if let (Some(id), Some(Value::Rows(rows))) = (id, change.columns.get(&spec.table)) {
                    documents.push(Document { at, id: id.clone(), rows });
                }
            }
            if documents.is_empty() {
                continue;
            }
            for (document, result) in documents.iter().zip(lines::write(&self.body(), spec, &documents).await?) {
                match (result, &mut outcomes[document.at]) {
                    (Ok(true), Ok(written)) if written.effect == Effected::Unchanged => {
                        written.effect = Effected::Updated;
                    }
                    (Ok(_), _) => {}
                    (Err(fault), outcome) => *outcome = Err(self.placed(fault, &changes[document.at])),
                }
            }
        }
        Ok(())
    }

    /// Closes the documents whose lines are written.
    async fn close(&self, table: &Table, changes: &[Change], outcomes: &mut [Outcome]) -> Result<(), Fault> {
        let mut sending = Vec::new();
        for (at, change) in changes.iter().enumerate().filter(|(_, change)| self.closes_after_lines(change)) {
            let Ok(Written { remote_id: Some(id), .. }) = &outcomes[at] else { continue };
            let state: Result<Vec<String>, Fault> = change
                .columns
                .iter()
                .filter(|(name, _)| is_state(name))
                .map(|(name, value)| self.body().member(table, name, value))
                .collect();
            let url = format!("{}?$select={}", address::by_id(table, id), table.primary_id);
            sending.push(Sending { at, parts: vec![state_part(&url, &state?)] });
        }
        if sending.is_empty() {
            return Ok(());
        }
        for (at, outcome) in self.send(table, changes, sending).await? {
            match (outcome, &mut outcomes[at]) {
                (Ok(_), Ok(written)) if written.effect == Effected::Unchanged => written.effect = Effected::Updated,
                (Ok(_), _) => {}
                (Err(fault), before) => *before = Err(self.placed(fault, &changes[at])),
            }
        }
        Ok(())
    }

    fn prepare(&self, table: &Table, change: &Change, at: usize, aim: Aim) -> Result<Prepared, Fault> {
        let if_match = |otherwise: &str| {
            let version = change.if_version.as_deref().unwrap_or(otherwise);
            if version.is_empty() { Vec::new() } else { vec![("If-Match", version.to_owned())] }
        };
        if change.op == Op::Delete {
            let url = match aim {
                Aim::Key(url) => url,
                Aim::Id(id) => address::by_id(table, &id),
                Aim::New => return Ok(Prepared::Done(Effected::Unchanged)),
            };
            return Ok(Prepared::Send(Sending {
                at,
                parts: vec![Part { method: "DELETE", url, headers: if_match(""), body: None }],
            }));
        }
        let body = self.body();
        let (mut first, mut state): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        let of_state = change.columns.get("statecode").filter(|value| !value.is_blank()).map(Value::to_string);
        let apart = match of_state.as_deref() {
            // A row that is not active takes no other change: it is opened first, and closed last.
            Some("0") => change.remote_id.is_some(),
            Some(_) => true,
            None => false,
        };
        let opens = of_state.as_deref() == Some("0");
        for (name, value) in change.columns.iter() {
            // The address has the key; in the body of an update it would be dropped, and in a bulk create refused.
            if self.spec.key.iter().any(|key| key == name) || self.is_lines(name) {
                continue;
            }
            let member = body.member(table, name, value)?;
            if apart && is_state(name) { state.push(member) } else { first.push(member) }
        }
        if change.op == Op::Adopt {
            for (name, value) in self.spec.key.iter().zip(change.key.parts()) {
                first.push(body.member(table, name, &value)?);
            }
        }
        let (method, url, mut headers) = match aim {
            Aim::Key(url) => ("PATCH", url, if_match(if change.op == Op::Upsert { "" } else { "*" })),
            Aim::Id(id) => ("PATCH", address::by_id(table, &id), if_match("*")),
            Aim::New if change.op == Op::Update => return Err(record::gone_meanwhile()),
            Aim::New => {
                for (name, value) in self.spec.key.iter().zip(change.key.parts()) {
                    first.push(body.member(table, name, &value)?);
                }
                ("POST", table.set.clone(), Vec::new())
            }
        };
        if self.closes_after_lines(change) {
            state.clear();
        }
        // Of a row that is known to be there, nothing is sent where nothing is to be said.
        let known = change.remote_id.is_some() && method == "PATCH";
        headers.push(("Prefer", "return=representation".to_owned()));
        let select = format!("?$select={}", table.primary_id);
        let mut parts = Vec::new();
        if !first.is_empty() || !known {
            if method == "POST" {
                first.append(&mut state);
            }
            let body = Some(format!("{{{}}}", first.join(",")));
            parts.push(Part { method, url: format!("{url}{select}"), headers, body });
        }
        if !state.is_empty() {
            let part = state_part(&format!("{url}{select}"), &state);
            parts.insert(if opens { 0 } else { parts.len() }, part);
        }
        if parts.is_empty() {
            return Ok(Prepared::Done(Effected::Unchanged));
        }
        Ok(Prepared::Send(Sending { at, parts }))
    }

    fn placed(&self, mut fault: Fault, change: &Change) -> Fault {
        if fault.place.key.is_none() {
            fault = fault.at_key(change.key.to_string());
        }
        fault.at_system(self.client.system()).at_table(&self.spec.table)
    }
}

fn is_state(column: &str) -> bool {
    column == "statecode" || column == "statuscode"
}

fn state_part(url: &str, members: &[String]) -> Part {
    Part {
        method: "PATCH",
        url: url.to_owned(),
        headers: vec![("If-Match", "*".to_owned()), ("Prefer", "return=representation".to_owned())],
        body: Some(format!("{{{}}}", members.join(","))),
    }
}

enum Prepared {
    Send(Sending),
    Done(Effected),
}

fn written(effect: Effected) -> Written {
    Written { effect, remote_id: None, version: None, returned: None }
}

fn is_duplicate(fault: &Fault) -> bool {
    let code = fault.why.as_ref().and_then(|why| why.code.as_deref());
    fault.now == Now::Reject && matches!(code, Some(DUPLICATE | DUPLICATE_KEY))
}
