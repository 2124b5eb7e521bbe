//! Sending notices to webhooks, over plain HTTP: one after the other, one second chance after a gateway error, and then
//! the failure is on record.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use super::server::Server;
use super::webhooks::{self, Post};

/// How many notices may wait; beyond it the newest fail, as on a platform that is flooded.
pub const WAITING_MAX: usize = 100_000;

/// Sends what comes until it is told to stop; what then still waits is lost, as it is when the process ends.
pub async fn run(server: Arc<Server>, mut posts: mpsc::Receiver<Post>, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        () = deliver(server, &mut posts) => {}
        _ = stopped.changed() => {}
    }
}

async fn deliver(server: Arc<Server>, posts: &mut mpsc::Receiver<Post>) {
    while let Some(post) = posts.recv().await {
        let mut result = attempt(&post, server.webhook_timeout).await;
        if matches!(result, Err(Failure::Status(502..=504))) {
            result = attempt(&post, server.webhook_timeout).await;
        }
        let failure = result.err().map(|failure| failure.to_string());
        let shared = server.clone();
        let recorded = tokio::task::spawn_blocking(move || {
            let mut engine = shared.engine.lock();
            webhooks::record(&mut engine, &post, failure.as_deref())
        });
        if let Ok(Err(refusal)) = recorded.await {
            tracing::warn!(message = refusal.message, "the trace of a webhook could not be written");
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("The webhook call failed because the http request answered with status code {0}.")]
    Status(u16),
    #[error("The webhook call failed because the http request timed out at client side.")]
    Timeout,
    #[error("The webhook call failed: {0}")]
    Network(String),
}

async fn attempt(post: &Post, timeout: Duration) -> Result<(), Failure> {
    match tokio::time::timeout(timeout, send(post)).await {
        Err(_) => Err(Failure::Timeout),
        Ok(Err(failure)) => Err(failure),
        Ok(Ok(200..=299)) => Ok(()),
        Ok(Ok(status)) => Err(Failure::Status(status)),
    }
}

/// Sends one notice and returns the status; the body of the answer is never looked at.
async fn send(post: &Post) -> Result<u16, Failure> {
    let network = |what: &dyn std::fmt::Display| Failure::Network(what.to_string());
    let url: http::Uri = post.url.parse().map_err(|error: http::uri::InvalidUri| network(&error))?;
    if url.scheme_str() != Some("http") {
        return Err(network(&"this emulator calls webhooks over http only"));
    }
    let host = url.host().ok_or_else(|| network(&"the URL has no host"))?;
    let address = (host.trim_matches(['[', ']']), url.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await.map_err(|error| network(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| network(&error))?;
    let driving = tokio::spawn(connection);
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let mut request = http::Request::post(path)
        .header("Host", url.authority().map_or(host, |authority| authority.as_str()))
        .header("Content-Type", "application/json");
    for (name, value) in &post.headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(post.body.clone()))).map_err(|error| network(&error))?;
    let response = sender.send_request(request).await.map_err(|error| network(&error))?;
    let status = response.status().as_u16();
    let _ = response.into_body().collect().await;
    driving.abort();
    Ok(status)
}
