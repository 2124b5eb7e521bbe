//! Keys that callers prove themselves with: senders of webhooks, and who asks for virtual tables.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use definition::{Project, System};
use record::{Fault, OptionValue, Options, Secret};
use subtle::ConstantTimeEq;

use crate::failure::Failure;
use crate::wiring::{MachineSecrets, SECRET_MISSING};

/// A file with a key is read again this often at most, while somebody calls.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// The keys of one system, as they are now: one in a file that was replaced needs no restart.
#[derive(Default)]
pub struct Keys {
    known: Mutex<Known>,
    /// Where some of them are in files.
    files: Option<Box<Read>>,
}

type Read = dyn Fn() -> Result<Vec<Secret>, Fault> + Send + Sync;

#[derive(Default)]
struct Known {
    keys: Arc<[Secret]>,
    read: Option<Instant>,
}

impl From<Vec<Secret>> for Keys {
    fn from(keys: Vec<Secret>) -> Keys {
        Keys { known: Mutex::new(Known { keys: keys.into(), read: None }), files: None }
    }
}

impl Keys {
    /// The keys that prove that an event comes from this system.
    ///
    /// *Errors*: a key has no value, or an empty one, with which everybody could send events.
    pub fn of_webhooks(project: &Project, system: &System) -> Result<Keys, Failure> {
        let written = system.webhooks.as_ref().map(|webhooks| webhooks.keys.clone()).unwrap_or_default();
        Keys::of(project, system, written, "webhooks")
    }

    /// The keys that prove that this system asks for the rows of virtual tables.
    ///
    /// *Errors*: a key has no value, or an empty one, with which everybody could ask.
    pub fn of_virtual_tables(project: &Project, system: &System) -> Result<Keys, Failure> {
        let written = system.odata.as_ref().map(|odata| odata.keys.clone()).unwrap_or_default();
        Keys::of(project, system, written, "virtual tables")
    }

    fn of(project: &Project, system: &System, written: Vec<String>, of: &'static str) -> Result<Keys, Failure> {
        let (secrets, name) = (MachineSecrets::new(&project.dir), system.name.clone());
        let in_files = written.iter().any(|key| key.contains("${file:"));
        let read = move || resolved(&secrets, &name, &written, of);
        let keys = Keys::from(read()?);
        Ok(Keys { files: in_files.then(|| Box::new(read) as Box<Read>), ..keys })
    }

    pub fn now(&self) -> Arc<[Secret]> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = &self.files
            && known.read.is_none_or(|at| at.elapsed() >= READ_AGAIN)
        {
            known.read = Some(Instant::now());
            // Where that fails somebody is about to replace one; those that are known hold until then.
            if let Ok(keys) = read() {
                known.keys = keys.into();
            }
        }
        known.keys.clone()
    }

    /// Whether none was ever given.
    pub fn is_empty(&self) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).keys.is_empty()
    }

    /// Whether a header, or a value of the query, offers one of them. Every key is compared, whole, so that the time says
    /// nothing about which one was nearly right.
    pub fn admit<'q>(&self, header: Option<&HeaderValue>, queried: impl Iterator<Item = &'q str>) -> bool {
        let keys = self.now();
        let opens =
            |offer: &[u8]| keys.iter().fold(false, |good, key| good | bool::from(key.reveal().as_bytes().ct_eq(offer)));
        let by_header = header.is_some_and(|value| opens(value.as_bytes()));
        // A `+` of a key is a blank to whoever reads a query, unless its sender has encoded it.
        queried
            .fold(by_header, |good, value| good | opens(value.as_bytes()) | opens(value.replace(' ', "+").as_bytes()))
    }
}

fn resolved(secrets: &MachineSecrets, system: &str, written: &[String], of: &str) -> Result<Vec<Secret>, Fault> {
    let written = written.iter().cloned().map(OptionValue::Text).collect();
    let given = Options(BTreeMap::from([("keys".to_owned(), OptionValue::List(written))]));
    let lacks = |what: String| {
        Fault::ask_person(SECRET_MISSING, what).at_system(system).fix("give it its value, and start again")
    };
    let resolved = given
        .resolve(secrets)
        .map_err(|missing| lacks(format!("the {of} of `{system}` lack a key: {}", missing.join("; "))))?;
    let Some(OptionValue::List(keys)) = resolved.get("keys") else { return Ok(Vec::new()) };
    let keys = keys.iter().filter_map(|key| match key {
        OptionValue::Text(text) => Some(Secret::new(text)),
        OptionValue::Secret(secret) => Some(secret.clone()),
        _ => None,
    });
    let keys: Vec<Secret> = keys.collect();
    if keys.iter().any(|key| key.reveal().is_empty()) {
        return Err(lacks(format!("a key of the {of} of `{system}` is empty")));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_a_file_is_the_one_that_is_there_now() {
        let dir = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(dir.path().join("hook.key"), text).unwrap();
        write("old\n");
        let (secrets, written) = (MachineSecrets::new(dir.path()), vec!["${file:hook.key}".to_owned()]);
        let read = move || resolved(&secrets, "shop", &written, "webhooks");
        let keys = Keys { files: Some(Box::new(read)), ..Keys::default() };
        let admits = |key: &str| {
            keys.known.lock().unwrap().read = None;
            keys.admit(Some(&key.parse().unwrap()), std::iter::empty())
        };
        assert!(admits("old") && !admits("new"));
        write("new\n");
        assert!(admits("new") && !admits("old"));
        // Half replaced: nobody gets in without a key, and who had one still does.
        write("");
        assert!(admits("new") && !admits(""));
        std::fs::remove_file(dir.path().join("hook.key")).unwrap();
        assert!(admits("new"));
    }
}
