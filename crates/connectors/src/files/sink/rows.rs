//! The rows of a file that is written as a whole, by their key.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::ops::ControlFlow;

use record::{Effected, Options, ReadSpec, Type, Value};
use serde_json::{Map, Value as Json};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::excel::{self, Held};
use crate::files::format::{self, Cells, Taker};
use crate::files::passing::Passing;
use crate::files::settings::{Format, Kind, Writes};
use crate::files::value::{self, Cell as Read1};

/// What stands in one place of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// Of CSV; `None` for nothing.
    Text(Option<String>),
    Json(Json),
    Excel(Held),
}

impl Cell {
    /// A value in JSON: a number with its digits, a date as a text.
    pub fn json(value: &Value, format: &Format) -> Result<Cell, String> {
        let number = |text: String| -> Result<Json, String> {
            serde_json::from_str(&text).map_err(|_| "this number is none in JSON".to_owned())
        };
        Ok(Cell::Json(match value {
            Value::Blank => Json::Null,
            Value::Bool(yes) => Json::Bool(*yes),
            Value::Int(whole) => number(whole.to_string())?,
            Value::Decimal(exact) => number(exact.to_string())?,
            Value::Float(float) => number(float.to_string())?,
            other => value::write(other, format)?.map_or(Json::Null, Json::String),
        }))
    }

    pub fn value(&self) -> Value {
        match self {
            Cell::Text(None) | Cell::Json(Json::Null) => Value::Blank,
            Cell::Text(Some(text)) | Cell::Json(Json::String(text)) => Value::text(text),
            Cell::Json(Json::Bool(yes)) => Value::Bool(*yes),
            Cell::Json(Json::Number(number)) => {
                number.to_string().parse().map_or_else(|_| Value::text(number.to_string()), Value::Decimal)
            }
            Cell::Json(other) => Value::text(other.to_string()),
            Cell::Excel(held) => held.value(),
        }
    }

    pub fn text(&self) -> String {
        match self {
            Cell::Text(text) => text.clone().unwrap_or_default(),
            Cell::Json(Json::String(text)) => text.clone(),
            Cell::Json(Json::Null) => String::new(),
            Cell::Json(other) => other.to_string(),
            Cell::Excel(held) => held.text(),
        }
    }
}

/// The rows in the order of the file. *Shape*: a row that was deleted leaves its place empty.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    rows: Vec<Option<Vec<Cell>>>,
    /// Of JSON: members that are no columns of ours, which stay as they are.
    extra: HashMap<usize, Map<String, Json>>,
    places: HashMap<Vec<String>, usize>,
    blank: Vec<Cell>,
}

impl Rows {
    pub fn new(writes: &Writes) -> Rows {
        let blank = match writes.kind {
            Kind::Json | Kind::JsonLines => Cell::Json(Json::Null),
            Kind::Excel => Cell::Excel(Held::Blank),
            Kind::Csv => Cell::Text(None),
        };
        let blank = vec![blank; writes.columns.len()];
        Rows { rows: Vec::new(), extra: HashMap::new(), places: HashMap::new(), blank }
    }

    /// *Errors*: why it is no file that this destination has written.
    pub fn read(writes: &Writes, file: File, name: &str) -> Result<Rows, String> {
        let mut rows = Rows::new(writes);
        match writes.kind {
            Kind::Json => rows.read_array(writes, file)?,
            Kind::JsonLines => rows.read_json(writes, file)?,
            Kind::Excel => excel::read(&mut rows, writes, file)?,
            Kind::Csv => rows.read_csv(writes, file, name)?,
        }
        Ok(rows)
    }

