//! Reading rows: all of them, what changed, or some by their keys.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use record::{
    Batch, BoxFuture, Code, Column, Fault, Key, Page, ReadKind, ReadSpec, Reader, Row, Schema, Source, Type,
    Unreadable, Value, Watermark,
};
use serde_json::{Value as Json, json};

use super::paging::{Edges, Paging, Place};
use super::template::{self, Template};
use crate::http::client::Sent;
use crate::http::turns::Turns;
use crate::http::{Answer, Client, typed};
use crate::sql::moment::{self, Moment};
use crate::sql::pages;
use crate::sql::watermark::{Clock, Numbers};

pub(super) struct Rows {
    what: Arc<What>,
    get: Option<Template>,
    find: Option<Find>,
    list: Option<List>,
}

/// What is read of each row.
pub(crate) struct What {
    pub client: Client,
    pub spec: ReadSpec,
    schema: Arc<Schema>,
}

/// How a list of rows is asked for.
#[derive(Clone)]
pub(crate) struct List {
    pub request: Template,
    /// What changed since `{since}`.
    pub changes: Option<Template>,
    /// The JSON path of the rows; empty where the answer is the list.
    pub rows: String,
    pub paging: Paging,
    pub headers: Vec<(String, String)>,
}

/// The request for some rows by the values of one field.
struct Find {
    request: Template,
    by: String,
    at_most: usize,
    rows: String,
    paging: Paging,
}

impl Rows {
    pub fn new(client: Client, spec: ReadSpec) -> Result<Rows, Fault> {
        let system = client.system().to_owned();
        let get = template::option(&system, &spec.options, "get")?;
        let list = match spec.options.group("list") {
            None => None,
            Some(list) => match template::option(&system, &list, "request")? {
                None => None,
                Some(request) => Some(List {
                    request,
                    changes: template::option(&system, &list, "changes")?,
                    rows: list.text("rows").unwrap_or_default().to_owned(),
                    paging: Paging::new(&list, &system)?,
                    headers: Vec::new(),
                }),
            },
        };
        let find = match spec.options.group("find") {
            None => None,
            Some(find) => template::option(&system, &find, "request")?.map(|request| Find {
                by: find.texts("by").first().map(|by| (*by).to_owned()).unwrap_or_default(),
                paging: beside(list.as_ref(), &request),
                request,
                at_most: find.number("at_most").and_then(|n| usize::try_from(n).ok()).unwrap_or(1).max(1),
                rows: find.text("rows").unwrap_or_default().to_owned(),
            }),
        };
        if spec.watermark.is_some() && list.as_ref().is_some_and(|list| list.changes.is_none()) {
            let what = format!("`{system}` has a watermark, and no request for what changed since");
            return Err(Fault::stop(Code("IB0510"), what).at_system(&system).fix(
                "write `list: { request: …, changes: \"GET /…?changed_since={since}\" }`, or leave `watermark:` out",
            ));
        }
        Ok(Rows { what: Arc::new(What::new(client, spec)), get, find, list })
    }

    pub fn list(&self) -> Option<&List> {
        self.list.as_ref()
    }

    /// The column that a field of the entity is read from as it is.
    fn column<'a>(&'a self, field: &'a str) -> &'a str {
        self.what.spec.fields.iter().find(|(name, _)| name == field).map_or(field, |(_, column)| column)
    }

    async fn one(&self, get: &Template, key: &Key) -> Result<Option<Row>, Fault> {
        let What { client, spec, .. } = &*self.what;
        let parts = key.parts();
        let value = |field: &str| {
            let column = self.column(field);
            let at = spec.key.iter().position(|name| name == column)?;
            parts.get(at).map(Value::to_string)
        };
        let path = get.fill(value).map_err(|field| {
            Fault::stop(Code("IB0510"), format!("`{get}` needs `{field}`, which is no part of the key"))
                .at_system(client.system())
                .fix("name fields of the entity's key in `get:`")
        })?;
        let answer = client.send(&get.method, &path, Sent::default()).await?;
        let Some(answer) = answer else { return Ok(None) };
        let json = the_one(client, &answer.json)?;
        json.map(|json| self.what.row(json).map_err(|unreadable| unreadable.fault)).transpose()
    }

