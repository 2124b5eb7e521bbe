//! Webhooks that do not come, and those that are refused: told until a good one comes.

use serde_json::Value as Json;

use crate::stage::{EVENTS, Stage};
use crate::support::http_with;

/// What `status` knows of the webhooks of the integration.
fn missing(stage: &Stage) -> Json {
    stage.json(&["status"])[0]["webhooks_missing"].clone()
}

#[test]
fn changes_without_a_webhook_are_told_until_one_comes() {
    let mut stage = Stage::unregistered(&format!("{EVENTS}sweep: every 1 second\n"));
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    stage.account("C-1", "Unheard", 1);
    stage.until("the change", || stage.buyers() == ["C-1 Unheard 1"]);
    stage.until("that it is noted", || missing(&stage)["changes"] == 1);
    let told = stage.say(&["status"]);
    assert!(told.contains("buyers: 1 change in dynamics had no webhook since "), "{told}");
    let command = stage.world.typed("dataverse register buyers");
    assert!(told.contains(&format!("do: {command}")), "{told}");
    stage.account("C-1", "Unheard again", 2);
    stage.until("both", || missing(&stage)["changes"] == 2);
    let told = stage.say(&["status"]);
    assert!(
        told.contains("buyers: no webhooks of dynamics come. 2 changes in dynamics had no webhook since "),
        "{told}"
    );
    // Another process of the hub knows it too.
    stage.kill();
    stage.start();
    assert_eq!(missing(&stage)["changes"], 2);
    stage.register("Update");
    stage.account("C-1", "Heard", 3);
    stage.until("the end of it", || missing(&stage).is_null());
    assert!(!stage.say(&["status"]).contains("webhook"), "{}", stage.say(&["status"]));
}

#[test]
fn calls_with_a_wrong_key_are_told_after_a_few_and_no_flood_is_noted() {
    let mut stage = Stage::new();
    stage.start();
    let url = format!("http://{}", stage.address);
    let call = |key: &str| http_with(&url, "POST", "/webhooks/buyers", &format!("x-hub-key: {key}\r\n"), "{}");
    call("wrong");
    call("wrong");
    assert_eq!(missing(&stage), Json::Null, "twice is no matter");
    (0..50).for_each(|_| drop(call("wrong")));
    assert_eq!(missing(&stage)["refused"], 3, "once a minute is often enough");
    let told = stage.say(&["status"]);
    assert!(told.contains("buyers: webhooks of dynamics are refused. 3 calls were refused since "), "{told}");
    stage.account("C-1", "Acme", 1);
    stage.until("the end of it", || missing(&stage).is_null() && stage.buyers() == ["C-1 Acme 1"]);
    call("wrong");
    assert_eq!(missing(&stage), Json::Null, "they are counted anew");
}
