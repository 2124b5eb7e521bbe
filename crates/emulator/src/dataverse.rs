//! A Dataverse environment on a local port: tables, keys, the Web API, and bad days on demand.

mod address;
mod admin;
mod aggregate;
mod batch;
mod builtin;
mod bulk;
mod bulk_delete;
mod columns;
mod define;
mod definitions;
mod engine;
mod faults;
mod filter;
mod json;
mod limits;
mod model;
mod payload;
mod post;
mod provider;
mod read;
mod refusal;
mod server;
mod service;
mod shape;
mod storage;
mod tls;
mod tokens;
mod tracking;
mod value;
mod webhooks;
mod wire;
mod write;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use limits::Limits;
pub use server::{Handle, start};
pub use tokens::Client;

/// How an emulated environment is to be.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where to listen with TLS as well, under a certificate of an authority made for it.
    pub https: Option<SocketAddr>,
    /// The folder that keeps the rows; without one they are gone when the emulator ends.
    pub dir: Option<PathBuf>,
    /// A bearer token that is always good. Without one any token is, except what the token endpoint here has issued
    /// and has expired.
    pub token: Option<String>,
    /// The applications that may ask for tokens; without any, every application and every secret is good.
    pub clients: Vec<Client>,
    pub token_seconds: i64,
    /// Service protection limits; none by default.
    pub limits: Option<Limits>,
    /// How long it works on each row that is written, while others are served. In the cloud some milliseconds.
    pub row_time: Duration,
    /// How many requests at a time it asks for in `x-ms-dop-hint`.
    pub at_once: u16,
    /// A comma list such as `429@10%,drop@1%`; `POST /emulator/fault` takes the same while it runs.
    pub faults: String,
    /// What the dice of the faults start from.
    pub seed: u64,
    /// How long a webhook may take to answer: 60 seconds on the platform.
    pub webhook_timeout: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            https: None,
            dir: None,
            token: None,
            clients: Vec::new(),
            token_seconds: 3599,
            limits: None,
            row_time: Duration::ZERO,
            at_once: 4,
            faults: String::new(),
            seed: 1,
            webhook_timeout: Duration::from_secs(60),
        }
    }
}

/// Why an emulator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot write {}: {source}", dir.display())]
    Folder { dir: PathBuf, source: std::io::Error },
    #[error("the emulator's database cannot be used: {0}")]
    Storage(#[from] rusqlite::Error),
    #[error("a table definition in the emulator's database cannot be read: {0}")]
    Definition(#[source] serde_json::Error),
    #[error("a certificate for https could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("https could not be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the first rows could not be written: {0}")]
    Seed(String),
    #[error(
        "'{spec}' is not a fault; write WHAT@WHEN, such as 429@10%, 503@5%, drop@1%, cut@1%, slow:2s@5%, 401@after:100, half-batch@5% or down"
    )]
    Fault { spec: String },
}
