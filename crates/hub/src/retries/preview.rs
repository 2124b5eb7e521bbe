//! What a retry would do, before anybody does it.

use std::collections::BTreeMap;

use definition::{Pattern, Project};
use jiff::Timestamp;
use store::Store;
use store::dead_letters::{DeadLetter, DeadLetterId, Kind};
use store::journal::What;

use super::{Wanted, letters_of};
use crate::digest::{self, Changed};

/// Letters whose story in the journal is looked up; each is a search through all of it.
const STORIES: usize = 20;

/// What a retry of a group would do.
#[derive(Debug, Clone)]
pub struct Preview {
    /// What would be sent again, the oldest first.
    pub letters: Vec<DeadLetter>,
    /// What came after the look, and is left alone.
    pub since: u64,
    /// Whether the definition is another one than when the newest of them failed.
    pub definition: Changed,
    /// What is in a destination already, of the letters whose story was looked up.
    pub took_effect: Vec<TookEffect>,
    /// How many stories were looked up.
    pub looked_up: usize,
    /// How many are messages that are sent at once; the others are rows that the next run reads.
    pub messages: usize,
    /// By destination, how many go there.
    pub destinations: BTreeMap<String, usize>,
}

/// A record that was written somewhere although a dead letter of it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TookEffect {
    pub letter: DeadLetterId,
    pub system: String,
    pub what: What,
    pub at: Timestamp,
    /// In the destination that the letter is for: a newer version of the record is there. Otherwise it is another
    /// destination of the same event, which is not written again.
    pub same_destination: bool,
}

/// *Errors*: of our own state.
pub fn preview(project: &Project, store: &Store, wanted: &Wanted) -> Result<Preview, store::Error> {
    let letters = letters_of(store, wanted)?;
    let newest = letters.iter().map(|letter| letter.last_seen).max().unwrap_or(wanted.as_of);
    let definition = match project.integration(&wanted.integration) {
        Some(integration) => digest::changed(project, store, integration, newest)?,
        None => Changed::NotKnown,
    };
    let mut took_effect = Vec::new();
    let looked_up: Vec<&DeadLetter> = letters.iter().filter(|l| !l.key_text.is_empty()).take(STORIES).collect();
    for letter in &looked_up {
        took_effect.extend(effects(project, store, letter)?);
    }
    let mut destinations = BTreeMap::new();
    for letter in &letters {
        *destinations.entry(destination(project, letter)).or_default() += 1;
    }
    let since = store.dead_letters_since(&wanted.group, wanted.as_of)?;
    let messages = letters.iter().filter(|letter| letter.kind == Kind::Message).count();
    Ok(Preview { since, definition, took_effect, looked_up: looked_up.len(), messages, destinations, letters })
}

fn effects(project: &Project, store: &Store, letter: &DeadLetter) -> Result<Vec<TookEffect>, store::Error> {
    let to = destination(project, letter);
    let wrote = |what| matches!(what, What::Created | What::Updated | What::Deleted | What::Deactivated);
    let mut last: BTreeMap<String, TookEffect> = BTreeMap::new();
    for noted in store.journal_of(&letter.entity, &letter.key_text, 200)? {
        let note = noted.note;
        if note.integration == letter.integration && wrote(note.what) && noted.at >= letter.first_seen {
            let same_destination = note.system == to;
            let id = letter.id.clone();
            let effect =
                TookEffect { letter: id, system: note.system, what: note.what, at: noted.at, same_destination };
            last.insert(effect.system.clone(), effect);
        }
    }
    Ok(last.into_values().collect())
}

/// Where a letter was going.
fn destination(project: &Project, letter: &DeadLetter) -> String {
    let of_queue = letter.queue.rsplit_once('/').map(|(_, name)| name.to_owned());
    let of_batch = || {
        let Pattern::Batch(_) = &project.integration(&letter.integration)?.pattern else { return None };
        project.integration(&letter.integration)?.systems().last().map(|name| (*name).to_owned())
    };
    of_queue.or_else(of_batch).unwrap_or_default()
}