    async fn some(&self, find: &Find, keys: &[Key]) -> Result<Vec<Option<Row>>, Fault> {
        let client = &self.what.client;
        let column = self.column(&find.by).to_owned();
        if self.what.spec.key != [column.clone()] {
            let what = format!("`{}` finds rows by `{}`, which is not their key", client.system(), find.by);
            return Err(Fault::stop(Code("IB0510"), what)
                .at_system(client.system())
                .fix("write `get: GET /…/{field}` in the system's file"));
        }
        let (mut found, mut turns) = (Vec::with_capacity(keys.len()), Turns::default());
        for some in keys.chunks(find.at_most) {
            let values: Vec<String> = some.iter().map(Key::to_string).collect();
            let path = find.request.fill(|field| (field == find.by).then(|| values.join(",")));
            let path = path.map_err(|field| {
                Fault::stop(Code("IB0510"), format!("`{}` names `{field}` beside `{}`", find.request, find.by))
                    .at_system(client.system())
                    .fix("name one field in `find:`")
            })?;
            let (method, most) = (&find.request.method, values.len());
            let answers = loop {
                let answers = answers(client, method, &path, &find.paging, &find.rows, most).await;
                match turns.wait(&answers) {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => break answers?,
                }
            };
            let mut rows = Vec::new();
            for answer in &answers {
                rows.extend(list(client, &answer.json, &find.rows, "find")?);
            }
            for value in values {
                let own = |row: &&Json| typed::at(row, &column).is_some_and(|at| typed::plain(at).to_string() == value);
                let row =
                    rows.iter().copied().find(own).map(|row| self.what.row(row).map_err(|unreadable| unreadable.fault));
                found.push(row.transpose()?);
            }
        }
        Ok(found)
    }
}

/// How the rows of a request beside the list come.
pub(super) fn beside(list: Option<&List>, request: &Template) -> Paging {
    Paging::beside(list.map(|list| &list.paging), list.is_some_and(|list| list.request.is_beside(request)))
}

/// The answers to a request for some rows, page by page, until there are so many rows. *Shape*: none where the API knows
/// nothing there.
pub(super) async fn answers(
    client: &Client,
    method: &reqwest::Method,
    path: &str,
    paging: &Paging,
    rows: &str,
    most: usize,
) -> Result<Vec<Answer>, Fault> {
    let (mut place, mut answers, mut found, mut before) = (Place::First, Vec::new(), 0, None);
    loop {
        let path = paging.path(path, &place);
        let Some(answer) = client.send(method, &path, Sent::default()).await? else { return Ok(answers) };
        let here = match typed::within(&answer.json, rows) {
            Some(Json::Array(all)) => all.as_slice(),
            Some(one @ Json::Object(_)) => std::slice::from_ref(one),
            _ => &[],
        };
        found += here.len();
        let next = paging.next(&place, &answer, here, before.as_ref(), |link| client.link(&path, link));
        let next = next.map_err(|fault| fault.at_system(client.system()))?;
        before = Edges::of(here);
        answers.push(answer);
        match next {
            Some(next) if found < most => place = next,
            _ => return Ok(answers),
        }
    }
}

impl What {
    fn clock(&self, now: Timestamp) -> Clock {
        Clock { now, zone: self.spec.time_zone.clone().unwrap_or(jiff::tz::TimeZone::UTC) }
    }

    pub fn new(client: Client, spec: ReadSpec) -> What {
        let declared = |name: &str| spec.declared.iter().find(|(known, _)| known == name).map(|(_, ty)| ty.clone());
        let column = |name: &String| Column { name: name.as_str().into(), ty: declared(name).unwrap_or(Type::Unknown) };
        let schema = Schema::new(spec.columns.iter().map(column).collect());
        What { client, spec, schema }
    }

