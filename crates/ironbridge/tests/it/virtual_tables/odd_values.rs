//! Values that a database compares as something else than what it shows: what a user sees is what filters and orders mean.

use serde_json::Value as Json;

use super::servers;
use super::stock::{Served, query};

/// All rows of a query in pages of a few, by their key.
fn paged(served: &Served, path: &str, size: usize) -> Vec<Json> {
    let mut path = path.to_owned();
    let mut found = Vec::new();
    for _ in 0..200 {
        let answer = served.send("GET", &path, &format!("Prefer: odata.maxpagesize={size}\r\n"), "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let json: Json = serde_json::from_str(&answer.body).unwrap();
        found.extend(json["value"].as_array().unwrap().iter().cloned());
        match json["@odata.nextLink"].as_str() {
            Some(next) => path = next.split_once(&served.address).unwrap().1.to_owned(),
            None => return found,
        }
    }
    panic!("{path} does not end");
}

/// A file that somebody filled from a CSV: numbers that are empty texts, and yes and no in words.
#[test]
fn an_empty_text_in_a_column_of_numbers_is_nothing_in_every_way() {
    let served = Served::new("", "");
    served
        .database()
        .execute_batch(
            "DELETE FROM stock WHERE rowid > 400;
             UPDATE stock SET quantity = '' WHERE rowid % 5 = 0; UPDATE stock SET quantity = ' ' WHERE rowid % 5 = 1;
             UPDATE stock SET price = '' WHERE rowid % 7 = 0;
             UPDATE stock SET active = 'true' WHERE rowid % 6 = 0; UPDATE stock SET active = 'no' WHERE rowid % 6 = 1;
             UPDATE stock SET active = '' WHERE rowid % 6 = 2;",
        )
        .unwrap();
    let all = served.json("/odata/warehouse/stock?$select=sku,warehouse,quantity,price,active")["value"].clone();
    let all = all.as_array().unwrap();
    let number = |row: &Json, name: &str| row[name].as_f64();
    let check = |filter: &str, wanted: &dyn Fn(&Json) -> bool| {
        let expected: Vec<&Json> = all.iter().filter(|row| wanted(row)).collect();
        assert!(!expected.is_empty() && expected.len() < all.len(), "{filter}");
        let options =
            query(&[("$filter", filter), ("$select", "sku,warehouse,quantity,price,active"), ("$count", "true")]);
        let json = served.json(&format!("/odata/warehouse/stock?{options}"));
        assert_eq!(json["@odata.count"], expected.len(), "{filter}");
        assert_eq!(json["value"].as_array().unwrap().iter().collect::<Vec<_>>(), expected, "{filter}");
    };
    check("quantity eq null", &|row| row["quantity"].is_null());
    check("quantity ne null", &|row| !row["quantity"].is_null());
    check("quantity gt 400", &|row| number(row, "quantity").is_some_and(|n| n > 400.0));
    check("quantity ge 400", &|row| number(row, "quantity").is_some_and(|n| n >= 400.0));
    check("quantity lt 100", &|row| number(row, "quantity").is_some_and(|n| n < 100.0));
    check("price le 12.5", &|row| number(row, "price").is_some_and(|n| n <= 12.5));
    check("not (quantity gt 400)", &|row| number(row, "quantity").is_none_or(|n| n <= 400.0));
    check("quantity add 1 gt 400", &|row| number(row, "quantity").is_some_and(|n| n + 1.0 > 400.0));
    check("price gt 50", &|row| number(row, "price").is_some_and(|n| n > 50.0));
    check("quantity gt price", &|row| match (number(row, "quantity"), number(row, "price")) {
        (Some(quantity), Some(price)) => quantity > price,
        _ => false,
    });
    check("active", &|row| row["active"] == true);
    check("not active", &|row| row["active"] == false);
    check("active eq null", &|row| row["active"].is_null());
    for (order, descending) in [("quantity", false), ("quantity desc", true), ("price", false), ("price desc", true)] {
        let options = query(&[("$orderby", order), ("$select", "sku,warehouse,quantity,price,active")]);
        let found = paged(&served, &format!("/odata/warehouse/stock?{options}"), 37);
        let name = order.split(' ').next().unwrap();
        let mut expected = all.clone();
        expected.sort_by(|a, b| {
            let by = number(a, name).partial_cmp(&number(b, name)).unwrap();
            if descending { by.reverse() } else { by }
        });
        assert_eq!(found, expected, "{order}");
    }
}

const ENTITY: &str = "entity: measure\nkey: number\nfields: { number: { type: whole_number }, ratio: { type: decimal }, seen: { type: datetime }, name: { type: text, max_length: 40 }, shift: { type: whole_number } }\n";
const DYNAMICS: &str = "system: dynamics\nkind: dataverse\nconnection: { url: \"http://127.0.0.1:1\" }\nentities: { measure: { virtual_table: new_measure, primary_name: name } }\n";
const INTEGRATION: &str = "integration: measures\npattern: virtual\nentity: measure\nfrom: laboratory\nto: dynamics\nowner: it\npurpose: Sales see what was measured.\n";

/// Thirty rows: floats of four bytes, moments around a midnight, and ten that `where:` leaves out.
fn laboratory(kind: &str, database: &str) -> Option<Served> {
    let (ratio, seen, shipped) = match kind {
        "postgres" => ("REAL", "TIMESTAMPTZ", "TIMESTAMP"),
        _ => ("FLOAT", "TIMESTAMP(6) NULL", "DATETIME"),
    };
    let zone = if kind == "postgres" { "+00" } else { "" };
    let letters = if kind == "postgres" { "" } else { "CHARACTER SET latin1" };
    let mut statements = vec![format!(
        "CREATE TABLE measures (no INT PRIMARY KEY, ratio {ratio}, seen {seen}, name VARCHAR(40) {letters}, shift INT, shipped {shipped})"
    )];
    if kind != "postgres" {
        statements.push("SET time_zone = '+00:00'".to_owned());
    }
    for no in 0..30 {
        let ratio = ["0.1", "0.7", "0.3"][no % 3];
        let seen = ["2026-11-23 23:59:59.999999", "2026-11-24 00:00:00", "2026-11-23 12:00:00.123457"][no / 3 % 3];
        let name = ["ÄHRE", "ähre", "Zoë"][no / 2 % 3];
        let shift = if no % 4 == 0 { "NULL".to_owned() } else { (no % 4).to_string() };
        let shipped = if no < 10 { "NULL" } else { "'2026-07-01 12:00:00'" };
        statements
            .push(format!("INSERT INTO measures VALUES ({no}, {ratio}, '{seen}{zone}', '{name}', {shift}, {shipped})"));
    }
    // A PostgreSQL without a language: no capital letters but those of English.
    let how = if kind == "postgres" { "TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'" } else { "" };
    let url = servers::run(kind, database, how, &statements)?;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("laboratory.url"), url).unwrap();
    let system = format!(
        "system: laboratory\nkind: {kind}\nconnection: {{ url: \"${{file:laboratory.url}}\" }}\ntime_zone: Europe/London\nentities:\n  measure:\n    table: measures\n    where: '=!IsBlank(shipped)'\n    read: {{ number: no, ratio: ratio, seen: seen, name: name, shift: shift }}\n"
    );
    Some(Served::with(
        dir,
        &[
            ("entities/measure.yaml", ENTITY),
            ("systems/laboratory.yaml", &system),
            ("systems/dynamics.yaml", DYNAMICS),
            ("integrations/measures.yaml", INTEGRATION),
        ],
    ))
}

