//! What changes because of what holds: alerts that open, go on and end, and who is told. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use store::alerts::{Alert, NoticeKind, Notified, Op, Opening, Severity, Silence};

use super::conditions::Condition;
use super::kind::Kind;
use super::routes::Route;
use definition::Way;

/// An open alert, with the notices about it.
pub type Standing = (Alert, Vec<Notified>);

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Of an alert, as it is written.
    Write(Op),
    /// A notice to one route; alerts with more than one key are told of together.
    Tell(Tell),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Tell {
    pub route: Route,
    pub kind: NoticeKind,
    pub severity: Severity,
    pub about: String,
    /// The alerts that it tells of.
    pub keys: Vec<String>,
}

/// What follows from something else is told of this long after that is over, if it is not over by then too.
const GRACE: SignedDuration = SignedDuration::from_mins(15);
/// How the matter of several alerts begins that are told of together.
pub(super) const SEVERAL: &str = "several/";
/// More alerts than this, that open at once for one route, are one notice.
const TOGETHER: usize = 3;

/// What changes at a moment.
///
/// `wanted` says who is told of an alert now, and how bad it is for them. Each of them is told once, and once that it is
/// over; whoever comes into question later (by the hour, or because it got worse) is told then. *Shape*: in the order in
/// which it is to be written.
pub fn evaluate(
    conditions: &[Condition],
    standing: &[Standing],
    silences: &[Silence],
    wanted: &dyn Fn(&Opening) -> Vec<(Route, Severity)>,
    now: Timestamp,
) -> Vec<Change> {
    let holding: BTreeMap<&str, &Condition> = conditions.iter().map(|c| (c.key.as_str(), c)).collect();
    let known: BTreeMap<&str, &Standing> = standing.iter().map(|s| (s.0.key.as_str(), s)).collect();
    let mut changes = Vec::new();
    let ends: BTreeSet<&str> = standing
        .iter()
        .filter(|(alert, _)| !holding.contains_key(alert.key.as_str()) && is_over(alert, now))
        .map(|(alert, _)| alert.key.as_str())
        .collect();
    // Something is a cause as long as it is open, also while it may come back.
    let open = |key: &str| key_is_open(key, &holding, &known, &ends);
    let mut to_tell: Vec<(Opening, Vec<(Route, Severity)>)> = Vec::new();
    for condition in conditions {
        let cause = condition.cause.clone().filter(|cause| open(cause));
        let mut opening = opening(condition, cause.clone());
        let mut quiet_until = None;
        let mut told: &[Notified] = &[];
        let mut acked = false;
        match known.get(condition.key.as_str()) {
            None => write(&mut changes, Op::Open(Box::new(opening.clone()))),
            Some((alert, notices)) => {
                told = notices;
                acked = alert.acked.is_some();
                // It began when it began, and does not get better before it is over.
                opening.saying.since = opening.saying.since.min(alert.saying.since);
                opening.saying.severity = opening.saying.severity.max(alert.saying.severity);
                if alert.gone.is_some() {
                    write(&mut changes, Op::Gone { key: alert.key.clone(), gone: false });
                }
                if opening.saying != alert.saying {
                    let saying = Box::new(opening.saying.clone());
                    write(&mut changes, Op::Update { key: alert.key.clone(), saying });
                }
                quiet_until = alert.quiet_until;
                if cause != alert.cause {
                    quiet_until = if cause.is_none() { now.checked_add(GRACE).ok() } else { None };
                    write(&mut changes, Op::Cause { key: alert.key.clone(), cause: cause.clone(), quiet_until });
                }
            }
        }
        let quiet = cause.is_some()
            || acked
            || quiet_until.is_some_and(|until| until > now)
            || silences.iter().any(|silence| covers(silence, &opening, now));
        if !quiet {
            let mut routes = wanted(&opening);
            routes.retain(|(route, severity)| !was_told(told, route, *severity));
            if !routes.is_empty() {
                to_tell.push((opening, routes));
            }
        }
    }
    tell_openings(&to_tell, &known, now, &mut changes);
    for (alert, _) in standing.iter().filter(|(alert, _)| !holding.contains_key(alert.key.as_str())) {
        if alert.gone.is_none() && !ends.contains(alert.key.as_str()) {
            write(&mut changes, Op::Gone { key: alert.key.clone(), gone: true });
        }
    }
    tell_ends(standing, &ends, &mut changes);
    changes.extend(ends.iter().map(|key| Change::Write(Op::Resolve { key: (*key).to_owned() })));
    changes
}

fn write(changes: &mut Vec<Change>, op: Op) {
    changes.push(Change::Write(op));
}

