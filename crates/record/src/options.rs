//! What a connector or a pattern can be told: one table of fields, which drives everything.
//!
//! A [`Kind`] lists the fields of one kind of system. From it come the decoding of YAML, "did you mean", `show`, the
//! JSON Schema and the reference page. The connector receives the decoded [`Options`] and never sees YAML.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;

use crate::{Secret, Secrets};

/// One kind of system: what `kind:` says, and what may stand beside it.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The word after `kind:`.
    pub name: &'static str,
    /// One sentence: what it is.
    pub doc: &'static str,
    /// The fields of `connection:`.
    pub connection: &'static [Field],
    /// The fields of one entity of such a system, beside `read`, `write`, `both`, `where` and `columns`, which all have.
    pub entity: &'static [Field],
    pub reads: bool,
    pub writes: bool,
    /// It can be asked for its tables and columns; where not, a definition declares `columns:`.
    pub has_catalog: bool,
    /// Lines can be written as rows of a table of their own.
    pub line_tables: bool,
    pub keeps: Keeps,
}

/// How a kind of system keeps values, where that differs from what was sent: two contents that it keeps as one are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeps {
    /// An empty text comes back as a blank (Dataverse, Oracle).
    pub empty_as_blank: bool,
    /// Times lose their fraction of a second (Dataverse).
    pub whole_seconds: bool,
    /// A reference is a lookup by the other table's alternate key (Dataverse); elsewhere the column holds the key itself.
    pub lookups: bool,
}

impl Keeps {
    /// What was sent comes back as it was.
    pub const EXACTLY: Keeps = Keeps { empty_as_blank: false, whole_seconds: false, lookups: false };
}

/// One field: a row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub ty: FieldType,
    pub required: bool,
    /// As a user would write it; `None` where nothing is assumed.
    pub default: Option<&'static str>,
    /// One sentence. Says the unit.
    pub doc: &'static str,
    pub example: &'static str,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum FieldType {
    Text,
    /// Only `${env:…}`, `${file:…}` or `${keyvault:…}`.
    Secret,
    /// A URL; it may hold a `${…}` where it carries a password.
    Url,
    /// A path in the project's folder or an absolute one.
    Path,
    YesNo,
    WholeNumber {
        min: i64,
        max: i64,
    },
    Duration,
    Size,
    Percentage,
    OneOf(&'static [&'static str]),
    /// A column of the system.
    Column,
    /// One value, or a list of them.
    OneOrMany(&'static FieldType),
    List(&'static FieldType),
    /// `{ name: value }` with names of the user's own.
    Map(&'static FieldType),
    /// `{ … }` with these fields.
    Group(&'static [Field]),
    /// A Power Fx formula after `=`, or a plain value.
    Formula,
}

impl Field {
    pub const fn new(name: &'static str, ty: FieldType, doc: &'static str, example: &'static str) -> Field {
        Field { name, ty, required: false, default: None, doc, example }
    }

    pub const fn required(mut self) -> Field {
        self.required = true;
        self
    }

    pub const fn default(mut self, default: &'static str) -> Field {
        self.default = Some(default);
        self
    }
}

/// A decoded value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum OptionValue {
    /// Text, URL, path, column, one-of. May still hold `${…}` until [`Options::resolve`].
    Text(String),
    Secret(Secret),
    YesNo(bool),
    Number(Decimal),
    Duration(Duration),
    /// In bytes.
    Size(u64),
    /// 5 for `5 %`.
    Percentage(Decimal),
    List(Vec<OptionValue>),
    Map(BTreeMap<String, OptionValue>),
}

/// Decoded fields by name. *Shape*: what has a default is there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options(pub BTreeMap<String, OptionValue>);

impl Options {
    pub fn get(&self, name: &str) -> Option<&OptionValue> {
        self.0.get(name)
    }

    /// A text, also one that was resolved to a secret: for the call that needs it.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            OptionValue::Text(text) => Some(text),
            OptionValue::Secret(secret) => Some(secret.reveal()),
            _ => None,
        }
    }

    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).map(Secret::new)
    }

    pub fn yes_no(&self, name: &str) -> Option<bool> {
        match self.0.get(name)? {
            OptionValue::YesNo(v) => Some(*v),
            _ => None,
        }
    }

    pub fn number(&self, name: &str) -> Option<Decimal> {
        match self.0.get(name)? {
            OptionValue::Number(v) => Some(*v),
            _ => None,
        }
    }

    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.0.get(name)? {
            OptionValue::Duration(v) => Some(*v),
            _ => None,
        }
    }

    /// One value or many, as texts.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        match self.0.get(name) {
            Some(OptionValue::Text(text)) => vec![text],
            Some(OptionValue::List(list)) => {
                list.iter().filter_map(|v| if let OptionValue::Text(t) = v { Some(t.as_str()) } else { None }).collect()
            }
            _ => Vec::new(),
        }
    }

    pub fn group(&self, name: &str) -> Option<Options> {
        match self.0.get(name)? {
            OptionValue::Map(map) => Some(Options(map.clone())),
            _ => None,
        }
    }

    /// The same options with every `${provider:name}` replaced. A text that held one becomes a [`Secret`].
    ///
    /// *Errors*: a sentence for each reference that has no value.
    pub fn resolve(&self, secrets: &dyn Secrets) -> Result<Options, Vec<String>> {
        let mut missing = Vec::new();
        let map = self.0.iter().map(|(name, value)| (name.clone(), resolve(value, secrets, &mut missing))).collect();
        if missing.is_empty() { Ok(Options(map)) } else { Err(missing) }
    }
}

