//! How a system is told to send its events here.

use crate::Secret;

/// What a system should send, and where.
#[derive(Debug, Clone)]
pub struct Registration {
    /// By which it is known there: of the integration.
    pub name: String,
    /// `https://hub.contoso.example/webhooks/orders`. Empty: as it is registered already.
    pub url: String,
    /// The header of the key, and the key.
    pub header: String,
    pub key: Secret,
    pub table: String,
    pub created: bool,
    pub updated: bool,
    pub deleted: bool,
    /// An update is sent when one of these was written; empty for any.
    pub columns: Vec<String>,
    /// The columns that name a row: sent with a deletion, since the row can no longer be asked.
    pub key_columns: Vec<String>,
    /// The columns that are sent with every event, where the row is not asked for. Empty: none.
    pub sent: Vec<String>,
}

/// A key by which rows of a table are written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WantedKey {
    pub table: String,
    pub columns: Vec<String>,
}

/// What is different there, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub how: How,
    /// In the system's own nouns: `step ironbridge orders: Update of salesorder`.
    pub what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Same,
    Add,
    Change,
    Remove,
}
