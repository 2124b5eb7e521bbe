//! A courier's API that can be asked for parcels by their number, and cannot list them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::stock::{Answer, Served, query};

const TRACKING: &str = r#"
entity: tracking
key: consignment
fields: { consignment: { type: text, pattern: "[A-Z0-9]{8,22}" }, status: { type: text }, expected: { type: date } }
"#;

/// Answers `GET /track?numbers=a,b` for numbers that begin with P; everything else of it would be an error.
fn courier() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            reader.read_line(&mut line).unwrap();
            let mut header = String::new();
            while reader.read_line(&mut header).unwrap() > 2 {
                header.clear();
            }
            count.fetch_add(1, Ordering::Relaxed);
            let numbers =
                line.split_once("numbers=").map(|(_, rest)| rest.split(' ').next().unwrap()).unwrap_or_default();
            let numbers = odata::decode(numbers, true).unwrap();
            let parcels = numbers.split(',').filter(|number| number.starts_with('P'));
            let parcels: Vec<String> = parcels
                .map(|number| format!(r#"{{"number":"{number}","state":"on the road","eta":"2026-12-01"}}"#))
                .collect();
            let body = format!(r#"{{"shipments":[{}]}}"#, parcels.join(","));
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    (url, asked)
}

fn served(url: &str, without_filter: &str) -> Served {
    of(url, &format!("without_filter: {without_filter}\n"))
}

fn of(url: &str, more: &str) -> Served {
    let system = format!(
        r#"
system: courier
kind: rest
connection: {{ url: "{url}" }}
entities:
  tracking:
    find: {{ by: [consignment], request: "GET /track?numbers={{consignment}}", at_most: 20, rows: shipments }}
    columns: {{ number: text, state: text, eta: date }}
    read: {{ consignment: number, status: state, expected: eta }}
"#
    );
    let integration = format!(
        "integration: tracking\npattern: virtual\nentity: tracking\nfrom: courier\nto: dynamics\n{more}owner: it\npurpose: Service sees where the parcel is.\n"
    );
    let dynamics = "system: dynamics\nkind: dataverse\nconnection: { url: \"http://127.0.0.1:1\" }\nentities: { tracking: { virtual_table: new_tracking, primary_name: consignment } }\n";
    Served::with(
        tempfile::tempdir().unwrap(),
        &[
            ("entities/tracking.yaml", TRACKING),
            ("systems/courier.yaml", &system),
            ("systems/dynamics.yaml", dynamics),
            ("integrations/tracking.yaml", &integration),
        ],
    )
}

#[test]
fn parcels_are_looked_up_by_number_and_by_guid() {
    let (url, asked) = courier();
    let served = served(&url, "empty");
    let ask = |options: &[(&str, &str)]| -> Answer {
        served.send("GET", &format!("/odata/courier/tracking?{}", query(options)), "", "")
    };
    let json = |answer: &Answer| serde_json::from_str::<serde_json::Value>(&answer.body).unwrap();

    let one = ask(&[("$filter", "consignment eq 'PARCEL0001'")]);
    assert_eq!(one.status, 200, "{}", one.body);
    let row = json(&one)["value"][0].clone();
    assert_eq!((&row["status"], &row["expected"]), (&"on the road".into(), &"2026-12-01T00:00:00Z".into()));

    // The GUID alone says which parcel it is: nothing was stored.
    let id = row["trackingid"].as_str().unwrap();
    let again = served.json(&format!("/odata/courier/tracking({id})"));
    assert_eq!(again["consignment"], "PARCEL0001");

    asked.store(0, Ordering::Relaxed);
    let list: Vec<String> = (0..30).map(|n| format!("'PARCEL{n:04}'")).collect();
    let many = ask(&[
        ("$filter", &format!("consignment in ({})", list.join(","))),
        ("$count", "true"),
        ("$orderby", "consignment desc"),
        ("$top", "2"),
    ]);
    let many = json(&many);
    assert_eq!((&many["@odata.count"], &many["value"][0]["consignment"]), (&30.into(), &"PARCEL0029".into()), "{many}");
    assert_eq!(asked.load(Ordering::Relaxed), 2, "twenty numbers of one request at most");

    // As clients write a list that know no `in`; and each parcel once, however often it is named.
    asked.store(0, Ordering::Relaxed);
    let chain =
        "consignment eq 'PARCEL0001' or (consignment eq 'PARCEL0002' or consignment in ('PARCEL0003','PARCEL0001'))";
    let found = json(&ask(&[("$filter", chain), ("$count", "true"), ("$orderby", "consignment")]));
    let ids = found["value"].as_array().unwrap().iter().map(|row| row["trackingid"].as_str().unwrap());
    assert_eq!((&found["@odata.count"], ids.clone().count()), (&3.into(), 3), "{found}");
    let chain: Vec<String> = ids.map(|id| format!("trackingid eq {id}")).collect();
    let chain = format!("{} or {}", chain.join(" or "), chain[0]);
    assert_eq!(json(&ask(&[("$filter", &chain), ("$count", "true")]))["@odata.count"], 3);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    // Behind each other they would be read as two others.
    let refused = ask(&[("$filter", "consignment in ('PARCEL0001,PARCEL0002','PARCEL0003')")]);
    assert!(refused.status == 501 && refused.body.contains("IB0911"), "{}", refused.body);

    // A part that the API cannot decide is decided here.
    assert_eq!(
        json(&ask(&[("$filter", "consignment eq 'PARCEL0001' and startswith(status,'lost')")]))["value"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    assert_eq!(json(&ask(&[("$filter", "consignment eq 'NOPARCEL'")]))["value"].as_array().unwrap().len(), 0);

    asked.store(0, Ordering::Relaxed);
    assert_eq!(json(&ask(&[("$count", "true")]))["@odata.count"], 0);
    let refused = ask(&[("$filter", "status eq 'on the road'")]);
    assert_eq!(refused.status, 501, "{}", refused.body);
    assert!(refused.body.contains("IB0911"), "{}", refused.body);
    // No parcel has such a GUID; nobody needs to be asked.
    assert_eq!(served.send("GET", "/odata/courier/tracking(11111111-1111-4111-8111-111111111111)", "", "").status, 404);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[test]
fn a_query_without_a_filter_is_refused_where_that_was_said() {
    let served = served("http://127.0.0.1:9", "refuse");
    let refused = served.send("GET", "/odata/courier/tracking", "", "");
    assert_eq!(refused.status, 501, "{}", refused.body);
    // An API that is not there: the row cannot be told, which is not the same as no row.
    let down = served.send("GET", "/odata/courier/tracking?$filter=consignment%20eq%20'PARCEL0001'", "", "");
    assert_eq!(down.status, 503, "{}", down.body);
}

/// An API that takes every request and never answers: the hub's own time ends the wait, and then it asks no more.
#[test]
fn a_source_that_does_not_answer_is_waited_for_a_while_and_then_left_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::Relaxed);
            open.push(stream);
        }
    });
    let served = of(&url, "timeout: 1 second\n");
    let ask = |n: usize| {
        let path =
            format!("/odata/courier/tracking?{}", query(&[("$filter", &format!("consignment eq 'PARCEL{n:04}'"))]));
        served.send("GET", &path, "", "")
    };
    // A list of what cannot be listed asks nobody, and says nothing of how the API is.
    let list = || assert_eq!(served.json("/odata/courier/tracking")["value"], serde_json::json!([]));
    list();
    let began = Instant::now();
    for some in [0..3, 3..5] {
        std::thread::scope(|scope| {
            let asking: Vec<_> = some.map(|n| scope.spawn(move || ask(n))).collect();
            for one in asking {
                let answer = one.join().unwrap();
                assert_eq!(answer.status, 504, "{}", answer.body);
                assert!(answer.body.contains("IB0905") && answer.head.contains("x-request-id: "), "{}", answer.body);
            }
        });
        list();
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let before = taken.load(Ordering::Relaxed);
    let answer = ask(6);
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(
        answer.body.contains("left alone") && answer.head.contains("retry-after: "),
        "{} {}",
        answer.head,
        answer.body
    );
    assert_eq!(taken.load(Ordering::Relaxed), before, "nobody was asked");
    // What it is, is known without it.
    assert_eq!(served.send("GET", "/odata/courier/$metadata", "Accept: application/xml\r\n", "").status, 200);
}

/// An API that answers each path, with its query, by this text.
fn api(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let mut header = String::new();
            while reader.read_line(&mut header).unwrap() > 2 {
                header.clear();
            }
            let body = answer(line.split(' ').nth(1).unwrap());
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    url
}

/// Drawers of cupboards, which are known by both.
fn cupboards() -> String {
    let row =
        |cupboard: &str, drawer: usize| format!(r#"{{"cupboard":"{cupboard}","drawer":{drawer},"holds":"screws"}}"#);
    api(move |path| match path.strip_prefix("/drawers/").and_then(|rest| rest.split_once('/')) {
        Some(("B", drawer)) => format!("[{}]", row("B", drawer.parse().unwrap())),
        Some(("C", _)) => "[]".to_owned(),
        Some(("D", _)) => format!("[{0},{0}]", row("D", 1)),
        Some((cupboard, drawer)) => row(cupboard, drawer.parse().unwrap()),
        None => {
            let rows: Vec<String> = (0..30).map(|n| row(["A", "B"][n / 20], n)).collect();
            format!("[{}]", rows.join(","))
        }
    })
}

/// Rows that are known by two fields, and a question that names one of them, or more pairs than there are requests for.
#[test]
fn what_a_question_does_not_name_is_looked_for_in_the_list_or_refused() {
    let url = cupboards();
    let serve = |list: &str, more: &str| {
        let system = format!(
            "system: workshop\nkind: rest\nconnection: {{ url: \"{url}\" }}\nentities:\n  drawer:\n    get: \"GET /drawers/{{cupboard}}/{{number}}\"\n{list}    columns: {{ cupboard: text, drawer: whole_number, holds: text }}\n    read: {{ cupboard: cupboard, number: drawer, content: holds }}\n"
        );
        Served::with(
            tempfile::tempdir().unwrap(),
            &[
                (
                    "entities/drawer.yaml",
                    "entity: drawer\nkey: [cupboard, number]\nfields: { cupboard: { type: text, pattern: \"[A-Z]\" }, number: { type: whole_number }, content: { type: text } }\n",
                ),
                ("systems/workshop.yaml", &system),
                (
                    "systems/dynamics.yaml",
                    "system: dynamics\nkind: dataverse\nconnection: { url: \"http://127.0.0.1:1\" }\nentities: { drawer: { virtual_table: new_drawer, primary_name: content } }\n",
                ),
                (
                    "integrations/drawers.yaml",
                    &format!(
                        "integration: drawers\npattern: virtual\nentity: drawer\nfrom: workshop\nto: dynamics\n{more}owner: it\npurpose: The workshop sees what is where.\n"
                    ),
                ),
            ],
        )
    };
    let list = "    list: { request: GET /drawers }\n";
    let ask = |served: &Served, filter: &str| {
        let options = query(&[("$filter", filter), ("$count", "true")]);
        let answer = served.send("GET", &format!("/odata/workshop/drawers?{options}"), "", "");
        let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        (answer.status, json["@odata.count"].as_u64(), answer.body)
    };
    let pairs =
        "cupboard in ('A','B') and number in (0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25)";
    let whole = serve(list, "");
    let found = |filter: &str| ask(&whole, filter).1;
    assert_eq!(found("cupboard eq 'B'"), Some(10));
    assert_eq!(found("cupboard eq 'A' and number eq 3"), Some(1));
    assert_eq!(found(pairs), Some(26), "fifty-two pairs are found in the list");
    // The second cupboard begins behind the rows that may be looked through.
    let short = serve(list, "max_rows: 15\n");
    let (status, _, body) = ask(&short, "cupboard eq 'B'");
    assert!(status == 501 && body.contains("IB0903"), "{status} {body}");
    let unlisted = serve("", "");
    for filter in ["cupboard eq 'B'", pairs] {
        let (status, _, body) = ask(&unlisted, filter);
        assert!(status == 501 && body.contains("IB0911"), "{filter}: {status} {body}");
    }
    assert_eq!(ask(&unlisted, "cupboard eq 'A' and number in (3,4)").1, Some(2));
    // One row may come as a list; what comes otherwise is no answer, and not no row.
    assert_eq!(ask(&unlisted, "cupboard eq 'B' and number eq 23").1, Some(1));
    assert_eq!(ask(&unlisted, "cupboard eq 'C' and number eq 1").1, Some(0));
    let (status, _, body) = ask(&unlisted, "cupboard eq 'D' and number eq 1");
    assert!(status >= 500 && body.contains("one row"), "{status} {body}");
    // Rows of which each is named by its key, and one of them twice.
    let ids = whole.json("/odata/workshop/drawers?$top=3&$select=drawerid&$orderby=number");
    let ids: Vec<String> =
        ids["value"].as_array().unwrap().iter().map(|row| row["drawerid"].as_str().unwrap().to_owned()).collect();
    let list = format!("drawerid in ({},{})", ids.join(","), ids[0]);
    let chain = format!("drawerid eq {0} or drawerid eq {1} or drawerid eq {0}", ids[0], ids[2]);
    assert_eq!((ask(&unlisted, &list).1, ask(&unlisted, &chain).1), (Some(3), Some(2)));
    assert_eq!(ask(&unlisted, &format!("({chain}) and number eq 0")).1, Some(1));
}

/// An API that gives the orders of a customer ten at a time, whichever way it goes from page to page.
#[test]
fn what_is_found_in_pages_is_found_to_the_last() {
    for (list, size) in [
        ("", 10),
        ("    list: { request: GET /all, rows: orders, next: more }\n", 10),
        ("    list: { request: GET /orders, rows: orders, cursor: { path: cursor, parameter: cursor } }\n", 10),
        (
            "    list: { request: GET /orders, rows: orders, page: { parameter: page }, size: { parameter: size, rows: 7 } }\n",
            7,
        ),
    ] {
        let url = api(move |path| {
            let path = odata::decode(path, true).unwrap();
            let option = |name: &str| {
                let (_, options) = path.split_once('?')?;
                options.split('&').find_map(|one| one.strip_prefix(&format!("{name}=")).map(str::to_owned))
            };
            let (customer, numbers) = (option("customer"), option("number"));
            let all = (0..50).filter(|n| {
                let is_named = |numbers: String| numbers.split(',').any(|number| number == format!("{n}"));
                numbers.clone().is_none_or(is_named) && customer.as_ref().is_none_or(|one| *one == ["A", "B"][n % 2])
            });
            let number = |name: &str| option(name).and_then(|text| text.parse::<usize>().ok());
            let rows = number("size").unwrap_or(10);
            assert_eq!(rows, size);
            let from = number("cursor").or_else(|| Some((number("page")? - 1) * rows)).unwrap_or(0);
            let all: Vec<String> =
                all.map(|n| format!(r#"{{"number":{n},"customer":"{}","total":{n}}}"#, ["A", "B"][n % 2])).collect();
            let end = (from + rows).min(all.len());
            let next = match customer {
                Some(customer) if end < all.len() => {
                    format!(r#","cursor":{end},"more":"/orders?customer={customer}&cursor={end}""#)
                }
                _ if end < all.len() => format!(r#","cursor":{end}"#),
                _ => String::new(),
            };
            format!(r#"{{"orders":[{}]{next}}}"#, all[from.min(end)..end].join(","))
        });
        let by = if list.is_empty() { "number" } else { "customer" };
        let system = format!(
            "system: shop\nkind: rest\nconnection: {{ url: \"{url}\" }}\nentities:\n  order:\n    find: {{ by: [{by}], request: \"GET /orders?{by}={{{by}}}\", rows: orders, at_most: 5 }}\n{list}    columns: {{ number: whole_number, customer: text, total: whole_number }}\n    read: {{ number: number, customer: customer, total: total }}\n"
        );
        let served = Served::with(
            tempfile::tempdir().unwrap(),
            &[
                (
                    "entities/order.yaml",
                    "entity: order\nkey: number\nfields: { number: { type: whole_number }, customer: { type: text }, total: { type: whole_number } }\n",
                ),
                ("systems/shop.yaml", &system),
                (
                    "systems/dynamics.yaml",
                    "system: dynamics\nkind: dataverse\nconnection: { url: \"http://127.0.0.1:1\" }\nentities: { order: { virtual_table: new_order, primary_name: customer } }\n",
                ),
                (
                    "integrations/orders.yaml",
                    "integration: orders\npattern: virtual\nentity: order\nfrom: shop\nto: dynamics\nmax_rows: 40\nowner: it\npurpose: Sales see what was ordered.\n",
                ),
            ],
        );
        let count = |filter: &str| {
            let options = query(&[("$filter", filter), ("$count", "true"), ("$top", "3"), ("$orderby", "number desc")]);
            let json = served.json(&format!("/odata/shop/orders?{options}"));
            (json["@odata.count"].as_u64().unwrap(), json["value"][0]["number"].as_u64())
        };
        if list.is_empty() {
            assert_eq!(count("number in (1,3,5,7,9,11,13)"), (7, Some(13)));
            continue;
        }
        assert_eq!(count("customer eq 'B'"), (25, Some(49)), "{list}");
        assert_eq!(count("customer eq 'B' and total ge 30"), (10, Some(49)), "{list}");
        assert_eq!(count("customer eq 'C'"), (0, None), "{list}");
    }
}
