//! `ironbridge test --update`: what happened becomes what is expected, in the case's own file.
//!
//! Only the lines under `then:` that did not come true are written anew; every other byte of the file stays. What cannot
//! be found by its lines is left alone, and said.

use std::ops::Range;
use std::path::Path;

use definition::{Expectation, File, LoadOptions, Rows, TestCase};
use serde_json::Value as Json;

use super::case::Shortfall;
use crate::wiring;

/// Writes what is there into the file of this case.
///
/// *Shape*: of several cases in one file the last one comes first, since lines move.
/// *Errors*: one sentence; the file is as it was.
pub fn update(dir: &Path, env: Option<&str>, case: &TestCase, short: &[Shortfall]) -> Result<(), String> {
    let mut instead = Vec::new();
    for short in short {
        let Some((at, json)) = &short.instead else {
            return Err(format!("{} went wrong: there is nothing to expect instead", short.of));
        };
        instead.push((*at, json));
    }
    let (file, line) = case.origin.rsplit_once(':').expect("a case stands on a line of a file");
    let line: usize = line.parse().expect("a line is a number");
    let path = dir.join(file);
    let before = std::fs::read_to_string(&path).map_err(|why| format!("{file} cannot be read: {why}"))?;
    let after = rewritten(&before, line, &case.then, &instead)?;
    verify(dir, env, file, &after, case, &instead)?;
    let failed = |why: std::io::Error| format!("{file} cannot be written: {why}");
    // The file is the old one or the new one, whatever happens in between.
    let new = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(dir)).map_err(failed)?;
    std::fs::write(new.path(), after).map_err(failed)?;
    let permissions = std::fs::metadata(&path).map_err(failed)?.permissions();
    std::fs::set_permissions(new.path(), permissions).map_err(failed)?;
    new.persist(&path).map_err(|why| failed(why.error))?;
    Ok(())
}

const BY_HAND: &str = "write `then:` as a list with a line for each expectation, or change it by hand";

/// The text of a file with these expectations of the case on this line written anew.
fn rewritten(text: &str, line: usize, then: &[Expectation], instead: &[(usize, &Json)]) -> Result<String, String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let items = items(&lines, line).filter(|items| items.len() == then.len()).ok_or(BY_HAND)?;
    let mut out: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    for (at, json) in instead {
        let item = &items[*at];
        let first = lines[item.start];
        let indent = &first[..first.len() - first.trim_start().len()];
        let in_braces = first.trim_start()[1..].trim_start().starts_with('{');
        let end = if first.ends_with("\r\n") { "\r\n" } else { "\n" };
        let name = match &then[*at] {
            Expectation::Rows { system, table, .. } => format!("{system}.{table}"),
            Expectation::DeadLetters(_) => "dead_letters".to_owned(),
            Expectation::Other { what, .. } => what.clone(),
        };
        let written = match json {
            _ if in_braces => format!("{indent}- {{ {name}: {} }}{end}", flow(json)),
            Json::Array(rows) => {
                let rows = rows.iter().map(|row| format!("{indent}    - {}{end}", flow(row)));
                format!("{indent}- {name}:{end}{}", rows.collect::<String>())
            }
            other => format!("{indent}- {name}: {}{end}", flow(other)),
        };
        out[item.start] = written;
        out[item.start + 1..item.end].iter_mut().for_each(String::clear);
    }
    Ok(out.concat())
}

/// The lines of each item under the `then:` of the document that `line` stands in. *Units*: lines from 0.
///
/// `None` where it is written in another way than as a list of lines.
fn items(lines: &[&str], line: usize) -> Option<Vec<Range<usize>>> {
    let begins = |line: &str| line.trim_end() == "---" || line.starts_with("--- ");
    let start = lines[..line].iter().rposition(|line| begins(line)).map_or(0, |at| at + 1);
    let end = lines[line..].iter().position(|line| begins(line)).map_or(lines.len(), |at| line + at);
    let is_then = |line: &&str| line.strip_prefix("then:").is_some_and(nothing);
    let then = start + lines[start..end].iter().position(is_then)?;
    let depth = |line: &str| line.len() - line.trim_start().len();
    let first = (then + 1..end).find(|at| !nothing(lines[*at]))?;
    let indent = depth(lines[first]);
    let mut items: Vec<Range<usize>> = Vec::new();
    for (at, line) in lines.iter().enumerate().take(end).skip(first) {
        if nothing(line) {
            continue;
        }
        if depth(line) == indent && line.trim_start().starts_with("- ") {
            items.push(at..at + 1);
        } else if depth(line) > indent {
            // Comments and blank lines within an item go with it, those after it stay.
            items.last_mut()?.end = at + 1;
        } else {
            break;
        }
    }
    Some(items)
}

