//! `ironbridge init --from-sample`: drafts an entity and its mapping from rows, for a person to correct.

use std::path::Path;

use definition::{LiveTable, Sample};
use hub::Systems;
use record::{Options, ReadSpec, Type};
use serde_json::{Map, Value as Json};

use crate::cli::Cli;
use crate::failure::{BAD_SAMPLE, Failure, USAGE};
use crate::wiring::{self, OpenSystems};
use crate::{say, talk};

/// Rows that a draft looks at.
const ROWS_MAX: usize = 10_000;
/// A sample is a sample: of a larger file this much is read.
const BYTES_MAX: usize = 64 << 20;

pub async fn draft(cli: &Cli, given: &str, entity: Option<&str>) -> Result<u8, Failure> {
    let file = Path::new(given);
    let (sample, name) = if file.is_file() {
        let sample = of_file(file).map_err(|why| unusable(given, &why))?;
        (sample, file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default())
    } else if let Some((system, table)) = given.split_once('.').filter(|_| !given.contains(['/', '\\'])) {
        (of_table(cli, system, table).await?, table.to_owned())
    } else {
        return Err(unusable(given, "there is no such file"));
    };
    let name = entity.map_or_else(|| plain(&name), str::to_owned);
    let drafted = definition::draft(&name, &sample);
    say!("# entities/{name}.yaml\n{}", drafted.entity);
    say!("# systems/<system>.yaml, under `entities:`\n  {name}:\n{}", drafted.mapping.trim_end());
    for doubt in drafted.doubts {
        talk!("look at this: {doubt}");
    }
    Ok(0)
}

fn unusable(given: &str, why: &str) -> Failure {
    let fix = "name a CSV, Excel or JSON file, or a live table of the project as SYSTEM.TABLE";
    Failure::new(USAGE, BAD_SAMPLE, format!("nothing can be drafted from `{given}`"), fix).because(why)
}

/// A name as definitions have them: small letters, digits and `_`.
fn plain(name: &str) -> String {
    let name = name.to_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let name: String = words.join("_").chars().take(50).collect();
    // `2026_prices` and `no` are no names.
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    match starts_well && !definition::is_reserved(&name) {
        true => name,
        false => format!("entity_{name}").trim_end_matches('_').to_owned(),
    }
}

fn of_file(file: &Path) -> Result<Sample, String> {
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
    if matches!(ending.as_deref(), Some("xlsx" | "xlsm")) {
        return Ok(Sample { file: name, ..of_excel(file)? });
    }
    let mut bytes = std::fs::read(file).map_err(|why| why.to_string())?;
    if bytes.len() > BYTES_MAX {
        bytes.truncate(BYTES_MAX);
        // A line that is cut is none.
        bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(BYTES_MAX));
    }
    let (text, encoding) = text(&bytes);
    if text.contains('\0') {
        return Err("it is no text".to_owned());
    }
    if matches!(text.trim_start().chars().next(), Some('{' | '[')) {
        return of_json(&text);
    }
    Ok(Sample { file: name, encoding, ..of_csv(&text)? })
}

/// UTF-8, or what a mark at the beginning says; else what Windows programs save, with its name.
fn text(bytes: &[u8]) -> (String, Option<&'static str>) {
    let (text, _, broken) = encoding_rs::UTF_8.decode(bytes);
    match broken {
        true => (encoding_rs::WINDOWS_1252.decode(bytes).0.into_owned(), Some("windows-1252")),
        false => (text.into_owned(), None),
    }
}

