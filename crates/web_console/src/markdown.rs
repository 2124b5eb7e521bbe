//! Our pages in Markdown, as HTML. Raw HTML in them is shown as the text that it is.

use maud::{Markup, PreEscaped};
use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd, html};

/// *Shape*: headings begin one level lower than in the text, since a page has its own.
pub fn html(text: &str) -> Markup {
    let mut out = String::new();
    let mut links = Vec::new();
    let events = Parser::new_ext(
        text,
        Options::ENABLE_TABLES | Options::ENABLE_HEADING_ATTRIBUTES | Options::ENABLE_STRIKETHROUGH,
    )
    .filter_map(|event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Some(Event::Text(raw)),
        Event::Start(Tag::Link { dest_url, title, id, .. }) => match ours(&dest_url) {
            Some(url) => {
                links.push(true);
                Some(Event::Start(Tag::Link { link_type: LinkType::Inline, dest_url: url.into(), title, id }))
            }
            None => {
                links.push(false);
                None
            }
        },
        Event::End(TagEnd::Link) => links.pop().unwrap_or(false).then_some(Event::End(TagEnd::Link)),
        // Nothing is loaded from elsewhere.
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        Event::Start(Tag::Heading { level, id, classes, attrs }) => {
            Some(Event::Start(Tag::Heading { level: lower(level), id, classes, attrs }))
        }
        Event::End(TagEnd::Heading(level)) => Some(Event::End(TagEnd::Heading(lower(level)))),
        other => Some(other),
    });
    html::push_html(&mut out, events);
    PreEscaped(out)
}

fn lower(level: pulldown_cmark::HeadingLevel) -> pulldown_cmark::HeadingLevel {
    use pulldown_cmark::HeadingLevel::{H2, H3, H4};
    match level {
        pulldown_cmark::HeadingLevel::H1 => H2,
        H2 => H3,
        _ => H4,
    }
}

/// Where a link leads in the console; nothing for what is not there, such as a guide.
fn ours(url: &str) -> Option<String> {
    if url.starts_with('#') || ["https://", "http://", "mailto:", "tel:"].iter().any(|way| url.starts_with(way)) {
        return Some(url.to_owned());
    }
    let name = url.rsplit('/').next()?.split('#').next()?.strip_suffix(".md")?;
    let is_code = name.len() == 6 && name.starts_with("IB") && name[2..].bytes().all(|b| b.is_ascii_digit());
    is_code.then(|| format!("/explain/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_text_and_nothing_runs() {
        let text = "# T\n<script>alert(1)</script>\n\na [b](IB0412.md) [c](../guides/x.md) [d](javascript:alert(1)) ![i](https://x/y.png)\n";
        let made = html(text).into_string();
        assert!(made.contains("<h2>T</h2>") && made.contains("&lt;script&gt;"), "{made}");
        assert!(made.contains(r#"<a href="/explain/IB0412">b</a> c d"#), "{made}");
        assert!(!made.contains("javascript:") && !made.contains("<img"), "{made}");
    }
}
