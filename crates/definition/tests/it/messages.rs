//! What people read: one small change of the examples, and every word that comes of it.
//!
//! The cases stand in `messages.txt`: a line `## FILE: OLD => NEW` (or `## FILE := CONTENT`, with `\n` for a new line),
//! then what is rendered. `UPDATE_MESSAGES=1 cargo test -p definition` writes it anew, to be read aloud before it is
//! committed.

use std::collections::BTreeMap;
use std::path::Path;

use definition::{LoadOptions, load_files};

pub fn apply(files: &mut BTreeMap<String, String>, edit: &str) {
    if let Some((file, content)) = edit.split_once(" := ") {
        files.insert(file.to_owned(), content.replace("\\n", "\n").replace("\\t", "\t"));
        return;
    }
    let (file, change) = edit.split_once(": ").unwrap_or_else(|| panic!("`{edit}` names no file"));
    let (old, new) = change.split_once(" => ").unwrap_or_else(|| panic!("`{edit}` has no `=>`"));
    let text = files.get_mut(file).unwrap_or_else(|| panic!("`{file}` is no file of the examples"));
    let (old, new) = (old.replace("\\n", "\n"), new.replace("\\n", "\n").replace("\\t", "\t"));
    assert!(text.contains(&old), "`{file}` does not hold `{old}`");
    *text = text.replacen(&old, &new, 1);
}

fn render(edit: &str) -> String {
    let mut files: BTreeMap<String, String> = super::mutation::fixture().into_iter().collect();
    edit.split(" ;; ").for_each(|edit| apply(&mut files, edit));
    let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let loaded = load_files(given, &LoadOptions { kinds: super::kinds::KINDS, ..LoadOptions::default() });
    loaded.render(false, 120)
}

#[test]
fn every_message_is_as_it_was_read_aloud() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/messages.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, cases) = text.split_once("## ").expect("there are cases");
    let cases: Vec<(&str, &str)> =
        cases.split("\n## ").map(|case| case.split_once('\n').unwrap_or((case, ""))).collect();
    assert!(cases.len() > 250, "{}", cases.len());
    let mut written = head.to_owned();
    let mut wrong = Vec::new();
    for (edit, expected) in &cases {
        let got = render(edit);
        if got.trim_end() != expected.trim_end() {
            wrong.push(format!("## {edit}\nexpected:\n{}\ngot:\n{got}", expected.trim_end()));
        }
        written.push_str(&format!("## {edit}\n{got}\n\n"));
    }
    if std::env::var_os("UPDATE_MESSAGES").is_some() {
        std::fs::write(&path, written.trim_end().to_owned() + "\n").unwrap();
        return;
    }
    assert!(wrong.is_empty(), "{} of {}\n\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

#[test]
fn a_case_that_says_nothing_is_no_case() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/messages.txt")).unwrap();
    for case in text.split("## ").skip(1) {
        assert!(case.contains("error[IB") || case.contains("warning[IB"), "{case}");
    }
}
