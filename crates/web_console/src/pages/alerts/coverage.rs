//! What would ring and for whom, and what would not.

use axum::response::Response;
use hub::operations::{Coverage, coverage};
use maud::{Markup, html};
use store::alerts::Severity;

use crate::ask::{self, Ask};
use crate::facts::Level;
use crate::parts::{badge, command, integration};
use crate::{Problem, page};

pub fn page(ask: &Ask) -> Result<Response, Problem> {
    let project = &ask.console.project;
    let all = coverage(project, ask.now);
    let deaf: Vec<&Coverage> = all.iter().filter(|one| one.heard_by.is_empty()).collect();
    let body = html! {
        @if !deaf.is_empty() {
            section.card.problem role="alert" {
                h2 { "Nobody hears of " @for (at, one) in deaf.iter().enumerate() { @if at > 0 { ", " } (name(one)) } }
                p { b { "Do: " } "give its owner an address in people.yaml, and the hub a way to send: `mail:` in ironbridge.yaml." }
            }
        }
        @for one in &all { (shown(one)) }
        section.card {
            h2 { "When the hub itself is silent" }
            @match &project.hub.heartbeat {
                Some(_) => p { "A watcher outside is called again and again, and rings when it is not." }
                None => p { "Nobody outside notices. Add " code { "heartbeat: { url: … }" } " to ironbridge.yaml." }
            }
        }
        p.do { (command("ironbridge alerts coverage")) }
    };
    Ok(ask::html(page::page(ask, "What would ring", &[], &body)))
}

fn name(one: &Coverage) -> &str {
    if one.integration.is_empty() { "the hub itself" } else { &one.integration }
}

fn shown(one: &Coverage) -> Markup {
    html! {
        section.card {
            h2 { @if one.integration.is_empty() { "The hub itself" } @else { (integration(&one.integration)) } }
            @if one.heard_by.is_empty() { p { (badge(Level::Bad, "nobody hears of it")) } }
            @for (from, until) in one.unheard.iter().filter(|_| !one.heard_by.is_empty()) {
                p { (badge(Level::Warn, "a gap")) (format!(" Nobody hears of something critical from {from:02}:00 to {until:02}:00.")) }
            }
            @for (way, why) in &one.broken { p { (badge(Level::Warn, "leads nowhere")) " " (way) ": " (why) } }
            @if !one.rings.is_empty() {
                div.scroll tabindex="0" role="region" aria-label={ "What rings for " (name(one)) } {
                    table.list role="table" {
                        thead role="rowgroup" { tr role="row" { @for title in ["What", "As", "For", "When"] { th role="columnheader" scope="col" { (title) } } } }
                        tbody role="rowgroup" { @for ring in &one.rings {
                            tr role="row" {
                                td role="cell" data-label="What" { (ring.kind.heading()) }
                                td role="cell" data-label="As" { (badge(if ring.severity == Severity::Critical { Level::Bad } else { Level::Warn }, ring.severity.as_str())) }
                                td role="cell" data-label="For" { (ring.heard().join(", ")) }
                                td.long role="cell" data-label="When" { (ring.kind.when()) }
                            }
                        } }
                    }
                }
            }
            @if !one.silent.is_empty() {
                details { summary { "What does not ring" }
                    ul { @for (kind, why) in &one.silent { li { (kind.heading()) ": " (why) } } }
                }
            }
        }
    }
}
