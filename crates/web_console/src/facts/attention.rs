//! What needs a person first. Pure.

use definition::Project;
use hub::operations::Kind;
use jiff::Timestamp;
use store::alerts::{Alert, Severity};
use store::runs::State;

use super::{Facts, Level, Standing};
use crate::words::{counted, moment};

/// One thing that needs a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    pub level: Level,
    /// One sentence.
    pub what: String,
    /// What more is known: the other side's words, how many wait.
    pub detail: String,
    /// What the integration is for: what it means for the business.
    pub purpose: String,
    /// Nothing where that is not known.
    pub since: Option<Timestamp>,
    /// Where to look.
    pub href: String,
    /// The command that shows the same.
    pub command: String,
}

/// Everything that needs a person, the worst first, then the longest waiting.
///
/// What follows from something worse is not said again: the dead letters of an integration are, its failed run is not
/// while its destination is down.
pub fn attention(project: &Project, facts: &Facts) -> Vec<Attention> {
    let mut all = Vec::new();
    for standing in &facts.standings {
        of(project, standing, &mut all);
    }
    for alert in facts.alerts.iter().filter(|alert| alert.cause.is_none() && !is_seen(facts, alert)) {
        all.push(Attention {
            level: if alert.saying.severity == Severity::Critical { Level::Bad } else { Level::Warn },
            what: alert.saying.title.clone(),
            detail: alert.acked_by.as_ref().map_or_else(String::new, |by| format!("{by} looks at it")),
            purpose: facts.standing(&alert.integration).map(|s| s.purpose.clone()).unwrap_or_default(),
            since: Some(alert.saying.since),
            href: format!("/alerts/{}", alert.id),
            command: format!("ironbridge alerts show {}", alert.id),
        });
    }
    for question in &facts.questions {
        let purpose = facts.standing(&question.integration).map(|s| s.purpose.clone()).unwrap_or_default();
        all.push(Attention {
            level: Level::Warn,
            what: question.question.clone(),
            detail: format!("asked of {}", question.asked_of.trim_start_matches("group:")),
            purpose,
            since: Some(question.asked),
            href: format!("/approvals/{}", question.id),
            command: format!("ironbridge approvals show {}", question.id),
        });
    }
    let since = |need: &Attention| need.since.unwrap_or(Timestamp::MAX);
    all.sort_by(|one, other| one.level.cmp(&other.level).then(since(one).cmp(&since(other))));
    all
}

/// Whether what stands here already says the same as an alert.
fn is_seen(facts: &Facts, alert: &Alert) -> bool {
    let Some(standing) = facts.standing(&alert.integration) else { return false };
    let failed = standing.last.as_ref().is_some_and(|run| matches!(run.state, State::Failed | State::Interrupted));
    match Kind::of(&alert.kind) {
        Some(Kind::Late) => standing.late.is_some(),
        Some(Kind::Paused | Kind::NotShown | Kind::Backlog) => standing.outage.is_some(),
        Some(Kind::NeedsPerson | Kind::NotRun) => failed,
        Some(Kind::FlowFailed) => standing.stuck.is_some(),
        Some(Kind::DeadLetters) => standing.dead_letters > 0,
        Some(Kind::Approval) => facts.questions.iter().any(|question| question.integration == alert.integration),
        _ => false,
    }
}

fn of(project: &Project, standing: &Standing, all: &mut Vec<Attention>) {
    let (name, zone) = (&standing.name, &project.hub.time_zone);
    let mut add = |level, what, detail, since, href, command| {
        let purpose = standing.purpose.clone();
        all.push(Attention { level, what, detail, purpose, since, href, command });
    };
    let page = format!("/integrations/{name}");
    if let Some(outage) = &standing.outage {
        let (what, detail) = match standing.pattern {
            "virtual" => (format!("{name}: whoever looks gets an error"), outage.what.clone()),
            _ => (
                format!("{name}: nothing gets through to {}", outage.system),
                format!(
                    "{} and none is lost; tried {} so far. {}",
                    counted(standing.waiting, "message waits", "messages wait"),
                    counted(outage.failures, "time", "times"),
                    outage.what
                ),
            ),
        };
        add(Level::Bad, what, detail, Some(outage.since), page.clone(), "ironbridge status".to_owned());
    }
    if let Some(late) = &standing.late {
        let why = standing.last.as_ref().and_then(|run| run.error.as_ref()).map(|error| error.text.clone());
        let missing = format!("the result of {} was needed by {}", moment(late.slot, zone), moment(late.needed, zone));
        add(
            Level::Bad,
            format!("{name} is late"),
            why.map_or(missing.clone(), |why| format!("{missing}. {why}")),
            Some(late.needed),
            page.clone(),
            format!("ironbridge runs {name}"),
        );
    }
    let failed = standing.last.as_ref().filter(|run| matches!(run.state, State::Failed | State::Interrupted));
    if let Some(run) = failed.filter(|_| standing.outage.is_none() && standing.late.is_none()) {
        let error = run.error.as_ref().map_or_else(String::new, |error| error.text.clone());
        add(
            Level::Warn,
            format!("The last run of {name} {}", if run.state == State::Failed { "failed" } else { "was interrupted" }),
            error,
            Some(run.finished.unwrap_or(run.started)),
            format!("/runs/{}", run.id),
            format!("ironbridge runs {name}"),
        );
    }
    if let Some(stuck) = &standing.stuck {
        add(
            Level::Bad,
            format!("{name}: {}", counted(stuck.instances, "instance cannot go on", "instances cannot go on")),
            stuck.error(),
            Some(stuck.since),
            format!("/flows?state=failed&integration={name}"),
            format!("ironbridge flow list {name}"),
        );
    }
    if standing.dead_letters > 0 {
        add(
            Level::Warn,
            format!("{name}: {}", counted(standing.dead_letters, "dead letter waits", "dead letters wait")),
            String::new(),
            None,
            format!("/dead-letters?integration={name}"),
            format!("ironbridge dead-letters list {name}"),
        );
    }
}
