//! Everything that can be done, by clicks, and what the page says afterwards; with script and without.

use store::outages;

use super::window::Window;
use super::{DESK, PHONE, Walk};

/// A step of a person.
enum Step<'s> {
    Open(&'s str),
    Click(&'s str),
    Write(&'s str, &'s str),
    Choose(&'s str, &'s str),
    Sees(&'s str),
}

use Step::{Choose, Click, Open, Sees, Write};

fn take(window: &Window<'_>, walk: &Walk, steps: &[Step<'_>]) {
    for step in steps {
        match step {
            Open(path) => window.open(&walk.at(path)),
            Click(css) => window.click(css),
            Write(css, text) => window.write(css, text),
            Choose(css, value) => window.choose(css, value),
            Sees(text) => window.until(text),
        }
    }
}

const GO: Step<'static> = Click(".confirm button[type=submit]");

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_done_by_clicks_at_a_desk() {
    everything(DESK, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_done_by_touch_on_a_phone() {
    everything(PHONE, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_done_where_no_script_runs() {
    everything(DESK, false).await;
}

async fn everything(size: (u32, u32), script: bool) {
    let Some(walk) = Walk::begin().await else { return };
    tokio::task::block_in_place(|| {
        let window = Window::new(&walk.chromium, size);
        window.script_runs(script);
        integrations(&window, &walk);
        letters(&window, &walk);
        approvals(&window, &walk);
        lists(&window, &walk, script);
        if script {
            by_itself(&window, &walk);
        }
        // What a page refuses on purpose is in the browser's log as well.
        let complaints: Vec<String> =
            window.complaints().into_iter().filter(|text| !text.contains("a status of 4")).collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
    });
}

fn integrations(window: &Window<'_>, walk: &Walk) {
    let store = &walk.bench.store;
    let run = [Open("/integrations/customers"), Click("a.command[href$='/run']"), Sees("What follows from it"), GO];
    take(window, walk, &run);
    take(window, walk, &[Sees("the run starts within a second")]);
    let asked = store.peek(hub::worker::QUEUE, 0, 10).unwrap().unwrap();
    assert!(asked.iter().any(|peeked| peeked.message.integration.as_deref() == Some("customers")));
    let pause = [
        Click("a.command[href$='/pause']"),
        Write("input[name=note]", "maintenance"),
        Choose("select[name=for]", "4h"),
        GO,
        Sees("Paused by mia"),
    ];
    take(window, walk, &pause);
    let paused = store.pauses().unwrap();
    assert!(paused[0].note == "maintenance" && paused[0].until.is_some());
    take(window, walk, &[Click("a.command[href$='/resume']"), GO, Sees("It works again")]);
    assert!(store.pauses().unwrap().is_empty());
    let check = [Open("/systems/erp"), Click("a.command[href$='/check']"), GO, Sees("does not answer")];
    take(window, walk, &check);
}

fn letters(window: &Window<'_>, walk: &Walk) {
    let letter = format!("/dead-letters/{}", walk.stage.row);
    let retry = [Open(&letter), Click("a.command[href$='/retry']"), GO, Sees("Sent again")];
    take(window, walk, &retry);
    let discard = format!("{letter}/discard");
    take(window, walk, &[Open(&discard), Write("input[name=note]", "not needed"), GO, Sees("Discarded")]);
    let state = walk.bench.store.dead_letters_like(&walk.stage.row).unwrap()[0].state;
    assert_eq!(state, store::dead_letters::State::Discarded);
}

fn approvals(window: &Window<'_>, walk: &Walk) {
    take(window, walk, &[Open("/approvals/1/approve"), GO, Sees("Approved. A run starts")]);
    let reject = [Open("/approvals/2/reject"), Write("input[name=comment]", "not today"), GO, Sees("Rejected.")];
    take(window, walk, &reject);
    let decided = walk.bench.store.approval(store::approvals::ApprovalId(2)).unwrap().unwrap();
    assert_eq!((decided.decided_by.as_deref(), decided.comment.as_deref()), (Some("controller"), Some("not today")));
}

fn lists(window: &Window<'_>, walk: &Walk, script: bool) {
    // The search finds a record from any page.
    let trace = [Open("/runs"), Write("#search-key", "C-1001"), Click(".search button"), Sees("as finance has it")];
    take(window, walk, &trace);
    // A list is filtered, sorted and paged by its address; where script runs, a choice is enough.
    take(window, walk, &[Open("/runs"), Choose("select[name=state]", "failed")]);
    if !script {
        take(window, walk, &[Click(".filters button")]);
    }
    take(window, walk, &[Sees("1 to 11 of 11"), Click(".filters a"), Sees("1 to 50 of 120")]);
    take(window, walk, &[Click("a[rel=next]"), Sees("51 to 100 of 120"), Open("/runs?sort=read"), Sees("1 to 50 of")]);
}

/// The page changes by itself when something has happened.
fn by_itself(window: &Window<'_>, walk: &Walk) {
    take(window, walk, &[Open("/integrations/orders"), Sees("Nothing gets through to erp")]);
    let end = outages::Op::End { integration: "orders".into(), system: "erp".into() };
    walk.now(walk.bench.store.commit_one(end)).unwrap();
    window.until_gone("Nothing gets through to erp");
}
