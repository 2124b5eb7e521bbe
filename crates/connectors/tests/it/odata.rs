//! OData services, judged by the local Dataverse behind a `$metadata` of its own, and by a scripted server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use record::{
    Change, Effected, Key, Now, Op, OptionValue, Options, ReadKind, ReadSpec, Row, Schema, Sink, System, Type, Value,
    Watermark, WriteSpec,
};

use crate::web::{Request, Response, Server, forward, json};

const CSDL: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
 <Schema Namespace="sample" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="account"><Key><PropertyRef Name="accountid"/></Key>
   <Property Name="accountid" Type="Edm.Guid" Nullable="false"/>
   <Property Name="accountnumber" Type="Edm.String" MaxLength="20"/>
   <Property Name="name" Type="Edm.String" MaxLength="160"/>
   <Property Name="description" Type="Edm.String" MaxLength="2000"/>
   <Property Name="creditlimit" Type="Edm.Decimal" Scale="2"/>
   <Property Name="numberofemployees" Type="Edm.Int32"/>
   <Property Name="lastusedincampaign" Type="Edm.DateTimeOffset"/>
   <Property Name="modifiedon" Type="Edm.DateTimeOffset"/></EntityType>
  <EntityContainer Name="Service"><EntitySet Name="accounts" EntityType="sample.account"/></EntityContainer>
 </Schema></edmx:DataServices></edmx:Edmx>"#;

fn metadata() -> Response {
    Response(200, "Content-Type: application/xml\r\n".to_owned(), CSDL.to_owned())
}

/// A server that says what the service has, and hands everything else on.
pub fn in_front_of(url: &str) -> Server {
    let to = url.to_owned();
    Server::start(move |request| {
        if request.header("authorization") == Some("Bearer stranger") {
            return Response(403, String::new(), "{\"error\":{\"message\":\"not yours\"}}".to_owned());
        }
        let authorized = request.header("authorization") == Some("Bearer local");
        if request.path.ends_with("/$metadata") && authorized { metadata() } else { forward(&to, request) }
    })
}

fn open(url: &str, more: &[(&str, &str)]) -> Arc<dyn System> {
    let all = [("url", url)].into_iter().chain(more.iter().copied());
    let pairs = all.map(|(name, value)| (name.to_owned(), OptionValue::Text(value.to_owned())));
    (connectors::registry::find("odata").unwrap().open)("bc", Options(pairs.collect())).unwrap()
}

fn spec(columns: &[&str]) -> ReadSpec {
    ReadSpec {
        table: "accounts".into(),
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        declared: Vec::new(),
        watermark: None,
        key: vec![columns[0].to_owned()],
        rows_per_batch: 100,
        time_zone: None,
        fields: Vec::new(),
        options: Options::default(),
    }
}

fn sink(system: &dyn System) -> Arc<dyn Sink> {
    let spec = WriteSpec {
        table: "accounts".into(),
        key: vec!["accountnumber".into()],
        columns: vec!["name".into()],
        time_zone: None,
        fields: Vec::new(),
        lines: Vec::new(),
        options: Options::default(),
    };
    system.sink(spec).unwrap()
}

fn change(key: &str, columns: &[(&str, Value)]) -> Change {
    let schema = Schema::of(columns.iter().map(|(name, _)| (*name, Type::Unknown)));
    Change {
        op: Op::Upsert,
        key: Key::of(&[Value::text(key)]).unwrap(),
        columns: Row::new(schema, columns.iter().map(|(_, value)| value.clone()).collect()),
        remote_id: None,
        if_version: None,
    }
}

