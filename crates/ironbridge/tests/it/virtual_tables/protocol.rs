//! The service as clients meet it: forms, keys, refusals, hostile requests.

use serde_json::Value as Json;

use super::stock::{Served, keys, query};

const KOELN: &str = "32882b98-8a27-8249-98ef-891d30bb3a1b";

#[test]
fn the_service_describes_itself() {
    let served = Served::new("", "");
    for root in ["/odata", "/odata/", "/odata/warehouse", "/odata/warehouse/", "/odata/dynamics/"] {
        let json = served.json(root);
        let sets: Vec<&str> =
            json["value"].as_array().unwrap().iter().map(|set| set["name"].as_str().unwrap()).collect();
        assert_eq!(sets, ["items", "stock"], "{root}");
        assert!(json["@odata.context"].as_str().unwrap().ends_with("$metadata"));
    }
    let metadata = served.send("GET", "/odata/warehouse/$metadata", "Accept: application/xml\r\n", "");
    assert_eq!(metadata.status, 200);
    assert!(metadata.head.contains("odata-version: 4.0") && metadata.head.contains("content-type: application/xml"));
    for part in [
        "<EntityType Name=\"stock\">",
        "<PropertyRef Name=\"stockid\"/>",
        "<Property Name=\"stockid\" Type=\"Edm.Guid\" Nullable=\"false\"/>",
        "<Property Name=\"sku\" Type=\"Edm.String\" Nullable=\"false\" MaxLength=\"10\"/>",
        "<Property Name=\"price\" Type=\"Edm.Decimal\" Precision=\"28\" Scale=\"2\"/>",
        "<Property Name=\"due\" Type=\"Edm.DateTimeOffset\" Precision=\"0\"/>",
        "<NavigationProperty Name=\"item\" Type=\"Ironbridge.items\">",
        "<EntitySet Name=\"stock\" EntityType=\"Ironbridge.stock\">",
        "<Annotation Term=\"Capabilities.FilterFunctions\">",
        "<String>startswith</String>",
        "<PropertyValue Property=\"Countable\" Bool=\"true\"/>",
    ] {
        assert!(metadata.body.contains(part), "no {part} in {}", metadata.body);
    }
    // Personal fields are shown only where somebody said so.
    assert!(!metadata.body.contains("keeper"));
    assert_eq!(served.send("GET", "/odata/warehouse/$metadata", "Accept: application/json\r\n", "").status, 406);
}

#[test]
fn one_row_has_one_address_and_its_parts() {
    let served = Served::new("", "");
    let row = served.json(&format!("/odata/warehouse/stock({KOELN})"));
    assert_eq!(
        (&row["sku"], &row["warehouse"], &row["stockid"]),
        (&"SKU-000777".into(), &"Köln".into(), &KOELN.into())
    );
    assert_eq!(row["label"], "SKU-000777/Köln");
    assert!(row["@odata.context"].as_str().unwrap().ends_with("$metadata#stock/$entity"));
    for path in [format!("stock(stockid={KOELN})"), format!("stock('{KOELN}')"), format!("stock%28{KOELN}%29")] {
        assert_eq!(served.json(&format!("/odata/warehouse/{path}"))["sku"], "SKU-000777", "{path}");
    }
    let part = |path: &str| served.send("GET", &format!("/odata/warehouse/stock({KOELN})/{path}"), "", "");
    let property: Json = serde_json::from_str(&part("warehouse").body).unwrap();
    assert_eq!(property["value"], "Köln");
    let value = part("warehouse/$value");
    assert_eq!((value.status, value.body.as_str()), (200, "Köln"));
    assert_eq!(part("nothing").status, 404);
    let selected = served.json(&format!("/odata/warehouse/stock({KOELN})?$select=sku,price"));
    let names: Vec<&str> = selected.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["@odata.context", "sku", "price"]);
    let none = served.send("GET", "/odata/warehouse/stock(11111111-1111-8111-8111-111111111111)", "", "");
    assert_eq!(none.status, 404);
    assert!(none.body.contains("IB0909") && none.head.contains("x-request-id:"), "{}", none.body);
}

