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
    /// An outside call failed and will be tried again, for the second time and so on.
    TryingAgain { fault: &'a Fault, delay: Duration, attempt: u32 },
}

/// Takes notes. *Shape*: called from the run's own task; must not block.
pub trait Watch: Sync {
    fn note(&self, note: Note<'_>);
}

/// The other side's words, as a field of a log.
pub(crate) fn why(fault: &Fault) -> String {
    fault.why.as_ref().map(|why| why.to_string()).unwrap_or_default()
}

/// Writes them to the log, of the integration where one runs.
pub struct Log<'a>(pub Option<&'a str>);

impl Watch for Log<'_> {
    fn note(&self, note: Note<'_>) {
        let integration = self.0;
        let of = integration.map_or_else(String::new, |name| format!("{name}: "));
        match note {
            Note::Reading { entity, everything, left } => {
                match everything {
                    Some(why) => tracing::info!(integration, entity, why, "{of}reading every {entity}: {why}"),
                    None => tracing::debug!(integration, entity, "{of}reading each {entity} that changed"),
                }
                if let Some(left) = left {
                    tracing::info!(integration, entity, "{of}{left}");
                }
            }
            Note::Progress { entity, counts } => {
                tracing::debug!(integration, entity, read = counts.read, "{of}{} rows read", counts.read)
            }
            Note::NothingRemoved { entity, keyless } => tracing::warn!(
                integration,
                entity,
                keyless,
                "{of}{keyless} rows of {entity} have no readable key, so no row is taken for gone in this run"
            ),
            Note::NotKept { system, field, rows } => tracing::warn!(
                integration,
                code = %crate::codes::NOT_KEPT,
                "{of}{system} does not keep {field} as it is given ({rows} rows): each side has its own value now"
            ),
            Note::TryingAgain { fault, delay, attempt } => {
                let seconds = delay.as_secs_f64();
                tracing::warn!(integration, code = %fault.code, attempt, what = fault.what, why = why(fault), "do" = fault.fix, "{of}{fault}; trying again in {seconds:.1} s (try {attempt})");
            }
        }
    }
}
