//! What holds at a moment, worked out from facts. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use definition::{Batch, Event, Integration, Missed, NeededBy, Pattern, Project, Schedule};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use store::alerts::{Saying, Severity};
use store::runs::{Run, State};

use super::facts::{Facts, Known};
use super::kind::Kind;
use super::usual::{few_rows, slow_hour};
use crate::digest::span;
use crate::{calendar, deadline, schedule, unheard, worker};

mod batch;
mod causes;
mod flow;
mod machine;

/// Something that needs a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// One matter: the kind, and what it is about.
    pub key: String,
    pub kind: Kind,
    /// Empty where it is about the hub, or a system.
    pub integration: String,
    /// Empty where it is about no system.
    pub system: String,
    pub saying: Saying,
    /// The key of the condition that it follows from.
    pub cause: Option<String>,
}

/// From when on something is worth a person's time.
#[derive(Debug, Clone)]
pub struct Rules {
    /// A run that was due has not begun.
    pub not_run: Duration,
    /// A destination takes nothing.
    pub paused: Duration,
    /// A system does not answer, and none of its integrations is held up yet.
    pub silent: Duration,
    /// The same where it answers that only a person can change something.
    pub refused: Duration,
    /// The last run ended with something that only a person can change. Long enough to see whether it is the system.
    pub person: Duration,
    /// An event waits, where nothing says when it is needed.
    pub backlog: Duration,
    /// Webhooks do not come.
    pub webhooks: Duration,
    /// A dead letter waits.
    pub dead_letters: Duration,
    /// A way to tell people takes nothing.
    pub notifier: Duration,
    pub disk_bytes: u64,
    pub disk_critical_bytes: u64,
}

impl Default for Rules {
    fn default() -> Rules {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        Rules {
            not_run: minutes(5),
            paused: minutes(10),
            silent: minutes(10),
            refused: minutes(2),
            person: Duration::from_secs(30),
            backlog: minutes(15),
            webhooks: minutes(10),
            dead_letters: minutes(2),
            notifier: minutes(5),
            disk_bytes: 1 << 30,
            disk_critical_bytes: 200 << 20,
        }
    }
}

/// Everything that holds. `standing` are the keys of open alerts: a group that is told of stays one until all of it is over.
pub fn conditions(project: &Project, facts: &Facts, rules: &Rules, standing: &BTreeSet<String>) -> Vec<Condition> {
    let mut all = Vec::new();
    for known in &facts.integrations {
        let Some(integration) = project.integration(&known.name) else { continue };
        let of = Of { project, facts, rules, standing, integration, known };
        match &integration.pattern {
            Pattern::Batch(batch) => of.batch(batch, &mut all),
            Pattern::Event(event) => of.event(event, &mut all),
            Pattern::Flow(flow) => {
                all.extend(of.volume(flow.ceiling).into_iter().chain(of.stuck_flows()).chain(of.not_started()));
            }
            Pattern::Virtual(_) => all.extend(of.not_shown()),
        }
        all.extend(of.unheard());
        of.letters(&mut all);
    }
    flow::approvals(project, facts, standing, &mut all);
    machine::expiring(project, facts, &mut all);
    all.extend(machine::disk(facts, rules));
    machine::notifiers(facts, rules, &mut all);
    causes::gather_by_system(project, facts, rules, standing, &mut all);
    causes::follow(project, &mut all);
    all
}

/// One integration at a moment.
struct Of<'a> {
    project: &'a Project,
    facts: &'a Facts,
    rules: &'a Rules,
    standing: &'a BTreeSet<String>,
    integration: &'a Integration,
    known: &'a Known,
}

