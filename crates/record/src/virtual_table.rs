//! How a system is told to show rows that are asked for elsewhere: a virtual table.

use crate::{Secret, Type};

/// A virtual table as the system that shows it should have it.
#[derive(Debug, Clone)]
pub struct VirtualTable {
    /// Its name there: `new_stock`.
    pub table: String,
    pub label: String,
    /// Of the columns and tables that are made: `new_`.
    pub prefix: String,
    /// The name of the entity set, and of the type of its rows.
    pub set: String,
    /// `https://hub.contoso.example/odata/warehouse/`. Empty: as it is there already.
    pub url: String,
    /// By which the address is known there; tables of one address share it.
    pub source: String,
    /// How long the other side is to wait. *Shape*: at most 120.
    pub timeout_seconds: u64,
    /// The header of the key, and the key; nothing where the service asks for none.
    pub key: Option<(String, Secret)>,
    /// The property that is the key.
    pub id: String,
    /// *Shape*: one of them is the name of a row.
    pub columns: Vec<VirtualColumn>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct VirtualColumn {
    /// Its name in the answers of the service.
    pub property: String,
    /// Its name there: `new_quantity`.
    pub column: String,
    pub label: String,
    pub ty: Type,
    pub required: bool,
    /// Whether rows are called by it.
    pub is_name: bool,
    /// The virtual table that it refers to; then the property is the key of a row of that.
    pub refers_to: Option<String>,
}

/// What was different there, and what had to wait.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Published {
    pub differences: Vec<crate::Difference>,
    /// What is left out for now, and why.
    pub notes: Vec<String>,
}
