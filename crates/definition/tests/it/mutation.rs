//! Each key of the examples is renamed, removed and given another kind of value, one at a time: the mistake is found at
//! its place, and nothing is reported that it did not cause.

use std::path::Path;

use definition::{LoadOptions, Loaded, load_files};
use granit_parser::{Event, Parser};

/// A key with its value in one file. *Units*: bytes.
#[derive(Debug, Clone)]
struct Pair {
    key: std::ops::Range<usize>,
    value: std::ops::Range<usize>,
    /// The keys above it: `fields.number.type`.
    path: String,
    is_scalar: bool,
    in_flow: bool,
}

pub fn fixture() -> Vec<(String, String)> {
    fn walk(dir: &Path, base: &Path, found: &mut Vec<(String, String)>) {
        let mut entries: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, base, found);
            } else {
                let name = path.strip_prefix(base).unwrap().to_str().unwrap().replace('\\', "/");
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/contoso");
    let mut found = Vec::new();
    walk(&base, &base, &mut found);
    found
}

fn pairs(text: &str) -> Vec<Pair> {
    enum Open {
        Map { flow: bool, path: String, key: Option<std::ops::Range<usize>>, start: usize },
        List { path: String, start: usize },
    }
    let mut found = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut done = |open: &mut Vec<Open>, range: std::ops::Range<usize>, is_scalar: bool| {
        if let Some(Open::Map { flow, path, key, .. }) = open.last_mut() {
            match key.take() {
                None => *key = Some(range),
                Some(at) => {
                    let path = format!("{path}.{}", &text[at.clone()]);
                    found.push(Pair { key: at, value: range, path, is_scalar, in_flow: *flow });
                }
            }
        }
    };
    let path_of = |open: &Vec<Open>| match open.last() {
        Some(Open::Map { path, key: Some(key), .. }) => format!("{path}.{}", &text[key.clone()]),
        Some(Open::Map { path, .. } | Open::List { path, .. }) => path.clone(),
        None => String::new(),
    };
    for step in Parser::new_from_str(text) {
        let (event, span) = step.unwrap();
        let range = span.byte_range().unwrap_or(0..0);
        match event {
            Event::Scalar(..) => done(&mut open, range, true),
            Event::MappingStart(..) => {
                let flow = text[range.start..].starts_with('{');
                let path = path_of(&open);
                open.push(Open::Map { flow, path, key: None, start: range.start });
            }
            Event::SequenceStart(..) => {
                let path = path_of(&open);
                open.push(Open::List { path, start: range.start });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                let start = match open.pop().unwrap() {
                    Open::Map { start, .. } | Open::List { start, .. } => start,
                };
                let end = start + text[start..range.end].trim_end().len();
                done(&mut open, start..end, false);
            }
            _ => {}
        }
    }
    found
}

fn load(files: &[(String, String)], changed: usize, text: &str) -> Loaded {
    let given = files
        .iter()
        .enumerate()
        .map(|(at, (path, own))| (path.as_str(), if at == changed { text } else { own.as_str() }));
    load_files(
        given,
        &LoadOptions {
            kinds: super::kinds::KINDS,
            environment: files[changed].0.starts_with("environments/").then_some("production"),
            ..LoadOptions::default()
        },
    )
}

/// A diagnostic that the change at `place` of `path` explains: it points there, or to a place that names what is gone.
fn explained(loaded: &Loaded, path: &str, place: &std::ops::Range<usize>, old: &[&str]) -> Vec<String> {
    let mut strange = Vec::new();
    for diagnostic in &loaded.diagnostics {
        let Some(span) = diagnostic.span else {
            strange.push(diagnostic.render(&loaded.files, false, 140));
            continue;
        };
        let at = diagnostic.place(&loaded.files).unwrap();
        let here = &*at.file == path && span.start as usize <= place.end && span.end as usize >= place.start;
        let slice = loaded.files.slice(span);
        let said = format!(
            "{} {} {} {}",
            diagnostic.title,
            diagnostic.label,
            diagnostic.help.as_deref().unwrap_or(""),
            diagnostic.notes.join(" ")
        );
        let names_it = old.iter().any(|old| {
            slice.contains(old)
                || said.contains(&format!("`{old}`"))
                || said.contains(&format!("`{old}:"))
                || said.contains(&format!("{old}.yaml"))
        });
        if !here && !names_it {
            strange.push(diagnostic.render(&loaded.files, false, 140));
        }
    }
    strange
}

/// The names in a piece of a file: what may be missed elsewhere when the piece is gone.
fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
        .filter(|word| word.len() > 1 && !word.starts_with(|c: char| c.is_ascii_digit()))
        .collect()
}

/// Keys with names of the user's own: renaming one is no mistake unless somebody uses it.
fn own_name(file: &str, path: &str) -> bool {
    let parts: Vec<&str> = path.trim_start_matches('.').split('.').collect();
    let parent = |at: usize| parts.len().checked_sub(1 + at).and_then(|at| parts.get(at)).copied().unwrap_or("");
    path.contains(".write.")
        || matches!(
            parent(1),
            "fields"
                | "people"
                | "groups"
                | "entities"
                | "read"
                | "write"
                | "both"
                | "columns"
                | "returns"
                | "choice"
                | "set"
                | "given"
                | "systems"
        )
        || file.starts_with("tests/") && !matches!(path, ".test" | ".given" | ".when" | ".then" | ".when.run")
        || file.starts_with("environments/") && parts.len() > 2 && parts.last() == Some(&"url")
}

