//! Alerts: what needs a person and who was told, what nobody is told of for now, and what would ring.

pub mod coverage;

use axum::response::Response;
use hub::operations::Kind;
use maud::{Markup, html};
use store::alerts::{Alert, AlertId, NoticeKind, Notified, RouteState, Severity, Silence};

use crate::Problem;
use crate::access::Needs;
use crate::ask::{self, Ask};
use crate::facts::Level;
use crate::list::{Choice, Column, List, Rows, View};
use crate::page::{self, CHECK, Command, LIST, PAUSE};
use crate::parts::{badge, clock, command, facts, integration, time};
use crate::words::{counted, cut, escaped, moment, spoken};

/// Alerts that are over and listed, the last one first.
const PAST: usize = 1000;

/// An alert, with what a list needs to know of it.
struct Line {
    alert: Alert,
    state: String,
}

pub fn list(ask: &Ask) -> Result<Response, Problem> {
    let store = &ask.console.store;
    let (mut alerts, silences) = (store.open_alerts()?, store.silences()?);
    if ask.query("state") == Some("all") {
        alerts.extend(store.past_alerts(PAST)?);
    }
    let open = alerts.iter().filter(|alert| alert.resolved.is_none()).count();
    let lines = alerts.into_iter().map(|alert| Line { state: state(&alert, &silences), alert }).collect();
    let mut list = List {
        name: "alerts",
        columns: columns(),
        choices: vec![
            Choice::of("severity", "Severity", Severity::ALL.iter().map(|severity| severity.as_str())),
            Choice::of("integration", "Integration", ask.console.project.integrations.iter().map(|i| i.name.as_str())),
            Choice {
                name: "state",
                label: "State",
                blank: "not over",
                options: vec![("all".to_owned(), "all of them".to_owned())],
            },
        ],
        order: ("severity", false),
        nothing: "No alert is open.",
        rows: Rows::Here(lines, keeps),
    };
    if let Some(file) = list.as_file(ask) {
        return file;
    }
    let body = html! {
        @if !store.is_up() { p.problem { "The hub does not run on this folder: nobody looks, and nobody is told. Start it: " code { "ironbridge up" } } }
        (list.part(ask)?)
        (silent(ask, &silences))
        (ways(ask, &store.alert_routes()?))
        p.do { (command("ironbridge alerts list")) }
    };
    let mut commands = vec![Command::new("What would ring", "/alerts/coverage".to_owned(), LIST)];
    if ask.who.may(Needs::Operate) {
        commands.push(Command::new("Silence", "/alerts/silence".to_owned(), PAUSE));
    }
    let title = if open == 0 { "Alerts".to_owned() } else { format!("Alerts: {open} open") };
    Ok(ask::html(page::page(ask, &title, &commands, &body)))
}

fn keeps(view: &View, line: &Line) -> bool {
    let fits = |name: &str, value: &str| view.chosen(name).is_none_or(|chosen| chosen == value);
    fits("severity", line.alert.saying.severity.as_str()) && fits("integration", &line.alert.integration)
}

fn columns() -> Vec<Column<Line>> {
    vec![
        Column::text("title", "What", |l: &Line| l.alert.saying.title.clone())
            .shown(|_, l| html! { a href={ "/alerts/" (l.alert.id) } { (cut(&l.alert.saying.title, 110)) } }),
        Column::text("severity", "Severity", |l: &Line| l.alert.saying.severity.to_string())
            .shown(|_, l| severity(&l.alert)),
        Column::text("state", "State", |l: &Line| l.state.clone()),
        Column::time("since", "Since", |l: &Line| Some(l.alert.saying.since)),
        Column::text("integration", "Integration", |l: &Line| l.alert.integration.clone())
            .shown(|_, l| html! { @if !l.alert.integration.is_empty() { (integration(&l.alert.integration)) } }),
        Column::text("system", "System", |l: &Line| l.alert.system.clone()),
        Column::text("kind", "Kind", |l: &Line| l.alert.kind.clone()),
        Column::number("id", "Alert", |l: &Line| l.alert.id.0 as u64).in_csv_only(),
        Column::time("over", "Over", |l: &Line| l.alert.resolved).in_csv_only(),
        Column::text("text", "Text", |l: &Line| l.alert.saying.text.clone()).in_csv_only(),
        Column::text("looked_at_by", "Looked at by", |l: &Line| l.alert.acked_by.clone().unwrap_or_default())
            .in_csv_only(),
        Column::text("note", "Note", |l: &Line| l.alert.note.clone().unwrap_or_default()).in_csv_only(),
    ]
}

