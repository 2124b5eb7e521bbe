//! What people did in the console, in the audit log.

use store::audit::Actor;

use crate::ask::Ask;

/// Somebody who does something in the console.
pub fn actor(who: &str) -> Actor {
    Actor::new(who, "console")
}

/// Notes that somebody did something. `subject` is what it was done to, `detail` why, in their own words.
///
/// It is done already: an entry that cannot be written is told in the log of the hub, with all that it would say.
pub fn note(ask: &Ask, who: &str, what: &str, subject: &str, detail: &str) {
    let entry = actor(who).did(what, subject).because(Some(detail));
    if let Err(error) = ask.wait(ask.console.store.commit_one(entry.op())) {
        tracing::error!(who, what, subject, detail, "the audit log lacks what {who} did in the console: {error}");
    }
}
