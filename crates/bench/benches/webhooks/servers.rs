//! The servers that take the events.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bench::server::{Server, binary, free};

/// The header that opens the webhook.
pub const KEY: &str = "x-hub-key: bench-key\r\n";

const EVENTS: &str = "integration: changes
pattern: event
entity: customer
from: finance
to: [dynamics]
trigger: { rows: [created, updated] }
because: Somebody waits for it.
owner: finance-it
purpose: A measurement.
";

/// `ironbridge up` over the project that `init` makes, with an event integration that waits and nothing else: what comes
/// in stays in the queue.
pub fn up(dir: &Path) -> Server {
    let at = dir.to_str().unwrap();
    let run = |args: &[&str]| {
        let said = Command::new(binary()).args(args).env("HOOK_KEY", "bench-key").output().unwrap();
        assert!(said.status.success(), "{args:?}: {}", String::from_utf8_lossy(&said.stderr));
    };
    run(&["init", at]);
    let finance = dir.join("systems/finance.yaml");
    let text = fs::read_to_string(&finance).unwrap();
    let hook = "webhooks: { header: x-hub-key, keys: [\"${env:HOOK_KEY}\"] }\nowner:";
    fs::write(finance, text.replacen("owner:", hook, 1)).unwrap();
    fs::remove_file(dir.join("integrations/customers.yaml")).unwrap();
    let _ = fs::remove_dir_all(dir.join("tests"));
    fs::write(dir.join("integrations/changes.yaml"), EVENTS).unwrap();
    run(&["-C", at, "pause", "changes", "--note", "a measurement"]);
    let address = free();
    let mut command = Command::new(binary());
    command.args(["-C", at, "up", "--listen", &address.to_string()]).env("HOOK_KEY", "bench-key");
    Server::start(address, command, dir)
}

/// Node-RED with one flow: a body comes in, is appended to a file, and is answered.
pub fn node_red(program: &str, dir: &Path) -> Server {
    fs::create_dir_all(dir).unwrap();
    let out = dir.join("events.jsonl");
    // A node without a place on the canvas is taken for a part of the settings, and never started.
    let flow = format!(
        r#"[{{"id":"tab","type":"tab","label":"events"}},
            {{"id":"n1","type":"http in","z":"tab","x":100,"y":100,"url":"/hook","method":"post","wires":[["n2"]]}},
            {{"id":"n2","type":"file","z":"tab","x":300,"y":100,"filename":"{}","filenameType":"str","appendNewline":true,"createDir":false,"overwriteFile":"false","encoding":"utf8","wires":[["n3"]]}},
            {{"id":"n3","type":"http response","z":"tab","x":500,"y":100,"statusCode":"202","headers":{{}},"wires":[]}}]"#,
        out.display()
    );
    fs::write(dir.join("flows.json"), flow).unwrap();
    let address = free();
    let mut command = Command::new(program);
    command.args(["--userDir", dir.to_str().unwrap(), "--port", &address.port().to_string()]);
    command.args(["-D", "uiHost=127.0.0.1", "flows.json"]).current_dir(dir);
    let server = Server::start(address, command, dir);
    // It listens before its flows are there.
    let (began, said) = (Instant::now(), || fs::read_to_string(dir.join("said")).unwrap_or_default());
    while !said().contains("Started flows") {
        assert!(began.elapsed() < Duration::from_secs(60), "its flows do not start: {}", said());
        std::thread::sleep(Duration::from_millis(100));
    }
    server
}
