//! A whole project, and what was measured of it, looked at again: what could be simpler, what outgrew what it is.

use super::outcome::Outcome;
use super::recommend::recommend;
use crate::measured::{History, Measured};
use crate::model::{Batch, Direction, Event, Integration, Pattern, Project};
use crate::rules::number;

/// Fewer runs than this say nothing of how often there is something to do.
const RUNS_MIN: u32 = 20;
/// Above so many rows a day a copy that nobody uses is worth a thought.
const COPIED_MIN: u64 = 200;

/// Something that could be otherwise. *Shape*: `integration` is empty for what concerns the whole project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub integration: String,
    /// Where to look: `integrations/orders.yaml:1`.
    pub place: String,
    /// What was seen, in a sentence.
    pub seen: String,
    /// What could be done, in a sentence.
    pub advice: String,
}

/// *Shape*: in the order of the integrations; empty where nothing is to be said.
pub fn review(project: &Project, measured: &Measured) -> Vec<Finding> {
    let mut findings = Vec::new();
    for integration in &project.integrations {
        let mut push = |seen: String, advice: &str| {
            findings.push(Finding {
                integration: integration.name.clone(),
                place: integration.origin.clone(),
                seen,
                advice: advice.to_owned(),
            });
        };
        let history = measured.of(&integration.name);
        match &integration.pattern {
            Pattern::Event(event) => real_time(event, history, &mut push),
            Pattern::Flow(flow) => {
                let comes =
                    history.map(History::a_day).filter(|a_day| *a_day > 0).or(flow.expected).unwrap_or_default();
                if comes * 10 >= flow.ceiling * 8 {
                    push(
                        format!("{} a day start, and the ceiling is {}", number(comes), number(flow.ceiling)),
                        "people decide too often: let a rule decide the plain cases, or make it an event integration",
                    );
                }
            }
            Pattern::Batch(batch) => {
                scheduled(batch, history, &mut push);
                only_seen(project, integration, batch, history, &mut push);
            }
            Pattern::Virtual(_) => {}
        }
        decided(project, integration, history, &mut push);
    }
    for accepted in &project.accepted {
        findings.push(Finding {
            integration: String::new(),
            place: accepted.place.clone(),
            seen: accepted.to_string(),
            advice: "look whether the reason still holds".to_owned(),
        });
    }
    findings
}

/// Which events could be a batch: few of them, nothing that goes home, no time by which it is needed.
fn real_time(event: &Event, history: Option<&History>, push: &mut impl FnMut(String, &str)) {
    const FEW: u64 = 50;
    let few = history.filter(|history| history.days >= 7 && history.a_day() < FEW);
    if event.write_back.is_empty() && event.needed_by.is_none() {
        let came = few.map_or(String::new(), |history| format!("; {} a day came", number(history.a_day())));
        push(
            format!("nothing that a destination answers goes home, and nobody said when the result is needed{came}"),
            "say `needed_by:`; if a quarter of an hour is early enough, a batch does it with half the parts",
        );
    } else if let Some(history) = few.filter(|_| event.write_back.is_empty()) {
        push(
            format!("{} a day came in {}", number(history.a_day()), history.in_days()),
            "so few may be a batch of every few minutes, unless each minute counts",
        );
    }
}

fn scheduled(batch: &Batch, history: Option<&History>, push: &mut impl FnMut(String, &str)) {
    let Some(history) = history.filter(|history| history.runs >= RUNS_MIN) else { return };
    if history.written == 0 {
        push(
            format!("{} runs in {} had nothing to write", number(history.runs.into()), history.in_days()),
            "run it less often, or ask whether anybody still needs it",
        );
    } else if history.idle_runs * 20 >= history.runs * 19 && batch.needed_by.is_none() {
        push(
            format!(
                "{} of {} runs had nothing to write, and nobody said when the result is needed",
                history.idle_runs, history.runs
            ),
            "run it less often",
        );
    }
}

/// A copy in Dynamics that nothing in the project uses there.
fn only_seen(
    project: &Project,
    integration: &Integration,
    batch: &Batch,
    history: Option<&History>,
    push: &mut impl FnMut(String, &str),
) {
    let Direction::OneWay { from, to } = &batch.direction else { return };
    let Some(target) = project.system(to).filter(|system| system.kind.name == "dataverse") else { return };
    let answers_live = project.system(from).is_some_and(|system| system.kind.name != "files");
    let Some(history) = history.filter(|history| history.a_day() >= COPIED_MIN && answers_live) else { return };
    for name in &batch.entities {
        let referred = project.entities.iter().any(|other| {
            other.fields.iter().any(
                |field| matches!(&field.ty, record::Type::Reference { to } if *other.name != **name && to.iter().any(|to| to == name)),
            )
        });
        let used =
            project.integrations.iter().filter(|other| other.name != integration.name).any(|other| {
                other.entities().contains(&name.as_str()) && other.systems().contains(&target.name.as_str())
            });
        let adopted = target.entity(name).is_some_and(|held| !held.match_existing.is_empty());
        if !referred && !used && !adopted && batch.entities.len() == 1 {
            push(
                format!(
                    "{} rows a day are copied, and nothing in this project refers to `{name}` or reads it in `{to}`",
                    number(history.a_day())
                ),
                "if people only look at it, a virtual table shows it without a copy; search, charts and audit need the copy",
            );
        }
    }
}

fn decided(
    project: &Project,
    integration: &Integration,
    history: Option<&History>,
    push: &mut impl FnMut(String, &str),
) {
    let is = Outcome::of(integration.pattern.word());
    let decision = project.decisions.iter().find(|decision| decision.integration.as_deref() == Some(&integration.name));
    let Some(decision) = decision else {
        push(
            "nobody wrote down why it is like this".to_owned(),
            &format!("answer a few questions: `ironbridge advise --name {}`", integration.name),
        );
        return;
    };
    let mut answers = decision.answers.clone();
    if let Some(history) = history.filter(|history| history.a_day() > answers.most()) {
        (answers.a_day, answers.in_three_years) = (history.a_day(), history.a_day());
    }
    let today = recommend(&answers).outcome;
    if Some(today) != is && today != decision.recommended {
        push(
            format!("it was decided for {} a day on {}", number(decision.answers.a_day), decision.date),
            &format!("with what is measured now, {} would be recommended", today.title()),
        );
    }
}
