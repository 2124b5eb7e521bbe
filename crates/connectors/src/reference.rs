//! The option tables of the connectors' pages, from their field tables.

use record::{Field, FieldType, Kind};

/// The Markdown between the marks of `docs/connectors/<kind>.md`.
pub fn options(kind: &Kind) -> String {
    let mut out = String::new();
    table(&mut out, "`connection:`", kind.connection);
    table(&mut out, "Each entity, beside `read`, `write`, `both` and `where`", kind.entity);
    out.trim_end().to_owned()
}

fn table(out: &mut String, title: &str, fields: &[Field]) {
    out.push_str(&format!(
        "### {title}\n\n| option | type | default | what it is | example |\n|---|---|---|---|---|\n"
    ));
    rows(out, "", fields);
    out.push('\n');
}

fn rows(out: &mut String, before: &str, fields: &[Field]) {
    for field in fields {
        let default = match (field.required, field.default) {
            (true, _) => "required".to_owned(),
            (false, Some(default)) => format!("`{default}`"),
            (false, None) => String::new(),
        };
        out.push_str(&format!(
            "| `{before}{}` | {} | {default} | {} | `{}` |\n",
            field.name,
            word(&field.ty),
            field.doc.replace('|', "\\|"),
            field.example.replace('|', "\\|")
        ));
        if let FieldType::Group(inner) = field.ty {
            rows(out, &format!("{before}{}.", field.name), inner);
        }
    }
}

fn word(ty: &FieldType) -> String {
    match ty {
        FieldType::Text => "text".to_owned(),
        FieldType::Secret => "secret".to_owned(),
        FieldType::Url => "URL".to_owned(),
        FieldType::Path => "path".to_owned(),
        FieldType::YesNo => "true or false".to_owned(),
        FieldType::WholeNumber { min, max } => format!("{min} to {max}"),
        FieldType::Duration => "duration".to_owned(),
        FieldType::Size => "size".to_owned(),
        FieldType::Percentage => "percentage".to_owned(),
        FieldType::OneOf(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        FieldType::Column => "column".to_owned(),
        FieldType::OneOrMany(inner) => format!("{} or a list", word(inner)),
        FieldType::List(inner) => format!("list of {}", word(inner)),
        FieldType::Map(inner) => format!("names with {}", word(inner)),
        FieldType::Group(_) => "group".to_owned(),
        FieldType::Formula => "formula".to_owned(),
    }
}
