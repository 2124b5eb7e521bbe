//! What was said, and what was measured: schedules against the time that runs take, decisions against what came.

use std::time::Duration;

use crate::advise::{self, Answers, Outcome};
use crate::codes;
use crate::decoded::{Data, Group};
use crate::diagnostic::Diagnostic;
use crate::load::{Draft, LoadOptions};
use crate::measured::{History, Measured};
use crate::units::{Schedule, words};

/// Fewer runs than this say nothing of the usual one.
const RUNS_MIN: u32 = 5;
/// A volume above what was said for three years by this factor is another volume.
const TIMES: u64 = 3;
/// Below this many a day every pattern is the same.
const FEW: u64 = 20;

pub(crate) fn check(draft: &Draft, options: &LoadOptions<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for decision in &draft.decisions {
        against_advice(decision, diagnostics);
        followed(decision, draft, diagnostics);
    }
    let Some(measured) = options.measured else { return };
    for group in &draft.integrations {
        let history = group.text("integration").and_then(|name| measured.of(name));
        if let (Some(history), Some(Data::Schedule(schedule))) = (history, group.get("schedule")) {
            tight(group, schedule, history, diagnostics);
        }
    }
    for decision in &draft.decisions {
        moved_away(decision, measured, diagnostics);
    }
}

fn tight(group: &Group, schedule: &Schedule, history: &History, diagnostics: &mut Vec<Diagnostic>) {
    const DAY: u64 = 86_400;
    let every = match schedule {
        Schedule::Every(every) => *every,
        Schedule::Daily { .. } | Schedule::Weekdays { .. } => Duration::from_secs(DAY),
        Schedule::Weekly { .. } => Duration::from_secs(7 * DAY),
        // How far apart its times are differs from day to day.
        _ => return,
    };
    let Some(usual) = history.usual_run.filter(|_| history.runs >= RUNS_MIN) else { return };
    let at = group.at("schedule");
    if usual > every {
        diagnostics.push(
            Diagnostic::error(codes::TIGHT_SCHEDULE, "this schedule is tighter than its runs")
                .at(at, format!("half of the last {} runs took more than {}", history.runs, words(whole(usual))))
                .note("runs that are due meanwhile are skipped, so it is later than it looks, and it is never at rest")
                .help(format!("write at least `every {}`, or read less: a watermark, a filter", words(twice(usual)))),
        );
    } else if usual * 5 > every * 4 {
        diagnostics.push(
            Diagnostic::warning(codes::TIGHT_SCHEDULE, "this schedule leaves its runs little time")
                .at(at, format!("half of the last {} runs took more than {}", history.runs, words(whole(usual))))
                .help(format!("write at least `every {}` before it is too tight", words(twice(usual)))),
        );
    }
}

/// In whole seconds, at least one; in whole minutes where there are several.
fn whole(duration: Duration) -> Duration {
    let seconds = duration.as_secs().max(1);
    Duration::from_secs(if seconds < 120 { seconds } else { seconds / 60 * 60 })
}

/// Twice as long, in whole minutes.
fn twice(usual: Duration) -> Duration {
    Duration::from_secs((usual.as_secs() * 2).div_ceil(60).max(1) * 60)
}

fn outcome(decision: &Group, key: &str) -> Option<Outcome> {
    decision.text(key).and_then(Outcome::of)
}

fn against_advice(decision: &Group, diagnostics: &mut Vec<Diagnostic>) {
    let (Some(recommended), Some(chosen)) = (outcome(decision, "recommended"), outcome(decision, "chosen")) else {
        return;
    };
    if recommended != chosen && !decision.says("against_advice_because") {
        diagnostics.push(
            Diagnostic::warning(
                codes::AGAINST_DECISION,
                format!("`{}` was chosen, and `{}` was recommended", chosen.word(), recommended.word()),
            )
            .at(decision.at("chosen"), "nobody said why")
            .help("add `against_advice_because:` with the reason"),
        );
    }
}

/// What was built is what was chosen.
fn followed(decision: &Group, draft: &Draft, diagnostics: &mut Vec<Diagnostic>) {
    let Some(chosen) = outcome(decision, "chosen") else { return };
    let Some(name) = decision.text("integration") else { return };
    let Some(built) = draft.integrations.iter().find(|group| group.text("integration") == Some(name)) else { return };
    let Some(pattern) = built.text("pattern").filter(|pattern| *pattern != chosen.word()) else { return };
    diagnostics.push(
        Diagnostic::warning(
            codes::AGAINST_DECISION,
            format!("`{name}` is of the pattern {pattern}, and {} was decided", chosen.title()),
        )
        .at(decision.at("chosen"), "decided here")
        .also(built.at("pattern"), "built like this")
        .help(format!("write down the new decision: `ironbridge advise --name {name}`")),
    );
}

/// The answers no longer hold: far more comes than was said, so that something else would be recommended, or just more.
fn moved_away(decision: &Group, measured: &Measured, diagnostics: &mut Vec<Diagnostic>) {
    let name = decision.text("integration").or(decision.text("decision")).unwrap_or_default();
    let (Some(history), Some(given)) = (measured.of(name), decision.group("answers")) else { return };
    let answers = Answers::of(given);
    let (said, is) = (answers.a_day.max(answers.in_three_years), history.a_day());
    if is < FEW || is < said.saturating_mul(TIMES) {
        return;
    }
    let now = Answers { a_day: is, in_three_years: is, ..answers.clone() };
    let (was, would_be) = (advise::recommend(&answers).outcome, advise::recommend(&now).outcome);
    let what_now = if was == would_be {
        format!("look at the costs again: `ironbridge advise --name {name} --a-day {is}`")
    } else {
        format!("today {} would be recommended: `ironbridge advise --name {name} --a-day {is}`", would_be.title())
    };
    let when = if answers.in_three_years > answers.a_day { " in three years" } else { "" };
    diagnostics.push(
        Diagnostic::warning(
            codes::MOVED_AWAY,
            format!("`{name}` was decided for {} a day{when}, and {} a day came", number(said), number(is)),
        )
        .at(given.at("a_day"), format!("measured over {}", history.in_days()))
        .note("what was decided for another volume may be right no longer")
        .help(what_now),
    );
}

/// With a comma between thousands.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
