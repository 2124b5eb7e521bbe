//! A flow as an event integration: what is drafted, and that `check` takes it once people have added what it says.

use std::collections::BTreeMap;

use definition::{LoadOptions, Loaded, Project, load_files, promote};

fn load(files: &BTreeMap<String, String>) -> Loaded {
    let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    load_files(given, &LoadOptions { kinds: super::kinds::KINDS, ..LoadOptions::default() })
}

fn project(files: &BTreeMap<String, String>) -> Project {
    let loaded = load(files);
    loaded.project.clone().unwrap_or_else(|| panic!("{}", loaded.render(false, 140)))
}

#[test]
fn a_flow_becomes_an_event_integration() {
    let mut files: BTreeMap<String, String> = super::mutation::fixture().into_iter().collect();
    let before = project(&files);
    let promoted = promote(&before, before.integration("credit-limit").unwrap()).unwrap();
    assert_eq!(promoted.path, "integrations/credit-limit-events.yaml");
    assert_eq!(
        promoted.text,
        "# Drafted from the flow credit-limit by `ironbridge promote credit-limit`.
integration: credit-limit-events
pattern: event
entity: credit_request
from: dynamics
to: [finance]
trigger: { rows: [created, updated], columns: [new_outcome], if: '=outcome = \"approved\"' }
because: \"credit-limit starts 30 times a day, more than people decide one by one.\"
owner: credit-control
purpose: \"Credit limits are raised by people, not by code.\"
"
    );
    let lines = "  credit_request:\n    table: customers\n    alternate_key: customer_no\n    write: { customer_no: customer, credit_limit: requested }\n";
    assert_eq!(promoted.add, [("systems/finance.yaml".to_owned(), lines.to_owned())]);
    assert!(promoted.left[0].contains("the decision `decision`"), "{:?}", promoted.left);
    // With what it says added, the whole project is good.
    files.insert(promoted.path.clone(), promoted.text.clone());
    for (path, lines) in &promoted.add {
        files.get_mut(path).unwrap().push_str(lines);
    }
    let loaded = load(&files);
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.render(false, 140));
}

#[test]
fn what_no_field_keeps_is_not_promoted() {
    let mut files: BTreeMap<String, String> = super::mutation::fixture().into_iter().collect();
    let flow = files.get_mut("integrations/credit-limit.yaml").unwrap();
    *flow = flow
        .replace("      - { set: { outcome: =decision.outcome } }\n", "      - if: =decision.outcome = \"approved\"\n        then: [ { write: { entity: customer, to: finance, key: =customer.number, set: { credit_limit: =requested } } } ]\n");
    let before = project(&files);
    let (what, fix) = promote(&before, before.integration("credit-limit").unwrap()).unwrap_err();
    assert!(what.contains("`decision`") && fix.contains("set: { outcome: =decision.outcome }"), "{what}: {fix}");
    let (what, _) = promote(&before, before.integration("orders").unwrap()).unwrap_err();
    assert!(what.contains("no flow"), "{what}");
}
