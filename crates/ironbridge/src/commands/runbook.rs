//! `ironbridge runbook NAME`: one page on an integration, as Markdown or as HTML.

use definition::{Integration, Project};
use hub::operations::runbook as page;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};
use store::Store;

use crate::cli::{Cli, Format};
use crate::failure::Failure;
use crate::{say, wiring};

pub fn runbook(cli: &Cli, name: &str, as_html: bool) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let integration = wiring::integration(&project, name)?;
    let store = wiring::open_store(&project)?;
    let text = markdown(&project, &store, integration)?;
    if cli.format == Format::Json {
        say!("{:#}", serde_json::json!({ "integration": name, "markdown": text, "html": body(&text) }));
    } else if as_html {
        say!("{}", document(name, &text));
    } else {
        say!("{}", text.trim_end());
    }
    Ok(0)
}

/// The page as Markdown, with how things stand and the team's notes.
///
/// *Errors*: of our own state.
pub fn markdown(project: &Project, store: &Store, integration: &Integration) -> Result<String, store::Error> {
    let live = page::live(project, store, integration)?;
    // Notes that cannot be read are no reason to have no page at three in the morning.
    let notes = integration.runbook.as_ref().and_then(|file| std::fs::read_to_string(project.dir.join(file)).ok());
    Ok(page::page(project, integration, Some(&live), notes.as_deref()))
}

/// Markdown as the inside of an HTML page. *Shape*: HTML in the notes is shown as the text that it is.
pub fn body(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_HEADING_ATTRIBUTES | Options::ENABLE_STRIKETHROUGH;
    let harmless = Parser::new_ext(markdown, options).map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let dest_url = if leads_to_a_page(&dest_url) { dest_url } else { "".into() };
            Event::Start(Tag::Link { link_type, dest_url, title, id })
        }
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => Event::Text("".into()),
        other => other,
    });
    let mut out = String::new();
    html::push_html(&mut out, harmless);
    out
}

/// A link to a page, and not to a script.
fn leads_to_a_page(url: &str) -> bool {
    let scheme = url.split(['/', '?', '#']).next().and_then(|start| start.split_once(':'));
    scheme.is_none_or(|(scheme, _)| ["http", "https", "mailto", "tel"].contains(&scheme.to_lowercase().as_str()))
}

/// A page of its own, also for paper.
fn document(name: &str, markdown: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Runbook: {name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>",
        body(markdown)
    )
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{margin:0;font:16px/1.55 'Segoe UI',system-ui,sans-serif;color:#242424;background:#fff}\
main{max-width:52rem;margin:0 auto;padding:1.5rem}\
h1{font-size:1.75rem;margin:0 0 .5rem}h2{font-size:1.3rem;margin:2rem 0 .5rem;border-bottom:1px solid #c8c6c4;padding-bottom:.25rem}\
h3{font-size:1.1rem;margin:1.75rem 0 .5rem}\
table{border-collapse:collapse;margin:.5rem 0 1rem}td,th{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0;border-bottom:1px solid #edebe9}\
thead:not(:has(th:not(:empty))){display:none}\
pre{background:#f3f2f1;padding:.6rem .8rem;white-space:pre-wrap;overflow-wrap:anywhere;border-radius:4px}\
code{font-family:'Cascadia Mono',Consolas,monospace;font-size:.92em}\
@media screen and (prefers-color-scheme:dark){body{color:#f3f2f1;background:#1f1f1f}pre{background:#2d2c2b}h2,td,th{border-color:#484644}}\
@media print{@page{margin:16mm 15mm}:root{color-scheme:light}body{color:#000;font-size:11pt}a{color:#000}main{max-width:none;padding:0}\
p,li,tr,pre{break-inside:avoid}h1,h2,h3{break-after:avoid}p,li{orphans:3;widows:3}pre{background:none;border:1px solid #999}\
a[href^=http]::after{content:\" (\" attr(href) \")\";overflow-wrap:anywhere}}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_in_notes_is_text() {
        let shown = body("# A {#a}\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) `<b>`\n");
        assert!(shown.contains("<h1 id=\"a\">A</h1>") && !shown.contains("<script"), "{shown}");
        assert!(!shown.contains("href=\"javascript:"), "{shown}");
    }
}
