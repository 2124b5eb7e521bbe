//! Diagnostics as SARIF 2.1.0, which code reviews show beside the changed lines.

use std::collections::BTreeMap;

use record::Code;
use serde_json::{Value as Json, json};

use crate::codes;
use crate::diagnostic::{Diagnostic, Severity};
use crate::files::{Files, Span};
use crate::rules::accept::Accepted;

/// What a report needs from outside of this crate.
pub struct Report<'a> {
    /// Where the project is within its repository, such as `hub/`; empty where it is the whole of it.
    pub prefix: &'a str,
    /// The page of a code, as Markdown.
    pub page: &'a dyn Fn(Code) -> Option<String>,
}

/// One SARIF file with one run. *Units*: lines and columns from 1, columns in characters.
///
/// *Source*: SARIF 2.1.0 (OASIS), sections 3.13, 3.14, 3.27, 3.30, 3.35 and 3.49; what GitHub shows of it: "SARIF support
/// for code scanning", read in November 2026.
pub(crate) fn sarif(diagnostics: &[Diagnostic], accepted: &[Accepted], files: &Files, report: &Report<'_>) -> Json {
    let all = || diagnostics.iter().chain(accepted.iter().map(|accepted| &accepted.diagnostic));
    let mut codes: Vec<(Code, Severity)> = Vec::new();
    for diagnostic in all() {
        if !codes.iter().any(|(code, _)| *code == diagnostic.code) {
            codes.push((diagnostic.code, diagnostic.severity));
        }
    }
    codes.sort_by_key(|(code, _)| code.0);
    let index = |code: Code| codes.iter().position(|(known, _)| *known == code).unwrap_or_default();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut results = Vec::new();
    for (at, diagnostic) in all().enumerate() {
        let mut result = result(diagnostic, files, report.prefix);
        result["ruleIndex"] = json!(index(diagnostic.code));
        let print = format!("{} {} {}", diagnostic.code, file(diagnostic, files), diagnostic.title);
        let count = seen.entry(print.clone()).or_default();
        *count += 1;
        result["partialFingerprints"] = json!({ "finding/v1": format!("{:016x}:{count}", fingerprint(&print)) });
        if let Some(accepted) = at.checked_sub(diagnostics.len()).and_then(|at| accepted.get(at)) {
            let until = accepted.until.map_or(String::new(), |until| format!(" (until {until})"));
            let why = format!("{}{until}", accepted.because);
            result["suppressions"] = json!([{ "kind": "inSource", "status": "accepted", "justification": why }]);
        }
        results.push(result);
    }
    let rules: Vec<Json> = codes.iter().map(|(code, severity)| rule(*code, *severity, report)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "ironbridge",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// A rule, with its page for whoever reads the finding in a review.
fn rule(code: Code, severity: Severity, report: &Report<'_>) -> Json {
    let title = codes::ALL.iter().find(|(known, _)| *known == code).map_or("", |(_, title)| title);
    let name: String = title
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter_map(|word| word.split_at_checked(1))
        .map(|(first, rest)| format!("{}{rest}", first.to_ascii_uppercase()))
        .collect();
    let page = (report.page)(code).unwrap_or_default();
    // Without the heading, which is the title.
    let page = page.split_once('\n').map_or("", |(_, page)| page).trim();
    let explain = format!("ironbridge explain {code}");
    let happened = page.trim_start_matches("## What happened").trim_start();
    let happened = happened.split("\n\n").next().filter(|text| !text.is_empty()).unwrap_or(title);
    json!({
        "id": code.0,
        "name": name,
        "shortDescription": { "text": title },
        "fullDescription": { "text": happened },
        "defaultConfiguration": { "level": level(severity) },
        "help": {
            "text": if page.is_empty() { explain.clone() } else { format!("{page}\n\n{explain}") },
            "markdown": if page.is_empty() { format!("`{explain}`") } else { format!("{page}\n\n`{explain}`") },
        },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// The same for a finding wherever its lines have moved to. *Shape*: FNV-1a; it tells findings apart and proves nothing.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn file(diagnostic: &Diagnostic, files: &Files) -> String {
    diagnostic.span.and_then(|span| files.place(span)).map_or(String::new(), |place| place.file.to_string())
}

fn result(diagnostic: &Diagnostic, files: &Files, prefix: &str) -> Json {
    let mut text = diagnostic.title.clone();
    for part in diagnostic.notes.iter().chain(&diagnostic.help) {
        text.push_str(&format!("\n{part}"));
    }
    let level = level(diagnostic.severity);
    let mut result = json!({ "ruleId": diagnostic.code.0, "level": level, "message": { "text": text } });
    // What is about the project as a whole stands at its first file: a review shows nothing that has no place.
    let found = diagnostic.span.and_then(|span| location(span, files, prefix));
    let place = found.unwrap_or_else(|| place(prefix, "ironbridge.yaml", json!({ "startLine": 1 })));
    result["locations"] = json!([place]);
    let related: Vec<Json> = diagnostic
        .secondary
        .iter()
        .filter_map(|other| {
            let mut place = location(other.span, files, prefix)?;
            place["message"] = json!({ "text": other.label });
            Some(place)
        })
        .collect();
    if !related.is_empty() {
        result["relatedLocations"] = json!(related);
    }
    result
}

fn location(span: Span, files: &Files, prefix: &str) -> Option<Json> {
    let at = files.place(span)?;
    let mut region = json!({ "startLine": at.line, "startColumn": at.column });
    let piece = files.slice(span);
    // Of several lines the first is shown, as in the terminal.
    let length = piece.lines().next().unwrap_or_default().chars().count();
    if length > 0 {
        region["endColumn"] = json!(at.column as usize + length);
    }
    Some(place(prefix, &at.file, region))
}

fn place(prefix: &str, file: &str, region: Json) -> Json {
    let mut uri = String::new();
    for byte in format!("{prefix}{file}").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => uri.push(byte.into()),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    json!({ "physicalLocation": { "artifactLocation": { "uri": uri }, "region": region } })
}
