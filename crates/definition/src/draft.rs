//! Drafts an entity and a system's mapping from sample rows: a start that a person reads and corrects.

use std::collections::BTreeSet;
use std::fmt::Write;

use record::Type;

use crate::decoded::quote;

/// Sample rows of one file or table. *Shape*: each row has one cell for each column; `None` is a blank.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// The name of a file that has such rows, where it was one.
    pub file: Option<String>,
    /// The live table that has such rows, where it was one.
    pub table: Option<LiveTable>,
    /// What stands between the cells of a text file.
    pub delimiter: Option<char>,
    /// The encoding of a text file that is not UTF-8, and does not say so itself.
    pub encoding: Option<&'static str>,
    /// The lines of a text file before the one with the names.
    pub skip_lines: usize,
    /// What was odd about it, as sentences for people.
    pub doubts: Vec<String>,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}

/// What a live table says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LiveTable {
    pub name: String,
    /// For each column of the sample.
    pub types: Vec<Type>,
    /// The columns that name a row; none where it does not say.
    pub key: Vec<String>,
}

/// What was drafted, as the text of files.
#[derive(Debug, Clone, PartialEq)]
pub struct Drafted {
    /// `entities/<entity>.yaml`.
    pub entity: String,
    /// `table:` or `columns:`, and `read:` of the entity in the system's file, indented by four spaces.
    pub mapping: String,
    /// The columns of which we are not sure, and why: sentences for people.
    pub doubts: Vec<String>,
}

