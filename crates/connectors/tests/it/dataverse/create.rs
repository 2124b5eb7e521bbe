//! New rows, many by one request.

use std::time::Duration;

use record::{Attempt, Change, Fault, Now, Op, OptionValue, Options, Sink, System, Value};

use super::{Config, Handle, change, effects, environment, named, options, set_faults, start, to, write};

fn system(handle: &Handle, create_rows: i64) -> std::sync::Arc<dyn System> {
    let mut options: Options = options(&[("url", &handle.url), ("token", "local")]);
    options.0.insert("create_rows".into(), OptionValue::Number(create_rows.into()));
    (connectors::registry::find("dataverse").unwrap().open)("dynamics", options).unwrap()
}

fn accounts(handle: &Handle, create_rows: i64) -> std::sync::Arc<dyn Sink> {
    system(handle, create_rows).sink(write("account", "accountnumber")).unwrap()
}

fn rows(from: u32, to: u32) -> Vec<Change> {
    (from..=to).map(|i| named(&format!("C-{i:03}"))).collect()
}

/// `c` created, `-` not, `?` not known.
fn told(attempts: Result<Vec<Attempt>, Fault>) -> String {
    let one = |attempt: Attempt| match attempt {
        Attempt::Created(written) => {
            assert!(written.remote_id.is_some());
            'c'
        }
        Attempt::Not => '-',
        Attempt::Unknown => '?',
    };
    attempts.unwrap().into_iter().map(one).collect()
}

async fn stats(handle: &Handle) -> serde_json::Value {
    let text = reqwest::get(format!("{}/emulator/stats", handle.url)).await.unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn new_rows_take_one_request_and_no_look() {
    let handle = environment("").await;
    let sink = accounts(&handle, 10);
    assert_eq!(sink.rows_per_create(), 40);
    assert_eq!(told(sink.create(&rows(1, 25)).await), "c".repeat(25));
    let stats = stats(&handle).await;
    assert_eq!(stats["requests"]["CreateMultiple"], 3, "{stats}");
    assert_eq!(stats["rows"]["account"]["created"], 25, "{stats}");
    // What is there already is not made again, and what is new with it goes the usual way.
    assert_eq!(told(sink.create(&rows(21, 40)).await), format!("{}{}", "-".repeat(10), "c".repeat(10)));
    assert!(effects(&sink.apply(&rows(21, 30)).await.unwrap()).iter().all(Result::is_ok));
    handle.shutdown().await;
}

#[tokio::test]
async fn as_many_requests_at_a_time_as_the_service_asks_for() {
    let config =
        Config { token: Some("local".into()), at_once: 6, row_time: Duration::from_millis(50), ..Config::default() };
    let handle = start(config).await.unwrap();
    let sink = accounts(&handle, 5);
    assert_eq!(sink.rows_per_create(), 20, "four requests, before it said anything");
    assert_eq!(told(sink.create(&rows(1, 1)).await), "c");
    assert_eq!(sink.rows_per_create(), 30);
    let most = async {
        let mut most = 0;
        while most < 6 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            most = most.max(stats(&handle).await["under_way"].as_u64().unwrap());
        }
        most
    };
    let some = rows(2, 41);
    let (created, most) = tokio::join!(sink.create(&some), tokio::time::timeout(Duration::from_secs(20), most));
    assert_eq!(told(created), "c".repeat(40));
    assert_eq!(most, Ok(6));
    handle.shutdown().await;
}

#[tokio::test]
async fn a_bad_row_takes_only_its_request_along() {
    let handle = environment("").await;
    let sink = accounts(&handle, 5);
    let mut some = rows(1, 15);
    some[6] = change(Op::Upsert, "C-bad", &[("name", Value::text("x".repeat(161)))]);
    assert_eq!(told(sink.create(&some).await), "ccccc-----ccccc");
    // What this side sees itself goes alone: the others are written.
    let mut some = rows(21, 25);
    some[2] = change(Op::Upsert, "C-none", &[("nmae", Value::text("x"))]);
    some[3] = change(Op::Upsert, "C-closed", &[("statecode", Value::Int(1))]);
    some[4] = change(Op::Delete, "C-001", &[]);
    assert_eq!(told(sink.create(&some).await), "cc---");
    handle.shutdown().await;
}