    pub fn row(&self, json: &Json) -> Result<Row, Box<Unreadable>> {
        let zone = self.spec.time_zone.as_ref();
        let mut values = vec![Value::Blank; self.schema.len()];
        let mut wrong = None;
        for (at, column) in self.schema.columns().iter().enumerate() {
            let Some(found) = typed::at(json, &column.name) else { continue };
            match typed::value(found, &column.ty, zone) {
                Ok(value) => values[at] = value,
                Err(why) => wrong = wrong.or(Some((at, why, found))),
            }
        }
        let row = Row::new(self.schema.clone(), values);
        match wrong {
            None => Ok(row),
            Some((at, why, found)) => {
                let shown = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
                let mut spec = self.spec.clone();
                spec.table = self.client.system().to_owned();
                Err(Box::new(pages::unreadable(self.client.system(), &spec, row, at, why, &shown)))
            }
        }
    }
}

/// The row of an answer to `get:`, alone or as a list of one; nothing where there is none.
///
/// *Errors*: it is something else, which says nothing about the row.
pub(super) fn the_one<'j>(client: &Client, json: &'j Json) -> Result<Option<&'j Json>, Fault> {
    match json {
        Json::Object(_) => Ok(Some(json)),
        Json::Null => Ok(None),
        Json::Array(all) if all.is_empty() => Ok(None),
        Json::Array(all) if all.len() == 1 && all[0].is_object() => Ok(all.first()),
        _ => {
            let what = format!("`{}` did not answer `get:` with one row", client.system());
            Err(Fault::stop(Code("IB0510"), what)
                .at_system(client.system())
                .fix("write the request that gives one row by its key, or `find:` for a list of them"))
        }
    }
}

/// The rows of an answer.
pub(crate) fn list<'j>(client: &Client, json: &'j Json, path: &str, of: &str) -> Result<&'j [Json], Fault> {
    match typed::within(json, path) {
        // What has nothing to say says nothing.
        Some(Json::Null) => Ok(&[]),
        Some(Json::Array(rows)) => Ok(rows),
        _ => {
            let at = if path.is_empty() { "its answer".to_owned() } else { format!("`{path}`") };
            Err(Fault::stop(Code("IB0510"), format!("{at} of `{}` is no list of rows", client.system()))
                .at_system(client.system())
                .fix(format!("say where the rows are: `{of}: {{ request: …, rows: <path> }}`")))
        }
    }
}

impl Source for Rows {
    fn read<'a>(&'a self, cursor: Option<&'a str>) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        Box::pin(async move {
            let system = self.what.client.system();
            let Some(list) = self.list.clone() else {
                return Err(Fault::stop(Code("IB0510"), format!("`{system}` has no request for all rows"))
                    .at_system(system)
                    .fix("write `list: { request: GET /… }` in the system's file"));
            };
            read(self.what.clone(), list, cursor).await
        })
    }

    /// The first page, as a read asks for it: an API that limits the length of pages may have its own idea of the least.
    fn probe(&self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            let Some(asked) = self.list.clone() else { return Ok(()) };
            let rows = asked.rows.clone();
            let pages = Pages::start(self.what.clone(), asked, Stand::of(None)).await?;
            let answer = pages.answer.unwrap_or_default();
            list(&self.what.client, &answer.json, &rows, "list").map(drop)
        })
    }

    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Row>>, Fault>> {
        Box::pin(async move {
            if let Some(find) =
                self.find.as_ref().filter(|find| self.get.is_none() || keys.len() > 1 && find.at_most > 1)
            {
                return self.some(find, keys).await;
            }
            let system = self.what.client.system();
            let Some(get) = &self.get else {
                return Err(Fault::stop(Code("IB0510"), format!("`{system}` has no request for one row"))
                    .at_system(system)
                    .fix("write `get: GET /…/{field}` in the system's file"));
            };
            let (mut found, mut turns) = (Vec::with_capacity(keys.len()), Turns::default());
            for key in keys {
                found.push(loop {
                    let row = self.one(get, key).await;
                    match turns.wait(&row) {
                        Some(wait) => tokio::time::sleep(wait).await,
                        None => break row?,
                    }
                });
            }
            Ok(found)
        })
    }
}

