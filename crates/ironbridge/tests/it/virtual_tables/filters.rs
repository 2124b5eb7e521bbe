//! Every operator and function over 10,000 rows in each database: the rows, their order and their number are those of
//! SQL.

use super::stock::{Served, keys, query, sql_keys};

/// A filter, and the condition of SQL that it means.
const FILTERS: &[(&str, &str)] = &[
    ("sku eq 'SKU-000777'", "sku = 'SKU-000777'"),
    ("'SKU-000777' eq sku", "sku = 'SKU-000777'"),
    ("warehouse eq 'O''Hare'", "warehouse = 'O''Hare'"),
    ("warehouse eq 'São Paulo' and quantity gt 490", "warehouse = 'São Paulo' AND quantity > 490"),
    ("quantity eq 7", "quantity = 7"),
    ("quantity eq 7.0", "quantity = 7"),
    ("quantity eq 7e0", "quantity = 7"),
    ("quantity eq 7L", "quantity = 7"),
    ("price eq 12.34M", "price = 12.34"),
    ("item eq null", "item_no IS NULL"),
    ("null ne item and quantity eq 7", "item_no IS NOT NULL AND quantity = 7"),
    ("quantity eq -5", "quantity = -5"),
    ("quantity ne 7", "quantity <> 7 OR quantity IS NULL"),
    ("not (quantity eq 7)", "quantity <> 7 OR quantity IS NULL"),
    ("not(quantity eq 7)", "quantity <> 7 OR quantity IS NULL"),
    ("not (quantity ne 7)", "quantity = 7"),
    ("quantity gt 490", "quantity > 490"),
    ("490 lt quantity", "quantity > 490"),
    ("quantity ge 490", "quantity >= 490"),
    ("quantity lt 0", "quantity < 0"),
    ("quantity le 0", "quantity <= 0"),
    ("not (quantity gt 490)", "quantity <= 490 OR quantity IS NULL"),
    ("not (quantity le 490)", "quantity > 490 OR quantity IS NULL"),
    ("quantity eq null", "quantity IS NULL"),
    ("null eq quantity", "quantity IS NULL"),
    ("quantity ne null", "quantity IS NOT NULL"),
    ("not (quantity eq null)", "quantity IS NOT NULL"),
    ("quantity gt null", "0"),
    ("not (quantity gt null)", "1"),
    ("null", "0"),
    ("not null", "0"),
    ("null eq null", "1"),
    ("true", "1"),
    ("false", "0"),
    ("1 eq 1 and quantity eq 3", "quantity = 3"),
    ("quantity in (1,2,3)", "quantity IN (1,2,3)"),
    ("quantity in (1, 2, 3)", "quantity IN (1,2,3)"),
    ("quantity in (1)", "quantity = 1"),
    ("quantity in (1,null)", "quantity = 1 OR quantity IS NULL"),
    ("quantity not in (1,2,3)", "quantity NOT IN (1,2,3) OR quantity IS NULL"),
    ("sku not in ('SKU-000001') and warehouse eq 'Köln'", "sku <> 'SKU-000001' AND warehouse = 'Köln'"),
    ("class eq Contoso.Speed'fast'", "class = 'F'"),
    ("not (quantity in (1,2,3))", "quantity NOT IN (1,2,3) OR quantity IS NULL"),
    ("sku in ('SKU-000001','SKU-000002')", "sku IN ('SKU-000001','SKU-000002')"),
    ("warehouse in ('O''Hare','Köln') and quantity eq 3", "warehouse IN ('O''Hare','Köln') AND quantity = 3"),
    ("quantity eq 3 or quantity eq 4 and price gt 50", "quantity = 3 OR quantity = 4 AND price > 50"),
    ("(quantity eq 3 or quantity eq 4) and price gt 50", "(quantity = 3 OR quantity = 4) AND price > 50"),
    ("not (quantity eq 3 or note eq null)", "(quantity <> 3 OR quantity IS NULL) AND note IS NOT NULL"),
    ("not (quantity eq 3 and note eq null)", "(quantity <> 3 OR quantity IS NULL) OR note IS NOT NULL"),
    ("price eq 12.34", "price = 12.34"),
    ("price gt 99.95", "price > 99.95"),
    ("price ge 99.95 and price le 100", "price >= 99.95 AND price <= 100"),
    ("price lt 0.05", "price < 0.05"),
    ("price in (1.01,1.02)", "price IN (1.01,1.02)"),
    ("note eq 'fragile'", "note = 'fragile'"),
    ("note eq 'Fragile'", "note = 'Fragile'"),
    ("note ne 'fragile'", "note <> 'fragile' OR note IS NULL"),
    ("note eq null", "note IS NULL"),
    ("note ne null", "note IS NOT NULL"),
    ("note gt 'b'", "note > 'b'"),
    ("note lt 'b'", "note < 'b'"),
    ("not (note lt 'b')", "note >= 'b' OR note IS NULL"),
    ("note eq ''", "0"),
    ("note eq 'A & B + C'", "note = 'A & B + C'"),
    ("note eq 'back\\slash'", "note = 'back\\slash'"),
    ("note eq 'it''s'", "note = 'it''s'"),
    ("contains(note,'%')", "instr(note,'%') > 0"),
    ("contains(note,'_')", "instr(note,'_') > 0"),
    ("contains(note,'\\')", "instr(note,'\\') > 0"),
    ("contains(note,'[')", "instr(note,'[') > 0"),
    ("contains(note,'''')", "instr(note,'''') > 0"),
    ("contains(note,'')", "note IS NOT NULL"),
    ("contains(note,'RAG')", "0"),
    ("not contains(note,'rag')", "instr(note,'rag') = 0"),
    ("contains(note,'rag') eq false", "instr(note,'rag') = 0"),
    ("contains(note,'rag') eq true", "instr(note,'rag') > 0"),
    ("contains(note,'rag') ne true", "instr(note,'rag') = 0 OR note IS NULL"),
    ("contains(note,'rag') or quantity eq 1", "instr(note,'rag') > 0 OR quantity = 1"),
    ("contains('fragile',note)", "instr('fragile',note) > 0"),
    ("startswith(sku,'SKU-0001')", "substr(sku,1,8) = 'SKU-0001'"),
    ("startswith(warehouse,'100%')", "substr(warehouse,1,4) = '100%'"),
    ("startswith(note,'')", "note IS NOT NULL"),
    ("not startswith(note,'a')", "substr(note,1,1) <> 'a'"),
    ("endswith(sku,'99')", "substr(sku,-2) = '99'"),
    ("endswith(note,'off')", "substr(note,-3) = 'off'"),
    ("length(note) eq 7", "length(note) = 7"),
    ("length(warehouse) eq 4", "length(warehouse) = 4"),
    ("length(note) eq null", "note IS NULL"),
    ("indexof(note,'a') eq 2", "instr(note,'a') = 3"),
    ("indexof(note,'zz') eq -1", "note IS NOT NULL"),
    ("substring(sku,4) eq '000777'", "sku = 'SKU-000777'"),
    ("substring(sku,4,3) eq '001'", "substr(sku,5,3) = '001'"),
    ("substring(warehouse,1,1) eq 'ö'", "warehouse = 'Köln'"),
    ("tolower(sku) eq 'sku-000777'", "sku = 'SKU-000777'"),
    ("toupper(note) eq 'FRAGILE'", "note = 'fragile'"),
    ("toupper(warehouse) eq 'KÖLN'", "warehouse = 'Köln'"),
    ("tolower(note) eq tolower('FRAGILE')", "note = 'fragile'"),
    ("trim(note) eq 'spaced'", "note = ' spaced '"),
    ("concat(sku,warehouse) eq 'SKU-000777Köln'", "sku = 'SKU-000777' AND warehouse = 'Köln'"),
    ("concat(concat(sku,'/'),warehouse) eq 'SKU-000777/Köln'", "sku = 'SKU-000777' AND warehouse = 'Köln'"),
    ("contains(concat(sku,note),'7frag')", "instr(sku || note,'7frag') > 0"),
    ("quantity add 1 eq 8", "quantity = 7"),
    ("quantity sub 1 eq 8", "quantity = 9"),
    ("quantity mul 2 gt 990", "quantity * 2 > 990"),
    ("quantity div 100 eq 3", "quantity / 100 = 3"),
    ("quantity mod 100 eq 7", "quantity % 100 = 7"),
    ("-quantity gt 2", "-quantity > 2"),
    ("price mul 2 eq 24.68", "price = 12.34"),
    ("price add 0.2 eq 0.3", "price = 0.1"),
    ("price div 2 eq 6.17", "price = 12.34"),
    ("quantity add quantity mul 2 eq 21", "quantity = 7"),
    ("(quantity add quantity) mul 2 eq 28", "quantity = 7"),
    ("quantity gt price", "quantity > price"),
    ("not (quantity gt price)", "quantity <= price OR quantity IS NULL OR price IS NULL"),
    ("quantity eq price", "quantity = price"),
    ("round(price) eq 12", "round(price) = 12"),
    ("floor(price) eq 12", "price >= 12 AND price < 13"),
    ("ceiling(price) eq 12", "price > 11 AND price <= 12"),
    ("active", "active = 1"),
    ("not active", "active = 0"),
    ("active eq true", "active = 1"),
    ("active eq false", "active = 0"),
    ("active ne true", "active = 0 OR active IS NULL"),
    ("active eq null", "active IS NULL"),
    ("active and quantity gt 400", "active = 1 AND quantity > 400"),
    ("active or quantity gt 400", "active = 1 OR quantity > 400"),
    ("(quantity gt 400) eq active", "(coalesce(quantity > 400, 0)) = active"),
    ("counted gt 2026-11-20T00:00:00Z", "counted_at > '2026-11-20 00:00:00'"),
    ("counted ge 2026-11-20T02:00:00+02:00", "counted_at >= '2026-11-20 00:00:00'"),
    ("counted lt 2026-01-05T00:00:00.0000000Z", "counted_at < '2026-01-05 00:00:00'"),
    ("counted eq null", "counted_at IS NULL"),
    ("counted gt 2026-12-20", "counted_at >= '2026-12-20 00:00:00'"),
    ("year(counted) eq 2026", "counted_at IS NOT NULL"),
    ("month(counted) eq 11", "substr(counted_at,6,2) = '11'"),
    ("day(counted) eq 1", "substr(counted_at,9,2) = '01'"),
    ("hour(counted) eq 23", "substr(counted_at,12,2) = '23'"),
    ("minute(counted) eq 59", "substr(counted_at,15,2) = '59'"),
    ("second(counted) eq 30", "counted_at IS NOT NULL"),
    ("fractionalseconds(counted) eq 0", "counted_at IS NOT NULL"),
    ("date(counted) eq 2026-11-11", "substr(counted_at,1,10) = '2026-11-11'"),
    ("time(counted) lt 01:00:00", "substr(counted_at,12,8) < '01:00:00'"),
    ("counted lt now()", "counted_at < strftime('%Y-%m-%d %H:%M:%S','now')"),
    ("counted lt maxdatetime() and counted gt mindatetime()", "counted_at IS NOT NULL"),
    // What stands for no end is later than every moment that there is.
    ("counted lt 9999-12-31", "counted_at IS NOT NULL"),
    ("counted gt 9999-12-31", "0"),
    ("9999-12-31T23:59:59.9999999Z ge counted", "counted_at IS NOT NULL"),
    ("counted eq 9999-12-31T00:00:00Z", "0"),
    ("counted ne 9999-12-31T00:00:00Z", "1"),
    ("not (counted lt 9999-12-31T23:59:59Z)", "counted_at IS NULL"),
    ("counted in (9999-12-31T00:00:00Z,null)", "counted_at IS NULL"),
    ("due lt 9999-12-31T00:00:00Z", "due IS NOT NULL"),
    ("due le 9999-12-31T23:59:59Z", "due IS NOT NULL"),
    ("due ge 9999-12-31T00:00:00Z", "0"),
    ("due in (9999-12-31T00:00:00Z,2026-03-15T00:00:00Z)", "due = '2026-03-15'"),
    ("due eq 2026-03-15", "due = '2026-03-15'"),
    ("due eq 2026-03-15T00:00:00Z", "due = '2026-03-15'"),
    ("due eq 2026-03-15T10:00:00Z", "0"),
    ("due gt 2026-12-20T10:00:00Z", "due > '2026-12-20'"),
    ("due ge 2026-12-20T10:00:00Z", "due > '2026-12-20'"),
    ("due lt 2026-01-03T10:00:00Z", "due <= '2026-01-03'"),
    ("due le 2026-01-03", "due <= '2026-01-03'"),
    ("month(due) eq 2 and day(due) eq 3", "substr(due,6) = '02-03'"),
    ("class eq 'fast'", "class = 'F'"),
    ("class ne 'fast'", "class <> 'F'"),
    ("class in ('fast','dead')", "class IN ('F','D')"),
    ("class eq 'unknown'", "0"),
    ("class eq null", "class IS NULL"),
    ("not (class eq 'slow')", "class <> 'S'"),
    ("title eq 'Title 7'", "title = '  Title  7 '"),
    ("startswith(title,'Title 4')", "title LIKE '  Title  4%'"),
    ("title ne 'Title 7'", "title <> '  Title  7 '"),
    ("item_id eq null", "item_no IS NULL"),
    ("item_id ne null", "item_no IS NOT NULL"),
    ("item_id eq 00000000-0000-8002-8000-000000000007", "item_no = 7"),
    ("item_id ne 00000000-0000-8002-8000-000000000007", "item_no <> 7 OR item_no IS NULL"),
    ("item_id in (00000000-0000-8002-8000-000000000007,00000000-0000-8002-8000-000000000008)", "item_no IN (7,8)"),
    ("item_id eq 11111111-1111-4111-8111-111111111111", "0"),
    ("stockid eq 32882b98-8a27-8249-98ef-891d30bb3a1b", "sku = 'SKU-000777' AND warehouse = 'Köln'"),
    (
        "stockid ne 32882b98-8a27-8249-98ef-891d30bb3a1b and sku eq 'SKU-000777'",
        "sku = 'SKU-000777' AND warehouse <> 'Köln'",
    ),
    (
        "stockid in (32882b98-8a27-8249-98ef-891d30bb3a1b,00000000-0000-8000-8000-000000000000)",
        "sku = 'SKU-000777' AND warehouse = 'Köln'",
    ),
    ("stockid eq '32882b98-8a27-8249-98ef-891d30bb3a1b'", "sku = 'SKU-000777' AND warehouse = 'Köln'"),
    ("stockid eq null", "0"),
    ("((((((((((quantity eq 7))))))))))", "quantity = 7"),
    ("$it/quantity eq 7", "quantity = 7"),
    // What the source cannot decide is decided here, over the rows that it can tell.
    ("label eq 'SKU-000777/Köln' and startswith(sku,'SKU-0007')", "sku = 'SKU-000777' AND warehouse = 'Köln'"),
    (
        "contains(label,'7/K') and class eq 'fast' and active",
        "sku LIKE '%7' AND warehouse = 'Köln' AND class = 'F' AND active = 1",
    ),
];

