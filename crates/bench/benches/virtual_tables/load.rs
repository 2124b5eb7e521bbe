//! Connections that ask one question after another, and the time that each answer took.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub type Paths = Arc<[String]>;

/// What came of it: the times of all good answers, sorted, in milliseconds.
pub struct Load {
    times: Vec<f64>,
    seconds: f64,
    pub refused: usize,
}

impl Load {
    pub fn all(loads: Vec<Load>) -> Load {
        let seconds = loads.iter().map(|load| load.seconds).sum();
        let refused = loads.iter().map(|load| load.refused).sum();
        let mut times: Vec<f64> = loads.into_iter().flat_map(|load| load.times).collect();
        times.sort_by(f64::total_cmp);
        Load { times, seconds, refused }
    }

    pub fn count(&self) -> usize {
        self.times.len()
    }

    pub fn rate(&self) -> f64 {
        self.times.len() as f64 / self.seconds
    }

    pub fn at_share(&self, share: f64) -> f64 {
        self.times[((self.times.len() - 1) as f64 * share) as usize]
    }
}

/// Asks over so many connections at once for so long; every answer has to be a good one.
pub async fn run(address: SocketAddr, paths: Paths, connections: usize, long: Duration) -> Load {
    let load = run_any(address, paths, connections, long).await;
    assert!(connections > 16 || load.refused == 0, "{} requests were refused", load.refused);
    load
}

/// The same, where a server that is full may say so.
pub async fn run_any(address: SocketAddr, paths: Paths, connections: usize, long: Duration) -> Load {
    let turn = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let asking: Vec<_> =
        (0..connections).map(|_| tokio::spawn(ask(address, paths.clone(), turn.clone(), began + long))).collect();
    let (mut times, mut refused) = (Vec::new(), 0);
    for task in asking {
        let (good, bad) = task.await.unwrap();
        times.extend(good);
        refused += bad;
    }
    times.sort_by(f64::total_cmp);
    Load { times, seconds: began.elapsed().as_secs_f64(), refused }
}

async fn ask(address: SocketAddr, paths: Paths, turn: Arc<AtomicUsize>, until: Instant) -> (Vec<f64>, usize) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut times, mut refused, mut answer) = (Vec::new(), 0, Vec::new());
    while Instant::now() < until {
        let path = &paths[turn.fetch_add(1, Ordering::Relaxed) % paths.len()];
        let began = Instant::now();
        let status = exchange(&mut stream, address, path, &mut answer).await;
        match status {
            200 => times.push(began.elapsed().as_secs_f64() * 1e3),
            429 => refused += 1,
            other => panic!("{path} was answered with {other}: {}", String::from_utf8_lossy(&answer)),
        }
    }
    (times, refused)
}

/// The keys of the first thousand rows.
pub async fn keys(address: SocketAddr) -> Vec<String> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    let path = "/odata/warehouse/stock?$select=stockid&$top=1000";
    assert_eq!(exchange(&mut stream, address, path, &mut answer).await, 200);
    let text = String::from_utf8(answer).unwrap();
    let keys = text.split("\"stockid\":\"").skip(1);
    keys.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// Sends one request and reads its answer to the end, by its length or its chunks; says its status.
async fn exchange(stream: &mut TcpStream, address: SocketAddr, path: &str, answer: &mut Vec<u8>) -> u16 {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: application/json\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    answer.clear();
    let mut end = None;
    loop {
        assert!(stream.read_buf(answer).await.unwrap() > 0, "the server closed the connection");
        end = end.or_else(|| answer.windows(4).position(|four| four == b"\r\n\r\n"));
        let Some(end) = end else { continue };
        let head = std::str::from_utf8(&answer[..end]).unwrap().to_ascii_lowercase();
        let is_whole = match head.lines().find_map(|line| line.strip_prefix("content-length:")) {
            Some(length) => answer.len() >= end + 4 + length.trim().parse::<usize>().unwrap(),
            None => answer.ends_with(b"0\r\n\r\n"),
        };
        if is_whole {
            return head.split(' ').nth(1).unwrap().parse().unwrap();
        }
    }
}
