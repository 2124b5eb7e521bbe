//! With a keyboard alone: everything is reached in the order in which it is read, and one sees where one is.

use serde_json::{Value as Json, json};

use super::window::Window;
use super::{DESK, Walk, pages};

/// Whatever can be clicked on a page, and is to be seen.
const REACHABLE: &str = "[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex=\"0\"]')].filter(e => !e.disabled && e.checkVisibility({ visibilityProperty: true }))";

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_reached_with_a_keyboard() {
    let Some(walk) = Walk::begin().await else { return };
    tokio::task::block_in_place(|| {
        let window = Window::new(&walk.chromium, DESK);
        let mut lost: Vec<String> = Vec::new();
        for (name, path) in pages(&walk.stage) {
            window.open(&walk.at(&path));
            lost.extend(unreached(&window).into_iter().map(|what| format!("{name}: {what}")));
        }
        assert!(lost.is_empty(), "{lost:#?}");
        pauses(&window, &walk);
    });
}

/// What the tab key does not come to, or comes to without showing it.
fn unreached(window: &Window<'_>) -> Vec<String> {
    // Radio buttons of one name are one stop.
    let all = window.read(&format!(
        "window.all = {REACHABLE}.filter(e => e.type !== 'radio'); window.met = new Set(); window.dim = []; all.length"
    ));
    let all = all.as_ref().and_then(Json::as_u64).unwrap();
    for _ in 0..all + 12 {
        window.key("Tab");
        let shown = "(() => { const e = document.activeElement; met.add(e); const s = getComputedStyle(e);
            if (all.includes(e) && (s.outlineStyle === 'none' || parseFloat(s.outlineWidth) < 1)) dim.push(e.outerHTML.slice(0, 90));
            return all.every(one => met.has(one)); })()";
        if window.read(shown) == Some(json!(true)) {
            break;
        }
    }
    let lost = "all.filter(e => !met.has(e)).map(e => 'not reached: ' + e.outerHTML.slice(0, 90)).concat(dim.map(t => 'not seen to be reached: ' + t))";
    let lost = window.read(lost).unwrap();
    lost.as_array().into_iter().flatten().map(|one| one.as_str().unwrap_or_default().to_owned()).collect()
}

/// From the page to the deed and back, without a mouse.
fn pauses(window: &Window<'_>, walk: &Walk) {
    window.open(&walk.at("/integrations/customers"));
    // The first stop skips what every page has.
    window.key("Tab");
    assert_eq!(window.read("document.activeElement.className"), Some(json!("skip")));
    window.key("Enter");
    window.until_true("document.activeElement.id === 'main'");
    tab_to(window, "a.command[href$='/pause']");
    window.key("Enter");
    window.until("What follows from it");
    tab_to(window, "input[name=note]");
    window.insert("with a keyboard");
    window.key("Enter");
    window.until("Paused by mia");
    assert_eq!(walk.bench.store.pauses().unwrap()[0].note, "with a keyboard");
    tab_to(window, "a.command[href$='/resume']");
    window.key("Enter");
    window.until("What follows from it");
    tab_to(window, ".confirm button[type=submit]");
    window.key("Space");
    window.until("It works again");
}

fn tab_to(window: &Window<'_>, css: &str) {
    let there = format!("document.activeElement === document.querySelector({})", json!(css));
    for _ in 0..60 {
        if window.read(&there) == Some(json!(true)) {
            return;
        }
        window.key("Tab");
    }
    panic!("the tab key does not come to {css} on: {}", window.text());
}
