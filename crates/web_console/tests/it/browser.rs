//! Every page and every action in Chromium, as wide as a desk and as narrow as a phone, light and dark.
//!
//! It runs where `CONSOLE_BROWSER` is set (`scripts/soak`, `scripts/compat`). Screenshots go to the folder that
//! `CONSOLE_SCREENSHOTS` names, if it does. `AXE` names a file of axe-core, with which each page is checked for people who
//! do not see, or do not use a mouse; the scripts fetch it, and it is no part of this repository.

mod acts;
mod chromium;
mod keys;
mod paper;
mod people;
mod phone;
pub mod stage;
mod window;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::support::Bench;
use chromium::Chromium;
use stage::Stage;
use window::Window;

/// So wide that lists are tables, and so narrow that they are not.
const DESK: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (390, 844);

/// A walk through a console in a browser of its own.
struct Walk {
    chromium: Chromium,
    bench: Bench,
    url: String,
    stage: Stage,
}

impl Walk {
    /// Nothing where nobody has asked for it: it takes a while, and a browser.
    async fn begin() -> Option<Walk> {
        if std::env::var_os("CONSOLE_BROWSER").is_none() {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: CONSOLE_BROWSER is not set\n");
            return None;
        }
        let (bench, url, stage) = stage::set().await;
        let chromium = tokio::task::block_in_place(Chromium::start);
        Some(Walk { chromium, bench, url, stage })
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn now<T>(&self, something: impl Future<Output = T>) -> T {
        tokio::runtime::Handle::current().block_on(something)
    }
}

/// Every page that a GET shows, by a name for its picture.
fn pages(stage: &Stage) -> Vec<(&'static str, String)> {
    let Stage { row, message, rows, job, instance } = stage;
    let (letter, copy, group, retry) = (
        format!("/dead-letters/{row}"),
        format!("/dead-letters/{message}"),
        format!("/dead-letters/groups/{rows}"),
        format!("/retries/{job}"),
    );
    let flow = format!("/flows/{instance}");
    let mut all: Vec<(&str, String)> = Vec::new();
    let mut add = |name: &'static str, path: &str| all.push((name, path.to_owned()));
    add("overview", "/");
    add("integrations", "/integrations");
    add("integration-batch", "/integrations/customers");
    add("integration-event", "/integrations/orders");
    add("integration-virtual", "/integrations/stock");
    add("integration-flow", "/integrations/terms");
    add("run-now", "/integrations/customers/run");
    add("pause", "/integrations/customers/pause");
    add("resume", "/integrations/customers/resume");
    add("runbook", "/integrations/customers/runbook");
    add("runbook-event", "/integrations/orders/runbook");
    add("alerts", "/alerts");
    add("alerts-all", "/alerts?state=all");
    add("alert", "/alerts/1");
    add("alert-ack", "/alerts/1/ack");
    add("alert-silence", "/alerts/silence?subject=erp");
    add("alert-silence-end", "/alerts/silences/1/end");
    add("alert-coverage", "/alerts/coverage");
    add("flows", "/flows");
    add("flow", &flow);
    add("flow-retry", &format!("{flow}/retry"));
    add("flow-cancel", &format!("{flow}/cancel"));
    add("flow-skip", &format!("{flow}/skip"));
    add("flow-start", "/integrations/terms/start");
    add("flow-migrate", "/integrations/terms/migrate");
    add("audit", "/audit");
    add("advise", "/advise");
    add("advice", "/advise?wish=Sales+see+invoices&late=annoying&looks=many&a_day=400&stored=seen&rate=650+GBP");
    add("runs", "/runs");
    add("runs-failed", "/runs?state=failed&sort=-read");
    add("run", "/runs/111");
    add("groups", "/dead-letters");
    add("group", &group);
    add("group-mark", &format!("{group}/mark"));
    add("group-retry", &format!("{group}/retry"));
    add("retries", "/retries");
    add("retry-job", &retry);
    add("retry-job-resume", &format!("{retry}/resume"));
    add("retry-job-cancel", &format!("{retry}/cancel"));
    add("dead-letters", "/dead-letters/list");
    add("dead-letter-row", &letter);
    add("dead-letter-message", &copy);
    add("edit", &format!("{copy}/edit"));
    add("retry", &format!("{letter}/retry"));
    add("discard", &format!("{letter}/discard"));
    add("approvals", "/approvals");
    add("approval", "/approvals/1");
    add("approve", "/approvals/1/approve");
    add("reject", "/approvals/1/reject");
    add("systems", "/systems");
    add("system", "/systems/erp");
    add("check", "/systems/erp/check");
    add("trace-empty", "/trace");
    add("trace", "/trace?entity=customer&key=C-1001");
    add("explain", "/explain/IB0412");
    add("users", "/users");
    add("add-user", "/users/add");
    add("account", "/account");
    add("not-there", "/nothing");
    all
}

/// What was seen, and what is wrong with it.
struct Looks {
    shots: Option<PathBuf>,
    axe: Option<String>,
    found: Vec<String>,
    begun: Instant,
}

impl Looks {
    fn begin() -> Looks {
        let shots = std::env::var_os("CONSOLE_SCREENSHOTS").map(PathBuf::from);
        let axe = std::env::var_os("AXE").map(|file| std::fs::read_to_string(file).expect("AXE is a file"));
        Looks { shots, axe, found: Vec::new(), begun: Instant::now() }
    }

