//! Flows: how far each instance has come, and one with all its steps.

use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value as Json;
use store::approvals::Approval;
use store::flows::{Filter, Instance, InstanceId, State, Step};

use crate::access::Needs;
use crate::ask::{self, Ask};
use crate::facts::Level;
use crate::list::{Choice, Column, List, Rows, View};
use crate::page::{AGAIN, CROSS, Command, DOWN};
use crate::parts::{badge, clock, command, facts, integration, time};
use crate::words::escaped;
use crate::{Problem, page};

/// Instances that are listed at most; the newest.
const LISTED: usize = 1000;

pub fn list(ask: &Ask) -> Result<Response, Problem> {
    let flows = ask.console.project.integrations.iter().filter(|i| matches!(i.pattern, definition::Pattern::Flow(_)));
    let states = match ask.query("state") {
        None => vec![State::Held, State::Running, State::Failed],
        Some(word) => State::of(word).into_iter().collect(),
    };
    let filter = Filter { integration: ask.query("integration").map(str::to_owned), states, key: None };
    let found = ask.console.store.flow_instances(&filter, LISTED)?;
    let mut list = List {
        name: "flows",
        columns: vec![
            Column::number("id", "Instance", |i: &Instance| i.id.0 as u64)
                .shown(|_, i| html! { a href={ "/flows/" (i.id) } { (i.id) } })
                .at_left(),
            Column::text("integration", "Flow", |i: &Instance| i.integration.clone())
                .shown(|_, i| integration(&i.integration)),
            Column::text("about", "About", |i: &Instance| format!("{} {}", i.entity, i.key))
                .shown(|_, i| html! { a href={ "/flows/" (i.id) } { (i.entity) " " (i.key) } }),
            Column::text("state", "State", |i: &Instance| i.state.to_string()).shown(|_, i| state(i.state)),
            Column::text("step", "Step", |i: &Instance| i.at.clone().unwrap_or_default()),
            Column::text("problem", "Error", |i: &Instance| problem(i).0)
                .shown(|_, i| crate::parts::code(&problem(i).1)),
            Column::time("started", "Begun", |i: &Instance| Some(i.started)),
            Column::time("updated", "Changed", |i: &Instance| Some(i.updated)),
            Column::time("ended", "Ended", |i: &Instance| i.ended),
            Column::number("version", "Version", |i: &Instance| i.version.into()).in_csv_only(),
        ],
        choices: vec![
            Choice::of("integration", "Flow", flows.map(|i| i.name.as_str())),
            Choice {
                name: "state",
                label: "State",
                blank: "under way",
                options: [("all".to_owned(), "all of them".to_owned())]
                    .into_iter()
                    .chain(State::ALL.iter().map(|state| (state.to_string(), state.to_string())))
                    .collect(),
            },
        ],
        order: ("id", true),
        nothing: "No instance is under way. Those that have ended are among all of them.",
        rows: Rows::Here(found, |_: &View, _| true),
    };
    if let Some(file) = list.as_file(ask) {
        return file;
    }
    let body = html! { (starts(ask)?) (list.part(ask)?) p.do { (command("ironbridge flow list --all")) } };
    Ok(ask::html(page::page(ask, "Flows", &[], &body)))
}

/// The flows with a form that whoever looks may start.
fn starts(ask: &Ask) -> Result<Markup, Problem> {
    let mut names = Vec::new();
    for integration in &ask.console.project.integrations {
        let definition::Pattern::Flow(flow) = &integration.pattern else { continue };
        if flow.form.is_some() && crate::act::start::may(ask, flow)? {
            names.push(&integration.name);
        }
    }
    Ok(html! { @if !names.is_empty() {
        p.buttons { @for name in names { a.button href={ "/integrations/" (escaped(name)) "/start" } { "Start " (name) } } }
    } })
}

fn state(state: State) -> Markup {
    let level = match state {
        State::Held => Level::Paused,
        State::Running => Level::Busy,
        State::Failed => Level::Bad,
        State::Done => Level::Good,
        State::Cancelled => Level::Quiet,
    };
    badge(level, state.as_str())
}

/// What it failed by: a sentence, the code and what to do.
fn problem(instance: &Instance) -> (String, String, String) {
    let problem: Json = instance.problem.as_ref().and_then(|p| serde_json::from_str(p).ok()).unwrap_or_default();
    let part = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    (part("what"), part("code"), part("do"))
}

/// The instance that an address names.
pub fn found(ask: &Ask) -> Result<Instance, Problem> {
    let name = ask.name("instance");
    let found = match name.parse() {
        Ok(id) => ask.console.store.flow_instance(InstanceId(id))?,
        Err(_) => None,
    };
    found.ok_or_else(|| Problem::not_there("instance of a flow", name))
}