#[test]
fn a_reference_leads_to_the_other_row() {
    let served = Served::new("", "");
    let options = [("$filter", "sku eq 'SKU-000777'"), ("$expand", "item($select=name)"), ("$select", "sku,item_id")];
    let json = served.json(&format!("/odata/warehouse/stock?{}", query(&options)));
    let rows = json["value"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    for row in rows {
        match row["item_id"].as_str() {
            None => assert!(row["item"].is_null()),
            Some(id) => {
                let item = served.json(&format!("/odata/warehouse/items({id})"));
                assert_eq!(row["item"]["name"], item["name"]);
                assert_eq!(row["item"].as_object().unwrap().len(), 1);
            }
        }
    }
    let item = served.send("GET", &format!("/odata/warehouse/stock({KOELN})/item"), "", "");
    assert!(item.status == 200 || item.status == 204, "{}", item.body);
}

#[test]
fn what_is_wrong_is_refused_precisely() {
    let served = Served::new("", "");
    let long = format!("quantity in ({})", vec!["1"; 10_000].join(","));
    let longer = format!("quantity in ({})", vec!["1"; 2_001].join(","));
    let deep = format!("{}quantity eq 1{}", "(".repeat(2_000), ")".repeat(2_000));
    let nots = format!("{}active", "not ".repeat(1_500));
    // The place that a next link holds is one of its own question, and of no other.
    let next = served.json("/odata/warehouse/stock?$orderby=sku")["@odata.nextLink"].as_str().unwrap().to_owned();
    let token = next.split_once("$skiptoken=").unwrap().1.to_owned();
    let elsewhere = |options: &str| format!("{options}&$skiptoken={token}");
    assert_eq!(
        served.send("GET", &format!("/odata/warehouse/stock?{}", elsewhere("$orderby=sku%20asc")), "", "").status,
        200
    );
    for (filter, status) in [
        ("quantity", 400),
        ("nothing eq 1", 400),
        ("Quantity eq 1", 400),
        ("quantity eq 'x'", 400),
        ("note eq 5", 400),
        ("active gt 'x'", 400),
        ("quantity eq", 400),
        ("(quantity eq 1", 400),
        ("quantity eq 1)", 400),
        ("quantity eq 1 2", 400),
        ("note eq 'O'Brien'", 400),
        ("quantity = 1", 400),
        ("quantity eq 1; DROP TABLE stock", 400),
        ("contains(note)", 400),
        ("contains(note,5)", 400),
        ("nofunction(note)", 400),
        ("counted gt 2026-02-30T00:00:00Z", 400),
        ("quantity div 0 eq 1", 400),
        ("quantity in ()", 200),
        ("quantity in ('x')", 400),
        ("quantity in (1,", 400),
        ("stockid eq 5", 400),
        ("stockid eq 'no guid'", 400),
        ("note eq 'a\u{0}b'", 400),
        (&long, 400),
        (&longer, 400),
        (&deep, 400),
        (&nots, 400),
        ("note has Ns.Colour'Red'", 501),
        ("item/name eq 'Item 7'", 501),
        ("item eq 'Item 7'", 501),
        ("item eq null", 200),
        ("cast(quantity,Edm.String) eq '1'", 501),
        ("totaloffsetminutes(counted) eq 0", 501),
        ("counted add duration'PT1H' gt now()", 501),
        ("item/any(i:i/name eq 'x')", 501),
        // 10,000 rows are too many to look through for a field that only a formula knows.
        ("label eq 'SKU-000777/Köln'", 501),
    ] {
        let answer = served.stock(&[("$filter", filter), ("$top", "1")]);
        let short: String = filter.chars().take(60).collect();
        assert_eq!(answer.status, status, "{short}: {}", answer.body);
        assert!(answer.body.len() < 2_000, "{short}");
        if status != 200 {
            let json: Json = serde_json::from_str(&answer.body).unwrap();
            assert!(json["error"]["code"].as_str().unwrap().starts_with("IB09"), "{short}: {json}");
            assert!(!json["error"]["message"].as_str().unwrap().is_empty());
        }
    }
    for (query, status) in [
        ("$top=-1", 400),
        ("$top=x", 400),
        ("$skip=1.5", 400),
        ("$count=maybe", 400),
        ("$orderby=nothing", 400),
        ("$orderby=sku%20up", 400),
        ("$select=nothing", 400),
        ("$select=", 400),
        ("$expand=nothing", 400),
        ("$expand=item($filter=name%20eq%20'x')", 400),
        ("$expand=item($expand=x)", 501),
        ("$top=1&$top=2", 400),
        ("$unknown=1", 400),
        ("$compute=1", 501),
        ("$search=x", 501),
        ("$apply=aggregate($count%20as%20n)", 501),
        ("$deltatoken=x", 501),
        ("$levels=1", 400),
        ("$skiptoken=zz", 400),
        ("$skiptoken=5b315d", 400),
        (&elsewhere("$orderby=price"), 400),
        (&elsewhere("$orderby=sku&$filter=quantity%20gt%205"), 400),
        (&elsewhere("$orderby=sku%20desc"), 400),
        ("$format=atom", 406),
        ("$filter=%FF", 400),
        ("$filter=%C3%28", 400),
        ("$filter=%", 400),
        ("filter=quantity%20eq%201", 400),
        ("top=5", 400),
        ("custom=1&$top=1", 200),
        ("$top=1&code=secret", 200),
        ("$format=json&$top=1", 200),
    ] {
        let answer = served.send("GET", &format!("/odata/warehouse/stock?{query}"), "", "");
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
    }
    for (path, status) in [
        ("/odata/nothing/", 404),
        ("/odata/warehouse/Stock", 404),
        ("/odata/warehouse/stock(5)", 400),
        ("/odata/warehouse/stock()", 400),
        ("/odata/warehouse/stock(other=32882b98-8a27-8249-98ef-891d30bb3a1b)", 400),
        ("/odata/warehouse/$all", 501),
        ("/odata/warehouse/$batch", 405),
        ("/odata/warehouse/stock/$ref", 501),
        ("/odata/warehouse/stock/../../etc/passwd", 400),
        ("/odata/warehouse/%2e%2e/x", 400),
        ("/odata/warehouse/stock%00", 400),
        ("/odata/warehouse/'", 400),
    ] {
        let answer = served.send("GET", path, "", "");
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "MERGE"] {
        let answer = served.send(method, "/odata/warehouse/stock", "", "{}");
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.contains("allow: get"), "{}", answer.head);
    }
    let batch = served.send("GET", "/odata/warehouse/$batch", "", "");
    assert!(batch.status == 405 && batch.head.contains("allow: post"), "{}", batch.head);
    for (header, status) in [
        ("OData-MaxVersion: 4.0", 200),
        ("OData-MaxVersion: 4.01", 200),
        ("OData-MaxVersion: 3.0", 400),
        ("OData-Version: 4.0", 200),
        ("OData-Version: 2.0", 400),
        ("Accept: application/atom+xml", 406),
        ("Accept: application/json;odata.metadata=full", 200),
        ("Accept-Charset: iso-8859-1", 406),
    ] {
        let answer = served.send("GET", "/odata/warehouse/stock?$top=1", &format!("{header}\r\n"), "");
        assert_eq!(answer.status, status, "{header}: {}", answer.body);
        assert!(answer.head.contains("odata-version: 4.0"), "{header}");
    }
    // The source is as it was.
    let count: i64 = served.database().query_row("SELECT count(*) FROM stock", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 10_000);
}