/// Reads a list from a cursor of an earlier page of it.
pub(crate) async fn read(what: Arc<What>, list: List, cursor: Option<&str>) -> Result<Box<dyn Reader>, Fault> {
    Ok(Box::new(Pages::start(what, list, Stand::of(cursor)).await?) as Box<dyn Reader>)
}

/// Where a read stands. *Shape*: JSON, as a cursor.
#[derive(Debug, Clone, PartialEq)]
struct Stand {
    place: Place,
    /// What changed since this watermark is read; everything where there is none.
    since: Option<Value>,
    /// The largest watermark that the pages so far had.
    newest: Option<Value>,
    /// The API's clock when the read began: what changed on an earlier page after that was not read.
    began: Option<Timestamp>,
    /// Of an answer that held everything: if it still holds, nothing has changed.
    etag: Option<String>,
}

impl Stand {
    /// *Errors*: none; what is no cursor of ours is a read from the beginning.
    fn of(cursor: Option<&str>) -> Stand {
        let json: Json = cursor.and_then(|cursor| serde_json::from_str(cursor).ok()).unwrap_or_default();
        let mark = |name: &str| json.get(name).map(watermark);
        Stand {
            place: json.get("at").and_then(Place::of).unwrap_or(Place::First),
            since: mark("since"),
            newest: mark("newest"),
            began: json.get("began").and_then(Json::as_str).and_then(|at| at.parse().ok()),
            etag: json.get("etag").and_then(Json::as_str).map(str::to_owned),
        }
    }

    fn cursor(&self) -> String {
        let mut json = json!({});
        let mark = |value: &Value| match value {
            Value::Int(number) => json!(number),
            other => json!(other.to_string()),
        };
        let parts = [
            ("at", Some(&self.place).filter(|place| **place != Place::First).map(Place::json)),
            ("since", self.since.as_ref().map(mark)),
            ("newest", self.newest.as_ref().map(mark)),
            ("began", self.began.map(|began| json!(began.to_string()))),
            ("etag", self.etag.as_ref().map(|etag| json!(etag))),
        ];
        for (name, part) in parts {
            if let Some(part) = part {
                json[name] = part;
            }
        }
        json.to_string()
    }
}

/// A watermark as the API writes it: a text, or a whole number.
fn watermark(json: &Json) -> Value {
    match typed::plain(json) {
        Value::Decimal(number) => match i64::try_from(number) {
            Ok(whole) if number.is_integer() => Value::Int(whole),
            _ => Value::Text(number.to_string()),
        },
        other => other,
    }
}

/// Whether one watermark is later than another; texts that are no times are compared as texts.
fn later(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Int(one), Value::Int(other)) => one > other,
        (Value::Text(one), Value::Text(other)) => match (moment::parse(one), moment::parse(other)) {
            (Some(Moment::Instant(one)), Some(Moment::Instant(other))) => one > other,
            (Some(Moment::Civil(one)), Some(Moment::Civil(other))) => one > other,
            _ => one > other,
        },
        _ => false,
    }
}

struct Pages {
    what: Arc<What>,
    list: List,
    stand: Stand,
    kind: ReadKind,
    /// An answer that was fetched and not handed out yet.
    answer: Option<Answer>,
    /// The rows of the page at `stand` that are still to be handed out.
    pending: VecDeque<Json>,
    /// What is kept of the page before.
    before: Option<Edges>,
    /// Where the read goes on once they are.
    after: Option<Stand>,
    ended: bool,
}

