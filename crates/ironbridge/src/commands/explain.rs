//! `ironbridge explain CODE`: the page of a code.

use rust_embed::RustEmbed;
use serde_json::json;

use crate::cli::{Cli, Format};
use crate::failure::{Failure, NO_SUCH_NAME, USAGE};
use crate::output::table;
use crate::say;

/// The pages, in the binary.
#[derive(RustEmbed)]
#[folder = "../../docs/runbooks"]
struct Pages;

pub fn explain(cli: &Cli, code: Option<&str>) -> Result<u8, Failure> {
    let Some(code) = code else {
        let mut codes: Vec<(String, String)> = Pages::iter()
            .map(|file| (file.trim_end_matches(".md").to_owned(), title(&page(&file).unwrap_or_default())))
            .collect();
        codes.sort();
        if cli.format == Format::Json {
            let codes: Vec<_> = codes.iter().map(|(code, title)| json!({ "code": code, "title": title })).collect();
            say!("{:#}", json!(codes));
        } else {
            say!(
                "{}",
                table(&["code", "what it is"], codes.into_iter().map(|(code, title)| vec![code, title]).collect())
            );
        }
        return Ok(0);
    };
    let code = code.to_uppercase();
    match page(&format!("{code}.md")) {
        Some(text) if cli.format == Format::Json => {
            say!("{:#}", json!({ "code": code, "title": title(&text), "page": text }))
        }
        Some(text) => say!("{}", text.trim_end()),
        None => {
            let what = format!("there is no code `{code}`");
            return Err(Failure::new(USAGE, NO_SUCH_NAME, what, "list them all: ironbridge explain"));
        }
    }
    Ok(0)
}

/// The page of a code, as Markdown.
pub fn page_of(code: &str) -> Option<String> {
    page(&format!("{code}.md"))
}

fn page(file: &str) -> Option<String> {
    Pages::get(file).map(|page| String::from_utf8_lossy(&page.data).into_owned())
}

/// The heading of a page, without its code.
fn title(page: &str) -> String {
    let heading = page.lines().next().unwrap_or_default().trim_start_matches('#').trim();
    heading.split_once(": ").map_or(heading, |(_, title)| title).to_owned()
}
