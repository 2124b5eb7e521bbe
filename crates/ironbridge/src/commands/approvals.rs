//! `ironbridge approvals`: questions that wait for a person.

use std::sync::Arc;

use definition::{Project, With};
use hub::decide::{Answer, NotDecided};
use hub::flows::form::{clock, currency};
use hub::flows::{Kept, decider};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use store::Store;
use store::approvals::{Approval, ApprovalId, State};
use store::away::Away;

use crate::cli::{Approvals as Command, Cli, Decision, Format};
use crate::failure::{BAD_WINDOW, FAILED, Failure, NO_SUCH_NAME, NOT_ASKED, USAGE};
use crate::output::{ago, number, table};
use crate::wiring::{self, OpenSystems};
use crate::{say, talk};

/// Questions that are listed at most.
const LISTED: usize = 200;

pub async fn approvals(cli: &Cli, command: &Command) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    match command {
        Command::List { all } => list(cli, &store, *all),
        Command::Show { id } => show(cli, &project, &store, &find(&store, *id)?),
        Command::Away { person: None, .. } => who_is_away(cli, &project, &store),
        Command::Away { person: Some(person), until, from, stand_in, note } => {
            away(&project, &store, person, from.as_deref(), until.as_deref(), stand_in.as_deref(), note).await
        }
        Command::Back { person } => back(&project, &store, person).await,
        Command::Approve { id, decision } => decide(&project, &store, *id, true, decision).await,
        Command::Reject { id, decision } => decide(&project, &store, *id, false, decision).await,
    }
}

fn find(store: &Store, id: i64) -> Result<Approval, Failure> {
    store.approval(ApprovalId(id))?.ok_or_else(|| {
        let what = format!("there is no approval {id}");
        Failure::new(USAGE, NO_SUCH_NAME, what, "see what there is: ironbridge approvals list --all")
    })
}

fn list(cli: &Cli, store: &Store, all: bool) -> Result<u8, Failure> {
    let approvals = store.approvals(all, LISTED)?;
    if cli.format == Format::Json {
        let now = store.clock().now();
        say!("{:#}", Json::from(approvals.iter().map(|one| summary(one, now)).collect::<Vec<_>>()));
        return Ok(0);
    }
    if approvals.is_empty() {
        talk!("Nothing waits for an answer.");
        return Ok(0);
    }
    let now = store.clock().now();
    let rows = approvals.iter().map(|a| {
        vec![
            a.id.to_string(),
            a.integration.clone(),
            a.word(now).to_owned(),
            ago(a.asked, now),
            a.asked_of.clone(),
            a.question.clone(),
        ]
    });
    say!("{}", table(&["id", "integration", "state", "asked", "of", "question"], rows.collect()));
    Ok(0)
}

fn summary(a: &Approval, now: Timestamp) -> Json {
    let at = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "id": a.id.0, "integration": a.integration, "kind": a.kind.to_string(), "subject": a.subject,
        "state": a.word(now), "question": a.question, "asked_of": a.asked_of, "asked": a.asked.to_string(),
        "expires": at(a.expires), "decided": at(a.decided), "decided_by": a.decided_by, "comment": a.comment,
        "used_by_run": a.used_by.map(|run| run.0),
    })
}

