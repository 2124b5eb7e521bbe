//! A body by paths: a column `customer.code` is the member `code` of the object `customer`.

use record::{Value, ValueRef};
use serde_json::Value as Json;

/// An object with these columns, numbers as they are written.
pub(crate) fn object<'a>(columns: impl IntoIterator<Item = (&'a str, &'a Value)>) -> String {
    let mut root = Node::Object(Vec::new());
    for (path, value) in columns {
        root.put(path, text(value));
    }
    let mut out = String::new();
    root.write(&mut out);
    out
}

enum Node {
    Leaf(String),
    Object(Vec<(String, Node)>),
}

impl Node {
    fn put(&mut self, path: &str, leaf: String) {
        let Node::Object(members) = self else { return };
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let at = members.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            members.push((name.to_owned(), Node::Object(Vec::new())));
            members.len() - 1
        });
        match rest {
            Some(rest) => members[at].1.put(rest, leaf),
            None => members[at].1 = Node::Leaf(leaf),
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Node::Leaf(text) => out.push_str(text),
            Node::Object(members) => {
                out.push('{');
                for (at, (name, node)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    out.push_str(&Json::from(name.as_str()).to_string());
                    out.push(':');
                    node.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// One value as JSON.
fn text(value: &Value) -> String {
    match value.as_ref() {
        ValueRef::Blank => "null".to_owned(),
        ValueRef::Bool(v) => v.to_string(),
        ValueRef::Int(v) => v.to_string(),
        ValueRef::Decimal(v) => v.to_string(),
        ValueRef::Float(v) => Json::from(v).to_string(),
        ValueRef::Rows(rows) => {
            let rows: Vec<String> = rows.iter().map(|row| object(row.iter())).collect();
            format!("[{}]", rows.join(","))
        }
        other => Json::from(other.to_string()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::typed;

    #[test]
    fn paths_are_objects_and_numbers_are_exact() {
        let total = Value::Decimal("0.10000000000000000000000001".parse().unwrap());
        let columns = [
            ("ref", Value::text("O\"1")),
            ("customer.code", Value::text("C-1")),
            ("customer.vip", Value::Bool(true)),
            ("total", total),
        ];
        let text = object(columns.iter().map(|(name, value)| (*name, value)));
        assert_eq!(text, r#"{"ref":"O\"1","customer":{"code":"C-1","vip":true},"total":0.10000000000000000000000001}"#);
        let json: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(typed::at(&json, "customer.code"), Some(&Json::from("C-1")));
        assert_eq!(typed::at(&json, "customer.name"), None);
    }
}
