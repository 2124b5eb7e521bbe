//! A batch integration that goes both ways between two systems.
//!
//! Each side is read for what changed; for each such row both sides are looked at, merged field by field against what they
//! last agreed on ([`merge`]), and each side is given what it lacks. Then the agreement, the counts, the dead letters and
//! (with the last rows of a page) the side's position are committed together. A crash before that repeats a merge that
//! finds the one side written already, and completes the other.
//!
//! *Counts*: a row is read once on each side that is looked at. A row that the agreement knows as it is counts once; one
//! that is merged counts twice, and each of its sides ends as created, updated, deleted, unchanged, rejected or skipped.

mod adopt;
mod commit;
mod compile;
mod cycles;
mod decide;
mod exchange;
mod letters;
mod look;
mod memory;
mod merge;
mod pass;
mod plan;
mod prepare;
mod run;

use std::sync::Arc;

use jiff::tz::TimeZone;
use mapping::{ReadMapping, WriteMapping};
use record::hash::RowHasher;
use record::{Entity, KeyRules, Sink, ValueRef};

pub(crate) use compile::joints;
pub(crate) use letters::retry;
pub use letters::{Decided, decide, is_dispute};
pub(crate) use plan::{joined, plan};
pub(crate) use run::run;

use crate::pair::{Pair, ReachedBy};
pub(crate) use merge::Which;
use merge::{Both, Rules};

/// One entity that goes both ways.
pub(crate) struct Joint {
    pub entity: Arc<Entity>,
    pub sides: Both<Side>,
    pub rules: Rules,
    /// The place of the field that says which version of a row is newer, where both sides read it.
    pub version: Option<usize>,
    pub fingerprint: u64,
    /// Where the two sides have their rows, in words: agreements are about these.
    pub place: String,
    /// How keys are compared where the two sides differ in that: the looser way.
    pub key_rules: KeyRules,
}

/// One of its two systems.
pub(crate) struct Side {
    pub name: String,
    /// The path from this side to the other one: this side's source, and the other side's sink.
    pub pair: Pair,
    /// The column that says when a row was changed.
    pub changed: Option<String>,
    pub zone: Option<TimeZone>,
    /// What its rows hold in the columns by which one that was there before the hub is known again.
    pub matching: Option<Box<WriteMapping>>,
}

impl Joint {
    pub fn name(&self, side: Which) -> &str {
        &self.sides[side].name
    }

    /// The path that begins at this side.
    pub fn from(&self, side: Which) -> &Pair {
        &self.sides[side].pair
    }

    /// The path that ends at this side.
    pub fn into(&self, side: Which) -> &Pair {
        &self.sides[side.other()].pair
    }

    pub fn read(&self, side: Which) -> &ReadMapping {
        &self.from(side).read
    }

    pub fn write(&self, side: Which) -> &WriteMapping {
        &self.into(side).write
    }

    pub fn sink(&self, side: Which) -> &dyn Sink {
        &*self.into(side).sink
    }

    /// Rows that are merged at a time.
    pub fn rows_per_chunk(&self) -> usize {
        self.sink(Which::Left).rows_per_chunk().min(self.sink(Which::Right).rows_per_chunk()).max(1)
    }

    /// What a position of a side belongs to.
    pub fn reached_by(&self, side: Which) -> ReachedBy {
        let way = RowHasher::default().hash([ValueRef::Text(&self.place)]) as u64 ^ self.from(side).origin;
        ReachedBy { mapping: self.fingerprint, way }
    }

    /// The stream of the cursor that says how far a side was read.
    pub fn stream(&self, side: Which) -> String {
        format!("{}/{}", self.entity.name, self.name(side))
    }
}
