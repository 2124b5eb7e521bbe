//! Small servers of the tests that take notices: an SMTP server, and one for posted JSON.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What came, and how to answer.
#[derive(Default)]
struct Inner {
    taken: Vec<String>,
    /// Answer this instead, while it is set.
    refuse: Option<String>,
}

/// A server that keeps what it was sent. Ends with the test's process.
#[derive(Clone)]
pub struct Post {
    pub address: String,
    inner: Arc<Mutex<Inner>>,
}

impl Post {
    /// A mail server: each mail with its headers, as it came.
    pub fn smtp() -> Post {
        Post::start(smtp)
    }

    /// A web server: each body that was posted; of a GET, its path.
    pub fn http() -> Post {
        Post::start(http)
    }

    fn start(serve: fn(TcpStream, &Mutex<Inner>) -> std::io::Result<()>) -> Post {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let inner = Arc::new(Mutex::new(Inner::default()));
        let post = Post { address, inner: inner.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let inner = inner.clone();
                std::thread::spawn(move || serve(stream, &inner).ok());
            }
        });
        post
    }

    pub fn taken(&self) -> Vec<String> {
        self.inner.lock().unwrap().taken.clone()
    }

    /// From now on answers this: a line of SMTP, or a status of HTTP.
    pub fn refuse(&self, answer: Option<&str>) {
        self.inner.lock().unwrap().refuse = answer.map(str::to_owned);
    }

    /// Waits until something has come that is so.
    pub fn until(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            if let Some(found) = self.taken().into_iter().find(|one| is(one)) {
                return found;
            }
            assert!(begun.elapsed() < Duration::from_secs(90), "{what} did not come; what came: {:#?}", self.taken());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn smtp(stream: TcpStream, inner: &Mutex<Inner>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    let mut say = |text: &str| out.write_all(format!("{text}\r\n").as_bytes());
    say("220 mail of the test")?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let verb = line.split([' ', ':', '\r']).next().unwrap_or_default().to_uppercase();
        let refuse = inner.lock().unwrap().refuse.clone();
        match (verb.as_str(), refuse) {
            ("MAIL", Some(refuse)) => say(&refuse)?,
            ("DATA", _) => {
                say("354 go on")?;
                let mut mail = String::new();
                loop {
                    let mut line = String::new();
                    if lines.read_line(&mut line)? == 0 || line == ".\r\n" {
                        break;
                    }
                    mail += line.strip_prefix('.').unwrap_or(&line);
                }
                inner.lock().unwrap().taken.push(mail);
                say("250 taken")?;
            }
            ("QUIT", _) => {
                say("221 bye")?;
                return Ok(());
            }
            _ => say("250 yes")?,
        }
    }
}

fn http(mut stream: TcpStream, inner: &Mutex<Inner>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    lines.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body)?;
    let status = inner.lock().unwrap().refuse.clone().unwrap_or("200 OK".to_owned());
    if status.starts_with('2') {
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let taken = if length == 0 { path } else { String::from_utf8_lossy(&body).into_owned() };
        inner.lock().unwrap().taken.push(taken);
    }
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}
