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
    /// The only texts that it holds, where it is an enumeration whose values are texts. *Shape*: empty for any other.
    pub labels: Vec<String>,
}

impl TableColumn {
    /// The only values that it holds, as texts; none where they may be any.
    pub fn options(&self) -> &[String] {
        match &self.column.ty {
            Type::Choice { values } => values,
            _ => &self.labels,
        }
    }
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

    /// The column that rows of other tables point to by their column `parent`: the one of the same name, else the
    /// primary key, else the alternate key, where it is one column.
    pub fn pointed_to_by(&self, parent: &str, key: &[String]) -> Option<String> {
        let one = |columns: &[String]| match columns {
            [one] => Some(one.clone()),
            _ => None,
        };
        if self.column(parent).is_some() {
            return Some(parent.to_owned());
        }
        let primary = self.keys.iter().find(|key| key.primary).and_then(|key| one(&key.columns));
        primary.or_else(|| one(key))
    }

    pub fn type_of(&self, column: &str) -> Option<&Type> {
        self.column(column).map(|c| &c.column.ty)
    }
}
