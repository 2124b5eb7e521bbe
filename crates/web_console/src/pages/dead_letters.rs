//! Dead letters: the list, and one fully.

use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value as Json;
use store::dead_letters::{DeadLetter, Kind, State};
use store::lists::{LetterFilter, LetterOrder};
use store::runs::RunId;

use crate::access::Needs;
use crate::ask::{self, Ask};
use crate::facts::Level;
use crate::list::{Choice, Column, List, Rows, View};
use crate::page::{AGAIN, CHECK, CROSS, Command};
use crate::parts::{badge, clock, code, command, facts, integration};
use crate::words::{cut, escaped, spoken};
use crate::{Problem, page};

pub fn list(ask: &Ask) -> Result<Response, Problem> {
    let mut list = letters(ask);
    if let Some(file) = list.as_file(ask) {
        return file;
    }
    Ok(ask::html(page::page(ask, "Dead letters", &[], &list.part(ask)?)))
}

/// Enough of an id for people, who find it again with it.
pub fn short(letter: &DeadLetter) -> &str {
    letter.id.as_str().get(..8).unwrap_or_default()
}

fn letters(ask: &Ask) -> List<'_, DeadLetter> {
    let project = &ask.console.project;
    let run = ask.query("run").and_then(|run| run.parse().ok()).map(RunId);
    List {
        name: "dead-letters",
        columns: columns(),
        choices: vec![
            Choice::of("integration", "Integration", project.integrations.iter().map(|i| i.name.as_str())),
            Choice::of("entity", "Entity", project.entities.iter().map(|entity| &*entity.name)),
            Choice {
                name: "state",
                label: "State",
                blank: "waiting",
                options: [("all".to_owned(), "all of them".to_owned())]
                    .into_iter()
                    .chain(State::ALL.iter().map(|state| (state.to_string(), spoken(state.as_str()))))
                    .collect(),
            },
            Choice::of("code", "Code", ask.query("code")),
            Choice::of("run", "Run", ask.query("run")),
        ],
        order: ("last_seen", true),
        nothing: "No dead letters: every row and message that came was dealt with.",
        rows: Rows::Store(Box::new(move |view, slice| {
            let order = LetterOrder::of(view.sort).unwrap_or(LetterOrder::LastSeen);
            Ok(ask.console.store.dead_letter_page(&filter(view, run), order, view.descending, slice)?)
        })),
    }
}

fn filter(view: &View, run: Option<RunId>) -> LetterFilter {
    let states = match view.chosen("state").map(String::as_str) {
        None => vec![State::Open, State::Retrying],
        // Those that a run left, however they stand by now.
        Some("all") => Vec::new(),
        Some(word) => State::of(word).into_iter().collect(),
    };
    LetterFilter {
        integration: view.chosen("integration").cloned(),
        entity: view.chosen("entity").cloned(),
        code: view.chosen("code").map(|code| code.to_uppercase()),
        states,
        run,
        text: view.text.clone(),
    }
}

fn columns() -> Vec<Column<DeadLetter>> {
    vec![
        Column::text("key", "Record", |l: &DeadLetter| format!("{} {}", l.entity, l.key_text)).shown(|_, l| {
            html! { a href={ "/dead-letters/" (l.id) } { (cut(&format!("{} {}", l.entity, l.key_text), 48)) } }
        }),
        Column::text("integration", "Integration", |l: &DeadLetter| l.integration.clone())
            .shown(|_, l| integration(&l.integration)),
        Column::text("code", "Code", |l: &DeadLetter| l.problem.code.clone()).shown(|_, l| code(&l.problem.code)),
        Column::text("what", "What", |l: &DeadLetter| l.problem.what.clone())
            .shown(|_, l| html! { (cut(&l.problem.what, 110)) })
            .unsorted(),
        Column::text("state", "State", |l: &DeadLetter| l.state.to_string()).shown(|_, l| state(l.state)).unsorted(),
        Column::number("count", "Times", |l: &DeadLetter| l.count),
        Column::time("first_seen", "First seen", |l: &DeadLetter| Some(l.first_seen)),
        Column::time("last_seen", "Last seen", |l: &DeadLetter| Some(l.last_seen)),
        Column::text("id", "Id", |l: &DeadLetter| l.id.to_string()).in_csv_only(),
        Column::text("why", "Why", |l: &DeadLetter| l.problem.why.clone()).in_csv_only(),
        Column::text("do", "Do", |l: &DeadLetter| l.problem.fix.clone()).in_csv_only(),
        Column::text("note", "Note", |l: &DeadLetter| l.note.clone().unwrap_or_default()).in_csv_only(),
    ]
}

