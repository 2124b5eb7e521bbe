//! Each type of each database: what the source decides is what the hub would decide over all rows.
//!
//! A filter that names a field of a formula that nobody can turn around is evaluated by the hub, and so is one beside it
//! behind an `or`: the same question with and without it has to have one answer.

use serde_json::Value as Json;

use super::servers;
use super::stock::{Served, query};

/// A field, its type, how its column is declared, and what is in it as SQL.
type Column = (&'static str, &'static str, &'static str, &'static [&'static str]);

const TEXTS: &[&str] = &[
    "'a'",
    "'A'",
    "'a '",
    "' a'",
    "''",
    "' '",
    "NULL",
    "'É'",
    "'é'",
    "'e\u{301}'",
    "'10'",
    "'9'",
    "'%_'",
    "'\u{a0}x'",
    "'\u{3000}y'",
];
const NUMBERS: &[&str] = &["1.5", "0.1", "NULL", "-0.3", "12.34", "100", "7.25", "-7"];
const FLOATS: &[&str] =
    &["1.5", "0.1", "NULL", "-0.3", "0.30000000000000004", "123456789012345.69", "2.5", "3.5", "-100"];
const GUIDS: &[&str] = &["'6f9619ff-8b86-d011-b42d-00cf4fc964ff'", "'6f9619ff-8b86-d011-b42d-00cf4fc964fa'", "NULL"];
const DAYS: &[&str] = &["'2026-11-23'", "'2024-02-29'", "NULL", "'9999-12-31'", "'0001-01-02'"];
const MOMENTS: &[&str] = &["'2026-11-23 10:00:00'", "'2026-07-23 23:30:59'", "NULL", "'1969-12-31 23:59:59'"];
const WHOLE: &[&str] = &["1", "-1", "0", "NULL", "2147483647", "-100", "7"];
const CODES: &[&str] = &["5", "-7", "10", "NULL", "9", "0"];

const SQLITE: &[Column] = &[
    ("whole", "whole_number", "INTEGER", &["1", "-1", "0", "NULL", "-100", "7", "''"]),
    ("price", "decimal", "DECIMAL(12,2)", &["1.5", "0.1", "NULL", "-0.3", "12.34", "'7.25'", "0.1 + 0.2", "''"]),
    ("ratio", "decimal", "REAL", &["1.5", "0.1", "NULL", "-0.3", "0.1 * 3", "1e20", "2.5"]),
    ("word", "text", "VARCHAR(40)", TEXTS),
    ("loose", "text", "TEXT COLLATE NOCASE", TEXTS),
    ("trailing", "text", "TEXT COLLATE RTRIM", TEXTS),
    ("doc", "text", "JSON", &["'{\"a\":1}'", "'5'", "'05'", "'5.0'", "NULL", "'[1]'"]),
    ("code", "text", "INTEGER", &["5", "-7", "10", "NULL", "9", "0", "''", "2.5"]),
    ("id_text", "text", "UUID", GUIDS),
    ("day_text", "text", "DATE", DAYS),
    ("active", "yes_no", "BOOLEAN", &["1", "0", "NULL", "'true'", "'n'", "''"]),
    ("day", "date", "DATE", DAYS),
    ("seen", "datetime", "DATETIME", MOMENTS),
    (
        "guid",
        "guid",
        "UUID",
        &["'{6F9619FF-8B86-D011-B42D-00CF4FC964FA}'", "X'6f9619ff8b86d011b42d00cf4fc964fb'", "NULL"],
    ),
];

const POSTGRES: &[Column] = &[
    ("whole", "whole_number", "int", WHOLE),
    ("of_numeric", "whole_number", "numeric(10,0)", WHOLE),
    ("price", "decimal", "numeric(12,2)", NUMBERS),
    ("dom", "decimal", "measured", NUMBERS),
    ("ratio", "decimal", "float8", FLOATS),
    ("short", "decimal", "real", NUMBERS),
    ("short_dom", "decimal", "shortly", NUMBERS),
    ("amount", "money", "money", NUMBERS),
    ("amount_dom", "money", "paid", NUMBERS),
    ("word", "text", "text", TEXTS),
    ("fixed", "text", "char(6)", &["'a'", "'a '", "'A'", "NULL", "''", "'  a'"]),
    ("loose", "text", "citext", TEXTS),
    ("mood", "text", "mood", &["'sad'", "'ok'", "'Happy'", "'10'", "'9'", "NULL"]),
    ("doc", "text", "jsonb", &["'{\"a\": 1}'", "'5'", "NULL"]),
    ("list", "text", "text[]", &["'{a,b}'", "NULL"]),
    ("code", "text", "int", CODES),
    ("code_text", "text", "numeric(10,0)", CODES),
    ("id_text", "text", "uuid", GUIDS),
    ("day_text", "text", "date", DAYS),
    ("active", "yes_no", "boolean", &["true", "false", "NULL"]),
    ("day", "date", "date", DAYS),
    ("seen", "datetime", "timestamp(0)", MOMENTS),
    ("zoned", "datetime", "timestamptz", MOMENTS),
    ("guid", "guid", "uuid", GUIDS),
];

const MYSQL: &[Column] = &[
    ("whole", "whole_number", "int", WHOLE),
    ("padded", "whole_number", "int(8) zerofill", &["1", "0", "NULL", "7", "100"]),
    ("made", "whole_number", "year", &["2026", "1999", "NULL", "2001", "2007"]),
    ("bits", "whole_number", "bit(8)", &["b'1'", "b'101'", "NULL", "b'110001'"]),
    ("of_decimal", "whole_number", "decimal(10,0)", WHOLE),
    ("price", "decimal", "decimal(12,2)", NUMBERS),
    ("ratio", "decimal", "double", FLOATS),
    ("places", "decimal", "double(12,2)", NUMBERS),
    ("short", "decimal", "float(10,2)", NUMBERS),
    ("word", "text", "varchar(40)", TEXTS),
    ("exact", "text", "varchar(40) COLLATE utf8mb4_nopad_bin", TEXTS),
    ("fixed", "text", "char(6)", &["'a'", "'a '", "'A'", "NULL", "''", "'  a'"]),
    ("mood", "text", "enum('sad','ok','Happy','10','9')", &["'sad'", "'ok'", "'Happy'", "'10'", "'9'", "NULL"]),
    ("several", "text", "set('a','b','C')", &["'a'", "'a,b'", "'C'", "NULL", "''"]),
    ("doc", "text", "json", &["'{\"a\": 1}'", "'5'", "NULL"]),
    ("code", "text", "int(5) zerofill", &["5", "10", "NULL", "0"]),
    ("year_text", "text", "year", &["2001", "1999", "NULL"]),
    ("bits_text", "text", "bit(8)", &["b'101'", "b'110001'", "NULL"]),
    ("id_text", "text", "uuid", GUIDS),
    ("day_text", "text", "date", DAYS),
    ("active", "yes_no", "tinyint(1)", &["true", "false", "NULL"]),
    ("flag", "yes_no", "bit(1)", &["b'1'", "b'0'", "NULL"]),
    ("day", "date", "date", DAYS),
    ("seen", "datetime", "datetime(6)", MOMENTS),
    ("guid", "guid", "uuid", GUIDS),
];

const ROWS: usize = 45;

/// The rows in a database of this kind; `None` without a server.
fn served(kind: &str, columns: &[Column]) -> Option<Served> {
    let mut statements = match kind {
        "postgres" => [
            "CREATE EXTENSION citext",
            "CREATE TYPE mood AS ENUM ('sad','ok','Happy','10','9')",
            "CREATE DOMAIN measured AS numeric(10,3)",
            "CREATE DOMAIN shortly AS real",
            "CREATE DOMAIN paid AS money",
        ]
        .map(str::to_owned)
        .to_vec(),
        _ => Vec::new(),
    };
    let declared: Vec<String> = columns.iter().map(|(name, _, ty, _)| format!("{name} {ty}")).collect();
    statements.push(format!("CREATE TABLE odd (no INT PRIMARY KEY, {})", declared.join(", ")));
    for row in 0..ROWS {
        // Each value stands beside others in each round.
        let value = |(at, column): (usize, &Column)| column.3[(row + row / column.3.len() * at) % column.3.len()];
        let values: Vec<&str> = columns.iter().enumerate().map(value).collect();
        statements.push(format!("INSERT INTO odd VALUES ({row}, {})", values.join(", ")));
    }
    let dir = tempfile::tempdir().unwrap();
    let connection = if kind == "sqlite" {
        let database = rusqlite::Connection::open(dir.path().join("odd.db")).unwrap();
        statements.iter().for_each(|sql| database.execute_batch(sql).unwrap());
        "{ file: odd.db }"
    } else {
        let url = servers::run(kind, "virtual_types", "", &statements)?;
        std::fs::write(dir.path().join("odd.url"), url).unwrap();
        "{ url: \"${file:odd.url}\" }"
    };
    let read: Vec<String> = columns.iter().map(|(name, ..)| format!("{name}: {name}")).collect();
    let system = format!(
        "system: odd\nkind: {kind}\nconnection: {connection}\ntime_zone: UTC\nentities:\n  row: {{ table: odd, read: {{ number: no, {}, name: '=\"row \" & no' }} }}\n",
        read.join(", ")
    );
    let field = |(name, ty, ..): &Column| match *ty {
        "money" => format!("{name}: {{ type: money, currency: EUR }}"),
        ty => format!("{name}: {{ type: {ty} }}"),
    };
    let fields: Vec<String> = columns.iter().map(field).collect();
    let entity = format!(
        "entity: row\nkey: number\nfields: {{ number: {{ type: whole_number }}, {}, name: {{ type: text }} }}\n",
        fields.join(", ")
    );
    let dynamics = "system: dynamics\nkind: dataverse\nconnection: { url: \"http://127.0.0.1:1\" }\nentities: { row: { virtual_table: new_row, primary_name: name } }\n";
    let integration = "integration: rows\npattern: virtual\nentity: row\nfrom: odd\nto: dynamics\nowner: it\npurpose: Sales see what is there.\n";
    Some(Served::with(
        dir,
        &[
            ("entities/row.yaml", &entity),
            ("systems/odd.yaml", &system),
            ("systems/dynamics.yaml", dynamics),
            ("integrations/rows.yaml", integration),
        ],
    ))
}

fn literal(value: &Json, ty: &str) -> String {
    match value {
        Json::String(text) if ty == "text" => format!("'{}'", text.replace('\'', "''")),
        Json::String(other) => other.clone(),
        other => other.to_string(),
    }
}

/// Questions about a field of which some rows have these values.
fn questions(field: &str, ty: &str, values: &[Json]) -> Vec<String> {
    let f = field;
    let mut all = vec![format!("{f} eq null"), format!("{f} ne null")];
    let literals: Vec<String> = values.iter().filter(|value| !value.is_null()).map(|v| literal(v, ty)).collect();
    for l in &literals {
        all.extend([format!("{f} eq {l}"), format!("{f} ne {l}"), format!("not ({f} eq {l})")]);
        if !["yes_no", "guid"].contains(&ty) {
            all.extend(["gt", "ge", "lt", "le"].map(|op| format!("{f} {op} {l}")));
            all.push(format!("not ({f} gt {l})"));
            all.push(format!("not ({f} le {l})"));
        }
        match ty {
            "text" => {
                let part = l.trim_matches('\'').chars().take(1).collect::<String>();
                all.extend(["contains", "startswith", "endswith"].map(|of| format!("{of}({f},'{part}')")));
                all.push(format!("not contains({f},{l})"));
                all.extend(["trim", "tolower", "toupper"].map(|of| format!("{of}({f}) eq {of}({l})")));
                all.push(format!("concat({f},'x') eq concat({l},'x')"));
                all.push(format!("indexof({f},'{part}') eq 0"));
            }
            "whole_number" | "decimal" | "money" => {
                all.extend(["round", "floor", "ceiling"].map(|of| format!("{of}({f}) eq {of}({l})")));
                all.extend(["round", "floor", "ceiling"].map(|of| format!("{of}({f}) eq {f}")));
                all.push(format!("-{f} eq -({l})"));
                all.push(format!("{f} add 0 eq {l}"));
                all.push(format!("{f} mul 3 eq {l} mul 3"));
                all.push(format!("{f} sub 0.1 gt {l}"));
                all.push(format!("{f} divby 2 lt {l}"));
            }
            "date" | "datetime" => all.push(format!("date({f}) ge {}", &l[..10])),
            _ => {}
        }
    }
    if let [a, b, ..] = literals.as_slice() {
        all.extend([format!("{f} in ({a},{b})"), format!("not ({f} in ({a},{b}))"), format!("{f} in ({a},null)")]);
    }
    match ty {
        "text" => {
            all.extend((0..3).map(|n| format!("length({f}) eq {n}")));
            all.extend((0..3).map(|n| format!("substring({f},{n},1) eq 'a'")));
            all.extend([format!("{f} eq ''"), format!("trim({f}) eq ''"), format!("contains({f},'')")]);
        }
        "whole_number" | "decimal" | "money" => {
            all.extend(
                ["mod 1 eq 0", "mod 100 eq 0", "mod 0.1 eq 0", "eq 1", "gt 1", "lt 7", "mul 0.1 eq 0.15"]
                    .map(|rest| format!("{f} {rest}")),
            );
        }
        "date" | "datetime" => {
            for of in ["year", "month", "day", "hour", "minute", "second"] {
                all.extend([0, 11, 23, 59, 2026].map(|n| format!("{of}({f}) eq {n}")));
            }
            all.extend([
                format!("time({f}) eq 00:00:00"),
                format!("fractionalseconds({f}) eq 0"),
                format!("{f} lt now()"),
            ]);
        }
        "yes_no" => all.extend([f.to_owned(), format!("not {f}")]),
        _ => {}
    }
    all
}

/// How many rows, and which; or why not.
fn answer(served: &Served, filter: &str) -> (u16, String) {
    let options = query(&[("$filter", filter), ("$select", "number"), ("$count", "true")]);
    let answer = served.send("GET", &format!("/odata/odd/rows?{options}"), "", "");
    if answer.status != 200 {
        return (answer.status, answer.body);
    }
    let json: Json = serde_json::from_str(&answer.body).unwrap();
    let mut rows: Vec<u64> =
        json["value"].as_array().unwrap().iter().map(|row| row["number"].as_u64().unwrap()).collect();
    rows.sort_unstable();
    (200, format!("{} {rows:?}", json["@odata.count"]))
}

/// The rows in an order, page by page.
fn ordered(served: &Served, options: &str, size: usize) -> Vec<u64> {
    let mut path = format!("/odata/odd/rows?{options}");
    let mut found = Vec::new();
    while found.len() <= ROWS {
        let answer = served.send("GET", &path, &format!("Prefer: odata.maxpagesize={size}\r\n"), "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let json: Json = serde_json::from_str(&answer.body).unwrap();
        found.extend(json["value"].as_array().unwrap().iter().map(|row| row["number"].as_u64().unwrap()));
        match json["@odata.nextLink"].as_str() {
            Some(next) => path = next.split_once(&served.address).unwrap().1.to_owned(),
            None => return found,
        }
    }
    panic!("{options}, {size} at once: {found:?}");
}

#[test]
fn what_sqlite_decides_is_what_the_hub_would() {
    decides("sqlite", SQLITE);
}

#[test]
fn what_postgres_decides_is_what_the_hub_would() {
    decides("postgres", POSTGRES);
}

#[test]
fn what_mysql_decides_is_what_the_hub_would() {
    decides("mysql", MYSQL);
}

fn decides(kind: &str, columns: &[Column]) {
    let Some(served) = served(kind, columns) else { return };
    let mut wrong = Vec::new();
    let mut asked = 0;
    for (field, ty, ..) in columns {
        let rows = served.json(&format!("/odata/odd/rows?$select={field}"));
        let mut values: Vec<Json> = Vec::new();
        for row in rows["value"].as_array().unwrap() {
            if !values.contains(&row[field]) {
                values.push(row[field].clone());
            }
        }
        for question in questions(field, ty, &values) {
            let (source, hub) =
                (answer(&served, &question), answer(&served, &format!("({question}) or name eq 'none'")));
            asked += 1;
            if source != hub || source.0 != 200 {
                wrong.push(format!("{question}: the source says {source:?}, and the hub {hub:?}"));
            }
        }
        for order in [field.to_string(), format!("{field} desc")] {
            let by = query(&[("$orderby", &order), ("$select", "number")]);
            let hub = ordered(&served, &format!("{by}&{}", query(&[("$filter", "name ne 'none'")])), 1_000);
            for size in [1, 4, 1_000] {
                asked += 1;
                let source = ordered(&served, &by, size);
                if source != hub {
                    wrong.push(format!("by {order}, {size} at once: the source says {source:?}, and the hub {hub:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{kind}: {} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(asked > 800, "{kind}: {asked}");
}

/// More rows than the hub would look through.
const MANY: usize = 5_050;

/// A table `codes` of many rows whose key is a text of the entity and something else in its column; `key` is the SQL of
/// the column's value for the row `i`.
fn coded(kind: &str, declared: &str, key: &str) -> Option<Served> {
    let number = if kind == "mysql" { "CAST(i AS CHAR)" } else { "CAST(i AS TEXT)" };
    let insert = format!(
        "INSERT INTO codes WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT {key}, {number} FROM n",
        MANY - 1
    );
    let mut statements = vec![format!("CREATE TABLE codes (code {declared} PRIMARY KEY, no VARCHAR(10))"), insert];
    if kind == "mysql" {
        statements.insert(0, "SET max_recursive_iterations = 100000".to_owned());
    }
    let dir = tempfile::tempdir().unwrap();
    let connection = if kind == "sqlite" {
        let database = rusqlite::Connection::open(dir.path().join("codes.db")).unwrap();
        statements.iter().for_each(|sql| database.execute_batch(sql).unwrap());
        "{ file: codes.db }"
    } else {
        let url = servers::run(kind, "virtual_codes", "", &statements)?;
        std::fs::write(dir.path().join("codes.url"), url).unwrap();
        "{ url: \"${file:codes.url}\" }"
    };
    let system = format!(
        "system: shop\nkind: {kind}\nconnection: {connection}\ntime_zone: UTC\nentities:\n  item: {{ table: codes, read: {{ code: code, number: no }} }}\n"
    );
    Some(Served::with(
        dir,
        &[
            (
                "entities/item.yaml",
                "entity: item\nkey: code\nfields: { code: { type: text }, number: { type: text } }\n",
            ),
            ("systems/shop.yaml", &system),
            (
                "systems/dynamics.yaml",
                "system: dynamics\nkind: dataverse\nconnection: { url: \"http://127.0.0.1:1\" }\nentities: { item: { virtual_table: new_item, primary_name: code } }\n",
            ),
            (
                "integrations/items.yaml",
                "integration: items\npattern: virtual\nentity: item\nfrom: shop\nto: dynamics\nowner: it\npurpose: Sales see what is there.\n",
            ),
        ],
    ))
}

/// Customers and articles have numbers that are texts to people, and numbers to their database.
#[test]
fn a_text_that_a_database_keeps_as_a_number_is_a_key_of_a_large_table() {
    const GUID: &str = "00000000-0000-0000-0000-000000000051";
    for (kind, declared, key, the_17th) in [
        ("sqlite", "INTEGER", "i * 3", "51"),
        ("sqlite", "DECIMAL(10,0)", "i * 3", "51"),
        ("postgres", "bigint", "i * 3", "51"),
        ("postgres", "numeric(10,0)", "i * 3", "51"),
        ("postgres", "uuid", "CAST(lpad(CAST(i * 3 AS text), 32, '0') AS uuid)", GUID),
        ("postgres", "date", "DATE '2020-01-01' + i * 3", "2020-02-21"),
        ("mysql", "INT(8) ZEROFILL", "i * 3", "51"),
        ("mysql", "DECIMAL(10,0)", "i * 3", "51"),
        ("mysql", "BIT(16)", "i * 3", "51"),
        ("mysql", "UUID", "LPAD(i * 3, 32, '0')", GUID),
        ("mysql", "DATE", "DATE '2020-01-01' + INTERVAL i * 3 DAY", "2020-02-21"),
    ] {
        let what = format!("{kind}, {declared}");
        let Some(served) = coded(kind, declared, key) else { continue };
        // By a GUID that nobody has seen before.
        let key = record::guid::hashed(&record::Key::of(&[the_17th.into()]).unwrap());
        let row = served.json(&format!("/odata/shop/items({key})"));
        assert_eq!((&row["code"], &row["number"]), (&the_17th.into(), &"17".into()), "{what}");
        let json = |options: &[(&str, &str)]| served.json(&format!("/odata/shop/items?{}", query(options)));
        let codes = |json: &Json| -> Vec<String> {
            json["value"].as_array().unwrap().iter().map(|row| row["code"].as_str().unwrap().to_owned()).collect()
        };
        let first = json(&[("$top", "2"), ("$count", "true")]);
        assert_eq!(first["@odata.count"], MANY, "{what}");
        // As a view of Dynamics orders them, and a page further.
        let sorted = json(&[("$orderby", "code"), ("$select", "code")]);
        let (page, next) = (codes(&sorted), sorted["@odata.nextLink"].as_str().unwrap());
        let more = codes(&served.json(next.split_once(&served.address).unwrap().1));
        let all = [page, more].concat();
        assert!(all.len() == 2_000 && all.is_sorted(), "{what}: {all:?}");
        let code = &all[1_234];
        let found = json(&[("$filter", &format!("code eq '{code}'"))]);
        assert_eq!(codes(&found), std::slice::from_ref(code), "{what}");
        let start = code.chars().take(code.len() - 1).collect::<String>();
        assert!(codes(&json(&[("$filter", &format!("startswith(code,'{start}')"))])).contains(code), "{what}");
        assert_eq!(codes(&json(&[("$filter", "code eq 'none'")])), Vec::<String>::new(), "{what}");
        assert_eq!(codes(&json(&[("$filter", &format!("code eq '0{code}'"))])), Vec::<String>::new(), "{what}");
    }
}

/// Bytes in a column of texts would be shown as a text that no filter finds.
#[test]
fn bytes_in_a_column_of_texts_or_numbers_are_an_error_and_no_text() {
    let Some(served) = coded("sqlite", "VARCHAR(10)", "'K' || i") else { return };
    let database = rusqlite::Connection::open(served.dir.path().join("codes.db")).unwrap();
    database.execute_batch("UPDATE codes SET no = X'3137' WHERE no = '17'").unwrap();
    let refused = served.send("GET", "/odata/shop/items?$filter=code%20eq%20'K17'", "", "");
    assert!(refused.status == 502 && refused.body.contains("this row holds bytes"), "{}", refused.body);
    assert_eq!(served.json("/odata/shop/items?$filter=code%20eq%20'K18'")["value"][0]["number"], "18");
}

const LINES: &str = "entity: line\nkey: [order, position]\nfields: { order: { type: reference, entity: order }, position: { type: text }, name: { type: text } }\n---\nentity: order\nkey: code\nfields: { code: { type: TYPE }, name: { type: text } }\n";

/// Lines of orders, whose key begins with the order's: a text, a number or a GUID that the column of the lines writes in its
/// own way. A row that was listed is found by its GUID, before and after somebody has seen it.
#[test]
fn a_key_that_holds_a_reference_is_found_however_its_column_writes_it() {
    const SMALL: &str = "6f9619ff-8b86-d011-b42d-00cf4fc964fa";
    let capital = format!("'{{{}}}'", SMALL.to_uppercase());
    for (ty, declared, value, shown) in [
        ("text", "INTEGER", "17", "17"),
        ("text", "UUID", capital.as_str(), SMALL),
        ("whole_number", "TEXT", "'017'", "17"),
        ("guid", "TEXT", capital.as_str(), SMALL),
    ] {
        for is_shown in [false, true] {
            let what = format!("{ty} in {declared}, {is_shown}");
            let dir = tempfile::tempdir().unwrap();
            let database = rusqlite::Connection::open(dir.path().join("shop.db")).unwrap();
            let tables = format!("CREATE TABLE orders (code {declared}, name TEXT); CREATE TABLE lines (code {declared}, position TEXT, name TEXT);
                INSERT INTO orders VALUES ({value}, 'first'); INSERT INTO lines VALUES ({value}, 'a|b', 'mine');");
            database.execute_batch(&tables).unwrap();
            let integration = |name: &str, entity: &str| {
                format!(
                    "integration: {name}\npattern: virtual\nentity: {entity}\nfrom: shop\nto: dynamics\nowner: it\npurpose: Sales see what is there.\n"
                )
            };
            let (lines, orders, entities) =
                (integration("lines", "line"), integration("orders", "order"), LINES.replace("TYPE", ty));
            let mut files = vec![
                ("entities/all.yaml", entities.as_str()),
                (
                    "systems/shop.yaml",
                    "system: shop\nkind: sqlite\nconnection: { file: shop.db }\ntime_zone: UTC\nentities:\n  line: { table: lines, read: { order: code, position: position, name: name } }\n  order: { table: orders, read: { code: code, name: name } }\n",
                ),
                (
                    "systems/dynamics.yaml",
                    "system: dynamics\nkind: dataverse\nconnection: { url: \"http://127.0.0.1:1\" }\nentities: { line: { virtual_table: new_line, primary_name: name }, order: { virtual_table: new_order, primary_name: name } }\n",
                ),
                ("integrations/lines.yaml", lines.as_str()),
            ];
            if is_shown {
                files.push(("integrations/orders.yaml", orders.as_str()));
            }
            let served = Served::with(dir, &files);
            let part = match ty {
                "text" => record::Value::text(shown),
                "guid" => record::Value::Guid(shown.parse().unwrap()),
                _ => record::Value::Int(shown.parse().unwrap()),
            };
            let guid = record::guid::hashed(&record::Key::of(&[part, "a|b".into()]).unwrap());
            let open = || served.json(&format!("/odata/shop/lines({guid})?$select=name"))["name"].clone();
            assert_eq!(open(), "mine", "{what}: before");
            let row = served.json("/odata/shop/lines")["value"][0].clone();
            assert_eq!(row["lineid"], guid.to_string(), "{what}");
            assert_eq!(open(), "mine", "{what}: after");
            let filter = if is_shown {
                format!("order_id eq {}", row["order_id"].as_str().unwrap())
            } else {
                format!("order eq '{shown}'")
            };
            let count = |filter: &str| {
                served.send("GET", &format!("/odata/shop/lines/$count?{}", query(&[("$filter", filter)])), "", "").body
            };
            assert_eq!((count(&filter), count(&format!("not ({filter})"))), ("1".to_owned(), "0".to_owned()), "{what}");
            if is_shown {
                let with = served.json("/odata/shop/lines?$expand=order($select=name)");
                assert_eq!(with["value"][0]["order"]["name"], "first", "{what}");
            }
        }
    }
}
