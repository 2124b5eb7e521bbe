//! Systems: whether they answer, and who uses them.

use axum::response::Response;
use definition::{Project, System};
use jiff::Timestamp;
use maud::{Markup, html};
use record::{Fault, Health};
use store::looks::{Found, Look};
use store::outages::Outage;

use crate::access::Needs;
use crate::ask::{self, Ask};
use crate::facts::Level;
use crate::list::{Choice, Column, List, Rows, View};
use crate::page::{CHECK, Command};
use crate::parts::{badge, code, command, facts, integration, time};
use crate::words::{counted, escaped, length_of};
use crate::{Problem, page};

/// What a system said when a person asked it last, since this hub is up.
#[derive(Clone)]
pub struct Checked {
    pub at: Timestamp,
    pub took: std::time::Duration,
    pub health: Result<Health, Fault>,
}

/// One line of the list.
struct Line {
    name: String,
    kind: &'static str,
    owner: String,
    entities: u64,
    used_by: u64,
    outage: Option<Outage>,
    checked: Option<Checked>,
    /// What the hub found when it asked by itself, where that is newer.
    look: Option<Look>,
}

pub fn list(ask: &Ask) -> Result<Response, Problem> {
    let project = &ask.console.project;
    let outages = ask.console.store.outages()?;
    let (checks, looks) = (ask.console.checks.lock().clone(), looks(ask)?);
    let line = |system: &System| Line {
        name: system.name.clone(),
        kind: system.kind.name,
        owner: system.owner.clone().unwrap_or_default(),
        entities: system.entities.len() as u64,
        used_by: users(project, &system.name).count() as u64,
        outage: outages.iter().find(|outage| outage.at == system.name).cloned(),
        checked: checks.get(&system.name).cloned(),
        look: newest(&looks, &system.name, checks.get(&system.name)),
    };
    let kinds: std::collections::BTreeSet<&str> = project.systems.iter().map(|system| system.kind.name).collect();
    let mut list = List {
        name: "systems",
        columns: vec![
            Column::text("name", "System", |line: &Line| line.name.clone())
                .shown(|_, line| html! { a href={ "/systems/" (escaped(&line.name)) } { (line.name) } }),
            Column::text("kind", "Kind", |line: &Line| line.kind.to_owned()),
            Column::text("state", "State", |line: &Line| state(line).1).shown(|_, line| {
                let (level, words) = state(line);
                badge(level, &words)
            }),
            Column::time("checked", "Checked", |line: &Line| {
                line.look.as_ref().map(|look| look.seen).or(line.checked.as_ref().map(|checked| checked.at))
            }),
            Column::number("entities", "Entities", |line: &Line| line.entities),
            Column::number("used_by", "Integrations", |line: &Line| line.used_by),
            Column::text("owner", "Owner", |line: &Line| line.owner.clone()),
        ],
        choices: vec![Choice::of("kind", "Kind", kinds)],
        order: ("name", false),
        nothing: "This project has no systems yet.",
        rows: Rows::Here(project.systems.iter().map(line).collect(), keeps),
    };
    if let Some(file) = list.as_file(ask) {
        return file;
    }
    Ok(ask::html(page::page(ask, "Systems", &[], &list.part(ask)?)))
}

fn keeps(view: &View, line: &Line) -> bool {
    view.chosen("kind").is_none_or(|kind| kind == line.kind)
}

fn state(line: &Line) -> (Level, String) {
    if let Some(outage) = &line.outage {
        return (Level::Bad, format!("does not serve {}", outage.integration));
    }
    if let Some(look) = &line.look {
        return said(look);
    }
    match line.checked.as_ref().map(|checked| &checked.health) {
        None => (Level::Quiet, "not asked yet".to_owned()),
        Some(Ok(health)) if health.missing.is_empty() => (Level::Good, "ready".to_owned()),
        Some(Ok(_)) => (Level::Warn, "something is missing".to_owned()),
        Some(Err(_)) => (Level::Bad, "does not answer".to_owned()),
    }
}

/// What a look found, in a few words.
fn said(look: &Look) -> (Level, String) {
    match look.silence() {
        None => (Level::Good, "answers".to_owned()),
        Some(silence) => (Level::Bad, silence.does().to_owned()),
    }
}

/// The looks that say something of this moment.
fn looks(ask: &Ask) -> Result<Vec<Look>, Problem> {
    let mut looks = ask.console.store.looks()?;
    looks.retain(|look| hub::looks::is_fresh(&ask.console.project, look, ask.now));
    Ok(looks)
}

/// The look at a system, unless a person has asked it since.
fn newest(looks: &[Look], name: &str, checked: Option<&Checked>) -> Option<Look> {
    let look = looks.iter().find(|look| look.system == name)?;
    checked.is_none_or(|checked| checked.at <= look.seen).then(|| look.clone())
}

/// The integrations that touch a system.
fn users<'p>(project: &'p Project, name: &str) -> impl Iterator<Item = &'p definition::Integration> {
    project.integrations.iter().filter(move |integration| integration.systems().contains(&name))
}

