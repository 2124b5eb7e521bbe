//! A definition after decoding: typed values by key, each with its place, defaults filled in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use mapping::Rule;
use record::{Decimal, OptionValue, Options};

use crate::files::Span;
use crate::units::{self, Hours, MinRows, NeededBy, Schedule, Wait};
use crate::yaml::{Node, Scalar};

/// Keys with their values, in the order of the field table, then of the file.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// The heading of its field table.
    pub table: &'static str,
    /// Where messages about the group as a whole point: its first line.
    pub at: Span,
    pub entries: Vec<Entry>,
    /// There are keys in it that do not exist: one of them may be meant for one that is missed.
    pub strange: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub name: Arc<str>,
    /// Of the key; of nothing where the value is a default.
    pub key: Span,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub at: Span,
    pub data: Data,
}

#[derive(Debug, Clone)]
pub(crate) enum Data {
    Text(String),
    YesNo(bool),
    Number(Decimal),
    Duration(Duration),
    Size(u64),
    Percentage(Decimal),
    Hours(Hours),
    Date(Date),
    Schedule(Schedule),
    /// `every …`; nothing for `off`.
    Every(Option<Wait>),
    Cadence(Option<Duration>),
    Wait(Wait),
    NeededBy(NeededBy),
    MinRows(MinRows),
    /// So many a day.
    Rate(u64),
    Formula(Formula),
    List(Vec<Value>),
    Group(Group),
    /// Names of the user's own; also the entities of a system, and what a step sets.
    Named(Vec<Entry>),
    Rules(Rules),
    Anything(Node),
    /// Something stands there that could not be read, and that was reported.
    Broken,
}

/// Power Fx with its place.
#[derive(Debug, Clone)]
pub(crate) struct Formula {
    /// Without the `=`.
    pub text: String,
    pub at: Span,
    pub scalar: Scalar,
}

/// A mapping, both ways made of one-way rules.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    pub read: Vec<RuleAt>,
    pub write: Vec<RuleAt>,
    /// A line could not be read: what looks unmapped may be meant there.
    pub broken: bool,
}

/// A rule with the places of its parts.
#[derive(Debug, Clone)]
pub(crate) struct RuleAt {
    pub rule: Rule,
    pub target: Span,
    pub source: Span,
    /// The scalar that holds the formula or name, to point into it.
    pub scalar: Option<Scalar>,
    pub lines: Vec<RuleAt>,
    /// The names of a choice, in its order.
    pub names: Vec<Span>,
}

impl Group {
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| &*entry.name == name)
    }

    pub fn get(&self, name: &str) -> Option<&Data> {
        self.entry(name).map(|entry| &entry.value.data)
    }

    /// The place of a key's value, else of the group: there is always something to point at.
    pub fn at(&self, name: &str) -> Span {
        self.entry(name).map(|entry| entry.value.at).filter(|at| !at.is_default()).unwrap_or(self.at)
    }

    /// Of the key itself.
    pub fn key_at(&self, name: &str) -> Span {
        self.entry(name).map(|entry| entry.key).filter(|at| !at.is_default()).unwrap_or(self.at)
    }

    /// Whether the file says it, as opposed to a default.
    pub fn says(&self, name: &str) -> bool {
        self.entry(name).is_some_and(|entry| !entry.key.is_default())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// One text or many, with their places.
    pub fn texts(&self, name: &str) -> Vec<(&str, Span)> {
        self.entry(name).map(|entry| entry.value.texts()).unwrap_or_default()
    }

    pub fn strings(&self, name: &str) -> Vec<String> {
        self.texts(name).into_iter().map(|(text, _)| text.to_owned()).collect()
    }

    pub fn yes_no(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Data::YesNo(true)))
    }

    pub fn whole<T: TryFrom<Decimal>>(&self, name: &str) -> Option<T> {
        match self.get(name)? {
            Data::Number(number) => T::try_from(*number).ok(),
            _ => None,
        }
    }

    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.get(name)? {
            Data::Duration(duration) | Data::Cadence(Some(duration)) | Data::Every(Some(Wait::Elapsed(duration))) => {
                Some(*duration)
            }
            _ => None,
        }
    }

    pub fn percentage(&self, name: &str) -> Option<Decimal> {
        match self.get(name)? {
            Data::Percentage(percentage) => Some(*percentage),
            _ => None,
        }
    }

    pub fn group(&self, name: &str) -> Option<&Group> {
        match self.get(name)? {
            Data::Group(group) => Some(group),
            _ => None,
        }
    }

    pub fn formula(&self, name: &str) -> Option<&Formula> {
        match self.get(name)? {
            Data::Formula(formula) => Some(formula),
            _ => None,
        }
    }

    pub fn named(&self, name: &str) -> &[Entry] {
        match self.get(name) {
            Some(Data::Named(entries)) => entries,
            _ => &[],
        }
    }

    pub fn rules(&self, name: &str) -> Option<&Rules> {
        match self.get(name)? {
            Data::Rules(rules) => Some(rules),
            _ => None,
        }
    }

    /// The rules of an entity of a system, in the order of the model: `both`, `read`, `write`.
    pub fn all_rules(&self) -> Rules {
        let mut all = Rules::default();
        for key in ["both", "read", "write"] {
            let Some(rules) = self.rules(key) else {
                all.broken |= self.says(key);
                continue;
            };
            all.read.extend(rules.read.iter().cloned());
            all.write.extend(rules.write.iter().cloned());
            all.broken |= rules.broken;
        }
        all
    }

    /// Something in it could not be read.
    pub fn is_broken(&self) -> bool {
        self.strange || self.entries.iter().any(|entry| entry.value.is_broken())
    }

    pub fn list(&self, name: &str) -> &[Value] {
        match self.get(name) {
            Some(Data::List(values)) => values,
            _ => &[],
        }
    }

    /// The entries whose names are these fields of a connector, as the connector receives them.
    pub fn options(&self, fields: &[record::Field]) -> Options {
        let chosen = self.entries.iter().filter(|entry| fields.iter().any(|field| field.name == &*entry.name));
        Options(chosen.filter_map(|entry| Some((entry.name.to_string(), entry.value.to_option()?))).collect())
    }
}

