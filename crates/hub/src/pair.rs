//! One entity on its way from one system to another.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mapping::{ReadMapping, WriteMapping};
use record::hash::RowHasher;
use record::{Entity, Sink, Source, ValueRef};

use crate::gone::Gone;
use crate::lines::LineSource;

/// The compiled path of one entity: a source, the two mappings with the entity between them, and a sink.
pub struct Pair {
    pub entity: Arc<Entity>,
    pub from: String,
    pub to: String,
    pub source: Arc<dyn Source>,
    pub sink: Arc<dyn Sink>,
    pub read: ReadMapping,
    pub write: WriteMapping,
    /// The table of the source.
    pub from_table: String,
    /// The table of the destination.
    pub table: String,
    /// The columns of the destination's alternate key.
    pub key_columns: Vec<String>,
    /// The columns by which a row that is there already is taken for ours.
    pub match_existing: Vec<String>,
    /// How long a row waits for one that it points to, and which the destination does not have yet.
    pub patience: Duration,
    /// What reads the lines of a row, where the destination gets them.
    pub lines: Vec<LineSource>,
    /// The source can be asked for rows by the entity's key.
    pub source_by_key: bool,
    pub gone: Gone,
    /// The source only ever tells what is there: what is gone is found by reading everything.
    pub reads_all: bool,
    /// Which rows of the source are read, and how they are understood, beside the mapping.
    pub origin: u64,
    /// Where in its system the destination has its rows, in words: the ledger is about these.
    pub place: String,
}

impl Pair {
    /// Changes when either mapping does.
    pub fn fingerprint(&self) -> u64 {
        self.read.fingerprint() ^ self.write.fingerprint().rotate_left(32)
    }

    /// The columns that have to be known of a row of the destination before it is written.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut asked = self.key_columns.clone();
        // A row that is replaced keeps what only a new one gets.
        let kept = if self.sink.replaces() { self.write.columns() } else { Vec::new() };
        for column in self.write.compared().into_iter().chain(kept) {
            if !asked.contains(&column) {
                asked.push(column);
            }
        }
        asked
    }

    /// What a position belongs to: the mapping, what is read, and where it goes.
    pub fn reached_by(&self) -> ReachedBy {
        let to = format!("{} {}", self.to, self.place);
        ReachedBy {
            mapping: self.fingerprint(),
            way: RowHasher::default().hash([ValueRef::Text(&to)]) as u64 ^ self.origin,
        }
    }
}

/// What a position was reached by. *Shape*: as text, two numbers of 16 digits with a dash between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReachedBy {
    pub mapping: u64,
    pub way: u64,
}

impl ReachedBy {
    /// Why a position that was reached by anything else is none to go on from. Earlier versions noted the mapping alone.
    pub fn left(self, noted: &str) -> Option<&'static str> {
        let (mapping, way) = noted.split_once('-').map_or((noted, None), |(mapping, way)| (mapping, Some(way)));
        if mapping != format!("{:016x}", self.mapping) {
            return Some("the mapping has changed");
        }
        let same = way.is_none_or(|way| way == format!("{:016x}", self.way));
        (!same).then_some("what is read, or where it goes, is not what it was")
    }
}

impl fmt::Display for ReachedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}", self.mapping, self.way)
    }
}
