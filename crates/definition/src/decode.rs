//! From a YAML tree and a field table to typed values, with every problem on the way.
//!
//! One walk for everything that a project defines. Each problem is reported once, where it stands; what could not be
//! read is left as [`Data::Broken`], so that later checks do not report its consequences.

use std::sync::Arc;

use record::{FieldType, Kind};

use crate::codes;
use crate::decoded::{Data, Entry, Group, Value};
use crate::diagnostic::Diagnostic;
use crate::files::{FileId, Files, Span};
use crate::suggest;
use crate::table::{Field, Shape, Table, Thing};
use crate::tables;
use crate::yaml::{self, Key, Node};

mod address;
mod mapping;
mod scalar;

pub(crate) use scalar::wanted;

/// Whether YAML programs of different ages read a word as true, false or nothing: no name of ours.
pub fn is_reserved(word: &str) -> bool {
    const RESERVED: &[&str] = &["on", "off", "yes", "no", "true", "false", "null", "y", "n", "~"];
    RESERVED.contains(&word.to_ascii_lowercase().as_str())
}

pub(crate) struct Decoder<'a> {
    pub files: &'a Files,
    pub kinds: &'a [&'static Kind],
    pub diagnostics: Vec<Diagnostic>,
    /// Every `${provider:name}`, to be asked for once all is read.
    pub secrets: Vec<SecretAt>,
    /// Every name of something that is defined elsewhere.
    pub names: Vec<NameAt>,
    /// The name of the user's own whose value is being read.
    named: Arc<str>,
    /// Pieces of files that hold a secret in plain text and must not be shown.
    pub hidden: Vec<Span>,
}

pub(crate) struct NameAt {
    pub at: Span,
    pub thing: Thing,
    pub name: String,
}

pub(crate) struct SecretAt {
    pub at: Span,
    pub provider: String,
    pub name: String,
}

