//! Connections that post one event after another, and the time that each answer took.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server that has not answered for so long will not; the connection is given up.
const LONGEST: Duration = Duration::from_secs(10);

/// Rows that the events are about.
const ROWS: u64 = 10_000;

/// What is posted, and how it is answered when all is well.
#[derive(Clone, Copy)]
pub struct Request {
    pub address: SocketAddr,
    pub path: &'static str,
    pub headers: &'static str,
    /// Or without its last byte.
    pub whole: bool,
    pub answers: u16,
}

/// What came of it: the times of all answers, sorted, in milliseconds.
pub struct Load {
    times: Vec<f64>,
    /// Requests that got no answer, which count nowhere else.
    unanswered: u64,
    seconds: f64,
    /// What the server used of the processor.
    pub cpu_seconds: f64,
}

impl Load {
    pub fn all(loads: Vec<Load>) -> Load {
        let seconds = loads.iter().map(|load| load.seconds).sum();
        let cpu_seconds = loads.iter().map(|load| load.cpu_seconds).sum();
        let unanswered = loads.iter().map(|load| load.unanswered).sum();
        let mut times: Vec<f64> = loads.into_iter().flat_map(|load| load.times).collect();
        times.sort_by(f64::total_cmp);
        Load { times, unanswered, seconds, cpu_seconds }
    }

    /// Microseconds of the processor for each request.
    pub fn cpu(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.times.len() as f64
    }

    pub fn rate(&self) -> f64 {
        self.times.len() as f64 / self.seconds
    }

    pub fn at_share(&self, share: f64) -> f64 {
        self.times[((self.times.len() - 1) as f64 * share) as usize]
    }

    pub fn print(&self, what: &str) {
        let at = |share| self.at_share(share);
        println!(
            "{what:<46} {:>7.0} requests/s   p50 {:.2} p99 {:.2} p99.9 {:.2} ms   {:.0} µs of CPU each",
            self.rate(),
            at(0.5),
            at(0.99),
            at(0.999),
            self.cpu()
        );
        if self.unanswered > 0 {
            println!("{:46} {:>7} requests got no answer within {LONGEST:?}", "", self.unanswered);
        }
    }
}

/// Posts over so many connections at once for so long.
pub async fn run(request: Request, connections: usize, long: Duration) -> Load {
    let rows = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let posting = (0..connections).map(|_| tokio::spawn(post(request, rows.clone(), began + long)));
    let posting: Vec<_> = posting.collect();
    let (mut times, mut unanswered) = (Vec::new(), 0);
    for task in posting {
        let (answered, lost) = task.await.unwrap();
        times.extend(answered);
        unanswered += lost;
    }
    Load { times, unanswered, seconds: began.elapsed().as_secs_f64(), cpu_seconds: 0.0 }
}

async fn post(request: Request, rows: Arc<AtomicU64>, until: Instant) -> (Vec<f64>, u64) {
    let mut stream = connect(request.address).await;
    let (mut times, mut answer, mut unanswered) = (Vec::new(), Vec::new(), 0);
    while Instant::now() < until {
        let row = rows.fetch_add(1, Ordering::Relaxed) % ROWS;
        let mut body = format!(r#"{{"customer_no":"C-{row}","name":"Sample {row}","padding":"{}"}}"#, "x".repeat(900));
        if !request.whole {
            body.pop();
        }
        let Request { address, path, headers, .. } = request;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let began = Instant::now();
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await.unwrap();
        let Ok(Some(status)) = tokio::time::timeout(LONGEST, answered(&mut stream, &mut answer)).await else {
            unanswered += 1;
            stream = connect(request.address).await;
            continue;
        };
        times.push(began.elapsed().as_secs_f64() * 1e3);
        assert_eq!(status, request.answers, "{}", String::from_utf8_lossy(&answer));
    }
    (times, unanswered)
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Reads one answer to its end, by its length; says its status. Nothing where the connection is closed before.
async fn answered(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Option<u16> {
    answer.clear();
    loop {
        if stream.read_buf(answer).await.unwrap_or(0) == 0 {
            return None;
        }
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&answer[..end]).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.map_or(0, |text| text.trim().parse().unwrap());
        if answer.len() >= end + 4 + length {
            return head.split(' ').nth(1).unwrap().parse().ok();
        }
    }
}
