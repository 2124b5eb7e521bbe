//! Dead letters of events, as people deal with them.

use store::audit::Actor;
use store::dead_letters::{DeadLetter, State};
use store::journal::{self, Note, What};
use store::queue::{Message, Op as QueueOp, Property};
use store::{Op, Store};

use super::{DESTINATION, topic};
use crate::error::Error;

/// What a message asks for that lets a held row go on, without being delivered itself.
pub(crate) const RESUME: &str = "resume";
/// What a message is that only names a row, because its own event never came.
pub(crate) const SWEEP: &str = "sweep";

/// Where the body of such a message says that the row is gone.
pub(crate) const DELETED: &str = "deleted";

/// What sends a dead letter to its destination again. What it is about is read anew when it is delivered.
///
/// *Shape*: nothing where the message itself is gone.
pub(crate) fn retry(store: &Store, letter: &DeadLetter, by: &Actor, note: Option<&str>) -> Result<Vec<Op>, Error> {
    let Some(message) = store.dead_letter_message(&letter.id)? else { return Ok(Vec::new()) };
    let mut ops = vec![crate::letters::change(letter, State::Retrying, by, note)];
    ops.extend(send(letter, State::Retrying, message, by, note));
    Ok(ops)
}

/// The same with another body.
pub(crate) fn retry_as(
    store: &Store,
    letter: &DeadLetter,
    body: Vec<u8>,
    by: &Actor,
    note: Option<&str>,
) -> Result<Vec<Op>, Error> {
    let Some(message) = store.dead_letter_message(&letter.id)? else { return Ok(Vec::new()) };
    let mut ops = vec![crate::letters::change(letter, State::Retrying, by, note)];
    ops.extend(send(letter, State::Retrying, Message { body, ..message }, by, note));
    Ok(ops)
}

/// What lets go on what a dead letter holds back, once nobody needs it.
pub(crate) fn let_go(store: &Store, letter: &DeadLetter, by: &Actor, note: Option<&str>) -> Result<Vec<Op>, Error> {
    let Some(message) = store.dead_letter_message(&letter.id)? else { return Ok(Vec::new()) };
    Ok(send(letter, State::Discarded, resume(message), by, note).into())
}

/// The same for one that has been overtaken by something that was delivered elsewhere.
pub(super) fn go_on(letter: &DeadLetter, message: Message) -> Op {
    again(letter, State::Superseded, resume(message))
}

fn resume(message: Message) -> Message {
    Message { op: Some(RESUME.to_owned()), body: Vec::new(), ..message }
}

fn send(letter: &DeadLetter, to: State, message: Message, by: &Actor, note: Option<&str>) -> [Op; 2] {
    let told = [Some(&*by.name), note].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let what = if to == State::Discarded { What::Discarded } else { What::Retried };
    let noted = Note {
        dead_letter: Some(letter.id.clone()),
        detail: told,
        ..Note::new(&letter.entity, &letter.key_text, what, &letter.integration, destination(letter))
    };
    [again(letter, to, message), journal::Op::Note(vec![noted]).into()]
}

fn destination(letter: &DeadLetter) -> &str {
    letter.queue.rsplit('/').next().unwrap_or_default()
}

fn again(letter: &DeadLetter, to: State, message: Message) -> Op {
    let mut message = Message {
        // The first one's id would be dropped as a duplicate, and so would that of one that was taken back meanwhile.
        id: format!(
            "{}/{}/{}/{}",
            letter.id,
            letter.count,
            to.as_str(),
            letter.changed.map_or(0, |at| at.as_millisecond())
        ),
        causation: Some(letter.id.to_string()),
        ..message
    };
    message.properties.retain(|(name, _)| name != DESTINATION);
    message.properties.push((DESTINATION.to_owned(), Property::Text(destination(letter).to_owned())));
    QueueOp::Send { queue: topic(&letter.integration), messages: vec![message.into()] }.into()
}