impl<'a> Decoder<'a> {
    pub fn new(files: &'a Files, kinds: &'a [&'static Kind]) -> Decoder<'a> {
        Decoder {
            files,
            kinds,
            diagnostics: Vec::new(),
            secrets: Vec::new(),
            names: Vec::new(),
            named: "".into(),
            hidden: Vec::new(),
        }
    }

    /// A whole document by its table.
    pub fn document(&mut self, node: &Node, table: &Table) -> Group {
        let at = head(node, self.files);
        if node.map().is_none() {
            let example =
                table.fields().next().map_or(String::new(), |field| format!("{}: {}", field.name, field.example));
            self.diagnostics.push(
                Diagnostic::error(
                    codes::WRONG_SHAPE,
                    format!("this file holds {}, and not {}", node.what(), table.name),
                )
                .at(at, "here")
                .help(format!("start it with a key, for example `{example}`")),
            );
            return Group { table: table.name, at, entries: Vec::new(), strange: true };
        }
        self.group(node, table.name, table.fields().copied(), at)
    }

    /// The keys of a group by these fields, in their order: what stands before decides what follows (`kind:`, `connection:`).
    pub fn group(
        &mut self,
        node: &Node,
        table: &'static str,
        fields: impl Iterator<Item = Field> + Clone,
        at: Span,
    ) -> Group {
        let entries = node.map().unwrap_or_default();
        let mut group = Group { table, at, entries: Vec::new(), strange: false };
        let mut unknown: Vec<&Key> = Vec::new();
        for (key, _) in entries {
            if !fields.clone().any(|field| field.name == &*key.text) {
                unknown.push(key);
            }
        }
        group.strange = !unknown.is_empty();
        let mut missing: Vec<Field> = fields
            .clone()
            .filter(|field| field.required && !entries.iter().any(|(key, _)| &*key.text == field.name))
            .collect();
        for key in unknown {
            // A required key that is misspelt is one mistake, not two.
            let meant = suggest::nearest(
                &key.text,
                fields
                    .clone()
                    .map(|field| field.name)
                    .filter(|name| !entries.iter().any(|(key, _)| &*key.text == *name)),
            );
            let absorbed = missing
                .iter()
                .position(|field| Some(field.name) == meant)
                .or(if meant.is_none() && !missing.is_empty() { Some(0) } else { None })
                .map(|at| missing.remove(at));
            let allowed = suggest::list(fields.clone().map(|field| field.name));
            let mut diagnostic = Diagnostic::error(codes::UNKNOWN_KEY, format!("unknown key `{}`", key.text))
                .at(key.span, format!("{table} has no such key"))
                .note(format!("allowed: {allowed}"));
            diagnostic = match (meant, absorbed) {
                (Some(meant), _) => diagnostic.help(format!("did you mean `{meant}`?")),
                (None, Some(field)) => diagnostic.help(format!(
                    "remove it; `{}` is missing here, for example `{}: {}`",
                    field.name, field.name, field.example
                )),
                (None, None) => diagnostic.help("remove it, or correct its name"),
            };
            self.diagnostics.push(diagnostic);
        }
        for field in missing {
            self.diagnostics.push(
                Diagnostic::error(codes::MISSING_KEY, format!("`{}` is missing", field.name))
                    .at(at, format!("{table} needs it"))
                    .note(field.doc)
                    .help(format!("add it, for example `{}: {}`", field.name, field.example)),
            );
        }
        for field in fields {
            let said = entries.iter().find(|(key, _)| &*key.text == field.name);
            let value = match said {
                Some((key, node)) => {
                    let data = match field.shape {
                        Shape::Connection => self.connection(node, key, &group.entries),
                        Shape::SystemEntities => self.system_entities(node, key, &group.entries),
                        _ => self.value(node, key.span, &field),
                    };
                    Some((key.span, Value { at: node.span, data }))
                }
                None => field
                    .default
                    .map(|text| (Span::DEFAULT, Value { at: Span::DEFAULT, data: self.default(text, &field) })),
            };
            if let Some((key, value)) = value {
                group.entries.push(Entry { name: field.name.into(), key, value });
            }
        }
        group
    }

    /// What a default stands for. The tests read every default, so none fails here.
    fn default(&mut self, text: &str, field: &Field) -> Data {
        let mut ignored = Vec::new();
        let (documents, _) = yaml::parse(FileId(u32::MAX), text, &mut ignored);
        let Some(node) = documents.into_iter().next() else { return Data::Broken };
        let before = self.diagnostics.len();
        let data = self.value(&at_default(node), Span::DEFAULT, field);
        debug_assert_eq!(
            before,
            self.diagnostics.len(),
            "the default of `{}`: {:?}",
            field.name,
            &self.diagnostics[before..]
        );
        data
    }

    /// One value by its shape. `owner` is the place of the key, for what is missing inside.
    pub fn value(&mut self, node: &Node, owner: Span, field: &Field) -> Data {
        if matches!(node.data, yaml::Data::Null) && !matches!(field.shape, Shape::Anything) {
            self.diagnostics.push(
                Diagnostic::error(codes::WRONG_SHAPE, format!("`{}` has no value", self.word(field)))
                    .at(if node.span.is_empty() { owner } else { node.span }, "nothing stands behind the colon")
                    .help(format!(
                        "write it, for example `{}: {}`, or remove the key",
                        self.word(field),
                        field.example
                    )),
            );
            return Data::Broken;
        }
        match field.shape {
            Shape::Group(table) => match node.map() {
                Some(_) => Data::Group(self.group(node, table.name, table.fields().copied(), owner_of(owner, node))),
                None => self.wrong_shape(node, field, "a group of keys"),
            },
            Shape::Plain(FieldType::Group(fields)) => match node.map() {
                Some(_) => {
                    Data::Group(self.group(node, "this group", fields.iter().map(Field::from), owner_of(owner, node)))
                }
                None => self.wrong_shape(node, field, "a group of keys"),
            },
            Shape::Many(inner) => self.many(node, field, *inner),
            Shape::Plain(FieldType::List(inner)) => self.many(node, field, Shape::Plain(*inner)),
            Shape::OneOrMany(inner) => self.one_or_many(node, owner, field, *inner),
            Shape::Plain(FieldType::OneOrMany(inner)) => self.one_or_many(node, owner, field, Shape::Plain(*inner)),
            Shape::Named(what, inner) => self.named(node, field, what, *inner),
            Shape::Plain(FieldType::Map(inner)) => self.named(node, field, "", Shape::Plain(*inner)),
            Shape::Assignments => self.assignments(node, field),
            Shape::Read | Shape::Write | Shape::Both => self.rules(node, field),
            Shape::Steps => self.steps(node, field),
            Shape::Anything | Shape::Choice | Shape::OneValue => Data::Anything(node.clone()),
            Shape::Schedule if node.map().is_some() => self.cron(node),
            Shape::Holidays if matches!(node.data, yaml::Data::List(_)) => self.many(node, field, Shape::Date),
            Shape::Connection | Shape::SystemEntities => Data::Anything(node.clone()),
            shape => self.scalar(node, field, shape),
        }
    }

    /// The key as messages name it.
    pub(super) fn word(&self, field: &Field) -> String {
        if field.name.is_empty() { self.named.to_string() } else { field.name.to_owned() }
    }

    fn wrong_shape(&mut self, node: &Node, field: &Field, wanted: &str) -> Data {
        self.diagnostics.push(
            Diagnostic::error(codes::WRONG_SHAPE, format!("`{}` must be {wanted}", self.word(field)))
                .at(one_line(node, self.files), format!("this is {}", node.what()))
                .help(format!("write it like `{}: {}`", self.word(field), field.example)),
        );
        Data::Broken
    }

    fn many(&mut self, node: &Node, field: &Field, inner: Shape) -> Data {
        match &node.data {
            yaml::Data::List(items) => Data::List(self.items(items, field, inner)),
            _ => self.wrong_shape(node, field, "a list"),
        }
    }

    fn one_or_many(&mut self, node: &Node, owner: Span, field: &Field, inner: Shape) -> Data {
        match &node.data {
            yaml::Data::List(items) if items.is_empty() => self.wrong_shape(node, field, "one or more values"),
            yaml::Data::List(items) => Data::List(self.items(items, field, inner)),
            _ => self.value(node, owner, &Field { shape: inner, ..*field }),
        }
    }

    fn items(&mut self, items: &[Node], field: &Field, inner: Shape) -> Vec<Value> {
        let field = Field { shape: inner, ..*field };
        let mut values: Vec<Value> = Vec::with_capacity(items.len());
        for item in items {
            let owner = head(item, self.files);
            let data = self.value(item, owner, &field);
            if let Data::Text(text) = &data
                && let Some(first) =
                    values.iter().find(|value| matches!(&value.data, Data::Text(other) if other == text))
            {
                self.diagnostics.push(
                    Diagnostic::error(codes::DUPLICATE_KEY, format!("`{text}` stands in `{}` twice", field.name))
                        .at(item.span, "the second one")
                        .also(first.at, "the first one")
                        .help("remove one of them"),
                );
                continue;
            }
            values.push(Value { at: item.span, data });
        }
        values
    }

    fn named(&mut self, node: &Node, field: &Field, what: &'static str, inner: Shape) -> Data {
        let Some(entries) = node.map() else { return self.wrong_shape(node, field, "a group of names") };
        let inner = Field { shape: inner, ..*field };
        let mut named = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            match what {
                "" | "column" => {}
                "system" => self.names.push(NameAt { at: key.span, thing: Thing::System, name: key.text.to_string() }),
                what => {
                    self.name_is_usable(&key.text, key.span, what);
                }
            }
            self.named = key.text.clone();
            let field = Field { name: "", example: example_of(&inner), ..inner };
            let data = if matches!(node.data, yaml::Data::Null) && !matches!(field.shape, Shape::Anything) {
                self.diagnostics.push(
                    Diagnostic::error(codes::WRONG_SHAPE, format!("`{}` has no value", key.text))
                        .at(key.span, "nothing stands behind the colon")
                        .help(format!("write it like `{}: {}`, or remove the key", key.text, field.example)),
                );
                Data::Broken
            } else {
                self.value(node, key.span, &field)
            };
            named.push(Entry { name: key.text.clone(), key: key.span, value: Value { at: node.span, data } });
        }
        Data::Named(named)
    }

    /// `set:` of a step: each field with a formula, a name or a fixed value.
    fn assignments(&mut self, node: &Node, field: &Field) -> Data {
        let Some(entries) = node.map() else { return self.wrong_shape(node, field, "a group of fields") };
        let one = Field::new("set", Shape::TextOrFormula, "", "=requested");
        let named = entries.iter().map(|(key, node)| {
            let data = match self.constant(node) {
                Some(data) => data,
                None => self.value(node, key.span, &one),
            };
            Entry { name: key.text.clone(), key: key.span, value: Value { at: node.span, data } }
        });
        Data::Named(named.collect())
    }

    fn cron(&mut self, node: &Node) -> Data {
        const CRON: Table = Table {
            name: "a schedule by cron",
            doc: "",
            parts: &[&[Field::new(
                "cron",
                crate::table::TEXT,
                "Minute, hour, day, month, day of the week.",
                "\"0 2 * * *\"",
            )
            .required()]],
        };
        let group = self.group(node, CRON.name, CRON.fields().copied(), head(node, self.files));
        match group.text("cron") {
            Some(line) => match crate::units::cron(line) {
                Ok(schedule) => Data::Schedule(schedule),
                Err(why) => {
                    self.diagnostics.push(
                        Diagnostic::error(codes::BAD_SCHEDULE, "this cron line cannot be used")
                            .at(group.at("cron"), why)
                            .help("for example `cron: \"0 2 * * *\"`, every night at two"),
                    );
                    Data::Broken
                }
            },
            None => Data::Broken,
        }
    }

    fn steps(&mut self, node: &Node, field: &Field) -> Data {
        let yaml::Data::List(items) = &node.data else { return self.wrong_shape(node, field, "a list of steps") };
        let kinds = suggest::list(tables::flow::STEPS.iter().map(|(key, _)| *key));
        let mut steps = Vec::with_capacity(items.len());
        for item in items {
            let at = head(item, self.files);
            let known = |table: &Table| {
                let has = |(key, _): &&(Key, Node)| table.fields().any(|field| field.name == &*key.text);
                item.map().unwrap_or_default().iter().filter(has).count()
            };
            // By the key that says it, else by the keys that go with it: a misspelt key is reported as that.
            let found = tables::flow::STEPS.iter().find(|(key, _)| item.get(key).is_some()).or_else(|| {
                tables::flow::STEPS.iter().max_by_key(|(_, table)| known(table)).filter(|(_, table)| known(table) > 0)
            });
            let data = match (found, item.map()) {
                (Some((_, table)), Some(_)) => Data::Group(self.group(item, table.name, table.fields().copied(), at)),
                (None, Some(entries)) => {
                    if let Some((key, _)) = entries.iter().find(|(key, node)| address::calls(&key.text, node)) {
                        self.diagnostics.push(address::refused(key, &kinds));
                        steps.push(Value { at: item.span, data: Data::Broken });
                        continue;
                    }
                    let names = tables::flow::STEPS.iter().map(|(key, _)| *key);
                    let meant = entries
                        .iter()
                        .find_map(|(key, _)| suggest::nearest(&key.text, names.clone()).map(|meant| (key, meant)));
                    let (at, help) = match meant {
                        Some((key, meant)) => (key.span, format!("did you mean `{meant}`?")),
                        None => (
                            entries.first().map_or(at, |(key, _)| key.span),
                            "start the step with one of these keys".to_owned(),
                        ),
                    };
                    self.diagnostics.push(
                        Diagnostic::error(codes::UNKNOWN_KEY, "this is no step of a flow")
                            .at(at, "none of the keys that a step starts with")
                            .note(format!("allowed: {kinds}"))
                            .help(help),
                    );
                    Data::Broken
                }
                _ => self.wrong_shape(item, &Field { name: "steps", ..*field }, "a list of steps"),
            };
            steps.push(Value { at: item.span, data });
        }
        Data::List(steps)
    }

    /// The kind that a system names, where it exists.
    fn kind_of(&self, siblings: &[Entry]) -> Option<&'static Kind> {
        let name = siblings.iter().find(|entry| &*entry.name == "kind")?;
        match &name.value.data {
            Data::Text(name) => self.kinds.iter().copied().find(|kind| kind.name == name),
            _ => None,
        }
    }

