//! How columns that were looked at compare keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use record::KeyRules;

/// How MySQL and SQL Server compare texts by default.
pub(crate) const LOOSE: KeyRules =
    KeyRules { ignore_case: true, ignore_trailing_spaces: true, ignore_accents: false, as_kept: false };

/// What is known of the columns of a system's tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(Arc<Mutex<HashMap<(String, String), KeyRules>>>);

impl Known {
    pub fn put(&self, table: &str, column: &str, rules: KeyRules) {
        let mut known = self.0.lock().expect("nobody panics while it holds the lock");
        known.insert((table.to_owned(), column.to_lowercase()), rules);
    }

    /// The rules of a key; a column that nobody has looked at compares as `unknown` says.
    pub fn of(&self, table: &str, key: &[String], unknown: KeyRules) -> KeyRules {
        let known = self.0.lock().expect("nobody panics while it holds the lock");
        let mut rules = KeyRules::default();
        for column in key {
            let of = known.get(&(table.to_owned(), column.to_lowercase())).copied();
            let of = of.unwrap_or(unknown);
            rules.ignore_case |= of.ignore_case;
            rules.ignore_trailing_spaces |= of.ignore_trailing_spaces;
            rules.ignore_accents |= of.ignore_accents;
        }
        rules
    }
}
