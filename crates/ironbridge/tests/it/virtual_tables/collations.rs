//! Keys that a database orders otherwise than their characters: every row comes once, whatever the size of a page.

use super::servers;
use super::stock::{Served, keys};

/// In the collations of servers some of these are one letter, some are two, and spaces at the end are none.
const ROWS: [(&str, &str); 12] = [
    ("b", "x"),
    ("B ", "y"),
    ("ä", "x"),
    ("A", "y"),
    ("a", "Z"),
    ("Z", "x"),
    ("z", "w"),
    ("ß", "x"),
    ("ss", "y"),
    ("é|", "x"),
    ("É|", "y"),
    ("-1", "x"),
];

#[test]
fn every_row_comes_once_in_pages_of_any_size() {
    for kind in ["postgres", "mysql"] {
        let dir = tempfile::tempdir().unwrap();
        let Some(url) = servers::table(kind, "virtual_collations", &ROWS) else { continue };
        let served = Served::on_server(dir, kind, &url);
        let mut expected: Vec<(String, String)> =
            ROWS.iter().map(|(sku, warehouse)| ((*sku).to_owned(), (*warehouse).to_owned())).collect();
        expected.sort();
        for order in ["", "&$orderby=sku", "&$orderby=warehouse%20desc"] {
            for size in [1, 2, 5] {
                let mut path = format!("/odata/warehouse/stock?$select=sku,warehouse{order}");
                let mut found = Vec::new();
                for _ in 0..20 {
                    let answer = served.send("GET", &path, &format!("Prefer: odata.maxpagesize={size}\r\n"), "");
                    assert_eq!(answer.status, 200, "{kind}: {path}: {}", answer.body);
                    let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
                    found.extend(keys(&json));
                    match json["@odata.nextLink"].as_str() {
                        Some(next) => path = next.split_once(&served.address).unwrap().1.to_owned(),
                        None => break,
                    }
                }
                found.sort();
                assert_eq!(found, expected, "{kind}: pages of {size} {order}");
            }
        }
    }
}