/// The system that an address names.
pub fn found(ask: &Ask) -> Result<&System, Problem> {
    let name = ask.name("system");
    ask.console.project.system(name).ok_or_else(|| Problem::not_there("system", name))
}

pub fn one(ask: &Ask) -> Result<Response, Problem> {
    let (system, project) = (found(ask)?, &ask.console.project);
    let checked = ask.console.checks.lock().get(&system.name).cloned();
    let look = newest(&looks(ask)?, &system.name, checked.as_ref());
    let outages: Vec<Outage> =
        ask.console.store.outages()?.into_iter().filter(|outage| outage.at == system.name).collect();
    let mut commands = Vec::new();
    if ask.who.may(Needs::Operate) {
        commands.push(Command::new("Check", format!("/systems/{}/check", escaped(&system.name)), CHECK).primary());
    }
    let vendor = system.vendor.as_ref().map(|vendor| {
        let until = vendor.supported_until.map_or_else(String::new, |until| format!(", supported until {until}"));
        format!("{}{until}", vendor.name)
    });
    let body = html! {
        @for outage in &outages {
            section.card.problem role="alert" {
                h2 { "It does not serve " (outage.integration) " since " (time(ask, outage.since)) }
                p { (outage.what) " " (code(&outage.code)) }
            }
        }
        section.card {
            (facts([
                ("Kind", html! { (system.kind.name) }),
                ("Owner", html! { (system.owner.as_deref().unwrap_or("nobody")) }),
                ("Vendor", html! { (vendor.as_deref().unwrap_or_default()) }),
            ]))
        }
        section.card aria-labelledby="check-heading" { h2 #check-heading { "Does it answer?" }
            @match &look { Some(look) => { (looked(ask, look)) } None => { (answer(ask, checked.as_ref())) } }
            p { (how_often(system)) }
            p.do { (command(&format!("ironbridge systems check {}", system.name))) } }
        section.card aria-labelledby="used-heading" { h2 #used-heading { "Who uses it" }
            ul { @for user in users(project, &system.name) { li { (integration(&user.name)) ": " (user.purpose) } } }
            p.do { (command(&format!("ironbridge impact {}", system.name))) }
        }
        section.card aria-labelledby="holds-heading" { h2 #holds-heading { "What it holds" }
            ul { @for held in &system.entities {
                li { b { (held.entity) } @if let Some(table) = &held.table { " in " code { (table) } }
                    ": " (held.read.len()) " fields read, " (held.write.len()) " columns written" }
            } }
        }
    };
    Ok(ask::html(page::page(ask, &system.name, &commands, &body)))
}

/// What was found when the hub asked by itself.
fn looked(ask: &Ask, look: &Look) -> Markup {
    let (level, words) = said(look);
    let mut pairs = vec![
        ("Answer", badge(level, &words)),
        ("Since", time(ask, look.since)),
        ("Asked", html! { (time(ask, look.seen)) ", in " (length_of(look.took)) }),
    ];
    if let (Some(good), true) = (look.good, look.silence().is_some()) {
        pairs.push(("Last answer", time(ask, good)));
    }
    if let Found::Answer { version, user } = &look.found {
        pairs.push(("Version", html! { (version) }));
        pairs.push(("We are", html! { (user.as_deref().unwrap_or("not known")) }));
    }
    html! {
        (facts(pairs))
        @if let Some(silence) = look.silence() {
            p { (silence.what) " " (code(&silence.code)) }
            @if !silence.why.is_empty() { p { "It said: " (silence.why) } }
            p { b { "Do: " } (silence.fix) }
        }
    }
}

/// How often the hub asks.
fn how_often(system: &System) -> String {
    match system.health {
        Some(every) if every.as_secs() % 60 == 0 => {
            let minutes = counted(every.as_secs() / 60, "minute", "minutes");
            format!("The hub asks every {minutes}, and every minute at least while it does not answer.")
        }
        Some(every) => format!("The hub asks every {}.", length_of(every)),
        None => "The hub does not ask by itself: `health: off`.".to_owned(),
    }
}

fn answer(ask: &Ask, checked: Option<&Checked>) -> Markup {
    let Some(checked) = checked else {
        return html! { p { "Nobody has asked it since the hub is up." } };
    };
    let when = html! { (time(ask, checked.at)) ", in " (length_of(checked.took)) };
    match &checked.health {
        Ok(health) => html! {
            (facts([
                ("Answer", badge(if health.missing.is_empty() { Level::Good } else { Level::Warn }, if health.missing.is_empty() { "ready" } else { "something is missing" })),
                ("Asked", when),
                ("Version", html! { (health.version) }),
                ("We are", html! { (health.user.as_deref().unwrap_or("not known")) }),
            ]))
            @if !health.missing.is_empty() { ul { @for missing in &health.missing { li { (missing) } } } }
        },
        Err(fault) => html! {
            (facts([("Answer", badge(Level::Bad, "does not answer")), ("Asked", when)]))
            p { (fault.to_string()) " " (code(fault.code.0)) }
            p { b { "Do: " } (fault.fix) }
        },
    }
}