/// A blank line, or only a comment.
fn nothing(line: &str) -> bool {
    let text = line.trim();
    text.is_empty() || text.starts_with('#')
}

/// YAML on one line.
fn flow(json: &Json) -> String {
    match json {
        Json::Object(cells) if cells.is_empty() => "{}".to_owned(),
        Json::Object(cells) => {
            let cells: Vec<String> =
                cells.iter().map(|(name, json)| format!("{}: {}", scalar(name), flow(json))).collect();
            format!("{{ {} }}", cells.join(", "))
        }
        Json::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Json::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// Without quotes only where nobody could take it for anything but this text. A JSON text is one of YAML too.
fn scalar(text: &str) -> String {
    const WORDS: &[&str] = &["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | '@');
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(safe)
        && !text.ends_with(' ')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { Json::from(text).to_string() }
}

/// Reads the project with the new file: this case expects what is there now, and everything else is what it was.
fn verify(
    dir: &Path,
    env: Option<&str>,
    file: &str,
    text: &str,
    case: &TestCase,
    instead: &[(usize, &Json)],
) -> Result<(), String> {
    let before = wiring::load(dir, env);
    let given = before
        .files
        .iter()
        .map(|(_, have): (_, &File)| (&*have.path, if &*have.path == file { text } else { &*have.text }));
    let kinds = wiring::kinds();
    let options = LoadOptions { environment: env, kinds: &kinds, ..LoadOptions::default() };
    let after = definition::load_files(given, &options);
    let (Some(before), Some(after)) = (&before.project, &after.project) else { return Err(BY_HAND.to_owned()) };
    let expected = before.tests.iter().map(|test| {
        let mut test = test.clone();
        if test.origin == case.origin {
            for (at, json) in instead {
                expect(&mut test.then[*at], json);
            }
        }
        test
    });
    // Lines may have moved; nothing else may.
    let same = |(a, b): (TestCase, &TestCase)| TestCase { origin: b.origin.clone(), ..a } == *b;
    let as_it_was = before.tests.len() == after.tests.len() && expected.zip(&after.tests).all(same);
    if as_it_was { Ok(()) } else { Err(BY_HAND.to_owned()) }
}

fn expect(expectation: &mut Expectation, json: &Json) {
    match expectation {
        Expectation::Rows { rows, .. } | Expectation::DeadLetters(rows) => {
            *rows = match json {
                Json::Array(found) => Rows::These(found.clone()),
                Json::Number(count) => Rows::Count(count.as_u64().unwrap_or_default()),
                _ => Rows::None,
            }
        }
        Expectation::Other { is, .. } => *is = json.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows(system: &str) -> Expectation {
        Expectation::Rows { system: system.to_owned(), table: "t".to_owned(), rows: Rows::None }
    }

    #[test]
    fn only_the_lines_that_were_wrong_are_written_anew() {
        let text = "# head\ntest: a\nthen:   # why\n  # first\n  - a.t:\n      - { x: 1 }   # one\n  # second\n  - { b.t: none }\n\n---\ntest: b\nthen: [{ c.t: none }]\n";
        let then = [rows("a"), rows("b")];
        let new = rewritten(text, 2, &then, &[(0, &json!([{ "x": "2", "z": null }]))]).unwrap();
        assert_eq!(new, text.replace("{ x: 1 }   # one", r#"{ x: "2", z: null }"#));
        let new = rewritten(text, 2, &then, &[(1, &json!([{ "x": "no" }]))]).unwrap();
        assert_eq!(new, text.replace("{ b.t: none }", r#"{ b.t: [{ x: "no" }] }"#));
        let both = [(0, &json!("none")), (1, &json!(2))];
        let new = rewritten(&text.replace('\n', "\r\n"), 2, &then, &both).unwrap();
        let expected =
            text.replace("a.t:\n      - { x: 1 }   # one", "a.t: none").replace("{ b.t: none }", "{ b.t: 2 }");
        assert_eq!(new, expected.replace('\n', "\r\n"));
        assert_eq!(rewritten(text, 11, &[rows("c")], &[(0, &json!(1))]), Err(BY_HAND.to_owned()));
    }
}
