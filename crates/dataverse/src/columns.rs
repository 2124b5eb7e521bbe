//! The columns of a read: a table's own, and those behind its lookups.
//!
//! `name` is a column; `parentaccountid` alone is a reference by the other table's alternate key; and
//! `transactioncurrencyid.isocurrencycode` is a column of the row that the lookup points to. What is behind a lookup is
//! read separately, since `$expand` does not go with change tracking.

use std::sync::Arc;

use record::{Code, Column, Fault, Reference, Schema, Type, Value};

use crate::client::Client;
use crate::refusal::Codes;
use crate::rows::{Found, Names};
use crate::table::{Attribute, Kind, Table};
use crate::value;

pub(crate) struct Columns {
    wanted: Vec<Wanted>,
}

struct Wanted {
    name: String,
    own: Attribute,
    /// Behind a lookup: for each table that it may point to, what is read there.
    behind: Vec<Behind>,
    /// One column of the other row, rather than a reference to it.
    through: bool,
}

struct Behind {
    table: Arc<Table>,
    columns: Vec<Attribute>,
}

/// A row with a value that could not be read; its place in `values` is blank.
pub(crate) struct Unread {
    pub values: Vec<Value>,
    pub column: String,
    pub why: String,
}

impl Columns {
    /// *Errors*: `no_column` of the codes, for a column that the table does not have.
    pub async fn of(client: &Client, table: &Table, names: &[String], codes: Codes) -> Result<Columns, Fault> {
        let none = |table: &str, name: &str| {
            Fault::ask_person(Code(codes.no_column), format!("`{table}` has no column `{name}`"))
                .at_system(client.system())
                .at_table(table)
                .at_column(name)
                .fix("check the column in the mapping against the table")
        };
        let mut wanted = Vec::with_capacity(names.len());
        for name in names {
            let (first, rest) = name.split_once('.').map_or((name.as_str(), None), |(first, rest)| (first, Some(rest)));
            let own = table.column(first).ok_or_else(|| none(&table.name, first))?.clone();
            let mut behind = Vec::new();
            if let Kind::Lookup { targets } = &own.kind {
                for target in targets {
                    let far = client.table(&target.table, codes).await?;
                    let columns = match rest {
                        Some(rest) => far.column(rest).cloned().into_iter().collect(),
                        None => business_key(&far),
                    };
                    if !columns.is_empty() {
                        behind.push(Behind { table: far, columns });
                    }
                }
            }
            if let Some(rest) = rest
                && behind.is_empty()
            {
                return Err(none(&table.name, &format!("{first}.{rest}")));
            }
            wanted.push(Wanted { name: name.clone(), own, behind, through: rest.is_some() });
        }
        Ok(Columns { wanted })
    }

    /// For `$select`.
    pub fn properties(&self) -> Vec<String> {
        let mut properties: Vec<String> = self.wanted.iter().map(|wanted| wanted.own.property()).collect();
        properties.sort();
        properties.dedup();
        properties
    }

    pub fn schema(&self) -> Arc<Schema> {
        let ty = |wanted: &Wanted| match (wanted.through, wanted.behind.first()) {
            (true, Some(behind)) => behind.columns[0].ty(),
            _ => wanted.own.ty(),
        };
        Schema::new(self.wanted.iter().map(|w| Column { name: w.name.as_str().into(), ty: ty(w) }).collect())
    }

    /// The values of these rows, in order.
    pub async fn values(
        &self,
        client: &Client,
        names: &Names,
        rows: &[Found],
        codes: Codes,
    ) -> Result<Vec<Result<Vec<Value>, Unread>>, Fault> {
        let mut columns: Vec<Vec<Result<Value, String>>> = Vec::with_capacity(self.wanted.len());
        for wanted in &self.wanted {
            columns.push(match &wanted.own.kind {
                Kind::Lookup { .. } => wanted.followed(client, names, rows, codes).await?,
                _ => rows.iter().map(|row| wanted.plain(row)).collect(),
            });
        }
        let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
        let mut answer = Vec::with_capacity(rows.len());
        for _ in rows {
            let mut wrong = None;
            let mut values = Vec::with_capacity(self.wanted.len());
            for (wanted, column) in self.wanted.iter().zip(&mut columns) {
                match column.next().expect("each column has a value for each row") {
                    Ok(value) => values.push(value),
                    Err(why) => {
                        values.push(Value::Blank);
                        wrong.get_or_insert((wanted.name.clone(), why));
                    }
                }
            }
            answer.push(match wrong {
                None => Ok(values),
                Some((column, why)) => Err(Unread { values, column, why }),
            });
        }
        Ok(answer)
    }
}

