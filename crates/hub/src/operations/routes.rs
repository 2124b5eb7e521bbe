//! Who is told of an alert, and by which ways. Pure.

use definition::{Hours, Project, Way};
use jiff::Timestamp;
use store::alerts::{Alert, Notified, Opening, Severity};

use super::kind::Kind;
use crate::calendar;

/// Somebody, and a way to tell them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// A person or group of people.yaml.
    pub who: String,
    pub way: Way,
}

impl Route {
    /// `finance-it/email`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.who, self.way.word())
    }

    pub fn of(name: &str) -> Option<Route> {
        let (who, way) = name.rsplit_once('/')?;
        Some(Route { who: who.to_owned(), way: Way::of(way)? })
    }
}

/// The ways by which somebody can be told now.
pub fn routes_of(project: &Project, who: &str) -> Vec<Route> {
    let name = who.strip_prefix("group:").unwrap_or(who);
    let usable = project.ways(who).into_iter().filter(|(_, lacks)| lacks.is_none());
    usable.map(|(way, _)| Route { who: name.to_owned(), way }).collect()
}

/// Every way to tell somebody of something, for a test of all of them.
pub fn everyone(project: &Project) -> Vec<Route> {
    let mut names: Vec<&str> = project.integrations.iter().map(|integration| integration.owner.as_str()).collect();
    names.extend(project.systems.iter().filter_map(|system| system.owner.as_deref()));
    names.extend(project.hub.alerts.iter().flat_map(|route| route.to.iter().map(String::as_str)));
    let mut routes: Vec<Route> = names.into_iter().flat_map(|name| routes_of(project, name)).collect();
    routes.sort();
    routes.dedup();
    routes
}

/// Somebody who comes into question for an alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reached {
    pub route: Route,
    /// How bad it is for them: whose work only waits for a system is not got out of bed by somebody else's that is late.
    pub severity: Severity,
    /// When they are told, where that is not now.
    pub from: Option<Timestamp>,
}

/// Who is told of an alert at a moment, and how bad it is for them: those of [`reached`] for whom it is time.
pub fn wanted(project: &Project, opening: &Opening, now: Timestamp) -> Vec<(Route, Severity)> {
    let reached = reached(project, opening, now).into_iter();
    reached.filter(|one| one.from.is_none()).map(|one| (one.route, one.severity)).collect()
}

/// Who is told of an alert, and when, where that is not now.
///
/// The owner of the integration, or of the system, by every way that it has; a pager rings for what is critical only.
/// Of a system also the owners of what it holds up, and of what waits for it: to these it is a warning. Besides them the
/// hub's `alerts:`, by severity and hour. What is about the hub goes to those, and where there are none to every owner. A
/// warning waits for the working hours of whoever is told, unless a route says its hours itself; what is critical does
/// not. *Shape*: sorted, each route once.
pub fn reached(project: &Project, opening: &Opening, now: Timestamp) -> Vec<Reached> {
    let severity = opening.saying.severity;
    let mut owners: Vec<(&str, Severity)> = Vec::new();
    if let Some(integration) = project.integration(&opening.integration) {
        owners.push((&integration.owner, severity));
    } else if let Some(system) = project.system(&opening.system) {
        owners.extend(system.owner.as_deref().map(|owner| (owner, severity)));
        let (held, waiting) = (named(opening, HELD_UP), named(opening, WAITS_FOR_IT));
        owners.extend(project.integrations.iter().filter_map(|integration| {
            let (name, owner) = (integration.name.as_str(), integration.owner.as_str());
            if held.contains(&name) {
                Some((owner, severity))
            } else if waiting.contains(&name) {
                Some((owner, Severity::Warning))
            } else {
                // Of anything else about it, all that use it.
                let uses = held.is_empty() && waiting.is_empty() && integration.systems().contains(&&*opening.system);
                uses.then_some((owner, severity))
            }
        }));
    } else if project.hub.alerts.is_empty() {
        owners.extend(project.integrations.iter().map(|integration| (integration.owner.as_str(), severity)));
    }
    if opening.kind == Kind::Approval.word() {
        let asked = opening.saying.facts.iter().find(|(label, _)| label == "asked of");
        owners.extend(asked.map(|(_, who)| (who.as_str(), severity)));
    }
    let in_time = |route: Route, severity: Severity| {
        let from = if severity == Severity::Critical { None } else { works_next(project, &route.who, now) };
        Reached { route, severity, from }
    };
    let mut all: Vec<Reached> = Vec::new();
    for (who, severity) in owners {
        let rings = |route: &Route| route.way != Way::PagerDuty || severity == Severity::Critical;
        all.extend(routes_of(project, who).into_iter().filter(rings).map(|route| in_time(route, severity)));
    }
    let time = now.to_zoned(project.hub.time_zone.clone()).time();
    for route in project.hub.alerts.iter().filter(|route| route.severity.iter().any(|word| word == severity.as_str())) {
        let told = route.to.iter().flat_map(|who| routes_of(project, who));
        match route.between {
            None => all.extend(told.map(|route| in_time(route, severity))),
            Some(hours) if contains(hours, time) => {
                all.extend(told.map(|route| Reached { route, severity, from: None }));
            }
            Some(_) => {}
        }
    }
    // Nobody hears of a broken way by that way.
    if let Some(broken) = opening.key.strip_prefix(&format!("{}/", Kind::Notifier.word())) {
        all.retain(|one| one.route.name() != broken);
    }
    // Who comes twice is told of the worse, as early as one of them says; nothing is now, and sorts first.
    all.sort_by(|a, b| a.route.cmp(&b.route).then(b.severity.cmp(&a.severity)).then(a.from.cmp(&b.from)));
    all.dedup_by(|later, earlier| later.route == earlier.route);
    all
}

