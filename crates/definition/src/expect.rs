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
        Rows::Count(count) => {
            let wanted = if *count == 1 { "1 row was".to_owned() } else { format!("{count} rows were") };
            let there = if found.len() == 1 { "is 1".to_owned() } else { format!("are {}", found.len()) };
            vec![format!("{wanted} expected, and there {there}")]
        }
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

/// A number as JSON holds it, every digit of it. *Shape*: a text where it is none.
pub fn exact_number(text: &str) -> Json {
    text.trim_start_matches('+').parse().map_or_else(|_| Json::String(text.to_owned()), Json::Number)
}

fn decimal(text: &str) -> Option<record::Decimal> {
    record::Decimal::from_str_exact(text).or_else(|_| record::Decimal::from_scientific(text)).ok()
}

/// Numbers are equal by value (`5000` and `5000.00`), nothing and a blank are one.
fn same(a: &Json, b: &Json) -> bool {
    let number = |value: &Json| match value {
        Json::Number(number) => decimal(&number.to_string()),
        _ => None,
    };
    match (a, b) {
        (Json::Number(_) | Json::String(_), Json::Number(_) | Json::String(_)) => match (number(a), number(b)) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
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
        check(Rows::Count(2), json!([{ "a": 1 }]), &["2 rows were expected, and there is 1"]);
        check(Rows::Count(1), json!([]), &["1 row was expected, and there are 0"]);
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

    #[test]
    fn numbers_keep_every_digit() {
        assert_eq!(exact_number("5000.00").to_string(), "5000.00");
        assert_eq!(exact_number("+7"), json!(7));
        assert_eq!(exact_number("12345678901234567.89").to_string(), "12345678901234567.89");
        assert_eq!(exact_number("A-1"), json!("A-1"));
        assert!(same(&exact_number("12345678901234567.890"), &exact_number("12345678901234567.89")));
        assert!(!same(&exact_number("12345678901234567.89"), &exact_number("12345678901234567.88")));
        assert!(same(&json!(5000), &exact_number("5000.00")));
        assert!(!same(&json!(1e300), &json!(2e300)), "too large for a decimal, and not equal");
        assert!(!same(&json!("007"), &json!(7)), "a code is no number");
    }
}
