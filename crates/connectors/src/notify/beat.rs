//! A sign of life for a watcher elsewhere.

use std::time::Duration;

use record::{Fault, Secret, Why};

use super::NOT_SENT;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Calls the address of a watcher once.
///
/// *Errors*: `IB1001`; the next call is the next try, and the watcher is who tells people.
pub async fn beat(url: &Secret) -> Result<(), Fault> {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let failed = |how: &str, why: String| {
        Fault::retry(NOT_SENT, format!("the watcher of the heartbeat {how}"), None)
            .why(Why { text: why, ..Why::default() })
            .fix("look at `heartbeat:` in ironbridge.yaml and at the network of this machine")
    };
    let http = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build();
    let http = http.expect("a client with a time-out and no files to read can always be built");
    // The address is a secret, and so it is in no message.
    let answer = http.get(url.reveal()).send().await;
    let answer = answer.map_err(|error| failed("cannot be reached", error.without_url().to_string()))?;
    match answer.status().as_u16() {
        200..300 => Ok(()),
        status => Err(failed("does not take it", status.to_string())),
    }
}
