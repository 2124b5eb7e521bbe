//! Every kind of system, one line each.

use std::sync::Arc;

use record::{Fault, Kind, Options, System};

use crate::{dataverse, files, mysql, odata, postgres, rest, sqlite, sqlserver};

/// Opens a system from its name in the project and its options.
pub type Open = fn(&str, Options) -> Result<Arc<dyn System>, Fault>;

/// One kind of system, and how to open one of it.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub kind: &'static Kind,
    /// Opens a system of this kind: its name in the project, and its resolved `connection:`. Does no IO.
    ///
    /// *Errors*: an option that is missing or makes no sense.
    pub open: Open,
}

static ALL: &[Entry] = &[
    Entry { kind: &dataverse::KIND, open: dataverse::open },
    Entry { kind: &files::KIND, open: files::open },
    Entry { kind: &mysql::KIND, open: mysql::open },
    Entry { kind: &odata::KIND, open: odata::open },
    Entry { kind: &postgres::KIND, open: postgres::open },
    Entry { kind: &rest::KIND, open: rest::open },
    Entry { kind: &sqlite::KIND, open: sqlite::open },
    Entry { kind: &sqlserver::KIND, open: sqlserver::open },
];

/// Every kind of system. *Shape*: sorted by name.
pub fn all() -> &'static [Entry] {
    ALL
}

pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    all().iter().map(|entry| entry.kind)
}

/// The kind with this name after `kind:`.
pub fn find(name: &str) -> Option<&'static Entry> {
    all().iter().find(|entry| entry.kind.name == name)
}
