//! YAML as a tree in which every key and value knows its place.
//!
//! A scalar keeps the text that was written and whether it was quoted; what it means is decided by the field that it
//! stands for. So `no` is never a boolean by accident, and `010` never eight.
//!
//! *Shape*: bounded in nodes and depth, also after aliases are followed.

use std::collections::BTreeMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::files::{FileId, Span};

mod mistake;

/// Nodes of one file, aliases followed.
pub(crate) const NODES_MAX: usize = 100_000;
/// Lists and maps within each other, aliases followed.
pub(crate) const DEPTH_MAX: usize = 48;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub data: Data,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    /// Nothing stands there, or `~` or `null`.
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    pub text: Arc<str>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scalar {
    pub text: Arc<str>,
    pub style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Single,
    Double,
    Block,
}

impl Node {
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.data {
            Data::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    pub fn map(&self) -> Option<&[(Key, Node)]> {
        match &self.data {
            Data::Map(entries) => Some(entries),
            _ => None,
        }
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, node)| node)
    }

    pub fn entry(&self, key: &str) -> Option<&(Key, Node)> {
        self.map()?.iter().find(|(k, _)| &*k.text == key)
    }

    /// What it is, with its article, for messages.
    pub fn what(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::Scalar(scalar) if scalar.style != Style::Plain => "a text",
            Data::Scalar(scalar) if scalar.is_number() => "a number",
            Data::Scalar(scalar) if matches!(&*scalar.text, "true" | "false") => "true or false",
            Data::Scalar(scalar) if scalar.text.starts_with('=') => "a formula",
            Data::Scalar(_) => "a text",
            Data::List(_) => "a list",
            Data::Map(_) => "a group of keys",
        }
    }
}

impl Scalar {
    pub fn plain(&self) -> bool {
        self.style == Style::Plain
    }

    /// A plain number such as `5` or `-0.50`.
    pub fn is_number(&self) -> bool {
        self.plain() && {
            let digits = self.text.strip_prefix(['-', '+']).unwrap_or(&self.text);
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
            [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        }
    }
}

/// Where `at` of a scalar's text stands in its file. *Units*: bytes. The whole scalar where lines were folded.
pub(crate) fn locate(source: &str, span: Span, scalar: &Scalar, start: usize, end: usize) -> Span {
    let quoted = match scalar.style {
        Style::Plain if source.len() == scalar.text.len() => {
            let limit = source.len();
            return within(span, start.min(limit), end.min(limit));
        }
        Style::Single if !source.contains('\n') => "''",
        Style::Double if !source.contains('\n') => "\\",
        _ => return span,
    };
    let Some(inner) = source.get(1..source.len().saturating_sub(1)) else { return span };
    // The place in the file of each byte of the text: an escape is one or more characters for one.
    let (mut text_at, mut source_at) = (0usize, 1usize);
    let mut found = [None, None];
    let mut rest = inner;
    loop {
        for (slot, wanted) in found.iter_mut().zip([start, end]) {
            if slot.is_none() && text_at >= wanted {
                *slot = Some(source_at);
            }
        }
        let Some(first) = rest.chars().next() else { break };
        let (took, gave) = if quoted == "''" && rest.starts_with("''") {
            (2, 1)
        } else if quoted == "\\" && first == '\\' {
            escape(rest)
        } else {
            (first.len_utf8(), first.len_utf8())
        };
        text_at += gave;
        source_at += took;
        rest = inner.get(source_at - 1..).unwrap_or("");
    }
    let last = source.len() - 1;
    within(span, found[0].unwrap_or(last), found[1].unwrap_or(last))
}

/// Bytes of an escape in the source, and of what it stands for.
fn escape(rest: &str) -> (usize, usize) {
    let digits = match rest.as_bytes().get(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(b'N' | b'_') => return (2, 2),
        Some(b'L' | b'P') => return (2, 3),
        Some(byte) if byte.is_ascii() => return (2, 1),
        Some(_) => return (1 + rest[1..].chars().next().map_or(0, char::len_utf8), 1),
        None => return (1, 0),
    };
    let hex = rest.get(2..2 + digits).unwrap_or("");
    let gives = u32::from_str_radix(hex, 16).ok().and_then(char::from_u32).map_or(1, char::len_utf8);
    ((2 + digits).min(rest.len()), gives)
}

fn within(span: Span, start: usize, end: usize) -> Span {
    let at = |offset: usize| (span.start + offset as u32).min(span.end);
    Span { file: span.file, start: at(start), end: at(end.max(start)) }
}

/// The documents of one file. *Shape*: empty ones are left out. After a mistake in the YAML itself the rest is not read.
///
/// *Errors*: as diagnostics; `false` where the file could not be read to its end.
pub(crate) fn parse(file: FileId, text: &str, diagnostics: &mut Vec<Diagnostic>) -> (Vec<Node>, bool) {
    let mut reader =
        Reader { file, text, diagnostics, open: Vec::new(), anchors: BTreeMap::new(), nodes: 0, documents: Vec::new() };
    let complete = reader.read();
    (reader.documents, complete)
}

struct Reader<'t, 'd> {
    file: FileId,
    text: &'t str,
    diagnostics: &'d mut Vec<Diagnostic>,
    open: Vec<Open>,
    /// By number; with the count of nodes and the depth of each, so that an alias is weighed before it is followed.
    anchors: BTreeMap<usize, (Node, usize, usize)>,
    nodes: usize,
    documents: Vec<Node>,
}

/// A list or map that is being read.
struct Open {
    start: Span,
    anchor: usize,
    nodes_before: usize,
    depth: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, key: Option<Key>, merges: Vec<Node> },
}

