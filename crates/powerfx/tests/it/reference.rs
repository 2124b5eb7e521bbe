//! The committed pages are the generated ones, and their examples hold.

use crate::run;
use std::path::PathBuf;

fn page(name: &str, text: String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "{} is not what the code says; run the tests with UPDATE_DOCS=1", path.display());
}

#[test]
fn the_pages_are_up_to_date() {
    page("formulas.md", powerfx::reference());
    page("formulas-not-there.md", powerfx::not_there());
}

#[test]
fn every_function_is_described_and_its_examples_hold() {
    let page = powerfx::reference();
    let mut functions = 0;
    let mut examples = 0;
    for section in page.split("\n### ").skip(1) {
        let name = section.lines().next().unwrap();
        assert!(section.lines().nth(2).unwrap().starts_with(&format!("`{name}(")), "{name} has no signature");
        assert!(section.lines().nth(4).unwrap().ends_with('.'), "{name} does not say what it does");
        let mut own = 0;
        for line in section.lines() {
            if let Some((expression, value)) = line.strip_prefix("- `").and_then(|l| l.split_once("` gives `")) {
                assert_eq!(run(expression), value.strip_suffix('`').unwrap(), "{name}: {expression}");
                own += 1;
            }
        }
        assert!(own > 0, "{name} has no example");
        functions += 1;
        examples += own;
    }
    assert!(functions > 100 && examples > 130, "{functions} functions, {examples} examples");
}
