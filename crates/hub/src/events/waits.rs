//! Messages that wait for a row which they point to: they go on as soon as it is written, by whichever integration.
//!
//! What is here is only a reminder: it is lost with the process, and a message whose parent came some other way is looked
//! at again by the clock.

use std::collections::BTreeMap;

use store::Store;

use crate::parents::{Parent, still_missing};

/// So many messages are woken; those beyond are looked at by the clock alone.
const WAITS_MAX: usize = 1_000;

/// The rows that each message waits for, by the message's number.
#[derive(Debug, Default)]
pub(crate) struct Waits(BTreeMap<i64, Vec<Parent>>);

impl Waits {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A message waits for these rows; for none of them any more where there are none.
    pub fn note(&mut self, seq: i64, missing: Vec<Parent>) {
        self.0.remove(&seq);
        if !missing.is_empty() && self.0.len() < WAITS_MAX {
            self.0.insert(seq, missing);
        }
    }

    /// Takes out the messages whose parents are all there now.
    ///
    /// *Errors*: our own state cannot be read.
    pub fn come(&mut self, store: &Store, to: &str) -> Result<Vec<i64>, store::Error> {
        let mut come = Vec::new();
        for (seq, missing) in &mut self.0 {
            *missing = still_missing(store, to, std::mem::take(missing))?;
            if missing.is_empty() {
                come.push(*seq);
            }
        }
        self.0.retain(|_, missing| !missing.is_empty());
        Ok(come)
    }
}