#[test]
fn numbers_and_metadata_are_written_as_wanted() {
    let served = Served::new("", "");
    let ask = |accept: &str| {
        let path = format!("/odata/warehouse/stock({KOELN})");
        let answer = served.send("GET", &path, &format!("Accept: {accept}\r\n"), "");
        assert_eq!(answer.status, 200, "{accept}: {}", answer.body);
        serde_json::from_str::<Json>(&answer.body).unwrap()
    };
    let texts = ask("application/json;odata.metadata=minimal;IEEE754Compatible=true");
    assert!(texts["price"].is_string() && (texts["quantity"].is_string() || texts["quantity"].is_null()));
    let none = ask("application/json;odata.metadata=none");
    assert!(none.as_object().unwrap().keys().all(|name| !name.contains('@')));
    let full = ask("application/json;odata.metadata=full");
    assert_eq!(full["price@odata.type"], "#Decimal");
    assert_eq!(full["@odata.id"], format!("stock({KOELN})"));
}

#[test]
fn a_page_is_as_small_as_preferred_and_never_more_than_a_thousand() {
    let served = Served::new("", "");
    let ask = |prefer: &str| served.send("GET", "/odata/warehouse/stock?$select=sku,warehouse", prefer, "");
    let rows = |answer: &super::stock::Answer| keys(&serde_json::from_str(&answer.body).unwrap()).len();
    let small = ask("Prefer: odata.maxpagesize=10\r\n");
    assert_eq!(rows(&small), 10);
    assert!(small.head.contains("preference-applied: odata.maxpagesize=10"));
    assert_eq!(rows(&ask("Prefer: respond-async\r\nPrefer: odata.maxpagesize=10\r\n")), 10);
    assert_eq!(rows(&ask("Prefer: maxpagesize=5000\r\n")), 1_000);
    assert_eq!(rows(&ask("")), 1_000);
}

