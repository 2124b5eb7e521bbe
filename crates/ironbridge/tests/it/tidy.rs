//! What the house promises of itself: borders between crates, a page for each code, links that lead somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;

use crate::support::root;

/// What each crate may import of ours. A new line here is a change of the architecture, and says why in its commit.
const BORDERS: &[(&str, &[&str])] = &[
    ("record", &[]),
    ("powerfx", &[]),
    ("mapping", &["powerfx", "record"]),
    ("definition", &["mapping", "powerfx", "record"]),
    ("odata", &["record"]),
    ("scheduling", &[]),
    ("store", &["record", "scheduling"]),
    ("dataverse", &["odata", "record"]),
    ("connectors", &["dataverse", "odata", "record"]),
    ("virtual_tables", &["definition", "mapping", "powerfx", "record"]),
    ("hub", &["definition", "mapping", "record", "store"]),
    ("emulator", &["odata", "record"]),
    ("web_console", &["definition", "hub", "record", "store"]),
    (
        "ironbridge",
        &[
            "connectors",
            "definition",
            "emulator",
            "hub",
            "mapping",
            "odata",
            "powerfx",
            "record",
            "store",
            "virtual_tables",
            "web_console",
        ],
    ),
    (
        "bench",
        &["powerfx", "record", "store", "emulator", "connectors", "hub", "definition", "mapping", "dataverse", "odata"],
    ),
];

/// Libraries that stay out of a crate, so that it stays what it is.
const KEPT_OUT: &[(&str, &[&str])] = &[
    ("record", &["tokio", "reqwest", "hyper", "axum", "rusqlite", "serde", "serde_json"]),
    ("powerfx", &["tokio", "reqwest", "hyper", "axum", "rusqlite"]),
    ("mapping", &["tokio", "reqwest", "hyper", "axum", "rusqlite"]),
    ("definition", &["tokio", "reqwest", "hyper", "axum", "rusqlite"]),
    ("odata", &["tokio", "reqwest", "hyper", "axum", "rusqlite"]),
    ("store", &["reqwest", "hyper", "axum"]),
    ("hub", &["reqwest", "hyper", "axum", "rusqlite"]),
    ("virtual_tables", &["reqwest", "hyper", "axum", "rusqlite"]),
    ("web_console", &["reqwest", "rusqlite"]),
    ("connectors", &["axum"]),
    ("dataverse", &["axum", "rusqlite"]),
];

#[test]
fn crates_import_what_the_architecture_says() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Json = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let imports: Vec<&str> = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|d| d["kind"].is_null())
            .map(|d| d["name"].as_str().unwrap())
            .collect();
        let (_, allowed) =
            BORDERS.iter().find(|(of, _)| *of == name).unwrap_or_else(|| panic!("`{name}` has no border yet"));
        for import in imports.iter().filter(|import| ours.contains(**import)) {
            assert!(allowed.contains(import), "`{name}` imports `{import}`, which its border does not allow");
        }
        for (_, kept_out) in KEPT_OUT.iter().filter(|(of, _)| *of == name) {
            for import in &imports {
                assert!(!kept_out.contains(import), "`{name}` imports `{import}`, which is kept out of it");
            }
        }
    }
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let mut used: BTreeMap<String, PathBuf> = BTreeMap::new();
    for file in files(&root().join("crates"), "rs") {
        if file.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("mod tests {").next().unwrap_or_default();
        for (at, _) in code.match_indices("\"IB") {
            let word: String = code[at + 1..].chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
            if word.len() == 6 && word[2..].chars().all(|c| c.is_ascii_digit()) {
                used.insert(word, file.clone());
            }
        }
    }
    assert!(used.len() > 30, "only {} codes were found", used.len());
    let mut pages = BTreeSet::new();
    for page in files(&root().join("docs/runbooks"), "md") {
        let code = page.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(text.starts_with(&format!("# {code}: ")), "{} does not begin with its code", page.display());
        pages.insert(code);
    }
    for (code, file) in &used {
        assert!(pages.contains(code), "{code} (in {}) has no page in docs/runbooks", file.display());
    }
    for code in &pages {
        assert!(used.contains_key(code), "docs/runbooks/{code}.md explains a code that nothing uses");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut documents = files(&root().join("docs"), "md");
    documents.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name)));
    let mut checked = 0;
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap_or_else(|why| panic!("{}: {why}", document.display()));
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = document.parent().unwrap().join(target);
            assert!(path.exists(), "{} links to {target}, which is not there", document.display());
            checked += 1;
        }
    }
    assert!(checked > 5, "only {checked} links were found");
}

#[test]
fn decisions_have_numbers_of_their_own() {
    let mut numbers = BTreeSet::new();
    for page in files(&root().join("docs/decisions"), "md") {
        let name = page.file_stem().unwrap().to_str().unwrap();
        let (number, _) = name.split_once('-').unwrap_or_else(|| panic!("{name} has no number"));
        assert!(number.len() == 4 && numbers.insert(number.to_owned()), "{name}: another decision has its number");
    }
}

#[test]
fn nothing_is_left_unfinished() {
    let marks =
        ["TO".to_owned() + "DO", "FIX".to_owned() + "ME", "todo".to_owned() + "!(", "unimplemented".to_owned() + "!("];
    for file in files(&root().join("crates"), "rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let mark = marks.iter().find(|mark| line.contains(mark.as_str()));
            assert!(mark.is_none(), "{}:{}: {line}", file.display(), number + 1);
        }
    }
}

/// Every file with this ending below a folder.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap_or_else(|why| panic!("{}: {why}", dir.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}