impl Pages {
    /// Fetches the first page: only the answer says whether anything changed.
    async fn start(what: Arc<What>, list: List, mut stand: Stand) -> Result<Pages, Fault> {
        // Not even a clock of theirs that is wrong is a day ahead.
        let tomorrow = what.clock(Timestamp::now() + jiff::SignedDuration::from_hours(24));
        let is_ahead = stand.since.as_ref().is_some_and(|since| tomorrow.is_ahead(since, Numbers::Count));
        if is_ahead {
            stand = Stand::of(None);
        }
        let kind = match stand.since {
            Some(_) => ReadKind::Changes,
            None => {
                ReadKind::Full { why: is_ahead.then(|| "the place of the last read lies in the future".to_owned()) }
            }
        };
        let mut pages = Pages {
            what,
            list,
            stand,
            kind,
            answer: None,
            pending: VecDeque::new(),
            before: None,
            after: None,
            ended: false,
        };
        let etag = pages.stand.etag.take().filter(|_| pages.stand.place == Place::First && pages.stand.since.is_none());
        let sent = etag.map_or_else(Sent::default, |etag| Sent::default().header("If-None-Match", etag));
        let answer = pages.fetch(sent).await?;
        if answer.as_ref().is_some_and(|answer| answer.status == 304) {
            (pages.kind, pages.ended) = (ReadKind::Changes, true);
        }
        pages.answer = answer;
        Ok(pages)
    }

    /// *Shape*: nothing behind the last page of those that are counted.
    async fn fetch(&self, sent: Sent) -> Result<Option<Answer>, Fault> {
        let client = &self.what.client;
        let system = client.system();
        let request = match (&self.stand.since, &self.list.changes) {
            (Some(_), Some(changes)) => changes,
            _ => &self.list.request,
        };
        let since = self.stand.since.as_ref().map(Value::to_string);
        let path = request.fill(|field| since.clone().filter(|_| field == "since")).map_err(|field| {
            Fault::stop(Code("IB0510"), format!("`{request}` names `{field}`, and no row is asked for"))
                .at_system(system)
                .fix("name nothing in `request:`, and `{since}` in `changes:`")
        })?;
        let path = self.list.paging.path(&path, &self.stand.place);
        let sent = self.list.headers.iter().fold(sent, |sent, (name, value)| sent.header(name, value));
        let answer = client.send(&request.method, &path, sent).await?;
        if answer.is_some() || self.list.paging.ends_behind(&self.stand.place) {
            return Ok(answer);
        }
        Err(Fault::ask_person(Code("IB0602"), format!("`{system}` has nothing at {path}"))
            .at_system(system)
            .at_table(&path)
            .fix("correct `list:` in the system's file"))
    }

    /// Takes the rows of an answer, and finds out where the read goes on after them.
    fn take(&mut self, answer: Option<Answer>) -> Result<(), Fault> {
        let client = self.what.client.clone();
        let Some(answer) = answer else {
            self.after = self.end(self.stand.newest.clone(), None);
            return Ok(());
        };
        let rows = list(&client, &answer.json, &self.list.rows, "list")?;
        let path = self.list.paging.path("/", &self.stand.place);
        let (place, before) = (&self.stand.place, self.before.as_ref());
        let next = self.list.paging.next(place, &answer, rows, before, |link| client.link(&path, link));
        let next = next.map_err(|fault| fault.at_system(client.system()))?;
        self.before = Edges::of(rows);
        let mut newest = self.stand.newest.take();
        if let Some(Watermark { column, .. }) = &self.what.spec.watermark {
            for row in rows {
                let mark = typed::at(row, column).map(watermark).filter(|mark| !mark.is_blank());
                if let Some(mark) = mark.filter(|mark| newest.as_ref().is_none_or(|newest| later(mark, newest))) {
                    newest = Some(mark);
                }
            }
        }
        self.stand.newest.clone_from(&newest);
        let was_first = self.stand.place == Place::First;
        if was_first && self.what.spec.watermark.is_some() {
            self.stand.began = answer.date.or(Some(Timestamp::now()));
        }
        self.after = match next {
            Some(place) => Some(Stand { place, newest, ..self.stand.clone() }),
            None => self.end(newest, answer.etag.filter(|_| was_first)),
        };
        self.pending = rows.to_vec().into();
        Ok(())
    }