#[tokio::test]
async fn rows_that_point_to_each_other_go_one_after_the_other() {
    let handle = environment("").await;
    let sink = accounts(&handle, 10);
    assert_eq!(told(sink.create(&[named("P-1"), named("P/2")]).await), "cc");
    let under = |key: &str, parent: &str| {
        change(Op::Upsert, key, &[("parentaccountid", to("account", "accountnumber", parent))])
    };
    let some = [under("A", "P-1"), under("B", "P/2"), under("C", "a"), named("D")];
    assert_eq!(told(sink.create(&some).await), "cc-c");
    assert_eq!(told(sink.create(&[named("E"), under("F", "nobody")]).await), "--");
    handle.shutdown().await;
}

#[tokio::test]
async fn bad_days_make_no_row_twice() {
    let handle = environment("").await;
    let sink = accounts(&handle, 5);
    assert_eq!(told(sink.create(&rows(1, 5)).await), "ccccc");
    set_faults(&handle, "drop@100%").await;
    assert_eq!(told(sink.create(&rows(11, 20)).await), "?".repeat(10));
    set_faults(&handle, "429:1s@100%").await;
    let fault = sink.create(&rows(21, 30)).await.unwrap_err();
    assert_eq!((fault.code.0, fault.now), ("IB0507", Now::RetryAfter(Some(std::time::Duration::from_secs(1)))));
    set_faults(&handle, "").await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(told(sink.create(&rows(11, 30)).await), format!("{}{}", "-".repeat(10), "c".repeat(10)));
    assert_eq!(stats(&handle).await["rows"]["account"]["created"], 25);
    handle.shutdown().await;
}

#[tokio::test]
async fn a_table_without_the_message_and_a_target_that_is_full_are_left_to_the_usual_way() {
    let handle = environment("").await;
    let http = reqwest::Client::new();
    let api = |path: &str| format!("{}/api/data/v9.2/{path}", handle.url);
    let filter = "sdkmessagefilters?$select=sdkmessagefilterid&$filter=sdkmessageid/name eq 'CreateMultiple' and primaryobjecttypecode eq 'account'";
    let found = http.get(api(filter)).bearer_auth("local").send().await.unwrap().text().await.unwrap();
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    let id = found["value"][0]["sdkmessagefilterid"].as_str().unwrap_or_else(|| panic!("{found}"));
    let gone = http.delete(api(&format!("sdkmessagefilters({id})"))).bearer_auth("local").send().await.unwrap();
    assert_eq!(gone.status().as_u16(), 204);
    let sink = accounts(&handle, 5);
    assert_eq!(told(sink.create(&rows(1, 5)).await), "-----");
    assert_eq!(sink.rows_per_create(), 0);
    let none = accounts(&handle, 0);
    assert_eq!((none.rows_per_create(), told(none.create(&rows(1, 2)).await)), (0, "--".to_owned()));

    let contacts = system(&handle, 1).sink(write("contact", "new_number")).unwrap();
    let people: Vec<Change> =
        (1..=40).map(|i| change(Op::Upsert, &i.to_string(), &[("lastname", Value::text("Sample"))])).collect();
    assert!(contacts.apply(&people).await.unwrap().iter().all(Result::is_ok));
    assert_eq!(contacts.rows_per_create(), 4);
    assert_eq!(told(contacts.create(&people).await), "-".repeat(40));
    assert_eq!(contacts.rows_per_create(), 0, "trying costs more than it saves");
    handle.shutdown().await;
}
