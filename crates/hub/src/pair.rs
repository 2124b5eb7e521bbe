//! One entity on its way from one system to another.

use std::sync::Arc;
use std::time::Duration;

use mapping::{ReadMapping, WriteMapping};
use record::{Entity, Sink, Source};

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
}

impl Pair {
    /// Changes when either mapping does.
    pub fn fingerprint(&self) -> u64 {
        self.read.fingerprint() ^ self.write.fingerprint().rotate_left(32)
    }
}
