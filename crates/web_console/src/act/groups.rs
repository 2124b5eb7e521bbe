//! Say something of a group of dead letters, and retry it: a few first, then the rest.

use std::time::Duration;

use axum::response::Response;
use definition::Pattern;
use hub::digest::Changed;
use hub::retries::{self, Preview, Wanted};
use jiff::Timestamp;
use maud::{Markup, html};
use store::dead_letters::{Group, Said, group_name};

use super::{Question, note_field};
use crate::Problem;
use crate::ask::{Ask, see};
use crate::audit::actor;
use crate::pages::dead_letters::groups::found;
use crate::parts::time;
use crate::words::{counted, escaped, moment, number};

/// For how long, as the form offers it.
const HOLDS: [(&str, &str, u64); 5] = [
    ("4h", "for 4 hours", 4),
    ("1d", "for 1 day", 24),
    ("3d", "for 3 days", 72),
    ("7d", "for 1 week", 168),
    ("14d", "for 2 weeks", 336),
];
/// So many first, where nobody says otherwise.
const FIRST: u64 = 5;
/// Effects that a page lists.
const EFFECTS: usize = 20;

pub fn ask_mark(ask: &Ask) -> Result<Response, Problem> {
    let group = found(ask)?;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let is_held = group.is_held(ask.now);
    let fields = html! {
        label { "Who sees to it" input name="owner" maxlength="100" autocomplete="off" value=(text(&group.owner)); }
        label { "A note, for whoever looks later" input name="note" maxlength="500" autocomplete="off" value=(text(&group.note)); }
        label { "A link, such as a ticket" input name="link" maxlength="500" autocomplete="off" value=(text(&group.link)); }
        label { "Put it aside" select name="hold" {
            option value="" { @if is_held { "as it is" } @else { "no" } }
            @if is_held { option value="end" { "not any longer" } }
            @for (value, words, _) in HOLDS { option value=(value) { (words) } }
        } }
    };
    Ok(Question {
        title: format!("{} of {}: who sees to it", group.cause.code, group.cause.integration),
        consequences: vec![
            "Everybody sees it here and with the command; that you have looked counts from now on.".to_owned(),
            "What is put aside troubles nobody until its time is over; then it counts as not looked at again."
                .to_owned(),
            "Nothing is sent again, and nothing goes away.".to_owned(),
        ],
        command: format!(
            "ironbridge dead-letters mark {} --owner NAME --note TEXT --hold \"3 days\"",
            group_name(&group.id)
        ),
        button: "Save",
        danger: false,
        back: format!("/dead-letters/groups/{}", group.id),
        fields,
        below: None,
        ask,
    }
    .put())
}

pub fn mark(ask: &Ask) -> Result<Response, Problem> {
    let group = found(ask)?;
    // A field that was emptied takes away what stood there.
    let typed = |name: &str| Some(ask.form(name).unwrap_or_default().to_owned());
    let hold_until = match ask.form("hold") {
        None => None,
        Some("end") => Some(None),
        Some(chosen) => {
            let hours = HOLDS.iter().find(|(value, ..)| *value == chosen).map_or(24, |(.., hours)| *hours);
            Some(ask.now.checked_add(Duration::from_secs(hours * 3600)).ok())
        }
    };
    let said = Said { owner: typed("owner"), note: typed("note"), link: typed("link"), hold_until };
    ask.wait(hub::letters::mark(&ask.console.store, &group, said, &actor(&ask.who.name)))?;
    Ok(see(&format!("/dead-letters/groups/{}?said=marked", group.id)))
}

/// What somebody looked at: now, or when the page was made that they come from.
fn as_of(ask: &Ask) -> Timestamp {
    let given = ask.form("as_of").or(ask.query("as_of")).and_then(|at| at.parse::<Timestamp>().ok());
    given.filter(|at| *at <= ask.now).unwrap_or(ask.now)
}

fn wanted(ask: &Ask, group: &Group) -> Wanted {
    let count = |name: &str| ask.form(name).and_then(|text| text.parse::<u64>().ok()).filter(|n| *n > 0);
    Wanted {
        group: group.id.clone(),
        integration: group.cause.integration.clone(),
        as_of: as_of(ask),
        stop_after: (ask.form("how") != Some("all")).then(|| count("first").unwrap_or(FIRST)),
        per_minute: count("rate").and_then(|n| u32::try_from(n).ok()),
        why: ask.form("note").map(str::to_owned),
    }
}

