//! Pause an integration, and resume it.

use std::time::Duration;

use axum::response::Response;
use maud::html;
use serde_json::json;
use store::pauses::Op;

use super::{Question, note_field};
use crate::Problem;
use crate::ask::{Ask, see};
use crate::audit::actor;
use crate::pages::integration::found;
use crate::words::escaped;

/// How long, as the form offers it.
const LENGTHS: [(&str, &str, u64); 5] = [
    ("1h", "for 1 hour", 1),
    ("4h", "for 4 hours", 4),
    ("12h", "for 12 hours", 12),
    ("1d", "for 1 day", 24),
    ("7d", "for 1 week", 168),
];

pub fn ask(ask: &Ask) -> Result<Response, Problem> {
    let name = &found(ask)?.name;
    Ok(Question {
        title: format!("Pause {name}"),
        consequences: vec![
            "It starts nothing by itself any more; a run that is under way ends.".to_owned(),
            "Events wait in the queue, and none is lost.".to_owned(),
            "Nobody waits for its result while it is paused, so nothing becomes late.".to_owned(),
        ],
        command: format!("ironbridge pause {name} --note WHY"),
        button: "Pause",
        danger: true,
        back: format!("/integrations/{}", escaped(name)),
        fields: html! {
            (note_field("Why, for whoever wonders later", "note", true))
            label { "How long" select name="for" { option value="" { "until somebody resumes it" } @for (value, words, _) in LENGTHS { option value=(value) { (words) } } } }
        },
        below: None,
        ask,
    }
    .put())
}

pub fn act(ask: &Ask) -> Result<Response, Problem> {
    let name = &found(ask)?.name;
    let note =
        ask.form("note").ok_or_else(|| Problem::not_done("a pause needs a reason", "say why; nothing was paused"))?;
    let length = LENGTHS.iter().find(|(value, ..)| Some(*value) == ask.form("for")).map(|(.., hours)| *hours);
    let until = length.and_then(|hours| ask.now.checked_add(Duration::from_secs(hours * 3600)).ok());
    let pause = Op::Set { integration: name.clone(), by: ask.who.name.clone(), note: note.to_owned(), until };
    let detail = json!({ "until": until.map(|until| until.to_string()) });
    let did = actor(&ask.who.name).did("pause", &**name).because(Some(note)).with(detail).op();
    ask.wait(ask.console.store.commit(vec![pause.into(), did]))?;
    Ok(see(&format!("/integrations/{}?said=paused", escaped(name))))
}

pub fn ask_resume(ask: &Ask) -> Result<Response, Problem> {
    let name = &found(ask)?.name;
    Ok(Question {
        title: format!("Resume {name}"),
        consequences: vec![
            "It works by its schedule again; what fell due meanwhile is done as `missed:` says.".to_owned(),
            "Events that wait are delivered, the oldest first.".to_owned(),
        ],
        command: format!("ironbridge resume {name}"),
        button: "Resume",
        danger: false,
        back: format!("/integrations/{}", escaped(name)),
        fields: html! {},
        below: None,
        ask,
    }
    .put())
}

pub fn resume(ask: &Ask) -> Result<Response, Problem> {
    let name = &found(ask)?.name;
    let did = actor(&ask.who.name).did("resume", &**name).op();
    ask.wait(ask.console.store.commit(vec![Op::End { integration: name.clone() }.into(), did]))?;
    Ok(see(&format!("/integrations/{}?said=resumed", escaped(name))))
}