impl Reader<'_, '_> {
    fn read(&mut self) -> bool {
        let options = granit_parser::options! { flow_nesting_limit: DEPTH_MAX, block_nesting_limit: DEPTH_MAX };
        for step in Parser::new_from_str_with_options(self.text, options) {
            let (event, span) = match step {
                Ok(step) => step,
                Err(error) => {
                    let at = error.marker().byte_offset().unwrap_or(self.text.len()).min(self.text.len());
                    let diagnostic = mistake::not_yaml(self.file, self.text, error.kind(), at, &error.to_string());
                    // What else was strange on this line is the same mistake.
                    let line = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
                    let file = self.file;
                    let same = |span: Span| span.file == file && span.start as usize >= line;
                    self.diagnostics.retain(|have| have.code != codes::YAML_FEATURE || !have.span.is_some_and(same));
                    self.diagnostics.push(diagnostic);
                    return false;
                }
            };
            let range = span.byte_range().unwrap_or(0..0);
            let place = Span { file: self.file, start: range.start as u32, end: range.end as u32 };
            if !self.event(event, place) {
                return false;
            }
        }
        true
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> bool {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if tag.is_some() {
                    self.refuse_tag(span);
                }
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted => Style::Single,
                    ScalarStyle::DoubleQuoted => Style::Double,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                let null = style == Style::Plain && matches!(&*text, "" | "~" | "null");
                let data = if null { Data::Null } else { Data::Scalar(Scalar { text: (&*text).into(), style }) };
                // A block scalar ends behind its line.
                let source = self.text.get(span.start as usize..span.end as usize).unwrap_or("");
                let end = span.start + source.trim_end().len() as u32;
                self.put(Node { data, span: Span { end, ..span } }, anchor, 1, 0)
            }
            Event::SequenceStart(_, anchor, tag) => {
                if tag.is_some() {
                    self.refuse_tag(span);
                }
                self.start(span, anchor, Items::List(Vec::new()), StructureStyle::Block)
            }
            Event::MappingStart(style, anchor, tag) => {
                if tag.is_some() {
                    self.refuse_tag(span);
                }
                self.start(span, anchor, Items::Map { entries: Vec::new(), key: None, merges: Vec::new() }, style)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(id) => match self.anchors.get(&id).cloned() {
                Some((node, nodes, depth)) => {
                    let span_of_alias = span;
                    if self.open.len() + depth > DEPTH_MAX {
                        return self.too_large(span_of_alias, format!("more than {DEPTH_MAX} levels"));
                    }
                    self.put(node, 0, nodes, depth)
                }
                None => {
                    self.diagnostics.push(
                        Diagnostic::error(codes::YAML_FEATURE, "an alias stands within its own anchor")
                            .at(span, "this would never end")
                            .help("write the value out"),
                    );
                    self.put(Node { data: Data::Null, span }, 0, 1, 0)
                }
            },
            Event::DocumentStart(..) => {
                self.anchors.clear();
                true
            }
            _ => true,
        }
    }