#[test]
fn two_keys_open_and_nothing_else_does() {
    let dir_key = "odata: { header: x-stock-key, keys: [\"${file:one.key}\", \"${file:two.key}\"] }\n";
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("one.key"), "first key").unwrap();
    std::fs::write(dir.path().join("two.key"), "second+key").unwrap();
    let served = Served::in_folder(dir, "", dir_key);
    let ask = |path: &str, header: &str| served.send("GET", path, header, "").status;
    assert_eq!(ask("/odata/warehouse/stock?$top=1", ""), 401);
    assert_eq!(ask("/odata/warehouse/stock?$top=1", "x-stock-key: wrong\r\n"), 401);
    assert_eq!(ask("/odata/warehouse/$metadata", ""), 401);
    assert_eq!(ask("/odata/warehouse/stock?$top=1", "x-stock-key: first key\r\n"), 200);
    assert_eq!(ask("/odata/warehouse/stock?$top=1&x-stock-key=second%2Bkey", ""), 200);
    // The link to the next page carries the key as it came.
    let first = served.send("GET", "/odata/warehouse/stock?x-stock-key=second%2Bkey", "", "");
    let next = serde_json::from_str::<Json>(&first.body).unwrap()["@odata.nextLink"].as_str().unwrap().to_owned();
    assert_eq!(ask(next.split_once(&served.address).unwrap().1, ""), 200);
}

