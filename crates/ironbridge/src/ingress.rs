//! What `up` answers over HTTP. Each way in has a module and nests its routes here.

pub mod odata;
mod signatures;
pub mod webhooks;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use definition::Project;
use serde_json::json;
use store::Store;

use crate::failure::Failure;

/// Every route of a hub, ready to be served.
///
/// *Errors*: a webhook's key has no value; the state cannot be written.
pub async fn routes(project: &Project, store: &Store) -> Result<Router, Failure> {
    let health = Router::new().route("/healthz", get(healthz)).with_state(store.clone());
    Ok(health.merge(webhooks::routes(project, store).await?))
}

/// Whether the hub can do its work: its state answers.
async fn healthz(axum::extract::State(store): axum::extract::State<Store>) -> Response {
    match store.last_runs() {
        Ok(_) => (StatusCode::OK, Json(json!({ "status": "ok" }))).into_response(),
        Err(error) => {
            let code = error.code().map(|code| code.0);
            let answer = json!({ "status": "failed", "code": code, "what": error.to_string() });
            (StatusCode::SERVICE_UNAVAILABLE, Json(answer)).into_response()
        }
    }
}
