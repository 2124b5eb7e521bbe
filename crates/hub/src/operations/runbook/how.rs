//! How to look, stop, start, repeat and go back: every command filled in.

use definition::{Batch, Direction, Integration, Pattern, Project};

use super::super::usual::median;
use super::Live;
use super::facts::time;
use crate::events::subscription;

pub(super) fn write(out: &mut String, project: &Project, integration: &Integration, live: Option<&Live>) {
    if let Some(live) = live {
        usual(out, live);
    }
    let name = &integration.name;
    let folder = std::path::absolute(&project.dir).unwrap_or_else(|_| project.dir.clone());
    *out += &format!(
        "## How to\n\nThese can be typed beside a running `ironbridge up`, in the folder of the project, `{}`",
        folder.display()
    );
    if let Some(environment) = &project.environment {
        *out += &format!(", with `--env {}`", environment.name);
    }
    *out += ".\n\n";
    match &integration.pattern {
        Pattern::Batch(_) => batch(out, project, integration, live),
        Pattern::Event(event) => {
            let queue = event.to.first().map(|to| subscription(name, to)).unwrap_or_default();
            step(out, "See how it stands", &["ironbridge status", &format!("ironbridge queue peek {queue}")]);
            for to in &event.to {
                step(out, &format!("See whether {to} answers"), &[&format!("ironbridge systems check {to}")]);
            }
            pause(out, name, "Events that come in wait in the queue, and none is lost.");
            step(
                out,
                "Send one event by hand, as if the source had (a JSON file)",
                &[&format!("ironbridge queue send {name} event.json")],
            );
            letters(out, name);
            for entity in integration.entities() {
                step(out, "Find one record", &[&format!("ironbridge trace {entity} KEY")]);
            }
            definition_back(out, name, false);
        }
        Pattern::Virtual(shown) => {
            step(out, "See whether the source answers", &[&format!("ironbridge systems check {}", shown.from)]);
            step(out, "Serve it without the rest of the hub", &["ironbridge virtual serve"]);
            definition_back(out, name, false);
        }
        Pattern::Flow(_) => {
            step(
                out,
                "See how far each instance has come",
                &[&format!("ironbridge flow list {name}"), "ironbridge flow show ID"],
            );
            step(out, "See what waits for an answer", &["ironbridge approvals list"]);
            pause(out, name, "Instances stay where they are, and new ones wait.");
            step(
                out,
                "Start one by hand; let one that failed try again; end one",
                &[
                    &format!("ironbridge flow start {name} KEY"),
                    "ironbridge flow retry ID",
                    "ironbridge flow cancel ID --why \"WHY\"",
                ],
            );
            for entity in integration.entities() {
                step(out, "Find one record", &[&format!("ironbridge trace {entity} KEY")]);
            }
            definition_back(out, name, false);
        }
    }
}

fn batch(out: &mut String, project: &Project, integration: &Integration, live: Option<&Live>) {
    let name = &integration.name;
    step(out, "See how it stands", &["ironbridge status", &format!("ironbridge runs {name}")]);
    step(out, "See what a run would write, without writing", &[&format!("ironbridge plan {name}")]);
    let confirm = project.environment.as_ref().filter(|environment| environment.protected);
    let confirm = confirm.map_or(String::new(), |environment| format!(" --confirm {}", environment.name));
    step(out, "Run it now", &[&format!("ironbridge run {name}{confirm}")]);
    pause(out, name, "A run that is under way ends.");
    let now = live.map_or(jiff::Timestamp::UNIX_EPOCH, |live| live.now);
    let shown = |hours: i64| {
        let at = now.checked_sub(jiff::SignedDuration::from_hours(hours)).unwrap_or(now);
        at.to_zoned(project.hub.time_zone.clone()).strftime("%Y-%m-%d %H:00").to_string()
    };
    let window = format!("--from \"{}\" --to \"{}\"", shown(24), shown(0));
    if knows_times(project, integration) {
        step(
            out,
            "Replay: read again what the source changed in a time, here the last day (the position stays)",
            &[&format!("ironbridge plan {name} {window}"), &format!("ironbridge run {name}{confirm} {window}")],
        );
    }
    step(
        out,
        "Reset: read everything again (what is right already is not written again)",
        &[
            &format!("ironbridge state show {name}"),
            &format!("ironbridge state reset {name}"),
            &format!("ironbridge plan {name}"),
        ],
    );
    letters(out, name);
    for entity in integration.entities() {
        step(out, "Find one record", &[&format!("ironbridge trace {entity} KEY")]);
    }
    definition_back(out, name, true);
}

