//! What the journal is told of a chunk: each row that was written or given up on, in the commit that settles it.

use record::Key;
use store::Op;
use store::journal::{self, Note, What};
use store::runs::RunId;

use super::Chunk;
use crate::gone::Gone;
use crate::pair::Pair;

/// Nothing where nothing changed: rows that are as they were leave no trace.
pub(super) fn of(integration: &str, pair: &Pair, run: RunId, chunk: &Chunk) -> Option<Op> {
    let note = |key: &Key, what| {
        let note = Note::new(&pair.entity.name, &key.to_string(), what, integration, &pair.to);
        Note { run: Some(run), ..note }
    };
    let gone = match pair.gone {
        Gone::Deactivate { .. } => What::Deactivated,
        Gone::Delete | Gone::Ignore => What::Deleted,
    };
    let written = [(&chunk.created, What::Created), (&chunk.updated, What::Updated), (&chunk.gone, gone)];
    let written = written.into_iter().flat_map(|(keys, what)| keys.iter().map(move |key| note(key, what)));
    let rejected = chunk.rejected.iter().map(|rejected| {
        let why = rejected.faults.first().map(|fault| format!("{} {fault}", fault.code)).unwrap_or_default();
        Note { detail: why, ..note(&rejected.key, What::DeadLetter) }
    });
    let notes: Vec<Note> = written.chain(rejected).collect();
    (!notes.is_empty()).then(|| journal::Op::Note(notes).into())
}
