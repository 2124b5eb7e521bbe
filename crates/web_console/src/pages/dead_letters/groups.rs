//! Dead letters by their causes: what waits, and one group with the reason why it is one.

use axum::response::Response;
use maud::{Markup, html};
use store::dead_letters::{Filter, Group, State, TAKEN_OUT, group_name};
use store::retries::Job;

use super::jobs;
use super::one::fully;
use crate::Problem;
use crate::access::Needs;
use crate::ask::{self, Ask};
use crate::facts::Level;
use crate::list::{Choice, Column, List, Rows, View};
use crate::page::{self, AGAIN, Command, LIST, PEN};
use crate::parts::{badge, clock, code, command, facts, integration, time};
use crate::words::{counted, cut, moment, number};

/// Groups that are listed at most, the last seen first.
const LISTED: usize = 1000;

pub fn list(ask: &Ask) -> Result<Response, Problem> {
    let console = &ask.console;
    // Those of earlier versions get their group by whoever looks first.
    ask.wait(console.store.commit_one(store::dead_letters::Op::Regroup { max: 10_000 }))?;
    let closed = ask.query("state") == Some("all");
    let groups = console.store.dead_letter_groups(None, closed, LISTED)?;
    let now = ask.now;
    let owners: std::collections::BTreeSet<String> = groups.iter().filter_map(|group| group.owner.clone()).collect();
    let mut list = List {
        name: "dead-letter-groups",
        columns: vec![
            Column::text("message", "What they have in common", |g: &Group| g.cause.message.clone())
                .shown(|_, g| html! { a href={ "/dead-letters/groups/" (g.id) } { (cut(&g.cause.message, 90)) } }),
            Column::text("integration", "Integration", |g: &Group| g.cause.integration.clone())
                .shown(|_, g| integration(&g.cause.integration)),
            Column::text("code", "Code", |g: &Group| g.cause.code.clone()).shown(|_, g| code(&g.cause.code)),
            Column::number("waiting", "Wait", |g: &Group| g.waiting),
            Column::text("stands", "How it stands", move |g: &Group| stands(g, now).1).shown(seen_to),
            Column::time("first_seen", "First seen", |g: &Group| Some(g.first_seen)),
            Column::time("last_seen", "Last seen", |g: &Group| Some(g.last_seen)),
            Column::text("owner", "Owner", |g: &Group| g.owner.clone().unwrap_or_default()),
            Column::text("note", "Note", |g: &Group| g.note.clone().unwrap_or_default()).in_csv_only(),
            Column::text("link", "Link", |g: &Group| g.link.clone().unwrap_or_default()).in_csv_only(),
            Column::time("hold_until", "Put aside until", |g: &Group| g.hold_until).in_csv_only(),
            Column::text("step", "Step", |g: &Group| g.cause.step.clone()).in_csv_only(),
            Column::number("times", "Times", |g: &Group| g.times).in_csv_only(),
            Column::text("group", "Group", |g: &Group| g.id.clone()).in_csv_only(),
        ],
        choices: vec![
            Choice::of("integration", "Integration", console.project.integrations.iter().map(|i| i.name.as_str())),
            Choice::of("owner", "Owner", owners.iter().map(String::as_str)),
            Choice {
                name: "state",
                label: "State",
                blank: "waiting",
                options: [("unseen", "nobody has looked"), ("held", "put aside"), ("all", "all of them")]
                    .map(|(value, words)| (value.to_owned(), words.to_owned()))
                    .into(),
            },
        ],
        order: ("last_seen", true),
        nothing: "No dead letters: every row and message that came was dealt with.",
        rows: Rows::Here(groups, keeps),
    };
    if let Some(file) = list.as_file(ask) {
        return file;
    }
    let jobs = console.store.retry_jobs(false, 20)?;
    let body = html! { (jobs::under_way(ask, &jobs)) (list.part(ask)?) };
    let commands = [
        Command::new("One by one", "/dead-letters/list".to_owned(), LIST),
        Command::new("Retries of many", "/retries".to_owned(), AGAIN),
    ];
    Ok(ask::html(page::page(ask, "Dead letters by cause", &commands, &body)))
}

fn keeps(view: &View, group: &Group) -> bool {
    let fits = |name: &str, value: &str| view.chosen(name).is_none_or(|chosen| chosen == value);
    let state = match view.chosen("state").map(String::as_str) {
        Some("unseen") => group.reviewed.is_none(),
        // Whether it still holds, the page says: it knows the time.
        Some("held") => group.hold_until.is_some(),
        _ => true,
    };
    state && fits("integration", &group.cause.integration) && fits("owner", group.owner.as_deref().unwrap_or_default())
}

