//! As much of the Chrome DevTools Protocol as a walk through pages needs.
//!
//! Chromium is spoken to over two pipes (`--remote-debugging-pipe`): each message is JSON and ends with a zero byte. One
//! browser serves a whole walk; each person in it has a context of their own, with their own cookies. Nothing here sleeps:
//! what is waited for is an event of the browser, or asked for again after a blink.
//!
//! *Source*: the protocol's own pages (Target, Page, Runtime, Input, Emulation, Log), version 1.3 and tip of tree.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

/// So long Chromium may think about one thing, on a machine that does much else.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// So long until something is looked at again.
pub const BLINK: Duration = Duration::from_millis(15);

/// A browser of our own, ended with the test.
pub struct Chromium {
    process: Child,
    pipe: RefCell<Pipe>,
    _profile: tempfile::TempDir,
}

struct Pipe {
    to: ChildStdin,
    from: Receiver<Json>,
    last: u64,
    /// Answers that came while another one was waited for.
    answers: BTreeMap<u64, Json>,
    /// What the browser told unasked, and nobody has looked at.
    events: Vec<Json>,
}

impl Chromium {
    pub fn start() -> Chromium {
        let profile = tempfile::tempdir().unwrap();
        // Chromium reads from the descriptor 3 and writes to 4; a shell puts them where a child has its input and output.
        let flags = [
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-extensions",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-renderer-backgrounding",
            "--disable-background-timer-throttling",
            "--no-first-run",
            "--hide-scrollbars",
            // Pictures that move cost a machine without a graphics card more than everything else.
            "--force-prefers-reduced-motion",
        ];
        let mut process = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "chromium"])
            .args(flags)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let (to, out) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (put, from) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(out);
            let mut message = Vec::new();
            while reader.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                if message.pop() == Some(0) && put.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let pipe = Pipe { to, from, last: 0, answers: BTreeMap::new(), events: Vec::new() };
        let chromium = Chromium { process, pipe: RefCell::new(pipe), _profile: profile };
        chromium.call(None, "Browser.getVersion", json!({}));
        chromium
    }

    /// Asks, and waits for the answer.
    pub fn call(&self, session: Option<&str>, method: &str, parameters: Json) -> Json {
        self.try_call(session, method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The same, where a page may be on its way to another.
    pub fn try_call(&self, session: Option<&str>, method: &str, parameters: Json) -> Result<Json, String> {
        let asked = self.ask(session, method, parameters);
        self.answer(asked)
    }

    /// Asks, and does not wait.
    pub fn ask(&self, session: Option<&str>, method: &str, parameters: Json) -> u64 {
        let pipe = &mut *self.pipe.borrow_mut();
        pipe.last += 1;
        let mut message = json!({ "id": pipe.last, "method": method, "params": parameters });
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        pipe.to.write_all(format!("{message}\0").as_bytes()).expect("Chromium reads (apt-get install chromium)");
        pipe.last
    }

    pub fn answer(&self, asked: u64) -> Result<Json, String> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(mut answer) = self.pipe.borrow_mut().answers.remove(&asked) {
                return match &answer["error"] {
                    Json::Null => Ok(answer["result"].take()),
                    error => Err(error.to_string()),
                };
            }
            self.listen(end.saturating_duration_since(Instant::now()), "an answer");
        }
    }

    /// Takes what the browser has told of a page, if it is what somebody looks for.
    pub fn take(&self, session: &str, wanted: impl Fn(&Json) -> bool) -> Vec<Json> {
        let pipe = &mut *self.pipe.borrow_mut();
        let (taken, left) = std::mem::take(&mut pipe.events)
            .into_iter()
            .partition(|event| event["sessionId"] == session && wanted(event));
        pipe.events = left;
        taken
    }

    /// Waits until the browser tells something of a page.
    pub fn until(&self, session: &str, what: &str, wanted: impl Fn(&Json) -> bool) {
        let end = Instant::now() + PATIENCE;
        while self.take(session, &wanted).is_empty() {
            self.listen(end.saturating_duration_since(Instant::now()), what);
        }
    }

    /// Reads what the browser says within a blink, if it says something.
    pub fn blink(&self) {
        let said = self.pipe.borrow_mut().from.recv_timeout(BLINK);
        match said {
            Ok(message) => self.pipe.borrow_mut().keep(message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => panic!("Chromium has ended"),
        }
    }

    fn listen(&self, time: Duration, what: &str) {
        let said = self.pipe.borrow_mut().from.recv_timeout(time);
        let message = said.unwrap_or_else(|why| panic!("Chromium does not come to {what}: {why}"));
        self.pipe.borrow_mut().keep(message);
    }
}

impl Pipe {
    fn keep(&mut self, message: Json) {
        match message["id"].as_u64() {
            Some(id) => drop(self.answers.insert(id, message)),
            None => self.events.push(message),
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
