//! Webhooks, from their registration to what arrives.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::{Env, env};

/// A webhook that answers with each of `statuses` in turn, then with 200, and gives on what it got.
async fn hook(statuses: &'static [u16]) -> (String, mpsc::Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel(100);
    tokio::spawn(async move {
        let mut statuses = statuses.iter();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let body_at = loop {
                let mut chunk = [0; 4096];
                let read = stream.read(&mut chunk).await.unwrap();
                request.extend_from_slice(&chunk[..read]);
                if let Some(at) = request.windows(4).position(|four| four == b"\r\n\r\n") {
                    break at + 4;
                }
            };
            let head = String::from_utf8(request[..body_at].to_vec()).unwrap().to_lowercase();
            let length: usize = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
            while request.len() < body_at + length {
                let mut chunk = [0; 4096];
                let read = stream.read(&mut chunk).await.unwrap();
                request.extend_from_slice(&chunk[..read]);
            }
            let status = statuses.next().unwrap_or(&200);
            stream.write_all(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").as_bytes()).await.unwrap();
            tell.send((head, serde_json::from_slice(&request[body_at..]).unwrap())).await.unwrap();
        }
    });
    (url, told)
}

/// Registers a step for a message on accounts; returns its id.
async fn register(env: &Env, url: &str, message: &str, more: &str) -> (String, String) {
    let auth = r#"<settings><setting name=\"x-key\" value=\"long\" /></settings>"#;
    let endpoint = format!(r#"{{"name":"hub","contract":8,"authtype":5,"authvalue":"{auth}","url":"{url}"}}"#);
    let endpoint = env.create("serviceendpoints", &endpoint).await;
    let sdk =
        env.values(&format!("sdkmessages?$select=name&$filter=name eq '{message}'"), "sdkmessageid").await.concat();
    let filter = env
        .values(
            &format!("sdkmessagefilters?$filter=primaryobjecttypecode eq 'account' and _sdkmessageid_value eq {sdk}"),
            "sdkmessagefilterid",
        )
        .await
        .concat();
    let body = format!(
        r#"{{"name":"step","mode":1,"stage":40,"rank":1,"supporteddeployment":0,"asyncautodelete":false,
            "sdkmessageid@odata.bind":"/sdkmessages({sdk})","sdkmessagefilterid@odata.bind":"/sdkmessagefilters({filter})",
            "eventhandler_serviceendpoint@odata.bind":"/serviceendpoints({endpoint})"{more}}}"#
    );
    (env.create("sdkmessageprocessingsteps", &body).await, endpoint)
}

fn value<'a>(pairs: &'a Value, key: &str) -> &'a Value {
    let found = pairs.as_array().unwrap().iter().find(|pair| pair["key"] == key);
    found.map_or(&Value::Null, |pair| &pair["value"])
}

