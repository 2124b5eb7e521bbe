//! Tells a page that something has changed, so that its script fetches it again.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use crate::ask::Ask;

/// How often the store is looked at: a look costs microseconds.
const LOOK: Duration = Duration::from_millis(1000);
/// A browser comes back by itself, and is asked who it is again.
const LENGTH: u32 = 600;

/// One event whenever anybody has written to the store, since the page was made that asks.
pub fn changes(ask: &Ask) -> Response {
    let console = ask.console.clone();
    let seen = ask.query("seen").and_then(|seen| seen.parse().ok()).unwrap_or(ask.version);
    let changes = stream::unfold((console, seen, LENGTH), |(console, mut seen, mut left)| async move {
        while left > 0 {
            left -= 1;
            tokio::time::sleep(LOOK).await;
            let now = console.store.data_version().unwrap_or(seen);
            if now != seen {
                seen = now;
                // A browser drops an event that carries nothing.
                let event = Event::default().event("changed").data("changed");
                return Some((Ok::<_, Infallible>(event), (console, seen, left)));
            }
        }
        None
    });
    Sse::new(changes).keep_alive(KeepAlive::new().interval(Duration::from_secs(20))).into_response()
}
