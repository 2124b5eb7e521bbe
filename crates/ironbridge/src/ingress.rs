//! What `up` answers over HTTP. Each way in has a module and nests its routes here.

pub mod health;
pub mod metrics;
pub mod odata;
mod signatures;
pub mod webhooks;

use axum::Router;
use definition::Project;
use store::Store;

use crate::failure::Failure;

/// Every route of a hub, ready to be served.
///
/// *Errors*: a webhook's key has no value; the state cannot be written.
pub async fn routes(project: &Project, store: &Store) -> Result<Router, Failure> {
    webhooks::routes(project, store).await
}
