//! `ironbridge trace`: the story of one record, from the journal, and where it stands now.

use std::collections::BTreeSet;

use definition::{Pattern, Project};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use record::{Key, Value};
use serde_json::{Value as Json, json};
use store::Store;
use store::dead_letters::{DeadLetter, Filter};
use store::journal::{Noted, What};
use store::ledger::{Entry, State};
use store::queue::Peeked;

use crate::cli::{Cli, Format};
use crate::failure::{Failure, NO_SUCH_NAME, USAGE};
use crate::output::{moment, table};
use crate::{say, talk, wiring};

/// So many waiting messages of a destination are looked through.
const LOOKED_THROUGH: usize = 1000;

pub fn trace(cli: &Cli, entity: &str, key: &[String], last: usize) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    entity_exists(&project, entity)?;
    let store = wiring::open_store(&project)?;
    let name = key.join("|");
    let notes = store.journal_of(entity, &name, last)?;
    let stands = stands(&project, &store, entity, key)?;
    let letters = letters(&store, entity, &name)?;
    let waiting = waiting(&project, &store, entity, key, &notes)?;
    let zone = &project.hub.time_zone;
    if cli.format == Format::Json {
        let letters: Vec<Json> = letters.iter().map(super::dead_letters::summary).collect();
        let story: Vec<Json> = notes.iter().map(story_json).collect();
        let stands: Vec<Json> = stands.iter().map(|(system, entry)| stand_json(system, entry)).collect();
        let waiting: Vec<Json> = waiting.iter().map(|(queue, peeked)| waiting_json(queue, peeked)).collect();
        let out = json!({
            "entity": entity, "key": name, "story": story, "stands": stands, "waiting": waiting, "dead_letters": letters,
        });
        say!("{out:#}");
        return Ok(0);
    }
    if notes.is_empty() && stands.is_empty() && letters.is_empty() && waiting.is_empty() {
        talk!(
            "Nothing is known of {entity} {name}: no integration has met it, or longer ago than the journal goes back."
        );
        talk!("An event that still waits names its row by the source's id: ironbridge queue list");
        return Ok(0);
    }
    let bold = anstyle::Style::new().bold();
    say!("{bold}{entity} {name}{bold:#}");
    if !notes.is_empty() {
        say!("{}", table(&["", "", "", "", ""], notes.iter().map(|noted| line(noted, zone)).collect()));
    }
    say!("\n{bold}Now{bold:#}");
    for (system, entry) in &stands {
        let id = entry.remote_id.as_ref().map_or_else(String::new, |id| format!(", under its number {id}"));
        say!("  {system}: {}{id}", word(entry.state));
    }
    for (queue, peeked) in &waiting {
        say!("  message {} waits in {queue} since {}", peeked.seq, time(peeked.enqueued, zone));
    }
    for letter in &letters {
        let id = &letter.id.as_str()[..8];
        say!(
            "  dead letter {id} of {}: {}, {} {}",
            letter.integration,
            letter.state,
            letter.problem.code,
            letter.problem.what
        );
        if letter.state.is_waiting() {
            talk!("  look at it: ironbridge dead-letters show {id}");
        }
    }
    Ok(0)
}

/// *Errors*: there is no such entity; which there are.
pub(super) fn entity_exists(project: &Project, entity: &str) -> Result<(), Failure> {
    if project.entity(entity).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = project.entities.iter().map(|entity| &*entity.name).collect();
    let what = format!("there is no entity `{entity}`");
    Err(Failure::new(USAGE, NO_SUCH_NAME, what, format!("there are: {}", names.join(", "))))
}

/// What each system holds of it, as the hub left it.
fn stands(project: &Project, store: &Store, entity: &str, key: &[String]) -> Result<Vec<(String, Entry)>, Failure> {
    let Some(key) = typed(project, entity, key) else { return Ok(Vec::new()) };
    let mut stands = Vec::new();
    for system in &project.systems {
        if system.entity(entity).is_some() {
            let found = store.ledger_get(&system.name, entity, std::slice::from_ref(&key))?;
            stands.extend(found.into_iter().flatten().map(|entry| (system.name.clone(), entry)));
        }
    }
    Ok(stands)
}

/// The key as the entity's fields hold it. Nothing where what was typed is none.
pub(super) fn typed(project: &Project, entity: &str, key: &[String]) -> Option<Key> {
    let entity = project.entity(entity)?;
    let fields: Option<Vec<_>> = entity.key.iter().map(|field| entity.field(field)).collect();
    let fields = fields.filter(|fields| fields.len() == key.len())?;
    let fit = |(field, text): (&record::EntityField, &String)| {
        mapping::fit::fit(Value::text(&**text).as_ref(), &field.ty, None).ok()
    };
    let values: Option<Vec<Value>> = fields.into_iter().zip(key).map(fit).collect();
    Key::of(&values?).ok()
}