/// Drafts an entity with this name.
///
/// *Shape*: reads at most the first 10,000 rows. What a live table says of its columns and its key holds; otherwise a text
/// gets room to grow, and a key is a column whose values are all there and all different.
pub fn draft(entity: &str, sample: &Sample) -> Drafted {
    const ROWS_MAX: usize = 10_000;
    let rows = &sample.rows[..sample.rows.len().min(ROWS_MAX)];
    let mut doubts = sample.doubts.clone();
    let names = field_names(&sample.columns);
    let mut columns: Vec<(Column<'_>, &str)> = Vec::new();
    for (at, (name, field)) in sample.columns.iter().zip(&names).enumerate() {
        let known = sample.table.as_ref().and_then(|table| table.types.get(at));
        match left_out(sample, at, known) {
            Some(doubt) => doubts.push(doubt),
            None => columns.push((Column::of(name, at, rows, known), field)),
        }
    }
    let of_table = sample.table.as_ref().map(|table| table.key.as_slice()).unwrap_or_default();
    let field_of = |name: &String| columns.iter().find(|(column, _)| column.name == name).map(|(_, field)| *field);
    let mut key: Vec<&str> = of_table.iter().map(field_of).collect::<Option<_>>().unwrap_or_default();
    if key.is_empty() {
        let mut unique = columns.iter().filter(|(column, _)| column.is_key);
        let likely = unique.clone().find(|(column, _)| looks_like_a_key(column.name));
        key.extend(likely.or_else(|| unique.next()).map(|(_, field)| *field));
    }
    if key.is_empty() {
        doubts.push(
            "no column has a different value in every row: name the key by hand, perhaps of two columns".to_owned(),
        );
    }
    if rows.is_empty() && sample.table.is_none() {
        doubts.push("the sample has no rows, so every column is taken for a text".to_owned());
    }
    let key = if let [one] = key.as_slice() { (*one).to_owned() } else { format!("[{}]", key.join(", ")) };
    let key = if key == "[]" { "" } else { &key };
    let mut text = format!("entity: {entity}\nkey: {key}\nfields:\n");
    for (column, name) in &columns {
        let personal = if looks_personal(column.name) { ", personal: true" } else { "" };
        let _ = writeln!(text, "  {name}: {{ {}{personal} }}", column.field());
        doubts.extend(column.doubt());
    }
    let mut mapping = sample.file.as_ref().map_or_else(String::new, |file| format!("    file: {}\n", quote(file)));
    match &sample.table {
        // It says itself which columns it has.
        Some(table) => mapping.push_str(&format!("    table: {}\n", quote(&table.name))),
        None => {
            let columns: Vec<&Column<'_>> = columns.iter().map(|(column, _)| column).collect();
            mapping.push_str(&format(sample, &columns, &mut doubts));
            mapping.push_str("    columns:\n");
            for column in columns {
                let _ = writeln!(mapping, "      {}: {}", quote(column.name), column.ty);
            }
        }
    }
    mapping.push_str("    read:\n");
    for (column, name) in &columns {
        let _ = writeln!(mapping, "      {name}: {}", column.source());
    }
    Drafted { entity: text, mapping, doubts }
}

/// Why a column cannot be drafted; nothing where it can.
fn left_out(sample: &Sample, at: usize, known: Option<&Type>) -> Option<String> {
    let name = &sample.columns[at];
    match known {
        _ if name.is_empty() => {
            let holds = sample.rows.iter().any(|row| row.get(at).is_some_and(Option::is_some));
            Some(format!("column {} has no name{}", at + 1, if holds { ", and is left out: give it one" } else { "" }))
        }
        _ if sample.columns[..at].contains(name) => {
            Some(format!("two columns have the name `{name}`, and only the first can be read: rename one"))
        }
        Some(Type::Reference { to }) => Some(format!(
            "`{name}` points to rows of `{}`, and is left out: a field of the type `reference` takes it",
            to.join("` or `")
        )),
        Some(Type::Bytes | Type::Lines(_)) => {
            Some(format!("`{name}` holds bytes, which no field takes: it is left out"))
        }
        _ => None,
    }
}

/// The line `format:` of a text file that is not written as the default has it; a file has one decimal sign and one way
/// to write days.
fn format(sample: &Sample, columns: &[&Column<'_>], doubts: &mut Vec<String>) -> String {
    let mut parts = Vec::new();
    if let Some(delimiter) = sample.delimiter.filter(|delimiter| *delimiter != ',') {
        parts.push(if delimiter == '\t' { "delimiter: tab".to_owned() } else { format!("delimiter: \"{delimiter}\"") });
    }
    parts.extend(sample.encoding.map(|encoding| format!("encoding: {encoding}")));
    if sample.skip_lines > 0 {
        parts.push(format!("skip_lines: {}", sample.skip_lines));
    }
    let with_comma = columns.iter().find(|column| column.decimal_comma);
    if let Some(comma) = with_comma {
        parts.push("decimal: \",\"".to_owned());
        if columns.iter().any(|column| column.thousands) {
            parts.push("thousands: \".\"".to_owned());
        }
        if let Some(point) =
            columns.iter().find(|column| column.ty == "decimal" && column.scale > 0 && !column.decimal_comma)
        {
            doubts.push(format!(
                "`{}` has a decimal comma and `{}` a decimal point, and a file has one sign: declare one of them as `text`",
                comma.name, point.name
            ));
        }
    }
    let mut days =
        columns.iter().filter(|column| column.ty == "date").map(|column| (column.day.unwrap_or(ISO), column.name));
    if let Some((first, name)) = days.next() {
        if first != ISO {
            parts.push(format!("date: {first}"));
        }
        if let Some((_, other)) = days.find(|(day, _)| *day != first) {
            doubts.push(format!(
                "`{name}` and `{other}` write days in two ways, and a file has one: declare one of them as `text`"
            ));
        }
    }
    if parts.is_empty() { String::new() } else { format!("    format: {{ {} }}\n", parts.join(", ")) }
}

/// `1.234,50`, `-7,5`: with a comma, and points only between thousands.
fn has_decimal_comma(value: &str) -> bool {
    let Some((whole, part)) = value.split_once(',') else { return false };
    let whole = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let mut groups = whole.split('.');
    let first = groups.next().unwrap_or_default();
    let groups: Vec<&str> = groups.collect();
    digits(part)
        && digits(first)
        && (groups.is_empty() || first.len() <= 3 && groups.iter().all(|group| group.len() == 3 && digits(group)))
}

/// What a day looks like where nobody says otherwise.
const ISO: &str = "yyyy-mm-dd";

/// The way in which all of these are days, if there is one that does not stand by itself.
fn day_format(values: &[&str]) -> Option<&'static str> {
    let is = |pattern: &str, value: &str| jiff::civil::Date::strptime(pattern, value).is_ok() && value.len() == 10;
    let ways = [
        ("dd.mm.yyyy", "%d.%m.%Y"),
        ("dd-mm-yyyy", "%d-%m-%Y"),
        ("dd/mm/yyyy", "%d/%m/%Y"),
        ("mm/dd/yyyy", "%m/%d/%Y"),
    ];
    ways.into_iter()
        .find(|(_, pattern)| !values.is_empty() && values.iter().all(|value| is(pattern, value)))
        .map(|(name, _)| name)
}

/// What is known of one column.
struct Column<'s> {
    name: &'s str,
    /// What its table says that it holds.
    known: Option<&'s Type>,
    ty: &'static str,
    /// In characters.
    longest: usize,
    /// Digits after the point.
    scale: usize,
    is_key: bool,
    /// Digits with zeros in front: a code, not a number.
    has_leading_zeros: bool,
    decimal_comma: bool,
    /// Points between the thousands of numbers with a decimal comma.
    thousands: bool,
    /// Each number has a point before three last digits: it may stand between thousands.
    grouped: bool,
    /// How its days are written, where it is not [`ISO`].
    day: Option<&'static str>,
    /// No day of it is after the 12th: day and month may stand the other way round.
    day_or_month: bool,
    /// Times that say no zone.
    local: bool,
}