pub fn level(alert: &Alert) -> Level {
    match (alert.resolved, alert.saying.severity) {
        (Some(_), _) => Level::Good,
        (None, Severity::Critical) => Level::Bad,
        (None, Severity::Warning) => Level::Warn,
    }
}

fn severity(alert: &Alert) -> Markup {
    badge(level(alert), if alert.resolved.is_some() { "over" } else { alert.saying.severity.as_str() })
}

/// How an alert stands with people, in a word or two.
fn state(alert: &Alert, silences: &[Silence]) -> String {
    hub::operations::stands(alert, silences).unwrap_or_else(|| "nobody looks at it".to_owned())
}

/// What nobody is told of for now.
fn silent(ask: &Ask, silences: &[Silence]) -> Markup {
    html! { @if !silences.is_empty() {
        section.card aria-labelledby="silences-heading" {
            h2 #silences-heading { "Nobody is told of" }
            ul { @for silence in silences {
                li { b { @if silence.subject == "*" { "anything" } @else { (silence.subject) } } " until " (clock(ask, silence.until)) ": " (silence.note) ", says " (silence.by)
                    @if ask.who.may(Needs::Operate) { " (" a href={ "/alerts/silences/" (silence.id) "/end" } { "end it" } ")" } }
            } }
        }
    } }
}

/// How the ways to tell people did lately.
fn ways(ask: &Ask, routes: &[RouteState]) -> Markup {
    html! { @if !routes.is_empty() {
        section.card aria-labelledby="ways-heading" {
            h2 #ways-heading { "How people are told" }
            ul.now { @for route in routes {
                li { (route.name) " "
                    @match route.failing {
                        Some(since) => { (badge(Level::Bad, "takes nothing")) " since " (time(ask, since)) ": " (route.what.as_deref().unwrap_or_default()) }
                        None => { (badge(Level::Good, "works")) @if let Some(at) = route.delivered { " took the last one " (time(ask, at)) } }
                    }
                }
            } }
            p.do { "Send a marked test by each of them: " (command("ironbridge alerts test")) }
        }
    } }
}

/// The alert that an address names.
pub fn found(ask: &Ask) -> Result<Alert, Problem> {
    let name = ask.name("alert");
    let found = match name.parse() {
        Ok(id) => ask.console.store.alert(AlertId(id))?,
        Err(_) => None,
    };
    found.ok_or_else(|| Problem::not_there("alert", name))
}

