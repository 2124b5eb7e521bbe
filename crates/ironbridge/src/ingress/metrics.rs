//! `/metrics`: what Prometheus asks for.
//!
//! Labels are names of the definition, states and routes: their number is bounded by the project, whatever comes in.

mod requests;
mod runs;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use definition::{Pattern, Project};
use hub::pulse::{Part, Pulse};
use jiff::Timestamp;
use store::Store;

pub use requests::{Requests, watched};
use runs::Runs;

/// What one of them says. *Shape*: names by the conventions of Prometheus, with their unit; counters end in `_total`.
pub struct Metric {
    pub name: &'static str,
    pub kind: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "the reference page tells them"))]
    pub labels: &'static str,
    pub help: &'static str,
}

const fn gauge(name: &'static str, labels: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: "gauge", labels, help }
}

const fn counter(name: &'static str, labels: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: "counter", labels, help }
}

/// All of them, as the reference page lists them.
pub const METRICS: &[Metric] = &[
    gauge("ironbridge_build_info", "version", "Always 1; the version is in the label."),
    gauge("ironbridge_start_time_seconds", "", "When this process started, in seconds since 1970."),
    gauge("ironbridge_part_age_seconds", "part", "How long ago a part of the hub last went round."),
    counter("ironbridge_runs_total", "integration, state", "Runs that ended since this process started, by how."),
    counter("ironbridge_run_rows_total", "integration, result", "Rows of runs that ended since this process started."),
    gauge("ironbridge_last_run_start_time_seconds", "integration", "When the newest run began."),
    gauge("ironbridge_last_good_run_start_time_seconds", "integration", "When the newest good run began."),
    gauge("ironbridge_last_run_duration_seconds", "integration", "How long the newest run took, if it has ended."),
    gauge("ironbridge_late", "integration", "1 while a result is needed and not there."),
    gauge("ironbridge_paused", "integration", "1 while a person has paused it."),
    gauge("ironbridge_destination_down", "integration, system", "1 while a destination of events takes nothing."),
    gauge(
        "ironbridge_webhooks_missed",
        "integration",
        "Changes that a sweep found and no webhook told of, since the last one that came.",
    ),
    gauge(
        "ironbridge_webhooks_refused",
        "integration",
        "Webhooks with a wrong key or signature since the last good one, from the third on.",
    ),
    gauge(
        "ironbridge_system_answers",
        "system",
        "1 where a system answered when it was asked last, 0 where it did not.",
    ),
    gauge("ironbridge_system_asked_age_seconds", "system", "How long ago a system was asked whether it answers."),
    gauge("ironbridge_system_answer_seconds", "system", "How long it took to answer, or not to."),
    gauge("ironbridge_queue_messages", "queue, state", "Messages in a queue, by where they stand."),
    gauge("ironbridge_queue_oldest_ready_age_seconds", "queue", "How long the oldest ready message waits; 0 for none."),
    gauge("ironbridge_dead_letters", "integration", "Dead letters that wait for a person."),
    gauge("ironbridge_dead_letters_unreviewed", "integration", "Those that nobody has looked at."),
    gauge("ironbridge_dead_letters_overdue", "integration", "Those that somebody should have looked at by now."),
    gauge("ironbridge_retry_jobs", "state", "Retries of many dead letters that are not over."),
    gauge("ironbridge_approvals_open", "integration", "Questions that wait for an answer."),
    gauge("ironbridge_state_bytes", "", "What the state folder takes on the disk."),
    counter("ironbridge_http_requests_total", "route, status", "Requests that this process answered."),
    Metric {
        name: "ironbridge_http_request_duration_seconds",
        kind: "histogram",
        labels: "route",
        help: "How long requests took.",
    },
];

/// What is asked about.
pub struct Observed {
    pub project: Arc<Project>,
    pub store: Store,
    pub pulse: Pulse,
    pub requests: Arc<Requests>,
    pub started: Timestamp,
    runs: Runs,
}

impl Observed {
    /// *Errors*: of our own state.
    pub fn new(project: Arc<Project>, store: Store, pulse: Pulse) -> Result<Observed, store::Error> {
        let started = Timestamp::now();
        let runs = Runs::from_now_on(&store)?;
        Ok(Observed { project, store, pulse, requests: Arc::default(), started, runs })
    }
}

