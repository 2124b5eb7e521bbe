//! When results are needed, and what is late: by a clock of its own.
//!
//! A slot that falls due opens a deadline, a good run that began at the slot or later meets it, and a watcher on a thread
//! of its own notes what has passed. It does not ask the scheduler or a run how they are: a hub that hangs is late too.
//! A failed attempt is not lateness; neither is a run that waits for an approval, until its deadline has passed.

use std::collections::BTreeMap;
use std::time::Duration;

use definition::{Batch, Missed, NeededBy, Pattern, Project};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use store::deadlines::{self, Deadline};
use store::{Op, OpResult, Store};

use crate::schedule;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(500);

/// What is known of an integration when its deadlines are worked out.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The deadline whose result is not there yet.
    pub open: Option<Deadline>,
    /// When the newest good run began: what was due by then is there.
    pub good: Option<Timestamp>,
    pub paused: bool,
    /// When the last pause ended: what fell due meanwhile is waited for from then on.
    pub resumed: Option<Timestamp>,
}

/// What is to be noted.
#[derive(Debug, Clone, PartialEq)]
pub enum Noted {
    Open {
        slot: Timestamp,
        needed: Timestamp,
    },
    /// The open one, or one that was never noted as open, has passed.
    Missed {
        slot: Timestamp,
        needed: Timestamp,
    },
    Dropped,
}

/// When the result of a slot is needed. Pure.
///
/// *Shape*: a time of the day is the first one after the slot, by the clocks of the zone; one that they skip is when they
/// have been put forward, one that is there twice is the first.
pub fn needed(by: NeededBy, slot: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    match by {
        NeededBy::Within(time) => slot.checked_add(SignedDuration::try_from(time).ok()?).ok(),
        NeededBy::At(at) => schedule::next(&definition::Schedule::Daily { at }, zone, slot),
    }
}

/// What to note of one integration at a moment. Pure.
///
/// `started` is when somebody began to look: where an integration that never had a good run counts from.
pub fn look(batch: &Batch, known: &Known, zone: &TimeZone, started: Timestamp, now: Timestamp) -> Option<Noted> {
    let Some(by) = batch.needed_by.filter(|_| !known.paused) else {
        // Nobody waits for what a person has stopped.
        return known.open.as_ref().map(|_| Noted::Dropped);
    };
    if let Some(Deadline { slot, needed, missed, .. }) = known.open {
        return (missed.is_none() && needed <= now).then_some(Noted::Missed { slot, needed });
    }
    let resumed = known.resumed.unwrap_or(Timestamp::MIN);
    let slot = match known.good {
        None => started.max(resumed),
        Some(good) => {
            // What was missed is left out, or is answered as soon as the pause is over.
            let since = if batch.missed == Missed::Skip { good.max(resumed) } else { good };
            // The oldest slot that the last good run does not answer.
            schedule::next(&batch.schedule, zone, since).filter(|slot| *slot <= now)?.max(resumed)
        }
    };
    Some(Noted::Open { slot, needed: needed(by, slot, zone)? })
}

/// The integrations that are late at a moment, whether somebody has noted it or not: also when no `up` runs.
///
/// *Errors*: of our own state.
pub fn late(project: &Project, store: &Store) -> Result<BTreeMap<String, Deadline>, store::Error> {
    let now = store.clock().now();
    let mut late = BTreeMap::new();
    for (name, batch, known) in known(project, store)? {
        let open = match look(batch, &known, &project.hub.time_zone, now, now) {
            Some(Noted::Open { slot, needed }) if known.good.is_some() => {
                Some(Deadline { integration: name.to_owned(), slot, needed, missed: None, met: None })
            }
            Some(Noted::Dropped) => None,
            _ => known.open,
        };
        late.extend(open.filter(|open| open.needed <= now).map(|open| (name.to_owned(), open)));
    }
    Ok(late)
}

fn known<'p>(project: &'p Project, store: &Store) -> Result<Vec<(&'p str, &'p Batch, Known)>, store::Error> {
    let (open, pauses, resumed) = (store.deadlines()?, store.pauses()?, store.resumptions()?);
    let mut all = Vec::new();
    for integration in &project.integrations {
        let Pattern::Batch(batch) = &integration.pattern else { continue };
        let name = integration.name.as_str();
        let open = open.iter().find(|deadline| deadline.integration == name).cloned();
        if batch.needed_by.is_none() && open.is_none() {
            continue;
        }
        let good = store.last_good_start(name)?;
        let paused = pauses.iter().any(|pause| pause.integration == name);
        all.push((name, batch, Known { open, good, paused, resumed: resumed.get(name).copied() }));
    }
    Ok(all)
}

/// Looks until it is told to stop. Blocks: give it a thread of its own, so that nothing that a run does holds it up.
pub fn watch(project: &Project, store: &Store, stop: impl Fn() -> bool) {
    let started = store.clock().now();
    let mut failing = false;
    while !stop() {
        match note(project, store, started) {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                failing = true;
                tracing::warn!("deadlines cannot be looked at, and are looked at again: {error}");
            }
            Err(_) => {}
        }
        std::thread::sleep(TICK);
    }
}

