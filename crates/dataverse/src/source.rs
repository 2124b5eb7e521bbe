//! Reading rows: by change tracking where the table has it, otherwise all of them, page by page.
//!
//! The cursor is the link that the service gave, behind a word that says what it is. A link that has expired becomes a
//! full read that says so.

use std::sync::Arc;

use jiff::Timestamp;
use record::{
    Batch, BoxFuture, Code, Fault, Key, Page, ReadKind, ReadSpec, Reader, Row, Schema, Source, Unreadable, Value,
};

use crate::client::{Answer, Call, Client};
use crate::columns::{Columns, Unread};
use crate::config::API;
use crate::json;
use crate::refusal::{self, EXPIRED_TOKEN, READ};
use crate::rows::{self, Found, LOOKUP_TABLES, Names};
use crate::table::Table;

pub(crate) struct Rows {
    client: Client,
    spec: ReadSpec,
    names: Arc<Names>,
}

impl Rows {
    pub fn new(client: Client, spec: ReadSpec) -> Rows {
        Rows { client, spec, names: Arc::default() }
    }

    async fn open(&self, cursor: Option<&str>) -> Result<Box<dyn Reader>, Fault> {
        let table = self.client.table(&self.spec.table, READ).await?;
        let columns = Columns::of(&self.client, &table, &self.spec.columns, READ).await?;
        let select = select(&table, &columns);
        let mut pages = Pages {
            client: self.client.clone(),
            names: self.names.clone(),
            schema: columns.schema(),
            url: Some(start(&table, &select)),
            headers: vec![("Prefer", self.prefer(table.change_tracking))],
            full: true,
            why: None,
            key: self.spec.key.clone(),
            table: table.clone(),
            columns,
            select,
            first: None,
        };
        let mut why = None;
        match cursor.map(Place::parse) {
            None => {}
            Some(None) => why = Some("the place that was kept is not one of this kind of system".to_owned()),
            Some(Some(place)) if place.select != pages.select => {
                why = Some("other columns are read than the last time".to_owned());
            }
            Some(Some(place)) if !place.full && !table.change_tracking => {
                why = Some(format!("change tracking is off for `{}`", table.name));
            }
            Some(Some(place)) => {
                let whole = pages.url.replace(place.link);
                match pages.ask().await {
                    Ok(answer) => {
                        pages.full = place.full;
                        pages.first = Some(answer);
                    }
                    Err(fault) if is_lost(&fault) => {
                        let told = fault.why.as_ref().map_or_else(String::new, |why| why.text.clone());
                        why = Some(format!("Dataverse no longer goes on from the place of the last read: {told}"));
                        pages.url = whole;
                    }
                    Err(fault) => return Err(fault),
                }
            }
        }
        if pages.first.is_none() {
            pages.first = Some(pages.ask().await?);
        }
        if why.is_none() && pages.full && cursor.is_none() && !table.change_tracking {
            why = Some(format!("change tracking is off for `{}`, so every read is a full one", table.name));
        }
        pages.why = why;
        Ok(Box::new(pages))
    }

    /// The rows that were last changed in this time: change tracking knows no times, `modifiedon` does.
    async fn changed_in(&self, from: Timestamp, to: Timestamp) -> Result<Box<dyn Reader>, Fault> {
        let table = self.client.table(&self.spec.table, READ).await?;
        if table.column("modifiedon").is_none() {
            let what = format!("`{}` has no `modifiedon` to read a window of time by", table.name);
            return Err(Fault::stop(Code("IB0736"), what)
                .at_system(self.client.system())
                .at_table(&table.name)
                .fix("read everything instead: ironbridge state reset, and run"));
        }
        let columns = Columns::of(&self.client, &table, &self.spec.columns, READ).await?;
        let select = select(&table, &columns);
        let filter = odata::encode(&format!("modifiedon ge {from} and modifiedon lt {to}"));
        let mut pages = Pages {
            client: self.client.clone(),
            names: self.names.clone(),
            schema: columns.schema(),
            url: Some(format!("{}?$select={select}&$filter={filter}&$orderby={}", table.set, table.primary_id)),
            headers: vec![("Prefer", self.prefer(false))],
            full: false,
            why: None,
            key: self.spec.key.clone(),
            table: table.clone(),
            columns,
            select,
            first: None,
        };
        pages.first = Some(pages.ask().await?);
        Ok(Box::new(pages))
    }

    fn prefer(&self, tracked: bool) -> String {
        let track = if tracked { "odata.track-changes," } else { "" };
        format!("{track}odata.maxpagesize={},{LOOKUP_TABLES}", self.spec.rows_per_batch.clamp(1, 5000))
    }
}

