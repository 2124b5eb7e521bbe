//! The guide of flows: its examples pass the checks, and its picture is what the program draws.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use definition::{LoadOptions, Pattern, load_files};

fn guides() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides")
}

/// What the examples of the guide are about.
const AROUND: &[(&str, &str)] = &[
    ("ironbridge.yaml", "hub: contoso\ntime_zone: Europe/London\n"),
    (
        "people.yaml",
        "people:\n  lawyer: { name: (sample) lawyer, email: lawyer@contoso.example }\n  director: { name: (sample) director, email: director@contoso.example }\ngroups:\n  credit-control: { email: control@contoso.example, members: [lawyer, director] }\n  finance-directors: { members: [director] }\n  sales: { members: [lawyer] }\n  it: { teams: \"${env:TEAMS}\" }\n",
    ),
    (
        "entities/customer.yaml",
        "entity: customer\nkey: number\nfields: { number: { type: text, max_length: 20 }, name: { type: text, max_length: 100 }, credit_limit: { type: money, currency: GBP } }\n",
    ),
    (
        "entities/credit_request.yaml",
        "entity: credit_request\nkey: number\nfields: { number: { type: text, max_length: 20 }, customer: { type: reference, entity: customer }, requested: { type: money, currency: GBP }, requested_by: { type: person }, outcome: { type: text, max_length: 20 } }\n",
    ),
    (
        "entities/supplier.yaml",
        "entity: supplier\nkey: number\nfields: { number: { type: text, max_length: 20 }, name: { type: text, max_length: 100 }, blocked: { type: yes_no }, outcome: { type: text, max_length: 20 } }\n",
    ),
    (
        "entities/invoice.yaml",
        "entity: invoice\nkey: number\nfields: { number: { type: text, max_length: 20 }, written_off: { type: money, currency: GBP } }\n",
    ),
    (
        "systems/dynamics.yaml",
        "system: dynamics\nkind: dataverse\nowner: it\nconnection: { url: \"https://contoso.example\" }\nwebhooks: { header: x-key, keys: [\"${env:HOOK}\"] }\nentities:\n  customer: { table: account, alternate_key: accountnumber, read: { number: accountnumber, name: name, credit_limit: creditlimit } }\n  credit_request: { table: new_request, alternate_key: new_number, both: { new_number: number, new_customer: customer, new_requested: requested, new_by: requested_by, new_outcome: outcome } }\n  supplier: { table: new_supplier, alternate_key: new_number, both: { new_number: number, new_name: name, new_outcome: outcome } }\n  invoice: { table: invoice, alternate_key: invoicenumber, both: { invoicenumber: number, new_written: written_off } }\n",
    ),
    (
        "systems/finance.yaml",
        "system: finance\nkind: postgres\nowner: it\nconnection: { url: \"${env:FINANCE}\" }\nentities:\n  customer: { table: customers, alternate_key: no, read: { number: no, credit_limit: credit }, write: { no: number, credit: credit_limit } }\n",
    ),
    (
        "systems/erp.yaml",
        "system: erp\nkind: postgres\nowner: it\nconnection: { url: \"${env:ERP}\" }\nentities:\n  supplier: { table: suppliers, alternate_key: no, write: { no: number, blocked: blocked } }\n",
    ),
];

#[test]
fn the_flows_of_the_guide_pass_the_checks() {
    let guide = std::fs::read_to_string(guides().join("flows.md")).unwrap();
    let mut seen = 0;
    for block in guide.split("```yaml\n").skip(1).filter_map(|block| block.split("\n```").next()) {
        let mut files: BTreeMap<String, String> =
            AROUND.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        match block.strip_prefix("# ").and_then(|block| block.split_once('\n')) {
            Some(("people.yaml", text)) => {
                let groups = "groups: { it: { teams: \"${env:TEAMS}\" } }\n";
                files.insert("people.yaml".to_owned(), format!("{text}\n{groups}"));
            }
            Some((path, text)) => drop(files.insert(path.to_owned(), format!("{text}\n"))),
            // A line that belongs into a flow.
            None => {
                let flow = format!(
                    "integration: f\npattern: flow\n{block}\nsteps: [ {{ set: {{ outcome: =\"x\" }} }} ]\nowner: it\npurpose: A test of the guide.\n"
                );
                files.insert("integrations/f.yaml".to_owned(), flow);
            }
        }
        let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        let loaded = load_files(given, &LoadOptions { kinds: super::kinds::KINDS, ..LoadOptions::default() });
        assert!(loaded.project.is_some(), "{block}\n{}", loaded.render(false, 140));
        assert!(!loaded.has_errors(), "{block}\n{}", loaded.render(false, 140));
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn the_picture_of_the_guide_is_what_the_program_draws() {
    let project = super::examples::contoso(None).project.unwrap();
    let integration = project.integration("credit-limit").unwrap();
    let Pattern::Flow(flow) = &integration.pattern else { panic!("it is a flow") };
    let drawn = definition::flow_svg(integration, flow, &BTreeMap::new());
    let path = guides().join("credit-limit.svg");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &drawn).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == drawn, "{} is not what is drawn; run the tests with UPDATE_DOCS=1", path.display());
}
