//! Writing files, of every format that is read: one that has every row, or a new one for each chunk of changes.
//!
//! A `file:` without a `*` is one file. Each chunk reads it, merges its rows by their key, and puts the whole of it in
//! its place: whoever looks sees the old file or the new one. A `file:` with a `*` is a new file for each chunk, whose
//! name begins with the time and ends with a hash of its content: a chunk whose answer was lost finds its own file there
//! as the last one, and writes nothing again. One writes at a time: what two have merged, each without the other's rows,
//! would be there once.

mod excel;
mod rows;

use std::sync::Arc;

use jiff::Timestamp;
use record::{
    BoxFuture, Change, Code, Current, Effected, Fault, Key, KeyRules, Op, Outcome, Row, Schema, Sink, Type, Value,
    WriteSpec, Written,
};
use tokio::sync::Mutex;

use super::fault;
use super::place::{Entry, Folder, Place, blocking};
use super::settings::{Kind, Writes};
use rows::Rows;

/// The largest file that is read and written as a whole.
const WHOLE_MAX: u64 = 64 << 20;

pub(super) struct Files {
    system: String,
    place: Arc<dyn Place>,
    spec: WriteSpec,
    writes: Arc<Writes>,
    /// Held by whoever of this process writes there.
    turn: Arc<Mutex<()>>,
    /// The file as it was written last, and the rows in it.
    known: Mutex<Option<(Entry, Rows)>>,
}

impl Files {
    /// *Errors*: a `Stop` where the definition asks for what cannot be written.
    pub fn new(system: &str, place: Arc<dyn Place>, turn: Arc<Mutex<()>>, spec: WriteSpec) -> Result<Files, Fault> {
        let writes = Arc::new(Writes::of(system, &spec)?);
        Ok(Files { system: system.to_owned(), place, spec, writes, turn, known: Mutex::default() })
    }

    async fn open(&self) -> Result<Box<dyn Folder>, Fault> {
        self.place.open().await.map_err(to)
    }

    /// The file that has every row, as it is now. *Errors*: it is there, and is none of ours.
    async fn whole(&self, folder: &dyn Folder) -> Result<Rows, Fault> {
        let name = self.writes.pattern.0.as_str();
        let here = folder.list("").await.map_err(to)?;
        let is = |wanted: &str| here.iter().find(|entry| entry.name == wanted).cloned();
        let entry = match (is(name), is(&beside(name, "old"))) {
            (Some(entry), _) => entry,
            // What replaced it was cut off between its two steps.
            (None, Some(old)) => {
                folder.rename(&old, "", name).await.map_err(to)?;
                Entry { name: name.to_owned(), ..old }
            }
            (None, None) => return Ok(Rows::new(&self.writes)),
        };
        if let Some((known, rows)) = self.known.lock().await.take()
            && known == entry
        {
            return Ok(rows);
        }
        if entry.size > WHOLE_MAX {
            return Err(fault::too_large_to_replace(&self.system, name, &megabytes(entry.size)));
        }
        let fetched = folder.fetch(&entry).await.map_err(to)?;
        let Some(fetched) = fetched else { return Ok(Rows::new(&self.writes)) };
        let (writes, system, name) = (self.writes.clone(), self.system.clone(), name.to_owned());
        blocking(move || Rows::read(&writes, fetched.file, &name).map_err(|why| fault::not_ours(&system, &name, &why)))
            .await
    }

    fn bytes(&self, rows: &Rows) -> Result<Vec<u8>, Fault> {
        let name = &self.writes.pattern.0;
        rows.to_bytes(&self.writes).map_err(|much| fault::too_large_to_replace(&self.system, name, &much))
    }

    /// Writes a file as a whole. It is there afterwards, or the one before.
    async fn put(&self, folder: &dyn Folder, name: &str, bytes: Vec<u8>) -> Result<(), Fault> {
        folder.put(name, bytes).await.map_err(|fault| to(fault).effect_unknown())
    }

