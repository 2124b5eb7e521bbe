//! `dead-letters groups`: what waits, by cause, and what people say of it.

use definition::Project;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use store::Store;
use store::dead_letters::{self, Filter, Group, Said, State, TAKEN_OUT, group_name};

use super::{cut, show as one};
use crate::cli::{Cli, Format, Mark};
use crate::failure::{FAILED, Failure, NO_SUCH_NAME};
use crate::output::{ago, csv, moment, number, table};
use crate::{say, talk, wiring};

/// The group that a person means by `g1a2b3c4`; nothing where that names no group.
///
/// *Errors*: several groups begin like this.
pub fn named(store: &Store, id: &str) -> Result<Option<Group>, Failure> {
    let Some(prefix) = id.strip_prefix(['g', 'G']).filter(|prefix| !prefix.is_empty()) else { return Ok(None) };
    let mut found = store.dead_letter_groups_like(prefix)?;
    match found.len() {
        0 | 1 => Ok(found.pop()),
        several => {
            let what = format!("{several} groups of dead letters begin with `{id}`");
            Err(Failure::new(FAILED, NO_SUCH_NAME, what, "give more of its id"))
        }
    }
}

/// The same, of one that is there.
pub fn find(store: &Store, id: &str) -> Result<Group, Failure> {
    named(store, id)?.ok_or_else(|| {
        let what = format!("there is no group of dead letters `{id}`");
        Failure::new(FAILED, NO_SUCH_NAME, what, "list them: ironbridge dead-letters groups --all")
    })
}

pub async fn list(cli: &Cli, integration: Option<&str>, all: bool, last: usize) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    if let Some(name) = integration {
        wiring::integration(&project, name)?;
    }
    let store = wiring::open_store(&project)?;
    // Where nothing can be written at the moment, those of before the groups are left out.
    match store.commit_one(dead_letters::Op::Regroup { max: 10_000 }).await {
        Err(error) if error.may_pass() => {}
        regrouped => drop(regrouped?),
    }
    let groups = store.dead_letter_groups(integration, all, last)?;
    let now = store.clock().now();
    match cli.format {
        Format::Json => say!("{:#}", Json::from(groups.iter().map(|group| summary(group, now)).collect::<Vec<_>>())),
        Format::Csv => say!("{}", csv(&HEADS, groups.iter().map(row_of_csv).collect())),
        _ if groups.is_empty() => talk!("No dead letters wait."),
        _ => {
            let heads =
                ["group", "integration", "waiting", "code", "what they have in common", "last seen", "owner", ""];
            let rows = groups.iter().map(|group| {
                vec![
                    group_name(&group.id),
                    group.cause.integration.clone(),
                    number(group.waiting),
                    group.cause.code.clone(),
                    cut(&group.cause.message, 64),
                    ago(group.last_seen, now),
                    group.owner.clone().unwrap_or_default(),
                    stands(group, now, &project),
                ]
            });
            say!("{}", table(&heads, rows.collect()));
            talk!("\nOne of them, with an example: ironbridge dead-letters show {}", group_name(&groups[0].id));
        }
    }
    Ok(0)
}

/// In a few words: put aside, on its way, or not looked at.
fn stands(group: &Group, now: Timestamp, project: &Project) -> String {
    match group.hold_until {
        Some(until) if until > now => format!("put aside until {}", moment(until, &project.hub.time_zone)),
        _ if group.retrying > 0 => format!("{} on their way again", number(group.retrying)),
        _ if group.waiting > 0 && group.reviewed.is_none() => "nobody has looked".to_owned(),
        _ => String::new(),
    }
}

const HEADS: [&str; 14] = [
    "group",
    "integration",
    "step",
    "code",
    "message",
    "waiting",
    "times",
    "first_seen",
    "last_seen",
    "owner",
    "note",
    "link",
    "hold_until",
    "reviewed_by",
];

fn row_of_csv(group: &Group) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        id_of(&group.id),
        group.cause.integration.clone(),
        group.cause.step.clone(),
        group.cause.code.clone(),
        group.cause.message.clone(),
        group.waiting.to_string(),
        group.times.to_string(),
        group.first_seen.to_string(),
        group.last_seen.to_string(),
        text(&group.owner),
        text(&group.note),
        text(&group.link),
        group.hold_until.map(|at| at.to_string()).unwrap_or_default(),
        text(&group.reviewed_by),
    ]
}

