//! A page of plain columns is written from the rows as the source has them, and any other one through its mapping: whatever
//! stands in the rows, nobody sees which way it was.

use super::stock::{Answer, Served};

const PLAIN: &str = "sku,warehouse,quantity,price,note,active,counted,due";

/// What else can stand in a column of SQLite, as SQL. *Shape*: the last of each are what no mapping takes.
const ODD: [(&str, &[&str], &[&str]); 6] = [
    (
        "quantity",
        &["NULL", "0", "-7", "9223372036854775807", "-9223372036854775808", "12.0", "'7'", "''", "' '"],
        &["'n/a'", "1.5", "x'3132'"],
    ),
    (
        "price",
        &[
            "NULL",
            "0",
            "5",
            "-0.05",
            "0.1",
            "12.10",
            "1234567.89",
            "99999999.99",
            "'12.50'",
            "'12345678901234567890.12'",
            "-5.0",
            "''",
        ],
        &["1.005", "'free'", "1e300"],
    ),
    (
        "note",
        &[
            "NULL",
            "''",
            "' '",
            "'a\"b'",
            "'back\\slash'",
            "char(10) || 'x' || char(9) || char(13) || char(1) || char(31)",
            "'Zoë 東京 😀'",
            "char(127) || char(160)",
            "'12345678'",
            "'1234567\"'",
            "'\"2345678901234567'",
            "12",
            "1.5",
            "x'6162'",
            "printf('%.*c', 200, 'x')",
            "printf('%.*c', 199, 'x') || 'ß'",
        ],
        &["printf('%.*c', 201, 'x')", "CAST(x'ff' AS TEXT)", "CAST(x'61c3' AS TEXT)"],
    ),
    ("active", &["NULL", "0", "1", "'true'", "'no'"], &["2", "'perhaps'"]),
    (
        "counted_at",
        &[
            "NULL",
            "'2026-03-01'",
            "'2026-03-01 10:05'",
            "'2026-03-01T10:05:06.25+02:00'",
            "1795000000",
            "1795000000000",
            "''",
        ],
        &["'yesterday'", "1.5"],
    ),
    (
        "due",
        &[
            "NULL",
            "'2026-11-23'",
            "' 2026-11-23 '",
            "'2026-11-23 00:00:00'",
            "'0001-01-01'",
            "'9999-12-31'",
            "1794960000",
            "''",
        ],
        &["'2026-02-30'", "'23.11.2026'", "'2026-11-23 10:00:00'", "1795000000", "x'00'"],
    ),
];

/// Twenty rows, from the place `skip` on.
fn page(served: &Served, skip: usize, select: &str, accept: &str) -> Answer {
    let path = format!("/odata/warehouse/stock?$top=20&$skip={skip}&$select={select}");
    served.send("GET", &path, &format!("Accept: {accept}\r\n"), "")
}

/// The rows of an answer without `label`, which is computed; the reason where there are none.
fn rows(answer: &Answer) -> String {
    let body = match answer.status {
        200 => answer.body.split_once("\"value\":").unwrap().1,
        // The id of a request is its own.
        _ => answer.body.split("\"innererror\"").next().unwrap(),
    };
    let mut rows = String::new();
    for (at, part) in body.split(",\"label\":\"").enumerate() {
        rows.push_str(if at == 0 { part } else { part.split_once('"').unwrap().1 });
    }
    rows
}

#[test]
fn whatever_stands_in_a_column_both_ways_write_the_same() {
    let served = Served::new("", "");
    let mut database = served.database();
    let change = database.transaction().unwrap();
    let mut seed = 3u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for row in 1..=1_200 {
        for (column, good, bad) in ODD {
            let value = match random(200) {
                0 => bad[random(bad.len())],
                1..100 => good[random(good.len())],
                _ => continue,
            };
            let sql = format!("UPDATE stock SET {column} = {value} WHERE rowid = {row}");
            change.execute(&sql, []).unwrap();
        }
    }
    change.commit().unwrap();
    let styles = [
        "application/json",
        "application/json;odata.metadata=full",
        "application/json;odata.metadata=none;IEEE754Compatible=true",
    ];
    let (mut good, mut bad) = (0, 0);
    for skip in (0..1_200).step_by(20) {
        for accept in styles {
            let short = page(&served, skip, PLAIN, accept);
            let long = page(&served, skip, &format!("{PLAIN},label"), accept);
            assert_eq!((short.status, rows(&short)), (long.status, rows(&long)), "from {skip} as {accept}");
            match short.status {
                200 => good += 1,
                _ => bad += 1,
            }
        }
    }
    assert!(good > 40 && bad > 20, "{good} pages and {bad} refusals");
}

/// Whoever scrolls sees every row once, also where somebody writes in between: a page begins after as many rows as there
/// are now.
#[test]
fn a_page_begins_where_it_does_now() {
    let served = Served::new("", "");
    let database = served.database();
    let mut statement = database.prepare("SELECT sku || '/' || warehouse FROM stock ORDER BY sku, warehouse").unwrap();
    let mut all =
        || -> Vec<String> { statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect() };
    let found = |skip: usize| {
        let page = served.json(&format!("/odata/warehouse/stock?$top=50&$skip={skip}&$select=sku,warehouse"));
        let rows = page["value"].as_array().unwrap().iter();
        rows.map(|row| format!("{}/{}", row["sku"].as_str().unwrap(), row["warehouse"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    for round in 0..3 {
        let now = all();
        for skip in
            (0..=now.len()).step_by(50).filter(|skip| skip % 150 == 0 || *skip > 9_000).chain([49, 1_001, 9_999, 500])
        {
            assert_eq!(found(skip), &now[now.len().min(skip)..now.len().min(skip + 50)], "round {round} from {skip}");
        }
        database.execute_batch(&format!("DELETE FROM stock WHERE sku < 'SKU-{:06}'; INSERT INTO stock (sku, warehouse) VALUES ('SKU-001000', 'A{round}')", round * 7 + 3)).unwrap();
        assert_eq!(found(4_500), &all()[4_500..4_550], "after a change");
    }
}
