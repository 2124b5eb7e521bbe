//! Commands as whoever reads of them has to type them: with the project's folder and the environment of this process.
//! What is printed, logged, sent and shown names commands without them, which would look at another state.

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;
use clap::CommandFactory;
use record::{BoxFuture, Fault, Notice, Notify};
use web_console::words::quoted;

use crate::cli::{Cli, Command, DEMO_DIR, Demo, Virtual};

const PROGRAM: &str = "ironbridge ";
/// Commands that look at no project.
const ANYWHERE: [&str; 6] = ["init", "demo", "explain", "formula", "emulate", "help"];

static CHOSEN: OnceLock<Chosen> = OnceLock::new();

struct Chosen {
    options: String,
    commands: Vec<String>,
}

/// Takes the folder and the environment of the command line. Before anything is printed.
pub fn choose(cli: &Cli) {
    let folder = folder(cli).map(|folder| format!("-C {folder} "));
    let environment = cli.env.as_ref().map(|name| format!("--env {name} "));
    let options: String = folder.into_iter().chain(environment).collect();
    if !options.is_empty() {
        let all = Cli::command();
        let names = all.get_subcommands().map(|command| command.get_name());
        let commands = names.filter(|name| !ANYWHERE.contains(name)).map(str::to_owned).collect();
        let _ = CHOSEN.set(Chosen { options, commands });
    }
}

/// The project's folder as a shell takes it: as it was typed, and whole where something goes on that is read about
/// elsewhere and later. Nothing where it is the folder of the shell, and where its name would end a text of JSON or HTML.
fn folder(cli: &Cli) -> Option<String> {
    let (typed, goes_on) = match &cli.command {
        // That folder is gone at the end.
        Command::Demo(Demo { dir: None, once: true, .. }) => return None,
        Command::Demo(Demo { action: None, dir, once }) => (dir.as_deref().unwrap_or(Path::new(DEMO_DIR)), !once),
        Command::Virtual(Virtual::Serve { dir: Some(dir), .. }) => (dir.as_path(), true),
        Command::Up { .. } | Command::Virtual(Virtual::Serve { .. }) => (cli.project.as_path(), true),
        _ => (cli.project.as_path(), false),
    };
    if typed == Path::new(".") {
        return None;
    }
    let whole = goes_on.then(|| std::path::absolute(typed).ok()).flatten();
    let name = whole.as_deref().unwrap_or(typed).to_str()?;
    let ends_a_text = |c: char| c.is_control() || "\"'\\<>&".contains(c);
    (!name.contains(ends_a_text)).then(|| quoted(name))
}

/// The text with the folder and the environment in each command.
pub fn addressed(text: &str) -> Cow<'_, str> {
    match CHOSEN.get() {
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
                told.push_str(&self.options);
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
    match CHOSEN.get() {
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

    use clap::Parser;

    #[test]
    fn each_command_has_the_options() {
        let commands = ["status", "dead-letters", "up"].map(str::to_owned).into();
        let chosen = Chosen { options: "-C hub --env production ".to_owned(), commands };
        for (text, expected) in [
            ("look: ironbridge status", "look: ironbridge -C hub --env production status"),
            (
                "`ironbridge dead-letters show 1`, then ironbridge up",
                "`ironbridge -C hub --env production dead-letters show 1`, then ironbridge -C hub --env production up",
            ),
            ("more: ironbridge explain IB0001", "more: ironbridge explain IB0001"),
            ("ironbridge --env test status", "ironbridge --env test status"),
            ("ironbridge -C other status", "ironbridge -C other status"),
            ("the ironbridge statuses", "the ironbridge statuses"),
            ("/opt/ironbridge status", "/opt/ironbridge status"),
            ("ironbridge ", "ironbridge "),
            ("nothing", "nothing"),
        ] {
            assert_eq!(chosen.addressed(text), expected);
        }
    }

    #[test]
    fn a_folder_is_what_a_shell_takes() {
        let here = std::env::current_dir().unwrap();
        let whole = |name: &str| Some(here.join(name).to_str().unwrap().to_owned());
        for (line, expected) in [
            (&["status"][..], None),
            (&["-C", ".", "up"], None),
            (&["-C", "../my hub", "status"], Some("'../my hub'".to_owned())),
            (&["-C", "/srv/hub", "up"], Some("/srv/hub".to_owned())),
            (&["-C", "hub", "virtual", "serve"], whole("hub")),
            (&["demo"], whole(DEMO_DIR)),
            (&["demo", "--dir", "seen"], whole("seen")),
            (&["-C", "a'b", "status"], None),
            (&["-C", "a<b>", "up"], None),
        ] {
            let cli = Cli::try_parse_from([&["ironbridge"], line].concat()).unwrap();
            assert_eq!(folder(&cli), expected, "{line:?}");
        }
    }
}
