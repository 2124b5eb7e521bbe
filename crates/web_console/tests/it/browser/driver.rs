//! As much of WebDriver as a walk through pages needs, in plain HTTP to chromedriver.
//!
//! *Source*: W3C WebDriver, the endpoints of sections 8 to 18; `goog/cdp/execute` is chromedriver's own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value as Json, json};

/// A chromedriver of our own, ended with the test.
pub struct Driver {
    process: Child,
    port: u16,
}

/// One window.
pub struct Window<'d> {
    driver: &'d Driver,
    session: String,
}

impl Driver {
    /// Nothing where this machine has no Chromium.
    pub fn start() -> Option<Driver> {
        let chromium =
            ["/usr/bin/chromium", "/usr/bin/google-chrome"].into_iter().find(|path| Path::new(path).exists());
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = chromium.and_then(|_| command.spawn().ok())?;
        let mut lines = BufReader::new(process.stdout.take()?).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok())?;
        // Whatever else it says is read, so that it is never held up.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Driver { process, port })
    }

    /// A new window of this size; a narrow one is that of a phone.
    pub fn window(&self, width: u32, height: u32) -> Window<'_> {
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-dev-shm-usage",
            &format!("--window-size={width},{height}"),
        ];
        let mut options = json!({ "args": args });
        if width < 500 {
            let metrics = json!({ "width": width, "height": height, "pixelRatio": 1.0, "mobile": true, "touch": true });
            options["mobileEmulation"] = json!({ "deviceMetrics": metrics });
        }
        let capabilities = json!({ "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let made = self.ask("POST", "/session", &json!({ "capabilities": { "alwaysMatch": capabilities } }));
        Window { driver: self, session: made["sessionId"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned() }
    }

    fn ask(&self, method: &str, path: &str, body: &Json) -> Json {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(180))).unwrap();
        let body = if method == "POST" { body.to_string() } else { String::new() };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .unwrap();
        let mut reader = BufReader::new(stream);
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line).unwrap() > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).unwrap();
        let mut answer: Json = serde_json::from_slice(&answer).unwrap();
        let value = answer["value"].take();
        assert!(value["error"].is_null(), "{method} {path} {body}: {value}");
        value
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Window<'_> {
    fn post(&self, path: &str, body: Json) -> Json {
        self.driver.ask("POST", &format!("/session/{}{path}", self.session), &body)
    }

    pub fn open(&self, url: &str) {
        self.post("/url", json!({ "url": url }));
    }

    /// What a script in the page answers.
    pub fn script(&self, script: &str) -> Json {
        self.post("/execute/sync", json!({ "script": script, "args": [] }))
    }

    /// What a script answers by calling its last argument.
    pub fn script_later(&self, script: &str) -> Json {
        self.post("/execute/async", json!({ "script": script, "args": [] }))
    }

    fn element(&self, css: &str) -> String {
        let found = self.post("/element", json!({ "using": "css selector", "value": css }));
        found
            .as_object()
            .and_then(|found| found.values().next()?.as_str())
            .unwrap_or_else(|| panic!("{found}"))
            .to_owned()
    }

    pub fn click(&self, css: &str) {
        let element = self.element(css);
        self.post(&format!("/element/{element}/click"), json!({}));
    }

    pub fn write(&self, css: &str, text: &str) {
        let element = self.element(css);
        self.post(&format!("/element/{element}/value"), json!({ "text": text }));
    }

    pub fn text(&self) -> String {
        self.script("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page says something.
    pub fn until(&self, text: &str) {
        let begun = Instant::now();
        while !self.text().contains(text) {
            assert!(begun.elapsed() < Duration::from_secs(60), "the page never says {text:?}: {}", self.text());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn chrome(&self, command: &str, parameters: Json) -> Json {
        self.post("/goog/cdp/execute", json!({ "cmd": command, "params": parameters }))
    }

    /// The whole page, also below what is to be seen.
    pub fn screenshot(&self, file: &Path) {
        let image = self.chrome("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": true }));
        let image = base64::engine::general_purpose::STANDARD.decode(image["data"].as_str().unwrap()).unwrap();
        std::fs::write(file, image).unwrap();
    }

    /// What the browser complained about since the last look.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", json!({ "type": "browser" }));
        log.as_array().into_iter().flatten().filter_map(|line| line["message"].as_str()).map(str::to_owned).collect()
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.driver.ask("DELETE", &format!("/session/{}", self.session), &Json::Null);
        }
    }
}
