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
    let began = Instant::now();
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..5).map(|n| scope.spawn(move || ask(n))).collect();
        for one in asking {
            let answer = one.join().unwrap();
            assert_eq!(answer.status, 504, "{}", answer.body);
            assert!(answer.body.contains("IB0905") && answer.head.contains("x-request-id: "), "{}", answer.body);
        }
    });
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
