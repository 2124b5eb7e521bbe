//! `ironbridge alerts`: what needs a person, who is told of it, and what would ring.

mod coverage;

use definition::Project;
use hub::operations::{self, Kind, Route, Ways};
use serde_json::{Value as Json, json};
use store::alerts::{Alert, AlertId, Notified, Op, Silence};
use store::audit::Actor;
use store::{Refusal, Store};

use crate::cli::{Alerts as Command, Cli, Format};
use crate::failure::{FAILED, Failure, NO_ALERT, NO_SUCH_NAME, NO_WAYS, USAGE};
use crate::output::{ago, moment, table};
use crate::ways::ProjectWays;
use crate::{say, talk, wiring};

pub async fn alerts(cli: &Cli, command: &Command) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    if let Command::Coverage = command {
        return coverage::coverage(cli, &project);
    }
    let store = wiring::open_store(&project)?;
    match command {
        Command::List { all, last } => list(cli, &project, &store, *all, *last),
        Command::Show { id } => show(cli, &project, &store, *id),
        Command::Acknowledge { id, by, note } => acknowledge(&store, *id, by.as_deref(), note.as_deref()).await,
        Command::Silence { subject, r#for, note, by } => {
            silence(&project, &store, subject, *r#for, note, by.as_deref()).await
        }
        Command::Unsilence { id } => unsilence(&store, *id).await,
        Command::Test { to } => test(cli, &project, &store, to.as_deref()).await,
        Command::Coverage => unreachable!("it was answered above"),
    }
}

/// How an alert stands, in a word or two.
fn state(alert: &Alert, silences: &[Silence]) -> String {
    hub::operations::stands(alert, silences).unwrap_or_else(|| "open".to_owned())
}

fn list(cli: &Cli, project: &Project, store: &Store, all: bool, last: usize) -> Result<u8, Failure> {
    let (mut alerts, silences) = (store.open_alerts()?, store.silences()?);
    if all {
        alerts.extend(store.past_alerts(last)?);
    }
    alerts.truncate(last);
    if cli.format == Format::Json {
        let silenced: Vec<Json> = silences.iter().map(silence_json).collect();
        let alerts: Vec<Json> = alerts.iter().map(|alert| summary(alert, &silences)).collect();
        say!("{:#}", json!({ "alerts": alerts, "silences": silenced }));
        return Ok(0);
    }
    let (now, zone) = (store.clock().now(), &project.hub.time_zone);
    if alerts.is_empty() {
        talk!("No alert is open.");
    } else {
        let rows = alerts.iter().map(|alert| {
            vec![
                alert.id.to_string(),
                alert.saying.severity.to_string(),
                alert.saying.title.clone(),
                ago(alert.saying.since, now),
                state(alert, &silences),
            ]
        });
        say!("{}", table(&["id", "severity", "what", "since", "state"], rows.collect()));
        talk!("\nOne fully: ironbridge alerts show {}", alerts[0].id);
    }
    for silence in &silences {
        talk!(
            "Silence {}: nobody is told of {} until {} ({}: {}); end it: ironbridge alerts unsilence {}",
            silence.id,
            silence.subject,
            moment(silence.until, zone),
            silence.by,
            silence.note,
            silence.id
        );
    }
    if !store.is_up() {
        talk!("`ironbridge up` does not run on this folder, so nobody looks, and nobody is told.");
    }
    Ok(0)
}

fn summary(alert: &Alert, silences: &[Silence]) -> Json {
    let at = |at: Option<jiff::Timestamp>| at.map(|at| at.to_string());
    let saying = &alert.saying;
    let facts: serde_json::Map<String, Json> =
        saying.facts.iter().map(|(label, value)| (label.clone(), json!(value))).collect();
    json!({
        "id": alert.id.0, "key": alert.key, "kind": alert.kind, "integration": alert.integration,
        "system": alert.system, "severity": saying.severity.to_string(), "title": saying.title, "text": saying.text,
        "facts": facts, "command": saying.command, "since": saying.since.to_string(),
        "opened": alert.opened.to_string(), "resolved": at(alert.resolved), "follows_from": alert.cause,
        "acknowledged": at(alert.acked), "acknowledged_by": alert.acked_by, "note": alert.note,
        "state": state(alert, silences),
    })
}

fn silence_json(silence: &Silence) -> Json {
    json!({
        "id": silence.id, "subject": silence.subject, "by": silence.by, "note": silence.note,
        "since": silence.since.to_string(), "until": silence.until.to_string(),
    })
}

fn find(store: &Store, id: i64) -> Result<Alert, Failure> {
    store.alert(AlertId(id))?.ok_or_else(|| no_alert(format!("there is no alert {id}")))
}

