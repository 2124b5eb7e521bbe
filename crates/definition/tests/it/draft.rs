//! What is drafted from a sample is a definition.

use definition::{LoadOptions, Sample, draft, load_files};

#[test]
fn what_is_drafted_loads() {
    let sample = |columns: &[&str], rows: &[[Option<&str>; 3]]| Sample {
        delimiter: Some(';'),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        rows: rows.iter().map(|row| row.iter().map(|cell| cell.map(str::to_owned)).collect()).collect(),
        ..Sample::default()
    };
    let rows = [[Some("C-1"), Some("Acme Ltd"), Some("2026-01-31")], [Some("C-2"), Some("Zoë & Co;"), None]];
    let drafted = draft("customer", &sample(&["Customer No", "Name", "Since"], &rows));
    let system = format!(
        "system: erp\nkind: files\nconnection: {{ url: data }}\nentities:\n  customer:\n    file: \"*.csv\"\n{}",
        drafted.mapping
    );
    let files = [
        ("ironbridge.yaml", "hub: contoso\n"),
        ("entities/customer.yaml", drafted.entity.as_str()),
        ("systems/erp.yaml", system.as_str()),
    ];
    let loaded = load_files(files, &LoadOptions { kinds: super::kinds::KINDS, ..LoadOptions::default() });
    assert!(loaded.diagnostics.is_empty(), "{}\n{system}", loaded.render(false, 120));
    assert_eq!(draft("x", &sample(&["a", "b"], &[])).doubts.len(), 2);
    let tabs = Sample { delimiter: Some('\t'), ..sample(&["Customer No", "Name", "Since"], &rows) };
    let mapping = draft("customer", &tabs).mapping;
    assert!(mapping.starts_with("    format: { delimiter: tab }\n"), "a tab in quotes is taken for nothing: {mapping}");
}
