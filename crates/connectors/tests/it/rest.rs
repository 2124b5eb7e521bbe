//! REST systems against a server that does what the test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use record::{
    Change, Decimal, Effected, Fault, Key, Now, Op, OptionValue, Options, Page, ReadKind, ReadSpec, Row, Schema,
    Source, System, Type, Value, Watermark, WriteSpec,
};

use crate::web::{Response, Server, json};

/// Options from texts: `a.b` is one in a group, a number is a number, `[a]` is a list.
fn options(pairs: &[(&str, &str)]) -> Options {
    let mut options = Options::default();
    for (name, text) in pairs {
        let value = match (text.parse::<Decimal>(), text.strip_prefix('[')) {
            (Ok(number), _) => OptionValue::Number(number),
            (_, Some(list)) => OptionValue::List(vec![OptionValue::Text(list.trim_end_matches(']').to_owned())]),
            _ => OptionValue::Text((*text).to_owned()),
        };
        let (mut at, mut name) = (&mut options.0, *name);
        while let Some((group, inner)) = name.split_once('.') {
            let empty = OptionValue::Map(Default::default());
            let OptionValue::Map(map) = at.entry(group.to_owned()).or_insert(empty) else { panic!("`{name}`") };
            (at, name) = (map, inner);
        }
        at.insert(name.to_owned(), value);
    }
    options
}

fn system(server: &Server, connection: &[(&str, &str)]) -> Arc<dyn System> {
    let mut connection = options(connection);
    connection.0.insert("url".into(), OptionValue::Text(server.url.clone()));
    (connectors::registry::find("rest").unwrap().open)("erp", connection).unwrap()
}

fn order(key: Key, total: i64) -> Change {
    Change {
        op: Op::Upsert,
        key,
        columns: Row::new(Schema::of([("total", Type::Unknown)]), vec![Value::Int(total)]),
        remote_id: None,
        if_version: None,
    }
}

/// Orders by their `ref`, with a `total`.
fn of_orders(entity: Options) -> WriteSpec {
    WriteSpec {
        table: String::new(),
        key: vec!["ref".into()],
        columns: vec!["total".into()],
        time_zone: None,
        fields: Vec::new(),
        lines: Vec::new(),
        options: entity,
    }
}

fn source(system: &dyn System, entity: &[(&str, &str)], declared: &[(&str, Type)]) -> Arc<dyn Source> {
    let entity = options(entity);
    let watermark = entity.group("watermark").map(|group| Watermark {
        column: group.text("column").unwrap().to_owned(),
        overlap: std::time::Duration::from_secs(300),
    });
    let spec = ReadSpec {
        table: String::new(),
        columns: declared.iter().map(|(name, _)| (*name).to_owned()).collect(),
        declared: declared.iter().map(|(name, ty)| ((*name).to_owned(), ty.clone())).collect(),
        watermark,
        key: vec![declared[0].0.to_owned()],
        rows_per_batch: 2,
        time_zone: None,
        fields: vec![("number".to_owned(), declared[0].0.to_owned())],
        options: entity,
    };
    system.source(spec).unwrap()
}

const TEXT: Type = Type::Text { max_length: None };

async fn pages(source: &dyn Source, cursor: Option<&str>) -> Result<(ReadKind, Vec<Page>), Fault> {
    let mut reader = source.read(cursor).await?;
    let mut pages = Vec::new();
    while let Some(page) = reader.next().await? {
        pages.push(page);
    }
    Ok((reader.kind(), pages))
}

fn keys(pages: &[Page]) -> String {
    let rows = pages.iter().flat_map(|page| page.batch.rows().map(|row| row.at(0).to_string()).collect::<Vec<_>>());
    rows.collect::<Vec<_>>().join(" ")
}

const FULL: ReadKind = ReadKind::Full { why: None };