fn key_is_open(
    key: &str,
    holding: &BTreeMap<&str, &Condition>,
    known: &BTreeMap<&str, &Standing>,
    ends: &BTreeSet<&str>,
) -> bool {
    holding.contains_key(key) || known.contains_key(key) && !ends.contains(key)
}

/// Whether an alert whose condition does not hold any more is over.
fn is_over(alert: &Alert, now: Timestamp) -> bool {
    let calm = Kind::of(&alert.kind).map_or(Duration::ZERO, Kind::calm);
    calm.is_zero() || alert.gone.is_some_and(|gone| gone.checked_add(calm).is_ok_and(|then| then <= now))
}

fn opening(condition: &Condition, cause: Option<String>) -> Opening {
    Opening {
        key: condition.key.clone(),
        kind: condition.kind.word().to_owned(),
        integration: condition.integration.clone(),
        system: condition.system.clone(),
        saying: condition.saying.clone(),
        cause,
    }
}

/// Whether a silence is about this.
fn covers(silence: &Silence, opening: &Opening, now: Timestamp) -> bool {
    silence.until > now && silence.covers([&opening.integration, &opening.system, &opening.key, &opening.kind])
}

fn was_told(told: &[Notified], route: &Route, severity: Severity) -> bool {
    told.iter().any(|n| n.kind == NoticeKind::Opened && n.route == route.name() && n.severity >= severity)
}

/// The notices of what opens: one for each alert and route, or one for several where they are many.
fn tell_openings(
    to_tell: &[(Opening, Vec<(Route, Severity)>)],
    known: &BTreeMap<&str, &Standing>,
    now: Timestamp,
    changes: &mut Vec<Change>,
) {
    let mut by_route: BTreeMap<&Route, Vec<Told<'_>>> = BTreeMap::new();
    for (opening, routes) in to_tell {
        for (route, severity) in routes {
            by_route.entry(route).or_default().push((opening, *severity));
        }
    }
    for (route, openings) in by_route {
        let earlier = |opening: &Opening| {
            let (_, notices) = known.get(opening.key.as_str())?;
            notices.iter().find(|notice| notice.route == route.name()).map(|notice| notice.about.clone())
        };
        let (again, new): (Vec<Told<'_>>, Vec<Told<'_>>) =
            openings.into_iter().partition(|(opening, _)| earlier(opening).is_some());
        let single = |told: Told<'_>| {
            let opening = told.0;
            let opened = known.get(opening.key.as_str()).map_or(now, |(alert, _)| alert.opened);
            let about = earlier(opening).unwrap_or(format!("{}@{}", opening.key, opened.as_millisecond()));
            tell(route, about, &[told])
        };
        // PagerDuty gathers by itself, and closes each by its own key.
        if new.len() > TOGETHER && route.way != Way::PagerDuty {
            let about = format!("{SEVERAL}{}@{}", new[0].0.key, now.as_millisecond());
            changes.push(Change::Tell(tell(route, about, &new)));
        } else {
            changes.extend(new.into_iter().map(|told| Change::Tell(single(told))));
        }
        changes.extend(again.into_iter().map(|told| Change::Tell(single(told))));
    }
}

/// What somebody is told of, and how bad it is for them.
type Told<'o> = (&'o Opening, Severity);

fn tell(route: &Route, about: String, openings: &[Told<'_>]) -> Tell {
    let severity = openings.iter().map(|(_, severity)| *severity).max().unwrap_or(Severity::Warning);
    let keys = openings.iter().map(|(opening, _)| opening.key.clone()).collect();
    Tell { route: route.clone(), kind: NoticeKind::Opened, severity, about, keys }
}

/// Whoever was told that it began is told that it is over: of several that were told of together, once all of them are.
fn tell_ends(standing: &[Standing], ends: &BTreeSet<&str>, changes: &mut Vec<Change>) {
    let mut told: BTreeMap<(&str, &str), Vec<(&Alert, Severity)>> = BTreeMap::new();
    for (alert, notices) in standing {
        for notice in notices.iter().filter(|notice| notice.kind == NoticeKind::Opened) {
            told.entry((&notice.about, &notice.route)).or_default().push((alert, notice.severity));
        }
    }
    for ((about, route), alerts) in told {
        let Some(route) = Route::of(route) else { continue };
        if !alerts.iter().all(|(alert, _)| ends.contains(alert.key.as_str())) {
            continue;
        }
        let severity = alerts.iter().map(|(_, severity)| *severity).max().unwrap_or(Severity::Warning);
        let mut keys: Vec<String> = alerts.iter().map(|(alert, _)| alert.key.clone()).collect();
        keys.dedup();
        let kind = NoticeKind::Resolved;
        changes.push(Change::Tell(Tell { route, kind, severity, about: about.to_owned(), keys }));
    }
}

#[cfg(test)]
mod tests;