pub fn ask_retry(ask: &Ask) -> Result<Response, Problem> {
    let group = found(ask)?;
    let (project, store) = (&ask.console.project, &ask.console.store);
    let wanted = wanted(ask, &group);
    let preview = retries::preview(project, store, &wanted)?;
    if preview.letters.is_empty() {
        return Err(nothing_waits(&group));
    }
    let fields = html! {
        input type="hidden" name="as_of" value=(wanted.as_of.to_string());
        fieldset { legend { "How many" }
            label.check { input type="radio" name="how" value="first" checked; "a few first, then it waits until somebody has looked" }
            label.check { input type="radio" name="how" value="all"; "all " (number(preview.letters.len() as u64)) }
        }
        label { "How many first" input type="number" name="first" min="1" max="100000" value=(FIRST); }
        label { "How many a minute at most; empty: as fast as it goes" input type="number" name="rate" min="1" max="6000" inputmode="numeric"; }
        (note_field("Why now: what was done about the cause", "note", false))
    };
    Ok(Question {
        title: format!("Retry {}", counted(preview.letters.len() as u64, "dead letter", "dead letters")),
        consequences: consequences(ask, &group, &preview),
        command: format!(
            "ironbridge dead-letters retry {} --first {FIRST} --as-of {}",
            group_name(&group.id),
            wanted.as_of
        ),
        button: "Retry",
        danger: false,
        back: format!("/dead-letters/groups/{}", group.id),
        fields,
        below: Some(effects(ask, &preview)),
        ask,
    }
    .put())
}

fn consequences(ask: &Ask, group: &Group, preview: &Preview) -> Vec<String> {
    let name = &group.cause.integration;
    let mut all = Vec::new();
    for (to, count) in &preview.destinations {
        all.push(format!("{} to {to}.", counted(*count as u64, "goes again", "go again")));
    }
    if preview.letters.len() > preview.messages {
        all.push(format!(
            "Rows are read by the next run of {name}, which is asked for, and written if they are good now."
        ));
    }
    if ask.console.project.integration(name).is_some_and(|i| matches!(i.pattern, Pattern::Event(_))) {
        all.push("What an event is about is read anew, so that what is written is the record as it is now; an event that is the record itself is sent as it was.".to_owned());
    }
    all.push(match &preview.definition {
        Changed::No => "The definition is the same as when they failed.".to_owned(),
        Changed::Since(at) => {
            format!("The definition has changed since they failed, {}.", moment(*at, ask.zone()))
        }
        Changed::NotYetInUse => {
            "The files have changed since the hub started: restart it first, or this retries with the old definition."
                .to_owned()
        }
        Changed::NotKnown => "Whether the definition has changed since they failed is not known.".to_owned(),
    });
    let there = preview.took_effect.iter().filter(|effect| effect.same_destination).count();
    all.push(match (preview.looked_up, there) {
        (0, _) => "None of them names a record, so whether one has been written meanwhile is not known.".to_owned(),
        (n, 0) => format!("Of {n} that were looked up, none was written since it failed."),
        (n, 1) => format!("Of {n} that were looked up, one was written since; only what is different now is written."),
        (n, there) => {
            format!("Of {n} that were looked up, {there} were written since; only what is different now is written.")
        }
    });
    if preview.since > 0 {
        all.push(format!("{} more since you looked; they are left alone.", number(preview.since)));
    }
    all.push("It is a stored job: it goes on where it was after a restart, and can be paused and ended.".to_owned());
    all
}

/// What is somewhere already, of those that were looked up.
fn effects(ask: &Ask, preview: &Preview) -> Markup {
    html! { @if !preview.took_effect.is_empty() {
        section.card aria-labelledby="effects-heading" {
            h2 #effects-heading { "What has taken effect already" }
            ul { @for effect in preview.took_effect.iter().take(EFFECTS) {
                li { a href={ "/dead-letters/" (effect.letter) } { (effect.letter.as_str().get(..8).unwrap_or_default()) } ": " (effect.what) " in "
                    a href={ "/systems/" (escaped(&effect.system)) } { (effect.system) } ", " (time(ask, effect.at))
                    @if !effect.same_destination { ", another destination, which is not written again" } }
            } }
        }
    } }
}

fn nothing_waits(group: &Group) -> Problem {
    let what = format!("nothing of the group {} waits that is not on its way already", group_name(&group.id));
    Problem::not_done(what, "go back and see what became of them")
}

pub fn retry(ask: &Ask) -> Result<Response, Problem> {
    let group = found(ask)?;
    let (wanted, who) = (wanted(ask, &group), actor(&ask.who.name));
    let job = ask.wait(retries::start(&ask.console.store, &wanted, &who))?.ok_or_else(|| nothing_waits(&group))?;
    Ok(see(&format!("/retries/{job}?said=retrying")))
}
