//! Reading an entity set: whole, what changed, or by keys.

use std::sync::Arc;

use record::{BoxFuture, Code, Fault, Key, ReadSpec, Reader, Row, Source, Type, Value};
use reqwest::Method;

use super::{Service, filter};
use crate::http::client::Sent;
use crate::http::typed;
use crate::rest::paging::Paging;
use crate::rest::source::{self, List, What};
use crate::rest::template::Template;

/// Rows that one question by key asks for: a URL holds so many.
const KEYS_PER_QUESTION: usize = 15;

pub(super) struct Rows {
    service: Arc<Service>,
    spec: ReadSpec,
}

impl Rows {
    pub fn new(service: Arc<Service>, spec: ReadSpec) -> Rows {
        Rows { service, spec }
    }

    /// What is read, in the types of `$metadata`. *Errors*: no such set, no such column.
    async fn what(&self) -> Result<What, Fault> {
        let set = self.service.set(&self.spec.table, "IB0602").await?;
        let mut spec = self.spec.clone();
        for column in &self.spec.columns {
            let own = column.split('.').next().unwrap_or(column);
            let ty = set.type_of(own).ok_or_else(|| {
                let what = format!("`{}` of `{}` has no column `{own}`", spec.table, self.service.client.system());
                Fault::ask_person(Code("IB0603"), what)
                    .at_system(self.service.client.system())
                    .at_table(&spec.table)
                    .at_column(own)
                    .fix("correct the mapping; names are as `$metadata` has them")
            })?;
            let ty = if own == column { ty.clone() } else { Type::Unknown };
            spec.declared.push((column.clone(), ty));
        }
        Ok(What::new(self.service.client.clone(), spec))
    }

    /// The columns that the service is to send.
    fn select(&self) -> String {
        let mut columns: Vec<&str> = Vec::new();
        for column in &self.spec.columns {
            let own = column.split('.').next().unwrap_or(column);
            if !columns.contains(&own) {
                columns.push(own);
            }
        }
        columns.join(",")
    }

    fn list(&self, what: &What) -> Result<List, Fault> {
        let only = self.spec.options.text("only").map(str::to_owned);
        let request = |filter: Option<String>| {
            let filters: Vec<String> = only.iter().chain(&filter).map(|part| format!("({part})")).collect();
            let mut options = vec![("$select", self.select())];
            if !filters.is_empty() {
                options.push(("$filter", filters.join(" and ")));
            }
            // The place of the watermark is filled in when it is known.
            let path = self.service.path(&self.spec.table, &options).replace(&odata::encode("{since}"), "{since}");
            Template::parse(&format!("GET {path}"))
                .map_err(|why| Fault::stop(Code("IB0510"), why).fix("correct `only:`"))
        };
        let changes = match &self.spec.watermark {
            None => None,
            Some(watermark) => {
                let declared = what.spec.declared.iter().find(|(name, _)| *name == watermark.column);
                let quote = if matches!(declared, Some((_, Type::Text { .. }))) { "'" } else { "" };
                Some(request(Some(format!("{} ge {quote}{{since}}{quote}", watermark.column)))?)
            }
        };
        let page_rows = (self.service.page_rows as usize).min(self.spec.rows_per_batch).max(1);
        Ok(List {
            request: request(None)?,
            changes,
            rows: "value".to_owned(),
            paging: Paging::link("@odata.nextLink"),
            headers: vec![("Prefer".to_owned(), format!("odata.maxpagesize={page_rows}"))],
        })
    }
}

impl Source for Rows {
    fn read<'a>(&'a self, cursor: Option<&'a str>) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        Box::pin(async move {
            let what = self.what().await?;
            let list = self.list(&what)?;
            source::read(Arc::new(what), list, cursor).await
        })
    }

    /// One row, of what a read would ask for.
    fn probe(&self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            let client = &self.service.client;
            let mut options = vec![("$top", "1".to_owned())];
            options.extend(self.spec.options.text("only").map(|only| ("$filter", only.to_owned())));
            let path = self.service.path(&self.spec.table, &options);
            let answer = client.send(&Method::GET, &path, Sent::default()).await?.ok_or_else(|| {
                Fault::ask_person(Code("IB0602"), format!("`{}` has nothing at {path}", client.system()))
                    .at_system(client.system())
                    .at_table(&self.spec.table)
                    .fix("compare `table:` with `$metadata`, and ask whether the service shows it to this user")
            })?;
            source::list(client, &answer.json, "value", "table").map(drop)
        })
    }

    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Row>>, Fault>> {
        Box::pin(async move {
            let what = self.what().await?;
            let mut found = Vec::with_capacity(keys.len());
            for some in keys.chunks(KEYS_PER_QUESTION) {
                let values: Vec<Vec<Value>> = some.iter().map(Key::parts).collect();
                let options = [("$select", self.select()), ("$filter", filter::one_of(&self.spec.key, &values))];
                let path = self.service.path(&self.spec.table, &options);
                let answer = what.client.send(&Method::GET, &path, Sent::default()).await?.unwrap_or_default();
                let rows = source::list(&what.client, &answer.json, "value", "table")?;
                let rows = rows.iter().map(|row| what.row(row).map_err(|unreadable| unreadable.fault));
                let rows = rows.collect::<Result<Vec<Row>, Fault>>()?;
                for wanted in &values {
                    let own = |row: &&Row| {
                        self.spec
                            .key
                            .iter()
                            .zip(wanted)
                            .all(|(column, value)| row.get(column).is_some_and(|found| typed::same(found, value)))
                    };
                    found.push(rows.iter().find(own).cloned());
                }
            }
            Ok(found)
        })
    }
}
