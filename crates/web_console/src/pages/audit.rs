//! The audit log: what people did, when and why, and whether it is as it was recorded.

use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value as Json;
use store::audit::{Recorded, Verified};
use store::lists::{AuditFilter, AuditOrder};

use crate::ask::{self, Ask};
use crate::facts::Level;
use crate::list::{Choice, Column, List, Rows};
use crate::parts::{badge, clock, command};
use crate::words::{counted, cut};
use crate::{Problem, page};

pub fn page(ask: &Ask) -> Result<Response, Problem> {
    let store = &ask.console.store;
    let (people, actions) = store.audit_words()?;
    let mut list = List {
        name: "audit",
        columns: columns(),
        choices: vec![
            Choice::of("by", "By", people.iter().map(String::as_str)),
            Choice::of("action", "What", actions.iter().map(String::as_str)),
        ],
        order: ("number", true),
        nothing: "Nobody has done anything yet.",
        rows: Rows::Store(Box::new(|view, slice| {
            let filter = AuditFilter {
                by: view.chosen("by").cloned(),
                action: view.chosen("action").cloned(),
                text: view.text.clone(),
            };
            let order = AuditOrder::of(view.sort).unwrap_or(AuditOrder::Number);
            Ok(ask.console.store.audit_page(&filter, order, view.descending, slice)?)
        })),
    };
    if let Some(file) = list.as_file(ask) {
        return file;
    }
    let body = html! { (chain(&ask.console.audit_verified()?)) (list.part(ask)?) };
    Ok(ask::html(page::page(ask, "Audit log", &[], &body)))
}

/// Whether every entry is as it was recorded, and the hash that proves it later.
fn chain(found: &Verified) -> Markup {
    html! {
        @if let Some(at) = found.broken {
            section.card.problem role="alert" {
                h2 { "Entry " (at) " is not what was recorded, or is missing" }
                p { "Somebody has changed the log, or it is damaged. What stands before that entry is as it was." }
                p { b { "Do: " } "keep a copy of the state folder, restore the last backup beside it, and compare the two." }
                p.do { (command("ironbridge audit verify")) }
            }
        } @else {
            section.card {
                p { (badge(Level::Good, "as it was recorded")) " " (counted(found.entries, "entry", "entries"))
                    ", each with a hash of itself and of the one before." }
                @if found.entries > 0 { p { "The newest hash: " code { (hex(&found.head)) } ". Kept elsewhere, it proves later everything up to here:" } }
                p.do { (command(&format!("ironbridge audit verify --head {}", if found.entries > 0 { hex(&found.head) } else { "HASH".to_owned() }))) }
            }
        }
    }
}

fn columns() -> Vec<Column<Recorded>> {
    vec![
        Column::number("number", "Entry", |r: &Recorded| r.id as u64).at_left(),
        Column::time("at", "When", |r: &Recorded| Some(r.at)).shown(|ask, r| clock(ask, r.at)).unsorted(),
        Column::text("by", "By", |r: &Recorded| r.entry.actor.name.clone()),
        Column::text("via", "Through", |r: &Recorded| r.entry.actor.via.clone()).unsorted(),
        Column::text("action", "What", |r: &Recorded| r.entry.action.clone()),
        Column::text("subject", "To what", |r: &Recorded| r.entry.subject.clone()),
        Column::text("why", "Why", |r: &Recorded| r.entry.why.clone().unwrap_or_default()).unsorted(),
        Column::text("detail", "More", |r: &Recorded| r.entry.detail.clone())
            .shown(|_, r| html! { (cut(&details(&r.entry.detail), 120)) })
            .unsorted(),
        Column::text("hash", "Hash", |r: &Recorded| hex(&r.hash)).in_csv_only(),
    ]
}

/// The rest of an entry in a line.
fn details(detail: &str) -> String {
    let Ok(Json::Object(parts)) = serde_json::from_str(detail) else { return String::new() };
    let part = |(name, value): (String, Json)| match value {
        Json::Null => None,
        Json::String(text) => Some(format!("{} {text}", crate::words::spoken(&name))),
        other => Some(format!("{} {other}", crate::words::spoken(&name))),
    };
    parts.into_iter().filter_map(part).collect::<Vec<_>>().join(", ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
