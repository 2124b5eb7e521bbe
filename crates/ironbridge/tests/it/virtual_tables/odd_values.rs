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
    assert_eq!(ask().status, 502);
    let after = ask();
    assert_eq!((after.status, after.body.as_str()), (200, "5"), "{}", after.body);
}

const SHOP: &str = "system: shop\nkind: sqlite\nconnection: { file: shop.db }\ntime_zone: UTC\nentities:\n  measure: { table: measures, read: { number: no, ratio: ratio, seen: seen, name: name, shift: shift, grade: grade } }\n  paper: { table: papers, read: { id: id, other: other, about: other, name: name } }\n";
const SHOP_ENTITIES: &str = "entity: measure\nkey: number\nfields: { number: { type: whole_number }, ratio: { type: decimal }, seen: { type: datetime }, name: { type: text }, shift: { type: decimal, scale: 2 }, grade: { type: choice, values: [\"1\", \"2\", \"10\"] } }\n---\nentity: paper\nkey: id\nfields: { id: { type: guid }, other: { type: guid }, about: { type: reference, entity: paper }, name: { type: text } }\n";
const SHOP_DYNAMICS: &str = "system: dynamics\nkind: dataverse\nconnection: { url: \"http://127.0.0.1:1\" }\nentities: { measure: { virtual_table: new_measure, primary_name: name }, paper: { virtual_table: new_paper, primary_name: name } }\n";

/// A shop in a SQLite file, filled by these statements.
fn shop(sql: &str) -> Served {
    let dir = tempfile::tempdir().unwrap();
    rusqlite::Connection::open(dir.path().join("shop.db")).unwrap().execute_batch(sql).unwrap();
    let integration =
        |name: &str, entity: &str| INTEGRATION.replace("measures", name).replace("measure\n", &format!("{entity}\n"));
    let of = |name: &str, entity: &str| integration(name, entity).replace("laboratory", "shop");
    Served::with(
        dir,
        &[
            ("entities/all.yaml", SHOP_ENTITIES),
            ("systems/shop.yaml", SHOP),
            ("systems/dynamics.yaml", SHOP_DYNAMICS),
            ("integrations/measures.yaml", &of("measures", "measure")),
            ("integrations/papers.yaml", &of("papers", "paper")),
        ],
    )
}

/// What a program has calculated is a little more or less than the number that it means, and is shown as that.
#[test]
fn a_float_with_noise_is_the_number_that_is_shown() {
    let served = shop(
        "CREATE TABLE measures (no INTEGER PRIMARY KEY, ratio REAL, seen DATETIME, name TEXT, shift DECIMAL(10,2), grade INT);
         CREATE INDEX by_ratio ON measures (ratio);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
         INSERT INTO measures SELECT i, (i % 7) * 1.1 + 0.3 * (i % 3), NULL, 'x', -0.1 * (i % 4) * 3, 1 FROM n;
         INSERT INTO measures VALUES (61, NULL, NULL, 'x', NULL, 1), (62, 5, NULL, 'x', -3, 1), (63, '', NULL, 'x', 1, 1),
           (64, 0.1 + 0.2 - 0.3, NULL, 'x', 0.1 + 0.2 - 0.3, 1), (65, 100.1 - 100 - 0.1, NULL, 'x', 100.1 - 100 - 0.1, 1), (66, 0.00001, NULL, 'x', 0.01 - 1e-15, 1);
         CREATE TABLE papers (id TEXT, other TEXT, name TEXT);",
    );
    let all = served.json("/odata/shop/measures?$select=number,ratio,shift")["value"].as_array().unwrap().clone();
    // Of two places, what is left of nothing is nothing.
    assert_eq!((&all[63]["shift"], &all[64]["shift"], &all[65]["shift"]), (&0.into(), &0.into(), &0.01.into()));
    for name in ["ratio", "shift"] {
        let shown = |row: &Json| row[name].as_f64();
        for (op, holds) in [
            ("eq", (|a, b| a == b) as fn(f64, f64) -> bool),
            ("gt", |a, b| a > b),
            ("ge", |a, b| a >= b),
            ("lt", |a, b| a < b),
            ("le", |a, b| a <= b),
        ] {
            for number in ["3.3", "2.8", "0", "-0.3", "-0.6", "5", "0.3", "0.01"] {
                let value: f64 = number.parse().unwrap();
                let filter = format!("{name} {op} {number}");
                let found = served.json(&format!(
                    "/odata/shop/measures?{}",
                    query(&[("$filter", &filter), ("$select", "number,ratio,shift")])
                ));
                let expected: Vec<&Json> =
                    all.iter().filter(|row| shown(row).is_some_and(|is| holds(is, value))).collect();
                assert_eq!(found["value"].as_array().unwrap().iter().collect::<Vec<_>>(), expected, "{filter}");
            }
        }
        for order in [name.to_owned(), format!("{name} desc")] {
            let options = query(&[("$orderby", &order), ("$select", "number,ratio,shift")]);
            let found = paged(&served, &format!("/odata/shop/measures?{options}"), 4);
            let mut expected = all.clone();
            expected.sort_by(|a, b| {
                let by = shown(a).partial_cmp(&shown(b)).unwrap();
                if order.ends_with("desc") { by.reverse() } else { by }
            });
            assert_eq!(found, expected, "{order}");
        }
    }
}