    /// Looks at the page that a window shows.
    fn at(&mut self, window: &Window<'_>, name: &str) {
        let heading = window.read("document.querySelectorAll('h1').length + ' ' + document.documentElement.lang");
        if heading.as_ref().is_none_or(|heading| heading != "1 en") {
            self.found.push(format!("{name}: headings and language are {heading:?}"));
        }
        // Nothing stands out at the side: a phone does not scroll two ways.
        let wide = window.read("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        if wide.as_ref().and_then(Json::as_i64) != Some(0) {
            self.found.push(format!("{name}: {wide:?} pixels too wide"));
        }
        // A page that answers with an error says so in the log too; that is what was asked for.
        let complaints =
            window.complaints().into_iter().filter(|text| !text.contains("the server responded with a status of 4"));
        self.found.extend(complaints.map(|text| format!("{name}: the browser says {text}")));
        if let Some(folder) = &self.shots {
            window.screenshot(&folder.join(format!("{name}.png")));
        }
        self.check(window, name, "{ resultTypes: ['violations'] }");
    }

    /// The same page in other colours: only these can be wrong now.
    fn in_the_dark(&mut self, window: &Window<'_>, name: &str) {
        if let Some(folder) = &self.shots {
            window.screenshot(&folder.join(format!("{name}.png")));
        }
        self.check(window, name, "{ runOnly: { type: 'rule', values: ['color-contrast'] } }");
    }

    fn check(&mut self, window: &Window<'_>, name: &str, how: &str) {
        let Some(axe) = &self.axe else { return };
        window.read(&format!("window.axe || (() => {{ {axe} }})(); true"));
        let run = format!(
            "axe.run({how}).then(r => r.violations.map(v => [v.impact, v.id, v.nodes.length, v.nodes[0].html, v.nodes[0].failureSummary]))"
        );
        let violations = window.read(&run).unwrap_or_default();
        let serious = |of: &&Json| matches!(of[0].as_str(), Some("serious" | "critical"));
        self.found.extend(
            violations.as_array().into_iter().flatten().filter(serious).map(|v| format!("{name}: axe says {v}")),
        );
    }

    /// *Panics*: with everything that is wrong.
    fn end(self, what: &str) {
        let took: Duration = self.begun.elapsed();
        let said = format!("{what}: {:.1} s\n", took.as_secs_f64());
        let _ = std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes());
        assert!(self.found.is_empty(), "{:#?}", self.found);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_wide_and_narrow_light_and_dark() {
    let Some(walk) = Walk::begin().await else { return };
    tokio::task::block_in_place(|| {
        let mut looks = Looks::begin();
        for (size, (width, height)) in [("desk", DESK), ("phone", PHONE)] {
            let window = Window::new(&walk.chromium, (width, height));
            for (name, path) in pages(&walk.stage) {
                window.open(&walk.at(&path));
                looks.at(&window, &format!("{name}-{size}"));
                window.dark(true);
                looks.in_the_dark(&window, &format!("{name}-{size}-dark"));
                window.dark(false);
            }
        }
        looks.end("every page");
    });
}
