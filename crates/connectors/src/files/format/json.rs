//! JSON: an array of objects, somewhere in a document, or one object on each line.
//!
//! An array is read element by element: the document is never in memory as a whole, and a number keeps its digits.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::ops::ControlFlow;

use record::{ReadSpec, Type, Value};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

use super::window::{ROW_BYTES_MAX, Window};
use super::{Broken, Cells, Taker};
use crate::files::passing::Passing;
use crate::files::settings::Settings;
use crate::files::value::Cell;
use crate::http::typed;

const FIX: &str = "look at the file; where each line is an object of its own, write `format: { type: json lines }`, and `rows:` where the rows are not at the top";

pub(super) fn read_array(
    file: &mut Passing,
    spec: &ReadSpec,
    settings: &Settings,
    taker: &mut dyn Taker,
) -> Result<(), Broken> {
    array(Window::open(file, settings.format.encoding)?, spec, &settings.rows, taker)
}

pub(super) fn read_lines(
    file: &mut Passing,
    spec: &ReadSpec,
    settings: &Settings,
    taker: &mut dyn Taker,
) -> Result<(), Broken> {
    lines(Window::open(file, settings.format.encoding)?, spec, taker)
}

fn array<R: Read>(window: Window<R>, spec: &ReadSpec, path: &str, taker: &mut dyn Taker) -> Result<(), Broken> {
    let mut scanner = Scanner { window, offset: 0 };
    scanner.enter(path)?;
    let mut item = 0;
    loop {
        match scanner.peek()? {
            Some(b']') => return Ok(()),
            Some(b',') => scanner.skip(),
            Some(_) => {
                item += 1;
                let bytes = scanner.value()?;
                let element = scanner.window.taken(bytes);
                if hand_over(element, item, spec, taker).is_break() {
                    return Ok(());
                }
            }
            None => return Err(scanner.broken("it ends in the middle of the list")),
        }
    }
}

fn lines<R: Read>(mut window: Window<R>, spec: &ReadSpec, taker: &mut dyn Taker) -> Result<(), Broken> {
    let mut line = 0;
    let mut too_long = false;
    loop {
        let rest = window.rest();
        let end = memchr::memchr(b'\n', rest);
        let bytes = match end {
            Some(end) => end + 1,
            None if window.is_last() && rest.is_empty() => return Ok(()),
            None if window.is_last() => rest.len(),
            None => {
                if rest.len() > ROW_BYTES_MAX {
                    too_long = true;
                    window.take(window.rest().len());
                }
                window.fill()?;
                continue;
            }
        };
        line += 1;
        window.take(bytes);
        let text = window.taken(bytes).trim_ascii();
        let flow = if std::mem::take(&mut too_long) {
            taker.unreadable(line, "this line is longer than 4 MB", xxh3_64(text))
        } else if text.is_empty() {
            ControlFlow::Continue(())
        } else {
            hand_over(text, line, spec, taker)
        };
        if flow.is_break() {
            return Ok(());
        }
    }
}

fn hand_over(text: &[u8], line: u64, spec: &ReadSpec, taker: &mut dyn Taker) -> ControlFlow<()> {
    let object = std::str::from_utf8(text)
        .map_err(|_| "it is no UTF-8".to_owned())
        .and_then(|text| serde_json::from_str::<Object<'_>>(text).map_err(|why| why.to_string()));
    match object {
        Ok(object) => {
            let cells: Vec<Cell<'_>> = spec.columns.iter().map(|path| cell(&object, path, path, spec)).collect();
            taker.row(line, &Row(cells))
        }
        Err(why) => taker.unreadable(line, &format!("this is no JSON object: {why}"), xxh3_64(text)),
    }
}

type Object<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

struct Row<'a>(Vec<Cell<'a>>);

impl Cells for Row<'_> {
    fn cell(&self, wanted: usize) -> Cell<'_> {
        self.0[wanted].clone()
    }
}

/// What is at a path; the path as one name comes first. What is not there is blank. `column`: the whole path.
fn cell<'a>(object: &Object<'a>, path: &str, column: &str, spec: &ReadSpec) -> Cell<'a> {
    if let Some(raw) = object.get(path) {
        return of(raw.get(), column, spec);
    }
    let Some((first, rest)) = path.split_once('.') else { return Cell::Blank };
    let Some(raw) = object.get(first) else { return Cell::Blank };
    match serde_json::from_str::<Object<'a>>(raw.get()) {
        Ok(inner) => cell(&inner, rest, column, spec),
        Err(_) => Cell::Blank,
    }
}

