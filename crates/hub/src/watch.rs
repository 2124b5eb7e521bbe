//! What a run tells while it works: for a progress line on a terminal, and for logs.

use std::time::Duration;

use record::Fault;
use store::runs::Counts;

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Note<'a> {
    /// An entity is being read: everything (and why), or what changed; `left` says what the source holds back for later.
    Reading { entity: &'a str, everything: Option<&'a str>, left: Option<&'a str> },
    /// Some rows are done.
    Progress { entity: &'a str, counts: Counts },
    /// Some rows could not even be told by their key, so none is taken for gone.
    NothingRemoved { entity: &'a str, keyless: u64 },
    /// A system does not keep a field as it is given: the other side keeps its own value, and nothing goes to and fro.
    NotKept { system: &'a str, field: &'a str, rows: u64 },
    /// An outside call failed and will be tried again.
    TryingAgain { fault: &'a Fault, delay: Duration, attempt: u32, of: u32 },
}

/// Takes notes. *Shape*: called from the run's own task; must not block.
pub trait Watch: Sync {
    fn note(&self, note: Note<'_>);
}

/// The other side's words, as a field of a log.
pub(crate) fn why(fault: &Fault) -> String {
    fault.why.as_ref().map(|why| why.to_string()).unwrap_or_default()
}

/// Writes them to the log.
pub struct Log;

impl Watch for Log {
    fn note(&self, note: Note<'_>) {
        match note {
            Note::Reading { entity, everything, left } => {
                match everything {
                    Some(why) => tracing::info!(entity, why, "reading every {entity}: {why}"),
                    None => tracing::debug!(entity, "reading each {entity} that changed"),
                }
                if let Some(left) = left {
                    tracing::info!(entity, "{left}");
                }
            }
            Note::Progress { entity, counts } => {
                tracing::debug!(entity, read = counts.read, "{} rows read", counts.read)
            }
            Note::NothingRemoved { entity, keyless } => tracing::warn!(
                entity,
                keyless,
                "{keyless} rows of {entity} have no readable key, so no row is taken for gone in this run"
            ),
            Note::NotKept { system, field, rows } => tracing::warn!(
                code = %crate::codes::NOT_KEPT,
                "{system} does not keep {field} as it is given ({rows} rows): each side has its own value now"
            ),
            Note::TryingAgain { fault, delay, attempt, of } => {
                tracing::warn!(code = %fault.code, attempt, what = fault.what, why = why(fault), "do" = fault.fix, "{fault}; trying again in {delay:?} ({attempt} of {of})");
            }
        }
    }
}