    fn start(&mut self, span: Span, anchor: usize, items: Items, _: StructureStyle) -> bool {
        if self.open.len() >= DEPTH_MAX {
            return self.too_large(span, format!("more than {DEPTH_MAX} levels"));
        }
        self.open.push(Open { start: span, anchor, nodes_before: self.nodes, depth: 0, items });
        true
    }

    fn end(&mut self, span: Span) -> bool {
        let Some(open) = self.open.pop() else { return true };
        let source = self.text.get(open.start.start as usize..span.end as usize).unwrap_or("");
        let end = open.start.start + source.trim_end().len() as u32;
        let whole = Span { file: self.file, start: open.start.start, end };
        let data = match open.items {
            Items::List(items) => Data::List(items),
            Items::Map { mut entries, merges, .. } => {
                for merged in merges {
                    let Data::Map(more) = merged.data else { continue };
                    for (key, node) in more {
                        if !entries.iter().any(|(have, _)| have.text == key.text) {
                            entries.push((key, node));
                        }
                    }
                }
                Data::Map(entries)
            }
        };
        let nodes = self.nodes - open.nodes_before + 1;
        let node = Node { data, span: whole };
        if open.anchor != 0 {
            self.anchors.insert(open.anchor, (node.clone(), nodes, open.depth + 1));
        }
        self.put(node, 0, 1, open.depth + 1)
    }

