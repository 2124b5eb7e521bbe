//! The servers that take the events.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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

pub struct Server {
    pub address: SocketAddr,
    process: Child,
}

impl Server {
    /// CPU time that the server has used so far, in seconds, as Linux tells it; zero elsewhere.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        // User and system time, in hundredths.
        fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

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
    start(address, command, dir)
}

/// Node-RED with one flow: a body comes in, is appended to a file, and is answered.
pub fn node_red(program: &str, dir: &Path) -> Server {
    fs::create_dir_all(dir).unwrap();
    let out = dir.join("events.jsonl");
    let flow = format!(
        r#"[{{"id":"tab","type":"tab","label":"events"}},
            {{"id":"in","type":"http in","z":"tab","url":"/hook","method":"post","wires":[["file"]]}},
            {{"id":"file","type":"file","z":"tab","filename":"{}","filenameType":"str","appendNewline":true,"createDir":false,"overwriteFile":"false","encoding":"utf8","wires":[["out"]]}},
            {{"id":"out","type":"http response","z":"tab","statusCode":"202","headers":{{}},"wires":[]}}]"#,
        out.display()
    );
    fs::write(dir.join("flows.json"), flow).unwrap();
    let address = free();
    let mut command = Command::new(program);
    command.args(["--userDir", dir.to_str().unwrap(), "--port", &address.port().to_string()]);
    command.args(["-D", "uiHost=127.0.0.1", "flows.json"]).current_dir(dir);
    let server = start(address, command, dir);
    // It listens before its flows are there.
    std::thread::sleep(Duration::from_secs(5));
    server
}

fn start(address: SocketAddr, mut command: Command, dir: &Path) -> Server {
    let said = dir.join("said");
    let log = fs::File::create(&said).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut server = Server { address, process: command.spawn().unwrap() };
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        let ended = server.process.try_wait().unwrap().is_some() || began.elapsed() > Duration::from_secs(60);
        assert!(!ended, "it does not start: {}", fs::read_to_string(&said).unwrap());
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The release binary, two folders above this one (`target/release/deps`).
fn binary() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.ancestors().nth(2).unwrap().join("ironbridge");
    assert!(path.exists(), "{} is not there: cargo build --release", path.display());
    path
}
