//! Where is my order? The story of one record across all integrations.

use axum::response::Response;
use hub::Story;
use maud::{Markup, html};
use store::journal::{Noted, What};
use store::ledger::State;
use store::queue::Place;

use crate::ask::{self, Ask};
use crate::facts::Level;
use crate::parts::{badge, code, command, integration};
use crate::words::{exact_moment, quoted};
use crate::{Problem, page};

use super::dead_letters::short;

/// Notes that a page shows; the newest.
const NOTES: usize = 200;

pub fn page(ask: &Ask) -> Result<Response, Problem> {
    let (Some(entity), Some(name)) = (ask.query("entity"), ask.query("key")) else {
        let body = html! { section.card { p { "Choose what it is and type its key above: an order number, a customer number. A key of several parts is typed with | between them." } } };
        return Ok(ask::html(page::page(ask, "Trace", &[], &body)));
    };
    if ask.console.project.entity(entity).is_none() {
        return Err(Problem::not_there("entity", entity));
    }
    let key: Vec<String> = name.split('|').map(|part| part.trim().to_owned()).collect();
    let story = hub::story(&ask.console.project, &ask.console.store, entity, &key, NOTES)?;
    let words: Vec<String> = key.iter().map(|part| quoted(part)).collect();
    let body = html! {
        @if story.is_empty() {
            section.card {
                p { "Nothing is known of it: no integration has met it, or longer ago than the journal goes back." }
                p { "An event that still waits names its row by the source's id; it is found once it is processed." }
            }
        } @else {
            section.card aria-labelledby="now-heading" { h2 #now-heading { "Now" } (now(ask, &story)) }
            section.card aria-labelledby="story-heading" { h2 #story-heading { "What happened" } (told(ask, &story.notes)) }
        }
        p.do { (command(&format!("ironbridge trace {entity} {}", words.join(" ")))) }
    };
    Ok(ask::html(page::page(ask, &format!("{entity} {name}"), &[], &body)))
}

fn now(ask: &Ask, story: &Story) -> Markup {
    html! {
        ul.now {
            @for (system, entry) in &story.stands {
                li { a href={ "/systems/" (system) } { (system) } " "
                    @let (level, words) = stands(entry.state);
                    (badge(level, words))
                    @if let Some(id) = &entry.remote_id { " under its number " code { (id) } } }
            }
            @for (queue, peeked) in &story.waiting {
                @if peeked.place == Place::Deferred {
                    li { (badge(Level::Warn, "held")) " message " (peeked.seq) " of " (exact_moment(peeked.enqueued, ask.zone())) " in " (queue) " is held by the dead letter of its record" }
                } @else {
                li { (badge(Level::Busy, "on its way")) " message " (peeked.seq) " waits in " (queue) " since " (exact_moment(peeked.enqueued, ask.zone())) }
                }
            }
            @for letter in &story.letters {
                li { a href={ "/dead-letters/" (letter.id) } { "dead letter " (short(letter)) } " of " (letter.integration) ": " (letter.state) ", " (code(&letter.problem.code)) " " (letter.problem.what) }
            }
        }
    }
}

fn stands(state: State) -> (Level, &'static str) {
    match state {
        State::Written => (Level::Good, "as the hub wrote it"),
        State::Rejected => (Level::Warn, "not written: it is a dead letter"),
        State::Waiting => (Level::Busy, "not written yet: it waits for a record that it points to"),
        State::Deactivated => (Level::Quiet, "deactivated, since the source has it no longer"),
    }
}

fn told(ask: &Ask, notes: &[Noted]) -> Markup {
    if notes.is_empty() {
        return crate::parts::nothing("The journal has nothing of it any more.");
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="What happened" {
            table.list role="table" {
                thead role="rowgroup" { tr role="row" { @for title in ["When", "Integration", "System", "What", "Told"] { th role="columnheader" scope="col" { (title) } } } }
                tbody role="rowgroup" { @for noted in notes.iter().rev() {
                    tr role="row" {
                        td role="cell" data-label="When" { (exact_moment(noted.at, ask.zone())) }
                        td role="cell" data-label="Integration" { (integration(&noted.note.integration)) }
                        td role="cell" data-label="System" { (noted.note.system) }
                        td role="cell" data-label="What" { (badge(level(noted.note.what), noted.note.what.as_str())) }
                        td.long role="cell" data-label="Told" { (detail(ask, noted)) }
                    }
                } }
            }
        }
    }
}

fn level(what: What) -> Level {
    match what {
        What::Created | What::Updated | What::Deleted | What::Deactivated | What::WrittenBack => Level::Good,
        What::Unchanged | What::LeftOut | What::Discarded => Level::Quiet,
        What::Failed | What::DeadLetter => Level::Warn,
        _ => Level::Busy,
    }
}

fn detail(ask: &Ask, noted: &Noted) -> Markup {
    let note = &noted.note;
    let message = note.message.map(|message| {
        html! {
            "message " (message) @if let Some(came) = note.came { " of " (exact_moment(came, ask.zone())) }
            @if note.attempt > 1 { ", try " (note.attempt) }
        }
    });
    let run = note.run.map(|run| html! { a href={ "/runs/" (run) } { "run " (run) } });
    let letter =
        note.dead_letter.as_ref().map(|letter| html! { a href={ "/dead-letters/" (letter) } { "its dead letter" } });
    let words = (!note.detail.is_empty()).then(|| html! { (note.detail) });
    html! {
        @for (at, part) in [message, run, letter, words].into_iter().flatten().enumerate() {
            @if at > 0 { "; " } (part)
        }
        @if let Some(id) = &note.correlation { " correlation " code { (id) } }
        @if let Some(id) = &note.request { " request " code { (id) } }
    }
}
