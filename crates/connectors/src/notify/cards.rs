//! A notice in the form of each service.
//!
//! *Source*: Adaptive Cards 1.4 as Teams workflows take them ("Send adaptive cards using incoming webhooks"); Slack
//! "Block Kit" (header 150, text 3,000, ten fields of 2,000 characters); PagerDuty "Events API v2" (summary of 1,024
//! characters; the severities critical, warning, info; `dedup_key`).

use record::{Notice, NoticeKind, Severity};
use serde_json::{Value as Json, json};

/// The body of a request to a Teams workflow.
pub fn teams(notice: &Notice) -> Json {
    let color = match (notice.kind, notice.severity) {
        (NoticeKind::Resolved, _) => "good",
        (NoticeKind::Message, _) => "accent",
        (_, Severity::Critical) => "attention",
        (_, Severity::Warning) => "warning",
    };
    let mut body = vec![
        json!({ "type": "TextBlock", "text": notice.subject(), "weight": "bolder", "size": "medium", "color": color, "wrap": true }),
        json!({ "type": "TextBlock", "text": notice.text, "wrap": true }),
    ];
    if !notice.facts.is_empty() {
        let facts: Vec<Json> =
            notice.facts.iter().map(|(title, value)| json!({ "title": title, "value": value })).collect();
        body.push(json!({ "type": "FactSet", "facts": facts }));
    }
    if let Some(command) = &notice.command {
        body.push(json!({ "type": "TextBlock", "text": command, "fontType": "monospace", "wrap": true }));
    }
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    });
    if let Some(link) = &notice.link {
        card["actions"] = json!([{ "type": "Action.OpenUrl", "title": "What to do", "url": link }]);
    }
    json!({
        "type": "message",
        "attachments": [{ "contentType": "application/vnd.microsoft.card.adaptive", "content": card }],
    })
}

/// The body of a request to a Slack webhook.
pub fn slack(notice: &Notice) -> Json {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut blocks = vec![
        json!({ "type": "header", "text": { "type": "plain_text", "text": cut(&notice.subject(), 150) } }),
        json!({ "type": "section", "text": { "type": "mrkdwn", "text": cut(&escaped(&notice.text), 3_000) } }),
    ];
    for facts in notice.facts.chunks(10) {
        let field = |(label, value): &(String, String)| json!({ "type": "mrkdwn", "text": cut(&format!("*{}*\n{}", escaped(label), escaped(value)), 2_000) });
        blocks.push(json!({ "type": "section", "fields": facts.iter().map(field).collect::<Vec<_>>() }));
    }
    if let Some(command) = &notice.command {
        let text = format!("```{}```", escaped(command));
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }));
    }
    if let Some(link) = &notice.link {
        let text = format!("<{}|What to do>", escaped(link));
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }));
    }
    // What a phone shows of it.
    json!({ "text": cut(&notice.subject(), 150), "blocks": blocks })
}

/// An event for PagerDuty: what is over resolves what was opened.
pub fn pagerduty(notice: &Notice, key: &str) -> Json {
    let action = if notice.kind == NoticeKind::Resolved { "resolve" } else { "trigger" };
    let details: serde_json::Map<String, Json> = notice
        .facts
        .iter()
        .map(|(label, value)| (label.clone(), json!(value)))
        .chain([("text".to_owned(), json!(notice.text))])
        .chain(notice.command.iter().map(|command| ("command".to_owned(), json!(command))))
        .collect();
    let severity = match (notice.kind, notice.severity) {
        (NoticeKind::Test | NoticeKind::Message, _) => "info",
        (_, severity) => severity.word(),
    };
    let mut event = json!({
        "routing_key": key,
        "event_action": action,
        "dedup_key": cut(&notice.about, 255),
        "payload": {
            "summary": cut(&notice.subject(), 1_024),
            "source": "ironbridge",
            "severity": severity,
            "timestamp": notice.at.to_string(),
            "custom_details": details,
        },
    });
    if let Some(link) = &notice.link {
        event["links"] = json!([{ "href": link, "text": "What to do" }]);
    }
    event
}

/// The body of a request to any other webhook.
pub fn webhook(notice: &Notice) -> Json {
    let facts: serde_json::Map<String, Json> =
        notice.facts.iter().map(|(label, value)| (label.clone(), json!(value))).collect();
    json!({
        "about": notice.about,
        "kind": match notice.kind {
            NoticeKind::Opened => "opened",
            NoticeKind::Resolved => "resolved",
            NoticeKind::Test => "test",
            NoticeKind::Message => "message",
        },
        "severity": notice.severity.word(),
        "title": notice.title,
        "text": notice.text,
        "facts": facts,
        "command": notice.command,
        "link": notice.link,
        "at": notice.at.to_string(),
    })
}

/// A text of at most so many characters.
fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max - 1).chain(['…']).collect(),
    }
}