#[test]
fn what_a_server_shows_is_what_it_compares() {
    for kind in ["postgres", "mysql"] {
        let Some(served) = laboratory(kind, "virtual_odd") else { continue };
        let numbers = |rows: &[Json]| rows.iter().map(|row| row["number"].as_u64().unwrap()).collect::<Vec<_>>();
        let check = |filter: &str, wanted: &dyn Fn(u64) -> bool| {
            let expected: Vec<u64> = (10..30).filter(|no| wanted(*no)).collect();
            let options = query(&[("$filter", filter), ("$count", "true"), ("$orderby", "number")]);
            let json = served.json(&format!("/odata/laboratory/measures?{options}"));
            assert_eq!(numbers(json["value"].as_array().unwrap()), expected, "{kind}: {filter}");
            assert_eq!(json["@odata.count"], expected.len(), "{kind}: {filter}");
        };
        // What `where:` leaves out is in no count, and takes no place of a page.
        check("number ge 0", &|_| true);
        let five = served.json("/odata/laboratory/measures?$top=5&$count=true");
        assert_eq!(
            (numbers(five["value"].as_array().unwrap()), &five["@odata.count"]),
            ((10..15).collect(), &20.into())
        );
        check("ratio eq 0.1", &|no| no % 3 == 0);
        check("ratio gt 0.3", &|no| no % 3 == 1);
        check("ratio in (0.7,0.3)", &|no| no % 3 != 0);
        // The last moment of a day, as clients write it.
        check("seen le 2026-11-23T23:59:59.9999999Z", &|no| no / 3 % 3 != 1);
        check("seen lt 2026-11-23T23:59:59.9999999Z", &|no| no / 3 % 3 != 1);
        check("seen gt 2026-11-23T23:59:59.9999999Z", &|no| no / 3 % 3 == 1);
        check("not (seen gt 2026-11-23T23:59:59.9999999Z)", &|no| no / 3 % 3 != 1);
        check("seen gt 2026-11-23T12:00:00.1234565Z", &|_| true);
        check("seen eq 2026-11-23T12:00:00.1234565Z", &|_| false);
        check("seen eq 2026-11-23T12:00:00.1234570Z", &|no| no / 3 % 3 == 2);
        check("seen in (2026-11-23T12:00:00.1234565Z,2026-11-24T00:00:00Z)", &|no| no / 3 % 3 == 1);
        check("substring(name,shift) eq null", &|no| no % 4 == 0);
        check("substring(name,shift sub 9999999999) eq name", &|no| no % 4 != 0);
        check("substring(name,0,shift) eq null", &|no| no % 4 == 0);
        check("tolower(name) eq 'ähre'", &|no| no / 2 % 3 < 2);
        check("toupper(name) eq 'ÄHRE'", &|no| no / 2 % 3 < 2);
        check("trim(name) eq 'ähre'", &|no| no / 2 % 3 == 1);
        check("concat(trim(name),'é') eq 'Zoëé'", &|no| no / 2 % 3 == 2);
        for order in
            ["ratio", "ratio desc", "number divby 7", "seen desc", "tolower(name)", "number mul -1 divby 3 desc"]
        {
            let found = paged(&served, &format!("/odata/laboratory/measures?{}", query(&[("$orderby", order)])), 3);
            let mut found = numbers(&found);
            found.sort_unstable();
            assert_eq!(found, (10..30).collect::<Vec<_>>(), "{kind}: by {order}");
        }
    }
}

/// A column that becomes one of another type while the hub runs: one question fails, and the next one knows.
#[test]
fn a_column_of_another_type_is_looked_at_anew() {
    let Some(served) = laboratory("postgres", "virtual_changed") else { return };
    let ask = || served.send("GET", "/odata/laboratory/measures/$count?$filter=shift%20gt%202", "", "");
    let before = ask();
    assert_eq!((before.status, before.body.as_str()), (200, "5"));
    let url = std::fs::read_to_string(served.dir.path().join("laboratory.url")).unwrap();
    servers::change("postgres", &url, &["ALTER TABLE measures ALTER shift TYPE text".to_owned()]);
    assert_eq!(ask().status, 503);
    let after = ask();
    assert_eq!((after.status, after.body.as_str()), (200, "5"), "{}", after.body);
}