impl Wanted {
    fn plain(&self, row: &Found) -> Result<Value, String> {
        // A column without a value may be left out of a row.
        row.raw(&self.own.property()).map_or(Ok(Value::Blank), |raw| value::read(raw, &self.own))
    }

    async fn followed(
        &self,
        client: &Client,
        names: &Names,
        rows: &[Found],
        codes: Codes,
    ) -> Result<Vec<Result<Value, String>>, Fault> {
        let property = self.own.property();
        let id = |row: &Found| row.text(&property);
        let annotation = format!("{property}@Microsoft.Dynamics.CRM.lookuplogicalname");
        let Kind::Lookup { targets } = &self.own.kind else { return Ok(Vec::new()) };
        let target = |row: &Found| match targets.as_slice() {
            [only] => Some(only.table.clone()),
            _ => row.text(&annotation),
        };
        let mut values: Vec<Result<Value, String>> = rows
            .iter()
            .map(|row| match (id(row), target(row)) {
                (None, _) => Ok(Value::Blank),
                (Some(id), Some(of)) if !self.through => by_id(client, &of, &id),
                (Some(_), Some(of)) if !self.behind.iter().any(|behind| behind.table.name == of) => {
                    let column = self.name.rsplit('.').next().unwrap_or_default();
                    Err(format!("`{}` points to a row of `{of}`, which has no column `{column}`", self.own.name))
                }
                (Some(_), _) => Err(format!("the row that `{}` points to cannot be read", self.own.name)),
            })
            .collect();
        for behind in &self.behind {
            let here = |row: &Found| target(row).is_none_or(|table| table == behind.table.name);
            let ids: Vec<String> = rows.iter().filter(|row| here(row)).filter_map(&id).collect();
            if ids.is_empty() {
                continue;
            }
            let properties: Vec<String> = behind.columns.iter().map(Attribute::property).collect();
            let far = names.rows(client, &behind.table, &ids, &properties, codes).await?;
            for (value, row) in values.iter_mut().zip(rows).filter(|(_, row)| here(row)) {
                let Some(found) = id(row).and_then(|id| far.get(&id)) else { continue };
                let read = |column: &Attribute| {
                    found.raw(&column.property()).map_or(Ok(Value::Blank), |raw| value::read(raw, column))
                };
                if self.through {
                    *value = read(&behind.columns[0]);
                    continue;
                }
                let key: Result<Vec<_>, String> =
                    behind.columns.iter().map(|column| Ok((column.name.as_str().into(), read(column)?))).collect();
                // A row without a business key stays a reference by id.
                if let Ok(key) = key
                    && key.iter().all(|(_, part): &(Arc<str>, Value)| !part.is_blank())
                {
                    *value = Ok(Value::Reference(Box::new(Reference { of: behind.table.name.as_str().into(), key })));
                }
            }
        }
        Ok(values)
    }
}

fn by_id(client: &Client, table: &str, id: &str) -> Result<Value, String> {
    let id = id.parse().map_err(|_| "a lookup holds something else than an id".to_owned())?;
    let name = client.known_table(table).map_or_else(|| format!("{table}id"), |far| far.primary_id.clone());
    Ok(Value::Reference(Box::new(Reference { of: table.into(), key: vec![(name.into(), Value::Guid(id))] })))
}

/// The columns of the alternate key by which other tables are likely to name a row of this one: the shortest.
fn business_key(table: &Table) -> Vec<Attribute> {
    let plain = |columns: &[String]| -> Option<Vec<Attribute>> {
        let own = columns.iter().map(|name| table.column(name).cloned());
        own.collect::<Option<Vec<_>>>().filter(|all| all.iter().all(|c| !matches!(c.ty(), Type::Reference { .. })))
    };
    let mut keys: Vec<_> =
        table.keys.iter().filter(|key| key.active && !key.primary).filter_map(|key| plain(&key.columns)).collect();
    keys.sort_by_key(|columns| (columns.len(), columns[0].name.clone()));
    keys.into_iter().next().unwrap_or_default()
}
