//! What ran when, by the hour, over the last week.
//!
//! A run that has ended does not change, so what was summed up once is kept: a page adds up only the runs since.

use std::collections::BTreeMap;

use definition::{Integration, Pattern};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use store::Store;
use store::lists::Hour;
use store::runs::RunId;

/// How far back a chart goes.
pub const HOURS: i64 = 7 * 24;

/// The hours that are summed up already.
#[derive(Debug, Default)]
pub struct History(Mutex<Option<Kept>>);

#[derive(Debug)]
struct Kept {
    hours: BTreeMap<Timestamp, Hour>,
    /// Every run before this one is in them.
    before: RunId,
}

impl History {
    /// The hours of the last week in which something began, oldest first, over all integrations.
    ///
    /// *Errors*: of our own state.
    pub fn week(&self, store: &Store, now: Timestamp) -> Result<Vec<Hour>, store::Error> {
        let begin = hour_of(now) - SignedDuration::from_hours(HOURS - 1);
        let mut kept = self.0.lock();
        let kept = match &mut *kept {
            Some(kept) => kept,
            none => none.insert(Kept { hours: BTreeMap::new(), before: store.first_run_since(begin)? }),
        };
        // What goes on may still change, and so may nothing before it.
        let ended = match store.first_running()? {
            Some(running) => running,
            None => store.first_run_since(now)?,
        };
        if ended > kept.before {
            add(&mut kept.hours, store.run_hours(None, kept.before, Some(ended))?);
            kept.before = ended;
        }
        kept.hours = kept.hours.split_off(&begin);
        let mut hours = kept.hours.clone();
        add(&mut hours, store.run_hours(None, kept.before, None)?);
        Ok(hours.into_values().collect())
    }
}

/// The same of one integration, counted anew.
///
/// *Errors*: of our own state.
pub fn week_of(store: &Store, integration: &str, now: Timestamp) -> Result<Vec<Hour>, store::Error> {
    let begin = hour_of(now) - SignedDuration::from_hours(HOURS - 1);
    store.run_hours(Some(integration), store.first_run_since(begin)?, None)
}

/// How many messages an integration delivered in each hour of the last week, to all of its destinations.
///
/// *Errors*: of our own state.
pub fn messages_of(store: &Store, integration: &Integration, now: Timestamp) -> Result<Vec<Hour>, store::Error> {
    let begin = hour_of(now) - SignedDuration::from_hours(HOURS - 1);
    let Pattern::Event(event) = &integration.pattern else { return Ok(Vec::new()) };
    let mut hours = BTreeMap::new();
    for to in &event.to {
        let traffic = store.traffic(
            &hub::events::subscription(&integration.name, to),
            begin,
            now + SignedDuration::from_hours(1),
        )?;
        let hour = |(at, written)| Hour { at, written, good: 0, with_dead_letters: 0, failed: 0, read: 0, rejected: 0 };
        add(&mut hours, traffic.into_iter().map(hour).collect());
    }
    Ok(hours.into_values().collect())
}

/// The beginning of an hour, in UTC.
pub fn hour_of(at: Timestamp) -> Timestamp {
    at - SignedDuration::from_secs(at.as_second().rem_euclid(3600))
        - SignedDuration::from_nanos(i64::from(at.subsec_nanosecond()))
}

fn add(hours: &mut BTreeMap<Timestamp, Hour>, more: Vec<Hour>) {
    for hour in more {
        hours
            .entry(hour.at)
            .and_modify(|sum| {
                sum.good += hour.good;
                sum.with_dead_letters += hour.with_dead_letters;
                sum.failed += hour.failed;
                sum.read += hour.read;
                sum.written += hour.written;
                sum.rejected += hour.rejected;
            })
            .or_insert(hour);
    }
}
