//! Approvals: questions that wait for a person, and one fully.

use axum::response::Response;
use hub::flows::Kept;
use maud::{Markup, html};
use serde_json::Value as Json;
use store::approvals::{Approval, ApprovalId, Kind, State};

use crate::access::Needs;
use crate::ask::{self, Ask};
use crate::facts::Level;
use crate::list::{Choice, Column, List, Rows, View};
use crate::page::{CHECK, CROSS, Command};
use crate::parts::{badge, clock, command, facts, integration};
use crate::words::{counted, number, spoken};
use crate::{Problem, page};

/// Questions that are listed at most; the newest.
const LISTED: usize = 1000;

pub fn list(ask: &Ask) -> Result<Response, Problem> {
    let names = ask.console.project.integrations.iter().map(|i| i.name.as_str());
    let mut list = List {
        name: "approvals",
        columns: vec![
            Column::number("id", "Approval", |a: &Approval| a.id.0 as u64)
                .shown(|_, a| html! { a href={ "/approvals/" (a.id) } { (a.id) } })
                .at_left(),
            Column::text("question", "Question", |a: &Approval| a.question.clone())
                .shown(|_, a| html! { a href={ "/approvals/" (a.id) } { (a.question) } })
                .unsorted(),
            Column::text("integration", "Integration", |a: &Approval| a.integration.clone())
                .shown(|_, a| integration(&a.integration)),
            Column::text("state", "State", |a: &Approval| a.state.to_string()).shown(|_, a| state(a)),
            Column::text("asked_of", "Asked of", |a: &Approval| a.asked_of.trim_start_matches("group:").to_owned()),
            Column::time("asked", "Asked", |a: &Approval| Some(a.asked)),
            Column::text("decided_by", "Decided by", |a: &Approval| a.decided_by.clone().unwrap_or_default()),
            Column::text("comment", "Comment", |a: &Approval| a.comment.clone().unwrap_or_default()).unsorted(),
        ],
        choices: vec![
            Choice::of("integration", "Integration", names),
            Choice::of("state", "State", State::ALL.iter().map(|state| state.as_str())),
        ],
        order: ("id", true),
        nothing: "Nobody has been asked anything yet.",
        rows: Rows::Here(ask.console.store.approvals(true, LISTED)?, keeps),
    };
    if let Some(file) = list.as_file(ask) {
        return file;
    }
    Ok(ask::html(page::page(ask, "Approvals", &[], &list.part(ask)?)))
}

fn keeps(view: &View, approval: &Approval) -> bool {
    let fits = |name: &str, value: &str| view.chosen(name).is_none_or(|chosen| chosen == value);
    fits("integration", &approval.integration) && fits("state", approval.state.as_str())
}

pub fn state(approval: &Approval) -> Markup {
    let level = match approval.state {
        State::Open => Level::Warn,
        // A flow goes on at once; of a run something is still to come.
        State::Approved if approval.kind == Kind::Flow => Level::Good,
        State::Approved => Level::Busy,
        State::Used => Level::Good,
        State::Rejected | State::Superseded => Level::Quiet,
    };
    badge(level, &spoken(approval.state.as_str()))
}

/// The question that an address names.
pub fn found(ask: &Ask) -> Result<Approval, Problem> {
    let name = ask.name("approval");
    let found = match name.parse() {
        Ok(id) => ask.console.store.approval(ApprovalId(id))?,
        Err(_) => None,
    };
    found.ok_or_else(|| Problem::not_there("approval", name))
}

pub fn one(ask: &Ask) -> Result<Response, Problem> {
    let approval = found(ask)?;
    let open = approval.state == State::Open && approval.expires.is_none_or(|expires| expires > ask.now);
    let mut commands = Vec::new();
    if open && ask.who.may(Needs::Decide) {
        commands.push(Command::new("Approve", format!("/approvals/{}/approve", approval.id), CHECK).primary());
        commands.push(Command::new("Reject", format!("/approvals/{}/reject", approval.id), CROSS));
    }
    let shown: Json = serde_json::from_str(&approval.details).unwrap_or_default();
    // A question of a flow has the clock of its own.
    let until = approval.expires.or_else(|| shown["deadline"].as_str()?.parse().ok());
    let newest = ask.console.store.approval_of(&approval.integration, approval.kind, &approval.subject)?;
    let newer = newest.filter(|newest| newest.id != approval.id && approval.state == State::Superseded);
    let body = html! {
        @if let Some(newer) = &newer {
            section.card { p { "The world has moved on since, and this was asked anew: " a href={ "/approvals/" (newer.id) } { "approval " (newer.id) } } }
        }
        section.card {
            p.question { (approval.question) }
            (facts([
                ("Integration", integration(&approval.integration)),
                ("State", state(&approval)),
                ("Asked of", html! { (approval.asked_of.trim_start_matches("group:")) }),
                ("Asked", clock(ask, approval.asked)),
                ("Expires", html! { @if let Some(until) = until { (clock(ask, until)) } @else { "never" } }),
                ("Decided", html! { @if let (Some(by), Some(at)) = (&approval.decided_by, approval.decided) { "by " (hub::flows::decider(by)) " at " (clock(ask, at)) } @else { "not yet" } }),
                ("Shown", html! { (as_shown(ask, &approval)?) }),
                ("Comment", html! { (approval.comment.as_deref().unwrap_or_default()) }),
                ("Done by", html! { @if let Some(run) = approval.used_by { a href={ "/runs/" (run) } { "run " (run) } } }),
            ]))
        }
        @let filled = hub::flows::filled_in(&ask.console.store, &approval, ask.zone())?;
        @if !filled.is_empty() {
            section.card aria-labelledby="filled-heading" { h2 #filled-heading { "Filled in with the answer" }
                (facts(filled.iter().map(|(label, value)| (label.as_str(), html! { (value) })))) }
        }
        (details(ask, &shown))
        p.do { (command(&format!("ironbridge approvals show {}", approval.id))) }
    };
    Ok(ask::html(page::page(ask, &format!("Approval {}", approval.id), &commands, &body)))
}