impl Of<'_> {
    fn zone(&self) -> &TimeZone {
        &self.project.hub.time_zone
    }

    fn key(&self, kind: Kind, about: &str) -> String {
        let name = &self.integration.name;
        match about {
            "" => format!("{}/{name}", kind.word()),
            about => format!("{}/{name}/{about}", kind.word()),
        }
    }

    /// Whether it is told of already: a clock that is put back does not end what is there.
    fn stands(&self, kind: Kind, about: &str) -> bool {
        self.standing.contains(&self.key(kind, about))
    }

    fn condition(&self, kind: Kind, about: &str, saying: Saying) -> Condition {
        let (name, key) = (&self.integration.name, self.key(kind, about));
        Condition { key, kind, integration: name.clone(), system: about.to_owned(), saying, cause: None }
    }

    fn has_passed(&self, since: Timestamp, wait: Duration) -> bool {
        since.checked_add(wait).is_ok_and(|then| then <= self.facts.now)
    }

    fn event(&self, event: &Event, all: &mut Vec<Condition>) {
        if self.known.paused {
            return;
        }
        let (zone, name) = (self.zone(), &self.integration.name);
        let within = match event.needed_by {
            Some(NeededBy::Within(time)) => Some(time),
            _ => None,
        };
        let is_told = |system: &str| self.stands(Kind::Paused, system);
        for outage in (self.known.outages.iter())
            .filter(|outage| self.has_passed(outage.since, self.rules.paused) || is_told(&outage.system))
        {
            let waiting =
                self.known.backlog.iter().find(|backlog| backlog.to == outage.system).map_or(0, |b| b.waiting);
            let needed = within.is_some_and(|time| self.has_passed(outage.since, time));
            let saying = Saying {
                severity: if needed { Severity::Critical } else { Severity::Warning },
                title: match outage.at == outage.system {
                    true => format!("{name}: {} takes nothing", outage.system),
                    false => format!("{name}: {} gives nothing for {}", outage.at, outage.system),
                },
                text: format!(
                    "Since {} nothing gets through to {}: {}. Events wait, none is lost, and one of them tries again by itself.",
                    moment(outage.since, zone),
                    outage.system,
                    outage.what.trim_end_matches('.')
                ),
                facts: vec![
                    ("waiting".into(), waiting.to_string()),
                    ("last error".into(), format!("{}: {}", outage.code, outage.what)),
                ],
                command: format!("ironbridge systems check {}", outage.at),
                since: outage.since,
            };
            all.push(Condition { system: outage.at.clone(), ..self.condition(Kind::Paused, &outage.system, saying) });
        }
        for backlog in &self.known.backlog {
            let Some(oldest) = backlog.oldest else { continue };
            // While it takes nothing, that is the matter.
            if self.known.outages.iter().any(|outage| outage.system == backlog.to)
                || !match within {
                    Some(within) => self.has_passed(oldest, within),
                    // A hub that has just been started delivers them in a moment.
                    None => self.has_passed(oldest.max(self.facts.started), self.rules.backlog),
                }
            {
                continue;
            }
            let saying = Saying {
                severity: if within.is_some() { Severity::Critical } else { Severity::Warning },
                title: format!("{name}: events for {} wait too long", backlog.to),
                text: format!("The oldest one has waited since {}.", moment(oldest, zone)),
                facts: vec![("waiting".into(), backlog.waiting.to_string()), ("oldest".into(), moment(oldest, zone))],
                command: format!("ironbridge queue peek {}", crate::events::subscription(name, &backlog.to)),
                since: oldest,
            };
            let mut found = self.condition(Kind::Backlog, &backlog.to, saying);
            found.cause = Some(format!("{}/{name}/{}", Kind::Paused.word(), backlog.to));
            all.push(found);
        }
        self.slow(all);
    }

    /// Events that start a flow wait, since nobody can be asked what they are about.
    fn not_started(&self) -> Option<Condition> {
        let (zone, name) = (self.zone(), &self.integration.name);
        let outage = self.known.outages.iter().find(|outage| self.has_passed(outage.since, self.rules.paused))?;
        let saying = Saying {
            severity: Severity::Warning,
            title: format!("{name}: {} gives nothing for what starts it", outage.at),
            text: format!(
                "Since {} events that came start nothing: {}. They wait, none is lost, and they are tried again by themselves.",
                moment(outage.since, zone),
                outage.what.trim_end_matches('.')
            ),
            facts: vec![("last error".into(), format!("{}: {}", outage.code, outage.what))],
            command: format!("ironbridge systems check {}", outage.at),
            since: outage.since,
        };
        Some(Condition { system: outage.at.clone(), ..self.condition(Kind::Paused, "", saying) })
    }

    /// Whoever sends webhooks does not get them here. Also while it is paused: what comes in waits.
    fn unheard(&self) -> Option<Condition> {
        let unheard = self.known.unheard.as_ref()?;
        if !unheard::lasts(unheard) || !self.has_passed(unheard.since, self.rules.webhooks) {
            return None;
        }
        let told = unheard::told(self.project, self.integration, unheard)?;
        let saying = Saying {
            severity: Severity::Warning,
            title: told.title,
            text: told.text,
            facts: vec![
                ("changes".into(), unheard.changes.to_string()),
                ("refused".into(), unheard.refused.to_string()),
                ("noticed last".into(), moment(unheard.seen, self.zone())),
            ],
            command: told.command,
            since: unheard.since,
        };
        Some(self.condition(Kind::NoWebhooks, "", saying))
    }

    /// Whoever looks gets an error, and only a person can change that.
    fn not_shown(&self) -> Option<Condition> {
        let (zone, name) = (self.zone(), &self.integration.name);
        let is_told = self.stands(Kind::NotShown, "");
        let outage =
            self.known.outages.iter().find(|outage| is_told || self.has_passed(outage.since, self.rules.refused))?;
        let mut facts = vec![("last error".into(), outage.what.clone())];
        if !outage.fix.is_empty() {
            facts.push(("do".into(), outage.fix.clone()));
        }
        let saying = Saying {
            severity: Severity::Warning,
            title: format!("{name} shows nothing"),
            text: format!("Since {} whoever looks at it gets an error.", moment(outage.since, zone)),
            facts,
            command: format!("ironbridge explain {}", outage.code),
            since: outage.since,
        };
        Some(Condition { system: outage.system.clone(), ..self.condition(Kind::NotShown, "", saying) })
    }

    fn slow(&self, all: &mut Vec<Condition>) {
        let name = &self.integration.name;
        let since = (self.facts.started, self.known.resumed);
        for (what, hours) in &self.known.traffic {
            let calendar = &self.project.hub.calendar;
            let Some(less) = slow_hour(hours, self.facts.now, calendar, self.zone(), since) else { continue };
            let hour = moment(less.since, self.zone());
            let to = if what == name { String::new() } else { format!(" to {what}") };
            let saying = Saying {
                severity: Severity::Warning,
                title: format!("{name}: less than usual goes through{to}"),
                text: format!(
                    "In the hour from {hour} it was {}; in the same hour of other weeks it is about {}.",
                    less.now, less.usual
                ),
                facts: vec![("that hour".into(), less.now.to_string()), ("usual".into(), less.usual.to_string())],
                command: "ironbridge status".to_owned(),
                since: less.since,
            };
            all.push(self.condition(Kind::Slow, if what == name { "" } else { what }, saying));
        }
    }

    fn letters(&self, all: &mut Vec<Condition>) {
        let (zone, name, known) = (self.zone(), &self.integration.name, self.known);
        let within = span(self.integration.dead_letters.reviewed_within);
        if let Some((count, oldest)) = known.unreviewed
            && let Ok(review) = oldest.checked_add(within)
            && review <= self.facts.now
        {
            let saying = Saying {
                severity: Severity::Warning,
                title: format!("nobody has looked at the dead letters of {name}"),
                text: format!(
                    "The oldest one waits since {}; somebody should have looked by {}.",
                    moment(oldest, zone),
                    moment(review, zone)
                ),
                facts: vec![("not looked at".into(), count.to_string()), ("waiting".into(), known.letters.to_string())],
                command: format!("ironbridge dead-letters groups {name}"),
                since: review,
            };
            all.push(self.condition(Kind::NotReviewed, "", saying));
        }
        let Some(letter) = known.letter.as_ref().filter(|_| known.letters > 0) else { return };
        let first = known.unreviewed.map_or(letter.first_seen, |(_, since)| since.min(letter.first_seen));
        if !self.has_passed(first, self.rules.dead_letters) && !self.stands(Kind::DeadLetters, "") {
            return;
        }
        let several = if known.letters == 1 {
            "1 dead letter waits".to_owned()
        } else {
            format!("{} dead letters wait", known.letters)
        };
        let mut error = format!("{}: {}", letter.problem.code, letter.problem.what);
        if !letter.problem.why.is_empty() {
            error += &format!(" ({})", letter.problem.why);
        }
        let saying = Saying {
            severity: Severity::Warning,
            title: format!("{name}: {several}"),
            text: match known.letters {
                1 => "The hub gave up on it, and a person decides what becomes of it. Everything else goes on.",
                _ => "The hub gave up on these, and a person decides what becomes of them. Everything else goes on.",
            }
            .to_owned(),
            facts: vec![("waiting".into(), known.letters.to_string()), ("last error".into(), error)],
            command: format!("ironbridge dead-letters list {name}"),
            since: first,
        };
        all.push(self.condition(Kind::DeadLetters, "", saying));
    }
}

fn ended(run: &Run) -> Timestamp {
    run.finished.unwrap_or(run.started)
}

fn last_error(run: Option<&Run>) -> Vec<(String, String)> {
    let error = run.and_then(|run| run.error.as_ref());
    error
        .map(|error| {
            ("last error".to_owned(), format!("{}: {}", error.code, first_code_once(&error.text, &error.code)))
        })
        .into_iter()
        .collect()
}

/// Whether runs are so far apart that each of them is compared with those before, and not hours of them.
pub(crate) fn is_long(schedule: &Schedule, zone: &TimeZone) -> bool {
    schedule::period(schedule, zone).is_some_and(|every| every >= Duration::from_secs(6 * 3600))
}

/// The text of an error without the code that it may begin with.
fn first_code_once<'t>(text: &'t str, code: &str) -> &'t str {
    text.strip_prefix(code).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(text)
}

/// A moment as people say it: `06:00 GMT on Mon 23 Nov`. Whoever reads of it may be in another zone.
pub(crate) fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M %Z on %a %-d %b").to_string()
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "no integration".to_owned() } else { names.join(", ") }
}

/// The shortest time, so that a caller can say how often to look.
pub(crate) const LOOK: SignedDuration = SignedDuration::from_secs(2);