#[tokio::test]
async fn tokens_are_asked_for_once_and_renewed_when_refused() {
    let tokens = Arc::new(AtomicUsize::new(0));
    let given = tokens.clone();
    let server = Server::start(move |request| match request.path.as_str() {
        "/token" if request.body.contains("client_secret=wrong") => {
            Response(401, String::new(), r#"{"error":"invalid_client","error_description":"no such secret"}"#.into())
        }
        "/token" if request.body.contains("scope=busy") => Response(503, "Retry-After: 7\r\n".into(), String::new()),
        "/token" => {
            assert!(request.body.contains("grant_type=client_credentials"), "{request:?}");
            json(format!(r#"{{"access_token":"T{}","expires_in":3600}}"#, given.fetch_add(1, Ordering::SeqCst)))
        }
        // The first token is taken back after a while.
        _ => match request.header("authorization") {
            Some("Bearer T0") if !request.path.contains("late") => json("[]"),
            Some("Bearer T1") => json("[]"),
            _ => Response(401, String::new(), r#"{"message":"expired"}"#.into()),
        },
    });
    let token_url = format!("{}/token", server.url);
    let oauth = |more: &[(&str, &str)]| {
        let mut all =
            vec![("oauth.token_url", token_url.as_str()), ("oauth.client_id", "hub"), ("oauth.client_secret", "right")];
        all.extend(more);
        system(&server, &all)
    };
    let list = |path| [("list.request", path)];
    let good = oauth(&[]);
    for path in ["GET /a", "GET /b", "GET /late"] {
        pages(&*source(&*good, &list(path), &[("id", TEXT)]), None).await.unwrap();
    }
    assert_eq!(server.lines(), ["POST /token", "GET /a", "GET /b", "GET /late", "POST /token", "GET /late"]);
    let wrong = oauth(&[("oauth.client_secret", "wrong")]);
    let fault = wrong.check().await.unwrap_err();
    assert_eq!((fault.code.to_string().as_str(), fault.now), ("IB0502", Now::AskPerson));
    let why = fault.why.unwrap();
    assert_eq!((why.code.as_deref(), why.text.as_str()), (Some("invalid_client"), "no such secret"));
    let fault = oauth(&[("oauth.scope", "busy")]).check().await.unwrap_err();
    assert_eq!(fault.now, Now::RetryAfter(Some(std::time::Duration::from_secs(7))));
}

#[tokio::test]
async fn a_client_in_the_header_is_escaped_as_the_standard_says() {
    let server = Server::start(|request| match (request.path.as_str(), request.header("authorization")) {
        // `hub%3A1:a%2Bb%25`.
        ("/token", Some("Basic aHViJTNBMTphJTJCYiUyNQ==")) => json(r#"{"access_token":"T"}"#),
        ("/items", Some("Bearer T")) => json(r#"[{"id":"1"}]"#),
        (_, found) => Response(401, String::new(), format!("{found:?}")),
    });
    let token_url = format!("{}/token", server.url);
    let oauth = [
        ("oauth.token_url", token_url.as_str()),
        ("oauth.client_id", "hub:1"),
        ("oauth.client_secret", "a+b%"),
        ("oauth.client_in", "header"),
    ];
    let source = source(&*system(&server, &oauth), &[("list.request", "GET /items")], &[("id", TEXT)]);
    assert_eq!(keys(&pages(&*source, None).await.unwrap().1), "1");
}

#[tokio::test]
async fn a_key_in_the_query_is_in_each_request_and_in_no_cursor() {
    let server = Server::start(|request| match request.path.as_str() {
        "/items?key=secret" => json(r#"{"rows":[{"id":"1"}],"next":"/items?key=secret&from=2"}"#),
        "/items?from=2&key=secret" => json(r#"{"rows":[{"id":"2"}],"next":null}"#),
        other => Response(404, String::new(), other.to_owned()),
    });
    let system = system(&server, &[("api_key.query", "key"), ("api_key.value", "secret")]);
    let list = [("list.request", "GET /items"), ("list.rows", "rows"), ("list.next", "next")];
    let (_, pages) = pages(&*source(&*system, &list, &[("id", TEXT)]), None).await.unwrap();
    assert_eq!(keys(&pages), "1 2");
    assert_eq!(pages[0].cursor.as_deref(), Some(r#"{"at":{"link":"/items?from=2"}}"#));
}

#[tokio::test]
async fn a_key_that_does_not_change_is_in_each_request() {
    for (connection, name, expected) in [
        (vec![("bearer", "secret")], "authorization", "Bearer secret"),
        (vec![("api_key.header", "X-Key"), ("api_key.value", "secret")], "x-key", "secret"),
        // `hub:secret`.
        (vec![("basic.user", "hub"), ("basic.password", "secret")], "authorization", "Basic aHViOnNlY3JldA=="),
    ] {
        let server = Server::start(move |request| match request.header(name) {
            Some(found) if found == expected && request.path == "/things" => {
                json("{\"rows\":[{\"id\":\"1\"}],\"next\":\"/things?after=1\"}".to_owned())
            }
            Some(found) if found == expected => json("{\"rows\":[{\"id\":\"2\"}]}".to_owned()),
            found => Response(401, String::new(), format!("{found:?}")),
        });
        let entity = [("list.request", "GET /things"), ("list.rows", "rows"), ("list.next", "next")];
        let source = source(&*system(&server, &connection), &entity, &[("id", TEXT)]);
        assert_eq!(keys(&pages(&*source, None).await.unwrap().1), "1 2", "{expected}");
        source.probe().await.unwrap();
    }
}

#[tokio::test]
async fn a_budget_is_kept_and_whoever_is_asked_too_often_says_for_how_long() {
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = asked.clone();
    let server = Server::start(move |_| {
        let page = seen.fetch_add(1, Ordering::Relaxed);
        let next = if page < 5 { "\"/things\"" } else { "null" };
        json(format!("{{\"rows\":[{{\"id\":\"{page}\"}}],\"next\":{next}}}"))
    });
    let entity = [("list.request", "GET /things"), ("list.rows", "rows"), ("list.next", "next")];
    // One in a hundred milliseconds.
    let slowly = system(&server, &[("requests_a_minute", "600")]);
    let begun = std::time::Instant::now();
    let read = pages(&*source(&*slowly, &entity, &[("id", TEXT)]), None).await.unwrap();
    assert_eq!((keys(&read.1).as_str(), asked.load(Ordering::Relaxed)), ("0 1 2 3 4 5", 6));
    assert!(begun.elapsed() >= std::time::Duration::from_millis(480), "{:?}", begun.elapsed());

    let busy = Server::start(|_| Response(429, "Retry-After: 7\r\n".into(), String::new()));
    let fault = pages(&*source(&*system(&busy, &[]), &entity, &[("id", TEXT)]), None).await.unwrap_err();
    assert_eq!(fault.now, Now::RetryAfter(Some(std::time::Duration::from_secs(7))), "{fault}");
}

#[tokio::test]
async fn one_way_to_sign_in() {
    let server = Server::start(|_| json("[]"));
    let mut connection = options(&[("bearer", "a"), ("basic.user", "b"), ("basic.password", "c")]);
    connection.0.insert("url".into(), OptionValue::Text(server.url.clone()));
    let fault = (connectors::registry::find("rest").unwrap().open)("erp", connection).err().unwrap();
    assert!(fault.what.contains("more than one way"), "{fault}");
}

#[tokio::test]
async fn after_the_first_read_only_what_changed_is_asked_for() {
    let date = "Date: Mon, 23 Nov 2026 12:00:00 GMT\r\nContent-Type: application/json\r\n";
    let server = Server::start(move |request| {
        let rows = match request.path.as_str() {
            "/orders?page=1" => r#"[{"id":"1","at":"2026-11-23T09:00:00Z"},{"id":"2","at":"2099-01-01T00:00:00Z"}]"#,
            "/orders?page=2" => r#"[{"id":"3","at":null}]"#,
            // Five minutes before the source's own clock, and not what the future says.
            "/orders?since=2026-11-23T11%3A55%3A00Z&page=1" => r#"[{"id":"4","at":"2026-11-23T11:59:00Z"}]"#,
            _ => "[]",
        };
        Response(200, date.to_owned(), rows.to_owned())
    });
    let system = system(&server, &[]);
    let entity = [
        ("list.request", "GET /orders"),
        ("list.changes", "GET /orders?since={since}"),
        ("list.page.parameter", "page"),
        ("watermark.column", "at"),
    ];
    let source = source(&*system, &entity, &[("id", TEXT), ("at", TEXT)]);
    let (kind, first) = pages(&*source, None).await.unwrap();
    assert_eq!((kind, keys(&first).as_str()), (FULL, "1 2 3"));
    // A read that was cut goes on with the same question.
    let (_, rest) = pages(&*source, first[0].cursor.as_deref()).await.unwrap();
    assert_eq!(keys(&rest), "3");
    assert_eq!(rest.last().unwrap().cursor, first.last().unwrap().cursor);
    let (kind, changed) = pages(&*source, first.last().unwrap().cursor.as_deref()).await.unwrap();
    assert_eq!((kind, keys(&changed).as_str()), (ReadKind::Changes, "4"));
    let cursor = changed.last().unwrap().cursor.as_deref();
    assert_eq!(cursor, Some(r#"{"since":"2026-11-23T11:55:00Z"}"#), "never back behind where it was");
}

/// Ten o'clock when the read begins, and so many minutes later with each page.
#[tokio::test]
async fn what_changed_on_an_earlier_page_is_asked_for_again() {
    let server = Server::start(move |request| {
        let (minute, rows) = match request.path.as_str() {
            "/orders?page=1" => {
                (0, r#"[{"id":"1","at":"2026-11-23T09:00:00Z"},{"id":"2","at":"2026-11-23T09:00:00Z"}]"#)
            }
            // Meanwhile `1` was changed, at one minute past ten.
            "/orders?page=2" => (30, r#"[{"id":"3","at":"2026-11-23T10:29:00Z"}]"#),
            _ => (40, "[]"),
        };
        let head = format!("Date: Mon, 23 Nov 2026 10:{minute:02}:00 GMT\r\nContent-Type: application/json\r\n");
        Response(200, head, rows.to_owned())
    });
    let system = system(&server, &[]);
    let entity = [
        ("list.request", "GET /orders"),
        ("list.changes", "GET /orders?since={since}"),
        ("list.page.parameter", "page"),
        ("watermark.column", "at"),
    ];
    let source = source(&*system, &entity, &[("id", TEXT), ("at", TEXT)]);
    let (_, whole) = pages(&*source, None).await.unwrap();
    let expected = Some(r#"{"since":"2026-11-23T09:55:00Z"}"#);
    assert_eq!(whole.last().unwrap().cursor.as_deref(), expected);
    let (_, rest) = pages(&*source, whole[0].cursor.as_deref()).await.unwrap();
    assert_eq!(rest.last().unwrap().cursor.as_deref(), expected, "a read that was cut knows when it began");
}

#[tokio::test]
async fn an_open_end_hides_nothing() {
    let server = Server::start(move |_| {
        let rows = r#"[{"id":"1","at":"9999-12-31T23:59:59Z"},{"id":"2","at":"2026-11-23T09:00:00Z"}]"#;
        Response(
            200,
            "Date: Mon, 23 Nov 2026 10:00:00 GMT\r\nContent-Type: application/json\r\n".to_owned(),
            rows.to_owned(),
        )
    });
    let system = system(&server, &[]);
    let entity =
        [("list.request", "GET /orders"), ("list.changes", "GET /orders?since={since}"), ("watermark.column", "at")];
    let source = source(&*system, &entity, &[("id", TEXT), ("at", TEXT)]);
    let (_, whole) = pages(&*source, None).await.unwrap();
    assert_eq!(whole.last().unwrap().cursor.as_deref(), Some(r#"{"since":"2026-11-23T09:55:00Z"}"#));
    // What an earlier version kept of such a row.
    let (kind, again) = pages(&*source, Some(r#"{"since":"9999-12-31T23:59:59Z"}"#)).await.unwrap();
    let why = Some("the place of the last read lies in the future".to_owned());
    assert_eq!((kind, keys(&again).as_str()), (ReadKind::Full { why }, "1 2"));
}

#[tokio::test]
async fn an_api_with_a_limit_of_its_own_gives_all_rows() {
    let server = Server::start(|request| match request.path.as_str() {
        "/short?size=100&page=1" | "/gone?size=100&page=1" => json(r#"[{"id":"1"},{"id":"2"}]"#),
        "/short?size=100&page=2" | "/gone?size=100&page=2" => json(r#"[{"id":"3"}]"#),
        "/short?size=100&page=3" => json("[]"),
        "/linked" => Response(
            200,
            "Link: </linked?of=1,2&page=1>; rel=\"first\", </linked?of=1,2&page=2>; title=\"a, b\"; rel=\"next\"\r\n"
                .into(),
            r#"[{"id":"1"},{"id":"2"}]"#.into(),
        ),
        "/linked?of=1,2&page=2" => json(r#"[{"id":"3"}]"#),
        "/same?page=1" | "/same?page=2" => json(r#"[{"id":"1"}]"#),
        _ => Response(404, String::new(), String::new()),
    });
    let read = async |path: &str, more: &[(&str, &str)]| {
        let request = format!("GET {path}");
        let entity: Vec<_> = [("list.request", request.as_str())].into_iter().chain(more.iter().copied()).collect();
        pages(&*source(&*system(&server, &[]), &entity, &[("id", TEXT)]), None).await
    };
    let counted = [("list.page.parameter", "page"), ("list.size.parameter", "size"), ("list.size.rows", "100")];
    assert_eq!(keys(&read("/short", &counted).await.unwrap().1), "1 2 3", "a short page is not the last one");
    assert_eq!(keys(&read("/gone", &counted).await.unwrap().1), "1 2 3", "behind the last page is nothing");
    assert_eq!(keys(&read("/linked", &[]).await.unwrap().1), "1 2 3", "a comma in an address ends no link");
    let fault = read("/same", &counted[..1]).await.unwrap_err();
    assert_eq!(fault.code.0, "IB0510", "a parameter that the API does not know: {fault}");
    let fault = read("/nowhere", &counted).await.unwrap_err();
    assert_eq!(fault.code.0, "IB0602", "no page at all: {fault}");
}

#[tokio::test]
async fn what_was_answered_before_a_limit_is_not_asked_again() {
    let seen = AtomicUsize::new(0);
    let server =
        Server::start(move |request| match (request.method.as_str(), seen.fetch_add(1, Ordering::SeqCst) % 4) {
            (_, 3) => Response(429, "Retry-After: 0\r\n".into(), String::new()),
            ("GET", _) => json(r#"{"total":5}"#),
            _ => Response(201, String::new(), String::new()),
        });
    let entity = options(&[("create", "POST /orders/{ref}"), ("exists", "GET /orders/{ref}")]);
    let sink = system(&server, &[]).sink(of_orders(entity)).unwrap();
    let keys: Vec<Key> = (1..5).map(|at| Key::of(&[Value::Int(at)]).unwrap()).collect();
    let found = sink.current(&keys, &["total".to_owned()]).await.unwrap();
    assert_eq!(found.iter().flatten().count(), 4);
    let orders: Vec<String> = server.take().into_iter().map(|request| request.path).collect();
    assert_eq!(orders, ["/orders/1", "/orders/2", "/orders/3", "/orders/4", "/orders/4"]);
    let changes: Vec<_> = keys.into_iter().map(|key| order(key, 6)).collect();
    assert!(sink.apply(&changes).await.unwrap().iter().all(Result::is_ok));
    let orders: Vec<String> = server.take().into_iter().map(|request| request.path).collect();
    assert_eq!(orders, ["/orders/1", "/orders/2", "/orders/3", "/orders/3", "/orders/4"]);
}

#[tokio::test]
async fn a_list_that_has_not_changed_is_not_sent_again() {
    let server = Server::start(|request| match request.header("if-none-match") {
        Some("\"v1\"") => Response(304, "ETag: \"v1\"\r\n".into(), String::new()),
        _ => Response(
            200,
            "ETag: \"v1\"\r\nContent-Type: application/json\r\n".into(),
            r#"[{"id":1},{"id":2},{"id":3}]"#.into(),
        ),
    });
    let system = system(&server, &[]);
    let source = source(&*system, &[("list.request", "GET /all")], &[("id", Type::WholeNumber)]);
    let (kind, first) = pages(&*source, None).await.unwrap();
    assert_eq!((kind, keys(&first).as_str(), first.len()), (FULL, "1 2 3", 2), "pages are no larger than asked");
    let (kind, again) = pages(&*source, first[1].cursor.as_deref()).await.unwrap();
    assert_eq!((kind, again.len()), (ReadKind::Changes, 0));
}

#[tokio::test]
async fn values_have_the_declared_types_and_a_bad_one_is_set_aside() {
    let server = Server::start(|_| {
        json(
            r#"[{"id":1,"total":12345678901234567.123456789,"at":"2026-11-23T10:00:00+01:00","due":"2026-11-23","lines":[{"sku":"A","qty":"2.50"}]},
                {"id":2,"total":"a lot"}]"#,
        )
    });
    let system = system(&server, &[]);
    let lines = Type::Lines(Schema::of([("sku", TEXT), ("qty", Type::Decimal { scale: None })]));
    let declared = [
        ("id", Type::WholeNumber),
        ("total", Type::Decimal { scale: None }),
        ("at", Type::DateTime),
        ("due", Type::Date),
        ("lines", lines),
    ];
    let source = source(&*system, &[("list.request", "GET /all")], &declared);
    let (_, pages) = pages(&*source, None).await.unwrap();
    let row = pages[0].batch.row(0).to_row();
    assert_eq!(row.get("total"), Some(&Value::Decimal("12345678901234567.123456789".parse().unwrap())), "every digit");
    assert_eq!(row.get("at"), Some(&Value::Instant("2026-11-23T09:00:00Z".parse().unwrap())));
    assert_eq!(row.get("due"), Some(&Value::Date("2026-11-23".parse().unwrap())));
    let Some(Value::Rows(lines)) = row.get("lines") else { panic!("{row:?}") };
    assert_eq!(lines[0].get("qty"), Some(&Value::Decimal("2.50".parse().unwrap())));
    let bad = &pages[0].unreadable[0];
    assert_eq!(bad.row.get("id"), Some(&Value::Int(2)));
    assert_eq!(bad.fault.place.column.as_deref(), Some("total"));
    assert!(bad.fault.what.contains("no number"), "{}", bad.fault);
}

#[tokio::test]
async fn several_rows_are_found_with_one_request() {
    let server = Server::start(|request| match request.path.as_str() {
        "/track?numbers=B%2CA" => {
            json(r#"{"shipments":[{"number":"A","state":"here"},{"number":"B","state":"there"}]}"#)
        }
        "/track?numbers=C" => json(r#"{"shipments":null}"#),
        other => Response(404, String::new(), other.to_owned()),
    });
    let system = system(&server, &[]);
    let find = [
        ("find.by", "[number]"),
        ("find.request", "GET /track?numbers={number}"),
        ("find.at_most", "2"),
        ("find.rows", "shipments"),
    ];
    let source = source(&*system, &find, &[("number", TEXT), ("state", TEXT)]);
    let wanted: Vec<Key> = ["B", "A", "C"].iter().map(|text| Key::of(&[Value::text(*text)]).unwrap()).collect();
    let rows = source.get(&wanted).await.unwrap();
    let states: Vec<String> = rows
        .iter()
        .map(|row| row.as_ref().map_or("none".to_owned(), |row| row.get("state").unwrap().to_string()))
        .collect();
    assert_eq!(states, ["there", "here", "none"]);
    assert_eq!(server.lines(), ["GET /track?numbers=B%2CA", "GET /track?numbers=C"]);
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_asked_about_before_it_is_repeated() {
    let lost = Arc::new(AtomicUsize::new(0));
    let times = lost.clone();
    let server = Server::start(move |request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/orders") if times.fetch_add(1, Ordering::SeqCst) == 0 => Response(502, String::new(), String::new()),
        ("GET", "/orders?ref=O-1") => json(r#"{"items":[{"id":7,"ref":"O-1","total":5}]}"#),
        ("PUT", "/orders/7") => json(r#"{"id":7}"#),
        _ => Response(500, String::new(), String::new()),
    });
    let entity = options(&[
        ("create", "POST /orders"),
        ("update", "PUT /orders/{number}"),
        ("exists", "GET /orders?ref={ref}"),
        ("returns.number", "id"),
    ]);
    let sink = system(&server, &[]).sink(of_orders(entity)).unwrap();
    let change = order(Key::of(&[Value::text("O-1")]).unwrap(), 6);
    sink.apply(std::slice::from_ref(&change)).await.unwrap_err();
    let written = sink.apply(&[change]).await.unwrap().remove(0).unwrap();
    assert_eq!((written.effect, written.remote_id.as_deref()), (Effected::Updated, Some("7")));
    assert_eq!(server.lines(), ["POST /orders", "GET /orders?ref=O-1", "PUT /orders/7"]);
}

/// A create that takes longer than the hub waits: the next try meets it while it is still under way.
#[tokio::test]
async fn a_conflict_is_a_row_that_is_there_or_one_that_is_being_made() {
    let order = |total| order(Key::of(&[Value::text("O-1")]).unwrap(), total);
    let entity = [
        ("create", "POST /orders"),
        ("update", "PUT /orders/{number}"),
        ("exists", "GET /orders?ref={ref}"),
        ("returns.number", "id"),
    ];
    let (posts, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let server = Server::start(move |request| match request.method.as_str() {
        "POST" => match posts.fetch_add(1, Ordering::SeqCst) {
            0 => Response(504, String::new(), String::new()),
            _ => Response(409, String::new(), r#"{"message":"a request with this key is in progress"}"#.into()),
        },
        "GET" => match asked.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => json("[]"),
            _ => json(r#"[{"id":7,"ref":"O-1","total":5}]"#),
        },
        _ => json(r#"{"id":7}"#),
    });
    let sink = system(&server, &[]).sink(of_orders(options(&entity))).unwrap();
    sink.apply(&[order(6)]).await.unwrap_err();
    let fault = sink.apply(&[order(6)]).await.unwrap().remove(0).unwrap_err();
    assert!(fault.is_transient() && fault.scope == record::Scope::Row, "{fault:?}");
    let written = sink.apply(&[order(6)]).await.unwrap().remove(0).unwrap();
    assert_eq!((written.effect, written.remote_id.as_deref()), (Effected::Updated, Some("7")));
    // Of a row that nobody tried before, it says that it is somebody else's; and a row that somebody has open is waited for.
    for (status, transient) in [(409, false), (423, true), (422, false)] {
        let server = Server::start(move |request| match request.method.as_str() {
            "GET" => json("[]"),
            _ => Response(status, String::new(), String::new()),
        });
        let sink = system(&server, &[]).sink(of_orders(options(&entity))).unwrap();
        let fault = sink.apply(&[order(6)]).await.unwrap().remove(0).unwrap_err();
        assert_eq!((fault.is_transient(), fault.scope), (transient, record::Scope::Row), "{status}");
    }
}

/// What it answers to `exists:` has our key, and not the number by which rows are changed.
#[tokio::test]
async fn a_row_that_is_there_without_its_number_is_not_made_once_more() {
    let server = Server::start(|request| match request.path.as_str() {
        "/orders?ref=O-1" => json(r#"[{"ref":"O-1","total":5}]"#),
        "/orders?ref=O-2" => json("{}"),
        _ => json(r#"{"id":8}"#),
    });
    let entity = options(&[
        ("create", "POST /orders"),
        ("update", "PUT /orders/{number}"),
        ("exists", "GET /orders?ref={ref}"),
        ("returns.number", "id"),
    ]);
    let sink = system(&server, &[]).sink(of_orders(entity)).unwrap();
    let mut outcomes = Vec::new();
    for key in ["O-1", "O-2"] {
        let key = Key::of(&[Value::text(key)]).unwrap();
        let there = sink.current(std::slice::from_ref(&key), &["total".to_owned()]).await.unwrap();
        assert_eq!(there[0].is_some(), key.to_string() == "O-1");
        outcomes.extend(sink.apply(&[order(key, 6)]).await.unwrap());
    }
    let fault = outcomes[0].as_ref().unwrap_err();
    assert!(fault.what.contains("the row is there") && fault.what.contains("has no `id`"), "{fault}");
    assert_eq!(outcomes[1].as_ref().unwrap().remote_id.as_deref(), Some("8"));
    assert_eq!(server.lines().iter().filter(|line| line.starts_with("POST")).count(), 1);
}

#[tokio::test]
async fn a_message_has_one_idempotency_key_and_the_next_that_says_the_same_another() {
    let server = Server::start(|_| Response(500, String::new(), String::new()));
    let entity = options(&[("create", "POST /orders"), ("idempotency_key", "X-Once")]);
    let sink = system(&server, &[]).sink(of_orders(entity)).unwrap();
    let order = |number: &str| order(Key::of(&[Value::text(number)]).unwrap(), 6);
    let (one, two) = ("1".repeat(32), "2".repeat(32));
    for message in [&one, &one, &two] {
        sink.apply_once(message, &[order("O-1"), order("O-2")]).await.unwrap();
    }
    // A run that begins again knows nothing but what it writes.
    for _ in 0..2 {
        sink.apply(&[order("O-1")]).await.unwrap();
    }
    let keys: Vec<String> = server.take().iter().map(|request| request.header("x-once").unwrap().to_owned()).collect();
    assert_eq!((&keys[0..2], &keys[6]), (&keys[2..4], &keys[7]), "{keys:?}");
    let mut different = vec![&keys[0], &keys[1], &keys[4], &keys[5], &keys[6]];
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 5, "{keys:?}");
}

#[tokio::test]
async fn what_the_other_side_calls_a_request_stands_in_the_fault() {
    let server = Server::start(|request| match request.path.as_str() {
        "/named" => Response(422, "X-Request-Id: R-77 a\r\n".into(), r#"{"message":"no"}"#.into()),
        _ => Response(422, String::new(), r#"{"message":"no"}"#.into()),
    });
    let system = system(&server, &[]);
    let list = |path| [("list.request", path)];
    for (path, id) in [("GET /named", Some("R-77a")), ("GET /nameless", None)] {
        let fault = pages(&*source(&*system, &list(path), &[("id", TEXT)]), None).await.unwrap_err();
        assert_eq!(fault.why.unwrap().request_id.as_deref(), id, "{path}");
    }
}

/// A request that names what no row says is told when the mapping is looked at, and not of each row.
#[test]
fn a_request_names_what_is_known_of_a_row() {
    let server = Server::start(|_| json("{}"));
    let system = system(&server, &[]);
    let all = |option, request| options(&[("create", "POST /orders"), ("returns.number", "id"), (option, request)]);
    for (option, request, unknown) in [
        ("exists", "GET /orders?ref={no}", Some("no")),
        ("exists", "GET /orders?total={total}", Some("total")),
        ("exists", "GET /orders/{number}", Some("number")),
        ("update", "PUT /orders/{id}", Some("id")),
        ("delete", "DELETE /orders/{total}", Some("total")),
        ("exists", "GET /orders?ref={ref}", None),
        ("update", "PUT /orders/{number}?total={total}&ref={ref}", None),
        ("delete", "DELETE /orders/{number}", None),
    ] {
        let said = system.sink(of_orders(all(option, request))).err();
        assert_eq!(said.is_some(), unknown.is_some(), "{request}: {said:?}");
        if let (Some(fault), Some(unknown)) = (said, unknown) {
            assert_eq!(fault.code.0, "IB0510");
            assert!(
                fault.what.contains(&format!("`{option}:`")) && fault.what.contains(&format!("`{unknown}`")),
                "{fault}"
            );
            assert!(fault.fix.contains("ref"), "{}", fault.fix);
        }
    }
}