/// As commands take it. *Shape*: empty where there is no group.
pub fn id_of(cause: &str) -> String {
    if cause.is_empty() { String::new() } else { format!("g{cause}") }
}

pub fn summary(group: &Group, now: Timestamp) -> Json {
    let at = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "group": id_of(&group.id), "integration": group.cause.integration, "step": group.cause.step, "code": group.cause.code,
        "message": group.cause.message, "waiting": group.waiting, "retrying": group.retrying, "times": group.times,
        "first_seen": group.first_seen.to_string(), "last_seen": group.last_seen.to_string(), "owner": group.owner,
        "note": group.note, "link": group.link, "hold_until": at(group.hold_until), "held": group.is_held(now),
        "reviewed": at(group.reviewed), "reviewed_by": group.reviewed_by,
    })
}

/// One group: why it is one, what people say of it, and one of its dead letters fully.
pub fn show(cli: &Cli, project: &Project, store: &Store, group: &Group) -> Result<u8, Failure> {
    let now = store.clock().now();
    let states = if group.waiting > 0 { vec![State::Open, State::Retrying] } else { Vec::new() };
    let filter = Filter { cause: Some(group.id.clone()), states, ..Filter::default() };
    let example = store.dead_letters(&filter, 1)?.pop();
    if cli.format == Format::Json {
        let mut out = summary(group, now);
        out["as_of"] = json!(now.to_string());
        out["example"] = match &example {
            Some(letter) => one::whole(project, store, letter)?,
            None => Json::Null,
        };
        say!("{out:#}");
        return Ok(0);
    }
    let (zone, bold) = (&project.hub.time_zone, anstyle::Style::new().bold());
    let (id, cause) = (group_name(&group.id), &group.cause);
    let waits = if group.waiting == 1 { "1 waits" } else { &format!("{} wait", number(group.waiting)) };
    say!("{bold}{} of {}{bold:#}: {waits}  ({id})", cause.code, cause.integration);
    say!("  {}", cause.message);
    say!(
        "  one group because integration, step, code and message are the same; what differs from row to row (ids, numbers, dates, quoted values) is left out and shown as {TAKEN_OUT}"
    );
    if !cause.step.is_empty() {
        say!("  step   {}", cause.step);
    }
    say!("  first  {}", moment(group.first_seen, zone));
    let times = if group.times == 1 { "once" } else { &format!("{} times in all", number(group.times)) };
    say!("  last   {}, given up on {times}", moment(group.last_seen, zone));
    for (name, text) in [("owner", &group.owner), ("note", &group.note), ("link", &group.link)] {
        if let Some(text) = text {
            say!("  {name:<6} {text}");
        }
    }
    match (group.hold_until, &group.reviewed_by, group.reviewed) {
        (Some(until), ..) if until > now => say!("  put aside until {}", moment(until, zone)),
        (_, Some(by), Some(at)) => say!("  looked at by {by}, {}", moment(at, zone)),
        _ => say!("  nobody has looked at it"),
    }
    if let Some(letter) = &example {
        say!("\n{bold}One of them{bold:#}");
        one::print(project, store, letter)?;
    }
    if group.waiting > 0 {
        talk!("\nWhat a retry would do: ironbridge dead-letters retry {id} --preview");
        talk!("When the cause is gone, a few first: ironbridge dead-letters retry {id} --first 5");
        talk!("Say who sees to it, or put it aside: ironbridge dead-letters mark {id} --owner NAME --hold \"3 days\"");
    }
    Ok(0)
}

pub async fn mark(cli: &Cli, mark: &Mark) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    let group = find(&store, &mark.group)?;
    let until = mark.hold.map(|time| store.clock().now().checked_add(time).unwrap_or(Timestamp::MAX));
    let said = Said {
        owner: mark.owner.clone(),
        note: mark.note.clone(),
        link: mark.link.clone(),
        hold_until: if mark.no_hold { Some(None) } else { until.map(Some) },
    };
    hub::letters::mark(&store, &group, said, &wiring::actor()).await?;
    match until {
        Some(until) => {
            say!(
                "{} is put aside until {}; then it is to be looked at again",
                group_name(&group.id),
                moment(until, &project.hub.time_zone)
            )
        }
        None => say!("{} is looked at", group_name(&group.id)),
    }
    Ok(0)
}
