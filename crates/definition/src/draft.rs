//! Drafts an entity and a system's mapping from sample rows: a start that a person reads and corrects.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::decoded::quote;

/// Sample rows of one file or table. *Shape*: each row has one cell for each column; `None` is a blank.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}

/// What was drafted, as the text of files.
#[derive(Debug, Clone, PartialEq)]
pub struct Drafted {
    /// `entities/<entity>.yaml`.
    pub entity: String,
    /// `columns:` and `read:` of the entity in the system's file, indented by four spaces.
    pub mapping: String,
    /// The columns of which we are not sure, and why: sentences for people.
    pub doubts: Vec<String>,
}

/// Drafts an entity with this name.
///
/// *Shape*: reads at most the first 10,000 rows. A text gets room to grow; a key is a column whose values are all there
/// and all different.
pub fn draft(entity: &str, sample: &Sample) -> Drafted {
    const ROWS_MAX: usize = 10_000;
    let rows = &sample.rows[..sample.rows.len().min(ROWS_MAX)];
    let columns: Vec<Column<'_>> =
        sample.columns.iter().enumerate().map(|(at, name)| Column::of(name, at, rows)).collect();
    let names = field_names(&sample.columns);
    let key = columns
        .iter()
        .position(|column| column.is_key && looks_like_a_key(column.name))
        .or_else(|| columns.iter().position(|column| column.is_key));
    let mut doubts = Vec::new();
    if key.is_none() {
        doubts.push(
            "no column has a different value in every row: name the key by hand, perhaps of two columns".to_owned(),
        );
    }
    if rows.is_empty() {
        doubts.push("the sample has no rows, so every column is taken for a text".to_owned());
    }
    let mut text = format!("entity: {entity}\nkey: {}\nfields:\n", key.map_or("", |at| names[at].as_str()));
    for (column, name) in columns.iter().zip(&names) {
        let personal = if looks_personal(column.name) { ", personal: true" } else { "" };
        let _ = writeln!(text, "  {name}: {{ {}{personal} }}", column.field());
        doubts.extend(column.doubt());
    }
    let mut mapping = String::from("    columns:\n");
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for column in &columns {
        if !seen.insert(column.name) {
            doubts.push(format!(
                "two columns have the name `{}`, and only the first can be read: rename one",
                column.name
            ));
            continue;
        }
        let _ = writeln!(mapping, "      {}: {}", quote(column.name), column.ty);
    }
    mapping.push_str("    read:\n");
    for (column, name) in columns.iter().zip(&names) {
        // A plain word is a column; a name with spaces stands in quotes.
        let source = if column.name.contains(' ') { format!("{:?}", column.name) } else { quote(column.name) };
        let _ = writeln!(mapping, "      {name}: {source}");
    }
    Drafted { entity: text, mapping, doubts }
}

/// What is known of one column.
struct Column<'s> {
    name: &'s str,
    ty: &'static str,
    /// In characters.
    longest: usize,
    /// Digits after the point.
    scale: usize,
    is_key: bool,
    /// Digits with zeros in front: a code, not a number.
    has_leading_zeros: bool,
}