async fn read(system: &dyn System, spec: ReadSpec, cursor: Option<&str>) -> (ReadKind, Vec<Row>, Option<String>) {
    let mut reader = system.source(spec).unwrap().read(cursor).await.unwrap();
    let (mut rows, mut last) = (Vec::new(), None);
    while let Some(page) = reader.next().await.unwrap() {
        rows.extend(page.batch.rows().map(|row| row.to_row()));
        last = page.cursor;
    }
    (reader.kind(), rows, last)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_written_in_one_batch_and_read_by_what_changed() {
    use emulator::dataverse::{Config, start};
    let handle = start(Config { token: Some("local".into()), ..Config::default() }).await.unwrap();
    let server = in_front_of(&handle.url);
    let system = open(&format!("{}/api/data/v9.2", server.url), &[("bearer", "local"), ("page_rows", "2")]);
    let sink = sink(&*system);
    let new: Vec<Change> =
        (1..=5).map(|n| change(&format!("B-{n}"), &[("name", Value::text(format!("O'Neil {n}")))])).collect();
    let outcomes = sink.apply(&new).await.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap().effect == Effected::Created), "{outcomes:?}");
    let batches = server.lines().iter().filter(|line| line.contains("$batch")).count();
    assert_eq!(batches, 1, "five rows are one request");
    // They are changed under the ids that the service gave.
    let keys = [new[0].key.clone(), Key::of(&[Value::text("B-9")]).unwrap()];
    let current = sink.current(&keys, &["name".to_owned()]).await.unwrap();
    let known = current[0].clone().unwrap();
    assert_eq!(known.columns.get("name"), Some(&Value::text("O'Neil 1")));
    assert!(known.version.is_some() && current[1].is_none());
    let remote_id = known.remote_id.clone();
    let outcomes = sink.apply(&[Change { remote_id, ..change("B-1", &[("name", Value::text("Neu"))]) }]).await.unwrap();
    assert_eq!(outcomes[0].as_ref().unwrap().effect, Effected::Updated);
    // A version that is no longer there is not written over.
    let stale = Change {
        remote_id: known.remote_id.clone(),
        if_version: known.version.clone(),
        ..change("B-1", &[("name", Value::text("Alt"))])
    };
    let fault = sink.apply(&[stale]).await.unwrap().remove(0).unwrap_err();
    assert!(fault.what.contains("meanwhile") && fault.is_transient(), "{fault}");

    let watermark = Watermark { column: "modifiedon".into(), overlap: std::time::Duration::ZERO };
    let spec = ReadSpec { watermark: Some(watermark), ..spec(&["accountnumber", "name", "modifiedon"]) };
    let (kind, rows, cursor) = read(&*system, spec.clone(), None).await;
    assert_eq!((kind, rows.len()), (ReadKind::Full { why: None }, 5));
    assert!(matches!(rows[0].get("modifiedon"), Some(Value::Instant(_))), "{:?}", rows[0]);
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    sink.apply(&[Change { remote_id: known.remote_id, ..change("B-1", &[("name", Value::text("Newer"))]) }])
        .await
        .unwrap();
    server.take();
    let (kind, rows, _) = read(&*system, spec, cursor.as_deref()).await;
    let names: Vec<String> = rows.iter().map(|row| row.get("name").unwrap().to_string()).collect();
    assert_eq!(kind, ReadKind::Changes);
    assert!(names.contains(&"Newer".to_owned()), "{names:?}");
    let asked = server.lines();
    assert!(asked[0].contains("modifiedon%20ge%20202"), "{asked:?}");
    handle.shutdown().await;
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_row() {
    // It takes the batch, and its answer is lost; when asked, it has the row.
    let lost = Arc::new(AtomicBool::new(false));
    let seen = lost.clone();
    let server = Server::start(move |request: &Request| match request.path.as_str() {
        "/$metadata" => metadata(),
        "/$batch" if !seen.swap(true, Ordering::SeqCst) => Response(502, String::new(), String::new()),
        "/$batch" => {
            assert!(
                request.body.contains("PATCH accounts(5d115c9c-44e3-ea11-bb43-000d3a2feca1) HTTP/1.1"),
                "{request:?}"
            );
            let part = "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n--b--\r\n";
            Response(200, "Content-Type: multipart/mixed; boundary=b\r\n".into(), part.into())
        }
        _ => json(r#"{"value":[{"accountid":"5d115c9c-44e3-ea11-bb43-000d3a2feca1","accountnumber":"C-1"}]}"#),
    });
    let sink = sink(&*open(&server.url, &[]));
    let new = [change("C-1", &[("name", Value::text("Acme"))])];
    let fault = sink.apply(&new).await.unwrap_err();
    assert!(matches!(fault.now, Now::RetryAfter(_)), "{fault}");
    let outcomes = sink.apply(&new).await.unwrap();
    assert_eq!(outcomes[0].as_ref().unwrap().effect, Effected::Updated);
    let lines = server.lines();
    assert_eq!(lines.iter().filter(|line| line.starts_with("POST /$batch")).count(), 2, "{lines:?}");
}

#[tokio::test]
async fn two_rows_with_one_key_and_a_wrong_address_say_so() {
    let twice = r#"{"value":[{"accountid":"5d115c9c-44e3-ea11-bb43-000d3a2feca1","accountnumber":"C-1"},
        {"accountid":"5d115c9c-44e3-ea11-bb43-000d3a2feca2","accountnumber":"C-1"}]}"#;
    let server = Server::start(move |request| if request.path == "/$metadata" { metadata() } else { json(twice) });
    let system = open(&server.url, &[]);
    let delete = Change { op: Op::Delete, ..change("C-1", &[]) };
    let fault = sink(&*system).apply(&[delete]).await.unwrap().remove(0).unwrap_err();
    assert!(fault.what.contains("several rows with the key C-1"), "{fault}");
    let page = Server::start(|_| Response(200, "Content-Type: text/html\r\n".into(), "<html>sign in</html>".into()));
    let fault = open(&page.url, &[]).check().await.unwrap_err();
    assert_eq!(fault.now, Now::AskPerson);
    assert!(fault.what.contains("it is no CSDL"), "{fault}");
}
