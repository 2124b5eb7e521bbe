//! The overview of a large hub: under 100 KB, and with optimisation under 50 ms.
//!
//! Measure it: `cargo test --release -p web_console --test it size -- --nocapture`.

use std::fmt::Write;
use std::time::{Duration, Instant};

use store::runs::{Counts, Op, RunError, RunId, State, Trigger};

use crate::support::Bench;

const INTEGRATIONS: usize = 200;
/// Each runs every quarter of an hour.
const SLOTS_A_DAY: usize = 96;

/// 200 integrations between twelve systems, each with an entity of its own.
fn project() -> Vec<(String, String)> {
    let mut files = vec![
        ("ironbridge.yaml".to_owned(), "hub: contoso\ntime_zone: Europe/London\n".to_owned()),
        ("people.yaml".to_owned(), "groups: { it: { email: it@contoso.example } }\n".to_owned()),
    ];
    let mut systems = vec![String::new(); 12];
    for n in 0..INTEGRATIONS {
        let (from, to) = (n % 6, 6 + n / 6 % 6);
        let entity =
            format!("entity: thing_{n}\nkey: number\nfields: {{ number: {{ type: text, max_length: 20 }} }}\n");
        files.push((format!("entities/thing_{n}.yaml"), entity));
        files.push((
            format!("integrations/things_{n}.yaml"),
            format!("integration: things_{n}\npattern: batch\nentity: thing_{n}\nfrom: s{from}\nto: s{to}\nschedule: every 15 minutes\nowner: it\npurpose: Sales see the things of branch {n} within half an hour.\n"),
        ));
        writeln!(systems[from], "  thing_{n}: {{ table: t{n}, read: {{ number: n }} }}").unwrap();
        writeln!(systems[to], "  thing_{n}: {{ table: t{n}, alternate_key: n, write: {{ n: number }} }}").unwrap();
    }
    for (n, entities) in systems.into_iter().enumerate() {
        let text = format!(
            "system: s{n}\nkind: postgres\nowner: it\nconnection: {{ url: \"${{env:S{n}}}\" }}\nentities:\n{entities}"
        );
        files.push((format!("systems/s{n}.yaml"), text));
    }
    files
}

/// Seven days of runs, of which some failed and some left dead letters.
async fn live_through(bench: &Bench, days: usize) -> usize {
    let mut id = 0;
    for slot in 0..days * SLOTS_A_DAY {
        let mut ops = Vec::new();
        for n in 0..INTEGRATIONS {
            id += 1;
            let (run, seed) = (RunId(id), slot * 31 + n * 17);
            let start = Op::Start {
                integration: format!("things_{n}"),
                trigger: Trigger::Schedule,
                slot: None,
                retry_of: None,
            };
            let (read, rejected) = (seed as u64 % 900, u64::from(seed.is_multiple_of(13)));
            let more = Counts {
                read: read + rejected,
                updated: read / 9,
                unchanged: read - read / 9,
                rejected,
                ..Counts::default()
            };
            // In the end, one in ten has just failed.
            let failed = seed.is_multiple_of(97) || slot + 1 == days * SLOTS_A_DAY && n % 10 == 0;
            let error = failed.then(|| RunError {
                code: "IB0501".to_owned(),
                text: "Dynamics answered 503 for five minutes; the run gave up".to_owned(),
                detail: String::new(),
            });
            let state = match (failed, rejected) {
                (true, _) => State::Failed,
                (false, 0) => State::Ok,
                (false, _) => State::OkWithDeadLetters,
            };
            ops.extend([start.into(), Op::Progress { run, more }.into(), Op::Finish { run, state, error }.into()]);
        }
        bench.store.commit(ops).await.unwrap();
        bench.wait(Duration::from_secs(900));
    }
    id as usize
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_of_a_large_hub_is_small_and_fast() {
    // Without optimisation nothing is measured, and half a day shows the size as well.
    let measured = !cfg!(debug_assertions);
    let files = project();
    let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let bench = Bench::with(files, "127.0.0.1:7700", false).await;
    let runs = live_through(&bench, if measured { 7 } else { 1 }).await;
    let mut times = Vec::new();
    let mut size = 0;
    for _ in 0..21 {
        let begun = Instant::now();
        let page = bench.get("/", None).await;
        times.push(begun.elapsed());
        assert!(page.status == 200 && page.text.contains("things_199"));
        size = page.text.len();
    }
    let first = times.remove(0);
    times.sort();
    let (median, worst) = (times[10], times[19]);
    let said = format!(
        "overview of {INTEGRATIONS} integrations after {runs} runs: {size} bytes; first {first:?}, then {median:?} (worst {worst:?})\n"
    );
    let _ = std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes());
    assert!(size < 100_000, "{size} bytes");
    assert!(!measured || median < Duration::from_millis(50), "{said}");
}
