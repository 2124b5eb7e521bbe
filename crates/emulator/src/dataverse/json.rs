//! JSON in and out without a tree: members keep their raw text, so that no number passes through a float.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object's members in the order sent, values as raw text.
pub struct Object<'a>(pub Vec<(String, &'a str)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or(16));
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((name, value.get()));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl<'a> Object<'a> {
    pub fn parse(text: &'a str) -> Result<Object<'a>, serde_json::Error> {
        serde_json::from_str(text)
    }

    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| *value)
    }
}

/// The items of an array as raw text.
pub fn array(text: &str) -> Result<Vec<&str>, serde_json::Error> {
    let items: Vec<&RawValue> = serde_json::from_str(text)?;
    Ok(items.into_iter().map(RawValue::get).collect())
}

/// The text of a JSON string; nothing if `raw` is another kind of value.
pub fn text(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

/// Writes `{…}` member by member.
pub struct Writer<'a> {
    pub out: &'a mut String,
    empty: bool,
}

impl<'a> Writer<'a> {
    pub fn new(out: &'a mut String) -> Writer<'a> {
        out.push('{');
        Writer { out, empty: true }
    }

    /// Writes the name; the caller appends the value to the text that it gets.
    pub fn member(&mut self, name: &str) -> &mut String {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        odata::payload::quoted(self.out, name);
        self.out.push(':');
        self.out
    }

    pub fn text(&mut self, name: &str, value: &str) {
        odata::payload::quoted(self.member(name), value);
    }

    pub fn raw(&mut self, name: &str, value: &str) {
        self.member(name).push_str(value);
    }

    pub fn end(self) {
        self.out.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_text() {
        let object = Object::parse(r#"{"a": 1.10, "b@odata.bind": "/x(1)", "c": {"d": [1e2]}}"#).unwrap();
        assert_eq!(object.get("a"), Some("1.10"));
        assert_eq!(object.get("c"), Some(r#"{"d": [1e2]}"#));
        assert_eq!(text(object.get("b@odata.bind").unwrap()), Some("/x(1)".into()));
    }

    #[test]
    fn strings_are_escaped() {
        let tricky = "a\"b\\c\n\u{1}é";
        let mut out = String::new();
        odata::payload::quoted(&mut out, tricky);
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), tricky);
    }
}