fn state(state: State) -> Markup {
    let level = match state {
        State::Open => Level::Warn,
        State::Retrying => Level::Busy,
        State::Resolved | State::Superseded => Level::Good,
        State::Discarded => Level::Quiet,
    };
    badge(level, &spoken(state.as_str()))
}

/// The dead letter that an address names.
pub fn found(ask: &Ask) -> Result<DeadLetter, Problem> {
    let name = ask.name("letter");
    let mut found = ask.console.store.dead_letters_like(name)?;
    match found.len() {
        1 => Ok(found.remove(0)),
        _ => Err(Problem::not_there("dead letter", name)),
    }
}

pub fn one(ask: &Ask) -> Result<Response, Problem> {
    let letter = found(ask)?;
    let message = ask.console.store.dead_letter_message(&letter.id)?;
    let record = message.map(|message| String::from_utf8_lossy(&message.body).into_owned()).unwrap_or_default();
    let detail: Json = serde_json::from_str(&letter.problem.detail).unwrap_or_default();
    let faults = detail["faults"].as_array().map(Vec::as_slice).unwrap_or_default();
    let trace = format!("/trace?entity={}&key={}", escaped(&letter.entity), escaped(&letter.key_text));
    let body = html! {
        section.card {
            (facts([
                ("Integration", integration(&letter.integration)),
                ("State", state(letter.state)),
                ("Seen", html! { (crate::words::counted(letter.count, "time", "times")) }),
                ("First", clock(ask, letter.first_seen)),
                ("Last", html! { (clock(ask, letter.last_seen)) @if let Some(run) = letter.run { " in " a href={ "/runs/" (run) } { "run " (run) } } }),
                ("Record", html! { a href=(trace) { "its whole story" } }),
                ("Note", html! { @if let Some(note) = &letter.note { (note) } @if let Some(by) = &letter.changed_by { " (" (by) ")" } }),
            ]))
        }
        @if faults.is_empty() {
            (fault(&Json::Null, &letter.problem.code, &letter.problem.what))
        }
        @for one in faults { (fault(one, &letter.problem.code, &letter.problem.what)) }
        (versions(&detail["versions"]))
        (fields(&detail["fields"]))
        @if detail["versions"].is_null() { (columns_of(&record, letter.kind)) }
        p.do { (command(&format!("ironbridge dead-letters show {}", short(&letter)))) }
    };
    let title = format!("{} {}", letter.entity, letter.key_text);
    Ok(ask::html(page::page(ask, title.trim_end(), &commands(ask, &letter), &body)))
}

fn commands(ask: &Ask, letter: &DeadLetter) -> Vec<Command> {
    if !letter.state.is_waiting() || !ask.who.may(Needs::Operate) {
        return Vec::new();
    }
    let to = |what: &str| format!("/dead-letters/{}/{what}", letter.id);
    let first = match letter.kind == Kind::Row && hub::two_way::is_dispute(letter) {
        true => Command::new("Decide", to("decide"), CHECK),
        false => Command::new("Retry", to("retry"), AGAIN),
    };
    vec![first.primary(), Command::new("Discard", to("discard"), CROSS)]
}

