//! What was measured while integrations ran, for rules that compare what was said with what is.

use std::collections::BTreeMap;
use std::time::Duration;

/// By the name of the integration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured(pub BTreeMap<String, History>);

/// How one integration ran of late.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// How many days this tells of, at least one.
    pub days: u32,
    /// Good runs that ended.
    pub runs: u32,
    /// Of these, the runs that had nothing to write.
    pub idle_runs: u32,
    /// How long half of the runs take at most. *Units*: nothing where none ended.
    pub usual_run: Option<Duration>,
    /// How long nineteen of twenty take at most.
    pub long_run: Option<Duration>,
    /// Rows that were read, and rows that were written, or messages that had an effect, in all those days.
    pub read: u64,
    pub written: u64,
}

impl History {
    /// Rows or messages in a day, rounded up.
    pub fn a_day(&self) -> u64 {
        self.written.div_ceil(u64::from(self.days.max(1)))
    }

    /// `1 day`, `14 days`.
    pub(crate) fn in_days(&self) -> String {
        if self.days == 1 { "1 day".to_owned() } else { format!("{} days", self.days) }
    }
}

impl Measured {
    pub fn of(&self, integration: &str) -> Option<&History> {
        self.0.get(integration)
    }
}
