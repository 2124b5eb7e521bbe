//! stdout is data, stderr is talk.

use std::io::{ErrorKind, IsTerminal, Write};

use hub::{Note, Watch};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value as Json;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::debug_fn;
use web_console::words;
pub use web_console::words::{counted, cut, number, on_their_way};

use crate::addressed::{Log, addressed};
use crate::cli::{Cli, Command, Format, LogFormat};

/// Writes a line of data.
#[macro_export]
macro_rules! say {
    ($($arg:tt)*) => { $crate::output::data(&format!($($arg)*)) };
}

/// Writes a line of talk.
#[macro_export]
macro_rules! talk {
    ($($arg:tt)*) => { $crate::output::talk(&format!($($arg)*)) };
}

/// *Panics*: stdout cannot be written, and not because nobody reads it any more.
pub fn data(line: &str) {
    match writeln!(anstream::stdout(), "{}", addressed(line)) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => panic!("stdout cannot be written: {error}"),
        _ => {}
    }
}

/// A new file for whoever writes it alone, where it was not there: it holds secrets, or what people did.
pub fn private(file: &std::path::Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

/// Work goes on where nobody listens any more.
pub fn talk(line: &str) {
    let _ = writeln!(anstream::stderr(), "{}", addressed(line));
}

/// Logs go to stderr: warnings from a single command, what happens from `up` and `demo`.
pub fn start_logs(cli: &Cli) {
    let serves = matches!(cli.command, Command::Up { .. } | Command::Demo(_));
    let level = match (cli.verbose, serves) {
        (0, false) => "warn",
        (0, true) | (1, _) => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("IRONBRIDGE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Log).with_target(false);
    let json = cli.log_format.map_or(cli.format == Format::Json, |format| format == LogFormat::Json);
    if json {
        logs.json().flatten_event(true).init();
    } else {
        // The parts of an error stand in the message; people need not read them twice.
        let fields = debug_fn(|writer, field, value| match field.name() {
            "message" => write!(writer, "{value:?}"),
            "what" | "why" | "do" => Ok(()),
            name => write!(writer, "{name}={value:?}"),
        });
        logs.with_ansi(std::io::stderr().is_terminal()).compact().fmt_fields(fields.delimited(" ")).init();
    }
}

/// A table for people: no lines, numbers to the right. An empty header is not shown.
pub fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == ',');
    let cell = |row: &[String], at: usize| row.get(at).cloned().unwrap_or_default();
    let columns: Vec<(usize, bool)> = (0..header.len())
        .map(|at| {
            let width = rows.iter().map(|row| cell(row, at).chars().count()).chain([header[at].chars().count()]).max();
            let numeric = !rows.is_empty() && rows.iter().all(|row| is_number(&cell(row, at)));
            (width.unwrap_or_default(), numeric)
        })
        .collect();
    let line = |row: &[String]| {
        let cells = columns.iter().enumerate().map(|(at, (width, numeric))| {
            let text = cell(row, at);
            let pad = " ".repeat(width.saturating_sub(text.chars().count()));
            if *numeric { pad + &text } else { text + &pad }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let head: Vec<String> = header.iter().map(|name| name.to_uppercase()).collect();
    let shown = header.iter().any(|name| !name.is_empty()).then_some(head);
    shown.iter().chain(&rows).map(|row| line(row)).collect::<Vec<_>>().join("\n")
}

/// A table for a spreadsheet. What a spreadsheet would take for a formula is a text to it.
pub fn csv(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    let safe = |cell: String| if cell.starts_with(['=', '+', '-', '@', '\t']) { format!("'{cell}") } else { cell };
    let rows = rows.into_iter().map(|row| row.into_iter().map(safe).collect::<Vec<_>>());
    for row in std::iter::once(header.iter().map(|name| (*name).to_owned()).collect()).chain(rows) {
        writer.write_record(&row).expect("writing to a Vec does not fail");
    }
    let bytes = writer.into_inner().expect("writing to a Vec does not fail");
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

/// The parts of a fault, as its JSON has them: code, what, where, why, do, more.
pub fn fault(fault: &Json) -> String {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    let part = |name: &str| fault[name].as_str().filter(|text| !text.is_empty());
    let mut told = format!("{red}{}{red:#} {}", part("code").unwrap_or_default(), part("what").unwrap_or_default());
    let mut line = |name: &str, value: &str| told.push_str(&format!("\n  {name}: {value}"));
    for (name, value) in fault["where"].as_object().into_iter().flatten() {
        line(name, &cut(value.as_str().unwrap_or_default(), 100));
    }
    let of = |name: &str| {
        let value = fault["why"].get(name).filter(|value| !value.is_null())?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)).filter(|text| !text.is_empty())
    };
    let why: Vec<String> = ["status", "code", "text", "request_id"].into_iter().filter_map(of).collect();
    for (name, value) in [
        ("why", Some(why.join(" ")).filter(|why| !why.is_empty()).as_deref()),
        ("do", part("do")),
        ("more", part("more")),
    ] {
        if let Some(value) = value {
            line(name, value);
        }
    }
    told
}

/// A moment in the project's time zone, to the second.
pub fn moment(at: Timestamp, zone: &TimeZone) -> String {
    words::moment(at, zone) + &zone_where_another(at, zone, &TimeZone::system())
}

/// To the millisecond: two things of one second have an order.
pub fn exact_moment(at: Timestamp, zone: &TimeZone) -> String {
    words::exact_moment(at, zone) + &zone_where_another(at, zone, &TimeZone::system())
}

/// ` BST`, where the clock of whoever reads it shows another time, and logs are in another one.
pub fn zone_where_another(at: Timestamp, zone: &TimeZone, here: &TimeZone) -> String {
    match zone.to_offset(at) == here.to_offset(at) {
        true => String::new(),
        false => at.to_zoned(zone.clone()).strftime(" %Z").to_string(),
    }
}

/// `3 minutes ago`, roughly.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs().max(0);
    match seconds {
        0..=1 => "just now".to_owned(),
        2..=119 => format!("{seconds} seconds ago"),
        120..=7_199 => format!("{} minutes ago", seconds / 60),
        7_200..=172_799 => format!("{} hours ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// A spinner on a terminal, lines of talk elsewhere.
pub struct Progress(ProgressBar);

impl Progress {
    pub fn new() -> Progress {
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::with_template("{spinner} {msg}").expect("the template is ours"));
        Progress(bar)
    }
}

impl Watch for Progress {
    fn note(&self, note: Note<'_>) {
        match note {
            Note::Reading { entity, everything, left } => {
                match everything {
                    Some(why) => self.0.suspend(|| talk!("reading every {entity}: {why}")),
                    None => self.0.set_message(format!("reading {entity}")),
                }
                if let Some(left) = left {
                    self.0.suspend(|| talk!("{left}"));
                }
            }
            Note::Progress { entity, counts } => {
                self.0.tick();
                self.0.set_message(format!(
                    "{entity}: {} rows read, {} written",
                    number(counts.read),
                    number(counts.written())
                ));
            }
            Note::NothingRemoved { entity, keyless } => self.0.suspend(|| {
                talk!("{keyless} rows of {entity} have no readable key, so no row is taken for gone in this run");
            }),
            Note::NotKept { system, field, rows } => self.0.suspend(|| {
                talk!(
                    "{system} does not keep {field} as it is given ({} rows): each side has its own value now, and nothing goes to and fro; ironbridge explain IB0722",
                    number(rows)
                );
            }),
            Note::TryingAgain { fault, delay, attempt } => {
                let seconds = delay.as_secs_f64();
                self.0.suspend(|| talk!("{fault}; trying again in {seconds:.1} s (try {attempt})"));
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_moment_says_its_zone_where_the_clock_at_hand_shows_another_time() {
        let zone = |name: &str| TimeZone::get(name).unwrap();
        let (winter, summer) = ("2026-01-15T12:00:00Z", "2026-07-15T12:00:00Z");
        for (at, hub, here, told) in [
            (winter, "Europe/London", "UTC", ""),
            (summer, "Europe/London", "UTC", " BST"),
            (winter, "Europe/Berlin", "Europe/Paris", ""),
            (winter, "Asia/Kolkata", "Europe/London", " IST"),
            (winter, "America/Sao_Paulo", "Europe/London", " -03"),
        ] {
            assert_eq!(zone_where_another(at.parse().unwrap(), &zone(hub), &zone(here)), told, "{at} {hub} {here}");
        }
    }
}