/// The label of the integrations that a system holds up: something of theirs is late or does not get through.
pub(super) const HELD_UP: &str = "held up";
/// The label of those that nothing is wrong with yet, and that need the system.
pub(super) const WAITS_FOR_IT: &str = "waits for it";

/// The integrations that a fact of an alert names.
fn named<'o>(opening: &'o Opening, label: &str) -> Vec<&'o str> {
    let fact = opening.saying.facts.iter().find(|(name, _)| name == label);
    fact.map(|(_, names)| names.split(", ").collect()).unwrap_or_default()
}

/// Of the integrations that an alert of a system names, those that somebody answers for, where there are others too.
pub(super) fn own<'o>(project: &Project, opening: &'o Opening, who: &str) -> Vec<&'o str> {
    let mut names = [named(opening, HELD_UP), named(opening, WAITS_FOR_IT)].concat();
    let all = names.len();
    let owner = |name: &str| project.integration(name).map(|i| i.owner.strip_prefix("group:").unwrap_or(&i.owner));
    names.retain(|name| owner(name) == Some(who));
    if names.len() < all { names } else { Vec::new() }
}

/// Those who were not told of an open alert because they do not work now, with the moment at which they are.
pub fn told_later(project: &Project, alert: &Alert, notices: &[Notified], now: Timestamp) -> Vec<(Route, Timestamp)> {
    if alert.resolved.is_some() || alert.acked.is_some() || alert.cause.is_some() {
        return Vec::new();
    }
    let later = reached(project, &Opening::from(alert), now).into_iter().filter_map(|one| Some((one.route, one.from?)));
    later.filter(|(route, _)| !notices.iter().any(|notice| notice.route == route.name())).collect()
}

/// When a warning is told to somebody who does not work now; nothing where it is told at once.
pub(crate) fn works_next(project: &Project, who: &str, now: Timestamp) -> Option<Timestamp> {
    let (calendar, zone) = project.warnings_wait(who).then(|| project.hours(who))?;
    calendar::next(now, &calendar, &zone)
}

