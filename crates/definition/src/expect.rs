//! What a test says must be true, and how it is compared with what is there.

use serde_json::Value as Json;

/// One line under `then:`.
#[derive(Debug, Clone, PartialEq)]
pub enum Expectation {
    /// `{ dynamics.account: none }`, or the rows that must be there.
    Rows { system: String, table: String, rows: Rows },
    /// `{ dead_letters: [ { key: C-1, code: IB0412 } ] }`.
    DeadLetters(Rows),
    /// Anything else that a run reports by name: `{ counts: { written: 1 } }`.
    Other { what: String, is: Json },
}

/// *Shape*: in any order; each wanted row names the columns that matter, others may be there.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    /// No row at all.
    None,
    /// Exactly so many.
    Count(u64),
    /// These and no others.
    These(Vec<Json>),
}

/// What was found wanting, as sentences.
pub fn differences(wanted: &Rows, found: &[Json]) -> Vec<String> {
    match wanted {
        Rows::None if found.is_empty() => Vec::new(),
        Rows::None => found.iter().map(|row| format!("no row was expected, and there is {}", short(row))).collect(),
        Rows::Count(count) if *count == found.len() as u64 => Vec::new(),
        Rows::Count(count) => vec![format!("{count} rows were expected, and there are {}", found.len())],
        Rows::These(rows) => these(rows, found),
    }
}

/// Pairs each wanted row with the found row that is nearest to it, the exact ones first.
fn these(wanted: &[Json], found: &[Json]) -> Vec<String> {
    let mut left: Vec<&Json> = found.iter().collect();
    let mut open: Vec<&Json> = Vec::new();
    for row in wanted {
        match left.iter().position(|have| misses(row, have).is_empty()) {
            Some(at) => {
                left.swap_remove(at);
            }
            None => open.push(row),
        }
    }
    let mut differences = Vec::new();
    for row in open {
        let nearest =
            left.iter().enumerate().map(|(at, have)| (misses(row, have), at)).min_by_key(|(misses, _)| misses.len());
        match nearest {
            Some((misses, at)) if misses.len() < columns(row) => {
                differences.extend(misses.into_iter().map(|miss| format!("{}: {miss}", short(row))));
                left.remove(at);
            }
            _ => differences.push(format!("{} was expected, and is not there", short(row))),
        }
    }
    differences.extend(left.into_iter().map(|row| format!("{} is there, and was not expected", short(row))));
    differences
}

fn columns(row: &Json) -> usize {
    row.as_object().map_or(1, |columns| columns.len())
}

/// The columns of a wanted row that another row does not have so.
fn misses(wanted: &Json, found: &Json) -> Vec<String> {
    let (Some(wanted), Some(found)) = (wanted.as_object(), found.as_object()) else {
        return if same(wanted, found) { Vec::new() } else { vec![format!("expected {wanted}, found {found}")] };
    };
    let miss = |(column, value): (&String, &Json)| {
        let have = found.get(column).unwrap_or(&Json::Null);
        (!same(value, have)).then(|| format!("`{column}` should be {value} and is {have}"))
    };
    wanted.iter().filter_map(miss).collect()
}

/// Numbers are equal by value (`5000` and `5000.00`), nothing and a blank are one.
fn same(a: &Json, b: &Json) -> bool {
    let number = |value: &Json| match value {
        Json::Number(number) => record::Decimal::from_str_exact(&number.to_string()).ok(),
        _ => None,
    };
    match (a, b) {
        (Json::Number(_), Json::Number(_)) => number(a) == number(b),
        (Json::Null, Json::String(text)) | (Json::String(text), Json::Null) => text.is_empty(),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

fn short(row: &Json) -> String {
    const SHOWN: usize = 120;
    let text = row.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(wanted: Rows, found: Json, expected: &[&str]) {
        let found = found.as_array().unwrap().clone();
        assert_eq!(differences(&wanted, &found), expected);
    }

    #[test]
    fn rows_are_compared_as_a_person_would() {
        check(Rows::None, json!([]), &[]);
        check(Rows::None, json!([{ "a": 1 }]), &[r#"no row was expected, and there is {"a":1}"#]);
        check(Rows::Count(2), json!([{ "a": 1 }]), &["2 rows were expected, and there are 1"]);
        let these = |rows: Json| Rows::These(rows.as_array().unwrap().clone());
        check(these(json!([{ "a": 2 }, { "a": 1 }])), json!([{ "a": 1, "b": 9 }, { "a": 2.00 }]), &[]);
        check(
            these(json!([{ "key": "C-1", "name": "Acme" }])),
            json!([{ "key": "C-1", "name": "Acme Ltd" }]),
            &[r#"{"key":"C-1","name":"Acme"}: `name` should be "Acme" and is "Acme Ltd""#],
        );
        check(
            these(json!([{ "key": "C-1" }])),
            json!([{ "key": "C-2" }]),
            &[r#"{"key":"C-1"} was expected, and is not there"#, r#"{"key":"C-2"} is there, and was not expected"#],
        );
    }
}