pub fn one(ask: &Ask) -> Result<Response, Problem> {
    let alert = found(ask)?;
    let (store, project) = (&ask.console.store, &ask.console.project);
    let (notices, silences) = (store.alert_notices(alert.id)?, store.silences()?);
    let waiting = hub::operations::told_later(project, &alert, &notices, ask.now);
    let purpose = project.integration(&alert.integration).map(|integration| integration.purpose.clone());
    let section = Kind::of(&alert.kind).map_or("", Kind::heading);
    let runbook = format!("/integrations/{}/runbook#{}", escaped(&alert.integration), alert.kind);
    let mut commands = Vec::new();
    if alert.resolved.is_none() && ask.who.may(Needs::Operate) {
        if alert.acked.is_none() {
            commands.push(Command::new("I look at it", format!("/alerts/{}/ack", alert.id), CHECK).primary());
        }
        commands.push(Command::new("Silence", format!("/alerts/silence?subject={}", escaped(&alert.key)), PAUSE));
    }
    let mut pairs = vec![
        ("Severity", severity(&alert)),
        ("State", html! { (state(&alert, &silences)) }),
        ("Since", clock(ask, alert.saying.since)),
        ("Noticed", clock(ask, alert.opened)),
    ];
    if let Some(over) = alert.resolved {
        pairs.push(("Over", clock(ask, over)));
    }
    if !alert.integration.is_empty() {
        pairs.push(("Integration", integration(&alert.integration)));
    }
    if !alert.system.is_empty() {
        pairs.push(("System", html! { a href={ "/systems/" (escaped(&alert.system)) } { (alert.system) } }));
    }
    let body = html! {
        section.card {
            p.question { (alert.saying.text) }
            @if let Some(purpose) = &purpose { p { "What it is for: " b { (purpose) } } }
            (facts(pairs))
            @if let (Some(by), Some(at)) = (&alert.acked_by, alert.acked) {
                p { (by) " looks at it since " (clock(ask, at)) @if let Some(note) = &alert.note { ": " (note) } }
            }
            dl.facts.tall { @for (label, value) in &alert.saying.facts { div { dt { (label) } dd { (value) } } } }
            @if !alert.saying.command.is_empty() { p.do { "Do: " (command(&alert.saying.command)) } }
            @if !alert.integration.is_empty() { p { "What to do stands in the runbook: " a href=(runbook) { (section) } } }
        }
        section.card aria-labelledby="told-heading" {
            h2 #told-heading { "Who was told" }
            @if notices.is_empty() { p { @if waiting.is_empty() { "Nobody." } @else { "Nobody yet." } } }
            @else { ul { @for notice in &notices { li { (notice.route) " was told that it " (word(notice)) ": " (fate(ask, notice)) } } } }
            @if !waiting.is_empty() { ul { @for (route, from) in &waiting { li { (route.name()) " is told when their work begins, " (time(ask, *from)) } } } }
        }
        p.do { (command(&format!("ironbridge alerts show {}", alert.id))) }
    };
    Ok(ask::html(page::page(ask, &alert.saying.title, &commands, &body)))
}

fn word(notice: &Notified) -> &'static str {
    match notice.kind {
        NoticeKind::Opened => "began",
        NoticeKind::Resolved => "is over",
    }
}

fn fate(ask: &Ask, notice: &Notified) -> String {
    let at = |at| moment(at, ask.zone());
    match (notice.delivered, notice.failed) {
        (Some(taken), _) => format!("taken at {}", at(taken)),
        (None, Some(ended)) => format!("given up on at {}: {}", at(ended), notice.error.as_deref().unwrap_or_default()),
        (None, None) => format!("on its way since {}", at(notice.queued)),
    }
}

/// The open alerts about an integration, as part of its page.
pub fn of(ask: &Ask, name: &str) -> Result<Markup, Problem> {
    let alerts: Vec<Alert> = ask.console.store.open_alerts()?.into_iter().filter(|a| a.integration == name).collect();
    Ok(html! { @if !alerts.is_empty() {
        section.card aria-labelledby="alerts-heading" {
            h2 #alerts-heading { (counted(alerts.len() as u64, "alert", "alerts")) }
            ul.now { @for alert in &alerts {
                li { (severity(alert)) " " a href={ "/alerts/" (alert.id) } { (alert.saying.title) } " since " (time(ask, alert.saying.since))
                    ". " a href={ "/integrations/" (escaped(name)) "/runbook#" (alert.kind) } { "What to do" } }
            } }
        }
    } })
}

/// A kind of alert as people read it.
pub fn kind_words(word: &str) -> String {
    Kind::of(word).map_or_else(|| spoken(word), |kind| kind.heading().to_owned())
}