fn show(cli: &Cli, project: &Project, store: &Store, approval: &Approval) -> Result<u8, Failure> {
    let now = store.clock().now();
    let details: Json = serde_json::from_str(&approval.details).unwrap_or_default();
    if cli.format == Format::Json {
        let mut whole = summary(approval, now);
        whole["details"] = details;
        whole["digest"] = json!(approval.digest);
        say!("{whole:#}");
        return Ok(0);
    }
    let zone = &project.hub.time_zone;
    say!("{}", approval.question);
    say!("asked of {} at {}; it is {}", approval.asked_of, clock(approval.asked, zone), approval.word(now));
    if let (true, Some(expires)) = (matches!(approval.state, State::Open | State::Approved), approval.expires) {
        let what = if approval.has_expired(now) { "it held until" } else { "it holds until" };
        say!("{what} {}", clock(expires, zone));
    }
    if let (Some(by), Some(at)) = (&approval.decided_by, approval.decided) {
        let comment = approval.comment.as_ref().map_or_else(String::new, |comment| format!(": {comment}"));
        say!("decided by {} at {}{comment}", decider(by), clock(at, zone));
    }
    // Of a flow: the record as it was shown.
    if let Some(deadline) = details["deadline"].as_str().and_then(|at| at.parse().ok()) {
        let until = clock(deadline, zone);
        if approval.state == State::Open {
            say!("it is to be answered until {until}");
        }
    }
    for (field, value) in details["record"].as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        say!("  {field}: {}", hub::flows::form::spoken_in(value, zone));
    }
    for (label, value) in hub::flows::filled_in(store, approval, zone)? {
        say!("  {label} (with the answer): {value}");
    }
    if details["record"].is_object() {
        let how = match hub::flows::kept(store, approval)? {
            Kept::AsShown => "This is what was shown",
            Kept::Forgotten => "What was shown is forgotten; it had",
            Kept::Changed | Kept::Otherwise { .. } => {
                "THIS IS NOT WHAT WAS SHOWN; see ironbridge flow show --verify. That had"
            }
        };
        talk!("{how}: hash {}", approval.digest);
    }
    let form = hub::flows::form_of(approval);
    if approval.state == State::Open && !form.is_empty() {
        say!("with the answer:");
        for (field, default) in &form {
            say!("  {}", asks(field, default));
        }
    }
    for row in details["rows"].as_array().into_iter().flatten() {
        print_row(row);
    }
    match details["more_rows"].as_u64() {
        Some(0) | None => {}
        Some(more) => say!("  … and {} more rows like these", number(more)),
    }
    let starts = details["starts"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !starts.is_empty() {
        say!("this would start there:");
    }
    for one in starts {
        let text = |name: &str| one[name].as_str().unwrap_or_default();
        let when = if one["in_the_write"] == true { ", and each write waits for it" } else { "" };
        let times = one["rows"].as_u64().unwrap_or_default();
        say!("  {} `{}` on {}, {} times{when}", text("kind"), text("name"), text("table"), number(times));
    }
    if let Some(why) = details["starts_unknown"].as_str() {
        talk!("What this would start there is not known: {why}");
    }
    if let Some(what) = details["refused"]["what"].as_str() {
        talk!("A run would stop before it is through: {what}");
    }
    if approval.has_expired(now) {
        talk!(
            "\nThe next run looks again, and asks again where that is still needed: ironbridge run {}",
            approval.integration
        );
    } else if approval.state == State::Open {
        let flags = |approve| {
            let needed = form.iter().filter(move |(field, _)| field.required && field.with.goes(Some(approve)));
            needed.map(|(field, _)| format!(" --field {}=…", field.name)).collect::<String>()
        };
        let (id, yes, no) = (approval.id, flags(true), flags(false));
        let by = by_whom(project);
        talk!("\nironbridge approvals approve {id}{by}{yes}\nironbridge approvals reject {id}{by} --comment WHY{no}");
    }
    Ok(0)
}

/// The flag with which a command says who decides, where the user of this machine is nobody of people.yaml.
fn by_whom(project: &Project) -> &'static str {
    let is_known = project.people.iter().any(|person| person.id == wiring::person());
    if is_known { "" } else { " --by WHO" }
}

/// A field of a form: `granted (How much): money, with a yes, required; at first 9000`.
fn asks(field: &definition::FormField, default: &str) -> String {
    let mut said = format!("{} ({}): {}", field.name, field.label, field.ty.word());
    match &field.ty {
        record::Type::Choice { values } => said += &format!(", one of {}", values.join(", ")),
        record::Type::Money if currency(field).is_some() => {
            said += &format!(" in {}", currency(field).unwrap_or_default());
        }
        record::Type::Reference { to } => said += &format!(" to a {}", to.first().map_or("record", String::as_str)),
        _ => {}
    }
    match field.with {
        With::Either => {}
        With::Approved => said += ", with a yes",
        With::Rejected => said += ", with a no",
    }
    said += if field.required { ", required" } else { "" };
    if default.is_empty() { said } else { format!("{said}; in the console {default} stands there at first") }
}

