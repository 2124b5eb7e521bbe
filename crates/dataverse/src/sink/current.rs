//! The rows that the service has now, with the columns that a mapping compares.

use std::sync::Arc;

use record::{Column, Current, Fault, Key, Row, Schema, Type, Value, WriteLines};

use super::Rows;
use crate::columns::{Columns, Unread};
use crate::lines;
use crate::refusal::WRITE;
use crate::rows::{self, Found};
use crate::table::Table;

impl Rows {
    pub(super) async fn read(&self, keys: &[Key], columns: &[String]) -> Result<Vec<Option<Current>>, Fault> {
        let table = self.table().await?;
        let (columns, lines) = self.apart(columns);
        let wanted = Columns::of(&self.client, &table, &columns, WRITE).await?;
        let parts = self.keys(keys.iter()).await?;
        // A key that points to a row which is not there has no row.
        let known: Vec<Vec<Value>> = parts.iter().filter_map(|parts| parts.as_ref().ok().cloned()).collect();
        let found = rows::by_key(&self.client, &table, &self.spec.key, &known, &wanted.properties(), WRITE).await?;
        let firsts: Vec<Vec<Found>> = found.into_iter().map(|rows| rows.into_iter().take(1).collect()).collect();
        let mut currents = self.currents(&table, &wanted, firsts).await?.into_iter();
        let current = |parts: Result<Vec<Value>, Fault>| match parts {
            Ok(_) => currents.next().and_then(|rows| rows.into_iter().next()),
            Err(_) => None,
        };
        self.with_lines(parts.into_iter().map(current).collect(), &lines).await
    }

    pub(super) async fn of_ids(&self, ids: &[Arc<str>], columns: &[String]) -> Result<Vec<Option<Current>>, Fault> {
        let table = self.table().await?;
        let (columns, lines) = self.apart(columns);
        let wanted = Columns::of(&self.client, &table, &columns, WRITE).await?;
        // What is no id of this service names no row of it.
        let known: Vec<Vec<Value>> =
            ids.iter().filter_map(|id| id.parse().ok()).map(|id| vec![Value::Guid(id)]).collect();
        let by = [table.primary_id.clone()];
        let found = rows::by_key(&self.client, &table, &by, &known, &wanted.properties(), WRITE).await?;
        let mut currents = self.currents(&table, &wanted, found).await?.into_iter().map(|rows| rows.into_iter().next());
        let is_id = |id: &Arc<str>| id.parse::<uuid::Uuid>().is_ok();
        let found = ids.iter().map(|id| if is_id(id) { currents.next().flatten() } else { None }).collect();
        self.with_lines(found, &lines).await
    }

    pub(super) async fn search(
        &self,
        by: &[String],
        values: &[Vec<Value>],
        columns: &[String],
    ) -> Result<Vec<Vec<Current>>, Fault> {
        let table = self.table().await?;
        let (columns, lines) = self.apart(columns);
        let wanted = Columns::of(&self.client, &table, &columns, WRITE).await?;
        let found = rows::by_key(&self.client, &table, by, values, &wanted.properties(), WRITE).await?;
        let found = self.currents(&table, &wanted, found).await?;
        let mut answer = Vec::with_capacity(found.len());
        for rows in found {
            let rows = self.with_lines(rows.into_iter().map(Some).collect(), &lines).await?;
            answer.push(rows.into_iter().flatten().collect());
        }
        Ok(answer)
    }

    /// Rows as they came, with their values read.
    async fn currents(
        &self,
        table: &Table,
        wanted: &Columns,
        found: Vec<Vec<Found>>,
    ) -> Result<Vec<Vec<Current>>, Fault> {
        let all: Vec<Found> = found.iter().flatten().cloned().collect();
        let mut values = wanted.values(&self.client, &self.names, &all, WRITE).await?.into_iter();
        let schema: Arc<Schema> = wanted.schema();
        let mut one = |row: &Found| {
            let values: Result<Vec<Value>, Unread> = values.next().expect("each row has its values");
            // What cannot be read differs from anything that is to be written, and is overwritten.
            let values = values.unwrap_or_else(|unread| unread.values);
            Current {
                remote_id: row.id(table),
                version: row.version(),
                columns: Row::new(schema.clone(), values),
                returned: None,
            }
        };
        Ok(found.iter().map(|rows| rows.iter().map(&mut one).collect()).collect())
    }

    /// The columns of the table itself, and the lines, which are rows of others.
    fn apart(&self, columns: &[String]) -> (Vec<String>, Vec<&WriteLines>) {
        let lines = self.spec.lines.iter().filter(|lines| columns.contains(&lines.table)).collect();
        (columns.iter().filter(|column| !self.is_lines(column)).cloned().collect(), lines)
    }

    async fn with_lines(
        &self,
        mut currents: Vec<Option<Current>>,
        lines: &[&WriteLines],
    ) -> Result<Vec<Option<Current>>, Fault> {
        for spec in lines {
            let ids: Vec<Arc<str>> = currents.iter().flatten().filter_map(|row| row.remote_id.clone()).collect();
            let mut found = lines::current(&self.client, &self.names, spec, &ids).await?.into_iter();
            for row in currents.iter_mut().flatten().filter(|row| row.remote_id.is_some()) {
                let column = Column { name: spec.table.as_str().into(), ty: Type::Unknown };
                row.columns = row.columns.clone().with(column, Value::Rows(found.next().unwrap_or_default()));
            }
        }
        Ok(currents)
    }
}
