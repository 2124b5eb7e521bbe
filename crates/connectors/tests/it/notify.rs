//! Notices, as each service gets them.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use connectors::notify::{self, Channel};
use record::{Notice, NoticeKind, Now, Secret, Severity};
use serde_json::Value as Json;

use crate::web::{Response, Server, json};

fn notice(kind: NoticeKind) -> Notice {
    Notice {
        about: "late/customers".into(),
        kind,
        severity: Severity::Critical,
        title: "customers is late".into(),
        text: "It was due at 02:00 and needed by 06:00.\nSales <see> \"yesterday's\" customers & limits.".into(),
        facts: vec![
            ("since".into(), "06:00".into()),
            ("last error".into(), "IB0501: `finance` cannot be reached".into()),
        ],
        command: Some("ironbridge runs customers".into()),
        link: Some("http://127.0.0.1:7700/runbooks/customers#late".into()),
        at: "2026-11-23T06:00:00Z".parse().unwrap(),
    }
}

/// A mail server that refuses what begins so, and takes the rest; sends what it was told.
fn mail_server(refuses: &'static str) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let (told, hears) = mpsc::channel();
    let converse = move |mut stream: TcpStream| {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut say = |text: &str| stream.write_all(format!("{text}\r\n").as_bytes()).unwrap();
        let (mut mail, mut in_data) = (String::new(), false);
        say("220 mail.example ESMTP");
        while let Some(Ok(line)) = lines.next() {
            mail.push_str(&line);
            mail.push('\n');
            match line.split(' ').next().unwrap_or_default() {
                "." if in_data => {
                    in_data = false;
                    say("250 taken");
                    told.send(std::mem::take(&mut mail)).ok();
                }
                _ if in_data => {}
                "EHLO" => say("250 mail.example"),
                _ if !refuses.is_empty() && line.starts_with(refuses) => say("550 5.7.1 not allowed here"),
                "DATA" => {
                    in_data = true;
                    say("354 go on");
                }
                "QUIT" => {
                    say("221 bye");
                    break;
                }
                _ => say("250 ok"),
            }
        }
    };
    std::thread::spawn(move || listener.incoming().for_each(|stream| converse(stream.unwrap())));
    (url, hears)
}

fn mail(server: &str) -> Channel {
    let to = vec!["finance-it@contoso.example".to_owned(), "on-call@contoso.example".to_owned()];
    Channel::Mail { server: Secret::new(server), from: "Ironbridge <hub@contoso.example>".into(), to }
}

#[tokio::test]
async fn a_mail_has_two_forms_and_one_thread() {
    let (url, hears) = mail_server("");
    let channel = notify::open(mail(&url)).unwrap();
    channel.notify(&notice(NoticeKind::Opened)).await.unwrap();
    drop(channel);
    let told = hears.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
    for part in [
        "RCPT TO:<finance-it@contoso.example>",
        "RCPT TO:<on-call@contoso.example>",
        "Subject: [critical] customers is late",
        "Message-ID: <late.customers@contoso.example>",
        "Auto-Submitted: auto-generated",
        "Content-Type: text/plain",
        "Content-Type: text/html",
        "ironbridge runs customers",
    ] {
        assert!(told.contains(part), "no `{part}` in:\n{told}");
    }
}

#[tokio::test]
async fn a_mail_server_that_refuses_asks_a_person_and_one_that_is_away_is_waited_for() {
    let (url, _hears) = mail_server("MAIL");
    let fault = notify::open(mail(&url)).unwrap().notify(&notice(NoticeKind::Test)).await.unwrap_err();
    assert_eq!(fault.now, Now::AskPerson);
    assert!(fault.why.unwrap().text.contains("not allowed here"));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = notify::open(mail(&format!("smtp://{nobody}"))).unwrap();
    assert!(away.notify(&notice(NoticeKind::Test)).await.unwrap_err().is_transient());
    let wrong = notify::open(mail("mail.contoso.example")).err().unwrap();
    assert!(wrong.what.contains("cannot be used"), "{wrong}");
}

#[tokio::test]
async fn a_mailbox_that_is_gone_keeps_a_notice_from_nobody_else() {
    let (url, hears) = mail_server("RCPT TO:<finance-it@");
    let fault = notify::open(mail(&url)).unwrap().notify(&notice(NoticeKind::Test)).await.unwrap_err();
    assert_eq!((fault.now, fault.what.contains("`finance-it@contoso.example`")), (Now::AskPerson, true), "{fault}");
    let told = hears.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
    assert!(told.contains("RCPT TO:<on-call@contoso.example>") && told.contains("ironbridge runs customers"), "{told}");
    assert!(hears.try_recv().is_err(), "told once");
}

#[test]
fn what_a_mail_says() {
    let text = notify::text(&notice(NoticeKind::Opened));
    assert_eq!(
        text,
        "[critical] customers is late\n\nIt was due at 02:00 and needed by 06:00.\nSales <see> \"yesterday's\" customers & limits.\n\n\
         \x20 since       06:00\n  last error  IB0501: `finance` cannot be reached\n\nNext:\n  ironbridge runs customers\n\n\
         What to do: http://127.0.0.1:7700/runbooks/customers#late\n"
    );
    let html = notify::html(&notice(NoticeKind::Opened));
    assert!(html.contains("Sales &lt;see&gt; &quot;yesterday's&quot; customers &amp; limits."), "{html}");
    assert!(!html.contains("<script") && !html.contains("<img"));
}