fn no_alert(what: String) -> Failure {
    Failure::new(USAGE, NO_ALERT, what, "see what there is: ironbridge alerts list --all")
}

fn show(cli: &Cli, project: &Project, store: &Store, id: i64) -> Result<u8, Failure> {
    let (alert, notices, silences) = (find(store, id)?, store.alert_notices(AlertId(id))?, store.silences()?);
    if cli.format == Format::Json {
        let mut whole = summary(&alert, &silences);
        whole["notices"] = notices.iter().map(notice_json).collect();
        let waiting = operations::told_later(project, &alert, &notices, store.clock().now());
        let waiting = waiting.iter().map(|(route, from)| json!({ "route": route.name(), "from": from.to_string() }));
        whole["told_later"] = waiting.collect();
        say!("{whole:#}");
        return Ok(0);
    }
    let zone = &project.hub.time_zone;
    say!("{} [{}]: {}", alert.saying.severity, state(&alert, &silences), alert.saying.title);
    say!("{}", alert.saying.text);
    if let Some(integration) = project.integration(&alert.integration) {
        say!("What it is for: {}", integration.purpose);
    }
    let mut facts = vec![("since".to_owned(), moment(alert.saying.since, zone))];
    facts.extend(alert.saying.facts.iter().cloned());
    facts.push(("noticed".to_owned(), moment(alert.opened, zone)));
    facts.extend(alert.resolved.map(|at| ("over".to_owned(), moment(at, zone))));
    if let (Some(at), Some(by)) = (alert.acked, &alert.acked_by) {
        let note = alert.note.as_ref().map_or(String::new(), |note| format!(": {note}"));
        facts.push(("acknowledged".to_owned(), format!("by {by} at {}{note}", moment(at, zone))));
    }
    for (label, value) in &facts {
        say!("  {label}: {value}");
    }
    let waiting = operations::told_later(project, &alert, &notices, store.clock().now());
    if notices.is_empty() {
        say!("{}", if waiting.is_empty() { "Nobody was told." } else { "Nobody was told yet." });
    }
    for notice in &notices {
        say!("  {} told that it {}: {}", notice.route, word(notice), fate(notice, zone));
    }
    for (route, from) in &waiting {
        say!("  {} is told when their work begins, at {}", route.name(), moment(*from, zone));
    }
    if !alert.saying.command.is_empty() {
        talk!("\ndo: {}", alert.saying.command);
    }
    if !alert.integration.is_empty() {
        let section = Kind::of(&alert.kind).map_or("", Kind::heading);
        talk!("more: ironbridge runbook {}, section \u{201c}{section}\u{201d}", alert.integration);
    }
    if alert.resolved.is_none() && alert.acked.is_none() {
        talk!("you look at it: ironbridge alerts acknowledge {id}");
    }
    Ok(0)
}

fn word(notice: &Notified) -> &'static str {
    match notice.kind {
        store::alerts::NoticeKind::Opened => "began",
        store::alerts::NoticeKind::Resolved => "is over",
    }
}

fn fate(notice: &Notified, zone: &jiff::tz::TimeZone) -> String {
    match (notice.delivered, notice.failed) {
        (Some(at), _) => format!("taken at {}", moment(at, zone)),
        (None, Some(at)) => {
            format!("given up on at {}: {}", moment(at, zone), notice.error.as_deref().unwrap_or_default())
        }
        (None, None) => format!("on its way since {}", moment(notice.queued, zone)),
    }
}

fn notice_json(notice: &Notified) -> Json {
    let at = |at: Option<jiff::Timestamp>| at.map(|at| at.to_string());
    json!({
        "route": notice.route, "kind": notice.kind.to_string(), "severity": notice.severity.to_string(),
        "about": notice.about, "queued": notice.queued.to_string(), "delivered": at(notice.delivered),
        "failed": at(notice.failed), "error": notice.error,
    })
}

async fn acknowledge(store: &Store, id: i64, by: Option<&str>, note: Option<&str>) -> Result<u8, Failure> {
    let alert = find(store, id)?;
    let by = actor(by);
    match operations::acknowledge(store, &alert, &by, note).await {
        Ok(()) => {}
        Err(error) => match error.refusal() {
            Some(refusal @ (Refusal::NoAlert { .. } | Refusal::AlertOver { .. })) => {
                return Err(no_alert(refusal.to_string()));
            }
            _ => return Err(error.into()),
        },
    }
    say!("{} looks at alert {id}; nobody else is told of it, but that it is over", by.name);
    Ok(0)
}

