//! Bad days: faults, limits and what can be read of them.

use std::time::{Duration, Instant};

use emulator::dataverse::{Config, Error, Limits, start};

use crate::{env, env_with};

#[tokio::test]
async fn faults_are_switched_at_run_time() {
    let env = env().await;
    for (spec, status, retry) in
        [("429:7s", 429, "7"), ("503", 503, "1"), ("down", 503, "1"), ("401", 401, ""), ("500", 500, "")]
    {
        assert_eq!(env.send("POST /emulator/fault", &[], spec).await.status, 200);
        let answer = env.get("WhoAmI").await;
        assert_eq!((answer.status, answer.header("retry-after")), (status, retry), "{spec}");
    }
    env.send("POST /emulator/fault", &[], "429@first:1,503@after:2").await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(env.get("WhoAmI").await.status);
    }
    assert_eq!(statuses, [429, 200, 503]);
    assert_eq!(env.get("/emulator/fault").await.json()["fault"], "429@first:1,503@after:2");
    assert_eq!(env.send("POST /emulator/fault", &[], "flood").await.status, 400);
    env.send("POST /emulator/fault", &[], "slow:200ms").await;
    let began = Instant::now();
    assert_eq!(env.get("WhoAmI").await.status, 200);
    assert!(began.elapsed() >= Duration::from_millis(200));
    env.send("POST /emulator/fault", &[], "").await;
    assert_eq!(env.get("WhoAmI").await.status, 200);
    assert_eq!(env.stats().await["faults"]["429"], 2);
    let wrong = start(Config { faults: "flood".into(), ..Config::default() }).await;
    assert!(matches!(wrong, Err(Error::Fault { .. })));
}

#[tokio::test]
async fn a_dropped_answer_is_done_and_a_cut_one_is_not() {
    let env = env().await;
    for (spec, name) in [("drop", "dropped"), ("cut", "cut")] {
        env.send("POST /emulator/fault", &[], spec).await;
        let answer = env.try_send("POST accounts", &[], &format!(r#"{{"name":"{name}"}}"#)).await;
        assert!(answer.is_err(), "{spec}: {answer:?}");
    }
    env.send("POST /emulator/fault", &[], "").await;
    assert_eq!(env.values("accounts?$select=name", "name").await, ["dropped"]);
}

#[tokio::test]
async fn half_a_batch_is_answered_but_all_of_it_done() {
    let env = env().await;
    env.send("POST /emulator/fault", &[], "half-batch").await;
    let part = "--b\r\nContent-Type: application/http\r\n\r\nPOST accounts HTTP/1.1\r\n\r\n{\"name\":\"x\"}\r\n";
    let kind = [("Content-Type", "multipart/mixed; boundary=b")];
    let answer = env.send("POST $batch", &kind, &format!("{}--b--\r\n", part.repeat(4))).await;
    assert_eq!(answer.text.matches("HTTP/1.1 204").count(), 2);
    assert_eq!(env.get("accounts/$count").await.text, "\u{feff}4");
}

#[tokio::test]
async fn service_protection() {
    let limits = Limits { requests: 3, window: Duration::from_secs(60), ..Limits::real() };
    let env = env_with(Config { limits: Some(limits), ..Config::default() }).await;
    for left in ["2", "1", "0"] {
        let answer = env.get("WhoAmI").await;
        assert_eq!(answer.header("x-ms-ratelimit-burst-remaining-xrm-requests"), left);
        assert!(!answer.header("x-ms-ratelimit-time-remaining-xrm-requests").is_empty());
    }
    let refused = env.get("WhoAmI").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.error().0, "0x80072322");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 59);
    let other = env.send("GET WhoAmI", &[("Authorization", "Bearer other")], "").await;
    assert_eq!(other.status, 200, "each user has limits of their own");
}

#[tokio::test]
async fn a_row_takes_its_time_and_nobody_else_waits_for_it() {
    let row_time = Duration::from_millis(100);
    let env = env_with(Config { row_time, at_once: 9, ..Config::default() }).await;
    let rows = r#"{"Targets":[{"@odata.type":"Microsoft.Dynamics.CRM.account","name":"a"},{"@odata.type":"Microsoft.Dynamics.CRM.account","name":"b"}]}"#;
    let took = async |request: &str, body: &str| {
        let began = Instant::now();
        let answer = env.send(request, &[], body).await;
        assert_eq!((answer.status / 100, answer.header("x-ms-dop-hint")), (2, "9"), "{}", answer.text);
        began.elapsed()
    };
    let multiple = "POST accounts/Microsoft.Dynamics.CRM.CreateMultiple";
    let began = Instant::now();
    let (first, second, look) = tokio::join!(took(multiple, rows), took(multiple, rows), took("GET WhoAmI", ""));
    assert!(first >= row_time * 2 && second >= row_time * 2, "{first:?} {second:?}");
    assert!(look < first, "{look:?}");
    assert!(began.elapsed() < row_time * 4, "one after the other: {:?}", began.elapsed());
}

#[tokio::test]
async fn what_was_done_can_be_counted() {
    let env = env().await;
    env.create("accounts", r#"{"name":"a"}"#).await;
    env.get("accounts").await;
    let stats = env.stats().await;
    assert_eq!((stats["requests"]["POST"].as_u64(), stats["requests"]["GET"].as_u64()), (Some(1), Some(1)));
    assert_eq!(stats["rows"]["account"]["created"], 1);
    env.send("POST /emulator/stats/reset", &[], "").await;
    assert!(env.stats().await["rows"].as_object().unwrap().is_empty());
    assert_eq!(env.get("/emulator/nosuch").await.status, 404);
}