    fn read_csv(&mut self, writes: &Writes, mut file: File, name: &str) -> Result<(), String> {
        let failed = |error: std::io::Error| error.to_string();
        let header = header(writes);
        let mut start = Vec::new();
        file.by_ref().take(header.len() as u64).read_to_end(&mut start).map_err(failed)?;
        if start != header {
            return Err("its first line is not the one that is written".to_owned());
        }
        file.rewind().map_err(failed)?;
        let text = Type::Text { max_length: None };
        let spec = ReadSpec {
            table: String::new(),
            columns: writes.columns.clone(),
            declared: writes.columns.iter().map(|name| (name.clone(), text.clone())).collect(),
            watermark: None,
            key: Vec::new(),
            rows_per_batch: 1,
            time_zone: None,
            fields: Vec::new(),
            options: Options::default(),
        };
        let mut taker = Take { rows: self, writes, wrong: None };
        let read = format::read(&mut Passing::plain(file), name, &spec, &writes.reads, &mut taker);
        match (taker.wrong, read) {
            (Some(why), _) => Err(why),
            (None, Err(broken)) => Err(format!("{broken:?}")),
            (None, Ok(())) => Ok(()),
        }
    }

    fn read_json(&mut self, writes: &Writes, file: File) -> Result<(), String> {
        for (at, line) in BufReader::new(file).lines().enumerate() {
            let line = line.map_err(|error| error.to_string())?;
            if line.trim().is_empty() {
                continue;
            }
            let members: Map<String, Json> =
                serde_json::from_str(&line).map_err(|_| format!("line {} is no JSON object", at + 1))?;
            self.take_object(writes, members, at as u64 + 1)?;
        }
        Ok(())
    }

    fn read_array(&mut self, writes: &Writes, file: File) -> Result<(), String> {
        let objects: Vec<Map<String, Json>> =
            serde_json::from_reader(BufReader::new(file)).map_err(|why| format!("it is no array of objects: {why}"))?;
        for (at, members) in objects.into_iter().enumerate() {
            self.take_object(writes, members, at as u64 + 1)?;
        }
        Ok(())
    }

    fn take_object(&mut self, writes: &Writes, mut members: Map<String, Json>, at: u64) -> Result<(), String> {
        let cells: Vec<Cell> =
            writes.columns.iter().map(|name| Cell::Json(members.remove(name).unwrap_or(Json::Null))).collect();
        self.take(writes, cells, at)?;
        if !members.is_empty() {
            self.extra.insert(self.rows.len() - 1, members);
        }
        Ok(())
    }

