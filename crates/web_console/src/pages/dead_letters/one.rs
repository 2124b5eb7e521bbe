//! One dead letter, fully.

use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value as Json;
use store::dead_letters::{DeadLetter, Edit, Kind, State, group_name};

use super::{found, short, state};
use crate::Problem;
use crate::access::Needs;
use crate::ask::{self, Ask};
use crate::page::{self, AGAIN, CHECK, CROSS, Command, PEN};
use crate::parts::{clock, code, command, facts, integration};
use crate::words::{cut, escaped};

pub fn page(ask: &Ask) -> Result<Response, Problem> {
    let letter = found(ask)?;
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
                ("Group", html! { @if !letter.cause.is_empty() { a href={ "/dead-letters/groups/" (letter.cause) } { (group_name(&letter.cause)) } } }),
                ("Goes for good", html! { @if let Some(goes) = letter.goes { (clock(ask, goes)) } @else { "not while it waits" } }),
                ("Note", html! { @if let Some(note) = &letter.note { (note) } @if let Some(by) = &letter.changed_by { " (" (by) ")" } }),
            ]))
        }
        (fully(ask, &letter)?)
        p.do { (command(&format!("ironbridge dead-letters show {}", short(&letter)))) }
    };
    let title = format!("{} {}", letter.entity, letter.key_text);
    Ok(ask::html(page::page(ask, title.trim_end(), &commands(ask, &letter), &body)))
}

fn commands(ask: &Ask, letter: &DeadLetter) -> Vec<Command> {
    let to = |what: &str| format!("/dead-letters/{}/{what}", letter.id);
    if !ask.who.may(Needs::Operate) {
        return Vec::new();
    }
    if letter.state == State::Discarded {
        return vec![Command::new("Take back", to("restore"), AGAIN).primary()];
    }
    if !letter.state.is_waiting() {
        return Vec::new();
    }
    let first = match letter.kind == Kind::Row && hub::two_way::is_dispute(letter) {
        true => Command::new("Decide", to("decide"), CHECK),
        false => Command::new("Retry", to("retry"), AGAIN),
    };
    let mut commands = vec![first.primary()];
    if hub::letters::edit::allowed(&ask.console.project, letter).is_ok() {
        commands.push(Command::new("Send a changed copy", to("edit"), PEN));
    }
    commands.push(Command::new("Discard", to("discard"), CROSS));
    commands
}

/// Everything that is known of what happened: the error's parts, the fields with their formulas, the record, the other
/// system's answer, the copies that people have sent. Personal values are masked.
pub fn fully(ask: &Ask, letter: &DeadLetter) -> Result<Markup, Problem> {
    let (store, project) = (&ask.console.store, &ask.console.project);
    let message = store.dead_letter_message(&letter.id)?;
    let record = message.map(|m| hub::mask::body(project, &letter.integration, &letter.entity, &m.body));
    let detail: Json = serde_json::from_str(&letter.problem.detail).unwrap_or_default();
    let faults = detail["faults"].as_array().map(Vec::as_slice).unwrap_or_default();
    let edits = store.dead_letter_edits(&letter.id)?;
    Ok(html! {
        @if faults.is_empty() {
            (fault(&Json::Null, &letter.problem.code, &letter.problem.what))
        }
        @for one in faults { (fault(one, &letter.problem.code, &letter.problem.what)) }
        (versions(&detail["versions"]))
        (fields(&detail["fields"]))
        @if detail["versions"].is_null() { (columns_of(&record.unwrap_or_default(), letter.kind)) }
        @for edit in &edits { (edited(ask, edit)) }
    })
}

/// A copy that somebody has changed and sent.
fn edited(ask: &Ask, edit: &Edit) -> Markup {
    let changes: Json = serde_json::from_str(&edit.changes).unwrap_or_default();
    html! {
        section.card { h2 { "A changed copy, sent by " (edit.by) " at " (clock(ask, edit.at)) }
            p { (edit.why) }
            dl.facts.tall { @for (name, change) in changes.as_object().into_iter().flatten() {
                div { dt { (name) } dd { (value(&change["old"])) " → " (value(&change["new"])) } }
            } }
        }
    }
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
        let request = of("request_id").map(|id| format!("(request {id})"));
        ["status", "code", "text"].into_iter().filter_map(of).chain(request).collect::<Vec<_>>().join(" ")
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
                            td.long role="cell" data-label="Where" { (field["at"].as_str().unwrap_or_default()) }
                        }
                    } }
                }
            }
        }
    }
}

/// A value as people read it; an error is marked.
pub fn value(value: &Json) -> Markup {
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
fn columns_of(record: &Json, kind: Kind) -> Markup {
    let what = match kind {
        Kind::Row => "The row in the source",
        Kind::Message => "What was sent",
    };
    let Json::Object(columns) = record else {
        let text = record.as_str().map_or_else(|| record.to_string(), str::to_owned);
        return html! { @if !record.is_null() { section.card { h2 { (what) } pre { (cut(&text, 4000)) } } } };
    };
    html! {
        section.card { h2 { (what) }
            dl.facts.tall { @for (name, value) in columns {
                div { dt { (name) } dd { (cut(&value.as_str().map_or_else(|| value.to_string(), str::to_owned), 400)) } }
            } }
        }
    }
}
