//! What nobody means well by: each is refused with its reason, costs little, and never becomes SQL.

use serde_json::Value as Json;

use super::stock::{Served, query};

/// A request of its own, with the path as it is.
fn get(path: &[u8]) -> Vec<u8> {
    let end = b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".as_slice();
    [b"GET ".as_slice(), path, end].concat()
}

/// A batch of one read.
fn batch(url: &str) -> Vec<u8> {
    let part = format!("--b\r\nContent-Type: application/http\r\n\r\nGET {url} HTTP/1.1\r\n\r\n\r\n--b--\r\n");
    let length = part.len();
    format!(
        "POST /odata/warehouse/$batch HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: multipart/mixed; boundary=b\r\nContent-Length: {length}\r\n\r\n{part}"
    )
    .into_bytes()
}

fn list(of: &str, elements: usize) -> String {
    vec![of; elements].join(",")
}

#[test]
fn bytes_that_are_no_text_and_addresses_that_are_none_are_refused() {
    let served = Served::new("", "");
    let stock = b"/odata/warehouse/stock".as_slice();
    let filter = |value: &[u8]| get(&[stock, b"?$filter=", value].concat());
    for (request, status) in [
        (filter(b"sku%20eq%20'%FF%FE'"), 400),
        (filter(b"sku%20eq%20'%C0%AF'"), 400),
        (filter(b"sku%20eq%20'%ED%A0%80'"), 400),
        (filter(b"sku%20eq%20'%00'"), 400),
        (filter(b"sku%20eq%20'%zz'"), 400),
        // Text that was not encoded, and is text.
        (filter("warehouse%20eq%20'K\u{f6}ln'%20and%20quantity%20lt%200".as_bytes()), 200),
        (get(b"/odata/warehouse/stock%ff"), 400),
        (get(b"/odata/warehouse/%f0%28%8c%28"), 400),
        (get(b"/odata//warehouse//stock"), 200),
        (get(b"/odata/warehouse/stock(%27%27)"), 400),
        (get(b"/odata/warehouse/stock(32882b98-8a27-8249-98ef-891d30bb3a1b)/sku/$value/x"), 404),
        (get(b"/odata/warehouse/stock;jsessionid=1"), 400),
        (get(b"http://elsewhere.example/odata/warehouse/stock/$count"), 200),
        (get(b"/odata/warehouse/stock?$filter"), 400),
        (get(b"/odata/warehouse/stock?%24top=1&$top=2"), 400),
        (get(b"/odata/warehouse/stock?$Top=1"), 400),
        (get(b"/odata/warehouse/stock?$top=99999999999999999999"), 400),
        (get(b"/odata/warehouse/stock?$skip=18446744073709551615&$top=1"), 200),
    ] {
        let (found, answer) = served.raw(&request);
        let shown = String::from_utf8_lossy(&request).into_owned();
        let reason = answer.contains("\"code\":\"IB09") || found == 200;
        assert!(found == status && reason, "{shown}\n{answer:.2000}");
    }
    // What is no HTTP at all is refused before anybody reads it, and for a reason as well.
    let no_address = filter(b"sku%20eq%20'\xff\xfe'");
    let too_long = get(&[stock, b"?x=", "x".repeat(70_000).as_bytes()].concat());
    let no_line = b"GET\r\n\r\n".to_vec();
    for (request, expected, reason) in
        [(no_address, 400, "%XX"), (too_long, 414, "longer than 64 KB"), (no_line, 400, "no request of HTTP")]
    {
        let (status, answer) = served.raw(&request);
        let id = answer.split("x-request-id: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap_or("none");
        let is_whole = answer.contains("\"code\":\"IB0901\"") && answer.matches(id).count() == 2;
        assert!(status == expected && answer.contains(reason) && is_whole, "{answer:.2000}");
    }
}

#[test]
fn what_is_too_much_is_refused_and_costs_nothing_that_stays() {
    let served = Served::new("", "");
    let parts = |many: usize| (0..many).map(|n| format!("quantity eq {n}")).collect::<Vec<_>>().join(" or ");
    let filters = [
        format!("quantity in ({})", list("1", 10_000)),
        format!("not (quantity in ({}))", list("7", 10_000)),
        format!("{}quantity eq 1{}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("{}active", "not ".repeat(5_000)),
        format!("{}active{}", "not (".repeat(5_000), ")".repeat(5_000)),
        format!("quantity eq {}1", "-".repeat(5_000)),
        format!("{}note{} eq 'x'", "tolower(".repeat(2_000), ")".repeat(2_000)),
        format!("{}note{} eq 'x'", "concat('x',".repeat(2_000), ")".repeat(2_000)),
        format!("{}sku eq 'x'", "item/".repeat(5_000)),
        format!("quantity eq {}", "9".repeat(30_000)),
        format!("sku eq '{}", "'".repeat(20_001)),
        parts(25_000 / 16),
    ];
    let addresses = [
        format!("$orderby={}", list("quantity", 10_000)),
        format!("$select={}", list("sku", 10_000)),
        format!("$expand={}", list("item", 5_000)),
        format!("$expand={}{}", "item($expand=".repeat(2_000), ")".repeat(2_000)),
        "$top=1&".repeat(5_000),
        format!("$skiptoken={}", "5b".repeat(20_000)),
        format!("$filter=@p&@p={}", "@p%20or%20".repeat(3_000)),
        format!("$filter=quantity%20in%20@p&@p=[{}]", list("1", 10_000)),
        "x=y&".repeat(10_000),
    ];
    let all: Vec<String> = filters.iter().map(|filter| query(&[("$filter", filter)])).chain(addresses).collect();
    let ask = |options: &str| {
        let url = format!("/odata/warehouse/stock?{options}");
        let (status, answer) = served.raw(&get(url.as_bytes()));
        assert!(matches!(status, 200 | 400 | 414 | 501), "{options:.60}: {answer:.1000}");
        assert!(answer.len() < 2_500 || status == 200, "{options:.60}: {} bytes", answer.len());
        assert!(status == 200 || answer.contains("\"code\":\"IB09"), "{options:.60}: {answer:.1000}");
        let (status, answer) = served.raw(&batch(&url));
        assert_eq!(status, 200, "{options:.60}: {answer:.1000}");
    };
    let one = |options: &str| served.stock(&[("$filter", options)]).status;
    assert_eq!(one(&format!("quantity in ({})", list("1", 10_000))), 400);
    assert_eq!(one(&format!("quantity in ({})", list("1", 2_000))), 200);
    // Once for whatever is set up once, and then again and again.
    all.iter().for_each(|options| ask(options));
    let before = served.resident_mb();
    for _ in 0..10 {
        all.iter().for_each(|options| ask(options));
    }
    let after = served.resident_mb();
    // The allocator keeps some of what was given back; three hundred of them that stayed would be far more.
    assert!(after < before + 24.0, "{before:.1} MB before and {after:.1} MB after");
    let count: i64 = served.database().query_row("SELECT count(*) FROM stock", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 10_000);
}

#[test]
fn what_looks_like_sql_is_a_text_like_any_other() {
    let served = Served::new("", "");
    for text in [
        "'; DROP TABLE stock; --",
        "' OR '1'='1",
        "x' UNION SELECT name, sql FROM sqlite_master --",
        "\\'; DELETE FROM stock; --",
        "?1",
        "$1",
        ":name",
        "%' ESCAPE '",
        "x\"; DROP TABLE stock; --",
        "/* */",
        "{}",
    ] {
        let quoted = text.replace('\'', "''");
        for filter in [
            format!("sku eq '{quoted}'"),
            format!("note ne '{quoted}' and startswith(sku,'{quoted}')"),
            format!("contains(note,'{quoted}')"),
            format!("sku in ('{quoted}','{quoted}x')"),
            format!("concat(sku,'{quoted}') eq '{quoted}'"),
            format!("endswith(tolower(title),'{quoted}')"),
        ] {
            let json = served.json(&format!("/odata/warehouse/stock?{}", query(&[("$filter", &filter)])));
            assert!(json["value"].as_array().unwrap().is_empty(), "{filter}: {json}");
        }
        // As a name it is no name.
        for option in ["$orderby", "$select", "$expand"] {
            let answer = served.send("GET", &format!("/odata/warehouse/stock?{}", query(&[(option, text)])), "", "");
            assert_eq!(answer.status, 400, "{option}={text}: {}", answer.body);
        }
        let path = format!("/odata/warehouse/stock({})", odata::encode(&format!("'{quoted}'")));
        assert_eq!(served.send("GET", &path, "", "").status, 400, "{path}");
    }
    let tables: i64 = served
        .database()
        .query_row("SELECT count(*) FROM sqlite_master WHERE type = 'table'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 2);
}

#[test]
fn a_batch_that_means_no_good_is_refused_as_a_whole_or_in_its_part() {
    let served = Served::new("", "");
    let head = |content_type: &str, length: usize| {
        format!(
            "POST /odata/warehouse/$batch HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let send =
        |content_type: &str, body: &[u8]| served.raw(&[head(content_type, body.len()).as_bytes(), body].concat());
    let multipart = "multipart/mixed; boundary=b";
    let part = |line: &str| format!("--b\r\nContent-Type: application/http\r\n\r\n{line}\r\n\r\n\r\n");
    let (status, answer) = send(multipart, (part("GET stock?$top=1 HTTP/1.1").repeat(101) + "--b--").as_bytes());
    assert!(status == 400 && answer.contains("at most 100"), "{answer:.500}");
    let (status, answer) = send(multipart, &vec![b'x'; 2 << 20]);
    assert!(status == 413 && answer.contains("IB0912"), "{status}: {answer:.500}");
    assert_eq!(send(multipart, b"--b\r\nContent-Type: application/http\r\n\r\nGET \xff HTTP/1.1\r\n\r\n--b--").0, 400);
    assert_eq!(send("multipart/mixed; boundary=", b"----").0, 400);
    assert_eq!(send(&format!("multipart/mixed; boundary={}", "b".repeat(500)), b"").0, 400);
    assert_eq!(send("application/json", "[".repeat(200_000).as_bytes()).0, 400);
    assert_eq!(send("application/json", b"{\"requests\":[{\"id\":\"1\"}]}").0, 400);
    for (line, status) in [
        ("GET $batch HTTP/1.1", 400),
        ("GET /etc/passwd HTTP/1.1", 400),
        ("GET http://elsewhere.example/x HTTP/1.1", 400),
        ("GET ../../up HTTP/1.1", 400),
        ("GET stock('x HTTP/1.1", 400),
        ("PATCH stock HTTP/1.1", 405),
        ("GET nothing HTTP/1.1", 404),
    ] {
        let (whole, answer) = send(multipart, (part(line) + "--b--").as_bytes());
        assert_eq!(whole, 200, "{line}: {answer}");
        assert!(answer.contains(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
    }
    // A set of changes is one refusal, and what follows it is left out unless the client prefers to go on.
    let changes = "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\n\
        POST stock HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{}\r\n--c--\r\n";
    let (_, answer) = send(multipart, (changes.to_owned() + &part("GET stock/$count HTTP/1.1") + "--b--").as_bytes());
    assert!(answer.contains("HTTP/1.1 405 ") && !answer.contains("10000"), "{answer}");
    // JSON: the ids come back, and the bodies are JSON in JSON.
    let reads = br#"{"requests":[{"id":"a","method":"GET","url":"stock?$top=1&$select=sku&$orderby=sku"},{"id":"b","method":"GET","url":"/odata/warehouse/stock/$count"}]}"#;
    let (status, answer) = send("application/json", reads);
    let json: Json = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((status, &json["responses"][0]["body"]["value"][0]["sku"]), (200, &"SKU-000000".into()), "{json}");
    assert_eq!((&json["responses"][1]["id"], &json["responses"][1]["body"]), (&"b".into(), &"10000".into()), "{json}");
}

/// A boundary is a line of its own, however it is named: what looks like one in a filter, or begins like one, is none.
#[test]
fn a_boundary_of_a_batch_is_found_only_where_it_is_one() {
    let served = Served::new("", "");
    let send = |kind: &str, body: &str| {
        let head = format!("Content-Type: {kind}\r\nAccept: application/json\r\n");
        served.send("POST", "/odata/warehouse/$batch", &head, body)
    };
    let part = |boundary: &str, end: &str, url: &str| {
        format!("--{boundary}{end}Content-Type: application/http{end}{end}GET {url} HTTP/1.1{end}{end}{end}")
    };
    for (kind, boundary, end) in [
        ("multipart/mixed; boundary=b", "b", "\r\n"),
        ("multipart/mixed; boundary=b", "b", "\n"),
        ("Multipart/Mixed;charset=utf-8; BOUNDARY = \"b\"", "b", "\r\n"),
        ("multipart/mixed; boundary=\"a;b=c\"; x=y", "a;b=c", "\r\n"),
    ] {
        let looks_like_one = part(boundary, end, &format!("stock/$count?$filter=sku eq '--{boundary}'"));
        let another = format!(
            "--{boundary}{end}Content-Type: application/http{end}{end}{end}GET stock/$count HTTP/1.1{end}{end}"
        );
        let body = format!("before{end}{looks_like_one}{another}--{boundary}--{end}behind");
        let answer = send(kind, &body);
        assert_eq!(answer.status, 200, "{kind}: {}", answer.body);
        assert_eq!(answer.body.matches("HTTP/1.1 200 OK").count(), 2, "{kind}: {}", answer.body);
    }
    // The boundary of a set of changes may begin as that of the batch does.
    let inner = part("b1", "\r\n", "stock").replace("GET", "DELETE") + "--b1--\r\n";
    let changes = format!("--b\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\n{inner}--b--\r\n");
    let answer = send("multipart/mixed; boundary=b", &changes);
    assert!(answer.status == 200 && answer.body.contains("HTTP/1.1 405 "), "{}: {}", answer.status, answer.body);
    // One that was cut says so.
    let answer = send("multipart/mixed; boundary=b", &(part("b", "\r\n", "stock/$count") + "--b-\r\n"));
    assert_eq!(answer.status, 400, "{}", answer.body);
}

/// A next link comes back from outside: values that no row of the order has are not asked of the source.
#[test]
fn a_next_link_that_somebody_has_changed_is_refused() {
    for (kind, served) in Served::each("virtual_forged") {
        let forged = |order: &str, values: &str| {
            let path = format!("/odata/warehouse/stock?$select=sku,warehouse&$orderby={order}");
            let answer = served.send("GET", &path, "Prefer: odata.maxpagesize=1\r\n", "");
            let json: Json = serde_json::from_str(&answer.body).unwrap();
            let next = json["@odata.nextLink"].as_str().unwrap().split_once(&served.address).unwrap().1.to_owned();
            let (before, token) = next.split_once("$skiptoken=").unwrap();
            let place: String = values.bytes().map(|byte| format!("{byte:02x}")).collect();
            let forged = served.send("GET", &format!("{before}$skiptoken={}{place}", &token[..8]), "", "");
            assert_eq!(served.send("GET", &next, "", "").status, 200, "{kind}: the true one is as good as before");
            forged
        };
        for (order, values) in [
            ("quantity", r#"["tx","tSKU-000001","tLondon"]"#),
            ("quantity", r#"["finf","tSKU-000001","tLondon"]"#),
            ("quantity", r#"[5,7,"tLondon"]"#),
            ("quantity", r#"[5,"g6f9619ff-8b86-d011-b42d-00cf4fc964ff","tLondon"]"#),
            ("quantity", r#"[5,"tSKU-\u0000","tLondon"]"#),
            ("counted", r#"["tx","tSKU-000001","tLondon"]"#),
            ("counted", r#"["a2026-01-01","tSKU-000001","tLondon"]"#),
            ("due", r#"["i2026-01-01T00:00:00Z","tSKU-000001","tLondon"]"#),
            ("active", r#"[1,"tSKU-000001","tLondon"]"#),
            ("sku", r#"["tSKU-000001"]"#),
            ("sku", "5"),
        ] {
            let answer = forged(order, values);
            assert_eq!(answer.status, 400, "{kind}: {order} {values}: {}", answer.body);
        }
        assert_eq!(forged("quantity", r#"["d5.5","tSKU-000001","tLondon"]"#).status, 200, "{kind}");
    }
}
