//! Retries of many: stored jobs with their progress, and a result for each dead letter.

use axum::response::Response;
use maud::{Markup, html};
use store::dead_letters::group_name;
use store::retries::{Item, ItemState, Job, JobId, State};

use crate::Problem;
use crate::access::Needs;
use crate::ask::{self, Ask};
use crate::facts::Level;
use crate::list::{Choice, Column, List, Rows, View};
use crate::page::{self, CROSS, Command, PAUSE, RUN};
use crate::parts::{badge, clock, command, facts, integration, time};
use crate::words::{counted, number};

/// Jobs that are listed at most, the newest first.
const LISTED: usize = 1000;
/// The items of a job, which are listed whole.
const ITEMS: usize = hub::retries::LETTERS_MAX;

pub fn list(ask: &Ask) -> Result<Response, Problem> {
    let jobs = ask.console.store.retry_jobs(true, LISTED)?;
    let mut list = List {
        name: "retries",
        columns: vec![
            Column::number("job", "Retry", |j: &Job| j.id.0 as u64)
                .shown(|_, j| html! { a href={ "/retries/" (j.id) } { (j.id) } })
                .at_left(),
            Column::text("integration", "Integration", |j: &Job| j.integration.clone())
                .shown(|_, j| integration(&j.integration)),
            Column::text("state", "State", |j: &Job| j.state.to_string()).shown(|_, j| state(j)),
            Column::number("all", "Dead letters", |j: &Job| j.counts.all()),
            Column::number("ok", "Through", |j: &Job| j.counts.ok),
            Column::number("failed", "Failed again", |j: &Job| j.counts.failed),
            Column::number("skipped", "Needed nothing", |j: &Job| j.counts.skipped),
            Column::number("left", "Left", |j: &Job| j.counts.waiting),
            Column::time("made", "Begun", |j: &Job| Some(j.made)),
            Column::text("by", "By", |j: &Job| j.by.name.clone()),
            Column::text("group", "Group", |j: &Job| j.cause.clone()).in_csv_only(),
            Column::text("why", "Why", |j: &Job| j.why.clone().unwrap_or_default()).in_csv_only(),
            Column::text("note", "Note", |j: &Job| j.note.clone()).in_csv_only(),
        ],
        choices: vec![
            Choice::of("integration", "Integration", ask.console.project.integrations.iter().map(|i| i.name.as_str())),
            Choice::of("state", "State", State::ALL.iter().map(|state| state.as_str())),
        ],
        order: ("job", true),
        nothing: "Nobody has retried many dead letters at once yet. Choose a group of dead letters, and retry it.",
        rows: Rows::Here(jobs, keeps),
    };
    if let Some(file) = list.as_file(ask) {
        return file;
    }
    Ok(ask::html(page::page(ask, "Retries of many", &[], &list.part(ask)?)))
}

fn keeps(view: &View, job: &Job) -> bool {
    let fits = |name: &str, value: &str| view.chosen(name).is_none_or(|chosen| chosen == value);
    fits("integration", &job.integration) && fits("state", job.state.as_str())
}

fn state(job: &Job) -> Markup {
    let level = match job.state {
        State::Running => Level::Busy,
        State::Paused => Level::Paused,
        State::Done if job.counts.failed > 0 => Level::Warn,
        State::Done => Level::Good,
        State::Cancelled => Level::Quiet,
    };
    badge(level, job.state.as_str())
}

/// How far it has come, as a bar that says it in words too.
fn progress(job: &Job) -> Markup {
    let c = &job.counts;
    let said = format!("{} of {} are done", number(c.ended()), counted(c.all(), "dead letter", "dead letters"));
    html! { progress max=(c.all().max(1)) value=(c.ended()) aria-label=(said) {} " " (said) }
}