fn of_csv(text: &str) -> Result<Sample, String> {
    const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
    // A title, or what tells Excel the delimiter: neither holds names of columns.
    let begins = |line: &str| !line.starts_with("sep=") && line.bytes().any(|byte| DELIMITERS.contains(&byte));
    let skip_lines = text.lines().take(50).position(begins).unwrap_or(0);
    let mut rest = text;
    for _ in 0..skip_lines {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    let header = rest.lines().next().unwrap_or_default();
    let count = |delimiter: u8| header.bytes().filter(|byte| *byte == delimiter).count();
    // The first of those that are as many: a file of one column has commas.
    let delimiter = DELIMITERS.into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(rest.as_bytes());
    let columns: Vec<String> =
        reader.headers().map_err(|why| why.to_string())?.iter().map(|name| name.trim().to_owned()).collect();
    if columns.iter().all(String::is_empty) {
        return Err("its first line holds no names of columns".to_owned());
    }
    let (mut rows, mut doubts, mut longer) = (Vec::new(), Vec::new(), 0_usize);
    for record in reader.records().take(ROWS_MAX) {
        let record = record.map_err(|why| why.to_string())?;
        let cell = |at| record.get(at).filter(|cell: &&str| !cell.is_empty()).map(str::to_owned);
        longer += usize::from(record.iter().skip(columns.len()).any(|cell| !cell.is_empty()));
        rows.push((0..columns.len()).map(cell).collect());
    }
    if longer > 0 {
        doubts.push(format!("{longer} of {} lines have more cells than there are names in the first one", rows.len()));
    }
    let is_value = |name: &&String| name.parse::<f64>().is_ok() || name.parse::<jiff::civil::Date>().is_ok();
    if let Some(value) = columns.iter().find(is_value) {
        doubts.push(format!(
            "`{value}` is taken for the name of a column: a file without a line of names says `header: false` under `format:`"
        ));
    }
    Ok(Sample { delimiter: Some(char::from(delimiter)), skip_lines, doubts, columns, rows, ..Sample::default() })
}

/// The first sheet of a workbook; its first row holds the names.
fn of_excel(file: &Path) -> Result<Sample, String> {
    let mut rows = connectors::files::excel_sample(file, ROWS_MAX)?.into_iter();
    let names = rows.next().unwrap_or_default();
    let columns: Vec<String> = names.into_iter().map(Option::unwrap_or_default).collect();
    if columns.iter().all(String::is_empty) {
        return Err("the first row of its first sheet holds no names of columns".to_owned());
    }
    let as_wide = |mut row: Vec<Option<String>>| {
        row.resize(columns.len(), None);
        row
    };
    let rows = rows.map(as_wide).collect();
    Ok(Sample { columns, rows, ..Sample::default() })
}

fn of_json(text: &str) -> Result<Sample, String> {
    let objects: Vec<Map<String, Json>> = match serde_json::from_str::<Json>(text) {
        Ok(Json::Array(items)) => items.into_iter().filter_map(object).collect(),
        // `{ "value": [ … ] }`: the first array of an object that wraps it.
        Ok(Json::Object(wrapper)) if wrapper.values().any(Json::is_array) => {
            let items = wrapper.into_iter().find_map(|(_, value)| value.as_array().cloned());
            items.into_iter().flatten().filter_map(object).collect()
        }
        Ok(Json::Object(one)) => vec![one],
        Ok(_) => Vec::new(),
        Err(_) => text.lines().filter_map(|line| serde_json::from_str(line).ok().and_then(object)).collect(),
    };
    if objects.is_empty() {
        return Err("it holds no JSON objects".to_owned());
    }
    let flat: Vec<Vec<(String, Option<String>)>> = objects.iter().take(ROWS_MAX).map(flatten).collect();
    let mut columns: Vec<String> = Vec::new();
    for (name, _) in flat.iter().flatten() {
        if !columns.contains(name) {
            columns.push(name.clone());
        }
    }
    let row = |cells: &Vec<(String, Option<String>)>| {
        let cell = |name: &String| cells.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.clone());
        columns.iter().map(cell).collect()
    };
    let rows = flat.iter().map(row).collect();
    let is_list = |name: &&String| objects.iter().any(|object| object.get(*name).is_some_and(Json::is_array));
    let mut lists: Vec<&String> = objects.iter().take(ROWS_MAX).flat_map(Map::keys).collect();
    lists.sort();
    lists.dedup();
    let doubts = lists.into_iter().filter(is_list).map(|name| {
        format!("`{name}` is a list, which is left out: a field of the type `lines` takes it, read by `{{ each: {name}, read: … }}`")
    });
    Ok(Sample { doubts: doubts.collect(), columns, rows, ..Sample::default() })
}

fn object(json: Json) -> Option<Map<String, Json>> {
    if let Json::Object(map) = json { Some(map) } else { None }
}

/// Nested objects as paths (`a.b`); arrays are children, which a draft leaves out.
fn flatten(map: &Map<String, Json>) -> Vec<(String, Option<String>)> {
    let mut cells = Vec::new();
    for (name, value) in map {
        match value {
            Json::Object(inner) => {
                cells.extend(flatten(inner).into_iter().map(|(path, value)| (format!("{name}.{path}"), value)));
            }
            Json::Array(_) => {}
            Json::Null => cells.push((name.clone(), None)),
            Json::String(text) => cells.push((name.clone(), Some(text.clone()).filter(|text| !text.is_empty()))),
            other => cells.push((name.clone(), Some(other.to_string()))),
        }
    }
    cells
}

