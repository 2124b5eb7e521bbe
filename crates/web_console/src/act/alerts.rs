//! Say that one looks at an alert, have nobody told of something for a while, and end that.

use std::time::Duration;

use axum::response::Response;
use hub::operations::{self, Kind};
use maud::html;
use store::alerts::Silence;

use super::{Question, note_field};
use crate::Problem;
use crate::ask::{Ask, see};
use crate::audit::actor;
use crate::pages::alerts::{found, kind_words};
use crate::words::{moment, quoted};

/// For how long, as the form offers it: each silence has an end.
const LENGTHS: [(&str, &str, u64); 6] = [
    ("1h", "for 1 hour", 1),
    ("2h", "for 2 hours", 2),
    ("4h", "for 4 hours", 4),
    ("12h", "for 12 hours", 12),
    ("1d", "for 1 day", 24),
    ("7d", "for 1 week", 168),
];

pub fn ask_ack(ask: &Ask) -> Result<Response, Problem> {
    let alert = found(ask)?;
    Ok(Question {
        title: format!("You look at it: {}", alert.saying.title),
        consequences: vec![
            "Nobody else is told of it any more, but that it is over.".to_owned(),
            "Everybody sees that it is you who looks at it.".to_owned(),
            "If it is over and comes back, people are told again.".to_owned(),
        ],
        command: format!("ironbridge alerts acknowledge {}", alert.id),
        button: "I look at it",
        danger: false,
        back: format!("/alerts/{}", alert.id),
        fields: note_field("A note, for whoever looks later", "note", false),
        below: None,
        ask,
    }
    .put())
}

pub fn ack(ask: &Ask) -> Result<Response, Problem> {
    let (alert, note) = (found(ask)?, ask.form("note"));
    ask.wait(operations::acknowledge(&ask.console.store, &alert, &actor(&ask.who.name), note))?;
    Ok(see(&format!("/alerts/{}?said=acked", alert.id)))
}

pub fn ask_silence(ask: &Ask) -> Result<Response, Problem> {
    let project = &ask.console.project;
    let chosen = ask.query("subject").filter(|subject| operations::can_be_silenced(&ask.console.project, subject));
    let mut groups: Vec<(&str, Vec<(String, String)>)> = vec![
        ("Integrations", project.integrations.iter().map(|i| (i.name.clone(), i.name.clone())).collect()),
        ("Systems", project.systems.iter().map(|s| (s.name.clone(), s.name.clone())).collect()),
        ("Kinds", Kind::ALL.iter().map(|kind| (kind.word().to_owned(), kind_words(kind.word()))).collect()),
        ("Everything", vec![("*".to_owned(), "everything".to_owned())]),
    ];
    if let Some(one) = chosen.filter(|subject| subject.contains('/')) {
        groups.insert(0, ("One alert", vec![(one.to_owned(), one.to_owned())]));
    }
    Ok(Question {
        title: "Tell nobody of something for a while".to_owned(),
        consequences: vec![
            "What opens meanwhile is kept, and told at the end if it is not over by then.".to_owned(),
            "Everybody sees who is not told of what, and until when.".to_owned(),
            "Nothing is stopped: what runs goes on. To stop it, pause the integration.".to_owned(),
        ],
        command: format!("ironbridge alerts silence {} --for \"2 hours\" --note WHY", quoted(chosen.unwrap_or("SUBJECT"))),
        button: "Silence",
        danger: true,
        back: "/alerts".to_owned(),
        fields: html! {
            label { "Of what" select name="subject" required {
                @for (name, options) in &groups { optgroup label=(name) {
                    @for (value, words) in options { option value=(value) selected[chosen == Some(value)] { (words) } }
                } }
            } }
            label { "How long" select name="for" { @for (value, words, _) in LENGTHS { option value=(value) selected[value == "2h"] { (words) } } } }
            (note_field("Why, for whoever wonders later", "note", true))
        },
        below: None,
        ask,
    }
    .put())
}

pub fn silence(ask: &Ask) -> Result<Response, Problem> {
    let subject = ask
        .form("subject")
        .filter(|subject| operations::can_be_silenced(&ask.console.project, subject))
        .map(str::to_owned);
    let (Some(subject), Some(note)) = (subject, ask.form("note")) else {
        let what = "a silence needs something that it is about, and a reason";
        return Err(Problem::not_done(what, "go back and say both; nothing was silenced"));
    };
    let length = LENGTHS.iter().find(|(value, ..)| Some(*value) == ask.form("for")).map_or(2, |(.., hours)| *hours);
    let until = ask.now.checked_add(Duration::from_secs(length * 3600)).unwrap_or(ask.now);
    ask.wait(operations::silence(&ask.console.store, &subject, until, &actor(&ask.who.name), note))?;
    Ok(see("/alerts?said=silenced"))
}

fn holding(ask: &Ask) -> Result<Silence, Problem> {
    let name = ask.name("silence");
    let found = ask.console.store.silences()?.into_iter().find(|silence| silence.id.to_string() == name);
    found.ok_or_else(|| Problem::not_there("silence that holds", name))
}

pub fn ask_end(ask: &Ask) -> Result<Response, Problem> {
    let silence = holding(ask)?;
    Ok(Question {
        title: format!(
            "End the silence about {}",
            if silence.subject == "*" { "everything" } else { &silence.subject }
        ),
        consequences: vec![
            "People are told at once of what has opened meanwhile and is not over.".to_owned(),
            format!(
                "It was to hold until {}: {}, says {}.",
                moment(silence.until, ask.zone()),
                silence.note,
                silence.by
            ),
        ],
        command: format!("ironbridge alerts unsilence {}", silence.id),
        button: "End it",
        danger: false,
        back: "/alerts".to_owned(),
        fields: html! {},
        below: None,
        ask,
    }
    .put())
}

pub fn end(ask: &Ask) -> Result<Response, Problem> {
    let silence = holding(ask)?;
    match ask.wait(operations::end_silence(&ask.console.store, &silence, &actor(&ask.who.name)))? {
        0 => Err(Problem::not_done("the silence has ended already", "nothing has to be done")),
        _ => Ok(see("/alerts?said=unsilenced")),
    }
}
