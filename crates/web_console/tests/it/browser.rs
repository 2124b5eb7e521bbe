//! Every page and every action in Chromium, as wide as a desk and as narrow as a phone.
//!
//! Screenshots go to the folder that `CONSOLE_SCREENSHOTS` names, if it does. `AXE` names a file of axe-core, with which
//! each page is checked for people who do not see, or do not use a mouse (`scripts/compat` fetches it).

mod driver;

use std::path::PathBuf;

use serde_json::Value as Json;
use store::approvals::{Kind, Question};
use store::dead_letters::{self, Rejection};
use store::journal::{Note, What};
use store::queue::Problem;
use store::runs::State;
use store::{OpResult, approvals, outages};

use crate::lists::run;
use crate::support::Bench;
use driver::{Driver, Window};

/// So wide that lists are tables, and so narrow that they are not.
const SIZES: [(&str, u32, u32); 2] = [("desktop", 1360, 900), ("phone", 390, 844)];

/// A hub that has something to show.
async fn stage(bench: &Bench) -> String {
    let store = &bench.store;
    for n in 0..120_u64 {
        run(store, "things", if n % 11 == 0 { State::Failed } else { State::Ok }, 40 + n % 17).await;
        bench.wait(std::time::Duration::from_secs(3600));
    }
    let problem = |what: &str| {
        Problem {
        code: "IB0412".into(),
        what: what.into(),
        place: "system b, table t".into(),
        why: "400 0x80048408 Invalid value".into(),
        fix: "correct the value in a".into(),
        detail: r#"{"faults": [{"code": "IB0412", "what": "the value is too long", "where": {"system": "b", "column": "n"}, "why": {"status": 400, "text": "Invalid value"}, "do": "shorten it in a"}], "fields": [{"field": "number", "formula": "n", "value": "T-1", "at": "systems/a.yaml:5"}]}"#.into(),
    }
    };
    let mut letter = String::new();
    for n in 1..=3 {
        let rejection = Rejection {
            integration: "things".into(),
            entity: "thing".into(),
            key: record::Key::of(&[record::Value::text(format!("T-{n}"))]).unwrap(),
            record: format!(r#"{{"n": "T-{n}", "note": "a row"}}"#).into_bytes(),
            problem: problem("the value is too long"),
            run: None,
        };
        let OpResult::DeadLetter(id) = store.commit_one(dead_letters::Op::Reject(Box::new(rejection))).await.unwrap()
        else {
            panic!("a rejection opens a dead letter")
        };
        letter = id.to_string();
    }
    for subject in ["changes", "first_load"] {
        let question = Question {
            integration: "things".into(),
            kind: Kind::Run,
            subject: subject.into(),
            question: format!("May things write 3 changes ({subject})?"),
            details: r#"{"rows": [{"effect": "update", "entity": "thing", "key": "T-1", "columns": {"n": {"old": "T-1", "new": "T-01"}}}], "more_rows": 2, "starts": [{"kind": "flow", "name": "On change", "table": "t", "rows": 3}]}"#.into(),
            digest: subject.into(),
            proofs: Vec::new(),
            asked_of: "group:finance".into(),
            expires: None,
        };
        store.commit_one(approvals::Op::Ask(Box::new(question))).await.unwrap();
    }
    let note = Note { detail: "as finance has it".into(), ..Note::new("thing", "T-1", What::Updated, "things", "b") };
    store.commit_one(store::journal::Op::Note(vec![note])).await.unwrap();
    let outage = outages::Op::Note {
        integration: "things".into(),
        system: "b".into(),
        code: "IB0501".into(),
        what: "b answers with 503".into(),
        fix: "look whether b is down".into(),
        failures: 4,
    };
    store.commit_one(outage).await.unwrap();
    letter
}

fn pages(letter: &str) -> Vec<(&'static str, String)> {
    let named = [
        ("overview", "/"),
        ("integrations", "/integrations"),
        ("integration", "/integrations/things"),
        ("run-now", "/integrations/things/run"),
        ("pause", "/integrations/things/pause"),
        ("runs", "/runs"),
        ("runs-failed", "/runs?state=failed&sort=-read"),
        ("run", "/runs/111"),
        ("dead-letters", "/dead-letters"),
        ("approvals", "/approvals"),
        ("approval", "/approvals/1"),
        ("approve", "/approvals/1/approve"),
        ("reject", "/approvals/1/reject"),
        ("systems", "/systems"),
        ("system", "/systems/b"),
        ("check", "/systems/b/check"),
        ("trace-empty", "/trace"),
        ("trace", "/trace?entity=thing&key=T-1"),
        ("explain", "/explain/IB0412"),
        ("users", "/users"),
        ("add-user", "/users/add"),
        ("account", "/account"),
        ("not-there", "/nothing"),
    ];
    let mut all: Vec<(&str, String)> = named.map(|(name, path)| (name, path.to_owned())).into();
    for (name, what) in [("dead-letter", ""), ("retry", "/retry"), ("discard", "/discard")] {
        all.push((name, format!("/dead-letters/{letter}{what}")));
    }
    all
}

struct Looks {
    shots: Option<PathBuf>,
    axe: Option<String>,
    found: Vec<String>,
}

impl Looks {
    /// Looks at the page that a window shows.
    fn at(&mut self, window: &Window<'_>, name: &str) {
        let heading =
            window.script("return document.querySelectorAll('h1').length + ' ' + document.documentElement.lang");
        if heading != "1 en" {
            self.found.push(format!("{name}: headings and language are {heading}"));
        }
        // Nothing stands out at the side: a phone does not scroll two ways.
        let wide = window.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
        if wide.as_i64() != Some(0) {
            self.found.push(format!("{name}: {wide} pixels too wide"));
        }
        // A page that answers with an error says so in the log too; that is what was asked for.
        let complaints =
            window.complaints().into_iter().filter(|text| !text.contains("the server responded with a status of 4"));
        self.found.extend(complaints.map(|text| format!("{name}: the browser says {text}")));
        if let Some(folder) = &self.shots {
            window.screenshot(&folder.join(format!("{name}.png")));
        }
        if let Some(axe) = &self.axe {
            let run = "const done = arguments[arguments.length - 1]; axe.run().then(r => done(r.violations.map(v => [v.impact, v.id, v.nodes.length, v.nodes[0].html])));";
            window.script(axe);
            let violations = window.script_later(run);
            let serious = |of: &&Json| matches!(of[0].as_str(), Some("serious" | "critical"));
            self.found.extend(
                violations.as_array().into_iter().flatten().filter(serious).map(|v| format!("{name}: axe says {v}")),
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_and_action_in_chromium() {
    // It takes minutes: `scripts/soak` asks for it.
    if std::env::var_os("CONSOLE_BROWSER").is_none() {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: CONSOLE_BROWSER is not set\n");
        return;
    }
    let Some(driver) = tokio::task::block_in_place(Driver::start) else {
        let mut out = std::io::stderr();
        let _ = std::io::Write::write_all(
            &mut out,
            b"SKIPPED: no chromium and chromedriver on this machine; the console is not looked at in a browser\n",
        );
        return;
    };
    let shots = std::env::var_os("CONSOLE_SCREENSHOTS").map(PathBuf::from);
    let axe = std::env::var_os("AXE").map(|file| std::fs::read_to_string(file).unwrap());
    let mut looks = Looks { shots, axe, found: Vec::new() };
    for (size, width, height) in SIZES {
        let (bench, url) = Bench::listening().await;
        let letter = stage(&bench).await;
        tokio::task::block_in_place(|| {
            let window = driver.window(width, height);
            for (name, path) in pages(&letter) {
                window.open(&format!("{url}{path}"));
                looks.at(&window, &format!("{size}-{name}"));
            }
            for (name, path) in [("overview", "/"), ("integration", "/integrations/things")] {
                let features = serde_json::json!([{ "name": "prefers-color-scheme", "value": "dark" }]);
                window.chrome("Emulation.setEmulatedMedia", serde_json::json!({ "features": features }));
                window.open(&format!("{url}{path}"));
                looks.at(&window, &format!("{size}-dark-{name}"));
            }
            acts(&window, &bench, &url, &letter);
        });
        signs_in(&driver, &bench, &url, size, (width, height), &mut looks).await;
    }
    assert!(looks.found.is_empty(), "{:#?}", looks.found);
}

/// Everything that can be done, by clicks, and what the page says afterwards.
fn acts(window: &Window<'_>, bench: &Bench, url: &str, letter: &str) {
    let integration = format!("{url}/integrations/things");
    window.open(&integration);
    window.click("a.command[href$='/run']");
    window.until("What follows from it");
    window.click(".confirm button.primary");
    window.until("the run starts within a second");
    let asked = bench.store.peek(hub::worker::QUEUE, 0, 10).unwrap().unwrap();
    assert!(asked.iter().any(|peeked| peeked.message.integration.as_deref() == Some("things")));

    window.click("a.command[href$='/pause']");
    window.write("input[name=note]", "maintenance");
    window.click(".confirm button.danger");
    window.until("Paused by mia");
    assert_eq!(bench.store.pauses().unwrap()[0].note, "maintenance");
    window.click("a.command[href$='/resume']");
    window.click(".confirm button.primary");
    window.until("It works again");
    assert!(bench.store.pauses().unwrap().is_empty());

    window.open(&format!("{url}/dead-letters/{letter}"));
    window.click("a.command[href$='/retry']");
    window.click(".confirm button.primary");
    window.until("Sent again");
    window.open(&format!("{url}/dead-letters/{letter}/discard"));
    window.write("input[name=note]", "not needed");
    window.click(".confirm button.danger");
    window.until("Discarded");
    let state = bench.store.dead_letters_like(letter).unwrap()[0].state;
    assert_eq!(state, store::dead_letters::State::Discarded);

    window.open(&format!("{url}/approvals/1/approve"));
    window.click(".confirm button.primary");
    window.until("Approved. A run starts");
    window.open(&format!("{url}/approvals/2/reject"));
    window.write("input[name=comment]", "not today");
    window.click(".confirm button.danger");
    window.until("Rejected. Nothing of it");
    let decided = bench.store.approval(approvals::ApprovalId(2)).unwrap().unwrap();
    assert_eq!((decided.decided_by.as_deref(), decided.comment.as_deref()), (Some("controller"), Some("not today")));

    window.open(&format!("{url}/systems/b"));
    window.click("a.command[href$='/check']");
    window.click(".confirm button.primary");
    window.until("does not answer");

    // The search finds a record from any page.
    window.write("#search-key", "T-1\n");
    window.until("as finance has it");

    // A list is filtered and sorted by clicks, and the page changes by itself when something happens.
    window.open(&format!("{url}/runs"));
    window.click("th a[href*='sort=read']");
    window.until("1 to 50 of 120");
    window.open(&integration);
    let outage = outages::Op::End { integration: "things".into(), system: "b".into() };
    assert!(window.text().contains("Nothing gets through to b"));
    tokio::runtime::Handle::current().block_on(bench.store.commit_one(outage)).unwrap();
    let begun = std::time::Instant::now();
    while window.text().contains("Nothing gets through to b") {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "the page stays as it was");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

/// The first user, and from then on a form to sign in.
async fn signs_in(
    driver: &Driver,
    bench: &Bench,
    url: &str,
    size: &str,
    (width, height): (u32, u32),
    looks: &mut Looks,
) {
    tokio::task::block_in_place(|| {
        let window = driver.window(width, height);
        window.open(&format!("{url}/users/add"));
        window.write("input[name=name]", "ola");
        window.write("input[name=password]", "a few words in a row");
        window.click(".confirm button.primary");
        window.until("Sign in to contoso");
        looks.at(&window, &format!("{size}-sign-in"));
        window.write("input[name=name]", "ola");
        window.write("input[name=password]", "wrong words in a row");
        window.click("button.primary");
        window.until("do not fit");
        let _ = window.complaints();
        window.write("input[name=name]", "ola");
        window.write("input[name=password]", "a few words in a row");
        window.click("button.primary");
        window.until("Sign out");
        window.open(&format!("{url}/users/ola"));
        looks.at(&window, &format!("{size}-user"));
        window.open(&format!("{url}/account"));
        looks.at(&window, &format!("{size}-account-signed-in"));
        window.click(".who button");
        window.until("Sign in to contoso");
    });
    assert_eq!(bench.store.users().unwrap().len(), 1);
}