impl Value {
    pub fn is_broken(&self) -> bool {
        match &self.data {
            Data::Broken => true,
            Data::List(values) => values.iter().any(Value::is_broken),
            Data::Group(group) => group.is_broken(),
            Data::Named(entries) => entries.iter().any(|entry| entry.value.is_broken()),
            Data::Rules(rules) => rules.broken,
            _ => false,
        }
    }

    pub fn group(&self) -> Option<&Group> {
        match &self.data {
            Data::Group(group) => Some(group),
            _ => None,
        }
    }

    pub fn texts(&self) -> Vec<(&str, Span)> {
        match &self.data {
            Data::Text(text) => vec![(text.as_str(), self.at)],
            Data::List(values) => values.iter().flat_map(Value::texts).collect(),
            _ => Vec::new(),
        }
    }

    fn to_option(&self) -> Option<OptionValue> {
        Some(match &self.data {
            Data::Text(text) => OptionValue::Text(text.clone()),
            Data::YesNo(value) => OptionValue::YesNo(*value),
            Data::Number(number) => OptionValue::Number(*number),
            Data::Duration(duration) => OptionValue::Duration(*duration),
            Data::Size(bytes) => OptionValue::Size(*bytes),
            Data::Percentage(percentage) => OptionValue::Percentage(*percentage),
            // A connector tells a formula from a plain value by its `=`.
            Data::Formula(formula) => OptionValue::Text(format!("={}", formula.text)),
            Data::List(values) => OptionValue::List(values.iter().filter_map(Value::to_option).collect()),
            Data::Group(Group { entries, .. }) | Data::Named(entries) => OptionValue::Map(
                entries
                    .iter()
                    .filter_map(|entry| Some((entry.name.to_string(), entry.value.to_option()?)))
                    .collect::<BTreeMap<_, _>>(),
            ),
            _ => return None,
        })
    }

    /// As a person writes it on one line; nothing for what `show` writes on lines of its own.
    pub fn words(&self) -> Option<String> {
        Some(match &self.data {
            Data::Text(text) => quote(text),
            Data::YesNo(value) => value.to_string(),
            Data::Number(number) => number.to_string(),
            Data::Duration(duration) => units::words(*duration),
            Data::Size(bytes) => size_words(*bytes),
            Data::Percentage(percentage) => format!("{percentage} %"),
            Data::Hours(hours) => format!("\"{hours}\""),
            Data::Date(date) => date.to_string(),
            Data::Schedule(schedule) => schedule.to_string(),
            Data::Every(every) => every.map_or("off".to_owned(), |wait| format!("every {wait}")),
            Data::Cadence(cadence) => {
                cadence.map_or("off".to_owned(), |duration| format!("every {}", units::words(duration)))
            }
            Data::Wait(wait) => wait.to_string(),
            Data::NeededBy(NeededBy::At(at)) => format!("\"{}\"", units::hh_mm(*at)),
            Data::NeededBy(needed_by) => needed_by.to_string(),
            Data::MinRows(rows) => rows.to_string(),
            Data::Rate(rate) => format!("{rate} a day"),
            Data::Formula(formula) => format!("={}", formula.text),
            Data::List(values) => {
                let words: Option<Vec<String>> = values.iter().map(Value::words).collect();
                format!("[{}]", words?.join(", "))
            }
            Data::Group(_) | Data::Named(_) | Data::Rules(_) | Data::Anything(_) | Data::Broken => return None,
        })
    }
}

/// A text as YAML would need it written.
pub(crate) fn quote(text: &str) -> String {
    let plain = !text.is_empty()
        && text.trim() == text
        && text.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '/' || c == '=')
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.contains(['{', '}', '[', ']', ',', '\n', '"', '\''])
        && !text.ends_with(':')
        && !text.chars().all(|c| c.is_ascii_digit() || c == '.')
        && !crate::decode::is_reserved(text);
    if plain {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
    }
}

fn size_words(bytes: u64) -> String {
    for (unit, factor) in [("GB", 1u64 << 30), ("MB", 1 << 20), ("KB", 1 << 10)] {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{} {unit}", bytes / factor);
        }
    }
    format!("{bytes} B")
}
