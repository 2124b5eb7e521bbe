//! What a live system says of its own tables.

use crate::{Column, Type};

/// Tables and their columns, as the system has them now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalog {
    pub tables: Vec<Table>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub name: String,
    pub columns: Vec<TableColumn>,
    /// Primary and alternate keys: the columns of each, and whether it can be used now.
    pub keys: Vec<TableKey>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TableColumn {
    pub column: Column,
    /// Must have a value when a row is created.
    pub required: bool,
    pub writable: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TableKey {
    pub columns: Vec<String>,
    pub primary: bool,
    /// `false` while the system still builds it, or failed to.
    pub active: bool,
}

impl Catalog {
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }
}

impl Table {
    pub fn column(&self, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|c| &*c.column.name == name)
    }

    pub fn type_of(&self, column: &str) -> Option<&Type> {
        self.column(column).map(|c| &c.column.ty)
    }
}
