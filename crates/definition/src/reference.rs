//! The reference page of the format, made of the field tables.

use std::fmt::Write;

use record::FieldType;

use crate::decode::wanted;
use crate::schema::slug;
use crate::table::{Field, Shape, Table};
use crate::tables;

/// The page `docs/reference/definition.md`. *Shape*: one section for each thing that has keys, in the order of the files.
pub fn reference() -> String {
    let files: [(&str, &[&Table]); 8] = [
        ("ironbridge.yaml", &[&tables::hub::HUB]),
        ("people.yaml", &[&tables::hub::PEOPLE]),
        ("environments/NAME.yaml", &[&tables::hub::ENVIRONMENT]),
        ("entities/NAME.yaml", &[&tables::entity::ENTITY]),
        ("systems/NAME.yaml", &[&tables::system::SYSTEM]),
        (
            "integrations/NAME.yaml",
            &[
                &tables::integration::BATCH,
                &tables::integration::EVENT,
                &tables::integration::VIRTUAL,
                &tables::flow::FLOW,
            ],
        ),
        ("tests/NAME.yaml", &[&tables::test::TEST]),
        ("decisions/NAME.yaml", &[&tables::decision::DECISION]),
    ];
    let mut page = String::from(
        "# What may stand in a definition\n\n\
         This page is generated from the tables that read the files; `ironbridge schema` has the same for editors.\n\
         A key that is not listed is an error.\n",
    );
    let mut written = std::collections::BTreeSet::new();
    for (file, tables) in files {
        let _ = write!(page, "\n## {file}\n");
        for table in tables {
            section(table, &mut page, &mut written);
        }
        if file.starts_with("systems") {
            let _ = write!(
                page,
                "\n### One entity of a system\n\nBeside the keys of its kind, which are on the page of the connector: {}.\n\n{}",
                CONNECTORS.map(|(kind, page)| format!("[{kind}](../connectors/{page}.md)")).join(", "),
                rows(tables::system::SYSTEM_ENTITY.iter())
            );
            for table in [
                &tables::system::CHOICE_OF_COLUMN,
                &tables::system::CHOICE_OF_FIELD,
                &tables::system::VALUE,
                &tables::system::LINES_OF_TABLE,
                &tables::system::LINES_OF_LIST,
                &tables::system::LINES_WRITTEN,
            ] {
                section(table, &mut page, &mut written);
            }
        }
        if file.starts_with("integrations") {
            for (_, table) in tables::flow::STEPS {
                section(table, &mut page, &mut written);
            }
        }
    }
    page.push_str(
        "\n## runbooks/NAME.md\n\n\
         What the team knows of the integration of this name: whom to call, what may be run twice, what must not wait.\n\
         It is Markdown, and stands in the runbook that the hub makes; `check` looks for secrets in it.\n",
    );
    page
}

/// The pages of the kinds of system.
const CONNECTORS: [(&str, &str); 8] = [
    ("dataverse", "dataverse"),
    ("postgres", "postgres"),
    ("mysql", "mysql"),
    ("sqlserver", "sqlserver"),
    ("sqlite", "sqlite"),
    ("rest", "rest"),
    ("odata", "odata"),
    ("files", "files"),
];

fn section(table: &Table, page: &mut String, written: &mut std::collections::BTreeSet<String>) {
    if !written.insert(slug(table.name)) {
        return;
    }
    let mut heading = table.name.to_owned();
    if let Some(first) = heading.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let _ = write!(page, "\n### {heading}\n\n{}\n\n{}", table.doc, rows(table.fields()));
    for field in table.fields() {
        if let Some(inner) = inner_table(field.shape) {
            section(inner, page, written);
        }
    }
}

fn rows<'f>(fields: impl Iterator<Item = &'f Field>) -> String {
    let mut text = String::from("| key | what stands there | default | meaning | example |\n|---|---|---|---|---|\n");
    for field in fields {
        let default = match (field.default, field.required) {
            (Some(default), _) => format!("`{default}`"),
            (None, true) => "required".to_owned(),
            (None, false) => String::new(),
        };
        let what = match field.shape {
            Shape::Plain(FieldType::OneOf(words)) | Shape::TypeWord(words) => {
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
            }
            Shape::Plain(FieldType::WholeNumber { min, max }) => format!("a whole number from {min} to {max}"),
            shape => wanted(shape).to_owned(),
        };
        let _ = writeln!(
            text,
            "| `{}` | {what} | {default} | {} | `{}` |",
            field.name,
            field.doc.replace('|', "\\|"),
            field.example.replace('|', "\\|")
        );
    }
    text
}

fn inner_table(shape: Shape) -> Option<&'static Table> {
    match shape {
        Shape::Group(table) => Some(table),
        Shape::Many(inner) | Shape::OneOrMany(inner) | Shape::Named(_, inner) => inner_table(*inner),
        _ => None,
    }
}
