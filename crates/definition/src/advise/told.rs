//! An advice in words, and as JSON.

use serde_json::{Value as Json, json};

use super::answers::Answers;
use super::cost::{self, Cost, cost};
use super::outcome::Outcome;
use super::recommend::Advice;
use crate::rules::number;

/// The whole advice for a terminal. *Shape*: lines of at most `width` columns, as far as words allow.
pub fn text(advice: &Advice, answers: &Answers, width: usize) -> String {
    let mut told = String::new();
    let mut paragraph =
        |first: &str, indent: &str, sentence: &str| told.push_str(&wrapped(first, indent, sentence, width));
    paragraph("", "", &format!("Recommended: {}.", advice.outcome.title()));
    paragraph("  ", "  ", advice.outcome.is());
    if advice.fixed {
        paragraph("  ", "  ", "This is one of the cases whose answer is always the same.");
    }
    paragraph("\n", "", "Why");
    advice.why.iter().for_each(|sentence| paragraph("  - ", "    ", sentence));
    if !advice.how.is_empty() || advice.schedule.is_some() {
        paragraph("\n", "", "How");
        if let Some(schedule) = advice.schedule {
            paragraph("  - ", "    ", &format!("schedule: {schedule}"));
        }
        advice.how.iter().for_each(|sentence| paragraph("  - ", "    ", sentence));
    }
    let own = cost(advice.outcome, answers, advice.schedule);
    paragraph("\n", "", "What it costs");
    costs(&own, answers).iter().for_each(|sentence| paragraph("  - ", "    ", sentence));
    if !own.at_night.is_empty() {
        paragraph("\n", "", "What can go wrong at night");
        own.at_night.iter().for_each(|sentence| paragraph("  - ", "    ", sentence));
    }
    paragraph("\n", "", "Why not the others");
    for (other, why) in &advice.others {
        let cost = cost(*other, answers, None);
        let price = format!(
            "{}: {} {} in three years, {} a day, {}.",
            other.title(),
            money(cost.three_years()),
            answers.currency,
            counted(number(cost.requests_later), "request"),
            parts(cost.parts.len())
        );
        paragraph("  - ", "    ", &price);
        paragraph("    ", "    ", why);
    }
    told
}

/// The cost in sentences.
fn costs(cost: &Cost, answers: &Answers) -> Vec<String> {
    let currency = &answers.currency;
    let mut told = vec![format!(
        "about {} to build and {} a year to run: {} {currency}, then {} {currency} a year at {} {currency} a day (an estimate of ours; yours may be better)",
        counted(cost.build_days.normalize(), "day"),
        counted(cost.run_days_a_year.normalize(), "day"),
        money(cost.build),
        money(cost.run_a_year),
        number(answers.rate)
    )];
    let later = match cost.requests == cost.requests_later {
        true => String::new(),
        false => format!(", {} in three years", number(cost.requests_later)),
    };
    told.push(match cost.requests_later {
        0 => "no requests against the allowances of Dataverse".to_owned(),
        _ => format!(
            "{} a day now{later}: {} of the {} that {} may use in a day",
            counted(number(cost.requests), "Dataverse request"),
            if cost.requests_later * 100 < cost.allowance {
                "less than 1 %".to_owned()
            } else {
                format!("{} %", cost.share())
            },
            number(cost.allowance),
            cost.of
        ),
    });
    if cost.peak > 0 {
        let over = if cost.peak > cost::PROTECTION { ": too many, so they would be slowed down" } else { "" };
        told.push(format!(
            "about {} in the busiest five minutes, of {} for one user and web server{over}",
            counted(number(cost.peak), "request"),
            number(cost::PROTECTION)
        ));
    }
    if cost.parts.is_empty() {
        told.push("nothing to operate".to_owned());
    } else {
        told.push(format!("{} to operate: {}", parts(cost.parts.len()), cost.parts.join(", ")));
    }
    if let Some(minutes) = answers.by_hand {
        // A month has some 20 working days of eight hours.
        let year = rust_decimal::Decimal::from(minutes * 12 * answers.rate) / rust_decimal::Decimal::from(480);
        told.push(format!("by hand it costs {} {currency} a year", money(year)));
    }
    told
}

fn parts(count: usize) -> String {
    match count {
        0 => "no parts".to_owned(),
        1 => "1 part".to_owned(),
        count => format!("{count} parts"),
    }
}

/// `1 day`, `2 days`, `0.5 days`.
fn counted(count: impl std::fmt::Display, one: &str) -> String {
    let count = count.to_string();
    if count == "1" { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// In whole units, with a comma between thousands.
fn money(amount: rust_decimal::Decimal) -> String {
    number(u64::try_from(amount.round()).unwrap_or_default())
}

fn wrapped(first: &str, indent: &str, sentence: &str, width: usize) -> String {
    let mut text = first.to_owned();
    let mut column = first.trim_start_matches('\n').chars().count();
    for (at, word) in sentence.split(' ').enumerate() {
        let length = word.chars().count();
        if at > 0 && column + 1 + length > width.max(40) {
            text.push('\n');
            text.push_str(indent);
            column = indent.chars().count();
        } else if at > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
    text
}

/// The same for programs. *Units*: money and days as texts, exact.
pub fn json(advice: &Advice, answers: &Answers) -> Json {
    let one = |outcome: Outcome, schedule: Option<&str>| {
        let cost: Cost = cost(outcome, answers, schedule);
        json!({
            "build_days": cost.build_days.normalize().to_string(),
            "run_days_a_year": cost.run_days_a_year.normalize().to_string(),
            "build": cost.build.normalize().to_string(),
            "run_a_year": cost.run_a_year.normalize().to_string(),
            "three_years": cost.three_years().normalize().to_string(),
            "currency": answers.currency,
            "requests_a_day": cost.requests,
            "requests_a_day_in_three_years": cost.requests_later,
            "allowance_a_day": cost.allowance,
            "allowance_of": cost.of,
            "allowance_percent": cost.share(),
            "requests_in_the_busiest_five_minutes": cost.peak,
            "parts": cost.parts,
            "at_night": cost.at_night,
        })
    };
    json!({
        "recommended": advice.outcome.word(),
        "title": advice.outcome.title(),
        "fixed": advice.fixed,
        "why": advice.why,
        "how": advice.how,
        "schedule": advice.schedule,
        "cost": one(advice.outcome, advice.schedule),
        "others": advice.others.iter().map(|(other, why)| json!({
            "outcome": other.word(), "title": other.title(), "why_not": why, "cost": one(*other, None),
        })).collect::<Vec<_>>(),
    })
}
