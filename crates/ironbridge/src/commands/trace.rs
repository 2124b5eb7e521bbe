//! `ironbridge trace`: the story of one record, from the journal, and where it stands now.

use definition::Project;
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};
use store::journal::{Note, Noted, What};
use store::ledger::{Entry, State};
use store::queue::{Peeked, Place};

use crate::cli::{Cli, Format};
use crate::failure::{Failure, NO_SUCH_NAME, USAGE};
use crate::output::{exact_moment, table};
use crate::{say, talk, wiring};

pub fn trace(cli: &Cli, entity: &str, key: &[String], last: usize) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    entity_exists(&project, entity)?;
    let store = wiring::open_store(&project)?;
    let name = key.join("|");
    let story = hub::story(&project, &store, entity, key, last)?;
    let nothing = story.is_empty();
    let hub::Story { notes, stands, waiting, letters } = story;
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
    if nothing {
        talk!(
            "Nothing is known of {entity} {name}: no integration has met it, or longer ago than the journal goes back."
        );
        talk!("An event that still waits names its row by the source's id: ironbridge queue list");
        return Ok(0);
    }
    let bold = anstyle::Style::new().bold();
    say!("{bold}{entity} {name}{bold:#}");
    if !notes.is_empty() {
        say!("{}", table(&["", "", "", "", ""], lines(&notes, zone)));
    }
    if !(stands.is_empty() && waiting.is_empty() && letters.is_empty()) {
        say!("\n{bold}Now{bold:#}");
    }
    for (system, entry) in &stands {
        let id = entry.remote_id.as_ref().map_or_else(String::new, |id| format!(", under its number {id}"));
        say!("  {system}: {}{id}", word(entry.state));
    }
    for (queue, peeked) in &waiting {
        let (seq, since) = (peeked.seq, exact_moment(peeked.enqueued, zone));
        match peeked.place {
            Place::Deferred => say!("  message {seq} of {since} in {queue} is held by the dead letter of its record"),
            _ => say!("  message {seq} waits in {queue} since {since}"),
        }
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

/// A line for each note; failures of one message that say the same, one after the other, share one.
fn lines(notes: &[Noted], zone: &TimeZone) -> Vec<Vec<String>> {
    let mut lines: Vec<Vec<String>> = Vec::new();
    let mut correlation = &None;
    for same in notes.chunk_by(|one, next| is_repeated(&one.note, &next.note)) {
        let (first, last) = (&same[0], &same[same.len() - 1]);
        let mut line = line(first, correlation.as_ref() != first.note.correlation.as_ref(), zone);
        if same.len() > 1 {
            line[4].push_str(&format!(
                "; the same {} more, the last {}",
                times(same.len() - 1),
                exact_moment(last.at, zone)
            ));
        }
        correlation = &first.note.correlation;
        lines.push(line);
    }
    lines
}

fn is_repeated(one: &Note, next: &Note) -> bool {
    let goes_on = |note: &Note| matches!(note.what, What::Failed | What::Waits);
    goes_on(one)
        && (one.what, &one.system, one.message, &one.detail) == (next.what, &next.system, next.message, &next.detail)
}

fn times(count: usize) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn line(noted: &Noted, with_correlation: bool, zone: &TimeZone) -> Vec<String> {
    let note = &noted.note;
    let mut told = Vec::new();
    if let Some(message) = note.message {
        let came = note.came.map_or_else(String::new, |came| format!(" of {}", exact_moment(came, zone)));
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
    for (what, id, is_told) in [("correlation", &note.correlation, with_correlation), ("request", &note.request, true)]
    {
        if let Some(id) = id.as_ref().filter(|_| is_told && note.what != What::WrittenBack) {
            told.push(format!("{what} {id}"));
        }
    }
    vec![
        format!("  {}", exact_moment(noted.at, zone)),
        note.integration.clone(),
        note.system.clone(),
        note.what.to_string(),
        told.join("; "),
    ]
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
