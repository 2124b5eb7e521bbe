//! Commands as whoever reads of them has to type them: with the environment of this process. What is printed, logged,
//! sent and shown names commands without it; without it they would look at the state of another environment.

use std::borrow::Cow;
use std::io::Write;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;
use clap::CommandFactory;
use record::{BoxFuture, Fault, Notice, Notify};

use crate::cli::Cli;

const PROGRAM: &str = "ironbridge ";
/// Commands that look at no project.
const ANYWHERE: [&str; 6] = ["init", "demo", "explain", "formula", "emulate", "help"];

static ENVIRONMENT: OnceLock<Chosen> = OnceLock::new();

struct Chosen {
    option: String,
    commands: Vec<String>,
}

/// Takes the environment of the command line. Before anything is printed.
pub fn choose(cli: &Cli) {
    if let Some(name) = &cli.env {
        let all = Cli::command();
        let names = all.get_subcommands().map(|command| command.get_name());
        let commands = names.filter(|name| !ANYWHERE.contains(name)).map(str::to_owned).collect();
        let _ = ENVIRONMENT.set(Chosen { option: format!("--env {name} "), commands });
    }
}

/// The text with the environment in each command.
pub fn addressed(text: &str) -> Cow<'_, str> {
    match ENVIRONMENT.get() {
        Some(chosen) => chosen.addressed(text),
        None => Cow::Borrowed(text),
    }
}

impl Chosen {
    fn addressed<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let (mut told, mut rest) = (String::new(), text);
        while let Some(at) = rest.find(PROGRAM) {
            let (before, after) = rest.split_at(at + PROGRAM.len());
            told.push_str(before);
            let part_of_a_word = before[..at].ends_with(|c: char| c.is_alphanumeric() || "-_./".contains(c));
            if !part_of_a_word && self.is_command(after) {
                told.push_str(&self.option);
            }
            rest = after;
        }
        if told.is_empty() {
            return Cow::Borrowed(text);
        }
        told.push_str(rest);
        Cow::Owned(told)
    }

    fn is_command(&self, text: &str) -> bool {
        let word = text.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap_or_default();
        self.commands.iter().any(|command| command == word)
    }
}

/// stderr for logs, also where nobody reads it any more: work goes on. *Shape*: each write is a whole line, as `tracing`
/// writes.
pub struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let told = addressed(std::str::from_utf8(line).unwrap_or_default());
        let _ = std::io::stderr().write_all(if told.is_empty() { line } else { told.as_bytes() });
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A way to tell people.
pub struct Telling(pub Arc<dyn Notify>);

impl Notify for Telling {
    fn notify<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let told = |text: &String| addressed(text).into_owned();
            let facts = notice.facts.iter().map(|(name, value)| (name.clone(), told(value))).collect();
            let (title, text, command) = (told(&notice.title), told(&notice.text), notice.command.as_ref().map(told));
            self.0.notify(&Notice { title, text, facts, command, ..notice.clone() }).await
        })
    }
}

/// The pages of the console.
pub fn pages(console: Router) -> Router {
    match ENVIRONMENT.get() {
        Some(_) => console.layer(axum::middleware::map_response(page)),
        None => console,
    }
}

async fn page(response: Response) -> Response {
    let is_page = |value: &HeaderValue| value.as_bytes().starts_with(b"text/html");
    if !response.headers().get(CONTENT_TYPE).is_some_and(is_page) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    // Pages are built whole before they leave.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let told = addressed(std::str::from_utf8(&body).unwrap_or_default()).into_owned();
    head.headers.insert(CONTENT_LENGTH, told.len().into());
    Response::from_parts(head, Body::from(told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_the_environment() {
        let commands = ["status", "dead-letters", "up"].map(str::to_owned).into();
        let chosen = Chosen { option: "--env production ".to_owned(), commands };
        for (text, expected) in [
            ("look: ironbridge status", "look: ironbridge --env production status"),
            (
                "`ironbridge dead-letters show 1`, then ironbridge up",
                "`ironbridge --env production dead-letters show 1`, then ironbridge --env production up",
            ),
            ("more: ironbridge explain IB0001", "more: ironbridge explain IB0001"),
            ("ironbridge --env test status", "ironbridge --env test status"),
            ("the ironbridge statuses", "the ironbridge statuses"),
            ("/opt/ironbridge status", "/opt/ironbridge status"),
            ("ironbridge ", "ironbridge "),
            ("nothing", "nothing"),
        ] {
            assert_eq!(chosen.addressed(text), expected);
        }
    }
}