/// Who does something, as the audit log has it.
fn actor(by: Option<&str>) -> Actor {
    let here = wiring::actor();
    by.map_or(here.clone(), |by| Actor::new(by, here.via))
}

async fn silence(
    project: &Project,
    store: &Store,
    subject: &str,
    length: std::time::Duration,
    note: &str,
    by: Option<&str>,
) -> Result<u8, Failure> {
    if !operations::can_be_silenced(project, subject) {
        let what = format!("there is no integration, system or kind of alert `{subject}`");
        let kinds: Vec<&str> = Kind::ALL.into_iter().map(Kind::word).collect();
        let fix = format!("name one of the project, or a kind: {}", kinds.join(", "));
        return Err(Failure::new(USAGE, NO_SUCH_NAME, what, fix));
    }
    let until = store.clock().now().checked_add(length).map_err(anyhow::Error::from)?;
    let before = store.silences()?.into_iter().find(|silence| silence.subject == subject);
    let holds = operations::silence(store, subject, until, &actor(by), note).await?;
    let subject = if subject == "*" { "anything" } else { subject };
    let zone = &project.hub.time_zone;
    say!("nobody is told of {subject} until {}", moment(holds, zone));
    if let Some(before) = before.filter(|before| before.until >= until) {
        talk!(
            "{} has said so until then already ({}); to end it sooner: ironbridge alerts unsilence {}",
            before.by,
            before.note,
            before.id
        );
    }
    talk!("What opens meanwhile is kept; see it, and how to end this: ironbridge alerts list");
    Ok(0)
}

async fn unsilence(store: &Store, id: i64) -> Result<u8, Failure> {
    let Some(silence) = store.silences()?.into_iter().find(|silence| silence.id == id) else {
        let fix = "see those that hold: ironbridge alerts list";
        return Err(Failure::new(USAGE, NO_ALERT, format!("there is no silence {id} that holds"), fix));
    };
    operations::end_silence(store, &silence, &wiring::actor()).await?;
    say!("silence {id} has ended");
    talk!("People are told of {} again, also of what has begun meanwhile.", silence.subject);
    Ok(0)
}

/// Sends a test by each way, one after the other, and says what became of it.
async fn test(cli: &Cli, project: &std::sync::Arc<Project>, store: &Store, to: Option<&str>) -> Result<u8, Failure> {
    let mut routes = operations::everyone(project);
    if let Some(to) = to {
        routes = operations::routes_of(project, to);
    }
    if routes.is_empty() {
        let (what, fix) = match to {
            Some(to) => (format!("no way leads to `{to}`"), "give it an address in people.yaml, and the hub a `mail:`"),
            None => ("no way leads to anybody".to_owned(), "see why: ironbridge alerts coverage"),
        };
        return Err(Failure::new(USAGE, NO_WAYS, what, fix));
    }
    let names: Vec<String> = routes.iter().map(Route::name).collect();
    let did = wiring::actor().did("alerts test", to.unwrap_or("everybody")).with(json!({ "routes": names }));
    store.commit(vec![did.op()]).await?;
    let ways = ProjectWays(project.clone());
    let (mut failed, mut answers) = (false, Vec::new());
    for route in routes {
        let notice = operations::test(project, &route.name(), &wiring::person(), store.clock().now());
        let sent = async { ways.open(&route)?.notify(&notice).await };
        let sent = sent.await;
        note(store, &route, sent.as_ref().err()).await?;
        match sent {
            Ok(()) if cli.format == Format::Human => say!("{}: taken", route.name()),
            Err(fault) if cli.format == Format::Human => {
                failed = true;
                say!("{}: not taken", route.name());
                Failure::from(fault).print(Format::Human);
            }
            Ok(()) => answers.push(json!({ "route": route.name(), "taken": true })),
            Err(fault) => {
                failed = true;
                answers.push(json!({ "route": route.name(), "taken": false, "error": hub::json::fault(&fault) }));
            }
        }
    }
    if cli.format == Format::Json {
        say!("{:#}", json!(answers));
    } else {
        talk!("\nTaken means that the other side has it. Look whether it arrived where people look.");
    }
    Ok(if failed { FAILED } else { 0 })
}

/// A way that works again is no matter any more.
async fn note(store: &Store, route: &Route, fault: Option<&record::Fault>) -> Result<(), Failure> {
    let route = route.name();
    let op = match fault {
        None => Op::RouteWorked { route },
        Some(fault) => Op::RouteFailed { route, code: fault.code.to_string(), what: fault.what.clone() },
    };
    store.commit(vec![op.into()]).await?;
    Ok(())
}
