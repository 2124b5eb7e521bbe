//! `ironbridge status`: how each integration stands.

use definition::Pattern;
use jiff::tz::TimeZone;
use serde_json::json;
use store::Store;
use store::approvals::{Kind, State as Answer};
use store::flows::State as Stands;
use store::looks::{Look, Silence};
use store::outages::Outage;
use store::runs::State as Ran;

use crate::cli::{Cli, Format};
use crate::commands::runs;
use crate::failure::Failure;
use crate::output::{ago, fault, moment, number, on_their_way, table, zone_where_another};
use crate::{edited, say, talk, wiring};

pub fn status(cli: &Cli) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    let is_batch = |name: &str| {
        project.integration(name).is_some_and(|integration| matches!(integration.pattern, Pattern::Batch(_)))
    };
    // What has become something else since, or has gone, does not stand as it ran last.
    let mut last = store.last_runs()?;
    last.retain(|run| is_batch(&run.integration));
    let dead = store.dead_letters_waiting()?;
    let pauses = store.pauses()?;
    let outages = store.outages()?;
    let unheard = store.unheard()?;
    let late = hub::deadline::late(&project, &store)?;
    let approvals = store.approvals(false, 1_000)?;
    let silent = hub::looks::silent_ones(&project, &store)?;
    let now = store.clock().now();
    let zone = &project.hub.time_zone;
    let is_up = store.is_up();
    let mut rows = Vec::new();
    let mut items = Vec::new();
    for integration in &project.integrations {
        let run = last.iter().find(|run| run.integration == integration.name);
        let waiting = dead.iter().find(|(name, _)| *name == integration.name).map_or(0, |(_, n)| *n);
        let queued = match &integration.pattern {
            Pattern::Event(event) => Some(hub::events::waiting(&store, &integration.name, &event.to)?),
            _ => None,
        };
        let next = match &integration.pattern {
            Pattern::Batch(batch) => hub::schedule::next(&batch.schedule, zone, now),
            _ => None,
        };
        let state = match run {
            Some(run) => run.state.to_string(),
            None => match &integration.pattern {
                Pattern::Event(event) => delivery(&store, &integration.name, event, &outages, now, zone)?,
                Pattern::Flow(_) => instances(&store, &integration.name)?,
                Pattern::Virtual(_) => match outages.iter().find(|outage| outage.integration == integration.name) {
                    Some(outage) => format!("cannot be shown since {}", since(outage.since, now, zone)),
                    None => "answers when asked".to_owned(),
                },
                Pattern::Batch(_) => "never ran".to_owned(),
            },
        };
        let pause = pauses.iter().find(|pause| pause.integration == integration.name);
        let next = next.filter(|_| pause.is_none());
        let paused = pause.map(|pause| {
            let until = pause.until.map_or_else(String::new, |until| format!(" until {}", moment(until, zone)));
            format!("paused{until} by {}: {}", pause.by, pause.note)
        });
        let late = late.get(&integration.name);
        let asks = approvals
            .iter()
            .find(|a| a.kind == Kind::Run && a.state == Answer::Open && a.integration == integration.name);
        let systems = integration.systems();
        let mute: Vec<&Look> = silent.iter().filter(|look| systems.contains(&look.system.as_str())).collect();
        // What waits for a system that is down says so already.
        let new = mute
            .iter()
            .filter(|look| !state.contains(&look.system))
            .filter_map(|look| Some(format!("{} {}", look.system, look.silence()?.does())));
        let joined = match run {
            Some(run) if run.state == Ran::Failed => "and",
            _ => "but",
        };
        let told = match run {
            Some(run) if run.state == Ran::Running && is_cut_off(&store, &integration.name)? => {
                format!("{state}, but its process is gone")
            }
            _ => state.clone(),
        };
        let shown = match new.collect::<Vec<_>>().as_slice() {
            [] => told,
            several => format!("{told}, {joined} {}", several.join(" and ")),
        };
        rows.push(vec![
            integration.name.clone(),
            integration.pattern.word().to_owned(),
            shown,
            run.map(|run| ago(run.finished.unwrap_or(run.started), now)).unwrap_or_default(),
            paused.or_else(|| next.filter(|_| is_up).map(|next| moment(next, zone))).unwrap_or_default(),
            late.map(|late| format!("late since {}, needed by {}", moment(late.slot, zone), moment(late.needed, zone)))
                .unwrap_or_default(),
            number(waiting),
            integration.owner.clone(),
        ]);
        items.push(json!({
            "integration": integration.name, "pattern": integration.pattern.word(), "state": state,
            "last_run": run.map(runs::json), "next": next.map(|at| at.to_string()),
            "paused": pause.map(|pause| json!({
                "by": pause.by, "note": pause.note, "since": pause.since.to_string(),
                "until": pause.until.map(|until| until.to_string()),
            })), "dead_letters": waiting, "waiting": queued.map(|(waiting, _)| waiting),
            "held": queued.map(|(_, held)| held),
            "late": late.map(|late| json!({
                "since": late.slot.to_string(), "needed_by": late.needed.to_string(),
                "noticed": late.missed.map(|at| at.to_string()),
            })),
            "approval": asks.map(|asks| json!({ "id": asks.id.0, "question": asks.question, "asked_of": asks.asked_of })),
            "outages": outages.iter().filter(|outage| outage.integration == integration.name).map(down).collect::<Vec<_>>(),
            "webhooks_missing": unheard.iter().find(|one| one.integration == integration.name).map(|one| json!({
                "since": one.since.to_string(), "last": one.seen.to_string(), "changes": one.changes, "refused": one.refused,
            })),
            "systems_silent": mute.iter().map(|look| look.system.as_str()).collect::<Vec<_>>(), "owner": integration.owner, "purpose": integration.purpose,
        }));
    }
    if cli.format == Format::Json {
        say!("{:#}", json!(items));
        return Ok(0);
    }
    let mut header = vec!["integration", "pattern", "state", "last run", "next run", "late", "dead letters", "owner"];
    if late.is_empty() {
        let at = header.iter().position(|name| *name == "late").expect("it is in the list above");
        header.remove(at);
        rows.iter_mut().for_each(|row| drop(row.remove(at)));
    }
    say!("{}", table(&header, rows));
    match edited::since_start(&project) {
        _ if !is_up => talk!(
            "\n`ironbridge up` does not run on this folder: nothing runs or is delivered by itself, and nobody is told.\n  do: ironbridge up"
        ),
        Some(told) => talk!("\n{told}"),
        None => {}
    }
    match store.open_alerts()?.as_slice() {
        [] => {}
        [alert] => talk!("\n{}\n  do: ironbridge alerts show {}", alert.saying.title, alert.id),
        several => talk!("\n{} alerts are open: ironbridge alerts list", several.len()),
    }
    for asks in approvals.iter().filter(|asks| asks.state == Answer::Open) {
        talk!("\n{}\n  do: ironbridge approvals show {}", asks.question, asks.id);
    }
    for run in &last {
        if let Some(error) = &run.error {
            talk!("\n{}: {}", run.integration, fault(&runs::of_run(error)));
        }
    }
    for integration in project.integrations.iter().filter(|one| matches!(one.pattern, Pattern::Flow(_))) {
        let Some(stuck) = hub::operations::stuck(&store, &integration.name)? else { continue };
        let (name, first, since) = (&integration.name, stuck.first, since(stuck.since, now, zone));
        talk!("\n{name}: instance {first} cannot go on since {since}: {}", stuck.error());
        if stuck.instances > 1 {
            talk!("Nor can {} others: ironbridge flow list {name}", stuck.instances - 1);
        }
        talk!("  do: ironbridge flow show {first}");
    }
    // Whoever may only look does not say that the hub cannot write.
    let may_write = |error: &store::Error| !matches!(error, store::Error::Folder { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied);
    let works = store::up_since(store.dir()).is_some();
    if let Some(error) = store.probe_disk().err().filter(|error| !works || may_write(error)) {
        let code = error.code().map_or_else(String::new, |code| format!(" ({code}); ironbridge explain {code}"));
        talk!("\nNothing new is accepted: {error}{code}");
    }
    for (queue, messages) in hub::events::left_over(&project, &store)? {
        let events = if messages == 1 { "event" } else { "events" };
        talk!(
            "\nNobody delivers what waits in {queue}, {} {events}: the project has no such destination or flow any more.",
            number(messages)
        );
        talk!("  do: put it back into the files, or drop them: ironbridge queue purge {queue}");
    }
    for look in &silent {
        let Some(silence) = look.silence() else { continue };
        let asked = format!("asked last {}", ago(look.seen, now));
        let (system, does, since) = (&look.system, silence.does(), since(look.since, now, zone));
        talk!("\n{system} {does} since {since}: {} ({asked})", silence.what);
        if !silence.why.is_empty() {
            talk!("  it said: {}", silence.why);
        }
        talk!("  do: {}", first_fix(&look.system, silence));
    }
    for one in &unheard {
        let integration = project.integration(&one.integration);
        let Some(told) = integration.and_then(|integration| hub::unheard::told(&project, integration, one)) else {
            continue;
        };
        let begins =
            if hub::unheard::lasts(one) { format!("{}. ", told.title) } else { format!("{}: ", one.integration) };
        talk!("\n{begins}{}\n  do: {}", told.text, told.command);
    }
    for outage in &outages {
        let (name, system) = (&outage.integration, &outage.system);
        let (since, last) = (since(outage.since, now, zone), ago(outage.seen, now));
        let is_table = project.integration(name).is_some_and(|one| matches!(one.pattern, Pattern::Virtual(_)));
        if is_table {
            talk!("\n{name}: whoever looks gets an error since {since}: {}", outage.what);
            talk!("`ironbridge up` looks each minute whether it is over, the last time {last}.");
        } else {
            match name == system {
                true => talk!("\n{name}: what came starts nothing since {since}: {}", outage.what),
                false => talk!("\n{name}: nothing gets through to {system} since {since}: {}", outage.what),
            }
            talk!(
                "Events wait and none is lost. It is tried again by itself: {} times so far, the last time {last}.",
                outage.failures
            );
        }
        if !outage.fix.is_empty() && !outage.fix.starts_with("nothing") {
            talk!("  do: {}", outage.fix);
        }
    }
    Ok(0)
}

