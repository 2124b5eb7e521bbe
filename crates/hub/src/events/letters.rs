//! Dead letters of events, as people deal with them.

use record::Key;
use serde_json::Value as Json;
use store::audit::Actor;
use store::dead_letters::{DeadLetter, State};
use store::journal::{self, Note, What};
use store::queue::{Message, Op as QueueOp, Problem, Property};
use store::{Op, Refusal, Store};

use super::{DESTINATION, topic};
use crate::error::Error;

/// What a message asks for that lets a held row go on, without being delivered itself.
pub(crate) const RESUME: &str = "resume";
/// What a message is that only names a row, because its own event never came.
pub(crate) const SWEEP: &str = "sweep";

/// The property by which such a message names its row: its key in the source, with the types of its values.
pub(crate) const ROW: &str = "row";
/// Where the body of such a message says that the row is gone.
pub(crate) const DELETED: &str = "deleted";

/// Where the detail of a dead letter says by what name its destination knows the last try, and whether it refused that.
const TRIED_AS: &str = "tried_as";
const REFUSED: &str = "refused";

/// Notes in a dead letter by what name its destination knows the try that ended. `refused`: with an answer, so that nothing
/// came of it.
pub(super) fn note_try(problem: &mut Problem, name: &str, refused: bool) {
    let mut detail: Json = serde_json::from_str(&problem.detail).unwrap_or_default();
    (detail[TRIED_AS], detail[REFUSED]) = (name.into(), refused.into());
    problem.detail = detail.to_string();
}

/// By what name a destination knows the last try of a dead letter, and whether it refused that. Nothing in one of an earlier
/// version.
pub(super) fn last_try(problem: &Problem) -> Option<(String, bool)> {
    let detail: Json = serde_json::from_str(&problem.detail).ok()?;
    Some((detail[TRIED_AS].as_str()?.to_owned(), detail[REFUSED] == true))
}

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

/// A message of the hub's own about one row.
pub(super) struct OfRow<'a> {
    pub integration: &'a str,
    /// The only destination that gets it; all of the integration where there is none.
    pub to: Option<&'a str>,
    pub entity: &'a str,
    /// The row's key in the source, and the same for people.
    pub named: &'a Key,
    pub body: Json,
    pub session: String,
    /// The row has another key by now: what was delivered under this one is to go.
    pub was: Option<Key>,
}

impl OfRow<'_> {
    pub fn send(self) -> Op {
        let to = self.to.map(|to| (DESTINATION.to_owned(), Property::Text(to.to_owned())));
        let row = (ROW.to_owned(), Property::Bytes(self.named.as_bytes().to_vec()));
        let message = Message {
            integration: Some(self.integration.to_owned()),
            entity: Some(self.entity.to_owned()),
            key: self.was,
            op: Some(SWEEP.to_owned()),
            session: Some(self.session),
            content_type: Some("application/json".into()),
            properties: to.into_iter().chain([row]).collect(),
            body: self.body.to_string().into_bytes(),
            ..Message::default()
        };
        QueueOp::Send { queue: topic(self.integration), messages: vec![message.into()] }.into()
    }
}

/// The row that a message of the hub's own names, by its key in the source.
pub(super) fn row_of(message: &Message) -> Option<Key> {
    let (_, value) = message.properties.iter().find(|(name, _)| name == ROW)?;
    let Property::Bytes(bytes) = value else { return None };
    Key::from_bytes(bytes).ok()
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
    let queue = match letter.destination() {
        Some(to) => {
            message.properties.push((DESTINATION.to_owned(), Property::Text(to.to_owned())));
            topic(&letter.integration)
        }
        // What starts a flow has one queue.
        None => letter.queue.clone(),
    };
    QueueOp::Send { queue, messages: vec![message.into()] }.into()
}

/// Whether a commit was refused because somebody has dealt with a dead letter just now.
pub(crate) fn is_dealt_with(error: &store::Error) -> bool {
    matches!(error.refusal(), Some(Refusal::DeadLetterState { .. } | Refusal::NoDeadLetter { .. }))
}