#[tokio::test]
async fn each_service_gets_its_own_form() {
    let server = Server::start(|_| json("{}"));
    let url = || Secret::new(format!("{}/hook", server.url));
    let sent = async |channel, kind| -> Json {
        notify::open(channel).unwrap().notify(&notice(kind)).await.unwrap();
        serde_json::from_str(&server.take()[0].body).unwrap()
    };
    let teams = sent(Channel::Teams(url()), NoticeKind::Opened).await;
    let card = &teams["attachments"][0]["content"];
    assert_eq!((card["type"].as_str(), card["body"][0]["color"].as_str()), (Some("AdaptiveCard"), Some("attention")));
    assert_eq!(card["body"][2]["facts"][0]["title"], "since");
    assert_eq!(card["actions"][0]["type"], "Action.OpenUrl");
    let slack = sent(Channel::Slack(url()), NoticeKind::Resolved).await;
    assert_eq!(slack["text"], "[over] customers is late");
    assert!(slack["blocks"][1]["text"]["text"].as_str().unwrap().contains("Sales &lt;see&gt;"));
    let key = Secret::new("routing");
    let pagerduty = Channel::PagerDuty { key, url: format!("{}/v2/enqueue", server.url) };
    let opened = sent(pagerduty.clone(), NoticeKind::Opened).await;
    let resolved = sent(pagerduty, NoticeKind::Resolved).await;
    assert_eq!(
        (opened["event_action"].as_str(), resolved["event_action"].as_str()),
        (Some("trigger"), Some("resolve"))
    );
    assert_eq!((&opened["dedup_key"], &opened["routing_key"]), (&resolved["dedup_key"], &"routing".into()));
    let webhook = sent(Channel::Webhook(url()), NoticeKind::Test).await;
    assert_eq!((webhook["kind"].as_str(), webhook["facts"]["since"].as_str()), (Some("test"), Some("06:00")));
}

#[test]
fn what_a_record_brings_along_is_no_mark_and_nothing_is_lost_or_too_long() {
    let mut notice = notice(NoticeKind::Question);
    notice.title = "contoso: please decide: Raise the limit of [pay <here>](https://evil.example) & Sons?".into();
    notice.text = "Raise the limit of [pay <here>](https://evil.example) & Sons?".into();
    notice.facts = (0..120).map(|i| ("customers".to_owned(), format!("<{i}> {}", "&".repeat(2_000)))).collect();
    notice.at = "2026-11-23T06:00:00.123456789Z".parse().unwrap();
    assert_eq!(notice.body(), None, "the title says it already");
    let teams = notify::teams(&notice);
    let card = &teams["attachments"][0]["content"];
    assert!(teams.to_string().len() < 28_000 && !teams.to_string().contains("](http"), "{teams:#}");
    let facts = card["body"][1]["facts"].as_array().unwrap();
    assert_eq!((facts.len(), &facts[30]["value"]), (31, &"90 more".into()));
    assert_eq!(card["actions"][0]["title"], "Answer");
    let slack = notify::slack(&notice);
    let blocks = slack["blocks"].as_array().unwrap();
    assert!(blocks.len() < 50);
    let fields = blocks.iter().flat_map(|block| block["fields"].as_array().into_iter().flatten());
    for text in fields.map(|field| field["text"].as_str().unwrap()).chain([slack["text"].as_str().unwrap()]) {
        assert!(text.chars().count() <= 2_000 && !text.replace("&lt;", "").contains('<'), "{text}");
        let cut = text.trim_end_matches('…').rsplit('&').next().unwrap();
        assert!(!text.contains('&') || cut.contains(';'), "a mark that was cut in two: {text}");
    }
    let webhook = notify::webhook(&notice);
    assert_eq!(webhook["facts"]["customers"].as_str().unwrap().lines().count(), 120, "each with the same label");
    assert_eq!((&webhook["kind"], &webhook["at"]), (&"question".into(), &"2026-11-23T06:00:00.123Z".into()));
    assert!(notify::html(&notice).contains(">Answer</a>"));
}

#[tokio::test]
async fn a_service_that_says_no_is_told_without_its_address() {
    for (status, now) in [(429, true), (503, true), (404, false), (400, false)] {
        let server = Server::start(move |_| Response(status, "Retry-After: 3\r\n".into(), "no_such_hook".into()));
        let channel = notify::open(Channel::Slack(Secret::new(format!("{}/T0/secret", server.url)))).unwrap();
        let fault = channel.notify(&notice(NoticeKind::Opened)).await.unwrap_err();
        assert_eq!(fault.is_transient(), now, "{status}: {fault}");
        assert!(fault.why.as_ref().unwrap().text.contains("no_such_hook"));
        assert!(!format!("{fault:?}").contains("secret"), "{fault:?}");
    }
}
