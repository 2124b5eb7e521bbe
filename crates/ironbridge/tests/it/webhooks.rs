//! An event comes in over HTTP: under its key, onto the disk, then the answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use hmac::{KeyInit, Mac};

use crate::support::{World, binary};

struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const EVENTS: &str = "integration: changes
pattern: event
entity: customer
from: finance
to: [dynamics]
trigger: { rows: [created, updated] }
because: Somebody waits for it.
owner: finance-it
purpose: A test.
";

/// The head of the answer.
fn ask(address: &str, method: &str, path: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split("\r\n\r\n").next().unwrap_or_default().to_owned()
}

#[test]
fn is_kept_before_it_is_answered_and_refused_without_its_key() {
    let world = World::new(10);
    world.edit(
        "systems/finance.yaml",
        "owner:",
        "webhooks: { header: x-hub-key, keys: [\"${env:HOOK_KEY}\"] }\nowner:",
    );
    std::fs::write(world.dir.join("integrations/changes.yaml"), EVENTS).unwrap();
    let finance = std::fs::read_to_string(world.dir.join("systems/finance.yaml")).unwrap();
    let signing = finance.replace("system: finance", "system: forge").replace("header: x-hub-key", "signed: github");
    std::fs::write(world.dir.join("systems/forge.yaml"), signing).unwrap();
    let events = EVENTS.replace("integration: changes", "integration: signed").replace("from: finance", "from: forge");
    std::fs::write(world.dir.join("integrations/signed.yaml"), events).unwrap();
    // What comes in stays in the queue, to be counted.
    for name in ["changes", "signed"] {
        world.ironbridge(&["pause", name, "--note", "a test"]).ok();
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut up = Up(binary()
        .args(["-C", world.dir.to_str().unwrap(), "up", "--listen", &free])
        .env("HOOK_KEY", "local-key")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap());
    let mut said = String::new();
    let mut lines = BufReader::new(up.0.stderr.take().unwrap());
    while TcpStream::connect(&free).is_err() {
        assert!(up.0.try_wait().unwrap().is_none(), "{said} {:?}", lines.read_line(&mut said));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let event = r#"{"specversion": "1.0", "source": "/shop", "id": "1", "data": {"customer": "C-0"}}"#;
    let check = |path: &str, headers: &str, body: &str, expected: &str| {
        let head = ask(&free, "POST", path, headers, body);
        let status = head.lines().next().unwrap_or_default();
        assert!(status.contains(expected), "{path} {headers}: {status}");
    };
    // What Event Grid asks before it sends, with the key in its address or its header.
    let origin = "WebHook-Request-Origin: eventgrid.azure.net\r\nWebHook-Request-Rate: 120\r\n";
    let allowed = ask(&free, "OPTIONS", "/webhooks/changes?code=local-key", origin, "");
    assert!(allowed.starts_with("HTTP/1.1 200 "), "{allowed}");
    assert!(allowed.contains("webhook-allowed-origin: eventgrid.azure.net\r\n"), "{allowed}");
    assert!(allowed.contains("webhook-allowed-rate: *"), "{allowed}");
    for (path, headers, expected) in [
        ("/webhooks/changes", origin, " 401 "),
        ("/webhooks/other?code=local-key", origin, " 401 "),
        ("/webhooks/signed?code=local-key", origin, " 401 "),
        ("/webhooks/changes?code=local-key", "", " 400 "),
    ] {
        let head = ask(&free, "OPTIONS", path, headers, "");
        assert!(head.lines().next().unwrap().contains(expected) && !head.contains("allowed-origin"), "{path}: {head}");
    }
    check("/webhooks/changes", "x-hub-key: local-key\r\n", event, " 202 ");
    let other = event.replace("\"1\"", "\"2\"");
    check("/webhooks/changes?code=local-key", "", &other, " 202 ");
    // Sent twice, taken once.
    check("/webhooks/changes", "x-hub-key: local-key\r\n", event, " 202 ");
    check("/webhooks/changes", "", event, " 401 ");
    check("/webhooks/changes", "x-hub-key: wrong\r\n", event, " 401 ");
    check("/webhooks/other", "x-hub-key: local-key\r\n", event, " 401 ");
    check("/webhooks/changes", "x-hub-key: local-key\r\n", "not json", " 400 ");
    check("/webhooks/changes", "x-hub-key: local-key\r\n", "[1]", " 400 ");
    check("/webhooks/changes", "x-hub-key: local-key\r\nContent-Encoding: gzip\r\n", event, " 415 ");
    // A list is as many events.
    check("/webhooks/changes", "x-hub-key: local-key\r\n", r#"[{"customer": "C-1"}, {"customer": "C-2"}]"#, " 202 ");
    check("/webhooks/changes", "x-hub-key: local-key\r\n", &format!("\"{}\"", "x".repeat(1 << 20)), " 413 ");
    // A sender that signs what it sends, and names its deliveries.
    let signed = r#"{"ref": "main"}"#;
    let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(b"local-key").unwrap();
    let mac = mac.chain_update(signed).finalize().into_bytes();
    let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    let headers = |hex: &str| format!("X-Hub-Signature-256: sha256={hex}\r\nX-GitHub-Delivery: d-1\r\n");
    check("/webhooks/signed", &headers(&hex), signed, " 202 ");
    check("/webhooks/signed", &headers(&hex), signed, " 202 ");
    check("/webhooks/signed", &headers(&hex), "{}", " 401 ");
    check("/webhooks/signed", "x-hub-signature-256: local-key\r\n", signed, " 401 ");
    check("/webhooks/signed?code=local-key", "", signed, " 401 ");
    // kill -9: what was answered with 202 is on the disk.
    up.0.kill().unwrap();
    up.0.wait().unwrap();
    // Wrong keys stand in the log, and not each of them.
    lines.read_to_string(&mut said).unwrap();
    for (name, times) in [("changes", 1), ("signed", 1), ("other", 0)] {
        assert_eq!(said.matches(&format!("a webhook of {name} was refused")).count(), times, "{said}");
    }
    let store = store::Store::open(world.dir.join(".ironbridge"), store::Options::default()).unwrap();
    let queue =
        store.queues().unwrap().into_iter().find(|queue| queue.contains("changes") && queue.ends_with("dynamics"));
    let waiting = store.peek(&queue.expect("the destination has a subscription"), 0, 10).unwrap().unwrap();
    assert_eq!(waiting.len(), 4);
    assert_eq!(waiting[3].message.body, br#"{"customer": "C-2"}"#);
    let signed = store.peek("events/signed/subscriptions/dynamics", 0, 10).unwrap().unwrap();
    assert_eq!((signed.len(), signed[0].message.id.as_str()), (1, "d-1"));
}
