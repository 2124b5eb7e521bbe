//! The systems of these tests. `dynamics` has a table, and no rows in it; of the rest nobody knows the secret.

use std::sync::Arc;

use record::catalog::{Catalog, Table, TableColumn, TableKey};
use record::{
    BoxFuture, Code, Column, Fault, Health, Key, ReadSpec, Reader, Row, Sink, Source, System, Type, WriteSpec,
};

pub struct Systems;

impl hub::Systems for Systems {
    fn open(&self, name: &str) -> Result<Arc<dyn System>, Fault> {
        match name {
            "dynamics" => Ok(Arc::new(Empty)),
            name => Err(Fault::ask_person(Code("IB0006"), format!("`{name}` lacks a secret")).fix("give it its value")),
        }
    }
}

struct Empty;

fn no_rows() -> Fault {
    Fault::ask_person(Code("IB0006"), "there are no rows here").fix("look at another system")
}

impl System for Empty {
    fn check(&self) -> BoxFuture<'_, Result<Health, Fault>> {
        Box::pin(std::future::ready(Err(no_rows())))
    }

    fn catalog<'a>(&'a self, tables: &'a [&'a str]) -> BoxFuture<'a, Result<Catalog, Fault>> {
        let text = |name: &str| TableColumn {
            column: Column { name: name.into(), ty: Type::Text { max_length: Some(160) } },
            required: false,
            writable: true,
            labels: Vec::new(),
        };
        let key = |name: &str, primary| TableKey { columns: vec![name.to_owned()], primary, active: true };
        let table = |name: &&str| Table {
            name: (*name).to_owned(),
            columns: ["accountid", "accountnumber", "name", "emailaddress1", "paymenttermscode"].map(text).into(),
            keys: vec![key("accountid", true), key("accountnumber", false)],
        };
        let tables = tables.iter().map(table).collect();
        Box::pin(std::future::ready(Ok(Catalog { tables })))
    }

    fn source(&self, _: ReadSpec) -> Result<Arc<dyn Source>, Fault> {
        Ok(Arc::new(Empty))
    }

    fn sink(&self, _: WriteSpec) -> Result<Arc<dyn Sink>, Fault> {
        Err(no_rows())
    }
}

impl Source for Empty {
    fn read<'a>(&'a self, _: Option<&'a str>) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        Box::pin(std::future::ready(Err(no_rows())))
    }

    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Row>>, Fault>> {
        Box::pin(std::future::ready(Ok(keys.iter().map(|_| None).collect())))
    }
}
