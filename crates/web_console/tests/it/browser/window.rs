//! A window, as a person uses it: opens pages, points and clicks, types, and reads what stands there.

use std::path::Path;
use std::time::Instant;

use base64::Engine;
use serde_json::{Value as Json, json};

use super::chromium::{Chromium, PATIENCE};

/// One window of somebody.
pub struct Window<'c> {
    chromium: &'c Chromium,
    session: String,
    context: String,
}

impl<'c> Window<'c> {
    /// A window of somebody of whom the browser knows nothing yet.
    pub fn new(chromium: &'c Chromium, (width, height): (u32, u32)) -> Window<'c> {
        let made = chromium.call(None, "Target.createBrowserContext", json!({}));
        let context = made["browserContextId"].as_str().unwrap().to_owned();
        let target = json!({ "url": "about:blank", "browserContextId": context, "width": width, "height": height });
        let target = chromium.call(None, "Target.createTarget", target);
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = chromium.call(None, "Target.attachToTarget", attach)["sessionId"].as_str().unwrap().to_owned();
        let window = Window { chromium, session, context };
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            window.call(domain, json!({}));
        }
        window.call("Page.setLifecycleEventsEnabled", json!({ "enabled": true }));
        window.size(width, height);
        window
    }

    /// From now on so wide; a narrow one is that of a phone.
    pub fn size(&self, width: u32, height: u32) {
        let phone = width < 500;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        self.call("Emulation.setTouchEmulationEnabled", json!({ "enabled": phone }));
    }

    pub fn dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// As on paper, for somebody who sees the screen dark.
    pub fn paper(&self) {
        let features = json!([{ "name": "prefers-color-scheme", "value": "dark" }]);
        self.call("Emulation.setEmulatedMedia", json!({ "media": "print", "features": features }));
    }

    /// The page as it is printed. *Shape*: a PDF.
    pub fn print(&self) -> Vec<u8> {
        let how =
            json!({ "preferCSSPageSize": true, "printBackground": false, "paperWidth": 8.27, "paperHeight": 11.69 });
        let printed = self.call("Page.printToPDF", how);
        base64::engine::general_purpose::STANDARD.decode(printed["data"].as_str().unwrap()).unwrap()
    }

    /// Whether our script runs.
    pub fn script_runs(&self, runs: bool) {
        self.call("Emulation.setScriptExecutionDisabled", json!({ "value": !runs }));
    }

    fn call(&self, method: &str, parameters: Json) -> Json {
        self.chromium.call(Some(&self.session), method, parameters)
    }

    /// Opens a page, and waits until everything of it is there.
    pub fn open(&self, url: &str) {
        let went = self.call("Page.navigate", json!({ "url": url }));
        assert!(went["errorText"].is_null(), "{url}: {}", went["errorText"]);
        let loader = went["loaderId"].clone();
        if loader.is_null() {
            return;
        }
        self.chromium.until(&self.session, url, |event| {
            event["method"] == "Page.lifecycleEvent"
                && event["params"]["loaderId"] == loader
                && event["params"]["name"] == "load"
        });
    }

    /// What an expression is in the page; nothing while it is on its way to another.
    pub fn read(&self, expression: &str) -> Option<Json> {
        let what = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut said = self.chromium.try_call(Some(&self.session), "Runtime.evaluate", what).ok()?;
        assert!(said["exceptionDetails"].is_null(), "{expression:.300}: {}", said["exceptionDetails"]);
        Some(said["result"]["value"].take())
    }

    /// Waits until an expression is true in the page.
    pub fn until_true(&self, expression: &str) {
        let end = Instant::now() + PATIENCE;
        let condition = format!("!!({expression})");
        while self.read(&condition) != Some(json!(true)) {
            assert!(Instant::now() < end, "never: {expression}\nthe page says: {}", self.text());
            self.chromium.blink();
        }
    }

    /// Waits until the page says something.
    pub fn until(&self, text: &str) {
        self.until_true(&format!("document.body && document.body.innerText.includes({})", json!(text)));
    }

    /// Waits until the page does not say something any more.
    pub fn until_gone(&self, text: &str) {
        self.until_true(&format!("document.body && !document.body.innerText.includes({})", json!(text)));
    }