fn print_row(row: &Json) {
    let text = |of: &Json| of.as_str().unwrap_or_default().to_owned();
    say!("  {} {} {}", text(&row["effect"]), text(&row["entity"]), text(&row["key"]));
    for (name, column) in row["columns"].as_object().into_iter().flatten() {
        match column["old"].as_str() {
            Some(old) => say!("      {name}: {old} -> {}", text(&column["new"])),
            None => say!("      {name}: {}", text(&column["new"])),
        }
    }
    for code in row["faults"].as_array().into_iter().flatten() {
        say!("      {}", text(code));
    }
}

async fn decide(
    project: &Arc<Project>,
    store: &Store,
    id: i64,
    approve: bool,
    decision: &Decision,
) -> Result<u8, Failure> {
    let approval = find(store, id)?;
    let by = decision.by.clone().unwrap_or_else(wiring::person);
    let action = if approve { "approvals approve" } else { "approvals reject" };
    let actor = store::audit::Actor { name: by.clone(), ..wiring::actor() };
    let detail = json!({ "approval": id, "user": wiring::person(), "digest": approval.digest });
    let did = actor.did(action, &*approval.integration).because(decision.comment.as_deref()).with(detail).op();
    let fields = super::flow::filled::fields(&decision.filled)?;
    let answer = Answer { by: &by, approve, comment: decision.comment.as_deref(), fields: &fields };
    let systems = OpenSystems::new(project.clone());
    if let Some((instance, _)) = hub::flows::subject_of(&approval) {
        let answered = hub::flows::answer(project, &systems, store, &approval, &answer, vec![did]).await;
        match answered.map_err(|why| super::flow::refused(&project.hub.time_zone, instance, why))? {
            Some(true) => talk!("Approved by {by}; `ironbridge up` goes on with it: ironbridge flow show {instance}"),
            Some(false) => talk!("Rejected by {by}; `ironbridge up` goes on with it: ironbridge flow show {instance}"),
            None => talk!("The answer of {by} counts; others are still asked: ironbridge flow show {instance}"),
        }
        return Ok(0);
    }
    if let Some((name, _)) = fields.first() {
        let what = format!("approval {id} is about a run, and has no form: {name} is filled in nowhere");
        return Err(Failure::new(USAGE, hub::codes::FORM_WRONG, what, "leave --field and --json out"));
    }
    match hub::decide::decide(project, &systems, store, &approval, &answer, vec![did]).await? {
        Ok(()) => {}
        Err(NotDecided::NotAsked { asked }) => {
            let of = approval.asked_of.trim_start_matches("group:");
            let what = format!("{by} was not asked: approval {id} is for {of}");
            let fix = format!("say who decides: --by {}", asked.join(", or --by "));
            return Err(Failure::new(USAGE, NOT_ASKED, what, fix));
        }
        Err(NotDecided::Expired { at }) => {
            let until = clock(at, &project.hub.time_zone);
            let what = format!("approval {id} has expired: it was to be answered until {until}");
            let fix = format!("let it look and ask again: ironbridge run {}", approval.integration);
            return Err(Failure::new(FAILED, NOT_ASKED, what, fix));
        }
        Err(NotDecided::NotYet { first }) => {
            let what = format!("they answer in order, and it is the turn of {first}");
            return Err(Failure::new(FAILED, NOT_ASKED, what, format!("let {first} answer first")));
        }
        Err(NotDecided::Form(wrong)) => return Err(hub::flows::form::refused(&wrong).into()),
        Err(NotDecided::Unanswered(fault)) => return Err((*fault).into()),
        Err(NotDecided::NoComment) => {
            return Err(Failure::new(FAILED, NOT_ASKED, "this answer has to say why", "add --comment WHY"));
        }
        Err(NotDecided::Closed { state, by, at }) => {
            let what = match (by, at) {
                (Some(by), Some(at)) => {
                    format!(
                        "approval {id} was already decided by {} on {}",
                        decider(&by),
                        clock(at, &project.hub.time_zone)
                    )
                }
                (by, _) => {
                    format!("approval {id} is {state}{} already", by.map_or_else(String::new, |by| format!(" by {by}")))
                }
            };
            let fix = "see what waits for an answer: ironbridge approvals list";
            return Err(Failure::new(FAILED, NOT_ASKED, what, fix));
        }
    }
    let name = &approval.integration;
    match (approve, hub::consent::by_hand(&approval)) {
        (true, Some(command)) => talk!("Approved by {by}. To write it, run the window again: {command}"),
        (true, None) => talk!(
            "Approved by {by}: the next run writes it, and `up` starts one at once. By hand: ironbridge run {name}"
        ),
        (false, _) => {
            talk!("Rejected by {by}: nothing of it is written. It is asked again once the changes are others.")
        }
    }
    Ok(0)
}