    async fn merge(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let folder = self.open().await?;
        let mut rows = self.whole(&*folder).await?;
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            let effect = match (self.key(change), change.op) {
                (Err(fault), _) => Err(fault),
                (Ok(key), Op::Delete) => Ok(rows.delete(&key)),
                (Ok(key), _) => self.cells(change).map(|cells| rows.upsert(key, cells)),
            };
            outcomes.push(effect.map(written));
        }
        let changed = outcomes.iter().flatten().any(|written| written.effect != Effected::Unchanged);
        let name = self.writes.pattern.0.as_str();
        if changed {
            let bytes = self.bytes(&rows)?;
            if bytes.len() as u64 > WHOLE_MAX {
                return Err(fault::too_large_to_replace(&self.system, name, &megabytes(bytes.len() as u64)));
            }
            self.put(&*folder, name, bytes).await?;
        }
        let here = folder.list("").await.map_err(to)?;
        *self.known.lock().await = here.into_iter().find(|entry| entry.name == name).map(|entry| (entry, rows));
        Ok(outcomes)
    }

    async fn add(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let mut rows = Rows::new(&self.writes);
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            let effect = match (self.key(change), change.op) {
                (Err(fault), _) => Err(fault),
                (Ok(_), Op::Delete) => Err(self
                    .refused(change, "a file of changes cannot say that a row is gone")
                    .fix("write `deletes: ignore`, or one file that has every row: a name without `*` under `file:`")),
                (Ok(key), _) => self.cells(change).map(|cells| {
                    rows.upsert(key, cells);
                    Effected::Upserted
                }),
            };
            outcomes.push(effect.map(written));
        }
        if rows.is_empty() {
            return Ok(outcomes);
        }
        let bytes = self.bytes(&rows)?;
        let hash = format!("{:016x}", rows.hash(&self.writes, &bytes));
        let folder = self.open().await?;
        let here = folder.list("").await.map_err(to)?;
        let pattern = &self.writes.pattern;
        let last = here.iter().filter_map(|entry| pattern.matches(&entry.name)).filter(|star| star.len() == 35).max();
        if last.is_some_and(|star| star.ends_with(&hash)) {
            return Ok(outcomes);
        }
        let star = format!("{}_{hash}", stamp(Timestamp::now(), last));
        self.put(&*folder, &pattern.0.replacen('*', &star, 1), bytes).await?;
        Ok(outcomes)
    }

    fn key(&self, change: &Change) -> Result<Vec<String>, Fault> {
        let part = |value: &Value| self.writes.key_text(value);
        let key: Result<Vec<String>, String> = change.key.parts().iter().map(part).collect();
        key.map_err(|why| self.refused(change, &why).fix("correct the key at its source"))
    }

    /// The cells that a change carries, by the place of their column.
    fn cells(&self, change: &Change) -> Result<Vec<(usize, rows::Cell)>, Fault> {
        let key = self.spec.key.iter().map(String::as_str);
        let parts = change.key.parts();
        let all = key.zip(&parts).chain(change.columns.iter());
        let mut cells = Vec::new();
        for (name, value) in all {
            let at = self.writes.columns.iter().position(|column| column == name).ok_or_else(|| {
                let what = format!("`{}` is written without a column `{name}`", self.writes.pattern.0);
                Fault::ask_person(Code("IB0505"), what)
                    .at_system(&self.system)
                    .at_table(&self.writes.pattern.0)
                    .at_column(name)
                    .fix("name the column under `write:`")
            })?;
            let cell = self.writes.cell(value);
            cells.push((
                at,
                cell.map_err(|why| {
                    let fault = self.refused(change, &why).at_column(name);
                    fault.fix("correct the value at its source, or the mapping")
                })?,
            ));
        }
        Ok(cells)
    }

    fn refused(&self, change: &Change, why: &str) -> Fault {
        let what = format!("this row cannot be written to `{}`: {why}", self.writes.pattern.0);
        Fault::reject(Code("IB0512"), what)
            .at_system(&self.system)
            .at_table(&self.writes.pattern.0)
            .at_key(change.key.to_string())
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes >> 20)
}

fn written(effect: Effected) -> Written {
    Written { effect, remote_id: None, version: None, returned: None }
}

/// `.stock.csv.part`: a name beside that of the file, which no `file:` takes for one of its own.
pub(super) fn beside(name: &str, ending: &str) -> String {
    format!(".{name}.{ending}")
}