#[test]
fn filters_let_through_what_sql_does() {
    for (kind, served) in Served::each("virtual_filters") {
        filters(kind, &served);
    }
}

fn filters(kind: &str, served: &Served) {
    let database = served.database();
    let mut checks = 0;
    for (filter, condition) in FILTERS {
        let expected = sql_keys(&database, &format!("WHERE {condition} ORDER BY sku, warehouse"));
        let options = [("$filter", *filter), ("$select", "sku,warehouse"), ("$count", "true"), ("$top", "1000")];
        let json = served.json(&format!("/odata/warehouse/stock?{}", query(&options)));
        assert_eq!(json["@odata.count"], expected.len(), "{kind}: {filter}");
        assert_eq!(keys(&json), expected[..expected.len().min(1000)], "{kind}: {filter}");
        let path = format!("/odata/warehouse/stock/$count?{}", query(&[("$filter", *filter)]));
        let count = served.send("GET", &path, "", "");
        assert_eq!((count.status, count.body), (200, expected.len().to_string()), "{kind}: {filter}");
        checks += 2;
    }
    assert!(checks > 300, "only {checks} checks");
}

#[test]
fn rows_come_in_the_order_that_was_asked_for_and_a_total_one() {
    for (kind, served) in Served::each("virtual_orders") {
        orders(kind, &served);
    }
}

