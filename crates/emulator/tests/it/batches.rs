//! `$batch`, with all the ways in which clients write it.

use crate::{Answer, Env, env};

async fn batch(env: &Env, boundary: &str, prefer: &str, body: &str) -> Answer {
    let kind = format!("multipart/mixed;boundary={boundary}");
    env.send("POST $batch", &[("Content-Type", &kind), ("Prefer", prefer)], body).await
}

fn part(boundary: &str, line: &str, body: &str) -> String {
    format!(
        "--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n{line} HTTP/1.1\r\n\
         Content-Type: application/json;type=entry\r\n\r\n{body}\r\n"
    )
}

fn change(id: u32, line: &str, body: &str) -> String {
    part("cs", line, body).replace("binary\r\n", &format!("binary\r\nContent-ID: {id}\r\n"))
}

fn change_set(parts: &[String]) -> String {
    format!("--b\r\nContent-Type: multipart/mixed; boundary=\"cs\"\r\n\r\n{}--cs--\r\n", parts.concat())
}

fn statuses(answer: &Answer) -> Vec<u16> {
    answer.text.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 ")?[..3].parse().ok()).collect()
}

#[tokio::test]
async fn parts_are_answered_in_order_until_one_fails() {
    let env = env().await;
    let body = [
        part("b", "PATCH accounts(accountnumber='1')", r#"{"name":"one"}"#),
        part("b", "GET /api/data/v9.2/accounts?$select=name&$orderby=name asc", ""),
        part("b", "GET accounts(accountnumber='none')", ""),
        part("b", "PATCH accounts(accountnumber='2')", r#"{"name":"two"}"#),
    ]
    .concat()
        + "--b--\r\n";
    let stopped = batch(&env, "b", "", &body).await;
    assert_eq!(stopped.status, 404, "the failing part's status");
    assert_eq!(statuses(&stopped), [204, 200, 404]);
    assert!(stopped.header("content-type").starts_with("multipart/mixed; boundary=batchresponse_"));
    assert!(stopped.text.contains("REQ_ID: "));
    assert!(stopped.text.contains(&format!("OData-EntityId: {}accounts(accountnumber='1')\r\n", env.root())));
    let all = batch(&env, "\"b\"", "odata.continue-on-error", &format!("\r\n{body}")).await;
    assert_eq!((all.status, statuses(&all)), (200, vec![204, 200, 404, 204]));
    // Line feeds alone will do.
    let bare = batch(&env, "b", "odata.continue-on-error", &body.replace("\r\n", "\n")).await;
    assert_eq!(statuses(&bare), [204, 200, 404, 204]);
}

#[tokio::test]
async fn a_change_set_is_all_or_nothing() {
    let env = env().await;
    let good = change(1, "POST accounts", r#"{"name":"a","accountnumber":"A"}"#);
    let bad = change(2, "POST accounts", r#"{"creditlimit":-1}"#);
    let after = part("b", "POST accounts", r#"{"name":"after"}"#);
    let body = format!("{}{after}--b--\r\n", change_set(&[good.clone(), bad]));
    let answer = batch(&env, "b", "odata.continue-on-error", &body).await;
    assert_eq!((answer.status, statuses(&answer)), (200, vec![400, 204]));
    assert!(answer.text.contains("--changesetresponse_"));
    assert!(answer.text.contains("Content-ID: 2\r\n"), "{}", answer.text);
    assert_eq!(env.values("accounts?$select=name", "name").await, ["after"]);
    assert_eq!(env.stats().await["rows"]["account"]["created"], 1);

    let two = change(2, "POST accounts", r#"{"name":"b","accountnumber":"B"}"#);
    let answer = batch(&env, "b", "", &format!("{}--b--\r\n", change_set(&[good, two]))).await;
    assert_eq!((answer.status, statuses(&answer)), (200, vec![204, 204]));
}

#[tokio::test]
async fn content_ids_name_rows_of_the_same_change_set() {
    let env = env().await;
    let body = change_set(&[
        change(1, "POST accounts", r#"{"name":"parent"}"#),
        change(2, "POST accounts", r#"{"name":"child","parentaccountid@odata.bind":"$1"}"#),
        change(3, "PATCH $2", r#"{"telephone1":"5"}"#),
    ]) + "--b--\r\n";
    let answer = batch(&env, "b", "", &body).await;
    assert_eq!((answer.status, statuses(&answer)), (200, vec![204, 204, 204]), "{}", answer.text);
    let child = env.get("accounts?$filter=parentaccountid/name eq 'parent'&$select=name,telephone1").await.json();
    assert_eq!(child["value"][0]["telephone1"], "5");

    let body = change_set(&[change(1, "PATCH $9", "{}")]) + "--b--\r\n";
    let answer = batch(&env, "b", "", &body).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("Content-ID Reference: '$9' does not exist in the batch context."), "{}", answer.text);
    let body = change_set(&[change(1, "GET accounts", "")]) + "--b--\r\n";
    assert!(batch(&env, "b", "", &body).await.text.contains("not allowed inside a change set"));
}

#[tokio::test]
async fn a_thousand_operations_and_no_more() {
    let env = env().await;
    let of = |count: usize| {
        (0..count).map(|n| part("b", &format!("PATCH accounts(accountnumber='{n}')"), "{}")).collect::<String>()
            + "--b--\r\n"
    };
    let answer = batch(&env, "b", "", &of(1000)).await;
    assert_eq!((answer.status, statuses(&answer).len()), (200, 1000));
    let answer = batch(&env, "b", "", &of(1001)).await;
    assert_eq!(answer.status, 400);
    assert_eq!(env.stats().await["rows"]["account"]["updated"], 0, "nothing of a batch that is too large is done");
}

#[tokio::test]
async fn rubbish_is_refused_whole() {
    let env = env().await;
    let good = part("b", "POST accounts", r#"{"name":"a"}"#);
    for (kind, body) in [
        ("application/json", "{}".to_owned()),
        ("multipart/mixed", good.clone()),
        ("multipart/mixed; boundary=b", good.clone()),
        ("multipart/mixed; boundary=other", format!("{good}--b--")),
        ("multipart/mixed; boundary=b", "--b\r\n\r\n\r\n--b--".to_owned()),
        ("multipart/mixed; boundary=b", String::new()),
    ] {
        let answer = env.send("POST $batch", &[("Content-Type", kind)], &body).await;
        assert_eq!(answer.status, 400, "{kind} {body}");
    }
    assert!(env.values("accounts", "name").await.is_empty());
}
