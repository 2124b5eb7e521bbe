//! `ironbridge audit`: what people did, when and why.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use definition::Project;
use serde_json::{Value as Json, json};
use store::Store;
use store::audit::{Filter, Recorded};

use crate::cli::{Audit, Cli, Format};
use crate::failure::{AUDIT_BROKEN, FAILED, Failure, USAGE};
use crate::output::{counted, csv, moment, table};
use crate::{say, talk, wiring};

pub fn audit(cli: &Cli, command: &Audit) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    match command {
        Audit::List { by, action, about, last } => {
            let filter = Filter { by: by.clone(), action: action.clone(), subject: about.clone(), ..Filter::default() };
            list(cli, &project, &store, &filter, *last)
        }
        Audit::Export { file } => export(&store, file),
        Audit::Verify { head } => verify(cli, &store, head.as_deref()),
    }
}

fn list(cli: &Cli, project: &Project, store: &Store, filter: &Filter, last: usize) -> Result<u8, Failure> {
    let found = store.audit(filter, last)?;
    match cli.format {
        Format::Json => say!("{:#}", Json::from(found.iter().map(entry).collect::<Vec<_>>())),
        Format::Csv => {
            let heads = ["number", "at", "by", "via", "action", "subject", "why", "detail", "hash"];
            let row = |r: &Recorded| {
                let e = &r.entry;
                vec![
                    r.id.to_string(),
                    r.at.to_string(),
                    e.actor.name.clone(),
                    e.actor.via.clone(),
                    e.action.clone(),
                    e.subject.clone(),
                    e.why.clone().unwrap_or_default(),
                    e.detail.clone(),
                    hex(&r.hash),
                ]
            };
            say!("{}", csv(&heads, found.iter().map(row).collect()));
        }
        _ if found.is_empty() => talk!("Nobody has done anything yet."),
        _ => {
            let rows = found.iter().map(|r| {
                let e = &r.entry;
                vec![
                    moment(r.at, &project.hub.time_zone),
                    e.actor.name.clone(),
                    e.actor.via.clone(),
                    e.action.clone(),
                    e.subject.clone(),
                    [e.why.clone().unwrap_or_default(), details(&e.detail)].join("  ").trim().to_owned(),
                ]
            });
            say!("{}", table(&["at", "by", "via", "what", "to", "why"], rows.collect()));
            if found.len() == last {
                talk!("\nThe newest {last}; more with --last N.");
            }
        }
    }
    Ok(0)
}

/// The rest of an entry in a line: `dead_letter 9f3a…, code IB0412`.
fn details(detail: &str) -> String {
    let Ok(Json::Object(parts)) = serde_json::from_str(detail) else { return String::new() };
    let part = |(name, value): (String, Json)| match value {
        Json::Null => None,
        Json::String(text) => Some(format!("{name} {text}")),
        other => Some(format!("{name} {other}")),
    };
    let parts: Vec<String> = parts.into_iter().filter_map(part).collect();
    if parts.is_empty() { String::new() } else { format!("({})", parts.join(", ")) }
}

fn entry(recorded: &Recorded) -> Json {
    let e = &recorded.entry;
    let detail: Json = serde_json::from_str(&e.detail).unwrap_or_else(|_| json!(e.detail));
    json!({
        "number": recorded.id, "at": recorded.at.to_string(), "by": e.actor.name, "via": e.actor.via, "action": e.action,
        "subject": e.subject, "why": e.why, "detail": detail, "hash": hex(&recorded.hash),
    })
}

/// One JSON object a line, the oldest first: the whole log, with its hashes.
fn export(store: &Store, file: &Path) -> Result<u8, Failure> {
    let cannot = |why: std::io::Error| {
        let what = format!("{} cannot be written: {why}", file.display());
        Failure::new(USAGE, AUDIT_BROKEN, what, "name a file that can be written, or `-` for stdout")
    };
    let stdout = file == Path::new("-");
    let mut out: Box<dyn Write> = match stdout {
        true => Box::new(std::io::stdout().lock()),
        false => Box::new(std::io::BufWriter::new(crate::output::private(file).map_err(cannot)?)),
    };
    let (mut written, mut failed) = (0, None);
    store.audit_each(|recorded| match writeln!(out, "{}", entry(&recorded)) {
        Ok(()) => {
            written += 1;
            ControlFlow::Continue(())
        }
        Err(why) => {
            failed = Some(why);
            ControlFlow::Break(())
        }
    })?;
    if let Some(why) = failed.or_else(|| out.flush().err()) {
        return Err(cannot(why));
    }
    talk!(
        "{} in {}",
        counted(written, "entry is", "entries are"),
        if stdout { "what was printed".into() } else { file.display().to_string() }
    );
    Ok(0)
}

fn verify(cli: &Cli, store: &Store, head: Option<&str>) -> Result<u8, Failure> {
    let known = head.map(parse).transpose()?;
    let found = store.audit_verify(known)?;
    let broken = found.broken.map(|at| format!("entry {at} of the audit log is not what was recorded, or is missing"));
    let lacks =
        || "the hash that you kept is not in the audit log: entries were removed, or it is another log".to_owned();
    let broken = broken.or_else(|| (!found.holds).then(lacks));
    if let Some(what) = broken {
        let fix = "keep a copy of the state folder, restore the last backup beside it, and compare the two: ironbridge audit export -";
        return Err(Failure::new(FAILED, AUDIT_BROKEN, what, fix));
    }
    if cli.format == Format::Json {
        say!("{:#}", json!({ "entries": found.entries, "head": hex(&found.head) }));
        return Ok(0);
    }
    say!("{}, each as it was recorded", counted(found.entries, "entry", "entries"));
    say!("newest hash: {}", hex(&found.head));
    talk!("Keep this hash elsewhere; later it proves everything up to here: ironbridge audit verify --head HASH");
    Ok(0)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse(text: &str) -> Result<[u8; 32], Failure> {
    let bytes: Option<Vec<u8>> =
        (0..text.len() / 2).map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()).collect();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        let what = format!("`{text}` is no hash of an audit log");
        Failure::new(USAGE, AUDIT_BROKEN, what, "it has 64 hexadecimal digits: ironbridge audit verify")
    })
}
