//! Rows whose creation was asked for and whose answer was lost: nobody knows whether they are there.

use std::collections::HashSet;
use std::sync::Mutex;

use record::Key;

#[derive(Debug, Default)]
pub(crate) struct Uncertain(Mutex<HashSet<Key>>);

impl Uncertain {
    pub fn add(&self, key: &Key) {
        self.keys().insert(key.clone());
    }

    /// Whether this row has to be asked for before it is created.
    pub fn has(&self, key: &Key) -> bool {
        self.keys().contains(key)
    }

    pub fn remove(&self, key: &Key) {
        self.keys().remove(key);
    }

    fn keys(&self) -> std::sync::MutexGuard<'_, HashSet<Key>> {
        self.0.lock().expect("nothing panics while it is held")
    }
}
