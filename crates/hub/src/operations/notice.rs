//! What people read: an alert, its end, or a test, as a notice.

use definition::{Integration, Project};
use jiff::Timestamp;
use record::{Notice, NoticeKind, Severity};
use store::alerts::{Opening, Severity as Stored};

use super::conditions::moment;
use super::evaluate::{SEVERAL, Tell};
use super::kind::Kind;
use super::routes::own;

fn severity(stored: Stored) -> Severity {
    match stored {
        Stored::Warning => Severity::Warning,
        Stored::Critical => Severity::Critical,
    }
}

/// The notice of alerts that open: of one fully, of several as a list.
pub fn opened(project: &Project, tell: &Tell, alerts: &[&Opening], now: Timestamp) -> Notice {
    let (zone, about) = (&project.hub.time_zone, &tell.about);
    let [alert] = alerts else {
        // Each says itself what it is about.
        let fact = |alert: &&Opening| (severity(alert.saying.severity).word().to_owned(), alert.saying.title.clone());
        let facts = alerts.iter().map(fact).chain(place(project)).collect();
        return Notice {
            about: about.clone(),
            kind: NoticeKind::Opened,
            severity: severity(tell.severity),
            title: format!("{}: {} things need somebody", project.hub.name, alerts.len()),
            text: "They began at the same time, so they may have one cause. One notice says when all of them are over."
                .to_owned(),
            facts,
            command: Some("ironbridge alerts list".to_owned()),
            link: project.hub.address.as_ref().map(|address| format!("{address}/alerts")),
            at: now,
        };
    };
    let mut text = alert.saying.text.clone();
    let integration = project.integration(&alert.integration);
    if let Some(integration) = integration {
        text += &format!("\n\nWhat it is for: {}", integration.purpose);
    }
    let mut facts = vec![("since".to_owned(), moment(alert.saying.since, zone))];
    let own = own(project, alert, &tell.route.who);
    if !own.is_empty() {
        facts.push(("of yours".to_owned(), own.join(", ")));
    }
    facts.extend(alert.saying.facts.iter().cloned());
    facts.extend(integration.map(|integration| ("owner".to_owned(), integration.owner.clone())));
    facts.push(("runbook".to_owned(), runbook_command(project, alert, &own)));
    facts.extend(place(project));
    Notice {
        about: about.clone(),
        kind: NoticeKind::Opened,
        severity: severity(tell.severity),
        title: format!("{}: {}", project.hub.name, alert.saying.title),
        text,
        facts,
        command: Some(alert.saying.command.clone()).filter(|command| !command.is_empty()),
        link: link(project, alert),
        at: now,
    }
}

/// Where its commands are typed: a stranger knows neither the machine nor the folder.
fn place(project: &Project) -> Option<(String, String)> {
    let folder = std::path::absolute(&project.dir).ok()?;
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let on = if machine.trim().is_empty() { String::new() } else { format!(" on {}", machine.trim()) };
    Some(("typed in".to_owned(), format!("{}{on}", folder.display())))
}

/// The notice that they are over.
pub fn resolved(project: &Project, about: &str, alerts: &[&Opening], worst: Stored, now: Timestamp) -> Notice {
    let zone = &project.hub.time_zone;
    let first = alerts.iter().map(|alert| alert.saying.since).min().unwrap_or(now);
    // Of several that were told of together, some may have been over for long: those are not here any more.
    let one = if let [alert] = alerts { Some(alert).filter(|_| !about.starts_with(SEVERAL)) } else { None };
    let (title, text) = match one {
        Some(alert) => {
            (alert.saying.title.clone(), "This is over. Nobody needs to do anything because of it any more.")
        }
        None => (
            "several things that began together".to_owned(),
            "All of it is over; what went on longest is named here. Nobody needs to do anything because of it any more.",
        ),
    };
    let mut facts = match one {
        Some(_) => vec![("from".to_owned(), moment(first, zone))],
        None => alerts.iter().map(|alert| ("over".to_owned(), alert.saying.title.clone())).collect(),
    };
    facts.push(("until".to_owned(), moment(now, zone)));
    let link = match one {
        Some(alert) => link(project, alert),
        None => project.hub.address.as_ref().map(|address| format!("{address}/alerts")),
    };
    Notice {
        about: about.to_owned(),
        kind: NoticeKind::Resolved,
        severity: severity(worst),
        title: format!("{}: {title}", project.hub.name),
        text: text.to_owned(),
        facts,
        command: None,
        link,
        at: now,
    }
}

/// A notice that says that it is none, to see that it arrives.
pub fn test(project: &Project, route: &str, by: &str, now: Timestamp) -> Notice {
    Notice {
        about: format!("test/{route}@{}", now.as_millisecond()),
        kind: NoticeKind::Test,
        severity: Severity::Warning,
        title: format!("{}: this is a test", project.hub.name),
        text: format!("Nothing has happened: {by} wanted to see that alerts arrive here; this is how one looks."),
        facts: vec![
            ("way".to_owned(), route.to_owned()),
            ("what would ring".to_owned(), "ironbridge alerts coverage".to_owned()),
        ],
        command: Some("ironbridge alerts list".to_owned()),
        link: project.hub.address.as_ref().map(|address| format!("{address}/alerts")),
        at: now,
    }
}

/// Of what is about a system or the hub, the runbook of an integration that it is about too: of `own` rather than another.
fn runbook_command(project: &Project, alert: &Opening, own: &[&str]) -> String {
    let is_about = |one: &&Integration| alert.system.is_empty() || one.systems().contains(&alert.system.as_str());
    let any = || project.integrations.iter().find(is_about).map(|one| one.name.as_str());
    let name = match alert.integration.as_str() {
        "" => own.first().copied().or_else(any),
        name => Some(name),
    };
    let Some(name) = name else { return "ironbridge alerts list".to_owned() };
    let heading = Kind::of(&alert.kind).map_or("", Kind::heading);
    format!("ironbridge runbook {name}, section \u{201c}{heading}\u{201d}")
}

/// The section of the runbook in the console, or the page of the system.
fn link(project: &Project, alert: &Opening) -> Option<String> {
    let address = project.hub.address.as_ref()?;
    Some(match (alert.integration.as_str(), alert.system.as_str()) {
        ("", "") => format!("{address}/alerts"),
        ("", system) => format!("{address}/systems/{system}"),
        (name, _) => format!("{address}/integrations/{name}/runbook#{}", alert.kind),
    })
}