fn orders(kind: &str, served: &Served) {
    let database = served.database();
    for (order, sql) in [
        ("", "sku, warehouse"),
        ("sku", "sku, warehouse"),
        ("sku desc", "sku DESC, warehouse"),
        ("quantity", "quantity, sku, warehouse"),
        ("quantity desc", "quantity DESC, sku, warehouse"),
        ("quantity asc,price desc", "quantity, price DESC, sku, warehouse"),
        ("note", "note, sku, warehouse"),
        ("note desc", "note DESC, sku, warehouse"),
        ("price desc", "price DESC, sku, warehouse"),
        ("counted desc", "counted_at DESC, sku, warehouse"),
        ("due,warehouse desc", "due, warehouse DESC, sku"),
        ("active desc", "active DESC, sku, warehouse"),
        // By the names of a choice: dead, fast, slow.
        ("class", "instr('DFS', class), sku, warehouse"),
        ("class desc,quantity", "instr('DFS', class) DESC, quantity, sku, warehouse"),
        ("length(note) desc", "length(note) DESC, sku, warehouse"),
        ("quantity mod 10,sku", "quantity % 10, sku, warehouse"),
    ] {
        for (top, skip) in [(50, 0), (50, 9_980), (7, 333), (0, 5)] {
            let expected = sql_keys(&database, &format!("ORDER BY {sql} LIMIT {top} OFFSET {skip}"));
            let (top, skip) = (top.to_string(), skip.to_string());
            let mut options = vec![("$top", top.as_str()), ("$skip", skip.as_str())];
            if !order.is_empty() {
                options.push(("$orderby", order));
            }
            let json = served.json(&format!("/odata/warehouse/stock?{}", query(&options)));
            assert_eq!(keys(&json), expected, "{kind}: {order} {top} {skip}");
        }
    }
}

