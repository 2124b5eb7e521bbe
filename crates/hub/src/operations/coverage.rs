//! What would ring and what would not, and who would hear it. Pure.

use definition::{Pattern, Project, Way};
use jiff::Timestamp;
use store::alerts::{Opening, Saying, Severity};

use super::conditions::is_long;
use super::kind::Kind;
use super::routes::{Route, reached, routes_of};

/// What would ring for one integration, or for the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Empty for the hub itself.
    pub integration: String,
    pub rings: Vec<Ring>,
    /// What does not ring, and why.
    pub silent: Vec<(Kind, String)>,
    /// Ways that are named and lead nowhere, and why.
    pub broken: Vec<(String, String)>,
    /// Who hears of something critical at some hour of the day; empty where nobody does.
    pub heard_by: Vec<Route>,
    /// From when to when nobody hears of something critical. *Shape*: hours of the day.
    pub unheard: Vec<(i8, i8)>,
}

/// One kind of alert, and who hears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    pub kind: Kind,
    pub severity: Severity,
    pub routes: Vec<Route>,
    /// Those of them whom it tells in their working hours only.
    pub in_hours: Vec<Route>,
}

impl Ring {
    /// Who hears it, by name, and when.
    pub fn heard(&self) -> Vec<String> {
        let said = |route: &Route| match self.in_hours.contains(route) {
            true => format!("{} in working hours", route.name()),
            false => route.name(),
        };
        self.routes.iter().map(said).collect()
    }
}

/// The coverage of each integration, and of the hub at the end.
pub fn coverage(project: &Project, now: Timestamp) -> Vec<Coverage> {
    let mut all: Vec<Coverage> =
        project.integrations.iter().map(|integration| of(project, &integration.name, now)).collect();
    all.push(of(project, "", now));
    all
}

fn of(project: &Project, name: &str, now: Timestamp) -> Coverage {
    let integration = project.integration(name);
    let (mut rings, mut silent) = (Vec::new(), Vec::new());
    for kind in Kind::ALL {
        match integration {
            None if kind.is_of_integration() || matches!(kind, Kind::SystemDown | Kind::Expiring) => continue,
            Some(integration) if !kind.applies(project, integration) || matches!(kind, Kind::Disk | Kind::Notifier) => {
                continue;
            }
            _ => {}
        }
        let severity = usual_severity(project, name, kind);
        let routes = at(project, name, kind, severity, now);
        if let Some(why) = never(project, name, kind) {
            silent.push((kind, why));
        } else if routes.is_empty() {
            silent.push((kind, "it reaches nobody at this hour".to_owned()));
        } else {
            let waits = |route: &&Route| severity == Severity::Warning && project.warnings_wait(&route.who);
            let in_hours = routes.iter().filter(waits).cloned().collect();
            rings.push(Ring { kind, severity, routes, in_hours });
        }
    }
    let kind = if name.is_empty() { Kind::Disk } else { Kind::Late };
    let hours: Vec<Vec<Route>> = (0..24).map(|hour| at_hour(project, name, kind, hour, now)).collect();
    let mut heard_by: Vec<Route> = hours.iter().flatten().cloned().collect();
    heard_by.sort();
    heard_by.dedup();
    Coverage {
        integration: name.to_owned(),
        rings,
        silent,
        broken: broken(project, name),
        heard_by,
        unheard: gaps(&hours),
    }
}

/// Why a kind cannot ring, whoever listens.
fn never(project: &Project, name: &str, kind: Kind) -> Option<String> {
    let integration = project.integration(name)?;
    let ends = |system: &&str| {
        project.system(system).is_some_and(|system| {
            system.vendor.as_ref().is_some_and(|v| v.supported_until.is_some()) || !system.expires.is_empty()
        })
    };
    let long = match &integration.pattern {
        Pattern::Batch(batch) => is_long(&batch.schedule, &project.hub.time_zone),
        _ => false,
    };
    match kind {
        Kind::FewRows if !long => Some("it runs too often for that: less in a whole hour rings instead".to_owned()),
        Kind::Slow if long => Some("it runs too seldom for that: fewer rows in a run ring instead".to_owned()),
        Kind::Expiring if !integration.systems().iter().any(ends) => Some(
            "no system of it says when something ends: `expires:` or `vendor: { supported_until: … }`; certificates in files and tokens that say it are looked at all the same".to_owned(),
        ),
        _ => None,
    }
}

/// The severity with which a kind of alert begins.
fn usual_severity(project: &Project, name: &str, kind: Kind) -> Severity {
    let needed = project.integration(name).is_some_and(|integration| match &integration.pattern {
        Pattern::Batch(batch) => batch.needed_by.is_some(),
        Pattern::Event(event) => event.needed_by.is_some(),
        _ => false,
    });
    match kind {
        Kind::Late | Kind::Backlog if needed => Severity::Critical,
        Kind::Notifier => Severity::Critical,
        _ => Severity::Warning,
    }
}

fn at(project: &Project, name: &str, kind: Kind, severity: Severity, now: Timestamp) -> Vec<Route> {
    let saying = Saying {
        severity,
        title: String::new(),
        text: String::new(),
        facts: Vec::new(),
        command: String::new(),
        since: now,
    };
    let opening = Opening {
        key: kind.word().to_owned(),
        kind: kind.word().to_owned(),
        integration: name.to_owned(),
        system: String::new(),
        saying,
        cause: None,
    };
    reached(project, &opening, now).into_iter().map(|one| one.route).collect()
}

/// Who hears of something critical at an hour of the day.
fn at_hour(project: &Project, name: &str, kind: Kind, hour: i8, now: Timestamp) -> Vec<Route> {
    let zoned = now.to_zoned(project.hub.time_zone.clone());
    let then = zoned.with().hour(hour).minute(0).second(0).subsec_nanosecond(0).build();
    at(project, name, kind, Severity::Critical, then.map_or(now, |zoned| zoned.timestamp()))
}

/// Ways that are named and lead nowhere.
fn broken(project: &Project, name: &str) -> Vec<(String, String)> {
    let owner = project.integration(name).map(|integration| integration.owner.as_str());
    let named = project.hub.alerts.iter().flat_map(|route| route.to.iter().map(String::as_str));
    let mut found = Vec::new();
    for who in owner.into_iter().chain(named) {
        let ways: Vec<(Way, Option<&str>)> = project.ways(who);
        if ways.is_empty() && routes_of(project, who).is_empty() {
            found.push((who.to_owned(), "people.yaml has no address for it".to_owned()));
        }
        let lacking =
            ways.into_iter().filter_map(|(way, lacks)| Some((format!("{who}/{}", way.word()), lacks?.to_owned())));
        found.extend(lacking);
    }
    found.sort();
    found.dedup();
    found
}

/// The hours at which nobody is there, as ranges.
fn gaps(hours: &[Vec<Route>]) -> Vec<(i8, i8)> {
    let mut gaps: Vec<(i8, i8)> = Vec::new();
    for (hour, _) in hours.iter().enumerate().filter(|(_, routes)| routes.is_empty()) {
        let hour = hour as i8;
        match gaps.last_mut() {
            Some((_, until)) if *until == hour => *until = hour + 1,
            _ => gaps.push((hour, hour + 1)),
        }
    }
    gaps
}
