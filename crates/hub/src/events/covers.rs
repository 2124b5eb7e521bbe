//! Whether what waits in a session will bring a change that the sweep has found.
//!
//! That something waits says little: a message may be one that the trigger does not want (the echo of a number that was
//! written home), one that lets a held row go on, or an update of a row that has been deleted since. Only a message that
//! reads the row when it is delivered, or says itself what the row holds now, brings the change.

use definition::Payload;
use record::Happened;
use serde_json::Value as Json;
use store::queue::Message;

use super::letters;
use super::route::{Brought, Read, Route, Told};
use crate::json;

/// So many of the newest messages of a session are looked at. Where none of them tells, the sweep sends one more.
pub(super) const LOOKED_AT: usize = 16;

/// What the sweep has found.
#[derive(Clone, Copy)]
pub(super) enum Found {
    /// A row that the destination does not have like this. The hash of its content, where it can be mapped.
    Changed(Option<u128>),
    /// A row that is gone, and that the destination still has.
    Deleted,
}

/// Whether one of these messages brings the change of the row that the sweep's own message would name like this.
/// *Shape*: of one session, newest first.
pub(super) async fn covers(route: &Route, waiting: &[Message], body: &Json, found: Found) -> bool {
    for message in waiting {
        if route.shares_sessions() && !is_about(route, message, body) {
            continue;
        }
        if let Some(covers) = one(route, message, found).await {
            return covers;
        }
    }
    false
}

/// Whether a message is about the row for sure, where others have the same session.
fn is_about(route: &Route, message: &Message, body: &Json) -> bool {
    if message.op.as_deref() == Some(letters::SWEEP) {
        return message.body == body.to_string().into_bytes();
    }
    matches!(route.signal(&message.body), Some(Ok(signal)) if json::of(&signal.id) == body["id"])
}

/// Nothing for a message that has no effect on the row, or may have none.
async fn one(route: &Route, message: &Message, found: Found) -> Option<bool> {
    // The retry of a dead letter may be taken back, and what says that the row has another key by now is about the old one.
    let of_old_key = message.op.as_deref() == Some(letters::SWEEP) && message.key.is_some();
    if message.op.as_deref() == Some(letters::RESUME) || message.causation.is_some() || of_old_key {
        return None;
    }
    if message.op.as_deref() == Some(letters::SWEEP) {
        let body: Json = serde_json::from_slice(&message.body).unwrap_or_default();
        return match found {
            Found::Changed(_) => Some(true),
            Found::Deleted => (body[letters::DELETED] == true).then_some(true),
        };
    }
    let signal = match route.signal(&message.body) {
        Some(Ok(signal)) if route.wants(&signal) => Some(signal),
        Some(_) => return None,
        None => None,
    };
    let deletes = signal.as_ref().is_some_and(|signal| signal.happened == Happened::Deleted);
    let content = match found {
        Found::Deleted => return deletes.then_some(true),
        Found::Changed(_) if deletes => return Some(true),
        Found::Changed(content) => content,
    };
    let fetches = match &signal {
        Some(signal) => route.fetches(signal),
        None => route.payload() == Payload::Fetch,
    };
    if fetches {
        return Some(true);
    }
    // It will be written as it was sent.
    let (id, body) = (&message.id, &message.body);
    let told =
        Told { message: id, body, by_hub: false, row: None, was: None, now: false, again: false, keys: &|_| None };
    let Ok(Brought::Row(row, absent)) = route.row(&told).await else { return None };
    match route.map(&row, &absent) {
        Ok(Read::Mapped(mapped)) => Some(mapped.content_hash.is_some() && mapped.content_hash == content),
        _ => None,
    }
}