fn known(project: &Project, person: &str) -> Result<(), Failure> {
    if project.people.iter().any(|one| one.id == person) {
        return Ok(());
    }
    let there: Vec<&str> = project.people.iter().map(|person| person.id.as_str()).collect();
    let what = format!("there is no person `{person}` in people.yaml");
    Err(Failure::new(USAGE, NO_SUCH_NAME, what, format!("there are: {}", there.join(", "))))
}

async fn away(
    project: &Project,
    store: &Store,
    person: &str,
    from: Option<&str>,
    until: Option<&str>,
    stand_in: Option<&str>,
    note: &str,
) -> Result<u8, Failure> {
    known(project, person)?;
    stand_in.map(|other| known(project, other)).transpose()?;
    let now = store.clock().now();
    let time = |text: &str| wiring::time(text, &project.hub.time_zone);
    let Some(until) = until.map(time).transpose()? else {
        let what = format!("nothing says until when {person} is away");
        return Err(Failure::new(
            USAGE,
            BAD_WINDOW,
            what,
            "add --until 2026-12-24; back sooner: ironbridge approvals back",
        ));
    };
    let since = from.map(time).transpose()?.unwrap_or(now);
    if until <= since || until <= now || stand_in == Some(person) {
        let what = match stand_in == Some(person) {
            true => format!("{person} cannot answer for {person}"),
            false => format!("that has ended by {}", clock(until, &project.hub.time_zone)),
        };
        return Err(Failure::new(USAGE, BAD_WINDOW, what, "say a later --until, and somebody else as --stand-in"));
    }
    let absence = Away {
        person: person.to_owned(),
        since,
        until,
        stand_in: stand_in.map(str::to_owned),
        note: note.to_owned(),
        by: wiring::person(),
    };
    let detail = json!({ "until": until.to_string(), "stand_in": stand_in });
    let did = wiring::actor().did("approvals away", person).because(Some(note)).with(detail).op();
    store.commit(vec![store::away::Op::Set(absence).into(), did]).await?;
    let until = clock(until, &project.hub.time_zone);
    match stand_in {
        Some(other) => talk!("Until {until} {other} is asked instead of {person}, also for what waits already."),
        None => {
            talk!("{person} is away until {until}, and nobody answers instead: deadlines run on, and reminders wait.")
        }
    }
    Ok(0)
}

async fn back(project: &Project, store: &Store, person: &str) -> Result<u8, Failure> {
    known(project, person)?;
    let did = wiring::actor().did("approvals back", person).op();
    let end = store::away::Op::End { person: person.to_owned() };
    match store.commit(vec![end.into(), did]).await?.as_slice() {
        [store::OpResult::Count(0), ..] => talk!("{person} was not away."),
        _ => talk!("{person} is asked again; what was asked of somebody else meanwhile stays with them."),
    }
    Ok(0)
}

fn who_is_away(cli: &Cli, project: &Project, store: &Store) -> Result<u8, Failure> {
    let away = store.away()?;
    if cli.format == Format::Json {
        let all = away.iter().map(|away| {
            json!({
                "person": away.person, "from": away.since.to_string(), "until": away.until.to_string(),
                "stand_in": away.stand_in, "note": away.note, "by": away.by,
            })
        });
        say!("{:#}", Json::from(all.collect::<Vec<_>>()));
        return Ok(0);
    }
    if away.is_empty() {
        talk!("Nobody is away. Say so: ironbridge approvals away PERSON --until 2026-12-24 --stand-in OTHER");
        return Ok(0);
    }
    let zone = &project.hub.time_zone;
    let rows = away.into_iter().map(|away| {
        let instead = away.stand_in.unwrap_or_default();
        vec![away.person, clock(away.since, zone), clock(away.until, zone), instead, away.note]
    });
    say!("{}", table(&["person", "from", "until", "instead", "note"], rows.collect()));
    Ok(0)
}
