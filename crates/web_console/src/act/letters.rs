//! Retry a dead letter, discard it, or say which version of a row holds.

use axum::response::Response;
use hub::two_way::Decided;
use maud::{Markup, html};
use serde_json::Value as Json;
use store::dead_letters::{DeadLetter, Kind, State};

use super::{Question, note_field};
use crate::Problem;
use crate::ask::{Ask, see};
use crate::pages::dead_letters::one::versions;
use crate::pages::dead_letters::{found, short};

/// The dead letter, while somebody has to do something about it.
pub fn waiting(ask: &Ask) -> Result<DeadLetter, Problem> {
    let letter = found(ask)?;
    match letter.state.is_waiting() {
        true => Ok(letter),
        false => Err(Problem::not_done(
            format!("the dead letter {} is {} already", short(&letter), letter.state),
            "nothing has to be done; go back and look at it",
        )),
    }
}

fn question<'q>(ask: &'q Ask, letter: &DeadLetter, title: &str, consequences: &[&str]) -> Question<'q> {
    Question {
        title: format!("{title} {} {}", letter.entity, letter.key_text).trim_end().to_owned(),
        consequences: consequences.iter().map(|sentence| (*sentence).to_owned()).collect(),
        command: String::new(),
        button: "",
        danger: false,
        back: format!("/dead-letters/{}", letter.id),
        fields: note_field("A note, for whoever looks later", "note", false),
        below: None,
        ask,
    }
}

fn done(letter: &DeadLetter, said: &str) -> Response {
    see(&format!("/dead-letters/{}?said={said}", letter.id))
}

pub fn ask_retry(ask: &Ask) -> Result<Response, Problem> {
    let letter = waiting(ask)?;
    let consequences: &[&str] = match letter.kind {
        Kind::Message => &[
            "It is sent to its destination again, within a second while the hub is up.",
            "What it is about is read anew: what is written is the record as it is now, not as it was.",
            "If a newer version was written meanwhile, it closes as superseded and nothing is written.",
        ],
        Kind::Row => &[
            "The next run reads its row again, and writes it if it is good now.",
            "If it is still as it was, the run rejects it again and this dead letter stays.",
        ],
    };
    let question = question(ask, &letter, "Retry", consequences);
    let command = format!("ironbridge dead-letters retry {}", short(&letter));
    Ok(Question { command, button: "Retry", ..question }.put())
}

pub fn retry(ask: &Ask) -> Result<Response, Problem> {
    let (letter, console) = (waiting(ask)?, &ask.console);
    let who = crate::audit::actor(&ask.who.name);
    ask.wait(hub::letters::retry(&console.store, &console.project, &letter, &who, ask.form("note")))?;
    Ok(done(&letter, "retried"))
}

pub fn ask_discard(ask: &Ask) -> Result<Response, Problem> {
    let letter = waiting(ask)?;
    let consequences = [
        "It counts as dealt with, and nobody is asked about it any more. Until its day comes it can be taken back.",
        "What it is about is not written. Later events that it holds back go on.",
        "If the record changes at its source, it is tried anew all the same.",
    ];
    let question = question(ask, &letter, "Discard", &consequences);
    let command = format!("ironbridge dead-letters discard {}", short(&letter));
    Ok(Question { command, button: "Discard", danger: true, ..question }.put())
}

pub fn discard(ask: &Ask) -> Result<Response, Problem> {
    let (letter, console) = (waiting(ask)?, &ask.console);
    let who = crate::audit::actor(&ask.who.name);
    ask.wait(hub::letters::discard(&console.store, &console.project, &letter, &who, ask.form("note")))?;
    Ok(done(&letter, "discarded"))
}

/// The dead letter, while it is in the archive.
fn discarded(ask: &Ask) -> Result<DeadLetter, Problem> {
    let letter = found(ask)?;
    match letter.state {
        State::Discarded => Ok(letter),
        _ => Err(Problem::not_done(
            format!("the dead letter {} is {}, not discarded", short(&letter), letter.state),
            "nothing has to be done; it is not in the archive",
        )),
    }
}

pub fn ask_restore(ask: &Ask) -> Result<Response, Problem> {
    let letter = discarded(ask)?;
    let consequences = [
        "It waits for somebody again, as before it was discarded.",
        "Nothing is sent by that: retry it once the cause is gone.",
        "What came after it for its record went on when it was discarded, and is not held again.",
    ];
    let question = question(ask, &letter, "Take back", &consequences);
    let command = format!("ironbridge dead-letters restore {}", short(&letter));
    Ok(Question { command, button: "Take back", ..question }.put())
}

pub fn restore(ask: &Ask) -> Result<Response, Problem> {
    let (letter, who) = (discarded(ask)?, crate::audit::actor(&ask.who.name));
    ask.wait(hub::letters::restore(&ask.console.store, &letter, &who, ask.form("note")))?;
    Ok(done(&letter, "restored"))
}

pub fn ask_decide(ask: &Ask) -> Result<Response, Problem> {
    let letter = waiting(ask)?;
    let detail: Json = serde_json::from_str(&letter.problem.detail).unwrap_or_default();
    let sides: Vec<&str> =
        detail["versions"]["sides"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let [one, _] = sides[..] else { return Err(no_dispute(&letter)) };
    let consequences = [
        "The next run writes the version that you choose to the other side, and overwrites what stands there.",
        "If either side has changed until then, you are asked again.",
    ];
    let question = question(ask, &letter, "Decide about", &consequences);
    let command = format!("ironbridge dead-letters decide {} --take {one}", short(&letter));
    let fields: Markup = html! {
        fieldset { legend { "Whose version holds" }
            @for side in &sides { label.check { input type="radio" name="take" value=(side) required; (side) } }
        }
        (question.fields)
    };
    let below = Some(versions(&detail["versions"]));
    Ok(Question { command, button: "Decide", danger: true, fields, below, ..question }.put())
}

fn no_dispute(letter: &DeadLetter) -> Problem {
    let what = format!("the dead letter {} is not about two versions of a row", short(letter));
    Problem::not_done(what, "go back and look at what it is about")
}

pub fn decide(ask: &Ask) -> Result<Response, Problem> {
    let (letter, console) = (waiting(ask)?, &ask.console);
    let take = ask.form("take").unwrap_or_default();
    let name = &letter.integration;
    let integration = console.project.integration(name).ok_or_else(|| Problem::not_there("integration", name))?;
    let (who, note) = (crate::audit::actor(&ask.who.name), ask.form("note"));
    let decided = hub::two_way::decide(&console.store, &console.project, integration, &letter, take, &who, note);
    match ask.wait(decided)? {
        Decided::Yes => Ok(done(&letter, "decided")),
        Decided::NoDispute => Err(no_dispute(&letter)),
        Decided::NoSuchSide([one, other]) => Err(Problem::not_done(
            format!("{name} goes between {one} and {other}, and `{take}` is neither"),
            "choose one of them; nothing was decided",
        )),
    }
}