    fn connection(&mut self, node: &Node, key: &Key, siblings: &[Entry]) -> Data {
        let field = Field::new("connection", Shape::Connection, "", "{ url: \"${env:URL}\" }");
        let Some(kind) = self.kind_of(siblings) else { return Data::Broken };
        if node.map().is_none() {
            return self.value(
                node,
                key.span,
                &Field { shape: Shape::Plain(FieldType::Group(kind.connection)), ..field },
            );
        }
        Data::Group(self.group(node, "this connection", kind.connection.iter().map(Field::from), key.span))
    }

    fn system_entities(&mut self, node: &Node, key: &Key, siblings: &[Entry]) -> Data {
        let field = Field::new(
            "entities",
            Shape::SystemEntities,
            "",
            "{ customer: { table: customers, read: { number: customer_no } } }",
        );
        let Some(kind) = self.kind_of(siblings) else { return Data::Broken };
        let Some(entries) = node.map() else {
            return match self.value(node, key.span, &field) {
                Data::Broken => Data::Broken,
                _ => self.wrong_shape(node, &field, "a group of entities"),
            };
        };
        let fields = || kind.entity.iter().map(Field::from).chain(tables::system::SYSTEM_ENTITY.iter().copied());
        let mut named = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            self.names.push(NameAt { at: key.span, thing: Thing::Entity, name: key.text.to_string() });
            let data = match node.map() {
                Some(_) => Data::Group(self.group(node, "an entity of this kind of system", fields(), key.span)),
                None => self.wrong_shape(node, &Field { name: "entities", ..field }, "a group of keys for each entity"),
            };
            named.push(Entry { name: key.text.clone(), key: key.span, value: Value { at: node.span, data } });
        }
        Data::Named(named)
    }

    pub(crate) fn name_is_usable(&mut self, name: &str, at: Span, what: &str) -> bool {
        let (why, help) = if is_reserved(name) {
            ("some YAML programs read this word as true, false or nothing", "give it another name")
        } else if name.chars().count() > 64 {
            ("it is longer than 64 characters", "shorten it")
        } else if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            ("a name starts with a letter", "start it with a letter from a to z")
        } else if name.chars().any(|c| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')) {
            ("a name is made of letters from a to z, digits, `_` and `-`", "write it with these characters")
        } else if what == "field" && name.contains('-') {
            ("in a formula `-` would be a minus", "write `_` instead of `-`")
        } else {
            return true;
        };
        self.diagnostics.push(
            Diagnostic::error(codes::BAD_NAME, format!("`{name}` cannot be the name of {} {what}", article(what)))
                .at(at, why)
                .help(help),
        );
        false
    }
}