fn of<'a>(raw: &'a str, column: &str, spec: &ReadSpec) -> Cell<'a> {
    match raw.as_bytes().first() {
        Some(b'n') | None => Cell::Blank,
        Some(b't') => Cell::Bool(true),
        Some(b'f') => Cell::Bool(false),
        Some(b'"') => match serde_json::from_str::<String>(raw) {
            Ok(text) => Cell::Text(text.into()),
            Err(why) => Cell::Wrong(format!("this text cannot be read: {why}")),
        },
        Some(b'{' | b'[') => match spec.declared.iter().find(|(name, _)| name == column) {
            Some((_, ty @ Type::Lines(_))) => lines_of(raw, ty, spec),
            _ => Cell::Text(raw.into()),
        },
        Some(_) => Cell::Number(raw.into()),
    }
}

fn lines_of<'a>(raw: &str, ty: &Type, spec: &ReadSpec) -> Cell<'a> {
    let list = serde_json::from_str::<serde_json::Value>(raw).map_err(|why| format!("this list cannot be read: {why}"));
    match list.and_then(|list| typed::value(&list, ty, spec.time_zone.as_ref())) {
        Ok(Value::Rows(rows)) => Cell::Rows(rows),
        Ok(_) => Cell::Blank,
        Err(why) => Cell::Wrong(format!("the list {why}")),
    }
}

/// Finds its way through a document without holding it.
struct Scanner<R> {
    window: Window<R>,
    /// Bytes that were taken so far.
    offset: u64,
}

impl<R: Read> Scanner<R> {
    /// The next byte that is no space.
    fn peek(&mut self) -> Result<Option<u8>, Broken> {
        loop {
            let rest = self.window.rest();
            let spaces = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let found = rest.get(spaces).copied();
            self.take(spaces);
            if found.is_some() || self.window.is_last() {
                return Ok(found);
            }
            self.window.fill()?;
        }
    }

    fn skip(&mut self) {
        self.take(1);
    }

    fn take(&mut self, bytes: usize) {
        self.window.take(bytes);
        self.offset += bytes as u64;
    }

    fn broken(&self, why: &str) -> Broken {
        Broken::Format(format!("it is no JSON that can be read (byte {}): {why}", self.offset), FIX)
    }

    /// Takes one value, whatever it is; answers its length.
    fn value(&mut self) -> Result<usize, Broken> {
        let (mut at, mut depth, mut in_text, mut escaped) = (0, 0_usize, false, false);
        loop {
            let rest = self.window.rest();
            while let Some(byte) = rest.get(at) {
                if in_text {
                    match byte {
                        _ if escaped => escaped = false,
                        b'\\' => escaped = true,
                        b'"' => in_text = false,
                        _ => {}
                    }
                    at += 1;
                    if !in_text && depth == 0 {
                        self.take(at);
                        return Ok(at);
                    }
                    continue;
                }
                match byte {
                    b'"' => in_text = true,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' | b',' | b':' if depth == 0 => {
                        // The end of a plain value, which the byte is no part of.
                        if at == 0 {
                            return Err(self.broken("there is no value where one should be"));
                        }
                        self.take(at);
                        return Ok(at);
                    }
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            at += 1;
                            self.take(at);
                            return Ok(at);
                        }
                    }
                    byte if byte.is_ascii_whitespace() && depth == 0 && at > 0 => {
                        self.take(at);
                        return Ok(at);
                    }
                    _ => {}
                }
                at += 1;
            }
            if self.window.is_last() {
                return Err(self.broken("it ends in the middle of a value"));
            }
            if at > ROW_BYTES_MAX {
                return Err(self.broken("one value is longer than 4 MB"));
            }
            self.window.fill()?;
        }
    }

    /// Goes to the list of rows and into it. Without a path it is the document, or the first list of its object.
    fn enter(&mut self, path: &str) -> Result<(), Broken> {
        let mut names = path.split('.').filter(|name| !name.is_empty());
        let mut wanted = names.next();
        loop {
            match self.peek()? {
                Some(b'[') if wanted.is_none() => {
                    self.skip();
                    return Ok(());
                }
                Some(b'{') => self.skip(),
                Some(_) => return Err(self.broken(&format!("there is no list of rows{}", at_path(path)))),
                None => return Err(self.broken("it is empty")),
            }
            // In an object: to the member that leads to the rows.
            loop {
                match self.peek()? {
                    Some(b',') => self.skip(),
                    Some(b'"') => {
                        let bytes = self.value()?;
                        let name: Option<String> = serde_json::from_slice(self.window.taken(bytes)).ok();
                        if self.peek()? != Some(b':') {
                            return Err(self.broken("a name has no value"));
                        }
                        self.skip();
                        let value = self.peek()?;
                        let found = match wanted {
                            Some(wanted) => name.as_deref() == Some(wanted),
                            None => value == Some(b'['),
                        };
                        if found {
                            wanted = names.next();
                            break;
                        }
                        self.pass()?;
                    }
                    _ => return Err(self.broken(&format!("there is no list of rows{}", at_path(path)))),
                }
            }
        }
    }

    /// Leaves a value out, however long it is.
    fn pass(&mut self) -> Result<(), Broken> {
        let (mut depth, mut in_text, mut escaped, mut any) = (0_usize, false, false, false);
        loop {
            let Some(byte) = self.window.rest().first().copied() else {
                if self.window.is_last() {
                    return Err(self.broken("it ends in the middle of a value"));
                }
                self.window.fill()?;
                continue;
            };
            if depth == 0 && !in_text && any && matches!(byte, b',' | b'}' | b']') {
                return Ok(());
            }
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                b'{' | b'[' if !in_text => depth += 1,
                b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
                _ => {}
            }
            any |= !byte.is_ascii_whitespace();
            self.take(1);
        }
    }
}

