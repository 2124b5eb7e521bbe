//! A notice in the form of each service.
//!
//! *Source*: Adaptive Cards 1.4 as Teams workflows take them ("Send adaptive cards using incoming webhooks", 28 KB);
//! Slack "Block Kit" (header 150, text 3,000, ten fields of 2,000 characters, 50 blocks) and "Formatting message text"
//! (`&`, `<` and `>` are its marks); PagerDuty "Events API v2" (summary of 1,024 characters; the severities critical,
//! warning, info; `dedup_key`).

use record::{Notice, NoticeKind, Severity};
use serde_json::{Map, Value as Json, json};

/// More facts than this are counted, not shown: a card is read at a glance, and has to fit.
const FACTS_MAX: usize = 30;

/// The body of a request to a Teams workflow.
pub fn teams(notice: &Notice) -> Json {
    let color = match (notice.kind, notice.severity) {
        (NoticeKind::Resolved, _) => "good",
        (NoticeKind::Message | NoticeKind::Question, _) => "accent",
        (_, Severity::Critical) => "attention",
        (_, Severity::Warning) => "warning",
    };
    let title = unmarked(&cut(&notice.subject(), 300));
    let mut body = vec![
        json!({ "type": "TextBlock", "text": title, "weight": "bolder", "size": "medium", "color": color, "wrap": true }),
    ];
    if let Some(text) = notice.body() {
        // One line end alone is a space there.
        let text = cut(text, 4_000).lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n\n");
        body.push(json!({ "type": "TextBlock", "text": unmarked(&text), "wrap": true }));
    }
    let facts: Vec<Json> =
        shown(notice).map(|(title, value)| json!({ "title": title, "value": unmarked(&cut(&value, 500)) })).collect();
    if !facts.is_empty() {
        body.push(json!({ "type": "FactSet", "facts": facts }));
    }
    if let Some(command) = &notice.command {
        body.push(json!({ "type": "TextBlock", "text": unmarked(command), "fontType": "monospace", "wrap": true }));
    }
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    });
    if let Some(link) = &notice.link {
        card["actions"] = json!([{ "type": "Action.OpenUrl", "title": notice.link_says(), "url": link }]);
    }
    json!({
        "type": "message",
        "attachments": [{ "contentType": "application/vnd.microsoft.card.adaptive", "content": card }],
    })
}

/// The body of a request to a Slack webhook.
pub fn slack(notice: &Notice) -> Json {
    let section = |text: String| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } });
    let mut blocks =
        vec![json!({ "type": "header", "text": { "type": "plain_text", "text": cut(&notice.subject(), 150) } })];
    blocks.extend(notice.body().map(|text| section(escaped(text, 3_000))));
    let facts: Vec<(String, String)> = shown(notice).collect();
    for facts in facts.chunks(10) {
        let field = |(label, value): &(String, String)| {
            let text = format!("*{}*\n{}", escaped(label, 200), escaped(value, 1_700));
            json!({ "type": "mrkdwn", "text": text })
        };
        blocks.push(json!({ "type": "section", "fields": facts.iter().map(field).collect::<Vec<_>>() }));
    }
    blocks.extend(notice.command.iter().map(|command| section(format!("```{}```", escaped(command, 2_900)))));
    if let Some(link) = &notice.link {
        blocks.push(section(format!("<{}|{}>", escaped(link, 2_900), notice.link_says())));
    }
    // What a phone shows of it.
    json!({ "text": escaped(&notice.subject(), 150), "blocks": blocks })
}

/// An event for PagerDuty: what is over resolves what was opened.
pub fn pagerduty(notice: &Notice, key: &str) -> Json {
    let action = if notice.kind == NoticeKind::Resolved { "resolve" } else { "trigger" };
    let mut details = facts(notice);
    details.insert("text".to_owned(), json!(notice.text));
    details.extend(notice.command.iter().map(|command| ("command".to_owned(), json!(command))));
    let severity = match (notice.kind, notice.severity) {
        (NoticeKind::Test | NoticeKind::Message | NoticeKind::Question, _) => "info",
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
            "timestamp": at(notice),
            "custom_details": details,
        },
    });
    if let Some(link) = &notice.link {
        event["links"] = json!([{ "href": link, "text": notice.link_says() }]);
    }
    event
}

/// The body of a request to any other webhook.
pub fn webhook(notice: &Notice) -> Json {
    json!({
        "about": notice.about,
        "kind": match notice.kind {
            NoticeKind::Opened => "opened",
            NoticeKind::Resolved => "resolved",
            NoticeKind::Test => "test",
            NoticeKind::Message => "message",
            NoticeKind::Question => "question",
        },
        "severity": notice.severity.word(),
        "title": notice.title,
        "text": notice.text,
        "facts": facts(notice),
        "command": notice.command,
        "link": notice.link,
        "at": at(notice),
    })
}

/// The facts as members; those with the same label are one, a line each.
fn facts(notice: &Notice) -> Map<String, Json> {
    let mut members: Map<String, Json> = Map::new();
    for (label, value) in &notice.facts {
        let before = members.get(label).and_then(Json::as_str);
        let value = before.map_or(value.clone(), |before| format!("{before}\n{value}"));
        members.insert(label.clone(), json!(value));
    }
    members
}

/// The first facts, and how many more there are.
fn shown(notice: &Notice) -> impl Iterator<Item = (String, String)> {
    let more = notice.facts.len().saturating_sub(FACTS_MAX);
    let more = (more > 0).then(|| ("and".to_owned(), format!("{more} more")));
    notice.facts.iter().take(FACTS_MAX).cloned().chain(more)
}

/// The time to the millisecond: PagerDuty's examples have three digits, and .NET reads no more than seven.
fn at(notice: &Notice) -> String {
    format!("{:.3}", notice.at)
}

/// A text in which Teams finds no link that a record brought along: a name such as `[pay here](https://…)`.
fn unmarked(text: &str) -> String {
    text.replace("](", "]\u{200B}(")
}

/// A text for Slack, in which nothing is a mark, of at most so many characters.
fn escaped(text: &str, max: usize) -> String {
    let mut out = String::new();
    let mut length = 0;
    for sign in text.chars() {
        let mut own = [0; 4];
        let sign = match sign {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            sign => sign.encode_utf8(&mut own),
        };
        length += sign.chars().count();
        if length >= max {
            out.push('…');
            break;
        }
        out.push_str(sign);
    }
    out
}

/// A text of at most so many characters.
fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max - 1).chain(['…']).collect(),
    }
}