/// Whether what stands here is what people were shown, with its hash; nothing for a run, whose plan has proofs of its own.
pub fn as_shown(ask: &Ask, approval: &Approval) -> Result<Markup, Problem> {
    if hub::flows::subject_of(approval).is_none() {
        return Ok(html! { code { (approval.digest) } });
    }
    let hash = html! { code title=(approval.digest) { (approval.digest.chars().take(16).collect::<String>()) } };
    Ok(match hub::flows::kept(&ask.console.store, approval)? {
        Kept::AsShown => html! { (badge(Level::Good, "as it was shown")) " " (hash) },
        Kept::Forgotten => html! { (badge(Level::Quiet, "forgotten")) " " (hash) },
        Kept::Changed => {
            html! { (badge(Level::Bad, "not what was shown")) " " (hash) " " (crate::parts::code("IB1217")) }
        }
        Kept::Otherwise { by, .. } => {
            html! { (badge(Level::Bad, "not what was answered")) " by " (by) ": " (hash) " " (crate::parts::code("IB1217")) }
        }
    })
}

/// What to look at before deciding: the rows, and what the destination would start because of them.
pub fn details(ask: &Ask, details: &Json) -> Markup {
    let rows = details["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let starts = details["starts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let record: Vec<_> =
        details["record"].as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).collect();
    let more = details["more_rows"].as_u64().unwrap_or(0);
    html! {
        @if !record.is_empty() {
            section.card aria-labelledby="record-heading" {
                h2 #record-heading { "The record, as it was when it was asked" }
                (facts(record.iter().map(|(field, value)| (field.as_str(), html! { (hub::flows::form::spoken_in(value, ask.zone())) }))))
            }
        }
        @if !rows.is_empty() {
            section.card aria-labelledby="rows-heading" {
                h2 #rows-heading { "What would be written" }
                div.scroll tabindex="0" role="region" aria-labelledby="rows-heading" {
                    table.list role="table" {
                        thead role="rowgroup" { tr role="row" { @for title in ["Effect", "Record", "Column", "Old", "New"] { th role="columnheader" scope="col" { (title) } } } }
                        tbody role="rowgroup" { @for row in rows { (planned(row)) } }
                    }
                }
                @if more > 0 { p { "… and " (number(more)) " more rows like these" } }
            }
        }
        @if !starts.is_empty() {
            section.card aria-labelledby="starts-heading" {
                h2 #starts-heading { "This would start there" }
                ul { @for one in starts {
                    li { (text(one, "kind")) " " b { (text(one, "name")) } " on " (text(one, "table")) ", "
                        (counted(one["rows"].as_u64().unwrap_or(0), "time", "times"))
                        @if one["in_the_write"] == true { ", and each write waits for it" } }
                } }
            }
        }
        @if let Some(why) = details["starts_unknown"].as_str() { p { "What this would start there is not known: " (why) } }
        @if let Some(what) = details["refused"]["what"].as_str() { p.problem { "A run would stop before it is through: " (what) } }
    }
}

fn text<'j>(of: &'j Json, name: &str) -> &'j str {
    of[name].as_str().unwrap_or_default()
}

fn planned(row: &Json) -> Markup {
    let columns: Vec<_> = row["columns"].as_object().into_iter().flatten().collect();
    let faults: Vec<&str> = row["faults"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let head = html! {
        td role="cell" data-label="Effect" { (text(row, "effect")) @for fault in &faults { " " (crate::parts::code(fault)) } }
        td role="cell" data-label="Record" { (text(row, "entity")) " " (text(row, "key")) }
    };
    html! {
        @if columns.is_empty() { tr role="row" { (head) td role="cell" {} td role="cell" {} td role="cell" {} } }
        @for (name, column) in columns {
            tr role="row" {
                (head)
                td role="cell" data-label="Column" { code { (name) } }
                td role="cell" data-label="Old" { (column["old"].as_str().unwrap_or_default()) }
                td role="cell" data-label="New" { (column["new"].as_str().unwrap_or_default()) }
            }
        }
    }
}