/// What is not exposed is not there: not to be seen, not to be asked about, and not to be guessed by an order.
#[test]
fn fields_that_are_not_exposed_are_not_there_in_any_way() {
    let served = Served::new("expose: [sku, warehouse, quantity]\n", "");
    let metadata = served.send("GET", "/odata/warehouse/$metadata", "Accept: application/xml\r\n", "").body;
    let stock = metadata.split("<EntityType Name=\"stock\">").nth(1).unwrap().split("</EntityType>").next().unwrap();
    let names: Vec<&str> =
        stock.split("<Property Name=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(names, ["stockid", "sku", "warehouse", "quantity"]);
    let row = &served.json("/odata/warehouse/stock?$top=1")["value"][0];
    assert_eq!(row.as_object().unwrap().len(), 4, "{row}");
    for (option, value) in [
        ("$select", "price"),
        ("$filter", "price gt 50"),
        ("$filter", "keeper eq 'x'"),
        ("$filter", "quantity gt 5 and item_id ne null"),
        ("$orderby", "price"),
        ("$expand", "item"),
    ] {
        let answer = served.stock(&[(option, value)]);
        assert_eq!(answer.status, 400, "{option}={value}: {}", answer.body);
    }
    let said = crate::support::said(
        crate::support::binary().args(["-C", served.dir.path().to_str().unwrap(), "check"]).output().unwrap(),
    );
    for limit in ["no audit", "every row", "1,000 rows", "4 columns"] {
        assert!(said.err.contains(limit), "no `{limit}` in {said:#?}");
    }
}

#[test]
fn each_environment_has_its_own_keys_and_no_others() {
    let production = "odata: { keys: [\"${file:old.token}\", \"${file:new.token}\"] }\n";
    let test = "systems: { dynamics: { odata: { keys: [\"${file:test.one}\", \"${file:test.two}\"] } } }\n";
    let served = Served::of_environment("test", test, production);
    for (file, key) in [("test.one", "one of the test"), ("test.two", "two of the test")] {
        assert_eq!(std::fs::read_to_string(served.dir.path().join(file)).unwrap(), key);
    }
    let ask = |key: &str| {
        served.send("GET", "/odata/warehouse/stock?$top=1", &format!("x-ironbridge-key: {key}\r\n"), "").status
    };
    for (key, status) in
        [("one of the test", 200), ("two of the test", 200), ("old key", 401), ("new key", 401), ("", 401)]
    {
        assert_eq!(ask(key), status, "{key}");
    }
}

#[test]
fn a_change_in_the_warehouse_is_seen_at_once() {
    let served = Served::new("", "");
    let path = format!("/odata/warehouse/stock({KOELN})?$select=quantity");
    for quantity in [41, 42] {
        let sql = "UPDATE stock SET quantity = ? WHERE sku = 'SKU-000777' AND warehouse = 'Köln'";
        served.database().execute(sql, [quantity]).unwrap();
        assert_eq!(served.json(&path)["quantity"], quantity);
    }
}

#[test]
fn a_row_that_does_not_fit_fails_the_query_that_would_show_it() {
    let served = Served::new("", "");
    served.database().execute("UPDATE stock SET class = 'X' WHERE sku = 'SKU-000003'", []).unwrap();
    let ask = |select: &str| served.stock(&[("$filter", "sku eq 'SKU-000003'"), ("$select", select)]);
    let answer = ask("sku,class");
    assert_eq!(answer.status, 502, "{}", answer.body);
    assert!(answer.body.contains("IB0904") && answer.body.contains("SKU-000003"), "{}", answer.body);
    assert_eq!(ask("sku,quantity").status, 200);
}

#[test]
fn a_batch_of_reads_is_answered_in_one() {
    let served = Served::new("", "");
    let part = |method: &str, url: &str| {
        format!(
            "--b1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n{method} {url} HTTP/1.1\r\nAccept: application/json\r\n\r\n\r\n"
        )
    };
    let send = |body: &str, more: &str| {
        let headers = format!("Content-Type: multipart/mixed; boundary=b1\r\n{more}");
        served.send("POST", "/odata/warehouse/$batch", &headers, body)
    };
    let absolute = format!("http://{}/odata/warehouse/stock({KOELN})?$select=sku", served.address);
    let body = part("GET", "stock?$top=1&$select=sku")
        + &part("GET", "/odata/warehouse/items/$count")
        + &part("GET", &absolute)
        + "--b1--\r\n";
    let answer = send(&body, "");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body.matches("HTTP/1.1 200 OK").count(), 3, "{}", answer.body);
    assert!(answer.body.contains("SKU-000777") && answer.body.contains("\r\n200\r\n"));
    let failing = part("DELETE", "stock") + &part("GET", "items/$count") + "--b1--\r\n";
    let stopped = send(&failing, "");
    assert!(stopped.body.contains("HTTP/1.1 405") && !stopped.body.contains("HTTP/1.1 200"), "{}", stopped.body);
    let went_on = send(&failing, "Prefer: odata.continue-on-error\r\n");
    assert!(went_on.body.contains("HTTP/1.1 405") && went_on.body.contains("HTTP/1.1 200"), "{}", went_on.body);
    let json =
        r#"{"requests":[{"id":"1","method":"get","url":"items?$top=1"},{"id":"2","method":"GET","url":"nothing"}]}"#;
    let answer = served.send("POST", "/odata/warehouse/$batch", "Content-Type: application/json\r\n", json);
    let json: Json = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        (&json["responses"][0]["status"], &json["responses"][1]["status"]),
        (&200.into(), &404.into()),
        "{json}"
    );
    // Blanks that nobody encoded are a part of the address, and what stands behind a `?` is no place.
    let body = part("GET", "stock?$top=1&$select=sku,quantity&$orderby=quantity desc")
        + &part("GET", "stock/$count?$filter=active and quantity gt 400")
        + &part("GET", "items/$count?$filter=name ne 'https://contoso.example/a'")
        + "--b1--\r\n";
    let answer = send(&body, "");
    let counted = |sql: &str| served.database().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let most = counted("SELECT max(quantity) FROM stock");
    let active = counted("SELECT count(*) FROM stock WHERE active AND quantity > 400");
    for part in [format!("\"quantity\":{most}}}"), format!("\r\n\r\n{active}\r\n"), "\r\n\r\n200\r\n".to_owned()] {
        assert!(answer.body.contains(&part), "{part}: {}", answer.body);
    }
    // The link to the next page is an address that can be asked for by itself.
    let page = r#"{"requests":[{"id":"1","method":"GET","headers":{"prefer":"odata.maxpagesize=2"},"url":"stock?$filter=note eq 'Größe 4'&$select=sku,note"}]}"#;
    let page = served.send("POST", "/odata/warehouse/$batch", "Content-Type: application/json\r\n", page).body;
    let page: Json = serde_json::from_str(&page).unwrap();
    let next = page["responses"][0]["body"]["@odata.nextLink"].as_str().unwrap().split_once(&served.address).unwrap().1;
    assert_eq!(served.json(next)["value"][0]["note"], "Größe 4", "{next}");
    let encoded = served.send("GET", "/odata/warehouse/%24metadata", "Accept: application/xml\r\n", "");
    assert!(encoded.status == 200 && encoded.body.contains("<edmx:Edmx"), "{}", encoded.body);
    let headers = "Content-Type: multipart/mixed; boundary=b1\r\n";
    let body = part("GET", "items/$count") + "--b1--\r\n";
    assert_eq!(served.send("POST", "/odata/warehouse/%24batch", headers, &body).status, 200);
    for bad in ["", "no batch", "--b1\r\n", "--b1\r\nContent-Type: text/plain\r\n\r\nx\r\n--b1--"] {
        assert_eq!(send(bad, "").status, 400, "{bad}");
    }
    assert_eq!(served.send("POST", "/odata/warehouse/$batch", "Content-Type: text/plain\r\n", "x").status, 415);
}