/// A choice whose names are the numbers that the column holds is a text like any other choice.
#[test]
fn a_choice_of_numbers_is_found_by_its_names() {
    let served = shop(
        "CREATE TABLE measures (no INTEGER PRIMARY KEY, ratio REAL, seen DATETIME, name TEXT, shift DECIMAL(10,2), grade INT);
         INSERT INTO measures VALUES (1, 1, NULL, 'x', 1, 1), (2, 1, NULL, 'x', 1, 10), (3, 1, NULL, 'x', 1, 2), (4, 1, NULL, 'x', 1, NULL);
         CREATE TABLE papers (id TEXT, other TEXT, name TEXT);",
    );
    for (options, expected) in [
        (&[("$orderby", "grade")][..], serde_json::json!([[4, null], [1, "1"], [2, "10"], [3, "2"]])),
        (&[("$filter", "grade eq '10'")], serde_json::json!([[2, "10"]])),
        (&[("$filter", "grade in ('1','2','3')")], serde_json::json!([[1, "1"], [3, "2"]])),
        (&[("$filter", "grade ne '1'")], serde_json::json!([[2, "10"], [3, "2"], [4, null]])),
        (&[("$filter", "startswith(grade,'1')")], serde_json::json!([[1, "1"], [2, "10"]])),
    ] {
        let all = [options, &[("$select", "number,grade")]].concat();
        let json = served.json(&format!("/odata/shop/measures?{}", query(&all)));
        let rows = json["value"].as_array().unwrap().iter();
        let found: Vec<Json> = rows.map(|row| serde_json::json!([row["number"], row["grade"]])).collect();
        assert_eq!(Json::Array(found), expected, "{options:?}");
    }
}

