//! `/healthz` and `/readyz`: whether this process should go on, and whether it can take work now.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use hub::pulse::{Part, Pulse};
use serde_json::{Map, Value, json};
use store::Store;
use tokio::sync::watch;

#[derive(Clone)]
struct Health {
    store: Store,
    pulse: Pulse,
    stopping: watch::Receiver<bool>,
}

pub fn routes(store: &Store, pulse: &Pulse, stopping: watch::Receiver<bool>) -> Router {
    let health = Health { store: store.clone(), pulse: pulse.clone(), stopping };
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).with_state(health)
}

/// A supervisor starts the process anew when this fails: its state cannot be read, or a part of it hangs.
async fn healthz(State(health): State<Health>) -> Response {
    let mut checks = vec![("state", health.store.last_runs().map(drop).map_err(|error| error.to_string()))];
    for part in Part::ALL {
        let age = health.pulse.age(part);
        let hangs = || format!("it has not gone round for {} seconds", age.as_secs());
        checks.push((part.as_str(), if age > part.patience() { Err(hangs()) } else { Ok(()) }));
    }
    answer(checks)
}

/// A load balancer sends nothing while this fails: the hub is stopping, or what comes in could not be kept.
async fn readyz(State(health): State<Health>) -> Response {
    let stopping = if *health.stopping.borrow() { Err("the hub is stopping".to_owned()) } else { Ok(()) };
    // Nothing to write is a commit too: it waits for its turn, as an event would.
    let turn = health.store.commit(Vec::new()).await.map(drop).map_err(|error| error.to_string());
    let store = health.store.clone();
    let disk = tokio::task::spawn_blocking(move || store.probe_disk()).await;
    let disk = disk.map_err(|why| why.to_string()).and_then(|probed| probed.map_err(|why| why.to_string()));
    answer(vec![("running", stopping), ("state", turn), ("disk", disk)])
}

fn answer(checks: Vec<(&'static str, Result<(), String>)>) -> Response {
    let well = checks.iter().all(|(_, check)| check.is_ok());
    let told = |(name, check): (&str, Result<(), String>)| {
        (name.to_owned(), json!(check.err().unwrap_or_else(|| "ok".into())))
    };
    let checks: Map<String, Value> = checks.into_iter().map(told).collect();
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "status": if well { "ok" } else { "failed" }, "checks": checks }))).into_response()
}