fn resolve(value: &OptionValue, secrets: &dyn Secrets, missing: &mut Vec<String>) -> OptionValue {
    match value {
        OptionValue::Text(text) if text.contains("${") => resolve_text(text, secrets, missing),
        OptionValue::List(list) => OptionValue::List(list.iter().map(|v| resolve(v, secrets, missing)).collect()),
        OptionValue::Map(map) => {
            OptionValue::Map(map.iter().map(|(k, v)| (k.clone(), resolve(v, secrets, missing))).collect())
        }
        other => other.clone(),
    }
}

fn resolve_text(text: &str, secrets: &dyn Secrets, missing: &mut Vec<String>) -> OptionValue {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        let Some(end) = rest[start..].find('}') else {
            missing.push(format!("`{rest}` opens a `${{` that is not closed"));
            break;
        };
        let reference = &rest[start + 2..start + end];
        match reference.split_once(':') {
            Some((provider, name)) => match secrets.resolve(provider, name) {
                Ok(secret) => out.push_str(secret.reveal()),
                Err(why) => missing.push(why),
            },
            None => missing.push(format!("`${{{reference}}}` names no provider: write `${{env:{reference}}}`")),
        }
        rest = &rest[start + end + 1..];
    }
    out.push_str(rest);
    OptionValue::Secret(Secret::new(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Env;
    impl Secrets for Env {
        fn resolve(&self, provider: &str, name: &str) -> Result<Secret, String> {
            match (provider, name) {
                ("env", "PASSWORD") => Ok(Secret::new("p$w")),
                _ => Err(format!("no {provider}:{name}")),
            }
        }
    }

    fn options(text: &str) -> Options {
        Options([("url".to_owned(), OptionValue::Text(text.to_owned()))].into())
    }

    #[test]
    fn references_are_replaced_and_stay_secret() {
        let resolved = options("postgres://hub:${env:PASSWORD}@db/x").resolve(&Env).unwrap();
        assert_eq!(resolved.text("url"), Some("postgres://hub:p$w@db/x"));
        assert!(!format!("{resolved:?}").contains("p$w"));
    }

    #[test]
    fn every_missing_reference_is_named() {
        let error = options("${env:A}-${PASSWORD}-${file:b").resolve(&Env).unwrap_err();
        assert_eq!(
            error,
            [
                "no env:A",
                "`${PASSWORD}` names no provider: write `${env:PASSWORD}`",
                "`-${file:b` opens a `${` that is not closed",
            ]
        );
    }
}
