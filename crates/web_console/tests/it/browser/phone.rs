//! The page that a link in a mail opens, on a phone, by two people at once.

use hub::flows::links::{Link, Links};
use serde_json::json;
use store::approvals::{self, Kind, Question, State};
use store::flows::InstanceId;

use super::window::Window;
use super::{Looks, PHONE, Walk};

/// A question of the instance that asks, with a form; answers the addresses of those who may decide.
async fn asked(walk: &Walk) -> [String; 2] {
    let store = &walk.bench.store;
    let instance = InstanceId(walk.stage.instance - 1);
    let field = |name: &str, label: &str, ty: &str, with: &str| json!({ "name": name, "label": label, "type": ty, "required": true, "with": with });
    let mut kind = field("kind", "What kind", "choice", "either");
    kind["values"] = json!(["new", "more"]);
    let mut granted = field("granted", "How much", "money", "approved");
    granted["default"] = json!("9000.00");
    granted["currency"] = json!("GBP");
    let details = json!({
        "instance": instance.0, "deadline": "2025-12-30T17:00:00Z",
        "record": { "number": "C-1001", "name": "Adatum Ltd (sample)", "email": "***", "terms": "45",
            "asked_for_at": "2025-07-01T08:30:00Z",
            "a_name_that_is_rather_long_for_a_phone": "ALSOAVALUEWITHOUTANYSPACETHATISLONGERTHANAPHONEISWIDE" },
        "form": [granted, kind, field("why_not", "What is missing", "multiline", "rejected")],
    });
    let question = Question {
        integration: "terms".into(),
        kind: Kind::Flow,
        subject: format!("{instance}/decision"),
        question: "May C-1001 have terms 45?".into(),
        details: details.to_string(),
        digest: "as shown".into(),
        proofs: Vec::new(),
        asked_of: "controller, cfo".into(),
        expires: None,
    };
    store.commit_one(approvals::Op::Ask(Box::new(question))).await.unwrap();
    let links = Links::of(store).await.unwrap();
    ["controller", "cfo"].map(|person| {
        let (flow, decision, person) = ("terms".to_owned(), "decision".to_owned(), person.to_owned());
        let until = "2025-12-30T17:00:00Z".parse().unwrap();
        walk.at(&format!("/answer/{}", links.token(&Link { flow, instance, decision, person, until })))
    })
}

fn open(walk: &Walk) -> bool {
    let all = walk.bench.store.approvals(true, 100).unwrap();
    all.iter().any(|approval| approval.kind == Kind::Flow && approval.state == State::Open)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone_one_of_two_decides_and_the_other_reads_who_did() {
    let Some(walk) = Walk::begin().await else { return };
    let addresses = asked(&walk).await;
    tokio::task::block_in_place(|| {
        let mut looks = Looks::begin();
        let first = Window::new(&walk.chromium, PHONE);
        let second = Window::new(&walk.chromium, PHONE);
        // Nothing of it needs a script.
        first.script_runs(false);
        first.open(&addresses[0]);
        first.script_runs(true);
        first.until("You answer as controller");
        looks.at(&first, "answer-phone");
        second.open(&addresses[1]);
        second.until("You answer as cfo");
        // Each by the clocks that they go by.
        for (window, time, until) in [
            (&first, "2025-07-01 09:30 (Europe/London)", "2025-12-30 17:00 (Europe/London)"),
            (&second, "2025-07-01 04:30 (America/New_York)", "2025-12-30 12:00 (America/New_York)"),
        ] {
            let text = window.text();
            assert!(text.contains(time) && text.contains(&format!("until {until}")), "{text}");
            assert!(text.contains("How much in GBP, such as 1250.50 (with a yes)"), "{text}");
        }
        assert!(open(&walk), "opening decides nothing");
        // Every button is as large as a thumb, and nothing has to be turned or enlarged.
        let small = "[...document.querySelectorAll('button, input:not([type=hidden]), select')].filter(e => e.getBoundingClientRect().height < 40).length";
        assert_eq!(first.read(small), Some(json!(0)));
        // What is missing is told beside its field, what was typed stays, and nothing is decided.
        first.write("[name='f.granted']", "a lot");
        first.choose("[name='f.kind']", "new");
        first.write("[name='comment']", "good for it");
        first.click("button.yes");
        first.until("`a lot` is no amount; write it like 1250.50");
        let typed = first.read("document.querySelector(\"[name='f.kind']\").value + document.querySelector('textarea[name=comment]').value");
        assert_eq!(typed, Some(json!("newgood for it")));
        let _ = first.complaints();
        looks.at(&first, "answer-wrong-phone");
        assert!(open(&walk), "a mistake decides nothing");
        first.write("[name='f.granted']", "8500.50");
        second.choose("[name='f.kind']", "more");
        second.write("[name='f.why_not']", "no balance sheet");
        // Both press at the same moment.
        let pressed = [first.begin_click("button.yes"), second.begin_click(".buttons button:not(.yes)")];
        first.done(pressed[0][0]);
        first.done(pressed[0][1]);
        second.done(pressed[1][0]);
        second.done(pressed[1][1]);
        let ended = "!document.querySelector('form')";
        first.until_true(ended);
        second.until_true(ended);
        let said = [first.text(), second.text()];
        let yes = said[0].contains("You said yes");
        assert!(yes != said[1].contains("You said no"), "one of them decided: {said:?}");
        let (late, by) = if yes { (&said[1], "controller") } else { (&said[0], "cfo") };
        assert!(late.contains(&format!("It was already decided by {by} on 2025-12-01 ")), "{late}");
        looks.at(&first, "answer-first-phone");
        looks.at(&second, "answer-second-phone");
        // Whoever opens the link again reads the same.
        first.open(&addresses[0]);
        first.until(&format!("It was already decided by {by} on 2025-12-01 "));
        let _ = first.complaints();
        looks.end("a phone");
    });
    let all = walk.bench.store.approvals(true, 100).unwrap();
    let of_flow: Vec<_> = all.iter().filter(|approval| approval.kind == Kind::Flow).collect();
    assert_eq!(of_flow.len(), 1);
    let filled = hub::flows::filled_in(&walk.bench.store, of_flow[0], &jiff::tz::TimeZone::UTC).unwrap();
    let yes = of_flow[0].state == State::Approved;
    let told: Vec<String> = filled.iter().map(|(label, value)| format!("{label}: {value}")).collect();
    match yes {
        true => assert_eq!(told, ["How much: 8500.50 GBP", "What kind: new"]),
        false => assert_eq!(told, ["What kind: more", "What is missing: no balance sheet"]),
    }
}