/// Whether a time of the day is within hours that may pass midnight.
pub(crate) fn contains(hours: Hours, time: jiff::civil::Time) -> bool {
    match hours.from < hours.until {
        true => hours.from <= time && time < hours.until,
        false => time >= hours.from || time < hours.until,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use definition::{LoadOptions, load_files};
    use jiff::civil::time;
    use store::alerts::Saying;

    fn project(hub: &str, people: &str) -> Project {
        let files = [
            ("ironbridge.yaml", format!("hub: contoso\ntime_zone: Europe/London\n{hub}")),
            ("people.yaml", people.to_owned()),
            ("entities/thing.yaml", "entity: thing\nkey: number\nfields: { number: { type: text, max_length: 20 } }\n".into()),
            ("systems/a.yaml", "system: a\nkind: sqlite\nowner: it\nconnection: { file: a.db }\nentities: { thing: { table: t, read: { number: n } } }\n".into()),
            ("systems/b.yaml", "system: b\nkind: sqlite\nowner: it\nconnection: { file: b.db }\nentities: { thing: { table: t, alternate_key: n, write: { n: number } } }\n".into()),
            ("integrations/things.yaml", "integration: things\npattern: batch\nentity: thing\nfrom: a\nto: b\nschedule: every 15 minutes\nowner: it\npurpose: A test.\n".into()),
        ];
        let kinds: Vec<_> = connectors::registry::kinds().collect();
        let options = LoadOptions { kinds: &kinds, ..LoadOptions::default() };
        let loaded = load_files(files.iter().map(|(name, text)| (*name, text.as_str())), &options);
        loaded.project.clone().unwrap_or_else(|| panic!("{}", loaded.render(false, 100)))
    }

    fn told(project: &Project, kind: Kind, integration: &str, severity: Severity, at: &str) -> String {
        let now: Timestamp = at.parse().unwrap();
        let saying = Saying {
            severity,
            title: String::new(),
            text: String::new(),
            facts: vec![("asked of".into(), "boss".into())],
            command: String::new(),
            since: now,
        };
        let opening = Opening {
            key: format!("{}/it/email", kind.word()),
            kind: kind.word().into(),
            integration: integration.into(),
            system: String::new(),
            saying,
            cause: None,
        };
        wanted(project, &opening, now).iter().map(|(route, _)| route.name()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn by_owner_severity_and_hour() {
        let hub = "mail: { server: \"smtp://127.0.0.1:25\", from: hub@contoso.example }\nalerts:\n  - { to: ops, severity: [warning, critical] }\n  - { to: on-call, severity: critical, between: \"18:00-08:00\" }\n";
        let people = "people: { boss: { name: (sample) boss, email: boss@contoso.example } }\ngroups:\n  it: { email: it@contoso.example, pagerduty: \"${env:PD}\" }\n  ops: { members: [boss], channels: [email, teams] }\n  on-call: { pagerduty: \"${env:PD}\", slack: \"${env:S}\" }\n";
        let project = project(hub, people);
        let (noon, night) = ("2026-11-23T12:00:00Z", "2026-11-23T03:00:00Z");
        use Severity::{Critical, Warning};
        for (kind, integration, severity, at, expected) in [
            (Kind::Late, "things", Warning, noon, "it/email ops/email"),
            // A warning waits for the working hours of whoever is told.
            (Kind::Late, "things", Warning, night, ""),
            (Kind::Late, "things", Warning, "2026-11-22T12:00:00Z", ""),
            (Kind::Late, "things", Critical, noon, "it/email it/pagerduty ops/email"),
            (Kind::Late, "things", Critical, night, "it/email it/pagerduty on-call/slack on-call/pagerduty ops/email"),
            (Kind::Approval, "things", Warning, noon, "boss/email it/email ops/email"),
            (Kind::Disk, "", Critical, noon, "ops/email"),
            // The way that is broken does not tell of itself.
            (Kind::Notifier, "things", Critical, noon, "it/pagerduty ops/email"),
        ] {
            assert_eq!(told(&project, kind, integration, severity, at), expected, "{kind:?} {severity} at {at}");
        }
        assert_eq!(everyone(&project).len(), 5);
    }

    #[test]
    fn without_routes_the_owners_hear_of_the_hub_and_without_mail_nobody_is_mailed() {
        let people = "groups:\n  it: { email: it@contoso.example, slack: \"${env:S}\" }\n";
        let project = project("", people);
        assert_eq!(told(&project, Kind::Disk, "", Severity::Warning, "2026-11-23T12:00:00Z"), "it/slack");
    }

    #[test]
    fn each_is_warned_in_hours_of_their_own() {
        let hub = "mail: { server: \"smtp://127.0.0.1:25\", from: hub@contoso.example }\ncalendar: { holidays: [2026-12-28] }\nalerts:\n  - { to: [early, boss, always] }\n  - { to: night, between: \"18:00-08:00\" }\n";
        let people = "people: { boss: { name: (sample) boss, email: boss@contoso.example, calendar: { working_days: [sat], holidays: none } } }\ngroups:\n  it: { email: it@contoso.example }\n  early: { slack: \"${env:S}\", calendar: { working_hours: \"06:00-12:00\" } }\n  always: { slack: \"${env:S}\", warnings: always }\n  night: { slack: \"${env:S}\" }\n";
        let project = project(hub, people);
        for (at, expected) in [
            ("2026-11-23T07:00:00Z", "always/slack early/slack night/slack"),
            ("2026-11-23T10:00:00Z", "always/slack early/slack it/email"),
            ("2026-11-23T12:00:00Z", "always/slack it/email"),
            ("2026-11-23T20:00:00Z", "always/slack night/slack"),
            ("2026-11-28T10:00:00Z", "always/slack boss/email"),
            // A holiday of the hub is one of theirs, unless they say their own.
            ("2026-12-28T10:00:00Z", "always/slack"),
        ] {
            assert_eq!(told(&project, Kind::Late, "things", Severity::Warning, at), expected, "at {at}");
        }
        let saturday: Timestamp = "2026-11-28T10:00:00Z".parse().unwrap();
        let next = |who| works_next(&project, who, saturday).map(|at| at.to_string());
        let expected = [Some("2026-11-30T09:00:00Z".to_owned()), Some("2026-11-30T06:00:00Z".to_owned()), None, None];
        assert_eq!(["it", "early", "always", "boss"].map(next), expected);
    }

    #[test]
    fn hours_may_pass_midnight() {
        let hours = |from, until| Hours { from: time(from, 0, 0, 0), until: time(until, 0, 0, 0) };
        for (hours, at, expected) in [
            (hours(18, 8), 19, true),
            (hours(18, 8), 7, true),
            (hours(18, 8), 8, false),
            (hours(9, 17), 9, true),
            (hours(9, 17), 17, false),
            (hours(0, 0), 3, true),
        ] {
            assert_eq!(contains(hours, time(at, 0, 0, 0)), expected, "{hours:?} at {at}");
        }
    }
}