/// Two fields of which one is called as the key of the row that the other refers to.
#[test]
fn no_two_properties_have_one_name() {
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE parts (no INT PRIMARY KEY, item INT, item_id TEXT); INSERT INTO parts VALUES (1, 7, 'x'), (2, NULL, 'y');
        CREATE TABLE items (no INT PRIMARY KEY, name TEXT); INSERT INTO items VALUES (7, 'Item 7');";
    rusqlite::Connection::open(dir.path().join("parts.db")).unwrap().execute_batch(sql).unwrap();
    let integration = |name: &str, entity: &str| {
        format!(
            "integration: {name}\npattern: virtual\nentity: {entity}\nfrom: shop\nto: dynamics\nowner: it\npurpose: The shop sees its parts.\n"
        )
    };
    let served = Served::with(
        dir,
        &[
            (
                "entities/all.yaml",
                "entity: part\nkey: number\nfields: { number: { type: whole_number }, item: { type: reference, entity: item }, item_id: { type: text } }\n---\nentity: item\nkey: number\nfields: { number: { type: whole_number }, name: { type: text } }\n",
            ),
            (
                "systems/shop.yaml",
                "system: shop\nkind: sqlite\nconnection: { file: parts.db }\nentities:\n  part: { table: parts, read: { number: no, item: item, item_id: item_id } }\n  item: { table: items, read: { number: no, name: name } }\n",
            ),
            (
                "systems/dynamics.yaml",
                "system: dynamics\nkind: dataverse\nconnection: { url: \"http://127.0.0.1:1\" }\nentities: { part: { virtual_table: new_part, primary_name: item_id }, item: { virtual_table: new_item, primary_name: name } }\n",
            ),
            ("integrations/parts.yaml", &integration("parts", "part")),
            ("integrations/items.yaml", &integration("items", "item")),
        ],
    );
    let json = served.json("/odata/shop/parts?$filter=item_id%20eq%20'x'&$expand=item($select=name)");
    let row = &json["value"][0];
    assert_eq!((&row["item_id"], &row["item"]["name"]), (&"x".into(), &"Item 7".into()), "{json}");
    let guid = row["item_guid"].as_str().unwrap();
    let found = served.json(&format!("/odata/shop/parts?$filter=item_guid%20eq%20{guid}&$select=number"));
    assert_eq!(found["value"], serde_json::json!([{ "number": 1 }]));
    let metadata = served.send("GET", "/odata/shop/$metadata", "", "").body;
    assert_eq!(metadata.matches("Property Name=\"item_id\"").count(), 1, "{metadata}");
}