impl Source for Rows {
    fn read<'a>(&'a self, cursor: Option<&'a str>) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        Box::pin(self.open(cursor))
    }

    fn window<'a>(&'a self, from: Timestamp, to: Timestamp) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        Box::pin(self.changed_in(from, to))
    }

    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Row>>, Fault>> {
        Box::pin(async move {
            let table = self.client.table(&self.spec.table, READ).await?;
            let columns = Columns::of(&self.client, &table, &self.spec.columns, READ).await?;
            let parts: Vec<Vec<Value>> = keys.iter().map(Key::parts).collect();
            let found = rows::by_key(&self.client, &table, &self.spec.key, &parts, &columns.properties(), READ).await?;
            let firsts: Vec<Option<Found>> = found.into_iter().map(|rows| rows.into_iter().next()).collect();
            let present: Vec<Found> = firsts.iter().flatten().cloned().collect();
            let mut values = columns.values(&self.client, &self.names, &present, READ).await?.into_iter();
            let schema = columns.schema();
            let mut answer = Vec::with_capacity(keys.len());
            for (row, key) in firsts.iter().zip(keys) {
                answer.push(match row {
                    None => None,
                    Some(_) => match values.next().expect("each row has its values") {
                        Ok(values) => Some(Row::new(schema.clone(), values)),
                        Err(unread) => return Err(unreadable(&self.client, &table, &unread).at_key(key.to_string())),
                    },
                });
            }
            Ok(answer)
        })
    }

    fn children<'a>(&'a self, parent: &'a str, ids: &'a [Value]) -> BoxFuture<'a, Result<Vec<Vec<Row>>, Fault>> {
        Box::pin(self.of_parents(parent, ids))
    }
}

impl Rows {
    async fn of_parents(&self, parent: &str, ids: &[Value]) -> Result<Vec<Vec<Row>>, Fault> {
        let table = self.client.table(&self.spec.table, READ).await?;
        let columns = Columns::of(&self.client, &table, &self.spec.columns, READ).await?;
        let keys: Vec<Vec<Value>> = ids.iter().map(|id| vec![id.clone()]).collect();
        let by = [parent.to_owned()];
        let found = rows::by_key(&self.client, &table, &by, &keys, &columns.properties(), READ).await?;
        let schema = columns.schema();
        let mut answer = Vec::with_capacity(ids.len());
        for children in found {
            let values = columns.values(&self.client, &self.names, &children, READ).await?;
            let row = |values: Result<Vec<Value>, Unread>| match values {
                Ok(values) => Ok(Row::new(schema.clone(), values)),
                Err(unread) => Err(unreadable(&self.client, &table, &unread)),
            };
            answer.push(values.into_iter().map(row).collect::<Result<Vec<Row>, Fault>>()?);
        }
        Ok(answer)
    }
}

/// A place in the service's own words.
#[derive(Debug, PartialEq)]
struct Place {
    full: bool,
    /// The properties that the link selects: a read of other ones cannot go on from it.
    select: String,
    link: String,
}

impl Place {
    /// `full name,accountid <link>` in the middle of a full read, `since name,accountid <link>` otherwise.
    fn parse(text: &str) -> Option<Place> {
        let mut words = text.splitn(3, ' ');
        let full = match words.next()? {
            "full" => true,
            "since" => false,
            _ => return None,
        };
        let (select, link) = (words.next()?.to_owned(), words.next()?.to_owned());
        // Only below the root of this environment: a cursor never leads to another host.
        (link.contains('?') && !link.contains("://")).then_some(Place { full, select, link })
    }

    fn to_text(&self) -> String {
        let word = if self.full { "full" } else { "since" };
        format!("{word} {} {}", self.select, self.link)
    }
}

/// A link without the address of the environment, so that a cursor holds no host and goes to no other one.
fn below_root(link: &str) -> String {
    link.split_once(API).map_or_else(|| link.to_owned(), |(_, rest)| rest.to_owned())
}

fn select(table: &Table, columns: &Columns) -> String {
    let mut select = columns.properties();
    if !select.contains(&table.primary_id) {
        select.push(table.primary_id.clone());
    }
    select.join(",")
}

fn start(table: &Table, select: &str) -> String {
    // Tracking takes no order; without it, only an order makes pages that neither skip nor repeat.
    let order = if table.change_tracking { String::new() } else { format!("&$orderby={}", table.primary_id) };
    format!("{}?$select={select}{order}", table.set)
}

/// The link has expired, or the table has changed under it: what it stood for has to be read again.
fn is_lost(fault: &Fault) -> bool {
    fault
        .why
        .as_ref()
        .is_some_and(|why| why.code.as_deref() == Some(EXPIRED_TOKEN) || matches!(why.status, Some(400 | 404 | 410)))
}