pub(crate) fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// One entry of an example of several: for messages.
fn example_of(field: &Field) -> &'static str {
    let inner = field.example.strip_prefix("{ ").and_then(|rest| rest.strip_suffix(" }"));
    match inner.and_then(|inner| inner.split_once(": ")) {
        Some((_, value)) if value.starts_with('{') => value,
        Some((_, value)) => value.split(',').next().unwrap_or(value),
        None => field.example,
    }
}

/// The first line of a node, or all of it where it stands on one: what an arrow can be drawn under.
pub(crate) fn head(node: &Node, files: &Files) -> Span {
    match &node.data {
        yaml::Data::Map(entries) => match entries.first() {
            Some((key, value)) if !one_lined(node.span, files) => {
                let end = if value.scalar().is_some() && one_lined(value.span, files) {
                    value.span.end
                } else {
                    key.span.end
                };
                Span { end: end.max(key.span.start), ..key.span }
            }
            _ => node.span,
        },
        yaml::Data::List(items) => match items.first() {
            Some(first) if !one_lined(node.span, files) => head(first, files),
            _ => node.span,
        },
        _ => node.span,
    }
}

fn one_line(node: &Node, files: &Files) -> Span {
    head(node, files)
}

fn one_lined(span: Span, files: &Files) -> bool {
    !files.slice(span).contains('\n')
}

fn owner_of(owner: Span, node: &Node) -> Span {
    if owner.is_default() { node.span } else { owner }
}

/// Defaults stand in no file, so their places are nowhere.
fn at_default(mut node: Node) -> Node {
    node.span = Span::DEFAULT;
    node.data = match node.data {
        yaml::Data::List(items) => yaml::Data::List(items.into_iter().map(at_default).collect()),
        yaml::Data::Map(entries) => yaml::Data::Map(
            entries.into_iter().map(|(key, node)| (Key { span: Span::DEFAULT, ..key }, at_default(node))).collect(),
        ),
        other => other,
    };
    node
}