/// Whether what held the run of an integration was a process of this machine that has ended: the next run goes on after
/// its last commit.
fn is_cut_off(store: &Store, integration: &str) -> Result<bool, Failure> {
    Ok(hub::left_behind(store, integration, &wiring::holder())?.is_some())
}

/// What the connector says can be done; where that is nothing, how to see whether it is over.
fn first_fix(system: &str, silence: &Silence) -> String {
    match silence.fix.is_empty() || silence.fix.starts_with("nothing") {
        true => format!("ironbridge systems check {system}"),
        false => silence.fix.clone(),
    }
}

/// The time of day; for what began before today, the date too.
fn since(at: jiff::Timestamp, now: jiff::Timestamp, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let shape = if at.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" };
    at.strftime(shape).to_string() + &zone_where_another(at.timestamp(), zone, &TimeZone::system())
}

/// How the instances of a flow stand: `3 under way, 1 failed`.
fn instances(store: &Store, name: &str) -> Result<String, Failure> {
    let mut told = Vec::new();
    for (state, word) in [(Stands::Running, "under way"), (Stands::Failed, "failed"), (Stands::Held, "held")] {
        let count = store.flow_count(name, state)?;
        if count > 0 {
            told.push(format!("{} {word}", number(count)));
        }
    }
    Ok(if told.is_empty() { "nothing is under way".to_owned() } else { told.join(", ") })
}

/// What does not get through, since when, and what the other side said.
fn down(outage: &Outage) -> serde_json::Value {
    json!({
        "to": outage.system, "system": outage.at, "since": outage.since.to_string(), "last": outage.seen.to_string(),
        "failures": outage.failures, "code": outage.code, "what": outage.what, "do": outage.fix,
    })
}

/// How the events of an integration stand: how many wait, and what for.
fn delivery(
    store: &Store,
    name: &str,
    event: &definition::Event,
    outages: &[Outage],
    now: jiff::Timestamp,
    zone: &TimeZone,
) -> Result<String, Failure> {
    let (waiting, held) = hub::events::waiting(store, name, &event.to)?;
    let down = outages.iter().find(|outage| outage.integration == name);
    Ok(match down {
        Some(outage) => {
            let waits = if waiting > 0 { format!(", {} wait", number(waiting)) } else { String::new() };
            format!("{} down since {}{waits}", outage.at, since(outage.since, now, zone))
        }
        None => on_their_way(waiting, held),
    })
}