#[test]
fn pages_go_on_after_the_last_row_whatever_the_order() {
    for (kind, served) in Served::each("virtual_pages") {
        pages(kind, &served);
    }
}

fn pages(kind: &str, served: &Served) {
    let database = served.database();
    for (order, sql) in [
        ("sku", "sku, warehouse"),
        ("quantity desc", "quantity DESC, sku, warehouse"),
        ("note", "note, sku, warehouse"),
        ("note desc,price", "note DESC, price, sku, warehouse"),
        ("counted", "counted_at, sku, warehouse"),
        ("price,active desc", "price, active DESC, sku, warehouse"),
        ("class desc", "instr('DFS', class) DESC, sku, warehouse"),
    ] {
        let expected =
            sql_keys(&database, &format!("WHERE quantity < 200 OR quantity IS NULL ORDER BY {sql} LIMIT 2500"));
        let options = [
            ("$orderby", order),
            ("$filter", "not (quantity ge 200)"),
            ("$top", "2500"),
            ("$count", "true"),
            ("$select", "sku,warehouse"),
        ];
        let mut path = format!("/odata/warehouse/stock?{}", query(&options));
        let (mut found, mut pages) = (Vec::new(), 0);
        let count: i64 = database
            .query_row("SELECT count(*) FROM stock WHERE quantity < 200 OR quantity IS NULL", [], |row| row.get(0))
            .unwrap();
        loop {
            let json = served.json(&path);
            assert_eq!(json["@odata.count"], count, "{kind}: {order}");
            found.extend(keys(&json));
            pages += 1;
            match json["@odata.nextLink"].as_str() {
                Some(next) => path = next.split_once(&served.address).unwrap().1.to_owned(),
                None => break,
            }
        }
        assert_eq!(pages, 3, "{kind}: {order}");
        assert_eq!(found, expected, "{kind}: {order}");
    }
}