#[test]
fn a_renamed_key_is_found_at_its_place_and_nothing_else_is_reported() {
    let files = fixture();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (at, (path, text)) in files.iter().enumerate() {
        for pair in pairs(text) {
            count += 1;
            let changed = format!("{}zzgone{}", &text[..pair.key.start], &text[pair.key.end..]);
            let loaded = load(&files, at, &changed);
            let place = pair.key.start..pair.key.start + 6;
            // Everything below a renamed key is gone from where it was.
            let gone = words(&text[pair.key.start..pair.value.end]);
            let strange = explained(&loaded, path, &place, &gone);
            let own = own_name(path, &pair.path);
            let found_here = loaded.diagnostics.iter().any(|d| {
                d.place(&loaded.files)
                    .is_some_and(|p| &*p.file == path.as_str() && p.span.start as usize == place.start)
            });
            if !own && !found_here {
                wrong.push(format!("{path}{}: not found at its place\n{}", pair.path, loaded.render(false, 140)));
            }
            if !strange.is_empty() {
                wrong.push(format!("{path}{}: also reported\n{}", pair.path, strange.join("\n")));
            }
        }
    }
    assert!(count > 300, "{count}");
    assert!(wrong.is_empty(), "{} of {count}\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn a_value_of_another_kind_is_found_at_its_place_and_nothing_else_is_reported() {
    let files = fixture();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (at, (path, text)) in files.iter().enumerate() {
        for pair in pairs(text) {
            count += 1;
            let value = if pair.is_scalar { "[[zz]]" } else { "7" };
            // A block that becomes a scalar stands behind its key.
            let (start, separator) =
                if pair.in_flow || pair.is_scalar { (pair.value.start, "") } else { (pair.key.end, ": ") };
            let changed = format!("{}{separator}{value}{}", &text[..start], &text[pair.value.end..]);
            let loaded = load(&files, at, &changed);
            let place = pair.key.start..start + separator.len() + value.len();
            let gone = words(&text[pair.key.start..pair.value.end]);
            let strange = explained(&loaded, path, &place, &gone);
            // A fixed value may be written to a column of which nothing is known.
            let free = own_name(path, &pair.path) && (path.starts_with("tests/") || pair.path.contains(".write."));
            if !free && loaded.diagnostics.is_empty() {
                wrong.push(format!("{path}{}: not found", pair.path));
            }
            if !strange.is_empty() {
                wrong.push(format!("{path}{}: also reported\n{}", pair.path, strange.join("\n")));
            }
        }
    }
    assert!(count > 300, "{count}");
    assert!(wrong.is_empty(), "{} of {count}\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn a_missing_key_is_found_where_it_is_missed_and_nothing_else_is_reported() {
    let files = fixture();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (at, (path, text)) in files.iter().enumerate() {
        for pair in pairs(text) {
            count += 1;
            let (mut start, mut end) = (pair.key.start, pair.value.end);
            let rest = &text[end..];
            if pair.in_flow {
                // With the comma behind it, or else the one before it.
                let after = rest.len() - rest.trim_start().len();
                if rest[after..].starts_with(',') {
                    end += after + 1;
                } else if let Some(comma) = text[..start].trim_end().strip_suffix(',') {
                    start = comma.len();
                }
            } else {
                let line = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
                if text[line..start].trim().is_empty() {
                    start = line;
                    end += rest.find('\n').map_or(rest.len(), |newline| newline + 1);
                }
            }
            let changed = format!("{}{}", &text[..start], &text[end..]);
            let loaded = load(&files, at, &changed);
            let gone = words(&text[pair.key.start..pair.value.end]);
            let strange = explained(&loaded, path, &(start.saturating_sub(40)..start + 2), &gone);
            if !strange.is_empty() {
                wrong.push(format!("{path}{}: also reported\n{}", pair.path, strange.join("\n")));
            }
        }
    }
    assert!(count > 300, "{count}");
    assert!(wrong.is_empty(), "{} of {count}\n\n{}", wrong.len(), wrong.join("\n\n"));
}

/// Every key renamed, and every value of another kind: what was done, and the file after it.
pub fn changes(text: &str) -> Vec<(String, String)> {
    let mut changes = Vec::new();
    for pair in pairs(text) {
        let renamed = format!("{}zzgone{}", &text[..pair.key.start], &text[pair.key.end..]);
        changes.push((format!("{} renamed", pair.path), renamed));
        let value = if pair.is_scalar { "[[zz]]" } else { "7" };
        let (start, separator) =
            if pair.in_flow || pair.is_scalar { (pair.value.start, "") } else { (pair.key.end, ": ") };
        let retyped = format!("{}{separator}{value}{}", &text[..start], &text[pair.value.end..]);
        changes.push((format!("{} is {value}", pair.path), retyped));
    }
    changes
}