/// Where a message in a channel leads: the newest question of this name, whatever its number.
pub fn asks(ask: &Ask) -> Result<Response, Problem> {
    let (instance, decision) = (found(ask)?, ask.name("decision"));
    let subject = hub::flows::subject(instance.id, decision);
    let asked = ask.console.store.approval_of(&instance.integration, store::approvals::Kind::Flow, &subject)?;
    let approval = asked.ok_or_else(|| Problem::not_there("question of this instance", decision))?;
    Ok(ask::see(&format!("/approvals/{}", approval.id)))
}

pub fn one(ask: &Ask) -> Result<Response, Problem> {
    let instance = found(ask)?;
    let store = &ask.console.store;
    let mine = store.approvals_about(&instance.integration, &format!("{}/", instance.id))?;
    let (what, _, fix) = problem(&instance);
    let key = instance.key.to_string();
    let trace = format!("/trace?entity={}&key={}", escaped(&instance.entity), escaped(&key));
    let data = hub::flows::data(&ask.console.project, &instance);
    let body = html! {
        @if !what.is_empty() {
            section.card.fault {
                h2 { (what) " " (crate::parts::code(&problem(&instance).1)) }
                @if instance.attempts > 0 { p { "Tried " (crate::words::counted(instance.attempts.into(), "time", "times")) " so far." } }
                @if !fix.is_empty() { p { b { "Do: " } (fix) } }
            }
        }
        section.card {
            (facts([
                ("Flow", integration(&instance.integration)),
                ("State", state(instance.state)),
                ("About", html! { a href=(trace) { (instance.entity) " " (key) } }),
                ("Step", html! { (instance.at.as_deref().unwrap_or_default()) }),
                ("Goes on", html! { @if let Some(wake) = instance.wake { (clock(ask, wake)) } }),
                ("Version", html! { (instance.version) }),
                ("Begun", clock(ask, instance.started)),
                ("Ended", html! { @if let Some(ended) = instance.ended { (clock(ask, ended)) } }),
            ]))
            p.do { (command(&format!("ironbridge flow show {}", instance.id))) }
        }
        @if !mine.is_empty() { section.card aria-labelledby="asked-heading" { h2 #asked-heading { "What people were asked" } (asked(ask, &mine)?) } }
        section.card aria-labelledby="steps-heading" { h2 #steps-heading { "What it has done" } (steps(ask, &store.flow_steps(instance.id)?)) }
        (values(ask, "What it has set", &data["set"]))
        (values(ask, "What was decided", &data["decisions"]))
    };
    let title = format!("{} of {} {key}", instance.integration, instance.entity);
    Ok(ask::html(page::page(ask, &title, &commands(ask, &instance), &body)))
}

fn asked(ask: &Ask, mine: &[Approval]) -> Result<Markup, Problem> {
    Ok(html! { ul.now { @for approval in mine {
        li { (super::approvals::state(approval)) " " a href={ "/approvals/" (approval.id) } { (approval.question) } ", asked of " (approval.asked_of) " " (time(ask, approval.asked))
            @if let (Some(by), Some(at)) = (&approval.decided_by, approval.decided) { ", decided by " (hub::flows::decider(by)) " " (time(ask, at)) }
            @if let Some(comment) = &approval.comment { ": " (comment) }
            " " (super::approvals::as_shown(ask, approval)?) }
    } } })
}

fn steps(ask: &Ask, steps: &[Step]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-labelledby="steps-heading" {
            table.list role="table" {
                thead role="rowgroup" { tr role="row" { @for title in ["When", "Step", "What", "Who"] { th role="columnheader" scope="col" { (title) } } } }
                tbody role="rowgroup" { @for step in steps {
                    tr role="row" {
                        td role="cell" data-label="When" { (clock(ask, step.at)) }
                        td role="cell" data-label="Step" { code { (step.path) } }
                        td role="cell" data-label="What" { (step.what) }
                        td role="cell" data-label="Who" { (step.person.as_deref().unwrap_or_default()) }
                    }
                } }
            }
        }
    }
}

/// Values that later steps read.
fn values(ask: &Ask, title: &str, values: &Json) -> Markup {
    let Some(values) = values.as_object().filter(|values| !values.is_empty()) else { return html! {} };
    html! {
        section.card { h2 { (title) }
            dl.facts.tall { @for (name, value) in values {
                div { dt { (name) } dd { (spoken(ask, value)) } }
            } }
        }
    }
}

/// A value on a line.
fn spoken(ask: &Ask, value: &Json) -> String {
    if value.is_null() { "(blank)".to_owned() } else { hub::flows::form::spoken_in(value, ask.zone()) }
}

fn commands(ask: &Ask, instance: &Instance) -> Vec<Command> {
    let to = |what: &str| format!("/flows/{}/{what}", instance.id);
    let mut commands = Vec::new();
    if !ask.who.may(Needs::Operate) || instance.state.is_over() {
        return commands;
    }
    if instance.state == State::Failed {
        commands.push(Command::new("Try the step again", to("retry"), AGAIN).primary());
        commands.push(Command::new("Leave the step out", to("skip"), DOWN));
    }
    commands.push(Command::new("Cancel it", to("cancel"), CROSS));
    commands
}
