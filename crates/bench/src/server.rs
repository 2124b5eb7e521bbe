//! A server of a benchmark: a process of its own that ends with it.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Server {
    pub address: SocketAddr,
    process: Child,
}

impl Server {
    /// Starts a program that listens there, and waits until it does; what it says goes into the file `said`.
    pub fn start(address: SocketAddr, mut command: Command, dir: &Path) -> Server {
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

    /// CPU time that the server has used so far, in seconds, as Linux tells it; zero elsewhere.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        // User and system time, in hundredths.
        fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
    }

    /// What of it is in memory.
    pub fn resident_mb(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An address on which nobody listens.
pub fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The release binary, two folders above a benchmark (`target/release/deps`).
pub fn binary() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.ancestors().nth(2).unwrap().join("ironbridge");
    assert!(path.exists(), "{} is not there: cargo build --release", path.display());
    path
}