    fn put(&mut self, node: Node, anchor: usize, nodes: usize, depth: usize) -> bool {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            return self.too_large(node.span, format!("more than {NODES_MAX} values"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), nodes, depth));
        }
        let Some(open) = self.open.last_mut() else {
            if node.data != Data::Null {
                self.documents.push(node);
            }
            return true;
        };
        open.depth = open.depth.max(depth);
        match &mut open.items {
            Items::List(items) => items.push(node),
            Items::Map { key: slot @ None, .. } => {
                let text: Arc<str> = match &node.data {
                    Data::Scalar(scalar) => scalar.text.clone(),
                    Data::Null => self.text.get(node.span.start as usize..node.span.end as usize).unwrap_or("").into(),
                    Data::List(_) | Data::Map(_) => {
                        self.diagnostics.push(
                            Diagnostic::error(
                                codes::YAML_FEATURE,
                                "a key is a word here, not a list or a group of keys",
                            )
                            .at(node.span, "this stands where a key should")
                            .help("put a text with `{` or `[` at its start in quotes"),
                        );
                        "".into()
                    }
                };
                if text.starts_with('\t') {
                    let span = Span { end: node.span.start + 1, ..node.span };
                    self.diagnostics.push(mistake::indented_by_tab(span));
                    return false;
                }
                *slot = Some(Key { text, span: node.span });
            }
            Items::Map { entries, key, .. } => {
                let key = key.take().expect("the arm above takes every node that comes without a key");
                if &*key.text == "<<" {
                    return self.merge(key, node);
                }
                match entries.iter().find(|(have, _)| have.text == key.text) {
                    _ if key.text.is_empty() && !key.span.is_empty() => {}
                    Some((first, _)) => self.diagnostics.push(
                        Diagnostic::error(codes::DUPLICATE_KEY, format!("the key `{}` stands here twice", key.text))
                            .at(key.span, "the second one")
                            .also(first.span, "the first one")
                            .help("remove one of them, or give it its own name"),
                    ),
                    None => entries.push((key, node)),
                }
            }
        }
        true
    }

    fn merge(&mut self, key: Key, node: Node) -> bool {
        let parts = match node.data {
            Data::List(parts) => parts,
            _ => vec![node],
        };
        for part in parts {
            if part.map().is_none() {
                self.diagnostics.push(
                    Diagnostic::error(codes::YAML_FEATURE, "`<<` takes the keys of another group")
                        .at(key.span, format!("this is {}", part.what()))
                        .help("name an anchor of a group of keys, for example `<<: *defaults`"),
                );
                continue;
            }
            if let Some(Open { items: Items::Map { merges, .. }, .. }) = self.open.last_mut() {
                merges.push(part);
            }
        }
        true
    }

    fn too_large(&mut self, span: Span, what: String) -> bool {
        self.diagnostics.push(
            Diagnostic::error(codes::TOO_LARGE, format!("this file has {what}"))
                .at(span, "the limit is reached here")
                .note("aliases count with everything that they stand for")
                .help("split the file, or write fewer aliases"),
        );
        false
    }

    fn refuse_tag(&mut self, span: Span) {
        self.diagnostics.push(
            Diagnostic::error(codes::YAML_FEATURE, "a YAML tag (`!…`) has no meaning here")
                .at(span, "the value of the tag")
                .help("remove the tag; put a text that starts with `!` in quotes"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_one(text: &str) -> (Vec<Node>, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        let (documents, _) = parse(FileId(0), text, &mut diagnostics);
        (documents, diagnostics)
    }

    #[test]
    fn every_value_knows_its_place() {
        let text = "a: 1\nb: { c: 'x', d: [no, 010] }\n";
        let (documents, diagnostics) = parse_one(text);
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        let slice = |node: &Node| &text[node.span.start as usize..node.span.end as usize];
        let b = documents[0].get("b").unwrap();
        assert_eq!(slice(b), "{ c: 'x', d: [no, 010] }");
        assert_eq!(slice(b.get("c").unwrap()), "'x'");
        assert_eq!(slice(&documents[0]), text.trim_end());
        let Data::List(items) = &b.get("d").unwrap().data else { panic!() };
        assert_eq!(&*items[1].scalar().unwrap().text, "010");
    }

    #[test]
    fn several_documents_and_empty_ones() {
        for (text, count) in [
            ("", 0),
            ("---\n", 0),
            ("a: 1\n---\nb: 2\n---\n", 2),
            ("\u{feff}a: 1\n", 1),
            ("# only words\n", 0),
            ("a: 1\r\nb: 2\r\n", 1),
        ] {
            let (documents, diagnostics) = parse_one(text);
            assert!(diagnostics.is_empty(), "{text:?}: {diagnostics:?}");
            assert_eq!(documents.len(), count, "{text:?}");
        }
    }

    #[test]
    fn anchors_and_merge_keys_are_followed() {
        let (documents, diagnostics) = parse_one("base: &base { x: 1, y: 2 }\nmore: { <<: *base, y: 3 }\n");
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        let more = documents[0].get("more").unwrap();
        assert_eq!(&*more.get("x").unwrap().scalar().unwrap().text, "1");
        assert_eq!(&*more.get("y").unwrap().scalar().unwrap().text, "3");
    }

    #[test]
    fn a_bomb_of_aliases_ends_at_the_budget() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            let list = vec![format!("*a{}", i - 1); 10].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{list}]\n"));
        }
        let (_, diagnostics) = parse_one(&text);
        assert_eq!(diagnostics[0].code, codes::TOO_LARGE);
        let mut text = "a0: &a0 [x]\n".to_owned();
        for i in 1..100 {
            text.push_str(&format!("a{i}: &a{i} [*a{}]\n", i - 1));
        }
        let (_, diagnostics) = parse_one(&text);
        assert_eq!(diagnostics[0].code, codes::TOO_LARGE);
    }

    #[test]
    fn a_place_in_a_text_is_a_place_in_the_file() {
        for (source, wanted, expected) in [
            ("=Trim(name)", 1..5, "Trim"),
            ("'=A & ''b'' & C'", 11..12, "C"),
            ("\"=A & \\\"b\\\" & C\"", 11..12, "C"),
            ("\"=\\u00e9 & C\"", 6..7, "C"),
        ] {
            let (documents, _) = parse_one(source);
            let node = &documents[0];
            let found = locate(source, node.span, node.scalar().unwrap(), wanted.start, wanted.end);
            let text = &node.scalar().unwrap().text;
            assert_eq!(&source[found.start as usize..found.end as usize], expected, "{text}");
        }
    }
}