impl<'s> Column<'s> {
    fn of(name: &'s str, at: usize, rows: &[Vec<Option<String>>]) -> Column<'s> {
        let values: Vec<&str> = rows
            .iter()
            .filter_map(|row| row.get(at)?.as_deref())
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .collect();
        let all = |test: fn(&str) -> bool| !values.is_empty() && values.iter().all(|value| test(value));
        let has_leading_zeros = values
            .iter()
            .any(|value| value.len() > 1 && value.starts_with('0') && value.bytes().all(|b| b.is_ascii_digit()));
        let ty = if all(|value| matches!(value, "true" | "false")) {
            "yes_no"
        } else if !has_leading_zeros && all(|value| value.parse::<i64>().is_ok()) {
            "whole_number"
        } else if !has_leading_zeros && all(|value| record::Decimal::from_str_exact(value).is_ok()) {
            "decimal"
        } else if all(|value| value.parse::<jiff::civil::Date>().is_ok() && value.len() == 10) {
            "date"
        } else if all(|value| value.parse::<jiff::Timestamp>().is_ok()) {
            "datetime"
        } else if all(|value| value.len() == 36 && is_guid(value)) {
            "guid"
        } else {
            "text"
        };
        let different: BTreeSet<&&str> = values.iter().collect();
        Column {
            name,
            ty,
            longest: values.iter().map(|value| value.chars().count()).max().unwrap_or(0),
            scale: values.iter().filter_map(|value| Some(value.split_once('.')?.1.len())).max().unwrap_or(0),
            is_key: !rows.is_empty()
                && values.len() == rows.len()
                && different.len() == rows.len()
                && matches!(ty, "text" | "whole_number" | "guid"),
            has_leading_zeros,
        }
    }

    fn field(&self) -> String {
        match self.ty {
            // Twice what was seen, rounded to a length that people choose.
            "text" => {
                let room = [10, 20, 40, 100, 160, 250, 500, 1000, 2000, 4000];
                match room.iter().find(|room| **room >= self.longest * 2) {
                    Some(room) => format!("type: text, max_length: {room}"),
                    None => "type: multiline".to_owned(),
                }
            }
            "decimal" => format!("type: decimal, scale: {}", self.scale.clamp(2, 10)),
            ty => format!("type: {ty}"),
        }
    }

    fn doubt(&self) -> Option<String> {
        if self.has_leading_zeros {
            return Some(format!(
                "`{}` has zeros in front, so it is taken for a text: a number would lose them",
                self.name
            ));
        }
        let lower = self.name.to_lowercase();
        let money = ["amount", "price", "total", "limit", "betrag", "preis"].iter().any(|word| lower.contains(word));
        (money && matches!(self.ty, "decimal" | "whole_number"))
            .then(|| format!("`{}` may be money: write `type: money, currency: GBP` with its currency", self.name))
    }
}

fn is_guid(value: &str) -> bool {
    value
        .bytes()
        .enumerate()
        .all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

fn looks_like_a_key(name: &str) -> bool {
    let lower = name.to_lowercase();
    ["number", "_no", "no", "id", "code", "key", "nr", "nummer", "sku"]
        .iter()
        .any(|word| lower == *word || lower.ends_with(word))
}

fn looks_personal(name: &str) -> bool {
    let lower = name.to_lowercase();
    [
        "email",
        "e-mail",
        "mail",
        "phone",
        "mobile",
        "telefon",
        "birth",
        "first_name",
        "last_name",
        "surname",
        "firstname",
        "lastname",
        "contact",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

/// Names that a formula can use, each once: `Preis (netto)` becomes `preis_netto`.
fn field_names(columns: &[String]) -> Vec<String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut names = Vec::with_capacity(columns.len());
    for (at, column) in columns.iter().enumerate() {
        let mut name = String::new();
        let mut before_was_lower = false;
        for c in column.chars() {
            if c.is_ascii_alphanumeric() {
                if c.is_ascii_uppercase() && before_was_lower {
                    name.push('_');
                }
                name.push(c.to_ascii_lowercase());
            } else if !name.ends_with('_') && !name.is_empty() {
                name.push('_');
            }
            before_was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        }
        let mut name: String = name.trim_end_matches('_').chars().take(60).collect();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            name = format!("column_{}{}{name}", at + 1, if name.is_empty() { "" } else { "_" });
        }
        if crate::decode::RESERVED.contains(&name.as_str()) {
            name.push_str("_field");
        }
        let base = name.clone();
        let mut count = 2;
        while !taken.insert(name.clone()) {
            name = format!("{base}_{count}");
            count += 1;
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(columns: &str, rows: &[&str]) -> Sample {
        let cells = |row: &str| row.split(';').map(|cell| (!cell.is_empty()).then(|| cell.to_owned())).collect();
        Sample {
            columns: columns.split(';').map(str::to_owned).collect(),
            rows: rows.iter().map(|row| cells(row)).collect(),
        }
    }

    #[test]
    fn a_draft_reads_like_a_definition() {
        let drafted = draft(
            "price",
            &sample(
                "Artikel;Preis (netto);PLZ;Since;ContactEmail;active;no;no",
                &["A-1;12.50;01067;2026-01-31;a@x.example;true;1;x", "A-2;7;10115;;b@x.example;false;2;"],
            ),
        );
        assert_eq!(
            drafted.entity,
            "\
entity: price
key: no_field
fields:
  artikel: { type: text, max_length: 10 }
  preis_netto: { type: decimal, scale: 2 }
  plz: { type: text, max_length: 10 }
  since: { type: date }
  contact_email: { type: text, max_length: 40, personal: true }
  active: { type: yes_no }
  no_field: { type: whole_number }
  no_field_2: { type: text, max_length: 10 }
"
        );
        assert!(drafted.mapping.contains("      preis_netto: \"Preis (netto)\"\n"), "{}", drafted.mapping);
        assert_eq!(
            drafted.doubts,
            [
                "`Preis (netto)` may be money: write `type: money, currency: GBP` with its currency",
                "`PLZ` has zeros in front, so it is taken for a text: a number would lose them",
                "two columns have the name `no`, and only the first can be read: rename one",
            ]
        );
    }

    #[test]
    fn what_is_drafted_loads() {
        let drafted =
            draft("customer", &sample("Customer No;Name;Since", &["C-1;Acme Ltd;2026-01-31", "C-2;Zoë & Co;"]));
        let system = format!(
            "system: erp\nkind: files\nconnection: {{ url: data }}\nentities:\n  customer:\n    file: \"*.csv\"\n{}",
            drafted.mapping
        );
        let loaded = crate::load_files(
            [
                ("ironbridge.yaml", "hub: contoso\n"),
                ("entities/customer.yaml", drafted.entity.as_str()),
                ("systems/erp.yaml", system.as_str()),
            ],
            &crate::LoadOptions::default(),
        );
        assert!(loaded.diagnostics.is_empty(), "{}\n{system}", loaded.render(false, 120));
        assert!(draft("x", &sample("a;b", &[])).doubts.len() == 2);
    }
}