    pub fn text(&self) -> String {
        let text = self.read("document.body ? document.body.innerText : ''").unwrap_or_default();
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Where to point at something, once it is in sight and nothing lies over it.
    fn place(&self, css: &str) -> (f64, f64) {
        let place = format!(
            "(() => {{ const e = document.querySelector({}); if (!e) return null;
               e.scrollIntoView({{ block: 'center', inline: 'center', behavior: 'instant' }});
               const r = e.getClientRects()[0]; if (!r) return null;
               const x = r.x + r.width / 2, y = r.y + r.height / 2;
               const on = document.elementFromPoint(x, y);
               return on && (e === on || e.contains(on)) ? [x, y] : null; }})()",
            json!(css)
        );
        let end = Instant::now() + PATIENCE;
        loop {
            match self.read(&place) {
                Some(Json::Array(at)) => return (at[0].as_f64().unwrap(), at[1].as_f64().unwrap()),
                _ => assert!(Instant::now() < end, "nobody can click {css:?} on: {}", self.text()),
            }
            self.chromium.blink();
        }
    }

    pub fn click(&self, css: &str) {
        self.begin_click(css).into_iter().for_each(|asked| self.done(asked));
    }

    /// Clicks, and does not wait for what comes of it.
    pub fn begin_click(&self, css: &str) -> [u64; 2] {
        let (x, y) = self.place(css);
        ["mousePressed", "mouseReleased"].map(|kind| {
            let mouse = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.chromium.ask(Some(&self.session), "Input.dispatchMouseEvent", mouse)
        })
    }

    pub fn done(&self, asked: u64) {
        self.chromium.answer(asked).unwrap();
    }

    /// Types a text into a field, instead of what stood there.
    pub fn write(&self, css: &str, text: &str) {
        self.click(css);
        self.until_true(&format!(
            "(() => {{ const e = document.querySelector({}); if (document.activeElement !== e) return false; e.select && e.select(); return true; }})()",
            json!(css)
        ));
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Chooses a value as a keyboard does: the list is not opened, which no page draws itself.
    pub fn choose(&self, css: &str, value: &str) {
        self.until_true(&format!("document.querySelector({})", json!(css)));
        self.read(&format!(
            "(() => {{ const e = document.querySelector({}); e.value = {}; e.dispatchEvent(new Event('change', {{ bubbles: true }})); return e.value; }})()",
            json!(css),
            json!(value)
        ));
    }

    /// A key that is no letter: `Tab`, `Enter`, `Space`.
    pub fn key(&self, name: &str) {
        let (key, code, number, text) = match name {
            "Tab" => ("Tab", "Tab", 9, None),
            "Enter" => ("Enter", "Enter", 13, Some("\r")),
            "Space" => (" ", "Space", 32, Some(" ")),
            other => panic!("no such key: {other}"),
        };
        let mut down = json!({ "type": "keyDown", "key": key, "code": code, "windowsVirtualKeyCode": number });
        if let Some(text) = text {
            down["text"] = json!(text);
        }
        self.call("Input.dispatchKeyEvent", down);
        let up = json!({ "type": "keyUp", "key": key, "code": code, "windowsVirtualKeyCode": number });
        self.call("Input.dispatchKeyEvent", up);
    }

    pub fn insert(&self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// The whole page, also below what is to be seen.
    pub fn screenshot(&self, file: &Path) {
        let size = self.call("Page.getLayoutMetrics", json!({}))["cssContentSize"].take();
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        let how = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let image = self.call("Page.captureScreenshot", how);
        let image = base64::engine::general_purpose::STANDARD.decode(image["data"].as_str().unwrap()).unwrap();
        std::fs::write(file, image).unwrap();
    }

    /// What the browser complained about since the last look: what was refused or did not load, what a script threw.
    pub fn complaints(&self) -> Vec<String> {
        let told = self.chromium.take(&self.session, |event| {
            let method = event["method"].as_str().unwrap_or_default();
            matches!(method, "Log.entryAdded" | "Runtime.exceptionThrown")
        });
        let worth = |event: &Json| {
            event["params"]["entry"]["level"] != "info" && event["params"]["entry"]["level"] != "verbose"
        };
        told.iter().filter(|event| worth(event)).map(|event| event["params"].to_string()).collect()
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let context = json!({ "browserContextId": self.context });
            self.chromium.call(None, "Target.disposeBrowserContext", context);
        }
    }
}
