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
use crate::{calendar, deadline, schedule, worker};

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
    /// An event waits, where nothing says when it is needed.
    pub backlog: Duration,
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
            backlog: minutes(15),
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
        let of = Of { project, facts, rules, integration, known };
        match &integration.pattern {
            Pattern::Batch(batch) => of.batch(batch, &mut all),
            Pattern::Event(event) => of.event(event, &mut all),
            Pattern::Flow(flow) => all.extend(of.volume(flow.ceiling).into_iter().chain(of.stuck_flows())),
            Pattern::Virtual(_) => {}
        }
        of.letters(&mut all);
    }
    approvals(project, facts, &mut all);
    expiring(project, facts, &mut all);
    all.extend(disk(facts, rules));
    notifiers(facts, rules, &mut all);
    gather_by_system(project, standing, &mut all);
    follow(project, &mut all);
    all
}

/// One integration at a moment.
struct Of<'a> {
    project: &'a Project,
    facts: &'a Facts,
    rules: &'a Rules,
    integration: &'a Integration,
    known: &'a Known,
}

impl Of<'_> {
    fn zone(&self) -> &TimeZone {
        &self.project.hub.time_zone
    }

    fn condition(&self, kind: Kind, about: &str, saying: Saying) -> Condition {
        let name = &self.integration.name;
        let key = if about.is_empty() {
            format!("{}/{name}", kind.word())
        } else {
            format!("{}/{name}/{about}", kind.word())
        };
        Condition { key, kind, integration: name.clone(), system: about.to_owned(), saying, cause: None }
    }

    fn has_passed(&self, since: Timestamp, wait: Duration) -> bool {
        since.checked_add(wait).is_ok_and(|then| then <= self.facts.now)
    }

    fn batch(&self, batch: &Batch, all: &mut Vec<Condition>) {
        if self.known.paused {
            return;
        }
        let name = &self.integration.name;
        let late = self.late(batch);
        let run = self.not_run(batch).or_else(|| self.stuck(batch));
        let person = self.needs_person();
        let waits = self.known.ended.as_ref().is_some_and(|run| run.state == State::WaitingForApproval);
        if let Some(mut late) = late {
            // What nobody gave a time for is told once, by what it comes from.
            if late.saying.severity == Severity::Warning {
                late.cause = run.as_ref().or(person.as_ref()).map(|from| from.key.clone());
            }
            if waits {
                let asked = self.facts.approvals.iter().find(|approval| approval.integration == *name);
                late.cause = asked.map(|approval| format!("{}/{}", Kind::Approval.word(), approval.id));
            }
            late.system = self.failing_system().unwrap_or_default();
            all.push(late);
        }
        all.extend(run);
        all.extend(person);
        let long = is_long(&batch.schedule, self.zone());
        let less = if long { few_rows(&self.known.good_runs).map(|less| (Kind::FewRows, less)) } else { None };
        if let Some((kind, less)) = less {
            let saying = Saying {
                severity: Severity::Warning,
                title: format!("{name} read {} rows where {} are usual", less.now, less.usual),
                text: "The run went through, and what the source gave is much less than in the runs before.".to_owned(),
                facts: vec![("rows".into(), less.now.to_string()), ("usual".into(), less.usual.to_string())],
                command: format!("ironbridge runs {name}"),
                since: less.since,
            };
            all.push(self.condition(kind, "", saying));
        } else if !long {
            self.slow(all);
        }
    }

    /// The result is needed, and not there.
    fn late(&self, batch: &Batch) -> Option<Condition> {
        let (zone, now, name) = (self.zone(), self.facts.now, &self.integration.name);
        let period = schedule::period(&batch.schedule, zone).unwrap_or(Duration::from_secs(3600));
        let hour = Duration::from_secs(3600);
        let by = batch.needed_by.unwrap_or(NeededBy::Within((period * 2).clamp(hour, hour * 4)));
        let mut with = batch.clone();
        with.needed_by = Some(by);
        let known = deadline::Known { open: self.known.deadline.clone(), good: self.known.good, paused: false };
        let (slot, needed) = match (&self.known.deadline, deadline::look(&with, &known, zone, self.facts.started, now))
        {
            (Some(open), _) => (open.slot, open.needed),
            (None, Some(deadline::Noted::Open { slot, needed })) => (slot, needed),
            _ => return None,
        };
        if needed > now {
            return None;
        }
        let failed = self.known.ended.as_ref().filter(|run| run.error.is_some());
        let mut text = format!(
            "Its result was needed by {}, and it is not there: no run since {} has gone through.",
            moment(needed, zone),
            moment(slot, zone)
        );
        match (&self.known.last, failed) {
            (Some(run), _) if run.state == State::Running => {
                text += &format!(" Run {} has been under way since {}.", run.id, moment(run.started, zone));
            }
            (_, Some(run)) => text += &format!(" Run {} failed at {}.", run.id, moment(ended(run), zone)),
            _ => {}
        }
        let mut facts = vec![("needed by".to_owned(), moment(needed, zone)), ("due".to_owned(), moment(slot, zone))];
        facts.extend(last_error(failed));
        let severity = if batch.needed_by.is_some() { Severity::Critical } else { Severity::Warning };
        let saying = Saying {
            severity,
            title: format!("{name} is late"),
            text,
            facts,
            command: format!("ironbridge runs {name}"),
            since: needed,
        };
        Some(self.condition(Kind::Late, "", saying))
    }

    /// A run was due, and none has begun.
    fn not_run(&self, batch: &Batch) -> Option<Condition> {
        let (zone, name) = (self.zone(), &self.integration.name);
        let running = self.known.last.as_ref().is_some_and(|run| run.state == State::Running);
        if running {
            return None;
        }
        let due = worker::due_now(name, batch, self.known.last.as_ref(), zone, self.facts.started, self.facts.now)?;
        // The first that did not happen: each one after it would begin the waiting anew.
        let missed = self.known.last.as_ref().and_then(|run| {
            let mut since = run.slot.unwrap_or(run.started).max(ended(run));
            if batch.missed == Missed::Skip {
                since = since.max(self.facts.started);
            }
            schedule::next(&batch.schedule, zone, since)
        });
        let first = missed.map_or(due.slot, |missed| missed.min(due.slot));
        if !self.has_passed(first, self.rules.not_run) {
            return None;
        }
        let last = self.known.last.as_ref().map_or("it has never run".to_owned(), |run| {
            format!("the last run began at {}", moment(run.started, zone))
        });
        let saying = Saying {
            severity: Severity::Warning,
            title: format!("{name} did not run"),
            text: format!("A run was due at {}, and none has begun; {last}.", moment(first, zone)),
            facts: vec![("due".into(), moment(first, zone))],
            command: "ironbridge status".to_owned(),
            since: first,
        };
        Some(self.condition(Kind::NotRun, "", saying))
    }

    /// A run is under way for so long that those after it do not happen.
    fn stuck(&self, batch: &Batch) -> Option<Condition> {
        let (zone, name) = (self.zone(), &self.integration.name);
        let run = self.known.last.as_ref().filter(|run| run.state == State::Running)?;
        let period = schedule::period(&batch.schedule, zone).unwrap_or_default();
        if !self.has_passed(run.started, (period * 4).max(Duration::from_secs(2 * 3600))) {
            return None;
        }
        let saying = Saying {
            severity: Severity::Warning,
            title: format!("{name}: run {} does not end", run.id),
            text: format!(
                "It has been under way since {}, and the runs that were due since then did not happen.",
                moment(run.started, zone)
            ),
            facts: vec![("run".into(), run.id.to_string()), ("rows read so far".into(), run.counts.read.to_string())],
            command: format!("ironbridge runs {name}"),
            since: run.started,
        };
        Some(self.condition(Kind::NotRun, "", saying))
    }

    /// The last run ended with something that only a person can change.
    fn needs_person(&self) -> Option<Condition> {
        let name = &self.integration.name;
        let run = self.known.ended.as_ref().filter(|run| run.state == State::Failed)?;
        let error = run.error.as_ref()?;
        let detail: serde_json::Value = serde_json::from_str(&error.detail).unwrap_or_default();
        if detail["now"] != "ask_person" {
            return None;
        }
        let mut facts = last_error(Some(run));
        let fix = detail["do"].as_str().filter(|fix| !fix.is_empty());
        facts.extend(fix.map(|fix| ("do".to_owned(), fix.to_owned())));
        let what = detail["what"].as_str().unwrap_or(&error.text);
        let saying = Saying {
            severity: Severity::Warning,
            title: format!("{name} needs a person: {what}"),
            text: format!(
                "Run {} ended at {} with an error that does not go away by itself. Nothing was lost; the next run brings everything.",
                run.id,
                moment(ended(run), self.zone())
            ),
            facts,
            command: format!("ironbridge explain {}", error.code),
            since: ended(run),
        };
        let mut found = self.condition(Kind::NeedsPerson, "", saying);
        found.system = self.failing_system().unwrap_or_default();
        Some(found)
    }

    /// The system that the last run failed at.
    fn failing_system(&self) -> Option<String> {
        let error = self.known.ended.as_ref().and_then(|run| run.error.as_ref())?;
        let detail: serde_json::Value = serde_json::from_str(&error.detail).ok()?;
        detail["where"]["system"].as_str().map(str::to_owned)
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
        for outage in self.known.outages.iter().filter(|outage| self.has_passed(outage.since, self.rules.paused)) {
            let waiting =
                self.known.backlog.iter().find(|backlog| backlog.to == outage.system).map_or(0, |b| b.waiting);
            let needed = within.is_some_and(|time| self.has_passed(outage.since, time));
            let saying = Saying {
                severity: if needed { Severity::Critical } else { Severity::Warning },
                title: format!("{name}: {} takes nothing", outage.system),
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
                command: format!("ironbridge systems check {}", outage.system),
                since: outage.since,
            };
            all.push(self.condition(Kind::Paused, &outage.system, saying));
        }
        for backlog in &self.known.backlog {
            let Some(oldest) = backlog.oldest else { continue };
            // While it takes nothing, that is the matter.
            if self.known.outages.iter().any(|outage| outage.system == backlog.to)
                || !self.has_passed(oldest, within.unwrap_or(self.rules.backlog))
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

    fn slow(&self, all: &mut Vec<Condition>) {
        let name = &self.integration.name;
        for (what, hours) in &self.known.traffic {
            let Some(less) = slow_hour(hours, self.facts.now) else { continue };
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
        if !self.has_passed(first, self.rules.dead_letters) {
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

    fn volume(&self, ceiling: u64) -> Option<Condition> {
        let (name, started, held) = (&self.integration.name, self.known.started, self.known.held);
        if ceiling == 0 || held == 0 && started * 5 < ceiling * 4 {
            return None;
        }
        let over = held > 0 || started >= ceiling;
        let what = match held {
            0 if over => "New ones are held, and none is lost.".to_owned(),
            0 => "Above it, new ones are held.".to_owned(),
            held => format!("{held} are held until there is room, and none is lost."),
        };
        let mut counts = vec![("started".into(), started.to_string()), ("ceiling".into(), ceiling.to_string())];
        if held > 0 {
            counts.push(("held".into(), held.to_string()));
        }
        let saying = Saying {
            severity: if over { Severity::Critical } else { Severity::Warning },
            title: format!("{name} has started {started} times in a day, and its ceiling is {ceiling}"),
            text: format!("{what} What comes so often may be an event integration."),
            facts: counts,
            command: format!("ironbridge flow list {name}"),
            since: self.facts.now,
        };
        Some(self.condition(Kind::Volume, "", saying))
    }

    /// Instances of a flow that only a person can get going.
    fn stuck_flows(&self) -> Option<Condition> {
        let (name, stuck) = (&self.integration.name, self.known.stuck.as_ref()?);
        let detail: serde_json::Value = serde_json::from_str(&stuck.problem).unwrap_or_default();
        let part = |part: &str| detail[part].as_str().unwrap_or_default();
        let title = match stuck.instances {
            1 => format!("{name}: an instance cannot go on"),
            several => format!("{name}: {several} instances cannot go on"),
        };
        let mut facts = vec![("failed".to_owned(), stuck.instances.to_string())];
        facts.push(("last error".to_owned(), format!("{}: {}", part("code"), part("what"))));
        if !part("do").is_empty() {
            facts.push(("do".to_owned(), part("do").to_owned()));
        }
        let saying = Saying {
            severity: Severity::Warning,
            title,
            text: format!(
                "Instance {} failed at a step at {}, and waits there for somebody. What it has written stays; the other instances go on.",
                stuck.first,
                moment(stuck.since, self.zone())
            ),
            facts,
            command: format!("ironbridge flow show {}", stuck.first),
            since: stuck.since,
        };
        Some(self.condition(Kind::FlowFailed, "", saying))
    }
}

fn approvals(project: &Project, facts: &Facts, all: &mut Vec<Condition>) {
    let (zone, calendar) = (&project.hub.time_zone, &project.hub.calendar);
    for approval in &facts.approvals {
        if project.integration(&approval.integration).is_none() {
            continue;
        }
        let day = calendar::after(approval.asked, definition::Wait::WorkingDays(1), calendar, zone);
        // A quarter of the time for an answer is left.
        let nearly = approval.expires.map(|expires| {
            let whole = expires.duration_since(approval.asked);
            expires.checked_sub(whole / 4).unwrap_or(expires)
        });
        let nobody = !approval.asked_of.split(", ").any(|who| somebody(project, who));
        let overdue = if nobody { approval.asked } else { nearly.map_or(day, |nearly| nearly.min(day)) };
        if overdue > facts.now {
            continue;
        }
        let mut told = vec![
            ("asked of".to_owned(), approval.asked_of.clone()),
            ("asked".to_owned(), moment(approval.asked, zone)),
        ];
        told.extend(approval.expires.map(|expires| ("until".to_owned(), moment(expires, zone))));
        let saying = Saying {
            severity: Severity::Warning,
            title: match nobody {
                true => format!("{} waits for an answer that nobody can give", approval.integration),
                false => format!("{} waits for an answer", approval.integration),
            },
            text: match nobody {
                true => format!(
                    "{}\n\nWhoever was asked is not in people.yaml, or is a group without members.",
                    approval.question
                ),
                false => approval.question.clone(),
            },
            facts: told,
            command: format!("ironbridge approvals show {}", approval.id),
            since: overdue,
        };
        all.push(Condition {
            key: format!("{}/{}", Kind::Approval.word(), approval.id),
            kind: Kind::Approval,
            integration: approval.integration.clone(),
            system: String::new(),
            saying,
            cause: None,
        });
    }
}

/// Whether there is a person behind a name of people.yaml who could decide.
fn somebody(project: &Project, who: &str) -> bool {
    let name = who.strip_prefix("group:").unwrap_or(who);
    let is_person = |id: &str| project.people.iter().any(|person| person.id == id);
    let group = project.groups.iter().find(|group| group.id == name);
    is_person(name) || group.is_some_and(|group| group.members.iter().any(|id| is_person(id)))
}

fn expiring(project: &Project, facts: &Facts, all: &mut Vec<Condition>) {
    let zone = &project.hub.time_zone;
    let today = facts.now.to_zoned(zone.clone()).date();
    for ends in &facts.expiring {
        let days = today.until(ends.on).map_or(0, |span| span.get_days());
        let (before, soon) = if ends.long { (183, 30) } else { (31, 7) };
        if days > before {
            continue;
        }
        let when = match days {
            ..=-1 => format!("ended on {}", ends.on),
            0 => "ends today".to_owned(),
            1 => "ends tomorrow".to_owned(),
            _ => format!("ends on {}, in {days} days", ends.on),
        };
        let used: Vec<&str> = project
            .integrations
            .iter()
            .filter(|integration| integration.systems().contains(&ends.system.as_str()))
            .map(|integration| integration.name.as_str())
            .collect();
        let text = match ends.long {
            true => format!("After that nobody mends what breaks there. It is used by {}.", list(&used)),
            false => {
                format!("After that {} is not reached any more, and this stands still: {}.", ends.system, list(&used))
            }
        };
        let from = ends.on.checked_sub(jiff::Span::new().days(before)).unwrap_or(ends.on);
        let since = from.to_zoned(zone.clone()).map_or(facts.now, |zoned| zoned.timestamp());
        let saying = Saying {
            severity: if days <= soon { Severity::Critical } else { Severity::Warning },
            title: format!("{}: {} {when}", ends.system, ends.what),
            text,
            facts: vec![("ends".into(), ends.on.to_string())],
            command: format!("ironbridge impact {}", ends.system),
            since,
        };
        all.push(Condition {
            key: format!("{}/{}/{}", Kind::Expiring.word(), ends.system, ends.what),
            kind: Kind::Expiring,
            integration: String::new(),
            system: ends.system.clone(),
            saying,
            cause: None,
        });
    }
}

fn disk(facts: &Facts, rules: &Rules) -> Option<Condition> {
    let disk = facts.disk.filter(|disk| disk.free_bytes < rules.disk_bytes.max(disk.state_bytes))?;
    let megabytes = |bytes: u64| format!("{} MB", bytes >> 20);
    let saying = Saying {
        severity: if disk.free_bytes < rules.disk_critical_bytes { Severity::Critical } else { Severity::Warning },
        title: format!("the disk of the state folder has {} left", megabytes(disk.free_bytes)),
        text: "When it is full, the hub takes no more events and runs nothing. What is there already stays.".to_owned(),
        facts: vec![("free".into(), megabytes(disk.free_bytes)), ("state".into(), megabytes(disk.state_bytes))],
        command: "ironbridge explain IB0016".to_owned(),
        since: facts.now,
    };
    let key = Kind::Disk.word().to_owned();
    Some(Condition { key, kind: Kind::Disk, integration: String::new(), system: String::new(), saying, cause: None })
}

fn notifiers(facts: &Facts, rules: &Rules, all: &mut Vec<Condition>) {
    for route in &facts.routes {
        let Some(failing) = route.failing else { continue };
        if failing.checked_add(rules.notifier).map_or(true, |then| then > facts.now) {
            continue;
        }
        let error = [route.code.as_deref(), route.what.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        let saying = Saying {
            severity: Severity::Critical,
            title: format!("notices to {} do not get through", route.name),
            text: "Whoever is told that way does not hear of anything at the moment. Notices are tried again for six hours; then they are dead letters.".to_owned(),
            facts: vec![("failures in a row".into(), route.failures.to_string()), ("last error".into(), error)],
            command: "ironbridge alerts test".to_owned(),
            since: failing,
        };
        let key = format!("{}/{}", Kind::Notifier.word(), route.name);
        all.push(Condition {
            key,
            kind: Kind::Notifier,
            integration: String::new(),
            system: String::new(),
            saying,
            cause: None,
        });
    }
}

/// Several integrations that are held up by one system are one matter: the system.
fn gather_by_system(project: &Project, standing: &BTreeSet<String>, all: &mut Vec<Condition>) {
    let mut held: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, condition) in all.iter().enumerate() {
        let by_system =
            matches!(condition.kind, Kind::Late | Kind::Paused | Kind::NeedsPerson) && condition.cause.is_none();
        if by_system && !condition.system.is_empty() {
            held.entry(condition.system.clone()).or_default().push(at);
        }
    }
    for (system, found) in held {
        let key = format!("{}/{system}", Kind::SystemDown.word());
        let names: BTreeSet<&str> = found.iter().map(|at| all[*at].integration.as_str()).collect();
        if names.len() < 2 && !standing.contains(&key) {
            continue;
        }
        let names: Vec<&str> = names.into_iter().collect();
        let first = found.iter().map(|at| &all[*at]).min_by_key(|condition| condition.saying.since);
        let Some(first) = first else { continue };
        let severity = found.iter().map(|at| all[*at].saying.severity).max().unwrap_or(Severity::Warning);
        let error = first.saying.facts.iter().find(|(label, _)| label == "last error").cloned();
        let purposes =
            names.iter().filter_map(|name| project.integration(name)).map(|i| format!("{}: {}", i.name, i.purpose));
        let mut facts = vec![("held up".to_owned(), names.join(", "))];
        facts.extend(error);
        let saying = Saying {
            severity,
            title: format!("{system} holds up {} integrations", names.len()),
            text: format!("What does not happen meanwhile: {}", purposes.collect::<Vec<_>>().join(" ")),
            facts,
            command: format!("ironbridge systems check {system}"),
            since: first.saying.since,
        };
        for at in found {
            all[at].cause = Some(key.clone());
        }
        let integration = String::new();
        all.push(Condition { key, kind: Kind::SystemDown, integration, system, saying, cause: None });
    }
}

/// What is less than usual because of something else follows from it: of the same integration, or of one that fills its source.
fn follow(project: &Project, all: &mut [Condition]) {
    let held: BTreeMap<String, String> = all
        .iter()
        .filter(|condition| matches!(condition.kind, Kind::Late | Kind::NotRun | Kind::NeedsPerson | Kind::Paused))
        .map(|condition| (condition.integration.clone(), condition.key.clone()))
        .collect();
    for condition in all.iter_mut().filter(|condition| matches!(condition.kind, Kind::FewRows | Kind::Slow)) {
        let upstream = || {
            let mine = project.integration(&condition.integration)?;
            let before = project
                .integrations
                .iter()
                .find(|other| other.name != mine.name && held.contains_key(&other.name) && fills(other, mine))?;
            held.get(&before.name)
        };
        condition.cause = held.get(&condition.integration).or_else(upstream).cloned();
    }
}

/// Whether one integration writes what another reads.
fn fills(one: &Integration, other: &Integration) -> bool {
    let to: Vec<&str> = match &one.pattern {
        Pattern::Batch(Batch { direction: definition::Direction::OneWay { to, .. }, .. }) => vec![to],
        Pattern::Batch(Batch { direction: definition::Direction::TwoWay { between, .. }, .. }) => {
            between.iter().map(String::as_str).collect()
        }
        Pattern::Event(event) => event.to.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let from: Vec<&str> = match &other.pattern {
        Pattern::Batch(Batch { direction: definition::Direction::OneWay { from, .. }, .. }) => vec![from],
        Pattern::Event(event) => vec![&event.from],
        _ => Vec::new(),
    };
    from.iter().any(|system| to.contains(system))
        && other.entities().iter().any(|entity| one.entities().contains(entity))
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

/// A moment as people say it: `06:00 on Mon 23 Nov`.
pub(crate) fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M on %a %-d %b").to_string()
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "no integration".to_owned() } else { names.join(", ") }
}

/// The shortest time, so that a caller can say how often to look.
pub(crate) const LOOK: SignedDuration = SignedDuration::from_secs(2);
