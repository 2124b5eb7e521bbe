//! The story of one record: what the journal says, and where it stands now.

use std::collections::BTreeSet;

use definition::{Pattern, Project};
use record::{Key, Value};
use store::Store;
use store::dead_letters::{DeadLetter, Filter};
use store::journal::Noted;
use store::ledger::Entry;
use store::queue::Peeked;

use crate::events;

/// So many waiting messages of a session are looked through.
const LOOKED_THROUGH: usize = 1000;

/// Everything that is known of one record.
#[derive(Debug, Clone, Default)]
pub struct Story {
    /// What happened to it, oldest first.
    pub notes: Vec<Noted>,
    /// What each system holds of it, as the hub left it.
    pub stands: Vec<(String, Entry)>,
    /// Messages of it that are not delivered yet, with their queues, as far as their sessions are known.
    pub waiting: Vec<(String, Peeked)>,
    /// Its dead letters, however they stand.
    pub letters: Vec<DeadLetter>,
}

impl Story {
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty() && self.stands.is_empty() && self.waiting.is_empty() && self.letters.is_empty()
    }
}

/// The story of the record with this key, the values in the order of the entity's `key:`; of the journal the last `last`
/// notes. *Shape*: empty for an entity that the project does not have.
pub fn story(
    project: &Project,
    store: &Store,
    entity: &str,
    key: &[String],
    last: usize,
) -> Result<Story, store::Error> {
    let name = key.join("|");
    let notes = store.journal_of(entity, &name, last)?;
    let stands = stands(project, store, entity, key)?;
    let waiting = waiting(project, store, entity, key, &notes)?;
    Ok(Story { stands, waiting, letters: letters(store, entity, &name)?, notes })
}

fn stands(
    project: &Project,
    store: &Store,
    entity: &str,
    key: &[String],
) -> Result<Vec<(String, Entry)>, store::Error> {
    let Some(key) = typed(project, entity, key) else { return Ok(Vec::new()) };
    let mut stands = Vec::new();
    for system in &project.systems {
        if system.entity(entity).is_some() {
            let found = store.ledger_entry(&system.name, entity, &key)?;
            stands.extend(found.map(|entry| (system.name.clone(), entry)));
        }
    }
    Ok(stands)
}

/// The key as the entity's fields hold it. Nothing where what was typed is none.
pub fn typed(project: &Project, entity: &str, key: &[String]) -> Option<Key> {
    let entity = project.entity(entity)?;
    let fields: Option<Vec<_>> = entity.key.iter().map(|field| entity.field(field)).collect();
    let fields = fields.filter(|fields| fields.len() == key.len())?;
    let fit = |(field, text): (&record::EntityField, &String)| {
        mapping::fit::fit(Value::text(&**text).as_ref(), &field.ty, None).ok()
    };
    let values: Option<Vec<Value>> = fields.into_iter().zip(key).map(fit).collect();
    Key::of(&values?).ok()
}

fn letters(store: &Store, entity: &str, name: &str) -> Result<Vec<DeadLetter>, store::Error> {
    let filter = Filter { entity: Some(entity.to_owned()), ..Filter::default() };
    let found = store.dead_letters(&filter, LOOKED_THROUGH)?.into_iter();
    Ok(found.filter(|letter| letter.key_text.eq_ignore_ascii_case(name)).collect())
}

fn waiting(
    project: &Project,
    store: &Store,
    entity: &str,
    key: &[String],
    notes: &[Noted],
) -> Result<Vec<(String, Peeked)>, store::Error> {
    let quoted: Vec<String> = key.iter().map(|part| serde_json::Value::from(part.as_str()).to_string()).collect();
    let mut sessions: BTreeSet<String> = notes.iter().filter_map(|noted| noted.note.session.clone()).collect();
    sessions.extend([
        format!("{entity}|{}", quoted.join("|")),
        format!("{entity}|{}", key.join("|")),
        entity.to_owned(),
    ]);
    let (typed, own) = (typed(project, entity, key), project.entity(entity).map(|entity| entity.key.as_slice()));
    let mut waiting = Vec::new();
    for integration in &project.integrations {
        let Pattern::Event(event) = &integration.pattern else { continue };
        if event.entity != entity {
            continue;
        }
        // Where others have the same session, only what says the key is known to be about the record.
        let by_row = event.order_by.as_ref().is_none_or(|field| own == Some(std::slice::from_ref(field)));
        for to in &event.to {
            let queue = events::subscription(&integration.name, to);
            for session in &sessions {
                let found = store.peek_session(&queue, session, LOOKED_THROUGH)?;
                for peeked in found {
                    if by_row && session != entity
                        || typed.is_some() && events::key_of(project, store, &peeked.message)? == typed
                    {
                        waiting.push((queue.clone(), peeked));
                    }
                }
            }
        }
    }
    Ok(waiting)
}