/// What is under way, where nobody may overlook it.
pub fn under_way(ask: &Ask, jobs: &[Job]) -> Markup {
    html! { @if !jobs.is_empty() { section.card aria-labelledby="jobs-heading" { h2 #jobs-heading { "Retries under way" } (table(ask, jobs)) } } }
}

pub fn table(ask: &Ask, jobs: &[Job]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Retries" {
            table.list role="table" {
                thead role="rowgroup" { tr role="row" { @for title in ["Retry", "Integration", "State", "How far", "Failed again", "Begun"] { th role="columnheader" scope="col" { (title) } } } }
                tbody role="rowgroup" { @for job in jobs {
                    tr role="row" {
                        td role="cell" data-label="Retry" { a href={ "/retries/" (job.id) } { (job.id) } }
                        td role="cell" data-label="Integration" { (integration(&job.integration)) }
                        td role="cell" data-label="State" { (state(job)) }
                        td role="cell" data-label="How far" { (progress(job)) }
                        td role="cell" data-label="Failed again" { (crate::parts::amount(job.counts.failed)) }
                        td role="cell" data-label="Begun" { (time(ask, job.made)) " by " (job.by.name) }
                    }
                } }
            }
        }
    }
}

/// The job that an address names.
pub fn found(ask: &Ask) -> Result<Job, Problem> {
    let name = ask.name("job");
    let found = match name.parse() {
        Ok(id) => ask.console.store.retry_job(JobId(id))?,
        Err(_) => None,
    };
    found.ok_or_else(|| Problem::not_there("retry", name))
}

pub fn one(ask: &Ask) -> Result<Response, Problem> {
    let job = found(ask)?;
    let mut items = items(ask, &job)?;
    if let Some(file) = items.as_file(ask) {
        return file;
    }
    let c = &job.counts;
    let since = match job.cause.is_empty() {
        true => 0,
        false => ask.console.store.dead_letters_since(&job.cause, job.as_of)?.saturating_sub(c.failed),
    };
    let pace = match job.per_minute {
        Some(n) => format!("{} a minute", number(n.into())),
        None => "as fast as it goes".to_owned(),
    };
    let body = html! {
        section.card {
            p.question { (progress(&job)) }
            @if !job.note.is_empty() { p { (job.note) } }
            (facts([
                ("Integration", integration(&job.integration)),
                ("State", state(&job)),
                ("Group", html! { @if !job.cause.is_empty() { a href={ "/dead-letters/groups/" (job.cause) } { (group_name(&job.cause)) } } }),
                ("Through", html! { (number(c.ok)) }),
                ("Failed again", html! { (number(c.failed)) }),
                ("Needed nothing", html! { (number(c.skipped)) }),
                ("On their way", html! { (number(c.started)) }),
                ("Left", html! { (number(c.waiting)) }),
                ("Pace", html! { (pace) @if let Some(first) = job.stop_after { ", the first " (number(first)) " and then it waits" } }),
                ("Begun", html! { (clock(ask, job.made)) " by " (job.by.name) }),
                ("Acts on what was there at", clock(ask, job.as_of)),
                ("Why", html! { (job.why.as_deref().unwrap_or_default()) }),
            ]))
            @if since > 0 { p { (counted(since, "dead letter", "dead letters")) " more of this cause since then; this retry leaves them alone." } }
            p.do { (command(&format!("ironbridge dead-letters jobs show {}", job.id))) }
        }
        (items.part(ask)?)
    };
    Ok(ask::html(page::page(ask, &format!("Retry {} of {}", job.id, job.integration), &commands(ask, &job), &body)))
}

fn items<'l>(ask: &Ask, job: &Job) -> Result<List<'l, Item>, Problem> {
    Ok(List {
        name: "retry",
        columns: vec![
            Column::number("place", "Place", |i: &Item| i.pos as u64 + 1).at_left(),
            Column::text("dead_letter", "Dead letter", |i: &Item| i.letter.to_string()).shown(|_, i| {
                html! { a href={ "/dead-letters/" (i.letter) } { (i.letter.as_str().get(..8).unwrap_or_default()) } }
            }),
            Column::text("state", "State", |i: &Item| i.state.to_string()).shown(|_, i| item_state(i.state)),
            Column::time("started", "Sent again", |i: &Item| i.at),
            Column::text("result", "What became of it", |i: &Item| i.result.clone()).unsorted(),
        ],
        choices: vec![Choice::of("state", "State", ItemState::ALL.iter().map(|state| state.as_str()))],
        order: ("place", false),
        nothing: "There is nothing in it.",
        rows: Rows::Here(ask.console.store.retry_items(job.id, None, 0, ITEMS)?, |view, item| {
            view.chosen("state").is_none_or(|state| state == item.state.as_str())
        }),
    })
}

fn item_state(state: ItemState) -> Markup {
    let (level, words) = match state {
        ItemState::Waiting => (Level::Quiet, "waits"),
        ItemState::Started => (Level::Busy, "on its way"),
        ItemState::Ok => (Level::Good, "through"),
        ItemState::Failed => (Level::Bad, "failed again"),
        ItemState::Skipped => (Level::Quiet, "needed nothing"),
    };
    badge(level, words)
}

fn commands(ask: &Ask, job: &Job) -> Vec<Command> {
    let to = |what: &str| format!("/retries/{}/{what}", job.id);
    if !ask.who.may(Needs::Operate) {
        return Vec::new();
    }
    let end = Command::new("End it", to("cancel"), CROSS);
    match job.state {
        State::Running => vec![Command::new("Pause", to("pause"), PAUSE).primary(), end],
        State::Paused => vec![Command::new("Go on", to("resume"), RUN).primary(), end],
        State::Done | State::Cancelled => Vec::new(),
    }
}
