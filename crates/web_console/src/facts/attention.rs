//! What needs a person first. Pure.

use definition::Project;
use jiff::Timestamp;
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
    for question in &facts.questions {
        let purpose = facts.standing(&question.integration).map(|s| s.purpose.clone()).unwrap_or_default();
        all.push(Attention {
            level: Level::Warn,
            what: question.question.clone(),
            detail: format!("{} is asked", question.asked_of.trim_start_matches("group:")),
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

fn of(project: &Project, standing: &Standing, all: &mut Vec<Attention>) {
    let (name, zone) = (&standing.name, &project.hub.time_zone);
    let mut add = |level, what, detail, since, href, command| {
        let purpose = standing.purpose.clone();
        all.push(Attention { level, what, detail, purpose, since, href, command });
    };
    let page = format!("/integrations/{name}");
    if let Some(outage) = &standing.outage {
        add(
            Level::Bad,
            format!("{name}: nothing gets through to {}", outage.system),
            format!(
                "{} and none is lost; tried {} so far. {}",
                counted(standing.waiting, "message waits", "messages wait"),
                counted(outage.failures, "time", "times"),
                outage.what
            ),
            Some(outage.since),
            page.clone(),
            "ironbridge status".to_owned(),
        );
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