impl<'s> Column<'s> {
    fn of(name: &'s str, at: usize, rows: &[Vec<Option<String>>], known: Option<&'s Type>) -> Column<'s> {
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
        let decimal_comma = values.iter().any(|value| value.contains(','))
            && all(|value| has_decimal_comma(value) || value.parse::<i64>().is_ok());
        let day = day_format(&values);
        let local = all(|value| value.parse::<jiff::civil::DateTime>().is_ok() && value.len() > 10);
        // `+44 20 …` is a number to dial.
        let is_dialled = values.iter().any(|value| value.starts_with('+'));
        let ty = if all(|value| matches!(value, "true" | "false")) {
            "yes_no"
        } else if is_dialled {
            "text"
        } else if !has_leading_zeros && all(|value| value.parse::<i64>().is_ok()) {
            "whole_number"
        } else if decimal_comma && !has_leading_zeros {
            "decimal"
        } else if day.is_some() {
            "date"
        } else if !has_leading_zeros && all(|value| record::Decimal::from_str_exact(value).is_ok()) {
            "decimal"
        } else if all(|value| value.parse::<jiff::civil::Date>().is_ok() && value.len() == 10) {
            "date"
        } else if local || all(|value| value.parse::<jiff::Timestamp>().is_ok()) {
            "datetime"
        } else if all(|value| value.len() == 36 && is_guid(value)) {
            "guid"
        } else {
            "text"
        };
        // A text of any length is what a database without such types keeps days, times and amounts in.
        let says_little = matches!(known, Some(Type::Text { max_length: None }))
            && matches!(ty, "yes_no" | "decimal" | "date" | "datetime" | "guid");
        let known = known.filter(|_| !says_little);
        let different: BTreeSet<&&str> = values.iter().collect();
        Column {
            name,
            known,
            ty,
            longest: values.iter().map(|value| value.chars().count()).max().unwrap_or(0),
            scale: values
                .iter()
                .filter_map(|value| Some(value.split_once(if decimal_comma { ',' } else { '.' })?.1.len()))
                .max()
                .unwrap_or(0),
            is_key: !rows.is_empty()
                && values.len() == rows.len()
                && different.len() == rows.len()
                && matches!(ty, "text" | "whole_number" | "guid"),
            has_leading_zeros,
            decimal_comma: decimal_comma && ty == "decimal",
            thousands: decimal_comma && ty == "decimal" && values.iter().any(|value| value.contains('.')),
            grouped: ty == "decimal"
                && all(|value| value.rsplit_once(['.', ',']).is_some_and(|(_, group)| group.len() == 3)),
            day,
            day_or_month: day.is_some_and(|day| day.contains('/'))
                && values.iter().all(|value| jiff::civil::Date::strptime("%m/%d/%Y", value).is_ok()),
            local: local && ty == "datetime",
        }
    }

    /// What a rule reads of it.
    fn source(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let in_a_formula = format!("'{}'", self.name.replace('\'', "''"));
        match self.name {
            // No field holds a time of the day.
            _ if self.known == Some(&Type::Time) => quoted(&format!("=Text({in_a_formula}, \"hh:mm:ss\")")),
            // What begins so is a formula, in which a name stands between its own quotes.
            name if name.starts_with('=') => quoted(&format!("={in_a_formula}")),
            // A plain word is a column; a name with spaces, or what looks like a call, stands in quotes.
            name if name.contains(' ') || name.ends_with(')') => quoted(name),
            name => quote(name),
        }
    }

    fn field(&self) -> String {
        let limited = |ty: &str, max_length: &Option<u32>| match max_length {
            Some(most) => format!("type: {ty}, max_length: {most}"),
            None => format!("type: {ty}"),
        };
        match self.known {
            Some(Type::Text { max_length }) => return limited("text", max_length),
            Some(Type::Multiline { max_length }) => return limited("multiline", max_length),
            Some(Type::Decimal { scale: Some(scale @ 0..=10) }) => return format!("type: decimal, scale: {scale}"),
            Some(Type::Decimal { .. } | Type::Money | Type::Float) => return "type: decimal".to_owned(),
            Some(Type::DateTime | Type::LocalDateTime) => return "type: datetime".to_owned(),
            Some(ty @ (Type::WholeNumber | Type::YesNo | Type::Date | Type::Guid)) => {
                return format!("type: {}", ty.word());
            }
            Some(Type::Time | Type::Choice { .. } | Type::Choices { .. }) => return "type: text".to_owned(),
            // A column that may hold anything is what it is seen to hold.
            _ => {}
        }
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
        if let Some(Type::Choice { values } | Type::Choices { values }) = self.known {
            return Some(format!(
                "`{}` is one of {}: a field of the type `choice` names them, read by `{{ column: {}, choice: {{ … }} }}`",
                self.name,
                values.join(", "),
                self.name
            ));
        }
        let is_known = self.known.is_some_and(|ty| *ty != Type::Unknown);
        if self.has_leading_zeros && !is_known {
            return Some(format!(
                "`{}` has zeros in front, so it is taken for a text: a number would lose them",
                self.name
            ));
        }
        if self.grouped && !is_known {
            return Some(format!(
                "`{}` has three digits behind each sign: where it stands between thousands, say so by `thousands:` under `format:`",
                self.name
            ));
        }
        if self.day_or_month && !is_known && self.day != Some("mm/dd/yyyy") {
            return Some(format!(
                "`{}` may have the day or the month first: no value tells; it is taken for dd/mm/yyyy",
                self.name
            ));
        }
        if self.local && !is_known {
            return Some(format!(
                "the times of `{}` have no zone: name it by `time_zone:` of the system, such as Europe/London",
                self.name
            ));
        }
        let lower = self.name.to_lowercase();
        let money = ["amount", "price", "total", "limit", "betrag", "preis"].iter().any(|word| lower.contains(word));
        let is_number = match self.known {
            Some(Type::Decimal { .. } | Type::Money | Type::WholeNumber) => true,
            Some(_) if is_known => false,
            _ => matches!(self.ty, "decimal" | "whole_number"),
        };
        (is_number && (money || self.known == Some(&Type::Money)))
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
        if crate::decode::is_reserved(&name) {
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
            delimiter: Some(';'),
            columns: columns.split(';').map(str::to_owned).collect(),
            rows: rows.iter().map(|row| cells(row)).collect(),
            ..Sample::default()
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
"
        );
        assert!(drafted.mapping.contains("      preis_netto: \"Preis (netto)\"\n"), "{}", drafted.mapping);
        assert_eq!(
            drafted.doubts,
            [
                "two columns have the name `no`, and only the first can be read: rename one",
                "`Preis (netto)` may be money: write `type: money, currency: GBP` with its currency",
                "`PLZ` has zeros in front, so it is taken for a text: a number would lose them",
            ]
        );
    }

    #[test]
    fn numbers_and_days_as_europeans_write_them() {
        let drafted = draft(
            "price",
            &sample("Artikel;Preis;Ab;Bis;Menge", &["A-1;1.234,50;24.11.2026;31.12.2026;7", "A-2;-7,5;01.02.2026;;8"]),
        );
        assert!(
            drafted.entity.contains("  preis: { type: decimal, scale: 2 }\n  ab: { type: date }"),
            "{}",
            drafted.entity
        );
        assert!(
            drafted.mapping.starts_with(
                "    format: { delimiter: \";\", decimal: \",\", thousands: \".\", date: dd.mm.yyyy }\n    columns:"
            ),
            "{}",
            drafted.mapping
        );
        let mixed = draft("x", &sample("a;b;c;d;e", &["1,5;2.5;01/02/2026;24.11.2026;12.24/2026"]));
        assert_eq!(mixed.doubts.len(), 3, "{:#?}", mixed.doubts);
        assert!(mixed.doubts[0].contains("`c` may have the day or the month first"));
        let local = draft("x", &sample("a;b", &["2026-03-01T08:00:00;2026-03-01T08:00:00Z"]));
        assert!(local.entity.contains("  a: { type: datetime }\n  b: { type: datetime }"), "{}", local.entity);
        assert_eq!(
            local.doubts.iter().filter(|doubt| doubt.contains("have no zone")).count(),
            1,
            "{:#?}",
            local.doubts
        );
        let grouped = draft("x", &sample("a;b;c", &["1.000;31-01-2026;1.00", "2.500;01-02-2026;2.00"]));
        assert!(grouped.mapping.contains("date: dd-mm-yyyy }"), "{}", grouped.mapping);
        let about = grouped.doubts.iter().filter(|doubt| doubt.contains("thousands")).collect::<Vec<_>>();
        assert!(about.len() == 1 && about[0].starts_with("`a` has three digits"), "{:#?}", grouped.doubts);
        let american = draft("x", &sample("a;b", &["12/24/2026;1,234,567"]));
        assert!(american.mapping.contains("date: mm/dd/yyyy }"), "{}", american.mapping);
        assert!(american.mapping.contains("b: text"), "thousands with commas are no decimal comma");
    }
}