/// The time in 18 characters that sort as it does, and always behind the last file of the folder.
fn stamp(now: Timestamp, last: Option<&str>) -> String {
    let civil = |at: Timestamp| at.strftime("%Y%m%dT%H%M%S%3f").to_string();
    let mut at = now;
    while last.and_then(|last| last.get(..18)).is_some_and(|last| civil(at).get(..18) <= Some(last)) {
        let before = last.and_then(|last| jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", last.get(..15)?).ok());
        let before = before.and_then(|at| jiff::tz::TimeZone::UTC.to_timestamp(at).ok());
        at = before.unwrap_or(at).max(at) + jiff::SignedDuration::from_secs(1);
    }
    civil(at)
}

/// A fault of a place, told of a destination.
fn to(mut fault: Fault) -> Fault {
    let code = match fault.code.0 {
        "IB0601" => "IB0501",
        "IB0602" => "IB0504",
        "IB0604" => "IB0503",
        _ => return fault,
    };
    fault.code = Code(code);
    match code {
        "IB0503" => fault.fix("give the user of `connection:` the right to list the folder and to write into it"),
        _ => fault,
    }
}

impl Sink for Files {
    fn apply<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            let _alone = self.place.alone().await;
            if self.writes.whole { self.merge(changes).await } else { self.add(changes).await }
        })
    }

    /// What stands in the file, as the texts that it is written with; of the key, what was asked for.
    fn current<'a>(
        &'a self,
        keys: &'a [Key],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Current>>, Fault>> {
        Box::pin(async move {
            if !self.writes.whole {
                return Ok(vec![None; keys.len()]);
            }
            // Whoever looks may find what a write has left between its two steps, and end that.
            let _turn = self.turn.lock().await;
            let _alone = self.place.alone().await;
            let folder = self.open().await?;
            let rows = self.whole(&*folder).await?;
            let schema = Schema::of(columns.iter().map(|name| (name.as_str(), Type::Unknown)));
            let row = |key: &Key| {
                let parts = key.parts();
                let texts: Option<Vec<String>> =
                    parts.iter().map(|part| self.writes.key_text(part).ok().filter(|text| !text.is_empty())).collect();
                let found = rows.get(&texts?)?;
                let value = |name: &String| match self.spec.key.iter().position(|key| key == name) {
                    Some(at) => parts[at].clone(),
                    None => {
                        let at = self.writes.columns.iter().position(|column| column == name);
                        at.map_or(Value::Blank, |at| found[at].value())
                    }
                };
                let columns = Row::new(schema.clone(), columns.iter().map(value).collect());
                Some(Current { remote_id: None, version: None, columns, returned: None })
            };
            Ok(keys.iter().map(row).collect())
        })
    }

    fn rows_per_chunk(&self) -> usize {
        5_000
    }

    /// What is in the files of changes is not looked for.
    fn tells(&self) -> bool {
        self.writes.whole
    }

    fn key_rules(&self) -> KeyRules {
        KeyRules::default()
    }
}

impl Writes {
    /// The text of a value in a file of lines and columns, and of a key in any. `None` for a blank.
    ///
    /// *Errors*: one sentence that does not hold the value.
    fn text(&self, value: &Value) -> Result<Option<String>, String> {
        super::value::write(value, &self.format)
    }

    /// The text by which a row is found in the file.
    fn key_text(&self, value: &Value) -> Result<String, String> {
        match self.kind {
            Kind::Excel => excel::Held::of(value, &self.format).map(|held| held.text()),
            _ => self.text(value).map(|text| text.unwrap_or_default()),
        }
    }

    fn cell(&self, value: &Value) -> Result<rows::Cell, String> {
        match self.kind {
            Kind::Json | Kind::JsonLines => rows::Cell::json(value, &self.format),
            Kind::Excel => excel::Held::of(value, &self.format).map(rows::Cell::Excel),
            Kind::Csv => {
                let text = self.text(value)?;
                match text.as_deref().map(|text| self.cannot_hold(text)) {
                    Some(Some(why)) => Err(why),
                    _ => Ok(rows::Cell::Text(text)),
                }
            }
        }
    }

    /// Why this text cannot stand in the file.
    fn cannot_hold(&self, text: &str) -> Option<String> {
        let format = &self.format;
        if format.encoding != encoding_rs::UTF_8 && format.encoding.encode(text).2 {
            return Some(format!("it has characters that {} does not have", format.encoding.name()));
        }
        let special = |c: char| c == char::from(format.delimiter) || matches!(c, '\n' | '\r');
        (format.quote.is_none() && text.contains(special))
            .then(|| "it holds a delimiter or a line end, and `quote: none` has no way to write that".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_file_has_a_later_name() {
        let now: Timestamp = "2026-11-26T03:46:11.5Z".parse().unwrap();
        assert_eq!(stamp(now, None), "20261126T034611500");
        assert_eq!(stamp(now, Some("20261126T034611499_x")), "20261126T034611500");
        let after = stamp(now, Some("20261126T034611500_x"));
        assert!(after.as_str() > "20261126T034611500", "{after}");
        let ahead = stamp(now, Some("20261127T000000000_x"));
        assert!(ahead.as_str() > "20261127T000000000", "a clock that was put back: {ahead}");
    }
}
