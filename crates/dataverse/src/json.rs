//! JSON by its text: numbers stay the digits that were written.

use std::collections::HashMap;

use serde_json::value::RawValue;

/// The members of an object, each as its own text.
pub(crate) type Object<'a> = HashMap<std::borrow::Cow<'a, str>, &'a RawValue>;

pub(crate) fn object(text: &[u8]) -> Option<Object<'_>> {
    serde_json::from_slice(text).ok()
}

pub(crate) fn rows(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// The text of a JSON string.
pub(crate) fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

pub(crate) fn member(object: &Object<'_>, name: &str) -> Option<String> {
    string(object.get(name)?)
}

/// A string as JSON writes it.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
