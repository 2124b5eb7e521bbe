//! Diagnostics as SARIF 2.1.0, which code reviews show beside the changed lines.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::codes;
use crate::diagnostic::{Diagnostic, Severity};
use crate::files::{Files, Span};
use crate::rules::accept::Accepted;

/// One SARIF file with one run. *Units*: lines and columns from 1, columns in characters.
///
/// *Source*: SARIF 2.1.0 (OASIS), sections 3.13, 3.14, 3.27, 3.30 and 3.35.
pub(crate) fn sarif(diagnostics: &[Diagnostic], accepted: &[Accepted], files: &Files) -> Json {
    let mut rules: BTreeMap<&str, Json> = BTreeMap::new();
    for diagnostic in diagnostics.iter().chain(accepted.iter().map(|accepted| &accepted.diagnostic)) {
        let code = diagnostic.code;
        let title = codes::ALL.iter().find(|(known, _)| *known == code).map_or("", |(_, title)| title);
        rules.entry(code.0).or_insert_with(|| {
            json!({
                "id": code.0,
                "shortDescription": { "text": title },
                "help": { "text": format!("ironbridge explain {code}") },
            })
        });
    }
    let mut results: Vec<Json> = diagnostics.iter().map(|diagnostic| result(diagnostic, files)).collect();
    results.extend(accepted.iter().map(|accepted| {
        let mut result = result(&accepted.diagnostic, files);
        let until = accepted.until.map_or(String::new(), |until| format!(" (until {until})"));
        let why = format!("{}{until}", accepted.because);
        result["suppressions"] = json!([{ "kind": "inSource", "status": "accepted", "justification": why }]);
        result
    }));
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "ironbridge",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.into_values().collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(diagnostic: &Diagnostic, files: &Files) -> Json {
    let mut text = diagnostic.title.clone();
    for part in diagnostic.notes.iter().chain(&diagnostic.help) {
        text.push_str(&format!("\n{part}"));
    }
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut result = json!({ "ruleId": diagnostic.code.0, "level": level, "message": { "text": text } });
    if let Some(location) = diagnostic.span.and_then(|span| location(span, files)) {
        result["locations"] = json!([location]);
    }
    let related: Vec<Json> = diagnostic
        .secondary
        .iter()
        .filter_map(|other| {
            let mut place = location(other.span, files)?;
            place["message"] = json!({ "text": other.label });
            Some(place)
        })
        .collect();
    if !related.is_empty() {
        result["relatedLocations"] = json!(related);
    }
    result
}

fn location(span: Span, files: &Files) -> Option<Json> {
    let place = files.place(span)?;
    let mut region = json!({ "startLine": place.line, "startColumn": place.column });
    let piece = files.slice(span);
    // Of several lines the first is shown, as in the terminal.
    let length = piece.lines().next().unwrap_or_default().chars().count();
    if length > 0 {
        region["endColumn"] = json!(place.column as usize + length);
    }
    let uri = place.file.replace('%', "%25").replace(' ', "%20");
    Some(json!({ "physicalLocation": { "artifactLocation": { "uri": uri }, "region": region } }))
}