struct Pages {
    client: Client,
    names: Arc<Names>,
    table: Arc<Table>,
    columns: Columns,
    schema: Arc<Schema>,
    key: Vec<String>,
    select: String,
    /// Where the next page is.
    url: Option<String>,
    headers: Vec<(&'static str, String)>,
    full: bool,
    why: Option<String>,
    /// The first page, asked for when the read was opened.
    first: Option<Answer>,
}

impl Reader for Pages {
    fn kind(&self) -> ReadKind {
        if self.full { ReadKind::Full { why: self.why.clone() } } else { ReadKind::Changes }
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>, Fault>> {
        Box::pin(async move {
            if self.url.is_none() {
                return Ok(None);
            }
            let answer = match self.first.take() {
                Some(answer) => answer,
                None => self.ask().await?,
            };
            self.page(&answer).await.map(Some)
        })
    }
}

impl Pages {
    async fn ask(&self) -> Result<Answer, Fault> {
        let url = self.url.clone().expect("asked only while there is a next page");
        let mut call = Call::get(url, READ);
        call.headers = self.headers.clone();
        let answer = self.client.send(&call).await?;
        if answer.status == 200 {
            return Ok(answer);
        }
        Err(refusal::of_answer(&answer, READ).at_system(self.client.system()).at_table(&self.table.name))
    }

    async fn page(&mut self, answer: &Answer) -> Result<Page, Fault> {
        let told = told(answer).ok_or_else(|| rows::rubbish(&self.client, &self.table, READ))?;
        let Told { found, deleted, next, delta } = told;
        let place = |full, link: &String| Place { full, select: self.select.clone(), link: link.clone() }.to_text();
        let cursor = match (&next, &delta) {
            (Some(link), _) => Some(place(self.full, link)),
            (None, Some(link)) => Some(place(false, link)),
            (None, None) => None,
        };
        let values = self.columns.values(&self.client, &self.names, &found, READ).await?;
        let mut batch = Batch::builder(self.schema.clone());
        let mut bad = Vec::new();
        for one in values {
            match one {
                Ok(values) => values.iter().for_each(|value| batch.push(value.as_ref())),
                Err(unread) => {
                    let mut fault = unreadable(&self.client, &self.table, &unread);
                    let row = Row::new(self.schema.clone(), unread.values);
                    let key: Vec<String> =
                        self.key.iter().filter_map(|name| row.get(name)).map(Value::to_string).collect();
                    if !key.is_empty() {
                        fault = fault.at_key(key.join("|"));
                    }
                    bad.push(Unreadable { row, fault });
                }
            }
        }
        self.url = next;
        Ok(Page { batch: batch.finish(), unreadable: bad, deleted, cursor })
    }
}

/// What one page of an answer says.
struct Told {
    found: Vec<Found>,
    deleted: Vec<Arc<str>>,
    next: Option<String>,
    delta: Option<String>,
}

fn told(answer: &Answer) -> Option<Told> {
    let body = json::object(&answer.body)?;
    let list = json::rows(body.get("value")?)?;
    let (mut found, mut deleted) = (Vec::with_capacity(list.len()), Vec::new());
    for raw in list {
        let row = Found::of(raw)?;
        match (row.text("@odata.context").is_some_and(|c| c.ends_with("$deletedEntity")), row.text("id")) {
            (true, Some(id)) => deleted.push(id.into()),
            _ => found.push(row),
        }
    }
    let link = |name: &str| json::member(&body, name).map(|link| below_root(&link));
    Some(Told { found, deleted, next: link("@odata.nextLink"), delta: link("@odata.deltaLink") })
}

fn unreadable(client: &Client, table: &Table, unread: &Unread) -> Fault {
    Fault::reject(Code("IB0606"), format!("column `{}` of `{}`: {}", unread.column, table.name, unread.why))
        .at_system(client.system())
        .at_table(&table.name)
        .at_column(&unread.column)
        .fix("look at the row in Dynamics")
}

/// The texts of an answer, for those that only want to know that it is one.
pub(crate) fn text_of(answer: &Answer, name: &str) -> Option<String> {
    let body = json::object(&answer.body)?;
    json::member(&body, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_holds_no_host() {
        let link = "https://contoso.crm11.dynamics.com/api/data/v9.2/accounts?$select=name&$deltatoken=9!1";
        assert_eq!(below_root(link), "accounts?$select=name&$deltatoken=9!1");
        let place = Place { full: false, select: "name,accountid".into(), link: below_root(link) };
        assert_eq!(Place::parse(&place.to_text()), Some(place));
        for text in ["", "since", "since x", "later x accounts?x", "since x https://evil.example/?x", r#"{"v":1}"#] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }
}