/// An error with all its parts. What is not known is left out.
pub fn fault(fault: &Json, code_else: &str, what_else: &str) -> Markup {
    let part = |name: &str| fault[name].as_str().unwrap_or_default();
    let what = if part("what").is_empty() { what_else } else { part("what") };
    let number = if part("code").is_empty() { code_else } else { part("code") };
    let why = fault["why"].as_object().map(|why| {
        let of = |name: &str| {
            why.get(name).filter(|v| !v.is_null()).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
        };
        ["status", "code", "text", "request_id"].into_iter().filter_map(of).collect::<Vec<_>>().join(" ")
    });
    html! {
        section.card.fault {
            h2 { (what) " " (code(number)) }
            dl.facts.tall {
                @for (name, value) in fault["where"].as_object().into_iter().flatten() {
                    @if let Some(value) = value.as_str() { div { dt { (name) } dd { (value) } } }
                }
                @if let Some(why) = why.filter(|why| !why.is_empty()) { div { dt { "why" } dd { (why) } } }
                @if !part("do").is_empty() { div { dt { "do" } dd { b { (part("do")) } } } }
            }
        }
    }
}

/// What each mapped field got, from which formula.
fn fields(fields: &Json) -> Markup {
    let Some(fields) = fields.as_array().filter(|fields| !fields.is_empty()) else { return html! {} };
    html! {
        section.card aria-labelledby="fields-heading" {
            h2 #fields-heading { "What each field got" }
            div.scroll tabindex="0" role="region" aria-labelledby="fields-heading" {
                table.list role="table" {
                    thead role="rowgroup" { tr role="row" { @for name in ["Field", "From", "Value", "Where"] { th role="columnheader" scope="col" { (name) } } } }
                    tbody role="rowgroup" { @for field in fields {
                        tr role="row" {
                            td role="cell" data-label="Field" { (field["field"].as_str().unwrap_or_default()) }
                            td role="cell" data-label="From" { code { (field["formula"].as_str().unwrap_or_default()) } }
                            td role="cell" data-label="Value" { (value(&field["value"])) }
                            td role="cell" data-label="Where" { (field["at"].as_str().unwrap_or_default()) }
                        }
                    } }
                }
            }
        }
    }
}

/// A value as people read it; an error is marked.
fn value(value: &Json) -> Markup {
    match value {
        Json::Object(error) => html! { span.bad { (error["error"].as_str().unwrap_or_default()) } },
        Json::String(text) => html! { (cut(text, 200)) },
        Json::Null => html! { span.zero { "(blank)" } },
        other => html! { (other.to_string()) },
    }
}

/// Both versions of a row that two sides changed, field by field.
pub fn versions(versions: &Json) -> Markup {
    let sides: Vec<&str> = versions["sides"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let [left, right] = sides[..] else { return html! {} };
    html! {
        section.card aria-labelledby="versions-heading" {
            h2 #versions-heading { "Both versions" }
            div.scroll tabindex="0" role="region" aria-labelledby="versions-heading" {
                table.list role="table" {
                    thead role="rowgroup" { tr role="row" { @for name in ["Field", left, right, "In dispute"] { th role="columnheader" scope="col" { (name) } } } }
                    tbody role="rowgroup" { @for field in versions["fields"].as_array().into_iter().flatten() {
                        @let disputed = field["disputed"] == true;
                        tr role="row" {
                            td role="cell" data-label="Field" { (field["field"].as_str().unwrap_or_default()) }
                            td role="cell" data-label=(left) { (value(&field[left])) }
                            td role="cell" data-label=(right) { (value(&field[right])) }
                            td role="cell" data-label="In dispute" { @if disputed { b { "yes" } } @else { "no" } }
                        }
                    } }
                }
            }
        }
    }
}

/// The row of the source, or what was sent, column by column.
fn columns_of(record: &str, kind: Kind) -> Markup {
    let what = match kind {
        Kind::Row => "The row in the source",
        Kind::Message => "What was sent",
    };
    let Ok(Json::Object(columns)) = serde_json::from_str(record) else {
        return html! { @if !record.is_empty() { section.card { h2 { (what) } pre { (cut(record, 4000)) } } } };
    };
    html! {
        section.card { h2 { (what) }
            dl.facts.tall { @for (name, value) in &columns {
                div { dt { (name) } dd { (cut(&value.as_str().map_or_else(|| value.to_string(), str::to_owned), 400)) } }
            } }
        }
    }
}
