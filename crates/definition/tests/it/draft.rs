//! What is drafted from a sample is a definition.

use definition::{LiveTable, LoadOptions, Sample, draft, load_files};
use record::Type;

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

/// The files of a project with what was drafted for `thing` in this system.
fn loaded(system: &str, drafted: &definition::Drafted) -> String {
    let system = format!("{system}\nentities:\n  thing:\n{}", drafted.mapping);
    let files = [
        ("ironbridge.yaml", "hub: contoso\n"),
        ("entities/thing.yaml", drafted.entity.as_str()),
        ("systems/erp.yaml", system.as_str()),
    ];
    let loaded = load_files(files, &LoadOptions { kinds: super::kinds::KINDS, ..LoadOptions::default() });
    format!("{}{}", loaded.render(false, 120), if loaded.diagnostics.is_empty() { "" } else { &system })
}

#[test]
fn a_live_table_says_itself_what_it_holds() {
    let columns: [(&str, Type); 15] = [
        ("company", Type::Text { max_length: Some(4) }),
        ("number", Type::Text { max_length: Some(20) }),
        ("notes", Type::Multiline { max_length: None }),
        ("price", Type::Decimal { scale: Some(4) }),
        ("rate", Type::Decimal { scale: Some(20) }),
        ("weight", Type::Float),
        ("amount", Type::Money),
        ("active", Type::YesNo),
        ("since", Type::Date),
        ("changed", Type::LocalDateTime),
        ("opens", Type::Time),
        ("state", Type::Choice { values: ["0".into(), "1".into()].into() }),
        ("owner", Type::Reference { to: ["team".into(), "systemuser".into()].into() }),
        ("picture", Type::Bytes),
        ("anything", Type::Unknown),
    ];
    let sample = Sample {
        table: Some(LiveTable {
            name: "finance.Price List".into(),
            types: columns.iter().map(|(_, ty)| ty.clone()).collect(),
            key: vec!["company".into(), "number".into()],
        }),
        columns: columns.iter().map(|(name, _)| (*name).to_owned()).collect(),
        // One row: each column would do as the key, and no text tells how long the others are.
        rows: vec![columns.iter().map(|_| Some("007".to_owned())).collect()],
        ..Sample::default()
    };
    let drafted = draft("thing", &sample);
    assert_eq!(
        drafted.entity,
        "\
entity: thing
key: [company, number]
fields:
  company: { type: text, max_length: 4 }
  number: { type: text, max_length: 20 }
  notes: { type: multiline }
  price: { type: decimal, scale: 4 }
  rate: { type: decimal }
  weight: { type: decimal }
  amount: { type: decimal }
  active: { type: yes_no }
  since: { type: date }
  changed: { type: datetime }
  opens: { type: text }
  state: { type: text }
  anything: { type: text, max_length: 10 }
"
    );
    assert!(drafted.mapping.starts_with("    table: finance.Price List\n    read:\n"), "{}", drafted.mapping);
    assert!(drafted.mapping.contains(r#"opens: "=Text('opens', \"hh:mm:ss\")""#), "{}", drafted.mapping);
    let about: Vec<&str> = drafted.doubts.iter().filter_map(|doubt| doubt.split('`').nth(1)).collect();
    assert_eq!(about, ["owner", "picture", "price", "amount", "state", "anything"], "{:#?}", drafted.doubts);
    assert_eq!(loaded("system: erp\nkind: postgres\nconnection: { url: \"${env:URL}\" }", &drafted), "");
}

#[test]
fn names_and_numbers_of_files_stay_what_they_are() {
    let columns = ["Nr.", "=Summe", "Trim(x)", "it's", "a, b", "", "1e5", "true", "Telefon", "Größe #2", "-5"];
    let row = |at: usize| columns.iter().map(|_| Some(format!("+44 20 {at}").replace(' ', ""))).collect();
    let sample = Sample {
        file: Some("a, b: c.csv".into()),
        columns: columns.map(str::to_owned).to_vec(),
        rows: vec![row(1), row(2)],
        ..Sample::default()
    };
    let drafted = draft("thing", &sample);
    assert!(drafted.entity.contains("  telefon: { type: text, max_length: 20, personal: true }"), "{}", drafted.entity);
    assert_eq!(drafted.doubts, ["column 6 has no name, and is left out: give it one"]);
    assert_eq!(loaded("system: erp\nkind: files\nconnection: { url: data }", &drafted), "");
}
