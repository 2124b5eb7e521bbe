//! Everything that can be done, by clicks, and what the page says afterwards; with script and without.

use store::dead_letters::State;
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
        alerts(&window, &walk);
        flows(&window, &walk);
        audited(&window, &walk, size == PHONE);
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
    let store = &walk.bench.store;
    let letter = format!("/dead-letters/{}", walk.stage.row);
    let state = || store.dead_letters_like(&walk.stage.row).unwrap()[0].state;
    let retry = [Open(&letter), Click("a.command[href$='/retry']"), GO, Sees("Sent again")];
    take(window, walk, &retry);
    let discard =
        [Click("a.command[href$='/discard']"), Write("input[name=note]", "not needed"), GO, Sees("Discarded.")];
    take(window, walk, &discard);
    assert_eq!(state(), State::Discarded);
    take(window, walk, &[Click("a.command[href$='/restore']"), GO, Sees("Taken back.")]);
    assert_eq!(state(), State::Open);

    // A changed copy: what is locked cannot be typed.
    let copy = [
        Open("/dead-letters?integration=orders"),
        Click("td a[href*='/groups/']"),
        Sees("payment terms 99 do not exist"),
        Click("h2 a"),
        Click("a.command[href$='/edit']"),
        Sees("a copy is never about another record"),
        Write("input[name='set:paymentterms']", "30"),
        Write("input[name=note]", "agreed with finance"),
        GO,
        Sees("The copy is sent"),
        Sees("A changed copy, sent by mia"),
    ];
    take(window, walk, &copy);
    groups(window, walk);
}

/// From the list of causes to a retry of a few, then of the rest.
fn groups(window: &Window<'_>, walk: &Walk) {
    let (store, group) = (&walk.bench.store, format!("/dead-letters/groups/{}", walk.stage.rows));
    let mark = [
        Open("/dead-letters?integration=customers"),
        Click("td a[href*='/groups/']"),
        Sees("One group because"),
        Click("a.command[href$='/mark']"),
        Write("input[name=owner]", "ola"),
        Write("input[name=note]", "finance corrects the codes"),
        Choose("select[name=hold]", "3d"),
        GO,
        Sees("Saved, and looked at."),
        Sees("put aside"),
    ];
    take(window, walk, &mark);
    let marked = store.dead_letter_groups_like(&walk.stage.rows).unwrap().remove(0);
    assert!(marked.owner.as_deref() == Some("ola") && marked.hold_until.is_some());
    // The retry that is there already is ended; then the first three of what waits, and the rest.
    let job = format!("/retries/{}", walk.stage.job);
    take(window, walk, &[Open(&job), Click("a.command[href$='/cancel']"), GO, Sees("Ended.")]);
    let retry = [
        Open(&group),
        Click("a.command[href$='/retry']"),
        Sees("which is asked for"),
        Write("input[name=first]", "3"),
        Write("input[name=note]", "corrected"),
        GO,
        Sees("Begun. What becomes of each"),
    ];
    take(window, walk, &retry);
    let job = store.retry_jobs(false, 1).unwrap().remove(0);
    assert_eq!((job.stop_after, job.why.as_deref()), (Some(3), Some("corrected")));
    walk.now(walk.bench.step(job.id));
    let rest =
        [Open(&group), Click("section a[href^='/retries/']"), Click("a.command[href$='/pause']"), GO, Sees("Paused.")];
    take(window, walk, &rest);
    let on = [Click("a.command[href$='/resume']"), Write("input[name=rate]", "60"), GO, Sees("It goes on.")];
    take(window, walk, &on);
    let job = store.retry_job(job.id).unwrap().unwrap();
    assert_eq!((job.per_minute, job.counts.started), (Some(60), 3));
}

fn approvals(window: &Window<'_>, walk: &Walk) {
    take(window, walk, &[Open("/approvals/1/approve"), GO, Sees("Approved. A run starts")]);
    let reject = [Open("/approvals/2/reject"), Write("input[name=comment]", "not today"), GO, Sees("Rejected.")];
    take(window, walk, &reject);
    let decided = walk.bench.store.approval(store::approvals::ApprovalId(2)).unwrap().unwrap();
    assert_eq!((decided.decided_by.as_deref(), decided.comment.as_deref()), (Some("controller"), Some("not today")));
}

