//! Whether the definition of an integration has changed: a digest of what `show` prints, without comments and places.

use std::time::Duration;

use definition::{Integration, Project, show};
use jiff::Timestamp;
use store::{Store, definitions};

/// What has become of a definition since a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    No,
    /// The hub works with another one since then.
    Since(Timestamp),
    /// The files say something else than what the hub worked with last.
    NotYetInUse,
    /// No hub has worked with it yet.
    NotKnown,
}

/// Of the integration, its entities and its systems, as they are defined now.
pub fn digest(project: &Project, integration: &Integration) -> String {
    let names = [integration.name.as_str()].into_iter().chain(integration.entities()).chain(integration.systems());
    // FNV-1a, with a byte between the parts that none of them holds.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut put = |text: &str| {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for name in names {
        for line in show(project, name) {
            put(&line.depth.to_string());
            put(&line.key);
            put(line.value.as_deref().unwrap_or("\u{0}"));
        }
    }
    format!("{hash:016x}")
}

/// Notes that the hub works with this project from now on.
pub fn in_use(project: &Project) -> store::Op {
    let digests =
        project.integrations.iter().map(|integration| (integration.name.clone(), digest(project, integration)));
    definitions::Op::Seen(digests.collect()).into()
}

/// Whether the definition is another one than it was at a moment.
pub fn changed(
    project: &Project,
    store: &Store,
    integration: &Integration,
    since: Timestamp,
) -> Result<Changed, store::Error> {
    Ok(match store.definition_seen(&integration.name)? {
        None => Changed::NotKnown,
        Some((seen, _)) if seen != digest(project, integration) => Changed::NotYetInUse,
        Some((_, from)) if from > since => Changed::Since(from),
        Some(_) => Changed::No,
    })
}

/// A span of time as `jiff` counts it.
pub(crate) fn span(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}