/// How a group stands with people.
fn stands(group: &Group, now: jiff::Timestamp) -> (Level, String) {
    match group.hold_until {
        Some(until) if until > now => (Level::Warn, "put aside".to_owned()),
        _ if group.waiting == 0 => (Level::Good, "dealt with".to_owned()),
        _ if group.retrying > 0 => (Level::Busy, format!("{} on their way again", number(group.retrying))),
        Some(_) => (Level::Bad, "put aside, and the time is over".to_owned()),
        None => match &group.reviewed_by {
            Some(by) => (Level::Quiet, format!("looked at by {by}")),
            None => (Level::Bad, "nobody has looked".to_owned()),
        },
    }
}

fn seen_to(ask: &Ask, group: &Group) -> Markup {
    let (level, words) = stands(group, ask.now);
    let until = group.hold_until.filter(|until| *until > ask.now);
    html! { (badge(level, &words)) @if let Some(until) = until { " until " (moment(until, ask.zone()).get(..16).unwrap_or_default()) } }
}

/// The group that an address names.
pub fn found(ask: &Ask) -> Result<Group, Problem> {
    let name = ask.name("group");
    let prefix = name.strip_prefix(['g', 'G']).unwrap_or(name);
    let mut found = if prefix.is_empty() { Vec::new() } else { ask.console.store.dead_letter_groups_like(prefix)? };
    match found.len() {
        1 => Ok(found.remove(0)),
        _ => Err(Problem::not_there("group of dead letters", name)),
    }
}

pub fn page(ask: &Ask) -> Result<Response, Problem> {
    let group = found(ask)?;
    let store = &ask.console.store;
    let states = if group.waiting > 0 { vec![State::Open, State::Retrying] } else { Vec::new() };
    let filter = Filter { cause: Some(group.id.clone()), states, ..Filter::default() };
    let example = store.dead_letters(&filter, 1)?.pop();
    let jobs: Vec<Job> = store.retry_jobs(true, 200)?.into_iter().filter(|job| job.cause == group.id).collect();
    let all = format!("/dead-letters/list?cause={}{}", group.id, if group.waiting > 0 { "" } else { "&state=all" });
    let body = html! {
        section.card {
            p.question { (group.cause.message) }
            p.small { "One group because integration, step, code and message are the same. What differs from row to row (ids, numbers, dates, quoted values) is left out and shown as " (TAKEN_OUT) "." }
            (facts([
                ("Integration", integration(&group.cause.integration)),
                ("Step", html! { (group.cause.step) }),
                ("Code", code(&group.cause.code)),
                ("Wait", html! { a href=(all) { (counted(group.waiting, "dead letter", "dead letters")) } }),
                ("First seen", clock(ask, group.first_seen)),
                ("Last seen", html! { (clock(ask, group.last_seen)) ", given up on " (counted(group.times, "time", "times")) " in all" }),
                ("How it stands", seen_to(ask, &group)),
                ("Who sees to it", html! { (group.owner.as_deref().unwrap_or("nobody yet")) }),
                ("Looked at", html! { @if let (Some(by), Some(at)) = (&group.reviewed_by, group.reviewed) { "by " (by) ", " (time(ask, at)) } @else { "by nobody" } }),
                ("Note", html! { (group.note.as_deref().unwrap_or_default()) }),
                ("Link", html! { @if let Some(link) = &group.link { (outside(link)) } }),
            ]))
            p.do { (command(&format!("ironbridge dead-letters show {}", group_name(&group.id)))) }
        }
        @if !jobs.is_empty() { section.card aria-labelledby="jobs-heading" { h2 #jobs-heading { "Retries of it" } (jobs::table(ask, &jobs)) } }
        @if let Some(letter) = &example {
            h2.part { "One of them: " a href={ "/dead-letters/" (letter.id) } { (letter.entity) " " (letter.key_text) } ", seen " (time(ask, letter.last_seen)) }
            (fully(ask, letter)?)
        }
    };
    let title = format!("{} of {}", group.cause.code, group.cause.integration);
    Ok(ask::html(page::page(ask, &title, &commands(ask, &group), &body)))
}

/// A link that somebody has typed: it leads out only where it is one of the web.
fn outside(link: &str) -> Markup {
    let web = link.starts_with("https://") || link.starts_with("http://");
    html! { @if web { a href=(link) rel="noreferrer noopener" { (cut(link, 60)) } } @else { (link) } }
}

fn commands(ask: &Ask, group: &Group) -> Vec<Command> {
    let to = |what: &str| format!("/dead-letters/groups/{}/{what}", group.id);
    let mut commands = Vec::new();
    if ask.who.may(Needs::Operate) {
        if group.waiting > group.retrying {
            commands.push(Command::new("Retry", to("retry"), AGAIN).primary());
        }
        commands.push(Command::new("Owner, note, put aside", to("mark"), PEN));
    }
    commands
}
