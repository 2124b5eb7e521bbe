//! One integration: how it stands, what ran, what is mapped how, and what to do about it.

use std::collections::BTreeMap;

use axum::response::Response;
use definition::{Direction, Integration, Pattern, Project, SheetLine};
use maud::{Markup, PreEscaped, html};

use crate::access::Needs;
use crate::ask::{self, Ask};
use crate::facts::{Facts, Level, Standing};
use crate::page::{AGAIN, BOOK, Command, PAUSE, RUN};
use crate::parts::{amount, badge, clock, command, facts, time};
use crate::words::{counted, escaped};
use crate::{Problem, chart, history, page};

use super::runs;

pub fn page(ask: &Ask) -> Result<Response, Problem> {
    let integration = found(ask)?;
    let all = Facts::of(&ask.console, ask.now)?;
    let standing = all.standing(&integration.name).expect("each integration has a standing");
    let body = html! {
        (super::alerts::of(ask, &integration.name)?)
        (trouble(ask, standing))
        section.card { (about(ask, integration, standing)) }
        @if matches!(integration.pattern, Pattern::Batch(_)) {
            @let hours = history::week_of(&ask.console.store, &integration.name, ask.now)?;
            section.card aria-labelledby="chart-heading" { h2 #chart-heading { "The last 7 days" } (chart::runs(ask, &hours)) (chart::rows(ask, &hours)) }
            section.card aria-labelledby="runs-heading" { h2 #runs-heading { "The newest runs" } (runs::newest(ask, &integration.name, 8)?) }
        }
        @if matches!(integration.pattern, Pattern::Event(_)) {
            section.card aria-labelledby="chart-heading" { h2 #chart-heading { "The last 7 days" } (chart::messages(ask, &history::messages_of(&ask.console.store, integration, ask.now)?)) }
        }
        @if let Pattern::Flow(flow) = &integration.pattern {
            section.card { h2 { "Its instances" } p { a href={ "/flows?integration=" (escaped(&integration.name)) } { "Those that are under way" } ", " a href={ "/flows?state=all&integration=" (escaped(&integration.name)) } { "all of them" } } }
            @let standing = hub::flows::standing(&ask.console.store, &integration.name)?;
            section.card aria-labelledby="steps-heading" {
                h2 #steps-heading { "Its steps, and how many instances stand where" }
                div.scroll tabindex="0" role="region" aria-labelledby="steps-heading" {
                    (PreEscaped(definition::flow_svg(integration, flow, &standing)))
                }
            }
        }
        section.card aria-labelledby="mapping-heading" { h2 #mapping-heading { "What is mapped how" } (mapping(&ask.console.project, integration)) }
        (definition_of(&ask.console.project, integration))
    };
    Ok(ask::html(page::page(ask, &integration.name, &commands(ask, integration, standing), &body)))
}

/// The integration that an address names.
pub fn found(ask: &Ask) -> Result<&Integration, Problem> {
    let name = ask.name("integration");
    ask.console.project.integration(name).ok_or_else(|| Problem::not_there("integration", name))
}

fn commands(ask: &Ask, integration: &Integration, standing: &Standing) -> Vec<Command> {
    let mut commands = Vec::new();
    let to = |what: &str| format!("/integrations/{}/{what}", escaped(&integration.name));
    if let Pattern::Flow(flow) = &integration.pattern {
        if crate::act::start::may(ask, flow).unwrap_or(false) {
            commands.push(Command::new("Start one", to("start"), RUN).primary());
        }
        if ask.who.may(Needs::Operate) && (standing.waiting > 0 || standing.stuck.is_some()) {
            commands.push(Command::new("Move instances", to("migrate"), AGAIN));
        }
    }
    if ask.who.may(Needs::Operate) {
        if matches!(integration.pattern, Pattern::Batch(_)) {
            commands.push(Command::new("Run now", to("run"), RUN).primary());
        }
        if matches!(integration.pattern, Pattern::Batch(_) | Pattern::Event(_)) {
            commands.push(match standing.pause {
                Some(_) => Command::new("Resume", to("resume"), RUN),
                None => Command::new("Pause", to("pause"), PAUSE),
            });
        }
    }
    commands.push(Command::new("Runbook", to("runbook"), BOOK));
    commands
}

/// What is wrong with it right now, in full.
fn trouble(ask: &Ask, standing: &Standing) -> Markup {
    let error = standing.last.as_ref().and_then(|run| Some((run, run.error.as_ref()?)));
    html! {
        @if let Some(outage) = &standing.outage {
            section.card.problem role="alert" {
                h2 { @if standing.pattern == "virtual" { "Whoever looks gets an error" } @else { "Nothing gets through to " (outage.system) } " since " (time(ask, outage.since)) }
                p { (outage.what) " " (crate::parts::code(&outage.code)) }
                @if standing.pattern == "event" { p { (counted(standing.waiting, "message waits", "messages wait")) " and none is lost; it is tried again by itself, "
                    (counted(outage.failures, "time", "times")) " so far, the last one " (time(ask, outage.seen)) "." } }
                @if !outage.fix.is_empty() { p { b { "Do: " } (outage.fix) } }
            }
        }
        @if let Some(late) = &standing.late {
            section.card.problem role="alert" {
                h2 { "Late: its result was needed " (time(ask, late.needed)) }
                p { "It was due at " (clock(ask, late.slot)) " and needed by " (clock(ask, late.needed)) "." }
            }
        }
        @if let Some(pause) = &standing.pause {
            section.card.paused {
                h2 { "Paused by " (pause.by) " since " (time(ask, pause.since)) }
                p { (pause.note) }
                p { @if let Some(until) = pause.until { "It works again by itself at " (clock(ask, until)) "." } @else { "Until somebody resumes it." } }
            }
        }
        @if let Some(id) = standing.question { section.card { p { "It waits for an answer: " a href={ "/approvals/" (id) } { "approval " (id) } } } }
        @if let Some((run, error)) = error {
            (super::dead_letters::one::fault(&serde_json::from_str(&error.detail).unwrap_or_default(), &error.code, &error.text))
            p { "This was " a href={ "/runs/" (run.id) } { "run " (run.id) } "." }
        }
    }
}

fn about(ask: &Ask, integration: &Integration, standing: &Standing) -> Markup {
    let project = &ask.console.project;
    let mut pairs = vec![
        ("State", badge(standing.level, &standing.state)),
        ("Purpose", html! { (integration.purpose) }),
        ("Owner", owner(project, &integration.owner)),
        ("Moves", html! { (integration.entities().join(", ")) " " (direction(integration)) }),
    ];
    match &integration.pattern {
        Pattern::Batch(batch) => {
            pairs.push(("Schedule", html! { (batch.schedule.to_string()) }));
            pairs.push((
                "Next run",
                html! { @if let Some(next) = standing.next { (clock(ask, next)) } @else { "none by itself" } },
            ));
            if let Some(by) = &batch.needed_by {
                pairs.push(("Needed by", html! { (by.to_string()) }));
            }
        }
        Pattern::Event(event) => {
            pairs.push(("Because", html! { (event.because) }));
            pairs.push(("When it fails", html! { (hub::events::worst_case(event)) }));
            pairs.push(("On their way", amount(standing.waiting)));
            if standing.held > 0 {
                pairs.push(("Held by dead letters", amount(standing.held)));
            }
        }
        _ => {}
    }
    let dead = html! {
        @if standing.dead_letters == 0 { (badge(Level::Good, "none")) }
        @else { a href={ "/dead-letters?integration=" (escaped(&integration.name)) } { (counted(standing.dead_letters, "waits", "wait")) } }
    };
    pairs.push(("Dead letters", dead));
    pairs.push(("Defined in", html! { code { (integration.origin) } }));
    html! {
        (facts(pairs))
        p.do { (command(&format!("ironbridge show {}", integration.name))) }
    }
}

/// An owner with the ways to reach them.
fn owner(project: &Project, owner: &str) -> Markup {
    html! { (owner) @for address in project.addresses(owner) { " " a href={ "mailto:" (address) } { (address) } } }
}

fn direction(integration: &Integration) -> Markup {
    let system = |name: &str| html! { a href={ "/systems/" (escaped(name)) } { (name) } };
    match &integration.pattern {
        Pattern::Batch(batch) => match &batch.direction {
            Direction::OneWay { from, to } => html! { "from " (system(from)) " to " (system(to)) },
            Direction::TwoWay { between: [left, right], .. } => {
                html! { "both ways between " (system(left)) " and " (system(right)) }
            }
        },
        Pattern::Event(event) => {
            html! { "from " (system(&event.from)) " to " @for (at, to) in event.to.iter().enumerate() { @if at > 0 { ", " } (system(to)) } }
        }
        Pattern::Virtual(shown) => html! { "of " (system(&shown.from)) ", shown in " (system(&shown.to)) ", live" },
        Pattern::Flow(_) => html! { "through a flow" },
    }
}

/// Each field with its formula, as it goes from the source to the entity and on to the destination.
fn mapping(project: &Project, integration: &Integration) -> Markup {
    let systems = integration.systems();
    html! {
        @for name in integration.entities() { @if let Some(entity) = project.entity(name) {
            @let lines: Vec<SheetLine> = definition::sheet(project, entity, &BTreeMap::new()).into_iter().filter(|line| systems.contains(&line.system.as_str())).collect();
            h3 { (name) }
            div.scroll tabindex="0" role="region" aria-label={ "The mapping of " (name) } {
                table.list role="table" {
                    thead role="rowgroup" { tr role="row" { @for title in ["System", "Way", "From", "How", "To", "Notes"] { th role="columnheader" scope="col" { (title) } } } }
                    tbody role="rowgroup" { @for line in &lines {
                        tr role="row" {
                            td role="cell" data-label="System" { (line.system) @if !line.table.is_empty() { " · " (line.table) } }
                            td role="cell" data-label="Way" { (line.way) }
                            td role="cell" data-label="From" { code { (line.from) } }
                            td role="cell" data-label="How" { (line.how) }
                            td role="cell" data-label="To" { code { (line.to) } }
                            td role="cell" data-label="Notes" { (line.notes) }
                        }
                    } }
                }
            }
        } }
    }
}

/// Everything that holds, with every default, folded away.
fn definition_of(project: &Project, integration: &Integration) -> Markup {
    let lines = definition::show(project, &integration.name);
    html! {
        details.card #definition { summary { "The whole definition, with every default and where it was said" }
            div.scroll tabindex="0" role="region" aria-label="The definition" {
                table.list role="table" {
                    thead role="rowgroup" { tr role="row" { @for title in ["Key", "Value", "Said in"] { th role="columnheader" scope="col" { (title) } } } }
                    tbody role="rowgroup" { @for line in &lines {
                        tr role="row" {
                            td role="cell" data-label="Key" { @for _ in 0..line.depth { "\u{2003}" } (line.key) }
                            td role="cell" data-label="Value" { @if let Some(value) = &line.value { (value) } }
                            td role="cell" data-label="Said in" { (line.origin.to_string()) }
                        }
                    } }
                }
            }
        }
    }
}