/// Whether the source can be asked for what it changed in a time.
fn knows_times(project: &Project, integration: &Integration) -> bool {
    let Pattern::Batch(Batch { direction: Direction::OneWay { from, .. }, .. }) = &integration.pattern else {
        return false;
    };
    project.system(from).is_some_and(|system| {
        let mut entities = integration.entities().into_iter().map(|entity| system.entity(entity));
        system.kind.name == "dataverse" || entities.all(|held| held.is_some_and(|held| held.watermark.is_some()))
    })
}

fn pause(out: &mut String, name: &str, what: &str) {
    step(
        out,
        &format!("Pause it. {what} Resume it"),
        &[&format!("ironbridge pause {name} --note \"WHY\" --for \"2 hours\""), &format!("ironbridge resume {name}")],
    );
}

fn letters(out: &mut String, name: &str) {
    step(
        out,
        "Dead letters: look at them, try one again, give one up",
        &[
            &format!("ironbridge dead-letters list {name}"),
            "ironbridge dead-letters show ID",
            "ironbridge dead-letters retry ID",
            "ironbridge dead-letters discard ID --note \"WHY\"",
        ],
    );
}

/// What can be taken back, and what cannot.
fn definition_back(out: &mut String, name: &str, batch: bool) {
    let mut commands = vec!["ironbridge check --online".to_owned(), "ironbridge diff OLD-FOLDER .".to_owned()];
    if batch {
        commands.push(format!("ironbridge plan {name}"));
    }
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    step(
        out,
        "Roll back a change of the files: bring the earlier ones back from version control, see what is different, and start `ironbridge up` again",
        &commands,
    );
    if batch {
        *out += "Rows that were written are not taken back by that: a changed mapping announces a full read, and the next run writes what the earlier files say. The plan shows it before.\n\n";
    }
}

fn usual(out: &mut String, live: &Live) {
    let known = &live.known;
    let runs = &known.good_runs;
    let mut lines = Vec::new();
    if let Some(read) = median(runs.iter().map(|run| run.counts.read).collect()) {
        let written = median(runs.iter().map(|run| run.counts.written()).collect()).unwrap_or(0);
        lines.push(format!(
            "- A run reads about {read} rows and writes about {written} (the middle of the last {}).",
            runs.len()
        ));
        let took =
            runs.iter().filter_map(|run| u64::try_from(run.finished?.duration_since(run.started).as_secs()).ok());
        if let Some(took) = median(took.collect()) {
            let took = match took {
                0 => "less than a second".to_owned(),
                took => format!("about {}", time(std::time::Duration::from_secs(took))),
            };
            lines.push(format!("- It takes {took}."));
        }
    }
    for (to, hours) in &known.traffic {
        let total: u64 = hours.iter().map(|(_, count)| count).sum();
        if let (Some((first, _)), true) = (hours.first(), runs.is_empty()) {
            let days = (live.now.duration_since(*first).as_hours() / 24 + 1).max(1) as u64;
            lines.push(format!("- About {} messages a day go to {to}.", total / days));
        }
    }
    if lines.is_empty() {
        lines.push("- Nothing is known yet: it has not done anything.".to_owned());
    }
    *out += &format!("## What is usual\n\n{}\n\n", lines.join("\n"));
}

fn step(out: &mut String, what: &str, commands: &[&str]) {
    *out += &format!("{what}:\n\n```\n{}\n```\n\n", commands.join("\n"));
}
