//! Text that must not be shown.

use std::fmt;

/// A secret that is used and never printed. *Shape*: its `Debug` and `Display` are `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself: for the one call that needs it, never for a message or a log.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where `${env:NAME}`, `${file:PATH}` and `${keyvault:NAME}` come from.
pub trait Secrets: Send + Sync {
    /// The secret that `provider:name` stands for.
    ///
    /// *Errors*: one sentence that says which reference has no value, and how to give it one.
    fn resolve(&self, provider: &str, name: &str) -> Result<Secret, String>;
}