fn letters(store: &Store, entity: &str, name: &str) -> Result<Vec<DeadLetter>, Failure> {
    let filter = Filter { entity: Some(entity.to_owned()), ..Filter::default() };
    let found = store.dead_letters(&filter, LOOKED_THROUGH)?.into_iter();
    Ok(found.filter(|letter| letter.key_text.eq_ignore_ascii_case(name)).collect())
}

/// Messages of the record that are not delivered yet, as far as their sessions are known.
fn waiting(
    project: &Project,
    store: &Store,
    entity: &str,
    key: &[String],
    notes: &[Noted],
) -> Result<Vec<(String, Peeked)>, Failure> {
    let quoted: Vec<String> = key.iter().map(|part| json!(part).to_string()).collect();
    let mut sessions: BTreeSet<String> = notes.iter().filter_map(|noted| noted.note.session.clone()).collect();
    sessions.extend([format!("{entity}|{}", quoted.join("|")), format!("{entity}|{}", key.join("|"))]);
    let mut waiting = Vec::new();
    for integration in &project.integrations {
        let Pattern::Event(event) = &integration.pattern else { continue };
        if event.entity != entity {
            continue;
        }
        for to in &event.to {
            let queue = hub::events::subscription(&integration.name, to);
            let found = store.peek(&queue, 0, LOOKED_THROUGH)?.unwrap_or_default().into_iter();
            let mine = found.filter(|peeked| peeked.message.session.as_ref().is_some_and(|s| sessions.contains(s)));
            waiting.extend(mine.map(|peeked| (queue.clone(), peeked)));
        }
    }
    Ok(waiting)
}

fn line(noted: &Noted, zone: &TimeZone) -> Vec<String> {
    let note = &noted.note;
    let mut told = Vec::new();
    if let Some(message) = note.message {
        let came = note.came.map_or_else(String::new, |came| format!(" of {}", time(came, zone)));
        let attempt = if note.attempt > 1 { format!(", try {}", note.attempt) } else { String::new() };
        told.push(format!("message {message}{came}{attempt}"));
    }
    if let Some(run) = note.run {
        told.push(format!("run {run}"));
    }
    if let Some(letter) = &note.dead_letter {
        told.push(format!("dead letter {}", &letter.as_str()[..letter.as_str().len().min(8)]));
    }
    if !note.detail.is_empty() {
        told.push(note.detail.clone());
    }
    for (what, id) in [("correlation", &note.correlation), ("request", &note.request)] {
        if let Some(id) = id.as_ref().filter(|_| note.what != What::WrittenBack) {
            told.push(format!("{what} {id}"));
        }
    }
    vec![
        format!("  {}", time(noted.at, zone)),
        note.integration.clone(),
        note.system.clone(),
        note.what.to_string(),
        told.join("; "),
    ]
}

/// To the millisecond: two things of one second have an order.
fn time(at: Timestamp, zone: &TimeZone) -> String {
    format!("{}.{:03}", moment(at, zone), at.as_millisecond().rem_euclid(1000))
}

fn word(state: State) -> &'static str {
    match state {
        State::Written => "as the hub wrote it",
        State::Rejected => "not written: it is a dead letter",
        State::Waiting => "not written yet: it waits for a record that it points to",
        State::Deactivated => "deactivated, since the source has it no longer",
    }
}

fn story_json(noted: &Noted) -> Json {
    let note = &noted.note;
    json!({
        "at": noted.at.to_string(), "what": note.what.as_str(), "integration": note.integration, "system": note.system,
        "message": note.message, "came": note.came.map(|at| at.to_string()), "attempt": note.attempt,
        "session": note.session, "correlation": note.correlation, "run": note.run.map(|run| run.0),
        "dead_letter": note.dead_letter.as_ref().map(|id| id.as_str()), "request": note.request, "detail": note.detail,
    })
}

fn stand_json(system: &str, entry: &Entry) -> Json {
    let state = match entry.state {
        State::Written => "written",
        State::Rejected => "rejected",
        State::Waiting => "waiting",
        State::Deactivated => "deactivated",
    };
    json!({ "system": system, "state": state, "id": entry.remote_id })
}

fn waiting_json(queue: &str, peeked: &Peeked) -> Json {
    json!({
        "queue": queue, "number": peeked.seq, "since": peeked.enqueued.to_string(), "deliveries": peeked.deliveries,
    })
}