/// GUIDs as programs write them into columns of texts and of GUIDs, in a table that nobody looks through.
#[test]
fn a_guid_is_found_however_it_is_written() {
    for declared in ["TEXT", "UNIQUEIDENTIFIER"] {
        let served = shop(&format!(
            "CREATE TABLE measures (no INTEGER PRIMARY KEY, ratio REAL, seen DATETIME, name TEXT, shift DECIMAL(10,2), grade INT);
             CREATE TABLE papers (id {declared} PRIMARY KEY, other {declared}, name TEXT);
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 5999)
             INSERT INTO papers SELECT CASE i % 6 WHEN 0 THEN printf('00c0ffee-0000-4000-8000-%012x', i) WHEN 1 THEN printf('00C0FFEE-0000-4000-8000-%012X', i)
               WHEN 2 THEN printf('{{00c0ffee-0000-4000-8000-%012x}}', i) WHEN 3 THEN printf('{{00C0FFEE-0000-4000-8000-%012X}}', i)
               WHEN 4 THEN printf('00c0ffee000040008000%012x', i) ELSE printf('00C0FFEE000040008000%012X', i) END, NULL, 'paper ' || i FROM n;
             UPDATE papers SET other = '{{00C0FFEE-0000-4000-8000-00000000000A}}' WHERE rowid = 7;"
        ));
        let guid = |n: usize| format!("00c0ffee-0000-4000-8000-{n:012x}");
        for n in [10, 11, 12, 13, 14, 15, 5_999] {
            let row = served.json(&format!("/odata/shop/papers({})", guid(n).to_uppercase()));
            assert_eq!((&row["id"], &row["name"]), (&guid(n).into(), &format!("paper {n}").into()), "{declared}");
        }
        let name = |filter: String| {
            let options = query(&[("$filter", &filter), ("$select", "name"), ("$orderby", "name")]);
            let json = served.json(&format!("/odata/shop/papers?{options}"));
            json["value"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["name"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            name(format!("id in ({},{},{})", guid(3), guid(4), guid(7_000))),
            ["paper 3", "paper 4"],
            "{declared}"
        );
        assert_eq!(name(format!("other eq {}", guid(10))), ["paper 6"], "{declared}");
        assert_eq!(name("other ne null".to_owned()), ["paper 6"], "{declared}");
        assert_eq!(name(format!("about_id eq {}", guid(10))), ["paper 6"], "{declared}");
        let row = served.json(&format!("/odata/shop/papers({})?$expand=about($select=name)", guid(6)));
        assert_eq!(row["about"]["name"], "paper 10", "{declared}");
        assert_eq!(paged(&served, "/odata/shop/papers?$select=id", 1_000).len(), 6_000, "{declared}");
    }
}

/// GUIDs as 16 bytes, which is how programs on MariaDB and MySQL keep them, in a table that nobody looks through.
#[test]
fn a_guid_is_found_where_it_is_kept_as_bytes() {
    for (kind, declared) in [("sqlite", "BLOB"), ("postgres", "BYTEA"), ("mysql", "BINARY(16)")] {
        let bytes = |n: u64| {
            // Their order is that of the bytes, and not that of the rows.
            let digits = format!("{:08x}00004000a000{n:012x}", n.wrapping_mul(2_654_435_761) & 0xffff_ffff);
            if kind == "postgres" { format!("'\\x{digits}'::bytea") } else { format!("x'{digits}'") }
        };
        let guid = |n: u64| format!("{:08x}-0000-4000-a000-{n:012x}", n.wrapping_mul(2_654_435_761) & 0xffff_ffff);
        let row = |n: u64| {
            let other = if n.is_multiple_of(3) { "NULL".to_owned() } else { bytes(n / 2) };
            format!("({}, {other}, 'paper {n}')", bytes(n))
        };
        let rows: Vec<String> = (0..6_000).map(row).collect();
        let statements = [
            format!("CREATE TABLE papers (id {declared} NOT NULL PRIMARY KEY, other {declared}, name VARCHAR(20))"),
            format!("INSERT INTO papers VALUES {}", rows.join(", ")),
        ];
        let measures =
            "CREATE TABLE measures (no INT PRIMARY KEY, ratio REAL, seen DATE, name TEXT, shift INT, grade INT)";
        let served = match kind {
            "sqlite" => shop(&[measures, &statements[0], &statements[1]].join("; ")),
            _ => {
                let Some(url) = servers::run(kind, "virtual_bytes", "", &statements) else { continue };
                let dir = tempfile::tempdir().unwrap();
                std::fs::write(dir.path().join("shop.url"), url).unwrap();
                let system = SHOP.replace("kind: sqlite", &format!("kind: {kind}"));
                let system = system.replace("{ file: shop.db }", "{ url: \"${file:shop.url}\" }");
                let integration = INTEGRATION.replace("measures", "papers").replace("measure\n", "paper\n");
                Served::with(
                    dir,
                    &[
                        ("entities/all.yaml", SHOP_ENTITIES),
                        ("systems/shop.yaml", &system),
                        ("systems/dynamics.yaml", SHOP_DYNAMICS),
                        ("integrations/papers.yaml", &integration.replace("laboratory", "shop")),
                    ],
                )
            }
        };
        let row = served.json(&format!("/odata/shop/papers({})?$expand=about($select=name)", guid(5_999)));
        assert_eq!((&row["name"], &row["other"]), (&"paper 5999".into(), &guid(2_999).into()), "{kind}");
        assert_eq!(row["about"]["name"], "paper 2999", "{kind}");
        let count = |filter: &str| {
            let answer =
                served.send("GET", &format!("/odata/shop/papers/$count?{}", query(&[("$filter", filter)])), "", "");
            assert_eq!(answer.status, 200, "{kind} {filter}: {}", answer.body);
            answer.body.parse::<u64>().unwrap()
        };
        let in_three = format!("id in ({},{},{})", guid(3), guid(4), guid(7_000));
        let above = (0..6_000).filter(|n| guid(*n) > guid(17)).count() as u64;
        for (filter, expected) in [
            (in_three, 2),
            (format!("other eq {}", guid(10)), 1),
            (format!("about_id eq {}", guid(10)), 1),
            (format!("other ne {}", guid(10)), 5_999),
            ("other eq null".to_owned(), 2_000),
            ("about_id ne null".to_owned(), 4_000),
            (format!("id gt {}", guid(17)), above),
        ] {
            assert_eq!(count(&filter), expected, "{kind}: {filter}");
        }
        for order in ["", "&$orderby=id%20desc", "&$orderby=other,id", "&$orderby=about_id%20desc"] {
            let found = paged(&served, &format!("/odata/shop/papers?$select=id,other,about_id{order}"), 700);
            let place = |row: &Json| {
                let text = |name: &str| row[name].as_str().map(str::to_owned);
                match order {
                    "" | "&$orderby=id%20desc" => text("id"),
                    _ => text("other"),
                }
            };
            let mut sorted = found.clone();
            sorted.sort_by_key(place);
            if order.ends_with("desc") {
                sorted.reverse();
            }
            assert_eq!(found.len(), 6_000, "{kind} {order}");
            assert_eq!(
                found.iter().map(place).collect::<Vec<_>>(),
                sorted.iter().map(place).collect::<Vec<_>>(),
                "{kind} {order}"
            );
            let ids: std::collections::HashSet<&str> = found.iter().filter_map(|row| row["id"].as_str()).collect();
            assert_eq!(ids.len(), 6_000, "{kind} {order}");
        }
    }
}

/// Local times around the hour that a clock in Berlin shows twice, of which the first is meant; and ends that never come.
#[test]
fn an_hour_that_is_there_twice_and_an_end_that_never_comes_have_one_place() {
    let statements = [
        "CREATE TABLE measures (no INT PRIMARY KEY, ratio REAL, seen TIMESTAMP, name TEXT, shift INT, shipped TIMESTAMPTZ)".to_owned(),
        "INSERT INTO measures SELECT i, 1, '2026-10-25 00:00'::timestamp + i * interval '3 minute', 'x', 1,
           (CASE WHEN i % 2 = 0 THEN '9999-12-31 00:00+00' ELSE '2026-01-01 00:00+00' END)::timestamptz FROM generate_series(1, 60) i".to_owned(),
    ];
    let Some(url) = servers::run("postgres", "virtual_clocks", "", &statements) else { return };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("laboratory.url"), url).unwrap();
    let system = "system: laboratory\nkind: postgres\nconnection: { url: \"${file:laboratory.url}\" }\ntime_zone: Europe/Berlin\nentities:\n  measure:\n    table: measures\n    dst: earlier\n    read: { number: no, ratio: ratio, seen: seen, name: name, shift: shift }\n  end:\n    table: measures\n    read: { number: no, until: shipped }\n";
    let end = "entity: end\nkey: number\nfields: { number: { type: whole_number }, until: { type: datetime } }\n";
    let dynamics =
        DYNAMICS.replace("entities: {", "entities: { end: { virtual_table: new_end, primary_name: number },");
    let served = Served::with(
        dir,
        &[
            ("entities/measure.yaml", ENTITY),
            ("entities/end.yaml", end),
            ("systems/laboratory.yaml", system),
            ("systems/dynamics.yaml", &dynamics),
            ("integrations/measures.yaml", INTEGRATION),
            (
                "integrations/ends.yaml",
                &INTEGRATION.replace("measures", "ends").replace("entity: measure", "entity: end"),
            ),
        ],
    );
    let numbers = |rows: &[Json]| rows.iter().map(|row| row["number"].as_u64().unwrap()).collect::<Vec<_>>();
    let all: Vec<u64> = (1..=60).collect();
    for (order, expected) in [("seen", all.clone()), ("seen desc", all.iter().rev().copied().collect())] {
        let found = paged(&served, &format!("/odata/laboratory/measures?{}", query(&[("$orderby", order)])), 7);
        assert_eq!(numbers(&found), expected, "{order}");
    }
    let filter = "seen ge 2026-10-25T00:00:00Z and seen lt 2026-10-25T00:06:00Z";
    let found = served.json(&format!("/odata/laboratory/measures?{}", query(&[("$filter", filter)])));
    assert_eq!(numbers(found["value"].as_array().unwrap()), [40, 41]);
    let (odd, even): (Vec<u64>, Vec<u64>) = all.iter().partition(|no| *no % 2 == 1);
    for (order, expected) in [("until", [odd.clone(), even.clone()]), ("until desc", [even, odd])] {
        let path = format!("/odata/laboratory/ends?{}", query(&[("$orderby", order), ("$select", "number")]));
        assert_eq!(numbers(&paged(&served, &path, 7)), expected.concat(), "{order}");
    }
}

/// Rows that share what should be their key: no page begins in the middle of them, and none passes over the rest.
#[test]
fn a_page_that_would_leave_out_rows_of_one_key_is_refused() {
    let served = shop(
        "CREATE TABLE measures (no INTEGER, ratio REAL, seen DATETIME, name TEXT, shift DECIMAL(10,2), grade INT);
         INSERT INTO measures VALUES (1, 1, NULL, 'a', 1, 1), (2, 2, NULL, 'b', 1, 1), (2, 2, NULL, 'c', 1, 1), (3, 3, NULL, 'd', 1, 1);
         CREATE TABLE papers (id TEXT, other TEXT, name TEXT);",
    );
    let ask = |size: usize| {
        let path = "/odata/shop/measures?$select=name";
        served.send("GET", path, &format!("Prefer: odata.maxpagesize={size}\r\n"), "")
    };
    let refused = ask(2);
    assert!(refused.status == 502 && refused.body.contains("share one key (`number`)"), "{}", refused.body);
    assert_eq!((ask(1).status, ask(3).status), (200, 200));
    assert_eq!(paged(&served, "/odata/shop/measures?$select=name", 3).len(), 4);
}
