//! Send a changed copy of what was sent: for the one value that is wrong and that its source cannot correct.

use axum::response::Response;
use hub::letters::edit::{self, Locked, NotEditable};
use maud::html;
use store::dead_letters::DeadLetter;

use super::{Question, note_field};
use crate::Problem;
use crate::ask::{Ask, see};
use crate::audit::actor;
use crate::pages::dead_letters::short;

pub fn ask(ask: &Ask) -> Result<Response, Problem> {
    let letter = super::letters::waiting(ask)?;
    let columns = edit::columns(&ask.console.store, &ask.console.project, &letter)?;
    let columns = columns.map_err(|why| refused(&letter, &why))?;
    let fields = html! {
        @for column in &columns {
            label { (column.name)
                @match column.locked {
                    None => input name={ "set:" (column.name) } value=(column.text) maxlength="4000" autocomplete="off";,
                    Some(Locked::Key) => input value=(column.text) disabled;,
                    Some(Locked::Personal) => input value=(hub::mask::MASK) disabled;,
                }
                @match column.locked {
                    None => {}
                    Some(Locked::Key) => span.small { "part of the key: a copy is never about another record" }
                    Some(Locked::Personal) => span.small { "personal data, which nobody types here" }
                }
            }
        }
        (note_field("Why, and agreed with whom", "note", true))
    };
    let name = columns.iter().find(|column| column.locked.is_none()).map_or("COLUMN", |column| column.name.as_str());
    Ok(Question {
        title: format!("Send a changed copy of {} {}", letter.entity, letter.key_text).trim_end().to_owned(),
        consequences: vec![
            "The copy is sent instead of what was sent; that stays as it was, with the copy, your name and the reason beside it.".to_owned(),
            "The source still says what it said: its next change of the record is sent as it is.".to_owned(),
            "If the copy fails, the dead letter waits again.".to_owned(),
        ],
        command: format!("ironbridge dead-letters edit {} --set {name}=VALUE --note WHY", short(&letter)),
        button: "Send the copy",
        danger: true,
        back: format!("/dead-letters/{}", letter.id),
        fields,
        below: None,
        ask,
    }
    .put())
}

pub fn act(ask: &Ask) -> Result<Response, Problem> {
    let letter = super::letters::waiting(ask)?;
    let (store, project) = (&ask.console.store, &ask.console.project);
    let why = ask
        .form("note")
        .ok_or_else(|| Problem::not_done("a changed copy needs a reason", "say why; nothing was sent"))?;
    let columns = edit::columns(store, project, &letter)?.map_err(|why| refused(&letter, &why))?;
    // As typed: a value may begin or end with a blank. What is as it was is no change.
    let typed = ask.form.iter().filter_map(|(name, value)| Some((name.strip_prefix("set:")?, value)));
    let same = |name: &str, value: &str| columns.iter().any(|column| column.name == name && column.text == value);
    let changes: Vec<(String, String)> = typed
        .filter(|(name, value)| !same(name, value))
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    if changes.is_empty() {
        return Err(Problem::not_done("the copy is as what was sent", "change a value, or retry it as it is"));
    }
    let copy = edit::copy(store, project, &letter, &changes)?.map_err(|why| refused(&letter, &why))?;
    ask.wait(edit::send(store, &letter, copy, &actor(&ask.who.name), why))?;
    Ok(see(&format!("/dead-letters/{}?said=copied", letter.id)))
}

fn refused(letter: &DeadLetter, why: &NotEditable) -> Problem {
    let short = short(letter);
    let (what, fix) = match why {
        NotEditable::Off => (
            format!("{} does not allow changed copies", letter.integration),
            "correct it in its source; or allow it in the definition: dead_letters: { edit_and_retry: true }"
                .to_owned(),
        ),
        NotEditable::ReadAnew(system) => (
            format!("what {short} is about is read anew from {system} when it is tried again"),
            format!("correct it in {system}, then retry"),
        ),
        NotEditable::OnItsWay => (
            format!("{short} is on its way again, and a second copy would not be sent"),
            "wait for what becomes of it; or discard it, take it back, and send another copy".to_owned(),
        ),
        NotEditable::NotColumns => {
            ("what was sent is not an object of columns".to_owned(), "correct it in its source".to_owned())
        }
        NotEditable::Key(column) => {
            (format!("`{column}` is part of the key"), "discard it, and have its source send the right one".to_owned())
        }
        NotEditable::Personal(column) => (
            format!("`{column}` is personal data, which nobody types here"),
            "correct it in its source, which sends it again".to_owned(),
        ),
        NotEditable::NoColumn(column) => {
            (format!("what was sent has no value `{column}`"), "go back and look at what it has".to_owned())
        }
    };
    Problem::not_done(what, fix)
}
