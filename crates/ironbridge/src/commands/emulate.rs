//! `ironbridge emulate dataverse`: a local Dataverse.

use std::net::SocketAddr;

use emulator::dataverse::{Config, Error, start};

use crate::failure::{BAD_FAULT, CANNOT_LISTEN, FAILED, Failure, USAGE};
use crate::talk;

pub async fn dataverse(config: Config) -> Result<u8, Failure> {
    let (memory, given) = (config.dir.is_none(), config.token.is_some());
    let environment = start(config).await.map_err(not_started)?;
    talk!("A local Dataverse answers at {0}/api/data/v9.2/", environment.url);
    if let (Some(url), Some(ca)) = (&environment.https_url, &environment.ca_path) {
        talk!("and at {url}/api/data/v9.2/, under the authority in {}", ca.display());
    }
    talk!("Tokens: {}", if given { "the one given" } else { "any is good" });
    if memory {
        talk!("Its rows are in memory and gone at the end; keep them with --dir DIR.");
    }
    talk!("Stop it with Ctrl-C.");
    stopped().await;
    environment.shutdown().await;
    Ok(0)
}

/// Why an emulator did not start, as a person can act on it.
pub fn not_started(error: Error) -> Failure {
    match error {
        Error::Listen { address, source } => cannot_listen(address, &source),
        Error::Fault { .. } => {
            Failure::new(USAGE, BAD_FAULT, error.to_string(), "ironbridge emulate dataverse --fault 429@10%")
        }
        other => anyhow::Error::from(other).into(),
    }
}

pub fn cannot_listen(address: SocketAddr, why: &std::io::Error) -> Failure {
    let what = format!("cannot listen on {address}");
    let fix = "stop the program that listens there, or choose another address with --listen";
    Failure::new(FAILED, CANNOT_LISTEN, what, fix).because(why)
}

/// Waits for Ctrl-C or a polite kill.
pub async fn stopped() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}