fn alerts(window: &Window<'_>, walk: &Walk) {
    let store = &walk.bench.store;
    let ack = [
        Open("/alerts"),
        Sees("erp takes no orders"),
        Click("td a[href='/alerts/1']"),
        Sees("crm-team/email was told that it began"),
        Click("a.command[href$='/ack']"),
        Write("input[name=note]", "erp is up again at noon"),
        GO,
        Sees("mia looks at it"),
    ];
    take(window, walk, &ack);
    let acked = store.alert(store::alerts::AlertId(1)).unwrap().unwrap();
    assert_eq!((acked.acked_by.as_deref(), acked.note.as_deref()), (Some("mia"), Some("erp is up again at noon")));
    let silence = [
        Open("/alerts"),
        Click("a.command[href='/alerts/silence']"),
        Choose("select[name=subject]", "finance"),
        Choose("select[name=for]", "4h"),
        Write("input[name=note]", "finance moves"),
        GO,
        Sees("finance moves, says mia"),
        Click("a[href='/alerts/silences/2/end']"),
        GO,
        Sees("Ended. People are told again."),
    ];
    take(window, walk, &silence);
    assert_eq!(store.silences().unwrap().len(), 1);
    let coverage = [Click("a.command[href='/alerts/coverage']"), Sees("Nobody hears of")];
    take(window, walk, &coverage);
    // From an alert to what is to be done.
    let runbook = [Open("/alerts/1"), Click("a[href$='/runbook#destination-paused']"), Sees("Runbook of orders")];
    take(window, walk, &runbook);
    window.until_true("document.querySelector('#destination-paused').getBoundingClientRect().top < innerHeight");
}

fn flows(window: &Window<'_>, walk: &Walk) {
    let store = &walk.bench.store;
    let instance = || store.flow_instance(store::flows::InstanceId(walk.stage.instance)).unwrap().unwrap();
    let link = format!("td a[href='/flows/{}']", walk.stage.instance);
    let retry = [
        Open("/flows"),
        Click(&link),
        Sees("finance refused the customer C-1002"),
        Click("a.command[href$='/retry']"),
        GO,
        Sees("It tries its step again"),
    ];
    take(window, walk, &retry);
    assert_eq!(instance().state, store::flows::State::Running);
    let cancel = [
        Click("a.command[href$='/cancel']"),
        Write("input[name=note]", "asked twice"),
        GO,
        Sees("Cancelled. What it has written stays."),
        Sees("cancelled: asked twice"),
    ];
    take(window, walk, &cancel);
    assert_eq!(instance().state, store::flows::State::Cancelled);
    // What somebody has done by hand is left out; an approval never is.
    let left = || store.flow_instance(store::flows::InstanceId(walk.stage.instance + 1)).unwrap().unwrap();
    let skip = [
        Open(&format!("/flows/{}", walk.stage.instance + 1)),
        Sees("finance refused the customer C-1003"),
        Click("a.command[href$='/skip']"),
        Sees("Whatever the step was to do has to be done by hand"),
        Write("input[name=note]", "done by hand in finance"),
        GO,
        Sees("skipped steps[1].then[0]: done by hand in finance"),
    ];
    take(window, walk, &skip);
    assert_eq!((left().state, left().at), (store::flows::State::Running, None));
    let asks = || store.flow_instance(store::flows::InstanceId(walk.stage.instance - 1)).unwrap().unwrap();
    let migrate = [
        Open("/integrations/terms/migrate"),
        Sees("A question that stands is put again"),
        Choose("select[name=to]", "2"),
        GO,
        Sees("terms"),
    ];
    take(window, walk, &migrate);
    window.until_true("location.pathname === '/integrations/terms'");
    assert_eq!(asks().version, 2);
    let again = [Open(&format!("/flows/{}", walk.stage.instance - 1)), Sees("goes on with version 2")];
    take(window, walk, &again);
}

/// Everything that was done stands in the audit log, with who did it and why.
fn audited(window: &Window<'_>, walk: &Walk, narrow: bool) {
    let all = walk.bench.store.audit(&store::audit::Filter::default(), 1000).unwrap();
    let done: std::collections::BTreeSet<&str> =
        all.iter().filter(|r| r.entry.actor.name == "mia").map(|r| r.entry.action.as_str()).collect();
    let expected = [
        "alerts acknowledge",
        "alerts silence",
        "alerts unsilence",
        "approvals approve",
        "approvals reject",
        "check",
        "dead-letters discard",
        "dead-letters edit",
        "dead-letters mark",
        "dead-letters restore",
        "dead-letters retry",
        "flow cancel",
        "flow migrate",
        "flow retry",
        "flow skip",
        "pause",
        "resume",
        "retry job cancel",
        "retry job pause",
        "retry job resume",
        "run",
    ];
    assert_eq!(done.into_iter().collect::<Vec<_>>(), expected);
    let look = [
        Open("/audit"),
        Sees("as it was recorded"),
        Write(".filters input[name=q]", "maintenance"),
        Click(".filters button"),
        Sees("1 to 1 of 1"),
        Click(".filters a"),
    ];
    take(window, walk, &look);
    // The whole list is there before it is sorted: a click on the page before would be lost.
    window.until_true("document.readyState === 'complete' && !location.search.includes('maintenance')");
    // A phone shows no headings to click.
    let sort = if narrow { Choose("select[name=sort]", "action") } else { Click("th a[href*='sort=action']") };
    take(window, walk, &[sort, Sees("alerts acknowledge")]);
    window.until_true("document.querySelector('tbody td[data-label=What]')?.textContent === 'alerts acknowledge'");
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
