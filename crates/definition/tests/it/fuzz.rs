//! Any bytes and any shape of YAML: an answer, no panic, and no more memory than the budgets allow.

use definition::{LoadOptions, load_files};
use proptest::prelude::*;

fn survives(path: &str, text: &str) {
    let mut files = super::mutation::fixture();
    files.retain(|(own, _)| own != path);
    files.push((path.to_owned(), text.to_owned()));
    let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let loaded = load_files(given, &LoadOptions { kinds: super::kinds::KINDS, ..LoadOptions::default() });
    // Drawing walks every span, so a wrong one shows itself here.
    for diagnostic in &loaded.diagnostics {
        let _ = diagnostic.to_json(&loaded.files);
    }
    let shown: Vec<String> = loaded.diagnostics.iter().take(20).map(|d| d.render(&loaded.files, false, 100)).collect();
    assert!(shown.iter().all(|text| !text.is_empty()));
}

/// YAML by its grammar: scalars of every style, lists and groups of both styles, anchors, merges, own words of the format.
fn yaml() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-z_]{1,8}",
        "[ -~]{0,12}",
        Just("=Trim(name)".to_owned()),
        Just("'=If(a, \"b\", {c: 1})'".to_owned()),
        Just("\"\\u00e9 ${env:X} \\\"\"".to_owned()),
        Just("*a".to_owned()),
        Just("&a x".to_owned()),
        Just("!t x".to_owned()),
        Just("|\n      block\n      é\n".to_owned()),
        Just("010".to_owned()),
        Just("every 5 minutes".to_owned()),
        Just("{ column: x, choice: { a: 1, b: 1 } }".to_owned()),
        Just("Zoë \u{1F600}".to_owned()),
    ];
    let key = prop_oneof![
        proptest::sample::select(vec![
            "integration",
            "pattern",
            "entity",
            "entities",
            "from",
            "to",
            "between",
            "schedule",
            "steps",
            "if",
            "then",
            "approve",
            "of",
            "system",
            "kind",
            "connection",
            "read",
            "write",
            "both",
            "where",
            "columns",
            "key",
            "fields",
            "type",
            "values",
            "test",
            "given",
            "when",
            "hub",
            "alerts",
            "<<",
            "trigger",
            "volume",
            "webhooks",
        ])
        .prop_map(str::to_owned),
        "[a-z]{1,5}",
    ];
    let leaf = word.boxed();
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec((key.clone(), inner.clone()), 0..6).prop_map(|entries| {
                let entries: Vec<String> = entries.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{ {} }}", entries.join(", "))
            }),
            proptest::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(", "))),
            inner,
        ]
    })
}

fn document() -> impl Strategy<Value = String> {
    let key = proptest::sample::select(vec![
        "integration: x\npattern",
        "integration: x\npattern: batch\nentity",
        "integration: x\npattern: flow\nsteps",
        "system: s\nkind: files\nentities",
        "system: s\nkind: dataverse\nconnection",
        "entity: e\nkey: a\nfields",
        "entity: e\nkey",
        "test: t\nthen",
        "test: t\ngiven",
        "---\nentity",
        "people",
        "groups",
    ]);
    proptest::collection::vec((key, yaml()), 1..4)
        .prop_map(|parts| parts.into_iter().map(|(key, value)| format!("{key}: {value}\n")).collect())
}

const PATHS: &[&str] = &[
    "ironbridge.yaml",
    "people.yaml",
    "systems/dynamics.yaml",
    "systems/x.yaml",
    "entities/customer.yaml",
    "integrations/credit-limit.yaml",
    "tests/x.yaml",
    "environments/production.yaml",
];

/// More with the environment variable that proptest has for it.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_give_an_answer(path in proptest::sample::select(PATHS), bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        survives(path, &String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn characters_of_yaml_give_an_answer(path in proptest::sample::select(PATHS), text in "[a-z:{}\\[\\],&*!|>'\"%@`#=\\- \n\té0-9$]{0,300}") {
        survives(path, &text);
    }

    #[test]
    fn grammar_gives_an_answer(path in proptest::sample::select(PATHS), text in document()) {
        survives(path, &text);
    }

    #[test]
    fn a_cut_or_doubled_example_gives_an_answer(at in 0usize..21, from in 0.0f64..1.0, length in 0usize..80, twice in any::<bool>()) {
        let files = super::mutation::fixture();
        let (path, text) = &files[at % files.len()];
        let floor = |mut at: usize| {
            at = at.min(text.len());
            while !text.is_char_boundary(at) { at -= 1 }
            at
        };
        let start = floor((from * text.len() as f64) as usize);
        let end = floor(start + length);
        let changed = if twice { format!("{}{}", &text[..end], &text[start..]) } else { format!("{}{}", &text[..start], &text[end..]) };
        survives(path, &changed);
    }
}