pub fn routes(observed: Arc<Observed>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(observed)
}

async fn metrics(State(observed): State<Arc<Observed>>) -> Response {
    match tokio::task::spawn_blocking(move || text(&observed)).await {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Everything, in the text format of Prometheus.
///
/// *Errors*: of our own state.
pub fn text(observed: &Observed) -> Result<String, store::Error> {
    let Observed { project, store, pulse, requests, started, runs } = observed;
    let mut page = Page::default();
    page.put("ironbridge_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    page.put("ironbridge_start_time_seconds", &[], seconds(*started));
    for part in Part::ALL {
        page.put("ironbridge_part_age_seconds", &[("part", part.as_str())], pulse.age(part).as_secs_f64());
    }
    let is_ours = |name: &str| project.integration(name).is_some();
    let (ended, rows) = runs.count(store)?;
    for ((integration, state), count) in ended.into_iter().filter(|((name, _), _)| is_ours(name)) {
        page.put("ironbridge_runs_total", &[("integration", &integration), ("state", state)], count as f64);
    }
    for ((integration, result), count) in rows.into_iter().filter(|((name, _), _)| is_ours(name)) {
        page.put("ironbridge_run_rows_total", &[("integration", &integration), ("result", result)], count as f64);
    }
    for run in store.last_runs()?.iter().filter(|run| is_ours(&run.integration)) {
        let of = [("integration", &*run.integration)];
        page.put("ironbridge_last_run_start_time_seconds", &of, seconds(run.started));
        if let Some(good) = store.last_good_start(&run.integration)? {
            page.put("ironbridge_last_good_run_start_time_seconds", &of, seconds(good));
        }
        if let Some(finished) = run.finished {
            let took = finished.duration_since(run.started).as_secs_f64();
            page.put("ironbridge_last_run_duration_seconds", &of, took);
        }
    }
    now(&mut page, project, store)?;
    systems(&mut page, project, store)?;
    queues(&mut page, store)?;
    letters(&mut page, project, store)?;
    page.put("ironbridge_state_bytes", &[], bytes(store.dir()) as f64);
    requests.put(&mut page);
    Ok(page.text())
}

/// What is so or not so for each integration: a 0 is said, so that a graph has no gaps.
fn now(page: &mut Page, project: &Project, store: &Store) -> Result<(), store::Error> {
    let late = hub::deadline::late(project, store)?;
    let (pauses, outages, unheard) = (store.pauses()?, store.outages()?, store.unheard()?);
    let approvals = store.approvals(false, 1_000)?;
    let flag = |is: bool| if is { 1.0 } else { 0.0 };
    for integration in &project.integrations {
        let name = integration.name.as_str();
        let of = [("integration", name)];
        page.put("ironbridge_late", &of, flag(late.contains_key(name)));
        page.put("ironbridge_paused", &of, flag(pauses.iter().any(|pause| pause.integration == name)));
        let open = approvals.iter().filter(|approval| approval.integration == name).count();
        page.put("ironbridge_approvals_open", &of, open as f64);
        if hub::unheard::sender(project, integration).is_some() {
            let noted = unheard.iter().find(|one| one.integration == name);
            let (missed, refused) = noted.map_or((0, 0), |one| (one.changes, one.refused));
            page.put("ironbridge_webhooks_missed", &of, missed as f64);
            page.put("ironbridge_webhooks_refused", &of, refused as f64);
        }
        if let Pattern::Event(event) = &integration.pattern {
            for to in &event.to {
                let down = outages.iter().any(|outage| outage.integration == name && outage.system == *to);
                page.put("ironbridge_destination_down", &[("integration", name), ("system", to)], flag(down));
            }
        }
    }
    Ok(())
}

fn systems(page: &mut Page, project: &Project, store: &Store) -> Result<(), store::Error> {
    let now = store.clock().now();
    for look in store.looks()?.iter().filter(|look| project.system(&look.system).is_some()) {
        let of = [("system", &*look.system)];
        page.put("ironbridge_system_answers", &of, if look.silence().is_none() { 1.0 } else { 0.0 });
        page.put("ironbridge_system_asked_age_seconds", &of, now.duration_since(look.seen).as_secs_f64().max(0.0));
        page.put("ironbridge_system_answer_seconds", &of, look.took.as_secs_f64());
    }
    Ok(())
}

fn queues(page: &mut Page, store: &Store) -> Result<(), store::Error> {
    let now = store.clock().now();
    for queue in store.queues()? {
        let counts = store.queue_counts(&queue)?.unwrap_or_default();
        let states = [
            ("ready", counts.ready),
            ("locked", counts.locked),
            ("delayed", counts.delayed),
            ("deferred", counts.deferred),
            ("scheduled", counts.scheduled),
            ("dead", counts.dead),
        ];
        for (state, count) in states {
            page.put("ironbridge_queue_messages", &[("queue", &queue), ("state", state)], count as f64);
        }
        let age = store.oldest_ready(&queue)?.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
        page.put("ironbridge_queue_oldest_ready_age_seconds", &[("queue", &queue)], age);
    }
    Ok(())
}

fn letters(page: &mut Page, project: &Project, store: &Store) -> Result<(), store::Error> {
    let waiting: BTreeMap<String, u64> = store.dead_letters_waiting()?.into_iter().collect();
    let eyes = hub::upkeep::waiting_for_eyes(project, store)?;
    let now = store.clock().now();
    for integration in &project.integrations {
        let of = [("integration", integration.name.as_str())];
        page.put("ironbridge_dead_letters", &of, waiting.get(&integration.name).copied().unwrap_or(0) as f64);
        let mine = eyes.iter().find(|eyes| eyes.integration == integration.name);
        let overdue = mine.filter(|mine| mine.due <= now);
        page.put("ironbridge_dead_letters_unreviewed", &of, mine.map_or(0, |mine| mine.letters) as f64);
        page.put("ironbridge_dead_letters_overdue", &of, overdue.map_or(0, |mine| mine.letters) as f64);
    }
    let jobs = store.retry_jobs(false, 1_000)?;
    for state in [store::retries::State::Running, store::retries::State::Paused] {
        let count = jobs.iter().filter(|job| job.state == state).count();
        page.put("ironbridge_retry_jobs", &[("state", state.as_str())], count as f64);
    }
    Ok(())
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

fn bytes(dir: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).filter(|of| of.is_file()).map(|of| of.len()).sum()
}

/// Samples by metric; each metric's stand together, as the format wants it.
#[derive(Default)]
pub(crate) struct Page(BTreeMap<&'static str, String>);

impl Page {
    fn put(&mut self, name: &'static str, labels: &[(&str, &str)], value: f64) {
        self.put_as(name, "", labels, value);
    }

    /// A sample of a histogram has an ending: `_bucket`, `_sum`, `_count`.
    fn put_as(&mut self, name: &'static str, ending: &str, labels: &[(&str, &str)], value: f64) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0.entry(name).or_default(), "{name}{ending}{labels} {value}");
    }

    fn text(mut self) -> String {
        let mut out = String::new();
        for metric in METRICS {
            let samples = self.0.remove(metric.name).unwrap_or_default();
            let Metric { name, kind, help, .. } = metric;
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{samples}");
        }
        debug_assert!(self.0.is_empty(), "a metric that is not in the list");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_and_are_in_the_reference() {
        let mut page = String::from(
            "# Metrics\n\nWhat `ironbridge up` answers at `/metrics`, in the text format of Prometheus.\nLabels are names of the definition, states and routes, so their number is bounded.\nCounters begin at zero with the process.\n\n| name | kind | labels | what it says |\n|---|---|---|---|\n",
        );
        for Metric { name, kind, labels, help } in METRICS {
            assert!(name.starts_with("ironbridge_") && help.ends_with('.'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == "counter", "{name}");
            let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {help} |");
        }
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), page, "run it with UPDATE_DOCS=1");
    }

    #[test]
    fn labels_are_escaped_and_samples_stand_together() {
        let mut page = Page::default();
        page.put("ironbridge_paused", &[("integration", "a\"b\\c")], 1.0);
        page.put("ironbridge_late", &[("integration", "x")], 0.0);
        page.put("ironbridge_paused", &[("integration", "y")], 0.5);
        let text = page.text();
        let expected = "ironbridge_paused{integration=\"a\\\"b\\\\c\"} 1\nironbridge_paused{integration=\"y\"} 0.5\n";
        assert!(text.contains(expected), "{text}");
    }
}
