//! What the journal is told of a chunk: each row that was written or given up on, in the commit that settles it.

use store::Op;
use store::journal::{self, Note, What};
use store::runs::RunId;

use super::Chunk;
use crate::gone::Gone;
use crate::pair::Pair;

/// Nothing where nothing changed: rows that are as they were leave no trace.
pub(super) fn of(integration: &str, pair: &Pair, run: RunId, chunk: &Chunk) -> impl Iterator<Item = Op> + use<> {
    let note =
        |key: &str, what| Note { run: Some(run), ..Note::new(&pair.entity.name, key, what, integration, &pair.to) };
    let gone = match pair.gone {
        Gone::Deactivate { .. } => What::Deactivated,
        Gone::Delete | Gone::Ignore => What::Deleted,
    };
    let mut written = journal::Alike::new(&note("", What::Created));
    for (keys, what) in [(&chunk.created, What::Created), (&chunk.updated, What::Updated), (&chunk.gone, gone)] {
        keys.iter().for_each(|key| written.add(&key.to_string(), what));
    }
    let rejected = chunk.rejected.iter().map(|rejected| {
        let why = rejected.faults.first().map(ToString::to_string).unwrap_or_default();
        let request = rejected.faults.first().and_then(|fault| fault.why.as_ref()?.request_id.clone());
        Note { detail: why, request, ..note(&rejected.key.to_string(), What::DeadLetter) }
    });
    let rejected: Vec<Note> = rejected.collect();
    let rejected = (!rejected.is_empty()).then_some(journal::Op::Note(rejected));
    written.into_op().into_iter().chain(rejected).map(Op::from)
}
