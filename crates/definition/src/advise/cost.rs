//! What each way would cost: requests against the allowances of Dataverse, parts to operate, days of work.
//!
//! *Source*: protection limits: 6,000 requests, 20 minutes of execution and 52 at once in five minutes for each user and
//! web server ("Service protection API limits", learn.microsoft.com, read November 2026). Daily allowances: users without a
//! licence, such as applications, share 500,000 requests and 5,000 more for each paid Dynamics 365 licence, at most ten
//! million; a licensed user has 40,000, by which cloud flows are measured, each action being a request ("Requests limits
//! and allocations", learn.microsoft.com, read November 2026). Rows of one bulk request count one by one against the daily
//! allowance, and as one request against the protection limit (the same pages).
//!
//! The days are our own estimates for one entity between two systems, and nothing that was measured.

use record::Decimal;

use super::answers::{Answers, Looks, Place};
use super::outcome::Outcome;

/// What users without a licence share in a day, before licences are counted.
const POOL_BASE: u64 = 500_000;
const POOL_A_LICENCE: u64 = 5_000;
const POOL_MAX: u64 = 10_000_000;
/// What one licensed user may use in a day.
const LICENSED_USER: u64 = 40_000;
/// What one user may ask of one web server in five minutes.
pub(super) const PROTECTION: u64 = 6_000;
/// Rows in one batch request of the hub.
const ROWS_A_REQUEST: u64 = 50;
/// Actions of a small cloud flow: trigger, two reads, a condition, two writes, a message, an end.
const ACTIONS: u64 = 8;
const SWEEPS: u64 = 96;

/// What one way costs at one volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// Dataverse requests in a day that count against an allowance: now, and in three years.
    pub requests: u64,
    pub requests_later: u64,
    /// Whose allowance that is, and how much it is in a day.
    pub of: &'static str,
    pub allowance: u64,
    /// Requests in the five busiest minutes in three years, of 6,000: a fifth of a day in one hour, evenly.
    pub peak: u64,
    pub parts: &'static [&'static str],
    pub at_night: &'static [&'static str],
    pub build_days: Decimal,
    pub run_days_a_year: Decimal,
    /// In the currency of the answers.
    pub build: Decimal,
    pub run_a_year: Decimal,
}

impl Cost {
    /// Building it, and running it for three years.
    pub fn three_years(&self) -> Decimal {
        self.build + self.run_a_year * Decimal::from(3)
    }

    /// How much of the allowance is used in three years, in percent, rounded up.
    pub fn share(&self) -> u64 {
        (self.requests_later * 100).div_ceil(self.allowance.max(1))
    }
}

/// What this way would cost. *Shape*: `schedule` is that of the advice, where there is one.
pub fn cost(outcome: Outcome, answers: &Answers, schedule: Option<&str>) -> Cost {
    let made = outcome.made();
    // Both directions are two mappings and the question of who is right.
    let build = made.build_tenths * if answers.both_ways && outcome.is_ours() { 2 } else { 1 };
    let (build_days, run_days_a_year) = (Decimal::new(build.into(), 1), Decimal::new(made.run_tenths_a_year.into(), 1));
    let rate = Decimal::from(answers.rate);
    let runs = runs_a_day(schedule);
    let requests = |a_day| requests(outcome, answers, a_day, runs);
    let own = matches!(outcome, Outcome::PowerAutomate | Outcome::Virtual | Outcome::PlatformVirtual);
    let pool = POOL_MAX.min(POOL_BASE.saturating_add(POOL_A_LICENCE.saturating_mul(answers.licences)));
    let later = requests(answers.in_three_years.max(answers.a_day));
    let sent = if outcome == Outcome::Batch { later.div_ceil(ROWS_A_REQUEST).max(runs.min(later)) } else { later };
    Cost {
        requests: requests(answers.a_day),
        requests_later: later,
        of: match outcome {
            Outcome::PowerAutomate => "the owner of the flow",
            _ if own => "each user who looks",
            _ => "the users without a licence together",
        },
        allowance: if own { LICENSED_USER } else { pool },
        peak: sent.div_ceil(60),
        parts: made.parts,
        at_night: made.at_night,
        build_days,
        run_days_a_year,
        build: build_days * rate,
        run_a_year: run_days_a_year * rate,
    }
}

fn runs_a_day(schedule: Option<&str>) -> u64 {
    match schedule {
        Some("every 1 minute") => 1_440,
        Some("every 5 minutes") => 288,
        Some(schedule) if schedule.starts_with("daily") => 1,
        _ => 96,
    }
}

fn requests(outcome: Outcome, answers: &Answers, a_day: u64, runs: u64) -> u64 {
    let from_dynamics = answers.from_is == Place::Dynamics;
    match outcome {
        Outcome::Nothing | Outcome::Report => 0,
        // One user's looks: once an hour, or every few minutes.
        Outcome::PlatformVirtual | Outcome::Virtual => match answers.looks {
            Looks::Nobody => 0,
            Looks::AFew => 10,
            Looks::Many => 100,
            Looks::AProgram => a_day,
        },
        Outcome::PowerAutomate => a_day.saturating_mul(ACTIONS),
        // The map writes each row on the other side.
        Outcome::DualWrite => a_day,
        // A page of changes holds 5,000 rows; a row that is written counts by itself.
        Outcome::Batch if from_dynamics && !answers.both_ways => runs + a_day.div_ceil(5_000),
        Outcome::Batch if answers.both_ways => runs + a_day,
        Outcome::Batch => a_day,
        // The row is fetched when its event is processed, and what came back is written home.
        Outcome::Event if from_dynamics => a_day.saturating_mul(2) + SWEEPS,
        Outcome::Event => a_day,
        Outcome::Flow => a_day.saturating_mul(4),
        Outcome::PlugIn => a_day.saturating_mul(2),
    }
}