    pub fn take(&mut self, writes: &Writes, cells: Vec<Cell>, line: u64) -> Result<(), String> {
        let key: Vec<String> = cells[..writes.keys].iter().map(Cell::text).collect();
        if self.places.insert(key, self.rows.len()).is_some() {
            let noun = format::noun(writes.kind);
            return Err(format!("{noun} {line} has the key of another {noun}"));
        }
        self.rows.push(Some(cells));
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn get(&self, key: &[String]) -> Option<&[Cell]> {
        self.rows[*self.places.get(key)?].as_deref()
    }

    pub fn upsert(&mut self, key: Vec<String>, cells: Vec<(usize, Cell)>) -> Effected {
        if let Some(at) = self.places.get(&key)
            && let Some(row) = &mut self.rows[*at]
        {
            let mut effect = Effected::Unchanged;
            for (at, cell) in cells {
                if row[at] != cell && row[at].text() != cell.text() {
                    row[at] = cell;
                    effect = Effected::Updated;
                }
            }
            return effect;
        }
        let mut row = self.blank.clone();
        cells.into_iter().for_each(|(at, cell)| row[at] = cell);
        self.places.insert(key, self.rows.len());
        self.rows.push(Some(row));
        Effected::Created
    }

    pub fn delete(&mut self, key: &[String]) -> Effected {
        match self.places.remove(key) {
            Some(at) => {
                self.rows[at] = None;
                Effected::Deleted
            }
            None => Effected::Unchanged,
        }
    }

    /// The file. *Errors*: of a workbook: how much it would have to hold, where that is too much.
    pub fn to_bytes(&self, writes: &Writes) -> Result<Vec<u8>, String> {
        if writes.kind == Kind::Excel {
            return excel::bytes(writes, self.rows.iter().flatten().map(Vec::as_slice));
        }
        let mut out = header(writes);
        let mut objects = 0;
        for (at, row) in self.rows.iter().enumerate() {
            let Some(row) = row else { continue };
            if writes.kind == Kind::Csv {
                line(&writes.format, row.iter().map(Cell::text), &mut out);
                continue;
            }
            if writes.kind == Kind::Json {
                out.extend_from_slice(if objects == 0 { b"[\n" } else { b",\n" });
            }
            objects += 1;
            out.extend_from_slice(self.object(writes, at, row).to_string().as_bytes());
            if writes.kind == Kind::JsonLines {
                out.push(b'\n');
            }
        }
        if writes.kind == Kind::Json {
            out.extend_from_slice(if objects == 0 { b"[]\n" } else { b"\n]\n" });
        }
        Ok(out)
    }

    fn object(&self, writes: &Writes, at: usize, row: &[Cell]) -> Json {
        let json = |cell: &Cell| match cell {
            Cell::Json(json) => json.clone(),
            other => Json::String(other.text()),
        };
        let own = writes.columns.iter().cloned().zip(row.iter().map(json));
        Json::Object(own.chain(self.extra.get(&at).cloned().unwrap_or_default()).collect())
    }

    /// A number made of the content, the same for the same rows whatever the time.
    pub fn hash(&self, writes: &Writes, bytes: &[u8]) -> u64 {
        if writes.kind != Kind::Excel {
            return xxh3_64(bytes);
        }
        // A workbook has the time at which it was made in it.
        let mut hash = Xxh3::new();
        for cell in self.rows.iter().flatten().flatten() {
            hash.update(cell.text().as_bytes());
            hash.update(&[0]);
        }
        hash.digest()
    }
}

/// The line with the names of the columns, where there is one.
fn header(writes: &Writes) -> Vec<u8> {
    let mut out = Vec::new();
    if writes.kind == Kind::Csv && writes.format.header {
        line(&writes.format, writes.columns.iter().cloned(), &mut out);
    }
    out
}

fn line(format: &Format, cells: impl Iterator<Item = String>, out: &mut Vec<u8>) {
    let delimiter = char::from(format.delimiter);
    let mut text = String::new();
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            text.push(delimiter);
        }
        match format.quote.map(char::from) {
            Some(quote)
                if cell.contains([delimiter, quote, '\n', '\r']) || cell.starts_with(' ') || cell.ends_with(' ') =>
            {
                text.push(quote);
                text.push_str(&cell.replace(quote, &format!("{quote}{quote}")));
                text.push(quote);
            }
            _ => text.push_str(&cell),
        }
    }
    text.push('\n');
    out.extend_from_slice(&format.encoding.encode(&text).0);
}

struct Take<'a> {
    rows: &'a mut Rows,
    writes: &'a Writes,
    wrong: Option<String>,
}

impl Taker for Take<'_> {
    fn row(&mut self, line: u64, cells: &dyn Cells) -> ControlFlow<()> {
        let text = |at: usize| match cells.cell(at) {
            Read1::Text(text) => Some(text.into_owned()),
            Read1::Plain(text) => Some(text.to_owned()),
            Read1::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        };
        let row = (0..self.writes.columns.len()).map(|at| Cell::Text(text(at))).collect();
        match self.rows.take(self.writes, row, line) {
            Ok(()) => ControlFlow::Continue(()),
            Err(why) => {
                self.wrong = Some(why);
                ControlFlow::Break(())
            }
        }
    }

    fn unreadable(&mut self, line: u64, why: &str, _: u64) -> ControlFlow<()> {
        self.wrong = Some(format!("line {line}: {why}"));
        ControlFlow::Break(())
    }
}
