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
    let mut out = String::with_capacity(text.len() + 2);
    odata::payload::quoted(&mut out, text);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_as_it_was_quoted() {
        for text in ["", "plain", "a\"b\\c\nd\te\rf\u{1}g\u{1f}", "Zoë \u{2028} 漢", "\u{7f}"] {
            assert_eq!(serde_json::from_str::<String>(&quoted(text)).unwrap(), text);
        }
    }
}
