//! What goes to a destination, and what it answers.

use std::sync::Arc;

use crate::{Code, Fault, Key, Row, Scope};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    Upsert,
    /// As an upsert, of a row that was just there: one that is gone by now is not made of the columns that differ.
    ///
    /// *Errors*: [`gone_meanwhile`], where the destination can tell.
    Update,
    /// The row that `remote_id` names gets the key and the columns: it was there before we knew of it.
    Adopt,
    Delete,
}

/// One row on its way to a destination, in that destination's columns.
///
/// *Shape*: `key` holds the values of [`crate::WriteSpec::key`], in that order; `columns` holds the other columns to
/// write, and a column that is not in it is left alone (absent is not blank).
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub op: Op,
    pub key: Key,
    pub columns: Row,
    /// The destination's own id, where an earlier write or read learned it.
    pub remote_id: Option<Arc<str>>,
    /// Write only if the row is still at this version.
    pub if_version: Option<Arc<str>>,
}

/// The fault of an [`Op::Update`] whose row is not there any more.
pub fn gone_meanwhile() -> Fault {
    Fault::retry(Code("IB0511"), "the row was deleted meanwhile", None)
        .scope(Scope::Row)
        .fix("nothing: it is looked at again, and what is to be there then is written as a whole")
}

/// What the destination did with one change.
pub type Outcome = Result<Written, Fault>;

/// A change that took effect, or was already there.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    pub effect: Effected,
    pub remote_id: Option<Arc<str>>,
    pub version: Option<Arc<str>>,
    /// Columns that the destination gave back, such as its own number.
    pub returned: Option<Row>,
}

/// What became of a row that was to be created without a look at what is there.
#[derive(Debug, Clone, PartialEq)]
pub enum Attempt {
    Created(Written),
    /// Nothing was written: others of its request were refused, or rows like it are not created so. What is wrong with
    /// it, if anything, the usual way tells.
    Not,
    /// The answer was lost: it may be there now.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effected {
    Created,
    Updated,
    Unchanged,
    Deleted,
    /// It is there now; whether it was before, the destination does not say.
    Upserted,
}

/// A row as the destination has it now.
#[derive(Debug, Clone, PartialEq)]
pub struct Current {
    pub remote_id: Option<Arc<str>>,
    pub version: Option<Arc<str>>,
    pub columns: Row,
    /// What a write gives back too, such as the destination's own number.
    pub returned: Option<Row>,
}