    /// Where the next read begins, after the last page.
    fn end(&self, newest: Option<Value>, etag: Option<String>) -> Option<Stand> {
        let begin = |since, etag| Stand { place: Place::First, since, newest: None, began: None, etag };
        let Some(Watermark { overlap, .. }) = &self.what.spec.watermark else {
            return etag.map(|etag| begin(None, Some(etag)));
        };
        // Nothing new: the next read asks for the same again.
        let Some(newest) = newest else {
            return Some(begin(self.stand.since.clone(), None)).filter(|s| s.since.is_some());
        };
        let clock = self.what.clock(self.stand.began.unwrap_or_else(Timestamp::now));
        let since = clock.back(&clock.limit(newest, Numbers::Count), *overlap, Numbers::Count);
        let since = match &self.stand.since {
            Some(before) if later(before, &since) => before.clone(),
            _ => since,
        };
        Some(begin(Some(since), None))
    }
}

impl Reader for Pages {
    fn kind(&self) -> ReadKind {
        self.kind.clone()
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.what.schema
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>, Fault>> {
        Box::pin(async move {
            if self.ended {
                return Ok(None);
            }
            if self.pending.is_empty() {
                let answer = match self.answer.take() {
                    Some(answer) => Some(answer),
                    None => self.fetch(Sent::default()).await?,
                };
                self.take(answer)?;
            }
            let mut batch = Batch::builder(self.what.schema.clone());
            let mut unreadable = Vec::new();
            let rows = self.pending.len().min(self.what.spec.rows_per_batch.max(1));
            for json in self.pending.drain(..rows) {
                match self.what.row(&json) {
                    Ok(row) => row.values().iter().for_each(|value| batch.push(value.as_ref())),
                    Err(row) => unreadable.push(*row),
                }
            }
            let cursor = if self.pending.is_empty() {
                let after = self.after.take();
                self.ended = after.as_ref().is_none_or(|after| after.place == Place::First);
                let cursor = after.as_ref().map(Stand::cursor);
                if let Some(after) = after {
                    self.stand = after;
                }
                cursor
            } else {
                // A page that is larger than what is handed out at once is asked for again after a cut.
                let stand = Stand { newest: None, ..self.stand.clone() };
                (stand.place != Place::First || stand.since.is_some()).then(|| stand.cursor())
            };
            Ok(Some(Page { batch: batch.finish(), unreadable, deleted: Vec::new(), cursor }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_says_where_it_stands() {
        let stand = Stand {
            place: Place::Number(3),
            since: Some(Value::text("2026-11-23T10:00:00Z")),
            newest: Some(Value::Int(17)),
            began: Some("2026-11-23T10:05:00Z".parse().unwrap()),
            etag: None,
        };
        assert_eq!(Stand::of(Some(&stand.cursor())), stand);
        let from_the_beginning = Stand { place: Place::First, since: None, newest: None, began: None, etag: None };
        assert_eq!(Stand::of(None), from_the_beginning);
        assert_eq!(Stand::of(Some("/things?after=3")), from_the_beginning, "what an older version kept");
    }

    #[test]
    fn the_later_watermark() {
        let text = Value::text;
        assert!(later(&text("2026-11-23T10:00:00+01:00"), &text("2026-11-23T08:59:00Z")));
        assert!(!later(&text("2026-11-23T10:00:00+01:00"), &text("2026-11-23T09:00:00Z")));
        assert!(later(&Value::Int(10), &Value::Int(9)));
        assert!(later(&text("b"), &text("a")));
    }
}
