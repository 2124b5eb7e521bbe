//! What can be wrong with a flow: too much of it, instances that cannot go on, questions that nobody can answer.

use super::*;

impl Of<'_> {
    pub(super) fn volume(&self, ceiling: u64) -> Option<Condition> {
        let (name, started, held) = (&self.integration.name, self.known.started, self.known.held);
        if !self.known.nears(ceiling) {
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
        let days: Vec<String> = self.known.days_before.iter().map(u64::to_string).collect();
        if !days.is_empty() {
            counts.push(("the seven days before".into(), days.join(", ")));
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
    pub(super) fn stuck_flows(&self) -> Option<Condition> {
        let (name, stuck) = (&self.integration.name, self.known.stuck.as_ref()?);
        let detail: serde_json::Value = serde_json::from_str(&stuck.problem).unwrap_or_default();
        let part = |part: &str| detail[part].as_str().unwrap_or_default();
        let title = match stuck.instances {
            1 => format!("{name}: an instance cannot go on"),
            several => format!("{name}: {several} instances cannot go on"),
        };
        let mut facts = vec![("failed".to_owned(), stuck.instances.to_string())];
        facts.push(("last error".to_owned(), stuck.error()));
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

pub(super) fn approvals(project: &Project, facts: &Facts, standing: &BTreeSet<String>, all: &mut Vec<Condition>) {
    let (zone, calendar) = (&project.hub.time_zone, &project.hub.calendar);
    for approval in facts.approvals.iter() {
        if project.integration(&approval.integration).is_none() {
            continue;
        }
        // A working day is over at the same time of another day: not before the clock has gone round, in spring an hour less.
        let at_least = approval.asked.checked_add(jiff::SignedDuration::from_hours(23)).unwrap_or(facts.now);
        let day = match at_least > facts.now {
            true => jiff::Timestamp::MAX,
            false => calendar::after(approval.asked, definition::Wait::WorkingDays(1), calendar, zone),
        };
        // A quarter of the time for an answer is left.
        let nearly = approval.expires.map(|expires| {
            let whole = expires.duration_since(approval.asked);
            expires.checked_sub(whole / 4).unwrap_or(expires)
        });
        let nobody = !approval.asked_of.split(", ").any(|who| somebody(project, who));
        let overdue = if nobody { approval.asked } else { nearly.map_or(day, |nearly| nearly.min(day)) };
        let key = format!("{}/{}", Kind::Approval.word(), approval.id);
        if overdue > facts.now && !standing.contains(&key) {
            continue;
        }
        let mut told = vec![
            ("asked of".to_owned(), approval.asked_of.clone()),
            ("asked".to_owned(), moment(approval.asked, zone)),
        ];
        let instance = crate::flows::people::subject_of(approval).map(|(id, _)| id.to_string());
        told.extend(instance.map(|id| ("instance".to_owned(), id)));
        told.extend(approval.expires.map(|expires| ("until".to_owned(), moment(expires, zone))));
        let saying = Saying {
            severity: Severity::Warning,
            title: match nobody {
                true => {
                    format!(
                        "{}: question {} waits for an answer that nobody can give",
                        approval.integration, approval.id
                    )
                }
                false => format!("{}: question {} waits for an answer", approval.integration, approval.id),
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
            key,
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