fn at_path(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" at `{path}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen(Vec<String>);

    impl Taker for Seen {
        fn row(&mut self, line: u64, cells: &dyn Cells) -> ControlFlow<()> {
            let text = |cell| match cell {
                Cell::Text(text) => format!("{text:?}"),
                Cell::Number(text) => text.into_owned(),
                other => format!("{other:?}"),
            };
            self.0.push(format!("{line}: {} {}", text(cells.cell(0)), text(cells.cell(1))));
            ControlFlow::Continue(())
        }

        fn unreadable(&mut self, line: u64, why: &str, _: u64) -> ControlFlow<()> {
            self.0.push(format!("{line}! {why}"));
            ControlFlow::Continue(())
        }
    }

    fn spec() -> ReadSpec {
        ReadSpec {
            table: String::new(),
            columns: vec!["a".into(), "b.c".into()],
            declared: Vec::new(),
            watermark: None,
            key: Vec::new(),
            rows_per_batch: 10,
            time_zone: None,
            fields: Vec::new(),
            options: record::Options::default(),
        }
    }

    fn of_array(text: &str, path: &str) -> Vec<String> {
        let mut seen = Seen::default();
        let window = Window::open(text.as_bytes(), encoding_rs::UTF_8).unwrap();
        if let Err(Broken::Format(why, _)) = array(window, &spec(), path, &mut seen) {
            seen.0.push(why);
        }
        seen.0
    }

    #[test]
    fn rows_wherever_they_are() {
        let rows =
            r#"[{"a": 0.10000000000000000000000001, "b": {"c": "x\"]"}}, {"b.c": true, "more": [1, {"a": 2}]}, {}]"#;
        let expected = ["1: 0.10000000000000000000000001 \"x\\\"]\"", "2: Blank Bool(true)", "3: Blank Blank"];
        for (text, path) in [
            (rows.to_owned(), ""),
            (format!(" {{ \"count\": 3, \"note\": \"[\", \"value\" : {rows} , \"more\": 1}}"), ""),
            (
                format!("{{\"other\": [1, {{}}], \"data\": {{\"skip\": {{\"items\": []}}, \"items\": {rows}}}}}"),
                "data.items",
            ),
        ] {
            assert_eq!(of_array(&text, path), expected, "{text}");
        }
        assert!(of_array("[]", "").is_empty());
    }

    #[test]
    fn what_is_no_row_and_what_is_no_document() {
        for (text, path, expected) in [
            ("[1, {\"a\": 2}]", "", "1! this is no JSON object"),
            ("[{\"a\": 01}]", "", "1! this is no JSON object"),
            ("[{\"a\": 1}", "", "it ends in the middle of the list"),
            ("[{\"a\": 1", "", "it ends in the middle of a value"),
            ("{\"a\": 1}", "", "there is no list of rows"),
            ("{\"a\": 1}", "rows", "there is no list of rows at `rows`"),
            ("", "", "it is empty"),
            ("a,b\n1,2\n", "", "there is no list of rows"),
        ] {
            let seen = of_array(text, path);
            assert!(seen.iter().any(|line| line.contains(expected)), "{text}: {seen:?}");
        }
        assert_eq!(of_array("[1, {\"a\": 2}]", "").last().unwrap(), "2: 2 Blank");
    }

    #[test]
    fn a_line_is_an_object() {
        let text = "{\"a\": \"x\"}\r\n\nnot json\n[1]\n{\"b\": {\"c\": null}, \"a\": 2.50}";
        let mut seen = Seen::default();
        lines(Window::open(text.as_bytes(), encoding_rs::UTF_8).unwrap(), &spec(), &mut seen).unwrap();
        assert_eq!(seen.0[0], "1: \"x\" Blank");
        assert!(seen.0[1].starts_with("3! this is no JSON object") && seen.0[2].starts_with("4! "), "{:?}", seen.0);
        assert_eq!(seen.0[3], "5: 2.50 Blank");
    }
}
