//! Which files a read takes, decided from what is listed. No IO, no clock.

use std::time::Duration;

use record::Fault;

use super::cursor::{Cursor, Known, Midway};
use super::fault;
use super::place::Entry;
use super::settings::{Afterwards, Pattern, Ready, Settings};

/// What there is to choose from.
pub(super) struct Listed<'a> {
    pub system: &'a str,
    /// Where it is, for people.
    pub place: &'a str,
    /// Everything in the folder.
    pub here: &'a [Entry],
    /// Everything in the folder of `afterwards: move to`.
    pub done: &'a [Entry],
    /// In milliseconds since 1970.
    pub now: i64,
}

/// A file to read, and how far it was read if it is still the same file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub entry: Entry,
    pub resume: Option<Midway>,
}

/// Decides. *Shape*: at most one file where each has everything; else all that wait, in their order.
///
/// *Errors*: there is nothing to read and should be.
pub(super) fn choose(settings: &Settings, cursor: Option<&Cursor>, listed: &Listed<'_>) -> Result<Vec<Step>, Fault> {
    let mut waiting: Vec<&Entry> = listed.here.iter().filter(|entry| is_wanted(settings, &entry.name)).collect();
    waiting.sort_by(|a, b| order(a).cmp(&order(b)));
    let mut done: Vec<&Entry> = listed.done.iter().filter(|entry| was_wanted(settings, &entry.name)).collect();
    done.sort_by(|a, b| order(a).cmp(&order(b)));

    let mut steps = Vec::new();
    if let Some(at) = cursor.and_then(|cursor| cursor.at.as_ref()) {
        let known = &at.known;
        let same = waiting.iter().find(|entry| known.is(entry)).or_else(|| done.iter().find(|e| e.name == known.name));
        let changed = waiting.iter().any(|entry| entry.name == known.name);
        match same {
            Some(entry) => steps.push(Step { entry: (*entry).clone(), resume: Some(at.clone()) }),
            // What is newer has all that this one had; what was sent anew is read like any other.
            None if settings.whole || changed => {}
            None => return Err(fault::gone(listed.system, &known.name, at.rows)),
        }
    }
    if settings.whole && !steps.is_empty() {
        return Ok(steps);
    }

    let ready: Vec<(&Entry, Result<(), NotReady>)> =
        waiting.into_iter().map(|entry| (entry, is_ready(settings, entry, listed))).collect();
    let is_good = |(entry, ready): &(&Entry, Result<(), NotReady>)| ready.is_ok().then(|| (*entry).clone());
    if settings.whole {
        let after = cursor.and_then(|cursor| cursor.read.last());
        let is_new = |entry: &Entry| after.is_none_or(|known| order(entry) > known.order());
        let new = || ready.iter().filter(|(entry, _)| is_new(entry));
        let chosen = if settings.newest || cursor.is_none() {
            new().filter_map(is_good).next_back()
        } else {
            new().map(is_good).next().flatten()
        };
        // All rows are asked for once more, and the last file has been put away.
        let chosen = chosen.or_else(|| done.last().filter(|_| cursor.is_none()).map(|entry| (*entry).clone()));
        if let Some(entry) = chosen {
            return Ok(vec![Step { entry, resume: None }]);
        }
        return match (cursor, ready.into_iter().find_map(|(entry, ready)| Some((entry, ready.err()?)))) {
            (Some(_), _) => Ok(Vec::new()),
            (None, Some((entry, not))) => Err(fault::not_ready(listed.system, &entry.name, &not.why, not.wait)),
            (None, None) if settings.afterwards == Afterwards::Delete => Ok(Vec::new()),
            (None, None) => Err(fault::no_file(listed.system, &settings.pattern.0, listed.place)),
        };
    }

    let is_read = |entry: &Entry| {
        let resumed = steps.first().is_some_and(|step| step.entry.name == entry.name);
        resumed || cursor.is_some_and(|cursor| cursor.read.iter().any(|known| known.is(entry)))
    };
    let again = done.into_iter().filter(|_| cursor.is_none()).cloned();
    // What comes after a file that is not whole waits for it: changes have an order.
    let new = ready.iter().filter(|(entry, _)| !is_read(entry)).map_while(is_good);
    let all: Vec<Entry> = again.chain(new).collect();
    steps.extend(all.into_iter().map(|entry| Step { entry, resume: None }));
    Ok(steps)
}