/// The first rows of a live table, in all its columns.
pub(super) async fn of_table(cli: &Cli, system: &str, table: &str) -> Result<Sample, Failure> {
    let project = wiring::project(cli)?;
    if project.system(system).is_none() {
        return Err(unusable(&format!("{system}.{table}"), &format!("this project has no system `{system}`")));
    }
    let defined = project.system(system);
    let time_zone = defined.and_then(|defined| defined.time_zone.clone());
    let has_lookups = defined.is_some_and(|defined| defined.kind.keeps.lookups);
    let open = OpenSystems::new(project).open(system)?;
    let catalog = open.catalog(&[table]).await?;
    let Some(found) = catalog.table(table) else {
        return Err(unusable(&format!("{system}.{table}"), &format!("`{system}` has no table `{table}`")));
    };
    let columns: Vec<String> = found.columns.iter().map(|c| c.column.name.to_string()).collect();
    let primary = found.keys.iter().find(|key| key.primary).map(|key| key.columns.clone()).unwrap_or_default();
    // Where rows are named by ids that the system makes, people know them by another key.
    let plain = |name: &String| !matches!(found.type_of(name), None | Some(Type::Reference { .. }));
    let others = found.keys.iter().filter(|key| has_lookups && key.active && !key.primary);
    let other = others.filter(|key| key.columns.iter().all(plain)).min_by_key(|key| key.columns.len());
    let live = LiveTable {
        name: table.to_owned(),
        types: found.columns.iter().map(|c| c.column.ty.clone()).collect(),
        key: other.map_or_else(|| primary.clone(), |key| key.columns.clone()),
    };
    let spec = ReadSpec {
        table: table.to_owned(),
        columns: columns.clone(),
        declared: Vec::new(),
        watermark: None,
        key: primary,
        rows_per_batch: ROWS_MAX,
        time_zone,
        fields: Vec::new(),
        options: Options::default(),
    };
    let source = open.source(spec)?;
    let mut reader = source.read(None).await?;
    let rows = match reader.next().await? {
        Some(page) => page
            .batch
            .rows()
            .map(|row| row.values().map(|value| (!value.is_blank()).then(|| value.to_string())).collect())
            .collect(),
        None => Vec::new(),
    };
    Ok(Sample { table: Some(live), columns, rows, ..Sample::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spreadsheets_save() {
        let sample = of_csv("Nr;Naam;Bedrag\n1;Zo\u{eb};1,50\n2;;2\n").unwrap();
        assert_eq!(sample.columns, ["Nr", "Naam", "Bedrag"]);
        assert_eq!(sample.rows[1], [Some("2".to_owned()), None, Some("2".to_owned())]);
        assert_eq!(text(b"Zo\xeb"), ("Zo\u{eb}".to_owned(), Some("windows-1252")));
        assert_eq!(text(b"\xef\xbb\xbfa"), ("a".to_owned(), None));
        assert_eq!(text(b"\xff\xfea\0"), ("a".to_owned(), None));
        for (name, expected) in [
            ("Kunden Export (2)", "kunden_export_2"),
            ("2026-prices", "entity_2026_prices"),
            ("NO", "entity_no"),
            ("%", "entity"),
        ] {
            assert_eq!(plain(name), expected);
        }
    }

    #[test]
    fn what_stands_before_the_names_and_what_may_be_no_names() {
        let drafted = |text: &str| {
            let sample = of_csv(text).unwrap();
            (sample.columns.join(" "), sample.delimiter.unwrap(), sample.skip_lines, sample.doubts.len())
        };
        for (text, expected) in [
            ("sep=;\r\nid;name\r\n1;a\r\n", ("id name", ';', 1, 0)),
            ("Customers\nof today\n\nid,name\n1,a\n", ("id name", ',', 3, 0)),
            ("id\n1\n2\n", ("id", ',', 0, 0)),
            ("id,name\n1,a,b\n2,b,\n", ("id name", ',', 0, 1)),
            ("1001,Acme,2026-01-02\n1002,Beta,2026-01-03\n", ("1001 Acme 2026-01-02", ',', 0, 1)),
        ] {
            let (columns, delimiter, skip_lines, doubts) = expected;
            assert_eq!(drafted(text), (columns.to_owned(), delimiter, skip_lines, doubts), "{text}");
        }
    }

    #[test]
    fn a_file_of_windows_says_so_and_a_picture_is_no_text() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            of_file(&path)
        };
        let sample = file("kunden.csv", b"Kunde;Stra\xdfe\n1;Goethestra\xdfe\n").unwrap();
        let drafted = definition::draft("kunde", &sample).mapping;
        let begins = "    file: kunden.csv\n    format: { delimiter: \";\", encoding: windows-1252 }\n";
        assert!(drafted.starts_with(begins) && drafted.contains("Stra\u{df}e: text"), "{drafted}");
        assert!(file("logo.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").is_err());
        let lists = file("orders.json", br#"[{"id": 1, "lines": [{"qty": 2}]}]"#).unwrap().doubts;
        assert!(lists.len() == 1 && lists[0].contains("`lines` is a list"), "{lists:?}");
    }

    #[test]
    fn json_in_its_three_forms() {
        for text in [
            r#"[{"a": 1.50, "b": {"c": "x"}}, {"a": null, "d": true}]"#,
            r#"{"value": [{"a": 1.50, "b": {"c": "x"}}, {"a": null, "d": true}]}"#,
            "{\"a\": 1.50, \"b\": {\"c\": \"x\"}}\n{\"a\": null, \"d\": true}\n",
        ] {
            let sample = of_json(text).unwrap();
            assert_eq!(sample.columns, ["a", "b.c", "d"], "{text}");
            assert_eq!(sample.rows[0][1].as_deref(), Some("x"));
            assert_eq!(sample.rows[1], [None, None, Some("true".to_owned())]);
        }
        assert!(of_json("[1, 2]").is_err());
    }
}
