//! The schema and the loader agree; the reference page is fresh.

use std::path::Path;

use definition::{LoadOptions, Severity, load_files};
use serde_json::{Map, Value as Json};

use super::mutation;

/// YAML as an editor with YAML 1.2 hands it to a schema.
fn documents(text: &str) -> Option<Vec<Json>> {
    use granit_parser::{Event, Parser, ScalarStyle};
    enum Open {
        Map(Map<String, Json>, Option<String>),
        List(Vec<Json>),
    }
    let mut open: Vec<Open> = Vec::new();
    let mut documents = Vec::new();
    for step in Parser::new_from_str(text) {
        let (event, _) = step.ok()?;
        let value = match event {
            Event::Scalar(text, style, ..) => match (&*text, style) {
                ("" | "~" | "null", ScalarStyle::Plain) => Json::Null,
                ("true", ScalarStyle::Plain) => Json::Bool(true),
                ("false", ScalarStyle::Plain) => Json::Bool(false),
                (text, ScalarStyle::Plain) if text.parse::<serde_json::Number>().is_ok() => {
                    Json::Number(text.parse().unwrap())
                }
                (text, _) => Json::String(text.to_owned()),
            },
            Event::MappingStart(..) => {
                open.push(Open::Map(Map::new(), None));
                continue;
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => match open.pop()? {
                Open::Map(map, _) => Json::Object(map),
                Open::List(list) => Json::Array(list),
            },
            _ => continue,
        };
        match open.last_mut() {
            None => documents.push(value),
            Some(Open::List(list)) => list.push(value),
            Some(Open::Map(map, key)) => match key.take() {
                None => *key = Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
                Some(key) => {
                    map.insert(key, value);
                }
            },
        }
    }
    Some(documents)
}

#[test]
fn the_schema_takes_every_example() {
    let loaded = super::examples::contoso(None);
    let schema = jsonschema::validator_for(&loaded.schema()).unwrap();
    for (path, text) in mutation::fixture() {
        for document in documents(&text).unwrap() {
            let errors: Vec<String> =
                schema.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(errors.is_empty(), "{path}: {errors:#?}");
        }
    }
}

/// The mistakes of form that a schema can see: where the loader reports one, the schema refuses; where the loader has
/// nothing to say, the schema has nothing either.
#[test]
fn the_schema_and_the_loader_agree_on_every_mutation() {
    const FORM: &[&str] = &["IB0110", "IB0113", "IB0115", "IB0119"];
    let files = mutation::fixture();
    let schema = jsonschema::validator_for(&super::examples::contoso(None).schema()).unwrap();
    let mut wrong = Vec::new();
    let mut refused = 0;
    for (at, (path, text)) in files.iter().enumerate() {
        for (what, changed) in mutation::changes(text) {
            let given = files
                .iter()
                .enumerate()
                .map(|(i, (path, own))| (path.as_str(), if i == at { changed.as_str() } else { own.as_str() }));
            let environment = path.starts_with("environments/").then_some("production");
            let options = LoadOptions { kinds: super::kinds::KINDS, environment, ..LoadOptions::default() };
            let loaded = load_files(given, &options);
            let Some(documents) = documents(&changed) else { continue };
            let valid = documents.iter().all(|document| schema.is_valid(document));
            let here = |code: &definition::Diagnostic| {
                code.place(&loaded.files).is_some_and(|place| &*place.file == path.as_str())
            };
            let form = loaded.diagnostics.iter().any(|d| FORM.contains(&d.code.0) && here(d));
            let clean = loaded.diagnostics.iter().all(|d| d.severity == Severity::Warning);
            refused += usize::from(!valid);
            if valid && form {
                wrong.push(format!("{path}: {what}: the schema lets it pass\n{}", loaded.render(false, 120)));
            }
            if !valid && clean {
                wrong.push(format!("{path}: {what}: only the schema refuses it"));
            }
        }
    }
    assert!(refused > 300, "{refused}");
    assert!(wrong.is_empty(), "{}\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn the_reference_page_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/definition.md");
    let fresh = definition::reference();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        page == fresh,
        "docs/reference/definition.md is old: UPDATE_REFERENCE=1 cargo test -p definition writes it"
    );
}

#[test]
fn every_code_has_its_page_and_every_page_its_code() {
    let runbooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbooks");
    for (code, title) in definition::codes::ALL {
        let page = std::fs::read_to_string(runbooks.join(format!("{code}.md"))).unwrap_or_default();
        assert_eq!(page.lines().next(), Some(format!("# {code}: {title}").as_str()));
        // What is refused as a design says also what happens in production, and whether it can be accepted.
        if code.0.starts_with("IB02") || code.0.starts_with("IB03") {
            for part in ["What happened", "Why it matters", "What is safe", "What to do", "Example", "To accept it"] {
                assert!(page.contains(&format!("\n## {part}\n\n")), "{code} does not say: {part}");
            }
            let acceptable = definition::ACCEPTABLE.iter().any(|(known, _)| known == code);
            assert_eq!(page.contains(&format!("accept: {{ {code}: {{")), acceptable, "{code}: accept");
        }
    }
    for entry in std::fs::read_dir(runbooks).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if ["IB01", "IB02", "IB03"].iter().any(|group| name.starts_with(group)) {
            assert!(
                definition::codes::ALL.iter().any(|(code, _)| name == format!("{code}.md")),
                "{name} is the page of no code"
            );
        }
    }
}
