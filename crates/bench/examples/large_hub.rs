//! A hub with 200 integrations and a week behind it, to measure the console on.
//!
//! `cargo run -p bench --example large_hub DIR` writes the project, its twelve small databases and its state into an empty
//! folder. A hub that is started there goes on working: each integration every quarter of an hour.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use store::runs::{Counts, Op, RunError, RunId, State, Trigger};
use store::{Clock, Options, Store};

const INTEGRATIONS: usize = 200;
const SYSTEMS: usize = 12;
/// A week of quarters of an hour.
const SLOTS: usize = 7 * 96;
const QUARTER: i64 = 900;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("say which folder: large_hub DIR")?;
    let dir = Path::new(&dir);
    project(dir)?;
    let runs = history(dir)?;
    writeln!(std::io::stdout(), "{INTEGRATIONS} integrations and {runs} runs are in {}", dir.display())?;
    Ok(())
}

/// 200 integrations between twelve systems, each with an entity of its own.
fn project(dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
    for folder in ["entities", "integrations", "systems"] {
        std::fs::create_dir_all(dir.join(folder))?;
    }
    let write = |name: String, text: String| std::fs::write(dir.join(name), text);
    write(
        "ironbridge.yaml".into(),
        "hub: contoso\ntime_zone: Europe/London\nmail: { server: \"file:mails\", from: hub@contoso.example }\n".into(),
    )?;
    write("people.yaml".into(), "groups: { it: { email: it@contoso.example } }\n".into())?;
    let (mut systems, mut tables) = (vec![String::new(); SYSTEMS], vec![String::new(); SYSTEMS]);
    for n in 0..INTEGRATIONS {
        let (from, to) = (n % 6, 6 + n / 6 % 6);
        write(
            format!("entities/thing_{n}.yaml"),
            format!("entity: thing_{n}\nkey: number\nfields: {{ number: {{ type: text, max_length: 20 }} }}\n"),
        )?;
        write(
            format!("integrations/things_{n}.yaml"),
            format!(
                "integration: things_{n}\npattern: batch\nentity: thing_{n}\nfrom: s{from}\nto: s{to}\nschedule: every 15 minutes\nowner: it\npurpose: Sales see the things of branch {n} within half an hour.\n"
            ),
        )?;
        writeln!(systems[from], "  thing_{n}: {{ table: t{n}, read: {{ number: n }} }}")?;
        writeln!(systems[to], "  thing_{n}: {{ table: t{n}, alternate_key: n, write: {{ n: number }} }}")?;
        for system in [from, to] {
            writeln!(tables[system], "CREATE TABLE t{n} (n TEXT PRIMARY KEY);")?;
        }
    }
    for (n, (entities, tables)) in systems.into_iter().zip(tables).enumerate() {
        rusqlite::Connection::open(dir.join(format!("s{n}.db")))?.execute_batch(&tables)?;
        let text = format!(
            "system: s{n}\nkind: sqlite\nowner: it\nconnection: {{ file: s{n}.db }}\ntime_zone: UTC\nentities:\n{entities}"
        );
        write(format!("systems/s{n}.yaml"), text)?;
    }
    Ok(())
}

/// Seven days of runs until now, of which some failed and some left rows behind. Answers how many.
fn history(dir: &Path) -> Result<i64, Box<dyn std::error::Error>> {
    let begun = Timestamp::now().as_second() - SLOTS as i64 * QUARTER;
    let now = Arc::new(AtomicI64::new(begun));
    let clock = {
        let now = now.clone();
        Clock::of(move || Timestamp::from_second(now.load(Ordering::SeqCst)).unwrap_or(Timestamp::UNIX_EPOCH))
    };
    let store = Store::open(dir.join(".ironbridge"), Options { clock, timers: false, ..Options::default() })?;
    let mut id = 0;
    for slot in 0..SLOTS {
        let mut ops = Vec::new();
        for n in 0..INTEGRATIONS {
            id += 1;
            ops.extend(run(RunId(id), slot, n, begun + slot as i64 * QUARTER)?);
        }
        store.commit_blocking(ops)?;
        now.fetch_add(QUARTER, Ordering::SeqCst);
    }
    Ok(id)
}

fn run(run: RunId, slot: usize, n: usize, at: i64) -> Result<[store::Op; 3], Box<dyn std::error::Error>> {
    let start = Op::Start {
        integration: format!("things_{n}"),
        trigger: Trigger::Schedule,
        slot: Some(Timestamp::from_second(at)?),
        retry_of: None,
    };
    let seed = slot * 31 + n * 17;
    let (read, rejected) = (seed as u64 % 900, u64::from(seed.is_multiple_of(13)));
    let (read, updated, unchanged) = (read + rejected, read / 9, read - read / 9);
    let more = Counts { read, updated, unchanged, rejected, ..Counts::default() };
    let failed = seed.is_multiple_of(97);
    let error = failed.then(|| RunError {
        code: "IB0501".to_owned(),
        text: "the system answered 503 for five minutes; the run gave up".to_owned(),
        detail: String::new(),
    });
    let state = match (failed, rejected) {
        (true, _) => State::Failed,
        (false, 0) => State::Ok,
        (false, _) => State::OkWithDeadLetters,
    };
    Ok([start.into(), Op::Progress { run, more }.into(), Op::Finish { run, state, error }.into()])
}
