//! The first page: what needs attention first, and the picture of it all.

use axum::response::Response;
use maud::{Markup, html};

use crate::ask::{self, Ask};
use crate::facts::{Attention, Facts, Level, Standing, attention};
use crate::parts::{badge, command, dot, time};
use crate::words::{counted, escaped, number};
use crate::{Problem, chart, page, picture};

/// More than this nobody reads at three in the morning; the rest is a link away.
const SHOWN: usize = 20;

pub fn page(ask: &Ask) -> Result<Response, Problem> {
    Ok(ask::html(page::page(ask, "Overview", &[], &body(ask)?)))
}

/// The part of the page that is about the hub.
pub fn body(ask: &Ask) -> Result<Markup, Problem> {
    let console = &ask.console;
    let facts = Facts::of(console, ask.now)?;
    let needs = attention(&console.project, &facts);
    let week = console.history.week(&console.store, ask.now)?;
    let on_the_way: u64 =
        facts.standings.iter().filter(|standing| standing.pattern == "event").map(|standing| standing.waiting).sum();
    Ok(html! {
        div.tiles {
            (tile("/integrations", facts.standings.len() as u64, "integration", "integrations", Level::Quiet))
            (tile("#attention", needs.len() as u64, "thing needs attention", "things need attention", worst(&needs)))
            (tile("/alerts", facts.alerts.len() as u64, "open alert", "open alerts", alarm(&facts)))
            (tile("/dead-letters", facts.dead_letters(), "dead letter", "dead letters", if facts.dead_letters() > 0 { Level::Warn } else { Level::Good }))
            (tile("/integrations?pattern=event", on_the_way, "message on its way", "messages on their way", Level::Quiet))
        }
        section #attention.card aria-labelledby="attention-heading" {
            h2 #attention-heading { "Needs attention first" }
            @if needs.is_empty() {
                p.nothing { (dot(Level::Good)) "Nothing. Everything that should have run has run." }
            } @else {
                ol.attention { @for need in needs.iter().take(SHOWN) { (shown(ask, need)) } }
                @if needs.len() > SHOWN {
                    p { a href="/integrations?sort=level" { "and " (counted((needs.len() - SHOWN) as u64, "more thing", "more things")) } }
                }
            }
        }
        section.card aria-labelledby="picture-heading" {
            h2 #picture-heading { "The hub and its systems" }
            (picture::picture(&console.project, &facts))
        }
        section.card aria-labelledby="week-heading" {
            h2 #week-heading { "The last 7 days" }
            (chart::runs(ask, &week))
            (chart::rows(ask, &week))
        }
        section.card aria-labelledby="all-heading" {
            h2 #all-heading { "All integrations" }
            (all(&facts.standings))
        }
    })
}

fn alarm(facts: &Facts) -> Level {
    facts.alerts.first().map_or(Level::Good, crate::pages::alerts::level)
}

fn worst(needs: &[Attention]) -> Level {
    needs.first().map_or(Level::Good, |need| need.level)
}

fn tile(href: &str, n: u64, one: &str, several: &str, level: Level) -> Markup {
    html! { a.tile.(level.class()) href=(href) { b { (number(n)) } span { @if n == 1 { (one) } @else { (several) } } } }
}

fn shown(ask: &Ask, need: &Attention) -> Markup {
    html! {
        li.(need.level.class()) {
            div.what {
                (badge(need.level, need.level.words()))
                a href=(need.href) { (need.what) }
                @if let Some(since) = need.since { span.since { (time(ask, since)) } }
            }
            @if !need.detail.is_empty() { p { (need.detail) } }
            @if !need.purpose.is_empty() { p.purpose { "It is for: " (need.purpose) } }
            p.do { (command(&need.command)) }
        }
    }
}

/// Every integration as one word with its colour and shape.
fn all(standings: &[Standing]) -> Markup {
    html! {
        ul.all { @for standing in standings {
            li { a.(standing.level.class()) href={ "/integrations/" (escaped(&standing.name)) } title=(standing.state) { (dot(standing.level)) (standing.name) span.unseen { ": " (standing.state) } } }
        } }
    }
}