/// One look at the clock: notes what fell due and what has passed.
///
/// *Errors*: of our own state.
pub fn note(project: &Project, store: &Store, started: Timestamp) -> Result<(), store::Error> {
    let (zone, now) = (&project.hub.time_zone, store.clock().now());
    for (name, batch, known) in known(project, store)? {
        let integration = name.to_owned();
        let Some(noted) = look(batch, &known, zone, started, now) else { continue };
        let op = match &noted {
            Noted::Open { slot, needed } => deadlines::Op::Open { integration, slot: *slot, needed: *needed },
            Noted::Missed { slot, .. } => deadlines::Op::Miss { integration, slot: *slot },
            Noted::Dropped => deadlines::Op::Drop { integration },
        };
        let done = store.commit_blocking(vec![Op::from(op)])?;
        // Another process may have noted it first.
        if let (Noted::Missed { slot, needed }, [OpResult::Count(1)]) = (&noted, done.as_slice()) {
            let shown = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
            tracing::error!(
                integration = name,
                code = %crate::codes::LATE,
                "{}: {name} is late: its result was needed by {}, of the run that was due at {}; see why: ironbridge runs {name}",
                crate::codes::LATE,
                shown(*needed),
                shown(*slot)
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use definition::{LoadOptions, Schedule, load_files};
    use jiff::civil::time;

    fn batch(schedule: Schedule, needed_by: NeededBy) -> Batch {
        let files = [
            ("ironbridge.yaml", "hub: contoso\n"),
            ("people.yaml", "groups: { it: { email: it@contoso.example } }\n"),
            ("entities/thing.yaml", "entity: thing\nkey: number\nfields: { number: { type: text, max_length: 20 } }\n"),
            (
                "systems/a.yaml",
                "system: a\nkind: postgres\nowner: it\nconnection: { url: \"${env:A}\" }\nentities: { thing: { table: t, read: { number: n } } }\n",
            ),
            (
                "systems/b.yaml",
                "system: b\nkind: postgres\nowner: it\nconnection: { url: \"${env:B}\" }\nentities: { thing: { table: t, alternate_key: n, write: { n: number } } }\n",
            ),
            (
                "integrations/things.yaml",
                "integration: things\npattern: batch\nentity: thing\nfrom: a\nto: b\nschedule: every 15 minutes\nowner: it\npurpose: A test.\n",
            ),
        ];
        let kinds: Vec<_> = connectors::registry::kinds().collect();
        let options = LoadOptions { kinds: &kinds, ..LoadOptions::default() };
        let project = load_files(files, &options).project.unwrap();
        let Pattern::Batch(batch) = &project.integrations[0].pattern else { panic!("a batch") };
        Batch { schedule, needed_by: Some(needed_by), ..batch.clone() }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_of_the_day_is_the_first_after_the_slot() {
        let zone = TimeZone::get("Europe/London").unwrap();
        for (by, slot, expected) in [
            (time(6, 0, 0, 0), "2026-01-10T04:00:00Z", "2026-01-10T06:00:00Z"),
            (time(6, 0, 0, 0), "2026-07-10T03:00:00Z", "2026-07-10T05:00:00Z"),
            (time(6, 0, 0, 0), "2026-01-10T22:00:00Z", "2026-01-11T06:00:00Z"),
            // The clocks skip 01:30 on 29 March, and show it twice on 25 October.
            (time(1, 30, 0, 0), "2026-03-29T00:00:00Z", "2026-03-29T01:30:00Z"),
            (time(1, 30, 0, 0), "2026-10-24T23:00:00Z", "2026-10-25T00:30:00Z"),
        ] {
            assert_eq!(needed(NeededBy::At(by), at(slot), &zone), Some(at(expected)), "{by} after {slot}");
        }
    }

    #[test]
    fn a_failed_attempt_is_not_late_and_a_missing_result_is() {
        let batch = batch(Schedule::Every(Duration::from_secs(900)), NeededBy::Within(Duration::from_secs(3600)));
        let look =
            |known: &Known, now: &str| super::look(&batch, known, &TimeZone::UTC, at("2026-11-23T09:00:00Z"), at(now));
        let good = |began: &str| Known { good: Some(at(began)), ..Known::default() };
        assert_eq!(look(&good("2026-11-23T10:00:01Z"), "2026-11-23T10:14:59Z"), None, "nothing was due since");
        let slot = at("2026-11-23T10:15:00Z");
        let opened = Some(Noted::Open { slot, needed: at("2026-11-23T11:15:00Z") });
        assert_eq!(look(&good("2026-11-23T10:00:01Z"), "2026-11-23T10:15:00Z"), opened);
        // However many attempts have failed: only the clock counts.
        let open = Deadline {
            integration: "things".into(),
            slot,
            needed: at("2026-11-23T11:15:00Z"),
            missed: None,
            met: None,
        };
        let mut known = Known { open: Some(open), good: Some(at("2026-11-23T10:00:01Z")), ..Known::default() };
        assert_eq!(look(&known, "2026-11-23T11:14:59Z"), None);
        let missed = Some(Noted::Missed { slot, needed: at("2026-11-23T11:15:00Z") });
        assert_eq!(look(&known, "2026-11-23T11:15:00Z"), missed);
        known.paused = true;
        assert_eq!(look(&known, "2026-11-23T11:15:00Z"), Some(Noted::Dropped), "nobody waits for what was paused");
        known.paused = false;
        known.open.as_mut().unwrap().missed = Some(at("2026-11-23T11:15:00Z"));
        assert_eq!(look(&known, "2026-11-23T14:00:00Z"), None, "it is noted once");
        // A hub that was down through the night is late for the slot that it slept through, not for the newest.
        let slept = Some(Noted::Open { slot, needed: at("2026-11-23T11:15:00Z") });
        assert_eq!(look(&good("2026-11-23T10:00:01Z"), "2026-11-24T08:00:00Z"), slept);
    }

    #[test]
    fn a_pause_that_is_over_has_made_nothing_late() {
        let daily = Schedule::Daily { at: time(2, 0, 0, 0) };
        let mut batch = batch(daily, NeededBy::Within(Duration::from_secs(3600)));
        let known = Known {
            good: Some(at("2026-11-20T02:00:05Z")),
            resumed: Some(at("2026-11-23T09:00:00Z")),
            ..Known::default()
        };
        let look =
            |batch: &Batch, now: &str| super::look(batch, &known, &TimeZone::UTC, at("2026-11-01T09:00:00Z"), at(now));
        // The run of what was missed begins at once, and has its hour from then on.
        let owed = Some(Noted::Open { slot: at("2026-11-23T09:00:00Z"), needed: at("2026-11-23T10:00:00Z") });
        assert_eq!(look(&batch, "2026-11-23T09:00:01Z"), owed);
        assert_eq!(look(&batch, "2026-11-23T11:00:00Z"), owed);
        batch.missed = Missed::Skip;
        assert_eq!(look(&batch, "2026-11-23T09:00:01Z"), None);
        let next = Some(Noted::Open { slot: at("2026-11-24T02:00:00Z"), needed: at("2026-11-24T03:00:00Z") });
        assert_eq!(look(&batch, "2026-11-24T02:00:00Z"), next);
    }

    /// A year with both clock changes: runs that take a while, fail now and then, and once stay away for hours.
    #[test]
    fn a_year_of_deadlines() {
        let zone = TimeZone::get("Europe/London").unwrap();
        let (start, end) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
        let daily = Schedule::Daily { at: time(1, 30, 0, 0) };
        let quarter = Schedule::Every(Duration::from_secs(900));
        for (schedule, by, days_late) in [
            (daily.clone(), NeededBy::Within(Duration::from_secs(3600)), vec![3, 87, 100, 297, 298]),
            (daily, NeededBy::At(time(6, 0, 0, 0)), vec![3, 87, 100, 297, 298]),
            (quarter, NeededBy::At(time(6, 0, 0, 0)), vec![3, 87, 100]),
        ] {
            let batch = batch(schedule.clone(), by);
            let step = SignedDuration::from_mins(if matches!(schedule, Schedule::Every(_)) { 5 } else { 30 });
            let (mut known, mut now) = (Known { good: Some(start), ..Known::default() }, start);
            let (mut opened, mut missed, mut due) = (0, Vec::new(), None::<Timestamp>);
            while now < end {
                let day = now.to_zoned(zone.clone()).day_of_year();
                match look(&batch, &known, &zone, start, now) {
                    Some(Noted::Open { slot, needed }) => {
                        opened += 1;
                        let wait = needed.duration_since(slot);
                        assert!(
                            wait > SignedDuration::ZERO && wait <= SignedDuration::from_hours(25),
                            "{slot} {needed}"
                        );
                        if let NeededBy::At(time) = by {
                            assert_eq!(needed.to_zoned(zone.clone()).time(), time, "by the clocks of the zone");
                        }
                        known.open = Some(Deadline { integration: "x".into(), slot, needed, missed: None, met: None });
                        due = Some(slot);
                    }
                    Some(Noted::Missed { needed, .. }) => {
                        known.open.as_mut().unwrap().missed = Some(now);
                        missed.push(needed.to_zoned(zone.clone()).day_of_year());
                    }
                    Some(Noted::Dropped) => panic!("nothing is paused"),
                    None => {}
                }
                // The run of the slot is through one step later; on some days it stays away until noon.
                let away = days_late.contains(&day) && now.to_zoned(zone.clone()).hour() < 12;
                if due.is_some_and(|slot| now.duration_since(slot) >= step) && !away {
                    known = Known { good: Some(now), ..Known::default() };
                    due = None;
                }
                now = now.checked_add(step).unwrap();
            }
            assert_eq!(missed, days_late, "{schedule:?} {by:?}");
            assert!(opened >= 364, "{schedule:?}: {opened}");
        }
    }
}