/// Why a file that is there is not read yet, where one is not; and where none was ever read, that none has such a name.
pub(super) fn left(settings: &Settings, cursor: Option<&Cursor>, listed: &Listed<'_>) -> Option<String> {
    let is_read = |entry: &Entry| cursor.is_some_and(|cursor| cursor.read.iter().any(|known| known.is(entry)));
    let mut waiting: Vec<&Entry> =
        listed.here.iter().filter(|entry| is_wanted(settings, &entry.name) && !is_read(entry)).collect();
    let never = cursor.is_none() && !listed.done.iter().any(|entry| was_wanted(settings, &entry.name));
    if never && waiting.is_empty() && !listed.here.is_empty() {
        let (place, pattern, others) = (listed.place, &settings.pattern.0, listed.here.len());
        let others = if others == 1 { "1 other is".to_owned() } else { format!("{others} others are") };
        return Some(format!("no file in {place} has a name like `{pattern}`, and {others} there (`file:`)"));
    }
    waiting.sort_by(|a, b| order(a).cmp(&order(b)));
    let not_ready = |entry: &&Entry| Some((entry.name.clone(), is_ready(settings, entry, listed).err()?.why));
    let (name, why) = waiting.iter().find_map(not_ready)?;
    Some(format!("`{name}` is not whole yet: {why}; a later run reads it (`ready_when:`)"))
}

/// The files that a position leaves behind.
pub(super) fn settled<'a>(settings: &Settings, cursor: &Cursor, here: &'a [Entry]) -> Vec<&'a Entry> {
    let is_read = |entry: &Entry| match cursor.read.last() {
        None => false,
        // What a newer one has made worthless is put away with it.
        Some(last) if settings.whole => order(entry) <= last.order(),
        Some(_) => cursor.read.iter().any(|known: &Known| known.is(entry)),
    };
    let mut found: Vec<&Entry> =
        here.iter().filter(|entry| is_wanted(settings, &entry.name) && is_read(entry)).collect();
    found.sort_by(|a, b| order(a).cmp(&order(b)));
    found
}

/// The name of the file that says that this one is whole, where it is that one's own.
pub(super) fn marker(settings: &Settings, name: &str) -> Option<String> {
    let Ready::Exists(marker) = &settings.ready else { return None };
    let star = settings.pattern.matches(name)?;
    marker.contains('*').then(|| marker.replacen('*', star, 1))
}

/// Names that differ from all that are taken: `prices.csv`, else `prices.20261126-021500.csv`.
pub(super) fn free_name(entry: &Entry, taken: &[Entry]) -> String {
    if taken.iter().all(|other| other.name != entry.name) {
        return entry.name.clone();
    }
    let at = jiff::Timestamp::from_millisecond(entry.modified).unwrap_or_default();
    let stamp = at.strftime("%Y%m%d-%H%M%S");
    match entry.name.rsplit_once('.') {
        Some((stem, ending)) => format!("{stem}.{stamp}.{ending}"),
        None => format!("{}.{stamp}", entry.name),
    }
}

fn order(entry: &Entry) -> (i64, &str) {
    (entry.modified, &entry.name)
}

fn is_wanted(settings: &Settings, name: &str) -> bool {
    let is_marker = match &settings.ready {
        Ready::Exists(marker) => Pattern(marker.clone()).matches(name).is_some() && *marker != settings.pattern.0,
        Ready::Unchanged(_) => false,
    };
    !is_marker && settings.pattern.matches(name).is_some()
}

/// A file that was put away, perhaps under a name with its time.
fn was_wanted(settings: &Settings, name: &str) -> bool {
    if is_wanted(settings, name) {
        return true;
    }
    let parts: Vec<&str> = name.split('.').collect();
    let is_stamp = |part: &&str| {
        part.len() == 15 && part.bytes().enumerate().all(|(at, b)| if at == 8 { b == b'-' } else { b.is_ascii_digit() })
    };
    parts.iter().any(is_stamp)
        && is_wanted(settings, &parts.iter().filter(|part| !is_stamp(part)).copied().collect::<Vec<_>>().join("."))
}

struct NotReady {
    why: String,
    wait: Option<Duration>,
}

fn is_ready(settings: &Settings, entry: &Entry, listed: &Listed<'_>) -> Result<(), NotReady> {
    match &settings.ready {
        Ready::Unchanged(time) => {
            let wanted = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
            let since = listed.now.saturating_sub(entry.modified);
            if since >= wanted {
                return Ok(());
            }
            let wait = Duration::from_millis(wanted.saturating_sub(since).unsigned_abs());
            let why = if since < 0 {
                format!("its time of change is {} seconds ahead of our clock", since.unsigned_abs().div_ceil(1000))
            } else {
                format!("it was changed {} seconds ago, and is read {} seconds after that", since / 1000, wanted / 1000)
            };
            Err(NotReady { why, wait: Some(wait) })
        }
        Ready::Exists(name) => {
            let star = settings.pattern.matches(&entry.name).unwrap_or_default();
            let name = if name.contains('*') { name.replacen('*', star, 1) } else { name.clone() };
            if listed.here.iter().any(|other| other.name == name) {
                return Ok(());
            }
            Err(NotReady { why: format!("`{name}` is not there"), wait: None })
        }
    }
}

#[cfg(test)]
mod tests;
