//! Dead letters of events, as people deal with them.

use store::Store;
use store::dead_letters::{self, DeadLetter, State};
use store::journal::{self, Note, What};
use store::queue::{Message, Op as QueueOp, Property};

use super::{DESTINATION, topic};
use crate::error::Error;

/// What a message asks for that lets a held row go on, without being delivered itself.
pub(crate) const RESUME: &str = "resume";
/// What a message is that only names a row, because its own event never came.
pub(crate) const SWEEP: &str = "sweep";

/// Where the body of such a message says that the row is gone.
pub(crate) const DELETED: &str = "deleted";

/// Sends a dead letter to its destination again. What it is about is read anew when it is delivered.
///
/// *Errors*: somebody else has dealt with it meanwhile.
pub async fn retry(store: &Store, letter: &DeadLetter, by: &str, note: Option<&str>) -> Result<(), Error> {
    let Some(message) = store.dead_letter_message(&letter.id)? else { return Ok(()) };
    send(store, letter, State::Retrying, message, by, note).await
}

/// Closes a dead letter that nobody needs. What it holds back goes on.
///
/// *Errors*: somebody else has dealt with it meanwhile.
pub async fn discard(store: &Store, letter: &DeadLetter, by: &str, note: Option<&str>) -> Result<(), Error> {
    let Some(message) = store.dead_letter_message(&letter.id)? else { return Ok(()) };
    let resume = Message { op: Some(RESUME.to_owned()), body: Vec::new(), ..message };
    send(store, letter, State::Discarded, resume, by, note).await
}

async fn send(
    store: &Store,
    letter: &DeadLetter,
    to: State,
    message: Message,
    by: &str,
    note: Option<&str>,
) -> Result<(), Error> {
    let destination = letter.queue.rsplit('/').next().unwrap_or_default().to_owned();
    let mut message = Message {
        // The first one's id would be dropped as a duplicate.
        id: format!("{}/{}/{}", letter.id, letter.count, to.as_str()),
        causation: Some(letter.id.to_string()),
        ..message
    };
    message.properties.retain(|(name, _)| name != DESTINATION);
    message.properties.push((DESTINATION.to_owned(), Property::Text(destination.clone())));
    let id = letter.id.clone();
    let (by, note) = (Some(by.to_owned()), note.map(str::to_owned));
    let told = [by.as_deref(), note.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let change = dead_letters::Op::Change { id: id.clone(), seen: letter.state, to, by, note };
    let what = if to == State::Discarded { What::Discarded } else { What::Retried };
    let noted = Note {
        dead_letter: Some(id),
        detail: told,
        ..Note::new(&letter.entity, &letter.key_text, what, &letter.integration, &destination)
    };
    let send = QueueOp::Send { queue: topic(&letter.integration), messages: vec![message.into()] };
    store.commit(vec![change.into(), send.into(), journal::Op::Note(vec![noted]).into()]).await?;
    Ok(())
}
