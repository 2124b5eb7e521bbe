//! The names of options, which agree across the connectors.

use record::{Field, FieldType};

/// The words that field tables agree on, each with the words that mean the same and are not used.
const AGREED: &[(&str, &[&str])] = &[
    ("host", &["server", "hostname", "address"]),
    ("database", &["db", "dbname", "catalog"]),
    ("table", &["table_name", "entity_set", "logical_name"]),
    ("query", &["sql", "statement"]),
    ("user", &["username", "login", "uid"]),
    ("password", &["pwd", "pass"]),
    ("url", &["uri", "endpoint", "base_url", "connection_string"]),
    ("timeout", &["timeout_ms", "timeout_seconds", "command_timeout", "request_timeout"]),
    ("batch_rows", &["batch_size", "page_size", "rows_per_batch", "chunk_size"]),
    ("concurrency", &["parallelism", "max_concurrency", "threads"]),
    ("alternate_key", &["key_columns", "upsert_key"]),
    ("file", &["path", "filename", "file_name"]),
];

/// Names that a kind has of its own accord, with the reason. One that is no longer needed is a mistake itself.
const WAIVED: &[(&str, &str, &str)] =
    &[("sqlite", "file", "a database is one path; the files of a folder are a pattern of names")];

/// Checks the field tables of every kind. *Shape*: a sentence for each mistake.
pub fn option_names() -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut waived = Vec::new();
    let mut known: Vec<(&str, &str, &Field)> = Vec::new();
    for kind in crate::registry::kinds() {
        for field in kind.connection.iter().chain(kind.entity) {
            let at = format!("{}: `{}`", kind.name, field.name);
            let waiver = WAIVED.iter().find(|(of, name, _)| (*of, *name) == (kind.name, field.name));
            if let Some((agreed, _)) = AGREED.iter().find(|(_, others)| others.contains(&field.name)) {
                match waiver {
                    Some(waiver) => waived.push(waiver),
                    None => mistakes.push(format!("{at} is called `{agreed}` everywhere else")),
                }
            }
            // One name holds one kind of thing, whatever the system.
            match known.iter().find(|(_, name, _)| *name == field.name) {
                Some((of, _, other)) if !alike(&other.ty, &field.ty) => match waiver {
                    Some(waiver) => waived.push(waiver),
                    None => mistakes.push(format!("{at} is {:?}, and {:?} in {of}", field.ty, other.ty)),
                },
                Some(_) => {}
                None => known.push((kind.name, field.name, field)),
            }
            if !field.doc.ends_with('.') || field.example.is_empty() {
                mistakes.push(format!("{at} needs a sentence and an example"));
            }
            if field.required && field.default.is_some() {
                mistakes.push(format!("{at} is required and has a default"));
            }
        }
        for names in [kind.connection, kind.entity] {
            let mut seen: Vec<&str> = names.iter().map(|field| field.name).collect();
            seen.sort();
            if seen.windows(2).any(|pair| pair[0] == pair[1]) {
                mistakes.push(format!("{}: a field is listed twice", kind.name));
            }
        }
    }
    for (kind, name, reason) in WAIVED.iter().filter(|waiver| !waived.contains(waiver)) {
        mistakes.push(format!("{kind}: `{name}` is waived ({reason}), and agrees: remove the waiver"));
    }
    mistakes
}

/// Two fields that a person writes in the same way.
fn alike(a: &FieldType, b: &FieldType) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}
