//! Change tracking.

use serde_json::Value;

use crate::{Env, env};

/// Follows pages of `size` to the delta link; returns the rows and the link.
async fn follow(env: &Env, first: &str, size: usize) -> (Vec<Value>, String) {
    let prefer = format!("odata.track-changes,odata.maxpagesize={size}");
    let mut next = if first.starts_with("http") { first.to_owned() } else { format!("{}{first}", env.root()) };
    let mut rows = Vec::new();
    loop {
        let page = env.send(&format!("GET {next}"), &[("Prefer", &prefer)], "").await;
        assert_eq!(page.status, 200, "{}", page.text);
        let page = page.json();
        rows.extend(page["value"].as_array().unwrap().clone());
        if let Some(delta) = page["@odata.deltaLink"].as_str() {
            return (rows, delta.to_owned());
        }
        next = page["@odata.nextLink"].as_str().unwrap().to_owned();
    }
}

#[tokio::test]
async fn changes_and_deletions_since_the_last_time() {
    let env = env().await;
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(env.create("accounts", &format!(r#"{{"name":"{n}"}}"#)).await);
    }
    for size in [1, 3, 7, 5000] {
        let (rows, _) = follow(&env, "accounts?$select=name", size).await;
        assert_eq!(rows.len(), 7, "pages of {size}");
    }
    let (_, link) = follow(&env, "accounts?$select=name", 3).await;
    assert!(link.contains("accounts?$select=name&$deltatoken="), "{link}");
    let (rows, same) = follow(&env, &link, 3).await;
    assert!(rows.is_empty());

    env.send(&format!("PATCH accounts({})", ids[0]), &[], r#"{"name":"changed"}"#).await;
    env.send(&format!("PATCH accounts({})", ids[0]), &[], r#"{"name":"twice"}"#).await;
    env.send(&format!("DELETE accounts({})", ids[1]), &[], "").await;
    let brief = env.create("accounts", r#"{"name":"brief"}"#).await;
    env.send(&format!("DELETE accounts({brief})"), &[], "").await;
    let again = env.create("accounts", r#"{"name":"again"}"#).await;
    for link in [&link, &same] {
        for size in [1, 2, 5000] {
            let (rows, _) = follow(&env, link, size).await;
            let names: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
            assert_eq!(names, ["twice", "again"], "pages of {size}");
            let gone: Vec<&Value> = rows.iter().filter(|row| row["reason"] == "deleted").collect();
            assert_eq!(
                gone.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(),
                [ids[1].as_str(), &brief]
            );
            assert!(gone[0]["@odata.context"].as_str().unwrap().ends_with("#accounts/$deletedEntity"));
            assert!(
                rows.iter().filter(|row| row.get("reason").is_none()).all(|row| row.get("@odata.context").is_none())
            );
        }
    }
    let token = link.split("$deltatoken=").nth(1).unwrap();
    assert_eq!(env.get(&format!("accounts/$count?$deltatoken={token}")).await.text, "\u{feff}4");

    // An id that is used again is a row, not a deletion.
    let (_, link) = follow(&env, "accounts?$select=name", 5000).await;
    env.send(&format!("DELETE accounts({again})"), &[], "").await;
    env.send(&format!("PATCH accounts({again})"), &[], r#"{"name":"reborn"}"#).await;
    let (rows, _) = follow(&env, &link, 5000).await;
    assert_eq!((rows.len(), rows[0]["name"].as_str()), (1, Some("reborn")));
}

#[tokio::test]
async fn what_tracking_refuses() {
    let env = env().await;
    let track = [("Prefer", "odata.track-changes")];
    for (query, code, message) in [
        (
            "accounts?$filter=name eq 'x'",
            "0x80060888",
            "The \"$filter\" query parameter isn't supported when Change Tracking is enabled.",
        ),
        ("accounts?$orderby=name", "0x80060888", "\"$orderby\""),
        ("accounts?$expand=primarycontactid", "0x80060888", "\"$expand\""),
        ("accounts?$top=1", "0x80060888", "\"$top\""),
        ("teams", "0x80072491", "Entity team isn't enabled for change tracking."),
    ] {
        let answer = env.send(&format!("GET {query}"), &track, "").await;
        assert_eq!(answer.status, 400, "{query}");
        let (got, text) = answer.error();
        assert_eq!(got, code, "{query}");
        assert!(text.contains(message), "{text}");
    }
}

#[tokio::test]
async fn tokens_expire_by_age_and_on_demand() {
    let env = env().await;
    env.create("accounts", r#"{"name":"a"}"#).await;
    let (_, link) = follow(&env, "accounts?$select=name", 10).await;
    env.send("POST /emulator/expire/delta-tokens", &[], "").await;
    let expired = (
        "0x80044352".to_owned(),
        "Version stamp associated with the client has expired. Please perform a full sync.".to_owned(),
    );
    assert_eq!(env.send(&format!("GET {link}"), &[], "").await.error(), expired);
    let (_, link) = follow(&env, "accounts?$select=name", 10).await;
    assert_eq!(env.send(&format!("GET {link}"), &[], "").await.status, 200);
    env.send("POST /emulator/clock", &[], r#"{"advance_seconds":700000}"#).await;
    assert_eq!(env.send(&format!("GET {link}"), &[], "").await.error(), expired);
}
