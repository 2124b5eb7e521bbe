//! Test cases as plain data, and YAML as the JSON that it stands for.

use serde_json::{Map, Value as Json};

use crate::decoded::{Data, Entry, Group};
use crate::expect::{Expectation, Rows};
use crate::files::Files;
use crate::model::{Happening, TestCase};
use crate::yaml::{self, Node};

/// *Shape*: plain numbers, `true` and `false` are themselves, everything else is text; numbers keep their digits.
pub(crate) fn json(node: &Node) -> Json {
    match &node.data {
        yaml::Data::Null => Json::Null,
        yaml::Data::Scalar(scalar) => match &*scalar.text {
            "true" if scalar.plain() => Json::Bool(true),
            "false" if scalar.plain() => Json::Bool(false),
            text if scalar.is_number() => crate::expect::exact_number(text),
            text => Json::String(text.to_owned()),
        },
        yaml::Data::List(items) => Json::Array(items.iter().map(json).collect()),
        yaml::Data::Map(entries) => {
            Json::Object(entries.iter().map(|(key, node)| (key.text.to_string(), json(node))).collect::<Map<_, _>>())
        }
    }
}

pub(crate) fn test_case(group: &Group, files: &Files) -> Option<TestCase> {
    let when = group.group("when")?;
    let happening = |name: &str, make: fn(String) -> Happening| when.text(name).map(|text| make(text.to_owned()));
    Some(TestCase {
        name: group.text("test")?.to_owned(),
        given: tables(group.named("given")),
        when: happening("run", Happening::Run)
            .or_else(|| happening("event", Happening::Event))
            .or_else(|| happening("start", Happening::Start))
            .or_else(|| happening("query", Happening::Query))?,
        changes: tables(when.named("change")),
        answers: when
            .named("answer")
            .iter()
            .filter_map(|entry| Some((entry.name.to_string(), anything(entry).map(json)?)))
            .collect(),
        at: when.text("at").map(str::to_owned),
        then: group
            .list("then")
            .iter()
            .filter_map(|value| if let Data::Anything(node) = &value.data { Some(node) } else { None })
            .flat_map(expectations)
            .collect(),
        origin: files.line_of(group.at("test")),
    })
}

fn anything(entry: &Entry) -> Option<&Node> {
    match &entry.value.data {
        Data::Anything(node) => Some(node),
        _ => None,
    }
}

fn tables(systems: &[Entry]) -> Vec<(String, String, Vec<Json>)> {
    let mut found = Vec::new();
    for entry in systems {
        for (table, rows) in anything(entry).and_then(Node::map).unwrap_or_default() {
            let rows = match json(rows) {
                Json::Array(rows) => rows,
                other => vec![other],
            };
            found.push((entry.name.to_string(), table.text.to_string(), rows));
        }
    }
    found
}

fn expectations(node: &Node) -> Vec<Expectation> {
    let one = |(key, node): &(yaml::Key, Node)| match (&*key.text, key.text.split_once('.')) {
        ("dead_letters", _) => Expectation::DeadLetters(rows(node)),
        (_, Some((system, table))) => {
            Expectation::Rows { system: system.to_owned(), table: table.to_owned(), rows: rows(node) }
        }
        (what, None) => Expectation::Other { what: what.to_owned(), is: json(node) },
    };
    node.map().unwrap_or_default().iter().map(one).collect()
}

fn rows(node: &Node) -> Rows {
    match json(node) {
        Json::String(word) if word == "none" => Rows::None,
        Json::Number(count) if count.as_u64().is_some() => Rows::Count(count.as_u64().unwrap_or(0)),
        Json::Array(rows) => Rows::These(rows),
        other => Rows::These(vec![other]),
    }
}