/// A file that another program replaces as a whole, as those do that write what they export beside it and rename it.
#[test]
fn a_file_that_was_replaced_is_the_one_that_is_read() {
    let served = Served::new("", "");
    let count = || served.send("GET", "/odata/warehouse/items/$count", "", "").body;
    // Asked twice, so that it is also known to be a short question.
    assert_eq!((count(), count()), ("200".to_owned(), "200".to_owned()));
    let (file, other) = (served.dir.path().join("warehouse.db"), served.dir.path().join("other.db"));
    std::fs::copy(&file, &other).unwrap();
    rusqlite::Connection::open(&other).unwrap().execute("DELETE FROM items WHERE item_no >= 50", []).unwrap();
    std::fs::rename(&other, &file).unwrap();
    assert_eq!(count(), "50");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(served.send("GET", "/odata/warehouse/items/$count", "", "").status, 503);
}

/// A file in whose place another one is put that keeps as texts what was a number: nobody gets a failure, and no row is left
/// out.
#[test]
fn a_file_that_was_replaced_by_one_with_other_columns_is_looked_at_anew() {
    let served = Served::new("", "");
    let found = || {
        let options = query(&[("$filter", "quantity gt 400"), ("$select", "sku,warehouse"), ("$count", "true")]);
        served.json(&format!("/odata/warehouse/stock?{options}"))
    };
    let (before, _) = (found(), found());
    let (file, other) = (served.dir.path().join("warehouse.db"), served.dir.path().join("other.db"));
    std::fs::copy(&file, &other).unwrap();
    let sql = "CREATE TABLE made (sku TEXT, warehouse TEXT, quantity TEXT, price TEXT, note TEXT, active TEXT, counted_at TEXT, due TEXT,
          class TEXT, title TEXT, keeper TEXT, item_no TEXT);
        INSERT INTO made SELECT * FROM stock; DROP TABLE stock; ALTER TABLE made RENAME TO stock;
        DELETE FROM stock WHERE sku >= 'SKU-000900'";
    rusqlite::Connection::open(&other).unwrap().execute_batch(sql).unwrap();
    std::fs::rename(&other, &file).unwrap();
    let mut expected = keys(&before);
    expected.retain(|(sku, _)| sku.as_str() < "SKU-000900");
    let after = found();
    assert_eq!((keys(&after), &after["@odata.count"]), (expected.clone(), &expected.len().into()));
}