async fn next(told: &mut mpsc::Receiver<(String, Value)>) -> (String, Value) {
    tokio::time::timeout(Duration::from_secs(10), told.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_change_is_told_with_everything_about_it() {
    let env = env().await;
    let (url, mut told) = hook(&[]).await;
    register(&env, &url, "Create", "").await;
    let (update, _) = register(&env, &url, "Update", r#","filteringattributes":"name,creditlimit""#).await;
    let (delete, _) = register(&env, &url, "Delete", "").await;
    for (step, alias) in [(&update, "before"), (&delete, "gone")] {
        let image = format!(
            r#"{{"name":"i","entityalias":"{alias}","imagetype":0,"messagepropertyname":"Target","attributes":"name,accountnumber","sdkmessageprocessingstepid@odata.bind":"/sdkmessageprocessingsteps({step})"}}"#
        );
        env.create("sdkmessageprocessingstepimages", &image).await;
    }

    let body = r#"{"name":"A","accountnumber":"C-1","creditlimit":10.50,"paymenttermscode":1}"#;
    let id = env.send("POST accounts?tag=ours", &[], body).await.id();
    let (head, context) = next(&mut told).await;
    for header in ["x-ms-dynamics-entity-name: account", "x-ms-dynamics-request-name: create", "x-key: long"] {
        assert!(head.contains(header), "{head}");
    }
    assert_eq!(context["MessageName"], "Create");
    assert_eq!(
        (context["PrimaryEntityId"].as_str(), context["PrimaryEntityName"].as_str()),
        (Some(id.as_str()), Some("account"))
    );
    assert_eq!(value(&context["SharedVariables"], "tag"), "ours");
    let target = value(&context["InputParameters"], "Target");
    assert_eq!(target["__type"], "Entity:http://schemas.microsoft.com/xrm/2011/Contracts");
    let attributes = &target["Attributes"];
    assert_eq!(value(attributes, "name"), "A");
    assert_eq!(value(attributes, "creditlimit")["Value"].to_string(), "10.5");
    assert_eq!(
        value(attributes, "paymenttermscode")["__type"],
        "OptionSetValue:http://schemas.microsoft.com/xrm/2011/Contracts"
    );
    assert_eq!(value(attributes, "ownerid")["LogicalName"], "systemuser");
    assert!(value(attributes, "createdon").as_str().unwrap().starts_with("/Date("));

    // A column that no step looks at says nothing.
    env.send(&format!("PATCH accounts({id})"), &[], r#"{"telephone1":"5"}"#).await;
    env.send(&format!("PATCH accounts({id})"), &[], r#"{"name":"B"}"#).await;
    let (_, context) = next(&mut told).await;
    assert_eq!(value(&value(&context["InputParameters"], "Target")["Attributes"], "name"), "B");
    assert_eq!(value(&value(&context["PreEntityImages"], "before")["Attributes"], "name"), "A");
    assert!(value(&context["PreEntityImages"], "before").get("__type").is_none());
    assert!(value(&context["PostEntityImages"], "AsynchronousStepPrimaryName").is_object());

    env.send(&format!("DELETE accounts({id})"), &[], "").await;
    let (_, context) = next(&mut told).await;
    let target = value(&context["InputParameters"], "Target");
    assert_eq!(
        (target["__type"].as_str().unwrap().split(':').next(), target["Id"].as_str()),
        (Some("EntityReference"), Some(id.as_str()))
    );
    assert_eq!(value(&value(&context["PreEntityImages"], "gone")["Attributes"], "accountnumber"), "C-1");

    // Nor what was done quietly.
    let quiet = [("MSCRM.BypassBusinessLogicExecution", "CustomSync,CustomAsync")];
    assert_eq!(env.send("POST accounts", &quiet, r#"{"name":"quiet"}"#).await.status, 204);
    // What was rolled back is not told; what a bulk message did is told row by row.
    let bad = r#"{"Targets":[{"@odata.type":"Microsoft.Dynamics.CRM.account","name":"x"},{"@odata.type":"Microsoft.Dynamics.CRM.account","creditlimit":-1}]}"#;
    env.send("POST accounts/Microsoft.Dynamics.CRM.CreateMultiple", &[], bad).await;
    let good = bad.replace("-1", "1");
    env.send("POST accounts/Microsoft.Dynamics.CRM.CreateMultiple", &[], &good).await;
    let (_, context) = next(&mut told).await;
    assert_eq!(value(&value(&context["InputParameters"], "Target")["Attributes"], "name"), "x");
    next(&mut told).await;
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn a_failure_is_final_but_for_one_second_chance_and_is_on_record() {
    let env = env().await;
    let (url, mut told) = hook(&[503, 200, 500, 502, 504]).await;
    register(&env, &url, "Create", "").await;
    let seen = async |told: &mut mpsc::Receiver<(String, Value)>, count: usize| {
        env.create("accounts", r#"{"name":"a"}"#).await;
        for _ in 0..count {
            next(told).await;
        }
    };
    seen(&mut told, 2).await;
    seen(&mut told, 1).await;
    seen(&mut told, 2).await;
    let mut codes = Vec::new();
    for _ in 0..100 {
        codes = env.values("asyncoperations?$select=statuscode,message&$orderby=asyncoperationid", "statuscode").await;
        if codes.len() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(codes, ["30", "31", "31"]);
    let sync = env.values("sdkmessageprocessingsteps?$select=name", "sdkmessageprocessingstepid").await.concat();
    env.check_errors(&[(
        &format!("PATCH sdkmessageprocessingsteps({sync})"),
        r#"{"mode":0}"#,
        501,
        "NotEmulated",
        "synchronous steps",
    )])
    .await;
}

/// The status codes of the system jobs, once there are so many.
async fn jobs(env: &Env, count: usize) -> Vec<String> {
    let mut codes = Vec::new();
    for _ in 0..200 {
        codes = env.values("asyncoperations?$select=statuscode,message&$orderby=asyncoperationid", "statuscode").await;
        if codes.len() == count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    codes
}

#[tokio::test]
async fn a_webhook_has_a_minute_and_a_time_out_is_final() {
    assert_eq!(emulator::dataverse::Config::default().webhook_timeout, Duration::from_secs(60));
    // A webhook that takes the event and says nothing, and then one that comes to its senses.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (tell, mut told) = mpsc::channel(100);
    tokio::spawn(async move {
        let mut silent = Vec::new();
        for count in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            tell.send(count).await.unwrap();
            if count == 0 {
                silent.push(stream);
                continue;
            }
            let mut request = [0; 65536];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        }
    });
    let short = emulator::dataverse::Config { webhook_timeout: Duration::from_millis(300), ..Default::default() };
    let env = crate::env_with(short).await;
    register(&env, &url, "Create", "").await;
    let begun = std::time::Instant::now();
    env.create("accounts", r#"{"name":"a"}"#).await;
    env.create("accounts", r#"{"name":"b"}"#).await;
    assert_eq!(jobs(&env, 2).await, ["31", "30"]);
    assert!(begun.elapsed() >= Duration::from_millis(300), "it was given its time");
    let said = env.values("asyncoperations?$filter=statuscode eq 31", "message").await.concat();
    assert!(said.contains("timed out at client side"), "{said}");
    // One attempt for each: what was not answered is not sent again.
    assert_eq!([told.recv().await, told.recv().await], [Some(0), Some(1)]);
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn what_nobody_listens_to_is_lost_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    drop(listener);
    let env = env().await;
    register(&env, &url, "Create", "").await;
    env.create("accounts", r#"{"name":"a"}"#).await;
    assert_eq!(jobs(&env, 1).await, ["31"]);
    // 429 and 500 are no reason to come again either.
    let (url, mut told) = hook(&[429, 500]).await;
    register(&env, &url, "Update", "").await;
    let id = env.create("accounts", r#"{"name":"b"}"#).await;
    for name in ["c", "d"] {
        env.send(&format!("PATCH accounts({id})"), &[], &format!(r#"{{"name":"{name}"}}"#)).await;
        next(&mut told).await;
    }
    assert_eq!(jobs(&env, 4).await, ["31"; 4]);
    assert!(told.try_recv().is_err());
}
