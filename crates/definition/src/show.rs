//! `ironbridge show NAME`: everything that holds, and where it comes from.

use crate::decoded::{Data, Entry, Group, RuleAt, Value};
use crate::files::{Files, Span};
use crate::model::Project;
use crate::yaml;

/// One line. *Shape*: a line without a value is a heading of the lines below it.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// How far it is indented.
    pub depth: usize,
    pub key: String,
    pub value: Option<String>,
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// `integrations/customers.yaml:7`.
    File(String),
    /// The same, of a file in `environments/`.
    Environment(String),
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::File(at) | Origin::Environment(at) => f.write_str(at),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// What an integration, a system, an entity or the hub says, with every default written out.
///
/// *Shape*: nothing where nothing has this name. One name of several things gives all of them, the integration first.
pub fn show(project: &Project, name: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    for shown in project.shown.iter().filter(|shown| shown.name == name) {
        group(&shown.group, 0, &project.files, &mut lines);
    }
    lines
}

fn origin(at: Span, files: &Files) -> Origin {
    match files.place(at) {
        Some(place) if place.file.starts_with("environments/") => {
            Origin::Environment(format!("{}:{}", place.file, place.line))
        }
        Some(place) => Origin::File(format!("{}:{}", place.file, place.line)),
        None => Origin::Default,
    }
}

fn group(group: &Group, depth: usize, files: &Files, lines: &mut Vec<Line>) {
    for entry in &group.entries {
        self::entry(entry, depth, files, lines);
    }
}

fn entry(entry: &Entry, depth: usize, files: &Files, lines: &mut Vec<Line>) {
    value(&entry.name, &entry.value, depth, origin(entry.key, files), files, lines);
}

fn value(key: &str, shown: &Value, depth: usize, from: Origin, files: &Files, lines: &mut Vec<Line>) {
    let words = shown.words();
    let is_leaf = words.is_some();
    lines.push(Line { depth, key: key.to_owned(), value: words, origin: from });
    if is_leaf {
        return;
    }
    match &shown.data {
        Data::Group(inner) => group(inner, depth + 1, files, lines),
        Data::Named(entries) => entries.iter().for_each(|inner| entry(inner, depth + 1, files, lines)),
        Data::List(values) => {
            for (at, item) in values.iter().enumerate() {
                value(&(at + 1).to_string(), item, depth + 1, origin(item.at, files), files, lines);
            }
        }
        Data::Rules(rules) => {
            let chosen = if rules.write.is_empty() || key == "read" { &rules.read } else { &rules.write };
            chosen.iter().for_each(|at| rule(at, depth + 1, files, lines));
        }
        Data::Anything(node) => {
            if let Some(line) = lines.last_mut() {
                line.value = Some(flow(node));
            }
        }
        _ => {}
    }
}

fn rule(at: &RuleAt, depth: usize, files: &Files, lines: &mut Vec<Line>) {
    let once = if at.rule.only_on_create { " (only when the row is created)" } else { "" };
    let value = format!("{}{once}", at.rule.expr.text());
    lines.push(Line { depth, key: at.rule.target.clone(), value: Some(value), origin: origin(at.target, files) });
    at.lines.iter().for_each(|inner| rule(inner, depth + 1, files, lines));
}

/// A node on one line, as YAML.
fn flow(node: &yaml::Node) -> String {
    match &node.data {
        yaml::Data::Null => "~".to_owned(),
        yaml::Data::Scalar(scalar) if scalar.plain() => scalar.text.to_string(),
        yaml::Data::Scalar(scalar) => format!("\"{}\"", scalar.text),
        yaml::Data::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        yaml::Data::Map(entries) => {
            format!(
                "{{ {} }}",
                entries
                    .iter()
                    .map(|(key, node)| format!("{}: {}", key.text, flow(node)))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        }
    }
}