/// Rows whose key is somebody's address, which nobody asked to be shown: neither the link to the next page nor the reason
/// why a row cannot be shown holds it.
#[test]
fn a_key_that_is_personal_is_in_no_reason_and_no_link() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("people.db");
    let sql = "CREATE TABLE members (mail TEXT PRIMARY KEY, name TEXT); INSERT INTO members VALUES ('one@contoso.example', 'Ann'), ('two@contoso.example', 'Ben');";
    rusqlite::Connection::open(file).unwrap().execute_batch(sql).unwrap();
    let served = Served::with(
        dir,
        &[
            (
                "entities/member.yaml",
                "entity: member\nkey: mail\nfields: { mail: { type: text, max_length: 80, personal: true }, name: { type: text, max_length: 5 } }\n",
            ),
            (
                "systems/club.yaml",
                "system: club\nkind: sqlite\nconnection: { file: people.db }\ntime_zone: UTC\nentities: { member: { table: members, read: { mail: mail, name: name } } }\n",
            ),
            (
                "systems/dynamics.yaml",
                "system: dynamics\nkind: dataverse\nconnection: { url: \"http://127.0.0.1:1\" }\nentities: { member: { virtual_table: new_member, primary_name: name } }\n",
            ),
            (
                "integrations/members.yaml",
                "integration: members\npattern: virtual\nentity: member\nfrom: club\nto: dynamics\nowner: it\npurpose: The club sees its members.\n",
            ),
        ],
    );
    let (mut path, mut names) = ("/odata/club/members".to_owned(), Vec::new());
    for _ in 0..2 {
        let page = served.send("GET", &path, "Prefer: odata.maxpagesize=1\r\n", "");
        let json: serde_json::Value = serde_json::from_str(&page.body).unwrap();
        names.push(json["value"][0]["name"].as_str().unwrap().to_owned());
        let address: String = b"@contoso".iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!page.body.contains(&address) && !page.body.contains("@contoso"), "{}", page.body);
        if let Some(next) = json["@odata.nextLink"].as_str() {
            path = next.split_once(&served.address).unwrap().1.to_owned();
        }
    }
    assert_eq!(names, ["Ann", "Ben"]);
    let database = rusqlite::Connection::open(served.dir.path().join("people.db")).unwrap();
    database.execute_batch("UPDATE members SET name = 'far too long a name'").unwrap();
    let answer = served.send("GET", "/odata/club/members", "", "");
    assert_eq!(answer.status, 502, "{}", answer.body);
    assert!(answer.body.contains("a row of `members` cannot be shown: `name` has 19 characters"), "{}", answer.body);
    assert!(!answer.body.contains("contoso"), "{}", answer.body);
}

/// What `where:` asks of a column that nobody is shown is in no reason either.
#[test]
fn what_a_condition_reads_of_people_is_in_no_reason() {
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE members (no INT PRIMARY KEY, name TEXT, born TEXT); INSERT INTO members VALUES (1, 'Ann', 'in May');";
    rusqlite::Connection::open(dir.path().join("people.db")).unwrap().execute_batch(sql).unwrap();
    let served = Served::with(
        dir,
        &[
            (
                "entities/member.yaml",
                "entity: member\nkey: number\nfields: { number: { type: whole_number }, name: { type: text }, born: { type: text, personal: true } }\n",
            ),
            (
                "systems/club.yaml",
                "system: club\nkind: sqlite\nconnection: { file: people.db }\ntime_zone: UTC\nentities: { member: { table: members, where: '=Value(born) < 2000', read: { number: no, name: name, born: born } } }\n",
            ),
            (
                "systems/dynamics.yaml",
                "system: dynamics\nkind: dataverse\nconnection: { url: \"http://127.0.0.1:1\" }\nentities: { member: { virtual_table: new_member, primary_name: name } }\n",
            ),
            (
                "integrations/members.yaml",
                "integration: members\npattern: virtual\nentity: member\nfrom: club\nto: dynamics\nowner: it\npurpose: The club sees its members.\n",
            ),
        ],
    );
    let answer = served.send("GET", "/odata/club/members", "", "");
    assert_eq!(answer.status, 502, "{}", answer.body);
    assert!(answer.body.contains("`where:` of the mapping failed") && !answer.body.contains("May"), "{}", answer.body);
}
